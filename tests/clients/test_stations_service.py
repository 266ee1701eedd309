"""The stations service on a real nats-server and on ours: buckets, and stations made whole or not at all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from memphis_desktop.cluster.connection import close_client, open_client
from memphis_desktop.cluster.failures import ReadOnlyConnection
from memphis_desktop.cluster.profiles import ConnectionProfile, Credentials
from memphis_desktop.server_process import ServerProcess
from memphis_desktop.stations import lifecycle, model, streams
from memphis_desktop.stations.client import StationsClient
from memphis_desktop.stations.errors import Conflict, StationsError
from memphis_desktop.stations.metadata import Metadata, new_id, replace
from memphis_desktop.stations.model import Producer, RetentionType, Station, StationState
from memphis_desktop.stations.service import StationsService
from memphis_desktop.stations.view import snapshot
from tests.conftest import Connect
from tests.waiting import PATIENCE, until


@pytest_asyncio.fixture
async def start_service(any_server: ServerProcess, connect: Connect) -> AsyncIterator[Any]:
    """Start copies of the service beside the server; stopped after the test."""
    copies: list[StationsService] = []

    async def start(**options: Any) -> StationsService:
        copy = StationsService(await connect(any_server), **options)
        copies.append(copy)
        await copy.start()
        return copy

    yield start
    for copy in copies:
        await copy.stop()


@pytest_asyncio.fixture
async def metadata(any_server: ServerProcess, connect: Connect) -> Metadata:
    """The metadata over a connection of its own, with its buckets."""
    found = Metadata(await connect(any_server))
    await found.create(1)
    return found


async def ask(client: Any, subject: str, **body: Any) -> bytes:
    """Send a control request as an SDK does."""
    return (await client.request(subject, json.dumps(body).encode(), timeout=PATIENCE)).data


def creation(name: str, **options: Any) -> dict[str, Any]:
    """Return a station creation as memphis-py sends it."""
    return {
        "name": name,
        "retention_type": "message_age_sec",
        "retention_value": 3600,
        "storage_type": "file",
        "replicas": 1,
        "idempotency_window_in_ms": 120000,
        "schema_name": "",
        "dls_configuration": {"poison": True, "Schemaverse": True},
        "username": "root",
        "tiered_storage_enabled": False,
        "partitions_number": 1,
        "dls_station": "",
        **options,
    }


async def test_compare_and_set(metadata: Metadata) -> None:
    producer = Producer("p", "my.station", "c1")
    revision = await metadata.producers.add(producer)
    with pytest.raises(Conflict):
        await metadata.producers.add(producer)
    await metadata.producers.replace(replace(producer, count=2), revision)
    with pytest.raises(Conflict):
        await metadata.producers.replace(replace(producer, count=9), revision)
    with pytest.raises(Conflict):
        await metadata.producers.delete(producer, revision)
    found = await metadata.producers.get("my.station", "p", "c1")
    assert found is not None
    assert found.record.count == 2
    await metadata.producers.delete(producer, found.revision)
    assert await metadata.producers.find("my.station", "p", "c1") is None
    await metadata.producers.add(producer)  # again, after it was deleted
    assert await metadata.producers.find("my.station", "p", "c1") == producer


async def test_changes_under_contention_all_count(metadata: Metadata) -> None:
    await metadata.producers.add(Producer("p", "s", "c", count=0))

    def one_more(present: Producer | None) -> Producer:
        assert present is not None
        return replace(present, count=present.count + 1)

    await asyncio.gather(*(metadata.producers.change(("s", "p", "c"), one_more) for _ in range(8)))
    found = await metadata.producers.find("s", "p", "c")
    assert found is not None
    assert found.count == 8


async def test_marks_of_deleted_keys_are_forgotten_and_values_stay(metadata: Metadata) -> None:
    bucket = metadata.producers.bucket
    for name in ("kept", "gone", "back"):
        await metadata.producers.add(Producer(name, "s", "c"))
    for name in ("gone", "back"):
        await metadata.producers.delete(Producer(name, "s", "c"))
    await metadata.producers.add(Producer("back", "s", "c"))
    assert sorted([key async for key in bucket.matching()]) == ["s.back.c", "s.gone.c", "s.kept.c"]
    later = model.now() + timedelta(minutes=1)
    assert not await bucket.forget_deleted("s.gone.c", model.now() - timedelta(minutes=1))
    forgotten = [await bucket.forget_deleted(f"s.{name}.c", later) for name in ("kept", "gone", "back")]
    assert forgotten == [False, True, False]
    assert sorted([key async for key in bucket.matching()]) == ["s.back.c", "s.kept.c"]
    assert len(await metadata.producers.all()) == 2


async def test_a_view_follows_and_a_snapshot_reads_at_once(metadata: Metadata) -> None:
    view = metadata.producers.view("s.>")
    view.start()
    await until(view.complete.is_set)
    assert view.records == []
    for number in range(20):
        await metadata.producers.add(Producer(f"p{number}", "s", "c"))
    await metadata.producers.add(Producer("elsewhere", "t", "c"))
    await until(lambda: len(view.records) == 20)
    await metadata.producers.delete(Producer("p7", "s", "c"))
    await until(lambda: len(view.records) == 19)
    assert {record.name for record in view.records} == {f"p{n}" for n in range(20) if n != 7}
    assert set(await snapshot(metadata.producers.bucket, "s.>")) == set(view.entries)
    assert len(await metadata.producers.select("s.>")) == 19
    await view.stop()


async def test_a_view_recovers_from_a_new_connection(
    any_server: ServerProcess, connect: Connect, metadata: Metadata
) -> None:
    client = await connect(
        any_server, allow_reconnect=True, max_reconnect_attempts=-1, reconnect_time_wait=0.01
    )
    view = Metadata(client).stations.view()
    view.start()
    await until(view.complete.is_set)
    await asyncio.to_thread(any_server.restart)
    writer = Metadata(await connect(any_server))
    await writer.stations.add(Station("later"))
    await until(lambda: [station.name for station in view.records] == ["later"])
    await view.stop()


async def test_an_sdk_creates_and_destroys_a_station(
    any_server: ServerProcess, connect: Connect, start_service: Any, metadata: Metadata
) -> None:
    await start_service()
    client = await connect(any_server)
    body = creation("My.Orders", partitions_number=2, retention_type="messages", retention_value=10)
    assert await ask(client, "$memphis_station_creations", **body) == b""
    station = await metadata.station("my.orders")
    assert station is not None
    assert (station.retention_type, station.retention_value) == (RetentionType.MESSAGES, 10)
    assert (station.partitions, station.dead_letters.schema, station.created_by) == ((1, 2), True, "root")
    zero = "my#orders$0.>"  # where Node's SDK sends some keys
    for stream, more in (("my#orders$1", []), ("my#orders$2", [zero])):
        info = await metadata.jetstream.stream_info(stream)
        assert info is not None
        assert info["config"]["max_msgs"] == 10
        assert info["config"]["subjects"] == [f"{stream}.>", *more]
    again = creation("my.orders", retention_type="bytes", retention_value=1)
    assert await ask(client, "$memphis_station_creations", **again) == b""
    assert await metadata.station("my.orders") == station  # untouched
    destruction = {"station_name": "my.orders", "username": "root"}
    assert await ask(client, "$memphis_station_destructions", **destruction) == b""
    assert await metadata.station("my.orders") is None
    assert await metadata.jetstream.stream_info("my#orders$1") is None
    assert await ask(client, "$memphis_station_destructions", **destruction) == b"Station  does not exist"


REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"name": "a b"}, "Only alphanumeric and the '_', '-', '.' characters are allowed in Station"),
    ({"partitions_number": 0}, "you are using an old SDK, make sure to update your SDK"),
    (
        {"partitions_number": -1},
        "cannot create station with -1 partitions (max:10000 min:1): Station -  s, ",
    ),
    ({"schema_name": "none"}, "Schema none does not exist"),
    (
        {"retention_type": "moon"},
        "retention type can be one of the following message_age_sec/messages/bytes/ack_based",
    ),
    ({"storage_type": "tape"}, "storage type can be one of the following file/memory"),
    ({"idempotency_window_in_ms": 86_400_001}, "idempotency window can not exceed 24 hours"),
    ({"retention_value": 60}, "idempotency window cannot be greater than the station retention"),
    (
        {"replicas": 5},
        "station can not be created, probably since replicas count is larger than the cluster size",
    ),
    ({"partitions_number": "2"}, "partitions_number has to be a whole number"),
]


async def test_a_creation_that_can_not_be_is_refused_and_leaves_nothing(
    any_server: ServerProcess, connect: Connect, start_service: Any, metadata: Metadata
) -> None:
    await start_service()
    client = await connect(any_server)
    for changes, message in REFUSALS:
        answer = await ask(client, "$memphis_station_creations", **creation("s") | changes)
        assert answer.decode() == message
        assert await metadata.stations.all() == []
        assert await metadata.jetstream.stream_info("s$1") is None


async def test_many_race_to_create_one_station(
    any_server: ServerProcess, connect: Connect, start_service: Any, metadata: Metadata
) -> None:
    for _ in range(2):
        await start_service()
    client = await connect(any_server)
    answers = await asyncio.gather(
        *(
            ask(client, "$memphis_station_creations", **creation("race", partitions_number=3))
            for _ in range(10)
        )
    )
    assert answers == [b""] * 10
    log = [entry.message for entry in await metadata.audit.all()]
    assert log == ["Station race has been created by user root"]


@pytest.mark.parametrize("state", [StationState.CREATING, StationState.REMOVING])
async def test_what_a_dead_copy_left_is_gone_on_with(
    metadata: Metadata, start_service: Any, state: StationState
) -> None:
    half = Station(
        "half", id=new_id(), partitions=(1, 2), state=state, updated_at=model.now() - 2 * lifecycle.STALE
    )
    await metadata.stations.add(half)
    await metadata.jetstream.create_stream({"name": "half$1", "subjects": ["half$1.>"], "storage": "file"})
    if state is StationState.CREATING:  # a stream of the same creation, as it would be
        await metadata.jetstream.delete_stream("half$1")
    assert await metadata.station("half") is None  # nobody sees it meanwhile
    await start_service()

    async def settled() -> bool:
        found = await metadata.stations.find("half")
        return found is None or found.state is StationState.READY

    await until(settled)
    there = state is StationState.CREATING
    assert (await metadata.station("half") is not None) == there
    for stream in ("half$1", "half$2"):
        assert (await metadata.jetstream.stream_info(stream) is not None) == there


async def test_a_failed_creation_spares_a_stream_of_somebody_else(
    any_server: ServerProcess, connect: Connect, start_service: Any, metadata: Metadata
) -> None:
    await start_service()
    await metadata.jetstream.create_stream({"name": "mine$2", "subjects": ["foreign"], "storage": "file"})
    client = await connect(any_server)
    answer = await ask(client, "$memphis_station_creations", **creation("mine", partitions_number=2))
    assert answer == b"a stream named mine$2 exists already and is no station's"
    assert await metadata.stations.find("mine") is None
    assert await metadata.jetstream.stream_info("mine$1") is None
    assert await metadata.jetstream.stream_info("mine$2") is not None


async def test_the_window_creates_edits_and_destroys(
    any_server: ServerProcess, connect: Connect, start_service: Any
) -> None:
    client = StationsClient(await connect(any_server), username="ada")
    with pytest.raises(StationsError) as caught:
        await client.create_station("s")
    assert caught.value.code == "no_service"
    assert not await client.available()
    await start_service()
    assert await client.available()
    assert await client.service_running()
    station = await client.create_station("s", retention_type="messages", retention_value=5, tags=["A"])
    assert station.dead_letters.poison
    assert station.tags == ("a",)
    with pytest.raises(StationsError, match="Station s already exists") as caught:
        await client.create_station("S")
    assert caught.value.code == "exists"
    changed = await client.edit_station("s", retention_value=7, dls_station="letters")
    assert (changed.retention_value, changed.dls_station, changed.tags) == (7, "letters", ("a",))
    info = await client.metadata.jetstream.stream_info("s$1")
    assert info is not None
    assert info["config"]["max_msgs"] == 7
    with pytest.raises(StationsError, match="partitions_number can not be changed"):
        await client.edit_station("s", partitions_number=2)
    assert [found.name for found in await client.stations()] == ["letters", "s"]
    await client.destroy_station("letters")
    assert [found.dls_station for found in await client.stations()] == [""]
    with pytest.raises(StationsError, match="Station letters does not exist"):
        await client.destroy_station("letters")
    assert [(entry.message, entry.username) for entry in await client.audit("s")] == [
        ("Station s has been changed by user ada", "ada"),
        ("Station s has been created by user ada", "ada"),
    ]


async def test_rubbish_is_answered_with_one_sentence(
    any_server: ServerProcess, connect: Connect, start_service: Any
) -> None:
    await start_service()
    client = await connect(any_server)
    for body, message in (
        (b"", "Station name can not be empty"),
        (b"[]", "the request is not a JSON object"),
        (b"\xff{", "the request is not valid JSON"),
        (b'{"NAME":"x","Partitions_Number":true}', "partitions_number has to be a whole number"),
    ):
        answer = await client.request("$memphis_station_creations", body, timeout=PATIENCE)
        assert answer.data.decode() == message


async def test_a_stream_that_was_deleted_behind_the_back_comes_again(
    any_server: ServerProcess, connect: Connect, start_service: Any, metadata: Metadata
) -> None:
    await start_service()
    client = await connect(any_server)
    await ask(client, "$memphis_station_creations", **creation("s", partitions_number=2))
    producer = {"name": "p", "station_name": "s", "connection_id": "c", "req_version": 4, "username": "root"}
    for subject, body in (
        ("$memphis_station_creations", creation("s")),
        ("$memphis_producer_creations", producer),
    ):
        await metadata.jetstream.delete_stream("s$2")
        await ask(client, subject, **body)
        assert await metadata.jetstream.stream_info("s$2") is not None


async def test_a_station_removed_while_it_is_repaired_leaves_no_stream(
    start_service: Any, metadata: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    mending, removing = (await start_service()).context, (await start_service()).context
    await lifecycle.create_station(mending, Station("s", partitions=(1, 2)))
    await metadata.jetstream.delete_stream("s$2")
    make_streams = streams.make_streams

    async def late(*arguments: Any) -> None:
        monkeypatch.undo()
        assert await lifecycle.remove_station(removing, "s") is not None
        await make_streams(*arguments)

    monkeypatch.setattr(streams, "make_streams", late)
    assert await lifecycle.ready_station(mending, "s") is None
    assert await metadata.stations.find("s") is None
    for stream in ("s$1", "s$2"):
        assert await metadata.jetstream.stream_info(stream) is None


async def test_a_producer_of_a_station_that_goes_leaves_no_row(
    any_server: ServerProcess,
    connect: Connect,
    start_service: Any,
    metadata: Metadata,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    context = (await start_service()).context
    client = await connect(any_server)
    found = lifecycle.ready_station

    async def then_it_goes(*arguments: Any) -> Station | None:
        station = await found(*arguments)
        await lifecycle.remove_station(context, "s")
        return station

    await ask(client, "$memphis_station_creations", **creation("s"))
    monkeypatch.setattr(lifecycle, "ready_station", then_it_goes)
    body = {"name": "p", "station_name": "s", "connection_id": "c", "req_version": 4, "username": "root"}
    answer = json.loads(await ask(client, "$memphis_producer_creations", **body))
    assert answer["error"] == "Station s does not exist"
    consumer = {**body, "consumers_group": "g"}
    await ask(client, "$memphis_station_creations", **creation("s"))
    assert await ask(client, "$memphis_consumer_creations", **consumer) == b"Station s does not exist"
    assert await metadata.producers.all() == []
    assert await metadata.consumers.all() == []


async def test_edits_at_the_same_time_all_reach_the_streams(
    start_service: Any, any_server: ServerProcess, connect: Connect, metadata: Metadata
) -> None:
    for _ in range(2):
        await start_service()
    client = StationsClient(await connect(any_server))
    await client.create_station("s", partitions_number=2)
    await asyncio.gather(
        client.edit_station("s", retention_value=7200),
        client.edit_station("s", idempotency_window_in_ms=60_000),
    )
    station = await metadata.station("s")
    assert station is not None
    assert (station.retention_value, station.idempotency_window_ms) == (7200, 60_000)
    for stream in station.streams:
        info = await metadata.jetstream.stream_info(stream)
        assert info is not None
        config = info["config"]
        assert (config["max_age"], config["duplicate_window"]) == (7200 * 10**9, 60 * 10**9)


async def test_a_read_only_connection_follows_and_changes_nothing(
    any_server: ServerProcess, start_service: Any, metadata: Metadata
) -> None:
    await start_service()
    await metadata.producers.add(Producer("p", "s", "c"))
    profile = ConnectionProfile("x", urls=(any_server.url,), read_only=True)

    async def nothing(*_: object) -> None:
        pass

    client = await open_client(
        profile,
        Credentials(),
        on_error=nothing,
        on_disconnected=nothing,
        on_reconnected=nothing,
        on_closed=nothing,
        timeout=30,
    )
    try:
        reader = StationsClient(client)
        assert [each.name for each in await reader.producers()] == ["p"]
        live = reader.live()
        live.start()
        await until(lambda: bool(live.producers.records))
        await live.stop()
        with pytest.raises(ReadOnlyConnection):
            await reader.create_station("no")
    finally:
        await close_client(client)
