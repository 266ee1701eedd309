"""Replaying stored messages: read from anywhere, change, publish at a pace, and account for each one.

A run never waits for the window: it is one coroutine that can be paused, slowed, resumed and cancelled, and
whose progress is a plain record. Every copy says where it came from, and carries an id made from its origin
and target, so that running the same replay again inside the target's duplicate window stores nothing twice.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nats.aio.client import Client

from memphis_desktop.inspect import words
from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.files import FileProblem
from memphis_desktop.inspect.mask import Mask
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.publishing import Acknowledgement, Publisher, PublishError
from memphis_desktop.inspect.replay.copies import ReplayOptions, copy_headers, copy_subject
from memphis_desktop.inspect.replay.direct_target import DirectTarget
from memphis_desktop.inspect.replay.file_target import FileTarget
from memphis_desktop.inspect.replay.latency import Latencies
from memphis_desktop.inspect.replay.order import ReplayOrder
from memphis_desktop.inspect.replay.progress import ReplayProgress, ReplayState
from memphis_desktop.inspect.replay.sources import ReplaySource
from memphis_desktop.inspect.sequences import SequenceSet
from memphis_desktop.language import tr, tr_count

RATE_WINDOW = 5.0  # seconds over which the shown rate is taken
BURST_SECONDS = 0.01  # a paced run sends what is due in steps of this length
_FIRST_ONES = 10  # messages of which one should be stored; they go one by one until it is


@dataclass(slots=True)
class _Counts:
    taken: int = 0
    sent: int = 0
    stored: int = 0
    duplicates: int = 0
    failed: int = 0
    left_out: int = 0
    sent_bytes: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    samples: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a run stands, to go on from later. Everything before is settled.

    Attributes:
        taken: messages of the source settled from its beginning on, with no gap.
        sequence: the source sequence to go on from; None before the first message.
        stored, duplicates, failed, sent_bytes, left_out: the counts by then, those behind a gap included.
        subject: the subject that sequence is on, where the run goes subject by subject.
    """

    taken: int = 0
    sequence: int | None = None
    stored: int = 0
    duplicates: int = 0
    failed: int = 0
    sent_bytes: int = 0
    left_out: int = 0
    subject: str = ""


Target = Publisher | FileTarget | DirectTarget


# Copies that are in the target already: origin (stream, sequence) to place (stream, sequence).
Found = Mapping[tuple[str, int], tuple[str, int]]


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
        before: Checkpoint | None = None,
        found: Found | None = None,
        mask: Mask | None = None,
    ) -> None:
        """Describe the run.

        Args:
            source: Where messages come from.
            client: The connected client of the target.
            options: How they are changed and sent.
            run_id: What recognises the copies of this run.
            after: Leave out this many messages of the source, when resuming.
            before: Where the run stood when it was interrupted; its counts go on from there.
            found: Copies made after that, which are in the target already and are not sent again.
            mask: What the filter of the options may see of a message; the original is sent all the same.
        """
        self.source = source
        self.options = options
        self.run_id = run_id
        self.stored_in: dict[str, SequenceSet] = {}
        self.started_at_ns = 0
        self.latencies = Latencies()
        self.first_sequence: int | None = None  # of the source: the lowest and the highest that was sent
        self.last_sequence: int | None = None
        self.keep_place: Callable[[], Awaitable[None]] | None = None  # of who keeps a record of the run
        self._client = client
        self._mask = mask
        self._after = after
        self._before = before or Checkpoint(taken=after)
        self._found = found or {}
        self._state = ReplayState.READY
        self._reason = ""
        self._counts = _Counts(
            stored=self._before.stored,
            duplicates=self._before.duplicates,
            failed=self._before.failed,
            sent_bytes=self._before.sent_bytes,
            left_out=self._before.left_out,
        )
        self._rate = options.rate
        self._resumed = asyncio.Event()
        self._resumed.set()
        self._cancelled = False
        self._started = 0.0
        self._ended: float | None = None
        self._recent: deque[tuple[float, int]] = deque()
        self._ack_seconds: float | None = None
        # Places in the source that are not settled yet: sequences and subjects.
        self._open: OrderedDict[int, tuple[int, str]] = OrderedDict()
        self._next: tuple[int | None, str] = self._before.sequence, self._before.subject
        self._pace_start = 0.0
        self._pace_sent = 0
        self._pace_bytes = 0
        self._pace_origin: int | None = None
        self._pace_subject = ""
        self._recorded_from = 0.0

    def take_record(
        self,
        errors: Iterable[tuple[str, int, str]],
        latencies: Latencies,
        sent: tuple[int | None, int | None],
    ) -> None:
        """Go on from what was told of the run before it was interrupted.

        Args:
            errors: Kind, how many, a sample.
            latencies: Of its acknowledgements.
            sent: The lowest and the highest sequence of the source that it sent.
        """
        for kind, count, sample in errors:
            self._counts.errors[kind] = count
            self._counts.samples[kind] = sample
        self.latencies = latencies
        self.first_sequence, self.last_sequence = sent

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
    def checkpoint(self) -> Checkpoint:
        """Where to resume: the first message of the source whose fate is not known."""
        counts = self._counts
        taken, place = self._before.taken + counts.taken, self._next
        if self._open:
            taken, place = next(iter(self._open.items()))
        return Checkpoint(
            taken,
            place[0],
            counts.stored,
            counts.duplicates,
            counts.failed,
            counts.sent_bytes,
            counts.left_out,
            place[1] if self.options.order is ReplayOrder.SUBJECTS else "",
        )

    @property
    def progress(self) -> ReplayProgress:
        """How far the run is now."""
        counts = self._counts
        end = self._ended if self._ended is not None else time.monotonic()
        elapsed = end - self._started if self._started else 0.0
        return ReplayProgress(
            state=self._state,
            total=self.source.total,
            taken=self._before.taken + counts.taken,
            sent=counts.sent,
            stored=counts.stored,
            duplicates=counts.duplicates,
            failed=counts.failed,
            left_out=counts.left_out,
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
        target = self._target()
        try:
            async with target:
                try:
                    await self._send_all(target)
                finally:
                    await target.drain()
                if isinstance(target, FileTarget):
                    target.complete = not (self._cancelled or self._reason)
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

    def _target(self) -> Target:
        options = self.options
        if options.file:
            return FileTarget(Path(options.file), self._settle)
        if options.only is not None and options.only.direct:
            return DirectTarget(
                self._client, self._settle, at_once=options.max_in_flight, timeout=options.timeout
            )
        return Publisher(
            self._client,
            self._settle,
            max_in_flight=self.options.max_in_flight,
            timeout=self.options.timeout,
        )

    def _finish(self, state: ReplayState) -> None:
        self._ended = time.monotonic()
        self._state = state

    async def _send_all(self, publisher: Target) -> None:
        messages = self.source.read(self._after)
        try:
            async for message in messages:
                await self._resumed.wait()
                if self._cancelled or self._reason:
                    return
                await self._wait_for_turn(message, publisher)
                if self._cancelled:
                    return
                position = self._before.taken + self._counts.taken
                self._counts.taken += 1
                self._open[position] = message.sequence, message.subject
                self._next = message.sequence + self.options.order.step, message.subject
                await self._send_one(publisher, message, position)
                if not self.stored_in and self._counts.sent <= _FIRST_ONES:
                    await self._note_station(publisher)
        finally:
            await messages.aclose()  # type: ignore[attr-defined]

    async def _note_station(self, publisher: Target) -> None:
        """Have the station of the first copy in the record before there are more.

        A run that is killed looks for its copies where its record says that it stored some.
        """
        if self.keep_place is None or not isinstance(publisher, Publisher):
            return
        await publisher.drain()
        if self.stored_in:
            await self.keep_place()

    async def _send_one(self, publisher: Target, message: InspectedMessage, position: int) -> None:
        found = self._found.get((message.stream, message.sequence))
        if found is not None:
            self._open.pop(position, None)
            stored = self.stored_in.setdefault(found[0], SequenceSet())
            if found[1] not in stored:  # else it was counted before the interruption
                self._counts.stored += 1
                stored.add(found[1])
            return
        try:
            seen = self._mask(message) if self._mask is not None else None
            changed = self.options.edits.apply(message, seen)
            if changed is None:
                self._open.pop(position, None)
                self._counts.left_out += 1
                return
            subject = copy_subject(changed, self.options)
            headers = copy_headers(changed, subject, self.options, self.run_id)
        except ValueError as error:
            text = tr(
                "message {sequence}: {problem}", sequence=words.sequence(message.sequence), problem=error
            )
            self._settle(position, PublishError("invalid", text))
            return
        self._note_sequence(message.sequence)
        self._counts.sent += 1
        self._counts.sent_bytes += changed.size
        now = time.monotonic()
        if not self._recent or now - self._recent[-1][0] > 0.1:
            self._recent.append((now, self._counts.sent))
        if isinstance(publisher, FileTarget):
            await publisher.take(position, changed, subject, headers)
        else:
            await publisher.publish(position, subject, changed.payload, headers)

    def _note_sequence(self, sequence: int) -> None:
        first, last = self.first_sequence, self.last_sequence
        self.first_sequence = sequence if first is None else min(first, sequence)
        self.last_sequence = sequence if last is None else max(last, sequence)

    def _settle(self, position: int, result: Acknowledgement | PublishError) -> None:
        counts = self._counts
        self._open.pop(position, None)
        if isinstance(result, PublishError):
            counts.failed += 1
            counts.errors[result.kind] += 1
            counts.samples.setdefault(result.kind, str(result))
            limit = self.options.stop_after_errors
            if limit is not None and counts.failed >= limit and not self._reason:
                self._reason = tr_count(
                    "stopped after {count} error; the last: {problem}",
                    "stopped after {count} errors; the last: {problem}",
                    counts.failed,
                    count=words.integer(counts.failed),
                    problem=result,
                )
            return
        if result.stream:
            self.latencies.add(result.seconds)
        self._ack_seconds = (
            result.seconds if self._ack_seconds is None else self._ack_seconds * 0.9 + result.seconds * 0.1
        )
        if result.duplicate:
            counts.duplicates += 1
        else:
            counts.stored += 1
            if result.stream:  # nothing is stored in a station by writing a file
                self.stored_in.setdefault(result.stream, SequenceSet()).add(result.sequence)

    # -- pace --------------------------------------------------------------------------------------

    def _restart_pace(self) -> None:
        self._pace_start = time.monotonic()
        self._pace_sent = 0
        self._pace_bytes = 0
        self._pace_origin = None

    async def _wait_for_turn(self, message: InspectedMessage, publisher: Target) -> None:
        """Wait until this message is due by the rate or by the spacing of the originals."""
        while not self._cancelled:
            due = self._due(message)
            wait = due - time.monotonic()
            if wait < BURST_SECONDS:
                break
            if isinstance(publisher, DirectTarget):
                await publisher.drain()  # while there is nothing else to do
            await asyncio.sleep(min(wait, 0.1))  # short, so that a change of rate or a cancel takes hold
            await self._resumed.wait()
        self._pace_sent += 1
        self._pace_bytes += message.size

    def _due(self, message: InspectedMessage) -> float:
        due = self._pace_start
        if self._rate is not None:
            due = max(due, self._pace_start + self._pace_sent / self._rate)
        if self.options.bytes_rate is not None:
            due = max(due, self._pace_start + self._pace_bytes / self.options.bytes_rate)
        pace = self.options.original_pace
        if pace is not None:
            due = max(due, self._recorded_start(message) + self._since_origin(message) / pace)
        return due

    def _recorded_start(self, message: InspectedMessage) -> float:
        """When the message came, or comes, from which recorded pauses are counted: the first one.

        Subject by subject it is the first one of each subject, whose times lie before those of the last.
        """
        by_subject = self.options.order is ReplayOrder.SUBJECTS and message.subject != self._pace_subject
        if self._pace_origin is None or by_subject:
            begin = self._pace_origin is None and self._rate is not None
            self._pace_origin, self._pace_subject = message.time_ns, message.subject
            self._recorded_from = self._pace_start if begin else time.monotonic()
        return self._recorded_from

    def _since_origin(self, message: InspectedMessage) -> float:
        """Recorded seconds from the origin to a message, in the order of the run."""
        assert self._pace_origin is not None  # set before this is asked
        return (message.time_ns - self._pace_origin) / 1e9 * self.options.order.step
