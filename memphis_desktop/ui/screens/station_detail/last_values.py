"""The last value of each subject below a branch: what a station holds, as a table of keys and values."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import islice

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.decode.exact_json import write_parts
from memphis_desktop.inspect.decode.text import preview, visible
from memphis_desktop.inspect.last_values import last_values
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.reader import MessageReader
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import Command, Route, ScreenContext
from memphis_desktop.ui.screens.decoders.store import current_decoders, notifier
from memphis_desktop.ui.screens.station_detail.subject_model import SubjectNode

AT_FIRST = 200  # subjects whose values are read; as many more at each demand
MOST = 2000
SHOWN_CHARACTERS = 400
DECODED_BYTES = 16 << 10  # larger payloads are shown as they are stored
_SLICE_SECONDS = 0.004


@dataclass(frozen=True, slots=True)
class LastValue:
    """The newest message of a subject, as a line of the table."""

    subject: str
    sequence: int
    time_ns: int
    size: int
    text: str


def value_text(message: InspectedMessage) -> str:
    """Return one line that tells a message's value: decoded where that gives a structure, else as stored."""
    if len(message.payload) > DECODED_BYTES or message.is_rewritten:
        return preview(message.payload, SHOWN_CHARACTERS)
    decoders = current_decoders()
    if decoders.slow_for(message):
        return preview(message.payload, SHOWN_CHARACTERS)
    decoded = decoders.decode(message)
    if not decoded.has_value:
        return preview(decoded.data, SHOWN_CHARACTERS)
    text = ""
    for part in write_parts(decoded.value, None):
        text += part
        if len(text) > SHOWN_CHARACTERS:
            text = text[:SHOWN_CHARACTERS] + "…"
            break
    return visible(text, single_line=True)


class LastValuesView(QWidget):
    """Reads while it is shown; a row opens the message in the browser.

    Args:
        context: Of the tab.
        stream: The station.
        reader: Gives the tab's reader; raises `ReadError`.
    """

    def __init__(
        self,
        context: ScreenContext,
        stream: str,
        reader: Callable[[], Awaitable[MessageReader]],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._context = context
        self._stream = stream
        self._reader = reader
        self._node: SubjectNode | None = None
        self._limit = AT_FIRST
        self._reading: asyncio.Task[None] | None = None
        self._again = False
        self.title = PlainLabel("", "strong", elide=Qt.TextElideMode.ElideMiddle)
        self.count = PlainLabel("", "caption")
        self.more_button = QPushButton("")
        self.more_button.clicked.connect(self._more)
        self.more_button.hide()
        self.table = DataTable(
            [
                Column("subject", tr("Subject"), lambda v: v.subject, "mono", 200, stretch=True),
                Column("time", tr("Stored"), lambda v: v.time_ns, "time", 96),
                Column("sequence", tr("Sequence"), lambda v: v.sequence, "number", 90),
                Column("size", tr("Size"), lambda v: v.size, "bytes", 76),
                Column(
                    "value",
                    tr("Value"),
                    lambda v: v.text,
                    "mono",
                    280,
                    tr("Decoded where the decoders' rules say how"),
                    stretch=True,
                ),
            ],
            lambda v: v.subject,
            "last_values",
            context_actions=self._commands,
        )
        self.table.set_zone(context.zone)
        self.table.row_activated.connect(self._open)
        self.table.set_state("loading")
        head = QHBoxLayout()
        head.setContentsMargins(theme.SPACE_4, theme.SPACE_2, theme.SPACE_3, theme.SPACE_2)
        head.setSpacing(theme.SPACE_3)
        head.addWidget(self.title, 1)
        head.addWidget(self.count)
        head.addWidget(self.more_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(head)
        layout.addWidget(self.table, 1)
        notifier().masks_changed.connect(self.refresh)
        notifier().changed.connect(self.refresh)

    def show_branch(self, node: SubjectNode) -> None:
        """Show what is stored on and below a node of the tree."""
        if node is not self._node:
            self._node = node
            self._limit = AT_FIRST
            self.table.set_rows([])
            self.table.set_state("loading")
        self.refresh()

    def refresh(self) -> None:
        """Read again, as far as it is shown."""
        if self._node is None or self.isHidden():
            return
        if self._reading is not None:
            self._again = True
            return
        self._reading = self._context.run(self._read(self._node), tr("read the last values"))
        self._reading.add_done_callback(self._finished)

    def _finished(self, _: asyncio.Task[None]) -> None:
        self._reading = None
        if self._again:
            self._again = False
            self.refresh()

    async def shut_down(self) -> None:
        """Let a reading end."""
        self._node = None
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self, node: SubjectNode) -> None:
        subjects = list(islice(node.literal(), self._limit))
        subject = node.subject()
        self.title.setText(
            tr("Last values of {subject}", subject=subject) if subject else tr("Last values of all subjects")
        )
        found: dict[str, LastValue] = {}
        try:
            async for messages in last_values(await self._reader(), subjects):
                began = time.perf_counter()
                for message in messages:
                    value = LastValue(
                        message.subject,
                        message.sequence,
                        message.time_ns,
                        message.size,
                        value_text(message),
                    )
                    found[message.subject] = value
                    if time.perf_counter() - began > _SLICE_SECONDS:
                        await asyncio.sleep(0)
                        began = time.perf_counter()
                if node is not self._node:
                    return
        except ReadError as error:
            self.table.set_rows([])
            self.table.set_state("error", str(error), (tr("Try again"), self.refresh))
            self.count.setText("")
            self.more_button.hide()
            return
        if node is not self._node:
            return
        self.table.set_rows([found[name] for name in subjects if name in found])
        if found:
            self.table.set_state("ready")
        else:
            self.table.set_state("empty", tr("Nothing is stored on these subjects."), icon="tray")
        self._count(len(found), node.subjects)

    def _count(self, shown: int, total: int) -> None:
        rest = min(total, MOST) - self._limit
        self.count.setText(
            tr("{shown} of {total}", shown=figures.integer(shown), total=figures.integer(total))
        )
        self.more_button.setVisible(rest > 0)
        self.more_button.setText(tr("Show {count} more", count=figures.integer(min(rest, AT_FIRST))))

    def _more(self) -> None:
        self._limit = min(self._limit + AT_FIRST, MOST)
        self.refresh()

    def _open(self, value: LastValue) -> None:
        route = Route("messages", {"stream": self._stream, "sequence": str(value.sequence)})
        self._context.navigate(route)

    def _browse(self, value: LastValue) -> None:
        route = Route("messages", {"stream": self._stream, "subject": value.subject})
        self._context.navigate(route)

    def _commands(self, rows: list[LastValue]) -> list[Command]:
        if len(rows) != 1:
            return []
        return [
            Command(tr("Show the message"), "", lambda: self._open(rows[0]), "envelope-open"),
            Command(tr("Browse this subject"), "", lambda: self._browse(rows[0]), "list-bullets"),
        ]
