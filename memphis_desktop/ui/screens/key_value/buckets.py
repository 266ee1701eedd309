"""The list of buckets: every one with its size, limits and last write."""

from __future__ import annotations

import json
from typing import Any

from PySide6.QtWidgets import QVBoxLayout, QWidget

from memphis_desktop.cluster.model import ClusterSnapshot, StreamSnapshot
from memphis_desktop.inspect.key_value.bucket import Bucket
from memphis_desktop.inspect.key_value.names import bucket_name, is_bucket
from memphis_desktop.language import tr, tr_count, tr_in
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.filter_bar import FilterBar
from memphis_desktop.ui.components.page_header import PageHeader
from memphis_desktop.ui.screen import Command, Screen, ScreenContext
from memphis_desktop.ui.screens.key_value.bucket_actions import BucketActions
from memphis_desktop.ui.screens.key_value.fields import bucket_route
from memphis_desktop.ui.screens.station_code import StationCodeDialog
from memphis_desktop.ui.screens.station_parts import (
    PAGE_MARGINS,
    StateBanner,
    limit_share,
    panel,
    why_unread,
)
from memphis_desktop.ui.shell.staleness import shows

# The Memphis layer keeps its own things in buckets that nobody edits by hand.
_INNER = ("KV_memphis_", "KV_MEMPHIS_")


class BucketsScreen(Screen):
    """See the module."""

    title = tr("Key-value")
    route_name = "key_value"

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._actions = BucketActions(context, self)
        self._snapshot: ClusterSnapshot | None = None
        self.header = PageHeader(tr("Key-value"))
        self.restore_button = self.header.add_icon_action(
            "upload-simple", tr("Restore a bucket from a backup"), self._restore
        )
        self.create_button = self.header.add_action(
            tr("Create bucket"), self._create, icon_name="plus", kind="primary", tooltip="N"
        )
        self._create_tooltip = self.create_button.toolTip()
        self.banner = StateBanner()
        self.filter = FilterBar(tr("Filter buckets"))
        self.filter.add_chip("inner", tr("With inner ones"), tr("Show the buckets of the Memphis layer"))
        self.table = DataTable(
            bucket_columns(),
            lambda stream: stream.name,
            "buckets",
            context_actions=self._actions.commands,
            default_sort=("name", False),
        )
        self.table.set_zone(context.zone)
        self.table.set_state("loading")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*PAGE_MARGINS)
        layout.setSpacing(theme.SPACE_4)
        for widget in (self.header, self.banner, self.filter):
            layout.addWidget(widget)
        layout.addWidget(shows(panel(self.table), "streams"), 1)
        self.filter.text_changed.connect(self.table.set_filter)
        self.filter.text_changed.connect(lambda _: self._count())
        self.filter.chips_changed.connect(lambda _: self._show())
        self.filter.left.connect(self.table.setFocus)
        self.table.row_activated.connect(
            lambda stream: context.navigate(bucket_route(bucket_name(stream.name)))
        )
        self.table.preview_requested.connect(
            lambda stream: context.navigate(bucket_route(bucket_name(stream.name)))
        )
        self.table.selection_changed.connect(lambda _: self.commands_changed.emit())

    def show_snapshot(self, snapshot: ClusterSnapshot) -> None:
        """Update the rows."""
        self._snapshot = snapshot
        self.banner.show_snapshot(snapshot)
        self._show()
        rows = self.table.rows_in_view()
        self.context.session.set_visible_streams(self, [stream.name for stream in rows])

    def _show(self) -> None:
        snapshot = self._snapshot
        if snapshot is None:
            return
        refusal = self._actions.refusal_of("")
        for button in (self.create_button, self.restore_button):
            button.setEnabled(not refusal)
        self.create_button.setToolTip(refusal or self._create_tooltip)
        inner = "inner" in self.filter.chips()
        found = {
            name: stream
            for name, stream in snapshot.streams.items()
            if is_bucket(name) and (inner or not name.startswith(_INNER))
        }
        self.table.set_rows(found)
        self.table.repaint_kinds({"time"})
        if found:
            self.table.set_state("ready")
        elif why := why_unread(snapshot, "streams", "round"):
            self.table.set_state("error", why, (tr("Try again"), self.context.session.refresh), "key")
        elif snapshot.complete:
            text = tr("No buckets yet. A bucket keeps the newest values of keys, and their history.")
            code = (tr("Connect your code"), self._show_code)
            if refusal:
                self.table.set_state("empty", text, None, "key", [code])
            else:
                self.table.set_state("empty", text, (tr("Create bucket"), self._create), "key", [code])
        self._count()

    def _count(self) -> None:
        total, shown = self.table.model.total(), self.table.model.rowCount()
        text = tr_count("{count} bucket", "{count} buckets", total, count=figures.integer(total))
        if shown < total:
            text = tr("{part} of {whole}", part=figures.integer(shown), whole=text)
        self.filter.set_count(text if total else "")

    def _create(self) -> None:
        if not self._actions.refusal_of(""):
            self.context.run(self._actions.create(), tr("create the bucket"))

    def _restore(self) -> None:
        if not self._actions.refusal_of(""):
            self.context.run(self._actions.stations.restore(), tr("restore the bucket"))

    def _show_code(self) -> None:
        StationCodeDialog(self.window(), self.context).open()

    def activated(self) -> None:
        """Keys go to the list."""
        self.table.setFocus()

    def deactivated(self) -> None:
        """Nothing of this list is looked at any more."""
        self.context.session.set_visible_streams(self, ())

    def focus_filter(self) -> None:
        """Put the cursor into the filter."""
        self.filter.focus()

    def commands(self) -> list[Command]:
        """What can be done here."""
        refusal = self._actions.refusal_of("")
        return [
            Command(
                tr("Create bucket"),
                keymap.key("key_value.create"),
                self._create,
                "plus",
                not refusal,
                refusal,
            ),
            Command(
                tr("Restore a bucket from a backup"),
                "",
                self._restore,
                "upload-simple",
                not refusal,
                refusal,
                name="restore_bucket",
            ),
            *self._actions.commands(self.table.selected_rows()),
        ]


def bucket_columns() -> list[Column]:
    """The columns of the list."""

    def known(read: Any) -> Any:
        return lambda stream: read(stream) if stream.is_read else None

    def of(read: Any) -> Any:
        return known(lambda stream: read(Bucket.of(stream.config)))

    return [
        Column("name", tr("Bucket"), lambda s: bucket_name(s.name), "mono", 130, stretch=True),
        Column(
            "keys",
            tr_in("of a bucket", "Keys"),
            known(lambda s: s.subject_count),
            "number",
            64,
            tr("Keys, those that were deleted and left a marker among them"),
        ),
        Column(
            "values",
            tr("Values"),
            known(lambda s: s.messages),
            "number",
            64,
            tr("Stored revisions of all keys, markers among them"),
        ),
        Column("bytes", tr("Size"), known(lambda s: s.bytes), "bytes", 76),
        Column(
            "used",
            tr("Of the limit"),
            known(lambda s: limit_share(s.bytes, s.config.get("max_bytes"))),
            "bar",
            88,
            tr("How much of the size limit is used"),
            visible=False,
        ),
        Column(
            "history", tr("History"), of(lambda b: b.history), "number", 64, tr("Values kept of each key")
        ),
        Column(
            "ttl",
            tr("TTL"),
            of(lambda b: b.ttl_ns / 1e9 if b.ttl_ns else None),
            "duration",
            60,
            tr("How long values are kept; – is for ever"),
        ),
        Column(
            "marker",
            tr("Marker TTL"),
            of(lambda b: b.marker_ttl_ns / 1e9 if b.marker_ttl_ns else None),
            "duration",
            84,
            tr("How long markers of what ran out are kept; – is none"),
            visible=False,
        ),
        Column("limit", tr("Size limit"), of(_positive("max_bytes")), "bytes", 78),
        Column("largest", tr("Largest value"), of(_positive("max_value")), "bytes", 92, visible=False),
        Column("replicas", tr("Replicas"), known(lambda s: s.config.get("num_replicas")), "number", 64),
        Column("storage", tr("Storage"), known(_storage), "text", 64),
        Column(
            "compression",
            tr("Compression"),
            of(lambda b: tr("yes") if b.compressed else tr("no")),
            "text",
            88,
            visible=False,
        ),
        Column(
            "origin",
            tr("Copied from"),
            of(lambda b: ", ".join(b.origins)),
            "mono",
            90,
            tr("The bucket it mirrors, or those it has as sources"),
        ),
        Column("placement", tr("Placement"), known(_placement), "text", 90, visible=False),
        Column("leader", tr("Leader"), lambda s: s.leader or "", "text", 90, visible=False),
        Column("last", tr("Last write"), lambda s: s.last_time_ns, "time", 92),
        Column(
            "description", tr("Description"), known(lambda s: s.config.get("description") or ""), "text", 120
        ),
    ]


def _positive(name: str) -> Any:
    def read(bucket: Bucket) -> int | None:
        value = int(getattr(bucket, name))
        return value if value > 0 else None

    return read


def _storage(stream: StreamSnapshot) -> str:
    return tr("memory") if stream.config.get("storage") == "memory" else tr("file")


def _placement(stream: StreamSnapshot) -> str:
    placement = stream.config.get("placement") or {}
    words = [str(placement.get("cluster") or ""), *map(str, placement.get("tags") or ())]
    return " ".join(word for word in words if word) or (json.dumps(placement) if placement else "")
