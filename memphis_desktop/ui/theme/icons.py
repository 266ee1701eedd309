"""Icons of one family (Phosphor, through qtawesome), coloured by token at the moment they are painted.

Because the colour is looked up when painting, an icon made once follows every change of theme.
"""

from __future__ import annotations

import importlib.util
import json
import logging
from functools import cache, lru_cache
from pathlib import Path

from PySide6.QtCore import QPointF, QRect, QSize, Qt
from PySide6.QtGui import (
    QColor,
    QIcon,
    QIconEngine,
    QPainter,
    QPainterPath,
    QPixmap,
    QRawFont,
    QTransform,
)
from PySide6.QtWidgets import QAbstractButton

from memphis_desktop.ui.theme.direction import right_to_left
from memphis_desktop.ui.theme.manager import manager

log = logging.getLogger(__name__)

_FONT_FILES = "phosphor-*.ttf", "phosphor-charmap-*.json"
_DESIGN_SIZE = 256.0
# What points along the text, and the other way where that runs from right to left.
_POINTING = {
    "arrow-bend-up-left", "arrow-bend-up-right", "arrow-left", "arrow-right", "caret-double-left",
    "caret-double-right", "caret-left", "caret-right", "sign-out",
}  # fmt: skip
_GAP = 4  # pixels between icon and text, beside the four that Qt leaves


@cache
def _fonts_folder() -> Path:
    # Importing qtawesome would load every font it ships and a second binding layer; its files are all we use.
    spec = importlib.util.find_spec("qtawesome")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("qtawesome, which brings the icons, is not installed")
    return Path(spec.origin).parent / "fonts"


@cache
def _characters() -> dict[str, str]:
    """Icon names and their characters."""
    path = next(_fonts_folder().glob(_FONT_FILES[1]))
    codes = json.loads(path.read_text(encoding="utf-8"))
    return {name: chr(int(code, 16)) for name, code in codes.items()}


@cache
def _raw_font() -> QRawFont:
    return QRawFont(str(next(_fonts_folder().glob(_FONT_FILES[0]))), _DESIGN_SIZE)


@cache
def _path(name: str) -> QPainterPath:
    """The outline of an icon, centred on the origin of a square of ``_DESIGN_SIZE``.

    Raises:
        KeyError: there is no icon of that name.
    """
    character = _characters()[name]
    raw = _raw_font()
    glyph = raw.glyphIndexesForString(character)[0]
    path = raw.pathForGlyph(glyph)
    path.setFillRule(Qt.FillRule.WindingFill)
    advance = raw.advancesForGlyphIndexes([glyph])[0].x()
    # Phosphor draws in a square em: the middle is half an advance across, half-way from ascent to descent.
    middle = QPointF(advance / 2, -(raw.ascent() - raw.descent()) / 2)
    return path.translated(-middle)


@cache
def _known_path(name: str) -> QPainterPath:
    """As `_path`, but a name that is not there gives a square and a line in the log: painting never fails."""
    try:
        return _path(name)
    except KeyError:
        log.error("there is no icon %r", name)
        return _path("square")


def paint_icon(painter: QPainter, rect: QRect, name: str, colour: QColor | str) -> None:
    """Draw an icon centred in ``rect``, as large as its shorter side."""
    side = min(rect.width(), rect.height())
    transform = QTransform()
    centre = QPointF(rect.x() + rect.width() / 2, rect.y() + rect.height() / 2)
    transform.translate(centre.x(), centre.y())
    scale = side / _DESIGN_SIZE
    transform.scale(-scale if name in _POINTING and right_to_left() else scale, scale)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.fillPath(transform.map(_known_path(name)), QColor(colour))
    painter.restore()


def _leading(rect: QRect) -> QRect:
    """The square at the beginning of a wide rectangle: the rest is the gap of `beside_text`."""
    if rect.width() <= rect.height():
        return rect
    left = rect.right() + 1 - rect.height() if right_to_left() else rect.x()
    return QRect(left, rect.y(), rect.height(), rect.height())


@lru_cache(1024)
def _pixmap(name: str, colour: str, width: int, height: int) -> QPixmap:
    """An icon drawn once for all who show it; who sets the ratio of what they get has a copy of their own."""
    pixmap = QPixmap(width, height)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    paint_icon(painter, _leading(QRect(0, 0, width, height)), name, colour)
    painter.end()
    return pixmap


class _TokenIconEngine(QIconEngine):
    """Paints one glyph in the colour its token has now."""

    def __init__(self, name: str, token: str, token_on: str, name_on: str) -> None:
        super().__init__()
        self._name = name
        self._token = token
        self._token_on = token_on
        self._name_on = name_on

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        """Draw at any size; Qt asks with device pixels already applied to the painter."""
        name, colour = self._look(mode, state)
        paint_icon(painter, _leading(rect), name, colour)

    def _look(self, mode: QIcon.Mode, state: QIcon.State) -> tuple[str, str]:
        """Which glyph, in which colour."""
        on = state == QIcon.State.On
        token = "faint" if mode == QIcon.Mode.Disabled else self._token_on if on else self._token
        return self._name_on if on else self._name, manager().current.colour(token)

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        """Asked for anew each time, for the colour may have changed."""
        return self._render(size, mode, state)

    def scaledPixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State, scale: float) -> QPixmap:
        """Size is in device pixels; Qt sets the ratio on what it gets."""
        return self._render(size, mode, state)

    def clone(self) -> QIconEngine:
        """A second engine with the same glyph."""
        return _TokenIconEngine(self._name, self._token, self._token_on, self._name_on)

    def _render(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        if size.isEmpty():  # a button squeezed to nothing
            return QPixmap()
        name, colour = self._look(mode, state)
        return _pixmap(name, colour, size.width(), size.height())


def icon(name: str, token: str = "text", *, token_on: str | None = None, name_on: str | None = None) -> QIcon:
    """An icon by its Phosphor name, coloured by token.

    Args:
        name: a Phosphor name such as ``stack`` or ``stack-fill``.
        token: the colour's token; disabled icons are faint by themselves.
        token_on, name_on: what a checked control shows instead.

    Raises:
        KeyError: there is no icon of that name.
    """
    _path(name)
    if name_on is not None:
        _path(name_on)
    return QIcon(_TokenIconEngine(name, token, token_on or token, name_on or name))


def exists(name: str) -> bool:
    """Whether the family has an icon of that name."""
    return name in _characters()


def beside_text(button: QAbstractButton, picture: QIcon, size: int = 16) -> None:
    """Give a button with words an icon in front of them, with room between: Qt's own is narrow and fixed."""
    button.setIcon(picture)
    button.setIconSize(QSize(size + _GAP, size))
