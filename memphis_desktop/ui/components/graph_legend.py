"""The legend of a graph: a piece of each line, its name, and its value now or under the crosshair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRect, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from memphis_desktop.ui import theme
from memphis_desktop.ui.components.labels import plain_tooltip
from memphis_desktop.ui.theme import fonts

_SWATCH = 14
_GAP = 6
_BETWEEN = 14
_ROW = 20
_ALIGN = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft)
_ROUNDING = 2  # a text is a fraction wider than its whole number of pixels


@dataclass(frozen=True)
class LegendEntry:
    """One line of the graph."""

    name: str
    value: str
    colour: str
    dash: Qt.PenStyle = Qt.PenStyle.SolidLine


class Legend(QWidget):
    """Beside a title it stands at the right in one row; below it, in as many rows as its names need.

    Nothing is ever cut: a name that is wider than the whole legend is the one exception.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._entries: Sequence[LegendEntry] = ()
        self._moment = ""
        self.below = False  # below the title, not beside it
        self._value_widths: dict[str, int] = {}
        self._take_fonts()
        theme.manager().follow(self, self._take_fonts)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def _take_fonts(self) -> None:
        self._name_font = fonts.interface(theme.SIZE_CAPTION)
        self._value_font = fonts.interface(theme.SIZE_CAPTION, fonts.SEMIBOLD)
        self._names = QFontMetrics(self._name_font)
        self._values = QFontMetrics(self._value_font)
        self._value_widths = dict.fromkeys(self._value_widths, 0)
        self.updateGeometry()

    def set_entries(self, entries: Sequence[LegendEntry], moment: str = "") -> None:
        """Show other values; ``moment`` is the time under the crosshair."""
        if list(entries) == list(self._entries) and moment == self._moment:
            return
        if {one.name for one in entries} != set(self._value_widths):
            self._value_widths = {one.name: 0 for one in entries}
        for one in entries:
            # A value's room only grows, so that the legend stands still while figures change.
            width = self._values.horizontalAdvance(one.value) + _ROUNDING
            self._value_widths[one.name] = max(self._value_widths[one.name], width)
        self._entries, self._moment = tuple(entries), moment
        self.setToolTip(plain_tooltip("\n".join(f"{one.name}: {one.value}" for one in entries)))
        self.update()

    def wanted_width(self) -> int:
        """What one row needs, with room for the time under the crosshair."""
        moment = self._names.horizontalAdvance("00:00:00") + _BETWEEN
        return moment + sum(self._width(one) + _BETWEEN for one in self._entries)

    def height_for(self, width: int) -> int:
        """What the rows need at a width."""
        return max(1, len(self._rows(width))) * _ROW

    def sizeHint(self) -> QSize:
        """Everything in one row."""
        return QSize(self.wanted_width(), _ROW)

    def minimumSizeHint(self) -> QSize:
        """It gives way to the title; the graph then puts it below."""
        return QSize(40, _ROW)

    def paintEvent(self, event: QPaintEvent) -> None:
        """One row from the right, several from the left."""
        look = theme.manager().current
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setLayoutDirection(Qt.LayoutDirection.LeftToRight)  # as the graph
        rows = self._rows(self.width())
        for number, row in enumerate(rows):
            top = number * _ROW
            left = 0
            if not self.below:
                left = self.width() - sum(self._width(one) + _BETWEEN for one in row) + _BETWEEN
                if self._moment:
                    room = self._names.horizontalAdvance(self._moment) + _ROUNDING
                    painter.setFont(self._name_font)
                    painter.setPen(QColor(look.muted))
                    painter.drawText(QRect(left - room - _BETWEEN, top, room, _ROW), _ALIGN, self._moment)
            for one in row:
                self._paint_entry(painter, one, left, top, look)
                left += self._width(one) + _BETWEEN

    def _paint_entry(
        self, painter: QPainter, one: LegendEntry, left: int, top: int, look: theme.Theme
    ) -> None:
        middle = top + _ROW / 2
        painter.setPen(QPen(QColor(one.colour), 2.5, one.dash))
        painter.drawLine(QPointF(left, middle), QPointF(left + _SWATCH, middle))
        x = left + _SWATCH + _GAP
        value_width = self._value_widths.get(one.name, 0)
        name_room = min(self._name_width(one), self.width() - x - _GAP - value_width)
        painter.setFont(self._name_font)
        painter.setPen(QColor(look.muted))
        name = self._names.elidedText(one.name, Qt.TextElideMode.ElideMiddle, name_room)
        painter.drawText(QRect(x, top, name_room, _ROW), _ALIGN, name)
        painter.setFont(self._value_font)
        painter.setPen(QColor(look.text))
        painter.drawText(QRect(x + name_room + _GAP, top, value_width, _ROW), _ALIGN, one.value)

    def _name_width(self, one: LegendEntry) -> int:
        return self._names.horizontalAdvance(one.name) + _ROUNDING

    def _width(self, one: LegendEntry) -> int:
        return _SWATCH + _GAP + self._name_width(one) + _GAP + self._value_widths.get(one.name, 0)

    def _rows(self, width: int) -> list[list[LegendEntry]]:
        rows: list[list[LegendEntry]] = []
        used = 0
        for one in self._entries:
            need = self._width(one)
            if not rows or used + need > width:
                rows.append([])
                used = 0
            rows[-1].append(one)
            used += need + _BETWEEN
        return rows
