"""What the figures were: bounded series of every stream, consumer and server seen, for graphs and trends.

Each series holds its last hour as it was read (about one sample a second), its last day in means of ten
seconds and its last month in means of a minute; the last are kept on disk by `history_store`. A run of equal
values is kept as its two ends, so thousands of quiet streams cost next to nothing; busy ones share a budget
of memory, and what is looked at goes first. Times are seconds since 1970.
"""

from __future__ import annotations

import threading
import time as _time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

FINE_SPAN = 3600.0
FINE_CAPACITY = 3600
COARSE_STEP = 10.0
MINUTE = 60.0
# Means are taken over these many seconds, so many of them are kept, and further apart they are not joined.
LEVELS = ((COARSE_STEP, 8640, 60.0), (MINUTE, 43200, 180.0))
FIRST_CAPACITY = 16
SHRUNK_CAPACITY = 64
# Two readings further apart than this are not joined: nobody knows what happened between.
FINE_GAP = 30.0
MEMORY_BUDGET = 128 * 1024 * 1024

STREAM = ("messages_in", "bytes_in", "messages_out", "messages", "bytes")
CONSUMER = ("lag", "lag_seconds", "ack_pending", "redelivered", "waiting", "delivered_rate", "acked_rate")
SERVER = (
    "published",
    "delivered",
    "messages_in",
    "messages_out",
    "bytes_in",
    "bytes_out",
    "bytes_published",
    "connections",
    "storage",
    "api_errors_rate",
    "slow_consumers",
    "rtt",
)


class StreamKey(NamedTuple):
    """A stream's series."""

    stream: str


class ConsumerKey(NamedTuple):
    """A consumer's series."""

    stream: str
    consumer: str


class ServerKey(NamedTuple):
    """The series of the connection as a whole (an empty name), or of one server."""

    server: str = ""


SeriesKey = StreamKey | ConsumerKey | ServerKey
# What is told of each minute's mean: the key, the middle of the minute, the values.
MinuteListener = Callable[["SeriesKey", float, FloatArray], None]

_METRICS: dict[type, tuple[str, ...]] = {StreamKey: STREAM, ConsumerKey: CONSUMER, ServerKey: SERVER}


class _Ring:
    """Samples in time order in a ring that grows up to its capacity and then forgets the oldest."""

    __slots__ = ("capacity", "count", "gap", "joined", "start", "times", "values")

    def __init__(self, width: int, capacity: int, gap: float) -> None:
        self.capacity = capacity
        self.gap = gap
        self.start = 0
        self.count = 0
        self.times: FloatArray = np.empty(FIRST_CAPACITY)
        self.values: FloatArray = np.empty((FIRST_CAPACITY, width))
        self.joined: npt.NDArray[np.bool_] = np.empty(FIRST_CAPACITY, dtype=bool)

    @property
    def nbytes(self) -> int:
        return self.times.nbytes + self.values.nbytes + self.joined.nbytes

    def append(self, time: float, row: FloatArray, grow: Callable[[int], bool]) -> None:
        size = len(self.times)
        if self.count:
            last = (self.start + self.count - 1) % size
            near = time - self.times[last] <= self.gap
            if self.count > 1 and near and self.joined[last] and _equal(self.values[last], row):
                before = (last - 1) % size
                if _equal(self.values[before], row):
                    self.times[last] = time  # the flat run goes on
                    return
        else:
            near = False
        if self.count == size and size < self.capacity:
            larger = min(2 * size, self.capacity)
            if grow(self.nbytes // size * (larger - size)):
                self._resize(larger)
                size = larger
        position = (self.start + self.count) % size
        if self.count == size:
            self.start = (self.start + 1) % size
        else:
            self.count += 1
        self.times[position] = time
        self.values[position] = row
        self.joined[position] = near

    def _resize(self, size: int) -> None:
        order = self._order()
        for name in ("times", "values", "joined"):
            old = getattr(self, name)
            new = np.empty((size, *old.shape[1:]), dtype=old.dtype)
            new[: self.count] = old[order]
            setattr(self, name, new)
        self.start = 0

    def _order(self) -> npt.NDArray[np.intp]:
        return (np.arange(self.count) + self.start) % len(self.times)

    @property
    def newest(self) -> float:
        return float(self.times[(self.start + self.count - 1) % len(self.times)])

    def hold(self, times: FloatArray, values: FloatArray, joined: npt.NDArray[np.bool_]) -> None:
        """Hold just these samples, the newest of them when there are too many."""
        self.count = min(len(times), self.capacity)
        self.start = 0
        size = max(FIRST_CAPACITY, self.count)
        for name, given in (("times", times), ("values", values), ("joined", joined)):
            kept = given[len(given) - self.count :]
            new = np.empty((size, *given.shape[1:]), dtype=given.dtype)
            new[: self.count] = kept
            setattr(self, name, new)

    def slice(self, column: int | slice, since: float) -> tuple[FloatArray, FloatArray]:
        """Return times and values from `since`, with a NaN before each sample that begins after a gap.

        Values are those of a column, or rows of several.
        """
        if not self.count:
            return np.empty(0), self.values[:0, column]
        order = self._order()
        times = self.times[order]
        first = int(np.searchsorted(times, since))
        enters = first > 0 and first < self.count and bool(self.joined[order[first]])
        if enters:
            first -= 1  # the flat run or the line that comes into the range
        order, times = order[first:], times[first:]
        values = self.values[order, column]
        if enters:  # begin where the range does
            share = (since - times[0]) / (times[1] - times[0])
            values[0] += share * (values[1] - values[0])
            times[0] = since
        breaks = np.flatnonzero(~self.joined[order])
        breaks = breaks[breaks > 0]
        if len(breaks):
            times = np.insert(times, breaks, times[breaks])
            values = np.insert(values, breaks, np.nan, axis=0)
        return times, values

    def shrink(self) -> None:
        """Give memory back: keep only the newest samples."""
        if len(self.times) <= SHRUNK_CAPACITY:
            return
        keep = min(self.count, SHRUNK_CAPACITY)
        order = self._order()[self.count - keep :]
        for name in ("times", "values", "joined"):
            old = getattr(self, name)
            new = np.empty((SHRUNK_CAPACITY, *old.shape[1:]), dtype=old.dtype)
            new[:keep] = old[order]
            setattr(self, name, new)
        self.start, self.count = 0, keep


def metrics_of(key: SeriesKey) -> tuple[str, ...]:
    """Return the names of a key's metrics, in the order of its rows."""
    return _METRICS[type(key)]


def _equal(left: FloatArray, right: FloatArray) -> bool:
    return left.tobytes() == right.tobytes()  # NaN equals NaN here


class _Means:
    """Means of a series over even steps of time, in a ring made when the first step is full."""

    __slots__ = ("bucket", "capacity", "counts", "gap", "ring", "step", "sums")

    def __init__(self, width: int, step: float, capacity: int, gap: float) -> None:
        self.step, self.capacity, self.gap = step, capacity, gap
        self.ring: _Ring | None = None
        self.bucket = -1
        self.sums = np.zeros(width)
        self.counts = np.zeros(width)

    def add(self, time: float, row: FloatArray) -> tuple[float, FloatArray] | None:
        """Take a sample; return the middle and the mean of a step that it has ended."""
        ended = None
        bucket = int(time // self.step)
        if bucket != self.bucket:
            ended = self.ended()
            self.bucket = bucket
            self.sums[:] = 0
            self.counts[:] = 0
        known = ~np.isnan(row)
        self.sums[known] += row[known]
        self.counts[known] += 1
        return ended

    def ended(self) -> tuple[float, FloatArray] | None:
        """Return the middle and mean of the present step; None when there is none."""
        if self.bucket < 0:
            return None
        with np.errstate(invalid="ignore"):
            return (self.bucket + 0.5) * self.step, self.sums / self.counts


class _Series:
    """One key's samples: as read, and means at each level."""

    __slots__ = ("fine", "means", "used")

    def __init__(self, width: int) -> None:
        self.fine = _Ring(width, FINE_CAPACITY, FINE_GAP)
        self.means = [_Means(width, *level) for level in LEVELS]
        self.used = 0.0

    @property
    def rings(self) -> list[_Ring]:
        return [self.fine, *(means.ring for means in self.means if means.ring is not None)]

    @property
    def nbytes(self) -> int:
        return sum(ring.nbytes for ring in self.rings)

    def since(self, column: int | slice, since: float) -> tuple[FloatArray, FloatArray]:
        """Return times and values from a moment: the finest there are, coarser ones before them."""
        times, values = self.fine.slice(column, since)
        for means in self.means:
            if means.ring is None or (len(times) and times[0] <= since):
                continue
            old_times, old_values = means.ring.slice(column, since)
            if len(times):
                older = old_times + means.step / 2 <= times[0]
                old_times, old_values = old_times[older], old_values[older]
                if len(old_times) and times[0] - old_times[-1] > means.gap:
                    old_times = np.append(old_times, times[0])
                    old_values = np.append(old_values, np.full_like(old_values[:1], np.nan), axis=0)
            times = np.concatenate((old_times, times))
            values = np.concatenate((old_values, values))
        return times, values


class History:
    """All series of one connection. Every method may be called from any thread."""

    def __init__(self, memory_budget: int = MEMORY_BUDGET) -> None:
        self._series: dict[SeriesKey, _Series] = {}
        self._lock = threading.Lock()
        self._budget = memory_budget
        self._allocated = 0
        self.on_minute: MinuteListener | None = None  # told of each full minute of a series

    @property
    def nbytes(self) -> int:
        """Bytes of samples held."""
        return self._allocated

    def keys(self) -> list[SeriesKey]:
        """Return what has a series."""
        with self._lock:
            return list(self._series)

    def record(self, key: SeriesKey, time: float, values: Sequence[float | None]) -> None:
        """Add one sample; `values` in the order of the key's metrics, None where not known.

        A time not after the last one is ignored.
        """
        metrics = _METRICS[type(key)]
        row = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
        if len(row) != len(metrics):
            raise ValueError(f"{len(metrics)} values expected, {len(row)} given")
        with self._lock:
            series = self._series.get(key)
            if series is None:
                series = self._series[key] = _Series(len(metrics))
                self._allocated += series.nbytes
            ring = series.fine
            if ring.count and time <= ring.newest:
                return
            ring.append(time, row, self._may_grow(series))
            minutes = self._record_means(series, time, row)
        if minutes is not None and self.on_minute is not None:
            self.on_minute(key, *minutes)

    def _record_means(self, series: _Series, time: float, row: FloatArray) -> tuple[float, FloatArray] | None:
        """Add a sample to the means; return the minute that it has ended, if any."""
        minute = None
        for means in series.means:
            ended = means.add(time, row)
            if ended is None:
                continue
            if means.ring is None:
                means.ring = _Ring(len(row), means.capacity, means.gap)
                self._allocated += means.ring.nbytes
            means.ring.append(*ended, self._may_grow(series))
            if means.step == MINUTE:
                minute = ended
        return minute

    def unfinished_minutes(self) -> list[tuple[SeriesKey, float, FloatArray]]:
        """Return the mean of the present minute of every series, to keep it at the end."""
        with self._lock:
            return [
                (key, *ended)
                for key, series in self._series.items()
                if (ended := series.means[-1].ended()) is not None
            ]

    def put_before(
        self, key: SeriesKey, times: FloatArray, values: FloatArray, joined: npt.NDArray[np.bool_]
    ) -> None:
        """Put means of minutes from an earlier run before what is known of a series."""
        metrics = _METRICS[type(key)]
        with self._lock:
            series = self._series.get(key)
            if series is None:
                series = self._series[key] = _Series(len(metrics))
                self._allocated += series.nbytes
            self._allocated -= series.nbytes
            level = series.means[-1]
            now = level.ring
            limit = float("inf")
            if now is not None and now.count:
                limit = float(now.times[now.start])
            elif series.fine.count:
                limit = float(series.fine.times[series.fine.start])
            earlier = times < limit
            ring = _Ring(len(metrics), level.capacity, level.gap)
            if now is None:
                now = _Ring(len(metrics), level.capacity, level.gap)
            order = now._order()
            ring.hold(
                np.concatenate((times[earlier], now.times[order])),
                np.concatenate((values[earlier], now.values[order])),
                np.concatenate((joined[earlier], now.joined[order])),
            )
            level.ring = ring
            self._allocated += series.nbytes

    def _may_grow(self, series: _Series) -> Callable[[int], bool]:
        """Return the check a ring makes before it grows: whether the budget has room or can be given some."""

        def allowed(more: int) -> bool:
            if self._allocated + more > self._budget and series.used:
                self._reclaim(more, series)
            if self._allocated + more > self._budget:
                return False
            self._allocated += more
            return True

        return allowed

    def _reclaim(self, wanted: int, keep: _Series) -> None:
        """Shrink the series that were looked at longest ago (never, first) until `wanted` bytes are free."""
        for series in sorted(self._series.values(), key=lambda item: item.used):
            if self._allocated + wanted <= self._budget:
                return
            if series is keep:
                continue
            before = series.nbytes
            for ring in series.rings:
                ring.shrink()
            self._allocated -= before - series.nbytes

    def series(self, key: SeriesKey, metric: str, span: float = FINE_SPAN) -> tuple[FloatArray, FloatArray]:
        """Return times and values of the last `span` seconds before the newest sample; NaN marks a gap.

        Up to an hour comes as read; beyond it, means of ten seconds and of minutes go before. Two empty
        arrays when nothing is known. Raises `ValueError` for an unknown metric.
        """
        column = _METRICS[type(key)].index(metric)
        with self._lock:
            series = self._series.get(key)
            if series is None:
                return np.empty(0), np.empty(0)
            ring = series.fine
            newest = ring.newest if ring.count else _time.time()
            series.used = newest
            return series.since(column, newest - span)

    def between(self, key: SeriesKey, start: float, end: float) -> tuple[FloatArray, FloatArray]:
        """Return times and rows (a column for each metric of the key) from `start` to `end`; NaN marks a gap.

        Lines that cross the ends are cut there. Two empty arrays when nothing is known. Looking at a stretch
        of everything does not count as looking at a series: which is shrunk first stays as it is.
        """
        with self._lock:
            series = self._series.get(key)
            if series is None:
                return np.empty(0), np.empty((0, len(_METRICS[type(key)])))
            times, rows = series.since(slice(None), start)
        last = int(np.searchsorted(times, end, side="right"))
        if last == len(times):
            return times, rows
        cut_times, cut_rows = times[:last], rows[:last]
        if last and times[last] > times[last - 1]:
            share = (end - times[last - 1]) / (times[last] - times[last - 1])
            crossing = rows[last - 1] + share * (rows[last] - rows[last - 1])
            cut_times, cut_rows = np.append(cut_times, end), np.vstack((cut_rows, crossing))
        return cut_times, cut_rows

    def sampled(self, key: SeriesKey, metric: str, span: float, count: int) -> FloatArray:
        """Return `count` values at even steps over the last `span` seconds, for small lines; NaN in gaps.

        What was before the first sample is NaN too. An empty array when nothing is known.
        """
        times, values = self.series(key, metric, span)
        if not len(times):
            return np.empty(0)
        grid = np.linspace(times[-1] - span, times[-1], count)
        after = np.clip(np.searchsorted(times, grid, side="left"), 0, len(times) - 1)
        sampled = np.interp(grid, times, values)
        sampled[grid < times[0]] = np.nan
        before = np.maximum(after - 1, 0)
        exact = times[after] == grid
        broken = np.isnan(values[after]) | (np.isnan(values[before]) & ~exact)
        sampled[broken] = np.nan
        return sampled

    def change(self, key: SeriesKey, metric: str, span: float) -> tuple[float, float] | None:
        """Return (difference, seconds) of a metric over up to the last `span` seconds; None when unknown."""
        times, values = self.series(key, metric, span)
        known = np.flatnonzero(~np.isnan(values))
        if len(known) < 2:
            return None
        first, last = known[0], known[-1]
        seconds = float(times[last] - times[first])
        return (float(values[last] - values[first]), seconds) if seconds > 0 else None

    def forget(self, key: SeriesKey) -> None:
        """Drop a series, for something that was deleted."""
        with self._lock:
            series = self._series.pop(key, None)
            if series is not None:
                self._allocated -= series.nbytes
