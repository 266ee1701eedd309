"""The overview: is all well, what flows, who lags, and where to act."""

from __future__ import annotations

import heapq
import time
from typing import Any

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QButtonGroup,
    QFrame,
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from memphis_desktop.cluster.health import Finding, findings
from memphis_desktop.cluster.history import ServerKey
from memphis_desktop.cluster.model import (
    ClusterSnapshot,
    ConsumerSnapshot,
    StreamSnapshot,
    is_machinery,
)
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components.beside import Beside
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.graph import TimeSeriesGraph
from memphis_desktop.ui.components.page_header import PageHeader
from memphis_desktop.ui.components.sign_grid import SignGrid
from memphis_desktop.ui.components.time_range import TimeRange, TimeRangeBar
from memphis_desktop.ui.components.vital_sign import VitalSign
from memphis_desktop.ui.screen import SERVER, Command, Route, Screen, ScreenContext
from memphis_desktop.ui.screens.cluster.strip import ClusterStrip
from memphis_desktop.ui.screens.memphis.station_rows import BusyStation, busy_stations, streams_sparkline
from memphis_desktop.ui.screens.overview_attention import Attention
from memphis_desktop.ui.screens.registry import find
from memphis_desktop.ui.screens.station_actions import StationActions
from memphis_desktop.ui.screens.station_beginnings import Beginnings
from memphis_desktop.ui.screens.station_parts import (
    LONGEST,
    PAGE_MARGINS,
    SEVERITY_TOKEN,
    StateBanner,
    consumer_route,
    consumer_sparkline,
    finding_route,
    history_line,
    panel,
    sparkline,
    station_route,
    trend,
    why_unread,
)
from memphis_desktop.ui.screens.station_steady import Steady
from memphis_desktop.ui.shell.staleness import shows

LAG_ROWS = 20
STATION_ROWS = 20
CHECKED = 2000  # streams and consumers a second
MANY = 1000  # consumers
STRIP_EVERY = 5.0  # seconds, with so many
_SIGN_ROUTES: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "messages_in": (("stations",), {}),
    "messages_out": (("consumers",), {}),
    "bytes_in": (("stations",), {}),
    "bytes_out": (("consumers",), {}),
    "connections": (("clients", "cluster"), {}),
    "storage": (("stations",), {}),
    "api_errors": (("activity",), {}),
    "slow_consumers": (("clients", "cluster"), {}),
}
SIGN_WIDTH, NARROW_SIGN_WIDTH = 180, 146


class OverviewScreen(Screen):
    """See the module."""

    title = tr("Overview")
    route_name = "overview"

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._beginnings = Beginnings(context, StationActions(context, self), self)
        self._snapshot: ClusterSnapshot | None = None
        self._bytes = False
        self._checked_at = float("-inf")
        self._checked_for = -1  # who was there then
        self._strip_for, self._strip_at = -1, float("-inf")
        self._streams: Steady[str, StreamSnapshot] = Steady()
        self.time_range = TimeRange(300.0, self)
        self.header = PageHeader(tr("Overview"))
        self._units = _Segments((tr("Messages"), tr("Bytes")))
        self._units.button(0).setToolTip("G")
        self._units.button(1).setToolTip("G")
        self._units.group.idToggled.connect(self._unit_chosen)
        self.range_bar = TimeRangeBar(self.time_range, longest=LONGEST)
        self.header.add_widget(self._units)
        self.header.add_widget(self.range_bar)
        self.banner = StateBanner()
        self.strip = ClusterStrip()
        self.strip.server_chosen.connect(lambda _: context.navigate(Route("cluster", {"tab": "servers"})))
        self._build_vital_signs()
        self.graph = TimeSeriesGraph(tr("Throughput"), "messages/s", self.time_range, zone=context.zone)
        self.graph.setMinimumHeight(170)
        shows(self.graph, SERVER, "streams")
        self._build_tables()
        self._arrange()
        self.time_range.changed.connect(self._draw)

    # Building

    def _build_vital_signs(self) -> None:
        self.vital_signs = {
            key: VitalSign(title, token=token, beside=True)
            for key, title, token in (
                ("messages_in", tr("Messages in"), "series0"),
                ("messages_out", tr("Messages out"), "series1"),
                ("bytes_in", tr("Bytes in"), "series0"),
                ("bytes_out", tr("Bytes out"), "series1"),
                ("connections", tr("Connections"), "series2"),
                ("storage", tr("Stored"), "series2"),
                ("api_errors", tr("API errors"), "bad"),
                ("slow_consumers", tr("Slow clients"), "bad"),
            )
        }
        explain = {
            "messages_in": tr("Messages that clients of this account publish each second"),
            "messages_out": tr("Messages that clients of this account are sent each second"),
            "bytes_in": tr("Bytes that clients of this account publish each second"),
            "bytes_out": tr("Bytes that clients of this account are sent each second"),
            "connections": tr("Client connections of this account"),
            "storage": tr("What the account's stations hold on disk"),
            "api_errors": tr("Refused JetStream requests each second"),
            "slow_consumers": tr("Clients cut off because they read too slowly"),
        }
        for key, sign in self.vital_signs.items():
            sign.setToolTip(explain[key])
            shows(sign, "account" if key in ("storage", "api_errors") else SERVER)
        self.signs = SignGrid(
            list(self.vital_signs.values()), wide=SIGN_WIDTH, narrow=NARROW_SIGN_WIDTH, opening=True
        )
        for key, sign in self.vital_signs.items():
            sign.clicked.connect(lambda key=key: self._open_sign(key))

    def _build_tables(self) -> None:
        context, history = self.context, self.context.session.history
        self.health = DataTable(
            [
                Column("severity", "", lambda f: SEVERITY_TOKEN[f.severity], "dot", 28),
                Column("text", tr("Finding"), lambda f: f.text, "text", 170, stretch=True),
                Column("where", tr("Where"), _where, "mono", 250),
            ],
            lambda f: (f.stream, f.consumer, f.check),
            "overview_health",
        )
        self.health.row_activated.connect(self._open_finding)
        self.health.set_state("loading")
        self.lag_board = DataTable(
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
                Column(
                    "lag", tr("Lag"), lambda c: c.num_pending, "number", 60, tr("Messages not delivered yet")
                ),
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
        self.lag_board.row_activated.connect(lambda c: context.navigate(consumer_route(c.stream, c.name)))
        self.lag_board.set_state("loading")
        self.stations = DataTable(
            [
                Column("name", tr("Station"), lambda s: s.name, "mono", 120, stretch=True),
                Column("in", tr("In"), lambda s: s.in_messages_rate, "rate", 66),
                Column(
                    "bytes", tr("Bytes in"), lambda s: s.in_bytes_rate, "bytes", 82, text=figures.bytes_rate
                ),
                Column(
                    "line", tr("Course"), lambda s: streams_sparkline(history, s.streams), "sparkline", 72
                ),
            ],
            lambda s: s.name,
            "overview_stations",
            default_sort=("in", True),
        )
        self.stations.row_activated.connect(self._open_station)
        self.stations.set_state("loading")

    def _arrange(self) -> None:
        self.attention = Attention(self.context, self.health)
        middle = Beside((self.graph, 11), (shows(self.attention, "streams", "consumers"), 9))
        lower = Beside(
            (shows(panel(self.lag_board, title=tr("Furthest behind")), "consumers"), 13),
            (shows(panel(self.stations, title=tr("Busiest stations")), "streams"), 7),
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*PAGE_MARGINS)
        layout.setSpacing(theme.SPACE_4)
        layout.addWidget(self.header)
        layout.addWidget(self.banner)
        layout.addWidget(self.strip)
        layout.addWidget(self.signs)
        layout.addWidget(middle, 5)
        layout.addWidget(lower, 4)

    # Snapshots

    def show_snapshot(self, snapshot: ClusterSnapshot) -> None:
        """Show the round's figures."""
        self._snapshot = snapshot
        self.banner.show_snapshot(snapshot)
        now = time.monotonic()
        # Who leads how many is counted over all: at once when a server comes or goes, else now and then.
        if (
            snapshot.raft.generation != self._strip_for
            or len(snapshot.consumers) < MANY
            or now - self._strip_at >= STRIP_EVERY
        ):
            self._strip_for, self._strip_at = snapshot.raft.generation, now
            self.strip.show_snapshot(snapshot)
        server = snapshot.server
        if server is not None:
            name = f"{server.name[:10]}…" if server.name == server.server_id else server.name
            self.header.set_title(tr("Overview"), f"{name}  ·  {server.version}  ·  {server.url}")
        self._show_signs(snapshot)
        self._show_health(snapshot)
        self._show_lags(snapshot)
        self._show_stations(snapshot)
        self._draw()

    def activated(self) -> None:
        """Draw what came while hidden."""
        self._draw()

    def _show_signs(self, snapshot: ClusterSnapshot) -> None:
        server, account = snapshot.server, snapshot.account
        signs = self.vital_signs
        # Without account statistics (older or limited servers) the stations' own rates stand in.
        totals = self._latest_totals()
        messages_in = server.in_messages_rate if server else None
        messages_out = server.out_messages_rate if server else None
        bytes_in = server.in_bytes_rate if server else None
        _set_rate(signs["messages_in"], totals["published"] if messages_in is None else messages_in)
        _set_rate(signs["messages_out"], totals["delivered"] if messages_out is None else messages_out)
        _set_bytes(signs["bytes_in"], totals["bytes_published"] if bytes_in is None else bytes_in)
        _set_bytes(signs["bytes_out"], server.out_bytes_rate if server else None)
        signs["connections"].set_value(figures.compact(server.connections if server else None))
        if account is not None:
            value, unit = figures.bytes_parts(account.storage)
            signs["storage"].set_value(value, unit)
            share = account.storage / account.max_storage if account.max_storage > 0 else None
            signs["storage"].set_change(
                "" if share is None else tr("{share} of limit", share=figures.percent(share))
            )
        else:
            signs["storage"].set_value(figures.UNKNOWN)
        _set_rate(signs["api_errors"], account.api_errors_rate if account else None)
        signs["slow_consumers"].set_value(figures.compact(server.slow_consumers if server else None))
        for key, first, second in (
            ("messages_in", "messages_in", "published"),
            ("messages_out", "messages_out", "delivered"),
            ("bytes_in", "bytes_in", "bytes_published"),
            ("bytes_out", "bytes_out", ""),
            ("connections", "connections", ""),
            ("storage", "storage", ""),
            ("api_errors", "api_errors_rate", ""),
            ("slow_consumers", "slow_consumers", ""),
        ):
            values = sparkline(self.context.session.history, ServerKey(), first)
            if second and not np.isfinite(values).any():
                values = sparkline(self.context.session.history, ServerKey(), second)
            signs[key].set_series(values.tolist())

    def _latest_totals(self) -> dict[str, float | None]:
        history = self.context.session.history
        latest: dict[str, float | None] = {}
        for metric in ("published", "delivered", "bytes_published"):
            _, values = history.series(ServerKey(), metric, 5.0)
            latest[metric] = float(values[-1]) if len(values) and np.isfinite(values[-1]) else None
        return latest

    def _show_health(self, snapshot: ClusterSnapshot) -> None:
        now = time.monotonic()
        many = len(snapshot.streams) + len(snapshot.consumers)
        if now - self._checked_at < many / CHECKED - 1.0 and snapshot.raft.generation == self._checked_for:
            return  # thousands are not checked each second
        self._checked_for = snapshot.raft.generation
        self._checked_at = now
        found = findings(snapshot, self.context.session.history)
        self.health.set_rows(found)
        if found:
            self.health.set_state("ready")
        elif snapshot.complete or "jetstream" in snapshot.errors:
            self.health.set_state("empty", tr("Nothing needs attention."), icon="check-circle")

    def _show_lags(self, snapshot: ClusterSnapshot) -> None:
        behind: list[ConsumerSnapshot] = [
            c for c in snapshot.consumers.values() if c.num_pending and not is_machinery(c.stream)
        ]
        worst = heapq.nlargest(LAG_ROWS, behind, key=lambda c: (c.lag_seconds or 0.0, c.num_pending))
        self.lag_board.set_rows(worst)
        if behind:
            self.lag_board.set_state("ready")
        elif any(not is_machinery(stream) for stream, _ in snapshot.consumers):
            self.lag_board.set_state(
                "empty", tr("Every group has been given all its messages."), icon="check-circle"
            )
        elif why := why_unread(snapshot, "streams", "round", "consumers"):
            self.lag_board.set_state(
                "error", why, (tr("Try again"), self.context.session.refresh), "users-three"
            )
        elif snapshot.complete:
            self.lag_board.set_state("empty", tr("There are no consumer groups yet."), icon="users-three")

    def _show_stations(self, snapshot: ClusterSnapshot) -> None:
        merge = self.context.memphis.available
        if self._streams.take(snapshot.streams) or merge:
            streams = [s for s in self._streams.shown.values() if s.is_read and not is_machinery(s.name)]
            if not merge:  # only the busiest are made into rows
                streams = heapq.nlargest(STATION_ROWS, streams, key=lambda s: s.in_messages_rate or 0.0)
            stations = busy_stations(streams, merge=merge)
            busiest = heapq.nlargest(STATION_ROWS, stations, key=lambda s: s.in_messages_rate or 0.0)
            self.stations.set_rows(busiest)
        if self.stations.model.total():
            self.stations.set_state("ready")
        elif why := why_unread(snapshot, "streams", "round"):
            self.stations.set_state("error", why, (tr("Try again"), self.context.session.refresh), "stack")
        elif snapshot.complete:
            text, action, others = self._beginnings.offers(restoring=False)
            self.stations.set_state("empty", text, action, "stack", others)

    def _draw(self) -> None:
        history = self.context.session.history
        published, delivered = ("bytes_published", "bytes_out") if self._bytes else ("published", "delivered")
        names = (
            (tr("Published"), tr("Sent to clients")) if self._bytes else (tr("Published"), tr("Delivered"))
        )
        self.graph.set_series(
            [
                history_line(history, ServerKey(), published, names[0], self.time_range, fill=True),
                history_line(history, ServerKey(), delivered, names[1], self.time_range),
            ]
        )

    # Doing

    def _unit_chosen(self, index: int, checked: bool) -> None:
        if checked:
            self._bytes = index == 1
            self.graph.set_unit("bytes/s" if self._bytes else "messages/s")
            self._draw()

    def _toggle_unit(self) -> None:
        self._units.button(0 if self._bytes else 1).setChecked(True)

    def _open_sign(self, key: str) -> None:
        """Go to where a figure comes from."""
        names, parameters = _SIGN_ROUTES[key]
        name = next((name for name in names if find(name) is not None), names[-1])
        self.context.navigate(Route(name, parameters if name == names[0] else {}))

    def _open_station(self, station: BusyStation) -> None:
        if station.name in station.streams:
            self.context.navigate(station_route(station.name))
        else:
            self.context.navigate(Route("memphis_station", {"station": station.name}))

    def _open_finding(self, finding: Finding) -> None:
        route = finding_route(finding)
        if route is not None:
            self.context.navigate(route)

    def commands(self) -> list[Command]:
        """Range, pause, unit."""
        return [
            Command(tr("Next time range"), keymap.key("overview.range"), self.range_bar.next_preset, "clock"),
            Command(
                tr("Hold or follow the graphs"),
                keymap.key("overview.hold"),
                self.range_bar.toggle_pause,
                "pause",
            ),
            Command(tr("Switch messages and bytes"), keymap.key("overview.unit"), self._toggle_unit, "swap"),
        ]


class _Segments(QFrame):
    """A few choices of which one holds."""

    def __init__(self, titles: tuple[str, ...], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("panel", "segments")
        self.group = QButtonGroup(self)
        self.group.setExclusive(True)
        row = QHBoxLayout(self)
        row.setContentsMargins(2, 2, 2, 2)
        row.setSpacing(0)
        for index, title in enumerate(titles):
            button = QPushButton(title)
            button.setCheckable(True)
            button.setChecked(index == 0)
            button.setProperty("kind", "segment")
            self.group.addButton(button, index)
            row.addWidget(button, 0, Qt.AlignmentFlag.AlignVCenter)

    def button(self, index: int) -> Any:
        """One of the choices."""
        return self.group.button(index)


def _set_rate(sign: VitalSign, value: float | None) -> None:
    if value is None:
        sign.set_value(figures.UNKNOWN)
    else:
        number, unit = figures.compact_parts(value)
        sign.set_value(number, f"{unit}/s")


def _set_bytes(sign: VitalSign, value: float | None) -> None:
    if value is None:
        sign.set_value(figures.UNKNOWN)
    else:
        number, unit = figures.bytes_parts(value)
        sign.set_value(number, f"{unit}/s")


def _where(finding: Finding) -> str:
    if finding.consumer:
        return f"{finding.stream} › {finding.consumer}"
    return finding.stream or finding.advice
