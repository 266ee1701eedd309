"""Consumer groups: their list, one of them, resetting, fetching, what is unacknowledged."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

from nats.aio.client import Client
from PySide6.QtCore import QDateTime, Qt
from PySide6.QtTest import QAbstractItemModelTester
from pytestqt.qtbot import QtBot

from memphis_desktop.server_process import ServerProcess
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens.consumers import ConsumerScreen, ConsumersScreen
from memphis_desktop.ui.screens.consumers.fetch import FetchDialog
from memphis_desktop.ui.screens.consumers.pause import PauseDialog
from memphis_desktop.ui.screens.consumers.reset import ResetDialog
from memphis_desktop.ui.screens.station_detail import StationDetailScreen
from memphis_desktop.ui.screens.station_form import ConfigurationDialog
from tests.conftest import Connect
from tests.ui.stations.steps import Show, Until, dialog_of, fill, run, shown_text


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
    assert detail.reason.accessibleName().startswith("Error: ")
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
    await until(lambda: screen.gone.isVisible(), "the news")
    assert screen.gone.text().startswith("billing on orders was deleted at ")
    await until(lambda: "by somebody else" in screen.gone.text(), "who it was")
    gone = [row.name for row in screen.table.rows() if screen.deleted.is_gone(row)]
    assert gone == ["billing"]
    screen.table.select_key(("orders", "billing"))
    assert [one.title for one in screen.commands()] == [
        "Create group",
        "Create it again",
        "Take off the list",
    ]
    activity = screen.context.shell.activity
    await until(lambda: any("Group billing of orders" in one.title for one in activity.entries()), "a record")
    await client.jetstream().add_consumer("orders", durable_name="billing", ack_policy="explicit")
    await until(lambda: not screen.deleted.found, "the group again")
    await client.jetstream().delete_consumer("orders", "audit")
    await until(lambda: screen.deleted.found, "the news")
    qtbot.mouseClick(screen.gone.button(), Qt.MouseButton.LeftButton)
    await until(lambda: len(screen.table.rows()) == 1, "the rest")
    assert not screen.gone.isVisible()


async def test_a_group_is_reset_after_a_preview(
    client: Client, show: Show, until: Until, qtbot: QtBot
) -> None:
    await fill(client, messages=12)
    jetstream = client.jetstream()
    await jetstream.add_consumer("orders", durable_name="g", ack_policy="explicit")
    subscription = await jetstream.pull_subscribe_bind("g", "orders")
    for message in await subscription.fetch(10):
        await message.ack_sync(timeout=30)
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


async def test_a_group_that_is_looked_at_and_deleted_says_so(
    client: Client, show: Show, until: Until, qtbot: QtBot
) -> None:
    await fill(client)
    jetstream = client.jetstream()
    await jetstream.add_consumer("orders", durable_name="billing", ack_policy="explicit")
    screen = await show(Route("consumer", {"stream": "orders", "consumer": "billing"}))
    await until(lambda: screen._consumer is not None, "the group")
    screen.tab_bar.setCurrentIndex(3)
    assert 'pull_subscribe_bind("billing", stream="orders")' in screen.code.code.text()
    screen.tab_bar.setCurrentIndex(2)
    assert screen.configuration.facts["Delivery"].values()["Acknowledgement"] == "Each message"
    await jetstream.delete_consumer("orders", "billing")
    await until(lambda: "was deleted at" in screen.gone.text(), "the news")
    await until(lambda: "by somebody else" in screen.gone.text(), "who it was")
    assert not screen.reset_button.isEnabled()
    qtbot.mouseClick(screen.gone.button(), Qt.MouseButton.LeftButton)
    dialog = await until(lambda: dialog_of(ConfigurationDialog), "the form")
    assert dialog.form.field("durable_name").text() == "billing"
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: screen.gone.isHidden(), "the group again")
    assert screen.reset_button.isEnabled()


async def test_a_pinned_client_is_shown_and_unpinned(client: Client, show: Show, until: Until) -> None:
    await fill(client, messages=5)
    config = {
        "durable_name": "workers",
        "ack_policy": "explicit",
        "priority_groups": ["main"],
        "priority_policy": "pinned_client",
    }
    body = json.dumps({"stream_name": "orders", "config": config}).encode()
    await client.request("$JS.API.CONSUMER.CREATE.orders.workers", body)
    inbox = client.new_inbox()
    subscription = await client.subscribe(inbox)
    pull = json.dumps({"batch": 1, "group": "main"}).encode()
    await client.publish("$JS.API.CONSUMER.MSG.NEXT.orders.workers", pull, reply=inbox)
    message = await subscription.next_msg(10)
    pin = (message.headers or {})["Nats-Pin-Id"]
    screen = await show(Route("consumers"))
    await until(lambda: screen.table.rows() and screen.table.rows()[0].pinned, "the pin")
    assert screen.table.rows()[0].pinned == {"main": pin}
    screen.table.select_key(("orders", "workers"))
    run(screen, "Unpin client")
    dialog = await until(dialog_of, "the question")
    assert pin in shown_text(dialog)
    assert "nats consumer unpin orders workers main --force" in shown_text(dialog)
    dialog.verb_button.click()
    await until(lambda: not screen.table.rows()[0].pinned, "the pin gone")


async def test_groups_are_made_and_paused_until_a_moment_from_their_list(
    client: Client, show: Show, until: Until, qtbot: QtBot
) -> None:
    await fill(client, messages=5)
    screen = await show(Route("consumers"))
    await until(lambda: screen.table.state() == "empty", "the empty list")
    create, code = screen.table._message.buttons()
    assert (create.text(), code.text()) == ("Create group", "Connect your code")
    qtbot.mouseClick(create, Qt.MouseButton.LeftButton)
    dialog = await until(lambda: dialog_of(ConfigurationDialog), "the form")
    qtbot.keyClicks(dialog.form.field("durable_name"), "billing")
    dialog.activateWindow()  # shortcuts belong to the active window
    await until(dialog.isActiveWindow, "the active window")
    qtbot.keyClick(dialog, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    await until(lambda: screen.table.rows(), "the group")
    screen.table.select_key(("orders", "billing"))
    qtbot.keyClick(screen.table.view, Qt.Key.Key_Space)
    pause = await until(lambda: dialog_of(PauseDialog), "the question")
    pause._span.setCurrentIndex(pause._span.count() - 1)
    assert pause.moment.isVisible()
    pause.moment.setDateTime(QDateTime(2020, 1, 1, 0, 0, 0))
    qtbot.mouseClick(pause.verb_button, Qt.MouseButton.LeftButton)
    assert "still to come" in pause.error.text()
    pause.moment.setDateTime(QDateTime(2099, 1, 2, 3, 4, 5))
    qtbot.mouseClick(pause.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: screen.table.rows()[0].paused, "the pause")
    config = screen.table.rows()[0].config
    wanted = datetime(2099, 1, 2, 3, 4, 5, tzinfo=screen.context.zone).astimezone(UTC)
    assert str(config["pause_until"]).startswith(wanted.strftime("%Y-%m-%dT%H:%M:%S"))


async def test_a_push_consumer_names_its_clients(
    any_server: ServerProcess, client: Client, connect: Connect, show: Show, until: Until
) -> None:
    await fill(client)
    worker = await connect(any_server, name="worker one")
    await client.jetstream().add_consumer("orders", durable_name="push", deliver_subject="to.workers")
    screen = await show(Route("consumer", {"stream": "orders", "consumer": "push"}))
    await until(lambda: screen.facts.values().get("Pushed to") == "nobody", "that there is none")
    await worker.subscribe("to.workers")
    await worker.flush()
    await until(lambda: screen.facts.values().get("Pushed to") == "worker one", "the client", timeout=30)
