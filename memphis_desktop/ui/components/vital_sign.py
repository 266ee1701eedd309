"""A vital sign: a name, one large figure, its recent course, and what changed."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from memphis_desktop.ui import theme
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.sparkline import Sparkline


class VitalSign(QFrame):
    """A tile for one figure."""

    clicked = Signal()

    def __init__(self, title: str, parent: QWidget | None = None, *, token: str = "series0") -> None:
        super().__init__(parent)
        self.setProperty("panel", "surface")
        self._title = PlainLabel(title, "caption", elide=Qt.TextElideMode.ElideRight)
        self._value = PlainLabel("–", "vital")
        self._unit = PlainLabel("", "muted")
        self._change = PlainLabel("", "caption")
        self._change.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._line = Sparkline(token)
        top = QHBoxLayout()
        top.addWidget(self._title, 1)
        top.addWidget(self._change)
        figure = QHBoxLayout()
        figure.setSpacing(theme.SPACE_1)
        figure.addWidget(self._value, 0, Qt.AlignmentFlag.AlignBaseline)
        figure.addWidget(self._unit, 0, Qt.AlignmentFlag.AlignBaseline)
        figure.addStretch()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_4, theme.SPACE_3, theme.SPACE_4, theme.SPACE_3)
        layout.setSpacing(2)
        layout.addLayout(top)
        layout.addLayout(figure)
        layout.addWidget(self._line)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(132)
        self._describe()

    def set_value(self, text: str, unit: str = "") -> None:
        """The figure and its unit: ``("12.4", "k/s")``."""
        self._value.setText(text)
        self._unit.setText(unit)
        self._describe()

    def set_series(self, values: Sequence[float], token: str | None = None) -> None:
        """The recent course, oldest first; fewer than two values draw nothing."""
        self._line.set_values(values, token)

    def set_change(self, text: str, kind: str = "muted") -> None:
        """A short remark at the right (``+12 %``) in the colour of its kind."""
        self._change.setText(text)
        self._change.setRole(kind if kind != "muted" else "caption")
        self._describe()

    def set_kind(self, kind: str) -> None:
        """Colour the figure itself: ``good``, ``warning``, ``bad`` or ``text``."""
        look = theme.manager().current
        self._value.setStyleSheet("" if kind == "text" else f"color: {look.colour(kind)};")

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """A click opens what the figure is about."""
        super().mouseReleaseEvent(event)
        if event.button() == Qt.MouseButton.LeftButton and self.rect().contains(event.position().toPoint()):
            self.clicked.emit()

    def _describe(self) -> None:
        words = (self._title.text(), self._value.text(), self._unit.text(), self._change.text())
        self.setAccessibleName(" ".join(word for word in words if word))
