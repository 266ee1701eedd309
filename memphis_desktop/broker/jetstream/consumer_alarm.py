"""One timer for everything a consumer waits for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memphis_desktop.broker.clock import Clock, Timer

_EARLIEST = 0.001  # seconds; nothing is planned closer than this
_LATEST = 24 * 3600.0  # seconds; what is due later is looked at again by then


class Alarm:
    """Calls back at the earliest of the times it was asked for.

    It may call early (timers of a Qt loop do, and times are never taken back), so the callback looks at the
    clock and asks again for what is not due yet.
    """

    __slots__ = ("_callback", "_clock", "_stopped", "_timer", "_when")

    def __init__(self, clock: Clock, callback: Callable[[], None]) -> None:
        self._clock = clock
        self._callback = callback
        self._timer: Timer | None = None
        self._when = float("inf")
        self._stopped = False

    def at(self, when: float) -> None:
        """Have the callback called at `when` (monotonic seconds) at the latest. Infinity is never."""
        if when >= self._when or self._stopped:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._when = when
        delay = when - self._clock.monotonic()
        self._timer = self._clock.call_later(min(max(delay, _EARLIEST), _LATEST), self._ring)

    def stop(self) -> None:
        """Never call back again."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        self._when = float("inf")
        if not self._stopped:
            self._callback()
