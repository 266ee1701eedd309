"""A station's Raft groups: its own and those of its consumer groups, with who led them when."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QVBoxLayout, QWidget

from memphis_desktop.cluster.model import ClusterSnapshot, StreamSnapshot
from memphis_desktop.cluster.raft.groups import group_of, stream_key
from memphis_desktop.cluster.raft.model import RaftGroup
from memphis_desktop.cluster.raft.questions import Wants
from memphis_desktop.language import tr
from memphis_desktop.ui import keymap
from memphis_desktop.ui.components.empty_state import EmptyState
from memphis_desktop.ui.components.split_view import SplitView
from memphis_desktop.ui.components.time_range import TimeRange
from memphis_desktop.ui.screen import Command, ScreenContext
from memphis_desktop.ui.screens.cluster.group_detail import GroupDetail
from memphis_desktop.ui.screens.cluster.lanes import Lane, LaneView
from memphis_desktop.ui.screens.cluster.parts import group_route, server_columns
from memphis_desktop.ui.screens.cluster.steering import Steering
from memphis_desktop.ui.screens.station_actions import StationActions
from memphis_desktop.ui.screens.station_detail.tab import StationTab
from memphis_desktop.ui.screens.station_parts import panel

_VERTICAL = Qt.Orientation.Vertical
SINGLE = tr("This server stands alone: the station has one copy, and nobody elects a leader.")


class RaftTab(StationTab):
    """See the module."""

    key_place = "station_raft"

    key = "raft"
    title = tr("Raft")

    def __init__(
        self,
        context: ScreenContext,
        actions: StationActions,
        stream: str,
        time_range: TimeRange,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(context, actions, stream, parent)
        self._active = False
        self._group: RaftGroup | None = None
        self._steering = Steering(context, self)
        self.detail = GroupDetail(context, self._steering, framed=False)
        self.lanes = LaneView(context.session.raft.timeline, time_range, zone=context.zone)
        self.lanes.group_activated.connect(lambda key: context.navigate(group_route(key)))
        self.split = SplitView(
            self.detail,
            panel(self.lanes, title=tr("Leaders")),
            "station_raft",
            Qt.Orientation.Vertical,
            share=0.32,
        )
        self.single = EmptyState("tree-structure", SINGLE)
        self.single.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 16, 0, 0)
        layout.addWidget(self.split)
        layout.addWidget(self.single)

    def activated(self) -> None:
        """Have Raft itself asked for this group."""
        self._active = True
        self._want()

    def deactivated(self) -> None:
        """No more."""
        self._active = False
        self.context.session.raft.set_wants(self, None)

    async def shut_down(self) -> None:
        """The page shows another station."""
        self.context.session.raft.set_wants(self, None)

    def _want(self) -> None:
        if self._active:
            group = self._group.raft_group if self._group is not None and self._group.size > 1 else ""
            self.context.session.raft.set_wants(self, Wants(raft_groups=(group,) if group else ()))

    def show_station(self, stream: StreamSnapshot, snapshot: ClusterSnapshot) -> None:
        """Show the round."""
        self.single.setVisible(not stream.clustered)
        self.split.setVisible(stream.clustered)
        if not stream.clustered:
            return
        self._group = group_of(stream, snapshot.raft.gone)
        self._want()
        self.detail.show_group(self._group, snapshot)
        groups = [self._group]
        consumers = [c for c in snapshot.consumers.values() if c.stream == stream.name and c.peers]
        groups += [group_of(c, snapshot.raft.gone) for c in sorted(consumers, key=lambda c: c.name)]
        lanes = [Lane(group.key, group.key.consumer or group.key.label) for group in groups]
        self.lanes.set_lanes(lanes, server_columns(snapshot, groups))

    def commands(self) -> list[Command]:
        """Steering, and the way to the whole cluster."""
        refusal = self._steering.step_down_refusal(self._group)
        return [
            Command(
                tr("Step down the leader"),
                keymap.key("station_raft.step_down"),
                self._step_down,
                "arrows-down-up",
                not refusal,
                refusal,
            ),
            Command(
                tr("Show it in the cluster"),
                "",
                self._show_in_cluster,
                "tree-structure",
                name="show_in_cluster",
            ),
        ]

    def _step_down(self) -> None:
        if self._group is not None:
            self.context.run(self._steering.step_down(self._group), tr("hand the leadership over"))

    def _show_in_cluster(self) -> None:
        self.context.navigate(group_route(stream_key(self.stream)))
