"""The gateways that were asked for, started and stopped together on one connection."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nats.aio.client import Client

from memphis_desktop.errors import Failure
from memphis_desktop.stations.rest.options import DEFAULT_HOST, RestOptions
from memphis_desktop.stations.streaming.options import StreamingOptions

if TYPE_CHECKING:
    from memphis_desktop.stations.rest.gateway import RestGateway
    from memphis_desktop.stations.streaming.gateway import StreamingGateway

log = logging.getLogger(__name__)

SECRET_VARIABLE, REFRESH_SECRET_VARIABLE = "JWT_SECRET", "REFRESH_JWT_SECRET"  # as in Memphis
ANY_PORT = -1


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """Which gateways run, and how.

    Attributes:
        rest_port: The port of the REST gateway; -1 for a free one, 0 for no REST gateway.
        rest_host: Where it listens; loopback when empty.
        streaming_cluster: The cluster id of the NATS Streaming gateway; empty for none.
        environment: Where secrets for tokens are looked up.
    """

    rest_port: int = 0
    rest_host: str = ""
    streaming_cluster: str = ""
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def __post_init__(self) -> None:
        """Check everything; raises `Failure` for what cannot be."""
        if not ANY_PORT <= self.rest_port <= 65_535:
            raise Failure(f"{self.rest_port} is no port")
        if self.wanted:
            self.rest()
            self.streaming()

    @property
    def wanted(self) -> bool:
        """Whether there is any gateway to run."""
        return bool(self.rest_port or self.streaming_cluster)

    def rest(self) -> RestOptions | None:
        """Return the settings of the REST gateway; None when it shall not run."""
        if not self.rest_port:
            return None
        return RestOptions(
            host=self.rest_host or DEFAULT_HOST,
            port=max(self.rest_port, 0),
            jwt_secret=self.environment.get(SECRET_VARIABLE, ""),
            refresh_jwt_secret=self.environment.get(REFRESH_SECRET_VARIABLE, ""),
        )

    def streaming(self) -> StreamingOptions | None:
        """Return the settings of the NATS Streaming gateway; None when it shall not run."""
        return StreamingOptions(cluster=self.streaming_cluster) if self.streaming_cluster else None


class Gateways:
    """The gateways beside one copy of the stations service."""

    def __init__(self, client: Client, options: GatewayOptions) -> None:
        """Prepare; `client` is the service's connection."""
        self._client = client
        self._options = options
        self._rest: RestGateway | None = None
        self._streaming: StreamingGateway | None = None

    @property
    def rest_port(self) -> int:
        """Where the REST gateway listens; 0 when it does not run."""
        return self._rest.port if self._rest is not None else 0

    async def start(self) -> None:
        """Start them, once the service has made its buckets.

        Raises:
            Failure: A port is taken, or JetStream does not answer.
        """
        rest, streaming = self._options.rest(), self._options.streaming()
        if rest is not None:
            from memphis_desktop.stations.rest.gateway import RestGateway

            self._rest = RestGateway(self._client, rest)
            await self._rest.start()
        if streaming is not None:
            from memphis_desktop.stations.streaming.gateway import StreamingGateway

            self._streaming = StreamingGateway(self._client, streaming)
            await self._streaming.start()

    async def stop(self) -> None:
        """Finish what is under way, and end them."""
        async with contextlib.AsyncExitStack() as stack:
            if self._rest is not None:
                stack.push_async_callback(self._rest.stop)
            if self._streaming is not None:
                stack.push_async_callback(self._streaming.stop)
        self._rest = self._streaming = None
