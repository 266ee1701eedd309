"""The decoders screen: masks that hold everywhere, commands of one's own, the bench."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from nats.js.api import StreamConfig
from PySide6.QtGui import QGuiApplication
from pytestqt.qtbot import QtBot

from memphis_desktop.app import Program
from memphis_desktop.inspect.mask import MASK
from memphis_desktop.server_process import ServerProcess
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens.decoders import DecodersScreen
from memphis_desktop.ui.screens.decoders.choices import select_choice
from memphis_desktop.ui.screens.messages.export_dialog import ExportDialog
from tests.conftest import Connect

Until = Callable[..., Awaitable[Any]]
Open = Callable[..., Awaitable[Program]]
Go = Callable[..., Awaitable[Any]]
CARD = "4000-1234"


@pytest.fixture
async def client(broker: ServerProcess, connect: Connect) -> Client:
    opened = await connect(broker)
    assert isinstance(opened, Client)
    jetstream = opened.jetstream(timeout=5)
    await jetstream.add_stream(StreamConfig(name="S", subjects=["S.>"], allow_direct=True))
    for index in range(5):
        payload = f'{{"n": {index}, "card": "{CARD}", "note": "card {CARD}"}}'
        await jetstream.publish("S.x", payload.encode(), headers={"Authorization": CARD})
    return opened


@pytest.fixture
def go(open_window: Open, until: Until, broker: ServerProcess, client: Client) -> Go:
    async def open_screen(route: Route) -> Any:
        program = await open_window(connect=broker.url)
        window = program.window
        workspace = await until(
            lambda: next((w for w in window.workspaces() if w.connection is not None), None), "the connection"
        )
        await until(lambda: "S" in workspace.connection.snapshot.streams, "a snapshot")
        window.navigate(route)
        return window.current_workspace().current_screen

    return open_screen


async def test_masks_hold_in_lists_panes_copies_searches_and_files(
    go: Go, until: Until, qtbot: QtBot, tmp_path: Path
) -> None:
    screen = await go(Route("messages", {"stream": "S"}))
    browser = screen.browser
    await until(lambda: browser.places.settled and len(browser.list.model.rows) == 5, "the rows")
    model = browser.list.model
    last = len(model.columns) - 1
    assert CARD in model.index(0, last).data()
    window = screen.window()
    window.navigate(Route("decoders"))
    decoders = window.current_workspace().current_screen
    assert isinstance(decoders, DecodersScreen)
    dialog = decoders.masks.add()
    dialog.what_field.setText("$..card")
    dialog.accept()
    assert "no path" in dialog.error.text()
    dialog.what_field.setText("$.card")
    dialog.accept()
    for kind, what in ((1, r"\d{4}-\d{4}"), (2, "Authorization")):
        dialog = decoders.masks.add()
        dialog.kind_box.setCurrentIndex(kind)
        dialog.what_field.setText(what)
        dialog.accept()
    assert len(decoders.masks.table.rows()) == 3

    window.navigate(Route("messages", {"stream": "S"}))
    await until(lambda: browser.places.settled and len(model.rows) == 5, "the rows again")
    assert all(CARD not in model.index(row, last).data() for row in range(5))
    browser.list.select_sequence(3)
    await until(lambda: browser.detail.decoded is not None, "the message")
    assert browser.detail.decoded.value["card"] == MASK
    assert CARD not in browser.detail.text_view.text()
    assert CARD.encode() not in browser.detail.hex_view.data()
    assert [row[2] for row in browser.detail.headers_table.rows()] == [MASK]
    assert "masked" in browser.detail._facts.text()
    for form in ("JSON", "nats command", "cURL (Memphis REST)", "Python"):
        browser.message_actions.copy_as(form)
        assert CARD not in QGuiApplication.clipboard().text(), form
    browser.message_actions.copy_payload()
    assert CARD not in QGuiApplication.clipboard().text()
    browser.message_actions.export()
    export = await until(lambda: window.findChild(ExportDialog), "the dialog")
    export.path_field.setText(str(tmp_path / "out.ndjson"))
    export.accept()
    await until((tmp_path / "out.ndjson").exists, "the file")
    assert CARD not in (tmp_path / "out.ndjson").read_text()
    browser.search_for("json.n >= 0")
    await until(
        lambda: browser.searching.job and browser.searching.job.progress.state.ended, "the search", timeout=30
    )
    await until(lambda: len(model.rows) == 5, "the matches")
    assert all(CARD not in model.index(row, last).data() for row in range(5))
    browser.searching.close()
    decoders.masks.remove([row[1] for row in decoders.masks.table.rows()])
    await until(lambda: browser.places.settled and len(model.rows) == 5, "the rows without masks")
    await until(lambda: CARD in model.index(0, last).data(), "the values")


async def test_a_command_of_ones_own(go: Go, until: Until, qtbot: QtBot, tmp_path: Path) -> None:
    script = tmp_path / "decode.py"
    script.write_text("import sys, json\nprint(json.dumps({'bytes': len(sys.stdin.buffer.read())}))\n")
    screen = await go(Route("decoders"))
    dialog = screen.command_table.add()
    dialog.command_field.setText(f"{sys.executable} {script}")
    dialog.accept()
    assert "name" in dialog.error.text()
    dialog.name_field.setText("mine")
    dialog.seconds_box.setValue(20)
    dialog.accept()
    boxes = screen.bench.decoder_box
    assert all("mine" not in boxes.itemText(index) for index in range(boxes.count()))  # off at first
    screen.command_table.switch.setChecked(True)
    select_choice(screen.bench.decoder_box, ("command", "mine"))
    screen.bench.input.setPlainText("abcd")
    screen.bench.run()
    await until(lambda: '"bytes": 4' in screen.bench.output.text(), "the answer", timeout=30)
    assert screen.bench.verdicts.rows()[-1][1].applied
    rule = screen._edit(None)
    rule.subject_field.setText("S.>")
    select_choice(rule.decoder_box, ("command", "mine"))
    rule.accept()
    screen.context.navigate(Route("messages", {"stream": "S", "sequence": "1"}))
    browser = screen.window().current_workspace().current_screen.browser
    await until(lambda: browser.detail.decoded is not None, "the message", timeout=30)
    assert set(browser.detail.decoded.value) == {"bytes"}
