"""Gateways and servers that stop, crash and come back: positions are kept and nothing is lost."""

from __future__ import annotations

import asyncio

import pytest
from nats.aio.client import Client
from nats.errors import Error

from memphis_desktop.server_process import ServerProcess
from memphis_desktop.stations.streaming.gateway import StreamingGateway
from memphis_desktop.stations.streaming.session import Session
from tests.clients.streaming.conftest import StartGateway
from tests.clients.streaming.raw import RawClient
from tests.conftest import Connect
from tests.waiting import PATIENCE, until


async def publish(client: RawClient, channel: str, count: int) -> None:
    for number in range(count):
        client.guids += 1
        data, guid = b"%d" % number, f"guid-{client.guids}"
        try:
            ack = await client.publish(channel, data, guid)
        except (Error, TimeoutError):
            # The gateway that got it had lost its lease: clients send it again, and it is stored once.
            ack = await client.publish(channel, data, guid)
        assert ack.error == ""


async def ready(client: RawClient) -> None:
    """Wait until a gateway knows the client."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                if (await client.ping()).error == "":
                    return
            except Error:  # nobody answers yet
                await asyncio.sleep(0.05)


async def test_another_copy_goes_on(
    any_server: ServerProcess, start_gateway: StartGateway, connect: Connect
) -> None:
    first = await start_gateway(any_server)
    second = await start_gateway(any_server, wait=False)
    nats = await connect(any_server)
    client = RawClient(nats, "me")
    await client.connect()
    plain = await client.subscribe("orders")
    durable = await client.subscribe("orders", durable_name="kept", ack_wait=2)
    member = await client.subscribe("orders", queue_group="workers")
    paused = await client.subscribe("orders", durable_name="paused", ack_wait=600)
    await publish(client, "orders", 4)
    for subscription in (plain, durable, member, paused):
        assert await subscription.wait(4) == [1, 2, 3, 4]
    await plain.acknowledge(1, 2, 3, 4)
    await paused.acknowledge(1, 3)
    assert await paused.end(unsubscribe=False) == ""
    assert not second.working.is_set()

    await first.stop()
    await asyncio.wait_for(second.working.wait(), PATIENCE)
    await ready(client)
    await durable.acknowledge(1, 2)  # delivered by the first copy, acknowledged to the second
    await publish(client, "orders", 2)
    await plain.wait(6)
    await member.wait(6)
    assert plain.sequences == [1, 2, 3, 4, 5, 6]
    durable.acks = True
    await durable.wait_for_all({5, 6})
    # and 3 and 4 come again, since nobody acknowledged them
    await until(lambda: {3, 4} <= {m.sequence for m in durable.messages if m.redelivered})
    assert not {1, 2} & {m.sequence for m in durable.messages if m.redelivered}
    paused = await client.subscribe("orders", durable_name="paused", ack_wait=600)
    assert await paused.wait(4) == [2, 4, 5, 6]
    assert [message.redelivered for message in paused.messages] == [True, True, False, False]
    assert await plain.end(unsubscribe=True) == ""
    assert (await client.close()).error == ""


async def test_a_copy_that_crashed_is_replaced(
    any_server: ServerProcess, start_gateway: StartGateway, connect: Connect
) -> None:
    first = await start_gateway(any_server, lease=1.5)
    second = await start_gateway(any_server, wait=False, lease=1.5)
    nats = await connect(any_server)
    client = RawClient(nats, "me")
    await client.connect()
    subscription = await client.subscribe("orders")
    subscription.acks = True
    await publish(client, "orders", 3)
    await subscription.wait(3)
    await crash(first)
    await asyncio.wait_for(second.working.wait(), PATIENCE)
    await publish(client, "orders", 3)
    await subscription.wait_for_all({4, 5, 6})


async def test_a_copy_that_takes_long_to_take_over_stays_the_only_one(
    any_server: ServerProcess, start_gateway: StartGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a cluster elects leaders, taking over lasts longer than the lease."""
    start, let_go = Session.start, asyncio.Event()
    begun: list[Session] = []

    async def slow(session: Session) -> None:
        begun.append(session)
        await let_go.wait()
        await start(session)

    monkeypatch.setattr(Session, "start", slow)
    copies = [await start_gateway(any_server, wait=False, lease=1.2) for _ in range(2)]
    try:
        await until(lambda: begun)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(let_go.wait(), 3)  # longer than two leases
        assert len(begun) == 1
    finally:
        let_go.set()
    await until(lambda: any(copy.working.is_set() for copy in copies))
    [working] = [copy for copy in copies if copy.working.is_set()]
    assert working._lease.held


async def crash(gateway: StreamingGateway) -> None:
    """End a gateway as the end of its process would: its connection is gone, nothing is given back."""
    await gateway.context.client._close(Client.CLOSED, do_cbs=False)


@pytest.mark.parametrize("how", ["crash", "orderly"])
async def test_the_server_restarts(
    any_server: ServerProcess, start_gateway: StartGateway, connect: Connect, how: str
) -> None:
    gateway = await start_gateway(any_server, lease=2)
    nats = await connect(
        any_server,
        allow_reconnect=True,
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.1,
        error_cb=quiet,
    )
    client = RawClient(nats, "me")
    await client.connect()
    plain = await client.subscribe("orders", ack_wait=2)
    durable = await client.subscribe("orders", durable_name="kept", ack_wait=2)
    plain.acks = durable.acks = True
    await publish(client, "orders", 5)
    await plain.wait(5)
    await durable.wait(5)
    await asyncio.to_thread(any_server.restart, crash=how == "crash")
    await until(
        lambda: nats.is_connected and gateway.context.client.is_connected and gateway.working.is_set()
    )
    await ready(client)
    await publish(client, "orders", 5)
    await plain.wait_for_all(set(range(1, 11)))
    await durable.wait_for_all(set(range(1, 11)))
    assert sorted(set(plain.sequences)) == list(range(1, 11))
    assert await durable.end(unsubscribe=True) == ""


async def quiet(_: Exception) -> None:
    """The restart is part of the test."""


async def test_two_cluster_ids_are_apart(
    any_server: ServerProcess, start_gateway: StartGateway, connect: Connect
) -> None:
    await start_gateway(any_server)
    await start_gateway(any_server, cluster="other")
    nats = await connect(any_server)
    for cluster in ("test-cluster", "other"):
        client = RawClient(nats, "me", cluster=cluster)
        assert (await client.connect()).error == ""
        assert (await client.publish("orders", b"x")).error == ""
