"""Errors of the medium at any operation: full disk with short writes, failing writes, syncs, opens (P8)."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from memphis_desktop.broker.store.interface import (
    ConsumerState,
    Limits,
    MessageStore,
    RemovalReason,
    StorageError,
    StreamStorage,
)
from tests.reliability.simulated_files import SimulatedFileSystem
from tests.reliability.simulated_node import SimulatedNode

OPTIONS = {"segment_bytes": 1500, "index_bytes": 400, "recent_bytes": 0, "reserve_bytes": 4000}


class Client:
    """Publishes, and remembers what it was told of each message."""

    def __init__(self, node: SimulatedNode, stream: StreamStorage) -> None:
        self.node = node
        self.store: MessageStore = stream.messages
        self.stored: dict[int, bytes] = {}
        self.failed: dict[int, bytes] = {}
        self.refused = 0
        self.number = 0

    def publish(self, size: int = 40) -> bool:
        self.number += 1
        body = b"%d-" % self.number + bytes(size)
        try:
            first = self.store.append([(b"a", 0, body)] * 3, self.node.clock.time_ns())
        except StorageError:
            self.refused += 1
            return False

        def told(failure: StorageError | None) -> None:
            for sequence in range(first, first + 3):
                (self.stored if failure is None else self.failed)[sequence] = body

        self.store.when_durable(told)
        return True

    def check(self, store: MessageStore | None = None, gone: set[int] | None = None) -> None:
        """What was confirmed is there; what failed is not."""
        store = store or self.store
        for sequence, body in self.stored.items():
            if gone and sequence in gone:
                assert store.read(sequence) is None
                continue
            message = store.read(sequence)
            assert message is not None
            assert message.body == body
        assert not set(store.next_sequences(0, 100_000)) & set(self.failed)
        assert not set(self.stored) & set(self.failed)
        assert store.damaged() == []


def begin(files: SimulatedFileSystem | None = None) -> tuple[SimulatedNode, Client]:
    node = SimulatedNode(files, **OPTIONS)
    stream = node.root.create_stream("$G", "S", b"{}", memory=False, limits=Limits())
    stream.write_consumer("c", b"{}")
    return node, Client(node, stream)


def reopened(node: SimulatedNode, seed: int = 0, *, power_loss: bool = False) -> MessageStore:
    files = node.files.after_power_loss(seed) if power_loss else node.files.after_kill()
    (stream,) = SimulatedNode(files, **OPTIONS).root.open_streams("$G")
    return stream.messages


@pytest.mark.parametrize("kind", ["sync", "write", "create", "sync_folder"])
@pytest.mark.parametrize("at", range(1, 26, 3))
def test_a_failing_medium_confirms_nothing_and_the_stream_comes_back(kind: str, at: int) -> None:
    node, client = begin()
    start = node.files.counts.get(kind, 0)
    synced: dict[Path, int] = {}

    def fail(operation: str, path: Path, count: int) -> int | None:
        if operation == "sync" and path in synced and path.suffix == ".log":
            raise AssertionError(f"{path} is synced again after a failed sync")
        if operation == kind and start + at <= count < start + at + 3 and "messages" in str(path):
            if operation == "sync":
                synced[path] = count
            return errno.EIO
        return None

    node.files.fail = fail
    for number in range(60):
        client.publish()
        if number % 4 == 0:
            node.settle()
    node.settle()
    client.check()
    node.wait(30)
    assert client.store.failure is None, "the stream did not come back"
    assert client.publish()
    node.settle()
    client.check()
    assert max(client.stored) > max(client.failed, default=0)
    client.check(reopened(node))
    for seed in range(5):
        client.check(reopened(node, seed, power_loss=True))


@pytest.mark.parametrize("room", [*range(0, 4000, 167), 5000, 9000])
def test_a_full_disk_refuses_messages_and_goes_on_when_there_is_room(room: int) -> None:
    node, client = begin()
    client.publish()
    node.settle()
    node.files.room = room
    for _ in range(150):
        client.publish(200)
        node.settle()
    assert client.refused
    assert client.store.failure is None
    client.check()  # reading works
    # So do purges and acks, from what was set aside.
    gone = set(client.store.next_sequences(0, 2))
    assert client.store.remove(gone, RemovalReason.DELETE) == len(gone)
    told: list[StorageError | None] = []
    client.store.when_durable(told.append)
    node.settle()
    assert told == [None]
    node.files.room = 1_000_000
    node.wait(5)
    assert client.publish()
    node.settle()
    client.check(gone=gone)
    client.check(reopened(node), gone=gone)


def test_acks_go_on_when_the_disk_is_full() -> None:
    node = SimulatedNode(**OPTIONS)
    stream = node.root.create_stream("$G", "S", b"{}", memory=False, limits=Limits())
    stream.write_consumer("c", b"{}")
    consumer = stream.open_consumer("c", False)
    consumer.reset(ConsumerState())
    consumer.delivered_first([1, 2, 3], 1, 5)
    consumer.flush()
    node.settle()
    node.files.room = 10
    told: list[StorageError | None] = []
    consumer.acked([2], 0, 0)
    consumer.flush()
    consumer.when_durable(told.append)
    node.settle()
    assert told == [None]
    files = node.files.after_power_loss(1)
    (stream,) = SimulatedNode(files, **OPTIONS).root.open_streams("$G")
    state = stream.open_consumer("c", False).load()
    assert state is not None
    assert set(state.pending) == {1, 3}


@pytest.mark.parametrize("at", range(1, 12))
def test_a_failing_consumer_journal_confirms_nothing_and_comes_back(at: int) -> None:
    node = SimulatedNode(**OPTIONS)
    stream = node.root.create_stream("$G", "S", b"{}", memory=False, limits=Limits())
    stream.write_consumer("c", b"{}")
    consumer = stream.open_consumer("c", False)
    consumer.reset(ConsumerState())
    count = 0

    def fail(operation: str, path: Path, _: int) -> int | None:
        nonlocal count
        if operation not in ("write", "sync") or "consumers" not in str(path):
            return None
        count += 1
        return errno.EIO if at <= count < at + 2 else None

    node.files.fail = fail
    confirmed: set[int] = set()
    for sequence in range(1, 20):
        consumer.delivered_first([sequence], sequence, 5)
        consumer.flush()
        consumer.acked([sequence], sequence, sequence)
        consumer.flush()
        consumer.when_durable(
            lambda failure, sequence=sequence: confirmed.add(sequence) if failure is None else None  # type: ignore[misc]
        )
        node.settle()
    node.wait(10)
    consumer.acked([], 19, 19)
    consumer.flush()
    told: list[StorageError | None] = []
    consumer.when_durable(told.append)
    node.settle()
    assert told == [None]
    (stream,) = SimulatedNode(node.files.after_power_loss(at), **OPTIONS).root.open_streams("$G")
    state = stream.open_consumer("c", False).load()
    assert state is not None
    assert not set(state.pending) & confirmed
    assert state.ack_floor_stream == 19


def test_few_descriptors_suffice_for_many_streams() -> None:
    files = SimulatedFileSystem()
    node = SimulatedNode(files, **OPTIONS)
    streams = [
        node.root.create_stream("$G", f"S{number}", b"{}", memory=False, limits=Limits())
        for number in range(20)
    ]
    files.most_open = 6
    clients = [Client(node, stream) for stream in streams]
    for _ in range(5):
        for number, client in enumerate(clients):
            client.publish()  # refused in clear words while all descriptors are in use by syncs
            if number % 3 == 0:
                node.settle()
        node.settle()
    for client in clients:
        assert client.store.failure is None
        client.check()
        assert len(client.stored) + 3 * client.refused == 15
    assert sum(len(client.stored) for client in clients) > 250


def test_a_message_the_medium_cannot_read_is_damaged_and_its_neighbours_are_not() -> None:
    node, client = begin()
    for _ in range(4):
        client.publish()
    node.settle()

    def fail(operation: str, path: Path, count: int) -> int | None:
        return errno.EIO if operation == "read" and bad else None

    bad = True
    node.files.fail = fail
    assert client.store.read_many([2]) == []
    bad = False
    node.settle()
    assert client.store.damaged() == [(2, 2)]
    assert [message.sequence for message in client.store.read_many(range(1, 6))] == [1, 3, 4, 5]
    assert reopened(node).damaged() == [(2, 2)]
