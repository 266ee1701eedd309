"""Records packed in batches are those packed one by one."""

from __future__ import annotations

from zlib import crc32

from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.broker.store.records import pack_message, pack_messages, unpack_messages

_messages = st.lists(
    st.tuples(
        st.sampled_from([b"a", b"a.b", b"other"]), st.sampled_from([0, 0, 3, 7]), st.binary(min_size=7)
    ),
    min_size=1,
    max_size=8,
)


@given(_messages, st.booleans(), st.integers(0, 1 << 32), st.integers(80, 1 << 31))
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
