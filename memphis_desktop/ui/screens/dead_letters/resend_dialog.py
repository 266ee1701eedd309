"""Sending dead letters of plain streams again: where to, when, at what pace; then how it goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QLineEdit,
    QProgressBar,
    QSizePolicy,
    QSpinBox,
    QWidget,
)

from memphis_desktop.cluster.dead_letters.later import Order
from memphis_desktop.cluster.dead_letters.letters import DeadLetter, LetterKind, Presence
from memphis_desktop.cluster.dead_letters.resend import (
    DEFAULT_CAP,
    Fate,
    ResendOptions,
    ResendProgress,
    ResendRun,
    command_lines,
)
from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.cluster.one_consumer import ConsumerPlan, NotPossible, plan_for
from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.publishing import PublishError, check_subject
from memphis_desktop.inspect.replay.undo import Undo
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.dialogs import Dialog, Disclosure, add_form_row, form_layout, make_room
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.dead_letters.delayed import delay_box, fates_sentence
from memphis_desktop.ui.shell import first_steps

_REFRESH_MS = 150


class ResendDialog(Dialog):
    """Where to, when, how fast, how often at most; then the progress, in the same place."""

    def __init__(
        self,
        context: ScreenContext,
        parent: QWidget,
        letters: Sequence[DeadLetter],
        typed_name: str | None,
    ) -> None:
        count = figures.integer(len(letters))
        title = tr_count(
            "Resend {count} dead letter", "Resend {count} dead letters", len(letters), count=count
        )
        super().__init__(parent, title, title, width=600)
        self.context = context
        self.letters = list(letters)
        self.result_of: ResendRun | None = None
        self._typed_name = typed_name
        self._timer = QTimer(self)
        self._timer.setInterval(_REFRESH_MS)
        self._timer.timeout.connect(self._show_progress)
        self._build()
        self._changed()

    def _build(self) -> None:
        gone = sum(letter.original.presence is Presence.GONE for letter in self.letters)
        self.warning = Banner("warning", "")
        self.warning.setVisible(bool(gone))
        if gone:
            self.warning.set_content(
                "warning",
                tr_count(
                    "{count} message cannot be sent: no longer in the station.",
                    "{count} messages cannot be sent: no longer in the station.",
                    gone,
                    count=figures.integer(gone),
                ),
            )
        self.body.addWidget(self.warning)
        self.target = QComboBox()
        self.target.addItem(tr("The original subject"), "original")
        consumers = sorted({(one.stream, one.consumer) for one in self.letters if one.consumer})
        snapshot = self.context.session.snapshot
        self._consumer: tuple[str, str] | None = None
        if len(consumers) == 1 and consumers[0] in snapshot.consumers:
            self._consumer = consumers[0]
            self.target.addItem(tr("Only to {consumers}", consumers=consumers[0][1]), "consumer")
        self.target.addItem(tr("Another subject"), "subject")
        self.subject = QLineEdit()
        self.subject.setProperty("role", "mono")
        self.subject.setPlaceholderText(tr("orders.retry"))
        self.rate = QDoubleSpinBox()
        self.rate.setRange(0, 100_000)
        self.rate.setDecimals(1)
        self.rate.setValue(10)
        self.rate.setSuffix(tr(" a second"))
        self.rate.setSpecialValueText(tr("as fast as they are taken"))
        self.cap = QSpinBox()
        self.cap.setRange(0, 1000)
        self.cap.setValue(DEFAULT_CAP)
        self.cap.setSpecialValueText(tr("no cap"))
        self.start = delay_box()
        self.drop = QCheckBox(tr("Take each off the list once its copy is stored"))
        self.drop.setChecked(True)
        self.note = PlainLabel("", "caption", wrap=True)
        self.note.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        form = form_layout()
        add_form_row(form, tr("Send to"), self.target)
        add_form_row(form, "", self.note)
        self._subject_row = form.rowCount()
        add_form_row(form, tr("Subject"), self.subject)
        add_form_row(form, tr("Begin"), self.start)
        add_form_row(form, tr("Pace"), self.rate)
        add_form_row(
            form,
            tr("Attempts at most"),
            self.cap,
            tr("Counted in the header Memphis-Dead-Letter-Attempt, over every copy of the same message."),
        )
        add_form_row(form, tr("Afterwards"), self.drop)
        self._form = form
        self.body.addLayout(form)
        self._typed: QLineEdit | None = None
        if self._typed_name is not None:
            self._typed = QLineEdit()
            self._typed.setProperty("role", "mono")
            self._typed.setAccessibleName(tr("Type {typed_name} to go on", typed_name=self._typed_name))
            self.body.addWidget(
                PlainLabel(tr("Type {typed_name} to go on.", typed_name=self._typed_name), "caption")
            )
            self.body.addWidget(self._typed)
            self._typed.textChanged.connect(self._changed)
        self._code = CodeBlock(lines=6)
        self.body.addWidget(Disclosure(tr("Command"), self._code))
        self.bar = QProgressBar()
        self.bar.setRange(0, max(1, len(self.letters)))
        self.bar.setTextVisible(False)
        self.bar.hide()
        self.progress_label = PlainLabel("", "muted", wrap=True)
        self.progress_label.hide()
        self.body.addWidget(self.bar)
        self.body.addWidget(self.progress_label)
        self.target.currentIndexChanged.connect(self._changed)
        self.subject.textChanged.connect(self._changed)

    # What is chosen

    def _plan(self) -> ConsumerPlan | None:
        if self.target.currentData() != "consumer" or self._consumer is None:
            return None
        subjects = sorted({one.original.subject for one in self.letters if one.original.subject})
        return plan_for(self.context.session.snapshot, *self._consumer, subjects)

    def _changed(self) -> None:
        choice = self.target.currentData()
        self._form.setRowVisible(self._subject_row, choice == "subject")
        problem = ""
        text = tr("Every consumer whose filter fits gets the copies, as at the first time.")
        subject = ""
        if choice == "subject":
            subject = self.subject.text().strip()
            text = tr(
                "All copies go there; the original subject is in the header Memphis-Dead-Letter-Subject."
            )
            try:
                check_subject(subject)
            except ValueError as error:
                problem = str(error) if subject else tr("Name the subject.")
        elif choice == "consumer":
            try:
                plan = self._plan()
                text = plan.explanation if plan is not None else ""
                subject = plan.subject if plan is not None else ""
            except NotPossible as refusal:
                text, problem = str(refusal), tr("It cannot be reached alone.")
        elif any(one.kind is LetterKind.STATION and not one.home_subject for one in self.letters):
            problem = tr("Some do not say what their subject was: choose another subject.")
        self.note.setText(text)
        self.note.setRole("warning" if problem and choice == "consumer" else "caption")
        typed = self._typed is None or self._typed.text() == self._typed_name
        self.verb_button.setEnabled(not problem and typed and self.result_of is None)
        self.verb_button.setToolTip(problem)
        self._code.set_text(command_lines(self.letters, subject))
        make_room(self)

    def options(self) -> ResendOptions:
        """What was chosen; raises `NotPossible` when one consumer cannot be reached alone."""
        choice = self.target.currentData()
        return ResendOptions(
            rate=self.rate.value() or None,
            cap=self.cap.value() or None,
            drop=self.drop.isChecked(),
            subject=self.subject.text().strip() if choice == "subject" else "",
            plan=self._plan(),
        )

    # Running

    def accept(self) -> None:
        """Begin; the dialog closes when all are sent without a failure."""
        if self.result_of is not None:
            super().accept()
            return
        try:
            run = ResendRun(self.context.session, self.letters, self.options())
        except NotPossible as refusal:
            self.show_error(str(refusal))
            return
        seconds = int(self.start.currentData())
        if seconds:
            self.verb_button.setEnabled(False)
            self.context.run(self._order(run.options, seconds), tr("keep the resend"))
            return
        self.result_of = run
        self.show_error("")
        self.verb_button.setEnabled(False)
        self.cancel_button.setText(tr("Stop"))
        for widget in (self.target, self.subject, self.start, self.rate, self.cap, self.drop):
            widget.setEnabled(False)
        self.bar.show()
        self.progress_label.show()
        self._timer.start()
        self.context.run(self._run(run), tr("resend the dead letters"))

    async def _order(self, options: ResendOptions, seconds: int) -> None:
        """Have the connection send them later."""
        consumer = self._consumer if options.plan is not None else None
        options = replace(options, plan=None)  # worked out anew when it is due
        try:
            await self.context.session.later.add(
                Order(list(self.letters), time.time() + seconds, options, consumer)
            )
        except (ClusterError, OSError) as error:
            self.show_error(str(error))
            self.verb_button.setEnabled(True)
            return
        super().accept()

    def reject(self) -> None:
        """Stop after the letter at hand, or close."""
        run = self.result_of
        if run is not None and not run.progress.ended:
            run.stop()
            return
        super().reject()

    async def _run(self, run: ResendRun) -> None:
        self._end(*await _outcome(run))

    def _end(self, progress: ResendProgress, problem: str) -> None:
        self._timer.stop()
        self._show_progress()
        sentence = fates_sentence(progress)
        if problem:
            self.show_error(f"{sentence} {problem}".strip())
            self.cancel_button.setText(tr("Close"))
            return
        kind = "good" if progress.sent == progress.total else "warning"
        self.context.notify(sentence, kind, self._undo_action())
        super().accept()

    def _undo_action(self) -> tuple[str, Callable[[], object]] | None:
        """Removing the copies; not where the letters were dropped, for then the copies are all there is."""
        run, context = self.result_of, self.context
        if run is None or not run.stored or run.options.drop:
            return None
        return tr("Undo"), lambda: context.run(_undo(context, run), tr("remove the copies"))

    def _show_progress(self) -> None:
        if self.result_of is not None:
            progress = self.result_of.progress
            self.bar.setValue(progress.done)
            self.progress_label.setText(fates_sentence(progress))


async def _undo(context: ScreenContext, run: ResendRun) -> None:
    """Remove the copies that a run stored; the letters stay, and so does the note that they were sent."""
    session = context.session
    session.require_writable()
    progress = await Undo(session.nats, run.stored, session.profile.api_prefix).run()
    text = tr_count(
        "Removed {count} copy.",
        "Removed {count} copies.",
        progress.removed,
        count=figures.integer(progress.removed),
    )
    if progress.failed:
        text = f"{text} {tr('The others could not be removed: {reason}.', reason=progress.reason)}"
    context.notify(text, "bad" if progress.failed else "good")


async def _outcome(run: ResendRun) -> tuple[ResendProgress, str]:
    """Run it; returns how it went and what went wrong."""
    try:
        progress = await run.run()
    except (ClusterError, PublishError, ReadError) as error:
        return run.progress, str(error)
    if progress.sent:
        first_steps.reach(first_steps.RESEND)
    failed = progress.fates[Fate.FAILED] + progress.fates[Fate.NO_SUBJECT]
    return progress, progress.problem if failed else ""
