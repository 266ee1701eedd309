"""The headers of published messages that a stream obeys."""

from __future__ import annotations

from memphis_desktop.broker.jetstream.times import SECOND_NS, parse_duration
from memphis_desktop.protocol.headers import VERSION_LINE, extend

MESSAGE_ID = b"Nats-Msg-Id"
EXPECTED_STREAM = b"Nats-Expected-Stream"
EXPECTED_LAST_SEQUENCE = b"Nats-Expected-Last-Sequence"
EXPECTED_LAST_SUBJECT_SEQUENCE = b"Nats-Expected-Last-Subject-Sequence"
EXPECTED_LAST_SUBJECT_SEQUENCE_SUBJECT = b"Nats-Expected-Last-Subject-Sequence-Subject"
EXPECTED_LAST_MESSAGE_ID = b"Nats-Expected-Last-Msg-Id"
ROLLUP = b"Nats-Rollup"
MESSAGE_TTL = b"Nats-TTL"
MARKER_REASON = b"Nats-Marker-Reason"
STREAM_SOURCE = b"Nats-Stream-Source"
REQUIRED_API_LEVEL = b"Nats-Required-Api-Level"
INCREMENT = b"Nats-Incr"
COUNTER_SOURCES = b"Nats-Counter-Sources"
SCHEDULE = b"Nats-Schedule"
SCHEDULE_TARGET = b"Nats-Schedule-Target"
SCHEDULE_TTL = b"Nats-Schedule-TTL"
SCHEDULE_SOURCE = b"Nats-Schedule-Source"
SCHEDULE_ROLLUP = b"Nats-Schedule-Rollup"
SCHEDULE_TIME_ZONE = b"Nats-Schedule-Time-Zone"
SCHEDULE_NEXT = b"Nats-Schedule-Next"
SCHEDULER = b"Nats-Scheduler"
BATCH_ID = b"Nats-Batch-Id"
BATCH_SEQUENCE = b"Nats-Batch-Sequence"
BATCH_COMMIT = b"Nats-Batch-Commit"

_CRLF = b"\r\n"


def nats_fields(body: bytes, header_size: int) -> dict[bytes, bytes]:
    """Return the ``Nats-`` headers of a message; of repeated ones the first."""
    fields: dict[bytes, bytes] = {}
    for line in body[:header_size].split(_CRLF):
        if line.startswith(b"Nats-"):
            key, _, value = line.partition(b":")
            fields.setdefault(key, value.strip())
    return fields


def without_status(header_size: int, body: bytes) -> tuple[int, bytes]:
    """Return header size and body of a message without the status of its first header line.

    A block that had nothing but a status goes away altogether.
    """
    end = body.find(_CRLF, 0, header_size)
    if end < 0 or not body.startswith(VERSION_LINE):
        return header_size, body
    if body[end : end + 4] == b"\r\n\r\n":
        return 0, body[header_size:]
    removed = end - len(VERSION_LINE)
    return header_size - removed, VERSION_LINE + body[end:]


def replace_field(block: bytes, key: bytes, value: bytes) -> bytes:
    """Return a header block in which `key` has `value`: in place of the first one, or at the end."""
    start = block.find(_CRLF + key + b":")
    if start < 0:
        return extend(block, [(key, value)])
    start += 2
    end = block.find(_CRLF, start)
    return block[:start] + b"%b: %b" % (key, value) + block[end:]


def parse_sequence(text: bytes) -> int:
    """Return an expected sequence; -1, which is none, when it is not a number."""
    return int(text) if text.isdigit() and len(text) <= 20 else -1


def parse_ttl(text: bytes) -> int | None:
    """Return a message's time to live in whole seconds: 0 when absent, -1 for never, None when invalid."""
    if not text:
        return 0
    if text.lower() == b"never":
        return -1
    try:
        duration = parse_duration(text.decode())
    except ValueError:
        return int(text) if text.isdigit() and len(text) <= 18 else None
    return duration // SECOND_NS if duration >= SECOND_NS else None
