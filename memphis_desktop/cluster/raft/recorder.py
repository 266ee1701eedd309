"""Turning what is read and told of leaders into events of the timeline. No input or output here."""

from __future__ import annotations

from memphis_desktop.cluster.model import ConsumerSnapshot, StreamSnapshot

from .groups import key_of
from .model import GroupKey
from .timeline import SERVER_GONE, EventKind, LeaderEvent, LeaderTimeline


class LeaderRecorder:
    """Knows what was seen in this run, so that a first look is not taken for an election."""

    def __init__(self, timeline: LeaderTimeline) -> None:
        self._timeline = timeline
        self._seen: set[GroupKey] = set()
        self._raft_groups: dict[GroupKey, str] = {}
        self._keys: dict[str, GroupKey] = {}

    def name(self, key: GroupKey, raft_group: str) -> None:
        """Note how a group is called in Raft."""
        if raft_group and self._raft_groups.get(key) != raft_group:
            self._raft_groups[key] = raft_group
            self._keys[raft_group] = key

    def raft_group(self, key: GroupKey) -> str:
        """Its name in Raft; empty when not known."""
        return self._raft_groups.get(key, "")

    def key_of(self, raft_group: str) -> GroupKey | None:
        """The group of a name in Raft."""
        return self._keys.get(raft_group)

    def knows(self, asset: StreamSnapshot | ConsumerSnapshot) -> bool:
        """Whether anything was noted of an asset's group."""
        return key_of(asset) in self._seen

    def leader(self, key: GroupKey, leader: str, since_ns: int | None, now: float) -> None:
        """A reading said who leads (nobody when empty), and perhaps since when."""
        latest = self._timeline.latest(key)
        first = key not in self._seen
        self._seen.add(key)
        since = min(now, since_ns / 1e9) if since_ns else None
        if not leader:
            if latest is None or latest.leader:
                self._timeline.note(LeaderEvent(now, key, EventKind.LEADER_LOST))
            return
        if latest is not None and latest.leader == leader and since is not None:
            if not first and since > latest.time + 1.5 and latest.kind is not EventKind.SEEN:
                self._timeline.note(LeaderEvent(since, key, EventKind.ELECTED, leader))
            return
        if latest is not None and latest.leader == leader:
            return
        moment = now if since is None else since
        if latest is not None and moment <= latest.time:
            moment = now  # it leads since before it was thought lost
        kind = EventKind.SEEN if first else EventKind.ELECTED
        self._timeline.note(LeaderEvent(moment, key, kind, leader))

    def elected(self, key: GroupKey, leader: str, now: float) -> None:
        """An advisory told of an election."""
        self._seen.add(key)
        self._timeline.note(LeaderEvent(now, key, EventKind.ELECTED, leader))

    def lost(self, key: GroupKey, moment: float) -> None:
        """The leader's server is gone."""
        latest = self._timeline.latest(key)
        if latest is not None and latest.time <= moment:
            self._timeline.note(LeaderEvent(moment, key, EventKind.LEADER_LOST, text=SERVER_GONE))

    def quorum_lost(self, key: GroupKey, moment: float) -> None:
        """Too few members are there."""
        self._timeline.note(LeaderEvent(moment, key, EventKind.QUORUM_LOST))

    def members(self, key: GroupKey, members: frozenset[str], now: float, leader: str) -> None:
        """A reading or an advisory said who belongs to a group."""
        self._timeline.note_members(key, members, now, leader)

    def term(self, key: GroupKey, leader: str, term: int, since_ns: int | None) -> None:
        """A leader told its term."""
        latest = self._timeline.latest(key)
        if latest is None or latest.leader != leader or latest.term == term:
            return
        if latest.term is not None and term < latest.term:
            return
        if latest.term is not None and since_ns and since_ns / 1e9 > latest.time + 1.5:
            self._timeline.note(LeaderEvent(since_ns / 1e9, key, EventKind.ELECTED, leader, term))
            return
        changed = self._timeline.set_term(latest, term)
        if changed is not None and self._timeline.on_event is not None:
            self._timeline.on_event(changed)

    def forget(self, key: GroupKey) -> None:
        """A stream or consumer was deleted."""
        self._seen.discard(key)
        self._keys.pop(self._raft_groups.pop(key, ""), None)
        self._timeline.forget(key)
