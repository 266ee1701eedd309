"""The metadata of the Memphis layer: which bucket holds which record under which key, with typed access.

Everything is in key-value buckets with the cluster's replication, so any number of copies of the service,
and the window, see the same. Message traffic never needs any of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from nats.aio.client import Client
from nats.nuid import NUID

from memphis_desktop.stations import model
from memphis_desktop.stations.buckets import Bucket, Entry
from memphis_desktop.stations.errors import Conflict
from memphis_desktop.stations.jetstream import JetStream
from memphis_desktop.stations.model import (
    AuditEntry,
    Connection,
    ConnectionToken,
    Consumer,
    DeadLetter,
    Producer,
    Schema,
    Settings,
    Station,
    User,
)
from memphis_desktop.stations.names import key_token
from memphis_desktop.stations.view import BucketView

log = logging.getLogger(__name__)

Record = TypeVar("Record")

_HOUR, _DAY = 3600, 86_400
_AUDIT_LINES = 100_000  # the oldest go
_ATTEMPTS = 20  # of a change under contention

_nuid = NUID()


def new_id() -> str:
    """Return an id nobody else has made."""
    return _nuid.next().decode()


@dataclass(frozen=True, slots=True)
class Versioned(Generic[Record]):
    """A record, and the revision that a change of it has to name."""

    record: Record
    revision: int


class Table(Generic[Record]):
    """The records of one type in one bucket."""

    def __init__(
        self, jetstream: JetStream, bucket: str, record_type: type[Record], key_of: Callable[[Record], str]
    ) -> None:
        self.bucket = Bucket(jetstream, bucket)
        self.record_type = record_type
        self.key_of = key_of

    async def get(self, *key: str) -> Versioned[Record] | None:
        """Return the record under a key, given as the names that make it up."""
        entry = await self.bucket.get(key_for(*key))
        return None if entry is None else self._versioned(entry)

    async def find(self, *key: str) -> Record | None:
        """Return the record under a key without its revision."""
        found = await self.get(*key)
        return None if found is None else found.record

    async def has(self, *key: str) -> bool:
        """Return whether there is a record under a key; asked where there mostly is none."""
        return await self.bucket.has(key_for(*key))

    async def add(self, record: Record) -> int:
        """Add a record; returns its revision. Raises `Conflict` when its key is taken."""
        return await self.bucket.add(self.key_of(record), model.to_json(record))

    async def put(self, record: Record) -> int:
        """Set a record, whatever was there; returns its revision."""
        return await self.bucket.put(self.key_of(record), model.to_json(record))

    async def replace(self, record: Record, revision: int) -> int:
        """Set a record that is still at `revision`; returns the new one. Raises `Conflict`."""
        return await self.bucket.replace(self.key_of(record), model.to_json(record), revision)

    async def delete(self, record: Record, revision: int | None = None) -> None:
        """Delete a record, if given only one that is still at `revision`. Raises `Conflict`."""
        await self.bucket.delete(self.key_of(record), revision)

    async def change(
        self,
        key: tuple[str, ...],
        decide: Callable[[Record | None], Record | None],
        *,
        likely_new: bool = False,
    ) -> Record | None:
        """Change a record by compare-and-set, trying again while others change it too.

        Args:
            key: The names that make up the key.
            decide: Given the present record (None: there is none), returns what shall be: the same one for no
                change, None for none. May be called several times; may raise to give up.
            likely_new: Whether to add before looking what is there, which a server counts as an error when
                there is nothing.

        Returns:
            What `decide` returned last, which is now there.

        Raises:
            Conflict: Others changed it each time.
        """
        if likely_new and (first := decide(None)) is not None:
            with contextlib.suppress(Conflict):
                await self.replace(first, 0)
                return first
        for _ in range(_ATTEMPTS):
            found = await self.get(*key)
            before = None if found is None else found.record
            after = decide(before)
            if after is before:
                return after
            try:
                if found is None:
                    assert after is not None
                    await self.add(after)
                elif after is None:
                    await self.delete(found.record, found.revision)
                else:
                    await self.replace(after, found.revision)
            except Conflict:
                continue
            return after
        raise Conflict(f"{self.bucket.name}/{key_for(*key)}")

    async def select(self, pattern: str = ">") -> list[Record]:
        """Return few records, each read from the leader; `pattern` is a subject pattern over keys."""
        return self.decode({entry.key: entry for entry in await self.bucket.entries(pattern)})

    async def all(self, pattern: str = ">") -> list[Record]:
        """Return all records that match, read at once; what was written just now may be missing."""
        view = TableView(self, pattern)
        await view.read()
        return view.records

    def view(self, pattern: str = ">") -> TableView[Record]:
        """Return a view that follows the records; start it."""
        return TableView(self, pattern)

    def decode(self, entries: Mapping[str, Entry]) -> list[Record]:
        """Return the records of entries; what is not one is left out, and told in the log."""
        records = []
        for entry in entries.values():
            try:
                records.append(model.from_json(self.record_type, entry.value))
            except ValueError as error:
                log.warning("%s/%s: %s", self.bucket.name, entry.key, error)
        return records

    def _versioned(self, entry: Entry) -> Versioned[Record]:
        return Versioned(model.from_json(self.record_type, entry.value), entry.revision)


class TableView(BucketView, Generic[Record]):
    """Follows the records of a table. Each is decoded when it arrives, so that a long list takes no time."""

    def __init__(self, table: Table[Record], pattern: str = ">") -> None:
        super().__init__(table.bucket, pattern)
        self._table = table
        self._decoded: dict[str, tuple[int, Record | None]] = {}

    @property
    def records(self) -> list[Record]:
        """The records."""
        known = map(self._decoded.__getitem__, self.entries)
        return [record for _, record in known if record is not None]

    def _arrived(self, entry: Entry) -> None:
        known = self._decoded.get(entry.key)
        if known is None or known[0] != entry.revision:
            record = next(iter(self._table.decode({entry.key: entry})), None)
            self._decoded[entry.key] = entry.revision, record

    def _forgotten(self, key: str) -> None:
        if key not in self.entries:
            self._decoded.pop(key, None)

    def _finish(self) -> None:
        super()._finish()
        if len(self._decoded) > len(self.entries):  # some vanished while the content was read anew
            self._decoded = {key: known for key, known in self._decoded.items() if key in self.entries}


def key_for(*names: str) -> str:
    """Return the key made of names, one token each."""
    return ".".join(key_token(name) for name in names)


def pattern_for(*names: str) -> str:
    """Return the pattern of all keys that begin with these names and have one more."""
    return ".".join([*(key_token(name) for name in names), ">"])


class Metadata:
    """All tables. Reading works without any service; `create` makes what is missing."""

    TOKEN_KEY = "connection_token"

    def __init__(self, client: Client, api_prefix: str = "$JS.API") -> None:
        self.jetstream = js = JetStream(client, api_prefix)
        self.stations = Table(js, "memphis_stations", Station, lambda r: key_for(r.name))
        self.producers = Table(
            js, "memphis_producers", Producer, lambda r: key_for(r.station, r.name, r.connection_id)
        )
        self.consumers = Table(
            js, "memphis_consumers", Consumer, lambda r: key_for(r.station, r.group, r.name, r.connection_id)
        )
        self.connections = Table(js, "memphis_connections", Connection, lambda r: key_for(r.id))
        self.schemas = Table(js, "memphis_schemas", Schema, lambda r: key_for(r.name))
        self.users = Table(js, "memphis_users", User, lambda r: key_for(r.name))
        self.settings = Table(js, "memphis_settings", Settings, lambda r: "settings")
        self.connection_token = Table(js, "memphis_settings", ConnectionToken, lambda r: self.TOKEN_KEY)
        self.audit = Table(js, "memphis_audit", AuditEntry, _audit_key)
        self.dead_letters = Table(
            js, "memphis_dead_letters", DeadLetter, lambda r: key_for(r.station, str(r.id))
        )
        self.payloads = Bucket(js, "memphis_dead_letter_payloads")  # raw bytes, under the letter's key

    async def create(self, replicas: int) -> None:
        """Make the buckets that are missing.

        Args:
            replicas: On how many servers each is kept.

        Raises:
            StorageError: JetStream is off, or has no room.
        """
        await self.settings.bucket.create(replicas=replicas, description="Memphis: settings")
        settings = await self.read_settings()
        kept = (
            (self.stations.bucket, "stations"),
            (self.producers.bucket, "producers"),
            (self.consumers.bucket, "members of consumer groups"),
            (self.connections.bucket, "connections of SDKs"),
            (self.schemas.bucket, "schemas"),
            (self.users.bucket, "users"),
        )
        await asyncio.gather(
            *(bucket.create(replicas=replicas, description=f"Memphis: {what}") for bucket, what in kept),
            self.apply_limits(settings, replicas),
        )

    async def apply_limits(self, settings: Settings, replicas: int) -> None:
        """Make the buckets whose entries age, or give them their present age limit.

        The service removes old dead letters itself, a little earlier, so that those who watch see it.
        """
        letters = settings.dead_letter_hours * _HOUR + 900
        aging = (
            (self.audit.bucket, "audit log", settings.audit_days * _DAY, _AUDIT_LINES),
            (self.dead_letters.bucket, "dead letters", letters, 0),
            (self.payloads, "payloads of dead letters", letters, 0),
        )
        await asyncio.gather(
            *(
                bucket.create(replicas=replicas, max_age=age, most=most, description=f"Memphis: {what}")
                for bucket, what, age, most in aging
            )
        )

    async def replicas(self) -> int | None:
        """Return on how many servers the buckets are kept; None when there are none yet."""
        info = await self.jetstream.stream_info(self.settings.bucket.stream)
        return None if info is None else int(info["config"].get("num_replicas", 1))

    async def read_settings(self) -> Settings:
        """Return the settings, by default Memphis's own."""
        return await self.settings.find("settings") or Settings()

    async def station(self, name: str) -> Station | None:
        """Return a station that is ready; None for an unknown one, or one being made or removed."""
        station = await self.stations.find(name)
        return station if station is not None and station.state is model.StationState.READY else None

    async def add_audit(self, message: str, *, username: str = "", station: str = "") -> None:
        """Write a line of the audit log."""
        await self.audit.put(AuditEntry(message, username, station))


def _audit_key(entry: AuditEntry) -> str:
    return f"{key_token(entry.station)}.{int(entry.time.timestamp() * 1e6)}-{new_id()}"


def replace(record: Record, **changes: object) -> Record:
    """Return a record with some fields changed."""
    return dataclasses.replace(record, **changes)  # type: ignore[type-var]
