"""The direction of what is painted by hand: widgets in layouts are mirrored by Qt, rectangles are not.

Where the language runs from right to left, a painter turns the alignment of texts round by itself. Graphs,
code, JSON, subjects and names of the servers stay as they are.
"""

from __future__ import annotations

import unicodedata

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QGuiApplication, QPainter
from PySide6.QtWidgets import QStyle


def right_to_left() -> bool:
    """Whether the language of the window runs from right to left."""
    return QGuiApplication.layoutDirection() == Qt.LayoutDirection.RightToLeft


def placed(place: QRect, within: QRect) -> QRect:
    """Return where `place`, reckoned for left to right, is in the language of the window."""
    return QStyle.visualRect(QGuiApplication.layoutDirection(), within, place)


def reads_right_to_left(text: str) -> bool:
    """Whether a text runs from right to left: its first letter says so, as in Unicode's algorithm."""
    for character in text:
        kind = unicodedata.bidirectional(character)
        if kind in ("R", "AL"):
            return True
        if kind == "L":
            return False
    return False


def draw_foreign(painter: QPainter, area: QRect, alignment: Qt.AlignmentFlag, text: str) -> None:
    """Draw a text in its own direction, aligned in that of the window."""
    if right_to_left():
        alignment = QStyle.visualAlignment(Qt.LayoutDirection.RightToLeft, alignment)
        if not reads_right_to_left(text):
            painter.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
        alignment |= Qt.AlignmentFlag.AlignAbsolute
    painter.drawText(area, int(alignment), text)
    if right_to_left():
        painter.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
