"""A holder that shows a widget whole where there is room for it, and scrolls it where there is not."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QScrollArea, QWidget


class WholeOrScrolled(QScrollArea):
    """Gives its widget all of the room, and never less than the least at which nothing of it overlaps.

    Qt's own way of fitting a widget into a scroll area goes by what it would like to have at best, so that
    a page with one wrapping line would scroll though all of it fits.
    """

    def __init__(self, content: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.content = content
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setWidget(content)
        content.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """What is shown may need more room now, or less."""
        if watched is self.content and event.type() == QEvent.Type.LayoutRequest:
            self._fit()
        return super().eventFilter(watched, event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """There is more room, or less."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        room = self.maximumViewportSize()
        least = _least(self.content, room.width())
        bar = self.verticalScrollBar().sizeHint().width()
        if least.height() > room.height():  # the bar takes some of the width
            least = _least(self.content, room.width() - bar)
            room.setWidth(room.width() - bar)
        if least.width() > room.width():
            room.setHeight(room.height() - bar)
        wanted = room.expandedTo(least)
        if wanted != self.content.size():
            self.content.resize(wanted)


def _least(content: QWidget, width: int) -> QSize:
    """The least size, for a page that is so wide."""
    least = content.minimumSizeHint().expandedTo(content.minimumSize())
    layout = content.layout()
    if layout is not None and layout.hasHeightForWidth():
        least.setHeight(layout.minimumHeightForWidth(max(width, least.width())))
    return least
