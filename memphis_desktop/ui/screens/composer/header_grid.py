"""An editable list of headers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from PySide6.QtCore import QLocale, QModelIndex, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QCompleter,
    QHeaderView,
    QLineEdit,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from memphis_desktop.inspect.decode.text import visible
from memphis_desktop.inspect.draft import WELL_KNOWN_HEADERS
from memphis_desktop.inspect.message import check_header
from memphis_desktop.language import tr
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components.labels import plain_tooltip
from memphis_desktop.ui.theme import fonts

_HELP = dict(WELL_KNOWN_HEADERS)


class _NameDelegate(QStyledItemDelegate):
    """Offers well-known names while one is typed."""

    def displayText(self, value: Any, locale: QLocale | QLocale.Language) -> str:
        """Invisible and direction-changing characters as signs; the editor has them as they are."""
        return visible(str(value), single_line=True)

    def createEditor(
        self, parent: QWidget, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> QWidget:
        """A line with completion for names, a plain one for values."""
        editor = QLineEdit(parent)
        editor.setFrame(False)
        editor.setStyleSheet("min-height: 0; max-height: 100px; padding: 0 6px; border-radius: 0;")
        editor.setFont(fonts.monospace(theme.SIZE_CAPTION))
        if index.column() == 0:
            completer = QCompleter([name for name, _ in WELL_KNOWN_HEADERS], editor)
            completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
            completer.setFilterMode(Qt.MatchFlag.MatchContains)
            editor.setCompleter(completer)
        return editor


class HeaderGrid(QTableWidget):
    """Name and value; the last line is always empty and ready. Delete removes a line."""

    edited = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, 2, parent)
        self.setHorizontalHeaderLabels([tr("Header"), tr("Value")])
        self.setAccessibleName(tr("Headers"))
        self.setProperty("framed", "true")
        self.setStyleSheet("QTableWidget::item { padding: 0 6px; }")  # in line with the titles
        self.verticalHeader().hide()
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.verticalHeader().setDefaultSectionSize(theme.manager().density.row)
        self.horizontalHeader().setSectionResizeMode(0, QHeaderView.ResizeMode.Interactive)
        self.horizontalHeader().setStretchLastSection(True)
        self.horizontalHeader().setDefaultAlignment(
            Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        )
        self.horizontalHeader().resizeSection(0, 240)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.AllEditTriggers)
        self.setTabKeyNavigation(False)
        self.setItemDelegate(_NameDelegate(self))
        self.itemChanged.connect(self._changed)
        self._filling = False
        self.set_headers(())

    def set_headers(self, headers: Iterable[tuple[str, str]]) -> None:
        """Show these."""
        self._filling = True
        self.setRowCount(0)
        for name, value in headers:
            self._add(name, value)
        self._add("", "")
        self._filling = False
        self.edited.emit()

    def headers(self) -> tuple[tuple[str, str], ...]:
        """What is written, without empty lines."""
        rows = ((self._text(row, 0), self._text(row, 1)) for row in range(self.rowCount()))
        return tuple((name, value) for name, value in rows if name or value)

    def problem(self) -> str:
        """Why these cannot be sent, or nothing."""
        for name, value in self.headers():
            try:
                check_header(name, value)
            except ValueError as error:
                return str(error)
        return ""

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Delete takes the line away."""
        if keymap.pressed("composer", event) == "remove" or event.key() == Qt.Key.Key_Backspace:
            if self.rowCount() > 1 and self.currentRow() < self.rowCount() - 1:
                self.removeRow(self.currentRow())
                self.edited.emit()
        elif event.key() in (Qt.Key.Key_Tab, Qt.Key.Key_Backtab):
            event.ignore()
        else:
            super().keyPressEvent(event)

    def _text(self, row: int, column: int) -> str:
        item = self.item(row, column)
        return item.text().strip() if item is not None else ""

    def _add(self, name: str, value: str) -> None:
        row = self.rowCount()
        self.insertRow(row)
        for column, text in enumerate((name, value)):
            item = QTableWidgetItem(text)
            item.setFont(fonts.monospace(theme.SIZE_CAPTION))
            self.setItem(row, column, item)
        self._set_help(row)

    def _set_help(self, row: int) -> None:
        item = self.item(row, 0)
        if item is not None:
            item.setToolTip(plain_tooltip(_HELP.get(item.text().strip(), "")))

    def _changed(self, item: QTableWidgetItem) -> None:
        if self._filling:
            return
        self._filling = True
        self._set_help(item.row())
        if item.row() == self.rowCount() - 1 and item.text().strip():
            self._add("", "")
        self._filling = False
        self.edited.emit()
