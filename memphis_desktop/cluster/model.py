"""What the console knows of a broker at one moment: immutable records that screens compare and show.

Times are nanoseconds since 1970 unless a name says otherwise; rates are per second over the last interval;
None means "not known", never zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from .raft.model import NOTHING, PeerSnapshot, RaftSnapshot


class ConnectionState(Enum):
    """Where a session stands."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    FAILED = "failed"
    CLOSED = "closed"


# Streams that carry something else than a user's messages: buckets, MQTT's, the Memphis layer's.
MACHINERY_PREFIXES = ("KV_", "OBJ_", "$MEMPHIS", "$memphis", "MQTT_")


def is_machinery(stream: str) -> bool:
    """Return whether a stream is the inside of something, such as a bucket.

    What reads such a stream comes and goes by itself; how far it is behind is nobody's concern.
    """
    return stream.startswith(MACHINERY_PREFIXES)


@dataclass(frozen=True, slots=True)
class StreamSnapshot:
    """One stream (a station, or one partition of it)."""

    name: str
    config: Mapping[str, Any]
    created: str
    messages: int
    bytes: int
    first_sequence: int
    last_sequence: int
    first_time_ns: int | None
    last_time_ns: int | None
    subject_count: int
    deleted_count: int
    consumer_count: int
    in_messages_rate: float | None
    in_bytes_rate: float | None
    out_messages_rate: float | None
    leader: str | None = None
    peers: tuple[PeerSnapshot, ...] = ()
    read_at_ns: int = 0
    clustered: bool = False  # only then does a missing leader mean anything
    mirror: Mapping[str, Any] | None = None  # source info as the broker gives it
    sources: tuple[Mapping[str, Any], ...] = ()
    raft_group: str = ""
    leader_since_ns: int | None = None
    moving: bool = False  # on its way to other servers
    destination: tuple[str, ...] = ()  # the members it will have then, where the server tells
    progress: str = ""  # what that waits for, in the server's words
    leader_lost: bool = False  # its server went away since it was read

    @property
    def is_read(self) -> bool:
        """Whether more than the name is known; long lists come as names first."""
        return self.read_at_ns > 0


@dataclass(frozen=True, slots=True)
class ConsumerSnapshot:
    """One consumer (a consumer group when durable and pull)."""

    stream: str
    name: str
    config: Mapping[str, Any]
    created: str
    delivered_consumer: int
    delivered_stream: int
    ack_floor_consumer: int
    ack_floor_stream: int
    last_delivered_ns: int | None
    last_acked_ns: int | None
    num_pending: int
    num_ack_pending: int
    num_redelivered: int
    num_waiting: int
    push_bound: bool
    paused: bool
    delivered_rate: float | None
    acked_rate: float | None
    lag_seconds: float | None
    drain_seconds: float | None  # time to drain at the present rates; None when unknown, inf when growing
    leader: str | None = None
    peers: tuple[PeerSnapshot, ...] = ()
    read_at_ns: int = 0
    clustered: bool = False
    pause_remaining_ns: int | None = None
    lag_at_edge: bool = False  # what comes next was removed by the stream's limits already
    pinned: Mapping[str, str] = field(default_factory=dict)  # priority group -> id of the pinned client
    raft_group: str = ""
    leader_since_ns: int | None = None
    moving: bool = False
    destination: tuple[str, ...] = ()
    progress: str = ""
    leader_lost: bool = False

    @property
    def lag(self) -> int:
        """Messages that match and were not delivered yet."""
        return self.num_pending

    @property
    def is_pull(self) -> bool:
        """Whether clients ask for messages, rather than getting them pushed."""
        return not self.config.get("deliver_subject")

    @property
    def is_durable(self) -> bool:
        """Whether it outlives its clients for good."""
        return bool(self.config.get("durable_name"))


@dataclass(frozen=True, slots=True)
class AccountSnapshot:
    """JetStream as the connected account sees it."""

    enabled: bool
    memory: int
    storage: int
    streams: int
    consumers: int
    max_memory: int
    max_storage: int
    api_total: int
    api_errors: int
    api_errors_rate: float | None
    api_level: int
    max_streams: int = -1
    max_consumers: int = -1
    domain: str | None = None


@dataclass(frozen=True, slots=True)
class ServerSnapshot:
    """The server this session is connected to.

    Connections, rates and slow consumers are those of the connected account over all servers, unless the
    session has system credentials; then they are this server's own.
    """

    server_id: str
    name: str
    version: str
    url: str
    cluster: str | None
    rtt_seconds: float | None
    connections: int | None
    in_messages_rate: float | None
    out_messages_rate: float | None
    in_bytes_rate: float | None
    out_bytes_rate: float | None
    slow_consumers: int | None
    memory: int | None
    cpu_percent: float | None


@dataclass(frozen=True, slots=True)
class Expiry:
    """Something of the connection that ends by itself.

    Attributes:
        what: In words: a certificate, the login's JWT.
        at_ns: When.
    """

    what: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class FailedPage:
    """A page of the list of streams that could not be read. What the other pages brought stays.

    Attributes:
        listing: The request, as in ``STREAM.LIST``.
        offset: Of its first stream in the list, which is by name.
        size: Streams on it, at most.
        total: Streams in the list, as far as known.
        reason: In words.
        at_ns: When it was asked for last.
    """

    listing: str
    offset: int
    size: int
    total: int
    reason: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class FirstReading:
    """How far the first reading of all groups is, while they are many.

    Attributes:
        streams_left: Streams whose groups were not read yet.
        seconds_left: What that takes, about; None while it cannot be told.
    """

    streams_left: int
    seconds_left: float | None


@dataclass(frozen=True, slots=True)
class ClusterSnapshot:
    """Everything read in one polling round. Rounds replace each other; nothing in one ever changes."""

    taken_at_ns: int
    state: ConnectionState
    detail: str  # the reason when the state is not CONNECTED, fit to show
    server: ServerSnapshot | None = None
    account: AccountSnapshot | None = None
    streams: Mapping[str, StreamSnapshot] = field(default_factory=dict)
    consumers: Mapping[tuple[str, str], ConsumerSnapshot] = field(default_factory=dict)
    poll_rate: float = 0.0  # requests a second this console makes
    errors: Mapping[str, str] = field(default_factory=dict)  # part of the round -> why it could not be read
    refused: frozenset[str] = frozenset()  # those of the errors that are a permission the login has not
    complete: bool = False  # whether every stream was read at least once
    read_at: Mapping[str, int] = field(default_factory=dict)  # account, streams, consumers, server -> ns
    raft: RaftSnapshot = NOTHING
    expiries: tuple[Expiry, ...] = ()  # of certificates and of the login
    first_reading: FirstReading | None = None  # only while it is under way
    failed_pages: tuple[FailedPage, ...] = ()  # in their order
