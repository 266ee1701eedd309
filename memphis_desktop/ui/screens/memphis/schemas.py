"""Schemaverse: the schemas, their versions, and the stations that enforce them."""

from __future__ import annotations

import difflib
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QComboBox, QFrame, QHBoxLayout, QTabWidget, QVBoxLayout, QWidget

from memphis_desktop.language import tr, tr_count
from memphis_desktop.stations.model import Schema, SchemaVersion
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.filter_bar import FilterBar
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.split_view import SplitView
from memphis_desktop.ui.memphis.changes import MemphisChange
from memphis_desktop.ui.memphis.link import MemphisView
from memphis_desktop.ui.screen import Command, Route, ScreenContext
from memphis_desktop.ui.screens.memphis.base import MemphisScreen, nanoseconds
from memphis_desktop.ui.screens.memphis.schema_dialogs import KINDS, AttachDialog, SchemaDialog
from memphis_desktop.ui.screens.station_parts import panel


class SchemasScreen(MemphisScreen):
    """Route parameters: ``schema`` puts the cursor on one."""

    title = tr("Schemaverse")
    route_name = "schemas"

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.header.set_title(tr("Schemaverse"), tr("What the messages of a station have to look like"))
        self.create_button = self.header.add_action(
            tr("Create schema"), self.create_schema, icon_name="plus", kind="primary", tooltip="N"
        )
        self._wanted = ""
        self.filter = FilterBar(tr("Filter"))
        for kind, title in KINDS.items():
            self.filter.add_chip(kind, title)
        self.table = DataTable(
            [
                Column("name", tr("Name"), lambda s: s.name, "mono", 150, stretch=True),
                Column("type", tr("Type"), lambda s: KINDS.get(s.type, s.type), "badge", 104),
                Column("versions", tr("Versions"), lambda s: len(s.versions), "number", 72),
                Column("active", tr("Active"), lambda s: s.active_version, "number", 60,
                       tr("The version that new producers are given")),
                Column("stations", tr("Stations"), self._use, "number", 72, tr("How many enforce it")),
                Column("tags", tr("Tags"), lambda s: list(s.tags), "badge", 110, "", False),
                Column("created_by", tr("Created by"), lambda s: s.created_by or "–", "mono", 110, "", False),
                Column("created", tr("Created"), lambda s: nanoseconds(s.created_at), "time", 100, "", False),
            ],
            lambda s: s.name,
            "memphis_schemas",
            context_actions=self._row_commands,
            default_sort=("name", False),
        )  # fmt: skip
        self.table.set_zone(context.zone)
        self.table.set_state("loading")
        self.table.current_changed.connect(lambda _: self._show_schema())
        self.details = _Details(context)
        self.split = SplitView(panel(self.table), self.details, "memphis_schemas", share=0.46)
        self.split.set_preview_visible(False)
        self.filter.text_changed.connect(self.table.set_filter)
        self.filter.chips_changed.connect(self._narrow)
        self.filter.left.connect(self.table.setFocus)
        self.details.versions.current_changed.connect(lambda _: self.commands_changed.emit())
        self.page.addWidget(self.filter)
        self.page.addWidget(self.split, 1)

    def show_route(self, route: Route) -> None:
        """Put the cursor on a schema."""
        self._wanted = route.get("schema")
        self._select_wanted()

    def _select_wanted(self) -> None:
        if self._wanted and self.table.select_key(self._wanted):
            self._wanted = ""

    def show_view(self, view: MemphisView) -> None:
        """Show the schemas."""
        text = tr("There are no schemas yet. With one, a station refuses messages that do not fit.")
        self.show_rows(
            self.table, list(view.schemas), text, (tr("Create schema"), self.create_schema), "brackets-curly"
        )
        self.filter.set_count(
            tr_count(
                "{count} schema",
                "{count} schemas",
                len(view.schemas),
                count=figures.integer(len(view.schemas)),
            )
        )
        self.create_button.setEnabled(not self.refusal)
        self.create_button.setToolTip(self.refusal or "N")
        self._select_wanted()
        self._show_schema()

    def _use(self, schema: Schema) -> int:
        return len(self.link.view.using(schema.name))

    def _narrow(self, chips: set[str]) -> None:
        self.table.set_predicate((lambda schema: schema.type in chips) if chips else None)

    def _show_schema(self) -> None:
        schema: Schema | None = self.table.current_row()
        if schema is not None and not self.split.preview_visible():
            self.split.set_preview_visible(True)
        self.details.show_schema(schema, self.link.view)
        self.commands_changed.emit()

    def focus_filter(self) -> None:
        """Into the filter."""
        self.filter.focus()

    # Doing

    def create_schema(self) -> None:
        """Ask for a schema and make it."""
        if not self.refusal:
            self._open(
                SchemaDialog(self.window(), self.context.session, self.link, None), tr("create the schema")
            )

    def new_version(self) -> None:
        """Write another version of the schema with the cursor."""
        schema = self.table.current_row()
        if schema is not None and not self.refusal:
            dialog = SchemaDialog(self.window(), self.context.session, self.link, schema)
            self._open(dialog, tr("add the version"))

    def attach(self) -> None:
        """Choose which stations enforce the schema with the cursor."""
        schema = self.table.current_row()
        if schema is not None and not self.refusal:
            self._open(
                AttachDialog(self.window(), self.context.session, self.link, schema), tr("attach the schema")
            )

    def _open(self, dialog: Any, description: str) -> None:
        async def ask() -> None:
            if await dialog.ask():
                self.context.notify(dialog.told, "good")

        self.context.run(ask(), description)

    def activate_version(self) -> None:
        """Make the version with the cursor the active one."""
        schema, version = self.table.current_row(), self.details.version
        if schema is not None and version is not None and not self.refusal:
            self.context.run(self._activate(schema, version), tr("activate the version"))

    async def _activate(self, schema: Schema, version: SchemaVersion) -> None:
        change = MemphisChange(
            tr("Activate version {number} of schema {name}", number=version.number, name=schema.name),
            "schemas.activate",
            {"name": schema.name, "version_number": version.number},
            before={"active_version": schema.active_version},
        )
        using = self.link.view.using(schema.name)
        text = tr(
            "Producers that start from now on are given version {number} of {name}.",
            number=version.number,
            name=schema.name,
        )
        if using:
            names = ", ".join(using[:4])
            those = tr(
                "Those that run at {names} keep theirs until the schema is attached there again.", names=names
            )
            text = f"{text} {those}"
        await self.change(
            change,
            title=tr("Activate version {number}?", number=version.number),
            text=text,
            verb=tr("Activate version"),
            name=schema.name,
            done=tr("Version {number} of {name} is active.", number=version.number, name=schema.name),
        )

    def remove(self) -> None:
        """Remove the schema with the cursor, after asking."""
        schema = self.table.current_row()
        if schema is not None and not self.refusal:
            self.context.run(self._remove(schema), tr("remove the schema"))

    async def _remove(self, schema: Schema) -> None:
        using = self.link.view.using(schema.name)
        versions = tr_count(
            "{count} version",
            "{count} versions",
            len(schema.versions),
            count=figures.integer(len(schema.versions)),
        )
        text = tr("{name} is removed with its {versions}.", name=schema.name, versions=versions)
        if using:
            those = tr_count(
                "{count} station will check nothing: {names}.",
                "{count} stations will check nothing: {names}.",
                len(using),
                count=figures.integer(len(using)),
                names=", ".join(using[:6]),
            )
            text = f"{text} {those}"
        change = MemphisChange(
            tr("Remove schema {name}", name=schema.name),
            "schemas.remove",
            {"name": schema.name},
            before={
                "name": schema.name,
                "type": schema.type,
                "versions": [version.content for version in schema.versions],
            },
            destroys=True,
        )
        await self.change(
            change,
            title=tr("Remove schema {name}?", name=schema.name),
            text=text,
            verb=tr("Remove schema"),
            name=schema.name,
            done=tr("Schema {name} was removed.", name=schema.name),
        )

    def commands(self) -> list[Command]:
        """For the palette, the keys and the sheet."""
        create = self.command(
            tr("Create schema"), keymap.key("schemas.create"), self.create_schema, "plus", self.refusal
        )
        return [create, *self._row_commands(self.table.selected_rows())]

    def _row_commands(self, schemas: list[Schema]) -> list[Command]:
        one = schemas[0] if len(schemas) == 1 else None
        why = ("" if one is not None else tr("Select one schema first.")) or self.refusal
        version = self.details.version
        active = version is None or (one is not None and version.number == one.active_version)
        return [
            self.command(
                tr("New version"), keymap.key("schemas.new_version"), self.new_version, "pencil-simple", why
            ),
            self.command(
                tr("Activate version {number}", number=version.number)
                if version is not None
                else tr("Activate version"),
                keymap.key("schemas.activate"),
                self.activate_version,
                "check-circle",
                why or (tr("This version is active.") if active else ""),
            ),
            self.command(
                tr("Attach to stations, or detach"), keymap.key("schemas.attach"), self.attach, "link", why
            ),
            self.command(tr("Remove schema"), keymap.key("schemas.remove"), self.remove, "trash", why, True),
        ]


class _Details(QFrame):
    """One schema: its versions, the text of one, what it changed, and the stations."""

    def __init__(self, context: ScreenContext) -> None:
        super().__init__()
        self.setProperty("panel", "surface")
        self.setMinimumWidth(340)
        self._schema: Schema | None = None
        self._context = context
        self.heading = PlainLabel("", "section", elide=Qt.TextElideMode.ElideMiddle)
        self.facts = PlainLabel("", "muted", wrap=True)
        self.versions = DataTable(
            [
                Column("number", tr("Version"), lambda v: v.number, "number", 84),
                Column("state", "", self._state, "badge", 80),
                Column("message", tr("Message"), lambda v: v.message_struct_name or "–", "mono", 110),
                Column("created_by", tr("By"), lambda v: v.created_by or "–", "mono", 100, stretch=True),
                Column("created", tr("Made"), lambda v: nanoseconds(v.created_at), "time", 100),
            ],
            lambda v: v.number,
            "memphis_schema_versions",
            default_sort=("number", True),
        )
        self.versions.set_zone(context.zone)
        self.versions.setFixedHeight(136)
        self.versions.current_changed.connect(lambda _: self._show_version())
        self.content = CodeBlock(lines=0, wrap=True)
        self.difference = CodeBlock(lines=0)
        self.against = QComboBox()
        self.against.setAccessibleName(tr("Compare with"))
        self.against.activated.connect(lambda _: self._show_difference())
        beside = QHBoxLayout()
        beside.setContentsMargins(theme.SPACE_3, theme.SPACE_2, theme.SPACE_3, 0)
        beside.addWidget(PlainLabel(tr("Compared with"), "caption"))
        beside.addWidget(self.against)
        beside.addStretch()
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(beside)
        column.addWidget(self.difference, 1)
        self.stations = DataTable(
            [
                Column("name", tr("Station"), lambda s: s.name, "mono", 150, stretch=True),
                Column("version", tr("Version"), lambda s: s.schema.version, "number", 70),
                Column("state", "", self._update_state, "badge", 130),
            ],
            lambda s: s.name,
            "memphis_schema_stations",
        )
        self.stations.row_activated.connect(
            lambda s: context.navigate(Route("memphis_station", {"station": s.name}))
        )
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        self.tabs.addTab(self.content, tr("Text"))
        self.tabs.addTab(page, tr("Difference"))
        self.tabs.addTab(self.stations, tr("Stations"))
        head = QVBoxLayout()
        head.setContentsMargins(theme.SPACE_4, theme.SPACE_3, theme.SPACE_4, 0)
        head.setSpacing(2)
        head.addWidget(self.heading)
        head.addWidget(self.facts)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(1, 1, 1, 1)
        layout.setSpacing(theme.SPACE_2)
        layout.addLayout(head)
        layout.addWidget(self.versions)
        layout.addWidget(self.tabs, 1)

    @property
    def version(self) -> SchemaVersion | None:
        """The version with the cursor."""
        row: SchemaVersion | None = self.versions.current_row()
        return row

    def _state(self, version: SchemaVersion) -> Any:
        active = self._schema is not None and version.number == self._schema.active_version
        return (tr("active"), "good") if active else None

    def _update_state(self, station: Any) -> Any:
        if self._schema is None or station.schema.version == self._schema.active_version:
            return None
        return (tr("update available"), "warning")

    def show_schema(self, schema: Schema | None, view: MemphisView) -> None:
        """Show another schema, or the same one as it is now."""
        other = schema is None or self._schema is None or schema.name != self._schema.name
        self._schema = schema
        if schema is None:
            self.heading.setText("")
            self.facts.setText(tr("Select a schema."))
            self.versions.set_rows([])
            self.stations.set_rows([])
            self.content.set_text("")
            self.difference.set_text("")
            return
        self.heading.setText(schema.name)
        kind = KINDS.get(schema.type, schema.type)
        if schema.created_by:
            self.facts.setText(tr("{type}, created by {user}", type=kind, user=schema.created_by))
        else:
            self.facts.setText(tr("{type}, created", type=kind))
        self.versions.set_rows(schema.versions)
        stations = [one for one in view.all_stations() if one.schema and one.schema.name == schema.name]
        self.stations.set_rows(stations)
        self.stations.set_state("ready" if stations else "empty", tr("No station enforces it."), icon="stack")
        self.tabs.setTabText(
            2, tr("Stations {stations}", stations=len(stations)) if stations else tr("Stations")
        )
        if other or self.version is None:
            self.versions.select_key(schema.active_version)
        self._show_version()

    def _show_version(self) -> None:
        schema, version = self._schema, self.version
        if schema is None or version is None:
            return
        self.content.set_text(version.content)
        chosen = self.against.currentData()
        self.against.clear()
        for other in reversed(schema.versions):
            if other.number != version.number:
                active = tr(", active") if other.number == schema.active_version else ""
                self.against.addItem(
                    tr("version {number}{active}", number=other.number, active=active), other.number
                )
        before = version.number - 1 if version.number > 1 else schema.active_version
        self.against.setCurrentIndex(max(0, self.against.findData(chosen if chosen is not None else before)))
        self._show_difference()

    def _show_difference(self) -> None:
        schema, version = self._schema, self.version
        other = schema.version(self.against.currentData() or 0) if schema is not None else None
        if version is None or other is None:
            self.difference.set_text(tr("There is no other version to compare with."))
            return
        first, second = sorted((other, version), key=lambda one: one.number)
        lines = list(
            difflib.unified_diff(
                first.content.splitlines(),
                second.content.splitlines(),
                tr("version {number}", number=first.number),
                tr("version {number}", number=second.number),
                lineterm="",
            )
        )
        self.difference.set_text("\n".join(lines) or tr("The two have the same text."))
