"""Overview, stations, one station and consumers as a user meets them, on both servers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QApplication, QComboBox, QDialog, QLineEdit, QMenu, QPlainTextEdit
from pytestqt.qtbot import QtBot

from memphis_desktop.app import Program
from memphis_desktop.cluster.profiles import ConnectionProfile, Environment
from memphis_desktop.server_process import ServerProcess
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import Route, Screen
from memphis_desktop.ui.screens.consumers import ConsumerScreen, ConsumersScreen
from memphis_desktop.ui.screens.consumers.fetch import FetchDialog
from memphis_desktop.ui.screens.consumers.reset import ResetDialog
from memphis_desktop.ui.screens.overview import OverviewScreen
from memphis_desktop.ui.screens.station_backup import BackupDialog, RestoreDialog
from memphis_desktop.ui.screens.station_compare import CompareDialog
from memphis_desktop.ui.screens.station_detail import StationDetailScreen
from memphis_desktop.ui.screens.station_detail.code import CodeTab
from memphis_desktop.ui.screens.station_detail.screen import TABS
from memphis_desktop.ui.screens.station_form import ConfigurationDialog
from memphis_desktop.ui.screens.stations import StationsScreen
from tests.conftest import Connect, Starter

Until = Callable[..., Awaitable[Any]]
Show = Callable[..., Awaitable[Any]]


@pytest.fixture
async def client(any_server: ServerProcess, connect: Connect) -> Client:
    opened = await connect(any_server)
    assert isinstance(opened, Client)
    return opened


@pytest.fixture
def show(program: Program, any_server: ServerProcess) -> Show:
    """Open a route on the server: ``screen = await show(Route("stations"), read_only=True)``."""

    async def open_(route: Route, **options: Any) -> Screen:
        profile = ConnectionProfile(name="test", urls=(any_server.url,), **options)
        workspace = await program.window.open_profile(profile, route)
        screen = workspace.current_screen
        assert isinstance(screen, Screen)
        return screen

    return open_


async def fill(client: Client, name: str = "orders", messages: int = 10, **config: Any) -> None:
    jetstream = client.jetstream()
    await jetstream.add_stream(name=name, subjects=[f"{name}.>"], **config)
    for number in range(messages):
        await jetstream.publish(f"{name}.{number % 3}", b"x" * 50)


def dialog_of(kind: type[QDialog] = QDialog) -> Any:
    """The dialog that is open, if any."""
    found = [w for w in QApplication.topLevelWidgets() if isinstance(w, kind) and w.isVisible()]
    return found[-1] if found else None


def shown_text(widget: Any) -> str:
    labels = [label.text() for label in widget.findChildren(PlainLabel) if label.isVisible()]
    return "\n".join([*labels, *(block.text() for block in widget.findChildren(CodeBlock))])


async def test_the_overview_shows_what_flows_and_who_lags(
    client: Client, show: Show, until: Until, qtbot: QtBot
) -> None:
    await fill(client)
    await client.jetstream().add_consumer("orders", durable_name="slow", ack_policy="explicit")

    async def publish() -> None:
        while True:
            await client.jetstream().publish("orders.1", b"x" * 50)

    traffic = asyncio.create_task(publish())
    try:
        screen = await show(Route("overview"))
        assert isinstance(screen, OverviewScreen)
        for table in (screen.health, screen.lag_board, screen.stations):
            QAbstractItemModelTester(table.model)
        await until(lambda: screen.lag_board.rows(), "the lag board")
        await until(lambda: (screen.stations.rows()[0].in_messages_rate or 0) > 1, "a rate")
        await until(
            lambda: screen.vital_signs["messages_in"].accessibleName().split()[2] not in ("–", "0"),
            "messages in",
        )
        await until(lambda: len(screen.graph.table_rows()) > 2, "the graph")
        [slow] = screen.lag_board.rows()
        assert (slow.stream, slow.name) == ("orders", "slow")
        await until(lambda: any(f.check == "no puller" for f in screen.health.rows()), "the finding", 15)
    finally:
        traffic.cancel()
    screen._toggle_unit()
    assert screen.graph.unit == "bytes/s"
    # The finding opens the group it is about.
    screen.health.select_key(("orders", "slow", "no puller"))
    qtbot.keyClick(screen.health.view, Qt.Key.Key_Return)
    opened = await until(lambda: screen.window().current_workspace().current_screen)
    assert isinstance(opened, ConsumerScreen)
    await until(lambda: "Nobody asks" in opened.reason.text(), "the reason")


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


async def test_a_group_deleted_meanwhile_is_struck_through(
    client: Client, show: Show, until: Until, qtbot: QtBot
) -> None:
    await fill(client)
    for name in ("billing", "audit"):
        await client.jetstream().add_consumer("orders", durable_name=name, ack_policy="explicit")
    screen = await show(Route("consumers"))
    assert isinstance(screen, ConsumersScreen)
    QAbstractItemModelTester(screen.table.model)
    await until(lambda: len(screen.table.rows()) == 2, "the groups")
    await client.jetstream().delete_consumer("orders", "billing")
    await until(lambda: screen.gone.isVisible(), "the news", 30)
    assert screen.gone.text().startswith("billing on orders was deleted at ")
    await until(lambda: "by somebody else" in screen.gone.text(), "who it was")
    gone = [row.name for row in screen.table.rows() if screen.deleted.is_gone(row)]
    assert gone == ["billing"]
    screen.table.select_key(("orders", "billing"))
    assert [one.title for one in screen.commands()] == ["Create it again", "Take off the list"]
    activity = screen.context.shell.activity
    await until(lambda: any("Group billing of orders" in one.title for one in activity.entries()), "a record")
    await client.jetstream().add_consumer("orders", durable_name="billing", ack_policy="explicit")
    await until(lambda: not screen.deleted.found, "the group again", 30)
    await client.jetstream().delete_consumer("orders", "audit")
    await until(lambda: screen.deleted.found, "the news", 30)
    qtbot.mouseClick(screen.gone.button(), Qt.MouseButton.LeftButton)
    await until(lambda: len(screen.table.rows()) == 1, "the rest")
    assert not screen.gone.isVisible()


async def test_pages_fit_the_smallest_window(client: Client, show: Show, until: Until, qtbot: QtBot) -> None:
    """At twice the scale a common screen has room for 880 by 560; nothing is scrolled sideways then."""
    await fill(client)
    await client.jetstream().add_consumer("orders", durable_name="billing", ack_policy="explicit")
    screen = await show(Route("overview"))
    window = screen.window()
    await until(lambda: "orders" in screen.context.session.snapshot.streams, "the stations")
    window.resize(880, 560)
    routes = [Route(name) for name in ("overview", "stations", "consumers", "dead_letters", "replay")]
    routes += [
        Route("station", {"stream": "orders"}),
        Route("consumer", {"stream": "orders", "consumer": "billing"}),
    ]
    for route in routes:
        window.navigate(route)
        page = window.current_workspace().current_screen
        await until(lambda page=page: page.width() > 0 and page.isVisible(), route.name)
        assert page.minimumSizeHint().width() <= 700, route.name
    bar = page.range_bar
    await until(lambda: bar._chosen.isVisible() and not bar._segments.isVisible(), "the menu of ranges")
    next(action for action in bar._chosen.menu().actions() if action.text() == "1 h").trigger()
    assert (page.time_range.span, bar._chosen.text()) == (3600.0, "1 h")
    window.resize(1280, 800)
    await until(lambda: bar._segments.isVisible() and not bar._chosen.isVisible(), "the ranges side by side")


async def test_buckets_alone_are_no_stations(client: Client, show: Show, until: Until) -> None:
    await client.jetstream().create_key_value(bucket="settings")
    screen = await show(Route("stations"))
    await until(lambda: screen.table.state() == "empty", "the empty list")
    assert screen.table._message.sentence().startswith("There are no stations yet.")


async def test_an_empty_server_says_so(client: Client, show: Show, until: Until) -> None:
    screen = await show(Route("overview"))
    await until(lambda: screen.stations.state() == "empty", "the empty state")
    assert screen.health.state() in ("empty", "ready")
    screen.window().navigate(Route("stations"))
    stations = screen.window().current_workspace().current_screen
    await until(lambda: stations.table.state() == "empty", "the empty list")


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


async def test_a_station_is_made_changed_purged_and_deleted(
    client: Client, show: Show, until: Until, qtbot: QtBot
) -> None:
    jetstream = client.jetstream()
    screen = await show(Route("stations"))
    await until(lambda: screen.table.state() == "empty", "the empty list")
    qtbot.mouseClick(screen.create_button, Qt.MouseButton.LeftButton)
    dialog = await until(lambda: dialog_of(ConfigurationDialog), "the form")
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    assert "name" in dialog.error.text()
    name = dialog.form.field("name")
    subjects = dialog.form.field("subjects")
    assert isinstance(name, QLineEdit)
    assert isinstance(subjects, QPlainTextEdit)
    qtbot.keyClicks(name, "orders")
    qtbot.keyClicks(subjects, "orders.>")
    age = dialog.form.field("max_age")
    qtbot.keyClicks(age, "soon")
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    assert "Keep for" in dialog.error.text()
    age.clear()
    qtbot.keyClicks(age, "1d 12h")
    assert "--max-age=36h" in dialog.command_view.text()
    assert '"name": "orders"' in dialog.json_view.text()
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: [row.name for row in screen.table.rows()] == ["orders"], "the new station")
    info = await jetstream.stream_info("orders")
    assert info.config.max_age == 36 * 3600
    await until(lambda: dialog_of() is None, "the form closed")

    for number in range(8):
        await jetstream.publish("orders.a", str(number).encode())
    await until(lambda: screen.table.rows()[0].stream.messages == 8, "the messages")
    screen.table.select_key("orders")

    # Edit: the difference and the loss are shown before saving.
    run(screen, "Edit station")
    dialog = await until(lambda: dialog_of(ConfigurationDialog), "the form")
    assert not dialog.verb_button.isEnabled()
    assert not dialog.form.field("storage").isEnabled()
    qtbot.keyClicks(dialog.form.field("max_msgs"), "5")
    assert '+  "max_msgs": 5' in dialog.difference_view.text()
    assert "oldest 3 messages" in dialog.warning.text()
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: screen.table.rows()[0].stream.messages == 5, "the new limit")
    await until(lambda: dialog_of() is None, "the form closed")

    # Purge all but two.
    run(screen, "Purge")
    dialog = await until(dialog_of, "the question")
    assert "5 messages" in shown_text(dialog)
    dialog.findChild(QComboBox).setCurrentIndex(2)
    assert not dialog.verb_button.isEnabled()
    number = next(
        line
        for line in dialog.findChildren(QLineEdit)
        if line.accessibleName() == "Number" or line.accessibleName() == "Sequence or number"
    )
    qtbot.keyClicks(number, "2")
    assert "3 messages" in shown_text(dialog)
    assert "--keep=2" in shown_text(dialog)
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: screen.table.rows()[0].stream.messages == 2, "the purge")
    await until(lambda: dialog_of() is None, "the question closed")

    # Delete: what is lost is named; cancelling keeps it.
    run(screen, "Delete")
    dialog = await until(dialog_of, "the question")
    assert "2 messages" in shown_text(dialog)
    assert "nats stream rm orders --force" in shown_text(dialog)
    qtbot.mouseClick(dialog.cancel_button, Qt.MouseButton.LeftButton)
    await until(lambda: dialog_of() is None, "the question closed")
    assert await jetstream.stream_info("orders")
    run(screen, "Delete")
    dialog = await until(dialog_of, "the question")
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: not screen.table.rows(), "the deletion")


def run(screen: Screen, title: str) -> None:
    """Run a command of the screen, as the palette or a key does."""
    command = next(command for command in screen.commands() if command.title == title)
    assert command.enabled, command.reason
    command.callback()


async def test_production_asks_for_the_name(client: Client, show: Show, until: Until, qtbot: QtBot) -> None:
    await fill(client)
    screen = await show(Route("stations"), environment=Environment.PRODUCTION)
    await until(lambda: screen.table.rows(), "the stations")
    screen.table.select_key("orders")
    run(screen, "Delete")
    dialog = await until(dialog_of, "the question")
    assert not dialog.verb_button.isEnabled()
    qtbot.keyClicks(dialog.field, "orders")
    assert dialog.verb_button.isEnabled()
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: not screen.table.rows(), "the deletion")


async def test_a_read_only_connection_offers_no_change(client: Client, show: Show, until: Until) -> None:
    await fill(client)
    screen = await show(Route("stations"), read_only=True)
    await until(lambda: screen.table.rows(), "the stations")
    screen.table.select_key("orders")
    assert not screen.create_button.isEnabled()
    for title in ("Create station", "Edit station", "Purge", "Delete"):
        command = next(command for command in screen.commands() if command.title == title)
        assert not command.enabled
        assert "read-only" in command.reason


async def test_a_station_shows_its_parts(client: Client, show: Show, until: Until, qtbot: QtBot) -> None:
    await fill(client, messages=9, max_msgs=100)
    await client.jetstream().add_consumer("orders", durable_name="g", ack_policy="explicit")
    screen = await show(Route("station", {"stream": "orders"}))
    assert isinstance(screen, StationDetailScreen)
    summary = await until(lambda: screen.current_tab, "the summary")
    await until(lambda: summary.facts.values().get("Message limit", "").startswith("9"), "the facts")
    await until(lambda: len(summary.subjects.rows()) == 3, "the subjects")
    assert {row.subject for row in summary.subjects.rows()} == {"orders.0", "orders.1", "orders.2"}
    await until(lambda: len(summary.graph.table_rows()) > 1, "the graph")
    for index in range(screen.tab_bar.count()):
        screen.tab_bar.setCurrentIndex(index)
        assert screen.current_tab is not None
        assert screen.current_tab.isVisible()
    groups = screen._tabs["groups"]
    screen.tab_bar.setCurrentIndex([tab.key for tab in TABS].index("groups"))
    await until(lambda: [c.name for c in groups.table.rows()] == ["g"], "the groups")
    configuration = screen._tabs["configuration"]
    assert '"name": "orders"' in configuration.code.text()
    await client.jetstream().delete_stream("orders")
    await until(lambda: "does not exist any more" in screen.notice.text(), "the notice")


async def test_a_station_that_is_not_there_says_so(client: Client, show: Show, until: Until) -> None:
    screen = await show(Route("station", {"stream": "nothing"}))
    await until(lambda: screen.notice.isVisible(), "the notice")
    assert "nothing does not exist" in screen.notice.text()


async def test_groups_are_listed_opened_paused_and_deleted(
    client: Client, show: Show, until: Until, qtbot: QtBot
) -> None:
    await fill(client, messages=20)
    jetstream = client.jetstream()
    await jetstream.add_consumer("orders", durable_name="g", ack_policy="explicit", max_ack_pending=5)
    await jetstream.add_consumer("orders", durable_name="idle", ack_policy="explicit")
    screen = await show(Route("consumers"))
    assert isinstance(screen, ConsumersScreen)
    QAbstractItemModelTester(screen.table.model)
    await until(lambda: len(screen.table.rows()) == 2, "the groups")
    screen.table.select_key(("orders", "g"))
    qtbot.keyClick(screen.table.view, Qt.Key.Key_Return)
    detail = screen.window().current_workspace().current_screen
    assert isinstance(detail, ConsumerScreen)
    await until(lambda: "20" in detail.signs["lag"].accessibleName(), "the lag")
    subscription = await jetstream.pull_subscribe_bind("g", "orders")
    await subscription.fetch(5)
    await until(lambda: "At its limit of 5" in detail.reason.text(), "the reason")
    assert "bad" in detail.reason.accessibleName()
    qtbot.mouseClick(detail.pause_button, Qt.MouseButton.LeftButton)
    dialog = await until(dialog_of, "the question")
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: detail.pause_button.text() == "Resume", "the pause")
    assert "Paused" in detail.reason.text()
    qtbot.mouseClick(detail.pause_button, Qt.MouseButton.LeftButton)
    await until(lambda: detail.pause_button.text() == "Pause", "the resumption")
    run(detail, "Delete this group")
    dialog = await until(dialog_of, "the question")
    assert "15 messages not delivered yet, 5 delivered" in shown_text(dialog)
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    opened = await until(
        lambda: isinstance(screen.window().current_workspace().current_screen, StationDetailScreen),
        "the way back",
    )
    assert opened
    assert [c.name for c in await jetstream.consumers_info("orders")] == ["idle"]


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
    await until(lambda: not banner.isVisible(), "the way back", 15)


async def test_a_group_is_reset_after_a_preview(
    client: Client, show: Show, until: Until, qtbot: QtBot
) -> None:
    await fill(client, messages=12)
    jetstream = client.jetstream()
    await jetstream.add_consumer("orders", durable_name="g", ack_policy="explicit")
    subscription = await jetstream.pull_subscribe_bind("g", "orders")
    for message in await subscription.fetch(10):
        await message.ack_sync()
    screen = await show(Route("consumer", {"stream": "orders", "consumer": "g"}))
    await until(lambda: screen._consumer is not None and screen._consumer.num_pending == 2, "the group")
    qtbot.mouseClick(screen.reset_button, Qt.MouseButton.LeftButton)
    dialog = await until(lambda: dialog_of(ResetDialog), "the dialog")
    await until(lambda: dialog.preview is not None, "the preview")
    assert "10 messages will be delivered again" in dialog.result_label.text()
    dialog.where.setCurrentIndex(dialog.where.findText("Back by a number of messages"))
    assert not dialog.verb_button.isEnabled()
    qtbot.keyClicks(dialog.number, "3")
    await until(lambda: dialog.preview is not None, "the preview")
    assert "sequence 8" in dialog.result_label.text()
    assert "3 messages will be delivered again" in dialog.result_label.text()
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: screen._consumer.num_pending == 5, "the move")
    [message] = await (await jetstream.pull_subscribe_bind("g", "orders")).fetch(1)
    assert message.metadata.sequence.stream == 8


async def test_messages_are_fetched_by_hand(client: Client, show: Show, until: Until, qtbot: QtBot) -> None:
    await fill(client, messages=5)
    jetstream = client.jetstream()
    await jetstream.add_consumer("orders", durable_name="g", ack_policy="explicit")
    screen = await show(Route("consumer", {"stream": "orders", "consumer": "g"}))
    await until(lambda: screen._consumer is not None, "the group")
    run(screen, "Fetch by hand")
    dialog = await until(lambda: dialog_of(FetchDialog), "the dialog")
    dialog.count.setValue(3)
    qtbot.mouseClick(dialog.fetch_button, Qt.MouseButton.LeftButton)
    await until(lambda: len(dialog.table.rows()) == 3, "the messages")
    assert "xxxx" in dialog.payload.text()
    sequence = dialog.table.current_row().sequence
    qtbot.mouseClick(dialog.ack_button, Qt.MouseButton.LeftButton)
    await until(lambda: any(row.answer == "acknowledged" for row in dialog.table.rows()), "the answer")
    assert (await jetstream.consumer_info("orders", "g")).num_ack_pending == 2
    assert sequence == 1
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    # What was not answered is handed back at once, not after the ack wait.
    subscription = await jetstream.pull_subscribe_bind("g", "orders")
    again: set[int] = set()
    async with asyncio.timeout(10):
        while len(again) < 4:
            again |= {m.metadata.sequence.stream for m in await subscription.fetch(4, timeout=5)}
    assert again == {2, 3, 4, 5}


async def test_the_inspector_names_what_is_unacknowledged(client: Client, show: Show, until: Until) -> None:
    await fill(client, messages=5)
    jetstream = client.jetstream()
    await jetstream.add_consumer("orders", durable_name="g", ack_policy="explicit")
    await (await jetstream.pull_subscribe_bind("g", "orders")).fetch(3)
    screen = await show(Route("consumer", {"stream": "orders", "consumer": "g"}))
    await until(lambda: screen._consumer is not None and screen._consumer.num_ack_pending == 3, "the group")
    screen.tab_bar.setCurrentIndex(1)
    await until(lambda: len(screen.pending.table.rows()) == 3, "the messages")
    QAbstractItemModelTester(screen.pending.table.model)
    assert "3 messages delivered and not acknowledged" in screen.pending.summary.text()
    assert [message.sequence for message in screen.pending.table.rows()] == [1, 2, 3]


async def test_subjects_are_a_tree_that_stays_open(client: Client, show: Show, until: Until) -> None:
    jetstream = client.jetstream()
    await jetstream.add_stream(name="orders", subjects=["orders.>"])
    for subject in ("orders.eu.new", "orders.eu.paid", "orders.us.new", "orders.us.new"):
        await jetstream.publish(subject, b"x")
    screen = await show(Route("station", {"stream": "orders", "tab": "subjects"}))
    tab = await until(lambda: screen.current_tab, "the tab")
    # What the view draws counts, not what the model answers when asked.
    await until(lambda: tab.tree.indexAt(QPoint(5, 5)).isValid(), "the tree on the screen")
    QAbstractItemModelTester(tab.model)
    top = tab.model.index(0, 0)
    assert [tab.model.index(0, column).data() for column in (0, 1, 3)] == ["orders", "4", "3"]
    await until(lambda: tab.tree.isExpanded(top), "the single branch open")
    assert [tab.model.index(row, 0, top).data() for row in range(2)] == ["eu", "us"]
    us = tab.model.index(1, 0, top)
    tab.tree.expand(us)
    tab.tree.setCurrentIndex(us)
    await jetstream.publish("orders.asia.new", b"x")
    await jetstream.publish("orders.us.new", b"x")
    tab._read_now()
    await until(lambda: tab.model.rowCount(top) == 3, "the new branch")
    us = tab.model.index(2, 0, top)
    assert us.siblingAtColumn(1).data() == "3"
    assert tab.tree.currentIndex() == us
    assert tab.tree.isExpanded(us)
    tab.filter.field.setText("orders.eu.>")
    await until(lambda: tab.model.rowCount(top) == 1, "the narrowed tree")
    purge = next(command for command in tab.commands() if command.title == "Purge this")
    tab.tree.setCurrentIndex(tab.model.index(0, 0, top))
    purge = next(command for command in tab.commands() if command.title == "Purge this")
    purge.callback()
    dialog = await until(dialog_of, "the question")
    assert "orders.eu.>" in shown_text(dialog)
    dialog.verb_button.click()
    await until(lambda: screen._snapshot.messages == 4, "the purge")


async def test_two_stations_are_compared(client: Client, show: Show, until: Until) -> None:
    await fill(client, "a", 1, max_msgs=100)
    await fill(client, "b", 1, max_msgs=200, description="the other")
    screen = await show(Route("stations"))
    await until(lambda: len(screen.table.rows()) == 2, "the stations")
    screen.table.view.selectAll()
    run(screen, "Compare configurations")
    dialog = await until(lambda: dialog_of(CompareDialog), "the dialog")
    rows = {row.key: (row.left, row.right) for row in dialog.table.rows()}
    names = [row.name for row in screen.table.selected_rows()]
    assert rows["max_msgs"] == (("100", "200") if names[0] == "a" else ("200", "100"))
    assert set(rows) == {"max_msgs", "description", "subjects"}
    dialog.verb_button.click()
    await until(lambda: dialog_of() is None, "the dialog closed")


async def test_a_station_is_sealed(client: Client, show: Show, until: Until) -> None:
    await fill(client)
    screen = await show(Route("station", {"stream": "orders"}))
    await until(lambda: screen._snapshot is not None, "the station")
    run(screen, "Seal this station")
    dialog = await until(dialog_of, "the question")
    assert "cannot be taken back" in shown_text(dialog)
    dialog.verb_button.click()
    await until(lambda: "is sealed" in screen.notice.text(), "the seal")
    assert (await client.jetstream().stream_info("orders")).config.sealed


async def test_a_station_is_backed_up_and_restored(
    client: Client, show: Show, until: Until, qtbot: QtBot, tmp_path: Path
) -> None:
    await fill(client, messages=25)
    screen = await show(Route("stations"))
    await until(lambda: screen.table.rows() and screen.table.rows()[0].stream.messages == 25, "the station")
    screen.table.select_key("orders")
    run(screen, "Back up")
    dialog = await until(lambda: dialog_of(BackupDialog), "the dialog")
    folder = tmp_path / "copy"
    dialog.folder.edit.setText(str(folder))
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: dialog_of() is None, "the end of the backup")
    await client.jetstream().delete_stream("orders")
    await until(lambda: not screen.table.rows(), "the empty list")
    qtbot.mouseClick(screen.restore_button, Qt.MouseButton.LeftButton)
    dialog = await until(lambda: dialog_of(RestoreDialog), "the dialog")
    assert not dialog.verb_button.isEnabled()
    dialog.folder.edit.setText(str(tmp_path))
    assert "no finished backup" in dialog.status.text()
    dialog.folder.edit.setText(str(folder))
    assert "25 messages" in dialog.status.text()
    assert dialog.name.text() == "orders"
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: dialog_of() is None, "the end of the restore")
    assert (await client.jetstream().stream_info("orders")).state.messages == 25


async def test_a_login_without_permissions_is_told_what_is_missing(
    program: Program, start_nats_server: Starter, until: Until
) -> None:
    config = """
    accounts { A { jetstream: enabled, users: [
      { user: ada, password: pw, permissions: { publish: { deny: ["$JS.API.CONSUMER.>"] } } },
      { user: bob, password: pw, permissions: { publish: { allow: ["x"] } } } ] } }
    """
    server = start_nats_server(config=config)

    def as_(user: str) -> ConnectionProfile:
        url = server.url.replace("nats://", f"nats://{user}:pw@")
        return ConnectionProfile(name=user, urls=(url,), request_timeout=1.0)

    workspace = await program.window.open_profile(as_("ada"))
    await fill_through(workspace)
    workspace.navigate(Route("consumers"))
    table = workspace.current_screen.table
    await until(lambda: table.state() == "error", "the error", timeout=30)
    assert table._message.sentence() == "This login may not publish to $JS.API.CONSUMER.LIST.orders."
    workspace.navigate(Route("overview"))
    overview = workspace.current_screen
    await until(lambda: overview.lag_board.state() == "error", "the error of one panel", timeout=30)
    assert overview.stations.state() == "ready"
    assert "Groups not readable" in [finding.text for finding in overview.health.rows()]

    workspace = await program.window.open_profile(as_("bob"), Route("stations"))
    table = workspace.current_screen.table
    await until(lambda: table.state() == "error", "the error", timeout=30)
    assert table._message.sentence() == "This login may not publish to $JS.API.STREAM.LIST."


async def fill_through(workspace: Any) -> None:
    """Make a station with a group count over the connection that is shown."""
    session = workspace.connection.session
    await session.api("STREAM.CREATE.orders", {"name": "orders", "subjects": ["orders.>"]})
    session.refresh()


async def test_a_stations_code_follows_its_groups(
    client: Client, show: Show, until: Until, qtbot: QtBot
) -> None:
    await fill(client)
    await client.jetstream().add_consumer("orders", durable_name="billing", ack_policy="explicit")
    screen = await show(Route("station", {"stream": "orders", "tab": "code"}))
    tab = await until(lambda: screen.findChild(CodeTab), "the tab")
    await until(lambda: 'publish("orders.new"' in tab.code.text(), "the program")
    assert client.connected_url.netloc in tab.code.text()
    tab.directions.set_choice("consume")
    tab.show_code()
    await until(lambda: tab.groups.findData("billing") > 0, "the group", timeout=30)
    assert 'durable="my-group"' in tab.code.text()
    tab.groups.setCurrentIndex(tab.groups.findData("billing"))
    assert 'pull_subscribe_bind("billing"' in tab.code.text()
    tab.languages.set_choice("Go")
    tab.show_code()
    assert 'js.Consumer(ctx, "orders", "billing")' in tab.code.text()
