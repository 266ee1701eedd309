"""The list of object buckets, with what each holds and what can be done with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from PySide6.QtWidgets import QVBoxLayout, QWidget

from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.cluster.model import ClusterSnapshot, StreamSnapshot
from memphis_desktop.inspect.objects import names, reading
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components.data_table import DataTable
from memphis_desktop.ui.components.filter_bar import FilterBar
from memphis_desktop.ui.components.page_header import PageHeader
from memphis_desktop.ui.screen import Command, Route, Screen, ScreenContext
from memphis_desktop.ui.screens.objects.bucket_actions import BucketActions
from memphis_desktop.ui.screens.objects.buckets import BucketRow, bucket_columns, bucket_route
from memphis_desktop.ui.screens.station_parts import (
    PAGE_MARGINS,
    StateBanner,
    panel,
    station_route,
    why_unread,
)
from memphis_desktop.ui.screens.station_steady import Steady
from memphis_desktop.ui.shell.staleness import shows

_COUNTED_AT_ONCE = 4  # buckets whose names are counted in one round


class ObjectsScreen(Screen):
    """See the module."""

    title = tr("Objects")
    route_name = "objects"

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._actions = BucketActions(context, self)
        self._steady: Steady[str, StreamSnapshot] = Steady()
        self._rows: dict[str, BucketRow] = {}
        self._counted: dict[str, tuple[tuple[int, int], int]] = {}  # bucket: its state then, and its names
        self._counting: asyncio.Task[None] | None = None
        self._uncountable: set[str] = set()
        self._total = 0
        self._active = False
        self.header = PageHeader(tr("Objects"))
        self.create_button = self.header.add_action(
            tr("Create bucket"), self._create, icon_name="plus", kind="primary", tooltip="N"
        )
        self._create_tooltip = self.create_button.toolTip()
        self.banner = StateBanner()
        self.filter = FilterBar(tr("Filter buckets"))
        self.table = DataTable(
            bucket_columns(),
            lambda row: row.bucket,
            "object_buckets",
            context_actions=self._row_commands,
            default_sort=("name", False),
        )
        self.table.set_zone(context.zone)
        self.table.set_state("loading")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*PAGE_MARGINS)
        layout.setSpacing(theme.SPACE_4)
        layout.addWidget(self.header)
        layout.addWidget(self.banner)
        layout.addWidget(self.filter)
        layout.addWidget(shows(panel(self.table), "streams"), 1)
        self.filter.text_changed.connect(self.table.set_filter)
        self.filter.text_changed.connect(lambda _: self._count())
        self.filter.left.connect(self.table.setFocus)
        self.table.row_activated.connect(self._open)
        self.table.selection_changed.connect(lambda _: self.commands_changed.emit())
        self._show_refusal()

    def show_snapshot(self, snapshot: ClusterSnapshot) -> None:
        """Update the rows that changed."""
        self.banner.show_snapshot(snapshot)
        self._show_refusal()
        streams = {
            bucket: stream
            for name, stream in snapshot.streams.items()
            if (bucket := names.bucket_name(name)) is not None
        }
        changed = self._steady.take(streams)
        for bucket in changed:
            if bucket in streams:
                known = self._counted.get(bucket)
                self._rows[bucket] = BucketRow(bucket, streams[bucket], known[1] if known else None)
            else:
                self._rows.pop(bucket, None)
                self._counted.pop(bucket, None)
        if changed:
            self.table.set_rows(dict(self._rows))
        self._show_state(snapshot)
        self._count()
        self.table.repaint_kinds({"time"})
        shown: list[BucketRow] = self.table.rows_in_view()
        self.context.session.set_visible_streams(self, [row.stream.name for row in shown])
        self._count_names()

    def _show_state(self, snapshot: ClusterSnapshot) -> None:
        if self._rows:
            self.table.set_state("ready")
        elif why := why_unread(snapshot, "streams", "round"):
            self.table.set_state("error", why, (tr("Try again"), self.context.session.refresh), "package")
        elif snapshot.complete:
            text = tr(
                "No object buckets yet. A bucket keeps files of any size on the server, in chunks, "
                "for all its clients."
            )
            create = None if self._actions.refusal else (tr("Create bucket"), self._create)
            self.table.set_state("empty", text, create, "package")

    def _show_refusal(self) -> None:
        refusal = self._actions.refusal
        self.create_button.setEnabled(not refusal)
        self.create_button.setToolTip(refusal or self._create_tooltip)

    def _count(self) -> None:
        total, shown = len(self._rows), self.table.model.rowCount()
        text = tr_count("{count} bucket", "{count} buckets", total, count=figures.integer(total))
        if shown < total:
            text = tr("{shown} of {all}", shown=figures.integer(shown), all=text)
        self.filter.set_count(text if total else "")

    # How many objects there are

    def _count_names(self) -> None:
        """Count the names of what is in view and has changed, a few buckets at a time."""
        if not self._active or (self._counting is not None and not self._counting.done()):
            return
        shown: list[BucketRow] = self.table.rows_in_view()
        due = [row for row in shown if row.stream.is_read and self._is_due(row)]
        if due and self.context.session.connected:
            self._counting = self.context.run(
                self._count_these(due[:_COUNTED_AT_ONCE]), tr("count the objects")
            )

    def _is_due(self, row: BucketRow) -> bool:
        known = self._counted.get(row.bucket)
        state = (row.stream.last_sequence, row.stream.messages)
        return row.bucket not in self._uncountable and (known is None or known[0] != state)

    async def _count_these(self, rows: list[BucketRow]) -> None:
        for row in rows:
            try:
                found = await reading.count_names(self.context.session, row.bucket)
            except ClusterError:
                self._uncountable.add(row.bucket)  # the figure stays unknown; the bucket itself can be opened
                continue
            self._counted[row.bucket] = ((row.stream.last_sequence, row.stream.messages), found)
            current = self._rows.get(row.bucket)
            if current is not None and current.records != found:
                self._rows[row.bucket] = BucketRow(row.bucket, current.stream, found)
        self.table.set_rows(dict(self._rows))

    # Coming and going

    def activated(self) -> None:
        """Keys go to the list."""
        self._active = True
        self._uncountable.clear()
        self.table.setFocus()

    def deactivated(self) -> None:
        """Nothing of this list is looked at any more."""
        self._active = False
        self.context.session.set_visible_streams(self, ())

    def focus_filter(self) -> None:
        """Put the cursor into the filter."""
        self.filter.focus()

    # Commands

    def _create(self) -> None:
        self.context.run(self._actions.create(), tr("create the bucket"))

    def _open(self, row: BucketRow) -> None:
        self.context.navigate(bucket_route(row.bucket))

    def commands(self) -> list[Command]:
        """The actions on the list and its selection."""
        refusal = self._actions.refusal
        create = Command(
            tr("Create bucket"), keymap.key("objects.create"), self._create, "plus", not refusal, refusal
        )
        return [create, *self._row_commands(self.table.selected_rows())]

    def _row_commands(self, rows: list[BucketRow]) -> list[Command]:
        one = rows[0] if len(rows) == 1 else None
        missing = "" if one is not None else tr("Select one bucket first.")
        refusal = self._actions.refusal
        sealed = tr("The bucket is sealed.") if one is not None and one.sealed else ""
        actions = self._actions

        def row(
            title: str,
            key: str,
            run: Callable[[BucketRow], object],
            icon: str,
            reason: str,
            danger: bool = False,
        ) -> Command:
            def start() -> None:
                if one is not None:
                    run(one)

            return Command(title, key, start, icon, not reason, reason, danger)

        def go(route: Route) -> None:
            self.context.navigate(route)

        def do(coroutine: Coroutine[Any, Any, Any], description: str) -> None:
            self.context.run(coroutine, description)

        return [
            row(tr("Open"), "", self._open, "arrow-square-out", missing),
            row(
                tr("Edit bucket"),
                keymap.key("objects.edit"),
                lambda b: do(actions.edit(b), tr("change the bucket")),
                "pencil-simple",
                missing or refusal or sealed,
            ),
            row(
                tr("Open as station"),
                keymap.key("objects.station"),
                lambda b: go(station_route(b.stream.name)),
                "stack",
                missing,
            ),
            row(
                tr("Seal"),
                "",
                lambda b: do(actions.seal(b), tr("seal the bucket")),
                "lock-simple",
                missing or refusal or sealed,
                True,
            ),
            Command(
                tr("Delete"),
                keymap.key("objects.delete"),
                lambda: do(actions.delete(self.table.selected_rows()), tr("delete the bucket")),
                "trash",
                bool(rows) and not refusal,
                refusal or ("" if rows else tr("Select a bucket first.")),
                True,
            ),
        ]
