"""Where a node listens: clients, WebSocket, monitoring, Memphis SDKs, its own services."""

from __future__ import annotations

import asyncio
import errno
import logging
import secrets
import socket
import ssl
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, cast

from memphis_desktop.broker import monitoring
from memphis_desktop.broker.connection import ClientConnection
from memphis_desktop.broker.http_server import HttpConnection
from memphis_desktop.broker.layers import tls_context
from memphis_desktop.broker.memphis import MemphisConnection
from memphis_desktop.broker.options import ANY_PORT, BrokerOptions, StartError, TlsOptions
from memphis_desktop.broker.proxied_connection import ProxiedConnection
from memphis_desktop.broker.service_connection import ServiceConnection

if TYPE_CHECKING:
    from memphis_desktop.broker.node import BrokerNode
    from memphis_desktop.protocol.memphis import Directory

log = logging.getLogger(__name__)

# Hosts that stand for every address of the machine, of either version of IP.
_EVERYWHERE = ("0.0.0.0", "", "::")


class NodeListeners:
    """The part of a node that listens. Ports are 0 where it does not."""

    options: BrokerOptions

    def __init__(self, options: BrokerOptions) -> None:
        self.host, self.port = options.host, 0
        self.monitoring_port = 0
        self.secure_monitoring_port = 0
        self.websocket_port = 0
        self.memphis_port = 0
        self.rest_port = 0  # set by what runs the REST gateway
        self._tls_contexts: dict[TlsOptions, ssl.SSLContext] = {}
        self._listeners: list[asyncio.Server] = []

    @property
    def _node(self) -> BrokerNode:
        return cast("BrokerNode", self)

    # -- opening ---------------------------------------------------------------------------------------------
    async def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        self.port = await self._open(loop, self._client, self.host, self.options.port)
        log.info("Listening for client connections on %s:%d", self.host, self.port)
        if self.options.proxy_protocol:
            log.info("PROXY protocol enabled for client connections")
        web = self.options.websocket
        if web is not None and web.port:
            host = web.host or self.host
            self.websocket_port = await self._open(
                loop, lambda: ClientConnection(self._node, web), host, web.port
            )
            scheme = "wss" if web.tls is not None else "ws"
            log.info("Listening for websocket clients on %s://%s:%d", scheme, host, self.websocket_port)

    def _client(self) -> asyncio.Protocol:
        client = ClientConnection(self._node)
        return ProxiedConnection(client) if self.options.proxy_protocol else client

    async def listen_for_memphis(self, directory: Directory, port: int | None = None) -> None:
        """Let Memphis SDKs in, once somebody knows their users: on the port of the options, or on `port`.

        Raises:
            StartError: the port is taken.
        """
        self.memphis_port = await self._open(
            asyncio.get_running_loop(),
            lambda: MemphisConnection(self._node, directory),
            self.host,
            self.options.memphis_port if port is None else port,
        )
        log.info("Listening for Memphis clients on %s:%d", self.host, self.memphis_port)

    async def listen_for_service(self) -> str:
        """Let in a service of this same process, over loopback, as nobody else can; returns its URL.

        It comes into the account that stations live in and may do everything there, whatever users the
        options name.
        """
        token = secrets.token_urlsafe(32)
        port = await self._open(
            asyncio.get_running_loop(), lambda: ServiceConnection(self._node, token), "127.0.0.1", ANY_PORT
        )
        return f"nats://{token}@127.0.0.1:{port}"

    async def _listen_for_monitoring(self, loop: asyncio.AbstractEventLoop) -> None:
        options = self.options

        def connection() -> HttpConnection:
            return HttpConnection(partial(monitoring.respond, self._node))

        if options.http_port:
            host = options.http_host or self.host
            self.monitoring_port = await self._open(loop, connection, host, options.http_port)
            log.info("Starting http monitor on %s:%d", host, self.monitoring_port)
        if options.https_port:
            if options.tls is None:
                raise StartError("https requires TLS configuration")
            host = options.https_host or self.host
            context = self.tls_context(replace(options.tls, verify=False, verify_and_map=False))
            self.secure_monitoring_port = await self._open(
                loop, connection, host, options.https_port, context
            )
            log.info("Starting https monitor on %s:%d", host, self.secure_monitoring_port)

    async def _open(
        self,
        loop: asyncio.AbstractEventLoop,
        factory: Callable[[], asyncio.Protocol],
        host: str,
        port: int,
        context: ssl.SSLContext | None = None,
    ) -> int:
        """Listen; return the port."""
        number = 0 if port == ANY_PORT else port
        try:
            if host in _EVERYWHERE and socket.has_dualstack_ipv6():
                both = socket.create_server(
                    ("::", number), family=socket.AF_INET6, backlog=1024, dualstack_ipv6=True
                )
                server = await loop.create_server(factory, sock=both, backlog=1024, ssl=context)
            else:
                server = await loop.create_server(factory, host, number, backlog=1024, ssl=context)
        except OSError as error:
            raise StartError(_listen_failure(host, port, error)) from error
        self._listeners.append(server)
        port = server.sockets[0].getsockname()[1]
        assert isinstance(port, int)
        return port

    def _stop_listening(self) -> None:
        for server in self._listeners:
            server.close()

    # -- addresses -------------------------------------------------------------------------------------------
    @property
    def urls(self) -> list[str]:
        """Where clients connect."""
        return [f"nats://{_reachable(self.host)}:{self.port}"]

    def ports(self) -> dict[str, list[str]]:
        """Return the addresses in use by kind, as the ports file lists them."""
        listed = {"nats": self.urls}
        web = self.options.websocket
        if self.websocket_port and web is not None:
            scheme = "wss" if web.tls is not None else "ws"
            listed["websocket"] = [f"{scheme}://{_reachable(web.host or self.host)}:{self.websocket_port}"]
        if self.memphis_port:
            listed["memphis"] = [f"nats://{_reachable(self.host)}:{self.memphis_port}"]
        if self.rest_port:
            listed["rest"] = [f"http://{_reachable(self.host)}:{self.rest_port}"]
        if self.monitoring_port:
            host = _reachable(self.options.http_host or self.host)
            listed["monitoring"] = [f"http://{host}:{self.monitoring_port}"]
        if self.secure_monitoring_port:
            host = _reachable(self.options.https_host or self.host)
            listed.setdefault("monitoring", []).append(f"https://{host}:{self.secure_monitoring_port}")
        return listed

    @property
    def public_host(self) -> str:
        """The host that clients are told."""
        return self.options.advertised[0] if self.options.advertised else self.host

    @property
    def public_port(self) -> int:
        """The port that clients are told."""
        return (self.options.advertised[1] if self.options.advertised else 0) or self.port

    # -- TLS ---------------------------------------------------------------------------------------------
    def tls_context(self, options: TlsOptions) -> ssl.SSLContext:
        """Return the context for these options, loaded once; raises StartError when that cannot be done."""
        context = self._tls_contexts.get(options)
        if context is None:
            context = self._tls_contexts[options] = tls_context(options)
        return context

    def _load_certificates(self, options: BrokerOptions) -> None:
        """Load all certificates anew, so that mistakes show at once and a reload takes renewed files."""
        web = options.websocket
        wanted = [options.tls, web.tls if web is not None else None]
        self._tls_contexts = {one: tls_context(one) for one in wanted if one is not None}


def _reachable(host: str) -> str:
    """Return how to reach a listener from this machine."""
    if host in _EVERYWHERE:
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _listen_failure(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is taken by another program"
    if error.errno == errno.EACCES:
        return f"the system does not allow listening on port {port} of {host}"
    return f"cannot listen on {host}:{port}: {error.strerror or error}"
