"""The list of stations: filters, tree, preview, states."""

from __future__ import annotations

import asyncio

from nats.aio.client import Client
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QGuiApplication
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QComboBox, QMenu
from pytestqt.qtbot import QtBot

from memphis_desktop.app import Program
from memphis_desktop.cluster.profiles import ConnectionProfile
from memphis_desktop.server_process import ServerProcess
from memphis_desktop.ui.components.dialogs import FormDialog
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens.replay.dialog import ReplayDialog
from memphis_desktop.ui.screens.station_detail import StationDetailScreen
from memphis_desktop.ui.screens.station_replay import subject_into
from memphis_desktop.ui.screens.stations import StationsScreen
from tests.conftest import Connect, Starter
from tests.ui.stations.paged_api import PagedApi
from tests.ui.stations.steps import Show, Until, dialog_of, fill, run


async def test_stations_are_listed_filtered_and_previewed(
    client: Client, show: Show, until: Until, qtbot: QtBot
) -> None:
    await fill(client, "orders", 10)
    await fill(client, "payments", 3, retention="workqueue")
    await client.jetstream().create_key_value(bucket="settings")
    screen = await show(Route("stations"))
    assert isinstance(screen, StationsScreen)
    QAbstractItemModelTester(screen.table.model)
    await until(lambda: {r.name for r in screen.table.rows()} == {"orders", "payments"}, "the stations")
    buckets = screen.filter._chips["buckets"]
    qtbot.mouseClick(buckets, Qt.MouseButton.LeftButton)
    assert {r.name for r in screen.table.rows()} == {"orders", "payments", "KV_settings"}
    screen.filter._entries["workqueue"].trigger()
    assert [r.name for r in screen.table.rows()] == ["payments"]
    screen.filter._entries["workqueue"].trigger()
    qtbot.keyClicks(screen.filter.field, "ord")
    await until(lambda: [r.name for r in screen.table.rows()] == ["orders"], "the filter")
    screen.table.select_key("orders")
    assert not screen.preview.isVisible()
    qtbot.keyClick(screen.table.view, Qt.Key.Key_Space)
    assert screen.preview.isVisible()
    await until(lambda: screen.preview.facts.values().get("Messages") == "10", "the preview")
    qtbot.keyClick(screen.table.view, Qt.Key.Key_Return)
    opened = screen.window().current_workspace().current_screen
    assert isinstance(opened, StationDetailScreen)


async def test_the_list_is_narrowed_by_more_chips_and_made_a_tree(
    client: Client, show: Show, until: Until, qtbot: QtBot
) -> None:
    await fill(client, "orders-eu", 5)
    await fill(client, "orders-us", 4, storage="memory")
    await fill(client, "payments", 3, max_msgs=3)
    await client.jetstream().add_consumer("payments", durable_name="billing", ack_policy="explicit")
    screen = await show(Route("stations"))
    assert isinstance(screen, StationsScreen)
    QAbstractItemModelTester(screen.table.model)

    def names() -> list[str]:
        return [row.name for row in screen.table.rows()]

    await until(lambda: len(names()) == 3 and all(r.stream.is_read for r in screen.table.rows()), "stations")
    more = next(menu for menu in screen.filter.findChildren(QMenu) if menu.actions())
    for keys, wanted in (
        ({"Stored", "In memory"}, {"orders-us"}),
        ({"Without groups"}, {"orders-eu", "orders-us"}),
    ):
        chosen = [action for action in more.actions() if action.text() in keys and action.isCheckable()]
        for action in chosen:
            action.trigger()
        assert set(names()) == wanted
        for action in chosen:
            action.trigger()
    qtbot.mouseClick(screen.filter._chips["full"], Qt.MouseButton.LeftButton)
    assert names() == ["payments"]
    screen.filter.set_chips({"sealed"})
    assert screen.table.state() == "empty"
    assert screen.table._message.sentence() == "No station fits these filters."
    screen.filter.set_chips(set())
    assert len(names()) == 3

    screen.table.setFocus()
    qtbot.mouseClick(screen.tree_button, Qt.MouseButton.LeftButton)
    assert set(names()) == {"orders-", "payments"}
    head = next(row for row in screen.table.rows() if row.branch)
    assert (head.stream.messages, head.members) == (9, ("orders-eu", "orders-us"))
    screen.table.select_key(head.key)
    qtbot.keyClick(screen.table.view, Qt.Key.Key_Return)
    screen.table.sort_by("name")
    assert names() == ["orders-", "orders-eu", "orders-us", "payments"]
    screen.table.sort_by("messages", descending=True)
    assert names() == ["orders-", "orders-eu", "orders-us", "payments"]
    assert screen.filter._count.text() == "3 stations"
    screen.table.select_key("orders-us")
    assert [row.name for row in screen.table.selected_rows()] == ["orders-us"]
    live = next(one for one in screen.commands() if one.title == "Listen to it live")
    live.callback()
    listening = screen.window().current_workspace().current_screen
    await until(lambda: "orders-us.>" in listening.patterns.chips, "the live view to listen")


async def test_the_selection_stays_while_data_arrives(client: Client, show: Show, until: Until) -> None:
    for name in ("a", "b", "c", "d"):
        await fill(client, name, 1)
    screen = await show(Route("stations"))
    await until(lambda: len(screen.table.rows()) == 4, "the stations")
    screen.table.sort_by("messages", True)
    screen.table.select_key("c")
    for _ in range(20):
        await client.jetstream().publish("d.1", b"x")
    await until(lambda: screen.table.rows()[0].name == "d", "the new order")
    assert [row.name for row in screen.table.selected_rows()] == ["c"]
    await client.jetstream().delete_stream("a")
    await until(lambda: len(screen.table.rows()) == 3, "the removal")
    assert [row.name for row in screen.table.selected_rows()] == ["c"]


async def test_buckets_alone_are_no_stations(client: Client, show: Show, until: Until) -> None:
    await client.jetstream().create_key_value(bucket="settings")
    screen = await show(Route("stations"))
    await until(lambda: screen.table.state() == "empty", "the empty list")
    assert screen.table._message.sentence().startswith("There are no stations yet.")


async def test_a_lost_server_is_shown_and_what_was_known_stays(
    any_server: ServerProcess, client: Client, program: Program, show: Show, until: Until
) -> None:
    await fill(client)
    await client.close()
    screen = await show(Route("stations"))
    banner = program.window.current_workspace()._banner
    await until(lambda: screen.table.rows(), "the stations")
    await asyncio.to_thread(any_server.kill)
    await until(lambda: "What you see is" in banner.text() and banner.isVisible(), "the banner")
    assert screen.banner.isHidden(), "it is said once"
    assert [row.name for row in screen.table.rows()] == ["orders"]
    await asyncio.to_thread(any_server.start)
    await until(lambda: not banner.isVisible(), "the way back")


async def test_every_key_of_the_metadata_can_be_a_column(
    client: Client, show: Show, until: Until, qtbot: QtBot
) -> None:
    await fill(client, "orders", 1, metadata={"team": "blue", "tier": "2"})
    await fill(client, "payments", 1, metadata={"team": "amber"})
    await fill(client, "plain", 1)
    screen = await show(Route("stations"))
    assert isinstance(screen, StationsScreen)
    table = screen.table
    QAbstractItemModelTester(table.model)

    def offered() -> dict[str, QAction]:
        [part] = [one.menu() for one in table.column_menu().actions() if one.text() == "Metadata key"]
        assert isinstance(part, QMenu)
        return {action.text(): action for action in part.actions()}

    await until(lambda: any(one.chosen_in for one in table.model.columns), "the keys")
    assert set(offered()) == {"team", "tier"}
    assert "team" not in [one.title for one in table.visible_columns()]
    offered()["team"].trigger()
    assert table.visible_columns()[-1].title == "team"
    table.sort_by("metadata:team")
    assert [row.name for row in table.rows()] == ["payments", "orders", "plain"]
    table.select_key("orders")
    qtbot.keyClick(table.view, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().text().endswith("\tblue")
    qtbot.keyClicks(screen.filter.field, "team=amb")
    await until(lambda: [row.name for row in table.rows()] == ["payments"], "the filter")

    again = StationsScreen(screen.context)  # another time: the column is there, and orders the list
    qtbot.addWidget(again)
    again.show_snapshot(screen.context.session.snapshot)
    assert again.table.visible_columns()[-1].title == "team"
    assert [row.name for row in again.table.rows()] == ["payments", "orders", "plain"]


async def test_a_page_of_the_list_that_fails_is_told_and_read_again_alone(
    program: Program, start_nats_server: Starter, connect: Connect, until: Until, qtbot: QtBot
) -> None:
    server = start_nats_server(jetstream=False)
    api = PagedApi(await connect(server), 700)
    api.failing = {256}
    await api.serve()
    profile = ConnectionProfile(name="test", urls=(server.url,))
    workspace = await program.window.open_profile(profile, Route("stations"))
    screen = workspace.current_screen
    assert isinstance(screen, StationsScreen)
    await until(lambda: sum(row.stream.is_read for row in screen.table.rows()) == 444, "the other pages")
    await until(lambda: screen.pages.isVisible(), "which page failed")
    assert screen.pages.text().startswith("Stations 257 to 512 of 700 could not be read:")
    assert "Temporarily unavailable" in screen.pages.text()
    assert len(screen.table.rows()) == 700  # the names of the others are known
    menus = [one.menu() for one in screen.table.column_menu().actions() if one.text() == "Metadata key"]
    assert [action.text() for action in menus[0].actions()] == ["<b>&&tier", "team"]
    api.failing.clear()
    api.asked.clear()
    qtbot.mouseClick(screen.pages.button(), Qt.MouseButton.LeftButton)
    await until(lambda: sum(row.stream.is_read for row in screen.table.rows()) == 700, "the page")
    assert not screen.pages.isVisible()
    assert 256 in api.asked
    assert screen.context.session.snapshot.complete


async def test_another_station_is_replayed_into_one(
    client: Client, show: Show, until: Until, qtbot: QtBot
) -> None:
    assert subject_into(["a.*.b.*", "x"]) == "a.{1}.b.{2}"
    await fill(client, "orders", 3)
    await fill(client, "copies", 0)
    screen = await show(Route("stations"))
    await until(lambda: len(screen.table.rows()) == 2, "the stations")
    screen.table.select_key("copies")
    run(screen, "Replay another into it")
    choice = await until(lambda: dialog_of(FormDialog), "the question")
    assert choice.findChild(QComboBox).currentText() == "orders"
    qtbot.mouseClick(choice.verb_button, Qt.MouseButton.LeftButton)
    replay = await until(lambda: dialog_of(ReplayDialog), "the replay")
    assert replay.target_field.text() == "copies.{subject}"
    qtbot.mouseClick(replay.verb_button, Qt.MouseButton.LeftButton)
    session = screen.context.session
    await until(lambda: session.snapshot.streams["copies"].messages == 3, "the copies")
