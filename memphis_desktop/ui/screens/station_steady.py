"""Readings as they are shown: one that tells the same as the one before stays the object that it was.

Each second brings new snapshots, and most differ only in when they were read. What compares rows by identity
(models, caches) then has nothing to do, and nothing is painted.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import fields
from itertools import compress
from operator import attrgetter, is_not
from typing import Any, Generic, TypeVar

from memphis_desktop.cluster.model import ConsumerSnapshot, StreamSnapshot

Key = TypeVar("Key", bound=Hashable)
Asset = TypeVar("Asset", StreamSnapshot, ConsumerSnapshot)

_READ_AT = "read_at_ns"
_told_by: Mapping[type, Any] = {
    kind: attrgetter(*(field.name for field in fields(kind) if field.name != _READ_AT))
    for kind in (StreamSnapshot, ConsumerSnapshot)
}
Lag = tuple[int, float | None]


class Steady(Generic[Key, Asset]):
    """What is shown of many streams or consumers.

    Attributes:
        shown: By key, the rows to show.
        exact: Whether another time of reading makes a difference, because it is shown too.
        membership: Rises when something comes or goes.
    """

    def __init__(self) -> None:
        self.shown: dict[Key, Asset] = {}
        self.exact = False
        self.membership = 0
        self._read: Mapping[Key, Asset] = {}

    def take(self, read: Mapping[Key, Asset]) -> set[Key]:
        """Take what was read, and return the keys of what tells something else now, came or went."""
        before, shown = self._read, self.shown
        changed: set[Key] = set()
        if read is before:
            return changed
        self._read = read
        for key in _others(before, read):
            now = read[key]
            known = shown.get(key)
            if known is not None and not self.exact and tells_the_same(known, now):
                continue
            self.membership += known is None
            shown[key] = now
            changed.add(key)
        if len(shown) != len(read):
            self.membership += 1
            for key in shown.keys() - read.keys():
                del shown[key]
                changed.add(key)
        return changed


def _others(before: Mapping[Key, Asset], read: Mapping[Key, Asset]) -> Iterator[Key]:
    """The keys of what is another object than before, and some more where the order is another.

    Ten thousand are gone through each second, so no Python is run for those that are the same: an object
    never stands for two keys.
    """
    if len(before) != len(read):
        return (key for key, now in read.items() if before.get(key) is not now)
    return compress(read, map(is_not, before.values(), read.values()))


def tells_the_same(one: Asset, other: Asset) -> bool:
    """Whether two readings differ at most in when they were made."""
    tell = _told_by[type(one)]
    return bool(tell(one) == tell(other))


class WorstLags:
    """The largest lag of each stream's consumers, in messages and in seconds, kept up to date."""

    def __init__(self) -> None:
        self.of: dict[str, Lag] = {}
        self._read: Mapping[tuple[str, str], ConsumerSnapshot] = {}
        self._names: dict[str, list[tuple[str, str]]] = {}

    def take(self, consumers: Mapping[tuple[str, str], ConsumerSnapshot]) -> set[str]:
        """Take what was read, and return the streams whose worst lag is another now."""
        before = self._read
        if consumers is before:
            return set()
        self._read = consumers
        touched: set[str] = set()
        others = len(consumers) != len(before)
        for key in _others(before, consumers):
            old, now = before.get(key), consumers[key]
            if old is None:
                others = True
                break
            if old.num_pending != now.num_pending or old.lag_seconds != now.lag_seconds:
                touched.add(key[0])
        if others:
            self._names = {}
            for key in consumers:
                self._names.setdefault(key[0], []).append(key)
            touched = self._names.keys() | self.of.keys()
        return {stream for stream in touched if self._work_out(stream)}

    def _work_out(self, stream: str) -> bool:
        """Find a stream's worst lag; whether it is another than before."""
        worst: Lag | None = None
        for key in self._names.get(stream, ()):
            consumer = self._read[key]
            lag, seconds = worst or (0, None)
            if consumer.lag_seconds is not None:
                seconds = max(seconds or 0.0, consumer.lag_seconds)
            worst = (max(lag, consumer.num_pending), seconds)
        if worst == self.of.get(stream):
            return False
        if worst is None:
            del self.of[stream]
        else:
            self.of[stream] = worst
        return True
