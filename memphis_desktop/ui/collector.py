"""When garbage is collected: often and little, and all of it while nothing else is to be done.

Python counts what was made less what was freed. In a steady flow of messages both grow alike, so the count
stays low while the young objects become very many, and the collection that comes at last holds the window and
the broker up. Here the time decides instead.
"""

from __future__ import annotations

import gc
import time

from PySide6.QtCore import QObject, QTimer

YOUNG_MS = 100  # what was made in so long can be looked through in a few milliseconds
MIDDLE_EVERY = 10  # of those looks, one covers what survived the others
FULL_SECONDS = 300.0  # a full collection is wanted this often, and waits for a quiet second
LATEST_SECONDS = 1800.0  # or until it is this late
QUIET_SHARE = 0.3  # of a second that this thread computed: below, it is quiet


class Collector(QObject):
    """Takes the place of Python's own schedule until `end`.

    It also keeps other threads from collecting: Qt's objects may only end in Qt's own.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._freezes = not gc.get_freeze_count()  # what somebody else has frozen is theirs to let go
        gc.collect()
        if self._freezes:
            gc.freeze()  # what is there by now stays: looking through it all again and again would be felt
        self._enables = gc.isenabled()
        gc.disable()
        self._ticks = 0
        self._full_at = time.monotonic()
        self._computed = time.thread_time()
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._tick)
        self._timer.start(YOUNG_MS)

    def end(self) -> None:
        """Leave it to Python again."""
        self._timer.stop()
        if self._freezes:
            gc.unfreeze()
        if self._enables:
            gc.enable()

    def _tick(self) -> None:
        self._ticks += 1
        if self._ticks % MIDDLE_EVERY:
            gc.collect(0)
            return
        computed = time.thread_time()
        quiet = computed - self._computed < QUIET_SHARE * MIDDLE_EVERY * YOUNG_MS / 1000
        self._computed = computed
        since = time.monotonic() - self._full_at
        if since > LATEST_SECONDS or (quiet and since > FULL_SECONDS):
            gc.collect()
            self._full_at = time.monotonic()
        else:
            gc.collect(1)
