"""The table of links between servers: routes, gateways, leaf nodes."""

from __future__ import annotations

from PySide6.QtWidgets import QVBoxLayout, QWidget

from memphis_desktop.cluster.model import ClusterSnapshot
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.filter_bar import FilterBar
from memphis_desktop.ui.screens.station_parts import panel


class LinksView(QWidget):
    """All links, by server."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.filter = FilterBar("Filter links")
        self.filter.add_chip("busy", "In use", "Only links that carried something: of a pool most rest")
        self.table = DataTable(
            [
                Column("server", "Server", lambda x: x.server, "mono", 110),
                Column("remote", "To", lambda x: x.remote, "mono", 110),
                Column("kind", "Kind", lambda x: x.kind, "badge", 84),
                Column("account", "Account", lambda x: x.account, "text", 90, "Pinned to one account"),
                Column("rtt", "RTT", lambda x: x.rtt_seconds, "duration", 76),
                Column("in", "In", lambda x: x.in_messages_rate, "rate", 80),
                Column("out", "Out", lambda x: x.out_messages_rate, "rate", 80),
                Column(
                    "bytes_in", "Bytes in", lambda x: x.in_bytes_rate, "bytes", 92, text=figures.bytes_rate
                ),
                Column(
                    "bytes_out", "Bytes out", lambda x: x.out_bytes_rate, "bytes", 92, text=figures.bytes_rate
                ),
                Column("total", "Carried", lambda x: x.in_bytes + x.out_bytes, "bytes", 92, "Since it is up"),
                Column("pending", "Pending", lambda x: x.pending, "bytes", 84, "Bytes that wait to be sent"),
                Column("subscriptions", "Subscriptions", lambda x: x.subscriptions, "number", 100),
                Column("uptime", "Up", lambda x: x.uptime, "text", 80),
                Column("compression", "Compression", lambda x: x.compression, "text", 100),
                Column("address", "Address", lambda x: x.address, "mono", 140),
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
        layout.addWidget(panel(self.table), 1)
        self.filter.text_changed.connect(self.table.set_filter)
        self.filter.left.connect(self.table.setFocus)
        self.filter.chips_changed.connect(self._narrow)

    def _narrow(self, chips: set[str]) -> None:
        self.table.set_predicate((lambda x: x.in_bytes + x.out_bytes > 0) if "busy" in chips else None)

    def show_snapshot(self, snapshot: ClusterSnapshot) -> None:
        """Show the round's links."""
        raft = snapshot.raft
        self.table.set_rows(raft.links)
        if raft.links:
            self.table.set_state("ready")
        elif not raft.system:
            self.table.set_state("empty", "Links are seen by the system account only.", icon="lock-key")
