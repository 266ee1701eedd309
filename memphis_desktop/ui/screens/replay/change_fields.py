"""What a replay changes: which messages, their payloads, headers and ids."""

from __future__ import annotations

from PySide6.QtWidgets import QCheckBox, QComboBox, QLineEdit, QPlainTextEdit

from memphis_desktop.inspect.replay import Edits, MessageIds, ReplayOptions
from memphis_desktop.language import tr
from memphis_desktop.ui.components.dialogs import FormDialog

_IDS = (
    (MessageIds.STABLE, tr("From the original: repeating it soon stores nothing twice")),
    (MessageIds.FRESH, tr("New in each run: every run stores its copies")),
    (MessageIds.KEEP, tr("The original's own")),
    (MessageIds.NONE, tr("None")),
)


_FIELD_MARGINS = 24  # of a field of several lines, above and below its text


class ChangeFields:
    """The fields, as rows of a form."""

    def __init__(self, form: FormDialog) -> None:
        """Add them to a form."""
        self.where_field = QLineEdit()
        self.where_field.setProperty("role", "mono")
        self.where_field.setPlaceholderText(tr("all; or words, subject:…, json.total > 100"))
        form.add_row(tr("Only those with"), self.where_field)
        self.edits_field = _lines_field("$.gross := json.net * 1.19", 3)
        form.add_row(
            tr("Change"),
            self.edits_field,
            tr(
                "A line each: $.path = VALUE sets, $.path := EXPRESSION works it out as in a filter, "
                "headers.NAME := EXPRESSION sets a header, - $.path removes."
            ),
        )
        self.set_headers_field = _lines_field("X-Replayed: yes")
        form.add_row(tr("Set headers"), self.set_headers_field, tr("A line each: Name: value."))
        self.ids_box = QComboBox()
        self.ids_box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.ids_box.setMinimumContentsLength(44)
        for ids, title in _IDS:
            self.ids_box.addItem(title, ids)
        form.add_row(tr("Message ids"), self.ids_box)
        self.headers_check = QCheckBox(tr("Keep the original's headers"))
        self.headers_check.setChecked(True)
        self.provenance_check = QCheckBox(tr("Add headers that say where each copy comes from"))
        self.provenance_check.setChecked(True)
        form.add_row(tr("Headers"), self.headers_check)
        form.add_row("", self.provenance_check, tr("Memphis-Replay-Run, -Stream, -Sequence and -Time"))

    def edits(self) -> Edits:
        """The lines and the filter; raises EditError."""
        return Edits.parse(self.edits_field.toPlainText(), self.where_field.text())

    def headers(self) -> tuple[tuple[str, str], ...]:
        """The headers that are set on every copy; raises ValueError."""
        found = []
        for line in filter(str.strip, self.set_headers_field.toPlainText().splitlines()):
            name, colon, value = line.partition(":")
            if not colon or not name.strip():
                text = tr("{line} is no header; write Name: value", line=repr(line.strip()[:40]))
                raise ValueError(text)
            found.append((name.strip(), value.strip()))
        return tuple(found)

    def problem(self) -> str:
        """What is wrong; empty when nothing is."""
        try:
            self.edits()
            self.headers()
        except ValueError as error:
            text = str(error)
            return f"{text[:1].upper()}{text[1:]}."
        return ""

    def take(self, options: ReplayOptions) -> None:
        """Those of an earlier replay."""
        self.where_field.setText(options.edits.where)
        self.edits_field.setPlainText("\n".join(options.edits.fields))
        self.set_headers_field.setPlainText(
            "\n".join(f"{name}: {value}" for name, value in options.set_headers)
        )
        self.ids_box.setCurrentIndex(max(0, self.ids_box.findData(options.ids)))
        self.headers_check.setChecked(options.keep_headers)
        self.provenance_check.setChecked(options.provenance)


def _lines_field(example: str, lines: int = 2) -> QPlainTextEdit:
    """A field of a few lines that grows no further."""
    field = QPlainTextEdit()
    field.setPlaceholderText(example)
    field.setProperty("role", "mono")
    field.setTabChangesFocus(True)
    field.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
    field.ensurePolished()  # with the font it will have
    field.setFixedHeight(field.fontMetrics().lineSpacing() * lines + _FIELD_MARGINS)
    return field
