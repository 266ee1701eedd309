"""The clients' page on real servers with real clients, used as a person would."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
from nats.aio.client import Client
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QDialog, QLineEdit
from pytestqt.qtbot import QtBot

from memphis_desktop import app
from memphis_desktop.cluster.clients.model import ClientRecord, EventKind
from memphis_desktop.cluster.profiles import ConnectionProfile, CredentialKind, Credentials, Environment
from memphis_desktop.server_process import ServerProcess
from memphis_desktop.ui.broker_control import BrokerChoice
from memphis_desktop.ui.components.dialogs import ConfirmDialog
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens.clients.screen import ClientsScreen
from memphis_desktop.ui.screens.cluster.system_login import SystemLoginDialog
from memphis_desktop.ui.shell.connection import LOCAL_ID
from tests.conftest import Starter

Until = Callable[..., Awaitable[Any]]
Start = Callable[..., Awaitable[ClientsScreen]]
D = TypeVar("D", bound=QDialog)

CONFIG = """
accounts {
  $SYS { users: [{user: sys, password: sys}] }
  A { jetstream: enabled, users: [
    {user: a, password: a}
    {user: blind, password: blind, permissions: {publish: {deny: "$SYS.REQ.SERVER.>"}}}
  ] }
  B { users: [{user: b, password: b}] }
}
"""


def login(name: str) -> Credentials:
    return Credentials(CredentialKind.PASSWORD, user=name, password=name)


@pytest.fixture
def server(start_nats_server: Starter) -> ServerProcess:
    return start_nats_server(config=CONFIG)


@pytest.fixture
def start(server: ServerProcess, open_window: Callable[..., Awaitable[app.Program]], until: Until) -> Start:
    """Open the window on the page: ``screen = await start(user, **changes of the profile)``."""

    async def open_(user: str = "a", *, system: bool = True, **changes: Any) -> ClientsScreen:
        program = await open_window()
        profile = ConnectionProfile(
            name="test",
            urls=(server.url,),
            credentials=login(user),
            system_credentials=login("sys") if system else None,
            **changes,
        )
        workspace = await program.window.open_profile(profile, Route("clients"))
        screen = await until(lambda: workspace.current_screen, "the page")
        assert isinstance(screen, ClientsScreen)
        await until(lambda: screen.open.rows(), "clients")
        return screen

    return open_


def dialog(kind: type[D]) -> D | None:
    """The dialog of a kind that is open."""
    return next(
        (one for one in QApplication.topLevelWidgets() if isinstance(one, kind) and one.isVisible()), None
    )


def row(screen: ClientsScreen, name: str) -> ClientRecord | None:
    """The line of a client."""
    return next((one for one in screen.open.rows() if one.name == name), None)


async def choose(screen: ClientsScreen, name: str, until: Until) -> None:
    """Put the cursor on a client."""
    record = await until(lambda: row(screen, name), name)
    assert screen.open.select_key(record.key)


async def test_clients_are_listed_filtered_and_looked_at(
    start: Start, server: ServerProcess, connect: Callable[..., Awaitable[Client]], until: Until, qtbot: QtBot
) -> None:
    worker = await connect(server, user="b", password="b", name="worker")
    await worker.subscribe("jobs.*", queue="crew")
    await worker.flush()
    screen = await start()
    record = await until(lambda: row(screen, "worker"), "the worker")
    assert (record.account, record.user) == ("B", "b")
    assert "3 connections" in screen.header.subtitle_label.text()
    screen.filter.set_chips({"others"})
    assert [one.name for one in screen.open.rows()] == ["worker"]
    screen.filter.set_chips(set())
    screen.focus_filter()
    qtbot.keyClicks(screen.filter.field, "worker")
    await until(lambda: len(screen.open.rows()) == 1, "the filter")
    qtbot.keyClick(screen.filter.field, Qt.Key.Key_Down)
    assert not screen.split.preview_visible()
    await choose(screen, "worker", until)
    qtbot.keyClick(screen.open.view, Qt.Key.Key_Space)
    assert screen.split.preview_visible()
    subscriptions = screen.pane.subscriptions
    await until(lambda: subscriptions.rows(), "its subscriptions")
    assert [(one.subject, one.queue) for one in subscriptions.rows()] == [("jobs.*", "crew")]
    facts = screen.pane.facts.values()
    assert (facts["Account"], facts["TLS"], facts["Kind"]) == ("B", "none", "NATS")
    for _ in range(20):
        await worker.publish("jobs.1", b"x")
    await worker.flush()
    await until(lambda: len(screen._reader.samples) > 1, "two readings for the graph")
    await until(lambda: subscriptions.rows()[0].messages == 20, "what was sent to it")


async def test_a_client_is_closed_after_asking(
    start: Start, server: ServerProcess, connect: Callable[..., Awaitable[Client]], until: Until, qtbot: QtBot
) -> None:
    victim = await connect(server, user="b", password="b", name="victim")
    screen = await start()
    await choose(screen, "victim", until)
    close = next(one for one in screen.keyed_commands() if one.shortcut == "Del")
    assert close.enabled
    close.callback()
    asked = await until(lambda: dialog(ConfirmDialog), "the question")
    assert "victim" in asked.heading.text()
    qtbot.mouseClick(asked.cancel_button, Qt.MouseButton.LeftButton)
    await until(lambda: dialog(ConfirmDialog) is None, "its end")
    assert victim.is_connected
    close.callback()
    asked = await until(lambda: dialog(ConfirmDialog), "the question")
    qtbot.mouseClick(asked.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: victim.is_closed, "the end of the client")
    await until(lambda: row(screen, "victim") is None, "that it is missed")
    entry = screen.context.shell.activity.entries()[-1]
    assert entry.title == "Close the connection of victim"
    assert entry.subject.endswith(".KICK")
    assert entry.command.startswith("nats server request kick ")
    screen.tab_bar.setCurrentIndex(1)
    closed = await until(
        lambda: next((one for one in screen.closed.rows() if one.name == "victim"), None), "the closed one"
    )
    assert closed.reason == "Kicked"
    screen.filter.set_chips({"unasked"})
    assert "victim" in [one.name for one in screen.closed.rows()]
    screen.tab_bar.setCurrentIndex(2)
    await until(lambda: screen.events.rows(), "events")
    assert {one.kind for one in screen.events.rows() if one.record.name == "victim"} == {
        EventKind.DISCONNECTED
    }


async def test_several_are_closed_at_once(
    start: Start, server: ServerProcess, connect: Callable[..., Awaitable[Client]], until: Until
) -> None:
    victims = [await connect(server, user="b", password="b", name=f"victim{n}") for n in range(2)]
    screen = await start()
    await until(lambda: row(screen, "victim0") and row(screen, "victim1"), "both")
    screen.filter.field.setText("victim")
    await until(lambda: len(screen.open.rows()) == 2, "the filter")
    screen.open.view.selectAll()
    screen._close()
    asked = await until(lambda: dialog(ConfirmDialog), "the question")
    assert asked.heading.text() == "Close 2 connections?"
    asked.verb_button.click()
    await until(lambda: all(victim.is_closed for victim in victims), "the end of both")


async def test_production_asks_for_the_name_and_the_console_spares_itself(
    start: Start, server: ServerProcess, connect: Callable[..., Awaitable[Client]], until: Until
) -> None:
    victim = await connect(server, user="b", password="b", name="victim")
    screen = await start(environment=Environment.PRODUCTION)
    own = next(one for one in screen.open.rows() if screen._reader.is_own(one.key))
    screen.open.select_key(own.key)
    refused = next(one for one in screen.keyed_commands() if one.shortcut == "Del")
    assert not refused.enabled
    assert "own connection" in refused.reason
    await choose(screen, "victim", until)
    screen._close()
    asked = await until(lambda: dialog(ConfirmDialog), "the question")
    field = asked.findChild(QLineEdit)
    assert field is not None
    assert not asked.verb_button.isEnabled()
    field.setText("victim")
    assert asked.verb_button.isEnabled()
    asked.verb_button.click()
    await until(lambda: victim.is_closed, "the end of the client")


async def test_read_only_looks_and_does_not_touch(
    start: Start, server: ServerProcess, connect: Callable[..., Awaitable[Client]], until: Until
) -> None:
    await connect(server, user="b", password="b", name="spared")
    screen = await start(read_only=True)
    await choose(screen, "spared", until)
    commands = {one.shortcut: one for one in screen.keyed_commands()}
    assert not commands["Del"].enabled
    assert not commands["M"].enabled
    assert "read-only" in commands["Del"].reason


async def test_an_ordinary_account_is_told_what_it_does_not_see(
    start: Start, server: ServerProcess, connect: Callable[..., Awaitable[Client]], until: Until, qtbot: QtBot
) -> None:
    await connect(server, user="b", password="b", name="foreign")
    screen = await start(system=False)
    assert {one.account for one in screen.open.rows()} == {"A"}
    await until(lambda: not screen.lacking.isHidden(), "the hint")
    assert "account A only" in screen.lacking.text()
    window = screen.context.shell
    qtbot.mouseClick(screen.lacking.button(), Qt.MouseButton.LeftButton)
    asked = await until(lambda: dialog(SystemLoginDialog), "the field")
    asked.user.setText("sys")
    asked.password.setText("sys")
    qtbot.mouseClick(asked.verb_button, Qt.MouseButton.LeftButton)

    def shown() -> ClientsScreen | None:
        found = window.current_workspace().current_screen
        return found if isinstance(found, ClientsScreen) and found is not screen else None

    again = await until(shown, "the page, anew")
    await until(lambda: row(again, "foreign"), "the other account's client")


async def test_without_permission_the_rail_says_so_and_the_login_is_asked_for_right_there(
    server: ServerProcess, open_window: Callable[..., Awaitable[app.Program]], until: Until
) -> None:
    program = await open_window()
    window = program.window
    profile = ConnectionProfile(name="blind", urls=(server.url,), credentials=login("blind"))
    workspace = await window.open_profile(profile, Route("overview"))
    item = window.rail.items["clients"]
    await until(lambda: item.reason, "the dimmed item")
    assert "needs the system account" in item.reason
    workspace.navigate(Route("clients"))
    empty = workspace._unavailable
    assert empty.isVisible()
    assert empty.buttons()[0].text() == "Add its login"
    empty.buttons()[0].click()
    asked = await until(lambda: dialog(SystemLoginDialog), "the field")
    asked.user.setText("sys")
    asked.password.setText("sys")
    asked.verb_button.click()

    def shown() -> Any:
        found = window.current_workspace().current_screen
        return found if isinstance(found, ClientsScreen) and found.open.rows() else None

    await until(shown, "the page")


async def test_the_local_broker_just_works(program: app.Program, until: Until) -> None:
    choice = BrokerChoice(port=0, persistent=False, sample_traffic=False)
    await program.window.start_local_broker(choice)
    workspace = program.window.current_workspace()
    assert workspace.connection is not None
    assert workspace.connection.profile.id == LOCAL_ID
    workspace.navigate(Route("clients"))
    screen = workspace.current_screen
    assert isinstance(screen, ClientsScreen)
    await until(lambda: len(screen.open.rows()) >= 2, "both of the console's connections")
    assert screen._reader.sees_all
    assert screen.lacking.isHidden()
    assert {one.account for one in screen.open.rows()} >= {"$SYS", "$G"}


async def test_nothing_is_asked_while_nobody_looks(start: Start, until: Until) -> None:
    screen = await start()
    reader = screen._reader
    screen.context.navigate(Route("overview"))
    await until(lambda: reader._task is None, "the end of the questions")
    assert reader._wants == {}
    screen.context.navigate(Route("clients"))
    await until(lambda: reader._task is not None, "questions again")
    screen.resize(700, 700)
    assert screen.split.orientation() is Qt.Orientation.Vertical
    screen.resize(1200, 700)
    assert screen.split.orientation() is Qt.Orientation.Horizontal
