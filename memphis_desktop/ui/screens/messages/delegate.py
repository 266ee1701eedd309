"""Paints the cells of a message list straight from its rows."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPen
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.ui import theme
from memphis_desktop.ui.screens.messages.rows import Gap, Index, MessageListModel
from memphis_desktop.ui.theme import fonts

PAD = 8


class MessageDelegate(QStyledItemDelegate):
    """Paints cells straight from the rows."""

    def __init__(self, model: MessageListModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._take_fonts()
        theme.manager().changed.connect(self._take_fonts)
        self.marked: set[int] = set()  # sequences with a mark at their left edge
        self.tint: Callable[[InspectedMessage], str] | None = None  # the colour token of that edge otherwise

    def _take_fonts(self) -> None:
        self._plain = fonts.interface(theme.SIZE_CAPTION)
        self._mono = fonts.monospace(theme.SIZE_CAPTION)
        self._metrics = {False: QFontMetrics(self._plain), True: QFontMetrics(self._mono)}

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        """Wide enough for the text."""
        row = self._model.rows[index.row()]
        column = self._model.columns[index.column()]
        text = "" if isinstance(row, Gap) else column.text(row, self._model.zone)
        width = self._metrics[column.mono].horizontalAdvance(text[:400])
        return QSize(width + 2 * PAD + 4, theme.manager().density.row)

    def text_width(self, section: int, message: InspectedMessage) -> int:
        """Width of a cell that shows all of its text."""
        column = self._model.columns[section]
        text = column.text(message, self._model.zone)[:200]
        return self._metrics[column.mono].horizontalAdvance(text) + 2 * PAD + 2

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Background by state, a faint line, the text."""
        look = theme.manager().current
        rect: QRect = option.rect
        row = self._model.rows[index.row()]
        if option.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(rect, QColor(look.selection))
        elif option.state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(rect, QColor(look.hover))
        painter.setPen(QPen(QColor(look.line), 1))
        painter.drawLine(rect.left(), rect.bottom(), rect.right(), rect.bottom())
        if isinstance(row, Gap):
            return  # the view paints the sentence across all columns
        column = self._model.columns[index.column()]
        if row.sequence in self.marked and index.column() == 0:
            painter.fillRect(QRect(rect.left(), rect.top(), 3, rect.height() - 1), QColor(look.accent))
        elif self.tint is not None and index.column() == 0 and (token := self.tint(row)):
            painter.fillRect(QRect(rect.left(), rect.top(), 3, rect.height() - 1), QColor(look.colour(token)))
        area = rect.adjusted(PAD, 0, -PAD, -1)
        metrics = self._metrics[column.mono]
        text = column.text(row, self._model.zone)
        if metrics.horizontalAdvance(text) > area.width():
            text = metrics.elidedText(text, Qt.TextElideMode.ElideRight, area.width())
        painter.setFont(self._mono if column.mono else self._plain)
        painter.setPen(QColor(look.muted if column.muted else look.text))
        side = Qt.AlignmentFlag.AlignRight if column.right else Qt.AlignmentFlag.AlignLeft
        flags = int(side | Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine)
        if text.isascii():
            painter.drawText(area, flags, text)
            return
        painter.save()  # marks above and below letters stay in their row
        painter.setClipRect(rect)
        painter.drawText(area, flags, text)
        painter.restore()
