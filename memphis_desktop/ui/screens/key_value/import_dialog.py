"""Bringing keys from a file into a bucket: what would become of each, then the work."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QLineEdit, QPushButton, QWidget

from memphis_desktop.cluster.key_value.bulk import LISTED, BulkProgress, ImportCounts, KeyImport
from memphis_desktop.inspect.decode.text import preview
from memphis_desktop.inspect.key_value.keys import KeyReader
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui import theme
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.dialogs import add_form_row
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.decoders.store import mask
from memphis_desktop.ui.screens.key_value.bulk_dialogs import BulkDialog
from memphis_desktop.ui.screens.key_value.key_actions import bulk_outcome

_KINDS = {
    "new": (tr("new"), "good"),
    "same": (tr("the same"), "muted"),
    "different": (tr("different"), "warning"),
    "delete": (tr("deleted"), "bad"),
    "refused": (tr("refused"), "bad"),
}


class KeyImportDialog(BulkDialog):
    """A file, what to do where the bucket has another value, and the list of what would be done."""

    def __init__(
        self, parent: QWidget | None, context: ScreenContext, keys: KeyReader, path: str = ""
    ) -> None:
        name = keys.bucket.name
        title = tr("Import keys into {bucket}", bucket=name)
        super().__init__(parent, context, title, tr("Import keys"), name, danger=False)
        self._keys = keys
        self.path_field = QLineEdit(path)
        self.path_field.setProperty("role", "mono")
        self.path_field.setPlaceholderText(tr("an exported file, or a JSON object of keys and values"))
        choose = QPushButton(tr("Choose"))
        choose.setAutoDefault(False)
        choose.clicked.connect(self._choose)
        line = QWidget()
        row = QHBoxLayout(line)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.SPACE_2)
        row.addWidget(self.path_field, 1)
        row.addWidget(choose)
        self.existing = QComboBox()
        self.existing.addItem(tr("Keep what the bucket has"), False)
        self.existing.addItem(tr("Write the file's value, and delete what it deletes"), True)
        add_form_row(self.form, tr("File"), line)
        add_form_row(self.form, tr("Where they differ"), self.existing)
        self.table = DataTable(
            [
                Column("kind", tr("State"), lambda p: _KINDS[p.kind], "badge", 84),
                Column("key", tr("Key"), lambda p: p.entry.key, "mono", 170, stretch=True),
                Column(
                    "value", tr("In the file"), lambda p: self._text(p.entry.key, p.entry.value), "mono", 150
                ),
                Column(
                    "present",
                    tr("In the bucket"),
                    lambda p: (
                        preview(mask(p.present.message).payload, 200)
                        if p.present is not None and p.present.is_value
                        else ""
                    ),
                    "mono",
                    150,
                ),
                Column("problem", tr("Problem"), lambda p: p.problem, "text", 150, stretch=True),
            ],
            lambda p: p.entry.number,
            "import_keys",
        )
        self.table.set_state("empty", tr("Choose a file to see what is in it."), icon="upload-simple")
        self.arrange(self.table)
        self.resize(820, 600)
        self._import: KeyImport | None = None
        self.path_field.textChanged.connect(lambda _: self.look_soon())
        self.existing.currentIndexChanged.connect(lambda _: self._judge())
        self.update_verb()
        if path:
            self.look()

    def _text(self, key: str, value: bytes) -> str:
        bucket = self._keys.bucket
        message = InspectedMessage(bucket.stream, 0, 0, bucket.subject(key), b"", value[: 16 << 10])
        return preview(mask(message).payload, 200)

    def _choose(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, tr("Import from"), self.path_field.text())
        if path:
            self.path_field.setText(path)

    def progress(self) -> BulkProgress:
        """Of the dry run, or the work."""
        return self._import.progress if self._import is not None else BulkProgress()

    def stop(self) -> None:
        """Ask for no more."""
        if self._import is not None:
            self._import.stop()

    def show_progress(self) -> None:
        """How many entries a file has is known at its end."""
        read = self.progress().read
        self.status.setText(
            tr_count("{count} entry read", "{count} entries read", read, count=figures.integer(read))
        )

    async def _look(self) -> None:
        self.stop()
        self.table.set_rows([])
        self.loss.setText("")
        text = self.path_field.text().strip()
        if not text:
            self.table.set_state("empty", tr("Choose a file to see what is in it."), icon="upload-simple")
            return
        self.table.set_state("loading")
        made = self._import = KeyImport(self.context.session, self._keys, path_of(text))
        try:
            counts = await made.look()
        except BaseException:
            self.table.set_state("empty", tr("Nothing can be imported from this."), icon="upload-simple")
            raise
        if made is not self._import:
            return
        self.table.set_rows(counts.first)
        self.table.set_state(
            "ready" if counts.first else "empty", tr("There is nothing in this file."), icon="upload-simple"
        )
        many = tr("The first {count} are listed.", count=figures.integer(LISTED))
        self.status.setText(many if made.progress.read > LISTED else "")
        self._judge()

    def _judge(self) -> None:
        """Say what the verb would do."""
        made = self._import
        if made is None:
            return
        made.overwrite = bool(self.existing.currentData())
        counts = made.counts
        self.loss.setText(_sentence(counts, made.overwrite))
        self.command.set_text(made.action.equivalent(self.context.session))
        self.ready = bool(counts.new or (made.overwrite and (counts.different or counts.delete)))
        self.update_verb()

    async def _change(self) -> None:
        if self._import is not None:
            self.finished_well(bulk_outcome(await self._import.run()))


def path_of(text: str) -> Path:
    """The file that was typed."""
    return Path(text).expanduser()


def _sentence(counts: ImportCounts, overwrite: bool) -> str:
    parts = [
        tr_count("{count} new key is written.", "{count} new keys are written.", counts.new,
                 count=figures.integer(counts.new))
    ]  # fmt: skip
    if counts.different:
        count = figures.integer(counts.different)
        if overwrite:
            parts.append(
                tr_count(
                    "{count} with another value is overwritten.",
                    "{count} with another value are overwritten.",
                    counts.different,
                    count=count,
                )
            )
        else:
            parts.append(
                tr_count(
                    "{count} with another value stays.",
                    "{count} with another value stay.",
                    counts.different,
                    count=count,
                )
            )
    if counts.delete and overwrite:
        parts.append(
            tr_count("{count} is deleted.", "{count} are deleted.", counts.delete,
                     count=figures.integer(counts.delete))
        )  # fmt: skip
    if counts.same:
        parts.append(
            tr_count("{count} is the same.", "{count} are the same.", counts.same,
                     count=figures.integer(counts.same))
        )  # fmt: skip
    if counts.refused:
        parts.append(
            tr_count("{count} cannot be stored.", "{count} cannot be stored.", counts.refused,
                     count=figures.integer(counts.refused))
        )  # fmt: skip
    return " ".join(parts)
