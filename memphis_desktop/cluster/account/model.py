"""An account as its servers tell it, as immutable records. -1 stands for no limit, None for not known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .rules import UserRules
from .token import TokenFacts


@dataclass(frozen=True, slots=True)
class Usage:
    """Something that is used up to a limit.

    Attributes:
        key: What it is: ``storage``, ``streams``, ``connections`` …
        used: How much of it; None where nobody tells.
        limit: How much there may be.
        group: ``jetstream``, ``account`` or ``user``: whose limit it is.
        tier: ``R1``, ``R3`` … where limits are by the number of replicas; else empty.
    """

    key: str
    used: int | None
    limit: int | None
    group: str
    tier: str = ""

    @property
    def share(self) -> float | None:
        """How much of the limit is used; None without one."""
        if self.used is None or self.limit is None or self.limit <= 0:
            return None
        return self.used / self.limit


@dataclass(frozen=True, slots=True)
class User:
    """As whom the server takes this connection.

    Attributes:
        name: The user's name, or its public key.
        account: The account; its name may differ from its key.
        account_name: What people call it.
        rules: What it may publish and subscribe to.
        expires_ns: When the login ends; None for never.
    """

    name: str
    account: str
    account_name: str
    rules: UserRules
    expires_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Sharing:
    """An export or import of the account.

    Attributes:
        direction: ``export`` or ``import``.
        kind: ``stream`` or ``service``.
        subject: The subject in the account that exports.
        local: What it is called in the account that imports; empty for the same.
        account: The other account; of an export, those it is for, empty for all.
        note: Further things: that it is invalid, wants a token, tracks latency.
        invalid: Whether the server cannot honour it.
    """

    direction: str
    kind: str
    subject: str
    local: str = ""
    account: str = ""
    note: str = ""
    invalid: bool = False


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """All that is known of the account of a connection.

    Attributes:
        user: As whom the server takes this connection; None where it does not tell.
        usages: What is used of what.
        sharings: Exports and imports; None where only the system account is told of them.
        token: What the login's own JWT says.
        token_problem: Why that cannot be read.
        account_token: What the account's JWT says, for the system account.
        api_errors: JetStream requests that failed since the servers started; of `api_total`.
        slow_consumers: Clients of the account that were too slow.
        totals: Messages and bytes that its clients sent and were sent, since the servers started.
        problems: Why parts are not known, by part.
        read_at_ns: When an answer came last.
    """

    user: User | None = None
    usages: tuple[Usage, ...] = ()
    sharings: tuple[Sharing, ...] | None = None
    token: TokenFacts | None = None
    token_problem: str = ""
    account_token: TokenFacts | None = None
    jetstream: bool | None = None
    api_errors: int | None = None
    api_total: int | None = None
    slow_consumers: int | None = None
    totals: Mapping[str, int] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    read_at_ns: int = 0
