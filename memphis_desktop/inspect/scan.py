"""Reading a whole range of a station and testing every message; runs in a process of its own.

The window and the local broker live in one process and one interpreter. A scan of millions of messages there
would hold both up, so it works elsewhere, over its own connection, and sends back what matched.
"""

from __future__ import annotations

import asyncio
import json
import signal
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from memphis_desktop.inspect.connection import ReadConnection, ReadError
from memphis_desktop.inspect.filter import Filter, FilterError, LazyMessage, parse_filter
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.reader import MessageReader, ReadingMethod

BATCH = 5_000
BATCH_BYTES = 8 << 20
PAGE = 1_000  # where the server cannot batch
REPORT_SECONDS = 0.2
MESSAGE_SECONDS = 0.1  # a filter that takes longer on one message is given up for that message
SLICE_SECONDS = 0.05  # commands are looked at this often
MAX_SAMPLES = 5

Matched = tuple[int, int, str, bytes, bytes]  # sequence, time, subject, header block, payload


@dataclass(frozen=True)
class ScanRequest:
    """What to scan and what to look for.

    Attributes:
        stream: The stream.
        first, last: Range of sequences, both inclusive.
        filter: The filter as typed.
        subject: Filtered by the server; joined with the filter's own subject pattern where it has one.
        newest_first: Go from the end to the beginning.
        max_matches: Stop after this many matches.
        max_scanned: Stop after this many messages, None without.
        max_bytes: Stop when what matched has this many bytes.
        api_prefix: Prefix of the JetStream API.
    """

    stream: str
    first: int
    last: int
    filter: str
    subject: str | None = None
    newest_first: bool = True
    max_matches: int = 10_000
    max_scanned: int | None = None
    max_bytes: int = 64 << 20
    api_prefix: str = "$JS.API"


@dataclass
class ScanState:
    """How far a scan is; sent back again and again."""

    scanned: int = 0
    scanned_bytes: int = 0
    matched: int = 0
    position: int = 0
    seconds: float = 0.0
    errors: Counter[str] = field(default_factory=Counter)
    samples: list[tuple[int, str]] = field(default_factory=list)


class _TooSlow(Exception):
    """The filter takes too long on the present message."""


class _Watch:
    """Raises in the middle of a filter that does not come to an end. Needs signals: not on Windows."""

    def __init__(self) -> None:
        self.current = -1
        self._last = -1
        self._usable = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()

    def __enter__(self) -> _Watch:
        if self._usable:
            signal.signal(signal.SIGALRM, self._tick)
            signal.setitimer(signal.ITIMER_REAL, MESSAGE_SECONDS, MESSAGE_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        if self._usable:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _tick(self, *_: object) -> None:
        if self.current >= 0 and self.current == self._last:
            raise _TooSlow
        self._last = self.current


class Scan:
    """One scan. `run` reports through `send(state, matches)`; the flags may be set from another thread."""

    def __init__(self, request: ScanRequest, send: Callable[[ScanState, list[Matched]], None]) -> None:
        self.request = request
        self.state = ScanState()
        self.paused = threading.Event()
        self.stopped = threading.Event()
        self.reason = ""
        self._send = send
        self._filter: Filter = parse_filter(request.filter)
        self._pending: list[Matched] = []
        self._matched_bytes = 0
        self._began = 0.0
        self._reported = 0.0
        self._watch = _Watch()

    async def run(self, connection: ReadConnection) -> str:
        """Scan; returns why it ended before the range did, or nothing.

        Raises:
            ReadError: the station cannot be read.
            FilterError: the filter is not understood.
        """
        request = self.request
        reader = MessageReader(connection, request.stream, api_prefix=request.api_prefix, cache_bytes=0)
        await reader.refresh()
        self._began = self._reported = time.monotonic()
        first, last = max(request.first, reader.bounds.first), min(request.last, reader.bounds.last)
        self.state.position = last if request.newest_first else first
        subject = self._server_subject()
        pages = _backwards if request.newest_first else _forwards
        try:
            with self._watch:
                async for messages, position in pages(reader, first, last, subject):
                    await self._test(messages)
                    self.state.position = position
                    self._report()
                    if self.reason or self.stopped.is_set():
                        break
                    while self.paused.is_set() and not self.stopped.is_set():
                        self._report(force=True)
                        await asyncio.sleep(SLICE_SECONDS)
        finally:
            self._report(force=True)
        return self.reason

    def _server_subject(self) -> str | None:
        """The subject the server filters by; with two of them, the other is tested here."""
        asked, own = self.request.subject, self._filter.subject
        if asked and own and asked != own:
            inner = self._filter.predicate
            narrowed = parse_filter(f'subject =~ "{own}"' if "*" in own or ">" in own else f"subject:{own}")
            test = narrowed.predicate if narrowed.subject is None else _subject_test(own)
            self._filter = Filter(
                self._filter.source, "both", lambda message: test(message) and inner(message)
            )
        return asked or own

    async def _test(self, messages: list[LazyMessage]) -> None:
        """Test a batch; long ones yield now and then, so that commands are heard."""
        predicate = self._filter.predicate
        watch = self._watch
        index, count = 0, len(messages)
        while index < count:
            try:
                until = time.monotonic() + SLICE_SECONDS
                while index < count:
                    message = messages[index]
                    watch.current = index
                    if predicate(message):
                        self._match(message)
                        if self.reason:
                            watch.current = -1
                            self._count(messages[: index + 1])
                            return
                    index += 1
                    if not index & 255 and time.monotonic() > until:
                        break
            except _TooSlow:
                self._error(messages[index], f"took longer than {MESSAGE_SECONDS:g} s")
                index += 1
            except FilterError as error:
                self._error(messages[index], str(error))
                index += 1
            except (ValueError, TypeError, RecursionError, OverflowError) as error:
                self._error(messages[index], f"{type(error).__name__}: {error}"[:200])
                index += 1
            watch.current = -1
            if index < count:
                self._report()
                await asyncio.sleep(0)
                if self.stopped.is_set():
                    self._count(messages[:index])
                    return
        self._count(messages)

    def _count(self, messages: list[LazyMessage]) -> None:
        state = self.state
        state.scanned += len(messages)
        state.scanned_bytes += sum(len(message.payload) for message in messages)
        limit = self.request.max_scanned
        if limit is not None and state.scanned >= limit and not self.reason:
            self.reason = f"stopped after {state.scanned} messages, as asked"

    def _match(self, message: LazyMessage) -> None:
        found = message.message()
        self.state.matched += 1
        self._pending.append(
            (found.sequence, found.time_ns, found.subject, found.header_bytes, found.payload)
        )
        self._matched_bytes += found.size
        if self.state.matched >= self.request.max_matches:
            self.reason = f"stopped after {self.state.matched} matches, as asked"
        elif self._matched_bytes >= self.request.max_bytes:
            self.reason = f"stopped: the matches have {self._matched_bytes >> 20} MiB together"

    def _error(self, message: LazyMessage, text: str) -> None:
        state = self.state
        state.errors[text if len(state.errors) < 50 else "other"] += 1
        if len(state.samples) < MAX_SAMPLES:
            state.samples.append((message.sequence, text))

    def _report(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if not force and now - self._reported < REPORT_SECONDS:
            return
        self._reported = now
        self.state.seconds = now - self._began
        matches, self._pending = self._pending, []
        self._send(self.state, matches)


def _subject_test(pattern: str) -> Callable[[LazyMessage], bool]:
    return lambda message: message.subject == pattern


async def _batch(reader: MessageReader, start: int, count: int, subject: str | None) -> list[Any]:
    body = {"seq": start, "batch": count, "max_bytes": BATCH_BYTES, "next_by_subj": subject or ">"}
    answers = await reader.connection.gather(
        f"{reader.api_prefix}.DIRECT.GET.{reader.stream}", json.dumps(body).encode(), timeout=reader.timeout
    )
    header, payload = answers[-1]
    if header.startswith(b"NATS/1.0 ") and not payload:
        answers.pop()
        if header.startswith(b"NATS/1.0 503"):
            raise ReadError(503, 0, "direct gets are not allowed")
    stream = reader.stream
    return [LazyMessage(header, payload, stream) for header, payload in answers]


def _lazy(messages: tuple[InspectedMessage, ...]) -> list[LazyMessage]:
    return [LazyMessage.of(message) for message in messages]


async def _forwards(
    reader: MessageReader, first: int, last: int, subject: str | None
) -> AsyncIterator[tuple[list[LazyMessage], int]]:
    """Yield batches oldest first, with how far each reaches; the next travels while one is tested."""
    if reader.method is not ReadingMethod.BATCH:
        position = first
        while position <= last:
            page = await reader.forward(position, PAGE, subject)
            yield [m for m in _lazy(page.messages) if m.sequence <= last], min(page.last, last)
            position = page.last + 1
            if page.last < page.first:
                return
        return
    pending = asyncio.ensure_future(_batch(reader, first, BATCH, subject))
    try:
        while True:
            messages = await pending
            if not messages:
                yield [], last
                return
            end = messages[-1].sequence
            if end < last:
                pending = asyncio.ensure_future(_batch(reader, end + 1, BATCH, subject))
            else:
                messages = [message for message in messages if message.sequence <= last]
            yield messages, min(end, last)
            if end >= last:
                return
    finally:
        pending.cancel()


async def _backwards(
    reader: MessageReader, first: int, last: int, subject: str | None
) -> AsyncIterator[tuple[list[LazyMessage], int]]:
    """Yield batches newest first, each one reversed."""
    if reader.method is not ReadingMethod.BATCH:
        position = last
        while position >= first:
            page = await reader.backward(position, PAGE, subject)
            messages = [m for m in _lazy(page.messages) if m.sequence >= first]
            messages.reverse()
            yield messages, max(page.first, first)
            position = page.first - 1
        return
    width = max(BATCH, round(BATCH / reader.bounds.density))
    windows = _Windows(first, last, width)
    start, end = windows.next()
    pending = asyncio.ensure_future(_window(reader, start, end, subject))
    try:
        while True:
            messages = await pending
            windows.adapt(len(messages))
            here, more = start, start > first
            if more:
                start, end = windows.next()
                pending = asyncio.ensure_future(_window(reader, start, end, subject))
            messages.reverse()
            yield messages, here
            if not more:
                return
    finally:
        pending.cancel()


class _Windows:
    """Stretches of sequences from the end to the beginning, wider where few messages match."""

    def __init__(self, first: int, last: int, width: int) -> None:
        self.first = first
        self.end = last
        self.width = width

    def next(self) -> tuple[int, int]:
        start, end = max(self.first, self.end - self.width + 1), self.end
        self.end = start - 1
        return start, end

    def adapt(self, found: int) -> None:
        if found < BATCH // 4:
            self.width *= 2
        elif found > BATCH * 2 and self.width > BATCH:
            self.width //= 2


async def _window(reader: MessageReader, start: int, end: int, subject: str | None) -> list[LazyMessage]:
    messages: list[LazyMessage] = []
    position = start
    while position <= end:
        # Never ask for more than fits: what lies beyond the window would be read twice.
        part = await _batch(reader, position, min(BATCH, end - position + 1), subject)
        if not part:
            break
        last = part[-1].sequence
        messages += part if last <= end else [message for message in part if message.sequence <= end]
        position = last + 1
    return messages
