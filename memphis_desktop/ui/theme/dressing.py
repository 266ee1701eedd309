"""Dressing all widgets anew, a few at a time: what is in view first, then what is hidden.

Qt dresses every widget in one go when the application's stylesheet changes, which takes a window with a
handful of tabs half a second. Here the widgets are hidden from that: two attributes have Qt pass over them
while the sheet is exchanged. Then they are dressed one by one, in turns that let the loop do other things.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterator

from PySide6.QtCore import QBasicTimer, QEvent, QObject, Qt, QTimerEvent
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QApplication, QWidget
from shiboken6 import isValid

TURN_SECONDS = 0.003
MOST_IN_A_TURN = 64  # widgets, however fast they are

_POLISHED = Qt.WidgetAttribute.WA_WState_Polished  # those without it are not dressed by Qt …
_SET_STYLE = Qt.WidgetAttribute.WA_SetStyle  # … and those with it not told of another style


class Dresser(QObject):
    """One change of look at a time; a new one takes over what an earlier one has left.

    Attributes:
        turns: how many widgets were dressed in each turn of the last change.
    """

    def __init__(self) -> None:
        super().__init__()
        self.turns: list[int] = []
        self.turn_ends = False  # what was just done took its time, or what comes next will
        self._followers: list[tuple[weakref.ref[QWidget], weakref.WeakMethod[Callable[[], object]]]] = []
        self._steps: Iterator[None] | None = None
        self._timer = QBasicTimer()

    def follow(self, owner: QWidget, slot: Callable[[], object]) -> None:
        """Call a method after each change, once ``owner`` is dressed anew; it is not kept alive."""
        self._followers.append((weakref.ref(owner), weakref.WeakMethod(slot)))

    def begin(
        self,
        application: QApplication,
        sheet: str,
        palette: QPalette,
        told: Callable[[], None],
        *,
        sizes: bool,
    ) -> None:
        """Begin to dress everything; at once and to the end while nothing is in view yet.

        Args:
            application: whose widgets.
            sheet: its new stylesheet.
            palette: its new palette.
            told: called once new widgets would be dressed rightly.
            sizes: whether sizes differ, too, and not colours only: layouts have to be asked again.
        """
        self.turns = []
        self._steps = self._work(application, sheet, palette, told, sizes)
        if any(widget.isVisible() for widget in application.topLevelWidgets()):
            self._timer.start(0, self)
        else:
            self.finish()

    def finish(self) -> None:
        """Do now what is left."""
        self._timer.stop()
        steps, self._steps = self._steps, None
        if steps is not None:
            self.turns.append(0)
            for _ in steps:
                pass

    @property
    def busy(self) -> bool:
        """Whether something is left to do."""
        return self._steps is not None

    def timerEvent(self, event: QTimerEvent) -> None:
        """A turn."""
        self.turns.append(0)
        end = time.perf_counter() + TURN_SECONDS
        steps = self._steps
        self.turn_ends = False
        while (
            steps is not None
            and not self.turn_ends
            and time.perf_counter() < end
            and self.turns[-1] < MOST_IN_A_TURN
        ):
            if next(steps, self) is self:
                if self._steps is steps:
                    self._steps = None
                break
        if self._steps is None:
            self._timer.stop()

    def _work(
        self,
        application: QApplication,
        sheet: str,
        palette: QPalette,
        told: Callable[[], None],
        sizes: bool,
    ) -> Iterator[None]:
        shown: list[QWidget] = []
        hidden: list[QWidget] = []
        for widget in _all(application):
            # Those that an earlier change has left have the second attribute still.
            if isValid(widget) and (widget.testAttribute(_POLISHED) or widget.testAttribute(_SET_STYLE)):
                (shown if widget.isVisible() else hidden).append(widget)
            yield
        for widget in hidden:
            if isValid(widget) and not widget.isVisible():
                # Its rules go now: in the turn that exchanges the sheets, those of all would go at once.
                widget.style().unpolish(widget)
                _pass_over(widget)
                yield
        self.turn_ends = True
        yield
        application.setPalette(palette)
        self.turn_ends = True
        yield
        for widget in shown:
            if isValid(widget):
                _pass_over(widget)
        # One sheet after another has Qt dress each widget twice: undressing first is faster.
        application.setStyleSheet("")
        application.setStyleSheet(sheet)
        self.turn_ends = True
        yield
        told()
        yield
        followers = self._alive()
        for widgets, in_view in ((shown, True), (hidden, False)):
            for widget in widgets:
                if isValid(widget):
                    self.turns[-1] += 1
                    _dress(widget, sizes)
                    yield
            for owner, slot in followers:
                if isValid(owner) and owner.isVisible() == in_view:
                    slot()
                    yield
        self._followers = [one for one in self._followers if one[0]() is not None and one[1]() is not None]

    def _alive(self) -> list[tuple[QWidget, Callable[[], object]]]:
        found = ((owner(), slot()) for owner, slot in self._followers)
        return [(owner, slot) for owner, slot in found if owner is not None and slot is not None]


def _all(application: QApplication) -> Iterator[QWidget]:
    """All widgets, found one by one: asking Qt for the lot takes longer than a turn."""
    left = list(application.topLevelWidgets())
    while left:
        widget = left.pop()
        if isValid(widget):
            left += [
                child for child in widget.children() if isinstance(child, QWidget) and not child.isWindow()
            ]
            yield widget


def _pass_over(widget: QWidget) -> None:
    widget.setAttribute(_POLISHED, False)
    widget.setAttribute(_SET_STYLE, True)


def _dress(widget: QWidget, sizes: bool) -> None:
    widget.setAttribute(_SET_STYLE, False)
    widget.style().polish(widget)
    widget.setAttribute(_POLISHED, True)
    if sizes:
        QApplication.sendEvent(widget, QEvent(QEvent.Type.StyleChange))
    widget.update()
