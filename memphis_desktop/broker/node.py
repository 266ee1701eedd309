"""The broker node: listener, accounts and connections on one event loop."""

from __future__ import annotations

import asyncio
import errno
import logging
import random
import shutil
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from memphis_desktop.broker import authentication, monitoring, nkeys, reports
from memphis_desktop.broker.accounts import GLOBAL_ACCOUNT, SYSTEM_ACCOUNT, Account
from memphis_desktop.broker.clock import Clock, LoopClock
from memphis_desktop.broker.connection import ClientConnection
from memphis_desktop.broker.http_server import HttpConnection
from memphis_desktop.broker.jetstream.times import format_time
from memphis_desktop.broker.options import ANY_PORT, BrokerOptions, StartError
from memphis_desktop.broker.routing import Turn
from memphis_desktop.protocol.connect import ConnectOptions
from memphis_desktop.protocol.errors import CloseReason

if TYPE_CHECKING:
    from memphis_desktop.broker.contracts import JetStreamService
    from memphis_desktop.broker.store.interface import StoreRoot

log = logging.getLogger(__name__)

# The nats-server whose behaviour clients find here; they decide on features by it.
SERVER_VERSION = "2.15.1"
API_LEVEL = 5

_TICK = 0.25
_FIRST_PING = 2.0
_CLOSING_TIME = 2.0


@dataclass(slots=True)
class Counters:
    """What happened since the start, over all connections that are closed by now."""

    total_connections: int = 0
    in_messages: int = 0
    in_bytes: int = 0
    out_messages: int = 0
    out_bytes: int = 0
    slow_consumers: int = 0
    stale_connections: int = 0
    stalled_clients: int = 0


@dataclass(frozen=True, slots=True)
class Statistics:
    """A node's traffic: messages and bytes since the start, connections and subscriptions now."""

    connections: int
    subscriptions: int
    in_messages: int
    in_bytes: int
    out_messages: int
    out_bytes: int
    slow_consumers: int


class BrokerNode:
    """A single node that unmodified NATS clients connect to. Implements `contracts.Node`."""

    def __init__(self, options: BrokerOptions, clock: Clock | None = None) -> None:
        self.options = options
        self._given_clock = clock
        self.clock: Clock
        self.server_id = nkeys.new_server_id()
        self.server_name = options.server_name or self.server_id
        self.version = SERVER_VERSION
        self.turn = Turn(self._at_end_of_turn)
        self.default_account = Account(GLOBAL_ACCOUNT, self.turn)
        self._system_account = Account(SYSTEM_ACCOUNT, self.turn)
        self.accounts: dict[str, Account] = {
            GLOBAL_ACCOUNT: self.default_account,
            SYSTEM_ACCOUNT: self._system_account,
        }
        self.connections: dict[int, ClientConnection] = {}
        self.closed_connections: deque[ClientConnection] = deque(maxlen=max(options.max_closed_clients, 1))
        self.counters = Counters()
        self.entered = 0  # how deep the loop is in handling a chunk: output is flushed at its end
        self.start_ns = 0
        self.stopping = False
        self.host, self.port = options.host, 0
        self.monitoring_port = 0
        self.http_requests: dict[str, int] = {}
        self.meter = reports.ResourceMeter()
        self.config_loaded_ns = 0
        self.config_digest = ""
        self.max_memory_store = self.max_file_store = 0  # what JetStream may use, once started
        self.jetstream: JetStreamService | None = None
        self._store: StoreRoot | None = None
        self._server: asyncio.Server | None = None
        self._monitoring: asyncio.Server | None = None
        self._dirty: list[ClientConnection] = []
        self._flush_planned = False
        self._next_client_id = 0
        self._ticker: Any = None

    # -- life ------------------------------------------------------------------------------------------------
    async def start(self) -> None:
        """Open the store and listen.

        Raises:
            StartError: the port is taken, the data folder is not usable, or another node has it open.
        """
        loop = asyncio.get_running_loop()
        self.clock = self._given_clock or LoopClock(loop)
        self.start_ns = self.config_loaded_ns = self.clock.time_ns()
        try:
            if self.options.jetstream:
                self._start_jetstream(loop)
            if self.options.http_port:
                await self._listen_for_monitoring(loop)
            await self._listen(loop)
        except BaseException:
            await self.stop()
            raise
        self._tick()

    def _start_jetstream(self, loop: asyncio.AbstractEventLoop) -> None:
        from memphis_desktop.broker import store
        from memphis_desktop.broker.jetstream.service import JetStream
        from memphis_desktop.broker.store.interface import StorageError

        self.max_memory_store, self.max_file_store = self._store_limits()
        try:
            if self.options.in_memory:
                self._store = store.MemoryRoot(self.clock)
            else:
                self._store = store.open_file_store(
                    self.options.store_folder, self.clock, loop, sync_always=self.options.sync_always
                )
        except (StorageError, OSError) as error:
            raise StartError(str(error)) from error
        self.jetstream = JetStream(self, self._store)
        self.jetstream.enable(self.default_account)
        self.jetstream.recover()

    async def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        self._server, self.port = await self._open(
            loop, lambda: ClientConnection(self), self.host, self.options.port
        )
        log.info("Listening for client connections on %s:%d", self.host, self.port)

    async def _listen_for_monitoring(self, loop: asyncio.AbstractEventLoop) -> None:
        host = self.options.http_host or self.host
        self._monitoring, self.monitoring_port = await self._open(
            loop, lambda: HttpConnection(partial(monitoring.respond, self)), host, self.options.http_port
        )
        log.info("Starting http monitor on %s:%d", host, self.monitoring_port)

    async def _open(
        self, loop: asyncio.AbstractEventLoop, factory: Callable[[], asyncio.Protocol], host: str, port: int
    ) -> tuple[asyncio.Server, int]:
        """Listen; return the listener and its port."""
        try:
            server = await loop.create_server(factory, host, 0 if port == ANY_PORT else port, backlog=1024)
        except OSError as error:
            raise StartError(_listen_failure(host, port, error)) from error
        return server, server.sockets[0].getsockname()[1]

    def _store_limits(self) -> tuple[int, int]:
        """Return what JetStream may use of memory and disk: three quarters of what is there, unless told."""
        memory, storage = self.options.max_memory_store, self.options.max_file_store
        if memory < 0:
            memory = reports.physical_memory() * 3 // 4
        if storage < 0:
            folder = self.options.store_folder
            there = next(path for path in (folder, *folder.parents) if path.exists())
            storage = shutil.disk_usage(there).free * 3 // 4
        return memory, storage

    async def stop(self) -> None:
        """Close the listener and every connection, write out what JetStream holds, and close the store."""
        if self.stopping:
            return
        self.stopping = True
        for server in (self._server, self._monitoring):
            if server is not None:
                server.close()
        if self._ticker is not None:
            self._ticker.cancel()
        if self.jetstream is not None:
            self.jetstream.shutdown()
        for connection in list(self.connections.values()):
            connection.close(CloseReason.SERVER_SHUTDOWN)
        await self._await_closed()
        if self._store is not None:
            self._store.close()

    async def _await_closed(self) -> None:
        """Give peers a moment to take what was written to them, then cut."""
        closing = [connection for connection in self.closed_connections if connection.transport is not None]
        deadline = asyncio.get_running_loop().time() + _CLOSING_TIME
        while closing and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.005)
            closing = [connection for connection in closing if connection.transport is not None]
        for connection in closing:
            if connection.transport is not None:
                connection.transport.abort()

    # -- addresses -------------------------------------------------------------------------------------------
    @property
    def urls(self) -> list[str]:
        """Where clients connect."""
        return [f"nats://{_reachable(self.host)}:{self.port}"]

    def ports(self) -> dict[str, list[str]]:
        """Return the addresses in use by kind, as the ports file lists them."""
        listed = {"nats": self.urls}
        if self.monitoring_port:
            host = _reachable(self.options.http_host or self.host)
            listed["monitoring"] = [f"http://{host}:{self.monitoring_port}"]
        return listed

    @property
    def system_account(self) -> Account:
        """The ``$SYS`` account."""
        return self._system_account

    def info(self, connection: ClientConnection, *, after_connect: bool = False) -> dict[str, Any]:
        """Return the fields of an INFO line for one connection."""
        fields: dict[str, Any] = {
            "server_id": self.server_id,
            "server_name": self.server_name,
            "version": self.version,
            "proto": 1,
            "go": f"python{sys.version_info.major}.{sys.version_info.minor}",
            "host": self.host,
            "port": self.port,
            "headers": True,
            "max_payload": self.options.max_payload,
            "jetstream": self.jetstream is not None,
            "domain": self.options.domain,
            "client_id": connection.client_id,
            "client_ip": connection.address[0],
            "auth_required": self.options.auth_required,
            "api_lvl": API_LEVEL if self.jetstream is not None else None,
        }
        if self.options.client_advertise:
            fields["connect_urls"] = [self.options.client_advertise]
        if after_connect:
            fields["connect_info"] = True
            fields["remote_account"] = connection.account.name
            fields["acc_is_sys"] = connection.account is self._system_account
        return fields

    def server_info(self) -> dict[str, Any]:
        """Return the ``server`` object of events and monitoring answers."""
        described: dict[str, Any] = {"name": self.server_name, "host": self.host, "id": self.server_id}
        if self.options.domain:
            described["domain"] = self.options.domain
        return described | {
            "ver": self.version,
            "jetstream": self.jetstream is not None,
            "flags": 1 if self.jetstream is not None else 0,
            "seq": 0,
            "time": format_time(self.clock.time_ns()),
        }

    # -- connections -----------------------------------------------------------------------------------------
    def register(self, connection: ClientConnection, now: float) -> None:
        """A connection was accepted."""
        self._next_client_id += 1
        connection.client_id = self._next_client_id
        self.counters.total_connections += 1
        limit = self.options.max_connections
        if 0 < limit <= len(self.connections):
            connection.fail("maximum connections exceeded", CloseReason.MAX_CONNECTIONS)
            return
        self.connections[connection.client_id] = connection
        connection.next_ping = now + _FIRST_PING * (1 + 0.2 * random.random())
        if self.options.auth_required:
            connection.auth_deadline = now + self.options.auth_timeout
        log.debug("%s - Client connection created", connection)

    def unregister(self, connection: ClientConnection) -> None:
        """A connection was closed, for whatever reason."""
        self.connections.pop(connection.client_id, None)
        slow = connection.close_reason in (CloseReason.SLOW_PENDING, CloseReason.SLOW_WRITE)
        connection.account.connection_closed(connection, slow=slow)
        self.closed_connections.append(connection)
        counters = self.counters
        counters.in_messages += connection.parser.message_count
        counters.in_bytes += connection.parser.payload_bytes
        counters.out_messages += connection.out_messages
        counters.out_bytes += connection.out_bytes
        log.debug("%s - Client connection closed: %s", connection, connection.close_reason)

    def authenticate(self, connection: ClientConnection, given: ConnectOptions) -> bool:
        """Return whether a client may come in, having put it into its account."""
        if given.account or given.new_account:  # reserved
            return False
        if not authentication.accepts(self.options, given):
            return False
        connection.user_name = given.user if self.options.users else ""
        return True

    def authentication_failed(self, connection: ClientConnection) -> None:
        """Refuse a client."""
        log.error("%s - authentication error", connection)
        connection.fail("Authorization Violation", CloseReason.AUTHENTICATION_FAILURE)

    def client_connected(self, connection: ClientConnection) -> None:
        """A CONNECT was accepted."""
        if connection not in connection.account.connections:
            connection.account.connections.add(connection)
            connection.account.total_connections += 1

    def slow_consumer(self, connection: ClientConnection, reason: str) -> None:
        """Cut off a reader that has fallen too far behind."""
        self.counters.slow_consumers += 1
        if reason == CloseReason.SLOW_PENDING:
            log.info(
                "%s - Slow Consumer Detected: MaxPending of %d Exceeded", connection, self.options.max_pending
            )
        else:
            log.info(
                "%s - Slow Consumer Detected: WriteDeadline of %gs exceeded",
                connection,
                self.options.write_deadline,
            )
        connection.abort(reason)

    # -- turns of the loop -----------------------------------------------------------------------------------
    def has_output(self, connection: ClientConnection) -> None:
        """A connection has something in its out-buffer, which was empty before."""
        self._dirty.append(connection)
        if not self.entered and not self._flush_planned:
            self._flush_planned = True
            self.clock.call_soon(self._planned_flush)

    def _at_end_of_turn(self, callback: Callable[[], None]) -> None:
        def run() -> None:
            self.entered += 1
            try:
                callback()
            finally:
                self.entered -= 1
                self.flush()

        self.clock.call_soon(run)

    def _planned_flush(self) -> None:
        self._flush_planned = False
        self.flush()

    def flush(self) -> None:
        """Write out what this turn has put into connections' buffers: one write per connection."""
        if self._dirty:
            dirty, self._dirty = self._dirty, []
            for connection in dirty:
                connection.flush()

    def _tick(self) -> None:
        now = self.clock.monotonic()
        for connection in list(self.connections.values()):
            connection.tick(now)
        self._ticker = self.clock.call_later(_TICK, self._tick)

    # -- figures ---------------------------------------------------------------------------------------------
    def statistics(self) -> Statistics:
        """Return the node's traffic figures."""
        counters = self.counters
        live = list(self.connections.values())
        return Statistics(
            connections=len(live),
            subscriptions=sum(account.router.count for account in self.accounts.values()),
            in_messages=counters.in_messages + sum(one.parser.message_count for one in live),
            in_bytes=counters.in_bytes + sum(one.parser.payload_bytes for one in live),
            out_messages=counters.out_messages + sum(one.out_messages for one in live),
            out_bytes=counters.out_bytes + sum(one.out_bytes for one in live),
            slow_consumers=counters.slow_consumers,
        )


def _reachable(host: str) -> str:
    """Return how to reach a listener from this machine."""
    if host in ("0.0.0.0", "", "::"):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _listen_failure(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is taken by another program"
    if error.errno == errno.EACCES:
        return f"the system does not allow listening on port {port} of {host}"
    return f"cannot listen on {host}:{port}: {error.strerror or error}"
