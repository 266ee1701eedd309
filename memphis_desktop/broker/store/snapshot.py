"""The index beside each file of the log, and the checkpoint of what is removed: both only shorten the start.

An index file holds parts, one behind the other; each describes the next stretch of the log file and has a
checksum of its own. A part that is torn, damaged or about another file ends the index there: the rest of the
log is scanned. The checkpoint says which messages were removed up to one position of the log, so that removal
records before it need not be read.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from struct import Struct
from typing import NamedTuple, TypeAlias

from memphis_desktop.broker.store.index import Segment
from memphis_desktop.broker.store.log_file import LogFile
from memphis_desktop.broker.store.records import HEADER_SIZE, from_bytes, to_bytes

_MAGIC = b"MEMPHIDX"
# magic, version, flags, salt, start and end in the log, first index, messages, controls, subjects, bytes of
# names, postings, time base, last time, last sequence, offset and checksum of the last record's header
_HEAD = Struct("<8sHHIQQQQQQQQQQQQI")
_CHECKSUM = Struct("<II")  # of the head, of the body
# Version 1 could give removed messages the names of other subjects: such an index is not read.
_VERSION = 2
_KEYS = 1
_IDS = 2
_ONE_SUBJECT = 4

# Subjects are grouped in the index unless there is about one for every few messages.
_GROUPING = 8
_STEP = 4096

# Gives the present names of subjects by their numbers, b"" for one that is gone.
NamesOf: TypeAlias = "Callable[[list[int]], list[bytes]]"


@dataclass(slots=True)
class Part:
    """One part of an index: the messages from index `first` on that lie in [start, end) of the log file."""

    start: int
    end: int
    first: int
    time_base: int
    last_time: int
    last_sequence: int
    # The header of the last record: the part is about this content of the file and no other.
    tail_offset: int
    tail_checksum: int
    has_ids: bool
    sizes: array[int]
    offsets: array[int]
    times: array[int]
    # Local numbers; empty when all are of one subject. A message that was removed has the subject b"".
    subjects: array[int]
    keys: array[int] | None
    controls: array[int]
    names: list[bytes]
    # Indexes (from the part's first) of the messages of each subject, one subject behind the other.
    counts: array[int] = field(default_factory=lambda: array("I"))
    postings: array[int] = field(default_factory=lambda: array("I"))
    encoded_bytes: int = 0  # where in the index file it ends


def cut_part(
    segment: Segment, first: int, start: int, names_of: NamesOf, last_time: int
) -> Iterator[Part | None]:
    """Yield None between steps of bounded work, then the part from index `first` to the segment's end now.

    Args:
        names_of: gives the names of subjects by number, b"" for one that is gone.
    """
    file: LogFile = segment.file
    end = file.end
    numbers = segment.subjects[first:]
    controls = array("I", (offset for offset in file.controls if start <= offset < end))
    tail = max(segment.offsets[-1] if len(segment.offsets) > first else 0, controls[-1] if controls else 0)
    part = Part(
        start,
        end,
        first,
        segment.time_base,
        last_time,
        segment.last_sequence(),
        tail,
        zlib.crc32(file.read(HEADER_SIZE, tail)),
        segment.has_ids,
        segment.sizes[first:],
        segment.offsets[first:],
        segment.times[first:],
        array("I"),
        None if segment.keys is None else segment.keys[first:],
        controls,
        [],
    )
    yield None
    local: dict[bytes, int] = {}
    for step in range(0, len(numbers), _STEP):
        names = _living_names(segment, first + step, numbers[step : step + _STEP], names_of)
        for name in dict.fromkeys(names):
            if name not in local:
                local[name] = len(local)
        part.subjects.extend(map(local.__getitem__, names))
        yield None
    part.names.extend(local)
    if len(local) <= 1:
        part.subjects = array("I")
    elif len(local) * _GROUPING <= len(numbers):
        lists: list[list[int]] = [[] for _ in local]
        for step in range(0, len(numbers), _STEP):
            for at, number in enumerate(part.subjects[step : step + _STEP], step):
                lists[number].append(at)
            yield None
        part.counts.extend(map(len, lists))
        for group in lists:
            part.postings.extend(group)
        yield None
    yield part


def _living_names(segment: Segment, start: int, numbers: array[int], names_of: NamesOf) -> list[bytes]:
    """Return the subject of each message from index `start` on, b"" for those that are removed.

    The number of a removed message's subject may belong to another subject by now; and the message may come
    back, when the power fails before its removal is on the medium.
    """
    distinct = list(dict.fromkeys(numbers))
    known = dict(zip(distinct, names_of(distinct), strict=True))
    names = list(map(known.__getitem__, numbers))
    if segment.alive is not None:
        flags = segment.alive[start : start + len(names)].ljust(len(names), b"\x00")
        return [name if lives else b"" for name, lives in zip(names, flags, strict=True)]
    gone = min(segment.head - start, len(names))
    if gone > 0:
        names[:gone] = [b""] * gone
    return names


def encode_part(part: Part, salt: int) -> bytes:
    """Return the bytes of a part."""
    flags = (
        (_KEYS if part.keys is not None else 0)
        | (_IDS if part.has_ids else 0)
        | (_ONE_SUBJECT if not part.subjects else 0)
    )
    names = b"".join(part.names)
    body = b"".join(
        (
            to_bytes(part.sizes),
            to_bytes(part.offsets),
            to_bytes(part.times),
            to_bytes(part.subjects),
            b"" if part.keys is None else to_bytes(part.keys),
            to_bytes(part.controls),
            to_bytes(array("I", map(len, part.names))),
            names,
            to_bytes(part.counts),
            to_bytes(part.postings),
        )
    )
    head = _HEAD.pack(
        _MAGIC,
        _VERSION,
        flags,
        salt,
        part.start,
        part.end,
        part.first,
        len(part.sizes),
        len(part.controls),
        len(part.names),
        len(names),
        len(part.postings),
        part.time_base,
        part.last_time,
        part.last_sequence,
        part.tail_offset,
        part.tail_checksum,
    )
    return head + _CHECKSUM.pack(zlib.crc32(head), zlib.crc32(body)) + body


def decode_parts(data: bytes, salt: int, start: int, size: int) -> Iterator[Part]:
    """Yield the parts that are whole and follow each other, of a log file of `size` bytes."""
    at = 0
    first = 0
    view = memoryview(data)
    prologue = _HEAD.size + _CHECKSUM.size
    while at + prologue <= len(data):
        head = view[at : at + _HEAD.size]
        head_checksum, body_checksum = _CHECKSUM.unpack_from(data, at + _HEAD.size)
        if zlib.crc32(head) != head_checksum:
            return
        fields = _HEAD.unpack(head)
        magic, version, flags, part_salt, begin, end, index, count, controls, subjects, names, postings = (
            fields[:12]
        )
        if (magic, version, part_salt, begin, index) != (_MAGIC, _VERSION, salt, start, first) or end > size:
            return
        at += prologue
        lengths = [
            ("I", count),
            ("I", count),
            ("I", count),
            ("I", 0 if flags & _ONE_SUBJECT else count),
            ("I", count if flags & _KEYS else 0),
            ("I", controls),
            ("I", subjects),
            ("B", names),
            ("I", subjects if postings else 0),
            ("I", postings),
        ]
        whole = sum(number * (1 if code == "B" else 4) for code, number in lengths)
        body = view[at : at + whole]
        if len(body) != whole or zlib.crc32(body) != body_checksum:
            return
        columns = []
        place = 0
        for code, number in lengths:
            length = number * (1 if code == "B" else 4)
            columns.append(from_bytes(code, body[place : place + length]))
            place += length
        at += whole
        blob = columns[7].tobytes()
        texts = []
        place = 0
        for length in columns[6]:
            texts.append(blob[place : place + length])
            place += length
        yield Part(
            begin,
            end,
            index,
            fields[12],
            fields[13],
            fields[14],
            fields[15],
            fields[16],
            bool(flags & _IDS),
            columns[0],
            columns[1],
            columns[2],
            columns[3],
            columns[4] if flags & _KEYS else None,
            columns[5],
            texts,
            columns[8],
            columns[9],
            at,
        )
        start, first = end, index + count


_CHECKPOINT_MAGIC = b"MEMPHCKP"
_CHECKPOINT_VERSION = 1
_CHECKPOINT_HEAD = Struct("<8sHHIQQQQQQ")  # magic, version, 0, checksum, position (2), last, counts (3)
_SEGMENT_HEAD = Struct("<QQQ")  # number, head, length of the flags (0: none)


class Checkpoint(NamedTuple):
    """What was removed when the log had reached a position."""

    number: int  # of the file
    offset: int  # in it
    last_sequence: int
    heads: dict[int, tuple[int, bytes]]  # by file number: first living index, and flags (b"": all from there)
    lost: list[tuple[int, int]]
    explained: list[tuple[int, int]]  # gaps between files that are none
    identifiers: list[tuple[bytes, int, int]]


def encode_checkpoint(checkpoint: Checkpoint) -> bytes:
    """Return its bytes; the flags are compressed, so this is for a worker thread."""
    parts = []
    for number, (head, flags) in checkpoint.heads.items():
        parts.append(_SEGMENT_HEAD.pack(number, head, len(flags)) + flags)
    for runs in (checkpoint.lost, checkpoint.explained):
        parts.append(to_bytes(array("Q", [edge for run in runs for edge in run])))
    for text, sequence, time_ns in checkpoint.identifiers:
        parts.append(Struct("<QQI").pack(sequence, time_ns, len(text)) + text)
    body = zlib.compress(b"".join(parts), 1)
    numbers = (
        checkpoint.number,
        checkpoint.offset,
        checkpoint.last_sequence,
        len(checkpoint.heads),
        (len(checkpoint.lost) << 32) | len(checkpoint.explained),
        len(checkpoint.identifiers),
    )
    checksum = zlib.crc32(
        body, zlib.crc32(_CHECKPOINT_HEAD.pack(_CHECKPOINT_MAGIC, _CHECKPOINT_VERSION, 0, 0, *numbers))
    )
    return _CHECKPOINT_HEAD.pack(_CHECKPOINT_MAGIC, _CHECKPOINT_VERSION, 0, checksum, *numbers) + body


def decode_checkpoint(data: bytes) -> Checkpoint | None:
    """Return the checkpoint; None when it is damaged or of another version."""
    if len(data) < _CHECKPOINT_HEAD.size:
        return None
    magic, version, _, checksum, *head = _CHECKPOINT_HEAD.unpack_from(data)
    if magic != _CHECKPOINT_MAGIC or version != _CHECKPOINT_VERSION:
        return None
    body = data[_CHECKPOINT_HEAD.size :]
    if zlib.crc32(body, zlib.crc32(_CHECKPOINT_HEAD.pack(magic, version, 0, 0, *head))) != checksum:
        return None
    content = zlib.decompress(body)
    number, offset, last_sequence, segments, runs, identifiers = head
    at = 0
    heads = {}
    for _ in range(segments):
        file_number, first, length = _SEGMENT_HEAD.unpack_from(content, at)
        at += _SEGMENT_HEAD.size
        heads[file_number] = (first, content[at : at + length])
        at += length
    lists = []
    for count in (runs >> 32, runs & 0xFFFFFFFF):
        edges = from_bytes("Q", content[at : at + 16 * count])
        lists.append(list(zip(edges[0::2], edges[1::2], strict=True)))
        at += 16 * count
    texts = []
    entry = Struct("<QQI")
    for _ in range(identifiers):
        sequence, time_ns, length = entry.unpack_from(content, at)
        at += entry.size
        texts.append((content[at : at + length], sequence, time_ns))
        at += length
    return Checkpoint(number, offset, last_sequence, heads, lists[0], lists[1], texts)
