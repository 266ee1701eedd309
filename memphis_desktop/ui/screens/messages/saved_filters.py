"""Filters kept under a name, in the settings and in files that can be shared."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Qt
from PySide6.QtWidgets import QFileDialog, QLineEdit, QMenu, QWidget

from memphis_desktop.inspect.filter import FilterError, parse_filter
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import settings
from memphis_desktop.ui.components.dialogs import FormDialog

if TYPE_CHECKING:
    from memphis_desktop.ui.screens.messages.search_bar import SearchBar

KEY = "messages/filters"
MAX_FILTERS = 500
MAX_FILE = 1 << 20
_FILE_KIND = "memphis-desktop filters"


class SavedFilters(QObject):
    """The filters of the star menu. An entry is a name, a filter, and a subject pattern or nothing."""

    def __init__(self, bar: SearchBar) -> None:
        super().__init__(bar)
        self._bar = bar

    def entries(self) -> list[dict[str, Any]]:
        """What is kept, by name."""
        return [entry for entry in settings.current().get(KEY) or [] if isinstance(entry, dict)]

    def save(self, name: str) -> None:
        """Keep what is typed under a name."""
        self._put([{"name": name, "filter": self._bar.text()}])

    def forget(self, name: str) -> None:
        """Keep it no longer."""
        settings.current().set(KEY, [entry for entry in self.entries() if entry.get("name") != name])

    def use(self, text: str) -> None:
        """Search with a kept filter."""
        self._bar.field.setText(text)
        self._bar.search_requested.emit()

    def _put(self, new: list[dict[str, Any]]) -> None:
        names = {entry["name"] for entry in new}
        kept = [entry for entry in self.entries() if entry.get("name") not in names]
        ordered = sorted([*kept, *new], key=lambda entry: str(entry["name"]).casefold())
        settings.current().set(KEY, ordered[:MAX_FILTERS])

    # Files --------------------------------------------------------------------------------------

    def write(self, path: Path) -> None:
        """Write all to a file; raises OSError."""
        document = {"kind": _FILE_KIND, "filters": self.entries()}
        path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def read(self, path: Path) -> int:
        """Take the filters of a file; returns how many.

        Raises:
            OSError: it cannot be read.
            ValueError: it holds no filters; says why.
        """
        if path.stat().st_size > MAX_FILE:
            raise ValueError("The file is too large to hold filters.")
        try:
            document = json.loads(path.read_bytes())
        except (ValueError, RecursionError):
            raise ValueError("The file is no JSON.") from None
        if not isinstance(document, dict) or not isinstance(document.get("filters"), list):
            raise ValueError("The file holds no saved filters.")
        new: dict[str, dict[str, Any]] = {}
        for entry in document["filters"][:MAX_FILTERS]:
            name, text = (entry.get("name"), entry.get("filter")) if isinstance(entry, dict) else (None, None)
            if not isinstance(name, str) or not name.strip() or not isinstance(text, str):
                raise ValueError("An entry of the file lacks its name or its filter.")
            try:
                parse_filter(text)
            except FilterError as error:
                raise ValueError(f"The filter {name[:60]!r} is not understood: {error}") from None
            new[name.strip()] = {"name": name.strip(), "filter": text}
        self._put(list(new.values()))
        return len(new)

    # The menu -----------------------------------------------------------------------------------

    def show_menu(self, button: QWidget) -> None:
        """Offer the filters, and what can be done with them."""
        menu = QMenu(self._bar)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for entry in self.entries():
            name, text = str(entry.get("name", "")), str(entry.get("filter", ""))
            title = figures.visible_text(f"{name}   {text}", 90).replace("&", "&&")
            menu.addAction(title, partial(self.use, text))
        if not menu.isEmpty():
            menu.addSeparator()
            remove = menu.addMenu(tr("Remove"))
            for entry in self.entries():
                name = str(entry.get("name", ""))
                remove.addAction(
                    figures.visible_text(name, 60).replace("&", "&&"), partial(self.forget, name)
                )
        keep = menu.addAction(tr("Save this filter"), self._ask_name)
        keep.setEnabled(bool(self._bar.text()) and not self._bar.problem())
        menu.addSeparator()
        menu.addAction(tr("Write all to a file"), self._ask_file).setEnabled(bool(self.entries()))
        menu.addAction(tr("Read from a file"), self._choose_file)
        menu.popup(button.mapToGlobal(button.rect().bottomLeft()))

    def _ask_name(self) -> None:
        dialog = FormDialog(self._bar.window(), tr("Save this filter"), tr("Save filter"), width=420)
        name = QLineEdit(self._bar.text()[:40])
        dialog.add_row(tr("Name"), name)
        dialog.add_validator(lambda: "" if name.text().strip() else tr("Give the filter a name."))
        dialog.accepted.connect(lambda: self.save(name.text().strip()))
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def _ask_file(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self._bar, tr("Write filters"), "filters.json", tr("JSON (*.json)")
        )
        if path:
            try:
                self.write(Path(path))
            except OSError as error:
                self._bar.told.emit(
                    tr("{path} cannot be written: {reason}", path=path, reason=error.strerror), "bad"
                )
            else:
                count = tr_count(
                    "{count} filter",
                    "{count} filters",
                    len(self.entries()),
                    count=figures.integer(len(self.entries())),
                )
                self._bar.told.emit(tr("Wrote {filters} to {path}.", filters=count, path=path), "good")

    def _choose_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(
            self._bar, tr("Read filters"), "", tr("JSON (*.json);;All files (*)")
        )
        if path:
            try:
                count = self.read(Path(path))
            except OSError as error:
                self._bar.told.emit(
                    tr("{path} cannot be read: {reason}", path=path, reason=error.strerror), "bad"
                )
            except ValueError as error:
                self._bar.told.emit(str(error), "bad")
            else:
                self._bar.told.emit(
                    tr_count(
                        "{count} filter can be used now.",
                        "{count} filters can be used now.",
                        count,
                        count=figures.integer(count),
                    ),
                    "good",
                )
