"""A filter field with chips beside it, above a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QAction, QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QMenu, QPushButton, QSizePolicy, QWidget

from memphis_desktop.language import tr
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.chip_row import ChipRow
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.theme.icons import beside_text, icon

_TYPING_MS = 120


class FilterField(QLineEdit):
    """A line for filter words; Escape clears it, then gives the focus back."""

    left = Signal()

    def __init__(self, hint: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setPlaceholderText(hint)
        self.setAccessibleName(hint)
        self.setClearButtonEnabled(False)
        search = QAction(icon("magnifying-glass", "muted"), hint, self)
        self.addAction(search, QLineEdit.ActionPosition.LeadingPosition)
        self._clear = QAction(icon("x", "muted"), tr("Clear"), self)
        self._clear.triggered.connect(self.clear)
        self.addAction(self._clear, QLineEdit.ActionPosition.TrailingPosition)
        self._clear.setVisible(False)
        self.textChanged.connect(lambda text: self._clear.setVisible(bool(text)))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Escape clears, then leaves; Down leaves to the list."""
        if event.key() == Qt.Key.Key_Escape and self.text():
            self.clear()
        elif event.key() in (Qt.Key.Key_Escape, Qt.Key.Key_Down):
            self.left.emit()
        else:
            super().keyPressEvent(event)


class FilterBar(QWidget):
    """Emits the text shortly after typing stops, and each change of the chips."""

    text_changed = Signal(str)
    chips_changed = Signal(set)  # keys of the chips that are on
    left = Signal()  # the user is done typing: give the focus to the list

    def __init__(self, hint: str = tr("Filter"), parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.field = FilterField(f"{hint}  ( / )")
        self.field.setMinimumWidth(96)
        self.field.setMaximumWidth(340)
        self.field.left.connect(self.left)
        self._chips: dict[str, QPushButton] = {}
        self._entries: dict[str, QAction] = {}  # of the menus
        self._count = PlainLabel("", "caption", elide=Qt.TextElideMode.ElideRight)
        self._count.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_TYPING_MS)
        self._timer.timeout.connect(lambda: self.text_changed.emit(self.field.text()))
        self.field.textChanged.connect(lambda _: self._timer.start())
        self._chip_row = ChipRow()
        self._end = QHBoxLayout()
        self._end.setSpacing(theme.SPACE_2)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE_2)
        layout.addWidget(self.field, 2)
        layout.addWidget(self._chip_row)
        layout.addWidget(self._count, 1)
        layout.addLayout(self._end)

    def add_chip(self, key: str, title: str, tooltip: str = "", icon_name: str = "") -> QPushButton:
        """A switch that narrows the list."""
        chip = QPushButton(title.replace("&", "&&"))
        chip.setCheckable(True)
        chip.setProperty("kind", "chip")
        chip.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)  # its word is never cut
        chip.setToolTip(tooltip)
        if icon_name:
            beside_text(chip, icon(icon_name, "muted", token_on="accent"), 14)
        chip.toggled.connect(lambda _: self.chips_changed.emit(self.chips()))
        self._chips[key] = chip
        self._chip_row.add(chip)
        return chip

    def add_menu(self, title: str, entries: Sequence[tuple[str, str, str]]) -> QPushButton:
        """A chip with a menu of more switches: (key, title, tooltip) each; a title alone begins a section."""
        chip = QPushButton()
        chip.setProperty("kind", "chip")
        chip.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        chip.setAccessibleName(title)
        menu = QMenu(chip)
        menu.setToolTipsVisible(True)
        actions: dict[str, QAction] = {}
        for key, text, tooltip in entries:
            if not key:
                menu.addSection(text)
                continue
            action = menu.addAction(text.replace("&", "&&"))
            action.setCheckable(True)
            action.setToolTip(tooltip)
            action.toggled.connect(lambda _: self._menu_changed(chip, title, actions))
            actions[key] = action
        self._entries.update(actions)
        chip.setMenu(menu)
        self._chip_row.add(chip)
        self._show_menu_count(chip, title, 0)
        return chip

    def _menu_changed(self, chip: QPushButton, title: str, actions: Mapping[str, QAction]) -> None:
        self._show_menu_count(chip, title, sum(action.isChecked() for action in actions.values()))
        self.chips_changed.emit(self.chips())

    @staticmethod
    def _show_menu_count(chip: QPushButton, title: str, count: int) -> None:
        chip.setText(f"{title} · {count}" if count else title)
        chip.setProperty("on", "yes" if count else "no")
        chip.style().unpolish(chip)
        chip.style().polish(chip)

    def show_chip(self, key: str, shown: bool) -> None:
        """Take a chip away, switched off, or bring it back."""
        if key in self._entries:
            entry = self._entries[key]
            entry.setChecked(entry.isChecked() and shown)
            entry.setVisible(shown)
            return
        chip = self._chips[key]
        if not shown and chip.isChecked():
            chip.setChecked(False)
        self._chip_row.set_away(chip, not shown)

    def chips(self) -> set[str]:
        """The keys of the chips that are on."""
        found = {key for key, chip in self._chips.items() if chip.isChecked()}
        return found | {key for key, entry in self._entries.items() if entry.isChecked()}

    def set_chips(self, keys: set[str]) -> None:
        """Have just these chips on."""
        for key, chip in self._chips.items():
            chip.setChecked(key in keys)
        for key, entry in self._entries.items():
            entry.setChecked(key in keys)

    def add_widget(self, widget: QWidget) -> None:
        """Something at the right end."""
        self._end.addWidget(widget)

    def set_count(self, text: str) -> None:
        """How many rows there are (``12 of 340``)."""
        self._count.setText(text)
        self._count.setMinimumWidth(self._count.fontMetrics().horizontalAdvance(text) + 4)

    def text(self) -> str:
        """The filter as typed."""
        return self.field.text()

    def focus(self) -> None:
        """Put the cursor in, with everything marked."""
        self.field.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.field.selectAll()
