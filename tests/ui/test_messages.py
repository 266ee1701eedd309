"""The message browser as a user meets it, on both servers."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from nats.js.api import StreamConfig
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QAbstractItemModelTester
from PySide6.QtWidgets import QFileDialog, QMenu
from pytestqt.qtbot import QtBot

from memphis_desktop.app import Program
from memphis_desktop.cluster.profiles import ConnectionProfile
from memphis_desktop.inspect import snippets
from memphis_desktop.inspect.files import read_file
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.page_cache import Page
from memphis_desktop.server_process import ServerProcess
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens.composer import Composer
from memphis_desktop.ui.screens.messages import MessageBrowser
from memphis_desktop.ui.screens.messages.columns import standard_columns
from memphis_desktop.ui.screens.messages.hex_view import HexView
from memphis_desktop.ui.screens.messages.partition_box import partitions_of
from memphis_desktop.ui.screens.messages.rows import Gap, MessageListModel
from memphis_desktop.ui.screens.messages_text import MAX_LINE, TextView, breakable
from memphis_desktop.ui.screens.replay import ReplayDialog, ReplayScreen
from tests.conftest import Connect
from tests.ui.conftest import OpenConnected

Until = Callable[..., Awaitable[Any]]
Open = Callable[..., Awaitable[Program]]
Browse = Callable[..., Awaitable[MessageBrowser]]


async def fill(client: Client, name: str, payloads: list[bytes], **config: Any) -> None:
    """Make a stream with these messages; the subject's last part is the parity of the index."""
    jetstream = client.jetstream(timeout=30)
    await jetstream.add_stream(StreamConfig(name=name, subjects=[f"{name}.>"], allow_direct=True, **config))
    acks = [
        await jetstream.publish_async(
            f"{name}.{'odd' if index % 2 else 'even'}", payload, headers={"Index": str(index)}
        )
        for index, payload in enumerate(payloads, 1)
    ]
    await asyncio.gather(*acks)


def numbered(count: int) -> list[bytes]:
    return [json.dumps({"id": 2**53 + index, "name": "Ada"}).encode() for index in range(1, count + 1)]


@pytest.fixture
def browse(
    open_connected: OpenConnected, until: Until, any_server: ServerProcess
) -> Callable[..., Awaitable[MessageBrowser]]:
    """Open the window on the server and the browser on a stream."""

    async def open_browser(stream: str, **parameters: str) -> MessageBrowser:
        window = (await open_connected(any_server.url)).window
        window.navigate(Route("messages", {"stream": stream, **parameters}))
        screen = window.current_workspace().current_screen
        browser = screen.browser
        assert isinstance(browser, MessageBrowser)
        await until(
            lambda: browser.places.settled and not browser.shows_loading,
            "the first page",
        )
        return browser

    return open_browser


@pytest.fixture
async def client(any_server: ServerProcess, connect: Connect) -> Client:
    opened = await connect(any_server)
    assert isinstance(opened, Client)
    return opened


def shown(browser: MessageBrowser) -> list[int]:
    """Sequences of the rows in view."""
    table, rows = browser.list.table, browser.list.model.rows
    first, last = table.rowAt(0), table.rowAt(table.viewport().height() - 1)
    last = len(rows) - 1 if last < 0 else last
    return [rows[row].sequence for row in range(max(0, first), last + 1)]


async def test_reading_jumping_and_moving(client: Client, browse: Browse, until: Until, qtbot: QtBot) -> None:
    await fill(client, "S", numbered(5000))
    browser = await browse("S")
    table = browser.list.table
    await until(lambda: 5000 in shown(browser), "the newest message")
    assert browser.list.scroll_bar.value() == browser.list.scroll_bar.maximum()

    qtbot.keyClick(table, Qt.Key.Key_Home)
    await until(lambda: shown(browser)[:1] == [1], "the first message")
    assert browser.list.current_message().sequence == 1
    assert browser.list.scroll_bar.value() == 0
    qtbot.keyClick(table, Qt.Key.Key_J)
    qtbot.keyClick(table, Qt.Key.Key_J)
    qtbot.keyClick(table, Qt.Key.Key_K)
    assert browser.list.current_message().sequence == 2
    assert browser.detail.message.sequence == 2
    assert browser.detail.tree.model.rowCount() == 2
    value = browser.detail.tree.model.index(0, 1)
    assert value.data() == str(2**53 + 2)

    qtbot.keyClick(table, Qt.Key.Key_G)
    assert browser.jump_field.hasFocus() or browser.window().focusWidget() is browser.jump_field
    for text, sequence in (("#2 500", 2500), ("50%", 2501), ("4999", 4999), ("first", 1)):
        browser.jump_field.setText(text)
        qtbot.keyClick(browser.jump_field, Qt.Key.Key_Return)
        await until(
            lambda sequence=sequence: (m := browser.list.current_message()) and m.sequence == sequence, text
        )
        assert sequence in shown(browser)
    await browser.places.jump(3000)
    browser.jump_field.setText("-1h")
    qtbot.keyClick(browser.jump_field, Qt.Key.Key_Return)
    await until(lambda: browser.list.current_message().sequence == 1, "an hour ago")
    browser.jump_field.setText("nonsense")
    qtbot.keyClick(browser.jump_field, Qt.Key.Key_Return)
    assert browser.jump_field.property("invalid")

    await browser.places.jump(2500)
    before = shown(browser)
    assert before[0] == 2500
    bar = table.verticalScrollBar()
    for _ in range(80):  # scrolling up reads older pages under way and never jumps
        top = shown(browser)[0]
        bar.setValue(bar.value() - 10 * browser.list.row_height())
        await until(lambda: browser.places.settled, "the page")
        assert shown(browser)[0] == max(1, top - 10)
    assert len(browser.list.model.rows) <= browser.list.model.max_rows
    consumers = await client.jetstream().consumers_info("S")
    assert consumers == []


async def test_the_scroll_bar_spans_the_station(client: Client, browse: Browse, until: Until) -> None:
    await fill(client, "S", numbered(3000))
    browser = await browse("S")
    bar = browser.list.scroll_bar
    for part in (0.1, 0.9, 0.5):
        bar.setSliderDown(True)
        bar.setSliderPosition(round(bar.maximum() * part))
        bar.setSliderDown(False)
        await until(lambda part=part: abs(shown(browser)[0] - 3000 * part) < 5, f"{part:.0%}")
        assert abs(bar.value() - bar.maximum() * part) < bar.maximum() * 0.01


async def test_gaps_and_deleting(
    client: Client,
    browse: Browse,
    until: Until,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await fill(client, "S", numbered(100))
    jetstream = client.jetstream()
    for sequence in (40, 41, 42, 60):
        await jetstream.delete_msg("S", sequence)
    browser = await browse("S", sequence="50")
    await until(lambda: browser.list.current_message() is not None, "the message")
    gaps = [row for row in browser.list.model.rows if isinstance(row, Gap)]
    assert [(gap.first, gap.last) for gap in gaps] == [(40, 42), (60, 60)]
    index = browser.list.model.index(browser.list.model.row_of(41), 0)
    assert index.data() == "3 messages removed"

    async def agree(*_: Any) -> bool:
        return True

    monkeypatch.setattr(type(browser.context), "confirm", agree)
    browser.list.select_sequence(50)
    browser.message_actions.delete()
    model = browser.list.model
    await until(lambda: isinstance(model.rows[model.row_of(50)], Gap), "the gap")
    assert (await jetstream.stream_info("S")).state.messages == 95
    await jetstream.delete_msg("S", 52)  # by somebody else
    browser.activated()
    await until(
        lambda: isinstance(browser.list.model.rows[browser.list.model.row_of(52)], Gap), "the other gap"
    )
    await jetstream.purge_stream("S", keep=20)
    browser.activated()
    await until(lambda: browser.list.model.rows[0].sequence >= 81, "the purge")


async def test_subject_filter_is_done_by_the_server(
    client: Client, browse: Browse, until: Until, qtbot: QtBot
) -> None:
    await fill(client, "S", numbered(600))
    browser = await browse("S")
    qtbot.keyClick(browser.list.table, Qt.Key.Key_Slash)
    browser.subject_field.setText("S.odd")
    qtbot.keyClick(browser.subject_field, Qt.Key.Key_Return)
    await until(lambda: browser.list.model.rows and shown(browser)[-1] == 599, "the last odd one")
    assert all(message.subject == "S.odd" for message in browser.list.model.messages())
    browser.set_subject("S.nothing")
    await until(lambda: "Nothing on S.nothing" in browser.sentence(), "the empty state")
    browser.set_subject("S..x")
    assert browser.subject_field.property("invalid")
    browser.set_subject("")
    await until(lambda: 600 in shown(browser), "everything")


async def test_live_follows_pauses_and_stays_bounded(
    client: Client, browse: Browse, until: Until, qtbot: QtBot
) -> None:
    await fill(client, "S", numbered(50))
    browser = await browse("S")
    qtbot.keyClick(browser.list.table, Qt.Key.Key_T)
    assert browser.live_button.isChecked()
    jetstream = client.jetstream()
    await jetstream.publish("S.even", b"new")
    await until(lambda: shown(browser)[-1:] == [51], "the new message")
    qtbot.keyClick(browser.list.table, Qt.Key.Key_P)
    for _ in range(3):
        await jetstream.publish("S.even", b"held")
    await until(lambda: browser.toolbar.new_label.text() == "3 new", "the count")
    assert shown(browser)[-1] == 51
    qtbot.keyClick(browser.list.table, Qt.Key.Key_P)
    await until(lambda: shown(browser)[-1:] == [54], "what was held")
    browser.list.model.max_rows = 100
    for _ in range(60):
        await client.publish("S.even", b"more")
    await until(lambda: shown(browser)[-1:] == [114], "the rest")
    assert len(browser.list.model.rows) == 100
    assert browser.list.model.dropped == 14
    for _ in range(150):  # the list asks for what is new by itself too; that must not end the following
        await client.publish("S.even", b"and more")
    await client.flush()
    await asyncio.gather(browser.places.refresh(), browser.places.load_newer())
    assert browser.list.at_end
    await until(lambda: shown(browser)[-1:] == [264], "the newest")
    assert browser.list.at_end
    qtbot.keyClick(browser.list.table, Qt.Key.Key_T)
    assert not browser.tail.live


async def test_going_from_one_partition_to_another(
    client: Client, browse: Browse, until: Until, qtbot: QtBot
) -> None:
    for number, payload in ((1, b"one"), (2, b"two"), (10, b"ten")):
        await fill(client, f"shop${number}", [payload, b"other"])
    await fill(client, "shops$1", [b"another station's"])
    browser = await browse("shop$2")
    box = browser.toolbar.partition_box
    await until(lambda: not box.isHidden(), "the partitions")
    assert [box.itemText(index) for index in range(3)] == [f"Partition {n} of 3" for n in (1, 2, 10)]
    assert box.currentText() == "Partition 2 of 3"
    window: Any = browser.window()
    box.setFocus()
    qtbot.keyClick(box, Qt.Key.Key_Down)
    await until(lambda: window.current_workspace().current_screen.browser is not browser, "another browser")
    there = window.current_workspace().current_screen.browser
    await until(lambda: there.places.settled and there.list.model.rows, "its rows")
    assert there.list.model.rows[0].payload == b"ten"
    assert partitions_of("S", ["S", "S$1"]) == []


async def test_what_arrives_is_recorded_to_a_file_shown_or_not(
    client: Client,
    browse: Browse,
    until: Until,
    qtbot: QtBot,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await fill(client, "S", numbered(20))
    browser = await browse("S")
    button = browser.toolbar.record_button
    assert button.isHidden()
    qtbot.keyClick(browser.list.table, Qt.Key.Key_T)
    path = tmp_path / "tail.mdump"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert button.isChecked()
    browser.list.model.max_rows = 50
    for number in range(450):
        await client.publish("S.even", b"%d" % number)
    await until(lambda: "recording: 400 written" in browser.foot.figures.text(), "the figure")
    qtbot.keyClick(browser.list.table, Qt.Key.Key_P)  # paused: counted in the list, recorded all the same
    await client.jetstream(timeout=30).publish("S.odd", b"last")  # stored: what ends now has all of it
    await until(lambda: browser.toolbar.new_label.text().endswith(" new"), "the count")
    qtbot.keyClick(browser.list.table, Qt.Key.Key_T)  # ends the recording with the following
    await until(lambda: path.exists() and not browser.recorder.active, "the file")
    recorded = list(read_file(path))
    assert [message.sequence for message in recorded] == list(range(21, 472))
    assert recorded[-1].payload == b"last"
    assert not button.isChecked()


async def test_curl_names_the_station_of_a_partition(client: Client, browse: Browse, until: Until) -> None:
    await fill(client, "my#shop$2", [b"x"])
    browser = await browse("my#shop$2")
    await until(lambda: len(browser.list.model.rows) == 1, "the row")
    browser.list.select_sequence(1)
    browser.message_actions.copy_as("cURL (Memphis REST)")
    assert "/stations/my.shop/produce/single" in QGuiApplication.clipboard().text()


async def test_copying(client: Client, browse: Browse, until: Until, qtbot: QtBot) -> None:
    await fill(client, "S", [b'{"id": 9007199254740993, "price": 1.10}', b"it's $HOME", b"\xff\x00"])
    browser = await browse("S")
    await until(lambda: len(browser.list.model.rows) == 3, "the rows")
    clipboard = QGuiApplication.clipboard()
    browser.list.select_sequence(1)
    qtbot.keyClick(browser.list.table, Qt.Key.Key_Y)
    assert clipboard.text() == '{"id": 9007199254740993, "price": 1.10}'
    browser.message_actions.copy_as("JSON")
    assert '"id": 9007199254740993' in clipboard.text()
    assert '"price": 1.10' in clipboard.text()
    assert '"sequence": 1' in clipboard.text()
    browser.list.select_sequence(2)
    browser.message_actions.copy_as("nats command")
    assert clipboard.text() == "nats pub --header Index:2 S.even 'it'\"'\"'s $HOME'"
    browser.list.select_sequence(3)
    browser.message_actions.copy_as("nats command")
    assert "base64 -d" in clipboard.text()
    browser.message_actions.copy_as("Python")
    compile(clipboard.text(), "snippet", "exec")
    browser.message_actions.copy_as("cURL (Memphis REST)")
    assert "/stations/S/produce/single" in clipboard.text()
    assert snippets.REST_URL in clipboard.text()
    browser.message_actions.row_menu(browser.mapToGlobal(QPoint(50, 50)))
    menus = [menu for menu in browser.findChildren(QMenu) if menu.isVisible()]
    assert any(action.text().startswith("Delete 1 message") for menu in menus for action in menu.actions())
    for menu in menus:
        menu.close()


async def test_edit_and_publish(
    client: Client,
    browse: Browse,
    until: Until,
    qtbot: QtBot,
) -> None:
    await fill(client, "S", [b'{"id": 18446744073709551615}'])
    browser = await browse("S")
    await until(lambda: len(browser.list.model.rows) == 1, "the row")
    browser.list.select_sequence(1)
    qtbot.keyClick(browser.list.table, Qt.Key.Key_E)
    composer = await until(lambda: browser.window().findChild(Composer), "the composer")
    assert composer.subject_field.text() == "S.odd"
    assert composer.header_grid.headers() == (("Index", "1"),)
    composer.body_editor.setPlainText('{"id": 18446744073709551615, "edited": tru}')
    composer.check()
    assert not composer.publish_button.isEnabled()
    assert "column" in composer.body_note.text()
    composer.body_editor.setPlainText('{"id": 18446744073709551615, "edited": true}')
    composer.check()
    assert composer.match_label.text() == "Stored in S"
    qtbot.keyClick(composer, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    await until(lambda: "Stored in S as #2" in composer.outcome.text(), "the acknowledgement")
    stored = await client.jetstream().get_msg("S", 2)
    assert stored.data == b'{"id": 18446744073709551615, "edited": true}'
    assert stored.headers == {"Index": "1"}
    composer.outcome.button().click()
    await until(lambda: (m := browser.list.current_message()) is not None and m.sequence == 2, "the message")
    composer.close()


async def test_replay_of_a_selection_appears_in_the_other_station(
    client: Client,
    browse: Browse,
    until: Until,
    qtbot: QtBot,
) -> None:
    await fill(client, "S", numbered(300))
    await client.jetstream().add_stream(StreamConfig(name="COPY", subjects=["copy.>"], allow_direct=True))
    browser = await browse("S", sequence="100")
    window = browser.window()
    await until(lambda: browser.list.current_message() is not None, "the message")
    qtbot.keyClick(browser.list.table, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClick(browser.list.table, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    assert [message.sequence for message in browser.message_actions.selected()] == [100, 101, 102]
    qtbot.keyClick(browser.list.table, Qt.Key.Key_R)
    dialog = await until(lambda: window.findChild(ReplayDialog), "the dialog")
    snapshot = lambda: browser.context.session.snapshot  # noqa: E731
    await until(lambda: "COPY" in snapshot().streams, "the other station")
    await until(dialog.isVisible, "the open dialog")
    dialog.target_field.setText("nowhere.{subject}")
    dialog.accept()
    assert "no station stores it" in dialog.error.text()
    dialog.target_field.setText("copy.{subject}")
    dialog.accept()
    screen = await until(
        lambda: s if isinstance(s := window.current_workspace().current_screen, ReplayScreen) else None,
        "the replay screen",
    )
    await until(
        lambda: screen.panel.entry is not None and screen.panel.entry.progress.stored == 3, "the copies"
    )
    copy = await client.jetstream().get_msg("COPY", 1)
    assert copy.subject == "copy.S.even"
    assert copy.headers["Memphis-Replay-Sequence"] == "100"
    assert copy.headers["Index"] == "100"
    screen.refresh()
    assert "3 stored" in screen.panel.figures_label.text()


async def test_a_missing_stream_says_so(
    client: Client, browse: Browse, until: Until, open_window: Open
) -> None:
    await fill(client, "S", [])
    browser = await browse("S")
    assert "holds no messages" in browser.sentence()
    await client.jetstream().publish("S.even", b"first")
    browser.activated()
    await until(lambda: len(browser.list.model.rows) == 1, "the first message")
    await client.jetstream().delete_stream("S")
    await browser.shut_down()
    browser.activated()
    await until(lambda: "There is no stream S" in browser.sentence(), "the error")


def _page(first: int, last: int, step: int = 1) -> Page:
    messages = tuple(InspectedMessage("S", n, n, "s", b"", b"x") for n in range(first, last + 1, step))
    return Page(messages, first, last)


def test_the_model_passes_qts_tester_through_every_change(qtbot: QtBot) -> None:
    model = MessageListModel(standard_columns())
    tester = QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    model.max_rows = 50
    model.reset(_page(101, 130, 3))
    assert [row.sequence for row in model.rows[:3]] == [101, 102, 104]
    model.append(_page(131, 180))
    assert len(model.rows) <= 50
    assert model.last == 180
    assert model.first == model.rows[0].sequence
    assert model.prepend(_page(1, model.first - 1, 2)) > 0
    assert model.first == 1
    assert model.last < 180
    model.remove_message(3)
    assert isinstance(model.rows[model.row_of(3)], Gap)
    model.cut_below(20)
    assert model.rows[0].sequence >= 20
    model.clear()
    assert model.rowCount() == 0
    assert tester.model() is model


def test_a_window_of_sparse_pages_keeps_its_bounds(qtbot: QtBot) -> None:
    model = MessageListModel(standard_columns())
    model.reset(Page((), 5, 4))
    model.append(Page((), 5, 900))
    assert model.last == 900
    model.append(_page(901, 903))
    assert [row.sequence for row in model.rows] == [901, 902, 903]
    model.prepend(_page(1, 4))
    gaps = [row for row in model.rows if isinstance(row, Gap)]
    assert [(gap.first, gap.last) for gap in gaps] == [(5, 900)]
    assert model.row_of(500) == model.rows.index(gaps[0])


def test_hex_view_opens_64_mib_at_once(qtbot: QtBot) -> None:
    view = HexView()
    qtbot.addWidget(view)
    view.resize(700, 400)
    view.show()
    data = bytes(range(256)) * (1 << 18)
    started = time.process_time()
    view.set_data(data)
    view.grab()
    qtbot.keyClick(view, Qt.Key.Key_End)
    view.grab()
    assert time.process_time() - started < 0.5
    qtbot.keyClick(view, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    view.copy_dump()
    assert QGuiApplication.clipboard().text().startswith("00000000  00 01 02")


def test_text_view_opens_in_parts_and_breaks_endless_lines(qtbot: QtBot) -> None:
    view = TextView()
    qtbot.addWidget(view)
    view.show()
    text = "z" * 300_000
    view.set_text(text)
    assert len(view.editor.toPlainText()) < 70_000
    assert max(len(line) for line in view.editor.toPlainText().split("\n")) <= MAX_LINE
    view._more.click()
    qtbot.waitUntil(lambda: view._bar.isHidden(), timeout=5000)
    assert view.editor.toPlainText().count("z") == 300_000
    assert view.text() == text
    assert "\u202e" not in breakable("a\u202eb")


async def test_finding_in_a_text_and_looking_inside_a_compressed_payload(
    client: Client, browse: Browse, until: Until, qtbot: QtBot
) -> None:
    inner = json.dumps({"words": ["alpha", "beta", "alpha"]}).encode()
    await fill(client, "Z", [gzip.compress(inner), inner])
    browser = await browse("Z")
    detail = browser.detail
    browser.list.select_sequence(1)
    await until(lambda: browser.detail.decoded is not None, "the message")
    detail.show_tab("Hex")
    assert detail.hex_view.data().startswith(b"\x1f\x8b")
    detail.hex_box.setCurrentIndex(1)
    detail.hex_box.activated.emit(1)
    assert detail.hex_view.data() == inner
    browser.list.select_sequence(2)
    await until(lambda: browser.detail.decoded is not None, "the other")
    assert detail.hex_box.isHidden()
    detail.show_tab("Text")
    view = detail.text_view
    qtbot.keyClick(view, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
    qtbot.keyClicks(view.find_field, "alpha")
    first = view.editor.textCursor().selectionStart()
    qtbot.keyClick(view.find_field, Qt.Key.Key_Return)
    second = view.editor.textCursor().selectionStart()
    assert first < second
    qtbot.keyClick(view.find_field, Qt.Key.Key_Return)
    assert view.editor.textCursor().selectionStart() == first  # begins again at the top


@pytest.mark.parametrize("kind", ["nats-server", "memphis-desktop"])
async def test_who_may_not_read_is_told_what_is_missing(
    kind: str,
    open_window: Open,
    start_nats_server: Callable[..., ServerProcess],
    start_broker: Callable[..., ServerProcess],
    connect: Connect,
    until: Until,
) -> None:
    users = (
        "authorization { users: [ {user: all, password: x}, {user: few, password: x, permissions: "
        '{publish: {deny: ["$JS.API.DIRECT.>", "$JS.API.STREAM.MSG.GET.>"]}}} ] }'
    )
    server = (start_nats_server if kind == "nats-server" else start_broker)(config=users)
    await fill(await connect(server, user="all", password="x"), "S", numbered(5))
    url = server.url.replace("nats://", "nats://few:x@")
    program = await open_window()
    profile = ConnectionProfile(name="few", urls=(url,))
    await program.window.open_profile(profile, Route("messages", {"stream": "S"}))
    screen: Any = program.window.current_workspace().current_screen
    await until(lambda: screen.browser.states.shows_sentence, "the sentence")
    assert "You may not read the messages of S" in screen.browser.sentence()
    assert "$JS.API.STREAM.MSG.GET.S" in screen.browser.sentence()
    assert screen.browser.reader is None  # "Try again" begins anew


async def test_a_narrow_list_keeps_room_for_payloads(
    client: Client, browse: Browse, until: Until, qtbot: QtBot
) -> None:
    await fill(client, "S", [*numbered(20), b""])
    browser = await browse("S")
    header = browser.list.table.horizontalHeader()
    sections = {column.key: section for section, column in enumerate(browser.list.model.columns)}
    assert not header.isSectionHidden(sections["headers"])
    browser.list.select_sequence(3)
    await until(browser.split.preview_visible, "the pane")
    await until(lambda: header.isSectionHidden(sections["headers"]), "fewer columns")
    assert header.sectionSize(sections["preview"]) >= 90
    qtbot.keyClick(browser.list.table, Qt.Key.Key_Space)
    await until(lambda: not header.isSectionHidden(sections["headers"]), "all columns again")
    browser.list.select_sequence(21)
    assert browser.detail._views.currentWidget() is browser.detail._nothing
