"""What is asked before dead letters are captured, sent again, dropped or written to a file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QWidget,
)

from memphis_desktop.cluster.actions import Action
from memphis_desktop.cluster.dead_letters.capture import KEPT_BYTES, KEPT_DAYS, capture_status
from memphis_desktop.cluster.dead_letters.dropping import drop_action
from memphis_desktop.cluster.dead_letters.letters import DeadLetter, LetterKind, Presence
from memphis_desktop.cluster.dead_letters.one_consumer import ConsumerPlan, NotPossible, plan_for
from memphis_desktop.cluster.dead_letters.resend import (
    DEFAULT_CAP,
    Fate,
    ResendOptions,
    ResendProgress,
    ResendRun,
    command_lines,
    copy_headers,
)
from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.cluster.session import Session
from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.files import FORMATS, SUFFIXES, Exporter, FileProblem
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.publishing import PublishError, check_subject
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.dialogs import (
    ConfirmDialog,
    Dialog,
    Disclosure,
    FormDialog,
    add_form_row,
    form_layout,
)
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.memphis.letters import drop_changes
from memphis_desktop.ui.screen import ScreenContext

_REFRESH_MS = 150


def capture_dialog(parent: QWidget, session: Session, action: Action) -> ConfirmDialog:
    """Say exactly what capturing makes."""
    config = action.body or {}
    kinds = []
    subjects = config.get("subjects", [])
    if any("MAX_DELIVERIES" in subject for subject in subjects):
        kinds.append("messages that reached a consumer's delivery limit")
    if any("MSG_TERMINATED" in subject for subject in subjects):
        kinds.append("messages that a consumer terminated")
    replicas = int(config.get("num_replicas") or 1)
    text = (
        f"One stream is made, {config.get('name')}, on this server ({replicas} "
        f"{'copy' if replicas == 1 else 'copies'}). It keeps the server's own advisories about "
        f"{' and '.join(kinds)}: a few hundred bytes each, for {KEPT_DAYS} days and up to "
        f"{figures.bytes_size(KEPT_BYTES)}, the oldest going first. What is sent again from here is noted "
        "in it too. Nothing else changes: no consumer, no message of yours. Deleting the stream ends it."
    )
    dialog = ConfirmDialog(
        parent,
        "Capture dead letters?",
        text,
        "Start capturing",
        command=action.equivalent(session),
        danger=False,
    )
    dialog.setMinimumWidth(560)
    return dialog


class PatternsDialog(FormDialog):
    """Which stations hold dead letters, by name."""

    def __init__(self, parent: QWidget, patterns: Sequence[str], matching: Callable[[list[str]], list[str]]):
        super().__init__(
            parent,
            "Dead-letter stations",
            "Use these",
            introduction="Stations that applications put their failed messages into. Each message there is "
            "shown as a dead letter; headers such as Original-Subject and Reason are understood.",
        )
        self._matching = matching
        self.field = QPlainTextEdit("\n".join(patterns))
        self.field.setProperty("role", "mono")
        self.field.setTabChangesFocus(True)
        self.field.setMinimumHeight(120)
        self.add_row("Names", self.field, "One pattern a line, as for files: *-dlq, dead-*. Case is ignored.")
        self._found = PlainLabel("", "caption", wrap=True)
        self.add_row("Found", self._found)
        self.field.textChanged.connect(self._show_found)
        self._show_found()

    def patterns(self) -> list[str]:
        """The patterns as typed."""
        return [line.strip() for line in self.field.toPlainText().splitlines() if line.strip()]

    def _show_found(self) -> None:
        found = self._matching(self.patterns())
        self._found.setText(
            ", ".join(found[:12]) + (" …" if len(found) > 12 else "") if found else "None here"
        )


class DropDialog(ConfirmDialog):
    """Names what is lost: the records, and on request the messages."""

    def __init__(
        self, parent: QWidget, session: Session, letters: Sequence[DeadLetter], typed_name: str | None
    ) -> None:
        self._letters = list(letters)
        self._session = session
        self._status = capture_status(session.snapshot)
        count = figures.count_noun(len(letters), "dead letter")
        super().__init__(parent, f"Drop {count}?", _loss(letters), f"Drop {count}", typed_name)
        self.setMinimumWidth(520)
        there = [
            one
            for one in letters
            if one.kind is not LetterKind.STATION
            and not one.external
            and one.original.presence is not Presence.GONE
        ]
        streams = ", ".join(sorted({one.stream for one in there})[:3])
        self.messages = QCheckBox(
            f"Delete the {figures.count_noun(len(there), 'message')} from {streams} as well, for good"
        )
        self.messages.setVisible(bool(there))
        self.body.insertWidget(1, self.messages)
        self._code = CodeBlock(lines=8)
        self.body.addWidget(Disclosure("Command", self._code))
        self.messages.toggled.connect(self._show_command)
        self._show_command()

    def _show_command(self) -> None:
        if all(letter.external for letter in self._letters):
            changes = drop_changes(self._letters)
            self._code.set_text("\n".join(change.command for change in changes))
            return
        action = drop_action(self._letters, self._status, messages=self.messages.isChecked())
        self._code.set_text(action.command or "Nothing is kept on the server: they leave this list only.")


def _loss(letters: Sequence[DeadLetter]) -> str:
    if any(one.external for one in letters):
        names = ", ".join(sorted({one.home for one in letters if one.external})[:3])
        return (
            f"{figures.count_noun(len(letters), 'dead letter')} of {names} will be gone with the payloads "
            "that Memphis keeps of them. Messages that are still in their stations stay there."
        )
    stations = sorted({one.stream for one in letters if one.kind is LetterKind.STATION})
    inside = sum(one.kind is LetterKind.STATION for one in letters)
    records = sum(len(one.records) for one in letters)
    heard = sum(one.kind is not LetterKind.STATION and not one.records for one in letters)
    parts = []
    if records:
        parts.append(f"{figures.count_noun(records, 'record')} of a failure leaves the capture stream.")
    if heard:
        parts.append(f"{figures.integer(heard)} that nothing keeps leave this list.")
    if inside:
        names = ", ".join(stations[:3])
        parts.append(f"{figures.count_noun(inside, 'message')} will be deleted from {names} for good.")
    else:
        parts.append("The messages themselves stay in their stations.")
    return " ".join(parts)


class ResendDialog(Dialog):
    """Where to, how fast, how often at most; then the progress, in the same place."""

    def __init__(
        self, context: ScreenContext, parent: QWidget, letters: Sequence[DeadLetter], typed_name: str | None
    ) -> None:
        count = figures.count_noun(len(letters), "dead letter")
        super().__init__(parent, f"Resend {count}", f"Resend {count}", width=600)
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
                "warning", f"{figures.count_noun(gone, 'message')} cannot be sent: no longer in the station."
            )
        self.body.addWidget(self.warning)
        self.target = QComboBox()
        self.target.addItem("The original subject", "original")
        consumers = sorted({(one.stream, one.consumer) for one in self.letters if one.consumer})
        snapshot = self.context.session.snapshot
        self._consumer: tuple[str, str] | None = None
        if len(consumers) == 1 and consumers[0] in snapshot.consumers:
            self._consumer = consumers[0]
            self.target.addItem(f"Only to {consumers[0][1]}", "consumer")
        self.target.addItem("Another subject", "subject")
        self.subject = QLineEdit()
        self.subject.setProperty("role", "mono")
        self.subject.setPlaceholderText("orders.retry")
        self.rate = QDoubleSpinBox()
        self.rate.setRange(0, 100_000)
        self.rate.setDecimals(1)
        self.rate.setValue(10)
        self.rate.setSuffix(" a second")
        self.rate.setSpecialValueText("as fast as they are taken")
        self.cap = QSpinBox()
        self.cap.setRange(0, 1000)
        self.cap.setValue(DEFAULT_CAP)
        self.cap.setSpecialValueText("no cap")
        self.drop = QCheckBox("Take each off the list once its copy is stored")
        self.drop.setChecked(True)
        self.note = PlainLabel("", "caption", wrap=True)
        form = form_layout()
        add_form_row(form, "Send to", self.target)
        add_form_row(form, "", self.note)
        self._subject_row = form.rowCount()
        add_form_row(form, "Subject", self.subject)
        add_form_row(form, "Pace", self.rate)
        add_form_row(
            form,
            "Attempts at most",
            self.cap,
            "Counted in the header Memphis-Dead-Letter-Attempt, over every copy of the same message.",
        )
        add_form_row(form, "Afterwards", self.drop)
        self._form = form
        self.body.addLayout(form)
        self._typed: QLineEdit | None = None
        if self._typed_name is not None:
            self._typed = QLineEdit()
            self._typed.setProperty("role", "mono")
            self._typed.setAccessibleName(f"Type {self._typed_name} to go on")
            self.body.addWidget(PlainLabel(f"Type {self._typed_name} to go on.", "caption"))
            self.body.addWidget(self._typed)
            self._typed.textChanged.connect(self._changed)
        self._code = CodeBlock(lines=6)
        self.body.addWidget(Disclosure("Command", self._code))
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
        text = "Every consumer whose filter fits gets the copies, as at the first time."
        subject = ""
        if choice == "subject":
            subject = self.subject.text().strip()
            text = "All copies go there; the original subject is in the header Memphis-Dead-Letter-Subject."
            try:
                check_subject(subject)
            except ValueError as error:
                problem = str(error) if subject else "Name the subject."
        elif choice == "consumer":
            try:
                plan = self._plan()
                text = plan.explanation if plan is not None else ""
                subject = plan.subject if plan is not None else ""
            except NotPossible as refusal:
                text, problem = str(refusal), "It cannot be reached alone."
        elif any(one.kind is LetterKind.STATION and not one.home_subject for one in self.letters):
            problem = "Some do not say what their subject was: choose another subject."
        self.note.setText(text)
        self.note.setRole("warning" if problem and choice == "consumer" else "caption")
        typed = self._typed is None or self._typed.text() == self._typed_name
        self.verb_button.setEnabled(not problem and typed and self.result_of is None)
        self.verb_button.setToolTip(problem)
        self._code.set_text(command_lines(self.letters, subject))

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
        self.result_of = run
        self.show_error("")
        self.verb_button.setEnabled(False)
        self.cancel_button.setText("Stop")
        for widget in (self.target, self.subject, self.rate, self.cap, self.drop):
            widget.setEnabled(False)
        self.bar.show()
        self.progress_label.show()
        self._timer.start()
        self.context.run(self._run(run), "resend the dead letters")

    def reject(self) -> None:
        """Stop after the letter at hand, or close."""
        run = self.result_of
        if run is not None and not run.progress.ended:
            run.stop()
            return
        super().reject()

    async def _run(self, run: ResendRun) -> None:
        try:
            progress = await run.run()
        except (ClusterError, PublishError, ReadError) as error:
            self._end(run.progress, str(error))
            return
        failed = progress.fates[Fate.FAILED] + progress.fates[Fate.NO_SUBJECT]
        self._end(progress, progress.problem if failed else "")

    def _end(self, progress: ResendProgress, problem: str) -> None:
        self._timer.stop()
        self._show_progress()
        sentence = fates_sentence(progress)
        if problem:
            self.show_error(f"{sentence} {problem}".strip())
            self.cancel_button.setText("Close")
            return
        kind = "good" if progress.sent == progress.total else "warning"
        self.context.notify(sentence, kind)
        super().accept()

    def _show_progress(self) -> None:
        if self.result_of is not None:
            progress = self.result_of.progress
            self.bar.setValue(progress.done)
            self.progress_label.setText(fates_sentence(progress))


def fates_sentence(progress: ResendProgress) -> str:
    """What became of letters, in a sentence."""
    parts = [
        f"{figures.integer(progress.sent)} of {figures.count_noun(progress.total, 'dead letter')} resent"
    ]
    for fate in (Fate.GONE, Fate.CAPPED, Fate.NO_SUBJECT, Fate.FAILED):
        if progress.fates[fate]:
            parts.append(f"{figures.integer(progress.fates[fate])}: {fate.value}")
    return ", ".join(parts) + "."


class LettersExportDialog(Dialog):
    """Writes the messages of letters to a file, with headers that say how they failed."""

    def __init__(self, context: ScreenContext, parent: QWidget, letters: Sequence[DeadLetter]) -> None:
        count = figures.count_noun(len(letters), "dead letter")
        super().__init__(parent, f"Export {count}", "Export", width=560)
        self.context = context
        self.letters = list(letters)
        self.exporter: Exporter | None = None
        self.missing = 0
        self.form_box = QComboBox()
        for key, title in FORMATS.items():
            self.form_box.addItem(title, key)
        self.form_box.currentIndexChanged.connect(self._form_changed)
        self.path_field = QLineEdit(str(Path.home() / "dead-letters.ndjson"))
        self.path_field.setProperty("role", "mono")
        choose = QPushButton("Choose")
        choose.setAutoDefault(False)
        choose.clicked.connect(self._choose)
        line = QWidget()
        row = QHBoxLayout(line)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.SPACE_2)
        row.addWidget(self.path_field, 1)
        row.addWidget(choose)
        form = form_layout()
        add_form_row(
            form,
            "Form",
            self.form_box,
            "Each message keeps its bytes; headers tell stream, sequence, consumer and reason.",
        )
        add_form_row(form, "File", line)
        self.body.addLayout(form)
        self.note = PlainLabel("", "caption")
        self.body.addWidget(self.note)
        self._timer = QTimer(self)
        self._timer.setInterval(_REFRESH_MS)
        self._timer.timeout.connect(self._show_progress)

    def accept(self) -> None:
        """Begin to write."""
        if self.exporter is not None:
            return
        path = Path(self.path_field.text().strip()).expanduser()
        if not path.name or not path.parent.is_dir():
            self.show_error("Choose a file in a folder that exists.")
            return
        self.show_error("")
        self.exporter = Exporter(path, self.form_box.currentData())
        self.verb_button.setEnabled(False)
        self._timer.start()
        self.context.run(self._run(self.exporter), "export the dead letters")

    def reject(self) -> None:
        """A half-written file is removed."""
        if self.exporter is not None:
            self.exporter.cancelled = True
        super().reject()

    async def _run(self, exporter: Exporter) -> None:
        self.missing = 0
        try:
            progress = await exporter.run(self._messages())
        except (FileProblem, ReadError, ClusterError) as error:
            self.exporter = None
            self._timer.stop()
            self.verb_button.setEnabled(True)
            self.show_error(f"{error}.")
            return
        self._timer.stop()
        if exporter.cancelled:
            self.context.notify("The export was cancelled; no file was kept.")
            return
        count = figures.count_noun(progress.messages, "message")
        gone = f" {figures.integer(self.missing)} were gone." if self.missing else ""
        self.context.notify(f"Exported {count} to {exporter.path}.{gone}", "warning" if gone else "good")
        super().accept()

    async def _messages(self) -> AsyncIterator[InspectedMessage]:
        book = self.context.session.dead_letters
        for letter in self.letters:
            message = await book.message_of(letter)
            if message is None:
                self.missing += 1
                continue
            yield marked(letter, message)

    def _show_progress(self) -> None:
        if self.exporter is not None:
            done = self.exporter.progress
            self.note.setText(
                f"{figures.count_noun(done.messages, 'message')}, {figures.bytes_size(done.bytes)}"
            )

    def _form_changed(self) -> None:
        path = Path(self.path_field.text())
        self.path_field.setText(str(path.with_suffix(SUFFIXES[self.form_box.currentData()])))

    def _choose(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Export to", self.path_field.text())
        if path:
            self.path_field.setText(path)


def marked(letter: DeadLetter, message: InspectedMessage, attempt: int | None = None) -> InspectedMessage:
    """A letter's message with headers that say where it failed, as a copy that is sent would have."""
    number = letter.attempts if attempt is None else attempt
    headers: Any = copy_headers(letter, message, message.subject, number).without(["Nats-Msg-Id"])
    return InspectedMessage(
        message.stream, message.sequence, message.time_ns, message.subject, headers.encode(), message.payload
    )
