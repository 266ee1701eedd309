"""The connection messages are read through: nats-py's client with a parser of our own.

nats-py turns headers into a plain dictionary, which loses repeated names and exact bytes, and runs one
coroutine per message. Reading pages of messages needs the bytes and a tenth of the cost, so the parser is
replaced; the rest (TLS, every kind of login, reconnecting) stays nats-py's. A connection of its own also
keeps a page of large messages from delaying the console's polling.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from nats import errors
from nats.aio.client import Client
from nats.protocol.parser import Parser

from memphis_desktop.errors import Failure
from memphis_desktop.language import tr
from memphis_desktop.proxy import ProxiedClient, ProxyFailure, recognised

_REFUSED = re.compile(r'publish to "([^"]+)"', re.IGNORECASE)
_SILENT = re.compile(r'subscription to "([^"]+)"', re.IGNORECASE)
_STATUS = b"NATS/1.0 "  # begins a header block with a status; one without has a line end there
OPEN_SECONDS = 10.0  # nats-py itself would go on trying for minutes
MAX_CONTROL_LINE = 1 << 20  # INFO of a large cluster passes nats-server's 4096 bytes for clients

# header block (b"" when there is none), payload
Handler = Callable[[bytes, bytes], None]
# subject, reply (b"" when there is none), header block, payload
WireHandler = Callable[[bytes, bytes, bytes, bytes], None]
# bytes as they came, and for each message in them where its header block, its payload, and what follows begin
Frames = tuple[bytes, list[int]]
FramesHandler = Callable[[bytes, list[int]], None]


class ReadError(Failure):
    """A read failed.

    Attributes:
        code: HTTP-like code from the server (404, 503 …), 0 when it did not answer.
        err_code: The stable JetStream error number, 0 when there is none.
        description: What the server or the client says, fit to show.
    """

    def __init__(self, code: int, err_code: int, description: str) -> None:
        super().__init__(description)
        self.code = code
        self.err_code = err_code
        self.description = description


class _WireParser(Parser):
    """Splits what the server sends; messages of registered subscriptions go out as bytes."""

    def __init__(self, client: Client, handlers: dict[bytes, WireHandler]) -> None:
        self.handlers = handlers
        self.frames: dict[bytes, FramesHandler] = {}  # by the literal subject the messages are sent to
        self._parts: list[bytes] = []
        self._held = 0
        self._needed = 0
        super().__init__(client)

    def reset(self) -> None:
        super().reset()
        self._parts = []
        self._held = self._needed = 0

    async def parse(self, data: bytes = b"") -> None:
        """Take one chunk. Raises nats-py's ProtocolError when the server breaks the protocol."""
        if self._held:
            self._parts.append(data)
            self._held += len(data)
            if self._held < self._needed:  # joining at every chunk would copy a large payload many times
                return
            buffer = b"".join(self._parts)
            self._parts = []
            self._held = self._needed = 0
        else:
            buffer = data
        position, end = 0, len(buffer)
        handlers = self.handlers
        while position < end:
            line_end = buffer.find(b"\r\n", position)
            if line_end < 0:
                if end - position > MAX_CONTROL_LINE:
                    raise errors.ProtocolError("control line too long")
                break
            first = buffer[position]
            if first in b"HM":
                words = buffer[position:line_end].split()
                try:
                    size = int(words[-1])
                    header_size = int(words[-2]) if first == 72 else 0
                except (ValueError, IndexError):
                    raise errors.ProtocolError("malformed message line") from None
                body = line_end + 2
                if body + size + 2 > end:
                    self._needed = body + size + 2 - position
                    break
                taker = self.frames.get(words[1])
                if taker is not None and first == 72:
                    position = _take_frames(buffer, position, line_end, taker)
                    continue
                position = body + size + 2
                handler = handlers.get(words[2])
                header = buffer[body : body + header_size]
                payload = buffer[body + header_size : body + size]
                reply = words[3] if len(words) > (5 if first == 72 else 4) else b""
                if handler is not None:
                    handler(words[1], reply, header, payload)
                else:
                    await self.nc._process_msg(int(words[2]), words[1], reply, payload, header or None)
            else:
                line = buffer[position:line_end]
                position = line_end + 2
                await self._control(line)
        if position < end:
            self._parts = [buffer[position:]]
            self._held = end - position

    async def _control(self, line: bytes) -> None:
        operation = line[:4].upper()
        if operation == b"PING":
            await self.nc._process_ping()
        elif operation == b"PONG":
            await self.nc._process_pong()
        elif operation == b"INFO":
            await self.nc._process_info(json.loads(line[4:]))
        elif operation == b"-ERR":
            await self.nc._process_err(recognised(line[4:].strip().decode("utf-8", "replace")))
        elif not line.startswith(b"+OK"):
            raise errors.ProtocolError("unknown protocol operation")


def _take_frames(buffer: bytes, position: int, line_end: int, taker: FramesHandler) -> int:
    """Hand on all neighbours that go to the same inbox, without a copy; returns where they end.

    Args:
        buffer: What came.
        position: Where the first of them begins; it is whole.
        line_end: Where its line ends.
        taker: Who gets them.
    """
    line = buffer[position:line_end]
    prefix = line[: line.rstrip().rfind(b" ", 0, line.rstrip().rfind(b" ")) + 1]
    skip, end, find = len(prefix), len(buffer), buffer.find
    frames: list[int] = []
    while buffer.startswith(prefix, position):
        line_end = find(b"\r\n", position + skip)
        if line_end < 0:
            break
        try:
            header_size, size = buffer[position + skip : line_end].split()
            body = line_end + 2
            stop = body + int(size)
            if stop + 2 > end:
                break
            frames += (body, body + int(header_size), stop)
        except ValueError:
            raise errors.ProtocolError("malformed message line") from None
        position = stop + 2
    taker(buffer, frames)
    return position


class _WireClient(ProxiedClient):
    """nats-py's client with the parser above."""

    def __init__(self) -> None:
        super().__init__()
        self.handlers: dict[bytes, WireHandler] = {}
        self._ps = _WireParser(self, self.handlers)
        self.frames: dict[bytes, FramesHandler] = self._ps.frames


def connection_options(client: Client) -> dict[str, Any]:
    """Return the arguments of ``nats.connect`` that open another connection like this client's.

    Servers, login, TLS and inbox prefix are carried over; callbacks are not. ``proxy`` is the proxy that the
    connection goes through, for `ReadConnection.open`.
    """
    options = client.options
    current = client.connected_url
    servers = [server.geturl() for server in client.servers]
    if current is not None and current.geturl() in servers:  # the server we know to work comes first
        servers.sort(key=lambda url: url != current.geturl())
    result: dict[str, Any] = {
        "servers": servers,
        "dont_randomize": True,
        "connect_timeout": options["connect_timeout"],
        "allow_reconnect": True,
        "inbox_prefix": bytes(client._inbox_prefix),
        "signature_cb": client._signature_cb if client._user_credentials is None else None,
        "user_jwt_cb": client._user_jwt_cb if client._user_credentials is None else None,
        "user_credentials": client._user_credentials,
        "nkeys_seed": client._nkeys_seed,
        "nkeys_seed_str": client._nkeys_seed_str,
    }
    if client._nkeys_seed is not None or client._nkeys_seed_str is not None:
        result["signature_cb"] = None
    for name in ("user", "password", "token", "tls_handshake_first", "ws_connection_headers"):
        if options.get(name) is not None:
            result[name] = options[name]
    for name in ("tls", "tls_hostname"):
        if name in options:
            result[name] = options[name]
    proxy = getattr(client, "proxy", None)
    if proxy is not None:
        result["proxy"] = proxy
    return result


class ReadConnection:
    """Requests whose answers are bytes: one, or a run that ends with a status line."""

    def __init__(self) -> None:
        self._client = _WireClient()
        self._inbox = ""
        self._next = 0
        self._heard = 0.0  # when anything of a long answer came, in the loop's time
        self._waiting: dict[bytes, Handler] = {}
        self._refusable: dict[bytes, tuple[str, asyncio.Future[None]]] = {}
        self.listening_refused: Callable[[str], None] = lambda pattern: (
            None
        )  # the login may not subscribe to it

    @classmethod
    async def like(cls, client: Client, name: str = "Memphis Desktop reader") -> ReadConnection:
        """Open a connection to where `client` is connected, with the same login.

        Raises:
            ReadError: the server could not be reached or refused the login.
        """
        return await cls.open(connection_options(client), name)

    @classmethod
    async def open(cls, options: dict[str, Any], name: str = "Memphis Desktop reader") -> ReadConnection:
        """Open a connection from the arguments of ``nats.connect``."""
        connection = cls()
        client = connection._client
        options = {**options, "name": name, "error_cb": connection._error_reported}
        client.proxy = options.pop("proxy", None)
        try:
            connecting = client.connect(**options)
            await asyncio.wait_for(connecting, OPEN_SECONDS)
            await connection._subscribe()
        except (errors.Error, OSError, TimeoutError, ProxyFailure) as error:
            with suppress(errors.Error, OSError):
                await client.close()
            text = str(error) or tr("no answer in {open_seconds:g} s", open_seconds=OPEN_SECONDS)
            raise ReadError(0, 0, tr("Could not open the reading connection: {text}", text=text)) from error
        except BaseException:  # cancelled on the way: no socket stays behind
            with suppress(Exception):
                await client.close()
            raise
        return connection

    async def _error_reported(self, error: Exception) -> None:
        """Fail the requests that a permission error is about; other errors show where the request waits."""
        silent = _SILENT.search(str(error))
        if silent is not None:
            self.listening_refused(silent.group(1))
        match = _REFUSED.search(str(error))
        if match is None:
            return
        for subject, done in list(self._refusable.values()):
            if subject.lower() == match.group(1).lower() and not done.done():
                done.set_exception(
                    ReadError(403, 0, tr("This login may not publish to {subject}", subject=subject))
                )

    async def _subscribe(self) -> None:
        self._inbox = self._client.new_inbox()
        subscription = await self._client.subscribe(f"{self._inbox}.*", cb=_never)
        self._client.handlers[str(subscription._id).encode()] = self._deliver

    async def listen(self, pattern: str, handler: WireHandler) -> Callable[[], Awaitable[None]]:
        """Subscribe to a pattern; `handler` gets every message as bytes. Returns what ends it.

        Raises:
            ReadError: the subscription could not be made.
        """
        try:
            subscription = await self._client.subscribe(pattern, cb=_never)
        except (errors.Error, OSError, ValueError) as error:
            raise ReadError(
                0, 0, tr("Could not listen to {pattern}: {error}", pattern=pattern, error=error)
            ) from error
        key = str(subscription._id).encode()
        self._client.handlers[key] = handler

        async def end() -> None:
            self._client.handlers.pop(key, None)
            if not self._client.is_closed:
                with suppress(errors.Error, OSError):
                    await subscription.unsubscribe()

        return end

    def _deliver(self, subject: bytes, reply: bytes, header: bytes, payload: bytes) -> None:
        handler = self._waiting.get(subject[len(self._inbox) + 1 :])
        if handler is not None:
            handler(header, payload)

    @property
    def closed(self) -> bool:
        """Whether the connection has ended for good."""
        return bool(self._client.is_closed)

    @property
    def server_version(self) -> tuple[int, int, int]:
        """Version the server announced."""
        version = self._client.connected_server_version
        return (version.major, version.minor, version.patch)

    @property
    def client(self) -> Client:
        """The nats-py client underneath."""
        return self._client

    async def close(self) -> None:
        """Close; requests under way fail."""
        if not self._client.is_closed:
            with suppress(errors.Error, OSError):
                await self._client.close()

    async def request(self, subject: str, body: bytes = b"", timeout: float = 5.0) -> tuple[bytes, bytes]:
        """Send one request and return the (header, payload) of its one answer.

        Raises:
            ReadError: no answer in `timeout` seconds, or nobody listens (503).
        """
        answers = await self.gather(subject, body, timeout=timeout, single=True)
        header, payload = answers[0]
        if header.startswith(b"NATS/1.0 503"):
            raise ReadError(503, 0, tr("Nobody answers on {subject}", subject=subject))
        return header, payload

    async def gather(
        self, subject: str, body: bytes, *, timeout: float = 5.0, single: bool = False
    ) -> list[tuple[bytes, bytes]]:
        """Send one request and return its answers up to and including the status line that ends them.

        `timeout` counts seconds without any answer, so a long run of large messages is no failure.

        Raises:
            ReadError: nothing came for `timeout` seconds, or the connection is closed.
        """
        answers: list[tuple[bytes, bytes]] = []
        waiting = _Waiting(subject)

        def take(header: bytes, payload: bytes) -> None:
            answers.append((header, payload))
            waiting.heard(ended=single or (not payload and header.startswith(_STATUS)))

        token = self._token()
        self._waiting[token] = take
        try:
            await self._exchange(token, body, timeout, waiting)
        finally:
            del self._waiting[token]
        return answers

    async def gather_frames(self, subject: str, body: bytes, *, timeout: float = 5.0) -> list[Frames]:
        """Do the same as `gather`, for very many answers: they stay where they came, uncut.

        Raises:
            ReadError: nothing came for `timeout` seconds, or the connection is closed.
        """
        chunks: list[Frames] = []
        waiting = _Waiting(subject)

        def take(buffer: bytes, frames: list[int]) -> None:
            chunks.append((buffer, frames))
            header, payload, stop = frames[-3:]
            self._heard = waiting.heard(ended=payload == stop and buffer.startswith(_STATUS, header))

        token = self._token()
        inbox = f"{self._inbox}.{token.decode()}".encode()
        self._client.frames[inbox] = take
        try:
            await self._exchange(token, body, timeout, waiting)
        finally:
            del self._client.frames[inbox]
        return chunks

    def _token(self) -> bytes:
        self._next += 1
        return str(self._next).encode()

    async def _exchange(self, token: bytes, body: bytes, timeout: float, waiting: _Waiting) -> None:
        """Send a request and wait until its answers have ended."""
        if self._client.is_closed:
            raise ReadError(0, 0, tr("The connection is closed"))
        done, subject = waiting.done, waiting.subject
        self._refusable[token] = (subject, done)
        try:
            try:
                await self._client.publish(subject, body, reply=f"{self._inbox}.{token.decode()}")
            except (errors.Error, OSError) as error:
                raise ReadError(0, 0, tr("The request could not be sent: {error}", error=error)) from error
            while not done.done():
                # Behind another answer on a slow line, one may be long on its way: that is no silence.
                remaining = max(waiting.last, self._heard) + timeout - waiting.loop.time()
                if remaining <= 0 or self._client.is_closed:
                    if waiting.answered:
                        text = tr(
                            "the answer stopped half-way from {subject} in {timeout:g} s",
                            subject=subject, timeout=timeout,
                        )  # fmt: skip
                    else:
                        text = tr(
                            "no answer from {subject} in {timeout:g} s", subject=subject, timeout=timeout
                        )
                    raise ReadError(0, 0, text)
                await asyncio.wait([done], timeout=min(remaining, 1.0))
        finally:
            del self._refusable[token]
        done.result()


class _Waiting:
    """For the answers to one request: when the last of them came, and whether it was the last of all."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self.loop.create_future()
        self.last = self.loop.time()
        self.answered = False

    def heard(self, *, ended: bool) -> float:
        """Something came; returns when."""
        self.answered = True
        self.last = self.loop.time()
        if ended and not self.done.done():
            self.done.set_result(None)
        return self.last


async def _never(_: Any) -> None:
    """Messages of the inbox go to the handler before nats-py sees them."""
