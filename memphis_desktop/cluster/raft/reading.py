"""From servers' answers to system requests to records. No input or output; missing keys are fine."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from memphis_desktop.cluster.times import parse_time

from .groups import make_group
from .model import GroupKey, GroupKind, MetaGroup, PeerSnapshot, RaftGroup, RaftNode, RaftPeer

Json = Mapping[str, Any]

_DURATION = re.compile(r"([\d.]+)(ns|us|µs|μs|ms|[smhdwy])")
_SECONDS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
    "y": 31536000.0,
}


def seconds_of(text: object) -> float | None:
    """Seconds of a duration as Go writes it (``1.5ms``, ``1d2h3m4s``); None for what is none."""
    if not isinstance(text, str):
        return None
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    try:
        return sum(float(number) * _SECONDS[unit] for number, unit in parts)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Identity:
    """Who answered."""

    name: str
    id: str
    cluster: str
    version: str
    tags: tuple[str, ...]


def identity(answer: Json) -> Identity:
    """The `server` object of an answer. Raises `KeyError` or `TypeError` when there is none."""
    server = answer["server"]
    return Identity(
        name=str(server.get("name") or server["id"]),
        id=str(server["id"]),
        cluster=str(server.get("cluster") or ""),
        version=str(server.get("ver") or ""),
        tags=tuple(map(str, server.get("tags") or ())),
    )


def health(answer: Json) -> str | None:
    """``ok``, or what a server says is wrong with it."""
    data = answer.get("data") or {}
    status = data.get("status")
    if status is None:
        return None
    return "ok" if status == "ok" else str(data.get("error") or status)


def meta_group(server: str, meta: Json, read_at_ns: int) -> MetaGroup | None:
    """The meta group as a server tells it; None when that server has none."""
    size = int(meta.get("cluster_size") or 0)
    if not size:
        return None
    leader = str(meta.get("leader") or "")
    peers = tuple(peer for peer in peers_of(meta.get("replicas") or ()) if peer.name != leader)
    ids = {str(peer.get("name")): str(peer.get("peer") or "") for peer in meta.get("replicas") or ()}
    if leader and meta.get("peer"):
        ids[leader] = str(meta["peer"])
    if leader != server and leader:
        # A follower lists the others; it is a member itself.
        peers = (*(p for p in peers if p.name != server), PeerSnapshot(server, True, False, 0, 0))
    return MetaGroup(
        leader=leader,
        size=size,
        needed=int(meta.get("quorum_needed") or size // 2 + 1),
        peers=peers,
        peer_ids=ids,
        pending=int(meta.get("pending") or 0),
        read_at_ns=read_at_ns,
        told_by_leader=leader == server,
    )


def peers_of(replicas: Iterable[Json]) -> tuple[PeerSnapshot, ...]:
    """Followers in a list of PeerInfo."""
    return tuple(
        PeerSnapshot(
            name=str(peer.get("name") or ""),
            current=bool(peer.get("current")),
            offline=bool(peer.get("offline")),
            active_ns=int(peer.get("active") or 0),
            lag=int(peer.get("lag") or 0),
        )
        for peer in replicas
    )


def exporter(answer: Json, subject: str) -> str:
    """The account from which a subject was imported, as a server's answer to ACCOUNTZ tells; else empty."""
    detail = (answer.get("data") or {}).get("account_detail") or {}
    for one in detail.get("imports") or ():
        local = str(one.get("local_subject") or one.get("to") or one.get("subject") or "")
        if one.get("type") in ("service", 2) and covers(local, subject):
            return str(one.get("account") or "")
    return ""


def covers(pattern: str, subject: str) -> bool:
    """Whether a subject with wildcards takes in another; those of an import are ``*``, ``$1`` and ``>``."""
    tokens, parts = pattern.split("."), subject.split(".")
    for place, token in enumerate(tokens):
        if token == ">":
            return len(parts) > place
        any_token = token == "*" or (token.startswith("$") and token[1:].isdigit())
        if place >= len(parts) or not (any_token or token == parts[place]):
            return False
    return len(parts) == len(tokens)


def raft_nodes(server: str, answer: Json, read_at_ns: int) -> Iterator[RaftNode]:
    """Every group a server describes in its answer to RAFTZ."""
    for groups in (answer.get("data") or {}).values():
        for name, group in groups.items():
            yield raft_node(server, str(name), group, read_at_ns)


def raft_node(server: str, name: str, group: Json, read_at_ns: int) -> RaftNode:
    """One member's description of its group."""
    own = str(group.get("id") or "")
    peers = tuple(
        RaftPeer(
            name=str(peer.get("name") or peer_id),
            id=str(peer_id),
            last_index=peer.get("last_replicated_index"),
            last_seen_seconds=seconds_of(peer.get("last_seen")),
        )
        for peer_id, peer in (group.get("peers") or {}).items()
    )
    names = {peer.id: peer.name for peer in peers} | {own: server}
    leader = str(group.get("leader") or "")
    wal = group.get("wal") or {}
    queues = ("ipq_proposal_len", "ipq_entry_len", "ipq_resp_len", "ipq_apply_len")
    return RaftNode(
        group=name,
        server=server,
        id=own,
        state=str(group.get("state") or "").lower(),
        size=int(group.get("size") or 0),
        needed=int(group.get("quorum_needed") or 0),
        leader=names.get(leader, leader),
        term=int(group.get("term") or 0),
        last_term=int(group.get("pterm") or 0),
        last_index=int(group.get("pindex") or 0),
        committed=int(group.get("committed") or 0),
        applied=int(group.get("applied") or 0),
        log_entries=int(wal.get("messages") or 0),
        log_bytes=int(wal.get("bytes") or 0),
        log_first=int(wal.get("first_seq") or 0),
        log_error=str(group.get("wal_error") or ""),
        queued=sum(int(group.get(queue) or 0) for queue in queues),
        observer=bool(group.get("observer")),
        paused=bool(group.get("paused")),
        catching_up=bool(group.get("catching_up")),
        leader_since_ns=parse_time(group.get("leader_since")),
        peers=peers,
        read_at_ns=read_at_ns,
    )


def foreign_groups(answers: Iterable[Json], gone: frozenset[str], read_at_ns: int) -> tuple[RaftGroup, ...]:
    """Streams and consumers of all accounts in answers to JSZ, each as its leader tells, by name.

    A group that no server leads is told by any of its members.
    """
    found: dict[GroupKey, tuple[Json, bool]] = {}
    for answer in answers:
        server = identity(answer).name
        for key, info in _assets(answer):
            cluster = info.get("cluster") or {}
            leads = cluster.get("leader") == server
            if leads or key not in found:
                found[key] = (cluster, leads)
    return tuple(
        make_group(
            key,
            str(cluster.get("raft_group") or ""),
            str(cluster.get("leader") or ""),
            peers_of(cluster.get("replicas") or ()),
            gone,
            leader_since_ns=parse_time(cluster.get("leader_since")),
            read_at_ns=read_at_ns,
        )
        for key, (cluster, _) in sorted(found.items(), key=lambda item: item[0].label)
    )


def _assets(answer: Json) -> Iterator[tuple[GroupKey, Json]]:
    for account in (answer.get("data") or {}).get("account_details") or ():
        name = str(account.get("name") or "")
        for stream in account.get("stream_detail") or ():
            title = str(stream.get("name") or "")
            yield GroupKey(GroupKind.STREAM, title, "", name), stream
            for consumer in stream.get("consumer_detail") or ():
                yield GroupKey(GroupKind.CONSUMER, title, str(consumer.get("name") or ""), name), consumer
