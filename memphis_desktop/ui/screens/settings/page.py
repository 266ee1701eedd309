"""Pieces of the settings page: titled panels of rows, a name at the left and its field at the right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from memphis_desktop.language import tr
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.wrap_layout import WrapLayout
from memphis_desktop.ui.settings import Settings

T = TypeVar("T", int, str)

_SWATCH = QSize(20, 14)  # the colour, and what sets it off from its name


class Section(QFrame):
    """A panel with a title. ``refresh`` shows what the settings say now."""

    def __init__(self, title: str, store: Settings) -> None:
        super().__init__()
        self.setProperty("panel", "surface")
        self.store = store
        self.keys: set[str] = set()  # the settings shown here
        self._shows: list[Callable[[], None]] = []
        self.inside = QVBoxLayout(self)
        self.inside.setContentsMargins(theme.SPACE_4, theme.SPACE_4, theme.SPACE_4, theme.SPACE_4)
        self.inside.setSpacing(theme.SPACE_3)
        self.inside.addWidget(PlainLabel(title, "section"))

    def add_row(self, title: str, field: QWidget, help_text: str = "") -> None:
        """A setting."""
        words = QVBoxLayout()
        words.setSpacing(0)
        name = QLabel(title)
        name.setBuddy(field)
        words.addWidget(name)
        if help_text:
            words.addWidget(PlainLabel(help_text, "caption", wrap=True))
        if not field.accessibleName():
            field.setAccessibleName(title)
        field.setAccessibleDescription(help_text)
        line = QHBoxLayout()
        line.setSpacing(theme.SPACE_4)
        line.addLayout(words, 1)
        line.addWidget(field, 0, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight)
        self.inside.addLayout(line)

    def add_check(self, title: str, key: str, default: bool, help_text: str = "") -> QCheckBox:
        """A setting that is on or off; what is the default is not written down."""
        box = QCheckBox()
        box.setProperty("bare", True)
        box.toggled.connect(lambda on: self.store.set(key, None if on == default else on))
        self.show_with(key, box, lambda: box.setChecked(bool(self.store.get(key, default))))
        self.add_row(title, box, help_text)
        return box

    def add_choice(
        self, title: str, key: str, choices: Sequence[tuple[T, str]], default: T, help_text: str = ""
    ) -> QComboBox:
        """A setting that is one of a few values."""
        box = QComboBox()
        for value, text in choices:
            box.addItem(text, value)

        def choose() -> None:
            value = box.currentData()
            self.store.set(key, None if value == default else value)

        def show() -> None:
            index = box.findData(self.store.get(key, default))
            box.setCurrentIndex(index if index >= 0 else box.findData(default))

        box.currentIndexChanged.connect(choose)
        self.show_with(key, box, show)
        self.add_row(title, box, help_text)
        return box

    def add_button(
        self, title: str, text: str, callback: Callable[[], object], help_text: str = ""
    ) -> QPushButton:
        """Something to do."""
        button = QPushButton(text)
        button.clicked.connect(lambda: callback())
        self.add_row(title, button, help_text)
        return button

    def show_with(self, key: str, field: QWidget, show: Callable[[], None]) -> None:
        """Call ``show`` when the setting may be another; the field does not tell of it meanwhile."""

        def quietly() -> None:
            field.blockSignals(True)
            show()
            field.blockSignals(False)

        self.keys.add(key)
        self._shows.append(quietly)
        quietly()

    def refresh(self) -> None:
        """Show what the settings say now."""
        for show in self._shows:
            show()


class Swatches(QWidget):
    """A choice of colours, each with its name; the chosen one has the look of a switch that is on."""

    chosen = Signal(str)

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self._buttons: dict[str, _Swatch] = {}
        group = QButtonGroup(self)
        group.setExclusive(True)
        layout = WrapLayout(self, theme.SPACE_1)
        layout.setContentsMargins(0, 0, 0, 0)
        for name in names:
            button = _Swatch(name)
            button.clicked.connect(lambda _checked=False, name=name: self.chosen.emit(name))
            group.addButton(button)
            layout.add(button)
            self._buttons[name] = button

    def set_choice(self, name: str) -> None:
        """Mark one without telling."""
        if name in self._buttons:
            self._buttons[name].setChecked(True)

    def choice(self) -> str:
        """The one that is marked."""
        return next((name for name, button in self._buttons.items() if button.isChecked()), "")

    def button(self, name: str) -> QPushButton:
        """The button of a colour."""
        return self._buttons[name]


def colour_name(name: str) -> str:
    """What an accent is called."""
    names = {
        "violet": tr("Violet"),
        "blue": tr("Blue"),
        "teal": tr("Teal"),
        "pink": tr("Pink"),
        "graphite": tr("Graphite"),
    }
    return names[name]


class _Swatch(QPushButton):
    """A button whose icon is a colour as the present theme would have it."""

    def __init__(self, name: str) -> None:
        super().__init__(colour_name(name))
        self._name = name
        self.setCheckable(True)
        self.setProperty("kind", "segment")
        theme.manager().changed.connect(self._dress)
        self._dress()

    def _dress(self) -> None:
        current = theme.manager().current
        own = theme.own_accent(current.name)
        colour = theme.ACCENTS[self._name].get(current.name, (own, own))[0]
        ratio = self.devicePixelRatioF()
        pixmap = QPixmap(round(_SWATCH.width() * ratio), round(_SWATCH.height() * ratio))
        pixmap.setDevicePixelRatio(ratio)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colour))
        painter.drawEllipse(1, 1, 12, 12)
        painter.end()
        self.setIcon(QIcon(pixmap))
        self.setIconSize(_SWATCH)
