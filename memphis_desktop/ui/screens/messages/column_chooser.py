"""Choosing the columns of a browser, and adding some from JSON paths and headers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QPoint, Qt
from PySide6.QtWidgets import QCompleter, QLineEdit, QMenu

from memphis_desktop.inspect.filter import LazyMessage
from memphis_desktop.inspect.filter.paths import scalar_paths
from memphis_desktop.language import tr
from memphis_desktop.ui.components.dialogs import FormDialog
from memphis_desktop.ui.screens.messages.columns import ExtraColumns

if TYPE_CHECKING:
    from memphis_desktop.ui.screens.messages.browser import MessageBrowser


SUGGESTING = 10  # messages looked at for suggestions
MAX_SUGGESTIONS = 300


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
        menu.addAction(tr("Add a column from JSON or a header"), self.add)
        sources = self._extra.sources()
        if sources:
            remove = menu.addMenu(tr("Remove a column"))
            for source in sources:
                remove.addAction(source.replace("&", "&&"), partial(self.remove, source))
        button = self._browser.toolbar.columns_button
        menu.popup(point or button.mapToGlobal(button.rect().bottomLeft()))

    def show(self) -> None:
        """Put the columns into the list."""
        self._extra.forget()
        self._browser.list.set_extra_columns(self._extra.columns())

    def add(self, source: str = "") -> FormDialog:
        """Ask for a JSON path or header and show it as a column."""
        dialog = FormDialog(self._browser.window(), tr("Add a column"), tr("Add column"), width=560)
        field = QLineEdit(source)
        field.setProperty("role", "mono")
        field.setPlaceholderText(tr("$.customer.id, $.items[0].sku or header:Content-Type"))
        completer = QCompleter(self.suggestions(), field)
        completer.setFilterMode(Qt.MatchFlag.MatchContains)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        field.setCompleter(completer)
        dialog.add_row(tr("Shows"), field, tr("A path into the payload, or header: and a name."))

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

    def add_source(self, source: str) -> None:
        """Show a JSON path or header as a column without asking."""
        try:
            self._extra.add(source)
        except ValueError as error:
            self._browser.context.notify(str(error), "warning")
            return
        self.show()

    def suggestions(self) -> list[str]:
        """Paths and headers of the messages at hand."""
        messages = self._browser.list.model.messages()[:SUGGESTING]
        current = self._browser.pane.message
        found: dict[str, None] = {}
        for message in ([current] if current is not None else []) + messages:
            for name, _ in message.headers:
                found[f"header:{name}"] = None
            if len(message.payload) <= ExtraColumns.LIMIT:
                found.update(dict.fromkeys(scalar_paths(LazyMessage.of(message).value)))
            if len(found) > MAX_SUGGESTIONS:
                break
        return list(found)[:MAX_SUGGESTIONS]

    def remove(self, source: str) -> None:
        """Take a column away."""
        self._extra.remove(source)
        self.show()
