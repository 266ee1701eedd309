"""Chips that give way: what does not fit waits in a menu, and works from there."""

from __future__ import annotations

from pytestqt.qtbot import QtBot

from memphis_desktop.ui.components.filter_bar import FilterBar

NAMES = ("Limits", "Interest", "Work queue", "Needs attention", "With buckets")


def shown(bar: FilterBar) -> list[str]:
    return [chip.text() for chip in bar._chips.values() if chip.isVisible()]


def make(qtbot: QtBot) -> FilterBar:
    bar = FilterBar("Filter stations")
    qtbot.addWidget(bar)
    for name in NAMES:
        bar.add_chip(name.lower(), name)
    bar.set_count("12 of 340")
    bar.resize(1000, 40)
    bar.show()
    return bar


def test_all_are_in_view_where_there_is_room(qtbot: QtBot) -> None:
    bar = make(qtbot)
    assert shown(bar) == list(NAMES)
    assert bar._chip_row._more.isHidden()


def test_what_does_not_fit_waits_in_a_menu_and_works(qtbot: QtBot) -> None:
    bar = make(qtbot)
    changes: list[set[str]] = []
    bar.chips_changed.connect(changes.append)
    bar.resize(500, 40)
    assert bar.minimumSizeHint().width() < 400
    few = shown(bar)
    assert 0 < len(few) < len(NAMES)
    for chip in bar._chips.values():
        if chip.isVisible():
            assert chip.geometry().right() < bar._chip_row.width()
    menu = bar._chip_row.menu()
    assert [action.text() for action in menu.actions()] == list(NAMES[len(few) :])
    menu.actions()[-1].trigger()
    assert changes == [{"with buckets"}]
    assert bar._chip_row._more.text().endswith(" more · 1 on")
    bar.resize(1000, 40)
    assert shown(bar) == list(NAMES)
    assert bar.chips() == {"with buckets"}


def test_a_chip_that_was_taken_off_is_neither_in_the_row_nor_in_the_menu(qtbot: QtBot) -> None:
    bar = make(qtbot)
    bar.show_chip("limits", False)
    qtbot.waitUntil(lambda: shown(bar) == list(NAMES[1:]))
    bar.resize(420, 40)
    assert "Limits" not in [action.text() for action in bar._chip_row.menu().actions()]
    bar.resize(1000, 40)
    bar.show_chip("limits", True)
    qtbot.waitUntil(lambda: shown(bar) == list(NAMES))
