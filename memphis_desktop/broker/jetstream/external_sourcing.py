"""Mirrors and sources whose origin is reached by its API: in another account, or on another server (2.14).

The origin's API is below a prefix, and what it delivers arrives below another: imports of this account lead
to the account that has the stream, or a bridge to a server. A reader makes an ephemeral push consumer there,
with heartbeats and flow control. It makes a new one behind what it has when a message is missing, when
nothing is heard any more, or when the target could not store.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from memphis_desktop.broker.jetstream.errors import STREAM_NOT_FOUND
from memphis_desktop.broker.jetstream.sourcing import MirrorReader, SourceReader
from memphis_desktop.broker.jetstream.times import SECOND_NS, format_time
from memphis_desktop.broker.jetstream.typed_json import encode_json
from memphis_desktop.broker.nuid import next_id, random_name
from memphis_desktop.broker.store.interface import StorageError, StoredMessage
from memphis_desktop.protocol import headers, subjects

if TYPE_CHECKING:
    from memphis_desktop.broker.clock import Timer
    from memphis_desktop.broker.contracts import Client, Subscription
    from memphis_desktop.broker.jetstream.config import StreamSource
    from memphis_desktop.broker.jetstream.stream import Stream
    from memphis_desktop.protocol.message import Message

_log = logging.getLogger(__name__)

_ANSWER_SECONDS = 5.0
_FIRST_RETRY, _LAST_RETRY = 1.0, 60.0
_SILENCE_SECONDS = 10.0  # without a message or heartbeat the link counts as lost
_NAME_LENGTH = 8
_ACK_PREFIX = b"$JS.ACK."
# How a bridge, which can not deliver under another subject than it publishes to, describes a message.
BRIDGED_SUBJECT, BRIDGED_REPLY = b"Nats-Bridged-Subject", b"Nats-Bridged-Reply"
BRIDGED_STATUS = b"Nats-Bridged-Status"


class _Link:
    """The consumer on the other side, and what comes from it."""

    def __init__(self, reader: ExternalReader, target: Stream, source: StreamSource, kind: str) -> None:
        assert source.external is not None
        self._reader = reader
        self._target = target
        self._account = target.account
        self._clock = target.node.clock
        self._source = source
        self._api = source.external.api
        self._deliver = source.external.deliver or "$JS"
        self._kind = kind
        self._subscriptions: list[Subscription] = []
        self._name = ""
        self._expected = 1  # consumer sequence of the next message
        self._timer: Timer | None = None
        self._deadline = 0.0
        self._pause = _FIRST_RETRY
        self._linked = False
        self.ended = False

    # -- making the consumer ---------------------------------------------------------------------------------
    def begin(self) -> None:
        """Ask for a consumer behind what the target has."""
        self._drop()
        name = f"JS_{'MIRROR' if self._kind == 'M' else 'SRC'}_{random_name(_NAME_LENGTH)}"
        deliver = f"{self._deliver}.{self._kind}.{random_name(_NAME_LENGTH)}"
        inbox = f"_INBOX.{next_id()}"
        self._name = name
        self._expected, self._linked = 1, False
        self._subscriptions = [
            self._account.subscribe(deliver.encode(), self._received),
            self._account.subscribe(inbox.encode(), self._answered),
        ]
        config = self._config(name, deliver)
        path = f"{self._api}.CONSUMER.CREATE.{self._source.name}"
        if "filter_subject" in config:
            path += f".{name}.{config['filter_subject']}"
        body = encode_json({"stream_name": self._source.name, "config": config, "action": ""})
        self._set_deadline(_ANSWER_SECONDS)
        self._account.publish((path.encode(), inbox.encode(), 0, body))
        self._target.node.flush()

    def _config(self, name: str, deliver: str) -> dict[str, Any]:
        config: dict[str, Any] = {"name": name, **self._start()}
        config |= {"ack_policy": "none", "ack_wait": 22 * 3600 * SECOND_NS, "max_deliver": 1}
        filters = self._reader.filters
        if len(filters) == 1:
            config["filter_subject"] = filters[0].decode()
        elif filters:
            config["filter_subjects"] = [one.decode() for one in filters]
        kind = "mirror" if self._kind == "M" else "src"
        return config | {
            "replay_policy": "instant",
            "flow_control": True,
            "deliver_subject": deliver,
            "idle_heartbeat": SECOND_NS,
            "inactive_threshold": 10 * SECOND_NS,
            "num_replicas": 0,
            "direct": True,
            "sourcing": True,
            "metadata": {
                f"_nats.{kind}.acc": self._account.name,
                f"_nats.{kind}.stream": self._target.name,
            },
        }

    def _start(self) -> dict[str, Any]:
        position = self._reader.position
        source = self._source
        if position:
            return {"deliver_policy": "by_start_sequence", "opt_start_seq": position + 1}
        if source.opt_start_time is not None:
            return {"deliver_policy": "by_start_time", "opt_start_time": format_time(source.opt_start_time)}
        if source.opt_start_seq:
            return {"deliver_policy": "by_start_sequence", "opt_start_seq": source.opt_start_seq}
        return {"deliver_policy": "all"}

    def _answered(self, messages: list[Message], sender: Client | None) -> None:
        try:
            answer = json.loads(messages[0][3][messages[0][2] :])
            error = answer.get("error")
        except (ValueError, AttributeError, RecursionError):
            return
        if error:
            self._reader.refused(error if isinstance(error, dict) else {})
            self._retry()
            return
        self._linked = True
        self._pause = _FIRST_RETRY
        pending = answer.get("num_pending")
        self._reader.linked(pending if isinstance(pending, int) else 0)
        self._set_deadline(_SILENCE_SECONDS)

    # -- what comes ------------------------------------------------------------------------------------------
    def _received(self, messages: list[Message], sender: Client | None) -> None:
        taken: list[StoredMessage] = []
        pending = 0
        for message in messages:
            subject, reply, header_size, body = _unbridged(message)
            if header_size and body.startswith(b"NATS/1.0 100"):
                if not self._controlled(reply, body[:header_size], taken):
                    return
                continue
            place = _place(reply)
            if place is None:
                continue
            sequence, number, time_ns, pending = place
            if number != self._expected:
                if number > self._expected:  # one is missing
                    self._reader.arrived(taken, pending)
                    self.begin()
                    return
                continue
            self._expected += 1
            taken.append(StoredMessage(sequence, time_ns, subject, header_size, body))
        self._set_deadline(_SILENCE_SECONDS)
        if taken and not self._reader.arrived(taken, pending):
            self._retry()

    def _controlled(self, reply: bytes, block: bytes, taken: list[StoredMessage]) -> bool:
        """Answer flow control; return False when a heartbeat tells of a message that never came."""
        stalled = headers.get(block, b"Nats-Consumer-Stalled")
        for target in (reply, stalled):
            if target:
                self._account.publish((target, b"", 0, b""))
        last = headers.get(block, b"Nats-Last-Consumer")
        if last is not None and last.isdigit() and int(last) >= self._expected:
            self._reader.arrived(taken, 0)
            self.begin()
            return False
        self._reader.heard()
        return True

    # -- time ------------------------------------------------------------------------------------------------
    def _set_deadline(self, seconds: float) -> None:
        self._deadline = self._clock.monotonic() + seconds
        if self._timer is None:
            self._timer = self._clock.call_later(seconds, self._check_time)

    def _check_time(self) -> None:
        self._timer = None
        left = self._deadline - self._clock.monotonic()
        if self.ended:
            return
        if left > 0.001:
            self._timer = self._clock.call_later(left, self._check_time)
        elif self._subscriptions and not self._linked:
            self._retry()  # no answer
        else:
            self.begin()

    def _retry(self) -> None:
        """Begin again after a pause, which grows."""
        self._drop()
        self._set_deadline(self._pause)
        self._pause = min(self._pause * 2, _LAST_RETRY)

    def _drop(self) -> None:
        if self._linked:
            self._linked = False
            path = f"{self._api}.CONSUMER.DELETE.{self._source.name}.{self._name}"
            self._account.publish((path.encode(), b"", 0, b""))
        for subscription in self._subscriptions:
            self._account.unsubscribe(subscription)
        self._subscriptions = []
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def end(self) -> None:
        """Listen no more; the consumer ends by itself."""
        self.ended = True
        self._drop()


class ExternalReader(SourceReader):
    """Brings the messages of an origin that is reached by its API into a stream."""

    _kind = "S"

    def __init__(self, target: Stream, source: StreamSource) -> None:
        super().__init__(target, source)
        self._link: _Link | None = None
        self._behind = 0
        self._error: dict[str, Any] = {}

    def follow(self) -> None:
        """Begin to read, or begin anew."""
        if self._link is None:
            if self.position is None:
                self.position = self._stored_position()
            self._link = _Link(self, self._target, self.source, self._kind)
            self._link.begin()

    def _stored_position(self) -> int:
        return 0

    def detach(self) -> None:
        """Stop reading."""
        if self._link is not None:
            self._link.end()
            self._link = None

    # -- what the link tells ---------------------------------------------------------------------------------
    def linked(self, pending: int) -> None:
        """There is a consumer now, with so many messages to come."""
        self._error, self.missing = {}, False
        self._behind = pending
        self.heard()

    def refused(self, error: dict[str, Any]) -> None:
        """The other side has refused the consumer."""
        self.missing = error.get("err_code") == STREAM_NOT_FOUND
        self._error = error

    def heard(self) -> None:
        """There was a sign of the other side."""
        self._last_contact_ns = self._now()

    def arrived(self, messages: list[StoredMessage], pending: int) -> bool:
        """Store what came; return False when the target can not take it now."""
        self.heard()
        self._behind = pending
        if not messages:
            return True
        try:
            taken = self._take(messages)
        except StorageError as error:
            _log.warning("Stream '%s' can not store from '%s': %s", self._target.name, self.name, error)
            taken = False
        self._target.node.flush()
        return taken

    # -- what differs from an origin next door ---------------------------------------------------------------
    def info(self) -> dict[str, Any]:
        """Return the source info of StreamInfo."""
        shown = super().info()
        if self._error and not self.missing:
            shown["error"] = self._error
        return shown

    @property
    def safe_position(self) -> int:
        """The last sequence of the origin that was taken."""
        return self.position or 0

    def _since_contact(self) -> int:
        return self._now() - self._last_contact_ns if self._last_contact_ns else -1

    def _lag(self) -> int:
        return self._behind

    def _finish(self) -> None:
        self._target.finish_sourced()


class ExternalMirror(ExternalReader, MirrorReader):
    """Brings the messages of an origin that is reached by its API into its mirror."""

    _kind = "M"

    def _stored_position(self) -> int:
        return self._target.messages.last_sequence


def _place(reply: bytes) -> tuple[int, int, int, int] | None:
    """Return what an acknowledgement's subject tells: stream and consumer sequence, time, pending."""
    if not reply.startswith(_ACK_PREFIX):
        return None
    tokens = reply.split(b".")
    # $JS.ACK.S.C.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>, or with domain and account first.
    numbers = tokens[4:9] if len(tokens) == 9 else tokens[6:11]
    if len(numbers) != 5 or not all(one.isdigit() for one in numbers):
        return None
    _, sequence, number, time_ns, pending = map(int, numbers)
    return sequence, number, time_ns, pending


def _unbridged(message: Message) -> Message:
    """Return a message as its stream has it, when a bridge has described it in headers."""
    subject, _, header_size, body = message
    block = body[:header_size]
    if not block:
        return message
    if headers.get(block, BRIDGED_STATUS) is not None:
        last = headers.get(block, b"Nats-Last-Consumer") or b""
        heartbeat = headers.encode([(b"Nats-Last-Consumer", last)], b"100 Idle Heartbeat")
        return subject, b"", len(heartbeat), heartbeat
    bridged = headers.get(block, BRIDGED_REPLY)
    if bridged is None:
        return message
    subject = headers.get(block, BRIDGED_SUBJECT) or subject
    if not subjects.is_literal(subject):
        return message
    block = headers.without(block, (BRIDGED_REPLY + b":", BRIDGED_SUBJECT + b":"))
    return subject, bridged, len(block), block + body[header_size:]
