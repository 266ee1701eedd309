"""JSZ and HEALTHZ: JetStream, and whether all is well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memphis_desktop.broker.reports.common import (
    DEFAULT_LIMIT,
    SECOND_NS,
    header,
)

if TYPE_CHECKING:
    from memphis_desktop.broker.node import BrokerNode


def _limits(node: BrokerNode) -> dict[str, int]:
    """Return the caps on every stream and consumer; those that are unlimited are left out."""
    given = node.options.jetstream_limits
    caps = {
        "max_request_batch": given.max_request_batch,
        "max_ack_pending": given.max_ack_pending,
        "max_ha_assets": given.max_ha_assets,
        "max_duplicate_window": int(given.duplicate_window * SECOND_NS),
    }
    return {key: value for key, value in caps.items() if value} | {"default_max_consumers": 1000}


def jetstream_varz(node: BrokerNode) -> dict[str, Any]:
    """Return the JetStream part of the general report; empty when it is off."""
    if node.jetstream is None:
        return {}
    return {"config": jetstream_config(node), "stats": node.jetstream.statistics(), "limits": _limits(node)}


def jetstream_config(node: BrokerNode) -> dict[str, Any]:
    """Return how JetStream is set up."""
    options = node.options
    config: dict[str, Any] = {
        "max_memory": node.max_memory_store,
        "max_storage": node.max_file_store,
        "store_dir": "" if options.in_memory else str(options.store_folder),
        "sync_interval": int(options.sync_interval * SECOND_NS),
    }
    if options.sync_always:
        config["sync_always"] = True
    if options.domain:
        config["domain"] = options.domain
    if options.max_memory_store > 0 and options.max_file_store > 0:
        config["compress_ok"] = True  # the reference forgets it where it finds the sizes by itself
    if options.unique_tag:
        config["unique_tag"] = options.unique_tag
    return config | {"strict": True}


@dataclass(slots=True)
class JetStreamQuery:
    """What JSZ is asked for; each deeper level includes the ones above it."""

    account: str = ""
    accounts: bool = False
    streams: bool = False
    consumers: bool = False
    config: bool = False
    raft: bool = False
    direct: bool = False  # the consumers of mirrors and sources too
    offset: int = 0
    limit: int = DEFAULT_LIMIT


def jsz(node: BrokerNode, query: JetStreamQuery) -> dict[str, Any]:
    """Return the report on JetStream."""
    if node.jetstream is None:
        return header(node) | {
            "disabled": True,
            "config": {"max_memory": 0, "max_storage": 0, "sync_interval": 0, "strict": False},
            "limits": {},
            "memory": 0,
            "storage": 0,
            "reserved_memory": 0,
            "reserved_storage": 0,
            "accounts": 0,
            "ha_assets": 0,
            "api": {"level": 0, "total": 0, "errors": 0},
            "streams": 0,
            "consumers": 0,
            "messages": 0,
            "bytes": 0,
            "total": 0,
        }
    details = node.jetstream.account_details(
        account=query.account,
        streams=query.streams or query.consumers or query.direct,
        consumers=query.consumers,
        direct=query.direct,
        config=query.config,
    )
    every = details if not query.account else node.jetstream.account_details()
    totals = node.jetstream.totals()
    report = (
        node.jetstream.statistics()
        | header(node)
        | {"config": jetstream_config(node), "limits": _limits(node)}
        | totals
    )
    if query.raft:  # of one's own everything is led
        report |= {"streams_leader": totals["streams"], "consumers_leader": totals["consumers"]}
    page = details[query.offset : query.offset + max(query.limit, 1)]
    if page and (query.accounts or query.account or query.streams or query.consumers or query.direct):
        report["account_details"] = page
    return report | {"total": len(every)}


def healthz(node: BrokerNode, account: str = "", stream: str = "", consumer: str = "") -> tuple[int, str]:
    """Return the HTTP status code and the error text, 200 and "" when the node is well."""
    if stream and not account:
        return 400, '"account" must not be empty when checking stream health'
    if consumer and not stream:
        return 400, '"stream" must not be empty when checking consumer health'
    if node.stopping:
        return 503, "server is shutting down"
    if not node.options.jetstream:
        return 200, ""
    if node.jetstream is None:
        return 503, "JetStream not enabled"
    if account and account not in node.accounts:
        return 404, f'JetStream account "{account}" not found'
    error = node.jetstream.check_health(account, stream, consumer)
    return (404 if "not found" in error else 503) if error else 200, error
