"""The test bench: bytes in, every decoder's verdict out."""

from __future__ import annotations

import asyncio
import base64
from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QComboBox,
    QFrame,
    QMenu,
    QPlainTextEdit,
    QPushButton,
    QSplitter,
    QVBoxLayout,
    QWidget,
)
from shiboken6 import isValid

from memphis_desktop.inspect.decode import TITLES, Decoded, exact_json
from memphis_desktop.inspect.decode.chain import INLINE_LIMIT
from memphis_desktop.inspect.draft import format_hex, parse_hex
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.wrap_layout import WrapLayout, together
from memphis_desktop.ui.screens.decoders.choices import chosen, decode_as, fill_decoders, select_choice
from memphis_desktop.ui.screens.decoders.store import current_decoders
from memphis_desktop.ui.screens.messages_text import TextView
from memphis_desktop.ui.theme import fonts

MAX_BYTES = 64 << 10  # of a message, shown as hex


class Bench(QFrame):
    """Bytes in, every decoder's verdict out."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("panel", "surface")
        self.input = QPlainTextEdit()
        self.input.setPlaceholderText(tr("Paste a payload: text, hex pairs or base64"))
        self.input.setFont(fonts.monospace(theme.SIZE_CAPTION))
        self.input.setProperty("role", "mono")
        self.input.setAccessibleName(tr("Payload to try"))
        self.input.setMaximumHeight(72)
        self.form_box = QComboBox()
        for title, form in ((tr("Text"), "text"), (tr("Hex"), "hex"), ("Base64", "base64")):
            self.form_box.addItem(title, form)
        self.form_box.setAccessibleName(tr("Form of the payload"))
        self.decoder_box = QComboBox()
        self.decoder_box.setAccessibleName(tr("Decoder to try"))
        self.try_button = QPushButton(tr("Decode"))
        self.try_button.clicked.connect(self.run)
        self.note = PlainLabel("", "caption", elide=Qt.TextElideMode.ElideRight)
        self.note.hide()
        self.output = TextView(tr("Decoded"))
        self.output.editor.setPlaceholderText(tr("What it holds"))
        self.message_button = QPushButton(tr("From a message"))
        self.message_button.setToolTip(tr("Try the payload of a message that was put aside"))
        self.message_button.clicked.connect(self._offer_messages)
        self._task: asyncio.Task[None] | None = None
        self.verdicts = DataTable(
            [
                Column("verdict", tr("Verdict"), lambda row: ("good", tr("read it")) if row[1].applied
                       else ("muted", tr("did not apply")), kind="dot", width=120),
                Column("decoder", tr("Decoder"), lambda row: TITLES.get(row[1].decoder, row[1].decoder),
                       width=150),
                Column("reason", tr("Reason"), lambda row: row[1].reason, width=200, stretch=True),
                Column("offset", tr("At byte"), lambda row: row[1].offset, kind="number", width=76,
                       text=lambda value: "" if value is None else figures.integer(value)),
            ],
            lambda row: row[0],
            "bench_verdicts",
        )  # fmt: skip
        self.verdicts.set_state(
            "empty", tr("What each decoder makes of a payload, and why."), icon="check-circle"
        )
        line = WrapLayout(spacing=theme.SPACE_2)
        line.add(PlainLabel(tr("Try it"), "section"))
        line.add_stretch()
        for widget in (self.message_button, self.form_box, together(self.decoder_box, self.try_button)):
            line.add(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_3, theme.SPACE_2, theme.SPACE_3, theme.SPACE_2)
        layout.setSpacing(theme.SPACE_2)
        layout.addLayout(line)
        layout.addWidget(self.input)
        layout.addWidget(self.note)
        results = QSplitter(Qt.Orientation.Horizontal)
        results.addWidget(self.output)
        results.addWidget(self.verdicts)
        results.setChildrenCollapsible(False)
        results.setHandleWidth(theme.SPACE_3)
        results.setSizes([420, 580])
        layout.addWidget(results, 1)

    def load_choices(self) -> None:
        """Offer what can be chosen now."""
        before = chosen(self.decoder_box)
        fill_decoders(self.decoder_box, automatic=True)
        select_choice(self.decoder_box, before)

    def _offer_messages(self) -> None:
        """Take the payload of a message that was put aside."""
        from memphis_desktop.ui.screens.messages.collection_dialog import holder

        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for entry in reversed(holder().collection.kept[-20:]):
            message = entry.message
            title = f"{message.stream} #{figures.integer(message.sequence)}  {message.subject}"
            shown = figures.visible_text(title, 80).replace("&", "&&")
            menu.addAction(shown, partial(self.take, message.payload))
        if menu.isEmpty():
            menu.addAction(tr("Put messages aside with * in a list of messages")).setEnabled(False)
        menu.popup(self.message_button.mapToGlobal(self.message_button.rect().bottomLeft()))

    def take(self, payload: bytes) -> None:
        """Try these bytes."""
        self.form_box.setCurrentIndex(self.form_box.findData("hex"))
        self.input.setPlainText(format_hex(payload[:MAX_BYTES]))
        self.run()

    def run(self) -> None:
        """Decode what is pasted; what may take its time is done beside the loop."""
        text = self.input.toPlainText()
        try:
            form = self.form_box.currentData()
            if form == "hex":
                data = parse_hex(text)
            elif form == "base64":
                data = base64.b64decode(text, validate=False)
            else:
                data = text.encode("utf-8", "surrogateescape")
        except ValueError as error:
            self._say(str(error))
            self.note.setRole("bad")
            return
        choice = chosen(self.decoder_box)
        slow = choice is not None and current_decoders().is_slow(choice[0])
        if slow or len(data) > INLINE_LIMIT:
            self._say(tr("Decoding"))
            self._task = asyncio.get_running_loop().create_task(self._run_beside(data, choice))
        else:
            self._show(decode_as(data, choice))

    async def _run_beside(self, data: bytes, choice: tuple[str, str] | None) -> None:
        decoded = await asyncio.to_thread(decode_as, data, choice)
        if isValid(self):
            self._show(decoded)

    def _say(self, text: str) -> None:
        self.note.setText(text)
        self.note.setVisible(bool(text))

    def _show(self, decoded: Decoded) -> None:
        self.note.setRole("caption")
        steps = [f"{step.name} {figures.bytes_size(step.input_size)}" for step in decoded.steps]
        self._say("  →  ".join(steps) or tr("Empty"))
        lines = []
        if decoded.has_value:
            lines.append(exact_json.write(decoded.value))
        elif decoded.text is not None:
            lines.append(decoded.text)
        self.output.set_text("\n".join(lines))
        self.verdicts.set_rows(list(enumerate(decoded.report)))
        self.verdicts.set_state("ready")
