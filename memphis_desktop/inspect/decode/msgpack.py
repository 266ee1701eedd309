"""MsgPack, without recursion and with the place of every error."""

from __future__ import annotations

import struct
from typing import Any

from memphis_desktop.inspect.decode.builder import TreeBuilder
from memphis_desktop.inspect.decode.model import DecodeError
from memphis_desktop.inspect.message import format_time
from memphis_desktop.language import tr

_NUMBERS = {
    0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h",
    0xD2: ">i", 0xD3: ">q",
}  # fmt: skip
_SIZES = {1: ">B", 2: ">H", 4: ">I"}
_STRINGS = {0xD9: 1, 0xDA: 2, 0xDB: 4}
_BYTES = {0xC4: 1, 0xC5: 2, 0xC6: 4}
_ARRAYS = {0xDC: 2, 0xDD: 4}
_MAPS = {0xDE: 2, 0xDF: 4}
_EXTENSIONS = {0xC7: 1, 0xC8: 2, 0xC9: 4}
_FIXED_EXTENSIONS = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}


def begins_with_container(data: bytes) -> bool:
    """Whether the first byte opens an array or map; single scalars would match almost any byte."""
    return bool(data) and (0x80 <= data[0] <= 0x9F or 0xDC <= data[0] <= 0xDF)


def parse(data: bytes) -> Any:
    """Return the one value the bytes hold.

    Raises:
        DecodeError: not MsgPack, or bytes are left over; says where.
    """
    reader = _Reader(data)
    builder = TreeBuilder()
    while not reader.next(builder):
        pass
    if reader.position != len(data):
        raise DecodeError(tr("data follows the value"), reader.position)
    return builder.result


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def take(self, size: int) -> bytes:
        start = self.position
        part = self.data[start : start + size]
        if len(part) < size:
            raise DecodeError(tr("{size} bytes announced, {count} left", size=size, count=len(part)), start)
        self.position = start + size
        return part

    def size(self, width: int) -> int:
        return int(struct.unpack(_SIZES[width], self.take(width))[0])

    def text(self, size: int) -> str:
        return self.take(size).decode("utf-8", "surrogateescape")

    def open(self, builder: TreeBuilder, container: Any, count: int) -> bool:
        if count * (2 if isinstance(container, dict) else 1) > len(self.data) - self.position:
            raise DecodeError(tr("{count} items announced, too few bytes left", count=count), self.position)
        return builder.open(container, count, self.position)

    def next(self, builder: TreeBuilder) -> bool:
        """Read one value or open one container."""
        start = self.position
        code = self.take(1)[0]
        if code <= 0x7F:
            return builder.add(code)
        if code <= 0x8F:
            return self.open(builder, {}, code & 15)
        if code <= 0x9F:
            return self.open(builder, [], code & 15)
        if code <= 0xBF:
            return builder.add(self.text(code & 31))
        if code >= 0xE0:
            return builder.add(code - 256)
        if code in (0xC0, 0xC2, 0xC3):
            return builder.add({0xC0: None, 0xC2: False, 0xC3: True}[code])
        if code in _NUMBERS:
            form = _NUMBERS[code]
            return builder.add(struct.unpack(form, self.take(struct.calcsize(form)))[0])
        if code in _STRINGS:
            return builder.add(self.text(self.size(_STRINGS[code])))
        if code in _BYTES:
            return builder.add(self.take(self.size(_BYTES[code])))
        if code in _ARRAYS:
            return self.open(builder, [], self.size(_ARRAYS[code]))
        if code in _MAPS:
            return self.open(builder, {}, self.size(_MAPS[code]))
        if code in _EXTENSIONS:
            return self.extension(builder, self.size(_EXTENSIONS[code]))
        if code in _FIXED_EXTENSIONS:
            return self.extension(builder, _FIXED_EXTENSIONS[code])
        raise DecodeError(tr("byte {code:#04x} begins nothing", code=code), start)

    def extension(self, builder: TreeBuilder, size: int) -> bool:
        kind = struct.unpack(">b", self.take(1))[0]
        data = self.take(size)
        if kind == -1:
            time_ns = _timestamp(data)
            if time_ns is not None:
                return builder.add(time_ns)
        return builder.add(data, f"@extension {kind}")


def _timestamp(data: bytes) -> str | None:
    if len(data) == 4:
        seconds, nanoseconds = int.from_bytes(data, "big"), 0
    elif len(data) == 8:
        packed = int.from_bytes(data, "big")
        seconds, nanoseconds = packed & (1 << 34) - 1, packed >> 34
    elif len(data) == 12:
        nanoseconds = int.from_bytes(data[:4], "big")
        seconds = int.from_bytes(data[4:], "big", signed=True)
    else:
        return None
    try:
        return format_time(seconds * 1_000_000_000 + nanoseconds)
    except (OverflowError, ValueError):
        return None
