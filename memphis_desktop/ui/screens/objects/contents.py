"""What is in a bucket, read as far as it is looked at: names of all, records of a folder's page.

A large bucket costs a list of names and a few records; what changes afterwards is read by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QObject, QTimer, Signal

from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.cluster.model import StreamSnapshot
from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.objects import names, reading
from memphis_desktop.inspect.objects.model import ObjectInfo, read_info
from memphis_desktop.inspect.objects.tree import Folder, NameTree
from memphis_desktop.inspect.reader import MessageReader
from memphis_desktop.language import tr
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.shell.tasks import finish_soon

PAGE = 300  # rows shown at first, and as many more at each demand
_LOOKED_THROUGH = 20  # times the page: so many names are looked through for those that are not deleted
_BATCH = 100
_CHANGES_AT_ONCE = 500  # more than these are read all over again
_KEPT_RECORDS = 20_000
_REFRESH_MS = 2000


@dataclass(frozen=True, slots=True)
class ObjectRow:
    """A line: a folder, or an object with its record."""

    folder: Folder | None
    info: ObjectInfo | None
    shown: str  # the name as shown here, without the folder

    @property
    def key(self) -> str:
        """What tells it from others."""
        if self.folder is not None:
            return f"folder {self.folder.prefix}"
        assert self.info is not None  # it is one or the other
        return f"object {self.info.name}"


class BucketContents(QObject):
    """Reads one bucket. `changed` tells of other rows, `failed` why nothing can be read."""

    changed = Signal()
    failed = Signal(str)

    def __init__(self, context: ScreenContext, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self.bucket = ""
        self.folder = ""
        self.words: tuple[str, ...] = ()
        self.with_deleted = False
        self.limit = PAGE
        self.rows: list[ObjectRow] = []
        self.more = False  # whether there are more rows than are shown
        self.ready = False  # whether the names have been read
        self.total = 0
        self.incomplete = False  # more names than are read at most
        self.unreadable = 0
        self.tree = NameTree()
        self._infos: dict[str, ObjectInfo] = {}
        self._reader: MessageReader | None = None
        self._opening = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._again = False
        self._all = False  # read all names anew
        self._seen = 0  # the last sequence whose records are known
        self._state: tuple[int, int] | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_REFRESH_MS)
        self._timer.timeout.connect(self.refresh)

    # What to show

    def show_bucket(self, bucket: str) -> None:
        """Look at another bucket: nothing of the one before is kept."""
        if bucket == self.bucket:
            return
        self.bucket = bucket
        self.stop()
        self._infos.clear()
        self.tree = NameTree()
        self.rows = []
        self.ready = self.more = False
        self.folder, self.words, self.limit = "", (), PAGE
        self._state = None
        self.read_all()

    def show_folder(self, folder: str, words: Sequence[str] = ()) -> None:
        """Look into a folder, or for names in it that hold all of some words."""
        if (folder, tuple(words)) == (self.folder, self.words):
            return
        self.folder, self.words, self.limit = folder, tuple(words), PAGE
        self.rows = []
        self.refresh()

    def show_deleted(self, shown: bool) -> None:
        """Show those that are deleted, too."""
        if shown != self.with_deleted:
            self.with_deleted = shown
            self.refresh()

    def show_more(self) -> None:
        """Another page."""
        self.limit += PAGE
        self.refresh()

    def take(self, stream: StreamSnapshot | None) -> None:
        """The bucket's stream was read again: when something is different, so is this soon."""
        if stream is None or not stream.is_read:
            return
        state = (stream.last_sequence, stream.messages)
        if self._state is not None and state != self._state and not self._timer.isActive():
            self._timer.start()
        self._state = state

    def read_all(self) -> None:
        """Read all names anew."""
        self._all = True
        self.refresh()

    def refresh(self) -> None:
        """Read what is shown and what has changed."""
        if not self.bucket:
            return
        if self._task is not None:
            self._again = True
            return
        self._task = self._context.run(self._read(), tr("read the bucket"))
        self._task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        if self._task is not task:
            return
        self._task = None
        if self._again:
            self._again = False
            self.refresh()

    def stop(self) -> None:
        """Read nothing any more, and close the connection for reading."""
        self._timer.stop()
        self._again = False
        if self._task is not None:
            self._task.cancel()
            self._task = None
        reader, self._reader = self._reader, None
        if reader is not None:
            finish_soon(reader.close)
        self._all = True

    # Reading

    async def reader(self) -> MessageReader:
        """The reader of the bucket; raises `ReadError`."""
        bucket = self.bucket
        async with self._opening:
            if self._reader is not None and self._reader.connection.closed:
                self._reader = None
            if self._reader is None:
                made = await reading.open_reader(self._context.session, bucket)
                if bucket != self.bucket:
                    await made.close()
                    raise ReadError(0, 0, tr("Another bucket is shown now."))
                self._reader = made
            return self._reader

    async def _read(self) -> None:
        bucket = self.bucket
        try:
            reader = await self.reader()
            if self._all or not await self._read_changes(reader):
                await self._read_names(reader)
            if bucket == self.bucket:
                await self._fill(reader)
        except (ReadError, ClusterError) as error:
            if bucket == self.bucket:
                self.failed.emit(str(error))

    async def _read_names(self, reader: MessageReader) -> None:
        await reader.refresh()
        seen = reader.bounds.last
        found = await reading.list_names(reader, self.bucket)
        tree = await asyncio.to_thread(NameTree, found.names)
        self.tree, self.total = tree, found.total
        self.unreadable, self.incomplete = found.unreadable, not found.complete
        self._infos.clear()
        self._seen = seen
        self._all = False
        self.ready = True

    async def _read_changes(self, reader: MessageReader) -> bool:
        """Read the records that were written since; False when all is to be read anew."""
        await reader.refresh()
        last = reader.bounds.last
        if last < self._seen:
            return False  # another bucket of the same name
        if last == self._seen:
            return True
        page = await reader.forward(self._seen + 1, _CHANGES_AT_ONCE, names.all_infos(self.bucket))
        if len(page.messages) >= _CHANGES_AT_ONCE:
            return False
        new: set[str] = set()
        for message in page.messages:
            name = names.object_name(message.subject, self.bucket)
            if name is None:
                continue
            self._infos[name] = read_info(message, self.bucket)
            if name not in self.tree:
                new.add(name)
        if new:
            self.tree = await asyncio.to_thread(NameTree, [*self.tree.names, *new])
            self.total += len(new)
        self._seen = max(last, page.messages[-1].sequence if page.messages else 0)
        return True

    async def _fill(self, reader: MessageReader) -> None:
        """Make the rows: folders at once, objects when their records are there."""
        place = (self.folder, self.words, self.with_deleted)
        most = self.limit * _LOOKED_THROUGH
        folders: list[Folder] = []
        if self.words:
            found, more = await asyncio.to_thread(self.tree.matching, self.words, most, self.folder)
        else:
            folders, found, more = self.tree.children(self.folder, most)
        shown: list[ObjectInfo] = []
        left = max(0, self.limit - len(folders))
        position = 0
        while position < len(found) and len(shown) < left:
            part = found[position : position + _BATCH]
            await self._read_missing(reader, part)
            if place != (self.folder, self.words, self.with_deleted):
                return  # somebody looks elsewhere; that is read next
            infos = [self._infos[name] for name in part if name in self._infos]
            shown += [info for info in infos if self.with_deleted or not info.deleted]
            position += len(part)
        self.more = more or position < len(found) or len(shown) > left
        shown = shown[:left]
        cut = len(self.folder)
        self.rows = [ObjectRow(folder, None, folder.name) for folder in folders]
        self.rows += [ObjectRow(None, info, info.name[cut:]) for info in shown]
        self.changed.emit()

    async def _read_missing(self, reader: MessageReader, wanted: Sequence[str]) -> None:
        missing = [name for name in wanted if name not in self._infos]
        if not missing:
            return
        if len(self._infos) > _KEPT_RECORDS:
            self._infos = {name: self._infos[name] for name in wanted if name in self._infos}
        async for infos in reading.read_infos(reader, self.bucket, missing):
            for info in infos:
                self._infos[info.name] = info

    async def below(self, folder: str, most: int) -> list[ObjectInfo]:
        """What is in a folder at any depth and not deleted; raises `ReadError`."""
        found, _ = self.tree.below(folder, most)
        reader = await self.reader()
        infos: list[ObjectInfo] = []
        async for part in reading.read_infos(reader, self.bucket, found):
            infos += [info for info in part if not info.deleted]
        return infos
