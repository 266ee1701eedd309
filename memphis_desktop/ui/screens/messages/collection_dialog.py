"""The messages put aside, from all stations and connections: compare, export, go back to them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, TypeAlias

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from memphis_desktop.inspect.collection import Collection, Kept
from memphis_desktop.inspect.decode.text import preview
from memphis_desktop.inspect.files import SUFFIXES, Exporter, FileProblem
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import settings, theme
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.dialogs import FittingDialog
from memphis_desktop.ui.screen import Command, Route, ScreenContext
from memphis_desktop.ui.screens.decoders.store import current_decoders
from memphis_desktop.ui.screens.messages.compare import CompareDialog
from memphis_desktop.ui.screens.messages.detail import MessageDetail
from memphis_desktop.ui.screens.station_parts import panel

KEY = "messages/collection"


MAX_MARKS = 8
Mark: TypeAlias = tuple[str, InspectedMessage]  # name of the connection, message


def place_of(mark: Mark) -> tuple[str, object]:
    """What tells a marked message from others."""
    return mark[0], mark[1].identity


class _Holder(QObject):
    """The program's one collection, and the messages marked to be compared."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.store: settings.Settings | None = None
        self.collection = Collection()
        self.marks: list[Mark] = []  # the last one marked comes last

    def toggle_marks(self, wanted: list[Mark]) -> bool:
        """Mark all of these, or unmark them when all are marked; False when there would be too many."""
        known = {place_of(mark) for mark in self.marks}
        new = [mark for mark in wanted if place_of(mark) not in known]
        if len(self.marks) + len(new) > MAX_MARKS:
            return False
        gone = set() if new else {place_of(mark) for mark in wanted}
        self.marks = [mark for mark in self.marks if place_of(mark) not in gone] + new
        self.changed.emit()
        return True

    def clear_marks(self) -> None:
        """Nothing is marked any more."""
        self.marks = []
        self.changed.emit()


_holder: _Holder | None = None


def holder() -> _Holder:
    """The collection as the settings have it."""
    global _holder
    if _holder is None:
        _holder = _Holder()
    if _holder.store is not settings.current():
        _holder.store = settings.current()
        _holder.collection = Collection.from_records(_holder.store.get(KEY))
        _holder.marks = []
    return _holder


def keep(connection: str, messages: list[InspectedMessage]) -> int:
    """Put messages aside; returns how many are new. Raises CollectionFull."""
    found = holder()
    added = found.collection.add(connection, messages)
    _save(found)
    return added


def _save(found: _Holder) -> None:
    settings.current().set(KEY, found.collection.records() or None)
    found.changed.emit()


class CollectionDialog(FittingDialog):
    """The list above, the message with the cursor below."""

    def __init__(self, parent: QWidget | None, context: ScreenContext) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Messages put aside"))
        self.resize(1040, 600)
        self._context = context
        self.table = DataTable(
            [
                Column("connection", tr("Connection"), lambda row: row.connection, width=104),
                Column("stream", tr("Station"), lambda row: row.message.stream, kind="mono", width=112),
                Column("sequence", tr("Sequence"), lambda row: row.message.sequence, kind="number", width=78),
                Column("time", tr("Time"), lambda row: row.message.time_ns, kind="time", width=84),
                Column("subject", tr("Subject"), lambda row: row.message.subject, kind="mono", width=120),
                Column("payload", tr("Payload"), lambda row: preview(row.message.payload), kind="mono",
                       width=80, stretch=True),
            ],
            lambda row: row.identity,
            "collection",
            context_actions=self._actions,
        )  # fmt: skip
        self.table.set_zone(context.zone)
        self.detail = MessageDetail(context, self)
        self.detail.show_only_reading()
        self.detail.setMinimumWidth(340)
        self.compare_button = self._button(tr("Compare"), tr("Compare two selected messages"), self.compare)
        self.export_button = self._button(
            tr("Export"), tr("Write the selection, or all, to a file"), self.export
        )
        self.remove_button = self._button(tr("Remove"), tr("Put the selection away"), self.remove)
        lists = QHBoxLayout()
        lists.addWidget(panel(self.table), 3)
        lists.addWidget(panel(self.detail), 2)
        foot = QHBoxLayout()
        foot.addStretch()
        for button in (self.remove_button, self.export_button, self.compare_button):
            foot.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_4, theme.SPACE_4, theme.SPACE_4, theme.SPACE_3)
        layout.setSpacing(theme.SPACE_3)
        layout.addLayout(lists, 1)
        layout.addLayout(foot)
        self.table.current_changed.connect(
            lambda row: self.detail.show_message(row.message if row is not None else None)
        )
        self.table.selection_changed.connect(lambda rows: self._update(rows))
        self.table.row_activated.connect(self.go)
        holder().changed.connect(self.refresh)
        self.refresh()

    def _button(self, title: str, tooltip: str, callback: Any) -> QPushButton:
        button = QPushButton(title)
        button.setToolTip(tooltip)
        button.setAutoDefault(False)
        button.clicked.connect(lambda: callback())
        return button

    def refresh(self) -> None:
        """Show what is put aside now."""
        rows = list(holder().collection.kept)
        self.table.set_rows(rows)
        text = tr("Nothing is put aside. In a list of messages, press * to put the selected ones here.")
        self.table.set_state("ready" if rows else "empty", text)
        self._update(self.table.selected_rows())

    def _update(self, rows: list[Kept]) -> None:
        self.compare_button.setEnabled(len(rows) == 2)
        self.remove_button.setEnabled(bool(rows))
        self.export_button.setEnabled(bool(holder().collection.kept))

    def compare(self) -> None:
        """The difference of two."""
        rows = self.table.selected_rows()
        if len(rows) == 2:
            left, right = rows
            names = (left.connection, right.connection)
            CompareDialog(self, left.message, right.message, names).show()

    def remove(self) -> None:
        """Put the selection away."""
        holder().collection.remove(self.table.selected_rows())
        _save(holder())

    def go(self, row: Kept | None) -> None:
        """Show the message in its station, where that is on the connection of this tab."""
        if row is None:
            return
        if row.connection != self._context.session.profile.name:
            self._context.notify(
                tr("Open the connection {connection} to go there.", connection=row.connection), "warning"
            )
            return
        self.close()
        parameters = {"stream": row.message.stream, "sequence": str(row.message.sequence)}
        self._context.navigate(Route("messages", parameters))

    def export(self) -> None:
        """Ask for a file and write the selection, or all."""
        kinds = ";;".join(f"{title} (*{suffix})" for title, suffix in SUFFIXES.items())
        path, _ = QFileDialog.getSaveFileName(self, tr("Export"), "messages.ndjson", kinds)
        if path:
            self._context.run(self.export_to(Path(path)), tr("export the messages"))

    async def export_to(self, path: Path) -> None:
        """Write the selection, or all, to a file; the form is told by its suffix."""
        rows = self.table.selected_rows() or list(holder().collection.kept)
        form = next((form for form, suffix in SUFFIXES.items() if path.suffix == suffix), "ndjson")

        async def each() -> AsyncIterator[InspectedMessage]:
            for row in rows:
                yield row.message

        try:
            progress = await Exporter(path, form, decoder=current_decoders().decode).run(each())
        except FileProblem as problem:
            self._context.notify(str(problem), "bad")
            return
        count = tr_count(
            "{count} message", "{count} messages", progress.messages, count=figures.integer(progress.messages)
        )
        self._context.notify(tr("Exported {messages} to {path}.", messages=count, path=path), "good")

    def _actions(self, rows: list[Kept]) -> list[Command]:
        return [
            Command(tr("Show in the station"), "", lambda: self.go(rows[0]), "arrow-right", len(rows) == 1),
            Command(tr("Compare"), "", self.compare, "git-diff", len(rows) == 2),
            Command(tr("Remove"), "", self.remove, "trash"),
        ]
