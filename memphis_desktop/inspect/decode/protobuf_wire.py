"""Protocol buffers without a schema: field numbers, wire types and a guess at what the bytes mean."""

from __future__ import annotations

import struct
from typing import Any

from memphis_desktop.inspect.decode.model import DecodeError
from memphis_desktop.inspect.decode.text import control_at
from memphis_desktop.language import tr

MAX_NESTING = 64
MAX_FIELDS = 500_000
MAX_GUESSED_NUMBER = 4095  # higher field numbers are legal, but in a guess they mean "not protobuf"


def parse(data: bytes, *, strict: bool = True) -> dict[str, Any]:
    """Return fields by number; a repeated one is a list.

    Bytes that are themselves well-formed fields are shown as a message, readable ones as text, others as
    bytes. Whole numbers are shown unsigned, as on the wire. `strict` refuses field numbers that speak
    against a message, for when this is a guess.

    Raises:
        DecodeError: the bytes are not fields from first to last; says where.
    """
    if not data:
        raise DecodeError("empty")
    return _Wire(MAX_GUESSED_NUMBER if strict else (1 << 29) - 1).message(data, 0, 0)


class _Wire:
    def __init__(self, highest: int) -> None:
        self.budget = MAX_FIELDS
        self.highest = highest

    def message(self, data: bytes, base: int, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        groups: list[tuple[int, dict[str, Any]]] = []
        position, end = 0, len(data)
        while position < end:
            self.budget -= 1
            if self.budget < 0:
                raise DecodeError(tr("too many fields"), base + position)
            start = position
            key, position = varint(data, position, base)
            number, wire_type = key >> 3, key & 7
            if not 1 <= number <= self.highest:
                raise DecodeError(tr("field number {number}", number=number), base + start)
            if wire_type == 3:
                groups.append((number, result))
                result = {}
                if len(groups) > MAX_NESTING:
                    raise DecodeError(tr("nested too deep"), base + start)
                continue
            if wire_type == 4:
                if not groups or groups[-1][0] != number:
                    raise DecodeError(tr("a group ends that did not begin"), base + start)
                _, outer = groups.pop()
                _put(outer, number, result)
                result = outer
                continue
            value, position = self.value(data, position, wire_type, base, depth)
            _put(result, number, value)
        if groups:
            raise DecodeError(tr("a group does not end"), base + end)
        return result

    def value(self, data: bytes, position: int, wire_type: int, base: int, depth: int) -> tuple[Any, int]:
        if wire_type == 0:
            return varint(data, position, base)
        if wire_type in (1, 5):
            size = 8 if wire_type == 1 else 4
            part = data[position : position + size]
            if len(part) < size:
                raise DecodeError(tr("a fixed number is cut off"), base + position)
            return _fixed(part), position + size
        if wire_type == 2:
            size, position = varint(data, position, base)
            if size > len(data) - position:
                raise DecodeError(
                    tr("{size} bytes announced, {count} left", size=size, count=len(data) - position),
                    base + position,
                )
            return self.guess(data[position : position + size], base + position, depth), position + size
        raise DecodeError(tr("wire type {wire_type} does not exist", wire_type=wire_type), base + position)

    def guess(self, part: bytes, base: int, depth: int) -> Any:
        """Text if it reads as text, else a message if it parses as one, else bytes."""
        if not part:
            return ""
        try:
            text = part.decode("utf-8")
        except UnicodeDecodeError:
            text = None
        if text is not None and control_at(part) is None:
            return text
        if depth < MAX_NESTING and self.budget > 0:
            try:
                return self.message(part, base, depth + 1)
            except DecodeError:
                pass
        return part


def varint(data: bytes, position: int, base: int = 0) -> tuple[int, int]:
    """Return (value, position after it) of a variable-length number."""
    result = shift = 0
    start = position
    while True:
        if position >= len(data):
            raise DecodeError(tr("a number is cut off"), base + start)
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & (1 << 64) - 1, position
        shift += 7
        if shift >= 70:
            raise DecodeError(tr("a number is longer than ten bytes"), base + start)


def _fixed(part: bytes) -> Any:
    """A float when it looks like one that people write, else a whole number."""
    if len(part) == 8:
        number, whole = struct.unpack("<d", part)[0], struct.unpack("<Q", part)[0]
    else:
        number, whole = struct.unpack("<f", part)[0], struct.unpack("<I", part)[0]
    if number == number and 1e-6 < abs(number) < 1e15:
        return round(number, 7) if len(part) == 4 else number
    return whole


def _put(fields: dict[str, Any], number: int, value: Any) -> None:
    name = str(number)
    if name not in fields:
        fields[name] = value
    elif isinstance(fields[name], list):
        fields[name].append(value)
    else:
        fields[name] = [fields[name], value]
