"""Snapshots of nats-server before 2.15: a tar file of the folder that it keeps a stream in.

``meta.inf`` is the configuration, ``msgs/N.blk`` hold the messages, ``obs/NAME/meta.inf`` and ``o.dat`` the
consumers. A record of a message is: length (the highest bit says that there are headers), sequence, time,
length of the subject, subject, [length of the headers, headers,] payload, checksum. Sequences with the
highest bit set are of erased messages, with the second highest tombstones.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

from memphis_desktop.broker.jetstream.backup.consumer_states import (
    SavedConsumer,
    make_state,
    read_consumer_config,
)
from memphis_desktop.broker.jetstream.times import parse_time
from memphis_desktop.broker.store.interface import StoredMessage

_RECORD = struct.Struct("<IQQH")
_HEADERS, _ERASED, _TOMBSTONE = 1 << 31, 1 << 63, 1 << 62
_CHECKSUM = 8
_SECOND_NS = 1_000_000_000


class InvalidBackup(ValueError):
    """The tar file is not a stream's folder, or was damaged."""


class BackupFolder:
    """A stream's folder in a tar file.

    Raises:
        InvalidBackup: it is none.
    """

    def __init__(self, file: IO[bytes]) -> None:
        import tarfile  # few need it

        try:
            self._tar = tarfile.open(fileobj=file, mode="r:")  # noqa: SIM115
            members = self._tar.getmembers()
        except (tarfile.TarError, OSError, ValueError) as error:
            raise InvalidBackup(f"archive/tar: invalid tar header ({error})") from None
        if not all(member.isreg() for member in members):
            raise InvalidBackup("unexpected content")
        self._members = {member.name: member for member in members}
        meta = self._json("meta.inf")
        self.name = meta.get("name")
        self.created_ns = _time(meta.get("created"))
        self.last_sequence = 0  # known when `messages` has come to its end
        self.first_sequence = 0

    def consumers(self) -> Iterator[SavedConsumer]:
        """Yield the consumers."""
        for path in self._members:
            parts = path.split("/")
            if len(parts) == 3 and parts[0] == "obs" and parts[2] == "meta.inf":
                config = read_consumer_config(self._json(path))
                if config is None:
                    raise InvalidBackup(f'consumer "{parts[1]}" is missing config')
                state = self._bytes(f"obs/{parts[1]}/o.dat")
                yield SavedConsumer(parts[1], config, _consumer_state(state))

    def messages(self) -> Iterator[StoredMessage]:
        """Yield the messages that are still there, in order."""
        removed = {sequence & ~_TOMBSTONE for sequence, *_ in self._records() if sequence & _TOMBSTONE}
        last = max(removed, default=0)
        kept = 0
        for record in self._records():
            sequence = record.sequence
            if sequence & _TOMBSTONE:
                continue
            last = max(last, sequence & ~_ERASED)
            if sequence and not sequence & _ERASED and sequence not in removed and sequence > kept:
                self.first_sequence = self.first_sequence or sequence
                kept = sequence
                yield StoredMessage(sequence, record.time_ns, record.subject, record.header_size, record.body)
        self.last_sequence = last

    def _records(self) -> Iterator[_Record]:
        blocks: list[tuple[int, str]] = []
        for path in self._members:
            parts = path.split("/")
            number = parts[-1].removesuffix(".blk")
            if parts[0] == "msgs" and number != parts[-1] and number.isdigit():
                blocks.append((int(number), path))
        for _, path in sorted(blocks):
            yield from _records_of(self._bytes(path))

    def _bytes(self, path: str) -> bytes:
        member = self._members.get(path)
        file = self._tar.extractfile(member) if member is not None else None
        if file is None:
            raise InvalidBackup(f"open {path}: no such file or directory")
        return file.read()

    def _json(self, path: str) -> dict[str, Any]:
        try:
            content = json.loads(self._bytes(path))
        except (ValueError, RecursionError):
            raise InvalidBackup(f"{path} is no JSON") from None
        if not isinstance(content, dict):
            raise InvalidBackup(f"{path} is no JSON object")
        return content


class _Record(NamedTuple):
    sequence: int
    time_ns: int
    subject: bytes
    header_size: int
    body: bytes


def _records_of(block: bytes) -> Iterator[_Record]:
    at = 0
    while at < len(block):
        if at + _RECORD.size > len(block):
            raise InvalidBackup("a message block ends within a record")
        length, sequence, time_ns, subject_size = _RECORD.unpack_from(block, at)
        has_headers = bool(length & _HEADERS)
        length &= ~_HEADERS
        start, end = at + _RECORD.size, at + length - _CHECKSUM
        text_end = start + subject_size
        if end > len(block) - _CHECKSUM or text_end + 4 * has_headers > end:
            raise InvalidBackup("a message block holds a damaged record")
        subject = block[start:text_end]
        header_size = 0
        if has_headers:
            header_size = int.from_bytes(block[text_end : text_end + 4], "little")
            text_end += 4
            if text_end + header_size > end:
                raise InvalidBackup("a message block holds a damaged record")
        yield _Record(sequence, time_ns, subject, header_size, block[text_end:end])
        at += length


def _consumer_state(document: bytes) -> Any:
    """Return a consumer's state from its file: variable-length integers, most of them differences."""
    reader = _Integers(document)
    if len(document) < 3 or document[0] != 22 or document[1] not in (1, 2):
        raise InvalidBackup("a consumer's state is damaged")
    version = document[1]
    reader.at = 2
    floor = (reader.unsigned(), reader.unsigned())
    delivered = (reader.unsigned(), reader.unsigned())
    if version == 1:
        delivered = (delivered[0] + max(floor[0] - 1, 0), delivered[1] + max(floor[1] - 1, 0))
    pending: dict[int, tuple[int, int]] = {}
    count = reader.unsigned()
    base = reader.signed() if count else 0
    for _ in range(count):
        sequence = reader.unsigned() + floor[1]
        number = reader.unsigned() + floor[0] if version == 2 else 0
        offset = reader.signed()
        seconds = base - offset if version == 2 else base + offset
        pending[sequence] = (number, seconds * _SECOND_NS)
    redelivered: dict[int, int] = {}
    for _ in range(reader.unsigned()):
        sequence = reader.unsigned() + floor[1]
        redelivered[sequence] = reader.unsigned()
    return make_state(delivered, floor, pending, redelivered)


class _Integers:
    def __init__(self, document: bytes) -> None:
        self._document = document
        self.at = 0

    def unsigned(self) -> int:
        value = shift = 0
        while True:
            if self.at >= len(self._document) or shift > 63:
                raise InvalidBackup("a consumer's state is damaged")
            byte = self._document[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def signed(self) -> int:
        value = self.unsigned()
        return value >> 1 ^ -(value & 1)


def _time(text: Any) -> int:
    try:
        return parse_time(text)
    except (ValueError, TypeError, AttributeError):
        return 0
