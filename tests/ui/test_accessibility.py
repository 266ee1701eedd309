"""Every screen can be used without seeing it, and without a mouse."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable
from typing import Any

from PySide6.QtCore import QRect, Qt
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
    QMainWindow,
    QScrollBar,
    QWidget,
)
from pytestqt.qtbot import QtBot

from memphis_desktop.app import Program
from memphis_desktop.ui.broker_control import BrokerChoice
from memphis_desktop.ui.components.dialogs import ConfirmDialog, Dialog, FormDialog
from memphis_desktop.ui.components.tab_order import takes_tab
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens.registry import SCREENS
from memphis_desktop.ui.shell.connection import LOCAL_ID

Until = Callable[..., Awaitable[Any]]
_CONTROLS = (QAbstractButton, QLineEdit, QComboBox, QAbstractSpinBox)


def nameless(root: QWidget) -> list[str]:
    """The controls below ``root`` that a screen reader could not name."""
    found = []
    for control in root.findChildren(QWidget):
        if not isinstance(control, _CONTROLS) or not control.isVisibleTo(root):
            continue
        if isinstance(control.parent(), (QComboBox, QAbstractSpinBox, QScrollBar)):
            continue  # a part of a control that has the name
        if control.objectName().startswith(("qt_", "ScrollLeft", "ScrollRight")):
            continue
        text = control.text() if isinstance(control, QAbstractButton) else ""
        if not (control.accessibleName() or text):
            found.append(f"{type(control).__name__} in {type(control.parent()).__name__}")
    print("TAB", [(type(w).__name__, w.accessibleName()) for w in found], control)
    return found


async def test_every_control_of_every_screen_has_a_name(program: Program, until: Until) -> None:
    window = program.window
    await window.start_local_broker(BrokerChoice(0, persistent=False, sample_traffic=False))
    await until(lambda: window.connection(LOCAL_ID).memphis.available, "the Memphis layer")
    assert nameless(window) == []
    problems: dict[str, list[str]] = {}
    for entry in SCREENS:
        if not entry.in_rail:
            continue
        window.select_connection(LOCAL_ID)
        window.navigate(Route(entry.route_name))
        # Pages of the Memphis layer are there when its service has answered.
        screen = await until(lambda: window.current_workspace().current_screen, entry.route_name)
        if missing := nameless(screen):
            problems[entry.route_name] = missing
    assert problems == {}


async def test_the_keyboard_reaches_places_and_comes_back(
    program: Program, until: Until, qtbot: QtBot
) -> None:
    window = program.window
    await window.start_local_broker(BrokerChoice(0, persistent=False, sample_traffic=False))
    window.activateWindow()
    shortcuts = {entry.route_name: keys for keys, entry in window.rail.shortcuts()}
    assert shortcuts["overview"] == "Ctrl+2"
    window.navigate(Route("stations"))
    window.navigate(Route("consumers"))
    workspace = window.current_workspace()
    workspace.go(-1)
    assert workspace.route == Route("stations")
    workspace.go(1)
    assert workspace.route == Route("consumers")
    assert window.rail.items["consumers"].isChecked()
    window.command_palette.open("@")
    qtbot.keyClick(window.command_palette.field, Qt.Key.Key_Escape)
    window.command_palette.open()
    qtbot.keyClicks(window.command_palette.field, "stations")
    qtbot.keyClick(window.command_palette.field, Qt.Key.Key_Return)
    assert workspace.route == Route("stations")


def test_a_form_begins_in_its_first_field_and_ends_at_the_buttons(qtbot: QtBot) -> None:
    form = FormDialog(None, "Add user", "Add user")
    qtbot.addWidget(form)
    name, password = QLineEdit(), QLineEdit()
    form.add_row("Name", name, "Letters and digits.")
    form.add_row("Password", password)
    form.show()
    visited = []
    for _ in range(4):
        visited.append(form.focusWidget())
        qtbot.keyClick(form.focusWidget(), Qt.Key.Key_Tab)
    assert visited == [name, password, form.cancel_button, form.verb_button]


def test_a_question_about_a_loss_begins_on_cancel(qtbot: QtBot) -> None:
    question = ConfirmDialog(
        None, "Delete orders", "100 messages are lost.", "Delete", command="nats stream rm"
    )
    qtbot.addWidget(question)
    question.show()
    assert question.focusWidget() is question.cancel_button


def test_a_dialog_that_nobody_holds_outlives_a_collection_of_garbage(qtbot: QtBot) -> None:
    window = QMainWindow()
    qtbot.addWidget(window)
    window.show()
    Dialog(window, "Answer requests", "Start answering").open()
    QApplication.processEvents()
    gc.collect()
    (dialog,) = window.findChildren(Dialog)
    assert dialog.isVisible()
    assert dialog.heading.text() == "Answer requests"


def tab_order(window: QWidget) -> list[QWidget]:
    """What Tab comes to, in its order, from the window itself on.

    Where nothing is used afterwards the walk does no harm, see `tab_order` among the components.
    """
    found, step = [], window.nextInFocusChain()
    while step is not None and step is not window:
        if takes_tab(step):
            found.append(step)
        step = step.nextInFocusChain()
    return found


async def test_tab_goes_from_the_top_over_rail_and_content_to_the_status_bar(
    program: Program, until: Until
) -> None:
    window = program.window
    window.show()
    await window.start_local_broker(BrokerChoice(0, persistent=False, sample_traffic=False))
    for route in ("stations", "consumers"):
        window.navigate(Route(route))
        parts: list[str] = []
        areas = {
            "top": window.top_bar,
            "rail": window.rail,
            "content": window._sides,
            "status": window.status,
        }
        for control in tab_order(window):
            part = next((name for name, area in areas.items() if area.isAncestorOf(control)), "")
            if part and parts[-1:] != [part]:
                parts.append(part)
        assert parts == ["top", "rail", "content", "status"]


def shown_in(bar: QWidget) -> list[QRect]:
    """Where the parts of a bar are that are shown."""
    parts = bar.findChildren(QWidget, options=Qt.FindChildOption.FindDirectChildrenOnly)
    return [part.geometry() for part in parts if part.isVisible()]


async def test_a_window_at_three_times_the_scale_leaves_everything_in_reach(
    program: Program, until: Until
) -> None:
    """A full-HD screen has room for 640 by 360 then: nothing lies outside, what is long scrolls."""
    window = program.window
    window.show()
    await window.start_local_broker(BrokerChoice(0, persistent=False, sample_traffic=False))
    window.resize(640, 360)
    window.navigate(Route("stations"))
    await until(lambda: window.rail.narrow, "the narrow rail")
    assert (window.width(), window.height()) == (640, 360)
    for bar in (window.top_bar, window.status):
        await until(lambda bar=bar: all(bar.rect().contains(g) for g in shown_in(bar)), "all of the bar")
    screen = window.current_workspace().current_screen
    room = screen.parentWidget()
    scrolled = room.parentWidget().horizontalScrollBar()
    await until(lambda: screen.width() <= room.width() or scrolled.maximum(), "the screen, or a scroll bar")
    await until(lambda: window.top_bar.search.text() == "", "the search as an icon")
    assert window.top_bar.search.accessibleName()
    window.resize(1280, 800)
    await until(lambda: not window.rail.narrow, "the names in the rail")
    await until(window.top_bar.search.text, "the words of the search")
