"""Paints the cells of a message list straight from its rows."""

from __future__ import annotations

import math
from collections.abc import Callable

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import (
    QColor,
    QFontInfo,
    QFontMetrics,
    QFontMetricsF,
    QPainter,
    QPen,
    QStaticText,
    QTextOption,
)
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.ui import theme
from memphis_desktop.ui.screens.messages.rows import Gap, Index, MessageListModel
from memphis_desktop.ui.theme import fonts

PAD = 8
_TEXTS_KEPT = 4_000
_SELECTED = QStyle.StateFlag.State_Selected.value
_MOUSE_OVER = QStyle.StateFlag.State_MouseOver.value
_ONE_LINE = QTextOption()
_ONE_LINE.setWrapMode(QTextOption.WrapMode.NoWrap)


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
        self._is_fixed = QFontInfo(self._mono).fixedPitch()
        self._letter = QFontMetricsF(self._mono).horizontalAdvance("0" * 32) / 32
        self._texts: dict[tuple[str, int, bool], tuple[QStaticText, int, int]] = {}
        look = theme.manager().current
        self._line = QPen(QColor(look.line), 1)
        self._selection, self._hover = QColor(look.selection), QColor(look.hover)
        self._pens = {True: QPen(QColor(look.muted)), False: QPen(QColor(look.text))}

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
        rect: QRect = option.rect
        number = index.column()
        row = self._model.rows[index.row()]
        state = option.state.value
        if state & _SELECTED:
            painter.fillRect(rect, self._selection)
        elif state & _MOUSE_OVER:
            painter.fillRect(rect, self._hover)
        painter.setPen(self._line)
        painter.drawLine(rect.left(), rect.bottom(), rect.right(), rect.bottom())
        if isinstance(row, Gap):
            return  # the view paints the sentence across all columns
        if number == 0:
            self._paint_edge(painter, rect, row)
        column = self._model.columns[number]
        text = column.text(row, self._model.zone)
        if not text:
            return
        room = rect.width() - 2 * PAD
        drawn, width, height = self._drawn(text, room, column.mono)
        painter.setFont(self._mono if column.mono else self._plain)
        painter.setPen(self._pens[column.muted])
        left = rect.left() + PAD + (room - width if column.right else 0)
        top = rect.top() + (rect.height() - 1 - height) // 2
        if text.isascii():
            painter.drawStaticText(left, top, drawn)
            return
        painter.save()  # marks above and below letters stay in their row
        painter.setClipRect(rect)
        painter.drawStaticText(left, top, drawn)
        painter.restore()

    def _paint_edge(self, painter: QPainter, rect: QRect, row: InspectedMessage) -> None:
        """A stripe at the left for a marked row, or of the colour of what it belongs to."""
        token = "accent" if row.sequence in self.marked else self.tint(row) if self.tint is not None else ""
        if token:
            colour = QColor(theme.manager().current.colour(token))
            painter.fillRect(QRect(rect.left(), rect.top(), 3, rect.height() - 1), colour)

    def _drawn(self, text: str, room: int, mono: bool) -> tuple[QStaticText, int, int]:
        """Return a text laid out, cut to its room, and its size; the same texts come again and again."""
        key = (text, room, mono)
        found = self._texts.get(key)
        if found is None:
            text, width = self._fitting(text, room, mono)
            drawn = QStaticText(text.replace("\n", " "))
            drawn.setTextFormat(Qt.TextFormat.PlainText)
            drawn.setTextOption(_ONE_LINE)
            drawn.prepare(font=self._mono if mono else self._plain)
            found = drawn, width, self._metrics[mono].height()
            if len(self._texts) >= _TEXTS_KEPT:
                self._texts.clear()
            self._texts[key] = found
        return found

    def _fitting(self, text: str, room: int, mono: bool) -> tuple[str, int]:
        """Return what of a text fits, with its width; of one letter's width each it need not be measured."""
        if mono and self._is_fixed and text.isascii() and text.isprintable():
            letters = int(room / self._letter)
            if len(text) > letters:
                text = text[: max(0, letters - 1)] + "…"
            return text, math.ceil(len(text) * self._letter)
        metrics = self._metrics[mono]
        width = metrics.horizontalAdvance(text)
        if width > room:
            text = metrics.elidedText(text, Qt.TextElideMode.ElideRight, room)
            width = metrics.horizontalAdvance(text)
        return text, width
