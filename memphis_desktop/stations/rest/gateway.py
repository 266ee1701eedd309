"""The REST gateway from outside: start it, stop it."""

from __future__ import annotations

import contextlib
import logging

from nats.aio.client import Client

from memphis_desktop.protocol.memphis import Session
from memphis_desktop.stations.control.routes import Context
from memphis_desktop.stations.metadata import Metadata, new_id
from memphis_desktop.stations.presence import Presence
from memphis_desktop.stations.rest.consuming import Consuming
from memphis_desktop.stations.rest.logins import Logins
from memphis_desktop.stations.rest.options import RestOptions
from memphis_desktop.stations.rest.producing import Producing
from memphis_desktop.stations.rest.server import RestServer
from memphis_desktop.stations.rest.signing import shared_secret
from memphis_desktop.stations.rest.stations import Stations
from memphis_desktop.stations.rest.tokens import Tokens
from memphis_desktop.stations.users import StoredUsers, make_root

log = logging.getLogger(__name__)


class RestGateway:
    """One copy of the gateway, on a connection that its caller opened and closes."""

    def __init__(self, client: Client, options: RestOptions | None = None) -> None:
        """Prepare a copy.

        Args:
            client: A connection that may use JetStream and subjects that begin with ``$memphis``.
            options: Its settings.
        """
        self.options = options or RestOptions()
        metadata = Metadata(client)
        self.context = Context(client, metadata, StoredUsers(metadata))
        self._session = Session(1, new_id(), "", "rest-gateway")
        self._presence = Presence(client, f"rest-gateway-{self._session.connection_id}")
        self._logins = Logins(metadata)
        self._stations = Stations(self.context, self._session.connection_id)
        self._consuming = Consuming(client)
        self._server: RestServer | None = None

    @property
    def port(self) -> int:
        """The port it listens on; 0 while it does not."""
        return self._server.port if self._server is not None else 0

    async def start(self) -> None:
        """Make what is missing in the buckets, and listen.

        Raises:
            StationsError: The account has no JetStream, or it does not answer.
            Failure: The port is taken.
        """
        metadata = self.context.metadata
        replicas = await metadata.replicas() or 1
        self.context.replicas = replicas
        await metadata.create(replicas)
        await make_root(metadata)
        tokens = await self._make_tokens(replicas)
        await self._logins.start()
        await self._stations.start()
        self._presence.start()
        self._presence.connected(self._session)
        producing = Producing(self.context, self._session.connection_id)
        self._server = RestServer(
            self.options, tokens, self._logins, self._stations, producing, self._consuming
        )
        await self._server.start()
        log.info("Listening for REST requests on %s:%d", self.options.host, self._server.port)

    async def _make_tokens(self, replicas: int) -> Tokens:
        jetstream, options = self.context.jetstream, self.options
        secret = options.jwt_secret or await shared_secret(jetstream, "jwt_secret", replicas)
        refresh = options.refresh_jwt_secret or await shared_secret(jetstream, "refresh_jwt_secret", replicas)
        return Tokens(secret, refresh, options.jwt_minutes, options.refresh_minutes)

    async def stop(self) -> None:
        """Finish the requests under way, and end."""
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self.context.schemas.close)
            stack.push_async_callback(self._presence.stop)
            stack.push_async_callback(self._stations.stop)
            stack.push_async_callback(self._logins.stop)
            stack.push_async_callback(self._consuming.stop)
            if self._server is not None:
                self._presence.disconnected(self._session)
                stack.push_async_callback(self._server.stop)
