"""Where each message of a stream lies, how long it is, when it came and on which subject.

At most 20 bytes a message in typed arrays, in one `Segment` per file of the log, beside the subjects' own
lists (4 bytes a message). A message is found by its sequence in constant time.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import compress, islice, repeat
from typing import Any

# Times are kept in units of 2**20 ns (about a millisecond) from the segment's first message; the record
# itself has the exact time. The span of a segment is therefore limited to 52 days.
TIME_SHIFT = 20
TIME_SPAN = 1 << (32 + TIME_SHIFT)


class Segment:
    """The messages of one file of the log (or one chunk of memory): consecutive sequences from `base` on.

    In a compacted segment `keys` holds the distances of the sequences that are left.
    """

    __slots__ = (
        "alive",
        "base",
        "file",
        "has_ids",
        "head",
        "keys",
        "live",
        "live_bytes",
        "offsets",
        "sizes",
        "subjects",
        "time_base",
        "times",
    )

    def __init__(self, base: int, file: Any = None) -> None:
        self.base = base
        self.file = file  # what the owner needs to read from it
        self.keys: array[int] | None = None
        self.offsets = array("I")
        self.sizes = array("I")
        self.times = array("I")
        self.subjects = array("I")
        self.alive: bytearray | None = None  # None: all from `head` on are
        self.head = 0  # everything before is removed
        self.live = 0
        self.live_bytes = 0
        self.time_base = 0
        self.has_ids = False  # some record has a header block, and so maybe a message id

    def __len__(self) -> int:
        return len(self.sizes)

    def extend(
        self, sizes: Sequence[int], offsets: Sequence[int] | None, time_ns: int, subjects: Sequence[int]
    ) -> None:
        """Add consecutive messages of one moment at the end."""
        count = len(sizes)
        if not self.sizes:
            self.time_base = time_ns
        if offsets is not None:
            self.offsets.extend(offsets)
        self.sizes.extend(sizes)
        self.times.extend(repeat((time_ns - self.time_base) >> TIME_SHIFT, count))
        self.subjects.extend(subjects)
        if self.alive is not None:
            self.alive.extend(b"\x01" * count)
        self.live += count
        self.live_bytes += sum(sizes)

    def append(self, size: int, offset: int, time_ns: int, subject: int) -> None:
        """Add one message of a file at the end."""
        if not self.sizes:
            self.time_base = time_ns
        self.offsets.append(offset)
        self.sizes.append(size)
        self.times.append((time_ns - self.time_base) >> TIME_SHIFT)
        self.subjects.append(subject)
        if self.alive is not None:
            self.alive.append(1)
        self.live += 1
        self.live_bytes += size

    def last_sequence(self) -> int:
        """Return the highest sequence it ever had, base - 1 when none."""
        if self.keys is not None:
            return self.base + self.keys[-1] if self.keys else self.base - 1
        return self.base + len(self.sizes) - 1

    def sequence(self, at: int) -> int:
        """Return the sequence at an index."""
        return self.base + (at if self.keys is None else self.keys[at])

    def position(self, sequence: int) -> int:
        """Return the index of the first message ≥ sequence, alive or not; the length when there is none."""
        distance = sequence - self.base
        if distance <= 0:
            return 0
        if self.keys is not None:
            return bisect_left(self.keys, distance) if distance < 1 << 32 else len(self.keys)
        return min(distance, len(self.sizes))

    def find(self, sequence: int) -> int:
        """Return the index of a living message, -1 when there is none of this sequence."""
        at = sequence - self.base
        if self.keys is not None:
            key = at
            at = self.position(sequence)
            if at >= len(self.keys) or self.keys[at] != key:
                return -1
        if at < self.head or at >= len(self.sizes) or (self.alive is not None and not self.alive[at]):
            return -1
        return at

    def next_alive(self, at: int) -> int:
        """Return the first living index ≥ at, -1 when none."""
        at = max(at, self.head)
        if self.alive is not None:
            return self.alive.find(1, at)
        return at if at < len(self.sizes) else -1

    def previous_alive(self, at: int) -> int:
        """Return the last living index ≤ at, -1 when none."""
        at = min(at, len(self.sizes) - 1)
        if at < self.head:
            return -1
        if self.alive is not None:
            return self.alive.rfind(1, self.head, at + 1)
        return at

    def alive_from(self, at: int, count: int) -> list[int] | range:
        """Return up to `count` living indexes ≥ at."""
        at = max(at, self.head)
        end = len(self.sizes)
        if self.alive is None:
            return range(at, min(end, at + count))
        return list(islice(compress(range(at, end), memoryview(self.alive)[at:]), count))

    def count_from(self, at: int) -> int:
        """Return how many living ones are ≥ at."""
        if at <= self.head:
            return self.live
        if self.alive is None:
            return max(len(self.sizes) - at, 0)
        return self.alive.count(1, at)

    def kill(self, at: int) -> None:
        """Mark a living message as removed."""
        if at == self.head:
            self.head += 1
            if self.alive is not None:
                self.alive[at] = 0
                following = self.alive.find(1, at)
                self.head = following if following >= 0 else len(self.sizes)
        else:
            if self.alive is None:
                self.alive = bytearray(self.head) + bytearray(b"\x01") * (len(self.sizes) - self.head)
            self.alive[at] = 0
        self.live -= 1
        self.live_bytes -= self.sizes[at]

    def kill_prefix(self, end: int) -> None:
        """Mark all before index `end` as removed."""
        if end <= self.head:
            return
        if self.alive is None:
            self.live -= end - self.head
            self.live_bytes -= sum(self.sizes[self.head : end])
        else:
            flags = memoryview(self.alive)[self.head : end]
            self.live -= self.alive.count(1, self.head, end)
            self.live_bytes -= sum(compress(self.sizes[self.head : end], flags))
            flags.release()
            self.alive[self.head : end] = bytes(end - self.head)
            following = self.alive.find(1, end)
            end = following if following >= 0 else len(self.sizes)
        self.head = end

    def alive_by_distance(self) -> tuple[int, bytes]:
        """Return what lives, for a checkpoint: the distance from `base` of the first one, and a flag for
        every distance from 0 on (empty when all from the first one on live)."""
        if self.keys is None:
            return self.head, b"" if self.alive is None else bytes(self.alive)
        span = self.last_sequence() - self.base + 1
        flags = bytearray(span)
        for at in self.alive_from(0, len(self.sizes)):
            flags[self.keys[at]] = 1
        head = self.keys[self.head] if self.head < len(self.keys) else span
        return head, bytes(flags)

    def set_alive(self, head: int, flags: bytes) -> None:
        """Take over what `alive_by_distance` gave, perhaps before some records were found damaged; messages
        that came after it live."""
        count = len(self.sizes)
        if self.keys is None:
            self.head = min(head, count)
            self.alive = bytearray(flags[:count].ljust(count, b"\x01")) if flags else None
        else:
            self.head = bisect_left(self.keys, head)
            self.alive = None
            if flags:
                known = len(flags)
                self.alive = bytearray(flags[key] if key < known else 1 for key in self.keys)
        if self.alive is None:
            self.live = count - self.head
            self.live_bytes = sum(self.sizes[self.head :])
        else:
            following = self.alive.find(1)
            self.head = following if following >= 0 else count
            self.live = self.alive.count(1)
            self.live_bytes = sum(compress(self.sizes, self.alive))

    def kill_range(self, start: int, end: int) -> None:
        """Mark the indexes from `start` to before `end` as removed, whether they live or not."""
        start = max(start, self.head)
        if start >= end:
            return
        if start == self.head:
            self.kill_prefix(end)
            return
        if self.alive is None:
            self.alive = bytearray(self.head) + bytearray(b"\x01") * (len(self.sizes) - self.head)
        flags = bytes(self.alive[start:end])
        self.live -= flags.count(1)
        self.live_bytes -= sum(compress(self.sizes[start:end], flags))
        self.alive[start:end] = bytes(end - start)

    def dead_runs(self) -> Iterator[tuple[int, int]]:
        """Yield runs (first, last) of the sequences that are removed but still lie in the file.

        In a compacted segment also those between them.
        """
        expected = self.base
        at = self.next_alive(0)
        while at >= 0:
            sequence = self.sequence(at)
            if sequence > expected:
                yield expected, sequence - 1
            expected = sequence + 1
            if self.alive is None and self.keys is None:
                expected = self.base + len(self.sizes)
                break
            at = self.next_alive(at + 1)
        last = self.last_sequence()
        if last >= expected:
            yield expected, last

    def cut(self, end: int) -> None:
        """Forget the messages from an offset of the file on; none of them lives."""
        count = bisect_left(self.offsets, end)
        for column in (self.sizes, self.offsets, self.times, self.subjects, self.keys, self.alive):
            if column is not None:
                del column[count:]
        self.head = min(self.head, count)

    def time_unit(self, time_ns: int) -> int:
        """Return an exact time in this segment's units; may be negative or beyond its span."""
        return (time_ns - self.time_base) >> TIME_SHIFT


class MessageTable:
    """All segments of a stream, ascending."""

    def __init__(self) -> None:
        self.segments: list[Segment] = []
        self.bases: list[int] = []

    def add(self, segment: Segment) -> None:
        """Add a segment above all others."""
        self.segments.append(segment)
        self.bases.append(segment.base)

    def replace(self, segment: Segment, other: Segment) -> None:
        """Put another segment of the same base in the place of one."""
        self.segments[self.segments.index(segment)] = other

    def drop(self, segment: Segment) -> None:
        """Forget a segment."""
        at = self.segments.index(segment)
        del self.segments[at]
        del self.bases[at]

    def at(self, sequence: int) -> int:
        """Return the index of the segment that may hold a sequence, -1 when it is below all."""
        return bisect_right(self.bases, sequence) - 1

    def find(self, sequence: int) -> tuple[Segment, int] | None:
        """Return the segment and index of a living message."""
        number = bisect_right(self.bases, sequence) - 1
        if number < 0:
            return None
        segment = self.segments[number]
        at = segment.find(sequence)
        return None if at < 0 else (segment, at)

    def next_alive(self, sequence: int) -> int | None:
        """Return the first living sequence ≥ sequence."""
        number = max(self.at(sequence), 0)
        for segment in self.segments[number:]:
            if segment.live:
                at = segment.next_alive(segment.position(sequence))
                if at >= 0:
                    return segment.sequence(at)
        return None

    def previous_alive(self, sequence: int) -> int | None:
        """Return the last living sequence ≤ sequence."""
        number = self.at(sequence)
        while number >= 0:
            segment = self.segments[number]
            if segment.live:
                at = segment.position(sequence)
                if at >= len(segment) or segment.sequence(at) > sequence:
                    at -= 1
                at = segment.previous_alive(at)
                if at >= 0:
                    return segment.sequence(at)
            number -= 1
        return None

    def alive_from(self, sequence: int, count: int) -> list[int]:
        """Return up to `count` living sequences ≥ sequence."""
        found: list[int] = []
        number = max(self.at(sequence), 0)
        for segment in self.segments[number:] if number else self.segments:
            if not segment.live:
                continue
            if segment.alive is None and segment.keys is None:
                start = max(sequence, segment.base + segment.head)
                end = min(segment.base + len(segment.sizes), start + count - len(found))
                found.extend(range(start, end))
                if len(found) >= count:
                    break
                continue
            chosen = segment.alive_from(segment.position(sequence), count - len(found))
            if segment.keys is None:
                found.extend(map(segment.base.__add__, chosen))
            else:
                found.extend(map(segment.sequence, chosen))
            if len(found) >= count:
                break
        return found

    def chosen_from(self, sequence: int, count: int, flags: bytearray) -> list[int]:
        """Return up to `count` living sequences ≥ sequence whose subject number is flagged."""
        found: list[int] = []
        for segment in self.segments[max(self.at(sequence), 0) :]:
            if not segment.live:
                continue
            start = max(segment.position(sequence), segment.head)
            found.extend(islice(self._chosen(segment, start, flags), count - len(found)))
            if len(found) >= count:
                break
        return found

    @staticmethod
    def _chosen(segment: Segment, start: int, flags: bytearray) -> Iterator[int]:
        matched = map(flags.__getitem__, islice(segment.subjects, start, None))
        for at in compress(range(start, len(segment)), matched):
            if segment.alive is None or segment.alive[at]:
                yield segment.sequence(at)

    def count_from(self, sequence: int) -> int:
        """Return how many living messages are ≥ sequence."""
        number = self.at(sequence)
        if number < 0:
            return sum(segment.live for segment in self.segments)
        segment = self.segments[number]
        here = segment.count_from(segment.position(sequence)) if segment.live else 0
        return here + sum(segment.live for segment in self.segments[number + 1 :])

    def gaps(self, first: int, last: int) -> Iterator[int]:
        """Yield the sequences from first to last that no living message has."""
        expected = first
        for segment in self.segments:
            for at in segment.alive_from(segment.position(first), len(segment)):
                sequence = segment.sequence(at)
                if sequence > last:
                    break
                yield from range(expected, sequence)
                expected = sequence + 1
        yield from range(expected, last + 1)
