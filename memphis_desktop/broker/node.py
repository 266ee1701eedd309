"""The broker node: listener, accounts and connections on one event loop."""

from __future__ import annotations

import asyncio
import errno
import logging
import random
import secrets
import shutil
import socket
import ssl
import sys
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from memphis_desktop.broker import authentication, monitoring, reports
from memphis_desktop.broker.accounts import Account
from memphis_desktop.broker.auth_callout import Question, without_asking
from memphis_desktop.broker.channel import Channel
from memphis_desktop.broker.clock import Clock, LoopClock
from memphis_desktop.broker.compatibility import API_LEVEL, FEATURE_FLAGS, SERVER_VERSION
from memphis_desktop.broker.connection import ClientConnection
from memphis_desktop.broker.http_server import HttpConnection
from memphis_desktop.broker.jetstream.times import format_time
from memphis_desktop.broker.key_pairs import NodeKeys
from memphis_desktop.broker.layers import tls_context
from memphis_desktop.broker.memphis import MemphisConnection
from memphis_desktop.broker.options import (
    ANY_PORT,
    GLOBAL_ACCOUNT,
    SYSTEM_ACCOUNT,
    AccountOptions,
    BrokerOptions,
    JetStreamAccountLimits,
    ReloadError,
    StartError,
    TlsOptions,
)
from memphis_desktop.broker.routing import Turn
from memphis_desktop.broker.service_connection import ServiceConnection
from memphis_desktop.broker.subject_mapping import mappings_to_domain
from memphis_desktop.broker.system_events import SystemEvents
from memphis_desktop.broker.system_requests import SystemRequests
from memphis_desktop.protocol.errors import CloseReason

if TYPE_CHECKING:
    from memphis_desktop.broker.contracts import JetStreamService
    from memphis_desktop.broker.store.interface import StoreRoot
    from memphis_desktop.protocol.memphis import Directory

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
)

# Hosts that stand for every address of the machine, of either version of IP.
_EVERYWHERE = ("0.0.0.0", "", "::")

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
        self.keys = NodeKeys(needed=options.may_call_out)
        self.server_id = self.keys.server_id
        self.server_name = options.server_name or self.server_id
        self.version = SERVER_VERSION
        self.turn = Turn(self._at_end_of_turn)
        self.authenticator = authentication.Authenticator(options, lambda: self.clock.time_ns() / 1e9)
        self.default_account = Account(GLOBAL_ACCOUNT, self.turn, self._default_account_options())
        self._system_account = Account(self.authenticator.system_account or SYSTEM_ACCOUNT, self.turn)
        self.accounts: dict[str, Account] = {
            GLOBAL_ACCOUNT: self.default_account,
            self._system_account.name: self._system_account,
        }
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
        self.host, self.port = options.host, 0
        self.monitoring_port = 0
        self.secure_monitoring_port = 0
        self.websocket_port = 0
        self.memphis_port = 0
        self.rest_port = 0  # set by what runs the REST gateway
        self._tls_contexts: dict[TlsOptions, ssl.SSLContext] = {}
        self.http_requests: dict[str, int] = {}
        self.meter = reports.ResourceMeter()
        self.config_loaded_ns = 0
        self.sync_in_place = False  # set where no window shares the loop; see `store.commit.Pace`
        self.config_digest = ""
        self.max_memory_store = self.max_file_store = 0  # what JetStream may use, once started
        self.jetstream: JetStreamService | None = None
        self._store: StoreRoot | None = None
        self._listeners: list[asyncio.Server] = []
        self._lame_duck = False
        self.reloader: Callable[[], BrokerOptions] | None = None
        self._dirty: list[Channel] = []
        self._flush_planned = False
        self._next_client_id = 0
        self._event_sequence = 0
        self._recent = (0.0, 0)  # since when how many connections came, for the limit of their rate
        self._ticker: Any = None

    def _default_account_options(self) -> AccountOptions:
        return AccountOptions(GLOBAL_ACCOUNT, mappings=tuple(self.options.mappings))

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
            for options in self.options.accounts:
                there = self.accounts.get(options.name)
                if there is None:
                    self._add_account(options)
                else:  # the system account
                    there.configure(options)
            self._connect_imports()
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

    async def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        self.port = await self._open(loop, lambda: ClientConnection(self), self.host, self.options.port)
        log.info("Listening for client connections on %s:%d", self.host, self.port)
        web = self.options.websocket
        if web is not None and web.port:
            host = web.host or self.host
            self.websocket_port = await self._open(loop, lambda: ClientConnection(self, web), host, web.port)
            scheme = "wss" if web.tls is not None else "ws"
            log.info("Listening for websocket clients on %s://%s:%d", scheme, host, self.websocket_port)

    async def listen_for_memphis(self, directory: Directory) -> None:
        """Let Memphis SDKs in on the port of the options, once somebody knows their users.

        Raises:
            StartError: the port is taken.
        """
        self.memphis_port = await self._open(
            asyncio.get_running_loop(),
            lambda: MemphisConnection(self, directory),
            self.host,
            self.options.memphis_port,
        )
        log.info("Listening for Memphis clients on %s:%d", self.host, self.memphis_port)

    async def listen_for_service(self) -> str:
        """Let in a service of this same process, over loopback, as nobody else can; returns its URL.

        It comes into the account that stations live in and may do everything there, whatever users the
        options name.
        """
        token = secrets.token_urlsafe(32)
        port = await self._open(
            asyncio.get_running_loop(), lambda: ServiceConnection(self, token), "127.0.0.1", ANY_PORT
        )
        return f"nats://{token}@127.0.0.1:{port}"

    async def _listen_for_monitoring(self, loop: asyncio.AbstractEventLoop) -> None:
        options = self.options

        def connection() -> HttpConnection:
            return HttpConnection(partial(monitoring.respond, self))

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
        for server in self._listeners:
            server.close()
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
    def public_host(self) -> str:
        """The host that clients are told."""
        return self.options.advertised[0] if self.options.advertised else self.host

    @property
    def public_port(self) -> int:
        """The port that clients are told."""
        return (self.options.advertised[1] if self.options.advertised else 0) or self.port

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
    def max_payload(self) -> int:
        """The largest message that clients may publish, in bytes."""
        return self.options.max_payload

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
            "host": self.public_host,
            "port": self.public_port,
            "headers": not self.options.without_headers,
            "max_payload": connection.parser.max_payload,
            "jetstream": self.jetstream is not None,
            "domain": self.options.domain,
            "client_id": connection.client_id,
            "client_ip": connection.address[0],
            "auth_required": self._asks_for_login(connection, after_connect),
            "nonce": connection.nonce.decode(),
            **self._tls_fields(connection),
            "xkey": self.keys.curve_name,
            "api_lvl": API_LEVEL if self.jetstream is not None else None,
        }
        web = self.options.websocket if connection.client_type == "websocket" else None
        if web is not None and web.advertise:
            fields["connect_urls"] = [web.advertise]
        if after_connect:
            fields["connect_info"] = True
            fields["remote_account"] = connection.account.name
            fields["acc_is_sys"] = connection.account is self._system_account
        return fields | connection.info_fields()

    def _asks_for_login(self, connection: ClientConnection, after_connect: bool) -> bool:
        web = self.options.websocket if connection.client_type == "websocket" else None
        nameless = self.authenticator.nameless_user(connection.login_kind)
        shown = nameless and nameless != self.options.made_up_user
        return self.options.requires_login(web) and (after_connect or not shown)

    def _tls_fields(self, connection: ClientConnection) -> dict[str, Any]:
        web = self.options.websocket
        if connection.client_type == "websocket" and web is not None:
            return {"tls_required": web.tls is not None}
        tls = self.options.tls
        if tls is None or not connection.secured:
            return {}
        optional = self.options.allow_non_tls
        return {"tls_required": not optional, "tls_available": optional, "tls_verify": tls.verify}

    def server_info(self) -> dict[str, Any]:
        """Return the ``server`` object of events and monitoring answers."""
        described: dict[str, Any] = {"name": self.server_name, "host": self.public_host, "id": self.server_id}
        if self.options.domain:
            described["domain"] = self.options.domain
        if self.options.tags:
            described["tags"] = list(self.options.tags)
        if self.options.metadata:
            described["metadata"] = dict(self.options.metadata)
        return described | {
            "feature_flags": FEATURE_FLAGS,
            "ver": self.version,
            "jetstream": self.jetstream is not None,
            "flags": 1 if self.jetstream is not None else 0,
            "seq": self._next_event(),
            "time": format_time(self.clock.time_ns()),
        }

    def _next_event(self) -> int:
        self._event_sequence += 1
        return self._event_sequence

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

    def account(self, name: str) -> Account | None:
        """Return an account by name, made when a trusted JWT describes it; "" is the default account."""
        if not name:
            return self.default_account
        there = self.accounts.get(name)
        if there is None:
            options = self.authenticator.account_options(name)
            if options is None:
                return None
            there = self._add_account(options)
        return there

    def _add_account(self, options: AccountOptions) -> Account:
        domain = self.options.default_domains.get(options.name, "")
        if domain and options.jetstream is None:
            options = replace(options, mappings=(*options.mappings, *mappings_to_domain(domain)))
        account = Account(options.name, self.turn, options)
        self.accounts[options.name] = account
        if options.name not in (configured.name for configured in self.options.accounts):
            account.connect_imports(self.account)  # described by a JWT that just came
        self.system_requests.add_account(account)
        if options.jetstream is not None and self.jetstream is not None:
            self._enable_jetstream(self.jetstream, account)
        return account

    def _enable_jetstream(self, jetstream: JetStreamService, account: Account) -> None:
        from memphis_desktop.broker.jetstream.limits import SINGLE, AccountLimits

        given, server = account.options.jetstream, self.options.jetstream_limits
        tiers = tuple((name, AccountLimits(**_plain(one))) for name, one in given.tiers) if given else ()
        chosen = dict(given.tiers).get(SINGLE, given) if given else None
        limits = AccountLimits(
            **(_plain(chosen) if chosen is not None else {}),
            tiers=tiers,
            server_max_ack_pending=server.max_ack_pending,
            server_max_batch=server.max_request_batch,
            server_duplicate_window=int(server.duplicate_window * 1e9),
        )
        jetstream.enable(account, limits)

    def _connect_imports(self) -> None:
        for options in self.options.accounts:
            self.accounts[options.name].connect_imports(self.account)

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
        for options in new.accounts:
            there = self.accounts.get(options.name)
            if there is None:
                self._add_account(options)
            else:
                there.configure(options)
        self._connect_imports()
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
        for server in self._listeners:
            server.close()
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


def _plain(limits: JetStreamAccountLimits) -> dict[str, Any]:
    """Return the limits themselves, those by replicas left out."""
    return {key: value for key, value in asdict(limits).items() if key != "tiers"}


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
