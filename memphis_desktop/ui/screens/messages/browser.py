"""The message browser: any place of a station of any size, without consuming anything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget
from shiboken6 import isValid

from memphis_desktop.cluster.model import ClusterSnapshot
from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.reader import MessageReader
from memphis_desktop.inspect.seek import Seek, SeekKind, parse_seek
from memphis_desktop.language import tr
from memphis_desktop.ui import keymap
from memphis_desktop.ui.components.filter_bar import FilterField
from memphis_desktop.ui.components.split_view import SplitView
from memphis_desktop.ui.screen import Command, Route, ScreenContext
from memphis_desktop.ui.screens.decoders.store import mask, notifier
from memphis_desktop.ui.screens.messages.actions import MessageActions
from memphis_desktop.ui.screens.messages.browser_commands import browser_commands
from memphis_desktop.ui.screens.messages.collection_dialog import holder
from memphis_desktop.ui.screens.messages.column_chooser import ColumnChooser
from memphis_desktop.ui.screens.messages.detail import MessageDetail
from memphis_desktop.ui.screens.messages.detail_pane import DetailPane
from memphis_desktop.ui.screens.messages.foot import Foot
from memphis_desktop.ui.screens.messages.histogram_view import HistogramView
from memphis_desktop.ui.screens.messages.list_states import ListStates
from memphis_desktop.ui.screens.messages.live_tail import LiveTail
from memphis_desktop.ui.screens.messages.places import Places
from memphis_desktop.ui.screens.messages.search_bar import SearchBar, SearchStatus
from memphis_desktop.ui.screens.messages.searching import Searching
from memphis_desktop.ui.screens.messages.tail_recorder import TailRecorder
from memphis_desktop.ui.screens.messages.toolbar import BrowserToolbar, line, subject_problem
from memphis_desktop.ui.shell.tasks import finish_soon


class MessageBrowser(QWidget):
    """Messages of one stream. Whoever embeds it calls `activated`, `deactivated` and `show_snapshot`,
    and offers `commands`."""

    key_place = "messages"

    commands_changed = Signal()

    def __init__(self, context: ScreenContext, stream_name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.context = context
        self.stream = stream_name
        self.reader: MessageReader | None = None
        self.subject: str | None = None  # the subject filter in force
        self._opening: asyncio.Task[Any] | None = None
        self._detail_wanted = True
        self._search_wanted = False
        self._state_seen: tuple[int, int, int] | None = None
        # Every part has its parent from the start: taking another one later styles it all over again.
        self._panel = QFrame(self)
        self.split = SplitView(None, None, "messages", share=0.4, parent=self._panel)
        self.states = ListStates(self, self.split)
        self.toolbar = BrowserToolbar(self._panel)
        self.list = self.states.list
        self.list.model.zone = context.zone
        self.pane = DetailPane(self._make_detail, self.split)
        self.places = Places(self)
        self.message_actions = MessageActions(self)
        self.columns = ColumnChooser(self)
        self.tail = LiveTail(self)
        self.recorder = TailRecorder(self)
        self.search_bar = SearchBar(self._panel)
        self.search_status = SearchStatus(self._panel)
        self.histogram = HistogramView(self._panel)
        self.histogram.zone = context.zone
        self.histogram.hide()
        self.searching = Searching(self)
        self._build()
        self._connect()
        self.columns.show()
        self.states.show_waiting()

    # Building -----------------------------------------------------------------------------------

    def _build(self) -> None:
        self.subject_field = self.toolbar.subject_field
        self.jump_field = self.toolbar.jump_field
        self.live_button = self.toolbar.live_button
        self.pause_button = self.toolbar.pause_button
        self.split.fill(self.states, self.pane)
        self.split.set_preview_visible(False)  # until there is a message to show
        self.pane.setMinimumWidth(340)
        self.foot = Foot(self._panel)
        panel = self._panel
        panel.setProperty("panel", "surface")
        inner = QVBoxLayout(panel)
        inner.setContentsMargins(1, 1, 1, 1)
        inner.setSpacing(0)
        inner.addWidget(self.toolbar)
        inner.addWidget(self.search_bar)
        inner.addWidget(line())
        inner.addWidget(self.histogram)
        inner.addWidget(self.search_status)
        inner.addWidget(self.split, 1)
        inner.addWidget(line())
        inner.addWidget(self.foot)
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
        self.toolbar.record_button.clicked.connect(self.recorder.toggle)
        self.toolbar.new_label.clicked.connect(self.places.go_last)
        self.toolbar.partition_box.chosen.connect(self._go_to_partition)
        self.toolbar.first_button.clicked.connect(self.places.go_first)
        self.toolbar.last_button.clicked.connect(self.places.go_last)
        self.toolbar.columns_button.clicked.connect(lambda: self.columns.menu())
        self.toolbar.export_button.clicked.connect(self.message_actions.export)
        self.toolbar.replay_button.clicked.connect(self.message_actions.replay)
        self.toolbar.publish_button.clicked.connect(self.message_actions.publish)
        messages = self.list
        messages.older_requested.connect(
            lambda: self.run(self.places.load_older(), tr("read older messages"))
        )
        messages.newer_requested.connect(
            lambda: self.run(self.places.load_newer(), tr("read newer messages"))
        )
        messages.sequence_requested.connect(self.places.dragged_to)
        messages.first_requested.connect(self.places.go_first)
        messages.last_requested.connect(self.places.go_last)
        messages.current_changed.connect(self._current_changed)
        messages.selection_changed.connect(self.update_foot)
        messages.opened.connect(self.show_detail)
        messages.preview_toggled.connect(self.toggle_detail)
        messages.menu_requested.connect(self.message_actions.row_menu)
        messages.header_menu_requested.connect(self.columns.menu)
        messages.copied_text.connect(self.message_actions.copy_rows)
        messages.copied_json.connect(lambda: self.message_actions.copy_as("JSON"))
        notifier().changed.connect(self.columns.show)
        holder().changed.connect(self.message_actions.show_marks)
        notifier().masks_changed.connect(self._masks_changed)
        self.message_actions.show_marks()
        self.search_bar.search_requested.connect(self.searching.start)
        self.search_bar.range_edited.connect(lambda: self.histogram.show_range(None))
        self.search_bar.told.connect(lambda text, kind: self.context.notify(text, kind))
        self.search_bar.left.connect(self.list.setFocus)
        self.search_bar.histogram_toggled.connect(self._histogram_toggled)
        self.search_status.pause_toggled.connect(self.searching.toggle_pause)
        self.search_status.stopped.connect(self.searching.stop)
        self.search_status.closed.connect(self.searching.close)
        self.search_status.actions_requested.connect(self.message_actions.matches_menu)
        self.histogram.range_chosen.connect(self.searching.choose_range)
        self.histogram.time_chosen.connect(lambda moment: self.places.go_to(Seek(SeekKind.TIME, moment)))
        self.destroyed.connect(_closer(self))

    # Life ---------------------------------------------------------------------------------------

    def activated(self) -> None:
        """The browser came into view: open it, or look again."""
        if self.reader is None and (self._opening is None or self._opening.done()):
            self._opening = self.context.run(self._open(), tr("read the station"))
        elif self.reader is not None:
            self.places.refresh_soon()
            self.tail.resume_polling()

    def deactivated(self) -> None:
        """The browser left the view: following stops reading until it is back."""
        self.tail.suspend_polling()

    def show_snapshot(self, snapshot: ClusterSnapshot) -> None:
        """A polling round: the station may have grown or lost messages."""
        self.toolbar.partition_box.show_partitions(self.stream, snapshot.streams)
        stream = snapshot.streams.get(self.stream)
        if stream is None or self.reader is None:
            return
        state = (stream.first_sequence, stream.last_sequence, stream.deleted_count)
        if state != self._state_seen:
            self._state_seen = state
            self.places.refresh_soon()
            self.searching.refresh_histogram()

    async def shut_down(self) -> None:
        """Give the connection back."""
        self.tail.stop()
        await self.recorder.finish()
        if self.searching.job is not None:
            self.searching.job.close()
        if self.reader is not None:
            reader, self.reader = self.reader, None
            await reader.close()

    async def _open(self) -> None:
        self.states.show_waiting()
        try:
            self.reader = await MessageReader.open(
                self.context.session,
                self.stream,
                api_prefix=self.context.session.profile.api_prefix,
                mask=mask,
            )
        except ReadError as error:
            self.states.show_error(error)
            return
        wanted, self.places.wanted = self.places.wanted, None
        try:
            if wanted is not None:
                await self.places.seek(wanted)
            else:
                await self.places.show_last(select=False)
        except ReadError as error:
            reader, self.reader = self.reader, None
            if reader is not None:
                await reader.close()
            self.states.show_error(error)
            return
        if self._search_wanted:
            self._search_wanted = False
            self.searching.start()

    # Keeping up ---------------------------------------------------------------------------------

    def _histogram_toggled(self, shown: bool) -> None:
        self.histogram.setVisible(shown)
        if shown:
            self.run(self.searching.load_histogram(), tr("count the messages"))

    def _live_toggled(self, live: bool) -> None:
        self.pause_button.setVisible(live)
        self.toolbar.record_button.setVisible(live)
        if not live:
            self.pause_button.setChecked(False)
            self.recorder.stop()
        self.tail.set_live(live)

    def _masks_changed(self) -> None:
        """Other values are hidden now: nothing that was read before may stay."""
        if self.reader is not None:
            self.reader.cache.clear()
        self.pane.show_message(None)
        if self.searching.active:
            self.searching.start()
        elif self.reader is not None:
            top = self.list.top_sequence()
            self.list.model.clear()
            self.columns.show()
            self.run(self.places.jump(top or 1, select=False), tr("read messages"))

    # Entering -----------------------------------------------------------------------------------

    def focus_filter(self) -> None:
        """Into the subject field."""
        self.subject_field.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.subject_field.selectAll()

    def focus_search(self) -> None:
        """Into the search field."""
        self.search_bar.field.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.search_bar.field.selectAll()

    def search_for(self, text: str) -> None:
        """Search the range for something, as soon as the station is open."""
        self.search_bar.field.setText(text)
        if self.reader is None:
            self._search_wanted = True
        else:
            self.searching.start()

    def route(self) -> Route:
        """What is shown, as a place to come back to: the station, the subject, the search or the message."""
        parameters = {"stream": self.stream, "subject": self.subject or ""}
        if self.search_bar.text():
            first, last = (
                field.text().strip() for field in (self.search_bar.from_field, self.search_bar.to_field)
            )
            parameters |= {"find": self.search_bar.text(), "first": first, "last": last}
        elif self.pane.message is not None:
            parameters["sequence"] = str(self.pane.message.sequence)
        return Route("messages", parameters)

    def _go_to_partition(self, stream: str) -> None:
        """Show another partition, searched for the same; subjects differ between partitions."""
        if stream != self.stream:
            parameters = dict(self.route().parameters) | {"stream": stream, "subject": "", "sequence": ""}
            self.context.navigate(Route("messages", parameters))

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
        problem = subject_problem(text)
        self._set_invalid(self.subject_field, problem)
        if problem:
            return
        subject = text or None
        if subject == self.subject:
            return
        self.subject = subject
        if not self.histogram.isHidden():
            self.run(self.searching.load_histogram(), tr("count the messages"))
        if self.searching.active:
            self.searching.start()
            return
        message = self.pane.message
        place = message.sequence if message is not None else None
        if self.reader is None:
            return
        if place is not None and not self.live_button.isChecked():
            self.run(self.places.jump(place, select=True), tr("filter the messages"))
        else:
            self.run(self.places.show_last(select=False), tr("filter the messages"))
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
        self.places.go_to(seek)

    def _set_invalid(self, field: FilterField, problem: str) -> None:
        if bool(field.property("invalid")) != bool(problem):
            field.setProperty("invalid", bool(problem))
            field.style().unpolish(field)
            field.style().polish(field)
        if problem:
            self.context.notify(problem, "warning")

    # The detail ---------------------------------------------------------------------------------

    @property
    def detail(self) -> MessageDetail:
        """What is in the pane beside the list."""
        return self.pane.detail

    def _make_detail(self, parent: QWidget) -> MessageDetail:
        detail = MessageDetail(self.context, parent)
        detail.copy_requested.connect(self.message_actions.copy_menu)
        detail.edit_requested.connect(self.message_actions.edit_and_publish)
        detail.replay_requested.connect(self.message_actions.replay)
        detail.save_requested.connect(self.message_actions.save_payload)
        detail.related_requested.connect(self.places.go_related)
        detail.closed.connect(self.toggle_detail)
        detail.filter_requested.connect(self.search_for)
        detail.column_requested.connect(self.columns.add_source)
        return detail

    def _current_changed(self, message: InspectedMessage | None) -> None:
        if message is not None:
            self.pane.show_message(message)
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
        self.detail.show_tab(tr("Decoded") if current.startswith(name) else name)

    def commands(self) -> list[Command]:
        """Shortcuts of the browser."""
        return browser_commands(self)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """The shortcuts work wherever the focus is inside, also where no shell binds them."""
        pressed = QKeySequence(event.keyCombination())
        for command in keymap.resolved(self.commands()):
            if command.shortcut and command.enabled and QKeySequence(command.shortcut) == pressed:
                command.callback()
                return
        super().keyPressEvent(event)

    # States --------------------------------------------------------------------------------------

    def update_foot(self) -> None:
        """Show the figures anew."""
        self.foot.show_figures(self)

    @property
    def shows_loading(self) -> bool:
        """Whether the first rows are still on their way."""
        return self.states.shows_loading

    def sentence(self) -> str:
        """The sentence that stands where the list would, or nothing."""
        return self.states.sentence()

    def run(self, coroutine: Any, description: str) -> None:
        """Start a coroutine of the browser or a part of it."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:  # the program is ending and the widgets are only being taken down
            coroutine.close()
            return
        task = self.context.run(self._while_alive(coroutine), description)
        task.add_done_callback(lambda _: coroutine.close())  # it may be cancelled before it begins

    async def _while_alive(self, coroutine: Any) -> None:
        """An answer that comes after the window was closed has nobody to show it to."""
        try:
            await coroutine
        except RuntimeError:
            if isValid(self):
                raise


def _closer(browser: MessageBrowser) -> Callable[..., None]:
    """Return what closes the reader once the widget is gone (the slot may not hold the widget itself)."""
    holder = browser.__dict__

    def close(*_: object) -> None:
        reader = holder.get("reader")
        if reader is not None:
            finish_soon(reader.close)

    return close
