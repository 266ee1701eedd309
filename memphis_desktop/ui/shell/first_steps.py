"""Five things to try first: a strip above the sample stations that ticks what was really done.

Screens say what was done with `reach`; nothing happens unless the strip waits for it.
"""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QObject, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QToolButton, QWidget

from memphis_desktop.cluster.model import ClusterSnapshot
from memphis_desktop.language import tr
from memphis_desktop.ui import settings, theme
from memphis_desktop.ui.components.chip_row import ChipRow
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.theme.icons import beside_text, icon

LAG, FIND, COMPARE, RESEND, REPLAY = "lag", "find", "compare", "resend", "replay"
DONE, DISMISSED = "first_steps/done", "first_steps/dismissed"  # settings
REPLAYED_AT_LEAST = 10  # messages
_ORDERS, _SLOW_GROUP = "sample-orders", "sample-analytics"


@dataclass(frozen=True)
class Step:
    """A thing to try.

    Attributes:
        key: What `reach` is called with.
        title: On its button.
        hint: How it is done, told when one goes there.
        route: Where.
    """

    key: str
    title: str
    hint: str
    route: Route


STEPS = (
    Step(
        LAG,
        tr("Watch a lag"),
        tr(
            "The graph at the left shows how far this group is behind: it falls back for half a minute, "
            "then catches up."
        ),
        Route("consumer", {"stream": _ORDERS, "consumer": _SLOW_GROUP}),
    ),
    Step(
        FIND,
        tr("Find by a field"),
        tr("Type json.total_cents > 20000 into the filter and press Ctrl+Enter."),
        Route("messages", {"stream": _ORDERS}),
    ),
    Step(
        COMPARE,
        tr("Compare two messages"),
        tr("Press M on one message, go to another, and press D."),
        Route("messages", {"stream": _ORDERS}),
    ),
    Step(
        RESEND,
        tr("Resend a dead letter"),
        tr("Press R on a dead letter. One appears within a minute where there is none."),
        Route("dead_letters", {"newest": "yes"}),
    ),
    Step(
        REPLAY,
        tr("Replay ten slowly"),
        tr("Select ten messages with Shift and the arrow keys, press R, and set a rate."),
        Route("messages", {"stream": _ORDERS}),
    ),
)
_KEYS = frozenset(step.key for step in STEPS)


class _Doings(QObject):
    reached = Signal(str)  # the key of what was done


_doings = _Doings()


def reach(key: str) -> None:
    """Something that may be one of the first steps was done."""
    _doings.reached.emit(key)


def offered(snapshot: ClusterSnapshot) -> bool:
    """Whether the steps can be taken here: the sample stations are there."""
    return _ORDERS in snapshot.streams


class FirstSteps(QFrame):
    """The strip. It shows itself where the sample stations are, until all is done or it is dismissed."""

    requested = Signal(object)  # a Step the user wants to try

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("firstSteps")
        self.setAccessibleName(tr("First steps"))
        self._offered = False
        self.buttons: dict[str, QPushButton] = {}
        row = QHBoxLayout(self)
        row.setContentsMargins(theme.SPACE_5, theme.SPACE_1, theme.SPACE_3, theme.SPACE_1)
        row.setSpacing(theme.SPACE_1)
        self._title = PlainLabel(tr("Try first"), "caption")
        row.addWidget(self._title)
        steps = ChipRow()
        row.addWidget(steps)
        for step in STEPS:
            button = QPushButton(step.title)
            button.setProperty("kind", "ghost")
            button.setToolTip(step.hint)
            button.setAutoDefault(False)
            button.clicked.connect(lambda _checked=False, step=step: self.requested.emit(step))
            self.buttons[step.key] = button
            steps.add(button)
        row.addStretch()
        self._close = QToolButton()
        self._close.setIcon(icon("x", "muted"))
        self._close.setIconSize(QSize(16, 16))
        self._close.setToolTip(tr("Dismiss for good  ( Esc )"))
        self._close.setAccessibleName(tr("Dismiss the first steps for good"))
        self._close.clicked.connect(self.dismiss)
        row.addWidget(self._close)
        _doings.reached.connect(self._reached)
        self._show_done()
        self.hide()

    @property
    def done(self) -> frozenset[str]:
        """The keys of the steps that were taken."""
        saved = settings.current().get(DONE)
        return _KEYS.intersection(saved) if isinstance(saved, list) else frozenset()

    def offer(self, offered_here: bool) -> None:
        """Show the strip, when there is something left to try here, or not."""
        self._offered = offered_here
        finished = self.done == _KEYS and not self.isVisible()  # what was ticked just now is seen first
        self.setVisible(offered_here and not finished and not settings.current().get(DISMISSED))

    def dismiss(self) -> None:
        """Gone for good; the palette brings it back."""
        settings.current().set(DISMISSED, True)
        self.hide()

    def begin_again(self) -> None:
        """Show it once more, nothing done."""
        settings.current().set(DISMISSED, None)
        settings.current().set(DONE, None)
        self._show_done()
        self.offer(self._offered)

    def _reached(self, key: str) -> None:
        if key in _KEYS and key not in self.done and self.isVisible():
            settings.current().set(DONE, sorted(self.done | {key}))
            self._show_done()

    def _show_done(self) -> None:
        done = self.done
        for step in STEPS:
            taken = step.key in done
            button = self.buttons[step.key]
            beside_text(button, icon("check-circle", "good") if taken else icon("circle", "muted"))
            button.setAccessibleName(f"{step.title}: {'done' if taken else 'to do'}")
        self._title.setText(tr("All done") if done == _KEYS else tr("Try first"))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Esc dismisses."""
        if event.key() == Qt.Key.Key_Escape:
            self.dismiss()
        else:
            super().keyPressEvent(event)
