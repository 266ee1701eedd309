"""The way of a message, drawn from top to bottom: published, stored, each consumer, dead, sent again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, tzinfo

from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from memphis_desktop.cluster.dead_letters.journey import Step
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.empty_state import EmptyState
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.theme.icons import paint_icon

_ICONS = {
    "published": "paper-plane-tilt",
    "stored": "stack",
    "consumer": "users-three",
    "dead": "warning-octagon",
    "resent": "arrow-bend-up-right",
}
_RAIL = 44
_BRANCH = 28  # consumers stand further in: they are branches of one stem
_DISC = 26


class JourneyView(QWidget):
    """Shows steps; `letter_requested` names another letter the user wants to see."""

    letter_requested = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.zone: tzinfo = UTC
        self.steps: list[Step] = []
        self._empty = EmptyState("path", tr("Select a dead letter to see its journey."))
        self._holder = QWidget()
        self._holder.setObjectName("scrolled")
        self._lines = QVBoxLayout(self._holder)
        self._lines.setContentsMargins(theme.SPACE_3, theme.SPACE_3, theme.SPACE_3, theme.SPACE_3)
        self._lines.setSpacing(0)
        self._area = QScrollArea()
        self._area.setWidgetResizable(True)
        self._area.setFrameShape(QFrame.Shape.NoFrame)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._area.setWidget(self._holder)
        self._area.setAccessibleName(tr("Journey of the message"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._empty)
        layout.addWidget(self._area)
        self.show_steps([])

    def show_steps(self, steps: Sequence[Step]) -> None:
        """Draw these; nothing for none."""
        self._empty.setVisible(not steps)
        self._area.setVisible(bool(steps))
        if list(steps) == self.steps:
            return
        self.steps = list(steps)
        while (item := self._lines.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()
        for index, step in enumerate(self.steps):
            line = _StepLine(step, index == 0, index == len(self.steps) - 1, self.zone)
            line.letter_requested.connect(self.letter_requested)
            self._lines.addWidget(line)
        self._lines.addStretch()
        self.setAccessibleDescription(self.text())

    def text(self) -> str:
        """The journey in sentences, for screen readers and the clipboard."""
        return "\n".join(f"{step.title}: {step.text}" for step in self.steps)


class _StepLine(QWidget):
    """One step: a disc on the stem or on a branch, a title, when, and what happened."""

    letter_requested = Signal(object)

    def __init__(self, step: Step, first: bool, last: bool, zone: tzinfo) -> None:
        super().__init__()
        self._step = step
        self._first, self._last = first, last
        self._indent = _BRANCH if step.kind == "consumer" else 0
        title = PlainLabel(step.title, "strong", elide=Qt.TextElideMode.ElideMiddle)
        whole = figures.timestamp(step.time_ns, zone) if step.time_ns else ""
        when = PlainLabel(whole.partition(" ")[2], "caption")
        when.setToolTip(whole)
        head = QHBoxLayout()
        head.setSpacing(theme.SPACE_2)
        head.addWidget(title, 1)
        head.addWidget(when)
        words = PlainLabel(step.text, "muted", wrap=True, selectable=True)
        words.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.MinimumExpanding)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(_RAIL + self._indent, theme.SPACE_1, 0, theme.SPACE_3)
        layout.setSpacing(2)
        layout.addLayout(head)
        layout.addWidget(words)
        if step.letter is not None:
            button = QPushButton(tr("Show that dead letter"))
            button.setProperty("kind", "link")
            button.clicked.connect(lambda: self.letter_requested.emit(step.letter))
            layout.addWidget(button, 0, Qt.AlignmentFlag.AlignLeft)
        self.setAccessibleName(f"{step.title}: {step.text}")

    def sizeHint(self) -> QSize:
        """At least the disc."""
        hint = super().sizeHint()
        return QSize(hint.width(), max(hint.height(), _DISC + 14))

    def paintEvent(self, event: QPaintEvent) -> None:
        """The stem, the branch to a consumer, and the disc with the step's icon."""
        look = theme.manager().current
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        stem = _DISC / 2 + 2
        middle = theme.SPACE_1 + _DISC / 2 - 2
        painter.setPen(QPen(QColor(look.line), 2))
        top = middle if self._first else 0.0
        bottom = middle if self._last else float(self.height())
        painter.drawLine(QPointF(stem, top), QPointF(stem, bottom))
        centre = stem + self._indent
        if self._indent:
            painter.drawLine(QPointF(stem, middle), QPointF(centre, middle))
        token = self._step.token
        soft = look.colour(f"{token}_soft") if token != "muted" else look.hover
        disc = QRectF(centre - _DISC / 2, middle - _DISC / 2, _DISC, _DISC)
        painter.setBrush(QColor(look.surface))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.drawEllipse(disc)
        painter.setBrush(QColor(soft))
        painter.setPen(QPen(QColor(look.colour(token)), 1.5))
        painter.drawEllipse(disc.adjusted(1, 1, -1, -1))
        painter.end()
        painter = QPainter(self)
        inner = disc.adjusted(6, 6, -6, -6).toRect()
        paint_icon(painter, inner, _ICONS[self._step.kind], look.colour(token))
