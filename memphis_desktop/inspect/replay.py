"""Replaying stored messages: read from anywhere, change, publish at a pace, and account for each one.

A run never waits for the window: it is one coroutine that can be paused, slowed, resumed and cancelled, and
whose progress is a plain record. Every copy says where it came from, and carries an id made from its origin
and target, so that running the same replay again inside the target's duplicate window stores nothing twice.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Protocol

from nats.aio.client import Client

from memphis_desktop.inspect import words
from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.files import FileProblem, messages_of
from memphis_desktop.inspect.message import Headers, InspectedMessage, format_time
from memphis_desktop.inspect.publishing import Acknowledgement, Publisher, PublishError, check_subject
from memphis_desktop.inspect.reader import MessageReader, ReadingMethod
from memphis_desktop.inspect.sequences import SequenceSet

READ_ROWS = 500
RATE_WINDOW = 5.0  # seconds over which the shown rate is taken
BURST_SECONDS = 0.01  # a paced run sends what is due in steps of this length

HEADER_RUN = "Memphis-Replay-Run"
HEADER_STREAM = "Memphis-Replay-Stream"
HEADER_SEQUENCE = "Memphis-Replay-Sequence"
HEADER_TIME = "Memphis-Replay-Time"
PROVENANCE = (HEADER_RUN, HEADER_STREAM, HEADER_SEQUENCE, HEADER_TIME)
MESSAGE_ID = "Nats-Msg-Id"

# Headers that made sense for the original publish only, or that would remove or hold back other messages.
NEVER_COPIED = (
    "Nats-Expected-Stream", "Nats-Expected-Last-Sequence", "Nats-Expected-Last-Subject-Sequence",
    "Nats-Expected-Last-Subject-Sequence-Subject", "Nats-Expected-Last-Msg-Id", "Nats-Rollup",
    "Nats-Batch-Id", "Nats-Batch-Sequence", "Nats-Batch-Commit", "Nats-Stream-Source", "Nats-Scheduler",
    "Nats-Schedule", "Nats-Schedule-Next", "Nats-Schedule-Target", "Nats-Schedule-TTL", "Nats-Marker-Reason",
    "Nats-Incr", "Nats-Counter-Sources", "Nats-Required-Api-Level", "Nats-Trace-Dest", "Nats-Trace-Only",
)  # fmt: skip

_PLACEHOLDER = re.compile(r"\{(subject|stream|sequence|\d+)\}")


class ReplaySource(Protocol):
    """Where the messages of a run come from."""

    @property
    def description(self) -> str:
        """What it is, for the list of runs."""

    @property
    def total(self) -> int | None:
        """How many messages there are, None when that is not known beforehand."""

    def read(self, after: int) -> AsyncIterator[InspectedMessage]:
        """Yield the messages in order, leaving out the first `after` of them."""


@dataclass(frozen=True)
class SelectedMessages:
    """Messages chosen by hand, read again one by one (they may have been evicted or removed meanwhile)."""

    reader: MessageReader
    sequences: tuple[int, ...]

    @property
    def description(self) -> str:
        return f"{words.count(len(self.sequences), 'selected message')} of {self.reader.stream}"

    @property
    def total(self) -> int | None:
        return len(self.sequences)

    async def read(self, after: int) -> AsyncIterator[InspectedMessage]:
        for sequence in self.sequences[after:]:
            message = await self.reader.message(sequence)
            if message is not None:
                yield message


@dataclass(frozen=True)
class GivenMessages:
    """Messages already in memory."""

    messages: Sequence[InspectedMessage]
    name: str = "messages"

    @property
    def description(self) -> str:
        return f"{words.integer(len(self.messages))} {self.name}"

    @property
    def total(self) -> int | None:
        return len(self.messages)

    async def read(self, after: int) -> AsyncIterator[InspectedMessage]:
        for message in self.messages[after:]:
            yield message


@dataclass(frozen=True)
class FileMessages:
    """The messages of an export file."""

    path: Path

    @property
    def description(self) -> str:
        return f"file {self.path.name}"

    @property
    def total(self) -> int | None:
        return None

    async def read(self, after: int) -> AsyncIterator[InspectedMessage]:
        number = 0
        async for message in messages_of(self.path):
            number += 1
            if number > after:
                yield message


@dataclass(frozen=True)
class MessageRange:
    """Every message from one sequence to another, the server filtering by subject.

    The end is fixed when the range is made, so a replay into its own source ends.
    """

    reader: MessageReader
    first: int
    last: int
    subject: str | None = None
    count: int | None = None

    @classmethod
    async def counted(
        cls, reader: MessageReader, first: int, last: int, subject: str | None = None
    ) -> MessageRange:
        """Return a range within the stream's bounds that knows how many messages it holds, where the server
        can tell.

        Raises:
            ReadError: the server did not answer, or the range holds nothing.
        """
        bounds = reader.bounds
        first, last = max(first, bounds.first), min(last, bounds.last)
        if last < first:
            raise ReadError(404, 0, "there are no messages in this range")
        count: int | None = None
        if reader.method is ReadingMethod.BATCH:
            count = await reader.matching_from(first, subject) - await reader.matching_from(last + 1, subject)
        elif subject is None and not bounds.deleted:
            count = last - first + 1
        return cls(reader, first, last, subject, count)

    @property
    def description(self) -> str:
        what = f" on {self.subject}" if self.subject else ""
        ends = f"{words.sequence(self.first)} – {words.sequence(self.last)}"
        return f"{self.reader.stream} {ends}{what}"

    @property
    def total(self) -> int | None:
        return self.count

    async def read(self, after: int) -> AsyncIterator[InspectedMessage]:
        position, skipped = self.first, 0
        pending: asyncio.Task[object] | None = None
        try:
            pending = self._page(position)
            while pending is not None:
                page = await pending
                pending = None
                position = page.last + 1  # type: ignore[attr-defined]
                messages = page.messages  # type: ignore[attr-defined]
                if position <= self.last and messages:
                    pending = self._page(position)  # the next page travels while this one is sent
                for message in messages:
                    if message.sequence > self.last:
                        return
                    skipped += 1
                    if skipped > after:
                        yield message
        finally:
            if pending is not None:
                pending.cancel()

    def _page(self, position: int) -> asyncio.Task[object]:
        return asyncio.ensure_future(self.reader.forward(position, READ_ROWS, self.subject))


class MessageIds(Enum):
    """Which message id the copies carry."""

    STABLE = "stable"  # from origin and target: repeating within the duplicate window stores nothing twice
    FRESH = "fresh"  # also from the run: every run stores its copies
    KEEP = "keep"  # the original's id
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """How a run changes and sends messages.

    Attributes:
        subject: Template of the target subject: {subject}, {stream}, {sequence}, {1} … for its tokens.
        rate: Messages a second at most; None for as fast as the target takes them.
        original_pace: Keep the spacing of the originals, this many times faster; None to ignore it.
        keep_headers: Copy the originals' headers (except those in `NEVER_COPIED`).
        set_headers: Headers set on every copy.
        drop_headers: Names never copied.
        ids: Message ids of the copies.
        provenance: Add the Memphis-Replay-… headers; without them the run can only be undone by its record.
        max_in_flight: Publishes awaiting their acknowledgement.
        timeout: Seconds to wait for an acknowledgement.
        stop_after_errors: Stop when this many failed; None goes on to the end.
    """

    subject: str = "{subject}"
    rate: float | None = None
    original_pace: float | None = None
    keep_headers: bool = True
    set_headers: tuple[tuple[str, str], ...] = ()
    drop_headers: tuple[str, ...] = ()
    ids: MessageIds = MessageIds.STABLE
    provenance: bool = True
    max_in_flight: int = 512
    timeout: float = 5.0
    stop_after_errors: int | None = 100


class ReplayState(Enum):
    """Where a run stands."""

    READY = "ready"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether nothing more will be sent."""
        return self in (ReplayState.DONE, ReplayState.CANCELLED, ReplayState.FAILED)


@dataclass(frozen=True, slots=True)
class ReplayProgress:
    """How far a run is. Counts are messages."""

    state: ReplayState
    total: int | None
    taken: int = 0
    sent: int = 0
    stored: int = 0
    duplicates: int = 0
    failed: int = 0
    sent_bytes: int = 0
    elapsed: float = 0.0
    rate: float = 0.0
    ack_seconds: float | None = None
    errors: tuple[tuple[str, int, str], ...] = ()  # kind, how many, a sample text
    reason: str = ""

    @property
    def settled(self) -> int:
        """Messages whose fate is known."""
        return self.stored + self.duplicates + self.failed

    @property
    def remaining_seconds(self) -> float | None:
        """Time left at the present rate, None when it cannot be told."""
        if self.total is None or self.rate <= 0 or self.state.ended:
            return None
        return max(0, self.total - self.settled) / self.rate


def target_subject(template: str, message: InspectedMessage) -> str:
    """Return the subject a message is replayed to.

    Raises:
        ValueError: the template names a token the subject has not, or yields no subject to publish to.
    """
    tokens = message.subject.split(".")

    def fill(match: re.Match[str]) -> str:
        name = match.group(1)
        if name == "subject":
            return message.subject
        if name == "stream":
            return message.stream
        if name == "sequence":
            return str(message.sequence)
        index = int(name)
        if not 1 <= index <= len(tokens):
            raise ValueError(f"{message.subject} has no part {index}")
        return tokens[index - 1]

    subject = _PLACEHOLDER.sub(fill, template.strip())
    if "{" in subject or "}" in subject:
        raise ValueError(f"{template!r} has a placeholder that is not known")
    check_subject(subject)
    return subject


def copy_headers(message: InspectedMessage, subject: str, options: ReplayOptions, run_id: str) -> Headers:
    """Return the headers of a copy."""
    original = message.headers if options.keep_headers else Headers()
    headers = original.without((*NEVER_COPIED, *options.drop_headers, *PROVENANCE, MESSAGE_ID))
    for name, value in options.set_headers:
        headers = headers.with_set(name, value)
    if options.ids is MessageIds.KEEP:
        kept = message.headers.get(MESSAGE_ID)
        if kept is not None:
            headers = headers.with_set(MESSAGE_ID, kept)
    elif options.ids is not MessageIds.NONE:
        origin = f"{message.stream}\0{message.sequence}\0{message.time_ns}\0{subject}"
        if options.ids is MessageIds.FRESH:
            origin += f"\0{run_id}"
        digest = hashlib.blake2b(origin.encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()
        headers = headers.with_set(MESSAGE_ID, f"replay-{digest}")
    if options.provenance:
        for name, value in (
            (HEADER_RUN, run_id),
            (HEADER_STREAM, message.stream),
            (HEADER_SEQUENCE, str(message.sequence)),
            (HEADER_TIME, format_time(message.time_ns)),
        ):
            headers = headers.with_set(name, value)
    return headers


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """One message of a dry run: what would be sent, or why it would not."""

    original: InspectedMessage
    subject: str
    headers: Headers
    problem: str = ""


async def rehearse(
    source: ReplaySource, options: ReplayOptions, run_id: str, most: int = 100
) -> list[Rehearsed]:
    """Return the first messages of a replay as they would be sent; nothing is sent.

    Raises:
        ReadError: the source cannot be read.
    """
    rehearsed: list[Rehearsed] = []
    messages = source.read(0)
    try:
        async for message in messages:
            try:
                subject = target_subject(options.subject, message)
                rehearsed.append(Rehearsed(message, subject, copy_headers(message, subject, options, run_id)))
            except ValueError as error:
                rehearsed.append(Rehearsed(message, "", Headers(), str(error)))
            if len(rehearsed) >= most:
                break
    finally:
        await messages.aclose()  # type: ignore[attr-defined]
    return rehearsed


@dataclass(slots=True)
class _Counts:
    taken: int = 0
    sent: int = 0
    stored: int = 0
    duplicates: int = 0
    failed: int = 0
    sent_bytes: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    samples: dict[str, str] = field(default_factory=dict)


Transform = Callable[[InspectedMessage], InspectedMessage | None]


class ReplayRun:
    """One replay, from ready to its end.

    `run` sends everything and returns the last progress; the other methods may be called meanwhile.
    """

    def __init__(
        self,
        source: ReplaySource,
        client: Client,
        options: ReplayOptions,
        *,
        run_id: str,
        after: int = 0,
        transform: Transform | None = None,
    ) -> None:
        """Describe the run.

        Args:
            source: Where messages come from.
            client: The connected client of the target.
            options: How they are changed and sent.
            run_id: What recognises the copies of this run.
            after: Leave out this many messages of the source, when resuming.
            transform: Changes or drops (None) a message before it is copied.
        """
        self.source = source
        self.options = options
        self.run_id = run_id
        self.stored_in: dict[str, SequenceSet] = {}
        self.started_at_ns = 0
        self._client = client
        self._after = after
        self._transform = transform
        self._state = ReplayState.READY
        self._reason = ""
        self._counts = _Counts()
        self._rate = options.rate
        self._resumed = asyncio.Event()
        self._resumed.set()
        self._cancelled = False
        self._started = 0.0
        self._ended: float | None = None
        self._recent: deque[tuple[float, int]] = deque()
        self._ack_seconds: float | None = None
        self._open: OrderedDict[int, None] = OrderedDict()  # positions in the source not settled yet
        self._pace_start = 0.0
        self._pace_sent = 0
        self._pace_origin: int | None = None

    # -- steering ----------------------------------------------------------------------------------

    def pause(self) -> None:
        """Send nothing more until `resume`; what is in flight is still settled."""
        if self._state is ReplayState.RUNNING:
            self._state = ReplayState.PAUSED
            self._resumed.clear()

    def resume(self) -> None:
        """Go on after `pause`."""
        if self._state is ReplayState.PAUSED:
            self._state = ReplayState.RUNNING
            self._restart_pace()
            self._resumed.set()

    def cancel(self) -> None:
        """Send nothing more and end once what is in flight is settled."""
        self._cancelled = True
        self._resumed.set()

    def set_rate(self, rate: float | None) -> None:
        """Change the highest rate (messages a second) while running."""
        if rate is not None and rate <= 0:
            raise ValueError("a rate must be above zero")
        self._rate = rate
        self._restart_pace()

    @property
    def rate(self) -> float | None:
        """The highest rate in force, messages a second."""
        return self._rate

    @property
    def position(self) -> int:
        """How many messages of the source are settled from its beginning on, with no gap: where to resume."""
        return next(iter(self._open)) if self._open else self._after + self._counts.taken

    @property
    def progress(self) -> ReplayProgress:
        """How far the run is now."""
        counts = self._counts
        end = self._ended if self._ended is not None else time.monotonic()
        elapsed = end - self._started if self._started else 0.0
        return ReplayProgress(
            state=self._state,
            total=self.source.total,
            taken=self._after + counts.taken,
            sent=counts.sent,
            stored=counts.stored,
            duplicates=counts.duplicates,
            failed=counts.failed,
            sent_bytes=counts.sent_bytes,
            elapsed=elapsed,
            rate=self._measured_rate(end, elapsed),
            ack_seconds=self._ack_seconds,
            errors=tuple((kind, count, counts.samples[kind]) for kind, count in counts.errors.most_common()),
            reason=self._reason,
        )

    def _measured_rate(self, now: float, elapsed: float) -> float:
        counts = self._counts
        if self._state.ended or elapsed < 1.0:
            return counts.sent / elapsed if elapsed > 0.05 else 0.0
        while len(self._recent) > 2 and self._recent[0][0] < now - RATE_WINDOW:
            self._recent.popleft()
        if not self._recent or now <= self._recent[0][0]:
            return 0.0
        return (counts.sent - self._recent[0][1]) / (now - self._recent[0][0])

    # -- running -----------------------------------------------------------------------------------

    async def run(self) -> ReplayProgress:
        """Send everything; returns the last progress. Never raises for what goes wrong with messages."""
        if self._state is not ReplayState.READY:
            raise RuntimeError("a run runs once")
        self._state = ReplayState.RUNNING
        self._started = time.monotonic()
        self.started_at_ns = time.time_ns()
        self._restart_pace()
        try:
            async with Publisher(
                self._client,
                self._settle,
                max_in_flight=self.options.max_in_flight,
                timeout=self.options.timeout,
            ) as publisher:
                try:
                    await self._send_all(publisher)
                finally:
                    await publisher.drain()
            if not self._reason:
                self._finish(ReplayState.CANCELLED if self._cancelled else ReplayState.DONE)
            else:
                self._finish(ReplayState.FAILED)
        except (ReadError, PublishError, FileProblem) as error:
            self._reason = str(error)
            self._finish(ReplayState.FAILED)
        except asyncio.CancelledError:
            self._finish(ReplayState.CANCELLED)
            raise
        return self.progress

    def _finish(self, state: ReplayState) -> None:
        self._ended = time.monotonic()
        self._state = state

    async def _send_all(self, publisher: Publisher) -> None:
        messages = self.source.read(self._after)
        try:
            async for message in messages:
                await self._resumed.wait()
                if self._cancelled or self._reason:
                    return
                await self._wait_for_turn(message)
                if self._cancelled:
                    return
                position = self._after + self._counts.taken
                self._counts.taken += 1
                self._open[position] = None
                await self._send_one(publisher, message, position)
        finally:
            await messages.aclose()  # type: ignore[attr-defined]

    async def _send_one(self, publisher: Publisher, message: InspectedMessage, position: int) -> None:
        try:
            changed = self._transform(message) if self._transform else message
            if changed is None:
                self._open.pop(position, None)
                return
            subject = target_subject(self.options.subject, changed)
            headers = copy_headers(changed, subject, self.options, self.run_id)
        except ValueError as error:
            self._settle(position, PublishError("invalid", str(error)))
            return
        self._counts.sent += 1
        self._counts.sent_bytes += changed.size
        now = time.monotonic()
        if not self._recent or now - self._recent[-1][0] > 0.1:
            self._recent.append((now, self._counts.sent))
        await publisher.publish(position, subject, changed.payload, headers)

    def _settle(self, position: int, result: Acknowledgement | PublishError) -> None:
        counts = self._counts
        self._open.pop(position, None)
        if isinstance(result, PublishError):
            counts.failed += 1
            counts.errors[result.kind] += 1
            counts.samples.setdefault(result.kind, str(result))
            limit = self.options.stop_after_errors
            if limit is not None and counts.failed >= limit and not self._reason:
                self._reason = f"stopped after {words.count(counts.failed, 'error')}; the last: {result}"
            return
        self._ack_seconds = (
            result.seconds if self._ack_seconds is None else self._ack_seconds * 0.9 + result.seconds * 0.1
        )
        if result.duplicate:
            counts.duplicates += 1
        else:
            counts.stored += 1
            self.stored_in.setdefault(result.stream, SequenceSet()).add(result.sequence)

    # -- pace --------------------------------------------------------------------------------------

    def _restart_pace(self) -> None:
        self._pace_start = time.monotonic()
        self._pace_sent = 0
        self._pace_origin = None

    async def _wait_for_turn(self, message: InspectedMessage) -> None:
        """Wait until this message is due by the rate or by the spacing of the originals."""
        while not self._cancelled:
            due = self._due(message)
            wait = due - time.monotonic()
            if wait < BURST_SECONDS:
                break
            await asyncio.sleep(min(wait, 0.1))  # short, so that a change of rate or a cancel takes hold
            await self._resumed.wait()
        self._pace_sent += 1

    def _due(self, message: InspectedMessage) -> float:
        due = self._pace_start
        if self._rate is not None:
            due = max(due, self._pace_start + self._pace_sent / self._rate)
        pace = self.options.original_pace
        if pace is not None:
            if self._pace_origin is None:
                self._pace_origin = message.time_ns
                self._pace_start = time.monotonic() if self._rate is None else self._pace_start
            due = max(due, self._pace_start + (message.time_ns - self._pace_origin) / 1e9 / pace)
        return due
