"""The connection's own account: what it uses of what it may, and what its login is allowed to do."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property
from typing import TypeVar

from PySide6.QtWidgets import QStackedWidget, QTabBar, QVBoxLayout, QWidget

from memphis_desktop.cluster.clients.reader import Wants
from memphis_desktop.cluster.model import ClusterSnapshot
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.page_header import PageHeader
from memphis_desktop.ui.components.time_range import TimeRange, TimeRangeBar
from memphis_desktop.ui.screen import SERVER, Command, Route, Screen, ScreenContext
from memphis_desktop.ui.screens.account.limits import LimitsView
from memphis_desktop.ui.screens.account.lists import LoginView, SharingView, UsersView
from memphis_desktop.ui.screens.account.permissions import PermissionsView
from memphis_desktop.ui.screens.cluster.system_login import ask_for_system_login
from memphis_desktop.ui.screens.station_parts import LONGEST, PAGE_MARGINS, StateBanner

TABS = (
    ("limits", tr("Limits")),
    ("permissions", tr("Permissions")),
    ("login", tr("Login")),
    ("sharing", tr("Exports and imports")),
    ("users", tr("Users")),
)
SOON_DAYS = 7.0
View = TypeVar("View", bound=QWidget)


class AccountScreen(Screen):
    """Route parameters: `tab`; `subject`, `queue` and `direction` of what the tester judges."""

    title = tr("Account")
    route_name = "account"
    stale_with = frozenset({SERVER})

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self._reader = context.session.account
        self._active = False
        self._ends: list[Callable[[], None]] = []
        self.time_range = TimeRange(3600.0, self)
        self.header = PageHeader(tr("Account"))
        self.range_bar = TimeRangeBar(self.time_range, longest=LONGEST)
        self.header.add_widget(self.range_bar)
        self.banner = StateBanner()
        self.ending = Banner("warning")
        self.ending.hide()
        self.lacking = Banner("information")
        self.lacking.hide()
        self.tab_bar = QTabBar()
        self.tab_bar.setExpanding(False)
        self.tab_bar.setDrawBase(False)
        self.tab_bar.setAccessibleName(tr("Parts of the account"))
        for _, title in TABS:
            self.tab_bar.addTab(title)
        self.stack = QStackedWidget()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*PAGE_MARGINS)
        layout.setSpacing(theme.SPACE_3)
        for widget in (self.header, self.banner, self.ending, self.lacking, self.tab_bar):
            layout.addWidget(widget)
        layout.addWidget(self.stack, 1)
        self.tab_bar.currentChanged.connect(lambda _: self._tab_chosen())

    # The parts: each is made when it is first looked at

    @cached_property
    def limits(self) -> LimitsView:
        """What is used of what."""
        return self._with_room(LimitsView(self.context, self.time_range))

    @cached_property
    def permissions(self) -> PermissionsView:
        """What may be done."""
        view = self._with_room(PermissionsView(self.context))
        view.judged.connect(self.commands_changed)
        return view

    @cached_property
    def login(self) -> LoginView:
        """What the login says."""
        return self._with_room(LoginView(self.context))

    @cached_property
    def sharing(self) -> SharingView:
        """Exports and imports."""
        return self._with_room(SharingView(self._add_system_login))

    @cached_property
    def users(self) -> UsersView:
        """Who uses the account."""
        return self._with_room(UsersView(self.context))

    def _with_room(self, view: View) -> View:
        self.stack.addWidget(view)
        return view

    # Where

    @property
    def tab(self) -> str:
        """The part in view."""
        return TABS[self.tab_bar.currentIndex()][0]

    def show_route(self, route: Route) -> None:
        """Show the part that the route names, and judge what it asks."""
        subject = route.get("subject")
        wanted = "permissions" if subject else route.get("tab")
        index = next((i for i, (key, _) in enumerate(TABS) if key == wanted), None)
        if index is not None:
            self.tab_bar.setCurrentIndex(index)
        if self.stack.currentWidget() is None:
            self._tab_chosen()
        if subject:
            publishing = route.get("direction") != "subscribe"
            self.permissions.test(subject, publishing=publishing, queue=route.get("queue"))

    def activated(self) -> None:
        """Read while this is looked at."""
        self._active = True
        self._ends = [
            self._reader.subscribe(self._show),
            self.context.session.clients.subscribe(self._show_users),
        ]
        self._reader.watch(self, True)
        self._tab_chosen()

    def deactivated(self) -> None:
        """No more."""
        self._active = False
        for end in self._ends:
            end()
        self._ends = []
        self._reader.watch(self, False)
        self.context.session.clients.want(self, None)

    def _tab_chosen(self) -> None:
        view = getattr(self, self.tab)
        assert isinstance(view, QWidget)
        self.stack.setCurrentWidget(view)
        self.range_bar.setVisible(self.tab == "limits")
        if self._active:
            wants = Wants(sort="subs", descending=True) if self.tab == "users" else None
            self.context.session.clients.want(self, wants)
        self._show()
        self.commands_changed.emit()

    # News

    def show_snapshot(self, snapshot: ClusterSnapshot) -> None:
        """What the connection knows; the account comes from its reader."""
        self.banner.show_snapshot(snapshot)
        self.time_range.anchor = time.time()
        self._show_banners(snapshot)
        if self.tab == "limits":
            self.limits.show_facts(self._reader.facts)

    def _show(self) -> None:
        facts = self._reader.facts
        if self.tab == "limits":
            self.limits.show_facts(facts)
        elif self.tab == "permissions":
            self.permissions.show_facts(facts)
        elif self.tab == "login":
            self.login.show_facts(facts)
        elif self.tab == "sharing":
            self.sharing.show_facts(facts, sees_all=self._sees_all)
        else:
            self._show_users()
        self._show_header()
        self._show_banners(self.context.session.snapshot)

    def _show_users(self) -> None:
        if self.tab == "users":
            user = self._reader.facts.user
            account = user.account if user is not None else self.context.session.raft.account
            self.users.show_clients(self.context.session.clients, account)

    @property
    def _sees_all(self) -> bool:
        return self.context.session.raft.system_client is not None

    def _show_header(self) -> None:
        facts = self._reader.facts
        user = facts.user
        parts = []
        if user is not None:
            if user.name:
                parts.append(tr("user {name}", name=user.name))
            parts.append(tr("account {name}", name=user.account_name))
        if facts.jetstream is False:
            parts.append(tr("without JetStream"))
        if facts.api_errors is not None:
            parts.append(
                tr(
                    "{errors} of {total} JetStream requests failed",
                    errors=figures.integer(facts.api_errors),
                    total=figures.integer(facts.api_total or 0),
                )
            )
        if facts.slow_consumers:
            parts.append(tr("{count} times a slow client", count=figures.integer(facts.slow_consumers)))
        self.header.set_title(tr("Account"), "  ·  ".join(parts))

    def _show_banners(self, snapshot: ClusterSnapshot) -> None:
        facts = self._reader.facts
        now = time.time_ns()
        ends = [one.expires_ns for one in (facts.user, facts.token, facts.account_token) if one is not None]
        first = min((end for end in ends if end is not None), default=None)
        days = (first - now) / 86_400e9 if first is not None else None
        soon = days is not None and days < SOON_DAYS
        if soon and first is not None:
            text = tr(
                "This login ends {when} ({time} UTC). Ask for new credentials before.",
                when=figures.relative_time(first, now),
                time=figures.minute(first),
            )
            self.ending.set_content("warning", text)
        self.ending.setVisible(soon)
        refused = snapshot.errors.get("system account")
        lacking = not self._sees_all and self.tab == "limits" and facts.read_at_ns > 0
        if refused:
            text = tr("The system account cannot be used. {refused}", refused=refused)
            self.lacking.set_content("warning", text, (tr("Change its login"), self._add_system_login))
        elif lacking:
            text = tr(
                "Shown are the account's own figures. Its limits of connections, its exports and imports "
                "are told to the system account only."
            )
            self.lacking.set_content("information", text, (tr("Add its login"), self._add_system_login))
        self.lacking.setVisible(bool(refused) or lacking)

    # Doing

    def _add_system_login(self) -> None:
        asking = ask_for_system_login(self.context, self, self.route_name)
        self.context.run(asking, tr("add the system account's login"))

    def accept_file(self, path: str) -> bool:
        """A creds file is judged in place of this login."""
        if not path.endswith((".creds", ".jwt")):
            return False
        self.tab_bar.setCurrentIndex(1)
        self.permissions.open_file(path)
        return True

    def _test(self) -> None:
        self.tab_bar.setCurrentIndex(1)
        self.permissions.focus()

    def _next_tab(self, step: int) -> None:
        self.tab_bar.setCurrentIndex((self.tab_bar.currentIndex() + step) % len(TABS))

    def focus_filter(self) -> None:
        """Into the tester, the only field there is."""
        if self.tab == "permissions":
            self.permissions.focus()

    def commands(self) -> list[Command]:
        """What can be done here."""
        found = [
            Command(tr("Test a permission"), keymap.key("account.test"), self._test, "shield-check"),
            Command(
                tr("Next part of the account"),
                keymap.key("account.next_part"),
                lambda: self._next_tab(1),
                "caret-right",
            ),
            Command(
                tr("Previous part of the account"),
                keymap.key("account.previous_part"),
                lambda: self._next_tab(-1),
                "caret-left",
            ),
            Command(tr("Read again"), keymap.key("account.read"), self._reader.refresh, "arrow-clockwise"),
        ]
        if self.tab == "limits":
            found.append(
                Command(
                    tr("Next time range"), keymap.key("account.range"), self.range_bar.next_preset, "clock"
                )
            )
        if self.tab == "permissions":
            why = self.permissions.try_refusal()
            found.append(
                Command(
                    tr("Try the permission really"),
                    keymap.key("account.really"),
                    self.permissions.try_really,
                    "play",
                    not why,
                    why,
                )
            )
        return found
