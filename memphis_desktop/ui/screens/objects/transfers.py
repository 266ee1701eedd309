"""Uploads, downloads and copies under way: a few at a time, each with its progress, each can be cancelled."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QTimer, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.errors import Failure
from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.files import FileProblem
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.data_table import Column, DataTable, IconText
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import Command, ScreenContext

AT_ONCE = 3
_KEPT = 200  # finished ones in the list
_SHOW_MS = 120
_WAITING, _RUNNING, _DONE, _FAILED, _CANCELLED = "waiting", "running", "done", "failed", "cancelled"
_ICONS = {"upload": "upload-simple", "download": "download-simple", "copy": "copy", "verify": "shield-check"}

Work = Callable[[Callable[[int], None]], Awaitable[object]]


@dataclass(eq=False, slots=True)
class Transfer:
    """One of them.

    Attributes:
        kind: upload, download, copy or verify.
        name: Of the object.
        size: Bytes there will be.
        work: Does it, telling how many bytes are done.
        path: The file that is written.
        batch: Those that were begun together end together with one message.
    """

    kind: str
    name: str
    size: int
    work: Work
    path: Path | None = None
    batch: int = 0
    number: int = 0
    done: int = 0
    state: str = _WAITING
    problem: str = ""
    began: float = 0.0
    ended: float = 0.0
    task: asyncio.Task[Any] | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in (_DONE, _FAILED, _CANCELLED)


@dataclass(frozen=True, slots=True)
class TransferRow:
    """How a transfer stands, for the list."""

    number: int
    kind: str
    name: str
    size: int
    done: int
    state: str
    problem: str
    rate: float | None
    transfer: Transfer = field(compare=False)


class Transfers(QObject):
    """The transfers of one tab's bucket screen."""

    changed = Signal()
    batch_finished = Signal(list)  # the transfers that were begun together

    def __init__(self, context: ScreenContext, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._all: deque[Transfer] = deque()
        self._numbers = itertools.count(1)
        self._batches = itertools.count(1)

    def all(self) -> list[Transfer]:
        """All that are known, newest first."""
        return list(reversed(self._all))

    def begin(self, transfers: list[Transfer]) -> None:
        """Add some that belong together, and start them as there is room."""
        batch = next(self._batches)
        for transfer in transfers:
            transfer.number = next(self._numbers)
            transfer.batch = batch
            self._all.append(transfer)
        self._forget_old()
        self._start()
        self.changed.emit()

    def cancel(self, transfers: list[Transfer]) -> None:
        """Stop these; what was begun of them is taken away again."""
        for transfer in transfers:
            if transfer.state == _WAITING:
                transfer.state = _CANCELLED
                self._ended(transfer)
            elif transfer.state == _RUNNING and transfer.task is not None:
                transfer.task.cancel()

    def forget_finished(self) -> None:
        """Take those that have ended off the list."""
        self._all = deque(one for one in self._all if not one.finished)
        self.changed.emit()

    @property
    def running(self) -> int:
        """How many are not at their end."""
        return sum(not one.finished for one in self._all)

    def _start(self) -> None:
        under_way = sum(one.state == _RUNNING for one in self._all)
        for transfer in self._all:
            if under_way >= AT_ONCE:
                return
            if transfer.state == _WAITING:
                transfer.state = _RUNNING
                transfer.began = time.monotonic()
                transfer.task = self._context.run(self._run(transfer), tr("move the object"))
                under_way += 1

    async def _run(self, transfer: Transfer) -> None:
        def progress(done: int) -> None:
            transfer.done = done
            self.changed.emit()

        try:
            await transfer.work(progress)
        except asyncio.CancelledError:
            transfer.state = _CANCELLED
            raise
        except (Failure, ClusterError, ReadError, FileProblem, OSError) as error:
            transfer.state = _FAILED
            transfer.problem = str(error)
        except BaseException as error:
            transfer.state = _FAILED
            transfer.problem = type(error).__name__
            raise
        else:
            transfer.state = _DONE
            transfer.done = transfer.size
        finally:
            transfer.task = None
            self._ended(transfer)

    def _ended(self, transfer: Transfer) -> None:
        transfer.ended = time.monotonic()
        batch = [one for one in self._all if one.batch == transfer.batch]
        self._start()
        self.changed.emit()
        if batch and all(one.finished for one in batch):
            self.batch_finished.emit(batch)

    def _forget_old(self) -> None:
        finished = sum(one.finished for one in self._all)
        while finished > _KEPT:
            old = next(one for one in self._all if one.finished)
            self._all.remove(old)
            finished -= 1


def _row(transfer: Transfer) -> TransferRow:
    until = transfer.ended if transfer.finished else time.monotonic()
    seconds = until - transfer.began if transfer.began else 0.0
    rate = transfer.done / seconds if seconds > 0.5 and transfer.done else None
    return TransferRow(
        transfer.number,
        transfer.kind,
        transfer.name,
        transfer.size,
        transfer.done,
        transfer.state,
        transfer.problem,
        rate if transfer.state == _RUNNING else None,
        transfer,
    )


def _kind(row: TransferRow) -> IconText:
    words = {
        "upload": tr("Upload"),
        "download": tr("Download"),
        "copy": tr("Copy"),
        "verify": tr("Verification"),
    }
    return IconText(_ICONS[row.kind], "muted", words[row.kind])


def _share(row: TransferRow) -> tuple[float, str]:
    share = row.done / row.size if row.size else float(row.state == _DONE)
    text = tr("{done} of {size}", done=figures.bytes_size(row.done), size=figures.bytes_size(row.size))
    return share, text


def _bar_token(row: TransferRow) -> str:
    return {_DONE: "good", _FAILED: "bad", _CANCELLED: "muted"}.get(row.state, "information")


def _state(row: TransferRow) -> tuple[str, str]:
    words = {
        _WAITING: (tr("waiting"), "muted"),
        _RUNNING: (figures.bytes_rate(row.rate) if row.rate else tr("running"), "information"),
        _DONE: (tr("done"), "good"),
        _FAILED: (tr("failed"), "bad"),
        _CANCELLED: (tr("cancelled"), "muted"),
    }
    return words[row.state]


class TransferPanel(QWidget):
    """The list below the objects; it is there while there is something in it."""

    def __init__(self, transfers: Transfers, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._transfers = transfers
        self._title = PlainLabel("", "strong")
        self.cancel_button = QPushButton(tr("Cancel all"))
        self.cancel_button.setProperty("kind", "ghost")
        self.cancel_button.clicked.connect(lambda: transfers.cancel(transfers.all()))
        self.clear_button = QPushButton(tr("Clear finished"))
        self.clear_button.setProperty("kind", "ghost")
        self.clear_button.clicked.connect(transfers.forget_finished)
        self.table = DataTable(
            [
                Column("kind", "", _kind, "icon", 116),
                Column("name", tr("Name"), lambda r: r.name, "mono", 220, stretch=True),
                Column(
                    "progress",
                    tr("Progress"),
                    _share,
                    "bar",
                    190,
                    sort_value=lambda r: _share(r)[0],
                    token=_bar_token,
                ),
                Column("state", tr("State"), _state, "badge", 110),
                Column("problem", tr("Reason"), lambda r: r.problem, "text", 200, stretch=True),
            ],
            lambda row: row.number,
            "object_transfers",
            context_actions=self._commands,
        )
        head = QHBoxLayout()
        head.setContentsMargins(theme.SPACE_4, theme.SPACE_2, theme.SPACE_3, theme.SPACE_1)
        head.addWidget(self._title, 1)
        head.addWidget(self.cancel_button)
        head.addWidget(self.clear_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(head)
        layout.addWidget(self.table, 1)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_SHOW_MS)
        self._timer.timeout.connect(self._show)
        transfers.changed.connect(self._schedule)
        self.hide()

    def _schedule(self) -> None:
        if not self._timer.isActive():
            self._timer.start()

    def _show(self) -> None:
        every = self._transfers.all()
        self.table.set_rows([_row(transfer) for transfer in every])
        running = self._transfers.running
        self._title.setText(
            tr_count(
                "{count} transfer under way",
                "{count} transfers under way",
                running,
                count=figures.integer(running),
            )
            if running
            else tr("Transfers")
        )
        self.cancel_button.setVisible(running > 0)
        self.clear_button.setVisible(running < len(every))
        self.setVisible(bool(every))

    def _commands(self, rows: list[TransferRow]) -> list[Command]:
        transfers = [row.transfer for row in rows]
        open_ = [one for one in transfers if not one.finished]
        written = [one.path for one in transfers if one.state == _DONE and one.path is not None]

        def show_folder() -> None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(written[0].parent)))

        commands = [
            Command(
                tr("Cancel"),
                "",
                lambda: self._transfers.cancel(open_),
                "x",
                bool(open_),
                "" if open_ else tr("It has ended."),
                name="cancel_transfer",
            )
        ]
        if written:
            commands.append(
                Command(tr("Open its folder"), "", show_folder, "folder-open", name="open_folder")
            )
        return commands
