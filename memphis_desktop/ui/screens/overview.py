"""The overview: is all well, what flows, who lags, and where to act."""

from __future__ import annotations

import heapq
import time

from PySide6.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from memphis_desktop.cluster.health import Finding, findings
from memphis_desktop.cluster.history import ServerKey
from memphis_desktop.cluster.model import (
    ClusterSnapshot,
    ConsumerSnapshot,
    StreamSnapshot,
    is_machinery,
)
from memphis_desktop.cluster.stretch import StretchStation, Survey
from memphis_desktop.language import tr
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components.beside import Beside
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.graph import TimeSeriesGraph
from memphis_desktop.ui.components.page_header import PageHeader
from memphis_desktop.ui.components.segments import Segments
from memphis_desktop.ui.components.time_range import TimeRange, TimeRangeBar
from memphis_desktop.ui.screen import SERVER, Command, Route, Screen, ScreenContext
from memphis_desktop.ui.screens.cluster.strip import ClusterStrip
from memphis_desktop.ui.screens.memphis.station_rows import BusyStation, busy_stations
from memphis_desktop.ui.screens.overview_attention import Attention
from memphis_desktop.ui.screens.overview_signs import OverviewSigns
from memphis_desktop.ui.screens.overview_stretch import StretchNotice, StretchReader
from memphis_desktop.ui.screens.overview_tables import (
    busiest,
    busiest_of_stretch,
    lag_board,
    lag_board_of_stretch,
)
from memphis_desktop.ui.screens.registry import find
from memphis_desktop.ui.screens.station_actions import StationActions
from memphis_desktop.ui.screens.station_beginnings import Beginnings
from memphis_desktop.ui.screens.station_parts import (
    LONGEST,
    PAGE_MARGINS,
    SEVERITY_TOKEN,
    StateBanner,
    consumer_route,
    finding_route,
    history_line,
    panel,
    station_route,
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
        self._units = Segments([("messages", tr("Messages")), ("bytes", tr("Bytes"))])
        self._units.set_choice("messages")
        for key in ("messages", "bytes"):
            button = self._units.button(key)
            keymap.tooltip(button, button.text(), "overview.unit")
        self._units.chosen.connect(self._choose_unit)
        self.range_bar = TimeRangeBar(self.time_range, longest=LONGEST)
        self.header.add_widget(self._units)
        self.header.add_widget(self.range_bar)
        self.banner = StateBanner()
        self.strip = ClusterStrip()
        self.strip.server_chosen.connect(lambda _: context.navigate(Route("cluster", {"tab": "servers"})))
        self.signs = OverviewSigns(context.session.history)
        self.signs.opened.connect(self._open_sign)
        self.notice = StretchNotice()
        self.header.add_below(self.notice)
        self.graph = TimeSeriesGraph(tr("Throughput"), "messages/s", self.time_range, zone=context.zone)
        self.graph.setMinimumHeight(170)
        shows(self.graph, SERVER, "streams")
        self._build_tables()
        self._arrange()
        self.time_range.changed.connect(self._draw)
        self.stretch = StretchReader(context, self.time_range, self)
        self.stretch.changed.connect(self._stretch_changed)
        self.stretch.surveyed.connect(self._show_survey)
        self.notice.button.clicked.connect(self.stretch.back_to_now)

    # Building

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
        self.lag_board = lag_board(history)
        self.lag_board_then = lag_board_of_stretch()
        for board in (self.lag_board, self.lag_board_then):
            board.row_activated.connect(lambda c: context.navigate(consumer_route(c.stream, c.name)))
        self.stations = busiest(history)
        self.stations_then = busiest_of_stretch()
        for table in (self.stations, self.stations_then):
            table.row_activated.connect(self._open_station)
        self.lags, self.busy = QStackedWidget(), QStackedWidget()
        for stack, tables in (
            (self.lags, (self.lag_board, self.lag_board_then)),
            (self.busy, (self.stations, self.stations_then)),
        ):
            for one in tables:
                stack.addWidget(one)
                one.set_state("loading")
        self.health.set_state("loading")

    def _arrange(self) -> None:
        self.attention = Attention(self.context, self.health)
        middle = Beside((self.graph, 11), (shows(self.attention, "streams", "consumers"), 9))
        lower = Beside(
            (shows(panel(self.lags, title=tr("Furthest behind"), tabular=True), "consumers"), 13),
            (shows(panel(self.busy, title=tr("Busiest stations"), tabular=True), "streams"), 7),
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
            self.header.subtitle_label.setVisible(not self.stretch.active)
        self._show_health(snapshot)
        if self.stretch.active:
            self.stretch.refresh()
        else:
            self.signs.show_now(snapshot)
            self._show_lags(snapshot)
            self._show_stations(snapshot)
        self._draw()

    def activated(self) -> None:
        """Draw what came while hidden."""
        self._draw()
        self.stretch.refresh()

    # A stretch of time

    def _stretch_changed(self) -> None:
        """The page is about another time now."""
        self.commands_changed.emit()
        active = self.stretch.active
        for stack in (self.lags, self.busy):
            stack.setCurrentIndex(1 if active else 0)
        self.notice.setVisible(active)
        self.header.subtitle_label.setVisible(not active)  # in its place, so that the page needs no more room
        if active:
            self.notice.show_stretch(self.stretch.text(self.context.zone), tr("Reading what was in it…"))
            return
        self.attention.show_stretch(None)
        if self._snapshot is not None:
            self.show_snapshot(self._snapshot)

    def _show_survey(self, survey: Survey) -> None:
        words = (
            tr("Averages, and the worst lag. Health is of now.")
            if survey.recorded
            else tr("Nothing is recorded of this time. Health is of now.")
        )
        self.notice.show_stretch(self.stretch.text(self.context.zone), words)
        self.signs.show_stretch(survey)
        self.lag_board_then.set_rows(survey.lags)
        nobody = (
            tr("No group was behind in this time.")
            if survey.groups
            else tr("Of no group anything is recorded in this time.")
        )
        self.lag_board_then.set_state("ready" if survey.lags else "empty", nobody, icon="users-three")
        self.stations_then.set_rows(survey.stations)
        nothing = tr("Of no station anything is recorded in this time.")
        self.stations_then.set_state("ready" if survey.stations else "empty", nothing, icon="stack")
        self.attention.show_stretch(survey)

    def zone_changed(self) -> None:
        """The notice says times too."""
        super().zone_changed()
        if self.stretch.active:
            self.notice.show_stretch(self.stretch.text(self.context.zone), self.notice.words())

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

    def _choose_unit(self, key: str) -> None:
        self._units.set_choice(key)
        self._bytes = key == "bytes"
        self.graph.set_unit("bytes/s" if self._bytes else "messages/s")
        self._draw()

    def _toggle_unit(self) -> None:
        self._choose_unit("messages" if self._bytes else "bytes")

    def _open_sign(self, key: str) -> None:
        """Go to where a figure comes from."""
        names, parameters = _SIGN_ROUTES[key]
        name = next((name for name in names if find(name) is not None), names[-1])
        self.context.navigate(Route(name, parameters if name == names[0] else {}))

    def _open_station(self, station: BusyStation | StretchStation) -> None:
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
            Command(
                tr("Back to now"),
                keymap.key("overview.now"),
                self.stretch.back_to_now,
                "clock-counter-clockwise",
                enabled=self.stretch.active,
                reason=tr("The page shows now already"),
            ),
        ]


def _where(finding: Finding) -> str:
    if finding.consumer:
        return f"{finding.stream} › {finding.consumer}"
    return finding.stream or finding.advice
