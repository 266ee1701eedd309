"""Live: core subjects as they pass by, the subjects being discovered, requests with their latency."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QModelIndex, Qt, QTimer
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QFileDialog,
    QFrame,
    QHeaderView,
    QSplitter,
    QStackedWidget,
    QTreeView,
    QVBoxLayout,
    QWidget,
)
from shiboken6 import isValid

from memphis_desktop.cluster.profiles import Environment
from memphis_desktop.inspect.connection import ReadConnection, ReadError
from memphis_desktop.inspect.decode.text import preview
from memphis_desktop.inspect.draft import Draft
from memphis_desktop.inspect.files import SUFFIXES, Exporter, FileProblem
from memphis_desktop.inspect.live import LiveCapture, LiveRecorder
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.page_cache import Page
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components.empty_state import EmptyState
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.page_header import PageHeader
from memphis_desktop.ui.screen import SERVER, Command, Route, Screen, ScreenContext
from memphis_desktop.ui.screens.decoders.store import current_decoders, mask
from memphis_desktop.ui.screens.live.pair import PairPane
from memphis_desktop.ui.screens.live.patterns import PatternBar
from memphis_desktop.ui.screens.live.responder_dialog import ResponderDialog
from memphis_desktop.ui.screens.live.subject_tree import SubjectTreeModel
from memphis_desktop.ui.screens.live.toolbar import LiveToolbar
from memphis_desktop.ui.screens.messages.columns import PREVIEW_BYTES, MessageColumn, standard_columns
from memphis_desktop.ui.screens.messages.detail import MessageDetail
from memphis_desktop.ui.screens.messages.list_view import MessageListView
from memphis_desktop.ui.screens.station_actions import StationActions
from memphis_desktop.ui.screens.station_fields import NEW_STREAM
from memphis_desktop.ui.shell.setting_keys import live_limits
from memphis_desktop.ui.shell.tasks import finish_soon

_REFRESH_MS = 120
_MEASURE_SECONDS = 1.0


class LiveScreen(Screen):
    """Patterns above; subject tree, list and detail side by side."""

    title = tr("Live")
    route_name = "live"
    stale_with = frozenset({SERVER})

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.capture: LiveCapture | None = None
        self._connection: ReadConnection | None = None
        self._opening = asyncio.Lock()
        self._measured = time.monotonic()
        self._timer = QTimer(self)
        self._timer.setInterval(_REFRESH_MS)
        self._timer.timeout.connect(self.refresh)
        self.recording: tuple[Exporter, LiveRecorder] | None = None
        self._writing: asyncio.Task[Any] | None = None
        self._build()
        self._show_chips()

    # Building -----------------------------------------------------------------------------------

    def _build(self) -> None:
        self.header = PageHeader(tr("Live"))
        self.header.set_title(tr("Live"), tr("Messages as they are published, stored or not"))
        self.header.add_action(tr("Answer requests"), lambda: self.answer())
        self.header.add_action(tr("Request"), self.request, icon_name="chat-circle-dots")
        self.header.add_action(tr("Publish"), self.publish, icon_name="paper-plane-tilt")
        self.toolbar = LiveToolbar()
        self.pattern_field = self.toolbar.pattern_field
        self.pattern_field.returnPressed.connect(self.subscribe)
        self.toolbar.listen_button.clicked.connect(self.subscribe)
        self.toolbar.hidden_changed.connect(self._hidden_changed)
        self.fold_check = self.toolbar.fold_check
        self.fold_check.toggled.connect(lambda on: self.context.run(self._fold(on), tr("listen to replies")))
        self.pause_button = self.toolbar.pause_button
        self.record_button = self.toolbar.record_button
        self.record_button.clicked.connect(lambda on: self._record_clicked(on))
        self.station_button = self.toolbar.station_button
        self.station_button.clicked.connect(self.make_station)
        self.toolbar.clear_button.clicked.connect(self.clear)
        self.patterns = PatternBar()
        self.patterns.ended.connect(self.unsubscribe)
        self.patterns.mute_toggled.connect(self._mute)

        self.tree_model = SubjectTreeModel()
        self.tree = QTreeView()
        self.tree.setModel(self.tree_model)
        self.tree.setUniformRowHeights(True)
        self.tree.setAccessibleName(tr("Subjects"))
        self.tree.header().setStretchLastSection(False)
        self.tree.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.tree.header().setMinimumSectionSize(40)
        self.tree.header().resizeSection(1, 76)
        self.tree.header().resizeSection(2, 64)
        self.tree.setIndentation(12)
        self.tree.setMinimumWidth(200)
        self.tree.doubleClicked.connect(self._tree_opened)
        self.list = MessageListView("live")
        self.list.model.zone = self.context.zone
        self.list.model.show_gaps = False
        self.list.model.max_rows, self.list.model.max_bytes = live_limits(self.context.settings)
        self.list.model.set_columns(self._columns())
        self.list.delegate.tint = self._tint
        self.list.reset_columns()
        self.list.current_changed.connect(self._current_changed)
        self.list.preview_toggled.connect(self._toggle_detail)
        self.list.first_requested.connect(lambda: self.list.select_row(0))
        self.list.last_requested.connect(lambda: self.list.select_row(len(self.list.model.rows) - 1))
        self.list.sequence_requested.connect(self._dragged)
        self.detail = MessageDetail(self.context)
        self.detail.edit_requested.connect(self.edit)
        self.detail.copy_requested.connect(self.copy)
        self.detail.closed.connect(self._toggle_detail)
        self.detail.hide_station_actions()
        self.detail.setMinimumWidth(320)
        self.pair = PairPane(self.detail)
        self.pair.hide()
        text = tr("Type a subject pattern to listen to: orders.>, *.created, or > for everything.")
        self._empty = EmptyState("broadcast", text, (tr("Type a pattern"), self.focus_filter))
        self._stack = QStackedWidget()
        self._stack.addWidget(self._empty)
        self._stack.addWidget(self.list)
        self.splitter = QSplitter(Qt.Orientation.Horizontal)
        self.splitter.setChildrenCollapsible(False)
        for part in (self.tree, self._stack, self.pair):
            self.splitter.addWidget(part)
        self.splitter.setStretchFactor(1, 1)
        self.splitter.setSizes([210, 754, 340])
        self.tree.hide()  # until there is something to show in it
        self.note = PlainLabel("", "caption", elide=Qt.TextElideMode.ElideRight)
        self.note.setContentsMargins(theme.SPACE_3, theme.SPACE_1, theme.SPACE_3, theme.SPACE_1)

        panel = QFrame()
        panel.setProperty("panel", "surface")
        inner = QVBoxLayout(panel)
        inner.setContentsMargins(1, 1, 1, 1)
        inner.setSpacing(0)
        inner.addWidget(self.toolbar)
        inner.addWidget(self.patterns)
        inner.addWidget(self.splitter, 1)
        inner.addWidget(self.note)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 20, 24, theme.SPACE_4)
        layout.setSpacing(theme.SPACE_4)
        layout.addWidget(self.header)
        layout.addWidget(panel, 1)

    def _columns(self) -> list[MessageColumn]:
        columns = [column for column in standard_columns() if column.key not in ("age", "producer")]
        number = next(column for column in columns if column.key == "sequence")
        columns[columns.index(number)] = replace(
            number, title=tr("No."), width=64, help=tr("In the order they came")
        )

        def latency(message: InspectedMessage, zone: Any) -> str:
            seconds = self.capture.latencies.get(message.sequence) if self.capture is not None else None
            return "" if seconds is None else figures.duration(seconds)

        def folded(message: InspectedMessage, zone: Any) -> str:
            reply = self.capture.replies.get(message.sequence) if self.capture is not None else None
            shown = preview(message.payload, PREVIEW_BYTES)
            return shown if reply is None else f"{shown}  ⇢  {preview(mask(reply).payload, PREVIEW_BYTES)}"

        payload = next(column for column in columns if column.key == "preview")
        columns[columns.index(payload)] = replace(payload, text=folded)
        columns.insert(
            -1,
            MessageColumn(
                "latency", tr("Reply"), latency, latency, width=72, right=True, mono=True,
                help=tr("How long the request waited for its reply"),
            ),
        )  # fmt: skip
        return columns

    def _tint(self, message: InspectedMessage) -> str:
        """The colour of the pattern by which a message came."""
        number = self.capture.pattern_of(message.sequence) if self.capture is not None else None
        return "" if number is None else f"series{number}"

    # Life ---------------------------------------------------------------------------------------

    def show_route(self, route: Route) -> None:
        """Listen to the ``subject`` the route names."""
        subject = route.get("subject")
        if subject and (self.capture is None or subject not in self.capture.patterns):
            self.pattern_field.setText(subject)
            self.subscribe()

    def activated(self) -> None:
        """Draw while in view."""
        self._timer.start()

    def deactivated(self) -> None:
        """Listening goes on in a bounded buffer; only drawing rests."""
        self._timer.stop()

    def subscribe(self) -> None:
        """Listen to the pattern that is typed."""
        pattern = self.pattern_field.text().strip()
        tokens = pattern.split(".")
        if not pattern or any(not token for token in tokens) or ">" in tokens[:-1] or " " in pattern:
            self.context.notify(
                tr("Type a subject or a pattern such as orders.>, *.created or >."), "warning"
            )
            return
        self.context.run(
            self._subscribe(pattern), tr("listen to {pattern}", pattern=figures.visible_text(pattern, 60))
        )

    async def _subscribe(self, pattern: str) -> None:
        is_production = self.context.session.profile.environment is Environment.PRODUCTION
        is_wide = pattern.split(".")[0] in (">", "*")
        title = tr("Listen to everything?")
        if is_production and is_wide and not await self.context.confirm(title, self._cost(), tr("Listen")):
            return
        capture = await self._open()
        await capture.add(pattern)
        self.pattern_field.clear()
        self._show_chips()
        self.tree.show()
        self._stack.setCurrentIndex(1)

    def _cost(self) -> str:
        """What listening to everything brings, by the server's own figures of this account."""
        server = self.context.session.snapshot.server
        if server is None or server.in_messages_rate is None:
            return tr(
                "Everything that is published on this production connection will be sent to this window."
                " How much that is, the server does not tell this login."
            )
        rate = figures.rate(server.in_messages_rate)
        if server.in_bytes_rate is not None:
            rate = f"{rate}, {figures.bytes_size(server.in_bytes_rate)}/s"
        return tr(
            "Everything that is published on this production connection will be sent to this window:"
            " about {rate} at the moment.",
            rate=rate,
        )

    async def _open(self) -> LiveCapture:
        async with self._opening:
            return await self._opened()

    async def _opened(self) -> LiveCapture:
        if self._connection is None or self._connection.closed:
            self._connection = await ReadConnection.like(
                self.context.session.nats,
                "Memphis Desktop live",  # untranslated: the connection's name at the server
            )
            self._connection.listening_refused = self._refused
            self.capture = LiveCapture(self._connection)
            self.capture.hidden = self.toolbar.hidden_kinds()
            self.tree_model.set_tree(self.capture.tree)
            self.destroyed.connect(_closer(self._connection))
        assert self.capture is not None
        return self.capture

    async def _fold(self, on: bool) -> None:
        try:
            await (await self._open()).fold_replies(on)
        except ReadError:
            self.fold_check.setChecked(False)
            raise

    def _refused(self, pattern: str) -> None:
        """The server lets this login hear nothing of a pattern; it tells so after the fact."""
        capture = self.capture
        found = next(
            (p for p in (capture.patterns if capture is not None else ()) if p.lower() == pattern.lower()),
            None,
        )
        if found is not None and isValid(self):
            shown = figures.visible_text(found, 60)
            self.context.notify(
                tr("This login may not listen to {shown}. Ask for that permission.", shown=shown), "bad"
            )
            self.unsubscribe(found)

    def unsubscribe(self, pattern: str) -> None:
        """Listen to a pattern no longer."""
        self.context.run(self._unsubscribe(pattern), tr("end listening"))

    async def _unsubscribe(self, pattern: str) -> None:
        if self.capture is not None:
            await self.capture.remove(pattern)
            self._show_chips()

    def _hidden_changed(self, kinds: frozenset[str]) -> None:
        if self.capture is not None:
            self.capture.hidden = kinds

    def _show_chips(self) -> None:
        listening = self.capture is not None and bool(self.capture.patterns)
        self.patterns.show_patterns(self.capture.patterns if self.capture is not None else {})
        for button in (self.station_button, self.record_button):
            button.setEnabled(listening or self.recording is not None)

    def _mute(self, pattern: str, muted: bool) -> None:
        if self.capture is not None and pattern in self.capture.patterns:
            self.capture.patterns[pattern].muted = muted

    # Drawing ------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Take in what passed by since."""
        capture = self.capture
        if capture is None:
            return
        if not self.pause_button.isChecked():
            messages = [mask(message) for message in capture.take()]
            if messages:
                self._add(messages)
        now = time.monotonic()
        if now - self._measured >= _MEASURE_SECONDS:
            capture.measure(now - self._measured)
            self.patterns.refresh()
            self._measured = now
            self.tree_model.sync()
            if capture.latencies:
                self.list.table.viewport().update()
                self._show_reply()
        rows = len(self.list.model.rows)
        lost = capture.dropped + self.list.model.dropped
        parts = [
            tr("{received} received", received=figures.integer(capture.received)),
            figures.rate(capture.tree.root.rate),
            tr(
                "kept {rows} of {max_rows} rows, {bytes} of {max_bytes}",
                rows=figures.integer(rows),
                max_rows=figures.compact(self.list.model.max_rows),
                bytes=figures.bytes_size(self.list.model.bytes),
                max_bytes=figures.bytes_size(self.list.model.max_bytes),
            ),
        ]
        if lost:
            parts.append(tr("{lost} no longer kept", lost=figures.integer(lost)))
        if self.recording is not None:
            exporter, recorder = self.recording
            done = exporter.progress
            text = tr(
                "recording: {messages} written, {bytes}",
                messages=figures.integer(done.messages),
                bytes=figures.bytes_size(done.bytes),
            )
            if recorder.dropped:
                text = tr(
                    "recording: {messages} written, {bytes}, {dropped} left out: the disk is too slow",
                    messages=figures.integer(done.messages),
                    bytes=figures.bytes_size(done.bytes),
                    dropped=figures.integer(recorder.dropped),
                )
            parts.append(text)
        if capture.tree.not_kept:
            parts.append(
                tr(
                    "{not_kept} on subjects beyond the tree's limit",
                    not_kept=figures.integer(capture.tree.not_kept),
                )
            )
        self.note.setText("  ·  ".join(parts))

    def _add(self, messages: list[InspectedMessage]) -> None:
        page = Page(tuple(messages), messages[0].sequence, messages[-1].sequence)
        follow = self.list.at_end
        if self.list.model.rows:
            self.list.add_newer(page, follow=follow)
        else:
            self.list.show_page(page, at_bottom=True)
        self.list.set_bounds(self.list.model.first, self.list.model.last)

    def _dragged(self, sequence: int) -> None:
        bar = self.list.table.verticalScrollBar()
        bar.setValue(self.list.model.row_of(int(sequence)) * self.list.row_height())

    def clear(self) -> None:
        """Forget what passed by; listening goes on."""
        if self.capture is not None:
            self.capture.clear()
            self.tree_model.set_tree(self.capture.tree)
        self.list.model.clear()
        self.pair.show_message(None)

    def _current_changed(self, message: InspectedMessage | None) -> None:
        if message is not None:
            self.pair.show_message(message)
            self._show_reply()
            self.pair.show()

    def _show_reply(self) -> None:
        """Give the message that is shown its reply, once that has come."""
        capture, request = self.capture, self.pair.request
        if capture is not None and request is not None and not self.pair.has_reply:
            reply = capture.replies.get(request.sequence)
            if reply is not None:
                self.pair.set_reply(mask(reply), capture.latencies.get(request.sequence))

    def _toggle_detail(self) -> None:
        self.pair.setVisible(self.pair.isHidden())

    def _tree_opened(self, index: QModelIndex) -> None:
        self.pattern_field.setText(self.tree_model.subject(index.siblingAtColumn(0)))
        self.pattern_field.setFocus()

    # Recording and keeping ----------------------------------------------------------------------

    def _record_clicked(self, on: bool) -> None:
        if not on:
            self.stop_recording()
            return
        self.record_button.setChecked(False)
        kinds = tr("Messages (*.ndjson *.csv *.mdump)")
        path, _ = QFileDialog.getSaveFileName(self, tr("Record to"), "live.ndjson", kinds)
        if path:
            self.record(Path(path))

    def record(self, path: Path) -> None:
        """Write what passes by from now on to a file; its suffix tells the form."""
        if self.capture is None or self.recording is not None:
            return
        form = next((form for form, suffix in SUFFIXES.items() if path.suffix == suffix), "ndjson")
        exporter = Exporter(path, form, decoder=current_decoders().decode)
        recorder = LiveRecorder(mask)
        self.recording = (exporter, recorder)
        self.capture.recorder = recorder
        self.record_button.setChecked(True)
        self.record_button.setText(tr("Stop recording"))
        self._writing = self.context.run(self._record(exporter, recorder), tr("record the messages"))

    async def _record(self, exporter: Exporter, recorder: LiveRecorder) -> None:
        writing = asyncio.ensure_future(exporter.run(recorder.messages()))
        try:
            progress = await asyncio.shield(writing)
        except asyncio.CancelledError:  # the window closes: what passed by until now is kept
            recorder.end()
            await writing
            raise
        except FileProblem as problem:
            self.context.notify(str(problem), "bad")
        else:
            count = tr_count(
                "{count} message",
                "{count} messages",
                progress.messages,
                count=figures.integer(progress.messages),
            )
            self.context.notify(
                tr("Recorded {messages} to {path}.", messages=count, path=exporter.path), "good"
            )
        finally:
            # Not another one, begun while the file of this one was being finished.
            if isValid(self) and self.recording is not None and self.recording[1] is recorder:
                self.stop_recording()

    def stop_recording(self) -> None:
        """Write what waits and close the file."""
        if self.recording is not None:
            self.recording[1].end()
            self.recording = None
        if self.capture is not None:
            self.capture.recorder = None
        self.record_button.setChecked(False)
        self.record_button.setText(tr("Record"))
        self._show_chips()

    def make_station(self) -> None:
        """Ask for a station that stores what the patterns match."""
        if self.capture is not None and self.capture.patterns:
            template = {**NEW_STREAM, "subjects": list(self.capture.patterns)}
            actions = StationActions(self.context, self)
            self.context.run(actions.create_station(template), tr("create the station"))

    # Doing --------------------------------------------------------------------------------------

    def publish(self) -> None:
        """Open the composer."""
        from memphis_desktop.ui.screens.composer import open_composer

        open_composer(self.context, self.window())

    def request(self) -> None:
        """Open the composer for a request, to the subject of the message with the cursor."""
        from memphis_desktop.ui.screens.composer import open_composer

        message = self.pair.request
        subject = message.subject if message is not None else ""
        open_composer(self.context, self.window(), draft=Draft(subject), request=True)

    def answer(self) -> ResponderDialog:
        """Open what answers requests, on the subject of the message with the cursor."""
        message = self.detail.message
        dialog = ResponderDialog(self.window(), self.context, message.subject if message is not None else "")
        dialog.show()
        return dialog

    def edit(self) -> None:
        """Open the composer with the message."""
        from memphis_desktop.ui.screens.composer import open_composer

        if self.detail.message is not None:
            open_composer(self.context, self.window(), message=self.detail.message)

    def copy(self) -> None:
        """Copy the message as JSON."""
        from PySide6.QtGui import QGuiApplication

        from memphis_desktop.inspect.snippets import as_json

        if self.detail.message is not None:
            QGuiApplication.clipboard().setText(
                as_json(self.detail.message, current_decoders().decode(self.detail.message))
            )
            self.context.notify(tr("Copied the message as JSON."), "good")

    def focus_start(self) -> bool:
        """Into the pattern: nothing is heard before there is one."""
        self.pattern_field.setFocus()
        return True

    def focus_filter(self) -> None:
        """Into the pattern field."""
        self.pattern_field.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.pattern_field.selectAll()

    def commands(self) -> list[Command]:
        """Listening and publishing."""
        return [
            Command(tr("Listen to a subject"), keymap.key("live.listen"), self.focus_filter, "broadcast"),
            Command(
                tr("Hold or follow the list"), keymap.key("live.hold"), self.pause_button.toggle, "pause"
            ),
            Command(tr("Clear the list"), keymap.key("live.clear"), self.clear),
            Command(tr("Keep in a station"), "", self.make_station, "stack", name="keep_in_station"),
            Command(tr("Record to a file"), keymap.key("live.record"), self.record_button.click, "record"),
            Command(tr("Publish a message"), keymap.key("live.publish"), self.publish, "paper-plane-tilt"),
            Command(tr("Send a request"), keymap.key("live.request"), self.request, "chat-circle-dots"),
            Command(
                tr("Fold replies into requests"),
                keymap.key("live.fold"),
                self.fold_check.toggle,
                "arrows-in-line-horizontal",
            ),
            Command(tr("Answer requests"), "", self.answer, "arrow-bend-up-left", name="answer_requests"),
            Command(tr("Edit and publish"), keymap.key("live.edit"), self.edit, "pencil-simple"),
        ]

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Shortcuts also where no shell binds them."""
        pressed = QKeySequence(event.keyCombination())
        for command in self.keyed_commands():
            if command.shortcut and QKeySequence(command.shortcut) == pressed:
                command.callback()
                return
        super().keyPressEvent(event)


def _closer(connection: ReadConnection) -> Any:
    """Return what closes the connection once the screen is gone."""
    return lambda *_: finish_soon(connection.close)
