"""Messages over time above the list; dragging across it chooses a range."""

from __future__ import annotations

from datetime import UTC, tzinfo

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QToolTip, QWidget

from memphis_desktop.inspect.histogram import Histogram
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.theme import fonts

_LEFT = 12
_AXIS = 16
_HEIGHT = 96
_BELOW = 12  # room between the bars with their axis and what follows


class HistogramView(QWidget):
    """Bars of all messages, with the matches of a search drawn in the accent colour over them."""

    range_chosen = Signal(object, object)  # first and last time in ns
    time_chosen = Signal(object)  # a click: a time in ns

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.zone: tzinfo = UTC
        self.histogram = Histogram((), ())
        self._matches: list[int] = []
        self._pressed: float | None = None
        self._moved: float | None = None
        self._range: tuple[int, int] | None = None
        self.setMouseTracking(True)
        self.setFixedHeight(_HEIGHT)
        self.setAccessibleName(tr("Messages over time"))
        theme.manager().changed.connect(self.update)

    def sizeHint(self) -> QSize:
        """As wide as there is room."""
        return QSize(400, _HEIGHT)

    def show_histogram(self, histogram: Histogram) -> None:
        """Show other counts."""
        self.histogram = histogram
        self._matches = [0] * len(histogram.counts)
        text = tr_count(
            "{count} message in {stretches} stretches of time",
            "{count} messages in {stretches} stretches of time",
            histogram.total,
            count=figures.integer(histogram.total),
            stretches=len(histogram.counts),
        )
        self.setAccessibleDescription(text)
        self.update()

    @property
    def dragging(self) -> bool:
        """Whether a range is being dragged."""
        return self._pressed is not None

    def show_range(self, first_ns: int | None, last_ns: int | None = None) -> None:
        """Keep a chosen range shaded; None takes it away."""
        self._range = None if first_ns is None or last_ns is None else (first_ns, last_ns)
        self.update()

    def clear_matches(self) -> None:
        """A new search begins."""
        self._matches = [0] * len(self.histogram.counts)
        self.update()

    def add_matches(self, messages: list[InspectedMessage]) -> None:
        """Count what matched."""
        for message in messages:
            bucket = self.histogram.bucket(message.time_ns)
            if bucket is not None:
                self._matches[bucket] += 1
        self.update()

    def _area(self) -> QRectF:
        return QRectF(_LEFT, 6, self.width() - 2 * _LEFT, self.height() - _AXIS - _BELOW)

    def _time_at(self, x: float) -> int:
        area = self._area()
        share = min(1.0, max(0.0, (x - area.left()) / max(1.0, area.width())))
        edges = self.histogram.edges
        return round(edges[0] + (edges[-1] - edges[0]) * share)

    def _x_of(self, time_ns: int, area: QRectF) -> float:
        edges = self.histogram.edges
        share = (time_ns - edges[0]) / max(1, edges[-1] - edges[0])
        return area.left() + area.width() * min(1.0, max(0.0, share))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Bars, the range being dragged, three times below."""
        look = theme.manager().current
        painter = QPainter(self)
        painter.fillRect(event.rect(), QColor(look.surface))
        counts = self.histogram.counts
        if not counts:
            return
        area = self._area()
        highest = max(max(counts), 1)
        width = area.width() / len(counts)
        plain = QColor(look.series[0])
        plain.setAlphaF(0.55)
        for index, count in enumerate(counts):
            if not count:
                continue
            left = area.left() + index * width
            height = max(1.5, area.height() * count / highest)
            bar = QRectF(left, area.bottom() - height, max(1.0, width - 1), height)
            painter.fillRect(bar, plain)
            if index < len(self._matches) and self._matches[index]:
                matched = max(2.0, area.height() * min(self._matches[index], count) / highest)
                painter.fillRect(
                    QRectF(left, area.bottom() - matched, bar.width(), matched), QColor(look.accent)
                )
        ends: tuple[float, float] | None = None
        if self._pressed is not None and self._moved is not None:
            ends = (self._pressed, self._moved)
        elif self._range is not None:
            ends = (self._x_of(self._range[0], area), self._x_of(self._range[1], area))
        if ends is not None:
            left, right = sorted(ends)
            shade = QColor(look.accent)
            shade.setAlphaF(0.2)
            painter.fillRect(QRectF(left, area.top(), right - left, area.height()), shade)
        painter.setPen(QColor(look.line))
        painter.drawLine(QPointF(area.left(), area.bottom() + 1), QPointF(area.right(), area.bottom() + 1))
        self._paint_times(painter, area, look)

    def _paint_times(self, painter: QPainter, area: QRectF, look: theme.Theme) -> None:
        painter.setFont(fonts.interface(11))
        painter.setPen(QColor(look.muted))
        edges = self.histogram.edges
        line = QRectF(area.left(), area.bottom() + 2, area.width(), _AXIS)
        long = edges[-1] - edges[0] > 20 * 3600 * 10**9
        write = figures.minute if long else figures.clock_time
        texts = [write(edge, self.zone) for edge in (edges[0], edges[len(edges) // 2], edges[-1])]
        flags = (Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignHCenter, Qt.AlignmentFlag.AlignRight)
        for text, flag in zip(texts, flags, strict=True):
            painter.drawText(line, int(flag | Qt.AlignmentFlag.AlignVCenter), text)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Begin a range."""
        if event.button() == Qt.MouseButton.LeftButton and self.histogram.counts:
            self._pressed = self._moved = event.position().x()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Drag it, or say what the bar below is."""
        if not self.histogram.counts:
            return
        x = event.position().x()
        if self._pressed is not None:
            self._moved = x
            self.update()
            return
        bucket = self.histogram.bucket(self._time_at(x))
        if bucket is None:
            return
        text = tr_count(
            "{count} message",
            "{count} messages",
            self.histogram.counts[bucket],
            count=figures.integer(self.histogram.counts[bucket]),
        )
        if self._matches[bucket]:
            text = tr_count(
                "{messages}, {count} match",
                "{messages}, {count} matches",
                self._matches[bucket],
                count=figures.integer(self._matches[bucket]),
                messages=text,
            )
        begin = figures.timestamp(self.histogram.edges[bucket], self.zone)
        QToolTip.showText(event.globalPosition().toPoint(), f"{begin}\n{text}", self)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """A drag chooses a range, a click a time."""
        pressed, self._pressed = self._pressed, None
        moved, self._moved = self._moved, None
        self.update()
        if pressed is None or moved is None:
            return
        if abs(moved - pressed) < 4:
            self.time_chosen.emit(self._time_at(pressed))
        else:
            left, right = sorted((pressed, moved))
            self.range_chosen.emit(self._time_at(left), self._time_at(right))
