"""From servers' answers about connections to records. No input or output; missing keys are fine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from memphis_desktop.cluster.raft.reading import seconds_of
from memphis_desktop.cluster.times import parse_time

from .model import ClientKey, ClientKind, ClientRecord, ClientSubscription

Json = Mapping[str, Any]
GLOBAL_ACCOUNT = "$G"
SHORTEST = 0.4  # seconds between two readings that say something of a rate

_KINDS = {"websocket": ClientKind.WEBSOCKET, "mqtt": ClientKind.MQTT}


def connection(told: Json, server_id: str, server: str, now_ns: int) -> ClientRecord:
    """One entry of CONNZ. Raises `KeyError`, `TypeError` or `ValueError` for what is none."""
    leaf = str(told.get("kind") or "") == "Leafnode"
    return ClientRecord(
        key=ClientKey(server_id, int(told["cid"])),
        server=server,
        name=str(told.get("name") or ""),
        user=str(told.get("authorized_user") or ""),
        account=str(told.get("account") or _unnamed_account(told)),
        address=_address(told.get("ip"), told.get("port")),
        language=str(told.get("lang") or ""),
        version=str(told.get("version") or ""),
        kind=ClientKind.LEAF if leaf else _KINDS.get(str(told.get("type")), ClientKind.NATS),
        rtt_seconds=seconds_of(told.get("rtt")),
        started_ns=parse_time(told.get("start")),
        stopped_ns=parse_time(told.get("stop")),
        reason=str(told.get("reason") or ""),
        last_activity_ns=parse_time(told.get("last_activity")),
        pending_bytes=int(told.get("pending_bytes") or 0),
        in_messages=int(told.get("in_msgs") or 0),
        out_messages=int(told.get("out_msgs") or 0),
        in_bytes=int(told.get("in_bytes") or 0),
        out_bytes=int(told.get("out_bytes") or 0),
        subscriptions=int(told.get("subscriptions") or 0),
        stalls=int(told.get("stalls") or 0),
        tls_version=str(told.get("tls_version") or ""),
        tls_cipher=str(told.get("tls_cipher_suite") or ""),
        tags=tuple(map(str, told.get("tags") or ())),
        mqtt_client=str(told.get("mqtt_client") or ""),
        read_at_ns=now_ns,
    )


def _unnamed_account(told: Json) -> str:
    """nats-server leaves the default account out; who was not let in has none."""
    return "" if str(told.get("reason") or "").startswith("Authentication") else GLOBAL_ACCOUNT


def leaf(told: Json, server_id: str, server: str, now_ns: int) -> ClientRecord:
    """One entry of LEAFZ; servers before 2.11 tell no number. Raises as `connection` does."""
    return ClientRecord(
        key=ClientKey(server_id, int(told.get("id") or -int(told["port"]))),
        server=server,
        name=str(told.get("name") or ""),
        account=str(told.get("account") or ""),
        address=_address(told.get("ip"), told.get("port")),
        kind=ClientKind.LEAF,
        rtt_seconds=seconds_of(told.get("rtt")),
        in_messages=int(told.get("in_msgs") or 0),
        out_messages=int(told.get("out_msgs") or 0),
        in_bytes=int(told.get("in_bytes") or 0),
        out_bytes=int(told.get("out_bytes") or 0),
        subscriptions=int(told.get("subscriptions") or 0),
        read_at_ns=now_ns,
    )


def with_rates(record: ClientRecord, before: ClientRecord | None) -> ClientRecord:
    """The record with what it sent and was sent a second since it was read before."""
    if before is None or not before.read_at_ns:
        return record
    seconds = (record.read_at_ns - before.read_at_ns) / 1e9
    values: list[float | None] = []
    for name in ("in_messages", "out_messages", "in_bytes", "out_bytes"):
        growth = getattr(record, name) - getattr(before, name)
        values.append(growth / seconds if seconds > 0 and growth >= 0 else None)
    return _replace_rates(record, (values[0], values[1], values[2], values[3]))


def keep_rates(record: ClientRecord, before: ClientRecord) -> ClientRecord:
    """The record with the rates known before, for one that was read too soon after the other."""
    return _replace_rates(record, before.rates)


def _replace_rates(
    record: ClientRecord, rates: tuple[float | None, float | None, float | None, float | None]
) -> ClientRecord:
    # The record was just made and nobody has it yet: a third of what `replace` costs, for thousands.
    object.__setattr__(record, "rates", rates)
    return record


def subscriptions(told: Json) -> tuple[ClientSubscription, ...]:
    """The subscriptions of an entry that was asked for in detail."""
    return tuple(
        ClientSubscription(
            subject=str(one.get("subject") or ""),
            queue=str(one.get("qgroup") or ""),
            sid=str(one.get("sid") or ""),
            messages=int(one.get("msgs") or 0),
            maximum=int(one.get("max") or 0),
        )
        for one in told.get("subscriptions_list_detail") or ()
    )


def of_event(told: Json, now_ns: int) -> ClientRecord:
    """The client of an event of the system account. Raises as `connection` does."""
    client, server = told["client"], told["server"]
    sent, received = told.get("sent") or {}, told.get("received") or {}
    rtt = client.get("rtt")
    kind = ClientKind.LEAF if client.get("kind") == "Leafnode" else None
    return ClientRecord(
        key=ClientKey(str(server["id"]), int(client["id"])),
        server=str(server.get("name") or server["id"]),
        name=str(client.get("name") or ""),
        user=str(client.get("user") or ""),
        account=str(client.get("acc") or ""),
        address=str(client.get("host") or ""),
        language=str(client.get("lang") or ""),
        version=str(client.get("ver") or ""),
        kind=kind or _KINDS.get(str(client.get("client_type")), ClientKind.NATS),
        rtt_seconds=float(rtt) / 1e9 if rtt else None,
        started_ns=parse_time(client.get("start")),
        stopped_ns=parse_time(client.get("stop")),
        reason=str(told.get("reason") or ""),
        in_messages=int(sent.get("msgs") or 0),
        in_bytes=int(sent.get("bytes") or 0),
        out_messages=int(received.get("msgs") or 0),
        out_bytes=int(received.get("bytes") or 0),
        tags=tuple(map(str, client.get("tags") or ())),
        read_at_ns=now_ns,
    )


def entries(answer: Json, name: str = "connections") -> Iterator[Json]:
    """The entries of an answer that are objects."""
    for one in (answer.get("data") or {}).get(name) or ():
        if isinstance(one, Mapping):
            yield one


def _address(host: object, port: object) -> str:
    text = str(host or "")
    if ":" in text:
        text = f"[{text}]"
    return f"{text}:{port}" if text and port else text
