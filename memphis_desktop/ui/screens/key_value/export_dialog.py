"""Writing keys to a file: which, in what form, where to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from PySide6.QtWidgets import QCheckBox, QComboBox, QWidget

from memphis_desktop.inspect.files import Exporter, FileProgress
from memphis_desktop.inspect.key_value.importing import KEY_FORMATS, KEY_SUFFIXES, KeyExporter
from memphis_desktop.inspect.key_value.keys import KeyPager, KeyReader
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.dialogs import add_form_row
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.decoders.store import current_decoders, mask
from memphis_desktop.ui.screens.message_export import MessageExportDialog

_PAGE = 200


class KeyExportDialog(MessageExportDialog):
    """The newest value of each key; those chosen, those the list is narrowed to, or all."""

    def __init__(
        self,
        context: ScreenContext,
        parent: QWidget,
        keys: KeyReader,
        within: str,
        text: str,
        selected: Sequence[str],
    ) -> None:
        name = keys.bucket.name
        self._keys = keys
        self._within = within
        self._text = text
        self._selected = list(selected)
        super().__init__(context, parent, tr("Export keys of {bucket}", bucket=name), name)
        self.form_box.blockSignals(True)
        self.form_box.clear()
        for key, title in KEY_FORMATS.items():
            self.form_box.addItem(title, key)
        self.form_box.blockSignals(False)
        self.which = QComboBox()
        if len(self._selected) > 1:
            chosen = tr_count(
                "The {count} chosen key",
                "The {count} chosen keys",
                len(self._selected),
                count=figures.integer(len(self._selected)),
            )
            self.which.addItem(chosen, "selected")
        if within or text:
            self.which.addItem(tr("Those that the list is narrowed to"), "narrowed")
        self.which.addItem(tr("All keys"), "all")
        self.markers = QCheckBox(tr("Deleted keys, too"))
        add_form_row(self.form, tr("Which"), self.which)
        add_form_row(self.form, "", self.markers)
        self.arrange(tr("Values that masking rules hide stay hidden. The file can be imported again."))

    def _form_changed(self) -> None:
        path = Path(self.path_field.text())
        self.path_field.setText(str(path.with_suffix(KEY_SUFFIXES[self.form_box.currentData()])))

    def make_exporter(self, path: Path) -> Exporter:
        """Write entries instead of messages."""
        bucket = self._keys.bucket
        return KeyExporter(
            path,
            self.form_box.currentData(),
            lambda message: bucket.key(message.subject),
            decoder=current_decoders().decode,
        )

    async def messages(self) -> AsyncIterator[InspectedMessage]:
        """The newest messages of the keys."""
        return self._messages()

    async def _messages(self) -> AsyncIterator[InspectedMessage]:
        which, markers = self.which.currentData(), self.markers.isChecked()
        if which == "selected":
            self.total = len(self._selected)
            names = [self._selected[at : at + _PAGE] for at in range(0, len(self._selected), _PAGE)]
            for part in names:
                async for message in self._of(part, markers):
                    yield message
            return
        narrowed = which == "narrowed"
        pager = KeyPager(self._keys, self._within if narrowed else "", self._text if narrowed else "")
        try:
            while not pager.done:
                part = await pager.more(_PAGE)
                self.total = pager.total
                async for message in self._of(part, markers):
                    yield message
        finally:
            await pager.close()

    async def _of(self, names: Sequence[str], markers: bool) -> AsyncIterator[InspectedMessage]:
        entries = await self._keys.entries_of(names)
        for name in names:
            entry = entries.get(name)
            if entry is not None and (entry.is_value or markers):
                yield mask(entry.message)

    def outcome(self, progress: FileProgress, path: Path) -> tuple[str, str]:
        """What to say when all is written."""
        count = tr_count(
            "{count} key", "{count} keys", progress.messages, count=figures.integer(progress.messages)
        )
        size = figures.bytes_size(progress.bytes)
        return tr("Exported {keys} ({bytes}) to {path}.", keys=count, bytes=size, path=path), "good"
