"""The front door with what it needs: a connection of its own, over which it follows the users."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nats.aio.client import Client

from memphis_desktop.stations.access import ROOT
from memphis_desktop.stations.connecting import close_client, open_client
from memphis_desktop.stations.directory import UserDirectory
from memphis_desktop.stations.errors import StationsError
from memphis_desktop.stations.front_door.door import DEFAULT_HOST, DEFAULT_PORT, FrontDoor
from memphis_desktop.stations.front_door.pulls import PullKeeper
from memphis_desktop.stations.front_door.upstream import Cluster
from memphis_desktop.stations.logins import PasswordCheck
from memphis_desktop.stations.metadata import Metadata
from memphis_desktop.stations.tasks import end_task
from memphis_desktop.stations.users import DEFAULT_PASSWORD

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DoorOptions:
    """Where a front door listens: address, port (-1 for any free one), and TLS that clients have to use."""

    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    tls: ssl.SSLContext | None = None


class FrontDoorService:
    """One copy of the front door. Any number may run beside a cluster."""

    def __init__(self, urls: Sequence[str], options: dict[str, Any], listen: DoorOptions) -> None:
        """Prepare; nothing listens yet.

        Args:
            urls: The servers of the cluster.
            options: Credentials and TLS towards them, as nats-py takes them.
            listen: Where clients come to.

        Raises:
            StationsError: An address or a file is not usable.
        """
        self._urls, self._options = list(urls), dict(options)
        cluster = Cluster(urls, self._options)
        self.door = FrontDoor(cluster, host=listen.host, port=listen.port, tls=listen.tls)
        self._client: Client | None = None
        self._directory: UserDirectory | None = None
        self._pulls: PullKeeper | None = None
        self._supplier: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen. Clients are let in once the users could be read, and are told so before.

        Raises:
            StationsError: The port is taken.
        """
        await self.door.start()
        self._supplier = asyncio.get_running_loop().create_task(self._supply())

    async def wait(self) -> None:
        """Wait until the users could be read.

        Raises:
            StationsError: The cluster refuses the front door's own login.
        """
        assert self._supplier is not None
        await asyncio.shield(self._supplier)

    async def stop(self) -> None:
        """Close every connection through the door, tell of it, and end."""
        supplier, self._supplier = self._supplier, None
        await end_task(supplier)
        await self.door.stop()
        if self._pulls is not None:
            await self._pulls.stop()
        if self._directory is not None:
            await self._directory.stop()
        if self._client is not None:
            await close_client(self._client)
        self._directory = self._client = self._pulls = None

    async def _supply(self) -> None:
        """Connect to the cluster, read the users, and let clients in."""
        self._client = await open_client(self._urls, self._options)
        name = f"front door {socket.gethostname()}:{self.door.port}"
        self._directory = UserDirectory.beside(self._client, name)
        while True:
            try:
                await self._directory.start()
                break
            except StationsError as error:
                log.warning("Front door: %s; is the stations service running?", error)
        self._pulls = PullKeeper(Metadata(self._client), self.door.cluster)
        self._pulls.start()
        self.door.directory = self._directory
        await self._warn_of_defaults(Metadata(self._client))
        log.info("Front door: ready")

    async def _warn_of_defaults(self, metadata: Metadata) -> None:
        """Say so when others than this machine could log in with a password that everybody knows."""
        if _is_loopback(self.door.host):
            return
        with contextlib.suppress(StationsError):
            root = await metadata.users.find(ROOT)
            if root is not None and await asyncio.to_thread(
                PasswordCheck().matches, root.password_hash, DEFAULT_PASSWORD
            ):
                log.warning("Front door: root still has the password that every Memphis begins with")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
