"""Everything a search matches at once: deleted, replayed, exported, whether it is listed or not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from nats.js.api import StreamConfig
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMenu
from pytestqt.qtbot import QtBot

from memphis_desktop.app import Program
from memphis_desktop.cluster.profiles import ConnectionProfile
from memphis_desktop.inspect.files import read_file
from memphis_desktop.inspect.mask import MaskRule
from memphis_desktop.server_process import ServerProcess
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens.decoders.store import save_mask_rules
from memphis_desktop.ui.screens.messages import MessageBrowser
from memphis_desktop.ui.screens.messages.deletion_dialog import DeletionDialog
from memphis_desktop.ui.screens.messages.export_dialog import ExportDialog
from memphis_desktop.ui.screens.replay.dialog import DryRunDialog, ReplayDialog
from tests.conftest import Connect

Until = Callable[..., Awaitable[Any]]
Open = Callable[..., Awaitable[Program]]
Browse = Callable[..., Awaitable[MessageBrowser]]
COUNT = 400
RED = [n for n in range(1, COUNT + 1) if n % 4 == 0]
SECRET = "4111-2222"


async def fill(client: Client, name: str, **config: Any) -> None:
    jetstream = client.jetstream(timeout=30)
    await jetstream.add_stream(StreamConfig(name=name, subjects=[f"{name}.>"], allow_direct=True, **config))
    acks = [
        await jetstream.publish_async(
            f"{name}.a",
            json.dumps({"n": n, "colour": "red" if n % 4 == 0 else "blue", "card": SECRET}).encode(),
        )
        for n in range(1, COUNT + 1)
    ]
    await asyncio.gather(*acks)


@pytest.fixture
def browse(open_window: Open, until: Until, any_server: ServerProcess, connect: Connect) -> Browse:
    async def open_browser(*, read_only: bool = False, **config: Any) -> MessageBrowser:
        client = await connect(any_server)
        assert isinstance(client, Client)
        await fill(client, "S", **config)
        await client.jetstream().add_stream(StreamConfig(name="COPIES", subjects=["copies.>"]))
        profile = ConnectionProfile(name="here", urls=(any_server.url,), read_only=read_only)
        window = (await open_window()).window
        await window.open_profile(profile, Route("messages", {"stream": "S"}))
        screen: Any = window.current_workspace().current_screen
        await until(lambda: screen.browser.places.settled and screen.browser.list.model.rows, "the rows")
        assert isinstance(screen.browser, MessageBrowser)
        session = screen.context.session
        await until(lambda: session.snapshot and "COPIES" in session.snapshot.streams, "the other station")
        return screen.browser

    return open_browser


async def find(browser: MessageBrowser, until: Until, qtbot: QtBot, text: str, most: int = 10) -> None:
    """Search, so that only the first few matches are listed."""
    browser.search_bar.max_matches = most
    browser.search_bar.field.clear()
    browser.search_bar.field.setFocus()
    qtbot.keyClicks(browser.search_bar.field, text)
    before = browser.searching.job
    qtbot.keyClick(browser.search_bar.field, Qt.Key.Key_Return)
    await until(lambda: browser.searching.job not in (None, before), "the search")
    await until(lambda: browser.searching.job.progress.state.ended, "its end")


async def choose(browser: MessageBrowser, until: Until, qtbot: QtBot, title: str) -> None:
    """Take an entry of the button's menu."""
    qtbot.mouseClick(browser.search_status.actions_button, Qt.MouseButton.LeftButton)
    menu = await until(lambda: next((m for m in browser.findChildren(QMenu) if m.isVisible()), None), "menu")
    action = next(action for action in menu.actions() if action.text().startswith(title))
    assert action.isEnabled()
    action.trigger()
    menu.close()


async def test_all_matches_are_counted_and_deleted(
    browse: Browse, until: Until, qtbot: QtBot, connect: Connect, any_server: ServerProcess
) -> None:
    browser = await browse()
    records: list[Any] = []
    browser.context.session.subscribe_actions(records.append)
    await find(browser, until, qtbot, "red")
    assert len(browser.list.model.rows) == 10
    await choose(browser, until, qtbot, "Delete all matches")
    dialog = await until(lambda: browser.window().findChild(DeletionDialog), "the dialog")
    await until(lambda: "100 messages" in dialog.note.text(), "the count")
    assert "#4 – #400" in dialog.note.text()
    assert [row.sequence for row in dialog.table.rows()] == RED
    assert "nats stream rmm S 4 --force" in dialog.command.text()
    assert "STREAM.MSG.DELETE.S" in dialog.command.text()
    assert not dialog.verb_button.isEnabled()
    qtbot.keyClicks(dialog.field, "S")
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: browser.reader is not None and browser.reader.bounds.messages == 300, "the end")
    await until(lambda: "nothing matched" in browser.search_status.label.text(), "the search again")
    client = await connect(any_server)
    state = (await client.jetstream().stream_info("S", subjects_filter=">")).state  # type: ignore[union-attr]
    assert state.messages == 300
    assert [record.action.title for record in records] == ["Delete 100 messages of stream S"]


async def test_all_matches_are_exported_and_replayed(
    browse: Browse, until: Until, qtbot: QtBot, tmp_path: Path, connect: Connect, any_server: ServerProcess
) -> None:
    browser = await browse()
    await find(browser, until, qtbot, "red")
    await choose(browser, until, qtbot, "Export all matches")
    export = await until(lambda: browser.window().findChild(ExportDialog), "the dialog")
    assert export.choices["all"].isChecked()
    export.path_field.setText(str(tmp_path / "red.ndjson"))
    qtbot.mouseClick(export.verb_button, Qt.MouseButton.LeftButton)
    await until((tmp_path / "red.ndjson").exists, "the file")
    assert [message.sequence for message in read_file(tmp_path / "red.ndjson")] == RED

    await choose(browser, until, qtbot, "Replay all matches")
    replay = await until(lambda: browser.window().findChild(ReplayDialog), "the dialog")
    await until(replay.isVisible, "its window")
    assert (replay.where_field.text(), replay.from_field.text(), replay.to_field.text()) == (
        "red",
        "#1",
        "#400",
    )
    replay.target_field.setText("copies.{sequence}")
    qtbot.mouseClick(replay.verb_button, Qt.MouseButton.LeftButton)
    client = await connect(any_server)

    async def copied() -> int:
        return (await client.jetstream().stream_info("COPIES")).state.messages  # type: ignore[union-attr]

    async with asyncio.timeout(30):
        while await copied() < len(RED):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert await copied() == len(RED)


async def test_where_deleting_is_refused(browse: Browse, until: Until, qtbot: QtBot) -> None:
    browser = await browse(read_only=True)
    await find(browser, until, qtbot, "red")
    menu = QMenu()
    qtbot.addWidget(menu)
    browser.message_actions.fill_matches_menu(menu)
    actions = {action.text(): action.isEnabled() for action in menu.actions() if action.text()}
    assert actions["Export all matches"]
    assert not actions["Delete all matches (this connection is read-only)"]
    browser.message_actions.delete_matches()  # the client refuses even then
    dialog = await until(lambda: browser.window().findChild(DeletionDialog), "the dialog")
    await until(lambda: "100 messages" in dialog.note.text(), "the count")
    qtbot.keyClicks(dialog.field, "S")
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: "read-only" in dialog.error.text(), "the refusal")
    assert browser.reader is not None
    assert (await browser.reader.refresh()).messages == COUNT


async def test_a_station_that_refuses_says_why(browse: Browse, until: Until, qtbot: QtBot) -> None:
    browser = await browse(deny_delete=True)
    await find(browser, until, qtbot, "red")
    browser.message_actions.delete_matches()
    dialog = await until(lambda: browser.window().findChild(DeletionDialog), "the dialog")
    await until(lambda: "100 messages" in dialog.note.text(), "the count")
    qtbot.keyClicks(dialog.field, "S")
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    await until(lambda: "not permitted" in dialog.error.text(), "the refusal")
    assert "The rest was not tried" in dialog.error.text()
    qtbot.mouseClick(dialog.cancel_button, Qt.MouseButton.LeftButton)
    await until(lambda: browser.window().findChild(DeletionDialog) is None, "the end of the dialog")


async def test_what_is_hidden_is_not_found_and_not_rehearsed(
    browse: Browse, until: Until, qtbot: QtBot
) -> None:
    browser = await browse()
    save_mask_rules([MaskRule("path", "$.card")])
    for text in (SECRET, f'json.card == "{SECRET}"', f"re:/{SECRET}/", f"text:{SECRET}"):
        await find(browser, until, qtbot, text)
        assert browser.searching.job.progress.matched == 0, text  # type: ignore[union-attr]
    await find(browser, until, qtbot, 'json.colour == "red"')
    assert len(browser.list.model.rows) == 10
    browser.message_actions.replay_matches()
    replay = await until(lambda: browser.window().findChild(ReplayDialog), "the dialog")
    await until(replay.isVisible, "its window")
    replay.target_field.setText("copies.{sequence}")
    qtbot.mouseClick(replay.dry_button, Qt.MouseButton.LeftButton)
    dry = await until(lambda: replay.findChild(DryRunDialog), "the dry run")
    model = dry.table.view.model()
    shown = [model.index(row, column).data() for row in range(3) for column in range(model.columnCount())]
    assert any("•••" in str(text) for text in shown)
    assert not any(SECRET in str(text) for text in shown)
    dry.close()
    replay.where_field.setText(f'json.card == "{SECRET}"')
    qtbot.mouseClick(replay.dry_button, Qt.MouseButton.LeftButton)
    await until(
        lambda: any(not other.table.rows() for other in replay.findChildren(DryRunDialog)), "nothing", 30
    )
    replay.close()
    browser.list.select_row(0)
    detail = browser.detail
    assert SECRET not in detail.text_view.text()
    qtbot.mouseClick(detail._actions["eye"], Qt.MouseButton.LeftButton)
    assert SECRET in detail.text_view.text()
    assert "shown unmasked" in detail._facts.text()
    browser.message_actions.copy_payload()
    qtbot.mouseClick(detail._actions["eye"], Qt.MouseButton.LeftButton)
    assert SECRET not in detail.text_view.text()
    save_mask_rules([])
