"""What a user's JWT, or the template of the key that signed it, says about when, whence and what."""

from __future__ import annotations

import ipaddress
import itertools
import re
from datetime import datetime, time, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from memphis_desktop.broker.tokens import Claims, TokenError, tags
from memphis_desktop.protocol import subjects

_TEMPLATE = re.compile(r"\{\{.*?\}\}")
_TAG = re.compile(r"(account-tag|tag)\((.*)\)")
# As many subjects may come of one rule with tags.
_MOST_SUBJECTS = 4096


# -- when and whence -----------------------------------------------------------------------------------------
def may_come_from(body: dict[str, Any], address: str) -> bool:
    """Return whether a user may come from this address: ``src`` lists networks, none is everywhere."""
    given = body.get("src")
    networks = given.split(",") if isinstance(given, str) else given
    if not isinstance(networks, list) or not networks:
        return True
    try:
        host = ipaddress.ip_address(address)
        return any(host in ipaddress.ip_network(str(one).strip(), strict=False) for one in networks)
    except ValueError:
        return False


def may_come_at(body: dict[str, Any], seconds: float) -> tuple[bool, int]:
    """Return whether a user may come at this time, and until when (seconds since 1970, 0 for ever).

    ``times`` lists times of the day, in the zone that ``times_location`` names; none is always.
    """
    ranges = body.get("times")
    if not isinstance(ranges, list) or not ranges:
        return True, 0
    try:
        zone: tzinfo | None = ZoneInfo(str(body["times_location"])) if body.get("times_location") else None
        now = datetime.fromtimestamp(seconds, zone)
        ends = [end for one in ranges if (end := _end_of(one, now)) is not None]
    except (ValueError, OSError, KeyError, TypeError):
        return False, 0
    return (True, int(max(ends).timestamp())) if ends else (False, 0)


def _end_of(given: Any, now: datetime) -> datetime | None:
    """Return when the time of day ends that `now` falls into; None when it does not."""
    start, end = (
        datetime.combine(now.date(), time.fromisoformat(given[key]), now.tzinfo) for key in ("start", "end")
    )
    if start < now < end:
        return end
    if start > end:  # past midnight
        if now < end:
            return end
        if start < now:
            return end + timedelta(days=1)
    return None


# -- templates of scoped signing keys ------------------------------------------------------------------------
def fill_template(template: dict[str, Any], user: Claims, account: Claims) -> dict[str, Any]:
    """Return a scoped key's template with what it says of a user filled into its subjects.

    Raises:
        TokenError: a rule that denies makes no subject, or an operation is unknown.
    """
    filled = dict(template)
    for side in ("pub", "sub"):
        rule = template.get(side)
        if not isinstance(rule, dict):
            continue
        allow = _fill(rule.get("allow"), user, account, strict=False)
        deny = _fill(rule.get("deny"), user, account, strict=True)
        if rule.get("allow") and not allow:
            deny.append(">")
        filled[side] = {"allow": allow, "deny": deny}
    return filled


def _fill(rules: Any, user: Claims, account: Claims, *, strict: bool) -> list[str]:
    found: list[str] = []
    for rule in rules if isinstance(rules, list) else ():
        pattern = str(rule)
        operations = _TEMPLATE.findall(pattern)
        if not operations:
            found.append(pattern)
            continue
        values = [_values(one[2:-2].strip(), user, account) for one in operations]
        for chosen in itertools.islice(itertools.product(*values), _MOST_SUBJECTS + 1):
            subject = pattern
            for operation, value in zip(operations, chosen, strict=True):
                subject = subject.replace(operation, value)
            if subjects.is_valid(subject.encode()):
                found.append(subject)
            elif strict:
                raise TokenError(f"the template makes an invalid subject of {pattern!r}")
        if strict and not all(values):
            raise TokenError(f"the template makes no subject of {pattern!r}")
    if len(found) > _MOST_SUBJECTS:
        raise TokenError("the template makes too many subjects")
    return found


def _values(operation: str, user: Claims, account: Claims) -> list[str]:
    simple = {
        "name()": user.name,
        "subject()": user.subject,
        "account-name()": account.name,
        "account-subject()": account.subject,
    }
    value = simple.get(operation.lower())
    if value is not None:
        return [value]
    tag = _TAG.fullmatch(operation)
    if tag is None:
        raise TokenError(f"the template's operation {operation!r} is not known")
    claims = account if tag[1] == "account-tag" else user
    parted = (one.partition(":") for one in tags(claims))
    return [value for name, _, value in parted if name == tag[2].lower() and value]
