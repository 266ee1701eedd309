"""Dead letters of a connection, or of one station: groups, failures over time, the list, and one letter."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QSize, QTimer, Signal
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QPushButton,
    QTabWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from memphis_desktop.cluster.dead_letters.capture import (
    CaptureStatus,
    taken_subjects,
)
from memphis_desktop.cluster.dead_letters.engine import DeadLetterView
from memphis_desktop.cluster.dead_letters.journey import journey
from memphis_desktop.cluster.dead_letters.letters import (
    DeadLetter,
    LetterKey,
    LetterKind,
    Presence,
    group_key,
    group_letters,
)
from memphis_desktop.cluster.model import ClusterSnapshot
from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.filter_bar import FilterBar
from memphis_desktop.ui.components.graph import Series, TimeSeriesGraph
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.split_view import SplitView
from memphis_desktop.ui.components.time_range import TimeRange
from memphis_desktop.ui.screen import Command, Route, ScreenContext
from memphis_desktop.ui.screens.dead_letters.actions import PATTERNS_KEY, LetterActions
from memphis_desktop.ui.screens.dead_letters.journey_view import JourneyView
from memphis_desktop.ui.screens.dead_letters.table import ALL, every_letter, groups_table, letters_table
from memphis_desktop.ui.screens.messages.detail import MessageDetail
from memphis_desktop.ui.screens.station_parts import consumer_route, panel
from memphis_desktop.ui.theme.icons import icon

_COALESCE_MS = 150
_COALESCE_MANY_MS = 1000
_MANY = 1_000  # from so many letters on, groups are made in a thread
_BUCKETS = 60
_SERVICE_AWAY = (
    "No stations service answers: what fails now waits in the stream $memphis_events until one is back, and "
    "nothing can be resent or dropped meanwhile. Run `memphis-desktop stations --connect URL`."
)
_UPPER_HEIGHT = 184
_NO_TIMES: NDArray[np.float64] = np.empty(0)
_KINDS = {
    LetterKind.MAX_DELIVERIES: ("Delivery limit", "bad"),
    LetterKind.TERMINATED: ("Terminated", "warning"),
    LetterKind.STATION: ("Dead-letter stations", "information"),
}
_MEMPHIS_KINDS = {
    LetterKind.UNACKED: ("Unacknowledged", "bad"),
    LetterKind.SCHEMA: ("Schema violation", "warning"),
    LetterKind.STATION: ("Dead-letter stations", "information"),
}


class DeadLettersView(QWidget):
    """See the module. Whoever embeds it calls `activated`, `deactivated` and `show_snapshot`.

    Args:
        context: Of the screen.
        station: Only its letters; empty for all.
        time_range: Shared with the page; its own when absent.
    """

    commands_changed = Signal()
    status_changed = Signal(object)  # the CaptureStatus; None when Memphis keeps the letters

    def __init__(
        self,
        context: ScreenContext,
        station: str = "",
        time_range: TimeRange | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.context = context
        self.station = station
        self.book = context.session.dead_letters
        self.doing = LetterActions(context, self)
        saved = context.settings.get(PATTERNS_KEY)
        if isinstance(saved, list):
            self.book.set_patterns(map(str, saved))
        self.time_range = time_range or TimeRange(3600.0, self)
        self._letters: list[DeadLetter] = []
        self._times: dict[LetterKind, NDArray[np.float64]] = {}
        self._group = ALL
        self._wanted: LetterKey | None = None
        self._newest_wanted = False
        self._release: Callable[[], None] | None = None
        self._unsubscribe: Callable[[], None] | None = None
        self._message: InspectedMessage | None = None
        self._shown: LetterKey | None = None
        self._grouping = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_COALESCE_MS)
        self._timer.timeout.connect(self._show)
        self._build()
        self.table.set_state("loading")

    # Building ---------------------------------------------------------------------------------

    def _build(self) -> None:
        self.banner = Banner("information", "")
        self.banner.hide()
        self.groups = groups_table(self.context.zone)
        self.groups.current_changed.connect(self._group_chosen)
        self.graph = TimeSeriesGraph("Failures", "a minute", self.time_range, zone=self.context.zone)
        self.time_range.changed.connect(self._draw)
        upper = QWidget()
        upper.setFixedHeight(_UPPER_HEIGHT)
        beside = QHBoxLayout(upper)
        beside.setContentsMargins(0, 0, 0, 0)
        beside.setSpacing(theme.SPACE_3)
        beside.addWidget(panel(self.groups), 11)
        beside.addWidget(self.graph, 9)
        self.filter = FilterBar("Filter")
        for kind, (title, _) in {**_KINDS, **_MEMPHIS_KINDS}.items():
            self.filter.add_chip(kind.name, title, f"Only these: {kind.value}")
        self.filter.add_chip("there", "In station", "Only those whose message is still to be had")
        self.filter.text_changed.connect(self._filter_changed)
        self.filter.chips_changed.connect(lambda _: self._narrow())
        self.resend_button = self._button("Resend", "arrow-bend-up-right", "Publish the selected  ( R )")
        self.resend_button.clicked.connect(self.resend)
        self.drop_button = self._button("Drop", "trash", "Take the selected off the list  ( Del )")
        self.drop_button.clicked.connect(self.drop)
        self.export_button = QToolButton()
        self.export_button.setIcon(icon("export", "muted"))
        self.export_button.setIconSize(QSize(16, 16))
        self.export_button.setToolTip("Export the selected to a file  ( Ctrl+Shift+E )")
        self.export_button.setAccessibleName("Export to a file")
        self.export_button.clicked.connect(self.export)
        for button in (self.resend_button, self.drop_button, self.export_button):
            self.filter.add_widget(button)
        self.table = letters_table(
            "station_dead_letters" if self.station else "dead_letters",
            self.context.zone,
            lambda _: self.row_commands(),
            with_station=not self.station,
        )
        self.filter.left.connect(self.table.setFocus)
        self.table.current_changed.connect(self._letter_chosen)
        self.table.selection_changed.connect(lambda _: self._selection_changed())
        self.table.row_activated.connect(lambda _: self.show_detail())
        self.table.preview_requested.connect(lambda _: self.toggle_detail())
        self._build_detail()
        self.split = SplitView(panel(self.table), self.pane, "dead_letters", share=0.38)
        self.split.set_preview_visible(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE_3)
        layout.addWidget(self.banner)
        layout.addWidget(upper)
        layout.addWidget(self.filter)
        layout.addWidget(self.split, 1)

    def _button(self, title: str, icon_name: str, tooltip: str) -> QPushButton:
        button = QPushButton(title)
        button.setIcon(icon(icon_name))
        button.setIconSize(QSize(16, 16))
        refusal = self.doing.refusal
        button.setToolTip(refusal or tooltip)
        button.setEnabled(not refusal)
        return button

    def _build_detail(self) -> None:
        self.facts = PlainLabel("", "muted", wrap=True)
        self.facts.setContentsMargins(theme.SPACE_3, theme.SPACE_2, theme.SPACE_3, theme.SPACE_2)
        self.gone = Banner("warning", "")
        self.gone.hide()
        self.detail = MessageDetail(self.context)
        self.detail.hide_station_actions()
        self.detail.edit_requested.connect(self.edit_and_resend)
        self.detail.copy_requested.connect(lambda: self.doing.copy_payload(self._message))
        self.detail.save_requested.connect(lambda: self.doing.save_payload(self._message))
        self.detail.closed.connect(self.toggle_detail)
        self.journey = JourneyView()
        self.journey.zone = self.context.zone
        self.journey.letter_requested.connect(self.select_letter)
        message_page = QWidget()
        page = QVBoxLayout(message_page)
        page.setContentsMargins(0, 0, 0, 0)
        page.setSpacing(0)
        page.addWidget(self.gone)
        page.addWidget(self.detail, 1)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.addTab(message_page, "Message")
        self.tabs.addTab(self.journey, "Journey")
        self.pane = QFrame()
        self.pane.setProperty("panel", "surface")
        layout = QVBoxLayout(self.pane)
        layout.setContentsMargins(1, 1, 1, 1)
        layout.setSpacing(0)
        layout.addWidget(self.facts)
        layout.addWidget(self.tabs, 1)
        self.pane.setMinimumWidth(320)

    # Life -------------------------------------------------------------------------------------

    def activated(self) -> None:
        """In view: read."""
        if self._release is None:
            self._release = self.book.use()
            self._unsubscribe = self.book.subscribe(lambda _: self._show_soon())
        self._show()

    def deactivated(self) -> None:
        """Out of view: read no more."""
        self._timer.stop()
        if self._release is not None:
            self._release()
            self._release = None
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None

    def show_snapshot(self, snapshot: ClusterSnapshot) -> None:
        """The end of the graph moves; capture may have begun or ended."""
        self._show_banner(self.book.status, snapshot)
        if self.time_range.following:
            self._draw()

    def set_station(self, station: str) -> None:
        """Show the letters of another station."""
        if station != self.station:
            self.station = station
            self._show()

    def set_zone(self) -> None:
        """Times in another zone."""
        for table in (self.table, self.groups):
            table.set_zone(self.context.zone)
        self.graph.set_zone(self.context.zone)
        self.journey.zone = self.context.zone

    @property
    def _kinds(self) -> dict[LetterKind, tuple[str, str]]:
        """The kinds of letters there can be here."""
        return _KINDS if self.book.source is None else _MEMPHIS_KINDS

    def _show_chips(self) -> None:
        for kind in LetterKind:
            self.filter.show_chip(kind.name, kind in self._kinds)

    # Showing ----------------------------------------------------------------------------------

    def _show_soon(self) -> None:
        if not self._timer.isActive():
            # A long list is compared with what is shown less often.
            self._timer.start(_COALESCE_MS if len(self._letters) < _MANY else _COALESCE_MANY_MS)

    def _show(self) -> None:
        view = self.book.view
        self._letters = [
            letter
            for letter in view.letters
            if not self.station or self.station in (letter.station, letter.stream)
        ]
        self._times = {
            kind: np.array([one.failed_ns for one in self._letters if one.kind is kind], dtype=np.float64)
            for kind in self._kinds
        }
        self.table.set_rows(self._letters)
        self._show_chips()
        self._show_state(view)
        self._show_banner(view.status, self.context.session.snapshot)
        self._count()
        self._draw()
        if len(self._letters) < _MANY:
            self._show_groups(group_letters(self._letters))
        elif not self._grouping:
            self._grouping = True
            self.context.run(self._group_beside(), "group the dead letters")
        if self._wanted is not None and self.select_letter(self._wanted):
            self._wanted = None
        if self._newest_wanted and self._letters:
            self._newest_wanted = not self.table.select_key(self._letters[0].key)
        self._show_letter()

    async def _group_beside(self) -> None:
        try:
            self._show_groups(await asyncio.to_thread(group_letters, list(self._letters)))
        finally:
            self._grouping = False

    def _show_groups(self, groups: list[Any]) -> None:
        rows = [every_letter(self._letters), *groups] if groups else []
        self.groups.set_rows(rows)
        if rows:
            self.groups.set_state("ready")
            if self.groups.current_row() is None:
                self._group = ALL
                self.groups.select_key(ALL)
        else:
            self.groups.set_state("empty", "Letters that failed alike stand here together.", icon="tray")

    def _show_state(self, view: DeadLetterView) -> None:
        if self._letters:
            self.table.set_state("ready")
        elif view.problem:
            text = f"The dead letters cannot be read: {view.problem}"
            self.table.set_state("error", text, ("Try again", self.book.refresh))
        elif view.loading or self._waits_for_memphis():
            self.table.set_state("loading")
        elif self.book.source is not None:
            where = f" in {self.station}" if self.station else ""
            text = f"No dead letters{where}. Memphis keeps those of every station, also of plain consumers."
            self.table.set_state("empty", text, icon="check-circle")
        elif view.status.active:
            since = f" Captured in {view.status.streams[0]} since {view.status.since[:16].replace('T', ' ')}."
            where = f" in {self.station}" if self.station else ""
            self.table.set_state("empty", f"No dead letters{where}.{since}", icon="check-circle")
        else:
            text = "No message failed since this connection was opened. What failed before is not known."
            action = None if self.doing.refusal else ("Start capturing", self.doing.start_capture)
            self.table.set_state("empty", text, action, "warning-octagon")

    def _waits_for_memphis(self) -> bool:
        memphis = self.context.memphis
        return self.book.source is not None and not memphis.view.complete and not memphis.view.problem

    def _show_banner(self, status: CaptureStatus, snapshot: ClusterSnapshot) -> None:
        self.status_changed.emit(status if self.book.source is None else None)
        kind, text, action = self._banner_for(status, snapshot)
        if text != self.banner.text() or self.banner.isHidden() == bool(text):
            self.banner.set_content(kind, text, action)
            self.banner.setVisible(bool(text))

    def _banner_for(self, status: CaptureStatus, snapshot: ClusterSnapshot) -> tuple[str, str, Any]:
        advisories = snapshot.errors.get("advisories", "")
        permissions = snapshot.errors.get("permissions", "")
        if "$js.event.advisory" in permissions.lower():
            advisories = permissions
        if advisories:
            return "warning", f"This login hears no advisories, so failures are not seen: {advisories}", None
        if self.book.view.problem and self._letters:
            return "warning", f"Not up to date: {self.book.view.problem}", ("Try again", self.book.refresh)
        if self.book.source is not None:
            if self.context.memphis.view.problem:
                return "warning", self.context.memphis.view.problem, None
            if self.context.memphis.view.service is False:
                return "warning", _SERVICE_AWAY, None
            return "information", "", None
        if not status.known or status.complete:
            return "information", "", None
        taken = taken_subjects(snapshot)
        if taken and status.terminated_stream is not None:
            names = ", ".join(sorted(set(taken.values())))
            text = f"{names} takes advisories about the delivery limit as a queue: they are not kept here. "
            return "information", text + "Those heard while this window is open are listed.", None
        action = None if self.doing.refusal else ("Start capturing", self.doing.start_capture)
        text = (
            "The server keeps no record of dead letters: only what fails while this connection is open is "
            "listed, and forgotten with it. Capture them in a small stream to keep them."
        )
        return "information", text + (f" {self.doing.refusal}" if self.doing.refusal else ""), action

    def _count(self) -> None:
        total, shown = len(self._letters), self.table.model.rowCount()
        text = figures.count_noun(total, "dead letter")
        if shown < total:
            text = f"{figures.integer(shown)} of {text}"
        if self.book.view.dropped:
            text += f", {figures.integer(self.book.view.dropped)} older"
        selected = len(self.table.selected_rows())
        if selected > 1:
            text += f", {figures.integer(selected)} selected"
        self.filter.set_count(text if total else "")

    def _draw(self) -> None:
        start, end = self.time_range.bounds()
        width = max(1.0, (end - start) / _BUCKETS)
        first = np.floor(start / width) * width
        edges = np.arange(first, end + width, width)
        series = []
        for kind, (title, token) in self._kinds.items():
            times = self._times.get(kind, _NO_TIMES)
            if not len(times) and kind not in (LetterKind.MAX_DELIVERIES, LetterKind.UNACKED):
                continue
            counts, _ = np.histogram(times / 1e9, edges)
            middles = (edges[:-1] + edges[1:]) / 2
            series.append(
                Series(title, middles, counts * (60.0 / width), fill=True, token=token, gaps_marked=True)
            )
        self.graph.set_series(series)

    # Narrowing --------------------------------------------------------------------------------

    def _filter_changed(self, text: str) -> None:
        self.table.set_filter(text)
        self._count()

    def _group_chosen(self, group: Any) -> None:
        self._group = group.key if group is not None else ALL
        self._narrow()

    def _narrow(self) -> None:
        chips = self.filter.chips()
        kinds = {kind for kind in LetterKind if kind.name in chips}
        group = self._group

        def passes(letter: DeadLetter) -> bool:
            if kinds and letter.kind not in kinds:
                return False
            if "there" in chips and letter.original.presence is Presence.GONE:
                return False
            return group == ALL or group_key(letter) == group

        self.table.set_predicate(passes if chips or group != ALL else None)
        self._count()

    def show_group(self, key: tuple[str, str, str]) -> None:
        """Narrow the list to a group."""
        self.groups.select_key(key)

    def focus_filter(self) -> None:
        """Into the filter."""
        self.filter.focus()

    # One letter -------------------------------------------------------------------------------

    def select_newest(self) -> None:
        """Put the cursor on the letter that failed last, as soon as there is one."""
        self._newest_wanted = True
        self._show()

    def narrow_to(self, words: str) -> None:
        """Write words into the filter."""
        self.filter.field.setText(words)

    def select_letter(self, key: LetterKey) -> bool:
        """Put the cursor on a letter; when it is not known yet, as soon as it is."""
        if self.table.select_key(key):
            return True
        self.groups.select_key(ALL)
        if self.table.select_key(key):
            return True
        self._wanted = key
        return False

    def _letter_chosen(self, letter: DeadLetter | None) -> None:
        if letter is not None and not self.split.preview_visible():
            self.split.set_preview_visible(True)
        self._show_letter()

    def _show_letter(self) -> None:
        letter: DeadLetter | None = self.table.current_row()
        if letter is None:
            if self._shown is not None:
                self._shown = self._message = None
                self.detail.show_message(None)
                self.journey.show_steps([])
                self.facts.setText("Select a dead letter.")
                self.gone.hide()
            return
        self.facts.setText(facts_sentence(letter))
        if letter.key == self._shown:
            self._show_journey(letter)
            return
        self._shown = letter.key
        self._message = None
        self.context.run(self._read_letter(letter), "read the message")

    async def _read_letter(self, letter: DeadLetter) -> None:
        try:
            message = await self.book.message_of(letter)
        except ReadError as error:
            if letter.key == self._shown:
                self._show_gone("bad", f"The message cannot be read: {error}.")
                self.detail.show_message(None)
                self._show_journey(letter)
            return
        if letter.key != self._shown:
            return
        self._message = message
        self.detail.show_message(message)
        if message is None:
            current = self.table.current_row()
            why = (current or letter).original.why_gone or "It is not in the station any more"
            self._show_gone("warning", f"{why}. What is known of the failure stays.")
        else:
            self.gone.hide()
        self._show_journey(letter)

    def _show_gone(self, kind: str, text: str) -> None:
        self.gone.set_content(kind, text)
        self.gone.show()

    def _show_journey(self, letter: DeadLetter) -> None:
        snapshot = self.context.session.snapshot
        if letter.external and self.book.source is not None:
            self.journey.show_steps(self.book.source.journey(letter))
            return
        self.journey.show_steps(journey(letter, self._message, snapshot, self._related(letter)))

    def _related(self, letter: DeadLetter) -> list[DeadLetter]:
        """Letters of the same message, and of the copies of it."""
        wanted = {(letter.stream, letter.sequence), *((copy.stream, copy.sequence) for copy in letter.resent)}
        return [one for one in self.book.view.letters if (one.stream, one.sequence) in wanted]

    def show_detail(self) -> None:
        """Open the pane."""
        self.split.set_preview_visible(True)

    def toggle_detail(self) -> None:
        """Open or close the pane."""
        self.split.set_preview_visible(not self.split.preview_visible())
        if not self.split.preview_visible():
            self.table.setFocus()

    def show_journey(self) -> None:
        """Open the pane at the journey; again goes back to the message."""
        if self.split.preview_visible() and self.tabs.currentIndex() == 1:
            self.tabs.setCurrentIndex(0)
        else:
            self.show_detail()
            self.tabs.setCurrentIndex(1)

    # Doing ------------------------------------------------------------------------------------

    def selected(self) -> list[DeadLetter]:
        """What is selected, or where the cursor is."""
        rows: list[DeadLetter] = self.table.selected_rows()
        current = self.table.current_row()
        return rows or ([current] if current is not None else [])

    def select_all(self) -> None:
        """Select every letter that matches the group, the chips and the filter."""
        self.table.view.setFocus()
        self.table.view.selectAll()

    def _selection_changed(self) -> None:
        self._count()
        self.commands_changed.emit()

    def resend(self) -> None:
        """Send the selected again, after asking how."""
        self.doing.resend(self.selected())

    def edit_and_resend(self) -> None:
        """Open the composer with the letter's message, marked as a copy."""
        self.doing.edit_and_resend(self.table.current_row(), self._message)

    def drop(self) -> None:
        """Drop the selected, after asking."""
        self.doing.drop(self.selected())

    def export(self) -> None:
        """Write the selected to a file."""
        self.doing.export(self.selected())

    def row_commands(self) -> list[Command]:
        """What can be done with the selection."""
        letters = self.selected()
        nothing = "" if letters else "Select a dead letter first."
        reason = nothing or self.doing.refusal
        one = letters[0] if len(letters) == 1 else None

        def command(
            title: str, keys: str, callback: Callable[[], object], name: str, why: str, danger: bool = False
        ) -> Command:
            return Command(title, keys, callback, name, not why, why, danger)

        made = [
            command("Resend", "R", self.resend, "arrow-bend-up-right", reason),
            command("Edit and resend", "E", self.edit_and_resend, "pencil-simple", reason),
            command("Journey", "J", self.show_journey, "path", nothing),
        ]
        if one is not None and one.sequence:
            sequence = str(one.sequence)
            made.append(
                Command(
                    "Show in the station",
                    "B",
                    lambda: self.context.navigate(_message_route(one.stream, sequence)),
                    "list-bullets",
                )
            )
            if one.consumer and (one.stream, one.consumer) in self.context.session.snapshot.consumers:
                made.append(
                    Command(
                        "Open the consumer",
                        "",
                        lambda: self.context.navigate(consumer_route(one.stream, one.consumer)),
                        "users-three",
                    )
                )
        made += [
            command("Export", "Ctrl+Shift+E", self.export, "export", nothing),
            command("Drop", "Del", self.drop, "trash", reason, True),
        ]
        return made

    def commands(self) -> list[Command]:
        """For the palette, the keys and the sheet."""
        return [
            Command("Select all that match", "A", self.select_all, "check-square"),
            *self.row_commands(),
            Command("Show or hide the message", "Space", self.toggle_detail, "columns"),
            Command("Choose the dead-letter stations", "", self.doing.edit_patterns, "funnel"),
            Command("Read again", "F5", self.book.refresh, "arrow-clockwise"),
        ]


def facts_sentence(letter: DeadLetter) -> str:
    """The facts of a failure, on a line or two."""
    number = f" #{figures.integer(letter.sequence)}" if letter.sequence else ""
    parts = [f"{letter.station}{number}"]
    if letter.consumer:
        parts.append(f"given up by {letter.consumer}")
    if letter.deliveries:
        parts.append(f"delivered {figures.integer(letter.deliveries)} ×")
    parts.append(figures.visible_text(letter.cause))
    parts.append(figures.relative_time(letter.failed_ns, time.time_ns()))
    if letter.resent:
        parts.append(f"resent {figures.integer(len(letter.resent))} ×")
    if letter.original.attempt:
        parts.append(f"itself attempt {figures.integer(letter.original.attempt)}")
    return "  ·  ".join(parts)


def _message_route(stream: str, sequence: str) -> Route:
    return Route("messages", {"stream": stream, "sequence": sequence})
