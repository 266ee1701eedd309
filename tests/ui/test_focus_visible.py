"""Whatever has the keyboard shows it, in every theme."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QLineEdit,
    QListWidget,
    QPlainTextEdit,
    QPushButton,
    QRadioButton,
    QSpinBox,
    QTabBar,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from pytestqt.qtbot import QtBot

from memphis_desktop.ui import theme
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.dialogs import Disclosure
from memphis_desktop.ui.components.graph import TimeSeriesGraph
from memphis_desktop.ui.components.segments import Segments
from memphis_desktop.ui.components.time_range import TimeRange
from memphis_desktop.ui.screens.registry import SCREENS
from memphis_desktop.ui.shell.rail import RailItem

Make = Callable[[], QWidget]


def button(kind: str) -> QPushButton:
    made = QPushButton("Create station")
    made.setProperty("kind", kind)
    return made


def table(*rows: str) -> QWidget:
    made = DataTable([Column("name", "Name", str)], lambda row: row, "focus")
    made.set_rows(rows)
    if rows:
        made.select_key(rows[0])
    _owners.append(made)
    return made.view


def chooser() -> QListWidget:
    made = QListWidget()
    made.setProperty("framed", True)
    made.addItems(["Name", "Size"])
    return made


_owners: list[QWidget] = []  # of controls that are a part of something


def part(owner: QWidget, kind: type[QWidget]) -> QWidget:
    _owners.append(owner)
    return owner.findChildren(kind)[0]


def tabs(name: str) -> QTabBar:
    made = QTabBar()
    made.setObjectName(name)
    made.addTab("Messages")
    made.addTab("Groups")
    return made


CONTROLS: dict[str, Make] = {
    **{f"button {kind}": lambda kind=kind: button(kind) for kind in
       ("", "primary", "danger", "ghost", "link", "crumb", "segment", "chip")},
    "tool button": QToolButton,
    "field": QLineEdit,
    "number": QSpinBox,
    "choice": QComboBox,
    "text": QPlainTextEdit,
    "code": lambda: part(CodeBlock("nats stream ls"), QPlainTextEdit),
    "check": lambda: QCheckBox("Persistent"),
    "radio": lambda: QRadioButton("As recorded"),
    "tab bar": lambda: tabs(""),
    "tabs of the window": lambda: tabs("tabs"),
    "list": chooser,
    "table": lambda: table("orders", "payments"),
    "table without rows": table,
    "segments": lambda: part(Segments([("a", "Messages"), ("b", "Bytes")]), QPushButton),
    "disclosure": lambda: part(Disclosure("Command", QWidget()), QToolButton),
    "rail": lambda: RailItem(SCREENS[0], None),
}  # fmt: skip


@pytest.fixture(params=["dark", "light", "contrast"])
def dressed(request: pytest.FixtureRequest) -> Iterator[None]:
    """A look."""
    theme.manager().set_mode(request.param)
    theme.manager().finish()
    yield
    theme.manager().set_mode("dark")
    theme.manager().finish()


def picture(window: QWidget, control: QWidget) -> QImage:
    around = QRect(control.mapTo(window, QPoint(0, 0)), control.size()).adjusted(-3, -3, 3, 3)
    return window.grab(around).toImage()


def differing(one: QImage, other: QImage) -> int:
    return sum(one.pixel(x, y) != other.pixel(x, y) for x in range(one.width()) for y in range(one.height()))


@pytest.mark.usefixtures("dressed")
def test_the_focus_is_seen_on_every_control(qtbot: QtBot) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    column = QVBoxLayout(window)
    other = QLineEdit()
    column.addWidget(other)
    controls = {}
    for name, make in CONTROLS.items():
        control = make()
        top = control.window()
        column.addWidget(top)
        top.setMaximumHeight(90)
        controls[name] = control
    window.resize(300, 1400)
    with qtbot.waitActive(window):
        window.show()
        window.activateWindow()
    unseen = []
    for name, control in controls.items():
        other.setFocus()
        before = picture(window, control)
        control.setFocus(Qt.FocusReason.TabFocusReason)
        assert control.hasFocus(), name
        if differing(before, picture(window, control)) < 20:
            unseen.append(name)
    _owners.clear()
    assert unseen == []


def test_graphs_leave_the_keyboard_to_their_tables(qtbot: QtBot) -> None:
    graph = TimeSeriesGraph("Lag", "messages", time_range=TimeRange())
    qtbot.addWidget(graph)
    graph.show()
    reached, step = [], graph.nextInFocusChain()
    while step is not graph:
        if step.isVisible() and step.focusPolicy() & Qt.FocusPolicy.TabFocus:
            reached.append(step)
        step = step.nextInFocusChain()
    assert reached
    assert all(isinstance(one, QToolButton) for one in reached)
