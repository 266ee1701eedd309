"""The Memphis layer as the window and the gateways see it.

Reading goes straight to the buckets, so it works on any server that has them, the service running or not.
Changing is asked of the service, which answers on ``$memphis_manage.>``; every failure is one `StationsError`
with a code and a sentence.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import nats.errors
import orjson
from nats.aio.client import Client

from memphis_desktop.stations import model
from memphis_desktop.stations.control.routes import MANAGE_PREFIX
from memphis_desktop.stations.errors import StationsError, StorageError
from memphis_desktop.stations.metadata import Metadata, TableView, key_for, pattern_for, replace
from memphis_desktop.stations.model import (
    AuditEntry,
    Connection,
    Consumer,
    DeadLetter,
    Permissions,
    Producer,
    Schema,
    Settings,
    Station,
    StationState,
    User,
)
from memphis_desktop.stations.schemas.checking import violations
from memphis_desktop.stations.schemas.violations import ContentError
from memphis_desktop.stations.schemas.worker import SchemaWorker, WorkerBusy

Record = TypeVar("Record")

_TIMEOUT = 20.0  # a creation of many partitions takes its time


@dataclass(frozen=True, slots=True)
class Activity:
    """A producer or consumer, and whether its connection is open."""

    record: Producer | Consumer
    active: bool


class StationsClient:
    """Reads and changes the Memphis layer over one connection."""

    def __init__(self, client: Client, *, username: str = "", api_prefix: str = "$JS.API") -> None:
        """Prepare; nothing is asked yet.

        Args:
            client: A connection to the server.
            username: Who changes things, for the audit log.
            api_prefix: Where the account's JetStream API is.
        """
        self.metadata = Metadata(client, api_prefix)
        self.username = username
        self._client = client
        self._worker = SchemaWorker()

    # What is there ------------------------------------------------------------------------------------------

    async def available(self) -> bool:
        """Return whether the server has a Memphis layer at all."""
        return await self.metadata.stations.bucket.exists()

    async def service_running(self) -> bool:
        """Return whether a copy of the service answers, so that changes are possible."""
        try:
            await self.manage("status", {}, timeout=2.0)
        except StationsError:
            return False
        return True

    # Reading ------------------------------------------------------------------------------------------------

    async def stations(self) -> list[Station]:
        """Return the stations, by name."""
        found = await self.metadata.stations.all()
        return sorted((s for s in found if s.state is StationState.READY), key=lambda s: s.name)

    async def station(self, name: str) -> Station | None:
        """Return one station, or None."""
        return await self.metadata.station(name.lower())

    async def producers(self, station: str | None = None) -> list[Producer]:
        """Return the producers of a station, or of all."""
        return await self.metadata.producers.all(_pattern(station))

    async def consumers(self, station: str | None = None) -> list[Consumer]:
        """Return the members of a station's groups, or of all."""
        return await self.metadata.consumers.all(_pattern(station))

    async def connections(self) -> dict[str, Connection]:
        """Return what is known of connections, by their id; one without a record counts as open."""
        return {connection.id: connection for connection in await self.metadata.connections.all()}

    async def dead_letters(self, station: str | None = None) -> list[DeadLetter]:
        """Return the dead letters of a station, or of all, the newest first; without their payloads."""
        found = await self.metadata.dead_letters.all(_pattern(station))
        return sorted(found, key=lambda letter: letter.created_at, reverse=True)

    async def dead_letter(self, station: str, letter_id: int) -> DeadLetter | None:
        """Return one dead letter, or None."""
        return await self.metadata.dead_letters.find(station, str(letter_id))

    async def dead_letter_payload(self, station: str, letter_id: int) -> bytes | None:
        """Return the payload of a dead letter; None when it is gone."""
        entry = await self.metadata.payloads.get(key_for(station, str(letter_id)))
        return None if entry is None else entry.value

    async def schemas(self) -> list[Schema]:
        """Return the schemas, by name."""
        return sorted(await self.metadata.schemas.all(), key=lambda schema: schema.name)

    async def schema(self, name: str) -> Schema | None:
        """Return one schema, or None."""
        return await self.metadata.schemas.find(name.lower())

    async def users(self) -> list[User]:
        """Return the users, by name, without the hashes of their passwords."""
        found = [replace(user, password_hash="") for user in await self.metadata.users.all()]
        return sorted(found, key=lambda user: user.name)

    async def connection_token(self) -> str:
        """Return what SDKs may show instead of a password, "" when there is none."""
        found = await self.metadata.connection_token.find(self.metadata.TOKEN_KEY)
        return found.token if found is not None else ""

    async def audit(self, station: str | None = None) -> list[AuditEntry]:
        """Return the audit log of a station, or all of it, the newest line first."""
        found = await self.metadata.audit.all(_pattern(station))
        return sorted(found, key=lambda entry: entry.time, reverse=True)

    async def settings(self) -> Settings:
        """Return what holds for all stations."""
        return await self.metadata.read_settings()

    def live(self) -> LiveMetadata:
        """Return views that follow the metadata, for screens; start and stop them."""
        return LiveMetadata(self.metadata)

    # Stations -----------------------------------------------------------------------------------------------

    async def create_station(self, name: str, **options: Any) -> Station:
        """Create a station.

        Args:
            name: Its name.
            options: ``retention_type``, ``retention_value``, ``storage_type``, ``replicas``,
                ``idempotency_window_in_ms``, ``partitions_number``, ``schema_name``, ``dls_station``,
                ``tags``, ``dls_configuration`` (``poison``, ``schemaverse``): as in the Memphis protocol.

        Raises:
            StationsError: It exists, an option is not allowed, or the service is not there.
        """
        return _record(Station, await self.manage("stations.create", {"name": name, **options}))

    async def edit_station(self, name: str, **options: Any) -> Station:
        """Change a station: those options of `create_station` that can be changed, the rest stays."""
        return _record(Station, await self.manage("stations.edit", {"name": name, **options}))

    async def destroy_station(self, name: str) -> None:
        """Remove a station with its messages, producers, consumers and dead letters."""
        await self.manage("stations.destroy", {"name": name})

    # Dead letters -------------------------------------------------------------------------------------------

    async def resend_dead_letters(
        self, station: str, letter_ids: Sequence[int] = (), group: str = ""
    ) -> dict[str, Any]:
        """Send dead letters again to the groups that failed them, all of a station when no id is given.

        A letter stays until the group acknowledges it. Those of a plain JetStream consumer are published
        again to their subject, which reaches every group there.

        Returns:
            ``sent``: how many, and ``failed``: why others were not, by id.
        """
        body = {"station": station, "ids": list(letter_ids), "group": group}
        return dict(await self.manage("dead_letters.resend", body))

    async def resend_edited(
        self, station: str, letter_id: int, payload: bytes, headers: dict[str, str], group: str = ""
    ) -> None:
        """Send a dead letter again with another payload and headers; the letter itself stays as it was."""
        body = {"station": station, "id": letter_id, "group": group}
        edited = {"payload_hex": payload.hex(), "headers": headers}
        await self.manage("dead_letters.resend_edited", {**body, **edited})

    async def drop_dead_letters(self, station: str, letter_ids: Sequence[int] = (), kind: str = "") -> int:
        """Drop dead letters, all of a station (of a kind, if given) when no id is given; returns how many."""
        body = {"station": station, "ids": list(letter_ids), "kind": kind}
        return int(await self.manage("dead_letters.drop", body))

    async def note_dead_letters(
        self, station: str, letter_ids: Sequence[int], text: str, tags: Sequence[str] = (), by: str = ""
    ) -> int:
        """Keep a note with dead letters, in place of the one they have; returns with how many."""
        body = {"station": station, "ids": list(letter_ids), "text": text, "tags": list(tags), "by": by}
        return int(await self.manage("dead_letters.note", body))

    # Schemas ------------------------------------------------------------------------------------------------

    async def create_schema(
        self, name: str, kind: str, content: str, *, message: str = "", tags: Sequence[str] = ()
    ) -> Schema:
        """Create a schema.

        Args:
            name: Its name.
            kind: ``protobuf``, ``json``, ``avro`` or ``graphql``.
            content: Its text.
            message: Protobuf: the message that producers send; the first of the file if left out.
            tags: Words to find it by.

        Raises:
            StationsError: It exists, the text is no schema of its type, or the service is not there.
        """
        body = {"type": kind, "schema_content": content, "message_struct_name": message, "tags": list(tags)}
        return _record(Schema, await self.manage("schemas.create", {"name": name, **body}))

    async def create_schema_version(
        self, name: str, content: str, *, message: str = "", activate: bool = False
    ) -> Schema:
        """Add a version to a schema; with `activate` new producers are given it."""
        body = {"schema_content": content, "message_struct_name": message, "activate": activate}
        return _record(Schema, await self.manage("schemas.create_version", {"name": name, **body}))

    async def activate_schema_version(self, name: str, number: int) -> Schema:
        """Make another version the active one, an earlier one too.

        Producers that run keep theirs until the schema is attached to their station again.
        """
        return _record(
            Schema, await self.manage("schemas.activate", {"name": name, "version_number": number})
        )

    async def remove_schema(self, name: str) -> None:
        """Remove a schema; stations that enforce it do so no more."""
        await self.manage("schemas.remove", {"name": name})

    async def attach_schema(self, name: str, stations: Sequence[str]) -> list[Station]:
        """Enforce a schema's active version on stations; producers that run are told."""
        body = {"name": name, "station_names": list(stations)}
        return [_record(Station, one) for one in await self.manage("schemas.attach", body)]

    async def detach_schema(self, station: str) -> Station:
        """Take the schema off a station; producers that run are told."""
        return _record(Station, await self.manage("schemas.detach", {"station_name": station}))

    async def check_schema(self, kind: str, content: str, message: str = "") -> tuple[str, ...]:
        """Return the messages of a Protobuf file, nothing for another type. No service is asked.

        Raises:
            StationsError: The text is no schema of that type.
        """
        try:
            return (await self._worker.check(kind, content, message=message)).messages
        except (ContentError, WorkerBusy) as error:
            raise StationsError(str(error), "invalid") from None

    async def check_messages(self, station: str, payloads: Sequence[bytes]) -> list[str | None]:
        """Return for each message what is wrong with it by the station's schema, None when it fits.

        No service is asked.

        Raises:
            StationsError: The station does not exist, or its schema cannot be used.
        """
        found = await self.station(station)
        if found is None:
            raise StationsError(f"Station {station} does not exist", "not_found")
        return await violations(self.metadata, self._worker, found, payloads)

    async def close(self) -> None:
        """End the process that checks schemas, if there was need of one."""
        await self._worker.close()

    # Users --------------------------------------------------------------------------------------------------

    async def add_user(
        self,
        name: str,
        password: str,
        kind: str = "application",
        *,
        permissions: Permissions | None = None,
        **details: str,
    ) -> User:
        """Add a user.

        Args:
            name: 1 to 60 of ``a-z 0-9 _ . -``; capitals become small.
            password: 8 to 20 characters, upper and lower case, a digit and one of ``!?-@#$%``.
            kind: ``application``, which SDKs log in as, or ``management``.
            permissions: Which stations an application user may use; everything if left out.
            details: ``full_name``, ``team``, ``position``, ``description``, ``owner``.

        Raises:
            StationsError: The name is taken or not allowed, the password too simple, the service not there.
        """
        body = {"name": name, "password": password, "type": kind, **_permissions(permissions), **details}
        return _record(User, await self.manage("users.add", body))

    async def edit_user(self, name: str, *, permissions: Permissions | None = None, **details: str) -> User:
        """Change a user's permissions and details; what is left out stays as it is.

        Empty permissions are none, and that is everything. With other permissions connections end, and may
        come back.
        """
        body = _permissions(permissions) if permissions is not None else {}
        return _record(User, await self.manage("users.edit", {"name": name, **body, **details}))

    async def remove_user(self, name: str) -> None:
        """Remove a user; its connections end."""
        await self.manage("users.remove", {"name": name})

    async def change_password(self, name: str, password: str) -> None:
        """Give a user another password; connections made with the old one end."""
        await self.manage("users.change_password", {"name": name, "password": password})

    async def change_connection_token(self, token: str) -> None:
        """Change what SDKs may show instead of a password; connections made with the old one stay."""
        await self.manage("users.change_token", {"token": token})

    # Everything else ----------------------------------------------------------------------------------------

    async def change_settings(self, **settings: int) -> Settings:
        """Change what holds for all stations; see `model.Settings` for the names."""
        return _record(Settings, await self.manage("settings.edit", settings))

    async def manage(self, request: str, body: Mapping[str, object], *, timeout: float = _TIMEOUT) -> Any:
        """Ask the service for something and return its result as JSON gives it.

        Raises:
            StationsError: With the service's code, or ``no_service``, ``timeout``, ``failed``.
        """
        payload = orjson.dumps({"username": self.username, **body})
        try:
            answer = await self._client.request(MANAGE_PREFIX + request, payload, timeout=timeout)
        except nats.errors.NoRespondersError:
            raise StationsError(
                "No stations service answers. Run `memphis-desktop stations --connect URL` beside it.",
                "no_service",
            ) from None
        except nats.errors.TimeoutError:
            raise StationsError("The stations service did not answer in time.", "timeout") from None
        except nats.errors.Error as error:
            raise StationsError(f"The request could not be sent: {error}", "failed") from error
        document = orjson.loads(answer.data)
        if "error" in document:
            raise StationsError(document["error"]["message"], document["error"]["code"])
        return document.get("result")


class LiveMetadata:
    """The tables a screen shows, followed as they change."""

    def __init__(self, metadata: Metadata) -> None:
        self.stations: TableView[Station] = metadata.stations.view()
        self.producers: TableView[Producer] = metadata.producers.view()
        self.consumers: TableView[Consumer] = metadata.consumers.view()
        self.connections: TableView[Connection] = metadata.connections.view()
        self.dead_letters: TableView[DeadLetter] = metadata.dead_letters.view()
        self.schemas: TableView[Schema] = metadata.schemas.view()
        self.users: TableView[User] = metadata.users.view()
        self._views = (
            self.stations,
            self.producers,
            self.consumers,
            self.connections,
            self.dead_letters,
            self.schemas,
            self.users,
        )

    def start(self) -> None:
        """Begin to follow; a view is filled when its `complete` is set."""
        for view in self._views:
            view.start()

    async def stop(self) -> None:
        """End."""
        for view in self._views:
            with contextlib.suppress(StorageError):
                await view.stop()

    def activity(self) -> list[Activity]:
        """Return all producers and consumers, each with whether its connection is open."""
        closed = {connection.id for connection in self.connections.records if not connection.active}
        records: list[Producer | Consumer] = [*self.producers.records, *self.consumers.records]
        return [Activity(record, record.connection_id not in closed) for record in records]


def _pattern(station: str | None) -> str:
    return ">" if station is None else pattern_for(station)


def _permissions(permissions: Permissions | None) -> dict[str, list[str]]:
    given = permissions or Permissions()
    return {
        "allow_read_permissions": list(given.allow_read),
        "allow_write_permissions": list(given.allow_write),
        "deny_read_permissions": list(given.deny_read),
        "deny_write_permissions": list(given.deny_write),
    }


def _record(record_type: type[Record], result: object) -> Record:
    return model.from_json(record_type, orjson.dumps(result))
