"""Records packed in batches are those packed one by one."""

from __future__ import annotations

from zlib import crc32

from hypothesis import example, given
from hypothesis import strategies as st

from memphis_desktop.broker.store.blocks import unpack_block
from memphis_desktop.broker.store.records import pack_message, pack_messages, unpack_messages

_messages = st.lists(
    st.tuples(
        st.sampled_from([b"a", b"a.b", b"other"]), st.sampled_from([0, 0, 3, 7]), st.binary(min_size=7)
    ),
    min_size=1,
    max_size=8,
)


@given(_messages, st.booleans(), st.integers(0, 1 << 32), st.integers(80, 1 << 31))
@example([(b"other", 0, bytes(7)), (b"a", 3, bytes(7))], False, 0, 80)  # of the same size
def test_a_batch_is_its_messages_one_behind_the_other(
    messages: list[tuple[bytes, int, bytes]], alike: bool, salt: int, offset: int
) -> None:
    if alike:
        messages = [(*messages[0][:2], body) for _, _, body in messages]
    names, header_sizes, bodies = zip(*messages, strict=True)
    checksums = [crc32(name) for name in names]
    block, lengths = pack_messages(names, checksums, header_sizes, bodies, 5, 1000, salt, offset)
    single = b""
    offsets = []
    for at, (name, header_size, body) in enumerate(messages):
        offsets.append(offset + len(single))
        seed = salt + offset + len(single)
        single += pack_message(name, checksums[at], header_size, body, 5 + at, 1000 + at, seed)
    assert block == single
    assert sum(lengths) == len(block)
    found = unpack_messages(block, offsets, range(5, 5 + len(messages)), salt, offset)
    assert found == [(5 + at, 1000 + at, *message) for at, message in enumerate(messages)]
    read = b"before" + block + b"behind"
    columns = unpack_block(read, offsets, lengths, range(5, 5 + len(messages)), salt, offset - 6)
    assert columns is not None
    assert columns.messages() == found


@given(_messages, st.booleans(), st.data())
def test_a_batch_with_a_flipped_bit_is_not_read_as_one(
    messages: list[tuple[bytes, int, bytes]], alike: bool, data: st.DataObject
) -> None:
    if alike:
        messages = [(*messages[0][:2], messages[0][2]) for _ in messages]
    names, header_sizes, bodies = zip(*messages, strict=True)
    checksums = [crc32(name) for name in names]
    block, lengths = pack_messages(names, checksums, header_sizes, bodies, 5, 1000, 77, 80)
    offsets = [80 + sum(lengths[:at]) for at in range(len(lengths))]
    sequences = range(5, 5 + len(messages))
    assert unpack_block(block, offsets, lengths, sequences, 77, 80) is not None
    assert unpack_block(block, offsets, lengths, range(6, 6 + len(messages)), 77, 80) is None
    assert unpack_block(block, offsets, lengths, sequences, 78, 80) is None
    assert unpack_block(block[:-1], offsets, lengths, sequences, 77, 80) is None
    damaged = bytearray(block)
    bit = data.draw(st.integers(0, 8 * len(block) - 1))
    damaged[bit // 8] ^= 1 << bit % 8
    assert unpack_block(bytes(damaged), offsets, lengths, sequences, 77, 80) is None
