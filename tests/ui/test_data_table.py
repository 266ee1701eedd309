"""The table: rows that change under the user's eyes, sorting, filtering, keys, copying, states."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PySide6.QtCore import QEvent, QModelIndex, QPersistentModelIndex, QPoint, QPointF, Qt
from PySide6.QtGui import QGuiApplication, QMouseEvent
from pytestqt.qtbot import QtBot

from memphis_desktop.ui import settings, theme
from memphis_desktop.ui.components import table_model
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.table_menu import header_menu
from memphis_desktop.ui.components.table_model import TableModel
from memphis_desktop.ui.screen import Command


@dataclass(frozen=True)
class Row:
    name: str
    count: int | None = 0


COLUMNS = [
    Column("name", "Name", lambda row: row.name, width=140, stretch=True),
    Column("count", "Count", lambda row: row.count, "number"),
    Column("size", "Size", lambda row: row.count, "bytes", visible=False),
]


def rows(*names: str) -> list[Row]:
    return [Row(name, index) for index, name in enumerate(names)]


@pytest.fixture
def table(qtbot: QtBot) -> DataTable:
    table = DataTable(COLUMNS, lambda row: row.name, "things")
    qtbot.addWidget(table)
    table.resize(600, 300)
    table.show()
    return table


def names(table: DataTable) -> list[str]:
    return [row.name for row in table.rows()]


def test_the_model_keeps_the_rules(qtmodeltester: Any) -> None:
    model = TableModel(COLUMNS, lambda row: row.name)
    qtmodeltester.check(model, force_py=True)
    chooser = random.Random(7)
    pool = [f"row {number}" for number in range(30)]
    for step in range(60):
        chosen = chooser.sample(pool, chooser.randint(0, len(pool)))
        if step % 5 == 0:
            model.set_sort(COLUMNS[step % 2], bool(step % 3))
        if step % 7 == 0:
            model.set_filter("1" if step % 2 else "")
        model.set_rows(Row(name, chooser.randint(0, 9)) for name in chosen)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.lists(st.integers(0, 12), unique=True), min_size=1, max_size=6), st.booleans())
def test_differences_lead_to_the_same_as_a_fresh_model(
    qapp: Any, states: list[list[int]], sort: bool
) -> None:
    model = TableModel(COLUMNS, lambda row: row.name)
    mirror: list[str] = []

    def inserted(_: QModelIndex, first: int, last: int) -> None:
        mirror[first:first] = [model.row_at(row).name for row in range(first, last + 1)]

    def removed(_: QModelIndex, first: int, last: int) -> None:
        del mirror[first : last + 1]

    model.rowsInserted.connect(inserted)
    model.rowsRemoved.connect(removed)
    model.layoutChanged.connect(
        lambda *_: mirror.__setitem__(slice(None), [row.name for row in model.shown_rows()])
    )
    if sort:
        model.set_sort(COLUMNS[1], True)
    for state in states:
        given_rows = [Row(str(number), number % 5) for number in state]
        model.set_rows(given_rows)
        expected = sorted(given_rows, key=lambda row: row.count or 0, reverse=True) if sort else given_rows
        shown = [row.name for row in model.shown_rows()]
        assert mirror == shown
        assert sorted(shown) == sorted(row.name for row in expected)
        if sort:
            assert [row.count for row in model.shown_rows()] == [row.count for row in expected]
        else:
            assert shown == [row.name for row in expected]


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.dictionaries(st.integers(0, 15), st.none() | st.integers(0, 9), max_size=5), max_size=8),
    st.booleans(),
    st.booleans(),
)
def test_changes_among_many_rows_lead_to_the_same_as_a_fresh_model(
    qapp: Any, changes: list[dict[int, int | None]], descending: bool, narrowed: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_model, "_MANY", 3)
        patch.setattr(table_model, "_REORDER_EVERY", 0.0)
        kept = {number: Row(str(number), number % 4) for number in range(12)}
        model = TableModel(COLUMNS, lambda row: row.name)
        model.set_sort(COLUMNS[1], descending)
        if narrowed:
            model.set_predicate(lambda row: row.count != 3)
        announced: set[str] = set()
        model.dataChanged.connect(
            lambda top, bottom, *_: announced.update(
                model.row_at(row).name for row in range(top.row(), bottom.row() + 1)
            )
        )
        model.set_rows(kept.values())
        for change in changes:
            before = {row.name: row for row in model.shown_rows()}
            announced.clear()
            kept = {**kept, **{number: Row(str(number), count) for number, count in change.items()}}
            marked = QPersistentModelIndex(model.index(0, 0)) if before else None
            first = model.row_at(0).name if before else ""
            model.set_rows(kept.values())
            fresh = TableModel(COLUMNS, lambda row: row.name)
            fresh.set_sort(COLUMNS[1], descending)
            fresh.set_predicate((lambda row: row.count != 3) if narrowed else None)
            fresh.set_rows(kept.values())
            shown = model.shown_rows()
            assert [row.count for row in shown] == [row.count for row in fresh.shown_rows()]
            assert {row.name: row for row in shown} == {row.name: row for row in fresh.shown_rows()}
            assert [model.index_of(row.name) for row in shown] == list(range(len(shown)))
            assert announced >= {row.name for row in shown if row.name in before and before[row.name] != row}
            if marked is not None and first in {row.name for row in shown}:
                assert model.row_at(marked.row()).name == first


def test_only_what_differs_is_announced(qtbot: QtBot) -> None:
    model = TableModel(COLUMNS, lambda row: row.name)
    model.set_rows(rows("a", "b", "c", "d"))
    changed: list[tuple[int, int]] = []
    resets: list[int] = []
    model.dataChanged.connect(lambda top, bottom, *_: changed.append((top.row(), bottom.row())))
    model.modelReset.connect(lambda: resets.append(1))
    same = rows("a", "b", "c", "d")
    model.set_rows([same[0], replace(same[1], count=50), replace(same[2], count=60), same[3]])
    assert changed == [(1, 2)]
    assert not resets


def test_selection_and_cursor_stay_with_their_rows(table: DataTable) -> None:
    table.set_rows(rows("a", "b", "c", "d"))
    assert table.select_key("c")
    kept = QPersistentModelIndex(table.view.currentIndex())
    table.set_rows([Row("new", 9), Row("d", 1), Row("c", 2), Row("a", 3)])
    assert [row.name for row in table.selected_rows()] == ["c"]
    assert table.current_row().name == "c"
    assert kept.row() == 2
    table.set_rows(rows("x"))
    assert table.selected_rows() == []


def test_unknown_values_sort_last_in_both_directions(table: DataTable) -> None:
    table.set_rows([Row("none", None), Row("two", 2), Row("one", 1)])
    table.sort_by("count")
    assert names(table) == ["one", "two", "none"]
    table.sort_by("count", descending=True)
    assert names(table) == ["two", "one", "none"]


def test_clicking_a_header_sorts_by_the_useful_direction_first(qtbot: QtBot, table: DataTable) -> None:
    table.set_rows(rows("a", "b", "c"))
    header = table.view.horizontalHeader()
    place = header.sectionViewportPosition(1) + 10
    click = lambda: qtbot.mouseClick(  # noqa: E731
        header.viewport(),
        Qt.MouseButton.LeftButton,
        pos=header.viewport().rect().topLeft() + _point(place, 8),
    )
    click()
    assert names(table) == ["c", "b", "a"]
    click()
    assert names(table) == ["a", "b", "c"]
    click()
    assert table._sorted_by is None


def _point(x: int, y: int) -> Any:
    from PySide6.QtCore import QPoint

    return QPoint(x, y)


def test_filter_keeps_rows_with_every_word(table: DataTable) -> None:
    table.set_rows(rows("red apple", "green apple", "red pear"))
    table.set_filter("red app")
    assert names(table) == ["red apple"]
    table.set_filter("nothing")
    assert table.rows() == []
    assert "filter" in table._message.sentence()
    table.set_filter("")
    assert len(table.rows()) == 3


def test_keys_open_preview_move_and_copy(qtbot: QtBot, table: DataTable) -> None:
    table.set_rows(rows("a", "b", "c"))
    table.select_key("a")
    opened: list[Row] = []
    previewed: list[Row] = []
    table.row_activated.connect(opened.append)
    table.preview_requested.connect(previewed.append)
    qtbot.keyClick(table.view, Qt.Key.Key_J)
    qtbot.keyClick(table.view, Qt.Key.Key_Return)
    qtbot.keyClick(table.view, Qt.Key.Key_Space)
    assert [row.name for row in opened] == ["b"]
    assert [row.name for row in previewed] == ["b"]
    qtbot.keyClick(table.view, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClick(table.view, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().text() == "Name\tCount\nb\t1\nc\t2"
    qtbot.keyClick(
        table.view, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    )
    assert json.loads(QGuiApplication.clipboard().text()) == [
        {"name": "b", "count": 1},
        {"name": "c", "count": 2},
    ]
    qtbot.keyClick(table.view, Qt.Key.Key_Home)
    assert table.current_row().name == "a"


def test_double_click_opens(qtbot: QtBot, table: DataTable) -> None:
    table.set_rows(rows("a", "b"))
    opened: list[Row] = []
    table.row_activated.connect(opened.append)
    centre = table.view.visualRect(table.model.index(1, 0)).center()
    qtbot.mouseClick(table.view.viewport(), Qt.MouseButton.LeftButton, pos=centre)
    qtbot.mouseDClick(table.view.viewport(), Qt.MouseButton.LeftButton, pos=centre)
    assert [row.name for row in opened] == ["b"]


def test_the_context_menu_offers_what_can_be_done(table: DataTable) -> None:
    done: list[list[str]] = []

    def actions(selected: list[Row]) -> list[Command]:
        return [
            Command(
                "Delete", "Del", lambda: done.append([row.name for row in selected]), "trash", danger=True
            ),
            Command("Edit", enabled=False, reason="read-only"),
        ]

    table.context_actions = actions
    table.set_rows(rows("a", "b"))
    assert table.row_menu() is None
    table.view.selectAll()
    menu = table.row_menu()
    assert menu is not None
    entries = {action.text().split("\t")[0]: action for action in menu.actions() if action.text()}
    assert not entries["Edit"].isEnabled()
    entries["Delete"].trigger()
    assert done == [["a", "b"]]


def test_columns_are_chosen_and_remembered(qtbot: QtBot, table: DataTable) -> None:
    chooser = table.choose_columns()
    choices = {chooser.list.item(row).text(): chooser.list.item(row) for row in range(chooser.list.count())}
    assert choices["Name"].checkState() == Qt.CheckState.Checked
    assert choices["Size"].checkState() == Qt.CheckState.Unchecked
    chooser.list.setCurrentItem(choices["Size"])
    qtbot.keyClick(chooser.list, Qt.Key.Key_Space)
    assert [column.key for column in table.visible_columns()] == ["name", "count", "size"]
    chooser.list.setCurrentItem(choices["Name"])
    qtbot.keyClick(chooser.list, Qt.Key.Key_Down, Qt.KeyboardModifier.AltModifier)
    chooser.accept()
    table.sort_by("count", True)
    assert [column.key for column in table.visible_columns()] == ["count", "name", "size"]
    assert settings.current().get("table/things")["sort"] == ["count", True]
    again = DataTable(COLUMNS, lambda row: row.name, "things")
    qtbot.addWidget(again)
    assert [column.key for column in again.visible_columns()] == ["count", "name", "size"]
    again.set_rows(rows("a", "b"))
    assert names(again) == ["b", "a"]
    again.reset_columns()
    assert [column.key for column in again.visible_columns()] == ["name", "count"]


def test_states_are_four_different_things(qtbot: QtBot, table: DataTable) -> None:
    pressed: list[int] = []
    table.set_state("loading")
    assert table._stack.currentWidget() is table._skeleton
    table.set_state("empty", "No stations yet.", ("Create station", lambda: pressed.append(1)))
    assert table._stack.currentWidget() is table._message
    qtbot.mouseClick(table._message._button, Qt.MouseButton.LeftButton)
    assert pressed == [1]
    table.set_state("error", "The server refused (error 10039).", ("Retry", lambda: None))
    assert table._message.sentence() == "The server refused (error 10039)."
    table.set_rows(rows("a"))
    table.set_state("ready")
    assert table._stack.currentWidget() is table.view


def test_foreign_text_is_never_markup(table: DataTable) -> None:
    table.set_rows([Row("<b>bold</b><img src=x>\n", 1)])
    index = table.model.index(0, 0)
    assert index.data() == "<b>bold</b><img src=x>␊"
    tooltip = index.data(Qt.ItemDataRole.ToolTipRole)
    assert "<" not in tooltip


def test_many_rows_are_compared_quickly(qtbot: QtBot, table: DataTable) -> None:
    import time

    many = [Row(f"station-{number}", number) for number in range(10_000)]
    table.set_rows(many)
    table.sort_by("count", True)
    changed = [replace(row, count=(row.count or 0) + 1) for row in many]
    started = time.process_time()
    table.set_rows(changed)
    assert time.process_time() - started < 0.5  # 30 ms on the machine it was written on
    assert table.rows()[0].count == 10_000


def test_only_what_the_user_did_to_columns_is_remembered(qtbot: QtBot, table: DataTable) -> None:
    header = table.view.horizontalHeader()
    saved = "table/things"
    table.set_rows(rows("a", "b", "c"))
    header.resizeSection(2, 90)  # as a style or Qt itself does, even to a hidden one
    header.resizeSection(1, 130)
    assert settings.current().get(saved) is None
    edge = QPoint(header.sectionViewportPosition(1) + header.sectionSize(1) - 1, header.height() // 2)
    viewport = header.viewport()
    qtbot.mousePress(viewport, Qt.MouseButton.LeftButton, pos=edge)
    qtbot.mouseMove(viewport, edge + QPoint(-30, 0))
    qtbot.mouseRelease(viewport, Qt.MouseButton.LeftButton, pos=edge + QPoint(-30, 0))
    assert settings.current().get(saved)["widths"]["count"] == 100
    assert settings.current().get(saved)["hidden"] == ["size"]


def test_hidden_columns_stay_hidden_whatever_becomes_of_the_rows(qtbot: QtBot, table: DataTable) -> None:
    chooser = random.Random(3)
    pool = [f"row {number}" for number in range(12)]
    told: list[Any] = []
    settings.current().changed.connect(lambda key: told.append(settings.current().get(key)))
    for step in range(40):
        table.set_rows(rows(*chooser.sample(pool, chooser.randrange(0, 12))))
        table.sort_by(chooser.choice(["name", "count", None]), bool(step % 2))
        table.set_filter(chooser.choice(["", "1", "nothing"]))
        assert [column.key for column in table.visible_columns()] == ["name", "count"]
    table.set_column_visible(1, False)
    table.set_column_visible(1, True)
    assert {tuple(one["hidden"]) for one in told} == {("size",), ("count", "size")}
    assert all(width >= 40 for one in told for width in one["widths"].values())
    other = DataTable(COLUMNS, lambda row: row.name, "things")
    qtbot.addWidget(other)
    assert [column.key for column in other.visible_columns()] == ["name", "count"]


def test_the_last_column_stays_and_a_clicked_one_is_hidden(qtbot: QtBot, table: DataTable) -> None:
    menu = header_menu(table, 1)
    hide = next(action for action in menu.actions() if action.text().startswith("Hide"))
    hide.trigger()
    assert [column.key for column in table.visible_columns()] == ["name"]
    chooser = table.choose_columns()
    chooser.list.item(0).setCheckState(Qt.CheckState.Unchecked)
    assert [column.key for column in table.visible_columns()] == ["name"]
    assert chooser.list.item(0).checkState() == Qt.CheckState.Checked
    chooser.filter.setText("siz")
    assert [row for row in range(chooser.list.count()) if not chooser.list.item(row).isHidden()] == [2]
    chooser._reset()
    assert [column.key for column in table.visible_columns()] == ["name", "count"]
    chooser.accept()


def test_a_list_that_has_the_keyboard_shows_it_without_a_row_too(qtbot: QtBot, table: DataTable) -> None:
    look = theme.manager().current

    def framed() -> bool:
        picture = table.view.viewport().grab().toImage()
        return picture.pixelColor(picture.width() // 2, 1).name().upper() == look.accent

    table.resize(400, 200)
    with qtbot.waitActive(table):
        table.show()
        table.activateWindow()
    table.set_rows(rows("a"))
    table.view.setFocus()
    table.view.selectionModel().clear()
    assert table.view.hasFocus()
    assert framed()
    table.select_key("a")
    assert not framed()


def test_a_row_is_lit_and_framed_as_a_whole(qtbot: QtBot, table: DataTable) -> None:
    look = theme.manager().current
    table.resize(400, 200)
    with qtbot.waitActive(table):
        table.show()
        table.activateWindow()
    table.set_rows(rows("a", "b", "c"))
    viewport = table.view.viewport()
    row = table.view.rowHeight(0)
    place = QPointF(20, row // 2)

    def colour(number: int, x: int) -> str:
        return viewport.grab().toImage().pixelColor(x, number * row + 5).name().upper()

    none = Qt.MouseButton.NoButton
    move = QMouseEvent(QEvent.Type.MouseMove, place, place, none, none, Qt.KeyboardModifier.NoModifier)
    table.view.mouseMoveEvent(move)
    edge = viewport.width() - 6  # of the last cell, far from the pointer
    assert {colour(0, 150), colour(0, edge)} == {look.hover}
    assert colour(1, 150) == look.surface
    table.view.leaveEvent(QEvent(QEvent.Type.Leave))
    assert colour(0, edge) == look.surface
    table.view.setFocus()
    table.select_key("a")
    repainted = []
    viewport.update = lambda *area: repainted.append(area)
    table.select_key("c")
    assert {(area[1], area[3]) for area in repainted if len(area) == 4} >= {
        (-1, row + 2),
        (2 * row - 1, row + 2),
    }
    assert all(area[2] == viewport.width() for area in repainted if len(area) == 4)
