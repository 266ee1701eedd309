"""The overview as a user meets it, on both servers."""

from __future__ import annotations

import asyncio
import time

import numpy as np
from nats.aio.client import Client
from PySide6.QtCore import Qt
from PySide6.QtTest import QAbstractItemModelTester
from pytestqt.qtbot import QtBot

from memphis_desktop.app import Program
from memphis_desktop.cluster import actions
from memphis_desktop.cluster.history import ConsumerKey, SeriesKey, ServerKey, StreamKey, metrics_of
from memphis_desktop.ui.broker_control import BrokerChoice
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens.consumers import ConsumerScreen
from memphis_desktop.ui.screens.overview import OverviewScreen
from memphis_desktop.ui.screens.station_code import StationCodeDialog
from memphis_desktop.ui.screens.station_form import ConfigurationDialog
from memphis_desktop.ui.screens.stations import StationsScreen
from tests.ui.stations.steps import Show, Until, dialog_of, fill


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
            lambda: screen.signs.signs["messages_in"].accessibleName().split()[2] not in ("–", "0"),
            "messages in",
        )
        await until(lambda: len(screen.graph.table_rows()) > 2, "the graph")
        [slow] = screen.lag_board.rows()
        assert (slow.stream, slow.name) == ("orders", "slow")
        await until(lambda: any(f.check == "no puller" for f in screen.health.rows()), "the finding")
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


async def test_an_empty_server_says_how_to_begin(
    client: Client, show: Show, until: Until, qtbot: QtBot
) -> None:
    screen = await show(Route("overview"))
    await until(lambda: screen.stations.state() == "empty", "the empty state")
    assert screen.health.state() in ("empty", "ready")
    create, code = screen.stations._message.buttons()
    assert (create.text(), code.text()) == ("Create station", "Connect your code")
    qtbot.mouseClick(code, Qt.MouseButton.LeftButton)
    dialog = await until(lambda: dialog_of(StationCodeDialog), "the programs")
    assert client.connected_url.netloc in dialog.view.code.text()
    assert "nats stream add orders '--subjects=orders.>' --defaults" in dialog.command.text()
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(create, Qt.MouseButton.LeftButton)
    form = await until(lambda: dialog_of(ConfigurationDialog), "the form")
    qtbot.mouseClick(form.cancel_button, Qt.MouseButton.LeftButton)
    screen.window().navigate(Route("stations"))
    stations = screen.window().current_workspace().current_screen
    await until(lambda: stations.table.state() == "empty", "the empty list")
    offered = [button.text() for button in stations.table._message.buttons()]
    assert offered == ["Create station", "Restore from a backup", "Connect your code"]


async def test_an_empty_local_broker_offers_sample_data(program: Program, until: Until, qtbot: QtBot) -> None:
    await program.window.start_local_broker(BrokerChoice(port=0, persistent=False, sample_traffic=False))
    program.window.navigate(Route("stations"))
    screen = program.window.current_workspace().current_screen
    assert isinstance(screen, StationsScreen)
    await until(lambda: screen.table.state() == "empty", "the empty list")
    sample = next(b for b in screen.table._message.buttons() if b.text() == "Sample data")
    qtbot.mouseClick(sample, Qt.MouseButton.LeftButton)
    await until(lambda: any(r.name == "sample-orders" for r in screen.table.rows()), "sample stations", 60)


async def test_figures_open_where_they_come_from_and_changes_are_listed(
    client: Client, show: Show, until: Until, qtbot: QtBot
) -> None:
    await fill(client)
    screen = await show(Route("overview"))
    await until(lambda: screen.stations.rows(), "the stations")
    session = screen.context.session
    screen.attention.show_list("activity")
    assert screen.attention.activity.state() == "empty"
    await actions.purge_stream("orders").run(session)
    await until(lambda: screen.attention.activity.rows(), "the change")
    assert screen.attention.activity.rows()[0].title == "Purge stream orders"
    screen.attention.show_list("alerts")
    assert screen.attention.alerts.state() in ("empty", "ready")
    signs = screen.signs.signs
    signs["messages_in"].setFocus()
    qtbot.keyClick(signs["messages_in"], Qt.Key.Key_Right)
    assert screen.window().focusWidget() is signs["messages_out"]
    qtbot.keyClick(signs["messages_out"], Qt.Key.Key_Down)
    below = screen.signs._signs[min(1 + screen.signs.columns, len(signs) - 1)]
    assert (screen.window().focusWidget() is below) == (screen.signs.columns < len(signs))
    qtbot.keyClick(signs["messages_out"], Qt.Key.Key_Return)
    assert screen.window().current_workspace().current_screen.route_name == "consumers"


async def test_all_panels_show_the_stretch_that_was_brushed(
    client: Client, show: Show, until: Until, qtbot: QtBot
) -> None:
    await fill(client)
    await fill(client, "quiet")
    screen = await show(Route("overview"))
    assert isinstance(screen, OverviewScreen)
    await until(lambda: screen.stations.rows(), "the stations")
    session, end = screen.context.session, time.time() - 3600
    minutes = np.arange(end - 3600, end, 60.0)
    joined = np.arange(len(minutes)) > 0

    def past(key: SeriesKey, **values: float) -> None:
        """What an earlier run recorded of the hour before the last."""
        rows = np.full((len(minutes), len(metrics_of(key))), np.nan)
        for metric, value in values.items():
            rows[:, metrics_of(key).index(metric)] = value
        session.history.put_before(key, minutes, rows, joined)

    past(ConsumerKey("orders", "gone"), lag=500.0, lag_seconds=900.0)
    past(StreamKey("quiet"), messages_in=7.0, bytes_in=70.0)
    past(StreamKey("orders"), messages_in=2.0, bytes_in=70.0)
    past(ServerKey(), messages_in=9.0, connections=4.0)
    screen.attention.show_list("activity")
    await actions.purge_stream("quiet").run(session)
    await until(lambda: screen.attention.activity.rows(), "the change of now")

    screen.graph.brush(end - 3000, end - 600, True)
    await until(lambda: screen.lag_board_then.rows(), "the stretch")
    assert screen.lags.currentWidget() is screen.lag_board_then
    [group] = screen.lag_board_then.rows()
    assert (group.stream, group.name, group.lag, group.lag_seconds) == ("orders", "gone", 500.0, 900.0)
    assert [(one.name, round(one.in_messages_rate)) for one in screen.stations_then.rows()] == [
        ("quiet", 7),
        ("orders", 2),
    ]
    assert screen.signs.signs["messages_in"].accessibleName() == "Messages in 9 /s max 9"
    assert screen.signs.signs["storage"].accessibleName() == "Stored –"
    assert "Averages" in screen.notice.text()
    assert screen.attention.activity.state() == "empty"  # what was done, was done later
    screen.attention.show_list("alerts")
    held = await until(lambda: screen.attention.alerts_then.rows(), "the rule that held")
    assert held[0].subject.consumer == "gone"
    # A round of now does not bring the figures of now back.
    before = session.snapshot
    await until(lambda: session.snapshot is not before, "another round")
    assert screen.signs.signs["messages_in"].accessibleName() == "Messages in 9 /s max 9"

    window = screen.window()
    window.activateWindow()
    await until(window.isActiveWindow, "the window in front")
    qtbot.keyClick(window.focusWidget(), Qt.Key.Key_N)
    assert screen.lags.currentWidget() is screen.lag_board
    assert not screen.notice.isVisible()
    assert screen.time_range.following
    screen.attention.show_list("activity")
    assert screen.attention.activity.rows()

    # A longer range is a stretch that goes on; the button goes back too, and the graph keeps its range.
    screen.time_range.follow(4 * 3600.0)
    await until(lambda: [one.name for one in screen.lag_board_then.rows()] == ["gone"], "the last hours")
    assert screen.notice.isVisible()
    qtbot.mouseClick(screen.notice.button, Qt.MouseButton.LeftButton)
    assert not screen.notice.isVisible()
    assert screen.time_range.span == 4 * 3600.0

    # Before anything was recorded there is nothing to say but that.
    screen.graph.brush(end - 90_000, end - 80_000, True)
    await until(lambda: "Nothing is recorded" in screen.notice.text(), "the words")
    assert screen.stations_then.state() == "empty"
