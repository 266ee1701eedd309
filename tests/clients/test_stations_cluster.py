"""The stations service beside three nats-servers: all is kept three times, and a lost server is borne."""

from __future__ import annotations

import asyncio

from memphis_desktop.cluster.lab import LocalCluster
from memphis_desktop.stations.client import StationsClient
from memphis_desktop.stations.connecting import close_client, open_client
from memphis_desktop.stations.service import StationsService
from tests.clients.test_stations_service import ask, creation
from tests.waiting import until


async def test_a_server_is_lost(three_node_cluster: LocalCluster) -> None:
    urls = list(three_node_cluster.urls)
    connections = [await open_client([url], {}) for url in urls[:2]]
    connections.append(await open_client(urls[:2], {}))
    services = [StationsService(connection) for connection in connections[:2]]
    try:
        await asyncio.gather(*(service.start() for service in services))
        client = StationsClient(connections[2])
        metadata = client.metadata
        assert await metadata.replicas() == 3
        body = creation("s", replicas=2, partitions_number=2)
        assert await ask(connections[2], "$memphis_station_creations", **body) == b""
        station = await client.station("s")
        assert station is not None
        assert station.replicas == 3  # two can not vote
        info = await metadata.jetstream.stream_info("s$2")
        assert info is not None
        assert info["config"]["num_replicas"] == 3
        await asyncio.to_thread(three_node_cluster.kill_node, "n3")

        async def made() -> bool:  # while leaders are elected requests may fail, as they do for SDKs
            body = creation("after", replicas=3)
            return await ask(connections[2], "$memphis_station_creations", **body) == b""

        await until(made)
        assert [each.name for each in await client.stations()] == ["after", "s"]
    finally:
        for service in services:
            await service.stop()
        for connection in connections:
            await close_client(connection)
