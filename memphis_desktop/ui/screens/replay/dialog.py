"""The dialog that describes a replay and starts it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QLineEdit, QPushButton, QSizePolicy, QWidget
from shiboken6 import isValid

from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.inspect.draft import storing_stream
from memphis_desktop.inspect.files import FileProblem
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.replay import ReplayOptions, target_subject
from memphis_desktop.inspect.replay.records import RunRecord
from memphis_desktop.inspect.replay.resume import copy_patterns
from memphis_desktop.inspect.scan import ScanRequest
from memphis_desktop.language import tr
from memphis_desktop.ui.components.dialogs import FormDialog
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import Route, ScreenContext
from memphis_desktop.ui.screens.replay.change_fields import ChangeFields
from memphis_desktop.ui.screens.replay.dry_run import DryRunDialog
from memphis_desktop.ui.screens.replay.pace_fields import PaceFields
from memphis_desktop.ui.screens.replay.safety import amount_of, loop_text, safety_text, target_text
from memphis_desktop.ui.screens.replay.source_fields import SourceFields
from memphis_desktop.ui.screens.replay.starting import ReplayRequest, dry_run, open_sessions, start_replay
from memphis_desktop.ui.screens.replay.target_fields import TargetFields

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
    """What, where to, in which order and how fast, with which changes."""

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
        self._estimating: asyncio.Task[None] | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_ESTIMATE_MS)
        self._timer.timeout.connect(self._start_estimate)
        self._build(subject, open_sessions(context, parent))
        self._update()

    # Building -----------------------------------------------------------------------------------

    def _build(self, subject: str | None, sessions: list[tuple[str, Any]]) -> None:
        of_file = bool(self.path)
        self.source = SourceFields(self.context, self.sequences, subject, of_file=of_file)
        if of_file:
            self.source.setParent(self)
            self.source.hide()
            self.add_row(tr("What"), PlainLabel(self.path, "mono", elide=Qt.TextElideMode.ElideMiddle))
        else:
            self.add_row(tr("What"), self.source)
        self.target = TargetFields(self, sessions, self.stream)
        self.pace = PaceFields(selected=bool(self.sequences), of_file=of_file)
        if not of_file:
            self.add_row(tr("Order"), self.pace.order_box)
        self.add_row(tr("Pace"), self.pace)
        self.changes = ChangeFields(self)
        self._name_fields()
        self._build_footer()
        self.target_field.setFocus()
        self.verb_button.setDefault(True)
        self.cancel_button.setAutoDefault(False)
        for check in (
            self.source.problem,
            self._target_problem,
            self.target.file_problem,
            self.target.consumer_problem,
            self.changes.problem,
            self._permission_problem,
        ):
            self.add_validator(check)
        for changed in (self.source.changed, self.target.changed, self.pace.changed):
            changed.connect(self._update)

    def _name_fields(self) -> None:
        """The fields by their names, whichever part they belong to."""
        source, target, pace, changes = self.source, self.target, self.pace, self.changes
        self.from_field, self.to_field, self.subject_field = (
            source.from_field,
            source.to_field,
            source.subject_field,
        )
        self.range_choice, self.selection_choice = source.range_choice, source.selection_choice
        self.connection_box, self.file_field = target.connection_box, target.file_field
        self.target_field, self.target_note = target.subject_field, target.note
        self.consumer_box = target.consumer_box
        self.order_box, self.pace_box = pace.order_box, pace.pace_box
        self.rate_box, self.bytes_box, self.factor_box = pace.rate_box, pace.bytes_box, pace.factor_box
        self.where_field, self.edits_field = changes.where_field, changes.edits_field
        self.set_headers_field, self.ids_box = changes.set_headers_field, changes.ids_box
        self.headers_check, self.provenance_check = changes.headers_check, changes.provenance_check

    def _build_footer(self) -> None:
        self.safety = PlainLabel("", "caption", wrap=True)
        self.safety.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.safety.setMinimumHeight(2 * self.safety.fontMetrics().height())
        self.body.addWidget(self.safety)  # always in view, however far the form is scrolled
        self.typed = QLineEdit()
        self.typed.setProperty("role", "mono")
        self.typed.setAccessibleName(tr("Name of the production connection"))
        self.typed.hide()
        self.body.addWidget(self.typed)
        self.dry_button = QPushButton(tr("Dry run"))
        self.dry_button.setAutoDefault(False)
        self.dry_button.setToolTip(tr("Show the first hundred messages as they would be sent"))
        self.dry_button.clicked.connect(self.show_dry_run)
        self.buttons.insertWidget(0, self.dry_button)

    def take_search(self, search: ScanRequest) -> None:
        """Replay what a search matches: its range, its subject, its filter."""
        self.source.take_search(search)
        self.where_field.setText(search.filter.strip())

    def take_record(self, record: RunRecord) -> None:
        """Describe a replay as an earlier one was."""
        self.source.take_record(record.source)
        self.target.take(record)
        self.pace.take(record.options)
        self.changes.take(record.options)

    # State --------------------------------------------------------------------------------------

    def target_session(self) -> Any:
        """The connection the copies go to."""
        return self.target.session

    def _update(self) -> None:
        self.pace.offer_subjects(self.source.by_range)
        self.target.show_note(*self._target_text())
        production = self.target.production
        self.typed.setVisible(bool(production))
        self.typed.setPlaceholderText(
            tr("Type {production} to publish to this production connection", production=production)
        )
        self._timer.start()

    def _subjects(self) -> list[str]:
        """Patterns that cover what is read."""
        if self.source.subject:
            return [self.source.subject]
        snapshot = self.context.session.snapshot
        known = snapshot.streams.get(self.stream) if snapshot is not None else None
        return list((known.config.get("subjects") if known is not None else None) or [])

    def _example(self) -> InspectedMessage:
        pattern = next(iter(self._subjects()), "example")
        subject = pattern.replace("*", "part").replace(">", "part")
        return InspectedMessage(self.stream, self.sequences[0] if self.sequences else 1, 0, subject, b"", b"")

    def _stored_in(self, subject: str) -> str | None:
        """The station of the target that stores a subject."""
        snapshot = self.target.session.snapshot
        streams = snapshot.streams.values() if snapshot is not None else ()
        return storing_stream(
            [(stream.name, list(stream.config.get("subjects") or [])) for stream in streams], subject
        )

    def _target_text(self) -> tuple[str, str]:
        if self.path and "{" in self.target_field.text():
            return tr("Each message goes to the subject it names"), "caption"
        example = self._example()
        try:
            subject = target_subject(self.target_field.text(), example)
        except ValueError as error:
            return str(error), "bad"
        plan = self.target.plan
        if self.target.into_file:
            return f"{example.subject} → {subject}", "caption"
        if plan is not None and plan.subject:
            return f"{example.subject} → {plan.subject}", "caption"
        said = {"original": example.subject, "subject": subject}
        stream = self._stored_in(subject)
        if stream is None:
            return tr("{original} → {subject}: no station stores it", **said), "warning"
        if stream == self.stream and self.target.session is self.context.session:
            return tr("{original} → {subject}, stored in the same station", **said), "caption"
        loop = loop_text(self.context.session, self.stream, self.target.session, stream)
        text = tr("{original} → {subject}, stored in {station}", station=stream, **said)
        return (f"{text}. {loop}", "accent") if loop else (text, "caption")

    def _target_problem(self) -> str:
        text, role = self._target_text()
        return f"{text}." if role in ("bad", "warning") else ""

    def _permission_problem(self) -> str:
        if self.target.into_file:
            return ""
        if self.target.session.profile.read_only:
            return tr("The target connection is read-only.")
        name = self.target.production
        if name and self.typed.text().strip() != name:
            return tr("{name} is a production connection: type its name below to go on.", name=name)
        return ""

    # Looking ahead ------------------------------------------------------------------------------

    def _start_estimate(self) -> None:
        if self._estimating is None or self._estimating.done():
            self._estimating = self.context.run(self._estimate(), tr("count what would be sent"))
        else:
            self._timer.start()  # what is asked now is about what was chosen before

    async def _estimate(self) -> None:
        """Say how much it is, how long it takes, and what the target makes of it."""
        if self.source.problem() or self.changes.problem():
            return
        request = self.request()
        await self.target.look_up(self._station_of_copies(), self._patterns())
        if not isValid(self):
            return
        self.target.show_note(*self._target_text())
        try:
            amount = await amount_of(self.context, request)
        except (ClusterError, FileProblem) as error:
            text = tr("How many messages these are is not known: {error}", error=error) + " "
        else:
            text = safety_text(amount, request.options)
        if isValid(self):
            if not self.target.into_file:
                text += target_text(self.target.session, self.target_field.text(), self._example())
            self.safety.setText(text.strip())

    def _station_of_copies(self) -> str | None:
        try:
            return self._stored_in(target_subject(self.target_field.text(), self._example()))
        except ValueError:
            return None

    def _patterns(self) -> tuple[str, ...]:
        """What covers the subjects of the copies."""
        return tuple(copy_patterns(self.target_field.text(), self._subjects() or [">"]))

    def options(self) -> ReplayOptions:
        """What was chosen; raises ValueError for what is not understood."""
        rate, bytes_rate, recorded = self.pace.values()
        return ReplayOptions(
            subject=self.target_field.text().strip(),
            rate=rate,
            bytes_rate=bytes_rate,
            original_pace=recorded,
            order=self.pace.order,
            file=self.target.file,
            keep_headers=self.headers_check.isChecked(),
            set_headers=self.changes.headers(),
            edits=self.changes.edits(),
            ids=self.ids_box.currentData(),
            provenance=self.provenance_check.isChecked(),
        )

    # Starting -----------------------------------------------------------------------------------

    def request(self) -> ReplayRequest:
        """What is described, apart from the widgets, which do not outlive the dialog.

        Raises:
            ValueError: an end of the range is no place, or a change is not understood.
        """
        first, last = self.source.ends()
        return ReplayRequest(
            self.stream,
            self.options(),
            () if self.source.by_range else self.sequences,
            first,
            last,
            self.source.subject,
            self.path,
            self.target.session,
            self.target.consumer,
            self._patterns(),
        )

    def accept(self) -> None:
        """Note what was chosen, when it is sound."""
        super().accept()
        if self.isHidden():
            self._request = self.request()

    def show_dry_run(self) -> None:
        """Show what would be sent; nothing is."""
        for check in (
            self.source.problem,
            self._target_problem,
            self.target.consumer_problem,
            self.changes.problem,
        ):
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
