"""Deleting the selection, or all that a search matches: counted first, then asked, then done with a stop."""

from __future__ import annotations

import json
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QCheckBox, QLineEdit, QProgressBar

from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.cluster.message_deletion import MessageDeletion, delete_messages
from memphis_desktop.inspect.matches import without_limits
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.scan import ScanRequest
from memphis_desktop.inspect.search import SearchJob, SearchProgress, SearchState
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.dialogs import Dialog, Disclosure
from memphis_desktop.ui.components.labels import PlainLabel

if TYPE_CHECKING:
    from memphis_desktop.ui.screens.messages.browser import MessageBrowser

_REFRESH_MS = 150
SHOWN = 100  # of what will go, listed


class DeletionDialog(Dialog):
    """Says what will go and how much it is; the stream's name is typed before anything goes.

    With `messages` these are deleted, with `request` everything that it matches, listed or not.
    """

    def __init__(
        self,
        browser: MessageBrowser,
        *,
        messages: Sequence[InspectedMessage] = (),
        request: ScanRequest | None = None,
        erase: bool = False,
    ) -> None:
        what = (
            tr("all matches")
            if request is not None
            else tr_count(
                "{count} message", "{count} messages", len(messages), count=figures.integer(len(messages))
            )
        )
        super().__init__(
            browser.window(),
            tr("Delete {what} of {stream}", what=what, stream=browser.stream),
            tr("Delete"),
            danger=True,
            width=620,
        )
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._browser = browser
        self._context = browser.context
        self._request = request
        self.sequences: array[int] = array("Q", [message.sequence for message in messages])
        self._size = sum(message.size for message in messages)
        self._samples = list(messages[:SHOWN])
        self.job: SearchJob | None = None
        self.deletion: MessageDeletion | None = None
        self._counted = request is None
        self._finished = False
        self._timer = QTimer(self)
        self._timer.setInterval(_REFRESH_MS)
        self._timer.timeout.connect(self._show)
        self._build(erase)
        if request is not None:
            self._count(request)
        self._show()

    # Building -----------------------------------------------------------------------------------

    def _build(self, erase: bool) -> None:
        if self._request is not None:
            self.body.addWidget(PlainLabel(_query(self._request), "mono", wrap=True))
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName(tr("Progress"))
        self.note = PlainLabel("", wrap=True)
        zone = self._context.zone
        self.table = DataTable(
            [
                Column("sequence", tr("Sequence"), lambda row: row.sequence, kind="number", width=110),
                Column("time", tr("Stored"), lambda row: row.time_ns, width=200,
                       text=lambda value: figures.timestamp(value, zone, digits=3)),
                Column("subject", tr("Subject"), lambda row: row.subject, kind="mono", width=200,
                       stretch=True),
            ],
            lambda row: row.sequence,
            "messages_to_delete",
        )  # fmt: skip
        self.table.setFixedHeight(170)
        self.erase_check = QCheckBox(tr("Overwrite their bytes on disk too"))
        self.erase_check.setChecked(erase)
        self.erase_check.toggled.connect(lambda _: self._show())
        name = self._browser.stream
        self.field = QLineEdit()
        self.field.setAccessibleName(tr("Type {name} to go on", name=name))
        self.field.setProperty("role", "mono")
        self.field.textChanged.connect(lambda _: self._show())
        self.command = CodeBlock("", lines=6)
        for widget in (self.note, self.bar, self.table, self.erase_check):
            self.body.addWidget(widget)
        self.body.addWidget(PlainLabel(tr("Type {name} to go on.", name=name), "caption", wrap=True))
        self.body.addWidget(self.field)
        self.body.addWidget(Disclosure(tr("Command"), self.command))
        self.field.setFocus()

    # Counting -----------------------------------------------------------------------------------

    def _count(self, request: ScanRequest) -> None:
        session = self._context.session
        every = without_limits(request, payloads=False)
        self.job = SearchJob(session.nats, session.profile, every, self._found)
        self.job.start()

    def _found(self, progress: SearchProgress, messages: list[InspectedMessage]) -> None:
        self.sequences.extend(message.sequence for message in messages)
        self._size = progress.matched_bytes
        if len(self._samples) < SHOWN and messages:
            self._samples += messages[: SHOWN - len(self._samples)]
        self._counted = progress.state.ended
        self._show()

    def _show(self) -> None:
        """Bring everything up to date."""
        if len(self._samples) != len(self.table.rows()):
            self.table.set_rows(list(self._samples))
        deletion = self.deletion
        if deletion is not None:
            done, total = deletion.progress.done, max(deletion.progress.total, 1)
            self.bar.setValue(round(1000 * done / total))
            whole = tr_count(
                "{count} message",
                "{count} messages",
                deletion.progress.total,
                count=figures.integer(deletion.progress.total),
            )
            self.note.setText(tr("{done} of {whole} done", done=figures.integer(done), whole=whole))
            return
        self.verb_button.setText(self._verb())
        count = len(self.sequences)
        self.verb_button.setEnabled(self._counted and count > 0 and self.field.text() == self._browser.stream)
        progress = self.job.progress if self.job is not None else None
        self.bar.setVisible(progress is not None and not self._counted)
        if progress is not None and not self._counted:
            self.bar.setValue(round(1000 * progress.share))
            self.note.setText(
                tr_count(
                    "Looking for them: {count} match in {messages} read",
                    "Looking for them: {count} matches in {messages} read",
                    count,
                    count=figures.integer(count),
                    messages=tr_count(
                        "{count} message",
                        "{count} messages",
                        progress.scanned,
                        count=figures.integer(progress.scanned),
                    ),
                )
            )
            self.cancel_button.setText(tr("Stop"))
            return
        self.cancel_button.setText(tr("Cancel"))
        self.note.setText(self._summary(progress))
        if progress is not None and progress.state is SearchState.FAILED:
            self.show_error(tr("They could not be looked for: {reason}.", reason=progress.reason))
        elif count:
            self.command.set_text(self._commands())

    def _commands(self) -> str:
        """The same by hand: a command, or a request, for each message."""
        erase = self.erase_check.isChecked()
        action = delete_messages(self._browser.stream, self.sequences, erase=erase)
        body = json.dumps({"seq": self.sequences[0], **({} if erase else {"no_erase": True})})
        return f"{action.command}\n\n{action.subject(self._context.session)}\n{body}"

    def _verb(self) -> str:
        erase = self.erase_check.isChecked()
        if not self._counted:
            return tr("Erase") if erase else tr("Delete")
        total = len(self.sequences)
        if erase:
            return tr_count(
                "Erase {count} message", "Erase {count} messages", total, count=figures.integer(total)
            )
        return tr_count(
            "Delete {count} message", "Delete {count} messages", total, count=figures.integer(total)
        )

    def _summary(self, progress: SearchProgress | None) -> str:
        if not self.sequences:
            return tr("There is nothing to delete.")
        count = tr_count(
            "{count} message",
            "{count} messages",
            len(self.sequences),
            count=figures.integer(len(self.sequences)),
        )
        size = figures.bytes_size(self._size)
        ends = f"#{figures.integer(min(self.sequences))} – #{figures.integer(max(self.sequences))}"
        text = tr(
            "{messages} ({size}, {ends}) will be removed for good. Their sequences stay empty.",
            messages=count,
            size=size,
            ends=ends,
        )
        if progress is not None and progress.state is SearchState.STOPPED:
            text = f"{text} {tr('These are the matches in the part that was read.')}"
        if progress is not None and progress.errors:
            failed = tr_count(
                "The filter failed on {count} message; they stay.",
                "The filter failed on {count} messages; they stay.",
                progress.errors,
                count=figures.integer(progress.errors),
            )
            text = f"{text} {failed}"
        return text

    # Deleting -----------------------------------------------------------------------------------

    def accept(self) -> None:
        """Begin to delete."""
        if self.deletion is not None or not self.verb_button.isEnabled():
            return
        self.show_error("")
        erase = self.erase_check.isChecked()
        self.deletion = MessageDeletion(
            self._context.session, self._browser.stream, self.sequences, erase=erase
        )
        for widget in (self.verb_button, self.erase_check, self.field):
            widget.setEnabled(False)
        self.cancel_button.setText(tr("Stop"))
        self.bar.show()
        self._timer.start()
        self._browser.run(self._delete(self.deletion, erase), tr("delete the messages"))

    async def _delete(self, deletion: MessageDeletion, erase: bool) -> None:
        stream = self._browser.stream
        try:
            progress = await deletion.run()
        except ClusterError as error:
            self._ended(f"{str(error).rstrip('.')}.")
            return
        self._browser.message_actions.show_removed(deletion.removed)
        await self._browser.places.refresh()
        count = tr_count(
            "{count} message", "{count} messages", progress.removed, count=figures.integer(progress.removed)
        )
        if progress.failed:
            failed = tr_count(
                "{count} message", "{count} messages", progress.failed, count=figures.integer(progress.failed)
            )
            values = {"messages": count, "failed": failed, "problem": progress.problem.rstrip(".")}
            text = (
                tr("Erased {messages}; {failed} could not be deleted: {problem}.", **values)
                if erase
                else tr("Deleted {messages}; {failed} could not be deleted: {problem}.", **values)
            )
            self._ended(f"{text} {tr('The rest was not tried.')}" if progress.stopped else text)
            return
        text = (
            tr("Erased {messages} of {stream}.", messages=count, stream=stream)
            if erase
            else tr("Deleted {messages} of {stream}.", messages=count, stream=stream)
        )
        if progress.stopped:
            left = figures.integer(progress.total - progress.done)
            text = f"{text} {tr('Stopped; {left} are left.', left=left)}"
        self._context.notify(text, "warning" if progress.stopped else "good")
        super().accept()

    def _ended(self, problem: str) -> None:
        self._timer.stop()
        self._show()
        self.show_error(problem)
        self.cancel_button.setText(tr("Close"))
        self._finished = True

    def reject(self) -> None:
        """Stop what is under way: looking keeps what was found, deleting ends; else close."""
        if self.deletion is not None and not self._finished:
            self.deletion.stop()
        elif self.job is not None and not self._counted:
            self.job.stop()
        else:
            super().reject()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Closing the window ends what is under way."""
        self._let_go()
        super().closeEvent(event)

    def done(self, result: int) -> None:
        """Nothing goes on without the dialog."""
        self._let_go()
        super().done(result)

    def _let_go(self) -> None:
        if self.job is not None:
            self.job.close()
        if self.deletion is not None:
            self.deletion.stop()


def _query(request: ScanRequest) -> str:
    parts = [request.filter.strip() or "every message"]
    if request.subject:
        parts.append(f"on {request.subject}")
    parts.append(f"#{figures.integer(request.first)} – #{figures.integer(request.last)}")
    return "  ·  ".join(parts)
