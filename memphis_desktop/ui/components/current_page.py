"""Pages of which one is shown, as large as that one needs: the others make no page long that is short."""

from __future__ import annotations

from PySide6.QtWidgets import QSizePolicy, QStackedWidget, QTabWidget

_KEPT = "size_policy"  # a property: what a page has while it is shown
_IGNORED = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Ignored)


def size_by_current(pages: QStackedWidget | QTabWidget) -> None:
    """Have only the page that is shown count for the least size, now and whenever another one is shown.

    Of its own, Qt takes the largest, so that a window with little height would scroll through empty room.
    """

    def take(shown: int) -> None:
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

    pages.currentChanged.connect(take)
    if isinstance(pages, QStackedWidget):
        pages.widgetAdded.connect(lambda _: take(pages.currentIndex()))
    take(pages.currentIndex())
