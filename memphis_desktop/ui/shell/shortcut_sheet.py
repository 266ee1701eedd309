"""The sheet of shortcuts (?): what the keyboard does here."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QDialog, QGridLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from memphis_desktop.language import tr
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components.labels import PlainLabel


class ShortcutSheet(QDialog):
    """Groups of keys side by side; Escape or ? closes it."""

    change_requested = Signal()

    def __init__(self, parent: QWidget, groups: Sequence[tuple[str, Sequence[tuple[str, str]]]]) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Keyboard shortcuts"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        columns = QHBoxLayout()
        columns.setSpacing(theme.SPACE_6)
        for title, keys in groups:
            if keys:
                columns.addLayout(_group(title, keys))
        change = QPushButton(tr("Change keys"))
        change.clicked.connect(self.accept)
        change.clicked.connect(self.change_requested)
        close = QPushButton(tr("Close"))
        close.clicked.connect(self.accept)
        change.setAutoDefault(False)
        close.setDefault(True)
        close.setFocus()
        buttons = QHBoxLayout()
        buttons.setSpacing(theme.SPACE_2)
        buttons.addStretch()
        buttons.addWidget(change)
        buttons.addWidget(close)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_5, theme.SPACE_5, theme.SPACE_5, theme.SPACE_4)
        layout.setSpacing(theme.SPACE_4)
        layout.addWidget(PlainLabel(tr("Keyboard shortcuts"), "section"))
        layout.addLayout(columns)
        layout.addLayout(buttons)


def key_cap(keys: str) -> QLabel:
    """Keys drawn like a key cap, in the manner of the system."""
    label = PlainLabel(keymap.native(keys) or keys, "mono")
    label.setProperty("keycap", True)
    return label


def _group(title: str, keys: Sequence[tuple[str, str]]) -> QVBoxLayout:
    grid = QGridLayout()
    grid.setHorizontalSpacing(theme.SPACE_4)
    grid.setVerticalSpacing(theme.SPACE_2)
    for row, (sequence, text) in enumerate(keys):
        grid.addWidget(key_cap(sequence), row, 0, Qt.AlignmentFlag.AlignLeft)
        grid.addWidget(PlainLabel(text), row, 1)
    column = QVBoxLayout()
    column.setSpacing(theme.SPACE_3)
    column.addWidget(PlainLabel(title, "strong"))
    column.addLayout(grid)
    column.addStretch()
    return column
