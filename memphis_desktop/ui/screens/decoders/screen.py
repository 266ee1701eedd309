"""The decoders screen: which messages are read how, where schemas come from, and a bench to try bytes."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFrame,
    QMenu,
    QSplitter,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from memphis_desktop.inspect.decode import TITLES
from memphis_desktop.inspect.decode.rules import DecoderRule
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.dialogs import FormDialog
from memphis_desktop.ui.components.page_header import PageHeader
from memphis_desktop.ui.screen import Command, Screen, ScreenContext
from memphis_desktop.ui.screens.decoders.bench import Bench
from memphis_desktop.ui.screens.decoders.choices import chosen, fill_decoders, select_choice
from memphis_desktop.ui.screens.decoders.commands import CommandTable
from memphis_desktop.ui.screens.decoders.masking import MaskTable, mono_field
from memphis_desktop.ui.screens.decoders.store import add_rule, current_decoders, notifier, save_decoders


class DecodersScreen(Screen):
    """Rules above, sources and bench below."""

    title = "Decoders"
    route_name = "decoders"
    stale_with = frozenset()

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.header = PageHeader("Decoders")
        self.header.set_title(
            "Decoders",
            "Payloads are read automatically; rules come first.",
        )
        self.header.add_action("Add mask", self.add_mask, icon_name="eye-slash")
        self.header.add_action("Add schemas", self.add_source, icon_name="plus")
        self.header.add_action("Add rule", self.add_rule, icon_name="plus", kind="primary")
        self.rules = DataTable(
            [
                Column("for", "Messages", lambda row: row[1].description(), width=280, stretch=True),
                Column("decoder", "Decoder", lambda row: TITLES.get(row[1].kind, row[1].kind), width=200),
                Column("schema", "Type or schema", lambda row: row[1].schema, kind="mono", width=240),
            ],
            lambda row: (row[1].stream, row[1].subject, row[1].header),
            "decoder_rules",
            context_actions=self._rule_actions,
        )
        self.sources = DataTable(
            [
                Column("state", "State", lambda row: ("bad", "problem") if row[1] else ("good", "loaded"),
                       kind="dot", width=110),
                Column("path", "File or folder", lambda row: row[0], kind="mono", width=300, stretch=True),
                Column("problem", "Problem", lambda row: row[1], width=260),
            ],
            lambda row: row[0],
            "decoder_sources",
            context_actions=self._source_actions,
        )  # fmt: skip
        self.rules.row_activated.connect(lambda row: self._edit(row[1]))
        self.masks = MaskTable(context)
        self.command_table = CommandTable(context)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        for title, page in (
            ("Rules", self.rules),
            ("Schemas", self.sources),
            ("Masking", self.masks),
            ("Commands", self.command_table),
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
            text = "No rules: JSON, MsgPack, CBOR, Avro containers and protobuf are recognised by themselves."
            self.rules.set_state("empty", text, ("Add rule", self.add_rule))
        sources = [(source, decoders.problems.get(source, "")) for source in decoders.settings.sources]
        self.sources.set_rows(sources)
        if sources:
            self.sources.set_state("ready")
        else:
            text = "No schemas yet. Add .proto files, descriptor sets, Avro schemas (.avsc) or JSON Schemas."
            self.sources.set_state("empty", text, ("Add schemas", self.add_source))
        self.command_table.refresh()
        self.masks.refresh()
        self.bench.load_choices()

    def commands(self) -> list[Command]:
        """Adding rules and schemas."""
        return [
            Command("Add a decoder rule", "N", self.add_rule, "plus"),
            Command("Add schemas", "S", self.add_source, "plus"),
            Command("Hide values", "M", self.add_mask, "eye-slash"),
            Command("Add a command as decoder", "", self.add_command, "terminal-window"),
        ]

    # Sources ------------------------------------------------------------------------------------

    def add_source(self) -> None:
        """Choose files."""
        self.tabs.setCurrentWidget(self.sources)
        kinds = "Schemas (*.proto *.pb *.desc *.protoset *.bin *.avsc *.json);;All files (*)"
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)

        def files() -> None:
            paths, _ = QFileDialog.getOpenFileNames(self, "Add schemas", "", kinds)
            self.add_paths(paths)

        def folder() -> None:
            path = QFileDialog.getExistingDirectory(self, "Add a folder of schemas")
            self.add_paths([path] if path else [])

        menu.addAction("Files", files)
        menu.addAction("A folder with everything in it", folder)
        menu.popup(self.header.mapToGlobal(self.header.rect().bottomRight()))

    def add_paths(self, paths: list[str]) -> None:
        """Use files or folders as sources of schemas."""
        decoders = current_decoders()
        new = [path for path in paths if path not in decoders.settings.sources]
        if not new:
            return
        decoders.settings.sources += new
        save_decoders(reload=True)
        problems = [decoders.problems[path] for path in new if path in decoders.problems]
        if problems:
            self.context.notify(problems[0], "bad")
        else:
            count = len(list(decoders.schemas()))
            self.context.notify(f"{figures.count_noun(count, 'type')} can be chosen in rules.", "good")

    def _source_actions(self, rows: list[Any]) -> list[Command]:
        return [Command("Remove", "", lambda: self._remove_sources([row[0] for row in rows]), "trash")]

    def _remove_sources(self, paths: list[str]) -> None:
        decoders = current_decoders()
        decoders.settings.sources = [path for path in decoders.settings.sources if path not in paths]
        save_decoders(reload=True)

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
        dialog = RuleDialog(self.window(), rule)
        dialog.accepted.connect(lambda: self._take(dialog.rule(), rule))
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()
        return dialog

    def _take(self, rule: DecoderRule, replaced: DecoderRule | None) -> None:
        if replaced is not None:
            self._remove_rules([replaced])
        add_rule(rule)

    def _rule_actions(self, rows: list[Any]) -> list[Command]:
        rules = [row[1] for row in rows]
        actions = [Command("Remove", "", lambda: self._remove_rules(rules), "trash")]
        if len(rules) == 1:
            actions.insert(0, Command("Edit", "", lambda: self._edit(rules[0]), "pencil-simple"))
            actions.insert(1, Command("Put first", "", lambda: add_rule(rules[0]), "arrow-up"))
        return actions

    def _remove_rules(self, rules: list[DecoderRule]) -> None:
        decoders = current_decoders()
        decoders.settings.rules = [rule for rule in decoders.settings.rules if rule not in rules]
        save_decoders()


class RuleDialog(FormDialog):
    """For which messages, which decoder."""

    def __init__(self, parent: QWidget | None, rule: DecoderRule | None = None) -> None:
        super().__init__(parent, "Decoder rule", "Save rule", width=520)
        rule = rule or DecoderRule("json")
        self.stream_field = mono_field(rule.stream, "all, or a name such as orders-*")
        self.subject_field = mono_field(rule.subject, "all, or a pattern such as orders.*.created")
        self.header_field = mono_field(rule.header, "none, or Content-Type=application/x-protobuf")
        self.decoder_box = QComboBox()
        fill_decoders(self.decoder_box)
        select_choice(self.decoder_box, (rule.kind, rule.schema))
        self.add_row("Station", self.stream_field)
        self.add_row("Subject", self.subject_field)
        self.add_row("Header", self.header_field)
        self.add_row("Decoder", self.decoder_box, "Types appear here once their schemas are added.")

    def rule(self) -> DecoderRule:
        """What was described."""
        kind, schema = chosen(self.decoder_box) or ("json", "")
        return DecoderRule(
            kind,
            schema,
            self.stream_field.text().strip(),
            self.subject_field.text().strip(),
            self.header_field.text().strip(),
        )


def _panel(content: QWidget) -> QFrame:
    frame = QFrame()
    frame.setProperty("panel", "surface")
    layout = QVBoxLayout(frame)
    layout.setContentsMargins(1, theme.SPACE_1, 1, 1)
    layout.addWidget(content, 1)
    return frame
