"""Header blocks."""

from __future__ import annotations

import pytest

from memphis_desktop.protocol import headers

BLOCK = b"NATS/1.0\r\nNats-Msg-Id: abc\r\nX:no-space\r\nX: second\r\n\r\n"


def test_parse_keeps_order_case_and_repetition() -> None:
    assert headers.parse(BLOCK) == headers.Headers(
        b"", b"", [(b"Nats-Msg-Id", b"abc"), (b"X", b"no-space"), (b"X", b"second")]
    )


def test_status_line() -> None:
    parsed = headers.parse(b"NATS/1.0 100 Idle Heartbeat\r\n\r\n")
    assert (parsed.code, parsed.description) == (b"100", b"Idle Heartbeat")
    assert headers.parse(b"NATS/1.0 503\r\n\r\n").code == b"503"


@pytest.mark.parametrize(
    "block", [b"", b"HTTP/1.1\r\n\r\n", b"NATS/1.0\r\nno colon\r\n\r\n", b"NATS/1.0\r\n: x\r\n\r\n"]
)
def test_parse_refuses(block: bytes) -> None:
    with pytest.raises(ValueError, match="header"):
        headers.parse(block)


def test_encode_and_parse_agree() -> None:
    block = headers.encode({"A": "1", "b": "2"}, status=b"408 Request Timeout")
    assert block == b"NATS/1.0 408 Request Timeout\r\nA: 1\r\nb: 2\r\n\r\n"
    assert headers.parse(block).fields == [(b"A", b"1"), (b"b", b"2")]


def test_get_is_exact() -> None:
    assert headers.get(BLOCK, b"Nats-Msg-Id") == b"abc"
    assert headers.get(BLOCK, b"nats-msg-id") is None
    assert headers.get(BLOCK, b"Msg-Id") is None
    assert headers.get_all(BLOCK, b"X") == [b"no-space", b"second"]
    assert headers.get(b"NATS/1.0\r\nA: 1", b"A") == b"1"


def test_lines_are_taken_out_and_added() -> None:
    assert headers.without(BLOCK, (b"Nats-",)) == b"NATS/1.0\r\nX:no-space\r\nX: second\r\n\r\n"
    assert headers.without(BLOCK, (b"Nats-", b"X")) == b""
    assert headers.extend(b"", [(b"A", b"1")]) == b"NATS/1.0\r\nA: 1\r\n\r\n"
    assert headers.parse(headers.extend(BLOCK, [(b"A", b"1")])).fields[-1] == (b"A", b"1")
