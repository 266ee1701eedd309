"""The bar above everything: which environment this is, the tabs, and the way to everything else."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, QRectF, QSize, Qt, Signal, SignalInstance
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetrics,
    QIcon,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPixmap,
)
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QSizePolicy, QTabBar, QToolButton, QWidget

from memphis_desktop.language import tr
from memphis_desktop.ui import keymap, theme
from memphis_desktop.ui.components.table_delegate import paint_status_mark
from memphis_desktop.ui.format import visible_text
from memphis_desktop.ui.shell.connection_colours import colour_of
from memphis_desktop.ui.shell.environments import environment_word
from memphis_desktop.ui.theme import fonts
from memphis_desktop.ui.theme.direction import placed
from memphis_desktop.ui.theme.icons import beside_text, icon

HEIGHT = 44
_FEW_TABS = 4
_SEARCH = tr("Search or run a command")
_OUT_OF_THE_BAR = 6  # pixels below it
_OWN_COLOUR = 160  # pixels at each end of the strip
_CAREFUL = ("staging", "production")


class EnvironmentStrip(QWidget):
    """A line in the colour of the environment; where care is due it is wide and says its word.

    A colour that the connection has of its own stands at both ends of it, away from the word.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._environment = ""
        self._text = ""
        self._colour = ""
        self.set_environment("", "", False)

    def set_colour(self, key: str) -> None:
        """The colour of its own that the connection has; empty for none."""
        if key != self._colour:
            self._colour = key
            self.update()

    def set_environment(self, environment: str, name: str, read_only: bool, *, slim: bool = False) -> None:
        """``environment`` is local, development, staging, production, or empty for no connection.

        ``slim`` leaves the word out also where care is due, because it stands beside.
        """
        self._environment = environment
        careful = environment in _CAREFUL and not slim
        words = [environment_word(environment).upper(), visible_text(name, 80)] if careful else []
        if careful and read_only:
            words.append(tr("READ-ONLY"))
        self._text = "   ·   ".join(words)
        self.setFixedHeight(22 if careful else 3)
        shown = environment_word(environment) if environment else tr("none")
        if read_only:
            self.setAccessibleName(tr("Environment: {name}, read-only", name=shown))
        else:
            self.setAccessibleName(tr("Environment: {name}", name=shown))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """The colour, and the word on it."""
        painter = QPainter(self)
        if not self._environment:
            painter.fillRect(self.rect(), QColor(theme.manager().current.line))
            return
        ground, word = theme.ENVIRONMENT_COLOURS[self._environment]
        painter.fillRect(self.rect(), QColor(ground))
        own = colour_of(self._colour)
        if own is not None:
            edge = QFontMetrics(fonts.interface(11, fonts.SEMIBOLD)).horizontalAdvance(self._text)
            end = min(_OWN_COLOUR, max(0, (self.width() - edge) // 2 - 16))
            painter.fillRect(QRect(0, 0, end, self.height()), own)
            painter.fillRect(QRect(self.width() - end, 0, end, self.height()), own)
        if self._text:
            painter.setFont(fonts.interface(11, fonts.SEMIBOLD))
            painter.setPen(QColor(word))
            painter.drawText(self.rect(), int(Qt.AlignmentFlag.AlignCenter), self._text)


def _badge_font() -> QFont:
    return fonts.interface(11, fonts.SEMIBOLD)


class EnvironmentBadge(QWidget):
    """The environment's word, at the left of the tabs."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._environment = ""
        self._text = ""
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.hide()

    def set_environment(self, environment: str, read_only: bool) -> None:
        """Show the word; nothing without a connection."""
        self._environment = environment
        self._text = environment_word(environment).upper() + (f" · {tr('READ-ONLY')}" if read_only else "")
        self.setVisible(bool(environment))
        self.setAccessibleName(self._text)
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        """As wide as the word."""
        return QSize(QFontMetrics(_badge_font()).horizontalAdvance(self._text) + 16, 20)

    def paintEvent(self, event: QPaintEvent) -> None:
        """A filled lozenge."""
        if not self._environment:
            return
        ground, word = theme.ENVIRONMENT_COLOURS[self._environment]
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(ground))
        painter.drawRoundedRect(QRectF(self.rect()), 4, 4)
        painter.setFont(_badge_font())
        painter.setPen(QColor(word))
        painter.drawText(self.rect(), int(Qt.AlignmentFlag.AlignCenter), self._text)


class Tabs(QTabBar):
    """One tab for each place that is open; the first is Home and stays."""

    closed = Signal(int)
    menu_requested = Signal(int, QPoint)  # a tab, and where on the screen
    dragged = Signal(int, QPoint)  # a tab is held over a place on the screen
    dropped = Signal(int, QPoint)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._first_right: int | None = None
        self._beside: int | None = None
        self._pressed: tuple[int, QPoint] | None = None
        self._dragging = False
        self.setObjectName("tabs")
        self.setAccessibleName(tr("Open connections"))
        self.setDrawBase(False)
        self.setExpanding(False)
        self.setElideMode(Qt.TextElideMode.ElideMiddle)
        self.setMovable(False)
        self.setIconSize(QSize(14, 14))
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._menu_wanted)

    def insert_tab(self, index: int, title: str, home: bool = False) -> None:
        """A new tab at a place."""
        self.insertTab(index, visible_text(title, 60).replace("&", "&&"))
        if home:
            self.setTabIcon(index, icon("house", "muted"))
            return
        button = QToolButton()
        button.setIcon(icon("x", "muted"))
        button.setIconSize(QSize(12, 12))
        button.setFixedSize(18, 18)
        button.setToolTip(tr("Close tab"))
        button.setAccessibleName(tr("Close tab"))
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        button.clicked.connect(lambda: self._close_of(button))
        self.setTabButton(index, QTabBar.ButtonPosition.RightSide, button)

    def set_colour(self, index: int, key: str) -> None:
        """The colour of its own that the tab's connection has; empty for none."""
        if self.tabData(index) != key:
            self.setTabData(index, key)
            self.update()

    def set_split(self, first_right: int | None, beside: int | None) -> None:
        """Where the tabs of the right side begin, and which tab is in view beside the current one."""
        if (first_right, beside) != (self._first_right, self._beside):
            self._first_right, self._beside = first_right, beside
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Colours of connections below names; while two tabs are in view both are marked, a line between."""
        super().paintEvent(event)
        self._paint_colours()
        if self._first_right is None:
            return
        look = theme.manager().current
        painter = QPainter(self)
        for index, colour in ((self.currentIndex(), look.accent), (self._beside, look.muted)):
            if index is not None and index >= 0:
                area = self.tabRect(index)
                painter.fillRect(QRect(area.left() + 1, area.top(), area.width() - 2, 2), QColor(colour))
        if self._first_right < self.count():
            left = self.tabRect(self._first_right).left()
            painter.fillRect(QRect(left - 1, 8, 1, self.height() - 14), QColor(look.line_strong))

    def _paint_colours(self) -> None:
        painter = QPainter(self)
        for index in range(self.count()):
            colour = colour_of(str(self.tabData(index) or ""))
            if colour is not None and self.isTabVisible(index):
                area = self.tabRect(index)
                painter.fillRect(QRect(area.left() + 10, area.bottom() - 3, area.width() - 20, 3), colour)

    def set_title(self, index: int, title: str, tooltip: str) -> None:
        """Name a tab."""
        self.setTabText(index, visible_text(title, 60).replace("&", "&&"))
        self.setTabToolTip(index, visible_text(tooltip, 200))
        self.setAccessibleTabName(index, title)

    def set_state(self, index: int, token: str) -> None:
        """The mark of the connection's state before the name."""
        ratio = self.devicePixelRatioF()
        pixmap = QPixmap(QSize(14, 14) * ratio)
        pixmap.setDevicePixelRatio(ratio)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        paint_status_mark(painter, QRect(3, 3, 8, 8), token, theme.manager().current)
        painter.end()
        self.setTabIcon(index, QIcon(pixmap))

    def tabInserted(self, index: int) -> None:
        """Few tabs need no buttons to scroll, nor the room for them."""
        super().tabInserted(index)
        self.setUsesScrollButtons(self.count() > _FEW_TABS)

    def tabRemoved(self, index: int) -> None:
        """As in `tabInserted`."""
        super().tabRemoved(index)
        self.setUsesScrollButtons(self.count() > _FEW_TABS)

    def tabSizeHint(self, index: int) -> QSize:
        """No tab wider than a name needs, none wider than 220."""
        hint = super().tabSizeHint(index)
        return QSize(min(hint.width(), 220), HEIGHT - 10)

    def minimumTabSizeHint(self, index: int) -> QSize:
        """Narrow tabs when there are many."""
        hint = super().minimumTabSizeHint(index)
        return QSize(hint.width() if index == 0 else min(hint.width(), 90), HEIGHT - 10)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """A tab that is held can be drawn into the content, to split it."""
        super().mousePressEvent(event)
        place = event.position().toPoint()
        index = self.tabAt(place)
        held = event.button() == Qt.MouseButton.LeftButton and index > 0
        self._pressed = (index, place) if held else None

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """It is drawn once it has left the bar."""
        super().mouseMoveEvent(event)
        if self._pressed is None:
            return
        place = event.position().toPoint()
        if not self._dragging and place.y() > self.height() + _OUT_OF_THE_BAR:
            self._dragging = True
            self.setCursor(Qt.CursorShape.ClosedHandCursor)
        if self._dragging:
            self.dragged.emit(self._pressed[0], event.globalPosition().toPoint())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """What was drawn is dropped; the middle button closes."""
        if self._dragging and self._pressed is not None:
            self.dropped.emit(self._pressed[0], event.globalPosition().toPoint())
        self._pressed = None
        if self._dragging:
            self._dragging = False
            self.unsetCursor()
        if event.button() == Qt.MouseButton.MiddleButton:
            index = self.tabAt(event.position().toPoint())
            if index > 0:
                self.closed.emit(index)
        super().mouseReleaseEvent(event)

    def _menu_wanted(self, place: QPoint) -> None:
        index = self.tabAt(place)
        if index >= 0:
            self.menu_requested.emit(index, self.mapToGlobal(place))

    def _close_of(self, button: QToolButton) -> None:
        for index in range(self.count()):
            if self.tabButton(index, QTabBar.ButtonPosition.RightSide) is button:
                self.closed.emit(index)
                return


class SearchButton(QPushButton):
    """Looks like a field, opens the palette, and names its key."""

    def __init__(self) -> None:
        super().__init__(_SEARCH)
        self._short = False

    def set_short(self, short: bool) -> None:
        """Only the icon."""
        if short != self._short:
            self._short = short
            self.setText("" if short else _SEARCH)
            self.setToolTip(_SEARCH if short else "")
            self.setProperty("short", short)
            self.style().unpolish(self)
            self.style().polish(self)

    def paintEvent(self, event: QPaintEvent) -> None:
        """The key at the right, where there is room for it."""
        super().paintEvent(event)
        if self._short:
            return
        painter = QPainter(self)
        font = fonts.interface(11, fonts.MEDIUM)
        painter.setFont(font)
        painter.setPen(QColor(theme.manager().current.muted))
        keys = keymap.native(keymap.keys_of("window.search"))
        taken = self.iconSize().width() + self.fontMetrics().horizontalAdvance(self.text()) + 36
        if taken + QFontMetrics(font).horizontalAdvance(keys) > self.width():
            return
        area = placed(self.rect().adjusted(0, 0, -10, 0), self.rect())
        painter.drawText(area, int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter), keys)


class TopBar(QFrame):
    """Badge, tabs, new tab, search."""

    new_tab_requested = Signal()
    palette_requested = Signal()
    back_requested = Signal()
    forward_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("topBar")
        self.setFixedHeight(HEIGHT)
        self.badge = EnvironmentBadge()
        self.tabs = Tabs()
        self.back_button = self._button("arrow-left", tr("Back"), "window.back", self.back_requested)
        self.forward_button = self._button(
            "arrow-right", tr("Forward"), "window.forward", self.forward_requested
        )
        self.new_tab = self._button("plus", tr("New tab"), "window.new_tab", self.new_tab_requested)
        self.search = SearchButton()
        self.search.setObjectName("searchButton")
        beside_text(self.search, icon("magnifying-glass", "muted"))
        self.search.setAccessibleName(tr("Search or run a command"))
        self.search.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.search.clicked.connect(self.palette_requested)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_3, 0, theme.SPACE_3, 0)
        layout.setSpacing(theme.SPACE_1)
        layout.addWidget(self.back_button)
        layout.addWidget(self.forward_button)
        layout.addSpacing(theme.SPACE_2)
        layout.addWidget(self.badge)
        layout.addSpacing(theme.SPACE_1)
        layout.addWidget(self.tabs, 0, Qt.AlignmentFlag.AlignBottom)
        layout.addWidget(self.new_tab)
        layout.addStretch(1)
        layout.addWidget(self.search)

    def set_crowded(self, crowded: bool) -> None:
        """There is little room: the search is an icon."""
        self.search.set_short(crowded)

    def search_anchor(self) -> QPoint:
        """Where the palette belongs: below the search button."""
        return self.search.mapTo(self.window(), QPoint(0, self.search.height()))

    def _button(self, name: str, text: str, command: str, signal: SignalInstance) -> QToolButton:
        button = QToolButton()
        button.setIcon(icon(name, "muted"))
        button.setIconSize(QSize(16, 16))
        keymap.tooltip(button, text, command)
        button.setAccessibleName(text)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.clicked.connect(lambda: signal.emit())
        return button
