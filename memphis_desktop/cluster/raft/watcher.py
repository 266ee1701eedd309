"""Watching a cluster's servers and its consensus, beside the polling rounds and never waiting for an answer.

Each second one question goes to all servers; who does not answer it is not there. With the system account
servers tell of themselves (VARZ, HEALTHZ), of Raft (RAFTZ) and of their links, the more of it the more is
looked at. Advisories and the readings of streams and consumers say who leads; all of it is noted in the
timeline. Questions are published with a reply subject and their answers taken when they come.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from memphis_desktop.cluster import permitted
from memphis_desktop.cluster.budget import PollBudget
from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.cluster.history import ServerKey
from memphis_desktop.cluster.model import ConsumerSnapshot, StreamSnapshot
from memphis_desktop.cluster.server_stats import ServerStatistics
from memphis_desktop.cluster.state import ClusterState
from memphis_desktop.language import tr

from . import reading
from .groups import consumer_key, group_of, meta_group, stream_key
from .liveness import Liveness
from .model import META, GroupKey, GroupKind, MetaGroup, Presence, Quorum, RaftNode, RaftSnapshot, ServerState
from .questions import ASK_EVERY, Questions, Wants
from .recorder import LeaderRecorder
from .servers import CONFIRM, PATIENCE, LinkTable, Server, ServerTable
from .timeline import LeaderTimeline

if TYPE_CHECKING:
    from memphis_desktop.cluster.session import Session

log = logging.getLogger(__name__)

TICK = 0.25
NAME_EVERY = 10.0
NODES_KEPT = 30.0  # seconds
OCCUPIED = 3.0  # seconds that a server may take for a long answer before its silence counts
PUBLISH_LATEST = 1.2  # seconds after which news are told though a round of readings hangs
CONNECTIONS = "$SYS.REQ.SERVER.PING.CONNZ"  # who is connected: of the own account, for ordinary ones
SYSTEM_EVENTS = ("$SYS.SERVER.*.SHUTDOWN", "$SYS.SERVER.*.LAMEDUCK", "$SYS.SERVER.*.STATSZ")
SYSTEM_ADVISORIES = ("$JS.EVENT.ADVISORY.DOMAIN.LEADER_ELECTED", "$JS.EVENT.ADVISORY.SERVER.REMOVED")
FOREIGN_ADVISORIES = (
    "$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED.*",
    "$JS.EVENT.ADVISORY.STREAM.QUORUM_LOST.*",
    "$JS.EVENT.ADVISORY.CONSUMER.LEADER_ELECTED.*.*",
    "$JS.EVENT.ADVISORY.CONSUMER.QUORUM_LOST.*.*",
)


class RaftWatcher:
    """The watch over one session's cluster."""

    def __init__(self, session: Session, state: ClusterState, budget: PollBudget) -> None:
        self._session = session
        self._state = state
        self._budget = budget
        self.timeline = LeaderTimeline()
        self._recorder = LeaderRecorder(self.timeline)
        self._statistics = ServerStatistics(session, state, self._take_account_answer)
        self._table = ServerTable()
        self._links = LinkTable()
        self._nodes: dict[str, dict[str, RaftNode]] = {}
        self._meta: MetaGroup | None = None
        self._foreign_answers: dict[str, Mapping[str, Any]] = {}
        self._questions = Questions(state, budget)
        self._task: asyncio.Task[None] | None = None
        self._liveness, self._system_liveness = Liveness(), Liveness()
        self._learning: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._changed = False
        self._urgent = False  # who is there or who leads has changed: told at once, else with the next round
        self._confirmed: set[str] = set()
        self._absent: set[str] = set()  # servers whose graphs have a gap now
        self._watching_since = 0.0
        self._unsubscribe: Callable[[], None] | None = None
        self.user: permitted.UserInfo | None = None  # as whom the server takes us, where it tells

    # Control

    def start(self) -> None:
        """Begin to watch."""
        if self._task is None:
            self._state.on_group = self._take_asset
            self._state.on_gone = self._forget_group
            self._unsubscribe = self._session.subscribe_advisories(self._take_advisory)
            self._task = asyncio.create_task(self._run(), name="watch the cluster")

    async def stop(self) -> None:
        """End it."""
        task, self._task = self._task, None
        learning, self._learning = self._learning, None
        if learning is not None:
            learning.cancel()
            await asyncio.gather(learning, return_exceptions=True)
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._statistics.stop()
        await self._liveness.stop()
        await self._system_liveness.stop()
        self._questions.system = None

    def set_wants(self, owner: Hashable, wants: Wants | None) -> None:
        """Set what one view looks at; None when it is hidden."""
        self._questions.want(owner, wants)
        if not self._questions.links_wanted:
            self._links.clear()

    @property
    def account(self) -> str:
        """The account of the connection, where the server tells."""
        return self._questions.account

    @property
    def groups_of(self) -> str:
        """The account whose Raft groups are asked for: that which holds the streams."""
        return self._questions.owner or self._questions.account

    @property
    def system_client(self) -> Client | None:
        """The connection that sees whole servers; None without."""
        return self._questions.system

    @property
    def may_see_clients(self) -> bool:
        """Whether this login may ask who is connected, as far as that is known."""
        return self.system_client is not None or self.user is None or self.user.publish.permit(CONNECTIONS)

    @contextlib.contextmanager
    def occupied(self, name: str) -> Iterator[None]:
        """A server works on a long answer, so that others come late; some patience with it."""
        server = self._table.servers.get(name)
        if server is not None:
            server.occupied_until = time.monotonic() + OCCUPIED
        try:
            yield
        finally:
            if server is not None:
                server.occupied_until = time.monotonic() + 2 * PATIENCE

    async def wait_ready(self) -> None:
        """Wait until it is known whether the system account can be used."""
        await self._ready.wait()

    # Rounds

    async def _run(self) -> None:
        with contextlib.suppress(NatsError, ClusterError):
            await self._statistics.listen()
            await self._find_system()
        self._ready.set()
        self._changed = True
        while self._task is asyncio.current_task():
            try:
                await self._tick()
            except (NatsError, ClusterError) as error:
                log.debug("watching the cluster: %s", error)
            except Exception:
                log.exception("watching the cluster failed")
            await asyncio.sleep(TICK)

    async def _tick(self) -> None:
        now = time.monotonic()
        if not self._session.connected:
            self._watching_since = 0.0
            if any(server.presence is Presence.HERE for server in self._table.servers.values()):
                self._table.unknown()
                self._changed = self._urgent = True
        else:
            if self._questions.due("account", ASK_EVERY, now):
                self._budget.spend()
                self._table.asked(now)
                await self._statistics.ask()
                self._liveness.asked(self._session.nats)
                self._system_liveness.asked(self._session.system)
            await self._questions.ask(now)
            if not self._questions.account and self._questions.due("account name", NAME_EVERY, now):
                self._learning = asyncio.create_task(self._learn_account(), name="learn the account")
            if self._table.judge(now):
                self._changed = self._urgent = True
                self._state.take_absence(self._table_gone())
                self._questions.soon("HEALTHZ")  # what do the others say?
                self._session.interrupt_reading()
            self._confirm_losses(now)
            self._note_watched()
            self._table.forget_old(now, self._members())
        late = now - self._session.published_at >= PUBLISH_LATEST
        if self._urgent or (self._changed and late):
            self._urgent = False
            self._session.publish_snapshot()

    def _members(self) -> frozenset[str]:
        meta = self._meta
        return frozenset(meta.peer_ids) if meta is not None else frozenset()

    # Who may be asked

    async def _find_system(self) -> None:
        """Use the profile's second login, or the connection itself when its account is the system account."""
        session = self._session
        own = session.nats
        await self._learn_account()
        candidate: Client | None = session.system
        if candidate is None and await self._is_system(own):
            candidate = own
        if candidate is None:
            return
        self._questions.owner = await self._exporter_of_the_api(candidate)
        self._questions.system = candidate
        self._questions.inbox = candidate.new_inbox()
        await candidate.subscribe(f"{self._questions.inbox}.*", cb=self._take_system_answer)
        for subject in SYSTEM_EVENTS:
            await candidate.subscribe(subject, cb=self._take_event)
        for subject in (*SYSTEM_ADVISORIES, *(FOREIGN_ADVISORIES if candidate is own else ())):
            await candidate.subscribe(subject, cb=self._take_system_advisory)

    async def _exporter_of_the_api(self, system: Client) -> str:
        """The account that holds the streams, where the connection's has only imported their API."""
        subject = f"{self._session.profile.api_prefix}.INFO"
        if subject == "$JS.API.INFO" or not self._questions.account:
            return ""
        body = orjson.dumps({"account": self._questions.account})
        try:
            answer = await system.request("$SYS.REQ.SERVER.PING.ACCOUNTZ", body, timeout=2.0)
            return reading.exporter(orjson.loads(answer.data), subject)
        except (TimeoutError, NatsError, ClusterError, orjson.JSONDecodeError, AttributeError, TypeError):
            return ""  # then terms stay unknown

    async def _learn_account(self) -> None:
        """Ask which account the connection is of; a busy server may not answer in time."""
        with contextlib.suppress(ClusterError, orjson.JSONDecodeError, AttributeError, TypeError):
            answer = orjson.loads((await self._session.request("$SYS.REQ.USER.INFO", timeout=2.0)).data)
            data = answer.get("data") or {}
            self._questions.account = str(data.get("account") or "")
            self.user = permitted.parse(data)

    async def _is_system(self, client: Client) -> bool:
        try:
            message = await client.request("$SYS.REQ.SERVER.PING.IDZ", timeout=1.0)
            return "id" in orjson.loads(message.data)
        except (TimeoutError, NatsError, ClusterError, orjson.JSONDecodeError, TypeError):
            return False  # an ordinary account: nobody listens there for it

    # Answers

    def _take_account_answer(
        self, answer: Mapping[str, Any], rates: tuple[float | None, ...], connections: int, slow: int
    ) -> None:
        with contextlib.suppress(KeyError, TypeError):
            server = self._answered(answer)
            server.take_account((rates[0], rates[1], rates[2], rates[3]), connections, slow)
            self._changed = True

    def _answered(self, answer: Mapping[str, Any]) -> Server:
        generation = self._table.generation
        server = self._table.answered(reading.identity(answer), time.monotonic(), time.time_ns())
        if self._table.generation != generation:
            self._urgent = True
            self._confirmed.discard(server.identity.name)
            self._session.interrupt_reading()
            self._session.refresh()
        return server

    async def _take_system_answer(self, message: Msg) -> None:
        if message.headers and message.headers.get("Status"):
            return
        with contextlib.suppress(orjson.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError):
            answer = orjson.loads(message.data)
            server = self._answered(answer)
            self._take(message.subject.rpartition(".")[2], server, answer)
            self._changed = True

    def _take(self, kind: str, server: Server, answer: Mapping[str, Any]) -> None:
        now, data = time.monotonic(), answer.get("data") or {}
        name = server.identity.name
        if kind == "VARZ":
            server.take_varz(data, now)
            self._take_meta(name, (data.get("jetstream") or {}).get("meta") or {})
        elif kind == "HEALTHZ":
            server.health = reading.health(answer)
        elif kind == "RAFTZ":
            for node in reading.raft_nodes(name, answer, time.time_ns()):
                self._nodes.setdefault(node.group, {})[name] = node
                self._take_term(node)
        elif kind == "ROUTEZ":
            self._links.take_routes(name, data, now)
        elif kind == "GATEWAYZ":
            self._links.take_gateways(name, data, now)
        elif kind == "LEAFZ":
            self._links.take_leafs(name, data, now)
        elif kind == "JSZ":
            self._foreign_answers[name] = answer
            self._take_meta(name, data.get("meta_cluster") or {})

    def _take_meta(self, server: str, meta: Mapping[str, Any]) -> None:
        told = reading.meta_group(server, meta, time.time_ns())
        if told is None:
            return
        known = self._meta
        if (
            known is not None
            and known.told_by_leader
            and not told.told_by_leader
            and time.time_ns() - known.read_at_ns < 2.5e9
            and told.leader in ("", known.leader)
        ):
            return  # the leader itself knows better, and told a moment ago
        if known is None or known.leader != told.leader:
            self._urgent = True
            self._session.interrupt_reading()
        if known is not None and told.told_by_leader:
            for name in known.peer_ids.keys() - told.peer_ids.keys():
                self._urgent |= self._table.removed(name)
        self._meta = told
        for peer in told.peers:
            self._table.expect(peer.name, time.monotonic())
        if self._can_lead(told) and (told.leader or told.told_by_leader or known is None):
            self._recorder.leader(META, told.leader, None, time.time())
        names = frozenset(told.peer_ids)
        if told.told_by_leader:
            self._recorder.members(META, names, time.time(), told.leader)

    def _can_lead(self, meta: MetaGroup) -> bool:
        """Whether who is said to lead can: one that is gone or alone is taken for it for some seconds."""
        gone = self._table_gone()
        there = {meta.leader, *(peer.name for peer in meta.peers)} - gone - {""}
        return meta.leader not in gone and (not meta.leader or len(there) >= meta.needed)

    def _take_term(self, node: RaftNode) -> None:
        if node.state == "leader":
            key = META if node.group == "_meta_" else self._recorder.key_of(node.group)
            if key is not None:
                self._recorder.term(key, node.server, node.term, node.leader_since_ns)

    async def _take_event(self, message: Msg) -> None:
        tokens = message.subject.split(".")
        server_id, event = tokens[2], tokens[3]
        now = time.monotonic()
        with contextlib.suppress(orjson.JSONDecodeError, KeyError, TypeError):
            if event == "STATSZ":
                self._answered(orjson.loads(message.data))
            elif event == "SHUTDOWN":
                if self._table.stopped(server_id, now):
                    self._state.take_absence(self._table_gone())
                    self._urgent = True
                    self._session.interrupt_reading()
            elif event == "LAMEDUCK":
                server = self._table.find(server_id)
                if server is not None:
                    server.lame_duck = True
            self._changed = True

    # Advisories and readings

    async def _take_system_advisory(self, message: Msg) -> None:
        with contextlib.suppress(orjson.JSONDecodeError):
            advisory = orjson.loads(message.data)
            if isinstance(advisory, dict):
                self._take_advisory(message.subject, advisory)

    def _take_advisory(self, subject: str, advisory: Mapping[str, Any]) -> None:
        tokens = subject.split(".")
        if len(tokens) < 5:
            return
        event = tokens[4]
        now = time.time()
        if event not in ("LEADER_ELECTED", "QUORUM_LOST"):
            return
        replicas = reading.peers_of(advisory.get("replicas") or ())
        leader = str(advisory.get("leader") or "")
        if tokens[3] == "DOMAIN":
            names = {str(r.get("peer")): str(r.get("name")) for r in advisory.get("replicas") or ()}
            self._recorder.elected(META, names.get(leader, leader), now)
            self._questions.soon("VARZ")
        else:
            key = GroupKey(
                GroupKind[tokens[3]],
                str(advisory.get("stream") or ""),
                str(advisory.get("consumer") or ""),
                str(advisory.get("account") or ""),
            )
            if event == "QUORUM_LOST":
                self._recorder.quorum_lost(key, now)
            else:
                self._recorder.elected(key, leader, now)
                self._recorder.members(key, frozenset(peer.name for peer in replicas), now, leader)
                self._want_term(key)
        self._changed = self._urgent = True

    def _want_term(self, key: GroupKey) -> None:
        if not key.account:
            self._questions.want_term(self._recorder.raft_group(key))

    def _take_asset(self, asset: StreamSnapshot | ConsumerSnapshot) -> None:
        """A stream or consumer was read and its leader or members are others than before."""
        if not asset.peers and not self._recorder.knows(asset):
            return  # nothing to elect with a single replica
        now = time.time()
        key = consumer_key(asset.stream, asset.name) if isinstance(asset, ConsumerSnapshot) else None
        key = key or stream_key(asset.name)
        self._recorder.name(key, asset.raft_group)
        leader = asset.leader or ""
        if leader not in self._table_gone():
            before = self.timeline.version
            self._recorder.leader(key, leader, asset.leader_since_ns, now)
            if self.timeline.version != before and self._watching_since:
                self._want_term(key)
        members = frozenset(peer.name for peer in asset.peers) | ({leader} if leader else frozenset())
        if leader:
            self._recorder.members(key, members, now, leader)

    def _forget_group(self, key: GroupKey) -> None:
        self._recorder.forget(key)

    def _table_gone(self) -> frozenset[str]:
        return frozenset(
            name
            for name, server in self._table.servers.items()
            if server.presence in (Presence.SILENT, Presence.STOPPED)
        )

    # Losses

    def _confirm_losses(self, now: float) -> None:
        """Note in the timeline what a server took with it that is gone for a while."""
        for name, server in self._table.servers.items():
            since = server.silent_since
            if since is None:
                self._confirmed.discard(name)
                continue
            if name in self._confirmed or now - since < CONFIRM:
                continue
            self._confirmed.add(name)
            moment = time.time() - (now - since)
            gone = self._table_gone()
            self._note_meta_loss(name, moment)
            for stream in list(self._state.streams.values()):
                self._note_loss(stream, name, gone, moment)
            for consumer in list(self._state.consumers.values()):
                self._note_loss(consumer, name, gone, moment)

    def _note_meta_loss(self, server: str, moment: float) -> None:
        group, latest = meta_group(self._state.raft), self.timeline.latest(META)
        if group is None:
            return
        if group.quorum is Quorum.LOST and group.on(server) is not None:
            self._recorder.quorum_lost(META, moment)
        elif latest is not None and latest.leader == server and not group.leader:
            self._recorder.lost(META, moment)

    def _note_loss(
        self, asset: StreamSnapshot | ConsumerSnapshot, server: str, gone: frozenset[str], moment: float
    ) -> None:
        if not asset.peers or (asset.leader != server and all(p.name != server for p in asset.peers)):
            return
        group = group_of(asset, gone)
        if group.quorum is Quorum.LOST:
            self._recorder.quorum_lost(group.key, moment)
        elif asset.leader == server:
            self._recorder.lost(group.key, moment)

    def _note_watched(self) -> None:
        now = time.time()
        self._watching_since = self._watching_since or now
        self.timeline.watch(self._watching_since, now)
        if self._session.store is not None and self._questions.due("watched", 10.0, time.monotonic()):
            self._session.store.keep_watched(self._watching_since, now)

    # Out

    def _record_figures(self, servers: Mapping[str, ServerState]) -> None:
        """Add each server's traffic to the history, about once a second; a gap from when it goes.

        While nothing is known of it, since this console has no connection, there is no sample: for some
        seconds that is no gap.
        """
        due = self._questions.due("figures", ASK_EVERY - TICK / 2, time.monotonic())
        now = time.time()
        for name, server in servers.items():
            here = server.presence is Presence.HERE
            if server.presence is Presence.UNKNOWN or (not due and (here or name in self._absent)):
                continue
            (self._absent.discard if here else self._absent.add)(name)
            key = ServerKey(name)
            if self._session.store is not None:
                self._session.store.watch(key, "")
            values = (
                server.in_messages_rate,
                server.out_messages_rate,
                server.in_bytes_rate,
                server.out_bytes_rate,
                None,
                server.connections,
                server.store_used,
                None,
                server.slow_consumers,
                server.answer_seconds,
            )
            self._session.history.record(key, now, (None, None, *(values if here else (None,) * 10)))

    def update(self) -> None:
        """Put what is known now into the state, for the next snapshot."""
        if not self._changed:
            return
        self._changed = False
        horizon, gone = time.time_ns() - int(NODES_KEPT * 1e9), self._table_gone()
        for group, nodes in list(self._nodes.items()):
            kept = {name: n for name, n in nodes.items() if n.read_at_ns >= horizon and name not in gone}
            if kept:
                self._nodes[group] = kept
            else:
                del self._nodes[group]
        ids = self._meta.peer_ids if self._meta is not None else {}
        servers = {
            name: self._table.servers[name].state(ids.get(name, "")) for name in sorted(self._table.servers)
        }
        self._record_figures(servers)
        errors = self._state.errors
        words = [errors[part] for part in ("account", "round", "streams") if self._state.server_said(part)]
        words += [one.health for one in servers.values() if one.here and one.health not in (None, "ok")]
        reason = next((text for text in words if text), "")
        foreign = (
            reading.foreign_groups(self._foreign_answers.values(), gone, time.time_ns())
            if self._foreign_answers and self._state.account is None
            else ()
        )
        self._state.raft = RaftSnapshot(
            servers=servers,
            meta=self._meta,
            system=self.system_client is not None,
            lacking="" if self.system_client is not None else _needs_system(),
            nodes={group: tuple(nodes.values()) for group, nodes in self._nodes.items()},
            links=tuple(link for link in self._links.all() if link.server not in gone),
            links_told=self._links.told,
            foreign=foreign,
            reason=reason,
            generation=self._table.generation,
        )


def _needs_system() -> str:
    return tr(
        "Whole servers, their links and the inside of Raft are seen by the system account only. Shown is "
        "what this account may see: who answers, its own traffic, and the groups of its streams and "
        "consumers."
    )
