"""A node's data folder: who may use it, which streams it holds, and their configurations."""

from __future__ import annotations

import json
import logging
from asyncio import AbstractEventLoop
from collections.abc import Callable
from pathlib import Path

from memphis_desktop.broker.clock import Clock
from memphis_desktop.broker.store.commit import Pace, Workers
from memphis_desktop.broker.store.documents import (
    Document,
    decode_document,
    document_of,
    encode_document,
    folder_name,
    read_document,
    write_document,
)
from memphis_desktop.broker.store.file_messages import FileMessageStore
from memphis_desktop.broker.store.files import File, FileSystem, OsFileSystem
from memphis_desktop.broker.store.indexer import Slices
from memphis_desktop.broker.store.interface import (
    ConsumerStore,
    FolderInUse,
    Limits,
    MessageStore,
    StorageError,
    StoreRoot,
    StreamStorage,
)
from memphis_desktop.broker.store.journal import ConsumerJournal
from memphis_desktop.broker.store.log_file import FORMAT_VERSION, Descriptors
from memphis_desktop.broker.store.log_writer import StoreSettings
from memphis_desktop.broker.store.memory import MemoryConsumerStore, MemoryStream
from memphis_desktop.broker.store.recent import RecentBudget
from memphis_desktop.broker.store.reserve import Reserve

logger = logging.getLogger(__name__)

_IDENTITY = "memphis-desktop.store"
_LOCK = "memphis-desktop.lock"
_KIND = "memphis-desktop"
_CREATING = "creating-"
_DELETING = "deleting-"
_MEBIBYTE = 1024 * 1024


class FileStream(StreamStorage):
    """One stream's folder."""

    def __init__(
        self, settings: StoreSettings, folder: Path, document: Document, limits: Limits, quarantine: Path
    ) -> None:
        self.name = document.name
        self._settings = settings
        self._files = settings.files
        self._folder = folder
        self._document = document
        sync_always = document.notes.get("sync_always")
        log = FileMessageStore(settings, folder / "messages", quarantine, limits, sync_always)
        self.log = log
        self.messages: MessageStore = log
        self.journal = ConsumerJournal(settings, folder / "consumers", quarantine, sync_always)
        self._consumers: dict[str, Document] = {}
        self._closed = False

    def recover(self) -> None:
        """Read everything as it lies on disk."""
        self.log.recover()
        self.journal.recover()
        folder = self._folder / "consumers"
        for name in self._files.list(folder):
            if not name.endswith(".doc"):
                continue
            document, whole = read_document(self._files, folder / name)
            if document is None and _is_empty(self._files, folder / name):
                # An ephemeral consumer's, which the system had no time to write before the power went.
                self._files.unlink(folder / name)
                continue
            if document is None:
                logger.error("%s: both copies of a consumer's configuration are damaged", folder / name)
                continue
            if not whole:
                logger.warning("%s: one copy was damaged; writing it again", folder / name)
                _try_write(self._files, folder / name, document)
            self._consumers[document.name] = document
            self.journal.next_consumer = max(self.journal.next_consumer, document.revision + 1)

    @property
    def sync_always(self) -> bool | None:
        """Whether acks wait for the medium; None as the node's default says."""
        return self.log.sync_always

    @sync_always.setter
    def sync_always(self, value: bool | None) -> None:
        if value == self.log.sync_always:
            return
        self.log.sync_always = self.journal.sync_always = value
        self._replace(self._document._replace(notes={**self._document.notes, "sync_always": value}))

    def configuration(self) -> bytes:
        """Return the stream's JSON."""
        return self._document.content

    def write_configuration(self, document: bytes) -> None:
        """Replace the stream's JSON."""
        self._replace(self._document._replace(content=document, revision=self._document.revision + 1))

    def _replace(self, document: Document) -> None:
        _write(self._files, self._folder / "stream.doc", document)
        self._document = document
        self.log.remember_configuration(document)

    def consumers(self) -> dict[str, bytes]:
        """Return the JSON of every consumer."""
        return {name: document.content for name, document in self._consumers.items()}

    def write_consumer(self, name: str, document: bytes, *, synced: bool = True) -> None:
        """Create or replace a consumer's JSON."""
        known = self._consumers.get(name)
        if known is None:
            number = self.journal.next_consumer
            self.journal.next_consumer += 1
            known = Document(name, {} if synced else {"synced": False}, document, number)
        changed = known._replace(content=document)
        _write(self._files, self._consumer_path(name), changed, synced=synced)
        self._consumers[name] = changed

    def _consumer_path(self, name: str) -> Path:
        return self._folder / "consumers" / f"{folder_name(name)}.doc"

    def open_consumer(self, name: str, memory: bool) -> ConsumerStore:
        """Open a consumer's journal."""
        if memory:
            return MemoryConsumerStore(self._settings.clock)
        document = self._consumers.get(name)
        if document is None:
            raise StorageError(f"there is no consumer {name}")
        return self.journal.open(document.revision)

    def delete_consumer(self, name: str) -> None:
        """Forget a consumer durably."""
        document = self._consumers.pop(name, None)
        if document is None:
            return
        self.journal.delete(document.revision)
        path = self._consumer_path(name)
        try:
            self._files.unlink(path)
            if document.notes.get("synced", True):
                self._files.sync_folder(path.parent)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise StorageError(f"the consumer {name} could not be deleted: {error}") from error

    def disk_bytes(self) -> int:
        """Return how many bytes of files the messages take."""
        return self.log.disk_bytes()

    def close(self) -> None:
        """Close messages and consumers."""
        if not self._closed:
            self._closed = True
            self.journal.close()
            self.log.close()


class FileRoot(StoreRoot):
    """A data folder."""

    def __init__(self, folder: Path, settings: StoreSettings) -> None:
        self._folder = folder
        self._settings = settings
        self._files = settings.files
        self._background = settings.background
        self._lock = _take_lock(self._files, folder)
        try:
            _check_identity(self._files, folder)
            settings.reserve = Reserve(settings.files, folder, settings.clock, settings.reserve_bytes)
            self._accounts = self._read_accounts()
        except BaseException:
            self._lock.close()
            raise
        self._streams: dict[tuple[str, str], FileStream] = {}
        self._memory: dict[tuple[str, str], MemoryStream] = {}
        self._closed = False

    def _read_accounts(self) -> dict[str, Path]:
        accounts: dict[str, Path] = {}
        parent = self._folder / "accounts"
        self._files.make_folder(parent)
        for name in self._files.list(parent):
            folder = parent / name
            if not self._files.is_folder(folder):
                continue
            document, _ = read_document(self._files, folder / "account.doc")
            if document is None:
                if not any(entry != "account.doc.tmp" for entry in self._files.list(folder)):
                    continue  # its creation was interrupted
                document = Document(self._account_of_streams(folder), {}, b"", 0)
                logger.error(
                    "%s: the account's name is damaged; by its streams it is %s", folder, document.name
                )
                _try_write(self._files, folder / "account.doc", document)
                accounts[document.name] = folder
            else:
                accounts[document.name] = folder
        return accounts

    def _account_of_streams(self, folder: Path) -> str:
        for name in self._files.list(folder):
            document, _ = read_document(self._files, folder / name / "stream.doc")
            if document is not None and "account" in document.notes:
                return str(document.notes["account"])
        return folder.name.rsplit("-", 1)[0]

    def accounts(self) -> list[str]:
        """Return the accounts that have streams."""
        return sorted(self._accounts)

    def _account_folder(self, account: str) -> Path:
        folder = self._accounts.get(account)
        if folder is None:
            folder = self._folder / "accounts" / folder_name(account)
            try:
                self._files.make_folder(folder)
                self._files.sync_folder(folder.parent)
                write_document(self._files, folder / "account.doc", Document(account, {}, b"", 0))
            except OSError as error:
                raise StorageError(f"the account's folder could not be made: {error}") from error
            self._accounts[account] = folder
        return folder

    def open_streams(self, account: str) -> list[StreamStorage]:
        """Recover every stream of the account."""
        parent = self._accounts.get(account)
        if parent is None:
            return []
        streams: list[StreamStorage] = []
        for name in self._files.list(parent):
            folder = parent / name
            if not self._files.is_folder(folder):
                continue
            if name.startswith((_CREATING, _DELETING)):
                self._remove_later(folder)
                continue
            try:
                stream = self._open_stream(account, folder)
            except (OSError, StorageError, ValueError) as error:
                logger.error("%s: the stream could not be opened: %s", folder, error)
                continue
            streams.append(stream)
        return streams

    def _open_stream(self, account: str, folder: Path) -> FileStream:
        path = folder / "stream.doc"
        document, whole = read_document(self._files, path)
        lost = document is None
        if document is None:
            document = Document(folder.name.rsplit("-", 1)[0], {}, b"", 0)
        stream = FileStream(self._settings, folder, document, Limits(), folder / "quarantine")
        stream.recover()
        if lost:
            kept = stream.log.find_configuration()
            if kept is None:
                raise StorageError(
                    "its configuration is damaged and no copy is left; its messages are untouched"
                )
            logger.error("%s: both copies were damaged; the configuration is taken from the log", path)
            stream._document = document_of(kept)
            stream.name = stream._document.name
        if not whole:
            _try_write(self._files, path, stream._document)
        stream.log.remember_configuration(stream._document)
        self._streams[account, stream.name] = stream
        return stream

    def create_stream(
        self,
        account: str,
        name: str,
        document: bytes,
        *,
        memory: bool,
        limits: Limits,
        sync_always: bool | None = None,
    ) -> StreamStorage:
        """Create the stream's place, durably."""
        key = (account, name)
        if key in self._streams or key in self._memory:
            raise StorageError(f"the stream {name} exists already")
        if memory:
            stream = self._memory[key] = MemoryStream(name, document, limits, self._settings.clock)
            return stream
        parent = self._account_folder(account)
        folder = parent / folder_name(name)
        building = parent / (_CREATING + folder.name)
        entry = Document(name, {"account": account, "sync_always": sync_always}, document, 0)
        files = self._files
        try:
            if files.exists(building):
                files.remove_tree(building)
            for path in (building, building / "messages", building / "consumers"):
                files.make_folder(path)
            # `replace` syncs the folder that holds all three.
            files.replace(building / "stream.doc", encode_document(*entry))
            files.rename(building, folder)
            files.sync_folder(parent)
        except OSError as error:
            raise StorageError(
                f"the stream {name} could not be created: {error.strerror or error}"
            ) from error
        created = FileStream(self._settings, folder, entry, limits, folder / "quarantine")
        created.log.remember_configuration(entry)
        self._streams[key] = created
        return created

    def delete_stream(self, account: str, name: str) -> None:
        """Delete a stream durably: renamed at once, its files go in the background."""
        in_memory = self._memory.pop((account, name), None)
        if in_memory is not None:
            in_memory.close()
            return
        stream = self._streams.pop((account, name), None)
        if stream is None:
            return
        stream.close()
        parent = self._accounts[account]
        folder = stream._folder
        number = int.from_bytes(self._files.random_bytes(4), "little")
        leaving = parent / f"{_DELETING}{number:08x}-{folder.name}"
        try:
            self._files.rename(folder, leaving)
            self._files.sync_folder(parent)
        except OSError as error:
            raise StorageError(f"the stream {name} could not be deleted: {error}") from error
        self._remove_later(leaving)

    def _remove_later(self, folder: Path) -> None:
        def done(error: BaseException | None) -> None:
            if error is not None:
                logger.warning("%s: could not be removed: %s", folder, error)

        self._background.submit(lambda: self._files.remove_tree(folder), done)

    def usage(self) -> tuple[int, int]:
        """Return bytes of (memory, file) that messages use."""
        memory = sum(stream.messages.byte_count for stream in self._memory.values())
        return memory, sum(stream.messages.byte_count for stream in self._streams.values())

    def disk_bytes(self) -> int:
        """Return how many bytes the logs' files take, removed messages included."""
        return sum(stream.disk_bytes() for stream in self._streams.values())

    def close(self) -> None:
        """Close all and give the folder free."""
        if self._closed:
            return
        self._closed = True
        for stream in [*self._streams.values()]:
            stream.close()
        self._settings.slices.close()
        self._settings.reserve.close()
        self._settings.readers.close()
        self._settings.workers.close()
        self._background.close()
        self._lock.close()


def _write(files: FileSystem, path: Path, document: Document, *, synced: bool = True) -> None:
    try:
        write_document(files, path, document, synced=synced)
    except OSError as error:
        raise StorageError(
            f"{document.name}: the configuration could not be written: {error.strerror}"
        ) from error


def _is_empty(files: FileSystem, path: Path) -> bool:
    try:
        return not files.read_whole(path)
    except OSError:
        return False


def _try_write(files: FileSystem, path: Path, document: Document) -> None:
    try:
        write_document(files, path, document)
    except OSError as error:
        logger.error("%s: could not be written again: %s", path, error)


def _take_lock(files: FileSystem, folder: Path) -> File:
    try:
        _make_folders(files, folder)
        if not files.is_folder(folder):
            raise StorageError(f"{folder} is not a folder")
        names = files.list(folder)
        foreign = [name for name in names if not _harmless(name)]
        if foreign and _IDENTITY not in names:
            raise StorageError(f"{folder} is not a Memphis Desktop data folder (it holds {foreign[0]})")
        return files.lock(folder / _LOCK)
    except BlockingIOError as error:
        raise FolderInUse(f"{folder} is in use by another process") from error
    except OSError as error:
        raise StorageError(f"{folder} cannot be used: {_why(error)}") from error


def _make_folders(files: FileSystem, folder: Path) -> None:
    if not files.exists(folder):
        if folder.parent != folder:
            _make_folders(files, folder.parent)
        files.make_folder(folder)


def _harmless(name: str) -> bool:
    """Whether something may lie in a new data folder: left by a start cut short, or by others' habits."""
    return (
        name in (_LOCK, _IDENTITY + ".tmp", "accounts", "lost+found")
        or name.startswith(".")
        or name.endswith((".log", ".pid", ".ports", ".conf"))
    )


def _check_identity(files: FileSystem, folder: Path) -> None:
    path = folder / _IDENTITY
    try:
        if not files.exists(path):
            files.replace(path, encode_document(_KIND, {"version": FORMAT_VERSION}, b""))
            return
        document, whole = decode_document(files.read_whole(path))
    except OSError as error:
        raise StorageError(f"{folder} cannot be read: {error.strerror or error}") from error
    if document is None:
        logger.error("%s: the file is damaged; writing it again", path)
    elif document.name != _KIND:
        raise StorageError(f"{folder} is not a Memphis Desktop data folder")
    elif int(json.loads(json.dumps(document.notes)).get("version", 0)) > FORMAT_VERSION:
        raise StorageError(f"{folder} was written by a newer version of Memphis Desktop")
    if document is None or not whole:
        _try_write(files, path, Document(_KIND, {"version": FORMAT_VERSION}, b"", 0))


def open_file_store(
    folder: Path | str,
    clock: Clock,
    loop: AbstractEventLoop,
    *,
    sync_always: bool = True,
    sync_interval: float = 1.0,
    segment_bytes: int = 64 * _MEBIBYTE,
    recent_bytes: int = 64 * _MEBIBYTE,
    index_bytes: int = 16 * _MEBIBYTE,
    reserve_bytes: int = 4 * _MEBIBYTE,
    open_files: int = 256,
    sync_threads: int = 4,
    sync_in_place: bool = False,
    files: FileSystem | None = None,
    make_workers: Callable[[AbstractEventLoop, str, int], Workers] = Workers,
) -> StoreRoot:
    """Open a data folder, making it if it is new, and lock it against other processes.

    Args:
        folder: where; its parents are made too.
        clock: time for records and timers.
        loop: where durability callbacks run.
        sync_always: whether acks wait for the medium; a stream may say otherwise.
        sync_interval: seconds between syncs of streams that do not wait.
        segment_bytes: size at which a new file of a log begins.
        index_bytes: how far the index of the file in use may fall behind: what a start after a crash scans.
        recent_bytes: how much of what was appended last stays in memory, over all streams.
        reserve_bytes: room set aside for removals and acks when the disk is full.
        open_files: how many files are kept open.
        sync_in_place: whether quick syncs may run on the loop itself (no window is there); see `Pace`.
        sync_threads: how many syncs may be under way.
        files, make_workers: the file system and threads; the real ones unless a test brings its own.

    Raises:
        StorageError: in use by another process, not ours, unreadable, or written by a newer version.
    """
    background = make_workers(loop, "store", 1)
    settings = StoreSettings(
        files or OsFileSystem(),
        clock,
        make_workers(loop, "sync", sync_threads),
        Pace(clock, allowed=sync_in_place),
        background,
        make_workers(loop, "read", 1),
        Slices(clock),
        Descriptors(open_files),
        RecentBudget(recent_bytes),
        segment_bytes,
        index_bytes,
        sync_always,
        sync_interval,
        reserve_bytes,
    )
    path = Path(folder).absolute()
    return FileRoot(path if files is not None else path.resolve(), settings)


def _why(error: OSError) -> str:
    """Return what is wrong with the data folder, in nats-server's words where tools look for them."""
    if isinstance(error, (NotADirectoryError, FileExistsError)):
        return "the storage directory is not a directory"
    return error.strerror or str(error)
