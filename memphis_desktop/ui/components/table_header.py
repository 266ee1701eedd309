"""The header of every table: titles over their columns' edge, the direction of the sort beside the title."""

from __future__ import annotations

import time

from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtGui import QColor, QFontMetrics, QMouseEvent, QPainter, QPen
from PySide6.QtWidgets import QHeaderView, QWidget

from memphis_desktop import language
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.table_model import RIGHT_ALIGNED, Column, TableModel
from memphis_desktop.ui.theme import fonts
from memphis_desktop.ui.theme.direction import right_to_left
from memphis_desktop.ui.theme.icons import paint_icon

_PAD = 8
_CARET = 11
_BADGE = 14  # around the words of a badge
_HOUR = 3_600_000_000_000
_DAY = 24 * _HOUR


def first_width(column: Column) -> int:
    """The width a column begins with: as declared, or what its title and samples take."""
    width = column.width
    if language.current() != language.ENGLISH:  # the English titles were written for these
        metrics = QFontMetrics(fonts.interface(theme.SIZE_CAPTION, fonts.MEDIUM))
        arrow = _CARET + 3 if column.kind == "time" else 0  # lists are often sorted by time
        width = max(width, metrics.horizontalAdvance(column.title) + 2 * _PAD + 1 + arrow)
    samples = column.samples
    if column.kind == "time":
        now = time.time_ns()
        samples = tuple(figures.table_time(then, now) for then in (now - _HOUR, now - 300 * _DAY))
    if samples:
        metrics = QFontMetrics(fonts.interface(theme.SIZE_CAPTION))
        around = 2 * _PAD + (_BADGE if column.kind == "badge" else 0) + 1
        width = max(width, max(map(metrics.horizontalAdvance, samples)) + around)
    return width


class TableHeader(QHeaderView):
    """Paints itself from the columns, so that a title is never hidden behind its own arrow."""

    def __init__(self, model: TableModel, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._columns = model.columns
        self._hovered = -1
        self.in_hand = False  # whether the user moves or sizes columns: Qt sizes them, too
        self.setMouseTracking(True)

    def paintSection(self, painter: QPainter, rect: QRect, logicalIndex: int) -> None:
        """Ground, line, title, arrow."""
        look = theme.manager().current
        column = self._columns[logicalIndex]
        painter.save()
        hovered = logicalIndex == self._hovered
        painter.fillRect(rect, QColor(look.hover if hovered else look.surface))
        painter.setPen(QPen(QColor(look.line), look.line_width))
        painter.drawLine(rect.bottomLeft(), rect.bottomRight())
        if hovered:
            painter.drawLine(rect.topRight() + QPoint(0, 6), rect.bottomRight() - QPoint(0, 6))
        font = fonts.interface(theme.SIZE_CAPTION, fonts.MEDIUM)
        metrics = QFontMetrics(font)
        area = rect.adjusted(_PAD, 0, -_PAD, 0)
        is_sorted = self.sortIndicatorSection() == logicalIndex
        room = area.width() - (_CARET + 3 if is_sorted else 0)
        title = metrics.elidedText(column.title, Qt.TextElideMode.ElideRight, room)
        width = metrics.horizontalAdvance(title)
        to_right = (column.kind in RIGHT_ALIGNED) != right_to_left()
        left = area.right() - width + 1 if to_right else area.left()
        painter.setFont(font)
        painter.setPen(QColor(look.text if is_sorted or hovered else look.muted))
        painter.drawText(
            QRect(left, area.top(), width + 1, area.height()), Qt.AlignmentFlag.AlignVCenter, title
        )
        if is_sorted:
            caret = left - _CARET - 3 if to_right else left + width + 3
            name = "caret-up" if self.sortIndicatorOrder() == Qt.SortOrder.AscendingOrder else "caret-down"
            place = QRect(caret, area.center().y() - _CARET // 2, _CARET, _CARET)
            paint_icon(painter, place, f"{name}-bold", look.accent)
        painter.restore()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Light the section under the pointer."""
        super().mouseMoveEvent(event)
        self._hover(self.logicalIndexAt(event.position().toPoint()))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """What changes from here on is the user's wish."""
        self.in_hand = True
        super().mousePressEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """The user let go."""
        super().mouseReleaseEvent(event)
        self.in_hand = False

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Fitting a column is a wish, too."""
        self.in_hand = True
        super().mouseDoubleClickEvent(event)
        self.in_hand = False

    def leaveEvent(self, event: object) -> None:
        """None is lit any more."""
        super().leaveEvent(event)  # type: ignore[arg-type]
        self._hover(-1)

    def _hover(self, index: int) -> None:
        if index != self._hovered:
            self._hovered = index
            self.viewport().update()
