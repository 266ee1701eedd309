"""When messages of interest and work-queue streams may go: when all who want them are done with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from memphis_desktop.broker.store.interface import NewMessage, RemovalReason
from memphis_desktop.protocol import subjects

if TYPE_CHECKING:
    from memphis_desktop.broker.jetstream.stream import Stream

# How many messages a check of the whole stream looks at in one turn of the loop.
_SLICE = 2000


class Interested(Protocol):
    """A consumer, or a stream that takes this one's messages over."""

    def wants(self, sequence: int, subject: bytes) -> bool:
        """Return whether it still needs this message."""


class Retention:
    """The retention policy of one stream; nothing to do when that is limits."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._checking_from = 0

    def stored(self, messages: Sequence[NewMessage], first: int) -> None:
        """Drop those new messages of an interest stream that no consumer's filter matches."""
        filters = self._filters()
        if filters is None:
            return
        unwanted = [
            sequence
            for sequence, (subject, _, _) in enumerate(messages, first)
            if not any(subjects.matches(pattern, subject) for pattern in filters)
        ]
        if unwanted:
            self._stream.messages.remove(unwanted, RemovalReason.CONSUMED)

    def consumed(self, consumer: Interested, sequences: Sequence[int]) -> None:
        """Drop what `consumer` is done with, unless another consumer still wants it."""
        stream = self._stream
        others = [one for one in stream.interested() if one is not consumer]
        if stream.config.retention == "interest" and others:
            subject_of = stream.messages.subject_of
            sequences = [
                sequence
                for sequence in sequences
                if (subject := subject_of(sequence)) is not None
                and not any(other.wants(sequence, subject) for other in others)
            ]
        if sequences:
            stream.messages.remove(sequences, RemovalReason.CONSUMED)

    def consumer_gone(self) -> None:
        """Drop what only a consumer wanted that was deleted."""
        if self._stream.config.retention == "interest":
            self.check_all()

    def check_all(self) -> None:
        """Look through the whole stream for messages that nobody wants, a slice per turn of the loop."""
        stream = self._stream
        if stream.config.retention == "limits" or not stream.messages.message_count:
            return
        if stream.config.retention == "workqueue" and not stream.interested():
            return
        already_running = self._checking_from > 0
        self._checking_from = max(stream.messages.first_sequence, 1)
        if not already_running:
            self._check_slice()

    def _check_slice(self) -> None:
        stream = self._stream
        if stream.closed or stream.config.retention == "limits":
            self._checking_from = 0
            return
        sequences = stream.messages.next_sequences(self._checking_from, _SLICE)
        consumers = stream.interested()
        work_queue = stream.config.retention == "workqueue"
        unwanted = []
        for sequence in sequences:
            subject = stream.messages.subject_of(sequence)
            if subject is None or any(consumer.wants(sequence, subject) for consumer in consumers):
                continue
            if work_queue and not self._was_for_somebody(subject):
                continue
            unwanted.append(sequence)
        if unwanted:
            stream.messages.remove(unwanted, RemovalReason.CONSUMED)
        if len(sequences) < _SLICE:
            self._checking_from = 0
            return
        self._checking_from = sequences[-1] + 1
        stream.node.clock.call_soon(self._check_slice)

    def _was_for_somebody(self, subject: bytes) -> bool:
        """Return whether a consumer's filters match: a work queue keeps what has no consumer yet."""
        filters = self._filters()
        return filters is None or any(subjects.matches(pattern, subject) for pattern in filters)

    def _filters(self) -> list[bytes] | None:
        """Return the filters of all consumers; None when one of them wants everything."""
        filters: list[bytes] = []
        for consumer in self._stream.consumers.values():
            config = consumer.config
            own = [config.filter_subject] if config.filter_subject else config.filter_subjects
            if not own:
                return None
            filters += [pattern.encode() for pattern in own]
        for follower in self._stream.followers:
            if not follower.filters:
                return None
            filters += follower.filters
        return filters
