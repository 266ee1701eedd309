"""The list of stations: every stream with its live figures, a preview beside it, and what can be done."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from PySide6.QtCore import QModelIndex, QSize, QTimer
from PySide6.QtGui import QCursor, QGuiApplication
from PySide6.QtWidgets import QToolButton, QVBoxLayout, QWidget

from memphis_desktop.cluster.health import Severity, stream_findings
from memphis_desktop.cluster.model import ClusterSnapshot, StreamSnapshot, is_machinery
from memphis_desktop.inspect.key_value.names import bucket_name, is_bucket
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components.data_table import DataTable
from memphis_desktop.ui.components.filter_bar import FilterBar
from memphis_desktop.ui.components.page_header import PageHeader
from memphis_desktop.ui.components.split_view import SplitView
from memphis_desktop.ui.screen import Command, Route, Screen, ScreenContext
from memphis_desktop.ui.screens.key_value.fields import bucket_route
from memphis_desktop.ui.screens.memphis.station_list import MemphisStations
from memphis_desktop.ui.screens.memphis.station_rows import (
    with_memphis,
)
from memphis_desktop.ui.screens.replay import open_replay
from memphis_desktop.ui.screens.station_actions import StationActions
from memphis_desktop.ui.screens.station_beginnings import Beginnings
from memphis_desktop.ui.screens.station_columns import MetadataKeys, metadata_columns, station_columns
from memphis_desktop.ui.screens.station_filters import add_chips, passes
from memphis_desktop.ui.screens.station_parts import (
    PAGE_MARGINS,
    PagesBanner,
    StateBanner,
    StationRow,
    panel,
    station_route,
    why_unread,
)
from memphis_desktop.ui.screens.station_preview import StationPreview
from memphis_desktop.ui.screens.station_replay import replay_into
from memphis_desktop.ui.screens.station_steady import Steady, WorstLags
from memphis_desktop.ui.screens.station_tree import as_tree
from memphis_desktop.ui.shell.staleness import shows
from memphis_desktop.ui.theme.direction import right_to_left
from memphis_desktop.ui.theme.icons import icon

_LINES_EVERY = 10.0  # seconds after which small lines are painted again: an hour is few pixels
_MARK_WIDTH = 24  # pixels at the left of a name that open and close it
_MEMBERS_READ = 50  # of a line that adds up many, so many are read first
_PREVIEW_SETTING = "stations/preview"
_TREE_SETTING = "stations/tree"


class StationsScreen(Screen):
    """See the module."""

    title = tr("Stations")
    route_name = "stations"

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._actions = StationActions(context, self)
        self._beginnings = Beginnings(context, self._actions, self)
        self._rows: dict[str, StationRow] = {}
        self._keys = MetadataKeys()
        self._gone: frozenset[str] = frozenset()
        self._steady: Steady[str, StreamSnapshot] = Steady()
        self._lags = WorstLags()
        self._letters: Mapping[str, int] = {}
        self._again = True  # whether to show the rows though none is another
        self._lines_painted_at = 0.0
        self._lines: dict[str, StationRow] = {}  # what is shown: Memphis stations as one line each
        self._opened: set[str] = set()
        self._memphis = MemphisStations(context, self)
        self._release_memphis: Callable[[], None] | None = None
        self._known_lines: Mapping[str, StationRow] = {}  # before the chips and the tree
        self._buckets = self._total = self._fitting = 0
        self._release_letters: Callable[[], None] | None = None
        self._snapshot: ClusterSnapshot | None = None
        self._visible_timer = QTimer(self)
        self._visible_timer.setSingleShot(True)
        self._visible_timer.setInterval(150)
        self._visible_timer.timeout.connect(self._tell_visible)
        self.header = PageHeader(tr("Stations"))
        self.preview_button = self.header.add_icon_action(
            "columns", tr("Preview  ( Space )"), self._toggle_preview
        )
        self.restore_button = self.header.add_icon_action(
            "upload-simple", tr("Restore a station from a backup"), self._beginnings.restore
        )
        self.create_button = self.header.add_action(
            tr("Create station"), self._beginnings.create, icon_name="plus", kind="primary", tooltip="N"
        )
        self.banner = StateBanner()
        self.pages = PagesBanner(context.session.retry_pages)
        self.filter = FilterBar(tr("Filter stations"))
        add_chips(self.filter)
        self.tree_button = QToolButton()
        self.tree_button.setCheckable(True)
        self.tree_button.setIcon(icon("tree-structure", "muted", token_on="accent"))
        self.tree_button.setIconSize(QSize(16, 16))
        self.tree_button.setToolTip(tr("Those whose names begin alike below one line  ( T )"))
        self.tree_button.setAccessibleName(tr("Group by the beginning of the name"))
        self.tree_button.setChecked(bool(context.settings.get(_TREE_SETTING)))
        self.tree_button.toggled.connect(self._tree_toggled)
        self.filter.add_widget(self.tree_button)
        self.table = DataTable(
            station_columns(context, lambda: self._opened),
            lambda row: row.key,
            "stations",
            context_actions=self._row_commands,
            default_sort=("in", True),
        )
        self.table.set_zone(context.zone)
        self.preview = StationPreview(context)
        self.split = SplitView(shows(panel(self.table), "streams"), self.preview, "stations", share=0.31)
        self.split.set_preview_visible(bool(context.settings.get(_PREVIEW_SETTING)))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*PAGE_MARGINS)
        layout.setSpacing(theme.SPACE_4)
        layout.addWidget(self.header)
        layout.addWidget(self.banner)
        layout.addWidget(self.pages)
        layout.addWidget(self.filter)
        layout.addWidget(self.split, 1)
        self.filter.text_changed.connect(self.table.set_filter)
        self.filter.text_changed.connect(lambda _: self._count())
        self.filter.chips_changed.connect(self._choose)
        self.filter.left.connect(self.table.setFocus)
        self.table.row_activated.connect(self._open)
        self.table.view.clicked.connect(self._clicked)
        context.memphis.changed.connect(self._memphis_changed)
        self.table.preview_requested.connect(lambda _: self._toggle_preview())
        self.table.current_changed.connect(self._current_changed)
        self.table.selection_changed.connect(lambda _: self.commands_changed.emit())
        self.table.view.verticalScrollBar().valueChanged.connect(lambda _: self._visible_timer.start())
        self._choose(set())
        self.table.set_state("loading")
        self._create_tooltip = self.create_button.toolTip()
        self._show_refusal()

    def _show_refusal(self) -> None:
        """The buttons say why they cannot be used now."""
        refusal = self._actions.refusal
        for button in (self.create_button, self.restore_button):
            button.setEnabled(not refusal)
        self.create_button.setToolTip(refusal or self._create_tooltip)

    # Snapshots

    def show_snapshot(self, snapshot: ClusterSnapshot) -> None:
        """Update the rows that changed."""
        self._snapshot = snapshot
        self.banner.show_snapshot(snapshot)
        self.pages.show_snapshot(snapshot)
        self._show_refusal()
        self._steady.exact = self.table.shows_column("read")
        changed = self._steady.take(snapshot.streams)
        changed |= self._lags.take(snapshot.consumers)
        letters = self.context.session.dead_letters.view.by_station
        if letters is not self._letters:
            changed |= {name for name, _ in letters.items() ^ self._letters.items()}
            self._letters = letters
        gone = snapshot.raft.gone
        if gone != self._gone:  # who is gone changes the health of many
            self._gone = gone
            changed = set(self._steady.shown)
        if changed or self._again:
            self._again = False
            self._take_rows(changed)
        self._repaint_moving()
        self._show_state(snapshot)
        self._tell_visible()
        self.preview.show_snapshot(snapshot)

    def _take_rows(self, changed: set[str]) -> None:
        """Make the rows of these streams anew, and show what that changes."""
        shown = self._steady.shown
        if keys := self._keys.take(shown[name] for name in changed if name in shown):
            self.table.add_columns(metadata_columns(keys))
        few, known = True, len(self._rows)
        for name in changed:
            stream, before = shown.get(name), self._rows.get(name)
            if stream is None:
                few = self._rows.pop(name, None) is None and few
                continue
            row = self._row(stream)
            self._rows[name] = row
            # A row that was there and is as it was, seen by the filters, changes nothing for the others.
            few = few and before is not None and self._passing(row) == self._passing(before)
        if len(self._rows) != known:
            self._rows = {name: self._rows[name] for name in self._steady.shown}
        if not few or self.context.memphis.available or self.tree_button.isChecked() or not self._lines:
            self._show_lines()
            self._count()
            return
        for name in changed & self._lines.keys():
            self._lines[name] = self._rows[name]
        self.table.set_rows(self._lines)

    def _row(self, stream: StreamSnapshot) -> StationRow:
        lag, seconds = self._lags.of.get(stream.name, (None, None))
        found = stream_findings(stream, self._gone)
        worst = max(found, key=lambda finding: finding.severity, default=None)
        return StationRow(
            stream,
            worst.severity if worst else Severity.GOOD,
            worst.text if worst else "",
            lag,
            seconds,
            self._letters.get(stream.name, 0),
        )

    def _passing(self, row: StationRow) -> bool:
        return passes(row, self.filter.chips())

    def _repaint_moving(self) -> None:
        """Ages and the ends of small lines move on, though nothing was read that differs."""
        now = time.monotonic()
        lines_too = now - self._lines_painted_at >= _LINES_EVERY
        if lines_too:
            self._lines_painted_at = now
        self.table.repaint_kinds({"time", "sparkline"} if lines_too else {"time"})

    def _show_state(self, snapshot: ClusterSnapshot) -> None:
        """Buckets alone are no stations: who has only those is told so, not that a filter hides something."""
        chips = self.filter.chips()
        if self.table.model.total():
            self.table.set_state("ready")
        elif any("buckets" in chips or not is_machinery(name) for name in self._rows):
            show_all = (tr("Show all"), lambda: self.filter.set_chips(set()))
            self.table.set_state("empty", tr("No station fits these filters."), show_all, "funnel")
        elif why := why_unread(snapshot, "streams", "round"):
            self.table.set_state("error", why, (tr("Try again"), self.context.session.refresh), "stack")
        elif snapshot.complete:
            text, action, others = self._beginnings.offers()
            self.table.set_state("empty", text, action, "stack", others)

    def _show_lines(self) -> None:
        """Show a line for each station the chips let through; those of Memphis with their partitions as one,
        and in a tree those whose names begin alike below one."""
        lines: Mapping[str, StationRow] = self._rows
        if self.context.memphis.available:
            letters = self.context.session.dead_letters.view.by_station
            view = self.context.memphis.view
            lines = with_memphis(lines, view, letters, self._opened, self._known_lines)
        self._known_lines = lines
        chips = self.filter.chips()
        self._total = sum(
            row.part_of is None and ("buckets" in chips or not is_machinery(row.name))
            for row in lines.values()
        )
        self._buckets = sum(is_machinery(row.name) for row in lines.values())
        lines = {key: row for key, row in lines.items() if passes(row.part_of or row, chips)}
        self._fitting = sum(row.part_of is None for row in lines.values())
        if self.tree_button.isChecked():
            lines = as_tree(lines, self._opened, self._lines)
        self._lines = dict(lines)
        self.table.set_rows(self._lines)

    def _memphis_changed(self) -> None:
        if self._release_memphis is not None and self._snapshot is not None:
            self._show_lines()
            self._count()

    def _open(self, row: StationRow) -> None:
        if row.branch:
            self.toggle_partitions([row])
        elif row.memphis is not None:
            self._memphis.open(row.memphis)
        else:
            self.context.navigate(station_route(row.name))

    def _clicked(self, index: QModelIndex) -> None:
        """A click on the mark before a name opens and closes it."""
        row: StationRow = self.table.model.row_at(index.row())
        if self.table.model.columns[index.column()].key != "name" or not (row.memphis or row.branch):
            return
        view = self.table.view
        x, cell = view.viewport().mapFromGlobal(QCursor.pos()).x(), view.visualRect(index)
        across = cell.right() - x if right_to_left() else x - cell.left()
        if 0 <= across <= _MARK_WIDTH * (1 + row.depth):
            self.toggle_partitions([row])

    def toggle_partitions(self, rows: list[StationRow]) -> None:
        """Show what belongs to lines below them, or hide it again."""
        names = {row.name for row in rows if row.memphis is not None and len(row.memphis.partitions) > 1}
        names |= {row.key for row in rows if row.branch}
        for row in rows:
            if row.part_of is not None and row.key not in names and row.name not in names:
                names.add(row.part_of.key if row.part_of.branch else row.part_of.name)
        self._opened = self._opened - names if names <= self._opened else self._opened | names
        self._show_lines()
        self._count()

    def _tree_toggled(self, shown: bool) -> None:
        self.context.settings.set(_TREE_SETTING, shown or None)
        self._show_lines()
        self._count()

    def _count(self) -> None:
        hidden = 0 if "buckets" in self.filter.chips() else self._buckets
        shown = self.table.model.rowCount() if self.filter.text() else self._fitting
        text = tr_count(
            "{count} station", "{count} stations", self._total, count=figures.integer(self._total)
        )
        if shown < self._total:
            text = tr("{shown} of {all}", shown=figures.integer(shown), all=text)
        if hidden:
            buckets = tr_count(
                "{count} bucket hidden", "{count} buckets hidden", hidden, count=figures.integer(hidden)
            )
            text = f"{text}, {buckets}"
        self.filter.set_count(text if self._rows else "")

    def _choose(self, chips: set[str]) -> None:
        self._show_lines()
        if self._snapshot is not None:
            self._show_state(self._snapshot)
        self._count()

    def _tell_visible(self) -> None:
        """Let the session read first what can be seen."""
        rows: list[StationRow] = self.table.rows_in_view()
        if not rows:
            return
        names: list[str] = []
        for row in rows:
            names += row.streams[:_MEMBERS_READ]
        self.context.session.set_visible_streams(self, names)

    def deactivated(self) -> None:
        """Nothing of this list is looked at any more."""
        if self._release_letters is not None:
            self._release_letters()
            self._release_letters = None
        if self._release_memphis is not None:
            self._release_memphis()
            self._release_memphis = None
        self.context.session.set_visible_streams(self, ())
        self.preview.set_station(None)

    def activated(self) -> None:
        """Read first what this list shows."""
        if self._release_letters is None:
            self._release_letters = self.context.session.dead_letters.use()
        if self._release_memphis is None:
            self._release_memphis = self.context.memphis.use()
        self._again = True
        self._current_changed(self.table.current_row())
        self.table.setFocus()

    # Preview

    def _current_changed(self, row: StationRow | None) -> None:
        if self.split.preview_visible():
            name = row.name if row is not None else None
            if row is not None and (row.memphis is not None or row.branch):
                name = row.streams[0]
            self.preview.set_station(name)
            if self._snapshot is not None:
                self.preview.show_snapshot(self._snapshot)

    def _toggle_preview(self) -> None:
        shown = not self.split.preview_visible()
        self.split.set_preview_visible(shown)
        self.context.settings.set(_PREVIEW_SETTING, shown or None)
        self._current_changed(self.table.current_row())

    # Commands

    def focus_filter(self) -> None:
        """Put the cursor into the filter."""
        self.filter.focus()

    def station_here(self) -> str:
        """The selected station; of a Memphis one, its first partition."""
        rows: list[StationRow] = self.table.selected_rows()
        return rows[0].streams[0] if len(rows) == 1 and not rows[0].branch else ""

    def _selected(self) -> list[StreamSnapshot]:
        return [row.stream for row in self.table.selected_rows() if not row.branch]

    def _create_stream(self) -> None:
        self.context.run(self._actions.create_station(), tr("create the station"))

    def commands(self) -> list[Command]:
        """The actions on the list and its selection."""
        refusal = self._actions.refusal
        create = Command(
            tr("Create station"),
            keymap.key("stations.create"),
            self._beginnings.create,
            "plus",
            not refusal,
            refusal,
        )
        restore = Command(
            tr("Restore a station"),
            "",
            self._beginnings.restore,
            "upload-simple",
            not refusal,
            refusal,
            name="restore_station",
        )
        own = [create, restore]
        if self.context.memphis.available:
            plain = Command(
                tr("Create plain stream"),
                "",
                self._create_stream,
                "plus",
                not refusal,
                refusal,
                name="create_plain_stream",
            )
            own.insert(1, plain)
        tree = Command(
            tr("Group stations by the beginning of the name"),
            keymap.key("stations.tree"),
            self.tree_button.toggle,
            "tree-structure",
        )
        return [*own, tree, *self._row_commands(self.table.selected_rows())]

    def _no_source(self, target: StreamSnapshot | None) -> str:
        """Why nothing can be replayed into a station; empty when it can."""
        if target is None or not target.config.get("subjects"):
            return tr("It takes no messages itself.")
        others = any(name != target.name and not is_machinery(name) for name in self._rows)
        return "" if others else tr("There is no other station.")

    def _row_commands(self, rows: list[StationRow]) -> list[Command]:
        context, actions, refusal = self.context, self._actions, self._actions.refusal
        if any(row.branch for row in rows):
            return [
                Command(
                    tr("Open or close"),
                    keymap.key("stations.unfold"),
                    lambda: self.toggle_partitions(rows),
                    "tree-structure",
                ),
            ]
        if any(row.memphis is not None for row in rows):
            return self._memphis.commands(rows, self.toggle_partitions)
        streams = [row.stream for row in rows]
        one = streams[0] if len(streams) == 1 else None
        missing = tr("Select one station first.") if one is None else ""
        none = "" if streams else tr("Select a station first.")

        def go(tab: str) -> None:
            if one is not None:
                context.navigate(station_route(one.name, tab))

        def start(make: Any, description: str) -> None:
            if one is not None:
                context.run(make(one), description)

        def listen() -> None:
            if one is not None:
                subjects = one.config.get("subjects") or ()
                context.navigate(Route("live", {"subject": str(subjects[0])} if subjects else {}))

        def replay() -> None:
            if one is not None:
                open_replay(context, self.window(), one.name)

        def start_copy() -> None:
            if one is not None:
                text = json.dumps(dict(one.config), indent=2, ensure_ascii=False)
                QGuiApplication.clipboard().setText(text)
                context.notify(tr("The configuration of {name} is on the clipboard.", name=one.name), "good")

        def row(
            title: str,
            key: str,
            callback: Any,
            icon: str,
            reason: str,
            danger: bool = False,
            name: str = "",
        ) -> Command:
            return Command(title, key, callback, icon, not reason, reason, danger, name)

        bucket = bucket_name(one.name) if one is not None and is_bucket(one.name) else ""

        def show_bucket() -> None:
            context.navigate(bucket_route(bucket))

        as_bucket = Command(tr("Open as bucket"), "", show_bucket, "key", name="open_bucket")
        return [
            row(tr("Open"), "", lambda: go(""), "arrow-square-out", missing),
            *([as_bucket] if bucket else []),
            row(
                tr("Browse messages"),
                keymap.key("stations.browse"),
                lambda: go("messages"),
                "list-bullets",
                missing,
            ),
            row(
                tr("Show groups"), keymap.key("stations.groups"), lambda: go("groups"), "users-three", missing
            ),
            row(tr("Listen to it live"), keymap.key("stations.listen"), listen, "broadcast", missing),
            row(tr("Connect your code"), "", lambda: go("code"), "code", missing),
            row(tr("Replay its messages"), keymap.key("stations.replay"), replay, "repeat", missing),
            row(
                tr("Replay another into it"),
                "",
                lambda: start(lambda s: replay_into(context, self, s), tr("start the replay")),
                "repeat",
                missing or refusal or self._no_source(one),
            ),
            row(
                tr("Edit station"),
                keymap.key("stations.edit"),
                lambda: start(actions.edit_station, tr("change the station")),
                "pencil-simple",
                missing or refusal,
            ),
            row(
                tr("Create from this"),
                "",
                lambda: start(lambda s: actions.create_station(s.config), tr("create the station")),
                "copy",
                missing or refusal,
            ),
            row(
                tr("Compare configurations"),
                keymap.key("stations.compare"),
                lambda: context.run(actions.compare(*streams[:2]), tr("compare the stations")),
                "columns",
                "" if 1 <= len(streams) <= 2 else tr("Select one or two stations first."),
            ),
            row(
                tr("Copy configuration"),
                "",
                start_copy,
                "copy",
                missing,
            ),
            row(
                tr("Back up"),
                "",
                lambda: start(actions.back_up, tr("back up the station")),
                "download-simple",
                missing,
                name="back_up_station",
            ),
            row(
                tr("Seal"),
                "",
                lambda: start(actions.seal_station, tr("seal the station")),
                "lock-simple",
                missing or refusal,
                True,
                "seal_station",
            ),
            row(
                tr("Purge"),
                "",
                lambda: start(actions.purge_station, tr("purge the station")),
                "eraser",
                missing or refusal,
                True,
                "purge_station",
            ),
            row(
                tr("Delete"),
                keymap.key("stations.delete"),
                lambda: context.run(actions.delete_stations(self._selected()), tr("delete the station")),
                "trash",
                none or refusal,
                True,
            ),
        ]
