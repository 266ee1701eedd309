"""The dead letters of one connection: read while somebody looks, kept bounded, told as immutable views.

Three sources: advisories kept in the capture stream, advisories heard while this program runs and nothing
captures them, and stations whose names say that they hold dead letters. Nothing is consumed: all is read by
direct gets on a connection of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import operator
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import orjson

from memphis_desktop.inspect.connection import ReadConnection, ReadError
from memphis_desktop.inspect.message import Headers, InspectedMessage
from memphis_desktop.inspect.publishing import publish
from memphis_desktop.inspect.reader import MessageReader

from ..failures import ClusterError
from ..model import ClusterSnapshot, ConnectionState
from .capture import CAPTURE_STREAM, MARK_PREFIX, NOTHING_KNOWN, CaptureStatus, capture_status
from .letters import (
    UNREAD,
    DeadLetter,
    Failure,
    LetterKey,
    LetterKind,
    Original,
    Presence,
    Resent,
    describe,
    from_failures,
    from_station,
    parse_advisory,
)
from .names import DEFAULT_PATTERNS, station_matches
from .sources import LetterSource

if TYPE_CHECKING:
    from ..session import Session

log = logging.getLogger(__name__)

MAX_LETTERS = 5_000  # the newest; what is older is counted, not held: a list refreshes at once
MAX_ORIGINALS = 4_000  # messages looked up by themselves, the newest; others when they are looked at
MAX_STATION_LETTERS = 2_000  # of each dead-letter station
PAGE_ROWS = 500
PARALLEL = 24
SLICE_SECONDS = 0.004
TELL_SECONDS = 0.4  # between two views while messages are looked up
READERS = 64


@dataclass(frozen=True, slots=True)
class DeadLetterView:
    """What is known at one moment; never changes.

    Attributes:
        letters: The dead letters, the latest failure first.
        status: Whether advisories are captured.
        loading: Whether the first reading is still going on.
        problem: Why something could not be read; empty when all could.
        dropped: Letters that are older than what is held.
        stations: The dead-letter stations found.
        by_station: How many letters each station has.
    """

    letters: tuple[DeadLetter, ...] = ()
    status: CaptureStatus = NOTHING_KNOWN
    loading: bool = True
    problem: str = ""
    dropped: int = 0
    stations: tuple[str, ...] = ()
    by_station: Mapping[str, int] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.by_station is None:
            counted = Counter(letter.station for letter in self.letters)
            object.__setattr__(self, "by_station", counted)


Listener = Callable[[DeadLetterView], None]


class DeadLetters:
    """Finds the dead letters of a session. It reads only while somebody has `use`d it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._listeners: list[Listener] = []
        self._users = 0
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._connection: ReadConnection | None = None
        self._opening = asyncio.Lock()
        self._readers: OrderedDict[str, MessageReader] = OrderedDict()
        self._failures: dict[LetterKey, list[Failure]] = {}
        self._letters: dict[LetterKey, DeadLetter] = {}  # what the failures tell of, made when asked for
        self._of_message: dict[tuple[str, int], set[LetterKey]] = {}
        self._seen: set[str] = set()  # ids of advisories
        self._marks: dict[tuple[str, str, int], list[Resent]] = {}
        self._station_letters: dict[str, dict[int, DeadLetter]] = {}
        self._originals: OrderedDict[tuple[str, int], Original] = OrderedDict()
        self._read_to: dict[str, int] = {}  # capture stream or dead-letter station -> last sequence read
        self._deleted: dict[str, int] = {}
        self._state_read: dict[str, tuple[str, int, int, int]] = {}
        self._dropped = 0
        self._loaded = False
        self._problem = ""
        self._changed = False
        self._source: LetterSource | None = None
        self._release_source: Callable[[], None] | None = None
        self._looked: tuple[tuple[Any, ...], list[Any], CaptureStatus, list[str]] | None = None
        self.patterns: tuple[str, ...] = DEFAULT_PATTERNS
        self.view = DeadLetterView()
        session.subscribe(self._on_snapshot)
        session.subscribe_advisories(self._on_advisory)

    @property
    def status(self) -> CaptureStatus:
        """Whether advisories are captured, as the last snapshot tells."""
        return self._look(self._session.snapshot)[0]

    @property
    def source(self) -> LetterSource | None:
        """Who else keeps dead letters on this connection; None when nobody does."""
        return self._source if self._source is not None and self._source.available else None

    def set_source(self, source: LetterSource) -> None:
        """Show the letters that somebody else keeps, once there are any."""
        self._source = source
        source.subscribe(self._source_changed)

    def _source_changed(self) -> None:
        self._changed = True
        if self._users:
            self._publish()

    # Who looks

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with each new view; the result ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def use(self) -> Callable[[], None]:
        """Read, and go on reading, until the result is called."""
        self._users += 1
        self._ensure_running()
        if self._source is not None and self._release_source is None:
            self._release_source = self._source.use()
        released = False

        def release() -> None:
            nonlocal released
            if not released:
                released = True
                self._users -= 1
                if not self._users:
                    self._wake.set()
                    if self._release_source is not None:
                        self._release_source()
                        self._release_source = None

        return release

    async def close(self) -> None:
        """Read no more, whoever looks; the connection ends."""
        task, self._task = self._task, None
        if task is not None and not task.done():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._close()  # a message may have been asked for since

    def set_patterns(self, patterns: Iterable[str]) -> None:
        """Look for dead-letter stations by these names instead."""
        wanted = tuple(pattern.strip() for pattern in patterns if pattern.strip())
        if wanted != self.patterns:
            self.patterns = wanted
            self.refresh()

    def refresh(self) -> None:
        """Read again soon, as long as somebody looks."""
        self._state_read.clear()
        self._wake.set()

    def _ensure_running(self) -> None:
        if self._task is None or self._task.done():
            self._wake.set()
            self._task = asyncio.get_running_loop().create_task(self._run(), name="dead letters")

    # What comes in

    def _on_snapshot(self, snapshot: ClusterSnapshot) -> None:
        if self._users and snapshot.state is ConnectionState.CONNECTED:
            self._ensure_running()
            sources = self._sources(snapshot)
            if (
                not self._loaded
                or (self._failures and self.source is not None)
                or set(sources) != self._known_sources()
                or any(self._is_stale(snapshot, name) for name in sources)
            ):
                self._wake.set()
            elif self.view.status != self._look(snapshot)[0]:
                self._publish()

    def _known_sources(self) -> set[str]:
        return self._read_to.keys() | self._station_letters.keys()

    def _on_advisory(self, subject: str, advisory: Mapping[str, Any]) -> None:
        failure = parse_advisory(advisory)
        if failure is None or self.source is not None:
            return
        kept = self.status.stream_of(failure.kind)
        if kept is not None:
            if self._users:
                self._state_read.pop(kept, None)
                self._wake.set()
            return
        self._take(failure)
        self._wake.set()

    def _take(self, failure: Failure) -> None:
        """Note an advisory; told live first and captured later, it counts once."""
        known = self._failures.setdefault(failure.key, [])
        if failure.id and failure.id in self._seen:
            if failure.record:
                known[:] = [failure if one.id == failure.id else one for one in known]
                self._letters.pop(failure.key, None)
            return
        if failure.id:
            self._seen.add(failure.id)
        known.append(failure)
        self._of_message.setdefault((failure.stream, failure.sequence), set()).add(failure.key)
        self._touch(failure.key)

    def _touch(self, key: LetterKey) -> None:
        self._letters.pop(key, None)
        self._changed = True

    def _remove(self, key: LetterKey) -> list[Failure]:
        """Let go of a letter; returns its advisories."""
        failures = self._failures.pop(key, [])
        self._seen.difference_update(failure.id for failure in failures)
        if failures:
            message = (failures[0].stream, failures[0].sequence)
            keys = self._of_message.get(message, set())
            keys.discard(key)
            if not keys:
                self._of_message.pop(message, None)
            self._touch(key)
        return failures

    def _look(self, snapshot: ClusterSnapshot) -> tuple[CaptureStatus, list[str]]:
        """What captures advisories and where dead letters lie; looked for anew when configurations changed.

        Among thousands of streams that is much work for each snapshot, and unchanged configurations are the
        same objects in each.
        """
        configs = [stream.config for stream in snapshot.streams.values()]
        basis = (snapshot.complete, self.patterns, self.source is None)
        before = self._looked
        if (
            before is None
            or before[0] != basis
            or len(before[1]) != len(configs)
            or not all(map(operator.is_, before[1], configs))
        ):
            status = capture_status(snapshot)
            captured = status.streams if self.source is None else ()
            sources = [*captured, *self._dead_stations(snapshot, status)]
            before = self._looked = (basis, configs, status, sources)
        return before[2], before[3]

    def _sources(self, snapshot: ClusterSnapshot) -> list[str]:
        return self._look(snapshot)[1]

    def _dead_stations(self, snapshot: ClusterSnapshot, status: CaptureStatus) -> list[str]:
        capturing = {CAPTURE_STREAM, *status.streams}
        return [
            name
            for name, stream in snapshot.streams.items()
            if name not in capturing
            and station_matches(name, stream.config.get("subjects") or (), self.patterns)
        ]

    def _is_stale(self, snapshot: ClusterSnapshot, name: str) -> bool:
        return self._state_read.get(name) != _state_of(snapshot, name)

    # Reading

    async def _run(self) -> None:
        try:
            while self._users:
                await self._wake.wait()
                self._wake.clear()
                if not self._users or self._session.state is not ConnectionState.CONNECTED:
                    continue
                if not self._session.snapshot.complete and not self._session.snapshot.errors:
                    continue  # which streams there are is told by the next snapshots
                try:
                    await self._read_all()
                    self._problem = ""
                except (ReadError, ClusterError) as error:
                    self._problem = str(error)
                    await self._close()
                except Exception as error:
                    log.exception("reading dead letters failed")
                    self._problem = f"{type(error).__name__}: {error}"
                self._loaded = True
                self._publish()
        finally:
            await self._close()

    async def _close(self) -> None:
        connection, self._connection = self._connection, None
        self._readers.clear()
        if connection is not None:
            with contextlib.suppress(Exception):
                await connection.close()

    async def _read_all(self) -> None:
        snapshot = self._session.snapshot
        stations = self._dead_stations(snapshot, self._look(snapshot)[0])
        if self.source is not None:  # what was heard before that was known, it keeps as well
            for key in list(self._failures):
                self._remove(key)
        for gone in self._station_letters.keys() - set(stations):
            del self._station_letters[gone]
            self._forget_source(gone)
            self._changed = True
        kept = self._look(snapshot)[0].streams if self.source is None else ()
        for gone in [name for name in self._read_to if name not in kept and name not in stations]:
            self._forget_capture()
            self._forget_source(gone)
        for name in kept:
            if self._is_stale(snapshot, name):
                await self._read_capture(name)
                self._state_read[name] = _state_of(snapshot, name)
        for name in stations:
            if self._is_stale(snapshot, name):
                await self._read_station(name)
                self._state_read[name] = _state_of(snapshot, name)
        self._bound()
        if self._changed or not self._loaded:
            await self._build_letters()
            self._publish()
        await self._read_originals()
        await self._build_letters()

    def _forget_source(self, name: str) -> None:
        for table in (self._read_to, self._deleted, self._state_read, self._readers):
            table.pop(name, None)

    def _forget_capture(self) -> None:
        """Let go of everything captured; what was only heard stays."""
        for key, failures in list(self._failures.items()):
            self._keep(key, [failure for failure in failures if not failure.record], len(failures))
        self._marks.clear()
        self._letters.clear()
        self._changed = True
        self._dropped = 0

    async def _reader(self, stream: str) -> MessageReader:
        """Return a reader of a stream with fresh bounds; raises ReadError when there is no such stream."""
        async with self._opening:  # many may ask at once; one connection serves them all
            if self._connection is None or self._connection.closed:
                self._readers.clear()
                self._connection = await ReadConnection.like(
                    self._session.nats, "Memphis Desktop dead letters"
                )
        reader = self._readers.get(stream)
        if reader is None:
            reader = MessageReader(
                self._connection, stream, api_prefix=self._session.profile.api_prefix, cache_bytes=1 << 20
            )
            await reader.refresh()
            self._readers[stream] = reader
            while len(self._readers) > READERS:
                self._readers.popitem(last=False)
        self._readers.move_to_end(stream)
        return reader

    async def _read_capture(self, name: str) -> None:
        reader = await self._reader(name)
        bounds = await reader.refresh()
        done = self._read_to.get(name, 0)
        if bounds.last < done or bounds.deleted != self._deleted.get(name, bounds.deleted):
            self._forget_capture()  # made anew, or somebody removed something: read it once more
            done = 0
        self._deleted[name] = bounds.deleted
        self._forget_below(bounds.first)
        oldest = max(bounds.first, bounds.last - MAX_LETTERS + 1)
        self._dropped = max(0, oldest - bounds.first)
        position = max(done + 1, oldest)
        while position <= bounds.last:
            page = await reader.forward(position, PAGE_ROWS)
            started = time.perf_counter()
            for message in page.messages:
                self._take_captured(message)
                if time.perf_counter() - started > SLICE_SECONDS:
                    await asyncio.sleep(0)
                    started = time.perf_counter()
            position = page.last + 1
        self._read_to[name] = bounds.last
        reader.cache.clear()  # read once, never asked for again
        self._changed = True

    def _forget_below(self, first: int) -> None:
        for key, failures in list(self._failures.items()):
            left = [failure for failure in failures if not failure.record or failure.record >= first]
            self._keep(key, left, len(failures))

    def _keep(self, key: LetterKey, left: list[Failure], before: int) -> None:
        """Keep so many of a letter's advisories, or let go of it when none is left."""
        if not left:
            self._remove(key)
        elif len(left) != before:
            ids = {failure.id for failure in left}
            self._seen.difference_update(one.id for one in self._failures[key] if one.id not in ids)
            self._failures[key] = left
            self._touch(key)

    def _take_captured(self, message: InspectedMessage) -> None:
        try:
            contents = orjson.loads(message.payload)
        except orjson.JSONDecodeError:
            return
        if not isinstance(contents, dict):
            return
        if message.subject.startswith(MARK_PREFIX):
            self._take_mark(contents, message.time_ns)
            return
        failure = parse_advisory(contents, message.sequence)
        if failure is not None:
            self._take(failure)

    def _take_mark(self, contents: Mapping[str, Any], time_ns: int) -> None:
        try:
            key = (str(contents["stream"]), str(contents["consumer"]), int(contents["sequence"]))
            mark = Resent(
                time_ns,
                int(contents["attempt"]),
                str(contents.get("subject") or ""),
                str(contents.get("stored_stream") or ""),
                int(contents.get("stored_sequence") or 0),
            )
        except (KeyError, TypeError, ValueError):
            return
        self.note_resent(key, mark)

    def note_resent(self, key: tuple[str, str, int], mark: Resent) -> None:
        """Note that a copy of (stream, consumer, sequence) was sent; once for each attempt."""
        marks = self._marks.setdefault(key, [])
        if all((mark.attempt, mark.sequence) != (one.attempt, one.sequence) for one in marks):
            marks.append(mark)
            for letter in self._of_message.get((key[0], key[2]), ()):
                self._touch(letter)
            self._changed = True

    async def record_resent(self, letter: DeadLetter, copy: Resent) -> None:
        """Note a copy that was sent by hand, here and in the capture stream.

        Raises:
            PublishError: It could not be noted there.
        """
        self.note_resent((letter.stream, letter.consumer, letter.sequence), copy)
        self._publish()
        if self.status.marks:
            subject = f"{MARK_PREFIX}.{letter.stream}"
            await publish(self._session.nats, subject, mark_contents(letter, copy), Headers())

    async def _read_station(self, name: str) -> None:
        reader = await self._reader(name)
        bounds = await reader.refresh()
        letters = self._station_letters.setdefault(name, {})
        page_end = bounds.last
        found: dict[int, DeadLetter] = {}
        while page_end >= bounds.first and len(found) < MAX_STATION_LETTERS:
            page = await reader.backward(page_end, PAGE_ROWS)
            started = time.perf_counter()
            for message in page.messages:
                found[message.sequence] = letters.get(message.sequence) or from_station(message)
                if time.perf_counter() - started > SLICE_SECONDS:
                    await asyncio.sleep(0)
                    started = time.perf_counter()
            page_end = page.first - 1
        self._station_letters[name] = found
        self._read_to[name] = bounds.last
        reader.cache.clear()
        self._changed = True

    def _bound(self) -> None:
        excess = len(self._failures) - MAX_LETTERS
        if excess > 0:
            oldest = sorted(self._failures, key=lambda key: self._failures[key][-1].time_ns)[:excess]
            for key in oldest:
                self._remove(key)
            self._dropped += excess

    async def _read_originals(self) -> None:
        """Look up the messages that are not known yet, the latest letters first."""
        newest = sorted(self._failures.values(), key=lambda failures: -failures[-1].time_ns)[:MAX_ORIGINALS]
        wanted = list(
            dict.fromkeys(
                (failures[-1].stream, failures[-1].sequence)
                for failures in newest
                if (failures[-1].stream, failures[-1].sequence) not in self._originals
            )
        )
        told = time.monotonic()
        for start in range(0, len(wanted), PARALLEL):
            if not self._users:
                return
            batch = wanted[start : start + PARALLEL]
            for stream in {stream for stream, _ in batch}:
                with contextlib.suppress(ReadError):
                    await self._reader(stream)  # opened once, before many ask for it
            await asyncio.gather(*(self._look_up(stream, sequence) for stream, sequence in batch))
            if time.monotonic() - told > TELL_SECONDS:
                await self._build_letters()
                self._publish()
                told = time.monotonic()
        while len(self._originals) > 2 * MAX_LETTERS:
            self._originals.popitem(last=False)

    async def _look_up(self, stream: str, sequence: int) -> None:
        try:
            found = await self.find(stream, sequence)
        except ReadError as error:
            if error.code != 404:
                return  # it is asked for again
            original = Original(Presence.GONE, f"The station {stream} does not exist any more")
        else:
            original = self._describe(stream, sequence, found)
        self._set_original(stream, sequence, original)

    def _set_original(self, stream: str, sequence: int, original: Original) -> None:
        if self._originals.get((stream, sequence)) != original:
            self._originals[stream, sequence] = original
            for key in self._of_message.get((stream, sequence), ()):
                self._touch(key)

    def _describe(self, stream: str, sequence: int, message: InspectedMessage | None) -> Original:
        config = self._session.snapshot.streams.get(stream)
        if message is None:
            retention = str(config.config.get("retention")) if config is not None else ""
            if retention == "workqueue":
                return Original(Presence.GONE, "Removed from the queue: a terminated message leaves it")
            if retention == "interest":
                return Original(Presence.GONE, "Removed: every consumer was done with it")
            return Original(Presence.GONE, "Removed by the station's limits, a purge or a deletion")
        keys = self._of_message.get((stream, sequence), ())
        first = min((self._failures[key][0].time_ns for key in keys), default=message.time_ns)
        if message.time_ns > first:
            why = "The station was made anew: another message has this sequence now"
            return Original(Presence.GONE, why)
        return describe(message)

    async def find(self, stream: str, sequence: int) -> InspectedMessage | None:
        """Return a message as it is stored now, or None when it is gone; raises ReadError."""
        reader = await self._reader(stream)
        return await reader.message(sequence)

    async def message_of(self, letter: DeadLetter) -> InspectedMessage | None:
        """Return the whole message of a letter; None when it is gone, also when another took its sequence.

        Raises:
            ReadError: It cannot be read.
        """
        if letter.external:
            return await self._source.message_of(letter) if self._source is not None else None
        message = await self.find(letter.stream, letter.sequence)
        if letter.kind is not LetterKind.STATION:
            original = self._describe(letter.stream, letter.sequence, message)
            self._set_original(letter.stream, letter.sequence, original)
            self._publish()
            if original.presence is Presence.GONE:
                return None
        return message

    # Changes made here

    def forget(self, letters: Sequence[DeadLetter]) -> None:
        """Let go of letters that were dropped, before the next reading finds them gone."""
        for letter in letters:
            self._remove(letter.key)
            if letter.kind is LetterKind.STATION:
                self._station_letters.get(letter.stream, {}).pop(letter.sequence, None)
        for name in self.status.streams:
            # What was removed there is known already: no reason to read everything again.
            self._deleted.pop(name, None)
        self._changed = True
        self._publish()

    # Telling

    def _publish(self) -> None:
        """Hand a new view to the listeners, when anything is different."""
        snapshot = self._session.snapshot
        status = self._look(snapshot)[0]
        settled = (status, not self._loaded, self._problem)
        if not self._changed and settled == (self.view.status, self.view.loading, self.view.problem):
            return
        self._changed = False
        for key, failures in self._failures.items():
            if key not in self._letters:
                self._letters[key] = self._build(failures)
        self._forget_expired(snapshot)
        letters = [self._letters[key] for key in self._failures]
        for by_sequence in self._station_letters.values():
            for letter in by_sequence.values():
                marks = self._marks.get((letter.stream, letter.consumer, letter.sequence))
                letters.append(replace(letter, resent=tuple(marks)) if marks else letter)
        if self.source is not None:
            letters += self.source.letters()
        letters.sort(key=lambda letter: letter.failed_ns, reverse=True)
        self.view = DeadLetterView(
            tuple(letters),
            status,
            not self._loaded,
            self._problem,
            self._dropped,
            tuple(sorted(self._station_letters)),
        )
        for listener in tuple(self._listeners):
            try:
                listener(self.view)
            except Exception:
                log.exception("a listener failed on dead letters")

    async def _build_letters(self) -> None:
        """Make the letters that are missing, in slices; what is touched meanwhile is made when told."""
        started = time.perf_counter()
        for key in list(self._failures):
            failures = self._failures.get(key)
            if failures and key not in self._letters:
                self._letters[key] = self._build(failures)
                if time.perf_counter() - started > SLICE_SECONDS:
                    await asyncio.sleep(0)
                    started = time.perf_counter()

    def _build(self, failures: list[Failure]) -> DeadLetter:
        last = failures[-1]
        marks = self._marks.get((last.stream, last.consumer, last.sequence), ())
        return from_failures(
            failures, tuple(marks), self._originals.get((last.stream, last.sequence), UNREAD)
        )

    def _forget_expired(self, snapshot: ClusterSnapshot) -> None:
        """Messages below the first sequence of their station are gone: no reason to ask for them again."""
        for key, letter in self._letters.items():
            if letter.original.presence is Presence.THERE:
                stream = snapshot.streams.get(letter.stream)
                if stream is not None and stream.is_read and letter.sequence < stream.first_sequence:
                    why = "Removed by the station's limits since"
                    original = replace(letter.original, presence=Presence.GONE, why_gone=why)
                    self._originals[letter.stream, letter.sequence] = original
                    self._letters[key] = replace(letter, original=original)


def mark_contents(letter: DeadLetter, copy: Resent) -> bytes:
    """Return the note that a copy of a letter was sent, as it is kept in the capture stream."""
    return orjson.dumps(
        {
            "stream": letter.stream,
            "consumer": letter.consumer,
            "sequence": letter.sequence,
            "attempt": copy.attempt,
            "subject": copy.subject,
            "stored_stream": copy.stream,
            "stored_sequence": copy.sequence,
        }
    )


def _state_of(snapshot: ClusterSnapshot, name: str) -> tuple[str, int, int, int]:
    stream = snapshot.streams.get(name)
    if stream is None:
        return "", 0, 0, 0
    return stream.created, stream.first_sequence, stream.last_sequence, stream.deleted_count
