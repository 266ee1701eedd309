"""Paints the cells of every table straight from the records, with the theme's tokens."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPen
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from memphis_desktop.ui import theme
from memphis_desktop.ui.components.sparkline import paint_sparkline
from memphis_desktop.ui.components.table_model import (
    RIGHT_ALIGNED,
    Column,
    IconText,
    TableModel,
    badges,
    display_value,
)
from memphis_desktop.ui.theme import fonts
from memphis_desktop.ui.theme.direction import draw_foreign, placed, right_to_left
from memphis_desktop.ui.theme.icons import paint_icon

_PAD = 8
# As numbers: flags of Python's enum cost more to combine than a cell costs to paint.
_SELECTED = QStyle.StateFlag.State_Selected.value
_BEGINNING = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
_END = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_LEFT = int(_BEGINNING)
_RIGHT = int(_END)
_ELIDED = Qt.TextElideMode.ElideRight
_CUT_MIDDLE = Qt.TextElideMode.ElideMiddle
_KNOWN_TOKENS = {"good", "warning", "bad", "information", "muted", "accent", "text", "faint"}


class TableDelegate(QStyledItemDelegate):
    """One delegate for all kinds of columns. ``relative_times`` shows ages instead of absolute times."""

    def __init__(self, model: TableModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.relative_times = True
        self.struck: Callable[[Any], bool] | None = None  # whether a row is struck through: it is no more
        self.hovered = -1  # the row below the pointer
        self._strike = False
        self._right_to_left = right_to_left()
        self._take_fonts()
        if parent is not None:
            theme.manager().follow(parent, self._take_fonts)

    def _take_fonts(self) -> None:
        self._plain = fonts.interface(theme.SIZE_CAPTION)
        self._mono = fonts.monospace(theme.SIZE_CAPTION)
        self._plain_metrics = QFontMetrics(self._plain)
        self._mono_metrics = QFontMetrics(self._mono)

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        """Wide enough for the text, for fitting a column to its content."""
        column = self._model.columns[index.column()]
        text = self._text(column, self._model.row_at(index.row()))
        metrics = self._mono_metrics if column.kind == "mono" else self._plain_metrics
        extra = {"dot": 20, "bar": 72, "badge": 16, "sparkline": 100, "icon": 24}.get(column.kind, 0)
        return QSize(metrics.horizontalAdvance(text) + 2 * _PAD + 4 + extra, theme.manager().density.row)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """Background by state, then the value by kind."""
        look = theme.manager().current
        column = self._model.columns[index.column()]
        row = self._model.row_at(index.row())
        rect: QRect = option.rect
        state = option.state.value
        if state & _SELECTED:
            painter.fillRect(rect, _colour(look.selection))
        elif index.row() == self.hovered:
            painter.fillRect(rect, _colour(look.hover))
        painter.setPen(_colour(look.line))
        painter.drawLine(rect.left(), rect.bottom(), rect.right(), rect.bottom())
        area = rect.adjusted(_PAD, 0, -_PAD, -1)
        token = column.token(row) if column.token is not None else None
        self._strike = self.struck is not None and self.struck(row)
        if self._strike:
            token = "muted"
        value = column.value(row)
        kind = column.kind
        if kind == "sparkline":
            self._paint_sparkline(painter, area, value, token, look)
        elif kind == "dot":
            self._paint_dot(painter, area, value, look)
        elif kind == "bar":
            self._paint_bar(painter, area, column, value, token, look)
        elif kind == "badge":
            self._paint_badges(painter, area, value, look)
        elif isinstance(value, IconText):
            self._paint_icon(painter, area, value, look)
        else:
            self._paint_text(painter, area, column, value, token, look)

    # By kind ----------------------------------------------------------------------------------

    def _text(self, column: Column, row: Any) -> str:
        value = column.value(row)
        return self._value_text(column, value)

    def _value_text(self, column: Column, value: Any) -> str:
        if column.text is not None:
            return column.text(value)
        now_ns = time.time_ns() if column.kind == "time" and self.relative_times else None
        return display_value(column.kind, value, self._model.zone, now_ns)

    def _paint_text(
        self, painter: QPainter, area: QRect, column: Column, value: Any, token: str | None, look: theme.Theme
    ) -> None:
        text = self._value_text(column, value)
        mono = column.kind == "mono"
        metrics = self._mono_metrics if mono else self._plain_metrics
        muted = value is None or value == 0 or column.kind == "time"
        font = self._mono if mono else self._plain
        if self._strike:
            font = QFont(font)
            font.setStrikeOut(True)
        painter.setFont(font)
        painter.setPen(_colour(look.colour(token or ("muted" if muted else "text"))))
        if metrics.horizontalAdvance(text) > area.width():
            text = metrics.elidedText(text, _CUT_MIDDLE if column.cut_middle else _ELIDED, area.width())
        if self._right_to_left:
            draw_foreign(painter, area, _END if column.kind in RIGHT_ALIGNED else _BEGINNING, text)
        else:
            painter.drawText(area, _RIGHT if column.kind in RIGHT_ALIGNED else _LEFT, text)

    def _paint_sparkline(
        self, painter: QPainter, area: QRect, value: Any, token: str | None, look: theme.Theme
    ) -> None:
        if value is None:
            return
        paint_sparkline(painter, QRectF(area.adjusted(0, 4, 0, -4)), value, look.colour(token or "series0"))

    def _paint_dot(self, painter: QPainter, area: QRect, value: Any, look: theme.Theme) -> None:
        if value is None:
            return
        token, word = value if isinstance(value, tuple) else (value, "")
        mark = placed(QRect(area.left(), area.center().y() - 4, 9, 9), area)
        paint_status_mark(painter, mark, token, look)
        if word:
            painter.setFont(self._plain)
            painter.setPen(_colour(look.text))
            text_area = placed(area.adjusted(17, 0, 0, 0), area)
            text = self._plain_metrics.elidedText(str(word), _ELIDED, text_area.width())
            painter.drawText(text_area, _LEFT, text)

    def _paint_icon(self, painter: QPainter, area: QRect, value: IconText, look: theme.Theme) -> None:
        if value.icon:
            square = placed(QRect(area.left(), area.center().y() - 7, 15, 15), area)
            paint_icon(painter, square, value.icon, look.colour(value.token))
        if value.written:
            painter.setFont(self._plain)
            painter.setPen(_colour(look.text))
            place = placed(area.adjusted(20 if value.icon else 0, 0, 0, 0), area)
            text = self._plain_metrics.elidedText(value.text, _ELIDED, place.width())
            painter.drawText(place, _LEFT, text)

    def _paint_bar(
        self, painter: QPainter, area: QRect, column: Column, value: Any, token: str | None, look: theme.Theme
    ) -> None:
        share, text = value if isinstance(value, tuple) else (value, self._value_text(column, value))
        painter.setFont(self._plain)
        painter.setPen(QColor(look.text if share is not None or text else look.muted))
        text_width = max(self._plain_metrics.horizontalAdvance(str(text)), min(64, area.width() // 2))
        text_area = QRect(area.right() - text_width, area.top(), text_width + 1, area.height())
        painter.drawText(placed(text_area, area), _RIGHT, str(text))
        if share is None:
            return
        room = QRect(area.left(), area.center().y() - 2, text_area.left() - area.left() - _PAD, 5)
        track = QRectF(placed(room, area))
        if track.width() < 12:
            return
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if look.line_width > 1:  # lines are bright there: filled with one, an empty bar would look full
            painter.setPen(QPen(QColor(look.line), 1))
            painter.drawRoundedRect(track.adjusted(-0.5, -0.5, 0.5, 0.5), 3, 3)
            painter.setPen(Qt.PenStyle.NoPen)
        else:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(_colour(look.line))
            painter.drawRoundedRect(track, 2.5, 2.5)
        level = token or ("bad" if share >= 0.9 else "warning" if share >= 0.75 else "information")
        painter.setBrush(_colour(look.colour(level)))
        filled = QRectF(track)
        filled.setWidth(max(3.0, track.width() * min(1.0, float(share)))) if share > 0 else filled.setWidth(0)
        if self._right_to_left:
            filled.moveRight(track.right())
        if filled.width():
            painter.drawRoundedRect(filled, 2.5, 2.5)
        painter.restore()

    def _paint_badges(self, painter: QPainter, area: QRect, value: Any, look: theme.Theme) -> None:
        left = area.left()
        for text, token in badges(value):
            width = self._plain_metrics.horizontalAdvance(text) + 14
            if left + min(width, 40) > area.right():
                break
            width = min(width, area.right() - left + 1)
            place = placed(QRect(left, area.center().y() - 9, width, 19), area)
            paint_badge(painter, place, text, token, look)
            left += width + 4


@lru_cache(maxsize=256)
def _colour(name: str) -> QColor:
    """A colour of the theme; reading its name for each cell takes longer than painting."""
    return QColor(name)


def paint_badge(painter: QPainter, rect: QRect, text: str, token: str, look: theme.Theme) -> None:
    """A word on a soft ground of its colour."""
    token = token if token in _KNOWN_TOKENS else "muted"
    soft = {"good", "warning", "bad", "information", "accent"}
    ground = look.colour(f"{token}_soft") if token in soft else look.hover
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor(theme.mix(look.colour(token), ground, 0.35)), look.line_width))
    painter.setBrush(QColor(ground))
    painter.drawRoundedRect(QRectF(rect).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)
    font = fonts.interface(11, fonts.MEDIUM)
    painter.setFont(font)
    painter.setPen(_colour(look.colour(token)))
    shown = QFontMetrics(font).elidedText(text, _ELIDED, rect.width() - 8)
    draw_foreign(painter, rect, Qt.AlignmentFlag.AlignCenter, shown)
    painter.restore()


def paint_status_mark(painter: QPainter, rect: QRect, token: str, look: theme.Theme) -> None:
    """A mark whose shape differs by meaning as well as its colour: disc, triangle, square, ring."""
    token = token if token in _KNOWN_TOKENS else "muted"
    area = QRectF(rect)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    colour = _colour(look.colour(token))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    if token == "warning":
        painter.drawPolygon([area.bottomLeft(), area.bottomRight(), QPointF(area.center().x(), area.top())])
    elif token == "bad":
        painter.drawRoundedRect(area, 1.5, 1.5)
    elif token in ("muted", "faint"):
        painter.setPen(QPen(colour, 1.5))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawEllipse(area.adjusted(1, 1, -1, -1))
    else:
        painter.drawEllipse(area)
    painter.restore()
