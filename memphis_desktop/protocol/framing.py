"""What a server writes to its clients."""

from __future__ import annotations

from collections.abc import Sequence

from memphis_desktop.protocol.message import Message

OK = b"+OK\r\n"
PING = b"PING\r\n"
PONG = b"PONG\r\n"
CRLF = b"\r\n"

_KNOWN_SIZES = 4096
_LINE_ENDS = [b" %d\r\n" % size for size in range(_KNOWN_SIZES)]


def error_line(text: str) -> bytes:
    """Return ``-ERR 'text'``."""
    return b"-ERR '%b'\r\n" % text.encode()


def no_responders(reply: bytes, sid: bytes, subject: bytes) -> bytes:
    """Return the 503 that tells a requester that nobody listens on `subject`."""
    size = 32 + len(subject)
    return b"HMSG %b %b %d %d\r\nNATS/1.0 503\r\nNats-Subject: %b\r\n\r\n\r\n" % (
        reply,
        sid,
        size,
        size,
        subject,
    )


def frame_messages(sid: bytes, messages: Sequence[Message], headers: bool, parts: list[bytes]) -> int:
    """Add MSG and HMSG frames for one subscription to `parts`, which are joined when they are written.

    A client that did not announce `headers` gets plain MSG without the header block.

    Returns:
        The bytes of all payloads, header blocks included.
    """
    # Small pieces joined once by the caller cost half of what formatting every frame does.
    without_reply = b" " + sid
    with_reply = b" " + sid + b" "
    total = 0
    for subject, reply, header_size, body in messages:
        size = len(body)
        if header_size:
            if headers:
                sizes = b" %d %d\r\n" % (header_size, size)
                if reply:
                    parts += (b"HMSG ", subject, with_reply, reply, sizes, body, CRLF)
                else:
                    parts += (b"HMSG ", subject, without_reply, sizes, body, CRLF)
                total += size
                continue
            body = body[header_size:]
            size -= header_size
        total += size
        line_end = _LINE_ENDS[size] if size < _KNOWN_SIZES else b" %d\r\n" % size
        if reply:
            parts += (b"MSG ", subject, with_reply, reply, line_end, body, CRLF)
        else:
            parts += (b"MSG ", subject, without_reply, line_end, body, CRLF)
    return total
