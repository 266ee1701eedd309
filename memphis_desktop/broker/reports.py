"""What monitoring tells about a node: the documents behind the HTTP endpoints and the system requests.

Field names and shapes are nats-server's, so that nats-top, exporters and consoles read them.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from memphis_desktop.broker.jetstream.times import format_time
from memphis_desktop.broker.nuid import next_id
from memphis_desktop.broker.routing import Subscriber
from memphis_desktop.protocol import subjects

if TYPE_CHECKING:
    from memphis_desktop.broker.accounts import Account
    from memphis_desktop.broker.connection import ClientConnection
    from memphis_desktop.broker.node import BrokerNode
    from memphis_desktop.broker.options import Export, Import

SECOND_NS = 1_000_000_000
DEFAULT_LIMIT = 1024


class NotFound(Exception):
    """A report was asked about something that does not exist; the text names it."""


class ResourceMeter:
    """Memory and processor use of this process."""

    def __init__(self) -> None:
        self._last = (time.monotonic(), time.process_time())
        self._percent = 0.0

    def cpu_percent(self) -> float:
        """Return the load since the last call a second or more ago; 100 is one core."""
        wall, cpu = time.monotonic(), time.process_time()
        elapsed = wall - self._last[0]
        if elapsed >= 1.0 or not self._percent:
            self._percent = round(100 * (cpu - self._last[1]) / elapsed, 1) if elapsed > 0 else 0.0
            self._last = (wall, cpu)
        return self._percent

    @staticmethod
    def memory_bytes() -> int:
        """Return the resident size of the process; its peak where the system tells no more; 0 if unknown."""
        try:
            with open("/proc/self/statm", "rb") as file:
                return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, ValueError, AttributeError):
            pass
        try:
            import resource
        except ImportError:
            return 0
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def physical_memory() -> int:
    """Return the machine's memory in bytes; a cautious guess where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 4 * 1024**3


def short_duration(nanoseconds: int) -> str:
    """Return uptime and idle as monitoring writes them, in whole seconds: ``1d2h3m4s``."""
    seconds = max(nanoseconds, 0) // SECOND_NS
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    years, days = divmod(days, 365)
    parts = [(years, "y"), (days, "d"), (hours, "h"), (minutes, "m")]
    while parts and not parts[0][0]:
        parts.pop(0)
    return "".join(f"{number}{unit}" for number, unit in parts) + f"{seconds}s"


def round_trip_text(seconds: float) -> str:
    """Return a round trip time with its unit: ``249µs``, ``1.5ms``, ``2.01s``."""
    microseconds = round(seconds * 1e6)
    if microseconds < 1000:
        return f"{microseconds}µs"
    if microseconds < 1_000_000:
        return f"{microseconds / 1000:g}ms"
    return f"{microseconds / 1_000_000:g}s"


def header(node: BrokerNode) -> dict[str, Any]:
    """Return what every report begins with."""
    return {"server_id": node.server_id, "now": format_time(node.clock.time_ns())}


_LINKS = ("clients", "routes", "gateways", "leafs")


def varz(node: BrokerNode) -> dict[str, Any]:
    """Return the general report on the server."""
    options = node.options
    now = node.clock.time_ns()
    figures = node.statistics()
    counters = node.counters
    report: dict[str, Any] = {
        "server_id": node.server_id,
        "server_name": node.server_name,
        "version": node.version,
        "proto": 1,
        "go": f"python{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}",
        "host": node.host,
        "port": node.port,
    }
    if options.auth_required:
        report["auth_required"] = True
    if options.client_advertise:
        report["connect_urls"] = [options.client_advertise]
    if options.tags:
        report["tags"] = list(options.tags)
    if options.metadata:
        report["metadata"] = dict(options.metadata)
    report |= {
        "max_connections": options.max_connections,
        "ping_interval": int(options.ping_interval * SECOND_NS),
        "ping_max": options.ping_max,
        "http_host": options.http_host or options.host,
        "http_port": node.monitoring_port,
        "http_base_path": options.http_base_path.rstrip("/"),
        "https_port": node.secure_monitoring_port,
        "auth_timeout": options.auth_timeout,
        "max_control_line": options.max_control_line,
        "max_payload": options.max_payload,
        "max_pending": options.max_pending,
        "cluster": {},
        "gateway": {},
        "leaf": {},
        "mqtt": {},
        "websocket": {},
        "jetstream": jetstream_varz(node),
        "tls_timeout": 2,
        "write_deadline": int(options.write_deadline * SECOND_NS),
        "start": format_time(node.start_ns),
        "now": format_time(now),
        "uptime": short_duration(now - node.start_ns),
        "mem": node.meter.memory_bytes(),
        "cores": os.cpu_count() or 1,
        "gomaxprocs": 1,
        "cpu": node.meter.cpu_percent(),
        "connections": figures.connections,
        "total_connections": counters.total_connections,
        "routes": 0,
        "remotes": 0,
        "leafnodes": 0,
        "in_msgs": figures.in_messages,
        "in_bytes": figures.in_bytes,
        "in_client_msgs": figures.in_messages,
        "in_client_bytes": figures.in_bytes,
        "out_msgs": figures.out_messages,
        "out_bytes": figures.out_bytes,
        "out_client_msgs": figures.out_messages,
        "out_client_bytes": figures.out_bytes,
        "slow_consumers": counters.slow_consumers,
        "stale_connections": counters.stale_connections,
        "stalled_clients": counters.stalled_clients,
        "subscriptions": figures.subscriptions,
        "http_req_stats": dict(sorted(node.http_requests.items())),
        "config_load_time": format_time(node.config_loaded_ns),
        "config_digest": node.config_digest,
        "system_account": node.system_account.name,
        "slow_consumer_stats": dict.fromkeys(_LINKS, 0) | {"clients": counters.slow_consumers},
        "stale_connection_stats": dict.fromkeys(_LINKS, 0) | {"clients": counters.stale_connections},
    }
    return report


# Caps that hold where nobody sets others; those that are unlimited are left out.
_LIMITS = {"default_max_consumers": 1000}


def jetstream_varz(node: BrokerNode) -> dict[str, Any]:
    """Return the JetStream part of the general report; empty when it is off."""
    if node.jetstream is None:
        return {}
    return {"config": jetstream_config(node), "stats": node.jetstream.statistics(), "limits": _LIMITS}


def jetstream_config(node: BrokerNode) -> dict[str, Any]:
    """Return how JetStream is set up."""
    options = node.options
    config: dict[str, Any] = {
        "max_memory": node.max_memory_store,
        "max_storage": node.max_file_store,
        "store_dir": "" if options.in_memory else str(options.store_folder),
        "sync_interval": 0 if options.sync_always else 120 * SECOND_NS,
    }
    if options.sync_always:
        config["sync_always"] = True
    if options.domain:
        config["domain"] = options.domain
    return config | {"strict": True}


# -- connections -----------------------------------------------------------------------------------------
@dataclass(slots=True)
class ConnectionsQuery:
    """What CONNZ is asked for. `state` is open, closed or all; `subscriptions` is "", "list" or "detail"."""

    sort: str = "cid"
    state: str = "open"
    auth: bool = False
    subscriptions: str = ""
    offset: int = 0
    limit: int = DEFAULT_LIMIT
    cid: int = 0
    account: str = ""
    user: str = ""
    filter_subject: str = ""


_SORT_KEYS: dict[str, tuple[Callable[[ClientConnection, int], Any], bool]] = {
    # name: (key of a connection and the present time, whether the largest comes first)
    "": (lambda one, now: one.client_id, False),
    "cid": (lambda one, now: one.client_id, False),
    "start": (lambda one, now: one.start_ns, False),
    "subs": (lambda one, now: len(one.subscriptions), True),
    "pending": (lambda one, now: one.pending_bytes, True),
    "msgs_to": (lambda one, now: one.out_messages, True),
    "msgs_from": (lambda one, now: one.parser.message_count, True),
    "bytes_to": (lambda one, now: one.out_bytes, True),
    "bytes_from": (lambda one, now: one.parser.payload_bytes, True),
    "last": (lambda one, now: one.last_activity_ns, True),
    "idle": (lambda one, now: now - one.last_activity_ns, True),
    "uptime": (lambda one, now: now - one.start_ns, True),
    "stop": (lambda one, now: one.stop_ns, True),
    "reason": (lambda one, now: one.close_reason, False),
    "rtt": (lambda one, now: one.round_trip, False),
}


def connz(node: BrokerNode, query: ConnectionsQuery) -> dict[str, Any]:
    """Return the report on connections.

    Raises:
        ValueError: an option has an impossible value.
    """
    if query.sort not in _SORT_KEYS:
        raise ValueError(f"invalid sorting option: {query.sort}")
    if query.sort in ("stop", "reason") and query.state != "closed":
        raise ValueError(f"sort by {query.sort} only valid on closed connections")
    found: list[ClientConnection] = []
    if query.state in ("open", "all"):
        found += node.connections.values()
    if query.state in ("closed", "all"):
        found += node.closed_connections
    if query.account:
        found = [one for one in found if one.account.name == query.account]
    total = len(found)  # of which the page, or what is asked for, is a part
    found = [one for one in found if _wanted(one, query)]
    now = node.clock.time_ns()
    key, descending = _SORT_KEYS[query.sort]
    found.sort(key=lambda one: key(one, now), reverse=descending)
    limit = 1 if query.cid else query.limit if query.limit > 0 else DEFAULT_LIMIT
    page = found[query.offset : query.offset + limit]
    return header(node) | {
        "num_connections": len(page),
        "total": total,
        "offset": query.offset,
        "limit": limit,
        "connections": [_connection(one, query, now) for one in page],
    }


def _wanted(one: ClientConnection, query: ConnectionsQuery) -> bool:
    if query.cid and one.client_id != query.cid:
        return False
    if query.user and one.user_name != query.user:
        return False
    if query.filter_subject and query.account:
        wanted = query.filter_subject.encode()
        return any(subjects.matches(sub.pattern, wanted) for sub in one.subscriptions.values())
    return True


def _connection(one: ClientConnection, query: ConnectionsQuery, now: int) -> dict[str, Any]:
    report: dict[str, Any] = {
        "cid": one.client_id,
        "kind": one.kind,
        "type": one.client_type,
        "ip": one.address[0],
        "port": one.address[1],
        "start": format_time(one.start_ns),
        "last_activity": format_time(one.last_activity_ns),
    }
    if one.closed:
        report["stop"] = format_time(one.stop_ns)
        report["reason"] = one.close_reason
    if one.round_trip:
        report["rtt"] = round_trip_text(one.round_trip)
    report |= {
        "uptime": short_duration((one.stop_ns if one.closed else now) - one.start_ns),
        "idle": short_duration((one.stop_ns if one.closed else now) - one.last_activity_ns),
        "pending_bytes": one.pending_bytes,
        "in_msgs": one.parser.message_count,
        "out_msgs": one.out_messages,
        "in_bytes": one.parser.payload_bytes,
        "out_bytes": one.out_bytes,
    }
    optional: dict[str, Any] = {
        "stalls": one.stalls,
        "name": one.options.name,
        "lang": one.options.lang,
        "version": one.options.version,
    }
    session = one.tls_session
    if session is not None:
        optional |= {"tls_version": session[0], "tls_cipher_suite": session[1]}
    report["subscriptions"] = len(one.subscriptions)
    if query.auth:
        optional["authorized_user"] = one.user_name
        optional["account"] = one.account.name
    report |= {key: value for key, value in optional.items() if value}
    if query.subscriptions == "list" and one.subscriptions:
        report["subscriptions_list"] = [_text(sub.pattern) for sub in one.subscriptions.values()]
    elif query.subscriptions == "detail" and one.subscriptions:
        report["subscriptions_list_detail"] = [subscription_detail(sub) for sub in one.subscriptions.values()]
    if query.auth:
        report["name_tag"] = one.account.name
    return report


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def subscription_detail(subscription: Subscriber, account: Account | None = None) -> dict[str, Any]:
    """Return one subscription as SUBSZ (with its account) and CONNZ show it; the node's own have cid 0."""
    detail: dict[str, Any] = {}
    if account is not None:
        detail |= {"account": account.name, "account_tag": account.name}
    detail["subject"] = _text(subscription.pattern)
    if subscription.queue:
        detail["qgroup"] = _text(subscription.queue)
    sid, delivered, maximum, client_id = subscription.figures()
    detail |= {"sid": _text(sid), "msgs": delivered}
    if maximum:
        detail["max"] = maximum
    return detail | {"cid": client_id}


# -- subscriptions, accounts, links ----------------------------------------------------------------------
@dataclass(slots=True)
class SubscriptionsQuery:
    """What SUBSZ is asked for."""

    listed: bool = False
    account: str = ""
    test: str = ""
    offset: int = 0
    limit: int = DEFAULT_LIMIT


def subsz(node: BrokerNode, query: SubscriptionsQuery) -> dict[str, Any]:
    """Return the report on subscriptions.

    Raises:
        ValueError: `test` is not a literal subject.
    """
    test = query.test.encode()
    if test and not subjects.is_literal(test):
        raise ValueError(f"invalid test subject, must be valid publish subject: {query.test}")
    accounts = [one for one in node.accounts.values() if query.account in ("", one.name)]
    report = header(node) | routing_figures(accounts)
    found = [
        (subscription, account)
        for account in accounts
        for subscription in account.router
        if not test or subjects.matches(subscription.pattern, test)
    ]
    shown = query.listed
    limit = query.limit if query.limit > 0 else DEFAULT_LIMIT
    report |= {"total": len(found) if shown else 0, "offset": query.offset, "limit": limit}
    page = found[query.offset : query.offset + limit]
    if shown and page:
        report["subscriptions_list"] = [subscription_detail(one, account) for one, account in page]
    return report


def routing_figures(accounts: list[Account]) -> dict[str, Any]:
    """Return how routing works in these accounts."""
    routers = [account.router for account in accounts]
    routes = [route for router in routers for route in router.cache.values()]
    fanouts = [len(route.members) + len(route.groups) for route in routes]
    return {
        "num_subscriptions": sum(router.count for router in routers),
        "num_cache": len(routes),
        "num_inserts": sum(router.inserts for router in routers),
        "num_removes": sum(router.removes for router in routers),
        "num_matches": sum(router.lookups for router in routers),
        "cache_hit_rate": 0,
        "max_fanout": max(fanouts, default=0),
        "avg_fanout": sum(fanouts) / len(fanouts) if fanouts else 0,
    }


def routez(node: BrokerNode) -> dict[str, Any]:
    """Return the report on routes: a single node has none."""
    start = header(node)
    return {
        "server_id": start["server_id"],
        "server_name": node.server_name,
        "now": start["now"],
        "num_routes": 0,
        "routes": [],
    }


def gatewayz(node: BrokerNode) -> dict[str, Any]:
    """Return the report on gateways: there are none."""
    return header(node) | {"outbound_gateways": {}, "inbound_gateways": {}}


def leafz(node: BrokerNode) -> dict[str, Any]:
    """Return the report on leaf nodes: there are none."""
    return header(node) | {"leafnodes": 0, "leafs": []}


def accountz(node: BrokerNode, name: str = "") -> dict[str, Any]:
    """Return the names of all accounts, or the details of one.

    Raises:
        NotFound: there is no such account.
    """
    report = header(node) | {"system_account": node.system_account.name}
    if not name:
        return report | {"accounts": list(node.accounts)}
    return report | {"account_detail": account_detail(node, find_account(node, name))}


def find_account(node: BrokerNode, name: str) -> Account:
    """Return an account; raises NotFound."""
    account = node.accounts.get(name)
    if account is None:
        raise NotFound(f"Account {name} does not exist")
    return account


def account_detail(node: BrokerNode, account: Account) -> dict[str, Any]:
    """Return what ACCOUNTZ and the account's INFO tell of one account."""
    options = account.options
    detail: dict[str, Any] = {
        "account_name": account.name,
        "update_time": format_time(node.config_loaded_ns),
    }
    if account is node.system_account:
        detail["is_system"] = True
    detail |= {
        "expired": False,
        "complete": True,
        "jetstream_enabled": account.jetstream_enabled,
        "leafnode_connections": 0,
        "client_connections": len(account.connections),
        "subscriptions": account.router.count,
    }
    mappings = {
        one.source: [
            {"subject": target, "weight": weight, "cluster": ""} for target, weight in one.destinations
        ]
        for one in options.mappings
    }
    crossing = {
        "mappings": mappings,
        "exports": [_export(one) for one in options.exports],
        "imports": [_import(one) for one in options.imports],
    }
    detail |= {key: value for key, value in crossing.items() if value}
    return detail | {"name_tag": account.name, "sublist_stats": routing_figures([account])}


def _export(export: Export) -> dict[str, Any]:
    shown: dict[str, Any] = {"subject": export.subject, "type": export.kind}
    if export.token_required:
        shown["token_req"] = True
    if export.kind == "service":
        shown["response_type"] = export.response_type.capitalize()
        shown["response_threshold"] = int(export.response_threshold * SECOND_NS)
    if export.account_token_position:
        shown["account_token_position"] = export.account_token_position
    if export.accounts:
        shown["approved_accounts"] = list(export.accounts)
    return shown


def _import(imported: Import) -> dict[str, Any]:
    return {
        "subject": imported.subject,
        "account": imported.account,
        "to": imported.to or imported.subject,
        "type": imported.kind,
        "invalid": False,
        "share": imported.share,
        "tracking": False,
    }


@dataclass(slots=True)
class AccountStatisticsQuery:
    """What ACCSTATZ is asked for; without `unused` only accounts with connections are shown."""

    accounts: list[str] = field(default_factory=list)
    unused: bool = False


def accstatz(node: BrokerNode, query: AccountStatisticsQuery) -> dict[str, Any]:
    """Return the traffic of accounts."""
    shown = [
        account
        for account in node.accounts.values()
        if (not query.accounts or account.name in query.accounts) and (query.unused or account.connections)
    ]
    return header(node) | {"account_statz": [account_statistics(account) for account in shown]}


def account_statistics(account: Account) -> dict[str, Any]:
    """Return the traffic of one account."""
    sent, received, slow = account.traffic()
    links = {name: {"msgs": 0, "bytes": 0} for name in ("gateways", "routes", "leafs")}
    return {
        "acc": account.name,
        "name": account.name,
        "conns": len(account.connections),
        "leafnodes": 0,
        "total_conns": account.total_connections,
        "num_subscriptions": account.router.count,
        "sent": {"msgs": sent[0], "bytes": sent[1]} | links,
        "received": {"msgs": received[0], "bytes": received[1]} | links,
        "slow_consumers": slow,
    }


def statsz(node: BrokerNode) -> dict[str, Any]:
    """Return the short report that is the server's heartbeat."""
    figures = node.statistics()
    report: dict[str, Any] = {
        "start": format_time(node.start_ns),
        "mem": node.meter.memory_bytes(),
        "cores": os.cpu_count() or 1,
        "cpu": node.meter.cpu_percent(),
        "connections": figures.connections,
        "total_connections": node.counters.total_connections,
        "active_accounts": sum(bool(account.connections) for account in node.accounts.values()),
        "subscriptions": figures.subscriptions,
        "sent": {"msgs": figures.out_messages, "bytes": figures.out_bytes},
        "sent_to_clients": {"msgs": figures.out_messages, "bytes": figures.out_bytes},
        "received": {"msgs": figures.in_messages, "bytes": figures.in_bytes},
        "received_from_clients": {"msgs": figures.in_messages, "bytes": figures.in_bytes},
        "slow_consumers": figures.slow_consumers,
        "active_servers": 1,
    }
    if node.jetstream is not None:
        report["jetstream"] = jetstream_varz(node)
        report["jetstream"]["config"].pop("store_dir", None)
    return report | {"gomaxprocs": 1}


def advisory(kind: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Return an event of the server with its type, id and time."""
    start = {
        "type": f"io.nats.server.advisory.v1.{kind}",
        "id": next_id(),
        "timestamp": format_time(time.time_ns()),
    }
    return start | fields


# -- JetStream and health --------------------------------------------------------------------------------
@dataclass(slots=True)
class JetStreamQuery:
    """What JSZ is asked for; each deeper level includes the ones above it."""

    account: str = ""
    accounts: bool = False
    streams: bool = False
    consumers: bool = False
    config: bool = False
    raft: bool = False
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
        streams=query.streams or query.consumers,
        consumers=query.consumers,
        config=query.config,
    )
    every = details if not query.account else node.jetstream.account_details()
    totals = node.jetstream.totals()
    report = (
        node.jetstream.statistics()
        | header(node)
        | {"config": jetstream_config(node), "limits": _LIMITS}
        | totals
    )
    if query.raft:  # of one's own everything is led
        report |= {"streams_leader": totals["streams"], "consumers_leader": totals["consumers"]}
    page = details[query.offset : query.offset + max(query.limit, 1)]
    if page and (query.accounts or query.account or query.streams or query.consumers):
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


# -- the process -----------------------------------------------------------------------------------------
def stacks() -> str:
    """Return where every thread is."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    parts = []
    for ident, frame in sys._current_frames().items():
        parts.append(f"thread {names.get(ident, ident)}:\n" + "".join(traceback.format_stack(frame)))
    return "\n".join(parts)


def process_variables() -> dict[str, Any]:
    """Return the command line and the memory of the process."""
    return {"cmdline": list(sys.argv), "memstats": {"Sys": ResourceMeter.memory_bytes()}}
