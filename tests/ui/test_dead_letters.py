"""Dead letters as a user meets them: seen, captured, explained, sent again, edited, dropped, exported."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from nats.js.api import ConsumerConfig
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QApplication, QDialog
from pytestqt.qtbot import QtBot

from memphis_desktop.app import Program
from memphis_desktop.cluster.alerts import Rule
from memphis_desktop.cluster.dead_letters.capture import CAPTURE_STREAM
from memphis_desktop.cluster.dead_letters.later import OrderState
from memphis_desktop.cluster.dead_letters.letters import LetterKind
from memphis_desktop.cluster.profiles import ConnectionProfile, Environment
from memphis_desktop.cluster.session import Session
from memphis_desktop.server_process import ServerProcess
from memphis_desktop.ui.components.dialogs import ConfirmDialog
from memphis_desktop.ui.screen import Route, Screen
from memphis_desktop.ui.screens.composer.dialog import Composer
from memphis_desktop.ui.screens.dead_letters import DeadLettersScreen
from memphis_desktop.ui.screens.dead_letters.delayed import WaitingDialog
from memphis_desktop.ui.screens.dead_letters.dialogs import DropDialog, PatternsDialog
from memphis_desktop.ui.screens.dead_letters.export_dialog import LettersExportDialog
from memphis_desktop.ui.screens.dead_letters.note_dialog import NoteDialog
from memphis_desktop.ui.screens.dead_letters.resend_dialog import ResendDialog
from memphis_desktop.ui.screens.station_detail import StationDetailScreen
from memphis_desktop.ui.screens.station_detail.dead_letters import DeadLettersTab
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
    """Open the dead letters of the server: ``screen = await show(read_only=True)``."""

    async def open_(**options: Any) -> Screen:
        profile = ConnectionProfile(name="test", urls=(any_server.url,), **options)
        workspace = await program.window.open_profile(profile, Route("dead_letters"))
        screen = workspace.current_screen
        assert isinstance(screen, DeadLettersScreen)
        QAbstractItemModelTester(screen.view.table.model)
        QAbstractItemModelTester(screen.view.groups.model)
        return screen

    return open_


def dialog_of(kind: type[QDialog]) -> Any:
    found = [w for w in QApplication.topLevelWidgets() if isinstance(w, kind) and w.isVisible()]
    return found[-1] if found else None


async def fail(client: Client, *payloads: bytes, reason: str = "", stream: str = "orders") -> None:
    """Publish messages that their consumer gives up: by terminating them, or at the first delivery."""
    jetstream = client.jetstream()
    wait = 60 if reason else 0.1  # terminated too late it would have run out as well
    config = ConsumerConfig(durable_name="billing", ack_policy="explicit", ack_wait=wait, max_deliver=1)
    await jetstream.add_stream(name=stream, subjects=[f"{stream}.*"], allow_direct=True)
    await jetstream.add_consumer(stream, config)
    for payload in payloads:
        await jetstream.publish(f"{stream}.paid", payload, headers={"Trace-Id": "abc"})
    subscription = await jetstream.pull_subscribe_bind("billing", stream=stream)
    for message in await subscription.fetch(len(payloads), timeout=5):
        if reason:
            await client.publish(message.reply, f"+TERM {reason}".encode())
    await client.flush()
    await subscription.unsubscribe()


async def press(screen: DeadLettersScreen, key: Qt.Key, until: Until, qtbot: QtBot) -> None:
    """Press a key on the list; shortcuts belong to the active window, which nobody restores here."""
    screen.window().activateWindow()
    await until(screen.window().isActiveWindow, "the active window")
    screen.view.table.view.setFocus()
    qtbot.keyClick(screen.view.table.view, key)


async def capture(screen: DeadLettersScreen, until: Until, qtbot: QtBot) -> None:
    """Press the banner's button and agree."""
    await until(screen.view.banner.isVisible, "the banner")
    qtbot.mouseClick(screen.view.banner.button(), Qt.MouseButton.LeftButton)
    dialog = await until(lambda: dialog_of(ConfirmDialog), "the question")
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: screen.view.banner.isHidden(), "capturing")


async def test_letters_are_captured_grouped_and_followed(
    client: Client, show: Show, until: Until, qtbot: QtBot
) -> None:
    screen = await show()
    view = screen.view
    await until(lambda: view.table.state() == "empty", "the empty state")
    assert "keeps no record" in view.banner.text()
    await capture(screen, until, qtbot)
    assert screen.capture_button.text() == "Capturing"
    assert (await client.jetstream().stream_info(CAPTURE_STREAM)).config.max_bytes == 64 * 1024 * 1024
    await until(lambda: "Captured in" in view.table._message.sentence(), "what the empty list says")
    await fail(client, b'{"id": 1}', b'{"id": 2}', reason="no stock")
    await fail(client, b"plain")
    await until(lambda: len(view.table.rows()) == 3, "the letters")
    await until(lambda: len(view.groups.rows()) == 3, "the groups")
    assert [row.count for row in view.groups.rows()] == [3, 2, 1]
    await until(lambda: any(len(one.values) and one.values.max() > 0 for one in view.graph._series))
    # The arrow keys walk through the groups, and the list follows.
    view.groups.view.setFocus()
    qtbot.keyClick(view.groups.view, Qt.Key.Key_Down)
    assert len(view.table.rows()) == 2
    qtbot.keyClick(view.groups.view, Qt.Key.Key_Home)
    letter = next(row for row in view.table.rows() if row.kind is LetterKind.MAX_DELIVERIES)
    view.table.select_key(letter.key)
    await until(lambda: view.pane.detail.message is not None, "the message")
    assert view.pane.detail.message.payload == b"plain"
    await press(screen, Qt.Key.Key_J, until, qtbot)
    assert view.pane.tabs.currentIndex() == 1
    assert [step.kind for step in view.pane.journey.steps] == ["published", "stored", "consumer", "dead"]
    assert "Delivered once and never acknowledged" in view.pane.journey.text()
    await press(screen, Qt.Key.Key_J, until, qtbot)
    assert view.pane.tabs.currentIndex() == 0
    qtbot.mouseClick(view.filter._chips["TERMINATED"], Qt.MouseButton.LeftButton)
    assert {row.reason for row in view.table.rows()} == {"no stock"}


async def test_letters_are_resent_by_keys_and_dropped(
    client: Client, show: Show, until: Until, qtbot: QtBot, program: Program
) -> None:
    screen = await show()
    view = screen.view
    await capture(screen, until, qtbot)
    await fail(client, b"1", b"2", b"3")
    await until(lambda: len(view.table.rows()) == 3, "the letters")
    await press(screen, Qt.Key.Key_A, until, qtbot)
    assert len(view.table.selected_rows()) == 3
    await press(screen, Qt.Key.Key_R, until, qtbot)
    dialog = await until(lambda: dialog_of(ResendDialog), "the dialog")
    assert "nats stream get orders" in dialog._code.text()
    dialog.rate.setValue(0)
    dialog.drop.setChecked(False)
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: not dialog_of(ResendDialog), "the end")
    assert program.window.toasts.texts()[-1] == "3 of 3 dead letters resent."
    assert (await client.jetstream().stream_info("orders")).state.messages == 6
    await until(lambda: [len(row.resent) for row in view.table.rows()] == [1, 1, 1], "the marks")
    assert program.window.activity.entries()[-1].title == "Resend 3 dead letters"
    # One of them goes for good, with its message.
    view.table.select_key(view.table.rows()[0].key)
    sequence = view.table.current_row().sequence
    await press(screen, Qt.Key.Key_Delete, until, qtbot)
    dialog = await until(lambda: dialog_of(DropDialog), "the question")
    assert "STREAM.MSG.DELETE" not in dialog._code.text()
    assert dialog._code.text().count("nats stream rmm") == 1
    dialog.messages.setChecked(True)
    assert dialog._code.text().count("nats stream rmm") == 2
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: len(view.table.rows()) == 2, "the drop")
    assert sequence not in [row.sequence for row in view.table.rows()]
    assert (await client.jetstream().stream_info("orders")).state.messages == 5
    assert program.window.activity.entries()[-1].title == "Drop 1 dead letter"


async def test_a_resend_of_letters_that_stay_is_undone(
    program: Program, client: Client, show: Show, until: Until, qtbot: QtBot
) -> None:
    """Its copies are removed; where the letters were dropped there is nothing to press."""
    screen = await show()
    await fail(client, b'{"id": 1}', b'{"id": 2}', reason="no stock")
    await until(lambda: len(screen.view.table.rows()) == 2, "the letters")
    await press(screen, Qt.Key.Key_A, until, qtbot)
    await press(screen, Qt.Key.Key_R, until, qtbot)
    dialog = await until(lambda: dialog_of(ResendDialog), "the dialog")
    dialog.rate.setValue(0)
    dialog.drop.setChecked(False)
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: not dialog_of(ResendDialog), "the end")
    assert (await client.jetstream().stream_info("orders")).state.messages == 4
    program.window.toasts._toasts[-1]._act()
    await until(lambda: "Removed 2 copies." in program.window.toasts.texts(), "the undo")
    assert (await client.jetstream().stream_info("orders")).state.messages == 2
    assert len(screen.view.table.rows()) == 2


async def test_a_letter_is_edited_and_resent(client: Client, show: Show, until: Until, qtbot: QtBot) -> None:
    screen = await show()
    view = screen.view
    await fail(client, b'{"amount": -1}')
    [letter] = await until(view.table.rows, "the letter")
    view.table.select_key(letter.key)
    await until(lambda: view.pane.detail.message is not None, "the message")
    await press(screen, Qt.Key.Key_E, until, qtbot)
    composer: Composer = await until(lambda: dialog_of(Composer), "the composer")
    composer.body_editor.setPlainText('{"amount": 1}')
    await until(lambda: composer.publish_button.isEnabled(), "the button")
    qtbot.mouseClick(composer.publish_button, Qt.MouseButton.LeftButton)
    await until(lambda: view.table.rows()[0].resent, "the mark")
    copy = await client.jetstream().get_msg("orders", 2)
    assert copy.data == b'{"amount": 1}'
    assert copy.headers is not None
    assert copy.headers["Memphis-Dead-Letter-Attempt"] == "1"
    assert copy.headers["Trace-Id"] == "abc"
    composer.close()


async def test_letters_are_exported_with_why_they_failed(
    client: Client, show: Show, until: Until, qtbot: QtBot, tmp_path: Path
) -> None:
    screen = await show()
    view = screen.view
    await fail(client, b'{"id": 7}', reason="no stock")
    [letter] = await until(view.table.rows, "the letter")
    view.table.select_key(letter.key)
    qtbot.mouseClick(view.export_button, Qt.MouseButton.LeftButton)
    dialog: LettersExportDialog = await until(lambda: dialog_of(LettersExportDialog), "the dialog")
    path = tmp_path / "letters.ndjson"
    dialog.path_field.setText(str(path))
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(path.exists, "the file")
    record = json.loads(path.read_text())
    assert record["payload"] == {"id": 7}
    assert record["headers"]["Memphis-Dead-Letter-Reason"] == ["no stock"]


async def test_dead_letter_stations_are_chosen(
    client: Client, show: Show, until: Until, qtbot: QtBot
) -> None:
    await client.jetstream().add_stream(name="broken-orders", subjects=["broken"])
    await client.jetstream().publish("broken", b"x", headers={"Reason": "bad", "Original-Stream": "orders"})
    screen = await show()
    view = screen.view
    await until(lambda: view.table.state() == "empty", "the list")
    view.doing.edit_patterns()
    dialog: PatternsDialog = await until(lambda: dialog_of(PatternsDialog), "the dialog")
    dialog.field.setPlainText("broken-*")
    assert dialog._found.text() == "broken-orders"
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    [letter] = await until(view.table.rows, "the letter")
    assert (letter.station, letter.cause) == ("orders", "bad")
    # Its subject is not known, so one has to be named.
    view.table.select_key(letter.key)
    view.resend()
    dialog = await until(lambda: dialog_of(ResendDialog), "the dialog")
    assert not dialog.verb_button.isEnabled()
    dialog.target.setCurrentIndex(dialog.target.findData("subject"))
    assert dialog.subject.isVisible()
    qtbot.keyClicks(dialog.subject, "broken")
    assert dialog.verb_button.isEnabled()
    dialog.reject()


async def test_production_asks_for_the_name_and_read_only_refuses(
    client: Client, show: Show, until: Until, qtbot: QtBot, program: Program, any_server: ServerProcess
) -> None:
    screen = await show(environment=Environment.PRODUCTION)
    view = screen.view
    await fail(client, b"1")
    [letter] = await until(view.table.rows, "the letter")
    view.table.select_key(letter.key)
    view.resend()
    dialog = await until(lambda: dialog_of(ResendDialog), "the dialog")
    assert not dialog.verb_button.isEnabled()
    qtbot.keyClicks(dialog._typed, "orders")
    assert dialog.verb_button.isEnabled()
    dialog.reject()
    profile = ConnectionProfile(name="safe", urls=(any_server.url,), read_only=True)
    workspace = await program.window.open_profile(profile, Route("dead_letters"))
    safe = workspace.current_screen
    assert isinstance(safe, DeadLettersScreen)
    await until(lambda: safe.view.banner.isVisible(), "the banner")
    assert safe.view.banner.button().isHidden()
    assert "read-only" in safe.view.banner.text()
    assert not safe.view.resend_button.isEnabled()
    assert not safe.view.drop_button.isEnabled()


async def test_a_stations_tab_its_column_and_an_alert_lead_to_its_letters(
    client: Client, show: Show, until: Until, qtbot: QtBot, program: Program
) -> None:
    window = program.window
    window.alerts.set_rules([Rule("dead_letters", 0, for_seconds=0, desktop=False)])
    screen = await show()
    await fail(client, b"1")
    await fail(client, b"2", stream="other")
    await until(lambda: len(screen.view.table.rows()) == 2, "the letters")
    await until(lambda: window.alerts.open_count() == 2, "the alerts")
    window.navigate(Route("station", {"stream": "orders", "tab": "dead-letters"}))
    station = window.current_workspace().current_screen
    assert isinstance(station, StationDetailScreen)
    tab = station.current_tab
    assert isinstance(tab, DeadLettersTab)
    await until(lambda: [row.stream for row in tab.view.table.rows()] == ["orders"], "its letters")
    window.navigate(Route("stations"))
    stations = window.current_workspace().current_screen
    assert isinstance(stations, StationsScreen)
    await until(
        lambda: {row.name: row.dead_letters for row in stations.table.rows()} == {"orders": 1, "other": 1},
        "the column",
    )
    [alert] = [one for one in window.alerts.alerts() if one.subject.stream == "other"]
    window.alerts.show_subject(alert)
    assert window.current_workspace().current_screen is screen
    await until(lambda: screen.view.table.current_row() is not None, "the cursor")


async def test_a_login_that_hears_nothing_is_told_so(
    program: Program, start_nats_server: Starter, until: Until
) -> None:
    config = """
    accounts { A { jetstream: enabled, users: [
      { user: ada, password: pw, permissions: { subscribe: { deny: ["$JS.EVENT.ADVISORY.>"] },
        publish: { deny: ["$JS.API.STREAM.CREATE.>"] } } } ] } }
    """
    server = start_nats_server(config=config)
    url = server.url.replace("nats://", "nats://ada:pw@")
    workspace = await program.window.open_profile(
        ConnectionProfile(name="narrow", urls=(url,)), Route("dead_letters")
    )
    screen = workspace.current_screen
    assert isinstance(screen, DeadLettersScreen)
    await until(lambda: "hears no advisories" in screen.view.banner.text(), "the banner")
    assert screen.view.banner.button().isHidden()
    await until(lambda: screen.view.table.state() == "error", "the list to say so")


async def test_a_right_click_offers_what_can_be_done(
    client: Client, show: Show, until: Until, qtbot: QtBot, program: Program
) -> None:
    screen = await show()
    await fail(client, b"1")
    [letter] = await until(screen.view.table.rows, "the letter")
    screen.view.table.select_key(letter.key)
    titles = [command.title for command in screen.view.row_commands()]
    assert titles == [
        "Resend", "Edit and resend", "Journey", "Write a note", "Show in the station", "Open the consumer",
        "Export", "Drop",
    ]  # fmt: skip
    point = QPoint(20, 10)
    screen.view.table.view.customContextMenuRequested.emit(point)
    menu = await until(QApplication.activePopupWidget, "the menu")
    assert "Resend" in [action.text().split("\t")[0] for action in menu.actions()]
    menu.close()
    next(c for c in screen.view.row_commands() if c.title == "Show in the station").callback()
    assert program.window.current_workspace().route == Route(
        "messages", {"stream": "orders", "sequence": "1"}
    )


async def test_a_note_is_kept_where_colleagues_see_it(
    client: Client, show: Show, until: Until, qtbot: QtBot
) -> None:
    screen = await show()
    view = screen.view
    note = next(one for one in view.row_commands() if one.title == "Write a note")
    assert not note.enabled
    await fail(client, b"plain")
    await until(view.table.rows, "the letter")
    view.select_newest()
    note = next(one for one in view.row_commands() if one.title == "Write a note")
    assert note.reason.startswith("Start capturing first")
    await capture(screen, until, qtbot)
    await fail(client, b"second")
    letter = await until(lambda: next((one for one in view.table.rows() if one.records), None), "a record")
    view.table.select_key(letter.key)
    await press(screen, Qt.Key.Key_N, until, qtbot)
    dialog: NoteDialog = await until(lambda: dialog_of(NoteDialog), "the dialog")
    qtbot.keyClicks(dialog.field, "Ask the <b>billing</b> team")
    qtbot.keyClicks(dialog.tag_field, "billing, bug-17, billing")
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: view.pane.note.isVisible(), "the note")
    assert view.pane.note.text().startswith("Ask the <b>billing</b> team  [billing, bug-17]  (")
    view.filter.set_chips({"noted"})
    view._narrow()
    assert [one.tags for one in view.table.rows()] == [("billing", "bug-17")]

    other = Session(ConnectionProfile(name="colleague", urls=(client.connected_url.geturl(),)))
    await other.connect()
    release = other.dead_letters.use()
    seen = await until(
        lambda: next((one for one in other.dead_letters.view.letters if one.note), None), "the note elsewhere"
    )
    assert (seen.note.text, seen.tags) == ("Ask the <b>billing</b> team", ("billing", "bug-17"))
    await other.dead_letters.write_note([seen], "", ())
    await until(lambda: not any(one.note for one in other.dead_letters.view.letters), "the note to go")
    release()
    await other.close()
    await until(lambda: not any(one.note for one in screen.view.book.view.letters), "the note to go here")


async def order_later(screen: DeadLettersScreen, seconds: int, until: Until, qtbot: QtBot) -> None:
    """Resend the marked letter after some seconds."""
    await press(screen, Qt.Key.Key_R, until, qtbot)
    dialog: ResendDialog = await until(lambda: dialog_of(ResendDialog), "the dialog")
    dialog.start.addItem("soon", seconds)
    dialog.start.setCurrentIndex(dialog.start.count() - 1)
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(screen.view.waiting.isVisible, "the banner")


async def test_resending_waits_in_a_list_and_can_be_cancelled(
    client: Client, show: Show, until: Until, qtbot: QtBot
) -> None:
    screen = await show()
    view = screen.view
    await fail(client, b"plain")
    [letter] = await until(view.table.rows, "the letter")
    view.table.select_key(letter.key)
    await order_later(screen, 3600, until, qtbot)
    assert view.waiting.text().startswith("1 dead letter will be sent again, beginning in ")
    qtbot.mouseClick(view.waiting.button(), Qt.MouseButton.LeftButton)
    waiting: WaitingDialog = await until(lambda: dialog_of(WaitingDialog), "the list")
    QAbstractItemModelTester(waiting.table.model)
    [order] = waiting.table.rows()
    assert (order.state, order.total) == (OrderState.WAITING, 1)
    qtbot.mouseClick(waiting.cancel_order_button, Qt.MouseButton.LeftButton)
    await until(lambda: not waiting.table.rows(), "the end of waiting")
    qtbot.mouseClick(waiting.cancel_button, Qt.MouseButton.LeftButton)
    await until(view.waiting.isHidden, "the banner to go")
    assert (await client.jetstream().stream_info("orders")).state.messages == 1
    await order_later(screen, 3600, until, qtbot)
    await press(screen, Qt.Key.Key_W, until, qtbot)
    waiting = await until(lambda: dialog_of(WaitingDialog), "the list by its key")
    qtbot.mouseClick(waiting.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: not view.table.rows(), "the letter to be sent")
    await until(lambda: waiting.table.rows()[0].state is OrderState.DONE, "what became of it")
    qtbot.mouseClick(waiting.cancel_button, Qt.MouseButton.LeftButton)
    await until(view.waiting.isHidden, "the banner to go")
    assert (await client.jetstream().stream_info("orders")).state.messages == 2


async def test_what_waits_outlives_its_tab_and_the_connection(
    client: Client, program: Program, any_server: ServerProcess, show: Show, until: Until, qtbot: QtBot
) -> None:
    screen = await show(id="kept")
    view = screen.view
    await fail(client, b"plain")
    [letter] = await until(view.table.rows, "the letter")
    view.table.select_key(letter.key)
    await order_later(screen, 2, until, qtbot)
    window = program.window
    window.close_tab()

    async def stored() -> int:
        return int((await client.jetstream().stream_info("orders")).state.messages)

    await until(lambda: window.current_workspace().connection is None, "the tab to close")
    assert window.session_of("kept") is not None  # it stays connected until it was sent
    await until(lambda: window.session_of("kept") is None, "the connection to close")
    assert await stored() == 2

    screen = await show(id="kept")
    await fail(client, b"second", stream="bills")
    rows = screen.view.table.rows
    letter = await until(lambda: next((one for one in rows() if one.stream == "bills"), None), "the letter")
    screen.view.table.select_key(letter.key)
    await order_later(screen, 3600, until, qtbot)
    await window.close_profile("kept")
    screen = await show(id="kept")
    await until(screen.view.waiting.isVisible, "what waits still")
    [order] = screen.context.session.later.orders
    assert (order.letters[0].stream, order.state) == ("bills", OrderState.WAITING)
