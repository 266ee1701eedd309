"""The lists of the overview: who is furthest behind and what is written most, now or in a stretch of time."""

from __future__ import annotations

from memphis_desktop.cluster.history import History
from memphis_desktop.cluster.stretch import StretchLag
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.screens.memphis.station_rows import streams_sparkline
from memphis_desktop.ui.screens.station_parts import consumer_sparkline, trend, trend_of


def lag_board(history: History) -> DataTable:
    """Groups that are behind now, of `ConsumerSnapshot`."""
    return DataTable(
        [
            Column("group", tr("Group"), lambda c: c.name, "mono", 100, stretch=True),
            Column("station", tr("Station"), lambda c: c.stream, "mono", 92, stretch=True),
            Column(
                "seconds",
                tr("Behind"),
                lambda c: c.lag_seconds,
                "duration",
                84,
                tr("Age of the first message not delivered yet"),
                text=figures.lag_seconds,
            ),
            Column("lag", tr("Lag"), lambda c: c.num_pending, "number", 60, tr("Messages not delivered yet")),
            Column(
                "line",
                tr("Course"),
                lambda c: consumer_sparkline(history, c.stream, c.name),
                "sparkline",
                72,
                tr("The lag over time"),
            ),
            Column("trend", tr("Trend"), lambda c: trend(history, c.stream, c.name), "badge", 88),
            Column(
                "drain",
                tr("Done in"),
                lambda c: c.drain_seconds,
                "duration",
                84,
                tr("At the rates of the last minutes"),
            ),
        ],
        lambda c: (c.stream, c.name),
        "overview_lag",
        default_sort=("seconds", True),
    )


def lag_board_of_stretch() -> DataTable:
    """Groups that were behind in a stretch, of `StretchLag`."""
    return DataTable(
        [
            Column("group", tr("Group"), lambda c: c.name, "mono", 100, stretch=True),
            Column("station", tr("Station"), lambda c: c.stream, "mono", 92, stretch=True),
            Column(
                "seconds",
                tr("Behind"),
                lambda c: c.lag_seconds,
                "duration",
                84,
                tr("The oldest that the first message not delivered yet was"),
                text=figures.lag_seconds,
            ),
            Column(
                "lag",
                tr("Lag"),
                lambda c: round(c.lag),
                "number",
                60,
                tr("The most messages not delivered yet"),
            ),
            Column("line", tr("Course"), lambda c: c.line, "sparkline", 72, tr("The lag over this time")),
            Column(
                "trend",
                tr("Trend"),
                _stretch_trend,
                "badge",
                88,
                tr("By how much it rose or fell, from the first to the last of this time"),
            ),
            Column(
                "mean",
                tr("Average lag"),
                lambda c: None if c.mean is None else round(c.mean),
                "number",
                92,
                tr("Messages not delivered yet, on average"),
            ),
        ],
        lambda c: (c.stream, c.name),
        "overview_lag_stretch",
        default_sort=("seconds", True),
    )


def _stretch_trend(row: StretchLag) -> tuple[str, str]:
    return trend_of(row.change, row.seconds)


def busiest(history: History) -> DataTable:
    """Stations by what is written to them now, of `BusyStation`."""
    return DataTable(
        [
            Column("name", tr("Station"), lambda s: s.name, "mono", 120, stretch=True),
            Column("in", tr("In"), lambda s: s.in_messages_rate, "rate", 66),
            Column("bytes", tr("Bytes in"), lambda s: s.in_bytes_rate, "bytes", 82, text=figures.bytes_rate),
            Column("line", tr("Course"), lambda s: streams_sparkline(history, s.streams), "sparkline", 72),
        ],
        lambda s: s.name,
        "overview_stations",
        default_sort=("in", True),
    )


def busiest_of_stretch() -> DataTable:
    """Stations by what was written to them in a stretch, of `StretchStation`."""
    return DataTable(
        [
            Column("name", tr("Station"), lambda s: s.name, "mono", 110, stretch=True),
            Column("in", tr("In"), lambda s: s.in_messages_rate, "rate", 66, tr("On average")),
            Column(
                "messages",
                tr("Messages"),
                lambda s: round(s.messages),
                "number",
                84,
                tr("Written in this time, as far as it is recorded"),
                text=figures.compact,
            ),
            Column(
                "bytes",
                tr("Bytes in"),
                lambda s: s.in_bytes_rate,
                "bytes",
                82,
                tr("On average"),
                visible=False,
                text=figures.bytes_rate,
            ),
            Column("line", tr("Course"), lambda s: s.line, "sparkline", 72),
        ],
        lambda s: s.name,
        "overview_stations_stretch",
        default_sort=("in", True),
    )
