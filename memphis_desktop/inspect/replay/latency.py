"""How long acknowledgements took: a table of fixed size, however many there were."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

_PER_TENFOLD = 40  # a step is under 6 %, finer than one wants to read
_SHORTEST = 1e-6
_STEPS = 8 * _PER_TENFOLD  # up to 100 s


@dataclass(frozen=True, slots=True)
class LatencySummary:
    """Seconds: the mean, the median, what 99 of 100 were below, the longest."""

    count: int
    mean: float
    median: float
    most: float  # of 99 in 100
    longest: float


class Latencies:
    """Counts by length on a logarithmic scale; mean and longest exactly."""

    def __init__(self, steps: Iterable[tuple[int, int]] = (), total: float = 0.0, longest: float = 0.0):
        """Go on from counts that were written down."""
        self._counts = {int(step): int(count) for step, count in steps if 0 <= int(step) < _STEPS}
        self.total = total
        self.longest = longest

    def add(self, seconds: float) -> None:
        """Note one."""
        step = 0
        if seconds > _SHORTEST:
            step = min(_STEPS - 1, int(math.log10(seconds / _SHORTEST) * _PER_TENFOLD))
        self._counts[step] = self._counts.get(step, 0) + 1
        self.total += seconds
        self.longest = max(self.longest, seconds)

    def steps(self) -> tuple[tuple[int, int], ...]:
        """The counts, to be written down."""
        return tuple(sorted(self._counts.items()))

    def summary(self) -> LatencySummary | None:
        """What there is to say; None when nothing was noted."""
        count = sum(self._counts.values())
        if not count:
            return None
        return LatencySummary(
            count, self.total / count, self._below(count * 0.5), self._below(count * 0.99), self.longest
        )

    def _below(self, wanted: float) -> float:
        """The length that so many were not longer than."""
        seen = 0
        for step, count in self.steps():
            seen += count
            if seen >= wanted:
                return min(self.longest, _SHORTEST * math.pow(10.0, (step + 1) / _PER_TENFOLD))
        return self.longest
