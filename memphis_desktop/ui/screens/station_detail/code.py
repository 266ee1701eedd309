"""“Connect your code”: programs that publish to the station or consume from it, to copy."""

from __future__ import annotations

from PySide6.QtWidgets import QVBoxLayout, QWidget

from memphis_desktop.cluster.model import ClusterSnapshot, StreamSnapshot
from memphis_desktop.language import tr
from memphis_desktop.ui import theme
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.station_actions import StationActions
from memphis_desktop.ui.screens.station_code import StationCode
from memphis_desktop.ui.screens.station_detail.tab import StationTab


class CodeTab(StationTab):
    """The programs of this station."""

    key = "code"
    title = tr("Code")

    def __init__(
        self, context: ScreenContext, actions: StationActions, stream: str, parent: QWidget | None = None
    ) -> None:
        super().__init__(context, actions, stream, parent)
        self.view = StationCode(context)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, theme.SPACE_4, 0, 0)
        layout.addWidget(self.view)

    def show_station(self, stream: StreamSnapshot, snapshot: ClusterSnapshot) -> None:
        """Follow the station's groups and subjects."""
        names = [
            consumer.name
            for consumer in snapshot.consumers.values()
            if consumer.stream == stream.name and consumer.is_pull and consumer.is_durable
        ]
        self.view.show_station(stream.name, stream.config, names)
