"""Values over time: the graph that every page with history uses."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from functools import partial
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QSize, Qt
from PySide6.QtGui import QAccessible, QColor, QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QStackedLayout, QToolButton, QVBoxLayout, QWidget

from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.graph_axes import TimeAxis, ValueAxis
from memphis_desktop.ui.components.graph_legend import Legend, LegendEntry
from memphis_desktop.ui.components.graph_lines import in_view, with_gaps
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.time_range import TimeRange
from memphis_desktop.ui.theme import fonts
from memphis_desktop.ui.theme.icons import icon

pg.setConfigOptions(antialias=False, useOpenGL=False)

_DASHES = (
    Qt.PenStyle.SolidLine,
    Qt.PenStyle.SolidLine,
    Qt.PenStyle.SolidLine,
    Qt.PenStyle.DashLine,
    Qt.PenStyle.DotLine,
    Qt.PenStyle.DashDotLine,
)
_UNIT_FROM = 420  # the width from which the unit stands beside the title
_FILLED_LINE = 1.001  # Qt blends a translucent line of width 1 pixel by pixel: a hundred times as long
_STEADY = 0.05  # less than this part of the value is no change worth a word


@dataclass(frozen=True, eq=False)
class Series:
    """One line. ``times`` in seconds since 1970, rising; NaN among ``values`` leaves a gap.

    ``token`` overrides the colour that its place in the list gives. With ``gaps_marked`` only NaN breaks the
    line, however far apart the samples are; else a step much longer than usual does too.
    """

    name: str
    times: NDArray[np.float64]
    values: NDArray[np.float64]
    fill: bool = False
    token: str = ""
    gaps_marked: bool = False


@dataclass(frozen=True)
class Mark:
    """Something that happened: a thin vertical line with a text under the pointer.

    ``kind`` is a token: information, warning, bad, good, accent.
    """

    time: float
    text: str
    kind: str = "information"


def unit_text(unit: str) -> str:
    """What people read for a unit; another than those of graphs stands for itself."""
    words = {
        "messages/s": tr("messages/s"),
        "messages": tr("messages"),
        "bytes/s": tr("bytes/s"),
        "bytes": tr("bytes"),
        "seconds": tr("seconds"),
    }
    return words.get(unit, unit)


def unit_formatter(unit: str) -> Callable[[float | None], str]:
    """How values of a unit are written."""
    if unit in ("bytes/s", "B/s"):
        return figures.bytes_rate
    if unit in ("bytes", "B"):
        return figures.bytes_size
    if unit in ("seconds", "s"):
        return figures.duration
    if unit.endswith("/s"):
        return figures.rate
    return figures.compact


class _Box(pg.ViewBox):  # type: ignore[misc]
    """Wheel zooms time, drag brushes a stretch, double click follows again."""

    def __init__(self, owner: TimeSeriesGraph) -> None:
        super().__init__(enableMenu=False)
        self._owner = owner
        self.setMouseEnabled(x=False, y=False)

    def wheelEvent(self, ev: Any, axis: int | None = None) -> None:
        """Zoom time around the pointer."""
        ev.accept()
        anchor = self.mapSceneToView(ev.scenePos()).x()
        self._owner.zoom(0.8 if ev.delta() > 0 else 1.25, anchor)

    def mouseDragEvent(self, ev: Any, axis: int | None = None) -> None:
        """Mark a stretch; on release it becomes the page's range."""
        if ev.button() != Qt.MouseButton.LeftButton:
            ev.ignore()
            return
        ev.accept()
        start = self.mapSceneToView(ev.buttonDownScenePos()).x()
        end = self.mapSceneToView(ev.scenePos()).x()
        self._owner.brush(min(start, end), max(start, end), ev.isFinish())

    def mouseDoubleClickEvent(self, event: Any) -> None:
        """Back to following the clock."""
        event.accept()
        self._owner.time_range.follow()


class TimeSeriesGraph(QFrame):
    """Title, legend with the values under the crosshair, plot; the same data as a table at a click.

    Args:
        title: what is shown.
        unit: ``messages/s``, ``messages``, ``bytes/s``, ``bytes``, ``seconds``; decides how values read.
        time_range: shared by all graphs of a page; its own when absent.
        zone: for the time axis.
    """

    def __init__(
        self,
        title: str,
        unit: str = "messages/s",
        time_range: TimeRange | None = None,
        parent: QWidget | None = None,
        *,
        zone: tzinfo = UTC,
    ) -> None:
        super().__init__(parent)
        self.setProperty("panel", "surface")
        self.title = title
        self.unit = unit
        self.time_range = time_range or TimeRange(parent=self)
        self._zone = zone
        self._format = unit_formatter(unit)
        self._series: list[Series] = []
        self._marks: list[Mark] = []
        self._curves: list[pg.PlotCurveItem] = []
        self._lines: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []  # with their gaps
        self._ends: list[pg.TextItem] = []
        self._mark_lines: list[pg.InfiniteLine] = []
        self._maximum: float | None = None
        self.setAccessibleName(title)
        self._build()
        self.time_range.changed.connect(self._apply_range)
        self.time_range.cursor_moved.connect(self._show_cursor)
        theme.manager().follow(self, self._restyle)
        self._restyle()

    # Data -------------------------------------------------------------------------------------

    def set_series(self, series: Sequence[Series]) -> None:
        """Show other values; curves are reused, so this is cheap enough for each sample."""
        restyle = len(series) != len(self._series) or any(
            (new.name, new.fill, new.token) != (old.name, old.fill, old.token)
            for new, old in zip(series, self._series, strict=True)
        )
        self._series = list(series)
        while len(self._curves) < len(series):
            curve = pg.PlotCurveItem(antialias=True)
            self._plot.addItem(curve, ignoreBounds=True)
            self._curves.append(curve)
        for extra in self._curves[len(series) :]:
            extra.setData([], [])
        self._lines = [
            (one.times, one.values) if one.gaps_marked else with_gaps(one.times, one.values) for one in series
        ]
        if restyle:
            self._restyle()
            self.setAccessibleDescription(self.summary())
        self._apply_range()
        self._update_legend()
        if self._stack.currentIndex() == 1:
            self._fill_table()
        self._empty.setVisible(not any(len(one.times) > 1 for one in series))

    def set_marks(self, marks: Sequence[Mark]) -> None:
        """Vertical lines where something happened."""
        if list(marks) == self._marks:
            return
        self._marks = list(marks)
        for line in self._mark_lines:
            self._plot.removeItem(line)
        self._mark_lines = []
        for mark in self._marks:
            line = pg.InfiniteLine(mark.time, angle=90)
            line.setToolTip(mark.text)
            line.setZValue(-5)
            self._plot.addItem(line, ignoreBounds=True)
            self._mark_lines.append(line)
        self._restyle()

    def set_zone(self, zone: tzinfo) -> None:
        """Label the time axis in another zone."""
        self._zone = zone
        self._time_axis.zone = zone
        self._time_axis.picture = None
        self._time_axis.update()

    def set_axis_width(self, width: int) -> None:
        """Make room at the left, so that the plot begins where something above it does."""
        self._value_axis.setWidth(width)

    def set_maximum(self, value: float | None) -> None:
        """Draw a limit as a dashed line and keep it in view when values come near."""
        self._maximum = value
        self._limit.setVisible(value is not None)
        if value is not None:
            self._limit.setValue(value)
        self._apply_range()

    def set_unit(self, unit: str) -> None:
        """Another unit for the same graph (messages or bytes)."""
        self.unit = unit
        self._format = unit_formatter(unit)
        self._value_axis.formatter = self._format
        self._unit_label.setText(unit_text(unit))
        self._value_axis.picture = None
        self._value_axis.update()

    def set_title(self, title: str) -> None:
        """Another title."""
        self.title = title
        self._title_label.setText(title)
        self.setAccessibleName(title)

    def accessibleDescription(self) -> str:
        """`summary` of now. Qt itself is told of it while somebody listens: it takes longer than drawing."""
        return self.summary()

    def summary(self) -> str:
        """What the graph shows, in a sentence, for screen readers."""
        parts = [course for one in self._series if (course := self._course(one))]
        return f"{self.title}. " + ("; ".join(parts) if parts else tr("No values yet"))

    def _course(self, one: Series) -> str:
        """How a line ran over the time shown; empty where it has no values."""
        start, end = self.time_range.bounds(self._latest())
        known = np.isfinite(one.values) & (one.times >= start) & (one.times <= end)
        values, times = one.values[known], one.times[known]
        if not len(values):
            return ""
        first, last, low, high = (float(v) for v in (values[0], values[-1], values.min(), values.max()))
        size = max(abs(first), abs(last))
        span = figures.duration(float(times[-1] - times[0]))
        shown = {"line": one.name, "first": self._format(first), "last": self._format(last), "span": span}
        if abs(last - first) <= size * _STEADY:
            course = tr("{line}: steady at {last}", **shown)
        elif last > first:
            course = tr("{line}: rose from {first} to {last} in {span}", **shown)
        else:
            course = tr("{line}: fell from {first} to {last} in {span}", **shown)
        return tr(
            "{course}, between {low} and {high}",
            course=course,
            low=self._format(low),
            high=self._format(high),
        )

    # Building ---------------------------------------------------------------------------------

    def _build(self) -> None:
        self._title_label = PlainLabel(self.title, "strong")
        self._unit_label = PlainLabel(unit_text(self.unit), "caption")
        self._legend = Legend()
        self._table_button = QToolButton()
        self._table_button.setCheckable(True)
        self._table_button.setIcon(icon("table", "muted", token_on="accent"))
        self._table_button.setIconSize(QSize(16, 16))
        self._table_button.setToolTip(tr("Show as table"))
        self._table_button.setAccessibleName(tr("Show as table"))
        self._table_button.toggled.connect(self._show_table)
        head = self._head = QHBoxLayout()
        head.setSpacing(theme.SPACE_2)
        head.addWidget(self._title_label)
        head.addWidget(self._unit_label)
        head.addWidget(self._legend, 1)
        head.addStretch(0)
        head.addWidget(self._table_button)
        self._legend_below = False

        self._time_axis = TimeAxis()
        self._time_axis.zone = self._zone
        self._value_axis = ValueAxis(self._format)
        self._box = _Box(self)
        self._widget = pg.PlotWidget(
            viewBox=self._box, axisItems={"bottom": self._time_axis, "left": self._value_axis}
        )
        self._widget.setFrameShape(QFrame.Shape.NoFrame)
        for one in (self._widget, self._widget.viewport()):  # the keyboard has the table of the same data
            one.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._widget.setMinimumHeight(96)
        self._widget.setViewportUpdateMode(pg.GraphicsView.ViewportUpdateMode.BoundingRectViewportUpdate)
        self._plot = self._widget.getPlotItem()
        for one in (self._widget, self._plot):  # time runs from left to right in every language
            one.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
        self._plot.hideButtons()
        self._plot.setMenuEnabled(False)
        self._plot.disableAutoRange()
        self._plot.layout.setContentsMargins(0, 6, 0, 0)
        self._value_axis.setWidth(56)
        self._value_axis.setStyle(tickLength=0, tickTextOffset=8)
        self._time_axis.setStyle(tickLength=0, tickTextOffset=6)
        self._time_axis.setHeight(24)
        self._crosshair = pg.InfiniteLine(angle=90)
        self._crosshair.setZValue(20)
        self._crosshair.hide()
        self._plot.addItem(self._crosshair, ignoreBounds=True)
        self._limit = pg.InfiniteLine(angle=0)
        self._limit.hide()
        self._plot.addItem(self._limit, ignoreBounds=True)
        self._brushed = pg.LinearRegionItem(movable=False)
        self._brushed.hide()
        self._plot.addItem(self._brushed, ignoreBounds=True)
        self._box.sigResized.connect(self._draw_lines)
        self._widget.scene().sigMouseMoved.connect(self._mouse_moved)
        self._widget.installEventFilter(self)

        self._empty = PlainLabel(tr("Waiting for values"), "caption", parent=self._widget)
        self._empty.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._table_holder = QWidget()
        self._table_layout = QVBoxLayout(self._table_holder)
        self._table_layout.setContentsMargins(0, 0, 0, 0)
        self._table: Any = None
        self._stack = QStackedLayout()
        self._stack.addWidget(self._widget)
        self._stack.addWidget(self._table_holder)
        layout = self._layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_4, theme.SPACE_3, theme.SPACE_3, theme.SPACE_2)
        layout.setSpacing(theme.SPACE_1)
        layout.addLayout(head)
        layout.addLayout(self._stack, 1)

    def eventFilter(self, watched: Any, event: QEvent) -> bool:
        """The crosshair goes when the pointer leaves; the waiting words stay in the middle."""
        if event.type() == QEvent.Type.Leave:
            self.time_range.set_cursor(None)
        elif event.type() == QEvent.Type.Resize:
            self._empty.adjustSize()
            centre = self._widget.rect().center() - self._empty.rect().center()
            self._empty.move(centre)
        return False

    # Range ------------------------------------------------------------------------------------

    def zoom(self, factor: float, anchor: float) -> None:
        """Make the page's range longer or shorter around a moment."""
        start, end = self.time_range.bounds()
        if self.time_range.following:
            self.time_range.follow(min(30 * 86400.0, max(10.0, self.time_range.span * factor)))
        else:
            self.time_range.fix(anchor - (anchor - start) * factor, anchor + (end - anchor) * factor)

    def brush(self, start: float, end: float, finished: bool) -> None:
        """Show the marked stretch; when finished it becomes the page's range."""
        self._brushed.setRegion((start, end))
        self._brushed.setVisible(not finished)
        if finished:
            self.time_range.fix(start, end)

    def _apply_range(self) -> None:
        start, end = self.time_range.bounds(self._latest())
        self._plot.setRange(xRange=(start, end), yRange=self._value_bounds(start, end), padding=0)
        self._draw_lines()
        if self.isVisible():
            # Else the range takes effect while the scene is being painted, and that makes it paint again.
            self._widget.scene().prepareForPaint()

    def _draw_lines(self) -> None:
        """Give the curves what of the lines is in view, as finely as the pixels can show."""
        start, end = self._box.viewRange()[0]
        for curve, (times, values) in zip(self._curves, self._lines, strict=False):
            times, values = in_view(times, values, start, end, int(self._box.width()))
            # Drawing around gaps costs many small paths: done only where there are any.
            curve.setData(times, values, connect="finite" if np.isnan(values).any() else "all")

    def _latest(self) -> float | None:
        """While following, the right edge is the last sample if that is fresh: lines reach the edge."""
        ends = [float(one.times[-1]) for one in self._series if len(one.times)]
        now = time.time()
        return max(ends) if ends and now - max(ends) < 15 else now

    def _value_bounds(self, start: float, end: float) -> tuple[float, float]:
        high = low = 0.0
        for one in self._series:
            first, last = np.searchsorted(one.times, (start, end), side="left")
            window = one.values[max(0, first - 1) : last + 1]
            finite = window[np.isfinite(window)]
            if len(finite):
                high, low = max(high, float(finite.max())), min(low, float(finite.min()))
        if self._maximum is not None and high > 0.6 * self._maximum:
            high = max(high, self._maximum)
        if high == low:
            high = low + 1.0
        return (low * 1.1 if low < 0 else 0.0), high * 1.12

    # Crosshair and legend ---------------------------------------------------------------------

    def _mouse_moved(self, position: QPointF) -> None:
        inside = self._box.sceneBoundingRect().contains(position)
        self.time_range.set_cursor(float(self._box.mapSceneToView(position).x()) if inside else None)

    def _show_cursor(self, moment: float | None) -> None:
        self._crosshair.setVisible(moment is not None)
        if moment is not None:
            self._crosshair.setValue(moment)
        self._update_legend()

    def _update_legend(self) -> None:
        look = theme.manager().current
        cursor = self.time_range.cursor
        entries = [
            LegendEntry(
                one.name,
                self._format(value_at(one, cursor)),
                self._colour(index, look),
                _DASHES[index % len(_DASHES)],
            )
            for index, one in enumerate(self._series)
        ]
        moment = figures.clock_time(int(cursor * 1e9), self._zone) if cursor is not None else ""
        self._legend.set_entries(entries, moment)
        self._place_legend()
        if QAccessible.isActive():
            self.setAccessibleDescription(self.summary())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """A narrow graph leaves the unit to its axis, and its legend goes below the title."""
        super().resizeEvent(event)
        self._unit_label.setVisible(self.width() >= _UNIT_FROM)
        self._place_legend()

    def _place_legend(self) -> None:
        inside = self.width() - theme.SPACE_4 - theme.SPACE_3
        title = self._title_label.sizeHint().width() + theme.SPACE_2
        if self.width() >= _UNIT_FROM:
            title += self._unit_label.sizeHint().width() + theme.SPACE_2
        room = inside - title - self._table_button.sizeHint().width() - 2 * theme.SPACE_2
        below = self._legend.wanted_width() > room and bool(self._series)
        if below != self._legend_below:
            self._legend_below = self._legend.below = below
            self._head.removeWidget(self._legend)
            self._layout.removeWidget(self._legend)
            if below:
                self._layout.insertWidget(1, self._legend)
            else:
                self._head.insertWidget(2, self._legend, 1)
        self._legend.setFixedHeight(
            self._legend.height_for(inside) if below else self._legend.sizeHint().height()
        )

    # Look -------------------------------------------------------------------------------------

    def _colour(self, index: int, look: theme.Theme) -> str:
        one = self._series[index]
        return look.colour(one.token) if one.token else look.series[index % len(look.series)]

    def _restyle(self) -> None:
        look = theme.manager().current
        self._widget.setBackground(look.surface)
        grid = QColor(look.line)
        caption = fonts.interface(11)
        for axis in (self._time_axis, self._value_axis):
            axis.setPen(pg.mkPen(look.line if axis is self._time_axis else look.surface))
            axis.setTextPen(look.muted)
            axis.setTickFont(caption)
        self._grid_pen = pg.mkPen(grid)
        self._value_axis.setGrid(90 if look.dark else 110)
        self._value_axis.setTickPen(pg.mkPen(look.line_strong, width=_FILLED_LINE))
        self._crosshair.setPen(pg.mkPen(look.muted, width=1))
        self._limit.setPen(pg.mkPen(look.bad, width=1, style=Qt.PenStyle.DashLine))
        brush = QColor(look.accent)
        brush.setAlphaF(0.18)
        self._brushed.setBrush(brush)
        for line in self._brushed.lines:
            line.setPen(pg.mkPen(look.accent))
        for index, curve in enumerate(self._curves[: len(self._series)]):
            colour = QColor(self._colour(index, look))
            curve.setPen(
                pg.mkPen(colour, width=1 if look.line_width == 1 else 2, style=_DASHES[index % len(_DASHES)])
            )
            shade = QColor(colour)
            shade.setAlphaF(0.12)
            curve.setFillLevel(0 if self._series[index].fill else None)
            curve.setBrush(shade if self._series[index].fill else None)
        for mark, line in zip(self._marks, self._mark_lines, strict=True):
            line.setPen(pg.mkPen(look.colour(mark.kind), width=1, style=Qt.PenStyle.DotLine))
        self._update_legend()

    # Table ------------------------------------------------------------------------------------

    def _show_table(self, shown: bool) -> None:
        if shown:
            self._fill_table()
        self._stack.setCurrentIndex(1 if shown else 0)

    def _fill_table(self) -> None:
        from memphis_desktop.ui.components.data_table import Column, DataTable

        names = [one.name for one in self._series]
        if self._table is None or self._table.property("names") != names:
            if self._table is not None:
                self._table.deleteLater()
            columns = [Column("time", tr("Time"), lambda row: row[0], "time", 200)]
            for index, name in enumerate(names):
                columns.append(
                    Column(
                        f"value{index}",
                        f"{name} ({unit_text(self.unit)})",
                        partial(_table_value, index),
                        "number",
                        140,
                        text=self._format,
                    )
                )
            self._table = DataTable(columns, lambda row: row[0], "graph_table", default_sort=("time", True))
            self._table.delegate.relative_times = False
            self._table.setProperty("names", names)
            self._table_layout.addWidget(self._table)
        self._table.set_zone(self._zone)
        self._table.set_rows(self.table_rows())

    def table_rows(self, limit: int = 2000) -> list[tuple[int, tuple[float | None, ...]]]:
        """The values in the range as (nanoseconds, values), at most ``limit`` of the latest."""
        start, end = self.time_range.bounds(self._latest())
        found: dict[int, list[float | None]] = {}
        for index, one in enumerate(self._series):
            first, last = np.searchsorted(one.times, (start, end + 1e-6))
            for moment, value in zip(
                one.times[first:last][-limit:], one.values[first:last][-limit:], strict=True
            ):
                row = found.setdefault(int(moment * 1e9), [None] * len(self._series))
                row[index] = float(value) if np.isfinite(value) else None
        return [(moment, tuple(values)) for moment, values in sorted(found.items())[-limit:]]


def _table_value(index: int, row: tuple[int, tuple[float | None, ...]]) -> float | None:
    return row[1][index]


def value_at(one: Series, moment: float | None) -> float | None:
    """The value at a moment (the nearest sample before it), the last one for None; None in a gap."""
    if not len(one.times):
        return None
    index = (
        len(one.times) - 1 if moment is None else int(np.searchsorted(one.times, moment, side="right")) - 1
    )
    if index < 0 or not np.isfinite(one.values[index]):
        return None
    return float(one.values[index])
