"""Activity and settings: what was changed is recorded and can be put back; choices take effect at once."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from memphis_desktop.app import Program
from memphis_desktop.cluster import actions
from memphis_desktop.cluster.activity import ActivityLog
from memphis_desktop.cluster.profiles import ConnectionProfile, Environment
from memphis_desktop.server_process import ServerProcess
from memphis_desktop.ui import settings, theme
from memphis_desktop.ui.components.dialogs import ConfirmDialog
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens.activity import ActivityScreen
from memphis_desktop.ui.screens.activity_record import changed
from memphis_desktop.ui.screens.settings import SettingsScreen
from memphis_desktop.ui.screens.station_detail.activity import ActivityTab
from memphis_desktop.ui.shell import setting_keys, time_zones
from memphis_desktop.ui.shell.log_memory import without_logins

Until = Callable[..., Awaitable[Any]]


async def test_a_change_is_recorded_and_put_back(
    program: Program, any_server: ServerProcess, own_folders: Path, until: Until, qtbot: QtBot
) -> None:
    window = program.window
    profile = ConnectionProfile("prod", urls=(any_server.url,), environment=Environment.PRODUCTION)
    workspace = await window.open_profile(profile)
    assert workspace.connection is not None
    session = workspace.connection.session
    await actions.create_stream({"name": "orders", "subjects": ["orders.>"], "max_msgs": 10}).run(session)
    before = (await session.api("STREAM.INFO.orders"))["config"]
    await actions.update_stream({**before, "max_msgs": 20}, before).run(session)
    window.navigate(Route("activity"))
    screen = workspace.current_screen
    assert isinstance(screen, ActivityScreen)
    titles = [entry.title for entry in screen.table.rows() if not entry.by_others]
    assert titles == ["Change stream orders", "Create stream orders"]
    change = next(entry for entry in screen.table.rows() if entry.title == titles[0] and not entry.by_others)
    screen.table.select_key(change.number)
    assert screen.details.restore_button.isVisible()
    command = screen.details._parts[0][1]
    command.set_text("word " * 60)
    assert command.height() > 3 * command.editor.fontMetrics().lineSpacing(), "its broken lines have room"
    assert changed(change).splitlines()[1:3] == ['-  "max_msgs": 10,', '+  "max_msgs": 20,']
    screen.record.restore()  # at once, whether the station is in a snapshot yet or not
    dialog = await until(
        lambda: next(
            (w for w in QApplication.topLevelWidgets() if isinstance(w, ConfirmDialog) and w.isVisible()),
            None,
        ),
        "the question",
    )
    assert dialog.field is not None, "production asks for the name"
    assert not dialog.verb_button.isEnabled()
    qtbot.keyClicks(dialog.field, "orders")
    qtbot.mouseClick(dialog.verb_button, Qt.MouseButton.LeftButton)
    ours = lambda: [entry for entry in window.activity.entries() if not entry.by_others]  # noqa: E731
    await until(lambda: len(ours()) == 3, "the restoring change")
    assert (await session.api("STREAM.INFO.orders"))["config"]["max_msgs"] == 10
    again = ActivityLog(own_folders / "data").entries()
    assert [entry.title for entry in again][:2] == ["Create stream orders", "Change stream orders"]
    assert again[1].before is not None
    assert again[1].before["max_msgs"] == 10
    assert again[1].answer is not None
    assert again[1].answer["config"]["max_msgs"] == 20


async def test_what_others_do_is_marked_apart(
    program: Program, nats_server: ServerProcess, connect: Callable[..., Any], until: Until
) -> None:
    window = program.window
    await window.open_profile(ConnectionProfile("near", urls=(nats_server.url,)))
    other = await connect(nats_server)
    await other.flush()
    await other.jetstream().add_stream(name="theirs", subjects=["theirs"])
    entry = await until(lambda: next(iter(window.activity.entries()), None), "the advisory")
    assert entry.by_others
    assert entry.stream == "theirs"


async def test_the_log_is_shown_without_logins(program: Program, until: Until) -> None:
    logging.getLogger("memphis_desktop.test").warning("cannot reach nats://ada:secret@host:4222")
    program.window.navigate(Route("activity"))
    screen = program.window.current_workspace().current_screen
    assert isinstance(screen, ActivityScreen)
    screen.tabs.setCurrentIndex(1)
    line = next(line for line in screen.log_table.rows() if "cannot reach" in line.text)
    assert line.text == "cannot reach nats://host:4222"
    screen.copy_diagnostics()
    assert "secret" not in QGuiApplication.clipboard().text()


async def test_the_record_is_exported(program: Program, tmp_path: Path) -> None:
    program.window.navigate(Route("activity"))
    screen = program.window.current_workspace().current_screen
    assert isinstance(screen, ActivityScreen)
    screen.export_to(str(tmp_path / "record.json"))
    assert json.loads((tmp_path / "record.json").read_text()) == []
    screen.export_to(str(tmp_path / "missing" / "record.json"))
    assert "Could not export" in program.window.toasts.texts()[-1]


def test_a_damaged_line_of_the_record_is_left_out(tmp_path: Path) -> None:
    good = {"time_ns": 1, "connection": "a", "profile_id": "b", "title": "Did it", "stream": "s"}
    text = json.dumps(good) + "\n" + '{"time_ns": 2, "conn' + "\n[1]\n"
    (tmp_path / "activity.jsonl").write_text(text)
    assert [entry.title for entry in ActivityLog(tmp_path).entries()] == ["Did it"]


async def test_choices_take_effect_at_once(program: Program, qtbot: QtBot) -> None:
    window = program.window
    window.navigate(Route("settings"))
    screen = window.current_workspace().current_screen
    assert isinstance(screen, SettingsScreen)
    qtbot.mouseClick(screen.theme_choice._buttons["light"], Qt.MouseButton.LeftButton)
    assert theme.manager().current.name == "light"
    assert settings.current().get(setting_keys.THEME) == "light"
    qtbot.mouseClick(screen.density_choice._buttons["compact"], Qt.MouseButton.LeftButton)
    assert theme.manager().density.row == 24
    index = screen.zone.findData("Asia/Tokyo")
    screen.zone.setCurrentIndex(index)
    screen.zone.activated.emit(index)
    assert str(window.zone) == "Asia/Tokyo"
    assert window.status.zone_button().text() == "Asia/Tokyo"
    settings.current().set(time_zones.SETTING, "utc")
    assert window.status.zone_button().text() == "UTC"
    settings.current().set(setting_keys.DENSITY, None)


async def test_settings_and_tabs_outlive_the_window(
    open_window: Callable[..., Awaitable[Program]],
    nats_server: ServerProcess,
    own_folders: Path,
    until: Until,
) -> None:
    from memphis_desktop import app

    profile = ConnectionProfile("near", urls=(nats_server.url,))
    async with app.session() as first:
        first.window.profiles.put(profile)
        await first.window.open_profile(profile, Route("settings"))
    saved = json.loads((own_folders / "config" / "settings.json").read_text())
    assert saved["window/tabs"]["tabs"][0]["route"] == "settings"
    second = await open_window(restore=True)
    await until(lambda: len(second.window.workspaces()) == 2, "the tab of the last time")
    route = second.window.workspaces()[1].route
    assert route == Route("settings")


def test_urls_lose_their_logins() -> None:
    assert without_logins("tls://t0ken@h:1 and nats://u:p@h") == "tls://h:1 and nats://h"


async def test_a_station_has_its_own_record(
    program: Program, any_server: ServerProcess, until: Until, qtbot: QtBot
) -> None:
    window = program.window
    workspace = await window.open_profile(ConnectionProfile("near", urls=(any_server.url,)))
    assert workspace.connection is not None
    session = workspace.connection.session
    for name in ("orders", "other"):
        await actions.create_stream({"name": name, "subjects": [f"{name}.>"]}).run(session)
    await until(lambda: "orders" in session.snapshot.streams, "the stream")
    window.navigate(Route("station", {"stream": "orders", "tab": "activity"}))
    screen = workspace.current_screen
    assert screen is not None
    tab = await until(lambda: screen.findChild(ActivityTab), "the tab")
    assert [entry.title for entry in tab.record.entries()] == ["Create stream orders"]
    tab.record.table.select_key(tab.record.table.rows()[0].number)
    assert "Copy the command" in [command.title for command in screen.commands()]
    before = (await session.api("STREAM.INFO.orders"))["config"]
    await actions.update_stream({**before, "max_msgs": 20}, before).run(session)
    await until(lambda: len(tab.record.table.rows()) == 2, "the change")
