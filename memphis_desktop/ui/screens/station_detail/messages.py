"""The messages of a station: the message browser as a tab."""

from __future__ import annotations

from PySide6.QtWidgets import QVBoxLayout, QWidget

from memphis_desktop.cluster.model import ClusterSnapshot, StreamSnapshot
from memphis_desktop.language import tr
from memphis_desktop.ui import theme
from memphis_desktop.ui.screen import Command, ScreenContext
from memphis_desktop.ui.screens.messages.browser import MessageBrowser
from memphis_desktop.ui.screens.station_actions import StationActions
from memphis_desktop.ui.screens.station_detail.tab import StationTab


class MessagesTab(StationTab):
    """See the module."""

    key = "messages"
    title = tr("Messages")

    def __init__(
        self, context: ScreenContext, actions: StationActions, stream: str, parent: QWidget | None = None
    ) -> None:
        super().__init__(context, actions, stream, parent)
        self.browser = MessageBrowser(context, stream)
        self.browser.commands_changed.connect(self.commands_changed)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, theme.SPACE_4, 0, 0)
        layout.addWidget(self.browser)

    def activated(self) -> None:
        """The browser reads while in view."""
        self.browser.activated()

    def deactivated(self) -> None:
        """And rests when not."""
        self.browser.deactivated()

    def show_station(self, stream: StreamSnapshot, snapshot: ClusterSnapshot) -> None:
        """Hand the round on."""
        self.browser.show_snapshot(snapshot)

    def focus_filter(self) -> None:
        """Into the browser's filter."""
        self.browser.focus_filter()

    def commands(self) -> list[Command]:
        """The browser's."""
        return self.browser.commands()

    async def shut_down(self) -> None:
        """Let the browser go."""
        await self.browser.shut_down()
