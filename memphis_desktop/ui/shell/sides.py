"""The content of the window: one tab in all of the room, or two side by side."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QShowEvent
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QHBoxLayout,
    QSplitter,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from memphis_desktop.language import tr
from memphis_desktop.ui import settings, theme
from memphis_desktop.ui.components import tab_order
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.shell.top_bar import EnvironmentBadge, EnvironmentStrip
from memphis_desktop.ui.shell.workspace import Workspace
from memphis_desktop.ui.theme.icons import icon

LEFT, RIGHT = 0, 1
RATIO = "split/window"  # the right side's part of the room
_LEAST = 0.2
_NEAR_THE_EDGE = 0.4  # of the width: where a tab that is dragged opens a split


class SideHeader(QFrame):
    """Whose side this is while there are two: environment, connection, place; marked if the keys go here."""

    across_requested = Signal()
    close_requested = Signal()

    def __init__(self, side: int) -> None:
        super().__init__()
        self.setObjectName("sideHeader")
        self._strip = EnvironmentStrip()
        self._badge = EnvironmentBadge()
        self._place = PlainLabel("", elide=Qt.TextElideMode.ElideRight)
        self._focused = False
        self.across = _button("arrows-left-right", tr("Move this tab to the other side"))
        self.across.clicked.connect(self.across_requested)
        self.close_button = _button("x", tr("Close the split, keep its tabs"))
        self.close_button.clicked.connect(self.close_requested)
        self.close_button.setVisible(side == RIGHT)
        row = QHBoxLayout()
        row.setContentsMargins(theme.SPACE_4, 2, theme.SPACE_2, 2)
        row.setSpacing(theme.SPACE_2)
        row.addWidget(self._badge)
        row.addWidget(self._place, 1)
        row.addWidget(self.across)
        row.addWidget(self.close_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, theme.manager().current.focus_width)
        layout.setSpacing(0)
        layout.addWidget(self._strip)
        layout.addLayout(row)

    def tell(self, workspace: Workspace | None, focused: bool) -> None:
        """Show another tab, or the same at another place."""
        connection = workspace.connection if workspace is not None else None
        environment = connection.profile.environment.value if connection is not None else ""
        read_only = connection.profile.read_only if connection is not None else False
        name = connection.profile.name if connection is not None else tr("Home")
        place = workspace.title() if workspace is not None and connection is not None else ""
        self._strip.set_environment(environment, name, read_only, slim=True)
        self._strip.set_colour(connection.profile.colour if connection is not None else "")
        self._badge.set_environment(environment, read_only)
        self._place.setText("  ›  ".join(part for part in (name, place) if part))
        self._place.setRole("strong" if focused else "muted")
        self.across.setEnabled(connection is not None)
        self._focused = focused
        self.setAccessibleName(f"{name} {place}".strip())
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """A line below: accent where the keys go, faint on the other side."""
        super().paintEvent(event)
        look = theme.manager().current
        width = look.focus_width if self._focused else look.line_width
        line = QRect(0, self.height() - width, self.width(), width)
        QPainter(self).fillRect(line, QColor(look.accent if self._focused else look.line))


def _button(name: str, text: str) -> QToolButton:
    button = QToolButton()
    button.setIcon(icon(name, "muted"))
    button.setIconSize(QSize(14, 14))
    button.setToolTip(text)
    button.setAccessibleName(text)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return button


class Side(QWidget):
    """One half, or all: the tabs that belong here, one of them in front."""

    entered = Signal()  # somebody pressed the mouse here

    def __init__(self, side: int) -> None:
        super().__init__()
        self.header = SideHeader(side)
        self.header.hide()
        self.stack = QStackedWidget()
        self.stack.setObjectName("content")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.header)
        layout.addWidget(self.stack, 1)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """What nobody inside wanted: the keys go here from now on."""
        self.entered.emit()
        super().mousePressEvent(event)

    def take_focus(self) -> None:
        """Put the focus where it was last on this side, or on the first thing that takes it."""
        before = self.stack.focusWidget()
        if before is not None and before.isVisible():
            before.setFocus(Qt.FocusReason.OtherFocusReason)
            return
        first = tab_order.first_within(self.stack, tab_order.takes_tab)
        if first is not None:
            first.setFocus(Qt.FocusReason.OtherFocusReason)


class DropTarget(QWidget):
    """Shows which half a tab that is dragged would go to."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.hide()

    def paintEvent(self, event: QPaintEvent) -> None:
        """A veil in the accent's colour with its edge."""
        look = theme.manager().current
        painter = QPainter(self)
        ground = QColor(look.accent)
        ground.setAlphaF(0.16)
        painter.fillRect(self.rect(), ground)
        painter.setPen(QPen(QColor(look.accent), 2))
        painter.drawRect(self.rect().adjusted(1, 1, -2, -2))


class Sides(QSplitter):
    """Two sides, the right one hidden until the window is split."""

    side_entered = Signal(int)
    split_changed = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setObjectName("sides")
        self.setHandleWidth(5)
        self.setChildrenCollapsible(False)
        self.sides = (Side(LEFT), Side(RIGHT))
        for number, side in enumerate(self.sides):
            self.addWidget(side)
            self.setStretchFactor(number, 1)
            side.setMinimumWidth(320)
            side.entered.connect(lambda number=number: self.side_entered.emit(number))
        self.sides[RIGHT].hide()
        self._target = DropTarget(self)
        self.splitterMoved.connect(self._remember)
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        application.focusChanged.connect(self._focus_changed)

    @property
    def is_split(self) -> bool:
        """Whether two tabs are shown."""
        return not self.sides[RIGHT].isHidden()

    def set_split(self, split: bool) -> None:
        """Show two sides, in the proportion of the last time, or one."""
        if split == self.is_split:
            return
        self.sides[RIGHT].setVisible(split)
        self.split_changed.emit(split)
        for side in self.sides:
            side.header.setVisible(split)
        if split:
            self._apply_ratio()

    def ratio(self) -> float:
        """The right side's part of the room."""
        try:
            saved = float(settings.current().get(RATIO) or 0.5)
        except (TypeError, ValueError):
            saved = 0.5
        return min(max(saved, _LEAST), 1 - _LEAST)

    def set_ratio(self, ratio: float) -> None:
        """Divide the room so, and remember it."""
        settings.current().set(RATIO, round(min(max(ratio, _LEAST), 1 - _LEAST), 3))
        if self.is_split:
            self._apply_ratio()

    def target_at(self, place: QPoint) -> int | None:
        """Which side a tab dropped at a place on the screen goes to; None for no change."""
        point = self.mapFromGlobal(place)
        if not self.rect().contains(point):
            return None
        if self.is_split:
            return RIGHT if point.x() >= self.sides[RIGHT].x() else LEFT
        return RIGHT if point.x() > self.width() * (1 - _NEAR_THE_EDGE) else None

    def show_target(self, side: int | None) -> None:
        """Mark where a dragged tab would go; None takes the mark away."""
        if side is None:
            self._target.hide()
            return
        area = self.rect()
        if self.is_split:
            area = self.sides[side].geometry()
        else:
            area.setLeft(round(self.width() * (1 - self.ratio())))
        self._target.setGeometry(area)
        self._target.raise_()
        self._target.show()

    def showEvent(self, event: QShowEvent) -> None:
        """The room is known only now."""
        super().showEvent(event)
        if self.is_split:
            self._apply_ratio()

    def _apply_ratio(self) -> None:
        room, ratio = self.width() - self.handleWidth(), self.ratio()
        self.setSizes([round(room * (1 - ratio)), round(room * ratio)])

    def _remember(self) -> None:
        left, right = self.sizes()
        if left and right:
            settings.current().set(RATIO, round(right / (left + right), 3))

    def _focus_changed(self, _before: QWidget | None, now: QWidget | None) -> None:
        if now is None or not self.is_split:
            return
        for number, side in enumerate(self.sides):
            if side.isAncestorOf(now):
                self.side_entered.emit(number)
