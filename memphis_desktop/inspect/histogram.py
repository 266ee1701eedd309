"""How many messages there are over time, exactly, from a handful of single reads."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from memphis_desktop.inspect.message import format_time
from memphis_desktop.inspect.reader import MessageReader, ReadingMethod

BUCKETS = 96
PARALLEL = 12


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts between times. `counts[i]` messages were stored from `edges[i]` up to `edges[i + 1]` (ns)."""

    edges: tuple[int, ...]
    counts: tuple[int, ...]

    @property
    def total(self) -> int:
        """All messages in it."""
        return sum(self.counts)

    def bucket(self, time_ns: int) -> int | None:
        """Return the bucket of a time, None outside."""
        if not self.counts or not self.edges[0] <= time_ns < self.edges[-1]:
            return None
        width = (self.edges[-1] - self.edges[0]) / len(self.counts)
        return min(len(self.counts) - 1, int((time_ns - self.edges[0]) / width))


async def read_histogram(
    reader: MessageReader,
    *,
    first_ns: int | None = None,
    last_ns: int | None = None,
    subject: str | None = None,
    buckets: int = BUCKETS,
) -> Histogram:
    """Count the messages of each of `buckets` equal stretches of time.

    The server says how many messages match from a time on, so each edge costs one read of one message,
    whatever the size of the station. Where it cannot (no batched gets), sequences stand for counts and
    removed messages count too; `subject` has no effect then.

    Raises:
        ReadError: the server did not answer.
    """
    bounds = reader.bounds
    if bounds.first_time_ns is None or bounds.last_time_ns is None:
        return Histogram((), ())
    start = bounds.first_time_ns if first_ns is None else first_ns
    end = (bounds.last_time_ns if last_ns is None else last_ns) + 1
    buckets = max(1, min(buckets, end - start))
    edges = tuple(start + (end - start) * index // buckets for index in range(buckets + 1))
    gate = asyncio.Semaphore(PARALLEL)

    async def remaining(time_ns: int) -> int:
        async with gate:
            if reader.method is ReadingMethod.BATCH:
                return await reader.matching_since(format_time(time_ns), subject)
            return reader.bounds.last + 1 - await reader.sequence_at(time_ns)

    rest = await asyncio.gather(*(remaining(edge) for edge in edges))
    counts = tuple(max(0, rest[index] - rest[index + 1]) for index in range(buckets))
    return Histogram(edges, counts)
