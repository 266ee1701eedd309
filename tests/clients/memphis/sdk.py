"""Programs with the unmodified memphis-py: ``sdk.py HOST PORT NATS_URL CASE…``; each case asserts for itself.

The cases run side by side, each on stations of its own, and one line of JSON for each says how it went. This
runs in an environment of its own (requirements.txt), with any broker that Memphis SDKs can reach. What an SDK
can not do, the window's part, is asked for over a plain NATS connection.
"""

import asyncio
import contextlib
import json
import pathlib
import sys
import time
import traceback

import nats
from memphis import Headers, Memphis, MemphisError
from memphis.exceptions import MemphisSchemaError
from memphis.types import Retention, Storage

HOST, PORT, NATS_URL, CASES = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:]
ROOT, PASSWORD, TOKEN = "root", "memphis", "memphis"
DEADLINE = 45.0


async def connect(username=ROOT, **options):
    memphis = Memphis()
    options.setdefault("password", PASSWORD)
    await memphis.connect(host=HOST, port=PORT, username=username, **options)
    return memphis


async def until(condition, what):
    """Wait until a condition (or a coroutine function) gives something, and return that."""
    end = time.monotonic() + DEADLINE
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < end, f"{what} did not come"
        await asyncio.sleep(0.05)


async def refused(action, text, kind=MemphisError):
    """Await something that must fail with this text in the SDK's own exception."""
    message = "nothing"
    try:
        await action
    except kind as error:
        message = str(error)
    assert text.lower() in message.lower(), f"{message} instead of {text}"


def text(message):
    return bytes(message.get_data()).decode()


async def texts(consumer, count, batch=10, **options):
    """Fetch until so many messages came, acknowledge them, and return their texts."""
    found = []
    end = time.monotonic() + DEADLINE
    while len(found) < count:
        for message in await consumer.fetch(batch, **options):
            found.append(text(message))
            await message.ack()
        assert time.monotonic() < end, f"only {found} came"
    return found


class Manager:
    """The window's part, over a plain connection."""

    def __init__(self, client):
        self.client = client
        self.jetstream = client.jetstream()

    async def ask(self, request, **body):
        answer = await self.client.request(
            f"$memphis_manage.{request}", json.dumps({"username": "ada", **body}).encode(), timeout=20
        )
        document = json.loads(answer.data)
        assert "error" not in document, document
        return document["result"]

    async def records(self, bucket):
        kv = await self.jetstream.key_value(bucket)
        try:
            keys = await kv.keys()
        except nats.js.errors.NoKeysError:
            return []
        found = []
        for key in keys:
            with contextlib.suppress(nats.js.errors.KeyNotFoundError):  # deleted meanwhile
                found.append(json.loads((await kv.get(key)).value))
        return found

    async def closed(self, connection):
        found = {each["id"]: each["active"] for each in await self.records("memphis_connections")}
        return connection in found and not found[connection]

    async def letters(self, station):
        return [each for each in await self.records("memphis_dead_letters") if each["station"] == station]


async def managing():
    return Manager(await nats.connect(NATS_URL))


# Connecting -----------------------------------------------------------------------------------------------


async def connects_by_password():
    memphis = await connect()
    assert memphis.is_connected()
    await memphis.close()


async def connects_by_token():
    memphis = await connect(connection_token=TOKEN, password="")
    await memphis.station("by-token")
    producer = await memphis.producer("by-token", "p")
    await producer.produce("over a token")
    consumer = await memphis.consumer("by-token", "c")
    assert await texts(consumer, 1) == ["over a token"]
    await memphis.close()


async def refuses_a_wrong_login():
    for wrong in ({"password": "wrong"}, {"username": "nobody"}):
        await refused(connect(**wrong), "authorization violation", Exception)
    token = {"connection_token": "wrong", "password": "", "max_reconnect": 1}  # it never gives up otherwise
    await refused(connect(**token), "no servers available")


# Stations -------------------------------------------------------------------------------------------------


async def makes_stations_of_every_kind():
    memphis = await connect()
    manager = await managing()
    kinds = {
        "s-age": ({"retention_type": Retention.MAX_MESSAGE_AGE_SECONDS, "retention_value": 600}, "max_age"),
        "s-messages": ({"retention_type": Retention.MESSAGES, "retention_value": 10}, "max_msgs"),
        "s-bytes": ({"retention_type": Retention.BYTES, "retention_value": 4096}, "max_bytes"),
        "s-acks": ({"retention_type": Retention.ACK_BASED}, None),
        "s-memory": ({"storage_type": Storage.MEMORY}, None),
        "s.dotted": ({"partitions_number": 3, "idempotency_window_ms": 5000}, None),
    }
    for name, (options, _) in kinds.items():
        await memphis.station(name, **options)
        await memphis.station(name, **options)  # again is no error
    stations = {each["name"]: each for each in await manager.records("memphis_stations")}
    assert set(kinds) <= set(stations)
    for name, (options, limit) in kinds.items():
        stream = name.replace(".", "#") + "$1"
        config = (await manager.jetstream.stream_info(stream)).config
        if limit:
            assert int(getattr(config, limit)) == options["retention_value"], config
        assert stations[name]["created_by"] == "root"
    assert (await manager.jetstream.stream_info("s-acks$1")).config.retention == "interest"
    assert (await manager.jetstream.stream_info("s-memory$1")).config.storage == "memory"
    dotted = (await manager.jetstream.stream_info("s#dotted$3")).config
    assert (dotted.duplicate_window, dotted.subjects) == (5.0, ["s#dotted$3.>"])
    letters = await memphis.station("s-dls", dls_station="s-dls-target", send_schema_failed_msg_to_dls=False)
    record = await manager.records("memphis_stations")
    assert {"s-dls", "s-dls-target"} <= {each["name"] for each in record}
    await letters.destroy()
    for name in kinds:
        await (await memphis.station(name)).destroy()
    left = {each["name"] for each in await manager.records("memphis_stations")}
    assert not left & {*kinds, "s-dls"}
    await memphis.close()
    await manager.client.close()


async def keeps_by_messages_and_drops_the_oldest():
    memphis = await connect()
    await memphis.station("few", retention_type=Retention.MESSAGES, retention_value=3)
    producer = await memphis.producer("few", "p")
    for number in range(6):
        await producer.produce(str(number))
    consumer = await memphis.consumer("few", "c")
    assert await texts(consumer, 3) == ["3", "4", "5"]
    await memphis.close()


async def forgets_what_every_group_has_acked():
    memphis = await connect()
    manager = await managing()
    await memphis.station("acked", retention_type=Retention.ACK_BASED)
    first = await memphis.consumer("acked", "c1", "g1")
    second = await memphis.consumer("acked", "c2", "g2")
    producer = await memphis.producer("acked", "p")
    await producer.produce("once")
    assert await texts(first, 1) == ["once"]
    assert (await manager.jetstream.stream_info("acked$1")).state.messages == 1
    assert await texts(second, 1) == ["once"]

    async def empty():
        return (await manager.jetstream.stream_info("acked$1")).state.messages == 0

    await until(empty, "removal")
    await memphis.close()
    await manager.client.close()


async def refuses_what_can_not_be():
    memphis = await connect()
    await refused(
        memphis.station("bad name"), "Only alphanumeric and the '_', '-', '.' characters are allowed"
    )
    await refused(memphis.station("-bad"), "can not start or end with non alphanumeric character")
    await refused(memphis.station("x" * 129), "Station should be under 128 characters")
    await refused(memphis.station("r5", replicas=5), "replicas count is larger than the cluster size")
    await refused(memphis.station("win", retention_value=10), "idempotency window cannot be greater")
    await refused(memphis.station("sch", schema_name="missing"), "Schema missing does not exist")
    await refused(memphis.producer("bad name", "p"), "characters are allowed in Station")
    await refused(memphis.producer("good", "bad name"), "characters are allowed in Producer")
    await refused(memphis.consumer("good", "bad name"), "characters are allowed in Consumer")
    await refused(memphis.consumer("good", "c", start_consume_from_sequence=0), "positive number")
    await refused(memphis.consumer("good", "c", last_messages=-2), "min value for last_messages is -1")
    await refused(
        memphis.consumer("good", "c", start_consume_from_sequence=2, last_messages=1),
        "can't contain both",
    )
    manager = await managing()
    names = {each["name"] for each in await manager.records("memphis_stations")}
    assert not names & {"bad name", "-bad", "r5", "win", "sch", "good"}, names
    await memphis.close()
    await manager.client.close()


async def makes_an_unknown_station():
    memphis = await connect()
    producer = await memphis.producer("By.Producer", "p")
    await producer.produce("first")
    assert await texts(await memphis.consumer("by.producer", "c"), 1) == ["first"]
    consumer = await memphis.consumer("by.consumer", "c")
    await (await memphis.producer("by.consumer", "p")).produce("second")
    assert await texts(consumer, 1) == ["second"]
    await memphis.close()


async def tolerates_destroying_what_is_gone():
    memphis = await connect()
    station = await memphis.station("gone")
    producer = await memphis.producer("gone", "p")
    consumer = await memphis.consumer("gone", "c")
    await station.destroy()
    await station.destroy()
    del producer, consumer
    await memphis.close()


# Producing ------------------------------------------------------------------------------------------------


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


# Consuming ------------------------------------------------------------------------------------------------


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


# Dead letters ---------------------------------------------------------------------------------------------


async def keeps_and_resends_what_ran_out_of_deliveries():
    memphis = await connect()
    manager = await managing()
    await memphis.station("poison")
    producer = await memphis.producer("poison", "p")
    consumer = await memphis.consumer("poison", "c", "g.dots", max_ack_time_ms=1000, max_msg_deliveries=2)
    headers = Headers()
    headers.add("Key", "Value")
    await producer.produce("bad apple", headers=headers)
    for _ in range(2):
        assert [text(each) for each in await consumer.fetch(1)] == ["bad apple"]
    await consumer.fetch(1)  # makes any server look: the message would be delivered once too often

    async def one():
        return await manager.letters("poison")

    (letter,) = await until(one, "the dead letter")
    assert (letter["sequence"], letter["partition"], letter["producer"]) == (1, 1, "p"), letter
    assert [(each["name"], each["deliveries"]) for each in letter["groups"]] == [("g.dots", 2)]
    assert bytes.fromhex(letter["preview"]) == b"bad apple"
    assert ["Key", "Value"] in letter["headers"]
    assert [step["what"] for step in letter["journey"]] == ["stored", "failed"]
    result = await manager.ask("dead_letters.resend", station="poison", ids=[letter["id"]])
    assert result == {"sent": 1, "failed": {}}
    await until(lambda: consumer.dls_messages, "the letter sent again")
    (message,) = await consumer.fetch(10)
    assert text(message) == "bad apple"
    await message.ack()

    async def none():
        return not await manager.letters("poison")

    await until(none, "the acknowledged letter's removal")
    await memphis.close()
    await manager.client.close()


async def resends_edited_and_drops():
    memphis = await connect()
    manager = await managing()
    await memphis.station("edit", dls_station="edit-letters")
    producer = await memphis.producer("edit", "p")
    consumer = await memphis.consumer("edit", "c", max_ack_time_ms=1000, max_msg_deliveries=1)
    await producer.produce("wrong")
    await producer.produce("hopeless")
    assert len(await consumer.fetch(2)) == 2
    await consumer.fetch(1)

    async def both():
        found = await manager.letters("edit")
        return len(found) == 2 and found

    letters = {each["sequence"]: each for each in await until(both, "two dead letters")}
    await manager.ask(
        "dead_letters.resend_edited",
        station="edit",
        id=letters[1]["id"],
        payload_hex=b"right".hex(),
        headers={"Edited": "yes"},
    )
    await until(lambda: consumer.dls_messages, "the letter sent again")
    (message,) = await consumer.fetch(10)
    assert text(message) == "right"
    assert message.get_headers()["Edited"] == "yes"
    await message.ack()
    assert await manager.ask("dead_letters.drop", station="edit", ids=[letters[2]["id"]]) == 1

    async def none():
        return not await manager.letters("edit")

    await until(none, "their removal")
    copies = await memphis.consumer("edit-letters", "c")
    found = []
    while len(found) < 2:
        found += await copies.fetch(2)
    assert {text(each) for each in found} == {"wrong", "hopeless"}
    assert found[0].get_headers()["station"] == "edit"
    assert found[0].get_headers()["type"] == "unacked"
    await memphis.close()
    await manager.client.close()


async def keeps_what_was_terminated_until_its_group_goes():
    memphis = await connect()
    manager = await managing()
    await memphis.station("term")
    producer = await memphis.producer("term", "p")
    consumer = await memphis.consumer("term", "c", "g")
    await producer.produce("no use")
    (message,) = await consumer.fetch(1)
    with contextlib.suppress(MemphisError):  # memphis-py 1.3.1 terminates the message, then fails by itself
        await message.dead_letter("it is no use")

    async def one():
        return await manager.letters("term")

    (letter,) = await until(one, "the dead letter")
    assert [step["what"] for step in letter["journey"]] == ["stored", "terminated"]
    await consumer.destroy()

    async def none():
        return not await manager.letters("term")

    await until(none, "its removal with the group")
    await memphis.close()
    await manager.client.close()


async def wants_no_dead_letters():
    memphis = await connect()
    manager = await managing()
    await memphis.station("careless", send_poison_msg_to_dls=False)
    await memphis.station("careful")
    for name in ("careless", "careful"):
        producer = await memphis.producer(name, "p")
        consumer = await memphis.consumer(name, "c", max_ack_time_ms=1000, max_msg_deliveries=1)
        await producer.produce("lost")
        await consumer.fetch(1)
        await consumer.fetch(1)

    async def one():
        return await manager.letters("careful")

    await until(one, "the careful one's letter")
    assert await manager.letters("careless") == []
    await memphis.close()
    await manager.client.close()


# Schemas --------------------------------------------------------------------------------------------------


async def keeps_what_its_schema_refused():
    memphis = await connect()
    manager = await managing()
    await memphis.station("typed")
    schema = {"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]}
    pathlib.Path("schema.json").write_text(json.dumps(schema))  # noqa: ASYNC240
    await memphis.create_schema("number-a", "json", "schema.json")
    await memphis.enforce_schema("number-a", "typed")
    producer = await memphis.producer("typed", "p")
    await producer.produce({"a": 1})
    await refused(producer.produce({"a": "x"}), "Schema validation has failed", MemphisSchemaError)

    async def one():
        return await manager.letters("typed")

    (letter,) = await until(one, "the dead letter")
    assert (letter["kind"], letter["producer"], letter["groups"]) == ("schema", "p", [])
    assert "Schema validation has failed" in letter["validation_error"]
    await manager.ask(
        "dead_letters.resend_edited",
        station="typed",
        id=letter["id"],
        payload_hex=b'{"a": 2}'.hex(),
        headers={},
    )
    consumer = await memphis.consumer("typed", "c")
    assert await texts(consumer, 2) == ['{"a": 1}', '{"a": 2}']
    await memphis.close()
    await manager.client.close()


# Coming and going -----------------------------------------------------------------------------------------


async def is_known_while_it_is_there():
    memphis = await connect()
    manager = await managing()
    await memphis.station("known")
    producer = await memphis.producer("known", "Maker")
    consumer = await memphis.consumer("known", "Taker", "G.1")

    async def rows(bucket):
        return [each for each in await manager.records(bucket) if each["station"] == "known"]

    (made,) = await rows("memphis_producers")
    assert (made["name"], made["sdk"], made["connection_id"]) == ("maker", "python", memphis.connection_id)
    (taken,) = await rows("memphis_consumers")
    assert (taken["name"], taken["group"], taken["max_msg_deliveries"]) == ("taker", "g.1", 2)
    await producer.destroy()
    assert await rows("memphis_producers") == []
    await consumer.destroy()
    assert await rows("memphis_consumers") == []
    assert await manager.jetstream.consumers_info("known$1") == []
    left = await memphis.consumer("known", "left")
    identifier = memphis.connection_id
    await memphis.close()
    del left
    await until(lambda: manager.closed(identifier), "word of the closed connection")
    assert len(await rows("memphis_consumers")) == 1
    assert len(await manager.jetstream.consumers_info("known$1")) == 1
    await manager.client.close()


async def run(name):
    started, failure = time.monotonic(), ""
    try:
        async with asyncio.timeout(90):
            await globals()[name]()
    except Exception:
        failure = traceback.format_exc()
    seconds = round(time.monotonic() - started, 2)
    print(json.dumps({"case": name, "failure": failure, "seconds": seconds}), flush=True)


async def main():
    await asyncio.gather(*map(run, CASES))


asyncio.run(main())
