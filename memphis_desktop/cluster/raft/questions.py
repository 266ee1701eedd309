"""What the cluster's servers are asked, and how often: more of it the more is looked at."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import orjson
from nats.aio.client import Client

from memphis_desktop.cluster.budget import PollBudget
from memphis_desktop.cluster.state import ClusterState

ASK_EVERY = 1.0
META_EVERY = 1.0
FIGURES_AT_REST = 5.0
HEALTH_EVERY = 5.0
HEALTH_AT_REST = 30.0
RAFT_EVERY = 5.0  # all groups of the account
LINKS_EVERY = 2.0
FOREIGN_EVERY = 5.0
MANY_GROUPS = 150  # of more, only those that are looked at are asked for their Raft state
TERMS_EACH_TICK = 2


@dataclass(frozen=True, slots=True)
class Wants:
    """What a view looks at now.

    Attributes:
        servers: Figures of the servers each second.
        groups: The Raft state of all groups, while they are few.
        links: Routes, gateways and leaf nodes.
        raft_groups: Names in Raft of groups to look into each second.
    """

    servers: bool = False
    groups: bool = False
    links: bool = False
    raft_groups: tuple[str, ...] = ()


class Questions:
    """The questions of one session's watcher to the system account; answers come to its inbox, by kind."""

    def __init__(self, state: ClusterState, budget: PollBudget) -> None:
        self._state = state
        self._budget = budget
        self.system: Client | None = None
        self.inbox = ""
        self.account = ""  # of the connection
        self.owner = ""  # whose groups are asked for, where the API was imported from another account
        self.wants: dict[Hashable, Wants] = {}
        self._asked_at: dict[str, float] = {}
        self._terms: deque[str] = deque(maxlen=200)

    def want(self, owner: Hashable, wants: Wants | None) -> None:
        """Set what one view looks at; None when it is hidden."""
        if wants is None:
            self.wants.pop(owner, None)
        elif self.wants.get(owner) != wants:
            self.wants[owner] = wants
            self._asked_at.clear()  # ask at once

    @property
    def links_wanted(self) -> bool:
        """Whether anybody looks at links."""
        return any(one.links for one in self.wants.values())

    def want_term(self, raft_group: str) -> None:
        """Ask one group for its term when there is time."""
        if self.system is not None and raft_group:
            self._terms.append(raft_group)

    def soon(self, name: str) -> None:
        """Ask this at the next opportunity, however lately it was asked."""
        self._asked_at.pop(name, None)

    def due(self, name: str, every: float, now: float) -> bool:
        """Whether it is time again for something; from then on it is not."""
        if now - self._asked_at.get(name, float("-inf")) < every:
            return False
        self._asked_at[name] = now
        return True

    async def ask(self, now: float) -> None:
        """Ask what is due."""
        system = self.system
        if system is None or not system.is_connected:
            return
        wants = self.wants.values()
        looked_at = any(one.servers or one.groups for one in wants)
        if self.due("VARZ", ASK_EVERY if looked_at else FIGURES_AT_REST, now):
            await self._ping(system, "VARZ")
        if self.due("HEALTHZ", HEALTH_EVERY if looked_at else HEALTH_AT_REST, now):
            await self._ping(system, "HEALTHZ")
        if any(one.groups for one in wants):
            if self.due("meta", META_EVERY, now):
                await self._ping(system, "RAFTZ", group="_meta_")
            if self.due("groups", RAFT_EVERY, now) and self._group_count() <= MANY_GROUPS:
                await self._ping(system, "RAFTZ", account=self.owner or self.account)
        for group in {group for one in wants for group in one.raft_groups if group}:
            if self.due(f"group {group}", ASK_EVERY, now):
                await self._ask_group(system, group)
        for _ in range(min(TERMS_EACH_TICK, len(self._terms))):
            await self._ask_group(system, self._terms.popleft())
        if any(one.links for one in wants) and self.due("links", LINKS_EVERY, now):
            for kind in ("ROUTEZ", "GATEWAYZ", "LEAFZ"):
                await self._ping(system, kind)
        if self._state.account is None and looked_at and self.due("JSZ", FOREIGN_EVERY, now):
            await self._ping(system, "JSZ", accounts=True, streams=True, consumer=True, limit=64)

    async def _ask_group(self, system: Client, group: str) -> None:
        if group == "_meta_":
            await self._ping(system, "RAFTZ", group=group)
        else:
            await self._ping(system, "RAFTZ", account=self.owner or self.account, group=group)

    async def _ping(self, system: Client, what: str, **options: Any) -> None:
        """Ask all servers; they answer to the inbox of that kind."""
        self._budget.spend()
        body = orjson.dumps(options) if options else b""
        await system.publish(f"$SYS.REQ.SERVER.PING.{what}", body, reply=f"{self.inbox}.{what}")

    def _group_count(self) -> int:
        return sum(len(s.peers) > 0 for s in self._state.streams.values()) + sum(
            len(c.peers) > 0 for c in self._state.consumers.values()
        )
