"""Time as the broker sees it, behind one interface so that tests can move it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A call that has been planned and can be called off."""

    def cancel(self) -> None:
        """Call it off; does nothing when it already ran."""


class Clock(Protocol):
    """Wall time, monotonic time and delayed calls."""

    def time_ns(self) -> int:
        """Return wall time in nanoseconds since 1970; it may jump in either direction."""

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back. Deadlines are kept on this one."""

    def stopwatch(self) -> float:
        """Return seconds on the finest clock: its differences say how long something took."""

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Run `callback` after `delay` seconds. It may run early on a Qt loop: re-check the deadline."""

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Run `callback` in the next turn of the loop."""

    def call_after(self, callback: Callable[[], None]) -> None:
        """Run `callback` when the chunk at hand was handled, or in the next turn when there is none."""

    def begin_chunk(self) -> bool:
        """A chunk is handled from now on; False when one is already."""

    def end_chunk(self) -> None:
        """It was handled: run what was left for this moment."""


class LoopClock:
    """The real clock, on the running event loop.

    A turn of the loop costs a few microseconds: as much as a third of what a client that waits for each of
    its messages waits for. What has to come after the work at hand need not wait for the next one.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.time_ns = time.time_ns
        self.monotonic = time.monotonic
        self.stopwatch = time.perf_counter
        self._after: list[Callable[[], None]] | None = None

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Run `callback` after `delay` seconds."""
        return self._loop.call_later(delay, callback)

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Run `callback` in the next turn of the loop."""
        self._loop.call_soon(callback)

    def call_after(self, callback: Callable[[], None]) -> None:
        """Run `callback` when the chunk at hand was handled, or in the next turn when there is none."""
        if self._after is None:
            self._loop.call_soon(callback)
        else:
            self._after.append(callback)

    def begin_chunk(self) -> bool:
        """A chunk is handled from now on; False when one is already."""
        if self._after is not None:
            return False
        self._after = []
        return True

    def end_chunk(self) -> None:
        """It was handled: run what was left for this moment, and what that leaves in the next turn."""
        after, self._after = self._after, None
        for callback in after or ():
            callback()
