"""The configuration of a station, as it is."""

from __future__ import annotations

from PySide6.QtWidgets import QVBoxLayout, QWidget

from memphis_desktop.cluster.model import ClusterSnapshot, StreamSnapshot
from memphis_desktop.language import tr
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.screen import Command, ScreenContext
from memphis_desktop.ui.screens.field_values import ServerAge
from memphis_desktop.ui.screens.station_actions import StationActions
from memphis_desktop.ui.screens.station_configuration import ConfigurationView
from memphis_desktop.ui.screens.station_detail.tab import StationTab
from memphis_desktop.ui.screens.station_fields import STREAM_FIELDS


class ConfigurationTab(StationTab):
    """Every setting of the station."""

    key = "configuration"
    title = tr("Configuration")

    def __init__(
        self, context: ScreenContext, actions: StationActions, stream: str, parent: QWidget | None = None
    ) -> None:
        super().__init__(context, actions, stream, parent)
        self._snapshot: StreamSnapshot | None = None
        self.view = ConfigurationView(STREAM_FIELDS)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, theme.SPACE_4, 0, 0)
        layout.addWidget(self.view, 1)

    def show_station(self, stream: StreamSnapshot, snapshot: ClusterSnapshot) -> None:
        """Show the configuration when it is another one."""
        self._snapshot = stream
        self.view.show_configuration(stream.config, ServerAge.of(snapshot))

    def edit(self) -> None:
        """Open the form."""
        if self._snapshot is not None:
            self.context.run(self.changes.edit_station(self._snapshot), tr("change the station"))

    def commands(self) -> list[Command]:
        """Edit."""
        refusal = self.changes.refusal
        title = tr("Edit configuration")
        return [Command(title, keymap.key("station.edit"), self.edit, "pencil-simple", not refusal, refusal)]
