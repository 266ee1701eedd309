"""The S2 frame format, in which snapshots are compressed: an extension of framed Snappy.

What is written here is plain framed Snappy, which every S2 reader takes. What is read may be either: chunks
that Snappy understands are left to its library, the others (larger than 64 KiB, or with the repeated offsets
that S2 adds) are decoded here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cache

import cramjam

_SNAPPY_HEAD = b"\xff\x06\x00\x00sNaPpY"
_IDENTIFIERS = (b"sNaPpY", b"S2sTwO")
_COMPRESSED, _PLAIN, _IDENTIFIER = 0x00, 0x01, 0xFF
_FIRST_SKIPPABLE = 0x80
_MAX_BLOCK = 4 * 1024 * 1024
_MAX_CHUNK = _MAX_BLOCK + _MAX_BLOCK // 6 + 64  # compression may lengthen what can not be compressed
_CASTAGNOLI = 0x82F63B78
_SNAPPY_BLOCK = 64 * 1024  # the most that a frame of Snappy holds
_MASK = 0xA282EAD8
_STEPS = 2000  # copies and literals between two pauses


class InvalidFrames(ValueError):
    """The bytes are not S2 frames, or were damaged."""


class FrameWriter:
    """Compresses a stream of bytes, which come out frame by frame."""

    def __init__(self) -> None:
        self._compressor = cramjam.snappy.Compressor()

    def write(self, data: bytes) -> bytes:
        """Return the frames that hold `data`."""
        self._compressor.compress(data)
        return bytes(self._compressor.flush())


class FrameReader:
    """Takes a stream of frames in pieces of any size and gives back what they hold, one frame at a time."""

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._identified = False

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        self._waiting += data

    @property
    def is_between_frames(self) -> bool:
        """Whether the stream may end here."""
        return not self._waiting

    def blocks(self) -> Iterator[bytes | None]:
        """Yield what the frames hold that are there as a whole; None now and then, for a pause.

        Raises:
            InvalidFrames: the stream is damaged.
        """
        while len(self._waiting) >= 4:
            kind, size = self._waiting[0], int.from_bytes(self._waiting[1:4], "little")
            if size > _MAX_CHUNK and kind < _FIRST_SKIPPABLE:
                raise InvalidFrames("s2: corrupt input")
            if len(self._waiting) < 4 + size:
                return
            chunk = bytes(self._waiting[: 4 + size])
            del self._waiting[: 4 + size]
            yield from self._open(kind, chunk)

    def _open(self, kind: int, chunk: bytes) -> Iterator[bytes | None]:
        if kind == _IDENTIFIER:
            if chunk[4:] not in _IDENTIFIERS:
                raise InvalidFrames("s2: corrupt input")
            self._identified = True
            return
        if not self._identified:
            raise InvalidFrames("s2: corrupt input")
        if kind in (_COMPRESSED, _PLAIN):
            if len(chunk) < 8:
                raise InvalidFrames("s2: corrupt input")
            yield from _content(kind, chunk)
        elif kind < _FIRST_SKIPPABLE:
            raise InvalidFrames("s2: unsupported input")


def _content(kind: int, chunk: bytes) -> Iterator[bytes | None]:
    try:
        yield bytes(cramjam.snappy.decompress(_SNAPPY_HEAD + chunk))
        return
    except cramjam.DecompressionError:
        pass
    if kind == _PLAIN:
        block = chunk[8:]
    else:
        result = bytearray()
        for _ in decode_block(chunk[8:], result):
            yield None
        block = bytes(result)
    if masked(checksum(block)) != int.from_bytes(chunk[4:8], "little"):
        raise InvalidFrames("s2: corrupt input (checksum)")
    yield block


# -- what Snappy does not know ---------------------------------------------------------------------------
def decode_block(source: bytes, result: bytearray) -> Iterator[None]:
    """Put what an S2 block holds into `result`; yields now and then, for a pause.

    Raises:
        InvalidFrames: it is damaged, or longer than a block may be.
    """
    try:
        length, at = _read_length(source)
        if length > _MAX_BLOCK:
            raise InvalidFrames("s2: decoded block is too large")
        offset = steps = 0
        end = len(source)
        while at < end:
            steps += 1
            if steps % _STEPS == 0:
                yield
            tag = source[at]
            if tag & 3 == 0:
                count, at = _literal_length(source, at)
                if at + count > end:
                    raise InvalidFrames("s2: corrupt input")
                result += source[at : at + count]
                at += count
            else:
                offset, count, at = _copy(source, at, offset)
                _repeat(result, offset, count)
            if len(result) > length:
                raise InvalidFrames("s2: corrupt input")
    except (IndexError, struct.error):
        raise InvalidFrames("s2: corrupt input") from None
    if len(result) != length:
        raise InvalidFrames("s2: corrupt input")


def _read_length(source: bytes) -> tuple[int, int]:
    value = shift = at = 0
    while True:
        byte = source[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 28:
            raise InvalidFrames("s2: corrupt input")


def _literal_length(source: bytes, at: int) -> tuple[int, int]:
    short = source[at] >> 2
    if short < 60:
        return short + 1, at + 1
    size = short - 59  # bytes that hold the length
    if at + 1 + size > len(source):
        raise InvalidFrames("s2: corrupt input")
    return int.from_bytes(source[at + 1 : at + 1 + size], "little") + 1, at + 1 + size


def _copy(source: bytes, at: int, offset: int) -> tuple[int, int, int]:
    """Return offset, length and the place behind a copy; an offset of 0 stands for the one before."""
    tag = source[at]
    kind = tag & 3
    if kind == 2:
        return struct.unpack_from("<H", source, at + 1)[0], (tag >> 2) + 1, at + 3
    if kind == 3:
        return struct.unpack_from("<I", source, at + 1)[0], (tag >> 2) + 1, at + 5
    near = (tag & 0xE0) << 3 | source[at + 1]
    length = tag >> 2 & 7
    at += 2
    if near:
        return near, length + 4, at
    extra = {5: 1, 6: 2, 7: 3}.get(length, 0)
    if extra:
        if at + extra > len(source):
            raise InvalidFrames("s2: corrupt input")
        base = {1: 4, 2: 1 << 8, 3: 1 << 16}[extra]
        length = int.from_bytes(source[at : at + extra], "little") + base
    return offset, length + 4, at + extra


def _repeat(result: bytearray, offset: int, count: int) -> None:
    """Append `count` bytes that begin `offset` before the end, which they may reach and pass."""
    start = len(result) - offset
    if offset <= 0 or start < 0 or count > _MAX_BLOCK:
        raise InvalidFrames("s2: corrupt input")
    if offset >= count:
        result += result[start : start + count]
    else:
        piece = bytes(result[start:])
        result += (piece * (count // offset + 1))[:count]


# -- checksums -------------------------------------------------------------------------------------------
def checksum(data: bytes) -> int:
    """Return the CRC-32C of `data`: of pieces by Snappy's library, put together here."""
    result = 0
    end = len(data) % _SNAPPY_BLOCK
    if end:
        result = _short_checksum(data[:end])
    while end < len(data):
        result = _behind_a_block(result) ^ _short_checksum(data[end : end + _SNAPPY_BLOCK])
        end += _SNAPPY_BLOCK
    return result


def masked(value: int) -> int:
    """Return a checksum as frames hold it: rotated, and with a number added."""
    return ((value >> 15 | value << 17) + _MASK) & 0xFFFFFFFF


def _short_checksum(data: bytes) -> int:
    """Return the checksum of what fits a frame: it is in the frame."""
    frame = bytes(cramjam.snappy.compress(data))
    start = len(_SNAPPY_HEAD) + 4
    value = (int.from_bytes(frame[start : start + 4], "little") - _MASK) & 0xFFFFFFFF
    return (value >> 17 | value << 15) & 0xFFFFFFFF


def _behind_a_block(value: int) -> int:
    """Return what a checksum adds to that of the block that follows, as remainders of polynomials do."""
    result = 0
    for bit, row in enumerate(_block_matrix()):
        if value >> bit & 1:
            result ^= row
    return result


@cache
def _block_matrix() -> list[int]:
    """Return what each bit of a checksum becomes when a block of zeros follows."""
    rows = [_CASTAGNOLI, *(1 << bit for bit in range(31))]  # one zero bit more
    for _ in range((8 * _SNAPPY_BLOCK).bit_length() - 1):
        rows = [_product(rows, row) for row in rows]
    return rows


def _product(rows: list[int], value: int) -> int:
    result = 0
    for bit in range(32):
        if value >> bit & 1:
            result ^= rows[bit]
    return result
