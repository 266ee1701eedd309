"""The overview as a user meets it, on both servers."""

from __future__ import annotations

import asyncio

from nats.aio.client import Client
from PySide6.QtCore import Qt
from PySide6.QtTest import QAbstractItemModelTester
from pytestqt.qtbot import QtBot

from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens.consumers import ConsumerScreen
from memphis_desktop.ui.screens.overview import OverviewScreen
from tests.ui.stations.steps import Show, Until, fill


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


async def test_an_empty_server_says_so(client: Client, show: Show, until: Until) -> None:
    screen = await show(Route("overview"))
    await until(lambda: screen.stations.state() == "empty", "the empty state")
    assert screen.health.state() in ("empty", "ready")
    screen.window().navigate(Route("stations"))
    stations = screen.window().current_workspace().current_screen
    await until(lambda: stations.table.state() == "empty", "the empty list")
