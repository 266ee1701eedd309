"""What was appended last, kept in memory for readers that follow closely, within one bound for the node."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence

from memphis_desktop.broker.store.interface import NewMessage

_TRIM = 64


class RecentMessages:
    """One stream's batches of late."""

    __slots__ = ("_budget", "_firsts", "_gone", "batches")

    def __init__(self, budget: RecentBudget) -> None:
        self._budget = budget
        self._firsts: list[int] = []
        self.batches: list[tuple[int, Sequence[NewMessage]] | None] = []
        self._gone = 0  # batches given up, at the start of both lists

    def add(self, first: int, time_ns: int, messages: Sequence[NewMessage], size: int) -> None:
        """Keep a batch, as long as the budget allows."""
        self._firsts.append(first)
        self.batches.append((time_ns, messages))
        self._budget.spend(self, size)

    def give_up_oldest(self) -> None:
        """Forget the oldest batch."""
        if self._gone >= len(self.batches):
            return
        self.batches[self._gone] = None
        self._gone += 1
        if self._gone >= _TRIM:
            del self.batches[: self._gone]
            del self._firsts[: self._gone]
            self._gone = 0

    def find(self, sequence: int) -> tuple[int, int, Sequence[NewMessage]] | None:
        """Return (first sequence, time of it, messages) of the batch that holds a sequence."""
        at = bisect_right(self._firsts, sequence) - 1
        if at < 0:
            return None
        batch = self.batches[at]
        if batch is None:
            return None
        first = self._firsts[at]
        if sequence - first >= len(batch[1]):
            return None
        return first, batch[0], batch[1]

    def clear(self) -> None:
        """Forget all; the budget learns of it when their turn comes."""
        for at in range(self._gone, len(self.batches)):
            self.batches[at] = None


class RecentBudget:
    """The bound that all streams of a node share; the oldest batch of all goes first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = 0
        self._order: deque[tuple[RecentMessages, int]] = deque()

    def spend(self, owner: RecentMessages, size: int) -> None:
        """Note a batch, and give up others until all is within the bound again."""
        self._order.append((owner, size))
        self._size += size
        while self._size > self._most and self._order:
            oldest, freed = self._order.popleft()
            self._size -= freed
            oldest.give_up_oldest()
