"""The keys of a bucket: branches, a list read page by page, and the chosen key beside it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import tzinfo

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QSplitter, QVBoxLayout, QWidget

from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.key_value.entry import Entry
from memphis_desktop.inspect.key_value.keys import KeyPager, KeyReader
from memphis_desktop.inspect.key_value.names import ANY_SEPARATOR
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.data_table import DataTable
from memphis_desktop.ui.components.filter_bar import FilterBar, FilterField
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.split_view import SplitView
from memphis_desktop.ui.screen import Command, ScreenContext
from memphis_desktop.ui.screens.decoders.store import notifier
from memphis_desktop.ui.screens.key_value.branch_tree import BranchTree
from memphis_desktop.ui.screens.key_value.key_pane import KeyPane
from memphis_desktop.ui.screens.key_value.key_table import KeyRow, key_columns
from memphis_desktop.ui.screens.station_parts import panel

PAGE = 200  # keys read at a time
MOST = 5_000  # shown at most; more are found by narrowing
AUTOMATIC_KEYS = 20_000  # in buckets of more, names are read again only on demand
AUTOMATIC_ROWS = 600  # of longer lists, too
REFRESH_SECONDS = 2.0
BESIDE = 640  # pixels of width from which the value stands beside the list
WITH_TREE = 800  # pixels of width from which the branches are shown
_SLICE_SECONDS = 0.004
_TYPING_MS = 200
_TELL_MS = 500
_SEPARATORS_SETTING = "key_value/separators"


class KeysView(QWidget):
    """Shows the keys of one bucket through the reader it is given."""

    commands_changed = Signal()
    narrowed = Signal()  # another branch, or another filter

    def __init__(
        self,
        context: ScreenContext,
        edit: Callable[[], None],
        restore: Callable[[Entry], None],
        row_commands: Callable[[list[KeyRow]], list[Command]],
        create: Callable[[], None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._context = context
        self._create = create
        self._keys: KeyReader | None = None
        self._refusal = ""
        self._pager: KeyPager | None = None
        self._rows: dict[str, KeyRow] = {}
        self._reading: asyncio.Task[None] | None = None
        self._read_at = float("-inf")
        self._wanted_key = ""
        self._active = False
        self._branches_due = False
        self.within = ""
        self._build(edit, restore, row_commands)
        self._connect()

    def _build(
        self,
        edit: Callable[[], None],
        restore: Callable[[Entry], None],
        row_commands: Callable[[list[KeyRow]], list[Command]],
    ) -> None:
        self.begin_field = FilterField(tr("Begins with"))
        self.begin_field.setProperty("role", "mono")
        self.begin_field.setToolTip(tr("Only keys that begin like this, narrowed at the server"))
        self.begin_field.setMinimumWidth(80)
        self.begin_field.setMaximumWidth(220)
        self.filter = FilterBar(tr("Filter keys"))
        self.filter.add_chip("values", tr("Hide deleted"), tr("Only keys that have a value"))
        self.separator_box = QComboBox()
        self.separator_box.setAccessibleName(tr("Separator of branches"))
        self.separator_box.setToolTip(tr("What parts a key into branches"))
        for title, separators in ((".", "."), ("/", "/"), (tr(". and /"), ANY_SEPARATOR)):
            self.separator_box.addItem(title, separators)
        chosen = self.separator_box.findData(self._context.settings.get(_SEPARATORS_SETTING))
        self.separator_box.setCurrentIndex(max(0, chosen))
        self.filter.add_widget(self.separator_box)
        self.branches = BranchTree(self._context)
        self.table = DataTable(key_columns(), lambda row: row.key, "keys", context_actions=row_commands)
        self.table.set_zone(self._context.zone)
        self.table.set_state("loading")
        self.count = PlainLabel("", "caption", elide=Qt.TextElideMode.ElideRight)
        self.more_button = QPushButton("")
        self.more_button.clicked.connect(self.read_more)
        self.more_button.hide()
        foot = QWidget()
        line = QHBoxLayout(foot)
        line.setContentsMargins(theme.SPACE_3, theme.SPACE_1, theme.SPACE_2, theme.SPACE_1)
        line.addWidget(self.count, 1)
        line.addWidget(self.more_button)
        self.pane = KeyPane(self._context, edit, restore, lambda: self.show_pane(False))
        self.pane.set_reader(lambda: self._keys)
        self.split = SplitView(panel(self.table, foot), panel(self.pane), "keys", share=0.37)
        outer = QSplitter(Qt.Orientation.Horizontal)
        outer.setChildrenCollapsible(False)
        outer.setHandleWidth(5)
        self._tree_panel = panel(self.branches)
        outer.addWidget(self._tree_panel)
        outer.addWidget(self.split)
        outer.setStretchFactor(1, 1)
        outer.setSizes([190, 1000])
        top = QHBoxLayout()
        top.setSpacing(theme.SPACE_2)
        top.addWidget(self.begin_field, 1)
        top.addWidget(self.filter, 4)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, theme.SPACE_3, 0, 0)
        layout.setSpacing(theme.SPACE_3)
        layout.addLayout(top)
        layout.addWidget(outer, 1)

    def _connect(self) -> None:
        self._typed = QTimer(self)
        self._typed.setSingleShot(True)
        self._typed.setInterval(_TYPING_MS)
        self._typed.timeout.connect(lambda: self.narrow(self.begin_field.text().strip()))
        self.begin_field.textChanged.connect(lambda _: self._typed.start())
        self.begin_field.left.connect(self.table.setFocus)
        self.filter.text_changed.connect(lambda _: self.read())
        self.filter.chips_changed.connect(self._choose)
        self.filter.left.connect(self.table.setFocus)
        self.separator_box.activated.connect(lambda _: self._separate())
        self.branches.chosen.connect(self.narrow)
        self.table.current_changed.connect(self._moved)
        self.table.selection_changed.connect(lambda _: self.commands_changed.emit())
        self.table.preview_requested.connect(lambda _: self.show_pane(not self.split.preview_visible()))
        self.table.row_activated.connect(lambda _: self.show_pane(True))
        self.table.view.verticalScrollBar().valueChanged.connect(self._scrolled)
        self._telling = QTimer(self)  # how far a long reading is
        self._telling.setInterval(_TELL_MS)
        self._telling.timeout.connect(self._tell)
        self._marks = QTimer(self)
        self._marks.setInterval(1000)
        self._marks.timeout.connect(self._unmark)
        notifier().masks_changed.connect(self.read)
        notifier().changed.connect(self.read)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Where there is little room, the branches give way, and then the value goes below the list."""
        super().resizeEvent(event)
        self._tree_panel.setVisible(self.width() >= WITH_TREE)
        beside = self.width() >= BESIDE
        orientation = Qt.Orientation.Horizontal if beside else Qt.Orientation.Vertical
        if self.split.orientation() != orientation:
            self.split.setOrientation(orientation)
            room = self.width() if beside else self.height()
            self.split.setSizes([room // 2, room // 2] if not beside else [room * 3 // 5, room * 2 // 5])

    def minimumSizeHint(self) -> QSize:
        """As narrow as the widest part alone."""
        hint = super().minimumSizeHint()
        parts = (self.split.main, self.split.preview, self.filter)
        begin = self.begin_field.minimumWidth() + theme.SPACE_2
        widest = max(part.minimumSizeHint().width() for part in parts)
        hint.setWidth(max(widest, self.filter.minimumSizeHint().width() + begin))
        return hint

    # Which bucket

    def set_reader(self, keys: KeyReader | None) -> None:
        """Read through this, or nothing any more."""
        self._keys = keys
        self.branches.set_reader(lambda: self._keys, self.separators)
        if keys is not None:
            self._branches_due = True  # after the list: each lets the server sort all names
            self.read()

    async def shut_down(self) -> None:
        """Let readings end."""
        self._keys = None
        await self._stop()
        await self.branches.shut_down()
        await self.pane.shut_down()

    def clear(self) -> None:
        """Another bucket comes: forget what was shown."""
        self._rows = {}
        self.within = ""
        self._wanted_key = ""
        for field in (self.begin_field, self.filter.field):
            field.blockSignals(True)
            field.clear()
            field.blockSignals(False)
        self.branches.clear()
        self.table.set_rows([])
        self.table.set_state("loading")
        self.pane.show_key("", "")
        self._count()

    def show_problem(self, text: str, again: Callable[[], object]) -> None:
        """Say why the bucket cannot be read."""
        self.table.set_state("error", text, (tr("Try again"), again), "key")

    def set_refusal(self, refusal: str) -> None:
        """Why nothing can be changed now; empty when it can."""
        if refusal != self._refusal:
            self._refusal = refusal
            self.pane.show_key(self.pane.key, refusal)

    @property
    def separators(self) -> str:
        """What parts keys into branches."""
        return str(self.separator_box.currentData())

    @property
    def text(self) -> str:
        """The words that keys have to hold."""
        return self.filter.text().strip()

    # Reading

    def activated(self) -> None:
        """In view."""
        self._active = True
        self.pane.read()

    def deactivated(self) -> None:
        """Out of view."""
        self._active = False

    def read(self) -> None:
        """Read the list anew, as many as are shown."""
        if self._keys is None:
            return
        self._read_at = time.monotonic()
        before = self._reading
        if before is not None:
            before.cancel()
        wanted = max(PAGE, min(len(self._rows), AUTOMATIC_ROWS))
        self._telling.start()
        self._reading = self._context.run(self._read(self._keys, wanted, before), tr("read the keys"))

    def read_again(self) -> None:
        """Read names and branches anew."""
        if self._keys is not None:
            self._branches_due = True
            self.read()
            self.pane.read()

    def changed_at_server(self, total: int, watched: bool) -> None:
        """Something was stored: read again where that is cheap, and not told by watching anyway."""
        few = total <= AUTOMATIC_KEYS and len(self._rows) <= AUTOMATIC_ROWS
        due = self._reading is None and time.monotonic() - self._read_at >= REFRESH_SECONDS
        if self._active and few and due and not watched:
            self.read_again()

    async def _stop(self) -> None:
        task, self._reading = self._reading, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        pager, self._pager = self._pager, None
        if pager is not None:
            await pager.close()

    async def _read(self, keys: KeyReader, wanted: int, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.gather(before, return_exceptions=True)
        old, self._pager = self._pager, None
        if old is not None:
            await old.close()
        pager = self._pager = KeyPager(keys, self.within, self.text)
        try:
            await keys.reader.refresh()
            rows = await self._page(keys, pager, wanted)
        except ReadError as error:
            self._rows = {}
            self.table.set_rows([])
            self.table.set_state("error", str(error), (tr("Try again"), self.read_again), "key")
            self._reading = None
            return
        marks = {key: row for key, row in self._rows.items() if row.change}
        self._rows = {
            key: marks[key] if key in marks and marks[key].revision == row.revision else row
            for key, row in rows.items()
        }
        self._show()
        self._reading = None
        if self._wanted_key:
            self.select(self._wanted_key)
        if self._branches_due:
            self._branches_due = False
            self.branches.read()

    async def _page(self, keys: KeyReader, pager: KeyPager, count: int) -> dict[str, KeyRow]:
        """Read the next keys with their values."""
        names = await pager.more(count)
        found: dict[str, KeyRow] = {}
        async for entries in keys.entries(names):
            began = time.perf_counter()
            for entry in entries:
                found[entry.key] = KeyRow.of(entry)
                if time.perf_counter() - began > _SLICE_SECONDS:
                    await asyncio.sleep(0)
                    began = time.perf_counter()
        return {name: found[name] for name in names if name in found}

    def read_more(self) -> None:
        """Read the next page below what is shown."""
        pager, keys = self._pager, self._keys
        if self._reading is None and pager is not None and keys is not None and self._has_more():
            self._reading = self._context.run(self._read_more(keys, pager), tr("read more keys"))

    async def _read_more(self, keys: KeyReader, pager: KeyPager) -> None:
        try:
            rows = await self._page(keys, pager, min(PAGE, MOST - len(self._rows)))
        except ReadError as error:
            self._context.notify(str(error), "bad")
            return
        finally:
            self._reading = None
        self._rows = {**self._rows, **rows}
        self._show()

    def _has_more(self) -> bool:
        return self._pager is not None and not self._pager.done and len(self._rows) < MOST

    def _scrolled(self, value: int) -> None:
        bar = self.table.view.verticalScrollBar()
        if bar.maximum() and value >= bar.maximum() - 10 and self._has_more():
            self.read_more()

    # Showing

    def _show(self) -> None:
        self.table.set_rows(self._rows)
        self._show_state()
        self._count()
        key = self.pane.key
        row = self._rows.get(key)
        entry = self.pane.entry
        if row is not None and (entry is None or entry.revision != row.revision):
            self.pane.show_key(key, self._refusal)

    def _show_state(self) -> None:
        if self.table.model.rowCount():
            self.table.set_state("ready")
        elif self._rows or self.text or self.within:
            text = tr("No key fits what is asked for.")
            self.table.set_state("empty", text, (tr("Show all"), self._show_all), "funnel")
        elif self._refusal:
            self.table.set_state("empty", tr("This bucket has no keys yet."), None, "key")
        else:
            self.table.set_state(
                "empty", tr("This bucket has no keys yet."), (tr("New key"), self._create), "key"
            )

    def _show_all(self) -> None:
        self.filter.set_chips(set())
        self.filter.field.clear()
        self.begin_field.clear()

    def _count(self) -> None:
        pager, shown = self._pager, len(self._rows)
        self.more_button.setVisible(self._has_more())
        self.more_button.setText(tr("Show {count} more", count=PAGE))
        if pager is None:
            self.count.setText("")
            return
        if pager.done:
            text = tr_count("{count} key", "{count} keys", shown, count=figures.integer(shown))
        elif self.text:
            text = tr(
                "{shown} found, {read} of {total} names looked at",
                shown=figures.integer(shown),
                read=figures.integer(pager.read),
                total=figures.integer(pager.total),
            )
        else:
            text = tr("The first {shown} keys", shown=figures.integer(shown))
        if shown >= MOST and not pager.done:
            text = tr("{text}. Narrow the list to see others.", text=text)
        self.count.setText(text)

    def _tell(self) -> None:
        pager = self._pager
        if self._reading is None or pager is None:
            self._telling.stop()
        elif pager.read:
            self.count.setText(
                tr(
                    "{shown} found, {read} of {total} names looked at",
                    shown=figures.integer(pager.found),
                    read=figures.integer(pager.read),
                    total=figures.integer(pager.total),
                )
            )

    def _choose(self, chips: set[str]) -> None:
        self.table.set_predicate((lambda row: row.is_value) if "values" in chips else None)
        self._show_state()

    def narrow(self, begin: str) -> None:
        """Show only keys that begin like this."""
        if begin == self.within:
            return
        self.within = begin
        if self.begin_field.text().strip() != begin:
            self.begin_field.blockSignals(True)
            self.begin_field.setText(begin)
            self.begin_field.blockSignals(False)
        self.branches.select(begin)
        self.narrowed.emit()
        self.table.view.scrollToTop()
        self._rows = {}
        self.read()

    def _separate(self) -> None:
        self._context.settings.set(_SEPARATORS_SETTING, self.separators)
        self.branches.set_reader(lambda: self._keys, self.separators)
        self.branches.clear()
        self.branches.read()

    def _moved(self, row: KeyRow | None) -> None:
        self.pane.show_key(row.key if row is not None else "", self._refusal)
        self.commands_changed.emit()

    def show_pane(self, shown: bool) -> None:
        """Show or hide what is beside the list."""
        self.split.set_preview_visible(shown)
        if shown:
            self.pane.read()

    def select(self, key: str) -> None:
        """Put the cursor on a key once it is read; a key that is not in the list is shown beside it."""
        self._wanted_key = key
        if self._reading is not None or self._keys is None:
            return
        self._wanted_key = ""
        if not self.table.select_key(key):
            self.pane.show_key(key, self._refusal)

    def selected(self) -> list[KeyRow]:
        """The chosen keys."""
        rows: list[KeyRow] = self.table.selected_rows()
        return rows

    # Watching

    def take_changes(self, entries: Sequence[Entry]) -> None:
        """Mark what was written while watching, and show keys that are new."""
        latest = {entry.key: entry for entry in entries}
        words = self.text.lower().split()
        for key, entry in latest.items():
            known = self._rows.get(key)
            if known is None and (
                not key.startswith(self.within)
                or not all(word in key.lower() for word in words)
                or len(self._rows) >= MOST
                or (self._has_more() and key > next(reversed(self._rows), ""))
            ):
                continue
            if known is not None and known.revision > entry.revision:
                continue
            change = "new" if known is None or not known.is_value else "changed"
            self._rows[key] = KeyRow.of(entry, change if entry.is_value else "deleted")
        if any(key in self._rows for key in latest):
            self._rows = dict(sorted(self._rows.items()))
            self._show()
            self._marks.start()

    def _unmark(self) -> None:
        """Marks of what was changed a while ago go."""
        now = time.monotonic()
        old = [key for key, row in self._rows.items() if row.change and row.marked_until < now]
        for key in old:
            self._rows[key] = self._rows[key].unmarked()
        if old:
            self.table.set_rows(self._rows)
        if not any(row.change for row in self._rows.values()):
            self._marks.stop()

    def set_zone(self, zone: tzinfo) -> None:
        """Write the value's times anew; the tables are told on their own."""
        self.pane.read()
