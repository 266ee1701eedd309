"""A small HTTP/1.1 server for monitoring: GET and HEAD, one answer per connection, everything bounded."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeAlias, cast
from urllib.parse import parse_qsl, unquote

log = logging.getLogger(__name__)

_MAX_HEAD = 16 * 1024
_TIMEOUT = 10.0

Query: TypeAlias = dict[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What an endpoint answers."""

    body: bytes
    status: HTTPStatus = HTTPStatus.OK
    content_type: str = "application/json"


Responder: TypeAlias = Callable[[str, Query], Answer]


def plain_text(status: HTTPStatus, text: str) -> Answer:
    """Return an answer in plain words."""
    return Answer(text.encode(), status, "text/plain; charset=utf-8")


def render(answer: Answer, *, with_body: bool = True) -> bytes:
    """Return the bytes of an answer after which the connection is closed."""
    from email.utils import formatdate  # takes long to load; the node starts without it

    head = [
        f"HTTP/1.1 {answer.status.value} {answer.status.phrase}",
        f"Content-Type: {answer.content_type}",
        f"Date: {formatdate(usegmt=True)}",
        f"Content-Length: {len(answer.body)}",
        "Connection: close",
    ]
    if answer.content_type.endswith(("json", "javascript")):
        head.insert(1, "Access-Control-Allow-Origin: *")
    return "\r\n".join(head).encode() + b"\r\n\r\n" + (answer.body if with_body else b"")


def respond(head: bytes, responder: Responder) -> bytes:
    """Answer the head of a request, whatever it holds."""
    request_line = head.partition(b"\r\n")[0].decode("latin-1")
    parts = request_line.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        return render(plain_text(HTTPStatus.BAD_REQUEST, "400 Bad Request"))
    method, target, _ = parts
    if method not in ("GET", "HEAD"):
        return render(plain_text(HTTPStatus.METHOD_NOT_ALLOWED, "405 method not allowed"))
    path, _, query = target.partition("?")
    try:
        answer = responder(unquote(path), dict(parse_qsl(query, keep_blank_values=True, max_num_fields=64)))
    except ValueError as error:
        answer = plain_text(HTTPStatus.BAD_REQUEST, str(error))
    except Exception:
        log.exception("Monitoring request %r failed", path)
        answer = plain_text(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error")
    return render(answer, with_body=method == "GET")


class HttpConnection(asyncio.Protocol):
    """One request, one answer."""

    def __init__(self, responder: Responder) -> None:
        self._responder = responder
        self._head = bytearray()
        self._transport: asyncio.Transport | None = None
        self._timeout: asyncio.TimerHandle | None = None
        self._answered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the request, but not for ever."""
        transport = cast(asyncio.Transport, transport)  # uvloop's do not derive from it
        self._transport = transport
        self._timeout = asyncio.get_running_loop().call_later(_TIMEOUT, transport.abort)

    def data_received(self, data: bytes) -> None:
        """Collect the head of the request and answer it."""
        if self._answered or self._transport is None:
            return
        searched = max(len(self._head) - 3, 0)
        self._head += data
        end = self._head.find(b"\r\n\r\n", searched)
        if end < 0:
            if len(self._head) > _MAX_HEAD:
                self._transport.abort()
            return
        self._answered = True
        self._transport.write(respond(bytes(self._head[:end]), self._responder))
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the time limit."""
        if self._timeout is not None:
            self._timeout.cancel()
        self._transport = None
