"""The formats inside of snapshots: S2 frames and the archive."""

from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memphis_desktop.protocol.snapshot import archive
from memphis_desktop.protocol.snapshot.archive import ArchiveReader, Entry, InvalidArchive, encode_entry
from memphis_desktop.protocol.snapshot.s2_frames import (
    FrameReader,
    FrameWriter,
    InvalidFrames,
    checksum,
    decode_block,
    masked,
)


def read_all(data: bytes, step: int) -> bytes:
    reader = FrameReader()
    result = bytearray()
    for start in range(0, len(data), step):
        reader.feed(data[start : start + step])
        for block in reader.blocks():
            result += block or b""
    assert reader.is_between_frames
    return bytes(result)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=300) | st.none(), max_size=8), st.integers(1, 5000))
def test_frames_give_back_what_was_written(sizes: list[bytes | None], step: int) -> None:
    pieces = [b"abc" * 60_000 if piece is None else piece for piece in sizes]  # None: larger than a frame
    writer = FrameWriter()
    data = b"".join(writer.write(piece) for piece in pieces)
    assert read_all(data, step) == b"".join(pieces)


def decoded(block: bytes) -> bytes:
    result = bytearray()
    for _ in decode_block(block, result):
        pass
    return bytes(result)


def test_what_s2_adds_to_snappy() -> None:
    """A copy with offset 0 repeats the one before; its length may be in one, two or three further bytes."""
    start = b"\x0cabcd"  # four literals
    copy = b"\x01\x04"  # four bytes, offset 4
    assert decoded(b"\x08" + start + copy) == b"abcdabcd"
    assert decoded(b"\x0c" + start + copy + b"\x01\x00") == b"abcd" * 3
    assert decoded(b"\x14" + start + copy + b"\x15\x00\x04") == b"abcd" * 5
    assert decoded(b"\x90\x02" + start + copy + b"\x19\x00\x04\x00") == b"abcd" * 68
    assert decoded(b"\x8c\x80\x04" + start + copy + b"\x1d\x00\x00\x00\x00") == b"abcd" * 16387
    large = struct.pack("<I", 4)
    assert decoded(b"\x44" + start + b"\xff" + large) == b"abcd" * 17


@given(st.binary(max_size=60))
def test_any_block_is_decoded_or_refused(block: bytes) -> None:
    with contextlib.suppress(InvalidFrames):
        decoded(block)


@given(st.binary(max_size=200))
def test_any_frames_are_read_or_refused(data: bytes) -> None:
    reader = FrameReader()
    reader.feed(b"\xff\x06\x00\x00S2sTwO" + data)
    with contextlib.suppress(InvalidFrames):
        list(reader.blocks())


def test_the_checksum_of_a_large_block_is_put_together() -> None:
    assert checksum(b"123456789") == 0xE3069283  # the check value of CRC-32C
    assert checksum(b"") == 0
    data = bytes(range(256)) * 700
    expected = 0xFFFFFFFF
    for byte in data:
        expected ^= byte
        for _ in range(8):
            expected = expected >> 1 ^ (0x82F63B78 if expected & 1 else 0)
    assert checksum(data) == expected ^ 0xFFFFFFFF


def test_a_large_frame_with_a_wrong_checksum_is_refused() -> None:
    data = bytes(100_000)
    for add, good in ((0, True), (1, False)):
        body = struct.pack("<I", (masked(checksum(data)) + add) & 0xFFFFFFFF) + data
        frame = b"\x01" + len(body).to_bytes(3, "little") + body
        reader = FrameReader()
        reader.feed(b"\xff\x06\x00\x00S2sTwO" + frame)
        if good:
            assert list(reader.blocks()) == [data]
        else:
            with pytest.raises(InvalidFrames):
                list(reader.blocks())


ENTRIES = st.lists(
    st.tuples(
        st.binary(max_size=40),
        st.integers(-(1 << 62), 1 << 62),
        st.integers(0, (1 << 64) - 1),
        st.binary(max_size=20),
        st.binary(max_size=200),
    ),
    max_size=8,
)


@given(ENTRIES, st.integers(1, 50))
def test_an_archive_gives_back_its_entries(
    entries: list[tuple[bytes, int, int, bytes, bytes]], step: int
) -> None:
    data = archive.MAGIC
    for name, time_ns, sequence, head, payload in entries:
        data += encode_entry(name, time_ns, sequence, len(head), head + payload)
    data += archive.END
    reader = ArchiveReader()
    found: list[Entry] = []
    for start in range(0, len(data), step):
        reader.feed(data[start : start + step])
        while (entry := reader.next_entry()) is not None:
            found.append(entry)
    expected = [
        Entry(name, time_ns, sequence, len(head), head + payload)
        for name, time_ns, sequence, head, payload in entries
    ]
    assert found[:-1] == expected
    assert found[-1].is_end


@given(st.binary(max_size=100))
def test_any_bytes_are_entries_or_refused(data: bytes) -> None:
    reader = ArchiveReader()
    reader.feed(archive.MAGIC + data)
    try:
        while reader.next_entry() is not None:
            pass
    except InvalidArchive:
        pass
    other = ArchiveReader()
    other.feed(b"NOTANARC" + data)
    with pytest.raises(InvalidArchive):
        other.next_entry()
