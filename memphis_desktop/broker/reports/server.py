"""VARZ and STATSZ: the server as a whole. Links to other servers, of which there are none."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from memphis_desktop.broker.compatibility import FEATURE_FLAGS
from memphis_desktop.broker.jetstream.times import format_time
from memphis_desktop.broker.reports.common import (
    SECOND_NS,
    header,
    short_duration,
)
from memphis_desktop.broker.reports.jetstream import jetstream_varz

if TYPE_CHECKING:
    from memphis_desktop.broker.node import BrokerNode
    from memphis_desktop.broker.options import WebSocketOptions


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
        "host": node.public_host,
        "port": node.public_port,
    }
    if options.auth_required:
        report["auth_required"] = True
    if options.tls is not None:
        report |= {"tls_required": not options.allow_non_tls, "tls_verify": options.tls.verify}
    if options.max_subscriptions:
        report["max_subscriptions"] = options.max_subscriptions
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
        "websocket": _websocket(node, options.websocket),
        "jetstream": jetstream_varz(node),
        "tls_timeout": options.tls.timeout if options.tls is not None else 2,
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
        "feature_flags": FEATURE_FLAGS,
        "system_account": node.system_account.name,
        "slow_consumer_stats": dict.fromkeys(_LINKS, 0) | {"clients": counters.slow_consumers},
        "stale_connection_stats": dict.fromkeys(_LINKS, 0) | {"clients": counters.stale_connections},
    }
    return report


def _websocket(node: BrokerNode, web: WebSocketOptions | None) -> dict[str, Any]:
    if web is None:
        return {}
    shown: dict[str, Any] = {
        "host": web.host or node.host,
        "port": node.websocket_port,
        "advertise": web.advertise,
        "no_auth_user": web.no_auth_user,
        "jwt_cookie": web.jwt_cookie,
        "handshake_timeout": int(web.handshake_timeout * SECOND_NS),
        "auth_timeout": web.auth_timeout,
        "no_tls": web.tls is None,
        "same_origin": web.same_origin,
        "allowed_origins": list(web.allowed_origins),
        "compression": web.compression,
    }
    if web.tls is not None and web.tls.pinned_certificates:
        shown["tls_pinned_certs"] = sorted(web.tls.pinned_certificates)
    return {key: value for key, value in shown.items() if value}


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
