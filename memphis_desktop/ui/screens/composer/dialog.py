"""The composer window: subject, headers, body, and what became of it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QCheckBox,
    QCompleter,
    QDoubleSpinBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from memphis_desktop.cluster.raft.groups import write_refusal
from memphis_desktop.inspect.draft import BodyForm, Draft, json_problem, parse_hex, storing_stream
from memphis_desktop.inspect.mask import MaskedMessage
from memphis_desktop.inspect.message import Headers, InspectedMessage
from memphis_desktop.inspect.publishing import check_subject
from memphis_desktop.inspect.templates import Template, TemplateError
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.dialogs import FittingDialog, pad_numbers
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.composer import history
from memphis_desktop.ui.screens.composer.body import EDIT_LIMIT, FORM_TITLES, BodyPanel
from memphis_desktop.ui.screens.composer.header_grid import HeaderGrid
from memphis_desktop.ui.screens.composer.many import ManyBar
from memphis_desktop.ui.screens.composer.replies import ReplyPanel
from memphis_desktop.ui.screens.composer.schema_lookup import SchemaLookup
from memphis_desktop.ui.screens.composer.sending import Sending
from memphis_desktop.ui.screens.composer.subjects import SubjectOffers
from memphis_desktop.ui.screens.decoders.store import notifier
from memphis_desktop.ui.screens.messages.compare import CompareDialog
from memphis_desktop.ui.theme.icons import beside_text, icon

_CHECK_MS = 150
MAX_REPLIES = 1_000


def open_composer(
    context: ScreenContext,
    parent: QWidget | None = None,
    *,
    message: InspectedMessage | None = None,
    stream: str = "",
    draft: Draft | None = None,
    request: bool = False,
) -> Composer:
    """Open a composer window: empty, for a station, with a draft, or with a copy of a message.

    With `request` it is meant for a request: that is what its main button sends.
    """
    composer = Composer(context, parent)
    if message is not None:
        composer.copy_message(message)
    elif draft is not None:
        composer.set_draft(draft)
    elif stream:
        composer.suggest_station(stream)
    if request:
        composer.prefer_request()
    composer.show()
    composer.raise_()
    composer.activateWindow()
    return composer


class Composer(FittingDialog):
    """Publishes and requests. Stays open, so that one message after another can be sent."""

    key_place = "composer"

    published = Signal(object)  # the Acknowledgement of a message that was stored

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.context = context
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(tr("Publish a message"))
        self.resize(860, 700)
        self._origin: InspectedMessage | None = None
        self._streams_of: tuple[Any, list[tuple[str, list[str]]]] = (None, [])
        self._check_timer = QTimer(self)
        self._check_timer.setSingleShot(True)
        self._check_timer.setInterval(_CHECK_MS)
        self._check_timer.timeout.connect(self.check)
        self.schemas = SchemaLookup(context, self)
        self.offers = SubjectOffers(context, self)
        self.sending = Sending(self)
        self._build()
        keymap.tell_tooltips(self)
        self._connect()
        self.load_subjects()
        self.check()
        self.subject_field.setFocus()

    # Building -----------------------------------------------------------------------------------

    def _build(self) -> None:
        self.origin_note = PlainLabel("", "caption", wrap=True)
        self.origin_note.hide()
        self.subject_field = QLineEdit()
        self.subject_field.setProperty("role", "mono")
        self.subject_field.setPlaceholderText("orders.eu.created")  # untranslated: a subject
        self.subject_field.setAccessibleName(tr("Subject"))
        completer = QCompleter(self.offers.model, self)
        completer.setFilterMode(Qt.MatchFlag.MatchContains)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.subject_field.setCompleter(completer)
        self.match_label = PlainLabel("", "caption", elide=Qt.TextElideMode.ElideRight)
        self.history_button = QPushButton(tr("History"))
        beside_text(self.history_button, icon("clock-counter-clockwise"))
        self.history_button.setToolTip(tr("The last 200 messages sent, and favourites  ( Ctrl+H )"))
        self.history_button.setAutoDefault(False)
        subject_line = QHBoxLayout()
        subject_line.setSpacing(theme.SPACE_2)
        subject_line.addWidget(self.subject_field, 1)
        subject_line.addWidget(self.history_button)

        self.header_grid = HeaderGrid()
        self.header_grid.setMinimumHeight(84)
        self.body = BodyPanel()
        self.body_editor = self.body.editor
        self.body_note = self.body.note
        self.replies = ReplyPanel()
        self.replies.hide()
        self._splitter = QSplitter(Qt.Orientation.Vertical)
        self._splitter.setChildrenCollapsible(False)
        self._splitter.setHandleWidth(9)
        for part in (self.header_grid, self.body, self.replies):
            self._splitter.addWidget(part)
        self._splitter.setSizes([130, 400, 0])
        self.schema_check = QCheckBox(tr("Check against the schema"))
        self.schema_check.setChecked(True)
        self.schema_check.setToolTip(tr("What does not fit is not sent; untick it to send it all the same"))
        self.schema_check.hide()
        self.many = ManyBar()
        self.template_check = self.many.template_check
        self.count_box = self.many.count_box
        self.rate_box = self.many.rate_box
        self.outcome = Banner("good")
        self.outcome.hide()

        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_5, theme.SPACE_4, theme.SPACE_5, theme.SPACE_4)
        layout.setSpacing(theme.SPACE_3)
        self.differences_button = QPushButton(tr("Differences"))
        self.differences_button.setProperty("kind", "ghost")
        self.differences_button.setAutoDefault(False)
        self.differences_button.setToolTip(tr("Compare what would be sent with the original"))
        self.differences_button.clicked.connect(self.compare_with_origin)
        self.differences_button.hide()
        origin = QHBoxLayout()
        origin.setSpacing(theme.SPACE_3)
        origin.addWidget(self.origin_note, 1)
        origin.addWidget(self.differences_button, 0, Qt.AlignmentFlag.AlignTop)
        layout.addLayout(origin)
        where = QVBoxLayout()
        where.setSpacing(theme.SPACE_1)
        where.addLayout(subject_line)
        where.addWidget(self.match_label)
        layout.addLayout(where)
        layout.addWidget(self._splitter, 1)
        layout.addWidget(self.schema_check)
        layout.addWidget(self.many)
        layout.addWidget(self.outcome)
        layout.addLayout(self._foot())

    def _foot(self) -> QHBoxLayout:
        self.timeout_box = QDoubleSpinBox()
        self.timeout_box.setRange(0.1, 300)
        self.timeout_box.setValue(5)
        self.timeout_box.setDecimals(1)
        self.timeout_box.setSuffix(" s")
        self.timeout_box.setToolTip(tr("How long to wait for an answer"))
        self.timeout_box.setAccessibleName(tr("Timeout"))
        self.replies_box = QSpinBox()
        self.replies_box.setRange(1, MAX_REPLIES)
        self.replies_box.setToolTip(tr("How many replies to a request to wait for, within the timeout"))
        self.replies_box.setAccessibleName(tr("Replies"))
        self.request_button = QPushButton(tr("Request"))
        self.request_button.setToolTip(tr("Send and wait for replies  ( Ctrl+Shift+Enter )"))
        self.publish_button = QPushButton(tr("Publish"))
        self.publish_button.setProperty("kind", "primary")
        self.publish_button.setToolTip(tr("Send to the station and wait until it is stored  ( Ctrl+Enter )"))
        beside_text(self.publish_button, icon("paper-plane-tilt", "on_accent"))
        foot = QHBoxLayout()
        foot.setSpacing(theme.SPACE_2)
        foot.addStretch(1)
        pad_numbers(self.timeout_box)
        pad_numbers(self.replies_box)
        for title, box in ((tr("Timeout"), self.timeout_box), (tr("Replies"), self.replies_box)):
            foot.addWidget(PlainLabel(title, "caption"))
            foot.addWidget(box)
        for button in (self.request_button, self.publish_button):
            button.setAutoDefault(False)
            foot.addWidget(button)
        return foot

    def _connect(self) -> None:
        self.subject_field.textChanged.connect(lambda _: self._check_timer.start())
        self.header_grid.edited.connect(self._check_timer.start)
        self.body.edited.connect(self._check_timer.start)
        self.body.refused.connect(lambda text: self.show_outcome("warning", text))
        self.schemas.changed.connect(self.check)
        self.schema_check.toggled.connect(lambda _: self.check())
        notifier().changed.connect(self._check_timer.start)
        self.history_button.clicked.connect(self.show_history)
        self.template_check.toggled.connect(lambda _: self.check())
        self.count_box.valueChanged.connect(lambda _: self.sending.label_button())
        self.many.preview_button.clicked.connect(self.preview)
        self.many.file_action.triggered.connect(lambda _: self.choose_file())
        self.many.folder_action.triggered.connect(lambda _: self.choose_folder())
        self.publish_button.clicked.connect(self.sending.publish)
        self.request_button.clicked.connect(self.sending.request)

    def streams(self) -> list[tuple[str, list[str]]]:
        """Every stream with its subjects."""
        snapshot = self.context.session.snapshot
        if snapshot is not self._streams_of[0]:
            streams = snapshot.streams.values() if snapshot is not None else ()
            found = [(stream.name, list(stream.config.get("subjects") or [])) for stream in streams]
            self._streams_of = (snapshot, found)
        return self._streams_of[1]

    def load_subjects(self) -> None:
        """Offer the subjects of stations, and those sent to before."""
        self.offers.load({subject for _, patterns in self.streams() for subject in patterns})

    # The draft ----------------------------------------------------------------------------------

    def draft(self) -> Draft:
        """What is written."""
        subject = self.subject_field.text().strip()
        return Draft(subject, self.header_grid.headers(), self.body.form, self.body.text())

    def set_draft(self, draft: Draft) -> None:
        """Write this."""
        self.subject_field.setText(draft.subject)
        self.header_grid.set_headers(draft.headers)
        self.body.set_body(draft.form, draft.body)
        self.check()

    def copy_message(self, message: InspectedMessage) -> None:
        """Write a copy of a message; a payload too large to be edited is kept as it is."""
        if len(message.payload) > EDIT_LIMIT:
            self.set_draft(Draft.without_body(message))
            self.body.hold(message.payload)
        else:
            self.set_draft(Draft.of(message))
        self.set_origin(message)
        self.check()

    def set_origin(self, message: InspectedMessage) -> None:
        """Say what this is a copy of."""
        self.setWindowTitle(tr("Edit and publish"))
        text = tr(
            "A copy of {stream} #{sequence}. The original stays as it is.",
            stream=message.stream,
            sequence=figures.integer(message.sequence),
        )
        more = []
        if message.headers.get("Nats-Msg-Id") or message.headers.get("msg-id"):
            more.append(tr("Its message id is left out, or the copy would be taken for a duplicate."))
        if isinstance(message, MaskedMessage) and message.is_masked:
            more.append(
                tr("Values hidden by masking rules are hidden here too, and would be sent as they stand.")
            )
        self.origin_note.setText(" ".join((text, *more)))
        self.origin_note.show()
        self._origin = message
        self.differences_button.show()

    def compare_with_origin(self) -> CompareDialog | None:
        """Open the differences of the original and of what is written now."""
        if self._origin is None:
            return None
        try:
            draft = self.filled(0)
            headers = Headers(draft.headers).encode()
            now = time.time_ns()
            written = InspectedMessage("draft", 1, now, draft.subject, headers, self.payload(draft))
        except (ValueError, TemplateError) as error:
            self.show_outcome("bad", str(error))
            return None
        dialog = CompareDialog(self, self._origin, written)
        dialog.show()
        return dialog

    def prefer_request(self) -> None:
        """Make the request what is mainly done here."""
        self.setWindowTitle(tr("Send a request"))
        self.publish_button.setProperty("kind", None)
        beside_text(self.publish_button, icon("paper-plane-tilt"))
        self.request_button.setProperty("kind", "primary")
        for button in (self.publish_button, self.request_button):
            button.style().unpolish(button)
            button.style().polish(button)

    def suggest_station(self, stream: str) -> None:
        """Begin with the subject of a station."""
        patterns = dict(self.streams()).get(stream, [])
        if patterns:
            self.subject_field.setText(patterns[0])
            first = min((patterns[0] + "*>").index(sign) for sign in "*>")
            self.subject_field.setSelection(first, len(patterns[0]) - first)

    def show_history(self) -> history.HistoryDialog:
        """Open the list of what was sent before."""
        dialog = history.HistoryDialog(self, self.context.zone)
        dialog.chosen.connect(self.set_draft)
        dialog.open()
        return dialog

    # Checking -----------------------------------------------------------------------------------

    def target(self) -> str:
        """The stream that would store this; empty when none would."""
        return storing_stream(self.streams(), self.subject_field.text().strip()) or ""

    def refusal(self) -> str:
        """Why nothing can be published there now: read-only, or a station without leader or quorum."""
        session = self.context.session
        if session.profile.read_only:
            return tr("This connection is read-only.")
        stream = self.target()
        return write_refusal(session.snapshot, stream) if stream else ""

    def filled(self, index: int) -> Draft:
        """The message of a number, placeholders filled in when that is wanted."""
        draft = self.draft()
        return Template(draft).make(index) if self.template_check.isChecked() else draft

    def payload(self, draft: Draft) -> bytes:
        """The bytes of a draft; raises ValueError when the body does not fit its form, encoding or schema."""
        data = self.body.payload(draft)
        attached = self.body.attached if self.body.held is None else None  # large ones the station checks
        if attached is not None and self.schema_check.isChecked():
            problem = attached.problem(data)
            if problem:
                raise ValueError(problem)
        return data

    def problem(self) -> str:
        """Why this cannot be sent, or nothing."""
        try:
            draft = self.filled(0)
            check_subject(draft.subject)
            self.payload(draft)
        except (ValueError, TemplateError) as error:
            return str(error)
        return self.header_grid.problem()

    def _subject_problem(self, subject: str) -> str:
        """Why nothing can be sent there; said beside the subject."""
        try:
            check_subject(subject)
        except ValueError as error:
            return str(error)
        return ""

    def _body_problem(self) -> str:
        try:
            text = self.filled(0).body
            if self.body.form is BodyForm.HEX:
                parse_hex(text)
        except (TemplateError, ValueError) as error:
            return str(error)
        return json_problem(text) if self.body.form is BodyForm.JSON else ""

    def check(self) -> None:
        """Say where the message would go and what is wrong with it."""
        self._check_timer.stop()
        subject, note = self.subject_field.text().strip(), self.body.note
        self._find_schema(subject)
        body_problem = self._body_problem()
        problem = body_problem or self.problem()
        if problem:
            note.setText(problem if body_problem or not self._subject_problem(subject) else "")
            note.setRole("bad")
        else:
            size = len(self.body.payload(self.filled(0)))
            title = FORM_TITLES[self.body.form]
            is_checked = self.body.attached and self.schema_check.isChecked() and self.body.held is None
            if self.body.held is not None:
                title = tr("Too large to be edited here, sent as it is")
            text = tr("{what}, {size}", what=title, size=figures.bytes_size(size))
            if is_checked:
                text = tr("{what}, {size}, fits its schema", what=title, size=figures.bytes_size(size))
            note.setText(text if size else tr("Empty body"))
            note.setRole("caption")
        self.body.update_buttons()
        self.many.preview_button.setVisible(self.template_check.isChecked())
        self._check_target(subject)
        self.sending.label_button()
        can = not problem and not self.sending.busy and not self.refusal()
        self.publish_button.setEnabled(can or self.sending.running)
        self.request_button.setEnabled(can)

    def _find_schema(self, subject: str) -> None:
        stream = self.target()
        attached = self.schemas.schema(stream, subject, self.header_grid.headers())
        station = self.schemas.station_schema(stream)
        self.body.set_attached(attached)
        title = attached.title if attached is not None else station.title if station is not None else ""
        self.schema_check.setVisible(bool(title))
        self.schema_check.setText(
            figures.visible_text(tr("Check against {title}", title=title), 100).replace("&", "&&")
        )

    def _check_target(self, subject: str) -> None:
        refusal = self.refusal()
        if refusal:
            self.match_label.setText(refusal)
            self.match_label.setRole("bad")
            return
        if not subject:
            self.match_label.setText("")
            return
        problem = self._subject_problem(subject)
        if problem:
            self.match_label.setText(problem)
            self.match_label.setRole("bad")
            return
        stream = self.target()
        self.match_label.setRole("caption")
        if stream:
            self.match_label.setText(tr("Stored in {stream}", stream=stream))
            self.offers.look_into(stream)
        else:
            self.match_label.setText(tr("No station stores this subject; use Request for a service"))

    # Doing --------------------------------------------------------------------------------------

    def preview(self) -> None:
        """Show the first three messages as they would be sent."""
        texts = []
        try:
            for index in range(3):
                draft = self.filled(index)
                headers = "".join(f"{name}: {value}\n" for name, value in draft.headers)
                texts.append(f"{draft.subject}\n{headers}{draft.body}")
        except TemplateError as error:
            self.show_outcome("bad", str(error))
            return
        self.replies.set_text("\n\n".join(texts))
        self.show_replies()

    def choose_file(self) -> None:
        """Publish from a file."""
        path, _ = QFileDialog.getOpenFileName(
            self,
            tr("Send from a file"),
            "",
            tr("Messages (*.ndjson *.jsonl *.json *.csv *.mdump);;All files (*)"),
        )
        if path:
            self.send_file(path)

    def choose_folder(self) -> None:
        """Publish each file of a folder."""
        path = QFileDialog.getExistingDirectory(self, tr("Send the files of a folder"))
        if path:
            self.send_file(path)

    def send_file(self, path: str) -> None:
        """Open the replay dialog for a file or folder."""
        from memphis_desktop.ui.screens.replay import open_file_replay

        open_file_replay(self.context, self.window(), path, self.subject_field.text().strip())

    def show_replies(self) -> None:
        """Make room for replies."""
        if self.replies.isHidden():
            self.replies.show()
            self._splitter.setSizes([100, 240, 200])

    def show_outcome(self, kind: str, text: str, action: Any = None) -> None:
        """Say what became of it."""
        self.outcome.set_content(kind, text, action)
        self.outcome.show()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Ctrl+Enter publishes, Ctrl+Shift+Enter requests, Ctrl+H shows the history, Escape closes."""
        meant = keymap.pressed("composer", event)
        if meant == "publish":
            self.sending.publish()
        elif meant == "request":
            self.sending.request()
        elif meant == "history":
            self.show_history()
        if meant or event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            return
        if event.matches(QKeySequence.StandardKey.Close):
            self.close()
            return
        super().keyPressEvent(event)

    def done(self, result: int) -> None:
        """Closing ends what is being sent and the process that checks schemas."""
        self.sending.cancel()
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass  # the program is ending
        else:
            self.context.run(self.schemas.close(), tr("end the schema check"))
        super().done(result)
