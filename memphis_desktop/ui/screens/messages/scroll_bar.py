"""The scroll bar of a message list: it spans the whole station, whatever is loaded."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QLabel, QScrollBar, QWidget

from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.theme import fonts

SCALE = 1_000_000  # steps over the whole station


class StationScrollBar(QScrollBar):
    """Spans first to last sequence of the station; says where it would go while it is dragged."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Vertical, parent)
        self.setRange(0, SCALE)
        self.setAccessibleName(tr("Place in the station"))
        self.first = 1
        self.last = 0
        self._bubble = QLabel(parent)
        self._bubble.setTextFormat(Qt.TextFormat.PlainText)
        self._bubble.setObjectName("bubble")
        self._bubble.hide()
        self.sliderMoved.connect(self._show_bubble)
        self.sliderReleased.connect(self._bubble.hide)

    def set_bounds(self, first: int, last: int, visible_rows: int) -> None:
        """The station's first and last sequence."""
        self.first, self.last = first, max(first, last)
        span = self.last - self.first + 1
        self.setPageStep(max(SCALE // 50, min(SCALE, SCALE * visible_rows // max(1, span))))
        self.setSingleStep(max(1, SCALE // max(1, span)))
        self.setEnabled(span > 1)

    def sequence(self, value: int) -> int:
        """The sequence a position means."""
        return self.first + round((self.last - self.first) * value / SCALE)

    def show_sequence(self, sequence: int) -> None:
        """Put the handle where a sequence is, without asking for it."""
        if self.isSliderDown():
            return
        span = max(1, self.last - self.first)
        before = self.blockSignals(True)
        self.setValue(min(SCALE, max(0, round((sequence - self.first) * SCALE / span))))
        self.blockSignals(before)

    def _show_bubble(self, value: int) -> None:
        look = theme.manager().current
        self._bubble.setStyleSheet(
            f"background: {look.raised}; color: {look.text}; border: 1px solid {look.line_strong};"
            f" border-radius: 6px; padding: 4px 8px; font-family: '{fonts.monospace_family()}';"
        )
        self._bubble.setText(f"#{figures.integer(self.sequence(value))}")
        self._bubble.adjustSize()
        room = self.height() - self._bubble.height()
        top = round(room * value / SCALE)
        self._bubble.move(self.mapToParent(QPoint(-self._bubble.width() - 8, top)))
        self._bubble.raise_()
        self._bubble.show()
