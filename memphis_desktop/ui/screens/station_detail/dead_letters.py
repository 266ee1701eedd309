"""The dead letters of one station."""

from __future__ import annotations

from PySide6.QtWidgets import QVBoxLayout, QWidget

from memphis_desktop.cluster.model import ClusterSnapshot, StreamSnapshot
from memphis_desktop.language import tr
from memphis_desktop.ui import theme
from memphis_desktop.ui.screen import Command, ScreenContext
from memphis_desktop.ui.screens.dead_letters.view import DeadLettersView
from memphis_desktop.ui.screens.station_actions import StationActions
from memphis_desktop.ui.screens.station_detail.tab import StationTab


class DeadLettersTab(StationTab):
    """See the module."""

    key = "dead-letters"
    title = tr("Dead letters")

    def __init__(
        self, context: ScreenContext, actions: StationActions, stream: str, parent: QWidget | None = None
    ) -> None:
        super().__init__(context, actions, stream, parent)
        self.view = DeadLettersView(context, stream)
        self.view.commands_changed.connect(self.commands_changed)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, theme.SPACE_4, 0, 0)
        layout.addWidget(self.view)

    def activated(self) -> None:
        """Read while in view."""
        self.view.activated()

    def deactivated(self) -> None:
        """Read no more."""
        self.view.deactivated()

    def show_station(self, stream: StreamSnapshot, snapshot: ClusterSnapshot) -> None:
        """A round."""
        self.view.show_snapshot(snapshot)

    def focus_filter(self) -> None:
        """Into the filter."""
        self.view.focus_filter()

    def commands(self) -> list[Command]:
        """Those of the view."""
        return self.view.commands()

    async def shut_down(self) -> None:
        """The page shows another station."""
        self.view.deactivated()
