"""Messages out of backups of streams, without a server.

What is read, each known by what it holds rather than by its name:

- the folder of a backup made by this program (``backup.json`` and ``messages.mdump``),
- the folder of ``nats stream backup`` (``backup.json`` and ``stream.arc.s2`` or, before 2.15,
  ``stream.tar.s2``), or that file alone, compressed or not,
- the folder in which a nats-server keeps a stream (``meta.inf`` and ``msgs``), compressed blocks included;
  only of a server that does not run, for it writes there.

How to use it: `inspect.files.messages_of(path)` reads a backup as it reads any file of messages, in order, in
a thread and with bounded memory, with the stream's own sequences and times; so `replay.FileMessages(path)` is
a source of a replay. `summary` says beforehand what a backup holds, `summary(path).messages` being how many
messages (None where only reading tells), and `is_backup` tells a backup from other files and folders::

    found = await asyncio.to_thread(summary, path)
    source = FileMessages(path, found.messages)

A damaged backup gives the messages before the damage, then a `FileProblem` that says where. Servers decrypt
what they back up; the folder of a server that encrypts cannot be read and says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

from memphis_desktop.inspect.files import DUMP_MAGIC, FileProblem, read_dump
from memphis_desktop.inspect.message import InspectedMessage, parse_time
from memphis_desktop.language import tr
from memphis_desktop.protocol.snapshot import archive
from memphis_desktop.protocol.snapshot.block_records import (
    MAX_BLOCK,
    BlockRecord,
    InvalidBlock,
    Sequences,
    opened_block,
    records_of,
)
from memphis_desktop.protocol.snapshot.s2_frames import FrameReader, InvalidFrames

DESCRIPTION = "backup.json"
OWN_FORMAT = "memphis-desktop station backup"  # untranslated: a key
OWN_MESSAGES = "messages.mdump"
SNAPSHOTS = ("stream.arc.s2", "stream.tar.s2")
SNAPSHOT_SUFFIX = ".s2"
SERVER_META = "meta.inf"
_BLOCKS = "msgs"
_S2_HEAD = b"\xff\x06\x00\x00"
_TAR_MAGIC, _TAR_MAGIC_AT = b"ustar", 257
_PIECE = 128 * 1024
_MAX_DESCRIPTION = 16 << 20
_MOST_NAMES = 5
_TAR_END = bytes(1024)

_Blocks = Generator[bytes, None, None]


@dataclass(frozen=True)
class BackupSummary:
    """What a backup says of itself before it is read.

    Attributes:
        path: The file or folder.
        stream: The stream's name, empty when it is not told.
        messages: How many messages, None when it is not told.
        first_sequence: Sequence of the first message, 0 when it is not told.
        last_sequence: Sequence of the last, 0 when it is not told.
        made_ns: When it was made, nanoseconds since 1970, None when it is not told.
        config: The stream's configuration, empty when it is not told.
    """

    path: Path
    stream: str = ""
    messages: int | None = None
    first_sequence: int = 0
    last_sequence: int = 0
    made_ns: int | None = None
    config: Mapping[str, Any] = field(default_factory=dict)


def is_backup(path: Path) -> bool:
    """Whether this is a backup or one of its files, as far as names and the first bytes tell."""
    try:
        path = _whole_of(path)
        if path.is_dir():
            if not (path / DESCRIPTION).is_file():
                return (path / SERVER_META).is_file() and (path / _BLOCKS).is_dir()
            parts = (OWN_MESSAGES, *SNAPSHOTS)
            return any((path / name).is_file() for name in parts) or _is_description(
                _description(path / DESCRIPTION)
            )
        with path.open("rb") as file:
            return _is_snapshot(file.read(_TAR_MAGIC_AT + len(_TAR_MAGIC)))
    except (OSError, FileProblem):
        return False


def _whole_of(path: Path) -> Path:
    """Return the folder in the place of a file that describes what is in it."""
    return path.parent if path.name in (DESCRIPTION, SERVER_META) and path.is_file() else path


def _is_snapshot(head: bytes) -> bool:
    return head.startswith((_S2_HEAD, archive.MAGIC)) or head[_TAR_MAGIC_AT:].startswith(_TAR_MAGIC)


def _is_description(values: Mapping[str, Any]) -> bool:
    return values.get("format") == OWN_FORMAT or isinstance(values.get("config"), dict)


def summary(path: Path) -> BackupSummary:
    """Return what a backup says of itself; it is not read for that.

    Raises:
        FileProblem: it is no backup, or what it says of itself is damaged.
    """
    try:
        return _Backup(path).summary
    except OSError as error:
        raise FileProblem(
            tr("{path} cannot be read: {strerror}", path=path, strerror=error.strerror)
        ) from None


def read_backup(path: Path) -> Iterator[InspectedMessage]:
    """Yield the messages of a backup in order; memory is bounded by its largest block.

    Raises:
        FileProblem: it is no backup, encrypted, or damaged; says where.
    """
    try:
        yield from _Backup(path).messages()
    except OSError as error:
        raise FileProblem(
            tr("{path} cannot be read: {strerror}", path=path, strerror=error.strerror)
        ) from None


def several(folder: Path) -> str:
    """Say which backups lie side by side in a folder, as those of a whole account do; nothing for none."""
    found = sorted(entry.parent.name for entry in folder.glob(f"*/{DESCRIPTION}"))
    names = ", ".join(found[:_MOST_NAMES]) + (" …" if len(found) > _MOST_NAMES else "")
    return (
        tr(
            "{folder} holds backups of several stations ({names}). Open one of them",
            folder=folder,
            names=names,
        )
        if found
        else ""
    )


def _description(path: Path) -> dict[str, Any]:
    if path.stat().st_size > _MAX_DESCRIPTION:
        raise FileProblem(tr("{name} is too large to describe a backup", name=path.name))
    try:
        values = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise FileProblem(tr("{name} is damaged: it is no JSON", name=path.name)) from None
    if not isinstance(values, dict):
        raise FileProblem(tr("{name} describes no backup", name=path.name))
    return values


def _damaged(number: int, sequence: int) -> str:
    """Say behind which message a backup is damaged; 0 when there is none before."""
    if not number:
        return tr("The backup is damaged before its first message")
    return tr(
        "The backup is damaged after message {number}, sequence {sequence}", number=number, sequence=sequence
    )


def _not_whole(number: int, sequence: int) -> str:
    """Say behind which message a backup ends too early; 0 when there is none."""
    if not number:
        return tr("The backup is not whole: it ends before its first message")
    return tr(
        "The backup is not whole: it ends after message {number}, sequence {sequence}",
        number=number,
        sequence=sequence,
    )


class _Backup:
    """A backup of which is known where its parts are. Raises `FileProblem` and OSError, as its methods do."""

    def __init__(self, path: Path) -> None:
        path = _whole_of(path)
        path.stat()
        self._folder = path if path.is_dir() else path.parent
        self._values: dict[str, Any] = {}
        self._file: Path | None = None if path.is_dir() else path  # without it, blocks of a server's folder
        described = (self._folder / DESCRIPTION).is_file()
        if path.is_dir() and not described:
            self._values = self._server_meta()
        elif described and (path.is_dir() or path.name in SNAPSHOTS):
            self._values = _description(self._folder / DESCRIPTION)
            self._file = self._file or self._described_file()
        self.summary = self._summary(path)

    def _described_file(self) -> Path:
        own = self._values.get("format") == OWN_FORMAT
        if not own and not _is_description(self._values):
            raise FileProblem(
                tr("{folder} describes no backup of a station", folder=self._folder / DESCRIPTION)
            )
        names = (OWN_MESSAGES,) if own else SNAPSHOTS
        for name in names:
            if (self._folder / name).is_file():
                return self._folder / name
        raise FileProblem(
            tr(
                "The backup in {folder} is not whole: {names} is missing",
                folder=self._folder,
                names=tr(" or ").join(names),
            )
        )

    def _server_meta(self) -> dict[str, Any]:
        if not (self._folder / SERVER_META).is_file():
            raise FileProblem(
                several(self._folder) or tr("{folder} holds no backup of a station", folder=self._folder)
            )
        if (self._folder / "meta.key").exists():
            raise FileProblem(
                tr(
                    "The messages in {folder} are encrypted with a key of the server."
                    " A backup taken from the running server is not",
                    folder=self._folder,
                )
            )
        return {"config": _description(self._folder / SERVER_META)}

    def _summary(self, path: Path) -> BackupSummary:
        values = self._values
        config = values.get("config")
        config = config if isinstance(config, dict) else {}
        state = values.get("state")
        state = state if isinstance(state, dict) else {}
        name = values.get("stream") or config.get("name")
        if values.get("format") == OWN_FORMAT:
            state = {"messages": values.get("messages"), "first_seq": values.get("first_sequence")}
        count = state.get("messages")
        return BackupSummary(
            path,
            name if isinstance(name, str) else "",
            count if isinstance(count, int) and count >= 0 else None,
            _whole(state.get("first_seq")),
            _whole(state.get("last_seq")),
            _moment(values.get("made")),
            config,
        )

    # -- messages ------------------------------------------------------------------------------------
    def messages(self) -> Iterator[InspectedMessage]:
        """Yield them."""
        if self._file is None:
            yield from self._of_blocks(self._server_blocks)
            return
        with self._file.open("rb") as file:
            head = file.read(_TAR_MAGIC_AT + len(_TAR_MAGIC))
        if head.startswith(DUMP_MAGIC):
            with self._file.open("rb") as file:
                file.seek(len(DUMP_MAGIC))
                yield from read_dump(file)
        elif not _is_snapshot(head):
            raise FileProblem(tr("{file} is no backup of a station", file=self._file))
        elif self._holds_archive():
            with self._open() as content:
                yield from self._of_archive(content)
        else:
            yield from self._of_blocks(self._tar_blocks)

    def _open(self) -> _Content:
        assert self._file is not None
        return _Content(self._file.open("rb"))

    def _holds_archive(self) -> bool:
        try:
            with self._open() as content:
                return content.read(len(archive.MAGIC)) == archive.MAGIC
        except (InvalidFrames, EOFError):
            raise FileProblem(_damaged(0, 0)) from None

    def _of_archive(self, content: _Content) -> Iterator[InspectedMessage]:
        reader = archive.ArchiveReader()
        stream, number, last = self.summary.stream, 0, 0
        try:
            while piece := content.read(_PIECE):
                reader.feed(piece)
                while (entry := reader.next_entry()) is not None:
                    if entry.sequence:
                        number += 1
                        last = entry.sequence
                        yield _message(stream, entry.sequence, entry.time_ns, entry.name, entry)
                    elif entry.is_end:
                        return
        except (archive.InvalidArchive, InvalidFrames):
            raise FileProblem(_damaged(number, last)) from None
        except EOFError:
            pass
        raise FileProblem(_not_whole(number, last))

    def _of_blocks(self, blocks: Callable[[], _Blocks]) -> Iterator[InspectedMessage]:
        """Yield the messages of blocks, which are read twice: first for what was removed."""
        removed = Sequences()
        stream, kept = self.summary.stream, max(0, self.summary.first_sequence - 1)
        number = last = 0
        try:
            for record in _records(blocks()):
                if record.is_tombstone:
                    removed.add(record.sequence)
        except (InvalidBlock, InvalidFrames, EOFError):
            pass  # it will be met again behind the messages before it
        try:
            for record in _records(blocks()):
                if not record.is_message or record.sequence in removed or record.sequence <= kept:
                    continue
                kept = record.sequence
                number += 1
                last = kept
                yield _message(stream, kept, record.time_ns, record.subject, record)
        except EOFError:
            raise FileProblem(_not_whole(number, last)) from None
        except (InvalidBlock, InvalidFrames) as error:
            where = _damaged(number, last)
            raise FileProblem(tr("{where}: {error}", where=where, error=error)) from None

    def _server_blocks(self) -> _Blocks:
        found = [
            (int(entry.stem), entry)
            for entry in (self._folder / _BLOCKS).iterdir()
            if entry.suffix == ".blk" and entry.stem.isdigit()
        ]
        for _, entry in sorted(found):
            if entry.stat().st_size > MAX_BLOCK:
                raise InvalidBlock(tr("a message block is larger than any server makes"))
            yield entry.read_bytes()

    def _tar_blocks(self) -> _Blocks:
        """Yield the blocks of a tar file, in which they come in order."""
        import tarfile  # few need it

        before = 0
        with self._open() as content:
            try:
                with tarfile.open(fileobj=cast(IO[bytes], content), mode="r|") as tar:
                    for member in tar:
                        folder, _, name = member.name.partition("/")
                        number = name.removesuffix(".blk")
                        if folder != _BLOCKS or number == name or not number.isdigit():
                            continue
                        if int(number) <= before or not member.isreg() or member.size > MAX_BLOCK:
                            raise InvalidBlock(tr("the blocks of messages are not those of a server"))
                        before = int(number)
                        file = tar.extractfile(member)
                        assert file is not None  # regular files have a content
                        yield file.read()
                    content.finish()
                    if content.tail != _TAR_END:
                        raise EOFError
            except tarfile.TarError as error:
                raise content.failure or (EOFError() if content.ended else InvalidBlock(str(error))) from None


class _Content:
    """What a file of a snapshot holds, decompressed where it is compressed, as a file to read forwards.

    Attributes:
        ended: Whether the file has come to its end, whole or not.
        failure: What was met at the end of what can be read: EOFError within a frame, or InvalidFrames.
        tail: The last bytes that were read.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._ready = bytearray()
        self._frames: FrameReader | None = None
        self._blocks: Iterator[bytes | None] = iter(())
        self.ended = False
        self.failure: Exception | None = None
        self.tail = b""
        if file.read(len(_S2_HEAD)) == _S2_HEAD:
            self._frames = FrameReader()
        file.seek(0)

    def __enter__(self) -> _Content:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, size: int) -> bytes:
        """Return so many bytes, fewer only at the end; raises `failure` where nothing is left before it."""
        while len(self._ready) < size and self._more():
            pass
        if self.failure is not None and not self._ready:
            raise self.failure
        piece = bytes(self._ready[:size])
        del self._ready[:size]
        return piece

    def finish(self) -> None:
        """Read what is left, to find out whether the file is whole; raises `failure`."""
        while self.read(_PIECE):
            pass

    def _more(self) -> bool:
        """Put more into `_ready`; False at the end."""
        if self.ended or self.failure is not None:
            return False
        try:
            block = next(self._blocks)
        except StopIteration:
            return self._feed()
        except InvalidFrames as error:
            self.failure = error
            return False
        if block is not None:
            self._take(block)
        return True

    def _feed(self) -> bool:
        data = self._file.read(_PIECE)
        self.ended = not data
        if self._frames is None:
            self._take(data)
        elif data:
            self._frames.feed(data)
            self._blocks = self._frames.blocks()
        elif not self._frames.is_between_frames:
            self.failure = EOFError()
        return bool(data)

    def _take(self, data: bytes) -> None:
        self._ready += data
        self.tail = (self.tail + data[-len(_TAR_END) :])[-len(_TAR_END) :]


def _records(blocks: _Blocks) -> Iterator[BlockRecord]:
    with closing(blocks):
        for block in blocks:
            yield from records_of(opened_block(block))


def _message(
    stream: str, sequence: int, time_ns: int, subject: bytes, entry: archive.Entry | BlockRecord
) -> InspectedMessage:
    cut = entry.header_size
    text = subject.decode("utf-8", "surrogateescape")
    return InspectedMessage(stream, sequence, time_ns, text, entry.body[:cut], entry.body[cut:])


def _whole(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _moment(value: object) -> int | None:
    try:
        return parse_time(value) if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None
