"""Colours that a connection can have of its own, beside that of its environment: to tell it at a glance.

They are the colours of graphs, which are told apart with colour-blind eyes and stand out in every theme. A
connection's name is always beside, so nothing is said by the colour alone.
"""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap

from memphis_desktop.language import tr
from memphis_desktop.ui import theme

# What a profile keeps, and the token that paints it.
TOKENS = {
    "blue": "series0",
    "orange": "series1",
    "green": "series2",
    "pink": "series3",
    "yellow": "series4",
    "violet": "series5",
}


def colour_words() -> dict[str, str]:
    """What the colours are called, in the order they are offered; the first is none."""
    return {
        "": tr("None"),
        "blue": tr("Blue"),
        "orange": tr("Orange"),
        "green": tr("Green"),
        "pink": tr("Pink"),
        "yellow": tr("Yellow"),
        "violet": tr("Violet"),
    }


def colour_of(key: str) -> QColor | None:
    """The colour as the theme of now shows it; None without one, or with one of a later version."""
    token = TOKENS.get(key)
    return QColor(theme.manager().current.colour(token)) if token is not None else None


def swatch(key: str, size: int = 14) -> QIcon:
    """A dot in the colour; empty without one."""
    pixmap = QPixmap(QSize(size, size) * 2)
    pixmap.setDevicePixelRatio(2)
    pixmap.fill(Qt.GlobalColor.transparent)
    colour = colour_of(key)
    if colour is not None:
        painter = QPainter(pixmap)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour)
        painter.drawEllipse(2, 2, size - 4, size - 4)
        painter.end()
    return QIcon(pixmap)
