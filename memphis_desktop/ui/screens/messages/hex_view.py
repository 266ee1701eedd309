"""Bytes as hex, painted row by row, so that any size opens at once."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtGui import (
    QColor,
    QFontMetrics,
    QGuiApplication,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QMenu, QWidget

from memphis_desktop.inspect.decode import hexdump
from memphis_desktop.language import tr
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.theme import fonts

_PAD = 8
MAX_COPY = 4 << 20  # bytes put on the clipboard at once


class HexView(QAbstractScrollArea):
    """Offsets, pairs and characters. Rows are marked with the mouse and copied."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._data = b""
        self._width = 16
        self._anchor: int | None = None
        self._head: int | None = None
        self._take_fonts()
        theme.manager().changed.connect(self._take_fonts)
        self.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
        self.setFrameShape(QAbstractScrollArea.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(tr("Hex"))
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._menu)
        theme.manager().changed.connect(self.viewport().update)

    def _take_fonts(self) -> None:
        self._font = fonts.monospace(theme.SIZE_CAPTION)
        self._metrics = QFontMetrics(self._font)

    def set_data(self, data: bytes) -> None:
        """Show other bytes."""
        self._data = data
        self._anchor = self._head = None
        self.setAccessibleDescription(tr("{data} bytes", data=len(data)))
        self._arrange()
        self.verticalScrollBar().setValue(0)
        self.viewport().update()

    def data(self) -> bytes:
        """What is shown."""
        return self._data

    def row_height(self) -> int:
        """Height of a row in pixels."""
        return self._metrics.height() + 3

    def selected_rows(self) -> tuple[int, int] | None:
        """First and last marked row."""
        if self._anchor is None or self._head is None:
            return None
        return min(self._anchor, self._head), max(self._anchor, self._head)

    def copy(self) -> None:
        """Put the marked rows (all when none are marked) on the clipboard, up to a bound."""
        rows = self.selected_rows() or (0, hexdump.row_count(len(self._data), self._width) - 1)
        part = self._data[rows[0] * self._width : (rows[1] + 1) * self._width][:MAX_COPY]
        QGuiApplication.clipboard().setText(part.hex(" "))

    def copy_dump(self) -> None:
        """The same with offsets and characters."""
        first, last = self.selected_rows() or (0, hexdump.row_count(len(self._data)) - 1)
        count = min(last - first + 1, MAX_COPY // 16)
        QGuiApplication.clipboard().setText(hexdump.dump(self._data, first, count))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Scroll; the keys of ``payload`` copy, mark and go to the ends."""
        bar = self.verticalScrollBar()
        page = max(1, self.viewport().height() // self.row_height() - 1)
        steps = {
            Qt.Key.Key_Down: 1,
            Qt.Key.Key_Up: -1,
            Qt.Key.Key_PageDown: page,
            Qt.Key.Key_PageUp: -page,
        }
        meant = keymap.pressed("payload", event)
        if meant == "copy":
            self.copy()
        elif meant == "dump":
            self.copy_dump()
        elif meant == "all":
            self._anchor, self._head = 0, hexdump.row_count(len(self._data), self._width) - 1
            self.viewport().update()
        elif event.key() in steps:
            bar.setValue(bar.value() + steps[Qt.Key(event.key())])
        elif meant == "first":
            bar.setValue(0)
        elif meant == "last":
            bar.setValue(bar.maximum())
        else:
            event.ignore()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Begin to mark rows."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._anchor = self._head = self._row_at(event.position().toPoint())
            self.viewport().update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Mark as far as the mouse."""
        if event.buttons() & Qt.MouseButton.LeftButton and self._anchor is not None:
            self._head = self._row_at(event.position().toPoint())
            self.viewport().update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Only the rows in view."""
        look = theme.manager().current
        painter = QPainter(self.viewport())
        painter.fillRect(event.rect(), QColor(look.surface))
        painter.setFont(self._font)
        height = self.row_height()
        first = self.verticalScrollBar().value()
        last = min(
            hexdump.row_count(len(self._data), self._width), first + self.viewport().height() // height + 2
        )
        character = self._metrics.horizontalAdvance("0")
        pairs_left = _PAD + 10 * character - self.horizontalScrollBar().value()
        text_left = pairs_left + (self._width * 3 + 2) * character
        marked = self.selected_rows()
        for row in range(first, last):
            top = (row - first) * height
            if marked and marked[0] <= row <= marked[1]:
                painter.fillRect(QRect(0, top, self.viewport().width(), height), QColor(look.selection))
            offset, pairs, text = hexdump.row(self._data, row, self._width)
            base = top + self._metrics.ascent() + 1
            painter.setPen(QColor(look.muted))
            painter.drawText(pairs_left - 10 * character, base, offset)
            painter.setPen(QColor(look.text))
            painter.drawText(pairs_left, base, pairs)
            painter.setPen(QColor(look.good))
            painter.drawText(text_left, base, text)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Eight bytes a row where sixteen do not fit."""
        super().resizeEvent(event)
        self._arrange()

    def _arrange(self) -> None:
        character = max(1, self._metrics.horizontalAdvance("0"))
        room = (self.viewport().width() - 2 * _PAD) // character
        top_byte = self.verticalScrollBar().value() * self._width
        self._width = 16 if room >= 10 + 16 * 4 + 2 else 8
        rows = hexdump.row_count(len(self._data), self._width)
        shown = max(1, self.viewport().height() // self.row_height())
        bar = self.verticalScrollBar()
        bar.setRange(0, max(0, rows - shown))
        bar.setPageStep(shown)
        bar.setValue(top_byte // self._width)
        needed = 10 + self._width * 4 + 2
        self.horizontalScrollBar().setRange(0, max(0, (needed - room) * character))

    def _row_at(self, point: QPoint) -> int:
        row = self.verticalScrollBar().value() + point.y() // self.row_height()
        return max(0, min(row, hexdump.row_count(len(self._data), self._width) - 1))

    def _menu(self, point: QPoint) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction(tr("Copy hex"), self.copy)
        menu.addAction(tr("Copy with offsets"), self.copy_dump)
        menu.popup(self.viewport().mapToGlobal(point))
