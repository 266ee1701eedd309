"""Parts of a page beside each other where there is room for all of them, else below each other."""

from __future__ import annotations

from PySide6.QtCore import QSize
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QLayoutItem, QWidget

from memphis_desktop.ui import theme

_ANY_WIDTH = (1 << 24) - 1  # as Qt has it


class Beside(QWidget):
    """A row that becomes a column where its parts would need more width than there is.

    Args:
        parts: Widgets and their shares of what room is left. What is no wider than so much in a row is as
            wide as the column below the others.
        spacing: Pixels between the parts.
    """

    def __init__(
        self, *parts: tuple[QWidget, int], spacing: int = theme.SPACE_4, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._row = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(spacing)
        self._widest = [(widget, widget.maximumWidth()) for widget, _ in parts]
        for widget, stretch in parts:
            self._row.addWidget(widget, stretch)

    @property
    def below(self) -> bool:
        """Whether the parts stand below each other."""
        return self._row.direction() == QBoxLayout.Direction.TopToBottom

    def minimumSizeHint(self) -> QSize:
        """No wider than the widest part."""
        widths = [item.minimumSize().width() for item in self._shown()]
        return QSize(max(widths, default=0), self._row.minimumSize().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """There is room for all, or not."""
        super().resizeEvent(event)
        shown = self._shown()
        wanted = sum(item.minimumSize().width() for item in shown)
        wanted += self._row.spacing() * max(0, len(shown) - 1)
        below = self.width() < wanted
        if below != self.below:
            self._row.setDirection(
                QBoxLayout.Direction.TopToBottom if below else QBoxLayout.Direction.LeftToRight
            )
            for widget, widest in self._widest:
                widget.setMaximumWidth(_ANY_WIDTH if below else widest)
            self._row.activate()  # now: nothing is painted half arranged
            self.updateGeometry()

    def _shown(self) -> list[QLayoutItem]:
        items = [self._row.itemAt(index) for index in range(self._row.count())]
        return [item for item in items if item is not None and not item.isEmpty()]
