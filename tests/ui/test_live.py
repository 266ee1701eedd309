"""The live view: muting, recording to a file, and keeping what is seen in a station."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from nats.js.api import StreamConfig
from PySide6.QtCore import Qt
from pytestqt.qtbot import QtBot

from memphis_desktop.app import Program
from memphis_desktop.cluster.profiles import ConnectionProfile
from memphis_desktop.inspect.files import read_file
from memphis_desktop.inspect.live import LiveRecorder
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.server_process import ServerProcess
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens.live import LiveScreen
from memphis_desktop.ui.screens.station_form import ConfigurationDialog
from tests.conftest import Connect

Until = Callable[..., Awaitable[Any]]
Open = Callable[..., Awaitable[Program]]


@pytest.fixture
async def client(any_server: ServerProcess, connect: Connect) -> Client:
    opened = await connect(any_server)
    assert isinstance(opened, Client)
    await opened.jetstream(timeout=5).add_stream(StreamConfig(name="S", subjects=["S.>"]))
    return opened


@pytest.fixture
async def screen(open_window: Open, until: Until, any_server: ServerProcess, client: Client) -> LiveScreen:
    program = await open_window(connect=any_server.url)
    window = program.window
    workspace = await until(
        lambda: next((w for w in window.workspaces() if w.connection is not None), None), "the connection"
    )
    await until(lambda: "S" in workspace.connection.snapshot.streams, "a snapshot")
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
    await until(lambda: "KEPT" in screen.context.session.snapshot.streams, "the station", timeout=20)
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
    answers = [(await client.request("service.price.x", b"?", timeout=10)).data for _ in range(3)]
    assert answers == [b'{"n": 5}', b'{"n": 6}', b'{"n": 7}']
    await client.publish("service.price.y", b"no request")
    await until(lambda: "1 message wanted no answer" in dialog.note.text(), "the count")
    assert dialog.note.text().startswith("3 requests answered")
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    dialog.delay_box.setValue(0.05)
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: dialog.verb_button.text() == "Stop answering", "the start")
    assert (await client.request("service.price.x", b"?", timeout=10)).data == b'{"n": 5}'
    responder = dialog.responder
    dialog.reject()  # closing ends it
    await until(lambda: responder is not None and responder._subscription is None, "the end")
