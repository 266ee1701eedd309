"""Streams through nats-py: what applications rely on, on both servers, and what survives on ours."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from nats.js import JetStreamContext, api
from nats.js.errors import (
    APIError,
    BadRequestError,
    KeyNotFoundError,
    KeyWrongLastSequenceError,
    NotFoundError,
)

from memphis_desktop.server_process import ServerProcess
from tests.conftest import Connect
from tests.waiting import eventually


async def test_publish_is_acknowledged_with_its_sequence(jetstream: JetStreamContext) -> None:
    await jetstream.add_stream(name="ORDERS", subjects=["orders.*"])
    acks = [await jetstream.publish("orders.new", b"%d" % number) for number in range(5)]
    assert [ack.seq for ack in acks] == [1, 2, 3, 4, 5]
    assert {ack.stream for ack in acks} == {"ORDERS"}
    assert (await jetstream.get_msg("ORDERS", 3)).data == b"2"


async def test_many_publishes_in_flight_keep_their_order(jetstream: JetStreamContext) -> None:
    await jetstream.add_stream(name="S", subjects=["s.*", "t"])
    futures = [
        await jetstream.publish_async("s.a" if number % 3 else "t", b"%d" % number) for number in range(900)
    ]
    acks = await asyncio.gather(*futures)
    assert [ack.seq for ack in acks] == list(range(1, 901))
    assert (await jetstream.get_msg("S", 778)).data == b"777"


async def test_a_message_id_is_taken_once(jetstream: JetStreamContext) -> None:
    await jetstream.add_stream(name="S", subjects=["s"])
    first = await jetstream.publish("s", b"1", headers={"Nats-Msg-Id": "a"})
    again = await jetstream.publish("s", b"2", headers={"Nats-Msg-Id": "a"})
    other = await jetstream.publish("s", b"3", headers={"Nats-Msg-Id": "b"})
    assert (first.seq, first.duplicate) == (1, None)
    assert (again.seq, again.duplicate) == (1, True)
    assert other.seq == 2


async def test_an_id_counts_again_after_its_window(jetstream: JetStreamContext) -> None:
    await jetstream.add_stream(name="S", subjects=["s"], duplicate_window=0.2)
    await jetstream.publish("s", b"1", headers={"Nats-Msg-Id": "a"})
    await eventually(
        lambda: jetstream.publish("s", b"2", headers={"Nats-Msg-Id": "a"}), lambda ack: not ack.duplicate
    )
    assert (await jetstream.stream_info("S")).state.messages == 2


async def test_messages_leave_at_their_age(jetstream: JetStreamContext) -> None:
    await jetstream.add_stream(name="S", subjects=["s"], max_age=0.3)
    await jetstream.publish("s", b"1")
    await eventually(lambda: jetstream.stream_info("S"), lambda info: info.state.messages == 0)
    assert (await jetstream.publish("s", b"2")).seq == 2


async def test_a_stream_says_why_it_is_refused(jetstream: JetStreamContext) -> None:
    await jetstream.add_stream(name="S", subjects=["s.*"])
    with pytest.raises(BadRequestError) as caught:
        await jetstream.add_stream(name="T", subjects=["s.a"])
    assert caught.value.err_code == 10065
    with pytest.raises(NotFoundError) as missing:
        await jetstream.stream_info("NOPE")
    assert missing.value.err_code == 10059
    with pytest.raises(APIError):
        await jetstream.publish("s.a", b"", headers={"Nats-Expected-Stream": "X"})


async def test_key_value_buckets(jetstream: JetStreamContext) -> None:
    bucket = await jetstream.create_key_value(config=api.KeyValueConfig(bucket="B", history=3, direct=True))
    assert await bucket.put("color", b"red") == 1
    assert await bucket.update("color", b"green", 1) == 2
    with pytest.raises(KeyWrongLastSequenceError):
        await bucket.update("color", b"blue", 1)
    assert (await bucket.get("color")).value == b"green"
    assert [entry.value for entry in await bucket.history("color")] == [b"red", b"green"]
    await bucket.delete("color")
    with pytest.raises(KeyNotFoundError):
        await bucket.get("color")
    assert await bucket.create("color", b"new") == 4
    await bucket.put("size", b"1")
    assert sorted(await bucket.keys()) == ["color", "size"]
    await bucket.purge("size")
    assert await bucket.keys() == ["color"]
    watcher = await bucket.watchall()
    entry = await watcher.updates(timeout=5)
    assert entry is not None
    assert entry.key == "color"
    await watcher.stop()


async def test_object_stores(jetstream: JetStreamContext) -> None:
    store = await jetstream.create_object_store("FILES")
    content = bytes(range(256)) * 2000
    await store.put("f", content)
    assert (await store.get("f")).data == content
    assert [entry.name for entry in await store.list()] == ["f"]
    await store.delete("f")
    assert (await store.status()).size < len(content)


async def test_a_mirror_follows_its_origin(jetstream: JetStreamContext) -> None:
    await jetstream.add_stream(name="O", subjects=["o"])
    for number in range(5):
        await jetstream.publish("o", b"%d" % number)
    await jetstream.add_stream(name="M", mirror=api.StreamSource(name="O"))
    await jetstream.publish("o", b"5")
    await eventually(lambda: jetstream.stream_info("M"), lambda info: info.state.last_seq >= 6)
    original, copy = await jetstream.get_msg("O", 4), await jetstream.get_msg("M", 4)
    assert (copy.data, copy.time) == (original.data, original.time)


async def _state(jetstream: JetStreamContext, name: str) -> tuple[Any, ...]:
    state = (await jetstream.stream_info(name)).state
    return state.messages, state.bytes, state.first_seq, state.last_seq, state.consumer_count


@pytest.mark.parametrize("crash", [False, True], ids=["orderly", "killed"])
async def test_everything_survives_a_restart(broker: ServerProcess, connect: Connect, crash: bool) -> None:
    jetstream = (await connect(broker)).jetstream(timeout=30)
    await jetstream.add_stream(name="S", subjects=["s.*"], max_msgs=15, duplicate_window=60)
    await jetstream.add_stream(name="W", subjects=["w"], retention="workqueue", duplicate_window=60)
    await jetstream.add_stream(name="F", subjects=["f"], first_seq=50)
    await jetstream.add_stream(name="M", mirror=api.StreamSource(name="S"))
    await jetstream.add_stream(name="C", sources=[api.StreamSource(name="S")], duplicate_window=0)
    for number in range(20):
        await jetstream.publish("s.a", b"%d" % number, headers={"Nats-Msg-Id": f"s{number}"})
        await jetstream.publish("w", b"%d" % number, headers={"Nats-Msg-Id": f"w{number}"})
    await jetstream.purge_stream("S", keep=10)
    await jetstream.delete_msg("S", 15)
    worker = await jetstream.pull_subscribe("w", "worker")
    for message in await worker.fetch(5):
        await message.ack_sync(timeout=30)
    await eventually(lambda: jetstream.stream_info("C"), lambda info: info.state.messages >= 20)
    before = [await _state(jetstream, name) for name in ("S", "W", "F", "M", "C")]

    broker.restart(crash=crash)

    jetstream = (await connect(broker)).jetstream(timeout=30)
    assert [await _state(jetstream, name) for name in ("S", "W", "F", "M", "C")] == before
    assert (await jetstream.publish("s.a", b"x", headers={"Nats-Msg-Id": "s3"})).duplicate
    consumed = await jetstream.publish("w", b"x", headers={"Nats-Msg-Id": "w1"})
    assert (consumed.seq, consumed.duplicate) == (2, True)
    assert (await jetstream.publish("f", b"x")).seq == 50
    new = await jetstream.publish("s.a", b"new", headers={"Nats-Expected-Last-Msg-Id": "s19"})
    assert new.seq == 21
    await eventually(lambda: jetstream.stream_info("C"), lambda info: info.state.messages >= 21)
    assert (await jetstream.stream_info("C")).state.messages == 21  # nothing was sourced twice
    assert (await jetstream.stream_info("M")).state.last_seq == 21


async def test_schedules_and_lifetimes_survive_a_kill(broker: ServerProcess, connect: Connect) -> None:
    client = await connect(broker)
    jetstream = client.jetstream(timeout=30)
    await jetstream.add_stream(
        name="S", subjects=["plan.*", "done.*", "short"], allow_msg_schedules=True, allow_msg_ttl=True
    )
    every_second = {"Nats-Schedule": "@every 1s", "Nats-Schedule-Target": "done.a"}
    await jetstream.publish("plan.a", b"tick", headers=every_second)
    await jetstream.publish("short", b"gone soon", headers={"Nats-TTL": "1s"})

    broker.restart(crash=True)

    jetstream = (await connect(broker)).jetstream(timeout=30)

    def served(info: api.StreamInfo) -> bool:
        subjects = info.state.subjects or {}
        return "done.a" in subjects and "short" not in subjects

    await eventually(lambda: jetstream.stream_info("S", subjects_filter=">"), served)
    assert (await jetstream.get_last_msg("S", "done.a")).data == b"tick"
