"""What both stores promise of messages."""

from __future__ import annotations

import pytest

from memphis_desktop.broker.store.interface import Limits, RemovalReason, StoredMessage, SubjectState
from tests.unit.broker.store.conftest import START, Node, durable, fill


async def test_messages_get_consecutive_sequences_and_come_back(node: Node) -> None:
    store = node.create().messages
    assert (store.first_sequence, store.last_sequence, store.message_count) == (0, 0, 0)
    first = store.append([(b"a.b", 0, b"one"), (b"a.c", 12, b"NATS/1.0\r\n\r\ntwo")], START)
    assert first == 1
    assert store.append([(b"a.b", 0, b"")], START + 100) == 3
    assert store.read(1) == StoredMessage(1, START, b"a.b", 0, b"one")
    assert store.read(2) == StoredMessage(2, START + 1, b"a.c", 12, b"NATS/1.0\r\n\r\ntwo")
    assert store.read(3) == StoredMessage(3, START + 100, b"a.b", 0, b"")
    assert store.read(4) is None
    assert store.read(0) is None
    assert [message.sequence for message in store.read_many([1, 2, 3, 9])] == [1, 2, 3]
    await durable(store)
    assert store.durable_sequence == 3


async def test_times_never_go_back(node: Node) -> None:
    store = node.create().messages
    fill(store, 10, start=START)
    fill(store, 1, start=START - 10**12)
    message = store.read(11)
    assert message is not None
    assert message.time_ns >= START + 9


async def test_bytes_are_counted_as_nats_server_counts(node: Node) -> None:
    store = node.create().messages
    store.append([(b"a.b", 0, b"12345")], START)
    plain = 30 + 3 + 5 if node.folder else 16 + 3 + 5
    assert store.byte_count == plain
    store.append([(b"a.b", 12, b"NATS/1.0\r\n\r\n12345")], START)
    assert store.byte_count == plain * 2 + 12 + (4 if node.folder else 0)


async def test_limits_discard_the_oldest(node: Node) -> None:
    store = node.create(max_messages=10).messages
    removed: list[tuple[int, bytes]] = []
    reasons: set[str] = set()

    def note(gone: object, reason: str) -> None:
        removed.extend(gone)  # type: ignore[arg-type]
        reasons.add(reason)

    store.on_removed = note
    fill(store, 25)
    assert (store.first_sequence, store.last_sequence, store.message_count) == (16, 25, 10)
    assert removed == [(n, b"a") for n in range(1, 16)]
    assert reasons == {RemovalReason.LIMITS}
    store.limits = Limits(max_messages=3)
    store.enforce_limits()
    assert store.first_sequence == 23


async def test_byte_limits(node: Node) -> None:
    store = node.create().messages
    fill(store, 10)
    size = store.byte_count // 10
    store.limits = Limits(max_bytes=size * 4)
    fill(store, 1)
    assert store.message_count == 4
    assert store.byte_count == 4 * size


async def test_limits_per_subject(node: Node) -> None:
    store = node.create(max_messages_per_subject=2).messages
    store.append([(b"k.%d" % (n % 3), 0, b"%d" % n) for n in range(30)], START)
    assert store.message_count == 6
    assert store.subjects()[b"k.1"] == SubjectState(2, 26, 29)
    assert store.next_sequences(1, 100) == [25, 26, 27, 28, 29, 30]


async def test_discard_new_refuses_with_the_servers_words(node: Node) -> None:
    store = node.create(max_messages=2, discard_new=True).messages
    assert store.refusal(b"a", 5) is None
    fill(store, 2)
    assert store.refusal(b"a", 5) == "maximum messages exceeded"
    store.limits = Limits(max_bytes=store.byte_count + 20, discard_new=True)
    assert store.refusal(b"a", 5000) == "maximum bytes exceeded"
    store.limits = Limits(max_messages_per_subject=2, discard_new=True, discard_new_per_subject=True)
    assert store.refusal(b"a", 5) == "maximum messages per subject exceeded"
    assert store.refusal(b"b", 5) is None


async def test_removal_and_gaps(node: Node) -> None:
    store = node.create().messages
    fill(store, 10)
    assert store.remove([3, 5, 6, 77], RemovalReason.DELETE) == 3
    assert store.remove([3], RemovalReason.DELETE) == 0
    assert store.read(5) is None
    assert list(store.removed_sequences()) == [3, 5, 6]
    assert store.next_sequences(2, 4) == [2, 4, 7, 8]
    assert store.previous_sequence(6) == 4
    assert store.count_from(4) == 5
    assert store.remove([1, 2], RemovalReason.CONSUMED) == 2
    assert store.first_sequence == 4
    assert store.purge() == 5
    assert (store.first_sequence, store.last_sequence, store.message_count) == (11, 10, 0)
    assert store.byte_count == 0
    assert fill(store, 1) == 11


@pytest.mark.parametrize("kind", ["below", "keep", "filter", "filter keep", "filter below"])
async def test_purge_kinds(node: Node, kind: str) -> None:
    store = node.create().messages
    store.append([(b"s.%d" % (n % 2), 0, b"x") for n in range(1, 11)], START)  # s.1 odd, s.0 even
    if kind == "below":
        assert store.purge(below=4) == 3
        assert store.next_sequences(1, 20) == list(range(4, 11))
    elif kind == "keep":
        assert store.purge(keep=2) == 8
        assert store.next_sequences(1, 20) == [9, 10]
    elif kind == "filter":
        assert store.purge(b"s.1") == 5
        assert store.next_sequences(1, 20) == [2, 4, 6, 8, 10]
        assert store.subject_count == 1
    elif kind == "filter keep":
        assert store.purge(b"s.1", keep=1) == 4
        assert store.next_sequences(1, 20) == [2, 4, 6, 8, 9, 10]
    else:
        assert store.purge(b"*.0", below=7) == 3
        assert store.next_sequences(1, 20) == [1, 3, 5, 7, 8, 9, 10]


async def test_filters(node: Node) -> None:
    store = node.create().messages
    names = [b"o.eu.new", b"o.us.new", b"o.eu.paid", b"x"]
    for start in range(0, 400, 40):
        store.append([(names[n % 4], 0, b"%d" % n) for n in range(start, start + 40)], START + start)
    for filters in ([b"o.eu.new"], [b"o.*.new"], [b"o.eu.>", b"x"], [b"o.>"], [b"nothing"], [b">"], []):
        wanted = [n + 1 for n in range(400) if not filters or any(_match(f, names[n % 4]) for f in filters)]
        for start in (1, 2, 57, 200, 399, 400, 401):
            rest = [n for n in wanted if n >= start]
            assert store.next_sequences(start, 1000, filters) == rest
            assert store.next_sequences(start, 5, filters) == rest[:5]
            assert store.count_from(start, filters) == len(rest)
            before = [n for n in wanted if n <= start]
            assert store.previous_sequence(start, filters) == (before[-1] if before else None)
    assert store.last_of_subject(b"x") == 400
    assert store.last_of_subject(b"y") is None
    assert store.subject_of(2) == b"o.us.new"
    assert set(store.subjects(b"o.eu.*")) == {b"o.eu.new", b"o.eu.paid"}


def _match(pattern: bytes, subject: bytes) -> bool:
    from memphis_desktop.protocol.subjects import matches

    return matches(pattern, subject)


async def test_sequence_at_a_time(node: Node) -> None:
    store = node.create().messages
    for second in range(10):
        fill(store, 3, start=START + second * 10**9)
    assert store.sequence_at(0) == 1
    assert store.sequence_at(START) == 1
    assert store.sequence_at(START + 1) == 2
    assert store.sequence_at(START + 3) == 4
    assert store.sequence_at(START + 5 * 10**9) == 16
    assert store.sequence_at(START + 10**10) == 31
    assert store.first_time_ns == START
    assert store.last_time_ns == START + 9 * 10**9 + 2


async def test_age(node: Node) -> None:
    store = node.create(max_age_ns=10**9).messages
    fill(store, 5, start=START)
    fill(store, 5, start=START + 10**9)
    due = store.expire(START + 10**8)
    assert due is not None
    assert START + 10**9 <= due < START + 10**9 + 10**7
    assert store.message_count == 10
    while (due := store.expire(START + 10**9 + 10**7)) == START + 10**9 + 10**7:
        pass
    assert store.first_sequence == 6
    while store.expire(START + 10**10) is not None:
        pass
    assert store.message_count == 0
    assert store.expire(START + 10**10) is None


async def test_skipping_sequences(node: Node) -> None:
    store = node.create().messages
    store.skip_to(100)
    assert (store.first_sequence, store.last_sequence) == (100, 99)
    assert fill(store, 2) == 100
    store.skip_to(200)
    assert fill(store, 1) == 200
    assert store.next_sequences(1, 10) == [100, 101, 200]
    with pytest.raises(ValueError):
        store.skip_to(200)


async def test_durability_callbacks_run_in_order_after_the_call(node: Node) -> None:
    store = node.create().messages
    called: list[int] = []
    fill(store, 1)
    for number in range(5):
        store.when_durable(lambda failure, number=number: called.append(number))  # type: ignore[misc]
    assert called == []
    await durable(store)
    assert called == [0, 1, 2, 3, 4]
