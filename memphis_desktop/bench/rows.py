"""What is measured, in which mode of which server, and what is promised about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

OURS_DURABLE = "ours, durable"
OURS_INTERVAL = "ours, sync interval"
THEIRS_LAZY = "nats-server, lazy sync"
THEIRS_ALWAYS = "nats-server, sync always"

RATE, MEDIAN_LATENCY = "messages/s", "µs"


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two things compared: a work done against a server in some mode."""

    server: str
    work: str
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def ours(self) -> bool:
        """Whether the server is our broker."""
        return self.server in (OURS_DURABLE, OURS_INTERVAL)


@dataclass(frozen=True, slots=True)
class Row:
    """A comparison: what is measured left, against what, and the ratio left / right that is promised."""

    name: str
    title: str
    left: Side
    right: Side
    unit: str
    goal: float  # rates: at least; latencies: at most

    def met(self, ratio: float) -> bool:
        """Return whether a measured ratio keeps the promise."""
        return ratio >= self.goal if self.unit == RATE else ratio <= self.goal


_PUBLISH: dict[str, Any] = {"size": 128, "window": 4096}
_PUBLISH_500: dict[str, Any] = {"size": 128, "window": 500}
_PUBLISH_4K: dict[str, Any] = {"size": 4096, "window": 4096}
_PUBLISH_SUBJECTS: dict[str, Any] = {"size": 128, "window": 4096, "subjects": 1_000_000}
_PUBLISHERS: dict[str, Any] = {"size": 128, "publishers": 64}
_FETCH: dict[str, Any] = {"size": 128, "batch": 500, "messages": 200_000}


def _publishing(name: str, title: str, goal: float, theirs: str = THEIRS_LAZY, **parameters: Any) -> Row:
    work = "concurrent" if "publishers" in parameters else "publish"
    return Row(name, title, Side(OURS_DURABLE, work, parameters), Side(theirs, work, parameters), RATE, goal)


def _latency(name: str, goal: float, ours: str, theirs: str) -> Row:
    left, right = (Side(server, "latency", {"size": 128}) for server in (ours, theirs))
    return Row(name, "JetStream publish, one at a time", left, right, MEDIAN_LATENCY, goal)


def _core(subscribers: int, title: str) -> Row:
    parameters = {"size": 128, "subscribers": subscribers}
    left, right = (Side(server, "core", parameters) for server in (OURS_DURABLE, THEIRS_LAZY))
    return Row(f"core-{subscribers}", f"core publish, {title}", left, right, RATE, 0.3)


ROWS = (
    _publishing("publish", "JetStream publish, 4,096 in flight", 1.0, **_PUBLISH),
    _publishing("publish-500", "JetStream publish, 500 in flight", 0.8, **_PUBLISH_500),
    _publishing("publish-ids", "JetStream publish with ids, 4,096 in flight", 0.8, ids=True, **_PUBLISH),
    _publishing("publish-always", "JetStream publish, 4,096 in flight", 50, THEIRS_ALWAYS, **_PUBLISH),
    _publishing("publish-4k", "JetStream publish of 4 KiB, 4,096 in flight", 0.8, **_PUBLISH_4K),
    _publishing("publish-subjects", "JetStream publish on 1,000,000 subjects", 0.8, **_PUBLISH_SUBJECTS),
    _publishing("publishers-64", "JetStream publish, 64 connections one at a time", 1.2, **_PUBLISHERS),
    _latency("latency", 1.2, OURS_INTERVAL, THEIRS_LAZY),
    _latency("latency-always", 1.1, OURS_DURABLE, THEIRS_ALWAYS),
    Row(
        "fetch",
        "pull and acknowledge, batch 500",
        Side(OURS_DURABLE, "fetch", _FETCH),
        Side(THEIRS_LAZY, "fetch", _FETCH),
        RATE,
        1.0,
    ),
    _core(0, "no subscriber"),
    _core(1, "one subscriber"),
    _core(10, "ten subscribers"),
    Row(
        "crowd",
        "publish beside 1,000 idle connections, streams and durables; against the empty node",
        Side(OURS_DURABLE, "crowd", {**_PUBLISH, "connections": 1000, "streams": 1000}),
        Side(OURS_DURABLE, "publish", _PUBLISH),
        RATE,
        0.9,
    ),
    Row(
        "routing",
        "core publish, one subscriber, beside 1,000,000 other subscriptions; against the empty node",
        Side(OURS_DURABLE, "core", {"size": 128, "subscribers": 1, "others": 1_000_000}),
        Side(OURS_DURABLE, "core", {"size": 128, "subscribers": 1}),
        RATE,
        0.9,
    ),
)
"""Messages are of 128 bytes unless the title says otherwise."""
