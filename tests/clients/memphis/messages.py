"""Producing and consuming."""

import time

from common import case, connect, managing, refused, text, texts, until
from memphis import Headers


@case
async def produces_every_way():
    memphis = await connect()
    await memphis.station("ways")
    producer = await memphis.producer("ways", "p")
    headers = Headers()
    headers.add("Key", "Value")
    await producer.produce("text", headers=headers)
    await producer.produce(bytearray(b"\x00\xffbytes"))
    await producer.produce({"a": 1})
    await memphis.produce("ways", "p2", "from the connection")
    for number in range(20):
        await producer.produce(f"n{number}", nonblocking=True)
    consumer = await memphis.consumer("ways", "c")
    found = []
    while len(found) < 24:
        for message in await consumer.fetch(10):
            found.append(message)
            await message.ack()
    assert bytes(found[0].get_data()) == b"text"
    assert found[0].get_headers()["Key"] == "Value"
    assert found[0].get_headers()["$memphis_producedBy"] == "p"
    assert found[0].get_headers()["$memphis_connectionId"] == memphis.connection_id
    assert [bytes(each.get_data()) for each in found[1:4]] == [
        b"\x00\xffbytes",
        b'{"a": 1}',
        b"from the connection",
    ]
    assert {text(each) for each in found[4:]} == {f"n{number}" for number in range(20)}
    assert [each.get_sequence_number() for each in found] == list(range(1, 25))
    await memphis.close()


@case
async def keeps_a_message_id_once():
    memphis = await connect()
    await memphis.station("ids", idempotency_window_ms=60000)
    producer = await memphis.producer("ids", "p")
    for body, identifier in (("a", "1"), ("b", "2"), ("a again", "1"), ("c", "3"), ("b again", "2")):
        await producer.produce(body, msg_id=identifier)
    consumer = await memphis.consumer("ids", "c")
    assert await texts(consumer, 3) == ["a", "b", "c"]
    await producer.produce("end")
    assert await texts(consumer, 1) == ["end"]
    await memphis.close()


@case
async def chooses_partitions():
    memphis = await connect()
    await memphis.station("parts", partitions_number=3)
    producer = await memphis.producer("parts", "p")
    await producer.produce("by number", producer_partition_number=2)
    for number in range(4):
        await producer.produce(f"by key {number}", producer_partition_key="order-42")
    for number in range(6):
        await producer.produce(f"round {number}")
    await refused(
        producer.produce("x", producer_partition_number=1, producer_partition_key="k"),
        "Can not use both partition number and partition key",
    )
    await refused(producer.produce("x", producer_partition_number=9), "Partition number is out of range")
    consumer = await memphis.consumer("parts", "c")
    keyed = 3439376744 % 3 + 1
    by_partition = {}
    for partition in (1, 2, 3):
        expected = 2 + (partition == 2) + 4 * (partition == keyed)
        by_partition[partition] = await texts(consumer, expected, consumer_partition_number=partition)
    assert "by number" in by_partition[2]
    assert [each for each in by_partition[keyed] if each.startswith("by key")] == [
        f"by key {number}" for number in range(4)
    ]
    everything = [each for found in by_partition.values() for each in found]
    assert len(everything) == len(set(everything)) == 11
    await memphis.close()


@case
async def consumes_by_callback():
    memphis = await connect()
    await memphis.station("called")
    consumer = await memphis.consumer("called", "c", pull_interval_ms=100, batch_size=4)
    seen, sizes, contexts = [], [], []

    async def handle(messages, error, context):
        if error:
            return
        contexts.append(context)
        sizes.append(len(messages))
        for message in messages:
            seen.append(text(message))
            await message.ack()

    consumer.set_context({"key": "value"})
    producer = await memphis.producer("called", "p")
    for number in range(10):
        await producer.produce(str(number))
    consumer.consume(handle)
    await until(lambda: len(seen) == 10, "ten messages")
    assert seen == [str(number) for number in range(10)]  # in order
    assert max(sizes) <= 4
    assert contexts[0] == {"key": "value"}
    await consumer.destroy()
    await memphis.close()


@case
async def shares_within_a_group_and_repeats_between_groups():
    memphis = await connect()
    other = await connect()
    await memphis.station("shared")
    members = [
        await memphis.consumer("shared", "m1", "team"),
        await other.consumer("shared", "m2", "team"),
    ]
    alone = await memphis.consumer("shared", "solo")
    producer = await memphis.producer("shared", "p")
    wanted = [str(number) for number in range(40)]
    for body in wanted:
        await producer.produce(body)
    seen = [[], []]
    while len(seen[0]) + len(seen[1]) < 40:
        for member, mine in zip(members, seen, strict=True):
            mine += await texts(member, 5, batch=5)
    assert sorted(seen[0] + seen[1], key=int) == wanted
    for mine in seen:
        assert mine  # the work was shared
        assert mine == sorted(mine, key=int)
    assert await texts(alone, 40, batch=50) == wanted
    await memphis.close()
    await other.close()


@case
async def starts_where_asked():
    memphis = await connect()
    await memphis.station("from")
    producer = await memphis.producer("from", "p")
    for number in range(1, 9):
        await producer.produce(str(number))
    assert await texts(await memphis.consumer("from", "seq", start_consume_from_sequence=6), 3) == [
        "6",
        "7",
        "8",
    ]
    assert await texts(await memphis.consumer("from", "last", last_messages=2), 2) == ["7", "8"]
    fresh = await memphis.consumer("from", "new", last_messages=0)
    await producer.produce("9")
    assert await texts(fresh, 1) == ["9"]
    assert await texts(await memphis.consumer("from", "all"), 9) == [str(n) for n in range(1, 10)]
    await memphis.close()


@case
async def goes_on_where_the_group_was():
    memphis = await connect()
    await memphis.station("on")
    producer = await memphis.producer("on", "p")
    for number in range(6):
        await producer.produce(str(number))
    first = await memphis.consumer("on", "c1", "g", last_messages=5)
    assert await texts(first, 2, batch=2) == ["1", "2"]
    identifier = memphis.connection_id
    await memphis.close()  # without destroying the consumer: the group stays
    manager = await managing()
    await until(lambda: manager.closed(identifier), "word of the closed connection")
    await manager.client.close()
    memphis = await connect()
    again = await memphis.consumer("on", "c1", "g", last_messages=5)
    assert await texts(again, 3) == ["3", "4", "5"]
    await again.destroy()  # the last active one: the group goes
    anew = await memphis.consumer("on", "c2", "g")
    assert (await texts(anew, 6))[0] == "0"
    await memphis.close()


@case
async def redelivers():
    memphis = await connect()
    await memphis.station("again")
    producer = await memphis.producer("again", "p")
    consumer = await memphis.consumer("again", "c", max_ack_time_ms=1500, max_msg_deliveries=5)
    await producer.produce("late")
    (message,) = await consumer.fetch(1)
    taken = time.monotonic()
    (message,) = await consumer.fetch(1)  # not acked in time
    assert 1.0 < time.monotonic() - taken < 20
    await message.nack()
    (message,) = await consumer.fetch(1)  # at once
    await message.delay(1)
    taken = time.monotonic()
    (message,) = await consumer.fetch(1)
    assert time.monotonic() - taken > 0.7
    assert text(message) == "late"
    await message.ack()
    await producer.produce("next")
    assert await texts(consumer, 1, batch=1) == ["next"]
    await memphis.close()


@case
async def fetches_ahead_and_by_the_connection():
    memphis = await connect()
    await memphis.station("ahead")
    producer = await memphis.producer("ahead", "p")
    for number in range(6):
        await producer.produce(str(number))
    messages = await memphis.fetch_messages("ahead", "c", batch_size=3)
    assert [text(each) for each in messages] == ["0", "1", "2"]
    for message in messages:
        await message.ack()
    consumer = await memphis.consumer("ahead", "c2")
    first = await consumer.fetch(2, prefetch=True)
    await until(lambda: consumer.cached_messages, "what was fetched ahead")
    second = await consumer.fetch(2, prefetch=True)
    assert [text(each) for each in first + second] == ["0", "1", "2", "3"]
    await memphis.close()
