"""Files that are mostly dead are written again without what was removed."""

from __future__ import annotations

from memphis_desktop.broker.store.interface import Limits, RemovalReason
from tests.reliability.simulated_node import SimulatedNode

OPTIONS = {"segment_bytes": 20_000, "index_bytes": 4000, "recent_bytes": 0, "reserve_bytes": 0}


def log_bytes(node: SimulatedNode) -> int:
    return sum(
        len(inode.content)
        for path, inode in node.files.files.items()
        if path.suffix == ".log" and path.parent.name == "messages"
    )


def test_a_bucket_of_keys_written_over_and_over_stays_small() -> None:
    node = SimulatedNode(**OPTIONS)
    stream = node.root.create_stream(
        "$G", "S", b"{}", memory=False, limits=Limits(max_messages_per_subject=1)
    )
    store = stream.messages
    values: dict[bytes, bytes] = {}
    for number in range(3000):
        # A tenth of the keys is written once: every file keeps some.
        key = b"k.%d" % (number if number % 10 == 0 else number % 7)
        values[key] = b"%d-" % number + bytes(100)
        store.append([(key, 0, values[key])], node.clock.time_ns())
        if number % 50 == 0:
            node.wait(1.5)
    for _ in range(30):
        node.wait(1.5)
    assert store.message_count == len(values)
    living = store.byte_count
    assert log_bytes(node) < 3 * living
    for _ in range(2):
        for key, value in values.items():
            sequence = store.last_of_subject(key)
            assert sequence is not None
            message = store.read(sequence)
            assert message is not None
            assert message.body == value
        assert store.damaged() == []
        node.root.close()
        node = SimulatedNode(node.files.after_kill(), **OPTIONS)
        (stream,) = node.root.open_streams("$G")
        store = stream.messages
        assert store.byte_count == living
        assert store.last_sequence == 3000


def test_removals_while_a_file_is_written_again_are_kept() -> None:
    node = SimulatedNode(**OPTIONS)
    store = node.root.create_stream("$G", "S", b"{}", memory=False, limits=Limits()).messages
    for _ in range(4):
        store.append([(b"a", 0, bytes(100))] * 100, node.clock.time_ns())
    store.when_durable(lambda failure: None)
    node.settle()
    before = log_bytes(node)
    store.remove(range(2, 140), RemovalReason.DELETE)
    node.clock.advance(1.01)  # the copy is begun, and waits for its sync
    assert any(path.name.endswith(".tmp") for path in node.files.files)
    store.remove([1, 141, 142], RemovalReason.DELETE)
    store.when_durable(lambda failure: None)
    node.settle()
    node.wait(2)
    assert log_bytes(node) < before - 10_000
    kept = [140, *range(143, 401)]
    assert store.next_sequences(1, 1000) == kept
    (stream,) = SimulatedNode(node.files.after_power_loss(3), **OPTIONS).root.open_streams("$G")
    assert stream.messages.next_sequences(1, 1000) == kept
    assert stream.messages.damaged() == []


def test_a_purge_while_a_file_is_written_again_takes_everything() -> None:
    node = SimulatedNode(**OPTIONS)
    store = node.root.create_stream("$G", "S", b"{}", memory=False, limits=Limits()).messages
    for _ in range(4):
        store.append([(b"a", 0, bytes(100))] * 100, node.clock.time_ns())
    store.remove(range(2, 140), RemovalReason.DELETE)
    node.clock.advance(1.01)
    assert any(path.name.endswith(".tmp") for path in node.files.files)
    assert store.purge() == 400 - 138
    store.append([(b"b", 0, b"new")], node.clock.time_ns())
    store.when_durable(lambda failure: None)
    node.settle()
    for _ in range(4):
        node.wait(2)
    assert store.next_sequences(1, 1000) == [401]
    assert log_bytes(node) < 40_000
    (stream,) = SimulatedNode(node.files.after_kill(), **OPTIONS).root.open_streams("$G")
    assert stream.messages.next_sequences(1, 1000) == [401]
    assert stream.messages.damaged() == []


def test_message_ids_of_what_was_left_out_are_kept_for_their_window() -> None:
    node = SimulatedNode(**OPTIONS)
    store = node.root.create_stream("$G", "S", b"{}", memory=False, limits=Limits()).messages
    for number in range(200):
        head = b"NATS/1.0\r\nNats-Msg-Id: id%d\r\n\r\n" % number
        store.append([(b"a", len(head), head + bytes(500))], node.clock.time_ns())
    node.settle()
    before = log_bytes(node)
    store.remove([n for n in range(1, 200) if n % 20], RemovalReason.CONSUMED)
    for _ in range(12):
        node.wait(1.5)
    assert log_bytes(node) < before / 2
    for _ in range(2):
        assert {found[0] for found in store.recent_ids(0)} == {b"id%d" % number for number in range(200)}
        (stream,) = SimulatedNode(node.files.after_kill(), **OPTIONS).root.open_streams("$G")
        store = stream.messages
