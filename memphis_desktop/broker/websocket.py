"""WebSocket, the server's side: handshake and frames, sans-IO.

The protocol's bytes travel in binary frames whose borders mean nothing. Compressed messages are inflated with
a bound; everything else is handed on as it comes, so no frame is ever buffered whole.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from memphis_desktop.broker.layers import LayerError
from memphis_desktop.broker.options import WebSocketOptions
from memphis_desktop.protocol.errors import CloseReason

_MAX_HEAD = 16 * 1024
_ACCEPT_SUFFIX = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10
_TAIL = b"\x00\x00\xff\xff"
# Shorter messages are not worth deflating.
_COMPRESSION_THRESHOLD = 64
# Browsers get frames no longer than this.
_BROWSER_FRAME = 4096

_STATUS = {
    CloseReason.CLIENT_CLOSED: 1000,
    CloseReason.SERVER_SHUTDOWN: 1001,
    CloseReason.READ_ERROR: 1001,
    CloseReason.WRITE_ERROR: 1001,
    CloseReason.STALE: 1001,
    CloseReason.PROTOCOL_VIOLATION: 1002,
    CloseReason.PARSE_ERROR: 1002,
    CloseReason.MAX_PAYLOAD: 1009,
    CloseReason.TLS_HANDSHAKE: 1015,
}


class _Refused(Exception):
    def __init__(self, status: str, text: str) -> None:
        super().__init__(text)
        self.status = status


class WebSocketLayer:
    """One WebSocket connection, the server's side."""

    def __init__(self, options: WebSocketOptions, max_message: Callable[[], int], *, secure: bool) -> None:
        """`max_message` tells how long an inflated message may be; `secure` whether TLS lies below."""
        self._options = options
        self._max_message = max_message
        self._secure = secure
        self._head = bytearray()
        self._output = bytearray()
        self.ready = False
        self.cookies: dict[str, str] = {}
        self.forwarded_for = ""
        self._compresses = False
        self._masked = True
        self._browser = False
        # The frame that is being read.
        self._buffer = b""
        self._left = 0
        self._mask = b""
        self._opcode = _BINARY
        self._final = True
        self._inflating = False
        self._in_message = False
        self._compressed: list[bytes] = []
        self._compressed_size = 0
        self._control = bytearray()
        self.ended = False

    def outgoing(self) -> bytes:
        """Return handshake answers, pongs and close frames."""
        said = bytes(self._output)
        self._output.clear()
        return said

    def receive(self, data: bytes) -> bytes:
        """Take bytes of the socket, return the bytes of the protocol."""
        if not self.ready:
            data = self._shake_hands(data)
            if not self.ready:
                return b""
        return self._frames(data)

    # -- handshake -------------------------------------------------------------------------------------------
    def _shake_hands(self, data: bytes) -> bytes:
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            if len(self._head) > _MAX_HEAD:
                raise LayerError(CloseReason.PROTOCOL_VIOLATION, "the request is too long")
            return b""
        head, rest = bytes(self._head[:end]), bytes(self._head[end + 4 :])
        self._head.clear()
        try:
            self._output += self._accept(head)
        except _Refused as refused:
            body = str(refused).encode() + b"\n"
            self._output += (
                b"HTTP/1.1 %b\r\nContent-Type: text/plain; charset=utf-8\r\nSec-Websocket-Version: 13\r\n"
                b"Content-Length: %d\r\nConnection: close\r\n\r\n%b"
            ) % (refused.status.encode(), len(body), body)
            raise LayerError(CloseReason.PROTOCOL_VIOLATION, str(refused)) from None
        self.ready = True
        return rest

    def _accept(self, head: bytes) -> bytes:
        lines = head.decode("latin-1").split("\r\n")
        method, path, fields = _request(lines)
        if method != "GET":
            raise _Refused("405 Method Not Allowed", "request method must be GET")
        if not fields.get("host"):
            raise _Refused("400 Bad Request", "'Host' missing in request")
        if not _has_token(fields, "upgrade", "websocket"):
            raise _Refused("400 Bad Request", "invalid value for header 'Upgrade'")
        if not _has_token(fields, "connection", "upgrade"):
            raise _Refused("400 Bad Request", "invalid value for header 'Connection'")
        key = fields.get("sec-websocket-key", "")
        if not key:
            raise _Refused("400 Bad Request", "key missing")
        if fields.get("sec-websocket-version") != "13":
            raise _Refused("400 Bad Request", "invalid version")
        if path.rstrip("/").endswith(("/leafnode", "/mqtt")):
            raise _Refused("404 Not Found", "this server takes clients only")
        self._check_origin(fields)
        answer = [
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Accept: " + base64.b64encode(_accept_hash(key)).decode(),
        ]
        if self._options.compression and "permessage-deflate" in fields.get("sec-websocket-extensions", ""):
            self._compresses = True
            answer.append(
                "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
                "client_no_context_takeover"
            )
        if fields.get("nats-no-masking", "").lower() == "true":
            self._masked = False
            answer.append("Nats-No-Masking: true")
        answer += [f"{name}: {content}" for name, content in self._options.headers]
        self._browser = fields.get("user-agent", "").startswith("Mozilla/")
        self.forwarded_for = fields.get("x-forwarded-for", "").partition(",")[0].strip()
        try:
            self.cookies = {name: one.value for name, one in SimpleCookie(fields.get("cookie", "")).items()}
        except CookieError:
            self.cookies = {}
        return ("\r\n".join(answer) + "\r\n\r\n").encode()

    def _check_origin(self, fields: dict[str, str]) -> None:
        options = self._options
        if not options.same_origin and not options.allowed_origins:
            return
        origin = fields.get("origin") or fields.get("sec-websocket-origin") or ""
        if not origin:
            return
        try:
            there = urlsplit(origin)
            port = there.port or (443 if there.scheme == "https" else 80)
            host, here_port = _host_and_port(fields["host"], 443 if self._secure else 80)
        except ValueError:
            raise _Refused("403 Forbidden", "origin not allowed: invalid URI") from None
        if options.same_origin and ((there.hostname or "").lower() != host.lower() or port != here_port):
            raise _Refused("403 Forbidden", "origin not allowed: not same origin")
        if options.allowed_origins and not any(
            _same_origin(allowed, there.scheme, there.hostname or "", port)
            for allowed in options.allowed_origins
        ):
            raise _Refused("403 Forbidden", "origin not allowed: not in the allowed list")

    # -- frames in -------------------------------------------------------------------------------------------
    def _frames(self, data: bytes) -> bytes:
        if self.ended:
            return b""
        data = self._buffer + data if self._buffer else data
        self._buffer = b""
        found: list[bytes] = []
        position, end = 0, len(data)
        while position < end:
            if self._left == 0:
                after = self._frame_begins(data, position)
                if after < 0:
                    self._buffer = data[position:]
                    break
                position = after
                if self._left == 0:
                    self._frame_ends(found)
                    if self.ended:
                        break
                continue
            size = min(self._left, end - position)
            piece = data[position : position + size]
            position += size
            self._left -= size
            self._piece(_unmask(piece, self._mask), found)
            if self._mask:
                turn = size % 4
                self._mask = self._mask[turn:] + self._mask[:turn]
            if self._left == 0:
                self._frame_ends(found)
                if self.ended:
                    break
        return b"".join(found)

    def _frame_begins(self, data: bytes, position: int) -> int:
        """Read a frame's header; return where its payload begins, -1 when more bytes are needed."""
        if len(data) - position < 2:
            return -1
        first, second = data[position], data[position + 1]
        size = second & 0x7F
        after = position + 2
        extra = {126: 2, 127: 8}.get(size, 0)
        masked = bool(second & 0x80)
        if len(data) < after + extra + (4 if masked else 0):
            return -1
        if extra:
            size = int.from_bytes(data[after : after + extra], "big")
            after += extra
        if masked != self._masked:
            raise self._violation("mask bit missing" if self._masked else "unexpected mask bit")
        self._mask = data[after : after + 4] if masked else b""
        after += 4 if masked else 0
        self._header(first, size)
        self._left = size
        return after

    def _header(self, first: int, size: int) -> None:
        """Check what a header says."""
        opcode, final, compressed = first & 0x0F, bool(first & 0x80), bool(first & 0x40)
        if first & 0x30 or (compressed and (not self._compresses or opcode not in (_TEXT, _BINARY))):
            raise self._violation("reserved bits are set")
        if opcode >= _CLOSE:
            if opcode > _PONG or not final or size > 125:
                raise self._violation("invalid control frame")
            self._control.clear()
        elif opcode == _CONTINUATION:
            if not self._in_message:
                raise self._violation("invalid continuation frame")
            self._final = final
        elif opcode in (_TEXT, _BINARY):
            if self._in_message:
                raise self._violation("new message before the last one ended")
            self._in_message, self._inflating, self._final = True, compressed, final
        else:
            raise self._violation("unknown opcode")
        self._opcode = opcode

    def _piece(self, piece: bytes, found: list[bytes]) -> None:
        """Take a part of a frame's payload."""
        if self._opcode >= _CLOSE:
            self._control += piece
        elif not self._inflating:
            found.append(piece)
        else:
            self._compressed.append(piece)
            self._compressed_size += len(piece)
            if self._compressed_size > self._max_message():
                raise LayerError(CloseReason.MAX_PAYLOAD, "the message is too long")

    def _frame_ends(self, found: list[bytes]) -> None:
        """A frame is complete."""
        if self._opcode == _PING:
            self._output += _frame(_PONG, bytes(self._control))
        elif self._opcode == _CLOSE:
            self._output += _frame(_CLOSE, bytes(self._control[:2]))
            self.ended = True
        elif self._opcode != _PONG and self._final:
            self._in_message = False
            if self._inflating:
                found.append(self._inflate())

    def _inflate(self) -> bytes:
        limit = self._max_message()
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            inflated = inflater.decompress(b"".join(self._compressed) + _TAIL, limit + 1)
        except zlib.error:
            raise self._violation("the message cannot be inflated") from None
        self._compressed.clear()
        self._compressed_size = 0
        if len(inflated) > limit:
            raise LayerError(CloseReason.MAX_PAYLOAD, "the message is too long")
        return inflated

    def _violation(self, text: str) -> LayerError:
        self._output += self.closing(CloseReason.PROTOCOL_VIOLATION)
        return LayerError(CloseReason.PROTOCOL_VIOLATION, text)

    # -- frames out ------------------------------------------------------------------------------------------
    def send(self, data: bytes) -> bytes:
        """Return binary frames."""
        if self.ended:
            return b""
        compressed = self._compresses and len(data) > _COMPRESSION_THRESHOLD
        if compressed:
            deflater = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
            data = (deflater.compress(data) + deflater.flush(zlib.Z_SYNC_FLUSH)).removesuffix(_TAIL)
        if not self._browser or len(data) <= _BROWSER_FRAME:
            return _frame(_BINARY, data, compressed=compressed)
        pieces = [data[start : start + _BROWSER_FRAME] for start in range(0, len(data), _BROWSER_FRAME)]
        last = len(pieces) - 1
        return b"".join(
            _frame(
                _BINARY if index == 0 else _CONTINUATION,
                piece,
                final=index == last,
                compressed=compressed and index == 0,
            )
            for index, piece in enumerate(pieces)
        )

    def closing(self, reason: str) -> bytes:
        """Return the close frame."""
        if self.ended or not self.ready:
            return b""
        self.ended = True
        text = reason.encode()[:120]
        return _frame(_CLOSE, _STATUS.get(reason, 1008).to_bytes(2, "big") + text)


def _frame(opcode: int, payload: bytes, *, final: bool = True, compressed: bool = False) -> bytes:
    first = opcode | (0x80 if final else 0) | (0x40 if compressed else 0)
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 65536:
        return bytes((first, 126)) + size.to_bytes(2, "big") + payload
    return bytes((first, 127)) + size.to_bytes(8, "big") + payload


def _unmask(piece: bytes, mask: bytes) -> bytes:
    """Apply a mask, the whole piece in one operation on a long number."""
    if not mask:
        return piece
    size = len(piece)
    repeated = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(piece, "little") ^ int.from_bytes(repeated, "little")).to_bytes(size, "little")


def _accept_hash(key: str) -> bytes:
    return hashlib.sha1(key.encode("latin-1") + _ACCEPT_SUFFIX, usedforsecurity=False).digest()


def _request(lines: list[str]) -> tuple[str, str, dict[str, str]]:
    parts = lines[0].split(" ")
    if len(parts) != 3:
        raise _Refused("400 Bad Request", "malformed request")
    fields: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon:
            raise _Refused("400 Bad Request", "malformed header")
        name = name.strip().lower()
        fields[name] = f"{fields[name]}, {value.strip()}" if name in fields else value.strip()
    return parts[0], parts[1].partition("?")[0], fields


def _has_token(fields: dict[str, str], name: str, token: str) -> bool:
    return token in [part.strip().lower() for part in fields.get(name, "").split(",")]


def _host_and_port(text: str, default: int) -> tuple[str, int]:
    there = urlsplit(f"//{text}")
    return there.hostname or "", there.port or default


def _same_origin(allowed: str, scheme: str, host: str, port: int) -> bool:
    there = urlsplit(allowed)
    allowed_port = there.port or (443 if there.scheme == "https" else 80)
    return (there.scheme, (there.hostname or "").lower(), allowed_port) == (scheme, host.lower(), port)
