"""The record: how everything the store writes lies in a file.

One record, little endian:

===== ==== =================================================================================
 at   size
===== ==== =================================================================================
  0    4   resync marker
  4    4   length of the whole record
  8    8   sequence: of the message; for other kinds see the writer
 16    8   time, nanoseconds since 1970
 24    4   CRC-32 of everything from byte 36 on
 28    4   length of the subject (bits 0 to 19), flags (20 to 23), kind (24 to 31)
 32    4   CRC-32 of bytes 0 to 31, begun with the file's salt plus the record's offset
 36        subject, [size of the header block, 4 bytes, with flag 1], body
===== ==== =================================================================================

The salt and the offset in the header's checksum mean that a record is valid in its own place only: a block
that strayed from another file or another place, or a message body that imitates a record, is never taken for
one. Because the header has a checksum of its own, a damaged body costs that record alone; with a damaged
header the next record is found by its marker.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate, repeat
from struct import Struct
from typing import NamedTuple, TypeAlias
from zlib import crc32

MARKER_BYTES = b"\xe7MD\x1a"
MARKER = int.from_bytes(MARKER_BYTES, "little")
_HEAD = Struct("<IIQQII")
_pack_head = _HEAD.pack
_unpack_head = _HEAD.unpack_from
_pack_u32 = Struct("<I").pack
_unpack_u32 = Struct("<I").unpack_from
HEADER_SIZE = 36

KIND_SHIFT = 24
FLAG_HEADERS = 1 << 20
SUBJECT_MASK = (1 << 20) - 1

# Kinds in message segments.
MESSAGE = 1
REMOVAL = 2  # messages that are gone; sequence = highest ever assigned
CONFIGURATION = 3  # a copy of the stream's configuration
SKIP = 4  # sequence = highest ever assigned from now on
IDENTIFIER = 5  # sequence, time and id (as body) of a message that was here and is removed
# Kinds in consumer journals; sequence = the consumer's number.
CONSUMER_STATE = 16
CONSUMER_FIRST = 17
CONSUMER_AGAIN = 18
CONSUMER_ACKED = 19
CONSUMER_EXHAUSTED = 20
CONSUMER_DELETED = 21
SNAPSHOT_END = 22
PADDING = 23

# nats-server counts 30 bytes beside subject, headers and payload, and 4 when there are headers (2.4).
ACCOUNTED_BIAS = 30 - HEADER_SIZE

Buffer: TypeAlias = "bytes | bytearray | memoryview"


class Record(NamedTuple):
    """A whole, valid record."""

    offset: int
    length: int
    sequence: int
    time_ns: int
    kind: int
    subject: bytes
    header_size: int
    body: bytes


class Damage(NamedTuple):
    """A stretch of a file that holds no valid record.

    `sequence` is that of the record when its header is whole, else 0. `torn` means that it reaches the end
    of the file and looks like a write that was cut off.
    """

    offset: int
    length: int
    sequence: int
    kind: int
    torn: bool


def pack_messages(
    subjects: Sequence[bytes],
    subject_checksums: Sequence[int],
    header_sizes: Sequence[int],
    bodies: Sequence[bytes],
    sequence: int,
    time_ns: int,
    salt: int,
    offset: int,
) -> tuple[bytes, list[int]]:
    """Return the records of consecutive messages as one block that begins at `offset`, and their lengths.

    Column by column rather than message by message: every step is one pass of C code over the batch.
    """
    count = len(bodies)
    if count == 1:
        record = pack_message(
            subjects[0], subject_checksums[0], header_sizes[0], bodies[0], sequence, time_ns, salt + offset
        )
        return record, [len(record)]
    prefixes = None
    subject, header_size = subjects[0], header_sizes[0]
    uniform = subjects.count(subject) == count
    if uniform and header_sizes.count(header_size) == count:
        # What lies between header and body is the same in all of them.
        checksum = subject_checksums[0]
        if header_size:
            prefix = _pack_u32(header_size)
            checksum = crc32(prefix, checksum)
            subjects = [subject + prefix] * count
        checksums = map(crc32, bodies, repeat(checksum, count))
        fixed = HEADER_SIZE + len(subjects[0])
        lengths = [fixed + size for size in map(len, bodies)]
        kind = len(subject) | (MESSAGE << KIND_SHIFT) | (FLAG_HEADERS if header_size else 0)
        kinds = [kind] * count
    elif any(header_sizes):
        prefixes = [_pack_u32(size) if size else b"" for size in header_sizes]
        checksums = map(crc32, bodies, map(crc32, prefixes, subject_checksums))
        lengths = [
            HEADER_SIZE + len(subject) + len(prefix) + len(body)
            for subject, prefix, body in zip(subjects, prefixes, bodies, strict=True)
        ]
        kinds = [
            len(subject) | (MESSAGE << KIND_SHIFT) | (FLAG_HEADERS if size else 0)
            for subject, size in zip(subjects, header_sizes, strict=True)
        ]
    else:
        checksums = map(crc32, bodies, subject_checksums)
        sizes = list(map(len, subjects))
        lengths = [HEADER_SIZE + size + length for size, length in zip(sizes, map(len, bodies), strict=True)]
        kinds = [size | (MESSAGE << KIND_SHIFT) for size in sizes]
    heads = list(
        map(
            _pack_head,
            repeat(MARKER, count),
            lengths,
            range(sequence, sequence + count),
            range(time_ns, time_ns + count),
            checksums,
            kinds,
        )
    )
    seeds = accumulate(lengths, initial=salt + offset)
    head_checksums = map(_pack_u32, map(crc32, heads, seeds))
    width = 4 if prefixes is None else 5
    parts: list[bytes] = [b""] * (width * count)
    parts[0::width] = heads
    parts[1::width] = head_checksums
    parts[2::width] = subjects
    if prefixes is not None:
        parts[3::width] = prefixes
    parts[width - 1 :: width] = bodies
    return b"".join(parts), lengths


def pack_message(
    subject: bytes,
    checksum: int,
    header_size: int,
    body: bytes,
    sequence: int,
    time_ns: int,
    seed: int,
) -> bytes:
    """Return the record of one message as `pack_messages` would, at a third of the cost.

    `seed` is the file's salt plus the record's place in it.
    """
    kind = len(subject) | (MESSAGE << KIND_SHIFT)
    prefix = b""
    if header_size:
        prefix = _pack_u32(header_size)
        checksum = crc32(prefix, checksum)
        kind |= FLAG_HEADERS
    length = HEADER_SIZE + len(subject) + len(prefix) + len(body)
    head = _pack_head(MARKER, length, sequence, time_ns, crc32(body, checksum), kind)
    return b"".join((head, _pack_u32(crc32(head, seed)), subject, prefix, body))


def pack_record(
    kind: int,
    sequence: int,
    time_ns: int,
    body: bytes,
    salt: int,
    offset: int,
    subject: bytes = b"",
    header_size: int = 0,
) -> bytes:
    """Return one record of any kind, for this place in the file."""
    prefix = _pack_u32(header_size) if header_size else b""
    content = subject + prefix + body
    word = len(subject) | (kind << KIND_SHIFT) | (FLAG_HEADERS if header_size else 0)
    head = _pack_head(MARKER, HEADER_SIZE + len(content), sequence, time_ns, crc32(content), word)
    return head + _pack_u32(crc32(head, salt + offset)) + content


def unpack_record(data: Buffer, at: int, salt: int, offset: int) -> Record | None:
    """Return the record at `data[at:]` whose place in the file is `offset`; None when it is damaged."""
    if at + HEADER_SIZE > len(data):
        return None
    marker, length, sequence, time_ns, checksum, word = _unpack_head(data, at)
    if marker != MARKER or length < HEADER_SIZE or at + length > len(data):
        return None
    (head_checksum,) = _unpack_u32(data, at + 32)
    if crc32(data[at : at + 32], salt + offset) != head_checksum:
        return None
    if crc32(data[at + HEADER_SIZE : at + length]) != checksum:
        return None
    start = at + HEADER_SIZE + (word & SUBJECT_MASK)
    header_size = 0
    if word & FLAG_HEADERS:
        (header_size,) = _unpack_u32(data, start)
        subject = bytes(data[at + HEADER_SIZE : start])
        start += 4
    else:
        subject = bytes(data[at + HEADER_SIZE : start])
    return Record(
        offset,
        length,
        sequence,
        time_ns,
        word >> KIND_SHIFT,
        subject,
        header_size,
        bytes(data[start : at + length]),
    )


def valid_head(data: Buffer, at: int, salt: int, offset: int) -> tuple[int, int, int] | None:
    """Return (length, sequence, kind) when the header at `data[at:]` is whole, else None."""
    if at + HEADER_SIZE > len(data):
        return None
    marker, length, sequence, _time, _checksum, word = _unpack_head(data, at)
    if marker != MARKER or length < HEADER_SIZE + (word & SUBJECT_MASK):
        return None
    (head_checksum,) = _unpack_u32(data, at + 32)
    if crc32(data[at : at + 32], salt + offset) != head_checksum:
        return None
    return length, sequence, word >> KIND_SHIFT


def find_record(data: bytes, at: int, salt: int, offset: int) -> int:
    """Return where in `data`, from `at` on, the next whole header is, or -1.

    `offset` is the place in the file of `data[0]`.
    """
    position = data.find(MARKER_BYTES, at)
    while position >= 0:
        if valid_head(data, position, salt, offset + position) is not None:
            return position
        position = data.find(MARKER_BYTES, position + 1)
    return -1


_unpack_whole = Struct("<IIQQIII").unpack_from


class Columns:
    """Messages that a scan found, column by column."""

    __slots__ = ("numbers", "offsets", "sequences", "sizes", "subjects", "times", "with_headers")

    def __init__(self, numbers: dict[bytes, int]) -> None:
        self.numbers = numbers  # of subjects by name; new ones are added
        self.offsets: list[int] = []
        self.sizes: list[int] = []
        self.sequences: list[int] = []
        self.times: list[int] = []
        self.subjects: list[int] = []
        self.with_headers = False


def scan_messages(data: bytes, at: int, salt: int, offset: int, columns: Columns) -> int:
    """Take whole messages that follow each other into `columns`, as fast as can be.

    Stops at the first record that is anything else, or damaged, and returns where in `data` that is.
    """
    view = memoryview(data)
    end = len(data)
    seed = salt + offset
    numbers = columns.numbers
    add_offset, add_size = columns.offsets.append, columns.sizes.append
    add_sequence, add_time = columns.sequences.append, columns.times.append
    add_subject = columns.subjects.append
    last = columns.sequences[-1] if columns.sequences else -1
    last_head = end - HEADER_SIZE
    while at <= last_head:
        marker, length, sequence, time_ns, checksum, word, head = _unpack_whole(data, at)
        stop = at + length
        body = at + HEADER_SIZE
        if (
            marker != MARKER
            or word >> KIND_SHIFT != MESSAGE
            or stop > end
            or sequence <= last
            or crc32(view[at : at + 32], seed + at) != head
            or crc32(view[body:stop]) != checksum
        ):
            break
        subject = data[body : body + (word & SUBJECT_MASK)]
        number = numbers.get(subject)
        if number is None:
            number = numbers[subject] = len(numbers)
        if word & FLAG_HEADERS:
            columns.with_headers = True
        add_offset(offset + at)
        add_size(length)
        add_sequence(sequence)
        add_time(time_ns)
        add_subject(number)
        last = sequence
        at = stop
    return at


def unpack_messages(
    data: bytes, offsets: Sequence[int], sequences: Sequence[int], salt: int, start: int
) -> list[tuple[int, int, bytes, int, bytes] | None]:
    """Return (sequence, time, subject, header size, body) of messages at known places; None for damage.

    `data` begins at `start` in the file. Subjects of one read are shared.
    """
    view = memoryview(data)
    found: list[tuple[int, int, bytes, int, bytes] | None] = []
    add = found.append
    end = len(data)
    subject = b""
    subject_at = -1
    for offset, expected in zip(offsets, sequences, strict=True):
        at = offset - start
        if at + HEADER_SIZE > end:
            add(None)
            continue
        marker, length, sequence, time_ns, checksum, word, head = _unpack_whole(data, at)
        stop = at + length
        body = at + HEADER_SIZE
        if (
            marker != MARKER
            or sequence != expected
            or stop > end
            or crc32(view[at : at + 32], salt + offset) != head
            or crc32(view[body:stop]) != checksum
        ):
            add(None)
            continue
        size = word & SUBJECT_MASK
        content = body + size
        if size != len(subject) or view[body:content] != view[subject_at : subject_at + size]:
            subject, subject_at = data[body:content], body
        if word & FLAG_HEADERS:
            add((sequence, time_ns, subject, _unpack_u32(data, content)[0], data[content + 4 : stop]))
        else:
            add((sequence, time_ns, subject, 0, data[content:stop]))
    return found


def scan(data: bytes, start: int, salt: int, offset: int = 0) -> Iterator[Record | Damage]:
    """Yield every record and every damaged stretch of `data[start:]`, in order.

    `offset` is the place in the file of `data[0]`; `data` reaches to the end of the file.
    """
    view = memoryview(data)
    end = len(data)
    position = start
    while position < end:
        head = valid_head(data, position, salt, offset + position)
        if head is None:
            following = find_record(data, position + 1, salt, offset)
            if following < 0:
                torn = end - position < HEADER_SIZE or not any(view[position:end])
                yield Damage(offset + position, end - position, 0, 0, torn)
                return
            yield Damage(offset + position, following - position, 0, 0, False)
            position = following
            continue
        length, sequence, kind = head
        if position + length > end:
            yield Damage(offset + position, end - position, sequence, kind, True)
            return
        record = unpack_record(view, position, salt, offset + position)
        if record is None:
            yield Damage(offset + position, length, sequence, kind, False)
        else:
            yield record
        position += length


def message_id(headers: bytes) -> bytes:
    """Return the value of ``Nats-Msg-Id`` in a header block, b"" when there is none."""
    at = headers.find(b"\r\nNats-Msg-Id:")
    if at < 0:
        return b""
    end = headers.find(b"\r\n", at + 14)
    return headers[at + 14 : end if end >= 0 else len(headers)].strip()


_DIGITS = bytes.maketrans(b"\x00\x01", b"01")


def to_bytes(numbers: array[int]) -> bytes:
    """Return an array's content, little endian on every machine."""
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers.tobytes()


def from_bytes(typecode: str, content: Buffer) -> array[int]:
    """Return the array that `to_bytes` wrote."""
    numbers = array(typecode)
    numbers.frombytes(content)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


_pack_runs_head = Struct("<BBI").pack
_unpack_runs_head = Struct("<BBI").unpack_from
FLAG_ERASE = 1
FLAG_DAMAGED = 2


def pack_runs(runs: Sequence[tuple[int, int]], flags: int = 0) -> bytes:
    """Return the body of a REMOVAL: runs (first, last) of sequences.

    Form 0 lists the runs with 16 bytes each; form 1 is a bit map from the first sequence on, taken when it
    is shorter, as for every second message of a long stretch.
    """
    if len(runs) > 8:
        first, last = runs[0][0], runs[-1][1]
        span = last - first + 1
        if span // 8 < 16 * len(runs):
            bits = bytearray(span)
            for start, stop in runs:
                bits[start - first : stop - first + 1] = b"\x01" * (stop - start + 1)
            number = int(bytes(bits[::-1]).translate(_DIGITS), 2)
            return (
                _pack_runs_head(1, flags, span)
                + first.to_bytes(8, "little")
                + number.to_bytes((span + 7) // 8, "little")
            )
    flat = array("Q")
    for start, stop in runs:
        flat.append(start)
        flat.append(stop)
    return _pack_runs_head(0, flags, len(runs)) + to_bytes(flat)


def unpack_runs(body: bytes) -> tuple[list[tuple[int, int]], int]:
    """Return the runs of a REMOVAL and its flags."""
    form, flags, size = _unpack_runs_head(body, 0)
    if form == 0:
        flat = from_bytes("Q", body[6 : 6 + 16 * size])
        return list(zip(flat[0::2], flat[1::2], strict=True)), flags
    first = int.from_bytes(body[6:14], "little")
    digits = format(int.from_bytes(body[14:], "little"), f"0{size}b")[::-1]
    runs = []
    position = digits.find("1")
    while position >= 0:
        end = digits.find("0", position)
        if end < 0:
            end = size
        runs.append((first + position, first + end - 1))
        position = digits.find("1", end)
    return runs, flags
