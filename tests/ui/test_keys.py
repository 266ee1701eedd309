"""Shortcuts that the user changed: kept, obeyed and shown everywhere they are named."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from memphis_desktop import app
from memphis_desktop.app import Program
from memphis_desktop.cluster.profiles import ConnectionProfile
from memphis_desktop.server_process import ServerProcess
from memphis_desktop.ui import keymap, settings
from memphis_desktop.ui.keymap import EVERYWHERE, Binding
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.shell import palette_entries
from memphis_desktop.ui.shell.key_editor import KeyEditor
from memphis_desktop.ui.shell.shortcut_sheet import ShortcutSheet
from memphis_desktop.ui.window import MainWindow

Until = Callable[..., Awaitable[Any]]
CTRL = Qt.KeyboardModifier.ControlModifier
ALT = Qt.KeyboardModifier.AltModifier


def editor(window: MainWindow) -> KeyEditor:
    window.keys.edit()
    found = window.findChildren(KeyEditor)
    assert found
    return found[-1]


def mark(dialog: KeyEditor, where: str, default: str) -> None:
    [row] = [one for one in dialog.table.rows() if (one.where, one.default) == (where, default)]
    dialog.table.select_key((row.where, row.default, row.title))


def test_keys_are_known_by_where_they_work() -> None:
    back = Binding(EVERYWHERE, "Back", "Alt+Left")
    make, copy = Binding("home", "New connection", "Ctrl+N"), Binding("stations", "Copy", "Ctrl+D")
    everything = [back, make, copy]
    assert keymap.conflicts(back, "ctrl+n", everything) == [make]
    assert keymap.conflicts(make, "Ctrl+D", everything) == []  # another screen: never at once
    assert keymap.conflicts(make, "Alt+Left", everything) == [back]
    assert keymap.conflicts(make, "", everything) == []
    keymap.choose("home", "Ctrl+N", "Ctrl+Alt+N")
    assert make.keys == "Ctrl+Alt+N"
    assert make.changed
    keymap.choose("home", "Ctrl+N", "Ctrl+N")
    assert not make.changed
    assert settings.current().get(keymap.SETTING) is None


@pytest.mark.parametrize("damaged", [3, [], {"window": 7}, {"window": {"Alt+Left": 3}}])
def test_damaged_settings_do_no_harm(damaged: object) -> None:
    settings.current().set(keymap.SETTING, damaged)
    assert keymap.keys_of("home", "Ctrl+N") == "Ctrl+N"
    keymap.choose("home", "Ctrl+N", "Ctrl+M")
    assert keymap.keys_of("home", "Ctrl+N") == "Ctrl+M"


async def test_other_keys_are_chosen_in_the_editor_and_work(program: Program, qtbot: QtBot) -> None:
    window = program.window
    window.show()
    window.activateWindow()
    dialog = editor(window)
    mark(dialog, EVERYWHERE, "Ctrl+B")
    dialog.field.setFocus()
    qtbot.keyClick(dialog.field, Qt.Key.Key_R, CTRL | ALT)
    assert dialog.typed() == "Ctrl+Alt+R"
    assert dialog.conflict.isHidden()
    qtbot.mouseClick(dialog.set_button, Qt.MouseButton.LeftButton)
    dialog.accept()
    narrow = window.rail.narrow
    qtbot.keyClick(window, Qt.Key.Key_B, CTRL)
    assert window.rail.narrow == narrow  # the old keys are free
    qtbot.keyClick(window, Qt.Key.Key_R, CTRL | ALT)
    assert window.rail.narrow != narrow
    entries = palette_entries.collect(window)
    assert next(e.shortcut for e in entries if e.title == "Narrow or widen the rail") == "Ctrl+Alt+R"


async def test_a_conflict_is_shown_and_resolved(program: Program, qtbot: QtBot) -> None:
    window = program.window
    dialog = editor(window)
    mark(dialog, EVERYWHERE, "Ctrl+B")
    dialog.field.setKeySequence(QKeySequence("Ctrl+W"))
    assert "taken by Close tab (Everywhere)" in dialog.conflict.text()
    assert dialog.set_button.text() == "Take these keys"
    dialog.set_button.click()
    assert keymap.keys_of(EVERYWHERE, "Ctrl+B") == "Ctrl+W"
    assert keymap.keys_of(EVERYWHERE, "Ctrl+W") == ""
    mark(dialog, EVERYWHERE, "Ctrl+W")
    assert dialog.default_button.isEnabled()
    dialog.default_button.click()  # and the other one gives them back
    assert keymap.keys_of(EVERYWHERE, "Ctrl+W") == "Ctrl+W"
    assert keymap.keys_of(EVERYWHERE, "Ctrl+B") == ""
    dialog.reset_button.click()
    assert settings.current().get(keymap.SETTING) is None
    assert not dialog.reset_button.isEnabled()


async def test_keys_of_lists_are_not_given_away(program: Program) -> None:
    dialog = editor(program.window)
    mark(dialog, EVERYWHERE, "Ctrl+B")
    dialog.field.setKeySequence(QKeySequence("J"))
    assert not dialog.set_button.isEnabled()
    assert "in every list" in dialog.conflict.text()


async def test_keys_of_a_screen_are_changed_and_shown_where_they_are_named(
    program: Program, broker: ServerProcess, qtbot: QtBot, until: Until
) -> None:
    window = program.window
    window.show()
    window.activateWindow()
    profile = ConnectionProfile(name="near", urls=(broker.url,))
    window.profiles.put(profile)
    home = window.current_workspace().current_screen
    home.refresh()
    keymap.choose("home", "Ctrl+N", "Ctrl+Alt+N")
    new = next(b for b in home.findChildren(type(home.details.edit_button)) if b.text() == "New connection")
    assert new.toolTip() == "Ctrl+Alt+N"
    keymap.choose(EVERYWHERE, "/", "Ctrl+Alt+F")
    assert home.filter.field.placeholderText() == "Filter connections  ( Ctrl+Alt+F )"
    keymap.choose(EVERYWHERE, "Ctrl+T", "Ctrl+Alt+T")
    assert window.top_bar.new_tab.toolTip() == "New tab  ( Ctrl+Alt+T )"
    keymap.choose("home", "Ctrl+D", "Ctrl+Alt+D")
    home.table.select_key(profile.id)
    menu = home.table.row_menu()
    assert menu is not None
    assert "Duplicate connection\tCtrl+Alt+D" in [action.text() for action in menu.actions()]
    window.keys.show_sheet()
    [sheet] = window.findChildren(ShortcutSheet)
    caps = [label.text() for label in sheet.findChildren(QLabel) if label.property("keycap")]
    assert "Ctrl+Alt+D" in caps
    assert "Ctrl+D" not in caps
    sheet.reject()
    home.table.setFocus()
    qtbot.keyClick(home.table.view, Qt.Key.Key_D, CTRL | ALT)
    assert len(window.profiles.load()) == 2


async def test_places_have_keys_that_can_be_changed(
    program: Program, broker: ServerProcess, qtbot: QtBot
) -> None:
    window = program.window
    window.show()
    window.activateWindow()
    await window.open_profile(ConnectionProfile(name="near", urls=(broker.url,)))
    keymap.choose(EVERYWHERE, "Ctrl+3", "Ctrl+Alt+3")
    qtbot.keyClick(window, Qt.Key.Key_3, CTRL | ALT)
    assert window.current_workspace().route == Route("stations")
    assert window.rail.items["stations"].toolTip().endswith("Ctrl+Alt+3")


async def test_changed_keys_outlive_the_window(open_window: Callable[..., Awaitable[Program]]) -> None:
    async with app.session() as first:
        assert first.window is not None
        keymap.choose(EVERYWHERE, "Ctrl+B", "Ctrl+Alt+R")
    second = await open_window()
    [command] = [c for c in second.window.window_commands() if c.title == "Narrow or widen the rail"]
    assert command.shortcut == "Ctrl+Alt+R"
