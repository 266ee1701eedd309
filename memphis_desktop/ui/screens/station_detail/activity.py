"""What was changed about a station, with what was there before."""

from __future__ import annotations

from PySide6.QtWidgets import QVBoxLayout, QWidget

from memphis_desktop.cluster.model import ClusterSnapshot, StreamSnapshot
from memphis_desktop.language import tr
from memphis_desktop.ui.screen import Command, ScreenContext
from memphis_desktop.ui.screens.activity_record import ActivityRecord
from memphis_desktop.ui.screens.station_actions import StationActions
from memphis_desktop.ui.screens.station_detail.tab import StationTab


class ActivityTab(StationTab):
    """The record of this station."""

    key = "activity"
    title = tr("Activity")

    def __init__(
        self, context: ScreenContext, actions: StationActions, stream: str, parent: QWidget | None = None
    ) -> None:
        super().__init__(context, actions, stream, parent)
        self.record = ActivityRecord(context, stream)
        self.record.commands_changed.connect(self.commands_changed)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.record)

    def activated(self) -> None:
        """Read what came while hidden; the zone may be another one."""
        self.record.zone_changed()
        self.record.refresh()

    def show_station(self, stream: StreamSnapshot, snapshot: ClusterSnapshot) -> None:
        """The record tells of its changes itself."""

    def focus_filter(self) -> None:
        """Put the cursor into the filter."""
        self.record.filter.focus()

    def commands(self) -> list[Command]:
        """Those of the marked entry."""
        return self.record.row_commands()
