"""The stretch of time that all graphs of a page show, and the bar that chooses it."""

from __future__ import annotations

import time
from functools import partial

from PySide6.QtCore import QObject, QSize, Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QFrame,
    QHBoxLayout,
    QMenu,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from memphis_desktop.language import isolated, tr
from memphis_desktop.ui import theme
from memphis_desktop.ui.theme.icons import icon

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
PRESETS = (
    ("5 min", 5 * MINUTE),
    ("15 min", 15 * MINUTE),
    ("1 h", HOUR),
    ("6 h", 6 * HOUR),
    ("24 h", DAY),
    ("7 d", 7 * DAY),
    ("30 d", 30 * DAY),
)


class TimeRange(QObject):
    """Either the last ``span`` seconds, following the clock, or a fixed stretch that was brushed."""

    changed = Signal()  # span, following or fixed bounds are different
    cursor_moved = Signal(object)  # the time under the crosshair as float, or None

    def __init__(self, span: float = 5 * MINUTE, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.span = span
        self._fixed: tuple[float, float] | None = None
        self.anchor: float | None = (
            None  # while following, the end for all who share this, when a page sets it
        )
        self.cursor: float | None = None

    @property
    def following(self) -> bool:
        """Whether the end is now."""
        return self._fixed is None

    def bounds(self, now: float | None = None) -> tuple[float, float]:
        """Start and end in seconds since 1970."""
        if self._fixed is not None:
            return self._fixed
        end = self.anchor or (time.time() if now is None else now)
        return end - self.span, end

    def follow(self, span: float | None = None) -> None:
        """Show the last ``span`` seconds from now on."""
        if span is not None:
            self.span = span
        self._fixed = None
        self.changed.emit()

    def fix(self, start: float, end: float) -> None:
        """Stand still on a stretch."""
        if end - start >= 1.0:
            self._fixed = (start, end)
            self.changed.emit()

    def pause(self) -> None:
        """Stand still where it is."""
        if self._fixed is None:
            self._fixed = self.bounds()
            self.changed.emit()

    def set_cursor(self, moment: float | None) -> None:
        """Move the crosshair of every graph of the page."""
        if moment != self.cursor:
            self.cursor = moment
            self.cursor_moved.emit(moment)


class TimeRangeBar(QWidget):
    """Presets, and a button that stops and follows again."""

    def __init__(self, time_range: TimeRange, parent: QWidget | None = None, *, longest: float = DAY) -> None:
        super().__init__(parent)
        self.time_range = time_range
        segments = QFrame()
        segments.setProperty("panel", "segments")
        row = QHBoxLayout(segments)
        row.setContentsMargins(2, 2, 2, 2)
        row.setSpacing(0)
        self._group = QButtonGroup(self)
        self._group.setExclusive(True)
        self._spans: dict[float, QPushButton] = {}
        for title, span in PRESETS:
            if span > longest:
                continue
            button = QPushButton(isolated(title))
            button.setCheckable(True)
            button.setProperty("kind", "segment")
            button.setAccessibleName(tr("Last {span}", span=title))
            button.clicked.connect(lambda _checked=False, span=span: time_range.follow(span))
            self._group.addButton(button)
            self._spans[span] = button
            row.addWidget(button)
        self._segments = segments
        self._chosen = QPushButton()  # stands for the segments where they have no room
        self._chosen.setAccessibleName(tr("Time range"))
        self._chosen.setMenu(self._presets(longest))
        self._chosen.hide()
        self._pause = QToolButton()
        self._pause.setIconSize(QSize(18, 18))
        self._pause.clicked.connect(self.toggle_pause)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE_2)
        layout.addWidget(segments)
        layout.addWidget(self._chosen)
        layout.addWidget(self._pause)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        time_range.changed.connect(self._refresh)
        self._refresh()

    def _presets(self, longest: float) -> QMenu:
        menu = QMenu(self)
        for title, span in PRESETS:
            if span <= longest:
                menu.addAction(title).triggered.connect(partial(self._follow, span))
        return menu

    def _follow(self, span: float, _: bool = False) -> None:
        self.time_range.follow(span)

    def full_width(self) -> int:
        """What all presets beside each other take."""
        return self._size(self._segments).width()

    def set_compact(self, compact: bool) -> None:
        """Show the presets as a menu, where there is no room for all of them."""
        self._segments.setVisible(not compact)
        self._chosen.setVisible(compact)

    def minimumSizeHint(self) -> QSize:
        """Room for the one that is chosen: whoever holds the bar says when the others have none."""
        return self._size(self._chosen)

    def _size(self, choice: QWidget) -> QSize:
        left, right = choice.sizeHint(), self._pause.sizeHint()
        height = max(self._segments.sizeHint().height(), right.height())
        return QSize(left.width() + theme.SPACE_2 + right.width(), height)

    def toggle_pause(self) -> None:
        """Stop where it is, or follow the clock again."""
        if self.time_range.following:
            self.time_range.pause()
        else:
            self.time_range.follow()

    def next_preset(self) -> None:
        """The next longer preset, from the longest back to the shortest."""
        spans = list(self._spans)
        longer = [span for span in spans if span > self.time_range.span]
        self.time_range.follow(longer[0] if longer else spans[0])

    def _refresh(self) -> None:
        following = self.time_range.following
        self._group.setExclusive(False)
        for span, button in self._spans.items():
            button.setChecked(following and span == self.time_range.span)
        self._group.setExclusive(following)
        title = next((title for title, span in PRESETS if span == self.time_range.span), tr("Range"))
        self._chosen.setText(title if following else tr("Held"))
        self._pause.setIcon(icon("pause" if following else "play", "muted" if following else "accent"))
        text = tr("Hold the graphs still") if following else tr("Follow the clock again")
        self._pause.setToolTip(text)
        self._pause.setAccessibleName(text)
