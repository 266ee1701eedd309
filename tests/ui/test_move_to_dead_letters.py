"""Everything of a consumer group goes to a dead-letter station, as a user asks for it in the groups' menu."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from nats.js.api import ConsumerConfig, StreamConfig
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from memphis_desktop.app import Program
from memphis_desktop.cluster.profiles import ConnectionProfile, Environment
from memphis_desktop.server_process import ServerProcess
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens.consumers.list import ConsumersScreen
from memphis_desktop.ui.screens.dead_letters.move_dialog import MoveDialog
from tests.conftest import Connect

Until = Callable[..., Awaitable[Any]]


def dialog() -> Any:
    found = [w for w in QApplication.topLevelWidgets() if isinstance(w, MoveDialog) and w.isVisible()]
    return found[-1] if found else None


async def test_all_of_a_group_goes_to_a_station_made_for_it(
    program: Program, broker: ServerProcess, connect: Connect, until: Until, qtbot: QtBot
) -> None:
    client = await connect(broker)
    jetstream = client.jetstream()
    await jetstream.add_stream(StreamConfig(name="orders", subjects=["orders.>"], allow_direct=True))
    await jetstream.add_stream(StreamConfig(name="bills", subjects=["bills.>"], allow_direct=True))
    await jetstream.add_stream(  # as capturing makes it: nothing is moved there
        StreamConfig(name="DEAD_LETTERS", subjects=["$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>", "dl.x"])
    )
    config = ConsumerConfig(durable_name="billing", ack_policy="explicit", ack_wait=600)
    await jetstream.add_consumer("orders", config)
    for number in range(7):
        await jetstream.publish(f"orders.{number}", b"%d" % number)
    subscription = await jetstream.pull_subscribe_bind("billing", stream="orders")
    await subscription.fetch(2)  # held by a client that never answers
    profile = ConnectionProfile(name="live", urls=(broker.url,), environment=Environment.PRODUCTION)
    workspace = await program.window.open_profile(profile, Route("consumers"))
    screen = workspace.current_screen
    assert isinstance(screen, ConsumersScreen)
    session = screen.context.session
    await until(lambda: screen.table.select_key(("orders", "billing")), "the group")
    (move,) = [one for one in screen.commands() if one.title == "Move all to a dead-letter station"]
    move.callback()
    asked = await until(dialog, "the dialog")
    await until(lambda: asked.verb_button.text() == "Move 7 messages", "the count")
    assert "5 messages are not delivered yet, 2 are held by clients." in asked.amount.text()
    assert not asked.verb_button.isEnabled()  # production: its name is typed
    asked._typed.setText("billing")
    assert [asked.station.itemText(index) for index in range(2)] == ["bills", "A new station"]
    asked.subject.setText("elsewhere.{subject}")
    assert "bills does not store elsewhere." in asked.note.text()
    assert not asked.verb_button.isEnabled()
    asked.station.setCurrentIndex(1)
    assert asked.options().station == "orders-dlq"
    assert asked.note.text() == "orders.part → orders-dlq.orders.part"
    assert "nats stream add orders-dlq" in asked._code.text()
    assert "memphis-desktop dead-letter orders billing --to orders-dlq" in asked._code.text()
    asked.verb_button.click()
    await until(lambda: dialog() is None, "the end")
    assert (await jetstream.stream_info("orders-dlq")).state.messages == 7
    info = await jetstream.consumer_info("orders", "billing")
    assert (info.num_pending, info.num_ack_pending) == (0, 0)
    titles = [entry.title for entry in program.window.activity.entries()]
    assert "Move 7 messages of billing on orders to orders-dlq" in titles
    letters = session.dead_letters
    release = letters.use()
    await until(lambda: len(letters.view.letters) == 7, "the letters", timeout=30)
    release()
