"""A body as fields: each row one field of the type, changed in place; what comes out is plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QColor

from memphis_desktop.inspect.decode import DecodeError, exact_json
from memphis_desktop.inspect.forms import Field, FieldKind, FieldProblem, default_value, read_scalar
from memphis_desktop.inspect.forms.fields import SCALARS
from memphis_desktop.inspect.forms.json_types import value_field
from memphis_desktop.inspect.forms.matching import branch_of
from memphis_desktop.language import tr
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.json_tree import preview
from memphis_desktop.ui.components.labels import plain_tooltip
from memphis_desktop.ui.format import visible_text

Index: TypeAlias = QModelIndex | QPersistentModelIndex
MAX_CHILDREN = 2_000  # rows made for one list or map; more are edited as JSON
MAX_DEPTH = 40  # levels shown; deeper ones are edited as JSON
_UNSET: Any = object()


class FormNode:
    """One row: a field, and the place of its value in the container above."""

    __slots__ = ("children", "field", "key", "parent", "row")

    def __init__(self, field: Field, parent: FormNode | None, key: str | int, row: int) -> None:
        self.field = field
        self.parent = parent
        self.key = key
        self.row = row
        self.children: list[FormNode] = []


class FormModel(QAbstractItemModel):
    """Field, value, type. `value()` is the body as plain data with exact numbers."""

    edited = Signal()
    refused = Signal(str)  # why what was typed cannot stand there; empty once it can

    def __init__(self) -> None:
        super().__init__()
        self._holder: dict[str | int, Any] = {"": {}}
        self._root = FormNode(Field("", FieldKind.OBJECT), None, "", 0)
        self._former: list[FormNode] = []  # rows taken away: Qt may still hold indexes of them

    def set_form(self, field: Field, value: Any) -> None:
        """Show a value under a type; None begins with the type's own."""
        self.beginResetModel()
        self._holder = {"": default_value(field) if value is None else value}
        self._root = FormNode(field, None, "", 0)
        self._former = []
        self._make(self._root)
        self.endResetModel()

    def value(self) -> Any:
        """The body as it stands."""
        return self._holder[""]

    # Values -------------------------------------------------------------------------------------

    def value_of(self, node: FormNode) -> Any:
        """The value of a row, `_UNSET` when there is none."""
        container = self._holder if node.parent is None else self.value_of(node.parent)
        if isinstance(container, Mapping):
            return container.get(node.key, _UNSET)
        if isinstance(container, list) and isinstance(node.key, int) and node.key < len(container):
            return container[node.key]
        return _UNSET

    def effective(self, node: FormNode) -> Field:
        """The field with unions and free JSON told by what stands there."""
        field, value = node.field, self.value_of(node)
        for _ in range(8):
            if field.kind is FieldKind.UNION and value is not _UNSET:
                branch = branch_of(value, field.children())
                if branch is None:
                    return value_field(value, field.name)
                field = branch.named(field.name)
            elif field.kind is FieldKind.ANY and value is not _UNSET:
                return value_field(value, field.name)
            else:
                break
        return field

    def is_set(self, node: FormNode) -> bool:
        """Whether the row has a value."""
        return self.value_of(node) is not _UNSET

    def _put(self, node: FormNode, value: Any) -> None:
        parent = node.parent
        container = self._holder if parent is None else self.value_of(parent)
        if container is _UNSET and parent is not None:
            container = {}
            self._put(parent, container)
        container[node.key] = value
        if parent is not None and node.field.group:
            for other in parent.children:
                if other is not node and other.field.group == node.field.group and self.is_set(other):
                    del container[other.key]
                    self._rebuild(other)

    # Changes ------------------------------------------------------------------------------------

    def can_add(self, node: FormNode) -> bool:
        """Whether something can be added below a row, or the row itself be set."""
        if not self.is_set(node):
            return True
        field = self.effective(node)
        return field.kind in (FieldKind.LIST, FieldKind.MAP) or (
            field.kind is FieldKind.OBJECT and field.open
        )

    def add(self, index: Index, branch: Field | None = None) -> QModelIndex:
        """Set a row that has no value, or add an item below it; returns where the new value stands."""
        node = self.node(index)
        if branch is not None or not self.is_set(node):
            self._put(node, default_value(branch or node.field))
            self._rebuild(node)
            self.edited.emit()
            return self.index_of(node)
        field, container = self.effective(node), self.value_of(node)
        if field.kind is FieldKind.LIST and isinstance(container, list):
            container.append(default_value(field.item()) if field.item is not None else None)
        elif isinstance(container, dict):
            item = default_value(field.item()) if field.item is not None else ""
            container[_free_key(container)] = item
        else:
            return QModelIndex()
        self._rebuild(node)
        self.edited.emit()
        return self.index_of(node.children[-1]) if node.children else QModelIndex()

    def remove(self, index: Index) -> bool:
        """Take a value away: an item leaves its list, a field is not set any more."""
        node = self.node(index)
        parent = node.parent
        if parent is None or not self.is_set(node):
            return False
        container = self.value_of(parent)
        del container[node.key]
        self._rebuild(parent)
        self.edited.emit()
        return True

    def _rebuild(self, node: FormNode) -> None:
        index = self.index_of(node)
        if node.children:
            self.beginRemoveRows(index, 0, len(node.children) - 1)
            self._former += node.children
            node.children = []
            self.endRemoveRows()
        made = self._children(node)
        if made:
            self.beginInsertRows(index, 0, len(made) - 1)
            self._adopt(node, made)
            self.endInsertRows()
        if index.isValid():
            self.dataChanged.emit(index, index.siblingAtColumn(2))

    def _make(self, node: FormNode) -> None:
        self._adopt(node, self._children(node))

    def _adopt(self, node: FormNode, children: list[FormNode]) -> None:
        node.children = children
        if _depth(node) < MAX_DEPTH:
            for child in children:
                if self.is_set(child):
                    self._make(child)

    def _children(self, node: FormNode) -> list[FormNode]:
        value = self.value_of(node)
        if value is _UNSET and node.parent is not None:
            return []
        field = self.effective(node)
        if field.kind is FieldKind.OBJECT:
            fields = list(field.children())
            known = {child.name for child in fields}
            further = value if isinstance(value, Mapping) else {}
            fields += [Field(key, FieldKind.ANY) for key in further if key not in known]
            return [FormNode(child, node, child.name, row) for row, child in enumerate(fields)]
        if field.kind is FieldKind.LIST and isinstance(value, list):
            item = field.item() if field.item is not None else Field("", FieldKind.ANY)
            return [FormNode(item, node, row, row) for row in range(min(len(value), MAX_CHILDREN))]
        if field.kind is FieldKind.MAP and isinstance(value, Mapping):
            item = field.item() if field.item is not None else Field("", FieldKind.ANY)
            keys = list(value)[:MAX_CHILDREN]
            return [FormNode(item, node, key, row) for row, key in enumerate(keys)]
        return []

    # What views ask -----------------------------------------------------------------------------

    def node(self, index: Index) -> FormNode:
        """The row of an index; the root for none."""
        return index.internalPointer() if index.isValid() else self._root

    def index_of(self, node: FormNode, column: int = 0) -> QModelIndex:
        """The index of a row."""
        return QModelIndex() if node.parent is None else self.createIndex(node.row, column, node)

    def index(self, row: int, column: int, parent: Index = QModelIndex()) -> QModelIndex:
        """The index of a child."""
        if not self.hasIndex(row, column, parent):
            return QModelIndex()
        return self.createIndex(row, column, self.node(parent).children[row])

    def parent(self, index: Index) -> QModelIndex:  # type: ignore[override]
        """Where it hangs."""
        above = self.node(index).parent if index.isValid() else None
        return QModelIndex() if above is None else self.index_of(above)

    def rowCount(self, parent: Index = QModelIndex()) -> int:
        """Fields or items."""
        return 0 if parent.column() > 0 else len(self.node(parent).children)

    def columnCount(self, parent: Index = QModelIndex()) -> int:
        """Field, value, type."""
        return 3

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Scalars are edited in place; so are the keys of maps and free objects."""
        flags = super().flags(index)
        if not index.isValid():
            return flags
        node = self.node(index)
        scalar = self.effective(node).kind in (*SCALARS, FieldKind.ANY, FieldKind.UNION)
        if (index.column() == 1 and scalar) or (index.column() == 0 and self.key_is_free(node)):
            flags |= Qt.ItemFlag.ItemIsEditable
        return flags

    def key_is_free(self, node: FormNode) -> bool:
        """Whether the row's name is the user's own: a key of a map, or a further field of an object."""
        if node.parent is None or not isinstance(node.key, str):
            return False
        above = self.effective(node.parent)
        if above.kind is FieldKind.MAP:
            return True
        return above.kind is FieldKind.OBJECT and all(child.name != node.key for child in above.children())

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Texts; what is not set stands back."""
        if not index.isValid():
            return None
        node, column = self.node(index), index.column()
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            if column == 0:
                return visible_text(str(node.key), 200) if role == Qt.ItemDataRole.DisplayRole else node.key
            if column == 1:
                return self._value_text(node, editing=role == Qt.ItemDataRole.EditRole)
            return self._type_text(node)
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain_tooltip(node.field.help or self._type_text(node))
        if role == Qt.ItemDataRole.ForegroundRole:
            look = theme.manager().current
            muted = column == 2 or not self.is_set(node)
            return QColor(look.muted if muted else look.text)
        return None

    def _type_text(self, node: FormNode) -> str:
        field = node.field
        title = (self.effective(node) if field.kind is FieldKind.ANY else field).title()
        if node.field.group:
            title = tr("{type}  (one of {group})", type=title, group=node.field.group)
        return tr("{type}  required", type=title) if node.field.required else title

    def _value_text(self, node: FormNode, *, editing: bool) -> str:
        value = self.value_of(node)
        if value is _UNSET:
            return "" if editing else "not set"
        if not editing:
            return preview(value)
        if isinstance(value, str) and node.field.kind is not FieldKind.ANY:
            return value
        return exact_json.write(value, None)  # free JSON is typed as such: "12" is a text, 12 a number

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Titles."""
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return (tr("Field"), tr("Value"), tr("Type"))[section] if section < 3 else None
        return None

    def setData(self, index: Index, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Take what was typed, or say why it cannot stand there."""
        if role != Qt.ItemDataRole.EditRole or not index.isValid():
            return False
        node, text = self.node(index), str(value)
        if index.column() == 0:
            return self._rename(node, text)
        if not self.is_set(node) and not text:
            return False  # an editor was opened and left again
        try:
            self._put(node, self._read(node, text))
        except FieldProblem as problem:
            self.refused.emit(f"{node.key}: {problem}")
            return False
        self.refused.emit("")
        self._rebuild(node)
        self.edited.emit()
        return True

    def _read(self, node: FormNode, text: str) -> Any:
        field = node.field
        if field.kind is FieldKind.UNION:
            return _read_union(field.children(), self.effective(node), text)
        if field.kind is FieldKind.ANY:
            return _read_free(text)
        return read_scalar(field, text)

    def _rename(self, node: FormNode, key: str) -> bool:
        assert node.parent is not None
        container = self.value_of(node.parent)
        if not self.key_is_free(node) or key == node.key:
            return False
        if key in container:
            self.refused.emit(tr("There is a key {key} already.", key=visible_text(key, 60)))
            return False
        entries = [(key if name == node.key else name, item) for name, item in container.items()]
        container.clear()
        container.update(entries)
        self._rebuild(node.parent)
        self.edited.emit()
        return True


def _depth(node: FormNode) -> int:
    depth = 0
    while node.parent is not None:
        node, depth = node.parent, depth + 1
    return depth


def _free_key(container: Mapping[str, Any]) -> str:
    number = len(container) + 1
    while f"key{number}" in container:
        number += 1
    return f"key{number}"


def _read_union(branches: tuple[Field, ...], present: Field, text: str) -> Any:
    """The present branch first, then the others in their order."""
    problems: list[str] = []
    ordered = sorted(branches, key=lambda branch: branch.kind is not present.kind)
    if text == "null":
        ordered.sort(key=lambda branch: branch.kind is not FieldKind.NULL)
    for branch in ordered:
        if branch.kind is FieldKind.NULL and text not in ("", "null"):
            continue
        if branch.kind is FieldKind.ANY:
            return _read_free(text)
        try:
            return read_scalar(branch, text)
        except FieldProblem as problem:
            problems.append(str(problem))
    raise FieldProblem(problems[0] if problems else tr("This cannot be typed as a text"))


def _read_free(text: str) -> Any:
    """JSON where it is JSON, else the text itself."""
    try:
        return exact_json.parse(text.encode("utf-8", "surrogateescape"))
    except DecodeError:
        return text
