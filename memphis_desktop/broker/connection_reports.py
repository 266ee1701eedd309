"""What others are told of a client: itself, the services that it asks, who reads advisories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memphis_desktop.broker.jetstream.times import format_time

if TYPE_CHECKING:
    from memphis_desktop.broker.connection import ClientConnection

_SECOND_NS = 1_000_000_000


def user_info(client: ClientConnection) -> dict[str, Any]:
    """Return the answer to ``$SYS.REQ.USER.INFO``; what is left of the login is in whole seconds."""
    account, identity = client.account, client.identity
    info: dict[str, Any] = {
        "user": client.user_name,
        "account": account.name,
        "account_name": account.options.name_tag or account.name,
    }
    if identity.name_tag:
        info["user_name"] = identity.name_tag
    if client.permissions is not None:
        info["permissions"] = client.permissions.describe()
    if identity.expires_at:
        left = identity.expires_at - client.node.clock.time_ns() // _SECOND_NS - 1
        info["expires"] = max(left, 0) * _SECOND_NS
    return info


def request_info(client: ClientConnection, *, detailed: bool) -> dict[str, Any]:
    """Return what a service in another account is told of a requester: its account, or all."""
    if not detailed:
        return {"acc": client.account.name, "rtt": int(client.round_trip * _SECOND_NS)}
    extra = {"jwt": client.identity.token, "issuer_key": client.identity.issuer}
    return describe(client) | {key: value for key, value in extra.items() if value}


def describe(client: ClientConnection) -> dict[str, Any]:
    """Return the ``client`` object of advisories."""
    described: dict[str, Any] = {
        "start": format_time(client.start_ns),
        "host": client.address[0],
        "id": client.client_id,
        "acc": client.account.name,
    }
    optional = {
        "user": client.user_name,
        "name": client.options.name,
        "lang": client.options.lang,
        "ver": client.options.version,
        "rtt": int(client.round_trip * _SECOND_NS),
    }
    described |= {key: value for key, value in optional.items() if value}
    return described | {
        "server": client.node.server_name,
        "kind": client.kind,
        "client_type": client.client_type,
    }
