"""The message browser: any place of a station of any size, without consuming anything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from PySide6.QtCore import QPoint, QSize, Qt, Signal
from PySide6.QtGui import QCursor, QGuiApplication, QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QMenu,
    QPushButton,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from shiboken6 import isValid

from memphis_desktop.cluster.model import ClusterSnapshot
from memphis_desktop.inspect import snippets
from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.page_cache import Page
from memphis_desktop.inspect.reader import MessageReader, ReadingMethod
from memphis_desktop.inspect.seek import EXAMPLES, Seek, SeekKind, parse_seek
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.dialogs import FormDialog
from memphis_desktop.ui.components.empty_state import EmptyState, SkeletonRows
from memphis_desktop.ui.components.filter_bar import FilterField
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.split_view import SplitView
from memphis_desktop.ui.screen import Command, ScreenContext
from memphis_desktop.ui.screens.messages.columns import ExtraColumns
from memphis_desktop.ui.screens.messages.compare import CompareDialog
from memphis_desktop.ui.screens.messages.detail import MessageDetail
from memphis_desktop.ui.screens.messages.export_dialog import ExportDialog
from memphis_desktop.ui.screens.messages.histogram_view import HistogramView
from memphis_desktop.ui.screens.messages.list_view import MessageListView
from memphis_desktop.ui.screens.messages.live_tail import LiveTail
from memphis_desktop.ui.screens.messages.search_bar import SearchBar, SearchStatus
from memphis_desktop.ui.screens.messages.searching import Searching
from memphis_desktop.ui.theme.icons import icon

PAGE_ROWS = 200
CONTEXT_ROWS = 100  # read before the place jumped to


class MessageBrowser(QWidget):
    """Messages of one stream. Whoever embeds it calls `activated`, `deactivated` and `show_snapshot`,
    and offers `commands`."""

    commands_changed = Signal()

    def __init__(self, context: ScreenContext, stream_name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.context = context
        self.stream = stream_name
        self.reader: MessageReader | None = None
        self._subject: str | None = None
        self._generation = 0
        self._opening: asyncio.Task[Any] | None = None
        self._refreshing = False
        self._wanted: Seek | None = None
        self._detail_wanted = True
        self._state_seen: tuple[int, int, int] | None = None
        self.list = MessageListView("messages")
        self.list.model.zone = context.zone
        self.extra_columns = ExtraColumns(stream_name)
        self._marked: InspectedMessage | None = None
        self.detail = MessageDetail(context)
        self.tail = LiveTail(self)
        self.search_bar = SearchBar()
        self.search_status = SearchStatus()
        self.histogram = HistogramView()
        self.histogram.zone = context.zone
        self.histogram.hide()
        self.searching = Searching(self)
        self._build()
        self._connect()
        self._show_columns()
        self._show_state("loading")

    # Building -----------------------------------------------------------------------------------

    def _build(self) -> None:
        self.subject_field = FilterField("Subject, such as orders.>  ( / )")
        self.subject_field.setToolTip("The server sends only messages whose subject matches")
        self.jump_field = FilterField("Jump to #123 or -15m  ( G )")
        self.jump_field.setAccessibleName("Jump to")
        self.jump_field.setToolTip(f"A sequence, a time, a span back from now or a percentage:  {EXAMPLES}")
        self.jump_field.setMinimumWidth(244)
        self.jump_field.setMaximumWidth(320)
        self.live_button = _chip("Live", "broadcast", "Follow new messages  ( T )")
        self.pause_button = QToolButton()
        self.pause_button.setCheckable(True)
        self.pause_button.setIcon(icon("pause", "muted", name_on="play", token_on="accent"))
        self.pause_button.setToolTip("Pause: new messages are counted, not shown  ( P )")
        self.pause_button.setAccessibleName("Pause live")
        self.pause_button.hide()
        self.new_label = QPushButton()
        self.new_label.setProperty("kind", "link")
        self.new_label.hide()
        self.first_button = _tool("arrow-line-up", "First message  ( Home )", self.go_first)
        self.last_button = _tool("arrow-line-down", "Last message  ( End )", self.go_last)
        self.columns_button = _tool("columns", "Choose columns", self._column_menu)
        self.replay_button = QPushButton("Replay")
        self.replay_button.setIcon(icon("repeat"))
        self.replay_button.setToolTip("Publish the selected messages, or a range, again  ( R )")
        self.publish_button = QPushButton("Publish")
        self.publish_button.setIcon(icon("paper-plane-tilt"))
        self.bar = QHBoxLayout()
        self.bar.setContentsMargins(theme.SPACE_3, theme.SPACE_2, theme.SPACE_3, theme.SPACE_2)
        self.bar.setSpacing(theme.SPACE_2)
        self.bar.addWidget(self.subject_field, 3)
        self.bar.addWidget(self.jump_field, 2)
        for widget in (
            self.first_button,
            self.last_button,
            self.live_button,
            self.pause_button,
            self.new_label,
        ):
            self.bar.addWidget(widget)
        self.bar.addStretch(1)
        self.export_button = _tool("export", "Export to a file  ( Ctrl+Shift+E )", self.export)
        for button in (self.columns_button, self.export_button, self.replay_button, self.publish_button):
            self.bar.addWidget(button)

        self._message = EmptyState("tray", "")
        self._stack = QStackedWidget()
        for page in (self.list, SkeletonRows(), self._message):
            self._stack.addWidget(page)
        self.split = SplitView(self._stack, self.detail, "messages", share=0.4)
        self.split.set_preview_visible(False)  # until there is a message to show
        self.detail.setMinimumWidth(340)
        self._stack.setMinimumWidth(320)
        self._place = PlainLabel("", "caption", elide=Qt.TextElideMode.ElideRight)
        self._method = PlainLabel("", "caption")
        self._figures = PlainLabel("", "caption")
        foot = QHBoxLayout()
        foot.setContentsMargins(theme.SPACE_3, theme.SPACE_1, theme.SPACE_3, theme.SPACE_1)
        foot.setSpacing(theme.SPACE_4)
        foot.addWidget(self._place, 1)
        foot.addWidget(self._figures)
        foot.addWidget(self._method)

        panel = QFrame()
        panel.setProperty("panel", "surface")
        inner = QVBoxLayout(panel)
        inner.setContentsMargins(1, 1, 1, 1)
        inner.setSpacing(0)
        inner.addLayout(self.bar)
        inner.addWidget(self.search_bar)
        inner.addWidget(_line())
        inner.addWidget(self.histogram)
        inner.addWidget(self.search_status)
        inner.addWidget(self.split, 1)
        inner.addWidget(_line())
        inner.addLayout(foot)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(panel)

    def _connect(self) -> None:
        self.subject_field.returnPressed.connect(self._subject_entered)
        self.subject_field.textChanged.connect(lambda text: None if text else self._subject_entered())
        self.subject_field.left.connect(self.list.setFocus)
        self.jump_field.returnPressed.connect(self._jump_entered)
        self.jump_field.left.connect(self.list.setFocus)
        self.live_button.toggled.connect(self._live_toggled)
        self.pause_button.toggled.connect(self.tail.set_paused)
        self.new_label.clicked.connect(self.go_last)
        self.replay_button.clicked.connect(self.replay)
        self.publish_button.clicked.connect(self.publish)
        messages = self.list
        messages.older_requested.connect(lambda: self._run(self._load_older(), "read older messages"))
        messages.newer_requested.connect(lambda: self._run(self._load_newer(), "read newer messages"))
        messages.sequence_requested.connect(self._dragged_to)
        messages.first_requested.connect(self.go_first)
        messages.last_requested.connect(self.go_last)
        messages.current_changed.connect(self._current_changed)
        messages.selection_changed.connect(self._update_foot)
        messages.opened.connect(self.show_detail)
        messages.preview_toggled.connect(self.toggle_detail)
        messages.menu_requested.connect(self._row_menu)
        messages.header_menu_requested.connect(self._column_menu)
        detail = self.detail
        detail.copy_requested.connect(self.copy_menu)
        detail.edit_requested.connect(self.edit_and_publish)
        detail.replay_requested.connect(self.replay)
        detail.save_requested.connect(self.save_payload)
        detail.related_requested.connect(self.go_related)
        detail.closed.connect(self.toggle_detail)
        self.search_bar.search_requested.connect(self.searching.start)
        self.search_bar.left.connect(self.list.setFocus)
        self.search_bar.histogram_toggled.connect(self._histogram_toggled)
        self.search_status.pause_toggled.connect(self.searching.toggle_pause)
        self.search_status.stopped.connect(self.searching.stop)
        self.search_status.closed.connect(self.searching.close)
        self.histogram.range_chosen.connect(self.searching.choose_range)
        self.histogram.time_chosen.connect(lambda moment: self.go_to(Seek(SeekKind.TIME, moment)))
        self.destroyed.connect(_closer(self))

    # Life ---------------------------------------------------------------------------------------

    def activated(self) -> None:
        """The browser came into view: open it, or look again."""
        if self.reader is None and (self._opening is None or self._opening.done()):
            self._opening = self.context.run(self._open(), "read the station")
        elif self.reader is not None:
            self._refresh_soon()
            self.tail.resume_polling()

    def deactivated(self) -> None:
        """The browser left the view: following stops reading until it is back."""
        self.tail.suspend_polling()

    def show_snapshot(self, snapshot: ClusterSnapshot) -> None:
        """A polling round: the station may have grown or lost messages."""
        stream = snapshot.streams.get(self.stream)
        if stream is None or self.reader is None:
            return
        state = (stream.first_sequence, stream.last_sequence, stream.deleted_count)
        if state != self._state_seen:
            self._state_seen = state
            self._refresh_soon()

    async def shut_down(self) -> None:
        """Give the connection back."""
        self.tail.stop()
        if self.searching.job is not None:
            self.searching.job.close()
        if self.reader is not None:
            reader, self.reader = self.reader, None
            await reader.close()

    async def _open(self) -> None:
        self._show_state("loading")
        try:
            self.reader = await MessageReader.open(
                self.context.session, self.stream, api_prefix=self.context.session.profile.api_prefix
            )
        except ReadError as error:
            self._show_error(error)
            return
        wanted, self._wanted = self._wanted, None
        if wanted is not None:
            await self._seek(wanted)
        else:
            await self._go_last(select=False)

    # Places -------------------------------------------------------------------------------------

    def go_first(self) -> None:
        """Show the oldest message, or the first match."""
        if self.searching.active:
            self.list.select_row(0)
            return
        self._run(self._seek(Seek(SeekKind.FIRST)), "read messages")

    def go_last(self) -> None:
        """Show the newest message, or the last match."""
        if self.searching.active:
            self.list.select_row(len(self.list.model.rows) - 1)
            return
        self._run(self._go_last(), "read messages")

    def go_to(self, seek: Seek) -> None:
        """Show a place, as soon as the station is open; a search is left for it."""
        if self.searching.active:
            self.searching.close()
        if self.reader is None:
            self._wanted = seek
        else:
            self._run(self._seek(seek), "read messages")

    def go_related(self, direction: int) -> None:
        """Show the message before (-1) or after (1) on the same subject."""
        message = self.detail.message
        if message is not None:
            self._run(self._related(message, direction), "find the message")

    async def _seek(self, seek: Seek) -> None:
        reader = self.reader
        if reader is None:
            return
        self._generation += 1  # a place asked for later wins, however long this one takes to find
        generation = self._generation
        await self._refresh()
        if seek.kind is SeekKind.LAST:
            await self._go_last()
            return
        if seek.kind is SeekKind.FIRST:
            sequence = reader.bounds.first
        elif seek.kind is SeekKind.PERCENT:
            sequence = reader.sequence_at_percent(seek.value)
        elif seek.kind is SeekKind.TIME:
            sequence = await reader.sequence_at(seek.time_ns)
        else:
            sequence = seek.sequence
        if generation == self._generation:
            await self._jump(sequence)

    async def _jump(self, sequence: int, *, select: bool = True) -> None:
        """Show the messages around a sequence with it at the top."""
        reader = self.reader
        if reader is None:
            return
        self._generation += 1
        generation = self._generation
        bounds = reader.bounds
        sequence = max(min(sequence, bounds.last), bounds.first)
        with self._asking():
            before, after = await asyncio.gather(
                reader.backward(sequence - 1, CONTEXT_ROWS, self._subject),
                reader.forward(sequence, PAGE_ROWS, self._subject),
            )
            if generation != self._generation:
                return
            page = Page((*before.messages, *after.messages), min(before.first, sequence), after.last)
            self._show_page(page, sequence=sequence)
            if select:
                self.list.select_sequence(sequence)

    async def _go_last(self, *, select: bool = True) -> None:
        reader = self.reader
        if reader is None:
            return
        self._generation += 1
        generation = self._generation
        await self._refresh()
        with self._asking():
            page = await reader.backward(reader.bounds.last, PAGE_ROWS, self._subject)
            if generation != self._generation:
                return
            self._show_page(page, at_bottom=True)
            if select:
                self.list.select_row(len(self.list.model.rows) - 1)

    async def _related(self, message: InspectedMessage, direction: int) -> None:
        reader = self.reader
        if reader is None:
            return
        if direction > 0:
            page = await reader.forward(message.sequence + 1, 1, message.subject)
            found = page.messages[0] if page.messages else None
        else:
            page = await reader.backward(message.sequence - 1, 1, message.subject)
            found = page.messages[-1] if page.messages else None
        if found is None:
            where = "after" if direction > 0 else "before"
            self.context.notify(f"There is no message {where} this one on {message.subject}.")
        elif not self.list.select_sequence(found.sequence):
            await self._jump(found.sequence)

    async def _load_older(self) -> None:
        await self._load(
            lambda reader: reader.backward(self.list.model.first - 1, PAGE_ROWS, self._subject), False
        )

    async def _load_newer(self) -> None:
        await self._load(
            lambda reader: reader.forward(self.list.model.last + 1, PAGE_ROWS, self._subject), True
        )

    async def _load(self, read: Callable[[MessageReader], Any], newer: bool) -> None:
        if self.reader is None or self.searching.active:  # what was found has no neighbours to read
            self.list.asked(False)
            return
        generation = self._generation
        with self._asking():
            page = await read(self.reader)
            if generation == self._generation and not self.searching.active:
                if newer:
                    self.list.add_newer(page)
                else:
                    self.list.add_older(page)
                self._update_foot()

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """While a page is on its way the list asks for no other."""
        self.list.asked(True)
        try:
            yield
        finally:
            if isValid(self.list):  # the window may have closed meanwhile
                self.list.asked(False)

    def _show_page(self, page: Page, *, sequence: int | None = None, at_bottom: bool = False) -> None:
        self.list.model.show_gaps = self._subject is None
        self.list.show_page(page, sequence=sequence, at_bottom=at_bottom)
        self.list.set_bounds(*self._span())
        if page.messages:
            self._show_state("ready")
        else:
            self._show_empty()
        self._update_foot()

    def _span(self) -> tuple[int, int]:
        assert self.reader is not None
        bounds = self.reader.bounds
        return bounds.first, bounds.last

    # Keeping up ---------------------------------------------------------------------------------

    def _refresh_soon(self) -> None:
        if not self._refreshing:
            self._run(self._refresh(), "read the station")

    async def _refresh(self) -> None:
        """Read the bounds again; rows that are gone leave the list."""
        reader = self.reader
        if reader is None or self._refreshing:
            return
        self._refreshing = True
        try:
            before = reader.bounds
            after = await reader.refresh()
            if self.searching.active:
                return
            self.list.set_bounds(after.first, after.last)
            if after.first > self.list.model.first:
                self.list.model.cut_below(after.first)
            if after.deleted > before.deleted:
                await self._mark_removed(reader)
            if self._stack.currentIndex() == 2 and after.messages and not before.messages:
                page = await reader.backward(after.last, PAGE_ROWS, self._subject)
                self._show_page(page, at_bottom=True)
            if not self.list.model.rows and not after.messages:
                self._show_empty()
            self._update_foot()
        finally:
            self._refreshing = False

    async def _mark_removed(self, reader: MessageReader) -> None:
        """Look again at what is in view: messages may have been deleted or consumed meanwhile."""
        top = self.list.top_sequence()
        if top is None:
            return
        page = await reader.forward(top, self.list.visible_rows() + 1, self._subject)
        there = {message.sequence for message in page.messages}
        for message in self.list.model.messages():
            if top <= message.sequence <= page.last and message.sequence not in there:
                self.list.model.remove_message(message.sequence)

    def _dragged_to(self, sequence: int) -> None:
        """The scroll bar was dragged: among matches scroll, in the station read."""
        if self.searching.active:
            bar = self.list.table.verticalScrollBar()
            bar.setValue(self.list.model.row_of(int(sequence)) * self.list.row_height())
        else:
            self._run(self._jump(int(sequence), select=False), "read messages")

    def _histogram_toggled(self, shown: bool) -> None:
        self.histogram.setVisible(shown)
        if shown:
            self._run(self.searching.load_histogram(), "count the messages")

    def _live_toggled(self, live: bool) -> None:
        self.pause_button.setVisible(live)
        if not live:
            self.pause_button.setChecked(False)
        self.tail.set_live(live)

    def show_new_count(self, count: int, skipped: int) -> None:
        """How many messages came while paused, and how many a full flood made us leave out."""
        texts = []
        if count:
            texts.append(f"{figures.integer(count)} new")
        if skipped:
            texts.append(f"{figures.integer(skipped)} not shown: too fast")
        self.new_label.setText("  ·  ".join(texts))
        self.new_label.setVisible(bool(texts))

    @property
    def subject(self) -> str | None:
        """The subject filter in force."""
        return self._subject

    # Entering -----------------------------------------------------------------------------------

    def focus_filter(self) -> None:
        """Into the subject field."""
        self.subject_field.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.subject_field.selectAll()

    def focus_search(self) -> None:
        """Into the search field."""
        self.search_bar.field.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.search_bar.field.selectAll()

    def focus_jump(self) -> None:
        """Into the jump field."""
        self.jump_field.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.jump_field.selectAll()

    def set_subject(self, subject: str) -> None:
        """Filter by subject at the server; empty shows all."""
        self.subject_field.setText(subject)
        self._subject_entered()

    def _subject_entered(self) -> None:
        text = self.subject_field.text().strip()
        problem = _subject_problem(text)
        self._set_invalid(self.subject_field, problem)
        if problem:
            return
        subject = text or None
        if subject == self._subject:
            return
        self._subject = subject
        if not self.histogram.isHidden():
            self._run(self.searching.load_histogram(), "count the messages")
        if self.searching.active:
            self.searching.start()
            return
        message = self.detail.message
        place = message.sequence if message is not None else None
        if self.reader is None:
            return
        if place is not None and not self.live_button.isChecked():
            self._run(self._jump(place, select=True), "filter the messages")
        else:
            self._run(self._go_last(select=False), "filter the messages")
        self.list.setFocus()

    def _jump_entered(self) -> None:
        try:
            seek = parse_seek(self.jump_field.text(), self.context.zone, time.time_ns())
        except ValueError as error:
            self._set_invalid(self.jump_field, str(error))
            return
        self._set_invalid(self.jump_field, "")
        self.jump_field.clear()
        self.list.setFocus()
        self.go_to(seek)

    def _set_invalid(self, field: FilterField, problem: str) -> None:
        if bool(field.property("invalid")) != bool(problem):
            field.setProperty("invalid", bool(problem))
            field.style().unpolish(field)
            field.style().polish(field)
        if problem:
            self.context.notify(problem, "warning")

    # The detail ---------------------------------------------------------------------------------

    def _current_changed(self, message: InspectedMessage | None) -> None:
        if message is not None:
            self.detail.show_message(message)
            if self._detail_wanted:
                self.split.set_preview_visible(True)

    def show_detail(self) -> None:
        """Open the pane beside the list."""
        self._detail_wanted = True
        self.split.set_preview_visible(True)

    def toggle_detail(self) -> None:
        """Open or close the pane; closed by hand, it stays closed."""
        self._detail_wanted = not self.split.preview_visible()
        self.split.set_preview_visible(self._detail_wanted)
        if not self.split.preview_visible():
            self.list.setFocus()

    def show_tab(self, name: str) -> None:
        """Open the pane at one of its tabs; again goes back to Decoded."""
        self.show_detail()
        current = self.detail.tabs.tabText(self.detail.tabs.currentIndex())
        self.detail.show_tab("Decoded" if current.startswith(name) else name)

    # Doing --------------------------------------------------------------------------------------

    def selected(self) -> list[InspectedMessage]:
        """The selected messages, or the one in the pane."""
        messages = self.list.selected_messages()
        if not messages and self.detail.message is not None:
            messages = [self.detail.message]
        return messages

    def copy_payload(self) -> None:
        """Put the payloads of the selection on the clipboard: text as it is, other bytes as hex."""
        messages = self.selected()
        if not messages:
            return
        texts = [_payload_text(message) for message in messages]
        self._copy("\n".join(texts), "the payload" if len(texts) == 1 else f"{len(texts)} payloads")

    def copy_as(self, name: str) -> None:
        """Put the selection on the clipboard in one of the forms of the copy menu."""
        messages = self.selected()
        if not messages:
            return
        url = self.context.session.server_url
        makers: dict[str, Callable[[InspectedMessage], str]] = {
            "JSON": snippets.as_json,
            "nats command": snippets.as_nats_pub,
            "cURL (Memphis REST)": lambda message: snippets.as_curl(message, self.stream),
            "Python": lambda message: snippets.as_python(message, url),
        }
        self._copy("\n".join(makers[name](message) for message in messages), f"as {name}")

    def copy_menu(self) -> None:
        """Offer every way to copy."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._fill_copy_menu(menu)
        menu.popup(QCursor.pos())

    def _fill_copy_menu(self, menu: QMenu) -> None:
        menu.addAction("Payload\tY", self.copy_payload)
        for name in ("JSON", "nats command", "cURL (Memphis REST)", "Python"):
            menu.addAction(f"Message as {name}", partial(self.copy_as, name))
        menu.addSeparator()
        messages = self.selected()
        subjects = "\n".join(message.subject for message in messages)
        sequences = "\n".join(str(message.sequence) for message in messages)
        menu.addAction("Subject", lambda: self._copy(subjects, "the subject"))
        menu.addAction("Sequence", lambda: self._copy(sequences, "the sequence"))

    def _copy(self, text: str, what: str) -> None:
        QGuiApplication.clipboard().setText(text)
        self.context.notify(f"Copied {what}.", "good")

    def edit_and_publish(self) -> None:
        """Open the composer with a copy of the message."""
        from memphis_desktop.ui.screens.composer import open_composer

        message = self.list.current_message() or self.detail.message
        if message is not None:
            open_composer(self.context, self.window(), message=message)

    def publish(self) -> None:
        """Open the composer for this station."""
        from memphis_desktop.ui.screens.composer import open_composer

        open_composer(self.context, self.window(), stream=self.stream)

    def replay(self) -> None:
        """Open the replay dialog for the selection or a range."""
        from memphis_desktop.ui.screens.replay import open_replay

        if self.reader is not None:
            sequences = [message.sequence for message in self.list.selected_messages()]
            open_replay(self.context, self.window(), self.stream, sequences, self._subject)

    def save_payload(self) -> None:
        """Write the payload's bytes, unchanged, to a file."""
        message = self.detail.message
        if message is None:
            return
        suggested = f"{self.stream}-{message.sequence}.bin"
        path, _ = QFileDialog.getSaveFileName(self, "Save payload", suggested)
        if path:
            self._run(self._write_file(path, message.payload), "save the payload")

    async def _write_file(self, path: str, data: bytes) -> None:
        def write() -> None:
            with open(path, "wb") as file:
                file.write(data)

        await asyncio.to_thread(write)
        self.context.notify(f"Saved {figures.bytes_size(len(data))} to {path}.", "good")

    def delete(self) -> None:
        """Delete the selected messages after asking."""
        messages = self.list.selected_messages()
        if messages:
            self._run(self._delete(messages), "delete the messages")

    async def _delete(self, messages: list[InspectedMessage]) -> None:
        count = figures.count_noun(len(messages), "message")
        size = figures.bytes_size(sum(message.size for message in messages))
        text = f"{count} ({size}) will be removed from {self.stream} for good. Their sequences stay empty."
        name = self.stream if self.context.session.profile.environment.value == "production" else None
        if not await self.context.confirm(f"Delete {count}?", text, f"Delete {count}", name):
            return
        for message in messages:
            await self.context.session.api(f"STREAM.MSG.DELETE.{self.stream}", {"seq": message.sequence})
            self.list.model.remove_message(message.sequence)
        await self._refresh()
        self.context.notify(f"Deleted {count} from {self.stream}.", "good")

    def commands(self) -> list[Command]:
        """Shortcuts of the browser."""
        return [
            Command("Jump to a place in the station", "G", self.focus_jump, "crosshair"),
            Command("Filter by subject", "/", self.focus_filter, "funnel"),
            Command("Find in messages", "F", self.focus_search, "magnifying-glass"),
            Command("Messages over time", "H", self.search_bar.histogram_button.toggle, "chart-bar"),
            Command("Follow new messages", "T", self.live_button.toggle, "broadcast"),
            Command("Pause following", "P", self.pause_button.toggle, "pause", self.live_button.isChecked()),
            Command("Show or hide the message pane", "Space", self.toggle_detail, "columns"),
            Command("Hex", "X", lambda: self.show_tab("Hex")),
            Command("Copy payload", "Y", self.copy_payload, "copy"),
            Command("Copy message as", "Shift+Y", self.copy_menu, "copy"),
            Command("Edit and publish", "E", self.edit_and_publish, "pencil-simple"),
            Command("Replay messages", "R", self.replay, "repeat"),
            Command("Message before on the subject", "[", lambda: self.go_related(-1), "arrow-up"),
            Command("Message after on the subject", "]", lambda: self.go_related(1), "arrow-down"),
            Command("Mark to compare", "M", self.mark, "push-pin"),
            Command("Compare messages", "D", self.compare, "git-diff"),
            Command("Export messages", "Ctrl+Shift+E", self.export, "export"),
            Command("Add a column from JSON or a header", "", self.add_column, "columns"),
            Command("Publish to the station", "", self.publish, "paper-plane-tilt"),
        ]

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """The shortcuts work wherever the focus is inside, also where no shell binds them."""
        pressed = QKeySequence(event.keyCombination())
        for command in self.commands():
            if command.shortcut and command.enabled and QKeySequence(command.shortcut) == pressed:
                command.callback()
                return
        super().keyPressEvent(event)

    # Menus and states ---------------------------------------------------------------------------

    def _row_menu(self, point: QPoint) -> None:
        messages = self.list.selected_messages()
        if not messages:
            return
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._fill_copy_menu(menu.addMenu("Copy"))
        menu.addSeparator()
        if len(messages) == 1:
            menu.addAction("Edit and publish\tE", self.edit_and_publish)
            menu.addAction("Only this subject", lambda: self.set_subject(messages[0].subject))
        if len(messages) <= 2:
            title = "Compare the two\tD" if len(messages) == 2 else "Compare with the one before or marked\tD"
            menu.addAction(title, self.compare)
            menu.addAction("Mark to compare\tM", self.mark)
        menu.addAction("Export", self.export)
        menu.addAction(f"Replay {figures.count_noun(len(messages), 'message')}\tR", self.replay)
        menu.addSeparator()
        delete = menu.addAction(f"Delete {figures.count_noun(len(messages), 'message')}", self.delete)
        delete.setEnabled(not self.context.session.profile.read_only)
        menu.popup(point)

    def _column_menu(self, point: QPoint | None = None) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.list.fill_column_menu(menu)
        menu.addSeparator()
        menu.addAction("Add a column from JSON or a header", self.add_column)
        sources = self.extra_columns.sources()
        if sources:
            remove = menu.addMenu("Remove a column")
            for source in sources:
                remove.addAction(source.replace("&", "&&"), partial(self.remove_column, source))
        button = self.columns_button
        menu.popup(point or button.mapToGlobal(button.rect().bottomLeft()))

    def _show_columns(self) -> None:
        self.list.set_extra_columns(self.extra_columns.columns())

    def add_column(self, source: str = "") -> FormDialog:
        """Ask for a JSON path or header and show it as a column."""
        dialog = FormDialog(self.window(), "Add a column", "Add column", width=440)
        field = QLineEdit(source)
        field.setProperty("role", "mono")
        field.setPlaceholderText("$.customer.id, $.items[0].sku or header:Content-Type")
        dialog.add_row("Shows", field, "A path into the payload, or header: and a name.")

        def check() -> str:
            try:
                self.extra_columns.add(field.text())
            except ValueError as error:
                return str(error)
            return ""

        dialog.add_validator(check)
        dialog.accepted.connect(self._show_columns)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()
        return dialog

    def remove_column(self, source: str) -> None:
        """Take a column away."""
        self.extra_columns.remove(source)
        self._show_columns()

    def mark(self) -> None:
        """Mark the message with the cursor, to compare another with it; again takes the mark away."""
        message = self.list.current_message()
        if message is None:
            return
        same = self._marked is not None and self._marked.identity == message.identity
        self._marked = None if same else message
        self.list.delegate.marked = set() if same else {message.sequence}
        self.list.table.viewport().update()

    def compare(self) -> None:
        """Compare two selected messages; or this one with the marked one, else with the one before it."""
        selected = self.list.selected_messages()
        message = self.list.current_message() or self.detail.message
        if len(selected) == 2:
            CompareDialog(self.window(), *selected).show()
        elif message is None:
            return
        elif self._marked is not None and self._marked.identity != message.identity:
            CompareDialog(self.window(), self._marked, message).show()
        else:
            self._run(self._compare_with_previous(message), "find the message before")

    async def _compare_with_previous(self, message: InspectedMessage) -> None:
        if self.reader is None:
            return
        page = await self.reader.backward(message.sequence - 1, 1, message.subject)
        if page.messages:
            CompareDialog(self.window(), page.messages[-1], message).show()
        else:
            self.context.notify(f"There is no message before this one on {message.subject} to compare with.")

    def export(self) -> None:
        """Write messages to a file."""
        if self.reader is not None and self.reader.bounds.messages:
            ExportDialog(self).open()

    def _show_state(self, state: str) -> None:
        self._stack.setCurrentIndex({"ready": 0, "loading": 1, "message": 2}[state])

    def _show_empty(self) -> None:
        if self._subject is not None and self.reader is not None and self.reader.bounds.messages:
            text = f"Nothing on {self._subject} in this station."
            self._message.set_content("funnel", text, ("Show all subjects", lambda: self.set_subject("")))
        else:
            text = f"{self.stream} holds no messages. New ones appear here by themselves."
            self._message.set_content("tray", text, ("Publish a message", self.publish))
        self._message.set_kind("muted")
        self._show_state("message")

    def _show_error(self, error: ReadError) -> None:
        text = f"The messages of {self.stream} cannot be read: {error.description}."
        if error.code == 404:
            text = f"There is no stream {self.stream} any more."
        self._message.set_content("warning-circle", text, ("Try again", self.activated))
        self._message.set_kind("bad")
        self._show_state("message")

    def _update_foot(self) -> None:
        reader = self.reader
        if reader is None:
            return
        bounds = reader.bounds
        parts = [figures.count_noun(bounds.messages, "message")]
        if bounds.messages:
            parts.append(f"#{figures.integer(bounds.first)} – #{figures.integer(bounds.last)}")
        if bounds.deleted:
            parts.append(f"{figures.integer(bounds.deleted)} removed")
        selected = len(self.list.selected_messages())
        if selected > 1:
            parts.append(f"{figures.integer(selected)} selected")
        self._place.setText("  ·  ".join(parts))
        self._method.setText(f"Nothing is consumed: {reader.method.value}")
        self._method.setToolTip(_METHOD_HELP[reader.method])
        held = reader.cache.bytes + self.list.model.bytes
        self._figures.setText(
            f"{figures.integer(len(self.list.model.rows))} rows, {figures.bytes_size(held)} in memory"
        )

    def show_waiting(self) -> None:
        """A search has begun and nothing matched yet."""
        self._show_state("loading")

    def show_search_message(self, text: str, *, bad: bool) -> None:
        """A search ended without a match."""
        picture = "warning-circle" if bad else "magnifying-glass"
        self._message.set_content(picture, text, ("Close search", self.searching.close))
        self._message.set_kind("bad" if bad else "muted")
        self._show_state("message")

    def show_list(self) -> None:
        """Rows have come: the list takes the place of an empty state."""
        self._show_state("ready")

    def update_foot(self) -> None:
        """Show the figures anew."""
        self._update_foot()

    def run(self, coroutine: Any, description: str) -> None:
        """Start a coroutine of a part of the browser."""
        self._run(coroutine, description)

    def forget_reads(self) -> None:
        """Whatever is being read now shall not be shown any more."""
        self._generation += 1

    def _run(self, coroutine: Any, description: str) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:  # the program is ending and the widgets are only being taken down
            coroutine.close()
            return
        self.context.run(self._while_alive(coroutine), description)

    async def _while_alive(self, coroutine: Any) -> None:
        """An answer that comes after the window was closed has nobody to show it to."""
        try:
            await coroutine
        except RuntimeError:
            if isValid(self):
                raise


_METHOD_HELP = {
    ReadingMethod.BATCH: "The station allows direct gets and the server answers many at once.",
    ReadingMethod.DIRECT: "The station allows direct gets; this server answers one at a time.",
    ReadingMethod.API: (
        "The station does not allow direct gets (allow_direct), so each message is asked of its leader. "
        "Allow them in its configuration to read faster."
    ),
}


def _payload_text(message: InspectedMessage) -> str:
    text = snippets.plain_text(message.payload)
    return message.payload.hex() if text is None else text


def _subject_problem(text: str) -> str:
    """Return why a text is no subject filter, or nothing."""
    if not text:
        return ""
    tokens = text.split(".")
    if any(not token for token in tokens) or any(character.isspace() for character in text):
        return f"{text!r} is no subject: parts are joined by single dots, without spaces."
    if ">" in tokens[:-1]:
        return "> stands for the rest and can only be the last part of a subject."
    return ""


def _closer(browser: MessageBrowser) -> Callable[..., None]:
    """Return what closes the reader once the widget is gone (the slot may not hold the widget itself)."""
    holder = browser.__dict__

    def close(*_: object) -> None:
        reader = holder.get("reader")
        if reader is None:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        task = loop.create_task(reader.close())
        _CLOSING.add(task)
        task.add_done_callback(_CLOSING.discard)

    return close


_CLOSING: set[asyncio.Task[None]] = set()


def _chip(title: str, icon_name: str, tooltip: str) -> QPushButton:
    button = QPushButton(title)
    button.setCheckable(True)
    button.setProperty("kind", "chip")
    button.setIcon(icon(icon_name, "muted", token_on="accent"))
    button.setIconSize(QSize(14, 14))
    button.setToolTip(tooltip)
    return button


def _tool(icon_name: str, tooltip: str, callback: Callable[[], object]) -> QToolButton:
    button = QToolButton()
    button.setIcon(icon(icon_name, "muted"))
    button.setIconSize(QSize(16, 16))
    button.setToolTip(tooltip)
    button.setAccessibleName(tooltip.split("  (")[0])
    button.clicked.connect(lambda: callback())
    return button


def _line() -> QFrame:
    line = QFrame()
    line.setProperty("panel", "line")
    return line
