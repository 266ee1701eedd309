"""The main window: tabs of connections, the rail, the status bar, and what spans them all."""

from __future__ import annotations

import asyncio
import base64
import logging
from dataclasses import replace
from datetime import tzinfo
from functools import partial

from PySide6.QtCore import QByteArray, QPoint, Qt, Signal
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QMainWindow, QMenu, QStackedWidget, QVBoxLayout, QWidget

from memphis_desktop.cluster import keychain
from memphis_desktop.cluster.activity import ActivityLog
from memphis_desktop.cluster.model import ClusterSnapshot, ConnectionState
from memphis_desktop.cluster.profiles import ConnectionProfile, Environment, ProfileStore
from memphis_desktop.cluster.session import Session
from memphis_desktop.opening import CREDENTIAL_SUFFIXES
from memphis_desktop.ui import settings, theme
from memphis_desktop.ui.broker_control import BrokerChoice, BrokerControl
from memphis_desktop.ui.components.toast import ToastStack
from memphis_desktop.ui.lab.control import LabControl
from memphis_desktop.ui.screen import Action, Command, Route
from memphis_desktop.ui.screens import registry
from memphis_desktop.ui.shell import palette_entries, time_zones
from memphis_desktop.ui.shell.alert_center import AlertCenter
from memphis_desktop.ui.shell.connection import LOCAL_ID, Connection
from memphis_desktop.ui.shell.doors import load_doors
from memphis_desktop.ui.shell.first_steps import FirstSteps, Step, offered
from memphis_desktop.ui.shell.log_memory import LogMemory
from memphis_desktop.ui.shell.opener import Opener
from memphis_desktop.ui.shell.palette import Palette
from memphis_desktop.ui.shell.rail import Rail
from memphis_desktop.ui.shell.shortcut_sheet import TABLE_KEYS, ShortcutSheet
from memphis_desktop.ui.shell.status_bar import HEIGHT as STATUS_HEIGHT
from memphis_desktop.ui.shell.status_bar import STATE_WORDS, StatusBar
from memphis_desktop.ui.shell.tasks import TaskSet
from memphis_desktop.ui.shell.top_bar import EnvironmentStrip, TopBar
from memphis_desktop.ui.shell.tray import Tray
from memphis_desktop.ui.shell.workspace import Workspace

log = logging.getLogger(__name__)

_GEOMETRY = "window/geometry"
_TABS = "window/tabs"
START_SIZE = (1280, 800)
HOME = Route("home")


class MainWindow(QMainWindow):
    """Implements `Shell`. Made by the program with the broker control and the profile store."""

    close_requested = Signal()  # the user closed it: the program ends in order

    def __init__(
        self,
        broker: BrokerControl,
        profiles: ProfileStore,
        activity: ActivityLog | None = None,
        log_memory: LogMemory | None = None,
    ) -> None:
        super().__init__()
        self.setWindowTitle("Memphis Desktop")
        self.setMinimumSize(880, 560)
        self._broker = broker
        self._profiles = profiles
        self.activity = activity or ActivityLog(None)
        self.log_memory = log_memory or LogMemory()
        self.tasks = TaskSet(lambda text: self.notify(text, "bad"))
        self.lab = LabControl(parent=self)
        self.tray = Tray(self)
        self.opener = Opener(self)
        self.alerts = AlertCenter(self)
        self.alerts.changed.connect(self._alerts_changed)
        self._connections: dict[str, Connection] = {}
        self._workspaces: list[Workspace] = []
        self._screen_shortcuts: list[QShortcut] = []
        self._closing = False
        self._ending: set[asyncio.Task[None]] = set()
        self._to_forget: dict[str, ConnectionProfile] = {}
        self.setAcceptDrops(True)
        self._build()
        self._bind_keys()
        self._apply_zone()
        settings.current().changed.connect(self._setting_changed)
        theme.manager().changed.connect(self._restyle)
        self._restyle()
        self._add_workspace(None)
        self._workspaces[0].navigate(HOME)
        self._select(0)
        self._restore_geometry()

    # What screens ask -------------------------------------------------------------------------

    @property
    def broker(self) -> BrokerControl:
        """The broker inside the program."""
        return self._broker

    @property
    def profiles(self) -> ProfileStore:
        """The user's connections."""
        return self._profiles

    @property
    def zone(self) -> tzinfo:
        """The zone that times are shown in."""
        return self._zone

    def notify(
        self, text: str, kind: str = "information", action: Action | None = None, topic: str = ""
    ) -> None:
        """Show a toast, and log it when it is trouble; one of the same topic is renewed by it."""
        if kind in ("bad", "warning"):
            log.warning("%s", text)
        self.toasts.show(text, kind, action, topic)

    def connection(self, profile_id: str) -> Connection | None:
        """An open connection."""
        return self._connections.get(profile_id)

    def open_connections(self) -> list[Connection]:
        """The connections that are open."""
        return list(self._connections.values())

    def session_of(self, profile_id: str) -> Session | None:
        """The session of an open connection."""
        connection = self._connections.get(profile_id)
        return connection.session if connection is not None else None

    def connection_state(self, profile_id: str) -> ClusterSnapshot | None:
        """What is known of an open connection."""
        connection = self._connections.get(profile_id)
        return connection.snapshot if connection is not None else None

    async def open_profile(
        self, profile: ConnectionProfile, route: Route | None = None, *, new_tab: bool = False
    ) -> Workspace:
        """Connect and show; raises `ConnectionFailure`."""
        connection = self._connections.get(profile.id)
        if connection is not None and connection.profile != profile:
            await self.close_profile(profile.id)
            connection = None
        if connection is None:
            connection = Connection(profile, self.activity, self)
            self._connections[profile.id] = connection
            self.alerts.watch(connection)
        try:
            if connection.snapshot.state is not ConnectionState.CONNECTED:
                await connection.connect_now()
        except BaseException:
            if not connection.users:
                self._connections.pop(profile.id, None)
                await connection.close()
            raise
        index = next((i for i, w in enumerate(self._workspaces) if w.connection is connection), -1)
        if index < 0 or new_tab:
            index = self._add_workspace(connection)
        workspace = self._workspaces[index]
        if route is not None or workspace.route is None:
            workspace.navigate(route or Route(self._first_route()))
        self._select(index)
        return workspace

    async def start_local_broker(self, choice: BrokerChoice) -> None:
        """Start the broker inside, open for whom the settings say, connect to it, show it."""
        await self._broker.start(replace(choice, doors=load_doors(settings.current())))
        await self.open_local()

    async def open_local(self) -> Workspace:
        """Show the local broker, which runs."""
        profile = ConnectionProfile(
            name="Local broker", urls=(self._broker.url,), environment=Environment.LOCAL, id=LOCAL_ID
        )
        return await self.open_profile(profile)

    def forget_later(self, profile: ConnectionProfile, *, never: bool = False) -> None:
        """Remove the secrets of a deleted profile when the program ends."""
        if never:
            self._to_forget.pop(profile.id, None)
        else:
            self._to_forget[profile.id] = profile

    async def close_profile(self, profile_id: str) -> None:
        """Close the tabs of a connection, and it."""
        for workspace in [w for w in self._workspaces if w.connection is not None]:
            assert workspace.connection is not None
            if workspace.connection.profile.id == profile_id:
                await self._close_workspace(workspace)
        connection = self._connections.pop(profile_id, None)
        if connection is not None:
            # Not a part of who asked: closing goes on even when that is cancelled.
            ending = asyncio.get_running_loop().create_task(connection.close())
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
            await asyncio.shield(ending)

    def missing_requirement(self, entry: registry.ScreenEntry, connection: Connection | None) -> str:
        """Why a screen cannot be used on a connection; empty when it can."""
        if entry.scope == "connection" and connection is None:
            return f"There is no connection in this tab. {entry.title} needs one."
        if connection is None:
            return ""
        snapshot = connection.snapshot
        account = snapshot.account
        if entry.requires == "jetstream" and account is not None and not account.enabled:
            return f"{entry.title} needs JetStream, which is not enabled for this account on the server."
        if entry.requires == "system" and connection.session.system is None:
            return f"{entry.title} needs the system account. Add its credentials to the connection."
        if entry.requires == "memphis" and snapshot.complete and not connection.memphis.available:
            return (
                f"{entry.title} needs the Memphis layer, which this server has not: there is no bucket "
                "memphis_stations. The local broker has it; `memphis-desktop stations` adds it to a server."
            )
        return ""

    # Tabs -------------------------------------------------------------------------------------

    def current_workspace(self) -> Workspace:
        """The tab that is shown."""
        return self._workspaces[max(0, self.top_bar.tabs.currentIndex())]

    def workspaces(self) -> list[Workspace]:
        """All tabs, Home first."""
        return list(self._workspaces)

    def navigate(self, route: Route) -> None:
        """Go to a place, in the tab where it belongs."""
        entry = registry.find(route.name)
        if entry is not None and entry.scope == "window":
            self._select(0)
        self.current_workspace().navigate(route)

    def _first_route(self) -> str:
        names = [
            entry.route_name for entry in registry.SCREENS if entry.scope == "connection" and entry.in_rail
        ]
        return "overview" if "overview" in names or not names else names[0]

    def _add_workspace(self, connection: Connection | None) -> int:
        workspace = Workspace(self, connection)
        self._workspaces.append(workspace)
        self._content.addWidget(workspace)
        name = connection.profile.name if connection is not None else "Home"
        index = self.top_bar.tabs.add_tab(name, home=connection is None)
        workspace.route_changed.connect(lambda: self._place_changed(workspace))
        workspace.screen_changed.connect(lambda: self._screen_changed(workspace))
        if connection is not None:
            if connection.users == 0:
                connection.snapshot_changed.connect(lambda _: self._snapshot_changed(connection))
                connection.state_changed.connect(lambda: self._state_changed(connection))
            connection.users += 1
            self._state_changed(connection)
        return index

    def _select(self, index: int) -> None:
        tabs = self.top_bar.tabs
        if tabs.currentIndex() != index:
            tabs.setCurrentIndex(index)  # comes back through _tab_changed
        else:
            self._tab_changed(index)

    def _tab_changed(self, index: int) -> None:
        if not 0 <= index < len(self._workspaces):
            return
        chosen = self._workspaces[index]
        for workspace in self._workspaces:
            if workspace is not chosen:
                workspace.set_active(False)
        self._content.setCurrentWidget(chosen)
        chosen.set_active(True)
        connection = chosen.connection
        environment = connection.profile.environment.value if connection is not None else ""
        read_only = connection.profile.read_only if connection is not None else False
        name = connection.profile.name if connection is not None else ""
        self.strip.set_environment(environment, name, read_only)
        self.top_bar.badge.set_environment(environment, read_only)
        if connection is not None:
            self.status.show_snapshot(connection.profile.name, connection.snapshot)
        else:
            self.status.show_nothing()
        self._refresh_rail()
        self._offer_first_steps(connection)
        self._place_changed(chosen)
        self._screen_changed(chosen)

    def new_tab(self) -> None:
        """Another tab on the same connection, at the same place; from Home, choose a connection there."""
        workspace = self.current_workspace()
        if workspace.connection is None:
            self.navigate(HOME)
            return
        route = workspace.route
        index = self._add_workspace(workspace.connection)
        self._workspaces[index].navigate(route or Route(self._first_route()))
        self._select(index)

    def close_tab(self, index: int | None = None) -> None:
        """Close a tab; the connection goes with its last one. Home stays."""
        index = self.top_bar.tabs.currentIndex() if index is None else index
        if index <= 0:
            return
        workspace = self._workspaces[index]
        connection = workspace.connection
        if connection is not None and connection.users == 1:
            self.tasks.run(self.close_profile(connection.profile.id), "close the connection")
        else:
            self.tasks.run(self._close_workspace(workspace), "close the tab")

    async def _close_workspace(self, workspace: Workspace) -> None:
        if workspace not in self._workspaces:
            return
        index = self._workspaces.index(workspace)
        if workspace.connection is not None:
            workspace.connection.users -= 1
        self._workspaces.remove(workspace)
        await workspace.close_now()
        self.top_bar.tabs.removeTab(index)
        self._content.removeWidget(workspace)
        workspace.deleteLater()
        self._tab_changed(self.top_bar.tabs.currentIndex())

    # News -------------------------------------------------------------------------------------

    def _snapshot_changed(self, connection: Connection) -> None:
        if self.current_workspace().connection is connection:
            self.status.show_snapshot(connection.profile.name, connection.snapshot)
            self._refresh_rail()
            self._offer_first_steps(connection)

    def _offer_first_steps(self, connection: Connection | None) -> None:
        self.first_steps.offer(
            connection is not None and connection.is_local and offered(connection.snapshot)
        )

    def _try_step(self, step: Step) -> None:
        self.navigate(step.route)
        self.notify(step.hint)

    def _state_changed(self, connection: Connection) -> None:
        token, word = STATE_WORDS[connection.snapshot.state]
        for index, workspace in enumerate(self._workspaces):
            if workspace.connection is connection:
                self.top_bar.tabs.set_state(index, token)
                workspace.setAccessibleDescription(word)
                workspace.refresh_availability()

    def _alerts_changed(self) -> None:
        count = self.alerts.open_count()
        self.status.set_alerts(count)
        item = self.rail.items.get("alerts")
        if item is not None:
            item.set_badge(str(count) if count else "")

    def select_connection(self, profile_id: str) -> None:
        """Show the first tab of an open connection; nothing when it has none."""
        for index, workspace in enumerate(self._workspaces):
            if workspace.connection is not None and workspace.connection.profile.id == profile_id:
                self._select(index)
                return

    def _place_changed(self, workspace: Workspace) -> None:
        index = self._workspaces.index(workspace) if workspace in self._workspaces else -1
        connection = workspace.connection
        if index > 0 and connection is not None:
            several = connection.users > 1
            place = workspace.title()
            title = f"{connection.profile.name} · {place}" if several and place else connection.profile.name
            self.top_bar.tabs.set_title(
                index, title, f"{connection.profile.name}\n{connection.profile.address}"
            )
        if workspace is not self.current_workspace():
            return
        self.top_bar.back_button.setEnabled(workspace.can_go(-1))
        self.top_bar.forward_button.setEnabled(workspace.can_go(1))
        route = workspace.route
        entry = registry.find(route.name) if route is not None else None
        self.rail.set_current(entry.parent or entry.route_name if entry is not None else "")
        names = [workspace.title(), connection.profile.name if connection is not None else ""]
        self.setWindowTitle(" · ".join([name for name in names if name] + ["Memphis Desktop"]))

    def _screen_changed(self, workspace: Workspace) -> None:
        if workspace is self.current_workspace():
            self._bind_screen(workspace)

    def _refresh_rail(self) -> None:
        connection = self.current_workspace().connection
        for item in self.rail.items.values():
            item.set_reason(self.missing_requirement(item.entry, connection))

    # Keys -------------------------------------------------------------------------------------

    def window_commands(self) -> list[Command]:
        """What works everywhere."""
        return [
            Command("Search or run a command", "Ctrl+K", self.command_palette.open, "magnifying-glass"),
            Command("Back", "Alt+Left", lambda: self.current_workspace().go(-1), "arrow-left"),
            Command("Forward", "Alt+Right", lambda: self.current_workspace().go(1), "arrow-right"),
            Command("Home", "Ctrl+Shift+H", lambda: self.navigate(HOME), "house"),
            Command("New tab", "Ctrl+T", self.new_tab, "plus"),
            Command("Close tab", "Ctrl+W", self.close_tab, "x"),
            Command("Next tab", "Ctrl+PgDown", lambda: self._step_tab(1), "caret-right"),
            Command("Previous tab", "Ctrl+PgUp", lambda: self._step_tab(-1), "caret-left"),
            Command("Publish or request a message", "Ctrl+Shift+P", self._compose, "paper-plane-tilt"),
            Command("Open a file", "Ctrl+O", self.opener.ask_for_file, "folder-open"),
            Command("Save the tabs as a workspace", "", self.opener.ask_where_to_save, "floppy-disk"),
            Command("Filter this list", "/", self._focus_filter, "funnel"),
            Command("Keyboard shortcuts", "?", self.show_shortcuts, "keyboard"),
            Command("First steps again", "", self.first_steps.begin_again, "check-circle"),
            Command(
                "Narrow or widen the rail",
                "Ctrl+B",
                lambda: self.rail.set_narrow(not self.rail.narrow),
                "columns",
            ),
            Command("Quit", "Ctrl+Q", self.close, "sign-out"),
        ]

    def _bind_keys(self) -> None:
        for command in self.window_commands():
            if not command.shortcut:
                continue
            shortcut = QShortcut(QKeySequence(command.shortcut), self)
            shortcut.activated.connect(command.callback)
        for sequence, entry in self.rail.shortcuts():
            shortcut = QShortcut(QKeySequence(sequence), self)
            shortcut.activated.connect(lambda entry=entry: self.navigate(Route(entry.route_name)))

    def _bind_screen(self, workspace: Workspace) -> None:
        for shortcut in self._screen_shortcuts:
            shortcut.setEnabled(False)
            shortcut.deleteLater()
        self._screen_shortcuts = []
        screen = workspace.current_screen
        if screen is None:
            return
        taken = {QKeySequence(command.shortcut).toString() for command in self.window_commands()}
        for command in screen.commands():
            keys = QKeySequence(command.shortcut)
            if keys.isEmpty() or keys.toString() in taken:
                continue
            taken.add(keys.toString())
            shortcut = QShortcut(keys, screen)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(partial(self._run_screen_command, keys.toString()))
            self._screen_shortcuts.append(shortcut)

    def _run_screen_command(self, keys: str) -> None:
        """Ask the screen again: what was true when the key was bound may not be now."""
        screen = self.current_workspace().current_screen
        for command in screen.commands() if screen is not None else []:
            if QKeySequence(command.shortcut).toString() == keys:
                if command.enabled:
                    command.callback()
                elif command.reason:
                    self.notify(command.reason)
                return

    def _compose(self) -> None:
        """Open the composer for the connection of this tab."""
        from memphis_desktop.ui.screens.composer import open_composer  # loaded when it is first wanted

        screen = self.current_workspace().current_screen
        if screen is None or self.current_workspace().connection is None:
            self.notify("Open a connection first: a message is published over one.")
        else:
            open_composer(screen.context, self)

    def _focus_filter(self) -> None:
        screen = self.current_workspace().current_screen
        if screen is not None:
            screen.focus_filter()

    def _step_tab(self, by: int) -> None:
        tabs = self.top_bar.tabs
        tabs.setCurrentIndex((tabs.currentIndex() + by) % tabs.count())

    def show_shortcuts(self) -> None:
        """The sheet of shortcuts."""
        screen = self.current_workspace().current_screen
        here = [
            (c.shortcut, c.title) for c in (screen.commands() if screen is not None else []) if c.shortcut
        ]
        places = [(keys, entry.title) for keys, entry in self.rail.shortcuts()]
        everywhere = [(c.shortcut, c.title) for c in self.window_commands() if c.shortcut]
        groups = [(screen.title if screen is not None else "", here), ("Lists", TABLE_KEYS)]
        ShortcutSheet(self, [*groups, ("Places", places), ("Everywhere", everywhere)]).open()

    # Zone and look ----------------------------------------------------------------------------

    def _apply_zone(self) -> None:
        choice = str(settings.current().get(time_zones.SETTING, time_zones.LOCAL))
        self._zone: tzinfo = time_zones.zone(choice)
        self.status.set_zone(self._zone, choice)

    def _setting_changed(self, key: str) -> None:
        if key == time_zones.SETTING:
            self._apply_zone()
            for workspace in self._workspaces:
                workspace.zone_changed()

    def _show_zone_menu(self) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        now = str(settings.current().get(time_zones.SETTING, time_zones.LOCAL))
        choices = [(time_zones.LOCAL, "System time"), (time_zones.UTC_CHOICE, "UTC")]
        choices += [(name, name) for name in time_zones.COMMON]
        if now not in dict(choices):
            choices.append((now, now))
        for choice, text in choices:
            action = menu.addAction(text)
            action.setCheckable(True)
            action.setChecked(choice == now)
            action.triggered.connect(
                lambda _checked=False, choice=choice: settings.current().set(time_zones.SETTING, choice)
            )
        button = self.status.zone_button()
        menu.popup(button.mapToGlobal(QPoint(0, -menu.sizeHint().height())))

    def _restyle(self) -> None:
        for index, workspace in enumerate(self._workspaces):
            if workspace.connection is not None:
                self.top_bar.tabs.set_state(index, STATE_WORDS[workspace.connection.snapshot.state][0])
        self.update()

    # Building ---------------------------------------------------------------------------------

    def _build(self) -> None:
        self.strip = EnvironmentStrip()
        self.top_bar = TopBar()
        self.rail = Rail(registry.SCREENS)
        self.status = StatusBar()
        self._content = QStackedWidget()
        self._content.setObjectName("content")
        self.first_steps = FirstSteps()
        self.first_steps.requested.connect(self._try_step)
        self.top_bar.tabs.currentChanged.connect(self._tab_changed)
        self.top_bar.tabs.closed.connect(self.close_tab)
        self.top_bar.new_tab_requested.connect(self.new_tab)
        self.top_bar.back_requested.connect(lambda: self.current_workspace().go(-1))
        self.top_bar.forward_requested.connect(lambda: self.current_workspace().go(1))
        self.rail.requested.connect(lambda name: self.navigate(Route(name)))
        self.status.zone_menu_requested.connect(self._show_zone_menu)
        self.status.alerts_clicked.connect(lambda: self.navigate(Route("alerts")))
        right = QVBoxLayout()
        right.setContentsMargins(0, 0, 0, 0)
        right.setSpacing(0)
        right.addWidget(self.first_steps)
        right.addWidget(self._content, 1)
        middle = QHBoxLayout()
        middle.setContentsMargins(0, 0, 0, 0)
        middle.setSpacing(0)
        middle.addWidget(self.rail)
        middle.addLayout(right, 1)
        holder = QWidget()
        layout = QVBoxLayout(holder)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.strip)
        layout.addWidget(self.top_bar)
        layout.addLayout(middle, 1)
        layout.addWidget(self.status)
        self.setCentralWidget(holder)
        self.command_palette = Palette(holder, lambda: palette_entries.collect(self))
        self.top_bar.palette_requested.connect(self.command_palette.open)
        self.toasts = ToastStack(holder, STATUS_HEIGHT)

    # Files that are dropped ------------------------------------------------------------------

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Files are welcome; what can be done with them is decided when they are dropped."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Offer a file to the screen shown, then to Home."""
        paths = [url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()]
        for path in paths:
            if not self.offer_file(path):
                name = path.rsplit("/", 1)[-1]
                self.notify(f"Nothing here can be done with {name}.", "warning")
        event.acceptProposedAction()

    def offer_file(self, path: str) -> bool:
        """Give a file to whoever can use it; False when nobody can."""
        screen = self.current_workspace().current_screen
        return (screen is not None and screen.accept_file(path)) or self.opener.open_file(path)

    def offer_credentials(self, path: str) -> bool:
        """Give a file of credentials to Home; False when it is none."""
        if not path.lower().endswith(CREDENTIAL_SUFFIXES):
            return False
        self.navigate(HOME)
        home = self.current_workspace().current_screen
        return home is not None and home.accept_file(path)

    # Beginning and end ------------------------------------------------------------------------

    def _restore_geometry(self) -> None:
        saved = settings.current().get(_GEOMETRY)
        self.resize(*START_SIZE)
        if saved:
            try:
                self.restoreGeometry(QByteArray(base64.b64decode(saved)))
            except ValueError:
                log.info("the saved window geometry is not readable")

    def remember(self) -> None:
        """Note geometry and tabs for the next start."""
        store = settings.current()
        store.set(_GEOMETRY, base64.b64encode(bytes(self.saveGeometry().data())).decode("ascii"))
        tabs = []
        for workspace in self._workspaces[1:]:
            if workspace.connection is not None and workspace.route is not None:
                route = workspace.route
                profile_id = workspace.connection.profile.id
                tabs.append(
                    {"profile": profile_id, "route": route.name, "parameters": dict(route.parameters)}
                )
        store.set(_TABS, {"tabs": tabs, "current": self.top_bar.tabs.currentIndex()} if tabs else None)

    async def restore_tabs(self) -> None:
        """Open what was open at the end; what cannot be reached says so and is left out."""
        saved = settings.current().get(_TABS) or {}
        known = {profile.id: profile for profile in self._profiles.load()}
        for tab in saved.get("tabs", []):
            profile = known.get(tab.get("profile"))
            route = Route(str(tab.get("route")), tab.get("parameters") or {})
            if profile is not None and registry.find(route.name) is not None:
                self.tasks.run(self.open_profile(profile, route, new_tab=True), f"connect to {profile.name}")

    def closeEvent(self, event: QCloseEvent) -> None:
        """The program ends in order first; then the window goes."""
        if self._closing:
            event.accept()
            return
        event.ignore()
        self.close_requested.emit()

    async def shut_down(self) -> None:
        """Close every tab and connection."""
        if self._closing:
            return
        self._closing = True
        self.tray.end()
        self.remember()
        settings.current().flush()
        await self.tasks.cancel()
        await self.alerts.webhooks.close()
        for workspace in self._workspaces:
            await workspace.close_now()
        await asyncio.gather(
            *self._ending, *(connection.close() for connection in self._connections.values())
        )
        self._connections.clear()
        await self.lab.shut_down()
        for profile in self._to_forget.values():
            await asyncio.to_thread(keychain.forget, profile)
        self.hide()
