"""Describing a decoder rule."""

from __future__ import annotations

import asyncio

from PySide6.QtWidgets import QComboBox, QSizePolicy, QWidget
from shiboken6 import isValid

from memphis_desktop.inspect.decode.rule import NEXT, SHOW, DecoderRule
from memphis_desktop.inspect.registry import RegistryError
from memphis_desktop.language import tr
from memphis_desktop.ui.components.dialogs import FormDialog
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.decoders.choices import chosen, fill_decoders, select_choice
from memphis_desktop.ui.screens.decoders.masking import mono_field
from memphis_desktop.ui.screens.decoders.store import current_decoders

FAILING = {SHOW: tr("show the bytes"), NEXT: tr("try the next rule")}


class RuleDialog(FormDialog):
    """For which messages, which decoder."""

    def __init__(
        self, parent: QWidget | None, context: ScreenContext, rule: DecoderRule | None = None
    ) -> None:
        super().__init__(parent, tr("Decoder rule"), tr("Save rule"), width=560)
        self._context = context
        rule = rule or DecoderRule("json")
        self._asked = ""  # the registry whose subjects are in the box
        self.stream_field = mono_field(rule.stream, tr("all, or a name such as orders-*"))
        self.subject_field = mono_field(rule.subject, tr("all, or a pattern such as orders.*.created"))
        self.header_field = mono_field(rule.header, "none, or Content-Type=application/x-protobuf")
        self.before_field = mono_field(rule.before, tr("nothing, or such as skip 4, base64"))
        self.decoder_box = QComboBox()
        fill_decoders(self.decoder_box)
        registry, _, subject = (
            rule.schema.partition("/") if rule.kind == "registry" else (rule.schema, "", "")
        )
        select_choice(self.decoder_box, (rule.kind, registry))
        self.subject_box = QComboBox()
        self.subject_box.setEditable(True)
        self.subject_box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.subject_box.setEditText(subject)
        line = self.subject_box.lineEdit()
        assert line is not None
        line.setPlaceholderText(tr("none, or such as orders-value"))
        self.failing_box = QComboBox()
        for failing, title in FAILING.items():
            self.failing_box.addItem(f"{title[:1].upper()}{title[1:]}", failing)
        self.failing_box.setCurrentIndex(list(FAILING).index(rule.failing) if rule.failing in FAILING else 0)
        self.add_row(tr("Station"), self.stream_field)
        self.add_row(tr("Subject"), self.subject_field)
        self.add_row(tr("Header"), self.header_field)
        self.add_row(
            tr("First"), self.before_field,
            tr(
                "Steps in order: skip and a number of bytes, base64, hex."
                " Compression is recognised by itself."
            ),
        )  # fmt: skip
        self.add_row(tr("Decoder"), self.decoder_box, tr("Types appear here once their schemas are added."))
        self.add_row(
            tr("Written as"), self.subject_box,
            tr("The registry's subject that the composer writes bodies by; after # a message of its file."),
        )  # fmt: skip
        self.add_row(tr("If it fails"), self.failing_box)
        self.decoder_box.currentIndexChanged.connect(lambda _: self._decoder_changed())
        self.add_validator(self._problem)
        self._decoder_changed()

    def _decoder_changed(self) -> None:
        kind, name = chosen(self.decoder_box) or ("json", "")
        row = self.subject_box.parentWidget()
        is_registry = kind == "registry"
        shown = row if row is not None and self.form.indexOf(row) >= 0 else self.subject_box
        self.form.setRowVisible(shown, is_registry)
        self.fit()
        if is_registry and name != self._asked:
            self._asked = name
            self._context.run(self._load_subjects(name), tr("read the registry's subjects"))

    async def _load_subjects(self, name: str) -> None:
        """Offer the subjects; without an answer they can be typed."""
        registry = current_decoders().registries.get(name)
        if registry is None:
            return
        try:
            subjects = await asyncio.to_thread(registry.subjects)
        except RegistryError as error:
            if isValid(self):
                self.show_error(tr("{error}. The subject can be typed.", error=error))
            return
        if isValid(self) and self._asked == name:
            typed = self.subject_box.currentText()
            self.subject_box.clear()
            self.subject_box.addItems(["", *subjects])
            self.subject_box.setEditText(typed)

    def _problem(self) -> str:
        problem = self.rule().problem()
        return f"{problem}." if problem else ""

    def rule(self) -> DecoderRule:
        """What was described."""
        kind, schema = chosen(self.decoder_box) or ("json", "")
        written = self.subject_box.currentText().strip()
        if kind == "registry" and written:
            schema = f"{schema}/{written}"
        return DecoderRule(
            kind,
            schema,
            self.stream_field.text().strip(),
            self.subject_field.text().strip(),
            self.header_field.text().strip(),
            self.before_field.text().strip(),
            str(self.failing_box.currentData()),
        )
