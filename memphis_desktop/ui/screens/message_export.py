"""The dialog that writes messages to a file: form, place, progress, cancel. Which ones, others say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QWidget,
)

from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.files import FORMATS, SUFFIXES, Exporter, FileProblem, FileProgress
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.language import tr, tr_count, tr_in
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.dialogs import Dialog, add_form_row, form_layout
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.decoders.store import current_decoders

_REFRESH_MS = 150


class MessageExportDialog(Dialog):
    """Subclasses give the messages by `messages`, and may add rows to `form` before calling `arrange`."""

    def __init__(self, context: ScreenContext, parent: QWidget, title: str, file_name: str) -> None:
        super().__init__(parent, title, tr("Export"), width=560)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.context = context
        self.exporter: Exporter | None = None
        self.total: int | None = None  # messages there will be, where that is known
        self.form = form_layout()
        self.form_box = QComboBox()
        for key, name in FORMATS.items():
            self.form_box.addItem(name, key)
        self.form_box.currentIndexChanged.connect(self._form_changed)
        self.form_box.setToolTip(tr("Each can be imported again, with exactly the same bytes"))
        self.path_field = QLineEdit(str(Path.home() / f"{file_name}.ndjson"))
        self.path_field.setProperty("role", "mono")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setRange(0, 1000)
        self.bar.hide()
        self.note = PlainLabel("", "caption")
        self._timer = QTimer(self)
        self._timer.setInterval(_REFRESH_MS)
        self._timer.timeout.connect(self._show_progress)

    def arrange(self, help_text: str = "") -> None:
        """Put form and place below the rows there are; ``help_text`` explains the form."""
        choose = QPushButton(tr("Choose"))
        choose.setAutoDefault(False)
        choose.clicked.connect(self._choose)
        line = QWidget()
        row = QHBoxLayout(line)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.SPACE_2)
        row.addWidget(self.path_field, 1)
        row.addWidget(choose)
        add_form_row(self.form, tr_in("of a file", "Form"), self.form_box, help_text)
        add_form_row(self.form, tr("File"), line)
        self.body.addLayout(self.form)
        self.body.addWidget(self.bar)
        self.body.addWidget(self.note)
        self.verb_button.setDefault(True)
        self.cancel_button.setAutoDefault(False)
        self.path_field.setFocus()

    async def messages(self) -> AsyncIterator[InspectedMessage]:
        """Return what is written; raises ReadError when it cannot be read. May set `total`."""
        raise NotImplementedError

    def make_exporter(self, path: Path) -> Exporter:
        """Return what writes the file."""
        return Exporter(path, self.form_box.currentData(), decoder=current_decoders().decode)

    def share(self) -> float | None:
        """How much is done, 0 to 1; None while that cannot be told."""
        if self.exporter is None or not self.total:
            return None
        return self.exporter.progress.messages / self.total

    def outcome(self, progress: FileProgress, path: Path) -> tuple[str, str]:
        """Return what to say when all is written, and as what kind of message."""
        count = tr_count(
            "{count} message", "{count} messages", progress.messages, count=figures.integer(progress.messages)
        )
        return tr(
            "Exported {messages} ({bytes}) to {path}.",
            messages=count,
            bytes=figures.bytes_size(progress.bytes),
            path=path,
        ), "good"

    def accept(self) -> None:
        """Begin to write."""
        if self.exporter is not None:
            return
        path = Path(self.path_field.text().strip()).expanduser()
        if not path.name or not path.parent.is_dir():
            self.show_error(tr("Choose a file in a folder that exists."))
            return
        self.show_error("")
        self.exporter = self.make_exporter(path)
        self.verb_button.setEnabled(False)
        self.bar.show()
        self._timer.start()
        self.context.run(self._run(self.exporter), tr("export the messages"))

    def reject(self) -> None:
        """Cancel: a half-written file is removed."""
        if self.exporter is not None:
            self.exporter.cancelled = True
        super().reject()

    async def _run(self, exporter: Exporter) -> None:
        try:
            progress = await exporter.run(await self.messages())
        except (FileProblem, ReadError, ClusterError) as error:
            if not exporter.cancelled:
                self.exporter = None
                self._timer.stop()
                self.verb_button.setEnabled(True)
                self.show_error(f"{str(error).rstrip('.')}.")
            return
        if exporter.cancelled:
            self.context.notify(tr("The export was cancelled; no file was kept."))
            return
        self._timer.stop()
        self.context.notify(*self.outcome(progress, exporter.path))
        super().accept()

    def _show_progress(self) -> None:
        if self.exporter is None:
            return
        done = self.exporter.progress
        share = self.share()
        if share is not None:
            self.bar.setValue(min(1000, round(1000 * share)))
        self.note.setText(
            tr_count(
                "{count} message, {bytes}",
                "{count} messages, {bytes}",
                done.messages,
                count=figures.integer(done.messages),
                bytes=figures.bytes_size(done.bytes),
            )
        )

    def _form_changed(self) -> None:
        path = Path(self.path_field.text())
        self.path_field.setText(str(path.with_suffix(SUFFIXES[self.form_box.currentData()])))

    def _choose(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, tr("Export to"), self.path_field.text())
        if path:
            self.path_field.setText(path)
