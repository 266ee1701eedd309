"""The window as a user meets it: first run, tabs, rail, palette, history, failures told inline."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from memphis_desktop.app import Program
from memphis_desktop.cluster.model import ConnectionState
from memphis_desktop.cluster.profiles import ConnectionProfile, Environment, profile_for
from memphis_desktop.local_broker import LocalBroker
from memphis_desktop.server_process import ServerProcess
from memphis_desktop.ui.broker_control import BrokerChoice, BrokerState
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens import registry
from memphis_desktop.ui.screens.home.first_run import FirstRun
from memphis_desktop.ui.shell import palette_entries, staleness
from memphis_desktop.ui.shell.connection import LOCAL_ID
from memphis_desktop.ui.shell.palette import ACTION, OBJECT, PLACE, Entry, rank, score
from memphis_desktop.ui.shell.workspace import Workspace

Until = Callable[..., Awaitable[Any]]


def first_run(program: Program) -> FirstRun:
    screen = program.window.workspaces()[0].current_screen
    found = screen.findChild(FirstRun) if screen is not None else None
    assert found is not None
    return found


async def test_enter_starts_a_broker_and_shows_it(program: Program, until: Until, qtbot: QtBot) -> None:
    cards = first_run(program)
    cards.samples.setChecked(False)
    cards.forget.setChecked(True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    cards.start_broker(port)
    await until(lambda: program.broker.state is BrokerState.RUNNING, "the broker")
    workspace = await until(
        lambda: next((w for w in program.window.workspaces() if w.connection is not None), None), "its tab"
    )
    assert workspace.connection.snapshot.state is ConnectionState.CONNECTED
    assert program.window.top_bar.badge._text == "LOCAL"


async def test_a_taken_port_is_told_and_the_next_is_offered(
    program: Program, until: Until, qtbot: QtBot
) -> None:
    cards = first_run(program)
    cards.samples.setChecked(False)
    cards.forget.setChecked(True)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        cards.start_broker(port)
        await until(lambda: not cards.broker_card.banner.isHidden(), "the failure")
        assert f"{port}" in cards.broker_card.banner.text()
        button = cards.broker_card.banner.button()
        assert button.text().startswith("Start on ")
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        await until(lambda: program.broker.state is BrokerState.RUNNING, "the broker on the next port")


async def test_a_server_that_is_not_there_is_told_in_the_card(program: Program, until: Until) -> None:
    cards = first_run(program)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    cards.url.setText(f"127.0.0.1:{port}")
    cards.connect_url()
    await until(lambda: not cards.connect_card.banner.isHidden(), "the failure")
    assert "Nothing listens" in cards.connect_card.banner.text()
    assert cards.connect_card.isEnabled()
    assert len(program.window.workspaces()) == 1
    assert program.window.profiles.load() == []


async def test_connecting_opens_a_tab_and_keeps_the_profile(
    program: Program, nats_server: ServerProcess, until: Until
) -> None:
    cards = first_run(program)
    cards.url.setText(nats_server.url)
    cards.connect_url()
    await until(lambda: len(program.window.workspaces()) == 2, "the tab")
    await until(lambda: program.window.profiles.load(), "the profile")
    program.window.close_tab()
    await until(lambda: len(program.window.workspaces()) == 1, "the tab to close")


async def test_a_wrong_password_asks_for_credentials(
    program: Program, start_nats_server: Callable[..., ServerProcess], until: Until
) -> None:
    server = start_nats_server(arguments=["--user", "ada", "--pass", "right"])
    cards = first_run(program)
    wanted: list[ConnectionProfile] = []
    cards.credentials_wanted.connect(wanted.append)
    cards.url.setText(server.url.replace("nats://", "nats://ada:wrong@"))
    cards.connect_url()
    await until(lambda: not cards.connect_card.banner.isHidden(), "the failure")
    assert "wrong" not in cards.connect_card.banner.text()
    assert cards.connect_card.banner.button().text() == "Add credentials"


async def test_two_tabs_share_a_connection_and_production_is_loud(
    program: Program, nats_server: ServerProcess, until: Until
) -> None:
    window = program.window
    profile = ConnectionProfile(
        name="prod-eu", urls=(nats_server.url,), environment=Environment.PRODUCTION, read_only=True
    )
    await window.open_profile(profile)
    await window.open_profile(profile, new_tab=True)
    assert len(window.workspaces()) == 3
    assert window.workspaces()[1].connection is window.workspaces()[2].connection
    assert window.strip._text == "PRODUCTION   ·   prod-eu   ·   READ-ONLY"
    assert window.strip.height() > 10
    await window.close_profile(profile.id)
    assert len(window.workspaces()) == 1


def greyed(workspace: Workspace) -> list[Any]:
    return [age for age in workspace._ages._told.values() if age.isVisible()]


async def test_a_lost_server_shows_a_banner_until_it_is_back(
    program: Program, nats_server: ServerProcess, until: Until
) -> None:
    profile = ConnectionProfile(name="near", urls=(nats_server.url,))
    workspace = await program.window.open_profile(profile)
    await until(lambda: workspace.connection.snapshot.read_at.get("streams"), "the first round")
    nats_server.kill()
    await until(lambda: not workspace._banner_holder.isHidden(), "the banner")
    assert "What you see is" in workspace._banner.text()
    await until(lambda: greyed(workspace), "grey panels")
    nats_server.restart()
    await until(lambda: workspace._banner_holder.isHidden(), "the banner to go")
    assert not greyed(workspace)


async def test_trying_can_be_stopped_and_begun_again(
    program: Program, nats_server: ServerProcess, until: Until
) -> None:
    workspace = await program.window.open_profile(ConnectionProfile(name="near", urls=(nats_server.url,)))
    nats_server.kill()
    button = workspace._banner.button()
    await until(lambda: button.text() == "Stop trying" and not button.isHidden(), "the offer to stop")
    button.click()
    await until(lambda: button.text() == "Connect again", "the end of trying")
    assert workspace._banner.text().startswith("The connection is closed.")
    nats_server.start()
    button.click()
    await until(lambda: workspace._banner_holder.isHidden(), "the connection")


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this system cannot halt a process")
async def test_a_server_that_hangs_is_said_to(
    program: Program, nats_server: ServerProcess, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staleness, "STALE_SECONDS", 2.0)
    profile = ConnectionProfile(name="near", urls=(nats_server.url,), request_timeout=1.0)
    workspace = await program.window.open_profile(profile)
    await until(lambda: workspace.connection.snapshot.read_at.get("streams"), "the first round")
    nats_server.send_signal(signal.SIGSTOP)
    try:
        silent = "The server does not answer."
        await until(lambda: workspace._banner.text().startswith(silent), "what happened")
        await until(lambda: len(greyed(workspace)) > 5, "the age of each panel")
        assert all(age.age.text().endswith(" s old") for age in greyed(workspace))
    finally:
        nats_server.send_signal(signal.SIGCONT)
    await until(lambda: not greyed(workspace), "the present")


async def test_one_panel_is_old_and_the_others_are_the_present(
    program: Program, nats_server: ServerProcess, until: Until
) -> None:
    workspace = await program.window.open_profile(ConnectionProfile(name="near", urls=(nats_server.url,)))
    await until(lambda: workspace.connection.snapshot.complete, "the first round")
    screen = workspace.current_screen
    ages = staleness.PanelAges()
    stale = staleness.Staleness(
        "warning",
        "Groups cannot be read.",
        parts=frozenset({"consumers"}),
        ages={"consumers": 42.0},
        reasons={"consumers": "Refused."},
    )
    assert ages.show(screen, stale)
    told = {panel: age for panel, age in ages._told.items() if age.isVisible()}
    [board] = [panel for panel in told if panel.isAncestorOf(screen.lag_board)]
    assert screen.graph not in told
    [text] = {age.age.text() for age in told.values()}
    assert text == "42 s old"
    assert board.accessibleDescription() == "42 s old. Refused."
    ages.show(screen, None)
    assert not any(age.isVisible() for age in ages._told.values())


async def test_a_failing_coroutine_is_told_once(program: Program, until: Until) -> None:
    async def fail() -> None:
        raise OSError("the disk is full")

    context = program.window.current_workspace().context
    for _ in range(3):
        context.run(fail(), "export the messages")
    await until(lambda: program.window.toasts.texts(), "the toast")
    await asyncio.sleep(0)
    assert program.window.toasts.texts() == ["Could not export the messages. The disk is full."]


async def test_the_local_broker_can_be_started_again(program: Program, until: Until) -> None:
    window = program.window
    await window.start_local_broker(BrokerChoice(0, persistent=False, sample_traffic=False))
    await program.broker.stop()
    await window.start_local_broker(BrokerChoice(0, persistent=False, sample_traffic=False))
    local = [w for w in window.workspaces() if w.connection is not None]
    assert len(local) == 1


async def test_palette_opens_with_the_keyboard(program: Program, qtbot: QtBot, until: Until) -> None:
    window = program.window
    window.activateWindow()
    window.command_palette.open()
    qtbot.keyClicks(window.command_palette.field, "> shortc")
    assert window.command_palette.model.entries[0].title == "Keyboard shortcuts"
    qtbot.keyClick(window.command_palette.field, Qt.Key.Key_Escape)
    assert not window.command_palette.isVisible()


async def test_a_place_that_is_gone_is_told(program: Program) -> None:
    program.window.navigate(Route("nowhere"))
    assert "no longer exists" in program.window.toasts.texts()[0]


def test_ranking_prefers_beginnings_and_recent() -> None:
    entries = [
        Entry("1", OBJECT, "sample-orders", lambda: None),
        Entry("2", OBJECT, "orders", lambda: None),
        Entry("3", ACTION, "Reorder columns", lambda: None),
        Entry("4", PLACE, "Overview", lambda: None),
    ]
    assert [entry.key for entry in rank(entries, "orders", [])] == ["2", "1", "3"]
    assert [entry.key for entry in rank(entries, "@", [])] == ["1", "2"]
    assert [entry.key for entry in rank(entries, ">order", [])] == ["3"]
    assert rank(entries, "", ["3"])[0].key == "3"
    assert [entry.key for entry in rank(entries, "smord", [])] == ["1"]
    assert [entry.key for entry in rank(entries, "orders sample", [])] == ["1"]


@pytest.mark.parametrize(("query", "title"), [("xyz", "orders"), ("sredro", "orders")])
def test_what_does_not_match_is_left_out(query: str, title: str) -> None:
    assert score(query, title) is None


@pytest.mark.parametrize(
    ("typed", "urls", "environment"),
    [
        ("localhost", ("nats://localhost",), Environment.LOCAL),
        ("tls://a:4222, b:4223", ("tls://a:4222", "nats://b:4223"), Environment.DEVELOPMENT),
    ],
)
def test_what_is_typed_becomes_a_profile(typed: str, urls: tuple[str, ...], environment: Environment) -> None:
    profile = profile_for(typed)
    assert (profile.urls, profile.environment) == (urls, environment)


async def test_a_data_folder_in_use_is_told_and_a_temporary_broker_offered(
    program: Program, until: Until, qtbot: QtBot
) -> None:
    other = LocalBroker()
    await other.start(BrokerChoice(0, persistent=True, sample_traffic=False))
    try:
        cards = first_run(program)
        cards.samples.setChecked(False)
        cards.start_broker(0)
        await until(lambda: not cards.broker_card.banner.isHidden(), "the failure")
        assert "Another copy" in cards.broker_card.banner.text()
        qtbot.mouseClick(cards.broker_card.banner.button(), Qt.MouseButton.LeftButton)
        await until(lambda: program.broker.state is BrokerState.RUNNING, "the temporary broker")
        assert program.broker.data_folder is None
    finally:
        await other.stop()


async def test_a_place_without_connection_says_so_and_leads_home(program: Program, qtbot: QtBot) -> None:
    window = program.window
    window.navigate(Route("stations"))  # from Home there is no connection to show
    workspace = window.current_workspace()
    assert workspace.current_screen is None
    assert "needs one" in workspace._unavailable.sentence()
    qtbot.mouseClick(workspace._unavailable._button, Qt.MouseButton.LeftButton)
    assert workspace.route == Route("home")


async def test_the_palette_leads_to_servers(program: Program, qtbot: QtBot, until: Until) -> None:
    window = program.window
    await window.start_local_broker(BrokerChoice(0, persistent=False, sample_traffic=False))
    connection = window.connection(LOCAL_ID)
    [name] = await until(lambda: list(connection.snapshot.raft.servers), "the server")
    window.command_palette.open("@server " + name[:6])
    entry = window.command_palette.model.entries[0]
    assert (entry.title, entry.key) == (name, f"server:{name}")
    qtbot.keyClick(window.command_palette.field, Qt.Key.Key_Return)
    route = Route("cluster", {"tab": "servers", "server": name})
    assert window.current_workspace().route == route
    screen = window.current_workspace().current_screen
    assert screen.tab == "servers"
    # A single server has no list of its own: put one there, as a cluster has it.
    raft = connection.snapshot.raft
    other = replace(raft.servers[name], name="other")
    servers = {"other": other, name: raft.servers[name]}
    screen.servers.show_snapshot(replace(connection.snapshot, raft=replace(raft, servers=servers)), ())
    assert screen.servers.table.current_row().server.name == name


async def test_the_palette_leads_to_buckets_once_there_are_pages_of_them(
    program: Program, monkeypatch: pytest.MonkeyPatch, until: Until
) -> None:
    window = program.window
    await window.start_local_broker(BrokerChoice(0, persistent=False, sample_traffic=False))
    connection = window.connection(LOCAL_ID)
    stream = await until(
        lambda: next((one for one in connection.snapshot.streams if one.startswith("KV_")), None), "a bucket"
    )
    entry = registry.find("overview")
    monkeypatch.setattr(registry, "find", lambda name: entry)
    found = {one.key for one in palette_entries.collect(window)}
    assert f"bucket:{stream.removeprefix('KV_')}" in found
    assert f"station:{stream}" in found
    monkeypatch.setattr(registry, "find", lambda name: None)
    assert not any(one.key.startswith("bucket:") for one in palette_entries.collect(window))
