"""The dialog that describes a replay and starts it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QRadioButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from shiboken6 import isValid

from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.cluster.profiles import Environment
from memphis_desktop.inspect.draft import storing_stream
from memphis_desktop.inspect.files import FileProblem
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.replay import (
    Edits,
    MessageIds,
    ReplayOptions,
    target_subject,
)
from memphis_desktop.inspect.replay.records import RunRecord
from memphis_desktop.inspect.scan import ScanRequest
from memphis_desktop.inspect.seek import Seek, parse_seek
from memphis_desktop.language import tr, tr_count, tr_in
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.dialogs import FormDialog
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import Route, ScreenContext
from memphis_desktop.ui.screens.replay.dry_run import DryRunDialog
from memphis_desktop.ui.screens.replay.safety import amount_of, loop_text, safety_text, target_text
from memphis_desktop.ui.screens.replay.starting import ReplayRequest, dry_run, open_sessions, start_replay

_IDS = (
    (MessageIds.STABLE, tr("From the original: repeating it soon stores nothing twice")),
    (MessageIds.FRESH, tr("New in each run: every run stores its copies")),
    (MessageIds.KEEP, tr("The original's own")),
    (MessageIds.NONE, tr("None")),
)
_FAST, _RATE, _BYTES, _RECORDED = range(4)
_MIB = 1 << 20
_ESTIMATE_MS = 400


def open_replay(
    context: ScreenContext,
    parent: QWidget | None,
    stream: str,
    sequences: Sequence[int] = (),
    subject: str | None = None,
    search: ScanRequest | None = None,
) -> ReplayDialog:
    """Open the dialog for a selection (or, without one, a range) of a station's messages.

    With `search` it is for everything that a search matches.
    """
    dialog = ReplayDialog(context, parent, stream, sequences, subject)
    if search is not None:
        dialog.take_search(search)
    context.run(dialog.carry_out(), tr("start the replay"))
    return dialog


def open_file_replay(
    context: ScreenContext, parent: QWidget | None, path: str, subject: str = ""
) -> ReplayDialog:
    """Open the dialog for the messages of a file; `subject` is where they go when they name none."""
    dialog = ReplayDialog(context, parent, "", path=path)
    if subject:
        dialog.target_field.setText(subject)
    context.run(dialog.carry_out(), tr("start the replay"))
    return dialog


def open_again(context: ScreenContext, parent: QWidget | None, record: RunRecord) -> ReplayDialog:
    """Open the dialog as an earlier replay was described."""
    source = record.source
    dialog = ReplayDialog(context, parent, source.stream, source.sequences, path=source.path)
    dialog.take_record(record)
    context.run(dialog.carry_out(), tr("start the replay"))
    return dialog


class ReplayDialog(FormDialog):
    """What, where to, how fast, with which ids."""

    def __init__(
        self,
        context: ScreenContext,
        parent: QWidget | None,
        stream: str,
        sequences: Sequence[int] = (),
        subject: str | None = None,
        path: str = "",
    ) -> None:
        title = tr("Replay messages of {stream}", stream=stream)
        if path:
            title = tr("Publish the messages of {file}", file=Path(path).name)
        super().__init__(parent, title, tr("Publish from file") if path else tr("Start replay"), width=720)
        self.path = path
        self.context = context
        self.stream = stream
        self.sequences = tuple(sequences)
        self._request: ReplayRequest | None = None
        self._sessions = open_sessions(context, parent)
        self._build_source(subject)
        self._build_target()
        self._build_how()
        self.dry_button = QPushButton(tr("Dry run"))
        self.dry_button.setAutoDefault(False)
        self.dry_button.setToolTip(tr("Show the first hundred messages as they would be sent"))
        self.dry_button.clicked.connect(self.show_dry_run)
        self.buttons.insertWidget(0, self.dry_button)
        self.target_field.setFocus()
        self.verb_button.setDefault(True)
        self.cancel_button.setAutoDefault(False)
        for check in (
            self._range_problem,
            self._target_problem,
            self._file_problem,
            self._permission_problem,
        ):
            self.add_validator(check)
        self._update()

    # Building -----------------------------------------------------------------------------------

    def _build_source(self, subject: str | None) -> None:
        count = tr_count(
            "{count} selected message",
            "{count} selected messages",
            len(self.sequences),
            count=figures.integer(len(self.sequences)),
        )
        self.selection_choice = QRadioButton(count)
        self.range_choice = QRadioButton(tr("A range"))
        group = QButtonGroup(self)
        group.addButton(self.selection_choice)
        group.addButton(self.range_choice)
        self.from_field = QLineEdit("first")
        self.to_field = QLineEdit("last")
        self.subject_field = QLineEdit(subject or "")
        for field, name, hint in (
            (self.from_field, tr_in("beginning of a range", "From"), tr("first, #123456, 10:32, -15m")),
            (self.to_field, tr_in("end of a range", "To"), tr("last, #123456, 10:45, now")),
            (self.subject_field, tr("Only subjects"), "all"),
        ):
            field.setAccessibleName(name)
            field.setPlaceholderText(hint)
            field.setProperty("role", "mono")
        holder = QWidget()
        grid = QGridLayout(holder)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(theme.SPACE_2)
        grid.setVerticalSpacing(theme.SPACE_2)
        choices = QHBoxLayout()
        choices.setSpacing(theme.SPACE_4)
        if self.sequences:
            choices.addWidget(self.selection_choice)
        else:
            self.selection_choice.hide()
        choices.addWidget(self.range_choice)
        choices.addStretch()
        grid.addLayout(choices, 0, 0, 1, 4)
        grid.addWidget(PlainLabel(tr("from"), "caption"), 1, 0)
        grid.addWidget(self.from_field, 1, 1)
        grid.addWidget(PlainLabel(tr("to"), "caption"), 1, 2)
        grid.addWidget(self.to_field, 1, 3)
        grid.addWidget(PlainLabel(tr("on"), "caption"), 2, 0)
        grid.addWidget(self.subject_field, 2, 1, 1, 3)
        self._range_widgets = (self.from_field, self.to_field, self.subject_field)
        (self.selection_choice if self.sequences else self.range_choice).setChecked(True)
        self.selection_choice.toggled.connect(self._update)
        self.range_choice.toggled.connect(self._update)
        if not self.path:
            self.add_row(tr("What"), holder)
        else:
            holder.setParent(self)
            holder.hide()
            self.add_row(tr("What"), PlainLabel(self.path, "mono", elide=Qt.TextElideMode.ElideMiddle))

    def take_search(self, search: ScanRequest) -> None:
        """Replay what a search matches: its range, its subject, its filter."""
        self.range_choice.setChecked(True)
        self.from_field.setText(f"#{search.first}")
        self.to_field.setText(f"#{search.last}")
        self.subject_field.setText(search.subject or "")
        self.where_field.setText(search.filter.strip())

    def take_record(self, record: RunRecord) -> None:
        """Describe a replay as an earlier one was."""
        source, options = record.source, record.options
        if source.kind == "range":
            self.range_choice.setChecked(True)
            self.from_field.setText(f"#{source.first}")
            self.to_field.setText(f"#{source.last}")
            self.subject_field.setText(source.subject or "")
        self.target_field.setText(options.subject)
        if options.file:
            self.connection_box.setCurrentIndex(len(self._sessions))
            self.file_field.setText(options.file)
        else:
            ids = [session.profile.id for _, session in self._sessions]
            if record.target_at.id in ids:
                self.connection_box.setCurrentIndex(ids.index(record.target_at.id))
        for pace, box, value in (
            (_RATE, self.rate_box, options.rate),
            (_BYTES, self.bytes_box, options.bytes_rate and options.bytes_rate / _MIB),
            (_RECORDED, self.factor_box, options.original_pace),
        ):
            if value:
                self.pace_box.setCurrentIndex(pace)
                box.setValue(value)
        self.where_field.setText(options.edits.where)
        self.edits_field.setPlainText("\n".join(options.edits.fields))
        self.set_headers_field.setPlainText(
            "\n".join(f"{name}: {value}" for name, value in options.set_headers)
        )
        self.ids_box.setCurrentIndex(max(0, self.ids_box.findData(options.ids)))
        self.headers_check.setChecked(options.keep_headers)
        self.provenance_check.setChecked(options.provenance)

    def _build_changes(self) -> None:
        self.where_field = QLineEdit()
        self.where_field.setProperty("role", "mono")
        self.where_field.setPlaceholderText(tr("all; or words, subject:…, json.total > 100"))
        self.add_row(tr("Only those with"), self.where_field)
        self.edits_field = _lines_field("$.customer.email = null")
        self.add_row(
            tr("Change JSON"), self.edits_field, tr("A line each: $.path = VALUE sets, - $.path removes.")
        )
        self.set_headers_field = _lines_field("X-Replayed: yes")
        self.add_row(tr("Set headers"), self.set_headers_field, tr("A line each: Name: value."))
        self.add_validator(self._changes_problem)

    def _changes_problem(self) -> str:
        try:
            self._edits()
            _headers(self.set_headers_field.toPlainText())
        except ValueError as error:
            text = str(error)
            return f"{text[:1].upper()}{text[1:]}."
        return ""

    def _edits(self) -> Edits:
        return Edits.parse(self.edits_field.toPlainText(), self.where_field.text())

    @property
    def into_file(self) -> bool:
        """Whether the copies go to a file."""
        return self.connection_box.currentIndex() == len(self._sessions)

    def target_session(self) -> Any:
        """The connection the copies go to."""
        index = self.connection_box.currentIndex()
        return self._sessions[index][1] if 0 <= index < len(self._sessions) else self.context.session

    def _build_target(self) -> None:
        self.connection_box = QComboBox()
        for name, _ in self._sessions:
            self.connection_box.addItem(name)
        self.connection_box.addItem(tr("A file"))
        self.connection_box.currentIndexChanged.connect(self._update)
        self.add_row(tr("To"), self.connection_box, tr("Any connection that is open in a tab, or a file."))
        self.file_field = QLineEdit()
        self.file_field.setProperty("role", "mono")
        self.file_field.setPlaceholderText(tr("messages.ndjson, or .mdump for a binary dump"))
        self.file_field.setAccessibleName(tr("File to write"))
        choose = QPushButton(tr("Choose"))
        choose.setAutoDefault(False)
        choose.clicked.connect(self._choose_file)
        self._file_row = QWidget()
        row = QHBoxLayout(self._file_row)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.SPACE_2)
        row.addWidget(self.file_field, 1)
        row.addWidget(choose)
        self.add_row(tr("File"), self._file_row)
        self.target_field = QLineEdit("{subject}")
        self.target_field.setProperty("role", "mono")
        self.target_field.textChanged.connect(self._update)
        self.target_note = PlainLabel("", "caption", wrap=True)
        self.target_note.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        holder = QWidget()
        column = QVBoxLayout(holder)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.SPACE_1)
        column.addWidget(self.target_field)
        column.addWidget(self.target_note)
        help_text = tr("{subject} is the original's, {1} its first part; also {stream} and {sequence}.")
        self.add_row(tr("To subject"), holder, help_text)

    def _choose_file(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self, tr("Write the messages to"), f"{self.stream}.ndjson", tr("Messages (*.ndjson *.mdump)")
        )
        if path:
            self.file_field.setText(path)

    def _build_how(self) -> None:
        self.pace_box = QComboBox()
        self.pace_box.addItems(
            [tr("As fast as it is stored"), tr("At most"), tr("At most, bytes"), tr("As recorded, times")]
        )
        self.rate_box = QDoubleSpinBox()
        self.rate_box.setRange(0.1, 1_000_000)
        self.rate_box.setValue(100)
        self.rate_box.setDecimals(1)
        self.rate_box.setSuffix(tr(" messages/s"))
        self.factor_box = QDoubleSpinBox()
        self.factor_box.setRange(0.01, 10_000)
        self.factor_box.setValue(1)
        self.factor_box.setSuffix(tr(" × as fast"))
        self.bytes_box = QDoubleSpinBox()
        self.bytes_box.setRange(0.01, 10_000)
        self.bytes_box.setValue(1)
        self.bytes_box.setSuffix(tr(" MiB/s"))
        self.bytes_box.setAccessibleName(tr("Mebibytes a second"))
        self.rate_box.setAccessibleName(tr("Messages a second"))
        self.factor_box.setAccessibleName(tr("Times as fast as recorded"))
        pace = QWidget()
        row = QHBoxLayout(pace)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.SPACE_2)
        row.addWidget(self.pace_box)
        row.addWidget(self.rate_box)
        row.addWidget(self.bytes_box)
        row.addWidget(self.factor_box)
        row.addStretch()
        self.pace_box.currentIndexChanged.connect(self._update)
        self.pace_box.setAccessibleName(tr("Pace"))
        self.add_row(tr("Pace"), pace)
        self._build_changes()
        self.ids_box = QComboBox()
        self.ids_box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.ids_box.setMinimumContentsLength(44)
        for ids, title in _IDS:
            self.ids_box.addItem(title, ids)
        self.add_row(tr("Message ids"), self.ids_box)
        self.headers_check = QCheckBox(tr("Keep the original's headers"))
        self.headers_check.setChecked(True)
        self.provenance_check = QCheckBox(tr("Add headers that say where each copy comes from"))
        self.provenance_check.setChecked(True)
        self.add_row(tr("Headers"), self.headers_check)
        self.add_row("", self.provenance_check, tr("Memphis-Replay-Run, -Stream, -Sequence and -Time"))
        self.safety = PlainLabel("", "caption", wrap=True)
        self.safety.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.safety.setMinimumHeight(2 * self.safety.fontMetrics().height())
        self.body.addWidget(self.safety)  # always in view, however far the form is scrolled
        self.typed = QLineEdit()
        self.typed.setProperty("role", "mono")
        self.typed.setAccessibleName(tr("Name of the production connection"))
        self.typed.hide()
        self.body.addWidget(self.typed)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_ESTIMATE_MS)
        self._timer.timeout.connect(self._start_estimate)
        self._estimating: asyncio.Task[None] | None = None
        for changed in (
            self.from_field.textChanged,
            self.to_field.textChanged,
            self.subject_field.textChanged,
            self.rate_box.valueChanged,
            self.bytes_box.valueChanged,
            self.factor_box.valueChanged,
        ):
            changed.connect(lambda *_: self._timer.start())

    # State --------------------------------------------------------------------------------------

    def _update(self) -> None:
        by_range = self.range_choice.isChecked()
        for widget in self._range_widgets:
            widget.setEnabled(by_range)
        pace = self.pace_box.currentIndex() if hasattr(self, "pace_box") else _FAST
        if hasattr(self, "rate_box"):
            self.rate_box.setVisible(pace == _RATE)
            self.bytes_box.setVisible(pace == _BYTES)
            self.factor_box.setVisible(pace == _RECORDED)
        if hasattr(self, "target_note"):
            text, role = self._target_text()
            self.target_note.setText(text)
            self.target_note.setRole(role)
            self.form.setRowVisible(self._file_row, self.into_file)
        if hasattr(self, "typed"):
            self.typed.setVisible(bool(self._production()))
            self.typed.setPlaceholderText(
                tr(
                    "Type {production} to publish to this production connection",
                    production=self._production(),
                )
            )
            self._timer.start()

    def _example(self) -> InspectedMessage:
        snapshot = self.context.session.snapshot
        known = snapshot.streams.get(self.stream) if snapshot is not None else None
        pattern = next(iter((known.config.get("subjects") if known is not None else None) or ["example"]))
        subject = pattern.replace("*", "part").replace(">", "part")
        return InspectedMessage(self.stream, self.sequences[0] if self.sequences else 1, 0, subject, b"", b"")

    def _streams(self) -> list[tuple[str, list[str]]]:
        snapshot = self.target_session().snapshot
        streams = snapshot.streams.values() if snapshot is not None else ()
        return [(stream.name, list(stream.config.get("subjects") or [])) for stream in streams]

    def _target_text(self) -> tuple[str, str]:
        if self.path and "{" in self.target_field.text():
            return tr("Each message goes to the subject it names"), "caption"
        example = self._example()
        try:
            subject = target_subject(self.target_field.text(), example)
        except ValueError as error:
            return str(error), "bad"
        if self.into_file:
            return f"{example.subject} → {subject}", "caption"
        stream = storing_stream(self._streams(), subject)
        if stream is None:
            text = tr(
                "{original} → {subject}: no station stores it", original=example.subject, subject=subject
            )
            return text, "warning"
        target = self.target_session()
        if stream == self.stream and target is self.context.session:
            text = tr(
                "{original} → {subject}, stored in the same station",
                original=example.subject,
                subject=subject,
            )
            return text, "caption"
        loop = loop_text(self.context.session, self.stream, target, stream)
        text = tr(
            "{original} → {subject}, stored in {station}",
            original=example.subject,
            subject=subject,
            station=stream,
        )
        return (f"{text}. {loop}", "accent") if loop else (text, "caption")

    def _target_problem(self) -> str:
        text, role = self._target_text()
        return f"{text}." if role in ("bad", "warning") else ""

    def _range_problem(self) -> str:
        if self.range_choice.isChecked() and not self.path:
            for field in (self.from_field, self.to_field):
                try:
                    self._seek(field)
                except ValueError as error:
                    return str(error)
        return ""

    def _permission_problem(self) -> str:
        if self.into_file:
            return ""
        if self.target_session().profile.read_only:
            return tr("The target connection is read-only.")
        name = self._production()
        if name and self.typed.text().strip() != name:
            return tr("{name} is a production connection: type its name below to go on.", name=name)
        return ""

    def _production(self) -> str:
        """The name to be typed when the copies go to production; empty when they do not."""
        profile = self.target_session().profile
        production = profile.environment is Environment.PRODUCTION and not self.into_file
        return profile.name if production else ""

    def _file_problem(self) -> str:
        if not self.into_file:
            return ""
        path = Path(self.file_field.text().strip()).expanduser()
        if not self.file_field.text().strip() or path.is_dir():
            return tr("Choose the file to write to.")
        return "" if path.parent.is_dir() else tr("There is no folder {path}.", path=path.parent)

    def _start_estimate(self) -> None:
        if self._estimating is None or self._estimating.done():
            self._estimating = self.context.run(self._estimate(), tr("count what would be sent"))

    async def _estimate(self) -> None:
        """Say how much it is, how long it takes, and what the target makes of it."""
        if self._range_problem():
            return
        request = self.request()
        try:
            amount = await amount_of(self.context, request)
        except (ClusterError, FileProblem) as error:
            text = tr("How many messages these are is not known: {error}", error=error) + " "
        else:
            text = safety_text(amount, request.options)
        if isValid(self):
            if not self.into_file:
                text += target_text(self.target_session(), self.target_field.text(), self._example())
            self.safety.setText(text.strip())

    def _seek(self, field: QLineEdit) -> Seek:
        return parse_seek(field.text(), self.context.zone, time.time_ns())

    def options(self) -> ReplayOptions:
        """What was chosen."""
        pace = self.pace_box.currentIndex()
        return ReplayOptions(
            subject=self.target_field.text().strip(),
            rate=self.rate_box.value() if pace == _RATE else None,
            bytes_rate=self.bytes_box.value() * _MIB if pace == _BYTES else None,
            file=str(Path(self.file_field.text().strip()).expanduser()) if self.into_file else "",
            original_pace=self.factor_box.value() if pace == _RECORDED else None,
            keep_headers=self.headers_check.isChecked(),
            set_headers=_headers(self.set_headers_field.toPlainText()),
            edits=self._edits(),
            ids=self.ids_box.currentData(),
            provenance=self.provenance_check.isChecked(),
        )

    # Starting -----------------------------------------------------------------------------------

    def request(self) -> ReplayRequest:
        """What is described, apart from the widgets, which do not outlive the dialog.

        Raises:
            ValueError: an end of the range is no place.
        """
        by_range = self.range_choice.isChecked() and not self.path
        return ReplayRequest(
            self.stream,
            self.options(),
            () if by_range else self.sequences,
            self._seek(self.from_field) if by_range else None,
            self._seek(self.to_field) if by_range else None,
            (self.subject_field.text().strip() or None) if by_range else None,
            self.path,
            self.target_session(),
        )

    def accept(self) -> None:
        """Note what was chosen, when it is sound."""
        super().accept()
        if self.isHidden():
            self._request = self.request()

    def show_dry_run(self) -> None:
        """Show what would be sent; nothing is."""
        for check in (self._range_problem, self._target_problem, self._changes_problem):
            problem = check()
            if problem:
                self.show_error(problem)
                return
        self.show_error("")
        self.context.run(self._dry_run(self.request()), tr("rehearse the replay"))

    async def _dry_run(self, request: ReplayRequest) -> None:
        rehearsed = await dry_run(self.context, request)
        if isValid(self):
            DryRunDialog(self, rehearsed).show()

    async def carry_out(self) -> None:
        """Ask, then start the replay and show it."""
        context = self.context
        if await self.ask() and self._request is not None:
            entry = await start_replay(context, self._request)
            context.navigate(Route("replay", {"run": entry.run_id}))


def _lines_field(example: str) -> QPlainTextEdit:
    """A field of two lines that grows no further."""
    field = QPlainTextEdit()
    field.setPlaceholderText(example)
    field.setProperty("role", "mono")
    field.setTabChangesFocus(True)
    field.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
    field.setFixedHeight(field.fontMetrics().lineSpacing() * 2 + 16)
    return field


def _headers(text: str) -> tuple[tuple[str, str], ...]:
    """Read header lines; raises ValueError."""
    found = []
    for line in filter(str.strip, text.splitlines()):
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            text = tr("{line} is no header; write Name: value", line=repr(line.strip()[:40]))
            raise ValueError(text)
        found.append((name.strip(), value.strip()))
    return tuple(found)
