"""A consumer in a small world: a real memory store, a clock that tests move, an account that writes down."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from memphis_desktop.broker.jetstream.config import ConsumerConfig, StreamConfig
from memphis_desktop.broker.jetstream.consumer import create_consumer
from memphis_desktop.broker.jetstream.consumer_base import BaseConsumer
from memphis_desktop.broker.jetstream.consumer_config import check_consumer
from memphis_desktop.broker.store.interface import (
    ConsumerState,
    ConsumerStore,
    DurableCallback,
    Limits,
    PendingDelivery,
)
from memphis_desktop.broker.store.memory import MemoryMessageStore
from memphis_desktop.protocol.acks import AckRun
from memphis_desktop.protocol.commands import ACKS
from memphis_desktop.protocol.deliveries import DeliveryBlock
from memphis_desktop.protocol.message import Message
from memphis_desktop.protocol.parser import ClientParser
from memphis_desktop.protocol.subjects import matches

START_NS = 1_700_000_000_000_000_000
SECOND = 1_000_000_000


class Planned:
    """A planned call."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class MovedClock:
    """Time that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.offset_ns = START_NS
        self._order = itertools.count()
        self._planned: list[tuple[float, int, Planned]] = []

    def time_ns(self) -> int:
        return self.offset_ns + round((self.now - 1000.0) * SECOND)

    def monotonic(self) -> float:
        return self.now

    def stopwatch(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], None]) -> Planned:
        planned = Planned(callback)
        heapq.heappush(self._planned, (self.now + delay, next(self._order), planned))
        return planned

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.call_later(0.0, callback)

    def call_after(self, callback: Callable[[], None]) -> None:
        """Run in the next turn."""
        self.call_soon(callback)

    def begin_chunk(self) -> bool:
        """Nothing waits for the end of a chunk here."""
        return False

    def end_chunk(self) -> None:
        """Nothing waited."""

    def advance(self, seconds: float) -> None:
        """Let time pass, with everything that happens in it."""
        end = self.now + seconds
        while self._planned and self._planned[0][0] <= end:
            when, _, planned = heapq.heappop(self._planned)
            self.now = max(self.now, when)
            if planned.callback is not None:
                planned.callback()
        self.now = end

    def settle(self) -> None:
        """Run what was planned for this very moment."""
        self.advance(0.0)


class Watch:
    """A watch on an inbox."""

    def __init__(self, account: WrittenAccount, subject: bytes, changed: Callable[[bool], None]) -> None:
        self.account, self.subject, self.changed = account, subject, changed
        account.watches.append(self)

    def cancel(self) -> None:
        self.account.watches.remove(self)


class Subscribed:
    """A server-side subscription."""

    def __init__(self, pattern: bytes, handler: Any, acks: Any) -> None:
        self.pattern, self.handler, self.acks = pattern, handler, acks


class WrittenAccount:
    """An account whose clients are lists: what is delivered to an inbox is in `inboxes`."""

    name = "$G"

    def __init__(self) -> None:
        self.inboxes: dict[bytes, list[Message]] = {}
        self.published: list[Message] = []
        self.subscriptions: list[Subscribed] = []
        self.watches: list[Watch] = []
        self.unsent: dict[bytes, int] = {}

    def open(self, inbox: bytes) -> list[Message]:
        """Subscribe a client to an inbox; return the list that its messages come to."""
        self.inboxes.setdefault(inbox, [])
        for watch in list(self.watches):
            if watch.subject == inbox:
                watch.changed(True)
        return self.inboxes[inbox]

    def shut(self, inbox: bytes) -> None:
        """Unsubscribe the client."""
        del self.inboxes[inbox]
        for watch in list(self.watches):
            if watch.subject == inbox:
                watch.changed(False)

    def subscribe(self, pattern: bytes, handler: Any, queue: bytes = b"", *, acks: Any = None) -> Subscribed:
        subscription = Subscribed(pattern, handler, acks)
        self.subscriptions.append(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscribed) -> None:
        self.subscriptions.remove(subscription)

    def publish(self, message: Message) -> None:
        self.published.append(message)

    def publish_many(self, messages: Sequence[Message]) -> None:
        self.published.extend(messages)

    def deliver(self, inbox: bytes, messages: Sequence[Message]) -> bool:
        if inbox not in self.inboxes:
            return False
        self.inboxes[inbox].extend(messages)
        return True

    def deliver_block(self, inbox: bytes, block: DeliveryBlock) -> bool:
        return self.deliver(inbox, block.messages())

    def has_interest(self, subject: bytes) -> bool:
        return subject in self.inboxes

    def backlog(self, inbox: bytes) -> int:
        return self.unsent.get(inbox, 0)

    def watch_interest(self, subject: bytes, changed: Callable[[bool], None]) -> Watch:
        return Watch(self, subject, changed)

    def send(self, *messages: Message) -> None:
        """Let a client publish a chunk."""
        for subscription in list(self.subscriptions):
            mine = [message for message in messages if matches(subscription.pattern, message[0])]
            if mine:
                subscription.handler(mine, None)

    def acknowledge(self, run: AckRun) -> None:
        """Let a client ack in bulk."""
        (taker,) = [one for one in self.subscriptions if matches(one.pattern, run.subject)]
        taker.acks(run)


class Journal(ConsumerStore):
    """A journal that keeps the state its records describe, as a recovery would find it."""

    def __init__(self, state: ConsumerState | None = None) -> None:
        self.state = state
        self.unflushed = 0
        self.waiting: list[DurableCallback] = []

    def load(self) -> ConsumerState | None:
        return self.state

    def delivered_first(self, stream_sequences: Sequence[int], consumer_sequence: int, time_ns: int) -> None:
        assert self.state is not None
        self.unflushed += 1
        for number, sequence in enumerate(stream_sequences, consumer_sequence):
            self.state.pending[sequence] = PendingDelivery(number, time_ns)
        self.state.delivered_consumer = consumer_sequence + len(stream_sequences) - 1
        self.state.delivered_stream = stream_sequences[-1]
        self.state.last_delivered_ns = time_ns

    def delivered(self, stream_sequence: int, consumer_sequence: int, deliveries: int, time_ns: int) -> None:
        assert self.state is not None
        self.unflushed += 1
        entry = self.state.pending[stream_sequence]
        entry.time_ns, entry.deliveries = time_ns, deliveries
        self.state.delivered_consumer = max(self.state.delivered_consumer, consumer_sequence)
        self.state.last_delivered_ns = max(self.state.last_delivered_ns, time_ns)

    def acked(self, stream_sequences: Any, consumer_floor: int, stream_floor: int) -> None:
        assert self.state is not None
        self.unflushed += 1
        for sequence in stream_sequences:
            self.state.pending.pop(sequence, None)
            self.state.exhausted.pop(sequence, None)
        self.state.ack_floor_consumer, self.state.ack_floor_stream = consumer_floor, stream_floor

    def exhausted(
        self, stream_sequence: int, deliveries: int, consumer_floor: int, stream_floor: int
    ) -> None:
        assert self.state is not None
        self.unflushed += 1
        del self.state.pending[stream_sequence]
        self.state.exhausted[stream_sequence] = deliveries
        self.state.ack_floor_consumer, self.state.ack_floor_stream = consumer_floor, stream_floor

    def reset(self, state: ConsumerState) -> None:
        self.unflushed += 1
        self.state = state

    def flush(self) -> None:
        self.unflushed = 0

    def when_durable(self, callback: DurableCallback) -> None:
        self.waiting.append(callback)

    def sync(self) -> None:
        """Say that everything is on disk."""
        waiting, self.waiting = self.waiting, []
        for callback in waiting:
            callback(None)

    def close(self) -> None:
        self.flush()


class Node:
    """As much of a node as consumers use."""

    server_id = server_name = "N"
    version = "2.15.1"
    max_payload = 1 << 20

    def __init__(self, clock: MovedClock) -> None:
        self.clock = clock
        self.flushes = 0

    def flush(self) -> None:
        self.flushes += 1

    def server_info(self) -> dict[str, Any]:
        return {}


class World:
    """A stream with a consumer, which is also the consumer's `StreamHost`."""

    closed = False

    def __init__(self, limits: Limits | None = None, **stream: Any) -> None:
        self.clock = MovedClock()
        self.node = Node(self.clock)
        self.account = WrittenAccount()
        self.name = "S"
        self.config = StreamConfig(name="S", subjects=["s.>"], num_replicas=1)
        for key, value in stream.items():
            setattr(self.config, key, value)
        self.messages = MemoryMessageStore(limits or Limits(), self.clock)
        self.messages.on_removed = self._removed
        self.hidden = 0  # newest messages that are not durable yet
        self.advisories: list[tuple[str, str, dict[str, Any]]] = []
        self.metrics: list[tuple[str, str, dict[str, Any]]] = []
        self.done: list[int] = []
        self.interest_changes = 0
        self.deleted: list[str] = []
        self.journal = Journal()
        self.noted_pin: Any = None
        self.consumer: BaseConsumer | None = None

    @property
    def visible_sequence(self) -> int:
        return self.messages.last_sequence - self.hidden

    def consumed(self, consumer: Any, sequences: Sequence[int]) -> None:
        self.done.extend(sequences)

    def advise(self, kind: str, subject_suffix: str, fields: dict[str, Any]) -> None:
        self.advisories.append((kind, subject_suffix, fields))

    def metric(self, kind: str, subject_suffix: str, fields: dict[str, Any]) -> None:
        self.metrics.append((kind, subject_suffix, fields))

    def interest_changed(self) -> None:
        self.interest_changes += 1

    def note_consumer(self, consumer: Any) -> None:
        self.noted_pin = consumer.saved_pin()

    def remove_consumer(self, name: str) -> None:
        self.deleted.append(name)
        assert self.consumer is not None
        self.consumer.stop(deleted=True)

    def _removed(self, removed: Sequence[tuple[int, bytes]], reason: str) -> None:
        if self.consumer is not None:
            self.consumer.messages_removed(removed, reason)

    # -- what tests do ---------------------------------------------------------------------------------------
    def consume(self, **config: Any) -> BaseConsumer:
        """Create and start the consumer `C`, explicit acks unless told otherwise."""
        wanted = ConsumerConfig(durable_name="C", name="C", ack_policy="explicit")
        for key, value in config.items():
            setattr(wanted, key, value)
        check_consumer(wanted, self.config, name="C")
        return self.begin(wanted)

    def begin(self, config: ConsumerConfig) -> BaseConsumer:
        """Create (or, with a journal that has a state, recover) the consumer and start it."""
        self.consumer = create_consumer(self, "C", config, self.journal, self.clock.time_ns(), None)
        self.consumer.start()
        return self.consumer

    def restart(self) -> BaseConsumer:
        """End the consumer as a kill would, and recover it from its journal."""
        assert self.consumer is not None
        assert self.journal.unflushed == 0
        self.consumer.alarm.stop()
        self.consumer.stopped = True
        self.account.subscriptions.clear()
        self.account.watches.clear()
        return self.begin(self.consumer.config)

    def publish(self, *subjects: str, body: bytes = b"x", visible: bool = True) -> int:
        """Store messages; return the last sequence."""
        first = self.messages.append([(s.encode(), 0, body) for s in subjects], self.clock.time_ns())
        if not visible:
            self.hidden += len(subjects)
        elif self.consumer is not None:
            self.consumer.messages_visible(first, self.messages.last_sequence)
        return self.messages.last_sequence

    def pull(self, inbox: str = "in", body: bytes = b"") -> list[Message]:
        """Send a pull request and return what the inbox has."""
        messages = self.account.open(inbox.encode())
        self.account.send((b"$JS.API.CONSUMER.MSG.NEXT.S.C", inbox.encode(), 0, body))
        return messages

    def answer(self, message: Message, body: bytes = b"", reply: bytes = b"") -> None:
        """Answer a delivered message."""
        self.account.send((message[1], reply, 0, body))

    def info(self) -> dict[str, Any]:
        assert self.consumer is not None
        return self.consumer.info()


def ack_run(messages: list[Message]) -> AckRun:
    """Return plain acks of delivered messages as they are taken in bulk."""
    parser = ClientParser()
    parser.finds_acks = True
    lines = [b"PUB %b 0\r\n\r\n" % message[1] for message in [*messages, messages[0]]]
    ((kind, run), _) = parser.feed(b"".join(lines))
    assert kind == ACKS
    assert len(run.sequences) == len(messages)
    return run


def numbers(message: Message) -> tuple[int, int, int, int]:
    """Return (deliveries, stream sequence, consumer sequence, pending) of a delivered message."""
    tokens = message[1].split(b".")
    return int(tokens[4]), int(tokens[5]), int(tokens[6]), int(tokens[8])


def sequences(messages: list[Message]) -> list[int]:
    """Return the stream sequences of the delivered messages, leaving statuses out."""
    return [numbers(message)[1] for message in messages if message[1].startswith(b"$JS.ACK.")]


def statuses(messages: list[Message]) -> list[str]:
    """Return the status lines among delivered messages."""
    return [
        message[3].split(b"\r\n")[0].removeprefix(b"NATS/1.0 ").decode()
        for message in messages
        if message[3].startswith(b"NATS/1.0 ") and message[3][9:10].isdigit()
    ]
