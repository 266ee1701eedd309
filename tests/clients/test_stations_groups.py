"""Consumer groups of stations: who is in them, when they end, what becomes of them when clients vanish."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import orjson
import pytest
import pytest_asyncio

from memphis_desktop.server_process import ServerProcess, broker_command
from memphis_desktop.stations import connections, groups, membership, model
from memphis_desktop.stations.errors import StorageError
from memphis_desktop.stations.jetstream import JetStream
from memphis_desktop.stations.metadata import Metadata, replace
from memphis_desktop.stations.model import Connection, Consumer, Station
from memphis_desktop.stations.service import StationsService
from tests.clients.test_stations_service import ask, creation
from tests.conftest import Connect, Starter
from tests.waiting import until


@pytest_asyncio.fixture
async def copies(any_server: ServerProcess, connect: Connect) -> AsyncIterator[list[StationsService]]:
    """Two copies of the service."""
    running = [StationsService(await connect(any_server)) for _ in range(2)]
    for copy in running:
        await copy.start()
    yield running
    for copy in running:
        await copy.stop()


@pytest_asyncio.fixture
async def client(any_server: ServerProcess, connect: Connect, copies: list[StationsService]) -> Any:
    """A client that speaks as an SDK does, beside a station of two partitions."""
    opened = await connect(any_server)
    assert await ask(opened, "$memphis_station_creations", **creation("s", partitions_number=2)) == b""
    return opened


@pytest_asyncio.fixture
async def metadata(client: Any) -> Metadata:
    """What the service keeps."""
    return Metadata(client)


def consumer(name: str, connection: str, group: str = "g", **options: Any) -> dict[str, Any]:
    """Return a consumer creation as memphis-py sends it."""
    return {
        "name": name,
        "station_name": "S",
        "connection_id": connection,
        "consumer_type": "application",
        "consumers_group": group,
        "max_ack_time_ms": 30000,
        "max_msg_deliveries": 2,
        "start_consume_from_sequence": 1,
        "last_messages": -1,
        "req_version": 4,
        "username": "root",
        "app_id": "app",
        "sdk_lang": "python",
        **options,
    }


def destruction(name: str, connection: str) -> dict[str, Any]:
    """Return a consumer destruction as memphis-py sends it."""
    return {"name": name, "station_name": "S", "username": "root", "connection_id": connection}


async def config_of(metadata: Metadata, durable: str = "g", stream: str = "s$2") -> dict[str, Any] | None:
    """Return the configuration of a durable, or None."""
    info = await metadata.jetstream.consumer_info(stream, durable)
    return None if info is None else info["config"]


async def test_a_group_is_a_durable_on_each_partition(client: Any, metadata: Metadata) -> None:
    answer = json.loads(await ask(client, "$memphis_consumer_creations", **consumer("c", "one", "Team.A")))
    assert answer["partitions_update"] == {"partitions_list": [1, 2]}
    assert answer["error"] == ""
    assert answer["schema_update"]["schema_name"] == ""
    for stream in ("s$1", "s$2"):
        config = await config_of(metadata, "team#a", stream)
        assert config is not None
        assert config["filter_subject"] == f"{stream}.final"
        assert (config["ack_wait"], config["max_deliver"], config["max_ack_pending"]) == (30 * 10**9, 2, -1)
    assert await ask(client, "$memphis_consumer_destructions", **destruction("C", "one")) == b""
    assert await config_of(metadata, "team#a") is None
    assert await ask(client, "$memphis_consumer_destructions", **destruction("c", "one")) == (
        b"Consumer c at station s does not exist"
    )


async def test_a_group_lives_as_long_as_an_active_member(client: Any, metadata: Metadata) -> None:
    await ask(client, "$memphis_consumer_creations", **consumer("a", "one"))
    await ask(client, "$memphis_consumer_creations", **consumer("b", "two", max_ack_time_ms=5000))
    config = await config_of(metadata)
    assert config is not None
    assert config["ack_wait"] == 5 * 10**9  # the newest member's
    await ask(client, "$memphis_consumer_destructions", **destruction("a", "one"))
    assert await config_of(metadata) is not None
    await ask(client, "$memphis_consumer_destructions", **destruction("b", "two"))
    assert await config_of(metadata) is None


async def test_members_that_come_and_go_at_once_leave_a_whole_group(client: Any, metadata: Metadata) -> None:
    await ask(client, "$memphis_consumer_creations", **consumer("first", "0"))
    for turn in range(5):
        coming = [
            ask(client, "$memphis_consumer_creations", **consumer(f"c{turn}", str(n))) for n in (1, 2, 3)
        ]
        going = ask(client, "$memphis_consumer_destructions", **destruction("first", "0"))
        answers = await asyncio.gather(*coming, going)
        assert all(json.loads(answer)["error"] == "" for answer in answers[:3])
        for stream in ("s$1", "s$2"):
            assert await config_of(metadata, "g", stream) is not None
        await ask(client, "$memphis_consumer_creations", **consumer("first", "0"))
        leaving = [
            ask(client, "$memphis_consumer_destructions", **destruction(f"c{turn}", str(n)))
            for n in (1, 2, 3)
        ]
        assert await asyncio.gather(*leaving) == [b""] * 3
        assert await config_of(metadata) is not None
    await ask(client, "$memphis_consumer_destructions", **destruction("first", "0"))
    assert await config_of(metadata) is None
    assert await metadata.consumers.all() == []


async def test_another_start_of_a_group_that_is_kept_is_refused(client: Any, metadata: Metadata) -> None:
    await ask(client, "$memphis_consumer_creations", **consumer("a", "one"))
    await metadata.connections.add(Connection("one", active=False))
    answer = await ask(client, "$memphis_consumer_creations", **consumer("b", "two", last_messages=0))
    assert answer == b"deliver policy can not be updated"
    assert [each.name for each in await metadata.consumers.all()] == ["a"]  # nothing is left of b
    await metadata.connections.put(Connection("one"))
    joined = await ask(client, "$memphis_consumer_creations", **consumer("b", "two", last_messages=0))
    assert json.loads(joined)["error"] == ""  # an active group has its start already


async def tell(client: Any, connection: str, event: str, sessions: int) -> None:
    """Tell of a connection as a node or a front door does."""
    body = {
        "connection_id": connection,
        "event": event,
        "username": "root",
        "server": "n",
        "sessions": sessions,
    }
    await client.publish("$memphis_connections", orjson.dumps(body))


async def test_a_member_whose_connection_closed_does_not_keep_the_group(
    client: Any, metadata: Metadata
) -> None:
    for name, connection in (("a", "one"), ("b", "two")):
        await tell(client, connection, "connected", 1)
        await ask(client, "$memphis_consumer_creations", **consumer(name, connection))
    await tell(client, "one", "disconnected", 1)  # the first of two sessions: it is still there
    await tell(client, "one", "disconnected", 0)

    async def closed() -> bool:
        found = await metadata.connections.find("one")
        return found is not None and not found.active

    await until(closed)
    assert await config_of(metadata) is not None
    await ask(client, "$memphis_consumer_destructions", **destruction("b", "two"))
    assert await config_of(metadata) is None
    await tell(client, "one", "connected", 1)

    async def open_again() -> bool:
        found = await metadata.connections.find("one")
        return found is not None and found.active

    await until(open_again)


async def hold_back_word(copies: list[StationsService]) -> None:
    """Let no copy note which connections open and close, as when there is a lot of it."""
    for copy in copies:
        await copy._events.stop()
        await copy.context.client.flush()  # its last request is forgotten with its inbox


def note_word_again(copies: list[StationsService]) -> None:
    """Let them."""
    for copy in copies:
        copy._events.start()


async def test_what_was_told_before_counts_for_who_leaves(
    copies: list[StationsService], client: Any, metadata: Metadata
) -> None:
    for name, connection in (("a", "one"), ("b", "two")):
        await tell(client, connection, "connected", 1)
        await ask(client, "$memphis_consumer_creations", **consumer(name, connection))
    await connections.all_noted(metadata.jetstream)
    await hold_back_word(copies)
    await tell(client, "one", "disconnected", 0)
    await tell(client, "two", "disconnected", 0)
    await tell(client, "two", "connected", 1)
    leaving = asyncio.create_task(ask(client, "$memphis_consumer_destructions", **destruction("b", "two")))

    async def marked() -> bool:
        return any(row.leaving_since is not None for row in await metadata.consumers.all())

    await until(marked)
    note_word_again(copies)
    assert await leaving == b""
    assert await config_of(metadata) is None  # “one” was gone already
    assert [row.name for row in await metadata.consumers.all()] == ["a"]


async def test_a_group_that_ended_comes_back_with_its_member(
    copies: list[StationsService], client: Any, metadata: Metadata
) -> None:
    for name, connection in (("a", "one"), ("b", "two")):
        await tell(client, connection, "connected", 1)
        await ask(client, "$memphis_consumer_creations", **consumer(name, connection))
    await tell(client, "one", "disconnected", 0)
    await connections.all_noted(metadata.jetstream)
    await ask(client, "$memphis_consumer_destructions", **destruction("b", "two"))
    assert await config_of(metadata) is None
    await tell(client, "one", "connected", 1)  # an SDK that reconnects asks for nothing

    async def there() -> bool:
        return await config_of(metadata) is not None and await config_of(metadata, "g", "s$1") is not None

    await until(there)


async def test_who_leaves_can_ask_again_when_it_failed(
    copies: list[StationsService], client: Any, metadata: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ask(client, "$memphis_consumer_creations", **consumer("a", "one"))

    async def no_answer(*_: Any) -> bool:
        raise StorageError("JetStream did not answer in time", 0, 408)

    with monkeypatch.context() as failing:
        failing.setattr(JetStream, "delete_consumer", no_answer)
        answer = await ask(client, "$memphis_consumer_destructions", **destruction("a", "one"))
        assert answer == b"JetStream did not answer in time"
    (row,) = await metadata.consumers.all()
    assert (row.count, row.leaving_since is not None) == (0, True)
    assert not await groups.active_members(metadata, "s", "g")
    assert await ask(client, "$memphis_consumer_destructions", **destruction("a", "one")) == b""
    assert await config_of(metadata) is None
    assert await metadata.consumers.all() == []


async def test_what_a_dead_copy_left_of_a_group_is_gone_on_with(
    copies: list[StationsService], client: Any, metadata: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By housekeeping, and by whoever joins, which waits before."""
    await ask(client, "$memphis_consumer_creations", **consumer("a", "one"))
    (row,) = await metadata.consumers.all()
    await metadata.consumers.put(replace(row, count=0, leaving_since=model.now()))
    await membership.finish_leaving(copies[0].context)
    assert await config_of(metadata) is not None  # somebody may be at work on it
    long_ago = model.now() - timedelta(minutes=1)
    await metadata.consumers.put(replace(row, count=0, leaving_since=long_ago))
    await membership.finish_leaving(copies[0].context)
    assert await config_of(metadata) is None
    assert await metadata.consumers.all() == []

    await metadata.consumers.put(replace(row, count=0, leaving_since=model.now()))
    joining = [
        asyncio.create_task(ask(client, "$memphis_consumer_creations", **consumer(name, "one")))
        for name in ("a", "b")
    ]

    async def both() -> bool:
        return sum(each.count for each in await metadata.consumers.all()) == 2

    await until(both)
    assert not any(task.done() for task in joining)
    monkeypatch.setattr(groups, "LONGEST_LEAVING", timedelta(seconds=0))
    await asyncio.sleep(0)
    (dead,) = [each for each in await metadata.consumers.all() if each.leaving_since is not None]
    await groups.left(metadata, dead)
    assert [json.loads(answer)["error"] for answer in await asyncio.gather(*joining)] == ["", ""]
    assert await config_of(metadata) is not None
    rows = sorted((each.name, each.count, each.leaving_since) for each in await metadata.consumers.all())
    assert rows == [("a", 1, None), ("b", 1, None)]
    await metadata.consumers.put(replace(row, name="c", count=0, leaving_since=model.now()))
    answer = await ask(client, "$memphis_consumer_creations", **consumer("d", "one"))  # waits no longer
    assert json.loads(answer)["error"] == ""
    assert sorted(each.name for each in await metadata.consumers.all()) == ["a", "b", "d"]


async def test_a_group_that_can_not_be_made_leaves_nothing(
    copies: list[StationsService], client: Any, metadata: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = JetStream.create_durable

    async def only_the_first(jetstream: JetStream, stream: str, config: dict[str, Any]) -> dict[str, Any]:
        if stream == "s$2":
            await asyncio.sleep(0.1)
            raise StorageError("JetStream did not answer in time", 0, 408)
        return await make(jetstream, stream, config)

    monkeypatch.setattr(JetStream, "create_durable", only_the_first)
    answer = await ask(client, "$memphis_consumer_creations", **consumer("a", "one"))
    assert answer == b"JetStream did not answer in time"
    assert await metadata.consumers.all() == []
    assert await config_of(metadata, "g", "s$1") is None


async def test_word_that_comes_late_changes_nothing(
    copies: list[StationsService], metadata: Metadata
) -> None:
    context, moment = copies[0].context, model.now()
    event = {"connection_id": "x", "event": "connected", "sessions": 1}
    await connections.changed(context, event, moment, 2)
    before = moment.replace(year=moment.year - 1)
    gone = {**event, "event": "disconnected", "sessions": 0}
    await connections.changed(context, gone, before, 3)
    await connections.changed(context, gone, moment, 1)
    found = await metadata.connections.find("x")
    assert found is not None
    assert found.active


async def test_what_nobody_told_is_found_out(
    copies: list[StationsService], client: Any, metadata: Metadata
) -> None:
    long_ago = model.now().replace(year=2020)
    for name, active in (("dead", True), ("revived", False), ("live", True)):
        await metadata.connections.add(Connection(name, active=active, changed_at=long_ago))
    await connections.reconcile(copies[0].context)  # nobody answers: nothing is known
    found = await metadata.connections.find("dead")
    assert found is not None
    assert found.active

    async def answer(message: Any) -> None:
        await message.respond(orjson.dumps({"server": "n", "connections": ["revived", "live"]}))

    await client.subscribe("$memphis_connection_status", cb=answer)
    await client.flush()
    await connections.reconcile(copies[0].context)
    active = {each.id: each.active for each in await metadata.connections.all()}
    assert active == {"dead": False, "revived": True, "live": True}


async def test_who_answers_late_is_asked_again(
    copies: list[StationsService], client: Any, metadata: Metadata
) -> None:
    long_ago = model.now().replace(year=2020)
    await metadata.connections.add(Connection("of-the-slow", changed_at=long_ago, server="slow"))
    await metadata.connections.add(Connection("of-the-dead", changed_at=long_ago, server="dead"))
    questions = 0

    async def answer(message: Any) -> None:
        nonlocal questions
        questions += 1
        await message.respond(orjson.dumps({"server": "quick", "connections": []}))
        if questions > 1:
            await message.respond(orjson.dumps({"server": "slow", "connections": ["of-the-slow"]}))

    await client.subscribe("$memphis_connection_status", cb=answer)
    await client.flush()
    await connections.reconcile(copies[0].context)
    active = {each.id: each.active for each in await metadata.connections.all()}
    assert active == {"of-the-slow": True, "of-the-dead": False}


async def test_the_long_gone_are_forgotten_but_for_one_of_a_group(
    copies: list[StationsService], metadata: Metadata
) -> None:
    long_ago = model.now().replace(year=2020)
    for name in ("old", "older"):
        await metadata.connections.add(Connection(name, active=False, changed_at=long_ago))
        await metadata.producers.add(model.Producer("p", "s", name))
    await metadata.consumers.add(Consumer("a", "s", "gone", "older", created_at=long_ago))
    await metadata.consumers.add(Consumer("b", "s", "gone", "old"))
    await metadata.consumers.add(Consumer("a", "s", "here", "old"))
    await metadata.consumers.add(Consumer("b", "s", "here", "alive"))
    await connections.remove_old(copies[0].context)
    assert await metadata.producers.all() == []
    left = sorted((each.group, each.name) for each in await metadata.consumers.all())
    assert left == [("gone", "b"), ("here", "b")]
    assert [each.id for each in await metadata.connections.all()] == ["old"]


async def test_a_station_that_goes_takes_its_rows_along(client: Any, metadata: Metadata) -> None:
    await ask(client, "$memphis_consumer_creations", **consumer("c", "one"))
    producer = {
        "name": "P",
        "station_name": "S",
        "connection_id": "one",
        "req_version": 4,
        "username": "root",
    }
    answer = json.loads(await ask(client, "$memphis_producer_creations", **producer))
    assert (answer["station_version"], answer["station_partitions_first_functions"]) == (2, {})
    assert await ask(client, "$memphis_station_creations", **creation("s.2")) == b""
    await ask(client, "$memphis_consumer_creations", **consumer("c", "one", station_name="s.2"))
    await ask(client, "$memphis_station_destructions", station_name="s", username="root")
    assert await metadata.producers.all() == []
    assert [each.station for each in await metadata.consumers.all()] == ["s.2"]


async def test_a_producer_made_twice_is_destroyed_twice(client: Any, metadata: Metadata) -> None:
    body = {"name": "p", "station_name": "s", "connection_id": "one", "req_version": 4, "username": "root"}
    for _ in range(2):
        await ask(client, "$memphis_producer_creations", **body)
    (row,) = await metadata.producers.all()
    assert row.count == 2
    assert await ask(client, "$memphis_producer_destructions", **body) == b""
    assert len(await metadata.producers.all()) == 1
    assert await ask(client, "$memphis_producer_destructions", **body) == b""
    missing = await ask(client, "$memphis_producer_destructions", **body)
    assert missing == b"Producer p at station s does not exist"


async def test_a_request_that_is_sent_again_meanwhile_counts_once(
    start_server: Starter, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As SDKs do when there is no answer in time. One copy: with several another one may get it."""
    server = start_server(broker_command())
    service, client = StationsService(await connect(server)), await connect(server)
    await service.start()
    await ask(client, "$memphis_station_creations", **creation("s"))
    release = asyncio.Event()
    make = groups.make_group

    async def slow(*arguments: Any, **options: Any) -> None:
        await release.wait()
        await make(*arguments, **options)

    monkeypatch.setattr(groups, "make_group", slow)
    asking = [
        asyncio.create_task(ask(client, "$memphis_consumer_creations", **consumer("c", "one")))
        for _ in range(3)
    ]
    await until(lambda: len(service._tasks) == 3)
    release.set()
    assert [json.loads(answer)["error"] for answer in await asyncio.gather(*asking)] == [""] * 3
    (row,) = await Metadata(client).consumers.all()
    assert row.count == 1
    await service.stop()


@pytest.mark.parametrize("version", [0, 1])
async def test_sdks_from_before_partitions_are_told_so(client: Any, metadata: Metadata, version: int) -> None:
    """They would use streams whose names have no number; nothing is made for them."""
    body = {"name": "p", "station_name": "new", "connection_id": "one", "username": "root"}
    answer = await ask(client, "$memphis_producer_creations", **body, req_version=version)
    told = answer.decode() if version == 0 else json.loads(answer)["error"]
    assert told == "to produce to this station please upgrade your SDK version"
    answer = await ask(client, "$memphis_consumer_creations", **body, req_version=version)
    assert answer == b"to consume from this station please upgrade your SDK version"
    assert [station.name for station in await metadata.stations.all()] == ["s"]


def test_a_station_knows_its_streams() -> None:
    assert replace(Station("a.b"), partitions=(1, 2)).streams == ("a#b$1", "a#b$2")
