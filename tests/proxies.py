"""Small SOCKS5 (RFC 1928, 1929) and HTTP CONNECT proxies for tests, which note what they were asked for."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_REFUSED, _HOST_UNREACHABLE, _NOT_ALLOWED = 5, 4, 2


@dataclass
class Proxy:
    """A proxy on a free port of loopback.

    Attributes:
        kind: ``socks5``, ``http`` or ``https``.
        certificate: Files of certificate and key, for ``https``.
        user, password: The login it wants; empty for none.
        names: Hosts it knows besides what the system resolves.
        forbidden: Hosts it refuses by its rules.
        asked: ``host:port`` of every request, as it came.
    """

    kind: str = "socks5"
    user: str = ""
    password: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    forbidden: tuple[str, ...] = ()
    asked: list[str] = field(default_factory=list)
    port: int = 0
    certificate: tuple[Path, Path] | None = None
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"{self.kind}://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Proxy:
        context = None
        if self.certificate is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(*self.certificate)
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """End every connection through it."""
        for task in self._tasks:
            task.cancel()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far: asyncio.StreamWriter | None = None
        try:
            opened = await (self._socks if self.kind == "socks5" else self._connect)(reader, writer)
            if opened is None:
                return
            far_reader, far = opened
            ways = [
                asyncio.ensure_future(_copy(reader, far)),
                asyncio.ensure_future(_copy(far_reader, writer)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            if far is not None:
                far.close()

    async def _open(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | int:
        """Return the streams to a host, or the reply that refuses."""
        self.asked.append(f"{host}:{port}")
        if host in self.forbidden:
            return _NOT_ALLOWED
        try:
            return await asyncio.open_connection(self.names.get(host, host), port)
        except ConnectionRefusedError:
            return _REFUSED
        except OSError:
            return _HOST_UNREACHABLE

    async def _socks(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        _, count = await reader.readexactly(2)
        offered = await reader.readexactly(count)
        wanted = 2 if self.user else 0
        if wanted not in offered:
            writer.write(b"\x05\xff")
            return None
        writer.write(bytes([5, wanted]))
        if self.user:
            _, length = await reader.readexactly(2)
            user = await reader.readexactly(length)
            (length,) = await reader.readexactly(1)
            password = await reader.readexactly(length)
            good = (user.decode(), password.decode()) == (self.user, self.password)
            writer.write(b"\x01\x00" if good else b"\x01\x01")
            if not good:
                return None
        _, _, _, kind = await reader.readexactly(4)
        if kind == 3:
            (length,) = await reader.readexactly(1)
            host = (await reader.readexactly(length)).decode()
        else:
            host = ".".join(map(str, await reader.readexactly(4)))
        port = int.from_bytes(await reader.readexactly(2))
        opened = await self._open(host, port)
        reply = opened if isinstance(opened, int) else 0
        writer.write(bytes([5, reply, 0, 1, 0, 0, 0, 0, 0, 0]))
        return None if isinstance(opened, int) else opened

    async def _connect(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        _, target, _ = head[0].split()
        login = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        if self.user and not any(line.endswith(f"Basic {login}") for line in head[1:]):
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            return None
        host, _, port = target.rpartition(":")
        opened = await self._open(host, int(port))
        if isinstance(opened, int):
            status = "403 Forbidden" if opened == _NOT_ALLOWED else "503 Service Unavailable"
            writer.write(f"HTTP/1.1 {status}\r\n\r\n".encode())
            return None
        # Servers of NATS speak first: what they say comes in one packet with the proxy's answer.
        greeting = b""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                greeting = await opened[0].read(65536)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n" + greeting)
        return opened


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        target.write(data)
        await target.drain()
