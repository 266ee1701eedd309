"""What pull and push consumers share: their place in the stream, deliveries, events of the stream, info.

A delivery is written to the journal, and handed to the operating system, before it is sent: the delivery
counts survive a kill. Only durable messages are delivered.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from memphis_desktop.broker.jetstream.consumer_acks import AckReader
from memphis_desktop.broker.jetstream.consumer_advisories import ConsumerAdvisories
from memphis_desktop.broker.jetstream.consumer_alarm import Alarm
from memphis_desktop.broker.jetstream.consumer_config import filters_of
from memphis_desktop.broker.jetstream.consumer_cursor import Cursor
from memphis_desktop.broker.jetstream.consumer_deliveries import Deliveries, Exhausted
from memphis_desktop.broker.jetstream.consumer_info import consumer_info
from memphis_desktop.broker.jetstream.consumer_pending import NEVER
from memphis_desktop.broker.jetstream.consumer_reset import ResetHandler
from memphis_desktop.broker.jetstream.consumer_slice import Brake, Pace, Slice, headers_only
from memphis_desktop.broker.store.interface import RemovalReason
from memphis_desktop.protocol.deliveries import DeliveryBlock

if TYPE_CHECKING:
    from memphis_desktop.broker.contracts import Account, AckHandler, Handler, Subscription
    from memphis_desktop.broker.jetstream.config import ConsumerConfig
    from memphis_desktop.broker.jetstream.contracts import StreamHost
    from memphis_desktop.broker.jetstream.documents import StoredPin
    from memphis_desktop.broker.store.interface import (
        ConsumerState,
        ConsumerStore,
        DurableCallback,
        StoredMessage,
    )
    from memphis_desktop.protocol.message import Message

log = logging.getLogger(__name__)

SLICE_MESSAGES = 512  # most messages read and sent in one go
SLICE_BYTES = 1 << 20  # bytes after which such a go ends
TURN_SECONDS = 0.005  # after this long, the rest is left for the next turn of the loop

_NS = 1_000_000_000
_FOR_EVER = 1e9  # seconds
DELETED_REASON = "Unacknowledged message was deleted"


class BaseConsumer(ABC):
    """A consumer apart from how it gets rid of its messages."""

    def __init__(
        self,
        stream: StreamHost,
        name: str,
        config: ConsumerConfig,
        store: ConsumerStore,
        created_ns: int,
    ) -> None:
        """Recover the consumer from its journal, or place a new one by its deliver policy."""
        self.stream = stream
        self.name = name
        self.config = config
        self.created_ns = created_ns
        self.journal = store
        self.account: Account = stream.account
        self.clock = stream.node.clock
        self.deliveries = Deliveries()
        self.deliveries.configure(config.ack_wait, config.backoff, config.max_deliver)
        self.cursor = Cursor(stream.messages, filters_of(config))
        self.alarm = Alarm(self.clock, self._wake)
        self.brake = Brake(self.account, self.clock, self.alarm)
        self.pace = Pace(config, stream)
        self.stopped = False
        self.last_activity = self.clock.monotonic()
        self.tracked = config.ack_policy != "none"
        self.suffix = f"{stream.name}.{name}"
        self.ack_prefix = f"$JS.ACK.{self.suffix}.".encode()
        self.advisories = ConsumerAdvisories(self)
        self.acks = AckReader(self)
        self._reset_handler = ResetHandler(self)
        self._subscriptions: list[Subscription] = []
        self._pumping = False
        self._pump_again = False
        self._pump_planned = False
        self._pause_reported = False
        self._recover()
        store.state_source = self.saved_state

    def saved_pin(self) -> StoredPin | None:
        """Return who has the pin; only pull consumers have one."""
        return None

    def restore_pin(self, pin: StoredPin) -> None:
        """Give the pin to who had it before a restart; only pull consumers have one."""
        return

    def saved_state(self) -> ConsumerState:
        """Return all that has to survive a restart; the journal asks for it when it starts a new file."""
        return self.deliveries.state(self.cursor.skip_until)

    def _recover(self) -> None:
        now, now_ns = self.clock.monotonic(), self.clock.time_ns()
        state = self.journal.load()
        deliveries, cursor, messages = self.deliveries, self.cursor, self.stream.messages
        self._is_new = state is None
        if state is None:
            cursor.start(self.config, self.stream.config.max_msgs_per_subject)
            deliveries.reset(cursor.position - 1)
            self.write_state()
            return
        deliveries.load(state, now, now_ns)
        if deliveries.delivered_stream > messages.last_sequence and state.delivered_consumer:
            log.warning(
                "consumer %s had delivered up to %d, its stream ends at %d",
                self.suffix,
                deliveries.delivered_stream,
                messages.last_sequence,
            )
            deliveries.delivered_stream = messages.last_sequence
            deliveries.floor_stream = min(deliveries.floor_stream, messages.last_sequence)
        cursor.place(deliveries.delivered_stream + 1, state.skip_until)
        gone = [
            sequence
            for sequence in (*deliveries.pending, *deliveries.redeliveries)
            if messages.subject_of(sequence) is None
        ]
        if gone:
            deliveries.settle(gone)
            deliveries.raise_floor()
            self.write_state()

    # -- life ------------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Subscribe to the consumer's subjects and begin to deliver."""
        if self.tracked:
            self.listen(self.ack_prefix + b">", self.acks.handle, acks=self.acks.handle_run)
            self.listen(self.acks.long_prefix + b">", self.acks.handle_long)
        self.listen(f"$JS.API.CONSUMER.RESET.{self.suffix}".encode(), self._reset_handler.handle)
        self._start_delivery()
        self.touch()
        self.exhausted(self.deliveries.expire(self.clock.monotonic()).exhausted)
        if self._is_new and self.paused:
            self._pause_changed()
        self.rearm()
        # In the next turn, so that the answer to the request that made it goes out first.
        self._pump_soon()

    def listen(self, pattern: bytes, handler: Handler, acks: AckHandler | None = None) -> None:
        """Subscribe until the consumer stops."""
        self._subscriptions.append(self.account.subscribe(pattern, handler, acks=acks))

    def stop(self, *, deleted: bool) -> None:
        """End: tell who waits, let go of subjects and timer, close the journal."""
        if self.stopped:
            return
        self.stopped = True
        self.alarm.stop()
        for subscription in self._subscriptions:
            self.account.unsubscribe(subscription)
        self._subscriptions.clear()
        self._stop_delivery(deleted)
        self.journal.close()

    # -- what kinds of consumers differ in -------------------------------------------------------------------
    @abstractmethod
    def _start_delivery(self) -> None:
        """Subscribe to what only this kind needs."""

    @abstractmethod
    def _stop_delivery(self, deleted: bool) -> None:
        """Tell who waits for messages that there are no more."""

    @abstractmethod
    def _deliver(self) -> bool:
        """Deliver one slice; return whether there may be more to deliver at once."""

    @abstractmethod
    def _delivered_all(self) -> None:
        """Called when `_deliver` found no more to do for now."""

    @abstractmethod
    def _due(self, now: float) -> None:
        """Do what has become due; the alarm has rung."""

    @abstractmethod
    def _next_time(self) -> float:
        """Return when this kind wants to be woken."""

    @abstractmethod
    def delivery_info(self) -> dict[str, Any]:
        """Return num_waiting and push_bound, as this kind has them."""

    @abstractmethod
    def in_use(self) -> bool:
        """Return whether somebody waits for messages."""

    @abstractmethod
    def request_next(self, reply: bytes, body: bytes) -> None:
        """Take a pull request that came with an ack (``+NXT``) or otherwise."""

    @abstractmethod
    def _updated(self, former: ConsumerConfig) -> None:
        """Follow what changed in `config`."""

    # -- delivering ------------------------------------------------------------------------------------------
    def pump(self) -> None:
        """Deliver what can be delivered, for one turn's worth of time; the rest follows in the next turns."""
        if self._pumping:
            self._pump_again = True
            return
        if self.stopped:
            return
        self._pumping = True
        try:
            end = self.clock.monotonic() + TURN_SECONDS
            while not self.paused and (self._deliver() or self._pump_again):
                self._pump_again = False
                if self.clock.monotonic() > end:
                    self._pump_soon()
                    return
        finally:
            self._pumping = False
            self._pump_again = False
        self._delivered_all()

    def _pump_soon(self) -> None:
        if not self._pump_planned:
            self._pump_planned = True
            self.clock.call_soon(self._pump_planned_turn)

    def _pump_planned_turn(self) -> None:
        self._pump_planned = False
        self.pump()
        self.stream.node.flush()

    @property
    def visible(self) -> int:
        """The highest sequence that may be delivered."""
        return self.stream.visible_sequence

    @property
    def num_pending(self) -> int:
        """How many messages were never delivered yet; exact. Those on their way to the disk count, too."""
        return self.cursor.count(self.stream.messages.last_sequence)

    @property
    def awaits_disk(self) -> bool:
        """Whether all there is to deliver was stored a moment ago and is not durable yet."""
        messages, visible = self.stream.messages, self.visible
        return (
            visible < messages.last_sequence
            and messages.failure is None
            and self.num_pending > 0
            and not self.cursor.peek(1, visible)
        )

    @property
    def stalled(self) -> bool:
        """Whether max_ack_pending keeps new messages back."""
        return 0 < self.config.max_ack_pending <= len(self.deliveries.table)

    def take(self, limit: int) -> Slice | None:
        """Return up to `limit` messages that are next, redeliveries before new ones; None when none are.

        They count as delivered only with `commit`.
        """
        if self.deliveries.queue:
            redeliveries = self._take_redeliveries(limit)
            if redeliveries is not None:
                return redeliveries
        most = self.config.max_ack_pending
        if most > 0:
            limit = min(limit, most - len(self.deliveries.table))
        while limit > 0:
            sequences = self.cursor.peek(limit, self.visible)
            if not sequences:
                self.cursor.pass_by(self.visible)
                return None
            block = self.stream.messages.read_block(sequences, SLICE_BYTES)
            if block is not None:
                return Slice(block, sequences, self.num_pending, None)
            messages = self.stream.messages.read_many(sequences, SLICE_BYTES)
            if len(messages) < len(sequences):
                # The slice is full, or some were found damaged: those leave the stream while they are read.
                subject_of = self.stream.messages.subject_of
                sequences = [sequence for sequence in sequences if subject_of(sequence) is not None]
            if messages:
                return Slice(messages, sequences, self.num_pending, None)
            self.cursor.advance(sequences, self.stream.messages.last_sequence)
        return None

    def _take_redeliveries(self, limit: int) -> Slice | None:
        deliveries = self.deliveries
        counts: dict[int, int] = {}
        while len(counts) < limit:
            taken = deliveries.take_redelivery()
            if taken is None:
                break
            if isinstance(taken, Exhausted):
                self.exhausted([taken])
            elif taken[0] in deliveries.table:
                counts[taken[0]] = taken[1]
        if not counts:
            return None
        found = {m.sequence: m for m in self.stream.messages.read_many(sorted(counts), SLICE_BYTES)}
        is_full = sum(len(message.body) for message in found.values()) >= SLICE_BYTES
        messages: list[StoredMessage] = []
        for sequence in reversed(counts):
            message = found.get(sequence)
            if message is not None:
                messages.append(message)
            elif is_full and self.stream.messages.subject_of(sequence) is not None:
                deliveries.put_back(sequence)
            else:
                self.terminate([sequence], DELETED_REASON)
        if not messages:
            return None
        messages.reverse()
        return Slice(messages, [], self.num_pending, [counts[m.sequence] for m in messages])

    def outgoing(self, taken: Slice) -> list[Message] | DeliveryBlock:
        """Return what goes out for a slice, all of it; to be asked for before `commit`, like `frames`."""
        number = self.deliveries.delivered_consumer + 1
        block = None if self.config.headers_only else taken.deliveries(self.ack_prefix, number)
        return self.frames(taken) if block is None else block

    def frames(self, taken: Slice) -> list[Message]:
        """Return the messages of a slice as they go out, each with its ack subject as reply."""
        frames = taken.frames(self.ack_prefix, self.deliveries.delivered_consumer + 1)
        return [headers_only(frame) for frame in frames] if self.config.headers_only else frames

    def send(self, inbox: bytes, outgoing: list[Message] | DeliveryBlock) -> None:
        """Send what `outgoing` returned."""
        if isinstance(outgoing, DeliveryBlock):
            self.account.deliver_block(inbox, outgoing)
        else:
            self.account.deliver(inbox, outgoing)

    def commit(self, taken: Slice, used: int) -> None:
        """Note that the first `used` messages of a slice go out now, and write that to the journal."""
        deliveries, journal = self.deliveries, self.journal
        now, now_ns = self.clock.monotonic(), self.clock.time_ns()
        if taken.counts is not None:
            messages = taken.messages
            for message, count in zip(messages[:used], taken.counts, strict=False):
                number = deliveries.redelivered(message.sequence, now, now_ns)
                journal.delivered(message.sequence, number, count, now_ns)
            for message in reversed(messages[used:]):
                deliveries.put_back(message.sequence)
        elif used:
            sequences = taken.first(used)
            first = deliveries.first_delivery(sequences, now, now_ns, tracked=self.tracked)
            if self.tracked:
                journal.delivered_first(sequences, first, now_ns)
            else:
                last = sequences[-1:]
                journal.delivered_first(last, deliveries.delivered_consumer, now_ns)
                journal.acked(last, deliveries.floor_consumer, deliveries.floor_stream)
            self.cursor.advance(taken.passed(used), self.stream.messages.last_sequence)
        if used:
            journal.flush()
            self.last_activity = now
            self.alarm.at(deliveries.next_deadline)

    def delivered(self, taken: Slice, used: int) -> None:
        """Tell the stream of deliveries that nobody acks. Called when they were sent."""
        if not self.tracked and taken.counts is None and self.stream.config.retention != "limits":
            self.stream.consumed(self, taken.first(used))

    def exhausted(self, messages: Sequence[Exhausted]) -> None:
        """Report messages that are past max_deliver, and are pending no more."""
        for sequence, count in messages:
            floor = (self.deliveries.floor_consumer, self.deliveries.floor_stream)
            self.journal.exhausted(sequence, count, *floor)
            self.advisories.exhausted(sequence, count)
        if messages:
            self.journal.flush()

    def terminate(self, sequences: Sequence[int], reason: str) -> None:
        """Take pending messages out that will never be delivered again, with an advisory each."""
        deliveries = self.deliveries
        terminated = []
        for sequence in sequences:
            entry = deliveries.pending.get(sequence)
            if entry is not None:
                terminated.append((sequence, entry[0], deliveries.redeliveries.get(sequence, 0)))
        deliveries.settle(sequences)
        deliveries.raise_floor()
        if terminated:
            deliveries.last_acked_ns = self.clock.time_ns()
        self.journal.acked(sequences, deliveries.floor_consumer, deliveries.floor_stream)
        self.journal.flush()
        for sequence, number, count in terminated:
            self.advisories.terminated(sequence, number, max(count, 1), reason)

    def touch(self) -> None:
        """Note that the consumer is used: its inactive threshold begins anew."""
        self.last_activity = self.clock.monotonic()

    # -- events of the stream --------------------------------------------------------------------------------
    def messages_visible(self, first: int, last: int) -> None:
        """Deliver new messages to who waits for them."""
        self.pump()

    def messages_removed(self, removed: Sequence[tuple[int, bytes]], reason: str) -> None:
        """Forget messages that left the stream; pending ones are terminated."""
        if self.stopped or not removed or reason == RemovalReason.PURGE:
            return  # a purge is followed by `purged`
        self.cursor.removed(removed)
        deliveries = self.deliveries
        table, known = deliveries.table, deliveries.redeliveries
        lowest = table.lowest()
        if removed[0][0] >= self.cursor.position or not (known or lowest is not None):
            return
        if not known and lowest is not None and removed[-1][0] < lowest[0]:
            return
        gone = [sequence for sequence, _ in removed if sequence in table or sequence in known]
        if gone:
            self.terminate(gone, DELETED_REASON)
            self.pump()

    def purged(self, *, filtered: bool = False) -> None:
        """Forget what a purge removed; what was pending is terminated when it was for some subjects only."""
        if self.stopped:
            return
        deliveries, cursor, messages = self.deliveries, self.cursor, self.stream.messages
        first = messages.first_sequence
        cursor.recount()
        cursor.pass_by(first - 1)
        deliveries.delivered_stream = cursor.position - 1
        known = {*deliveries.pending, *deliveries.redeliveries}
        gone = [sequence for sequence in sorted(known) if messages.subject_of(sequence) is None]
        if filtered and gone:
            self.terminate(gone, DELETED_REASON)
        if deliveries.settle(gone):
            deliveries.last_acked_ns = self.clock.time_ns()
        deliveries.raise_floor()
        deliveries.floor_stream = max(deliveries.floor_stream, first - 1)
        self.write_state()
        self.pump()

    def wants(self, sequence: int, subject: bytes) -> bool:
        """Return whether this message is still to be delivered to, or acknowledged by, this consumer."""
        if not self.cursor.matches(subject):
            return False
        deliveries = self.deliveries
        if sequence in deliveries.redeliveries:
            return True
        if sequence >= self.cursor.position:
            return True
        if self.config.ack_policy == "explicit":
            return sequence in deliveries.table
        return sequence > deliveries.floor_stream

    # -- changes ---------------------------------------------------------------------------------------------
    def update(self, config: ConsumerConfig) -> None:
        """Take a changed configuration that validation has accepted."""
        former, self.config = self.config, config
        self.deliveries.configure(config.ack_wait, config.backoff, config.max_deliver)
        if filters_of(config) != filters_of(former):
            self.cursor.refilter(filters_of(config))
        self.pace.configure(config)
        self.acks.configure()
        self._updated(former)
        if config.inactive_threshold != former.inactive_threshold:
            self.touch()
        if self.paused or (config.pause_until or 0) != (former.pause_until or 0):
            self._pause_changed()
        self.rearm()
        self.pump()

    def pause(self, until_ns: int) -> None:
        """Deliver nothing until then; 0, or a time that has passed, resumes."""
        former = self.config.pause_until or 0
        self.config.pause_until = until_ns or None
        if former != until_ns:
            self._pause_changed()
        self.rearm()
        self.pump()

    @property
    def paused(self) -> bool:
        """Whether nothing is delivered for now."""
        until = self.config.pause_until
        return until is not None and self.clock.time_ns() < until

    def _pause_changed(self) -> None:
        self._pause_reported = not self.paused
        self.advisories.pause()

    @abstractmethod
    def unpin(self, group: str) -> None:
        """Take the pin from the client that has it (CONSUMER.UNPIN).

        Raises:
            ApiError: there is no such group.
        """

    def restart_at(self, sequence: int) -> None:
        """Forget all deliveries and go on with `sequence` (CONSUMER.RESET)."""
        self.deliveries.reset(sequence - 1)
        self.cursor.place(sequence)
        self.write_state()
        self.stream.interest_changed()
        self.pump()

    def write_state(self) -> None:
        """Write the whole state to the journal."""
        self.journal.reset(self.saved_state())
        self.journal.flush()

    # -- time ------------------------------------------------------------------------------------------------
    def rearm(self) -> None:
        """Set the alarm to the next thing there is to do."""
        self.alarm.at(min(self.deliveries.next_deadline, self._next_time(), self._pause_end()))
        if self.threshold:
            self.alarm.at(self._idle_end())

    def _pause_end(self) -> float:
        until = self.config.pause_until
        if until is None or not self.paused:
            return NEVER
        return self.clock.monotonic() + (until - self.clock.time_ns()) / _NS

    def _wake(self) -> None:
        if self.stopped:
            return
        now = self.clock.monotonic()
        if self.deliveries.next_deadline <= now:
            self.exhausted(self.deliveries.expire(now).exhausted)
        if not self._pause_reported and self.config.pause_until is not None and not self.paused:
            self._pause_reported = True
            self.advisories.pause()
        self._due(now)
        self.pump()
        if self.threshold and self._idle_end() <= now and not self._end_when_idle():
            return
        self.rearm()
        self.stream.node.flush()

    # -- inactivity ------------------------------------------------------------------------------------------
    @property
    @abstractmethod
    def threshold(self) -> float:
        """Seconds without use after which the consumer is deleted; 0 for never."""

    def _idle_end(self) -> float:
        """Return when the consumer will have been unused for its threshold, as far as is known now."""
        now = self.clock.monotonic()
        end = self.last_activity + self.threshold
        if end > now:
            return end
        if self.in_use():
            return now + self.threshold
        return max(end, self._in_hand_until(now) + self.threshold)

    def _in_hand_until(self, now: float) -> float:
        """Return until when a reader may have messages in hand: for as long as their ack wait runs."""
        return min(self.deliveries.last_deadline, now + _FOR_EVER)

    def _end_when_idle(self) -> bool:
        """Delete the consumer; return False when it is gone."""
        log.debug("consumer %s was not used for %.1f s", self.suffix, self.threshold)
        self.stream.remove_consumer(self.name)
        self.stream.node.flush()
        return False

    # -- info ------------------------------------------------------------------------------------------------
    def info(self) -> dict[str, Any]:
        """Return ConsumerInfo (2.6 of the protocol notes), without ``type``."""
        return consumer_info(self)

    def answer_when_durable(self, replies: list[Message]) -> None:
        """Publish answers to acks once the journal is on disk; not at all when that fails."""

        def publish(failure: Exception | None) -> None:
            if failure is None:
                self.account.publish_many(replies)
                self.stream.node.flush()

        self.journal.when_durable(publish)

    def when_durable(self, callback: DurableCallback) -> None:
        """Call back once all acks until now are on disk, after those who wait for that already."""
        self.journal.when_durable(callback)
