"""Takes the schemas of a connection's Schemaverse as a source of decoders, and follows what changes there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from memphis_desktop.cluster.profiles import ConnectionProfile
from memphis_desktop.stations.model import Schema
from memphis_desktop.ui import settings
from memphis_desktop.ui.memphis.link import MemphisLink, MemphisView

if TYPE_CHECKING:
    from memphis_desktop.inspect.decode.schemaverse import VersionedSchema

MAX_VERSIONS = 50  # of a schema, the newest
MAX_TEXT = 4 << 20  # characters of all schemas of a connection
_KEY = "decoders"  # of the settings; decoders themselves are imported once somebody has them


class SchemaverseFollower(QObject):
    """Follows while a person has the schemas of this connection taken; costs nothing otherwise."""

    def __init__(self, link: MemphisLink, profile: ConnectionProfile, parent: QObject) -> None:
        super().__init__(parent)
        self._link = link
        self._profile = profile
        self._release: Callable[[], None] | None = None
        link.changed.connect(self._take)
        settings.current().changed.connect(self._settings_changed)
        self._follow()

    def _is_wanted(self) -> bool:
        record = settings.current().get(_KEY)
        entries = record.get("schemaverses") if isinstance(record, dict) else None
        return any(isinstance(one, dict) and one.get("id") == self._profile.id for one in entries or ())

    def _settings_changed(self, key: str) -> None:
        if key == _KEY:
            self._follow()

    def _follow(self) -> None:
        wanted = self._is_wanted()
        if wanted and self._release is None:
            self._release = self._link.use()
            self._take()
        elif not wanted and self._release is not None:
            self.stop()

    def stop(self) -> None:
        """Follow no more; what was taken stays."""
        release, self._release = self._release, None
        if release is not None:
            release()

    def _take(self) -> None:
        view = self._link.view
        if self._release is None or not view.complete:
            return
        from memphis_desktop.ui.screens.decoders.store import current_decoders, save_decoders

        known = current_decoders().settings
        source = next((entry for entry in known.schemaverses if entry.id == self._profile.id), None)
        if source is None:
            return
        found = replace(source, schemas=_schemas(view.schemas), streams=_streams(view))
        if found == source:
            return
        known.schemaverses = [found if entry is source else entry for entry in known.schemaverses]
        save_decoders()


def _schemas(schemas: Iterable[Schema]) -> tuple[VersionedSchema, ...]:
    """The schemas with their newest versions and the active one, as far as there is room."""
    from memphis_desktop.inspect.decode.schemaverse import VersionedSchema, VersionText

    result = []
    room = MAX_TEXT
    for schema in schemas:
        newest = sorted(schema.versions, key=lambda version: version.number)[-MAX_VERSIONS:]
        active = schema.active
        if active is not None and active not in newest:
            newest = [active, *newest]
        room -= sum(len(version.content) for version in newest)
        if room < 0:
            break
        versions = tuple(
            VersionText(version.number, version.content, version.message_struct_name) for version in newest
        )
        result.append(VersionedSchema(schema.name, schema.type, schema.active_version, versions))
    return tuple(result)


def _streams(view: MemphisView) -> dict[str, tuple[str, int]]:
    return {
        stream: (station.schema.name, station.schema.version)
        for station in view.all_stations()
        if station.schema is not None
        for stream in station.streams
    }
