"""The body as a form: a tree of fields with editors, and buttons to add and remove."""

from __future__ import annotations

from functools import partial
from typing import Any

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QPersistentModelIndex, QPoint, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QMenu,
    QPushButton,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTreeView,
    QVBoxLayout,
    QWidget,
)

from memphis_desktop.inspect.forms import Field, FieldKind
from memphis_desktop.language import tr
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screens.composer.form_model import FormModel
from memphis_desktop.ui.theme import fonts

Index = QModelIndex | QPersistentModelIndex
_COMPACT = "min-height: 0; max-height: 100px; padding: 0 6px; border-radius: 0;"


class _Delegate(QStyledItemDelegate):
    """A list for choices, a line for the rest."""

    def createEditor(self, parent: QWidget, option: QStyleOptionViewItem, index: Index) -> QWidget:
        """The editor of a cell."""
        model = index.model()
        assert isinstance(model, FormModel)
        field = model.effective(model.node(index))
        options = ("true", "false") if field.kind is FieldKind.BOOLEAN else field.options
        if index.column() == 1 and options:
            box = QComboBox(parent)
            box.addItems(list(options))
            box.setStyleSheet(_COMPACT)
            return box
        editor = QLineEdit(parent)
        editor.setFrame(False)
        editor.setStyleSheet(_COMPACT)
        editor.setFont(fonts.monospace(theme.SIZE_CAPTION))
        return editor

    def setEditorData(self, editor: QWidget, index: Index) -> None:
        """What stands in the cell."""
        text = str(index.data(Qt.ItemDataRole.EditRole) or "")
        if isinstance(editor, QComboBox):
            editor.setCurrentIndex(max(0, editor.findText(text)))
        elif isinstance(editor, QLineEdit):
            editor.setText(text)

    def setModelData(self, editor: QWidget, model: QAbstractItemModel, index: Index) -> None:
        """Hand over what was typed."""
        if isinstance(editor, QComboBox):
            model.setData(index, editor.currentText())
        elif isinstance(editor, QLineEdit):
            model.setData(index, editor.text())


class _Tree(QTreeView):
    """Insert adds, Delete removes."""

    add_requested = Signal()
    remove_requested = Signal()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """The keys of the form; the rest is the tree's."""
        meant = keymap.pressed("composer", event)
        if meant == "add":
            self.add_requested.emit()
        elif meant == "remove" or event.key() == Qt.Key.Key_Backspace:
            self.remove_requested.emit()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not event.modifiers():
            index = self.currentIndex()
            if index.isValid():
                self.edit(index.siblingAtColumn(1))
        else:
            super().keyPressEvent(event)


class FormView(QWidget):
    """Edits a body field by field."""

    edited = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = FormModel()
        self.tree = _Tree(self)
        self.tree.setProperty("framed", "true")
        self.tree.setModel(self.model)
        self.tree.setItemDelegate(_Delegate(self.tree))
        self.tree.setAccessibleName(tr("Fields of the body"))
        self.tree.setUniformRowHeights(True)
        self.tree.setFont(fonts.monospace(theme.SIZE_CAPTION))
        triggers = QAbstractItemView.EditTrigger
        self.tree.setEditTriggers(
            triggers.DoubleClicked
            | triggers.SelectedClicked
            | triggers.EditKeyPressed
            | triggers.AnyKeyPressed
        )
        header = self.tree.header()
        header.setStretchLastSection(True)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.resizeSection(0, 210)
        header.resizeSection(1, 280)
        self.tree.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.add_button = QPushButton(tr("Add"))
        self.add_button.setToolTip(tr("Set the field, or add an item to the list or map  ( Insert )"))
        self.remove_button = QPushButton(tr("Remove"))
        self.remove_button.setToolTip(tr("Take the value away  ( Delete )"))
        self.note = PlainLabel("", "bad", elide=Qt.TextElideMode.ElideRight)
        line = QHBoxLayout()
        line.setSpacing(theme.SPACE_2)
        line.addWidget(self.note, 1)
        for button in (self.add_button, self.remove_button):
            button.setProperty("kind", "ghost")
            button.setAutoDefault(False)
            line.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE_1)
        layout.addWidget(self.tree, 1)
        layout.addLayout(line)
        self.setFocusProxy(self.tree)
        self.model.edited.connect(self.edited)
        self.model.refused.connect(self.note.setText)
        self.add_button.clicked.connect(self.add)
        self.remove_button.clicked.connect(self.remove)
        self.tree.add_requested.connect(self.add)
        self.tree.remove_requested.connect(self.remove)
        self.tree.customContextMenuRequested.connect(self._menu)
        self.tree.selectionModel().currentChanged.connect(lambda *_: self._update_buttons())

    def set_form(self, field: Field, value: Any) -> None:
        """Show a value under a type."""
        self.note.setText("")
        self.model.set_form(field, value)
        self.tree.expandToDepth(1)
        if self.model.rowCount():
            self.tree.setCurrentIndex(self.model.index(0, 0))
        self._update_buttons()

    def add(self) -> None:
        """Add to the row with the cursor, or set it; at the top where there is no row."""
        index = self.tree.currentIndex().siblingAtColumn(0)
        node = self.model.node(index)
        if not self.model.can_add(node):
            index = index.parent()  # next to it
            node = self.model.node(index)
        if not self.model.can_add(node):
            return
        if node.field.kind is FieldKind.UNION and not self.model.is_set(node):
            self._branch_menu(index)
            return
        self._show_added(self.model.add(index))

    def remove(self) -> None:
        """Take the value with the cursor away."""
        index = self.tree.currentIndex().siblingAtColumn(0)
        if index.isValid():
            self.model.remove(index)
            self._update_buttons()

    def _show_added(self, index: QModelIndex) -> None:
        if index.isValid():
            self.tree.expand(index.parent())
            self.tree.expand(index)
            self.tree.setCurrentIndex(index)
        self._update_buttons()

    def _branch_menu(self, index: QModelIndex, point: QPoint | None = None) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._fill_branches(menu, index)
        place = point or self.tree.viewport().mapToGlobal(self.tree.visualRect(index).bottomLeft())
        menu.popup(place)

    def _fill_branches(self, menu: QMenu, index: QModelIndex) -> None:
        for branch in self.model.node(index).field.children():
            title = branch.title().replace("&", "&&")
            menu.addAction(title, partial(self._choose, QPersistentModelIndex(index), branch))

    def _choose(self, index: QPersistentModelIndex, branch: Field) -> None:
        if index.isValid():
            self._show_added(self.model.add(index, branch))

    def _menu(self, point: QPoint) -> None:
        index = self.tree.indexAt(point).siblingAtColumn(0)
        if not index.isValid():
            return
        node = self.model.node(index)
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        if node.field.kind is FieldKind.UNION:
            self._fill_branches(menu.addMenu(tr("Set as")), index)
        menu.addAction(keymap.with_keys(tr("Add"), "composer.add"), self.add).setEnabled(
            self.model.can_add(node)
        )
        menu.addAction(keymap.with_keys(tr("Remove"), "composer.remove"), self.remove).setEnabled(
            self.model.is_set(node)
        )
        menu.popup(self.tree.viewport().mapToGlobal(point))

    def _update_buttons(self) -> None:
        index = self.tree.currentIndex().siblingAtColumn(0)
        node = self.model.node(index)
        above = self.model.node(index.parent()) if index.isValid() else node
        self.add_button.setEnabled(self.model.can_add(node) or self.model.can_add(above))
        self.remove_button.setEnabled(index.isValid() and self.model.is_set(node))
