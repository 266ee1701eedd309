"""Reading neighbouring records in one go: column by column, in a few passes of C code over the batch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import repeat
from struct import Struct
from typing import Any
from zlib import crc32

from memphis_desktop.broker.store.interface import MessageBlock
from memphis_desktop.broker.store.records import (
    FLAG_HEADERS,
    HEADER_SIZE,
    KIND_SHIFT,
    MARKER,
    MESSAGE,
    SUBJECT_MASK,
)

_unpack_whole = Struct("<IIQQIII").unpack_from
_unpack_u32 = Struct("<I").unpack_from
_SEALED = HEADER_SIZE - 4  # the bytes of a head that its own checksum covers
_LARGE = 4096  # records beyond this are few in a block: they are cut by slicing


@lru_cache(maxsize=256)
def _layouts(subject_size: int, size: int) -> tuple[Any, Any]:
    """Return what unpacks records of this size without headers: by field, and by what checksums cover."""
    fields = f"<IIQQIII{subject_size}s{size - HEADER_SIZE - subject_size}s"
    return Struct(fields).iter_unpack, Struct(f"<{_SEALED}s4x{size - HEADER_SIZE}s").iter_unpack


def unpack_block(
    data: bytes, offsets: Sequence[int], sizes: Sequence[int], sequences: Sequence[int], salt: int, start: int
) -> MessageBlock | None:
    """Return the messages at known places; None when one is damaged, or no message.

    Args:
        data: What was read.
        offsets: Where each record begins in the file, ascending.
        sizes: Their lengths.
        sequences: The sequences they must have.
        salt: Of the file.
        start: The place in the file of `data[0]`.
    """
    count, size = len(offsets), sizes[0]
    at = offsets[0] - start
    stop = offsets[-1] + sizes[-1] - start
    if stop > len(data) or size < HEADER_SIZE:
        return None
    word = _unpack_u32(data, at + 28)[0]
    if (
        size <= _LARGE
        and stop - at == count * size
        and list(sizes).count(size) == count
        and word >> KIND_SHIFT == MESSAGE
        and not word & FLAG_HEADERS
        and HEADER_SIZE + (word & SUBJECT_MASK) <= size
    ):
        whole = data[at:stop] if at or stop != len(data) else data
        found = _unpack_uniform(whole, word, size, sequences, salt + offsets[0])
        if found is not None:
            return found  # else some have another subject and headers that come to the same size, or damage
    return _unpack_mixed(data, [offset - start for offset in offsets], sizes, sequences, salt + start)


def _unpack_uniform(
    data: bytes, word: int, size: int, sequences: Sequence[int], seed: int
) -> MessageBlock | None:
    """Unpack records that lie side by side and look like the first one."""
    by_field, by_checksum = _layouts(word & SUBJECT_MASK, size)
    markers, lengths, numbers, times, checksums, words, seals, subjects, bodies = zip(
        *by_field(data), strict=True
    )
    heads, contents = zip(*by_checksum(data), strict=True)
    count = len(numbers)
    if (
        markers.count(MARKER) != count
        or lengths.count(size) != count
        or words.count(word) != count
        or list(numbers) != list(sequences)
        or tuple(map(crc32, contents)) != checksums
        or tuple(map(crc32, heads, range(seed, seed + count * size, size))) != seals
    ):
        return None
    return MessageBlock(sequences, times, _shared(subjects), (0,) * count, bodies)


def _unpack_mixed(
    data: bytes, places: list[int], sizes: Sequence[int], sequences: Sequence[int], seed: int
) -> MessageBlock | None:
    """Unpack records of any size."""
    markers, lengths, numbers, times, checksums, words, seals = zip(
        *map(_unpack_whole, repeat(data), places), strict=True
    )
    count = len(places)
    heads = [data[at : at + _SEALED] for at in places]
    contents = [data[at + HEADER_SIZE : at + size] for at, size in zip(places, sizes, strict=True)]
    kinds = {word >> KIND_SHIFT for word in words}
    subject_sizes = [word & SUBJECT_MASK for word in words]
    if (
        markers.count(MARKER) != count
        or kinds != {MESSAGE}
        or list(lengths) != list(sizes)
        or list(numbers) != list(sequences)
        or tuple(map(crc32, contents)) != checksums
        or tuple(map(crc32, heads, [seed + at for at in places])) != seals
    ):
        return None
    subjects = [content[:size] for content, size in zip(contents, subject_sizes, strict=True)]
    header_sizes: Sequence[int]
    if any(word & FLAG_HEADERS for word in words):
        header_sizes, bodies = [], []
        for content, size, word in zip(contents, subject_sizes, words, strict=True):
            if word & FLAG_HEADERS:
                header_sizes.append(_unpack_u32(content, size)[0])
                bodies.append(content[size + 4 :])
            else:
                header_sizes.append(0)
                bodies.append(content[size:])
    else:
        header_sizes = (0,) * count
        bodies = [content[size:] for content, size in zip(contents, subject_sizes, strict=True)]
    return MessageBlock(sequences, times, _shared(subjects), header_sizes, bodies)


def _shared(subjects: Sequence[bytes]) -> Sequence[bytes]:
    """Return the same subjects, as one object when they are all equal."""
    first, count = subjects[0], len(subjects)
    return (first,) * count if subjects.count(first) == count else subjects
