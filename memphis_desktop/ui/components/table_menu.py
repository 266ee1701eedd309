"""The menu of a table's header, which the keyboard opens too: columns, order, export.

Its entries are few, however many columns there are: those are chosen in a list of their own.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMenu

from memphis_desktop.language import tr
from memphis_desktop.ui import keymap
from memphis_desktop.ui.components.column_chooser import column_title
from memphis_desktop.ui.theme.icons import icon

if TYPE_CHECKING:
    from memphis_desktop.ui.components.data_table import DataTable


def header_menu(table: DataTable, clicked: int | None = None) -> QMenu:
    """Which columns are shown, what orders the rows, and the ways out of the program.

    ``clicked`` is the column it was asked for on, by its place in the declaration.
    """
    menu = QMenu(table)
    menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    menu.addAction(keymap.with_keys(tr("Choose columns"), "lists.choose"), table.choose_columns)
    if clicked is not None and len(table.visible_columns()) > 1:
        title = _entry(column_title(table.model.columns[clicked]))
        menu.addAction(tr("Hide {column}", column=title), partial(table.set_column_visible, clicked, False))
    _add_groups(menu, table)
    menu.addMenu(_order_menu(menu, table))
    menu.addAction(tr("Reset columns"), table.reset_columns)
    menu.addSeparator()
    shown, total = table.model.rowCount(), table.model.total()
    visible = menu.addAction(tr("Export the rows shown"), table.export_shown)
    visible.setEnabled(shown > 0)
    everything = menu.addAction(tr("Export all rows and columns"), table.export_all)
    everything.setEnabled(total > 0)
    return menu


def _add_groups(menu: QMenu, table: DataTable) -> None:
    """Columns of a sort of which there are many."""
    parts: dict[str, QMenu] = {}
    shown = len(table.visible_columns())
    for index, column in enumerate(table.model.columns):
        if not column.chosen_in:
            continue
        if column.chosen_in not in parts:
            parts[column.chosen_in] = menu.addMenu(column.chosen_in)
        hidden = table.view.horizontalHeader().isSectionHidden(index)
        action = parts[column.chosen_in].addAction(_entry(column.title))
        action.setCheckable(True)
        action.setChecked(not hidden)
        action.setEnabled(shown > 1 or hidden)
        action.toggled.connect(partial(table.set_column_visible, index))


def _entry(title: str) -> str:
    """A title as a menu shows it; the keys of metadata may have anything in them."""
    return title.replace("&", "&&")


def _order_menu(menu: QMenu, table: DataTable) -> QMenu:
    """The same as a click on a title; the arrow beside one says which way it goes."""
    order = QMenu(tr("Order by"), menu)
    header = table.view.horizontalHeader()
    for index, column in enumerate(table.model.columns):
        if header.isSectionHidden(index):
            continue
        action = order.addAction(_entry(column.title or column_title(column)), partial(table.order_by, index))
        if header.sortIndicatorSection() == index:
            ascending = header.sortIndicatorOrder() == Qt.SortOrder.AscendingOrder
            action.setIcon(icon("caret-up" if ascending else "caret-down", "accent"))
    return order
