"""Exporting messages to a file: what, in which form, with progress and cancel."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import (
    QButtonGroup,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.files import FORMATS, SUFFIXES, Exporter, FileProblem
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.replay import MessageRange
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.dialogs import Dialog, add_form_row, form_layout
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screens.decoders.store import current_decoders

if TYPE_CHECKING:
    from memphis_desktop.ui.screens.messages.browser import MessageBrowser


class ExportDialog(Dialog):
    """Selection, matches or the whole station (with its subject filter) into one file."""

    def __init__(self, browser: MessageBrowser) -> None:
        super().__init__(browser.window(), f"Export messages of {browser.stream}", "Export", width=560)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.browser = browser
        self.context = browser.context
        self.exporter: Exporter | None = None
        self._total: int | None = None
        self._selected = browser.list.selected_messages()
        self._matches = browser.list.model.messages() if browser.searching.active else []
        choices = QVBoxLayout()
        group = QButtonGroup(self)
        self.choices: dict[str, QRadioButton] = {}
        whole = "the whole station" if browser.subject is None else f"everything on {browser.subject}"
        bounds = browser.reader.bounds if browser.reader is not None else None
        most = f", up to {figures.count_noun(bounds.messages, 'message')}" if bounds is not None else ""
        for key, title, shown in (
            ("selection", figures.count_noun(len(self._selected), "selected message"), bool(self._selected)),
            (
                "matches",
                f"The {figures.count_noun(len(self._matches), 'match', 'matches')} of the search",
                bool(self._matches),
            ),
            ("station", f"{whole[:1].upper()}{whole[1:]}{most}", bounds is not None),
        ):
            if shown:
                self.choices[key] = QRadioButton(title)
                group.addButton(self.choices[key])
                choices.addWidget(self.choices[key])
        first = "matches" if self._matches else "selection" if len(self._selected) > 1 else "station"
        self.choices.get(first, next(iter(self.choices.values()))).setChecked(True)
        holder = QWidget()
        holder.setLayout(choices)
        choices.setContentsMargins(0, 0, 0, 0)
        self.form_box = QComboBox()
        for key, title in FORMATS.items():
            self.form_box.addItem(title, key)
        self.form_box.currentIndexChanged.connect(self._form_changed)
        self.path_field = QLineEdit(str(Path.home() / f"{browser.stream}.ndjson"))
        self.path_field.setProperty("role", "mono")
        browse = QPushButton("Choose")
        browse.setAutoDefault(False)
        browse.clicked.connect(self._choose)
        line = QWidget()
        row = QHBoxLayout(line)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.SPACE_2)
        row.addWidget(self.path_field, 1)
        row.addWidget(browse)
        form = form_layout()
        add_form_row(form, "What", holder)
        self.form_box.setToolTip("Each can be imported again, with exactly the same bytes")
        add_form_row(form, "Form", self.form_box)
        add_form_row(form, "File", line)
        self.body.addLayout(form)
        self.verb_button.setDefault(True)
        self.cancel_button.setAutoDefault(False)
        self.path_field.setFocus()
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setRange(0, 1000)
        self.bar.hide()
        self.note = PlainLabel("", "caption")
        self.body.addWidget(self.bar)
        self.body.addWidget(self.note)
        self._timer = QTimer(self)
        self._timer.setInterval(150)
        self._timer.timeout.connect(self._show_progress)

    def accept(self) -> None:
        """Begin to write."""
        if self.exporter is not None:
            return
        path = Path(self.path_field.text().strip()).expanduser()
        if not path.name or not path.parent.is_dir():
            self.show_error("Choose a file in a folder that exists.")
            return
        self.show_error("")
        self.exporter = Exporter(path, self.form_box.currentData(), decoder=current_decoders().decode)
        self.verb_button.setEnabled(False)
        self.bar.show()
        self._timer.start()
        self.context.run(self._run(self.exporter), "export the messages")

    def reject(self) -> None:
        """Cancel: a half-written file is removed."""
        if self.exporter is not None:
            self.exporter.cancelled = True
        super().reject()

    async def _run(self, exporter: Exporter) -> None:
        try:
            progress = await exporter.run(await self._messages())
        except (FileProblem, ReadError) as error:
            if not exporter.cancelled:
                self.exporter = None
                self._timer.stop()
                self.verb_button.setEnabled(True)
                self.show_error(f"{error}.")
            return
        if exporter.cancelled:
            self.context.notify("The export was cancelled; no file was kept.")
            return
        self._timer.stop()
        count = figures.count_noun(progress.messages, "message")
        self.context.notify(
            f"Exported {count} ({figures.bytes_size(progress.bytes)}) to {exporter.path}.", "good"
        )
        super().accept()

    async def _messages(self) -> AsyncIterator[InspectedMessage]:
        if "selection" in self.choices and self.choices["selection"].isChecked():
            self._total = len(self._selected)
            return _given(self._selected)
        if "matches" in self.choices and self.choices["matches"].isChecked():
            self._total = len(self._matches)
            return _given(self._matches)
        reader = self.browser.reader
        if reader is None:
            raise ReadError(0, 0, "the station is not open")
        bounds = await reader.refresh()
        source = await MessageRange.counted(reader, bounds.first, bounds.last, self.browser.subject)
        self._total = source.total
        return source.read(0)

    def _show_progress(self) -> None:
        if self.exporter is None:
            return
        done = self.exporter.progress
        if self._total:
            self.bar.setValue(min(1000, round(1000 * done.messages / self._total)))
        self.note.setText(f"{figures.count_noun(done.messages, 'message')}, {figures.bytes_size(done.bytes)}")

    def _form_changed(self) -> None:
        path = Path(self.path_field.text())
        self.path_field.setText(str(path.with_suffix(SUFFIXES[self.form_box.currentData()])))

    def _choose(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Export to", self.path_field.text())
        if path:
            self.path_field.setText(path)


async def _given(messages: list[InspectedMessage]) -> AsyncIterator[InspectedMessage]:
    for message in messages:
        yield message
