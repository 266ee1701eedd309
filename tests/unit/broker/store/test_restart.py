"""What survives a restart of the file store, in order or not."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from memphis_desktop.broker.store.interface import ConsumerState, Limits, PendingDelivery, RemovalReason
from tests.unit.broker.store.conftest import ACCOUNT, START, Node, durable, fill

MakeNode = Callable[..., Node]


async def test_messages_and_configuration_survive(make_node: MakeNode) -> None:
    node = make_node()
    stream = node.create()
    store = stream.messages
    fill(store, 100)
    store.append([(b"b", 12, b"NATS/1.0\r\n\r\nx")], START)
    store.remove([5, 6, 50], RemovalReason.DELETE)
    store.purge(below=4)
    stream.write_configuration(b'{"changed":true}')
    before = (store.first_sequence, store.last_sequence, store.message_count, store.byte_count)
    last = store.last_time_ns
    stream = node.reopen()
    store = stream.messages
    assert stream.configuration() == b'{"changed":true}'
    assert (store.first_sequence, store.last_sequence, store.message_count, store.byte_count) == before
    assert store.last_time_ns == last
    assert list(store.removed_sequences()) == [5, 6, 50]
    message = store.read(101)
    assert message is not None
    assert (message.header_size, message.body) == (12, b"NATS/1.0\r\n\r\nx")
    assert fill(store, 1) == 102


@pytest.mark.parametrize("segment", [500, 5_000, 1 << 20])
async def test_sequences_are_not_reused_after_purge_and_restart(make_node: MakeNode, segment: int) -> None:
    node = make_node(segment_bytes=segment)
    store = node.create().messages
    for _ in range(10):
        fill(store, 10)
    store.purge()
    await durable(store)
    for _ in range(3):
        store = node.reopen().messages
        assert (store.first_sequence, store.last_sequence, store.message_count) == (101, 100, 0)
    assert fill(store, 1) == 101


async def test_emptied_files_go(make_node: MakeNode) -> None:
    node = make_node(segment_bytes=1000)
    store = node.create(max_messages=20).messages
    for _ in range(50):
        fill(store, 10)
        await durable(store)
    await durable(store)
    await durable(store)
    folder = next(node.folder.glob("accounts/*/*/messages"))
    assert len(list(folder.glob("*.log"))) < 6
    store = node.reopen().messages
    assert store.next_sequences(1, 100) == list(range(481, 501))


async def test_removals_in_older_files_outlive_the_file_that_noted_them(make_node: MakeNode) -> None:
    node = make_node(segment_bytes=600)
    store = node.create().messages
    fill(store, 10)  # the first file keeps message 1
    store.remove(range(2, 11), RemovalReason.DELETE)
    for _ in range(10):
        fill(store, 10)
        store.remove(range(store.last_sequence - 9, store.last_sequence + 1), RemovalReason.CONSUMED)
        await durable(store)
    await durable(store)
    assert store.next_sequences(1, 100) == [1]
    for _ in range(3):
        store = node.reopen().messages
        assert store.next_sequences(1, 100) == [1]
        assert store.damaged() == []
        assert store.last_sequence == 110


async def test_message_ids_outlive_their_messages(make_node: MakeNode) -> None:
    node = make_node(segment_bytes=600)
    store = node.create(max_messages=2).messages
    now = 10**18 * 2
    for number in range(20):
        head = b"NATS/1.0\r\nNats-Msg-Id: id-%d\r\n\r\n" % number
        store.append([(b"a", len(head), head + b"x")], now + number)
        await durable(store)
    await durable(store)
    store = node.reopen().messages
    assert [found[0] for found in store.recent_ids(now)] == [b"id-%d" % number for number in range(20)]
    assert [found[1] for found in store.recent_ids(now + 5)] == list(range(6, 21))


async def test_streams_are_created_and_deleted_for_good(make_node: MakeNode) -> None:
    node = make_node()
    fill(node.create("A").messages, 5)
    node.create("a")
    node.create("B")
    node.root.delete_stream(ACCOUNT, "A")
    node.reopen("B")
    assert node.root.accounts() == [ACCOUNT]
    assert {stream.name for stream in node.root.open_streams(ACCOUNT)} == {"a", "B"}


async def test_consumers_survive(make_node: MakeNode) -> None:
    node = make_node()
    stream = node.create()
    stream.write_consumer("c", b'{"c":1}')
    stream.write_consumer("d", b'{"d":1}')
    consumer = stream.open_consumer("c", False)
    assert consumer.load() is None
    consumer.reset(ConsumerState())
    consumer.delivered_first([1, 2, 3, 7], 1, START)
    consumer.delivered(2, 5, 2, START + 5)
    consumer.acked([1], 1, 1)
    consumer.acked([3], 1, 1)
    consumer.exhausted(7, 3, 1, 1)
    consumer.flush()
    await durable(consumer)
    stream.delete_consumer("d")
    stream = node.reopen()
    assert stream.consumers() == {"c": b'{"c":1}'}
    state = stream.open_consumer("c", False).load()
    assert state is not None
    assert state.pending == {2: PendingDelivery(2, START + 5, 2)}
    assert state.exhausted == {7: 3}
    assert (state.delivered_consumer, state.delivered_stream) == (5, 7)
    assert (state.ack_floor_consumer, state.ack_floor_stream) == (1, 1)
    assert state.last_delivered_ns == START + 5


async def test_ephemeral_consumers_survive_the_process_and_never_wait_for_the_medium(
    make_node: MakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = make_node()
    stream = node.create()
    stream.write_consumer("lasting", b"1")

    def refuse(*_: object) -> None:
        raise AssertionError("the loop waited for the medium")

    with monkeypatch.context() as patch:
        for name in ("fsync", "fdatasync"):
            patch.setattr(os, name, refuse)
        for name in ("passing", "gone"):
            stream.write_consumer(name, b"2", synced=False)
        stream.delete_consumer("gone")
    stream = node.reopen()
    assert stream.consumers() == {"lasting": b"1", "passing": b"2"}


async def test_what_power_loss_left_of_an_ephemeral_consumer_is_removed(
    make_node: MakeNode, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    node = make_node()
    node.create().write_consumer("passing", b"1", synced=False)
    (document,) = tmp_path.rglob("consumers/passing-*.doc")  # noqa: ASYNC240
    node.root.close()
    document.write_bytes(b"")
    assert node.reopen().consumers() == {}
    assert not document.exists()
    assert not caplog.records


async def test_a_consumer_made_again_under_the_same_name_begins_anew(make_node: MakeNode) -> None:
    node = make_node()
    stream = node.create()
    stream.write_consumer("c", b"1")
    consumer = stream.open_consumer("c", False)
    consumer.reset(ConsumerState(5, 5, 5, 5))
    consumer.flush()
    stream.delete_consumer("c")
    stream.write_consumer("c", b"2")
    assert stream.open_consumer("c", False).load() is None
    stream = node.reopen()
    assert stream.consumers() == {"c": b"2"}
    assert stream.open_consumer("c", False).load() is None


async def test_limits_hold_again_after_opening(make_node: MakeNode) -> None:
    node = make_node()
    fill(node.create().messages, 100)
    store = node.reopen().messages
    store.limits = Limits(max_messages=10)
    store.enforce_limits()
    assert store.first_sequence == 91


async def test_a_single_message_is_told_of_when_it_is_written_and_syncs_are_not_waited_for(
    make_node: MakeNode,
) -> None:
    node = make_node(sync_always=False)
    messages = node.create().messages
    told: list[tuple[int, int, bool]] = []

    def written(sequence: int) -> None:
        (log,) = node.folder.rglob("*.log")  # type: ignore[union-attr]
        told.append((sequence, messages.last_sequence, log.read_bytes().endswith(b"one")))

    assert messages.append([(b"s.a", 0, b"one")], START, written) == 1
    assert told == [(1, 0, True)]
    assert (messages.last_sequence, messages.durable_sequence) == (1, 1)
    messages.append([(b"s.a", 0, b"two"), (b"s.a", 0, b"three")], START, written)
    messages.sync_always = True
    messages.append([(b"s.a", 0, b"four")], START, written)
    assert len(told) == 1
    assert messages.read(4).body == b"four"  # type: ignore[union-attr]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what lies in memory")
async def test_what_the_system_dropped_from_memory_is_read_ahead_beside_the_loop(
    make_node: MakeNode, tmp_path: Path
) -> None:
    node = make_node(recent_bytes=0)
    store = node.create().messages
    fill(store, 2000, size=500)
    await durable(store)
    told = asyncio.Event()
    assert store.at_hand([1, 2000], 1 << 20, told.set)  # just written
    for log in tmp_path.rglob("messages/*"):  # noqa: ASYNC240
        descriptor = os.open(log, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)
    if store.at_hand([1, 2000], 1 << 20, told.set):
        pytest.skip("this file system keeps everything in memory")
    async with asyncio.timeout(20):
        await told.wait()
    assert store.at_hand([1, 2000], 1 << 20, told.set)
    assert [message.sequence for message in store.read_many([1, 2, 2000])] == [1, 2, 2000]
