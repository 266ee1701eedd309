"""When what a tab shows is not the present: the words for it, and the veil over the content."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from memphis_desktop.cluster.model import ClusterSnapshot, ConnectionState
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme

STALE_SECONDS = 10.0
_VEIL = 0.45  # how much of the window's colour lies over what is shown
_PARTS = {"account": "The account's figures", "streams": "Streams", "consumers": "Groups"}


@dataclass(frozen=True, slots=True)
class Staleness:
    """Why the present is not shown.

    Attributes:
        kind: Of the banner: warning, or bad when nobody tries any more.
        text: What happened, and how old what is shown is.
        action: ``stop`` trying, ``reconnect``, or empty.
        all: Whether all of the content is concerned, not only some of it.
    """

    kind: str
    text: str
    action: str = ""
    all: bool = True


def staleness(snapshot: ClusterSnapshot, now_ns: int) -> Staleness | None:
    """Return why a snapshot is not the present at `now_ns`; None when it is."""
    age = _age(max(snapshot.read_at.values(), default=0), now_ns)
    if snapshot.state is ConnectionState.RECONNECTING:
        return Staleness("warning", f"{snapshot.detail or 'The connection was lost.'} {_old(age)}", "stop")
    if snapshot.state in (ConnectionState.FAILED, ConnectionState.CLOSED):
        text = snapshot.detail if snapshot.state is ConnectionState.FAILED else ""
        text = text or "The connection is closed."
        return Staleness("bad", f"{text} {_old(age)}".strip(), "reconnect")
    if snapshot.state is not ConnectionState.CONNECTED:
        shown = bool(snapshot.read_at)
        return Staleness("information", f"Connecting again. {_old(age)}") if shown else None
    late = {
        part: _age(snapshot.read_at.get(part, 0), now_ns)
        for part in _PARTS
        if part in snapshot.errors and _age(snapshot.read_at.get(part, 0), now_ns) > STALE_SECONDS
    }
    if not late:
        return None
    everything = age > STALE_SECONDS
    reason = snapshot.errors[next(iter(late))]
    if everything:
        return Staleness("warning", f"The server does not answer. {reason} {_old(age)}")
    names = ", ".join(_PARTS[part] for part in late)
    return Staleness("warning", f"{names} cannot be read. {reason} {_old(max(late.values()))}", all=False)


def _age(read_at_ns: int, now_ns: int) -> float:
    return (now_ns - read_at_ns) / 1e9 if read_at_ns else float("inf")


def _old(age: float) -> str:
    """How old what is shown is; empty when nothing is shown."""
    if age == float("inf"):
        return ""
    return "What you see is from just before." if age < 1 else f"What you see is {_whole(age)} old."


def _whole(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else figures.duration(seconds)


class StaleVeil(QWidget):
    """Lies over the content and greys it; the mouse goes through it."""

    def __init__(self, covered: QWidget) -> None:
        super().__init__(covered)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.hide()
        covered.installEventFilter(self)

    def cover(self, covering: bool) -> None:
        """Lie there, or not."""
        if covering:
            parent = self.parentWidget()
            assert parent is not None  # it is made with one
            self.setGeometry(parent.rect())
            self.raise_()
        self.setVisible(covering)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Stay as large as what it covers, and above what comes into it."""
        if event.type() in (QEvent.Type.Resize, QEvent.Type.ChildAdded) and self.isVisible():
            self.cover(True)
        return False

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw it."""
        colour = QColor(theme.manager().current.window)
        colour.setAlphaF(_VEIL)
        QPainter(self).fillRect(event.rect(), colour)
