"""Sending again what the Memphis layer keeps: to the groups that gave it up, as it was or edited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from PySide6.QtWidgets import QComboBox, QLineEdit, QPlainTextEdit, QWidget

from memphis_desktop.cluster.dead_letters.later import Order
from memphis_desktop.cluster.dead_letters.letters import DeadLetter, LetterKind
from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.inspect.draft import BodyForm, Draft, write_body
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.dialogs import Dialog, Disclosure, add_form_row, form_layout
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.memphis.changes import MemphisChange
from memphis_desktop.ui.memphis.letters import resend_changes
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.composer.header_grid import HeaderGrid
from memphis_desktop.ui.screens.dead_letters.delayed import delay_box
from memphis_desktop.ui.screens.dead_letters.words import cause_text
from memphis_desktop.ui.shell import first_steps
from memphis_desktop.ui.theme import fonts

_EVERY = ""
_OWN = ("$memphis_pm_", "nats-")  # headers that the service sets itself, or that would act on the copy


class GroupResendDialog(Dialog):
    """To which of the groups that failed them; the service sends, and keeps each until it is acknowledged."""

    def __init__(
        self,
        parent: QWidget,
        context: ScreenContext,
        letters: Sequence[DeadLetter],
        typed_name: str | None,
    ) -> None:
        count = figures.integer(len(letters))
        title = tr_count(
            "Resend {count} dead letter", "Resend {count} dead letters", len(letters), count=count
        )
        super().__init__(parent, title, title, width=560)
        self.context = context
        self.letters = [letter for letter in letters if letter.kind is not LetterKind.SCHEMA]
        self._typed_name = typed_name
        self._task: asyncio.Task[None] | None = None
        self.group = QComboBox()
        self.group.addItem(tr("Every group that gave them up"), _EVERY)
        for name in sorted({group for letter in self.letters for group in letter.groups}):
            self.group.addItem(tr("Only {name}", name=name), name)
        form = form_layout()
        text = tr(
            "A member of the group has to be connected. A letter stays until the group acknowledges it."
        )
        self.start = delay_box()
        add_form_row(form, tr("Send to"), self.group, text)
        add_form_row(form, tr("Begin"), self.start)
        self.body.addLayout(form)
        left_out = len(letters) - len(self.letters)
        if left_out:
            words = tr_count(
                "{count} a schema refused is left out: it can be sent edited.",
                "{count} a schema refused are left out: they can be sent edited.",
                left_out,
                count=figures.integer(left_out),
            )
            self.body.addWidget(PlainLabel(words, "warning", wrap=True))
        self.typed: QLineEdit | None = None
        if typed_name is not None:
            self.typed = QLineEdit()
            self.typed.setProperty("role", "mono")
            self.typed.setAccessibleName(tr("Type {typed_name} to go on", typed_name=typed_name))
            self.typed.textChanged.connect(self._refresh)
            self.body.addWidget(
                PlainLabel(tr("Type {typed_name} to go on.", typed_name=typed_name), "caption")
            )
            self.body.addWidget(self.typed)
        self._code = CodeBlock(lines=6, wrap=True)
        self.body.addWidget(Disclosure(tr("Command"), self._code))
        self.group.currentIndexChanged.connect(self._refresh)
        self._refresh()

    def _changes(self) -> list[MemphisChange]:
        group = str(self.group.currentData())
        wanted = [letter for letter in self.letters if not group or group in letter.groups]
        return resend_changes(wanted, group)

    def _refresh(self) -> None:
        self._code.set_text("\n".join(change.command for change in self._changes()))
        agreed = self.typed is None or self.typed.text() == self._typed_name
        self.verb_button.setEnabled(agreed and bool(self.letters))

    def accept(self) -> None:
        """Ask the service; close when all were sent, say which were not otherwise."""
        if self._task is not None and not self._task.done():
            return
        changes, seconds = self._changes(), int(self.start.currentData())
        self.verb_button.setEnabled(False)
        running = self._order(seconds) if seconds else self._run(changes)
        self._task = asyncio.get_running_loop().create_task(running)

    async def _order(self, seconds: int) -> None:
        """Have the connection send them later."""
        group = str(self.group.currentData())
        wanted = [letter for letter in self.letters if not group or group in letter.groups]
        try:
            await self.context.session.later.add(Order(wanted, time.time() + seconds, group=group))
        except (ClusterError, OSError) as error:
            self.show_error(str(error))
            self.verb_button.setEnabled(True)
            return
        super().accept()

    async def _run(self, changes: list[MemphisChange]) -> None:
        try:
            told, problem = await _send(self.context, changes)
        except ClusterError as error:
            self.show_error(str(error))
            return
        finally:
            self.verb_button.setEnabled(True)
        if problem:
            self.show_error(f"{told} {problem}")
            return
        self.context.notify(told, "good")
        super().accept()


async def _send(context: ScreenContext, changes: list[MemphisChange]) -> tuple[str, str]:
    """Ask the service; returns what was sent and what was not, in sentences. Raises ClusterError."""
    sent, failed = 0, []
    for change in changes:
        answer = await change.run(context.session)
        sent += int(answer.get("sent") or 0)
        failed += list((answer.get("failed") or {}).values())
    if sent:
        first_steps.reach(first_steps.RESEND)
    told = tr_count(
        "{count} dead letter sent to their groups.",
        "{count} dead letters sent to their groups.",
        sent,
        count=figures.integer(sent),
    )
    if not failed:
        return told, ""
    number = figures.integer(len(failed))
    return told, tr_count(
        "{count} not: {reason}.", "{count} not: {reason}.", len(failed), count=number, reason=failed[0]
    )


class EditResendDialog(Dialog):
    """Another payload and other headers for one letter, sent to its groups or produced to its station."""

    def __init__(
        self, parent: QWidget, context: ScreenContext, letter: DeadLetter, message: InspectedMessage
    ) -> None:
        super().__init__(
            parent, tr("Edit and resend a dead letter of {home}", home=letter.home), tr("Resend"), width=680
        )
        self.context = context
        self.letter = letter
        self._task: asyncio.Task[None] | None = None
        form, text = write_body(message.payload)
        self._hex = form is BodyForm.HEX
        self.group = QComboBox()
        self.group.addItem(tr("Every group that gave it up"), _EVERY)
        for name in letter.groups:
            self.group.addItem(tr("Only {name}", name=name), name)
        layout = form_layout()
        if letter.kind is LetterKind.SCHEMA:
            words = tr("It is produced to {station} if it fits the schema now.", station=letter.home)
            words = f"{words} {cause_text(letter.cause)}"
        else:
            add_form_row(layout, tr("Send to"), self.group)
            words = tr("The letter itself stays as it was, until a group acknowledges it.")
        self.body.addLayout(layout)
        self.body.addWidget(PlainLabel(words, "muted", wrap=True))
        self.headers = HeaderGrid()
        own = [item for item in message.headers if not item[0].lower().startswith(_OWN)]
        self.headers.set_headers(own)
        self.headers.setFixedHeight(130)
        self.body.addWidget(self.headers)
        self.editor = QPlainTextEdit(text)
        self.editor.setFont(fonts.monospace())
        self.editor.setProperty("role", "mono")
        self.editor.setAccessibleName(tr("Payload in hexadecimal") if self._hex else tr("Payload"))
        self.editor.setMinimumHeight(200)
        self.body.addWidget(self.editor, 1)
        self.resize(720, 600)

    def wanted(self) -> MemphisChange:
        """The request; raises ValueError when the payload cannot be read."""
        draft = Draft(form=BodyForm.HEX if self._hex else BodyForm.TEXT, body=self.editor.toPlainText())
        body: dict[str, Any] = {
            "station": self.letter.home,
            "id": self.letter.external,
            "group": str(self.group.currentData() or ""),
            "payload_hex": draft.payload().hex(),
            "headers": {name: value for name, value in self.headers.headers() if name},
        }
        title = tr("Resend a dead letter of {station}, edited", station=self.letter.home)
        return MemphisChange(title, "dead_letters.resend_edited", body, self.letter.home)

    def accept(self) -> None:
        """Ask the service; close when it was done."""
        if self._task is not None and not self._task.done():
            return
        try:
            change = self.wanted()
        except ValueError as error:
            self.show_error(str(error))
            return
        self.verb_button.setEnabled(False)
        self._task = asyncio.get_running_loop().create_task(self._run(change))

    async def _run(self, change: MemphisChange) -> None:
        try:
            await change.run(self.context.session)
        except ClusterError as error:
            self.show_error(str(error))
        else:
            self.context.notify(tr("The edited message was sent."), "good")
            super().accept()
        finally:
            self.verb_button.setEnabled(True)
