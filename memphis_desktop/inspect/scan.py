"""Reading a whole range of a station and testing every message; runs in a process of its own.

The window and the local broker live in one process and one interpreter. A scan of millions of messages there
would hold both up, so it works elsewhere, over its own connection, and sends back what matched.
"""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from memphis_desktop.inspect.connection import ReadConnection
from memphis_desktop.inspect.filter import Filter, FilterError, LazyMessage, parse_filter
from memphis_desktop.inspect.mask import Masking
from memphis_desktop.inspect.reader import MessageReader
from memphis_desktop.inspect.scan_reading import Batch, read_batches
from memphis_desktop.language import tr, tr_count

REPORT_SECONDS = 0.2
MESSAGE_SECONDS = 0.1  # a filter that takes longer on one message is given up for that message
SLICE_SECONDS = 0.005  # after so long in one batch, commands are heard and the next requests sent
PAUSE_SECONDS = 0.05
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
        payloads: Whether headers and payloads of the matches are sent back; without, only where they are.
        masking: What is hidden, which no filter may find.
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
    payloads: bool = True
    masking: Masking | None = None


@dataclass
class ScanState:
    """How far a scan is; sent back again and again."""

    scanned: int = 0
    scanned_bytes: int = 0
    matched: int = 0
    matched_bytes: int = 0
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
        self._mask = request.masking.masker().mask if request.masking is not None else None
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
        reading = read_batches(reader, first, last, subject, newest_first=request.newest_first)
        try:
            with self._watch:
                async for batch, position in reading:
                    await self._test(batch)
                    self.state.position = position
                    self._report()
                    if self.reason or self.stopped.is_set():
                        break
                    while self.paused.is_set() and not self.stopped.is_set():
                        self._report(force=True)
                        await asyncio.sleep(PAUSE_SECONDS)
        finally:
            await reading.aclose()
            self._report(force=True)
        return self.reason

    def _server_subject(self) -> str | None:
        """The subject the server filters by; with two of them, the other is tested here."""
        asked, own = self.request.subject, self._filter.subject
        if asked and own and asked != own:
            inner = self._filter.predicate
            narrowed = parse_filter(f'subject =~ "{own}"' if "*" in own or ">" in own else f"subject:{own}")
            test = narrowed.predicate if narrowed.subject is None else _subject_test(own)
            self._filter = replace(
                self._filter, kind="both", predicate=lambda message: test(message) and inner(message)
            )
        return asked or own

    async def _test(self, batch: Batch) -> None:
        """Test a batch; long ones yield now and then, so that commands are heard."""
        watch = self._watch
        predicate = self._filter.predicate
        until = time.monotonic() + SLICE_SECONDS
        for tested, (index, message) in enumerate(batch.select(self._filter.needle), 1):
            watch.current = index
            try:
                matches = predicate(message if self._mask is None else self._masked(message))
            except _TooSlow:
                matches = self._error(
                    message, tr("took longer than {message_seconds:g} s", message_seconds=MESSAGE_SECONDS)
                )
            except FilterError as error:
                matches = self._error(message, str(error))
            except (ValueError, TypeError, RecursionError, OverflowError) as error:
                matches = self._error(message, f"{type(error).__name__}: {error}"[:200])
            watch.current = -1
            if matches:
                self._match(message)
                if self.reason:
                    self._count(batch, index + 1)
                    return
            if not tested & 63 and time.monotonic() > until:
                self._report()
                await asyncio.sleep(0)
                if self.stopped.is_set():
                    self._count(batch, index + 1)
                    return
                until = time.monotonic() + SLICE_SECONDS
        self._count(batch, batch.count)

    def _count(self, batch: Batch, count: int) -> None:
        state = self.state
        state.scanned += count
        state.scanned_bytes += batch.payload_bytes(count)
        limit = self.request.max_scanned
        if limit is not None and state.scanned >= limit and not self.reason:
            self.reason = tr_count(
                "stopped after {count} messages, as asked",
                "stopped after {count} messages, as asked",
                state.scanned,
            )

    def _match(self, message: LazyMessage) -> None:
        found = message.message()
        state, request = self.state, self.request
        state.matched += 1
        state.matched_bytes += found.size
        content = (found.header_bytes, found.payload) if request.payloads else (b"", b"")
        self._pending.append((found.sequence, found.time_ns, found.subject, *content))
        if state.matched >= request.max_matches:
            self.reason = tr_count(
                "stopped after {count} matches, as asked",
                "stopped after {count} matches, as asked",
                state.matched,
            )
        elif request.payloads and state.matched_bytes >= request.max_bytes:
            self.reason = tr(
                "stopped: the matches have {size} MiB together",
                size=state.matched_bytes >> 20,
            )

    def _masked(self, message: LazyMessage) -> LazyMessage:
        """What of a message may be seen; what may not is not found either."""
        assert self._mask is not None
        whole = message.message()
        seen = self._mask(whole)
        return message if seen is whole else LazyMessage.of(seen)

    def _error(self, message: LazyMessage, text: str) -> bool:
        """Note that a message could not be tested; it does not match."""
        state = self.state
        state.errors[text if len(state.errors) < 50 else "other"] += 1
        if len(state.samples) < MAX_SAMPLES:
            state.samples.append((message.sequence, text))
        return False

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
