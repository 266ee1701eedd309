"""What a login may do, as the server tells it (``$SYS.REQ.USER.INFO``, nats-server 2.10 and later)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nats.aio.client import Client
from nats.errors import Error as NatsError

from memphis_desktop.language import tr, tr_count
from memphis_desktop.protocol.subjects import is_subset, overlaps

SUBJECT = "$SYS.REQ.USER.INFO"
_TIMEOUT = 2.0

# What the window needs, and the API requests it takes; each is asked of every stream.
_ABILITIES = {
    tr("list streams"): ("STREAM.LIST",),
    tr("list groups"): ("CONSUMER.LIST.*",),
    tr("read messages"): ("STREAM.MSG.GET.*", "DIRECT.GET.>"),
    tr("create streams"): ("STREAM.CREATE.*",),
    tr("create groups"): ("CONSUMER.CREATE.>",),
    tr("delete streams"): ("STREAM.DELETE.*",),
}


@dataclass(frozen=True, slots=True)
class UserInfo:
    """Who the server takes us for.

    Attributes:
        user: Its name for the user: a name or a public key.
        account: The account.
        publish: The patterns it may publish to and may not; None allows everything.
        subscribe: The same of subscriptions.
        expires_seconds: How long the login lasts; None for ever.
    """

    user: str
    account: str
    publish: Rules
    subscribe: Rules
    expires_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """Patterns that are allowed and denied; without any allowed ones everything is that is not denied."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()

    def permit(self, subject: str) -> bool:
        """Whether all of a subject, which may be a pattern, is permitted."""
        wanted = subject.encode()
        if any(overlaps(pattern.encode(), wanted) for pattern in self.deny):
            return False
        return not self.allow or any(is_subset(wanted, pattern.encode()) for pattern in self.allow)


async def user_info(client: Client) -> UserInfo | None:
    """Ask the server; None when it does not tell."""
    try:
        answer = json.loads((await client.request(SUBJECT, b"", timeout=_TIMEOUT)).data)
        return parse(answer["data"])
    except (NatsError, TimeoutError, ValueError, KeyError, TypeError):
        return None


def parse(data: Mapping[str, Any]) -> UserInfo:
    """Return what an answer says; raises `TypeError` or `ValueError` for one that makes no sense."""
    permissions = data.get("permissions") or {}
    expires = data.get("expires")
    return UserInfo(
        user=str(data.get("user_name") or data.get("user") or ""),
        account=str(data.get("account_name") or data.get("account") or ""),
        publish=_rules(permissions.get("publish")),
        subscribe=_rules(permissions.get("subscribe")),
        expires_seconds=float(expires) / 1e9 if expires else None,
    )


def _rules(values: Mapping[str, Any] | None) -> Rules:
    values = values or {}
    # A pattern for a queue group only ("foo group") says nothing of plain subscriptions.
    allow, deny = (
        tuple(str(pattern) for pattern in values.get(key) or () if " " not in str(pattern))
        for key in ("allow", "deny")
    )
    return Rules(allow, deny)


def abilities(info: UserInfo, api_prefix: str) -> tuple[Sequence[str], Sequence[str]]:
    """Return what may be done on every stream, and what may not."""
    may: list[str] = []
    may_not: list[str] = []
    for words, suffixes in _ABILITIES.items():
        allowed = any(info.publish.permit(f"{api_prefix}.{suffix}") for suffix in suffixes)
        (may if allowed else may_not).append(words)
    return may, may_not


def expiry(seconds: float | None) -> str:
    """Return in words when a login ends; empty when it does not."""
    if seconds is None:
        return ""
    when = datetime.fromtimestamp(datetime.now(UTC).timestamp() + seconds, UTC)
    days = int(seconds // 86400)
    hours = round(seconds / 3600)
    if days > 1:
        left = tr_count("{count} day", "{count} days", days)
    else:
        left = tr_count("{count} hour", "{count} hours", hours)
    return tr("expires {time} UTC, in {left}", time=f"{when:%Y-%m-%d %H:%M}", left=left)
