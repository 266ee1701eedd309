"""Files as the store sees them, behind one small interface that tests can simulate.

The store appends, reads ranges, syncs, renames and unlinks: nothing else. A simulated file system can
therefore fail any of these, cut writes short, or forget what was not synced.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Protocol

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

# Errors that mean "no room", as against a failing medium.
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT if hasattr(errno, "EDQUOT") else errno.ENOSPC, errno.EFBIG})
# Errors that mean "too many open files".
NO_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})


class File(Protocol):
    """An open file. Offsets are bytes; all errors are OSError."""

    def write(self, data: bytes | memoryview) -> int:
        """Append at the end and return how many bytes were taken, which may be fewer."""

    def overwrite(self, data: bytes, offset: int) -> None:
        """Replace bytes in place."""

    def read(self, size: int, offset: int) -> bytes:
        """Return up to `size` bytes from `offset`; fewer at the end only."""

    def size(self) -> int:
        """Return the length of the file."""

    def truncate(self, size: int) -> None:
        """Cut the file; the next write appends there."""

    def reserve(self, offset: int, size: int) -> bool:
        """Make the file longer by zeros, without writing them; False where the system has no such thing.

        What is overwritten there later is synced without the file's length, which saves a third of the time.
        """

    def sync(self) -> None:
        """Return when all that was written is on the medium. Called from worker threads."""

    def close(self) -> None:
        """Let go of the descriptor; does nothing the second time."""


class FileSystem(ABC):
    """The operations on names. All errors are OSError."""

    @abstractmethod
    def create(self, path: Path) -> File:
        """Create a file that must not exist and open it for appending and reading."""

    @abstractmethod
    def open(self, path: Path, *, write: bool = False) -> File:
        """Open an existing file for reading, or for appending too."""

    @abstractmethod
    def rename(self, old: Path, new: Path) -> None:
        """Rename a file or folder, replacing a file of that name atomically."""

    @abstractmethod
    def unlink(self, path: Path) -> None:
        """Remove a file."""

    @abstractmethod
    def make_folder(self, path: Path) -> None:
        """Create a folder whose parent exists; nothing happens when it exists."""

    @abstractmethod
    def remove_folder(self, path: Path) -> None:
        """Remove an empty folder."""

    @abstractmethod
    def list(self, path: Path) -> list[str]:
        """Return the names in a folder, sorted; empty when there is no such folder."""

    @abstractmethod
    def is_folder(self, path: Path) -> bool:
        """Return whether this is a folder."""

    @abstractmethod
    def exists(self, path: Path) -> bool:
        """Return whether there is such a file or folder."""

    @abstractmethod
    def sync_folder(self, path: Path) -> None:
        """Make creations, renames and removals in this folder durable."""

    @abstractmethod
    def free_bytes(self, path: Path) -> int:
        """Return how many bytes may still be written on the medium that holds `path`."""

    @abstractmethod
    def lock(self, path: Path) -> File:
        """Open `path`, creating it, and lock it for this process until it is closed.

        Raises:
            BlockingIOError: another process holds it.
        """

    def at_hand(self, file: File, size: int, offset: int) -> bool:
        """Return whether bytes of a file lie in memory, as far as the system tells."""
        return not isinstance(file, OsFile) or file.at_hand(size, offset)

    def bring(self, path: Path, size: int, offset: int) -> None:
        """Have the system read bytes of a file into memory; waits for the medium."""
        file = self.open(path)
        try:
            file.read(size, offset)
        finally:
            file.close()

    def random_bytes(self, size: int) -> bytes:
        """Return unpredictable bytes."""
        return os.urandom(size)

    def read_whole(self, path: Path) -> bytes:
        """Return the content of a file."""
        file = self.open(path)
        try:
            return file.read(file.size(), 0)
        finally:
            file.close()

    def replace(self, path: Path, content: bytes, *, synced: bool = True) -> None:
        """Write a file atomically and durably: temporary file, sync, rename, folder sync.

        Without `synced` neither sync is done.
        """
        temporary = path.with_name(path.name + ".tmp")
        if self.exists(temporary):
            self.unlink(temporary)
        file = self.create(temporary)
        try:
            write_all(file, content)
            if synced:
                file.sync()
        except BaseException:
            file.close()
            with contextlib.suppress(OSError):
                self.unlink(temporary)
            raise
        file.close()
        self.rename(temporary, path)
        if synced:
            self.sync_folder(path.parent)

    def remove_tree(self, path: Path) -> None:
        """Remove a folder and everything in it."""
        for name in self.list(path):
            child = path / name
            if self.is_folder(child):
                self.remove_tree(child)
            else:
                self.unlink(child)
        self.remove_folder(path)


def write_all(file: File, data: bytes | memoryview) -> None:
    """Append all of `data`, going on after a short write."""
    written = file.write(data)
    if written == len(data):
        return
    view = memoryview(data)
    while written < len(data):
        taken = file.write(view[written:])
        if taken <= 0:
            raise OSError(errno.EIO, "the write made no progress")
        written += taken


class OsFile:
    """A file of the operating system."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def overwrite(self, data: bytes, offset: int) -> None:
        """Replace bytes in place."""
        if sys.platform == "win32":
            os.lseek(self._fd, offset, os.SEEK_SET)
            os.write(self._fd, data)
            os.lseek(self._fd, 0, os.SEEK_END)
            return
        # The descriptor has no O_APPEND, which would send pwrite to the end on Linux.
        written = os.pwrite(self._fd, data, offset)
        while written < len(data):
            written += os.pwrite(self._fd, data[written:], offset + written)

    def write(self, data: bytes | memoryview) -> int:
        """Append at the end (the descriptor's position is always there)."""
        return os.write(self._fd, data)

    def read(self, size: int, offset: int) -> bytes:
        """Return up to `size` bytes from `offset`."""
        if sys.platform == "win32":
            os.lseek(self._fd, offset, os.SEEK_SET)
            data = os.read(self._fd, size)
            os.lseek(self._fd, 0, os.SEEK_END)
            return data
        data = os.pread(self._fd, size, offset)
        if len(data) == size or not data:
            return data
        parts = [data]
        length = len(data)
        while length < size:
            data = os.pread(self._fd, size - length, offset + length)
            if not data:
                break
            parts.append(data)
            length += len(data)
        return b"".join(parts)

    def at_hand(self, size: int, offset: int) -> bool:
        """Return whether these bytes lie in memory; where the system does not tell, they do."""
        if sys.platform != "linux":
            return True
        try:
            return os.preadv(self._fd, [bytearray(size)], offset, os.RWF_NOWAIT) >= size
        except BlockingIOError:
            return False
        except OSError:  # not every file system knows
            return True

    def size(self) -> int:
        """Return the length of the file."""
        return os.fstat(self._fd).st_size

    def truncate(self, size: int) -> None:
        """Cut the file and stand at its end."""
        os.ftruncate(self._fd, size)
        os.lseek(self._fd, size, os.SEEK_SET)

    def reserve(self, offset: int, size: int) -> bool:
        """Make the file longer by zeros; the next write appends behind them."""
        if sys.platform != "linux":
            return False
        os.posix_fallocate(self._fd, offset, size)
        os.lseek(self._fd, offset + size, os.SEEK_SET)
        return True

    def sync(self) -> None:
        """Bring it to the medium, past the drive's cache on macOS too."""
        if sys.platform == "darwin":
            fcntl.fcntl(self._fd, fcntl.F_FULLFSYNC)
        elif sys.platform == "win32":
            os.fsync(self._fd)
        else:
            os.fdatasync(self._fd)

    def close(self) -> None:
        """Let go of the descriptor."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


_CLOEXEC = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOINHERIT", 0)


class OsFileSystem(FileSystem):
    """The real thing."""

    def create(self, path: Path) -> File:
        """Create a file readable by its owner only."""
        return OsFile(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _CLOEXEC, 0o600))

    def open(self, path: Path, *, write: bool = False) -> File:
        """Open it; with `write` at its end."""
        fd = os.open(path, (os.O_RDWR if write else os.O_RDONLY) | _CLOEXEC)
        if write:
            os.lseek(fd, 0, os.SEEK_END)
        return OsFile(fd)

    def rename(self, old: Path, new: Path) -> None:
        """Rename, replacing a file."""
        os.replace(old, new)

    def unlink(self, path: Path) -> None:
        """Remove a file."""
        os.unlink(path)

    def make_folder(self, path: Path) -> None:
        """Create a folder for the owner only."""
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o700)

    def remove_folder(self, path: Path) -> None:
        """Remove an empty folder."""
        os.rmdir(path)

    def list(self, path: Path) -> list[str]:
        """Return the names in a folder."""
        try:
            return sorted(os.listdir(path))
        except FileNotFoundError:
            return []

    def is_folder(self, path: Path) -> bool:
        """Return whether this is a folder (a link to one is not)."""
        return path.is_dir() and not path.is_symlink()

    def exists(self, path: Path) -> bool:
        """Return whether there is such a name."""
        return os.path.lexists(path)

    def sync_folder(self, path: Path) -> None:
        """Sync a folder; Windows has no such thing and orders these itself."""
        if sys.platform == "win32":
            return
        fd = os.open(path, os.O_RDONLY | _CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def free_bytes(self, path: Path) -> int:
        """Return what an ordinary user may still write."""
        if sys.platform == "win32":
            import shutil

            return shutil.disk_usage(path).free
        status = os.statvfs(path)
        return status.f_bavail * status.f_frsize

    def lock(self, path: Path) -> File:
        """Lock for this process; the system lets go of it when the process ends, however it ends."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | _CLOEXEC, 0o600)
        try:
            if sys.platform == "win32":
                try:
                    msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
                except OSError as error:
                    raise BlockingIOError(errno.EAGAIN, "locked") from error
            else:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            os.close(fd)
            raise
        return OsFile(fd)
