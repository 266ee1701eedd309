"""Resending later: what waits, for how long still, and stopping it. It waits while its tab is open."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtWidgets import QComboBox

from memphis_desktop.ui import format as figures
from memphis_desktop.ui.screen import ScreenContext

_DELAYS = (
    (0, "At once"),
    (10, "In 10 seconds"),
    (60, "In a minute"),
    (300, "In 5 minutes"),
    (900, "In 15 minutes"),
    (3600, "In an hour"),
    (6 * 3600, "In 6 hours"),
)


def delay_box() -> QComboBox:
    """A choice of delays; its data are seconds."""
    box = QComboBox()
    for seconds, title in _DELAYS:
        box.addItem(title, seconds)
    box.setToolTip("It waits as long as this tab is open; it can be stopped above the list")
    return box


@dataclass(eq=False)
class _Waiting:
    count: int
    due: float  # by time.time()
    stopped: asyncio.Event


class DelayedResends(QObject):
    """What waits to be sent again from one view."""

    changed = Signal()  # something began to wait, began to be sent, was stopped, or a second passed

    def __init__(self, context: ScreenContext, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._waiting: list[_Waiting] = []
        self._clock = QTimer(self)
        self._clock.setInterval(1000)
        self._clock.timeout.connect(self.changed)

    def add(self, count: int, seconds: float, send: Callable[[], Awaitable[None]]) -> None:
        """Call ``send``, which sends so many letters, after some seconds."""
        waiting = _Waiting(count, time.time() + seconds, asyncio.Event())
        self._waiting.append(waiting)
        self._clock.start()
        self._context.run(self._wait(waiting, send), "resend the dead letters")
        self.changed.emit()

    async def _wait(self, waiting: _Waiting, send: Callable[[], Awaitable[None]]) -> None:
        try:
            # By the clock on the wall: a machine that slept resends when it wakes, not later still.
            while (left := waiting.due - time.time()) > 0 and not waiting.stopped.is_set():
                try:
                    async with asyncio.timeout(min(left, 5.0)):
                        await waiting.stopped.wait()
                except TimeoutError:
                    continue
        finally:
            self._waiting.remove(waiting)
            if not self._waiting:
                self._clock.stop()
            self.changed.emit()
        if not waiting.stopped.is_set():
            await send()

    def stop(self) -> None:
        """Send nothing of what waits."""
        for waiting in self._waiting:
            waiting.stopped.set()

    def sentence(self) -> str:
        """What waits, in a sentence; empty when nothing does."""
        if not self._waiting:
            return ""
        count = figures.count_noun(sum(one.count for one in self._waiting), "dead letter")
        left = max(0.0, min(one.due for one in self._waiting) - time.time())
        return f"{count} will be sent again, beginning in {figures.duration(math.ceil(left))}."
