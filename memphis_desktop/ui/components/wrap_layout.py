"""A row of fields and buttons that goes on in a further line where there is no room for all."""

from __future__ import annotations

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtWidgets import QHBoxLayout, QLayoutItem, QStyle, QWidget

from memphis_desktop.ui.components.flow_layout import FlowLayout


class WrapLayout(FlowLayout):
    """As a row that stretches some of its widgets, as long as all fit with the least they can do with.

    What stretches is asked for its least width, the rest for the width it wants.
    """

    def __init__(self, parent: QWidget | None = None, spacing: int = 8) -> None:
        super().__init__(parent, spacing)
        self._stretch: dict[int, int] = {}  # by the item's number

    def add(self, widget: QWidget, stretch: int = 0) -> None:
        """Put a widget at the end; what is left of its line is shared by ``stretch``."""
        self._stretch[self.count()] = stretch
        self.addWidget(widget)

    def add_stretch(self) -> None:
        """Push what follows to the end of its line."""
        self.add(QWidget(), 1)

    def sizeHint(self) -> QSize:
        """One line of all."""
        shown = [item for item in self._items if not item.isEmpty()]
        width = sum(item.sizeHint().width() for item in shown) + self.spacing() * max(0, len(shown) - 1)
        margins = self.contentsMargins()
        return QSize(width + margins.left() + margins.right(), self.minimumSize().height())

    def minimumSize(self) -> QSize:
        """At least the widest of what is shown."""
        size = QSize()
        for item in self._items:
            if not item.isEmpty():
                size = size.expandedTo(QSize(self._least(item), item.sizeHint().height()))
        margins = self.contentsMargins()
        return size + QSize(margins.left() + margins.right(), margins.top() + margins.bottom())

    def expandingDirections(self) -> Qt.Orientation:
        """It takes the whole width."""
        return Qt.Orientation.Horizontal

    def _least(self, item: QLayoutItem) -> int:
        stretches = self._stretch.get(self._items.index(item), 0)
        return (item.minimumSize() if stretches else item.sizeHint()).width()

    def _lines(self, width: int) -> list[list[QLayoutItem]]:
        lines: list[list[QLayoutItem]] = []
        used = 0
        for item in self._items:
            if item.isEmpty():
                continue
            wanted = self._least(item)
            if not lines or used + wanted > width:
                lines.append([])
                used = 0
            lines[-1].append(item)
            used += wanted + self.spacing()
        return lines

    def _lay_out(self, rect: QRect, *, move: bool) -> int:
        margins = self.contentsMargins()
        area = rect.marginsRemoved(margins)
        lines = self._lines(area.width())
        y = area.y()
        for line in lines:
            height = max(item.sizeHint().height() for item in line)
            if move:
                self._place(line, QRect(area.x(), y, area.width(), height))
            y += height + self.spacing()
        spent = y - area.y() - (self.spacing() if lines else 0)
        return spent + margins.top() + margins.bottom()

    def _place(self, line: list[QLayoutItem], area: QRect) -> None:
        widths = {id(item): self._least(item) for item in line}
        left = area.width() - sum(widths.values()) - self.spacing() * (len(line) - 1)
        open_ = [item for item in line if self._stretch.get(self._items.index(item), 0)]
        while left > 0 and open_:  # what one cannot take goes to the others
            shares = sum(self._stretch[self._items.index(item)] for item in open_)
            share, given, full = left, 0, []
            for item in open_:
                more = share * self._stretch[self._items.index(item)] // shares
                room = item.maximumSize().width() - widths[id(item)]
                if more >= room:
                    full.append(item)
                more = min(more, room)
                widths[id(item)] += more
                given += more
            left -= given
            open_ = [item for item in open_ if item not in full]
            if not full:
                break
        x = area.x()
        parent = self.parentWidget()
        direction = parent.layoutDirection() if parent is not None else Qt.LayoutDirection.LeftToRight
        for item in line:
            height = min(area.height(), item.sizeHint().height())
            place = QRect(x, area.y() + (area.height() - height) // 2, widths[id(item)], height)
            item.setGeometry(QStyle.visualRect(direction, area, place))
            x += widths[id(item)] + self.spacing()


def together(*widgets: QWidget) -> QWidget:
    """Return a holder of widgets that stay beside each other, such as a field and the word before it."""
    holder = QWidget()
    row = QHBoxLayout(holder)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(8)
    for widget in widgets:
        row.addWidget(widget)
    return holder
