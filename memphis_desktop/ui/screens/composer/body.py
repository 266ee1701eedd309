"""The body of a message being written: as JSON, by form, as text or as hex, and what it is sent as."""

from __future__ import annotations

from PySide6.QtCore import QMimeData, Qt, Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QPlainTextEdit,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from memphis_desktop.inspect.attached import AttachedSchema, schema_field
from memphis_desktop.inspect.decode import TITLES, DecodeError, exact_json
from memphis_desktop.inspect.decode.text import preview
from memphis_desktop.inspect.draft import BodyForm, Draft, format_hex, parse_hex
from memphis_desktop.inspect.encode import PLAIN, encode_json
from memphis_desktop.inspect.forms import Field, default_value
from memphis_desktop.inspect.forms.json_types import value_field
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screens.composer.form_view import FormView
from memphis_desktop.ui.screens.decoders.choices import chosen, select_choice
from memphis_desktop.ui.screens.decoders.store import current_decoders, notifier
from memphis_desktop.ui.theme import fonts

FORM_TITLES = {BodyForm.JSON: "JSON", BodyForm.TEXT: tr("Text"), BodyForm.HEX: tr("Hex")}
EDIT_LIMIT = 256 << 10  # bytes; a larger body is kept as it is: checking it would hold up the window
HELD_SHOWN = 2 << 10
FORM_LIMIT = 1 << 20  # a larger body is edited as JSON
_FORM_ID = len(BodyForm)  # the button of the form; the others have the index of their BodyForm
ATTACHED = ("attached", "")


class BodyEditor(QPlainTextEdit):
    """Where a body is typed. What is too large to be edited without holding up the window is not pasted."""

    refused = Signal(str)

    def insertFromMimeData(self, source: QMimeData) -> None:
        """Paste, within the limit."""
        if len(source.text()) > EDIT_LIMIT:
            limit = figures.bytes_size(EDIT_LIMIT)
            self.refused.emit(tr("More than {limit} is not pasted here; send it from a file.", limit=limit))
            return
        super().insertFromMimeData(source)


class BodyPanel(QWidget):
    """The editors. `edited` tells of every change; `refused` why a way of writing is not possible."""

    edited = Signal()
    refused = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.form = BodyForm.JSON
        self.attached: AttachedSchema | None = None
        self.held: bytes | None = None  # a body too large to be edited: it is sent as it is
        self._taking = False  # the form is writing into the text
        self._chosen_by_hand = False
        self._build()
        self._connect()
        self.load_encodings()
        self.update_buttons()

    def _build(self) -> None:
        self.editor = BodyEditor()
        self.editor.refused.connect(self.refused)
        self.editor.setFont(fonts.monospace(theme.SIZE_CAPTION))
        self.editor.setProperty("role", "mono")
        self.editor.setAccessibleName(tr("Body"))
        self.editor.setTabChangesFocus(False)
        self.editor.setMinimumHeight(120)
        self.form_view = FormView()
        self.views = QStackedWidget()
        self.views.addWidget(self.editor)
        self.views.addWidget(self.form_view)
        self.note = PlainLabel("", "caption", elide=Qt.TextElideMode.ElideRight)
        self.encoding_box = QComboBox()
        self.encoding_box.setAccessibleName(tr("Send as"))
        self.encoding_box.setToolTip(tr("Send the JSON as MsgPack, CBOR, or a type of the decoders"))
        self.encoding_box.setMinimumContentsLength(12)
        self.encoding_box.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.example_button = _ghost(tr("Example"), tr("Write every field of the type with its default"))
        self.format_button = _ghost(tr("Format"), tr("Indent the JSON; numbers stay as they are"))
        self.forms = QButtonGroup(self)
        segments = QFrame()
        segments.setProperty("panel", "segments")
        row = QHBoxLayout(segments)
        row.setContentsMargins(2, 2, 2, 2)
        row.setSpacing(2)
        titles = [(FORM_TITLES[form], index) for index, form in enumerate(BodyForm)]
        titles.insert(1, (tr("Form"), _FORM_ID))
        for title, number in titles:
            button = QPushButton(title)
            button.setCheckable(True)
            button.setAutoDefault(False)
            button.setProperty("kind", "segment")
            button.setChecked(number == 0)
            self.forms.addButton(button, number)
            row.addWidget(button)
        self.forms.button(_FORM_ID).setToolTip(tr("Fill in the fields of the type, or of the JSON as it is"))
        line = QHBoxLayout()
        line.addWidget(PlainLabel(tr("Body"), "caption"))
        line.addWidget(segments)
        line.addWidget(self.encoding_box, 1)
        line.addWidget(self.example_button)
        line.addStretch()
        line.addWidget(self.format_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE_1)
        layout.addLayout(line)
        layout.addWidget(self.views, 1)
        layout.addWidget(self.note)

    def _connect(self) -> None:
        self.editor.textChanged.connect(self._text_changed)
        self.forms.idClicked.connect(self._button_clicked)
        self.format_button.clicked.connect(self.format_text)
        self.example_button.clicked.connect(self.write_example)
        self.encoding_box.activated.connect(lambda _: self._encoding_chosen())
        self.form_view.edited.connect(self._take_form)
        notifier().changed.connect(self.load_encodings)

    # The body -----------------------------------------------------------------------------------

    def text(self) -> str:
        """The body as typed. The document's own plain text would turn no-break spaces into spaces."""
        if self.held is not None:
            return ""
        return self.editor.document().toRawText().replace("\u2029", "\n")

    def hold(self, data: bytes) -> None:
        """Keep a body that is too large to be edited; its beginning is shown."""
        self.set_body(BodyForm.TEXT, "")
        self.held = data
        self.editor.setPlainText(preview(data, HELD_SHOWN))
        self._show_held(True)

    def _show_held(self, held: bool) -> None:
        self.editor.setReadOnly(held)
        for button in self.forms.buttons():
            button.setEnabled(not held)

    def set_body(self, form: BodyForm, text: str) -> None:
        """Write this."""
        self.held = None
        self._show_held(False)
        self.form = form
        self._check_button(list(BodyForm).index(form))
        self.views.setCurrentWidget(self.editor)
        self.editor.setPlainText(text)
        self.update_buttons()

    def payload(self, draft: Draft) -> bytes:
        """The bytes of a draft in the chosen encoding; raises ValueError when it does not fit."""
        if self.held is not None:
            return self.held
        choice = chosen(self.encoding_box) or ("json", "")
        if draft.form is not BodyForm.JSON or choice[0] == "json":
            return draft.payload()
        if choice == ATTACHED and self.attached is not None:
            return self.attached.encode(draft.body)
        return encode_json(draft.body, *choice, current_decoders())

    # Ways of writing ----------------------------------------------------------------------------

    @property
    def by_form(self) -> bool:
        """Whether the fields are shown."""
        return self.views.currentWidget() is self.form_view

    def set_form(self, form: BodyForm) -> None:
        """Write the body another way; its bytes stay the same where that is possible."""
        before = self.form
        self.views.setCurrentWidget(self.editor)
        if form is not before:
            text = self.text()
            try:
                data = parse_hex(text) if before is BodyForm.HEX else text.encode("utf-8", "surrogateescape")
                text = format_hex(data) if form is BodyForm.HEX else data.decode("utf-8")
            except ValueError:
                self._check_button(list(BodyForm).index(before))
                self.refused.emit(tr("These bytes are no text, so they can only be written as hex."))
                return
            self.form = form
            self.editor.setPlainText(text)
        self._check_button(list(BodyForm).index(form))
        self.update_buttons()
        self.edited.emit()

    def show_form(self) -> None:
        """Show the fields of the body, by its type where one is chosen, else as the JSON has them."""
        self.set_form(BodyForm.JSON)
        if self.form != BodyForm.JSON:
            return  # the bytes are no text
        text = self.text()
        problem = ""
        value = None
        if len(text) > FORM_LIMIT:
            problem = tr("This body is too large for a form; edit it as JSON.")
        elif text.strip():
            try:
                value = exact_json.parse(text.encode("utf-8", "surrogateescape"))
            except DecodeError as error:
                problem = tr("Mend the JSON first: {error}.", error=error)
        if problem:
            self._check_button(list(BodyForm).index(self.form))
            self.refused.emit(problem)
            return
        field = self.field()
        if field is None:
            value = {} if value is None else value
            field = value_field(value)
        self.form_view.set_form(field, value)
        self.views.setCurrentWidget(self.form_view)
        self._check_button(_FORM_ID)
        self.update_buttons()
        if value is None:
            self._take_form()

    def field(self) -> Field | None:
        """The fields of the chosen encoding, or of the schema the body is checked against."""
        kind, schema = chosen(self.encoding_box) or ("json", "")
        if (kind, schema) == ATTACHED or (kind == "json" and self.attached is not None):
            return self.attached.field() if self.attached is not None else None
        return schema_field(kind, schema, current_decoders()) if schema else None

    def _take_form(self) -> None:
        self._taking = True
        self.editor.setPlainText(exact_json.write(self.form_view.model.value()))
        self._taking = False
        self.edited.emit()

    def _text_changed(self) -> None:
        if not self._taking:
            self.edited.emit()

    def _button_clicked(self, number: int) -> None:
        if number == _FORM_ID:
            self.show_form()
        else:
            self.set_form(list(BodyForm)[number])

    def _check_button(self, number: int) -> None:
        self.forms.button(number).setChecked(True)

    def format_text(self) -> None:
        """Indent the JSON."""
        try:
            value = exact_json.parse(self.text().encode("utf-8", "surrogateescape"))
        except DecodeError:
            self.edited.emit()
            return
        self.editor.setPlainText(exact_json.write(value))

    def write_example(self) -> None:
        """Begin with every field of the chosen type."""
        kind, schema = chosen(self.encoding_box) or ("json", "")
        decoders, field = current_decoders(), self.field()
        if (kind, schema) == ATTACHED and self.attached is not None:
            kind, schema, decoders = self.attached.kind, self.attached.schema, self.attached.decoders
        found = decoders.protobuf.get(schema) if kind == "protobuf" else None
        if found is not None:
            self.editor.setPlainText(exact_json.write(found.example()))
        elif field is not None:
            self.editor.setPlainText(exact_json.write(default_value(field)))
        if self.by_form:
            self.show_form()

    # Encodings ----------------------------------------------------------------------------------

    def load_encodings(self) -> None:
        """Offer what JSON can be sent as now."""
        before_choice = chosen(self.encoding_box)
        before = self.encoding_box.blockSignals(True)
        self.encoding_box.clear()
        for kind in PLAIN:
            self.encoding_box.addItem(
                tr("as written") if kind == "json" else tr("as {name}", name=TITLES[kind]), (kind, "")
            )
        if self.attached is not None and _changes_bytes(self.attached):
            self.encoding_box.addItem(figures.visible_text(f"as {self.attached.title}", 100), ATTACHED)
        for kind, schema in current_decoders().schemas():
            if kind in ("protobuf", "avro"):
                self.encoding_box.addItem(figures.visible_text(f"as {schema}", 100), (kind, schema))
        select_choice(self.encoding_box, before_choice)
        self.encoding_box.blockSignals(before)

    def set_attached(self, attached: AttachedSchema | None) -> None:
        """The schema that holds for the subject is another; a binary one is what the body is sent as."""
        if attached == self.attached:
            return
        self.attached = attached
        self.load_encodings()
        if not self._chosen_by_hand:
            binary = attached is not None and _changes_bytes(attached)
            select_choice(self.encoding_box, ATTACHED if binary else None)
        if self.by_form:
            self.show_form()
        self.update_buttons()

    def _encoding_chosen(self) -> None:
        self._chosen_by_hand = True
        if self.by_form:
            self.show_form()
        self.update_buttons()
        self.edited.emit()

    def update_buttons(self) -> None:
        """Show what makes sense for the way of writing."""
        is_json = self.form is BodyForm.JSON
        self.format_button.setVisible(is_json and not self.by_form)
        self.encoding_box.setVisible(is_json)
        self.example_button.setVisible(is_json and self.field() is not None)


def _changes_bytes(attached: AttachedSchema) -> bool:
    """Whether a body is sent otherwise than it is written."""
    return attached.kind != "json" or bool(attached.frame)


def _ghost(title: str, tooltip: str) -> QPushButton:
    button = QPushButton(title)
    button.setProperty("kind", "ghost")
    button.setAutoDefault(False)
    button.setToolTip(tooltip)
    return button
