"""The part of a configuration file about how connections come: TLS and WebSocket."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from memphis_desktop.broker.config_file import Value
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
from memphis_desktop.broker.options import ResolverTls, TlsOptions, WebSocketOptions


def read_tls(value: Value) -> TlsOptions:
    """Read a ``tls`` block."""
    given: dict[str, Any] = {}
    ciphers: Value | None = None
    insecure_allowed = False
    for key, one in block(value).items():
        if key in ("cert_file", "key_file", "ca_file"):
            given[key] = _file(one)
        elif key in ("certs", "certificates"):
            pairs = [_pair(part) for part in items(one)]
            given["further"] = tuple(pairs)
        elif key in ("verify", "verify_and_map"):
            given[key] = flag(one)
        elif key == "timeout":
            given["timeout"] = duration(one)
        elif key in ("handshake_first", "first", "immediate"):
            given["handshake_first"] = _handshake_first(one)
        elif key == "min_version":
            given["minimum_version"] = _tls_version(one)
        elif key == "cipher_suites":
            ciphers = one
        elif key == "allow_insecure_cipher_suites":
            insecure_allowed = flag(one)
        elif key == "curve_preferences":
            given["curve"] = _curve(one)
        elif key == "pinned_certs":
            given["pinned_certificates"] = frozenset(_pin(one, text(part)) for part in items(one))
        elif key == "connection_rate_limit":
            given["connection_rate_limit"] = max(integer(one), 0)
        elif key == "insecure":
            flag(one)  # what servers ask of clients' certificates is said by verify
        elif key == "ocsp_peer":
            raise one.fail("ocsp_peer is not supported")
        else:
            refuse_unknown(one)
    if ciphers is not None:
        given |= _ciphers(ciphers, insecure_allowed)
    if given.get("further"):
        if "cert_file" in given:
            raise value.fail("'cert_file' and 'certs' exclude each other")
        (given["cert_file"], given["key_file"]), *rest = given["further"]
        given["further"] = tuple(rest)
    for needed in ("cert_file", "key_file"):
        if needed not in given:
            raise value.fail(f"missing '{needed}' in TLS configuration")
    if given.get("verify_and_map"):
        given["verify"] = True
    return TlsOptions(**given)


def read_resolver_tls(value: Value) -> ResolverTls:
    """Read a ``resolver_tls`` block."""
    given: dict[str, Any] = {}
    for key, one in block(value).items():
        if key in ("cert_file", "key_file", "ca_file"):
            given[key] = _file(one)
        elif key == "insecure":
            given[key] = flag(one)
        elif key != "timeout":
            refuse_unknown(one)
    return ResolverTls(**given)


def _file(value: Value) -> Path:
    path = Path(text(value)).expanduser()
    if not path.is_file():
        raise value.fail(f"there is no file '{path}'")
    return path


def _pair(value: Value) -> tuple[Path, Path]:
    files: dict[str, Path] = {}
    for key, one in block(value).items():
        if key in ("cert_file", "key_file"):
            files[key] = _file(one)
        else:
            refuse_unknown(one)
    if len(files) != 2:
        raise value.fail("a certificate needs 'cert_file' and 'key_file'")
    return files["cert_file"], files["key_file"]


def _pin(value: Value, entry: str) -> str:
    if not _PIN.fullmatch(entry):
        raise value.fail(
            f"'pinned_certs' key {entry} does not look like hex-encoded sha256 of DER encoded "
            "SubjectPublicKeyInfo"
        )
    return entry.lower()


def _ciphers(value: Value, insecure_allowed: bool) -> dict[str, Any]:
    """Return the options for a list of cipher suites; those of TLS 1.3 are OpenSSL's to choose."""
    names = texts(value)
    if not names:
        raise value.fail("'cipher_suites' cannot be empty")
    chosen = []
    for name in names:
        if name in _TLS13_SUITES:
            continue
        known, insecure = _TLS12_SUITES.get(name), _INSECURE_SUITES.get(name)
        if known is None and insecure is None:
            raise value.fail(f"unrecognized cipher {name}")
        if insecure is not None and not insecure_allowed:
            raise value.fail(
                f"insecure cipher suites configured without 'allow_insecure_cipher_suites': {name}"
            )
        chosen.append(known or str(insecure))
    return {"ciphers": tuple(chosen)} if chosen else {"minimum_version": "1.3"}


def _curve(value: Value) -> str:
    """Return the curve when only one is wanted; of several OpenSSL takes which both sides like best."""
    names = texts(value)
    if not names:
        raise value.fail("'curve_preferences' cannot be empty")
    for name in names:
        if name not in _CURVES:
            raise value.fail(f"unrecognized curve preference {name}")
    return _CURVES[names[0]] if len(names) == 1 else ""


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


_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PIN = re.compile("[A-Fa-f0-9]{64}")
_CURVES = {
    "CurveP256": "prime256v1",
    "CurveP384": "secp384r1",
    "CurveP521": "secp521r1",
    "X25519": "X25519",
    "X25519MLKEM768": "",
    "SecP256r1MLKEM768": "",
    "SecP384r1MLKEM1024": "",
}
# Cipher suites by the names of the standard, with OpenSSL's.
_TLS13_SUITES = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
_TLS12_SUITES = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305": "ECDHE-ECDSA-CHACHA20-POLY1305",
}
_INSECURE_SUITES = {
    "TLS_RSA_WITH_RC4_128_SHA": "RC4-SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA": "DES-CBC3-SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA": "AES128-SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA": "AES256-SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256": "AES128-SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA": "ECDHE-ECDSA-RC4-SHA",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA": "ECDHE-RSA-RC4-SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA": "ECDHE-RSA-DES-CBC3-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256": "ECDHE-ECDSA-AES128-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256": "ECDHE-RSA-AES128-SHA256",
}
_WEBSOCKET_TEXTS = {
    "advertise": "advertise",
    "no_auth_user": "no_auth_user",
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
        elif key in ("compress", "compression"):
            given["compression"] = flag(one)
        elif key in ("handshake_timeout", "ping_interval"):
            given[key] = duration(one)
        elif key == "headers":
            given["headers"] = tuple(_header(part) for part in block(one).values())
        elif key in ("authorization", "authentication"):
            given |= _authorization(one)
        elif key in _WEBSOCKET_TEXTS:
            given[_WEBSOCKET_TEXTS[key]] = text(one)
        else:
            refuse_unknown(one)
    if given.get("port", 0) and not without_tls and "tls" not in given:
        raise value.fail("websocket requires TLS configuration, or no_tls: true")
    return WebSocketOptions(**given)


def _header(value: Value) -> tuple[str, str]:
    name, content = value.key, text(value)
    if name.lower() in ("host", "content-length", "connection", "upgrade", "nats-no-masking"):
        raise value.fail(f"invalid header '{name}' not allowed")
    if name.lower().startswith("sec-websocket-"):
        raise value.fail(f"invalid header '{name}', 'Sec-WebSocket-' prefix not allowed")
    if not _HEADER_NAME.fullmatch(name) or not content.isprintable():
        raise value.fail(f"'{name}' is no header")
    return name, content


def _authorization(value: Value) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for key, one in block(value).items():
        if key in ("user", "username"):
            given["user"] = text(one)
        elif key in ("pass", "password"):
            given["password"] = text(one)
        elif key == "token":
            given["token"] = text(one)
        elif key == "timeout":
            given["auth_timeout"] = duration(one)
        else:
            refuse_unknown(one)
    return given
