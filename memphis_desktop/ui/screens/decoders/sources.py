"""Where schemas come from: files and folders, schema registries, and Memphis's Schemaverse."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QFileDialog, QMenu, QVBoxLayout, QWidget

from memphis_desktop.cluster import keychain
from memphis_desktop.inspect.decode.schemaverse import SchemaverseSource
from memphis_desktop.inspect.registry import RegistrySource
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.screen import Command, ScreenContext
from memphis_desktop.ui.screens.decoders.registry_dialog import RegistryDialog, put_away
from memphis_desktop.ui.screens.decoders.store import current_decoders, loaded, loading, save_decoders
from memphis_desktop.ui.theme.icons import icon

_KINDS = tr("Schemas (*.proto *.pb *.desc *.protoset *.binpb *.fds *.bin *.avsc *.json);;All files (*)")
_EMPTY = tr(
    "No schemas yet. Add files or folders (.proto, descriptor sets, Avro, JSON Schema), a schema registry, "
    "or Memphis's Schemaverse."
)


@dataclass(frozen=True)
class SourceRow:
    """One source; `entry` is the path, the registry or the Schemaverse."""

    kind: str
    name: str
    state: tuple[str, str]
    gives: str
    entry: str | RegistrySource | SchemaverseSource


class SourceTable(QWidget):
    """The sources, with adding, changing and removing."""

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self.table = DataTable(
            [
                Column("state", tr("State"), lambda row: row.state, kind="dot", width=120),
                Column("kind", tr("Kind"), lambda row: row.kind, width=130),
                Column("name", tr("Source"), lambda row: row.name, kind="mono", width=300, stretch=True),
                Column("gives", tr("Gives"), lambda row: row.gives, width=300),
            ],
            lambda row: (row.kind, row.name),
            "decoder_sources",
            context_actions=self._actions,
        )
        self.table.row_activated.connect(self._open)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.table)

    def refresh(self) -> None:
        """Show the sources as they are."""
        decoders = current_decoders()
        rows = [
            _file_row(path, decoders.problems.get(path, ""), decoders.counts.get(path, 0))
            for path in decoders.settings.sources
        ]
        for registry in decoders.registries.values():
            known, problem = registry.state()
            state = (
                ("bad", tr("problem"))
                if problem
                else ("good", tr("in use"))
                if known
                else ("muted", tr("not asked yet"))
            )
            gives = problem or (
                tr_count("{count} schema read", "{count} schemas read", known, count=figures.integer(known))
                if known
                else ""
            )
            name = f"{registry.source.name}  {registry.source.url}"
            rows.append(SourceRow(tr("Schema registry"), name, state, gives, registry.source))
        for entry in decoders.settings.schemaverses:
            versions = sum(len(schema.versions) for schema in entry.schemas)
            schemas, streams = len(entry.schemas), len(entry.streams)
            gives = ", ".join(
                (
                    tr_count("{count} schema", "{count} schemas", schemas, count=figures.integer(schemas)),
                    tr_count(
                        "{count} version", "{count} versions", versions, count=figures.integer(versions)
                    ),
                    tr_count("{count} stream", "{count} streams", streams, count=figures.integer(streams)),
                )
            )
            rows.append(SourceRow(tr("Schemaverse"), entry.title, ("good", tr("taken")), gives, entry))
        self.table.set_rows(rows)
        action = (tr("Add schemas"), lambda: self.open_menu(self.mapToGlobal(self.rect().center())))
        self.table.set_state("ready" if rows else "empty", _EMPTY, action, icon="files")

    def open_menu(self, place: QPoint) -> QMenu:
        """Offer the kinds of sources there are."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.addAction(icon("file"), tr("Files"), self._choose_files)
        menu.addAction(icon("folder-open"), tr("A folder with everything in it"), self._choose_folder)
        menu.addSeparator()
        menu.addAction(icon("cloud"), tr("A schema registry"), lambda: self.edit_registry(None))
        from_memphis = menu.addAction(
            icon("ruler"), tr("Schemaverse of this connection"), self.take_schemaverse
        )
        if not self._context.memphis.available:
            from_memphis.setText(tr("Schemaverse of this connection (it has no Memphis layer)"))
            from_memphis.setEnabled(False)
        menu.popup(place)
        return menu

    # Files --------------------------------------------------------------------------------------

    def _choose_files(self) -> None:
        paths, _ = QFileDialog.getOpenFileNames(self, tr("Add schemas"), "", _KINDS)
        self.add_paths(paths)

    def _choose_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, tr("Add a folder of schemas"))
        self.add_paths([path] if path else [])

    def add_paths(self, paths: list[str]) -> None:
        """Use files or folders as sources of schemas."""
        decoders = current_decoders()
        new = [path for path in paths if path not in decoders.settings.sources]
        if new:
            decoders.settings.sources += new
            self._context.run(self._read_files(new), tr("read the schemas"))

    def read_again(self) -> None:
        """Read all files and folders anew."""
        self._context.run(self._read_files(current_decoders().settings.sources), tr("read the schemas"))

    async def _read_files(self, paths: list[str]) -> None:
        save_decoders(reload=True)
        await loaded()
        decoders = current_decoders()
        problems = [decoders.problems[path] for path in paths if path in decoders.problems]
        if problems:
            self._context.notify(problems[0], "bad")
        else:
            count = sum(kind in ("protobuf", "avro", "json") for kind, _ in decoders.schemas())
            self._context.notify(
                tr_count(
                    "{count} type can be chosen in rules.",
                    "{count} types can be chosen in rules.",
                    count,
                    count=figures.integer(count),
                ),
                "good",
            )

    # Registries ---------------------------------------------------------------------------------

    def edit_registry(self, source: RegistrySource | None) -> RegistryDialog:
        """Describe a registry."""
        names = [known.name for known in current_decoders().settings.registries if known != source]
        dialog = RegistryDialog(self.window(), self._context, source, names)
        dialog.accepted.connect(
            lambda: self._context.run(self._keep(dialog.source(), source), tr("keep the registry"))
        )
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()
        return dialog

    async def _keep(self, source: RegistrySource, replaced: RegistrySource | None) -> None:
        kept = await put_away(source)
        settings = current_decoders().settings
        before = settings.registries
        settings.registries = [kept if known == replaced else known for known in before]
        if replaced not in before:
            settings.registries.append(kept)
        elif replaced is not None:
            if replaced.name != kept.name:
                settings.rules = [
                    replace(rule, schema=kept.name + rule.schema.removeprefix(replaced.name))
                    if rule.kind == "registry" and rule.schema.partition("/")[0] == replaced.name else rule
                    for rule in settings.rules
                ]  # fmt: skip
            await _forget_secret(replaced, kept)
        save_decoders()

    # Schemaverse --------------------------------------------------------------------------------

    def take_schemaverse(self) -> None:
        """Read messages of this connection by the schemas of its stations, from now on."""
        profile = self._context.session.profile
        settings = current_decoders().settings
        if any(entry.id == profile.id for entry in settings.schemaverses):
            self._context.notify(tr("Its schemas are taken already, and follow what changes there."))
            return
        title = _free_title(profile.name, settings.schemaverses)
        settings.schemaverses = [*settings.schemaverses, SchemaverseSource(profile.id, title)]
        save_decoders()

    # Of rows ------------------------------------------------------------------------------------

    def _open(self, row: SourceRow) -> None:
        if isinstance(row.entry, RegistrySource):
            self.edit_registry(row.entry)

    def _actions(self, rows: list[Any]) -> list[Command]:
        actions = []
        if len(rows) == 1 and isinstance(rows[0].entry, RegistrySource):
            actions.append(Command(tr("Edit"), "", lambda: self._open(rows[0]), "pencil-simple"))
            actions.append(
                Command(tr("Ask again"), "", lambda: self._ask_again(rows[0].entry), "arrow-clockwise")
            )
        if any(isinstance(row.entry, str) for row in rows):
            actions.append(Command(tr("Read all files again"), "", self.read_again, "arrow-clockwise"))
        return [*actions, Command(tr("Remove"), "", lambda: self.remove(rows), "trash")]

    def _ask_again(self, source: RegistrySource) -> None:
        registry = current_decoders().registries.get(source.name)
        if registry is not None:
            registry.forget()
            save_decoders()

    def remove(self, rows: list[SourceRow]) -> None:
        """Use these no longer."""
        gone = [row.entry for row in rows]
        settings = current_decoders().settings
        settings.sources = [path for path in settings.sources if path not in gone]
        settings.registries = [known for known in settings.registries if known not in gone]
        settings.schemaverses = [known for known in settings.schemaverses if known not in gone]
        save_decoders(reload=any(isinstance(entry, str) for entry in gone))
        for entry in gone:
            if isinstance(entry, RegistrySource):
                self._context.run(_forget_secret(entry), tr("remove the secret"))


async def _forget_secret(source: RegistrySource, kept: RegistrySource | None = None) -> None:
    if source.secret.startswith(keychain.SCHEME) and (kept is None or kept.secret != source.secret):
        await asyncio.to_thread(keychain.remove, source.secret)


def _file_row(path: str, problem: str, count: int) -> SourceRow:
    if loading():
        return SourceRow(_kind_of(path), path, ("information", "being read"), "", path)
    state = ("bad", tr("problem")) if problem else ("good", "loaded")
    return SourceRow(
        _kind_of(path),
        path,
        state,
        problem or tr_count("{count} type", "{count} types", count, count=figures.integer(count)),
        path,
    )


def _kind_of(path: str) -> str:
    suffix = Path(path).suffix
    titles = {".proto": tr("Protobuf file"), ".avsc": tr("Avro schema"), ".json": "JSON"}
    return titles.get(suffix, tr("Descriptor set")) if suffix else tr("Folder")


def _free_title(name: str, taken: Iterable[SchemaverseSource]) -> str:
    """A name for the schemas of a connection that no other has."""
    titles = {entry.title for entry in taken}
    title, number = name, 2
    while title in titles:
        title, number = f"{name} ({number})", number + 1
    return title
