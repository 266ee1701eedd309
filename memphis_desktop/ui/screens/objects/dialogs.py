"""The dialogs of objects: what is uploaded, what is said of an object, copies and links."""

from __future__ import annotations

import json
import mimetypes
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PySide6.QtWidgets import QCheckBox, QComboBox, QLineEdit, QPlainTextEdit, QWidget

from memphis_desktop.cluster.actions import objects as actions
from memphis_desktop.inspect.message import check_header
from memphis_desktop.inspect.objects import names
from memphis_desktop.inspect.objects.model import Link, ObjectInfo
from memphis_desktop.inspect.objects.writing import Description
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.dialogs import Disclosure, FormDialog
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.composer.header_grid import HeaderGrid
from memphis_desktop.ui.screens.field_values import FieldError, parse_pairs

MOST_FILES = 20_000
_COMMANDS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Found:
    """A file to be uploaded, and the name it gets below the folder it goes to."""

    path: Path
    name: str
    size: int


def find_files(paths: Sequence[Path]) -> tuple[list[Found], list[str]]:
    """The files among these and in folders among these, and why some cannot be read. Blocks.

    Links to folders are not followed, so that it comes to an end.
    """
    found: list[Found] = []
    problems: list[str] = []

    def add(path: Path, name: str) -> None:
        try:
            if path.is_file():
                found.append(Found(path, name, path.stat().st_size))
        except OSError as error:
            problems.append(f"{path}: {error.strerror}")

    for path in paths:
        if not path.is_dir():
            add(path, path.name)
            continue
        for folder, _, files in os.walk(path, onerror=lambda error: problems.append(str(error))):
            for file in sorted(files):
                if len(found) >= MOST_FILES:
                    return found, problems
                whole = Path(folder, file)
                add(whole, whole.relative_to(path.parent).as_posix())
    return found, problems


class UploadDialog(FormDialog):
    """What goes where under which name, and what it replaces."""

    def __init__(
        self,
        context: ScreenContext,
        parent: QWidget,
        bucket: str,
        folder: str,
        files: Sequence[Found],
        replaced: Sequence[str],
        typed: str | None,
    ) -> None:
        count = figures.integer(len(files))
        size = figures.bytes_size(sum(file.size for file in files))
        title = tr_count("Upload {count} file", "Upload {count} files", len(files), count=count)
        introduction = tr_count(
            "{count} file, {size}, goes into {bucket}. It is sent in chunks and checked by its digest.",
            "{count} files, {size}, go into {bucket}. They are sent in chunks and checked by their digests.",
            len(files),
            count=count,
            size=size,
            bucket=bucket,
        )
        super().__init__(parent, title, title, introduction=introduction)
        self._bucket, self._files, self._context = bucket, files, context
        self._replaced = set(replaced)
        self._typed = typed
        self.folder = QLineEdit(folder)
        self.folder.setProperty("role", "mono")
        self.name = QLineEdit(files[0].name if len(files) == 1 else "")
        self.name.setProperty("role", "mono")
        self.description = QLineEdit()
        self.content_type = QCheckBox(tr("Note the type of content in a header"))
        self.content_type.setChecked(True)
        self.warning = PlainLabel("", "warning", wrap=True)
        self.confirmation = QLineEdit()
        self.confirmation.setProperty("role", "mono")
        self.command = CodeBlock(lines=8)
        self.add_row(tr("Folder"), self.folder, tr("Part of the names: ends with a slash; empty for none."))
        if len(files) == 1:
            self.add_row(tr("Name"), self.name)
        self.add_row(tr("Description"), self.description)
        self.add_row(tr("Header"), self.content_type, tr("Content-Type, guessed from the file's suffix."))
        if typed is not None and replaced:
            text = tr("Type {typed_name} to go on.", typed_name=typed)
            self.add_row(tr("Confirmation"), self.confirmation, text)
        self.body.addWidget(self.warning)
        self.body.addWidget(Disclosure(tr("Command"), self.command))
        for field in (self.folder, self.name, self.description, self.confirmation):
            field.textChanged.connect(self._refresh)
        self.add_validator(self._problem)
        self._refresh()

    def targets(self) -> list[tuple[Found, str]]:
        """Each file with the name that it gets."""
        folder = self.folder.text().strip().lstrip("/")
        folder += "/" if folder and not folder.endswith("/") else ""
        if len(self._files) == 1:
            return [(self._files[0], folder + self.name.text().strip())]
        return [(file, folder + file.name) for file in self._files]

    def about(self, file: Found) -> Description:
        """What is noted of a file."""
        kind = mimetypes.guess_type(file.name)[0] if self.content_type.isChecked() else None
        headers = (("Content-Type", kind),) if kind else ()
        return Description(self.description.text().strip(), headers)

    def _problem(self) -> str:
        targets = self.targets()
        for _, name in targets:
            if problem := names.check_object(name):
                return problem
        if len({name for _, name in targets}) < len(targets):
            return tr("Two of the files would have the same name.")
        return ""

    def _refresh(self) -> None:
        targets = self.targets()
        hit = [name for _, name in targets if name in self._replaced]
        text = ""
        if len(hit) == 1:
            text = tr("{name} is there already: it is replaced.", name=hit[0])
        elif hit:
            text = tr_count(
                "{count} object is there already: it is replaced.",
                "{count} objects are there already: they are replaced.",
                len(hit),
                count=figures.integer(len(hit)),
            )
        self.warning.setText(text)
        self.warning.setVisible(bool(text))
        commands = []
        for file, name in targets[:_COMMANDS_SHOWN]:
            subject = names.info_subject(self._bucket, name) if name else ""
            about = self.about(file).description
            action = actions.put_object(self._bucket, name, subject, str(file.path), about)
            commands.append(action.equivalent(self._context.session))
        if len(targets) > _COMMANDS_SHOWN:
            commands.append("…")
        self.command.set_text("\n".join(commands))
        sure = self._typed is None or not hit or self.confirmation.text() == self._typed
        self.verb_button.setEnabled(sure)


class DescribeDialog(FormDialog):
    """Name, description, headers and metadata of an object."""

    def __init__(self, parent: QWidget, info: ObjectInfo, *, renaming: bool = False) -> None:
        title = tr("Edit {name}", name=info.name) if not renaming else tr("Rename {name}", name=info.name)
        super().__init__(parent, title, tr("Save changes"), width=620)
        self._info = info
        self.name = QLineEdit(info.name)
        self.name.setProperty("role", "mono")
        self.description = QLineEdit(info.description)
        self.headers = HeaderGrid()
        self.headers.set_headers(info.headers)
        self.headers.setMinimumHeight(130)
        self.metadata = QPlainTextEdit("\n".join(f"{key}: {value}" for key, value in info.metadata.items()))
        self.metadata.setProperty("role", "mono")
        self.metadata.setTabChangesFocus(True)
        self.metadata.setFixedHeight(84)
        self.command = CodeBlock(lines=8)
        self.add_row(tr("Name"), self.name, tr("A slash makes folders. The bytes stay where they are."))
        if not renaming:
            self.add_row(tr("Description"), self.description)
            self.add_row(tr("Headers"), self.headers)
            self.add_row(tr("Metadata"), self.metadata, tr("One “key: value” on each line."))
        self.body.addWidget(Disclosure(tr("Command"), self.command))
        self.name.textChanged.connect(self._refresh)
        self.description.textChanged.connect(self._refresh)
        self.metadata.textChanged.connect(self._refresh)
        self.headers.edited.connect(self._refresh)
        self.add_validator(self._problem)
        self._refresh()
        self.name.setFocus()
        if renaming:
            self.name.setSelection(info.name.rfind("/") + 1, len(info.name))

    def changed(self) -> ObjectInfo:
        """What the record is to be; raises `FieldError`."""
        return replace(
            self._info,
            name=self.name.text().strip(),
            description=self.description.text().strip(),
            headers=self.headers.headers(),
            metadata=parse_pairs(self.metadata.toPlainText()),
        )

    def _problem(self) -> str:
        try:
            made = self.changed()
            for name, value in made.headers:
                check_header(name, value)
        except (FieldError, ValueError) as error:
            return str(error)
        return names.check_object(made.name)

    def _refresh(self) -> None:
        try:
            made = self.changed()
        except FieldError:
            self.command.set_text("")
            self.verb_button.setEnabled(False)
            return
        self.verb_button.setEnabled(made != self._info)
        if names.check_object(made.name):
            self.command.set_text("")
            return
        subject = names.info_subject(made.bucket, made.name)
        self.command.set_text(record_text(subject, made))


class TargetDialog(FormDialog):
    """A bucket and a name there: where a copy or a link goes."""

    def __init__(
        self,
        parent: QWidget,
        title: str,
        verb: str,
        buckets: Sequence[str],
        bucket: str,
        name: str,
        introduction: str,
    ) -> None:
        super().__init__(parent, title, verb, introduction=introduction)
        self.bucket = QComboBox()
        self.bucket.addItems(list(buckets))
        self.bucket.setCurrentText(bucket)
        self.name = QLineEdit(name)
        self.name.setProperty("role", "mono")
        self.add_row(tr("Bucket"), self.bucket)
        self.add_row(tr("Name"), self.name)
        self.add_validator(lambda: names.check_object(self.name.text().strip()))
        self.name.setFocus()
        self.name.selectAll()

    def target(self) -> tuple[str, str]:
        """The bucket and the name."""
        return self.bucket.currentText(), self.name.text().strip()


class LinkDialog(FormDialog):
    """A new name, and the object or bucket it leads to."""

    def __init__(self, parent: QWidget, buckets: Sequence[str], bucket: str, name: str, to: Link) -> None:
        text = tr("A link has no bytes of its own: who reads it gets what it leads to.")
        super().__init__(parent, tr("Make a link"), tr("Make link"), introduction=text)
        self._bucket = bucket
        self.name = QLineEdit(name)
        self.name.setProperty("role", "mono")
        self.bucket = QComboBox()
        self.bucket.addItems(list(buckets))
        self.bucket.setCurrentText(to.bucket)
        self.object_name = QLineEdit(to.name)
        self.object_name.setProperty("role", "mono")
        self.object_name.setPlaceholderText(tr("the whole bucket"))
        self.command = CodeBlock(lines=8)
        self.add_row(tr("Name"), self.name)
        self.add_row(tr("Bucket"), self.bucket)
        self.add_row(tr("Object"), self.object_name, tr("Empty: the link leads to the whole bucket."))
        self.body.addWidget(Disclosure(tr("Command"), self.command))
        self.add_validator(lambda: names.check_object(self.name.text().strip()))
        for field in (self.name, self.object_name):
            field.textChanged.connect(self._refresh)
        self.bucket.currentTextChanged.connect(self._refresh)
        self._refresh()
        self.name.setFocus()

    def link(self) -> tuple[str, Link]:
        """The name, and where it leads."""
        return self.name.text().strip(), Link(self.bucket.currentText(), self.object_name.text().strip())

    def _refresh(self) -> None:
        name, link = self.link()
        if names.check_object(name):
            self.command.set_text("")
            return
        made = ObjectInfo(self._bucket, name, "…", link=link)
        self.command.set_text(record_text(names.info_subject(self._bucket, name), made))


def record_text(subject: str, info: ObjectInfo) -> str:
    """The subject and the record that are published, as they are shown: the tool has no word for it."""

    return f"{subject}\n{json.dumps(info.record(), indent=2, ensure_ascii=False)}"
