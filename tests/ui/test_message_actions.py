"""What can be done with messages: explaining, putting aside, comparing across connections, erasing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from nats.js.api import ConsumerConfig, StreamConfig
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QMenu
from pytestqt.qtbot import QtBot

from memphis_desktop.app import Program
from memphis_desktop.cluster.profiles import ConnectionProfile
from memphis_desktop.inspect.explain import Fate
from memphis_desktop.inspect.files import read_file
from memphis_desktop.inspect.message import format_time
from memphis_desktop.inspect.search import SearchState
from memphis_desktop.opening import Opening
from memphis_desktop.server_process import ServerProcess
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens.messages import MessageBrowser
from memphis_desktop.ui.screens.messages.collection_dialog import CollectionDialog, holder
from memphis_desktop.ui.screens.messages.compare import CompareDialog
from memphis_desktop.ui.screens.messages.explain_dialog import ExplainDialog
from tests.conftest import Connect
from tests.ui.conftest import OpenConnected

Until = Callable[..., Awaitable[Any]]
Open = Callable[..., Awaitable[Program]]
Browse = Callable[..., Awaitable[MessageBrowser]]
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


async def fill(client: Client, name: str, count: int) -> None:
    jetstream = client.jetstream(timeout=30)
    await jetstream.add_stream(StreamConfig(name=name, subjects=[f"{name}.>"], allow_direct=True))
    acks = [
        await jetstream.publish_async(
            f"{name}.{'odd' if index % 2 else 'even'}",
            json.dumps({"n": index, "customer": {"name": "Ada"}}).encode(),
            headers={"traceparent": f"00-{TRACE if index % 10 == 0 else 32 * 'a'}-00f067aa0ba902b7-01"},
        )
        for index in range(1, count + 1)
    ]
    await asyncio.gather(*acks)


@pytest.fixture
async def client(any_server: ServerProcess, connect: Connect) -> Client:
    opened = await connect(any_server)
    assert isinstance(opened, Client)
    await fill(opened, "S", 100)
    return opened


@pytest.fixture
def browse(open_connected: OpenConnected, until: Until, any_server: ServerProcess, client: Client) -> Browse:
    async def open_browser() -> MessageBrowser:
        window = (await open_connected(any_server.url, "S")).window
        window.navigate(Route("messages", {"stream": "S"}))
        screen: Any = window.current_workspace().current_screen
        await until(lambda: screen.browser.places.settled and screen.browser.list.model.rows, "the rows")
        assert isinstance(screen.browser, MessageBrowser)
        return screen.browser

    return open_browser


async def test_why_a_consumer_has_not_got_it(
    client: Client, browse: Browse, until: Until, qtbot: QtBot
) -> None:
    jetstream = client.jetstream()
    for name, options in {
        "filtered": {"filter_subject": "S.even"},
        "late": {"deliver_policy": "by_start_sequence", "opt_start_seq": 60},
        "waiting": {"max_ack_pending": 5},
        "done": {},
    }.items():
        config = ConsumerConfig(durable_name=name, ack_policy="explicit", **options)  # type: ignore[arg-type]
        await jetstream.add_consumer("S", config)
    waiting = await jetstream.pull_subscribe_bind("waiting", "S")
    held = await waiting.fetch(5)
    assert len(held) == 5
    done = await jetstream.pull_subscribe_bind("done", "S")
    for message in await done.fetch(100):
        await message.ack_sync(timeout=30)
    browser = await browse()

    async def fates(sequence: int) -> dict[str, Any]:
        browser.list.select_sequence(sequence)
        qtbot.keyClick(browser.list.table, Qt.Key.Key_W)
        dialog = await until(
            lambda: next((d for d in browser.window().findChildren(ExplainDialog) if d.isVisible()), None),
            "the dialog",
        )
        await until(lambda: len(dialog.consumers.rows()) == 4, "the consumers")
        rows = {row.consumer: row for row in dialog.consumers.rows()}
        dialog.consumers.select_key("waiting")
        assert dialog.sentence.text() == rows["waiting"].sentence
        assert dialog.findings.rows()
        dialog.close()
        return rows

    rows = await fates(51)
    assert rows["filtered"].fate is Fate.NEVER
    assert "S.even does not match S.odd" in rows["filtered"].sentence
    assert rows["late"].fate is Fate.NEVER
    assert rows["waiting"].fate is Fate.WAITING
    assert "5 messages wait for their acknowledgement, which is its limit" in rows["waiting"].sentence
    assert "45 messages come before it" in rows["waiting"].sentence
    assert rows["done"].fate is Fate.SETTLED
    rows = await fates(3)
    assert rows["waiting"].fate is Fate.PENDING


async def test_putting_aside_exporting_and_going_back(
    browse: Browse, until: Until, qtbot: QtBot, tmp_path: Path
) -> None:
    browser = await browse()
    browser.list.select_sequence(95)
    qtbot.keyClick(browser.list.table, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClick(browser.list.table, Qt.Key.Key_Asterisk)
    assert [entry.message.sequence for entry in holder().collection.kept] == [95, 96]
    dialog = browser.message_actions.show_collection()
    assert isinstance(dialog, CollectionDialog)
    await dialog.export_to(tmp_path / "kept.mdump")
    assert [message.sequence for message in read_file(tmp_path / "kept.mdump")] == [95, 96]
    dialog.table.select_key(dialog.table.rows()[0].identity)
    assert dialog.detail.message is not None
    dialog.go(dialog.table.rows()[0])
    await until(lambda: (m := browser.list.current_message()) and m.sequence == 95, "the place")
    dialog = browser.message_actions.show_collection()
    dialog.table.view.selectAll()
    qtbot.mouseClick(dialog.remove_button, Qt.MouseButton.LeftButton)
    assert dialog.table.rows() == []
    dialog.close()


async def test_comparing_across_connections(
    browse: Browse,
    until: Until,
    qtbot: QtBot,
    start_nats_server: Callable[..., ServerProcess],
    connect: Connect,
) -> None:
    other = start_nats_server()
    await fill(await connect(other), "S", 3)
    browser = await browse()
    window = browser.window()
    browser.list.select_sequence(90)
    qtbot.keyClick(browser.list.table, Qt.Key.Key_M)
    await window.open_profile(
        ConnectionProfile(name="other", urls=(other.url,)), Route("messages", {"stream": "S"})
    )
    second: Any = window.current_workspace().current_screen
    await until(lambda: second.browser.places.settled and second.browser.list.model.rows, "its rows")
    assert second.browser is not browser
    second.browser.list.select_sequence(2)
    qtbot.keyClick(second.browser.list.table, Qt.Key.Key_D)
    dialog = await until(lambda: window.findChild(CompareDialog), "the difference")
    assert "other: S #2" in dialog.title.text()
    await until(lambda: dialog.table.rows(), "the differences")
    changes = {change.path: (change.left, change.right) for change in dialog.table.rows()}
    assert changes["$.n"] == (90, 2)
    dialog.close()


async def test_several_marked_messages_are_compared(browse: Browse, until: Until, qtbot: QtBot) -> None:
    browser = await browse()
    table = browser.list.table
    for sequence in (80, 85):
        browser.list.select_sequence(sequence)
        qtbot.keyClick(table, Qt.Key.Key_M)
    assert browser.list.delegate.marked == {80, 85}
    browser.list.select_sequence(90)
    qtbot.keyClick(table, Qt.Key.Key_D)
    dialog = await until(lambda: browser.window().findChild(CompareDialog), "the difference")
    left, right = dialog.side_boxes
    assert [left.itemText(index) for index in range(3)] == ["S #80", "S #85", "S #90"]
    assert (left.currentText(), right.currentText()) == ("S #85", "S #90")
    left.setCurrentIndex(0)
    changes = {change.path: (change.left, change.right) for change in dialog.table.rows()}
    assert changes["$.n"] == (80, 90)
    dialog.close()

    browser.list.select_sequence(80)
    qtbot.keyClick(table, Qt.Key.Key_M)  # again: not marked any more
    assert browser.list.delegate.marked == {85}
    browser.list.select_sequence(91)
    for _ in range(7):
        qtbot.keyClick(table, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClick(table, Qt.Key.Key_M)  # eight more are too many
    assert browser.list.delegate.marked == {85}
    holder().clear_marks()
    assert browser.list.delegate.marked == set()


async def test_rows_are_copied_exactly_as_a_table_and_as_json(
    browse: Browse, until: Until, qtbot: QtBot
) -> None:
    browser = await browse()
    table, model = browser.list.table, browser.list.model
    browser.columns.add_source("$.customer.name")
    decoder = next(i for i, column in enumerate(model.columns) if column.key == "decoder")
    assert table.isColumnHidden(decoder)
    browser.list._show_column(decoder, True)
    assert model.index(model.row_of(95), decoder).data() == "JSON"
    browser.list.select_sequence(95)
    qtbot.keyClick(table, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    cells = QGuiApplication.clipboard().text().split("\t")
    message = model.message_at(model.row_of(95))
    assert message is not None
    assert cells[:3] == ["95", format_time(message.time_ns), "S.odd"]
    assert cells[-1] == message.payload.decode()
    assert {"Ada", "JSON"} <= set(cells)
    qtbot.keyClick(table, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClick(table, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    lines = QGuiApplication.clipboard().text().splitlines()
    assert lines[0].startswith("Sequence\tTime\tSubject")
    assert [line.split("\t")[0] for line in lines[1:]] == ["95", "96"]
    modifiers = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    qtbot.keyClick(table, Qt.Key.Key_C, modifiers)
    assert [record["sequence"] for record in json.loads(QGuiApplication.clipboard().text())] == [95, 96]


async def test_a_link_leads_to_a_message_and_to_a_search(browse: Browse, until: Until, qtbot: QtBot) -> None:
    browser = await browse()
    window: Any = browser.window()
    browser.list.select_sequence(37)
    qtbot.keyClick(browser.list.table, Qt.Key.Key_L)
    to_message = QGuiApplication.clipboard().text()
    browser.set_subject("S.even")
    browser.search_bar.set_range("#11", "#60")
    browser.search_for('json.n > 20 && headers["traceparent"] != "a&b=c"')
    await until(lambda: browser.searching.active and browser.searching.complete, "the search")
    browser.list.setFocus()
    qtbot.keyClick(browser.list.table, Qt.Key.Key_L)
    to_search = QGuiApplication.clipboard().text()
    assert to_search.startswith("memphis-desktop://open/messages?connection=")

    tabs = len(window.workspaces())
    window.opener.open(Opening(links=(to_message,)))
    await until(lambda: len(window.workspaces()) == tabs + 1, "a tab of its own")
    screen: Any = await until(lambda: window.current_workspace().current_screen, "its page")
    await until(lambda: screen.browser is not None and screen.browser.list.current_message(), "the message")
    assert screen.browser is not browser
    assert screen.browser.list.current_message().sequence == 37

    window.opener.open(Opening(links=(to_search,)))
    await until(lambda: len(window.workspaces()) == tabs + 2, "another tab")
    screen = await until(lambda: window.current_workspace().current_screen, "its page")
    await until(lambda: screen.browser.searching.complete, "the same search")
    assert [row.sequence for row in screen.browser.list.model.rows] == list(range(22, 61, 2))

    for link, says in (
        ("memphis-desktop://open/messages?connection=nowhere&stream=S", "nowhere"),
        (to_search.replace("/messages?", "/no-such-page?"), "no-such-page"),
        ("memphis-desktop://else/messages", "memphis-desktop://open/"),
    ):
        window.opener.open(Opening(links=(link,)))
        await until(lambda says=says: any(says in text for text in window.toasts.texts()), "a sentence")  # type: ignore[misc]
    assert len(window.workspaces()) == tabs + 2


async def test_trace_headers_columns_and_differences_in_time(
    browse: Browse, until: Until, qtbot: QtBot
) -> None:
    browser = await browse()
    browser.list.select_sequence(50)
    rows = browser.detail.headers_table.rows()
    actions = {action.title: action for action in browser.detail._header_actions(rows[:1])}
    actions["Copy trace id"].callback()
    assert QGuiApplication.clipboard().text() == TRACE
    actions["Find the messages of this trace"].callback()
    await until(lambda: len(browser.list.model.rows) == 10, "the trace")
    browser.searching.close()
    await until(lambda: browser.places.settled and len(browser.list.model.rows) == 100, "the station again")

    assert "$.customer.name" in browser.columns.suggestions()
    assert "header:traceparent" in browser.columns.suggestions()
    tree = browser.detail.tree
    tree.column_requested.emit("$.n")
    assert "$.n" in [column.title for column in browser.list.model.columns]
    tree.filter_requested.emit("json.n == 42")
    await until(lambda: [row.sequence for row in browser.list.model.rows] == [42], "the match")
    browser.searching.close()
    await until(lambda: browser.places.settled and len(browser.list.model.rows) == 100, "the station again")

    model = browser.list.model
    delta = next(i for i, column in enumerate(model.columns) if column.key == "delta")
    row = model.row_of(60)
    assert model.index(row, delta).data().startswith("+")
    browser.list.select_sequence(61)
    qtbot.keyClick(browser.list.table, Qt.Key.Key_M)
    assert model.marked_ns is not None
    assert model.index(row, delta).data()[:1] in "-+"
    assert model.delta_ns(model.message_at(model.row_of(61))) == 0
    qtbot.keyClick(browser.list.table, Qt.Key.Key_M)
    assert model.marked_ns is None


async def test_nothing_in_the_range_says_where_the_nearest_is(
    client: Client, browse: Browse, until: Until, qtbot: QtBot
) -> None:
    await client.jetstream().publish("S.rare", b"{}")
    browser = await browse()
    browser.set_subject("S.rare")
    await until(lambda: browser.places.settled and len(browser.list.model.rows) == 1, "the rare one")
    browser.search_bar.set_range("#10", "#20")
    qtbot.mouseClick(browser.search_bar.search_button, Qt.MouseButton.LeftButton)
    await until(lambda: "the nearest is" in browser.sentence(), "the nearest")
    assert "later, #101" in browser.sentence()
    qtbot.mouseClick(browser.states.message._button, Qt.MouseButton.LeftButton)
    await until(lambda: (m := browser.list.current_message()) and m.sequence == 101, "the place")

    browser.set_subject("")
    browser.search_bar.field.setText("json.n == 77")
    browser.search_bar.set_range("#1", "#9")
    qtbot.mouseClick(browser.search_bar.search_button, Qt.MouseButton.LeftButton)
    await until(
        lambda: browser.states.message._button.text() == "Search the whole station", "the offer", timeout=30
    )
    qtbot.mouseClick(browser.states.message._button, Qt.MouseButton.LeftButton)
    await until(lambda: [row.sequence for row in browser.list.model.rows] == [77], "the match")


async def test_a_search_stops_where_asked_and_filters_travel_in_files(
    browse: Browse, until: Until, tmp_path: Path
) -> None:
    browser = await browse()
    bar = browser.search_bar
    bar.max_matches = 5
    bar.field.setText("Ada")
    browser.searching.start()
    await until(lambda: browser.searching.job and browser.searching.job.progress.state.ended, "5")
    assert len(browser.list.model.rows) == 5
    assert browser.searching.job.progress.state is SearchState.STOPPED
    assert "5 matches, as asked" in browser.search_status.label.text()
    bar.saved.save("adas")
    bar.saved.write(tmp_path / "filters.json")
    bar.saved.forget("adas")
    assert bar.saved.read(tmp_path / "filters.json") == 1
    assert bar.saved.entries() == [{"name": "adas", "filter": "Ada"}]
    for text in (
        "[]",
        "{",
        '{"filters": [{"name": "x"}]}',
        '{"filters": [{"name":"x","filter":"json.a >"}]}',
    ):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(ValueError):
            bar.saved.read(tmp_path / "bad.json")


async def test_erasing_asks_and_removes(
    client: Client, browse: Browse, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def agree(_: Any, title: str, text: str, *__: Any) -> bool:
        asked.append(title + text)
        return True

    browser = await browse()
    monkeypatch.setattr(type(browser.context), "confirm", agree)
    browser.list.select_sequence(98)
    browser.message_actions.row_menu(browser.mapToGlobal(browser.rect().center()))
    menu = next(menu for menu in browser.findChildren(QMenu) if menu.isVisible())
    action = next(action for action in menu.actions() if action.text().startswith("Erase 1 message"))
    action.trigger()
    menu.close()
    await until(lambda: browser.reader.bounds.messages == 99, "the removal")
    assert "overwritten" in asked[0]
    assert (await client.jetstream().stream_info("S")).state.messages == 99
