"""Connections to NATS servers through a SOCKS5 or HTTP proxy, for nats-py's client.

A proxy is asked for the server by the name in its URL: names are resolved at the proxy, for all kinds, since
the servers behind one often have no name on this side. TLS is spoken with the server, through the proxy; with
a proxy of kind ``https`` it is spoken with the proxy as well, around what goes to the server.
"""

from __future__ import annotations

import asyncio
import base64
import re
import socket
import ssl
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from urllib.parse import ParseResult, unquote, urlsplit

from nats.aio.client import Client
from nats.aio.transport import TcpTransport, WebSocketTransport
from python_socks import ProxyConnectionError, ProxyError, ProxyType

from memphis_desktop.language import tr

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

PORTS = {"socks5": 1080, "socks5h": 1080, "http": 8080, "https": 443}
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ?([^\r\n]*)")
_NOT_ALLOWED = 2  # reply of SOCKS5, RFC 1928
_HANDSHAKE_SECONDS = 3.0  # less than anybody waits for all of the way
_LOGIN_REQUIRED, _FORBIDDEN = 407, 403
_TARGET_STATUS = (500, 502, 503, 504)  # of HTTP: the proxy works, and could not get through


class Trouble(Enum):
    """Where the way through a proxy ended."""

    ADDRESS = "address"
    RESOLVE = "resolve"
    REACH = "reach"
    TLS = "tls"
    SPEECH = "speech"
    LOGIN = "login"
    RULES = "rules"
    SERVER = "server"  # the proxy did its part, and could not get through to the server


class ProxyFailure(Exception):
    """The way through the proxy could not be opened: where it ended, what happened, what to do."""

    def __init__(self, trouble: Trouble, text: str, advice: str) -> None:
        super().__init__(f"{text} {advice}".strip())
        self.trouble = trouble
        self.text = text
        self.advice = advice


@dataclass(frozen=True, slots=True)
class Reached:
    """A proxy that answers: its network address; where TLS is spoken with it, version and certificate."""

    address: str
    tls_version: str = ""
    certificate: bytes = b""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy and the login it wants, empty for none.

    Attributes:
        kind: ``socks5``, ``http`` (CONNECT) or ``https`` (CONNECT, TLS to the proxy).
        host: Its name or address.
        port: Where it listens.
        user: Of its login.
        password: Of its login.
        ca_path: PEM file of authorities to trust beside the system's, for ``https``.
        context: What `tls_context` gave, when it was made before.
    """

    kind: str
    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)
    ca_path: str = ""
    context: ssl.SSLContext | None = field(default=None, repr=False, compare=False)

    @property
    def address(self) -> str:
        """Its URL, without secrets."""
        return f"{self.kind}://{self._host_port(self.host, self.port)}"

    @staticmethod
    def _host_port(host: str, port: int) -> str:
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def reach(self, timeout: float) -> Reached:
        """See whether anything listens there, and whether its certificate is good. Raises `ProxyFailure`."""
        error: BaseException | None = None
        context = await self._context()
        for address in await self._addresses(timeout):
            try:
                async with asyncio.timeout(timeout):
                    _, writer = await self._dial(address, context)
            except ProxyConnectionError as failed:
                error = failed.__cause__ or failed
            except TimeoutError as late:
                error = late
            else:
                secure = writer.get_extra_info("ssl_object")
                writer.close()
                if secure is None:
                    return Reached(address)
                return Reached(address, str(secure.version()), secure.getpeercert(binary_form=True) or b"")
        raise self._unreachable(error)

    async def _context(self) -> ssl.SSLContext | None:
        """Return how TLS is spoken with the proxy, None for the other kinds. Raises `ProxyFailure`."""
        if self.kind != "https":
            return None
        return self.context or await asyncio.to_thread(self.tls_context)

    def tls_context(self) -> ssl.SSLContext:
        """Return the context for TLS with the proxy; reads files. Raises `ProxyFailure`."""
        context = ssl.create_default_context()
        if self.ca_path:
            try:
                context.load_verify_locations(self.ca_path)
            except (OSError, ssl.SSLError) as error:
                raise ProxyFailure(
                    Trouble.TLS,
                    tr("The authorities' file {path} cannot be used.", path=self.ca_path),
                    tr("It must hold certificates in PEM form."),
                ) from error
        return context

    async def _dial(self, address: str, context: ssl.SSLContext | None, limit: int = 65536) -> Streams:
        """Open a socket to the proxy, with TLS for ``https``; raises `ProxyFailure` or python-socks's."""
        try:
            if context is None:
                return await asyncio.open_connection(address, self.port, limit=limit)
            return await asyncio.open_connection(
                address,
                self.port,
                limit=limit,
                ssl=context,
                server_hostname=self.host,
                ssl_handshake_timeout=_HANDSHAKE_SECONDS,
            )
        except ssl.SSLCertVerificationError as error:
            raise ProxyFailure(
                Trouble.TLS,
                tr(
                    "The certificate of the proxy {proxy} is not accepted: {reason}.",
                    proxy=self.address,
                    reason=error.verify_message,
                ),
                tr("Name the file of its authority under TLS in the connection."),
            ) from error
        except TimeoutError:
            raise
        except OSError as error:
            if context is not None and isinstance(
                error, ssl.SSLError | ConnectionResetError | ConnectionAbortedError
            ):
                raise ProxyFailure(
                    Trouble.TLS,
                    tr("The proxy {proxy} does not speak TLS.", proxy=self.address),
                    tr("Write http:// if it is an HTTP proxy without TLS."),
                ) from error
            raise ProxyConnectionError(error.errno, str(error)) from error

    async def open(self, host: str, port: int, timeout: float, limit: int = 65536) -> Streams:
        """Return streams that lead through the proxy to a server. Raises `ProxyFailure`."""
        target = self._host_port(host, port)
        context = await self._context()
        refused: BaseException | None = None
        for address in await self._addresses(timeout):
            try:
                async with asyncio.timeout(timeout):
                    if self.kind == "socks5":
                        return await self._socks(address, host, port, limit)
                    return await self._connect(address, host, port, limit, context)
            except ProxyConnectionError as error:
                refused = error.__cause__ or error
            except (ProxyError, OSError, ValueError) as error:  # a timeout is an OSError
                raise self.explain(error, target) from error
        raise self._unreachable(refused) from refused

    async def _socks(self, address: str, host: str, port: int, limit: int) -> Streams:
        from python_socks.async_.asyncio import Proxy as Connector

        connector = Connector(
            self._type(), address, self.port, self.user or None, self.password or None, rdns=True
        )
        opened = await connector.connect(host, port)
        return await asyncio.open_connection(sock=opened, limit=limit)

    async def _connect(
        self, address: str, host: str, port: int, limit: int, context: ssl.SSLContext | None
    ) -> Streams:
        """HTTP CONNECT. A NATS server speaks first, at times in one packet with the proxy's answer.

        That is why this is done here: python-socks takes all that arrived for the answer.
        """
        reader, writer = await self._dial(address, context, limit)
        try:
            target = self._host_port(host, port)
            head = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"
            if self.user:
                login = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
                head += f"Proxy-Authorization: Basic {login}\r\n"
            writer.write(f"{head}\r\n".encode())
            answer = await reader.readuntil(b"\r\n\r\n")
            found = _STATUS.match(answer)
            if found is None:
                raise ProxyError("no HTTP")
            if found[1] != b"200":
                said = b" ".join(found.groups()).decode("latin-1").strip()
                raise ProxyError(said, error_code=int(found[1]))
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            writer.close()
            raise ProxyError("no HTTP") from error
        except BaseException:
            writer.close()
            raise
        return reader, writer

    def connector(self, context: Any = True) -> Any:
        """Return a connector for aiohttp that leads through the proxy; its errors are for `explain`."""
        from aiohttp_socks import ProxyConnector

        return ProxyConnector(
            self.host,
            self.port,
            self._type(),
            self.user or None,
            self.password or None,
            rdns=True,
            proxy_ssl=(self.context or self.tls_context()) if self.kind == "https" else None,
            ssl=context,
        )

    def explain(self, error: BaseException, target: str) -> ProxyFailure:
        """Return the failure that an exception of the proxy libraries stands for."""
        cause = error.__cause__
        if isinstance(cause, ProxyConnectionError | ProxyError):  # aiohttp-socks wraps those of python-socks
            error, cause = cause, cause.__cause__
        if isinstance(error, ProxyConnectionError):
            return self._unreachable(cause or error)
        if isinstance(error, TimeoutError) or type(error).__name__ == "ProxyTimeoutError":
            return ProxyFailure(
                Trouble.SERVER,
                tr("The proxy {proxy} opened no way to {server} in time.", proxy=self.address, server=target),
                tr("Check the server's address, as it is known where the proxy is."),
            )
        if isinstance(error, ProxyError):
            return self._refusal(error, target)
        if isinstance(error, ValueError):  # a login that does not fit into the protocol
            return ProxyFailure(
                Trouble.LOGIN,
                tr(
                    "The login cannot be sent to the proxy {proxy}: {reason}.",
                    proxy=self.address,
                    reason=error,
                ),
                tr("User and password of a proxy must be plain ASCII."),
            )
        return ProxyFailure(
            Trouble.SPEECH,
            tr("The proxy {proxy} broke the connection off: {reason}.", proxy=self.address, reason=error),
            tr("Check the port, and the kind of proxy."),
        )

    def _refusal(self, error: Any, target: str) -> ProxyFailure:
        code, text = error.error_code, str(error)
        lowered = text.lower()
        if code == _LOGIN_REQUIRED or ("authentication" in lowered and "version" not in lowered):
            return self._login_failure()
        if code is None:
            kind = self.kind.upper()
            return ProxyFailure(
                Trouble.SPEECH,
                tr(
                    "What listens at {proxy} does not answer like a proxy of kind {kind}.",
                    proxy=self._host_port(self.host, self.port),
                    kind=kind,
                ),
                tr("Check the port, and the kind of proxy."),
            )
        if code == (_NOT_ALLOWED if self.kind == "socks5" else _FORBIDDEN):
            return ProxyFailure(
                Trouble.RULES,
                tr(
                    "The proxy {proxy} does not allow connections to {server}.",
                    proxy=self.address,
                    server=target,
                ),
                tr("Ask whoever runs it to allow that host and port."),
            )
        if self.kind != "socks5" and code not in _TARGET_STATUS:
            return ProxyFailure(
                Trouble.SPEECH,
                tr("{proxy} opens no connections (HTTP {code}).", proxy=self.address, code=code),
                tr("Check that it is a proxy that takes CONNECT."),
            )
        return ProxyFailure(
            Trouble.SERVER,
            tr(
                "The proxy {proxy} cannot reach {server}: {reason}.",
                proxy=self.address,
                server=target,
                reason=text.rstrip("."),
            ),
            tr("Check the server's address, as it is known where the proxy is."),
        )

    def _login_failure(self) -> ProxyFailure:
        if not self.user:
            return ProxyFailure(
                Trouble.LOGIN,
                tr("The proxy {proxy} wants a login, and none was given.", proxy=self.address),
                tr("Enter its user and password in the connection."),
            )
        return ProxyFailure(
            Trouble.LOGIN,
            tr("The proxy {proxy} refused the login of {user}.", proxy=self.address, user=self.user),
            tr("Check the proxy's user and password in the connection."),
        )

    def _unreachable(self, error: BaseException | None) -> ProxyFailure:
        if isinstance(error, ConnectionRefusedError):
            return ProxyFailure(
                Trouble.REACH,
                tr("No proxy listens at {proxy}.", proxy=self.address),
                tr("Start it, or check the port."),
            )
        if isinstance(error, TimeoutError) or error is None:
            return ProxyFailure(
                Trouble.REACH,
                tr("The proxy {proxy} did not answer in time.", proxy=self.address),
                tr("Check its address and the firewall."),
            )
        reason = getattr(error, "strerror", None) or str(error)
        return ProxyFailure(
            Trouble.REACH,
            tr("The proxy {proxy} cannot be reached: {reason}.", proxy=self.address, reason=reason),
            tr("Check its address."),
        )

    async def _addresses(self, timeout: float) -> list[str]:
        """Return the network addresses of the proxy, each once, in the order of the system."""
        try:
            async with asyncio.timeout(timeout):
                found = await asyncio.get_running_loop().getaddrinfo(
                    self.host, self.port, type=socket.SOCK_STREAM
                )
        except (OSError, UnicodeError) as error:  # a timeout is an OSError too
            raise ProxyFailure(
                Trouble.RESOLVE,
                tr("The proxy's host name {host} is not known.", host=self.host),
                tr("Check its spelling, and whether the name server or VPN that knows it is reachable."),
            ) from error
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    def _type(self) -> ProxyType:
        return ProxyType.SOCKS5 if self.kind == "socks5" else ProxyType.HTTP


def parse(url: str, user: str = "", password: str = "") -> Proxy:
    """Return the proxy of a URL; a login in the URL counts when no other is given.

    ``socks5`` and ``socks5h`` mean the same here, and are meant when there is no scheme. Raises
    `ProxyFailure` for what is no address of a proxy.
    """
    parts = urlsplit(url if "://" in url else f"socks5://{url}")
    try:
        port = parts.port or PORTS[parts.scheme]
        host = parts.hostname or ""
        fit = parts.scheme in PORTS and bool(host) and parts.path in ("", "/") and not parts.query
    except (KeyError, ValueError):  # another scheme, or a port that is no number
        fit, host, port = False, "", 0
    if not fit:
        shown = url.rpartition("@")[2] if "@" in url else url
        raise ProxyFailure(
            Trouble.ADDRESS,
            tr("{url} is no address of a proxy.", url=shown),
            tr("Write socks5://host:port, or http:// or https://host:port for a proxy that takes CONNECT."),
        )
    kind = parts.scheme if parts.scheme in ("http", "https") else "socks5"
    if not user and parts.username:
        user, password = unquote(parts.username), password or unquote(parts.password or "")
    return Proxy(kind, host, port, user, password)


class ProxiedTcpTransport(TcpTransport):
    """nats-py's transport over a socket that leads through a proxy."""

    def __init__(self, proxy: Proxy) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._proxy = proxy

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        """Open the way to a server; raises `ProxyFailure`."""
        reader, writer = await self._proxy.open(
            uri.hostname or "", uri.port or 4222, connect_timeout, buffer_size
        )
        self._bare_io_reader = self._io_reader = reader
        self._bare_io_writer = self._io_writer = writer

    def close(self) -> None:
        """Close; TLS within TLS at once, as in `end`."""
        if self._io_writer is not None:
            end(self._io_writer, self._proxy)

    def __bool__(self) -> bool:
        """Be there from the beginning: the client would make one of its own in place of this."""
        return True


class ProxiedWebSocketTransport(WebSocketTransport):
    """nats-py's transport over a WebSocket that leads through a proxy."""

    def __init__(self, proxy: Proxy, ws_headers: dict[str, list[str]] | None = None) -> None:
        super().__init__(ws_headers)
        import aiohttp

        self._proxy = proxy
        self._client.detach()  # it has opened nothing yet
        self._client = aiohttp.ClientSession(connector=proxy.connector())

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        """Open the way to a server; raises `ProxyFailure`."""
        await self._look(connect_timeout)
        try:
            await super().connect(uri, buffer_size, connect_timeout)
        except Exception as error:
            self._raise(error, uri)

    async def connect_tls(
        self, uri: str | ParseResult, ssl_context: Any, buffer_size: int, connect_timeout: int
    ) -> None:
        """The same with TLS."""
        await self._look(connect_timeout)
        try:
            await super().connect_tls(uri, ssl_context, buffer_size, connect_timeout)
        except Exception as error:
            self._raise(error, uri)

    async def _look(self, timeout: float) -> None:
        """See that the proxy's certificate is good: afterwards it cannot be told from the server's."""
        if self._proxy.kind == "https":
            await self._proxy.reach(timeout)

    def _raise(self, error: Exception, uri: str | ParseResult) -> None:
        if from_proxy(error):
            target = uri if isinstance(uri, str) else uri.netloc.rpartition("@")[2]
            raise self._proxy.explain(error, target) from error
        raise error


def end(writer: asyncio.StreamWriter, proxy: Proxy | None) -> None:
    """Close a way to a server; one through a proxy with TLS is cut off.

    Python 3.11 before its eighth correction trips over what still comes after the farewell of TLS within TLS.
    """
    if proxy is not None and proxy.kind == "https":
        writer.transport.abort()
    else:
        writer.close()


def from_proxy(error: BaseException) -> bool:
    """Whether an exception comes from the connector of `Proxy.connector`."""
    from aiohttp_socks import ProxyConnectionError, ProxyError, ProxyTimeoutError

    return isinstance(error, ProxyConnectionError | ProxyError | ProxyTimeoutError)


class ProxiedClient(Client):
    """A nats-py client that goes through a proxy when `proxy` is set before it connects."""

    proxy: Proxy | None = None

    async def _connect_to_server(self, server: Any) -> None:
        if self.proxy is not None and not self._transport:
            websocket = server.uri.scheme in ("ws", "wss")
            headers = self.options["ws_connection_headers"]
            self._transport = (
                ProxiedWebSocketTransport(self.proxy, headers)
                if websocket
                else ProxiedTcpTransport(self.proxy)
            )
        await super()._connect_to_server(server)

    async def _process_err(self, err_msg: str) -> None:
        """nats-py writes what the server says in lower case, subjects included: take those from the wire."""
        line = bytes(getattr(self._ps, "buf", b"")).partition(b"\r\n")[0].decode("utf-8", "replace")
        said = line.removeprefix("-ERR").strip()
        await super()._process_err(recognised(said) if said.lower() == err_msg.strip() else err_msg)


def recognised(error: str) -> str:
    """An error as the server wrote it, in the lower case nats-py knows errors by, but what is quoted kept.

    ``Permissions Violation for Publish to "ORDERS.new"`` becomes ``permissions violation for publish to
    "ORDERS.new"``.
    """
    parts = error.split('"')
    return '"'.join(part if number % 2 else part.lower() for number, part in enumerate(parts))
