"""The cluster's page on a real cluster of three servers, used as a person would."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.js.api import ConsumerConfig
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QComboBox, QDialog, QLabel
from pytestqt.qtbot import QtBot

from memphis_desktop import app
from memphis_desktop.cluster.lab import LocalCluster
from memphis_desktop.cluster.lab.layout import NODE_NAMES
from memphis_desktop.cluster.lab.local import can_isolate
from memphis_desktop.cluster.model import ConnectionState
from memphis_desktop.cluster.profiles import ConnectionProfile, CredentialKind, Credentials, Environment
from memphis_desktop.cluster.raft.groups import stream_key
from memphis_desktop.cluster.raft.model import META, PeerStatus, Quorum, RaftGroup
from memphis_desktop.cluster.raft.timeline import EventKind
from memphis_desktop.cluster.session import Session
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens.cluster.balance import BalanceDialog
from memphis_desktop.ui.screens.cluster.screen import ClusterScreen
from memphis_desktop.ui.screens.cluster.steering import ActionDialog
from tests.conftest import Starter

Until = Callable[..., Awaitable[Any]]
Start = Callable[..., Awaitable[ClusterScreen]]
D = TypeVar("D", bound=QDialog)


@pytest_asyncio.fixture
async def client(
    three_node_cluster: LocalCluster, connect: Callable[..., Awaitable[Client]]
) -> AsyncIterator[Client]:
    """A client with a replicated station `orders` and its group `billing`, and `audit` with one copy."""
    nats = await connect(
        three_node_cluster.urls[0],
        allow_reconnect=True,
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.2,
    )
    stream = nats.jetstream(timeout=30)
    await stream.add_stream(name="orders", subjects=["orders.>"], num_replicas=3)
    await stream.add_stream(name="audit", subjects=["audit.>"], num_replicas=1)
    await stream.add_consumer("orders", ConsumerConfig(durable_name="billing", ack_policy="explicit"))
    for number in range(20):
        await stream.publish("orders.new", str(number).encode())
    yield nats


@pytest_asyncio.fixture
async def start(
    client: Client,
    three_node_cluster: LocalCluster,
    open_window: Callable[..., Awaitable[app.Program]],
    until: Until,
) -> Start:
    """Open the window on the cluster's page: ``screen = await start(tab, **changes of the profile)``."""

    async def open_(tab: str = "groups", **changes: Any) -> ClusterScreen:
        program = await open_window()
        profile: ConnectionProfile = replace(three_node_cluster.profile(), **changes)
        await program.window.open_profile(profile, Route("cluster", {"tab": tab}))
        screen = program.window.current_workspace().current_screen
        assert isinstance(screen, ClusterScreen)
        await until(lambda: len(screen.context.session.snapshot.raft.servers) == 3, "three servers")
        await until(lambda: group(screen, "orders"), "the group of orders")
        return screen

    return open_


def group(screen: ClusterScreen, name: str) -> RaftGroup | None:
    """The group of a station as the page has it."""
    return next((one for one in screen._groups if one.key == stream_key(name)), None)


def leader(screen: ClusterScreen, name: str = "orders") -> str:
    """Who leads a station, as shown."""
    found = group(screen, name)
    return found.leader if found is not None else ""


def dialog(kind: type[D]) -> D | None:
    """The dialog of a kind that is open."""
    return next(
        (one for one in QApplication.topLevelWidgets() if isinstance(one, kind) and one.isVisible()), None
    )


async def test_servers_and_groups_are_shown_as_they_are(start: Start, until: Until) -> None:
    screen = await start("servers")
    table = screen.servers.table
    await until(lambda: len(table.rows()) == 3, "three rows")
    await until(lambda: all(row.server.memory for row in table.rows()), "the servers' own figures")
    assert [row.server.name for row in table.rows()] == ["n1", "n2", "n3"]
    await until(lambda: sum(row.meta_leader for row in table.rows()) == 1, "one crown")
    await until(lambda: all(row.server.health == "ok" for row in table.rows()), "healthy servers")
    await until(lambda: sum(row.held[1] for row in table.rows()) == 2, "leaders of both stations")
    assert not {"groups", "timeline", "links"} & vars(screen).keys()  # made when they are looked at

    screen.tab_bar.setCurrentIndex(1)

    def labels() -> list[str]:
        return [row.key.label for row in screen.groups.table.rows()]

    await until(lambda: labels() == ["Meta group", "orders", "orders › billing"], "all groups")
    matrix = screen.groups.table
    assert [column.title for column in matrix.model.columns[3:6]] == ["n1", "n2", "n3"]
    matrix.sort_by("name", True)
    assert matrix.rows()[0].key == META  # pinned
    screen.groups.filter.set_chips(set())
    assert "audit" in [g.key.label for g in matrix.rows()]
    screen.groups.filter.set_chips({"trouble"})
    assert [g.key.label for g in matrix.rows()] == ["Meta group"]
    screen.groups.filter.set_chips({"replicated"})

    screen.groups.select(stream_key("orders"))
    facts = screen.groups.detail.facts
    await until(lambda: "Term" in facts.values(), "what Raft itself says")
    assert facts.values()["Quorum"] == "3 of 3, 2 needed"
    assert int(facts.values()["Committed"].replace("\u202f", "").replace("\u2009", "")) >= 20
    members = screen.groups.detail.members.rows()
    assert members[0].peer.server == leader(screen)
    assert all(row.node is not None for row in members)

    screen.tab_bar.setCurrentIndex(3)
    await until(lambda: len(screen.links.table.rows()) >= 6, "routes")
    assert {link.remote for link in screen.links.table.rows()} == {"n1", "n2", "n3"}
    next(one for one in screen.commands() if one.shortcut == "G").callback()
    assert screen.links.pages.currentWidget() is screen.links.map
    await until(lambda: all(edge.bytes_rate is not None for edge in screen.links.map.edges()), "rates")
    shown = [(edge.ends, edge.kind) for edge in screen.links.map.edges()]
    assert shown == [(ends, "route") for ends in (("n1", "n2"), ("n1", "n3"), ("n2", "n3"))]
    assert "n1 – n2" in screen.links.map.accessibleDescription()
    assert not screen.links.map.grab().isNull()


async def test_a_leader_is_asked_to_step_down_in_favour_of_another(
    start: Start, until: Until, qtbot: QtBot
) -> None:
    screen = await start()
    screen.groups.select(stream_key("orders"))
    before = leader(screen)
    detail = screen.groups.detail
    await until(lambda: detail.step_down_button.isEnabled(), "the button")
    qtbot.mouseClick(detail.step_down_button, Qt.MouseButton.LeftButton)
    asked = await until(lambda: dialog(ActionDialog), "the dialog")
    choice = asked.findChild(QComboBox)
    assert choice is not None
    wanted = next(name for name in ("n1", "n2", "n3") if name != before)
    choice.setCurrentIndex(choice.findData(wanted))
    assert f"--preferred={wanted}" in asked._command.text()
    assert "$JS.API.STREAM.LEADER.STEPDOWN.orders" in asked._command.text()
    assert "0.3 s" in asked.sentence.text()
    qtbot.mouseClick(asked.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: leader(screen) == wanted, f"{wanted} as the leader")
    timeline = screen.context.session.raft.timeline
    await until(lambda: timeline.latest(stream_key("orders")).leader == wanted, "the mark")
    assert timeline.latest(stream_key("orders")).kind is EventKind.ELECTED
    activity = screen.context.shell.activity.entries()
    assert activity[-1].title == "Step down leader of orders"
    assert activity[-1].body == {"placement": {"preferred": wanted}}


async def test_a_killed_leader_is_missed_at_once_and_its_successor_shown(
    start: Start, until: Until, three_node_cluster: LocalCluster, client: Client, tmp_path: Path
) -> None:
    screen = await start()
    before = leader(screen)
    clock = asyncio.get_running_loop().time
    await asyncio.to_thread(three_node_cluster.kill_node, before)
    killed = clock()
    await until(lambda: group(screen, "orders").quorum is not Quorum.HELD, "no leader")
    missed = clock() - killed
    assert not screen.trouble.isHidden()
    assert "orders" in screen.trouble.text()
    await until(lambda: leader(screen) not in ("", before), "a new leader")
    await until(lambda: group(screen, "orders").on(before).status.value == "offline", "the dead one")
    timeline = screen.context.session.raft.timeline
    kinds = [event.kind for event in timeline.events(stream_key("orders"))]
    assert kinds[-2:] == [EventKind.LEADER_LOST, EventKind.ELECTED]
    assert missed < 10.0  # two seconds on a machine that is not busy

    screen.tab_bar.setCurrentIndex(2)
    lanes = screen.timeline.lanes
    await until(lambda: stream_key("orders") in [lane.key for lane in lanes.lanes()], "its lane")

    def shown() -> list[str]:
        return [segment.leader for segment in lanes.segments(stream_key("orders"))]

    await until(lambda: shown()[-3:] == [before, "", leader(screen)], "the three stretches")
    path = tmp_path / "leaders.json"
    screen.timeline.export_to(str(path))
    exported = json.loads(path.read_text(encoding="utf-8"))
    assert {"elected", "leader lost"} <= {row["event"] for row in exported if row["stream"] == "orders"}

    await asyncio.to_thread(three_node_cluster.start_node, before)
    await until(lambda: group(screen, "orders").all_current, "all current again", 60.0)


@pytest.mark.skipif(not can_isolate(), reason="this system has no signal for it")
async def test_a_partition_is_shown_from_the_side_that_can_decide(
    start: Start,
    three_node_cluster: LocalCluster,
    until: Until,
    connect: Callable[..., Awaitable[Client]],
) -> None:
    screen = await start()
    session = screen.context.session
    await until(lambda: (g := group(screen, "orders")) and g.all_current, "orders, current")
    away = next(
        name
        for name, url in zip(NODE_NAMES, three_node_cluster.urls, strict=True)
        if url != session.server_url
    )
    client = await connect(session.server_url)
    await asyncio.to_thread(three_node_cluster.isolate_node, away)
    await until(lambda: away in session.snapshot.raft.gone, "one away")
    await until(lambda: leader(screen) not in ("", away), "a leader on this side")
    await until(lambda: group(screen, "orders").on(away).status is PeerStatus.OFFLINE, "its place")
    await client.jetstream(timeout=30).publish("orders.new", b"on this side")
    assert session.state is ConnectionState.CONNECTED
    await asyncio.to_thread(three_node_cluster.rejoin_node, away)
    await until(lambda: (g := group(screen, "orders")) and g.all_current, "all current again")
    assert not [one.problem for one in screen.context.shell.activity.entries() if one.problem]


async def test_leaders_are_balanced_step_by_step(
    start: Start, until: Until, qtbot: QtBot, client: Client
) -> None:
    stream = client.jetstream(timeout=30)
    for name in ("a", "b", "c"):
        await stream.add_stream(name=name, subjects=[f"{name}.>"], num_replicas=3)
    screen = await start()
    await until(lambda: all(leader(screen, name) for name in ("a", "b", "c")), "their leaders")
    for name in ("orders", "a", "b", "c"):  # all to one server
        if leader(screen, name) != "n1":
            body = json.dumps({"placement": {"preferred": "n1"}}).encode()
            await client.request(f"$JS.API.STREAM.LEADER.STEPDOWN.{name}", body, timeout=30)
    await until(lambda: all(leader(screen, n) == "n1" for n in ("orders", "a", "b", "c")), "one leads all")
    qtbot.mouseClick(screen.balance_button, Qt.MouseButton.LeftButton)
    asked = await until(lambda: dialog(BalanceDialog), "the plan")
    moves = len(asked.run_.steps)
    assert moves >= 2
    assert "n1" in asked.sentence.text()
    qtbot.mouseClick(asked.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: asked.run_.finished, "the end of the plan", 60.0)
    assert asked.verb_button.text() == "Close"
    assert asked.sentence.text().startswith(f"{moves} of {moves}")
    qtbot.mouseClick(asked.verb_button, Qt.MouseButton.LeftButton)
    held = [leader(screen, name) for name in ("orders", "a", "b", "c")]
    assert held.count("n1") < 4


async def test_a_station_is_scaled_and_a_member_removed(start: Start, until: Until, qtbot: QtBot) -> None:
    screen = await start()
    screen.groups.select(stream_key("orders"))
    detail = screen.groups.detail
    await until(lambda: detail.remove_button.isEnabled(), "the button")
    qtbot.mouseClick(detail.remove_button, Qt.MouseButton.LeftButton)
    asked = cast(ActionDialog, await until(lambda: dialog(ActionDialog), "the dialog"))
    assert "nats stream cluster peer-remove orders" in asked._command.text()
    assert "no spare server" in asked.sentence.text()
    asked.reject()
    await until(lambda: dialog(ActionDialog) is None, "no dialog")

    qtbot.mouseClick(detail.scale_button, Qt.MouseButton.LeftButton)
    asked = cast(ActionDialog, await until(lambda: dialog(ActionDialog), "the dialog"))
    choice = asked.findChild(QComboBox)
    assert choice is not None
    choice.setCurrentIndex(choice.findData(5))
    assert not asked.verb_button.isEnabled()  # there are three servers only
    choice.setCurrentIndex(choice.findData(1))
    assert "lost when that server is" in asked.sentence.text()
    assert '"num_replicas": 1' in asked._command.text()
    qtbot.mouseClick(asked.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: (g := group(screen, "orders")) and g.size == 1 and g.leader, "one copy")
    timeline = screen.context.session.raft.timeline
    kinds = [event.kind for event in timeline.events(stream_key("orders"))]
    await until(
        lambda: EventKind.MEMBERS in [e.kind for e in timeline.events(stream_key("orders"))],
        f"members that left among {kinds}",
    )


async def test_who_led_is_remembered_after_a_restart(
    three_node_cluster: LocalCluster, client: Client, tmp_path: Path, until: Until
) -> None:
    profile = three_node_cluster.profile()
    first = Session(profile, tmp_path)
    await first.connect()
    key = stream_key("orders")
    await until(lambda: first.raft.timeline.latest(key), "its leader")
    before = first.raft.timeline.latest(key).leader
    await client.request("$JS.API.STREAM.LEADER.STEPDOWN.orders", b"", timeout=30)
    await until(lambda: first.raft.timeline.latest(key).leader not in ("", before), "another leader")
    await until(lambda: first.raft.timeline.latest(key).term, "its term")
    events = first.raft.timeline.events(key)
    await first.close()

    second = Session(profile, tmp_path)
    await second.connect()
    try:
        await until(lambda: len(second.raft.timeline.events(key)) >= len(events), "what was kept")
        assert second.raft.timeline.events(key)[: len(events)] == events

        def shown() -> list[str]:
            return [s.leader for s in second.raft.timeline.segments(key, events[0].time, time.time())]

        await until(lambda: events[-1].leader in shown(), "the leader that the second session sees, too")
        assert shown()[0] == before
    finally:
        await second.close()


async def test_read_only_refuses_below_the_window(start: Start, until: Until) -> None:
    from memphis_desktop.cluster import actions
    from memphis_desktop.cluster.failures import ReadOnlyConnection

    screen = await start(read_only=True)
    detail = screen.groups.detail
    assert not detail.step_down_button.isEnabled()
    assert detail.step_down_button.toolTip() == "This connection is read-only."
    session = screen.context.session
    for action in (
        actions.step_down("orders"),
        actions.step_down_meta(),
        actions.remove_peer("orders", "n1"),
    ):
        with pytest.raises(ReadOnlyConnection):
            await action.run(session)
    await session.raft.wait_ready()
    with pytest.raises(ReadOnlyConnection):  # the client itself refuses, whoever asks
        await session.system_api("META.LEADER.STEPDOWN")


async def test_without_the_system_account_it_says_what_is_missing(start: Start, until: Until) -> None:
    screen = await start("servers", system_credentials=None)
    await until(lambda: not screen.lacking.isHidden(), "the explanation")
    assert "system account" in screen.lacking.text()
    await until(lambda: len(screen.servers.table.rows()) == 3, "three rows")
    rows = screen.servers.table.rows()
    assert [row.server.name for row in rows] == ["n1", "n2", "n3"]
    assert all(row.server.here and row.server.memory is None for row in rows)
    found = await until(lambda: (g := group(screen, "orders")) and g.all_current and g, "a current group")
    assert screen._steering.step_down_refusal(found) == ""


async def test_a_system_login_that_is_refused_is_told_so(start: Start, until: Until) -> None:
    wrong = Credentials(CredentialKind.PASSWORD, user="nobody", password="wrong")
    screen = await start("links", system_credentials=wrong)
    await until(lambda: not screen.lacking.isHidden(), "the explanation")
    assert "The system account cannot be used." in screen.lacking.text()
    assert "refused the login" in screen.lacking.text()


async def test_a_login_that_may_not_ask_is_told_so_in_place_of_waiting(
    start_nats_server: Starter, open_window: Callable[..., Awaitable[app.Program]], until: Until
) -> None:
    user = '{user: limited, password: x, permissions: {publish: ["$JS.API.INFO"], subscribe: ["_INBOX.>"]}}'
    server = start_nats_server(config=f"accounts {{ A {{ jetstream: enabled, users: [{user}] }} }}\n")
    program = await open_window()
    credentials = Credentials(CredentialKind.PASSWORD, user="limited", password="x")
    profile = ConnectionProfile("limited", urls=(server.url,), credentials=credentials)
    await program.window.open_profile(profile, Route("cluster", {"tab": "groups"}))
    screen = program.window.current_workspace().current_screen
    assert isinstance(screen, ClusterScreen)

    def said(part: Any) -> str:
        return " ".join(label.text() for label in part.table.findChildren(QLabel) if label.isVisible())

    await until(lambda: "may not publish to $JS.API.STREAM" in said(screen.groups), "the reason")
    assert screen.groups.detail.step_down_button.isHidden()
    screen.tab_bar.setCurrentIndex(0)
    await until(lambda: "may not ask the servers" in said(screen.servers), "the servers' reason")


async def test_production_wants_the_name_typed(start: Start, until: Until, qtbot: QtBot) -> None:
    screen = await start(environment=Environment.PRODUCTION)
    screen.groups.select(stream_key("orders"))
    qtbot.mouseClick(screen.groups.detail.step_down_button, Qt.MouseButton.LeftButton)
    asked = cast(ActionDialog, await until(lambda: dialog(ActionDialog), "the dialog"))
    assert not asked.verb_button.isEnabled()
    assert asked.field is not None
    qtbot.keyClicks(asked.field, "orders")
    assert asked.verb_button.isEnabled()
    asked.reject()


async def test_a_single_server_is_explained(
    open_window: Callable[..., Awaitable[app.Program]], nats_server: Any, until: Until
) -> None:
    program = await open_window()
    await program.window.open_profile(
        ConnectionProfile(name="one", urls=(nats_server.url,)), Route("cluster")
    )
    screen = program.window.current_workspace().current_screen
    assert isinstance(screen, ClusterScreen)
    await until(lambda: screen.pages.currentWidget() is screen.single, "the explanation")
    assert "single server" in screen.single.sentence()
