"""Sessions on the cluster: which server, over TLS or not, and with the front door's own credentials."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import random
import re
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

import nkeys
import orjson

from memphis_desktop.protocol.connect import ConnectOptions
from memphis_desktop.stations.errors import StationsError

PORT = 4222
_MAX_LINE = 1 << 20
_CONNECT_TIMEOUT = 1.0  # seconds for one server to answer; SDKs give up after two
_TOTAL_TIMEOUT = 4.0
_AVOIDED = 5.0  # seconds a server that failed is tried last
_MAX_DISCOVERED = 64

_JWT_BLOCK = re.compile(r"-+BEGIN NATS USER JWT-+\s+(\S+)\s+-+END NATS USER JWT-+")
_SEED_BLOCK = re.compile(r"-+BEGIN USER NKEY SEED-+\s+(\S+)\s+-+END USER NKEY SEED-+")


class ClusterAway(Exception):
    """No server of the cluster takes a session; the text says why of the last one."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the front door shows to the cluster."""

    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    jwt: str = field(default="", repr=False)
    seed: bytes = field(default=b"", repr=False)

    @classmethod
    def from_options(cls, options: dict[str, Any]) -> Credentials:
        """Take them from what nats-py is told: a user, a token, a credentials file, an nkey's file.

        Raises:
            StationsError: A file cannot be read, or is none.
        """
        jwt, seed = "", b""
        if options.get("user_credentials"):
            text = _read(options["user_credentials"])
            jwt_block, seed_block = _JWT_BLOCK.search(text), _SEED_BLOCK.search(text)
            if jwt_block is None or seed_block is None:
                raise StationsError(f"{options['user_credentials']} is no credentials file")
            jwt, seed = jwt_block[1], seed_block[1].encode()
        elif options.get("nkeys_seed"):
            seed = _read(options["nkeys_seed"]).strip().encode()
        return cls(
            str(options.get("user") or ""),
            str(options.get("password") or ""),
            str(options.get("token") or ""),
            jwt,
            seed,
        )

    def shown(self, nonce: str) -> dict[str, str]:
        """Return the fields of CONNECT that prove who the front door is.

        Raises:
            ClusterAway: The server asks for no proof of a key, but the credentials are one.
        """
        if self.seed:
            if not nonce:
                raise ClusterAway("the server does not ask for the proof of an nkey")
            pair = nkeys.from_seed(bytearray(self.seed))
            signature = base64.urlsafe_b64encode(pair.sign(nonce.encode())).rstrip(b"=").decode()
            proof = {"sig": signature}
            return proof | ({"jwt": self.jwt} if self.jwt else {"nkey": pair.public_key.decode()})
        if self.token:
            return {"auth_token": self.token}
        return {"user": self.user, "pass": self.password} if self.user else {}


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise StationsError(f"{path} cannot be read: {error}") from None


@dataclass(slots=True)
class Server:
    """One server of the cluster."""

    host: str
    port: int
    credentials: Credentials
    configured: bool = True
    failed_at: float = -_AVOIDED


class Upstream(asyncio.Protocol):
    """The front door's end of one session on a server; first it shakes hands, then it carries bytes.

    Attributes:
        transport: the connection to the server.
        info: what the server's INFO said.
        paused: the server takes less than is sent to it.
        lost: the connection has ended.
    """

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.info: dict[str, Any] = {}
        self.paused = False
        self.on_data: Callable[[bytes], None] | None = None
        self.on_lost: Callable[[], None] | None = None
        self.on_pause: Callable[[bool], None] | None = None
        self._lines = b""
        self._waiter: asyncio.Future[bytes] | None = None
        self.lost = False

    # -- asyncio.Protocol ------------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = transport  # type: ignore[assignment]  # also what TLS puts in its place

    def data_received(self, data: bytes) -> None:
        """Hand on what the server says."""
        if self.on_data is not None:
            self.on_data(data)
            return
        self._lines += data
        self._take_line()

    def connection_lost(self, exc: Exception | None) -> None:
        """The server is gone."""
        self.lost = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(ConnectionResetError("the server closed the connection"))
        if self.on_lost is not None:
            self.on_lost()

    def pause_writing(self) -> None:
        """The server takes less than is sent to it."""
        self.paused = True
        if self.on_pause is not None:
            self.on_pause(True)

    def resume_writing(self) -> None:
        """It has caught up."""
        self.paused = False
        if self.on_pause is not None:
            self.on_pause(False)

    # -- shaking hands ---------------------------------------------------------------------------------------
    async def shake_hands(
        self, given: ConnectOptions, credentials: Credentials, tls: ssl.SSLContext | None, host: str
    ) -> None:
        """Greet the server in the client's stead.

        Raises:
            ClusterAway: The server refuses.
            OSError: The connection failed.
        """
        line = await self._line()
        if not line.startswith(b"INFO "):
            raise ClusterAway("it is no NATS server")
        self.info = orjson.loads(line[5:])
        if tls is not None or self.info.get("tls_required"):
            await self._start_tls(tls or ssl.create_default_context(), host)
        assert self.transport is not None
        options = {
            "verbose": given.verbose,
            "pedantic": given.pedantic,
            "echo": given.echo,
            "headers": given.headers,
            "no_responders": given.no_responders,
            "name": given.name,
            "lang": given.lang,
            "version": given.version,
            # A client of the first protocol is told of no other servers: it shall come back to this door.
            "protocol": 0,
            "tls_required": False,
            **credentials.shown(str(self.info.get("nonce") or "")),
        }
        self.transport.write(b"CONNECT " + orjson.dumps(options) + b"\r\nPING\r\n")
        while True:
            line = await self._line()
            if line.startswith(b"-ERR"):
                raise ClusterAway(f"it refuses the front door: {line[5:].decode('utf-8', 'replace')}")
            if line.startswith(b"PONG"):
                return

    async def _start_tls(self, context: ssl.SSLContext, host: str) -> None:
        assert self.transport is not None
        loop = asyncio.get_running_loop()
        transport = await loop.start_tls(self.transport, self, context, server_hostname=host)
        if transport is None:
            raise ConnectionResetError("the server closed the connection")
        self.transport = transport

    async def _line(self) -> bytes:
        self._waiter = asyncio.get_running_loop().create_future()
        if self.lost:
            raise ConnectionResetError("the server closed the connection")
        self._take_line()
        return await self._waiter

    def _take_line(self) -> None:
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        line, end, rest = self._lines.partition(b"\r\n")
        if end:
            self._lines = rest
            waiter.set_result(line)
        elif len(self._lines) > _MAX_LINE:
            waiter.set_exception(ClusterAway("it says too much"))

    def take_rest(self) -> bytes:
        """Return what came behind the handshake."""
        rest, self._lines = self._lines, b""
        return rest


class Cluster:
    """The servers, and which of them to try."""

    def __init__(
        self, urls: Iterable[str], options: dict[str, Any], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Prepare.

        Args:
            urls: ``nats://[user:password@]host[:port]``, or ``tls://…``.
            options: Credentials and TLS, as nats-py takes them.
            monotonic: The clock.

        Raises:
            StationsError: An address or a file is not usable.
        """
        common = Credentials.from_options(options)
        self._tls: ssl.SSLContext | None = options.get("tls")
        self._monotonic = monotonic
        self._servers = [self._server(url, common) for url in urls]
        self._common = self._servers[0].credentials
        self.info: dict[str, Any] = {}  # of the server that was asked last

    def _server(self, url: str, common: Credentials) -> Server:
        parts = urlsplit(url if "://" in url else f"nats://{url}")
        try:
            host, port = parts.hostname, parts.port or PORT
        except ValueError:
            host = None
        if not host or parts.scheme not in ("nats", "tls"):
            raise StationsError(f"{url} is not the address of a NATS server")
        if parts.scheme == "tls" and self._tls is None:
            self._tls = ssl.create_default_context()
        own = common
        if parts.username and parts.password is not None:
            own = Credentials(unquote(parts.username), unquote(parts.password))
        elif parts.username:
            own = Credentials(token=unquote(parts.username))
        return Server(host, port, own)

    async def open_session(self, given: ConnectOptions) -> Upstream:
        """Open a session on some server in a client's stead.

        Raises:
            ClusterAway: None takes it.
        """
        failure: Exception = ClusterAway("no server was tried")
        deadline = self._monotonic() + _TOTAL_TIMEOUT
        for server in self._in_order():
            if self._monotonic() >= deadline:
                break
            try:
                return await self._try(server, given)
            except (OSError, TimeoutError, ClusterAway, ValueError) as error:
                server.failed_at = self._monotonic()
                reason = str(error) or type(error).__name__
                failure = ClusterAway(f"{server.host}:{server.port}: {reason}")
        raise failure

    def _in_order(self) -> list[Server]:
        """Return the servers in random order, those that failed lately and those only heard of at the end."""
        now = self._monotonic()
        order = random.sample(self._servers, len(self._servers))
        return sorted(order, key=lambda one: (now - one.failed_at < _AVOIDED, not one.configured))

    async def _try(self, server: Server, given: ConnectOptions) -> Upstream:
        upstream = Upstream()
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT):
                loop = asyncio.get_running_loop()
                await loop.create_connection(lambda: upstream, server.host, server.port)
                await upstream.shake_hands(given, server.credentials, self._tls, server.host)
        except BaseException:
            if upstream.transport is not None:
                upstream.transport.abort()
            raise
        server.failed_at = self._monotonic() - _AVOIDED
        self.info = upstream.info
        self._learn(upstream.info.get("connect_urls"))
        return upstream

    def _learn(self, addresses: Any) -> None:
        """Remember servers that another one speaks of; they are tried when those configured fail."""
        known = {(server.host, server.port) for server in self._servers}
        for address in addresses if isinstance(addresses, list) else ():
            with contextlib.suppress(ValueError):
                parts = urlsplit(f"//{address}")
                place = (parts.hostname or "", parts.port or PORT)
                if place[0] and place not in known and len(self._servers) < _MAX_DISCOVERED:
                    known.add(place)
                    self._servers.append(Server(*place, self._common, configured=False))
