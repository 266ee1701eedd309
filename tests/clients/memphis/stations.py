"""Logins, stations, and who is there."""

from common import TOKEN, case, connect, managing, refused, texts, until
from memphis.types import Retention, Storage


@case
async def connects_by_password():
    memphis = await connect()
    assert memphis.is_connected()
    await memphis.close()


@case
async def connects_by_token():
    memphis = await connect(connection_token=TOKEN, password="")
    await memphis.station("by-token")
    producer = await memphis.producer("by-token", "p")
    await producer.produce("over a token")
    consumer = await memphis.consumer("by-token", "c")
    assert await texts(consumer, 1) == ["over a token"]
    await memphis.close()


@case
async def refuses_a_wrong_login():
    for wrong in ({"password": "wrong"}, {"username": "nobody"}):
        await refused(connect(**wrong), "authorization violation", Exception)
    token = {"connection_token": "wrong", "password": "", "max_reconnect": 1}  # it never gives up otherwise
    await refused(connect(**token), "no servers available")


@case
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
    assert (dotted.duplicate_window, dotted.subjects) == (5.0, ["s#dotted$3.>", "s#dotted$0.>"])
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


@case
async def keeps_by_messages_and_drops_the_oldest():
    memphis = await connect()
    await memphis.station("few", retention_type=Retention.MESSAGES, retention_value=3)
    producer = await memphis.producer("few", "p")
    for number in range(6):
        await producer.produce(str(number))
    consumer = await memphis.consumer("few", "c")
    assert await texts(consumer, 3) == ["3", "4", "5"]
    await memphis.close()


@case
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


@case
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


@case
async def makes_an_unknown_station():
    memphis = await connect()
    producer = await memphis.producer("By.Producer", "p")
    await producer.produce("first")
    assert await texts(await memphis.consumer("by.producer", "c"), 1) == ["first"]
    consumer = await memphis.consumer("by.consumer", "c")
    await (await memphis.producer("by.consumer", "p")).produce("second")
    assert await texts(consumer, 1) == ["second"]
    await memphis.close()


@case
async def tolerates_destroying_what_is_gone():
    memphis = await connect()
    station = await memphis.station("gone")
    producer = await memphis.producer("gone", "p")
    consumer = await memphis.consumer("gone", "c")
    await station.destroy()
    await station.destroy()
    del producer, consumer
    await memphis.close()


@case
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
