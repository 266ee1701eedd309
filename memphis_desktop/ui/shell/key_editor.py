"""The editor of shortcuts: every key in one list, changed in place, with what it would take them from."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent, QKeySequence, QShowEvent
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QKeySequenceEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import keymap, settings, theme
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.dialogs import FittingDialog
from memphis_desktop.ui.components.filter_bar import FilterBar
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.format import integer
from memphis_desktop.ui.keymap import Binding

_SIZE = (720, 600)
_NAMED = 3  # of those who would lose their keys
# What Qt calls keys that have their own work everywhere.
_FIXED = frozenset(("Up", "Down", "Left", "Right", "PgUp", "PgDown", "Tab", "Esc", "Backspace"))


def _where(binding: Binding) -> str:
    return keymap.place_title(binding.where)


def _marks(binding: Binding) -> list[tuple[str, str]]:
    return [(tr("Changed"), "information")] if binding.changed else []


COLUMNS = [
    Column("where", tr("Where"), _where, "text", 110),
    Column("title", tr("Action"), lambda binding: binding.title, "text", 260, stretch=True),
    Column("keys", tr("Keys"), lambda binding: keymap.native(binding.keys) or tr("none"), "mono", 150),
    Column("changed", "", _marks, "badge", 90),
]


class KeyField(QKeySequenceEdit):
    """Takes one combination of keys, whatever it means elsewhere. Tab leaves it, Escape clears it."""

    cleared = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setMaximumSequenceLength(1)
        self.setAccessibleName(tr("New keys"))
        self.setMinimumWidth(200)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Keys that move between fields or give up go on doing so."""
        if event.key() == Qt.Key.Key_Escape and not self.keySequence().isEmpty():
            self.clear()
        elif event.key() in (Qt.Key.Key_Tab, Qt.Key.Key_Backtab, Qt.Key.Key_Escape):
            event.ignore()
        else:
            super().keyPressEvent(event)


class KeyEditor(FittingDialog):
    """Changes take effect at once. The list begins at the keys of ``place``, those of a screen perhaps."""

    def __init__(self, parent: QWidget, place: str = keymap.EVERYWHERE) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Change keyboard shortcuts"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.filter = FilterBar(tr("Filter actions and keys"))
        self.table = DataTable(COLUMNS, lambda one: one.name, "shortcuts")
        self.filter.text_changed.connect(self.table.set_filter)
        self.filter.left.connect(self.table.setFocus)
        self.table.current_changed.connect(lambda _: self._show_current())
        self.places = QComboBox()
        self.places.setAccessibleName(tr("Where the keys work"))
        self.places.currentIndexChanged.connect(lambda _: self._choose_place())
        self.filter.add_widget(self.places)
        self.field = KeyField()
        self.table.row_activated.connect(lambda _: self.field.setFocus())
        self.field.keySequenceChanged.connect(lambda _: self._judge())
        self.set_button = QPushButton(tr("Use these keys"))
        self.set_button.setProperty("kind", "primary")
        self.set_button.clicked.connect(self._set)
        self.none_button = QPushButton(tr("No keys"))
        self.none_button.clicked.connect(lambda: self._choose(""))
        self.default_button = QPushButton(tr("Back to default"))
        self.default_button.clicked.connect(lambda: self._choose(None))
        self.reset_button = QPushButton(tr("Reset all"))
        self.reset_button.clicked.connect(self._reset)
        self.conflict = Banner("warning")
        self._build()
        self.resize(*_SIZE)
        settings.current().changed.connect(self._setting_changed)
        self._fill_places()
        self._fill()
        first = next((one for one in keymap.bindings() if one.where == place), keymap.bindings()[0])
        self.table.select_key(first.name)

    def _build(self) -> None:
        line = QHBoxLayout()
        line.setSpacing(theme.SPACE_2)
        for widget in (self.field, self.set_button, self.none_button, self.default_button):
            line.addWidget(widget)
        line.addStretch()
        close = QPushButton(tr("Close"))
        close.clicked.connect(self.accept)
        below = QHBoxLayout()
        below.addWidget(self.reset_button)
        below.addStretch()
        below.addWidget(close)
        self.current = PlainLabel("", "strong", elide=Qt.TextElideMode.ElideRight)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_5, theme.SPACE_5, theme.SPACE_5, theme.SPACE_4)
        layout.setSpacing(theme.SPACE_3)
        layout.addWidget(PlainLabel(tr("Change keyboard shortcuts"), "section"))
        layout.addWidget(self.filter)
        layout.addWidget(self.table, 1)
        layout.addWidget(self.current)
        layout.addLayout(line)
        layout.addWidget(self.conflict)
        layout.addLayout(below)
        for button in self.findChildren(QPushButton):
            button.setAutoDefault(False)  # Enter belongs to the list and the field

    # Showing ----------------------------------------------------------------------------------

    def _fill_places(self) -> None:
        self.places.addItem(tr("All screens"), "")
        for place in dict.fromkeys(binding.where for binding in keymap.bindings()):
            self.places.addItem(keymap.place_title(place), place)

    def _choose_place(self) -> None:
        place = self.places.currentData()
        self.table.set_predicate((lambda binding: binding.where == place) if place else None)

    def _fill(self) -> None:
        rows = keymap.bindings()
        self.table.set_rows(rows)
        self.table.set_state("ready")
        self.filter.set_count(
            tr_count("{count} shortcut", "{count} shortcuts", len(rows), count=integer(len(rows)))
        )
        self.reset_button.setEnabled(settings.current().get(keymap.SETTING) is not None)
        self._show_current()

    def _show_current(self) -> None:
        binding: Binding | None = self.table.current_row()
        for widget in (self.field, self.none_button, self.default_button):
            widget.setEnabled(binding is not None)
        if binding is None:
            self.current.setText("")
            return
        self.current.setText(binding.title)
        self.default_button.setEnabled(binding.changed)
        self.none_button.setEnabled(bool(binding.keys))
        self.default_button.setToolTip(keymap.native(binding.default))
        self.field.setKeySequence(QKeySequence(binding.keys))
        self._judge()

    def typed(self) -> str:
        """The keys in the field."""
        return self.field.keySequence().toString(QKeySequence.SequenceFormat.PortableText)

    def rivals(self) -> Sequence[Binding]:
        """Who has the keys in the field now."""
        binding: Binding | None = self.table.current_row()
        return keymap.conflicts(binding, self.typed()) if binding is not None else []

    def _judge(self) -> None:
        binding: Binding | None = self.table.current_row()
        keys = self.typed()
        rivals = self.rivals()
        changed = binding is not None and bool(keys) and keymap.normal(binding.keys) != keys
        self.set_button.setEnabled(changed and keys not in _FIXED)
        self.set_button.setText(tr("Take these keys") if rivals else tr("Use these keys"))
        text = ""
        if keys in _FIXED and changed:
            text = tr(
                "{keys} moves in lists and between fields. Choose other keys.", keys=keymap.native(keys)
            )
        elif rivals:
            names = ", ".join(f"{one.title} ({_where(one)})" for one in rivals[:_NAMED])
            if len(rivals) > _NAMED:
                names = tr("{names} and {count} more", names=names, count=len(rivals) - _NAMED)
            text = tr(
                "{keys} is taken by {names}, which would be left without keys.",
                keys=keymap.native(keys),
                names=names,
            )
        self.conflict.set_content("warning", text)
        if self.conflict.isHidden() == bool(text):
            self.conflict.setVisible(bool(text))
            QTimer.singleShot(0, self, self._keep_in_view)  # the list has another height now

    def _keep_in_view(self) -> None:
        self.table.view.scrollTo(self.table.view.currentIndex())

    def showEvent(self, event: QShowEvent) -> None:
        """The list has its height now: show where it begins."""
        super().showEvent(event)
        QTimer.singleShot(0, self, self._keep_in_view)

    # Changing ---------------------------------------------------------------------------------

    def _set(self) -> None:
        binding: Binding | None = self.table.current_row()
        if binding is not None:
            keymap.choose(binding.name, self.typed(), self.rivals())

    def _choose(self, keys: str | None) -> None:
        binding: Binding | None = self.table.current_row()
        if binding is None:
            return
        # What it comes with may be in use elsewhere by now.
        rivals = keymap.conflicts(binding, binding.default) if keys is None else []
        keymap.choose(binding.name, keys, rivals)

    def _reset(self) -> None:
        keymap.reset()

    def _setting_changed(self, key: str) -> None:
        if key == keymap.SETTING:
            self._fill()
