"""Another look: every widget is dressed once, what is in view first, a few at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QApplication, QLabel, QStackedWidget, QVBoxLayout, QWidget

from memphis_desktop import app
from memphis_desktop.ui import theme
from memphis_desktop.ui.theme.dressing import MOST_IN_A_TURN

Until = Callable[..., Awaitable[Any]]
MANY = 300


class Told(QLabel):
    """Counts what it is told of."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.events: Counter[QEvent.Type] = Counter()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        self.events[event.type()] += 1


@pytest.fixture
def pages(qapp: QApplication) -> Iterator[QStackedWidget]:
    """Two pages of labels, one in view; the other was seen before."""
    app.dress(qapp)
    stack = QStackedWidget()
    for _ in range(2):
        page = QWidget()
        column = QVBoxLayout(page)
        for number in range(MANY):
            column.addWidget(Told(f"{number}"))
        stack.addWidget(page)
    stack.show()
    stack.setCurrentIndex(1)
    stack.setCurrentIndex(0)
    theme.manager().finish()
    yield stack
    theme.manager().set_density("normal")
    theme.manager().finish()
    stack.close()
    stack.deleteLater()


def labels(pages: QStackedWidget, page: int) -> list[Told]:
    return pages.widget(page).findChildren(Told)


def colours(widgets: list[Told]) -> set[str]:
    return {one.palette().color(QPalette.ColorRole.WindowText).name().upper() for one in widgets}


async def test_each_widget_is_dressed_once_and_few_in_a_turn(pages: QStackedWidget, until: Until) -> None:
    manager = theme.manager()
    before = {id(one) for one in QApplication.allWidgets()}
    manager.set_mode("light")
    assert manager.dresser.busy
    await until(lambda: not manager.dresser.busy, "the new look")
    assert 2 * MANY <= sum(manager.dresser.turns) <= len(before)
    assert max(manager.dresser.turns) <= MOST_IN_A_TURN
    for page in (0, 1):
        assert colours(labels(pages, page)) == {manager.current.text}


async def test_what_is_in_view_comes_first(pages: QStackedWidget, until: Until) -> None:
    manager = theme.manager()
    manager.set_mode("light")
    await until(lambda: colours(labels(pages, 0)) == {manager.current.text}, "what is in view")
    polished = Qt.WidgetAttribute.WA_WState_Polished
    assert not all(one.testAttribute(polished) for one in labels(pages, 1))
    await until(lambda: all(one.testAttribute(polished) for one in labels(pages, 1)), "the rest")
    assert colours(labels(pages, 1)) == {manager.current.text}


def test_layouts_are_asked_again_for_other_sizes_only(pages: QStackedWidget) -> None:
    manager = theme.manager()
    every = [*labels(pages, 0), *labels(pages, 1)]
    for one in every:
        one.events.clear()
    manager.set_accent("teal")
    manager.finish()
    assert {one.events[QEvent.Type.StyleChange] for one in every} == {0}
    manager.set_density("compact")
    manager.finish()
    assert {one.events[QEvent.Type.StyleChange] for one in every} == {1}


def test_a_second_change_takes_over_what_the_first_has_left(
    pages: QStackedWidget, qapp: QApplication
) -> None:
    manager = theme.manager()
    manager.set_mode("light")
    while manager.dresser.busy and sum(manager.dresser.turns) < 40:
        qapp.processEvents()
    assert manager.dresser.busy
    manager.set_mode("contrast")
    manager.finish()
    for page in (0, 1):
        assert colours(labels(pages, page)) == {manager.current.text}


def test_widgets_that_are_gone_are_passed_by(pages: QStackedWidget, qapp: QApplication) -> None:
    manager = theme.manager()
    manager.set_mode("light")
    while not manager.dresser.turns:
        qapp.processEvents()
    page = pages.widget(1)
    pages.removeWidget(page)
    page.deleteLater()
    qapp.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    manager.finish()
    assert colours(labels(pages, 0)) == {manager.current.text}
    assert pages.count() == 1


def test_followers_are_called_in_view_first_and_not_kept_alive(pages: QStackedWidget) -> None:
    called: list[str] = []

    class Follower(QLabel):
        def follow(self) -> None:
            called.append(self.text())

    shown, hidden, gone = Follower("shown"), Follower("hidden"), Follower("gone")
    for one, page in ((hidden, 1), (shown, 0), (gone, 0)):
        layout = pages.widget(page).layout()
        assert layout is not None
        layout.addWidget(one)
        theme.manager().follow(one, one.follow)
    shown.show()
    gone.setParent(None)
    del gone, one
    theme.manager().set_mode("light")
    theme.manager().finish()
    assert called == ["shown", "hidden"]
