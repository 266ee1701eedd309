"""The dialog that removes messages of a station."""

from __future__ import annotations

from PySide6.QtWidgets import QComboBox, QLineEdit, QWidget

from memphis_desktop.cluster import actions
from memphis_desktop.cluster.actions import Action
from memphis_desktop.cluster.model import StreamSnapshot
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.dialogs import (
    ConfirmDialog,
    Disclosure,
    add_form_row,
    form_layout,
)
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.field_values import FieldError, parse_count


class PurgeDialog(ConfirmDialog):
    """Which messages to remove: all, a subject's, those below a sequence, or all but the newest."""

    def __init__(
        self,
        parent: QWidget | None,
        stream: StreamSnapshot,
        context: ScreenContext,
        typed: str | None,
        subject: str = "",
    ) -> None:
        self._stream = stream
        self._session = context.session
        super().__init__(
            parent, tr("Purge station {name}?", name=stream.name), "", tr("Purge station"), typed
        )
        self._what = QComboBox()
        for label in (tr("All messages"), tr("Those below a sequence"), tr("All but the newest")):
            self._what.addItem(label)
        self._number = QLineEdit()
        self._number.setAccessibleName(tr("Sequence or number"))
        self._subject = QLineEdit(subject)
        self._subject.setPlaceholderText(tr("all subjects"))
        self._subject.setProperty("role", "mono")
        self._loss = PlainLabel("", wrap=True)
        self._command = CodeBlock(lines=8)
        form = form_layout()
        add_form_row(form, tr("Remove"), self._what)
        add_form_row(form, tr("Number"), self._number)
        add_form_row(form, tr("Subject"), self._subject, tr("Only on this subject; * and > as wildcards."))
        self._form = form
        self.body.insertWidget(0, self._loss)
        self.body.insertLayout(1, form)
        self.body.addWidget(Disclosure(tr("Command"), self._command))
        self._what.currentIndexChanged.connect(lambda _: self._refresh())
        self._number.textChanged.connect(lambda _: self._refresh())
        self._subject.textChanged.connect(lambda _: self._refresh())
        self._refresh()

    def action(self) -> Action:
        """What was chosen. Raises `FieldError` when the number is none."""
        choice = self._what.currentIndex()
        number = parse_count(self._number.text()) if choice else 0
        if choice and number <= 0:
            raise FieldError(tr("Write a number above 0."))
        return actions.purge_stream(
            self._stream.name,
            subject=self._subject.text().strip(),
            below=number if choice == 1 else 0,
            keep=number if choice == 2 else 0,
        )

    def _refresh(self) -> None:
        self._form.setRowVisible(self._number, self._what.currentIndex() > 0)
        stream = self._stream
        try:
            action = self.action()
        except FieldError as error:
            self._loss.setText(str(error))
            self.verb_button.setEnabled(False)
            return
        self._loss.setText(self._sentence())
        self._command.set_text(action.equivalent(self._session))
        typed = self.field is None or self.field.text() == stream.name
        self.verb_button.setEnabled(typed)

    def _sentence(self) -> str:
        stream = self._stream
        choice, subject = self._what.currentIndex(), self._subject.text().strip()
        lost = stream.messages
        if choice == 1:
            lost = max(0, min(stream.messages, parse_count(self._number.text()) - stream.first_sequence))
        elif choice == 2:
            lost = max(0, stream.messages - parse_count(self._number.text()))
        count = tr_count("{count} message", "{count} messages", lost, count=figures.integer(lost))
        if subject:
            return tr(
                "Messages on {subject}, of at most {count}, are removed for good.",
                subject=subject,
                count=count,
            )
        if lost == stream.messages:
            return tr(
                "{count} ({size}) are removed for good. Groups and configuration stay.",
                count=count,
                size=figures.bytes_size(stream.bytes),
            )
        return tr("{count} are removed for good. Groups and configuration stay.", count=count)
