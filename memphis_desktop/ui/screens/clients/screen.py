"""Who is connected, who was, and who comes and goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import islice

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QStackedWidget, QTabBar, QVBoxLayout, QWidget

from memphis_desktop.cluster.actions import Action
from memphis_desktop.cluster.clients import closing
from memphis_desktop.cluster.clients.model import (
    ClientEvent,
    ClientKey,
    ClientKind,
    ClientRecord,
    reason_severity,
)
from memphis_desktop.cluster.clients.reader import PING, Wants
from memphis_desktop.cluster.clients.table import CLOSED_KEPT
from memphis_desktop.cluster.model import ClusterSnapshot
from memphis_desktop.cluster.profiles import Environment
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import keymap, settings, theme
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.dialogs import ConfirmDialog
from memphis_desktop.ui.components.filter_bar import FilterBar
from memphis_desktop.ui.components.page_header import PageHeader
from memphis_desktop.ui.components.split_view import SplitView
from memphis_desktop.ui.screen import SERVER, Command, Route, Screen, ScreenContext
from memphis_desktop.ui.screens.clients.detail import ClientPane
from memphis_desktop.ui.screens.clients.parts import (
    SERVER_SORTS,
    closed_columns,
    event_columns,
    open_columns,
)
from memphis_desktop.ui.screens.cluster.system_login import ask_for_system_login
from memphis_desktop.ui.screens.station_parts import PAGE_MARGINS, StateBanner, panel

TABS = (("open", tr("Connected")), ("closed", tr("Closed")), ("events", tr("Coming and going")))
ADDED_UP = 2000  # connections whose rates are added up in the title, at most
BESIDE_FROM = 980  # pixels of width from which the pane stands beside the list
LEAST_LIST = 190  # pixels of height: the list above the pane
NAMED = 5  # clients that a dialog names
COMMANDS_SHOWN = 20
IDLE_SECONDS = 60.0
PANE_SETTING = "clients/pane"


class ClientsScreen(Screen):
    """Route parameters: `tab`, and `server` (its id) and `cid` for one client, `filter` for words."""

    title = tr("Clients")
    route_name = "clients"
    stale_with = frozenset({SERVER})

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._reader = context.session.clients
        self._active = False
        self._unsubscribe: Callable[[], None] | None = None
        self._wanted: ClientKey | None = None
        self.header = PageHeader(tr("Clients"))
        self.pane_button = self.header.add_icon_action("columns", tr("Details"), self._toggle_pane)
        self.pane_button.setToolTip(tr("Show or hide the details  (D)"))
        self.banner = StateBanner()
        self.trouble = Banner("warning")
        self.trouble.hide()
        self.lacking = Banner("information")
        self.lacking.hide()
        self.tab_bar = QTabBar()
        self.tab_bar.setExpanding(False)
        self.tab_bar.setDrawBase(False)
        self.tab_bar.setAccessibleName(tr("Parts of the clients"))
        for _, title in TABS:
            self.tab_bar.addTab(title)
        self.filter = FilterBar(tr("Filter clients"))
        self._add_chips()
        own = self._reader.is_own
        self.open = self._table(open_columns(lambda r: own(r.key)), "clients_open", ("name", False))
        self.closed = self._table(closed_columns(), "clients_closed", ("stopped", True))
        self.events = DataTable(
            event_columns(),
            lambda e: e.number,
            "clients_events",
            default_sort=("time", True),
        )
        self.events.set_state("loading")
        for table in (self.open, self.closed, self.events):
            table.current_changed.connect(lambda _: self._chosen())
            table.selection_changed.connect(lambda _: self.commands_changed.emit())
            table.preview_requested.connect(lambda _: self._toggle_pane())
            table.row_activated.connect(lambda _: self._show_pane(True))
            table.set_zone(context.zone)
        self.stack = QStackedWidget()
        for table in (self.open, self.closed, self.events):
            self.stack.addWidget(panel(table))
        self.stack.setMinimumHeight(LEAST_LIST)
        self.pane = ClientPane(context, self._close, self._move)
        self.pane.set_zone(context.zone)
        self.split = SplitView(self.stack, self.pane, "clients", share=0.36)
        self.split.set_preview_visible(bool(settings.current().get(PANE_SETTING)))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*PAGE_MARGINS)
        layout.setSpacing(theme.SPACE_3)
        for widget in (self.header, self.banner, self.trouble, self.lacking, self.tab_bar, self.filter):
            layout.addWidget(widget)
        layout.addWidget(self.split, 1)
        self.tab_bar.currentChanged.connect(lambda _: self._tab_chosen())
        self.filter.text_changed.connect(lambda _: self._narrow())
        self.filter.chips_changed.connect(lambda _: self._narrow())
        self.filter.left.connect(lambda: self.table.setFocus())

    def _add_chips(self) -> None:
        self.filter.add_chip("busy", tr("Busy"), tr("Clients that send or are sent messages now"))
        self.filter.add_chip("pending", tr("Pending"), tr("Clients for which bytes wait in the server"))
        self.filter.add_chip("slow", tr("Slow"), tr("Clients that others wait for, or that went for that"))
        self.filter.add_menu(
            tr("More filters"),
            [
                ("", tr("Kind"), ""),
                (ClientKind.NATS.value, tr("NATS"), ""),
                (ClientKind.WEBSOCKET.value, tr("WebSocket"), ""),
                (ClientKind.MQTT.value, tr("MQTT"), ""),
                (ClientKind.LEAF.value, tr("Leaf nodes"), ""),
                ("", tr("Only"), ""),
                ("idle", tr("Idle for a minute"), tr("Nothing was sent to or by them")),
                ("plain", tr("Without TLS"), ""),
                ("unasked", tr("Closed against their wish"), tr("Every reason but that the client closed")),
                ("others", tr("Not this console"), tr("Hide the console's own connections")),
            ],
        )

    def _table(self, columns: list[Column], name: str, sort: tuple[str, bool]) -> DataTable:
        table = DataTable(
            columns, lambda r: r.key, name, context_actions=self._row_commands, default_sort=sort
        )
        table.set_state("loading")
        return table

    # Where

    @property
    def tab(self) -> str:
        """The part in view."""
        return TABS[self.tab_bar.currentIndex()][0]

    @property
    def table(self) -> DataTable:
        """The list in view."""
        return (self.open, self.closed, self.events)[self.tab_bar.currentIndex()]

    def show_route(self, route: Route) -> None:
        """Show the part and the client that the route names."""
        index = next((i for i, (key, _) in enumerate(TABS) if key == route.get("tab")), None)
        if index is not None:
            self.tab_bar.setCurrentIndex(index)
        if words := route.get("filter"):
            self.filter.field.setText(words)
        if route.get("cid").isdigit():
            self._show_pane(True)
            self._wanted = ClientKey(route.get("server"), int(route.get("cid")))
            self._select_wanted()

    def _select_wanted(self) -> None:
        if self._wanted is not None and self.table.select_key(self._wanted):
            self._wanted = None

    def activated(self) -> None:
        """Read while this is looked at."""
        self._active = True
        self._unsubscribe = self._reader.subscribe(self._news)
        self._want()
        self.table.setFocus()

    def deactivated(self) -> None:
        """No more."""
        self._active = False
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        self._reader.want(self, None)

    def _want(self) -> None:
        if not self._active:
            return
        key, descending = self.open.sorted_by or ("cid", False)
        record = self.current()
        watched = record is not None and record.stopped_ns is None and self.split.preview_visible()
        visible = self.open.rows_in_view() if self.tab == "open" else []
        self._reader.want(
            self,
            Wants(
                sort=SERVER_SORTS.get(key, "cid"),
                descending=descending and key in SERVER_SORTS,
                visible=tuple(row.key for row in visible),
                closed=self.tab == "closed",
                detail=record.key if watched and record is not None else None,
            ),
        )

    def _tab_chosen(self) -> None:
        self.stack.setCurrentIndex(self.tab_bar.currentIndex())
        for chip, tabs in (("busy", ("open",)), ("pending", ("open",)), ("idle", ("open",))):
            self.filter.show_chip(chip, self.tab in tabs)
        self.filter.show_chip("plain", self.tab != "events")
        self.filter.show_chip("unasked", self.tab != "open")
        self._narrow()
        self._news()
        self._chosen()

    # Choosing

    def current(self) -> ClientRecord | None:
        """The client with the cursor, as it is known now."""
        row = self.table.current_row()
        if isinstance(row, ClientEvent):
            row = row.record
        if not isinstance(row, ClientRecord):
            return None
        return self._reader.table.open.get(row.key, row) if row.stopped_ns is None else row

    def selected(self) -> list[ClientRecord]:
        """The clients that are marked in the list of those that are connected."""
        return self.open.selected_rows() if self.tab == "open" else []

    def _chosen(self) -> None:
        self._want()
        self.pane.show_client(self.current(), self._reader)
        self.commands_changed.emit()

    def _toggle_pane(self) -> None:
        self._show_pane(not self.split.preview_visible())

    def _show_pane(self, shown: bool) -> None:
        self.split.set_preview_visible(shown)
        settings.current().set(PANE_SETTING, shown)
        self._want()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """In little width the pane goes below the list."""
        super().resizeEvent(event)
        beside = self.width() >= BESIDE_FROM
        wanted = Qt.Orientation.Horizontal if beside else Qt.Orientation.Vertical
        if self.split.orientation() != wanted:
            self.split.setOrientation(wanted)

    def _narrow(self) -> None:
        chips = self.filter.chips()
        kinds = {kind for kind in ClientKind if kind.value in chips}
        own = self._reader.is_own

        def passes(row: ClientRecord | ClientEvent) -> bool:
            record = row.record if isinstance(row, ClientEvent) else row
            if kinds and record.kind not in kinds:
                return False
            if "busy" in chips and not any(record.rates):
                return False
            if "pending" in chips and not record.pending_bytes:
                return False
            if "slow" in chips and not (record.is_slow or record.stalls):
                return False
            if "idle" in chips and (record.idle_seconds or 0.0) < IDLE_SECONDS:
                return False
            if "plain" in chips and record.tls_version:
                return False
            if "unasked" in chips and not reason_severity(record.reason):
                return False
            return "others" not in chips or not own(record.key)

        self.table.set_filter(self.filter.text())
        self.table.set_predicate(passes)
        self._show_count()

    # News

    def show_snapshot(self, snapshot: ClusterSnapshot) -> None:
        """What the connection knows; the clients themselves come from their reader."""
        self.banner.show_snapshot(snapshot)
        self._show_lacking(snapshot)
        self._news()

    def _news(self) -> None:
        reader = self._reader
        if self.tab == "open":
            self.open.set_rows(reader.table.open)
            self._show_state(self.open, bool(reader.table.open), tr("Nobody is connected."))
        elif self.tab == "closed":
            self.closed.set_rows(reader.table.closed)
            text = tr("No connection was closed since the server started.")
            self._show_state(self.closed, bool(reader.table.closed), text)
            self.closed.repaint_kinds({"time"})
        else:
            self.events.set_rows(reader.table.events)
            self._show_events_state()
            self.events.repaint_kinds({"time"})
        self._select_wanted()
        self._show_header()
        self._show_count()
        self._want()
        self.pane.show_client(self.current(), reader)

    def _show_state(self, table: DataTable, any_there: bool, empty: str) -> None:
        reader = self._reader
        problem = reader.problem
        self.trouble.setVisible(problem is not None and any_there)
        if problem is not None and any_there:
            age = figures.duration(max(1.0, round((time.time_ns() - reader.read_at_ns) / 1e9)))
            text = tr("{problem} What you see is {age} old.", problem=str(problem), age=age)
            self.trouble.set_content("warning", text, (tr("Try again"), self._read_again))
        if any_there:
            table.set_state("ready")
        elif problem is not None:
            login = (tr("Add its login"), self._add_system_login)
            text = tr(
                "{problem} Who is connected is told to the system account, "
                "and to logins that may ask {subject}.",
                problem=str(problem),
                subject=PING,
            )
            table.set_state("error", text, login, "lock-key", [(tr("Try again"), self._read_again)])
        elif not self.context.session.connected:
            text = tr("Nothing is known of clients while there is no connection.")
            table.set_state("empty", text, None, "link-break")
        elif reader.read_at_ns:
            table.set_state("empty", empty, None, "desktop")
        else:
            table.set_state("loading")

    def _show_events_state(self) -> None:
        if self._reader.table.events:
            self.events.set_state("ready")
        elif self._reader.sees_all:
            text = tr("Clients that connect, leave or are refused appear here, from now on.")
            self.events.set_state("empty", text, None, "sign-in")
        else:
            text = tr("Who comes and goes is told to the system account only.")
            self.events.set_state("empty", text, (tr("Add its login"), self._add_system_login), "lock-key")

    def _show_header(self) -> None:
        table = self._reader.table
        servers = len({key.server_id for key in table.open})
        total = table.total
        parts = []
        if total:
            parts.append(
                tr_count("{count} connection", "{count} connections", total, count=figures.integer(total))
            )
        if servers > 1:
            parts.append(tr_count("{count} server", "{count} servers", servers, count=servers))
        rates = [one.rates for one in table.open.values()] if len(table.open) <= ADDED_UP else []
        known = [(one[0], one[1]) for one in rates if one[0] is not None and one[1] is not None]
        if known:
            parts.append(tr("in {rate}", rate=figures.rate(sum(one[0] for one in known))))
            parts.append(tr("out {rate}", rate=figures.rate(sum(one[1] for one in known))))
        self.header.set_title(tr("Clients"), "  ·  ".join(parts))

    def _show_count(self) -> None:
        model = self.table.model
        whole = figures.integer(model.total())
        if model.rowCount() == model.total():
            text = whole if model.total() else ""
        else:
            text = tr("{part} of {whole}", part=figures.integer(model.rowCount()), whole=whole)
        table = self._reader.table
        if self.tab == "open" and table.total > len(table.open):
            reading = tr(
                "{known} of {total} read",
                known=figures.integer(len(table.open)),
                total=figures.integer(table.total),
            )
            text = "  ·  ".join(filter(None, (text, reading)))
        if self.tab == "closed" and table.closed_largest > model.total() >= CLOSED_KEPT:
            text = tr("the latest {count}", count=text)
        self.filter.set_count(text)

    def _show_lacking(self, snapshot: ClusterSnapshot) -> None:
        refused = snapshot.errors.get("system account")
        lacking = not self._reader.sees_all and self._reader.read_at_ns > 0
        if refused:
            text = tr("The system account cannot be used. {refused}", refused=refused)
            self.lacking.set_content("warning", text, (tr("Change its login"), self._add_system_login))
        elif lacking:
            account = self.context.session.raft.account
            text = tr(
                "Shown are the connections of the account {account} only. The system account sees all, "
                "who comes and goes, and may close them.",
                account=account,
            )
            self.lacking.set_content("information", text, (tr("Add its login"), self._add_system_login))
        self.lacking.setVisible(bool(refused) or lacking)

    # Doing

    def _read_again(self) -> None:
        self._reader.refresh()
        self._want()

    def _add_system_login(self) -> None:
        asking = ask_for_system_login(self.context, self, self.route_name)
        self.context.run(asking, tr("add the system account's login"))

    def _targets(self) -> list[ClientRecord]:
        """What a command is about: the marked clients, else the one with the cursor."""
        record = self.current()
        return self.selected() or ([record] if record is not None else [])

    def _refusal(self, records: Sequence[ClientRecord], *, moving: bool = False) -> str:
        session = self.context.session
        find = closing.move_refusal if moving else closing.refusal
        if not records:
            return find(session, None)
        return next((why for record in islice(records, 200) if (why := find(session, record))), "")

    def _close(self) -> None:
        records = self._targets()
        if not self._refusal(records):
            self.context.run(self.close_clients(records), tr("close the connection"))

    def _move(self) -> None:
        records = self._targets()
        if not self._refusal(records, moving=True):
            self.context.run(self.move_clients(records), tr("ask the client to move"))

    async def close_clients(self, records: Sequence[ClientRecord]) -> None:
        """Close connections after asking."""
        count = len(records)
        shown = figures.integer(count)
        title = (
            tr("Close the connection of {name}?", name=records[0].title)
            if count == 1
            else tr_count("Close {count} connection?", "Close {count} connections?", count, count=shown)
        )
        waiting = sum(record.pending_bytes for record in records)
        lines = [
            tr(
                "{names}: the server cuts it off at once. Messages that were sent to it and not received "
                "are lost to it, unless a consumer sends them again. Most libraries connect again by "
                "themselves within seconds; to keep a client out, take its login away.",
                names=_names(records),
            )
        ]
        if waiting:
            lines.append(tr("{bytes} wait to be sent.", bytes=figures.bytes_size(waiting)))
        made = [closing.close_action(self.context.session, record) for record in records]
        if not await self._ask(title, " ".join(lines), tr("Close connection"), records, made, danger=True):
            return
        for action in made:
            await action.run(self.context.session)
        done = (
            tr("The connection of {name} was closed.", name=records[0].title)
            if count == 1
            else tr_count(
                "{count} connection was closed.", "{count} connections were closed.", count, count=shown
            )
        )
        self.context.notify(done, "good")
        self._reader.refresh()

    async def move_clients(self, records: Sequence[ClientRecord]) -> None:
        """Ask clients to look for another server."""
        title = (
            tr("Ask {name} to move to another server?", name=records[0].title)
            if len(records) == 1
            else tr_count(
                "Ask {count} client to move to another server?",
                "Ask {count} clients to move to another server?",
                len(records),
                count=figures.integer(len(records)),
            )
        )
        text = tr(
            "{names}: the server tells it that it goes into lame duck mode, and to nobody else. Libraries "
            "that follow this connect to another server of the cluster, where they know one; nothing is cut "
            "off.",
            names=_names(records),
        )
        made = [closing.move_action(self.context.session, record) for record in records]
        if not await self._ask(title, text, tr("Ask to move"), records, made, danger=False):
            return
        for action in made:
            await action.run(self.context.session)
        self.context.notify(tr("{names}: asked to move.", names=_names(records)), "good")

    async def _ask(
        self,
        title: str,
        text: str,
        verb: str,
        records: Sequence[ClientRecord],
        made: Sequence[Action],
        *,
        danger: bool,
    ) -> bool:
        session = self.context.session
        typed = None
        if session.profile.environment is Environment.PRODUCTION:
            typed = records[0].title if len(records) == 1 else str(len(records))
        command = "\n\n".join(action.equivalent(session) for action in made[:COMMANDS_SHOWN])
        dialog = ConfirmDialog(self, title, text, verb, typed, command=command, danger=danger)
        return await dialog.ask()

    def focus_filter(self) -> None:
        """Into the filter."""
        self.filter.focus()

    def commands(self) -> list[Command]:
        """What can be done here."""
        return [
            *self._client_commands(self._targets()),
            Command(
                tr("Show or hide the details"),
                keymap.key("clients.pane"),
                self._toggle_pane,
                "columns",
            ),
            Command(
                tr("Next part of the clients"),
                keymap.key("clients.next_part"),
                lambda: self._next_tab(1),
                "caret-right",
            ),
            Command(
                tr("Previous part of the clients"),
                keymap.key("clients.previous_part"),
                lambda: self._next_tab(-1),
                "caret-left",
            ),
            Command(tr("Read again"), keymap.key("clients.read"), self._read_again, "arrow-clockwise"),
        ]

    def _next_tab(self, step: int) -> None:
        self.tab_bar.setCurrentIndex((self.tab_bar.currentIndex() + step) % len(TABS))

    def _row_commands(self, records: list[ClientRecord]) -> list[Command]:
        commands = self._client_commands(records)
        if len(records) == 1 and (name := records[0].name or records[0].user):
            commands.append(
                Command(
                    tr("Show only clients like this"),
                    "",
                    lambda: self.filter.field.setText(name),
                    "funnel",
                    name="clients_like_this",
                )
            )
        return commands

    def _client_commands(self, records: Sequence[ClientRecord]) -> list[Command]:
        close, move = self._refusal(records), self._refusal(records, moving=True)
        return [
            Command(
                tr("Close the connection of a client"),
                keymap.key("clients.close"),
                self._close,
                "link-break",
                not close,
                close,
                True,
            ),
            Command(
                tr("Ask a client to move to another server"),
                keymap.key("clients.move"),
                self._move,
                "arrows-left-right",
                not move,
                move,
            ),
        ]


def _names(records: Sequence[ClientRecord]) -> str:
    named = ", ".join(record.title for record in records[:NAMED])
    more = len(records) - NAMED
    return tr("{names} and {more} more", names=named, more=figures.integer(more)) if more > 0 else named
