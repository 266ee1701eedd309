"""Vital signs beside each other: in one row where there is room, else in two."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGridLayout, QWidget

from memphis_desktop.ui import theme
from memphis_desktop.ui.components.vital_sign import VitalSign


class SignGrid(QWidget):
    """Arranges tiles.

    Args:
        signs: The tiles, in order.
        wide: Pixels that each has at least in one row of all.
        narrow: Pixels that each has at least in two rows.
    """

    def __init__(
        self,
        signs: Sequence[VitalSign],
        *,
        wide: int = 132,
        narrow: int = 132,
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
        self._place(len(self._signs))

    @property
    def columns(self) -> int:
        """How many stand beside each other."""
        return self._columns

    def minimumSizeHint(self) -> QSize:
        """Wide enough for two rows."""
        columns = (len(self._signs) + 1) // 2
        return QSize(self._room(columns, self._narrow), super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """One row, or two."""
        super().resizeEvent(event)
        count = len(self._signs)
        self._place(count if self.width() >= self._room(count, self._wide) else (count + 1) // 2)

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
