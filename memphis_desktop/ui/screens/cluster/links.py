"""The links between servers, routes, gateways and leaf nodes: a table, and a map."""

from __future__ import annotations

from PySide6.QtWidgets import QPushButton, QStackedWidget, QVBoxLayout, QWidget

from memphis_desktop.cluster.model import ClusterSnapshot, ConnectionState
from memphis_desktop.cluster.raft.model import NOTHING
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.filter_bar import FilterBar
from memphis_desktop.ui.screens.cluster.link_map import LinkMap
from memphis_desktop.ui.screens.cluster.parts import link_word
from memphis_desktop.ui.screens.station_parts import panel
from memphis_desktop.ui.theme.icons import icon


class LinksView(QWidget):
    """All links, by server."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._raft = NOTHING
        self.filter = FilterBar(tr("Filter links"))
        self.filter.add_chip(
            "busy", tr("In use"), tr("Only links that carried something: of a pool most rest")
        )
        self.table = DataTable(
            [
                Column("server", tr("Server"), lambda x: x.server, "mono", 110),
                Column("remote", tr("To"), lambda x: x.remote, "mono", 110),
                Column("kind", tr("Kind"), lambda x: link_word(x.kind), "badge", 84),
                Column(
                    "account", tr("Account"), lambda x: x.account, "text", 90, tr("Pinned to one account")
                ),
                Column("rtt", tr("RTT"), lambda x: x.rtt_seconds, "duration", 76),
                Column("in", tr("In"), lambda x: x.in_messages_rate, "rate", 80),
                Column("out", tr("Out"), lambda x: x.out_messages_rate, "rate", 80),
                Column(
                    "bytes_in",
                    tr("Bytes in"),
                    lambda x: x.in_bytes_rate,
                    "bytes",
                    92,
                    text=figures.bytes_rate,
                ),
                Column(
                    "bytes_out",
                    tr("Bytes out"),
                    lambda x: x.out_bytes_rate,
                    "bytes",
                    92,
                    text=figures.bytes_rate,
                ),
                Column(
                    "total",
                    tr("Carried"),
                    lambda x: x.in_bytes + x.out_bytes,
                    "bytes",
                    92,
                    tr("Since it is up"),
                ),
                Column(
                    "pending",
                    tr("Pending"),
                    lambda x: x.pending,
                    "bytes",
                    84,
                    tr("Bytes that wait to be sent"),
                ),
                Column("subscriptions", tr("Subscriptions"), lambda x: x.subscriptions, "number", 100),
                Column("uptime", tr("Up"), lambda x: x.uptime, "text", 80),
                Column("compression", tr("Compression"), lambda x: x.compression, "text", 100),
                Column("address", tr("Address"), lambda x: x.address, "mono", 140),
            ],
            lambda x: (x.server, x.kind, x.number),
            "cluster_links",
            default_sort=("server", False),
        )
        self.table.set_state("loading")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE_3)
        layout.addWidget(self.filter)
        self.map = LinkMap()
        self.pages = QStackedWidget()
        self.pages.addWidget(self.table)
        self.pages.addWidget(self.map)
        self.map_button = QPushButton(tr("Map"))
        self.map_button.setIcon(icon("share-network", "muted", token_on="accent"))
        self.map_button.setCheckable(True)
        self.map_button.setToolTip(tr("The same as a picture  (G)"))
        self.map_button.toggled.connect(lambda on: self.pages.setCurrentIndex(int(on)))
        self.filter.add_widget(self.map_button)
        layout.addWidget(panel(self.pages), 1)
        self.filter.text_changed.connect(self._search)
        self.filter.left.connect(self.table.setFocus)
        self.filter.chips_changed.connect(self._narrow)

    def toggle_map(self) -> None:
        """The table, or the map."""
        self.map_button.toggle()

    def _narrow(self, chips: set[str]) -> None:
        self.table.set_predicate((lambda x: x.in_bytes + x.out_bytes > 0) if "busy" in chips else None)
        self._draw()

    def _search(self, text: str) -> None:
        self.table.set_filter(text)
        self._draw()

    def _draw(self) -> None:
        """The map shows what the filter leaves."""
        meta = self._raft.meta
        self.map.show_links(self.table.rows(), self._raft.servers, meta.leader if meta is not None else "")

    def show_snapshot(self, snapshot: ClusterSnapshot) -> None:
        """Show the round's links."""
        raft = snapshot.raft
        self.table.set_rows(raft.links)
        self._raft = raft
        self._draw()
        if raft.links:
            self.table.set_state("ready")
        elif not raft.system:
            self.table.set_state("empty", tr("Links are seen by the system account only."), icon="lock-key")
        elif snapshot.state is not ConnectionState.CONNECTED:
            text = tr("Nothing is known of links while there is no connection.")
            self.table.set_state("empty", text, icon="link-break")
        elif raft.links_told:
            text = tr("No link between servers: those that answer reach no other one.")
            self.table.set_state("empty", text, icon="link-break")
