"""The decoders screen: which messages are read how, where schemas come from, and a bench to try bytes."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QSplitter, QTabWidget, QVBoxLayout, QWidget

from memphis_desktop.inspect.decode import TITLES
from memphis_desktop.inspect.decode.rules import DecoderRule
from memphis_desktop.language import tr
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.page_header import PageHeader
from memphis_desktop.ui.screen import Command, Screen, ScreenContext
from memphis_desktop.ui.screens.decoders.bench import Bench
from memphis_desktop.ui.screens.decoders.commands import CommandTable
from memphis_desktop.ui.screens.decoders.masking import MaskTable
from memphis_desktop.ui.screens.decoders.plugins import PluginTable
from memphis_desktop.ui.screens.decoders.rule_dialog import FAILING, RuleDialog
from memphis_desktop.ui.screens.decoders.sources import SourceTable
from memphis_desktop.ui.screens.decoders.store import add_rule, current_decoders, notifier, save_decoders


class DecodersScreen(Screen):
    """Rules above, sources and bench below."""

    title = tr("Decoders")
    route_name = "decoders"
    stale_with = frozenset()

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.header = PageHeader(tr("Decoders"))
        self.header.set_title(
            tr("Decoders"),
            tr("Payloads are read automatically; rules come first."),
        )
        self.header.add_action(tr("Add mask"), self.add_mask, icon_name="eye-slash")
        self.header.add_action(tr("Add schemas"), self.add_source, icon_name="plus")
        self.header.add_action(tr("Add rule"), self.add_rule, icon_name="plus", kind="primary")
        self.rules = DataTable(
            [
                Column("order", tr("Order"), lambda row: row[0] + 1, kind="number", width=64),
                Column("for", tr("Messages"), lambda row: row[1].description(), width=280, stretch=True),
                Column("before", tr("First"), lambda row: row[1].before, kind="mono", width=120),
                Column("decoder", tr("Decoder"), lambda row: kind_title(row[1]), width=170),
                Column("schema", tr("Type or schema"), lambda row: row[1].schema, kind="mono", width=220),
                Column("failing", tr("If it fails"), lambda row: FAILING[row[1].failing], width=150),
            ],
            lambda row: (row[1].stream, row[1].subject, row[1].header, row[1].kind, row[1].schema),
            "decoder_rules",
            context_actions=self._rule_actions,
        )
        self.sources = SourceTable(context)
        self.rules.row_activated.connect(lambda row: self._edit(row[1]))
        self.masks = MaskTable(context)
        self.command_table = CommandTable(context)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.plugins = PluginTable()
        for title, page in (
            (tr("Rules"), self.rules),
            (tr("Schemas"), self.sources),
            (tr("Masking"), self.masks),
            (tr("Commands"), self.command_table),
            ("Plug-ins", self.plugins),
        ):
            self.tabs.addTab(page, title)
        self.bench = Bench()
        split = QSplitter(Qt.Orientation.Vertical)
        split.addWidget(_panel(self.tabs))
        split.addWidget(self.bench)
        split.setSizes([300, 360])
        split.setHandleWidth(theme.SPACE_3)
        split.setChildrenCollapsible(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 20, 24, theme.SPACE_4)
        layout.setSpacing(theme.SPACE_4)
        layout.addWidget(self.header)
        layout.addWidget(split, 1)
        notifier().changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the rules and sources as they are."""
        decoders = current_decoders()
        self.rules.set_rows(list(enumerate(decoders.settings.rules)))
        if decoders.settings.rules:
            self.rules.set_state("ready")
        else:
            text = tr(
                "No rules: JSON, MsgPack, CBOR, Avro containers and protobuf are recognised by themselves."
            )
            self.rules.set_state("empty", text, (tr("Add rule"), self.add_rule))
        self.sources.refresh()
        self.command_table.refresh()
        self.masks.refresh()
        self.plugins.refresh()
        self.bench.load_choices()

    def commands(self) -> list[Command]:
        """Adding rules and schemas."""
        return [
            Command(tr("Add a decoder rule"), keymap.key("decoders.add_rule"), self.add_rule, "plus"),
            Command(tr("Add schemas"), keymap.key("decoders.add_schemas"), self.add_source, "plus"),
            Command(tr("Add a schema registry"), "", self.add_registry, "cloud", name="add_schema_registry"),
            Command(tr("Hide values"), keymap.key("decoders.hide_values"), self.add_mask, "eye-slash"),
            Command(
                tr("Add a command as decoder"), "", self.add_command, "terminal-window", name="add_command"
            ),
        ]

    # Sources ------------------------------------------------------------------------------------

    def add_source(self) -> None:
        """Offer the kinds of sources."""
        self.tabs.setCurrentWidget(self.sources)
        self.sources.open_menu(self.header.mapToGlobal(self.header.rect().bottomRight()))

    def add_registry(self) -> None:
        """Describe a schema registry."""
        self.tabs.setCurrentWidget(self.sources)
        self.sources.edit_registry(None)

    # Masks and commands -------------------------------------------------------------------------

    def add_mask(self) -> None:
        """Describe what is to be hidden."""
        self.tabs.setCurrentWidget(self.masks)
        self.masks.add()

    def add_command(self) -> None:
        """Describe a decoder of one's own."""
        self.tabs.setCurrentWidget(self.command_table)
        self.command_table.add()

    # Rules --------------------------------------------------------------------------------------

    def add_rule(self) -> None:
        """Describe a rule."""
        self._edit(None)

    def _edit(self, rule: DecoderRule | None) -> RuleDialog:
        dialog = RuleDialog(self.window(), self.context, rule)
        dialog.accepted.connect(lambda: self._take(dialog.rule(), rule))
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()
        return dialog

    def _take(self, rule: DecoderRule, replaced: DecoderRule | None) -> None:
        """Put a changed rule where it was, a new one first."""
        rules = current_decoders().settings.rules
        if replaced not in rules:
            add_rule(rule)
            return
        current_decoders().settings.rules = [rule if known is replaced else known for known in rules]
        save_decoders()

    def _rule_actions(self, rows: list[Any]) -> list[Command]:
        rules = [row[1] for row in rows]
        actions = [Command(tr("Remove"), "", lambda: self._remove_rules(rules), "trash")]
        if len(rules) == 1:
            place, last = rows[0][0], len(current_decoders().settings.rules) - 1
            actions = [
                Command(tr("Edit"), "", lambda: self._edit(rules[0]), "pencil-simple"),
                Command(tr("Move up"), "", lambda: self.move_rule(place, place - 1), "arrow-up", place > 0),
                Command(
                    tr("Move down"), "", lambda: self.move_rule(place, place + 1), "arrow-down", place < last
                ),
                *actions,
            ]
        return actions

    def move_rule(self, place: int, to: int) -> None:
        """Have a rule asked earlier or later."""
        rules = list(current_decoders().settings.rules)
        if not (0 <= place < len(rules) and 0 <= to < len(rules)):
            return
        rule = rules.pop(place)
        rules.insert(to, rule)
        current_decoders().settings.rules = rules
        save_decoders()
        self.rules.select_key((rule.stream, rule.subject, rule.header, rule.kind, rule.schema))

    def _remove_rules(self, rules: list[DecoderRule]) -> None:
        decoders = current_decoders()
        decoders.settings.rules = [rule for rule in decoders.settings.rules if rule not in rules]
        save_decoders()


def kind_title(rule: DecoderRule) -> str:
    """What the decoder of a rule is called; its schema stands beside."""
    if rule.schema and rule.kind in ("protobuf", "json"):
        return tr("Protobuf") if rule.kind == "protobuf" else tr("JSON Schema")
    return TITLES.get(rule.kind, rule.kind)


def _panel(content: QWidget) -> QFrame:
    frame = QFrame()
    frame.setProperty("panel", "surface")
    layout = QVBoxLayout(frame)
    layout.setContentsMargins(1, theme.SPACE_1, 1, 1)
    layout.addWidget(content, 1)
    return frame
