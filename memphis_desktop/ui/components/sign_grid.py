"""Vital signs beside each other: in one row where there is room, else in two, three or four."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, QSize, Qt
from PySide6.QtGui import QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QGridLayout, QWidget

from memphis_desktop.ui import theme
from memphis_desktop.ui.components.vital_sign import VitalSign

_MOST_ROWS = 4


class SignGrid(QWidget):
    """Arranges tiles.

    Args:
        signs: The tiles, in order.
        wide: Pixels that each has at least in one row of all.
        narrow: Pixels that each has at least in two rows.
        opening: Whether tiles open what they are about: they take the focus then, arrows go from one to
            the next, Enter and Space do what a click does.
    """

    def __init__(
        self,
        signs: Sequence[VitalSign],
        *,
        wide: int = 132,
        narrow: int = 132,
        opening: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._signs = list(signs)
        self._wide, self._narrow = wide, narrow
        self._columns = 0
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(theme.SPACE_3)
        for sign in self._signs:
            sign.setMinimumWidth(narrow)
            if opening:
                sign.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
                sign.setCursor(Qt.CursorShape.PointingHandCursor)
                sign.installEventFilter(self)
        self._place(len(self._signs))

    @property
    def columns(self) -> int:
        """How many stand beside each other."""
        return self._columns

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Arrows go through the tiles, Enter and Space open one."""
        if not isinstance(event, QKeyEvent) or event.type() != QEvent.Type.KeyPress:
            return super().eventFilter(watched, event)
        place = next((i for i, sign in enumerate(self._signs) if sign is watched), -1)
        if place < 0:
            return super().eventFilter(watched, event)
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self._signs[place].clicked.emit()
            return True
        right = -1 if self.isRightToLeft() else 1
        steps = {
            Qt.Key.Key_Right: right,
            Qt.Key.Key_Left: -right,
            Qt.Key.Key_Down: self._columns,
            Qt.Key.Key_Up: -self._columns,
        }
        goal = place + steps.get(Qt.Key(event.key()), 0)
        if goal == place or not 0 <= goal < len(self._signs):
            return super().eventFilter(watched, event)
        self._signs[goal].setFocus(Qt.FocusReason.TabFocusReason)
        return True

    def minimumSizeHint(self) -> QSize:
        """Wide enough for four rows."""
        columns = -(-len(self._signs) // _MOST_ROWS)
        return QSize(self._room(columns, self._narrow), super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """As few rows as the width allows."""
        super().resizeEvent(event)
        count = len(self._signs)
        if self.width() >= self._room(count, self._wide):
            self._place(count)
            return
        columns = [-(-count // rows) for rows in range(2, _MOST_ROWS + 1)]
        self._place(
            next((one for one in columns if self.width() >= self._room(one, self._narrow)), columns[-1])
        )

    @staticmethod
    def _room(columns: int, each: int) -> int:
        return columns * (each + theme.SPACE_3) - theme.SPACE_3

    def _place(self, columns: int) -> None:
        if columns == self._columns:
            return
        self._columns = columns
        for index, sign in enumerate(self._signs):
            self._grid.addWidget(sign, *divmod(index, columns))
        for column in range(len(self._signs)):
            self._grid.setColumnStretch(column, 1 if column < columns else 0)
        self.updateGeometry()
