"""The patterns that are listened to: what each brings, muting and ending."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QSize, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QToolButton, QWidget

from memphis_desktop.inspect.live import LivePattern
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.theme.icons import icon


class PatternChip(QFrame):
    """One pattern with its count and rate."""

    mute_toggled = Signal(str, bool)
    ended = Signal(str)

    def __init__(self, entry: LivePattern, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.entry = entry
        self.setProperty("panel", "segments")
        shown = figures.visible_text(entry.pattern, 40)
        self.name = PlainLabel(shown, "mono", selectable=False)
        self.figures = PlainLabel("", "caption", selectable=False)
        self.mute_button = self._button("speaker-high", f"Mute {shown}: count its messages, show none")
        self.mute_button.setCheckable(True)
        self.mute_button.setIcon(icon("speaker-high", "muted", name_on="speaker-slash", token_on="warning"))
        self.mute_button.setChecked(entry.muted)
        self.end_button = self._button("x", f"Stop listening to {shown}")
        line = QHBoxLayout(self)
        line.setContentsMargins(theme.SPACE_2, 0, 2, 0)
        line.setSpacing(theme.SPACE_1)
        for widget in (self.name, self.figures, self.mute_button, self.end_button):
            line.addWidget(widget)
        self.mute_button.toggled.connect(lambda on: self.mute_toggled.emit(entry.pattern, on))
        self.end_button.clicked.connect(lambda: self.ended.emit(entry.pattern))
        self.refresh()

    def _button(self, name: str, tooltip: str) -> QToolButton:
        button = QToolButton()
        button.setIcon(icon(name, "muted"))
        button.setIconSize(QSize(14, 14))
        button.setToolTip(tooltip)
        button.setAccessibleName(tooltip)
        return button

    def refresh(self) -> None:
        """Show the figures as they are now."""
        text = f"{figures.compact(self.entry.messages)}  {figures.rate(self.entry.rate)}"
        if self.figures.text() != text:
            self.figures.setText(text)


class PatternBar(QWidget):
    """All of them in a line."""

    mute_toggled = Signal(str, bool)
    ended = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._line = QHBoxLayout(self)
        self._line.setContentsMargins(theme.SPACE_3, 0, theme.SPACE_3, theme.SPACE_2)
        self._line.setSpacing(theme.SPACE_2)
        self._line.addStretch()
        self.chips: dict[str, PatternChip] = {}
        self.hide()

    def show_patterns(self, patterns: Mapping[str, LivePattern]) -> None:
        """Show these; chips that stay are kept."""
        for name in [name for name in self.chips if name not in patterns]:
            chip = self.chips.pop(name)
            self._line.removeWidget(chip)
            chip.deleteLater()
        for name, entry in patterns.items():
            if name not in self.chips:
                chip = PatternChip(entry, self)
                chip.mute_toggled.connect(self.mute_toggled)
                chip.ended.connect(self.ended)
                self.chips[name] = chip
                self._line.insertWidget(self._line.count() - 1, chip)
        self.setVisible(bool(self.chips))

    def refresh(self) -> None:
        """Show the figures as they are now."""
        for chip in self.chips.values():
            chip.refresh()
