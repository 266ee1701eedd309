"""Pieces that the cluster's views share: how members, servers and events look and read."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from memphis_desktop.cluster.model import ClusterSnapshot
from memphis_desktop.cluster.raft.model import (
    GroupKey,
    GroupKind,
    GroupPeer,
    PeerStatus,
    Presence,
    Quorum,
    RaftGroup,
    ServerState,
)
from memphis_desktop.cluster.raft.timeline import JOINED, LEFT, SERVER_GONE, EventKind, LeaderEvent
from memphis_desktop.language import tr, tr_in
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.data_table import IconText
from memphis_desktop.ui.screen import Route

CROWN = "crown-simple-fill"
STATUS_ICON = {
    PeerStatus.LEADER: (CROWN, "accent"),
    PeerStatus.CURRENT: ("check", "good"),
    PeerStatus.LAGGING: ("hourglass-medium", "warning"),
    PeerStatus.OFFLINE: ("x-circle", "bad"),
    PeerStatus.OBSERVER: ("eye", "muted"),
}
STATUS_ORDER = {status: order for order, status in enumerate(PeerStatus)}
EVENT_ICON = {
    EventKind.SEEN: ("eye", "muted"),
    EventKind.ELECTED: (CROWN, "accent"),
    EventKind.LEADER_LOST: ("prohibit", "warning"),
    EventKind.QUORUM_LOST: ("warning-octagon", "bad"),
    EventKind.MEMBERS: ("users-three", "information"),
}


def kind_word(kind: GroupKind) -> str:
    """What a group replicates, in a word."""
    return {
        GroupKind.META: tr("meta"),
        GroupKind.STREAM: tr("station"),
        GroupKind.CONSUMER: tr("group"),
    }[kind]


def status_word(status: PeerStatus) -> str:
    """How a member stands, in a word."""
    return {
        PeerStatus.LEADER: tr("leader"),
        PeerStatus.CURRENT: tr("current"),
        PeerStatus.LAGGING: tr("lagging"),
        PeerStatus.OFFLINE: tr("offline"),
        PeerStatus.OBSERVER: tr("observer"),
    }[status]


def link_word(kind: str) -> str:
    """What kind of link it is, in words."""
    return {"route": tr("route"), "gateway": tr("gateway"), "leaf node": tr("leaf node")}.get(kind, kind)


def presence_mark(server: ServerState) -> tuple[str, str]:
    """How a server stands, as (token, word)."""
    if server.presence is Presence.SILENT:
        return "bad", tr("silent")
    if server.presence is Presence.STOPPED:
        return "bad", tr("stopped")
    if server.presence is Presence.UNKNOWN:
        return "muted", tr("unknown")
    if server.lame_duck:
        return "warning", tr("lame duck")
    if server.health not in (None, "ok"):
        return "warning", tr("unhealthy")
    return "good", tr_in("a server's state", "up")


def member_cell(group: RaftGroup, server: str) -> IconText | None:
    """How a server stands in a group; None when it is no member."""
    peer = group.on(server)
    return peer_cell(peer) if peer is not None else None


def peer_cell(peer: GroupPeer) -> IconText:
    """The picture and the words of a member."""
    icon, token = STATUS_ICON[peer.status]
    if peer.status is PeerStatus.LAGGING:
        return IconText(
            icon, token, tr("{lag} behind", lag=figures.integer(peer.lag)) if peer.lag else tr("not current")
        )
    if peer.status is PeerStatus.CURRENT and peer.lag:
        return IconText(icon, token, tr("{lag} behind", lag=figures.integer(peer.lag)))
    written = peer.status in (PeerStatus.LEADER, PeerStatus.OFFLINE, PeerStatus.OBSERVER)
    return IconText(icon, token, status_word(peer.status), written)


def member_order(group: RaftGroup, server: str) -> float | None:
    """Where a member stands when the matrix is ordered by a server: trouble last."""
    peer = group.on(server)
    return STATUS_ORDER[peer.status] * 1e9 + peer.lag if peer is not None else None


def quorum_mark(group: RaftGroup) -> tuple[str, str]:
    """Whether a group can decide, as (token, word)."""
    if group.quorum is Quorum.LOST:
        return "bad", tr("no quorum")
    if group.quorum is Quorum.NO_LEADER:
        return "bad", tr("no leader")
    if group.size == 1 and group.all_current:
        return "good", tr("single")
    present = tr("{present} of {size}", present=group.present, size=group.size)
    return "good" if group.all_current else "warning", present


def event_text(event: LeaderEvent) -> str:
    """What happened, in words."""
    leader, term = event.leader, event.term
    if event.kind is EventKind.ELECTED:
        if term is None:
            return tr("{leader} was elected", leader=leader)
        return tr("{leader} was elected, term {term}", leader=leader, term=term)
    if event.kind is EventKind.SEEN:
        if not leader:
            return tr("nobody was found leading")
        if term is None:
            return tr("{leader} was found leading", leader=leader)
        return tr("{leader} was found leading, term {term}", leader=leader, term=term)
    if event.kind is EventKind.LEADER_LOST:
        if event.text == SERVER_GONE:
            return tr("The leader was lost: its server is gone")
        return tr("The leader was lost")
    if event.kind is EventKind.QUORUM_LOST:
        return tr("The quorum was lost")
    return _members_text(event.text) or tr("The members changed")


def _members_text(told: str) -> str:
    """Who joined and who left, of what the timeline keeps in English."""
    parts = []
    for part in filter(None, told.split(", ")):
        name, _, what = part.rpartition(" ")
        if what == JOINED:
            parts.append(tr("{name} joined", name=name))
        elif what == LEFT:
            parts.append(tr("{name} left", name=name))
        else:
            parts.append(part)
    return ", ".join(parts)


def reading_words(snapshot: ClusterSnapshot) -> str:
    """How far the first reading of thousands of consumer groups is; empty when it is not under way."""
    account, reading = snapshot.account, snapshot.first_reading
    if account is None or reading is None:
        return ""
    total = figures.integer(max(account.consumers, len(snapshot.consumers)))
    known = figures.integer(len(snapshot.consumers))
    if reading.seconds_left is None:
        return tr("{known} of {total} consumer groups read", known=known, total=total)
    rest = figures.duration(max(1.0, 5 * round(reading.seconds_left / 5)))
    return tr(
        "{known} of {total} consumer groups read, the rest in about {rest}",
        known=known,
        total=total,
        rest=rest,
    )


def group_route(key: GroupKey) -> Route:
    """The place of a group in the matrix."""
    return Route(
        "cluster",
        {"tab": "groups", "kind": key.kind.value, "stream": key.stream, "consumer": key.consumer}
        | ({"account": key.account} if key.account else {}),
    )


def key_of_route(route: Route) -> GroupKey | None:
    """The group that a route names."""
    kind = route.get("kind")
    if kind not in {one.value for one in GroupKind}:
        return None
    return GroupKey(GroupKind(kind), route.get("stream"), route.get("consumer"), route.get("account"))


def since(nanoseconds: int | None) -> str:
    """How long ago, for how long something holds."""
    if nanoseconds is None:
        return figures.UNKNOWN
    return figures.duration(max(0.0, (time.time_ns() - nanoseconds) / 1e9))


def server_columns(snapshot: ClusterSnapshot, groups: Iterable[RaftGroup]) -> tuple[str, ...]:
    """The servers that the matrix has columns for: all that are known or are members."""
    names = set(snapshot.raft.servers)
    for group in groups:
        names.update(peer.server for peer in group.peers)
    return tuple(sorted(names))


def series_token(server: str, servers: Sequence[str]) -> str:
    """The colour that a server's leadership has."""
    return f"series{servers.index(server)}" if server in servers else "muted"
