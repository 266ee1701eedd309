"""A key beside the list: its value, decoded, and its history."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QStackedWidget, QVBoxLayout, QWidget

from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.key_value.entry import Entry
from memphis_desktop.inspect.key_value.keys import KeyReader
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.empty_state import EmptyState
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.segments import Segments
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.decoders.store import mask, notifier
from memphis_desktop.ui.screens.key_value.history_view import HistoryView
from memphis_desktop.ui.screens.messages.detail import MessageDetail
from memphis_desktop.ui.screens.messages.saving import save_bytes
from memphis_desktop.ui.theme.icons import beside_text, icon

_SETTLE_MS = 60


class KeyPane(QWidget):
    """Reads the key it is told to show.

    Args:
        context: Of the screen.
        edit: Edits the key that is shown.
        restore: Puts back a revision.
        closed: The user wants it away.
    """

    def __init__(
        self,
        context: ScreenContext,
        edit: Callable[[], None],
        restore: Callable[[Entry], None],
        closed: Callable[[], None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._context = context
        self._reader: Callable[[], KeyReader | None] = lambda: None
        self._key = ""
        self._refusal = ""
        self.entry: Entry | None = None
        self._task: asyncio.Task[None] | None = None
        self.title = PlainLabel("", "strong", elide=Qt.TextElideMode.ElideMiddle)
        self.parts = Segments([("value", tr("Value")), ("history", tr("History"))])
        self.parts.set_choice("value")
        self.parts.chosen.connect(self.show_part)
        self.edit_button = QPushButton(tr("Edit"))
        beside_text(self.edit_button, icon("pencil-simple"))
        self.edit_button.setToolTip(tr("Edit the value  ( E )"))
        self.edit_button.clicked.connect(edit)
        head = QHBoxLayout()
        head.setContentsMargins(theme.SPACE_3, 0, theme.SPACE_2, theme.SPACE_1)
        head.setSpacing(theme.SPACE_2)
        head.addWidget(self.parts)
        head.addStretch(1)
        head.addWidget(self.edit_button)
        self.title.setContentsMargins(theme.SPACE_3, theme.SPACE_3, theme.SPACE_2, theme.SPACE_1)
        self.stack = QStackedWidget()
        self.empty = EmptyState("key", tr("Select a key to see its value."), parent=self.stack)
        self.gone = EmptyState("trash", "", parent=self.stack)
        self.detail = MessageDetail(context, self.stack)
        self.detail.hide_station_actions(saving=True)
        self.detail.tree.offers_filters = False
        self.detail.copy_requested.connect(self.copy)
        self.detail.edit_requested.connect(edit)
        self.detail.save_requested.connect(self.save)
        self.detail.closed.connect(closed)
        self.history = HistoryView(context, restore, self.stack)
        for widget in (self.empty, self.gone, self.detail, self.history):
            self.stack.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.title)
        layout.addLayout(head)
        layout.addWidget(self.stack, 1)
        self._soon = QTimer(self)  # while the cursor runs through the list nothing is read
        self._soon.setSingleShot(True)
        self._soon.setInterval(_SETTLE_MS)
        self._soon.timeout.connect(self.read)
        notifier().masks_changed.connect(self._soon.start)
        self.show_key("", "")

    def set_reader(self, reader: Callable[[], KeyReader | None]) -> None:
        """Read through what this gives."""
        self._reader = reader

    @property
    def key(self) -> str:
        """The key that is shown."""
        return self._key

    def show_key(self, key: str, refusal: str) -> None:
        """Show a key, empty for none, or read it again; ``refusal`` says why it cannot be changed."""
        other = key != self._key
        self._key, self._refusal = key, refusal
        self.title.setText(key or tr("No key selected"))
        self.parts.setEnabled(bool(key))
        if not key:
            self.entry = None
            self.edit_button.setEnabled(False)
            self.stack.setCurrentWidget(self.empty)
            return
        if other:
            self.entry = None
            self.edit_button.setEnabled(False)
            self.history.loading()
            if self.parts.choice() == "history":
                self.stack.setCurrentWidget(self.history)
        self._soon.start()

    def show_part(self, part: str) -> None:
        """Show the value, or the history."""
        self.parts.set_choice(part)
        self.read()

    def read(self) -> None:
        """Read what is shown."""
        reader = self._reader()
        if reader is None or not self._key or not self.isVisible():
            return
        if self._task is not None:
            self._task.cancel()
        self._task = self._context.run(self._read(reader, self._key), tr("read the key"))

    async def shut_down(self) -> None:
        """Let a reading end."""
        self._soon.stop()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _read(self, reader: KeyReader, key: str) -> None:
        try:
            if self.parts.choice() == "history":
                entries = await reader.history(key)
                entry = entries[-1] if entries else None
            else:
                entries, entry = [], await reader.entry(key)
        except ReadError as error:
            if key == self._key:
                self._show_error(str(error))
            return
        if key != self._key:
            return
        self.entry = entry
        self.edit_button.setEnabled(not self._refusal)
        if self.parts.choice() == "history":
            self.history.show_entries(entries, reader.bucket.history, self._refusal)
            self.stack.setCurrentWidget(self.history)
        elif entry is None:
            self._show_gone(tr("This key does not exist any more."))
        elif not entry.is_value:
            self._show_gone(
                tr(
                    "{operation} at revision {revision}, {when}. Older values are in the history.",
                    operation=entry.operation.text.capitalize(),
                    revision=figures.integer(entry.revision),
                    when=figures.timestamp(entry.time_ns, self._context.zone),
                )
            )
        else:
            shown = self.detail.message
            if shown is None or shown.identity != entry.message.identity or self.detail.isHidden():
                self.detail.show_message(entry.message)
            self.stack.setCurrentWidget(self.detail)

    def _show_gone(self, text: str) -> None:
        self.gone.set_content("trash", text, (tr("Show the history"), lambda: self.show_part("history")))
        self.stack.setCurrentWidget(self.gone)

    def _show_error(self, text: str) -> None:
        if self.parts.choice() == "history":
            self.history.show_error(text, self.read)
            self.stack.setCurrentWidget(self.history)
        else:
            self.gone.set_content("warning-circle", text, (tr("Try again"), self.read))
            self.stack.setCurrentWidget(self.gone)

    # What the value is good for

    def copy(self) -> None:
        """Put the value on the clipboard, as far as it may be shown."""
        if self.entry is not None:
            payload = mask(self.entry.message).payload
            try:
                text = payload.decode("utf-8")
            except UnicodeDecodeError:
                text = payload.hex(" ")
            QGuiApplication.clipboard().setText(text)
            self._context.notify(tr("The value is on the clipboard."), "good")

    def save(self) -> None:
        """Write the value's bytes to a file."""
        if self.entry is None:
            return
        suggested = self._key.replace("/", "-") + ".bin"
        path, _ = QFileDialog.getSaveFileName(self, tr("Save value"), suggested)
        if path:
            data = mask(self.entry.message).payload
            self._context.run(save_bytes(self._context, path, data), tr("save the value"))
