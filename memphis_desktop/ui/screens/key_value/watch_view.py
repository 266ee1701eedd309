"""What is written to a bucket while somebody watches: newest on top, bounded, can be held."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from memphis_desktop.inspect.key_value.entry import Entry
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.filter_bar import FilterBar
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.key_value.key_table import KeyRow, operation_column
from memphis_desktop.ui.screens.station_parts import panel
from memphis_desktop.ui.theme.icons import beside_text, icon

MOST = 2_000  # lines


@dataclass(frozen=True, slots=True)
class WatchRow:
    """A revision that came."""

    number: int
    row: KeyRow


class WatchView(QWidget):
    """Lists what `take` is given. ``toggle`` begins or ends the watching."""

    def __init__(
        self,
        context: ScreenContext,
        toggle: Callable[[], None],
        show_key: Callable[[str], None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._toggle = toggle
        self._rows: deque[WatchRow] = deque(maxlen=MOST)
        self._held: deque[WatchRow] = deque(maxlen=MOST)
        self._number = 0
        self._missed = 0
        self._running = False
        self._held_back = False
        self.filter = FilterBar(tr("Filter changes"))
        self.watch_button = QPushButton(tr("Watch"))
        self.watch_button.setCheckable(True)
        beside_text(self.watch_button, icon("eye", token_on="accent"))
        self.watch_button.clicked.connect(lambda: toggle())
        self.hold_button = QPushButton(tr("Hold"))
        self.hold_button.setCheckable(True)
        self.hold_button.setToolTip(
            tr("Let the list rest; what comes meanwhile is shown when it goes on  ( P )")
        )
        beside_text(self.hold_button, icon("pause", token_on="accent"))
        self.hold_button.toggled.connect(self.hold)
        self.clear_button = QPushButton(tr("Clear"))
        self.clear_button.clicked.connect(self.clear)
        self.banner = Banner("warning", "")
        self.banner.hide()
        self.table = DataTable(
            [
                operation_column(lambda r: r.row.operation),
                Column("time", tr("Written"), lambda r: r.row.time_ns, "time", 110),
                Column("key", tr("Key"), lambda r: r.row.key, "mono", 220, stretch=True),
                Column("revision", tr("Revision"), lambda r: r.row.revision, "number", 80),
                Column("size", tr("Size"), lambda r: r.row.size if r.row.is_value else None, "bytes", 76),
                Column("ttl", tr("TTL"), lambda r: r.row.ttl, "duration", 64),
                Column("value", tr("Value"), lambda r: r.row.text, "mono", 260, stretch=True),
            ],
            lambda r: r.number,
            "key_watch",
        )
        self.table.set_zone(context.zone)
        self.table.row_activated.connect(lambda r: show_key(r.row.key))
        self.filter.text_changed.connect(self.table.set_filter)
        self.filter.left.connect(self.table.setFocus)
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE_2)
        row.addWidget(self.filter, 1)
        for button in (self.watch_button, self.hold_button, self.clear_button):
            row.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, theme.SPACE_3, 0, 0)
        layout.setSpacing(theme.SPACE_3)
        layout.addLayout(row)
        layout.addWidget(self.banner)
        layout.addWidget(panel(self.table), 1)
        self.show_running(False, "")

    def show_running(self, running: bool, problem: str) -> None:
        """Say whether somebody watches, and what is wrong with it."""
        self._running = running
        self.watch_button.setChecked(running)
        self.watch_button.setText(tr("Watching") if running else tr("Watch"))
        self.hold_button.setEnabled(running)
        self.banner.set_content("warning", problem)
        self.banner.setVisible(bool(problem))
        self._show()

    def take(self, entries: Sequence[Entry], missed: int) -> None:
        """Show what came, newest on top; ``missed`` is how many came too fast to be told so far."""
        target = self._held if self.hold_button.isChecked() else self._rows
        for entry in entries[-MOST:]:
            self._number += 1
            target.appendleft(WatchRow(self._number, KeyRow.of(entry)))
        self._missed = missed
        self._show()

    def hold(self, held: bool) -> None:
        """Let the list rest, or go on with what came meanwhile."""
        if self.hold_button.isChecked() != held:
            self.hold_button.setChecked(held)
            return
        if not held:
            self._rows.extendleft(reversed(self._held))
            self._held.clear()
        self._show()

    def clear(self) -> None:
        """Begin with an empty list."""
        self._rows.clear()
        self._held.clear()
        self._number = self._missed = 0
        self._show()

    def _show(self) -> None:
        self.table.set_rows(list(self._rows))
        if self._rows:
            self.table.set_state("ready")
        elif self._running:
            self.table.set_state("empty", tr("Nothing was written since you began to watch."), None, "eye")
        else:
            text = tr("See every write as it comes. Nothing is consumed, and nothing stays behind.")
            self.table.set_state("empty", text, (tr("Watch"), self._toggle), "eye")
        count = tr_count(
            "{count} change", "{count} changes", len(self._rows), count=figures.integer(len(self._rows))
        )
        if self._held:
            count = tr("{count}, {held} held back", count=count, held=figures.integer(len(self._held)))
        if len(self._rows) == MOST:
            count = tr("the newest {count}", count=count)
        if self._missed:
            count = tr("{count}, {missed} came too fast", count=count, missed=figures.integer(self._missed))
        self.filter.set_count(count if self._number else "")
