"""Files and links opened from outside, one window for a folder, the tray, reports of faults."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QSize
from PySide6.QtWidgets import QApplication, QPushButton

from memphis_desktop import app, folders
from memphis_desktop.cluster.profiles import ConnectionProfile
from memphis_desktop.opening import Opening, from_json
from memphis_desktop.server_process import ServerProcess, program_command
from memphis_desktop.ui.broker_control import BrokerChoice, BrokerState
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens.message_file import MessageFileScreen
from memphis_desktop.ui.shell import remembered
from memphis_desktop.ui.shell.crash_notice import CrashReport
from memphis_desktop.ui.shell.instance import Instance
from memphis_desktop.ui.shell.workspace_file import WorkspaceProblem, read_workspace
from tests.ui.conftest import Until

OpenWindow = Callable[..., Awaitable[app.Program]]


def write_messages(path: Path, count: int) -> Path:
    """An export in JSON lines."""
    lines = [
        json.dumps({"seq": n, "time": "2026-01-02T03:04:05Z", "subject": f"orders.{n}", "data": {"n": n}})
        for n in range(1, count + 1)
    ]
    path.write_text("\n".join(lines))
    return path


async def test_a_file_of_messages_is_shown_without_a_server(
    open_window: OpenWindow, until: Until, tmp_path: Path
) -> None:
    """Dropped or given on the command line: the rows, the first one's details, a filter."""
    program = await open_window()
    path = write_messages(tmp_path / "orders.ndjson", 5000)
    program.window.opener.open(Opening(files=(str(path),)))
    screen = program.window.current_workspace().current_screen
    assert isinstance(screen, MessageFileScreen)
    await until(lambda: len(screen.table.rows()) == 5000, "all rows")
    assert screen.detail.message is not None
    assert screen.detail.message.subject == "orders.1"
    screen.filter.field.setText("orders.4321")
    await until(lambda: [row[1].subject for row in screen.table.rows()] == ["orders.4321"], "the row found")
    assert "orders.ndjson" in program.window.windowTitle()


@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02", b'{"seq": ', b"MEMDUMP1\xff\xff\xff"])
async def test_a_file_that_is_none_says_so(
    open_window: OpenWindow, until: Until, tmp_path: Path, content: bytes
) -> None:
    """In the window, with the way to read it again."""
    program = await open_window()
    path = tmp_path / "broken.mdump"
    path.write_bytes(content)
    program.window.opener.open_file(str(path))
    screen = program.window.current_workspace().current_screen
    assert isinstance(screen, MessageFileScreen)
    await until(lambda: screen.table.state() in ("error", "empty"), "the failure")
    write_messages(path, 2)
    screen.read_again()
    await until(lambda: len(screen.table.rows()) == 2, "the rows of the mended file")


async def test_tabs_are_saved_and_opened_as_a_workspace(
    open_window: OpenWindow, until: Until, tmp_path: Path, broker: ServerProcess
) -> None:
    """The connection is found by its profile; one that is not here is named."""
    program = await open_window()
    window = program.window
    profile = ConnectionProfile(name="Mine", urls=(broker.url,))
    window.profiles.save([profile])
    await window.open_profile(profile, Route("stations"))
    path = tmp_path / "tabs.mworkspace"
    window.opener.save_workspace(str(path))
    document = json.loads(path.read_text())
    document["tabs"].append({"profile": "gone", "name": "Elsewhere", "route": "stations"})
    path.write_text(json.dumps(document))
    await window.close_profile(profile.id)
    window.opener.open(Opening(files=(str(path),)))
    await until(lambda: len(window.workspaces()) == 2, "the tab")
    assert window.current_workspace().route == Route("stations")
    await until(lambda: any("Elsewhere" in text for text in window.toasts.texts()), "what is not here")


@pytest.mark.parametrize("text", ["", "[]", '{"format": "other"}', "[" * 100_000])
def test_what_is_no_workspace_is_refused(tmp_path: Path, text: str) -> None:
    """With one sentence."""
    path = tmp_path / "x.mworkspace"
    path.write_text(text)
    with pytest.raises(WorkspaceProblem):
        read_workspace(path)


async def test_a_second_start_hands_over(until: Until, qapp: QApplication) -> None:
    """The real program, started again, gives the first what it was asked for, and ends; no second window."""
    first = Instance(folders.data_folder())
    heard: list[object] = []
    first.asked.connect(heard.append)
    assert first.claim()
    second = await asyncio.create_subprocess_exec(
        *program_command("nats://somewhere:4222", "--demo"), stderr=asyncio.subprocess.PIPE
    )
    _, said = await asyncio.wait_for(second.communicate(), 60)
    assert second.returncode == 0, said
    assert b"a window is open already" in said
    await until(lambda: heard, "the request")
    assert from_json(heard[0]) == Opening(demo=True, links=("nats://somewhere:4222",))
    first.release()
    assert Instance(folders.data_folder()).claim()


async def test_the_tray_starts_and_stops_the_broker(open_window: OpenWindow, until: Until) -> None:
    """Its words follow the state."""
    program = await open_window()
    tray = program.window.tray
    assert tray.state_action.text() == "Local broker: stopped"
    await program.broker.start(BrokerChoice(port=0, persistent=False, sample_traffic=False))
    assert program.broker.url in tray.state_action.text()
    tray.broker_action.trigger()
    await until(lambda: program.broker.state is BrokerState.STOPPED, "the end of the broker")
    assert tray.broker_action.text() == "Start the local broker"


async def test_a_report_of_a_fault_is_shown_as_text(open_window: OpenWindow, tmp_path: Path) -> None:
    """With where it lies, and without logins."""
    program = await open_window()
    path = tmp_path / "crash.txt"
    path.write_text("<b>Fatal</b> nats://user:secret@host:4222")
    dialog = CrashReport(program.window, path)
    dialog.open()
    assert "secret" not in dialog.text.text()
    assert "<b>Fatal</b>" in dialog.text.text()
    dialog.findChild(QPushButton).click()


async def test_a_window_larger_than_the_screen_fills_it(open_window: OpenWindow) -> None:
    window = (await open_window()).window
    room = QSize(window.width(), window.height())
    remembered.keep_within(window, room + QSize(0, 100))
    assert not window.isMaximized()
    remembered.keep_within(window, room)  # the title bar has no room
    assert window.isMaximized()
