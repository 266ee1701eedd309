"""From a configuration file to options: every key that the node supports, and an error for every other."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from memphis_desktop.broker import config_file
from memphis_desktop.broker.config_accounts import read_accounts, read_mappings
from memphis_desktop.broker.config_file import ConfigError, Value
from memphis_desktop.broker.config_operators import (
    read_operators,
    read_pinned_accounts,
    read_proxies,
    read_resolver,
    read_trusted_keys,
)
from memphis_desktop.broker.config_tls import read_resolver_tls, read_tls, read_websocket
from memphis_desktop.broker.config_users import read_authorization
from memphis_desktop.broker.config_values import (
    block,
    duration,
    flag,
    host_and_port,
    integer,
    items,
    refuse_unknown,
    text,
    texts,
)
from memphis_desktop.broker.options import (
    GLOBAL_ACCOUNT,
    SYSTEM_ACCOUNT,
    BrokerOptions,
    JetStreamLimits,
    User,
)

_NAMELESS = f"nats-{secrets.token_hex(4)}"  # the same after a reload

Setter: TypeAlias = Callable[[BrokerOptions, Value], None]


def load(path: Path, options: BrokerOptions) -> BrokerOptions:
    """Read a configuration file on top of `options`, and return these.

    Raises:
        ConfigError: a mistake, with its place.
    """
    document = config_file.read_file(path)
    apply(document, options)
    options.config_file = path
    return options


def digest(path: Path) -> str:
    """Return the fingerprint of a configuration file as monitoring shows it."""
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def apply(document: dict[str, Value], options: BrokerOptions) -> None:
    """Set options from a document that was read.

    Raises:
        ConfigError: an unknown key, a value of the wrong kind, or a contradiction.
    """
    for key, value in document.items():
        setter = _KEYS.get(key)
        if setter is None:
            refuse_unknown(value)
        else:
            setter(options, value)
    _check(options, document)
    _let_others_in(options)


def _check_domains(options: BrokerOptions, value: Value) -> None:
    accounts = {account.name: account for account in options.accounts}
    for name in options.default_domains:
        if options.operators or options.trusted_keys or name in (GLOBAL_ACCOUNT, SYSTEM_ACCOUNT):
            continue
        if name not in accounts:
            raise value.fail(f"default_js_domain references non existing account {name!r}")
        if accounts[name].jetstream is not None:
            raise value.fail(f"default_js_domain contains account name {name!r} with enabled JetStream")


def _let_others_in(options: BrokerOptions) -> None:
    """Where only the system account was given users, everybody else still comes into the default account."""
    if options.operators or options.trusted_keys or options.has_authorization or options.no_auth_user:
        return
    if options.users and options.only_default_account:
        options.users = [*options.users, User(_NAMELESS, secrets.token_hex(16))]
        options.no_auth_user = options.made_up_user = _NAMELESS


def _check(options: BrokerOptions, document: dict[str, Value]) -> None:
    names = {user.name for user in options.users if user.name}
    if options.no_auth_user and options.no_auth_user not in names | {u.nkey for u in options.users}:
        raise document["no_auth_user"].fail(
            f'no_auth_user: "{options.no_auth_user}" not present as user or nkey in '
            "authorization block or account configuration"
        )
    if options.token and options.users:
        raise document.get("authorization", next(iter(document.values()))).fail(
            "a token and users exclude each other"
        )
    for name in options.auth_callout.allowed_accounts if options.auth_callout is not None else ():
        if name not in (account.name for account in options.accounts):
            raise document["authorization"].fail(
                f'auth_callout allowed account "{name}" not found in configured accounts'
            )
    if options.default_domains:
        _check_domains(options, document["default_js_domain"])
    web = options.websocket
    if web is not None and web.jwt_cookie and not (options.operators or options.trusted_keys):
        raise document.get("websocket", next(iter(document.values()))).fail(
            "trusted operators or trusted keys configuration is required for JWT authentication via "
            f"cookie {web.jwt_cookie!r}"
        )
    if options.https_port and options.tls is None:
        raise ConfigError("https requires TLS configuration")
    if options.max_payload > options.max_pending > 0:
        raise ConfigError(
            f"max_payload ({options.max_payload}) cannot be higher than max_pending ({options.max_pending})"
        )


# -- simple keys ---------------------------------------------------------------------------------------------
def _set(name: str, convert: Callable[[Value], Any]) -> Setter:
    def setter(options: BrokerOptions, value: Value) -> None:
        setattr(options, name, convert(value))

    return setter


def _path(value: Value) -> Path:
    return Path(text(value)).expanduser()


def _listen(options: BrokerOptions, value: Value) -> None:
    host, port = host_and_port(value)
    options.host, options.port = host or options.host, port


def _http(options: BrokerOptions, value: Value) -> None:
    options.http_host, options.http_port = host_and_port(value)


def _https(options: BrokerOptions, value: Value) -> None:
    options.https_host, options.https_port = host_and_port(value)


def _limit(value: Value) -> int:
    """Return a limit where 0 and -1 mean none."""
    return max(integer(value), 0)


def _tags(options: BrokerOptions, value: Value) -> None:
    options.tags = tuple(texts(value))


def _metadata(options: BrokerOptions, value: Value) -> None:
    options.metadata = {one.key: text(one) for one in block(value).values()}


# -- what a single node is without ---------------------------------------------------------------------------
def _linked(what: str, solicited: str) -> Setter:
    """Return how to read a block for links to other servers.

    Waiting for links that nobody makes is harmless: the block is passed over with a warning, so that
    configurations written for nats-server work. One that asks for links (`solicited`) cannot be served.
    """

    def setter(options: BrokerOptions, value: Value) -> None:
        asked = block(value).get(solicited)
        if asked is not None and items(asked):
            raise asked.fail(f"{what} are not supported: this node stands alone")
        options.warnings.append(f"{value.key!r} is passed over: this node stands alone, without {what}")

    return setter


def _unsupported(what: str) -> Setter:
    """Return how to refuse what this node has not, unless it is switched off."""

    def setter(options: BrokerOptions, value: Value) -> None:
        if value.content is not False:
            raise value.fail(f"{what} is not supported")

    return setter


def _profiler(options: BrokerOptions, value: Value) -> None:
    if integer(value):
        options.warnings.append("'prof_port' is passed over: it is for Go programs")


def _write_timeout(options: BrokerOptions, value: Value) -> None:
    if text(value).lower() not in ("default", "close", "retry"):
        raise value.fail("write_timeout must be 'default', 'close' or 'retry'")


def _server_name(options: BrokerOptions, value: Value) -> None:
    if " " in text(value):
        raise value.fail("server name cannot contain spaces")
    options.server_name = text(value)


def _not_negative(value: Value) -> float:
    seconds = duration(value)
    if seconds < 0:
        raise value.fail(f"invalid {value.key}, needs to be positive")
    return seconds


def _default_domains(options: BrokerOptions, value: Value) -> None:
    options.default_domains = {one.key: text(one) for one in block(value).values()}


def _without_effect(options: BrokerOptions, value: Value) -> None:
    """Pass over a key that tunes nats-server's insides and changes nothing that a client sees."""


# -- JetStream -----------------------------------------------------------------------------------------------
def _jetstream(options: BrokerOptions, value: Value) -> None:
    if not isinstance(value.content, dict):
        options.jetstream = _enabled(value)
        return
    options.jetstream = True
    for key, one in value.content.items():
        setter = _JETSTREAM_KEYS.get(key)
        if setter is None:
            refuse_unknown(one)
        else:
            setter(options, one)


def _enabled(value: Value) -> bool:
    if isinstance(value.content, str) and value.content.lower() in (
        "enabled",
        "enable",
        "disabled",
        "disable",
    ):
        return value.content.lower().startswith("enable")
    return flag(value)


def _sync_interval(options: BrokerOptions, value: Value) -> None:
    options.sync_always = value.content == "always"
    if not options.sync_always:
        options.sync_interval = duration(value)


def _jetstream_limits(options: BrokerOptions, value: Value) -> None:
    changed: dict[str, Any] = {}
    for key, one in block(value).items():
        if key in ("max_ack_pending", "max_request_batch"):
            changed[key] = max(integer(one), 0)
        elif key == "duplicate_window":
            changed[key] = duration(one)
        elif key == "batch":
            for name, part in block(one).items():
                if name not in ("max_inflight_per_stream", "max_inflight_total", "max_msgs", "timeout"):
                    refuse_unknown(part)
        elif key == "max_ha_assets":
            changed[key] = max(integer(one), 0)
        else:
            refuse_unknown(one)
    options.jetstream_limits = JetStreamLimits(**changed)


_JETSTREAM_KEYS: dict[str, Setter] = {
    "enabled": _set("jetstream", _enabled),
    "enable": _set("jetstream", _enabled),
    "store_dir": _set("store_dir", _path),
    "storedir": _set("store_dir", _path),
    "max_memory_store": _set("max_memory_store", integer),
    "max_mem_store": _set("max_memory_store", integer),
    "max_mem": _set("max_memory_store", integer),
    "max_file_store": _set("max_file_store", integer),
    "max_file": _set("max_file_store", integer),
    "domain": _set("domain", text),
    "unique_tag": _set("unique_tag", text),
    "limits": _jetstream_limits,
    **dict.fromkeys(
        ("key", "ek", "encryption_key", "prev_key", "prev_ek", "prev_encryption_key", "cipher", "tpm"),
        _unsupported("encryption at rest"),
    ),
    "store": _set("store_dir", _path),
    "sync": _sync_interval,
    "sync_interval": _sync_interval,
    **dict.fromkeys(
        (
            "extension_hint",
            "info_queue_limit",
            "max_buffered_msgs",
            "max_buffered_size",
            "max_concurrent_io",
            "max_outstanding_catchup",
            "meta_compact",
            "meta_compact_size",
            "meta_compact_sync",
            "request_queue_limit",
            "strict",
        ),
        _without_effect,
    ),
}

_KEYS: dict[str, Setter] = {
    "listen": _listen,
    "host": _set("host", text),
    "net": _set("host", text),
    "port": _set("port", integer),
    "server_name": _server_name,
    "client_advertise": _set("client_advertise", text),
    "server_tags": _tags,
    "server_metadata": _metadata,
    "debug": _set("debug", flag),
    "trace": _set("trace", flag),
    "trace_verbose": _set("trace", flag),
    "prof_port": _profiler,
    "no_header_support": _set("without_headers", flag),
    "write_timeout": _write_timeout,
    "default_js_domain": _default_domains,
    "mqtt": _unsupported("MQTT"),
    "ocsp": _unsupported("OCSP stapling"),
    "ocsp_cache": _without_effect,
    "proxy_protocol": _set("proxy_protocol", flag),
    "syslog": _unsupported("the system's log (write a log_file instead)"),
    "remote_syslog": _unsupported("the system's log (write a log_file instead)"),
    "proxies": read_proxies,
    "logtime": _set("log_time", flag),
    "logtime_utc": _set("log_time_utc", flag),
    "log_file": _set("log_file", _path),
    "logfile": _set("log_file", _path),
    "pid_file": _set("pid_file", _path),
    "pidfile": _set("pid_file", _path),
    "ports_file_dir": _set("ports_file_dir", _path),
    "logfile_size_limit": _set("log_size_limit", integer),
    "log_size_limit": _set("log_size_limit", integer),
    "logfile_max_num": _set("log_max_files", integer),
    "log_max_num": _set("log_max_files", integer),
    "http": _http,
    "https": _https,
    "https_port": _set("https_port", integer),
    "http_port": _set("http_port", integer),
    "monitor_port": _set("http_port", integer),
    "http_base_path": _set("http_base_path", text),
    "max_connections": _set("max_connections", _limit),
    "max_conn": _set("max_connections", _limit),
    "max_subscriptions": _set("max_subscriptions", _limit),
    "max_subs": _set("max_subscriptions", _limit),
    "max_sub_tokens": _set("max_subject_tokens", _limit),
    "max_subscription_tokens": _set("max_subject_tokens", _limit),
    "max_control_line": _set("max_control_line", integer),
    "max_payload": _set("max_payload", integer),
    "max_pending": _set("max_pending", integer),
    "max_closed_clients": _set("max_closed_clients", integer),
    "ping_interval": _set("ping_interval", duration),
    "ping_max": _set("ping_max", integer),
    "write_deadline": _set("write_deadline", duration),
    "lame_duck_duration": _set("lame_duck_duration", duration),
    "lame_duck_grace_period": _set("lame_duck_grace_period", _not_negative),
    "no_auth_user": _set("no_auth_user", text),
    "system_account": _set("system_account", text),
    "system": _set("system_account", text),
    "authorization": read_authorization,
    "accounts": read_accounts,
    "mappings": _set("mappings", lambda value: list(read_mappings(value))),
    "maps": _set("mappings", lambda value: list(read_mappings(value))),
    "operator": read_operators,
    "operators": read_operators,
    "root": read_operators,
    "roots": read_operators,
    "root_operator": read_operators,
    "root_operators": read_operators,
    "resolver": read_resolver,
    "account_resolver": read_resolver,
    "accounts_resolver": read_resolver,
    "resolver_preload": _set(
        "account_tokens", lambda value: {one.key: text(one) for one in block(value).values()}
    ),
    "resolver_tls": _set("resolver_tls", read_resolver_tls),
    "resolver_pinned_accounts": read_pinned_accounts,
    "trusted_keys": read_trusted_keys,
    "trusted": read_trusted_keys,
    "default_sentinel": _set("default_sentinel", text),
    "tls": _set("tls", read_tls),
    "allow_non_tls": _set("allow_non_tls", flag),
    "websocket": _set("websocket", read_websocket),
    "ws": _set("websocket", read_websocket),
    "jetstream": _jetstream,
    "store_dir": _set("store_dir", _path),
    "storedir": _set("store_dir", _path),
    "leafnodes": _linked("leaf nodes", "remotes"),
    "leaf": _linked("leaf nodes", "remotes"),
    "cluster": _linked("routes", "routes"),
    "gateway": _linked("gateways", "gateways"),
    **dict.fromkeys(
        (
            "connect_error_reports",
            "disable_sublist_cache",
            "feature_flags",
            "max_traced_msg_len",
            "no_fast_producer_stall",
            "no_sublist_cache",
            "prof_block_rate",
            "no_sys_acc",
            "no_system",
            "no_system_account",
            "reconnect_error_reports",
            "trace_headers",
        ),
        _without_effect,
    ),
}
