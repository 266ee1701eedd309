"""A value as a tree: objects, arrays and scalars, made branch by branch as they are opened.

Works on Python values, so integers of any size and decimals are shown exactly as they were read.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import islice
from typing import Any

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QPersistentModelIndex, QPoint, Qt, Signal
from PySide6.QtGui import QColor, QGuiApplication
from PySide6.QtWidgets import QHeaderView, QMenu, QTreeView, QVBoxLayout, QWidget

from memphis_desktop.inspect.decode.exact_json import scalar_text, write
from memphis_desktop.inspect.filter.paths import path_step
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.labels import plain_tooltip
from memphis_desktop.ui.format import integer, visible_text
from memphis_desktop.ui.theme import fonts

Index = QModelIndex | QPersistentModelIndex
_BATCH = 500  # children added at a time
_PREVIEW = 512
_OPEN_CHILDREN = 200  # levels are opened by themselves only while this many rows are shown

KEY_SHARE = 0.5  # of the width that keys may take, however deep they are


class _Node:
    """One value and where it hangs. Children are made when first asked for."""

    __slots__ = ("_children", "key", "parent", "row", "value")

    def __init__(self, key: str | int | None, value: Any, parent: _Node | None, row: int) -> None:
        self.key = key
        self.value = value
        self.parent = parent
        self.row = row
        self._children: list[_Node] | None = None

    def size(self) -> int:
        """How many children there are, made or not."""
        return len(self.value) if isinstance(self.value, (dict, list, tuple)) else 0

    def made(self) -> int:
        """How many children exist as nodes."""
        return len(self._children) if self._children is not None else 0

    def make(self, count: int) -> None:
        """Make children up to ``count``."""
        if self._children is None:
            self._children = []
        have = len(self._children)
        if isinstance(self.value, dict):
            pairs: Any = islice(self.value.items(), have, count)
        else:
            pairs = enumerate(self.value[have:count], have)
        for key, value in pairs:
            self._children.append(_Node(key, value, self, len(self._children)))

    def child(self, row: int) -> _Node:
        """A made child."""
        assert self._children is not None
        return self._children[row]


class JsonModel(QAbstractItemModel):
    """Two columns: key and value."""

    def __init__(self) -> None:
        super().__init__()
        self._root = _Node(None, {}, None, 0)

    def set_value(self, value: Any) -> None:
        """Show another value; a scalar stands alone as one row."""
        self.beginResetModel()
        self._root = _Node(None, value if isinstance(value, (dict, list, tuple)) else {"": value}, None, 0)
        self._root.make(_BATCH)
        self.endResetModel()

    def node(self, index: Index) -> _Node:
        """The node of an index; the root for none."""
        return index.internalPointer() if index.isValid() else self._root

    def index(self, row: int, column: int, parent: Index = QModelIndex()) -> QModelIndex:
        """The index of a made child."""
        if not self.hasIndex(row, column, parent):
            return QModelIndex()
        return self.createIndex(row, column, self.node(parent).child(row))

    def parent(self, index: Index) -> QModelIndex:  # type: ignore[override]
        """Where it hangs."""
        above = self.node(index).parent if index.isValid() else None
        if above is None or above is self._root:
            return QModelIndex()
        return self.createIndex(above.row, 0, above)

    def rowCount(self, parent: Index = QModelIndex()) -> int:
        """Made children."""
        return 0 if parent.column() > 0 else self.node(parent).made()

    def columnCount(self, parent: Index = QModelIndex()) -> int:
        """Key and value."""
        return 2

    def hasChildren(self, parent: Index = QModelIndex()) -> bool:
        """Whether it can be opened."""
        return parent.column() <= 0 and self.node(parent).size() > 0

    def canFetchMore(self, parent: Index) -> bool:
        """Whether children are still to be made."""
        node = self.node(parent)
        return parent.column() <= 0 and node.made() < node.size()

    def fetchMore(self, parent: Index) -> None:
        """Make the next batch."""
        node = self.node(parent)
        first = node.made()
        last = min(node.size(), first + _BATCH) - 1
        if last >= first:
            self.beginInsertRows(parent, first, last)
            node.make(last + 1)
            self.endInsertRows()

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Texts, bounded; colours by type."""
        if not index.isValid():
            return None
        node = self.node(index)
        if role == Qt.ItemDataRole.DisplayRole:
            return visible_text(str(node.key), _PREVIEW) if index.column() == 0 else preview(node.value)
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tooltip(preview(node.value, 1500)) if index.column() == 1 else None
        if role == Qt.ItemDataRole.ForegroundRole:
            look = theme.manager().current
            return QColor(look.muted if index.column() == 0 else look.colour(_token(node.value)))
        return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Key and Value."""
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return (tr("Key"), tr("Value"))[section] if section < 2 else None
        return None

    def path(self, index: Index) -> str:
        """The JSONPath of an index: ``$.order.items[2].id``."""
        steps: list[str] = []
        node: _Node | None = self.node(index)
        while node is not None and node.parent is not None:
            steps.append(path_step(node.key if isinstance(node.key, int) else str(node.key)))
            node = node.parent
        return "$" + "".join(reversed(steps))


def preview(value: Any, limit: int = _PREVIEW) -> str:
    """A value in one bounded line."""
    if isinstance(value, dict):
        return (
            "{ " + tr_count("{count} key", "{count} keys", len(value), count=integer(len(value))) + " }"
            if value
            else "{ }"
        )
    if isinstance(value, (list, tuple)):
        return (
            "[ " + tr_count("{count} item", "{count} items", len(value), count=integer(len(value))) + " ]"
            if value
            else "[ ]"
        )
    if isinstance(value, str):
        return f'"{visible_text(value, limit)}"'
    if isinstance(value, (bytes, bytearray)):
        return (
            tr_count("{count} byte", "{count} bytes", len(value), count=integer(len(value)))
            + f"  {bytes(value[:48]).hex(' ')}"
            + ("…" if len(value) > 48 else "")
        )
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return visible_text(str(value), limit)


def _token(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return "warning"
    if isinstance(value, (int, float, Decimal)):
        return "information"
    if isinstance(value, str):
        return "good"
    return "muted"


class JsonTree(QWidget):
    """The tree with copying of values and paths, and what a browser around it may do with them."""

    filter_requested = Signal(str)  # an expression that is true for this value
    column_requested = Signal(str)  # a path

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.offers_filters = False
        self.model = JsonModel()
        self.view = QTreeView()
        self.view.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
        self.view.setModel(self.model)
        self.view.setAccessibleName(tr("JSON"))
        self.view.setUniformRowHeights(True)
        self.view.setFont(fonts.monospace())
        self.view.setIndentation(16)
        self.view.setExpandsOnDoubleClick(True)
        self.view.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Interactive)
        self.view.header().setStretchLastSection(True)
        self.view.header().setDefaultAlignment(
            Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignAbsolute
        )
        self.view.header().resizeSection(0, 200)
        self.view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.view.customContextMenuRequested.connect(self._menu)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.view)
        self.setFocusProxy(self.view)
        theme.manager().changed.connect(self.view.viewport().update)

    def set_value(self, value: Any) -> None:
        """Show a Python value; small ones come opened."""
        self.model.set_value(value)
        self._open_small()
        width = self.view.sizeHintForColumn(0) + 24
        most = max(160, round(self.view.viewport().width() * KEY_SHARE))  # the values are what is read
        self.view.header().resizeSection(0, max(120, min(360, most, width)))

    def _open_small(self) -> None:
        """Open level by level while the whole stays readable."""
        level = [self.model.index(row, 0) for row in range(self.model.rowCount())]
        shown = len(level)
        while level:
            grown = sum(min(_BATCH, self.model.node(index).size()) for index in level)
            if not grown or shown + grown > _OPEN_CHILDREN:
                return
            following: list[QModelIndex] = []
            for index in level:
                if self.model.canFetchMore(index):
                    self.model.fetchMore(index)
                self.view.expand(index)
                following += [self.model.index(row, 0, index) for row in range(self.model.rowCount(index))]
            shown += grown
            level = following

    def _menu(self, point: QPoint) -> None:
        index = self.view.indexAt(point)
        if not index.isValid():
            return
        index = index.siblingAtColumn(0)
        value = self.model.node(index).value
        clipboard = QGuiApplication.clipboard()
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction(tr("Copy value"), lambda: clipboard.setText(value_text(value)))
        menu.addAction(tr("Copy path"), lambda: clipboard.setText(self.model.path(index)))
        menu.addSeparator()
        if self.offers_filters:
            path = self.model.path(index)
            if not isinstance(value, (dict, list, tuple, bytes)):
                expression = f"json{path[1:]} == {scalar_text(value)}"
                menu.addAction(
                    tr("Find messages with this value"), lambda: self.filter_requested.emit(expression)
                )
            menu.addAction(tr("Show as a column"), lambda: self.column_requested.emit(path))
            menu.addSeparator()
        menu.addAction(tr("Expand all below"), lambda: self.view.expandRecursively(index, 6))
        menu.popup(self.view.viewport().mapToGlobal(point))


def value_text(value: Any) -> str:
    """A value for the clipboard: strings bare, the rest as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    return write(value)
