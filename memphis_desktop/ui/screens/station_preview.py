"""A station at a glance, beside the list of stations."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from memphis_desktop.cluster.history import StreamKey
from memphis_desktop.cluster.model import ClusterSnapshot, ConsumerSnapshot
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.graph import TimeSeriesGraph
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.time_range import TimeRange
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.station_facts import Facts, station_facts
from memphis_desktop.ui.screens.station_parts import consumer_route, history_line, panel, station_route, trend


class StationPreview(QWidget):
    """A station at a glance: its figures, its graph, its groups."""

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._name: str | None = None
        self.title = PlainLabel("", "section", elide=Qt.TextElideMode.ElideMiddle)
        self.open_button = QPushButton(tr("Open"))
        self.open_button.clicked.connect(self._open)
        head = QHBoxLayout()
        head.addWidget(self.title, 1)
        head.addWidget(self.open_button)
        self.facts = Facts(1)
        self.time_range = TimeRange(300.0, self)
        self.graph = TimeSeriesGraph(tr("Rate"), "messages/s", self.time_range, zone=context.zone)
        self.graph.setProperty("panel", "")
        self.groups = DataTable(
            [
                Column("name", tr("Group"), lambda c: c.name, "mono", 84, stretch=True, cut_middle=True),
                Column("lag", tr("Lag"), lambda c: c.num_pending, "number", 56),
                Column(
                    "seconds", tr("Behind"), lambda c: c.lag_seconds, "duration", 70, text=figures.lag_seconds
                ),
                Column(
                    "trend",
                    tr("Trend"),
                    lambda c: trend(context.session.history, c.stream, c.name),
                    "badge",
                    78,
                ),
            ],
            lambda c: (c.stream, c.name),
            "station_preview_groups",
            default_sort=("lag", True),
        )
        self.groups.row_activated.connect(lambda c: context.navigate(consumer_route(c.stream, c.name)))
        frame = panel()
        column = frame.layout()
        assert isinstance(column, QVBoxLayout)
        inner = QVBoxLayout()
        inner.setContentsMargins(theme.SPACE_4, theme.SPACE_3, theme.SPACE_4, theme.SPACE_2)
        inner.setSpacing(theme.SPACE_3)
        inner.addLayout(head)
        inner.addWidget(self.facts)
        column.addLayout(inner)
        column.addWidget(self.graph, 3)
        column.addWidget(self.groups, 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_3, 0, 0, 0)
        layout.addWidget(frame)
        self.setMinimumWidth(300)
        self.time_range.changed.connect(self._draw)
        self.set_station(None)

    def set_station(self, name: str | None) -> None:
        """Show another station, or none."""
        if name == self._name and name is not None:
            return
        self._name = name
        self.title.setText(name or tr("No station selected"))
        self.open_button.setVisible(name is not None)
        self.facts.setVisible(name is not None)
        self.graph.setVisible(name is not None)
        self.groups.setVisible(name is not None)
        if name is not None:
            self._draw()

    def _open(self) -> None:
        if self._name is not None:
            self._context.navigate(station_route(self._name))

    def show_snapshot(self, snapshot: ClusterSnapshot) -> None:
        """Follow the station's figures."""
        stream = snapshot.streams.get(self._name or "")
        if stream is None:
            if self._name is not None:
                self.set_station(None)
            return
        self.facts.set_facts(station_facts(stream))
        groups: list[ConsumerSnapshot] = [c for c in snapshot.consumers.values() if c.stream == stream.name]
        self.groups.set_rows(groups)
        if not groups:
            text = (
                tr("Nobody consumes from this station.")
                if not stream.consumer_count
                else tr("Reading the groups.")
            )
            self.groups.set_state(
                "empty" if not stream.consumer_count else "loading", text, icon="users-three"
            )
        else:
            self.groups.set_state("ready")
        self._draw()

    def _draw(self) -> None:
        if self._name is None or self.isHidden():
            return
        history, key = self._context.session.history, StreamKey(self._name)
        self.graph.set_series(
            [
                history_line(history, key, "messages_in", tr("In"), self.time_range, fill=True),
                history_line(history, key, "messages_out", tr("Out"), self.time_range),
            ]
        )
