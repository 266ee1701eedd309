"""From servers' answers about an account to records. No input or output; missing keys are fine."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .model import Sharing, Usage, User
from .rules import of_server
from .token import TokenFacts

Json = Mapping[str, Any]

_ASSETS = ("storage", "memory", "streams", "consumers")
_OTHER_LIMITS = (
    "max_ack_pending",
    "storage_max_stream_bytes",
    "memory_max_stream_bytes",
)
# Imports that every account has of the system account, so that it can ask about itself.
_BUILT_IN = ("$SYS.REQ.", "$JS.API.", "$JS.")


def user(data: Json) -> User:
    """Who an answer to USER.INFO says it is; raises `TypeError`, `ValueError` or `AttributeError`."""
    account = str(data.get("account") or "")
    expires = data.get("expires")
    return User(
        name=str(data.get("user_name") or data.get("user") or ""),
        account=account,
        account_name=str(data.get("account_name") or account),
        rules=of_server(data.get("permissions")),
        expires_ns=time.time_ns() + int(expires) if expires else None,
    )


def jetstream(info: Json) -> Iterator[Usage]:
    """What is used of JetStream's limits, by tiers where there are any; raises as `user`."""
    tiers = info.get("tiers") or {}
    for tier, told in sorted(tiers.items()) or [("", info)]:
        limits = told.get("limits") or {}
        for name in _ASSETS:
            limit = int(limits.get(f"max_{name}", -1))
            if name in ("storage", "memory") and limit == 0 and not tier and tiers:
                continue
            yield Usage(name, int(told.get(name) or 0), limit, "jetstream", str(tier))
        for name in ("reserved_storage", "reserved_memory"):
            if told.get(name):
                limit = int(limits.get(name.replace("reserved", "max"), -1))
                yield Usage(name, int(told[name]), limit, "jetstream", str(tier))
        for name in _OTHER_LIMITS:
            if int(limits.get(name) or -1) > 0:
                yield Usage(name, None, int(limits[name]), "jetstream", str(tier))


def statistics(answers: Iterable[Json]) -> dict[str, int]:
    """The sums of what all servers told of the account (STATZ); raises as `user`."""
    found = dict.fromkeys(
        (
            "connections",
            "leafnodes",
            "subscriptions",
            "slow_consumers",
            "messages_in",
            "bytes_in",
            "messages_out",
            "bytes_out",
        ),
        0,
    )
    for answer in answers:
        for told in (answer.get("data") or {}).get("account_statz") or ():
            found["connections"] += int(told.get("conns") or 0)
            found["leafnodes"] += int(told.get("leafnodes") or 0)
            found["subscriptions"] += int(told.get("num_subscriptions") or 0)
            found["slow_consumers"] += int(told.get("slow_consumers") or 0)
            for side, end in (("received", "in"), ("sent", "out")):
                part = told.get(side) or {}
                found[f"messages_{end}"] += int(part.get("msgs") or 0)
                found[f"bytes_{end}"] += int(part.get("bytes") or 0)
    return found


def account_limits(totals: Mapping[str, int], token: TokenFacts | None) -> Iterator[Usage]:
    """Connections and the like, with the limits of the account's JWT where that is known."""
    limits = token.limits if token is not None else {}
    for key, name in (("connections", "conn"), ("leafnodes", "leaf"), ("subscriptions", "subs")):
        if key in totals or name in limits:
            yield Usage(key, totals.get(key), limits.get(name), "account")
    for key in ("payload", "data", "imports", "exports"):
        if int(limits.get(key, -1)) >= 0:
            used = len(getattr(token, key)) if key in ("imports", "exports") else None
            yield Usage(key, used, int(limits[key]), "account")


def user_limits(token: TokenFacts | None, max_payload: int | None) -> Iterator[Usage]:
    """The limits of the login itself: of its JWT, and the server's for a payload."""
    limits = token.limits if token is not None else {}
    for key in ("subs", "payload", "data"):
        if int(limits.get(key, -1)) >= 0:
            yield Usage({"subs": "subscriptions"}.get(key, key), None, int(limits[key]), "user")
    if int(limits.get("payload", -1)) < 0 and max_payload:
        yield Usage("payload", None, max_payload, "user")


def sharings(detail: Json) -> tuple[Sharing, ...]:
    """Exports and imports of an account's INFO, without those every account has; raises as `user`."""
    found = []
    for told in detail.get("exports") or ():
        notes = (
            [str(told["response_type"])] if told.get("response_type") not in (None, "", "Singleton") else []
        )
        notes += ["token required"] if told.get("token_req") or told.get("TokenReq") else []
        accounts = told.get("approved_accounts") or ()
        found.append(
            Sharing(
                "export",
                str(told.get("type") or ""),
                str(told.get("subject") or ""),
                account=", ".join(map(str, accounts)),
                note=", ".join(notes),
            )
        )
    for told in detail.get("imports") or ():
        local = str(told.get("local_subject") or told.get("to") or "")
        subject = str(told.get("subject") or "")
        if local.startswith(_BUILT_IN) and subject.startswith(_BUILT_IN):
            continue
        found.append(
            Sharing(
                "import",
                str(told.get("type") or ""),
                subject,
                local,
                str(told.get("account") or ""),
                invalid=bool(told.get("invalid")),
            )
        )
    return tuple(found)
