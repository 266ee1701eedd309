"""Push consumers: messages go to a deliver subject as long as somebody listens (2.11 of the notes)."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from memphis_desktop.broker.jetstream.consumer_base import (
    SLICE_MESSAGES,
    BaseConsumer,
)
from memphis_desktop.broker.jetstream.consumer_priority import check_group
from memphis_desktop.broker.jetstream.consumer_pull_delivery import status
from memphis_desktop.protocol.headers import get

if TYPE_CHECKING:
    from memphis_desktop.broker.contracts import Client, InterestWatch
    from memphis_desktop.broker.jetstream.config import ConsumerConfig
    from memphis_desktop.broker.jetstream.contracts import StreamHost
    from memphis_desktop.broker.store.interface import ConsumerStore
    from memphis_desktop.protocol.deliveries import DeliveryBlock
    from memphis_desktop.protocol.message import Message

_NS = 1_000_000_000
WINDOW_LIMIT = 32 << 20
WINDOW_START = WINDOW_LIMIT // 16


class Window:
    """Flow control: how many bytes may be on their way, and which request for an answer is open.

    After half of the window an answer is asked for; at its end sending stops until the answer comes. Each
    answer doubles the window up to its limit.
    """

    __slots__ = ("_covered", "open_request", "sent", "size")

    def __init__(self) -> None:
        self.size = WINDOW_START
        self.sent = 0
        self.open_request = b""
        self._covered = 0  # bytes that the open request covers

    @property
    def is_full(self) -> bool:
        """Whether sending stops until an answer comes."""
        return self.sent > self.size

    def add(self, size: int) -> bool:
        """Note `size` bytes as sent; return whether an answer should be asked for now."""
        self.sent += size
        if not self.open_request:
            return self.sent > self.size // 2
        if self.sent - self._covered >= self.size:
            self._covered += size
        return False

    def ask(self, subject: bytes) -> None:
        """Note that the answer is to come on `subject`."""
        self.open_request = subject
        self._covered = self.sent

    def answer(self, subject: bytes) -> bool:
        """Take an answer; return whether it was the open one."""
        if not self.open_request or subject != self.open_request:
            return False
        self.size = min(self.size * 2, WINDOW_LIMIT)
        self.sent = max(0, self.sent - self._covered)
        self.open_request = b""
        self._covered = 0
        return True


class PushConsumer(BaseConsumer):
    """A consumer that sends to its deliver subject."""

    def __init__(
        self, stream: StreamHost, name: str, config: ConsumerConfig, store: ConsumerStore, created_ns: int
    ) -> None:
        """Recover or place it; see `BaseConsumer`."""
        self.inbox = config.deliver_subject.encode()
        self.active = False
        self.window = Window() if config.flow_control else None
        self._watch: InterestWatch | None = None
        self._heartbeat_at = float("inf")
        super().__init__(stream, name, config, store, created_ns)

    def _start_delivery(self) -> None:
        self.listen(f"$JS.API.CONSUMER.MSG.NEXT.{self.suffix}".encode(), self._on_requests)
        if self.window is not None:
            self.listen(f"$JS.FC.{self.suffix}.".encode() + b">", self._on_flow_control)
        self._watch_inbox()

    def _stop_delivery(self, deleted: bool) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self.active = False

    def _watch_inbox(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        self._watch = self.account.watch_interest(self.inbox, self._interest_changed)
        self.active = self.account.has_interest(self.inbox)
        self._plan_heartbeat()

    def _interest_changed(self, has_interest: bool) -> None:
        if self.stopped or has_interest == self.active:
            return
        self.active = has_interest
        self.touch()
        if has_interest:
            self.pump()
        self.rearm()

    def _on_requests(self, messages: list[Message], client: Client | None) -> None:
        for _, reply, _, _ in messages:
            self.request_next(reply, b"")

    def request_next(self, reply: bytes, body: bytes) -> None:
        """Refuse a pull request."""
        if reply:
            self.account.deliver(reply, (status(reply, "409 Consumer is push based"),))

    # -- delivering ------------------------------------------------------------------------------------------
    def _deliver(self) -> bool:
        window = self.window
        if not self.active or (window is not None and window.is_full) or self.brake.is_on:
            return False
        taken = self.take(SLICE_MESSAGES)
        if taken is None:
            return False
        outgoing: list[Message] | DeliveryBlock
        if window is None and self.pace.is_free:
            used, outgoing = len(taken), self.outgoing(taken)
        else:
            used, outgoing = self._fit(self.frames(taken), taken.messages, self.clock.monotonic())
        self.commit(taken, used)
        if outgoing:
            self.send(self.inbox, outgoing)
        if used == 0:
            return False
        self.delivered(taken, used)
        self._plan_heartbeat()
        self.brake.wait_for(self.inbox)
        return True

    def _fit(self, frames: list[Message], messages: list[Any], now: float) -> tuple[int, list[Message]]:
        """Return how many of the frames may go now, and these with the requests for flow control."""
        window, pace = self.window, self.pace
        outgoing: list[Message] = []
        used = 0
        for frame, message in zip(frames, messages, strict=True):
            size = len(frame[0]) + len(frame[1]) + len(frame[3])
            if window is not None and window.is_full:
                break
            if not pace.is_free:
                ready = pace.ready_at(message, size, now)
                if ready > now:
                    self.brake.hold(ready)
                    break
                pace.sent(message, size, now)
            outgoing.append(frame)
            used += 1
            if window is not None and window.add(len(self.inbox) + size - len(frame[0])):
                outgoing.append(self._ask())
        return used, outgoing

    def _ask(self) -> Message:
        assert self.window is not None
        answer_to = f"$JS.FC.{self.suffix}.{secrets.token_hex(2)}".encode()
        self.window.ask(answer_to)
        subject, _, header_size, body = status(self.inbox, "100 FlowControl Request")
        return (subject, answer_to, header_size, body)

    def _on_flow_control(self, messages: list[Message], client: Client | None) -> None:
        window = self.window
        if window is None:
            return
        for subject, _, header_size, body in messages:
            if window.answer(subject):
                if self.config.ack_policy == "flow_control" and header_size:
                    self._ack_by_flow_control(body[:header_size])
                self.pump()

    def _ack_by_flow_control(self, block: bytes) -> None:
        """Take the ack that an answer carries under ack policy flow_control."""
        try:
            sequence = int(get(block, b"Nats-Last-Stream") or 0)
            number = int(get(block, b"Nats-Last-Consumer") or 0)
        except ValueError:
            return
        if sequence > 0:
            self.acks.ack_up_to(sequence, number)

    def _delivered_all(self) -> None:
        """Nothing is left over: heartbeats come by the alarm."""

    # -- time ------------------------------------------------------------------------------------------------
    def _plan_heartbeat(self) -> None:
        if self.config.idle_heartbeat:
            self._heartbeat_at = self.clock.monotonic() + self.config.idle_heartbeat / _NS
            self.alarm.at(self._heartbeat_at)

    def _due(self, now: float) -> None:
        if self._heartbeat_at > now:
            return
        if self.active:
            last = (self.deliveries.delivered_consumer, self.cursor.position - 1)
            headers = b"Nats-Last-Consumer: %d\r\nNats-Last-Stream: %d\r\n" % last
            outgoing = []
            if self.window is not None and self.window.open_request:
                headers += b"Nats-Consumer-Stalled: %b\r\n" % self.window.open_request
            outgoing.append(status(self.inbox, "100 Idle Heartbeat", headers))
            if self.config.ack_policy == "flow_control" and len(self.deliveries.table):
                assert self.window is not None
                if not self.window.open_request:
                    outgoing.append(self._ask())
            self.account.deliver(self.inbox, outgoing)
        self._plan_heartbeat()

    def _next_time(self) -> float:
        return min(self._heartbeat_at, self.brake.next_time())

    @property
    def threshold(self) -> float:
        """The inactive threshold in seconds; 0 for never."""
        return self.config.inactive_threshold / _NS

    def in_use(self) -> bool:
        """Return whether somebody subscribes to the deliver subject."""
        return self.active

    def _in_hand_until(self, now: float) -> float:
        """Return when the interest changed last: without a subscriber nobody has anything in hand."""
        return self.last_activity

    # -- the rest --------------------------------------------------------------------------------------------
    def unpin(self, group: str) -> None:
        """Refuse: push consumers have no priority groups.

        Raises:
            ApiError: always.
        """
        check_group(group, ())

    def delivery_info(self) -> dict[str, Any]:
        """Return what info shows of waiting requests, interest and priority groups."""
        return {"num_waiting": 0, "push_bound": self.active}

    def _updated(self, former: ConsumerConfig) -> None:
        if self.config.deliver_subject != former.deliver_subject:
            self.inbox = self.config.deliver_subject.encode()
            self.deliveries.queue_all()
            self._watch_inbox()
