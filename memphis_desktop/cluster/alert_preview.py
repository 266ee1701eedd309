"""What a rule would have told in the past: counted over the recorded history of a connection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .alerts import SIGNALS, Rule, Subject
from .history import ConsumerKey, FloatArray, History, SeriesKey, ServerKey, StreamKey
from .model import is_machinery

SPAN = 7 * 86400.0
MINUTE = 60.0  # what is older than a day is kept as means of minutes

# Signal -> what is recorded of it, and the metric. The others are not recorded.
RECORDED: Mapping[str, tuple[type, str]] = {
    "lag_seconds": (ConsumerKey, "lag_seconds"),
    "lag_messages": (ConsumerKey, "lag"),
    "unacked": (ConsumerKey, "ack_pending"),
    "redelivered": (ConsumerKey, "redelivered"),
    "rate_low": (StreamKey, "messages_in"),
    "rate_high": (StreamKey, "messages_in"),
    "api_errors": (ServerKey, "api_errors_rate"),
    "slow_clients": (ServerKey, "slow_consumers"),
}


@dataclass(frozen=True, slots=True)
class Preview:
    """What a rule would have told.

    Attributes:
        alerts: How often.
        subjects: About how many stations or groups.
        seconds: How far back anything is recorded.
    """

    alerts: int = 0
    subjects: int = 0
    seconds: float = 0.0

    def __add__(self, other: Preview) -> Preview:
        return Preview(
            self.alerts + other.alerts,
            self.subjects + other.subjects,
            max(self.seconds, other.seconds),
        )


def preview(rule: Rule, history: History, now: float) -> Preview | None:
    """Return what a rule would have told in the last week; None when its signal is not recorded.

    It takes a moment where there are thousands of groups: call it in a thread.
    """
    if rule.signal not in RECORDED:
        return None
    kind, metric = RECORDED[rule.signal]
    found = Preview()
    recorded = history.keys()
    for key in recorded:
        if not isinstance(key, kind):
            continue
        subject = subject_of(key)
        if not rule.matches(subject) or (subject.stream and is_machinery(subject.stream)):
            continue
        times, values = history.series(key, metric, SPAN)
        if len(times):
            alerts = episodes(rule, times, values)
            found += Preview(alerts, int(alerts > 0), now - float(times[0]))
    return found


def subject_of(key: SeriesKey) -> Subject:
    """Return what a series is about, as alerts name it."""
    if isinstance(key, ConsumerKey):
        return Subject(key.stream, key.consumer)
    return Subject(key.stream) if isinstance(key, StreamKey) else Subject()


def episodes(rule: Rule, times: FloatArray, values: FloatArray) -> int:
    """Return how often values were beyond a rule's threshold for as long as it asks.

    A gap ends what went before it: nobody knows what was meanwhile.
    """
    return len(spans(rule, times, values))


def spans(rule: Rule, times: FloatArray, values: FloatArray) -> list[tuple[int, int]]:
    """Return where such an episode begins and ends among the samples: the first of it, the first after it."""
    with np.errstate(invalid="ignore"):  # nothing is beyond anything in a gap
        beyond = values < rule.threshold if SIGNALS[rule.signal].below else values > rule.threshold
    edges = np.flatnonzero(np.diff(np.concatenate(([False], beyond, [False])).astype(np.int8)))
    found = []
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        # The last sample stands for the time up to the next one, a minute at most.
        after = float(times[end]) if end < len(times) else float(times[end - 1])
        lasted = min(after, float(times[end - 1]) + MINUTE) - float(times[start])
        if lasted >= rule.for_seconds:
            found.append((int(start), int(end)))
    return found
