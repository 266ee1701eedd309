"""How many requests a second this console may make, less when the broker is slow to answer."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

SLOW_ANSWER = 0.25  # seconds
PAID_BACK = 0.1  # of the rate
SLOW_FACTOR = 4.0  # times the quickest answer, for brokers that are far away


class PollBudget:
    """Counts requests against a rate and adapts that rate to how fast answers come.

    What went out beyond the rate, as at first it may, is paid back by a tenth of the rate each second.
    """

    def __init__(self, requests_per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = max(1.0, requests_per_second)
        self.allowed = self.limit
        self._quickest = float("inf")
        self._clock = clock
        self._spent: deque[float] = deque()
        self._owed = 0.0  # requests beyond the rate, not paid back yet
        self._owed_at = clock()
        self.spent_total = 0

    def _trim(self) -> None:
        now = self._clock()
        while self._spent and self._spent[0] <= now - 1.0:
            self._spent.popleft()
        self._owed = max(0.0, self._owed - (now - self._owed_at) * self.limit * PAID_BACK)
        self._owed_at = now

    def _left_of(self, rate: float) -> int:
        self._trim()
        held_back = self.limit * PAID_BACK if self._owed else 0.0
        return max(0, int(rate - held_back) - len(self._spent))

    @property
    def left(self) -> int:
        """Requests that may still go out within this second."""
        return self._left_of(self.allowed)

    @property
    def left_of_half(self) -> int:
        """As `left`, of half of the full rate: for what must go on also when answers are slow."""
        return self._left_of(self.limit / 2)

    @property
    def left_ahead(self) -> int:
        """As `left`, with as many again beyond the rate while little is owed: for what somebody looks at."""
        self._trim()
        return max(0, int(2 * self.limit - self._owed) - len(self._spent))

    def seconds_until(self, requests: int) -> float:
        """Return how long it takes until so many may go out, or a quarter of all that ever may."""
        missing = min(requests, max(1, int(self.allowed / 4))) - self.left
        if missing <= 0 or len(self._spent) < missing:
            return 0.0
        return max(0.0, self._spent[missing - 1] + 1.001 - self._clock())

    def spend(self) -> None:
        """Note that a request goes out."""
        self._trim()
        self._spent.append(self._clock())
        self._owed += len(self._spent) > self.limit
        self.spent_total += 1

    def answered(self, seconds: float) -> None:
        """Note how long an answer took: slow ones halve the rate, quick ones let it recover step by step."""
        self._quickest = min(self._quickest, seconds)
        if seconds > max(SLOW_ANSWER, SLOW_FACTOR * self._quickest):
            self.allowed = max(2.0, self.allowed / 2)
        else:
            self.allowed = min(self.limit, self.allowed + self.limit / 50)
