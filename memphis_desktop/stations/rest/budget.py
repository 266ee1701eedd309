"""Memory that requests share: each reserves before it reads, and is turned away when there is no more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class OutOfMemory(Exception):
    """The requests under way take all that may be taken."""


class Budget:
    """Counts bytes."""

    def __init__(self, size: int) -> None:
        self._free = size

    @property
    def free(self) -> int:
        """How many bytes are left."""
        return self._free

    @contextmanager
    def reservation(self) -> Iterator[Reservation]:
        """Return a reservation that is given back at the end."""
        held = Reservation(self)
        try:
            yield held
        finally:
            self._free += held.size

    def take(self, size: int) -> None:
        """Take bytes; raises `OutOfMemory` when there are not as many."""
        if size > self._free:
            raise OutOfMemory
        self._free -= size


class Reservation:
    """What one request holds."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.size = 0

    def add(self, size: int) -> None:
        """Hold more; raises `OutOfMemory`."""
        self._budget.take(size)
        self.size += size
