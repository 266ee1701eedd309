"""What JWTs and creds files say: who issued them, for whom, until when, with what permissions and limits.

Only what the token says is kept, never the token itself and never a seed.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from memphis_desktop.cluster.connection import nsc_creds, parse_creds, read_text, resolve
from memphis_desktop.cluster.contexts import expand_path
from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.cluster.profiles import CredentialKind, Credentials
from memphis_desktop.language import tr

from .rules import UserRules, of_token

_SECOND = 1_000_000_000
_ED25519_KEY = slice(1, 33)  # of a decoded public key: between its kind and its checksum


class TokenError(ClusterError):
    """This is no JWT that can be read."""

    def __init__(self) -> None:
        super().__init__(tr("This is no JWT of a NATS operator, account or user."))


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """What a JWT says.

    Attributes:
        kind: ``operator``, ``account`` or ``user``.
        name: What its issuer calls its subject.
        subject: The public key that it is about.
        issuer: The public key that signed it.
        account: Of a user, the account's public key.
        issued_ns: When it was made.
        expires_ns: When it ends; None for never.
        not_before_ns: Before when it is not valid; None for always.
        genuine: Whether the signature is the issuer's.
        scoped: Whether the permissions come from the account's signing key, at the server.
        bearer: Whether the JWT alone lets in, without a seed.
        limits: Limits as they are written in the JWT, by name; -1 is none.
        rules: Permissions; of an account, those of users without their own.
        tags: As the issuer wrote them.
        networks: From where the user may come; empty for everywhere.
        times: At what times of the day; empty for always.
        connection_types: The ways in that are allowed; empty for all.
        exports, imports: Of an account, as they are written.
        signing_keys: Of an account or operator, public keys that may sign too.
    """

    kind: str
    name: str
    subject: str
    issuer: str
    account: str
    issued_ns: int | None
    expires_ns: int | None
    not_before_ns: int | None
    genuine: bool
    scoped: bool
    bearer: bool
    limits: Mapping[str, Any]
    rules: UserRules
    tags: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    times: tuple[str, ...] = ()
    connection_types: tuple[str, ...] = ()
    exports: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    imports: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    signing_keys: tuple[str, ...] = ()


def of_login(credentials: Credentials) -> TokenFacts | None:
    """What the JWT of a login says; None for a login without one.

    Reads files, so it belongs in a thread. Raises `TokenError`, and `ConnectionFailure` when a file cannot
    be read.
    """
    match credentials.kind:
        case CredentialKind.CREDS:
            text = _of_creds(credentials.creds_path)
        case CredentialKind.NSC:
            text = _of_creds(nsc_creds(credentials.nsc))
        case CredentialKind.JWT:
            text = resolve(credentials.user_jwt).strip()
        case _:
            return None
    return decode(text)


def of_file(path: str) -> TokenFacts:
    """What a creds file, or a file with a JWT, says; raises as `of_login`."""
    text = read_text(expand_path(path), tr("creds file")).strip()
    return decode(parse_creds(text, path)[0] if "---BEGIN" in text else text)


def decode(token: str) -> TokenFacts:
    """What a JWT says. Raises `TokenError` for what is none."""
    try:
        return _facts(token)
    except TokenError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise TokenError from error


def _of_creds(path: str) -> str:
    return parse_creds(read_text(expand_path(path), tr("creds file")), path)[0]


def _facts(token: str) -> TokenFacts:
    parts = token.split(".")
    if len(parts) != 3:
        raise TokenError
    claims = json.loads(_decoded(parts[1]))
    body = claims["nats"]
    kind = str(body.get("type") or claims.get("type") or "")
    if kind not in ("operator", "account", "user"):
        raise TokenError
    issuer = str(claims["iss"])
    rules = of_token((body.get("default_permissions") or {}) if kind == "account" else body)
    limits = body.get("limits") if kind == "account" else body
    return TokenFacts(
        kind=kind,
        name=str(claims.get("name") or ""),
        subject=str(claims["sub"]),
        issuer=issuer,
        account=str(body.get("issuer_account") or issuer) if kind == "user" else "",
        issued_ns=_time(claims.get("iat")),
        expires_ns=_time(claims.get("exp")),
        not_before_ns=_time(claims.get("nbf")),
        genuine=_is_genuine(issuer, _signed(parts), parts[2]),
        scoped=kind == "user" and not any(key in body for key in ("subs", "data", "payload")),
        bearer=bool(body.get("bearer_token")),
        limits=_limits(kind, limits or {}),
        rules=rules,
        tags=tuple(map(str, body.get("tags") or ())),
        networks=_texts(body.get("src")),
        times=tuple(f"{one.get('start')} – {one.get('end')}" for one in body.get("times") or ()),
        connection_types=tuple(map(str, body.get("allowed_connection_types") or ())),
        exports=_objects(body.get("exports")),
        imports=_objects(body.get("imports")),
        signing_keys=tuple(
            str(one.get("key") if isinstance(one, Mapping) else one) for one in body.get("signing_keys") or ()
        ),
    )


_USER_LIMITS = ("subs", "data", "payload")
_ACCOUNT_LIMITS = ("conn", "leaf", "subs", "data", "payload", "imports", "exports")
_JETSTREAM_LIMITS = ("mem_storage", "disk_storage", "streams", "consumer", "max_ack_pending")


def _limits(kind: str, told: Mapping[str, Any]) -> dict[str, Any]:
    if kind == "operator":
        return {}
    names = _USER_LIMITS if kind == "user" else (*_ACCOUNT_LIMITS, *_JETSTREAM_LIMITS)
    found = {name: int(told[name]) for name in names if isinstance(told.get(name), int)}
    for tier, values in (told.get("tiered_limits") or {}).items():
        for name in _JETSTREAM_LIMITS:
            if isinstance(values.get(name), int):
                found[f"{tier} {name}"] = int(values[name])
    return found


def _texts(told: Any) -> tuple[str, ...]:
    if isinstance(told, str):
        return tuple(filter(None, told.split(",")))
    return tuple(map(str, told or ()))


def _objects(told: Any) -> tuple[Mapping[str, Any], ...]:
    return tuple(one for one in told or () if isinstance(one, Mapping))


def _time(seconds: Any) -> int | None:
    return int(seconds) * _SECOND if seconds else None


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _signed(parts: list[str]) -> str:
    """What is signed: in the first version of these tokens the claims alone, since then the header too."""
    algorithm = str(json.loads(_decoded(parts[0])).get("alg") or "").lower()
    return parts[1] if algorithm == "ed25519" else f"{parts[0]}.{parts[1]}"


def _is_genuine(issuer: str, signed: str, signature: str) -> bool:
    from cryptography.exceptions import InvalidSignature  # here, since few logins have a JWT
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = base64.b32decode(issuer + "=" * (-len(issuer) % 8))[_ED25519_KEY]
        Ed25519PublicKey.from_public_bytes(key).verify(_decoded(signature), signed.encode())
    except (InvalidSignature, ValueError):
        return False
    return True
