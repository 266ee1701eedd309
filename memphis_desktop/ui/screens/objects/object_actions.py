"""What can be done with objects: each asks, shows its command, acts, and says what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PySide6.QtWidgets import QFileDialog, QWidget

from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.objects import names, reading, writing
from memphis_desktop.inspect.objects.model import Link, ObjectInfo, digest_bytes
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.dialogs import ConfirmDialog
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.objects.bucket_actions import BucketActions
from memphis_desktop.ui.screens.objects.contents import BucketContents, ObjectRow
from memphis_desktop.ui.screens.objects.dialogs import (
    MOST_FILES,
    DescribeDialog,
    LinkDialog,
    TargetDialog,
    UploadDialog,
    find_files,
)
from memphis_desktop.ui.screens.objects.transfers import Transfer, Transfers
from memphis_desktop.ui.screens.station_backup import documents

_COMMANDS_SHOWN = 20
_MOST_AT_ONCE = 10_000


class ObjectActions:
    """The actions of the screen of a bucket."""

    def __init__(
        self, context: ScreenContext, parent: QWidget, contents: BucketContents, transfers: Transfers
    ) -> None:
        self._context = context
        self._parent = parent
        self._contents = contents
        self._transfers = transfers
        self.buckets = BucketActions(context, parent)

    @property
    def refusal(self) -> str:
        """Why nothing can be changed in this bucket now; empty when it can."""
        return self.buckets.refusal_of(self._contents.bucket)

    # Uploading

    def choose_files(self) -> None:
        """Let the user choose what to upload."""
        dialog = QFileDialog(self._parent, tr("Files to upload"), documents())
        dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
        dialog.filesSelected.connect(lambda paths: self.upload_soon([Path(path) for path in paths]))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def choose_folder(self) -> None:
        """Let the user choose a folder to upload with all in it."""
        dialog = QFileDialog(self._parent, tr("Folder to upload"), documents())
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        dialog.fileSelected.connect(lambda path: self.upload_soon([Path(path)]))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def upload_soon(self, paths: list[Path]) -> None:
        """Ask for what is to be known, then upload."""
        if refusal := self.refusal:
            self._context.notify(refusal, "warning")
        elif paths:
            self._context.run(self.upload(paths), tr("upload the files"))

    async def upload(self, paths: Sequence[Path]) -> None:
        """Ask, then upload files and folders."""
        bucket, folder = self._contents.bucket, self._contents.folder
        files, problems = await asyncio.to_thread(find_files, paths)
        if problems:
            text = tr_count(
                "{count} file cannot be read: {first}",
                "{count} files cannot be read, among them {first}",
                len(problems),
                count=figures.integer(len(problems)),
                first=problems[0],
            )
            self._context.notify(text, "warning")
        if len(files) >= MOST_FILES:
            self._context.notify(
                tr("Only the first {count} files are taken.", count=figures.integer(MOST_FILES)), "warning"
            )
        if not files:
            self._context.notify(tr("There are no files to upload."), "warning")
            return
        there = await self._present([folder + file.name for file in files])
        dialog = UploadDialog(
            self._context, self._parent, bucket, folder, files, there, self.buckets.typed(bucket)
        )
        if not await dialog.ask():
            return
        session = self._context.session
        made = []
        for file, name in dialog.targets():
            work = partial(writing.upload, session, bucket, name, file.path, dialog.about(file))
            made.append(Transfer("upload", name, file.size, work))
        self._transfers.begin(made)

    async def _present(self, wanted: Sequence[str]) -> list[str]:
        """Which of these names there are already, not deleted."""
        known = [name for name in wanted if name in self._contents.tree]
        try:
            reader = await self._contents.reader()
            found = [info async for part in reading.read_infos(reader, reader_bucket(reader.stream), known)
                     for info in part]  # fmt: skip
        except ReadError:
            return known
        return [info.name for info in found if not info.deleted]

    # Downloading

    def download(self, rows: Sequence[ObjectRow]) -> None:
        """Ask where to, then write files: one under a name that can be changed, several into a folder."""
        if len(rows) == 1 and rows[0].info is not None:
            info = rows[0].info
            start = str(Path(documents(), names.safe_file_name(info.name)))
            dialog = QFileDialog(self._parent, tr("Save object as"), start)
            dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
            dialog.selectFile(names.safe_file_name(info.name))
            dialog.fileSelected.connect(lambda path: self.download_to([(info, Path(path))]))
        else:
            dialog = QFileDialog(self._parent, tr("Folder for the files"), documents())
            dialog.setFileMode(QFileDialog.FileMode.Directory)
            dialog.setOption(QFileDialog.Option.ShowDirsOnly)
            chosen = list(rows)
            dialog.fileSelected.connect(
                lambda path: self._context.run(
                    self.download_into(chosen, Path(path)), tr("download the objects")
                )
            )
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def download_to(self, targets: Sequence[tuple[ObjectInfo, Path]]) -> None:
        """Write objects to files."""
        session = self._context.session
        made = []
        for info, path in targets:
            work = partial(reading.download, session, info, path)
            made.append(Transfer("download", info.name, info.size, work, path))
        self._transfers.begin(made)

    async def download_into(self, rows: Sequence[ObjectRow], folder: Path) -> None:
        """Write objects, and all in folders, into a folder here; what is there is not written over."""
        infos = await self._infos(rows)
        targets = await asyncio.to_thread(_free_paths, infos, folder, self._contents.folder)
        self.download_to(targets)

    async def _infos(self, rows: Sequence[ObjectRow]) -> list[ObjectInfo]:
        infos: list[ObjectInfo] = []
        for row in rows:
            if row.info is not None and not row.info.deleted:
                infos.append(row.info)
            elif row.folder is not None:
                infos += await self._contents.below(row.folder.prefix, _MOST_AT_ONCE)
        return infos

    # Checking

    def verify(self, infos: Sequence[ObjectInfo]) -> None:
        """Read all bytes and compare the digests."""
        session = self._context.session
        made = []
        for info in infos:
            work = partial(reading.verify, session, info)
            made.append(Transfer("verify", info.name, info.size, work))
        self._transfers.begin(made)

    def compare(self, info: ObjectInfo) -> None:
        """Let the user choose a file, and say whether it is the same."""
        dialog = QFileDialog(self._parent, tr("File to compare with"), documents())
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(
            lambda path: self._context.run(self.compare_with(info, Path(path)), tr("compare the file"))
        )
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    async def compare_with(self, info: ObjectInfo, path: Path) -> None:
        """Say whether a file has the bytes of an object, by size and digest."""
        digest, size = await asyncio.to_thread(reading.file_digest, path)
        if digest == digest_bytes(info.digest) and size == info.size:
            text = tr("{file} and {name} are the same, byte for byte.", file=path.name, name=info.name)
            self._context.notify(text, "good")
        elif size != info.size:
            text = tr(
                "{file} is another: it has {size}, {name} has {other}.",
                file=path.name,
                size=figures.bytes_size(size),
                name=info.name,
                other=figures.bytes_size(info.size),
            )
            self._context.notify(text, "warning")
        else:
            text = tr(
                "{file} is as large as {name}, and has other bytes: its digest differs.",
                file=path.name,
                name=info.name,
            )
            self._context.notify(text, "warning")

    # Changing

    async def describe(self, info: ObjectInfo, *, renaming: bool = False) -> None:
        """Change what is said of an object, or its name."""
        dialog = DescribeDialog(self._parent, info, renaming=renaming)
        if not await dialog.ask():
            return
        made = dialog.changed()
        await writing.describe(self._context.session, info, made)
        if made.name != info.name:
            self._contents.read_all()
            text = tr("{name} is now {target}.", name=info.name, target=made.name)
        else:
            self._contents.refresh()
            text = tr("{name} was changed.", name=info.name)
        self._context.notify(text, "good")

    async def copy(self, info: ObjectInfo) -> None:
        """Store the bytes of an object once more."""
        text = tr(
            "The bytes pass through this program and are checked on the way: {size}.",
            size=figures.bytes_size(info.size),
        )
        dialog = TargetDialog(
            self._parent,
            tr("Copy {name}", name=info.name),
            tr("Copy"),
            self.bucket_names(),
            info.bucket,
            info.name,
            text,
        )
        if not await dialog.ask():
            return
        bucket, name = dialog.target()
        session = self._context.session
        if bucket == info.bucket and name in await self._present([name]):
            title = tr("Replace {name}?", name=name)
            text = tr("There is an object with this name. Its bytes are lost for good.")
            asking = ConfirmDialog(self._parent, title, text, tr("Replace"), self.buckets.typed(name))
            if not await asking.ask():
                return
        work = partial(writing.copy, session, info, bucket, name)
        self._transfers.begin([Transfer("copy", name, info.size, work)])

    async def link(self, info: ObjectInfo | None) -> None:
        """Make a name that leads to an object or a bucket."""
        bucket = self._contents.bucket
        to = Link(bucket, info.name if info is not None else "")
        name = tr("{name} link", name=info.name) if info is not None else self._contents.folder
        dialog = LinkDialog(self._parent, self.bucket_names(), bucket, name, to)
        if not await dialog.ask():
            return
        name, to = dialog.link()
        await writing.link(self._context.session, bucket, name, to)
        self._contents.refresh()
        self._context.notify(tr("The link {name} was made.", name=name), "good")

    async def delete(self, rows: Sequence[ObjectRow]) -> None:
        """Delete objects, and all in folders, after asking."""
        infos = await self._infos(rows)
        if not infos:
            return
        session = self._context.session
        count, size = len(infos), figures.bytes_size(sum(info.size for info in infos))
        number = figures.integer(count)
        text = tr_count(
            "{count} object ({size}) is lost for good. Links that lead to it lead nowhere then.",
            "{count} objects ({size}) are lost for good. Links that lead to them lead nowhere then.",
            count,
            count=number,
            size=size,
        )
        if count == 1:
            name = infos[0].name
            title, verb = tr("Delete object {name}?", name=name), tr("Delete object")
        else:
            name = tr_count("{count} object", "{count} objects", count, count=number)
            title = tr_count("Delete {count} object?", "Delete {count} objects?", count, count=number)
            verb = tr_count("Delete {count} object", "Delete {count} objects", count, count=number)
            listed = ", ".join(info.name for info in infos[:8]) + (" …" if count > 8 else "")
            text = f"{text}\n{listed}"
        commands = [writing.deletion(info).equivalent(session) for info in infos[:_COMMANDS_SHOWN]]
        commands += ["…"] if count > _COMMANDS_SHOWN else []
        dialog = ConfirmDialog(
            self._parent, title, text, verb, self.buckets.typed(name), command="\n\n".join(commands)
        )
        if not await dialog.ask():
            return
        try:
            for info in infos:
                await writing.delete(session, info)
        finally:
            self._contents.refresh()
        done = (
            tr("{name} was deleted.", name=infos[0].name)
            if count == 1
            else tr_count("{count} object was deleted.", "{count} objects were deleted.", count, count=number)
        )
        self._context.notify(done, "good")

    def bucket_names(self) -> list[str]:
        """All buckets of the connection."""
        streams = self._context.session.snapshot.streams
        found = {bucket for name in streams if (bucket := names.bucket_name(name)) is not None}
        return sorted(found | {self._contents.bucket})


def reader_bucket(stream: str) -> str:
    """The bucket of a stream that is known to hold one."""
    return stream.removeprefix(names.PREFIX)


def _free_paths(infos: Sequence[ObjectInfo], folder: Path, base: str) -> list[tuple[ObjectInfo, Path]]:
    """Where each object goes below a folder: never outside, never twice the same, never over a file."""
    taken: set[str] = set()
    targets: list[tuple[ObjectInfo, Path]] = []
    for info in infos:
        relative = info.name.removeprefix(base)
        place = folder.joinpath(*names.safe_folders(relative))
        place.mkdir(parents=True, exist_ok=True)
        path = place / names.safe_file_name(relative)
        number = 1
        while str(path).casefold() in taken or path.exists():
            number += 1
            plain = Path(names.safe_file_name(relative))
            path = place / f"{plain.stem} ({number}){plain.suffix}"
        taken.add(str(path).casefold())
        targets.append((info, path))
    return targets
