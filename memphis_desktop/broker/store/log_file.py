"""One file of a stream's log or of a journal: its name, its header, and records appended to it."""

from __future__ import annotations

import contextlib
import logging
import re
from array import array
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from struct import Struct
from zlib import crc32

from memphis_desktop.broker.store.files import NO_DESCRIPTORS, File, FileSystem, write_all
from memphis_desktop.broker.store.interface import StorageError

logger = logging.getLogger(__name__)

FORMAT_VERSION = 1
_MAGIC = b"MEMPHLOG"
# magic, version, flags, salt, number, base, number of the previous file, its end, end sequence of a compacted
# file, time
_HEAD = Struct("<8sHHIQQQQQQ")
_CHECKSUM = Struct("<I")
FILE_HEADER_SIZE = 80
WHOLE = (1 << 64) - 1  # the previous file counts to its end
COMPACTED = 1
# Some hundreds of small messages. What a killed process leaves of it is read at the next start.
_ROOM = 64 * 1024
_NAME = re.compile(r"(\d{10})-(\d{20})-([0-9a-f]{8})(?:-(\d+))?\.log\Z")


class Descriptors:
    """Keeps few of many files open: the least recently used one is closed when there are too many."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: OrderedDict[LogFile, None] = OrderedDict()
        self.newest: LogFile | None = None  # the one used last

    def used(self, file: LogFile) -> None:
        """Note that a file was opened or used again."""
        self._open[file] = None
        self._open.move_to_end(file)
        self.newest = file
        if len(self._open) > self._most:
            self.close_one(file)

    def close_one(self, keep: LogFile | None = None) -> bool:
        """Close the least recently used file that nothing is under way with; False when there is none."""
        for file in self._open:
            if not file.pins and file is not keep:
                file.release()
                return True
        return False

    def forget(self, file: LogFile) -> None:
        """Note that a file was closed."""
        self._open.pop(file, None)
        if self.newest is file:
            self.newest = None


class LogFile:
    """A file of records.

    `end` is where the next record goes: all before is whole as far as is known. From there to `room`, when
    that is not 0, the file has zeros that the next records replace. `pins` counts users that
    need the descriptor to stay open (a sync in a thread).
    """

    __slots__ = (
        "_descriptors",
        "_file",
        "_files",
        "base",
        "controls",
        "dirty",
        "end",
        "end_sequence",
        "flags",
        "generation",
        "identifier_time",
        "index_bytes",
        "indexed",
        "indexed_end",
        "number",
        "path",
        "pins",
        "previous_end",
        "previous_number",
        "removed",
        "room",
        "salt",
        "unclean",
    )

    def __init__(
        self, files: FileSystem, descriptors: Descriptors, path: Path, number: int, base: int, salt: int
    ) -> None:
        self._files = files
        self._descriptors = descriptors
        self._file: File | None = None
        self.path = path
        self.number = number
        self.base = base
        self.salt = salt
        self.flags = 0
        self.generation = 0  # how often it was compacted
        self.previous_number = 0
        self.previous_end = WHOLE  # what lies behind this in the previous file does not count
        self.end_sequence = 0
        self.end = FILE_HEADER_SIZE
        self.room = 0
        self.dirty = False
        self.pins = 0
        self.removed = False
        self.unclean = False  # something lies behind `end`: nothing is appended here any more
        self.identifier_time = 0  # of the newest message whose id stands here in a record of its own
        self.controls = array("I")  # offsets of the records that are no messages
        # What the index file covers: messages, bytes of the log, and its own length.
        self.indexed = 0
        self.indexed_end = FILE_HEADER_SIZE
        self.index_bytes = 0

    @property
    def index_path(self) -> Path:
        """Where the index of this file lies."""
        return self.path.with_suffix(".idx")

    @classmethod
    def parse_name(cls, files: FileSystem, descriptors: Descriptors, path: Path) -> LogFile | None:
        """Return the file that a name stands for; None when it is not one of ours."""
        match = _NAME.match(path.name)
        if match is None:
            return None
        file = cls(files, descriptors, path, int(match[1]), int(match[2]), int(match[3], 16))
        file.generation = int(match[4] or 0)
        return file

    @classmethod
    def create(
        cls,
        files: FileSystem,
        descriptors: Descriptors,
        folder: Path,
        number: int,
        base: int,
        time_ns: int,
        *,
        previous_number: int = 0,
        previous_end: int = WHOLE,
        flags: int = 0,
        end_sequence: int = 0,
        generation: int = 0,
    ) -> LogFile:
        """Create a file and write its header. The folder is not synced.

        Raises:
            OSError: as the system said.
        """
        salt = int.from_bytes(files.random_bytes(4), "little")
        # One that takes another's place gets its name when it is complete.
        name = f"{number:010d}-{base:020d}-{salt:08x}"
        name += f"-{generation}.log.tmp" if generation else ".log"
        path = folder / name
        log_file = cls(files, descriptors, path, number, base, salt)
        log_file.previous_number = previous_number
        log_file.previous_end = previous_end
        log_file.flags = flags
        log_file.end_sequence = end_sequence
        log_file.generation = generation
        file = retry_open(descriptors, lambda: files.create(path))
        head = _HEAD.pack(
            _MAGIC,
            FORMAT_VERSION,
            flags,
            salt,
            number,
            base,
            previous_number,
            previous_end,
            end_sequence,
            time_ns,
        )
        try:
            write_all(file, (head + _CHECKSUM.pack(crc32(head))).ljust(FILE_HEADER_SIZE, b"\x00"))
        except BaseException:
            file.close()
            with contextlib.suppress(OSError):
                files.unlink(path)
            raise
        log_file._file = file
        log_file.dirty = True
        descriptors.used(log_file)
        return log_file

    def read_header(self, head: bytes) -> bool:
        """Take over what the file's header says; False when it is damaged (the name is enough to go on).

        Raises:
            StorageError: the file was written by a newer version.
        """
        if len(head) < _HEAD.size + 4:
            return False
        (checksum,) = _CHECKSUM.unpack_from(head, _HEAD.size)
        if checksum != crc32(head[: _HEAD.size]):
            return False
        magic, version, flags, salt, number, base, *previous, end_sequence, _ = _HEAD.unpack_from(head)
        if magic != _MAGIC or (salt, number, base) != (self.salt, self.number, self.base):
            return False
        if version > FORMAT_VERSION:
            raise StorageError(f"{self.path} was written by a newer version of Memphis Desktop")
        self.flags, self.end_sequence = flags, end_sequence
        self.previous_number, self.previous_end = previous
        return True

    def __hash__(self) -> int:
        return id(self)

    def handle(self) -> File:
        """Return the open file.

        Raises:
            OSError: it cannot be opened.
        """
        file = self._file
        if file is None:
            file = self._file = retry_open(self._descriptors, lambda: self._files.open(self.path, write=True))
        self._descriptors.used(self)
        return file

    def append(self, data: bytes) -> None:
        """Write at the end with one call; after a failure the file is cut back to where it was.

        Raises:
            OSError: nothing was written.
        """
        file = self._file
        if file is None or self._descriptors.newest is not self:
            file = self.handle()
        if self.room and self.end + len(data) > self.room:
            file.truncate(self.end)
            self.room = 0
        try:
            if self.room:
                file.overwrite(data, self.end)
            elif (written := file.write(data)) != len(data):
                write_all(file, memoryview(data)[written:])
        except BaseException:
            file.truncate(self.end)
            self.room = 0
            raise
        self.end += len(data)
        self.dirty = True

    def make_room(self) -> None:
        """Set room aside for the next records, unless there is some: for a file that is synced often.

        The next sync has to bring it to the medium. Where it cannot be had, nothing is lost.
        """
        if self.room:
            return
        with contextlib.suppress(OSError):
            if self.handle().reserve(self.end, _ROOM):
                self.room = self.end + _ROOM

    def trim(self) -> None:
        """Give back the room behind the last record; none is appended any more, or many at a time."""
        if not self.room:
            return
        self.room = 0
        try:
            self.handle().truncate(self.end)
        except OSError as error:
            logger.warning("%s: could not be cut to its length: %s", self.path, error)

    def final_path(self) -> Path:
        """Return the name that a file made to take another's place gets."""
        return self.path.with_name(self.path.name.removesuffix(".tmp"))

    def read(self, size: int, offset: int) -> bytes:
        """Return bytes of the file.

        Raises:
            OSError: the medium failed.
        """
        return self.handle().read(size, offset)

    def release(self) -> None:
        """Close the descriptor; it opens again when needed. What is not synced stays unsynced."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._descriptors.forget(self)

    def unlink(self) -> None:
        """Close and remove the file and its index. The folder is not synced."""
        self.removed = True
        self.release()
        self._files.unlink(self.path)
        if self.index_bytes:
            with contextlib.suppress(FileNotFoundError):
                self._files.unlink(self.index_path)


def retry_open(descriptors: Descriptors, opening: Callable[[], File]) -> File:
    """Open a file, closing others as long as the system says that there are too many.

    Raises:
        OSError: as the system said, once nothing is left to close.
    """
    while True:
        try:
            return opening()
        except OSError as error:
            if error.errno not in NO_DESCRIPTORS or not descriptors.close_one():
                raise
