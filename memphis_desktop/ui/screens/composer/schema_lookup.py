"""Which schema holds for what is being written: a decoder rule's, or the station's own (Schemaverse)."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from PySide6.QtCore import QObject, Signal
from shiboken6 import isValid

from memphis_desktop.inspect.attached import (
    AttachedSchema,
    rule_of_draft,
    schema_of_registry,
    schema_of_rule,
    schema_of_text,
)
from memphis_desktop.inspect.decode.schemas import SchemaError
from memphis_desktop.inspect.registry import RegistryError
from memphis_desktop.language import tr
from memphis_desktop.stations.client import StationsClient
from memphis_desktop.stations.errors import StationsError
from memphis_desktop.stations.names import station_of_stream
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.decoders.store import current_decoders

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StationSchema:
    """What a station demands: the schema as this program reads it, and the station whose service knows it."""

    station: str
    title: str
    attached: AttachedSchema | None  # None for what cannot be read here (GraphQL)


class SchemaLookup(QObject):
    """Looks up schemas; a station's is read once and kept while the composer is open."""

    changed = Signal()  # a station's schema has become known

    def __init__(self, context: ScreenContext, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._context = context
        session = context.session
        self._client = StationsClient(session.nats, api_prefix=session.profile.api_prefix)
        self._stations: dict[str, StationSchema | None] = {}
        self._registry: dict[str, AttachedSchema | None] = {}

    def schema(
        self, stream: str, subject: str, headers: tuple[tuple[str, str], ...]
    ) -> AttachedSchema | None:
        """The schema known for a message so far: the rule's comes first, for a person has chosen it."""
        decoders = current_decoders()
        rule = rule_of_draft(decoders, stream, subject, headers)
        if rule is not None and rule.kind == "registry" and "/" in rule.schema:
            return self._of_registry(rule.schema)
        found = schema_of_rule(decoders, rule)
        if found is not None or not stream:
            return found
        if stream not in self._stations:
            self._stations[stream] = None
            self._context.run(self._read(stream), tr("read the station's schema"))
        station = self._stations[stream]
        return station.attached if station is not None else None

    def _of_registry(self, name: str) -> AttachedSchema | None:
        """The newest schema of a registry's subject, asked for once while the composer is open."""
        if name not in self._registry:
            self._registry[name] = None
            self._context.run(self._ask_registry(name), tr("read the registry's schema"))
        return self._registry[name]

    async def _ask_registry(self, name: str) -> None:
        title, _, subject = name.partition("/")
        subject, _, message = subject.partition("#")
        registry = current_decoders().registries.get(title)
        if registry is None:
            return
        try:
            found = await asyncio.to_thread(registry.latest, subject)
            what = tr(
                "{subject} version {version} ({title})",
                subject=subject,
                version=found.fetched.version,
                title=title,
            )
            attached = schema_of_registry(found, message, what)
        except (RegistryError, SchemaError) as error:
            if isValid(self):
                text = str(error).rstrip(".")
                self._context.notify(
                    tr("No schema of {subject}: {reason}.", subject=subject, reason=text), "warning"
                )
            return
        if isValid(self):
            self._registry[name] = attached
            self.changed.emit()

    def station_schema(self, stream: str) -> StationSchema | None:
        """What the station itself demands."""
        return self._stations.get(stream)

    async def _read(self, stream: str) -> None:
        try:
            if not await self._client.available():
                return
            station = await self._client.station(station_of_stream(stream)[0])
            if station is None or station.schema is None:
                return
            schema = await self._client.schema(station.schema.name)
            active = schema.active if schema is not None else None
            if schema is None or active is None:
                return
            title = tr(
                "{name} version {number} (schema of {station})",
                name=schema.name,
                number=active.number,
                station=station.name,
            )
            try:
                attached = schema_of_text(schema.type, active.content, active.message_struct_name, title)
            except SchemaError as error:
                log.info("the schema of %s cannot be read here: %s", station.name, error)
                attached = None
        except StationsError as error:
            log.info("no schema for %s: %s", stream, error)
            return
        if isValid(self):
            self._stations[stream] = StationSchema(station.name, title, attached)
            self.changed.emit()

    async def station_problem(self, stream: str, payload: bytes) -> str:
        """Return why the station would refuse a payload, or nothing; asks its own check."""
        found = self._stations.get(stream)
        if found is None:
            return ""
        try:
            answer = (await self._client.check_messages(found.station, [payload]))[0]
        except StationsError as error:
            return tr(
                "The schema of {station} cannot be checked: {error}", station=found.station, error=error
            )
        return tr("This does not fit {title}: {answer}", title=found.title, answer=answer) if answer else ""

    async def close(self) -> None:
        """End the process that checks, where one was needed."""
        await self._client.close()
