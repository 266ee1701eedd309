"""What all reports have in common."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from memphis_desktop.broker.jetstream.times import format_time
from memphis_desktop.broker.nuid import next_id

if TYPE_CHECKING:
    from memphis_desktop.broker.node import BrokerNode

SECOND_NS = 1_000_000_000
DEFAULT_LIMIT = 1024


class NotFound(Exception):
    """A report was asked about something that does not exist; the text names it."""


def short_duration(nanoseconds: int) -> str:
    """Return uptime and idle as monitoring writes them, in whole seconds: ``1d2h3m4s``."""
    seconds = max(nanoseconds, 0) // SECOND_NS
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    years, days = divmod(days, 365)
    parts = [(years, "y"), (days, "d"), (hours, "h"), (minutes, "m")]
    while parts and not parts[0][0]:
        parts.pop(0)
    return "".join(f"{number}{unit}" for number, unit in parts) + f"{seconds}s"


def round_trip_text(seconds: float) -> str:
    """Return a round trip time with its unit: ``249µs``, ``1.5ms``, ``2.01s``."""
    microseconds = round(seconds * 1e6)
    if microseconds < 1000:
        return f"{microseconds}µs"
    if microseconds < 1_000_000:
        return f"{microseconds / 1000:g}ms"
    return f"{microseconds / 1_000_000:g}s"


def header(node: BrokerNode) -> dict[str, Any]:
    """Return what every report begins with."""
    return {"server_id": node.server_id, "now": format_time(node.clock.time_ns())}


def advisory(kind: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Return an event of the server with its type, id and time."""
    start = {
        "type": f"io.nats.server.advisory.v1.{kind}",
        "id": next_id(),
        "timestamp": format_time(time.time_ns()),
    }
    return start | fields
