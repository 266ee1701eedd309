"""What a server writes to its clients."""

from __future__ import annotations

from collections.abc import Sequence

from memphis_desktop.protocol.message import Message

OK = b"+OK\r\n"
PING = b"PING\r\n"
PONG = b"PONG\r\n"
CRLF = b"\r\n"

# Above this a payload becomes a part of its own instead of being copied into the frame.
_COPY_LIMIT = 2048


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


def frame_messages(sid: bytes, messages: Sequence[Message], headers: bool) -> list[bytes]:
    """Return MSG and HMSG frames for one subscription, to be joined with others.

    A client that did not announce `headers` gets plain MSG without the header block.
    """
    parts: list[bytes] = []
    append = parts.append
    for subject, reply, header_size, body in messages:
        size = len(body)
        if header_size:
            if headers:
                if reply:
                    line = b"HMSG %b %b %b %d %d\r\n" % (subject, sid, reply, header_size, size)
                else:
                    line = b"HMSG %b %b %d %d\r\n" % (subject, sid, header_size, size)
                parts += (line, body, CRLF)
                continue
            body = body[header_size:]
            size -= header_size
        if size > _COPY_LIMIT:
            if reply:
                parts += (b"MSG %b %b %b %d\r\n" % (subject, sid, reply, size), body, CRLF)
            else:
                parts += (b"MSG %b %b %d\r\n" % (subject, sid, size), body, CRLF)
        elif reply:
            append(b"MSG %b %b %b %d\r\n%b\r\n" % (subject, sid, reply, size, body))
        else:
            append(b"MSG %b %b %d\r\n%b\r\n" % (subject, sid, size, body))
    return parts
