"""When what a tab shows is not the present: the words for it, and the veil over the content."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from memphis_desktop.cluster.model import ClusterSnapshot, ConnectionState
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.screen import SERVER

STALE_SECONDS = 10.0
_VEIL = 0.45  # how much of the window's colour lies over what is shown
_PARTS = {"account": "The account's figures", "streams": "Streams", "consumers": "Groups"}
EVERYTHING = frozenset({SERVER, *_PARTS})


@dataclass(frozen=True, slots=True)
class Staleness:
    """Why the present is not shown.

    Attributes:
        kind: Of the banner: warning, or bad when nobody tries any more.
        text: What happened, and how old what is shown is.
        action: ``stop`` trying, ``reconnect``, or empty.
        parts: What is not the present: screens that show it are greyed.
    """

    kind: str
    text: str
    action: str = ""
    parts: frozenset[str] = EVERYTHING


def staleness(snapshot: ClusterSnapshot, now_ns: int) -> Staleness | None:
    """Return why a snapshot is not the present at `now_ns`; None when it is."""
    read = [at for part, at in snapshot.read_at.items() if part in _PARTS]
    age = _age(max(read, default=0), now_ns)
    if snapshot.state is ConnectionState.RECONNECTING:
        text = f"{snapshot.detail or 'The connection was lost.'} {_old(age)}"
        return Staleness("warning", text.strip(), "stop")
    if snapshot.state in (ConnectionState.FAILED, ConnectionState.CLOSED):
        text = snapshot.detail if snapshot.state is ConnectionState.FAILED else ""
        text = text or "The connection is closed."
        return Staleness("bad", f"{text} {_old(age)}".strip(), "reconnect")
    if snapshot.state is not ConnectionState.CONNECTED:
        shown = bool(snapshot.read_at)
        return Staleness("information", f"Connecting again. {_old(age)}") if shown else None
    if _age(snapshot.read_at.get(SERVER, now_ns), now_ns) > STALE_SECONDS:
        return Staleness("warning", f"The server does not answer. {_old(age)}")
    late = {
        part: _age(snapshot.read_at[part], now_ns)
        for part in _PARTS
        if part in snapshot.errors and part in snapshot.read_at
    }
    late = {part: seconds for part, seconds in late.items() if seconds > STALE_SECONDS}
    if not late:
        return None
    names = ", ".join(_PARTS[part] for part in late)
    reason = snapshot.errors[next(iter(late))]
    text = f"{names} cannot be read. {reason} {_old(max(late.values()))}"
    return Staleness("warning", text, parts=frozenset(late))


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
