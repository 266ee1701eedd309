"""The consumer groups of one station: their lag over time and their table."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QSplitter, QVBoxLayout, QWidget

from memphis_desktop.cluster.history import ConsumerKey
from memphis_desktop.cluster.model import ClusterSnapshot, ConsumerSnapshot, StreamSnapshot
from memphis_desktop.language import tr
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.filter_bar import FilterBar
from memphis_desktop.ui.components.graph import TimeSeriesGraph
from memphis_desktop.ui.components.time_range import TimeRange
from memphis_desktop.ui.screen import Command, ScreenContext
from memphis_desktop.ui.screens.consumers.actions import GroupActions
from memphis_desktop.ui.screens.consumers.deleted import DeletedGroups
from memphis_desktop.ui.screens.consumers.table import make_table, row_commands
from memphis_desktop.ui.screens.station_actions import StationActions
from memphis_desktop.ui.screens.station_detail.tab import StationTab
from memphis_desktop.ui.screens.station_parts import history_line, panel, why_unread
from memphis_desktop.ui.shell.staleness import shows
from memphis_desktop.ui.theme.icons import beside_text, icon

LINES = 6  # as many as there are colours


class GroupsTab(StationTab):
    """See the module."""

    key_place = "consumers"

    key = "groups"
    title = tr("Groups")

    def __init__(
        self,
        context: ScreenContext,
        actions: StationActions,
        stream: str,
        time_range: TimeRange,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(context, actions, stream, parent)
        self.time_range = time_range
        self._groups = GroupActions(context, actions.parent)
        self._known: Mapping[tuple[str, str], ConsumerSnapshot] = {}
        self._active = False
        self._lines: list[ConsumerKey] = []
        self.filter = FilterBar(tr("Filter groups"))
        self.create_button = QPushButton(tr("Create group"))
        beside_text(self.create_button, icon("plus"))
        self.create_button.clicked.connect(self._create)
        self.create_button.setEnabled(not actions.refusal)
        self.create_button.setToolTip(actions.refusal or "N")
        self.filter.add_widget(self.create_button)
        self.lag_graph = TimeSeriesGraph(tr("Lag"), "messages", time_range, zone=context.zone)
        self.seconds_graph = TimeSeriesGraph(tr("Behind"), "seconds", time_range, zone=context.zone)
        self.table = make_table(context, "station_groups", self._row_commands, with_station=False)
        self.table.set_state("loading")
        self.deleted = DeletedGroups(context, self)
        self.deleted.changed.connect(self._show_deleted)
        self.table.delegate.struck = self.deleted.is_gone
        self.gone = Banner("warning", "")
        self.gone.hide()
        graphs = QWidget()
        row = QHBoxLayout(graphs)
        row.setContentsMargins(0, 0, 0, theme.SPACE_2)
        row.setSpacing(theme.SPACE_4)
        row.addWidget(self.lag_graph)
        row.addWidget(self.seconds_graph)
        lower = QWidget()
        column = QVBoxLayout(lower)
        column.setContentsMargins(0, theme.SPACE_2, 0, 0)
        column.setSpacing(theme.SPACE_3)
        column.addWidget(self.gone)
        column.addWidget(self.filter)
        column.addWidget(shows(panel(self.table), "consumers"), 1)
        split = QSplitter(Qt.Orientation.Vertical)
        split.addWidget(graphs)
        split.addWidget(lower)
        split.setChildrenCollapsible(False)
        split.setStretchFactor(0, 2)
        split.setStretchFactor(1, 3)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, theme.SPACE_4, 0, 0)
        layout.addWidget(split)
        self.filter.text_changed.connect(self.table.set_filter)
        self.filter.left.connect(self.table.setFocus)
        self.table.preview_requested.connect(self._pause)
        self.table.selection_changed.connect(lambda _: self._selection_changed())
        time_range.changed.connect(self._draw)

    def activated(self) -> None:
        """Draw what came while hidden."""
        self._active = True
        self._draw()
        self.table.setFocus()

    def deactivated(self) -> None:
        """Rest."""
        self._active = False

    def show_station(self, stream: StreamSnapshot, snapshot: ClusterSnapshot) -> None:
        """Show the round's groups."""
        refusal = self.changes.refusal_of(stream.name)
        self.create_button.setEnabled(not refusal)
        self.create_button.setToolTip(refusal or "N")
        self._known = {key: c for key, c in snapshot.consumers.items() if key[0] == stream.name}
        groups = self.deleted.take(self._known)
        self.table.set_rows(groups)
        if groups:
            self.table.set_state("ready")
        elif stream.consumer_count and (why := why_unread(snapshot, "consumers")):
            self.table.set_state("error", why, icon="users-three")
        elif stream.consumer_count:
            self.table.set_state("loading")
        else:
            action = None if self.changes.refusal else (tr("Create group"), self._create)
            text = tr("Nobody consumes from this station yet.")
            self.table.set_state("empty", text, action, "users-three")
        self._draw()

    def _pause(self, consumer: ConsumerSnapshot) -> None:
        if not self.deleted.is_gone(consumer) and not self._groups.refusal_of(consumer.stream):
            self.context.run(self._groups.pause_consumer(consumer), tr("pause the group"))

    def _show_deleted(self) -> None:
        self.deleted.show_in(self.gone)
        self.table.set_rows(self.deleted.take(self._known))
        self.table.view.viewport().update()

    def _selection_changed(self) -> None:
        self.commands_changed.emit()
        self._draw()

    def _draw(self) -> None:
        if not self._active:
            return
        history = self.context.session.history
        chosen: list[ConsumerSnapshot] = self.table.selected_rows()
        if (
            len(chosen) < 2
        ):  # one selected row is where the cursor is; all are compared until several are chosen
            chosen = sorted(self.table.model.all_rows(), key=lambda c: -c.num_pending)[:LINES]
        chosen = sorted(chosen[:LINES], key=lambda c: c.name)
        for graph, metric in ((self.lag_graph, "lag"), (self.seconds_graph, "lag_seconds")):
            graph.set_series(
                [
                    history_line(history, ConsumerKey(c.stream, c.name), metric, c.name, self.time_range)
                    for c in chosen
                ]
            )

    def _create(self) -> None:
        self.context.run(self._groups.create_consumer(self.stream), tr("create the group"))

    def focus_filter(self) -> None:
        """Put the cursor into the filter."""
        self.filter.focus()

    def commands(self) -> list[Command]:
        """Create, and what can be done with the selection."""
        refusal = self.changes.refusal
        create = Command(
            tr("Create group"), keymap.key("consumers.create"), self._create, "plus", not refusal, refusal
        )
        return [create, *self._row_commands(self.table.selected_rows())]

    def _row_commands(self, consumers: list[ConsumerSnapshot]) -> list[Command]:
        if any(map(self.deleted.is_gone, consumers)):
            return self.deleted.commands(self._groups, consumers[0])
        return row_commands(self.context, self._groups, consumers)
