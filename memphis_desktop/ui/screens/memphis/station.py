"""The page of one Memphis station: its partitions as one, who produces and consumes, its dead letters."""

from __future__ import annotations

from urllib.parse import urlparse

from PySide6.QtWidgets import QWidget

from memphis_desktop.cluster.model import ClusterSnapshot
from memphis_desktop.language import tr, tr_count
from memphis_desktop.stations.model import RetentionType, Station
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.current_page import PageTabs
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.sign_grid import SignGrid
from memphis_desktop.ui.components.vital_sign import VitalSign
from memphis_desktop.ui.memphis.changes import MemphisChange
from memphis_desktop.ui.memphis.link import MemphisView, streams_of
from memphis_desktop.ui.memphis.snippets import PASSWORD, REST_PORT, ROOT, ROOT_PASSWORD, Address
from memphis_desktop.ui.screen import Command, Route, ScreenContext
from memphis_desktop.ui.screens.dead_letters.view import DeadLettersView
from memphis_desktop.ui.screens.memphis.base import MemphisScreen
from memphis_desktop.ui.screens.memphis.clients import (
    consumers_table,
    group_rows,
    partitions_table,
    producer_rows,
    producers_table,
)
from memphis_desktop.ui.screens.memphis.code_view import CodeView
from memphis_desktop.ui.screens.memphis.station_form import StationDialog, edit_change, loss, station_fields
from memphis_desktop.ui.screens.memphis.station_form import station_values as values_of
from memphis_desktop.ui.screens.memphis.station_loss import destruction, destruction_text
from memphis_desktop.ui.screens.station_parts import panel, station_route
from memphis_desktop.ui.shell.connection import LOCAL_ID

TABS = ("partitions", "producers", "consumers", "dead-letters", "code")
MEMPHIS_PORT = 6666


class MemphisStationScreen(MemphisScreen):
    """Route parameters: ``station``, and ``tab`` for one of the tabs."""

    key_place = "station"

    title = tr("Station")
    route_name = "memphis_station"

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.name = ""
        self._station: Station | None = None
        self.edit_button = self.header.add_action(
            tr("Edit"), self.edit, icon_name="pencil-simple", tooltip="Ctrl+E"
        )
        self.schema_button = self.header.add_action(tr("Schema"), self.attach, icon_name="ruler")
        self.delete_button = self.header.add_icon_action("trash", tr("Delete this station"), self.delete)
        self.missing = Banner("bad", "")
        self.missing.hide()
        self.facts = PlainLabel("", "muted", wrap=True)
        self.signs: dict[str, VitalSign] = {}
        for key, title in (
            ("messages", tr("Messages")),
            ("in", tr("In")),
            ("producers", tr("Producers")),
            ("consumers", tr("Consumers")),
            ("dead", tr("Dead letters")),
        ):
            self.signs[key] = VitalSign(title, beside=True)
        for key in ("producers", "consumers"):
            self.signs[key].set_change(tr("connected"))
        self.strip = SignGrid(list(self.signs.values()))
        self.signs["dead"].clicked.connect(lambda: self.show_tab("dead-letters"))
        self.partitions = partitions_table(context)
        self.partitions.row_activated.connect(lambda row: context.navigate(station_route(row.name)))
        self.producers = producers_table(context)
        self.consumers = consumers_table(context)
        self.letters = DeadLettersView(context, "memphis station")
        self.letters.commands_changed.connect(self.commands_changed)
        self.code = CodeView(self._address(), "")
        self.tabs = PageTabs()
        self.tabs.setDocumentMode(True)
        self.tabs.setProperty("kind", "spaced")
        for widget, title in (
            (panel(self.partitions), tr("Partitions")),
            (panel(self.producers), tr("Producers")),
            (panel(self.consumers), tr("Consumers")),
            (self.letters, tr("Dead letters")),
            (self.code, tr("Code")),
        ):
            self.tabs.addTab(widget, title)
        self.tabs.currentChanged.connect(self._tab_changed)
        self.page.setSpacing(theme.SPACE_3)
        self.page.addWidget(self.missing)
        self.page.addWidget(self.facts)
        self.page.addWidget(self.strip)
        self.page.addWidget(self.tabs, 1)
        self.page.addStretch()

    # Where

    def show_route(self, route: Route) -> None:
        """Show the station the route names."""
        name = route.get("station")
        if name != self.name:
            self.name = name
            self._station = None
            self.header.set_breadcrumb(self.breadcrumb())
            self.letters.set_station(name)
            self.code.station = name
            self.code.show_code()
            self.title_changed.emit()
        if route.get("tab"):
            self.show_tab(route.get("tab"))
        self._view_changed()

    def show_tab(self, key: str) -> None:
        """Bring a tab to the front."""
        if key in TABS:
            self.tabs.setCurrentIndex(TABS.index(key))

    def breadcrumb(self) -> list[tuple[str, Route | None]]:
        """Stations › this."""
        return [(tr("Stations"), Route("stations")), (self.name or self.title, None)]

    def activated(self) -> None:
        """Follow the buckets, and the dead letters when they are in view."""
        super().activated()
        self._tab_changed(self.tabs.currentIndex())

    def deactivated(self) -> None:
        """No more."""
        super().deactivated()
        self.letters.deactivated()

    def _tab_changed(self, index: int) -> None:
        if TABS[index] == "dead-letters" and self._release is not None:
            self.letters.activated()
        else:
            self.letters.deactivated()
        self.commands_changed.emit()

    # Showing

    def show_snapshot(self, snapshot: ClusterSnapshot) -> None:
        """A round: the figures of the partitions."""
        super().show_snapshot(snapshot)
        self._show_partitions(snapshot)
        if TABS[self.tabs.currentIndex()] == "dead-letters":
            self.letters.show_snapshot(snapshot)

    def show_view(self, view: MemphisView) -> None:
        """What the buckets say."""
        station = view.station(self.name)
        self._station = station
        gone = bool(self.name) and station is None and view.complete
        self.missing.setVisible(gone)
        for widget in (self.facts, self.strip, self.tabs):
            widget.setHidden(gone)
        if gone:
            text = tr("There is no station {name}, or not any more.", name=self.name)
            action = (tr("Open the stations"), lambda: self.context.navigate(Route("stations")))
            self.missing.set_content("bad", text, action)
        for button in (self.edit_button, self.schema_button, self.delete_button):
            button.setEnabled(station is not None and not self.refusal)
        if station is None:
            return
        self.facts.setText(facts_sentence(station, view))
        producers, groups = producer_rows(station.name, view), group_rows(station.name, view)
        snapshot = self.context.session.snapshot
        self.producers.set_rows(producers)
        text = tr("Nobody has produced to this station. The Code tab has a program that does.")
        self.producers.set_state("ready" if producers else "empty", text, icon="paper-plane-tilt")
        self.consumers.set_rows(groups)
        text = tr("Nobody consumes from this station yet.")
        self.consumers.set_state("ready" if groups else "empty", text, icon="users-three")
        letters = sum(letter.station == station.name for letter in view.dead_letters)
        self.signs["dead"].set_value(figures.integer(letters))
        self.signs["dead"].set_kind("bad" if letters else "text")
        self.signs["producers"].set_value(figures.integer(sum(row.active for row in producers)))
        self.signs["consumers"].set_value(figures.integer(sum(row.active for row in groups)))
        self.tabs.setTabText(
            1, tr("Producers {producers}", producers=len(producers)) if producers else tr("Producers")
        )
        self.tabs.setTabText(2, tr("Consumers {groups}", groups=len(groups)) if groups else tr("Consumers"))
        self.tabs.setTabText(
            3, tr("Dead letters {letters}", letters=letters) if letters else tr("Dead letters")
        )
        self.code.set_address(self._address())
        self._show_partitions(snapshot)

    def _show_partitions(self, snapshot: ClusterSnapshot) -> None:
        station = self._station
        if station is None:
            return
        streams = streams_of(station, snapshot.streams.values())
        self.partitions.set_rows(streams)
        self.partitions.set_state("ready" if streams else "loading")
        total = sum(stream.messages for stream in streams)
        self.signs["messages"].set_value(figures.integer(total))
        number, unit = figures.compact_parts(sum(stream.in_messages_rate or 0.0 for stream in streams))
        self.signs["in"].set_value(number, f"{unit}/s")

    def _address(self) -> Address:
        profile = self.context.session.profile
        if profile.id == LOCAL_ID:
            port = self.context.shell.broker.served.memphis_port or MEMPHIS_PORT
            rest = self.context.shell.broker.served.rest_port or REST_PORT
            return Address("127.0.0.1", port, ROOT, ROOT_PASSWORD, rest)
        host = urlparse(self.context.session.server_url).hostname or "localhost"
        return Address(host, MEMPHIS_PORT, password=PASSWORD)

    def station_here(self) -> str:
        """The first partition."""
        return self._station.streams[0] if self._station is not None else ""

    def focus_filter(self) -> None:
        """Into the filter of the dead letters."""
        if TABS[self.tabs.currentIndex()] == "dead-letters":
            self.letters.focus_filter()

    # Doing

    def edit(self) -> None:
        """Change what can be changed of the station."""
        if self._station is not None and not self.refusal:
            self.context.run(self._edit(self._station), tr("change the station"))

    async def _edit(self, station: Station) -> None:
        dialog = StationDialog(
            self.window(),
            tr("Edit station {name}", name=station.name),
            tr("Save changes"),
            station_fields(self.link.view.schemas),
            values_of(station),
            self.context.session,
            lambda values: edit_change(values, station),
            editing=True,
            warn=lambda values: loss(station, values),
        )
        if await dialog.ask():
            self.context.notify(tr("Station {name} was changed.", name=station.name), "good")

    def attach(self) -> None:
        """Go to the schemas, at the one this station enforces."""
        schema = self._station.schema.name if self._station is not None and self._station.schema else ""
        self.context.navigate(Route("schemas", {"schema": schema}))

    def detach(self) -> None:
        """Take the schema off the station."""
        station = self._station
        if station is not None and station.schema is not None and not self.refusal:
            self.context.run(self._detach(station), tr("detach the schema"))

    async def _detach(self, station: Station) -> None:
        assert station.schema is not None
        change = MemphisChange(
            tr("Detach schema {name} from {name2}", name=station.schema.name, name2=station.name),
            "schemas.detach",
            {"station_name": station.name},
            station.name,
            before={"schema": station.schema.name, "version": station.schema.version},
        )
        await self.change(
            change,
            title=tr("Detach {name}?", name=station.schema.name),
            text=tr("Producers of {name} are told at once, and check nothing any more.", name=station.name),
            verb=tr("Detach schema"),
            name=station.name,
            done=tr("{name} enforces no schema any more.", name=station.name),
        )

    def delete(self) -> None:
        """Delete the station, after asking."""
        if self._station is not None and not self.refusal:
            self.context.run(self._delete(self._station), tr("delete the station"))

    async def _delete(self, station: Station) -> None:
        answer = await self.change(
            destruction(station),
            title=tr("Delete station {name}?", name=station.name),
            text=destruction_text(station, self.context.session, self.link.view),
            verb=tr("Delete station"),
            name=station.name,
            done=tr("Station {name} was deleted.", name=station.name),
        )
        if answer is not None:
            self.context.navigate(Route("stations"))

    def commands(self) -> list[Command]:
        """For the palette, the keys and the sheet."""
        missing = "" if self._station is not None else tr("There is no such station.")
        why = missing or self.refusal
        plain = (
            ""
            if self._station is not None and self._station.schema is not None
            else tr("It enforces no schema.")
        )
        own = [
            self.command(
                tr("Edit this station"), keymap.key("station.edit"), self.edit, "pencil-simple", why
            ),
            self.command(tr("Choose its schema"), "", self.attach, "tree-structure", why),
            self.command(
                tr("Detach its schema"), "", self.detach, "link-break", why or plain, name="detach_schema"
            ),
            self.command(
                tr("Delete this station"), "", self.delete, "trash", why, True, name="delete_station"
            ),
            Command(
                tr("Next part of the station"),
                keymap.key("station.next_part"),
                lambda: self._step(1),
                "caret-right",
            ),
            Command(
                tr("Previous part of the station"),
                keymap.key("station.previous_part"),
                lambda: self._step(-1),
                "caret-left",
            ),
        ]
        if TABS[self.tabs.currentIndex()] == "dead-letters":
            return [*own, *self.letters.commands()]
        return own

    def _step(self, by: int) -> None:
        self.tabs.setCurrentIndex((self.tabs.currentIndex() + by) % self.tabs.count())


def retention_text(station: Station) -> str:
    """What limits a station, in words."""
    match station.retention_type:
        case RetentionType.AGE:
            return tr("kept for {retention_value}", retention_value=figures.duration(station.retention_value))
        case RetentionType.MESSAGES:
            return tr_count(
                "the last {count} message of each partition",
                "the last {count} messages of each partition",
                station.retention_value,
                count=figures.integer(station.retention_value),
            )
        case RetentionType.BYTES:
            return tr(
                "up to {retention_value} of each partition",
                retention_value=figures.bytes_size(station.retention_value),
            )
    return tr("kept until every group acknowledged")


def facts_sentence(station: Station, view: MemphisView) -> str:
    """What a station is, on two lines."""
    kinds = [
        name
        for name, on in (
            (tr("unacknowledged"), station.dead_letters.poison),
            (tr("schema violations"), station.dead_letters.schema),
        )
        if on
    ]
    schema = tr("no schema")
    if station.schema is not None:
        schema = tr(
            "schema {name} version {version}", name=station.schema.name, version=station.schema.version
        )
        known = next((one for one in view.schemas if one.name == station.schema.name), None)
        if known is not None and known.active_version != station.schema.version:
            schema = tr(
                "{schema} (version {version} is active: attach it again)",
                schema=schema,
                version=known.active_version,
            )
    copies = tr_count("{count} replica", "{count} replicas", station.replicas)
    parts = [
        retention_text(station),
        tr("in memory, {copies}", copies=copies)
        if station.storage_type == "memory"
        else tr("in file, {copies}", copies=copies),
        tr(
            "message ids for {idempotency_window_ms}",
            idempotency_window_ms=figures.duration(station.idempotency_window_ms / 1000),
        ),
        schema,
        tr("keeps as dead letters: {kinds}", kinds=", ".join(kinds) or tr("nothing")),
    ]
    if station.dls_station:
        parts.append(tr("copies of them to {dls_station}", dls_station=station.dls_station))
    if station.tiered_storage_enabled:
        parts.append(tr("wants tiered storage, which is not done here: what retention removes is gone"))
    if station.tags:
        parts.append(tr("tags {tags}", tags=", ".join(station.tags)))
    if station.created_by:
        parts.append(tr("made by {created_by}", created_by=station.created_by))
    return "  ·  ".join(parts)
