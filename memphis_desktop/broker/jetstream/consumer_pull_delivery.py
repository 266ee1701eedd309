"""Pull consumers: messages go to requests (2.9 and 2.10 of the protocol notes)."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from memphis_desktop.broker.jetstream.consumer_base import (
    SLICE_MESSAGES,
    BaseConsumer,
)
from memphis_desktop.broker.jetstream.consumer_priority import Pin, check_group
from memphis_desktop.broker.jetstream.consumer_pull import (
    PullRequest,
    Refusal,
    RequestQueue,
    check_request,
    parse_request,
)
from memphis_desktop.broker.jetstream.consumer_reset import needs_newer_server
from memphis_desktop.broker.jetstream.consumer_slice import BACKLOG_RETRY
from memphis_desktop.broker.jetstream.documents import StoredPin
from memphis_desktop.broker.jetstream.times import UNSET_TIME_NS, format_time
from memphis_desktop.broker.nuid import next_id
from memphis_desktop.protocol.headers import extend

if TYPE_CHECKING:
    from memphis_desktop.broker.contracts import Client
    from memphis_desktop.broker.jetstream.config import ConsumerConfig
    from memphis_desktop.broker.jetstream.consumer_slice import Slice
    from memphis_desktop.broker.jetstream.contracts import StreamHost
    from memphis_desktop.broker.store.interface import ConsumerStore
    from memphis_desktop.protocol.message import Message

_NS = 1_000_000_000
_PENDING_HEADERS = b"Nats-Pending-Messages: %d\r\nNats-Pending-Bytes: %d\r\n"


def status(inbox: bytes, line: str, headers: bytes = b"") -> Message:
    """Return a status message: a header block without payload, showing the inbox as its subject."""
    block = b"NATS/1.0 %b\r\n%b\r\n" % (line.encode(), headers)
    return (inbox, b"", len(block), block)


def _unserved(request: PullRequest) -> bytes:
    return _PENDING_HEADERS % (request.remaining, request.bytes_left)


class PullConsumer(BaseConsumer):
    """A consumer whose readers ask for messages."""

    def __init__(
        self, stream: StreamHost, name: str, config: ConsumerConfig, store: ConsumerStore, created_ns: int
    ) -> None:
        """Recover or place it; see `BaseConsumer`."""
        self.requests = RequestQueue(config.max_waiting, config.priority_policy == "prioritized")
        self.pin = Pin()
        # Clients that lost their connection get a moment more than the threshold to come back.
        self._grace = 0.1 + random.random() * 0.9
        self._looked_at = 0.0
        self._behind: dict[bytes, bool] = {}
        super().__init__(stream, name, config, store, created_ns)

    def _start_delivery(self) -> None:
        self.listen(f"$JS.API.CONSUMER.MSG.NEXT.{self.suffix}".encode(), self._on_requests)

    def _stop_delivery(self, deleted: bool) -> None:
        for request in self.requests.clear():
            if deleted:
                self._send(status(request.inbox, "409 Consumer Deleted"))
            else:
                self._send(status(request.inbox, "409 Server Shutdown", _unserved(request)))

    # -- requests --------------------------------------------------------------------------------------------
    def _on_requests(self, messages: list[Message], client: Client | None) -> None:
        for _, reply, header_size, body in messages:
            if header_size:
                if reply and needs_newer_server(body[:header_size]):
                    self._send(status(reply, "412 Required Api Level"))
                    continue
                body = body[header_size:]
            self.request_next(reply, body)
        self.pump()

    def request_next(self, reply: bytes, body: bytes) -> None:
        """Let a request wait, or refuse it with a status. Call `pump` afterwards."""
        if not reply:
            return
        now = self.clock.monotonic()
        try:
            request = parse_request(reply, body, now)
            check_request(request, self.config, self.pin.client_id)
            if request.no_wait or self.requests.is_full:
                # Who came before is served first; what is left then decides about this one.
                self.pump()
            if self.requests.is_full and now - self._looked_at > 1.0:
                self._look_through(now, at_end=False)
            if request.no_wait:
                self._check_no_wait(request, now)
        except Refusal as refusal:
            self.touch()
            self._send(status(reply, str(refusal)))
            return
        if self.pin.client_id and request.pin_id == self.pin.client_id:
            self.pin.keep(now, self._pin_timeout)
        if self.requests.is_full:
            if not request.heartbeat:
                self._send(status(reply, "409 Exceeded MaxWaiting"))
            return
        self.last_activity = now
        self.requests.add(request)
        if request.expires_at is not None:
            self.alarm.at(request.expires_at)
            if request.heartbeat_at is not None:
                self.alarm.at(request.heartbeat_at)

    def _check_no_wait(self, request: PullRequest, now: float) -> None:
        available = self.num_pending + len(self.deliveries.queue)
        if available == 0:
            if request.expires_at is None:
                raise Refusal("404 No Messages")
            return
        if len(self.requests):
            self._look_through(now, at_end=False)
            if available < self.requests.wanted:
                raise Refusal("408 Requests Pending")

    def _send(self, message: Message) -> None:
        self.account.deliver(message[0], (message,))

    # -- delivering ------------------------------------------------------------------------------------------
    def _deliver(self) -> bool:
        requests = self.requests
        if not len(requests) or self.brake.is_on:
            return False
        now = self.clock.monotonic()
        head = requests.head
        if head.expires_at is not None and head.expires_at <= now:
            requests.drop_head()
            self._send(status(head.inbox, "408 Request Timeout", _unserved(head)))
            return True
        if self.pace.is_free and len(requests) == 1 and not head.bytes_left and not self._has_priorities:
            return self._serve_one(head, now)
        return self._serve_in_turn(now)

    @property
    def _has_priorities(self) -> bool:
        return self.config.priority_policy in ("overflow", "pinned_client")

    def _serve_one(self, request: PullRequest, now: float) -> bool:
        """Serve the only request, which has no condition: all messages of a slice go out together."""
        if not self.account.has_interest(request.inbox):
            self.requests.drop_head()
            return True
        taken = self.take(min(max(request.remaining, 1), SLICE_MESSAGES))
        if taken is None:
            return False
        outgoing, used = self.outgoing(taken), len(taken)
        self.commit(taken, used)
        request.delivered += used
        request.remaining -= used
        if request.heartbeat:
            request.heartbeat_at = now + request.heartbeat
        if request.remaining <= 0:
            self.requests.drop_head()
        self.send(request.inbox, outgoing)
        self.delivered(taken, used)
        if request.remaining > 0:
            self.brake.wait_for(request.inbox)
        return True

    def _serve_in_turn(self, now: float) -> bool:
        """Serve requests message by message, each under its conditions."""
        limit = min(sum(max(request.remaining, 1) for request in self.requests), SLICE_MESSAGES)
        taken = self.take(limit)
        if taken is None:
            return False
        outgoing: dict[bytes, list[Message]] = {}
        self._behind.clear()
        interest: dict[bytes, bool] = {}
        used = 0
        for frame in self.frames(taken):
            size = len(frame[0]) + len(frame[1]) + len(frame[3])
            if not self.pace.is_free:
                ready = self.pace.ready_at(taken.messages[used], size, now)
                if ready > now:
                    self.brake.hold(ready)
                    break
            request = self._next_request(size, taken, used, now, outgoing, interest)
            if request is None:
                break
            self._put(request, frame, now, outgoing)
            self.pace.sent(taken.messages[used], size, now)
            used += 1
        self.commit(taken, used)
        for inbox, messages in outgoing.items():
            self.account.deliver(inbox, messages)
        if used:
            self.delivered(taken, used)
        elif any(self._behind.values()):
            self.brake.hold(now + BACKLOG_RETRY)
        return used > 0

    def _put(
        self, request: PullRequest, frame: Message, now: float, outgoing: dict[bytes, list[Message]]
    ) -> None:
        """Let the head of the queue, `request`, have a message, and move it on."""
        messages = outgoing.setdefault(request.inbox, [])
        if self.config.priority_policy == "pinned_client":
            subject, reply, header_size, body = frame
            block = extend(body[:header_size], [(b"Nats-Pin-Id", self.pin.client_id.encode())])
            frame = (subject, reply, len(block), block + body[header_size:])
        messages.append(frame)
        request.delivered += 1
        request.remaining -= 1
        if request.remaining > 0:
            if request.heartbeat:
                request.heartbeat_at = now + request.heartbeat
            self.requests.rotate()
            return
        self.requests.drop_head()
        if request.bytes_left > 0:
            messages.append(status(request.inbox, "409 Batch Completed", _unserved(request)))

    def _next_request(
        self,
        size: int,
        taken: Slice,
        used: int,
        now: float,
        outgoing: dict[bytes, list[Message]],
        interest: dict[bytes, bool],
    ) -> PullRequest | None:
        """Find the request that gets the next message and leave it at the head; None when none may have it.

        Requests that can not be served any more end with a status.
        """
        requests = self.requests
        is_pinned = self.config.priority_policy == "pinned_client"
        needs_pin = is_pinned and not self.pin.client_id
        cycled = 0
        while len(requests):
            request = requests.head
            inbox = request.inbox
            has_interest = interest.get(inbox)
            if has_interest is None:
                has_interest = interest[inbox] = self.account.has_interest(inbox)
            ended = ""
            gave_pin = False
            if not has_interest:
                requests.drop_head()
                continue
            if request.expires_at is not None and request.expires_at <= now:
                ended = "408 Request Timeout"
            elif is_pinned and request.pin_id and request.pin_id != self.pin.client_id:
                ended = "423 Nats-Wrong-Pin-Id"
            elif self._stands_back(request, needs_pin, taken, used):
                requests.cycle()
                cycled += 1
                if cycled >= len(requests):
                    return None
                continue
            else:
                if needs_pin:
                    self._give_pin(request, now)
                    needs_pin, gave_pin = False, True
                if not request.bytes_left:
                    return request
                if size <= request.bytes_left:
                    request.bytes_left -= size
                    if request.bytes_left == 0:
                        request.remaining = 1
                    return request
                ended = "409 Message Size Exceeds MaxBytes"
                if gave_pin:
                    self.pin.drop()
                    self.stream.note_consumer(self)
                    needs_pin = True
            outgoing.setdefault(inbox, []).append(status(inbox, ended, _unserved(request)))
            requests.drop_head()
        return None

    def _is_behind(self, inbox: bytes) -> bool:
        """Return whether the reader of `inbox` is behind, as it was at the beginning of the slice."""
        behind = self._behind.get(inbox)
        if behind is None:
            behind = self._behind[inbox] = self.brake.is_behind(inbox)
        return behind

    def _stands_back(self, request: PullRequest, needs_pin: bool, taken: Slice, used: int) -> bool:
        """Return whether others go first: it has no pin, its reader is behind, or no overflow is there."""
        if request.delivered and self._is_behind(request.inbox):
            return True
        policy = self.config.priority_policy
        if policy == "pinned_client":
            return not request.pin_id and not needs_pin
        if policy != "overflow":
            return False
        if request.min_pending <= 0 and request.min_ack_pending <= 0:
            return False
        pending = taken.pending - used if taken.counts is None else taken.pending + 1
        if 0 < request.min_pending <= pending:
            return False
        unacked = len(self.deliveries.table) + (used if taken.counts is None else 0)
        return not 0 < request.min_ack_pending <= unacked

    def _delivered_all(self) -> None:
        if self.requests.no_wait_count and not (
            self.brake.is_on or self._is_stalled_by_acks() or (self.awaits_disk and not self.paused)
        ):
            self._look_through(self.clock.monotonic(), at_end=True)

    def _is_stalled_by_acks(self) -> bool:
        return self.stalled and not self.paused

    # -- looking through the queue ---------------------------------------------------------------------------
    def _look_through(self, now: float, *, at_end: bool) -> None:
        """End requests that are over, drop those nobody listens for, send heartbeats.

        Args:
            now: monotonic seconds.
            at_end: there is no message at hand; those that would not wait for one end.
        """
        self._looked_at = now
        gone = []
        for request in self.requests:
            if request.expires_at is not None and request.expires_at <= now:
                self._send(status(request.inbox, "408 Request Timeout", _unserved(request)))
                gone.append(request)
            elif at_end and request.no_wait and (request.expires_at is None or request.delivered):
                self._send(status(request.inbox, "404 No Messages"))
                gone.append(request)
            elif not self.account.has_interest(request.inbox):
                gone.append(request)
            elif request.heartbeat_at is not None and request.heartbeat_at <= now:
                self._send(status(request.inbox, "100 Idle Heartbeat", self._last_headers()))
                request.heartbeat_at = now + request.heartbeat
        if gone:
            self.requests.remove(gone)

    def _last_headers(self) -> bytes:
        last = (self.deliveries.delivered_consumer, self.cursor.position - 1)
        return b"Nats-Last-Consumer: %d\r\nNats-Last-Stream: %d\r\n" % last

    def _due(self, now: float) -> None:
        if self.requests.next_time() <= now:
            self._look_through(now, at_end=True)
        if self.pin.expires_at <= now:
            self._unpin("timeout")

    def _next_time(self) -> float:
        return min(self.requests.next_time(), self.pin.expires_at, self.brake.next_time())

    # -- pins ------------------------------------------------------------------------------------------------
    @property
    def _pin_timeout(self) -> float:
        return self.config.priority_timeout / _NS

    def _give_pin(self, request: PullRequest, now: float) -> None:
        if not request.group:
            return
        request.pin_id = next_id()
        self.pin.give(request.pin_id, request.group, now, self.clock.time_ns(), self._pin_timeout)
        self.alarm.at(self.pin.expires_at)
        self.stream.note_consumer(self)
        fields = {
            "account": self.account.name,
            "stream": self.stream.name,
            "consumer": self.name,
            "group": request.group,
            "pinned_id": request.pin_id,
        }
        self.stream.advise("consumer_group_pinned", f"CONSUMER.PINNED.{self.suffix}", fields)

    def saved_pin(self) -> StoredPin | None:
        """Return who has the pin."""
        pin = self.pin
        return StoredPin(pin.client_id, pin.group, pin.since_ns) if pin.client_id else None

    def restore_pin(self, pin: StoredPin) -> None:
        """Give the pin to who had it before the restart; its timeout begins anew."""
        if self.config.priority_policy == "pinned_client" and pin.group in self.config.priority_groups:
            self.pin.give(pin.client_id, pin.group, self.clock.monotonic(), pin.since_ns, self._pin_timeout)

    def _unpin(self, reason: str) -> None:
        group = self.pin.drop()
        self.stream.note_consumer(self)
        fields = {
            "account": self.account.name,
            "stream": self.stream.name,
            "consumer": self.name,
            "group": group,
            "reason": reason,
        }
        self.stream.advise("consumer_group_unpinned", f"CONSUMER.UNPINNED.{self.suffix}", fields)

    def unpin(self, group: str) -> None:
        """Take the pin from the client that has it (CONSUMER.UNPIN).

        Raises:
            ApiError: there is no such group.
        """
        check_group(group, self.config.priority_groups)
        self.pin.group = group
        self._unpin("admin")
        self.pump()

    # -- the rest --------------------------------------------------------------------------------------------
    @property
    def threshold(self) -> float:
        """The inactive threshold with its grace, in seconds; 0 for never."""
        threshold = self.config.inactive_threshold
        return threshold / _NS + self._grace if threshold else 0.0

    def in_use(self) -> bool:
        """Return whether a request waits."""
        if len(self.requests):
            self._look_through(self.clock.monotonic(), at_end=False)
        return len(self.requests) > 0

    def delivery_info(self) -> dict[str, Any]:
        """Return what info shows of waiting requests, interest and priority groups."""
        self._look_through(self.clock.monotonic(), at_end=False)
        info: dict[str, Any] = {"num_waiting": len(self.requests)}
        if self.config.priority_groups:
            state: dict[str, Any] = {"group": self.config.priority_groups[0]}
            if self.pin.client_id:
                state["pinned_client_id"] = self.pin.client_id
            state["pinned_ts"] = format_time(self.pin.since_ns or UNSET_TIME_NS)
            info["priority_groups"] = [state]
        return info

    def _updated(self, former: ConsumerConfig) -> None:
        self.requests.prioritized = self.config.priority_policy == "prioritized"
