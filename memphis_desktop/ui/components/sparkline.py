"""A line of a few dozen values without axes: in table cells and vital signs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from memphis_desktop.ui import theme


def paint_sparkline(
    painter: QPainter,
    rect: QRectF,
    values: Sequence[float],
    colour: str,
    *,
    fill: bool = True,
    zero: bool = True,
) -> None:
    """Draw ``values`` across ``rect``, oldest left. NaN leaves a gap; ``zero`` keeps zero at the bottom."""
    count = len(values)
    finite = [float(value) for value in values if value is not None and math.isfinite(value)]
    if count < 2 or not finite:
        return
    low = 0.0 if zero else min(finite)
    high = max(finite)
    span = high - low or 1.0
    area = rect.adjusted(0.5, 1.5, -0.5, -1.5)
    step = area.width() / (count - 1)
    base = area.bottom()
    runs: list[list[QPointF]] = [[]]
    # More values than pixels: keep the highest of each pixel so that a spike is never lost.
    stride = max(1, int(count / max(1.0, area.width())))
    if len(finite) == count and stride == 1:
        scale, left = area.height() / span, area.left()
        runs[0] = [QPointF(left + i * step, base - (v - low) * scale) for i, v in enumerate(finite)]
        count = 0
    for index in range(0, count, stride):
        chunk = [v for v in values[index : index + stride] if v is not None and math.isfinite(v)]
        if not chunk:
            if runs[-1]:
                runs.append([])
            continue
        y = base - (max(chunk) - low) / span * area.height()
        runs[-1].append(QPointF(area.left() + index * step, y))
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    for points in runs:
        if len(points) == 1:
            points = [points[0], QPointF(points[0].x() + 1, points[0].y())]
        if len(points) < 2:
            continue
        if fill:
            shade = QColor(colour)
            shade.setAlphaF(0.14)
            path = QPainterPath(QPointF(points[0].x(), base))
            for point in points:
                path.lineTo(point)
            path.lineTo(points[-1].x(), base)
            path.closeSubpath()
            painter.fillPath(path, shade)
        pen = QPen(QColor(colour), 1.4)
        pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
        painter.setPen(pen)
        painter.drawPolyline(QPolygonF(points))
    painter.restore()


class Sparkline(QWidget):
    """The same line as a widget."""

    def __init__(self, token: str = "series0", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._token = token
        self._values: Sequence[float] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)

    def set_values(self, values: Sequence[float], token: str | None = None) -> None:
        """Show other values, oldest first."""
        self._values = values
        if token is not None:
            self._token = token
        self.update()

    def sizeHint(self) -> QSize:
        """A line's height."""
        return QSize(96, 28)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw in the token's present colour."""
        painter = QPainter(self)
        colour = theme.manager().current.colour(self._token)
        paint_sparkline(painter, QRectF(self.rect()), self._values, colour)
