"""Which widgets Tab comes to first and last.

Qt's own way to ask, `nextInFocusChain` and `previousInFocusChain`, is not to be used: PySide takes what they
return for a child of the widget that was asked, whatever it is for Qt. Going around once makes a ring that
belongs to nobody any more, and the next collection of garbage ends a window in the midst of its use.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget


def put_last(window: QWidget, *widgets: QWidget) -> None:
    """Let Tab come to these after everything else in a window, in this order."""
    end = QWidget(window)  # what is new in a window stands at the end
    end.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # Qt puts nothing behind what Tab never comes to
    for before, after in pairwise((end, *widgets)):
        QWidget.setTabOrder(before, after)
    end.deleteLater()


def first_within(widget: QWidget, wanted: Callable[[QWidget], bool]) -> QWidget | None:
    """Return the first widget inside another that is `wanted`, in the order in which they were put there."""
    return next((one for one in widget.findChildren(QWidget) if wanted(one)), None)


def takes_tab(widget: QWidget) -> bool:
    """Whether Tab comes to a widget now."""
    return widget.isVisible() and widget.isEnabled() and bool(widget.focusPolicy() & Qt.FocusPolicy.TabFocus)
