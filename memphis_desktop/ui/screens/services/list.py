"""The services that answer on a connection, with what they count of themselves."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QVBoxLayout, QWidget

from memphis_desktop.cluster.model import ClusterSnapshot
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.data_table import DataTable
from memphis_desktop.ui.components.filter_bar import FilterBar
from memphis_desktop.ui.components.page_header import PageHeader
from memphis_desktop.ui.screen import SERVER, Command, Screen, ScreenContext
from memphis_desktop.ui.screens.services.code import ServiceCodeDialog
from memphis_desktop.ui.screens.services.rows import ServiceRow, service_columns, service_route, service_rows
from memphis_desktop.ui.screens.services.states import show_state
from memphis_desktop.ui.screens.station_parts import PAGE_MARGINS, panel
from memphis_desktop.ui.shell.staleness import shows


class ServicesScreen(Screen):
    """See the module."""

    title = tr("Services")
    route_name = "services"
    stale_with = frozenset({SERVER})

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._release: Callable[[], None] | None = None
        self.header = PageHeader(tr("Services"))
        self.refresh_button = self.header.add_icon_action(
            "arrows-clockwise", tr("Ask again  ( F5 )"), self._refresh
        )
        self.code_button = self.header.add_action(
            tr("Connect your code"), self._show_code, icon_name="code", kind="ghost"
        )
        self.notice = Banner("warning")
        self.notice.hide()
        self.filter = FilterBar(tr("Filter services"))
        self.filter.add_chip("single", tr("Each instance"), tr("Show instances one by one"))
        self.filter.add_chip("errors", tr("With errors"), tr("Only those that count errors"))
        self.table = DataTable(
            service_columns(),
            lambda row: row.key,
            "services",
            context_actions=self._row_commands,
            default_sort=("name", False),
        )
        self.table.set_zone(context.zone)
        self.table.set_state("loading")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*PAGE_MARGINS)
        layout.setSpacing(theme.SPACE_4)
        layout.addWidget(self.header)
        layout.addWidget(self.notice)
        layout.addWidget(self.filter)
        layout.addWidget(shows(panel(self.table), SERVER), 1)
        self.filter.text_changed.connect(self.table.set_filter)
        self.filter.text_changed.connect(lambda _: self._count())
        self.filter.chips_changed.connect(self._choose)
        self.filter.left.connect(self.table.setFocus)
        self.table.row_activated.connect(self._open)
        self.table.selection_changed.connect(lambda _: self.commands_changed.emit())

    def _show(self) -> None:
        watch = self.context.session.services
        self.table.set_rows(service_rows(watch, single="single" in self.filter.chips()))
        show_state(self.table, watch, (tr("Connect your code"), self._show_code))
        self._show_notice()
        self._count()
        self.table.repaint_kinds({"time"})

    def _show_notice(self) -> None:
        watch = self.context.session.services
        text = ""
        if watch.problem and watch.instances:
            text = watch.problem
        elif watch.more:
            text = tr("More services answer than are listed.")
        elif watch.unreadable:
            text = tr_count(
                "{count} answer could not be read.",
                "{count} answers could not be read.",
                watch.unreadable,
                count=figures.integer(watch.unreadable),
            )
        if text != self.notice.text():
            self.notice.set_content("warning", text)
        self.notice.setVisible(bool(text) and self.context.session.connected)

    def _count(self) -> None:
        watch = self.context.session.services
        instances = len(watch.instances)
        names = len({one.name for one in watch.instances.values()})
        text = tr("{services}, {instances}",
            services=tr_count("{count} service", "{count} services", names, count=figures.integer(names)),
            instances=tr_count(
                "{count} instance", "{count} instances", instances, count=figures.integer(instances)
            ),
        )  # fmt: skip
        shown, total = self.table.model.rowCount(), self.table.model.total()
        if shown < total:
            text = tr("{shown} of {all}", shown=figures.integer(shown), all=text)
        self.filter.set_count(text if instances else "")

    def _choose(self, chips: set[str]) -> None:
        self.table.set_predicate((lambda row: row.errors > 0) if "errors" in chips else None)
        self._show()

    # Coming and going

    def show_snapshot(self, snapshot: ClusterSnapshot) -> None:
        """Services are no part of it; they are asked beside the rounds."""

    def activated(self) -> None:
        """Ask, again and again."""
        if self._release is None:
            self._release = self.context.session.services.use(self._show)
        self._show()
        self.table.setFocus()

    def deactivated(self) -> None:
        """Nobody looks: nobody is asked."""
        if self._release is not None:
            self._release()
            self._release = None

    def focus_filter(self) -> None:
        """Put the cursor into the filter."""
        self.filter.focus()

    # Commands

    def _refresh(self) -> None:
        self.context.session.services.refresh()

    def _show_code(self) -> None:
        ServiceCodeDialog(self.window(), self.context).open()

    def _open(self, row: ServiceRow) -> None:
        self.context.navigate(service_route(row.name, "", row.instances[0].id if row.single else ""))

    def commands(self) -> list[Command]:
        """What can be done here and with the selection."""
        again = Command(tr("Ask again"), keymap.key("services.read"), self._refresh, "arrows-clockwise")
        code = Command(tr("Connect your code"), "", self._show_code, "code", name="service_code")
        return [again, code, *self._row_commands(self.table.selected_rows())]

    def _row_commands(self, rows: list[ServiceRow]) -> list[Command]:
        one = rows[0] if len(rows) == 1 else None
        missing = "" if one is not None else tr("Select one service first.")

        def open_() -> None:
            if one is not None:
                self._open(one)

        def try_it() -> None:
            if one is not None:
                self.context.navigate(service_route(one.name, "try"))

        def copy() -> None:
            if one is not None:
                text = f"nats service info {one.name}"  # untranslated: a command
                QGuiApplication.clipboard().setText(text)
                self.context.notify(tr("The command is on the clipboard."), "good")

        return [
            Command(tr("Open"), "", open_, "arrow-square-out", not missing, missing, name="open_service"),
            Command(
                tr("Try it"), keymap.key("services.ask"), try_it, "paper-plane-tilt", not missing, missing
            ),
            Command(tr("Copy the command"), "", copy, "terminal", not missing, missing, name="copy_command"),
        ]
