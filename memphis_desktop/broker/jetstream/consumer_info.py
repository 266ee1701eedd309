"""ConsumerInfo, as answers show it (2.6 of the protocol notes)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memphis_desktop.broker.jetstream.times import format_time
from memphis_desktop.broker.jetstream.typed_json import to_json

if TYPE_CHECKING:
    from memphis_desktop.broker.jetstream.consumer_base import BaseConsumer


def consumer_info(consumer: BaseConsumer) -> dict[str, Any]:
    """Return ConsumerInfo, its keys in the reference server's order, without ``type``."""
    deliveries, config = consumer.deliveries, consumer.config
    delivery = consumer.delivery_info()
    now_ns = consumer.clock.time_ns()
    info: dict[str, Any] = {
        "stream_name": consumer.stream.name,
        "name": consumer.name,
        "created": format_time(consumer.created_ns),
        "config": to_json(config),
        "delivered": _pair(
            deliveries.delivered_consumer, deliveries.delivered_stream, deliveries.last_delivered_ns
        ),
        "ack_floor": _pair(deliveries.floor_consumer, deliveries.floor_stream, deliveries.last_acked_ns),
        "num_ack_pending": len(deliveries.table),
        # With a single delivery there are no redeliveries; those past it are only remembered.
        "num_redelivered": len(deliveries.redeliveries) if config.max_deliver != 1 else 0,
        "num_waiting": delivery["num_waiting"],
        "num_pending": consumer.num_pending,
    }
    if delivery.get("push_bound"):
        info["push_bound"] = True
    if consumer.paused and config.pause_until is not None:
        info["paused"] = True
        info["pause_remaining"] = config.pause_until - now_ns
    info["ts"] = format_time(now_ns)
    if "priority_groups" in delivery:
        info["priority_groups"] = delivery["priority_groups"]
    return info


def _pair(consumer_sequence: int, stream_sequence: int, last_active_ns: int) -> dict[str, Any]:
    pair: dict[str, Any] = {"consumer_seq": consumer_sequence, "stream_seq": stream_sequence}
    if last_active_ns:
        pair["last_active"] = format_time(last_active_ns)
    return pair
