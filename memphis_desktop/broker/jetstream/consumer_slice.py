"""A handful of messages on their way to readers, and the pace at which they may go."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from memphis_desktop.broker.store.interface import MessageBlock
from memphis_desktop.protocol.deliveries import DeliveryBlock
from memphis_desktop.protocol.headers import extend

if TYPE_CHECKING:
    from memphis_desktop.broker.clock import Clock
    from memphis_desktop.broker.contracts import Account
    from memphis_desktop.broker.jetstream.config import ConsumerConfig
    from memphis_desktop.broker.jetstream.consumer_alarm import Alarm
    from memphis_desktop.broker.jetstream.contracts import StreamHost
    from memphis_desktop.broker.store.interface import StoredMessage
    from memphis_desktop.protocol.message import Message

BACKLOG_BYTES = 2 << 20  # a reader with more than this unsent is waited for
BACKLOG_RETRY = 0.005  # seconds until it is looked at again

_NS = 1_000_000_000
_SHORTEST_GAP_NS = 1_000_000  # gaps up to a millisecond are not kept
_DEFAULT_BURST = 1 << 20


class Slice:
    """Messages that were read to be delivered next.

    Attributes:
        block: they, in columns, when they were read so; all are first deliveries then.
        sequences: what the cursor gave for them; longer when some could not be read. Empty for redeliveries.
        pending: num_pending before them.
        counts: the number of each delivery; None when all are first ones.
    """

    __slots__ = ("_messages", "block", "counts", "pending", "sequences")

    def __init__(
        self,
        messages: list[StoredMessage] | MessageBlock,
        sequences: Sequence[int],
        pending: int,
        counts: list[int] | None,
    ) -> None:
        self.block = messages if isinstance(messages, MessageBlock) else None
        self._messages = None if isinstance(messages, MessageBlock) else messages
        self.sequences = sequences
        self.pending = pending
        self.counts = counts

    @property
    def messages(self) -> list[StoredMessage]:
        """They, one by one, in the order of delivery."""
        if self._messages is None:
            assert self.block is not None
            self._messages = self.block.messages()
        return self._messages

    def __len__(self) -> int:
        return len(self.messages if self.block is None else self.block.sequences)

    def first(self, count: int) -> Sequence[int]:
        """Return the sequences of the first `count` messages."""
        if self.block is not None:
            return self.block.sequences[:count]
        return [message[0] for message in self.messages[:count]]

    def numbered(self) -> Iterator[tuple[StoredMessage, int]]:
        """Return each message with num_pending after it."""
        messages, sequences, pending = self.messages, self.sequences, self.pending
        if messages[-1][0] == sequences[len(messages) - 1]:
            return zip(messages, range(pending - 1, pending - 1 - len(messages), -1), strict=True)
        return ((m, pending - bisect_right(sequences, m[0])) for m in messages)

    def frames(self, ack_prefix: bytes, number: int) -> list[Message]:
        """Return the messages as they go out, each with its ack subject as reply.

        Args:
            ack_prefix: what the consumer's ack subjects begin with.
            number: the consumer sequence of the first delivery.
        """
        block = self.deliveries(ack_prefix, number)
        if block is not None:
            return block.messages()
        counts, pending = self.counts, self.pending
        if counts is None:
            return [
                (m[2], b"%b1.%d.%d.%d.%d" % (ack_prefix, m[0], number + place, m[1], left), m[3], m[4])
                for place, (m, left) in enumerate(self.numbered())
            ]
        return [
            (m[2], b"%b%d.%d.%d.%d.%d" % (ack_prefix, count, m[0], number + place, m[1], pending), m[3], m[4])
            for place, (m, count) in enumerate(zip(self.messages, counts, strict=True))
        ]

    def deliveries(self, ack_prefix: bytes, number: int) -> DeliveryBlock | None:
        """Return the same in columns; None when they were read one by one."""
        if self.block is None:
            return None
        return DeliveryBlock(ack_prefix + b"1.", *self.block, number, self.pending - 1)

    def passed(self, used: int) -> Sequence[int]:
        """Return the sequences that the cursor passes when the first `used` messages are delivered."""
        if used == len(self.sequences):
            return self.sequences
        last = self.block.sequences[used - 1] if self.block is not None else self.messages[used - 1][0]
        return self.sequences[: bisect_right(self.sequences, last)]


class Brake:
    """Holds deliveries back: until some time, and as long as a reader is behind."""

    def __init__(self, account: Account, clock: Clock, alarm: Alarm) -> None:
        self._account = account
        self._clock = clock
        self._alarm = alarm
        self._behind = b""
        self.until = 0.0

    @property
    def is_on(self) -> bool:
        """Whether nothing may be delivered now; the alarm rings when it is time to look again."""
        now = self._clock.monotonic()
        if self.until > now:
            return True
        if self._behind:
            if self.is_behind(self._behind):
                self.hold(now + BACKLOG_RETRY)
                return True
            self._behind = b""
        return False

    def is_behind(self, inbox: bytes) -> bool:
        """Return whether too much waits for the reader of `inbox`."""
        return self._account.backlog(inbox) > BACKLOG_BYTES

    def hold(self, until: float) -> None:
        """Deliver nothing before `until`."""
        self.until = until
        self._alarm.at(until)

    def wait_for(self, inbox: bytes) -> None:
        """Deliver nothing while the reader of `inbox` is behind."""
        self._behind = inbox

    def next_time(self) -> float:
        """Return when it has to be looked at again; infinity when it is off."""
        return self.until if self.until > self._clock.monotonic() else float("inf")


class Pace:
    """How fast messages may go: replay as they came (replay_policy original), and rate_limit_bps."""

    def __init__(self, config: ConsumerConfig, stream: StreamHost) -> None:
        self._burst = float(stream.config.max_msg_size if stream.config.max_msg_size > 0 else _DEFAULT_BURST)
        self._bytes_per_second = 0.0
        self._credit = self._burst
        self._credit_at = 0.0
        self._replays_until = stream.messages.last_sequence if config.replay_policy == "original" else 0
        self._last_time_ns = 0
        self._last_sent = 0.0
        self.configure(config)

    def configure(self, config: ConsumerConfig) -> None:
        """Take a changed rate."""
        self._bytes_per_second = config.rate_limit_bps / 8

    @property
    def is_free(self) -> bool:
        """Whether messages go as fast as they can."""
        return not self._bytes_per_second and not self._replays_until

    def ready_at(self, message: StoredMessage, size: int, now: float) -> float:
        """Return when `message` may go (monotonic seconds)."""
        ready = now
        if self._replays_until and message.sequence > self._replays_until:
            self._replays_until = 0
        if self._replays_until and self._last_time_ns:
            gap = message.time_ns - self._last_time_ns
            if gap > _SHORTEST_GAP_NS:
                ready = self._last_sent + gap / _NS
        if self._bytes_per_second:
            self._earn(now)
            missing = min(size, self._burst) - self._credit
            if missing > 0:
                ready = max(ready, now + missing / self._bytes_per_second)
        return ready

    def sent(self, message: StoredMessage, size: int, now: float) -> None:
        """Note that a message went."""
        self._last_time_ns = message.time_ns
        self._last_sent = now
        if self._bytes_per_second:
            self._earn(now)
            self._credit -= size

    def _earn(self, now: float) -> None:
        earned = (now - self._credit_at) * self._bytes_per_second
        self._credit = min(self._burst, self._credit + earned)
        self._credit_at = now


def headers_only(frame: Message) -> Message:
    """Return a message with its headers and the size of its payload, but without it."""
    subject, reply, header_size, body = frame
    size = b"%d" % (len(body) - header_size)
    block = extend(body[:header_size], [(b"Nats-Msg-Size", size)])
    return (subject, reply, len(block), block)
