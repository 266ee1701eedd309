"""Two tabs side by side: opened, gone between, moved, closed and remembered, on a real broker."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QMenu
from pytestqt.qtbot import QtBot

from memphis_desktop import app
from memphis_desktop.app import Program
from memphis_desktop.cluster.profiles import ConnectionProfile, Environment
from memphis_desktop.opening import Opening
from memphis_desktop.server_process import ServerProcess
from memphis_desktop.ui import settings
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.shell.sides import LEFT, RATIO, RIGHT
from memphis_desktop.ui.shell.workspace import Workspace
from memphis_desktop.ui.shell.workspace_file import SavedTabs, saved_tabs
from memphis_desktop.ui.window import MainWindow

Until = Callable[..., Awaitable[Any]]
OpenWindow = Callable[..., Awaitable[Program]]


def routes(workspaces: list[Workspace]) -> list[str]:
    return [workspace.route.name if workspace.route is not None else "" for workspace in workspaces]


def press(qtbot: QtBot, window: MainWindow, key: Qt.Key, modifier: Qt.KeyboardModifier) -> None:
    window.activateWindow()
    qtbot.keyClick(window, key, modifier)


CTRL, NONE = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.NoModifier


@pytest.fixture
def near(broker: ServerProcess) -> ConnectionProfile:
    return ConnectionProfile(name="near", urls=(broker.url,))


async def test_a_tab_is_opened_beside_and_the_keys_go_where_the_user_is(
    program: Program, near: ConnectionProfile, until: Until, qtbot: QtBot
) -> None:
    window, tabs = program.window, program.window.tabs
    window.show()
    left = await window.open_profile(near, Route("stations"))
    press(qtbot, window, Qt.Key.Key_Backslash, CTRL)
    assert tabs.is_split
    right = window.current_workspace()
    assert right is not left
    assert (tabs.side_of(left), tabs.side_of(right)) == (LEFT, RIGHT)
    assert right.connection is left.connection
    window.navigate(Route("consumers"))
    assert (left.route, right.route) == (Route("stations"), Route("consumers"))
    assert left.active
    assert right.active
    assert left.current_screen.isVisible()
    assert right.current_screen.isVisible()
    press(qtbot, window, Qt.Key.Key_F6, NONE)
    assert window.current_workspace() is left
    await until(lambda: left.isAncestorOf(window.focusWidget()), "the focus on the left")
    assert window.rail.items["stations"].isChecked()
    right.current_screen.focus_filter()  # as a click into it does
    assert window.current_workspace() is right
    assert window.rail.items["consumers"].isChecked()


async def test_a_click_beside_any_field_goes_to_that_side_too(
    program: Program, near: ConnectionProfile, qtbot: QtBot
) -> None:
    window = program.window
    window.show()
    left = await window.open_profile(near)
    window.tabs.open_beside()
    qtbot.mouseClick(window._sides.sides[LEFT], Qt.MouseButton.LeftButton, pos=QPoint(4, 200))
    assert window.current_workspace() is left


async def test_only_what_is_in_view_is_read(program: Program, near: ConnectionProfile, until: Until) -> None:
    window, tabs = program.window, program.window.tabs
    first = await window.open_profile(near, Route("stations"))
    second = await window.open_profile(near, Route("consumers"), new_tab=True)
    assert (first.active, second.active) == (False, True)
    tabs.open_beside()
    third = window.current_workspace()
    assert (first.active, second.active, third.active) == (False, True, True)
    tabs.select(first)
    assert (first.active, second.active, third.active) == (True, False, True)
    await until(lambda: first.connection.snapshot.complete, "a round of readings")


async def test_the_last_tab_of_a_side_takes_the_split_along(
    program: Program, near: ConnectionProfile, until: Until
) -> None:
    window, tabs = program.window, program.window.tabs
    left = await window.open_profile(near, Route("stations"))
    tabs.open_beside()
    right = window.current_workspace()
    tabs.close()
    await until(lambda: not tabs.is_split, "one side")
    assert window.current_workspace() is left
    assert left.active
    tabs.open_beside()
    right = window.current_workspace()
    tabs.select(left)
    tabs.close()
    await until(lambda: not tabs.is_split, "one side again")
    assert window.current_workspace() is right
    assert tabs.side_of(right) == LEFT
    assert right.isVisible() == window.isVisible()
    assert window._sides.sides[LEFT].stack.currentWidget() is right


async def test_a_tab_is_drawn_into_the_right_half(
    program: Program, near: ConnectionProfile, qtbot: QtBot
) -> None:
    window, bar = program.window, program.window.top_bar.tabs
    window.show()
    await window.open_profile(near, Route("stations"))
    second = await window.open_profile(near, Route("consumers"), new_tab=True)
    start = bar.tabRect(2).center()
    sides = window._sides
    goal = bar.mapFromGlobal(sides.mapToGlobal(QPoint(sides.width() - 60, 200)))
    qtbot.mousePress(bar, Qt.MouseButton.LeftButton, pos=start)
    qtbot.mouseMove(bar, bar.mapFromGlobal(sides.mapToGlobal(QPoint(60, 200))))
    assert sides._target.isHidden()  # the left part of one side changes nothing
    qtbot.mouseMove(bar, goal)
    assert not sides._target.isHidden()
    qtbot.mouseRelease(bar, Qt.MouseButton.LeftButton, pos=goal)
    assert sides._target.isHidden()
    assert window.tabs.side_of(second) == RIGHT
    assert routes(window.tabs.shown()) == ["stations", "consumers"]
    window.tabs.move_across()
    assert not window.tabs.is_split
    assert routes(window.tabs.all()) == ["home", "stations", "consumers"]


async def test_the_menu_of_a_tab_offers_what_can_be_done(program: Program, near: ConnectionProfile) -> None:
    window = program.window
    await window.open_profile(near, Route("stations"))

    def entries(index: int) -> dict[str, bool]:
        menu: QMenu = window.tabs.menu_of(index)
        return {one.text(): one.isEnabled() for one in menu.actions() if not one.isSeparator()}

    assert entries(0) == {
        "New tab here": False,
        "Open in split": False,
        "Close tab": False,
        "Close the other tabs": True,
    }
    menu = window.tabs.menu_of(1)
    next(one for one in menu.actions() if one.text() == "Open in split").trigger()
    assert window.tabs.is_split
    assert "Move to the left side" in entries(2)
    assert "Close the split, keep its tabs" in entries(2)
    window.tabs.join()
    assert not window.tabs.is_split
    assert len(window.workspaces()) == 3


async def test_each_side_says_whose_it_is(program: Program, near: ConnectionProfile) -> None:
    window = program.window
    await window.open_profile(near, Route("stations"))
    prod = ConnectionProfile("prod", urls=near.urls, environment=Environment.PRODUCTION, read_only=True)
    window.tabs.open_beside()
    await window.open_profile(prod, Route("stations"))
    left, right = (side.header for side in window._sides.sides)
    assert right._badge._text == "PRODUCTION · READ-ONLY"
    assert left._badge._text == "LOCAL"
    assert window.strip.height() < 10  # the word stands on the side it belongs to; nothing jumps
    window.tabs.other_side()
    assert window.strip._environment == "local"
    window.tabs.join()
    window.tabs.select(window.workspaces()[-1])
    assert window.strip.height() > 10


async def test_a_split_outlives_the_window(
    open_window: OpenWindow, near: ConnectionProfile, own_folders: Path, until: Until
) -> None:
    async with app.session() as first:
        window = first.window
        window.profiles.put(near)
        await window.open_profile(near, Route("stations"))
        await window.open_profile(near, Route("overview"), new_tab=True)
        window.tabs.open_beside()
        window.navigate(Route("consumers"))
        window.tabs.select(window.workspaces()[1])
        window._sides.set_ratio(0.35)
    second = (await open_window(restore=True)).window
    await until(lambda: len(second.workspaces()) == 4, "the tabs of the last time")
    await until(lambda: routes(second.workspaces()) == ["home", "stations", "overview", "consumers"], "order")
    await until(lambda: second.current_workspace() is second.workspaces()[1], "the one with the keys")
    assert routes(second.tabs.shown()) == ["stations", "consumers"]
    assert settings.current().get(RATIO) == 0.35


async def test_a_split_is_in_the_file_of_a_workspace(
    open_window: OpenWindow, near: ConnectionProfile, tmp_path: Path, until: Until
) -> None:
    window = (await open_window()).window
    window.profiles.put(near)
    await window.open_profile(near, Route("stations"))
    window.tabs.open_beside()
    window.navigate(Route("consumers"))
    path = tmp_path / "two.mworkspace"
    window._sides.set_ratio(0.6)
    window.opener.save_workspace(str(path))
    document = json.loads(path.read_text())
    assert document["ratio"] == 0.6
    assert [tab.get("right") for tab in document["tabs"]] == [None, True]
    await window.close_profile(near.id)
    assert not window.tabs.is_split
    window._sides.set_ratio(0.5)
    window.opener.open(Opening(files=(str(path),)))
    await until(lambda: window.tabs.is_split, "the split")
    assert routes(window.tabs.shown()) == ["stations", "consumers"]
    assert window._sides.ratio() == 0.6


@pytest.mark.parametrize("document", [None, [], {"tabs": 3}, {"tabs": [1, {}], "ratio": "x"}, {"ratio": 7}])
def test_what_is_not_well_said_is_left_out(document: object) -> None:
    saved = saved_tabs(document)
    assert saved.ratio is None
    assert saved == SavedTabs(saved.places)


async def test_a_lost_connection_takes_its_side_along(
    program: Program, near: ConnectionProfile, nats_server: ServerProcess, until: Until
) -> None:
    window = program.window
    await window.open_profile(near, Route("stations"))
    window.tabs.open_beside()
    other = ConnectionProfile("other", urls=(nats_server.url,))
    await window.open_profile(other, Route("stations"))
    await window.close_profile(near.id)
    assert not window.tabs.is_split
    assert [w.connection.profile.name for w in window.tabs.shown()] == ["other"]
