"""Lag in seconds: how old is the first message a consumer has not been given yet.

The exact answer is the timestamp of that message, read by sequence. Where the budget of requests does not
reach, it is interpolated between sequences whose time is known already (the stream's first and last message
at each reading, and the messages read before).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAX_POINTS = 1200
# An interpolated time is good enough when its uncertainty is below a second, or below this share of the lag.
RELATIVE_ERROR = 0.02
ABSOLUTE_ERROR_NS = 1_000_000_000
# What is younger than this needs no asking: often it is delivered and gone before the question arrives.
RECENT_NS = 2_500_000_000
# A lag has turned when at the pace of the shortest span it would be gone within so many of these spans.
TURNED = 5.0


class SequenceClock:
    """When the sequences of one stream were stored, as far as that is known."""

    __slots__ = ("_points",)

    def __init__(self) -> None:
        self._points: list[tuple[int, int]] = []  # (sequence, nanoseconds), ascending

    def add(self, sequence: int, time_ns: int) -> None:
        """Remember the time of a sequence. Another time for a known one means a new stream."""
        points = self._points
        if points and sequence > points[-1][0]:
            points.append((sequence, time_ns))
        else:
            position = bisect_left(points, (sequence, 0))
            if position < len(points) and points[position][0] == sequence:
                if points[position][1] == time_ns:
                    return
                points.clear()  # the stream was made anew: what was known is of another one
            insort(points, (sequence, time_ns))
        if len(points) > MAX_POINTS:
            del points[1:-1:2]  # thin out, the ends stay

    def forget_below(self, sequence: int) -> None:
        """Drop what is known of removed messages."""
        position = bisect_left(self._points, (sequence, 0))
        if position > 64:
            del self._points[:position]

    def estimate(self, sequence: int, now_ns: int) -> int | None:
        """Return the time of a sequence when it is known well enough, else None."""
        points = self._points
        position = bisect_left(points, (sequence, 0))
        if position < len(points) and points[position][0] == sequence:
            return points[position][1]
        if position in (0, len(points)):
            return self.recent(sequence, now_ns)
        (low, low_ns), (high, high_ns) = points[position - 1], points[position]
        tolerance = max(ABSOLUTE_ERROR_NS, RELATIVE_ERROR * (now_ns - high_ns))
        if high_ns - low_ns > tolerance:
            return self.recent(sequence, now_ns)
        return low_ns + (high_ns - low_ns) * (sequence - low) // (high - low)

    def recent(self, sequence: int, now_ns: int) -> int | None:
        """Return a time that a sequence is not older than, when that is a moment ago; None otherwise."""
        position = bisect_left(self._points, (sequence, 0))
        if position == 0:
            return None
        low_ns = self._points[position - 1][1]
        return low_ns if now_ns - low_ns <= RECENT_NS else None


@dataclass(frozen=True, slots=True)
class FirstUndelivered:
    """The next message of a consumer, as it was read.

    Attributes:
        after: The last delivered stream sequence when it was asked for.
        sequence: Its sequence.
        time_ns: When it was stored.
    """

    after: int
    sequence: int
    time_ns: int


def filters(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the subject filters of a consumer; empty when it takes everything."""
    several = config.get("filter_subjects")
    if several:
        return tuple(several)
    single = config.get("filter_subject")
    return (single,) if single and single != ">" else ()


def time_to_drain(
    lag: int, lag_seconds: float | None, changes: Sequence[tuple[float, float] | None]
) -> float | None:
    """Return the seconds until a lag is gone, as a user reads it.

    A lag that grew over the minutes but shrinks now is going away: the last of the spans, a short one, counts
    where a good part of the lag went in it, so that the hiccups of a reader that works in batches do not. And
    one that is always a moment old is no lag that has to go away: its reader keeps up, only that messages are
    on their way at any time.

    Args:
        lag: Messages waiting now.
        lag_seconds: The age of the first of them; None when not known.
        changes: What `drain_time` takes, of spans from long to short.
    """
    answers = [drain_time(lag, change) for change in changes]
    if all(answer is None for answer in answers):
        return None
    longer = (one for one in answers[:-1] if one is not None and one != float("inf"))
    answer = next(longer, float("inf"))
    latest, change = answers[-1], changes[-1]
    if latest is not None and change is not None and latest <= TURNED * change[1]:
        answer = min(answer, latest)
    if lag_seconds is not None and lag_seconds * 1e9 <= RECENT_NS:
        answer = min(answer, lag_seconds)
    return answer


def drain_time(lag: int, change: tuple[float, float] | None, minimum_span: float = 5.0) -> float | None:
    """Return the seconds until a lag is gone, from its change over the last minutes.

    Args:
        lag: Messages waiting now.
        change: (difference of the lag, seconds in which it came about), None when unknown.
        minimum_span: Seconds that must have been watched before anything is said.

    Returns:
        0 without lag, infinity while it does not shrink, None when not known.
    """
    if lag == 0:
        return 0.0
    if change is None or change[1] < minimum_span:
        return None
    shrinking = -change[0] / change[1]
    return lag / shrinking if shrinking > 0 else float("inf")
