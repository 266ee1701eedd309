"""The stations service of an embedded node: started once the node is ready, ended before it.

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

    async def start(self) -> None:
        """Start the service and open the node's port for Memphis SDKs.

        Raises:
            Failure: The node's default account has no JetStream.
            StartError: The port is taken.
        """
        load = importlib.import_module  # in a thread: it takes a while
        self._connecting = await asyncio.to_thread(load, "memphis_desktop.stations.connecting")
        service = await asyncio.to_thread(load, "memphis_desktop.stations.service")
        directory = await asyncio.to_thread(load, "memphis_desktop.stations.directory")
        url = await self._node.listen_for_service()
        self._client = await self._connecting.open_client([url], {})
        self._service = service.StationsService(self._client)
        await self._service.start()
        self._directory = directory.UserDirectory.beside(self._client, self._node.server_name)
        await self._directory.start()
        await self._node.listen_for_memphis(self._directory)

    async def stop(self) -> None:
        """End the service in order."""
        if self._directory is not None:
            await self._directory.stop()
        if self._service is not None:
            await self._service.stop()
        if self._client is not None:
            await self._connecting.close_client(self._client)
        self._service = self._client = self._directory = None
