"""Writing a key: its value, whether it must be new, its time to live; saved only over what was read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QCheckBox, QLineEdit, QWidget

from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.cluster.key_value.writing import KeyWrite, RevisionConflict
from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.draft import Draft, write_body
from memphis_desktop.inspect.key_value.entry import Entry
from memphis_desktop.inspect.key_value.keys import KeyReader
from memphis_desktop.inspect.key_value.names import key_problem
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.dialogs import Dialog, Disclosure, add_form_row, form_layout
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.composer.body import EDIT_LIMIT, BodyPanel
from memphis_desktop.ui.screens.decoders.store import mask
from memphis_desktop.ui.screens.field_values import FieldError, parse_duration
from memphis_desktop.ui.screens.key_value.conflict_dialog import ConflictDialog, Resolution

_SECOND = 1_000_000_000


class EditKeyDialog(Dialog):
    """Edits ``entry``, or makes a key when there is none. `revision` is what was written, 0 for nothing."""

    def __init__(
        self,
        parent: QWidget | None,
        context: ScreenContext,
        reader: Callable[[], KeyReader | None],
        entry: Entry | None = None,
        key: str = "",
    ) -> None:
        title = tr("Edit key {key}", key=entry.key) if entry is not None else tr("New key")
        super().__init__(
            parent, title, tr("Save value") if entry is not None else tr("Create key"), width=640
        )
        self._context = context
        self._reader = reader
        self._entry = entry
        self._base = entry.message.payload if entry is not None and entry.is_value else b""
        self._running = False
        self.revision = 0
        self.key = ""
        keys = reader()
        assert keys is not None
        self._bucket = keys.bucket
        self.key_field = QLineEdit(entry.key if entry is not None else key)
        self.key_field.setProperty("role", "mono")
        self.key_field.setReadOnly(entry is not None)
        self.key_field.textChanged.connect(lambda _: self._refresh())
        self.only_new = QCheckBox(tr("Only when there is no such key"))
        self.only_new.setChecked(True)
        self.only_new.toggled.connect(lambda _: self._refresh())
        self.ttl_field = QLineEdit()
        self.ttl_field.setPlaceholderText(tr("none"))
        self.ttl_field.textChanged.connect(lambda _: self._refresh())
        form = form_layout()
        add_form_row(form, tr("Key"), self.key_field)
        if entry is None:
            add_form_row(form, "", self.only_new)
        if self._bucket.takes_ttl:
            help_text = tr("30s, 15min, 7d: then the server removes it.")
            if self._bucket.history > 1:
                help_text = tr(
                    "30s, 15min, 7d: then the server removes it, and the value before shows again."
                )
            add_form_row(form, tr("Time to live"), self.ttl_field, help_text)
        self.body_panel = BodyPanel()
        if len(self._base) > EDIT_LIMIT:
            self.body_panel.hold(self._base)
        elif entry is not None:
            self.body_panel.set_body(*write_body(self._base))
        self.body_panel.edited.connect(self._refresh)
        self.body_panel.refused.connect(self.show_error)
        self.body_panel.note.setText(self._about())
        self.command = CodeBlock(lines=8)
        self.body.addLayout(form)
        self.body.addWidget(self.body_panel, 1)
        self.body.addWidget(Disclosure(tr("Command"), self.command))
        QShortcut(QKeySequence.StandardKey.Save, self, self.accept)
        self.resize(720, 560)
        self.setTabOrder(self.key_field, self.body_panel.editor)
        if entry is not None:
            self.body_panel.editor.setFocus()
        self._refresh()

    def _about(self) -> str:
        entry = self._entry
        if entry is None:
            return ""
        if self.body_panel.held is not None:
            return tr("This value is too large to be edited here.")
        return tr(
            "Read at revision {revision}: saved only when nobody wrote meanwhile.",
            revision=figures.integer(entry.revision),
        )

    def _payload(self) -> bytes:
        """The bytes as written. Raises ValueError."""
        panel = self.body_panel
        return panel.payload(Draft("", (), panel.form, panel.text()))

    def _ttl(self) -> int | None:
        """Seconds. Raises `FieldError`."""
        if not self._bucket.takes_ttl:
            return None
        span = parse_duration(self.ttl_field.text())
        if not span:
            return None
        if span % _SECOND:
            raise FieldError(tr("A time to live is made of whole seconds."))
        return span // _SECOND

    def write(self) -> KeyWrite:
        """What would be done. Raises ValueError, also `FieldError`."""
        key = self.key_field.text()
        entry = self._entry
        expected: int | None = 0 if self.only_new.isChecked() else None
        if entry is not None:
            expected = entry.revision
        return KeyWrite(
            self._bucket,
            key,
            value=self._payload(),
            expected=expected,
            ttl=self._ttl(),
            replaces=entry,
            mask=mask,
        )

    def _problem(self) -> str:
        key = self.key_field.text()
        if self._entry is None and (problem := key_problem(key)):
            return problem
        try:
            size = len(self.write().value)
        except ValueError as error:
            return str(error)
        most = self._bucket.max_value
        if 0 < most < size:
            return tr(
                "The value has {size}; this bucket takes {limit} at most.",
                size=figures.bytes_size(size),
                limit=figures.bytes_size(most),
            )
        return ""

    def _refresh(self) -> None:
        try:
            self.command.set_text(self.write().equivalent(self._context.session))
        except ValueError:
            self.command.set_text("")
        if not self.error.isHidden() and not self._running:
            self.show_error("")

    def accept(self) -> None:
        """Write; close when it is done."""
        if self._running:
            return
        problem = self._problem()
        if problem:
            self.show_error(problem)
            return
        self._running = True
        self.verb_button.setEnabled(False)
        self._task = asyncio.ensure_future(self._write(self.write()))

    async def _write(self, write: KeyWrite) -> None:
        try:
            done = await self._written(write)
        except (ClusterError, ReadError) as error:
            self.show_error(str(error))
        else:
            if done:
                self.show_error("")
                super().accept()
        finally:
            self._running = False
            self.verb_button.setEnabled(True)

    async def _written(self, write: KeyWrite) -> bool:
        session = self._context.session
        self.key = write.key
        try:
            answer = await write.run(session)
        except RevisionConflict:
            keys = self._reader()
            if keys is None:
                raise
            there = await keys.entry(write.key)
            if self._entry is None:
                return await self._create_after_all(write, there)
            return await self._resolve(keys, write, there)
        self.revision = int(answer.get("seq") or 0)
        return True

    async def _create_after_all(self, write: KeyWrite, there: Entry | None) -> bool:
        """A key that was deleted has left a marker, over which it can be made again."""
        if there is not None and there.is_value:
            self.show_error(
                tr(
                    "The key {key} exists already, at revision {revision}. Nothing was written.",
                    key=write.key,
                    revision=figures.integer(there.revision),
                )
            )
            return False
        again = KeyWrite(
            write.bucket,
            write.key,
            value=write.value,
            expected=there.revision if there is not None else 0,
            ttl=write.ttl,
            mask=mask,
        )
        answer = await again.run(self._context.session)
        self.revision = int(answer.get("seq") or 0)
        return True

    async def _resolve(self, keys: KeyReader, write: KeyWrite, there: Entry | None) -> bool:
        """Somebody else wrote: let the user choose, as often as that happens."""
        mine = write.value
        while True:
            dialog = ConflictDialog(self, self._context, write.key, self._base, mine, there)
            if not await dialog.ask():
                return False
            if dialog.resolution is Resolution.THEIRS:
                return True
            mine = dialog.value
            again = KeyWrite(
                write.bucket,
                write.key,
                value=mine,
                expected=there.revision if there is not None else 0,
                ttl=write.ttl,
                replaces=there,
                mask=mask,
            )
            try:
                answer = await again.run(self._context.session)
            except RevisionConflict:
                self._base = there.message.payload if there is not None else b""
                there = await keys.entry(write.key)
                continue
            self.revision = int(answer.get("seq") or 0)
            return True
