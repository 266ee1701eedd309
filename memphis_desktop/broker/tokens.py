"""Decentralised identities: JWTs of operators, accounts and users, signed with nkeys."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from memphis_desktop.broker import nkeys
from memphis_desktop.broker.options import (
    AccountOptions,
    AccountTrace,
    CalloutOptions,
    Export,
    Import,
    JetStreamAccountLimits,
    Latency,
    Mapping,
    PermissionRules,
    ResponseRule,
    SubjectRule,
)
from memphis_desktop.protocol import subjects

SECOND_NS = 1_000_000_000
_ALGORITHMS = ("ed25519-nkey", "ed25519")
_KINDS = (nkeys.OPERATOR, nkeys.ACCOUNT, nkeys.USER)


class TokenError(Exception):
    """A JWT cannot be read, is not signed by its issuer, or is not what was expected."""


@dataclass(frozen=True, slots=True)
class Claims:
    """A JWT whose signature is that of its issuer; whether the issuer may issue it is another question."""

    kind: str  # operator, account or user
    subject: str
    issuer: str
    issued_at: int  # seconds since 1970
    expires_at: int  # 0 is never
    not_before: int
    name: str
    body: dict[str, Any]  # what stands under "nats"
    audience: str = ""
    token: str = field(default="", repr=False)  # the JWT itself

    def valid_at(self, seconds: float) -> bool:
        """Return whether its time has come and is not over."""
        return (not self.expires_at or seconds < self.expires_at) and seconds >= self.not_before


def decode(token: str) -> Claims:
    """Read a JWT and check its signature against the issuer it names.

    Raises:
        TokenError: it is malformed or forged.
    """
    parts = token.strip().split(".")
    if len(parts) != 3:
        raise TokenError("a JWT has three parts")
    try:
        header, claims = (orjson.loads(decode_base64(part)) for part in parts[:2])
        signature = decode_base64(parts[2])
    except ValueError:
        raise TokenError("the JWT cannot be read") from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise TokenError("the JWT cannot be read")
    algorithm = str(header.get("alg", "")).lower()
    if algorithm not in _ALGORITHMS:
        raise TokenError("the JWT is not signed with Ed25519")
    issuer = _text(claims, "iss")
    # The first version signs the claims alone, the second the header too.
    signed = parts[1] if algorithm == "ed25519" else f"{parts[0]}.{parts[1]}"
    if not verify(issuer, signed.encode(), signature):
        raise TokenError("the JWT is not signed by its issuer")
    body = claims.get("nats") or {}
    if not isinstance(body, dict):
        raise TokenError("the JWT has no claims")
    return Claims(
        kind=_text(body, "type") or _text(claims, "type"),
        subject=_text(claims, "sub"),
        issuer=issuer,
        issued_at=_number(claims, "iat", 0),
        expires_at=_number(claims, "exp", 0),
        not_before=_number(claims, "nbf", 0),
        name=_text(claims, "name"),
        body=body,
        audience=_text(claims, "aud"),
        token=token.strip(),
    )


def decode_base64(text: str) -> bytes:
    """Decode base64 in either alphabet, with or without padding.

    Raises:
        ValueError: it is not base64.
    """
    plain = text.strip().rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None


def verify(public_key: str, message: bytes, signature: bytes) -> bool:
    """Return whether `signature` is that of the holder of an operator's, account's or user's key."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    for kind in _KINDS:
        try:
            key = nkeys.decode_public(kind, public_key)
        except ValueError:
            continue
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True
    return False


# -- what is in the claims -----------------------------------------------------------------------------------
def signing_keys(claims: Claims) -> dict[str, dict[str, Any] | None]:
    """Return the keys that may sign for an operator or account; a scoped key carries its template."""
    keys: dict[str, dict[str, Any] | None] = {claims.subject: None}
    for entry in _list(claims.body, "signing_keys"):
        if isinstance(entry, str):
            keys[entry] = None
        elif isinstance(entry, dict) and isinstance(entry.get("key"), str):
            template = entry.get("template")
            keys[entry["key"]] = template if isinstance(template, dict) else {}
    return keys


def revoked(account: Claims, user: Claims) -> bool:
    """Return whether the account has revoked this user's JWT."""
    revocations = account.body.get("revocations") or {}
    if not isinstance(revocations, dict):
        return False
    times = [revocations.get(name) for name in (user.subject, "*")]
    return any(isinstance(moment, int) and user.issued_at <= moment for moment in times)


def tags(claims: Claims) -> tuple[str, ...]:
    """Return the tags of a user or an account."""
    return tuple(str(one) for one in _list(claims.body, "tags"))


def disallows_bearers(account: Claims) -> bool:
    """Return whether an account's users always have to sign the nonce."""
    limits = account.body.get("limits")
    return isinstance(limits, dict) and limits.get("disallow_bearer") is True


def may_use(body: dict[str, Any], kind: str) -> bool:
    """Return whether a user may come by this kind of connection."""
    types = _list(body, "allowed_connection_types")
    return not types or kind in [str(one).upper() for one in types]


def permissions(body: dict[str, Any]) -> PermissionRules | None:
    """Return the permissions in a user's claims or a template; None when there are none."""
    rules = PermissionRules(
        publish=_subject_rule(body.get("pub")),
        subscribe=_subject_rule(body.get("sub")),
        responses=_responses(body.get("resp")),
    )
    if rules.responses is not None and rules.publish.allow is None and not rules.publish.deny:
        rules = replace(rules, publish=SubjectRule(allow=()))
    return None if rules == PermissionRules() else rules


def _subject_rule(given: Any) -> SubjectRule:
    if not isinstance(given, dict):
        return SubjectRule()
    allow, deny = (tuple(str(one) for one in _list(given, key)) for key in ("allow", "deny"))
    return SubjectRule(allow=allow or None, deny=deny)


def _responses(given: Any) -> ResponseRule | None:
    if not isinstance(given, dict):
        return None
    return ResponseRule(
        _number(given, "max", 1) or 1, (_number(given, "ttl", 0) or 120 * SECOND_NS) / SECOND_NS
    )


def callout(account: Claims) -> CalloutOptions | None:
    """Return what an account's claims say about asking a service of its own who may come in."""
    given = account.body.get("authorization")
    if not isinstance(given, dict):
        return None
    users = tuple(str(one) for one in _list(given, "auth_users"))
    if not users:
        return None
    return CalloutOptions(
        issuer=account.subject,
        account=account.subject,
        auth_users=users,
        xkey=_text(given, "xkey"),
        allowed_accounts=tuple(str(one) for one in _list(given, "allowed_accounts")),
    )


def account_options(claims: Claims) -> AccountOptions:
    """Return what an account's claims say about it; the account is named by its key."""
    limits = claims.body.get("limits") or {}
    options = AccountOptions(
        name=claims.subject,
        name_tag=claims.name,
        nkey=claims.subject,
        signing_keys=tuple(signing_keys(claims)),
        exports=tuple(_export(one) for one in _list(claims.body, "exports") if isinstance(one, dict)),
        imports=tuple(_import(one) for one in _list(claims.body, "imports") if isinstance(one, dict)),
        mappings=_mappings(claims.body.get("mappings")),
        max_connections=_number(limits, "conn", -1),
        max_subscriptions=_number(limits, "subs", -1),
        max_payload=_number(limits, "payload", -1),
        default_permissions=permissions(claims.body.get("default_permissions") or {}),
        trace=_trace(claims.body.get("trace")),
    )
    tiers = limits.get("tiered_limits")
    if isinstance(tiers, dict) and tiers:
        listed = sorted((name, one) for name, one in tiers.items() if isinstance(one, dict))
        named = tuple((name, _jetstream_limits(one, tiered=True)) for name, one in listed)
        options = replace(options, jetstream=JetStreamAccountLimits(tiers=named))
    elif _number(limits, "mem_storage", 0) or _number(limits, "disk_storage", 0):
        options = replace(options, jetstream=_jetstream_limits(limits))
    return options


def _trace(given: Any) -> AccountTrace | None:
    if not isinstance(given, dict) or not subjects.is_literal(_text(given, "destination").encode()):
        return None
    return AccountTrace(_text(given, "destination"), _number(given, "sampling", 0) or 100)


def _jetstream_limits(limits: dict[str, Any], *, tiered: bool = False) -> JetStreamAccountLimits:
    unlimited = 0 if tiered else -1
    return JetStreamAccountLimits(
        max_memory=_number(limits, "mem_storage", 0),
        max_storage=_number(limits, "disk_storage", 0),
        max_streams=_number(limits, "streams", unlimited),
        max_consumers=_number(limits, "consumer", unlimited),
        max_ack_pending=_number(limits, "max_ack_pending", 0) or -1,
        memory_max_stream_bytes=_number(limits, "mem_max_stream_bytes", 0) or -1,
        storage_max_stream_bytes=_number(limits, "disk_max_stream_bytes", 0) or -1,
        max_bytes_required=bool(limits.get("max_bytes_required")),
    )


def _export(given: dict[str, Any]) -> Export:
    response = _text(given, "response_type").lower() or "singleton"
    return Export(
        kind=_text(given, "type"),
        subject=_text(given, "subject"),
        response_type=response if response in ("singleton", "stream", "chunked") else "singleton",
        response_threshold=(_number(given, "response_threshold", 0) or 120 * SECOND_NS) / SECOND_NS,
        latency=_latency(given.get("service_latency")),
        account_token_position=_number(given, "account_token_position", 0),
        token_required=given.get("token_req") is True,
        revocations=_revocations(given.get("revocations")),
    )


def _latency(given: Any) -> Latency | None:
    if not isinstance(given, dict) or not subjects.is_literal(_text(given, "results").encode()):
        return None
    return Latency(_text(given, "results"), _number(given, "sampling", 0))


def _revocations(given: Any) -> tuple[tuple[str, int], ...]:
    if not isinstance(given, dict):
        return ()
    return tuple((key, moment) for key, moment in given.items() if isinstance(moment, int))


def activates(exporter: AccountOptions, export: Export, imported: Import, importer: str, now: float) -> bool:
    """Return whether an import's token permits it: the exporter issued it to this importer for this subject.

    Args:
        exporter: the account that exports.
        export: what it exports, with what it revoked.
        imported: the import, with its token.
        importer: the key of the account that imports.
        now: seconds since 1970.
    """
    try:
        claims = decode(imported.token)
    except TokenError:
        return False
    if claims.kind != "activation" or claims.subject != importer or not claims.valid_at(now):
        return False
    if claims.issuer not in (exporter.nkey, *exporter.signing_keys):
        return False
    behalf = _text(claims.body, "issuer_account")
    if claims.issuer != exporter.nkey and behalf not in ("", exporter.nkey):
        return False
    subject = _text(claims.body, "subject").encode()
    kind = _text(claims.body, "kind") or imported.kind
    if kind != imported.kind or not subjects.is_valid(subject):
        return False
    if not subjects.is_subset(imported.subject.encode(), subject):
        return False
    return not any(
        key in (importer, "*") and claims.issued_at <= moment for key, moment in export.revocations
    )


def _import(given: dict[str, Any]) -> Import:
    kind, subject = _text(given, "type"), _text(given, "subject")
    local = _text(given, "local_subject")
    to = _text(given, "to")
    if kind == "service" and to and not local:
        subject, local = to, subject  # in old claims `to` is the exporter's side
    elif to and not local:
        local = to
    share = given.get("share") is True
    return Import(kind, _text(given, "account"), subject, local, share=share, token=_text(given, "token"))


def _mappings(given: Any) -> tuple[Mapping, ...]:
    if not isinstance(given, dict):
        return ()
    found = []
    for source, destinations in given.items():
        if isinstance(destinations, list):
            targets = [
                (_text(one, "subject"), _number(one, "weight", 100) or 100)
                for one in destinations
                if isinstance(one, dict)
            ]
            found.append(Mapping(str(source), tuple(targets)))
    return tuple(found)


def _text(given: dict[str, Any], key: str) -> str:
    value = given.get(key)
    return value if isinstance(value, str) else ""


def _number(given: dict[str, Any], key: str, default: int) -> int:
    value = given.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def _list(given: dict[str, Any], key: str) -> list[Any]:
    value = given.get(key)
    return value if isinstance(value, list) else []
