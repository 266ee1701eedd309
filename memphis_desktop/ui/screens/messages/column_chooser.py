"""Choosing the columns of a browser, and adding some from JSON paths and headers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QPoint, Qt
from PySide6.QtWidgets import QLineEdit, QMenu

from memphis_desktop.ui.components.dialogs import FormDialog
from memphis_desktop.ui.screens.messages.columns import ExtraColumns

if TYPE_CHECKING:
    from memphis_desktop.ui.screens.messages.browser import MessageBrowser


class ColumnChooser(QObject):
    """The columns of one browser."""

    def __init__(self, browser: MessageBrowser) -> None:
        super().__init__(browser)
        self._browser = browser
        self._extra = ExtraColumns(browser.stream)

    def menu(self, point: QPoint | None = None) -> None:
        menu = QMenu(self._browser)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._browser.list.fill_column_menu(menu)
        menu.addSeparator()
        menu.addAction("Add a column from JSON or a header", self.add)
        sources = self._extra.sources()
        if sources:
            remove = menu.addMenu("Remove a column")
            for source in sources:
                remove.addAction(source.replace("&", "&&"), partial(self.remove, source))
        button = self._browser.toolbar.columns_button
        menu.popup(point or button.mapToGlobal(button.rect().bottomLeft()))

    def show(self) -> None:
        self._browser.list.set_extra_columns(self._extra.columns())

    def add(self, source: str = "") -> FormDialog:
        """Ask for a JSON path or header and show it as a column."""
        dialog = FormDialog(self._browser.window(), "Add a column", "Add column", width=440)
        field = QLineEdit(source)
        field.setProperty("role", "mono")
        field.setPlaceholderText("$.customer.id, $.items[0].sku or header:Content-Type")
        dialog.add_row("Shows", field, "A path into the payload, or header: and a name.")

        def check() -> str:
            try:
                self._extra.add(field.text())
            except ValueError as error:
                return str(error)
            return ""

        dialog.add_validator(check)
        dialog.accepted.connect(self.show)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()
        return dialog

    def remove(self, source: str) -> None:
        """Take a column away."""
        self._extra.remove(source)
        self.show()
