"""Who led what when, in step with throughput and lag, and the same as a list of events."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from datetime import tzinfo
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFileDialog, QPushButton, QStackedWidget, QVBoxLayout, QWidget

from memphis_desktop.cluster.history import ConsumerKey, ServerKey, StreamKey
from memphis_desktop.cluster.model import ClusterSnapshot
from memphis_desktop.cluster.raft.model import GroupKey, GroupKind, RaftGroup
from memphis_desktop.cluster.raft.timeline import EventKind, LeaderEvent
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.data_table import Column, DataTable, IconText
from memphis_desktop.ui.components.filter_bar import FilterBar
from memphis_desktop.ui.components.graph import Mark, TimeSeriesGraph
from memphis_desktop.ui.components.split_view import SplitView
from memphis_desktop.ui.components.time_range import TimeRange
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.cluster.lanes import NAMES, Lane, LaneView
from memphis_desktop.ui.screens.cluster.parts import EVENT_ICON, event_text, group_route, server_columns
from memphis_desktop.ui.screens.station_parts import history_line, panel
from memphis_desktop.ui.theme.icons import beside_text, icon

MOST_LANES = 200
MOST_EVENTS = 500
MOST_MARKS = 40
MARK_KIND = {
    EventKind.ELECTED: "accent",
    EventKind.LEADER_LOST: "warning",
    EventKind.QUORUM_LOST: "bad",
    EventKind.MEMBERS: "information",
}


def graph_marks(events: Sequence[LeaderEvent], *, named: bool = True) -> list[Mark]:
    """Events as marks on a graph, the latest of very many."""
    return [
        Mark(
            event.time,
            f"{event.key.label}: {event_text(event)}" if named else event_text(event),
            MARK_KIND[event.kind],
        )
        for event in events
        if event.kind in MARK_KIND
    ][-MOST_MARKS:]


class TimelineView(QWidget):
    """Lanes, graphs and events on one time range."""

    def __init__(self, context: ScreenContext, time_range: TimeRange, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._timeline = context.session.raft.timeline
        self.time_range = time_range
        self._snapshot: ClusterSnapshot | None = None
        self._groups: list[RaftGroup] = []
        self.filter = FilterBar(tr("Filter groups"))
        self.filter.add_chip(
            "changed", tr("With changes"), tr("Only groups that changed in this stretch of time")
        )
        self.export_button = QPushButton(tr("Export"))
        beside_text(self.export_button, icon("export"))
        self.export_button.clicked.connect(self.export)
        self.below = QStackedWidget()
        self.list_button = QPushButton(tr("Events"))
        beside_text(self.list_button, icon("table", "muted", token_on="accent"))
        self.list_button.setCheckable(True)
        self.list_button.setToolTip(tr("The same as a list  (G)"))
        self.list_button.toggled.connect(lambda on: self.below.setCurrentIndex(1 if on else 0))
        self.filter.add_widget(self.list_button)
        self.filter.add_widget(self.export_button)
        self.lanes = LaneView(self._timeline, time_range, zone=context.zone)
        self.throughput = TimeSeriesGraph(tr("Throughput"), "messages/s", time_range, zone=context.zone)
        self.lag = TimeSeriesGraph(tr("Lag"), "messages", time_range, zone=context.zone)
        for graph in (self.throughput, self.lag):
            graph.set_axis_width(NAMES - theme.SPACE_4)
        self.events = DataTable(
            [
                Column("time", tr("When"), lambda e: int(e.time * 1e9), "time", 150),
                Column("group", tr("Group"), lambda e: e.key.label, "mono", 190, stretch=True),
                Column("what", tr("What happened"), _event_cell, "icon", 260, stretch=True),
                Column("leader", tr("Leader then"), lambda e: e.leader or tr("none"), "mono", 100),
                Column("term", tr("Term"), lambda e: e.term, "number", 70),
            ],
            lambda e: (e.key, e.time, e.kind),
            "cluster_events",
            default_sort=("time", True),
        )
        self.events.row_activated.connect(lambda e: context.navigate(group_route(e.key)))
        self._arrange()
        self.filter.text_changed.connect(lambda _: self._show())
        self.filter.chips_changed.connect(lambda _: self._show())
        self.filter.left.connect(self.lanes.setFocus)
        self.lanes.group_activated.connect(lambda key: context.navigate(group_route(key)))
        self.lanes.current_changed.connect(lambda _: self._draw())
        time_range.changed.connect(self._show)

    def _arrange(self) -> None:
        graphs = QWidget()
        graphs_layout = QVBoxLayout(graphs)
        graphs_layout.setContentsMargins(0, 0, 0, 0)
        graphs_layout.setSpacing(theme.SPACE_2)
        graphs_layout.addWidget(self.throughput, 1)
        graphs_layout.addWidget(self.lag, 1)
        self.below.addWidget(graphs)
        self.below.addWidget(panel(self.events))
        self.split = SplitView(
            panel(self.lanes), self.below, "cluster_timeline", Qt.Orientation.Vertical, share=0.58
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE_3)
        layout.addWidget(self.filter)
        layout.addWidget(self.split, 1)

    def toggle_list(self) -> None:
        """Graphs below the lanes, or the events as a list."""
        self.list_button.toggle()

    # News

    def show_snapshot(self, snapshot: ClusterSnapshot, groups: Sequence[RaftGroup]) -> None:
        """Show the round."""
        self._snapshot = snapshot
        self._groups = list(groups)
        self._show()

    def set_zone(self, zone: tzinfo) -> None:
        """Tell times in another zone."""
        self.lanes.set_zone(zone)
        self.events.set_zone(zone)
        for graph in (self.throughput, self.lag):
            graph.set_zone(zone)

    def _show(self) -> None:
        if self._snapshot is None:
            return
        start, end = self.time_range.bounds()
        servers = server_columns(self._snapshot, self._groups)
        keys = self._chosen_keys(start, end)
        self.lanes.set_lanes([Lane(key, key.label) for key in keys], servers)
        events = [e for key in keys for e in self._timeline.events(key, start, end)]
        events.sort(key=lambda event: event.time)
        self.events.set_rows(events[-MOST_EVENTS:])
        if events:
            self.events.set_state("ready")
        else:
            self.events.set_state(
                "empty", tr("Nothing changed hands in this stretch of time."), icon="clock-counter-clockwise"
            )
        self._draw()

    def _chosen_keys(self, start: float, end: float) -> list[GroupKey]:
        """The meta group, then what changed lately, then the others by name."""
        words = self.filter.text().lower().split()
        only_changed = "changed" in self.filter.chips()
        known = {group.key for group in self._groups if group.size > 1} | set(self._timeline.keys())
        ranked = []
        for key in known:
            if words and not all(word in key.label.lower() for word in words):
                continue
            changed = self._timeline.last_change(key) or 0.0
            recent = changed if start <= changed <= end else 0.0
            if only_changed and not recent and key.kind is not GroupKind.META:
                continue
            ranked.append((key.kind is not GroupKind.META, -recent, key.kind is GroupKind.CONSUMER, key))
        ranked.sort(key=lambda item: (*item[:3], item[3].label))
        self.filter.set_count(
            tr("{shown} of {total}", shown=figures.integer(MOST_LANES), total=figures.integer(len(ranked)))
            if len(ranked) > MOST_LANES
            else tr_count("{count} group", "{count} groups", len(ranked), count=figures.integer(len(ranked)))
        )
        return [item[3] for item in ranked[:MOST_LANES]]

    def _draw(self) -> None:
        """The graphs of the lane with the cursor, or of everything."""
        history = self._context.session.history
        key = self.lanes.current()
        start, end = self.time_range.bounds()
        if key is not None and key.kind is not GroupKind.META and not key.account:
            stream = StreamKey(key.stream)
            self.throughput.set_title(tr("Throughput of {stream}", stream=key.stream))
            self.throughput.set_series(
                [
                    history_line(history, stream, "messages_in", tr("In"), self.time_range, fill=True),
                    history_line(history, stream, "messages_out", tr("Out"), self.time_range),
                ]
            )
            events = self._timeline.marks(key, start, end)
            consumers = [key.consumer] if key.consumer else self._consumers(key.stream)
            title = tr("Lag of {label}", label=key.label)
        else:
            self.throughput.set_title(tr("Throughput"))
            self.throughput.set_series(
                [
                    history_line(
                        history, ServerKey(), "published", tr("Published"), self.time_range, fill=True
                    ),
                    history_line(history, ServerKey(), "delivered", tr("Delivered"), self.time_range),
                ]
            )
            shown = [lane.key for lane in self.lanes.lanes()[:20]]
            events = [event for one in shown for event in self._timeline.marks(one, start, end)]
            events.sort(key=lambda event: event.time)
            consumers, title = [], tr("Furthest behind")
        self.lag.set_title(title)
        if key is not None and key.stream and not key.account:
            pairs = [(key.stream, name) for name in consumers[:4]]
        else:
            pairs = self._furthest_behind()
        self.lag.set_series(
            [
                history_line(history, ConsumerKey(stream_name, name), "lag", name, self.time_range)
                for stream_name, name in pairs
            ]
        )
        marks = graph_marks(events)
        self.throughput.set_marks(marks)
        self.lag.set_marks(marks)

    def _consumers(self, stream: str) -> list[str]:
        snapshot = self._context.session.snapshot
        found = [c for c in snapshot.consumers.values() if c.stream == stream]
        return [c.name for c in sorted(found, key=lambda c: (-c.num_pending, c.name))]

    def _furthest_behind(self) -> list[tuple[str, str]]:
        snapshot = self._context.session.snapshot
        behind = [c for c in snapshot.consumers.values() if c.num_pending]
        behind.sort(key=lambda c: (-c.num_pending, c.stream, c.name))
        return [(c.stream, c.name) for c in behind[:3]]

    # Export

    def export(self) -> None:
        """Ask where to, and write the events of the stretch shown."""
        dialog = QFileDialog(
            self, tr("Export the timeline"), "leaders.json", tr("JSON (*.json);;CSV (*.csv)")
        )
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self.export_to)
        dialog.open()

    def export_to(self, path: str) -> None:
        """Write the events shown as JSON, or as CSV when the name ends so."""
        rows = [event_record(event) for event in reversed(self.events.rows())]
        try:
            with Path(path).open("w", encoding="utf-8", newline="") as file:
                if path.lower().endswith(".csv"):
                    writer = csv.DictWriter(file, fieldnames=list(event_record(EXAMPLE)))
                    writer.writeheader()
                    writer.writerows(rows)
                else:
                    json.dump(rows, file, indent=1, ensure_ascii=False)
        except OSError as error:
            self._context.notify(
                tr("Could not export the timeline. {strerror}.", strerror=error.strerror), "bad"
            )
            return
        count = len(rows)
        text = tr_count(
            "Exported {count} event.", "Exported {count} events.", count, count=figures.integer(count)
        )
        self._context.notify(text, "good")


def event_record(event: LeaderEvent) -> dict[str, object]:
    """An event as plain values, for export."""
    return {
        "time": figures.iso_timestamp(int(event.time * 1e9)),
        "group": event.key.kind.value,
        "stream": event.key.stream,
        "consumer": event.key.consumer,
        "account": event.key.account,
        "event": event.kind.value,
        "leader": event.leader,
        "term": event.term,
        "text": event.text,
    }


EXAMPLE = LeaderEvent(0.0, GroupKey(GroupKind.META), EventKind.SEEN)


def _event_cell(event: LeaderEvent) -> IconText:
    return IconText(*EVENT_ICON[event.kind], event_text(event))
