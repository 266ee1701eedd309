"""What a server writes."""

from __future__ import annotations

import pytest

from memphis_desktop.protocol import framing
from memphis_desktop.protocol.message import Message

BLOCK = b"NATS/1.0\r\n\r\n"


@pytest.mark.parametrize(
    ("message", "headers", "frame"),
    [
        ((b"a", b"", 0, b"hi"), True, b"MSG a 7 2\r\nhi\r\n"),
        ((b"a", b"r", 0, b"hi"), True, b"MSG a 7 r 2\r\nhi\r\n"),
        ((b"a", b"", 0, b""), True, b"MSG a 7 0\r\n\r\n"),
        ((b"a", b"", 12, BLOCK + b"hi"), True, b"HMSG a 7 12 14\r\n" + BLOCK + b"hi\r\n"),
        ((b"a", b"r", 12, BLOCK), True, b"HMSG a 7 r 12 12\r\n" + BLOCK + b"\r\n"),
        ((b"a", b"r", 12, BLOCK + b"hi"), False, b"MSG a 7 r 2\r\nhi\r\n"),
        ((b"a", b"", 0, b"x" * 5000), True, b"MSG a 7 5000\r\n" + b"x" * 5000 + b"\r\n"),
        ((b"a", b"", 0, b"x" * 4095), True, b"MSG a 7 4095\r\n" + b"x" * 4095 + b"\r\n"),
        ((b"a", b"", 0, b"x" * 4096), True, b"MSG a 7 4096\r\n" + b"x" * 4096 + b"\r\n"),
    ],
)
def test_frame(message: Message, headers: bool, frame: bytes) -> None:
    parts: list[bytes] = []
    total = framing.frame_messages(b"7", [message, message], headers, parts)
    assert b"".join(parts) == frame * 2
    assert total == 2 * (len(message[3]) - (0 if headers else message[2]))


def test_the_503_counts_its_own_bytes() -> None:
    frame = framing.no_responders(b"in.x", b"3", b"orders.new")
    line, _, rest = frame.partition(b"\r\n")
    assert line == b"HMSG in.x 3 42 42"
    assert len(rest) == 42 + 2
    assert rest == b"NATS/1.0 503\r\nNats-Subject: orders.new\r\n\r\n\r\n"


def test_error_line() -> None:
    assert framing.error_line("Stale Connection") == b"-ERR 'Stale Connection'\r\n"
