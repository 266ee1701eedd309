"""The program's own sign, drawn sharp at any size."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from PySide6.QtCore import QRectF, QSize
from PySide6.QtGui import QIcon, QPainter, QPaintEvent
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QWidget

import memphis_desktop

NAME = "memphis-desktop.svg"


@cache
def resources() -> Path:
    """The folder of resources: inside the installed package, or at the root of a working copy."""
    package = Path(memphis_desktop.__file__).resolve().parent
    inside = package / "resources"
    return inside if inside.is_dir() else package.parent / "resources"


def program_icon() -> QIcon:
    """For windows and task bars."""
    return QIcon(str(resources() / "icons" / NAME))


class Logo(QWidget):
    """The sign as a widget."""

    def __init__(self, size: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._renderer = QSvgRenderer(str(resources() / "icons" / NAME), self)
        self.setFixedSize(QSize(size, size))
        self.setAccessibleName("Memphis Desktop")

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw it."""
        self._renderer.render(QPainter(self), QRectF(self.rect()))
