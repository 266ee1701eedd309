"""Pull requests: reading them, and the queue in which they wait (2.9 of the protocol notes).

No input, output or clock: times are monotonic seconds that come as arguments.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import orjson

from memphis_desktop.broker.jetstream.json_syntax import InvalidJson, decode_documents
from memphis_desktop.broker.jetstream.times import format_duration
from memphis_desktop.broker.jetstream.typed_json import (
    BOOLEAN,
    DURATION,
    INT,
    INT64,
    STRING,
    Decoding,
    JsonObject,
    Kind,
    NumberText,
)

if TYPE_CHECKING:
    from memphis_desktop.broker.jetstream.config import ConsumerConfig

_NS = 1_000_000_000

# The keys of a request. What is not named here is ignored.
_KINDS: dict[str, Kind] = {
    "expires": DURATION,
    "batch": INT,
    "max_bytes": INT,
    "no_wait": BOOLEAN,
    "idle_heartbeat": DURATION,
    "group": STRING,
    "min_pending": INT64,
    "min_ack_pending": INT64,
    "id": STRING,
    "priority": INT,
}
_PLAIN_TYPES: dict[str, type] = {
    name: bool if kind is BOOLEAN else str if kind is STRING else int for name, kind in _KINDS.items()
}
_OFFSET = re.compile(r" at offset \d+\Z")
_INT64_MAX = (1 << 63) - 1
_NO_PRIORITY = 1 << 31  # of requests that can not name one: they come last


class Refusal(Exception):
    """A request that is answered with a status; the text is the status line behind ``NATS/1.0 ``."""


class PullRequest:
    """A request for messages, and what of it is still open.

    Attributes:
        inbox: where the messages go.
        remaining: messages still wanted; 0 or less acts as one.
        bytes_left: bytes still wanted, 0 when there is no such limit.
        delivered: messages sent for it.
        expires_at: monotonic time at which it ends; None when it never does.
        heartbeat: seconds between signs of life, 0 for none.
        heartbeat_at: when the next one is due.
    """

    __slots__ = (
        "bytes_left",
        "delivered",
        "expires_at",
        "expires_ns",
        "group",
        "heartbeat",
        "heartbeat_at",
        "inbox",
        "is_object",
        "min_ack_pending",
        "min_pending",
        "no_wait",
        "pin_id",
        "priority",
        "remaining",
    )

    def __init__(self, inbox: bytes, remaining: int = 1) -> None:
        """Make a request for `remaining` messages without any condition."""
        self.inbox = inbox
        self.remaining = remaining
        self.bytes_left = 0
        self.delivered = 0
        self.no_wait = False
        self.expires_ns = 0
        self.expires_at: float | None = None
        self.heartbeat = 0.0
        self.heartbeat_at: float | None = None
        self.group = ""
        self.pin_id = ""
        self.min_pending = 0
        self.min_ack_pending = 0
        self.priority = _NO_PRIORITY
        self.is_object = False


def parse_request(inbox: bytes, body: bytes, now: float) -> PullRequest:
    """Read a pull request: nothing, a bare number, or JSON.

    Raises:
        Refusal: it is not understood (400).
    """
    body = body.strip()
    if not body:
        return PullRequest(inbox)
    if not body.startswith(b"{"):
        try:
            return PullRequest(inbox, int(body))
        except ValueError:
            return PullRequest(inbox)
    fields = _read_fields(body)
    request = PullRequest(inbox, fields.get("batch", 0))
    request.is_object = True
    request.no_wait = fields.get("no_wait", False)
    request.bytes_left = fields.get("max_bytes", 0)
    request.group = fields.get("group", "")
    request.pin_id = fields.get("id", "")
    request.min_pending = fields.get("min_pending", 0)
    request.min_ack_pending = fields.get("min_ack_pending", 0)
    request.priority = fields.get("priority", 0)
    expires, heartbeat = fields.get("expires", 0), fields.get("idle_heartbeat", 0)
    if heartbeat > 0:
        if heartbeat * 2 > expires:
            raise Refusal("400 Bad Request - heartbeat value too large")
        request.heartbeat = heartbeat / _NS
        request.heartbeat_at = now + request.heartbeat
    if expires:
        request.expires_ns = expires
        request.expires_at = now + expires / _NS
    return request


def _read_fields(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except ValueError:
        return _read_fields_slowly(body)
    plain = _PLAIN_TYPES
    for name, value in document.items():
        if type(value) is not plain.get(name) or (type(value) is int and abs(value) > _INT64_MAX):
            return _read_fields_slowly(body)
    return document  # type: ignore[no-any-return]


def _read_fields_slowly(body: bytes) -> dict[str, Any]:
    """Read what is unusual: unknown keys, other cases, nulls, faults."""
    decoding = Decoding("")
    fields: dict[str, Any] = {}
    for name, value in _read_document(body):
        key = name if name in _KINDS else name.lower()
        kind = _KINDS.get(key)
        if kind is None or value is None:
            continue
        decoded = kind.decode(value, (key,), decoding, True)
        if isinstance(decoded, bool | int | str):
            fields[key] = decoded
    if decoding.error is not None:
        raise Refusal(f"400 Bad Request - {decoding.error}")
    return fields


def _read_document(body: bytes) -> JsonObject:
    """Read one object. The reference server reads a document here, not a stream of them as elsewhere."""
    documents = decode_documents(body, JsonObject, NumberText)
    try:
        document: JsonObject = next(documents)
    except InvalidJson as fault:
        text = str(fault).replace("unexpected EOF", "unexpected end of JSON input")
        raise Refusal(f"400 Bad Request - {_OFFSET.sub('', text)}") from None
    rest = body[len(body) - _length_behind_document(body) :].lstrip()
    if rest:
        raise Refusal(f"400 Bad Request - invalid character {_quoted(rest)} after top-level value")
    return document


def _length_behind_document(body: bytes) -> int:
    text = body.decode("utf-8", "replace")
    _, end = json.JSONDecoder().raw_decode(text)
    return len(text[end:].encode())


def _quoted(rest: bytes) -> str:
    character = rest.decode("utf-8", "replace")[0]
    return "'\\''" if character == "'" else f"'{character}'"


def check_request(request: PullRequest, config: ConsumerConfig, pin_id: str) -> None:
    """Check a request against what its consumer allows.

    Args:
        request: as it was read.
        config: of the consumer.
        pin_id: the id that has the pin; empty when nobody has.

    Raises:
        Refusal: it asks for too much, or for another kind of consumer.
    """
    if 0 < config.max_batch < request.remaining:
        raise Refusal(f"409 Exceeded MaxRequestBatch of {config.max_batch}")
    if 0 < config.max_expires < request.expires_ns:
        raise Refusal(f"409 Exceeded MaxRequestExpires of {format_duration(config.max_expires)}")
    if 0 < config.max_bytes < request.bytes_left:
        raise Refusal(f"409 Exceeded MaxRequestMaxBytes of {config.max_bytes}")
    if not request.is_object:
        return
    policy = config.priority_policy
    if (request.min_pending or request.min_ack_pending) and policy != "overflow":
        raise Refusal("400 Bad Request - Not a Overflow Priority consumer")
    if request.pin_id and policy != "pinned_client":
        raise Refusal("400 Bad Request - Not a Pinned Client Priority consumer")
    if not 0 <= request.priority <= 9:
        raise Refusal("400 Bad Request - Priority must be between 0 and 9")
    if policy == "none":
        return
    if not request.group:
        raise Refusal("400 Bad Request - Priority Group missing")
    if request.group not in config.priority_groups:
        raise Refusal("400 Bad Request - Invalid Priority Group")
    if pin_id and request.pin_id and request.pin_id != pin_id:
        raise Refusal("423 Nats-Pin-Id mismatch")


class RequestQueue:
    """The waiting requests of one consumer, first come first served, message by message in turn.

    With `prioritized` they stand in the order of their priority, the lowest number first, and in turn only
    among those of the same priority.
    """

    def __init__(self, capacity: int, prioritized: bool = False) -> None:
        """Make an empty queue for `capacity` requests (max_waiting)."""
        self.capacity = capacity
        self.prioritized = prioritized
        self._requests: deque[PullRequest] = deque()
        self.no_wait_count = 0

    def __len__(self) -> int:
        return len(self._requests)

    def __iter__(self) -> Iterator[PullRequest]:
        return iter(self._requests)

    @property
    def head(self) -> PullRequest:
        """The request whose turn it is."""
        return self._requests[0]

    @property
    def is_full(self) -> bool:
        """Whether no further request is taken."""
        return len(self._requests) >= self.capacity

    @property
    def wanted(self) -> int:
        """How many messages all of them still want."""
        return sum(request.remaining for request in self._requests)

    def add(self, request: PullRequest) -> None:
        """Let a request wait. The caller has looked at `is_full`."""
        self.no_wait_count += request.no_wait
        self._insert(request)

    def rotate(self) -> None:
        """Let the head go to the end of its class: it had its turn."""
        if len(self._requests) > 1:
            self._insert(self._requests.popleft())

    def cycle(self) -> None:
        """Let the head go to the very end, whatever its class: it is not served now."""
        self._requests.rotate(-1)

    def drop_head(self) -> PullRequest:
        """Take the head out."""
        request = self._requests.popleft()
        self.no_wait_count -= request.no_wait
        return request

    def remove(self, gone: list[PullRequest]) -> None:
        """Take some out."""
        for request in gone:
            self._requests.remove(request)
            self.no_wait_count -= request.no_wait

    def clear(self) -> list[PullRequest]:
        """Take all out."""
        requests = list(self._requests)
        self._requests.clear()
        self.no_wait_count = 0
        return requests

    def next_time(self) -> float:
        """Return when the first of them expires or is due a heartbeat; infinity for never."""
        earliest = float("inf")
        for request in self._requests:
            if request.expires_at is not None and request.expires_at < earliest:
                earliest = request.expires_at
            if request.heartbeat_at is not None and request.heartbeat_at < earliest:
                earliest = request.heartbeat_at
        return earliest

    def _insert(self, request: PullRequest) -> None:
        requests = self._requests
        if not self.prioritized or not requests or requests[-1].priority <= request.priority:
            requests.append(request)
            return
        for place, other in enumerate(requests):
            if other.priority > request.priority:
                requests.insert(place, request)
                return
