"""Answering requests on a subject by hand: a stand-in for a service while others are tried out."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QDoubleSpinBox, QLineEdit, QPlainTextEdit, QWidget
from shiboken6 import isValid

from memphis_desktop.errors import Failure
from memphis_desktop.inspect.draft import BodyForm, Draft
from memphis_desktop.inspect.responder import Responder
from memphis_desktop.inspect.templates import TemplateError
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.dialogs import Dialog, add_form_row, form_layout
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import ScreenContext

_REFRESH_MS = 200


class ResponderDialog(Dialog):
    """Answers as long as it is open."""

    def __init__(self, parent: QWidget | None, context: ScreenContext, subject: str = "") -> None:
        super().__init__(parent, tr("Answer requests"), tr("Start answering"), width=540)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setModal(False)
        self._context = context
        self.responder: Responder | None = None
        self.subject_field = QLineEdit(subject)
        self.subject_field.setProperty("role", "mono")
        self.subject_field.setPlaceholderText("service.price.*")  # untranslated: a subject
        self.body_field = QPlainTextEdit('{"ok": true}')
        self.body_field.setProperty("role", "mono")
        self.body_field.setFixedHeight(110)
        self.body_field.setTabChangesFocus(True)
        self.delay_box = QDoubleSpinBox()
        self.delay_box.setRange(0, 60)
        self.delay_box.setDecimals(2)
        self.delay_box.setSuffix(" s")
        form = form_layout()
        add_form_row(form, tr("On subject"), self.subject_field)
        add_form_row(
            form,
            tr("Answer"),
            self.body_field,
            tr("{{counter}}, {{uuid}}, {{now}} and the like are filled in."),
        )
        add_form_row(form, tr("After"), self.delay_box)
        self.note = PlainLabel(
            tr("Every request is answered while this window is open."), "caption", wrap=True
        )
        self.body.addLayout(form)
        self.body.addWidget(self.note)
        self.cancel_button.setText(tr("Close"))
        self._timer = QTimer(self)
        self._timer.setInterval(_REFRESH_MS)
        self._timer.timeout.connect(self._show)
        if context.session.profile.read_only:
            self.verb_button.setEnabled(False)
            self.show_error(tr("This connection is read-only: nothing is published on it."))
        self.subject_field.setFocus()

    def accept(self) -> None:
        """Start or stop."""
        if self.responder is not None:
            self._stop()
            return
        pattern = self.subject_field.text().strip()
        tokens = pattern.split(".")
        if not pattern or any(not token or " " in token for token in tokens) or ">" in tokens[:-1]:
            self.show_error(tr("Type the subject, or a pattern such as service.price.*."))
            return
        draft = Draft(pattern, (), BodyForm.TEXT, self.body_field.toPlainText())
        session = self._context.session
        try:
            session.require_writable()
            responder = Responder(session.nats, pattern, draft, delay=self.delay_box.value())
        except (Failure, TemplateError, ValueError) as error:
            self.show_error(f"{str(error)[:1].upper()}{str(error)[1:].rstrip('.')}.")
            return
        self.show_error("")
        self.responder = responder
        self._context.run(self._start(responder), tr("answer requests"))

    async def _start(self, responder: Responder) -> None:
        try:
            await responder.start()
        except Failure as error:
            if isValid(self):
                self.responder = None
                self.show_error(f"{error}.")
            return
        if not isValid(self) or self.responder is not responder:
            await responder.stop()  # closed meanwhile
            return
        self.verb_button.setText(tr("Stop answering"))
        for widget in (self.subject_field, self.body_field, self.delay_box):
            widget.setEnabled(False)
        self._timer.start()

    def _stop(self) -> None:
        responder, self.responder = self.responder, None
        self._timer.stop()
        if responder is not None:
            self._context.run(responder.stop(), tr("end answering"))
        self.verb_button.setText(tr("Start answering"))
        for widget in (self.subject_field, self.body_field, self.delay_box):
            widget.setEnabled(True)

    def _show(self) -> None:
        responder = self.responder
        if responder is None:
            return
        parts = [
            tr_count(
                "{count} request answered",
                "{count} requests answered",
                responder.answered,
                count=figures.integer(responder.answered),
            )
        ]
        if responder.not_requests:
            parts.append(
                tr_count(
                    "{count} message wanted no answer",
                    "{count} messages wanted no answer",
                    responder.not_requests,
                    count=figures.integer(responder.not_requests),
                )
            )
        if responder.left_out:
            parts.append(
                tr(
                    "{left_out} not answered: {problem}",
                    left_out=figures.integer(responder.left_out),
                    problem=responder.problem,
                )
            )
        self.note.setText("  ·  ".join(parts))

    def done(self, result: int) -> None:
        """Nothing is answered without the window."""
        if self.responder is not None:
            self._stop()
        super().done(result)
