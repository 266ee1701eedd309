"""A request and its reply, shown in turn in one pane."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.segments import Segments
from memphis_desktop.ui.screens.messages.detail import MessageDetail


class PairPane(QWidget):
    """The pane of a message, with a switch above it where the message has a reply."""

    def __init__(self, detail: MessageDetail, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.detail = detail
        self._request: InspectedMessage | None = None
        self._reply: InspectedMessage | None = None
        self.switch = Segments([("request", tr("Request")), ("reply", tr("Reply"))])
        self.switch.chosen.connect(self._show)
        self._after = PlainLabel("", "caption")
        self._top = QWidget()
        line = QHBoxLayout(self._top)
        line.setContentsMargins(theme.SPACE_3, theme.SPACE_2, theme.SPACE_3, 0)
        line.setSpacing(theme.SPACE_3)
        line.addWidget(self.switch)
        line.addWidget(self._after)
        line.addStretch()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._top)
        layout.addWidget(detail, 1)
        self._top.hide()

    @property
    def request(self) -> InspectedMessage | None:
        """The message of the list that this is about."""
        return self._request

    def show_message(self, message: InspectedMessage | None) -> None:
        """Show a message of the list; its reply comes with `set_reply`."""
        self._request, self._reply = message, None
        self._top.hide()
        self.switch.set_choice("request")
        self.detail.show_message(message)

    def set_reply(self, reply: InspectedMessage | None, seconds: float | None) -> None:
        """The reply to the message that is shown has come, or is none."""
        if reply is None or reply is self._reply:
            return
        self._reply = reply
        self._after.setText(
            tr("after {seconds}", seconds=figures.duration(seconds)) if seconds is not None else ""
        )
        self._top.show()

    @property
    def has_reply(self) -> bool:
        """Whether there is a reply to switch to."""
        return self._reply is not None

    def _show(self, key: str) -> None:
        self.detail.show_message(self._reply if key == "reply" else self._request)
