"""Connections that come from elsewhere and go there: contexts of the nats command line, files."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QFileDialog, QWidget

from memphis_desktop.cluster import keychain
from memphis_desktop.cluster.context_file import context_name, left_out, write_context
from memphis_desktop.cluster.contexts import contexts_folder, find_contexts
from memphis_desktop.cluster.profiles import (
    ConnectionProfile,
    ProfileError,
    profiles_of,
    text_of,
    without_secrets,
)
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui.format import integer
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.home.import_dialog import ImportDialog

_FILES = tr("Connections (*.json);;All files (*)")


class Exchange(QObject):
    """Takes connections into the user's list, and writes them for others. See the module."""

    imported = Signal()

    def __init__(self, context: ScreenContext, owner: QWidget) -> None:
        super().__init__(owner)
        self.context = context
        self._owner = owner

    def import_contexts(self) -> None:
        """Take over contexts of the ``nats`` command line."""
        self.context.run(self._import(), tr("import connections"))

    async def _import(self) -> None:
        found = await asyncio.to_thread(find_contexts)
        dialog = ImportDialog(self._owner.window(), found, self.context.shell.profiles.load())
        if not await dialog.ask():
            return
        store = self.context.shell.profiles
        chosen = dialog.chosen()
        for profile in chosen:
            kept = await asyncio.to_thread(keychain.put_away, profile)
            store.put(replace(kept, name=store.free_name(profile.name)))
        self._taken(len(chosen))

    def export(self, profiles: Sequence[ConnectionProfile]) -> None:
        """Write connections to a file that is asked for, without their secrets."""
        if not profiles:
            return
        dialog = QFileDialog(self._owner.window(), tr("Export connections"), "connections.json", _FILES)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("json")
        dialog.fileSelected.connect(lambda path: self.export_to(path, profiles))
        dialog.open()

    def export_to(self, path: str, profiles: Sequence[ConnectionProfile]) -> None:
        """Write these to a file."""
        try:
            Path(path).write_text(text_of([without_secrets(one) for one in profiles]), encoding="utf-8")
        except OSError as error:
            self.context.notify(
                tr("{path} cannot be written: {strerror}.", path=path, strerror=error.strerror), "bad"
            )
            return
        text = tr_count(
            "{count} connection written to {path}, without secrets.",
            "{count} connections written to {path}, without secrets.",
            len(profiles),
            count=integer(len(profiles)),
            path=path,
        )
        self.context.notify(text, "good")

    def write_context(self, profile: ConnectionProfile) -> None:
        """Write a connection as a context of the ``nats`` command line."""
        self.context.run(self._write_context(profile), tr("write the context"))

    async def _write_context(self, profile: ConnectionProfile) -> None:
        folder = contexts_folder()
        name = context_name(profile)
        try:
            path = await asyncio.to_thread(write_context, profile, folder)
        except FileExistsError:
            text = tr(
                "The nats command line has a context named {name} already. What it says is lost.", name=name
            )
            if not await self.context.confirm(
                tr("Replace the context {name}", name=name), text, tr("Replace context")
            ):
                return
            path = await asyncio.to_thread(write_context, profile, folder, replacing=True)
        missing = left_out(profile)
        text = tr("Written as {path}.", path=path)
        if missing:
            add = tr(
                "It is without the {missing}; add it with: nats context edit {name}",
                missing=missing,
                name=name,
            )
            text = f"{text} {add}"
        self.context.notify(text, "good")

    def import_file(self) -> None:
        """Take connections from a file that was exported."""
        dialog = QFileDialog(self._owner.window(), tr("Import connections"), "", _FILES)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(self.import_from)
        dialog.open()

    def import_from(self, path: str) -> None:
        """Add the connections of a file under free names."""
        store = self.context.shell.profiles
        try:
            found = profiles_of(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError, KeyError, TypeError, ProfileError) as error:
            self.context.notify(
                tr("There are no connections in {path}: {error}", path=path, error=error), "bad"
            )
            return
        present = {one.id for one in store.load()}
        for profile in found:
            made = replace(profile, name=store.free_name(profile.name), origin=path)
            store.put(replace(made, id=uuid.uuid4().hex) if profile.id in present else made)
        self._taken(len(found))

    def _taken(self, count: int) -> None:
        self.imported.emit()
        text = tr_count(
            "Imported {count} connection.", "Imported {count} connections.", count, count=integer(count)
        )
        self.context.notify(text, "good")
