"""The messages of a station: the message browser as a tab, and before the first one a box to publish it."""

from __future__ import annotations

from PySide6.QtWidgets import QVBoxLayout, QWidget

from memphis_desktop.cluster.model import ClusterSnapshot, StreamSnapshot
from memphis_desktop.language import tr
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.current_page import PageStack
from memphis_desktop.ui.screen import Command, ScreenContext
from memphis_desktop.ui.screens.messages.browser import MessageBrowser
from memphis_desktop.ui.screens.station_actions import StationActions
from memphis_desktop.ui.screens.station_detail.first_message import FirstMessage, never_had_one
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
        self.first: FirstMessage | None = None  # made for a station that never had a message
        self._active = False
        self.stack = PageStack()
        self.stack.addWidget(self.browser)
        layout.addWidget(self.stack)

    @property
    def waits(self) -> bool:
        """Whether the box stands where the list will be."""
        return self.stack.currentWidget() is not self.browser

    def activated(self) -> None:
        """The browser reads while in view."""
        self._active = True
        if not self.waits:
            self.browser.activated()

    def deactivated(self) -> None:
        """And rests when not."""
        self._active = False
        self.browser.deactivated()

    def show_station(self, stream: StreamSnapshot, snapshot: ClusterSnapshot) -> None:
        """Hand the round on."""
        waits = never_had_one(stream)
        if waits:
            if self.first is None:
                self.first = FirstMessage(self.context, self.changes, self.stream)
                self.stack.addWidget(self.first)
            self.first.show_station(stream)
        if waits != self.waits:
            self._turn(waits)
        if not waits:
            self.browser.show_snapshot(snapshot)

    def _turn(self, waits: bool) -> None:
        if waits and self.first is not None:
            self.browser.deactivated()
            self.stack.setCurrentWidget(self.first)
        else:
            self.stack.setCurrentWidget(self.browser)
            if self._active:
                self.browser.activated()
        self.commands_changed.emit()

    def focus_filter(self) -> None:
        """Into the browser's filter."""
        if not self.waits:
            self.browser.focus_filter()

    def commands(self) -> list[Command]:
        """The browser's."""
        return [] if self.waits else self.browser.commands()

    async def shut_down(self) -> None:
        """Let the browser go."""
        if self.first is not None:
            await self.first.shut_down()
        await self.browser.shut_down()
