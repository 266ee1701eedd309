"""A set of sequences kept as ranges: millions of neighbours take the room of two numbers."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator


class SequenceSet:
    """Whole numbers, compact when they come in runs."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in ranges:
            self.add_range(first, last)

    def add(self, value: int) -> None:
        """Put one in."""
        lasts = self._lasts
        if lasts and value == lasts[-1] + 1:  # what nearly always happens
            lasts[-1] = value
        elif value not in self:
            self.add_range(value, value)

    def add_range(self, first: int, last: int) -> None:
        """Put in every number from first to last."""
        if last < first:
            raise ValueError("a range must not end before it begins")
        firsts, lasts = self._firsts, self._lasts
        low = bisect_right(lasts, first - 2)  # the first range that touches or follows
        high = low
        while high < len(firsts) and firsts[high] <= last + 1:
            first, last = min(first, firsts[high]), max(last, lasts[high])
            high += 1
        firsts[low:high] = [first]
        lasts[low:high] = [last]

    def ranges(self) -> list[tuple[int, int]]:
        """Return (first, last) pairs in order."""
        return list(zip(self._firsts, self._lasts, strict=True))

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, int):
            return False
        index = bisect_right(self._firsts, value) - 1
        return index >= 0 and value <= self._lasts[index]

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in zip(self._firsts, self._lasts, strict=True))

    def __iter__(self) -> Iterator[int]:
        for first, last in zip(self._firsts, self._lasts, strict=True):
            yield from range(first, last + 1)

    def __repr__(self) -> str:
        return f"SequenceSet({self.ranges()!r})"
