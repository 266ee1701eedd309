"""Little width: what is needed less often folds into menus or goes into further lines, and nothing is cut."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from nats.js.api import ConsumerConfig, StreamConfig
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLineEdit, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from memphis_desktop.app import Program
from memphis_desktop.stations.client import StationsClient
from memphis_desktop.ui.broker_control import BrokerChoice
from memphis_desktop.ui.components.beside import Beside
from memphis_desktop.ui.components.page_header import PageHeader
from memphis_desktop.ui.components.sign_grid import SignGrid
from memphis_desktop.ui.components.vital_sign import VitalSign
from memphis_desktop.ui.components.wrap_layout import WrapLayout
from memphis_desktop.ui.screen import Route, Screen
from memphis_desktop.ui.screens.memphis.station import MemphisStationScreen
from memphis_desktop.ui.screens.registry import SCREENS, ScreenEntry
from memphis_desktop.ui.shell.connection import LOCAL_ID
from memphis_desktop.ui.shell.rail import Rail

Until = Callable[..., Awaitable[Any]]
HALF_A_WINDOW = 588  # of 1280, with the rail folded


@pytest.fixture
def page(qtbot: QtBot) -> QWidget:
    """What is around: a window of its own could not be made narrower than its layout."""
    page = QWidget()
    qtbot.addWidget(page)
    page.resize(1400, 600)
    page.show()
    return page


@pytest.fixture
def header(page: QWidget) -> PageHeader:
    return PageHeader("orders", page)


def entries(header: PageHeader) -> list[str]:
    header._more.menu().aboutToShow.emit()
    return [action.text() for action in header._more.menu().actions()]


def test_actions_fold_into_a_menu_and_come_back(header: PageHeader, qtbot: QtBot) -> None:
    done: list[str] = []
    for title in ("Fetch by hand", "Reset this group", "Show the station"):
        header.add_action(title, lambda title=title: done.append(title), icon_name="tray")
    header.add_icon_action("columns", "Preview", lambda: done.append("Preview"))
    create = header.add_action("Create", lambda: done.append("Create"), kind="primary")
    header.resize(1000, 60)
    header.show()
    assert not header._more.isVisible()
    header.resize(header.minimumSizeHint().width(), 60)
    assert header._more.isVisible()
    assert entries(header) == ["Fetch by hand", "Reset this group", "Show the station", "Preview"]
    assert create.width() >= create.sizeHint().width()
    assert create.geometry().right() <= header.width()
    assert header._more.geometry().right() <= header.width()
    header._more.menu().actions()[1].trigger()
    assert done == ["Reset this group"]
    header.resize(1000, 60)
    assert not header._more.isVisible()
    qtbot.waitUntil(lambda: all(button.width() > 0 for button in header.findChildren(QPushButton)))


def test_an_action_that_is_not_there_is_not_in_the_menu_either(header: PageHeader) -> None:
    first = header.add_action("Fetch by hand", lambda: None)
    second = header.add_action("Reset this group", lambda: None)
    second.setEnabled(False)
    header.show()
    header.resize(240, 60)
    assert entries(header) == ["Fetch by hand", "Reset this group"]
    assert [action.isEnabled() for action in header._more.menu().actions()] == [True, False]
    first.hide()
    assert entries(header) == ["Reset this group"]


@pytest.mark.parametrize("direction", [Qt.LayoutDirection.LeftToRight, Qt.LayoutDirection.RightToLeft])
@pytest.mark.parametrize("width", [900, 420, 230])
def test_a_row_goes_on_in_further_lines(page: QWidget, width: int, direction: Qt.LayoutDirection) -> None:
    bar = QWidget(page)
    bar.setLayoutDirection(direction)
    row = WrapLayout(bar)
    row.setContentsMargins(0, 0, 0, 0)
    field = QLineEdit()
    field.setMinimumWidth(200)
    buttons = [QPushButton(text) for text in ("Listen", "Keep in a station", "Clear")]
    row.add(field, 1)
    for button in buttons:
        row.add(button)
    hidden = QPushButton("Not now, and very wide so that it would need a line of its own")
    hidden.hide()
    row.add(hidden)
    bar.resize(width, row.heightForWidth(width))
    bar.show()
    every = [field, *buttons]
    assert bar.minimumSizeHint().width() <= 230
    assert all(bar.rect().contains(one.geometry()) for one in every)
    assert not any(
        one.geometry().intersects(other.geometry()) for one in every for other in every if one != other
    )
    assert field.width() >= 200
    lines = {one.geometry().top() // 24 for one in every}
    assert (len(lines) == 1) == (width == 900)
    if width == 900:
        assert row.geometry().width() - sum(one.width() for one in every) == 3 * row.spacing()
        assert (field.x() > buttons[0].x()) == (direction == Qt.LayoutDirection.RightToLeft)


def test_vital_signs_take_as_many_rows_as_they_need(page: QWidget) -> None:
    grid = SignGrid([VitalSign(f"Sign {number}") for number in range(8)], wide=140, narrow=140, parent=page)
    grid.show()
    found = []
    for width in (1300, 700, 500, 320):
        grid.resize(width, 400)
        found.append(grid.columns)
    assert found == [8, 4, 3, 2]
    assert grid.minimumSizeHint().width() <= 320


def test_parts_go_below_each_other_and_come_back(page: QWidget) -> None:
    first, second, hidden = QPushButton("First"), QPushButton("Second"), QPushButton("Not now")
    for button in (first, second, hidden):
        button.setMinimumWidth(300)
    second.setMaximumWidth(320)
    hidden.hide()
    both = Beside((first, 1), (second, 0), (hidden, 1), parent=page)
    both.show()
    both.resize(800, 200)
    assert not both.below
    assert both.minimumSizeHint().width() == 300
    assert second.width() <= 320
    both.resize(500, 200)
    assert both.below
    assert second.y() >= first.geometry().bottom()
    assert first.width() == second.width() == 500
    both.resize(800, 200)
    assert not both.below
    assert second.width() <= 320


async def test_pages_fit_into_half_a_window(program: Program, until: Until) -> None:
    window = program.window
    await window.start_local_broker(BrokerChoice(0, persistent=False, sample_traffic=False))
    connection = window.connection(LOCAL_ID)
    await until(lambda: program.broker.served.complete, "the stations service")
    await until(lambda: connection.memphis.available, "the Memphis layer")
    jetstream = connection.session.jetstream
    await jetstream.add_stream(StreamConfig(name="S", subjects=["S.>"]))
    await jetstream.add_consumer("S", ConsumerConfig(durable_name="a-group-with-a-long-name"))
    await jetstream.create_key_value(bucket="B")
    stations = StationsClient(connection.session.nats, username="root")
    await stations.create_station("shop", partitions_number=3)
    await stations.close()
    await until(lambda: "S" in connection.snapshot.streams, "the station")
    wide: dict[str, int] = {}
    for route in (
        Route("home"),
        Route("overview"),
        Route("decoders"),
        Route("consumer", {"stream": "S", "consumer": "a-group-with-a-long-name"}),
        Route("memphis_station", {"station": "shop"}),
        Route("memphis_station", {"station": "shop", "tab": "code"}),
        Route("key_value"),
        Route("bucket", {"bucket": "B", "tab": "keys"}),
        Route("bucket", {"bucket": "B", "tab": "changes"}),
    ):
        window.select_connection("" if route.name == "home" else LOCAL_ID)
        window.navigate(route)
        screen = await until(lambda: window.current_workspace().current_screen, route.name)
        assert screen.route_name == route.name
        if isinstance(screen, MemphisStationScreen):
            await until(lambda page=screen: page.facts.text(), "what is known of the station")
        wide[str(route)] = screen.minimumSizeHint().width()
    assert {name: width for name, width in wide.items() if width > HALF_A_WINDOW} == {}


@pytest.mark.parametrize(("height", "all_in_view"), [(700, True), (570, True), (300, False)])
def test_twenty_places_stand_in_a_low_window(qtbot: QtBot, height: int, all_in_view: bool) -> None:
    entries = [entry for entry in SCREENS if entry.in_rail]
    more = range(20 - len(entries))  # as many as there may be
    entries += [ScreenEntry(f"more{one}", f"More {one}", "stack", Screen) for one in more]
    rail = Rail(entries)
    qtbot.addWidget(rail)
    rail.resize(rail.width(), height)
    rail.show()
    shown = [item for item in rail.items.values() if not item.visibleRegion().isEmpty()]
    heights = {item.height() for item in rail.items.values()}
    whole = [item for item in shown if item.visibleRegion().boundingRect().height() == item.height()]
    assert (len(whole) == 20) == all_in_view
    assert min(heights) >= 22
    for name in (
        entries[-1].route_name,
        "settings",
        "home",
    ):  # the lowest that may scroll, and one that never does
        rail.set_current(name)
        item = rail.items[name]
        assert item.visibleRegion().boundingRect().height() == item.height()
