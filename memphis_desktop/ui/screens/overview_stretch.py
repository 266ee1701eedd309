"""The stretch of time that the panels of the overview show instead of now: reading it, and saying so.

Where the range of the graphs was brushed, held or chosen longer than the one they begin with, everything on
the page is about that range, until the user goes back to now.
"""

from __future__ import annotations

import asyncio
import time
from datetime import tzinfo
from functools import partial

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QWidget

from memphis_desktop.cluster.stretch import Survey, survey
from memphis_desktop.language import tr
from memphis_desktop.stations.names import station_of_stream
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.time_range import TimeRange
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.theme.icons import icon

_EVERY = 3.0  # seconds between two readings of a stretch that goes on
_REST = 10.0  # and as many times as long as a reading takes


class StretchReader(QObject):
    """Decides whether the page is about now or about a stretch, and reads that in a thread."""

    changed = Signal()  # now, or a stretch, or another one
    surveyed = Signal(object)  # the Survey of the stretch

    def __init__(self, context: ScreenContext, time_range: TimeRange, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._range = time_range
        self._at_first = time_range.span
        self._now_chosen = self._coming_back = False
        self._reading: asyncio.Task[None] | None = None
        self._again = False
        self._next = 0.0
        self.active = False
        time_range.changed.connect(self._range_changed)

    def back_to_now(self) -> None:
        """Everything is about now again; the graphs follow the clock."""
        self._now_chosen = True
        if self._range.following:
            self._apply()
            return
        self._coming_back = True
        try:
            self._range.follow()
        finally:
            self._coming_back = False

    def _range_changed(self) -> None:
        if not self._coming_back:
            self._now_chosen = False
        self._apply()

    def _apply(self) -> None:
        active = not self._range.following or (self._range.span > self._at_first and not self._now_chosen)
        was, self.active = self.active, active
        if active:
            self._next = 0.0
            self.refresh()
        if active or was:
            self.changed.emit()

    def refresh(self) -> None:
        """Read the stretch when it is due, one reading at a time."""
        if not self.active:
            return
        if self._reading is not None and not self._reading.done():
            self._again = self._again or self._next == 0.0
            return
        if time.monotonic() < self._next:
            return
        self._reading = self._context.run(self._read(), tr("read what was in this time"))

    async def _read(self) -> None:
        while True:
            self._again = False
            start, end = self._range.bounds()
            rules = self._context.shell.alerts.rules()
            read = partial(survey, self._context.session.history, start, end, rules)
            if self._context.memphis.available:
                read.keywords["station_of"] = _station_of
            found: Survey = await asyncio.to_thread(read)
            self._next = time.monotonic() + max(_EVERY, _REST * found.took)
            if self.active and not self._again:
                self.surveyed.emit(found)
            if not self._again:
                return

    def text(self, zone: tzinfo) -> str:
        """Which stretch it is, in words."""
        if self._range.following:
            return tr("The last {span}", span=figures.duration(self._range.span))
        start, end = self._range.bounds()
        now = time.time_ns()
        return tr(
            "{start} to {end}",
            start=figures.near_time(int(start * 1e9), now, zone, digits=0),
            end=figures.near_time(int(end * 1e9), now, zone, digits=0),
        )


def _station_of(stream: str) -> str:
    return station_of_stream(stream)[0]


class StretchNotice(QFrame):
    """A line that says that the page is not about now, with the way back."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._picture = QLabel()
        self._picture.setPixmap(icon("clock-counter-clockwise", "accent").pixmap(16, 16))
        self._stretch = PlainLabel("", "strong")
        self._words = PlainLabel("", "muted", elide=Qt.TextElideMode.ElideRight)
        self.button = QPushButton(tr("Back to now"))
        self.button.setProperty("kind", "link")
        keymap.tooltip(self.button, tr("Back to now"), "overview.now")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.SPACE_2)
        row.addWidget(self._picture)
        row.addWidget(self._stretch)
        row.addWidget(self.button)
        row.addWidget(self._words, 1)
        self.hide()

    def show_stretch(self, stretch: str, words: str) -> None:
        """Say which stretch is shown, and what of it."""
        self._stretch.setText(stretch)
        self._words.setText(words)
        self.setAccessibleName(f"{stretch}. {words}")
        self.show()

    def text(self) -> str:
        """What is said."""
        return f"{self._stretch.text()} {self._words.text()}"

    def words(self) -> str:
        """What of the stretch is shown."""
        return self._words.text()
