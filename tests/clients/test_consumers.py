"""Consumers through nats-py: the same on the real server and on ours, and on ours through kills."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from nats.aio.client import Client
from nats.errors import TimeoutError as NoMessages
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, RetentionPolicy, StreamConfig
from nats.js.errors import NotFoundError

from memphis_desktop.server_process import ServerProcess
from tests.conftest import Connect


async def fill(jetstream: JetStreamContext, count: int, subject: str = "work.a") -> None:
    futures = [await jetstream.publish_async(subject, b"%d" % number) for number in range(count)]
    await asyncio.gather(*futures)


async def test_fetch_ack_and_redelivery(client: Client, jetstream: JetStreamContext) -> None:
    await jetstream.add_stream(name="WORK", subjects=["work.>"])
    naked = await client.subscribe("$JS.EVENT.ADVISORY.CONSUMER.MSG_NAKED.>")
    await fill(jetstream, 10)
    reader = await jetstream.pull_subscribe(
        "work.a", "G", config=ConsumerConfig(ack_wait=0.5, max_deliver=3, ack_policy=AckPolicy.EXPLICIT)
    )
    first = await reader.fetch(4, timeout=2)
    assert [message.data for message in first] == [b"0", b"1", b"2", b"3"]
    await first[0].ack_sync(timeout=30)
    await first[1].nak()
    await naked.next_msg(timeout=30)
    again = await reader.fetch(1, timeout=2)
    assert (again[0].data, again[0].metadata.num_delivered) == (b"1", 2)
    await again[0].term()
    await asyncio.sleep(0.6)
    rest = await reader.fetch(10, timeout=2)
    assert [message.data for message in rest[:2]] == [b"2", b"3"]
    assert len(rest) == 8
    for message in rest:
        await message.ack_sync(timeout=30)
    info = await reader.consumer_info()
    assert (info.num_pending, info.num_ack_pending) == (0, 0)
    assert info.ack_floor is not None
    assert info.ack_floor.stream_seq == 10
    with pytest.raises(NoMessages):
        await reader.fetch(1, timeout=0.3)


async def test_queue_group_of_a_push_consumer(jetstream: JetStreamContext) -> None:
    await jetstream.add_stream(name="WORK", subjects=["work.>"])
    got: list[bytes] = []
    done = asyncio.Event()

    async def take(message: object) -> None:
        got.append(message.data)  # type: ignore[attr-defined]
        if len(got) == 100:
            done.set()

    members = [await jetstream.subscribe("work.a", queue="q", cb=take) for _ in range(3)]
    await fill(jetstream, 100)
    await asyncio.wait_for(done.wait(), 60)
    assert sorted(map(int, got)) == list(range(100))
    info = await members[0].consumer_info()
    assert info.push_bound


async def test_ordered_consumer_reads_a_large_stream(jetstream: JetStreamContext) -> None:
    await jetstream.add_stream(name="WORK", subjects=["work.>"])
    body = b"x" * 4096
    futures = [await jetstream.publish_async("work.a", body) for _ in range(2500)]
    await asyncio.gather(*futures)
    reader = await jetstream.subscribe("work.a", ordered_consumer=True)
    for expected in range(1, 2501):
        message = await reader.next_msg(timeout=30)
        assert message.metadata.sequence.stream == expected


async def test_watching_a_bucket(jetstream: JetStreamContext) -> None:
    bucket = await jetstream.create_key_value(bucket="B", history=3)
    for number in range(20):
        await bucket.put(f"k{number % 7}", b"%d" % number)
    watcher = await bucket.watchall()
    seen = {}
    while (entry := await watcher.updates(timeout=2)) is not None:
        seen[entry.key] = entry.value
    assert seen == {f"k{n % 7}": b"%d" % n for n in range(20)}
    await bucket.delete("k1")
    update = await watcher.updates(timeout=2)
    assert update is not None
    assert (update.key, update.operation) == ("k1", "DEL")
    assert sorted(await bucket.keys()) == ["k0", "k2", "k3", "k4", "k5", "k6"]


async def test_a_work_queue_drops_what_was_acked(jetstream: JetStreamContext) -> None:
    await jetstream.add_stream(
        StreamConfig(name="WORK", subjects=["work.>"], retention=RetentionPolicy.WORK_QUEUE)
    )
    await fill(jetstream, 20)
    reader = await jetstream.pull_subscribe("work.>", "G")
    for message in await reader.fetch(15, timeout=2):
        await message.ack_sync(timeout=30)
    assert (await jetstream.stream_info("WORK")).state.messages == 5


async def test_an_ephemeral_goes_away_unused(client: Client, jetstream: JetStreamContext) -> None:
    await jetstream.add_stream(name="WORK", subjects=["work.>"])
    deleted = await client.subscribe("$JS.EVENT.ADVISORY.CONSUMER.DELETED.WORK.>")
    await jetstream.add_consumer("WORK", ConsumerConfig(name="short", inactive_threshold=0.2))
    advisory = json.loads((await deleted.next_msg(timeout=30)).data)
    assert (advisory["consumer"], advisory["action"]) == ("short", "delete")
    with pytest.raises(NotFoundError):
        await jetstream.consumer_info("WORK", "short")


async def test_a_kill_forgets_no_ack_and_loses_no_message(broker: ServerProcess, connect: Connect) -> None:
    """Two groups at different places; what was confirmed never comes again, everything else does."""
    jetstream = (await connect(broker)).jetstream(timeout=30)
    await jetstream.add_stream(name="WORK", subjects=["work.>"])
    await fill(jetstream, 5000)
    confirmed: dict[str, set[int]] = {"one": set(), "two": set()}
    open_counts: dict[str, dict[int, int]] = {"one": {}, "two": {}}
    for group, batches in (("one", 6), ("two", 2)):
        config = ConsumerConfig(ack_wait=2, max_ack_pending=5000, ack_policy=AckPolicy.EXPLICIT)
        reader = await jetstream.pull_subscribe("work.>", group, config=config)
        for _ in range(batches):
            messages = await reader.fetch(300, timeout=5)
            await asyncio.gather(*(message.ack_sync(timeout=30) for message in messages[::2]))
            confirmed[group].update(message.metadata.sequence.stream for message in messages[::2])
            open_counts[group].update({message.metadata.sequence.stream: 1 for message in messages[1::2]})
        (again,) = await _nak_and_fetch(messages[1], reader)
        open_counts[group][again] = 2
    before = {group: await jetstream.consumer_info("WORK", group) for group in confirmed}

    broker.restart(crash=True)
    jetstream = (await connect(broker)).jetstream(timeout=30)
    for group, sequences in confirmed.items():
        after = await jetstream.consumer_info("WORK", group)
        assert after.num_pending == before[group].num_pending
        assert after.num_ack_pending == before[group].num_ack_pending == len(open_counts[group])
        assert after.num_redelivered == 1
        assert after.delivered is not None
        assert before[group].delivered is not None
        assert after.delivered.stream_seq == before[group].delivered.stream_seq
        assert after.ack_floor is not None
        assert after.ack_floor.stream_seq == before[group].ack_floor.stream_seq  # type: ignore[union-attr]
        reader = await jetstream.pull_subscribe_bind(group, "WORK")
        seen: set[int] = set()
        while len(seen) < 5000 - len(sequences):
            for message in await reader.fetch(500, timeout=5):
                sequence = message.metadata.sequence.stream
                assert sequence not in sequences
                seen.add(sequence)
                if sequence in open_counts[group]:
                    assert message.metadata.num_delivered == open_counts[group][sequence] + 1
                await message.ack()
        assert seen | sequences == set(range(1, 5001))


async def _nak_and_fetch(message: object, reader: object) -> list[int]:
    await message.nak()  # type: ignore[attr-defined]
    return [m.metadata.sequence.stream for m in await reader.fetch(1, timeout=2)]  # type: ignore[attr-defined]


async def test_consumers_are_what_they_were_after_a_kill(broker: ServerProcess, connect: Connect) -> None:
    client = await connect(broker)
    jetstream = client.jetstream(timeout=30)
    await jetstream.add_stream(name="WORK", subjects=["work.>"])
    await fill(jetstream, 10)
    await fill(jetstream, 10, "work.b")
    await jetstream.add_consumer("WORK", ConsumerConfig(durable_name="new", deliver_policy=DeliverPolicy.NEW))
    await jetstream.add_consumer(
        "WORK",
        ConsumerConfig(
            durable_name="last", deliver_policy=DeliverPolicy.LAST_PER_SUBJECT, filter_subject="work.>"
        ),
    )
    await jetstream.pause_consumer("WORK", "last", "2100-01-01T00:00:00Z")
    await jetstream.add_consumer("WORK", ConsumerConfig(name="short", inactive_threshold=60))
    await jetstream.add_consumer("WORK", ConsumerConfig(durable_name="gone"))
    await jetstream.delete_consumer("WORK", "gone")

    broker.restart(crash=True)
    jetstream = (await connect(broker)).jetstream(timeout=30)
    infos = {info.name: info for info in await jetstream.consumers_info("WORK")}
    assert sorted(infos) == ["last", "new", "short"]
    assert infos["last"].paused
    assert [infos[name].num_pending for name in ("last", "new", "short")] == [2, 0, 20]
    await fill(jetstream, 1)
    reader = await jetstream.pull_subscribe_bind("new", "WORK")
    assert (await reader.fetch(1, timeout=2))[0].metadata.sequence.stream == 21


async def test_a_pin_and_a_pause_outlive_a_kill(broker: ServerProcess, connect: Connect) -> None:
    client = await connect(broker)
    jetstream = client.jetstream(timeout=30)
    await jetstream.add_stream(name="PINNED", subjects=["p"])
    for _ in range(4):
        await jetstream.publish("p", b"x")
    create = "$JS.API.CONSUMER.CREATE.PINNED."
    pinned = {
        "name": "C",
        "durable_name": "C",
        "ack_policy": "explicit",
        "priority_groups": ["A"],
        "priority_policy": "pinned_client",
        "priority_timeout": 600_000_000_000,
    }
    paused = {"name": "P", "durable_name": "P", "ack_policy": "none", "pause_until": "2199-01-01T00:00:00Z"}
    for config in (pinned, paused):
        body = json.dumps({"stream_name": "PINNED", "config": config}).encode()
        answer = json.loads((await client.request(f"{create}{config['name']}", body, timeout=30)).data)
        assert "error" not in answer, answer

    async def pull(client: Any, pin: str = "") -> Any:
        asked = {"batch": 1, "expires": 1_000_000_000, "group": "A"} | ({"id": pin} if pin else {})
        inbox = await client.subscribe(client.new_inbox(), max_msgs=1)
        subject = "$JS.API.CONSUMER.MSG.NEXT.PINNED.C"
        await client.publish(subject, json.dumps(asked).encode(), reply=inbox.subject)
        return await inbox.next_msg(timeout=30)

    pin = (await pull(client)).headers["Nats-Pin-Id"]
    await asyncio.to_thread(broker.restart, crash=True)
    client = await connect(broker)
    info = json.loads((await client.request("$JS.API.CONSUMER.INFO.PINNED.C", b"", timeout=30)).data)
    assert info["priority_groups"][0]["pinned_client_id"] == pin
    assert (await pull(client)).headers["Status"] == "408"  # another client waits
    message = await pull(client, pin)
    assert (message.data, message.headers["Nats-Pin-Id"]) == (b"x", pin)
    info = json.loads((await client.request("$JS.API.CONSUMER.INFO.PINNED.P", b"", timeout=30)).data)
    assert info["paused"] is True
    await client.request("$JS.API.CONSUMER.UNPIN.PINNED.C", b'{"group":"A"}', timeout=30)
    await asyncio.to_thread(broker.restart, crash=True)
    client = await connect(broker)
    info = json.loads((await client.request("$JS.API.CONSUMER.INFO.PINNED.C", b"", timeout=30)).data)
    assert "pinned_client_id" not in info["priority_groups"][0]
