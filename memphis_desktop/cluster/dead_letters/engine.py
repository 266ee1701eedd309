"""The dead letters of one connection: read while somebody looks, kept bounded, told as immutable views.

Three sources: advisories kept in the capture stream, advisories heard while this program runs and nothing
captures them, and stations whose names say that they hold dead letters. Nothing is consumed: all is read by
direct gets. `failures` holds what advisories told, `originals` looks up the messages they are about.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import logging
import operator
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.message import Headers, InspectedMessage
from memphis_desktop.inspect.publishing import PublishError, publish
from memphis_desktop.language import tr, tr_count

from ..actions import Action, ActionRecord
from ..activity import identity
from ..failures import ClusterError
from ..model import ClusterSnapshot, ConnectionState
from .capture import CAPTURE_STREAM, NOTHING_KNOWN, CaptureStatus, capture_status
from .failures import SLICE_SECONDS, FailureTable
from .letters import DeadLetter, LetterKind, Note, Presence, Resent, from_station, parse_advisory
from .marks import (
    LONGEST_NOTE,
    NOTE_PREFIX,
    RESENT_PREFIX,
    LetterPlace,
    clean_tags,
    note_contents,
    place_of,
    resent_contents,
)
from .names import DEFAULT_PATTERNS, station_matches
from .originals import Originals
from .sources import LetterSource

if TYPE_CHECKING:
    from memphis_desktop.inspect.reader import MessageReader, StreamBounds

    from ..session import Session

log = logging.getLogger(__name__)

MAX_LETTERS = 5_000  # the newest; what is older is counted, not held: a list refreshes at once
MAX_ORIGINALS = 4_000  # messages looked up by themselves, the newest; others when they are looked at
MAX_STATION_LETTERS = 2_000  # of each dead-letter station
PAGE_ROWS = 500


class NotesNotKept(ClusterError):
    """There is nowhere to keep a note about a letter; the text says what to do."""


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
        self._originals = Originals(
            session, 2 * MAX_LETTERS, lambda stream, sequence: self._failures.first_failure(stream, sequence)
        )
        self._failures = FailureTable(self._originals)
        self._station_letters: dict[str, dict[int, DeadLetter]] = {}
        self._read_to: dict[str, int] = {}  # capture stream or dead-letter station -> last sequence read
        self._deleted: dict[str, int] = {}
        self._state_read: dict[str, tuple[str, int, int, int]] = {}
        self._dropped = 0
        self._reading_anew = False  # what was known of a capture stream is gone, and not yet back
        self._loaded = False
        self._problem = ""
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
        self._failures.changed = True
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
        await self._originals.close()  # a message may have been asked for since

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
                or (len(self._failures) and self.source is not None)
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
        self._failures.take(failure)
        self._wake.set()

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
                    await self._originals.close()
                except Exception as error:
                    log.exception("reading dead letters failed")
                    self._problem = f"{type(error).__name__}: {error}"
                self._loaded = True
                self._publish()
        finally:
            await self._originals.close()

    async def _read_all(self) -> None:
        snapshot = self._session.snapshot
        stations = self._dead_stations(snapshot, self._look(snapshot)[0])
        if self.source is not None:  # what was heard before that was known, it keeps as well
            self._failures.clear()
        for gone in self._station_letters.keys() - set(stations):
            del self._station_letters[gone]
            self._forget_source(gone)
            self._failures.changed = True
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
        self._dropped += self._failures.bound(MAX_LETTERS)
        if self._failures.changed or not self._loaded:
            await self._tell()
        await self._originals.look_up(
            self._failures.messages(MAX_ORIGINALS),
            self._failures.original_changed,
            self._tell,
            lambda: bool(self._users),
        )
        await self._failures.build()

    async def _tell(self) -> None:
        await self._failures.build()
        self._publish()

    def _forget_source(self, name: str) -> None:
        self._originals.forget_reader(name)
        for table in (self._read_to, self._deleted, self._state_read):
            table.pop(name, None)

    def _forget_capture(self) -> None:
        self._failures.forget_captured()
        self._dropped = 0

    async def _read_capture(self, name: str) -> None:
        reader = await self._originals.reader(name)
        bounds = await reader.refresh()
        done = self._read_to.get(name, 0)
        if bounds.last < done or bounds.deleted != self._deleted.get(name, bounds.deleted):
            self._forget_capture()  # made anew, or somebody removed something: read it once more
            done = 0
            self._reading_anew = True
        try:
            await self._read_captured(name, reader, bounds, done)
        finally:
            self._reading_anew = False

    async def _read_captured(self, name: str, reader: MessageReader, bounds: StreamBounds, done: int) -> None:
        """Read what a capture stream holds behind `done`."""
        self._deleted[name] = bounds.deleted
        self._failures.forget_below(bounds.first)
        oldest = max(bounds.first, bounds.last - MAX_LETTERS + 1)
        self._dropped = max(0, oldest - bounds.first)
        position = max(done + 1, oldest)
        while position <= bounds.last:
            page = await reader.forward(position, PAGE_ROWS)
            started = time.perf_counter()
            for message in page.messages:
                self._failures.take_captured(message)
                if time.perf_counter() - started > SLICE_SECONDS:
                    await asyncio.sleep(0)
                    started = time.perf_counter()
            position = page.last + 1
        self._read_to[name] = bounds.last
        reader.cache.clear()  # read once, never asked for again
        self._failures.changed = True

    # What is noted

    def note_resent(self, place: LetterPlace, copy: Resent) -> None:
        """Note that a copy of a letter was sent; once for each attempt."""
        self._failures.note_resent(place, copy)

    async def record_resent(self, letter: DeadLetter, copy: Resent) -> None:
        """Note a copy that was sent by hand, here and in the capture stream.

        Raises:
            PublishError: It could not be noted there.
        """
        self.note_resent(place_of(letter), copy)
        self._publish()
        if self.status.marks:
            subject = f"{RESENT_PREFIX}.{letter.stream}"
            await publish(self._session.nats, subject, resent_contents(letter, copy), Headers())

    def why_no_notes(self, letters: Iterable[DeadLetter]) -> str:
        """Return why nothing can be written about letters here; empty when it can."""
        if self._session.profile.read_only:
            return tr("This connection is read-only.")
        if all(letter.external for letter in letters) or self.status.notes:
            return ""
        if self.status.active:
            names = ", ".join(self.status.streams)
            return tr(
                "{streams} does not keep notes: it lacks the subject {subject}.",
                streams=names,
                subject=f"{NOTE_PREFIX}.>",
            )
        return tr(
            "Start capturing first: notes are kept with the captured failures, where colleagues see them."
        )

    async def write_note(self, letters: Sequence[DeadLetter], text: str, tags: Iterable[str]) -> None:
        """Write a note about letters where their state is kept; nothing takes a note back.

        Raises:
            NotesNotKept: There is nowhere to keep it.
            ClusterError: It was refused.
            PublishError: It was not stored.
        """
        self._session.require_writable()
        problem = self.why_no_notes(letters)
        if problem:
            raise NotesNotKept(problem)
        by = identity(self._session.profile) or _user_name()
        note = Note(text.strip()[:LONGEST_NOTE], clean_tags(tags), by, time.time_ns())
        external = [letter for letter in letters if letter.external]
        if external and self._source is not None:
            await self._source.write_note(external, note)
        own = [letter for letter in letters if not letter.external]
        if not own:
            return
        started, failure = time.monotonic(), ""
        try:
            for letter in own:
                subject = f"{NOTE_PREFIX}.{letter.stream}"
                await publish(self._session.nats, subject, note_contents(letter, note), Headers())
                self._failures.set_note(place_of(letter), note)
        except PublishError as error:
            failure = str(error)
            raise
        finally:
            streams = {letter.stream for letter in own}
            stream = streams.pop() if len(streams) == 1 else ""
            title = tr_count("Note about {count} dead letter", "Note about {count} dead letters", len(own))
            body = {"text": note.text, "tags": list(note.tags)}
            action = Action(title, "", body, "", stream, shown_as="(messages published)")
            seconds = time.monotonic() - started
            self._session.hand_on_action(ActionRecord(time.time_ns(), action, None, failure, seconds))
            self._publish()

    async def _read_station(self, name: str) -> None:
        reader = await self._originals.reader(name)
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
        self._failures.changed = True

    async def message_of(self, letter: DeadLetter) -> InspectedMessage | None:
        """Return the whole message of a letter; None when it is gone, also when another took its sequence.

        Raises:
            ReadError: It cannot be read.
        """
        if letter.external:
            return await self._source.message_of(letter) if self._source is not None else None
        message = await self._originals.find(letter.stream, letter.sequence)
        if letter.kind is not LetterKind.STATION:
            original = self._originals.described(letter.stream, letter.sequence, message)
            if self._originals.put(letter.stream, letter.sequence, original):
                self._failures.original_changed(letter.stream, letter.sequence)
            self._publish()
            if original.presence is Presence.GONE:
                return None
        return message

    # Changes made here

    def forget(self, letters: Sequence[DeadLetter]) -> None:
        """Let go of letters that were dropped, before the next reading finds them gone."""
        for letter in letters:
            self._failures.remove(letter.key)
            if letter.kind is LetterKind.STATION:
                self._station_letters.get(letter.stream, {}).pop(letter.sequence, None)
        for name in self.status.streams:
            # What was removed there is known already: no reason to read everything again.
            self._deleted.pop(name, None)
        self._failures.changed = True
        self._publish()

    # Telling

    def _publish(self) -> None:
        """Hand a new view to the listeners, when anything is different."""
        if self._reading_anew:
            return  # half of it would be shown as all there is; it is told when it is read
        snapshot = self._session.snapshot
        status = self._look(snapshot)[0]
        settled = (status, not self._loaded, self._problem)
        if not self._failures.changed and settled == (self.view.status, self.view.loading, self.view.problem):
            return
        self._failures.changed = False
        letters = list(self._failures.letters(snapshot))
        for by_sequence in self._station_letters.values():
            letters += self._failures.marked(by_sequence.values())
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


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""


def _state_of(snapshot: ClusterSnapshot, name: str) -> tuple[str, int, int, int]:
    stream = snapshot.streams.get(name)
    if stream is None:
        return "", 0, 0, 0
    return stream.created, stream.first_sequence, stream.last_sequence, stream.deleted_count
