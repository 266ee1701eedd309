"""The account's page on a real server, used as a person would."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from memphis_desktop import app
from memphis_desktop.broker import nkeys
from memphis_desktop.cluster.account.rules import Verdict
from memphis_desktop.cluster.profiles import ConnectionProfile, CredentialKind, Credentials
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens.account.screen import AccountScreen
from memphis_desktop.ui.screens.clients.screen import ClientsScreen
from tests.conftest import Starter
from tests.operators import Account, Key, Operator, write_creds

Until = Callable[..., Awaitable[Any]]
Start = Callable[..., Awaitable[AccountScreen]]

CONFIG = """
accounts {
  $SYS { users: [{user: sys, password: sys}] }
  A {
    jetstream: {max_mem: 10Mb, max_file: 100Mb, max_streams: 10, max_consumers: 20}
    users: [
      {user: a, password: a}
      {user: limited, password: limited, permissions: {
        publish: {allow: ["orders.>", "$JS.API.INFO", "$SYS.REQ.>", "_INBOX.>"], deny: "orders.no"}
        subscribe: {allow: ["orders.*", "_INBOX.>", "work.> crew.*"], deny: "orders.bad"}
      }}
    ]
    exports: [{service: "help.>"}]
  }
}
"""


def login(name: str) -> Credentials:
    return Credentials(CredentialKind.PASSWORD, user=name, password=name)


@pytest.fixture
def start(open_window: Callable[..., Awaitable[app.Program]], until: Until) -> Start:
    """Open the window on the page: ``screen = await start(url, credentials, system)``."""

    async def open_(
        url: str, credentials: Credentials, system: Credentials | None = None, tab: str = "limits"
    ) -> AccountScreen:
        program = await open_window()
        profile = ConnectionProfile(name="t", urls=(url,), credentials=credentials, system_credentials=system)
        workspace = await program.window.open_profile(profile, Route("account", {"tab": tab}))
        screen = workspace.current_screen
        assert isinstance(screen, AccountScreen)
        await until(lambda: screen._reader.facts.user is not None, "the user")
        return screen

    return open_


async def test_limits_and_what_the_system_account_adds(
    start_nats_server: Starter, start: Start, until: Until
) -> None:
    server = start_nats_server(config=CONFIG)
    screen = await start(server.url, login("a"))
    table = screen.limits.table

    def shown() -> dict[str, tuple[str, str]]:
        columns = {column.key: column for column in table.model.columns}
        return {
            columns["name"].display(one): (columns["used"].display(one), columns["limit"].display(one))
            for one in table.rows()
        }

    await until(lambda: "Connections" in shown(), "the account's figures")
    assert shown()["Storage on disk"] == ("0\u00a0B", "100\u00a0MiB")
    assert shown()["Streams"] == ("0", "10")
    assert shown()["Connections"][1] == "not told"
    assert "user a" in screen.header.subtitle_label.text()
    assert "system account" in screen.lacking.text()
    screen.tab_bar.setCurrentIndex(3)
    assert screen.sharing.table.state() == "empty"
    screen.tab_bar.setCurrentIndex(4)
    await until(lambda: screen.users.table.rows(), "the users")
    assert [(one.name, one.connections) for one in screen.users.table.rows()] == [("a", 1)]
    screen.users.table.row_activated.emit(screen.users.table.rows()[0])
    clients = screen.window().current_workspace().current_screen  # type: ignore[attr-defined]
    assert isinstance(clients, ClientsScreen)
    assert clients.filter.text() == "a"


async def test_exports_are_shown_with_the_system_account(
    start_nats_server: Starter, start: Start, until: Until
) -> None:
    server = start_nats_server(config=CONFIG)
    screen = await start(server.url, login("limited"), login("sys"), tab="sharing")
    await until(lambda: screen.sharing.table.rows(), "exports")
    assert [one.subject for one in screen.sharing.table.rows()] == ["help.>"]
    assert screen.lacking.isHidden()


async def test_permissions_are_told_tested_and_tried(
    start_nats_server: Starter, start: Start, until: Until, qtbot: QtBot
) -> None:
    server = start_nats_server(config=CONFIG)
    screen = await start(server.url, login("limited"))
    test = next(one for one in screen.keyed_commands() if one.shortcut == "T")
    test.callback()
    view = screen.permissions
    await until(lambda: view.table.rows(), "what it may do")
    told = {(one.what, one.subject): one.verdict for one in view.table.rows()}
    assert told["Publish", "orders.>"] is Verdict.ALLOWED
    assert told["Publish", "orders.no"] is Verdict.DENIED
    assert told["Create streams", "$JS.API.STREAM.CREATE.*"] is Verdict.DENIED
    qtbot.keyClicks(view.subject, "orders.no")
    assert view.answer is not None
    assert view.answer.verdict is Verdict.DENIED
    assert view.sentence.text() == "It may not publish to orders.no. Denied by orders.no."
    assert not view.try_button.isEnabled()  # publishing would be real
    qtbot.mouseClick(view.direction._buttons["subscribe"], Qt.MouseButton.LeftButton)
    for subject, queue, words in (
        ("orders.bad", "", "refused"),
        ("orders.good", "", "allowed"),
        ("work.1", "crew.a", "allowed"),
        ("work.1", "other", "refused"),
    ):
        view.queue.setText(queue)
        view.subject.setText(subject)
        qtbot.mouseClick(view.try_button, Qt.MouseButton.LeftButton)
        await until(
            lambda w=words: f"The server {w} it" in view.word.text(), f"the server's word on {subject}"
        )
        assert "not what its permissions say" not in view.word.text()


async def test_a_login_by_jwt_is_decoded_and_another_file_judged(
    start_nats_server: Starter, start: Start, until: Until, tmp_path: Path
) -> None:
    operator = Operator()
    server = start_nats_server(config=operator.config())
    text, seed = operator.application.user("carla")
    creds = write_creds(tmp_path / "carla.creds", text, seed)
    screen = await start(server.url, Credentials(CredentialKind.CREDS, creds_path=str(creds)), tab="login")
    await until(lambda: screen._reader.facts.token is not None, "the JWT")
    table = screen.login.table

    def lines() -> dict[tuple[str, str], str]:
        return {(one.section, one.name): one.value for one in table.rows()}

    await until(lambda: ("JWT of the user", "Issuer") in lines(), "its lines")
    assert lines()["JWT of the user", "Name"] == "carla"
    assert lines()["JWT of the user", "Issuer"] == operator.application.key.public
    assert lines()["JWT of the user", "Signature"] == "matches the issuer"
    everything = " ".join(lines().values())
    assert seed not in everything
    assert text not in everything
    assert not any(part in everything for part in text.split("."))
    other, its_seed = Account(Key(nkeys.OPERATOR), "other").user("otto", pub={"allow": ["only.this"]})
    assert screen.accept_file(str(write_creds(tmp_path / "otto.creds", other, its_seed)))
    view = screen.permissions
    await until(lambda: "otto" in view.whose.text(), "the other user")
    view.subject.setText("only.that")
    assert view.answer is not None
    assert view.answer.verdict is Verdict.DENIED
    assert "another user" in view.try_refusal() or not view.try_button.isEnabled()
    view.forget_file()
    assert view.whose.isHidden()
    assert view.answer.verdict is Verdict.ALLOWED
