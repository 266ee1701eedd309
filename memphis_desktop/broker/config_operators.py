"""The part of a configuration file about trust in others: operators, resolvers, proxies."""

from __future__ import annotations

from pathlib import Path

from memphis_desktop.broker import nkeys
from memphis_desktop.broker.config_file import Value
from memphis_desktop.broker.config_users import public_key
from memphis_desktop.broker.config_values import (
    block,
    items,
    refuse_unknown,
    text,
    texts,
)
from memphis_desktop.broker.options import (
    BrokerOptions,
)


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


def read_trusted_keys(options: BrokerOptions, value: Value) -> None:
    """Read ``trusted_keys``: public keys of operators."""
    for one in items(value):
        try:
            nkeys.decode_public(nkeys.OPERATOR, text(one))
        except ValueError:
            raise one.fail(f"trust key '{text(one)}' required to be a valid public operator nkey") from None
    options.trusted_keys = texts(value)


def read_pinned_accounts(options: BrokerOptions, value: Value) -> None:
    """Read ``resolver_pinned_accounts``: the only accounts whose users come in."""
    for one in items(value):
        public_key(one, nkeys.ACCOUNT, "a valid public account nkey")
    options.pinned_accounts = frozenset(texts(value))


def read_proxies(options: BrokerOptions, value: Value) -> None:
    """Read ``proxies``: the keys with which those sign that are trusted."""
    found: list[str] = []
    for key, one in block(value).items():
        if key != "trusted":
            refuse_unknown(one)
        for part in items(one):
            for name, entry in block(part).items():
                if name not in ("key", "public_key"):
                    refuse_unknown(entry)
                found.append(_proxy_key(entry))
    options.trusted_proxies = tuple(found)


def _proxy_key(value: Value) -> str:
    key = text(value)
    if not nkeys.is_public(key):
        raise value.fail(f"not a valid proxy key: '{key}'")
    return key


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
