"""Backing up a station into a folder, and restoring one from it, with progress and cancel."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from PySide6.QtCore import QStandardPaths
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit, QProgressBar, QPushButton, QWidget

from memphis_desktop.cluster import backup
from memphis_desktop.cluster.backup import Backup, BackupError, RestoreReport
from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.cluster.model import StreamSnapshot
from memphis_desktop.errors import Failure
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.dialogs import Dialog, add_form_row, form_layout
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.field_values import FieldError, check_name
from memphis_desktop.ui.screens.station_parts import station_route


class _FolderField(QWidget):
    """A path with a button that chooses a folder."""

    def __init__(self, path: str, hint: str) -> None:
        super().__init__()
        self.edit = QLineEdit(path)
        self.edit.setProperty("role", "mono")
        self.edit.setPlaceholderText(hint)
        self.edit.setAccessibleName(tr("Folder"))
        self.button = QPushButton(tr("Browse…"))
        self.button.clicked.connect(self._browse)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.SPACE_2)
        row.addWidget(self.edit, 1)
        row.addWidget(self.button)
        self.setFocusProxy(self.edit)

    def _browse(self) -> None:
        start = Path(self.edit.text() or documents())
        while not start.is_dir() and start != start.parent:
            start = start.parent
        dialog = QFileDialog(self, tr("Choose a folder"), str(start))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.fileSelected.connect(self.edit.setText)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def path(self) -> Path:
        """The folder; a relative one is below the documents."""
        return Path(documents(), self.edit.text().strip()).expanduser()


def documents() -> str:
    """Where people keep their files."""
    place = QStandardPaths.StandardLocation.DocumentsLocation
    return QStandardPaths.writableLocation(place) or str(Path.home())


class _WorkDialog(Dialog):
    """A dialog whose verb starts long work: progress, and Cancel that stops it."""

    def __init__(self, parent: QWidget | None, context: ScreenContext, title: str, verb: str) -> None:
        super().__init__(parent, title, verb, width=560)
        self._context = context
        self._task: asyncio.Task[Any] | None = None
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.hide()
        self.status = PlainLabel("", "muted", wrap=True)

    def _start(self, work: Coroutine[Any, Any, Any], description: str) -> None:
        self.show_error("")
        self.verb_button.setEnabled(False)
        self.progress.setRange(0, 0)
        self.progress.show()
        self._task = self._context.run(self._guarded(work), description)

    async def _guarded(self, work: Coroutine[Any, Any, Any]) -> None:
        try:
            await work
        except (Failure, ClusterError, OSError) as error:
            self.show_error(str(error))
            self.verb_button.setEnabled(True)
            self.progress.hide()
        finally:
            self._task = None

    def _progressed(self, done: int, total: int) -> None:
        self.progress.setRange(0, max(1, total))
        self.progress.setValue(done)
        self.status.setText(
            tr(
                "{done} of {messages}",
                done=figures.integer(done),
                messages=tr_count("{count} message", "{count} messages", total, count=figures.integer(total)),
            )
        )

    def reject(self) -> None:
        """Stop the work first."""
        if self._task is not None:
            self._task.cancel()
        super().reject()


class BackupDialog(_WorkDialog):
    """Where to, then the work."""

    def __init__(self, parent: QWidget | None, context: ScreenContext, stream: StreamSnapshot) -> None:
        super().__init__(parent, context, tr("Back up station {name}", name=stream.name), tr("Back up"))
        self._stream = stream
        stamp = time.strftime("%Y-%m-%d %H.%M")
        self.folder = _FolderField(str(Path(documents(), f"{stream.name} {stamp}")), "")
        size = figures.bytes_size(stream.bytes)
        text = tr_count(
            "{count} message ({size}), the configuration and the durable groups go into a new folder. "
            "Nothing is consumed. The backup can be restored on any broker.",
            "{count} messages ({size}), the configuration and the durable groups go into a new folder. "
            "Nothing is consumed. The backup can be restored on any broker.",
            stream.messages,
            count=figures.integer(stream.messages),
            size=size,
        )
        self.body.addWidget(PlainLabel(text, "muted", wrap=True))
        form = form_layout()
        add_form_row(form, tr("Folder"), self.folder)
        self.body.addLayout(form)
        self.body.addWidget(self.progress)
        self.body.addWidget(self.status)

    def accept(self) -> None:
        """Begin."""
        if self._task is None:
            self._start(self._back_up(self.folder.path()), tr("back up the station"))

    async def _back_up(self, folder: Path) -> None:
        made = await backup.back_up(self._context.session, self._stream.name, folder, self._progressed)
        count = tr_count(
            "{count} message", "{count} messages", made.messages, count=figures.integer(made.messages)
        )
        self._context.notify(
            tr(
                "{count} of {name} backed up in {folder}.", count=count, name=self._stream.name, folder=folder
            ),
            "good",
        )
        super().accept()


class RestoreDialog(_WorkDialog):
    """From where, under what name, then the work."""

    def __init__(self, parent: QWidget | None, context: ScreenContext, folder: str = "") -> None:
        super().__init__(parent, context, tr("Restore a station"), tr("Restore station"))
        self.backup: Backup | None = None
        self.folder = _FolderField(folder, tr("the folder of a backup"))
        self.name = QLineEdit()
        form = form_layout()
        add_form_row(form, tr("Folder"), self.folder)
        add_form_row(form, tr("Name"), self.name, tr("The station must not exist yet."))
        self.body.addLayout(form)
        self.body.addWidget(self.status)
        self.body.addWidget(self.progress)
        self.folder.edit.textChanged.connect(lambda _: self._look())
        self._look()

    def _look(self) -> None:
        """Show what the chosen folder holds."""
        self.backup = None
        if self.folder.edit.text().strip():
            try:
                self.backup = backup.read_backup(self.folder.path())
                backup.restored_config(self.backup, self.backup.stream)
            except BackupError as error:
                self.status.setText(str(error))
                self.backup = None
        else:
            self.status.setText(tr("Choose the folder that a backup was made in."))
        self.verb_button.setEnabled(self.backup is not None)
        if self.backup is not None:
            self.name.setText(self.backup.stream)
            self.status.setText(backup_text(self.backup))

    def accept(self) -> None:
        """Begin."""
        if self._task is not None or self.backup is None:
            return
        try:
            check_name(self.name.text().strip(), tr("Give the station a name."))
        except FieldError as error:
            self.show_error(str(error))
            return
        self._start(self._restore(self.backup, self.name.text().strip()), tr("restore the station"))

    async def _restore(self, chosen: Backup, name: str) -> None:
        report = await backup.restore(self._context.session, chosen, name, self._progressed)
        kind = "warning" if report.refused or report.problems else "good"
        action = (tr("Open"), lambda: self._context.navigate(station_route(name)))
        self._context.notify(report_text(report), kind, action)
        super().accept()


def backup_text(found: Backup) -> str:
    """What a backup holds, in sentences."""
    when = figures.relative_time(found.made_ns, time.time_ns()) if found.made_ns else tr("some time ago")
    groups = tr_count(
        "{count} group", "{count} groups", len(found.consumers), count=figures.integer(len(found.consumers))
    )
    return tr_count(
        "{count} message and {groups} of {stream}, from {when}. "
        "The messages get new times; sequences stay the same unless some are missing in between.",
        "{count} messages and {groups} of {stream}, from {when}. "
        "The messages get new times; sequences stay the same unless some are missing in between.",
        found.messages,
        count=figures.integer(found.messages),
        groups=groups,
        stream=found.stream,
        when=when,
    )


def report_text(report: RestoreReport) -> str:
    """What became of a restore, in sentences."""
    parts = [
        tr_count(
            "{count} message restored to {stream}.",
            "{count} messages restored to {stream}.",
            report.messages,
            count=figures.integer(report.messages),
            stream=report.stream,
        )
    ]
    if report.duplicates:
        count = figures.integer(report.duplicates)
        parts.append(
            tr_count(
                "{count} repeated message left out.",
                "{count} repeated messages left out.",
                report.duplicates,
                count=count,
            )
        )
    if report.refused:
        count = figures.integer(report.refused)
        parts.append(
            tr_count("{count} message refused.", "{count} messages refused.", report.refused, count=count)
        )
    if report.renumbered:
        parts.append(tr("Sequences have changed, since some were missing in between."))
    return " ".join([*parts, *(problem.rstrip(".") + "." for problem in report.problems[:2])])
