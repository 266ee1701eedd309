"""The listener of the front door."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import secrets
import ssl
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from memphis_desktop.protocol.memphis import AUTHORIZATION_VIOLATION, SERVER_NAME, SERVER_VERSION, Directory
from memphis_desktop.stations.errors import StationsError
from memphis_desktop.stations.front_door.session import ClientSession
from memphis_desktop.stations.front_door.upstream import Cluster

log = logging.getLogger(__name__)

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 6666
ANY_PORT = -1

_LOOK = 0.5  # seconds between two looks at whose rights have changed
_LOGIN_TIMEOUT = 6.0
_MAX_CONNECTIONS = 10_000
_CLOSING_TIME = 2.0
_FEATURES_SINCE = (2, 10)


class FrontDoor:
    """Takes Memphis SDKs and connects them through to the cluster.

    Attributes:
        directory: who may log in; None until the users are known, and nobody is let in.
        cluster: where sessions are opened.
        port: where it listens, once it does.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        host: str = DEFAULT_HOST,
        port: int = DEFAULT_PORT,
        tls: ssl.SSLContext | None = None,
        max_connections: int = _MAX_CONNECTIONS,
        login_timeout: float = _LOGIN_TIMEOUT,
    ) -> None:
        """Prepare; nothing listens yet.

        Args:
            cluster: The servers behind the door.
            host: The address to listen on.
            port: The port; -1 for any free one.
            tls: What clients have to secure their connections with, if at all.
            max_connections: How many clients there may be at once.
            login_timeout: Seconds from the connection until the client has to be let in.
        """
        self.cluster = cluster
        self.directory: Directory | None = None
        self.host, self.port = host, 0
        self.tls = tls
        self.login_timeout = login_timeout
        self.login_threads = ThreadPoolExecutor(2, "login")
        self._wanted_port = port
        self._max_connections = max_connections
        self._server: asyncio.Server | None = None
        self._sessions: set[ClientSession] = set()
        self._server_id = secrets.token_hex(28).upper()
        self._next_number = 0
        self._empty = asyncio.Event()
        self._looker: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            StationsError: The port is taken or not allowed.
        """
        loop = asyncio.get_running_loop()
        port = 0 if self._wanted_port == ANY_PORT else self._wanted_port
        try:
            self._server = await loop.create_server(
                lambda: ClientSession(self), self.host, port, backlog=1024
            )
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise StationsError(f"port {port} on {self.host} is taken by another program") from error
            raise StationsError(f"cannot listen on {self.host}:{port}: {error.strerror or error}") from error
        self.port = self._server.sockets[0].getsockname()[1]
        self._look()
        log.info("Front door: listening for Memphis clients on %s:%d", self.host, self.port)

    async def stop(self) -> None:
        """Close the door and every connection through it."""
        if self._server is not None:
            self._server.close()
        if self._looker is not None:
            self._looker.cancel()
        for session in list(self._sessions):
            session.close()
        self._note_emptiness()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSING_TIME):
                await self._empty.wait()
        for session in list(self._sessions):
            session.abort()
        self.login_threads.shutdown(wait=False)

    # -- sessions --------------------------------------------------------------------------------------------
    def enter(self, session: ClientSession) -> bool:
        """Note a client that has come; False when there are too many."""
        self._next_number += 1
        session.number = self._next_number
        if len(self._sessions) >= self._max_connections:
            return False
        self._sessions.add(session)
        self._empty.clear()
        return True

    def leave(self, session: ClientSession) -> None:
        """Forget a client whose connection has ended."""
        self._sessions.discard(session)
        self._note_emptiness()

    def _note_emptiness(self) -> None:
        if not self._sessions:
            self._empty.set()

    @property
    def connections(self) -> int:
        """How many clients there are."""
        return len(self._sessions)

    def info(self, session: ClientSession) -> dict[str, Any]:
        """Return what the greeting says."""
        behind = self.cluster.info
        return {
            "server_id": self._server_id,
            "server_name": SERVER_NAME,
            "version": _version(str(behind.get("version") or "")),
            "proto": 1,
            "go": str(behind.get("go") or "go"),
            "host": self.host,
            "port": self.port,
            "headers": True,
            "auth_required": True,
            "tls_required": self.tls is not None,
            "max_payload": int(behind.get("max_payload") or 1 << 20),
            "jetstream": True,
            "client_id": session.number,
            "client_ip": session.address,
        }

    def _look(self) -> None:
        """End connections of users who are gone or have other rights now."""
        for session in list(self._sessions):
            access = session.access
            if access is not None and access.revoked:
                session.refuse(AUTHORIZATION_VIOLATION)
            elif access is not None and access.outdated:
                session.close()
        self._looker = asyncio.get_running_loop().call_later(_LOOK, self._look)


def _version(text: str) -> str:
    """Return the version of the servers behind, unless SDKs would find it too old to use all they need."""
    try:
        major, minor = (int(part) for part in text.split(".")[:2])
    except ValueError:
        return SERVER_VERSION
    return text if (major, minor) >= _FEATURES_SINCE else SERVER_VERSION
