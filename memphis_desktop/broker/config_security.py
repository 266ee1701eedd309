"""The part of a configuration file that says who may do what: users, accounts, operators."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
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
    AccountOptions,
    BrokerOptions,
    CalloutOptions,
    Export,
    Import,
    JetStreamAccountLimits,
    Mapping,
    PermissionRules,
    ResponseRule,
    SubjectRule,
    User,
)
from memphis_desktop.protocol import subjects


# -- permissions ---------------------------------------------------------------------------------------------
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


# -- users ---------------------------------------------------------------------------------------------------
def read_authorization(options: BrokerOptions, value: Value) -> None:
    """Read the ``authorization`` block."""
    name = password = ""
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
            listed = _users(one, "")
        elif key in ("default_permission", "default_permissions", "permissions"):
            options.default_permissions = read_permissions(one)
        elif key in ("auth_callout", "auth_hook"):
            options.callout = _callout(one)
        else:
            refuse_unknown(one)
    if name or password:
        if listed:
            raise value.fail("a single user and a list of users exclude each other")
        listed = [User(name=name, password=password)]
    options.users = [*options.users, *listed]


def _callout(value: Value) -> CalloutOptions:
    given: dict[str, Any] = {"issuer": ""}
    for key, one in block(value).items():
        if key == "issuer":
            given["issuer"] = _public_key(one, nkeys.ACCOUNT, "a valid public account nkey")
        elif key in ("account", "acc"):
            given["account"] = text(one)
        elif key in ("auth_users", "users"):
            given["auth_users"] = tuple(texts(one))
        elif key in ("xkey", "key"):
            given["xkey"] = _public_key(one, nkeys.CURVE, "a valid public xkey")
        elif key == "allowed_accounts":
            given["allowed_accounts"] = tuple(texts(one))
        else:
            refuse_unknown(one)
    if not given["issuer"]:
        raise value.fail("authorization callouts require an issuer to be specified")
    if not given.get("auth_users"):
        raise value.fail("authorization callouts require authorized users to be specified")
    return CalloutOptions(**given)


def _public_key(value: Value, kind: int, what: str) -> str:
    key = text(value)
    try:
        nkeys.decode_public(kind, key)
    except ValueError:
        raise value.fail(f"expected {what}, got '{key}'") from None
    return key


def _users(value: Value, account: str) -> list[User]:
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
            else:
                refuse_unknown(part)
        if bool(user.name) == bool(user.nkey):
            raise one.fail("a user entry requires a user name or an nkey")
        found.append(user)
    return found


def _user_key(value: Value) -> str:
    return _public_key(value, nkeys.USER, "a valid public user nkey")


def _connection_types(value: Value) -> tuple[str, ...]:
    known = ("STANDARD", "WEBSOCKET", "LEAFNODE", "LEAFNODE_WS", "MQTT", "MQTT_WS", "IN_PROCESS")
    types = tuple(one.upper() for one in texts(value))
    for one in types:
        if one not in known:
            raise value.fail(f'invalid connection type "{one}"')
    return types


# -- accounts ------------------------------------------------------------------------------------------------
def read_accounts(options: BrokerOptions, value: Value) -> None:
    """Read the ``accounts`` block, or a list of names."""
    if isinstance(value.content, list):
        options.accounts = [AccountOptions(name) for name in texts(value)]
        return
    accounts: list[AccountOptions] = []
    for one in block(value).values():
        if one.key == "$G":
            raise one.fail("the account name $G is reserved")
        account, users = _account(one)
        accounts.append(account)
        options.users = [*options.users, *users]
    names = {account.name for account in accounts}
    for one, account in zip(block(value).values(), accounts, strict=True):
        for imported in account.imports:
            if imported.account not in names:
                raise one.fail(f'"{imported.account}" account not defined')
    options.accounts = accounts
    seen: set[str] = set()
    for user in options.users:
        identity = user.name or user.nkey
        if identity in seen:
            raise value.fail(f'duplicate user "{identity}" detected')
        seen.add(identity)


def _account(value: Value) -> tuple[AccountOptions, list[User]]:
    account = AccountOptions(value.key)
    users: list[User] = []
    for key, one in block(value).items():
        if key == "users":
            users = _users(one, account.name)
        elif key == "nkey":
            account = replace(account, nkey=text(one))
        elif key == "exports":
            account = replace(account, exports=tuple(_export(part) for part in items(one)))
        elif key == "imports":
            account = replace(account, imports=tuple(_import(part) for part in items(one)))
        elif key in ("mappings", "maps"):
            account = replace(account, mappings=read_mappings(one))
        elif key == "jetstream":
            account = replace(account, jetstream=_account_jetstream(one))
        elif key == "limits":
            account = _account_limits(account, one)
        elif key in ("default_permission", "default_permissions"):
            account = replace(account, default_permissions=read_permissions(one))
        else:
            refuse_unknown(one)
    return account, users


def _account_limits(account: AccountOptions, value: Value) -> AccountOptions:
    for key, one in block(value).items():
        if key in ("max_connections", "max_conn"):
            account = replace(account, max_connections=integer(one))
        elif key in ("max_subscriptions", "max_subs"):
            account = replace(account, max_subscriptions=integer(one))
        elif key in ("max_payload", "max_pay"):
            account = replace(account, max_payload=integer(one))
        elif key not in ("max_leafnodes", "max_leafs"):
            refuse_unknown(one)
    return account


_ACCOUNT_LIMITS = {
    "max_memory": "max_memory",
    "max_mem": "max_memory",
    "mem": "max_memory",
    "memory": "max_memory",
    "max_store": "max_storage",
    "max_file": "max_storage",
    "max_disk": "max_storage",
    "store": "max_storage",
    "disk": "max_storage",
    "max_streams": "max_streams",
    "streams": "max_streams",
    "max_consumers": "max_consumers",
    "consumers": "max_consumers",
    "max_ack_pending": "max_ack_pending",
    "memory_max_stream_bytes": "memory_max_stream_bytes",
    "mem_max_stream_bytes": "memory_max_stream_bytes",
    "disk_max_stream_bytes": "storage_max_stream_bytes",
    "store_max_stream_bytes": "storage_max_stream_bytes",
}


def _account_jetstream(value: Value) -> JetStreamAccountLimits | None:
    if not isinstance(value.content, dict):
        if isinstance(value.content, str) and value.content.lower() in ("enabled", "enable"):
            return JetStreamAccountLimits()
        if isinstance(value.content, str) and value.content.lower() in ("disabled", "disable"):
            return None
        return JetStreamAccountLimits() if flag(value) else None
    limits = JetStreamAccountLimits()
    for key, one in value.content.items():
        name = _ACCOUNT_LIMITS.get(key)
        if name is not None:
            changed: dict[str, Any] = {name: integer(one)}
            limits = replace(limits, **changed)
        elif key in ("max_bytes_required", "max_stream_bytes", "max_bytes"):
            limits = replace(limits, max_bytes_required=flag(one))
        elif key not in ("cluster_traffic",):
            refuse_unknown(one)
    return limits


def _export(value: Value) -> Export:
    fields = block(value)
    kind = _kind(value, fields)
    export = Export(kind, text(fields[kind]))
    if not subjects.is_valid(export.subject.encode()):
        raise fields[kind].fail(f"'{export.subject}' is not a valid subject")
    for key, one in fields.items():
        if key == "accounts":
            export = replace(export, accounts=tuple(texts(one)))
        elif key in ("response", "response_type") and kind == "service":
            export = replace(export, response_type=_response_type(one))
        elif (
            key in ("threshold", "response_threshold", "response_max_time", "response_time")
            and kind == "service"
        ):
            export = replace(export, response_threshold=duration(one))
        elif key == "account_token_position":
            export = replace(export, account_token_position=integer(one))
        elif key not in (kind, "allow_trace"):
            refuse_unknown(one)
    return export


def _response_type(value: Value) -> str:
    kind = text(value).lower()
    names = {
        "single": "singleton",
        "singleton": "singleton",
        "stream": "stream",
        "chunk": "chunked",
        "chunked": "chunked",
    }
    if kind not in names:
        raise value.fail(f"unknown response type: '{text(value)}'")
    return names[kind]


def _kind(value: Value, fields: dict[str, Value]) -> str:
    kinds = [kind for kind in ("stream", "service") if kind in fields]
    if len(kinds) != 1:
        raise value.fail("either a stream or a service is needed")
    return kinds[0]


def _import(value: Value) -> Import:
    fields = block(value)
    kind = _kind(value, fields)
    source = block(fields[kind])
    for key in ("account", "subject"):
        if key not in source:
            raise fields[kind].fail(f"the import needs {key}")
    imported = Import(kind, text(source["account"]), text(source["subject"]))
    if not subjects.is_valid(imported.subject.encode()):
        raise source["subject"].fail(f"'{imported.subject}' is not a valid subject")
    for key, one in fields.items():
        if key == "prefix" and kind == "stream":
            imported = replace(imported, to=f"{text(one)}.{imported.subject}")
        elif key == "to":
            imported = replace(imported, to=text(one))
        elif key == "share" and kind == "service":
            imported = replace(imported, share=flag(one))
        elif key not in (kind, "share", "allow_trace"):
            refuse_unknown(one)
    return imported


def read_mappings(value: Value) -> tuple[Mapping, ...]:
    """Read a ``mappings`` block: a destination, or several with weights."""
    found: list[Mapping] = []
    for one in block(value).values():
        if not subjects.is_valid(one.key.encode()):
            raise one.fail(f"'{one.key}' is not a valid subject")
        destinations: list[tuple[str, int]] = []
        for part in items(one):
            destinations.append(_destination(part))
        if sum(weight for _, weight in destinations) > 100:
            raise one.fail("the weights of a mapping exceed 100 %")
        found.append(Mapping(one.key, tuple(destinations)))
    return tuple(found)


def _destination(value: Value) -> tuple[str, int]:
    if not isinstance(value.content, dict):
        return text(value), 100
    fields = dict(value.content)
    target = fields.pop("destination", None) or fields.pop("dest", None)
    if target is None:
        raise value.fail("a mapping needs a destination")
    weight = 100
    for key, one in fields.items():
        if key != "weight":
            refuse_unknown(one)
        digits = text(one).strip().removesuffix("%")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 3 and int(digits) <= 100):
            raise one.fail("a weight is between 0 and 100")
        weight = int(digits)
    return text(target), weight


# -- operators -----------------------------------------------------------------------------------------------
def read_operators(options: BrokerOptions, value: Value) -> None:
    """Read ``operator``: JWTs, or files that hold them."""
    for one in items(value):
        token = text(one)
        if not token.startswith("ey"):
            token = _token_in(one, Path(token).expanduser())
        options.operators = [*options.operators, token.strip()]


def _token_in(value: Value, path: Path) -> str:
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise value.fail(f"cannot read the operator's JWT in '{path}': {error}") from None
    for line in content.splitlines():
        if line.strip().startswith("ey"):
            return line.strip()
    raise value.fail(f"there is no JWT in '{path}'")


def read_resolver(options: BrokerOptions, value: Value) -> None:
    """Read ``resolver``: MEMORY, URL(…), or a folder."""
    if isinstance(value.content, dict):
        for key, one in value.content.items():
            if key == "type":
                if text(one).lower() not in ("full", "cache", "mem", "memory"):
                    raise one.fail(f"unknown resolver type '{text(one)}'")
            elif key == "dir":
                options.resolver_folder = Path(text(one)).expanduser()
            elif key not in ("allow_delete", "interval", "limit", "timeout", "hard_delete", "ttl"):
                refuse_unknown(one)
        return
    kind = text(value)
    if kind.upper() in ("MEM", "MEMORY"):
        return
    if kind.upper().startswith("URL(") and kind.endswith(")"):
        options.resolver_url = kind[4:-1].strip("\"' ")
        return
    raise value.fail(f"unknown resolver '{kind}'")
