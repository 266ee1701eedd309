"""The legend of a graph: a piece of each line, its name, and its value now or under the crosshair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from PySide6.QtCore import QPointF, QRect, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from memphis_desktop.ui import theme
from memphis_desktop.ui.components.labels import plain_tooltip
from memphis_desktop.ui.theme import fonts

_SWATCH = 14
_GAP = 6
_BETWEEN = 14


@dataclass(frozen=True)
class LegendEntry:
    """One line of the graph."""

    name: str
    value: str
    colour: str
    dash: Qt.PenStyle = Qt.PenStyle.SolidLine


class Legend(QWidget):
    """Right-aligned in one row. When that is too narrow the longest names are cut, then all are left out."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._entries: Sequence[LegendEntry] = ()
        self._moment = ""
        self._name_font = fonts.interface(theme.SIZE_CAPTION)
        self._value_font = fonts.interface(theme.SIZE_CAPTION, fonts.SEMIBOLD)
        self._names = QFontMetrics(self._name_font)
        self._values = QFontMetrics(self._value_font)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def set_entries(self, entries: Sequence[LegendEntry], moment: str = "") -> None:
        """Show other values; ``moment`` is the time under the crosshair."""
        if list(entries) != list(self._entries) or moment != self._moment:
            self._entries, self._moment = tuple(entries), moment
            self.setToolTip(plain_tooltip("\n".join(f"{one.name}: {one.value}" for one in entries)))
            self.update()

    def sizeHint(self) -> QSize:
        """Everything in one row."""
        return QSize(sum(self._widths(self._name_width)), 20)

    def minimumSizeHint(self) -> QSize:
        """It gives way."""
        return QSize(40, 20)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw from the right, so that nothing moves when the title changes."""
        look = theme.manager().current
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        longest = self._longest_name()
        widths = self._widths(partial(self._cut_width, longest))
        left = self.width() - sum(widths)
        middle, height = self.height() / 2, self.height()
        align = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft)
        if self._moment:
            painter.setFont(self._name_font)
            painter.setPen(QColor(look.muted))
            room = self._names.horizontalAdvance(self._moment)
            if left >= room + _BETWEEN:
                painter.drawText(QRect(left - room - _BETWEEN, 0, room + 1, height), align, self._moment)
        for one, width in zip(self._entries, widths, strict=True):
            x = left
            painter.setPen(QPen(QColor(one.colour), 2.5, one.dash))
            painter.drawLine(QPointF(x, middle), QPointF(x + _SWATCH, middle))
            x += _SWATCH + _GAP
            if longest:
                room = min(self._name_width(one), longest)
                painter.setFont(self._name_font)
                painter.setPen(QColor(look.muted))
                name = self._names.elidedText(one.name, Qt.TextElideMode.ElideRight, room)
                painter.drawText(QRect(x, 0, room + 1, height), align, name)
                x += room + _GAP
            painter.setFont(self._value_font)
            painter.setPen(QColor(look.text))
            painter.drawText(QRect(x, 0, left + width - x, height), align, one.value)
            left += width

    def _name_width(self, one: LegendEntry) -> int:
        return self._names.horizontalAdvance(one.name)

    def _cut_width(self, longest: int, one: LegendEntry) -> int:
        return min(self._name_width(one), longest)

    def _value_width(self, one: LegendEntry) -> int:
        return self._values.horizontalAdvance(one.value)

    def _widths(self, name_width: Callable[[LegendEntry], int]) -> list[int]:
        result = []
        for index, one in enumerate(self._entries):
            name = name_width(one)
            between = _BETWEEN if index + 1 < len(self._entries) else 0
            result.append(_SWATCH + _GAP + (name + _GAP if name else 0) + self._value_width(one) + between)
        return result

    def _longest_name(self) -> int:
        """How long a name may be for everything to fit; 0 to leave names out."""
        whole = max((self._name_width(one) for one in self._entries), default=0)
        for longest in (whole, 120, 80, 56, 40):
            if longest > whole:
                continue
            if sum(self._widths(partial(self._cut_width, longest))) <= self.width():
                return longest
        return 0
