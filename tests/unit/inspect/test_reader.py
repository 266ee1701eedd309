"""Reading on every retention by every method, against a real server; nothing is consumed by it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, RetentionPolicy, StreamConfig

from memphis_desktop.inspect.connection import ReadConnection, ReadError
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.page_cache import Page, PageCache
from memphis_desktop.inspect.reader import MessageReader, ReadingMethod
from memphis_desktop.server_process import ServerProcess
from tests.conftest import Connect, Starter
from tests.waiting import eventually

Open = Callable[..., Awaitable[MessageReader]]


@pytest_asyncio.fixture
async def client(any_server: ServerProcess, connect: Connect) -> Client:
    opened = await connect(any_server)
    assert isinstance(opened, Client)
    return opened


@pytest_asyncio.fixture
async def open_reader(client: Client) -> AsyncIterator[Open]:
    readers: list[MessageReader] = []

    class Source:
        nats = client

    async def open_one(stream: str, method: ReadingMethod | None = None) -> MessageReader:
        reader = await MessageReader.open(Source(), stream)
        if method is not None:
            reader._refused = {other for other in ReadingMethod if other is not method}
            await reader.refresh()
            assert reader.method is method
        readers.append(reader)
        return reader

    yield open_one
    for reader in readers:
        await reader.close()


async def fill(jetstream: JetStreamContext, name: str, count: int, **config: Any) -> None:
    """Make a stream of `count` messages; every tenth goes to the subject with "rare"."""
    config.setdefault("allow_direct", True)
    await jetstream.add_stream(StreamConfig(name=name, subjects=[f"{name}.>"], **config))
    acks = [
        await jetstream.publish_async(
            f"{name}.{'rare' if index % 10 == 0 else 'often'}",
            b"%d" % index,
            headers={"Key": str(index)} if index % 3 == 0 else None,
        )
        for index in range(1, count + 1)
    ]
    await asyncio.gather(*acks)


def sequences(page: Page) -> list[int]:
    return [message.sequence for message in page.messages]


@pytest.mark.parametrize("method", list(ReadingMethod))
@pytest.mark.parametrize("retention", list(RetentionPolicy))
async def test_pages_by_every_method_on_every_retention(
    client: Client, open_reader: Open, method: ReadingMethod, retention: RetentionPolicy
) -> None:
    jetstream = client.jetstream(timeout=30)
    if retention is RetentionPolicy.INTEREST:  # interest keeps messages only while a consumer wants them
        await jetstream.add_stream(
            StreamConfig(name="S", subjects=["S.>"], retention=retention, allow_direct=True)
        )
        await jetstream.add_consumer("S", ConsumerConfig(durable_name="keeper", ack_policy="explicit"))
        for index in range(1, 301):
            await client.publish(f"S.{'rare' if index % 10 == 0 else 'often'}", b"%d" % index)
        await client.flush()
        await eventually(lambda: jetstream.stream_info("S"), lambda info: info.state.messages == 300)
        await eventually(lambda: jetstream.consumer_info("S", "keeper"), lambda info: info.num_pending == 300)
    else:
        await fill(jetstream, "S", 300, retention=retention)
    before = await jetstream.consumers_info("S")
    reader = await open_reader("S", method)
    assert (reader.bounds.first, reader.bounds.last, reader.bounds.messages) == (1, 300, 300)

    forward = await reader.forward(1, 50)
    assert sequences(forward)[:50] == list(range(1, 51))
    assert (forward.first, forward.last) == (1, sequences(forward)[-1])
    backward = await reader.backward(300, 50)
    assert sequences(backward)[-50:] == list(range(251, 301))
    assert backward.last == 300
    rare = await reader.forward(95, 5, "S.rare")
    assert sequences(rare)[:5] == [100, 110, 120, 130, 140]
    assert {message.subject for message in rare.messages} == {"S.rare"}
    rare_back = await reader.backward(205, 5, "S.rare")
    assert sequences(rare_back)[-5:] == [160, 170, 180, 190, 200]
    end = await reader.forward(301)
    assert end.messages == ()

    message = await reader.message(7)
    assert message is not None
    assert (message.subject, message.payload) == ("S.often", b"7")
    assert await reader.sequence_at(message.time_ns) <= 7
    assert await reader.sequence_at(time.time_ns()) == 301
    assert await reader.sequence_at(0) == 1
    assert reader.sequence_at_percent(50) == 151
    after = await jetstream.consumers_info("S")
    assert [(info.name, info.num_pending) for info in after] == [(i.name, i.num_pending) for i in before]
    assert (await jetstream.stream_info("S")).state.messages == 300


@pytest.mark.parametrize("method", list(ReadingMethod))
async def test_gaps_are_covered_and_sparse_streams_are_walked(
    client: Client, open_reader: Open, method: ReadingMethod
) -> None:
    jetstream = client.jetstream(timeout=30)
    await fill(jetstream, "G", 2000, max_msgs_per_subject=-1)
    await jetstream.purge_stream("G", subject="G.often")
    reader = await open_reader("G", method)
    assert reader.bounds.deleted == 1791  # from the first kept, 10, to the last, 2000
    page = await reader.forward(1, 20)
    assert sequences(page)[:20] == list(range(10, 201 + 9, 10))[:20]
    back = await reader.backward(1999, 20)
    assert sequences(back)[-20:] == list(range(1800, 2000, 10))
    assert back.last == 1999
    await jetstream.purge_stream("G", keep=3)
    await reader.refresh()
    assert len(reader.cache) == 0
    assert sequences(await reader.forward(1, 20)) == [1980, 1990, 2000]
    assert sequences(await reader.backward(5000, 20)) == [1980, 1990, 2000]
    assert await reader.message(10) is None


async def test_headers_come_back_byte_for_byte(client: Client, open_reader: Open) -> None:
    jetstream = client.jetstream(timeout=30)
    await jetstream.add_stream(StreamConfig(name="H", subjects=["H"], allow_direct=True))
    block = b"NATS/1.0\r\nB: 2\r\na: x\r\nB: 1\r\nRaw: \xff\r\n\r\n"
    await client._send_command(b"HPUB H %d %d\r\n%s%s\r\n" % (len(block), len(block) + 3, block, b"abc"))
    await client.flush()
    await eventually(lambda: jetstream.stream_info("H"), lambda info: info.state.messages == 1)
    for method in ReadingMethod:
        message = await (await open_reader("H", method)).message(1)
        assert message is not None
        assert (message.header_bytes, message.payload) == (block, b"abc")
        assert message.headers.all("B") == ["2", "1"]


async def test_an_empty_stream_and_a_missing_one(client: Client, open_reader: Open) -> None:
    jetstream = client.jetstream(timeout=30)
    await jetstream.add_stream(StreamConfig(name="E", subjects=["E"], allow_direct=True))
    reader = await open_reader("E")
    assert (reader.bounds.first, reader.bounds.last) == (1, 0)
    assert (await reader.forward(1)).messages == ()
    assert (await reader.backward(1)).messages == ()
    assert await reader.sequence_at(0) == 1
    with pytest.raises(ReadError) as caught:
        await open_reader("nowhere")
    assert caught.value.code == 404


async def test_large_messages_end_a_page_early(client: Client, open_reader: Open) -> None:
    jetstream = client.jetstream(timeout=30)
    await jetstream.add_stream(StreamConfig(name="L", subjects=["L"], allow_direct=True))
    for _ in range(30):
        await jetstream.publish("L", bytes(900_000))
    reader = await open_reader("L")
    page = await reader.forward(1, 200)
    assert 5 <= len(page.messages) < 30
    assert page.last == page.messages[-1].sequence
    back = await reader.backward(30, 200)
    assert back.messages[-1].sequence == 30
    assert back.first == back.messages[0].sequence
    assert len(back.messages) < 30


async def test_a_login_without_direct_gets_falls_back(start_nats_server: Starter, connect: Connect) -> None:
    users = (
        "authorization { users: [ {user: all, password: x}, {user: few, password: x, permissions: "
        '{publish: {deny: "$JS.API.DIRECT.>"}}} ] }'
    )
    server = start_nats_server(config=users)
    everything = await connect(server, user="all", password="x")
    await fill(everything.jetstream(timeout=30), "P", 50)

    few = await connect(server, user="few", password="x")

    class Source:
        nats = few

    reader = await MessageReader.open(Source(), "P")
    assert reader.method is ReadingMethod.BATCH
    started = time.monotonic()
    page = await reader.forward(1, 50)
    assert len(page.messages) == 50
    assert reader.method is ReadingMethod.API
    assert time.monotonic() - started < 3
    await reader.close()


async def test_a_silent_server_is_an_error_in_time(nats_server: ServerProcess, connect: Connect) -> None:
    connection = await ReadConnection.like(await connect(nats_server))
    listener = await connect(nats_server)

    async def ignore(_: Any) -> None:
        """Never answer."""

    await listener.subscribe("silent", cb=ignore)
    await listener.flush()
    with pytest.raises(ReadError, match="no answer"):
        await connection.request("silent", b"", timeout=0.2)
    with pytest.raises(ReadError, match="Nobody"):
        await connection.request("nobody", b"", timeout=2)
    await connection.close()
    with pytest.raises(ReadError, match="closed"):
        await connection.request("nobody", b"")


async def test_a_server_that_is_gone_is_an_error_and_one_that_comes_back_is_read_again(
    nats_server: ServerProcess, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await connect(nats_server, allow_reconnect=True, reconnect_time_wait=0.1)
    await fill(client.jetstream(timeout=30), "S", 20)

    class Source:
        nats = client

    reader = await MessageReader.open(Source(), "S")
    nats_server.restart(crash=True)
    async with asyncio.timeout(20):
        while True:
            try:
                await reader.refresh()
                break
            except ReadError:
                await asyncio.sleep(0.1)
    assert reader.bounds.messages == 20
    assert len((await reader.forward(1, 50)).messages) == 20
    await reader.close()
    nats_server.kill()
    monkeypatch.setattr("memphis_desktop.inspect.connection.OPEN_SECONDS", 0.5)
    with pytest.raises(ReadError, match="Could not open"):
        await ReadConnection.like(client)


def _page(first: int, last: int, size: int = 10) -> Page:
    messages = tuple(InspectedMessage("S", n, 0, "s", b"", bytes(size)) for n in range(first, last + 1))
    return Page(messages, first, last)


def test_the_cache_is_bounded_by_bytes_and_forgets_the_least_used() -> None:
    cache = PageCache(limit=30_000)
    for first in range(1, 1000, 10):
        cache.add(_page(first, first + 9), None)
        cache.forward(1, 5, None)
    assert cache.bytes <= 30_000
    assert cache.forward(1, 5, None) is not None  # used all the time
    assert cache.forward(11, 5, None) is None
    assert cache.backward(995, 3, None) is not None
    assert cache.message(995) is not None
    cache.add(_page(5000, 5001, 40_000), None)
    assert cache.message(5000) is None  # larger than the whole cache
    cache.forget_below(2000)
    assert len(cache) == 0
    assert cache.bytes == 0
