"""Steering a real cluster of five servers from the window: moves, members, servers, leaders."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.js.api import ConsumerConfig, Placement
from nats.js.errors import NoStreamResponseError
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QComboBox, QDialog, QLineEdit, QPushButton
from pytestqt.qtbot import QtBot

from memphis_desktop import app
from memphis_desktop.cluster import actions
from memphis_desktop.cluster.failures import ReadOnlyConnection
from memphis_desktop.cluster.raft.groups import consumer_key, stream_key
from memphis_desktop.cluster.raft.model import META, GroupKey, PeerStatus, Presence, Quorum, RaftGroup
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens.cluster.action_dialog import ActionDialog
from memphis_desktop.ui.screens.cluster.refusals import UNDER_WAY
from memphis_desktop.ui.screens.cluster.screen import ClusterScreen
from tests.tagged_cluster import TAGS, TaggedCluster

Until = Callable[..., Awaitable[Any]]
Start = Callable[..., Awaitable[ClusterScreen]]
ORDERS = stream_key("orders")
ZONE_A, ZONE_B = {"n1", "n2", "n3"}, {"n3", "n4", "n5"}


@pytest.fixture
def five(tmp_path: Path) -> Iterator[TaggedCluster]:
    """Five servers in two zones."""
    cluster = TaggedCluster(tmp_path / "five")
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest_asyncio.fixture
async def client(five: TaggedCluster, connect: Callable[..., Awaitable[Client]]) -> AsyncIterator[Client]:
    """`orders` with three copies in zone a and its group `billing`; the client is on n3, in both zones."""
    nats = await connect(five.servers["n3"], allow_reconnect=True, max_reconnect_attempts=-1)
    stream = nats.jetstream(timeout=30)
    await stream.add_stream(
        name="orders", subjects=["orders.>"], num_replicas=3, placement=Placement(tags=["zone:a"])
    )
    await stream.add_consumer("orders", ConsumerConfig(durable_name="billing", ack_policy="explicit"))
    for number in range(20):
        while True:
            with contextlib.suppress(NoStreamResponseError):  # the server of this client has not heard of it
                await stream.publish("orders.new", str(number).encode())
                break
            await asyncio.sleep(0.05)  # asks again; the fixture's own time limit is what counts
    yield nats


@pytest_asyncio.fixture
async def start(
    client: Client,
    five: TaggedCluster,
    open_window: Callable[..., Awaitable[app.Program]],
    until: Until,
) -> Start:
    """Open the window on the cluster's page, connected to n3 first, everything current."""

    async def open_(tab: str = "groups", **changes: Any) -> ClusterScreen:
        program = await open_window()
        profile = replace(five.profile(), urls=(five.servers["n3"].url, *five.urls), **changes)
        await program.window.open_profile(profile, Route("cluster", {"tab": tab}))
        screen = program.window.current_workspace().current_screen
        assert isinstance(screen, ClusterScreen)
        await until(lambda: len(screen.context.session.snapshot.raft.servers) == len(TAGS), "five servers")
        await until(lambda: (g := group(screen)) and g.all_current, "orders, current")
        await until(lambda: (g := group(screen, META)) and g.all_current, "the meta group, current")
        return screen

    return open_


def group(screen: ClusterScreen, key: GroupKey = ORDERS) -> RaftGroup | None:
    """A group as the page has it."""
    return next((one for one in screen._groups if one.key == key), None)


def members(screen: ClusterScreen, key: GroupKey = ORDERS) -> set[str]:
    """The members of a group as the page has it."""
    found = group(screen, key)
    return {peer.server for peer in found.peers} if found is not None else set()


async def choose(screen: ClusterScreen, key: GroupKey, until: Until) -> None:
    """Put the cursor on a group."""
    screen.groups.select(key)
    await until(lambda: (g := screen.groups.detail.group) and g.key == key, f"{key.label} beside the matrix")


async def press(button: QPushButton, qtbot: QtBot, until: Until) -> ActionDialog:
    """Press a button that asks first, and give its dialog."""
    await until(button.isEnabled, f"{button.text()}: {button.toolTip()}")
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    return cast(ActionDialog, await until(lambda: dialog(), "the dialog"))


def dialog() -> ActionDialog | None:
    """The dialog that is open."""
    return next(
        (w for w in QApplication.topLevelWidgets() if isinstance(w, ActionDialog) and w.isVisible()), None
    )


async def go_on(asked: ActionDialog, qtbot: QtBot, until: Until) -> None:
    """Press the verb, and wait until the dialog is gone."""
    assert asked.verb_button.isEnabled(), asked.error.text()
    qtbot.mouseClick(asked.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: dialog() is None, "no dialog")


def combo(asked: ActionDialog, name: str) -> QComboBox:
    """A choice of the dialog by its name."""
    return next(box for box in asked.findChildren(QComboBox) if box.accessibleName() == name)


def toasts(screen: ClusterScreen) -> list[str]:
    """What went wrong, as the activity has it."""
    return [one.problem for one in screen.context.shell.activity.entries() if one.problem]


@pytest.mark.slow
async def test_a_station_is_moved_by_tags_and_a_move_is_cancelled(
    start: Start, five: TaggedCluster, client: Client, until: Until, qtbot: QtBot
) -> None:
    screen = await start()
    assert members(screen) == ZONE_A
    await choose(screen, ORDERS, until)
    detail = screen.groups.detail
    if group(screen, META).leader in ("n4", "n5"):  # it is asked while those two hang
        await actions.step_down_meta("n3").run(screen.context.session)
        await until(lambda: group(screen, META).leader in ZONE_A, "a meta leader that stays")
    for name in ("n4", "n5"):
        five.servers[name].send_signal(signal.SIGSTOP)  # so that nothing can be copied there

    asked = await press(detail.move_button, qtbot, until)
    tags = asked.findChildren(QLineEdit)[0]
    tags.setText("zone:nowhere")
    assert "No server has the tag" in asked.error.text()
    tags.setText("zone:a")
    assert "already" in asked.error.text()
    await until(lambda: screen.context.session.snapshot.raft.gone == {"n4", "n5"}, "two silent servers")
    tags.setText("zone:b")
    assert "1 server there and fitting" in asked.error.text()
    asked.reject()
    await until(lambda: dialog() is None, "no dialog")

    # The servers do not know yet that two of them hang: someone else moves it.
    stream = client.jetstream(timeout=30)
    config = (await stream.stream_info("orders")).config
    await stream.update_stream(config, placement=Placement(tags=["zone:b"]))
    await until(lambda: group(screen).moving, "on its way")
    await until(lambda: set(group(screen).destination) == ZONE_B, "where to")
    facts = detail.facts
    await until(lambda: facts.values().get("Moving to") == "n3, n4, n5", "where to, as shown")
    assert detail.move_button.text() == "Cancel move"
    for button in (detail.scale_button, detail.remove_button):
        assert not button.isEnabled()
        assert button.toolTip() == UNDER_WAY
    asked = await press(detail.move_button, qtbot, until)
    assert "$JS.API.STREAM.CANCEL_MOVE.orders" in asked._command.text()
    await go_on(asked, qtbot, until)
    await until(lambda: not group(screen).moving and members(screen) == ZONE_A, "back where it was")
    await until(lambda: detail.move_button.text() == "Move", "the button")
    for name in ("n4", "n5"):
        five.servers[name].send_signal(signal.SIGCONT)
    await until(lambda: not screen.context.session.snapshot.raft.gone, "all there")

    asked = await press(detail.move_button, qtbot, until)
    asked.findChildren(QLineEdit)[0].setText("zone:b")
    assert "n3, n4, n5" in asked.sentence.text()
    assert "--tag=zone:b" in asked._command.text()
    await go_on(asked, qtbot, until)
    await until(
        lambda: not group(screen).moving and members(screen) == ZONE_B and group(screen).all_current, "moved"
    )
    billing = consumer_key("orders", "billing")
    await until(lambda: members(screen, billing) == ZONE_B, "its group, too")
    assert (await stream.stream_info("orders")).state.messages == 20
    assert not toasts(screen)


async def test_a_member_is_evacuated_and_one_that_is_gone_replaced(
    start: Start, five: TaggedCluster, client: Client, until: Until, qtbot: QtBot
) -> None:
    stream = client.jetstream(timeout=30)
    await stream.update_stream((await stream.stream_info("orders")).config, placement=Placement())
    screen = await start()
    await choose(screen, ORDERS, until)
    detail = screen.groups.detail
    leader = group(screen).leader

    asked = await press(detail.remove_button, qtbot, until)
    combo(asked, "Member").setCurrentIndex(combo(asked, "Member").findData(leader))
    assert "All copies are kept meanwhile" in asked.sentence.text()
    assert "'$JS.API.STREAM.PEER.EVACUATE.orders'" in asked._command.text()
    combo(asked, "How").setCurrentIndex(1)
    assert "peer-remove orders" in asked._command.text()
    assert "It leads now" in asked.sentence.text()
    combo(asked, "How").setCurrentIndex(0)
    await go_on(asked, qtbot, until)
    await until(
        lambda: leader not in members(screen) and group(screen).all_current and not group(screen).moving,
        "another in its place",
    )
    assert group(screen).size == 3

    away = next(p.server for p in group(screen).peers if p.server not in ("n3", group(screen).leader))
    await asyncio.to_thread(five.servers[away].kill)
    await until(lambda: (p := group(screen).on(away)) and p.status is PeerStatus.OFFLINE, "one gone")
    asked = await press(detail.remove_button, qtbot, until)
    assert combo(asked, "Member").currentData() == away
    assert combo(asked, "How").currentText() == "Remove at once"
    await go_on(asked, qtbot, until)
    await until(
        lambda: away not in members(screen) and group(screen).all_current and group(screen).size == 3,
        "three copies again",
    )
    assert (await stream.stream_info("orders")).state.messages == 20
    assert not toasts(screen)


async def test_a_server_is_evacuated_and_removed_from_the_cluster(
    start: Start, five: TaggedCluster, client: Client, until: Until
) -> None:
    stream = client.jetstream(timeout=30)
    await stream.update_stream((await stream.stream_info("orders")).config, placement=Placement())
    screen = await start("servers")
    table = screen.servers.table
    await until(lambda: len(table.rows()) == len(TAGS), "five rows")
    away = "n1" if group(screen).on("n1") else "n2"

    def command(text: str) -> Any:
        rows = [row for row in table.rows() if row.server.name == away]
        return next((one for one in screen._server_commands(rows) if one.title == text), None)

    async def carry_out(text: str) -> None:
        await until(lambda: (one := command(text)) and one.enabled, text)
        command(text).callback()
        asked = await until(lambda: dialog(), "the dialog")
        assert away in asked._command.text()
        asked.verb_button.click()
        await until(lambda: dialog() is None, "no dialog")

    assert command("Remove it from the cluster") is None  # it is there
    await carry_out("Evacuate it")
    await until(
        lambda: away not in members(screen) and group(screen).size == 3 and group(screen).all_current,
        "nothing left on it",
    )
    await asyncio.to_thread(five.servers[away].stop)
    await until(lambda: away in screen.context.session.snapshot.raft.gone, "it is gone")
    await carry_out("Remove it from the cluster")
    await until(lambda: away not in screen.context.session.snapshot.raft.servers, "four servers")
    assert screen.context.session.snapshot.raft.meta.size == 4
    await until(lambda: group(screen, META).all_current, "a healthy meta group")
    assert [row.server.name for row in table.rows()] == sorted(set(TAGS) - {away})
    assert not toasts(screen)


async def test_the_meta_leader_steps_down_in_favour_of_another(
    start: Start, until: Until, qtbot: QtBot
) -> None:
    screen = await start()
    await choose(screen, META, until)
    before = group(screen, META).leader
    asked = await press(screen.groups.detail.step_down_button, qtbot, until)
    wanted = next(name for name in TAGS if name != before)
    combo(asked, "New leader").setCurrentIndex(combo(asked, "New leader").findData(wanted))
    assert "$JS.API.META.LEADER.STEPDOWN" in asked._command.text()
    await go_on(asked, qtbot, until)
    await until(lambda: group(screen, META).leader == wanted, f"{wanted} as the meta leader")
    assert not toasts(screen)


async def test_read_only_refuses_every_way_of_steering(
    start: Start, five: TaggedCluster, until: Until
) -> None:
    screen = await start(read_only=True)
    session = screen.context.session
    await choose(screen, ORDERS, until)
    detail = screen.groups.detail
    shown = (detail.step_down_button, detail.scale_button, detail.move_button, detail.remove_button)
    for button in (*shown, screen.balance_button):
        assert not button.isEnabled()
        assert button.toolTip() == "This connection is read-only."
    await session.raft.wait_ready()
    config = dict(session.snapshot.streams["orders"].config)
    for action in (
        actions.step_down("orders", preferred="n1"),
        actions.step_down("orders", "billing"),
        actions.step_down_meta("n1"),
        actions.remove_peer("orders", "n1"),
        actions.evacuate_peer("orders", "n1"),
        actions.evacuate_server("n1", ""),
        actions.remove_server("n5", ""),
        actions.scale_stream(config, 1),
        actions.move_stream(config, "", ["zone:b"]),
        actions.cancel_move("orders"),
        actions.cancel_move("orders", "$G"),
    ):
        with pytest.raises(ReadOnlyConnection):
            await action.run(session)
        ask = session.system_api if action.system else session.api
        with pytest.raises(ReadOnlyConnection):  # the client itself refuses, whoever asks
            await ask(action.suffix, action.body)
    assert group(screen).quorum is Quorum.HELD
    assert members(screen) == ZONE_A
    servers = session.snapshot.raft.servers.values()
    assert {server.presence for server in servers} == {Presence.HERE}
    assert not [w for w in QApplication.topLevelWidgets() if isinstance(w, QDialog) and w.isVisible()]
