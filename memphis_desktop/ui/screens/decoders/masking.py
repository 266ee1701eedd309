"""Masking rules: what is hidden wherever messages are shown, copied or exported."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QLineEdit, QVBoxLayout, QWidget

from memphis_desktop.inspect.mask import MaskRule
from memphis_desktop.language import tr
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.dialogs import FormDialog
from memphis_desktop.ui.screen import Command, ScreenContext
from memphis_desktop.ui.screens.decoders.store import mask_rules, save_mask_rules

KINDS = {"path": tr("Value at a path"), "regex": tr("What an expression matches"), "header": tr("Header")}


class MaskTable(QWidget):
    """The rules, with adding, editing and removing."""

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self.table = DataTable(
            [
                Column("kind", tr("Hides"), lambda row: KINDS[row[1].kind], width=190),
                Column("what", tr("Path, expression or header"), lambda row: row[1].what, kind="mono",
                       width=260, stretch=True),
                Column("stream", tr("Station"), lambda row: row[1].stream or tr("all"), width=150),
                Column("subject", tr("Subject"), lambda row: row[1].subject or tr("all"), kind="mono",
                       width=170),
            ],
            lambda row: row[0],
            "mask_rules",
            context_actions=self._actions,
        )  # fmt: skip
        self.table.row_activated.connect(lambda row: self._edit(row[1]))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.table)
        self.refresh()

    def refresh(self) -> None:
        """Show the rules as they are."""
        rules = mask_rules()
        self.table.set_rows(list(enumerate(rules)))
        text = tr("Nothing is hidden. A mask hides values from display, copy and export alike.")
        self.table.set_state(
            "ready" if rules else "empty", text, (tr("Add mask"), self.add), icon="eye-slash"
        )

    def add(self) -> MaskDialog:
        """Describe a rule."""
        return self._edit(None)

    def _edit(self, rule: MaskRule | None) -> MaskDialog:
        dialog = MaskDialog(self.window(), rule)

        def take() -> None:
            kept = [known for known in mask_rules() if known not in (rule, dialog.rule())]
            save_mask_rules([*kept, dialog.rule()])
            self.refresh()

        dialog.accepted.connect(take)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()
        return dialog

    def remove(self, rules: list[MaskRule]) -> None:
        """Hide these no longer."""
        save_mask_rules([rule for rule in mask_rules() if rule not in rules])
        self.refresh()

    def _actions(self, rows: list[Any]) -> list[Command]:
        rules = [row[1] for row in rows]
        edit = Command(tr("Edit"), "", lambda: self._edit(rules[0]), "pencil-simple", len(rules) == 1)
        return [edit, Command(tr("Remove"), "", lambda: self.remove(rules), "trash")]


class MaskDialog(FormDialog):
    """What is hidden, and in which messages."""

    def __init__(self, parent: QWidget | None, rule: MaskRule | None = None) -> None:
        super().__init__(parent, tr("Hide values"), tr("Save mask"), width=640)
        rule = rule or MaskRule("path", "")
        self.kind_box = QComboBox()
        for kind, title in KINDS.items():
            self.kind_box.addItem(title, kind)
        self.kind_box.setCurrentIndex(list(KINDS).index(rule.kind))
        self.what_field = mono_field(
            rule.what, "$.customer.email, $.items[*].card, \\d{4}-\\d{4}, Authorization"
        )
        self.stream_field = mono_field(rule.stream, tr("all, or a name such as orders-*"))
        self.subject_field = mono_field(rule.subject, tr("all, or a pattern such as orders.*.created"))
        self.add_row(tr("Hides"), self.kind_box)
        self.add_row(tr("Which"), self.what_field, tr("Replays copy messages as they are stored."))
        self.add_row(tr("Station"), self.stream_field)
        self.add_row(tr("Subject"), self.subject_field)
        self.add_validator(lambda: self.rule().problem())

    def rule(self) -> MaskRule:
        """What was described."""
        return MaskRule(
            str(self.kind_box.currentData()),
            self.what_field.text().strip(),
            self.stream_field.text().strip(),
            self.subject_field.text().strip(),
        )


def mono_field(text: str, hint: str) -> QLineEdit:
    """Return a line for something typed exactly."""
    field = QLineEdit(text)
    field.setPlaceholderText(hint)
    field.setProperty("role", "mono")
    return field
