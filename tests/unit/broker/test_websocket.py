"""WebSocket frames and handshakes, against wsproto as the client."""

from __future__ import annotations

import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    Pong,
    Request,
)
from wsproto.extensions import PerMessageDeflate

from memphis_desktop.broker.layers import LayerError
from memphis_desktop.broker.options import WebSocketOptions
from memphis_desktop.broker.websocket import WebSocketLayer
from memphis_desktop.protocol.errors import CloseReason

LIMIT = 100_000


class Pair:
    """Our server and a wsproto client, joined without a socket."""

    def __init__(
        self, *, headers: list[tuple[bytes, bytes]] | None = None, deflate: bool = False, **options: Any
    ):
        self.server = WebSocketLayer(WebSocketOptions(**options), lambda: LIMIT, secure=False)
        self.client = WSConnection(ConnectionType.CLIENT)
        extensions = [PerMessageDeflate(client_no_context_takeover=True, server_no_context_takeover=True)]
        request = Request(
            host="here:8080",
            target="/",
            extensions=extensions if deflate else [],
            extra_headers=headers or [],
        )
        self.received = self.server.receive(self.client.send(request))
        self.client.receive_data(self.server.outgoing())
        self.answer = list(self.client.events())

    def events(self, data: bytes) -> list[Any]:
        self.client.receive_data(data)
        return list(self.client.events())


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("size", [0, 1, 64, 65, 125, 126, 5000, 65535, 65536, 90_000])
def test_bytes_travel_both_ways(deflate: bool, size: int) -> None:
    pair = Pair(deflate=deflate, compression=deflate)
    (accepted,) = pair.answer
    assert isinstance(accepted, AcceptConnection)
    assert bool(accepted.extensions) is deflate
    body = (b"0123456789" * (size // 10 + 1))[:size]
    assert pair.server.receive(pair.client.send(BytesMessage(body))) == body
    assert b"".join(bytes(one.data) for one in pair.events(pair.server.send(body))) == body


def test_compression_is_not_used_unless_both_want_it() -> None:
    assert not Pair(deflate=True).answer[0].extensions
    assert not Pair(compression=True).answer[0].extensions


def test_frames_in_any_pieces() -> None:
    pair = Pair()
    sent = b"".join(
        pair.client.send(BytesMessage(body)) for body in (b"PUB a 1\r\n", b"x" * 300, b"", b"\r\n")
    )
    received = b"".join(pair.server.receive(sent[at : at + 1]) for at in range(len(sent)))
    assert received == b"PUB a 1\r\n" + b"x" * 300 + b"\r\n"


def test_fragments_and_a_ping_between_them() -> None:
    pair = Pair()
    sent = pair.client.send(BytesMessage(b"first ", message_finished=False))
    sent += pair.client.send(Ping(b"alive?"))
    sent += pair.client.send(BytesMessage(b"second", message_finished=True))
    assert pair.server.receive(sent) == b"first second"
    (pong,) = pair.events(pair.server.outgoing())
    assert isinstance(pong, Pong)
    assert bytes(pong.payload) == b"alive?"


def test_closing_by_the_client() -> None:
    pair = Pair()
    assert (
        pair.server.receive(pair.client.send(BytesMessage(b"last")) + pair.client.send(CloseConnection(1000)))
        == b"last"
    )
    assert pair.server.ended
    (closed,) = pair.events(pair.server.outgoing())
    assert isinstance(closed, CloseConnection)
    assert pair.server.send(b"late") == b""


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (CloseReason.CLIENT_CLOSED, 1000),
        (CloseReason.SERVER_SHUTDOWN, 1001),
        (CloseReason.PROTOCOL_VIOLATION, 1002),
        (CloseReason.AUTHENTICATION_FAILURE, 1008),
        (CloseReason.MAX_PAYLOAD, 1009),
    ],
)
def test_closing_by_the_server(reason: str, code: int) -> None:
    pair = Pair()
    (closed,) = pair.events(pair.server.closing(reason))
    assert (closed.code, closed.reason) == (code, reason)
    assert pair.server.closing(reason) == b""


def test_browsers_get_short_frames() -> None:
    pair = Pair(headers=[(b"User-Agent", b"Mozilla/5.0")])
    sent = pair.server.send(b"z" * 10_000)
    assert len(sent) == 10_000 + 4 * 3
    assert b"".join(bytes(one.data) for one in pair.events(sent)) == b"z" * 10_000


def test_masking_may_be_left_out() -> None:
    pair = Pair(headers=[(b"Nats-No-Masking", b"true")])
    assert (b"nats-no-masking", b"true") in [
        (key.lower(), value) for key, value in pair.answer[0].extra_headers
    ]
    assert pair.server.receive(b"\x82\x02hi") == b"hi"


def test_cookies_and_the_forwarded_address() -> None:
    pair = Pair(headers=[(b"Cookie", b"jwt=abc; other=1"), (b"X-Forwarded-For", b"10.1.2.3, 10.9.9.9")])
    assert pair.server.cookies == {"jwt": "abc", "other": "1"}
    assert pair.server.forwarded_for == "10.1.2.3"


def refusal(head: bytes, **options: Any) -> bytes:
    server = WebSocketLayer(WebSocketOptions(**options), lambda: LIMIT, secure=False)
    with pytest.raises(LayerError):
        server.receive(head)
    return server.outgoing()


HEAD = b"GET / HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
REST = b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (HEAD.replace(b"GET", b"POST") + REST, b"405"),
        (HEAD.replace(b"Host: here\r\n", b"") + REST, b"400"),
        (HEAD.replace(b"Upgrade: websocket", b"Upgrade: h2c") + REST, b"400"),
        (HEAD.replace(b"Connection: Upgrade", b"Connection: close") + REST, b"400"),
        (HEAD + REST.replace(b"Key", b"Kex"), b"400"),
        (HEAD + REST.replace(b"13", b"12"), b"400"),
        (HEAD.replace(b" / ", b" /leafnode ") + REST, b"404"),
        (b"rubbish\r\n\r\n", b"400"),
        (HEAD + b"no colon\r\n" + REST, b"400"),
    ],
)
def test_refused_requests(head: bytes, status: bytes) -> None:
    assert refusal(head).startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize(
    ("origin", "options", "welcome"),
    [
        (b"http://here", {"same_origin": True}, True),
        (b"http://there", {"same_origin": True}, False),
        (b"http://here:81", {"same_origin": True}, False),
        (b"https://good.example", {"allowed_origins": ("https://good.example",)}, True),
        (b"http://good.example", {"allowed_origins": ("https://good.example",)}, False),
        (b"http://here:port", {"same_origin": True}, False),
    ],
)
def test_origins(origin: bytes, options: dict[str, Any], welcome: bool) -> None:
    head = HEAD + b"Origin: " + origin + b"\r\n" + REST
    if not welcome:
        assert refusal(head, **options).startswith(b"HTTP/1.1 403")
        return
    server = WebSocketLayer(WebSocketOptions(**options), lambda: LIMIT, secure=False)
    server.receive(head)
    assert server.ready


@pytest.mark.parametrize(
    "frame",
    [
        b"\x82\x02hi",  # not masked
        b"\xc2\x80\x00\x00\x00\x00",  # compressed without agreement
        b"\x80\x80\x00\x00\x00\x00",  # continues nothing
        b"\x83\x80\x00\x00\x00\x00",  # unknown opcode
        b"\x09\x80\x00\x00\x00\x00",  # a ping in fragments
        b"\x89\xfe\x00\x7e\x00\x00\x00\x00",  # a ping too long
        b"\x02\x80\x00\x00\x00\x00\x82\x80\x00\x00\x00\x00",  # a message inside of a message
    ],
)
def test_violations(frame: bytes) -> None:
    pair = Pair()
    with pytest.raises(LayerError) as raised:
        pair.server.receive(frame)
    assert raised.value.reason == CloseReason.PROTOCOL_VIOLATION
    assert pair.server.outgoing().startswith(b"\x88")


def masked(opcode: int, body: bytes) -> bytes:
    size = len(body)
    length = bytes([0x80 | size]) if size < 126 else b"\xff" + size.to_bytes(8, "big")
    return bytes([opcode]) + length + b"\0\0\0\0" + body


@pytest.mark.parametrize("size", [LIMIT + 1, 50 * LIMIT])
def test_a_bomb_is_not_inflated(size: int) -> None:
    pair = Pair(deflate=True, compression=True)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = (packer.compress(b"\0" * size) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]
    with pytest.raises(LayerError) as raised:
        pair.server.receive(masked(0xC2, bomb))
    assert raised.value.reason == CloseReason.MAX_PAYLOAD


def test_rubbish_instead_of_deflated_data() -> None:
    pair = Pair(deflate=True, compression=True)
    with pytest.raises(LayerError):
        pair.server.receive(masked(0xC2, b"\xff" * 20))


def test_an_endless_request() -> None:
    server = WebSocketLayer(WebSocketOptions(), lambda: LIMIT, secure=False)
    for _ in range(16):
        assert server.receive(b"x" * 1024) == b""
    with pytest.raises(LayerError, match="too long"):
        server.receive(b"x" * 1024)


@given(st.binary(max_size=200), st.integers(1, 30))
def test_any_bytes_are_frames_or_refused(data: bytes, size: int) -> None:
    pair = Pair(deflate=True, compression=True)
    reasons = []
    for start in range(0, len(data), size):
        try:
            pair.server.receive(data[start : start + size])
        except LayerError as error:
            reasons.append(error.reason)
            break
    assert set(reasons) <= {CloseReason.PROTOCOL_VIOLATION, CloseReason.MAX_PAYLOAD}
