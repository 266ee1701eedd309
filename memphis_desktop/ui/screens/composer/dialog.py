"""The composer window: subject, headers, body, and what became of it."""

from __future__ import annotations

from functools import partial
from typing import Any

from PySide6.QtCore import QStringListModel, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QCompleter,
    QDialog,
    QDoubleSpinBox,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QPlainTextEdit,
    QPushButton,
    QSpinBox,
    QSplitter,
    QVBoxLayout,
    QWidget,
)
from shiboken6 import isValid

from memphis_desktop.inspect.decode import TITLES, DecodeError, decode, exact_json
from memphis_desktop.inspect.draft import (
    HISTORY_BODY,
    HISTORY_LENGTH,
    BodyForm,
    Draft,
    format_hex,
    json_problem,
    parse_hex,
    storing_stream,
)
from memphis_desktop.inspect.encode import PLAIN, encode_json
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.publishing import (
    Acknowledgement,
    PublishError,
    Reply,
    check_subject,
    publish,
    request,
)
from memphis_desktop.inspect.series import Series
from memphis_desktop.inspect.templates import HELP as TEMPLATE_HELP
from memphis_desktop.inspect.templates import MAX_COUNT, Template, TemplateError
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import settings, theme
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import Route, ScreenContext
from memphis_desktop.ui.screens.composer.header_grid import HeaderGrid
from memphis_desktop.ui.screens.decoders.choices import chosen, select_choice
from memphis_desktop.ui.screens.decoders.store import current_decoders, notifier
from memphis_desktop.ui.screens.messages_text import TextView
from memphis_desktop.ui.theme import fonts
from memphis_desktop.ui.theme.icons import icon

HISTORY_KEY = "composer/history"
_CHECK_MS = 150
_TITLES = {BodyForm.JSON: "JSON", BodyForm.TEXT: "Text", BodyForm.HEX: "Hex"}


def open_composer(
    context: ScreenContext,
    parent: QWidget | None = None,
    *,
    message: InspectedMessage | None = None,
    stream: str = "",
    draft: Draft | None = None,
) -> Composer:
    """Open a composer window: empty, for a station, with a draft, or with a copy of a message."""
    composer = Composer(context, parent)
    if message is not None:
        composer.set_draft(Draft.of(message))
        composer.set_origin(message)
    elif draft is not None:
        composer.set_draft(draft)
    elif stream:
        composer.suggest_station(stream)
    composer.show()
    composer.raise_()
    composer.activateWindow()
    return composer


class Composer(QDialog):
    """Publishes and requests. Stays open, so that one message after another can be sent."""

    published = Signal(object)  # the Acknowledgement of a message that was stored

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.context = context
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle("Publish a message")
        self.resize(780, 680)
        self._form = BodyForm.JSON
        self._sending = False
        self._stored: Acknowledgement | None = None
        self._series: Series | None = None
        self._check_timer = QTimer(self)
        self._check_timer.setSingleShot(True)
        self._check_timer.setInterval(_CHECK_MS)
        self._check_timer.timeout.connect(self.check)
        self._build()
        self._connect()
        self._load_subjects()
        self.check()
        self.subject_field.setFocus()

    # Building -----------------------------------------------------------------------------------

    def _build(self) -> None:
        self.origin_note = PlainLabel("", "caption", wrap=True)
        self.origin_note.hide()
        self.subject_field = QLineEdit()
        self.subject_field.setProperty("role", "mono")
        self.subject_field.setPlaceholderText("orders.eu.created")
        self.subject_field.setAccessibleName("Subject")
        self._subjects = QStringListModel()
        completer = QCompleter(self._subjects, self)
        completer.setFilterMode(Qt.MatchFlag.MatchContains)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        self.subject_field.setCompleter(completer)
        self.match_label = PlainLabel("", "caption", elide=Qt.TextElideMode.ElideRight)
        self.history_button = QPushButton("History")
        self.history_button.setIcon(icon("clock-counter-clockwise"))
        self.history_button.setAutoDefault(False)
        subject_line = QHBoxLayout()
        subject_line.setSpacing(theme.SPACE_2)
        subject_line.addWidget(self.subject_field, 1)
        subject_line.addWidget(self.history_button)

        self.header_grid = HeaderGrid()
        self.header_grid.setMinimumHeight(84)
        self.body_editor = QPlainTextEdit()
        self.body_editor.setFont(fonts.monospace(theme.SIZE_CAPTION))
        self.body_editor.setProperty("role", "mono")
        self.body_editor.setAccessibleName("Body")
        self.body_editor.setTabChangesFocus(False)
        self.body_editor.setMinimumHeight(120)
        self.body_note = PlainLabel("", "caption", elide=Qt.TextElideMode.ElideRight)
        self.encoding_box = QComboBox()
        self.encoding_box.setAccessibleName("Send as")
        self.encoding_box.setToolTip("Send the JSON as MsgPack, CBOR, or a type of the decoders")
        self.example_button = QPushButton("Example")
        self.example_button.setProperty("kind", "ghost")
        self.example_button.setAutoDefault(False)
        self.example_button.setToolTip("Write every field of the type with its default")
        self.example_button.clicked.connect(self.write_example)
        self.format_button = QPushButton("Format")
        self.format_button.setProperty("kind", "ghost")
        self.format_button.setAutoDefault(False)
        self.format_button.setToolTip("Indent the JSON; numbers stay as they are")
        self.forms = QButtonGroup(self)
        segments = QFrame()
        segments.setProperty("panel", "segments")
        row = QHBoxLayout(segments)
        row.setContentsMargins(2, 2, 2, 2)
        row.setSpacing(2)
        for index, form in enumerate(BodyForm):
            button = QPushButton(_TITLES[form])
            button.setCheckable(True)
            button.setAutoDefault(False)
            button.setProperty("kind", "segment")
            button.setChecked(form is self._form)
            self.forms.addButton(button, index)
            row.addWidget(button)
        body_line = QHBoxLayout()
        body_line.addWidget(_caption("Body"))
        body_line.addWidget(segments)
        body_line.addWidget(self.encoding_box)
        body_line.addWidget(self.example_button)
        body_line.addStretch()
        body_line.addWidget(self.format_button)

        headers_part, body_part = QWidget(), QWidget()
        headers_layout, body_layout = QVBoxLayout(headers_part), QVBoxLayout(body_part)
        for part in (headers_layout, body_layout):
            part.setContentsMargins(0, 0, 0, 0)
            part.setSpacing(theme.SPACE_1)
        headers_layout.addWidget(self.header_grid)
        body_layout.addLayout(body_line)
        body_layout.addWidget(self.body_editor, 1)
        body_layout.addWidget(self.body_note)
        self.reply_view = TextView("Reply")
        self.reply_view.hide()
        self._splitter = QSplitter(Qt.Orientation.Vertical)
        self._splitter.setChildrenCollapsible(False)
        self._splitter.setHandleWidth(9)
        for part_widget in (headers_part, body_part, self.reply_view):
            self._splitter.addWidget(part_widget)
        self._splitter.setSizes([130, 380, 0])

        self.outcome = Banner("good")
        self.outcome.hide()
        self.timeout_box = QDoubleSpinBox()
        self.timeout_box.setRange(0.1, 300)
        self.timeout_box.setValue(5)
        self.timeout_box.setDecimals(1)
        self.timeout_box.setSuffix(" s")
        self.timeout_box.setToolTip("How long to wait for an answer")
        self.timeout_box.setAccessibleName("Timeout")
        self.request_button = QPushButton("Request")
        self.request_button.setToolTip("Send and wait for a reply  ( Ctrl+Shift+Enter )")
        self.publish_button = QPushButton("Publish")
        self.publish_button.setProperty("kind", "primary")
        self.publish_button.setToolTip("Send to the station and wait until it is stored  ( Ctrl+Enter )")
        self.publish_button.setIcon(icon("paper-plane-tilt", "on_accent"))
        self.template_check = QCheckBox("Fill in {{placeholders}}")
        self.template_check.setToolTip("\n".join(f"{name}  {meaning}" for name, meaning in TEMPLATE_HELP))
        self.count_box = QSpinBox()
        self.count_box.setRange(1, MAX_COUNT)
        self.count_box.setPrefix("× ")
        self.count_box.setGroupSeparatorShown(True)
        self.count_box.setAccessibleName("How many messages")
        self.count_box.setToolTip("How many messages to publish")
        self.rate_box = QDoubleSpinBox()
        self.rate_box.setRange(0, 1_000_000)
        self.rate_box.setDecimals(1)
        self.rate_box.setSpecialValueText("as fast as stored")
        self.rate_box.setSuffix(" messages/s")
        self.rate_box.setAccessibleName("Pace")
        self.preview_button = QPushButton("Preview three")
        self.preview_button.setProperty("kind", "ghost")
        self.preview_button.setAutoDefault(False)
        self.preview_button.clicked.connect(self.preview)
        self.file_button = QPushButton("Send from a file")
        self.file_button.setProperty("kind", "ghost")
        self.file_button.setAutoDefault(False)
        self.file_button.setToolTip("Publish the messages of an NDJSON, CSV or dump file")
        self.file_button.clicked.connect(self.choose_file)
        many = QHBoxLayout()
        many.setSpacing(theme.SPACE_2)
        for widget in (self.template_check, self.preview_button):
            many.addWidget(widget)
        many.addStretch()
        many.addWidget(self.count_box)
        many.addWidget(self.rate_box)
        many.addWidget(self.file_button)
        foot = QHBoxLayout()
        foot.setSpacing(theme.SPACE_2)
        foot.addWidget(self.match_label, 1)
        foot.addWidget(_caption("Timeout"))
        foot.addWidget(self.timeout_box)
        for button in (self.request_button, self.publish_button):
            button.setAutoDefault(False)
            foot.addWidget(button)

        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_5, theme.SPACE_4, theme.SPACE_5, theme.SPACE_4)
        layout.setSpacing(theme.SPACE_3)
        layout.addWidget(self.origin_note)
        layout.addLayout(subject_line)
        layout.addWidget(self._splitter, 1)
        layout.addLayout(many)
        layout.addWidget(self.outcome)
        layout.addLayout(foot)

    def _connect(self) -> None:
        self.subject_field.textChanged.connect(lambda _: self._check_timer.start())
        self.header_grid.edited.connect(self._check_timer.start)
        self.body_editor.textChanged.connect(self._check_timer.start)
        self.forms.idClicked.connect(lambda index: self.set_form(list(BodyForm)[index]))
        self.format_button.clicked.connect(self.format_body)
        self.history_button.clicked.connect(self._show_history)
        self.encoding_box.currentIndexChanged.connect(lambda _: self.check())
        self.template_check.toggled.connect(lambda _: self.check())
        self.count_box.valueChanged.connect(lambda _: self._label_publish())
        self._series_timer = QTimer(self)
        self._series_timer.setInterval(200)
        self._series_timer.timeout.connect(self._show_series)
        notifier().changed.connect(self._load_encodings)
        self._load_encodings()
        self.publish_button.clicked.connect(self.publish)
        self.request_button.clicked.connect(self.request)

    def _streams(self) -> list[tuple[str, list[str]]]:
        snapshot = self.context.session.snapshot
        streams = snapshot.streams.values() if snapshot is not None else ()
        return [(stream.name, list(stream.config.get("subjects") or [])) for stream in streams]

    def _load_subjects(self) -> None:
        subjects = {subject for _, patterns in self._streams() for subject in patterns}
        recent = [str(entry.get("subject", "")) for entry in self._history()]
        self._subjects.setStringList(list(dict.fromkeys([*recent, *sorted(subjects)])))

    # The draft ----------------------------------------------------------------------------------

    def body_text(self) -> str:
        """The body as typed. The document's own plain text would turn no-break spaces into spaces."""
        return self.body_editor.document().toRawText().replace("\u2029", "\n")

    def draft(self) -> Draft:
        """What is written."""
        body = self.body_text()
        return Draft(self.subject_field.text().strip(), self.header_grid.headers(), self._form, body)

    def set_draft(self, draft: Draft) -> None:
        """Write this."""
        self.subject_field.setText(draft.subject)
        self.header_grid.set_headers(draft.headers)
        self._form = draft.form
        self.forms.button(list(BodyForm).index(draft.form)).setChecked(True)
        self.body_editor.setPlainText(draft.body)
        self.check()

    def set_origin(self, message: InspectedMessage) -> None:
        """Say what this is a copy of."""
        self.setWindowTitle("Edit and publish")
        text = (
            f"A copy of {message.stream} #{figures.integer(message.sequence)}. The original stays as it is."
        )
        if message.headers.get("Nats-Msg-Id") or message.headers.get("msg-id"):
            text += " Its message id is left out, or the copy would be taken for a duplicate."
        self.origin_note.setText(text)
        self.origin_note.show()

    def suggest_station(self, stream: str) -> None:
        """Begin with the subject of a station."""
        patterns = dict(self._streams()).get(stream, [])
        if patterns:
            self.subject_field.setText(patterns[0])
            first = min((patterns[0] + "*>").index(sign) for sign in "*>")
            self.subject_field.setSelection(first, len(patterns[0]) - first)

    def set_form(self, form: BodyForm) -> None:
        """Write the body another way; its bytes stay the same where that is possible."""
        before = self._form
        if form is before:
            return
        text = self.body_text()
        try:
            data = parse_hex(text) if before is BodyForm.HEX else text.encode("utf-8", "surrogateescape")
            text = format_hex(data) if form is BodyForm.HEX else data.decode("utf-8")
        except ValueError:
            self.forms.button(list(BodyForm).index(before)).setChecked(True)
            self._show("warning", "These bytes are no text, so they can only be written as hex.")
            return
        self._form = form
        self.forms.button(list(BodyForm).index(form)).setChecked(True)
        self.body_editor.setPlainText(text)
        self.check()

    def format_body(self) -> None:
        """Indent the JSON."""
        try:
            value = exact_json.parse(self.body_text().encode("utf-8", "surrogateescape"))
        except DecodeError:
            self.check()
            return
        self.body_editor.setPlainText(exact_json.write(value))

    # Checking -----------------------------------------------------------------------------------

    def problem(self) -> str:
        """Why this cannot be sent, or nothing."""
        try:
            draft = self._filled(0)
            check_subject(draft.subject)
            self.payload(draft)
        except (ValueError, TemplateError) as error:
            return str(error)
        return self.header_grid.problem()

    def _filled(self, index: int) -> Draft:
        """The message of a number, placeholders filled in when that is wanted."""
        draft = self.draft()
        return Template(draft).make(index) if self.template_check.isChecked() else draft

    def payload(self, draft: Draft) -> bytes:
        """The bytes of a draft in the chosen encoding; raises ValueError when it does not fit."""
        kind, schema = chosen(self.encoding_box) or ("json", "")
        if draft.form is not BodyForm.JSON or kind == "json":
            return draft.payload()
        return encode_json(draft.body, kind, schema, current_decoders())

    def _load_encodings(self) -> None:
        before_choice = chosen(self.encoding_box)
        before = self.encoding_box.blockSignals(True)
        self.encoding_box.clear()
        for kind in PLAIN:
            self.encoding_box.addItem("as written" if kind == "json" else f"as {TITLES[kind]}", (kind, ""))
        for kind, schema in current_decoders().schemas():
            self.encoding_box.addItem(f"as {schema}", (kind, schema))
        select_choice(self.encoding_box, before_choice)
        self.encoding_box.blockSignals(before)

    def write_example(self) -> None:
        """Begin with every field of the chosen protobuf type."""
        kind, schema = chosen(self.encoding_box) or ("json", "")
        found = current_decoders().protobuf.get(schema) if kind == "protobuf" else None
        if found is not None:
            self.body_editor.setPlainText(exact_json.write(found.example()))

    def preview(self) -> None:
        """Show the first three messages as they would be sent."""
        texts = []
        try:
            for index in range(3):
                draft = self._filled(index)
                headers = "".join(f"{name}: {value}\n" for name, value in draft.headers)
                texts.append(f"{draft.subject}\n{headers}{draft.body}")
        except TemplateError as error:
            self._show("bad", str(error))
            return
        self.reply_view.set_text("\n\n".join(texts))
        self._show_reply_view()

    def choose_file(self) -> None:
        """Publish from a file."""
        path, _ = QFileDialog.getOpenFileName(
            self, "Send from a file", "", "Messages (*.ndjson *.jsonl *.json *.csv *.mdump);;All files (*)"
        )
        if path:
            self.send_file(path)

    def send_file(self, path: str) -> None:
        """Open the replay dialog for a file."""
        from memphis_desktop.ui.screens.replay import open_file_replay

        open_file_replay(self.context, self.window(), path, self.subject_field.text().strip())

    def check(self) -> None:
        """Say where the message would go and what is wrong with it."""
        self._check_timer.stop()
        subject = self.subject_field.text().strip()
        text = self.body_text()
        try:
            text = self._filled(0).body
            body_problem = json_problem(text) if self._form is BodyForm.JSON else ""
        except TemplateError as error:
            body_problem = str(error)
        if self._form is BodyForm.HEX:
            try:
                parse_hex(text)
            except ValueError as error:
                body_problem = str(error)
        if body_problem:
            self.body_note.setText(body_problem)
            self.body_note.setRole("bad")
        elif problem := self.problem():
            self.body_note.setText(problem if self.subject_field.text().strip() else "")
            self.body_note.setRole("bad")
        else:
            size = len(self.payload(self._filled(0)))
            self.body_note.setText(
                f"{_TITLES[self._form]}, {figures.bytes_size(size)}" if size else "Empty body"
            )
            self.body_note.setRole("caption")
        self.format_button.setVisible(self._form is BodyForm.JSON)
        self.encoding_box.setVisible(self._form is BodyForm.JSON)
        kind, _ = chosen(self.encoding_box) or ("json", "")
        self.example_button.setVisible(self._form is BodyForm.JSON and kind == "protobuf")
        self.preview_button.setVisible(self.template_check.isChecked())
        self._check_target(subject)
        self._label_publish()
        can = not self.problem() and not self._sending and not self.context.session.profile.read_only
        self.publish_button.setEnabled(can)
        self.request_button.setEnabled(can)

    def _check_target(self, subject: str) -> None:
        if self.context.session.profile.read_only:
            self.match_label.setText("This connection is read-only.")
            return
        if not subject:
            self.match_label.setText("")
            return
        try:
            check_subject(subject)
        except ValueError as error:
            self.match_label.setText(str(error))
            self.match_label.setRole("bad")
            return
        stream = storing_stream(self._streams(), subject)
        self.match_label.setRole("caption")
        if stream:
            self.match_label.setText(f"Stored in {stream}")
        else:
            self.match_label.setText("No station stores this subject; use Request for a service")

    # Sending ------------------------------------------------------------------------------------

    def publish(self) -> None:
        """Publish to a station and show the acknowledgement; again while many are sent stops them."""
        if self._series is not None and not self._series.progress.done:
            self._series.cancel()
        elif self.count_box.value() > 1:
            self._send(self._publish_many, "publish the messages")
        else:
            self._send(self._publish, "publish the message")

    def _label_publish(self) -> None:
        if self._series is not None and not self._series.progress.done:
            self.publish_button.setText("Stop")
            self.publish_button.setEnabled(True)
            return
        count = self.count_box.value()
        self.publish_button.setText("Publish" if count == 1 else f"Publish {figures.compact(count)}")

    async def _publish_many(self, draft: Draft) -> None:
        template = Template(draft) if self.template_check.isChecked() else _Fixed(draft)
        rate = self.rate_box.value() or None
        client = self.context.session.nats
        self._series = Series(client, template, self.count_box.value(), rate, self.payload)
        self._series_timer.start()
        self._label_publish()
        try:
            await self._series.run()
        finally:
            if isValid(self):
                self._series_timer.stop()
                self._show_series()
                self.check()
        self._remember(draft)

    def _show_series(self) -> None:
        if self._series is None:
            return
        progress = self._series.progress
        parts = [
            f"{figures.integer(progress.sent)} of {figures.integer(progress.count)} sent",
            f"{figures.integer(progress.stored)} stored",
        ]
        if progress.duplicates:
            parts.append(f"{figures.count_noun(progress.duplicates, 'duplicate')} not stored again")
        if progress.failed:
            sample = next(iter(progress.errors))
            parts.append(f"{figures.integer(progress.failed)} failed: {sample}")
        parts.append(figures.rate(progress.rate))
        if progress.reason:
            parts.append(progress.reason)
        kind = "bad" if progress.failed or (progress.done and not progress.stored) else "good"
        action = None
        if progress.done and progress.last is not None:
            last = progress.last
            action = ("Show", lambda: self._navigate(last))
        self._show(kind if progress.done else "information", "  ·  ".join(parts), action)

    def request(self) -> None:
        """Send a request and show the reply."""
        self._send(self._request, "send the request")

    def _send(self, send: Any, description: str) -> None:
        self.check()
        problem = self.problem()
        if problem:
            self._show("bad", problem)
            return
        if not self._sending and not self.context.session.profile.read_only:
            self.context.run(send(self.draft()), description)

    async def _publish(self, draft: Draft) -> None:
        self._set_sending(True)
        try:
            draft = self._filled(0)
            ack = await publish(
                self.context.session.nats,
                draft.subject,
                self.payload(draft),
                draft.header_list(),
                timeout=self.timeout_box.value(),
            )
        except PublishError as error:
            self._show_failure(error)
            return
        finally:
            self._set_sending(False)
        self._remember(draft)
        self._show_stored(ack)

    async def _request(self, draft: Draft) -> None:
        self._set_sending(True)
        try:
            draft = self._filled(0)
            reply = await request(
                self.context.session.nats,
                draft.subject,
                self.payload(draft),
                draft.header_list(),
                timeout=self.timeout_box.value(),
            )
        except PublishError as error:
            self._show_failure(error)
            return
        finally:
            self._set_sending(False)
        self._remember(draft)
        self._show_reply(reply)

    def _set_sending(self, sending: bool) -> None:
        self._sending = sending
        self.check()

    def _show_stored(self, ack: Acknowledgement) -> None:
        took = figures.duration(ack.seconds)
        where = f"{ack.stream} as #{figures.integer(ack.sequence)}"
        self._stored = ack
        self.reply_view.hide()
        show = ("Show", lambda: self._navigate(ack))
        if ack.duplicate:
            text = f"Not stored again: a message with this id is already in {where}."
            self._show("warning", text, show)
        else:
            value = f" The counter is now {ack.value}." if ack.value else ""
            self._show("good", f"Stored in {where} after {took}.{value}", show)
            self.published.emit(ack)

    def _navigate(self, ack: Acknowledgement) -> None:
        self.context.navigate(Route("messages", {"stream": ack.stream, "sequence": str(ack.sequence)}))

    def _show_reply(self, reply: Reply) -> None:
        size = figures.bytes_size(len(reply.payload))
        self._show("good", f"Reply after {figures.duration(reply.seconds)}, {size}.")
        decoded = decode(reply.payload)
        text = exact_json.write(decoded.value) if decoded.has_value else decoded.text
        headers = "".join(f"{name}: {value}\n" for name, value in reply.headers)
        body = format_hex(reply.payload) if text is None else text
        self.reply_view.set_text(f"{headers}\n{body}" if headers else body)
        self._show_reply_view()

    def _show_reply_view(self) -> None:
        if self.reply_view.isHidden():
            self.reply_view.show()
            self._splitter.setSizes([100, 240, 200])

    def _show_failure(self, error: PublishError) -> None:
        text = str(error)
        if error.kind == "no stream":
            text += ". Create one with this subject, or use Request."
        self._show("bad", text)

    def _show(self, kind: str, text: str, action: Any = None) -> None:
        self.outcome.set_content(kind, text, action)
        self.outcome.show()

    # History ------------------------------------------------------------------------------------

    def _history(self) -> list[dict[str, Any]]:
        entries = settings.current().get(HISTORY_KEY) or []
        return [entry for entry in entries if isinstance(entry, dict)]

    def _remember(self, draft: Draft) -> None:
        if len(draft.body) > HISTORY_BODY:
            return
        record = draft.record()
        kept = [entry for entry in self._history() if entry != record]
        settings.current().set(HISTORY_KEY, [record, *kept][:HISTORY_LENGTH])
        self._load_subjects()

    def _show_history(self) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for entry in self._history()[:25]:
            try:
                draft = Draft.from_record(entry)
            except ValueError:
                continue
            body = " ".join(draft.body.split())[:60]
            title = figures.visible_text(f"{draft.subject}   {body}", 100).replace("&", "&&")
            menu.addAction(title, partial(self.set_draft, draft))
        if menu.isEmpty():
            menu.addAction("Nothing sent yet").setEnabled(False)
        else:
            menu.addSeparator()
            menu.addAction("Forget all", lambda: settings.current().set(HISTORY_KEY, None))
        menu.popup(self.history_button.mapToGlobal(self.history_button.rect().bottomLeft()))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Ctrl+Enter publishes, Ctrl+Shift+Enter requests, Escape closes."""
        control, shift = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            modifiers = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
            if modifiers == control:
                self.publish()
            elif modifiers == control | shift:
                self.request()
            return
        if event.matches(QKeySequence.StandardKey.Close):
            self.close()
            return
        super().keyPressEvent(event)


class _Fixed(Template):
    """The same message every time: nothing in it is a placeholder."""

    def make(self, index: int) -> Draft:
        """The draft as it is."""
        return self.draft


def _caption(text: str) -> QLabel:
    return PlainLabel(text, "caption")
