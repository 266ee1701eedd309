"""Labels for text that came from elsewhere: nothing in it is ever taken as markup."""

from __future__ import annotations

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QLabel, QSizePolicy, QStyle, QStyleOption, QWidget

from memphis_desktop.ui.format import visible_text
from memphis_desktop.ui.theme.direction import draw_foreign


class PlainLabel(QLabel):
    """A QLabel fixed to plain text.

    With ``elide`` it gives way in a narrow place and keeps the whole in its tooltip.

    Args:
        text: shown as it is.
        role: of the stylesheet: ``title``, ``section``, ``strong``, ``caption``, ``muted``, ``mono`` …
        elide: ``ElideRight``, ``ElideMiddle``; None wraps nothing and elides nothing.
        selectable: the user may mark and copy it.
    """

    def __init__(
        self,
        text: str = "",
        role: str = "",
        *,
        elide: Qt.TextElideMode | None = None,
        selectable: bool = False,
        wrap: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        super().setTextFormat(Qt.TextFormat.PlainText)
        self._elide = elide
        self._own_tooltip = False
        if role:
            self.setProperty("role", role)
        if wrap:
            self.setWordWrap(True)
        if elide is not None:
            self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
            self.setMinimumWidth(24)
        if selectable:
            self.setTextInteractionFlags(
                Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
            )
        self.setText(text)

    def setText(self, text: str) -> None:
        """Show ``text``; control characters become their pictures when it is a single elided line."""
        shown = visible_text(text, 4096) if self._elide is not None else text
        if shown != self.text():
            super().setText(shown)
            self._update_tooltip()

    def setTextFormat(self, format: Qt.TextFormat) -> None:
        """Refused: the format of this label stays plain."""

    def setRole(self, role: str) -> None:
        """Change the stylesheet role."""
        if self.property("role") != role:
            self.setProperty("role", role)
            self.style().unpolish(self)
            self.style().polish(self)

    def setToolTip(self, text: str) -> None:
        """A tooltip, shown as plain text too."""
        self._own_tooltip = bool(text)
        super().setToolTip(plain_tooltip(text))

    def sizeHint(self) -> QSize:
        """An eliding label would like to show all of its text."""
        return super().sizeHint()

    def minimumSizeHint(self) -> QSize:
        """An eliding label can be narrow."""
        hint = super().minimumSizeHint()
        return QSize(24, hint.height()) if self._elide is not None else hint

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The tooltip appears only when something is cut."""
        super().resizeEvent(event)
        self._update_tooltip()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the elided text; everything else is QLabel's."""
        if self._elide is None or self.wordWrap():
            super().paintEvent(event)
            return
        painter = QPainter(self)
        option = QStyleOption()
        option.initFrom(self)
        self.style().drawPrimitive(QStyle.PrimitiveElement.PE_Widget, option, painter, self)
        rect: QRect = self.contentsRect()
        text = self.fontMetrics().elidedText(self.text(), self._elide, rect.width())
        painter.setPen(self.palette().color(self.foregroundRole()))
        draw_foreign(painter, rect, self.alignment() | Qt.AlignmentFlag.AlignVCenter, text)

    def _update_tooltip(self) -> None:
        if self._elide is None or self._own_tooltip:
            return
        cut = self.fontMetrics().horizontalAdvance(self.text()) > self.contentsRect().width()
        super().setToolTip(plain_tooltip(self.text()) if cut else "")


def plain_tooltip(text: str) -> str:
    """Text as a tooltip that Qt will not read as rich text, wrapped so that it never spans the screen."""
    if not text:
        return ""
    lines = []
    for line in visible_lines(text).split("\n"):
        while len(line) > 100:
            cut = line.rfind(" ", 40, 100)
            cut = cut if cut > 0 else 100
            lines.append(line[:cut])
            line = line[cut:].lstrip()
        lines.append(line)
    wrapped = "\n".join(lines[:24])
    # Qt takes a tooltip for rich text when it sees a tag: without a real "<" it never does.
    return wrapped.replace("<", "\u2039")


def visible_lines(text: str, limit: int = 2000) -> str:
    """Bounded text with its line breaks, other control characters pictured."""
    return "\n".join(visible_text(line, limit) for line in text[:limit].split("\n"))
