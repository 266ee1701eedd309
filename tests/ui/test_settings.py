"""Settings as a user changes them: the look at once and readable, figures kept as long as chosen."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from memphis_desktop import app, folders
from memphis_desktop.app import Program
from memphis_desktop.cluster.profiles import ConnectionProfile
from memphis_desktop.language import figures
from memphis_desktop.server_process import ServerProcess
from memphis_desktop.ui import figure_style, keymap, settings, theme
from memphis_desktop.ui import format as written
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens.home.connection_form import ConnectionForm
from memphis_desktop.ui.screens.settings import SettingsScreen
from memphis_desktop.ui.shell import setting_keys as keys
from memphis_desktop.ui.theme import contrast_ratio
from memphis_desktop.ui.theme.tokens import CONTRAST_DARK, CONTRAST_LIGHT, DARK, LIGHT, Theme
from memphis_desktop.ui.theme.variants import ACCENTS, varied

Until = Callable[..., Awaitable[Any]]
OpenWindow = Callable[..., Awaitable[Program]]
THEMES = (DARK, LIGHT, CONTRAST_DARK, CONTRAST_LIGHT)


def page(program: Program) -> SettingsScreen:
    program.window.navigate(Route("settings"))
    screen = program.window.current_workspace().current_screen
    assert isinstance(screen, SettingsScreen)
    return screen


@pytest.mark.parametrize(
    ("base", "accent", "told_apart"),
    [
        pytest.param(*one, id=f"{one[0].name}-{one[1]}-{one[2]}")
        for one in itertools.product(THEMES, ACCENTS, (False, True))
    ],
)
def test_every_variant_can_be_read(base: Theme, accent: str, told_apart: bool) -> None:
    """4.5:1 for text on each ground it stands on, 7:1 in high contrast; 3:1 for lines of graphs."""
    look = varied(base, accent, told_apart)
    least = 7.0 if base.name.startswith("contrast") else 4.5
    grounds = (look.window, look.surface, look.raised)
    for token in ("accent", "good", "warning", "bad", "information"):
        for ground in grounds:
            assert contrast_ratio(look.colour(token), ground) >= least, (token, ground)
    for token in ("good", "warning", "bad", "information"):
        assert contrast_ratio(look.colour(token), look.colour(f"{token}_soft")) >= 4.5, token
    assert contrast_ratio(look.on_accent, look.accent) >= least
    assert contrast_ratio(look.on_accent, look.accent_hover) >= 4.5
    assert contrast_ratio(look.text, look.selection) >= least
    assert contrast_ratio(look.text, look.accent_soft) >= least
    assert all(contrast_ratio(line, look.surface) >= 3 for line in look.series)
    assert len(set(look.series)) == len(look.series)


async def test_colours_are_chosen_and_worn_at_once(program: Program, qtbot: QtBot) -> None:
    screen = page(program)
    screen.theme_choice._buttons["light"].click()
    screen.accent.button("teal").click()
    current = theme.manager().current
    assert (current.name, current.accent) == ("light", "#0B6F7D")
    before = current.good
    screen.told_apart.setChecked(True)
    assert theme.manager().current.good != before
    screen.told_apart.setChecked(False)
    screen.accent.button("violet").click()
    assert settings.current().get(keys.ACCENT) is None
    assert theme.manager().current == varied(LIGHT, "violet", told_apart=False)


async def test_text_grows_with_its_rows_and_comes_back(
    program: Program, broker: ServerProcess, until: Until
) -> None:
    await program.window.open_profile(ConnectionProfile(name="near", urls=(broker.url,)), Route("stations"))
    table = program.window.current_workspace().current_screen.table
    row, font = table.view.verticalHeader().defaultSectionSize(), QApplication.font().pixelSize()
    screen = page(program)
    screen.text_size.setCurrentIndex(screen.text_size.findData(150))
    theme.manager().finish()
    try:
        assert table.view.verticalHeader().defaultSectionSize() == round(row * 1.5)
        assert QApplication.font().pixelSize() == round(font * 1.5)
        program.window.grab()  # everything can be drawn so
        for item in program.window.rail.items.values():
            assert item.fontMetrics().horizontalAdvance(item.text()) < item.width() - 46
    finally:
        screen.text_size.setCurrentIndex(screen.text_size.findData(100))
        theme.manager().finish()
    assert table.view.verticalHeader().defaultSectionSize() == row


async def test_the_look_outlives_the_window_and_nonsense_does_no_harm(open_window: OpenWindow) -> None:
    async with app.session() as first:
        page(first).accent.button("blue").click()
        settings.current().set(keys.TEXT, 110)
    theme.manager().set_accent(theme.STANDARD_ACCENT)
    theme.manager().set_percent(100)
    program = await open_window()
    assert theme.manager().accent == "blue"
    assert page(program).text_size.currentText() == "110 %"
    store = settings.current()
    store.set(keys.ACCENT, None)
    store.set(keys.TEXT, None)
    assert (theme.manager().accent, theme.manager().percent) == ("violet", 100)
    for key, nonsense in ((keys.ACCENT, "plaid"), (keys.TEXT, "huge"), (keys.POLL_BUDGET, "many")):
        store.blockSignals(True)
        store.set(key, nonsense)
        store.blockSignals(False)
    app.dress(app.application())
    assert (store.get(keys.ACCENT), store.get(keys.TEXT)) == (None, None)
    assert keys.poll_budget(store) == keys.USUAL_POLL_BUDGET


async def test_how_much_is_asked_and_kept(program: Program, broker: ServerProcess) -> None:
    screen = page(program)
    screen.budget.setValue(7)
    screen.history_days.setCurrentIndex(screen.history_days.findData(7))
    screen.history_size.setCurrentIndex(screen.history_size.findData(50))
    form = ConnectionForm(program.window, program.window.profiles)
    assert form.budget.value() == 7
    form.deleteLater()
    workspace = await program.window.open_profile(ConnectionProfile(name="near", urls=(broker.url,)))
    store = workspace.connection.session._store
    assert (store._seconds, store._most_bytes) == (7 * 86400.0, 50 << 20)


async def test_shortcuts_are_reset_and_that_is_undone(program: Program, qtbot: QtBot) -> None:
    screen = page(program)
    assert not screen.keys_reset.isEnabled()
    keymap.choose("window.rail", "Ctrl+Alt+R")
    assert screen.keys_reset.isEnabled()
    qtbot.mouseClick(screen.keys_reset, Qt.MouseButton.LeftButton)
    assert keymap.keys_of("window.rail") == "Ctrl+B"
    [toast] = program.window.toasts.texts()
    assert toast == "All shortcuts are as they were at first."


async def test_times_are_written_as_chosen_at_once(open_window: OpenWindow) -> None:
    program = await open_window()
    screen = page(program)
    try:
        screen.clock.chosen.emit(figure_style.HOURS_12)
        assert written.timestamp(0, digits=0) == "1970-01-01 12:00:00\u202fAM"
        screen.digits.setCurrentIndex(screen.digits.findData(9))
        assert written.timestamp(0).endswith(":00.000000000\u202fAM")
        screen.relative.setChecked(False)
        assert not figures.style().relative
        for key in figure_style.SETTINGS:
            settings.current().set(key, None)
        assert screen.digits.currentData() == 3
        assert screen.relative.isChecked()
    finally:
        figures.use(figures.ISO)


async def test_the_language_is_chosen_for_the_next_start(open_window: OpenWindow) -> None:
    program = await open_window()
    screen = page(program)
    screen.language.setCurrentIndex(screen.language.findText("English"))
    screen.language.activated.emit(screen.language.currentIndex())
    assert settings.current().get(keys.LANGUAGE) == "en"
    assert "English from the next start" in program.window.toasts.texts()[-1]


async def test_new_connections_begin_with_the_chosen_proxy(open_window: OpenWindow) -> None:
    program = await open_window()
    screen = page(program)
    for text, kept in (
        ("socks5://jump:1081", True),
        ("ftp://jump", False),
        ("socks5://me:secret@jump", False),
    ):
        settings.current().set(keys.PROXY, None)
        screen.proxy.setText(text)
        screen.proxy.editingFinished.emit()
        assert (keys.proxy(settings.current()) == text) is kept
        assert bool(screen.proxy.property("invalid")) is not kept
        assert "secret" not in str(settings.current().get(keys.PROXY))
    settings.current().set(keys.PROXY, "http://proxy:8080")
    form = ConnectionForm(program.window, program.window.profiles)
    assert form.proxy.text() == "http://proxy:8080"


RESTARTED = """
import os, sys
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
from memphis_desktop import app

def restart():
    window = next((w for w in QApplication.topLevelWidgets() if hasattr(w, "restart_requested")), None)
    if window is None or not window.isVisible():
        QTimer.singleShot(50, restart)
    else:
        window.restart_requested.emit()

def begin_again(program, command, environment):
    print(command[1:], "QT_SCALE_FACTOR" in environment, flush=True)
    os._exit(7)

os.execve = begin_again
sys.argv = ["memphis-desktop", "--demo"]
app.application()
QTimer.singleShot(50, restart)
app.run(demo=False, connect=None)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a process there cannot take the place of another")
def test_it_starts_again_with_its_arguments_and_without_its_own_scale(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "settings.json").write_text('{"look/scale": 125}')
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", folders.HOME_VARIABLE: str(tmp_path)}
    environment.pop("QT_SCALE_FACTOR", None)
    done = subprocess.run(
        [sys.executable, "-c", RESTARTED],
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 7, done.stderr
    assert done.stdout.split() == ["['-m',", "'memphis_desktop',", "'--demo']", "False"]


def test_limits_of_what_is_followed() -> None:
    store = settings.Settings()
    assert keys.live_limits(store) == (50_000, 64 << 20)
    store.set(keys.LIVE_ROWS, 200_000)
    store.set(keys.LIVE_MEBIBYTES, "much")
    assert keys.live_limits(store) == (200_000, 64 << 20)
