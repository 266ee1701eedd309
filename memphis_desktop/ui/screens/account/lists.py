"""The login in full, exports and imports, and who uses the account."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from PySide6.QtWidgets import QVBoxLayout, QWidget

from memphis_desktop.cluster.account.model import AccountFacts, Sharing
from memphis_desktop.cluster.clients.model import ClientRecord
from memphis_desktop.cluster.clients.reader import ClientsReader
from memphis_desktop.language import tr
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.banner import Banner
from memphis_desktop.ui.components.data_table import Column, DataTable, IconText
from memphis_desktop.ui.screen import Action, Route, ScreenContext
from memphis_desktop.ui.screens.account.words import LoginLine, login_lines
from memphis_desktop.ui.screens.clients.parts import library
from memphis_desktop.ui.screens.station_parts import panel

LIBRARIES = 4  # that are named


class LoginView(QWidget):
    """Name and value of everything that the login says."""

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self.problem = Banner("warning")
        self.problem.hide()
        self.table = DataTable(
            [
                Column("section", tr("Of"), lambda r: r.section, "text", 150),
                Column("name", tr("What"), lambda r: r.name, "text", 170),
                Column(
                    "value",
                    tr("Says"),
                    lambda r: r.value,
                    "mono",
                    320,
                    token=lambda r: r.token or None,
                    stretch=True,
                ),
            ],
            lambda r: (r.section, r.name),
            "account_login",
        )
        self.table.set_state("loading")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE_3)
        layout.addWidget(self.problem)
        layout.addWidget(panel(self.table), 1)

    def show_facts(self, facts: AccountFacts) -> None:
        """Show what is known now."""
        lines: list[LoginLine] = login_lines(self._context.session.profile, facts, time.time_ns())
        self.table.set_rows(lines)
        self.table.set_state("ready")
        problems = [facts.token_problem, facts.problems.get("user", "") if facts.user is None else ""]
        text = " ".join(filter(None, problems))
        self.problem.set_content("warning", text)
        self.problem.setVisible(bool(text))


class SharingView(QWidget):
    """What the account gives to others and takes from them."""

    def __init__(self, add_login: Callable[[], object], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._login: Action = (tr("Add its login"), add_login)
        self.table = DataTable(
            [
                Column("direction", tr("Direction"), _direction, "icon", 110),
                Column("kind", tr("Kind"), lambda s: _kind(s.kind), "badge", 84),
                Column("subject", tr("Subject"), lambda s: s.subject, "mono", 200, stretch=True),
                Column("local", tr("Here called"), lambda s: s.local, "mono", 200),
                Column("account", tr("Account"), _account, "mono", 180),
                Column(
                    "note",
                    tr("Note"),
                    lambda s: tr("invalid") if s.invalid else s.note,
                    "text",
                    140,
                    token=lambda s: "bad" if s.invalid else None,
                ),
            ],
            lambda s: (s.direction, s.kind, s.subject, s.local, s.account),
            "account_sharing",
            default_sort=("direction", False),
        )
        self.table.set_state("loading")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(panel(self.table))

    def show_facts(self, facts: AccountFacts, *, sees_all: bool) -> None:
        """Show what is known now."""
        if facts.sharings is not None:
            self.table.set_rows(facts.sharings)
            if facts.sharings:
                self.table.set_state("ready")
            else:
                text = tr("This account exports nothing to others and imports nothing from them.")
                self.table.set_state("empty", text, None, "arrows-left-right")
        elif why := facts.problems.get("detail"):
            self.table.set_state("error", why)
        elif not sees_all:
            text = tr("Exports and imports are told to the system account only.")
            self.table.set_state("empty", text, self._login, "lock-key")


def _direction(sharing: Sharing) -> IconText:
    if sharing.direction == "export":
        return IconText("export", "information", tr("exports"))
    return IconText("download-simple", "accent", tr("imports"))


def _kind(kind: str) -> str:
    return {"stream": tr("stream"), "service": tr("service")}.get(kind, kind)


def _account(sharing: Sharing) -> str:
    if sharing.direction == "export" and not sharing.account:
        return tr("all")
    return sharing.account


@dataclass(frozen=True, slots=True)
class UserRow:
    """A user with all of its connections added up."""

    name: str
    connections: int
    subscriptions: int
    in_rate: float | None
    out_rate: float | None
    pending: int
    libraries: str


class UsersView(QWidget):
    """The users of the account that are connected now."""

    def __init__(self, context: ScreenContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.table = DataTable(
            [
                Column("name", tr("User"), lambda r: r.name or tr("nameless"), "text", 180, stretch=True),
                Column("connections", tr("Connections"), lambda r: r.connections, "number", 112),
                Column("subscriptions", tr("Subscriptions"), lambda r: r.subscriptions, "number", 104),
                Column("in", tr("In"), lambda r: r.in_rate, "rate", 76, tr("Messages from its clients")),
                Column("out", tr("Out"), lambda r: r.out_rate, "rate", 76, tr("Messages to its clients")),
                Column("pending", tr("Pending"), lambda r: r.pending, "bytes", 90),
                Column("libraries", tr("Libraries"), lambda r: r.libraries, "text", 240),
            ],
            lambda r: r.name,
            "account_users",
            default_sort=("connections", True),
        )
        self.table.set_state("loading")
        self.table.row_activated.connect(
            lambda row: context.navigate(Route("clients", {"tab": "open", "filter": row.name}))
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(panel(self.table))

    def show_clients(self, reader: ClientsReader, account: str) -> None:
        """Show who uses an account, of all clients that are known."""
        rows = users_of(one for one in reader.table.open.values() if one.account in ("", account))
        self.table.set_rows(rows)
        if rows:
            self.table.set_state("ready")
        elif reader.problem is not None:
            self.table.set_state("error", str(reader.problem), icon="lock-key")


def users_of(records: Iterable[ClientRecord]) -> list[UserRow]:
    """The users of these connections."""
    found: dict[str, list[ClientRecord]] = {}
    for record in records:
        found.setdefault(record.user, []).append(record)
    rows = []
    for name, held in found.items():
        libraries = sorted({library(one) for one in held} - {""})
        more = ["…"] if len(libraries) > LIBRARIES else []
        rows.append(
            UserRow(
                name,
                len(held),
                sum(one.subscriptions for one in held),
                _sum(one.rates[0] for one in held),
                _sum(one.rates[1] for one in held),
                sum(one.pending_bytes for one in held),
                ", ".join([*libraries[:LIBRARIES], *more]),
            )
        )
    return rows


def _sum(rates: Iterable[float | None]) -> float | None:
    known = [rate for rate in rates if rate is not None]
    return sum(known) if known else None
