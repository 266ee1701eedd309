"""The records of the Memphis layer, as they lie in its buckets. They never change; a change makes a new one.

Each is JSON in a bucket (see docs/stations.md). Unknown keys are ignored and missing ones have defaults, so
that copies of different versions can work side by side.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

import orjson

from memphis_desktop.stations import names

Record = TypeVar("Record")


def now() -> datetime:
    """Return the present time."""
    return datetime.now(UTC)


class RetentionType(StrEnum):
    """What limits a station."""

    AGE = "message_age_sec"
    MESSAGES = "messages"
    BYTES = "bytes"
    ACKS = "ack_based"


class StorageType(StrEnum):
    """Where a station's messages lie."""

    FILE = "file"
    MEMORY = "memory"


class StationState(StrEnum):
    """Where a station stands between its first and its last step; clients see ready ones only."""

    CREATING = "creating"
    READY = "ready"
    REMOVING = "removing"


@dataclass(frozen=True, slots=True)
class DeadLetterConfig:
    """Which failures of a station are kept as dead letters."""

    poison: bool = True
    schema: bool = True


@dataclass(frozen=True, slots=True)
class SchemaReference:
    """The schema of a station, and the version that was active when it was attached."""

    name: str
    version: int


@dataclass(frozen=True, slots=True)
class Station:
    """A station: one stream per partition. `name` is external."""

    name: str
    id: str = ""  # made anew for each creation: a station of the same name later is another one
    retention_type: RetentionType = RetentionType.AGE
    retention_value: int = 3600  # seconds, messages or bytes (of each partition); without meaning for acks
    storage_type: StorageType = StorageType.FILE
    replicas: int = 1
    idempotency_window_ms: int = 120_000
    partitions: tuple[int, ...] = (1,)
    dead_letters: DeadLetterConfig = DeadLetterConfig()
    dls_station: str = ""  # external name of the station that gets a copy of each dead letter
    schema: SchemaReference | None = None
    tiered_storage_enabled: bool = False
    tags: tuple[str, ...] = ()
    resend_disabled: bool = False  # while all dead letters are being resent
    created_by: str = ""
    created_at: datetime = field(default_factory=now)
    updated_at: datetime = field(default_factory=now)
    state: StationState = StationState.READY
    version: int = 2

    @property
    def internal_name(self) -> str:
        """The form used in subjects and streams."""
        return names.internal_name(self.name)

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams of its partitions, in order."""
        return tuple(names.partition_stream(self.name, number) for number in self.partitions)


@dataclass(frozen=True, slots=True)
class Producer:
    """A producer of one connection. Whether it is connected, its `Connection` says."""

    name: str
    station: str
    connection_id: str
    type: str = "application"
    app_id: str = ""
    sdk: str = ""
    request_version: int = 4
    username: str = ""
    created_at: datetime = field(default_factory=now)
    count: int = 1  # how many of that name the connection has made


@dataclass(frozen=True, slots=True)
class Consumer:
    """A member of a consumer group, of one connection. Whether it is connected, its `Connection` says.

    Attributes:
        count: How many of this name there are on the connection; 0 for one that is being destroyed.
        leaving_since: When the last one was destroyed, while it is still to be found out whether the group
            ends with it: until then nobody else joins.
    """

    name: str
    station: str
    group: str
    connection_id: str
    type: str = "application"
    max_ack_time_ms: int = 30_000
    max_msg_deliveries: int = 10
    start_consume_from_sequence: int = 1
    last_messages: int = -1
    app_id: str = ""
    sdk: str = ""
    request_version: int = 4
    username: str = ""
    created_at: datetime = field(default_factory=now)
    count: int = 1
    leaving_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """Whether an SDK's connection is open, as far as its server told. Without a record it counts as open."""

    id: str
    active: bool = True
    changed_at: datetime = field(default_factory=now)
    username: str = ""
    server: str = ""
    event: int = 0  # the sequence of the event that told; of two of one moment the later one counts


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """One version of a schema."""

    number: int
    content: str
    message_struct_name: str = ""
    descriptor: str = ""  # Protobuf: FileDescriptorSet in base64
    created_by: str = ""
    created_at: datetime = field(default_factory=now)


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema with all its versions, the first one first."""

    name: str
    type: str  # protobuf, json, graphql, avro
    versions: tuple[SchemaVersion, ...] = ()
    active_version: int = 1
    tags: tuple[str, ...] = ()
    created_by: str = ""
    created_at: datetime = field(default_factory=now)

    def version(self, number: int) -> SchemaVersion | None:
        """Return a version, or None when there is none of that number."""
        return next((version for version in self.versions if version.number == number), None)

    @property
    def active(self) -> SchemaVersion | None:
        """The version that new producers are given."""
        return self.version(self.active_version)


@dataclass(frozen=True, slots=True)
class Permissions:
    """Which stations a user may read and write: exact names, or patterns with ``*``. Denials win."""

    allow_read: tuple[str, ...] = ()
    allow_write: tuple[str, ...] = ()
    deny_read: tuple[str, ...] = ()
    deny_write: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class User:
    """A user: root and management users manage, application users are what SDKs log in as."""

    name: str
    type: str = "application"  # root, management, application
    password_hash: str = ""
    permissions: Permissions | None = None  # None: everything
    full_name: str = ""
    team: str = ""
    position: str = ""
    description: str = ""
    owner: str = ""
    created_at: datetime = field(default_factory=now)


@dataclass(frozen=True, slots=True)
class ConnectionToken:
    """What SDKs show instead of a password; the user is the one they name."""

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who changed what, and when."""

    message: str
    username: str = ""
    station: str = ""  # external name; empty for what is no station's matter
    time: datetime = field(default_factory=now)


class DeadLetterKind(StrEnum):
    """Why a message became a dead letter."""

    UNACKED = "poison"  # past the limit of deliveries, or terminated by a consumer
    SCHEMA = "schema"


@dataclass(frozen=True, slots=True)
class FailedGroup:
    """A group that gave a message up."""

    name: str  # external
    deliveries: int = 0
    reason: str = ""
    failed_at: datetime = field(default_factory=now)
    resends: int = 0
    resent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class JourneyStep:
    """One thing that happened to a message."""

    what: str  # stored, failed, terminated, refused, resent, edited, acknowledged, forwarded
    time: datetime = field(default_factory=now)
    group: str = ""
    who: str = ""  # a producer or a user
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """What somebody wrote about a dead letter."""

    text: str
    tags: tuple[str, ...] = ()
    by: str = ""
    time: datetime = field(default_factory=now)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that one group or more gave up, or that its schema refused. Its payload lies beside it."""

    id: int  # below 2**53, so that every language keeps it exactly
    station: str  # external name, or the name of a stream that is no station's
    kind: DeadLetterKind
    stream: str = ""
    partition: int = -1  # -1: none
    sequence: int = 0  # 0: never stored
    subject: str = ""
    producer: str = ""
    connection_id: str = ""
    groups: tuple[FailedGroup, ...] = ()
    validation_error: str = ""
    stored_at: datetime | None = None
    created_at: datetime = field(default_factory=now)
    updated_at: datetime = field(default_factory=now)
    headers: tuple[tuple[str, str], ...] = ()
    size: int = 0  # bytes of the payload
    preview: str = ""  # its first 80 bytes, in hexadecimal
    payload_lost: bool = False  # retention had removed the message before it could be kept
    journey: tuple[JourneyStep, ...] = ()
    note: Note | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for all stations."""

    dead_letter_hours: int = 3
    disconnected_hours: int = 2  # how long producers and consumers are remembered after they went
    audit_days: int = 3


def to_json(record: Any) -> bytes:
    """Return a record as JSON."""
    return orjson.dumps(record)


def from_json(record_type: type[Record], data: bytes) -> Record:
    """Return a record from its JSON; raises `ValueError` when it is none of that type."""
    try:
        return typing.cast(Record, _converter(typing.cast(Any, record_type))(orjson.loads(data)))
    except (TypeError, AttributeError, KeyError) as error:
        raise ValueError(f"not a {record_type.__name__}: {error}") from error


Converter = Callable[[Any], Any]


@functools.cache
def _converter(kind: Any) -> Converter:
    """Return what makes a JSON value what the annotation asks for; made once for each type."""
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _record_converter(kind)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        inner = _converter(next(each for each in arguments if each is not types.NoneType))
        return lambda value: None if value is None else inner(value)
    if origin is tuple:
        return _tuple_converter(arguments)
    if kind is datetime:
        return datetime.fromisoformat
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return kind
    return _plain_converter(kind)


def _record_converter(kind: type) -> Converter:
    hints = typing.get_type_hints(kind)
    converters = {each.name: _converter(hints[each.name]) for each in dataclasses.fields(kind)}

    def build(value: Any) -> Any:
        return kind(**{key: converters[key](item) for key, item in value.items() if key in converters})

    return build


def _tuple_converter(arguments: tuple[Any, ...]) -> Converter:
    if arguments[-1] is Ellipsis:
        inner = _converter(arguments[0])
        return lambda value: tuple([inner(item) for item in value])
    parts = tuple(map(_converter, arguments))
    return lambda value: tuple([part(item) for part, item in zip(parts, value, strict=True)])


def _plain_converter(kind: type) -> Converter:
    def check(value: Any) -> Any:
        if type(value) is not kind:
            raise TypeError(f"{value!r} is not a {kind.__name__}")
        return value

    return check
