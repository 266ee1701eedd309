"""Two wrote the same key: what was read, what I made of it, what is there now, and what shall be."""

from __future__ import annotations

from enum import Enum
from typing import Any

from PySide6.QtWidgets import QPlainTextEdit, QPushButton, QWidget

from memphis_desktop.inspect.decode.text import preview as bytes_preview
from memphis_desktop.inspect.key_value.entry import Entry
from memphis_desktop.inspect.key_value.merge import MISSING, Merge, Place, Side, has_marks, merge
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.components.dialogs import Dialog
from memphis_desktop.ui.components.json_tree import preview
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.decoders.store import mask
from memphis_desktop.ui.theme import fonts

_TOKENS = {Side.MINE: "information", Side.THEIRS: "warning", Side.SAME: "good", Side.CONFLICT: "bad"}
_EDITED = 256 << 10  # bytes of a merged value that is edited here
_COMPARED = 512 << 10  # bytes of a side that is taken apart place by place


class Resolution(Enum):
    """What the user chose."""

    MINE = "mine"
    THEIRS = "theirs"
    MERGED = "merged"


class ConflictDialog(Dialog):
    """The verb saves what is merged; two buttons keep one side. `value` is what shall be written."""

    def __init__(
        self,
        parent: QWidget | None,
        context: ScreenContext,
        key: str,
        base: bytes,
        mine: bytes,
        theirs: Entry | None,
    ) -> None:
        super().__init__(
            parent, tr("Somebody else wrote {key} meanwhile", key=key), tr("Save merged"), width=760
        )
        self._mine = mine
        self._there = theirs if theirs is not None and theirs.is_value else None
        self.resolution = Resolution.MERGED
        self.value = mine
        now = self._there.message.payload if self._there is not None else b""
        large = max(len(base), len(mine), len(now)) > _COMPARED
        self.merge = (
            merge(base, mine, now)
            if self._there is not None and not large
            else Merge((Place("", Side.CONFLICT, base, mine, now),), None, 1)
        )
        self._hidden = self._there is not None and mask(self._there.message) is not self._there.message
        self.body.addWidget(PlainLabel(self._sentence(context, theirs), wrap=True))
        self.table = DataTable(
            [
                Column("side", tr("Changed by"), lambda p: (_TOKENS[p.side], p.side.text), "dot", 110),
                Column("path", tr("Path"), lambda p: p.path, "mono", 130),
                Column("base", tr("When read"), lambda p: self._text(p.base), "mono", 140),
                Column("mine", tr("Mine"), lambda p: self._text(p.mine), "mono", 150),
                Column("theirs", tr("Theirs"), lambda p: self._text(p.theirs), "mono", 150, stretch=True),
            ],
            lambda p: p.path,
            "key_conflict",
        )
        self.table.set_rows(list(self.merge.places))
        self.table.set_state(
            "ready" if self.merge.places else "empty", tr("Both wrote the same value."), icon="equals"
        )
        self.table.setMinimumHeight(150)
        self.body.addWidget(self.table, 2)
        self.editor = QPlainTextEdit()
        self.editor.setFont(fonts.monospace())
        self.editor.setProperty("role", "mono")
        self.editor.setAccessibleName(tr("Merged value"))
        self.editor.setMinimumHeight(120)
        self.editor_title = PlainLabel(tr("Merged value"), "strong")
        merged = self._merged_text()
        self.editor.setPlainText(merged or "")
        for widget in (self.editor_title, self.editor):
            widget.setVisible(merged is not None)
        self.body.addWidget(self.editor_title)
        self.body.addWidget(self.editor, 3)
        self.verb_button.setVisible(merged is not None)
        self.mine_button = QPushButton(tr("Keep mine"))
        self.theirs_button = QPushButton(tr("Take theirs"))
        self.mine_button.setToolTip(tr("Write my value over theirs"))
        self.theirs_button.setToolTip(tr("Write nothing: what is there stays"))
        for number, (button, resolution) in enumerate(
            ((self.mine_button, Resolution.MINE), (self.theirs_button, Resolution.THEIRS)), 2
        ):
            button.setAutoDefault(False)
            button.clicked.connect(lambda _checked=False, chosen=resolution: self._choose(chosen))
            self.buttons.insertWidget(number, button)
        self.resize(860, 640 if merged is not None else 420)

    def _sentence(self, context: ScreenContext, theirs: Entry | None) -> str:
        if theirs is None or not theirs.is_value:
            return tr("The key was deleted since you read it. Your value was not written.")
        when = figures.timestamp(theirs.time_ns, context.zone)
        text = tr(
            "Revision {revision} was written at {when}. Your value was not written.",
            revision=figures.integer(theirs.revision),
            when=when,
        )
        if not self.merge.conflicts:
            return f"{text} {tr('Your changes and theirs can be put together.')}"
        conflicts = tr_count(
            "{count} place was changed by both.",
            "{count} places were changed by both.",
            self.merge.conflicts,
            count=figures.integer(self.merge.conflicts),
        )
        return f"{text} {conflicts}"

    def _text(self, value: Any) -> str:
        if value is MISSING:
            return ""
        if isinstance(value, bytes):
            message = InspectedMessage("", 0, 0, "", b"", value)
            return bytes_preview(message.payload, 200)
        return preview(value, 200)

    def _merged_text(self) -> str | None:
        value = self.merge.value
        if value is None or len(value) > _EDITED:
            return None
        try:
            text = value.decode("utf-8")
        except UnicodeDecodeError:
            return None
        return None if "\r" in text else text

    def _choose(self, resolution: Resolution) -> None:
        self.resolution = resolution
        self.value = self._mine
        super().accept()

    def accept(self) -> None:
        """Take what stands in the editor, unless marks of a conflict are still in it."""
        text = self.editor.document().toRawText().replace("\u2029", "\n")
        if self.merge.is_text and has_marks(text):
            self.show_error(tr("Decide between mine and theirs where the marks are, and take the marks out."))
            return
        self.resolution = Resolution.MERGED
        self.value = text.encode("utf-8", "surrogateescape")
        super().accept()
