"""One service: endpoints, instances, statistics over time, what it tells as JSON, and trying it."""

from __future__ import annotations

import json
from collections.abc import Callable

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QTabBar,
    QVBoxLayout,
    QWidget,
)

from memphis_desktop.cluster.model import ClusterSnapshot
from memphis_desktop.cluster.services import INFO, STATS, Endpoint, ServiceInstance, subject_of
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.current_page import PageStack
from memphis_desktop.ui.components.data_table import DataTable
from memphis_desktop.ui.components.graph import Series, TimeSeriesGraph
from memphis_desktop.ui.components.page_header import PageHeader
from memphis_desktop.ui.components.segments import Segments
from memphis_desktop.ui.components.time_range import TimeRange
from memphis_desktop.ui.screen import SERVER, Command, Route, Screen, ScreenContext
from memphis_desktop.ui.screens.services.rows import (
    EndpointRow,
    ServiceRow,
    endpoint_columns,
    endpoint_rows,
    instance_columns,
    pairs_text,
    service_route,
    service_row,
)
from memphis_desktop.ui.screens.services.states import show_state
from memphis_desktop.ui.screens.services.try_it import TryPanel
from memphis_desktop.ui.screens.station_parts import PAGE_MARGINS, panel
from memphis_desktop.ui.shell.staleness import shows

TABS = ("endpoints", "instances", "json", "try")


class ServiceScreen(Screen):
    """See the module. Routes name the ``service``, a ``tab``, and an ``instance`` to be selected."""

    title = tr("Service")
    route_name = "service"
    stale_with = frozenset({SERVER})

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._name = ""
        self._row: ServiceRow | None = None
        self._known: tuple[ServiceInstance, ...] = ()  # the last that was told, also when it is gone
        self._release: Callable[[], None] | None = None
        self._only: Endpoint | None = None  # the graphs show this endpoint
        self.time_range = TimeRange()
        self.header = PageHeader(tr("Service"))
        self.header.navigated.connect(context.navigate)
        self.header.add_icon_action("arrows-clockwise", tr("Ask again  ( F5 )"), self._refresh)
        self.gone = Banner("warning")
        self.gone.hide()
        self._build_graphs()
        self.endpoints = DataTable(
            endpoint_columns(),
            lambda row: row.endpoint.key,
            "service_endpoints",
            context_actions=self._endpoint_commands,
        )
        self.instances = DataTable(
            instance_columns(),
            lambda row: row.key,
            "service_instances",
            context_actions=self._instance_commands,
            default_sort=("started", True),
        )
        for table in (self.endpoints, self.instances):
            table.set_zone(context.zone)
            table.set_state("loading")
        self._build_json()
        self._trying: TryPanel | None = None
        self._try_page = panel()
        self.tab_bar = QTabBar()
        self.tab_bar.setExpanding(False)
        self.tab_bar.setDrawBase(False)
        self.tab_bar.setAccessibleName(tr("Parts of the service"))
        self.stack = PageStack()
        for title, page in (
            (tr("Endpoints"), shows(panel(self.endpoints), SERVER)),
            (tr("Instances"), shows(panel(self.instances), SERVER)),
            (tr("JSON"), panel(self._json_page)),
            (tr("Try it"), self._try_page),
        ):
            self.tab_bar.addTab(title)
            self.stack.addWidget(page)
        self.tab_bar.currentChanged.connect(self._tab_chosen)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*PAGE_MARGINS)
        layout.setSpacing(theme.SPACE_4)
        layout.addWidget(self.header)
        layout.addWidget(self.gone)
        layout.addWidget(self.graphs)
        layout.addWidget(self.tab_bar)
        layout.addWidget(self.stack, 1)
        self.endpoints.row_activated.connect(self._try)
        self.endpoints.current_changed.connect(self._endpoint_current)
        for table in (self.endpoints, self.instances):
            table.selection_changed.connect(lambda _: self.commands_changed.emit())
        self.instances.row_activated.connect(self._show_json_of)

    def _build_graphs(self) -> None:
        zone = self.context.zone
        self.rate_graph = TimeSeriesGraph(tr("Requests"), tr("requests/s"), self.time_range, zone=zone)
        self.time_graph = TimeSeriesGraph(tr("Time of a request"), "seconds", self.time_range, zone=zone)
        self.graphs = QWidget()
        row = QHBoxLayout(self.graphs)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.SPACE_4)
        for graph in (self.rate_graph, self.time_graph):
            graph.setMinimumWidth(176)
            graph.setFixedHeight(190)
            row.addWidget(shows(graph, SERVER), 1)

    def _build_json(self) -> None:
        self.json_kind = Segments([(STATS, "STATS"), (INFO, "INFO")])
        self.json_kind.set_choice(STATS)
        self.json_kind.chosen.connect(lambda _: self._show_json())
        self.json_box = QComboBox()
        self.json_box.setAccessibleName(tr("Instance"))
        self.json_box.setMinimumContentsLength(24)
        self.json_box.currentIndexChanged.connect(lambda _: self._show_json())
        self.json_code = CodeBlock(lines=0)
        line = QHBoxLayout()
        line.setSpacing(theme.SPACE_3)
        line.addWidget(self.json_kind)
        line.addWidget(self.json_box)
        line.addStretch()
        self._json_page = QWidget()
        column = QVBoxLayout(self._json_page)
        column.setContentsMargins(theme.SPACE_4, theme.SPACE_3, theme.SPACE_4, theme.SPACE_3)
        column.setSpacing(theme.SPACE_3)
        column.addLayout(line)
        column.addWidget(self.json_code, 1)

    @property
    def trying(self) -> TryPanel:
        """Where a request is written, made when somebody wants to: it has many parts."""
        if self._trying is None:
            self._trying = TryPanel(self.context, self._try_page)
            layout = self._try_page.layout()
            assert layout is not None  # a panel has one
            layout.addWidget(self._trying)
            self._offer_endpoints()
        return self._trying

    def _offer_endpoints(self) -> None:
        if self._trying is not None:
            watch = self.context.session.services
            self._trying.set_endpoints([row.endpoint for row in endpoint_rows(self._known, watch)])

    # Where

    def show_route(self, route: Route) -> None:
        """Show a service."""
        name = route.get("service")
        if name != self._name:
            self._name = name
            self._row, self._known, self._only = None, (), None
            self.endpoints.set_rows([])
            self.instances.set_rows([])
            self.json_box.clear()
            self._offer_endpoints()
        tab = route.get("tab")
        if tab in TABS:
            self.tab_bar.setCurrentIndex(TABS.index(tab))
        elif route.get("instance"):
            self.tab_bar.setCurrentIndex(1)
        self._show()
        if route.get("instance"):
            self.instances.select_key(route.get("instance"))
        self.title_changed.emit()

    def breadcrumb(self) -> list[tuple[str, Route | None]]:
        """Services › this."""
        return [(tr("Services"), Route("services")), (self._name, None)]

    # Figures

    def _show(self) -> None:
        watch = self.context.session.services
        found = [one for one in watch.instances.values() if one.name == self._name]
        if found:
            self._row = service_row(self._name, found, watch)
            self._known = self._row.instances
        elif watch.ready:
            self._row = None
        self._show_head()
        ids = [one.id for one in self._known]
        self.endpoints.set_rows(endpoint_rows(self._known, watch))
        self.instances.set_rows(
            [ServiceRow(self._name, (one,), watch.rates([one.id]), True) for one in self._known]
        )
        for table in (self.endpoints, self.instances):
            show_state(table, watch, None)
            table.repaint_kinds({"time"})
        if found and not self._row_endpoints():
            text = tr("This service has no endpoints of its own.")
            self.endpoints.set_state("empty", text, icon="handshake")
        self._offer_endpoints()
        self._show_gone(bool(found))
        self._fill_box(ids)
        self._show_json()
        self._draw()
        self.commands_changed.emit()

    def _row_endpoints(self) -> tuple[Endpoint, ...]:
        return self._row.endpoints if self._row is not None else ()

    def _show_head(self) -> None:
        self.header.set_breadcrumb(self.breadcrumb())
        parts = []
        if self._known:
            one, count = self._known[-1], len(self._known)
            if one.description:
                parts.append(one.description)
            versions = sorted({each.version for each in self._known if each.version})
            if versions:
                parts.append(tr("version {versions}", versions=", ".join(versions)))
            parts.append(
                tr_count("{count} instance", "{count} instances", count, count=figures.integer(count))
            )
            if one.metadata:
                parts.append(pairs_text(one.metadata))
        self.header.set_title(self._name, "  ·  ".join(parts))

    def _show_gone(self, there: bool) -> None:
        watch = self.context.session.services
        text = ""
        if not there and watch.ready and self._known and self.context.session.connected:
            text = tr("No instance of this service answers any more. What you see is the last that it told.")
        elif watch.problem and self._known and self.context.session.connected:
            text = watch.problem
        if text != self.gone.text():
            self.gone.set_content("warning", text, (tr("Ask again"), self._refresh) if text else None)
        self.gone.setVisible(bool(text))

    def _draw(self) -> None:
        watch = self.context.session.services
        key = self._only.key if self._only is not None else None
        times, requests, errors, average = watch.series([one.id for one in self._known], key)
        title = tr("Requests of {name}", name=self._only.name) if self._only is not None else tr("Requests")
        self.rate_graph.set_title(title)
        self.rate_graph.set_series(
            [
                Series(tr("Requests"), times, requests, fill=True),
                Series(tr("Errors"), times, errors, token="bad"),
            ]
        )
        self.time_graph.set_series([Series(tr("Average"), times, average, gaps_marked=True)])

    def _endpoint_current(self, row: EndpointRow | None) -> None:
        several = len(self.endpoints.rows()) > 1
        self._only = row.endpoint if row is not None and several else None
        self._draw()

    # JSON

    def _fill_box(self, ids: list[str]) -> None:
        if ids == [self.json_box.itemData(number) for number in range(self.json_box.count())]:
            return
        before = self.json_box.currentData()
        self.json_box.blockSignals(True)
        self.json_box.clear()
        for one in ids:
            self.json_box.addItem(figures.visible_text(one, 64), one)
        self.json_box.setCurrentIndex(max(0, self.json_box.findData(before)))
        self.json_box.blockSignals(False)

    def _show_json(self) -> None:
        if self.stack.currentIndex() != TABS.index("json"):
            return
        chosen = self.json_box.currentData()
        one = next((each for each in self._known if each.id == chosen), None)
        if one is None:
            self.json_code.set_text("")
            return
        kind = self.json_kind.choice() or STATS
        body = one.info if kind == INFO else one.stats
        text = json.dumps(body, indent=2, ensure_ascii=False)
        self.json_code.set_text(f"{subject_of(kind, one.name, one.id)}\n{text}")

    def _show_json_of(self, row: ServiceRow) -> None:
        self.json_box.setCurrentIndex(self.json_box.findData(row.key))
        self.tab_bar.setCurrentIndex(TABS.index("json"))

    # Coming and going

    def show_snapshot(self, snapshot: ClusterSnapshot) -> None:
        """Services are no part of it; what can be sent may be."""
        if self._trying is not None:
            self._trying.check()

    def activated(self) -> None:
        """Ask, again and again."""
        if self._release is None:
            self._release = self.context.session.services.use(self._show)
        self._show()
        if self.tab_bar.currentIndex() == 0:
            self.endpoints.setFocus()

    def deactivated(self) -> None:
        """Nobody looks: nobody is asked."""
        if self._release is not None:
            self._release()
            self._release = None

    def _tab_chosen(self, index: int) -> None:
        if TABS[index] == "try":
            self.trying.check()
        self.stack.setCurrentIndex(index)
        self.graphs.setVisible(TABS[index] in ("endpoints", "instances"))
        self._show_json()
        self.commands_changed.emit()

    # Commands

    def _refresh(self) -> None:
        self.context.session.services.refresh()

    def _try(self, row: EndpointRow) -> None:
        self.trying.choose(row.endpoint)
        self.tab_bar.setCurrentIndex(TABS.index("try"))
        self.trying.subject_field.setFocus()

    def _step(self, by: int) -> None:
        self.tab_bar.setCurrentIndex((self.tab_bar.currentIndex() + by) % len(TABS))

    def commands(self) -> list[Command]:
        """What can be done here and with the selection."""
        trying = self.tab_bar.currentIndex() == TABS.index("try")
        possible = trying and self.trying.send_button.isEnabled()
        why = "" if possible else tr("Open “Try it” and write a request first.")
        own = [
            Command(
                tr("Next part of the service"),
                keymap.key("service.next_part"),
                lambda: self._step(1),
                "arrow-right",
            ),
            Command(
                tr("Previous part of the service"),
                keymap.key("service.previous_part"),
                lambda: self._step(-1),
                "arrow-left",
            ),
            Command(tr("Ask again"), keymap.key("service.read"), self._refresh, "arrows-clockwise"),
            Command(
                tr("Send request"),
                keymap.key("service.send"),
                lambda: self.trying.send(),
                "paper-plane-tilt",
                possible,
                why,
            ),
        ]
        if self.tab_bar.currentIndex() == 0:
            own += self._endpoint_commands(self.endpoints.selected_rows())
        elif self.tab_bar.currentIndex() == 1:
            own += self._instance_commands(self.instances.selected_rows())
        return own

    def _endpoint_commands(self, rows: list[EndpointRow]) -> list[Command]:
        one = rows[0] if len(rows) == 1 else None
        missing = "" if one is not None else tr("Select one endpoint first.")

        def start(run: Callable[[EndpointRow], object]) -> Callable[[], None]:
            def do() -> None:
                if one is not None:
                    run(one)

            return do

        def listen(row: EndpointRow) -> None:
            self.context.navigate(Route("live", {"subject": row.endpoint.subject}))

        return [
            Command(
                tr("Try it"),
                keymap.key("service.ask"),
                start(self._try),
                "paper-plane-tilt",
                not missing,
                missing,
            ),
            Command(
                tr("Listen to it live"), "", start(listen), "broadcast", not missing, missing, name="listen"
            ),
            Command(
                tr("Copy subject"),
                "",
                start(lambda row: self._copy(row.endpoint.subject)),
                "copy",
                not missing,
                missing,
                name="copy_subject",
            ),
        ]

    def _instance_commands(self, rows: list[ServiceRow]) -> list[Command]:
        one = rows[0] if len(rows) == 1 else None
        missing = "" if one is not None else tr("Select one instance first.")

        def show() -> None:
            if one is not None:
                self._show_json_of(one)

        def copy() -> None:
            if one is not None:
                self._copy(f"nats service stats {self._name} {one.key}")  # untranslated: a command

        return [
            Command(tr("Show its JSON"), "", show, "brackets-curly", not missing, missing, name="show_json"),
            Command(tr("Copy the command"), "", copy, "terminal", not missing, missing, name="copy_command"),
        ]

    def _copy(self, text: str) -> None:
        QGuiApplication.clipboard().setText(text)
        self.context.notify(tr("It is on the clipboard."), "good")


__all__ = ["TABS", "ServiceScreen", "service_route"]
