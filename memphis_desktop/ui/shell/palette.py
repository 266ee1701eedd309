"""The palette (Ctrl+K): go to anything, run anything, by typing a part of its name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from PySide6.QtCore import (
    QAbstractListModel,
    QEvent,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QSize,
    Qt,
)
from PySide6.QtGui import QColor, QFontMetrics, QKeyEvent, QKeySequence, QPainter
from PySide6.QtWidgets import (
    QFrame,
    QGraphicsDropShadowEffect,
    QLineEdit,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from memphis_desktop.language import tr
from memphis_desktop.ui import settings, theme
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.format import visible_text
from memphis_desktop.ui.theme import fonts
from memphis_desktop.ui.theme.direction import draw_foreign, placed
from memphis_desktop.ui.theme.icons import paint_icon

Index = QModelIndex | QPersistentModelIndex

ACTION, OBJECT, SETTING, PLACE = "action", "object", "setting", "place"
PREFIXES = {">": (ACTION,), "@": (OBJECT,), "#": (SETTING,)}
_KIND_WORDS = {ACTION: tr("Action"), OBJECT: "", SETTING: tr("Setting"), PLACE: tr("Go to")}
_RECENT_KEY = "palette/recent"
_RECENT = 12
_SHOWN = 60
_WIDTH = 640


@dataclass(frozen=True)
class Entry:
    """One thing that can be chosen.

    Attributes:
        key: stable name, for what was used recently.
        kind: ACTION, OBJECT, SETTING or PLACE.
        title: what is matched and shown.
        hint: where it belongs (``station``, ``consumer of orders``), muted.
    """

    key: str
    kind: str
    title: str
    callback: Callable[[], object]
    icon: str = "arrow-right"
    hint: str = ""
    shortcut: str = ""
    enabled: bool = True
    reason: str = ""


def score(query: str, title: str) -> int | None:
    """How well ``title`` answers ``query``, higher is better; None when it does not.

    All its words must be there, or every character in order. Runs, word beginnings and the very beginning
    count more.
    """
    text, wanted = title.lower(), query.lower()
    if not wanted:
        return 0
    found = text.find(wanted)
    if found >= 0:
        starts_word = found == 0 or not text[found - 1].isalnum()
        return 1000 - min(found, 200) + (400 if found == 0 else 200 if starts_word else 0) - len(text) // 4
    words = wanted.split()
    if len(words) > 1 and all(word in text for word in words):  # the words in another order, or apart
        return sum(score(word, title) or 0 for word in words) // len(words) - 50
    total, place, run = 0, -1, 0
    for character in wanted:
        if character == " ":
            continue
        following = text.find(character, place + 1)
        if following < 0:
            return None
        starts_word = following == 0 or not text[following - 1].isalnum()
        run = run + 1 if following == place + 1 else 0
        total += 4 * run + (12 if starts_word else 0) - min(6, following - place - 1)
        place = following
    return total if total > 0 else None


def rank(entries: Iterable[Entry], text: str, recent: list[str]) -> list[Entry]:
    """The entries that answer what was typed, best first; recent ones lead while nothing is typed."""
    text = text.strip()
    kinds = PREFIXES.get(text[:1])
    query = text[1:].strip() if kinds else text
    place = {key: index for index, key in enumerate(recent)}
    order = {PLACE: 0, ACTION: 1, OBJECT: 2, SETTING: 3}
    found = []
    for index, entry in enumerate(entries):
        if kinds is not None and entry.kind not in kinds:
            continue
        points = score(query, f"{entry.title} {entry.hint}" if query else "")
        if points is None:
            continue
        bonus = max(0, 40 - 4 * place[entry.key]) if entry.key in place else 0
        was = place.get(entry.key, _RECENT) if not query else 0
        found.append(
            (not entry.enabled, was, -(points + bonus), order[entry.kind] if not query else 0, index, entry)
        )
    found.sort(key=lambda item: item[:5])
    return [entry for *_, entry in found[:_SHOWN]]


class _Model(QAbstractListModel):
    def __init__(self) -> None:
        super().__init__()
        self.entries: list[Entry] = []

    def set_entries(self, entries: list[Entry]) -> None:
        self.beginResetModel()
        self.entries = entries
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:
        return 0 if parent.isValid() else len(self.entries)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        if not index.isValid():
            return None
        entry = self.entries[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return visible_text(entry.title)
        if role == Qt.ItemDataRole.AccessibleDescriptionRole:
            return entry.reason or entry.hint
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        flags = super().flags(index)
        if index.isValid() and not self.entries[index.row()].enabled:
            flags &= ~Qt.ItemFlag.ItemIsEnabled
        return flags


class _Delegate(QStyledItemDelegate):
    def __init__(self, model: _Model, parent: QWidget) -> None:
        super().__init__(parent)
        self._model = model

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(200, 36)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        entry = self._model.entries[index.row()]
        look = theme.manager().current
        rect: QRect = option.rect
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        chosen = bool(option.state & QStyle.StateFlag.State_Selected)
        if chosen:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(look.selection))
            painter.drawRoundedRect(rect.adjusted(4, 1, -4, -1), 6, 6)
        paint_icon(
            painter,
            placed(QRect(rect.left() + 14, rect.center().y() - 8, 17, 17), rect),
            entry.icon,
            look.colour("faint" if not entry.enabled else "accent" if chosen else "muted"),
        )
        title_font, small = fonts.interface(theme.SIZE_BODY), fonts.interface(theme.SIZE_CAPTION)
        right = rect.right() - 16
        keys = QKeySequence(entry.shortcut).toString(QKeySequence.SequenceFormat.NativeText)
        tail = keys or (_KIND_WORDS[entry.kind] if not entry.hint else "")
        middle = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        painter.setFont(small)
        if tail:
            width = QFontMetrics(small).horizontalAdvance(tail)
            painter.setPen(QColor(look.muted))
            area = QRect(right - width, rect.top(), width + 1, rect.height())
            draw_foreign(painter, placed(area, rect), middle, tail)
            right -= width + 16
        left = rect.left() + 44
        metrics = QFontMetrics(title_font)
        title = metrics.elidedText(visible_text(entry.title), Qt.TextElideMode.ElideMiddle, right - left)
        painter.setFont(title_font)
        painter.setPen(QColor(look.text if entry.enabled else look.faint))
        area = QRect(left, rect.top(), right - left, rect.height())
        draw_foreign(painter, placed(area, rect), middle, title)
        left += metrics.horizontalAdvance(title) + 10
        hint = entry.reason if not entry.enabled and entry.reason else entry.hint
        if hint and right - left > 40:
            painter.setFont(small)
            painter.setPen(QColor(look.muted))
            shown = QFontMetrics(small).elidedText(
                visible_text(hint), Qt.TextElideMode.ElideRight, right - left
            )
            area = QRect(left, rect.top(), right - left, rect.height())
            draw_foreign(painter, placed(area, rect), middle, shown)
        painter.restore()


class Palette(QFrame):
    """Lies over the window while open. ``collect`` gives everything that can be chosen now."""

    def __init__(self, window: QWidget, collect: Callable[[], list[Entry]]) -> None:
        super().__init__(window)
        self.setProperty("panel", "raised")
        self.setObjectName("palette")
        self.setAccessibleName(tr("Search or run a command"))
        self._collect = collect
        self._over = window
        self._all: list[Entry] = []
        self._before: QWidget | None = None
        self.field = QLineEdit()
        self.field.setObjectName("paletteField")
        self.field.setPlaceholderText(tr("Go to a station, a consumer, a page, or run an action"))
        self.field.setAccessibleName(tr("Search"))
        self.field.textChanged.connect(self._search)
        self.field.installEventFilter(self)
        self.model = _Model()
        self.view = QListView()
        self.view.setModel(self.model)
        self.view.setItemDelegate(_Delegate(self.model, self.view))
        self.view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.view.setMouseTracking(True)
        self.view.entered.connect(self._hover)
        self.view.clicked.connect(lambda _: self.choose())
        self.view.setAccessibleName(tr("Matches"))
        self.view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._nothing = PlainLabel(tr("Nothing is called that here."), "muted")
        self._nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._nothing.setMinimumHeight(72)
        self._help = PlainLabel(
            tr("↑↓ choose    Enter open    >  actions    @  objects    #  settings"), "caption"
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE_2, theme.SPACE_2, theme.SPACE_2, theme.SPACE_2)
        layout.setSpacing(theme.SPACE_1)
        layout.addWidget(self.field)
        layout.addWidget(self.view, 1)
        layout.addWidget(self._nothing)
        layout.addWidget(self._help)
        self._help.setContentsMargins(theme.SPACE_2, theme.SPACE_1, theme.SPACE_2, 0)
        shadow = QGraphicsDropShadowEffect(self)
        shadow.setBlurRadius(48)
        shadow.setOffset(0, 12)
        shadow.setColor(QColor(0, 0, 0, 140))
        self.setGraphicsEffect(shadow)
        window.installEventFilter(self)
        self.hide()

    def open(self, text: str = "") -> None:
        """Show it, with the prefix or words given."""
        self._before = self._over.window().focusWidget()
        self._all = self._collect()
        self.field.setText(text)
        self._search()
        self._place()
        self.show()
        self.raise_()
        self.field.setFocus()

    def close_palette(self) -> None:
        """Hide it and give the focus back."""
        self.hide()
        if self._before is not None:
            self._before.setFocus()
            self._before = None

    def choose(self) -> None:
        """Run what is marked."""
        index = self.view.currentIndex()
        if not index.isValid():
            return
        entry = self.model.entries[index.row()]
        if not entry.enabled:
            return
        recent = [key for key in settings.current().get(_RECENT_KEY, []) if key != entry.key]
        settings.current().set(_RECENT_KEY, [entry.key, *recent][:_RECENT])
        self.close_palette()
        entry.callback()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Keys of the field that belong to the list; the window's size; leaving."""
        if watched is self.field:
            if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
                return self._key(event)
            if event.type() == QEvent.Type.FocusOut and self.isVisible():
                self.hide()
        elif event.type() == QEvent.Type.Resize and self.isVisible():
            self._place()
        return False

    def _key(self, event: QKeyEvent) -> bool:
        key = event.key()
        steps = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1, Qt.Key.Key_PageDown: 8, Qt.Key.Key_PageUp: -8}
        if key in steps:
            self._step(steps[Qt.Key(key)])
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.choose()
        elif key == Qt.Key.Key_Escape:
            self.close_palette()
        elif key in (Qt.Key.Key_Tab, Qt.Key.Key_Backtab):
            self._step(1 if key == Qt.Key.Key_Tab else -1)
        else:
            return False
        return True

    def _step(self, by: int) -> None:
        count = self.model.rowCount()
        if not count:
            return
        row = self.view.currentIndex().row() + by
        row = row % count if abs(by) == 1 else max(0, min(count - 1, row))
        self.view.setCurrentIndex(self.model.index(row, 0))

    def _search(self) -> None:
        recent = list(settings.current().get(_RECENT_KEY, []))
        self.model.set_entries(rank(self._all, self.field.text(), recent))
        found = bool(self.model.entries)
        if found:
            first = next((row for row, entry in enumerate(self.model.entries) if entry.enabled), 0)
            self.view.setCurrentIndex(self.model.index(first, 0))
        self.view.setVisible(found)
        self._nothing.setVisible(not found)
        self._place()

    def _hover(self, index: QModelIndex) -> None:
        self.view.setCurrentIndex(index)

    def _place(self) -> None:
        window = self._over
        width = min(_WIDTH, window.width() - 48)
        rows = max(2, min(10, len(self.model.entries)))
        height = min(rows * 36 + 96, window.height() - 96)
        self.setGeometry((window.width() - width) // 2, max(24, min(96, window.height() // 8)), width, height)
