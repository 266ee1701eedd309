"""The stations service of an embedded node, and the gateways: started once it is ready, ended before it.

The node's process imports neither nats-py nor the service before clients can connect.
"""

from __future__ import annotations

import asyncio
import errno
import importlib
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

from memphis_desktop.broker.options import StartError
from memphis_desktop.errors import Failure

if TYPE_CHECKING:
    from memphis_desktop.broker.node import BrokerNode

log = logging.getLogger(__name__)


class NodeStations:
    """The service beside one node, in the same process and over the client protocol."""

    def __init__(self, node: BrokerNode, *, tolerant: bool = False, spare_ports: int = 0) -> None:
        """Prepare; nothing is imported yet.

        Args:
            node: The node to serve.
            tolerant: Whether to go on without what does not work, and note it in `failures`.
            spare_ports: How many ports after one that is taken are tried instead of it.
        """
        self._spare_ports = spare_ports
        self.failures: list[str] = []
        self.streaming_cluster = ""  # under which NATS Streaming clients are served
        self._node = node
        self._tolerant = tolerant
        self._connecting: Any = None  # modules and objects of packages that are imported late
        self._client: Any = None
        self._service: Any = None
        self._directory: Any = None
        self._gateways: list[Any] = []

    async def start(self) -> None:
        """Start the service and the gateways, and open the node's port for Memphis SDKs.

        Raises:
            Failure: The node's default account has no JetStream, or the REST gateway's port is taken.
            StartError: The port for SDKs is taken.
        """
        await self._attempt("The Memphis layer", self._start())

    async def _attempt(self, what: str, action: Coroutine[Any, Any, None]) -> None:
        """Do something that may fail without harm to the rest, where that is wanted."""
        try:
            await action
        except (Failure, StartError) as error:
            if not self._tolerant:
                raise
            self.failures.append(f"{what} does not work: {error}")

    async def _start(self) -> None:
        load = importlib.import_module  # in a thread: it takes a while
        self._connecting = await asyncio.to_thread(load, "memphis_desktop.stations.connecting")
        service = await asyncio.to_thread(load, "memphis_desktop.stations.service")
        directory = await asyncio.to_thread(load, "memphis_desktop.stations.directory")
        url = await self._node.listen_for_service()
        self._client = await self._connecting.open_client([url], {})
        self._service = service.StationsService(self._client)
        await self._service.start()
        options = self._node.options
        if options.memphis_port:
            self._directory = directory.UserDirectory.beside(self._client, self._node.server_name)
            await self._attempt("The port for Memphis SDKs", self._listen_for_memphis())
        if options.rest_port:
            await self._attempt(
                "The REST gateway",
                self._on_free_port(
                    options.rest_port,
                    lambda port: self._start_gateway(rest_port=port, rest_host=options.host),
                ),
            )
        if options.streaming_cluster_id:
            await self._attempt(
                "The gateway for NATS Streaming",
                self._start_gateway(streaming_cluster=options.streaming_cluster_id),
            )

    async def _on_free_port(self, wanted: int, open_: Callable[[int], Coroutine[Any, Any, None]]) -> None:
        """Open a port, or the next that is free: that it can be bound is the only sure sign that it is.

        Looking first would not do, for another program may take it between the look and the opening.
        """
        for port in range(wanted, min(wanted + self._spare_ports, 65_535) + 1):
            try:
                await open_(port)
            except (Failure, StartError) as error:
                if not _is_taken(error) or port - wanted >= self._spare_ports or wanted <= 0:
                    raise
            else:
                return

    async def _listen_for_memphis(self) -> None:
        await self._directory.start()
        await self._on_free_port(
            self._node.options.memphis_port, partial(self._node.listen_for_memphis, self._directory)
        )

    async def _start_gateway(self, **options: Any) -> None:
        gateways = await asyncio.to_thread(importlib.import_module, "memphis_desktop.stations.gateways")
        gateway = gateways.Gateways(self._client, gateways.GatewayOptions(**options))
        self._gateways.append(gateway)
        try:
            await gateway.start()
        except Failure:
            self._gateways.remove(gateway)
            await gateway.stop()
            raise
        self._node.rest_port = self._node.rest_port or gateway.rest_port
        self.streaming_cluster = options.get("streaming_cluster", "") or self.streaming_cluster

    async def stop(self) -> None:
        """End the gateways and the service in order."""
        self._node.rest_port, self.streaming_cluster = 0, ""
        for gateway in self._gateways:
            await gateway.stop()
        if self._directory is not None:
            await self._directory.stop()
        if self._service is not None:
            await self._service.stop()
        if self._client is not None:
            await self._connecting.close_client(self._client)
        self._service = self._client = self._directory = None
        self._gateways = []


def _is_taken(error: BaseException) -> bool:
    cause = error.__cause__ or error.__context__
    return isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE
