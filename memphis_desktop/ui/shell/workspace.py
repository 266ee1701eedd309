"""One tab: the screens of one connection, where the user is in them, and how to go back."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from datetime import tzinfo
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from memphis_desktop.cluster.model import ClusterSnapshot
from memphis_desktop.cluster.profiles import Environment
from memphis_desktop.cluster.session import Session
from memphis_desktop.language import tr
from memphis_desktop.ui import settings, theme
from memphis_desktop.ui.components import dialogs
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.empty_state import EmptyState
from memphis_desktop.ui.components.whole_or_scrolled import WholeOrScrolled
from memphis_desktop.ui.memphis.link import MemphisLink
from memphis_desktop.ui.screen import Action, Route, Screen
from memphis_desktop.ui.screens import registry
from memphis_desktop.ui.settings import Settings
from memphis_desktop.ui.shell.connection import Connection
from memphis_desktop.ui.shell.staleness import PanelAges, StaleVeil, staleness
from memphis_desktop.ui.shell.tasks import TaskSet

if TYPE_CHECKING:
    from memphis_desktop.ui.window import MainWindow

log = logging.getLogger(__name__)

_HISTORY = 100
_ROUNDS_TO_SETTLE = 5


class Context:
    """Implements `ScreenContext` for one tab."""

    def __init__(self, workspace: Workspace, window: MainWindow) -> None:
        self._workspace = workspace
        self._window = window

    @property
    def shell(self) -> MainWindow:
        """The window."""
        return self._window

    @property
    def session(self) -> Session:
        """The connection; a tab without one has no screens that ask."""
        connection = self._workspace.connection
        if connection is None:
            raise LookupError(tr("this tab has no connection"))
        return connection.session

    @property
    def memphis(self) -> MemphisLink:
        """The Memphis layer of the connection."""
        connection = self._workspace.connection
        if connection is None:
            raise LookupError(tr("this tab has no connection"))
        return connection.memphis

    @property
    def settings(self) -> Settings:
        """The program's settings."""
        return settings.current()

    @property
    def zone(self) -> tzinfo:
        """The zone chosen in the status bar."""
        return self._window.zone

    def navigate(self, route: Route) -> None:
        """Go there in this tab."""
        self._workspace.navigate(route)

    def notify(self, text: str, kind: str = "information", action: Action | None = None) -> None:
        """Show a toast."""
        self._window.notify(text, kind, action)

    async def confirm(self, title: str, text: str, verb: str, typed_name: str | None = None) -> bool:
        """Ask; only production asks for the name to be typed."""
        connection = self._workspace.connection
        production = connection is not None and connection.profile.environment is Environment.PRODUCTION
        return await dialogs.confirm(self._window, title, text, verb, typed_name if production else None)

    def run(self, coroutine: Coroutine[Any, Any, Any], description: str) -> asyncio.Task[Any]:
        """Start a coroutine that ends with the tab at the latest."""
        return self._workspace.tasks.run(coroutine, description)


class Workspace(QWidget):
    """The content of a tab. ``connection`` is None for the Home tab."""

    route_changed = Signal()
    screen_changed = Signal()

    def __init__(self, window: MainWindow, connection: Connection | None) -> None:
        super().__init__()
        self.connection = connection
        self.context = Context(self, window)
        self.tasks = TaskSet(lambda text: window.notify(text, "bad"))
        self.active = False
        self._window = window
        self._screens: dict[str, Screen] = {}
        self._rooms: dict[Screen, WholeOrScrolled] = {}
        # New here: where the focus was when they were entered, and for how many rounds they may yet take it.
        self._unsettled: dict[Screen, tuple[QWidget | None, int]] = {}
        self._history: list[Route] = []
        self._position = -1
        self._banner = Banner("warning")
        self._banner_holder = QWidget()
        holder = QVBoxLayout(self._banner_holder)
        holder.setContentsMargins(theme.SPACE_5, theme.SPACE_3, theme.SPACE_5, 0)
        holder.addWidget(self._banner)
        self._banner_holder.hide()
        self._stack = QStackedWidget()
        self._stack.setObjectName("content")
        self._unavailable = EmptyState("prohibit", "")
        self._stack.addWidget(self._unavailable)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._banner_holder)
        layout.addWidget(self._stack, 1)
        self._veil = StaleVeil(self._stack)
        self._ages = PanelAges()
        self._clock = QTimer(self)
        self._clock.setInterval(1000)
        self._clock.timeout.connect(self._check_staleness)
        if connection is not None:
            connection.snapshot_changed.connect(self._on_snapshot)
            connection.state_changed.connect(self._check_staleness)
            self._clock.start()

    # Where it is ------------------------------------------------------------------------------

    @property
    def route(self) -> Route | None:
        """The place shown."""
        return self._history[self._position] if self._position >= 0 else None

    @property
    def current_screen(self) -> Screen | None:
        """The screen shown."""
        room = self._stack.currentWidget()
        screen = room.content if isinstance(room, WholeOrScrolled) else None
        return screen if isinstance(screen, Screen) else None

    def title(self) -> str:
        """For the tab: the innermost name."""
        screen = self.current_screen
        crumbs = screen.breadcrumb() if screen is not None else []
        return crumbs[-1][0] if crumbs else ""

    def navigate(self, route: Route) -> None:
        """Go to a place; the present one stays in the history."""
        if route == self.route:
            self._show(route)
            return
        del self._history[self._position + 1 :]
        self._history.append(route)
        del self._history[:-_HISTORY]
        self._position = len(self._history) - 1
        self._show(route)

    def can_go(self, by: int) -> bool:
        """Whether the history reaches that far."""
        return 0 <= self._position + by < len(self._history)

    def go(self, by: int) -> None:
        """Back (-1) or forward (1)."""
        if self.can_go(by):
            self._position += by
            self._show(self._history[self._position])

    def _show(self, route: Route) -> None:
        entry = registry.find(route.name)
        if entry is None:
            log.error("there is no screen %r", route.name)
            self._window.notify(tr("This place no longer exists in the program."), "warning")
            return
        before = self.current_screen
        missing = self._window.missing_requirement(entry, self.connection)
        if missing:
            self._show_unavailable(entry, missing)
            self._leave(before)
            self._stack.setCurrentWidget(self._unavailable)
        else:
            screen = self._screens.get(route.name) or self._make(entry)
            if screen is not before:
                self._leave(before)
            screen.show_route(route)
            self._stack.setCurrentWidget(self._rooms[screen])
            if screen is not before and self.active:
                self._enter(screen)
        self.route_changed.emit()
        self.screen_changed.emit()

    def _show_unavailable(self, entry: registry.ScreenEntry, missing: str) -> None:
        if self.connection is None:
            self._unavailable.set_content(entry.icon, missing, (tr("Go to Home"), self._go_home))
        elif self._window.refusal(entry, self.connection) == missing:
            self._unavailable.set_content("lock", missing, (tr("Try again"), self.connection.session.refresh))
        elif entry.requires in ("system", "clients"):
            login = (tr("Add its login"), partial(self._add_system_login, entry.route_name))
            self._unavailable.set_content(entry.icon, missing, login)
        else:
            self._unavailable.set_content(entry.icon, missing)

    def _add_system_login(self, route_name: str) -> None:
        from memphis_desktop.ui.screens.cluster.system_login import (
            ask_for_system_login,  # only when asked for
        )

        asking = ask_for_system_login(self.context, self, route_name)
        self.context.run(asking, tr("add the system account's login"))

    def _go_home(self) -> None:
        self._window.navigate(Route("home"))

    def _make(self, entry: registry.ScreenEntry) -> Screen:
        started = time.perf_counter()
        screen = entry.factory(self.context)
        self._screens[entry.route_name] = screen
        self._unsettled[screen] = (None, 0)
        room = self._rooms[screen] = WholeOrScrolled(screen)
        self._stack.addWidget(room)
        screen.title_changed.connect(self.route_changed)
        screen.part_changed.connect(lambda: self._want_focus(screen) if self.active else None)
        screen.commands_changed.connect(self.screen_changed)
        log.debug("screen %s made in %.0f ms", entry.route_name, (time.perf_counter() - started) * 1000)
        return screen

    # Coming into view, and leaving it ---------------------------------------------------------

    def set_active(self, active: bool) -> None:
        """The tab was chosen, or another was."""
        if active == self.active:
            return
        self.active = active
        screen = self.current_screen
        if screen is None:
            return
        if active:
            self._enter(screen)
        else:
            screen.deactivated()

    def _enter(self, screen: Screen) -> None:
        screen.activated()
        if self.connection is not None:
            screen.show_snapshot(self.connection.snapshot)
        if screen in self._unsettled:
            self._want_focus(screen)

    def _want_focus(self, screen: Screen) -> None:
        self._unsettled[screen] = (self.window().focusWidget(), _ROUNDS_TO_SETTLE)
        self._settle_focus(screen)

    def _settle_focus(self, screen: Screen) -> None:
        """Let a screen that is new here take the focus once it has a list, unless the user has moved it."""
        if screen not in self._unsettled:
            return
        found, rounds = self._unsettled[screen]
        moved = self.window().focusWidget() is not found
        if moved or screen.focus_start() or not rounds:
            del self._unsettled[screen]
        else:
            self._unsettled[screen] = (found, rounds - 1)

    def _leave(self, screen: Screen | None) -> None:
        if screen is not None and self.active:
            screen.deactivated()

    def _on_snapshot(self, snapshot: ClusterSnapshot) -> None:
        if self.active:
            self.refresh_availability()  # what a screen needs may have come, or turned out to be missing
        screen = self.current_screen
        if self.active and screen is not None:
            screen.show_snapshot(snapshot)
            self._settle_focus(screen)

    def refresh_availability(self) -> None:
        """What the connection can do may be known only now: show the screen that was refused before."""
        route = self.route
        entry = registry.find(route.name) if route is not None else None
        if route is None or entry is None:
            return
        refused = self._stack.currentWidget() is self._unavailable
        if refused != bool(self._window.missing_requirement(entry, self.connection)):
            self._show(route)

    def zone_changed(self) -> None:
        """Times read differently now: screens are told through their snapshot and route."""
        for screen in self._screens.values():
            screen.zone_changed()

    def _check_staleness(self) -> None:
        """Tell when what is shown is not the present, and why."""
        connection = self.connection
        if connection is None:
            return
        stale = staleness(connection.snapshot, time.time_ns())
        if stale is not None:
            actions: dict[str, Action] = {
                "stop": (tr("Stop trying"), self._stop_trying),
                "reconnect": (tr("Connect again"), self._reconnect),
            }
            self._banner.set_content(stale.kind, stale.text, actions.get(stale.action))
        self._banner_holder.setVisible(stale is not None)
        screen = self.current_screen
        shown = screen.stale_with if screen is not None else frozenset()
        told = self._ages.show(screen, stale)
        # Where panels tell their own age, the rest is no figure, or the present.
        self._veil.cover(stale is not None and bool(stale.parts & shown) and not told)

    def _stop_trying(self) -> None:
        if self.connection is not None:
            self.tasks.run(self.connection.session.close(), tr("close the connection"))

    def _reconnect(self) -> None:
        if self.connection is not None:
            self.tasks.run(self.connection.connect_now(), tr("connect again"))

    async def close_now(self) -> None:
        """Leave the screen and end what it started."""
        self._clock.stop()
        self.set_active(False)
        await self.tasks.cancel()
