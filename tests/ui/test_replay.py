"""Replays in the window: described, run, found again after a restart, resumed, undone."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from nats.js.api import StreamConfig, StreamSource
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QDialog

from memphis_desktop import app, folders
from memphis_desktop.cluster.profiles import ConnectionProfile, Environment
from memphis_desktop.inspect.files import read_file
from memphis_desktop.inspect.replay import Checkpoint, ReplayOptions, ReplayState
from memphis_desktop.inspect.replay.records import Place, RecordStore, RunRecord, SourceRecord
from memphis_desktop.inspect.sequences import SequenceSet
from memphis_desktop.server_process import ServerProcess
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens.replay import ReplayScreen
from memphis_desktop.ui.screens.replay.dialog import ReplayDialog, open_replay
from memphis_desktop.ui.screens.replay.dry_run import DryRunDialog
from memphis_desktop.ui.screens.replay.rate_slider import NO_LIMIT, position_of, rate_at
from tests.clients import backup
from tests.clients.test_backup_reader import saved
from tests.conftest import Connect
from tests.ui.conftest import Until


def shown(kind: type[QDialog]) -> Any:
    found = [w for w in QApplication.topLevelWidgets() if isinstance(w, kind) and w.isVisible()]
    return found[-1] if found else None


OpenWindow = Callable[..., Awaitable[app.Program]]
COUNT = 300


async def prepared(
    server: ServerProcess, connect: Connect, open_window: OpenWindow, until: Until
) -> tuple[Any, Any, ConnectionProfile]:
    """A station with messages, one to copy into, and the window on them."""
    client = await connect(server)
    jetstream = client.jetstream(timeout=30)
    await jetstream.add_stream(StreamConfig(name="orders", subjects=["orders.>"], allow_direct=True))
    await jetstream.add_stream(StreamConfig(name="copy", subjects=["copy.>"], allow_direct=True))
    for number in range(COUNT):
        await jetstream.publish_async("orders.new", b'{"n":%d,"secret":1}' % number)
    await jetstream.publish_async_completed()
    program = await open_window()
    profile = ConnectionProfile(name="Here", urls=(server.url,))
    workspace = await program.window.open_profile(profile, Route("replay"))
    await until(lambda: workspace.context.session.snapshot.streams, "the stations")
    return client, workspace, profile


async def test_a_replay_is_described_rehearsed_and_run(
    any_server: ServerProcess, connect: Connect, open_window: OpenWindow, until: Until
) -> None:
    """With a filter and an edit; what is not understood is said in the dialog."""
    client, workspace, _ = await prepared(any_server, connect, open_window, until)
    dialog = open_replay(workspace.context, workspace.window(), "orders")
    await until(dialog.isVisible, "the dialog")
    dialog.target_field.setText("copy.{subject}")
    dialog.where_field.setText("json.n >= 200")
    dialog.edits_field.setPlainText("- $.secret\n$.by")
    dialog.accept()
    assert dialog.isVisible()
    assert "gives no value" in dialog.error.text()
    dialog.edits_field.setPlainText("- $.secret\n$.by = 1")
    dialog.set_headers_field.setPlainText("X-Why: a test")
    dialog.show_dry_run()
    rehearsed = await until(lambda: dialog.findChildren(DryRunDialog), "the dry run")
    assert len(rehearsed[0].table.rows()) == 100
    rehearsed[0].close()
    dialog.accept()
    screen = workspace.current_screen
    assert isinstance(screen, ReplayScreen)
    entry = await until(lambda: screen.panel.entry, "the run")
    await until(lambda: entry.progress.state is ReplayState.DONE, "its end")
    assert (entry.progress.stored, entry.progress.left_out) == (100, 200)
    stored = await client.jetstream().get_msg("copy", 1)
    assert json.loads(stored.data) == {"n": 200, "by": 1}
    assert stored.headers["X-Why"] == "a test"
    screen.panel.command_button.click()
    assert QApplication.clipboard().text() == (
        f"memphis-desktop replay orders '--from=#1' '--until=#300' --connect {any_server.url} "
        "'--to=copy.{subject}' '--where=json.n >= 200' '--set=- $.secret' '--set=$.by = 1' "
        "'--header=X-Why:a test'"
    )


async def test_a_backup_dropped_on_the_page_is_replayed(
    broker: ServerProcess, connect: Connect, open_window: OpenWindow, until: Until, tmp_path: Path
) -> None:
    """The dialog says beforehand how much is in it."""
    client, workspace, _ = await prepared(broker, connect, open_window, until)
    folder = saved(tmp_path / "nightly", await backup.take(client, "orders"), "stream.arc.s2")
    await client.jetstream().delete_stream("orders")
    assert workspace.window().offer_file(str(folder))
    dialog = await until(lambda: shown(ReplayDialog), "the dialog")
    assert dialog.windowTitle() == "Publish the messages of nightly"
    await until(lambda: "300 messages" in dialog.safety.text(), "the count")
    dialog.target_field.setText("copy.{subject}")
    dialog.accept()
    screen = workspace.current_screen
    entry = await until(lambda: screen.panel.entry, "the run")
    await until(lambda: entry.progress.state is ReplayState.DONE, "its end")
    assert (entry.source, entry.progress.total, entry.progress.stored) == ("backup of orders", 300, 300)
    assert (await client.jetstream().get_msg("copy", 300)).subject == "copy.orders.new"


async def test_an_interrupted_replay_is_resumed_and_undone_after_a_restart(
    any_server: ServerProcess,
    connect: Connect,
    open_window: OpenWindow,
    until: Until,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The list shows it; Resume sends what is missing; Undo removes all of it, and the list says so."""
    client, workspace, profile = await prepared(any_server, connect, open_window, until)
    at = Place(profile.id, profile.name)
    record = RunRecord(
        "20260101-000000-abcdef",
        SourceRecord("range", "orders #1 – #300", "orders", 1, COUNT, count=COUNT),
        at,
        "copy.{subject}",
        at,
        ReplayOptions(subject="copy.{subject}"),
        ReplayState.RUNNING,
        Checkpoint(200, 201, stored=200),
        {"copy": SequenceSet([(1, 200)])},
        time.time_ns(),
    )
    await asyncio.to_thread(RecordStore(folders.data_folder() / "replays").save, record)
    reopened = await _window_again(workspace, profile)
    screen = reopened.current_screen
    assert isinstance(screen, ReplayScreen)
    entry = await until(lambda: screen.panel.entry, "the run of before")
    assert entry.progress.state is ReplayState.INTERRUPTED
    assert screen.panel.pause_button.text() == "Resume"
    screen.panel.pause_button.click()
    await until(lambda: screen.panel.entry.progress.state is ReplayState.DONE, "its end")
    state = (await client.jetstream().stream_info("copy")).state
    assert state.messages == 100
    copied = await client.jetstream().get_msg("copy", 1)
    assert copied.headers["Memphis-Replay-Sequence"] == "201"
    assert screen.panel.entry.progress.stored == COUNT
    monkeypatch.setattr(type(screen.context), "confirm", _yes)
    await until(screen.panel.undo_button.isEnabled, "the button")
    screen.panel.undo_button.click()
    await until(lambda: screen.panel.entry.record.state is ReplayState.UNDONE, "the undo")
    assert (await client.jetstream().stream_info("copy")).state.messages == 0


async def test_what_a_replay_takes_is_said_and_it_goes_into_a_file_and_again(
    any_server: ServerProcess, connect: Connect, open_window: OpenWindow, until: Until, tmp_path: Path
) -> None:
    """The count, the time at the pace chosen and the target's limits stand in the dialog before the start."""
    client, workspace, _ = await prepared(any_server, connect, open_window, until)
    await client.jetstream().add_stream(StreamConfig(name="back", subjects=["back.>"]))
    config = StreamConfig(name="fed", sources=[StreamSource(name="back")], allow_direct=True)
    await client.jetstream().add_stream(config)
    snapshot = workspace.context.session.snapshot
    await until(lambda: "fed" in workspace.context.session.snapshot.streams, "the stations")
    assert "orders" in snapshot.streams
    fed = open_replay(workspace.context, workspace.window(), "fed")
    await until(fed.isVisible, "the dialog")
    fed.target_field.setText("back.x")
    assert "fed takes its messages from back: the copies come back to it" in fed.target_note.text()
    fed.reject()

    dialog = open_replay(workspace.context, workspace.window(), "orders")
    await until(dialog.isVisible, "the dialog")
    dialog.target_field.setText("copy.{subject}")
    dialog.to_field.setText("#200")
    dialog.pace_box.setCurrentIndex(1)
    dialog.rate_box.setValue(20)
    await until(lambda: dialog.safety.text().startswith("200 messages, about "), "the count")
    said = dialog.safety.text().replace("\xa0", " ")
    assert "It takes about 10 s." in said
    assert "It recognises an id again for 2 min." in said
    dialog.pace_box.setCurrentIndex(2)
    dialog.connection_box.setCurrentIndex(dialog.connection_box.count() - 1)
    dialog.accept()
    assert "Choose the file" in dialog.error.text()
    dialog.file_field.setText(str(tmp_path / "kept.ndjson"))
    dialog.accept()
    screen = workspace.current_screen
    entry = await until(lambda: screen.panel.entry, "the run")
    await until(lambda: entry.progress.state is ReplayState.DONE, "its end")
    messages = list(read_file(tmp_path / "kept.ndjson"))
    assert [(one.sequence, one.subject) for one in messages[:1]] == [(1, "copy.orders.new")]
    assert (len(messages), entry.progress.stored, entry.run.stored_in) == (200, 200, {})
    assert not screen.panel.undo_button.isEnabled()

    (tmp_path / "kept.ndjson").unlink()
    screen.panel.refresh()
    screen.panel.again_button.click()
    again = await until(
        lambda: next((one for one in workspace.window().findChildren(ReplayDialog) if one.isVisible()), None),
        "the same dialog",
    )
    assert (again.to_field.text(), again.file_field.text()) == ("#200", str(tmp_path / "kept.ndjson"))
    again.accept()
    await until(lambda: len(screen.runs.entries) == 2, "the second run")
    await until(lambda: screen.runs.entries[0].progress.state is ReplayState.DONE, "its end")
    assert (tmp_path / "kept.ndjson").exists()


async def test_a_replay_into_production_asks_for_its_name(
    broker: ServerProcess, connect: Connect, open_window: OpenWindow, until: Until
) -> None:
    _, workspace, _ = await prepared(broker, connect, open_window, until)
    profile = ConnectionProfile(name="prod-eu", urls=(broker.url,), environment=Environment.PRODUCTION)
    await workspace.window().open_profile(profile)
    dialog = open_replay(workspace.context, workspace.window(), "orders")
    await until(dialog.isVisible, "the dialog")
    assert not dialog.typed.isVisible()
    dialog.connection_box.setCurrentIndex(1)
    assert dialog.typed.isVisible()
    await until(lambda: dialog.target_session().snapshot.streams, "its stations")
    dialog.target_field.setText("copy.{subject}")
    dialog.accept()
    assert "prod-eu is a production connection" in dialog.error.text()
    dialog.typed.setText("prod-eu")
    dialog.accept()
    assert not dialog.isVisible()
    entry = await until(lambda: workspace.current_screen.runs.entries, "the run")
    await until(lambda: entry[0].progress.state is ReplayState.DONE, "its end")


async def test_one_consumer_gets_worked_out_copies_newest_first_and_a_report_is_saved(
    any_server: ServerProcess, connect: Connect, open_window: OpenWindow, until: Until, tmp_path: Path
) -> None:
    """What is changed for it is said before; one that cannot be reached alone is refused."""
    client, workspace, _ = await prepared(any_server, connect, open_window, until)
    jetstream = client.jetstream()
    for name in ("audit", "billing"):
        await jetstream.add_consumer("orders", durable_name=name, filter_subject="orders.new")
    dialog = open_replay(workspace.context, workspace.window(), "orders")
    await until(dialog.isVisible, "the dialog")
    await until(lambda: dialog.consumer_box.count() == 3, "the consumers")
    dialog.consumer_box.setCurrentText("Only billing of orders")
    await until(lambda: "which only billing takes" in dialog.target.consumer_note.text(), "the plan")
    dialog.order_box.setCurrentText("Newest first")
    dialog.pace_box.setCurrentIndex(3)
    assert dialog.pace.note.text() == "The recorded pauses are kept, backwards."
    dialog.pace_box.setCurrentIndex(0)
    dialog.edits_field.setPlainText("$.twice := json.n * ")
    dialog.accept()
    assert "(at character 20)" in dialog.error.text()
    dialog.edits_field.setPlainText("$.twice := json.n * 2\nheaders.X-Half := json.n / 2")
    dialog.show_dry_run()
    dry = await until(lambda: dialog.findChild(DryRunDialog), "the dry run")
    assert dry.table.rows()[0].subject == "memphis-desktop.resend.orders.billing"
    assert json.loads(dry.table.rows()[0].payload)["twice"] == 2 * (COUNT - 1)
    model = dry.table.view.model()
    assert any("X-Half: 149.5" in str(model.index(0, column).data()) for column in range(model.columnCount()))
    dry.close()
    dialog.accept()
    screen = workspace.current_screen
    entry = await until(lambda: screen.panel.entry, "the run")
    await until(lambda: entry.progress.state is ReplayState.DONE, "its end")
    pending = [(await jetstream.consumer_info("orders", name)).num_pending for name in ("audit", "billing")]
    assert pending == [COUNT, 2 * COUNT]
    assert json.loads((await jetstream.get_msg("orders", COUNT + 1)).data)["n"] == COUNT - 1
    await screen.write_report(entry, tmp_path / "run.json")
    told = json.loads((tmp_path / "run.json").read_text())
    assert (told["state"], told["counts"]["stored"], told["options"]["order"]) == ("done", COUNT, "newest")
    screen.again()
    again = await until(lambda: shown(ReplayDialog), "the same dialog")
    await until(lambda: again.target.plan is not None, "the plan")
    assert again.order_box.currentText() == "Newest first"
    await jetstream.add_consumer("orders", durable_name="everything")
    again.target_field.setText("orders.{sequence}")
    await until(lambda: "everything takes every subject" in again.target.consumer_note.text(), "the refusal")
    again.accept()
    assert "everything takes every subject" in again.error.text()
    again.reject()


async def test_the_throttle_is_a_slider_and_a_number(
    broker: ServerProcess, connect: Connect, open_window: OpenWindow, until: Until, qtbot: Any
) -> None:
    """Both show one rate, which takes hold at once; keys do."""
    _, workspace, _ = await prepared(broker, connect, open_window, until)
    dialog = open_replay(workspace.context, workspace.window(), "orders")
    await until(dialog.isVisible, "the dialog")
    dialog.target_field.setText("copy.{subject}")
    dialog.pace_box.setCurrentIndex(1)
    dialog.rate_box.setValue(10)
    dialog.accept()
    panel = workspace.current_screen.panel
    entry = await until(lambda: panel.entry, "the run")
    assert (panel.rate_box.value(), panel.rate_slider.value()) == (10, 20)
    panel.rate_slider.setFocus()
    qtbot.keyClick(panel.rate_slider, Qt.Key.Key_PageUp)
    assert (entry.run.rate, panel.rate_box.value()) == (100, 100)
    assert panel.rate_slider.accessibleDescription() == "100 messages/s"
    panel.rate_box.setValue(25)
    assert (entry.run.rate, panel.rate_slider.value()) == (25, position_of(25))
    qtbot.keyClick(panel.rate_slider, Qt.Key.Key_End)
    assert entry.run.rate is None
    await until(lambda: entry.progress.state is ReplayState.DONE, "its end")
    await until(lambda: not panel.rate_slider.isEnabled(), "its end in the panel")


def test_slider_positions_are_rates_one_would_type() -> None:
    """And back; from one a second to a million."""
    assert [rate_at(position) for position in (0, 20, 26, 60, 120, NO_LIMIT)] == [1, 10, 20, 1000, 1e6, None]
    for position in range(20, NO_LIMIT + 1):
        assert position_of(rate_at(position)) == position
    assert position_of(0.1) == 0


async def _yes(*_: object) -> bool:
    return True


async def _window_again(workspace: Any, profile: ConnectionProfile) -> Any:
    """Close the connection and open it again: what was in memory is gone."""
    window = workspace.window()
    await window.close_profile(profile.id)
    return await window.open_profile(profile, Route("replay"))


@pytest.mark.parametrize("text", ["name", ": value"])
async def test_headers_that_are_none_are_refused(
    broker: ServerProcess, connect: Connect, open_window: OpenWindow, until: Until, text: str
) -> None:
    """In the dialog, before anything is sent."""
    _, workspace, _ = await prepared(broker, connect, open_window, until)
    dialog: ReplayDialog = open_replay(workspace.context, workspace.window(), "orders")
    await until(dialog.isVisible, "the dialog")
    dialog.target_field.setText("copy.x")
    dialog.set_headers_field.setPlainText(text)
    dialog.accept()
    assert dialog.isVisible()
    assert "no header" in dialog.error.text()
    dialog.reject()
