"""What monitoring tells of JetStream: rows of ``/jsz`` and findings of ``/healthz`` (3.2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from memphis_desktop.broker.jetstream.times import format_time
from memphis_desktop.broker.jetstream.typed_json import to_json

if TYPE_CHECKING:
    from memphis_desktop.broker.jetstream.account import AccountStreams
    from memphis_desktop.broker.jetstream.stream import Stream


def account_detail(
    owner: AccountStreams, *, streams: bool, consumers: bool, config: bool, direct: bool = False
) -> dict[str, Any]:
    """Return an account's row of ``account_details``; `direct` are consumers of mirrors and sources."""
    figures = owner.figures()
    row: dict[str, Any] = {"name": owner.account.name, "id": owner.account.name}
    for key in ("memory", "storage", "reserved_memory", "reserved_storage"):
        row[key] = figures[key]
    row |= {"accounts": 0, "ha_assets": 0, "api": figures["api"]}
    if streams and owner.streams:
        row["stream_detail"] = [
            stream_detail(stream, consumers=consumers, config=config, direct=direct)
            for stream in owner.sorted_streams()
        ]
    return row


def stream_detail(stream: Stream, *, consumers: bool, config: bool, direct: bool = False) -> dict[str, Any]:
    """Return a stream's row of ``stream_detail``."""
    leader = {"leader": stream.node.server_name}
    row: dict[str, Any] = {
        "name": stream.name,
        "created": format_time(stream.created_ns),
        "cluster": leader,
    }
    if config:
        row["config"] = to_json(stream.config)
    info = stream.info(dynamic=False)
    row["state"] = info["state"]
    for kind, wanted in (("consumer_detail", consumers), ("direct_consumer_detail", direct)):
        shown = _consumers(stream, config=config, direct=kind != "consumer_detail") if wanted else []
        if shown:
            row[kind] = shown
    return row | {key: info[key] for key in ("mirror", "sources") if key in info}


def _consumers(stream: Stream, *, config: bool, direct: bool) -> list[dict[str, Any]]:
    shown = []
    for consumer in sorted(stream.consumers.values(), key=lambda consumer: consumer.name):
        if consumer.config.direct == direct:
            info = consumer.info()
            if not config:
                info.pop("config", None)
            shown.append(info)
    return shown


def health(accounts: Iterable[AccountStreams], account: str, stream: str, consumer: str) -> str:
    """Return what is wrong, in the words of ``/healthz``; "" when nothing is."""
    known = {owner.account.name: owner for owner in accounts}
    if account:
        owner = known.get(account)
        if owner is None:
            return f'JetStream account "{account}" not found'
        if stream:
            found = owner.streams.get(stream)
            if found is None:
                return f'JetStream stream "{stream}" not found on account "{account}"'
            if consumer and consumer not in found.consumers:
                return (
                    f'JetStream consumer "{consumer}" not found for stream "{stream}" on account "{account}"'
                )
    for owner in known.values():
        if account and owner.account.name != account:
            continue
        for name in owner.unrecovered:
            if stream in ("", name):
                return f"JetStream stream '{owner.account.name} > {name}' could not be recovered"
        for found in owner.streams.values():
            failure = found.messages.failure
            if failure is not None and stream in ("", found.name):
                return f"JetStream stream '{owner.account.name} > {found.name}' write error: {failure}"
    return ""
