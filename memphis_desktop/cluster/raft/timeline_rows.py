"""The leader timeline as rows of the history's SQLite file. Used in the thread of `HistoryStore` only."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from .model import GroupKey, GroupKind
from .timeline import KEPT, EventKind, LeaderEvent

Watched = tuple[float, float]


def prepare(connection: sqlite3.Connection) -> None:
    """Make the tables when they are not there."""
    connection.execute(
        "CREATE TABLE IF NOT EXISTS leader_events (time REAL NOT NULL, kind TEXT NOT NULL,"
        " stream TEXT NOT NULL, consumer TEXT NOT NULL, account TEXT NOT NULL, event TEXT NOT NULL,"
        " leader TEXT NOT NULL, term INTEGER, text TEXT NOT NULL,"
        " PRIMARY KEY (time, kind, stream, consumer, account, event)) WITHOUT ROWID"
    )
    connection.execute(
        "CREATE TABLE IF NOT EXISTS leader_watched (start REAL PRIMARY KEY, finish REAL NOT NULL)"
    )


def write(connection: sqlite3.Connection, events: Iterable[LeaderEvent]) -> None:
    """Add events; the same one again (with its term now) replaces the old row."""
    connection.executemany(
        "INSERT OR REPLACE INTO leader_events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                event.time,
                event.key.kind.value,
                event.key.stream,
                event.key.consumer,
                event.key.account,
                event.kind.value,
                event.leader,
                event.term,
                event.text,
            )
            for event in events
        ],
    )


def write_watched(connection: sqlite3.Connection, watched: Watched) -> None:
    """Note until when this run has watched."""
    connection.execute("INSERT OR REPLACE INTO leader_watched VALUES (?, ?)", watched)


def read(connection: sqlite3.Connection, since: float) -> tuple[list[LeaderEvent], list[Watched]]:
    """What is kept from a moment on, oldest first; of very many events the newest."""
    rows = connection.execute(
        "SELECT time, kind, stream, consumer, account, event, leader, term, text FROM leader_events"
        " WHERE time>? ORDER BY time DESC LIMIT ?",
        (since, KEPT),
    ).fetchall()
    events: list[LeaderEvent] = []
    for time, kind, stream, consumer, account, event, leader, term, text in reversed(rows):
        try:
            key = GroupKey(GroupKind(kind), stream, consumer, account)
            events.append(LeaderEvent(time, key, EventKind(event), leader, term, text))
        except ValueError:
            continue  # of a later version of this program
    watched = connection.execute(
        "SELECT start, finish FROM leader_watched WHERE finish>? ORDER BY start", (since,)
    ).fetchall()
    return events, [(float(start), float(finish)) for start, finish in watched]


def clean(connection: sqlite3.Connection, horizon: float) -> None:
    """Drop what is older than `horizon`."""
    connection.execute("DELETE FROM leader_events WHERE time<?", (horizon,))
    connection.execute("DELETE FROM leader_watched WHERE finish<?", (horizon,))
