"""A main part and a preview beside or below it, whose sizes are remembered."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QSplitter, QWidget

from memphis_desktop.ui import settings


class SplitView(QSplitter):
    """``main`` keeps the room; ``preview`` can be shown and hidden.

    Args:
        main, preview: the parts. Large ones are better made with this as their parent and put in with
            `fill`: taking another parent later styles them all over again.
        settings_name: under what the sizes are remembered.
        share: the preview's part of the room at first.
    """

    main: QWidget
    preview: QWidget

    def __init__(
        self,
        main: QWidget | None,
        preview: QWidget | None,
        settings_name: str,
        orientation: Qt.Orientation = Qt.Orientation.Horizontal,
        *,
        share: float = 0.36,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(orientation, parent)
        self._key = f"split/{settings_name}"
        self.setHandleWidth(5)
        self.setChildrenCollapsible(False)
        self._share = float(settings.current().get(self._key) or share)
        self._arranged = False
        self.splitterMoved.connect(self._save)
        if main is not None and preview is not None:
            self.fill(main, preview)

    def fill(self, main: QWidget, preview: QWidget) -> None:
        """Put both parts in."""
        self.main = main
        self.preview = preview
        self.addWidget(main)
        self.addWidget(preview)
        self.setStretchFactor(0, 1)
        self.setStretchFactor(1, 0)

    def showEvent(self, event: QShowEvent) -> None:
        """The sizes hold from the first time the real room is known; before, Qt would divide it by hints."""
        super().showEvent(event)
        if not self._arranged:
            self._arranged = True
            room = self.width() if self.orientation() == Qt.Orientation.Horizontal else self.height()
            self.setSizes([round(room * (1 - self._share)), round(room * self._share)])

    def set_preview_visible(self, visible: bool) -> None:
        """Show or hide the preview."""
        if visible and self.preview.isHidden() and self.isVisible():
            room = self.width() if self.orientation() == Qt.Orientation.Horizontal else self.height()
            self.preview.setVisible(True)
            self.setSizes([round(room * (1 - self._share)), round(room * self._share)])
        else:
            self.preview.setVisible(visible)

    def preview_visible(self) -> bool:
        """Whether the preview is shown."""
        return not self.preview.isHidden()

    def _save(self) -> None:
        main, preview = self.sizes()[:2]
        if preview and main + preview:
            self._share = round(preview / (main + preview), 3)
            settings.current().set(self._key, self._share)
