"""A file of messages, looked at without a server."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import QVBoxLayout, QWidget

from memphis_desktop.inspect.decode.text import preview, visible
from memphis_desktop.inspect.files import FileProblem, messages_of
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.opening import holds_messages
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.filter_bar import FilterBar
from memphis_desktop.ui.components.page_header import PageHeader
from memphis_desktop.ui.components.split_view import SplitView
from memphis_desktop.ui.screen import Command, Route, Screen, ScreenContext
from memphis_desktop.ui.screens.decoders.store import mask
from memphis_desktop.ui.screens.messages.detail import MessageDetail

MOST_ROWS = 50_000
MOST_BYTES = 64 << 20
_BATCH = 2000
_PREVIEW_BYTES = 256

Row = tuple[int, InspectedMessage]  # the place in the file, from 1

COLUMNS = [
    Column("place", "No.", lambda row: row[0], "number", 54),
    Column("sequence", "Sequence", lambda row: row[1].sequence or None, "number", 80),
    Column("time", "Time", lambda row: row[1].time_ns or None, "time", 110),
    Column("subject", "Subject", lambda row: visible(row[1].subject, single_line=True), "mono", 140),
    Column("size", "Size", lambda row: len(row[1].payload), "bytes", 80),
    Column(
        "payload", "Payload", lambda row: preview(row[1].payload, _PREVIEW_BYTES), "mono", 160, stretch=True
    ),
]


class MessageFileScreen(Screen):
    """Shows the file that its route names. What is beyond the bounds is counted, not held."""

    title = "File"
    route_name = "file"

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.path = Path()
        self._reading = 0  # which reading the rows belong to
        self.header = PageHeader("File")
        self.banner = Banner("information")
        self.banner.hide()
        self.filter = FilterBar("Filter by subject or text")
        self.table = DataTable(COLUMNS, lambda row: row[0], "message_file", default_sort=("place", False))
        self.detail = MessageDetail(context)
        self.detail.hide_station_actions()
        self.filter.text_changed.connect(self.table.set_filter)
        self.filter.left.connect(self.table.setFocus)
        self.table.current_changed.connect(self._show_message)
        main = QWidget()
        inside = QVBoxLayout(main)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(theme.SPACE_2)
        inside.addWidget(self.filter)
        inside.addWidget(self.table, 1)
        self.split = SplitView(main, self.detail, "message_file", share=0.42)
        self.detail.closed.connect(self._toggle_detail)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_5, 20, theme.SPACE_5, theme.SPACE_4)
        layout.setSpacing(theme.SPACE_3)
        layout.addWidget(self.header)
        layout.addWidget(self.banner)
        layout.addWidget(self.split, 1)
        self.zone_changed()

    def show_route(self, route: Route) -> None:
        """Read the file of the route."""
        path = Path(route.get("path"))
        if path == self.path and self.table.rows():
            return
        self.path = path
        self.header.set_title(path.name, str(path.parent))
        self.title_changed.emit()
        self.context.run(self.read(), f"read {path.name}")

    async def read(self) -> None:
        """Read the file, showing rows as they come."""
        self._reading += 1
        reading = self._reading
        rows: list[Row] = []
        held = left_out = 0
        shown_next = _BATCH
        self.banner.hide()
        self.table.set_rows([])
        self.table.set_state("loading")
        try:
            async for message in messages_of(self.path, lambda: reading != self._reading):
                held += len(message.payload) + len(message.header_bytes) + len(message.subject)
                if len(rows) >= MOST_ROWS or held > MOST_BYTES:
                    left_out += 1
                    continue
                rows.append((len(rows) + 1, mask(message)))
                if len(rows) == shown_next:
                    self._show(rows)
                    shown_next *= 4  # so that a long file is not laid out over and over
        except FileProblem as problem:
            self._show(rows)
            self.banner.set_content("bad", str(problem), ("Read again", self.read_again))
            self.banner.show()
            if not rows:
                self.table.set_state("error", "No message could be read.", ("Read again", self.read_again))
            return
        if reading != self._reading:
            return
        self._show(rows)
        if not rows:
            self.table.set_state("empty", "This file holds no messages.", icon="file")
        if left_out:
            self.banner.set_content(
                "information",
                f"The first {figures.count_noun(len(rows), 'message')} are shown;"
                f" {figures.integer(left_out)} more are in the file.",
                None,
            )
            self.banner.show()

    def read_again(self) -> None:
        """After the file was mended."""
        self.context.run(self.read(), f"read {self.path.name}")

    def _show(self, rows: list[Row]) -> None:
        self.table.set_rows(list(rows))
        self.table.set_state("ready")
        self.filter.set_count(figures.count_noun(len(rows), "message"))
        if self.table.current_row() is None and rows:
            self.table.select_key(rows[0][0])

    def _show_message(self, row: Row | None) -> None:
        self.detail.show_message(row[1] if row is not None else None)

    def zone_changed(self) -> None:
        """Times in the zone chosen now."""
        self.table.set_zone(self.context.zone)

    def focus_filter(self) -> None:
        """Into the filter."""
        self.filter.setFocus()

    def accept_file(self, path: str) -> bool:
        """Another file of messages, or backup, is shown instead."""
        if not holds_messages(Path(path)):
            return False
        self.context.navigate(Route("file", {"path": path}))
        return True

    def commands(self) -> list[Command]:
        """For the palette."""
        return [
            Command("Show the message's details", "Space", self._toggle_detail, "square-half"),
            Command("Read the file again", "F5", self.read_again, "arrow-clockwise"),
        ]

    def _toggle_detail(self) -> None:
        self.split.set_preview_visible(not self.split.preview_visible())

    def breadcrumb(self) -> list[tuple[str, Route | None]]:
        """The file's name."""
        return [("Home", Route("home")), (self.path.name or "File", None)]
