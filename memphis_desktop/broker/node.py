"""The broker node: listener, accounts and connections on one event loop."""

from __future__ import annotations

import asyncio
import logging
import random
import shutil
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memphis_desktop.broker import authentication, introduction, reports
from memphis_desktop.broker.auth_callout import Question, without_asking
from memphis_desktop.broker.channel import Channel
from memphis_desktop.broker.clock import Clock, LoopClock
from memphis_desktop.broker.compatibility import SERVER_VERSION
from memphis_desktop.broker.connection import ClientConnection
from memphis_desktop.broker.handlers import Turn
from memphis_desktop.broker.key_pairs import NodeKeys
from memphis_desktop.broker.node_accounts import NodeAccounts
from memphis_desktop.broker.node_listeners import NodeListeners
from memphis_desktop.broker.options import (
    BrokerOptions,
    ReloadError,
    StartError,
)
from memphis_desktop.broker.system_events import SystemEvents
from memphis_desktop.broker.system_requests import SystemRequests
from memphis_desktop.protocol.errors import CloseReason

if TYPE_CHECKING:
    from memphis_desktop.broker.contracts import JetStreamService
    from memphis_desktop.broker.store.interface import StoreRoot

log = logging.getLogger(__name__)

# What a reload cannot change.
_FIXED_OPTIONS = (
    "host",
    "port",
    "http_host",
    "http_port",
    "https_host",
    "https_port",
    "memphis_port",
    "rest_port",
    "stations_account",
    "streaming_cluster_id",
    "server_name",
    "jetstream",
    "store_dir",
    "in_memory",
    "sync_always",
    "domain",
    "system_account",
    "auth_callout",
    "proxy_protocol",
)

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


class BrokerNode(NodeListeners, NodeAccounts):
    """A single node that unmodified NATS clients connect to. Implements `contracts.Node`."""

    def __init__(self, options: BrokerOptions, clock: Clock | None = None) -> None:
        NodeListeners.__init__(self, options)
        self.options = options
        self._given_clock = clock
        self.clock: Clock
        self.keys = NodeKeys(needed=options.may_call_out)
        self.server_id = self.keys.server_id
        self.server_name = options.server_name or self.server_id
        self.version = SERVER_VERSION
        self.turn = Turn(self._at_end_of_turn)
        self.authenticator = authentication.Authenticator(options, lambda: self.clock.time_ns() / 1e9)
        NodeAccounts.__init__(self)
        self.system_requests = SystemRequests(self)
        self.system_events = SystemEvents(self)
        self.system_requests.add_account(self.default_account)
        self._login_threads = ThreadPoolExecutor(2, "login")
        self.connections: dict[int, ClientConnection] = {}
        self.closed_connections: deque[ClientConnection] = deque(maxlen=max(options.max_closed_clients, 1))
        self.counters = Counters()
        self.entered = 0  # how deep the loop is in handling a chunk: output is flushed at its end
        self.start_ns = 0
        self.stopping = False
        self.http_requests: dict[str, int] = {}
        self.meter = reports.ResourceMeter()
        self.config_loaded_ns = 0
        self.sync_in_place = False  # set where no window shares the loop; see `store.commit.Pace`
        self.config_digest = ""
        self.max_memory_store = self.max_file_store = 0  # what JetStream may use, once started
        self.jetstream: JetStreamService | None = None
        self._store: StoreRoot | None = None
        self._lame_duck = False
        self.reloader: Callable[[], BrokerOptions] | None = None
        self._dirty: list[Channel] = []
        self._flush_planned = False
        self._next_client_id = 0
        self._event_sequence = 0
        self._recent = (0.0, 0)  # since when how many connections came, for the limit of their rate
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
            self._load_certificates(self.options)
            self._configure_accounts(self.options.accounts)
            for name in self.authenticator.known_accounts():
                self.account(name)
            if self.options.jetstream:
                self._start_jetstream(loop)
            if self.options.http_port or self.options.https_port:
                await self._listen_for_monitoring(loop)
            await self._listen(loop)
        except BaseException:
            await self.stop()
            raise
        self._tick()
        self.system_events.start()

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
                    self.options.store_folder,
                    self.clock,
                    loop,
                    sync_always=self.options.sync_always,
                    sync_in_place=self.sync_in_place,
                )
        except (StorageError, OSError) as error:
            raise StartError(str(error)) from error
        self.jetstream = JetStream(self, self._store)
        if self.options.only_default_account:
            self._enable_jetstream(self.jetstream, self.default_account)
        for account in self.accounts.values():
            if account.options.jetstream is not None:
                self._enable_jetstream(self.jetstream, account)
        self.jetstream.recover()

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
        self._stop_listening()
        if self._ticker is not None:
            self._ticker.cancel()
            self.system_events.stop()
        self._login_threads.shutdown(wait=False)
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

    @property
    def max_payload(self) -> int:
        """The largest message that clients may publish, in bytes."""
        return self.options.max_payload

    def info(self, connection: ClientConnection, *, after_connect: bool = False) -> dict[str, Any]:
        """Return the fields of an INFO line for one connection."""
        return introduction.info_of(self, connection, after_connect=after_connect)

    def server_info(self) -> dict[str, Any]:
        """Return the ``server`` object of events and monitoring answers."""
        return introduction.server_of(self, self._next_event())

    def _next_event(self) -> int:
        self._event_sequence += 1
        return self._event_sequence

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
        if not self._may_connect(now):
            connection.fail(
                "Connection throttling is active. Please try again later.", CloseReason.MAX_CONNECTIONS
            )
            return
        self.connections[connection.client_id] = connection
        first_ping = min(_FIRST_PING, self.options.ping_interval)
        connection.next_ping = now + first_ping * (1 + 0.2 * random.random())
        if not connection.authenticated:
            tls, web = self.options.tls, self.options.websocket
            timeout = self.options.auth_timeout
            if web is not None and connection.client_type == "websocket":
                tls, timeout = web.tls, web.auth_timeout or timeout
            connection.auth_deadline = now + timeout + (tls.timeout + 1 if tls else 0)
        log.debug("%s - Client connection created", connection)

    def _may_connect(self, now: float) -> bool:
        """Count a new connection; return whether it is not one too many in this second."""
        limit = self.options.tls.connection_rate_limit if self.options.tls is not None else 0
        if not limit:
            return True
        start, count = self._recent
        self._recent = (start, count + 1) if now - start < 1 else (now, 1)
        return self._recent[1] <= limit

    def unregister(self, connection: ClientConnection) -> None:
        """A connection was closed, for whatever reason."""
        self.connections.pop(connection.client_id, None)
        slow = connection.close_reason in (CloseReason.SLOW_PENDING, CloseReason.SLOW_WRITE)
        admitted = connection in connection.account.connections
        connection.account.connection_closed(connection, slow=slow)
        if admitted:
            self.system_events.disconnected(connection)
        elif connection.close_reason == CloseReason.AUTHENTICATION_FAILURE:
            self.system_events.refused(connection)
        self.closed_connections.append(connection)
        counters = self.counters
        counters.in_messages += connection.parser.message_count
        counters.in_bytes += connection.parser.payload_bytes
        counters.out_messages += connection.out_messages
        counters.out_bytes += connection.out_bytes
        log.debug("%s - Client connection closed: %s", connection, connection.close_reason)

    def identify(
        self, login: authentication.Login, checked: dict[str, bool]
    ) -> authentication.Outcome | Question:
        """Return as whom a client comes in, or why not.

        Or else what comes before: work to do in a thread and then to call again, or a question to a service.
        """
        if login.given.account or login.given.new_account:  # reserved
            return authentication.REFUSED
        outcome = self.authenticator.identify(login, checked=checked)
        if not isinstance(outcome, (authentication.Identity, authentication.Refusal)):
            return outcome
        rule = self.authenticator.callout_rule(outcome)
        if rule is None:
            return outcome
        if authentication.is_delegated(rule, login, outcome):
            known = outcome if isinstance(outcome, authentication.Identity) else authentication.Identity()
            return Question(self, login, rule, known)
        return without_asking(outcome, rule) if isinstance(outcome, authentication.Identity) else outcome

    def in_thread(self, work: Callable[[], None], done: Callable[[], None]) -> None:
        """Do slow work of a login in a thread and call `done` on the loop."""
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._login_threads, work)
        future.add_done_callback(lambda _: done())

    def admit(
        self, connection: ClientConnection, identity: authentication.Identity
    ) -> authentication.Refusal | None:
        """Put a client into its account; return why not when the account's limits forbid it."""
        account = self.account(identity.account)
        if account is None:
            return authentication.REFUSED
        limit = account.options.max_connections
        if 0 <= limit <= len(account.connections):
            return authentication.Refusal(
                "maximum account active connections exceeded", CloseReason.MAX_ACCOUNT_CONNECTIONS
            )
        connection.become(identity, account)
        return None

    def refuse(self, connection: ClientConnection, refusal: authentication.Refusal) -> None:
        """Refuse a client."""
        log.error(
            "%s - %s",
            connection,
            "authentication error" if refusal == authentication.REFUSED else refusal.text,
        )
        connection.fail(refusal.text, refusal.reason)

    def authentication_failed(self, connection: ClientConnection) -> None:
        """Refuse a client whose credentials are wrong or missing."""
        self.refuse(connection, authentication.REFUSED)

    def client_connected(self, connection: ClientConnection) -> None:
        """A CONNECT was accepted."""
        if connection not in connection.account.connections:
            connection.account.connections.add(connection)
            connection.account.total_connections += 1
            self.system_events.connected(connection)

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
    def has_output(self, connection: Channel) -> None:
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

    # -- reload and lame duck --------------------------------------------------------------------------------
    def reload(self) -> None:
        """Read the options again, from where they came, and apply what may change while running.

        Raises:
            ReloadError: there is no source to read from, it has a mistake, or changes what cannot change.
        """
        if self.reloader is None:
            raise ReloadError("there is no configuration file to reload")
        self.apply_options(self.reloader())
        log.info("Reloaded server configuration")

    def apply_options(self, new: BrokerOptions) -> None:
        """Take users, permissions, limits, accounts and certificates from `new`.

        Raises:
            ReloadError: something else differs; nothing was changed.
        """
        for name in _FIXED_OPTIONS:
            if getattr(new, name) != getattr(self.options, name):
                raise ReloadError(f"the option {name} cannot change without a restart")
        try:
            authenticator = authentication.Authenticator(new, lambda: self.clock.time_ns() / 1e9)
            self._load_certificates(new)
        except StartError as error:
            raise ReloadError(str(error)) from None
        self.options, self.authenticator = new, authenticator
        self.config_loaded_ns = self.clock.time_ns()
        self.default_account.configure(self._default_account_options())
        self._configure_accounts(new.accounts)
        for connection in list(self.connections.values()):
            connection.parser.max_control_line = new.max_control_line
            if connection.authenticated:
                connection.reidentify()

    async def lame_duck(self) -> None:
        """Leave gracefully: no new clients, tell the present ones, close them one by one, then stop."""
        if self.stopping or self._lame_duck:
            return
        self._lame_duck = True
        log.info("Entering lame duck mode, stop accepting new clients")
        self._stop_listening()
        self.system_events.lame_duck()
        if self.jetstream is not None:
            self.jetstream.shutdown()
            self.jetstream = None
        for connection in list(self.connections.values()):
            connection.send_info(ldm=True)
        grace, duration = self.options.lame_duck_grace_period, self.options.lame_duck_duration
        await asyncio.sleep(grace)
        remaining = list(self.connections.values())
        pause = min(max(duration - grace, 0.0) / max(len(remaining), 1), 1.0)
        for connection in remaining:
            connection.close(CloseReason.SERVER_SHUTDOWN)
            await asyncio.sleep(pause)
        log.info("Closing existing clients is complete")

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
