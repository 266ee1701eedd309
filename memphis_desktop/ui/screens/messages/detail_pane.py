"""The room of the pane beside the list; what is in it is made when it is needed first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from PySide6.QtCore import QTimer
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.ui.screens.decoders.store import mask
from memphis_desktop.ui.screens.messages.detail import MessageDetail

_AGAIN_MS = 50


class DetailPane(QWidget):
    """Shows the message with the cursor once the list has painted its rows: those are what is waited for.

    Whoever asks for `detail` gets it up to date at once.
    """

    def __init__(self, make: Callable[[QWidget], MessageDetail], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._make = make
        self._detail: MessageDetail | None = None
        self.message: InspectedMessage | None = None
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._soon = QTimer(self)  # fires when nothing else is to be done, paints included
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._show_soon)

    @property
    def detail(self) -> MessageDetail:
        """What is in the pane, with the present message."""
        if self._detail is None:
            self._detail = self._make(self)
            self._layout.addWidget(self._detail)
        self._soon.stop()
        self._detail.show_message(self.message)
        return self._detail

    def update_now(self) -> None:
        """Show the present message without waiting for the paint."""
        self._detail = self.detail

    def show_message(self, message: InspectedMessage | None) -> None:
        """Show a message, or nothing; what masking rules name is hidden, wherever the message is from."""
        self.message = mask(message) if message is not None else None
        if self._detail is not None or message is not None:
            self._soon.start(0)

    def _show_soon(self) -> None:
        if not self.isVisible():
            return
        try:
            asyncio.get_running_loop()  # a large payload is decoded in a task
        except RuntimeError:
            self._soon.start(_AGAIN_MS)
            return
        self.update_now()

    def showEvent(self, event: QShowEvent) -> None:
        """While hidden nothing was decoded."""
        super().showEvent(event)
        self._soon.start(0)
