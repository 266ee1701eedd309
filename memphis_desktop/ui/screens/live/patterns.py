"""The patterns that are listened to: what each brings, muting and ending."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QToolButton, QWidget

from memphis_desktop.inspect.live import LivePattern
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.flow_layout import FlowLayout
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
        self.colour = _Dot(f"series{entry.number}")
        self.name = PlainLabel(shown, "mono", selectable=False)
        self.figures = PlainLabel("", "caption", selectable=False)
        self.mute_button = self._button(
            "speaker-high", tr("Mute {shown}: count its messages, show none", shown=shown)
        )
        self.mute_button.setCheckable(True)
        self.mute_button.setIcon(icon("speaker-high", "muted", name_on="speaker-slash", token_on="warning"))
        self.mute_button.setChecked(entry.muted)
        self.end_button = self._button("x", tr("Stop listening to {shown}", shown=shown))
        line = QHBoxLayout(self)
        line.setContentsMargins(theme.SPACE_2, 0, 2, 0)
        line.setSpacing(theme.SPACE_1)
        for widget in (self.colour, self.name, self.figures, self.mute_button, self.end_button):
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


class _Dot(QWidget):
    """The colour by which the messages of a pattern are told from others."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self._token = token
        self.setFixedSize(10, 10)

    def paintEvent(self, event: QPaintEvent) -> None:
        """A disc."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.manager().current.colour(self._token)))
        painter.drawEllipse(QRectF(1, 1, 8, 8))


class PatternBar(QWidget):
    """All of them, in as many lines as they need."""

    mute_toggled = Signal(str, bool)
    ended = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._flow = FlowLayout(self, theme.SPACE_2)
        self._flow.setContentsMargins(theme.SPACE_3, 0, theme.SPACE_3, theme.SPACE_2)
        self.chips: dict[str, PatternChip] = {}
        self.hide()

    def show_patterns(self, patterns: Mapping[str, LivePattern]) -> None:
        """Show these; chips that stay are kept."""
        for name in [name for name in self.chips if name not in patterns]:
            chip = self.chips.pop(name)
            self._flow.removeWidget(chip)
            chip.deleteLater()
        for name, entry in patterns.items():
            if name not in self.chips:
                chip = PatternChip(entry, self)
                chip.mute_toggled.connect(self.mute_toggled)
                chip.ended.connect(self.ended)
                self.chips[name] = chip
                self._flow.addWidget(chip)
        self.setVisible(bool(self.chips))

    def refresh(self) -> None:
        """Show the figures as they are now."""
        for chip in self.chips.values():
            chip.refresh()
