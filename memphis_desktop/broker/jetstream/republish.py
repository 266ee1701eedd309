"""Publishing stored messages again under another subject (2.5 of the protocol notes)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from memphis_desktop.broker.jetstream.times import format_time
from memphis_desktop.protocol import subjects

if TYPE_CHECKING:
    from memphis_desktop.broker.jetstream.stream import Stream
    from memphis_desktop.broker.store.interface import NewMessage
    from memphis_desktop.protocol.message import Message

_log = logging.getLogger(__name__)


def republished(
    stream: Stream, messages: Sequence[NewMessage], first: int, time_ns: int, previous: Sequence[int]
) -> list[Message]:
    """Return what has to be published again of messages that were just stored.

    Args:
        stream: where they were stored.
        messages: what was stored.
        first: the first one's sequence.
        time_ns: the first one's time; each further one is a nanosecond later.
        previous: for each the sequence of the message before it on the same subject, 0 for none.
    """
    transform, republish = stream.republish_transform, stream.config.republish
    if transform is None or republish is None:
        return []
    result: list[Message] = []
    for index, (subject, header_size, body) in enumerate(messages):
        target = transform.apply(subject)
        if not target:
            continue
        if not subjects.is_literal(target):
            _log.warning("Stream '%s' does not republish to the subject %r", stream.name, target)
            continue
        payload = body[header_size:]
        added = (
            b"Nats-Stream: %b\r\nNats-Subject: %b\r\nNats-Sequence: %d\r\nNats-Time-Stamp: %b\r\n"
            b"Nats-Last-Sequence: %d\r\n"
            % (
                stream.name.encode(),
                subject,
                first + index,
                format_time(time_ns + index).encode(),
                previous[index],
            )
        )
        if republish.headers_only:
            added += b"Nats-Msg-Size: %d\r\n" % len(payload)
            payload = b""
        block = (body[: header_size - 2] if header_size else b"NATS/1.0\r\n") + added + b"\r\n"
        result.append((target, b"", len(block), block + payload))
    return result
