"""Lanes of leadership over time: one row a group, stretches in the colours of the servers, marks for events.

Names, patterns and marks say the same as the colours do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo

from PySide6.QtCore import QEvent, QPoint, QRect, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFontMetrics,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QFrame, QToolTip, QWidget

from memphis_desktop.cluster.raft.model import GroupKey
from memphis_desktop.cluster.raft.timeline import EventKind, LeaderEvent, LeaderTimeline, Segment
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.labels import plain_tooltip
from memphis_desktop.ui.components.time_range import TimeRange
from memphis_desktop.ui.screens.cluster.parts import EVENT_ICON, event_text, series_token
from memphis_desktop.ui.theme import fonts
from memphis_desktop.ui.theme.icons import paint_icon

ROW = 26
BAR = 16
NAMES = 176  # the width of the column of names
RIGHT = 12
MARK = 14


@dataclass(frozen=True, slots=True)
class Lane:
    """A row: its group and what to call it."""

    key: GroupKey
    label: str


class LaneView(QAbstractScrollArea):
    """Paints the lanes in view from the timeline; it holds nothing of its own."""

    group_activated = Signal(object)  # a GroupKey: double click or Enter
    current_changed = Signal(object)  # the GroupKey with the cursor

    def __init__(
        self,
        timeline: LeaderTimeline,
        time_range: TimeRange,
        parent: QWidget | None = None,
        *,
        zone: tzinfo = UTC,
    ) -> None:
        super().__init__(parent)
        self._timeline = timeline
        self.time_range = time_range
        self._zone = zone
        self._lanes: list[Lane] = []
        self._servers: tuple[str, ...] = ()
        self._current = -1
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(tr("Leaders over time"))
        self.viewport().setMouseTracking(True)
        self.verticalScrollBar().setSingleStep(ROW)
        time_range.changed.connect(self.viewport().update)
        time_range.cursor_moved.connect(lambda _: self.viewport().update())
        theme.manager().changed.connect(self.viewport().update)

    # Content

    def set_lanes(self, lanes: Sequence[Lane], servers: tuple[str, ...]) -> None:
        """Show these groups; `servers` decide the colours."""
        key = self.current()
        self._lanes, self._servers = list(lanes), servers
        self._current = next((i for i, lane in enumerate(self._lanes) if lane.key == key), -1)
        self._fit()
        self.setAccessibleDescription(self.summary())
        self.viewport().update()

    def lanes(self) -> list[Lane]:
        """The groups shown."""
        return list(self._lanes)

    def current(self) -> GroupKey | None:
        """The group with the cursor."""
        return self._lanes[self._current].key if 0 <= self._current < len(self._lanes) else None

    def set_zone(self, zone: tzinfo) -> None:
        """Tell times in another zone."""
        self._zone = zone

    def segments(self, key: GroupKey) -> list[Segment]:
        """What is painted of a group."""
        return self._timeline.segments(key, *self.time_range.bounds())

    def marks(self, key: GroupKey) -> list[LeaderEvent]:
        """The marks painted of a group."""
        return self._timeline.marks(key, *self.time_range.bounds())

    def summary(self) -> str:
        """What is shown, in a sentence, for screen readers."""
        parts = []
        for lane in self._lanes[:5]:
            latest = self._timeline.latest(lane.key)
            leader = latest.leader if latest is not None else ""
            count = sum(event.kind is EventKind.ELECTED for event in self.marks(lane.key))
            led = tr("led by {leader}", leader=leader) if leader else tr("led by nobody")
            elections = tr_count("{count} election", "{count} elections", count, count=figures.integer(count))
            parts.append(f"{lane.label}: {led}, {elections}")
        return "; ".join(parts) or tr("No groups")

    # Geometry

    def _fit(self) -> None:
        room = self.viewport().height()
        bar = self.verticalScrollBar()
        bar.setPageStep(room)
        bar.setRange(0, max(0, len(self._lanes) * ROW - room))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """More or fewer lanes fit."""
        super().resizeEvent(event)
        self._fit()

    def _area(self) -> QRect:
        bar = self.verticalScrollBar()
        right = max(0, RIGHT - (bar.width() if bar.isVisible() else 0))  # where the graphs below end
        return QRect(NAMES, 0, max(10, self.viewport().width() - NAMES - right), self.viewport().height())

    def _x(self, moment: float) -> float:
        start, end = self.time_range.bounds()
        area = self._area()
        return area.left() + (moment - start) / max(1e-9, end - start) * area.width()

    def _moment(self, x: float) -> float:
        start, end = self.time_range.bounds()
        area = self._area()
        return start + (x - area.left()) / area.width() * (end - start)

    def _row_at(self, y: float) -> int:
        row = int((y + self.verticalScrollBar().value()) // ROW)
        return row if 0 <= row < len(self._lanes) else -1

    # Painting

    def paintEvent(self, event: QPaintEvent) -> None:
        """The lanes in view."""
        look = theme.manager().current
        painter = QPainter(self.viewport())
        painter.fillRect(event.rect(), QColor(look.surface))
        offset = self.verticalScrollBar().value()
        first = offset // ROW
        last = min(len(self._lanes), (offset + self.viewport().height()) // ROW + 1)
        for row in range(first, last):
            self._paint_lane(painter, row, row * ROW - offset, look)
        cursor = self.time_range.cursor
        if cursor is not None:
            x = round(self._x(cursor))
            if x >= NAMES:
                painter.setPen(QPen(QColor(look.muted), 1))
                painter.drawLine(x, 0, x, self.viewport().height())

    def _paint_lane(self, painter: QPainter, row: int, top: int, look: theme.Theme) -> None:
        lane = self._lanes[row]
        area = self._area()
        whole = QRect(0, top, self.viewport().width(), ROW)
        if row == self._current:
            painter.fillRect(whole, QColor(look.selection))
            if self.hasFocus():
                painter.fillRect(QRect(0, top, look.focus_width, ROW), QColor(look.accent))
        painter.setPen(QPen(QColor(look.line), 1))
        painter.drawLine(0, whole.bottom(), whole.right(), whole.bottom())
        font = fonts.monospace(theme.SIZE_CAPTION)
        painter.setFont(font)
        painter.setPen(QColor(look.text))
        label = QFontMetrics(font).elidedText(lane.label, Qt.TextElideMode.ElideMiddle, NAMES - 28)
        painter.drawText(
            QRect(16, top, NAMES - 24, ROW),
            int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter),
            label,
        )
        painter.save()
        painter.setClipRect(QRect(area.left(), top, area.width(), ROW))
        for segment in self.segments(lane.key):
            self._paint_segment(painter, segment, top, look)
        painter.restore()
        for mark in self.marks(lane.key):
            self._paint_mark(painter, mark, top, look)

    def _paint_segment(self, painter: QPainter, segment: Segment, top: int, look: theme.Theme) -> None:
        left, right = self._x(segment.start), self._x(segment.end)
        rect = QRectF(left, top + (ROW - BAR) / 2, max(1.0, right - left), BAR)
        font = fonts.interface(11)
        painter.setFont(font)
        if segment.leader:
            token = series_token(segment.leader, self._servers)
            ground = QColor(look.colour(token))
            ground.setAlphaF(0.30 if look.dark else 0.22)
            painter.fillRect(rect, ground)
            painter.fillRect(
                QRectF(rect.left(), rect.bottom() - 2, rect.width(), 2), QColor(look.colour(token))
            )
            words = segment.leader if segment.term is None else f"{segment.leader} · {segment.term}"
            choices = [words, segment.leader]
            colour = look.text
        else:
            token = "bad" if segment.no_quorum else "warning"
            colour = look.colour(token)
            painter.fillRect(rect, QColor(look.colour(f"{token}_soft")))
            pattern = Qt.BrushStyle.DiagCrossPattern if segment.no_quorum else Qt.BrushStyle.BDiagPattern
            painter.save()
            painter.setOpacity(0.5)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            brush = painter.brush()
            brush.setStyle(pattern)
            brush.setColor(QColor(colour))
            painter.setBrush(brush)
            painter.drawRect(rect)
            painter.restore()
            choices = [tr("no quorum") if segment.no_quorum else tr("no leader")]
        metrics = QFontMetrics(font)
        room = min(rect.right(), self._area().right()) - max(rect.left(), self._area().left()) - 10
        for words in choices:
            if metrics.horizontalAdvance(words) <= room:
                painter.setPen(QColor(colour))
                inside = rect.adjusted(5, 0, -5, -1)
                inside.setLeft(max(inside.left(), self._area().left() + 5))
                painter.drawText(
                    inside, int(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter), words
                )
                break

    def _paint_mark(self, painter: QPainter, event: LeaderEvent, top: int, look: theme.Theme) -> None:
        x = round(self._x(event.time))
        area = self._area()
        if not area.left() <= x <= area.right():
            return
        icon, token = EVENT_ICON[event.kind]
        painter.setPen(QPen(QColor(look.text), 1))
        painter.drawLine(x, top + 1, x, top + ROW - 2)
        square = QRect(x - MARK // 2, top + (ROW - MARK) // 2, MARK, MARK)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(look.colour(token)), 1))
        painter.setBrush(QColor(look.surface))
        painter.drawEllipse(square.adjusted(-2, -2, 1, 1))
        painter.restore()
        paint_icon(painter, square.adjusted(1, 1, -1, -1), icon, look.colour(token))

    # Pointer and keys

    def text_at(self, point: QPoint) -> str:
        """What is under the pointer, in words."""
        row = self._row_at(point.y())
        if row < 0:
            return ""
        lane = self._lanes[row]
        if point.x() < NAMES:
            return lane.label
        near = [e for e in self.marks(lane.key) if abs(self._x(e.time) - point.x()) <= MARK / 2 + 1]
        if near:
            return "\n".join(
                f"{figures.clock_time(int(e.time * 1e9), self._zone)}  {event_text(e)}" for e in near
            )
        moment = self._moment(point.x())
        for segment in self.segments(lane.key):
            if segment.start <= moment <= segment.end:
                return f"{lane.label}: {_led_text(segment)}"
        return tr("{label}: not watched then", label=lane.label)

    def viewportEvent(self, event: QEvent) -> bool:
        """Words under the pointer."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), plain_tooltip(self.text_at(event.pos())), self.viewport())
            return True
        if event.type() == QEvent.Type.Leave:
            self.time_range.set_cursor(None)
        return super().viewportEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """The crosshair of all graphs of the page."""
        x = event.position().x()
        self.time_range.set_cursor(self._moment(x) if x >= NAMES else None)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Put the cursor on a lane."""
        self._choose(self._row_at(event.position().y()))

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Open the group."""
        row = self._row_at(event.position().y())
        if row >= 0:
            self.group_activated.emit(self._lanes[row].key)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom time over the lanes with Ctrl, as over the graphs; else scroll."""
        x = event.position().x()
        if x < NAMES or not event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            super().wheelEvent(event)
            return
        event.accept()
        factor = 0.8 if event.angleDelta().y() > 0 else 1.25
        start, end = self.time_range.bounds()
        if self.time_range.following:
            self.time_range.follow(min(30 * 86400.0, max(10.0, self.time_range.span * factor)))
        else:
            anchor = self._moment(x)
            self.time_range.fix(anchor - (anchor - start) * factor, anchor + (end - anchor) * factor)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Up and Down move the cursor, Enter opens the group."""
        step = {Qt.Key.Key_Up: -1, Qt.Key.Key_Down: 1, Qt.Key.Key_K: -1, Qt.Key.Key_J: 1}.get(
            Qt.Key(event.key())
        )
        key = self.current()
        if step is not None and self._lanes:
            self._choose(max(0, min(len(self._lanes) - 1, self._current + step)))
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and key is not None:
            self.group_activated.emit(key)
        else:
            super().keyPressEvent(event)

    def _choose(self, row: int) -> None:
        if row < 0 or row == self._current:
            return
        self._current = row
        bar = self.verticalScrollBar()
        top = row * ROW
        if top < bar.value():
            bar.setValue(top)
        elif top + ROW > bar.value() + self.viewport().height():
            bar.setValue(top + ROW - self.viewport().height())
        self.viewport().update()
        self.current_changed.emit(self._lanes[row].key)


def _led_text(segment: Segment) -> str:
    span = figures.duration(segment.end - segment.start)
    if segment.no_quorum:
        return tr("no quorum for {span}", span=span)
    if not segment.leader:
        return tr("no leader for {span}", span=span)
    if segment.term is None:
        return tr("led by {leader} for {span}", leader=segment.leader, span=span)
    return tr("led by {leader}, term {term} for {span}", leader=segment.leader, term=segment.term, span=span)
