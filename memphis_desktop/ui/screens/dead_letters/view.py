"""Dead letters of a connection, or of one station: groups, failures over time, the list, and one letter."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QSize, QTimer, Signal
from PySide6.QtWidgets import (
    QHBoxLayout,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from memphis_desktop.cluster.dead_letters.capture import CaptureStatus
from memphis_desktop.cluster.dead_letters.engine import DeadLetterView
from memphis_desktop.cluster.dead_letters.letters import (
    DeadLetter,
    LetterKey,
    LetterKind,
    group_letters,
)
from memphis_desktop.cluster.model import ClusterSnapshot
from memphis_desktop.language import tr
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.split_view import SplitView
from memphis_desktop.ui.components.time_range import TimeRange
from memphis_desktop.ui.screen import Command, ScreenContext
from memphis_desktop.ui.screens.dead_letters import letter_commands
from memphis_desktop.ui.screens.dead_letters.actions import PATTERNS_KEY, LetterActions
from memphis_desktop.ui.screens.dead_letters.delayed import waiting_sentence
from memphis_desktop.ui.screens.dead_letters.failure_graph import FailureGraph
from memphis_desktop.ui.screens.dead_letters.letter_filter import LetterFilter
from memphis_desktop.ui.screens.dead_letters.letter_pane import LetterPane
from memphis_desktop.ui.screens.dead_letters.states import banner_for, empty_state
from memphis_desktop.ui.screens.dead_letters.table import ALL, every_letter, groups_table, letters_table
from memphis_desktop.ui.screens.station_parts import panel
from memphis_desktop.ui.shell import first_steps
from memphis_desktop.ui.theme.icons import beside_text, icon

_COALESCE_MS = 150
_COALESCE_MANY_MS = 1000
_MANY = 1_000  # from so many letters on, groups are made in a thread
_UPPER_HEIGHT = 184
_KINDS = {
    LetterKind.MAX_DELIVERIES: (tr("Delivery limit"), "bad"),
    LetterKind.TERMINATED: (tr("Terminated"), "warning"),
    LetterKind.STATION: (tr("Dead-letter stations"), "information"),
}
_MEMPHIS_KINDS = {
    LetterKind.UNACKED: (tr("Unacknowledged"), "bad"),
    LetterKind.SCHEMA: (tr("Schema violation"), "warning"),
    LetterKind.STATION: (tr("Dead-letter stations"), "information"),
}


class DeadLettersView(QWidget):
    """See the module. Whoever embeds it calls `activated`, `deactivated` and `show_snapshot`.

    Args:
        context: Of the screen.
        station: Only its letters; empty for all.
        time_range: Shared with the page; its own when absent.
    """

    key_place = "dead_letters"

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
        self._group = ALL
        self._wanted: LetterKey | None = None
        self._newest_wanted = False
        self._pane: LetterPane | None = None
        self._told: set[str] = set()  # resends that ended
        self._release: Callable[[], None] | None = None
        self._unsubscribe: Callable[[], None] | None = None
        self._unsubscribe_later: Callable[[], None] | None = None
        self._grouping = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_COALESCE_MS)
        self._timer.timeout.connect(self._show)
        self._clock = QTimer(self)
        self._clock.setInterval(1000)
        self._clock.timeout.connect(self._show_waiting)
        self._build()
        self.table.set_state("loading")

    # Building ---------------------------------------------------------------------------------

    def _build(self) -> None:
        self.banner = Banner("information", "")
        self.banner.hide()
        self.waiting = Banner("information", "")
        self.waiting.hide()
        self.groups = groups_table(self.context.zone)
        self.groups.current_changed.connect(self._group_chosen)
        self.graph = FailureGraph(self.context, self.time_range)
        upper = QWidget()
        upper.setFixedHeight(_UPPER_HEIGHT)
        beside = QHBoxLayout(upper)
        beside.setContentsMargins(0, 0, 0, 0)
        beside.setSpacing(theme.SPACE_3)
        beside.addWidget(panel(self.groups), 11)
        beside.addWidget(self.graph, 9)
        self.filter = LetterFilter()
        self.filter.text_changed.connect(self._filter_changed)
        self.filter.chips_changed.connect(lambda _: self._narrow())
        self.resend_button = self._button(
            tr("Resend"), "arrow-bend-up-right", tr("Publish the selected  ( R )")
        )
        self.resend_button.clicked.connect(self.resend)
        self.drop_button = self._button(tr("Drop"), "trash", tr("Take the selected off the list  ( Del )"))
        self.drop_button.clicked.connect(self.drop)
        self.export_button = QToolButton()
        self.export_button.setIcon(icon("export", "muted"))
        self.export_button.setIconSize(QSize(16, 16))
        self.export_button.setToolTip(tr("Export the selected to a file  ( Ctrl+Shift+E )"))
        self.export_button.setAccessibleName(tr("Export to a file"))
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
        self._beside = QWidget()  # holds the pane, once a letter is looked at
        QVBoxLayout(self._beside).setContentsMargins(0, 0, 0, 0)
        self.split = SplitView(panel(self.table), self._beside, "dead_letters", share=0.38)
        self.split.set_preview_visible(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE_3)
        layout.addWidget(self.banner)
        layout.addWidget(self.waiting)
        layout.addWidget(upper)
        layout.addWidget(self.filter)
        layout.addWidget(self.split, 1)

    def _button(self, title: str, icon_name: str, tooltip: str) -> QPushButton:
        button = QPushButton(title)
        beside_text(button, icon(icon_name))
        refusal = self.doing.refusal
        button.setToolTip(refusal or tooltip)
        button.setEnabled(not refusal)
        return button

    # Life -------------------------------------------------------------------------------------

    def activated(self) -> None:
        """In view: read."""
        if self._release is None:
            self._release = self.book.use()
            self._unsubscribe = self.book.subscribe(lambda _: self._show_soon())
            self._unsubscribe_later = self.context.session.later.subscribe(self._show_waiting)
        self._show_waiting()
        self._show()

    def deactivated(self) -> None:
        """Out of view: read no more."""
        self._timer.stop()
        if self._release is not None:
            self._release()
            self._release = None
        self._clock.stop()
        for unsubscribe in (self._unsubscribe, self._unsubscribe_later):
            if unsubscribe is not None:
                unsubscribe()
        self._unsubscribe = self._unsubscribe_later = None

    def show_snapshot(self, snapshot: ClusterSnapshot) -> None:
        """The end of the graph moves; capture may have begun or ended."""
        self._show_banner(self.book.status, snapshot)
        if self.time_range.following:
            self.graph.draw()

    def set_station(self, station: str) -> None:
        """Show the letters of another station."""
        if station != self.station:
            self.station = station
            self._show()

    @property
    def _kinds(self) -> dict[LetterKind, tuple[str, str]]:
        """The kinds of letters there can be here."""
        return _KINDS if self.book.source is None else _MEMPHIS_KINDS

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
        self.table.set_rows(self._letters)
        self.filter.show_kinds(self._kinds)
        self._show_state(view)
        self._show_banner(view.status, self.context.session.snapshot)
        self._count()
        self.graph.show_letters(self._letters, self._kinds)
        if len(self._letters) < _MANY:
            self._show_groups(group_letters(self._letters))
        elif not self._grouping:
            self._grouping = True
            self.context.run(self._group_beside(), tr("group the dead letters"))
        if self._wanted is not None and self.select_letter(self._wanted):
            self._wanted = None
        if self._newest_wanted and self._letters:
            self._newest_wanted = not self.table.select_key(self._letters[0].key)
        self._show_in_pane(self.table.current_row())
        self._enable()

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
            self.groups.set_state("empty", tr("Letters that failed alike stand here together."), icon="tray")

    def _show_state(self, view: DeadLetterView) -> None:
        if self._letters:
            self.table.set_state("ready")
        else:
            self.table.set_state(*empty_state(self.context, self.doing, view, self.station))

    def _show_banner(self, status: CaptureStatus, snapshot: ClusterSnapshot) -> None:
        self.status_changed.emit(status if self.book.source is None else None)
        kind, text, action = banner_for(self.context, self.doing, status, snapshot, bool(self._letters))
        if text != self.banner.text() or self.banner.isHidden() == bool(text):
            self.banner.set_content(kind, text, action)
            self.banner.setVisible(bool(text))

    def _show_waiting(self) -> None:
        later = self.context.session.later
        text, kind = waiting_sentence(self.context.session)
        ended = [order for order in later.orders if not order.open and order.id not in self._told]
        for order in ended:
            self._told.add(order.id)
            if order.sent:
                first_steps.reach(first_steps.RESEND)
        self.waiting.set_content(kind, text, (tr("Show"), self.doing.show_waiting) if text else None)
        self.waiting.setVisible(bool(text))
        if text and not self._clock.isActive():
            self._clock.start()
        elif not text:
            self._clock.stop()

    def _enable(self) -> None:
        """Buttons answer when there is something they could be about."""
        some, refused = bool(self.selected()), bool(self.doing.refusal)
        for button in (self.resend_button, self.drop_button):
            button.setEnabled(some and not refused)
        self.export_button.setEnabled(some)

    def _count(self) -> None:
        shown, selected = self.table.model.rowCount(), len(self.table.selected_rows())
        self.filter.show_counts(len(self._letters), shown, self.book.view.dropped, selected)

    @property
    def pane(self) -> LetterPane:
        """One letter in full; made when the first is looked at, for it is a third of the page's cost."""
        if self._pane is None:
            self._pane = LetterPane(self.context, self.doing, self._beside)
            self._pane.edit_requested.connect(self.edit_and_resend)
            self._pane.closed.connect(self.toggle_detail)
            self._pane.letter_requested.connect(self.select_letter)
            layout = self._beside.layout()
            assert layout is not None  # it was made with one
            layout.addWidget(self._pane)
        return self._pane

    def _show_in_pane(self, letter: DeadLetter | None) -> None:
        if letter is not None or self._pane is not None:
            self.pane.show_letter(letter)

    # Narrowing --------------------------------------------------------------------------------

    def _filter_changed(self, text: str) -> None:
        self.table.set_filter(text)
        self._count()

    def _group_chosen(self, group: Any) -> None:
        self._group = group.key if group is not None else ALL
        self._narrow()

    def _narrow(self) -> None:
        self.table.set_predicate(self.filter.predicate(self._group))
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
        self._enable()
        if letter is not None and not self.split.preview_visible():
            self.split.set_preview_visible(True)
        self._show_in_pane(letter)

    def show_detail(self) -> None:
        """Open the pane."""
        self.pane.show_letter(self.table.current_row())
        self.split.set_preview_visible(True)

    def toggle_detail(self) -> None:
        """Open or close the pane."""
        self.pane.show_letter(self.table.current_row())
        self.split.set_preview_visible(not self.split.preview_visible())
        if not self.split.preview_visible():
            self.table.setFocus()

    def show_journey(self) -> None:
        """Open the pane at the journey; again goes back to the message."""
        if self.split.preview_visible() and self.pane.journey_shown():
            self.pane.show_journey(False)
        else:
            self.show_detail()
            self.pane.show_journey(True)

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
        self._enable()
        self.commands_changed.emit()

    def resend(self) -> None:
        """Send the selected again, after asking how."""
        self.doing.resend(self.selected())

    def edit_and_resend(self) -> None:
        """Open the composer with the letter's message, marked as a copy."""
        self.doing.edit_and_resend(self.table.current_row(), self.pane.message)

    def write_note(self) -> None:
        """Write about the selected."""
        self.doing.write_note(self.selected())

    def drop(self) -> None:
        """Drop the selected, after asking."""
        self.doing.drop(self.selected())

    def export(self) -> None:
        """Write the selected to a file."""
        self.doing.export(self.selected())

    def row_commands(self) -> list[Command]:
        """What can be done with the selection."""
        return letter_commands.row_commands(self)

    def commands(self) -> list[Command]:
        """For the palette, the keys and the sheet."""
        return letter_commands.commands(self)
