"""The table of servers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from memphis_desktop.cluster.history import ServerKey
from memphis_desktop.cluster.model import ClusterSnapshot
from memphis_desktop.cluster.raft.groups import leaders_held
from memphis_desktop.cluster.raft.model import RaftGroup, ServerState
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.data_table import Column, DataTable, IconText
from memphis_desktop.ui.components.graph import TimeSeriesGraph
from memphis_desktop.ui.components.split_view import SplitView
from memphis_desktop.ui.components.time_range import TimeRange
from memphis_desktop.ui.screen import Command, ScreenContext
from memphis_desktop.ui.screens.cluster.parts import CROWN, presence_mark, series_token, since
from memphis_desktop.ui.screens.station_parts import history_line, limit_share, panel, sparkline, why_unread

MOST_LINES = 6  # as many as there are colours


@dataclass(frozen=True, slots=True)
class ServerRow:
    """A line of the table."""

    server: ServerState
    meta_leader: bool
    held: tuple[int, int, int]  # groups it leads: meta, streams, consumers


class ServersView(QWidget):
    """All servers with their figures."""

    def __init__(
        self,
        context: ScreenContext,
        actions: Callable[[list[ServerRow]], list[Command]],
        time_range: TimeRange,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._context = context
        self._wanted = ""  # a server to put the cursor on once it is there
        self.table = DataTable(
            [
                Column(
                    "name", tr("Server"), _name, "icon", 104, sort_value=lambda r: r.server.name, stretch=True
                ),
                Column("state", tr("State"), lambda r: presence_mark(r.server), "dot", 104),
                Column("leads", tr("Leads"), _leads, "text", 164, _LEADS, sort_value=lambda r: sum(r.held)),
                Column("cpu", tr("CPU"), _live("cpu_percent"), "number", 52, _CPU, text=_percent),
                Column("memory", tr("Memory"), _live("memory"), "bytes", 76),
                Column(
                    "store",
                    tr("Store"),
                    _store,
                    "bar",
                    108,
                    tr("JetStream's files against the server's limit"),
                ),
                Column("connections", tr("Clients"), _live("connections"), "number", 60),
                Column("in", tr("In"), _live("in_messages_rate"), "rate", 70, tr("Messages from clients")),
                Column("out", tr("Out"), _live("out_messages_rate"), "rate", 70, tr("Messages to clients")),
                Column("line", tr("Last hour"), _line(context), "sparkline", 76, tr("Messages from clients")),
                Column("answer", tr("Answer"), _live("answer_seconds"), "duration", 72, _ANSWER),
                Column("uptime", tr("Up"), _uptime, "duration", 84, tr("Since the server started")),
                Column("version", tr("Version"), lambda r: r.server.version, "text", 66),
                Column("subscriptions", tr("Subscriptions"), _live("subscriptions"), "number", 104),
                Column("api", tr("API"), _live("api_rate"), "rate", 66, tr("JetStream requests")),
                Column("api_errors", tr("Errors"), _live("api_errors"), "number", 60, _ERRORS),
                Column("slow", tr("Slow clients"), _live("slow_consumers"), "number", 84),
                Column("health", tr("Health"), _health, "text", 150, tr("In the server's own words")),
                Column("tags", tr("Tags"), lambda r: ", ".join(r.server.tags), "text", 120),
                Column("bytes_in", tr("Bytes in"), _live("in_bytes_rate"), "bytes", 88, **_HIDDEN_BYTES),
                Column("bytes_out", tr("Bytes out"), _live("out_bytes_rate"), "bytes", 88, **_HIDDEN_BYTES),
                Column("js_memory", tr("Memory store"), _memory_store, "bar", 150, visible=False),
                Column("groups", tr("Groups"), _live("groups"), "number", 70, _GROUPS, visible=False),
                Column("cluster", tr("Cluster"), lambda r: r.server.cluster, "text", 90, visible=False),
                Column("id", tr("Server id"), lambda r: r.server.id, "mono", 160, visible=False),
                Column("peer", tr("Raft id"), lambda r: r.server.peer, "mono", 90, visible=False),
            ],
            lambda r: r.server.name,
            "cluster_servers",
            context_actions=actions,
            default_sort=("name", False),
        )
        self.table.set_state("loading")
        self.traffic = TimeSeriesGraph(
            tr("Messages from clients"), "messages/s", time_range, zone=context.zone
        )
        self.answers = TimeSeriesGraph(tr("Time to answer"), "seconds", time_range, zone=context.zone)
        graphs = QWidget()
        row = QHBoxLayout(graphs)
        row.setContentsMargins(0, theme.SPACE_2, 0, 0)
        row.setSpacing(theme.SPACE_4)
        row.addWidget(self.traffic)
        row.addWidget(self.answers)
        self.split = SplitView(
            panel(self.table), graphs, "cluster_servers", Qt.Orientation.Vertical, share=0.46
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.split)
        time_range.changed.connect(self._draw)

    def _draw(self) -> None:
        """The servers' lines, each in the colour it has in the timeline too."""
        history = self._context.session.history
        servers = sorted(self._context.session.snapshot.raft.servers)
        for graph, metric in ((self.traffic, "messages_in"), (self.answers, "rtt")):
            graph.set_series(
                [
                    history_line(
                        history,
                        ServerKey(name),
                        metric,
                        name,
                        graph.time_range,
                        token=series_token(name, servers),
                    )
                    for name in servers[:MOST_LINES]
                ]
            )

    def select(self, name: str) -> None:
        """Put the cursor on a server, when it is there."""
        self._wanted = "" if self.table.select_key(name) else name

    def show_snapshot(self, snapshot: ClusterSnapshot, groups: Sequence[RaftGroup]) -> None:
        """Show the round's servers."""
        held = leaders_held(groups)
        leader = snapshot.raft.meta.leader if snapshot.raft.meta is not None else ""
        rows = [
            ServerRow(server, name == leader and server.here, held.get(name, (0, 0, 0)))
            for name, server in snapshot.raft.servers.items()
        ]
        self.table.set_rows(rows)
        if self._wanted and self.table.select_key(self._wanted):
            self._wanted = ""
        if rows:
            self.table.set_state("ready")
        elif why := why_unread(snapshot, "servers"):
            self.table.set_state("error", why, icon="hard-drives")
        self._draw()


_CPU = tr("Of one core; a server may use several")
_LEADS = tr("Raft groups it leads: the meta group, stations, consumer groups of this account")
_ERRORS = tr("JetStream requests that failed since the server started")
_ANSWER = tr("From the question of this program to the server's answer, over whatever lies between")
_GROUPS = tr("Replicated stations and consumer groups that it takes part in")


_HIDDEN_BYTES: dict[str, Any] = {"text": figures.bytes_rate, "visible": False}


def _live(name: str) -> Callable[[ServerRow], Any]:
    """What takes a figure from a row; None for a server that is not there."""

    def take(row: ServerRow) -> Any:
        return getattr(row.server, name) if row.server.here else None

    return take


def _line(context: ScreenContext) -> Callable[[ServerRow], Any]:
    def take(row: ServerRow) -> Any:
        return sparkline(context.session.history, ServerKey(row.server.name), "messages_in")

    return take


def _percent(value: float | None) -> str:
    return figures.UNKNOWN if value is None else f"{value:.0f} %"


def _name(row: ServerRow) -> IconText:
    if row.meta_leader:
        return IconText(CROWN, "accent", row.server.name)
    return IconText("hard-drive", "muted", row.server.name)


def _server_name(row: ServerRow) -> str:
    return row.server.name


def _uptime(row: ServerRow) -> float | None:
    server = row.server
    if server.started_ns is None or not server.here:
        return None
    return max(0.0, (server.answered_at_ns - server.started_ns) / 1e9)


def _leads(row: ServerRow) -> str:
    meta, streams, consumers = row.held
    parts = [tr("meta")] if meta or row.meta_leader else []
    if streams:
        shown = figures.integer(streams)
        parts.append(tr_count("{count} station", "{count} stations", streams, count=shown))
    if consumers:
        shown = figures.integer(consumers)
        parts.append(tr_count("{count} group", "{count} groups", consumers, count=shown))
    return ", ".join(parts) or tr("nothing")


def _bar(server: ServerState, used: int | None, limit: int | None) -> Any:
    if used is None or not server.here:
        return None, figures.UNKNOWN
    share = limit_share(used, limit)
    return (share, figures.bytes_size(used)) if share is not None else (None, figures.bytes_size(used))


def _store(row: ServerRow) -> Any:
    return _bar(row.server, row.server.store_used, row.server.store_limit)


def _memory_store(row: ServerRow) -> Any:
    return _bar(row.server, row.server.memory_used, row.server.memory_limit)


def _health(row: ServerRow) -> str:
    server = row.server
    if not server.here:
        return (
            tr("silent for {span}", span=since(server.answered_at_ns or None))
            if server.answered_at_ns
            else tr("never heard")
        )
    return server.health or figures.UNKNOWN
