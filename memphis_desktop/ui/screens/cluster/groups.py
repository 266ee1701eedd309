"""The matrix of Raft groups and servers, with what each member is doing."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QSpinBox, QVBoxLayout, QWidget

from memphis_desktop.cluster.model import ClusterSnapshot
from memphis_desktop.cluster.raft.balance import counts
from memphis_desktop.cluster.raft.model import GroupKey, GroupKind, Quorum, RaftGroup, RaftSnapshot
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import settings, theme
from memphis_desktop.ui.components.data_table import Column, DataTable, IconText
from memphis_desktop.ui.components.filter_bar import FilterBar
from memphis_desktop.ui.components.split_view import SplitView
from memphis_desktop.ui.screen import Command, ScreenContext
from memphis_desktop.ui.screens.cluster.group_detail import GroupDetail
from memphis_desktop.ui.screens.cluster.parts import (
    kind_word,
    member_cell,
    member_order,
    quorum_mark,
    reading_words,
    server_columns,
)
from memphis_desktop.ui.screens.cluster.steering import Steering
from memphis_desktop.ui.screens.station_parts import panel, why_unread

LAGGING_SETTING = "cluster/lagging"
KEEP_LEADERS_APART = 1  # leaders by which two servers may differ


class GroupsView(QWidget):
    """The matrix, its filters, and the chosen group beside it."""

    chosen = Signal(object)  # the RaftGroup with the cursor, or None

    def __init__(
        self,
        context: ScreenContext,
        steering: Steering,
        actions: Callable[[list[RaftGroup]], list[Command]],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._context = context
        self._actions = actions
        self._servers: tuple[str, ...] = ()
        self._reading = ""  # how far the first reading is
        self._groups: list[RaftGroup] = []
        self._wanted: GroupKey | None = None
        self._raft = RaftSnapshot()
        self.filter = FilterBar(tr("Filter groups"))
        self.filter.add_chip("replicated", tr("Replicated"), tr("Hide what has one copy only")).setChecked(
            True
        )
        self.filter.add_chip("trouble", tr("No leader"), tr("Groups without a leader or without quorum"))
        self.filter.add_chip(
            "unbalanced", tr("Unbalanced"), tr("Groups led by servers that lead more than others")
        )
        self.filter.add_chip("lagging", tr("Lagging"), tr("Groups with a member that is further behind than"))
        self.lag_field = QSpinBox()
        self.lag_field.setRange(0, 1_000_000_000)
        self.lag_field.setPrefix("> ")
        self.lag_field.setAccessibleName(tr("Entries behind"))
        self.lag_field.setToolTip(tr("So many Raft entries behind"))
        self.lag_field.setValue(int(settings.current().get(LAGGING_SETTING) or 0))
        self.lag_field.setMinimumWidth(110)
        self.lag_field.hide()
        self.filter.add_chip("stations", tr("Stations"))
        self.filter.add_chip("groups", tr("Groups"))
        self.filter.add_widget(self.lag_field)
        self.detail = GroupDetail(context, steering)
        self._holder = QWidget()
        self._holder_layout = QVBoxLayout(self._holder)
        self._holder_layout.setContentsMargins(0, 0, 0, 0)
        self.table = self._make_table(())
        self._holder_layout.addWidget(self.table)
        self.split = SplitView(panel(self._holder), self.detail, "cluster_groups", share=0.38)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE_3)
        layout.addWidget(self.filter)
        layout.addWidget(self.split, 1)
        self.filter.text_changed.connect(lambda text: self.table.set_filter(text))
        self.filter.left.connect(lambda: self.table.setFocus())
        self.filter.chips_changed.connect(lambda _: self._narrow())
        self.lag_field.valueChanged.connect(self._lag_chosen)

    # The table

    def _make_table(self, servers: tuple[str, ...]) -> DataTable:
        columns = [
            Column("name", tr("Group"), lambda g: g.key.label, "mono", 190, stretch=True),
            Column("kind", tr("Kind"), _kind, "badge", 70, visible=False),
            Column("quorum", tr("Quorum"), quorum_mark, "dot", 108, sort_value=_quorum_order),
        ]
        for server in servers:
            columns.append(
                Column(
                    f"server {server}",
                    server,
                    partial(_member, server),
                    "icon",
                    96 if len(servers) <= 3 else 84,
                    tr("How {server} stands in each group", server=server),
                    sort_value=partial(_order, server),
                )
            )
        columns += [
            Column("since", tr("Led for"), _led_for, "duration", 78, tr("For how long the leader leads")),
            Column("lag", tr("Worst lag"), lambda g: g.worst_lag, "number", 80, tr("Raft entries behind")),
            Column("term", tr("Term"), self._term, "number", 60, tr("Known while Raft itself is asked")),
            Column("raft", tr("Raft group"), lambda g: g.raft_group, "mono", 130, visible=False),
        ]
        table = DataTable(
            columns,
            lambda g: g.key,
            f"cluster_groups_{len(servers)}",
            context_actions=self._actions,
            default_sort=("name", False),
        )
        table.model.pinned = lambda g: g.key.kind is GroupKind.META
        table.set_state("loading")
        table.current_changed.connect(self._current_changed)
        table.row_activated.connect(self._open)
        return table

    def _term(self, group: RaftGroup) -> int | None:
        nodes = self._raft.nodes.get(group.raft_group)
        return max((node.term for node in nodes), default=None) if nodes else None

    def _rebuild(self, servers: tuple[str, ...]) -> None:
        """Other servers, other columns."""
        key = self._current_key()
        old = self.table
        self._servers = servers
        self.table = self._make_table(servers)
        self.table.set_filter(self.filter.text())
        self._holder_layout.replaceWidget(old, self.table)
        old.deleteLater()
        self._narrow()
        if key is not None:
            self._wanted = key

    def _current_key(self) -> GroupKey | None:
        row = self.table.current_row()
        return row.key if isinstance(row, RaftGroup) else None

    # Filters

    def _lag_chosen(self, value: int) -> None:
        settings.current().set(LAGGING_SETTING, value)
        self._narrow()

    def _narrow(self) -> None:
        chips = self.filter.chips()
        self.lag_field.setVisible("lagging" in chips)
        limit = self.lag_field.value()
        busiest = self._busiest() if "unbalanced" in chips else frozenset()

        def passes(group: RaftGroup) -> bool:
            kind = group.key.kind
            if kind is GroupKind.META:
                return True
            return (
                ("replicated" not in chips or group.size > 1)
                and ("trouble" not in chips or group.quorum is not Quorum.HELD)
                and ("unbalanced" not in chips or group.leader in busiest)
                and ("lagging" not in chips or group.worst_lag > limit)
                and (not chips & {"stations", "groups"} or _kind_chip(kind) in chips)
            )

        if self._groups:
            self.table.set_rows(self._rows())
        self.table.set_predicate(passes)
        self._show_count()

    def _rows(self) -> list[RaftGroup]:
        """What the table holds: the groups of one copy, which are the most, only when they are wanted."""
        if "replicated" not in self.filter.chips():
            return self._groups
        return [group for group in self._groups if group.size > 1 or group.key.kind is GroupKind.META]

    def _busiest(self) -> frozenset[str]:
        """Servers that lead more than others do."""
        held = counts(self._groups, [s for s in self._servers if s not in self._raft.gone])
        least = min(held.values(), default=0)
        return frozenset(name for name, count in held.items() if count - least > KEEP_LEADERS_APART)

    def _show_count(self) -> None:
        shown, total = len(self.table.rows()), len(self._groups)
        shown_of = tr("{shown} of {total}", shown=figures.integer(shown), total=figures.integer(total))
        self.filter.set_count("  ·  ".join(filter(None, (shown_of, self._reading))))

    # News

    def show_snapshot(self, snapshot: ClusterSnapshot, groups: Sequence[RaftGroup]) -> None:
        """Show the round's groups."""
        self._raft = snapshot.raft
        self._reading = reading_words(snapshot)
        self._groups = list(groups)
        rows = self._rows()
        servers = server_columns(snapshot, rows)
        if servers != self._servers:
            self._rebuild(servers)
        self.table.set_rows(rows)
        if "unbalanced" in self.filter.chips():
            self._narrow()
        if groups:
            self.table.set_state("ready")
        elif why := why_unread(snapshot, "streams", "round", "consumers"):
            self.table.set_state("error", why, icon="tree-structure")
        elif snapshot.complete or "jetstream" in snapshot.errors:
            text = snapshot.errors.get("jetstream") or tr("There are no Raft groups yet.")
            self.table.set_state("empty", text, icon="tree-structure")
        self._select_wanted()
        if self.table.current_row() is None and self.table.rows():
            self.table.view.selectRow(0)
        self._show_count()
        self.detail.show_group(self.table.current_row(), snapshot)

    def select(self, key: GroupKey) -> None:
        """Put the cursor on a group, now or as soon as it is known."""
        self._wanted = key
        self._select_wanted()

    def _select_wanted(self) -> None:
        wanted = self._wanted
        if wanted is None or all(group.key != wanted for group in self._groups):
            return
        self._wanted = None
        if not self.table.select_key(wanted):
            self.filter.field.clear()
            self.table.set_filter("")
            self.filter.set_chips(set())
            self.table.select_key(wanted)

    def current(self) -> RaftGroup | None:
        """The group with the cursor."""
        row = self.table.current_row()
        return row if isinstance(row, RaftGroup) else None

    def selected(self) -> list[RaftGroup]:
        """The selected groups."""
        return [row for row in self.table.selected_rows() if isinstance(row, RaftGroup)]

    def _current_changed(self, group: RaftGroup | None) -> None:
        self.detail.show_group(group, self._context.session.snapshot)
        self.chosen.emit(group)

    def _open(self, group: RaftGroup) -> None:
        self.detail.open_asset(group)

    def show_only(self, chip: str) -> None:
        """Narrow the matrix by one of its filters."""
        self.filter.set_chips({chip, "replicated"} if chip != "trouble" else {chip})

    def visible_streams(self) -> tuple[str, ...]:
        """The streams of the rows in view, to be read first."""
        shown: list[RaftGroup] = self.table.rows_in_view()
        return tuple(dict.fromkeys(g.key.stream for g in shown if g.key.stream and not g.key.account))


def _kind(group: RaftGroup) -> Any:
    return kind_word(group.key.kind), "accent" if group.key.kind is GroupKind.META else "muted"


def _kind_chip(kind: GroupKind) -> str:
    return "stations" if kind is GroupKind.STREAM else "groups"


def _member(server: str, group: RaftGroup) -> IconText | None:
    return member_cell(group, server)


def _order(server: str, group: RaftGroup) -> Hashable:
    return member_order(group, server)


def _quorum_order(group: RaftGroup) -> int:
    return {Quorum.LOST: 3, Quorum.NO_LEADER: 2}.get(group.quorum, 0 if group.all_current else 1)


def _led_for(group: RaftGroup) -> float | None:
    if group.leader_since_ns is None or not group.leader:
        return None
    return max(0.0, (time.time_ns() - group.leader_since_ns) / 1e9)
