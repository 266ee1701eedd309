"""Users of the Memphis layer: who may log in, and which stations each may read and write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from PySide6.QtWidgets import QComboBox, QLineEdit, QPlainTextEdit, QWidget

from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.language import tr, tr_count
from memphis_desktop.stations.model import Permissions, User
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import keymap
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.dialogs import FormDialog
from memphis_desktop.ui.components.filter_bar import FilterBar
from memphis_desktop.ui.memphis.changes import MemphisChange
from memphis_desktop.ui.memphis.link import MemphisView
from memphis_desktop.ui.screen import Command, ScreenContext
from memphis_desktop.ui.screens.memphis.base import MemphisScreen, nanoseconds
from memphis_desktop.ui.screens.station_parts import panel

_TYPES = {"root": "accent", "management": "information", "application": "muted"}
_PASSWORD_HELP = tr("8 to 20 characters with upper and lower case letters, a digit and one of !?-@#$%")
_PATTERNS = (
    ("allow_read", "allow_read_permissions", tr("May read"), tr("Stations it may consume from.")),
    ("allow_write", "allow_write_permissions", tr("May write"), tr("Stations it may produce to and create.")),
    ("deny_read", "deny_read_permissions", tr("Never read"), tr("Denials win.")),
    ("deny_write", "deny_write_permissions", tr("Never write"), tr("Denials win.")),
)
_DETAILS = (
    ("full_name", tr("Full name")),
    ("team", tr("Team")),
    ("position", tr("Position")),
    ("owner", tr("Owner")),
    ("description", tr("Description")),
)


class UsersScreen(MemphisScreen):
    """See the module."""

    title = tr("Users")
    route_name = "memphis_users"

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(context, parent)
        self.header.set_title(tr("Users"), tr("Application users are what SDKs log in as; the others manage"))
        self.token_button = self.header.add_action(
            tr("Connection token"),
            self.change_token,
            icon_name="key",
            tooltip=tr("Change the token SDKs may show"),
        )
        self.add_button = self.header.add_action(
            tr("Add user"), self.add, icon_name="plus", kind="primary", tooltip="N"
        )
        self.filter = FilterBar(tr("Filter"))
        self.filter.add_chip("application", tr("Application"))
        self.filter.add_chip("management", tr("Management"))
        self.table = DataTable(
            [
                Column("name", tr("Name"), lambda u: u.name, "mono", 150),
                Column("type", tr("Type"), lambda u: (u.type, _TYPES.get(u.type, "muted")), "badge", 110),
                Column(
                    "read", tr("May read"), lambda u: permission_text(u, "read"), "mono", 150, stretch=True
                ),
                Column(
                    "write", tr("May write"), lambda u: permission_text(u, "write"), "mono", 150, stretch=True
                ),
                Column("open", tr("Connections"), self._connections, "number", 96, tr("Open now")),
                Column("description", tr("Description"), lambda u: u.description, "text", 160),
                Column("created", tr("Created"), lambda u: nanoseconds(u.created_at), "time", 100),
                Column("full_name", tr("Full name"), lambda u: u.full_name, "text", 130, "", False),
                Column("team", tr("Team"), lambda u: u.team, "text", 100, "", False),
                Column("position", tr("Position"), lambda u: u.position, "text", 100, "", False),
                Column("owner", tr("Owner"), lambda u: u.owner, "text", 100, "", False),
            ],
            lambda u: u.name,
            "memphis_users",
            context_actions=self._row_commands,
            default_sort=("name", False),
        )
        self.table.set_zone(context.zone)
        self.table.set_state("loading")
        self.table.row_activated.connect(lambda _: self.edit())
        self.table.selection_changed.connect(lambda _: self.commands_changed.emit())
        self.filter.text_changed.connect(self.table.set_filter)
        self.filter.chips_changed.connect(self._narrow)
        self.filter.left.connect(self.table.setFocus)
        self.page.addWidget(self.filter)
        self.page.addWidget(panel(self.table), 1)

    def show_view(self, view: MemphisView) -> None:
        """Show the users."""
        self.show_rows(
            self.table,
            list(view.users),
            tr("There are no users yet."),
            (tr("Add user"), self.add),
            "users-three",
        )
        self.filter.set_count(
            tr_count("{count} user", "{count} users", len(view.users), count=figures.integer(len(view.users)))
        )
        for button in (self.add_button, self.token_button):
            button.setEnabled(not self.refusal)

    def _connections(self, user: User) -> int:
        view = self.link.view
        ids = {one.connection_id for one in view.producers if one.username == user.name}
        ids |= {one.connection_id for one in view.consumers if one.username == user.name}
        return len(ids - view.closed)

    def _narrow(self, chips: set[str]) -> None:
        self.table.set_predicate((lambda user: user.type in chips) if chips else None)

    def focus_filter(self) -> None:
        """Into the filter."""
        self.filter.focus()

    # Doing

    def add(self) -> None:
        """Ask for a user and add it."""
        if not self.refusal:
            self.context.run(self._open(UserDialog(self.window(), None, self._run)), tr("add the user"))

    def edit(self) -> None:
        """Change details and permissions of the user with the cursor."""
        user = self.table.current_row()
        if user is not None and not self.refusal:
            self.context.run(self._open(UserDialog(self.window(), user, self._run)), tr("change the user"))

    def change_password(self) -> None:
        """Give the user with the cursor another password."""
        user = self.table.current_row()
        if user is not None and not self.refusal:
            dialog = SecretDialog(
                self.window(), tr("Change the password of {name}", name=user.name), _PASSWORD_HELP, self._run
            )
            dialog.make = lambda secret: MemphisChange(
                tr("Change the password of user {name}", name=user.name),
                "users.change_password",
                {"name": user.name, "password": secret},
                secrets=("password",),
            )
            dialog.told = tr(
                "{name} has another password. Connections made with the old one end.", name=user.name
            )
            self.context.run(self._open(dialog), tr("change the password"))

    def change_token(self) -> None:
        """Change the connection token."""
        if not self.refusal:
            dialog = SecretDialog(
                self.window(),
                tr("Change the connection token"),
                tr("SDKs may show it instead of a password."),
                self._run,
            )
            dialog.make = lambda secret: MemphisChange(
                tr("Change the connection token"), "users.change_token", {"token": secret}, secrets=("token",)
            )
            dialog.told = tr("The connection token was changed. Connections made with the old one stay.")
            self.context.run(self._open(dialog), tr("change the token"))

    async def _open(self, dialog: UserDialog | SecretDialog) -> None:
        if await dialog.ask():
            self.context.notify(dialog.told, "good")

    async def _run(self, change: MemphisChange) -> None:
        await change.run(self.context.session)

    def remove(self) -> None:
        """Remove the user with the cursor, after asking."""
        user = self.table.current_row()
        if user is not None and not self.refusal:
            self.context.run(self._remove(user), tr("remove the user"))

    async def _remove(self, user: User) -> None:
        count = self._connections(user)
        ends = (
            tr_count(
                " Its {count} open connection will end.",
                " Its {count} open connections will end.",
                count,
                count=figures.integer(count),
            )
            if count
            else ""
        )
        change = MemphisChange(
            tr("Remove user {name}", name=user.name),
            "users.remove",
            {"name": user.name},
            before=_shown(user),
            destroys=True,
        )
        await self.change(
            change,
            title=tr("Remove user {name}?", name=user.name),
            text=tr("{name} will not be able to log in any more.{ends}", name=user.name, ends=ends),
            verb=tr("Remove user"),
            name=user.name,
            done=tr("User {name} was removed.", name=user.name),
        )

    def commands(self) -> list[Command]:
        """For the palette, the keys and the sheet."""
        return [
            self.command(tr("Add user"), keymap.key("memphis_users.add"), self.add, "plus", self.refusal),
            self.command(
                tr("Change the connection token"),
                "",
                self.change_token,
                "key",
                self.refusal,
                name="change_connection_token",
            ),
            *self._row_commands(self.table.selected_rows()),
        ]

    def _row_commands(self, users: list[User]) -> list[Command]:
        one = users[0] if len(users) == 1 else None
        missing = "" if one is not None else tr("Select one user first.")
        root = tr("Root stays as it is.") if one is not None and one.type == "root" else ""
        return [
            self.command(
                tr("Edit user and permissions"),
                keymap.key("memphis_users.edit"),
                self.edit,
                "pencil-simple",
                missing or root or self.refusal,
            ),
            self.command(
                tr("Change password"),
                keymap.key("memphis_users.password"),
                self.change_password,
                "key",
                missing or self.refusal,
            ),
            self.command(
                tr("Remove user"),
                keymap.key("memphis_users.remove"),
                self.remove,
                "trash",
                missing or root or self.refusal,
                True,
            ),
        ]


def permission_text(user: User, what: str) -> str:
    """What a user may do, in a line: ``orders*, !orders-secret``; ``everything`` without a limit."""
    permissions = user.permissions
    if permissions is None:
        return tr("everything")
    allowed: tuple[str, ...] = getattr(permissions, f"allow_{what}")
    denied: tuple[str, ...] = getattr(permissions, f"deny_{what}")
    return ", ".join([*allowed, *(f"!{pattern}" for pattern in denied)]) or tr("nothing")


def _may_read(user: User) -> str:
    return permission_text(user, "read")


def _may_write(user: User) -> str:
    return permission_text(user, "write")


def _shown(user: User) -> dict[str, Any]:
    permissions = user.permissions or Permissions()
    return {
        "name": user.name,
        "type": user.type,
        **{key: list(getattr(permissions, name)) for name, key, *_ in _PATTERNS},
        **{key: getattr(user, key) for key, _ in _DETAILS},
    }


class _RunningDialog(FormDialog):
    """A form whose verb runs a change, and that stays open when it is refused."""

    def __init__(
        self, parent: QWidget, title: str, verb: str, run: Callable[[MemphisChange], Any], **options: Any
    ) -> None:
        super().__init__(parent, title, verb, **options)
        self._run_change = run
        self._task: asyncio.Task[None] | None = None
        self.told = ""

    def wanted(self) -> MemphisChange:
        """The change that the fields describe."""
        raise NotImplementedError

    def accept(self) -> None:
        """Check, run, close when it was done."""
        if self._task is not None and not self._task.done():
            return
        for check in self._validators:
            problem = check()
            if problem:
                self.show_error(problem)
                return
        self.show_error("")
        self.verb_button.setEnabled(False)
        self._task = asyncio.get_running_loop().create_task(self._run(self.wanted()))

    async def _run(self, change: MemphisChange) -> None:
        try:
            await self._run_change(change)
        except ClusterError as error:
            self.show_error(str(error))
        else:
            super().accept()
        finally:
            self.verb_button.setEnabled(True)


class UserDialog(_RunningDialog):
    """A new user, or another's permissions and details."""

    def __init__(self, parent: QWidget, user: User | None, run: Callable[[MemphisChange], Any]) -> None:
        title = tr("Add user") if user is None else tr("Edit user {name}", name=user.name)
        super().__init__(
            parent, title, tr("Add user") if user is None else tr("Save changes"), run, width=600
        )
        self.user = user
        self.name = QLineEdit(user.name if user is not None else "")
        self.name.setEnabled(user is None)
        self.add_row(tr("Name"), self.name, tr("Letters, digits, dots, dashes and underscores, up to 60."))
        self.type = QComboBox()
        self.type.addItem(tr("Application: SDKs log in as it"), "application")
        self.type.addItem(tr("Management: manages, produces nothing"), "management")
        if user is not None:
            self.type.setCurrentIndex(max(0, self.type.findData(user.type)))
            self.type.setEnabled(False)
        self.add_row(tr("Type"), self.type)
        self.password = QLineEdit()
        self.password.setEchoMode(QLineEdit.EchoMode.Password)
        if user is None:
            self.add_row(tr("Password"), self.password, _PASSWORD_HELP)
        self.patterns: dict[str, QPlainTextEdit] = {}
        permissions = (user.permissions if user is not None else None) or Permissions()
        for name, key, label, help_text in _PATTERNS:
            area = QPlainTextEdit("\n".join(getattr(permissions, name)))
            area.setProperty("role", "mono")
            area.setTabChangesFocus(True)
            area.setFixedHeight(52)
            self.patterns[key] = area
            if name == "allow_read":
                help_text += " " + tr("One name or pattern with * a line; none at all means everything.")
            self.add_row(label, area, help_text)
        self.details: dict[str, QLineEdit] = {}
        for key, label in _DETAILS:
            self.details[key] = QLineEdit(getattr(user, key) if user is not None else "")
            self.add_row(label, self.details[key])
        self.add_validator(self._problem)
        self.type.currentIndexChanged.connect(self._type_changed)
        self._type_changed()
        self.told = "" if user is None else tr("User {name} was changed.", name=user.name)

    def _type_changed(self) -> None:
        for area in self.patterns.values():
            area.setEnabled(self.type.currentData() == "application")

    def _problem(self) -> str:
        if not self.name.text().strip():
            return tr("A user needs a name.")
        if self.user is None and not self.password.text():
            return tr("A user needs a password.")
        return ""

    def wanted(self) -> MemphisChange:
        """Add or edit."""
        name = self.name.text().strip()
        body: dict[str, Any] = {"name": name}
        if self.user is None:
            body |= {"type": self.type.currentData(), "password": self.password.text()}
            self.told = tr("User {name} was added.", name=name)
        if self.type.currentData() == "application":
            body |= {
                key: [line.strip() for line in area.toPlainText().splitlines() if line.strip()]
                for key, area in self.patterns.items()
            }
        body |= {key: field.text().strip() for key, field in self.details.items()}
        if self.user is None:
            return MemphisChange(tr("Add user {name}", name=name), "users.add", body, secrets=("password",))
        return MemphisChange(
            tr("Change user {name}", name=name), "users.edit", body, before=_shown(self.user)
        )


class SecretDialog(_RunningDialog):
    """A secret, typed twice."""

    def __init__(
        self, parent: QWidget, title: str, help_text: str, run: Callable[[MemphisChange], Any]
    ) -> None:
        super().__init__(parent, title, tr("Change"), run, width=480)
        self.make: Callable[[str], MemphisChange] | None = None
        self.first, self.second = QLineEdit(), QLineEdit()
        for field in (self.first, self.second):
            field.setEchoMode(QLineEdit.EchoMode.Password)
        self.add_row(tr("New"), self.first, help_text)
        self.add_row(tr("Again"), self.second)
        self.add_validator(self._problem)

    def _problem(self) -> str:
        if not self.first.text():
            return tr("Type the new one.")
        return "" if self.first.text() == self.second.text() else tr("The two are not the same.")

    def wanted(self) -> MemphisChange:
        """The change with the secret."""
        assert self.make is not None
        return self.make(self.first.text())
