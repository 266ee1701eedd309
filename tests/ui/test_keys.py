"""Shortcuts that the user changed: kept, obeyed and shown everywhere they are named."""

from __future__ import annotations

import ast
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import nats
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QAbstractItemView, QLabel, QLineEdit, QPushButton
from pytestqt.qtbot import QtBot

from memphis_desktop import app
from memphis_desktop.app import Program
from memphis_desktop.cluster.profiles import ConnectionProfile
from memphis_desktop.server_process import ServerProcess
from memphis_desktop.ui import keymap, settings
from memphis_desktop.ui.keymap import Binding
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens import registry
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


def mark(dialog: KeyEditor, name: str) -> None:
    assert dialog.table.select_key(name)


def binding(name: str) -> Binding:
    [found] = [one for one in keymap.bindings() if one.name == name]
    return found


def test_keys_are_known_by_name_and_place() -> None:
    back, make, copy = binding("window.back"), binding("home.new"), binding("stations.delete")
    assert keymap.conflicts(back, "ctrl+n") == [make]
    assert keymap.conflicts(make, "T") == [binding("home.test")]
    assert copy not in keymap.conflicts(make, "Del")  # another screen: never at once
    assert keymap.conflicts(make, "Alt+Left") == [back]
    assert keymap.conflicts(make, "") == []
    keymap.choose("home.new", "Ctrl+Alt+N")
    assert make.keys == "Ctrl+Alt+N"
    assert make.changed
    keymap.choose("home.new", "Ctrl+N")
    assert not make.changed
    assert settings.current().get(keymap.SETTING) is None


def test_parts_of_a_screen_share_its_keys_and_not_each_others() -> None:
    names = {one.name for one in keymap.conflicts(binding("messages.copy"), "Ctrl+E")}
    assert names == {"station.edit"}
    names = {one.name for one in keymap.conflicts(binding("messages.copy"), "N")}
    assert names == set()  # of groups and dead letters: other parts of a station, never in view at once
    assert "lists.preview" not in {one.name for one in keymap.conflicts(binding("messages.pane"), "Space")}
    assert "lists.preview" in {one.name for one in keymap.conflicts(binding("messages.copy"), "Space")}
    assert keymap.conflicts(binding("composer.history"), "Ctrl+K") == []  # a window of its own


def test_what_keys_come_with_is_never_in_each_others_way() -> None:
    for one in keymap.bindings():
        assert keymap.normal(one.default), one
        same = [other.name for other in keymap.bindings() if other.where == one.where]
        same = [name for name in same if binding(name).default == one.default]
        assert same == [one.name]


def test_every_key_of_the_window_is_registered() -> None:
    """A command with keys of its own making could be neither found in the editor nor changed."""
    folder = Path(keymap.__file__).parent
    found = []
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if named in ("Command", "command", "self.command", "row") and len(node.args) > 1:
                keys = node.args[1]
                if isinstance(keys, ast.Constant) and keys.value:
                    found.append(f"{path.name}:{node.lineno} {keys.value}")
    assert found == []


@pytest.mark.parametrize("damaged", [3, [], {"window.back": 7}, {"nothing.there": "Ctrl+Y"}])
def test_damaged_settings_do_no_harm(damaged: object) -> None:
    settings.current().set(keymap.SETTING, damaged)
    assert keymap.keys_of("home.new") == "Ctrl+N"
    assert binding("window.back").keys == "Alt+Left"
    keymap.choose("home.new", "Ctrl+M")
    assert keymap.keys_of("home.new") == "Ctrl+M"


async def test_other_keys_are_chosen_in_the_editor_and_work(program: Program, qtbot: QtBot) -> None:
    window = program.window
    window.show()
    window.activateWindow()
    dialog = editor(window)
    mark(dialog, "window.rail")
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


@pytest.mark.parametrize("place", ["home", "settings", "activity", "alerts"])
async def test_the_palette_remembers_commands_by_names_of_their_own(program: Program, place: str) -> None:
    program.window.navigate(Route(place))
    keymap.choose("window.rail", "Ctrl+Alt+R")
    entries = palette_entries.collect(program.window)
    known = [entry.key for entry in entries]
    assert "action:window:window.rail" in known
    assert len(known) == len(set(known))
    titles = {entry.title for entry in entries}
    assert not [key for key in known if key.endswith(":") or key.rpartition(":")[2] in titles]


async def test_a_conflict_is_shown_and_resolved(program: Program, qtbot: QtBot) -> None:
    window = program.window
    dialog = editor(window)
    mark(dialog, "window.rail")
    dialog.field.setKeySequence(QKeySequence("Ctrl+W"))
    assert "taken by Close tab (Everywhere)" in dialog.conflict.text()
    assert dialog.set_button.text() == "Take these keys"
    dialog.set_button.click()
    assert keymap.keys_of("window.rail") == "Ctrl+W"
    assert keymap.keys_of("window.close_tab") == ""
    mark(dialog, "window.close_tab")
    assert dialog.default_button.isEnabled()
    dialog.default_button.click()  # and the other one gives them back
    assert keymap.keys_of("window.close_tab") == "Ctrl+W"
    assert keymap.keys_of("window.rail") == ""
    dialog.reset_button.click()
    assert settings.current().get(keymap.SETTING) is None
    assert not dialog.reset_button.isEnabled()


async def test_keys_that_move_are_not_given_away(program: Program) -> None:
    dialog = editor(program.window)
    mark(dialog, "window.rail")
    dialog.field.setKeySequence(QKeySequence("Down"))
    assert not dialog.set_button.isEnabled()
    assert "moves in lists" in dialog.conflict.text()


async def test_keys_of_screens_are_listed_before_they_were_visited(program: Program) -> None:
    dialog = editor(program.window)
    assert dialog.table.current_row().where == "home"  # the screen in front
    listed = {(one.where, one.title) for one in dialog.table.rows()}
    assert {("live", "Send a request"), ("messages", "Hex"), ("composer", "Messages sent before")} <= listed
    without = {one.route_name for one in registry.SCREENS} - {one.where for one in dialog.table.rows()}
    assert without == {"settings", "memphis_station"}  # the latter has the keys of every station
    dialog.places.setCurrentIndex(dialog.places.findText("Dead letters"))
    assert {one.where for one in dialog.table.rows()} == {"dead_letters"}
    mark(dialog, "dead_letters.note")
    dialog.field.setKeySequence(QKeySequence("R"))
    assert "taken by Resend (Dead letters)" in dialog.conflict.text()
    dialog.set_button.click()
    assert (keymap.keys_of("dead_letters.note"), keymap.keys_of("dead_letters.resend")) == ("R", "")


async def test_keys_of_lists_are_changed(program: Program, qtbot: QtBot) -> None:
    window = program.window
    window.show()
    table = window.current_workspace().current_screen.table
    window.profiles.put(ConnectionProfile(name="near", urls=("nats://127.0.0.1:1",)))
    window.profiles.put(ConnectionProfile(name="never", urls=("nats://127.0.0.1:1",)))
    window.current_workspace().current_screen.refresh()
    table.view.selectRow(0)
    keymap.choose("lists.down", "Ctrl+Alt+J")
    keymap.choose("lists.copy", "Ctrl+Alt+C")
    qtbot.keyClick(table.view, Qt.Key.Key_J)
    assert table.view.currentIndex().row() == 0
    qtbot.keyClick(table.view, Qt.Key.Key_J, CTRL | ALT)
    assert table.view.currentIndex().row() == 1
    menu = table.row_menu()
    assert menu is not None
    assert "Copy\tCtrl+Alt+C" in [action.text() for action in menu.actions()]
    window.keys.show_sheet()
    [sheet] = window.findChildren(ShortcutSheet)
    caps = [label.text() for label in sheet.findChildren(QLabel) if label.property("keycap")]
    assert "Ctrl+Alt+J" in caps
    assert "K" in caps
    sheet.reject()


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
    keymap.choose("home.new", "Ctrl+Alt+N")
    new = next(b for b in home.findChildren(type(home.details.edit_button)) if b.text() == "New connection")
    assert new.toolTip() == "Ctrl+Alt+N"
    keymap.choose("window.filter", "Ctrl+Alt+F")
    assert home.filter.field.placeholderText() == "Filter connections  ( Ctrl+Alt+F )"
    keymap.choose("window.new_tab", "Ctrl+Alt+T")
    assert window.top_bar.new_tab.toolTip() == "New tab  ( Ctrl+Alt+T )"
    keymap.choose("home.duplicate", "Ctrl+Alt+D")
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
    await until(lambda: len(window.profiles.load()) == 2, "the copy")


async def test_places_have_keys_that_can_be_changed(
    program: Program, broker: ServerProcess, qtbot: QtBot
) -> None:
    window = program.window
    window.show()
    window.activateWindow()
    await window.open_profile(ConnectionProfile(name="near", urls=(broker.url,)))
    keymap.choose("window.go_stations", "Ctrl+Alt+3")
    qtbot.keyClick(window, Qt.Key.Key_3, CTRL | ALT)
    assert window.current_workspace().route == Route("stations")
    assert window.rail.items["stations"].toolTip().endswith("Ctrl+Alt+3")


async def test_changed_keys_outlive_the_window(open_window: Callable[..., Awaitable[Program]]) -> None:
    async with app.session() as first:
        assert first.window is not None
        keymap.choose("window.rail", "Ctrl+Alt+R")
    second = await open_window()
    [command] = [c for c in second.window.window_commands() if c.title == "Narrow or widen the rail"]
    assert command.shortcut == "Ctrl+Alt+R"


async def test_keys_go_to_the_list_of_a_screen_that_is_seen_first(
    open_window: Callable[..., Awaitable[Program]], nats_server: ServerProcess, until: Until
) -> None:
    client = await nats.connect(nats_server.url)
    await client.jetstream().add_stream(name="orders", subjects=["orders"])
    await client.jetstream().add_consumer("orders", durable_name="billing")
    await client.jetstream().publish("orders", b"1")
    await client.close()
    program = await open_window(connect=ConnectionProfile("there", urls=(nats_server.url,)))
    window = program.window
    window.activateWindow()
    for name in ("overview", "stations", "consumers"):
        window.navigate(Route(name))
        await until(lambda: isinstance(window.focusWidget(), QAbstractItemView), f"the list of {name}")
        focused = window.focusWidget()
        assert focused is not None
        assert window.current_workspace().current_screen.isAncestorOf(focused)
    window.navigate(Route("station", {"stream": "orders", "tab": "summary"}))
    station = window.current_workspace().current_screen
    [following] = [one for one in station.commands() if one.key == "station.next_part"]
    following.callback()
    assert station.current_tab.key == "messages"
    # And not the first field, which would take every key.
    await until(lambda: isinstance(window.focusWidget(), QAbstractItemView), "the list of messages")
    assert station.current_tab.isAncestorOf(window.focusWidget())
    window.navigate(Route("live"))
    assert isinstance(window.focusWidget(), QLineEdit)
    window.navigate(Route("alerts"))
    assert isinstance(window.focusWidget(), QAbstractItemView)


@pytest.mark.parametrize("size", [(1280, 800), (640, 400)])
async def test_the_sheet_of_keys_stays_within_the_window(
    program: Program, qtbot: QtBot, size: tuple[int, int]
) -> None:
    window = program.window
    window.resize(*size)
    window.show()
    window.show_shortcuts()
    sheet = window.findChildren(ShortcutSheet)[-1]
    assert sheet.width() <= window.width()
    assert sheet.height() <= window.height()
    texts = [one for one in sheet.findChildren(QLabel) if one.text() == "Search or run a command"]
    assert len(texts) == 1
    if size[0] == 1280:
        assert all(one.width() >= one.sizeHint().width() for one in sheet.findChildren(QLabel))
        bar = sheet._area.horizontalScrollBar()
        assert bar.maximum() == 0
    sheet.close()


async def test_enter_presses_the_button_that_has_the_focus(program: Program, qtbot: QtBot) -> None:
    window = program.window
    window.navigate(Route("stations"))  # there is no connection: one button leads home
    [button] = [one for one in window.findChildren(QPushButton) if one.text() == "Go to Home"]
    button.setFocus()
    qtbot.keyClick(button, Qt.Key.Key_Return)
    assert window.current_workspace().route == Route("home")
