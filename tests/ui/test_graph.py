"""Graphs: gaps stay gaps, ranges are shared, legends are whole, the same data is a table."""

from __future__ import annotations

import time
from datetime import UTC, timedelta, timezone

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QObject, QPoint, QPointF, Qt
from PySide6.QtGui import QAccessible, QWheelEvent
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from memphis_desktop.ui import theme
from memphis_desktop.ui.components.graph import (
    Mark,
    Series,
    TimeSeriesGraph,
    value_at,
)
from memphis_desktop.ui.components.graph_axes import nice_step, tick_times
from memphis_desktop.ui.components.graph_lines import in_view, with_gaps
from memphis_desktop.ui.components.time_range import TimeRange, TimeRangeBar

START = 1_700_000_000.0


def series(name: str, count: int = 120, *, fill: bool = False) -> Series:
    times = START + np.arange(count, dtype=np.float64)
    return Series(name, times, np.linspace(0.0, 100.0, count), fill)


class _Paints(QObject):
    """Writes down each paint of a widget."""

    def __init__(self, seen: list[int], parent: QObject) -> None:
        super().__init__(parent)
        self._seen = seen

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Paint:
            self._seen.append(1)
        return False


@pytest.fixture
def graph(qtbot: QtBot) -> TimeSeriesGraph:
    graph = TimeSeriesGraph("Throughput", "messages/s")
    qtbot.addWidget(graph)
    graph.resize(700, 240)
    graph.show()
    graph.time_range.fix(START, START + 120)
    return graph


def test_missing_samples_break_the_line() -> None:
    times = np.array([0.0, 1.0, 2.0, 30.0, 31.0])
    values = np.ones(5)
    new_times, new_values = with_gaps(times, values)
    assert len(new_times) == 6
    assert np.isnan(new_values[3])
    assert 2.0 < new_times[3] < 30.0
    same_times, _ = with_gaps(times[:3], values[:3])
    assert len(same_times) == 3


def test_the_value_under_the_crosshair_is_the_one_before_it() -> None:
    one = Series("a", np.array([1.0, 2.0, 3.0]), np.array([10.0, np.nan, 30.0]))
    assert value_at(one, None) == 30.0
    assert value_at(one, 1.5) == 10.0
    assert value_at(one, 2.5) is None
    assert value_at(one, 0.5) is None


@pytest.mark.parametrize(("raw", "step"), [(0.9, 1), (1.0, 1), (1.1, 2), (23, 50), (0.03, 0.05)])
def test_steps_are_round(raw: float, step: float) -> None:
    assert nice_step(raw) == pytest.approx(step)


def test_ticks_are_round_times_of_the_zone() -> None:
    east = timezone(timedelta(hours=5, minutes=30))
    labels = [label for _, label in tick_times(START, START + 7200, 6, east)]
    assert labels
    assert all(label.endswith((":00", ":30")) or " " in label for label in labels)
    seconds = [label for _, label in tick_times(START, START + 30, 5, UTC)]
    assert all(label.count(":") == 2 for label in seconds)
    assert len(tick_times(START, START + 86400 * 30, 8, UTC)) <= 10


def test_all_graphs_of_a_page_share_range_and_crosshair(qtbot: QtBot) -> None:
    shared = TimeRange()
    first, second = TimeSeriesGraph("A", time_range=shared), TimeSeriesGraph("B", time_range=shared)
    for graph in (first, second):
        qtbot.addWidget(graph)
        graph.set_series([series("in")])
    shared.fix(START, START + 60)
    for graph in (first, second):
        assert graph._plot.viewRange()[0] == pytest.approx([START, START + 60])
    shared.set_cursor(START + 10)
    assert first._crosshair.isVisible()
    assert second._crosshair.isVisible()
    shared.set_cursor(None)
    assert not second._crosshair.isVisible()


def test_the_wheel_zooms_and_a_double_click_follows_again(graph: TimeSeriesGraph, qtbot: QtBot) -> None:
    graph.set_series([series("in")])
    QApplication.processEvents()
    place = QPointF(350.0, 100.0)
    wheel = QWheelEvent(
        place,
        graph._widget.mapToGlobal(place),
        QPoint(0, 0),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(graph._widget.viewport(), wheel)
    start, end = graph.time_range.bounds()
    assert end - start == pytest.approx(120 * 0.8)
    qtbot.mouseDClick(graph._widget.viewport(), Qt.MouseButton.LeftButton, pos=place.toPoint())
    assert graph.time_range.following


def test_brushing_shows_the_stretch(graph: TimeSeriesGraph) -> None:
    graph.brush(START + 10, START + 50, False)
    assert graph._brushed.isVisible()
    graph.brush(START + 10, START + 50, True)
    assert not graph._brushed.isVisible()
    assert graph.time_range.bounds() == (START + 10, START + 50)


def test_a_legend_goes_below_a_narrow_title_and_stays_whole(graph: TimeSeriesGraph) -> None:
    names = ["sample-analytics", "sample-billing", "sample-shipping"]
    graph.set_series([series(name) for name in names])
    legend = graph._legend
    graph.resize(900, 240)
    QApplication.processEvents()
    assert not legend.below
    graph.resize(340, 240)
    QApplication.processEvents()
    assert legend.below
    assert legend.height() >= 40
    for row in legend._rows(legend.width()):
        assert sum(legend._width(one) for one in row) <= legend.width()


def test_the_same_data_is_a_table(graph: TimeSeriesGraph, qtbot: QtBot) -> None:
    graph.set_series([series("in"), series("out")])
    graph.time_range.fix(START, START + 9)
    qtbot.mouseClick(graph._table_button, Qt.MouseButton.LeftButton)
    rows = graph._table.rows()
    assert len(rows) == 10
    assert rows[0][0] == int((START + 9) * 1e9)
    assert rows[0][1][0] == rows[0][1][1]


def test_it_speaks_to_screen_readers(graph: TimeSeriesGraph) -> None:
    graph.set_series([series("in")])
    assert graph.accessibleName() == "Throughput"
    assert "in: rose from 0/s to 100/s" in graph.accessibleDescription()
    assert "in: rose from 0/s to 100/s" in QWidget.accessibleDescription(graph)  # what Qt tells them


def test_the_sentence_is_made_only_while_somebody_listens(
    graph: TimeSeriesGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    own = TimeSeriesGraph.summary
    monkeypatch.setattr(TimeSeriesGraph, "summary", lambda self: made.append(own(self)) or made[-1])
    graph.set_series([series("in")])
    assert len(made) == 1  # there is another line
    for _ in range(5):
        graph.set_series([series("in")])
    assert len(made) == 1
    monkeypatch.setattr(QAccessible, "isActive", lambda: True)
    for _ in range(3):
        graph.set_series([series("in")])
    assert len(made) == 4
    assert QWidget.accessibleDescription(graph) == made[-1]


def test_colours_follow_the_theme_and_marks_stay(graph: TimeSeriesGraph) -> None:
    graph.set_series([series("in", fill=True)])
    graph.set_marks([Mark(START + 5, "Leader changed", "warning")])
    before = graph._curves[0].opts["pen"].color().name()
    theme.manager().set_mode("light")
    theme.manager().finish()
    after = graph._curves[0].opts["pen"].color().name()
    assert before != after
    assert after.upper() == theme.manager().current.series[0]
    assert graph._mark_lines[0].pen.color().name().upper() == theme.manager().current.warning


def test_the_bar_chooses_pauses_and_follows(qtbot: QtBot) -> None:
    shared = TimeRange()
    bar = TimeRangeBar(shared)
    qtbot.addWidget(bar)
    qtbot.mouseClick(bar._spans[3600.0], Qt.MouseButton.LeftButton)
    assert shared.span == 3600.0
    bar.toggle_pause()
    assert not shared.following
    assert not any(button.isChecked() for button in bar._spans.values())
    bar.toggle_pause()
    assert shared.following
    bar.next_preset()
    assert shared.span == 6 * 3600.0


def test_a_sentence_says_how_each_line_ran(qtbot: QtBot) -> None:
    """For screen readers: where it came from, where it is, how long that took."""
    graph = TimeSeriesGraph("Lag", "messages")
    qtbot.addWidget(graph)
    assert graph.summary() == "Lag. No values yet"
    now = time.time()
    times = now - np.arange(300.0, -1.0, -60.0)
    falling = Series("billing", times, np.array([12_000.0, 9_000.0, np.nan, 500.0, 100.0, 40.0]))
    steady = Series("shipping", times, np.full(6, 7.0))
    graph.set_series([falling, steady])
    graph.time_range.fix(now - 400, now)
    assert graph.summary().replace("\N{NO-BREAK SPACE}", " ") == (
        "Lag. billing: fell from 12 k to 40 in 5 min, between 40 and 12 k;"
        " shipping: steady at 7, between 7 and 7"
    )
    graph.time_range.fix(now - 130, now)
    assert "billing: fell from 500 to 40 in 2\N{NO-BREAK SPACE}min" in graph.summary()


def test_an_update_is_painted_once(graph: TimeSeriesGraph, qtbot: QtBot) -> None:
    """Neither a range put into effect late nor the crosshair, legend or labels make it paint again."""

    def shown(moment: int) -> list[Series]:
        times = START + moment + np.arange(120, dtype=np.float64)
        return [Series(name, times, np.linspace(0.0, 100.0 + moment * 7, 120)) for name in ("in", "out")]

    def settle() -> None:
        before = -1
        while before != len(paints):
            before = len(paints)
            for _ in range(4):
                QApplication.processEvents()

    paints: list[int] = []
    viewport = graph._widget.viewport()
    watch = _Paints(paints, viewport)
    viewport.installEventFilter(watch)
    graph.set_series(shown(0))
    settle()
    assert paints
    for moment in range(1, 6):
        paints.clear()
        graph.set_series(shown(moment))
        graph.time_range.fix(START + moment, START + moment + 120)
        settle()
        assert len(paints) == 1


def test_peaks_and_gaps_of_a_long_line_are_drawn() -> None:
    times = np.arange(100_000, dtype=np.float64)
    values = np.sin(times / 500)
    values[40_123], values[70_321] = 9.0, -9.0
    values[50_000:50_500] = np.nan
    drawn_times, drawn = in_view(times, values, 10_000.0, 90_000.0, 400)
    assert len(drawn) == len(drawn_times) <= 2 * 402
    assert (np.nanmax(drawn), np.nanmin(drawn)) == (9.0, -9.0)
    assert (np.diff(drawn_times) >= 0).all()
    assert (drawn_times[0], drawn_times[-1]) == (9_999.0, 90_000.0)
    gap = drawn_times[np.isnan(drawn)]
    assert len(gap)
    assert gap.min() >= 49_800
    assert gap.max() <= 50_700
    for moved in (1.0, 13.0):  # what stays in view is drawn as before
        later_times, later = in_view(times, values, 10_000.0 + moved, 90_000.0 + moved, 400)
        kept = np.isin(later_times, drawn_times[4:-4])
        assert kept.sum() >= len(drawn_times) - 8
        same = np.isin(drawn_times, later_times[kept])
        np.testing.assert_array_equal(drawn[same], later[kept])


def test_few_samples_are_drawn_as_they_are() -> None:
    times = np.arange(100, dtype=np.float64)
    drawn_times, drawn = in_view(times, times * 2, 10.5, 20.5, 400)
    assert drawn_times.tolist() == [float(moment) for moment in range(10, 22)]
    assert drawn.tolist() == [2.0 * moment for moment in range(10, 22)]
