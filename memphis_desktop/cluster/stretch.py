"""What was in a stretch of time, worked out from the recorded history: who lagged worst, what came in.

One pass over all series, meant for a thread: it makes way for others every few milliseconds. Averages are
over the time that is recorded, gaps left out; the worst of a stretch is that of the samples it has left,
which are means of ten seconds beyond an hour and of a minute beyond a day.
"""

from __future__ import annotations

import heapq
import time as _time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from .alert_preview import RECORDED, spans, subject_of
from .alerts import SIGNALS, Rule, Subject
from .history import ConsumerKey, FloatArray, History, SeriesKey, ServerKey, StreamKey, metrics_of
from .model import is_machinery

LINE_POINTS = 60  # of a small line
MOST_HELD = 200  # times that a rule held
_SLICE = 0.001  # seconds of work between two chances for the other threads


@dataclass(frozen=True, slots=True)
class Course:
    """One series within a stretch."""

    key: SeriesKey
    times: FloatArray
    rows: FloatArray

    def values(self, metric: str) -> FloatArray:
        """The values of a metric, with a NaN in each gap."""
        return self.rows[:, metrics_of(self.key).index(metric)]

    def mean(self, metric: str) -> float | None:
        """The average over the time that is known; None when nothing is."""
        values = self.values(metric)
        known = values[np.isfinite(values)]
        if not len(known):
            return None
        steps, middles = np.diff(self.times), (values[1:] + values[:-1]) / 2
        fit = np.isfinite(middles) & (steps > 0)
        whole = float(steps[fit].sum())
        return float((middles[fit] * steps[fit]).sum()) / whole if whole else float(known[-1])

    def seconds(self, metric: str) -> float:
        """The time that is known of a metric."""
        values = self.values(metric)
        return float(np.diff(self.times)[np.isfinite(values[1:]) & np.isfinite(values[:-1])].sum())

    def most(self, metric: str) -> float | None:
        """The largest value; None when nothing is known."""
        values = self.values(metric)
        return float(np.nanmax(values)) if np.isfinite(values).any() else None

    def ends(self, metric: str) -> tuple[float, float, float] | None:
        """The first and the last value that are known and the seconds between them; None without any."""
        known = np.flatnonzero(np.isfinite(self.values(metric)))
        if not len(known):
            return None
        first, last = known[0], known[-1]
        values = self.values(metric)
        return float(values[first]), float(values[last]), float(self.times[last] - self.times[first])

    def line(self, metric: str, start: float, end: float) -> FloatArray:
        """Values at even steps over the stretch, for a small line; NaN where nothing is known."""
        values = self.values(metric)
        if not len(values):
            return np.empty(0)
        grid = np.linspace(start, end, LINE_POINTS)
        after = np.clip(np.searchsorted(self.times, grid, side="left"), 0, len(values) - 1)
        sampled = np.interp(grid, self.times, values)
        before = np.maximum(after - 1, 0)
        broken = np.isnan(values[after]) | (np.isnan(values[before]) & (self.times[after] != grid))
        sampled[broken | (grid < self.times[0]) | (grid > self.times[-1])] = np.nan
        return sampled


@dataclass(frozen=True, slots=True)
class StretchLag:
    """How far behind a group was at its worst; ``change`` is by how much the lag rose, over ``seconds``."""

    stream: str
    name: str
    lag_seconds: float | None
    lag: float
    mean: float | None
    change: float
    seconds: float
    line: FloatArray = field(repr=False, compare=False, default_factory=lambda: np.empty(0))


@dataclass(frozen=True, slots=True)
class StretchStation:
    """What a station was given: averages a second, and how many messages that were."""

    name: str
    streams: tuple[str, ...]
    in_messages_rate: float
    in_bytes_rate: float | None
    messages: float
    line: FloatArray = field(repr=False, compare=False, default_factory=lambda: np.empty(0))


@dataclass(frozen=True, slots=True)
class StretchSign:
    """A figure of the connection as a whole."""

    mean: float | None
    most: float | None
    first: float | None
    last: float | None
    line: FloatArray = field(repr=False, compare=False, default_factory=lambda: np.empty(0))


@dataclass(frozen=True, slots=True)
class Held:
    """A time that a rule held, as the rule is now; ``value`` is the furthest beyond its threshold."""

    rule: Rule
    subject: Subject
    since: float
    until: float
    value: float

    @property
    def key(self) -> tuple[str, Subject, float]:
        """What tells it from others."""
        return self.rule.id, self.subject, self.since


@dataclass(frozen=True, slots=True)
class Survey:
    """All that an overview shows of a stretch.

    Attributes:
        start: Its beginning, in seconds since 1970.
        end: Its end.
        signs: By metric of the connection.
        lags: The worst first.
        stations: The busiest first.
        held: The latest first.
        groups: Of how many groups anything is recorded in it.
        took: Seconds of work.
    """

    start: float
    end: float
    signs: Mapping[str, StretchSign]
    lags: tuple[StretchLag, ...]
    stations: tuple[StretchStation, ...]
    held: tuple[Held, ...]
    groups: int
    took: float

    @property
    def recorded(self) -> bool:
        """Whether anything is known of the stretch."""
        return bool(self.stations or self.groups) or any(one.most is not None for one in self.signs.values())


def survey(
    history: History,
    start: float,
    end: float,
    rules: Sequence[Rule] = (),
    *,
    station_of: Callable[[str], str] = str,
    most_rows: int = 20,
) -> Survey:
    """Work out what was in a stretch of time.

    Args:
        history: Of the connection.
        start: Seconds since 1970.
        end: Seconds since 1970.
        rules: Of the alerts; those that are not recorded or not enabled are left out.
        station_of: Gives the station that a stream is part of.
        most_rows: How many groups and stations are told.
    """
    began = _time.perf_counter()
    surveyor = _Surveyor(history, start, end, rules, station_of)
    surveyor.look_at_all()
    return Survey(
        start,
        end,
        surveyor.signs(),
        surveyor.worst(most_rows),
        surveyor.busiest(most_rows),
        tuple(sorted(surveyor.held, key=lambda one: one.since, reverse=True)[:MOST_HELD]),
        len(surveyor.lags),
        _time.perf_counter() - began,
    )


class _Surveyor:
    def __init__(
        self,
        history: History,
        start: float,
        end: float,
        rules: Sequence[Rule],
        station_of: Callable[[str], str],
    ) -> None:
        self._history, self._start, self._end = history, start, end
        self._station_of = station_of
        self._rules: dict[type, list[tuple[Rule, str]]] = {}
        for rule in rules:
            if rule.enabled and rule.signal in RECORDED:
                kind, metric = RECORDED[rule.signal]
                self._rules.setdefault(kind, []).append((rule, metric))
        self.lags: list[StretchLag] = []
        self.stations: dict[str, list[tuple[str, float, float | None, float]]] = {}
        self.held: list[Held] = []

    def _course(self, key: SeriesKey) -> Course:
        return Course(key, *self._history.between(key, self._start, self._end))

    def look_at_all(self) -> None:
        """One pass over every series."""
        rested = _time.perf_counter()
        for key in self._history.keys():  # noqa: SIM118 (a method that copies them under the lock)
            if _time.perf_counter() - rested > _SLICE:
                _time.sleep(0.0005)  # the window's thread has work of its own
                rested = _time.perf_counter()
            if isinstance(key, ServerKey):
                if key == ServerKey():
                    self._look_for_alerts(self._course(key))
            elif not is_machinery(key.stream):
                course = self._course(key)
                if len(course.times):
                    self._look_at(course)
                    self._look_for_alerts(course)

    def _look_at(self, course: Course) -> None:
        key = course.key
        if isinstance(key, ConsumerKey):
            ends = course.ends("lag")
            if ends is not None:
                worst = course.most("lag") or 0.0
                first, last, seconds = ends
                found = (course.most("lag_seconds"), worst, course.mean("lag"), last - first, seconds)
                self.lags.append(StretchLag(key.stream, key.consumer, *found))
        elif isinstance(key, StreamKey):
            rate = course.mean("messages_in")
            if rate is not None:
                messages = rate * course.seconds("messages_in")
                part = (key.stream, rate, course.mean("bytes_in"), messages)
                self.stations.setdefault(self._station_of(key.stream), []).append(part)

    def _look_for_alerts(self, course: Course) -> None:
        for rule, metric in self._rules.get(type(course.key), ()):
            subject = subject_of(course.key)
            if not rule.matches(subject):
                continue
            values = course.values(metric)
            below = SIGNALS[rule.signal].below
            for first, last in spans(rule, course.times, values):
                worst = float(values[first:last].min() if below else values[first:last].max())
                until = float(course.times[min(last, len(values) - 1)])
                self.held.append(Held(rule, subject, float(course.times[first]), until, worst))

    def worst(self, most: int) -> tuple[StretchLag, ...]:
        """The groups that were furthest behind, with their lines."""
        behind = [one for one in self.lags if one.lag > 0]
        found = heapq.nlargest(most, behind, key=lambda one: (one.lag_seconds or 0.0, one.lag))
        return tuple(replace(one, line=self._lag_line(ConsumerKey(one.stream, one.name))) for one in found)

    def _lag_line(self, key: ConsumerKey) -> FloatArray:
        return self._course(key).line("lag", self._start, self._end)

    def busiest(self, most: int) -> tuple[StretchStation, ...]:
        """The stations that were given most, with their lines."""
        found = [
            StretchStation(
                name,
                tuple(part[0] for part in parts),
                sum(part[1] for part in parts),
                _total([part[2] for part in parts]),
                sum(part[3] for part in parts),
            )
            for name, parts in self.stations.items()
        ]
        busiest = heapq.nlargest(most, found, key=lambda one: one.in_messages_rate)
        return tuple(
            replace(one, line=self._added([StreamKey(stream) for stream in one.streams])) for one in busiest
        )

    def _added(self, keys: Sequence[SeriesKey]) -> FloatArray:
        lines = [self._course(key).line("messages_in", self._start, self._end) for key in keys]
        lines = [line for line in lines if len(line)]
        if len(lines) < 2:
            return lines[0] if lines else np.empty(0)
        table = np.array(lines)
        known = np.isfinite(table).any(axis=0)
        return np.where(known, np.nansum(table, axis=0), np.nan)

    def signs(self) -> dict[str, StretchSign]:
        """The figures of the connection as a whole."""
        course = self._course(ServerKey())
        found = {}
        for metric in metrics_of(ServerKey()):
            ends = course.ends(metric)
            first, last = (None, None) if ends is None else ends[:2]
            line = course.line(metric, self._start, self._end)
            found[metric] = StretchSign(course.mean(metric), course.most(metric), first, last, line)
        return found


def _total(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
