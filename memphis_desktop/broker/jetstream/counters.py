"""Counter streams: increments are published, sums are stored (2.13)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from memphis_desktop.broker.jetstream.errors import ApiError
from memphis_desktop.broker.jetstream.message_headers import (
    COUNTER_SOURCES,
    EXPECTED_LAST_MESSAGE_ID,
    EXPECTED_LAST_SEQUENCE,
    EXPECTED_LAST_SUBJECT_SEQUENCE,
    EXPECTED_LAST_SUBJECT_SEQUENCE_SUBJECT,
    EXPECTED_STREAM,
    INCREMENT,
    ROLLUP,
    STREAM_SOURCE,
    nats_fields,
)
from memphis_desktop.broker.jetstream.typed_json import encode_json

if TYPE_CHECKING:
    from memphis_desktop.broker.jetstream.publish_checks import Publication
    from memphis_desktop.broker.store.interface import MessageStore

_INTEGER = re.compile(rb"[+-]?\d{1,4000}\Z")
_FORBIDDEN_BESIDE = (
    ROLLUP,
    EXPECTED_STREAM,
    EXPECTED_LAST_MESSAGE_ID,
    EXPECTED_LAST_SUBJECT_SEQUENCE_SUBJECT,
    EXPECTED_LAST_SEQUENCE,
    EXPECTED_LAST_SUBJECT_SEQUENCE,
)


@dataclass(slots=True)
class Counter:
    """A counter as it stands.

    Attributes:
        total: the sum.
        sources: what each origin contributes, {stream: {subject: sum as text}}.
    """

    total: int = 0
    sources: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, publication: Publication, increment: int) -> str:
        """Count a message, give it the new sum as payload, and return that sum.

        Raises:
            ApiError: 10172, it comes from a source and is no counter there.
        """
        origin = publication.fields.get(STREAM_SOURCE)
        if origin:
            increment = self._source_increment(origin, publication)
            publication.set_header(INCREMENT, str(increment).encode())
        self.total += increment
        if self.sources:
            publication.set_header(COUNTER_SOURCES, encode_json(self.sources))
        value = str(self.total)
        publication.body = publication.body[: publication.header_size] + b'{"val":"%b"}' % value.encode()
        return value

    def _source_increment(self, origin: bytes, publication: Publication) -> int:
        """Note the sum that a source has now; the increment is what it grew by since the last time."""
        parts = origin.decode("utf-8", "replace").split(" ")
        stream = parts[0]
        subject = parts[4] if len(parts) >= 5 else publication.subject.decode("utf-8", "replace")
        value = _value_of(publication.body[publication.header_size :])
        known = self.sources.setdefault(stream, {})
        increment = value - int(known.get(subject, "0") or "0")
        known[subject] = str(value)
        return increment


def check_increment(
    fields: dict[bytes, bytes], payload_size: int, *, counter: bool, sourced: bool
) -> int | None:
    """Return the increment of a message, None when it has none.

    Args:
        fields: its ``Nats-`` headers.
        payload_size: bytes behind the headers.
        counter: whether the stream is one of counters.
        sourced: whether the message comes from another stream, which has checked it.

    Raises:
        ApiError: the increment is not valid, or not allowed.
    """
    text = fields.get(INCREMENT)
    if not text:
        return None
    if not _INTEGER.match(text):
        raise ApiError(10171)
    if not sourced:
        if not counter:
            raise ApiError(10168)
        if payload_size:
            raise ApiError(10170)
        if any(fields.get(key) for key in _FORBIDDEN_BESIDE):
            raise ApiError(10171)
    return int(text)


def load(messages: MessageStore, subject: bytes) -> Counter:
    """Return the counter of a subject as the stream has it.

    Raises:
        ApiError: 10172, the subject's last message is no counter.
    """
    last = messages.last_of_subject(subject)
    message = messages.read(last) if last is not None else None
    if message is None:
        return Counter()
    total = _value_of(message.body[message.header_size :])
    text = nats_fields(message.body, message.header_size).get(COUNTER_SOURCES)
    try:
        sources = json.loads(text) if text else {}
    except ValueError:
        raise ApiError(10172) from None
    if not isinstance(sources, dict) or not all(_is_sums(known) for known in sources.values()):
        raise ApiError(10172)
    return Counter(total, sources)


def _is_sums(known: object) -> bool:
    """Return whether this is {subject: sum as text}; a client can set the header to anything."""
    return isinstance(known, dict) and all(
        isinstance(value, str) and _INTEGER.match(value.encode("utf-8", "replace"))
        for value in known.values()
    )


def _value_of(payload: bytes) -> int:
    try:
        return int(json.loads(payload)["val"])
    except (ValueError, KeyError, TypeError):
        raise ApiError(10172) from None
