"""What stands where the list of messages is: its rows, their shadows while they come, or a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QStackedWidget, QWidget

from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.language import tr
from memphis_desktop.ui.components.empty_state import EmptyState, SkeletonRows
from memphis_desktop.ui.screen import Action
from memphis_desktop.ui.screens.messages.list_view import MessageListView

if TYPE_CHECKING:
    from memphis_desktop.ui.screens.messages.browser import MessageBrowser


class ListStates(QStackedWidget):
    """The list of a browser in its four states: loading, empty, refused or failed, and ready."""

    def __init__(self, browser: MessageBrowser, parent: QWidget) -> None:
        super().__init__(parent)
        self._browser = browser
        self.list = MessageListView("messages", self)
        self.message = EmptyState("tray", "", parent=self)
        for page in (self.list, SkeletonRows(self), self.message):
            self.addWidget(page)
        self.setMinimumWidth(320)

    def show_empty(self) -> None:
        """Say that there is nothing to show."""
        if (
            self._browser.subject is not None
            and self._browser.reader is not None
            and self._browser.reader.bounds.messages
        ):
            text = tr(
                "Nothing on {subject} in this station, which has other subjects.",
                subject=self._browser.subject,
            )
            self.message.set_content(
                "funnel", text, (tr("Show all subjects"), lambda: self._browser.set_subject(""))
            )
        else:
            text = tr(
                "{stream} holds no messages. New ones appear here by themselves.", stream=self._browser.stream
            )
            self.message.set_content(
                "tray", text, (tr("Publish a message"), self._browser.message_actions.publish)
            )
        self.message.set_kind("muted")
        self._show("message")

    def show_error(self, error: ReadError) -> None:
        """Say why the station cannot be read."""
        text = tr(
            "The messages of {stream} cannot be read: {description}.",
            stream=self._browser.stream,
            description=error.description,
        )
        icon_name = "warning-circle"
        if error.code == 404:
            text = tr("There is no stream {stream} any more.", stream=self._browser.stream)
        elif error.code == 403:
            icon_name = "lock"
            text = tr(
                "You may not read the messages of {stream}. {description}, which it takes:"
                " ask for that permission, or connect with another login.",
                stream=self._browser.stream,
                description=error.description,
            )
        self.message.set_content(icon_name, text, (tr("Try again"), self._browser.activated))
        self.message.set_kind("bad")
        self._show("message")

    def show_waiting(self) -> None:
        """A search has begun and nothing matched yet."""
        self._show("loading")

    def show_search_message(self, text: str, *, bad: bool, action: Action | None = None) -> None:
        """A search ended without a match."""
        picture = "warning-circle" if bad else "magnifying-glass"
        self.message.set_content(picture, text, action or (tr("Close search"), self._browser.searching.close))
        self.message.set_kind("bad" if bad else "muted")
        self._show("message")

    def show_list(self) -> None:
        """Rows have come: the list takes the place of an empty state."""
        self._show("ready")

    @property
    def shows_sentence(self) -> bool:
        """Whether a sentence stands where the list would."""
        return self.currentWidget() is self.message

    @property
    def shows_loading(self) -> bool:
        """Whether the first rows are still on their way."""
        return self.currentIndex() == 1

    def sentence(self) -> str:
        """The sentence that stands where the list would, or nothing."""
        return self.message.sentence() if self.shows_sentence else ""

    def _show(self, state: str) -> None:
        self.setCurrentIndex({"ready": 0, "loading": 1, "message": 2}[state])
