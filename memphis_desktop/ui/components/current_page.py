"""Pages of which one is shown, no larger at least than that one needs to be.

Of its own, Qt takes the largest of all pages, and where a text wraps on one of them what they would like to
have at best. A page with little height around it would then scroll through empty room.
"""

from __future__ import annotations

from PySide6.QtWidgets import QSizePolicy, QStackedWidget, QTabWidget, QWidget

_KEPT = "size_policy"  # a property: what a page has while it is shown
_IGNORED = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Ignored)


class PageStack(QStackedWidget):
    """Pages without tabs."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.currentChanged.connect(lambda _: _size_by_current(self))
        self.widgetAdded.connect(lambda _: _size_by_current(self))

    def hasHeightForWidth(self) -> bool:
        """Its layout knows of no least height for a width, only of the best one."""
        return False


class PageTabs(QTabWidget):
    """Pages with tabs."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.currentChanged.connect(lambda _: _size_by_current(self))

    def tabInserted(self, index: int) -> None:
        """A page more."""
        super().tabInserted(index)
        _size_by_current(self)

    def hasHeightForWidth(self) -> bool:
        """See `PageStack`."""
        return False


def _size_by_current(pages: QStackedWidget | QTabWidget) -> None:
    shown = pages.currentIndex()
    for index in range(pages.count()):
        page = pages.widget(index)
        if page is None:
            continue
        kept = page.property(_KEPT)
        if index != shown and kept is None:
            page.setProperty(_KEPT, page.sizePolicy())
            page.setSizePolicy(_IGNORED)
        elif index == shown and kept is not None:
            page.setProperty(_KEPT, None)
            page.setSizePolicy(kept)
    pages.updateGeometry()
