"""Moving all that a group has not acknowledged to a dead-letter station: where to, how many, how it goes."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QComboBox, QLineEdit, QProgressBar, QSizePolicy, QWidget
from shiboken6 import isValid

from memphis_desktop.cluster.actions import create_stream
from memphis_desktop.cluster.dead_letters.capture import CAPTURE_STREAM
from memphis_desktop.cluster.dead_letters.moving import (
    DEFAULT_REASON,
    MoveOptions,
    MovePreview,
    MoveRun,
    NotMovable,
    command_line,
    default_subject,
)
from memphis_desktop.cluster.dead_letters.names import station_matches
from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.cluster.model import ConsumerSnapshot, is_machinery
from memphis_desktop.cluster.profiles import Environment
from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.publishing import PublishError
from memphis_desktop.inspect.replay import target_subject
from memphis_desktop.language import tr, tr_count
from memphis_desktop.protocol.subjects import is_subset
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.dialogs import Dialog, Disclosure, add_form_row, form_layout, make_room
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.field_values import FieldError, check_name

_REFRESH_MS = 150
_NEW = ""  # the choice of a station to be made


def open_move(context: ScreenContext, parent: QWidget, consumer: ConsumerSnapshot) -> MoveDialog:
    """Open the dialog for a group."""
    dialog = MoveDialog(context, parent, consumer)
    dialog.open()
    return dialog


class MoveDialog(Dialog):
    """See the module; the progress shows in the same place."""

    def __init__(self, context: ScreenContext, parent: QWidget, consumer: ConsumerSnapshot) -> None:
        title = tr("Move all of {group} to a dead-letter station", group=consumer.name)
        super().__init__(parent, title, tr("Move"), width=600)
        self.context = context
        self.consumer = consumer
        self.run_of: MoveRun | None = None
        self._preview: MovePreview | None = None
        self._refusal = ""
        self._timer = QTimer(self)
        self._timer.setInterval(_REFRESH_MS)
        self._timer.timeout.connect(self._show_progress)
        self._build()
        self._station_chosen()
        context.run(self._count(), tr("count what would be moved"))

    # Building ---------------------------------------------------------------------------------

    def _build(self) -> None:
        self.amount = PlainLabel(tr("Counting."), "muted", wrap=True)
        self.amount.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.body.addWidget(self.amount)
        self.station = QComboBox()
        for name in self._stations():
            self.station.addItem(name, name)
        self.station.addItem(tr("A new station"), _NEW)
        self.name = QLineEdit(f"{self.consumer.stream}-dlq")
        self.subject = QLineEdit()
        self.subject.setPlaceholderText(tr("dlq.{subject}"))
        for field in (self.name, self.subject):
            field.setProperty("role", "mono")
        self.note = PlainLabel("", "caption", wrap=True)
        self.note.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.reason = QLineEdit(DEFAULT_REASON)
        form = form_layout()
        add_form_row(form, tr("To"), self.station)
        self._name_row = form.rowCount()
        add_form_row(form, tr("Its name"), self.name)
        add_form_row(
            form,
            tr("Subject there"),
            self.subject,
            tr("{subject} is the original's, {1} its first part; also {stream} and {sequence}."),
        )
        add_form_row(form, "", self.note)
        add_form_row(
            form, tr("Reason"), self.reason, tr("Kept in the header Memphis-Dead-Letter-Reason of each copy.")
        )
        self._form = form
        self.body.addLayout(form)
        self._typed: QLineEdit | None = None
        if self.context.session.profile.environment is Environment.PRODUCTION:
            text = tr("Type {name} to go on.", name=self.consumer.name)
            self._typed = QLineEdit()
            self._typed.setProperty("role", "mono")
            self._typed.setAccessibleName(text)
            self.body.addWidget(PlainLabel(text, "caption"))
            self.body.addWidget(self._typed)
            self._typed.textChanged.connect(self._changed)
        self._code = CodeBlock(lines=3)
        self.body.addWidget(Disclosure(tr("Command"), self._code))
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName(tr("Progress"))
        self.bar.hide()
        self.progress_label = PlainLabel("", "muted", wrap=True)
        self.progress_label.hide()
        self.body.addWidget(self.bar)
        self.body.addWidget(self.progress_label)
        self.station.currentIndexChanged.connect(self._station_chosen)
        self.name.textChanged.connect(self._name_changed)
        for changed in (self.subject.textChanged, self.reason.textChanged):
            changed.connect(self._changed)

    def _stations(self) -> list[str]:
        """Where copies may go: the dead-letter stations first. What captures advisories is none."""
        book = self.context.session.dead_letters
        patterns, capturing = book.patterns, {CAPTURE_STREAM, *book.status.streams}
        found: list[tuple[bool, str]] = []
        for name, stream in self.context.session.snapshot.streams.items():
            subjects = list(map(str, stream.config.get("subjects") or ()))
            own = name == self.consumer.stream or name in capturing or is_machinery(name)
            if own or not subjects or subjects[0].startswith("$"):
                continue
            found.append((not station_matches(name, subjects, patterns), name))
        return [name for _, name in sorted(found)]

    # What is chosen ---------------------------------------------------------------------------

    @property
    def _makes_one(self) -> bool:
        return str(self.station.currentData()) == _NEW

    def _new_config(self) -> dict[str, Any]:
        source = self.context.session.snapshot.streams.get(self.consumer.stream)
        config = source.config if source is not None else {}
        name = self.name.text().strip()
        return {
            "name": name,
            "description": f"Dead letters of {self.consumer.stream}",  # untranslated: kept on the server
            "subjects": [f"{name}.>"],
            "retention": "limits",
            "storage": str(config.get("storage") or "file"),
            "num_replicas": int(config.get("num_replicas") or 1),
            "allow_direct": True,
        }

    def _station_config(self) -> dict[str, Any]:
        if self._makes_one:
            return self._new_config()
        stream = self.context.session.snapshot.streams.get(self.station.currentData())
        return dict(stream.config) if stream is not None else {}

    def _station_chosen(self) -> None:
        self._form.setRowVisible(self._name_row, self._makes_one)
        self.subject.setText(default_subject(self._station_config()))
        self._changed()
        make_room(self)

    def _name_changed(self) -> None:
        if self._makes_one:
            self.subject.setText(default_subject(self._new_config()))
        self._changed()

    def options(self) -> MoveOptions:
        """What was chosen."""
        station = self.name.text().strip() if self._makes_one else str(self.station.currentData())
        return MoveOptions(station, self.subject.text().strip(), self.reason.text().strip() or DEFAULT_REASON)

    def _problem(self) -> str:
        """Why it cannot begin; empty when it can. The note shows where copies go."""
        if self._makes_one:
            try:
                check_name(self.name.text().strip(), tr("Give the station a name."))
            except FieldError as error:
                return str(error)
            if self.name.text().strip() in self.context.session.snapshot.streams:
                return tr("There is a station of this name already: choose it above.")
        example = self._example()
        try:
            subject = target_subject(self.subject.text(), example)
        except ValueError as error:
            return f"{error}."
        subjects = [str(one) for one in self._station_config().get("subjects") or ()]
        if not any(is_subset(subject.encode(), one.encode()) for one in subjects):
            return tr("{station} does not store {subject}.", station=self.options().station, subject=subject)
        self.note.setText(f"{example.subject} → {subject}")
        self.note.setRole("caption")
        return ""

    def _example(self) -> InspectedMessage:
        stream = self.context.session.snapshot.streams.get(self.consumer.stream)
        subjects = (stream.config.get("subjects") if stream is not None else None) or ["example"]
        subject = str(subjects[0]).replace("*", "part").replace(">", "part")
        return InspectedMessage(self.consumer.stream, 1, 0, subject, b"", b"")

    def _changed(self) -> None:
        problem = self._problem()
        if problem:
            self.note.setText(problem)
            self.note.setRole("warning")
        typed = self._typed is None or self._typed.text().strip() == self.consumer.name
        counted = self._preview is not None and self._preview.total > 0
        can = not problem and not self._refusal and typed and counted and self.run_of is None
        self.verb_button.setEnabled(can)
        self.verb_button.setToolTip(problem or self._refusal)
        lines = [create_stream(self._new_config()).command] if self._makes_one else []
        lines.append(command_line(self.consumer.stream, self.consumer.name, self.options()))
        self._code.set_text("\n".join(lines))

    # Counting ---------------------------------------------------------------------------------

    async def _count(self) -> None:
        session = self.context.session
        run = MoveRun(session, self.consumer.stream, self.consumer.name, MoveOptions("", ""))
        text = ""
        try:
            self._preview = await run.preview()
        except NotMovable as refusal:
            self._refusal = text = str(refusal)
        except (ClusterError, ReadError) as error:
            self._refusal = text = tr("How many these are cannot be read: {error}", error=error)
        if not isValid(self):
            return
        preview = self._preview
        if preview is not None:
            text = preview_sentence(preview)
            count = figures.integer(preview.total)
            self.verb_button.setText(
                tr_count("Move {count} message", "Move {count} messages", preview.total, count=count)
            )
        self.amount.setText(text)
        self.amount.setRole("warning" if self._refusal else "muted")
        self._changed()
        make_room(self)

    # Running ----------------------------------------------------------------------------------

    def accept(self) -> None:
        """Begin; the dialog closes when everything is moved."""
        if self.run_of is not None:
            super().accept()
            return
        self.run_of = MoveRun(self.context.session, self.consumer.stream, self.consumer.name, self.options())
        self.show_error("")
        self.verb_button.setEnabled(False)
        self.cancel_button.setText(tr("Stop"))
        for widget in (self.station, self.name, self.subject, self.reason):
            widget.setEnabled(False)
        self.bar.setRange(0, max(1, self._preview.total if self._preview is not None else 1))
        self.bar.show()
        self.progress_label.show()
        make_room(self)
        self._timer.start()
        self.context.run(self._carry_out(self.run_of), tr("move the messages"))

    def reject(self) -> None:
        """Stop after the batch at hand, or close."""
        run = self.run_of
        if run is not None and not run.progress.ended:
            run.stop()
            self.cancel_button.setEnabled(False)
            return
        super().reject()

    async def _carry_out(self, run: MoveRun) -> None:
        problem = ""
        try:
            if self._makes_one:
                await create_stream(self._new_config()).run(self.context.session)
            await run.run()
        except (ClusterError, PublishError, ReadError) as error:
            problem = str(error)
            run.progress.ended = True  # it may not even have begun
        if isValid(self):
            self._end(run, problem or run.progress.problem)

    def _end(self, run: MoveRun, problem: str) -> None:
        self._timer.stop()
        self._show_progress()
        sentence = progress_sentence(run, self.options().station)
        if problem:
            self.show_error(f"{sentence} {problem}")
            self.cancel_button.setText(tr("Close"))
            self.cancel_button.setEnabled(True)
            return
        self.context.notify(sentence, "warning" if run.progress.stopped else "good")
        super().accept()

    def _show_progress(self) -> None:
        run = self.run_of
        if run is not None:
            progress = run.progress
            self.bar.setRange(0, max(1, progress.total))
            self.bar.setValue(progress.moved)
            text = progress_sentence(run, self.options().station)
            if progress.waiting:
                held = tr_count(
                    "{count} is held by a client and comes back when its time is over.",
                    "{count} are held by clients and come back when their time is over.",
                    progress.held,
                    count=figures.integer(progress.held),
                )
                text = f"{text} {held}"
            self.progress_label.setText(text)


def preview_sentence(preview: MovePreview) -> str:
    """What would be moved, in a sentence or three."""
    if not preview.total:
        return tr("There is nothing to move: everything is acknowledged.")
    waiting = tr_count(
        "{count} message is not delivered yet",
        "{count} messages are not delivered yet",
        preview.waiting,
        count=figures.integer(preview.waiting),
    )
    held = tr_count(
        "{count} is held by a client",
        "{count} are held by clients",
        preview.held,
        count=figures.integer(preview.held),
    )
    text = tr(
        "{waiting}, {held}. Each is acknowledged once its copy is stored; what arrives meanwhile may go too.",
        waiting=waiting,
        held=held,
    )
    if preview.certain:
        return text
    more = tr(
        "Which ones clients hold is not known: those are waited for, {duration} at most.",
        duration=figures.duration(preview.seconds),
    )
    return f"{text} {more}"


def progress_sentence(run: MoveRun, station: str) -> str:
    """How far a move is, in a sentence."""
    progress = run.progress
    text = tr_count(
        "{count} of {total} moved to {station}.",
        "{count} of {total} moved to {station}.",
        progress.moved,
        count=figures.integer(progress.moved),
        total=figures.integer(progress.total),
        station=station,
    )
    if not progress.failed:
        return text
    failed = tr_count("{count} failed.", "{count} failed.", progress.failed,
                      count=figures.integer(progress.failed))  # fmt: skip
    return f"{text} {failed}"
