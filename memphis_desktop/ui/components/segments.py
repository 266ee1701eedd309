"""A choice among a few, all visible: a row of joined buttons."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QButtonGroup, QFrame, QGridLayout, QPushButton, QSizePolicy, QWidget


class Segments(QFrame):
    """``choices`` are (key, title); emits the key that was chosen."""

    chosen = Signal(str)

    def __init__(self, choices: Sequence[tuple[str, str]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("panel", "segments")
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._buttons: dict[str, QPushButton] = {}
        group = QButtonGroup(self)
        group.setExclusive(True)
        layout = self._layout = QGridLayout(self)
        layout.setContentsMargins(2, 2, 2, 2)
        layout.setSpacing(0)
        for key, title in choices:
            button = QPushButton(title.replace("&", "&&"))
            button.setCheckable(True)
            button.setProperty("kind", "segment")
            button.clicked.connect(lambda _checked=False, key=key: self.chosen.emit(key))
            group.addButton(button)
            self._buttons[key] = button
        self._columns = 0
        self.set_columns(len(choices))

    def set_columns(self, columns: int) -> None:
        """So many beside each other, the rest in further rows."""
        if columns == self._columns:
            return
        self._columns = columns
        for index, button in enumerate(self._buttons.values()):
            self._layout.addWidget(button, *divmod(index, columns))

    def row_width(self) -> int:
        """What all in one row need."""
        margins = self._layout.contentsMargins()
        wanted = sum(button.sizeHint().width() for button in self._buttons.values())
        return wanted + margins.left() + margins.right()

    def set_choice(self, key: str) -> None:
        """Light one without telling."""
        if key in self._buttons:
            self._buttons[key].setChecked(True)

    def button(self, key: str) -> QPushButton:
        """The button of a choice."""
        return self._buttons[key]

    def choice(self) -> str:
        """The key that is lit."""
        return next((key for key, button in self._buttons.items() if button.isChecked()), "")
