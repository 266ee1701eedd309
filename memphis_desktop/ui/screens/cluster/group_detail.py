"""One Raft group in full: its state, its members, and who led it lately."""

from __future__ import annotations

import time
from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from memphis_desktop.cluster.model import ClusterSnapshot
from memphis_desktop.cluster.raft.model import (
    GroupKey,
    GroupKind,
    GroupPeer,
    Quorum,
    RaftGroup,
    RaftNode,
    RaftSnapshot,
)
from memphis_desktop.cluster.raft.timeline import LeaderEvent
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.data_table import Column, DataTable, IconText
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.cluster.parts import EVENT_ICON, event_text, peer_cell, quorum_mark, since
from memphis_desktop.ui.screens.cluster.steering import Steering
from memphis_desktop.ui.screens.station_facts import Facts
from memphis_desktop.ui.screens.station_parts import consumer_route, panel, station_route
from memphis_desktop.ui.theme.icons import beside_text, icon

EVENTS_SHOWN = 20
READ_EACH = 3.0  # seconds; a reading that is older than this was not followed by another


@dataclass(frozen=True, slots=True)
class MemberRow:
    """A member with what it says of itself and what its leader says of it."""

    peer: GroupPeer
    node: RaftNode | None
    replicated: int | None  # the last entry it is known to have
    heard: float | None  # seconds since its leader heard of it
    tags: tuple[str, ...]


class GroupDetail(QWidget):
    """Follows the group that was chosen."""

    def __init__(
        self,
        context: ScreenContext,
        steering: Steering,
        parent: QWidget | None = None,
        *,
        framed: bool = True,
    ) -> None:
        super().__init__(parent)
        self._context = context
        self._steering = steering
        self.group: RaftGroup | None = None
        self.title = PlainLabel("", "section", elide=Qt.TextElideMode.ElideMiddle)
        self.open_button = QPushButton(tr("Open"))
        self.open_button.clicked.connect(lambda: self.open_asset(self.group))
        self.problem = Banner("bad")
        self.problem.hide()
        self.facts = Facts(2)
        self.facts.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.step_down_button = QPushButton(tr("Step down"))
        beside_text(self.step_down_button, icon("arrows-down-up"))
        self.step_down_button.clicked.connect(self._step_down)
        self.scale_button = QPushButton(tr("Scale"))
        self.scale_button.clicked.connect(self._scale)
        self.move_button = QPushButton(tr("Move"))
        self.move_button.clicked.connect(self._move)
        self.remove_button = QPushButton(tr("Remove member"))
        self.remove_button.clicked.connect(self._remove)
        self.members = DataTable(
            [
                Column("server", tr("Server"), lambda r: r.peer.server, "mono", 90, stretch=True),
                Column(
                    "status", tr("Member"), lambda r: peer_cell(r.peer)._replace(written=True), "icon", 104
                ),
                Column(
                    "seen", tr("Heard"), lambda r: r.heard, "duration", 70, tr("Since its leader heard of it")
                ),
                Column("index", tr("Entry"), _index, "number", 80, tr("The last entry of its log")),
                Column("applied", tr("Applied"), lambda r: r.node and r.node.applied, "number", 80),
                Column("term", tr("Term"), lambda r: r.node and r.node.term, "number", 56),
                Column(
                    "log", tr("Log"), lambda r: r.node and r.node.log_bytes, "bytes", 76, tr("Bytes on disk")
                ),
                Column("tags", tr("Tags"), lambda r: ", ".join(r.tags), "text", 110, visible=False),
            ],
            lambda r: r.peer.server,
            "cluster_members",
        )
        self.members.setMinimumHeight(128)
        self.events = DataTable(
            [
                Column("time", tr("When"), lambda e: int(e.time * 1e9), "time", 92),
                Column("what", tr("What happened"), _event_cell, "icon", 180, stretch=True),
            ],
            lambda e: (e.time, e.kind),
            "cluster_group_events",
        )
        self._arrange(framed)
        self.show_group(None, context.session.snapshot)

    def _arrange(self, framed: bool) -> None:
        head = QHBoxLayout()
        head.addWidget(self.title, 1)
        head.addWidget(self.open_button)
        buttons = QHBoxLayout()
        buttons.setSpacing(theme.SPACE_2)
        for button in (self.step_down_button, self.scale_button, self.move_button, self.remove_button):
            buttons.addWidget(button)
        buttons.addStretch()
        inner = QVBoxLayout()
        inner.setContentsMargins(theme.SPACE_4, theme.SPACE_3, theme.SPACE_4, theme.SPACE_3)
        inner.setSpacing(theme.SPACE_3)
        if framed:
            inner.addLayout(head)
        inner.addWidget(self.problem)
        inner.addWidget(self.facts)
        inner.addLayout(buttons)
        frame = panel()
        column = frame.layout()
        assert isinstance(column, QVBoxLayout)
        column.addLayout(inner)
        if framed:
            column.addWidget(self.members, 2)
            column.addWidget(self.events, 3)
            layout = QVBoxLayout(self)
            layout.setContentsMargins(0, 0, 0, 0)
            layout.addWidget(frame)
            return
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE_4)
        layout.addWidget(frame)
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE_4)
        row.addWidget(panel(self.members, title=tr("Members"), tabular=True), 3)
        row.addWidget(panel(self.events, title=tr("Elections and losses"), tabular=True), 2)
        layout.addLayout(row, 1)

    # News

    def show_group(self, group: RaftGroup | None, snapshot: ClusterSnapshot) -> None:
        """Show a group as it is now."""
        self.group = group
        if group is None:
            self.title.setText("")
            for widget in (self.problem, self.facts, self.members, self.events, self.open_button):
                widget.hide()
            self._show_buttons(None)
            return
        for shown in (self.facts, self.members, self.events):
            shown.show()
        self.title.setText(group.key.label)
        self.open_button.setVisible(group.key.kind is not GroupKind.META and not group.key.account)
        kind = "bad" if group.quorum is not Quorum.HELD else "warning"
        if group.problem:
            text = f"{group.problem[:1].upper()}{group.problem[1:]}."
            said = snapshot.raft.reason
            self.problem.set_content(kind, f"{text} {said}" if said and kind == "bad" else text)
        self.problem.setVisible(bool(group.problem))
        nodes = {node.server: node for node in snapshot.raft.nodes.get(group.raft_group, ())}
        self.facts.set_facts(group_facts(group, nodes, snapshot.raft))
        self.members.set_rows(member_rows(group, nodes, snapshot.raft))
        self.members.set_state("ready")
        timeline = self._context.session.raft.timeline
        events = timeline.events(group.key)[-EVENTS_SHOWN:]
        self.events.set_rows(reversed(events))
        if events:
            self.events.set_state("ready")
        else:
            self.events.set_state("empty", tr("No election was seen yet."), icon="clock-counter-clockwise")
        self._show_buttons(group)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep room for a banner that needs more lines now."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Claim the height that the banner's lines need, which splitters do not ask for: nothing is cut."""
        layout = self.layout()
        assert layout is not None
        needed = layout.minimumHeightForWidth(self.width())
        if needed > 0 and needed != self.minimumHeight():
            self.setMinimumHeight(needed)

    def _show_buttons(self, group: RaftGroup | None) -> None:
        for button, refusal in (
            (self.step_down_button, self._steering.step_down_refusal(group)),
            (self.scale_button, self._steering.scale_refusal(group)),
            (self.move_button, self._steering.stream_refusal(group)),
            (self.remove_button, self._steering.remove_refusal(group)),
        ):
            button.setVisible(group is not None)
            button.setEnabled(not refusal)
            button.setToolTip(refusal)
        moving = group is not None and group.moving
        self.move_button.setText(tr("Cancel move") if moving else tr("Move"))

    # Doing

    def open_asset(self, group: RaftGroup | None) -> None:
        """Go to the station or the group."""
        if group is None or group.key.kind is GroupKind.META or group.key.account:
            return
        key: GroupKey = group.key
        route = consumer_route(key.stream, key.consumer) if key.consumer else station_route(key.stream)
        self._context.navigate(route)

    def _step_down(self) -> None:
        if self.group is not None:
            self._context.run(self._steering.step_down(self.group), tr("hand the leadership over"))

    def _scale(self) -> None:
        if self.group is not None:
            self._context.run(self._steering.scale(self.group), tr("scale the station"))

    def _move(self) -> None:
        if self.group is None:
            return
        if self.group.moving:
            self._context.run(self._steering.cancel_move(self.group), tr("cancel the move"))
        else:
            self._context.run(self._steering.move(self.group), tr("move the station"))

    def _remove(self) -> None:
        if self.group is not None:
            self._context.run(self._steering.remove_peer(self.group), tr("remove the member"))


def group_facts(group: RaftGroup, nodes: dict[str, RaftNode], raft: RaftSnapshot) -> list[tuple[str, str]]:
    """The state of a group, as (name, value)."""
    known = raft.nodes.get(group.raft_group)
    leader = nodes.get(group.leader) or max(nodes.values(), key=lambda n: n.committed, default=None)
    facts = [
        (tr("Leader"), group.leader or tr("none")),
        (tr("Led for"), since(group.leader_since_ns) if group.leader else figures.UNKNOWN),
        (tr("Quorum"), _quorum_fact(group)),
        (tr("Raft group"), group.raft_group or tr("none")),
    ]
    if leader is not None:
        facts += [
            (tr("Term"), figures.integer(leader.term)),
            (tr("Committed"), figures.integer(leader.committed)),
            (tr("Applied"), figures.integer(leader.applied)),
            (tr("Log"), figures.bytes_size(leader.log_bytes)),
            (tr("Entries"), figures.integer(leader.log_entries)),
            (tr("Queued"), figures.integer(leader.queued)),
        ]
        if leader.log_error:
            facts.append((tr("Log error"), leader.log_error))
    elif not raft.system:
        facts.append((tr("Term, log"), tr("not seen")))
    elif known is None and group.size == 1:
        facts.append((tr("Term, log"), tr("none: a single copy elects nobody")))
    if group.moving:
        facts.append((tr("Moving to"), ", ".join(group.destination) or tr("other servers")))
        if group.progress:
            facts.append((tr("Progress"), group.progress))
    if raft.meta is not None and group.key.kind is GroupKind.META:
        facts.append((tr("Pending"), figures.integer(raft.meta.pending)))
    return facts


def _quorum_fact(group: RaftGroup) -> str:
    if group.quorum is Quorum.LOST:
        return tr("none, {needed} needed", needed=group.needed)
    return tr("{there}, {needed} needed", there=quorum_mark(group)[1], needed=group.needed)


def member_rows(group: RaftGroup, nodes: dict[str, RaftNode], raft: RaftSnapshot) -> list[MemberRow]:
    """The members, the leader first."""
    leader = nodes.get(group.leader)
    replicated = {peer.name: peer.last_index for peer in leader.peers} if leader is not None else {}
    rows = []
    for peer in sorted(group.peers, key=lambda p: (p.server != group.leader, p.server)):
        server = raft.servers.get(peer.server)
        rows.append(
            MemberRow(
                peer,
                nodes.get(peer.server),
                replicated.get(peer.server),
                _heard(peer, group),
                server.tags if server is not None else (),
            )
        )
    return rows


def _heard(peer: GroupPeer, group: RaftGroup) -> float | None:
    """Seconds since the leader heard of a member; they go on while nobody tells anew."""
    if not peer.active_ns:
        return None
    silence = (time.time_ns() - group.read_at_ns) / 1e9
    return peer.active_ns / 1e9 + (silence if silence > READ_EACH else 0.0)


def _index(row: MemberRow) -> int | None:
    return row.node.last_index if row.node is not None else row.replicated


def _event_cell(event: LeaderEvent) -> IconText:
    return IconText(*EVENT_ICON[event.kind], event_text(event))
