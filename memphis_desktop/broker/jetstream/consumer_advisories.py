"""What a consumer makes known by itself, below ``$JS.EVENT.ADVISORY.CONSUMER``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memphis_desktop.broker.jetstream.times import format_time

if TYPE_CHECKING:
    from memphis_desktop.broker.jetstream.consumer_base import BaseConsumer


class ConsumerAdvisories:
    """Publishes the advisories of one consumer; each costs next to nothing while nobody listens."""

    def __init__(self, consumer: BaseConsumer) -> None:
        self._consumer = consumer

    def exhausted(self, sequence: int, count: int) -> None:
        """A message was delivered as often as it may be."""
        self._advise("max_deliver", "MAX_DELIVERIES", {"stream_seq": sequence, "deliveries": count})

    def naked(self, sequence: int, number: int, count: int) -> None:
        """A reader refused a message for now."""
        fields = {"consumer_seq": number, "stream_seq": sequence, "deliveries": count}
        self._advise("nak", "MSG_NAKED", fields)

    def terminated(self, sequence: int, number: int, count: int, reason: str) -> None:
        """A message will not be delivered again; `number` is its sequence in the consumer."""
        fields: dict[str, Any] = {"consumer_seq": number, "stream_seq": sequence, "deliveries": count}
        if reason:
            fields["reason"] = reason
        self._advise("terminated", "MSG_TERMINATED", fields)

    def pause(self) -> None:
        """The consumer was paused, or goes on."""
        until = self._consumer.config.pause_until
        shown = format_time(until) if until is not None else "0001-01-01T00:00:00Z"
        self._advise("consumer_pause", "PAUSE", {"paused": self._consumer.paused, "pause_until": shown})

    def _advise(self, kind: str, word: str, fields: dict[str, Any]) -> None:
        consumer = self._consumer
        named = {"stream": consumer.stream.name, "consumer": consumer.name}
        consumer.stream.advise(kind, f"CONSUMER.{word}.{consumer.suffix}", named | fields)
