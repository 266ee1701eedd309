"""What is known of a cluster's servers and Raft groups at one moment: immutable records.

Times are nanoseconds since 1970 unless a name says otherwise. None means "not known", never zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from memphis_desktop.language import tr


@dataclass(frozen=True, slots=True)
class PeerSnapshot:
    """A follower in a Raft group, as its leader sees it."""

    name: str
    current: bool
    offline: bool
    active_ns: int
    lag: int


class GroupKind(Enum):
    """What a Raft group replicates."""

    META = "meta"
    STREAM = "stream"
    CONSUMER = "consumer"


class GroupKey(NamedTuple):
    """A Raft group: the meta group has no names; ``account`` is empty for the connection's own account."""

    kind: GroupKind
    stream: str = ""
    consumer: str = ""
    account: str = ""

    @property
    def label(self) -> str:
        """Fit to show."""
        if self.kind is GroupKind.META:
            return tr("Meta group")
        name = f"{self.stream} › {self.consumer}" if self.consumer else self.stream
        return f"{self.account}: {name}" if self.account else name


META = GroupKey(GroupKind.META)


class Presence(Enum):
    """Whether a server is there, as far as this console sees."""

    HERE = "answers"
    SILENT = "does not answer"
    STOPPED = "stopped"  # it said so itself when it shut down
    UNKNOWN = "unknown"  # this console is not connected, or has not asked yet


@dataclass(frozen=True, slots=True)
class ServerState:
    """One server of the cluster.

    Without system credentials traffic and connections are those of the own account on that server, and what
    only the server itself tells is None.
    """

    name: str
    id: str
    cluster: str = ""
    version: str = ""
    tags: tuple[str, ...] = ()
    presence: Presence = Presence.UNKNOWN
    answered_at_ns: int = 0
    lame_duck: bool = False
    health: str | None = None  # "ok", or what is wrong in the server's words
    started_ns: int | None = None
    answer_seconds: float | None = None  # from the question to its answer
    cpu_percent: float | None = None
    cores: int | None = None
    memory: int | None = None
    connections: int | None = None
    subscriptions: int | None = None
    in_messages_rate: float | None = None
    out_messages_rate: float | None = None
    in_bytes_rate: float | None = None
    out_bytes_rate: float | None = None
    slow_consumers: int | None = None
    store_used: int | None = None
    store_limit: int | None = None
    memory_used: int | None = None
    memory_limit: int | None = None
    api_total: int | None = None
    api_errors: int | None = None
    api_rate: float | None = None
    groups: int | None = None  # replicated streams and consumers it takes part in
    peer: str = ""  # its id in Raft

    @property
    def here(self) -> bool:
        """Whether it takes part: unknown counts as being there, since nothing says otherwise."""
        return self.presence in (Presence.HERE, Presence.UNKNOWN)


@dataclass(frozen=True, slots=True)
class MetaGroup:
    """The group that decides on streams and consumers, as its leader (or else a member) tells."""

    leader: str
    size: int
    needed: int
    peers: tuple[PeerSnapshot, ...]  # without the leader
    peer_ids: Mapping[str, str]  # server name -> Raft id
    pending: int = 0
    read_at_ns: int = 0
    told_by_leader: bool = False


@dataclass(frozen=True, slots=True)
class RaftPeer:
    """Another member of a group, in the eyes of one member."""

    name: str
    id: str
    last_index: int | None  # what it has replicated; only the leader knows
    last_seen_seconds: float | None


@dataclass(frozen=True, slots=True)
class RaftNode:
    """One member of a group, as it describes itself (RAFTZ)."""

    group: str  # "S-R3F-…", "C-R3F-…" or "_meta_"
    server: str
    id: str
    state: str
    size: int
    needed: int
    leader: str  # a server's name; empty while there is none
    term: int
    last_term: int  # of the newest entry of its log
    last_index: int
    committed: int
    applied: int
    log_entries: int
    log_bytes: int
    log_first: int
    log_error: str
    queued: int  # entries and proposals that wait in its queues
    observer: bool
    paused: bool
    catching_up: bool
    leader_since_ns: int | None
    peers: tuple[RaftPeer, ...]
    read_at_ns: int


@dataclass(frozen=True, slots=True)
class Link:
    """A connection between servers: a route, a gateway or a leaf node."""

    server: str
    remote: str
    kind: str
    number: str  # tells links of the same two servers apart
    account: str
    address: str
    rtt_seconds: float | None
    uptime: str
    in_messages_rate: float | None
    out_messages_rate: float | None
    in_bytes_rate: float | None
    out_bytes_rate: float | None
    in_bytes: int
    out_bytes: int
    pending: int
    subscriptions: int
    compression: str


class PeerStatus(Enum):
    """How a server stands in a group."""

    LEADER = "leader"
    CURRENT = "current"
    LAGGING = "lagging"
    OFFLINE = "offline"
    OBSERVER = "observer"


class Quorum(Enum):
    """Whether a group can decide."""

    HELD = "quorum"
    NO_LEADER = "no leader"
    LOST = "no quorum"


@dataclass(frozen=True, slots=True)
class GroupPeer:
    """A member of a group."""

    server: str
    status: PeerStatus
    lag: int = 0  # Raft entries behind the leader
    active_ns: int | None = None  # since the leader last heard of it


@dataclass(frozen=True, slots=True)
class RaftGroup:
    """A Raft group with what follows from the presence of its servers."""

    key: GroupKey
    raft_group: str
    size: int
    leader: str  # empty when there is none now
    last_leader: str  # who led when it was last read
    peers: tuple[GroupPeer, ...]  # the leader too
    quorum: Quorum
    leader_since_ns: int | None = None
    read_at_ns: int = 0
    moving: bool = False
    destination: tuple[str, ...] = ()  # the members it will have then, where the server tells
    progress: str = ""  # what that waits for, in the server's words

    @property
    def needed(self) -> int:
        """Members that must agree."""
        return self.size // 2 + 1

    @property
    def present(self) -> int:
        """Members that are there."""
        return sum(peer.status is not PeerStatus.OFFLINE for peer in self.peers)

    @property
    def worst_lag(self) -> int:
        """Entries that the slowest member is behind."""
        return max((peer.lag for peer in self.peers), default=0)

    @property
    def all_current(self) -> bool:
        """Whether there is a leader and everybody follows it closely."""
        fine = (PeerStatus.LEADER, PeerStatus.CURRENT, PeerStatus.OBSERVER)
        return self.quorum is Quorum.HELD and all(peer.status in fine for peer in self.peers)

    @property
    def problem(self) -> str:
        """What is wrong, in a few words; empty when nothing is."""
        if self.quorum is Quorum.LOST:
            return tr(
                "no quorum: {present} of {size} there, {needed} needed",
                present=self.present,
                size=self.size,
                needed=self.needed,
            )
        if self.quorum is Quorum.NO_LEADER:
            if not self.last_leader:
                return tr("no leader")
            return tr("no leader since {server} is gone", server=self.last_leader)
        gone = [peer.server for peer in self.peers if peer.status is PeerStatus.OFFLINE]
        if gone:
            return tr("offline: {servers}", servers=", ".join(gone))
        behind = [peer.server for peer in self.peers if peer.status is PeerStatus.LAGGING]
        return tr("behind: {servers}", servers=", ".join(behind)) if behind else ""

    def on(self, server: str) -> GroupPeer | None:
        """How a server stands in the group; None when it is no member."""
        return next((peer for peer in self.peers if peer.server == server), None)


@dataclass(frozen=True, slots=True)
class RaftSnapshot:
    """What is known of servers and consensus.

    Attributes:
        servers: By name. Empty on a server too old to answer such questions.
        meta: The meta group; None on a single server, or when nobody tells.
        system: Whether the system account answers, so that whole servers and Raft itself are seen.
        lacking: What is not seen and why, a sentence; empty when all is.
        nodes: Members' own descriptions by name of the Raft group, for the groups that were asked for.
        links: Links of the servers, while somebody looks at them.
        links_told: Whether any server has told of its links since somebody looks.
        foreign: Groups of other accounts, on a connection whose own account has no JetStream.
        reason: What the cluster itself last answered when it could not do its work.
        generation: Rises with every change of who is there.
    """

    servers: Mapping[str, ServerState] = field(default_factory=dict)
    meta: MetaGroup | None = None
    system: bool = False
    lacking: str = ""
    nodes: Mapping[str, tuple[RaftNode, ...]] = field(default_factory=dict)
    links: tuple[Link, ...] = ()
    links_told: bool = False
    foreign: tuple[RaftGroup, ...] = ()
    reason: str = ""
    generation: int = 0

    @property
    def clustered(self) -> bool:
        """Whether there is more than one server."""
        return len(self.servers) > 1 or self.meta is not None

    @property
    def gone(self) -> frozenset[str]:
        """Names of the servers that are not there."""
        return frozenset(name for name, server in self.servers.items() if not server.here)


NOTHING = RaftSnapshot()
