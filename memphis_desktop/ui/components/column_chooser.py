"""Choosing and arranging the columns of a table: a list that stays open, by mouse and by keyboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, QSize, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
)

from memphis_desktop.language import tr
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.filter_bar import FilterField
from memphis_desktop.ui.components.labels import PlainLabel, plain_tooltip
from memphis_desktop.ui.components.table_model import Column
from memphis_desktop.ui.format import visible_text

if TYPE_CHECKING:
    from memphis_desktop.ui.components.data_table import DataTable

_SIZE = (340, 480)
_FRAME = 32  # of the screen's height, for what the system puts around a window
# What columns whose header is empty are called in the chooser and in files, by their keys.
_UNTITLED = {
    "changed": tr("Changed"),
    "health": tr("Health"),
    "kind": tr("Kind"),
    "mark": tr("Mark"),
    "severity": tr("Severity"),
    "state": tr("State"),
    "text": tr("Text"),
    "verdict": tr("Verdict"),
}
_KEY = Qt.ItemDataRole.UserRole


def column_title(column: Column) -> str:
    """What a column is called, also one whose header is empty because its cells say it."""
    title = column.title or _UNTITLED.get(column.key) or column.key.replace("_", " ")
    return f"{column.chosen_in} › {title}" if column.chosen_in else title


class ColumnChooser(QDialog):
    """Every change shows in the table at once. Space shows or hides, Alt with the arrows moves."""

    def __init__(self, table: DataTable) -> None:
        super().__init__(table.window())
        self._table = table
        self.setWindowTitle(tr("Columns"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.filter = FilterField(tr("Filter columns"))
        self.filter.textChanged.connect(self._filter)
        self.list = QListWidget()
        self.list.setAccessibleName(tr("Columns"))
        self.list.setDragDropMode(QAbstractItemView.DragDropMode.InternalMove)
        self.list.setProperty("framed", True)
        self.list.installEventFilter(self)
        self.filter.left.connect(self.list.setFocus)
        self._fill()
        self.list.itemChanged.connect(self._changed)
        self.list.model().rowsMoved.connect(lambda *_: self._take_order())
        reset = QPushButton(tr("Reset columns"))
        reset.clicked.connect(self._reset)
        close = QPushButton(tr("Close"))
        close.setDefault(True)
        close.clicked.connect(self.accept)
        buttons = QHBoxLayout()
        buttons.addWidget(reset)
        buttons.addStretch()
        buttons.addWidget(close)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_4, theme.SPACE_4, theme.SPACE_4, theme.SPACE_3)
        layout.setSpacing(theme.SPACE_3)
        layout.addWidget(PlainLabel(tr("Columns"), "section"))
        layout.addWidget(self.filter)
        layout.addWidget(self.list, 1)
        layout.addWidget(
            PlainLabel(tr("Drag a column, or move it with Alt and the arrow keys."), "caption", wrap=True)
        )
        layout.addLayout(buttons)
        room = self.screen().availableGeometry().size() - QSize(0, _FRAME)
        self.resize(QSize(*_SIZE).boundedTo(room))
        self.list.setFocus()

    def _fill(self) -> None:
        self.list.blockSignals(True)
        self.list.clear()
        header = self._table.view.horizontalHeader()
        for place in range(header.count()):
            index = header.logicalIndex(place)
            column = self._table.model.columns[index]
            item = QListWidgetItem(visible_text(column_title(column)))
            item.setData(_KEY, index)
            item.setToolTip(plain_tooltip(column.tooltip))
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsDropEnabled)  # between others, not onto one
            hidden = header.isSectionHidden(index)
            item.setCheckState(Qt.CheckState.Unchecked if hidden else Qt.CheckState.Checked)
            self.list.addItem(item)
        self.list.setCurrentRow(0)
        self.list.blockSignals(False)

    def _filter(self, text: str) -> None:
        words = text.lower().split()
        for row in range(self.list.count()):
            title = self.list.item(row).text().lower()
            self.list.item(row).setHidden(not all(word in title for word in words))

    def _changed(self, item: QListWidgetItem) -> None:
        shown = item.checkState() == Qt.CheckState.Checked
        if not shown and len(self._table.visible_columns()) <= 1:
            item.setCheckState(Qt.CheckState.Checked)  # a table without any could not be brought back
            return
        self._table.set_column_visible(item.data(_KEY), shown)

    def _take_order(self) -> None:
        for place in range(self.list.count()):
            self._table.move_column(self.list.item(place).data(_KEY), place)

    def _reset(self) -> None:
        self._table.reset_columns()
        self._fill()
        self._filter(self.filter.text())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Alt with an arrow moves the column that the cursor is on."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            steps = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1}
            if event.modifiers() == Qt.KeyboardModifier.AltModifier and event.key() in steps:
                self._move(steps[Qt.Key(event.key())])
                return True
        return False

    def _move(self, by: int) -> None:
        row = self.list.currentRow()
        if 0 <= row + by < self.list.count():
            item = self.list.takeItem(row)
            self.list.insertItem(row + by, item)
            self.list.setCurrentItem(item)
            self._take_order()
