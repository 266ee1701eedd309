"""The archive inside of a snapshot (nats-server 2.15): a magic word, then entries one after the other.

An entry is: length of its name, time, sequence, size of the headers, size of the payload (all variable-length
integers, the time zigzag-encoded), the name, the headers, the payload. The first is ``state.json``, the
consumers follow as ``consumers/NAME``, then the messages in order, each under its subject. An entry of
nothing ends it.
"""

from __future__ import annotations

from typing import NamedTuple

MAGIC = b"NATSARC1"
STATE = b"state.json"
CONSUMERS = b"consumers/"
_MAX_NAME = 1 << 20
_MAX_SIZE = 256 * 1024 * 1024  # of an entry: far above any message, which max_payload limits
_LONGEST_INTEGER = 10

END = bytes(5)
"""The entry of nothing: five numbers that are 0."""


class InvalidArchive(ValueError):
    """The bytes are not an archive."""

    def __init__(self) -> None:
        super().__init__("archive: invalid archive stream")


class Entry(NamedTuple):
    """One entry; `time_ns` is nanoseconds since 1970. Messages have sequences, other entries 0."""

    name: bytes
    time_ns: int
    sequence: int
    header_size: int
    body: bytes  # headers and payload

    @property
    def is_end(self) -> bool:
        """Whether this ends the archive."""
        return not self.sequence and not self.time_ns and not self.body


def encode_entry(name: bytes, time_ns: int, sequence: int, header_size: int, body: bytes) -> bytes:
    """Return an entry's bytes."""
    return b"".join(
        (
            _unsigned(len(name)),
            _unsigned(time_ns << 1 if time_ns >= 0 else ~(time_ns << 1)),
            _unsigned(sequence),
            _unsigned(header_size),
            _unsigned(len(body) - header_size),
            name,
            body,
        )
    )


def _unsigned(value: int) -> bytes:
    """Return a number with seven bits a byte, the lowest first."""
    result = bytearray()
    while value > 0x7F:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    result.append(value)
    return bytes(result)


class ArchiveReader:
    """Takes an archive in pieces of any size and gives back its entries."""

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._at = 0  # up to here `_waiting` was given back
        self._needed = 0  # bytes that the next entry has at least
        self._begun = False

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        if self._at:
            del self._waiting[: self._at]
            self._at = 0
        self._waiting += data

    def next_entry(self) -> Entry | None:
        """Return the next entry; None when it is not there yet as a whole.

        Raises:
            InvalidArchive: this is no archive, or it was damaged.
        """
        if not self._begun:
            if len(self._waiting) < len(MAGIC):
                return None
            if not self._waiting.startswith(MAGIC):
                raise InvalidArchive
            self._at = len(MAGIC)
            self._begun = True
        if len(self._waiting) - self._at < self._needed:
            return None
        fields: list[int] = []
        at = self._at
        for _ in range(5):
            value, at = self._integer(at)
            if at < 0:
                return None
            fields.append(value)
        name_size, time, sequence, header_size, payload_size = fields
        size = header_size + payload_size
        if name_size > _MAX_NAME or size > _MAX_SIZE:
            raise InvalidArchive
        end = at + name_size + size
        if end > len(self._waiting):
            self._needed = end - self._at
            return None
        self._needed = 0
        self._at = end
        name = bytes(self._waiting[at : at + name_size])
        body = bytes(self._waiting[at + name_size : end])
        return Entry(name, time >> 1 ^ -(time & 1), sequence, header_size, body)

    def _integer(self, at: int) -> tuple[int, int]:
        """Return a number and the place behind it, which is -1 when it is not there as a whole."""
        value = shift = 0
        for place in range(at, min(at + _LONGEST_INTEGER, len(self._waiting))):
            byte = self._waiting[place]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if value >= 1 << 64:
                    raise InvalidArchive
                return value, place + 1
            shift += 7
        if shift >= 7 * _LONGEST_INTEGER:
            raise InvalidArchive
        return 0, -1
