"""The stations service of an embedded node, and the gateways: started once it is ready, ended before it.

The node's process imports neither nats-py nor the service before clients can connect.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memphis_desktop.broker.node import BrokerNode

log = logging.getLogger(__name__)


class NodeStations:
    """The service beside one node, in the same process and over the client protocol."""

    def __init__(self, node: BrokerNode) -> None:
        """Prepare; nothing is imported yet."""
        self._node = node
        self._connecting: Any = None  # modules and objects of packages that are imported late
        self._client: Any = None
        self._service: Any = None
        self._directory: Any = None
        self._gateways: Any = None

    async def start(self) -> None:
        """Start the service and the gateways, and open the node's port for Memphis SDKs.

        Raises:
            Failure: The node's default account has no JetStream, or the REST gateway's port is taken.
            StartError: The port for SDKs is taken.
        """
        load = importlib.import_module  # in a thread: it takes a while
        self._connecting = await asyncio.to_thread(load, "memphis_desktop.stations.connecting")
        service = await asyncio.to_thread(load, "memphis_desktop.stations.service")
        directory = await asyncio.to_thread(load, "memphis_desktop.stations.directory")
        url = await self._node.listen_for_service()
        self._client = await self._connecting.open_client([url], {})
        self._service = service.StationsService(self._client)
        await self._service.start()
        if self._node.options.memphis_port:
            self._directory = directory.UserDirectory.beside(self._client, self._node.server_name)
            await self._directory.start()
            await self._node.listen_for_memphis(self._directory)
        await self._start_gateways()

    async def _start_gateways(self) -> None:
        options = self._node.options
        gateways = await asyncio.to_thread(importlib.import_module, "memphis_desktop.stations.gateways")
        wanted = gateways.GatewayOptions(
            rest_port=options.rest_port,
            rest_host=options.host,
            streaming_cluster=options.streaming_cluster_id,
        )
        if wanted.wanted:
            self._gateways = gateways.Gateways(self._client, wanted)
            await self._gateways.start()
            self._node.rest_port = self._gateways.rest_port

    async def stop(self) -> None:
        """End the gateways and the service in order."""
        if self._gateways is not None:
            await self._gateways.stop()
        if self._directory is not None:
            await self._directory.stop()
        if self._service is not None:
            await self._service.stop()
        if self._client is not None:
            await self._connecting.close_client(self._client)
        self._gateways = self._service = self._client = self._directory = None
