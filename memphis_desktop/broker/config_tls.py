"""The part of a configuration file about how connections come: TLS and WebSocket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from memphis_desktop.broker.config_file import Value
from memphis_desktop.broker.config_values import (
    block,
    duration,
    flag,
    host_and_port,
    integer,
    refuse_unknown,
    text,
    texts,
)
from memphis_desktop.broker.options import TlsOptions, WebSocketOptions


def read_tls(value: Value) -> TlsOptions:
    """Read a ``tls`` block."""
    fields = block(value)
    files: dict[str, Path] = {}
    tls: dict[str, Any] = {}
    for key, one in fields.items():
        if key in ("cert_file", "key_file", "ca_file"):
            files[key] = Path(text(one)).expanduser()
            if not files[key].is_file():
                raise one.fail(f"there is no file '{files[key]}'")
        elif key == "verify":
            tls["verify"] = flag(one)
        elif key == "verify_and_map":
            tls["verify_and_map"] = flag(one)
        elif key == "timeout":
            tls["timeout"] = duration(one)
        elif key in ("handshake_first", "first", "immediate"):
            tls["handshake_first"] = _handshake_first(one)
        elif key == "min_version":
            tls["minimum_version"] = _tls_version(one)
        else:
            refuse_unknown(one)
    for needed in ("cert_file", "key_file"):
        if needed not in files:
            raise value.fail(f"missing '{needed}' in TLS configuration")
    if tls.get("verify_and_map"):
        tls["verify"] = True
    tls.update(files)
    return TlsOptions(**tls)


def _handshake_first(value: Value) -> float | None:
    if isinstance(value.content, bool):
        return 0.0 if value.content else None
    if isinstance(value.content, str) and value.content.lower().startswith("auto"):
        return 0.05
    return duration(value)


def _tls_version(value: Value) -> str:
    version = text(value)
    if version not in ("1.2", "1.3"):
        raise value.fail(f"unsupported TLS version '{version}'; it is 1.2 or 1.3")
    return version


_WEBSOCKET_TEXTS = {
    "jwt_cookie": "jwt_cookie",
    "user_cookie": "user_cookie",
    "pass_cookie": "password_cookie",
    "token_cookie": "token_cookie",
}


def read_websocket(value: Value) -> WebSocketOptions:
    """Read a ``websocket`` block."""
    given: dict[str, Any] = {}
    without_tls = False
    for key, one in block(value).items():
        if key == "listen":
            given["host"], given["port"] = host_and_port(one)
        elif key in ("host", "net"):
            given["host"] = text(one)
        elif key == "port":
            given["port"] = integer(one)
        elif key == "no_tls":
            without_tls = flag(one)
        elif key == "tls":
            given["tls"] = read_tls(one)
        elif key == "same_origin":
            given["same_origin"] = flag(one)
        elif key in (
            "allowed_origins",
            "allowed_origin",
            "allow_origins",
            "allow_origin",
            "origins",
            "origin",
        ):
            given["allowed_origins"] = tuple(texts(one))
        elif key == "compression":
            given["compression"] = flag(one)
        elif key in ("handshake_timeout",):
            given["handshake_timeout"] = duration(one)
        elif key in _WEBSOCKET_TEXTS:
            given[_WEBSOCKET_TEXTS[key]] = text(one)
        else:
            refuse_unknown(one)
    if given.get("port", 0) and not without_tls and "tls" not in given:
        raise value.fail("websocket requires TLS configuration, or no_tls: true")
    return WebSocketOptions(**given)
