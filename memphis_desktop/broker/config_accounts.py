"""The part of a configuration file about accounts: their users, what they share, their limits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from memphis_desktop.broker import nkeys
from memphis_desktop.broker.config_file import Value
from memphis_desktop.broker.config_users import public_key, read_permissions, read_users, refuse_duplicates
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
    SYSTEM_ACCOUNT,
    AccountOptions,
    AccountTrace,
    BrokerOptions,
    Export,
    Import,
    JetStreamAccountLimits,
    Latency,
    Mapping,
    User,
)
from memphis_desktop.protocol import subjects


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
    refuse_duplicates(options.users, value)
    _check_crossings(value, accounts)


def _check_crossings(value: Value, accounts: list[AccountOptions]) -> None:
    """See to it that accounts import what they may, and no service comes back to where it began."""
    blocks = dict(zip((account.name for account in accounts), block(value).values(), strict=True))
    known = {account.name: account for account in accounts}
    for account in accounts:
        for export in account.exports:
            for name in export.accounts:
                if name not in known:
                    raise blocks[account.name].fail(f'"{name}" account not defined for {export.kind} export')
        for imported in account.imports:
            what = f'error adding {imported.kind} import "{imported.subject}"'
            if not _is_exported(known[imported.account], imported, account.name):
                raise blocks[account.name].fail(f"{what}: {imported.kind} import not authorized")
            if _comes_back(known, imported, account.name):
                raise blocks[account.name].fail(f"{what}: import forms a cycle")


def _is_exported(exporter: AccountOptions, imported: Import, importer: str) -> bool:
    if exporter.name == SYSTEM_ACCOUNT:  # what that exports by itself is not in the configuration
        return True
    subject = imported.subject.encode()
    return any(
        export.kind == imported.kind
        and subjects.is_subset(subject, export.subject.encode())
        and (not export.accounts or importer in export.accounts)
        for export in exporter.exports
    )


def _comes_back(known: dict[str, AccountOptions], imported: Import, home: str) -> bool:
    """Return whether what is asked of another account is, by its own imports, asked of this one again."""
    waiting, seen = [imported], set[tuple[str, str]]()
    while waiting:
        one = waiting.pop()
        if one.account == home:
            return True
        for further in known[one.account].imports:
            local = (further.to or further.subject).encode()
            goes_on = further.kind == one.kind == "service" and subjects.overlaps(local, one.subject.encode())
            if goes_on and (further.account, further.subject) not in seen:
                seen.add((further.account, further.subject))
                waiting.append(further)
    return False


def _account(value: Value) -> tuple[AccountOptions, list[User]]:
    account = AccountOptions(value.key)
    users: list[User] = []
    for key, one in block(value).items():
        if key == "users":
            users = read_users(one, account.name)
        elif key == "nkey":
            account = replace(account, nkey=public_key(one, nkeys.ACCOUNT, "a valid public account nkey"))
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
        elif key in ("msg_trace", "trace_dest"):
            account = replace(account, trace=_trace(one))
        elif key in ("default_permission", "default_permissions"):
            account = replace(account, default_permissions=read_permissions(one))
        else:
            refuse_unknown(one)
    return account, users


def _trace(value: Value) -> AccountTrace | None:
    destination, sampling = "", 100
    if isinstance(value.content, dict):
        for key, one in value.content.items():
            if key == "dest":
                destination = text(one)
            elif key == "sampling":
                sampling = _percentage(one)
            else:
                refuse_unknown(one)
    else:
        destination = text(value)
    if destination and not subjects.is_literal(destination.encode()):
        raise value.fail(f"trace destination '{destination}' is not a valid publish subject")
    return AccountTrace(destination, sampling) if destination else None


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
        elif key == "cluster_traffic":
            if text(one).lower() not in ("system", "owner", ""):
                raise one.fail("cluster_traffic is 'system' or 'owner'")
        else:
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
        elif key == "latency" and kind == "service":
            export = replace(export, latency=_latency(one))
        elif key == "account_token_position":
            export = replace(export, account_token_position=integer(one))
        elif key == "allow_trace" and kind == "service":
            flag(one)
        elif key != kind:
            refuse_unknown(one)
    if export.latency is not None and export.response_type != "singleton":
        raise value.fail(
            f'error adding service latency sampling for "{export.subject}" on subject '
            f'"{export.latency.subject}": bad service response type'
        )
    position = export.account_token_position
    if position and export.subject.split(".")[position - 1 : position] != ["*"]:
        raise value.fail(f"account_token_position {position} of '{export.subject}' is no wildcard")
    return export


def _latency(value: Value) -> Latency:
    if not isinstance(value.content, dict):
        return _checked_latency(Latency(text(value)), value)
    subject, sampling = "", 100
    for key, one in value.content.items():
        if key == "subject":
            subject = text(one)
        elif key == "sampling":
            sampling = _sampling(one)
        else:
            refuse_unknown(one)
    return _checked_latency(Latency(subject, sampling), value)


def _checked_latency(latency: Latency, value: Value) -> Latency:
    if not subjects.is_literal(latency.subject.encode()):
        raise value.fail(f"'{latency.subject}' is no subject for the latency of a service")
    return latency


def _sampling(value: Value) -> int:
    if isinstance(value.content, str) and value.content.strip().lower() == "headers":
        return 0
    return _percentage(value)


def _percentage(value: Value) -> int:
    words = text(value).strip() if isinstance(value.content, str) else str(integer(value))
    digits = words.removesuffix("%").strip()
    if not digits.isdecimal() or not 1 <= int(digits) <= 100:
        raise value.fail("sampling is a percentage from 1 to 100")
    return int(digits)


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
            if "to" in fields:
                raise one.fail("a stream import can not have a 'prefix' and a 'to' property")
            imported = replace(imported, to=f"{text(one)}.{imported.subject}")
        elif key == "to":
            imported = replace(imported, to=text(one))
        elif key == "share" and kind == "service":
            imported = replace(imported, share=flag(one))
        elif key not in (kind, "share", "prefix") and not (key == "allow_trace" and kind == "stream"):
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
    cluster = fields.pop("cluster", None)
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
    if cluster is not None:
        weight = 0  # it is for the servers of a cluster, and this one is in none
    return text(target), weight
