"""The head of a page: where it is, its one title, and what can be done here."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QHBoxLayout,
    QMenu,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from memphis_desktop.language import tr
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.time_range import TimeRangeBar
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.theme.direction import right_to_left
from memphis_desktop.ui.theme.icons import beside_text, icon

_TITLE_WIDTH = 132  # so much is left of a title in any case
_UNLIMITED = 16_777_215  # Qt's own
_LONGEST_TITLE = 320  # a longer one is cut before time ranges become a menu


class PageHeader(QWidget):
    """Breadcrumb, title with room for badges after it, actions at the right."""

    navigated = Signal(object)  # the Route of a breadcrumb that was clicked

    def __init__(self, title: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._crumbs = QHBoxLayout()
        self._crumbs.setSpacing(2)
        self._crumb_row = QWidget()
        self._crumb_row.setLayout(self._crumbs)
        self._crumbs.setContentsMargins(0, 0, 0, 0)
        self._crumb_row.hide()
        self.title_label = PlainLabel(title, "title", elide=Qt.TextElideMode.ElideMiddle)
        self.title_label.setMinimumWidth(_TITLE_WIDTH)
        # As tall as the buttons beside it, so that titles stand at one height where there are none.
        self.title_label.setMinimumHeight(theme.manager().density.control)
        self.subtitle_label = PlainLabel("", "muted", elide=Qt.TextElideMode.ElideRight)
        self.subtitle_label.hide()
        self._after_title = QHBoxLayout()
        self._after_title.setSpacing(theme.SPACE_2)
        self._actions = QHBoxLayout()
        self._actions.setSpacing(theme.SPACE_2)
        line = QHBoxLayout()
        line.setSpacing(theme.SPACE_3)
        line.addWidget(self.title_label, 1)
        line.addLayout(self._after_title)
        line.addStretch()
        line.addLayout(self._actions)
        self._more = QToolButton()
        self._more.setIcon(icon("dots-three", "muted"))
        self._more.setIconSize(QSize(18, 18))
        self._more.setToolTip(tr("More actions"))
        self._more.setAccessibleName(tr("More actions"))
        self._more.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._more.setMenu(QMenu(self._more))
        self._more.menu().aboutToShow.connect(self._fill_more)
        self._more.hide()
        line.addWidget(self._more)
        self._folded: list[QAbstractButton] = []
        layout = self._column = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self._crumb_row)
        layout.addLayout(line)
        layout.addWidget(self.subtitle_label)

    def add_below(self, widget: QWidget) -> None:
        """Put something below the title and its line."""
        self._column.addWidget(widget)

    def set_title(self, title: str, subtitle: str = "") -> None:
        """The page's one title, and a muted line below it."""
        self.title_label.setText(title)
        self.subtitle_label.setText(subtitle)
        self.subtitle_label.setVisible(bool(subtitle))
        self._fit()

    def set_breadcrumb(self, parts: Sequence[tuple[str, Route | None]]) -> None:
        """The places above this one; the last is the title itself and is not repeated."""
        while (item := self._crumbs.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.deleteLater()
        above = list(parts)[:-1]
        for index, (text, route) in enumerate(above):
            if index:
                self._crumbs.addWidget(PlainLabel("‹" if right_to_left() else "›", "caption"))
                self._crumbs.addSpacing(theme.SPACE_1)  # what the button's margin takes away
            crumb = QPushButton(text.replace("&", "&&"))
            crumb.setProperty("kind", "crumb")
            crumb.setEnabled(route is not None)
            crumb.clicked.connect(lambda _checked=False, route=route: self.navigated.emit(route))
            self._crumbs.addWidget(crumb)
        self._crumbs.addStretch()
        self._crumb_row.setVisible(bool(above))
        if parts:
            self.title_label.setText(parts[-1][0])
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Time ranges become a menu before the title is cut."""
        super().resizeEvent(event)
        self._fit()

    def minimumSizeHint(self) -> QSize:
        """Room for the title and what never goes into the menu."""
        least = super().minimumSizeHint()
        saved = sum(self._wanted(one) for one in self._foldable() if not one.isHidden())
        if saved and not self._folded:
            least.setWidth(
                max(_TITLE_WIDTH, least.width() - saved + self._more.sizeHint().width() + theme.SPACE_3)
            )
        return least

    def _fit(self) -> None:
        bars = [one for one in self.findChildren(TimeRangeBar) if not one.isHidden()]
        actions = [one for one in self._in_actions() if not one.isHidden()]
        text = self.title_label.fontMetrics().horizontalAdvance(self.title_label.text())
        title = min(_LONGEST_TITLE, max(_TITLE_WIDTH, text)) + 2 * theme.SPACE_3
        badges = self._after_title.sizeHint().width()
        if bars:
            others = sum(self._wanted(one) + self._actions.spacing() for one in actions if one not in bars)
            bars[0].set_compact(title + badges + others + bars[0].full_width() > self.width())
        room = self.width() - _TITLE_WIDTH - badges - 2 * theme.SPACE_3
        room -= sum(self._wanted(one) + self._actions.spacing() for one in actions)
        folded: list[QAbstractButton] = []
        if room < 0:
            room -= self._more.sizeHint().width() + self._actions.spacing()
            for one in self._foldable():
                if room >= 0:
                    break
                if not one.isHidden():
                    folded.append(one)
                    room += self._wanted(one)
        for one in self._foldable():
            if (one in folded) != _away(one):
                one.setMaximumWidth(0 if one in folded else _UNLIMITED)
                one.setFocusPolicy(Qt.FocusPolicy.NoFocus if one in folded else Qt.FocusPolicy.StrongFocus)
        self._folded = folded
        self._more.setVisible(bool(folded))

    def _in_actions(self) -> list[QWidget]:
        items = (self._actions.itemAt(index) for index in range(self._actions.count()))
        return [widget for item in items if item is not None and (widget := item.widget()) is not None]

    def _foldable(self) -> list[QAbstractButton]:
        """What may go into the menu, in that order: the main action stays, and so does what has a menu."""
        return [
            one
            for one in self._in_actions()
            if isinstance(one, QPushButton | QToolButton)
            and one.property("kind") not in ("primary", "danger")
            and one.menu() is None
        ]

    @staticmethod
    def _wanted(widget: QWidget) -> int:
        return widget.sizeHint().width()

    def _fill_more(self) -> None:
        menu = self._more.menu()
        menu.clear()
        menu.setToolTipsVisible(True)
        for button in self._folded:
            if button.isHidden():
                continue
            action = menu.addAction(button.icon(), button.text() or button.accessibleName())
            action.setToolTip(button.toolTip())
            action.setEnabled(button.isEnabled())
            action.setCheckable(button.isCheckable())
            action.setChecked(button.isChecked())
            action.triggered.connect(button.click)

    def add_badge(self, widget: QWidget) -> None:
        """Put a small widget directly after the title."""
        self._after_title.addWidget(widget)

    def add_action(
        self,
        title: str,
        callback: Callable[[], object],
        *,
        icon_name: str = "",
        kind: str = "",
        tooltip: str = "",
    ) -> QPushButton:
        """A button at the right; ``kind`` is primary, danger or ghost."""
        button = QPushButton(title.replace("&", "&&"))
        if icon_name:
            token = {"primary": "on_accent", "ghost": "muted"}.get(kind, "text")
            beside_text(button, icon(icon_name, token))
        if kind:
            button.setProperty("kind", kind)
        if tooltip:
            button.setToolTip(tooltip)
        button.clicked.connect(lambda: callback())
        self._actions.addWidget(button)
        return button

    def add_icon_action(self, name: str, tooltip: str, callback: Callable[[], object]) -> QToolButton:
        """A button that is an icon with a tooltip."""
        button = QToolButton()
        button.setIcon(icon(name, "muted"))
        button.setIconSize(QSize(18, 18))
        button.setToolTip(tooltip)
        button.setAccessibleName(tooltip)
        button.clicked.connect(lambda: callback())
        self._actions.addWidget(button)
        return button

    def add_widget(self, widget: QWidget) -> None:
        """Any widget among the actions."""
        self._actions.addWidget(widget)


def _away(button: QAbstractButton) -> bool:
    return button.maximumWidth() == 0
