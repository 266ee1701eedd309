"""The servers of a cluster as their answers come in: figures, rates, and who is there. No input or output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from memphis_desktop.cluster.counter import Counter
from memphis_desktop.cluster.times import parse_time

from .model import Link, Presence, ServerState
from .reading import Identity, seconds_of

Json = Mapping[str, Any]

PATIENCE = 0.6  # seconds within which a server answers, or is silent
CONFIRM = 2.0  # seconds of silence after which it counts as gone in the record
FORGET = 600.0  # seconds after which a silent server nobody counts on is dropped
_TRAFFIC = ("in_msgs", "out_msgs", "in_bytes", "out_bytes")

Rates = tuple[float | None, float | None, float | None, float | None]
NO_RATES: Rates = (None, None, None, None)


class _Traffic:
    """Four counters that rise together."""

    def __init__(self) -> None:
        self._counters = [Counter() for _ in range(4)]

    def read(self, values: tuple[int, int, int, int], now: float) -> Rates:
        a, b, c, d = (counter.read(value, now) for counter, value in zip(self._counters, values, strict=True))
        return a, b, c, d


class Server:
    """What is known of one server."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.answered_at = float("-inf")  # monotonic
        self.answered_at_ns = 0
        self.presence = Presence.UNKNOWN
        self.silent_since: float | None = None
        self.lame_duck = False
        self.health: str | None = None
        self.answer_seconds: float | None = None
        self.varz: Json = {}
        self.tells_itself = False  # by VARZ, before a restart perhaps
        self.occupied_until = float("-inf")  # monotonic; what it is asked meanwhile waits
        self.rates = NO_RATES
        self.connections: int | None = None
        self.slow_consumers: int | None = None
        self.api_rate: float | None = None
        self._traffic = _Traffic()
        self._api = Counter()

    @property
    def answers_always(self) -> bool:
        """Whether silence says anything: older ones answer only while a client of the account is there."""
        if self.varz:
            return True
        parts = self.identity.version.split(".")[:2]
        return len(parts) == 2 and all(p.isdigit() for p in parts) and tuple(map(int, parts)) >= (2, 10)

    def answer(self, identity: Identity, asked_at: float, now: float, now_ns: int) -> None:
        """It answered a question."""
        if identity.id != self.identity.id:  # it was started anew
            self.lame_duck = False
            self.health = None
            self.varz = {}
            self.rates = NO_RATES
            self._traffic, self._api = _Traffic(), Counter()
        self.identity = identity
        self.answered_at, self.answered_at_ns = now, now_ns
        self.silent_since = None
        self.answer_seconds = max(0.0, now - asked_at)

    def take_account(self, rates: Rates, connections: int, slow_consumers: int) -> None:
        """The own account's figures on it: what is shown while the server itself tells nothing."""
        if not self.tells_itself:
            self.rates, self.connections, self.slow_consumers = rates, connections, slow_consumers

    def take_varz(self, varz: Json, now: float) -> None:
        """Its own figures."""
        self.varz = varz
        self.tells_itself = True
        # Servers from 2.15 on count clients apart from routes, which is what a person means by traffic.
        keys = [f"{way}_client_{unit}" for way, unit in (key.split("_") for key in _TRAFFIC)]
        names = keys if keys[0] in varz else list(_TRAFFIC)
        a, b, c, d = (int(varz.get(name) or 0) for name in names)
        self.rates = self._traffic.read((a, b, c, d), now)
        self.connections = int(varz.get("connections") or 0)
        self.slow_consumers = int(varz.get("slow_consumers") or 0)
        api = ((varz.get("jetstream") or {}).get("stats") or {}).get("api") or {}
        self.api_rate = self._api.read(int(api.get("total") or 0), now)

    def state(self, peer: str) -> ServerState:
        """As a record."""
        varz = self.varz
        jetstream = varz.get("jetstream") or {}
        config, stats = jetstream.get("config") or {}, jetstream.get("stats") or {}
        api = stats.get("api") or {}
        return ServerState(
            name=self.identity.name,
            id=self.identity.id,
            cluster=self.identity.cluster,
            version=self.identity.version,
            tags=self.identity.tags,
            presence=self.presence,
            answered_at_ns=self.answered_at_ns,
            lame_duck=self.lame_duck,
            health=self.health,
            started_ns=parse_time(varz.get("start")),
            answer_seconds=self.answer_seconds,
            cpu_percent=varz.get("cpu"),
            cores=varz.get("cores"),
            memory=varz.get("mem"),
            connections=self.connections,
            subscriptions=varz.get("subscriptions"),
            in_messages_rate=self.rates[0],
            out_messages_rate=self.rates[1],
            in_bytes_rate=self.rates[2],
            out_bytes_rate=self.rates[3],
            slow_consumers=self.slow_consumers,
            store_used=stats.get("storage"),
            store_limit=config.get("max_storage"),
            memory_used=stats.get("memory"),
            memory_limit=config.get("max_memory"),
            api_total=api.get("total"),
            api_errors=api.get("errors"),
            api_rate=self.api_rate,
            groups=stats.get("ha_assets"),
            peer=peer,
        )


class ServerTable:
    """All servers, by name, and the judgement of who is there."""

    def __init__(self) -> None:
        self.servers: dict[str, Server] = {}
        self.generation = 0
        self._asked: list[float] = []  # the last questions that every server answers

    def asked(self, now: float) -> None:
        """A question went out to all."""
        self._asked = [*self._asked[-7:], now]

    @property
    def last_asked(self) -> float:
        """When the latest question went out."""
        return self._asked[-1] if self._asked else float("-inf")

    def answered(self, identity: Identity, now: float, now_ns: int) -> Server:
        """A server answered, to whatever it was."""
        server = self.servers.get(identity.name)
        if server is None:
            server = self.servers[identity.name] = Server(identity)
        server.answer(identity, self.last_asked, now, now_ns)
        if server.presence is not Presence.HERE:
            server.presence = Presence.HERE
            self.generation += 1
        return server

    def find(self, server_id: str) -> Server | None:
        """The server of an id."""
        return next((one for one in self.servers.values() if one.identity.id == server_id), None)

    def expect(self, name: str, now: float) -> None:
        """A server is a member of the cluster, though it was never heard of."""
        if name and name not in self.servers:
            server = Server(Identity(name, "", "", "", ()))
            server.presence = Presence.SILENT
            server.silent_since = now
            self.servers[name] = server
            self.generation += 1

    def stopped(self, server_id: str, now: float) -> bool:
        """A server said that it shuts down."""
        server = self.find(server_id)
        if server is None or server.presence is Presence.STOPPED:
            return False
        server.presence = Presence.STOPPED
        server.silent_since = now
        self.generation += 1
        return True

    def unknown(self) -> None:
        """There is no connection: nothing can be said of anybody."""
        for server in self.servers.values():
            if server.presence is Presence.HERE:
                server.presence = Presence.UNKNOWN
                server.silent_since = None
                self.generation += 1
        self._asked.clear()

    def judge(self, now: float) -> bool:
        """Find who did not answer a question that others did; True when the judgement changed."""
        due = [asked for asked in self._asked if asked <= now - PATIENCE]
        if not due:
            return False
        latest = due[-1]
        if all(server.answered_at < latest for server in self.servers.values()):
            return False  # nobody did: it is the question that got lost, or the connection
        changed = False
        for server in self.servers.values():
            if not server.answers_always or now < server.occupied_until:
                continue
            if server.answered_at < latest and server.presence in (Presence.HERE, Presence.UNKNOWN):
                server.presence = Presence.SILENT
                server.silent_since = max(server.answered_at, latest)
                changed = True
        if changed:
            self.generation += 1
        return changed

    def removed(self, name: str) -> bool:
        """A server was taken out of the cluster; True when it was gone already and is forgotten now."""
        server = self.servers.get(name)
        if server is None or server.presence not in (Presence.SILENT, Presence.STOPPED):
            return False
        del self.servers[name]
        self.generation += 1
        return True

    def forget_old(self, now: float, members: frozenset[str]) -> None:
        """Drop servers that are gone for long and are no members of the cluster."""
        for name, server in list(self.servers.items()):
            gone = server.silent_since is not None and now - server.silent_since > FORGET
            if gone and name not in members:
                del self.servers[name]
                self.generation += 1


class LinkTable:
    """Links between servers with their rates."""

    def __init__(self) -> None:
        self._traffic: dict[tuple[str, str, str], _Traffic] = {}
        self._of: dict[tuple[str, str], list[Link]] = {}

    def take(self, server: str, kind: str, found: list[tuple[str, str, Json]], now: float) -> None:
        """Take the links of one kind of a server as (remote, number, object)."""
        links = []
        for remote, number, link in found:
            key = (server, kind, number)
            traffic = self._traffic.get(key)
            if traffic is None:
                traffic = self._traffic[key] = _Traffic()
            a, b, c, d = (int(link.get(name) or 0) for name in _TRAFFIC)
            rates = traffic.read((a, b, c, d), now)
            address = f"{link.get('ip', '')}:{link.get('port', '')}" if link.get("ip") else ""
            links.append(
                Link(
                    server=server,
                    remote=remote,
                    kind=kind,
                    number=number,
                    account=str(link.get("account") or ""),
                    address=address,
                    rtt_seconds=seconds_of(link.get("rtt")),
                    uptime=str(link.get("uptime") or ""),
                    in_messages_rate=rates[0],
                    out_messages_rate=rates[1],
                    in_bytes_rate=rates[2],
                    out_bytes_rate=rates[3],
                    in_bytes=c,
                    out_bytes=d,
                    pending=int(link.get("pending_size") or link.get("pending_bytes") or 0),
                    subscriptions=int(link.get("subscriptions") or 0),
                    compression=str(link.get("compression") or ""),
                )
            )
        self._of[server, kind] = links

    def take_routes(self, server: str, data: Json, now: float) -> None:
        """Take an answer to ROUTEZ."""
        found = [
            (str(route.get("remote_name") or route.get("remote_id") or ""), str(route.get("rid")), route)
            for route in data.get("routes") or ()
        ]
        self.take(server, "route", found, now)

    def take_gateways(self, server: str, data: Json, now: float) -> None:
        """Take an answer to GATEWAYZ."""
        found = []
        for name, gateway in (data.get("outbound_gateways") or {}).items():
            connection = gateway.get("connection") or {}
            found.append((str(name), f"out {connection.get('cid')}", connection))
        for name, gateways in (data.get("inbound_gateways") or {}).items():
            for gateway in gateways or ():
                connection = gateway.get("connection") or {}
                found.append((str(name), f"in {connection.get('cid')}", connection))
        self.take(server, "gateway", found, now)

    def take_leafs(self, server: str, data: Json, now: float) -> None:
        """Take an answer to LEAFZ."""
        found = [
            (str(leaf.get("name") or ""), f"{leaf.get('ip')}:{leaf.get('port')}", leaf)
            for leaf in data.get("leafs") or ()
        ]
        self.take(server, "leaf node", found, now)

    @property
    def told(self) -> bool:
        """Whether any server has told of its links, be it that it has none."""
        return bool(self._of)

    def clear(self) -> None:
        """Nobody looks any more."""
        self._traffic.clear()
        self._of.clear()

    def all(self) -> tuple[Link, ...]:
        """Every link."""
        return tuple(link for key in sorted(self._of) for link in self._of[key])
