"""Answers of readers to deliveries: ack, nak, term, in progress, next (2.7 of the protocol notes).

Acks come as all messages of one chunk that was read from a connection. They are parsed in one tight loop,
written with one journal flush, and answered (those that ask for it) with one durability callback.
"""

from __future__ import annotations

import hashlib
import logging
import random
from typing import TYPE_CHECKING

import orjson

from memphis_desktop.broker.jetstream.times import parse_duration
from memphis_desktop.broker.jetstream.typed_json import DURATION

if TYPE_CHECKING:
    from memphis_desktop.broker.contracts import Client
    from memphis_desktop.broker.jetstream.consumer_base import BaseConsumer
    from memphis_desktop.protocol.acks import AckRun
    from memphis_desktop.protocol.message import Message

log = logging.getLogger(__name__)

_PLAIN = frozenset((b"", b"+ACK", b"+OK"))
_UNCONFIRMED = {(b"", 0, b"")}  # what plain acks nobody waits for have behind their subject
_FEW = 8  # so many acks are read one by one
_NAK, _NEXT, _PROGRESS, _TERM = b"-NAK", b"+NXT", b"+WPI", b"+TERM"
_NS = 1_000_000_000
_HASH_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def short_hash(text: str) -> str:
    """Return the 8 characters that stand for an account in long ack subjects (section 5 of the notes)."""
    digest = hashlib.sha256(text.encode()).digest()
    return "".join(_HASH_DIGITS[value % 62] for value in digest[:8])


def parse_delay(argument: bytes) -> float | None:
    """Return the delay of a nak in seconds; None when there is none that can be read."""
    text = argument.strip()
    if not text:
        return None
    try:
        if not text.startswith(b"{"):
            return parse_duration(text.decode()) / _NS
        document = orjson.loads(text)
        delay = document.get("delay", 0)
        if type(delay) is not int or not DURATION.lowest <= delay <= DURATION.highest:
            raise ValueError("not a duration")
    except ValueError:
        log.warning("bad delay of a nak: %r", text[:64])
        return None
    return delay / _NS


def _sequences_of(messages: list[Message]) -> list[int] | None:
    """Return the stream sequences of ack subjects; None when one of them is not well formed."""
    if {message[0].count(b".") for message in messages} != {8}:
        return None
    try:
        return [int(message[0].split(b".", 6)[5]) for message in messages]
    except ValueError:
        return None


class AckReader:
    """Takes the answers to one consumer's deliveries."""

    def __init__(self, consumer: BaseConsumer) -> None:
        self._consumer = consumer
        node = consumer.stream.node
        domain = node.server_info().get("domain") or "_"
        account = short_hash(consumer.account.name)
        self.long_prefix = f"$JS.ACK.{domain}.{account}.{consumer.suffix}.".encode()
        self._sampling = 0
        self._late: list[int] = []  # past max_deliver, and acked after all
        self.configure()

    def configure(self) -> None:
        """Take the sampling frequency of the consumer's configuration."""
        self._sampling = int(self._consumer.config.sample_freq.removesuffix("%") or 0)

    def handle_long(self, messages: list[Message], client: Client | None) -> None:
        """Take answers to ack subjects of the long form: domain and account come before the stream."""
        skip = len(self.long_prefix)
        prefix = self._consumer.ack_prefix
        shortened = []
        for subject, reply, header_size, body in messages:
            tokens = subject[skip:].split(b".")
            if len(tokens) >= 5:
                shortened.append((prefix + b".".join(tokens[:5]), reply, header_size, body))
        self.handle(shortened, client)

    def handle(self, messages: list[Message], client: Client | None) -> None:
        """Take the answers of one chunk."""
        consumer = self._consumer
        if consumer.stopped:
            return
        was_stalled = consumer.stalled
        consumer.touch()
        replies: list[Message] = []
        requests: list[tuple[bytes, bytes]] = []
        self._late.clear()
        if consumer.config.ack_policy == "explicit" and not self._sampling:
            done = self._read_plain(messages, replies, requests)
        else:
            done = []
            for message in messages:
                self._read(message, done, replies, requests)
        if done or self._late:
            self._finish(done)
        if replies:
            consumer.answer_when_durable(replies)
        for reply, body in requests:
            consumer.request_next(reply, body)
        if was_stalled or requests or consumer.deliveries.queue:
            consumer.pump()

    def handle_run(self, run: AckRun) -> None:
        """Take plain acks that came together."""
        consumer = self._consumer
        if consumer.config.ack_policy != "explicit" or self._sampling:
            self.handle(run.messages(), None)
            return
        if consumer.stopped:
            return
        was_stalled = consumer.stalled
        consumer.touch()
        self._late.clear()
        done = self._take(run.sequences)
        if done or self._late:
            self._finish(done)
        if was_stalled or consumer.deliveries.queue:
            consumer.pump()

    def _read_plain(
        self, messages: list[Message], replies: list[Message], requests: list[tuple[bytes, bytes]]
    ) -> list[int]:
        """Take explicit acks; return the sequences that were pending."""
        consumer = self._consumer
        deliveries = consumer.deliveries
        take = deliveries.table.take_one
        if len(messages) > _FEW and {message[1:] for message in messages} == _UNCONFIRMED:
            sequences = _sequences_of(messages)
            if sequences is not None:
                return self._take(sequences)
        skip = len(consumer.ack_prefix)
        done: list[int] = []
        add = done.append
        for message in messages:
            subject, reply, header_size, body = message
            if header_size:
                body = body[header_size:]
            if body in _PLAIN:
                try:
                    _, token, _, _, _ = subject[skip:].split(b".")
                    sequence = int(token)
                except ValueError:
                    continue
                if take(sequence):
                    add(sequence)
                elif sequence >= consumer.cursor.position:
                    continue  # never delivered: no answer
                elif sequence in deliveries.redeliveries:
                    self._late.append(sequence)
                if reply:
                    replies.append((reply, b"", 0, b""))
            else:
                self._read(message, done, replies, requests)
        return done

    def _take(self, sequences: list[int]) -> list[int]:
        """Take plain acks that nobody waits for; return the sequences that were pending."""
        deliveries = self._consumer.deliveries
        done = deliveries.table.take(sequences)
        if len(done) < len(sequences) and deliveries.redeliveries:
            self._late += set(sequences).difference(done).intersection(deliveries.redeliveries)
        return done

    def _finish(self, done: list[int]) -> None:
        """Write to the journal what was acked, and tell the stream."""
        consumer = self._consumer
        deliveries = consumer.deliveries
        deliveries.acked(done, consumer.clock.time_ns())
        if self._late:
            deliveries.settle(self._late)
            done = sorted({*done, *self._late})
        consumer.journal.acked(done, deliveries.floor_consumer, deliveries.floor_stream)
        consumer.journal.flush()
        if consumer.stream.config.retention != "limits":
            consumer.stream.consumed(consumer, done)

    def _read(
        self,
        message: Message,
        done: list[int],
        replies: list[Message],
        requests: list[tuple[bytes, bytes]],
    ) -> None:
        """Take one answer of any kind; plain acks only add to `done`."""
        consumer = self._consumer
        subject, reply, header_size, body = message
        body = body[header_size:]
        try:
            count, sequence, number, _, _ = map(int, subject[len(consumer.ack_prefix) :].split(b"."))
        except ValueError:
            return
        answered = sequence != 0
        if body in _PLAIN:
            answered = self._ack(sequence, number, count, done)
        elif body.startswith(_NEXT):
            self._ack(sequence, number, count, done)
            requests.append((reply, body[len(_NEXT) :]))
            answered = False
        elif body.startswith(_NAK):
            self._nak(sequence, number, count, body[len(_NAK) :])
        elif body == _PROGRESS:
            self._in_progress(sequence)
        elif body.startswith(_TERM):
            answered = self._ack(sequence, number, 0, done)
            reason = body[len(_TERM) :].strip().decode("utf-8", "replace")
            consumer.advisories.terminated(sequence, number, count, reason)
        if reply and answered:
            replies.append((reply, b"", 0, b""))

    def _ack(self, sequence: int, number: int, count: int, done: list[int]) -> bool:
        """Take an ack; return whether it is answered. A `count` of 0 is not sampled."""
        consumer = self._consumer
        deliveries = consumer.deliveries
        policy = consumer.config.ack_policy
        if sequence >= consumer.cursor.position and not consumer.config.flow_control:
            return False
        if policy == "none":
            return consumer.stream.config.retention != "limits"
        if policy == "explicit":
            entry = deliveries.pending.get(sequence)
            if entry is not None:
                if count and self._sampling:
                    self._sample(sequence, number, count, entry[2])
                del deliveries.pending[sequence]
                done.append(sequence)
            elif sequence in deliveries.redeliveries:
                self._late.append(sequence)
            return True
        self.ack_up_to(sequence, number)
        return True

    def ack_up_to(self, sequence: int, number: int) -> None:
        """Take an ack of everything up to `sequence`, the delivery with consumer sequence `number`."""
        consumer = self._consumer
        deliveries = consumer.deliveries
        if number <= deliveries.floor_consumer or sequence <= deliveries.floor_stream:
            return
        taken = deliveries.settle_up_to(sequence)
        deliveries.floor_consumer, deliveries.floor_stream = number, sequence
        deliveries.last_acked_ns = consumer.clock.time_ns()
        consumer.journal.acked(taken, number, sequence)
        consumer.journal.flush()
        if consumer.stream.config.retention != "limits":
            consumer.stream.consumed(consumer, taken)

    def _nak(self, sequence: int, number: int, count: int, argument: bytes) -> None:
        consumer = self._consumer
        deliveries = consumer.deliveries
        if not deliveries.floor_consumer < number <= deliveries.delivered_consumer + 1:
            return
        entry = deliveries.pending.get(sequence)
        if entry is None:
            return
        consumer.advisories.naked(sequence, number, count)
        delay = parse_delay(argument)
        now, now_ns = consumer.clock.monotonic(), consumer.clock.time_ns()
        if delay is None:
            deliveries.requeue(sequence)
            # The time written makes it due at once after a restart.
            wait = deliveries.wait(sequence)
            time_ns = now_ns if wait == float("inf") else now_ns - round(wait * _NS)
        else:
            deliveries.queue.pop(sequence, None)
            time_ns = deliveries.postpone(sequence, delay, now, now_ns)
            consumer.alarm.at(now + delay)
        consumer.journal.delivered(sequence, entry[0], deliveries.redeliveries.get(sequence, 0) + 1, time_ns)
        consumer.journal.flush()

    def _in_progress(self, sequence: int) -> None:
        consumer = self._consumer
        deliveries = consumer.deliveries
        entry = deliveries.pending.get(sequence)
        if entry is None:
            return
        time_ns = deliveries.touch(sequence, consumer.clock.monotonic(), consumer.clock.time_ns())
        consumer.alarm.at(deliveries.next_deadline)
        consumer.journal.delivered(sequence, entry[0], deliveries.redeliveries.get(sequence, 0) + 1, time_ns)
        consumer.journal.flush()

    def _sample(self, sequence: int, number: int, count: int, delivered_ns: int) -> None:
        """Publish the ack metric for the share of acks that sample_freq names."""
        if self._sampling < 100 and random.randrange(100) > self._sampling:
            return
        consumer = self._consumer
        fields = {
            "stream": consumer.stream.name,
            "consumer": consumer.name,
            "consumer_seq": number,
            "stream_seq": sequence,
            "ack_time": consumer.clock.time_ns() - delivered_ns,
            "deliveries": count,
        }
        consumer.stream.metric("consumer_ack", f"CONSUMER.ACK.{consumer.suffix}", fields)
