"""When what a tab shows is not the present: the words for it, the veil, and the age on each panel.

A screen says with `shows` which part of what is read each of its panels shows. A panel whose part is old is
greyed and says how old it is; the rest of the page, which is the present, stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QLabel, QWidget
from shiboken6 import isValid

from memphis_desktop.cluster.model import ClusterSnapshot, ConnectionState
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.screen import SERVER

STALE_SECONDS = 10.0
_VEIL = 0.45  # how much of the window's colour lies over what is shown
_PARTS = {"account": tr("The account's figures"), "streams": tr("Streams"), "consumers": tr("Groups")}
EVERYTHING = frozenset({SERVER, *_PARTS})


@dataclass(frozen=True, slots=True)
class Staleness:
    """Why the present is not shown.

    Attributes:
        kind: Of the banner: warning, or bad when nobody tries any more.
        text: What happened, and how old what is shown is.
        action: ``stop`` trying, ``reconnect``, or empty.
        parts: What is not the present: screens and panels that show it are greyed.
        ages: How old each of these is, seconds; of those that were read at all.
        reasons: Why each cannot be read, where that differs.
    """

    kind: str
    text: str
    action: str = ""
    parts: frozenset[str] = EVERYTHING
    ages: Mapping[str, float] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)


def staleness(snapshot: ClusterSnapshot, now_ns: int) -> Staleness | None:
    """Return why a snapshot is not the present at `now_ns`; None when it is."""
    read = [at for part, at in snapshot.read_at.items() if part in _PARTS]
    age = _age(max(read, default=0), now_ns)
    ages = {part: _age(at, now_ns) for part, at in snapshot.read_at.items() if part in EVERYTHING}
    if snapshot.state is ConnectionState.RECONNECTING:
        text = f"{snapshot.detail or tr('The connection was lost.')} {_old(age)}"
        return Staleness("warning", text.strip(), "stop", ages=ages)
    if snapshot.state in (ConnectionState.FAILED, ConnectionState.CLOSED):
        text = snapshot.detail if snapshot.state is ConnectionState.FAILED else ""
        text = text or tr("The connection is closed.")
        return Staleness("bad", f"{text} {_old(age)}".strip(), "reconnect", ages=ages)
    if snapshot.state is not ConnectionState.CONNECTED:
        shown = bool(snapshot.read_at)
        return (
            Staleness("information", f"{tr('Connecting again.')} {_old(age)}", ages=ages) if shown else None
        )
    if _age(snapshot.read_at.get(SERVER, now_ns), now_ns) > STALE_SECONDS:
        return Staleness("warning", f"{tr('The server does not answer.')} {_old(age)}", ages=ages)
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
    text = f"{tr('{names} cannot be read.', names=names)} {reason} {_old(max(late.values()))}"
    reasons = {part: snapshot.errors[part] for part in late}
    return Staleness("warning", text, parts=frozenset(late), ages=late, reasons=reasons)


def _age(read_at_ns: int, now_ns: int) -> float:
    return (now_ns - read_at_ns) / 1e9 if read_at_ns else float("inf")


def _old(age: float) -> str:
    """How old what is shown is; empty when nothing is shown."""
    if age == float("inf"):
        return ""
    if age < 1:
        return tr("What you see is from just before.")
    return tr("What you see is {age} old.", age=_whole(age))


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


Panel = TypeVar("Panel", bound=QWidget)
_SMALL = 100  # pixels of height
_SHOWN = "shown_parts"  # the property of a panel that names what it shows


def shows(panel: Panel, *parts: str) -> Panel:
    """Say which parts of what is read a panel shows (``streams``, ``consumers``, ``account``, ``server``)."""
    panel.setProperty(_SHOWN, list(parts))
    return panel


class _PanelAge(StaleVeil):
    """Greys one panel and says in its corner how old it is."""

    def __init__(self, panel: QWidget) -> None:
        super().__init__(panel)
        self.age = QLabel(self)
        self.age.setTextFormat(Qt.TextFormat.PlainText)
        self.age.setProperty("role", "age")

    def tell(self, seconds: float, reason: str) -> None:
        """Show it, or another age. On a tile there is room for the veil only; its tooltip tells."""
        self.age.setText(tr("{age} old", age=_whole(seconds)))
        panel = self.parentWidget()
        assert panel is not None  # it is made with one
        panel.setAccessibleDescription(f"{tr('{age} old.', age=_whole(seconds))} {reason}".strip())
        self.cover(True)
        self.age.setVisible(panel.height() >= _SMALL)
        self.age.adjustSize()
        place = self.rect().bottomRight() - self.age.rect().bottomRight()
        self.age.move(place.x() - theme.SPACE_2, place.y() - theme.SPACE_2)
        self.update()

    def end(self) -> None:
        """It is the present."""
        panel = self.parentWidget()
        if panel is not None:
            panel.setAccessibleDescription("")
        self.cover(False)


class PanelAges:
    """The ages on the panels of the screen that a tab shows."""

    def __init__(self) -> None:
        self._told: dict[QWidget, _PanelAge] = {}

    def show(self, screen: QWidget | None, stale: Staleness | None) -> bool:
        """Tell the ages of the panels in view of a screen; returns whether it has any.

        Args:
            screen: What the tab shows.
            stale: What is not the present; None when all is.
        """
        panels = _panels(screen) if screen is not None and stale is not None else {}
        told: set[QWidget] = set()
        for panel, parts in panels.items():
            assert stale is not None  # else there are none
            ages = [stale.ages[part] for part in parts if part in stale.parts and part in stale.ages]
            if ages and max(ages) > 1:
                told.add(panel)
                reason = next((stale.reasons[part] for part in parts if part in stale.reasons), stale.text)
                age = self._told.get(panel) or self._told.setdefault(panel, _PanelAge(panel))
                age.tell(max(ages), reason)
        for panel in self._told.keys() - told:
            if isValid(panel):
                self._told[panel].end()
            else:
                del self._told[panel]
        return bool(panels)


def _panels(screen: QWidget) -> dict[QWidget, tuple[str, ...]]:
    return {
        panel: tuple(parts)
        for panel in screen.findChildren(QWidget)
        if isinstance(parts := panel.property(_SHOWN), list) and panel.isVisible()
    }
