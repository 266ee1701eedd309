"""Moving everything a consumer has not acknowledged to a dead-letter station.

A message is acknowledged at the consumer once its copy is stored, and not before: whatever ends the move
between the two, nothing is lost. A copy's message id is made from what it is a copy of, and what a move
before this one stored and did not acknowledge any more is found in the station, so that it is there once.

What clients hold without having acknowledged it is read from the stream where it is certain which messages
these are. Otherwise it is waited for until the consumer delivers it again.
"""

from __future__ import annotations

import hashlib
import shlex
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nats import errors

from memphis_desktop.inspect.connection import ReadConnection, ReadError
from memphis_desktop.inspect.message import Headers, InspectedMessage
from memphis_desktop.inspect.publishing import Acknowledgement, Publisher, PublishError
from memphis_desktop.inspect.reader import MessageReader
from memphis_desktop.inspect.replay import NEVER_COPIED, target_subject
from memphis_desktop.inspect.sequences import SequenceSet
from memphis_desktop.language import tr, tr_count

from ..actions import Action, ActionRecord
from ..failures import ClusterError
from ..lag import filters
from .letters import (
    HEADER_ATTEMPT,
    HEADER_CONSUMER,
    HEADER_REASON,
    HEADER_SEQUENCE,
    HEADER_STREAM,
    HEADER_SUBJECT,
    PROVENANCE,
    attempt_of,
)
from .pulling import BATCH, PIN_HEADER, Delivery, Pull

if TYPE_CHECKING:
    from ..session import Session

MESSAGE_ID = "Nats-Msg-Id"
DEFAULT_REASON = "moved by hand"
LOOKED_BACK = 4 * BATCH  # copies of an earlier move are looked for among so many of the station's last
HOPELESS = 20  # failures after which the rest is not tried
_PAGE = 500
_PATIENCE = 5.0  # seconds beyond the time after which a consumer delivers again


class NotMovable(ClusterError):
    """The messages of a consumer cannot be moved; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class MoveOptions:
    """Where to.

    Attributes:
        station: The dead-letter station's stream.
        subject: Template of the subject there, as for replays: ``{subject}``, ``{stream}``, ``{1}`` …
        reason: What the copies give as the reason.
    """

    station: str
    subject: str
    reason: str = DEFAULT_REASON


@dataclass(frozen=True, slots=True)
class MovePreview:
    """What would be moved now.

    Attributes:
        waiting: Messages not delivered yet.
        held: Messages delivered and not acknowledged.
        certain: Whether it is known which those are, so that they need not be waited for.
        seconds: After which time at most the consumer delivers those again.
    """

    waiting: int
    held: int
    certain: bool
    seconds: float

    @property
    def total(self) -> int:
        """All of them."""
        return self.waiting + self.held


@dataclass(slots=True)
class MoveProgress:
    """How far a move is.

    Attributes:
        total: How many there were to move; more when some arrived meanwhile.
        moved: How many are stored in the station, and acknowledged or about to be.
        again: How many of those a move before this one had stored.
        failed: How many could not be stored; they are handed back to the consumer.
        held: How many clients hold now, as the server last said.
        waiting: Whether it waits for those.
        problem: What went wrong at last.
        stopped: Whether somebody stopped it.
        ended: Whether it is over.
    """

    total: int = 0
    moved: int = 0
    again: int = 0
    failed: int = 0
    held: int = 0
    waiting: bool = False
    problem: str = ""
    stopped: bool = False
    ended: bool = False


def why_not(stream: str, config: Mapping[str, Any], *, paused: bool, target: str = "") -> str:
    """Return why a consumer's messages cannot be moved; empty when they can.

    Args:
        stream: The consumer's stream.
        config: Its configuration.
        paused: Whether its deliveries are paused.
        target: The dead-letter station, once it is chosen.
    """
    if config.get("deliver_subject"):
        return tr("The server pushes messages to this group's clients: they cannot be taken from it.")
    if config.get("ack_policy") == "none":
        return tr(
            "This group acknowledges nothing: what it is given counts as processed, so nothing can be moved "
            "without the risk of a loss. Replay the messages, then reset the group."
        )
    if paused:
        return tr("This group is paused and is given nothing: resume it first.")
    if target == stream:
        return tr("The copies would come back to the same station: choose another one.")
    return ""


def default_subject(config: Mapping[str, Any]) -> str:
    """Return a template for subjects that a station stores, from its own; empty when it has none."""
    subjects = [str(one) for one in config.get("subjects") or ()]
    if not subjects:
        return ""
    tokens = subjects[0].split(".")
    last = tokens.pop() if tokens[-1] == ">" else ""
    fixed = ["{stream}" if token == "*" else token for token in tokens]
    return ".".join([*fixed, "{subject}"] if last else fixed)


def copy_of(message: InspectedMessage, consumer: str, options: MoveOptions) -> tuple[str, Headers]:
    """Return the subject and the headers of a message's copy; raises ValueError as `target_subject` does."""
    subject = target_subject(options.subject, message)
    attempt = attempt_of(message.headers)
    headers = message.headers.without((*NEVER_COPIED, *PROVENANCE, MESSAGE_ID, PIN_HEADER))
    for name, value in (
        (HEADER_STREAM, message.stream),
        (HEADER_SEQUENCE, str(message.sequence)),
        (HEADER_CONSUMER, consumer),
        (HEADER_REASON, " ".join(options.reason.split())),
        (HEADER_SUBJECT, message.headers.get(HEADER_SUBJECT) or message.subject),
        (HEADER_ATTEMPT, str(attempt) if attempt else ""),
    ):
        if value:
            headers = headers.with_set(name, value)
    origin = f"{message.stream}\0{message.sequence}\0{message.time_ns}\0{consumer}\0{options.station}"
    digest = hashlib.blake2b(origin.encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()
    return subject, headers.with_set(MESSAGE_ID, f"moved-{digest}")


def command_line(stream: str, consumer: str, options: MoveOptions) -> str:
    """Return the command that moves the same; it wants a ``--connect`` or ``--context`` besides."""
    words = ["memphis-desktop", "dead-letter", stream, consumer, "--to", options.station]
    words += ["--subject", options.subject]
    if options.reason != DEFAULT_REASON:
        words += ["--reason", options.reason]
    return shlex.join(words)


class MoveRun:
    """Moves what one consumer has not acknowledged. `progress` is kept up to date.

    What arrives while it runs may be moved as well.
    """

    def __init__(self, session: Session, stream: str, consumer: str, options: MoveOptions) -> None:
        self.progress = MoveProgress()
        self.options = options
        self.stream = stream
        self.consumer = consumer
        self._session = session
        self._moved = SequenceSet()
        self._known: set[str] = set()  # message ids of copies that an earlier move stored
        self._held: list[int] | None = None
        self._acks: list[tuple[int, str]] = []  # of what is stored
        self._naks: list[str] = []  # of what was not tried
        self._failing: dict[int, str] = {}  # what could not be stored, by sequence
        self._end = 0
        self._info: Mapping[str, Any] = {}
        self._patience = 0.0

    # -- before ------------------------------------------------------------------------------------

    async def preview(self) -> MovePreview:
        """Return what would be moved now.

        Raises:
            NotMovable: Nothing can be moved.
            ClusterError: The server cannot be asked.
        """
        await self._look()
        config = self._config
        paused = bool(self._info.get("paused"))
        if refusal := why_not(self.stream, config, paused=paused, target=self.options.station):
            raise NotMovable(refusal)
        held = int(self._info.get("num_ack_pending") or 0)
        self._held = await self._held_sequences()
        waiting = int(self._info.get("num_pending") or 0)
        return MovePreview(waiting, held, self._held is not None, self._redelivery())

    def stop(self) -> None:
        """Move no more than what is under way."""
        self.progress.stopped = True

    # -- running -----------------------------------------------------------------------------------

    async def run(self) -> MoveProgress:
        """Move everything; what cannot be stored is counted and stays. The activity record tells of it.

        Raises:
            NotMovable, ReadOnlyConnection: Nothing may or can be moved.
            ClusterError, PublishError, ReadError: It ended early; what was moved is.
        """
        started = time.monotonic()
        progress = self.progress
        try:
            self._session.require_writable()
            preview = await self.preview()
            progress.total, progress.held = preview.total, preview.held
            answer = await self._session.api(f"STREAM.INFO.{self.stream}")
            self._end = int(answer["state"]["last_seq"])
            self._patience = preview.seconds + _PATIENCE
            await self._find_known()
            await self._move()
        except (ClusterError, PublishError, ReadError) as error:
            progress.problem = str(error)
            raise
        except errors.Error as error:
            progress.problem = str(error)
            raise ClusterError(str(error)) from error
        finally:
            progress.ended, progress.waiting = True, False
            self._record(time.monotonic() - started)
        return progress

    async def _move(self) -> None:
        session = self._session
        connection = await ReadConnection.like(session.nats, "Memphis Desktop mover")
        subject = session.api_subject(f"CONSUMER.MSG.NEXT.{self.stream}.{self.consumer}")
        try:
            async with (
                Publisher(session.nats, self._settled, max_in_flight=BATCH) as publisher,
                Pull(connection, subject, self.stream, self._config) as pull,
            ):
                try:
                    await self._move_held(publisher)
                    await self._move_waiting(publisher, pull)
                finally:
                    self._naks += self._failing.values()
                    await self._answer()
        finally:
            await connection.close()

    async def _move_held(self, publisher: Publisher) -> None:
        """Move what clients hold, where it is certain which messages that is."""
        sequences = self._held
        if not sequences or self._session.profile.api_prefix != "$JS.API":
            return  # through another account's prefix ack subjects are not known
        delivered = self._info.get("delivered") or {}
        number, last = int(delivered.get("consumer_seq") or 0), int(delivered.get("stream_seq") or 0)
        acks = f"$JS.ACK.{self.stream}.{self.consumer}.1"
        reader = await MessageReader.open(self._session, self.stream)
        try:
            batch: list[Delivery] = []
            async for message in _between(reader, sequences[0], sequences[-1], filters(self._config)):
                ack = f"{acks}.{message.sequence}.{number}.{message.time_ns}.0"
                if self._acks_all:  # one for all, at the end
                    at_end = message.sequence == sequences[-1]
                    ack = f"{acks}.{last}.{number}.{message.time_ns}.0" if at_end else ""
                batch.append((message, ack))
                if len(batch) >= BATCH:
                    await self._move_batch(publisher, batch)
                    batch = []
                if self.progress.stopped:
                    return
            await self._move_batch(publisher, batch)
        finally:
            await reader.close()

    async def _move_waiting(self, publisher: Publisher, pull: Pull) -> None:
        """Move what the consumer delivers, until nothing is left or nothing comes for too long."""
        progress = self.progress
        came = time.monotonic()
        while not progress.stopped:
            batch, before = await pull.next(wait=progress.waiting), progress.moved
            if batch:
                progress.waiting = False
                await self._move_batch(publisher, batch)
            if progress.moved > before:
                came = time.monotonic()
                continue
            await self._look()
            progress.held = int(self._info.get("num_ack_pending") or 0)
            if self._over():
                return
            progress.waiting = True
            if time.monotonic() - came > self._patience:
                progress.problem = tr("What clients still hold was not delivered again.")
                return

    def _over(self) -> bool:
        """Whether nothing is left of what there was at the beginning."""
        info = self._info
        floor = int((info.get("ack_floor") or {}).get("stream_seq") or 0)
        delivered = int((info.get("delivered") or {}).get("stream_seq") or 0)
        given = not info.get("num_pending") or delivered >= self._end
        left = int(info.get("num_ack_pending") or 0)
        return given and (left <= len(self._failing) or floor >= self._end)

    async def _move_batch(self, publisher: Publisher, batch: list[Delivery]) -> None:
        """Store copies of a batch, then acknowledge those that are stored and hand the others back."""
        progress = self.progress
        for place, (message, ack) in enumerate(batch):
            if progress.stopped:
                self._naks += [reply for _, reply in batch[place:]]
                break
            if message.sequence in self._failing:  # once is enough: it is handed back at the end
                continue
            if message.sequence in self._moved:  # its acknowledgement got lost
                self._acks.append((message.sequence, ack))
                continue
            try:
                subject, headers = copy_of(message, self.consumer, self.options)
            except ValueError as error:
                self._settled((message.sequence, ack), PublishError("invalid", str(error)))
                continue
            if headers.get(MESSAGE_ID) in self._known:
                progress.again += 1
                self._note(message.sequence, ack)
                continue
            await publisher.publish((message.sequence, ack), subject, message.payload, headers)
        await publisher.drain()
        await self._answer()
        if len(self._failing) >= HOPELESS or (self._failing and self._acks_all):
            progress.stopped = True

    def _settled(self, key: Any, result: Acknowledgement | PublishError) -> None:
        sequence, ack = key
        if isinstance(result, Acknowledgement) and result.stream != self.options.station:
            text = tr("{stream} stores this subject, not {station}.", stream=result.stream,
                      station=self.options.station)  # fmt: skip
            result = PublishError("refused", text)
            self.progress.stopped = True
        if isinstance(result, PublishError):
            self.progress.failed += 1
            self.progress.problem = str(result)
            self._failing[sequence] = ack
            return
        self.progress.again += result.duplicate
        self._note(sequence, ack)

    def _note(self, sequence: int, ack: str) -> None:
        self._moved.add(sequence)
        self._acks.append((sequence, ack))
        self.progress.moved += 1
        self.progress.total = max(self.progress.total, self.progress.moved)

    async def _answer(self) -> None:
        """Tell the consumer what is done, and what it may deliver again at once."""
        nats = self._session.nats
        acks, self._acks = sorted(self._acks), []
        naks, self._naks = self._naks, []
        if self._acks_all:  # each covers all before it: none beyond a failure, and of the rest the last
            first = min(self._failing, default=None)
            acks = [one for one in acks if first is None or one[0] < first][-1:]
        for reply in filter(None, (reply for _, reply in acks)):
            await nats.publish(reply, b"+ACK")
        for reply in filter(None, naks):
            await nats.publish(reply, b"-NAK")
        await nats.flush()

    # -- what is known -----------------------------------------------------------------------------

    @property
    def _config(self) -> Mapping[str, Any]:
        return self._info.get("config") or {}

    @property
    def _acks_all(self) -> bool:
        return self._config.get("ack_policy") == "all"

    async def _look(self) -> None:
        self._info = await self._session.api(f"CONSUMER.INFO.{self.stream}.{self.consumer}")

    def _redelivery(self) -> float:
        """Seconds after which the consumer delivers again what is not acknowledged, at most."""
        waits = [int(self._config.get("ack_wait") or 0), *map(int, self._config.get("backoff") or ())]
        return max(waits) / 1e9 or 30.0

    async def _held_sequences(self) -> list[int] | None:
        """Return what clients hold; None when acknowledgements out of order make that uncertain."""
        held = int(self._info.get("num_ack_pending") or 0)
        floor = int((self._info.get("ack_floor") or {}).get("stream_seq") or 0)
        last = int((self._info.get("delivered") or {}).get("stream_seq") or 0)
        if not held:
            return []
        found: list[int] = []
        prefix = self._session.profile.api_prefix
        reader = await MessageReader.open(self._session, self.stream, api_prefix=prefix)
        try:
            async for message in _between(reader, floor + 1, last, filters(self._config)):
                found.append(message.sequence)
                if len(found) > held and not self._acks_all:
                    return None
        finally:
            await reader.close()
        return sorted(found)

    async def _find_known(self) -> None:
        """Find the copies that a move before this one stored last."""
        prefix = self._session.profile.api_prefix
        reader = await MessageReader.open(self._session, self.options.station, api_prefix=prefix)
        try:
            bounds = reader.bounds
            position = max(bounds.first, bounds.last - LOOKED_BACK + 1)
            while position <= bounds.last:
                page = await reader.forward(position, _PAGE)
                if not page.messages:
                    break
                for message in page.messages:
                    headers = message.headers
                    if headers.get(HEADER_CONSUMER) == self.consumer:
                        self._known.add(headers.get(MESSAGE_ID) or "")
                position = page.last + 1
        finally:
            await reader.close()

    def _record(self, seconds: float) -> None:
        progress, options = self.progress, self.options
        title = tr_count(
            "Move {count:,} messages of {consumer} on {stream} to {station}",
            "Move {count:,} messages of {consumer} on {stream} to {station}",
            progress.moved,
            consumer=self.consumer,
            stream=self.stream,
            station=options.station,
        )
        body = {
            "stream": self.stream, "consumer": self.consumer, "station": options.station,
            "subject": options.subject, "reason": options.reason, "moved": progress.moved,
            "stored_before": progress.again, "failed": progress.failed, "stopped": progress.stopped,
        }  # fmt: skip
        command = command_line(self.stream, self.consumer, options)
        shown = f"$JS.ACK.{self.stream}.{self.consumer}"
        action = Action(title, "", body, command, self.stream, shown_as=shown)
        answer = {"moved": progress.moved, "failed": progress.failed, "still_held": progress.held}
        record = ActionRecord(time.time_ns(), action, answer, progress.problem, seconds)
        self._session.hand_on_action(record)
        self._session.refresh(self.stream)
        self._session.refresh(options.station)


async def _between(
    reader: MessageReader, first: int, last: int, subjects: tuple[str, ...]
) -> AsyncIterator[InspectedMessage]:
    """Yield the messages from one place to another that a consumer's filters let through."""
    for subject in subjects or (None,):
        position = max(first, reader.bounds.first)
        while position <= last:
            page = await reader.forward(position, _PAGE, subject)
            if not page.messages:
                break
            for message in page.messages:
                if message.sequence > last:
                    break
                yield message
            position = page.last + 1
