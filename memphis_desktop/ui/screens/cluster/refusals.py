"""Why something cannot be done with the cluster at this moment: one sentence, or none when it can."""

from __future__ import annotations

from memphis_desktop.cluster.raft.groups import meta_group
from memphis_desktop.cluster.raft.model import GroupKind, Quorum, RaftGroup, ServerState
from memphis_desktop.language import tr
from memphis_desktop.ui.screen import ScreenContext

READ_ONLY = tr("This connection is read-only.")
NEEDS_SYSTEM = tr("Only the system account may do this. Add its login to the connection.")
OTHER_ACCOUNT = tr("This belongs to another account; only a user of that account may do this.")
UNDER_WAY = tr("Its members are changing already; cancel that, or wait until it is done.")
LEVEL_OF_EVACUATION = 5  # of the JetStream API: servers from 2.15 on


class Refusals:
    """What stands against each action, from what the connection knows now."""

    def __init__(self, context: ScreenContext) -> None:
        self._context = context

    @property
    def _read_only(self) -> str:
        return READ_ONLY if self._context.session.profile.read_only else ""

    @property
    def _api_level(self) -> int:
        account = self._context.session.snapshot.account
        return account.api_level if account is not None else 0

    def step_down_refusal(self, group: RaftGroup | None) -> str:
        """Why a group's leader cannot be asked to step down; empty when it can."""
        if group is None:
            return tr("Choose a group first.")
        if self._read_only:
            return self._read_only
        if group.key.kind is GroupKind.META and self._context.session.raft.system_client is None:
            return NEEDS_SYSTEM
        if group.key.account:
            return OTHER_ACCOUNT
        if group.size < 2:
            return tr("There is one copy only: nobody else could lead.")
        if group.quorum is Quorum.LOST:
            return tr("There is {problem}: nobody can be elected.", problem=group.problem)
        if group.quorum is Quorum.NO_LEADER:
            return tr("There is no leader now; an election is under way.")
        return ""

    def stream_refusal(self, group: RaftGroup | None) -> str:
        """Why a station cannot be moved, or its move be cancelled."""
        if group is None:
            return tr("Choose a group first.")
        if self._read_only:
            return self._read_only
        if group.key.kind is not GroupKind.STREAM:
            return tr("Only stations are scaled and moved; their groups go with them.")
        if group.key.account:
            return OTHER_ACCOUNT
        if group.quorum is not Quorum.HELD:
            return tr("Not possible now: {problem}.", problem=group.problem)
        meta = meta_group(self._context.session.snapshot.raft)
        if meta is not None and meta.quorum is not Quorum.HELD:
            return tr(
                "Not possible now: the meta group, which decides on members, has {problem}.",
                problem=meta.problem,
            )
        return ""

    def scale_refusal(self, group: RaftGroup | None) -> str:
        """Why a station cannot be scaled."""
        refusal = self.stream_refusal(group)
        if not refusal and group is not None and group.moving:
            return UNDER_WAY
        return refusal

    def remove_refusal(self, group: RaftGroup | None) -> str:
        """Why no member can be removed."""
        if group is not None and group.key.kind is GroupKind.META:
            if self._read_only:
                return self._read_only
            if self._context.session.raft.system_client is None:
                return NEEDS_SYSTEM
            if group.quorum is not Quorum.HELD:
                return tr("Not possible now: {problem}.", problem=group.problem)
            return "" if self._gone() else tr("Only a server that is gone can be removed from the cluster.")
        refusal = self.scale_refusal(group)
        if not refusal and group is not None and group.size < 2:
            return tr("There is one copy only.")
        return refusal

    def evacuate_refusal(self) -> str:
        """Why a server cannot be evacuated."""
        if self._read_only:
            return self._read_only
        if self._context.session.raft.system_client is None:
            return NEEDS_SYSTEM
        meta = meta_group(self._context.session.snapshot.raft)
        if meta is None or meta.quorum is not Quorum.HELD:
            problem = meta.problem if meta is not None else tr("there is no meta group")
            return tr("Not possible now: {problem}.", problem=problem)
        if self._api_level < LEVEL_OF_EVACUATION:
            return tr("These servers cannot; it takes version 2.15.")
        if len(self._leading()) < 2:
            return tr("There is no other server.")
        return ""

    def balance_refusal(self) -> str:
        """Why leaders cannot be balanced."""
        if self._read_only:
            return self._read_only
        return "" if len(self._leading()) > 1 else tr("There is one server only.")

    def _gone(self) -> list[ServerState]:
        """Members of the cluster that are not there."""
        raft = self._context.session.snapshot.raft
        members = raft.meta.peer_ids if raft.meta is not None else {}
        return [
            server for name, server in sorted(raft.servers.items()) if name in raft.gone and name in members
        ]

    def _leading(self) -> list[str]:
        """Servers that may lead."""
        servers = self._context.session.snapshot.raft.servers
        return [name for name, server in servers.items() if server.here and not server.lame_duck]
