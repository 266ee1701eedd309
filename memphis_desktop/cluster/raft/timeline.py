"""Who led what, when: the events of every group, and the stretches of leadership that follow from them.

An event is noted when an advisory tells of it, when two readings differ, or when a server falls silent.
Outside the stretches in which this console watched, nothing is known, unless a leader said since when it
leads. Times are seconds since 1970. No input or output here.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import Enum

from .model import GroupKey

KEPT_OF_A_GROUP = 500
KEPT = 50_000
SAME_MOMENT = 1.5  # an advisory and the next reading tell of one election
WATCH_JOIN = 30.0  # two stretches of watching closer than this are one


JOINED, LEFT = "joined", "left"  # words behind a name in what is kept; the window has its own
SERVER_GONE = "its server is gone"


class EventKind(Enum):
    """What happened to a group."""

    SEEN = "seen"  # this was so when the console began to look
    ELECTED = "elected"
    LEADER_LOST = "leader lost"
    QUORUM_LOST = "quorum lost"
    MEMBERS = "members changed"


@dataclass(frozen=True, slots=True)
class LeaderEvent:
    """One event.

    Attributes:
        time: When, in seconds since 1970.
        key: The group.
        kind: What.
        leader: Who leads from then on; empty for nobody.
        term: The Raft term, None when not known.
        text: Further words: who left, who came.
    """

    time: float
    key: GroupKey
    kind: EventKind
    leader: str = ""
    term: int | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch in which one server led; an empty leader means that nobody did."""

    start: float
    end: float
    leader: str
    term: int | None = None
    no_quorum: bool = False


class LeaderTimeline:
    """The events of all groups of a connection, bounded."""

    def __init__(self) -> None:
        self._events: dict[GroupKey, list[LeaderEvent]] = {}
        self._members: dict[GroupKey, frozenset[str]] = {}
        self._watched: list[tuple[float, float]] = []  # finished stretches, then the present one
        self._count = 0
        self._held: list[LeaderEvent] | None = None  # news that wait for what an earlier run kept
        self.version = 0  # rises with every change
        self.on_event: Callable[[LeaderEvent], None] | None = None

    # In

    def hold(self) -> None:
        """Let news wait until `load` or `release`, so that they are compared with what was kept."""
        self._held = []

    def release(self) -> None:
        """Take the news that waited."""
        held, self._held = self._held, None
        for event in held or ():
            self.note(event)

    def load(self, events: Iterable[LeaderEvent], watched: Iterable[tuple[float, float]]) -> None:
        """Put what an earlier run kept before what is known."""
        for event in events:
            self._keep(event)
        for stretch in watched:
            insort(self._watched, stretch)
        self._join_watched()
        self.version += 1
        self.release()

    def watch(self, start: float, end: float) -> None:
        """Note that the console saw everything from `start` to `end`."""
        if self._watched and start <= self._watched[-1][1] + WATCH_JOIN:
            self._watched[-1] = (self._watched[-1][0], max(end, self._watched[-1][1]))
        else:
            self._watched.append((start, end))

    def note(self, event: LeaderEvent) -> bool:
        """Take an event; False when it says nothing new."""
        if self._held is not None:
            self._held.append(event)
            return True
        latest = self.latest(event.key)
        if latest is not None and not self._is_news(event, latest):
            return False
        self._keep(event)
        self.version += 1
        if self.on_event is not None:
            self.on_event(event)
        return True

    @staticmethod
    def _is_news(event: LeaderEvent, latest: LeaderEvent) -> bool:
        if event.kind is EventKind.MEMBERS:
            return True
        near = abs(event.time - latest.time) <= SAME_MOMENT
        if event.kind is EventKind.SEEN:
            return event.leader != latest.leader or latest.kind is EventKind.QUORUM_LOST
        if event.kind is EventKind.ELECTED:
            again = latest.leader == event.leader and latest.kind is not EventKind.QUORUM_LOST
            return not (again and (near or event.time <= latest.time))
        return not (event.kind is latest.kind and not latest.leader)

    def note_members(self, key: GroupKey, members: frozenset[str], time: float, leader: str) -> None:
        """Take who belongs to a group; a difference to before becomes an event."""
        before = self._members.get(key)
        self._members[key] = members
        if before is None or before == members:
            return
        parts = [f"{name} {JOINED}" for name in sorted(members - before)]
        parts += [f"{name} {LEFT}" for name in sorted(before - members)]
        self.note(LeaderEvent(time, key, EventKind.MEMBERS, leader, None, ", ".join(parts)))

    def set_term(self, event: LeaderEvent, term: int) -> LeaderEvent | None:
        """Add the term to an event that was noted without; returns the new one, None when it is gone."""
        events = self._events.get(event.key, [])
        for index, present in enumerate(events):
            if present == event:
                events[index] = replace(event, term=term)
                self.version += 1
                return events[index]
        return None

    def forget(self, key: GroupKey) -> None:
        """A stream or consumer was deleted."""
        self._count -= len(self._events.pop(key, ()))
        self._members.pop(key, None)
        self.version += 1

    def _keep(self, event: LeaderEvent) -> None:
        events = self._events.setdefault(event.key, [])
        insort(events, event, key=lambda one: one.time)
        self._count += 1
        if len(events) > KEPT_OF_A_GROUP:
            del events[0]
            self._count -= 1
        if self._count > KEPT:
            oldest = min(self._events, key=lambda key: self._events[key][-1].time)
            self._count -= len(self._events.pop(oldest))

    def _join_watched(self) -> None:
        joined: list[tuple[float, float]] = []
        for start, end in self._watched:
            if joined and start <= joined[-1][1] + WATCH_JOIN:
                joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
            else:
                joined.append((start, end))
        self._watched = joined

    # Out

    def keys(self) -> list[GroupKey]:
        """Groups of which something is known."""
        return list(self._events)

    def latest(self, key: GroupKey) -> LeaderEvent | None:
        """The last event that says who leads."""
        for event in reversed(self._events.get(key, ())):
            if event.kind is not EventKind.MEMBERS:
                return event
        return None

    def events(self, key: GroupKey, start: float = 0.0, end: float = float("inf")) -> list[LeaderEvent]:
        """A group's events in a stretch of time."""
        return [event for event in self._events.get(key, ()) if start <= event.time <= end]

    def marks(self, key: GroupKey, start: float, end: float) -> list[LeaderEvent]:
        """The events worth a mark: elections, losses and changes of members."""
        return [event for event in self.events(key, start, end) if event.kind is not EventKind.SEEN]

    def all_events(self) -> list[LeaderEvent]:
        """Every event, by time."""
        return sorted((e for events in self._events.values() for e in events), key=lambda e: e.time)

    def last_change(self, key: GroupKey) -> float | None:
        """When the leader changed last; None when that was never seen."""
        for event in reversed(self._events.get(key, ())):
            if event.kind in (EventKind.ELECTED, EventKind.LEADER_LOST, EventKind.QUORUM_LOST):
                return event.time
        return None

    def segments(self, key: GroupKey, start: float, end: float) -> list[Segment]:
        """Who led in a stretch of time; what is not known is left out."""
        found: list[Segment] = []
        said = [event for event in self._events.get(key, ()) if event.kind is not EventKind.MEMBERS]
        for index, event in enumerate(said):
            until = said[index + 1].time if index + 1 < len(said) else self._known_until(end)
            if until <= start or event.time >= end:
                continue
            lost, before = event.kind is EventKind.QUORUM_LOST, len(found)
            for known_start, known_end in self._known(event, until):
                low, high = max(start, known_start), min(end, known_end)
                if high <= low:
                    continue
                if len(found) > before and found[-1].end == low:
                    low = found.pop().start  # said by the leader up to where it is watched: one stretch
                found.append(Segment(low, high, event.leader, event.term, lost))
        return found

    def _known_until(self, end: float) -> float:
        return self._watched[-1][1] if self._watched else end

    def _known(self, event: LeaderEvent, until: float) -> Iterable[tuple[float, float]]:
        """The parts of an event's stretch that are certain: watched, or said by the leader afterwards."""
        if event.kind is EventKind.SEEN:  # its time is since when it leads, by its own word
            seen = next((w for w in self._watched if w[1] >= event.time), None)
            if seen is not None and event.time < seen[0]:
                yield event.time, min(until, seen[0])
        for start, end in self._watched:
            low, high = max(start, event.time), min(end, until)
            if high > low:
                yield low, high
