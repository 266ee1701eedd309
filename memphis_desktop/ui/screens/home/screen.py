"""The Home page: a newcomer finds three ways to begin, everybody else the broker and the connections."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import (
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QScrollArea,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from memphis_desktop.cluster import keychain
from memphis_desktop.cluster.context_file import context_name, left_out, write_context
from memphis_desktop.cluster.contexts import contexts_folder, find_contexts
from memphis_desktop.cluster.failures import ConnectionFailure
from memphis_desktop.cluster.model import ClusterSnapshot
from memphis_desktop.cluster.profiles import (
    ConnectionProfile,
    Environment,
    ProfileError,
    TlsOptions,
    profiles_of,
    text_of,
    without_secrets,
)
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.broker_control import BrokerState
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.filter_bar import FilterBar
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.page_header import PageHeader
from memphis_desktop.ui.components.split_view import SplitView
from memphis_desktop.ui.format import bytes_size, integer
from memphis_desktop.ui.lab import LabPanel
from memphis_desktop.ui.memphis.link import STATIONS_BUCKET
from memphis_desktop.ui.screen import Command, Route, Screen, ScreenContext
from memphis_desktop.ui.screens.home.broker_panel import BrokerPanel
from memphis_desktop.ui.screens.home.connection_form import ENVIRONMENTS, ConnectionForm
from memphis_desktop.ui.screens.home.details import ConnectionDetails, safe_urls
from memphis_desktop.ui.screens.home.dropped import profile_of_file
from memphis_desktop.ui.screens.home.first_run import FirstRun
from memphis_desktop.ui.screens.home.import_dialog import ImportDialog
from memphis_desktop.ui.screens.home.login_fields import KINDS, MEMPHIS_KINDS
from memphis_desktop.ui.screens.station_parts import limit_share
from memphis_desktop.ui.shell.attempts import STAGES
from memphis_desktop.ui.shell.logo import Logo
from memphis_desktop.ui.shell.status_bar import STATE_WORDS

_REFRESH_MS = 1000
_FILES = tr("Connections (*.json);;All files (*)")
_ENVIRONMENT_TOKENS = {
    Environment.LOCAL: "good",
    Environment.DEVELOPMENT: "information",
    Environment.STAGING: "warning",
    Environment.PRODUCTION: "bad",
}


@dataclass(frozen=True)
class _Row:
    profile: ConnectionProfile
    snapshot: ClusterSnapshot | None
    failure: ConnectionFailure | None = None
    last_connected: int | None = None

    def state(self) -> tuple[str, str]:
        if self.snapshot is None and self.failure is not None:
            return "bad", tr("Failed: {stage}", stage=STAGES[self.failure.stage])
        if self.snapshot is None:
            return "muted", tr("Not connected")
        return STATE_WORDS[self.snapshot.state]

    def version(self) -> str | None:
        server = self.snapshot.server if self.snapshot is not None else None
        return server.version if server is not None else None

    def store(self) -> Any:
        account = self.snapshot.account if self.snapshot is not None else None
        if account is None:
            return None
        used = bytes_size(account.storage)
        share = limit_share(account.storage, account.max_storage)
        return (
            (share, tr("{used} of {limit}", used=used, limit=bytes_size(account.max_storage)))
            if share is not None
            else (None, used)
        )

    def kind(self) -> str | None:
        """What it is a connection to, as far as it is known."""
        if self.profile.credentials.kind in MEMPHIS_KINDS:
            return "Memphis"
        if self.snapshot is None:
            return None
        if STATIONS_BUCKET in self.snapshot.streams:
            return "Memphis"
        account = self.snapshot.account
        return None if account is None else "JetStream" if account.enabled else "NATS"

    def rtt(self) -> float | None:
        server = self.snapshot.server if self.snapshot is not None else None
        return server.rtt_seconds if server is not None else None


def _environment(row: _Row) -> list[tuple[str, str]]:
    profile = row.profile
    badges = [(ENVIRONMENTS[profile.environment], _ENVIRONMENT_TOKENS[profile.environment])]
    if profile.tls.skip_verify:
        badges.append((tr("Unverified TLS"), "bad"))
    if profile.read_only:
        badges.append((tr("Read-only"), "muted"))
    return badges


def _tls(row: _Row) -> str:
    tls = row.profile.tls
    secure = tls != TlsOptions() or any(url.startswith(("tls://", "wss://")) for url in row.profile.urls)
    if not secure:
        return tr("when asked")  # as the server wishes
    return tr("unverified") if tls.skip_verify else tr("both sides") if tls.cert_path else tr("on")


COLUMNS = [
    Column("state", tr("State"), _Row.state, "dot", 124),
    Column("name", tr("Name"), lambda row: row.profile.name, "text", 100, stretch=True),
    Column("environment", tr("Environment"), _environment, "badge", 108),
    Column("url", tr("Servers"), lambda row: ", ".join(safe_urls(row.profile)), "mono", 130),
    Column("login", tr("Login"), lambda row: KINDS[row.profile.credentials.kind], "text", 150, visible=False),
    Column("kind", tr("Kind"), _Row.kind, "text", 84, visible=False),
    Column("rtt", tr("Round trip"), _Row.rtt, "duration", 80),
    Column("version", tr("Server"), _Row.version, "text", 72, visible=False),
    Column("last", tr("Last connected"), lambda row: row.last_connected, "time", 108),
    Column("tls", "TLS", _tls, "text", 110, visible=False),
    Column(
        "store",
        tr("JetStream store"),
        _Row.store,
        "bar",
        130,
        tr("Used, of what the account may"),
        visible=False,
    ),
    Column("tags", tr("Tags"), lambda row: " ".join(row.profile.tags) or None, "text", 110, visible=False),
    Column("origin", tr("Imported from"), lambda row: row.profile.origin or None, "text", 180, visible=False),
]


class HomeScreen(Screen):
    """See the module."""

    title = tr("Home")
    route_name = "home"

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
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
        line = PlainLabel(tr("See, search and replay what flows through your message streams."), "muted")
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
        header.add_action(tr("Import"), self.import_contexts, icon_name="download-simple")
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
                _Row(
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
        self._pages.setCurrentIndex(0 if newcomer else 1)

    def _show_details(self) -> None:
        row = self.table.current_row()
        if row is None:
            self.details.show_profile(None, None)
        else:
            self.details.show_profile(row.profile, row.snapshot, row.failure, row.last_connected)

    def focus_filter(self) -> None:
        """The filter of connections."""
        self.filter.focus()

    # Doing ------------------------------------------------------------------------------------

    def _marked(self) -> ConnectionProfile | None:
        row = self.table.current_row()
        return row.profile if row is not None else None

    def open(self, profile: ConnectionProfile, new_tab: bool = False) -> None:
        """Connect and show."""
        shell = self.context.shell
        self.context.run(
            shell.open_profile(profile, new_tab=new_tab), tr("connect to {name}", name=profile.name)
        )

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

    async def _edit(self, profile: ConnectionProfile | None, *, new: bool) -> None:
        form = ConnectionForm(self.window(), self.context.shell.profiles, profile, new=new)
        if not await form.ask():
            return
        entered = await asyncio.to_thread(keychain.put_away, form.profile())
        self.context.shell.profiles.put(entered)
        self.refresh()
        self.table.select_key(entered.id)
        if profile is not None and new:  # it was refused for its login: try again with what was entered
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

    def import_contexts(self) -> None:
        """Take over contexts of the ``nats`` command line."""
        self.context.run(self._import(), tr("import connections"))

    async def _import(self) -> None:
        found = await asyncio.to_thread(find_contexts)
        dialog = ImportDialog(self.window(), found, self.context.shell.profiles.load())
        if not await dialog.ask():
            return
        store = self.context.shell.profiles
        chosen = dialog.chosen()
        for profile in chosen:
            kept = await asyncio.to_thread(keychain.put_away, profile)
            store.put(replace(kept, name=store.free_name(profile.name)))
        self.refresh()
        self.context.notify(
            tr_count(
                "Imported {count} connection.",
                "Imported {count} connections.",
                len(chosen),
                count=integer(len(chosen)),
            ),
            "good",
        )

    def export(self) -> None:
        """Write the marked connections to a file, without their secrets."""
        profiles = [row.profile for row in self.table.selected_rows()]
        if not profiles:
            return
        dialog = QFileDialog(self.window(), tr("Export connections"), "connections.json", _FILES)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("json")
        dialog.fileSelected.connect(lambda path: self.export_to(path, profiles))
        dialog.open()

    def export_to(self, path: str, profiles: Sequence[ConnectionProfile]) -> None:
        """Write these to a file."""
        try:
            Path(path).write_text(text_of([without_secrets(one) for one in profiles]), encoding="utf-8")
        except OSError as error:
            self.context.notify(
                tr("{path} cannot be written: {strerror}.", path=path, strerror=error.strerror), "bad"
            )
            return
        text = tr_count(
            "{count} connection written to {path}, without secrets.",
            "{count} connections written to {path}, without secrets.",
            len(profiles),
            count=integer(len(profiles)),
            path=path,
        )
        self.context.notify(text, "good")

    def write_context(self) -> None:
        """Write the marked connection as a context of the ``nats`` command line."""
        profile = self._marked()
        if profile is not None:
            self.context.run(self._write_context(profile), tr("write the context"))

    async def _write_context(self, profile: ConnectionProfile) -> None:
        folder = contexts_folder()
        name = context_name(profile)
        try:
            path = await asyncio.to_thread(write_context, profile, folder)
        except FileExistsError:
            text = tr(
                "The nats command line has a context named {name} already. What it says is lost.", name=name
            )
            if not await self.context.confirm(
                tr("Replace the context {name}", name=name), text, tr("Replace context")
            ):
                return
            path = await asyncio.to_thread(write_context, profile, folder, replacing=True)
        missing = left_out(profile)
        text = tr("Written as {path}.", path=path)
        if missing:
            add = tr(
                "It is without the {missing}; add it with: nats context edit {name}",
                missing=missing,
                name=name,
            )
            text = f"{text} {add}"
        self.context.notify(text, "good")

    def import_file(self) -> None:
        """Take connections from a file that was exported."""
        dialog = QFileDialog(self.window(), tr("Import connections"), "", _FILES)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(self.import_from)
        dialog.open()

    def import_from(self, path: str) -> None:
        """Add the connections of a file under free names."""
        store = self.context.shell.profiles
        try:
            found = profiles_of(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError, KeyError, TypeError, ProfileError) as error:
            self.context.notify(
                tr("There are no connections in {path}: {error}", path=path, error=error), "bad"
            )
            return
        present = {one.id for one in store.load()}
        for profile in found:
            made = replace(profile, name=store.free_name(profile.name), origin=path)
            store.put(replace(made, id=uuid.uuid4().hex) if profile.id in present else made)
        self.refresh()
        self.context.notify(
            tr_count(
                "Imported {count} connection.",
                "Imported {count} connections.",
                len(found),
                count=integer(len(found)),
            ),
            "good",
        )

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

    def _row_actions(self, rows: list[_Row]) -> list[Command]:
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
                self.import_contexts,
                "download-simple",
                name="import_connections",
            ),
            Command(
                tr("Import connections from a file"),
                "",
                self.import_file,
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
                    tr("Export without secrets"), "", self.export, "export", name="export_without_secrets"
                ),
                Command(
                    tr("Write as a NATS context"),
                    "",
                    self.write_context,
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
