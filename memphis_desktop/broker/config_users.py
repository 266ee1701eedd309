"""The part of a configuration file about users: how they log in and what they may do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from memphis_desktop.broker import nkeys
from memphis_desktop.broker.config_file import Value
from memphis_desktop.broker.config_values import (
    block,
    duration,
    flag,
    integer,
    items,
    refuse_unknown,
    text,
    texts,
)
from memphis_desktop.broker.options import (
    BrokerOptions,
    CalloutOptions,
    PermissionRules,
    ResponseRule,
    SubjectRule,
    User,
)
from memphis_desktop.protocol import subjects


def read_permissions(value: Value) -> PermissionRules:
    """Read a ``permissions`` block."""
    rules = PermissionRules()
    for key, one in block(value).items():
        if key in ("publish", "pub", "import"):
            rules = replace(rules, publish=_subject_rule(one, queues=False))
        elif key in ("subscribe", "sub", "export"):
            rules = replace(rules, subscribe=_subject_rule(one, queues=True))
        elif key in ("allow_responses", "publish_allow_responses", "allow_response"):
            rules = replace(rules, responses=_response_rule(one))
        else:
            refuse_unknown(one)
    if rules.responses is not None and rules.publish.allow is None:
        rules = replace(rules, publish=replace(rules.publish, allow=()))  # answers only
    return rules


def _subject_rule(value: Value, *, queues: bool) -> SubjectRule:
    if not isinstance(value.content, dict):
        return SubjectRule(allow=_patterns(value, queues=queues))
    rule = SubjectRule()
    for key, one in value.content.items():
        if key == "allow":
            rule = replace(rule, allow=_patterns(one, queues=queues))
        elif key == "deny":
            rule = replace(rule, deny=_patterns(one, queues=queues))
        else:
            refuse_unknown(one)
    return rule


def _patterns(value: Value, *, queues: bool) -> tuple[str, ...]:
    found = []
    for one in items(value):
        entry = text(one)
        words = entry.split()
        if not 1 <= len(words) <= (2 if queues else 1) or not subjects.is_valid(words[0].encode()):
            raise one.fail(f"subject {entry!r} is not a valid subject")
        found.append(" ".join(words))
    return tuple(found)


def _response_rule(value: Value) -> ResponseRule | None:
    if isinstance(value.content, bool):
        return ResponseRule() if value.content else None
    rule = ResponseRule()
    for key, one in block(value).items():
        if key in ("max", "max_msgs", "max_messages", "max_responses"):
            rule = replace(rule, max_messages=integer(one) or 1)
        elif key in ("expires", "expiration", "ttl"):
            rule = replace(rule, expires=duration(one) or 120.0)
        else:
            refuse_unknown(one)
    return rule


def read_authorization(options: BrokerOptions, value: Value) -> None:
    """Read the ``authorization`` block."""
    options.has_authorization = True
    name = password = ""
    proxied = False
    listed: list[User] = []
    for key, one in block(value).items():
        if key in ("user", "username"):
            name = text(one)
        elif key in ("pass", "password"):
            password = text(one)
        elif key == "token":
            options.token = text(one)
        elif key == "timeout":
            options.auth_timeout = duration(one)
        elif key == "users":
            listed = read_users(one, "")
        elif key in ("default_permission", "default_permissions", "permissions"):
            options.default_permissions = read_permissions(one)
        elif key == "proxy_required":
            proxied = flag(one)
        elif key in ("auth_callout", "auth_hook"):
            options.auth_callout = _callout(one)
        else:
            refuse_unknown(one)
    if name or password:
        if listed:
            raise value.fail("a single user and a list of users exclude each other")
        listed = [User(name=name, password=password, proxy_required=proxied)]
    options.users = [*options.users, *listed]
    refuse_duplicates(options.users, value)


def _callout(value: Value) -> CalloutOptions:
    given: dict[str, Any] = {"issuer": ""}
    for key, one in block(value).items():
        if key == "issuer":
            given["issuer"] = public_key(one, nkeys.ACCOUNT, "a valid public account nkey")
        elif key in ("account", "acc"):
            given["account"] = text(one)
        elif key in ("auth_users", "users"):
            given["auth_users"] = tuple(texts(one))
        elif key in ("xkey", "key"):
            given["xkey"] = public_key(one, nkeys.CURVE, "a valid public xkey")
        elif key == "allowed_accounts":
            given["allowed_accounts"] = tuple(texts(one))
        else:
            refuse_unknown(one)
    if not given["issuer"]:
        raise value.fail("authorization callouts require an issuer to be specified")
    if not given.get("auth_users"):
        raise value.fail("authorization callouts require authorized users to be specified")
    return CalloutOptions(**given)


def public_key(value: Value, kind: int, what: str) -> str:
    """Read a public key of this kind."""
    key = text(value)
    try:
        nkeys.decode_public(kind, key)
    except ValueError:
        raise value.fail(f"expected {what}, got '{key}'") from None
    return key


def read_users(value: Value, account: str) -> list[User]:
    """Read a list of users of an account."""
    found: list[User] = []
    for one in items(value):
        user = User(account=account)
        for key, part in block(one).items():
            if key in ("user", "username"):
                user = replace(user, name=text(part))
            elif key in ("pass", "password"):
                user = replace(user, password=text(part))
            elif key == "nkey":
                user = replace(user, nkey=_user_key(part))
            elif key in ("permission", "permissions", "authorization"):
                user = replace(user, permissions=read_permissions(part))
            elif key in ("allowed_connection_types", "connection_types", "clients"):
                user = replace(user, connection_types=_connection_types(part))
            elif key == "proxy_required":
                user = replace(user, proxy_required=flag(part))
            else:
                refuse_unknown(part)
        if bool(user.name) == bool(user.nkey):
            raise one.fail("a user entry requires a user name or an nkey")
        found.append(user)
    return found


def _user_key(value: Value) -> str:
    return public_key(value, nkeys.USER, "a valid public user nkey")


def _connection_types(value: Value) -> tuple[str, ...]:
    known = ("STANDARD", "WEBSOCKET", "LEAFNODE", "LEAFNODE_WS", "MQTT", "MQTT_WS", "IN_PROCESS")
    types = tuple(one.upper() for one in texts(value))
    for one in types:
        if one not in known:
            raise value.fail(f'invalid connection type "{one}"')
    return types


def refuse_duplicates(users: Iterable[User], value: Value) -> None:
    """See to it that no user is there twice."""
    seen: set[str] = set()
    for user in users:
        identity = user.name or user.nkey
        if identity in seen:
            raise value.fail(f'duplicate user "{identity}" detected')
        seen.add(identity)
