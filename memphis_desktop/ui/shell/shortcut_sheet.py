"""The sheet of shortcuts (?): what the keyboard does here."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from memphis_desktop.language import tr
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components.labels import PlainLabel

_BESIDE = 96  # of the window's width: margins, and a rest of the window
_ABOVE_AND_BELOW = 140  # title, buttons, margins
_BAR = 16


class ShortcutSheet(QDialog):
    """Groups of keys side by side, within the window; Escape or ? closes it."""

    change_requested = Signal()

    def __init__(self, parent: QWidget, groups: Sequence[tuple[str, Sequence[tuple[str, str]]]]) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Keyboard shortcuts"))
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        parts = [_group(title, keys) for title, keys in groups if keys]
        self._area = QScrollArea()
        self._area.setWidgetResizable(True)
        inside = _in_columns(parts, parent.width() - _BESIDE)
        self._area.setWidget(inside)
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
        layout.addWidget(self._area, 1)
        layout.addLayout(buttons)
        wanted = inside.sizeHint()
        self._area.setMinimumWidth(min(wanted.width() + _BAR, parent.width() - _BESIDE))
        self.resize(0, min(wanted.height() + _ABOVE_AND_BELOW, parent.height() - theme.SPACE_6))


def key_cap(keys: str) -> QLabel:
    """Keys drawn like a key cap, in the manner of the system."""
    label = PlainLabel(keymap.native(keys) or keys, "mono")
    label.setProperty("keycap", True)
    return label


def _in_columns(parts: Sequence[QWidget], width: int) -> QWidget:
    """Groups side by side as far as there is width, the others below the shortest."""
    count = len(parts)
    columns: list[list[QWidget]] = []
    while count:
        columns = [[] for _ in range(count)]
        for part in parts:
            shortest = min(columns, key=lambda column: sum(one.sizeHint().height() for one in column))
            shortest.append(part)
        widths = [max(one.sizeHint().width() for one in column) for column in columns if column]
        if sum(widths) + theme.SPACE_6 * (len(widths) - 1) <= width:
            break
        count -= 1
    holder = QWidget()
    holder.setObjectName("scrolled")
    line = QHBoxLayout(holder)
    line.setContentsMargins(0, 0, theme.SPACE_2, 0)
    line.setSpacing(theme.SPACE_6)
    for column in columns:
        stack = QVBoxLayout()
        stack.setSpacing(theme.SPACE_5)
        for part in column:
            stack.addWidget(part)
        stack.addStretch()
        line.addLayout(stack)
    line.addStretch()
    return holder


def _group(title: str, keys: Sequence[tuple[str, str]]) -> QWidget:
    grid = QGridLayout()
    grid.setHorizontalSpacing(theme.SPACE_4)
    grid.setVerticalSpacing(theme.SPACE_2)
    for row, (sequence, text) in enumerate(keys):
        grid.addWidget(key_cap(sequence), row, 0, Qt.AlignmentFlag.AlignLeft)
        grid.addWidget(PlainLabel(text), row, 1)
    grid.setColumnStretch(1, 1)
    part = QWidget()
    column = QVBoxLayout(part)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(theme.SPACE_3)
    column.addWidget(PlainLabel(title, "strong"))
    column.addLayout(grid)
    return part
