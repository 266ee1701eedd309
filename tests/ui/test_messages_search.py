"""Searching, columns, comparing, exporting, decoders, the composer's series and the live view."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from nats.js.api import StreamConfig
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QAbstractItemModelTester
from pytestqt.qtbot import QtBot

from memphis_desktop.app import Program
from memphis_desktop.cluster.profiles import ConnectionProfile
from memphis_desktop.inspect.files import read_file
from memphis_desktop.inspect.live import SubjectTree
from memphis_desktop.inspect.search import SearchState
from memphis_desktop.server_process import ServerProcess
from memphis_desktop.ui.screen import Route, Screen
from memphis_desktop.ui.screens.composer import Composer, open_composer
from memphis_desktop.ui.screens.decoders import DecodersScreen
from memphis_desktop.ui.screens.decoders.choices import select_choice
from memphis_desktop.ui.screens.live import LiveScreen
from memphis_desktop.ui.screens.live.subject_tree import SubjectTreeModel
from memphis_desktop.ui.screens.messages import MessageBrowser
from memphis_desktop.ui.screens.messages.compare import CompareDialog
from memphis_desktop.ui.screens.messages.export_dialog import ExportDialog
from memphis_desktop.ui.screens.replay import ReplayScreen, open_replay
from memphis_desktop.ui.screens.replay.dialog import DryRunDialog
from memphis_desktop.ui.screens.replay.runs import runs_of
from tests.conftest import Connect
from tests.ui.conftest import OpenConnected

Until = Callable[..., Awaitable[Any]]
Open = Callable[..., Awaitable[Program]]
Go = Callable[..., Awaitable[Screen]]
Browse = Callable[..., Awaitable[MessageBrowser]]


@pytest.fixture
async def client(any_server: ServerProcess, connect: Connect) -> Client:
    opened = await connect(any_server)
    assert isinstance(opened, Client)
    jetstream = opened.jetstream(timeout=30)
    await jetstream.add_stream(StreamConfig(name="S", subjects=["S.>"], allow_direct=True))
    acks = [
        await jetstream.publish_async(
            "S.odd" if index % 2 else "S.even",
            json.dumps({"n": index, "customer": {"name": "Ada" if index % 10 == 3 else "Bob"}}).encode(),
            headers={"Type": "refund" if index % 50 == 0 else "sale"},
        )
        for index in range(1, 501)
    ]
    await asyncio.gather(*acks)
    return opened


@pytest.fixture
def go(open_connected: OpenConnected, until: Until, any_server: ServerProcess, client: Client) -> Go:
    """Open the window on the server at a route; gives the screen."""

    async def open_screen(route: Route) -> Screen:
        window = (await open_connected(any_server.url, "S")).window
        window.navigate(route)
        screen = window.current_workspace().current_screen
        assert screen is not None
        return screen

    return open_screen


@pytest.fixture
def browse(go: Go, until: Until) -> Browse:
    async def open_browser() -> MessageBrowser:
        screen: Any = await go(Route("messages", {"stream": "S"}))
        browser = screen.browser
        await until(lambda: browser.places.settled and browser.list.model.rows, "the rows")
        assert isinstance(browser, MessageBrowser)
        return browser

    return open_browser


async def test_searching_and_going_back(browse: Browse, until: Until, qtbot: QtBot) -> None:
    browser = await browse()
    assert not browser.split.preview_visible()  # nothing is chosen yet
    qtbot.keyClick(browser.list.table, Qt.Key.Key_H)
    await until(lambda: browser.histogram.histogram.total == 500, "the histogram")
    qtbot.keyClick(browser.list.table, Qt.Key.Key_F)
    qtbot.keyClicks(browser.search_bar.field, 'json.customer.name == "Ada" && json.n <= 103')
    qtbot.keyClick(browser.search_bar.field, Qt.Key.Key_Return)
    await until(lambda: browser.searching.job is not None, "the job")
    await until(lambda: browser.searching.job.progress.state.ended, "the end")
    assert [row.sequence for row in browser.list.model.rows] == list(range(3, 104, 10))
    assert "500 messages read, 11 matches" in browser.search_status.label.text()
    assert sum(browser.histogram._matches) == 11
    browser.list.select_sequence(53)
    assert browser.detail.message.sequence == 53
    browser.search_bar.field.setText("header.type:refund")
    browser.set_subject("S.even")
    qtbot.mouseClick(browser.search_bar.search_button, Qt.MouseButton.LeftButton)
    await until(lambda: len(browser.list.model.rows) == 10, "the refunds")
    assert browser.searching.job.progress.scanned == 250
    browser.list.select_sequence(100)
    browser.search_status.close_button.click()
    await until(
        lambda: not browser.searching.active and len(browser.list.model.rows) > 50, "the station again"
    )
    assert browser.list.current_message().sequence == 100


async def test_what_is_not_understood_is_marked_and_nothing_found_is_said(
    browse: Browse, until: Until, qtbot: QtBot
) -> None:
    browser = await browse()
    browser.search_bar.field.setText("json.total >")
    qtbot.keyClick(browser.search_bar.field, Qt.Key.Key_Return)
    assert browser.search_bar.field.property("invalid")
    assert browser.searching.job is None
    browser.search_bar.field.setText("nowhere to be found")
    qtbot.keyClick(browser.search_bar.field, Qt.Key.Key_Return)
    await until(lambda: "nothing matched" in browser.sentence(), "the sentence")
    assert browser.searching.job.progress.state is SearchState.DONE
    browser.search_bar.field.setText("refund")
    browser.search_bar.saved.save("refunds")
    browser.search_bar.field.clear()
    assert browser.search_bar.saved.entries() == [{"name": "refunds", "filter": "refund"}]
    browser.search_bar.saved.use("refund")
    await until(lambda: len(browser.list.model.rows) == 10, "the matches")
    browser.search_bar.saved.forget("refunds")
    assert browser.search_bar.saved.entries() == []


async def test_a_range_dragged_over_the_histogram(browse: Browse, until: Until, qtbot: QtBot) -> None:
    browser = await browse()
    browser.search_bar.histogram_button.setChecked(True)
    await until(lambda: browser.histogram.histogram.total == 500, "the histogram")
    view = browser.histogram
    qtbot.mousePress(view, Qt.MouseButton.LeftButton, pos=QPoint(14, 30))
    qtbot.mouseMove(view, QPoint(view.width() // 2, 30))
    qtbot.mouseRelease(view, Qt.MouseButton.LeftButton, pos=QPoint(view.width() // 2, 30))
    assert browser.search_bar.from_field.text() != "first"
    assert browser.search_bar.to_field.text() != "last"


async def test_columns_from_json_and_headers(browse: Browse, until: Until) -> None:
    browser = await browse()
    dialog = browser.columns.add("$..wrong")
    dialog.accept()
    assert "no path" in dialog.error.text()
    dialog.reject()
    for source in ("$.customer.name", "header:Type"):
        browser.columns.add(source).accept()
    titles = [column.title for column in browser.list.model.columns]
    assert titles[-3:] == ["$.customer.name", "Type", "Payload"]
    row = browser.list.model.row_of(493)
    assert browser.list.model.index(row, len(titles) - 3).data() == "Ada"
    assert browser.list.model.index(row, len(titles) - 2).data() == "sale"
    browser.columns.remove("header:Type")
    assert "Type" not in [column.title for column in browser.list.model.columns]


async def test_comparing(browse: Browse, until: Until, qtbot: QtBot) -> None:
    browser = await browse()
    browser.list.select_sequence(450)
    qtbot.keyClick(browser.list.table, Qt.Key.Key_M)
    browser.list.select_sequence(453)
    qtbot.keyClick(browser.list.table, Qt.Key.Key_D)
    dialog = await until(lambda: browser.window().findChild(CompareDialog), "the dialog")
    paths = {change.path: (change.left, change.right) for change in dialog.table.rows()}
    assert paths == {
        "subject": ("S.even", "S.odd"),
        "headers.Type": ("refund", "sale"),
        "$.n": (450, 453),
        "$.customer.name": ("Bob", "Ada"),
    }
    dialog.text_check.click()
    await until(dialog.lines.rows, "the lines")
    differing = {row.left: row.right for _, row in dialog.lines.rows() if row.kind is not None}
    assert differing == {
        "S.even": "S.odd",
        "Type: refund": "Type: sale",
        '  "n": 450,': '  "n": 453,',
        '    "name": "Bob"': '    "name": "Ada"',
    }
    assert dialog.summary.text() == "4 lines differ"
    dialog.text_check.click()
    assert len(dialog.table.rows()) == 4
    dialog.close()


async def test_exporting_and_publishing_from_the_file(
    browse: Browse, client: Client, until: Until, tmp_path: Path
) -> None:
    await client.jetstream().add_stream(StreamConfig(name="COPY", subjects=["copy"], allow_direct=True))
    browser = await browse()
    browser.message_actions.export()
    dialog = await until(lambda: browser.window().findChild(ExportDialog), "the dialog")
    path = tmp_path / "station.mdump"
    dialog.form_box.setCurrentIndex(dialog.form_box.findData("dump"))
    dialog.path_field.setText(str(tmp_path / "missing" / "x"))
    dialog.accept()
    assert "folder" in dialog.error.text()
    dialog.path_field.setText(str(path))
    dialog.accept()
    await until(path.exists, "the file")
    messages = list(read_file(path))
    assert [message.sequence for message in messages] == list(range(1, 501))
    assert messages[49].headers.get("Type") == "refund"

    composer = open_composer(browser.context, browser.window())
    composer.subject_field.setText("copy")
    composer.send_file(str(path))
    from memphis_desktop.ui.screens.replay import ReplayDialog

    replay = await until(lambda: browser.window().findChild(ReplayDialog), "the replay dialog")
    await until(replay.isVisible, "the open dialog")
    await until(lambda: "COPY" in browser.context.session.snapshot.streams, "the other station")
    replay.accept()
    window = browser.window()
    screen = await until(
        lambda: s if isinstance(s := window.current_workspace().current_screen, ReplayScreen) else None,
        "the run",
    )
    await until(
        lambda: screen.panel.entry and screen.panel.entry.progress.stored == 500, "the copies", timeout=30
    )
    last = await client.jetstream().get_msg("COPY", 500)
    assert last.data == messages[-1].payload
    composer.close()


async def test_a_series_from_a_template(browse: Browse, client: Client, until: Until, qtbot: QtBot) -> None:
    browser = await browse()
    composer = open_composer(browser.context, browser.window(), stream="S")
    assert isinstance(composer, Composer)
    assert composer.subject_field.text() == "S.>"
    composer.subject_field.setText("S.{{choice:a|b}}")
    composer.template_check.setChecked(True)
    composer.body_editor.setPlainText('{"n": {{counter:100}}, "id": "{{uuid}}", "bad": {{nothing}}}')
    composer.check()
    assert "not known" in composer.body_note.text()
    assert not composer.publish_button.isEnabled()
    composer.body_editor.setPlainText('{"n": {{counter:100}}, "id": "{{uuid}}"}')
    composer.count_box.setValue(50)
    composer.check()
    assert composer.publish_button.text() == "Publish 50"
    qtbot.mouseClick(composer.publish_button, Qt.MouseButton.LeftButton)
    await until(lambda: "50 stored" in composer.outcome.text(), "the series")
    stored = [json.loads((await client.jetstream().get_msg("S", 500 + n)).data) for n in (1, 50)]
    assert [value["n"] for value in stored] == [100, 149]
    composer.count_box.setValue(1_000_000)
    composer.rate_box.setValue(20)
    composer.sending.publish()
    await until(lambda: composer.publish_button.text() == "Stop", "the stop button")
    composer.sending.publish()
    await until(lambda: "stopped by you" in composer.outcome.text(), "the end")
    composer.close()


async def test_a_request_shows_its_reply(browse: Browse, client: Client, until: Until, qtbot: QtBot) -> None:
    async def answer(message: Any) -> None:
        await message.respond(b'{"ok": true, "big": 9007199254740993}')

    await client.subscribe("service", cb=answer)
    await client.flush()
    browser = await browse()
    composer = open_composer(browser.context, browser.window())
    composer.subject_field.setText("service")
    composer.check()
    assert "No station stores" in composer.match_label.text()
    qtbot.mouseClick(composer.request_button, Qt.MouseButton.LeftButton)
    await until(lambda: "Reply after" in composer.outcome.text(), "the reply")
    assert "9007199254740993" in composer.replies.text.text()
    composer.subject_field.setText("nobody")
    composer.sending.request()
    await until(lambda: "Nobody listens" in composer.outcome.text(), "the refusal")
    composer.close()


PROTO = 'syntax = "proto3"; package shop; message Order { uint64 id = 1; string customer = 2; }'


async def test_decoder_rules_from_a_proto_file(go: Go, client: Client, until: Until, tmp_path: Path) -> None:
    (tmp_path / "order.proto").write_text(PROTO)
    payload = b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x12\x03Ada"
    await client.jetstream().publish("S.pb", payload)
    screen = await go(Route("decoders"))
    assert isinstance(screen, DecodersScreen)
    screen.sources.add_paths([str(tmp_path / "order.proto")])
    table = screen.sources.table
    await until(lambda: [row.state for row in table.rows()] == [("good", "loaded")], "the file")
    screen.bench.input.setPlainText(payload.hex())
    screen.bench.form_box.setCurrentText("Hex")
    select_choice(screen.bench.decoder_box, ("protobuf", "shop.Order"))
    screen.bench.run()
    assert '"id": 18446744073709551615' in screen.bench.output.text()
    dialog = screen._edit(None)
    dialog.subject_field.setText("S.pb")
    select_choice(dialog.decoder_box, ("protobuf", "shop.Order"))
    dialog.accept()
    assert [row[1].schema for row in screen.rules.rows()] == ["shop.Order"]
    screen.context.navigate(Route("messages", {"stream": "S", "sequence": "501"}))
    browser = screen.window().current_workspace().current_screen.browser
    await until(lambda: browser.detail.decoded is not None, "the message")
    assert browser.detail.decoded.value == {"id": 2**64 - 1, "customer": "Ada"}
    screen._remove_rules([row[1] for row in screen.rules.rows()])
    assert browser.detail.decoded.value == {"1": 2**64 - 1, "2": "Ada"}


async def test_live_shows_subjects_messages_and_latency(
    go: Go, client: Client, until: Until, qtbot: QtBot
) -> None:
    async def answer(message: Any) -> None:
        await message.respond(b"pong")

    await client.subscribe("svc.ping", cb=answer)
    await client.flush()
    screen = await go(Route("live"))
    assert isinstance(screen, LiveScreen)
    screen.pattern_field.setText("bad..pattern")
    screen.subscribe()
    assert screen.capture is None
    for pattern in ("demo.>", "svc.*"):
        screen.pattern_field.setText(pattern)
        qtbot.keyClick(screen.pattern_field, Qt.Key.Key_Return)
        await until(lambda pattern=pattern: screen.capture and pattern in screen.capture.patterns, pattern)
    screen.fold_check.setChecked(True)
    await until(lambda: screen.capture.folding, "folding")
    await screen._connection.client.flush()
    for index in range(30):
        await client.publish(f"demo.{index % 3}.x", b"<b>%d</b>" % index)
    await client.request("svc.ping", b"?", timeout=30)
    await until(lambda: len(screen.list.model.rows) == 31, "the rows")
    await until(lambda: screen.capture.latencies, "the latency")
    await until(lambda: screen.tree_model.rowCount() == 2, "the tree")
    demo = screen.tree_model.index(0, 0)
    assert demo.data() == "demo"
    assert screen.tree_model.rowCount(demo) == 3
    assert screen.tree_model.subject(demo) == "demo.>"
    screen.pause_button.setChecked(True)
    await client.publish("demo.0.x", b"held")
    await client.flush()
    await until(lambda: screen.capture.received == 32, "the held one")
    screen.refresh()
    assert len(screen.list.model.rows) == 31
    screen.pause_button.setChecked(False)
    await until(lambda: len(screen.list.model.rows) == 32, "the held one shown")
    screen.list.model.max_rows = 20
    for _ in range(50):
        await client.publish("demo.0.x", b"more")
    await until(lambda: screen.list.model.dropped >= 62, "dropped rows")
    screen.refresh()
    assert "no longer kept" in screen.note.text()
    screen.unsubscribe("demo.>")
    await until(lambda: list(screen.capture.patterns) == ["svc.*"], "one pattern left")
    QGuiApplication.clipboard().clear()


def test_the_subject_tree_model_passes_qts_tester(qtbot: QtBot) -> None:
    tree = SubjectTree()
    model = SubjectTreeModel()
    tester = QAbstractItemModelTester(model, QAbstractItemModelTester.FailureReportingMode.Fatal)
    model.set_tree(tree)
    for index in range(200):
        tree.add(f"a.{index % 7}.{index % 3}", 10)
        if index % 20 == 0:
            model.sync()
    tree.add("b", 1)
    tree.measure(1.0)
    model.sync()
    assert model.rowCount() == 2
    assert model.rowCount(model.index(0, 0)) == 7
    assert tester.model() is model


async def test_a_replay_into_another_connection_with_dry_run_and_undo(
    browse: Browse,
    until: Until,
    start_nats_server: Callable[..., ServerProcess],
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = start_nats_server()
    target = await connect(other)
    await target.jetstream().add_stream(StreamConfig(name="IN", subjects=["in.>"], allow_direct=True))
    browser = await browse()
    window = browser.window()
    await window.open_profile(ConnectionProfile(name="other", urls=(other.url,)))
    await until(lambda: len([w for w in window.workspaces() if w.connection is not None]) == 2, "both tabs")
    second = window.workspaces()[-1].connection.session
    await until(lambda: second.snapshot is not None and "IN" in second.snapshot.streams, "its stations")
    dialog = open_replay(browser.context, window, "S")
    await until(dialog.isVisible, "the dialog")
    assert [dialog.connection_box.itemText(row) for row in range(3)][1:] == ["other", "A file"]
    dialog.connection_box.setCurrentText("other")
    dialog.target_field.setText("in.{subject}")
    dialog.dry_button.click()
    rehearsal = await until(lambda: dialog.findChild(DryRunDialog), "the dry run")
    assert len(rehearsal.table.rows()) == 100
    assert rehearsal.table.rows()[0].subject == "in.S.odd"
    rehearsal.close()
    dialog.accept()
    run = await until(lambda: next(iter(runs_of(browser.context.session).entries), None), "the run")
    await until(lambda: run.progress.stored == 500, "the copies")
    assert (await target.jetstream().stream_info("IN")).state.messages == 500

    async def agree(*_: Any) -> bool:
        return True

    monkeypatch.setattr(type(browser.context), "confirm", agree)
    screen = ReplayScreen(browser.context)
    screen.panel.show_entry(run)
    assert screen.panel.undo_button.isEnabled()
    screen.panel.undo_button.click()
    await until(lambda: run.undo is not None and run.undo.progress.removed == 500, "the undo")
    assert (await target.jetstream().stream_info("IN")).state.messages == 0
    screen.deleteLater()
