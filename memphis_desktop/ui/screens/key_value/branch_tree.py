"""The branches of a bucket's keys as a tree; what is below one is read when it is opened."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QHeaderView, QTreeView, QVBoxLayout, QWidget

from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.key_value.keys import MAX_BRANCHES, Branches, KeyReader
from memphis_desktop.language import tr, tr_in
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.labels import PlainLabel, plain_tooltip
from memphis_desktop.ui.screen import ScreenContext

_BEGIN = Qt.ItemDataRole.UserRole  # how the keys of a branch begin
_READ = Qt.ItemDataRole.UserRole + 1  # whether what is below was read
Index = QModelIndex | QPersistentModelIndex
SHOWN_WHILE_READING = 1_000  # branches; of more, all are shown at the end
_SHOW_SECONDS = 0.7


class _Model(QStandardItemModel):
    """Branches that were not read may have others below."""

    def hasChildren(self, parent: Index = QModelIndex()) -> bool:
        """Whether a branch can be opened."""
        if not parent.isValid():
            return self.rowCount() > 0
        if parent.column() > 0:
            return False
        return not parent.data(_READ) or self.rowCount(parent) > 0


class BranchTree(QWidget):
    """Emits how the keys of the chosen branch begin; all keys are the empty text."""

    chosen = Signal(str)

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._reader: Callable[[], KeyReader | None] = lambda: None
        self._separators = "."
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.model = _Model(0, 2)
        self.tree = QTreeView()
        self.tree.setModel(self.model)
        self.tree.setUniformRowHeights(True)
        self.tree.setAccessibleName(tr("Branches of the keys"))
        self.tree.setEditTriggers(QTreeView.EditTrigger.NoEditTriggers)
        self.tree.expanded.connect(self._opened)
        self.tree.selectionModel().currentChanged.connect(lambda *_: self._moved())
        header = self.tree.header()
        header.setStretchLastSection(False)
        self._name_columns()
        self.notice = PlainLabel("", "caption", wrap=True)
        self.notice.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.tree, 1)
        layout.addWidget(self.notice)
        self.setMinimumWidth(110)

    def _name_columns(self) -> None:
        self.model.setHorizontalHeaderLabels([tr("Branch"), tr_in("of a bucket", "Keys")])
        header = self.tree.header()
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.Fixed)
        header.resizeSection(1, 64)

    def set_reader(self, reader: Callable[[], KeyReader | None], separators: str) -> None:
        """Read through what this gives, and cut keys at these."""
        self._reader = reader
        self._separators = separators

    def read(self) -> None:
        """Read the outermost branches anew; those that are open, and the chosen one, stay so."""
        self._stop()
        self._start("")

    def clear(self) -> None:
        """Show nothing."""
        self._stop()
        self.model.clear()
        self.model.setColumnCount(2)
        self._name_columns()
        self._add_root(0)

    def _stop(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()

    async def shut_down(self) -> None:
        """Let readings end."""
        tasks = list(self._tasks.values())
        self._stop()
        await asyncio.gather(*tasks, return_exceptions=True)

    # Branches

    def root(self) -> QStandardItem | None:
        """The line of all keys."""
        return self.model.item(0)

    def _add_root(self, total: int) -> None:
        row = _row(tr("All keys"), "", total)
        row[0].setData(True, _READ)
        self.model.appendRow(row)
        self.tree.setCurrentIndex(self.model.index(0, 0))

    def select(self, begin: str) -> None:
        """Mark the branch of these keys where it is shown, else all keys, without telling."""
        self.tree.selectionModel().blockSignals(True)
        item = self._find(begin) or self.root()
        if item is not None:
            self.tree.setCurrentIndex(item.index())
        self.tree.selectionModel().blockSignals(False)
        self.tree.viewport().update()

    def _find(self, begin: str) -> QStandardItem | None:
        waiting = [self.root()]
        while waiting:
            item = waiting.pop()
            if item is None:
                continue
            if item.data(_BEGIN) == begin:
                return item
            if begin.startswith(item.data(_BEGIN)):
                waiting += [item.child(row) for row in range(item.rowCount())]
        return None

    def _opened(self, index: QModelIndex) -> None:
        begin = str(index.data(_BEGIN) or "")
        if not index.data(_READ) and begin not in self._tasks:
            self._start(begin)

    def _moved(self) -> None:
        index = self.tree.currentIndex().siblingAtColumn(0)
        if index.isValid():
            self.chosen.emit(str(index.data(_BEGIN) or ""))

    def _start(self, begin: str) -> None:
        reader = self._reader()
        if reader is None:
            return
        task = self._context.run(self._read(reader, begin), tr("read the branches"))
        self._tasks[begin] = task
        task.add_done_callback(
            lambda done: self._tasks.pop(begin, None) if self._tasks.get(begin) is done else None
        )

    async def _read(self, reader: KeyReader, begin: str) -> None:
        last: Branches | None = None
        shown = time.monotonic()
        try:
            async for branches in reader.branches(begin, self._separators):
                last = branches
                if len(branches.keys) <= SHOWN_WHILE_READING and time.monotonic() - shown > _SHOW_SECONDS:
                    shown = time.monotonic()
                    await self._show(begin, branches, whole=False)
                if not begin and branches.read < branches.total:
                    self._tell(
                        tr(
                            "{read} of {total} names read",
                            read=figures.integer(branches.read),
                            total=figures.integer(branches.total),
                        )
                    )
        except ReadError as error:
            self._tell(str(error))
            return
        if last is None:
            return
        self._tell(
            ""
            if last.complete
            else tr("Only the first {count} branches are shown.", count=figures.integer(MAX_BRANCHES))
        )
        await self._show(begin, last)

    def _tell(self, text: str) -> None:
        self.notice.setText(text)
        self.notice.setVisible(bool(text))

    async def _show(self, begin: str, branches: Branches, *, whole: bool = True) -> None:
        """Merge what was read into what is shown; branches go only when the reading is ``whole``."""
        if self.root() is None:
            self._add_root(branches.total)
        item = self._find(begin)
        if item is None:
            return
        if not begin:
            self.model.item(0, 1).setText(figures.integer(branches.total))
        item.setData(True, _READ)
        names = sorted(branches.keys)
        if not whole:
            known_now = {str(item.child(row).data(_BEGIN)) for row in range(item.rowCount())}
            names = sorted(known_now | set(names))
        known = [str(item.child(row).data(_BEGIN)) for row in range(item.rowCount())]
        if known != names:
            for name in known[::-1]:
                if whole and name not in branches.keys:
                    item.removeRow(known.index(name))
            for number, name in enumerate(names):
                there = item.child(number)
                if there is None or there.data(_BEGIN) != name:
                    item.insertRow(number, _row(name[len(begin) :], name, 0))
                if number % 200 == 199:
                    await asyncio.sleep(0)
        for number, name in enumerate(names):
            child = item.child(number, 1)
            if child is not None and name in branches.keys:
                child.setText(figures.integer(branches.keys[name]))
            one = item.child(number)
            if whole and one is not None and one.data(_READ) and self.tree.isExpanded(one.index()):
                self._start(name)  # it is open: what is below may be another, too
            if number % 200 == 199:
                await asyncio.sleep(0)
        if not begin:
            self.tree.expand(self.model.index(0, 0))


def _row(title: str, begin: str, count: int) -> list[QStandardItem]:
    name, number = QStandardItem(figures.visible_text(title)), QStandardItem(figures.integer(count))
    name.setData(begin, _BEGIN)
    name.setData(False, _READ)
    name.setToolTip(plain_tooltip(begin))
    number.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    return [name, number]
