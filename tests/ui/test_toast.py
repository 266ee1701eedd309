"""Messages at the lower right: how much they cover, that they wait while read, and the keyboard."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QEnterEvent
from PySide6.QtWidgets import QApplication, QLineEdit, QWidget
from pytestqt.qtbot import QtBot

from memphis_desktop.app import Program
from memphis_desktop.ui.components import toast as toasts
from memphis_desktop.ui.components.toast import Toast, ToastStack
from memphis_desktop.ui.theme.direction import placed

LONG = "The station could not be read because " + "its leader does not answer and " * 12


@pytest.fixture
def window(qtbot: QtBot) -> QWidget:
    """As large as a window of 1280x800 at twice the scale."""
    window = QWidget()
    window.field = QLineEdit(window)
    qtbot.addWidget(window)
    window.resize(640, 400)
    window.show()
    window.activateWindow()
    return window


@pytest.fixture
def stack(window: QWidget) -> ToastStack:
    """The toasts of the window."""
    return ToastStack(window)


def hover(toast: Toast, inside: bool) -> None:
    """Move the mouse over a message, or away; the platform of tests has no mouse of its own."""
    toast.setAttribute(Qt.WidgetAttribute.WA_UnderMouse, inside)
    here = QPointF(1, 1)
    QApplication.sendEvent(toast, QEnterEvent(here, here, here) if inside else QEvent(QEvent.Type.Leave))


def test_messages_leave_the_window_to_its_content(stack: ToastStack, window: QWidget) -> None:
    for number in range(8):
        stack.show(f"{number}: {LONG}", "bad")
    shown = stack.shown()
    assert shown[-1].text.startswith("7:")
    covered = sum(toast.width() * toast.height() for toast in shown)
    assert covered < 0.25 * window.width() * window.height()
    for toast in shown:
        needed = toast._label.heightForWidth(toast._label.width())
        assert toast._label.height() >= needed > 2 * toast._label.fontMetrics().lineSpacing()
        assert window.rect().contains(toast.geometry())
        assert toast._label.text().endswith("…")
        assert "leader" in toast._label.toolTip()
    assert stack._more.isVisible()
    assert str(8 - len(shown)) in stack._more.text()
    assert not any(stack._more.geometry().intersects(toast.geometry()) for toast in shown)


def test_what_waits_comes_when_there_is_room(stack: ToastStack, qtbot: QtBot) -> None:
    for number in range(6):
        stack.show(f"{number}: {LONG}", "bad")
    first = stack.shown()[0]
    assert not first.text.startswith("0:")
    while len(stack.texts()) > 1:
        stack.shown()[-1].close_button.click()
    assert [toast.text[:2] for toast in stack.shown()] == ["0:"]
    assert not stack._more.isVisible()


def test_all_can_be_dismissed_at_once_and_few_are_kept(stack: ToastStack) -> None:
    for number in range(40):
        stack.show(f"{number}: {LONG}", "bad")
    assert len(stack.texts()) == toasts._KEPT
    stack._more.click()
    assert stack.texts() == []
    assert not stack._more.isVisible()


def test_none_goes_while_one_is_read(
    stack: ToastStack, monkeypatch: pytest.MonkeyPatch, qtbot: QtBot
) -> None:
    monkeypatch.setitem(toasts._SHOWN_MS, "good", 30)
    first, second = stack.show("One", "good"), stack.show("Two", "good")
    hover(second, True)
    assert not first._timer.isActive()
    assert not second._timer.isActive()
    hover(second, False)
    qtbot.waitUntil(lambda: stack.texts() == [])


def test_the_keyboard_undoes_and_dismisses(stack: ToastStack, window: QWidget, qtbot: QtBot) -> None:
    undone = []
    window.field.setFocus()
    stack.show("Saved", "good")
    stack.show("Deleted orders", "information", ("Undo", lambda: undone.append(1)))
    stack.focus_latest()
    assert window.focusWidget().text() == "Undo"
    assert not any(toast._timer.isActive() for toast in stack.shown())  # it is being read
    qtbot.keyClick(window.focusWidget(), Qt.Key.Key_Space)
    assert undone == [1]
    assert stack.texts() == ["Saved"]
    qtbot.keyClick(window.focusWidget(), Qt.Key.Key_Escape)
    assert stack.texts() == []
    assert window.focusWidget() is window.field


def test_a_renewed_message_offers_what_is_true_now(stack: ToastStack) -> None:
    done = []
    toast = stack.show("1 alert", "warning", ("Show it", lambda: done.append("one")), "alerts")
    stack.show("2 alerts", "warning", ("Show both", lambda: done.append("both")), "alerts")
    assert toast.action_button.text() == "Show both"
    toast.action_button.click()
    assert done == ["both"]


def test_the_corner_is_the_other_one_from_right_to_left(stack: ToastStack, window: QWidget) -> None:
    toast = stack.show("Saved")
    at_right = toast.geometry()
    QApplication.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
    try:
        window.resize(641, 400)
        assert toast.x() < 320
        assert toast.geometry() == placed(at_right.translated(1, 0), window.rect())
    finally:
        QApplication.setLayoutDirection(Qt.LayoutDirection.LeftToRight)


async def test_the_window_has_a_key_for_it(program: Program, qtbot: QtBot) -> None:
    window = program.window
    window.show()
    window.activateWindow()
    window.notify("Deleted orders", action=("Undo", lambda: None))
    command = next(one for one in window.window_commands() if one.key == "window.messages")
    assert command.shortcut == "F8"
    command.callback()
    assert window.focusWidget() is window.toasts.shown()[-1].action_button
    window.toasts.dismiss_all()
    assert not next(one for one in window.window_commands() if one.key == "window.messages").enabled


async def test_the_palette_lies_above_messages(program: Program) -> None:
    window = program.window
    window.show()
    window.command_palette.open()
    window.notify("Deleted orders")
    children = window.command_palette.parentWidget().children()
    assert children.index(window.command_palette) > children.index(window.toasts.shown()[0])
