"""Connected clients as immutable records. Times are nanoseconds since 1970, rates are a second."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

BY_ITSELF = "Client Closed"  # untranslated: what servers say
_SLOW = "Slow Consumer"  # untranslated
_FAULTS = (_SLOW, "Authentication", "TLS")  # untranslated


def reason_severity(reason: str) -> int:
    """Whether a client went by itself (0), against its wish (1), or for a fault (2)."""
    if reason in ("", BY_ITSELF):
        return 0
    return 2 if reason.startswith(_FAULTS) else 1


class ClientKey(NamedTuple):
    """A connection among those of all servers."""

    server_id: str
    cid: int


class ClientKind(Enum):
    """How a client came in."""

    NATS = "nats"
    WEBSOCKET = "websocket"
    MQTT = "mqtt"
    LEAF = "leaf"


@dataclass(frozen=True, slots=True)
class ClientRecord:
    """One connection, open or closed.

    Attributes:
        key: Its server and its number there.
        server: The server's name.
        name: What the client calls itself.
        user: As whom it came in, where the server tells.
        account: In which account.
        address: Host and port that it came from.
        language: Of its library, with `version` of that.
        kind: How it came in.
        rtt_seconds: The round trip as the server measured it.
        started_ns: When it came.
        stopped_ns: When it went; None while it is there.
        reason: Why it went, in the server's words.
        last_activity_ns: When it last sent or got something.
        pending_bytes: What waits in the server to be sent to it.
        in_messages: Messages it sent, and `in_bytes` of payload; `out_…` is what it was sent.
        rates: Messages in, messages out, bytes in, bytes out a second, each None while it is not known.
        subscriptions: How many it has.
        stalls: How often others that publish had to wait for it.
        tls_version: Empty without TLS; the cipher beside it.
        tags: Of its user's JWT.
        mqtt_client: The client id of MQTT.
        read_at_ns: When the server told it, by the server's clock.
    """

    key: ClientKey
    server: str
    name: str = ""
    user: str = ""
    account: str = ""
    address: str = ""
    language: str = ""
    version: str = ""
    kind: ClientKind = ClientKind.NATS
    rtt_seconds: float | None = None
    started_ns: int | None = None
    stopped_ns: int | None = None
    reason: str = ""
    last_activity_ns: int | None = None
    pending_bytes: int = 0
    in_messages: int = 0
    out_messages: int = 0
    in_bytes: int = 0
    out_bytes: int = 0
    rates: tuple[float | None, float | None, float | None, float | None] = (None, None, None, None)
    subscriptions: int = 0
    stalls: int = 0
    tls_version: str = ""
    tls_cipher: str = ""
    tags: tuple[str, ...] = ()
    mqtt_client: str = ""
    read_at_ns: int = 0

    @property
    def title(self) -> str:
        """What to call it: its name, else its user, else where it came from."""
        return self.name or self.user or self.address or str(self.key.cid)

    @property
    def uptime_seconds(self) -> float | None:
        """How long it is, or was, there."""
        return _between(self.started_ns, self.stopped_ns or self.read_at_ns)

    @property
    def idle_seconds(self) -> float | None:
        """How long nothing went to or fro."""
        return _between(self.last_activity_ns, self.stopped_ns or self.read_at_ns)

    @property
    def is_slow(self) -> bool:
        """Whether it went because it was too slow to take what it had asked for."""
        return self.reason.startswith(_SLOW)


@dataclass(frozen=True, slots=True)
class ClientSubscription:
    """A subscription of one connection.

    Attributes:
        subject: The pattern.
        queue: The queue group; empty without one.
        sid: The client's own number for it.
        messages: How many were sent to it.
        maximum: After how many it ends; 0 for never.
    """

    subject: str
    queue: str
    sid: str
    messages: int
    maximum: int = 0


@dataclass(frozen=True, slots=True)
class ClientDetail:
    """One connection looked at closely; `record` None once it is gone."""

    key: ClientKey
    record: ClientRecord | None
    subscriptions: tuple[ClientSubscription, ...] = ()
    read_at_ns: int = 0


class EventKind(Enum):
    """What happened to a client."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class ClientEvent:
    """A client came, went, or was not let in.

    Attributes:
        number: Rises with each event.
        time_ns: When, by the server's clock.
        kind: What happened.
        record: Of whom, with the reason.
    """

    number: int
    time_ns: int
    kind: EventKind
    record: ClientRecord


def _between(start: int | None, end: int) -> float | None:
    return max(0.0, (end - start) / 1e9) if start is not None and end else None
