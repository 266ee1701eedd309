"""The message table: rows of a sliding window, with a scroll bar that spans the whole station."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QEvent, QItemSelectionModel, QModelIndex, QPoint, QRect, Qt, QTimer, Signal
from PySide6.QtGui import (
    QColor,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QAbstractSlider,
    QHBoxLayout,
    QHeaderView,
    QMenu,
    QTableView,
    QWidget,
)

from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.language import tr
from memphis_desktop.ui import keymap, settings, theme
from memphis_desktop.ui.screens.decoders.store import notifier
from memphis_desktop.ui.screens.messages.columns import MessageColumn, standard_columns
from memphis_desktop.ui.screens.messages.delegate import PAD, MessageDelegate
from memphis_desktop.ui.screens.messages.rows import Gap, MessageListModel, removed_text
from memphis_desktop.ui.screens.messages.scroll_bar import SCALE, StationScrollBar
from memphis_desktop.ui.theme import fonts

NEAR_ROWS = 60  # rows from an end at which the next page is asked for
PAGE_SAMPLE = 100  # rows at either end whose subjects are measured
MINIMUM_PREVIEW = 90
COMFORTABLE_PREVIEW = 170  # with less room for payloads, columns that matter less give way
GIVING_WAY = ("headers", "size", "latency")
FITTING_ROOM = 300  # pixels: a narrower table is not laid out yet
_DRAG_MS = 40
_CONTROL_SHIFT = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier


class _Table(QTableView):
    """The table underneath; keys that move beyond the window are handed on."""

    first_requested = Signal()
    last_requested = Signal()
    page_requested = Signal(int)  # -1 up, 1 down, at an end of the window
    opened = Signal()
    toggled = Signal()
    resized = Signal()
    copied_text = Signal()
    copied_json = Signal()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Tell that columns may take more room or less."""
        super().resizeEvent(event)
        self.resized.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """J and K move, Home and End go to the ends of the station, Enter and Space show.

        Ctrl+C and Ctrl+Shift+C copy, as in every table.
        """
        key = event.key()
        meant = keymap.pressed(keymap.LISTS, event)
        if event.modifiers() == Qt.KeyboardModifier.ControlModifier:
            meant = {Qt.Key.Key_Home: "first", Qt.Key.Key_End: "last"}.get(Qt.Key(key), meant)
        if meant in ("down", "up"):
            self._step(1 if meant == "down" else -1)
        elif meant == "first":
            self.first_requested.emit()
        elif meant == "last":
            self.last_requested.emit()
        elif meant == "open":
            self.opened.emit()
        elif meant == "preview":
            self.toggled.emit()
        elif meant == "copy" or keymap.is_copy(event):
            self.copied_text.emit()
        elif meant == "copy_json":
            self.copied_json.emit()
        elif key in (Qt.Key.Key_Tab, Qt.Key.Key_Backtab):
            event.ignore()  # Tab leaves the table
        elif event.text().isprintable() and event.text().strip() and key != Qt.Key.Key_Space:
            event.ignore()  # letters are shortcuts of the screen around
        else:
            super().keyPressEvent(event)
            if key == Qt.Key.Key_PageUp:
                self.page_requested.emit(-1)
            elif key == Qt.Key.Key_PageDown:
                self.page_requested.emit(1)

    def keyboardSearch(self, search: str) -> None:
        """Letters are shortcuts of the screen."""

    def refresh_geometry(self) -> None:
        """Take new rows into account at once, so that the scroll position can be set."""
        self.executeDelayedItemsLayout()
        self.updateGeometries()

    def _step(self, by: int) -> None:
        model = self.model()
        row = self.currentIndex().row() + by
        while 0 <= row < model.rowCount() and isinstance(model.rows[row], Gap):  # type: ignore[attr-defined]
            row += by
        if 0 <= row < model.rowCount():
            self.selectRow(row)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Gap rows span all columns; the row with the cursor has a mark at its edge while focused."""
        super().paintEvent(event)
        model = self.model()
        assert isinstance(model, MessageListModel)
        look = theme.manager().current
        painter = QPainter(self.viewport())
        painter.setFont(fonts.interface(theme.SIZE_CAPTION))
        width = self.viewport().width()
        first, last = self.rowAt(0), self.rowAt(self.viewport().height() - 1)
        last = model.rowCount() - 1 if last < 0 else last
        for row in range(max(first, 0), last + 1):
            if isinstance(gap := model.rows[row], Gap):
                top, height = self.rowViewportPosition(row), self.rowHeight(row)
                text = removed_text(gap)
                middle = top + height // 2
                size = painter.fontMetrics().horizontalAdvance(text)
                left = (width - size) // 2
                painter.setPen(QPen(QColor(look.line_strong), 1, Qt.PenStyle.DashLine))
                painter.drawLine(PAD, middle, left - 2 * PAD, middle)
                painter.drawLine(left + size + 2 * PAD, middle, width - PAD, middle)
                painter.setPen(QColor(look.muted))
                painter.drawText(QRect(0, top, width, height), int(Qt.AlignmentFlag.AlignCenter), text)
        index = self.currentIndex()
        if self.hasFocus() and index.isValid():
            rect = self.visualRect(index.siblingAtColumn(0))
            painter.setPen(QPen(QColor(look.accent), look.focus_width))
            painter.drawLine(1, rect.top(), 1, rect.bottom())


class MessageListView(QWidget):
    """The list. Says what it needs; who owns it reads the pages.

    Signals ask for the next page at an end of the window, and for other places of the station.
    """

    older_requested = Signal()
    newer_requested = Signal()
    sequence_requested = Signal(object)  # int, 64 bit
    first_requested = Signal()
    last_requested = Signal()
    current_changed = Signal(object)  # InspectedMessage or None
    selection_changed = Signal()
    opened = Signal()
    preview_toggled = Signal()
    menu_requested = Signal(QPoint)
    header_menu_requested = Signal(QPoint)
    copied_text = Signal()
    copied_json = Signal()
    at_end_changed = Signal(bool)  # whether the last row of the window is in view

    def __init__(self, settings_name: str = "messages", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._settings_key = f"table/{settings_name}"
        self.model = MessageListModel([])
        self.model.set_columns(standard_columns(self.model.delta_ns))
        self.table = _Table(self)
        self.table.setModel(self.model)
        self.delegate = MessageDelegate(self.model, self.table)
        self.table.setItemDelegate(self.delegate)
        self.scroll_bar = StationScrollBar(self)
        self._at_end = True
        self._asking = False
        self._held_from: int | None = None
        self._subjects_fitted = False
        self._gave_way: list[str] = []  # columns hidden for want of room
        self._drag = QTimer(self)
        self._drag.setSingleShot(True)
        self._drag.setInterval(_DRAG_MS)
        self._drag.timeout.connect(self._dragged)
        self._build()
        self._connect()
        self._restore_columns()
        theme.manager().changed.connect(self._restyle)
        notifier().changed.connect(self.table.viewport().update)  # values may be decoded otherwise now
        self._restyle()

    def _build(self) -> None:
        table = self.table
        table.setAccessibleName(tr("Messages"))
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setShowGrid(False)
        table.setWordWrap(False)
        table.setMouseTracking(True)
        table.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        table.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        table.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        table.setCornerButtonEnabled(False)
        table.verticalHeader().hide()
        table.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header = table.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionsMovable(True)
        header.setMinimumSectionSize(40)
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        table.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(table, 1)
        layout.addWidget(self.scroll_bar)
        self.setFocusProxy(table)

    def _connect(self) -> None:
        table = self.table
        table.verticalScrollBar().valueChanged.connect(self._scrolled)
        table.selectionModel().currentRowChanged.connect(self._current_row_changed)
        table.selectionModel().selectionChanged.connect(lambda *_: self.selection_changed.emit())
        table.first_requested.connect(self.first_requested)
        table.last_requested.connect(self.last_requested)
        table.page_requested.connect(lambda _: self._ask_near_ends())
        table.resized.connect(self._resized)
        table.opened.connect(self.opened)
        table.toggled.connect(self.preview_toggled)
        table.copied_text.connect(self.copied_text)
        table.copied_json.connect(self.copied_json)
        table.doubleClicked.connect(lambda _: self.opened.emit())
        table.customContextMenuRequested.connect(
            lambda point: self.menu_requested.emit(table.viewport().mapToGlobal(point))
        )
        header = table.horizontalHeader()
        header.customContextMenuRequested.connect(
            lambda point: self.header_menu_requested.emit(header.mapToGlobal(point))
        )
        header.sectionResized.connect(self._section_resized)
        header.sectionMoved.connect(lambda *_: self._save_columns())
        self.scroll_bar.actionTriggered.connect(self._bar_action)
        self.scroll_bar.sliderMoved.connect(lambda _: self._drag.start())
        self.scroll_bar.sliderReleased.connect(self._dragged)

    # Rows ---------------------------------------------------------------------------------------

    def show_page(self, page: Any, *, sequence: int | None = None, at_bottom: bool = False) -> None:
        """Replace the window; put `sequence` at the top, or the last row at the bottom."""
        self.model.reset(page)
        self.table.refresh_geometry()
        bar = self.table.verticalScrollBar()
        if at_bottom:
            bar.setValue(bar.maximum())
        elif sequence is not None:
            bar.setValue(self.model.row_of(sequence) * self.row_height())
        else:
            bar.setValue(0)
        self.fit_subjects()
        self._moved()

    def add_newer(self, page: Any, *, follow: bool = False) -> None:
        """Put a page on at the end; keep the place, or follow the end."""
        bar = self.table.verticalScrollBar()
        value = bar.value()
        cut = self.model.append(page)
        self.table.refresh_geometry()
        bar.setValue(bar.maximum() if follow else max(0, value - cut * self.row_height()))
        self._moved()

    def add_older(self, page: Any) -> None:
        """Put a page on at the beginning and keep the place."""
        bar = self.table.verticalScrollBar()
        value = bar.value()
        added = self.model.prepend(page)
        self.table.refresh_geometry()
        bar.setValue(value + added * self.row_height())
        self._moved()

    def row_height(self) -> int:
        """Height of every row in pixels."""
        return self.table.verticalHeader().defaultSectionSize()

    def visible_rows(self) -> int:
        """How many rows fit."""
        return max(1, self.table.viewport().height() // self.row_height())

    def top_sequence(self) -> int | None:
        """The sequence at the upper edge."""
        row = self.table.rowAt(0)
        return self.model.rows[row].sequence if 0 <= row < len(self.model.rows) else None

    def set_bounds(self, first: int, last: int) -> None:
        """The station's ends, for the scroll bar."""
        self.scroll_bar.set_bounds(first, last, self.visible_rows())
        self._place_handle()

    def current_message(self) -> InspectedMessage | None:
        """The message with the cursor."""
        return self.model.message_at(self.table.currentIndex().row())

    def selected_messages(self) -> list[InspectedMessage]:
        """The selected messages in the order of the list."""
        rows = self._selected_rows()
        return [message for row in rows if (message := self.model.message_at(row)) is not None]

    def selected_count(self) -> int:
        """How many messages are selected."""
        return sum(not isinstance(self.model.rows[row], Gap) for row in self._selected_rows())

    def _selected_rows(self) -> list[int]:
        """The selected rows: by ranges, for all of them as indexes take long."""
        rows: set[int] = set()
        selection = self.table.selectionModel().selection()
        for place in range(selection.count()):
            part = selection.at(place)
            rows.update(range(part.top(), part.bottom() + 1))
        return sorted(row for row in rows if row < len(self.model.rows))

    def select_sequence(self, sequence: int) -> bool:
        """Put the cursor on a sequence that is in the window; whether it is."""
        row = self.model.row_of(sequence)
        if row >= len(self.model.rows):
            return False
        index = self.model.index(row, 0)
        flags = QItemSelectionModel.SelectionFlag
        self.table.selectionModel().setCurrentIndex(index, flags.ClearAndSelect | flags.Rows)
        return self.model.rows[row].sequence == sequence

    def select_row(self, row: int) -> None:
        """Put the cursor on a row."""
        if 0 <= row < len(self.model.rows):
            self.table.selectRow(row)

    # Scrolling ----------------------------------------------------------------------------------

    def asked(self, asking: bool) -> None:
        """While a page is on its way no other is asked for."""
        self._asking = asking
        if not asking:
            self._ask_near_ends()

    @property
    def asks(self) -> bool:
        """Whether a page was asked for and has not come."""
        return self._asking

    def hold_from(self, sequence: int | None) -> None:
        """Ask for nothing behind a sequence: following is paused there; None ends that."""
        self._held_from = sequence
        self._ask_near_ends()

    @property
    def is_held(self) -> bool:
        """Whether what comes after the last row arrived while following was paused."""
        return self._held_from is not None and self.model.last >= self._held_from

    def _scrolled(self, _: int) -> None:
        self._moved()

    def _moved(self) -> None:
        self._place_handle()
        bar = self.table.verticalScrollBar()
        at_end = bar.value() >= bar.maximum() - self.row_height() // 2
        if at_end != self._at_end:
            self._at_end = at_end
            self.at_end_changed.emit(at_end)
        self._ask_near_ends()

    @property
    def at_end(self) -> bool:
        """Whether the last row of the window is in view."""
        return self._at_end

    def _place_handle(self) -> None:
        bar = self.table.verticalScrollBar()
        if self._at_end_of_station() and bar.value() >= bar.maximum():
            self.scroll_bar.show_sequence(self.scroll_bar.last)
        elif (top := self.top_sequence()) is not None:
            self.scroll_bar.show_sequence(top)

    def _at_end_of_station(self) -> bool:
        return self.model.last >= self.scroll_bar.last

    def _ask_near_ends(self) -> None:
        if self._asking or not self.model.rows or not self.isVisible():
            return
        height = self.row_height()
        bar = self.table.verticalScrollBar()
        above = bar.value() // height
        below = (bar.maximum() - bar.value()) // height
        if below < NEAR_ROWS and not self._at_end_of_station() and not self.is_held:
            self._asking = True  # until the answer: who asks twice would get the page twice
            self.newer_requested.emit()
        elif above < NEAR_ROWS and self.model.first > self.scroll_bar.first:
            self._asking = True
            self.older_requested.emit()

    def _bar_action(self, action: int) -> None:
        """Clicks beside the handle and its arrows move by rows, as the table itself would."""
        actions = QAbstractSlider.SliderAction
        bar = self.table.verticalScrollBar()
        page = self.table.viewport().height() - self.row_height()
        steps = {
            actions.SliderSingleStepAdd.value: self.row_height(),
            actions.SliderSingleStepSub.value: -self.row_height(),
            actions.SliderPageStepAdd.value: page,
            actions.SliderPageStepSub.value: -page,
        }
        if action in steps:
            self.scroll_bar.setSliderPosition(self.scroll_bar.value())
            bar.setValue(bar.value() + steps[action])
        elif action == actions.SliderToMinimum.value:
            self.first_requested.emit()
        elif action == actions.SliderToMaximum.value:
            self.last_requested.emit()

    def _dragged(self) -> None:
        self._drag.stop()
        position = self.scroll_bar.sliderPosition()
        if position >= SCALE:
            self.last_requested.emit()
        elif position <= 0:
            self.first_requested.emit()
        else:
            self.sequence_requested.emit(self.scroll_bar.sequence(position))

    def wheelEvent(self, event: Any) -> None:
        """The wheel over the station's scroll bar scrolls by rows too."""
        self.table.wheelEvent(event)

    def resizeEvent(self, event: Any) -> None:
        """More rows may fit than are loaded."""
        super().resizeEvent(event)
        self.scroll_bar.set_bounds(self.scroll_bar.first, self.scroll_bar.last, self.visible_rows())
        self._ask_near_ends()

    def showEvent(self, event: Any) -> None:
        """Ask for what became visible."""
        super().showEvent(event)
        self._ask_near_ends()

    def _current_row_changed(self, current: QModelIndex, _: QModelIndex) -> None:
        self.current_changed.emit(self.model.message_at(current.row()))

    # Columns ------------------------------------------------------------------------------------

    def set_extra_columns(self, columns: list[MessageColumn]) -> None:
        """Show these beside the standard ones, before the payload."""
        standard = standard_columns(self.model.delta_ns)
        self.model.set_columns([*standard[:-1], *columns, standard[-1]])
        self._restore_columns()

    def visible_columns(self) -> list[MessageColumn]:
        """The columns shown, in the order shown; those that only gave way to a narrow window count too."""
        header = self.table.horizontalHeader()
        columns = self.model.columns
        order = sorted(range(len(columns)), key=header.visualIndex)
        shown = [index for index in order if not header.isSectionHidden(index)]
        return [columns[index] for index in order if index in shown or columns[index].key in self._gave_way]

    def fill_column_menu(self, menu: QMenu) -> None:
        """A switch for each column."""
        header = self.table.horizontalHeader()
        for section, column in enumerate(self.model.columns):
            action = menu.addAction(column.title.replace("&", "&&"))
            action.setCheckable(True)
            action.setChecked(not header.isSectionHidden(section))
            action.setEnabled(column.key != "sequence")
            action.toggled.connect(lambda on, section=section: self._show_column(section, on))
        menu.addSeparator()
        menu.addAction(tr("Reset columns"), self.reset_columns)

    def fit_subjects(self) -> None:
        """Make the subject column as wide as its texts, once, where the user has not set it; bounded."""
        messages = self.model.messages()
        known = (settings.current().get(self._settings_key) or {}).get("widths", {})
        room = self.table.viewport().width()
        if self._subjects_fitted or not messages or "subject" in known or room < FITTING_ROOM:
            return
        self._subjects_fitted = True
        section = next(i for i, column in enumerate(self.model.columns) if column.key == "subject")
        sample = {message.subject: message for message in (*messages[:PAGE_SAMPLE], *messages[-PAGE_SAMPLE:])}
        width = max(self.delegate.text_width(section, message) for message in sample.values())
        limit = round(room * 0.45)
        header = self.table.horizontalHeader()
        before = header.blockSignals(True)
        header.resizeSection(section, max(120, min(width, limit)))
        header.blockSignals(before)
        self._stretch()

    def reset_columns(self) -> None:
        """Back to the first arrangement."""
        settings.current().set(self._settings_key, None)
        self._restore_columns()

    def _show_column(self, section: int, shown: bool) -> None:
        self.table.horizontalHeader().setSectionHidden(section, not shown)
        self._stretch()
        self._save_columns()

    def _restore_columns(self) -> None:
        header = self.table.horizontalHeader()
        saved = settings.current().get(self._settings_key) or {}
        before = header.blockSignals(True)
        widths, hidden = saved.get("widths", {}), saved.get("hidden")
        for section, column in enumerate(self.model.columns):
            header.resizeSection(section, int(widths.get(column.key, column.width)))
            shown = column.visible if hidden is None else column.key not in hidden
            header.setSectionHidden(section, not shown)
        order = [key for key in saved.get("order", []) if key in {c.key for c in self.model.columns}]
        for place, key in enumerate(order):
            section = next(i for i, column in enumerate(self.model.columns) if column.key == key)
            header.moveSection(header.visualIndex(section), place)
        header.blockSignals(before)
        self._stretch()

    def _resized(self) -> None:
        self.fit_subjects()
        self._stretch()

    def _stretch(self) -> None:
        """Give the payload the room the other columns leave."""
        header = self.table.horizontalHeader()
        section = next((i for i, column in enumerate(self.model.columns) if column.stretch), None)
        if section is None or header.isSectionHidden(section):
            return
        before = header.blockSignals(True)
        self._give_way(header, section)
        others = header.length() - header.sectionSize(section)
        header.resizeSection(section, max(MINIMUM_PREVIEW, self.table.viewport().width() - others))
        header.blockSignals(before)
        self.table.refresh_geometry()
        self.table.viewport().update()

    def _give_way(self, header: QHeaderView, stretched: int) -> None:
        """While there is little room, hide columns that matter less, unless the user has chosen columns."""
        saved = settings.current().get(self._settings_key) or {}
        room = self.table.viewport().width()
        if saved.get("hidden") is not None or room < FITTING_ROOM:
            return
        sections = {column.key: section for section, column in enumerate(self.model.columns)}
        for key in self._gave_way:
            header.setSectionHidden(sections[key], False)
        self._gave_way.clear()
        for key in GIVING_WAY:
            if room - (header.length() - header.sectionSize(stretched)) >= COMFORTABLE_PREVIEW:
                break
            if key in sections and not header.isSectionHidden(sections[key]):
                header.setSectionHidden(sections[key], True)
                self._gave_way.append(key)

    def _section_resized(self, section: int, *_: int) -> None:
        if not self.model.columns[section].stretch:
            self._stretch()
        self._save_columns()

    def _save_columns(self) -> None:
        header = self.table.horizontalHeader()
        columns = self.model.columns
        order = sorted(range(len(columns)), key=header.visualIndex)
        hidden = [
            column.key
            for section, column in enumerate(columns)
            if header.isSectionHidden(section) and column.key not in self._gave_way
        ]
        widths = {
            column.key: header.sectionSize(section)
            for section, column in enumerate(columns)
            if not header.isSectionHidden(section) and not column.stretch
        }
        known = settings.current().get(self._settings_key) or {}
        merged = {**known.get("widths", {}), **widths}
        value = {"widths": merged, "hidden": hidden, "order": [columns[index].key for index in order]}
        settings.current().set(self._settings_key, value)

    def _restyle(self) -> None:
        self.table.verticalHeader().setDefaultSectionSize(theme.manager().density.row)
        self.table.viewport().update()

    def changeEvent(self, event: QEvent) -> None:
        """Fonts may have changed."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self.table.viewport().update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Nothing beside the table takes clicks."""
        event.ignore()
