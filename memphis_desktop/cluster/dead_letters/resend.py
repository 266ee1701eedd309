"""Sending dead letters again: where to, at what pace, how often at most, and what becomes of each."""

from __future__ import annotations

import asyncio
import hashlib
import shlex
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from memphis_desktop.inspect import snippets
from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.message import Headers, InspectedMessage
from memphis_desktop.inspect.publishing import Acknowledgement, Publisher, PublishError, check_subject, send
from memphis_desktop.inspect.replay import NEVER_COPIED
from memphis_desktop.inspect.sequences import SequenceSet
from memphis_desktop.language import tr, tr_count

from ..actions import Action, ActionRecord
from ..failures import ClusterError
from ..one_consumer import ConsumerPlan, NotPossible, read_plan
from .dropping import drop_letters
from .engine import DeadLetters
from .letters import (
    HEADER_ATTEMPT,
    HEADER_CONSUMER,
    HEADER_REASON,
    HEADER_SEQUENCE,
    HEADER_STREAM,
    HEADER_SUBJECT,
    PROVENANCE,
    DeadLetter,
    LetterKind,
    Resent,
    attempt_of,
)
from .marks import RESENT_PREFIX, place_of, resent_contents

if TYPE_CHECKING:
    from ..session import Session

MESSAGE_ID = "Nats-Msg-Id"
DEFAULT_CAP = 3
COMMANDS_SHOWN = 10


class Fate(Enum):
    """What became of one letter."""

    STORED = "stored"
    SENT = "handed to the consumer"
    GONE = "message is gone"
    CAPPED = "attempts used up"
    NO_SUBJECT = "no subject known"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ResendOptions:
    """How letters are sent again.

    Attributes:
        rate: Letters a second at most; None for as fast as they are taken.
        cap: Attempts at most, those before this program saw the message included; None for no cap.
        drop: Take each letter off the list once its copy is stored.
        subject: Send to this subject instead of the original one; empty for the original.
        plan: Send to one consumer only, in this way.
        stop_after: Stop when so many failed; None goes on.
    """

    rate: float | None = 10.0
    cap: int | None = DEFAULT_CAP
    drop: bool = True
    subject: str = ""
    plan: ConsumerPlan | None = None
    stop_after: int | None = 20


@dataclass(frozen=True, slots=True)
class ResendProgress:
    """How far it is."""

    total: int
    done: int
    fates: Counter[Fate]
    problem: str = ""
    ended: bool = False

    @property
    def sent(self) -> int:
        """Letters whose copies are on their way or stored."""
        return self.fates[Fate.STORED] + self.fates[Fate.SENT]


class ResendRun:
    """Sends letters again, one after the other at a pace; can be stopped between two."""

    def __init__(
        self, session: Session, letters: Sequence[DeadLetter], options: ResendOptions | None = None
    ) -> None:
        self.letters = list(letters)
        self.options = options or ResendOptions()
        self.fates: dict[Any, Fate] = {}
        self.problems: list[str] = []
        self.stored: dict[str, SequenceSet] = {}  # the copies, by station
        self._session = session
        self._book: DeadLetters = session.dead_letters
        self._stopped = False
        self._ended = False
        self._reason = ""
        self._to_drop: list[DeadLetter] = []
        self._to_mark: list[tuple[DeadLetter, Resent]] = []

    @property
    def progress(self) -> ResendProgress:
        """How far it is now."""
        fates = Counter(self.fates.values())
        problem = self._reason or (self.problems[-1] if self.problems else "")
        return ResendProgress(len(self.letters), len(self.fates), fates, problem, self._ended)

    def stop(self) -> None:
        """Send no more."""
        self._stopped = True

    async def run(self) -> ResendProgress:
        """Send all; raises `ClusterError` when nothing may be changed here. Each failure is counted."""
        started = time.monotonic()
        problem = ""
        try:
            self._session.require_writable()
            if self.options.plan is not None:
                await self._prepare(self.options.plan)
            async with Publisher(self._session.nats, self._settled, max_in_flight=64) as publisher:
                await self._send_all(publisher)
                await publisher.drain()
                await self._mark(publisher)
                await publisher.drain()
            if self._to_drop:
                await drop_letters(self._session, self._to_drop, note=False)
        except (ClusterError, PublishError, ReadError) as error:
            problem = str(error)
            self._reason = problem
            raise
        finally:
            self._ended = True
            self._record(problem, time.monotonic() - started)
        return self.progress

    async def _prepare(self, known: ConsumerPlan) -> None:
        """Look once more how the one consumer is reached, then change what has to be changed for it.

        The plan was made of a snapshot, which may lack a consumer that would get the copies too. Raises
        `ClusterError` when there is one, or a change is refused.
        """
        subjects = sorted({one.original.subject for one in self.letters if one.original.subject})
        try:
            plan = await read_plan(self._session, known.stream, known.consumer, subjects)
        except NotPossible as refusal:
            raise ClusterError(str(refusal)) from None
        await plan.prepare(self._session)
        self.options = replace(self.options, plan=plan)

    async def _send_all(self, publisher: Publisher) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        for letter in self.letters:
            if self._stopped or self._failed_too_often():
                return
            if self.options.rate:
                wait = due - loop.time()
                if wait > 0:
                    await asyncio.sleep(wait)
                due = max(due, loop.time() - 1.0) + 1.0 / self.options.rate
            await self._send(publisher, letter)
            await self._mark(publisher)

    def _failed_too_often(self) -> bool:
        limit = self.options.stop_after
        failed = sum(fate is Fate.FAILED for fate in self.fates.values())
        if limit is not None and failed >= limit:
            stopped = tr_count("Stopped: {count} failed.", "Stopped: {count} failed.", failed)
            self._reason = " ".join([stopped, *self.problems[-1:]])
            return True
        return False

    async def _send(self, publisher: Publisher, letter: DeadLetter) -> None:
        message = await self._book.message_of(letter)
        known = letter.original.time_ns
        if message is None or (known is not None and not letter.external and message.time_ns != known):
            # With another time it is another message: the station was made anew meanwhile.
            self.fates[letter.key] = Fate.GONE
            return
        attempt = attempt_of(message.headers) + len(letter.resent) + 1
        if self.options.cap is not None and attempt > self.options.cap:
            self.fates[letter.key] = Fate.CAPPED
            return
        subject = self.subject_of(letter, message)
        try:
            check_subject(subject)
        except ValueError as error:
            self.fates[letter.key] = Fate.NO_SUBJECT
            self.problems.append(str(error))
            return
        headers = copy_headers(letter, message, subject, attempt)
        plan = self.options.plan
        if plan is not None and plan.direct:
            await send(self._session.nats, subject, message.payload, headers.without([MESSAGE_ID]))
            self._note(letter, Resent(time.time_ns(), attempt, subject))
        else:
            await publisher.publish((letter, attempt, subject), subject, message.payload, headers)

    def subject_of(self, letter: DeadLetter, message: InspectedMessage) -> str:
        """Return where a letter's copy goes; empty when nobody knows."""
        if self.options.plan is not None:
            return self.options.plan.subject or message.subject
        if self.options.subject:
            return self.options.subject
        return letter.home_subject if letter.kind is LetterKind.STATION else original_subject(message)

    def _settled(self, key: Any, result: Acknowledgement | PublishError) -> None:
        if key is None:
            if isinstance(result, PublishError):
                self.problems.append(tr("What was sent could not be noted: {result}", result=result))
            return
        letter, attempt, subject = key
        if isinstance(result, PublishError):
            self.fates[letter.key] = Fate.FAILED
            self.problems.append(str(result))
            return
        if not result.duplicate:
            self.stored.setdefault(result.stream, SequenceSet()).add(result.sequence)
        self._note(letter, Resent(time.time_ns(), attempt, subject, result.stream, result.sequence))

    def _note(self, letter: DeadLetter, copy: Resent) -> None:
        self.fates[letter.key] = Fate.STORED if copy.sequence else Fate.SENT
        self._book.note_resent(place_of(letter), copy)
        if self.options.drop:
            self._to_drop.append(letter)
        self._to_mark.append((letter, copy))

    async def _mark(self, publisher: Publisher) -> None:
        """Note in the capture stream what was sent, so that others and a later start know too."""
        marks, self._to_mark = self._to_mark, []
        if not self._book.status.marks:
            return
        for letter, copy in marks:
            subject = f"{RESENT_PREFIX}.{letter.stream}"
            await publisher.publish(None, subject, resent_contents(letter, copy), Headers())

    def _record(self, problem: str, seconds: float) -> None:
        progress = self.progress
        body = {
            "letters": [
                {"stream": one.stream, "sequence": one.sequence, "consumer": one.consumer}
                for one in self.letters[:200]
            ],
            "fates": {fate.value: count for fate, count in progress.fates.items()},
            "rate": self.options.rate,
            "cap": self.options.cap,
            "subject": self.options.subject or None,
        }
        streams = {letter.stream for letter in self.letters}
        stream = streams.pop() if len(streams) == 1 else ""
        count = len(self.letters)
        title = tr_count("Resend {count} dead letter", "Resend {count} dead letters", count)
        if self.options.plan is not None:
            title = tr_count(
                "Resend {count} dead letter to {consumer}",
                "Resend {count} dead letters to {consumer}",
                count,
                consumer=self.options.plan.consumer,
            )
        action = Action(title, "", body, command_lines(self.letters), stream, shown_as="(messages published)")
        failed = problem or self._reason
        self._session.hand_on_action(ActionRecord(time.time_ns(), action, None, failed, seconds))
        self._session.refresh(stream or None)


def original_subject(message: InspectedMessage) -> str:
    """Return the subject a message was first published to: of a copy, that of what it is a copy of."""
    return message.headers.get(HEADER_SUBJECT) or message.subject


def copy_headers(letter: DeadLetter, message: InspectedMessage, subject: str, attempt: int) -> Headers:
    """Return the headers of a copy: the original's, where it came from, and how often it was tried.

    Its message id is made of letter and attempt, so that pressing the button twice stores one copy.
    """
    headers = message.headers.without((*NEVER_COPIED, *PROVENANCE, MESSAGE_ID))
    facts = [
        (HEADER_STREAM, letter.stream),
        (HEADER_SEQUENCE, str(letter.sequence)),
        (HEADER_CONSUMER, letter.consumer),
        (HEADER_REASON, " ".join(letter.cause.split())),
        (HEADER_SUBJECT, original_subject(message) if subject != original_subject(message) else ""),
        (HEADER_ATTEMPT, str(attempt)),
    ]
    for name, value in facts:
        if value:
            headers = headers.with_set(name, value)
    origin = f"{letter.stream}\0{letter.sequence}\0{message.time_ns}\0{letter.consumer}\0{subject}\0{attempt}"
    digest = hashlib.blake2b(origin.encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()
    return headers.with_set(MESSAGE_ID, f"dead-letter-{digest}")


def command_lines(letters: Sequence[DeadLetter], subject: str = "") -> str:
    """Return the ``nats`` commands that send the same messages again."""
    lines = []
    for letter in letters[:COMMANDS_SHOWN]:
        get = shlex.join(["nats", "stream", "get", letter.stream, str(letter.sequence), "--json"])
        target = subject or letter.home_subject or letter.original.subject or "SUBJECT"
        headers = [
            f"--header={HEADER_STREAM}:{letter.stream}",
            f"--header={HEADER_SEQUENCE}:{letter.sequence}",
            f"--header={HEADER_ATTEMPT}:{letter.attempts + 1}",
        ]
        publish = shlex.join(["nats", "pub", target, *headers, "--force-stdin"])
        lines.append(f"{get} | jq -r .data | base64 -d | {publish}")
    if len(letters) > COMMANDS_SHOWN:
        lines.append(f"# and so on for {len(letters) - COMMANDS_SHOWN:,} more")
    return "\n".join(lines)


def exact_command(letter: DeadLetter, message: InspectedMessage, subject: str) -> str:
    """Return the ``nats`` command that publishes exactly the copy that would be sent."""
    attempt = attempt_of(message.headers) + len(letter.resent) + 1
    headers = copy_headers(letter, message, subject, attempt)
    copy = InspectedMessage("", 0, 0, subject, headers.encode(), message.payload)
    return snippets.as_nats_pub(copy)
