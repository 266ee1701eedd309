"""The tree of subjects being discovered."""

from __future__ import annotations

from typing import Any, TypeAlias

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QPersistentModelIndex, Qt

from memphis_desktop.inspect.decode.text import visible
from memphis_desktop.inspect.live import SubjectNode, SubjectTree
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures

Index: TypeAlias = QModelIndex | QPersistentModelIndex


class _Item:
    """A node as the view knows it: children appear only through `sync`."""

    __slots__ = ("children", "known", "node", "parent", "row")

    def __init__(self, node: SubjectNode, parent: _Item | None, row: int) -> None:
        self.node = node
        self.parent = parent
        self.row = row
        self.children: list[_Item] = []
        self.known: set[str] = set()


class SubjectTreeModel(QAbstractItemModel):
    """Subject, messages, rate. New subjects are put at the end of their branch."""

    def __init__(self) -> None:
        super().__init__()
        self._root = _Item(SubjectNode(""), None, 0)

    def set_tree(self, tree: SubjectTree) -> None:
        """Show another tree."""
        self.beginResetModel()
        self._root = _Item(tree.root, None, 0)
        self.endResetModel()
        self.sync()

    def sync(self) -> None:
        """Take in what was discovered since, and repaint the figures."""
        waiting: list[tuple[_Item, QModelIndex]] = [(self._root, QModelIndex())]
        while waiting:
            item, index = waiting.pop()
            new = [name for name in item.node.children if name not in item.known]
            if new:
                first = len(item.children)
                self.beginInsertRows(index, first, first + len(new) - 1)
                for name in new:
                    item.known.add(name)
                    item.children.append(_Item(item.node.children[name], item, len(item.children)))
                self.endInsertRows()
            if item.children:
                left = self.createIndex(0, 1, item.children[0])
                right = self.createIndex(len(item.children) - 1, 2, item.children[-1])
                self.dataChanged.emit(left, right, [Qt.ItemDataRole.DisplayRole])
            waiting += [(child, self.createIndex(child.row, 0, child)) for child in item.children]

    def subject(self, index: Index) -> str:
        """The pattern of an index: itself, or everything below it."""
        node = self._item(index).node
        return f"{node.path()}.>" if node.children else node.path()

    def _item(self, index: Index) -> _Item:
        return index.internalPointer() if index.isValid() else self._root

    def index(self, row: int, column: int, parent: Index = QModelIndex()) -> QModelIndex:
        """The index of a child."""
        if not self.hasIndex(row, column, parent):
            return QModelIndex()
        return self.createIndex(row, column, self._item(parent).children[row])

    def parent(self, index: Index) -> QModelIndex:  # type: ignore[override]
        """Where it hangs."""
        above = self._item(index).parent if index.isValid() else None
        if above is None or above is self._root:
            return QModelIndex()
        return self.createIndex(above.row, 0, above)

    def rowCount(self, parent: Index = QModelIndex()) -> int:
        """Subjects known to the view."""
        return 0 if parent.column() > 0 else len(self._item(parent).children)

    def columnCount(self, parent: Index = QModelIndex()) -> int:
        """Name, messages, rate."""
        return 3

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Texts."""
        if not index.isValid():
            return None
        node = self._item(index).node
        if role == Qt.ItemDataRole.DisplayRole:
            if index.column() == 0:
                return visible(node.name, single_line=True)[:120]
            return figures.compact(node.messages) if index.column() == 1 else figures.rate(node.rate)
        if role == Qt.ItemDataRole.TextAlignmentRole and index.column():
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Titles."""
        if role == Qt.ItemDataRole.TextAlignmentRole and section:
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return (tr("Subject"), tr("Messages"), tr("Rate"))[section] if section < 3 else None
        return None
