"""Raft groups of an account, from what streams and consumers tell and who is there. Pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from itertools import chain

from memphis_desktop.cluster.model import ClusterSnapshot, ConsumerSnapshot, StreamSnapshot
from memphis_desktop.language import tr

from .model import (
    META,
    GroupKey,
    GroupKind,
    GroupPeer,
    PeerSnapshot,
    PeerStatus,
    Quorum,
    RaftGroup,
    RaftSnapshot,
)


def stream_key(name: str) -> GroupKey:
    """The group of a stream of the own account."""
    return GroupKey(GroupKind.STREAM, name)


def consumer_key(stream: str, name: str) -> GroupKey:
    """The group of a consumer of the own account."""
    return GroupKey(GroupKind.CONSUMER, stream, name)


def key_of(asset: StreamSnapshot | ConsumerSnapshot) -> GroupKey:
    """The group of a stream or a consumer."""
    if isinstance(asset, StreamSnapshot):
        return stream_key(asset.name)
    return consumer_key(asset.stream, asset.name)


def group_of(asset: StreamSnapshot | ConsumerSnapshot, gone: Collection[str]) -> RaftGroup:
    """The group of a stream or consumer; `gone` are the servers that are not there."""
    return make_group(
        key_of(asset),
        asset.raft_group,
        asset.leader or "",
        asset.peers,
        gone,
        leader_since_ns=asset.leader_since_ns,
        read_at_ns=asset.read_at_ns,
        configured=int(asset.config.get("num_replicas") or 0),
        moving=asset.moving,
        destination=asset.destination,
        progress=asset.progress,
        lost=asset.leader_lost,
    )


def make_group(
    key: GroupKey,
    raft_group: str,
    leader: str,
    replicas: Iterable[PeerSnapshot],
    gone: Collection[str],
    *,
    leader_since_ns: int | None = None,
    read_at_ns: int = 0,
    configured: int = 0,
    moving: bool = False,
    destination: tuple[str, ...] = (),
    progress: str = "",
    needed: int = 0,
    lost: bool = False,
) -> RaftGroup:
    """Judge a group.

    Args:
        key: Which.
        raft_group: Its name in Raft.
        leader: Who leads, as last read; empty for nobody.
        replicas: The other members as the leader sees them.
        gone: Servers that are known not to be there, whatever was read before.
        leader_since_ns: Since when it leads.
        read_at_ns: When that was read.
        configured: Replicas that are wanted; counts when more than are seen.
        moving: Whether it is on its way to other servers.
        destination: The members it will have then, where the server tells.
        progress: What that waits for, in the server's words.
        needed: Members that must agree, when the group itself tells; else a majority.
        lost: Whether the leader's server went away since; it may be back, but it no longer leads.
    """
    members = [_follower(peer, gone) for peer in replicas]
    led = bool(leader) and leader not in gone and not lost
    if leader and leader in gone:
        members.append(GroupPeer(leader, PeerStatus.OFFLINE))
    elif leader:
        members.append(GroupPeer(leader, PeerStatus.LEADER if led else PeerStatus.LAGGING))
    members.sort(key=lambda peer: peer.server)
    size = max(len(members), 0 if moving else configured, 1)
    present = sum(peer.status is not PeerStatus.OFFLINE for peer in members)
    if members and present < (needed or size // 2 + 1):
        quorum = Quorum.LOST  # whoever led cannot decide on anything now
        members = [
            replace(m, status=PeerStatus.LAGGING) if m.server == leader and led else m for m in members
        ]
    elif not led:
        quorum = Quorum.NO_LEADER
    else:
        quorum = Quorum.HELD
    return RaftGroup(
        key=key,
        raft_group=raft_group,
        size=size,
        leader=leader if quorum is Quorum.HELD else "",
        last_leader=leader,
        peers=tuple(members),
        quorum=quorum,
        leader_since_ns=leader_since_ns,
        read_at_ns=read_at_ns,
        moving=moving,
        destination=destination,
        progress=progress,
    )


def _follower(peer: PeerSnapshot, gone: Collection[str]) -> GroupPeer:
    if peer.offline or peer.name in gone:
        status = PeerStatus.OFFLINE
    elif not peer.current:
        status = PeerStatus.LAGGING
    else:
        status = PeerStatus.CURRENT
    return GroupPeer(peer.name, status, peer.lag, peer.active_ns)


def meta_group(raft: RaftSnapshot) -> RaftGroup | None:
    """The meta group; None where there is none or nobody tells."""
    meta = raft.meta
    if meta is None:
        return None
    # Only the leader knows who is current; a follower lists all others but the leader as not current.
    peers = meta.peers if meta.told_by_leader else tuple(_unjudged(peer) for peer in meta.peers)
    return make_group(
        META,
        "_meta_",
        meta.leader,
        peers,
        raft.gone,
        read_at_ns=meta.read_at_ns,
        configured=meta.size,
        needed=meta.needed,
    )


def _unjudged(peer: PeerSnapshot) -> PeerSnapshot:
    return PeerSnapshot(peer.name, True, peer.offline, peer.active_ns, 0)


def observers_of(raft: RaftSnapshot) -> dict[str, frozenset[str]]:
    """Members that follow but never lead, as they say themselves, by name of the Raft group."""
    found = {name: frozenset(n.server for n in nodes if n.observer) for name, nodes in raft.nodes.items()}
    return {name: servers for name, servers in found.items() if servers}


def with_observers(group: RaftGroup, observers: Mapping[str, frozenset[str]]) -> RaftGroup:
    """A group with the members marked that never lead; the same object when there are none."""
    servers = observers.get(group.raft_group)
    if not servers:
        return group
    peers = (
        replace(peer, status=PeerStatus.OBSERVER)
        if peer.server in servers and peer.status is PeerStatus.CURRENT
        else peer
        for peer in group.peers
    )
    return replace(group, peers=tuple(peers))


class GroupTable:
    """All groups of a connection, made anew only where something changed since the call before."""

    def __init__(self) -> None:
        self._made: dict[object, tuple[StreamSnapshot | ConsumerSnapshot, RaftGroup]] = {}
        self._gone: frozenset[str] = frozenset()

    def update(self, snapshot: ClusterSnapshot) -> list[RaftGroup]:
        """Return the meta group first, then streams and consumers by name, R1 ones too when clustered."""
        gone = snapshot.raft.gone
        before = self._made if gone == self._gone else {}
        made: dict[object, tuple[StreamSnapshot | ConsumerSnapshot, RaftGroup]] = {}
        groups: list[RaftGroup] = []
        observers = observers_of(snapshot.raft)
        meta = meta_group(snapshot.raft)
        if meta is not None:
            groups.append(with_observers(meta, observers))
        assets: Iterable[tuple[object, StreamSnapshot | ConsumerSnapshot]]
        assets = chain(snapshot.streams.items(), snapshot.consumers.items())
        for key, asset in assets:
            if asset.clustered:
                known = before.get(key)
                same = known is not None and known[0] is asset
                entry = known if known is not None and same else (asset, group_of(asset, gone))
                made[key] = entry
                groups.append(with_observers(entry[1], observers) if observers else entry[1])
        self._made, self._gone = made, gone
        groups.extend(snapshot.raft.foreign)
        return groups


def leaders_held(groups: Iterable[RaftGroup]) -> dict[str, tuple[int, int, int]]:
    """How many groups each server leads, as (meta, streams, consumers)."""
    held: dict[str, tuple[int, int, int]] = {}
    place = {GroupKind.META: 0, GroupKind.STREAM: 1, GroupKind.CONSUMER: 2}
    for group in groups:
        if group.leader:
            counts = list(held.get(group.leader, (0, 0, 0)))
            counts[place[group.key.kind]] += 1
            held[group.leader] = (counts[0], counts[1], counts[2])
    return held


def leaders_of(snapshot: ClusterSnapshot) -> dict[str, tuple[int, int, int]]:
    """As `leaders_held`, counted straight from a snapshot: for where no groups are shown."""
    gone = snapshot.raft.gone
    streams = Counter(s.leader for s in snapshot.streams.values() if s.clustered and not s.leader_lost)
    consumers = Counter(c.leader for c in snapshot.consumers.values() if c.clustered and not c.leader_lost)
    meta = meta_group(snapshot.raft)
    leader = meta.leader if meta is not None else ""
    names = {name for name in (*streams, *consumers, leader) if name and name not in gone}
    return {name: (int(name == leader), streams[name], consumers[name]) for name in names}


def write_refusal(snapshot: ClusterSnapshot, stream: str = "") -> str:
    """Why a stream (or without one, the cluster) cannot be written to at this moment; empty if it can.

    What the servers themselves answered last is said too.
    """
    raft = snapshot.raft
    said = " " + tr("The server says: {reason}", reason=raft.reason) if raft.reason else ""
    asset = snapshot.streams.get(stream) if stream else None
    if asset is not None and asset.clustered and asset.is_read:
        group = group_of(asset, raft.gone)
        if group.quorum is not Quorum.HELD:
            return f"{stream}: {group.problem}.{said}"
    meta = meta_group(raft)
    if meta is not None and meta.quorum is not Quorum.HELD:
        return tr("The cluster's meta group has {problem}.", problem=meta.problem) + said
    return ""
