"""The files that nats-server keeps a stream's messages in: ``msgs/N.blk``, records one after the other.

A record is: length (the highest bit says that there are headers), sequence, time, length of the subject,
subject, [length of the headers, headers,] payload, checksum. Sequences with the highest bit set are of erased
messages, with the second highest tombstones: of messages removed elsewhere. A compressed block is a head with
the size it had, S2 frames of all but its last checksum, and that checksum. Checksums of records are of a kind
that Python has no library for and are not compared.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from memphis_desktop.protocol.snapshot.s2_frames import FrameReader, InvalidFrames

_RECORD = struct.Struct("<IQQH")
_HEADERS, _ERASED, _TOMBSTONE = 1 << 31, 1 << 63, 1 << 62
_CHECKSUM = 8
_COMPRESSED, _S2 = b"cmp", 1
MAX_BLOCK = 512 * 1024 * 1024  # far above what a server lets a block grow to, its last message included
_PAGE_BITS = 16


class InvalidBlock(ValueError):
    """The bytes are no block of messages, or were damaged."""


class BlockRecord(NamedTuple):
    """One record. Times are nanoseconds since 1970."""

    marked_sequence: int
    time_ns: int
    subject: bytes
    header_size: int
    body: bytes  # headers and payload

    @property
    def sequence(self) -> int:
        """The sequence it is about."""
        return self.marked_sequence & ~(_ERASED | _TOMBSTONE)

    @property
    def is_tombstone(self) -> bool:
        """Whether it says that the message of this sequence was removed."""
        return bool(self.marked_sequence & _TOMBSTONE)

    @property
    def is_message(self) -> bool:
        """Whether it is a message, which a tombstone elsewhere may be of."""
        return 0 < self.marked_sequence < _TOMBSTONE


def records_of(block: bytes) -> Iterator[BlockRecord]:
    """Yield what is in a block that is not compressed.

    Raises:
        InvalidBlock: it is damaged.
    """
    at = 0
    while at < len(block):
        if at + _RECORD.size > len(block):
            raise InvalidBlock("a message block ends within a record")
        length, sequence, time_ns, subject_size = _RECORD.unpack_from(block, at)
        has_headers = bool(length & _HEADERS)
        length &= ~_HEADERS
        start, end = at + _RECORD.size, at + length - _CHECKSUM
        text_end = start + subject_size
        if end > len(block) - _CHECKSUM or text_end + 4 * has_headers > end:
            raise InvalidBlock("a message block holds a damaged record")
        subject = block[start:text_end]
        header_size = 0
        if has_headers:
            header_size = int.from_bytes(block[text_end : text_end + 4], "little")
            text_end += 4
            if text_end + header_size > end:
                raise InvalidBlock("a message block holds a damaged record")
        yield BlockRecord(sequence, time_ns, subject, header_size, block[text_end:end])
        at += length


def opened_block(block: bytes) -> bytes:
    """Return a block's content, decompressed where a server has compressed it.

    Raises:
        InvalidBlock: it is damaged, or compressed in a way that is not known.
    """
    if not block.startswith(_COMPRESSED):
        return block
    size, at = _original_size(block)
    if len(block) < at + _CHECKSUM:
        raise InvalidBlock("a compressed message block is cut short")
    reader = FrameReader()
    reader.feed(block[at:-_CHECKSUM])
    result = bytearray()
    try:
        for piece in reader.blocks():
            result += piece or b""
            if len(result) > size:
                break
    except InvalidFrames:
        raise InvalidBlock("a compressed message block is damaged") from None
    if not reader.is_between_frames or len(result) + _CHECKSUM != size:
        raise InvalidBlock("a compressed message block is damaged")
    return bytes(result) + block[-_CHECKSUM:]


def _original_size(block: bytes) -> tuple[int, int]:
    """Return how long a compressed block was, and where its frames begin."""
    value = shift = 0
    for at in range(len(_COMPRESSED) + 1, min(len(block), len(_COMPRESSED) + 11)):
        value |= (block[at] & 0x7F) << shift
        shift += 7
        if block[at] < 0x80:
            if block[len(_COMPRESSED)] != _S2:
                raise InvalidBlock("a message block is compressed in a way that is not known")
            if value > MAX_BLOCK:
                raise InvalidBlock("a compressed message block is larger than any server makes")
            return value, at + 1
    raise InvalidBlock("a compressed message block is cut short")


class Sequences:
    """A set of sequences that takes one bit for each of those between the least and the greatest."""

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}
        self.greatest = 0

    def add(self, sequence: int) -> None:
        """Put one in."""
        self.greatest = max(self.greatest, sequence)
        page = self._pages.get(sequence >> _PAGE_BITS)
        if page is None:
            page = self._pages[sequence >> _PAGE_BITS] = bytearray(1 << _PAGE_BITS - 3)
        place = sequence & (1 << _PAGE_BITS) - 1
        page[place >> 3] |= 1 << (place & 7)

    def __contains__(self, sequence: int) -> bool:
        page = self._pages.get(sequence >> _PAGE_BITS)
        place = sequence & (1 << _PAGE_BITS) - 1
        return page is not None and bool(page[place >> 3] >> (place & 7) & 1)
