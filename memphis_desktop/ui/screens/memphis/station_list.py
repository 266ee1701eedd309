"""What can be done with Memphis stations in the list of stations."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QWidget

from memphis_desktop.cluster.profiles import Environment
from memphis_desktop.language import tr, tr_count
from memphis_desktop.stations.model import Station
from memphis_desktop.ui import keymap
from memphis_desktop.ui.components.dialogs import ConfirmDialog
from memphis_desktop.ui.memphis.changes import MemphisChange
from memphis_desktop.ui.screen import Command, Route, ScreenContext
from memphis_desktop.ui.screens.memphis.station_form import (
    NEW_STATION,
    StationDialog,
    create_change,
    edit_change,
    loss,
    station_fields,
    station_values,
)
from memphis_desktop.ui.screens.memphis.station_loss import destruction, destruction_text
from memphis_desktop.ui.screens.station_parts import StationRow, station_route


class MemphisStations:
    """The actions of one list. `parent` is the widget their dialogs stand before."""

    def __init__(self, context: ScreenContext, parent: QWidget) -> None:
        self._context = context
        self._parent = parent
        self._link = context.memphis

    @property
    def refusal(self) -> str:
        """Why nothing can be changed now; empty when it can."""
        if self._context.session.profile.read_only:
            return tr("This connection is read-only.")
        return tr("No stations service answers on this server.") if self._link.view.service is False else ""

    def open(self, station: Station, tab: str = "") -> None:
        """Go to a station's page."""
        parameters = {"station": station.name}
        if tab:
            parameters["tab"] = tab
        self._context.navigate(Route("memphis_station", parameters))

    def create(self) -> None:
        """Ask for a station and make it."""
        if self.refusal:
            self._context.notify(self.refusal, "warning")
        else:
            self._context.run(self._create(), tr("create the station"))

    async def _create(self) -> None:
        dialog = StationDialog(
            self._parent.window(),
            tr("Create station"),
            tr("Create station"),
            station_fields(self._link.view.schemas),
            NEW_STATION,
            self._context.session,
            create_change,
        )
        dialog.form.field("name").setFocus()
        if await dialog.ask() and dialog.answer is not None:
            name = str(dialog.answer.get("name", ""))
            route = Route("memphis_station", {"station": name})
            action = (tr("Open"), lambda: self._context.navigate(route))
            self._context.notify(tr("Station {name} was created.", name=name), "good", action)

    async def _edit(self, station: Station) -> None:
        dialog = StationDialog(
            self._parent.window(),
            tr("Edit station {name}", name=station.name),
            tr("Save changes"),
            station_fields(self._link.view.schemas),
            station_values(station),
            self._context.session,
            lambda values: edit_change(values, station),
            editing=True,
            warn=lambda values: loss(station, values),
        )
        if await dialog.ask():
            self._context.notify(tr("Station {name} was changed.", name=station.name), "good")

    async def _delete(self, stations: list[Station]) -> None:
        session = self._context.session
        changes: list[MemphisChange] = [destruction(station) for station in stations]
        production = session.profile.environment is Environment.PRODUCTION
        count = len(stations)
        one = stations[0].name if count == 1 else tr_count("{count} station", "{count} stations", count)
        dialog = ConfirmDialog(
            self._parent.window(),
            tr("Delete station {name}?", name=one) if count == 1 else tr("Delete {stations}?", stations=one),
            "\n".join(destruction_text(station, session, self._link.view) for station in stations[:8]),
            tr("Delete station") if len(stations) == 1 else tr("Delete stations"),
            one if production else None,
            command="\n".join(change.command for change in changes),
        )
        if not await dialog.ask():
            return
        for change in changes:
            await change.run(session)
        self._context.notify(tr("Deleted {one}.", one=one), "good")

    def commands(self, rows: list[StationRow], toggle: Callable[[list[StationRow]], None]) -> list[Command]:
        """What can be done with the selected lines, of which one at least is a Memphis station."""
        stations = [row.memphis for row in rows if row.memphis is not None]
        one = stations[0] if len(rows) == 1 else None
        missing = "" if one is not None else tr("Select one station first.")
        mixed = "" if len(stations) == len(rows) else tr("Select Memphis stations only.")

        def command(
            title: str, keys: str, callback: Callable[[], object], icon: str, why: str, danger: bool = False
        ) -> Command:
            return Command(title, keys, callback, icon, not why, why, danger)

        def go(tab: str) -> None:
            if one is not None:
                self.open(one, tab)

        def browse() -> None:
            if one is not None and len(one.streams) == 1:
                self._context.navigate(station_route(one.streams[0], "messages"))
            else:
                go("partitions")

        def edit() -> None:
            if one is not None:
                self._context.run(self._edit(one), tr("change the station"))

        def delete() -> None:
            self._context.run(self._delete(stations), tr("delete the station"))

        single = one is not None and len(one.partitions) == 1
        return [
            command(tr("Open"), "", lambda: go(""), "arrow-square-out", missing),
            command(
                tr("Show or hide partitions"),
                keymap.key("stations.unfold"),
                lambda: toggle(rows),
                "tree-structure",
                missing or (tr("It has one partition.") if single else ""),
            ),
            command(tr("Browse messages"), keymap.key("stations.browse"), browse, "list-bullets", missing),
            command(tr("Producers"), "", lambda: go("producers"), "paper-plane-tilt", missing),
            command(
                tr("Consumers"),
                keymap.key("stations.groups"),
                lambda: go("consumers"),
                "users-three",
                missing,
            ),
            command(tr("Dead letters"), "", lambda: go("dead-letters"), "warning-octagon", missing),
            command(tr("Connect your code"), "", lambda: go("code"), "code", missing),
            command(
                tr("Edit station"),
                keymap.key("stations.edit"),
                edit,
                "pencil-simple",
                missing or self.refusal,
            ),
            command(
                tr("Delete"), keymap.key("stations.delete"), delete, "trash", mixed or self.refusal, True
            ),
        ]
