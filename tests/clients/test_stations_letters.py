"""Dead letters of stations and of plain streams: captured, listed, sent again, dropped, forgotten in time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import orjson
import pytest
import pytest_asyncio
from nats.js import JetStreamContext

from memphis_desktop.server_process import ServerProcess
from memphis_desktop.stations import dead_letters, events, model
from memphis_desktop.stations.client import StationsClient
from memphis_desktop.stations.errors import StationsError
from memphis_desktop.stations.metadata import replace
from memphis_desktop.stations.model import DeadLetter
from memphis_desktop.stations.service import StationsService
from tests.clients.test_stations_groups import consumer
from tests.clients.test_stations_service import ask
from tests.conftest import Connect
from tests.waiting import until


@pytest_asyncio.fixture
async def service(any_server: ServerProcess, connect: Connect) -> AsyncIterator[StationsService]:
    """The service."""
    running = StationsService(await connect(any_server))
    await running.start()
    yield running
    await running.stop()


@pytest_asyncio.fixture
async def stations(any_server: ServerProcess, connect: Connect, service: StationsService) -> Any:
    """Its client."""
    client = StationsClient(await connect(any_server), username="ada")
    yield client
    await client.close()


@pytest_asyncio.fixture
async def jetstream(any_server: ServerProcess, connect: Connect) -> JetStreamContext:
    """JetStream over a plain connection."""
    return (await connect(any_server)).jetstream(timeout=30)


async def letters_of(stations: StationsClient, station: str, count: int = 1) -> list[DeadLetter]:
    """Wait for a station's dead letters."""

    async def there() -> bool:
        return len(await stations.dead_letters(station)) >= count

    await until(there)
    return await stations.dead_letters(station)


async def fail(jetstream: JetStreamContext, stream: str, durable: str, times: int = 1) -> None:
    """Take a message and let it go until it has run out of deliveries."""
    subscription = await jetstream.pull_subscribe_bind(durable, stream)
    for _ in range(times):
        (message,) = await subscription.fetch(1, timeout=30)
        await message.nak()
    with pytest.raises(TimeoutError):  # servers look at it when somebody asks for more
        await subscription.fetch(1, timeout=0.3)
    await subscription.unsubscribe()  # or what comes next may go to this one's last request


async def plain_stream(jetstream: JetStreamContext, name: str = "Plain_x") -> None:
    """Make a stream and a consumer as a plain client does."""
    await jetstream.add_stream(name=name, subjects=["plain.>"])
    await jetstream.add_consumer(
        name, durable_name="Worker", ack_policy="explicit", max_deliver=2, filter_subject="plain.>"
    )


async def test_a_plain_stream_has_dead_letters_too(
    stations: StationsClient, jetstream: JetStreamContext
) -> None:
    await plain_stream(jetstream)
    headers = {"Key": "Value", "Nats-Msg-Id": "1"}
    await jetstream.publish("plain.a", b"\x00poison", headers=headers)
    await fail(jetstream, "Plain_x", "Worker", times=2)
    (letter,) = await letters_of(stations, "Plain_x")
    assert (letter.partition, letter.sequence, letter.subject, letter.size) == (-1, 1, "plain.a", 7)
    assert [(group.name, group.deliveries) for group in letter.groups] == [("Worker", 2)]
    assert [step.what for step in letter.journey] == ["stored", "failed"]
    assert await stations.dead_letter_payload("Plain_x", letter.id) == b"\x00poison"
    assert await stations.dead_letter("Plain_x", letter.id) == letter
    assert await stations.resend_dead_letters("Plain_x", [letter.id, 17]) == {
        "sent": 1,
        "failed": {"17": "the dead letter is gone"},
    }
    again = await jetstream.get_msg("Plain_x", 2)
    assert (again.subject, again.data) == ("plain.a", b"\x00poison")
    assert again.headers is not None
    assert again.headers["Key"] == "Value"
    assert again.headers["Memphis-Resent-From"] == "Plain_x:1"
    assert "Nats-Msg-Id" not in again.headers
    (letter,) = await letters_of(stations, "Plain_x")
    assert letter.groups[0].resends == 1
    assert letter.journey[-1].what == "resent"
    assert letter.journey[-1].who == "ada"
    assert await stations.drop_dead_letters("Plain_x") == 1
    assert await stations.dead_letters("Plain_x") == []
    assert await stations.dead_letter_payload("Plain_x", letter.id) is None


async def test_a_terminated_message_is_one_with_its_reason(
    stations: StationsClient, jetstream: JetStreamContext
) -> None:
    await plain_stream(jetstream)
    await jetstream.publish("plain.a", b"no use")
    subscription = await jetstream.pull_subscribe_bind("Worker", "Plain_x")
    (message,) = await subscription.fetch(1, timeout=30)
    await message._client.publish(message.reply, b"+TERM it is broken")
    (letter,) = await letters_of(stations, "Plain_x")
    assert letter.groups[0].reason == "it is broken"
    assert [step.what for step in letter.journey] == ["stored", "terminated"]


async def test_two_groups_fail_one_message(stations: StationsClient, jetstream: JetStreamContext) -> None:
    await stations.create_station("both", dls_station="letters")
    client = stations.metadata.jetstream.client
    for name in ("a", "b"):
        body = consumer(name, "c", name, station_name="both", max_msg_deliveries=1)
        assert b'"error":""' in await ask(client, "$memphis_consumer_creations", **body)
    headers = {"$memphis_producedBy": "p", "$memphis_connectionId": "c"}
    await jetstream.publish("both$1.final", b"bad", headers=headers)
    for name in ("a", "b"):
        await fail(jetstream, "both$1", name)

    async def failed_twice() -> bool:
        found = await stations.dead_letters("both")
        return bool(found) and len(found[0].groups) == 2

    await until(failed_twice)
    (letter,) = await stations.dead_letters("both")
    assert (letter.producer, letter.connection_id, letter.partition) == ("p", "c", 1)
    assert (await jetstream.stream_info("letters$1")).state.messages == 1  # one copy, not one per group
    copy = await jetstream.get_msg("letters$1", 1)
    assert copy.headers is not None
    assert (copy.headers["station"], copy.headers["type"]) == ("both", "unacked")

    heard: list[tuple[str, str]] = []

    async def hear(message: Any) -> None:
        heard.append((message.subject, message.headers["$memphis_pm_id"]))
        assert message.reply == ""
        assert message.headers["$memphis_producedBy"] == "$memphis_dls"

    await client.subscribe("$memphis_dls_both.*", cb=hear)
    await client.flush()
    await stations.resend_dead_letters("both", [letter.id], group="b")
    await until(lambda: bool(heard))
    assert set(heard) == {("$memphis_dls_both.b", str(letter.id))}
    await client.publish("$memphis_pm_acks", orjson.dumps({"id": letter.id, "cg_name": "b"}))

    async def acknowledged() -> bool:
        return [group.name for group in (await stations.dead_letters("both"))[0].groups] == ["a"]

    await until(acknowledged)
    body = {"name": "a", "station_name": "both", "username": "root", "connection_id": "c"}
    assert await ask(client, "$memphis_consumer_destructions", **body) == b""
    assert await stations.dead_letters("both") == []  # its last group is gone


async def test_a_letter_is_not_sent_to_a_group_that_is_not_there(
    stations: StationsClient, jetstream: JetStreamContext
) -> None:
    await stations.create_station("empty")
    client = stations.metadata.jetstream.client
    body = consumer("a", "c", "g", station_name="empty", max_msg_deliveries=1)
    await ask(client, "$memphis_consumer_creations", **body)
    await jetstream.publish("empty$1.final", b"bad")
    await fail(jetstream, "empty$1", "g")
    (letter,) = await letters_of(stations, "empty")
    assert letter.producer == "unknown"
    await stations.metadata.connections.add(model.Connection("c", active=False))
    result = await stations.resend_dead_letters("empty")
    assert result["sent"] == 0
    assert result["failed"] == {str(letter.id): "no consumer of the group g is connected; the letter stays"}
    with pytest.raises(StationsError, match="is not among the groups that failed it"):
        await stations.resend_edited("empty", letter.id, b"x", {}, group="other")
    with pytest.raises(StationsError, match="the dead letter is gone"):
        await stations.resend_edited("empty", 1, b"x", {})


async def test_nothing_is_lost_while_no_service_runs(
    any_server: ServerProcess, connect: Connect, jetstream: JetStreamContext
) -> None:
    first = StationsService(await connect(any_server))
    await first.start()
    await first.stop()
    await plain_stream(jetstream)
    await jetstream.publish("plain.a", b"bad")
    await fail(jetstream, "Plain_x", "Worker", times=2)
    client = StationsClient(await connect(any_server))
    assert await client.dead_letters() == []
    second = StationsService(await connect(any_server))
    await second.start()
    await letters_of(client, "Plain_x")
    await second.stop()


async def test_a_failure_told_twice_makes_one_letter_and_nonsense_none(
    stations: StationsClient, service: StationsService, jetstream: JetStreamContext
) -> None:
    await plain_stream(jetstream)
    await jetstream.publish("plain.a", b"bad")
    told = {"stream": "Plain_x", "consumer": "Worker", "stream_seq": 1, "deliveries": 2}
    subject = events.MAX_DELIVERIES + "Plain_x.Worker"
    for body in (b"", b"[]", b"{}", b"\xff", b'{"stream":1,"consumer":2,"stream_seq":"x"}'):
        for nonsense in (subject, "$memphis_nacked_dls", "$memphis_schemaverse_dls", "$memphis_pm_acks"):
            await jetstream.publish(nonsense, body)
    for _ in range(2):
        await jetstream.publish(subject, json.dumps(told).encode())
    (letter,) = await letters_of(stations, "Plain_x")

    async def all_done() -> bool:
        return (await jetstream.stream_info(events.STREAM)).state.messages == 0

    await until(all_done)
    assert await stations.dead_letters() == [letter]
    assert len(letter.journey) == 2


async def test_a_message_that_is_gone_is_told_as_such(
    stations: StationsClient, jetstream: JetStreamContext
) -> None:
    await plain_stream(jetstream)
    told = {"stream": "Plain_x", "consumer": "Worker", "stream_seq": 99, "deliveries": 2}
    await jetstream.publish(events.MAX_DELIVERIES + "Plain_x.Worker", json.dumps(told).encode())
    (letter,) = await letters_of(stations, "Plain_x")
    assert letter.payload_lost
    result = await stations.resend_dead_letters("Plain_x")
    assert result["failed"] == {
        str(letter.id): "the message was removed from its station before it could be kept"
    }


async def test_old_letters_are_forgotten(
    stations: StationsClient, service: StationsService, jetstream: JetStreamContext
) -> None:
    await plain_stream(jetstream)
    for number in range(2):
        await jetstream.publish(f"plain.{number}", b"bad")
        await fail(jetstream, "Plain_x", "Worker", times=2)
    letters = await letters_of(stations, "Plain_x", count=2)
    settings = await stations.change_settings(dead_letter_hours=1)
    assert settings.dead_letter_hours == 1
    old = replace(letters[0], updated_at=model.now() - timedelta(hours=1, minutes=1))
    await stations.metadata.dead_letters.put(old)
    await dead_letters.remove_old(service.context)
    assert await stations.dead_letters("Plain_x") == [letters[1]]
    assert await stations.dead_letter_payload("Plain_x", letters[0].id) is None
    info = await jetstream.stream_info("KV_memphis_dead_letters")
    assert info.config.max_age == 3600 + 900
    with pytest.raises(StationsError, match="dead_letter_hours has to be between 1 and 720"):
        await stations.change_settings(dead_letter_hours=0)


async def test_many_letters_at_once(stations: StationsClient, jetstream: JetStreamContext) -> None:
    await jetstream.add_stream(name="many", subjects=["many"])
    await jetstream.add_consumer("many", durable_name="w", ack_policy="explicit", max_deliver=1)
    await asyncio.gather(*(jetstream.publish("many", str(n).encode()) for n in range(200)))
    subscription = await jetstream.pull_subscribe_bind("w", "many")
    for message in await subscription.fetch(200, timeout=30):
        await message._client.publish(message.reply, b"+TERM")
    letters = await letters_of(stations, "many", count=200)
    assert len({letter.id for letter in letters}) == 200
    assert sorted(bytes.fromhex(letter.preview).decode() for letter in letters) == sorted(
        map(str, range(200))
    )


@pytest.mark.parametrize("retention", ["limits", "workqueue"])
async def test_advisories_that_another_stream_has_are_copied_from_it(
    any_server: ServerProcess, connect: Connect, jetstream: JetStreamContext, retention: str
) -> None:
    subjects = [f"{events.MAX_DELIVERIES}>", "elsewhere"]
    await jetstream.add_stream(name="DEAD_LETTERS", subjects=subjects, retention=retention)
    await plain_stream(jetstream)
    await jetstream.publish("plain.old", b"failed before the service was there")
    await fail(jetstream, "Plain_x", "Worker", times=2)
    service = StationsService(await connect(any_server))
    await service.start()
    client = StationsClient(await connect(any_server))
    if retention == "limits":
        await jetstream.publish("plain.a", b"bad")
        await fail(jetstream, "Plain_x", "Worker", times=2)
        assert [letter.sequence for letter in await letters_of(client, "Plain_x")] == [2]
    await service.stop()
    await jetstream.delete_stream("DEAD_LETTERS")
    service = StationsService(await connect(any_server))
    await service.start()  # has the advisories for itself now
    info = await jetstream.stream_info(events.STREAM)
    assert f"{events.MAX_DELIVERIES}>" in info.config.subjects
    assert not info.config.sources
    await jetstream.publish("plain.b", b"bad")
    await fail(jetstream, "Plain_x", "Worker", times=2)
    await letters_of(client, "Plain_x", count=2 if retention == "limits" else 1)
    await service.stop()


async def test_a_note_is_kept_with_a_letter(stations: StationsClient, jetstream: JetStreamContext) -> None:
    await plain_stream(jetstream)
    await jetstream.publish("plain.a", b"poison")
    await fail(jetstream, "Plain_x", "Worker", times=2)
    [letter] = await letters_of(stations, "Plain_x")
    assert letter.note is None
    assert await stations.note_dead_letters("Plain_x", [letter.id, 77], "ask Ann", ["billing"], "bo") == 1
    [noted] = await stations.dead_letters("Plain_x")
    assert noted.note is not None
    assert (noted.note.text, noted.note.tags, noted.note.by) == ("ask Ann", ("billing",), "bo")
    assert noted.updated_at == letter.updated_at
    assert await stations.note_dead_letters("Plain_x", [letter.id], "") == 1
    assert (await stations.dead_letters("Plain_x"))[0].note is None
    for text, tags in (("x" * 4001, []), ("", ["t"] * 17), ("", ["t" * 65])):
        with pytest.raises(StationsError, match="a note has up to 4000 characters"):
            await stations.note_dead_letters("Plain_x", [letter.id], text, tags)
