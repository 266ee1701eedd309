"""The table: every list in the program is one of these.

Sorting, filtering, choosing, moving and sizing columns, keeping selection and place while rows change,
copying, and the four states of a list (loading, empty, error, ready).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence, Set
from datetime import tzinfo
from typing import Any

from PySide6.QtCore import QEvent, QItemSelectionModel, QObject, QPoint, QRect, Qt, Signal
from PySide6.QtGui import QColor, QGuiApplication, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QHeaderView,
    QMenu,
    QStackedLayout,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from memphis_desktop.language import tr
from memphis_desktop.ui import keymap, settings, theme
from memphis_desktop.ui.components.column_chooser import ColumnChooser
from memphis_desktop.ui.components.empty_state import EmptyState, SkeletonRows
from memphis_desktop.ui.components.table_delegate import TableDelegate
from memphis_desktop.ui.components.table_export import ask_and_write
from memphis_desktop.ui.components.table_header import TableHeader, first_width
from memphis_desktop.ui.components.table_menu import header_menu
from memphis_desktop.ui.components.table_model import Column, IconText, Index, TableModel
from memphis_desktop.ui.screen import Action, Command
from memphis_desktop.ui.theme.direction import placed
from memphis_desktop.ui.theme.icons import icon

__all__ = ["Column", "DataTable", "IconText", "TableModel"]

_MINIMUM_WIDTH = 40
_MOST_UNKNOWN = 100  # columns that are remembered though the rows do not have them


class _View(QTableView):
    """A QTableView with the keys of our tables."""

    opened = Signal()
    previewed = Signal()
    copied_text = Signal()
    copied_json = Signal()
    columns_asked = Signal()
    choose_asked = Signal()
    menu_asked = Signal()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Those of `keymap.LISTS`; Tab leaves the table."""
        meant = keymap.pressed(keymap.LISTS, event)
        if meant == "open":
            self.opened.emit()
        elif meant == "preview":
            self.previewed.emit()
        elif meant == "copy" or keymap.is_copy(event):
            self.copied_text.emit()
        elif meant == "copy_json":
            self.copied_json.emit()
        elif meant == "menu" and (sys.platform != "win32" or not keymap.comes_with_its_keys("lists.menu")):
            self.menu_asked.emit()  # Windows itself asks for a menu with the keys it comes with
        elif meant == "columns":
            self.columns_asked.emit()
        elif meant == "choose":
            self.choose_asked.emit()
        elif meant == "all":
            self.selectAll()
        elif meant in ("down", "up"):
            self._step(1 if meant == "down" else -1)
        elif meant in ("extend_down", "extend_up"):
            self._step(1 if meant == "extend_down" else -1, extend=True)
        elif meant in ("first", "last") and self.model().rowCount():
            self.selectRow(0 if meant == "first" else self.model().rowCount() - 1)
        elif event.key() in (Qt.Key.Key_Tab, Qt.Key.Key_Backtab):
            event.ignore()  # Tab leaves the table instead of walking through its cells
        else:
            super().keyPressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """The whole row below the pointer is lit, not a cell of it."""
        super().mouseMoveEvent(event)
        self._hover(self.rowAt(event.position().toPoint().y()))

    def leaveEvent(self, event: QEvent) -> None:
        """None is lit any more."""
        super().leaveEvent(event)
        self._hover(-1)

    def _hover(self, row: int) -> None:
        delegate = self.itemDelegate()
        assert isinstance(delegate, TableDelegate)
        before, delegate.hovered = delegate.hovered, row
        if before != row:
            for one in (before, row):
                self._repaint(one)

    def currentChanged(self, current: Index, previous: Index) -> None:
        """Qt paints the cells again; the frame of focus goes around the rows."""
        super().currentChanged(current, previous)
        for index in (current, previous):
            self._repaint(index.row() if index.isValid() else -1)
        if current.isValid() != previous.isValid():
            self.viewport().update()

    def _repaint(self, row: int) -> None:
        if row >= 0:
            top = self.rowViewportPosition(row)
            self.viewport().update(0, top - 1, self.viewport().width(), self.rowHeight(row) + 2)

    def keyboardSearch(self, search: str) -> None:
        """Letters belong to the screens' shortcuts; the filter finds rows."""

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the focus frame around the current row, where the eye is."""
        super().paintEvent(event)
        if not self.hasFocus():
            return
        index = self.currentIndex()
        rect = self.visualRect(index) if index.isValid() else QRect()
        look = theme.manager().current
        painter = QPainter(self.viewport())
        painter.setPen(QPen(QColor(look.accent), look.focus_width))
        if not rect.intersects(self.viewport().rect()):
            painter.drawRect(self.viewport().rect().adjusted(1, 1, -1, -1))  # no row shows where the keys go
            return
        rect.setLeft(0)
        rect.setRight(max(self.viewport().width(), self.horizontalHeader().length()) - 1)
        painter.drawLine(rect.left() + 1, rect.top(), rect.left() + 1, rect.bottom())
        painter.setPen(QPen(QColor(look.accent), look.line_width))
        painter.drawRect(rect.adjusted(0, 0, -1, -1))

    def _step(self, by: int, *, extend: bool = False) -> None:
        count = self.model().rowCount()
        if not count:
            return
        row = max(0, min(count - 1, self.currentIndex().row() + by))
        if extend:
            flags = QItemSelectionModel.SelectionFlag
            chosen = flags.Select | flags.Rows
            self.selectionModel().setCurrentIndex(self.model().index(row, 0), chosen)
        else:
            self.selectRow(row)


class DataTable(QWidget):
    """See the module. ``columns`` in their first order; ``row_key`` names a row across updates.

    Args:
        columns: what can be shown.
        row_key: takes a row, gives what identifies it.
        settings_name: under what the arrangement is remembered.
        context_actions: takes the selected rows, gives what can be done with them, for the context menu.
    """

    row_activated = Signal(object)
    preview_requested = Signal(object)
    selection_changed = Signal(list)
    current_changed = Signal(object)  # the row with the cursor, or None

    def __init__(
        self,
        columns: Sequence[Column],
        row_key: Callable[[Any], Hashable],
        settings_name: str,
        parent: QWidget | None = None,
        *,
        context_actions: Callable[[list[Any]], list[Command]] | None = None,
        default_sort: tuple[str, bool] | None = None,
    ) -> None:
        super().__init__(parent)
        self.context_actions = context_actions
        self._name = settings_name
        self._settings_key = f"table/{settings_name}"
        self._restoring = True
        self._state = "ready"
        self._sorted_by: tuple[str, bool] | None = None
        self._sort_waiting: list[Any] | None = None  # that of a column which is not there yet
        self._hidden: set[str] = set()  # keys of the columns that the user, or their declaration, hides
        self.model = TableModel(columns, row_key)
        self.view = _View(self)
        self.view.setAccessibleName(settings_name.replace("_", " "))
        self.delegate = TableDelegate(self.model, self.view)
        self._message = EmptyState("tray", "", parent=self)
        self._skeleton = SkeletonRows(self)
        self._build()
        self._restore(default_sort)
        self._restoring = False
        theme.manager().follow(self, self._restyle)
        self._restyle()

    def add_columns(self, columns: Sequence[Column]) -> None:
        """Offer further columns, found in the rows; they stand where they stood when they were last there."""
        known = {column.key for column in self.model.columns}
        if not (new := [column for column in columns if column.key not in known]):
            return
        self._restoring = True
        self.model.add_columns(new)
        self._arrange(len(known))
        if self._sort_waiting and any(column.key == self._sort_waiting[0] for column in new):
            key, descending = self._sort_waiting
            self._sort_waiting = None
            self.sort_by(key, bool(descending))
        self._restoring = False
        self._stretch()

    # Rows -------------------------------------------------------------------------------------

    def set_rows(self, rows: Iterable[Any] | Mapping[Any, Any]) -> None:
        """Show ``rows``, or the values of a mapping by its keys.

        Selection, cursor and scroll position stay with their rows.
        """
        bar = self.view.verticalScrollBar()
        at_top = bar.value() == 0
        anchor = None if at_top else self._top_key()
        self.model.set_rows(rows)
        if anchor is not None:
            row = self.model.index_of(anchor)
            if row >= 0 and self.view.rowAt(0) != row:
                self.view.scrollTo(self.model.index(row, 0), QAbstractItemView.ScrollHint.PositionAtTop)
        self._show_state()

    def rows(self) -> list[Any]:
        """The rows as shown."""
        return self.model.shown_rows()

    def rows_in_view(self) -> list[Any]:
        """The rows that can be seen."""
        first = self.view.rowAt(0)
        count = self.model.rowCount()
        if first < 0 or not count or not self.isVisible():
            return []
        last = self.view.rowAt(self.view.viewport().height() - 1)
        return [self.model.row_at(row) for row in range(first, last + 1 if last >= 0 else count)]

    def shows_column(self, key: str) -> bool:
        """Whether a column is among those that are shown."""
        header = self.view.horizontalHeader()
        return any(
            column.key == key and not header.isSectionHidden(number)
            for number, column in enumerate(self.model.columns)
        )

    def repaint_kinds(self, kinds: Set[str]) -> None:
        """Paint the columns of some kinds again: what they say changes by itself as time goes on."""
        view = self.view
        header, viewport = view.horizontalHeader(), view.viewport()
        for number, column in enumerate(self.model.columns):
            if column.kind in kinds and not header.isSectionHidden(number):
                left, width = view.columnViewportPosition(number), view.columnWidth(number)
                viewport.update(left, 0, width, viewport.height())

    def selected_rows(self) -> list[Any]:
        """The selected rows, top to bottom."""
        numbers = sorted(index.row() for index in self.view.selectionModel().selectedRows())
        return [self.model.row_at(number) for number in numbers]

    def current_row(self) -> Any:
        """The row with the cursor, or None."""
        index = self.view.currentIndex()
        return self.model.row_at(index.row()) if index.isValid() else None

    def select_key(self, key: Hashable) -> bool:
        """Put cursor and selection on the row of ``key``; False when it is not shown."""
        row = self.model.index_of(key)
        if row < 0:
            return False
        index = self.model.index(row, 0)
        flags = QItemSelectionModel.SelectionFlag
        # Not selectRow, which would add to the selection or take from it while Ctrl is held for a shortcut.
        self.view.selectionModel().setCurrentIndex(index, flags.ClearAndSelect | flags.Rows)
        self.view.scrollTo(index)
        return True

    def set_filter(self, text: str) -> None:
        """Keep only the rows that hold every word of ``text``."""
        self.model.set_filter(text)
        self._show_state()

    def set_predicate(self, predicate: Callable[[Any], bool] | None) -> None:
        """Keep only rows for which it holds (filter chips)."""
        self.model.set_predicate(predicate)
        self._show_state()

    def set_zone(self, zone: tzinfo) -> None:
        """Show times in another zone."""
        self.model.set_zone(zone)

    def sort_by(self, key: str | None, descending: bool = False) -> None:
        """Order by the column of that key; None restores the order given."""
        column = next((column for column in self.model.columns if column.key == key), None)
        if not self._restoring:
            self._sort_waiting = None
        self.model.set_sort(column, descending)
        self._sorted_by = (key, descending) if column is not None and key is not None else None
        header = self.view.horizontalHeader()
        order = Qt.SortOrder.DescendingOrder if descending else Qt.SortOrder.AscendingOrder
        header.setSortIndicator(self.model.columns.index(column) if column is not None else -1, order)
        self._save()

    @property
    def sorted_by(self) -> tuple[str, bool] | None:
        """The key of the column that orders the rows and whether the largest is first; None as given."""
        return self._sorted_by

    def set_state(
        self,
        state: str,
        text: str = "",
        action: Action | None = None,
        icon: str = "",
        others: Sequence[Action] = (),
    ) -> None:
        """``loading``, ``empty``, ``error`` or ``ready``, with one sentence and one action, or several.

        With ``ready`` and no rows the last ``empty`` text stays away; give ``empty`` when nothing is there.
        """
        self._state = state
        if state in ("empty", "error"):
            self._message.set_content(
                icon or ("warning-circle" if state == "error" else "tray"), text, action, others
            )
            self._message.set_kind("bad" if state == "error" else "muted")
        self._show_state()

    def state(self) -> str:
        """The state last set."""
        return self._state

    # Building ---------------------------------------------------------------------------------

    def _build(self) -> None:
        view = self.view
        view.setModel(self.model)
        view.setItemDelegate(self.delegate)
        view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        view.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        view.setShowGrid(False)
        view.setWordWrap(False)
        view.setMouseTracking(True)
        view.setCornerButtonEnabled(False)
        view.setTabKeyNavigation(False)
        view.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerItem)
        view.verticalHeader().hide()
        header = self._header = TableHeader(self.model, view)
        view.setHorizontalHeader(header)
        header.setSectionsMovable(True)
        header.setSectionsClickable(True)
        header.setHighlightSections(False)
        header.setMinimumSectionSize(_MINIMUM_WIDTH)
        header.setTextElideMode(Qt.TextElideMode.ElideRight)
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        header.customContextMenuRequested.connect(self._show_column_menu)
        header.sectionClicked.connect(self.order_by)
        header.sectionMoved.connect(self._save)
        header.sectionResized.connect(self._section_resized)
        header.sectionHandleDoubleClicked.connect(view.resizeColumnToContents)
        view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        view.customContextMenuRequested.connect(self._show_row_menu)
        view.doubleClicked.connect(self._open)
        view.opened.connect(self._open)
        view.previewed.connect(self._preview)
        view.copied_text.connect(self.copy_text)
        view.copied_json.connect(self.copy_json)
        view.columns_asked.connect(self._open_column_menu)
        view.choose_asked.connect(self.choose_columns)
        view.menu_asked.connect(self._open_row_menu)
        view.selectionModel().selectionChanged.connect(
            lambda *_: self.selection_changed.emit(self.selected_rows())
        )
        view.selectionModel().currentRowChanged.connect(
            lambda *_: self.current_changed.emit(self.current_row())
        )
        view.viewport().installEventFilter(self)
        self._stack = QStackedLayout()
        for widget in (view, self._message, self._skeleton):
            self._stack.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._stack)
        self.setFocusProxy(view)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """When the view changes its width, the stretching columns share what is left over."""
        if event.type() == QEvent.Type.Resize and watched is self.view.viewport():
            self._stretch()
        return False

    def _stretch(self) -> None:
        header = self.view.horizontalHeader()
        stretching = [
            index
            for index, column in enumerate(self.model.columns)
            if column.stretch and not header.isSectionHidden(index)
        ]
        if not stretching or self._restoring:
            return
        fixed = sum(
            header.sectionSize(index)
            for index in range(header.count())
            if not header.isSectionHidden(index) and index not in stretching
        )
        each = (self.view.viewport().width() - fixed) // len(stretching)
        self._restoring = True
        for index in stretching:
            header.resizeSection(index, max(first_width(self.model.columns[index]), each))
        self._restoring = False

    def _section_resized(self, index: int, old: int, new: int) -> None:
        if self._restoring:
            return
        # Qt sizes columns, too: when one is hidden, and when rows change places, while for a moment no column
        # counts as hidden. Only what the user did is remembered.
        if self._header.in_hand:
            self._save()
        if not self.model.columns[index].stretch:
            self._stretch()

    def _restyle(self) -> None:
        self.view.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.view.verticalHeader().setDefaultSectionSize(theme.manager().density.row)
        self.view.horizontalHeader().setFixedHeight(theme.manager().density.row + 2)
        self.view.viewport().update()

    def _show_state(self) -> None:
        has_rows = self.model.rowCount() > 0
        if self._state == "error" and not self.model.total():
            widget: QWidget = self._message
        elif self._state == "loading" and not self.model.total():
            widget = self._skeleton
        elif self._state == "empty" and not has_rows:
            widget = self._message
        elif not has_rows and self.model.total():
            # Rows exist, none passes the filter: say so instead of showing a bare table.
            self._message.set_content("funnel", tr("Nothing matches the filter."), None)
            self._message.set_kind("muted")
            widget = self._message
        else:
            widget = self.view
        self._stack.setCurrentWidget(widget)

    def _top_key(self) -> Hashable | None:
        row = self.view.rowAt(0)
        return self.model.row_key(self.model.row_at(row)) if row >= 0 else None

    # Doing ------------------------------------------------------------------------------------

    def _open(self, *_: object) -> None:
        row = self.current_row()
        if row is not None:
            self.row_activated.emit(row)

    def _preview(self) -> None:
        row = self.current_row()
        if row is not None:
            self.preview_requested.emit(row)

    def visible_columns(self) -> list[Column]:
        """The columns shown, in the order shown."""
        header = self.view.horizontalHeader()
        order = [header.logicalIndex(position) for position in range(header.count())]
        return [self.model.columns[index] for index in order if not header.isSectionHidden(index)]

    def copy_text(self) -> None:
        """Put the selected rows on the clipboard as tab-separated text."""
        rows = self.selected_rows()
        if rows:
            QGuiApplication.clipboard().setText(self.model.tab_separated(rows, self.visible_columns()))

    def copy_json(self) -> None:
        """Put the selected rows on the clipboard as JSON."""
        rows = self.selected_rows()
        if rows:
            QGuiApplication.clipboard().setText(self.model.json_text(rows, self.visible_columns()))

    def export_shown(self) -> QFileDialog:
        """Write the rows and columns shown to a file."""
        return ask_and_write(self, self._name, self.rows(), self.visible_columns(), self.model.zone)

    def export_all(self) -> QFileDialog:
        """Write all rows to a file, those too that the filter hides, with all columns."""
        return ask_and_write(self, self._name, self.model.all_rows(), self.model.columns, self.model.zone)

    def order_by(self, index: int) -> None:
        """What a click on a column's title does."""
        column = self.model.columns[index]
        figures = column.kind not in ("text", "mono", "badge", "icon")
        key = column.key
        # First click: the useful direction (largest first for figures); second: the other; third: none.
        if self._sorted_by is None or self._sorted_by[0] != key:
            self.sort_by(key, figures)
        elif self._sorted_by[1] == figures:
            self.sort_by(key, not figures)
        else:
            self.sort_by(None)

    def _show_row_menu(self, point: QPoint) -> None:
        index = self.view.indexAt(point)
        if index.isValid() and not self.view.selectionModel().isRowSelected(index.row()):
            self.view.selectionModel().setCurrentIndex(
                index,
                QItemSelectionModel.SelectionFlag.ClearAndSelect | QItemSelectionModel.SelectionFlag.Rows,
            )
        menu = self.row_menu()
        if menu is not None:
            menu.popup(self.view.viewport().mapToGlobal(point))

    def _open_row_menu(self) -> None:
        """By key: at the row with the cursor."""
        index = self.view.currentIndex()
        if index.isValid():
            self.view.scrollTo(index)
            where = self.view.visualRect(index.siblingAtColumn(self._header.logicalIndexAt(0))).bottomLeft()
            self._show_row_menu(where - QPoint(0, 2))

    def row_menu(self) -> QMenu | None:
        """The context menu for the selection, or None when nothing is selected."""
        rows = self.selected_rows()
        if not rows:
            return None
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        commands = self.context_actions(rows) if self.context_actions is not None else []
        add_commands(menu, commands)
        if commands:
            menu.addSeparator()
        menu.addAction(keymap.with_keys(tr("Copy"), "lists.copy"), self.copy_text)
        menu.addAction(keymap.with_keys(tr("Copy as JSON"), "lists.copy_json"), self.copy_json)
        return menu

    def _show_column_menu(self, point: QPoint) -> None:
        header = self.view.horizontalHeader()
        clicked = header.logicalIndexAt(point)
        menu = header_menu(self, clicked if clicked >= 0 else None)
        menu.popup(header.mapToGlobal(point))

    def _open_column_menu(self) -> None:
        """By key: below the titles, where the text begins."""
        menu, header = self.column_menu(), self.view.horizontalHeader()
        menu.popup(header.mapToGlobal(placed(header.rect(), header.rect()).bottomLeft()))
        menu.setActiveAction(menu.actions()[0])

    def column_menu(self) -> QMenu:
        """The chooser of columns, and what else concerns the whole table."""
        return header_menu(self)

    def choose_columns(self) -> ColumnChooser:
        """Open the list that shows, hides and moves columns."""
        chooser = ColumnChooser(self)
        chooser.open()
        return chooser

    def move_column(self, index: int, place: int) -> None:
        """Put the column with that position in the declaration at a place in the order shown."""
        header = self.view.horizontalHeader()
        header.moveSection(header.visualIndex(index), place)

    def set_column_visible(self, index: int, visible: bool) -> None:
        """Show or hide the column with that position in the declaration."""
        key = self.model.columns[index].key
        self._hidden = self._hidden - {key} if visible else self._hidden | {key}
        self.view.horizontalHeader().setSectionHidden(index, not visible)
        self._stretch()
        self._save()

    def reset_columns(self) -> None:
        """Back to the declared order, widths and choice."""
        settings.current().set(self._settings_key, None)
        self._sort_waiting = None
        header = self.view.horizontalHeader()
        self._restoring = True
        self._hidden = {column.key for column in self.model.columns if not column.visible}
        for index, column in enumerate(self.model.columns):
            header.moveSection(header.visualIndex(index), index)
            header.resizeSection(index, first_width(column))
            header.setSectionHidden(index, not column.visible)
        self._restoring = False
        self._stretch()

    # Remembering ------------------------------------------------------------------------------

    def _save(self, *_: object) -> None:
        if self._restoring:
            return
        header = self.view.horizontalHeader()
        columns = self.model.columns
        order = [columns[header.logicalIndex(place)].key for place in range(header.count())]
        widths = {
            column.key: first_width(column) if column.key in self._hidden else header.sectionSize(i)
            for i, column in enumerate(columns)
        }
        # The place of columns that are found in the rows, were shown once and were not found yet, stays.
        before = settings.current().get(self._settings_key) or {}
        former, hidden = before.get("order", []), before.get("hidden", ())
        others = [key for key in former if key not in widths and key not in hidden]
        for key in others[:_MOST_UNKNOWN]:
            order.insert(former.index(key), key)
            widths[key] = before.get("widths", {}).get(key)
        sort = self._sort_waiting or (list(self._sorted_by) if self._sorted_by else None)
        arrangement = {"order": order, "widths": widths, "hidden": sorted(self._hidden), "sort": sort}
        settings.current().set(self._settings_key, arrangement)

    def _arrange(self, first: int = 0) -> None:
        """Give columns, from a place in their declaration on, the width, choice and place they had."""
        saved = settings.current().get(self._settings_key) or {}
        header = self.view.horizontalHeader()
        columns = self.model.columns
        known = {column.key: index for index, column in enumerate(columns)}
        widths, hidden = saved.get("widths", {}), saved.get("hidden")
        for index, column in enumerate(columns[first:], first):
            header.resizeSection(index, max(_MINIMUM_WIDTH, widths.get(column.key) or first_width(column)))
            # A column that is newer than the saved arrangement comes as declared.
            new = column.key not in widths
            if not column.visible if hidden is None or new else column.key in hidden:
                self._hidden.add(column.key)
            header.setSectionHidden(index, column.key in self._hidden)
        for place, key in enumerate(key for key in saved.get("order", []) if key in known):
            header.moveSection(header.visualIndex(known[key]), place)

    def _restore(self, default_sort: tuple[str, bool] | None) -> None:
        self._arrange()
        saved = settings.current().get(self._settings_key) or {}
        known = {column.key for column in self.model.columns}
        sort, header = saved.get("sort", default_sort), self.view.horizontalHeader()
        if sort and sort[0] not in known:
            self._sort_waiting, sort = list(sort), default_sort
        if sort and sort[0] in known:
            self.sort_by(sort[0], bool(sort[1]))
        else:
            header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)


def add_commands(menu: QMenu, commands: Sequence[Command]) -> None:
    """Commands as menu entries: shortcut shown, disabled ones with their reason."""
    for command in keymap.resolved(commands):
        if not command.title:
            menu.addSeparator()
            continue
        shortcut = keymap.native(command.shortcut)
        title = command.title.replace("&", "&&")
        action = menu.addAction(f"{title}\t{shortcut}" if shortcut else title)
        if command.icon:
            action.setIcon(icon(command.icon, "bad" if command.danger else "muted"))
        action.setEnabled(command.enabled)
        if command.reason:
            action.setToolTip(command.reason)
            menu.setToolTipsVisible(True)
        action.triggered.connect(lambda _checked=False, command=command: command.callback())
