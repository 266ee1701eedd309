"""ACCOUNTZ and ACCSTATZ: accounts, what they share and what they carry."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from memphis_desktop.broker import tokens
from memphis_desktop.broker.jetstream.times import format_time
from memphis_desktop.broker.reports.common import (
    NotFound,
    header,
)
from memphis_desktop.broker.reports.connections import routing_figures

if TYPE_CHECKING:
    from memphis_desktop.broker.accounts import Account
    from memphis_desktop.broker.node import BrokerNode
    from memphis_desktop.broker.options import Export, Import, Mapping


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
    mappings = {one.source: _destinations(one) for one in options.mappings}
    crossing = {
        "mappings": mappings,
        "exports": [_export(one) for one in options.exports],
        "imports": [_import(one) for one in options.imports],
    }
    detail |= {key: value for key, value in crossing.items() if value}
    claims = node.authenticator.account_claims(account.name)
    if claims is not None:
        detail |= {
            "jwt": claims.token,
            "issuer_key": claims.issuer,
            "decoded_jwt": orjson.loads(tokens.decode_base64(claims.token.split(".")[1])),
        }
    return detail | {
        "name_tag": options.name_tag or account.name,
        "sublist_stats": routing_figures([account]),
    }


def _destinations(mapping: Mapping) -> list[dict[str, Any]]:
    """Return where a mapping leads, weights added up; what they leave over stays at the source."""
    shown, total = [], 0
    for target, weight in mapping.destinations:
        total += weight
        shown.append({"subject": target, "weight": total})
    if total < 100:
        counted = itertools.count(1)
        tokens = [f"${next(counted)}" if token == "*" else token for token in mapping.source.split(".")]
        shown.append({"subject": ".".join(tokens), "weight": 100})
    return shown


_RESPONSES = {"singleton": "Singleton", "stream": "Streamed", "chunked": "Chunked"}


def _export(export: Export) -> dict[str, Any]:
    shown: dict[str, Any] = {"subject": export.subject, "type": export.kind}
    if export.token_required:
        shown["token_req"] = True
    if export.kind == "service":
        shown["response_type"] = _RESPONSES[export.response_type]
    if export.account_token_position:
        shown["account_token_position"] = export.account_token_position
    if export.accounts:
        shown["approved_accounts"] = list(export.accounts)
    return shown


def _import(imported: Import) -> dict[str, Any]:
    local = imported.to or imported.subject
    return {
        "subject": imported.subject,
        "account": imported.account,
        **({"to": local} if imported.kind == "service" else {}),
        "local_subject": local,
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
