"""Deleting the keys below a place, and clearing markers away: looked at first, then done, stopped at will."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QCheckBox, QComboBox, QLineEdit, QProgressBar, QWidget

from memphis_desktop.cluster import actions
from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.cluster.key_value.bulk import LISTED, BulkProgress, KeyDeletion, MarkerClearing
from memphis_desktop.errors import Failure
from memphis_desktop.inspect.files import FileProblem
from memphis_desktop.inspect.key_value.entry import Entry
from memphis_desktop.inspect.key_value.keys import KeyReader
from memphis_desktop.inspect.key_value.names import is_exact, subject_filter
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.dialogs import Dialog, Disclosure, add_form_row, form_layout
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.field_values import FieldError, parse_duration
from memphis_desktop.ui.screens.key_value.key_actions import bulk_outcome
from memphis_desktop.ui.screens.key_value.key_table import KeyRow, operation_column

_REFRESH_MS = 150
_TYPING_MS = 400


class BulkDialog(Dialog):
    """A dry run shown before the verb can be pressed; then the work, with progress and a stop."""

    def __init__(
        self,
        parent: QWidget | None,
        context: ScreenContext,
        title: str,
        verb: str,
        typed: str,
        *,
        danger: bool,
    ) -> None:
        super().__init__(parent, title, verb, danger=danger, width=620)
        self.context = context
        self._typed = typed if context.session.profile.environment.value == "production" else ""
        self._task: asyncio.Task[Any] | None = None
        self._running = False
        self.ready = False
        self.form = form_layout()
        self.loss = PlainLabel("", wrap=True)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.hide()
        self.status = PlainLabel("", "muted", wrap=True)
        self.command = CodeBlock(lines=8)
        self.typed_field = QLineEdit()
        self.typed_field.setProperty("role", "mono")
        self.typed_field.setAccessibleName(tr("Type {typed_name} to go on", typed_name=typed))
        self.typed_field.textChanged.connect(lambda _: self.update_verb())
        self._typed_note = PlainLabel(
            tr("Type {typed_name} to go on.", typed_name=typed), "caption", wrap=True
        )
        for widget in (self._typed_note, self.typed_field):
            widget.setVisible(bool(self._typed))
        self._timer = QTimer(self)
        self._timer.setInterval(_REFRESH_MS)
        self._timer.timeout.connect(self.show_progress)
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(_TYPING_MS)
        self._later.timeout.connect(self.look)

    def arrange(self, table: DataTable) -> None:
        """Put the parts below each other."""
        table.setMinimumHeight(190)
        self.body.addLayout(self.form)
        self.body.addWidget(self.loss)
        self.body.addWidget(table, 1)
        self.body.addWidget(self.bar)
        self.body.addWidget(self.status)
        self.body.addWidget(self._typed_note)
        self.body.addWidget(self.typed_field)
        self.body.addWidget(Disclosure(tr("Command"), self.command))
        self.resize(680, 560)

    def look(self) -> None:
        """Begin the dry run anew."""
        self.ready = False
        self.update_verb()
        self._start(self._look(), tr("look what would be done"))

    def look_soon(self) -> None:
        """The same, once typing has ended."""
        self.ready = False
        self.update_verb()
        self._later.start()

    async def _look(self) -> None:
        raise NotImplementedError

    async def _change(self) -> None:
        raise NotImplementedError

    def progress(self) -> BulkProgress:
        """How far it is."""
        raise NotImplementedError

    def stop(self) -> None:
        """Ask for no more."""
        raise NotImplementedError

    def update_verb(self) -> None:
        """The verb waits for the dry run, and for what has to be typed."""
        typed = not self._typed or self.typed_field.text() == self._typed
        self.verb_button.setEnabled(self.ready and typed and not self._running)

    def _start(self, work: Coroutine[Any, Any, None], description: str) -> None:
        if self._task is not None:
            self._task.cancel()
        self.show_error("")
        self.bar.setRange(0, 0)
        self.bar.show()
        self._timer.start()
        self._task = self.context.run(self._guarded(work), description)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        own = asyncio.current_task()
        try:
            await work
        except (Failure, FileProblem, ClusterError, OSError) as error:
            self.show_error(str(error))
        finally:
            if self._task is own:
                self._task = None
                self._running = False
                self._timer.stop()
                self.bar.hide()
                self.update_verb()

    def show_progress(self) -> None:
        """Say how far it is."""
        progress = self.progress()
        if progress.total:
            self.bar.setRange(0, progress.total)
            self.bar.setValue(min(progress.read, progress.total))
        self.status.setText(
            tr(
                "{read} of {total} looked at",
                read=figures.integer(progress.read),
                total=figures.integer(max(progress.total, progress.read)),
            )
        )

    def accept(self) -> None:
        """Do it."""
        if self.ready and not self._running and self.verb_button.isEnabled():
            self._running = True
            self.update_verb()
            self._start(self._change(), tr("change the keys"))

    def finished_well(self, outcome: tuple[str, str]) -> None:
        """Tell, and close."""
        self.context.notify(*outcome)
        super().accept()

    def reject(self) -> None:
        """Stop what is under way; writes that were sent are finished."""
        if self._running and self._task is not None:
            self.stop()
            return
        if self._task is not None:
            self._task.cancel()
        super().reject()


def entries_table(name: str) -> DataTable:
    """The list of keys of a dry run."""
    return DataTable(
        [
            Column("key", tr("Key"), lambda r: r.key, "mono", 200, stretch=True),
            Column("revision", tr("Revision"), lambda r: r.revision, "number", 80),
            Column("time", tr("Written"), lambda r: r.time_ns, "time", 110),
            operation_column(),
            Column("size", tr("Size"), lambda r: r.size, "bytes", 76),
        ],
        lambda r: r.key,
        name,
    )


class DeleteBelowDialog(BulkDialog):
    """Which keys, and how: with markers, with their history, or without a trace."""

    def __init__(
        self, parent: QWidget | None, context: ScreenContext, keys: KeyReader, within: str, text: str
    ) -> None:
        name = keys.bucket.name
        title = tr("Delete keys of {bucket} that begin alike", bucket=name)
        super().__init__(parent, context, title, tr("Delete keys"), name, danger=True)
        self._keys = keys
        self._text = text
        self.begin = QLineEdit(within)
        self.begin.setProperty("role", "mono")
        self.begin.setPlaceholderText(tr("all keys"))
        self.only_found = QCheckBox(tr("Only those that hold “{text}”", text=text))
        self.only_found.setChecked(bool(text))
        self.how = QComboBox()
        self.how.addItem(tr("Delete: leave markers, so that watchers are told"), "delete")
        self.how.addItem(tr("Purge: leave markers, and nothing of the history"), "purge")
        self.how.addItem(tr("Remove without a trace: nobody is told"), "remove")
        add_form_row(self.form, tr("Begin with"), self.begin)
        if text:
            add_form_row(self.form, "", self.only_found)
        add_form_row(self.form, tr("How"), self.how)
        self.table = entries_table("delete_keys")
        self.table.set_state("loading")
        self.arrange(self.table)
        self._deletion = self._made()
        self.begin.textChanged.connect(lambda _: self.look_soon())
        self.only_found.toggled.connect(lambda _: self.look())
        self.how.currentIndexChanged.connect(lambda _: self.look())
        self.look()

    def _made(self) -> KeyDeletion:
        text = self._text if self.only_found.isChecked() else ""
        purge = self.how.currentData() != "delete"
        begin = self.begin.text().strip()
        return KeyDeletion(self.context.session, self._keys, begin, text, purge=purge)

    def progress(self) -> BulkProgress:
        """Of the dry run, or the work."""
        return self._deletion.progress

    def stop(self) -> None:
        """Ask for no more."""
        self._deletion.stop()

    @property
    def _removes(self) -> bool:
        return bool(self.how.currentData() == "remove")

    def _removal(self) -> actions.Action:
        bucket = self._keys.bucket
        subject = subject_filter(bucket.prefix, self._deletion.within) if self._deletion.within else ""
        return actions.purge_stream(bucket.stream, subject=subject)

    async def _look(self) -> None:
        self._deletion.stop()
        deletion = self._deletion = self._made()
        if self._removes and not deletion.purges_whole:
            self.table.set_rows([])
            self.table.set_state("empty", tr("Nothing to list."))
            self.loss.setText(
                tr("The server removes without a trace only what begins with whole parts, such as “app.db.”.")
            )
            self.status.setText("")
            return
        first = await deletion.look()
        if deletion is not self._deletion:
            return
        count = deletion.progress.done
        self._list(first, count)
        self.loss.setText(self._sentence(count))
        action = self._removal() if self._removes else deletion.action
        self.command.set_text(action.equivalent(self.context.session))
        self.ready = count > 0
        self.update_verb()

    def _list(self, first: list[Entry], count: int) -> None:
        self.table.set_rows([KeyRow.of(entry) for entry in first])
        self.table.set_state("ready" if first else "empty", tr("No key begins like this."), icon="funnel")
        if count > len(first):
            self.status.setText(tr("The first {count} are listed.", count=figures.integer(LISTED)))
        else:
            self.status.setText("")

    def _sentence(self, count: int) -> str:
        keys = tr_count("{count} key", "{count} keys", count, count=figures.integer(count))
        if self._removes:
            return tr("{keys} with their history and markers are lost for good.", keys=keys)
        if self.how.currentData() == "purge":
            return tr("{keys} with their history are lost for good. Markers stay.", keys=keys)
        if self._keys.bucket.history == 1:
            return tr("The values of {keys} are lost for good: the bucket keeps one of each.", keys=keys)
        return tr("{keys} are deleted. Older values stay in the history.", keys=keys)

    def show_progress(self) -> None:
        """Say how far it is."""
        if self._running or self._task is not None:
            super().show_progress()

    async def _change(self) -> None:
        if self._removes:
            assert is_exact(self._deletion.within)
            answer = await self._removal().run(self.context.session)
            purged = int(answer.get("purged") or 0)
            text = tr_count(
                "{count} value was removed.",
                "{count} values were removed.",
                purged,
                count=figures.integer(purged),
            )
            self.finished_well((text, "good"))
            return
        done = await self._deletion.run()
        self.finished_well(bulk_outcome(done))


class ClearMarkersDialog(BulkDialog):
    """Markers older than some time go, with what is left of the keys' history."""

    def __init__(self, parent: QWidget | None, context: ScreenContext, keys: KeyReader, within: str) -> None:
        name = keys.bucket.name
        title = tr("Clear delete markers of {bucket}", bucket=name)
        super().__init__(parent, context, title, tr("Clear markers"), name, danger=True)
        self._keys = keys
        self._within = within
        self.age = QLineEdit("30min")
        self.age.setProperty("role", "mono")
        add_form_row(
            self.form,
            tr("Older than"),
            self.age,
            tr("Younger ones stay, so that watchers that were away are told. Empty takes all."),
        )
        self.table = entries_table("clear_markers")
        self.table.set_state("loading")
        self.arrange(self.table)
        self._clearing = MarkerClearing(context.session, keys, within, 0)
        self.age.textChanged.connect(lambda _: self.look_soon())
        self.look()

    def progress(self) -> BulkProgress:
        """Of the dry run, or the work."""
        return self._clearing.progress

    def stop(self) -> None:
        """Ask for no more."""
        self._clearing.stop()

    async def _look(self) -> None:
        self._clearing.stop()
        try:
            age = parse_duration(self.age.text())
        except FieldError as error:
            self.show_error(str(error))
            return
        clearing = MarkerClearing(self.context.session, self._keys, self._within, time.time_ns() - age)
        self._clearing = clearing
        first = await clearing.look()
        if clearing is not self._clearing:
            return
        count = len(clearing.found)
        self.table.set_rows([KeyRow.of(entry) for entry in first])
        self.table.set_state("ready" if first else "empty", tr("There are no such markers."), icon="eraser")
        self.loss.setText(
            tr_count(
                "{count} deleted key goes, with its marker and what is left of its history.",
                "{count} deleted keys go, with their markers and what is left of their history.",
                count,
                count=figures.integer(count),
            )
        )
        many = tr("The first {count} are listed.", count=figures.integer(LISTED))
        self.status.setText(many if count > LISTED else "")
        self.command.set_text(clearing.action.equivalent(self.context.session))
        self.ready = count > 0
        self.update_verb()

    async def _change(self) -> None:
        self.finished_well(bulk_outcome(await self._clearing.run()))
