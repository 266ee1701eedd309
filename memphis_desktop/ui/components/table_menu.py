"""The menu of a table's header, which the keyboard opens too: columns, order, export."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMenu

from memphis_desktop.language import tr
from memphis_desktop.ui.theme.icons import icon

if TYPE_CHECKING:
    from memphis_desktop.ui.components.data_table import DataTable
    from memphis_desktop.ui.components.table_model import Column


def header_menu(table: DataTable) -> QMenu:
    """Which columns are shown, what orders the rows, and the ways out of the program."""
    menu = QMenu(table)
    menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    _add_columns(menu, table)
    menu.addSeparator()
    menu.addMenu(_order_menu(menu, table))
    menu.addAction(tr("Reset columns"), table.reset_columns)
    menu.addSeparator()
    shown, total = table.model.rowCount(), table.model.total()
    visible = menu.addAction(tr("Export the rows shown"), table.export_shown)
    visible.setEnabled(shown > 0)
    everything = menu.addAction(tr("Export all rows and columns"), table.export_all)
    everything.setEnabled(total > 0)
    return menu


def _add_columns(menu: QMenu, table: DataTable) -> None:
    header = table.view.horizontalHeader()
    shown = sum(not header.isSectionHidden(index) for index in range(header.count()))
    parts: dict[str, QMenu] = {}
    for index, column in enumerate(table.model.columns):
        if column.chosen_in and column.chosen_in not in parts:
            parts[column.chosen_in] = menu.addMenu(column.chosen_in)
        action = parts.get(column.chosen_in, menu).addAction(_entry(column))
        action.setCheckable(True)
        action.setChecked(not header.isSectionHidden(index))
        action.setEnabled(shown > 1 or header.isSectionHidden(index))
        action.toggled.connect(lambda checked, index=index: table.set_column_visible(index, checked))


def _entry(column: Column) -> str:
    """A title as a menu shows it; the keys of metadata may have anything in them."""
    return (column.title or column.key).replace("&", "&&")


def _order_menu(menu: QMenu, table: DataTable) -> QMenu:
    """The same as a click on a title; the arrow beside one says which way it goes."""
    order = QMenu(tr("Order by"), menu)
    header = table.view.horizontalHeader()
    for index, column in enumerate(table.model.columns):
        if header.isSectionHidden(index):
            continue
        action = order.addAction(_entry(column), partial(table.order_by, index))
        if header.sortIndicatorSection() == index:
            ascending = header.sortIndicatorOrder() == Qt.SortOrder.AscendingOrder
            action.setIcon(icon("caret-up" if ascending else "caret-down", "accent"))
    return order
