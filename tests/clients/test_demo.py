"""The sample stations on a real server: fed, drained, with a dead letter, and removed without a trace."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from urllib.request import urlopen

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext

from memphis_desktop.demo import SampleTraffic, memphis, pricing, stations
from memphis_desktop.server_process import ServerProcess
from memphis_desktop.stations.client import StationsClient
from memphis_desktop.stations.service import StationsService
from tests.conftest import Connect
from tests.waiting import eventually


@pytest.fixture
def sample_traffic(any_server: ServerProcess) -> Iterator[SampleTraffic]:
    traffic = SampleTraffic(any_server.url)
    traffic.start()
    yield traffic
    traffic.stop()


async def until_sample_data(jetstream: JetStreamContext) -> None:
    """Wait until the last of the sample stations has been made and the first has messages."""
    async with asyncio.timeout(60):
        while True:
            found = {info.config.name: info.state.messages for info in await jetstream.streams_info()}
            if all(found.get(name) for name in stations.STREAMS if name != stations.PAYMENTS):
                return
            await asyncio.sleep(0.05)


async def test_a_poison_payment_becomes_a_dead_letter(
    client: Client, jetstream: JetStreamContext, sample_traffic: SampleTraffic
) -> None:
    advisories = await client.subscribe("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>")
    advisory = await advisories.next_msg(timeout=90)
    assert advisory.subject.endswith(f".{stations.PAYMENTS}.{stations.WORKERS}")


async def test_the_slow_group_lags_and_the_others_keep_up(
    jetstream: JetStreamContext, sample_traffic: SampleTraffic
) -> None:
    await until_sample_data(jetstream)
    async with asyncio.timeout(60):
        while True:
            slow = await jetstream.consumer_info(stations.ORDERS, stations.ANALYTICS)
            quick = await jetstream.consumer_info(stations.ORDERS, stations.BILLING)
            if slow.num_pending > 80 and quick.num_pending < 40:
                return
            await asyncio.sleep(0.05)


async def test_removal_leaves_nothing_and_spares_what_is_not_ours(
    any_server: ServerProcess, jetstream: JetStreamContext, sample_traffic: SampleTraffic
) -> None:
    await jetstream.add_stream(name="sample-mine", subjects=["mine"])
    await until_sample_data(jetstream)
    sample_traffic.stop()
    command = [sys.executable, "-m", "memphis_desktop", "sample", "--remove", any_server.url]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [info.config.name for info in await jetstream.streams_info()] == ["sample-mine"]


async def test_the_sample_service_answers_and_ends_with_the_sample_data(
    client: Client, jetstream: JetStreamContext, sample_traffic: SampleTraffic
) -> None:
    await until_sample_data(jetstream)

    async def instances() -> int:
        inbox = await client.subscribe(client.new_inbox())
        await client.publish(f"$SRV.PING.{pricing.NAME}", b"", reply=inbox.subject)
        found = 0
        with contextlib.suppress(TimeoutError):
            while not (await inbox.next_msg(timeout=1)).headers:  # a header says that nobody listens
                found += 1
        await inbox.unsubscribe()
        return found

    assert await eventually(instances, lambda count: count == pricing.INSTANCES)
    quote = await client.request(f"{pricing.NAME}.quote", b'{"product": "atlas", "quantity": 2}')
    assert json.loads(quote.data)["cents"] == 11_200
    await stations.remove_sample_data(client)
    assert await eventually(instances, lambda count: count == 0) == 0


async def test_where_there_is_a_memphis_layer_it_has_a_sample_station(
    nats_server: ServerProcess, connect: Connect
) -> None:
    service = StationsService(await connect(nats_server))
    await service.start()
    traffic = SampleTraffic(nats_server.url)
    memphis_client = StationsClient(await connect(nats_server), username="root")
    try:
        traffic.start()
        async with asyncio.timeout(90):
            while True:
                producers = await memphis_client.producers(memphis.STATION)
                consumers = await memphis_client.consumers(memphis.STATION)
                if len(producers) == 2 and consumers and await memphis_client.dead_letters(memphis.STATION):
                    break
                await asyncio.sleep(0.1)
        station = await memphis_client.station(memphis.STATION)
        assert station is not None
        assert len(station.streams) == 3
        assert station.schema is not None
        await asyncio.to_thread(traffic.stop)
        command = [sys.executable, "-m", "memphis_desktop", "sample", "--remove", nats_server.url]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "sample-shop$1" in done.stdout
        assert await memphis_client.station(memphis.STATION) is None
        assert await memphis_client.schemas() == []
    finally:
        await asyncio.to_thread(traffic.stop)
        await memphis_client.close()
        await service.stop()


async def test_a_users_station_of_the_same_name_is_left_alone(
    nats_server: ServerProcess, connect: Connect
) -> None:
    client: Client = await connect(nats_server)
    await client.jetstream().add_stream(name=stations.ORDERS, subjects=["mine"])
    command = [sys.executable, "-m", "memphis_desktop", "sample", nats_server.url]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "is not sample data" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert len(await client.jetstream().streams_info()) == 1


async def test_a_wrong_address_is_one_line() -> None:
    command = [sys.executable, "-m", "memphis_desktop", "sample", "nats://127.0.0.1:1"]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("memphis-desktop: cannot connect to nats://127.0.0.1:1")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="a process is killed by signal")
async def test_the_clients_end_with_a_killed_parent(nats_server: ServerProcess, connect: Connect) -> None:
    code = (
        "import sys, time; from memphis_desktop.demo import SampleTraffic; "
        "SampleTraffic(sys.argv[1]).start(); time.sleep(600)"
    )
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", code, nats_server.url)
    client: Client = await connect(nats_server)
    try:
        await until_sample_data(client.jetstream())
    finally:
        parent.kill()
        await parent.wait()

    def connections() -> int:
        with urlopen(f"{nats_server.monitoring_url}/connz", timeout=5) as answer:
            return int(json.load(answer)["num_connections"])

    async with asyncio.timeout(60):
        while True:
            if await asyncio.to_thread(connections) == 1:
                return
            await asyncio.sleep(0.05)
