"""Where a subscription begins and how it lasts, as a JetStream consumer: names and configurations.

A new position is turned into a sequence once and for all (time excepted, which JetStream resolves the same
way), so that a consumer made anew from the same record would begin at the same message.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from memphis_desktop.stations.streaming import nats_streaming_pb2 as pb

_UNREADABLE = re.compile(r"[^A-Za-z0-9_-]+")
_NS = 1_000_000_000
_READABLE_LENGTH = 48


@dataclass(frozen=True, slots=True)
class Group:
    """What several requests have in common when they mean the same consumer.

    Attributes:
        channel: The channel.
        client_id: Whose subscription it is; empty for a queue group, which belongs to nobody.
        queue_group: Its name, or nothing.
        durable_name: Its name, or nothing.
        unique: The subscription's id where neither a durable nor a group is meant; nothing else.
    """

    channel: str
    client_id: str = ""
    queue_group: str = ""
    durable_name: str = ""
    unique: str = ""

    @property
    def durable(self) -> bool:
        """Whether position and unacknowledged messages outlive the last subscriber."""
        return bool(self.durable_name)

    @property
    def consumer(self) -> str:
        """The name of the JetStream consumer: readable, and different for different groups."""
        if self.unique:
            return f"stan-{_readable(self.client_id)}-{self.unique}"
        parts = (self.client_id, self.queue_group, self.durable_name)
        digest = hashlib.sha256(orjson.dumps((self.channel, *parts))).hexdigest()[:12]
        return "-".join(["stan", *(_readable(part) for part in parts if part), digest])


def _readable(text: str) -> str:
    return _UNREADABLE.sub("_", text)[:_READABLE_LENGTH]


def group_of(request: pb.SubscriptionRequest, subscription_id: str) -> Group:
    """Return which consumer a subscription request means."""
    if request.queue_group:
        return Group(request.channel, "", request.queue_group, request.durable_name)
    if request.durable_name:
        return Group(request.channel, request.client_id, "", request.durable_name)
    return Group(request.channel, request.client_id, unique=subscription_id)


def start_of(request: pb.SubscriptionRequest, first: int, last: int, now_ns: int) -> dict[str, Any]:
    """Return the part of a consumer configuration that says where to begin.

    Args:
        request: A subscription request that is in order.
        first: The first sequence of the channel; one past `last` when the channel is empty.
        last: The last sequence ever given; 0 when there was none.
        now_ns: The time in nanoseconds since 1970.
    """
    position = request.start_position
    if position == pb.TIME_DELTA_START:
        start = now_ns - request.start_time_delta
        if request.start_time_delta <= 0:
            return _sequence(last + 1)
        if start <= 0:
            return {"deliver_policy": "all"}
        seconds, nanoseconds = divmod(start, _NS)
        text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return {"deliver_policy": "by_start_time", "opt_start_time": f"{text}.{nanoseconds:09d}Z"}
    if position == pb.FIRST:
        return {"deliver_policy": "all"}
    if position == pb.SEQUENCE_START:
        if request.start_sequence <= first:
            return {"deliver_policy": "all"}
        return _sequence(min(request.start_sequence, last + 1))
    if position == pb.LAST_RECEIVED:
        return _sequence(max(last, first, 1))
    return _sequence(last + 1)


def _sequence(sequence: int) -> dict[str, Any]:
    return {"deliver_policy": "by_start_sequence", "opt_start_seq": sequence}


def consumer_config(group: Group, start: dict[str, Any], ack_wait: float, capacity: int) -> dict[str, Any]:
    """Return the configuration of a group's consumer.

    Args:
        group: Whose it is.
        start: Where it begins, from `start_of`, or what an existing consumer says of it.
        ack_wait: Seconds after which an unacknowledged message comes again.
        capacity: How many messages may be unacknowledged.
    """
    return {
        "durable_name": group.consumer,
        "name": group.consumer,
        "description": f"NATS Streaming: {describe(group)}",
        "ack_policy": "explicit",
        "replay_policy": "instant",
        "max_deliver": -1,
        "ack_wait": int(ack_wait * _NS),
        "max_ack_pending": capacity,
        **start,
    }


def describe(group: Group) -> str:
    """Return a group in words, for whoever looks at the consumers of a stream."""
    if group.queue_group:
        kind = "durable queue group" if group.durable else "queue group"
        name = f"{group.durable_name}:{group.queue_group}" if group.durable else group.queue_group
        return f"{kind} {name}"[:200]
    if group.durable:
        return f"durable {group.durable_name} of {group.client_id}"[:200]
    return f"subscription of {group.client_id}"[:200]


def kept_start(config: dict[str, Any]) -> dict[str, Any]:
    """Return what an existing consumer's configuration says of its start, which cannot be changed."""
    return {
        key: config[key] for key in ("deliver_policy", "opt_start_seq", "opt_start_time") if key in config
    }


def resumed_start(delivered: int, last: int) -> dict[str, Any]:
    """Return where a consumer goes on that was deleted behind the gateway's back.

    Args:
        delivered: The highest sequence it had delivered; 0 for none.
        last: The last sequence of the stream; lower than `delivered` when the stream was made anew.
    """
    return _sequence(delivered + 1) if delivered and last >= delivered else {"deliver_policy": "all"}
