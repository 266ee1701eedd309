"""Snapshots of nats-server before 2.15: a tar file of the folder that it keeps a stream in.

``meta.inf`` is the configuration, ``msgs/N.blk`` hold the messages (`protocol.snapshot.block_records`),
``obs/NAME/meta.inf`` and ``o.dat`` the consumers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO, Any

from memphis_desktop.broker.jetstream.backup.consumer_states import (
    SavedConsumer,
    make_state,
    read_consumer_config,
)
from memphis_desktop.broker.jetstream.times import parse_time
from memphis_desktop.broker.store.interface import StoredMessage
from memphis_desktop.protocol.snapshot.block_records import (
    BlockRecord,
    InvalidBlock,
    Sequences,
    opened_block,
    records_of,
)

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
        removed = Sequences()
        for record in self._records():
            if record.is_tombstone:
                removed.add(record.sequence)
        last = removed.greatest
        kept = 0
        for record in self._records():
            if record.is_tombstone:
                continue
            last = max(last, record.sequence)
            if record.is_message and record.sequence not in removed and record.sequence > kept:
                self.first_sequence = self.first_sequence or record.sequence
                kept = record.sequence
                yield StoredMessage(kept, record.time_ns, record.subject, record.header_size, record.body)
        self.last_sequence = last

    def _records(self) -> Iterator[BlockRecord]:
        blocks: list[tuple[int, str]] = []
        for path in self._members:
            parts = path.split("/")
            number = parts[-1].removesuffix(".blk")
            if parts[0] == "msgs" and number != parts[-1] and number.isdigit():
                blocks.append((int(number), path))
        try:
            for _, path in sorted(blocks):
                yield from records_of(opened_block(self._bytes(path)))
        except InvalidBlock as error:
            raise InvalidBackup(str(error)) from None

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
