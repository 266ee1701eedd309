"""The history on disk: one SQLite file for each connection, so that graphs go on after a restart.

Means of minutes are kept for thirty days. A thread of its own does all reading and writing; the event loop
never waits for the disk. A stream or consumer that was deleted and made anew has another creation time, and
does not inherit the history of its namesake.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import re
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .history import (
    CONSUMER,
    LEVELS,
    MEMORY_BUDGET,
    SERVER,
    STREAM,
    ConsumerKey,
    FloatArray,
    History,
    SeriesKey,
    ServerKey,
    StreamKey,
)
from .raft import timeline_rows
from .raft.timeline import LeaderEvent

log = logging.getLogger(__name__)

VERSION = 1
KEEP_SECONDS = 30 * 86400.0
MAX_BYTES = 200 * 1024 * 1024
WRITE_EVERY = 10.0  # seconds
CLEAN_EVERY = 3600.0
CLOSE_TIMEOUT = 5.0
MANY_ROWS, FEW_ROWS = 43200, 600  # brought back of a series: all, or less when memory is short
_GAP = LEVELS[-1][2]
_METRICS = {"stream": STREAM, "consumer": CONSUMER, "server": SERVER}


@dataclass(slots=True)
class _Line:
    """What was written last of one series: a flat run is written as its two ends here too."""

    number: int
    time: float = float("-inf")
    row: bytes = b""
    held: tuple[float, FloatArray] | None = None
    held_joined: bool = False


@dataclass(slots=True)
class _Request:
    key: SeriesKey
    created: str


@dataclass(slots=True)
class _Watched:
    start: float
    end: float


@dataclass(slots=True)
class _Leaders:
    """The wish to have the kept leader events; `take` is called in the thread."""

    take: Callable[[list[LeaderEvent], list[tuple[float, float]]], None]


@dataclass(slots=True)
class _Sample:
    key: SeriesKey
    created: str
    time: float
    row: FloatArray = field(repr=False)


class HistoryStore:
    """Keeps a `History` in a file. Every method returns at once; the work is done in the thread.

    A file that cannot be used is put aside with a note in the log: a lost history harms nobody.
    """

    def __init__(
        self, path: Path, history: History, *, seconds: float = KEEP_SECONDS, most_bytes: int = MAX_BYTES
    ) -> None:
        """Keep `history` in the file `path`: for so many `seconds`, in at most so many bytes."""
        self.path = path
        self._seconds = seconds
        self._most_bytes = most_bytes
        self._history = history
        self._queue: queue.SimpleQueue[_Sample | _Request | _Watched | _Leaders | LeaderEvent | None] = (
            queue.SimpleQueue()
        )
        self._created: dict[SeriesKey, str] = {}
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)
        self._lines: dict[tuple[str, str, str, str], _Line] = {}

    def start(self) -> None:
        """Begin to keep what the history is told, also again after `close`; does nothing while it does."""
        if self._thread.is_alive():
            return
        if self._thread.ident is not None:  # closed meanwhile
            self._thread = threading.Thread(target=self._run, name="history", daemon=True)
        self._history.on_minute = self._take_minute
        self._thread.start()
        self.watch(ServerKey(), "")

    def watch(self, key: SeriesKey, created: str) -> None:
        """A stream or consumer is there: bring its earlier history, once, and keep what comes."""
        if self._created.get(key) != created:
            self._created[key] = created
            self._queue.put(_Request(key, created))

    def forget(self, key: SeriesKey) -> None:
        """A stream or consumer is gone; what is on disk stays until it is old."""
        self._created.pop(key, None)

    def read_leaders(self, take: Callable[[list[LeaderEvent], list[tuple[float, float]]], None]) -> None:
        """Have `take` called with the kept leader events and watched stretches, in the store's thread."""
        self._queue.put(_Leaders(take))

    def keep_leader_event(self, event: LeaderEvent) -> None:
        """Keep an event of the leader timeline, or replace it by one that knows its term."""
        self._queue.put(event)

    def keep_watched(self, start: float, end: float) -> None:
        """Note until when this run has watched who leads."""
        self._queue.put(_Watched(start, end))

    def _take_minute(self, key: SeriesKey, middle: float, row: FloatArray) -> None:
        created = self._created.get(key)
        if created is not None:
            self._queue.put(_Sample(key, created, middle, row.copy()))

    def close(self) -> None:
        """Keep the unfinished minute too and end; waits a few seconds at most. Call it off the event loop."""
        if not self._thread.is_alive():
            return
        for key, middle, row in self._history.unfinished_minutes():
            self._take_minute(key, middle, row)
        self._history.on_minute = None
        self._queue.put(None)
        self._thread.join(CLOSE_TIMEOUT)

    # In the thread

    def _run(self) -> None:
        try:
            connection = self._open()
        except (OSError, sqlite3.Error) as error:
            log.warning("the history in %s cannot be kept: %s", self.path, error)
            return
        try:
            with contextlib.closing(connection):
                self._work(connection)
        except sqlite3.Error as error:
            log.warning("the history in %s is not kept any more: %s", self.path, error)

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._drop_old_files()
        try:
            return self._prepare()
        except sqlite3.DatabaseError as error:
            aside = self.path.with_suffix(f".damaged-{int(time.time())}")
            log.warning("the history in %s is damaged (%s); put aside as %s", self.path, error, aside.name)
            self.path.replace(aside)
            return self._prepare()

    def _drop_old_files(self) -> None:
        """Remove the files of connections that were not used for so long that all in them is too old."""
        for path in self.path.parent.glob("*.sqlite*"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > 2 * KEEP_SECONDS:
                    path.unlink()

    def _prepare(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=2.0)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
            if connection.execute("PRAGMA user_version").fetchone()[0] not in (0, VERSION):
                raise sqlite3.DatabaseError("it was made by another version")
            with connection:
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS lines (number INTEGER PRIMARY KEY, kind TEXT NOT NULL,"
                    " stream TEXT NOT NULL, consumer TEXT NOT NULL, created TEXT NOT NULL,"
                    " UNIQUE (kind, stream, consumer, created))"
                )
                for kind, metrics in _METRICS.items():
                    columns = ", ".join(f"{metric} REAL" for metric in metrics)
                    connection.execute(
                        f"CREATE TABLE IF NOT EXISTS {kind}_minutes (line INTEGER NOT NULL,"
                        f" time REAL NOT NULL, joined INTEGER NOT NULL, {columns},"
                        " PRIMARY KEY (line, time)) WITHOUT ROWID"
                    )
                timeline_rows.prepare(connection)
                connection.execute(f"PRAGMA user_version={VERSION}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _work(self, connection: sqlite3.Connection) -> None:
        samples: list[_Sample] = []
        events: list[LeaderEvent] = []
        watched: _Watched | None = None
        written_at = time.monotonic()
        cleaned_at = float("-inf")
        running = True
        while running:
            wait = max(0.0, written_at + WRITE_EVERY - time.monotonic())
            try:
                item = self._queue.get(timeout=wait)
            except queue.Empty:
                item = _Sample(ServerKey(), "", 0.0, np.empty(0))  # only a tick
            if item is None:
                running = False
            elif isinstance(item, _Request):
                self._bring(connection, item)
            elif isinstance(item, _Leaders):
                item.take(*timeline_rows.read(connection, time.time() - self._seconds))
            elif isinstance(item, LeaderEvent):
                events.append(item)
            elif isinstance(item, _Watched):
                watched = item
            elif len(item.row):
                samples.append(item)
            if (events or watched) and (not running or time.monotonic() - written_at >= WRITE_EVERY):
                with connection:
                    timeline_rows.write(connection, events)
                    if watched is not None:
                        timeline_rows.write_watched(connection, (watched.start, watched.end))
                events.clear()
                watched = None
            if samples and (not running or time.monotonic() - written_at >= WRITE_EVERY):
                self._write(connection, samples)
                samples.clear()
            if time.monotonic() - written_at >= WRITE_EVERY:
                written_at = time.monotonic()
            if time.monotonic() - cleaned_at >= CLEAN_EVERY:
                self._clean(connection)
                cleaned_at = time.monotonic()
        self._write_held(connection)

    def _line(self, connection: sqlite3.Connection, key: SeriesKey, created: str) -> tuple[str, _Line]:
        kind, stream, consumer = _parts(key)
        name = (kind, stream, consumer, created)
        line = self._lines.get(name)
        if line is None:
            connection.execute(
                "INSERT OR IGNORE INTO lines (kind, stream, consumer, created) VALUES (?, ?, ?, ?)", name
            )
            number = connection.execute(
                "SELECT number FROM lines WHERE kind=? AND stream=? AND consumer=? AND created=?", name
            ).fetchone()[0]
            line = self._lines[name] = _Line(number)
        return kind, line

    def _write(self, connection: sqlite3.Connection, samples: list[_Sample]) -> None:
        with connection:
            for sample in samples:
                kind, line = self._line(connection, sample.key, sample.created)
                previous = line.held[0] if line.held is not None else line.time
                joined = sample.time - previous <= _GAP
                data = sample.row.tobytes()
                if joined and data == line.row:
                    line.held, line.held_joined = (sample.time, sample.row), True
                    continue
                if line.held is not None:
                    _insert(connection, kind, line.number, *line.held, line.held_joined)
                    line.held = None
                _insert(connection, kind, line.number, sample.time, sample.row, joined)
                line.time, line.row = sample.time, data

    def _write_held(self, connection: sqlite3.Connection) -> None:
        with connection:
            for name, line in self._lines.items():
                if line.held is not None:
                    _insert(connection, name[0], line.number, *line.held, line.held_joined)

    def _bring(self, connection: sqlite3.Connection, request: _Request) -> None:
        """Read what is kept of a series and give it to the history."""
        with connection:
            kind, line = self._line(connection, request.key, request.created)
        metrics = ", ".join(_METRICS[kind])
        limit = MANY_ROWS if self._history.nbytes < MEMORY_BUDGET / 2 else FEW_ROWS
        rows = connection.execute(
            f"SELECT time, joined, {metrics} FROM {kind}_minutes WHERE line=? AND time>?"
            " ORDER BY time DESC LIMIT ?",
            (line.number, time.time() - self._seconds, limit),
        ).fetchall()
        if not rows:
            return
        rows.reverse()
        table = np.array([[np.nan if v is None else v for v in row] for row in rows], dtype=np.float64)
        self._history.put_before(request.key, table[:, 0], table[:, 2:], table[:, 1] != 0)

    def _clean(self, connection: sqlite3.Connection) -> None:
        """Drop what is too old, then the oldest while the file is too large."""
        horizon = time.time() - self._seconds
        for _ in range(8):
            with connection:
                for kind in _METRICS:
                    connection.execute(f"DELETE FROM {kind}_minutes WHERE time<?", (horizon,))
                timeline_rows.clean(connection, horizon)
                self._drop_empty_lines(connection)
            connection.execute("PRAGMA incremental_vacuum").fetchall()
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            size = pages * connection.execute("PRAGMA page_size").fetchone()[0]
            if size <= self._most_bytes:
                return
            horizon += self._seconds / 8

    def _drop_empty_lines(self, connection: sqlite3.Connection) -> None:
        """Drop the names of series of which nothing is left, but for those of this run."""
        in_use = {line.number for line in self._lines.values()}
        empty = connection.execute(
            "SELECT number FROM lines WHERE number NOT IN (SELECT line FROM stream_minutes UNION"
            " SELECT line FROM consumer_minutes UNION SELECT line FROM server_minutes)"
        ).fetchall()
        connection.executemany(
            "DELETE FROM lines WHERE number=?", [row for row in empty if row[0] not in in_use]
        )


def _insert(
    connection: sqlite3.Connection, kind: str, line: int, moment: float, row: FloatArray, joined: bool
) -> None:
    values = [None if np.isnan(value) else float(value) for value in row]
    marks = ", ".join("?" * (len(values) + 3))
    connection.execute(
        f"INSERT OR REPLACE INTO {kind}_minutes VALUES ({marks})", (line, moment, int(joined), *values)
    )


def _parts(key: SeriesKey) -> tuple[str, str, str]:
    if isinstance(key, ConsumerKey):
        return "consumer", key.stream, key.consumer
    if isinstance(key, StreamKey):
        return "stream", key.stream, ""
    return "server", key.server, ""


def history_path(folder: Path, profile_id: str) -> Path:
    """Return the file of a connection's history below the data folder."""
    return folder / "history" / f"{re.sub(r'[^A-Za-z0-9_-]', '_', profile_id)}.sqlite"
