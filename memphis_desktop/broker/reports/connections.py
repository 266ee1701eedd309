"""CONNZ and SUBSZ: connections and their subscriptions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memphis_desktop.broker.contracts import Subscriber
from memphis_desktop.broker.jetstream.times import format_time
from memphis_desktop.broker.reports.common import (
    DEFAULT_LIMIT,
    header,
    round_trip_text,
    short_duration,
)
from memphis_desktop.protocol import subjects

if TYPE_CHECKING:
    from memphis_desktop.broker.accounts import Account
    from memphis_desktop.broker.connection import ClientConnection
    from memphis_desktop.broker.node import BrokerNode


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
    mqtt_client: str = ""  # finds nobody


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
    if query.mqtt_client:
        return False
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
        identity = one.identity
        optional["authorized_user"] = one.user_name
        optional["account"] = one.account.name
        optional["jwt"] = identity.token
        # Users with an nkey of the configuration are the account's, as if it had issued them.
        optional["issuer_key"] = identity.issuer or (one.account.name if one.options.nkey else "")
        optional["tags"] = list(identity.tags)
        optional["proxy"] = {"key": identity.proxy} if identity.proxy else None
    report |= {key: value for key, value in optional.items() if value}
    if query.subscriptions == "list" and one.subscriptions:
        report["subscriptions_list"] = [_text(sub.pattern) for sub in one.subscriptions.values()]
    elif query.subscriptions == "detail" and one.subscriptions:
        report["subscriptions_list_detail"] = [subscription_detail(sub) for sub in one.subscriptions.values()]
    if query.auth:
        report["name_tag"] = one.account.options.name_tag or one.account.name
    return report


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def subscription_detail(subscription: Subscriber, account: Account | None = None) -> dict[str, Any]:
    """Return one subscription as SUBSZ (with its account) and CONNZ show it; the node's own have cid 0."""
    detail: dict[str, Any] = {}
    if account is not None:
        detail |= {"account": account.name, "account_tag": account.options.name_tag or account.name}
    detail["subject"] = _text(subscription.pattern)
    if subscription.queue:
        detail["qgroup"] = _text(subscription.queue)
    sid, delivered, maximum, client_id = subscription.figures()
    detail |= {"sid": _text(sid), "msgs": delivered}
    if maximum:
        detail["max"] = maximum
    return detail | {"cid": client_id}


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
