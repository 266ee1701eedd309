"""How a payload names its schema: a zero byte, the schema's id in four bytes, and for protobuf which message.

Confluent's wire format. After the id, protobuf has the path to the message type within its file: how many
steps, then each step, all as zigzag varints; a single zero stands for the first message of the file.
"""

from __future__ import annotations

from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto

from memphis_desktop.inspect.decode.model import DecodeError
from memphis_desktop.language import tr

MARK_SIZE = 5
MAX_STEPS = 32  # messages within messages


def has_mark(payload: bytes) -> bool:
    """Whether a payload may begin with a schema's id: ids count from 1."""
    return len(payload) >= MARK_SIZE and payload[0] == 0 and payload[1:MARK_SIZE] != b"\0\0\0\0"


def schema_id(payload: bytes) -> int:
    """Return the id a payload names; raises DecodeError when it names none."""
    if payload[:1] != b"\0":
        raise DecodeError(tr("begins with no zero byte, the mark of a schema registry"), 0)
    if len(payload) < MARK_SIZE:
        raise DecodeError(tr("ends within the id of its schema"), len(payload))
    return int.from_bytes(payload[1:MARK_SIZE])


def mark(number: int) -> bytes:
    """Return what a payload begins with."""
    return b"\0" + number.to_bytes(4)


def read_path(payload: bytes, start: int = MARK_SIZE) -> tuple[tuple[int, ...], int]:
    """Return the path to a message type, and where the message begins.

    Raises:
        DecodeError: it is cut off or absurd.
    """
    count, position = _number(payload, start)
    if count == 0:
        return (0,), position
    if not 0 < count <= MAX_STEPS:
        raise DecodeError(tr("the path to the message type is no path"), start)
    steps = []
    for _ in range(count):
        at = position
        step, position = _number(payload, position)
        if step < 0:
            raise DecodeError(tr("the path to the message type is no path"), at)
        steps.append(step)
    return tuple(steps), position


def write_path(path: tuple[int, ...]) -> bytes:
    """Return a path as bytes."""
    if path == (0,):
        return b"\0"
    return b"".join(_varint(step) for step in (len(path), *path))


def message_name(file: FileDescriptorProto, path: tuple[int, ...]) -> str:
    """Return the full name of the type at a path; raises DecodeError when there is none.

    Entries of maps are types in a descriptor but not in the file's text, which is what paths count.
    """
    names = [file.package] if file.package else []
    types = list(file.message_type)
    for step in path:
        types = [entry for entry in types if not entry.options.map_entry]
        if step >= len(types):
            raise DecodeError(
                tr("its schema has no message number {path}", path=".".join(map(str, path))), MARK_SIZE
            )
        names.append(types[step].name)
        types = list(types[step].nested_type)
    return ".".join(names)


def path_of(file: FileDescriptorProto, name: str) -> tuple[int, ...] | None:
    """Return the path to a type by its full name; None when the file has none such."""
    prefix = f"{file.package}." if file.package else ""
    if not name.startswith(prefix):
        return None
    types: list[DescriptorProto] = list(file.message_type)
    path = []
    for part in name.removeprefix(prefix).split("."):
        types = [entry for entry in types if not entry.options.map_entry]
        found = next((index for index, entry in enumerate(types) if entry.name == part), None)
        if found is None:
            return None
        path.append(found)
        types = list(types[found].nested_type)
    return tuple(path)


def _number(data: bytes, position: int) -> tuple[int, int]:
    start, result, shift = position, 0, 0
    while True:
        if position >= len(data) or shift > 63:
            raise DecodeError(tr("the path to the message type is cut off"), start)
        byte = data[position]
        position += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (result >> 1) ^ -(result & 1), position
        shift += 7


def _varint(value: int) -> bytes:
    rest = value << 1 if value >= 0 else (~value << 1) | 1
    result = bytearray()
    while rest > 0x7F:
        result.append(rest & 0x7F | 0x80)
        rest >>= 7
    result.append(rest)
    return bytes(result)
