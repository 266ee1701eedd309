"""The revisions of a key, newest first, and what each changed against the one before it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from memphis_desktop.inspect.diff import Change, ChangeKind, Difference, compare_messages
from memphis_desktop.inspect.key_value.entry import Entry
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.json_tree import preview
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.split_view import SplitView
from memphis_desktop.ui.screen import Command, ScreenContext
from memphis_desktop.ui.screens.decoders.store import current_decoders, mask
from memphis_desktop.ui.screens.key_value.key_table import TOKENS
from memphis_desktop.ui.screens.messages.compare import CompareDialog
from memphis_desktop.ui.screens.station_detail.last_values import value_text

_GUARD = 'headers["Nats-Expected'  # which revision a write was guarded by is no change of the value
_DOTS = {ChangeKind.CHANGED: "warning", ChangeKind.ADDED: "good", ChangeKind.REMOVED: "bad"}


class HistoryView(QWidget):
    """Shows what it is given; ``restore`` is asked to put a revision back."""

    def __init__(
        self, context: ScreenContext, restore: Callable[[Entry], None], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._context = context
        self._restore = restore
        self._entries: list[Entry] = []  # newest first
        self._comparing: asyncio.Task[None] | None = None
        self._refusal = ""
        self.table = DataTable(
            [
                Column("operation", tr("Operation"),
                       lambda e: (TOKENS[e.operation] if not e.is_value else "good", e.operation.text),
                       "dot", 84),
                Column("revision", tr("Revision"), lambda e: e.revision, "number", 74),
                Column("time", tr("Written"), lambda e: e.time_ns, "time", 84),
                Column("value", tr("Value"), lambda e: value_text(mask(e.message)) if e.is_value else "",
                       "mono", 60, stretch=True),
                Column("size", tr("Size"), lambda e: e.size if e.is_value else None, "bytes", 60),
                Column("ttl", tr("TTL"), lambda e: e.ttl, "duration", 60, visible=False),
            ],
            lambda e: e.revision,
            "key_history",
            self,
            context_actions=self._commands,
        )  # fmt: skip
        self.table.set_zone(context.zone)
        self.table.current_changed.connect(lambda _: self._compare())
        self.table.selection_changed.connect(lambda _: self._show_buttons())
        self.difference = DataTable(
            [
                Column("kind", tr("Difference"), lambda row: (_DOTS[row.kind], row.kind.value), "dot", 86),
                Column("path", tr("Path"), lambda row: row.path, "mono", 90),
                Column("left", tr("Before"), _left, "mono", 76),
                Column("right", tr("After"), _right, "mono", 76, stretch=True),
            ],
            lambda row: (row.path, row.kind),
            "key_history_difference",
            self,
        )  # fmt: skip
        self.summary = PlainLabel("", "caption", elide=Qt.TextElideMode.ElideRight)
        self.restore_button = QPushButton(tr("Restore this revision"))
        self.restore_button.clicked.connect(self._restore_current)
        self.compare_button = QPushButton(tr("Compare"))
        self.compare_button.setToolTip(tr("Two chosen revisions, or this one with the newest"))
        self.compare_button.clicked.connect(self._compare_two)
        line = QHBoxLayout()
        line.setContentsMargins(theme.SPACE_3, theme.SPACE_2, theme.SPACE_2, theme.SPACE_2)
        line.setSpacing(theme.SPACE_2)
        line.addStretch(1)
        line.addWidget(self.compare_button)
        line.addWidget(self.restore_button)
        split = SplitView(
            self.table, self.difference, "key_history", Qt.Orientation.Vertical, share=0.45, parent=self
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        self.summary.setContentsMargins(theme.SPACE_3, 0, theme.SPACE_2, theme.SPACE_1)
        layout.addWidget(self.summary)
        layout.addWidget(split, 1)
        layout.addLayout(line)
        self.show_entries([], 1, "")

    def loading(self) -> None:
        """What is shown is of another key, or old."""
        self.table.set_rows([])
        self.table.set_state("loading")
        self.difference.set_rows([])

    def show_error(self, text: str, again: Callable[[], None]) -> None:
        """Say why there is nothing."""
        self.table.set_rows([])
        self.table.set_state("error", text, (tr("Try again"), again))

    def show_entries(self, entries: list[Entry], history: int, refusal: str) -> None:
        """Show the revisions of a key, oldest first, of a bucket that keeps so many."""
        self._refusal = refusal
        self._entries = entries[::-1]
        self.table.set_rows({entry.revision: entry for entry in self._entries})
        if entries:
            self.table.set_state("ready")
            if self.table.current_row() is None:
                self.table.select_key(self._entries[0].revision)
        else:
            self.table.set_state("empty", tr("Nothing is kept of this key."), icon="clock-counter-clockwise")
        kept = tr_count(
            "the bucket keeps {count} value", "the bucket keeps {count} values", history,
            count=figures.integer(history),
        )  # fmt: skip
        text = tr_count(
            "{count} revision", "{count} revisions", len(entries), count=figures.integer(len(entries))
        )
        self.summary.setText(f"{text}  ·  {kept}")
        self._show_buttons()
        self._compare()

    def entries(self) -> list[Entry]:
        """What is shown, newest first."""
        return self._entries

    def _before(self, entry: Entry) -> Entry | None:
        return next((one for one in self._entries if one.revision < entry.revision), None)

    def _show_buttons(self) -> None:
        entry: Entry | None = self.table.current_row()
        newest = bool(self._entries) and entry is not None and entry.revision == self._entries[0].revision
        able = entry is not None and entry.is_value and not newest and not self._refusal
        self.restore_button.setEnabled(able)
        self.restore_button.setToolTip(self._refusal or tr("Write its value as the newest one again"))
        self.compare_button.setEnabled(len(self._entries) > 1)

    def _restore_current(self) -> None:
        entry: Entry | None = self.table.current_row()
        if entry is not None and entry.is_value and not self._refusal:
            self._restore(entry)

    def _compare_two(self) -> None:
        chosen: list[Entry] = sorted(self.table.selected_rows(), key=lambda entry: entry.revision)
        if len(chosen) < 2 and self._entries:
            chosen = sorted({*chosen, self._entries[0]}, key=lambda entry: entry.revision)
        if len(chosen) < 2:
            chosen = self._entries[:2][::-1]
        if len(chosen) >= 2:
            CompareDialog(self, mask(chosen[0].message), mask(chosen[-1].message)).open()

    def _compare(self) -> None:
        """Show what the revision with the cursor changed."""
        self._show_buttons()
        if self._comparing is not None:
            self._comparing.cancel()
            self._comparing = None
        entry: Entry | None = self.table.current_row()
        before = self._before(entry) if entry is not None else None
        self.difference.set_rows([])
        if entry is None or before is None:
            self.difference.set_state("empty", tr("Nothing older is kept to compare with."), icon="git-diff")
            return
        self.difference.set_state("loading")
        self._comparing = self._context.run(self._compare_beside(before, entry), tr("compare the revisions"))

    async def _compare_beside(self, before: Entry, entry: Entry) -> None:
        decode = current_decoders().decode

        def compare() -> Difference:
            return compare_messages(mask(before.message), mask(entry.message), decoder=decode)

        found = await asyncio.to_thread(compare)
        if self.table.current_row() is not entry:
            return
        changes = [change for change in found.changes if not change.path.startswith(_GUARD)]
        self.difference.set_rows(changes)
        if changes:
            self.difference.set_state("ready")
        else:
            self.difference.set_state("empty", tr("The same value was written again."), icon="equals")

    def _commands(self, rows: list[Entry]) -> list[Command]:
        able = self.restore_button.isEnabled() and len(rows) == 1
        return [
            Command(
                tr("Restore this revision"),
                "",
                self._restore_current,
                "arrow-counter-clockwise",
                able,
                self._refusal,
                name="restore_revision",
            ),
            Command(tr("Compare"), "", self._compare_two, "git-diff", name="compare_revisions"),
        ]


def _left(change: Change) -> str:
    return "" if change.kind is ChangeKind.ADDED else preview(change.left, 200)


def _right(change: Change) -> str:
    return "" if change.kind is ChangeKind.REMOVED else preview(change.right, 200)
