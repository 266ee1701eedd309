"""How clients look and read: words, pictures, columns of their tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from memphis_desktop.cluster.clients.model import (
    ClientEvent,
    ClientKind,
    ClientRecord,
    EventKind,
    reason_severity,
)
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.data_table import Column, IconText

MAX_PENDING = 64 * 1024 * 1024  # what servers let wait for a client unless they are told otherwise
WAITS_LONG = 1024 * 1024  # bytes that wait, from which on it is worth a colour

KIND_ICON = {
    ClientKind.NATS: "desktop",
    ClientKind.WEBSOCKET: "globe",
    ClientKind.MQTT: "broadcast",
    ClientKind.LEAF: "leaf",
}
EVENT_ICON = {
    EventKind.CONNECTED: ("sign-in", "good"),
    EventKind.DISCONNECTED: ("sign-out", "muted"),
    EventKind.REFUSED: ("prohibit", "bad"),
}
# Columns whose order a server knows, too: by the key of the column.
SERVER_SORTS = {
    "cid": "cid",
    "subscriptions": "subs",
    "pending": "pending",
    "in": "msgs_from",
    "out": "msgs_to",
    "bytes_in": "bytes_from",
    "bytes_out": "bytes_to",
    "sent": "msgs_from",
    "received": "msgs_to",
    "idle": "idle",
    "uptime": "uptime",
    "rtt": "rtt",
}


def kind_word(kind: ClientKind) -> str:
    """How a client came in, in a word."""
    return {
        ClientKind.NATS: tr("NATS"),
        ClientKind.WEBSOCKET: tr("WebSocket"),
        ClientKind.MQTT: tr("MQTT"),
        ClientKind.LEAF: tr("leaf node"),
    }[kind]


def event_word(kind: EventKind) -> str:
    """What happened, in a word."""
    return {
        EventKind.CONNECTED: tr("Connected"),
        EventKind.DISCONNECTED: tr("Disconnected"),
        EventKind.REFUSED: tr("Refused"),
    }[kind]


def library(record: ClientRecord) -> str:
    """The client's library and its version."""
    return f"{record.language} {record.version}".strip()


def tls_text(record: ClientRecord) -> str:
    """How it is encrypted."""
    return tr("TLS {version}", version=record.tls_version) if record.tls_version else ""


def reason_token(reason: str) -> str | None:
    """The colour of a reason to close: what the client did not wish is worth one."""
    return (None, "warning", "bad")[reason_severity(reason)]


def _rate(position: int) -> Callable[[ClientRecord], float | None]:
    return lambda record: record.rates[position]


def _pending(record: ClientRecord) -> Any:
    return record.pending_bytes / MAX_PENDING, figures.bytes_size(record.pending_bytes)


def _pending_token(record: ClientRecord) -> str | None:
    return "warning" if record.pending_bytes >= WAITS_LONG else None


def open_columns(is_own: Callable[[ClientRecord], bool]) -> list[Column]:
    """Of those that are connected; `is_own` tells the console's own connections."""

    def name(record: ClientRecord) -> IconText:
        own = is_own(record)
        text = tr("{name} (this console)", name=record.title) if own else record.title
        return IconText(KIND_ICON[record.kind], "accent" if own else "muted", text)

    wide: dict[str, Any] = {"text": figures.bytes_rate}
    return [
        Column("name", tr("Client"), name, "icon", 176, sort_value=lambda r: r.title.lower(), stretch=True),
        Column("user", tr("User"), lambda r: r.user, "text", 76),
        Column("account", tr("Account"), lambda r: r.account, "text", 68),
        Column("in", tr("In"), _rate(0), "rate", 70, tr("Messages from the client")),
        Column("out", tr("Out"), _rate(1), "rate", 70, tr("Messages to the client")),
        Column("bytes_in", tr("Bytes in"), _rate(2), "bytes", 84, tr("Payload from the client"), **wide),
        Column("bytes_out", tr("Bytes out"), _rate(3), "bytes", 84, tr("Payload to the client"), **wide),
        Column(
            "pending",
            tr("Pending"),
            _pending,
            "bar",
            110,
            tr("Bytes that wait in the server, of the 64 MiB after which it lets a client go"),
            sort_value=lambda r: r.pending_bytes,
            token=_pending_token,
        ),
        Column("subscriptions", tr("Subs"), lambda r: r.subscriptions, "number", 56, tr("Subscriptions")),
        Column("uptime", tr("Up"), lambda r: r.uptime_seconds, "duration", 84, tr("Since it connected")),
        Column("idle", tr("Idle"), lambda r: r.idle_seconds, "duration", 78, tr("Since anything was sent")),
        Column("rtt", tr("RTT"), lambda r: r.rtt_seconds, "duration", 66, tr("As the server measured it")),
        Column("library", tr("Library"), library, "text", 104, tr("Its language and the library's version")),
        Column("address", tr("Address"), lambda r: r.address, "mono", 136),
        Column("tls", tr("TLS"), tls_text, "text", 66),
        Column("server", tr("Server"), lambda r: r.server, "mono", 84),
        Column("cid", tr("Number"), lambda r: r.key.cid, "number", 66, tr("Its number on the server (cid)")),
        Column("kind", tr("Kind"), lambda r: kind_word(r.kind), "text", 80, visible=False),
        Column("cipher", tr("Cipher"), lambda r: r.tls_cipher, "text", 200, visible=False),
        Column(
            "stalls",
            tr("Stalls"),
            lambda r: r.stalls,
            "number",
            62,
            tr("How often those who publish to it had to wait"),
            False,
        ),
        Column("sent", tr("Messages in"), lambda r: r.in_messages, "number", 96, "", False),
        Column("received", tr("Messages out"), lambda r: r.out_messages, "number", 96, "", False),
        Column("tags", tr("Tags"), lambda r: ", ".join(r.tags), "text", 120, visible=False),
        Column("mqtt", tr("MQTT client"), lambda r: r.mqtt_client, "mono", 120, visible=False),
        Column("started", tr("Connected at"), lambda r: r.started_ns, "time", 110, visible=False),
    ]


def closed_columns() -> list[Column]:
    """Of those that were connected."""
    return [
        Column("stopped", tr("Closed"), lambda r: r.stopped_ns, "time", 92),
        Column(
            "name",
            tr("Client"),
            lambda r: IconText(KIND_ICON[r.kind], "muted", r.title),
            "icon",
            150,
            sort_value=lambda r: r.title.lower(),
            stretch=True,
        ),
        Column(
            "reason",
            tr("Reason"),
            lambda r: r.reason,
            "text",
            200,
            tr("In the server's own words"),
            token=lambda r: reason_token(r.reason),
        ),
        Column("user", tr("User"), lambda r: r.user, "text", 84),
        Column("account", tr("Account"), lambda r: r.account, "text", 78),
        Column("address", tr("Address"), lambda r: r.address, "mono", 136),
        Column("library", tr("Library"), library, "text", 104),
        Column("lasted", tr("Lasted"), lambda r: r.uptime_seconds, "duration", 84),
        Column("sent", tr("Messages in"), lambda r: r.in_messages, "number", 92, tr("From the client")),
        Column("received", tr("Messages out"), lambda r: r.out_messages, "number", 96, tr("To the client")),
        Column("bytes_in", tr("Bytes in"), lambda r: r.in_bytes, "bytes", 84, visible=False),
        Column("bytes_out", tr("Bytes out"), lambda r: r.out_bytes, "bytes", 84, visible=False),
        Column("server", tr("Server"), lambda r: r.server, "mono", 84),
        Column("cid", tr("Number"), lambda r: r.key.cid, "number", 66, tr("Its number on the server (cid)")),
    ]


def event_columns() -> list[Column]:
    """Of what happened."""

    def what(event: ClientEvent) -> IconText:
        return IconText(*EVENT_ICON[event.kind], event_word(event.kind))

    return [
        Column("time", tr("When"), lambda e: e.time_ns, "time", 92),
        Column("what", tr("What happened"), what, "icon", 124, sort_value=lambda e: e.kind.value),
        Column("name", tr("Client"), lambda e: e.record.title, "text", 150, stretch=True),
        Column(
            "reason",
            tr("Reason"),
            lambda e: e.record.reason,
            "text",
            200,
            tr("In the server's own words"),
            token=lambda e: reason_token(e.record.reason),
        ),
        Column("user", tr("User"), lambda e: e.record.user, "text", 90),
        Column("account", tr("Account"), lambda e: e.record.account, "text", 84),
        Column("address", tr("Address"), lambda e: e.record.address, "mono", 136),
        Column("library", tr("Library"), lambda e: library(e.record), "text", 104),
        Column("server", tr("Server"), lambda e: e.record.server, "mono", 84),
        Column("cid", tr("Number"), lambda e: e.record.key.cid, "number", 66),
    ]
