"""Rates of figures that only grow. No input or output here."""

from __future__ import annotations

MINIMUM_INTERVAL = 0.2  # seconds; closer readings say nothing about a rate


class Counter:
    """A figure that only grows, read now and then; its rate is the growth since the reading before."""

    __slots__ = ("rate", "time", "value")

    def __init__(self) -> None:
        self.value = 0
        self.time = float("-inf")
        self.rate: float | None = None

    def read(self, value: int, now: float) -> float | None:
        """Take a reading at `now` (monotonic seconds) and return the rate; None at first and on a reset."""
        seconds = now - self.time
        if self.time == float("-inf") or value < self.value:
            self.rate = None
        elif seconds < MINIMUM_INTERVAL:
            return self.rate
        else:
            self.rate = (value - self.value) / seconds
        self.value, self.time = value, now
        return self.rate
