"""The cluster's page: servers, Raft groups, the leader timeline, and links."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from typing import TypeVar

from PySide6.QtWidgets import QStackedWidget, QTabBar, QVBoxLayout, QWidget

from memphis_desktop.cluster.lab.local import LOCAL_CLUSTER_ID
from memphis_desktop.cluster.model import ClusterSnapshot
from memphis_desktop.cluster.raft.groups import GroupTable, meta_group
from memphis_desktop.cluster.raft.model import META, RaftGroup
from memphis_desktop.cluster.raft.questions import Wants
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.empty_state import EmptyState
from memphis_desktop.ui.components.page_header import PageHeader
from memphis_desktop.ui.components.time_range import TimeRange, TimeRangeBar
from memphis_desktop.ui.lab import LabPanel
from memphis_desktop.ui.screen import SERVER, Command, Route, Screen, ScreenContext
from memphis_desktop.ui.screens.cluster.groups import GroupsView
from memphis_desktop.ui.screens.cluster.links import LinksView
from memphis_desktop.ui.screens.cluster.parts import key_of_route
from memphis_desktop.ui.screens.cluster.servers import ServerRow, ServersView
from memphis_desktop.ui.screens.cluster.steering import Steering
from memphis_desktop.ui.screens.cluster.system_login import ask_for_system_login
from memphis_desktop.ui.screens.cluster.timeline import TimelineView
from memphis_desktop.ui.screens.station_parts import LONGEST, PAGE_MARGINS, StateBanner

View = TypeVar("View", bound=QWidget)

NAMED = 4  # groups without a leader that are named

TABS = (
    ("servers", tr("Servers")),
    ("groups", tr("Groups")),
    ("timeline", tr("Leader timeline")),
    ("links", tr("Links")),
)
SINGLE = tr(
    "This is a single server: it keeps one copy of everything and has nobody to agree with. "
    "Start a local cluster of three to see elections, lose a server and get it back."
)
FOREIGN = tr("JetStream is off for the system account itself; shown are the groups of all accounts.")


class ClusterScreen(Screen):
    """Route parameters: `tab`, and `kind`, `stream`, `consumer` for one group."""

    title = tr("Cluster")
    route_name = "cluster"
    stale_with = frozenset({SERVER})  # Raft is read from the servers themselves

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._table = GroupTable()
        self._groups: list[RaftGroup] = []
        self._active = False
        self._steering = Steering(context, self)
        self.time_range = TimeRange(300.0, self)
        self.header = PageHeader(tr("Cluster"))
        self.range_bar = TimeRangeBar(self.time_range, longest=LONGEST)
        self.header.add_widget(self.range_bar)
        self.balance_button = self.header.add_action(
            tr("Balance leaders"), self._balance, icon_name="scales", tooltip="B"
        )
        self.banner = StateBanner()
        self.trouble = Banner("bad")
        self.trouble.hide()
        self.lacking = Banner("information")
        self.lacking.hide()
        self.tab_bar = QTabBar()
        self.tab_bar.setExpanding(False)
        self.tab_bar.setDrawBase(False)
        self.tab_bar.setAccessibleName(tr("Parts of the cluster"))
        for _, title in TABS:
            self.tab_bar.addTab(title)
        self.stack = QStackedWidget()
        self.single = EmptyState(
            "tree-structure", SINGLE, (tr("Start a local cluster"), self._start_local_cluster)
        )
        self.lab = LabPanel(context, compact=True)
        self.lab.hide()
        self.body = QWidget()
        body = QVBoxLayout(self.body)
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(theme.SPACE_3)
        body.addWidget(self.tab_bar)
        body.addWidget(self.lab)
        body.addWidget(self.stack, 1)
        self.pages = QStackedWidget()
        self.pages.addWidget(self.body)
        self.pages.addWidget(self.single)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*PAGE_MARGINS)
        layout.setSpacing(theme.SPACE_3)
        for widget in (self.header, self.banner, self.trouble, self.lacking):
            layout.addWidget(widget)
        layout.addWidget(self.pages, 1)
        self.tab_bar.currentChanged.connect(self._tab_chosen)

    # The parts: each is made when it is first looked at, since all at once would be felt

    @cached_property
    def servers(self) -> ServersView:
        """The servers and their figures."""
        return self._with_room(ServersView(self.context, self._server_commands, self.time_range))

    @cached_property
    def groups(self) -> GroupsView:
        """The matrix of groups, and one of them in detail."""
        view = self._with_room(GroupsView(self.context, self._steering, self._group_commands))
        view.detail.events.set_zone(self.context.zone)
        view.chosen.connect(lambda _: self._group_chosen())
        return view

    @cached_property
    def timeline(self) -> TimelineView:
        """Who led what when."""
        view = self._with_room(TimelineView(self.context, self.time_range))
        view.set_zone(self.context.zone)
        return view

    @cached_property
    def links(self) -> LinksView:
        """Links between servers."""
        return self._with_room(LinksView())

    def _with_room(self, view: View) -> View:
        self.stack.addWidget(view)
        return view

    def _view(self) -> QWidget:
        """The part in view."""
        view = getattr(self, self.tab)
        assert isinstance(view, QWidget)
        return view

    # Where

    @property
    def tab(self) -> str:
        """The part in view."""
        return TABS[self.tab_bar.currentIndex()][0]

    def show_route(self, route: Route) -> None:
        """Show the part and the group that the route names."""
        wanted = route.get("tab")
        index = next((i for i, (key, _) in enumerate(TABS) if key == wanted), None)
        if index is not None:
            self.tab_bar.setCurrentIndex(index)
        if self.stack.currentWidget() is None:
            self._tab_chosen()
        key = key_of_route(route)
        if key is not None:
            self.groups.select(key)
        if route.get("server"):
            self.servers.select(route.get("server"))

    def _tab_chosen(self) -> None:
        self.stack.setCurrentWidget(self._view())
        self.range_bar.setVisible(self.tab in ("servers", "timeline"))
        local = self.context.session.profile.id == LOCAL_CLUSTER_ID
        self.lab.setVisible(local and self.tab != "links")
        self._want()
        if self._active:
            self._show_tab(self.context.session.snapshot)
        self.commands_changed.emit()
        if not self.tab_bar.hasFocus():
            self.part_changed.emit()

    def activated(self) -> None:
        """Ask for what this page shows."""
        self._active = True
        self.lab.watch(self.context.session.profile.id == LOCAL_CLUSTER_ID)
        self._want()

    def deactivated(self) -> None:
        """No more."""
        self._active = False
        self.lab.watch(False)
        self.context.session.raft.set_wants(self, None)
        self.context.session.set_visible_streams(self, ())

    def _want(self) -> None:
        if not self._active:
            return
        group = self.groups.current() if self.tab == "groups" else None
        wants = Wants(
            servers=True,
            groups=self.tab == "groups",
            links=self.tab == "links",
            raft_groups=(group.raft_group,) if group is not None and group.size > 1 else (),
        )
        self.context.session.raft.set_wants(self, wants)

    def _group_chosen(self) -> None:
        self._want()
        self.commands_changed.emit()

    # News

    def show_snapshot(self, snapshot: ClusterSnapshot) -> None:
        """Show the round."""
        self.banner.show_snapshot(snapshot)
        raft = snapshot.raft
        single = (
            raft.meta is None
            and len(raft.servers) <= 1
            and not any(stream.clustered for stream in snapshot.streams.values())
        )
        explained = single and (bool(raft.servers) or snapshot.complete)
        self.pages.setCurrentWidget(self.single if explained else self.body)
        self.balance_button.setVisible(not single)
        self.range_bar.setVisible(not explained and self.tab in ("servers", "timeline"))
        self._groups = self._table.update(snapshot)
        self.time_range.anchor = time.time()  # lanes and graphs end at the same moment
        self._show_header(snapshot, single)
        self._show_banners(snapshot, single)
        if not explained:
            self._show_tab(snapshot)
            self._tell_visible()

    def _show_header(self, snapshot: ClusterSnapshot, single: bool) -> None:
        raft = snapshot.raft
        servers = list(raft.servers.values())
        names = sorted({server.cluster for server in servers if server.cluster})
        versions = sorted({server.version for server in servers if server.version})
        parts = [", ".join(names)] if names and not single else []
        count = len(servers)
        parts.append(tr_count("{count} server", "{count} servers", count, count=figures.integer(count)))
        if raft.gone:
            parts.append(tr("{count} gone", count=figures.integer(len(raft.gone))))
        if raft.meta is not None:
            meta = meta_group(raft)
            leader = meta.leader if meta is not None else ""
            parts.append(tr("meta leader {leader}", leader=leader) if leader else tr("meta leader none"))
        if versions:
            parts.append(
                versions[0] if len(versions) == 1 else tr("versions {names}", names=", ".join(versions))
            )
        self.header.set_title(tr("Cluster"), "  ·  ".join(parts) if servers else "")
        refusal = self._steering.balance_refusal()
        self.balance_button.setEnabled(not refusal)
        self.balance_button.setToolTip(refusal or "B")

    def _show_banners(self, snapshot: ClusterSnapshot, single: bool) -> None:
        raft = snapshot.raft
        meta = meta_group(raft)
        troubled = [group for group in self._groups if not group.leader and group.key != META]
        sentences = []
        if meta is not None and not meta.leader:
            sentences.append(
                tr(
                    "The meta group has {problem}: nothing can be created, changed or deleted now.",
                    problem=meta.problem,
                )
            )
        if troubled:
            sentences.append(_troubled_text([group.key.label for group in troubled]))
        text = " ".join(sentences)
        if text and raft.reason:
            text += " " + tr("The server says: {reason}", reason=raft.reason)
        if text:
            self.trouble.set_content("bad", text, (tr("Show them"), self._show_troubled))
        self.trouble.setVisible(bool(text) and not single)
        if text and raft.reason:
            self.banner.hide()  # it would say the same
        if raft.foreign:
            self.lacking.set_content("information", FOREIGN)
        elif raft.lacking and (refused := snapshot.errors.get("system account")):
            text = tr("The system account cannot be used. {refused}", refused=refused)
            self.lacking.set_content("warning", text, (tr("Change its login"), self._add_system_login))
        elif raft.lacking:
            self.lacking.set_content(
                "information", raft.lacking, (tr("Add its login"), self._add_system_login)
            )
        self.lacking.setVisible(bool(raft.foreign or raft.lacking) and not single)

    def _show_troubled(self) -> None:
        self.tab_bar.setCurrentIndex(1)
        self.groups.show_only("trouble")

    def _show_tab(self, snapshot: ClusterSnapshot) -> None:
        if self.tab == "servers":
            self.servers.show_snapshot(snapshot, self._groups)
        elif self.tab == "groups":
            self.groups.show_snapshot(snapshot, self._groups)
            self._want()
        elif self.tab == "timeline":
            self.timeline.show_snapshot(snapshot, self._groups)
        else:
            self.links.show_snapshot(snapshot)

    def _tell_visible(self) -> None:
        """Have the streams read first whose groups are in view."""
        names = self.groups.visible_streams() if self.tab == "groups" else ()
        self.context.session.set_visible_streams(self, names)

    # Doing

    def _balance(self) -> None:
        self.context.run(self._steering.balance(self._groups), tr("balance the leaders"))

    def _add_system_login(self) -> None:
        self.context.run(ask_for_system_login(self.context, self), tr("add the system account's login"))

    def _start_local_cluster(self) -> None:
        self.context.run(self._open_local_cluster(), tr("start the local cluster"))

    async def _open_local_cluster(self) -> None:
        shell = self.context.shell
        await shell.lab.start()
        await shell.open_profile(shell.lab.profile(), Route("cluster"))

    def _step_down(self) -> None:
        group = self._chosen()
        if group is not None:
            self.context.run(self._steering.step_down(group), tr("hand the leadership over"))

    def _chosen(self) -> RaftGroup | None:
        if self.tab == "groups":
            return self.groups.current()
        key = self.timeline.lanes.current() if self.tab == "timeline" else META
        return next((group for group in self._groups if group.key == key), None)

    def focus_filter(self) -> None:
        """Into the filter of the part in view."""
        if self.tab == "groups":
            self.groups.filter.focus()
        elif self.tab == "timeline":
            self.timeline.filter.focus()
        elif self.tab == "links":
            self.links.filter.focus()

    def commands(self) -> list[Command]:
        """What can be done here."""
        group = self._chosen()
        refusal = self._steering.step_down_refusal(group)
        balance = self._steering.balance_refusal()
        step_down = (
            tr("Step down the leader of {label}", label=group.key.label)
            if group is not None
            else tr("Step down the leader of the group")
        )
        found = [
            Command(
                tr("Leader timeline"),
                keymap.key("cluster.timeline"),
                lambda: self.tab_bar.setCurrentIndex(2),
                "clock-counter-clockwise",
            ),
            Command(
                step_down,
                keymap.key("cluster.step_down"),
                self._step_down,
                "arrows-down-up",
                not refusal,
                refusal,
            ),
            Command(
                tr("Balance leaders"),
                keymap.key("cluster.balance"),
                self._balance,
                "scales",
                not balance,
                balance,
            ),
            Command(
                tr("Next part of the cluster"),
                keymap.key("cluster.next_part"),
                lambda: self._next_tab(1),
                "caret-right",
            ),
            Command(
                tr("Previous part of the cluster"),
                keymap.key("cluster.previous_part"),
                lambda: self._next_tab(-1),
                "caret-left",
            ),
        ]
        if self.tab in ("servers", "timeline"):
            found += [
                Command(
                    tr("Next time range"), keymap.key("cluster.range"), self.range_bar.next_preset, "clock"
                ),
                Command(
                    tr("Hold or follow the graphs"),
                    keymap.key("cluster.hold"),
                    self.range_bar.toggle_pause,
                    "pause",
                ),
            ]
        if self.tab == "timeline":
            found.append(
                Command(
                    tr("Export the timeline"), keymap.key("cluster.export"), self.timeline.export, "export"
                )
            )
            found.append(
                Command(
                    tr("Graphs or list of events"),
                    keymap.key("cluster.other_view"),
                    self.timeline.toggle_list,
                    "table",
                )
            )
        if self.tab == "links":
            found.append(
                Command(
                    tr("Table or map of the links"),
                    keymap.key("cluster.other_view"),
                    self.links.toggle_map,
                    "share-network",
                )
            )
        if self.tab == "groups":
            found += [one for one in self._group_commands(self.groups.selected()) if not one.shortcut]
        return found

    def _next_tab(self, step: int) -> None:
        self.tab_bar.setCurrentIndex((self.tab_bar.currentIndex() + step) % len(TABS))

    def _group_commands(self, groups: Sequence[RaftGroup]) -> list[Command]:
        """What can be done with the selected groups."""
        group = groups[0] if len(groups) == 1 else None
        steering, run = self._steering, self.context.run
        several = tr("Choose one group.") if len(groups) > 1 else ""

        def start(make: object, description: str) -> None:
            if group is not None and callable(make):
                run(make(group), description)

        down = several or steering.step_down_refusal(group)
        stream = several or steering.stream_refusal(group)
        scale = several or steering.scale_refusal(group)
        remove = several or steering.remove_refusal(group)
        moving = group is not None and group.moving
        return [
            Command(
                tr("Step down its leader"),
                keymap.key("cluster.step_down"),
                lambda: start(steering.step_down, tr("hand the leadership over")),
                "arrows-down-up",
                not down,
                down,
            ),
            Command(
                tr("Scale"),
                "",
                lambda: start(steering.scale, tr("scale the station")),
                "copy-simple",
                not scale,
                scale,
                name="scale",
            ),
            Command(
                tr("Cancel its move") if moving else tr("Move"),
                "",
                lambda: start(
                    steering.cancel_move if moving else steering.move,
                    tr("cancel the move") if moving else tr("move the station"),
                ),
                "map-pin",
                not stream,
                stream,
                name="move",
            ),
            Command(
                tr("Remove a member"),
                "",
                lambda: start(steering.remove_peer, tr("remove the member")),
                "user-minus",
                not remove,
                remove,
                True,
                name="remove_member",
            ),
        ]

    def _server_commands(self, rows: Sequence[ServerRow]) -> list[Command]:
        """What can be done with the selected servers."""
        row = rows[0] if len(rows) == 1 else None
        meta = meta_group(self.context.session.snapshot.raft)
        commands = []
        if row is not None and row.meta_leader and meta is not None:
            refusal = self._steering.step_down_refusal(meta)
            commands.append(
                Command(
                    tr("Step down as meta leader"),
                    keymap.key("cluster.step_down"),
                    lambda: self.context.run(self._steering.step_down(meta), tr("hand the leadership over")),
                    "arrows-down-up",
                    not refusal,
                    refusal,
                )
            )
        if row is not None and row.server.here and meta is not None:
            refusal, name = self._steering.evacuate_refusal(), row.server.name
            commands.append(
                Command(
                    tr("Evacuate it"),
                    "",
                    lambda: self.context.run(self._steering.evacuate_server(name), tr("evacuate the server")),
                    "truck",
                    not refusal,
                    refusal,
                    True,
                    name="evacuate",
                )
            )
        if row is not None and not row.server.here:
            refusal = (
                self._steering.remove_refusal(meta) if meta is not None else tr("There is no meta group.")
            )
            name = row.server.name
            commands.append(
                Command(
                    tr("Remove it from the cluster"),
                    "",
                    lambda: self.context.run(self._steering.remove_server(name), tr("remove the server")),
                    "user-minus",
                    not refusal,
                    refusal,
                    True,
                    name="remove_from_cluster",
                )
            )
        return commands


def _troubled_text(labels: Sequence[str]) -> str:
    count, names = len(labels), ", ".join(labels[:NAMED])
    if count <= NAMED:
        return tr_count(
            "{count} group without a leader: {names}.",
            "{count} groups without a leader: {names}.",
            count,
            count=figures.integer(count),
            names=names,
        )
    return tr_count(
        "{count} group without a leader: {names} and {more} more.",
        "{count} groups without a leader: {names} and {more} more.",
        count,
        count=figures.integer(count),
        names=names,
        more=figures.integer(count - NAMED),
    )
