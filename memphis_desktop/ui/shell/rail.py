"""The navigation rail: where one can go on this connection."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QFrame,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from memphis_desktop.language import tr
from memphis_desktop.ui import keymap, settings, theme
from memphis_desktop.ui.components.labels import plain_tooltip
from memphis_desktop.ui.keymap import Keys
from memphis_desktop.ui.screens.registry import ScreenEntry
from memphis_desktop.ui.theme import fonts
from memphis_desktop.ui.theme.direction import placed, right_to_left
from memphis_desktop.ui.theme.icons import icon, paint_icon

_WIDE = 184
_BESIDE_NAMES = 62  # what the icon and the margins take of the width
_NARROW = 52
_ITEM, _LEAST_ITEM = 34, 25  # of height, where there is room and where there is little
_PADDED, _LEAST_PADDED = 16, 9  # what of it is not the text
_SETTING = "window/rail_narrow"


def _wide() -> int:
    """Room for the longest name, in text as large as the user wants it."""
    return max(_WIDE, _BESIDE_NAMES + fonts.scaled(_WIDE - _BESIDE_NAMES))


class RailItem(QAbstractButton):
    """One place: icon and name, lit while it is shown, dimmed with a reason when it cannot be used."""

    def __init__(self, entry: ScreenEntry, shortcut: Keys | None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.entry = entry
        self.keys = shortcut
        self.reason = ""
        self.narrow = False
        self.badge = ""
        self.line_height = _ITEM
        self.setCheckable(True)
        self.setAutoExclusive(False)
        self.setText(entry.title)
        self.setAccessibleName(entry.title)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._describe()

    def set_reason(self, reason: str) -> None:
        """Dim it and say why; empty makes it usable. It can still be visited, and says the same there."""
        if reason != self.reason:
            self.reason = reason
            self._describe()
            self.update()

    def set_badge(self, text: str) -> None:
        """A count at the right, empty for none."""
        if text != self.badge:
            self.badge = text
            self.update()

    def set_narrow(self, narrow: bool) -> None:
        """Show only the icon."""
        self.narrow = narrow
        self._describe()
        self.update()

    def sizeHint(self) -> QSize:
        """One line of the rail."""
        return QSize(_NARROW if self.narrow else _wide(), self.line_height)

    def nextCheckState(self) -> None:
        """Being clicked does not light it: being shown does."""

    def paintEvent(self, event: QPaintEvent) -> None:
        """Ground by state, marker, icon, name."""
        look = theme.manager().current
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = QRectF(self.rect()).adjusted(8, 1, -8, -1)
        painter.setPen(Qt.PenStyle.NoPen)
        if self.isChecked():
            painter.setBrush(QColor(look.accent_soft))
            painter.drawRoundedRect(area, 6, 6)
        elif self.underMouse():
            painter.setBrush(QColor(look.hover))
            painter.drawRoundedRect(area, 6, 6)
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(look.accent), look.focus_width))
            painter.drawRoundedRect(area.adjusted(1, 1, -1, -1), 6, 6)
        token = "faint" if self.reason else "accent" if self.isChecked() else "muted"
        left = (self.width() - 18) // 2 if self.narrow else 18
        name = self.entry.icon
        square = placed(QRect(left, (self.height() - 18) // 2, 18, 18), self.rect())
        paint_icon(painter, square, name, look.colour(token))
        if self.narrow:
            return
        weight = fonts.MEDIUM if self.isChecked() else fonts.REGULAR
        painter.setFont(fonts.interface(theme.SIZE_BODY, weight))
        painter.setPen(QColor(look.faint if self.reason else look.text if self.isChecked() else look.muted))
        text_area = placed(QRect(46, 0, self.width() - 46 - 16, self.height()), self.rect())
        painter.drawText(
            text_area, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), self.text()
        )
        if self.badge:
            painter.setFont(fonts.interface(11, fonts.MEDIUM))
            painter.setPen(QColor(look.warning))
            painter.drawText(
                text_area, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight), self.badge
            )

    def tell_keys(self) -> None:
        """The tooltip names the keys of now."""
        self._describe()

    def _describe(self) -> None:
        keys = keymap.native(keymap.keys_of(self.keys.name)) if self.keys is not None else ""
        lines = [self.entry.title + (f"  {keys}" if keys else "")] if self.narrow or keys else []
        if self.reason:
            lines.append(self.reason)
        self.setToolTip(plain_tooltip("\n".join(lines)))
        self.setAccessibleDescription(self.reason)


class Rail(QFrame):
    """Screens above, the program's own pages below."""

    requested = Signal(str)  # a route name

    def __init__(self, entries: Sequence[ScreenEntry], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("rail")
        self.setAccessibleName(tr("Navigation"))
        self.items: dict[str, RailItem] = {}
        self.narrow = False
        self._crowded = False
        column = QVBoxLayout()
        column.setContentsMargins(0, theme.SPACE_2, 0, 0)
        column.setSpacing(0)
        below = QVBoxLayout()
        below.setContentsMargins(0, 0, 0, theme.SPACE_2)
        below.setSpacing(0)
        number = 0
        for entry in entries:
            if not entry.in_rail:
                continue
            number += 1
            name = f"{keymap.EVERYWHERE}.go_{entry.route_name}"
            shortcut = keymap.register(name, entry.title, f"Ctrl+{number}") if number <= 9 else None
            item = RailItem(entry, shortcut)
            item.clicked.connect(lambda _checked=False, name=entry.route_name: self.requested.emit(name))
            self.items[entry.route_name] = item
            (below if entry.at_bottom else column).addWidget(item)
        column.addStretch()
        holder = QWidget()
        holder.setObjectName("scrolled")
        holder.setLayout(column)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(holder)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._area = area
        self._toggle = QToolButton()
        self._toggle.setIconSize(QSize(16, 16))
        self._toggle.clicked.connect(lambda: self.set_narrow(not self.narrow))
        below.addWidget(self._toggle, 0, Qt.AlignmentFlag.AlignLeft)
        below.setContentsMargins(0, 0, 0, theme.SPACE_2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(area, 1)
        layout.addLayout(below)
        self._show(bool(settings.current().get(_SETTING, False)))
        theme.manager().changed.connect(self._fit)

    def set_narrow(self, narrow: bool) -> None:
        """Show icons only, or icons with names, as the user wishes from now on."""
        settings.current().set(_SETTING, narrow or None)
        self._show(narrow)

    def set_crowded(self, crowded: bool) -> None:
        """There is little room, or there is again: give way, and come back as the user wished."""
        if crowded != self._crowded:
            self._crowded = crowded
            self._show(crowded or bool(settings.current().get(_SETTING, False)))

    def _show(self, narrow: bool) -> None:
        self.narrow = narrow
        self._fit()
        for item in self.items.values():
            item.set_narrow(narrow)
        self._toggle.setIcon(icon("caret-double-right" if narrow else "caret-double-left", "faint"))
        text = tr("Show names") if narrow else tr("Show icons only")
        self._toggle.setToolTip(text)
        self._toggle.setAccessibleName(text)
        side = "right" if right_to_left() else "left"
        self._toggle.setStyleSheet(f"margin-{side}: {12 if narrow else 14}px;")

    def _fit(self) -> None:
        self.setFixedWidth(_NARROW if self.narrow else _wide())
        self._share_height()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Lines draw together in a low window before the rail has to scroll."""
        super().resizeEvent(event)
        self._share_height()
        self._show_current()

    def _share_height(self) -> None:
        text = fonts.scaled(theme.SIZE_BODY)
        most, least = max(_ITEM, text + _PADDED), max(_LEAST_ITEM, text + _LEAST_PADDED)
        room = self.height() - self._toggle.sizeHint().height() - 2 * theme.SPACE_2
        each = max(least, min(most, room // max(1, len(self.items))))
        for item in self.items.values():
            item.line_height = each
            item.updateGeometry()
        # The bar of a rail that scrolls would push the icons of a narrow one aside; it has the wheel and Tab.
        policy = Qt.ScrollBarPolicy
        self._area.setVerticalScrollBarPolicy(
            policy.ScrollBarAlwaysOff if self.narrow else policy.ScrollBarAsNeeded
        )

    def _show_current(self) -> None:
        """Scroll to what is lit."""
        lit = next((item for item in self.items.values() if item.isChecked()), None)
        if lit is not None and self._area.isAncestorOf(lit):
            self._area.ensureWidgetVisible(lit, 0, theme.SPACE_1)

    def set_current(self, route_name: str) -> None:
        """Light one item."""
        for name, item in self.items.items():
            item.setChecked(name == route_name)
        self._show_current()

    def tell_keys(self) -> None:
        """Tooltips name the keys of now."""
        for item in self.items.values():
            item.tell_keys()

    def shortcuts(self) -> list[tuple[Keys, ScreenEntry]]:
        """The keys that the first nine come with, and their entries; the user may have chosen others."""
        return [(item.keys, item.entry) for item in self.items.values() if item.keys is not None]
