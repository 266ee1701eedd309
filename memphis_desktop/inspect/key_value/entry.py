"""One stored revision of a key, read from the message it is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.language import tr

from .bucket import Bucket

OPERATION = "KV-Operation"
MARKER = "Nats-Marker-Reason"
TTL = "Nats-TTL"
ROLLUP = "Nats-Rollup"
EXPECTED = "Nats-Expected-Last-Subject-Sequence"

_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Operation(Enum):
    """What a revision did to its key."""

    PUT = "put"
    DELETE = "delete"
    PURGE = "purge"
    EXPIRED = "expired"  # a limit or a time to live ended it, and the server left a marker

    @property
    def text(self) -> str:
        """What the screen says."""
        return {
            Operation.PUT: tr("put"),
            Operation.DELETE: tr("delete"),
            Operation.PURGE: tr("purge"),
            Operation.EXPIRED: tr("ran out"),
        }[self]


@dataclass(frozen=True, slots=True)
class Entry:
    """A revision of a key.

    Attributes:
        key: Whose.
        operation: What it did.
        ttl: Seconds it was given to live, None without.
        message: How it is stored.
    """

    key: str
    operation: Operation
    ttl: float | None
    message: InspectedMessage

    @classmethod
    def of(cls, bucket: Bucket, message: InspectedMessage) -> Entry:
        """Return what a message of the bucket's stream says."""
        if not message.header_bytes:
            return cls(bucket.key(message.subject), Operation.PUT, None, message)
        headers = message.headers
        return cls(
            bucket.key(message.subject),
            operation_of(headers.get(OPERATION), headers.get(MARKER)),
            parse_ttl(headers.get(TTL)),
            message,
        )

    @property
    def revision(self) -> int:
        """The stream's sequence."""
        return self.message.sequence

    @property
    def time_ns(self) -> int:
        """When it was stored."""
        return self.message.time_ns

    @property
    def size(self) -> int:
        """Bytes of the value."""
        return len(self.message.payload)

    @property
    def is_value(self) -> bool:
        """Whether the key has a value by it, rather than being gone."""
        return self.operation is Operation.PUT

    @property
    def expires_ns(self) -> int | None:
        """When it ends by its own time to live, nanoseconds since 1970."""
        return None if self.ttl is None else self.message.time_ns + round(self.ttl * 1e9)


def operation_of(operation: str | None, marker: str | None) -> Operation:
    """Return what the headers say, as clients read them."""
    if operation == "DEL":
        return Operation.DELETE
    if operation == "PURGE":
        return Operation.PURGE
    if marker is None:
        return Operation.PUT
    return {"MaxAge": Operation.EXPIRED, "Purge": Operation.PURGE}.get(marker, Operation.DELETE)


def parse_ttl(text: str | None) -> float | None:
    """Return the seconds of a time to live as the server reads it (``30``, ``1h30m``); None for none."""
    if text is None or not text.strip() or text.strip() == "never":
        return None
    text = text.strip()
    if text.isdigit():
        return float(text)
    parts = list(_SPAN.finditer(text))
    if not parts or "".join(part.group() for part in parts) != text:
        return None
    return sum(float(part[1]) * _UNITS[part[2]] for part in parts)
