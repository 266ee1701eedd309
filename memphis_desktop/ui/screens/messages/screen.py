"""The message browser as a page of its own: reached by links such as "stored as #123"."""

from __future__ import annotations

from PySide6.QtWidgets import QVBoxLayout, QWidget

from memphis_desktop.cluster.model import ClusterSnapshot
from memphis_desktop.inspect.seek import Seek, SeekKind
from memphis_desktop.language import tr
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.page_header import PageHeader
from memphis_desktop.ui.screen import Command, Route, Screen, ScreenContext
from memphis_desktop.ui.screens.messages.browser import MessageBrowser


class MessagesScreen(Screen):
    """Route parameters: `stream`, and `sequence` or `subject` when a place is meant.

    `find` searches with a filter, `first` and `last` bound the search; see `MessageBrowser.route`.
    """

    title = tr("Messages")
    route_name = "messages"

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.header = PageHeader(tr("Messages"))
        self.header.navigated.connect(context.navigate)
        self.browser: MessageBrowser | None = None
        self._active = False
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(24, 20, 24, theme.SPACE_4)
        self._layout.setSpacing(theme.SPACE_4)
        self._layout.addWidget(self.header)

    def show_route(self, route: Route) -> None:
        """Show a station, at a place when one is named."""
        stream = route.get("stream")
        if stream and (self.browser is None or self.browser.stream != stream):
            self._replace_browser(stream)
        browser = self.browser
        if browser is None:
            return
        self.header.set_breadcrumb(self.breadcrumb())
        if route.get("subject"):
            browser.set_subject(route.get("subject"))
        if route.get("find"):
            browser.search_bar.set_range(route.get("first", "first"), route.get("last", "last"))
            browser.search_for(route.get("find"))
        elif route.get("sequence").isdecimal():
            browser.places.go_to(Seek(SeekKind.SEQUENCE, int(route.get("sequence"))))

    def _replace_browser(self, stream: str) -> None:
        if self.browser is not None:
            self.browser.deactivated()
            self.context.run(self.browser.shut_down(), tr("close the messages"))
            self.browser.deleteLater()
        self.browser = MessageBrowser(self.context, stream, self)
        self._layout.addWidget(self.browser, 1)
        if self._active:
            self.browser.activated()

    def show_snapshot(self, snapshot: ClusterSnapshot) -> None:
        """Hand the round on."""
        if self.browser is not None:
            self.browser.show_snapshot(snapshot)

    def activated(self) -> None:
        """The browser reads while in view."""
        self._active = True
        if self.browser is not None:
            self.browser.activated()

    def deactivated(self) -> None:
        """And rests when not."""
        self._active = False
        if self.browser is not None:
            self.browser.deactivated()

    def focus_filter(self) -> None:
        """Into the browser's filter."""
        if self.browser is not None:
            self.browser.focus_filter()

    def commands(self) -> list[Command]:
        """The browser's."""
        return self.browser.commands() if self.browser is not None else []

    def breadcrumb(self) -> list[tuple[str, Route | None]]:
        """Stations, the station, its messages."""
        stream = self.browser.stream if self.browser is not None else ""
        return [
            (tr("Stations"), Route("stations")),
            (stream, Route("station", {"name": stream})),
            (tr("Messages of {stream}", stream=stream) if stream else self.title, None),
        ]
