"""A file system in memory that fails on demand and forgets, at a power loss, what was not synced.

What was written since the last sync of each file is recorded. From that any state can be made that a power
loss may leave: synced bytes are there; unsynced writes are there, missing, torn or replaced by zeros, each on
its own, block by block; unsynced creations, renames and removals happened or did not.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from memphis_desktop.broker.store.files import File, FileSystem

BLOCK = 512


@dataclass(eq=False)
class Inode:
    """The content of one file: as the system shows it, and as the medium is sure to have it."""

    content: bytearray = field(default_factory=bytearray)
    durable: bytes = b""
    # Writes since the last sync: (offset, bytes); a truncation is (size, None).
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)

    def synced(self) -> None:
        self.durable = bytes(self.content)
        self.pending.clear()

    def after_power_loss(self, chance: random.Random) -> Inode:
        """Return what may be left of it."""
        content = bytearray(self.durable)
        for offset, data in self.pending:
            fate = chance.random()
            if data is None:
                if fate < 0.5:
                    del content[offset:]
                continue
            if fate < 0.3:
                continue
            if fate < 0.6:
                self._put(content, offset, data)
                continue
            for start in range(0, len(data), BLOCK):
                part = data[start : start + BLOCK]
                kind = chance.random()
                if kind < 0.45:
                    self._put(content, offset + start, part)
                elif kind < 0.6:
                    self._put(content, offset + start, part[: chance.randrange(len(part))])
                elif kind < 0.7:
                    self._put(content, offset + start, bytes(len(part)))
        left = Inode(content)
        left.durable = bytes(content)
        return left

    @staticmethod
    def _put(content: bytearray, offset: int, data: bytes) -> None:
        if len(content) < offset:
            content.extend(bytes(offset - len(content)))
        content[offset : offset + len(data)] = data


class SimulatedFile:
    """An open file."""

    def __init__(self, system: SimulatedFileSystem, inode: Inode, path: Path) -> None:
        self._system = system
        self._inode = inode
        self._path = path
        self._open = True
        system.open_files += 1

    def write(self, data: bytes | memoryview) -> int:
        taken = self._system.before_write(self._path, len(data))
        part = bytes(data[:taken])
        self._inode.pending.append((len(self._inode.content), part))
        self._inode.content.extend(part)
        return taken

    def overwrite(self, data: bytes, offset: int) -> None:
        self._system.before("write", self._path)
        self._inode.pending.append((offset, data))
        self._inode.content[offset : offset + len(data)] = data

    def read(self, size: int, offset: int) -> bytes:
        self._system.before("read", self._path)
        return bytes(self._inode.content[offset : offset + size])

    def size(self) -> int:
        return len(self._inode.content)

    def truncate(self, size: int) -> None:
        self._system.before("truncate", self._path)
        if self._system.room is not None:
            self._system.room += max(len(self._inode.content) - size, 0)
        del self._inode.content[size:]
        self._inode.pending.append((size, None))

    def reserve(self, offset: int, size: int) -> bool:
        self._system.before("reserve", self._path)
        if self._system.room is not None:
            if self._system.room < size:
                raise OSError(errno.ENOSPC, "no space left on device", str(self._path))
            self._system.room -= size
        assert offset == len(self._inode.content)
        self._inode.pending.append((offset, bytes(size)))
        self._inode.content.extend(bytes(size))
        return True

    def sync(self) -> None:
        self._system.before("sync", self._path)
        self._inode.synced()

    def close(self) -> None:
        if self._open:
            self._open = False
            self._system.open_files -= 1


class SimulatedFileSystem(FileSystem):
    """Files and folders in memory.

    `fail` is asked before each operation: it gets the kind, the path and how many operations of this kind
    there were, and may return an errno. `room` is how many bytes may still be written, None for no limit.
    """

    def __init__(self) -> None:
        self.files: dict[Path, Inode] = {}
        self.folders: set[Path] = set()
        self.durable_names: dict[Path, Inode] = {}
        self.durable_folders: set[Path] = set()
        self.locked: set[Path] = set()
        self.open_files = 0
        self.most_open: int | None = None
        self.room: int | None = None
        self.fail: Callable[[str, Path, int], int | None] = lambda kind, path, count: None
        self.counts: dict[str, int] = {}
        self._random = random.Random(1)

    def before(self, kind: str, path: Path) -> None:
        """Count an operation, and fail it when asked to."""
        count = self.counts[kind] = self.counts.get(kind, 0) + 1
        number = self.fail(kind, path, count)
        if number is not None:
            raise OSError(number, errno.errorcode[number], str(path))

    def before_write(self, path: Path, size: int) -> int:
        """Return how many bytes of a write are taken."""
        self.before("write", path)
        if self.room is None:
            return size
        if self.room <= 0:
            raise OSError(errno.ENOSPC, "no space left on device", str(path))
        taken = min(size, self.room)
        self.room -= taken
        return taken

    def _opened(self, inode: Inode, path: Path) -> File:
        if self.most_open is not None and self.open_files >= self.most_open:
            raise OSError(errno.EMFILE, "too many open files", str(path))
        return SimulatedFile(self, inode, path)

    def create(self, path: Path) -> File:
        self.before("create", path)
        if path in self.files:
            raise FileExistsError(errno.EEXIST, "exists", str(path))
        file = self._opened(inode := Inode(), path)
        self.files[path] = inode
        return file

    def open(self, path: Path, *, write: bool = False) -> File:
        self.before("open", path)
        if path not in self.files:
            raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
        return self._opened(self.files[path], path)

    def rename(self, old: Path, new: Path) -> None:
        self.before("rename", old)
        if old in self.folders:
            for names in (self.files, self.durable_names):
                for path in [path for path in names if old in path.parents]:
                    names[new / path.relative_to(old)] = names.pop(path)
            for folders in (self.folders, self.durable_folders):
                for path in [path for path in folders if path == old or old in path.parents]:
                    folders.remove(path)
                    folders.add(new / path.relative_to(old))
            return
        self.files[new] = self.files.pop(old)

    def unlink(self, path: Path) -> None:
        self.before("unlink", path)
        if path not in self.files:
            raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
        inode = self.files.pop(path)
        if self.room is not None:
            self.room += len(inode.content)

    def make_folder(self, path: Path) -> None:
        self.before("make_folder", path)
        self.folders.add(path)

    def remove_folder(self, path: Path) -> None:
        self.folders.discard(path)

    def list(self, path: Path) -> list[str]:
        names = {entry.name for entry in [*self.files, *self.folders] if entry.parent == path}
        return sorted(names)

    def is_folder(self, path: Path) -> bool:
        return path in self.folders

    def exists(self, path: Path) -> bool:
        return path in self.files or path in self.folders

    def sync_folder(self, path: Path) -> None:
        self.before("sync_folder", path)
        for name in [name for name in self.durable_names if name.parent == path]:
            if name not in self.files:
                del self.durable_names[name]
        for name, inode in self.files.items():
            if name.parent == path:
                self.durable_names[name] = inode
        self.durable_folders |= {folder for folder in self.folders if folder.parent == path}

    def free_bytes(self, path: Path) -> int:
        return 1 << 40 if self.room is None else self.room

    def lock(self, path: Path) -> File:
        inode = self.files.setdefault(path, Inode())
        return self._opened(inode, path)

    def random_bytes(self, size: int) -> bytes:
        return self._random.randbytes(size)

    def after_power_loss(self, seed: int) -> SimulatedFileSystem:
        """Return a file system as it may be found after the power failed now."""
        chance = random.Random(seed)
        left = SimulatedFileSystem()
        left._random = random.Random(seed + 1)
        left.folders = set(self.folders)  # folders are synced as soon as they are made
        left.durable_folders = set(self.folders)
        inodes: dict[int, Inode] = {}
        for name in sorted({*self.files, *self.durable_names}):
            now, before = self.files.get(name), self.durable_names.get(name)
            chosen = now if now is before or chance.random() < 0.5 else before
            if chosen is not None:
                if id(chosen) not in inodes:
                    inodes[id(chosen)] = chosen.after_power_loss(chance)
                left.files[name] = left.durable_names[name] = inodes[id(chosen)]
        return left

    def after_kill(self) -> SimulatedFileSystem:
        """Return a file system as the next process finds it when this one is killed now."""
        left = SimulatedFileSystem()
        left._random = random.Random(self._random.random())
        left.folders = set(self.folders)
        left.durable_folders = set(self.durable_folders)
        copies: dict[int, Inode] = {}

        def copy(inode: Inode) -> Inode:
            if id(inode) not in copies:
                copies[id(inode)] = Inode(bytearray(inode.content), inode.durable, list(inode.pending))
            return copies[id(inode)]

        left.files = {name: copy(inode) for name, inode in self.files.items()}
        left.durable_names = {name: copy(inode) for name, inode in self.durable_names.items()}
        return left
