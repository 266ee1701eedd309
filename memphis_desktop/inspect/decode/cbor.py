"""CBOR (RFC 8949), without recursion and with the place of every error."""

from __future__ import annotations

import struct
from decimal import Decimal
from typing import Any

from memphis_desktop.inspect.decode.builder import TreeBuilder
from memphis_desktop.inspect.decode.model import DecodeError
from memphis_desktop.language import tr

_FLOATS = {25: ">e", 26: ">f", 27: ">d"}
_SIMPLE = {20: False, 21: True, 22: None, 23: None}
_IGNORED_TAGS = (
    55799,
    0,
    1,
    32,
    33,
    34,
    36,
)  # self-described, times, URI, base64 and MIME text: the value says it
_CONTENT_TAGS = (2, 3, 4)


def begins_with_container(data: bytes) -> bool:
    """Whether the first byte opens an array, map or tag; single scalars would match almost any byte."""
    return bool(data) and 0x80 <= data[0] <= 0xDB


def parse(data: bytes) -> Any:
    """Return the one value the bytes hold.

    Raises:
        DecodeError: not CBOR, or bytes are left over; says where.
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

    def head(self) -> tuple[int, int, int | None]:
        """Read an initial byte and its argument: (major type, additional information, argument)."""
        start = self.position
        first = self.take(1)[0]
        major, extra = first >> 5, first & 31
        if extra < 24:
            return major, extra, extra
        if extra < 28:
            return major, extra, int.from_bytes(self.take(1 << (extra - 24)), "big")
        if extra == 31:
            return major, extra, None
        raise DecodeError(tr("byte {first:#04x} begins nothing", first=first), start)

    def string(self, major: int, size: int | None) -> Any:
        if size is not None:
            part = self.take(size)
        else:
            parts = []
            while self.data[self.position : self.position + 1] != b"\xff":
                inner, _, length = self.head()
                if inner != major or length is None:
                    raise DecodeError(tr("a piece of another kind in a string"), self.position)
                parts.append(self.take(length))
            self.position += 1
            part = b"".join(parts)
        return part.decode("utf-8", "surrogateescape") if major == 3 else part

    def next(self, builder: TreeBuilder) -> bool:
        """Read one value or open one container, after any tags before it."""
        start = self.position
        major, extra, argument = self.head()
        wrap = ""
        while major == 6:
            assert argument is not None or extra == 31
            if argument is None:
                raise DecodeError(tr("a tag without a number"), start)
            if argument in _CONTENT_TAGS:
                exact = self.content(argument)
                if exact is not None:
                    return builder.add(exact, wrap)
            if argument not in _IGNORED_TAGS:
                wrap = wrap or f"@tag {argument}"
            major, extra, argument = self.head()
        if major == 0 and argument is not None:
            return builder.add(argument, wrap)
        if major == 1 and argument is not None:
            return builder.add(-1 - argument, wrap)
        if major in (2, 3):
            return builder.add(self.string(major, argument), wrap)
        if major in (4, 5):
            if argument is not None and argument * (major - 3) > len(self.data) - self.position:
                raise DecodeError(
                    tr("{argument} items announced, too few bytes left", argument=argument), self.position
                )
            return builder.open([] if major == 4 else {}, argument, start, wrap)
        if major == 7:
            return self.simple(builder, extra, argument, start, wrap)
        raise DecodeError(tr("a number without digits"), start)

    def simple(self, builder: TreeBuilder, extra: int, argument: int | None, start: int, wrap: str) -> bool:
        if extra in _FLOATS and argument is not None:
            size = 1 << (extra - 24)
            return builder.add(struct.unpack(_FLOATS[extra], argument.to_bytes(size, "big"))[0], wrap)
        if argument is None:
            return builder.close(start)
        if argument in _SIMPLE:
            return builder.add(_SIMPLE[argument], wrap)
        return builder.add(argument, f"@simple {argument}")

    def content(self, tag: int) -> Any:
        """Read a large number (tags 2 and 3) or decimal fraction (4); None leaves the position as it was."""
        start = self.position
        if tag == 4:
            parts = self.fraction()
            if parts is not None:
                return Decimal(parts[1]).scaleb(parts[0]) if abs(parts[0]) < 10_000 else None
            self.position = start
            return None
        major, _, size = self.head()
        if major == 2 and size is not None and size <= 4096:
            number = int.from_bytes(self.take(size), "big")
            return number if tag == 2 else -1 - number
        self.position = start
        return None

    def fraction(self) -> tuple[int, int] | None:
        major, _, count = self.head()
        if major != 4 or count != 2:
            return None
        numbers: list[int] = []
        for _ in range(2):
            major, _, argument = self.head()
            if major not in (0, 1) or argument is None:
                return None
            numbers.append(argument if major == 0 else -1 - argument)
        return numbers[0], numbers[1]
