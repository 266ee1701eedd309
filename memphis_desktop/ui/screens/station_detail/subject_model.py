"""The subjects of a station as a tree by token, with counts; branches are made as they are opened."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, tzinfo
from typing import Any

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QPersistentModelIndex, Qt

from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.labels import plain_tooltip
from memphis_desktop.ui.theme import fonts

Index = QModelIndex | QPersistentModelIndex
COLUMNS = (
    (tr("Subject"), ""),
    (tr("Messages"), ""),
    (tr("Growth"), tr("Messages more each second, less what is removed meanwhile")),
    (tr("Last stored"), tr("When the newest message on or below it was stored")),
    (tr("Share"), tr("Of the station's messages")),
    (tr("Subjects below"), ""),
)
_LAST_STORED = 3


class SubjectNode:
    """A token below another: what is stored on it, and below it."""

    __slots__ = (
        "children",
        "growth",
        "last_ns",
        "messages",
        "order",
        "own",
        "parent",
        "row",
        "subjects",
        "timed_at",
        "token",
    )

    def __init__(self, token: str, parent: SubjectNode | None) -> None:
        self.token = token
        self.parent = parent
        self.own = 0  # messages on exactly this subject
        self.messages = 0  # these and all below
        self.subjects = 0  # subjects here and below
        self.children: dict[str, SubjectNode] = {}
        self.growth: float | None = None  # messages a second, between two readings
        self.last_ns: int | None = None  # when the newest of its messages was stored, once that was read
        self.timed_at = -1  # the station's last sequence then
        self.order: list[SubjectNode] | None = None  # the children as shown, once opened
        self.row = 0

    def shown(self) -> list[SubjectNode]:
        """The children, sorted by token; numbers by their value."""
        if self.order is None:
            self.order = sorted(self.children.values(), key=_by_token)
            for row, child in enumerate(self.order):
                child.row = row
        return self.order

    def subject(self) -> str:
        """The whole subject up to here."""
        parts = []
        node: SubjectNode | None = self
        while node is not None and node.parent is not None:
            parts.append(node.token)
            node = node.parent
        return ".".join(reversed(parts))

    def pattern(self) -> str:
        """What selects everything here and below."""
        subject = self.subject()
        if not self.children:
            return subject
        return f"{subject}.>" if subject else ">"

    def literal(self) -> Iterator[str]:
        """The subjects here and below, in the order of the tree; none of them has a wildcard."""
        left = [self]  # no recursion: a subject may have two thousand tokens
        while left:
            node = left.pop()
            if node.own:
                yield node.subject()
            left.extend(sorted(node.children.values(), key=_by_token, reverse=True))


def _by_token(node: SubjectNode) -> tuple[int, int, str]:
    return (0, int(node.token), "") if node.token.isdecimal() and len(node.token) < 19 else (1, 0, node.token)


def build_tree(counts: Mapping[str, int]) -> SubjectNode:
    """Return the root of the tree over subjects and their numbers of messages."""
    root = SubjectNode("", None)
    for subject, count in counts.items():
        node = root
        root.messages += count
        root.subjects += 1
        for token in subject.split("."):
            child = node.children.get(token)
            if child is None:
                child = node.children[token] = SubjectNode(token, node)
            child.messages += count
            child.subjects += 1
            node = child
        node.own += count
    return root


class SubjectModel(QAbstractItemModel):
    """See the module. `set_tree` keeps what is the same, so that open branches and the selection stay."""

    def __init__(self) -> None:
        super().__init__()
        self.root = SubjectNode("", None)
        self.zone: tzinfo = UTC
        self._read_at = 0.0
        self._elapsed: float | None = None

    def set_tree(self, root: SubjectNode, *, same: bool = True) -> None:
        """Show another tree: counts change in place, new subjects appear, others go.

        Args:
            root: Its root.
            same: Whether it is of the same subjects as the one before, so that what is more has grown.
        """
        now = time.monotonic()
        self._elapsed = now - self._read_at if same and self._read_at else None
        self._read_at = now
        self._merge(self.root, root, QModelIndex())

    def set_last_stored(self, node: SubjectNode, time_ns: int | None, sequence: int) -> None:
        """Show when the newest message of a node was stored, as read at a last sequence of the station."""
        node.timed_at = sequence
        if node.last_ns != time_ns and self._holds(node):
            node.last_ns = time_ns
            index = self.createIndex(node.row, _LAST_STORED, node)
            self.dataChanged.emit(index, index)

    def _holds(self, node: SubjectNode) -> bool:
        """Whether a node is in the tree still, and not its root."""
        while node.parent is not None:
            if node.parent.children.get(node.token) is not node:
                return False
            if node.parent is self.root:
                return True
            node = node.parent
        return False

    def _merge(self, old: SubjectNode, new: SubjectNode, index: QModelIndex) -> None:
        growth = (new.messages - old.messages) / self._elapsed if self._elapsed else None
        changed = (old.messages, old.subjects, old.own, old.growth) != (
            new.messages,
            new.subjects,
            new.own,
            growth,
        )
        old.messages, old.subjects, old.own, old.growth = new.messages, new.subjects, new.own, growth
        if old.order is None and old.children and old is not self.root:
            # Not opened yet: nobody has an index below, so the branch can be replaced as it is.
            old.children = new.children
            for child in old.children.values():
                child.parent = old
        else:
            self._merge_children(old, new, index)
        if changed and index.isValid():
            self.dataChanged.emit(index, index.siblingAtColumn(len(COLUMNS) - 1))

    def _merge_children(self, old: SubjectNode, new: SubjectNode, index: QModelIndex) -> None:
        shown = old.shown()
        for row in range(len(shown) - 1, -1, -1):
            if shown[row].token not in new.children:
                self.beginRemoveRows(index, row, row)
                gone = shown.pop(row)
                del old.children[gone.token]
                _number(shown, row)
                self.endRemoveRows()
        for row, child in enumerate(sorted(new.children.values(), key=_by_token)):
            if child.token in old.children:
                continue
            self.beginInsertRows(index, row, row)
            child.parent = old
            old.children[child.token] = child
            shown.insert(row, child)
            _number(shown, row)
            self.endInsertRows()
        for child in shown:
            fresh = new.children[child.token]
            if fresh is not child:
                self._merge(child, fresh, self.index(child.row, 0, index))

    def node(self, index: Index) -> SubjectNode:
        """The node of an index."""
        return index.internalPointer() if index.isValid() else self.root

    # What views ask

    def rowCount(self, parent: Index = QModelIndex()) -> int:
        """Children, for the first column only."""
        return 0 if parent.column() > 0 else len(self.node(parent).shown())

    def columnCount(self, parent: Index = QModelIndex()) -> int:
        """Always the same."""
        return len(COLUMNS)

    def hasChildren(self, parent: Index = QModelIndex()) -> bool:
        """Without sorting what nobody opens."""
        return parent.column() <= 0 and bool(self.node(parent).children)

    def index(self, row: int, column: int, parent: Index = QModelIndex()) -> QModelIndex:
        """The index of a child."""
        children = self.node(parent).shown()
        if not 0 <= row < len(children) or not 0 <= column < len(COLUMNS):
            return QModelIndex()
        return self.createIndex(row, column, children[row])

    def parent(self, child: Index = QModelIndex()) -> QModelIndex:  # type: ignore[override]
        """The index of the node above."""
        above = self.node(child).parent if child.isValid() else None
        if above is None or above is self.root:
            return QModelIndex()
        return self.createIndex(above.row, 0, above)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Token and figures."""
        if not index.isValid():
            return None
        node = self.node(index)
        if role == Qt.ItemDataRole.DisplayRole:
            return _cell(node, index.column(), self.root.messages)
        if role == Qt.ItemDataRole.FontRole and index.column() == 0:
            return fonts.monospace(theme.SIZE_CAPTION)
        if role == Qt.ItemDataRole.ToolTipRole and index.column() == _LAST_STORED and node.last_ns:
            return figures.timestamp(node.last_ns, self.zone)
        if role == Qt.ItemDataRole.ToolTipRole and index.column() == 0:
            return plain_tooltip(node.subject())
        if role == Qt.ItemDataRole.TextAlignmentRole and index.column() > 0:
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """The columns' names."""
        if orientation != Qt.Orientation.Horizontal or not 0 <= section < len(COLUMNS):
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[section][0]
        if role == Qt.ItemDataRole.ToolTipRole:
            return COLUMNS[section][1] or None
        if role == Qt.ItemDataRole.TextAlignmentRole and section > 0:
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None


def _number(nodes: list[SubjectNode], first: int) -> None:
    for row in range(first, len(nodes)):
        nodes[row].row = row


def _cell(node: SubjectNode, column: int, total: int) -> str:
    match column:
        case 0:
            return figures.visible_text(node.token)
        case 1:
            return figures.integer(node.messages)
        case 2:
            if node.growth is None:
                return figures.UNKNOWN
            return figures.rate(node.growth) if node.growth >= 0 else f"−{figures.rate(-node.growth)}"
        case 3:
            return figures.relative_time(node.last_ns, time.time_ns()) if node.last_ns else figures.UNKNOWN
        case 4:
            return figures.percent(node.messages / total) if total else figures.UNKNOWN
    return figures.integer(node.subjects) if node.children else ""
