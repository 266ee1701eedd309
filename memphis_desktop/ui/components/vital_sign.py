"""A vital sign: a name, one large figure, its recent course, and what changed."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetrics, QMouseEvent, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from memphis_desktop.ui import theme
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.sparkline import Sparkline
from memphis_desktop.ui.format import UNKNOWN
from memphis_desktop.ui.theme import fonts
from memphis_desktop.ui.theme.direction import right_to_left

_LINE_FROM = 160  # the width of a tile from which there is room for the line beside the figure


class VitalSign(QFrame):
    """A tile for one figure."""

    clicked = Signal()

    def __init__(
        self, title: str, parent: QWidget | None = None, *, token: str = "series0", beside: bool = False
    ) -> None:
        """``beside`` puts the line at the right of the figure, for tiles that have little height."""
        super().__init__(parent)
        self.setProperty("panel", "surface")
        self._title = PlainLabel(title, "caption", elide=Qt.TextElideMode.ElideRight)
        self._figure = _Figure()
        self._change = PlainLabel("", "caption")
        self._change.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        # A sign from another font, as an arrow may be, makes no tile taller than those beside it.
        self._change.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Ignored)
        self._line = Sparkline(token)
        self._line.setVisible(not beside)  # beside the figure it takes room only once there is a course
        self._beside = beside
        self._drawn = False
        top = QHBoxLayout()
        top.addWidget(self._title, 1)
        top.addWidget(self._change)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_4, theme.SPACE_3, theme.SPACE_4, theme.SPACE_3)
        layout.setSpacing(2)
        layout.addLayout(top)
        if beside:
            row = QHBoxLayout()
            row.setSpacing(theme.SPACE_2)
            row.addWidget(self._figure, 3)
            row.addWidget(self._line, 2)
            layout.addLayout(row)
        else:
            layout.addWidget(self._figure)
            layout.addWidget(self._line)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(132)
        self._describe()

    def set_value(self, text: str, unit: str = "") -> None:
        """The figure and its unit: ``("12.4", "k/s")``."""
        self._figure.set_value(text, unit)
        self._describe()

    def set_series(self, values: Sequence[float], token: str | None = None) -> None:
        """The recent course, oldest first; fewer than two values draw nothing."""
        self._line.set_values(values, token)
        self._drawn = len(values) > 1
        self._show_line()

    def _show_line(self) -> None:
        wanted = self._title.sizeHint().width() + self._change.sizeHint().width()
        self._change.setVisible(wanted + theme.SPACE_2 <= self.width() - 2 * theme.SPACE_4)  # the name first
        if self._beside:
            self._line.setVisible(self._drawn and self.width() >= _LINE_FROM)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """In a narrow tile the figure has all of the room."""
        super().resizeEvent(event)
        self._show_line()

    def set_change(self, text: str, kind: str = "muted") -> None:
        """A short remark at the right (``+12 %``) in the colour of its kind."""
        self._change.setText(text)
        self._change.setRole(kind if kind != "muted" else "caption")
        self._show_line()
        self._describe()

    def set_kind(self, kind: str) -> None:
        """Colour the figure itself: ``good``, ``warning``, ``bad`` or ``text``."""
        self._figure.set_token(kind)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """A click opens what the figure is about."""
        super().mouseReleaseEvent(event)
        if event.button() == Qt.MouseButton.LeftButton and self.rect().contains(event.position().toPoint()):
            self.clicked.emit()

    def _describe(self) -> None:
        words = (self._title.text(), *self._figure.parts(), self._change.text())
        self.setAccessibleName(" ".join(word for word in words if word))


class _Figure(QWidget):
    """A large figure with its unit beside it; it grows smaller before it would be cut."""

    def __init__(self) -> None:
        super().__init__()
        self._text, self._unit, self._token = UNKNOWN, "", "text"
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def set_value(self, text: str, unit: str) -> None:
        """Other words."""
        if (text, unit) != (self._text, self._unit):
            self._text, self._unit = text, unit
            self.update()

    def set_token(self, token: str) -> None:
        """The colour of the figure."""
        self._token = token
        self.update()

    def parts(self) -> tuple[str, str]:
        """Figure and unit."""
        return self._text, self._unit

    def sizeHint(self) -> QSize:
        """One line of large figures."""
        return QSize(96, 32)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Both on one base line."""
        look = theme.manager().current
        unit_font = fonts.interface(theme.SIZE_BODY)
        unit_width = QFontMetrics(unit_font).horizontalAdvance(self._unit)
        gap = 5 if self._unit else 0
        room = self.width() - gap - unit_width
        for size in (theme.SIZE_VITAL, 22, 18, theme.SIZE_SECTION, theme.SIZE_BODY):
            font = fonts.interface(size, fonts.SEMIBOLD)
            width = QFontMetrics(font).horizontalAdvance(self._text)
            if width < room:  # a text is a fraction wider than its whole number of pixels
                break
        text = QFontMetrics(font).elidedText(self._text, Qt.TextElideMode.ElideRight, max(0, room))
        base = (self.height() + QFontMetrics(fonts.interface(theme.SIZE_VITAL)).capHeight()) // 2
        painter = QPainter(self)
        painter.setFont(font)
        painter.setPen(QColor(look.colour("muted" if self._text == UNKNOWN else self._token)))
        painter.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
        begin = self.width() - width - gap - unit_width if right_to_left() else 0
        painter.drawText(begin, base, text)
        painter.setFont(unit_font)
        painter.setPen(QColor(look.muted))
        painter.drawText(begin + width + gap, base, self._unit)
