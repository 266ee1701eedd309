"""The Home page: a newcomer finds three ways to begin, everybody else the broker and the connections."""

from __future__ import annotations

import asyncio

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QStackedLayout, QVBoxLayout, QWidget

from memphis_desktop.cluster import keychain
from memphis_desktop.cluster.failures import ConnectionFailure
from memphis_desktop.cluster.profiles import ConnectionProfile, ProfileError
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.broker_control import BrokerState
from memphis_desktop.ui.components.data_table import DataTable
from memphis_desktop.ui.components.filter_bar import FilterBar
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.page_header import PageHeader
from memphis_desktop.ui.components.split_view import SplitView
from memphis_desktop.ui.format import integer
from memphis_desktop.ui.lab import LabPanel
from memphis_desktop.ui.screen import Command, Route, Screen, ScreenContext
from memphis_desktop.ui.screens.home.broker_panel import BrokerPanel
from memphis_desktop.ui.screens.home.connection_form import ConnectionForm
from memphis_desktop.ui.screens.home.details import ConnectionDetails
from memphis_desktop.ui.screens.home.dropped import profile_of_file
from memphis_desktop.ui.screens.home.exchange import Exchange
from memphis_desktop.ui.screens.home.first_run import FirstRun
from memphis_desktop.ui.screens.home.rows import COLUMNS, ConnectionRow
from memphis_desktop.ui.shell.logo import Logo

_REFRESH_MS = 1000


class HomeScreen(Screen):
    """See the module."""

    title = tr("Home")
    route_name = "home"

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._offered: list[tuple[str, bool]] = []
        self.first_run = FirstRun(context)
        self.first_run.credentials_wanted.connect(lambda profile: self.edit(profile, new=True))
        self.broker_panel = BrokerPanel(context)
        self.broker_panel.changed.connect(self._choose_page)
        self.lab_panel = LabPanel(context)
        context.shell.lab.changed.connect(self._choose_page)
        self.table = DataTable(
            COLUMNS, lambda row: row.profile.id, "connections", context_actions=self._row_actions
        )
        self.details = ConnectionDetails(context)
        self.exchange = Exchange(context, self)
        self.exchange.imported.connect(self.refresh)
        self._pages = QStackedLayout(self)
        self._pages.addWidget(self._make_welcome())
        self._pages.addWidget(self._make_connections())
        self._timer = QTimer(self)
        self._timer.setInterval(_REFRESH_MS)
        self._timer.timeout.connect(self.refresh)
        self.table.row_activated.connect(lambda row: self.open(row.profile))
        self.table.current_changed.connect(lambda _: self._show_details())
        self.details.connect_requested.connect(self.open)
        self.details.edit_requested.connect(self.edit)
        self.details.disconnect_requested.connect(self.close_connection)
        self.refresh()

    # Building ---------------------------------------------------------------------------------

    def _make_welcome(self) -> QWidget:
        column = QVBoxLayout()
        column.setSpacing(theme.SPACE_3)
        column.setContentsMargins(theme.SPACE_6, theme.SPACE_6, theme.SPACE_6, theme.SPACE_6)
        column.addStretch(2)
        column.addWidget(Logo(56), 0, Qt.AlignmentFlag.AlignHCenter)
        heading = PlainLabel(tr("Memphis Desktop"), "vital")
        heading.setAlignment(Qt.AlignmentFlag.AlignCenter)
        column.addWidget(heading)
        line = PlainLabel(
            tr("See, search and replay what flows through your message streams."), "muted", wrap=True
        )
        line.setAlignment(Qt.AlignmentFlag.AlignCenter)
        column.addWidget(line)
        column.addSpacing(theme.SPACE_4)
        middle = QHBoxLayout()
        middle.addStretch(1)
        self.first_run.setMaximumWidth(1080)
        middle.addWidget(self.first_run, 100)
        middle.addStretch(1)
        column.addLayout(middle)
        column.addStretch(3)
        holder = QWidget()
        holder.setObjectName("scrolled")
        holder.setLayout(column)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setWidget(holder)
        return area

    def _make_connections(self) -> QWidget:
        header = PageHeader(tr("Home"))
        header.add_action(tr("Import"), self.exchange.import_contexts, icon_name="download-simple")
        header.add_action(tr("New connection"), self.new, icon_name="plus", kind="primary", tooltip="Ctrl+N")
        self.filter = FilterBar(tr("Filter connections"))
        self.filter.text_changed.connect(self.table.set_filter)
        self.filter.left.connect(self.table.setFocus)
        panel = QFrame()
        panel.setProperty("panel", "surface")
        inside = QVBoxLayout(panel)
        inside.setContentsMargins(1, 1, 1, 1)
        inside.addWidget(self.table)
        page = QWidget()
        layout = QVBoxLayout(page)
        layout.setContentsMargins(theme.SPACE_5, 20, theme.SPACE_5, 20)
        layout.setSpacing(theme.SPACE_4)
        layout.addWidget(header)
        layout.addWidget(self.broker_panel)
        layout.addWidget(self.lab_panel)
        layout.addWidget(self.filter)
        layout.addWidget(SplitView(panel, self.details, "home", share=0.34), 1)
        return page

    # Coming and going -------------------------------------------------------------------------

    def activated(self) -> None:
        """Follow states while visible; a newcomer's first button has the focus."""
        self.broker_panel.watch(True)
        self.lab_panel.watch(True)
        self.refresh()
        self._timer.start()
        if self._pages.currentIndex() == 0:
            self.first_run.refresh()
            self.first_run.broker_card.button.setFocus()
        else:
            self.table.setFocus()

    def focus_start(self) -> bool:
        """It is where `activated` has put it: a newcomer's Enter starts the broker."""
        return True

    def deactivated(self) -> None:
        """Stop following."""
        self._timer.stop()
        self.broker_panel.watch(False)
        self.lab_panel.watch(False)

    def refresh(self) -> None:
        """Read the profiles and the states of their connections again."""
        shell = self.context.shell
        try:
            profiles = shell.profiles.load()
        except ProfileError as error:
            self.table.set_state("error", str(error), (tr("Read again"), self.refresh))
            self._pages.setCurrentIndex(1)
            return
        attempts = shell.attempts
        self.table.set_rows(
            [
                ConnectionRow(
                    profile,
                    shell.connection_state(profile.id),
                    attempts.failure(profile.id),
                    attempts.last(profile.id),
                )
                for profile in profiles
            ]
        )
        self.table.set_state(
            "ready" if profiles else "empty",
            tr("No connections yet. Add a server, or import what the nats command line knows."),
            (tr("New connection"), self.new),
            "link-simple",
        )
        self.filter.set_count(
            tr_count("{count} connection", "{count} connections", len(profiles), count=integer(len(profiles)))
        )
        if profiles and self.table.current_row() is None:
            self.table.select_key(profiles[0].id)
        self._show_details()
        self._choose_page()

    def _choose_page(self) -> None:
        state = self.context.shell.broker.state
        idle = state in (BrokerState.STOPPED, BrokerState.FAILED, BrokerState.STARTING)
        alone = self.context.shell.lab.view is None
        newcomer = idle and alone and not self.table.model.total() and self.table.state() != "error"
        if self._pages.currentIndex() != (page := 0 if newcomer else 1):
            self._pages.setCurrentIndex(page)
            self._tell_commands()

    def _show_details(self) -> None:
        row = self.table.current_row()
        if row is None:
            self.details.show_profile(None, None)
        else:
            self.details.show_profile(row.profile, row.snapshot, row.failure, row.last_connected)
        self._tell_commands()

    def _tell_commands(self) -> None:
        """Keys are bound anew when something else can be done: with the first connection, or none left."""
        offered = [(command.key, command.enabled) for command in self.commands()]
        if offered != self._offered:
            self._offered = offered
            self.commands_changed.emit()

    def focus_filter(self) -> None:
        """The filter of connections."""
        self.filter.focus()

    # Doing ------------------------------------------------------------------------------------

    def _marked(self) -> ConnectionProfile | None:
        row = self.table.current_row()
        return row.profile if row is not None else None

    def open(self, profile: ConnectionProfile, new_tab: bool = False) -> None:
        """Connect and show; a secret that the keychain has forgotten is asked for again."""
        self.context.run(self._open(profile, new_tab), tr("connect to {name}", name=profile.name))

    async def _open(self, profile: ConnectionProfile, new_tab: bool) -> None:
        try:
            await self.context.shell.open_profile(profile, new_tab=new_tab)
        except ConnectionFailure as failure:
            if not isinstance(failure.__cause__, keychain.KeychainError):
                raise
            self.context.run(self._edit(profile, new=False, why=str(failure)), tr("save the connection"))

    def close_connection(self, profile: ConnectionProfile) -> None:
        """Disconnect."""
        shell = self.context.shell
        self.context.run(shell.close_profile(profile.id), tr("disconnect from {name}", name=profile.name))

    def new(self) -> None:
        """Add a connection."""
        self.context.run(self._edit(None, new=True), tr("add the connection"))

    def edit(self, profile: ConnectionProfile, new: bool = False) -> None:
        """Change a connection."""
        self.context.run(self._edit(profile, new=new), tr("save the connection"))

    async def _edit(self, profile: ConnectionProfile | None, *, new: bool, why: str = "") -> None:
        form = ConnectionForm(self.window(), self.context.shell.profiles, profile, new=new)
        if why:
            form.show_error(why)
        if not await form.ask():
            return
        entered = await asyncio.to_thread(keychain.put_away, form.profile())
        self.context.shell.profiles.put(entered)
        self.refresh()
        self.table.select_key(entered.id)
        self.table.setFocus()  # Enter connects
        if profile is not None and (new or why):
            # It was refused for its login: try again with what was entered.
            self.open(entered)

    def duplicate(self) -> None:
        """A copy of the marked connection."""
        profile = self._marked()
        if profile is not None:
            self.context.run(self._duplicate(profile), tr("duplicate the connection"))

    async def _duplicate(self, profile: ConnectionProfile) -> None:
        copy = self.context.shell.profiles.copy_of(profile)
        self.context.shell.profiles.put(await asyncio.to_thread(keychain.own_copy, copy, profile))
        self.refresh()
        self.table.select_key(copy.id)

    def delete(self) -> None:
        """Remove the marked connection."""
        profile = self._marked()
        if profile is not None:
            self.context.run(self._delete(profile), tr("delete the connection"))

    async def _delete(self, profile: ConnectionProfile) -> None:
        agreed = await self.context.confirm(
            tr("Delete the connection {name}", name=profile.name),
            tr(
                "The connection and its saved secrets are removed from this program."
                " Nothing on the server changes."
            ),
            tr("Delete connection"),
        )
        if not agreed:
            return
        await self.context.shell.close_profile(profile.id)
        self.context.shell.profiles.remove(profile.id)
        self.refresh()
        self.context.notify(
            tr("Deleted the connection {name}.", name=profile.name),
            "good",
            (tr("Undo"), lambda: self._restore(profile)),
        )
        # Secrets go only once the chance to undo is over with the program's run: see keychain.forget.
        self.context.shell.forget_later(profile)

    def _restore(self, profile: ConnectionProfile) -> None:
        self.context.shell.forget_later(profile, never=True)
        self.context.shell.profiles.put(profile)
        self.refresh()
        self.table.select_key(profile.id)

    def _export(self) -> None:
        self.exchange.export([row.profile for row in self.table.selected_rows()])

    def move_marked(self, by: int) -> None:
        """Move the marked connection in the list."""
        profile = self._marked()
        if profile is not None:
            self.context.shell.profiles.move(profile.id, by)
            self.refresh()
            self.table.select_key(profile.id)

    def accept_file(self, path: str) -> bool:
        """A login, certificate or context was dropped on the window: begin a connection with it."""
        profile = profile_of_file(path)
        if profile is not None:
            self.edit(profile, new=True)
        return profile is not None

    def _row_actions(self, rows: list[ConnectionRow]) -> list[Command]:
        elsewhere = ("home.new", "import_connections", "import_connections_from_file")
        return [command for command in self.commands() if command.key not in elsewhere]

    def commands(self) -> list[Command]:
        """For the palette, the keys and the context menu."""
        profile = self._marked() if self._pages.currentIndex() == 1 else None
        found = [
            Command(tr("New connection"), keymap.key("home.new"), self.new, "plus"),
            Command(
                tr("Import connections"),
                "",
                self.exchange.import_contexts,
                "download-simple",
                name="import_connections",
            ),
            Command(
                tr("Import connections from a file"),
                "",
                self.exchange.import_file,
                "file-arrow-down",
                name="import_connections_from_file",
            ),
        ]
        if profile is not None and self.details.is_trying():
            stop = Command(
                tr("Stop trying"), "", lambda: self.close_connection(profile), "prohibit", name="stop_trying"
            )
            found.append(stop)
        if profile is not None:
            found += [
                Command(
                    tr("Connect to {name}", name=profile.name),
                    "",
                    lambda: self.open(profile),
                    "link-simple",
                    name="connect",
                ),
                Command(
                    tr("Connect in a new tab"),
                    keymap.key("home.connect_in_tab"),
                    lambda: self.open(profile, True),
                    "plus",
                ),
                Command(
                    tr("Edit connection"),
                    keymap.key("home.edit"),
                    lambda: self.edit(profile),
                    "pencil-simple",
                ),
                Command(tr("Duplicate connection"), keymap.key("home.duplicate"), self.duplicate, "copy"),
                Command(tr("Test connection"), keymap.key("home.test"), self.details.test, "heartbeat"),
                Command(
                    tr("Export without secrets"), "", self._export, "export", name="export_without_secrets"
                ),
                Command(
                    tr("Write as a NATS context"),
                    "",
                    lambda: self.exchange.write_context(profile),
                    "terminal-window",
                    name="write_context",
                ),
                Command(tr("Move up"), keymap.key("home.move_up"), lambda: self.move_marked(-1), "arrow-up"),
                Command(
                    tr("Move down"), keymap.key("home.move_down"), lambda: self.move_marked(1), "arrow-down"
                ),
                Command(
                    tr("Delete connection"), keymap.key("home.delete"), self.delete, "trash", danger=True
                ),
            ]
        return [*found, *self.broker_panel.commands(), *self.lab_panel.commands()]

    def show_route(self, route: Route) -> None:
        """``new`` opens the form; ``connection`` marks one."""
        if route.get("connection"):
            self.table.select_key(route.get("connection"))
