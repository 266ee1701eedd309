"""A file of messages or a backup of a stream, looked at without a server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from PySide6.QtWidgets import QVBoxLayout, QWidget

from memphis_desktop.inspect.backup_reader import BackupSummary, is_backup, summary
from memphis_desktop.inspect.decode.text import preview, visible
from memphis_desktop.inspect.files import FileProblem, FileSlice, slices_of
from memphis_desktop.inspect.filter import Filter, FilterError, parse_filter
from memphis_desktop.inspect.mask import Masker, Masking
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.language import tr, tr_count
from memphis_desktop.opening import holds_messages
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.filter_bar import FilterBar
from memphis_desktop.ui.components.page_header import PageHeader
from memphis_desktop.ui.components.split_view import SplitView
from memphis_desktop.ui.screen import Command, Route, Screen, ScreenContext
from memphis_desktop.ui.screens.decoders.store import masking, notifier
from memphis_desktop.ui.screens.messages.detail import MessageDetail
from memphis_desktop.ui.screens.messages.search_bar import HELP, show_problem

MOST_ROWS = 10_000  # with more, sorting them holds the window up
MOST_BYTES = 64 << 20
_FIRST_SHOWN = 2000
_LONG_SECONDS = 1.5  # reading that takes longer can be stopped
_PREVIEW_BYTES = 256

Row = tuple[int, InspectedMessage]  # the place in the file, from 1

COLUMNS = [
    Column("place", "No.", lambda row: row[0], "number", 54),
    Column("sequence", tr("Sequence"), lambda row: row[1].sequence or None, "number", 80),
    Column("time", tr("Time"), lambda row: row[1].time_ns or None, "time", 110),
    Column("subject", tr("Subject"), lambda row: visible(row[1].subject, single_line=True), "mono", 130),
    Column("size", tr("Size"), lambda row: len(row[1].payload), "bytes", 80),
    Column(
        "payload",
        tr("Payload"),
        lambda row: preview(row[1].payload, _PREVIEW_BYTES),
        "mono",
        130,
        stretch=True,
    ),
]


class MessageFileScreen(Screen):
    """Shows the file or backup that its route names; a filter goes through all of it.

    What is beyond the bounds is counted, not held.
    """

    title = tr("File")
    route_name = "file"

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.path = Path()
        self.summary: BackupSummary | None = None  # of a backup
        self._filter = parse_filter("")
        self._reading = 0  # which reading the rows belong to
        self.header = PageHeader(tr("File"))
        self.banner = Banner("information")
        self.banner.hide()
        self.filter = FilterBar(tr("Find: words, header.type:refund, json.total > 1000"))
        self.filter.field.setToolTip(HELP)
        self.filter.field.setMaximumWidth(560)
        self.table = DataTable(COLUMNS, lambda row: row[0], "message_file", default_sort=("place", False))
        self.detail = MessageDetail(context)
        self.detail.hide_station_actions()
        self.filter.text_changed.connect(self._filter_entered)
        self.filter.left.connect(self.table.setFocus)
        self.table.current_changed.connect(self._show_message)
        notifier().masks_changed.connect(self._masks_changed)
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
        self.summary = None
        self._filter = parse_filter("")
        self.filter.field.clear()
        self.header.set_title(path.name, str(path.parent))
        self.title_changed.emit()
        self.read_again()

    # Reading ------------------------------------------------------------------------------------

    def read_again(self) -> None:
        """Read from the start: another filter, or the file was mended."""
        self.context.run(self.read(), tr("read {name}", name=self.path.name))

    def stop(self) -> None:
        """Stop reading; what was found stays."""
        self._reading += 1

    async def read(self) -> None:
        """Read the file, showing rows as they come."""
        self._reading += 1
        reading, wanted = self._reading, self._filter
        found = _Found(wanted.kind != "all")
        self.banner.hide()
        self.table.set_rows([])
        self.table.set_state("loading")
        problem = ""
        try:
            await self._describe()
            choose = _chooser(wanted, masking())
            async for part in slices_of(self.path, choose, lambda: reading != self._reading):
                found.take(part)
                if found.shows_rows():
                    self._show(found)
                if found.shows_figures():
                    self._show_figures(found)
                total = self._total()
                if found.is_full and total is not None and not found.filtered:
                    found.read = found.count = max(found.read, total)  # as it says of itself
                    break
        except FileProblem as error:
            problem = str(error)
        if self._filter is not wanted:
            return  # another reading has begun
        if reading != self._reading and not problem:
            problem = tr_count(
                "Stopped after {count} message.",
                "Stopped after {count} messages.",
                found.read,
                count=figures.integer(found.read),
            )
        self._show(found)
        self._say_end(found, problem)

    async def _describe(self) -> None:
        """Tell in the header what a backup says of itself."""
        if self.summary is not None or not await asyncio.to_thread(is_backup, self.path):
            return
        self.summary = await asyncio.to_thread(summary, self.path)
        self.header.set_title(self.summary.stream or self.path.name, summary_text(self.summary))

    def _total(self) -> int | None:
        return self.summary.messages if self.summary is not None else None

    def _show(self, found: _Found) -> None:
        self.table.set_rows(list(found.rows))
        self.table.set_state("ready" if found.rows else "loading")
        self.filter.set_count(found.text())
        if self.table.current_row() is None and found.rows:
            self.table.select_key(found.rows[0][0])

    def _show_figures(self, found: _Found) -> None:
        self.filter.set_count(found.text())
        self.banner.set_content(
            "information", tr("Reading: {found} so far.", found=found.text()), (tr("Stop"), self.stop)
        )
        self.banner.show()

    def _say_end(self, found: _Found, problem: str) -> None:
        self.banner.hide()
        if not found.rows and problem:
            self.table.set_state(
                "error", tr("No message could be read."), (tr("Read again"), self.read_again)
            )
        elif not found.rows and found.filtered:
            text = tr_count(
                "None of {count} message matches.",
                "None of {count} messages matches.",
                found.read,
                count=figures.integer(found.read),
            )
            self.table.set_state(
                "empty", text, (tr("Show all"), self.filter.field.clear), icon="magnifying-glass"
            )
        elif not found.rows:
            self.table.set_state("empty", tr("This file holds no messages."), icon="file")
        left_out = found.count - len(found.rows)
        if problem:
            self.banner.set_content("bad", problem, (tr("Read again"), self.read_again))
        elif left_out > 0:
            self._say_left_out(found, left_out)
        self.banner.setVisible(bool(problem) or left_out > 0)

    def _say_left_out(self, found: _Found, left_out: int) -> None:
        values = {"count": figures.integer(len(found.rows)), "more": figures.integer(left_out)}
        sequence = found.rows[-1][1].sequence
        if found.filtered:
            text = tr_count(
                "The first match is shown; {more} more are in the file.",
                "The first {count} matches are shown; {more} more are in the file.",
                len(found.rows),
                **values,
            )
        elif sequence:
            text = tr(
                "The first {count} messages are shown; {more} more are in the file."
                " Find others with the filter, as with {example}.",
                example=f"seq > {sequence}",
                **values,
            )
        else:
            text = tr("The first {count} messages are shown; {more} more are in the file.", **values)
        self.banner.set_content("information", text, None)

    def _filter_entered(self, text: str) -> None:
        """Find in all of the file; what is no filter is said in the tooltip."""
        problem = ""
        try:
            wanted = parse_filter(text)
        except FilterError as error:
            problem = str(error)
        show_problem(self.filter.field, problem)
        if not problem and wanted.source.strip() != self._filter.source.strip():
            self._filter = wanted
            self.read_again()

    def _masks_changed(self) -> None:
        """Other values are hidden now: nothing that was read before may stay."""
        self.detail.show_message(None)
        if self.path.name:
            self.read_again()

    def _show_message(self, row: Row | None) -> None:
        self.detail.show_message(row[1] if row is not None else None)

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
            Command(
                tr("Show the message's details"), keymap.key("file.pane"), self._toggle_detail, "square-half"
            ),
            Command(tr("Read the file again"), keymap.key("file.read"), self.read_again, "arrow-clockwise"),
        ]

    def _toggle_detail(self) -> None:
        self.split.set_preview_visible(not self.split.preview_visible())

    def breadcrumb(self) -> list[tuple[str, Route | None]]:
        """The file's name."""
        return [(tr("Home"), Route("home")), (self.path.name or tr("File"), None)]


class _Found:
    """What was read so far: the rows that are held, and figures of the rest."""

    def __init__(self, filtered: bool) -> None:
        self.filtered = filtered
        self.rows: list[Row] = []
        self.read = 0  # messages of the file
        self.count = 0  # those that the filter lets through
        self.is_full = False
        self._held = 0
        self._shown_next = _FIRST_SHOWN
        self._told = time.monotonic()

    def take(self, part: FileSlice) -> None:
        """Add what was read."""
        self.read += part.read
        for number, message in zip(part.numbers, part.messages, strict=True):
            self.count += 1
            self._held += len(message.payload) + len(message.header_bytes) + len(message.subject)
            self.is_full = self.is_full or len(self.rows) >= MOST_ROWS or self._held > MOST_BYTES
            if not self.is_full:
                self.rows.append((number, message))

    def shows_rows(self) -> bool:
        """Whether it is time to show the rows: not often, for a long list is laid out over and over."""
        if len(self.rows) < self._shown_next:
            return False
        self._shown_next = len(self.rows) * 4
        return True

    def shows_figures(self) -> bool:
        """Whether reading takes so long that it is told how far it is."""
        now = time.monotonic()
        if now - self._told < _LONG_SECONDS:
            return False
        self._told = now
        return True

    def text(self) -> str:
        """How much there is."""
        read = tr_count("{count} message", "{count} messages", self.read, count=figures.integer(self.read))
        if not self.filtered:
            return read
        return tr("{matches} of {messages}", matches=figures.integer(self.count), messages=read)


def _chooser(
    wanted: Filter, masking: Masking | None
) -> Callable[[InspectedMessage], InspectedMessage | None]:
    """Return what hides and filters, in the thread that reads. What cannot be tested does not match."""
    masker: Masker | None = None

    def choose(message: InspectedMessage) -> InspectedMessage | None:
        nonlocal masker
        if masking is not None and masker is None:
            masker = masking.masker()  # loads schemas
        seen = masker.mask(message) if masker is not None else message
        try:
            return seen if wanted.accepts(seen) else None
        except (FilterError, ValueError, TypeError, RecursionError, OverflowError):
            return None

    return choose


def summary_text(found: BackupSummary) -> str:
    """What a backup says of itself, in a line."""
    parts = [tr("Backup")]
    if found.messages is not None:
        parts.append(
            tr_count(
                "{count} message", "{count} messages", found.messages, count=figures.integer(found.messages)
            )
        )
    if found.first_sequence and found.last_sequence:
        parts.append(f"#{figures.integer(found.first_sequence)} – #{figures.integer(found.last_sequence)}")
    if found.made_ns is not None:
        parts.append(figures.relative_time(found.made_ns, time.time_ns()))
    return " · ".join([*parts, str(found.path)])
