"""What a screen is, where it stands, and what it may ask of the shell around it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QAbstractItemView, QWidget

from memphis_desktop.ui import keymap

if TYPE_CHECKING:
    from memphis_desktop.cluster.activity import ActivityLog
    from memphis_desktop.cluster.model import ClusterSnapshot
    from memphis_desktop.cluster.profiles import ConnectionProfile, ProfileStore
    from memphis_desktop.cluster.session import Session
    from memphis_desktop.ui.broker_control import BrokerChoice, BrokerControl
    from memphis_desktop.ui.lab.control import LabControl
    from memphis_desktop.ui.memphis.link import MemphisLink
    from memphis_desktop.ui.settings import Settings
    from memphis_desktop.ui.shell.alert_center import AlertCenter
    from memphis_desktop.ui.shell.attempts import Attempts
    from memphis_desktop.ui.shell.log_memory import LogMemory

SERVER = "server"
Action = tuple[str, Callable[[], object]]  # a button's label and what it does


@dataclass(frozen=True)
class Route:
    """A place in the program: a screen's name and what it shows. History and links hold these."""

    name: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", MappingProxyType(dict(self.parameters)))

    def __hash__(self) -> int:
        return hash((self.name, tuple(sorted(self.parameters.items()))))

    def get(self, key: str, default: str = "") -> str:
        """One parameter."""
        return self.parameters.get(key, default)


@dataclass(frozen=True)
class Command:
    """Something the user can do here: shown in the palette, the shortcut sheet and menus.

    ``shortcut`` is what `keymap.key` gives for the command's name, or empty. When ``enabled`` is False,
    ``reason`` says why, and the command is shown dimmed. ``name`` is for what the palette offers without
    keys.
    """

    title: str
    shortcut: str = ""
    callback: Callable[[], object] = lambda: None
    icon: str = ""
    enabled: bool = True
    reason: str = ""
    danger: bool = False
    name: str = ""

    @property
    def key(self) -> str:
        """What it is known by, whatever the language of its title."""
        return self.shortcut.name if isinstance(self.shortcut, keymap.Keys) else self.name


class Shell(Protocol):
    """What the window offers to its own pages (home, settings, activity)."""

    @property
    def broker(self) -> BrokerControl:
        """The broker inside the program."""

    @property
    def lab(self) -> LabControl:
        """The local cluster of three servers."""

    @property
    def profiles(self) -> ProfileStore:
        """The connections the user has made."""

    @property
    def alerts(self) -> AlertCenter:
        """The alerts and their rules."""

    @property
    def attempts(self) -> Attempts:
        """What became of connecting."""

    @property
    def activity(self) -> ActivityLog:
        """The record of what was changed."""

    @property
    def log_memory(self) -> LogMemory:
        """The last lines of the program's log."""

    async def open_profile(
        self, profile: ConnectionProfile, route: Route | None = None, *, new_tab: bool = False
    ) -> object:
        """Connect (or use the connection that is open) and show it; raises `ConnectionFailure`."""

    async def start_local_broker(self, choice: BrokerChoice) -> None:
        """Start the broker inside and show it; raises `BrokerStartError` or `ConnectionFailure`."""

    async def open_local(self) -> object:
        """Show the broker inside, which runs; raises `ConnectionFailure`."""

    def ask_for_file(self, *, backup: bool = False) -> None:
        """Let the user choose what to open: a file of messages, a workspace, or the folder of a `backup`."""

    def forget_later(self, profile: ConnectionProfile, *, never: bool = False) -> None:
        """Remove the secrets of a deleted profile at the end of the program, so that deleting can be undone.

        ``never`` takes that back.
        """

    async def close_profile(self, profile_id: str) -> None:
        """Close the connection of a profile and its tabs."""

    def session_of(self, profile_id: str) -> Session | None:
        """The session of an open connection; None when it is not open."""

    def connection_state(self, profile_id: str) -> ClusterSnapshot | None:
        """What is known of an open connection; None when it is not open."""


class ScreenContext(Protocol):
    """What the shell lends to a screen. One context belongs to one tab, which shows one connection."""

    @property
    def shell(self) -> Shell:
        """The window around, for the program's own pages."""

    @property
    def session(self) -> Session:
        """The connection all screens of this context look at."""

    @property
    def memphis(self) -> MemphisLink:
        """The Memphis layer of the connection; it says whether there is one."""

    @property
    def settings(self) -> Settings:
        """What the user chose, and what the screen wants remembered."""

    @property
    def zone(self) -> tzinfo:
        """The time zone to show times in."""

    def navigate(self, route: Route) -> None:
        """Go there; the present place joins the history."""

    def notify(self, text: str, kind: str = "information", action: Action | None = None) -> None:
        """Show a toast of ``kind`` information, good, warning or bad."""

    async def confirm(self, title: str, text: str, verb: str, typed_name: str | None = None) -> bool:
        """Ask before something is lost. ``verb`` is the button ("Delete station").

        On a production connection ``typed_name`` must be typed before the button answers.
        """

    def run(self, coroutine: Coroutine[Any, Any, Any], description: str) -> asyncio.Task[Any]:
        """Start a coroutine of the screen; a failure becomes a toast that begins with ``description``.

        ``description`` completes "Could not …": "create the station".
        """


class Screen(QWidget):
    """The base of every screen. Made once per connection when first visited, then shown and hidden."""

    title: str = ""
    route_name: str = ""
    stale_with: frozenset[str] = frozenset({SERVER, "streams"})  # parts that grey it when they cannot be read

    commands_changed = Signal()  # ``commands`` would answer differently now
    title_changed = Signal()  # ``breadcrumb`` would
    part_changed = Signal()  # another of its parts came into view: ``focus_start`` is asked again

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.context = context
        self.setObjectName(self.route_name or type(self).__name__)

    def show_route(self, route: Route) -> None:
        """Show what the route's parameters name. Called before ``activated``, and on each navigation here."""

    def show_snapshot(self, snapshot: ClusterSnapshot) -> None:
        """A new polling round, while visible (and once on activation when there is one)."""

    def activated(self) -> None:
        """The screen came into view: start what only a visible screen needs."""

    def deactivated(self) -> None:
        """The screen left the view: stop it again."""

    def zone_changed(self) -> None:
        """``context.zone`` is another now: every table and graph inside is told with its ``set_zone``."""
        for part in self.findChildren(QWidget):
            if callable(told := getattr(part, "set_zone", None)):
                told(self.context.zone)

    def focus_filter(self) -> None:
        """Put the cursor into the screen's filter (``/``)."""

    def focus_start(self) -> bool:
        """Put the focus where work begins, by default into the first list; False while there is none in view.

        Asked when the screen or another part of it is first seen, until it is True or the user has moved
        the focus.
        """
        for view in self.findChildren(QAbstractItemView):
            takes_keys = view.focusPolicy() & Qt.FocusPolicy.TabFocus
            if takes_keys and view.isEnabled() and view.isVisibleTo(self):
                view.setFocus()
                return True
        return False

    def station_here(self) -> str:
        """The stream that this place is about: what is published from here goes there; empty for none."""
        return ""

    def accept_file(self, path: str) -> bool:
        """A file was dropped on the window; True when this screen takes it."""
        return False

    def commands(self) -> list[Command]:
        """What can be done here now, for the palette and the shortcut sheet.

        The shell binds their shortcuts while the screen is visible: a screen makes no QShortcut for them.
        """
        return []

    def keyed_commands(self) -> list[Command]:
        """The same with the keys that the user chose."""
        return keymap.resolved(self.commands())

    def breadcrumb(self) -> list[tuple[str, Route | None]]:
        """Where this is, outermost first; the window's title and the tabs use the last."""
        return [(self.title, None)]
