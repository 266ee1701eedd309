"""How a node introduces itself: INFO to clients, the ``server`` object of events and reports."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from memphis_desktop.broker.compatibility import API_LEVEL, FEATURE_FLAGS
from memphis_desktop.broker.jetstream.times import format_time

if TYPE_CHECKING:
    from memphis_desktop.broker.connection import ClientConnection
    from memphis_desktop.broker.node import BrokerNode


def info_of(node: BrokerNode, connection: ClientConnection, *, after_connect: bool) -> dict[str, Any]:
    """Return the fields of an INFO line for one connection."""
    fields: dict[str, Any] = {
        "server_id": node.server_id,
        "server_name": node.server_name,
        "version": node.version,
        "proto": 1,
        "go": f"python{sys.version_info.major}.{sys.version_info.minor}",
        **_address(node, connection),
        "headers": not node.options.without_headers,
        "max_payload": connection.parser.max_payload,
        "jetstream": node.jetstream is not None,
        "domain": node.options.domain,
        "client_id": connection.client_id,
        # Before the header of the PROXY protocol the address is not the client's.
        "client_ip": "" if node.options.proxy_protocol and not after_connect else connection.address[0],
        "auth_required": _asks_for_login(node, connection, after_connect),
        "nonce": connection.nonce.decode(),
        **_tls_fields(node, connection),
        "xkey": node.keys.curve_name,
        "api_lvl": API_LEVEL if node.jetstream is not None else None,
    }
    if after_connect:
        fields["connect_info"] = True
        fields["remote_account"] = connection.account.name
        fields["acc_is_sys"] = connection.account is node.system_account
    return fields | connection.info_fields()


def _address(node: BrokerNode, connection: ClientConnection) -> dict[str, Any]:
    """Return where clients are told to connect: those of WebSocket where they did."""
    web = node.options.websocket
    if connection.client_type == "websocket" and web is not None:
        return {"host": web.host or node.host, "port": node.websocket_port}
    return {"host": node.public_host, "port": node.public_port}


def _asks_for_login(node: BrokerNode, connection: ClientConnection, after_connect: bool) -> bool:
    web = node.options.websocket if connection.client_type == "websocket" else None
    nameless = node.authenticator.nameless_user(connection.login_kind)
    shown = nameless and nameless != node.options.made_up_user
    return node.options.requires_login(web) and (after_connect or not shown)


def _tls_fields(node: BrokerNode, connection: ClientConnection) -> dict[str, Any]:
    web = node.options.websocket
    if connection.client_type == "websocket" and web is not None:
        return {"tls_required": web.tls is not None}
    tls = node.options.tls
    if tls is None or not connection.secured:
        return {}
    optional = node.options.allow_non_tls
    return {"tls_required": not optional, "tls_available": optional, "tls_verify": tls.verify}


def server_of(node: BrokerNode, sequence: int) -> dict[str, Any]:
    """Return the ``server`` object of events and monitoring answers."""
    described: dict[str, Any] = {"name": node.server_name, "host": node.public_host, "id": node.server_id}
    if node.options.domain:
        described["domain"] = node.options.domain
    if node.options.tags:
        described["tags"] = list(node.options.tags)
    if node.options.metadata:
        described["metadata"] = dict(node.options.metadata)
    return described | {
        "feature_flags": FEATURE_FLAGS,
        "ver": node.version,
        "jetstream": node.jetstream is not None,
        "flags": 1 if node.jetstream is not None else 0,
        "seq": sequence,
        "time": format_time(node.clock.time_ns()),
    }
