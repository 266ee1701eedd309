"""The replies to a request: one in full, several as a list that can be compared."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QSplitter, QVBoxLayout, QWidget
from shiboken6 import isValid

from memphis_desktop.inspect.decode import Decoded, exact_json
from memphis_desktop.inspect.decode.text import preview
from memphis_desktop.inspect.draft import format_hex
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.publishing import Reply
from memphis_desktop.language import tr
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screens.decoders.store import current_decoders
from memphis_desktop.ui.screens.messages.compare import CompareDialog
from memphis_desktop.ui.screens.messages_text import TextView

SHOWN = 256 << 10  # bytes of a reply that are decoded here
MAX_ROWS = 1_000


@dataclass(frozen=True)
class _Row:
    number: int
    reply: Reply


class ReplyPanel(QWidget):
    """Shows replies as they come."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: list[_Row] = []
        self._request_subject = ""
        self._shown: _Row | None = None
        self._task: asyncio.Task[None] | None = None
        self.text = TextView(tr("Reply"))
        self.table = DataTable(
            [
                Column("number", tr("Reply"), lambda row: row.number, kind="number", width=64),
                Column("after", tr("After"), lambda row: row.reply.seconds, kind="duration", width=84),
                Column("size", tr("Size"), lambda row: len(row.reply.payload), kind="bytes", width=84),
                Column("body", tr("Body"), lambda row: preview(row.reply.payload), kind="mono", width=240,
                       stretch=True),
            ],
            lambda row: row.number,
            "composer_replies",
        )  # fmt: skip
        self.compare_button = QPushButton(tr("Compare"))
        self.compare_button.setToolTip(tr("Compare two selected replies, or the first with the selected one"))
        self.compare_button.setAutoDefault(False)
        self.compare_button.setProperty("kind", "ghost")
        self.compare_button.clicked.connect(self.compare)
        left = QWidget()
        left_layout = QVBoxLayout(left)
        left_layout.setContentsMargins(0, 0, 0, 0)
        left_layout.setSpacing(theme.SPACE_1)
        head = QHBoxLayout()
        head.addWidget(PlainLabel(tr("Replies"), "caption"))
        head.addStretch()
        head.addWidget(self.compare_button)
        left_layout.addLayout(head)
        left_layout.addWidget(self.table, 1)
        self._list = left
        splitter = QSplitter(Qt.Orientation.Horizontal)
        splitter.addWidget(left)
        splitter.addWidget(self.text)
        splitter.setChildrenCollapsible(False)
        splitter.setSizes([360, 360])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(splitter)
        self.table.current_changed.connect(self._show_row)
        left.hide()

    def set_text(self, text: str) -> None:
        """Show a text instead of replies."""
        self._rows = []
        self._list.hide()
        self.text.set_text(text)

    def begin(self, subject: str) -> None:
        """A request was sent: forget the replies before."""
        self._rows = []
        self._request_subject = subject
        self.table.set_rows([])
        self._list.hide()
        self.text.set_text("")

    def add(self, reply: Reply) -> None:
        """One more reply."""
        if len(self._rows) >= MAX_ROWS:
            return
        self._rows.append(_Row(len(self._rows) + 1, reply))
        if len(self._rows) == 1:
            self._show_row(self._rows[0])
            return
        self.table.set_rows(self._rows)
        if len(self._rows) == 2:
            self._list.show()
            self.table.select_key(1)

    def compare(self) -> None:
        """Open the difference of two replies."""
        rows = self.table.selected_rows()
        if len(rows) != 2:
            current = self.table.current_row()
            rows = [self._rows[0], current] if current is not None and len(self._rows) > 1 else []
        if len(rows) == 2:
            CompareDialog(self.window(), self._message(rows[0]), self._message(rows[1])).show()

    def _message(self, row: _Row) -> InspectedMessage:
        reply = row.reply
        return InspectedMessage(
            "reply", row.number, round(reply.seconds * 1e9), self._request_subject, reply.headers.encode(),
            reply.payload,
        )  # fmt: skip

    def _show_row(self, row: _Row | None) -> None:
        if row is None:
            return
        message = self._message(row)
        self._shown = row
        if len(row.reply.payload) > SHOWN:
            self._show_text(row, None)
        elif current_decoders().slow_for(message):
            self.text.set_text(tr("Decoding"))
            self._task = asyncio.get_running_loop().create_task(self._decode_beside(row, message))
        else:
            self._show_text(row, current_decoders().decode(message))

    async def _decode_beside(self, row: _Row, message: InspectedMessage) -> None:
        decoded = await asyncio.to_thread(current_decoders().decode, message)
        if isValid(self) and self._shown is row:
            self._show_text(row, decoded)

    def _show_text(self, row: _Row, decoded: Decoded | None) -> None:
        reply = row.reply
        body = format_hex(reply.payload[:SHOWN])
        if decoded is not None and decoded.has_value:
            body = exact_json.write(decoded.value)
        elif decoded is not None and decoded.text is not None:
            body = decoded.text
        headers = "".join(f"{name}: {value}\n" for name, value in reply.headers)
        self.text.set_text(f"{headers}\n{body}" if headers else body)
