"""The live view: muting, recording to a file, and keeping what is seen in a station."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import StreamConfig
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from memphis_desktop.app import Program
from memphis_desktop.cluster.profiles import ConnectionProfile, Environment
from memphis_desktop.inspect.files import read_file
from memphis_desktop.inspect.live import LiveRecorder
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.server_process import ServerProcess
from memphis_desktop.ui.components.dialogs import ConfirmDialog
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens.composer.dialog import Composer
from memphis_desktop.ui.screens.live import LiveScreen
from memphis_desktop.ui.screens.station_form import ConfigurationDialog
from tests.conftest import Connect
from tests.ui.conftest import OpenConnected

Until = Callable[..., Awaitable[Any]]
Open = Callable[..., Awaitable[Program]]


@pytest.fixture
async def client(any_server: ServerProcess, connect: Connect) -> Client:
    opened = await connect(any_server)
    assert isinstance(opened, Client)
    await opened.jetstream(timeout=30).add_stream(StreamConfig(name="S", subjects=["S.>"]))
    return opened


@pytest.fixture
async def screen(
    open_connected: OpenConnected, until: Until, any_server: ServerProcess, client: Client
) -> LiveScreen:
    window = (await open_connected(any_server.url, "S")).window
    window.navigate(Route("live"))
    found = window.current_workspace().current_screen
    assert isinstance(found, LiveScreen)
    return found


async def listen(screen: LiveScreen, until: Until, *patterns: str) -> None:
    for pattern in patterns:
        screen.pattern_field.setText(pattern)
        screen.subscribe()
        await until(lambda pattern=pattern: pattern in screen.patterns.chips, pattern)
    assert screen._connection is not None
    await screen._connection.client.flush()


async def test_muting_a_pattern_counts_and_shows_nothing(
    screen: LiveScreen, client: Client, until: Until, qtbot: QtBot
) -> None:
    assert not screen.station_button.isEnabled()
    await listen(screen, until, "loud.>", "calm.>")
    chip = screen.patterns.chips["loud.>"]
    qtbot.mouseClick(chip.mute_button, Qt.MouseButton.LeftButton)
    for index in range(10):
        await client.publish("loud.x", b"%d" % index)
    await client.publish("calm.x", b"here")
    await until(lambda: len(screen.list.model.rows) == 1, "the calm one")
    await until(lambda: chip.figures.text().startswith("10"), "the count")
    qtbot.mouseClick(chip.mute_button, Qt.MouseButton.LeftButton)
    await client.publish("loud.x", b"again")
    await until(lambda: len(screen.list.model.rows) == 2, "the loud one")
    qtbot.mouseClick(chip.end_button, Qt.MouseButton.LeftButton)
    await until(lambda: list(screen.patterns.chips) == ["calm.>"], "one pattern left")


async def test_recording_to_a_file(screen: LiveScreen, client: Client, until: Until, tmp_path: Path) -> None:
    await listen(screen, until, "rec.>")
    screen.pause_button.setChecked(True)  # recording goes on
    path = tmp_path / "live.mdump"
    screen.record(path)
    assert screen.record_button.text() == "Stop recording"
    for index in range(500):
        await client.publish(f"rec.{index % 3}", b"\x00\xff%d" % index, headers={"N": str(index)})
    await client.flush()
    await until(lambda: screen.capture is not None and screen.capture.received == 500, "the messages")
    screen.stop_recording()
    await until(path.exists, "the file")
    messages = list(read_file(path))
    assert [message.payload for message in messages] == [b"\x00\xff%d" % index for index in range(500)]
    assert messages[7].headers.get("N") == "7"

    again = tmp_path / "again.mdump"
    screen.record(again)
    await client.publish("rec.x", b"last")
    await client.flush()
    await until(lambda: screen.capture is not None and screen.capture.received == 501, "the last one")
    assert screen._writing is not None
    screen._writing.cancel()  # as the window does when it closes
    await until(again.exists, "what was recorded")
    assert [message.payload for message in read_file(again)] == [b"last"]
    await until(lambda: screen.recording is None, "the end")


async def test_what_is_seen_becomes_a_station(screen: LiveScreen, client: Client, until: Until) -> None:
    await listen(screen, until, "keep.>", "more.*")
    screen.make_station()
    dialog = await until(lambda: screen.findChild(ConfigurationDialog), "the dialog")
    assert dialog.form.config()["subjects"] == ["keep.>", "more.*"]
    dialog.form.field("name").setText("KEPT")
    dialog.accept()
    await until(lambda: "KEPT" in screen.context.session.snapshot.streams, "the station")
    await client.jetstream().publish("keep.a", b"stored")
    assert (await client.jetstream().stream_info("KEPT")).state.messages == 1


async def test_a_recorder_that_cannot_keep_up_says_what_it_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memphis_desktop.inspect.live.MAX_BYTES", 10_000)
    recorder = LiveRecorder(lambda message: message)
    for number in range(1, 101):
        recorder.add(InspectedMessage("", number, 0, "a", b"", b"x" * 100))
    recorder.end()
    kept = [message.sequence async for message in recorder.messages()]
    assert kept[-1] == 100
    assert recorder.dropped == 100 - len(kept) > 50


@pytest.mark.parametrize("kind", ["nats-server", "memphis-desktop"])
async def test_what_a_login_may_not_hear_is_said(
    kind: str,
    open_window: Open,
    start_nats_server: Callable[..., ServerProcess],
    start_broker: Callable[..., ServerProcess],
    until: Until,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = (
        "authorization { users: [ {user: few, password: x, permissions: "
        '{subscribe: {deny: ["Secret.>"]}}} ] }'
    )
    server = (start_nats_server if kind == "nats-server" else start_broker)(config=config)
    url = server.url.replace("nats://", "nats://few:x@")
    program = await open_window()
    await program.window.open_profile(ConnectionProfile(name="few", urls=(url,)), Route("live"))
    screen: Any = program.window.current_workspace().current_screen
    told: list[str] = []
    monkeypatch.setattr(type(screen.context), "notify", lambda _, text, *rest: told.append(text))
    for pattern in ("open.>", "Secret.>"):
        screen.pattern_field.setText(pattern)
        screen.subscribe()
    await until(lambda: any("may not listen to Secret.>" in text for text in told), "the refusal")
    await until(lambda: list(screen.patterns.chips) == ["open.>"], "one pattern left")


async def test_answering_requests(screen: LiveScreen, client: Client, until: Until, qtbot: QtBot) -> None:
    dialog = screen.answer()
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    assert "Type the subject" in dialog.error.text()
    qtbot.keyClicks(dialog.subject_field, "service.price.*")
    dialog.body_field.setPlainText('{"n": {{nothing}}}')
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    assert "nothing" in dialog.error.text()
    dialog.body_field.setPlainText('{"n": {{counter:5}}}')
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: dialog.verb_button.text() == "Stop answering", "the start")
    answers = [(await client.request("service.price.x", b"?", timeout=30)).data for _ in range(3)]
    assert answers == [b'{"n": 5}', b'{"n": 6}', b'{"n": 7}']
    await client.publish("service.price.y", b"no request")
    await until(lambda: "1 message wanted no answer" in dialog.note.text(), "the count")
    assert dialog.note.text().startswith("3 requests answered")
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    dialog.delay_box.setValue(0.05)
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: dialog.verb_button.text() == "Stop answering", "the start")
    assert (await client.request("service.price.x", b"?", timeout=30)).data == b'{"n": 5}'
    responder = dialog.responder
    dialog.reject()  # closing ends it
    await until(lambda: responder is not None and responder._subscription is None, "the end")


async def test_a_reply_is_folded_into_its_request(
    screen: LiveScreen, client: Client, until: Until, qtbot: QtBot
) -> None:
    async def answer(request: Msg) -> None:
        await request.respond(b'{"price": 9007199254740993}')

    await client.subscribe("svc.price", cb=answer)
    await client.flush()
    screen.toolbar.internal_actions["inboxes"].setChecked(True)
    assert screen.toolbar.internal_button.text() == "Internal 1/5"
    screen.fold_check.setChecked(True)
    await until(lambda: screen.capture is not None and screen.capture.folding, "folding")
    await listen(screen, until, "svc.*", "_INBOX.>")
    await client.request("svc.price", b"?", timeout=30)
    capture = screen.capture
    assert capture is not None
    await until(lambda: capture.replies, "the reply")
    await client.publish("_INBOX.nobody.asked", b"stray")
    model = screen.list.model
    await until(lambda: any(row.payload == b"stray" for row in model.rows), "the stray one")
    rows = list(model.rows)  # the console's own requests get replies too
    assert not any(b"price" in row.payload for row in rows)
    asked = next(place for place, row in enumerate(rows) if row.subject == "svc.price")
    screen.list.select_row(asked)
    await until(lambda: screen.pair.has_reply, "the switch")
    assert screen.detail.message is not None
    assert screen.detail.message.payload == b"?"
    button = screen.pair.switch._buttons["reply"]
    await until(lambda: button.isVisible() and button.width() > 20, "the switch in its place")
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    await until(lambda: screen.detail.decoded is not None and screen.detail.decoded.has_value, "the reply")
    assert screen.detail.decoded is not None
    assert screen.detail.decoded.value == {"price": 2**53 + 1}
    column = next(column for column in screen.list.model.columns if column.key == "preview")
    assert "?  ⇢  " in column.text(rows[asked], UTC)
    screen.list.select_row(next(place for place, row in enumerate(rows) if row.payload == b"stray"))
    assert not screen.pair.has_reply
    screen.clear()
    assert not capture.replies


async def test_internal_subjects_are_shown_by_kind(screen: LiveScreen, client: Client, until: Until) -> None:
    await listen(screen, until, ">")
    jetstream = client.jetstream(timeout=30)
    await jetstream.publish("S.first", b"1")  # JetStream's own traffic stays out
    await client.publish("_INBOX.x", b"2")
    await until(lambda: len(screen.list.model.rows) == 1, "the first")
    screen.toolbar.internal_actions["jetstream"].setChecked(True)
    await jetstream.account_info()
    await until(
        lambda: any(row.subject.startswith("$JS.API.INFO") for row in screen.list.model.rows), "the request"
    )
    assert not any(row.subject.startswith("_INBOX") for row in screen.list.model.rows)


async def test_patterns_have_colours_and_room(screen: LiveScreen, client: Client, until: Until) -> None:
    patterns = [f"part{number}.of.a.long.pattern.>" for number in range(9)]
    width = screen.width()
    await listen(screen, until, *patterns)
    assert screen.width() == width  # they go on in another line
    chips = list(screen.patterns.chips.values())
    await until(lambda: len({chip.y() for chip in chips}) > 1, "more than one line")
    for pattern in patterns[:3]:
        await client.publish(pattern.replace(">", "x"), b"x")
    await until(lambda: len(screen.list.model.rows) == 3, "the rows")
    assert [screen._tint(row) for row in screen.list.model.rows] == ["series0", "series1", "series2"]
    screen.unsubscribe(patterns[1])
    await until(lambda: patterns[1] not in screen.patterns.chips, "the end of one")
    await listen(screen, until, "again.>")
    assert screen.patterns.chips["again.>"].entry.number == 1  # the colour that became free


async def test_everything_on_production_is_asked_about_first(
    open_window: Open, any_server: ServerProcess, client: Client, until: Until
) -> None:
    program = await open_window()
    profile = ConnectionProfile("prod", urls=(any_server.url,), environment=Environment.PRODUCTION)
    workspace = await program.window.open_profile(profile, Route("live"))
    screen: Any = program.window.current_workspace().current_screen
    server = await until(
        lambda: (found := workspace.connection.snapshot.server)
        and found.in_messages_rate is not None and found, "the server's figures", timeout=30,
    )  # fmt: skip
    assert server

    def question() -> ConfirmDialog | None:
        return next((one for one in program.window.findChildren(ConfirmDialog) if one.isVisible()), None)

    screen.pattern_field.setText("*.>")
    screen.subscribe()
    dialog = await until(question, "the question")
    texts = " ".join(label.text() for label in dialog.findChildren(PlainLabel))
    assert "at the moment" in texts
    assert "/s" in texts
    dialog.reject()
    await until(lambda: question() is None, "the end of the question")
    assert not screen.patterns.chips
    screen.pattern_field.setText("orders.>")  # not everything: nothing to ask
    screen.subscribe()
    await until(lambda: "orders.>" in screen.patterns.chips, "listening")


async def test_the_keys_of_live(screen: LiveScreen, client: Client, until: Until, qtbot: QtBot) -> None:
    await listen(screen, until, "keys.>")
    await client.publish("keys.service", b"x")
    await until(lambda: len(screen.list.model.rows) == 1, "the row")
    screen.list.select_row(0)
    screen.list.table.setFocus()

    def composer() -> Composer | None:
        return next((one for one in screen.window().findChildren(Composer) if one.isVisible()), None)

    qtbot.keyClick(screen, Qt.Key.Key_Q)
    opened = await until(composer, "the request")
    assert opened.windowTitle() == "Send a request"
    assert opened.subject_field.text() == "keys.service"
    assert opened.request_button.property("kind") == "primary"
    opened.close()
    await until(lambda: composer() is None, "the end")
    qtbot.keyClick(screen, Qt.Key.Key_P)
    opened = await until(composer, "the composer")
    assert opened.publish_button.property("kind") == "primary"
    opened.close()
    qtbot.keyClick(screen, Qt.Key.Key_T)
    assert screen.pause_button.isChecked()
    qtbot.keyClick(screen, Qt.Key.Key_S)
    await until(lambda: screen.window().focusWidget() is screen.pattern_field, "the field")
