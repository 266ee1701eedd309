"""The main window: tabs of connections, the rail, the status bar, and what spans them all."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import tzinfo

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QAbstractButton, QHBoxLayout, QMainWindow, QVBoxLayout, QWidget

from memphis_desktop.cluster import keychain
from memphis_desktop.cluster.activity import ActivityLog
from memphis_desktop.cluster.failures import ConnectionFailure
from memphis_desktop.cluster.model import ClusterSnapshot, ConnectionState
from memphis_desktop.cluster.profiles import (
    ConnectionProfile,
    CredentialKind,
    Credentials,
    Environment,
    ProfileStore,
)
from memphis_desktop.cluster.raft.watcher import CONNECTIONS
from memphis_desktop.cluster.session import Session
from memphis_desktop.language import tr
from memphis_desktop.opening import CREDENTIAL_SUFFIXES
from memphis_desktop.ui import figure_style, settings, theme
from memphis_desktop.ui.broker_control import BrokerChoice, BrokerControl
from memphis_desktop.ui.components.toast import ToastStack
from memphis_desktop.ui.lab.control import LabControl
from memphis_desktop.ui.screen import Action, Command, Route
from memphis_desktop.ui.screens import registry
from memphis_desktop.ui.shell import palette_entries, remembered, setting_keys, time_zones
from memphis_desktop.ui.shell.alert_center import AlertCenter
from memphis_desktop.ui.shell.attempts import Attempts
from memphis_desktop.ui.shell.connection import LOCAL_ID, Connection
from memphis_desktop.ui.shell.doors import load_doors
from memphis_desktop.ui.shell.first_steps import FirstSteps, Step, offered
from memphis_desktop.ui.shell.log_memory import LogMemory
from memphis_desktop.ui.shell.opener import Opener
from memphis_desktop.ui.shell.palette import Palette
from memphis_desktop.ui.shell.rail import Rail
from memphis_desktop.ui.shell.sides import Sides
from memphis_desktop.ui.shell.status_bar import HEIGHT as STATUS_HEIGHT
from memphis_desktop.ui.shell.status_bar import StatusBar
from memphis_desktop.ui.shell.tab_set import TabSet
from memphis_desktop.ui.shell.tasks import TaskSet
from memphis_desktop.ui.shell.top_bar import EnvironmentStrip, TopBar
from memphis_desktop.ui.shell.tray import Tray
from memphis_desktop.ui.shell.window_keys import WindowKeys
from memphis_desktop.ui.shell.workspace import Workspace

log = logging.getLogger(__name__)

HOME = Route("home")
_LEAST = (640, 360)  # what a full-HD screen has at three times the scale
_SMALL = 960  # of width: from here on everything of the shell is shown whole
_ROOMY = 1500  # of width: enough for two sides beside the names of the rail


class MainWindow(QMainWindow):
    """Implements `Shell`. Made by the program with the broker control and the profile store."""

    close_requested = Signal()  # the user closed it: the program ends in order
    restart_requested = Signal()  # the same, and it starts again

    def __init__(
        self,
        broker: BrokerControl,
        profiles: ProfileStore,
        activity: ActivityLog | None = None,
        log_memory: LogMemory | None = None,
    ) -> None:
        super().__init__()
        self.setWindowTitle("Memphis Desktop")
        self.setMinimumSize(*_LEAST)
        self._broker = broker
        self._profiles = profiles
        self.activity = activity or ActivityLog(None)
        self.log_memory = log_memory or LogMemory()
        self.tasks = TaskSet(lambda text: self.notify(text, "bad"))
        self.lab = LabControl(parent=self)
        self.attempts = Attempts()
        self.tray = Tray(self)
        self.opener = Opener(self)
        self.alerts = AlertCenter(self)
        self.alerts.changed.connect(self._alerts_changed)
        self._connections: dict[str, Connection] = {}
        self._closing = False
        self._ending: set[asyncio.Task[None]] = set()
        self._to_forget: dict[str, ConnectionProfile] = {}
        self.setAcceptDrops(True)
        self._build()
        self.tabs = TabSet(self, self.top_bar.tabs, self._sides)
        self.tabs.current_changed.connect(self._tab_changed)
        self.tabs.place_changed.connect(self._place_changed)
        self.keys = WindowKeys(self)
        self.tabs.screen_changed.connect(self._screen_changed)
        self._apply_zone()
        settings.current().changed.connect(self._setting_changed)
        theme.manager().changed.connect(self._restyle)
        home = self.tabs.add(None)
        home.navigate(HOME)
        self.tabs.select(home)
        remembered.restore_geometry(self)

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
        connection = await self.connected(profile)
        open_ = self.tabs.of(connection)
        workspace = self.tabs.add(connection) if new_tab or not open_ else open_[0]
        if route is not None or workspace.route is None:
            workspace.navigate(route or Route(registry.first_route()))
        self.tabs.select(workspace)
        return workspace

    async def connected(self, profile: ConnectionProfile) -> Connection:
        """The connection of a profile, made when it is not open; raises `ConnectionFailure`."""
        connection = self._connections.get(profile.id)
        if connection is not None and connection.profile != profile:
            await self.close_profile(profile.id)
            connection = None
        if connection is None:
            connection = self._connections[profile.id] = self._make_connection(profile)
        try:
            if connection.snapshot.state is not ConnectionState.CONNECTED:
                await connection.connect_now()
                self.attempts.succeeded(profile.id)
        except BaseException as error:
            if isinstance(error, ConnectionFailure):
                self.attempts.failed(profile.id, error)
            if not connection.users:
                self._connections.pop(profile.id, None)
                await connection.close()
            raise
        return connection

    def _make_connection(self, profile: ConnectionProfile) -> Connection:
        connection = Connection(profile, self.activity, self)
        connection.snapshot_changed.connect(lambda _: self._snapshot_changed(connection))
        connection.state_changed.connect(lambda: self._state_changed(connection))
        connection.waited.connect(lambda: self._close_unused(connection))
        self.alerts.watch(connection)
        return connection

    def ask_for_file(self, *, backup: bool = False) -> None:
        """Let the user choose what to open: a file of messages, a workspace, or the folder of a `backup`."""
        if backup:
            self.opener.ask_for_backup()
        else:
            self.opener.ask_for_file()

    async def start_local_broker(self, choice: BrokerChoice, *, show: bool = True) -> None:
        """Start the broker inside, open for whom the settings say, connect to it, show it."""
        await self._broker.start(replace(choice, doors=load_doors(settings.current())))
        if show:
            await self.open_local()

    async def open_local(self) -> Workspace:
        """Show the local broker, which runs."""
        return await self.open_profile(self._local_profile())

    def _local_profile(self) -> ConnectionProfile:
        login = self._broker.system_login
        system = Credentials(CredentialKind.PASSWORD, user=login[0], password=login[1]) if login else None
        return ConnectionProfile(
            name=tr("Local broker"),
            urls=(self._broker.url,),
            system_credentials=system,
            environment=Environment.LOCAL,
            poll_budget=setting_keys.poll_budget(settings.current()),
            id=LOCAL_ID,
        )

    def known_profiles(self) -> list[ConnectionProfile]:
        """The user's connections, and the local broker while it runs."""
        return [*self._profiles.load(), *([self._local_profile()] if self._broker.url else [])]

    def forget_later(self, profile: ConnectionProfile, *, never: bool = False) -> None:
        """Remove the secrets of a deleted profile when the program ends."""
        if never:
            self._to_forget.pop(profile.id, None)
        else:
            self._to_forget[profile.id] = profile

    async def close_profile(self, profile_id: str) -> None:
        """Close the tabs of a connection, and it."""
        connection = self._connections.pop(profile_id, None)
        if connection is not None:
            for workspace in self.tabs.of(connection):
                await self.tabs.remove(workspace)
            # Not a part of who asked: closing goes on even when that is cancelled.
            ending = asyncio.get_running_loop().create_task(connection.close())
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
            await asyncio.shield(ending)

    def keep_open(self, connection: Connection) -> None:
        """The last tab of a connection goes, but dead letters wait on it to be sent again."""
        connection.without_tab = True
        text = tr(
            "{name} stays connected until its dead letters were sent again.", name=connection.profile.name
        )
        self.notify(text, action=(tr("Disconnect"), lambda: self._disconnect(connection)))

    def _disconnect(self, connection: Connection) -> None:
        self.tasks.run(self.close_profile(connection.profile.id), tr("close the connection"))

    def _close_unused(self, connection: Connection) -> None:
        """Close a connection that no tab shows and nothing waits on any more."""
        if connection.without_tab and not connection.users:
            self._disconnect(connection)

    def missing_requirement(self, entry: registry.ScreenEntry, connection: Connection | None) -> str:
        """Why a screen cannot be used on a connection; empty when it can."""
        if entry.scope == "connection" and connection is None:
            return tr("There is no connection in this tab. {screen} needs one.", screen=entry.title)
        if connection is None:
            return ""
        snapshot = connection.snapshot
        account = snapshot.account
        if entry.requires == "jetstream" and account is not None and not account.enabled:
            return tr(
                "{screen} needs JetStream, which is not enabled for this account on the server.",
                screen=entry.title,
            )
        if entry.requires == "system" and connection.session.system is None:
            return tr(
                "{screen} needs the system account. Add its credentials to the connection.",
                screen=entry.title,
            )
        if entry.requires == "clients" and not connection.session.raft.may_see_clients:
            return tr(
                "{screen} needs the system account, or a login that may ask {subject}. "
                "Add its credentials to the connection.",
                screen=entry.title,
                subject=CONNECTIONS,
            )
        if entry.requires == "memphis" and snapshot.complete and not connection.memphis.available:
            return tr(
                "{screen} needs the Memphis layer, which this server has not: there is no bucket "
                "memphis_stations. The local broker has it; `memphis-desktop stations` adds it to a server.",
                screen=entry.title,
            )
        return self.refusal(entry, connection)

    def refusal(self, entry: registry.ScreenEntry, connection: Connection) -> str:
        """Why the login may not see a screen; empty when it may, or where the screen says so itself."""
        snapshot = connection.snapshot
        refused = next((part for part in ("streams", "round") if part in snapshot.refused), "")
        if not refused or snapshot.streams or entry.requires not in ("jetstream", "memphis"):
            return ""
        if entry.route_name == "messages":  # one station may be open to who may not list them
            return ""
        return tr(
            "You may not see this here. {why} Ask for that permission, or connect with another login.",
            why=snapshot.errors[refused],
        )

    # Tabs -------------------------------------------------------------------------------------

    def current_workspace(self) -> Workspace:
        """The tab that the keys go to."""
        return self.tabs.current()

    def workspaces(self) -> list[Workspace]:
        """All tabs, Home first."""
        return self.tabs.all()

    def navigate(self, route: Route) -> None:
        """Go to a place, in the tab where it belongs."""
        entry = registry.find(route.name)
        if entry is not None and entry.scope == "window":
            self.tabs.select(self.tabs.all()[0])
        self.current_workspace().navigate(route)

    def close_tab(self, index: int | None = None) -> None:
        """Close a tab, the current one unless another is named."""
        self.tabs.close(index)

    def _tab_changed(self) -> None:
        chosen = self.current_workspace()
        connection = chosen.connection
        environment = connection.profile.environment.value if connection is not None else ""
        read_only = connection.profile.read_only if connection is not None else False
        name = connection.profile.name if connection is not None else ""
        self.strip.set_environment(environment, name, read_only, slim=self.tabs.is_split)
        self.strip.set_colour("" if connection is None or self.tabs.is_split else connection.profile.colour)
        self.top_bar.badge.set_environment("" if self.tabs.is_split else environment, read_only)
        if connection is not None:
            self.status.show_snapshot(connection.profile.name, connection.snapshot)
        else:
            self.status.show_nothing()
        self._refresh_rail()
        self._offer_first_steps(connection)
        self._place_changed(chosen)
        self._screen_changed(chosen)

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
        self.tabs.tell_state(connection)
        for workspace in self.tabs.of(connection):
            workspace.refresh_availability()

    def _alerts_changed(self) -> None:
        count = self.alerts.open_count()
        self.status.set_alerts(count)
        item = self.rail.items.get("alerts")
        if item is not None:
            item.set_badge(str(count) if count else "")

    def select_connection(self, profile_id: str) -> None:
        """Show the first tab of an open connection; nothing when it has none."""
        connection = self._connections.get(profile_id)
        found = self.tabs.of(connection) if connection is not None else []
        if found:
            self.tabs.select(found[0])

    def _place_changed(self, workspace: Workspace) -> None:
        if workspace is not self.current_workspace():
            return
        connection = workspace.connection
        self.top_bar.back_button.setEnabled(workspace.can_go(-1))
        self.top_bar.forward_button.setEnabled(workspace.can_go(1))
        route = workspace.route
        entry = registry.find(route.name) if route is not None else None
        self.rail.set_current(entry.parent or entry.route_name if entry is not None else "")
        names = [workspace.title(), connection.profile.name if connection is not None else ""]
        self.setWindowTitle(" · ".join([name for name in names if name] + ["Memphis Desktop"]))

    def _screen_changed(self, workspace: Workspace) -> None:
        if workspace is self.current_workspace():
            self.keys.bind_screen(workspace)
            self.status.come_last()

    def _refresh_rail(self) -> None:
        connection = self.current_workspace().connection
        for item in self.rail.items.values():
            item.set_reason(self.missing_requirement(item.entry, connection))

    def window_commands(self) -> list[Command]:
        """What works everywhere."""
        return self.keys.commands()

    def show_shortcuts(self) -> None:
        """The sheet of shortcuts."""
        self.keys.show_sheet()

    # Zone and look ----------------------------------------------------------------------------

    def _apply_zone(self) -> None:
        choice = str(settings.current().get(time_zones.SETTING, time_zones.LOCAL))
        self._zone: tzinfo = time_zones.zone(choice)
        self.status.set_zone(self._zone, choice)

    def _setting_changed(self, key: str) -> None:
        if key == time_zones.SETTING:
            self._apply_zone()
        if key == time_zones.SETTING or key in figure_style.SETTINGS:
            for workspace in self.tabs.all():
                workspace.zone_changed()

    def _show_zone_menu(self) -> None:
        menu = time_zones.menu(self)
        button = self.status.zone_button()
        menu.popup(button.mapToGlobal(QPoint(0, -menu.sizeHint().height())))

    def _restyle(self) -> None:
        for connection in self._connections.values():
            self.tabs.tell_state(connection)
        self.update()

    # Building ---------------------------------------------------------------------------------

    def _build(self) -> None:
        self.strip = EnvironmentStrip()
        self.top_bar = TopBar()
        self.rail = Rail(registry.SCREENS)
        self.status = StatusBar()
        self._sides = Sides()
        self._sides.split_changed.connect(lambda _: self._make_room())
        self.first_steps = FirstSteps()
        self.first_steps.requested.connect(self._try_step)
        self.top_bar.new_tab_requested.connect(lambda: self.tabs.duplicate())
        self.top_bar.back_requested.connect(lambda: self.current_workspace().go(-1))
        self.top_bar.forward_requested.connect(lambda: self.current_workspace().go(1))
        self.rail.requested.connect(lambda name: self.navigate(Route(name)))
        self.status.zone_menu_requested.connect(self._show_zone_menu)
        self.status.alerts_clicked.connect(lambda: self.navigate(Route("alerts")))
        right = QVBoxLayout()
        right.setContentsMargins(0, 0, 0, 0)
        right.setSpacing(0)
        right.addWidget(self.first_steps)
        right.addWidget(self._sides, 1)
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
        self.toasts.above = self.command_palette

    def resizeEvent(self, event: QResizeEvent) -> None:
        """What the shell takes of the room follows the room."""
        super().resizeEvent(event)
        self._make_room()

    def _make_room(self) -> None:
        """A small window, or a large scale, leaves the room to the content."""
        width = self.width()
        self.rail.set_crowded(width < (_ROOMY if self._sides.is_split else _SMALL))
        self.top_bar.set_crowded(width < _SMALL)
        self.status.set_crowded(width < _SMALL)

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
                self.notify(tr("Nothing here can be done with {name}.", name=name), "warning")
        event.acceptProposedAction()

    def offer_file(self, path: str) -> bool:
        """Give a file to whoever can use it; False when nobody can."""
        screen = self.current_workspace().current_screen
        return (screen is not None and screen.accept_file(path)) or self.opener.open_file(path)

    def offer_credentials(self, path: str) -> bool:
        """Give a file that begins a connection to Home; False when it is none."""
        if not path.lower().endswith((*CREDENTIAL_SUFFIXES, ".pem", ".crt", ".cer", ".json")):
            return False
        self.navigate(HOME)
        home = self.current_workspace().current_screen
        return home is not None and home.accept_file(path)

    # Beginning and end ------------------------------------------------------------------------

    def remember(self) -> None:
        """Note geometry and tabs for the next start."""
        remembered.note(self)

    async def restore_tabs(self) -> None:
        """Open what was open at the end; what cannot be reached says so and is left out."""
        await self.tabs.restore(remembered.tabs(), self.known_profiles())

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Enter, where nothing else has taken it, presses the button that has the focus, as Space does."""
        focused = self.focusWidget()
        enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not event.isAutoRepeat()
        if enter and isinstance(focused, QAbstractButton) and focused.isEnabled():
            focused.click()
        else:
            super().keyPressEvent(event)

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
        for workspace in self.tabs.all():
            await workspace.close_now()
        await asyncio.gather(
            *self._ending, *(connection.close() for connection in self._connections.values())
        )
        self._connections.clear()
        await self.lab.shut_down()
        for profile in self._to_forget.values():
            await asyncio.to_thread(keychain.forget, profile)
        self.hide()
