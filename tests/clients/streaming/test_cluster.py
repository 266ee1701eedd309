"""Both gateways on three real servers, one of which is killed under load."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import aiohttp
import pytest
from nats.errors import Error

from memphis_desktop.cluster.lab import LocalCluster
from memphis_desktop.cluster.lab.layout import NODE_NAMES
from memphis_desktop.stations.lifecycle import create_station
from memphis_desktop.stations.model import Station
from memphis_desktop.stations.rest.gateway import RestGateway
from memphis_desktop.stations.rest.options import RestOptions
from memphis_desktop.stations.streaming import nats_streaming_pb2 as pb
from memphis_desktop.stations.streaming.gateway import StreamingGateway
from memphis_desktop.stations.streaming.options import StreamingOptions
from tests.clients.streaming.raw import RawClient
from tests.conftest import Connect

PATIENCE = 90.0
COUNT = 300
RECONNECTING = {"allow_reconnect": True, "max_reconnect_attempts": -1, "reconnect_time_wait": 0.2}


async def quiet(_: Exception) -> None:
    """A killed server is part of the test."""


class Load:
    """Publishes until everything is acknowledged, each message as often as it takes, under one id."""

    def __init__(self) -> None:
        self.acknowledged: list[int] = []
        self.halfway = asyncio.Event()

    async def run(self, publish) -> None:
        async with asyncio.timeout(PATIENCE):
            for number in range(COUNT):
                while not await publish(number):  # noqa: ASYNC110 - no event
                    await asyncio.sleep(0.1)
                self.acknowledged.append(number)
                if number == COUNT // 3:
                    self.halfway.set()


@pytest.mark.timeout(240)
async def test_a_server_is_killed_under_load(three_node_cluster: LocalCluster, connect: Connect) -> None:
    cluster = three_node_cluster
    urls = list(cluster.urls)

    async def client():
        return await connect(urls, error_cb=quiet, **RECONNECTING)

    copies = [StreamingGateway(await client(), StreamingOptions(replicas=3, lease=3)) for _ in range(2)]
    for copy in copies:
        await copy.start()
    await asyncio.wait([asyncio.create_task(c.working.wait()) for c in copies], return_when="FIRST_COMPLETED")
    rest = RestGateway(await client(), RestOptions(port=0))
    await rest.start()
    assert await copies[0].context.metadata.replicas() == 3
    await create_station(rest.context, Station("web", replicas=3))

    nats = await client()
    stan = RawClient(nats, "me")
    assert (await stan.connect()).error == ""
    subscription = await stan.subscribe("orders", durable_name="kept", ack_wait=5)
    subscription.acks = True

    async def publish_stan(number: int) -> bool:
        request = pb.PublishRequest(
            client_id="me", guid=f"g{number}", channel="orders", data=b"%d" % number,
            connection_id=stan.connection_id,
        )  # fmt: skip
        with suppress(Error, TimeoutError):
            subject = f"{stan.subjects.publish}.orders"
            answer = await nats.request(subject, request.SerializeToString(), timeout=2, old_style=True)
            return pb.PublishAck.FromString(answer.data).error == ""
        return False

    async def check_stored() -> None:
        """Everything acknowledged is there once, and was delivered."""
        jetstream = nats.jetstream(timeout=30)
        for stream, more in (("orders$1", 0), ("web$1", 1)):
            info = await jetstream.stream_info(stream)
            assert info.state.messages == COUNT + more, f"{stream}: lost, or stored twice"
        async with asyncio.timeout(PATIENCE):
            await subscription.wait_for_all(set(range(1, COUNT + 1)))
        assert {int(message.data) for message in subscription.messages} == set(range(COUNT))

    async with aiohttp.ClientSession(f"http://127.0.0.1:{rest.port}") as session:
        login = {"username": "root", "password": "memphis"}
        async with session.post("/auth/authenticate", json=login) as response:
            headers = {"Authorization": f"Bearer {(await response.json())['jwt']}"}

        async def publish_rest(number: int) -> bool:
            ids = {**headers, "msg-id": f"id-{number}"}
            async with session.post("/stations/web/produce/single", json=number, headers=ids) as response:
                return response.status == 200

        assert await publish_rest(-1)
        loads = [Load(), Load()]
        running = [
            asyncio.create_task(load.run(publish))
            for load, publish in zip(loads, (publish_stan, publish_rest), strict=True)
        ]
        for load in loads:
            await load.halfway.wait()
        info = await nats.jetstream(timeout=30).stream_info("orders$1")
        assert info.config.num_replicas == 3
        assert info.cluster is not None
        assert info.cluster.leader is not None
        await asyncio.to_thread(cluster.kill_node, info.cluster.leader)
        await asyncio.gather(*running)
        await check_stored()
        another = next(name for name in NODE_NAMES if name != info.cluster.leader)
        await asyncio.to_thread(cluster.kill_node, another)  # and with it the quorum
        for path, body in (("produce/single", {"n": 1}), ("consume/batch", {"consumer_name": "c"})):
            async with asyncio.timeout(PATIENCE):
                response = await session.post(f"/stations/web/{path}", json=body, headers=headers)
                assert response.status == 503
                assert (await response.json())["success"] is False
        await asyncio.to_thread(cluster.start_node, another)
        async with asyncio.timeout(PATIENCE):
            while not await publish_rest(COUNT):  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.2)

    await rest.stop()
    for copy in copies:
        await copy.stop()
