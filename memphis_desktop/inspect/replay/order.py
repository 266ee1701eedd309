"""In which order a replay sends messages, and where such an order goes on."""

from __future__ import annotations

from enum import Enum


class ReplayOrder(Enum):
    """The order of the copies. The pace as recorded means something in each.

    OLDEST: as recorded.
    NEWEST: the last message first; recorded pauses are kept, backwards.
    SUBJECTS: one subject after the other, by name, each as recorded; recorded pauses are kept within each.
    """

    OLDEST = "oldest"
    NEWEST = "newest"
    SUBJECTS = "subjects"

    @property
    def step(self) -> int:
        """From a sequence to the next one to ask for."""
        return -1 if self is ReplayOrder.NEWEST else 1
