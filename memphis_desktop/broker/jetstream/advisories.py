"""Advisories and metrics: what happened, told to whoever listens (3.6 of the protocol notes)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from memphis_desktop.broker.jetstream.times import format_time
from memphis_desktop.broker.jetstream.typed_json import encode_json
from memphis_desktop.broker.nuid import next_id

if TYPE_CHECKING:
    from memphis_desktop.broker.contracts import Account, Node
    from memphis_desktop.protocol.message import Message

ADVISORY_SUBJECT = "$JS.EVENT.ADVISORY."
METRIC_SUBJECT = "$JS.EVENT.METRIC."
ADVISORY_TYPE = "io.nats.jetstream.advisory.v1."
METRIC_TYPE = "io.nats.jetstream.metric.v1."


class Advisor:
    """Publishes the events of one account's JetStream.

    They go out in the next turn of the loop: what caused an event is finished before anybody hears of it.
    """

    def __init__(self, node: Node, account: Account, domain: str) -> None:
        self._node = node
        self._account = account
        self._domain = {"domain": domain} if domain else {}
        self._waiting: list[Message] = []

    def advise(self, kind: str, subject_suffix: str, fields: dict[str, Any]) -> None:
        """Publish an advisory of type ``io.nats.jetstream.advisory.v1.<kind>``."""
        self._publish(ADVISORY_SUBJECT + subject_suffix, ADVISORY_TYPE + kind, lambda: fields)

    def metric(self, kind: str, subject_suffix: str, fields: dict[str, Any]) -> None:
        """Publish a metric of type ``io.nats.jetstream.metric.v1.<kind>``."""
        self._publish(METRIC_SUBJECT + subject_suffix, METRIC_TYPE + kind, lambda: fields)

    def audit(self, make_fields: Callable[[], dict[str, Any]]) -> None:
        """Publish the copy of an API request; `make_fields` is only called when somebody listens."""
        self._publish(ADVISORY_SUBJECT + "API", ADVISORY_TYPE + "api_audit", make_fields)

    def stream_action(self, stream: str, action: str, event: str) -> None:
        """Tell that a stream was created, updated or deleted; `event` is the subject's word for it."""
        self.advise("stream_action", f"STREAM.{event}.{stream}", {"stream": stream, "action": action})

    def consumer_action(self, stream: str, consumer: str, action: str, event: str) -> None:
        """Tell that a consumer was created or deleted."""
        fields = {"stream": stream, "consumer": consumer, "action": action}
        self.advise("consumer_action", f"CONSUMER.{event}.{stream}.{consumer}", fields)

    def _publish(self, subject: str, event_type: str, make_fields: Callable[[], dict[str, Any]]) -> None:
        target = subject.encode()
        if not self._account.has_interest(target):
            return
        document = {
            "type": event_type,
            "id": next_id(),
            "timestamp": format_time(self._node.clock.time_ns()),
            **make_fields(),
            **self._domain,
        }
        if not self._waiting:
            self._node.clock.call_soon(self._send)
        self._waiting.append((target, b"", 0, encode_json(document)))

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._account.publish_many(waiting)
        self._node.flush()
