"""A block of deliveries is sent as the messages that are in it would be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.protocol.deliveries import DeliveryBlock
from memphis_desktop.protocol.framing import frame_messages

_messages = st.lists(
    st.tuples(
        st.integers(1, 1 << 62),
        st.sampled_from([b"orders.new", b"orders.%d", b"o"]),
        st.sampled_from([0, 0, 3]),
        st.binary(min_size=3, max_size=40),
    ),
    min_size=1,
    max_size=12,
)


@given(_messages, st.booleans(), st.booleans(), st.sampled_from([b"1", b"%s"]), st.integers(0, 2000))
def test_it_is_framed_as_its_messages(
    messages: list[tuple[int, bytes, int, bytes]], alike: bool, headers: bool, sid: bytes, pending: int
) -> None:
    if alike:
        messages = [(time, *messages[0][1:3], body) for time, _, _, body in messages]
    times, subjects, header_sizes, bodies = zip(*messages, strict=True)
    sequences = range(998, 998 + len(messages))
    pending += len(messages)
    block = DeliveryBlock(b"$JS.ACK.S%.C.1.", sequences, times, subjects, header_sizes, bodies, 7, pending)
    made = block.messages()
    assert len(block) == len(made)
    assert made[-1] == (
        subjects[-1],
        b"$JS.ACK.S%%.C.1.%d.%d.%d.%d" % (sequences[-1], 6 + len(made), times[-1], pending - len(made) + 1),
        header_sizes[-1],
        bodies[-1],
    )
    parts: list[bytes] = []
    total = frame_messages(sid, made, headers, parts)
    assert block.frame(sid, headers) == (b"".join(parts), total)
