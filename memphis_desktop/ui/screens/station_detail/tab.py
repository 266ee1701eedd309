"""What every tab of the station page is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from memphis_desktop.cluster.model import ClusterSnapshot, StreamSnapshot
from memphis_desktop.ui.screen import Command, ScreenContext

if TYPE_CHECKING:
    from memphis_desktop.ui.screens.station_actions import StationActions


class StationTab(QWidget):
    """A part of the station page, made when first visited. It follows rounds only while it is shown."""

    key = ""
    title = ""

    commands_changed = Signal()

    def __init__(
        self, context: ScreenContext, actions: StationActions, stream: str, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.context = context
        self.changes = actions
        self.stream = stream

    def activated(self) -> None:
        """The tab came into view."""

    def deactivated(self) -> None:
        """The tab left the view."""

    def show_station(self, stream: StreamSnapshot, snapshot: ClusterSnapshot) -> None:
        """A new round."""

    def focus_filter(self) -> None:
        """Put the cursor into the tab's filter."""

    def commands(self) -> list[Command]:
        """What the tab adds to the page's commands."""
        return []

    async def shut_down(self) -> None:
        """The page shows another station: let go of everything."""
