"""Which sequences each subject of a stream has: the index behind filters and per-subject limits."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from zlib import crc32

from memphis_desktop.protocol.subjects import has_wildcards

_BLOCK = 1024  # sequences in one block: removing one moves at most 4 KiB
_SPAN = 1 << 32  # a block's sequences are kept as 32-bit distances from its base
_PATTERNS_KEPT = 128


class SequenceList:
    """Ascending sequences in blocks: cheap at both ends, and in the middle too."""

    __slots__ = ("bases", "blocks", "count", "lows")

    def __init__(self) -> None:
        self.lows: list[int] = []  # no sequence of a block is below, all before are
        self.bases: list[int] = []  # what a block's distances are added to
        self.blocks: list[array[int]] = []
        self.count = 0

    def _begin(self, low: int, base: int, block: array[int]) -> None:
        self.lows.append(low)
        self.bases.append(base)
        self.blocks.append(block)

    def append(self, sequence: int) -> None:
        """Add one above all others."""
        if self.blocks:
            block = self.blocks[-1]
            distance = sequence - self.bases[-1]
            if len(block) < _BLOCK and distance < _SPAN:
                block.append(distance)
                self.count += 1
                return
        self._begin(sequence, sequence, array("I", (0,)))
        self.count += 1

    def extend(self, first: int, count: int) -> None:
        """Add `count` consecutive ones above all others."""
        self.count += count
        while count:
            room = 0
            if self.blocks:
                distance = first - self.bases[-1]
                if distance + count < _SPAN:
                    room = _BLOCK - len(self.blocks[-1])
            if room <= 0:
                self._begin(first, first, array("I"))
                room, distance = _BLOCK, 0
            taken = min(room, count)
            self.blocks[-1].extend(range(distance, distance + taken))
            first += taken
            count -= taken

    def extend_list(self, sequences: Sequence[int]) -> None:
        """Add ascending ones above all others."""
        if len(sequences) and sequences[-1] - sequences[0] == len(sequences) - 1:
            self.extend(sequences[0], len(sequences))
            return
        for sequence in sequences:
            self.append(sequence)

    def extend_block(self, base: int, distances: array[int]) -> None:
        """Add ascending ones above all others, given as distances from `base`."""
        if len(distances) < _BLOCK // 16:
            for distance in distances:
                self.append(base + distance)
            return
        for start in range(0, len(distances), _BLOCK):
            self._begin(base + distances[start], base, distances[start : start + _BLOCK])
        self.count += len(distances)

    def first(self) -> int:
        """Return the lowest."""
        return self.bases[0] + self.blocks[0][0]

    def last(self) -> int:
        """Return the highest."""
        return self.bases[-1] + self.blocks[-1][-1]

    def remove_first(self, count: int) -> None:
        """Remove the `count` lowest."""
        self.count -= count
        whole = 0
        while count and count >= len(self.blocks[whole]):
            count -= len(self.blocks[whole])
            whole += 1
        if whole:
            del self.blocks[:whole]
            del self.bases[:whole]
            del self.lows[:whole]
        if count:
            del self.blocks[0][:count]

    def remove(self, sequence: int) -> None:
        """Remove one that is there."""
        at = bisect_right(self.lows, sequence) - 1
        block = self.blocks[at]
        distance = sequence - self.bases[at]
        if block[0] == distance:
            block.pop(0)
        else:
            block.pop(bisect_left(block, distance))
        self.count -= 1
        if not block:
            del self.blocks[at]
            del self.bases[at]
            del self.lows[at]
        elif len(self.blocks) > 16 and self.count < len(self.blocks) * (_BLOCK // 16):
            self._rebuild()

    def _rebuild(self) -> None:
        sequences = self.slice(0, self.count)
        self.__init__()  # type: ignore[misc]
        self.extend_list(sequences)

    def count_from(self, start: int) -> int:
        """Return how many are ≥ start."""
        if not self.count or start <= self.first():
            return self.count
        at = bisect_right(self.lows, start) - 1
        block = self.blocks[at]
        here = len(block) - bisect_left(block, min(start - self.bases[at], _SPAN - 1))
        if block[-1] < start - self.bases[at]:
            here = 0
        if at > len(self.blocks) // 2:
            return here + sum(map(len, self.blocks[at + 1 :]))
        return self.count - sum(map(len, self.blocks[: at + 1])) + here

    def slice(self, start: int, count: int) -> list[int]:
        """Return up to `count` that are ≥ start."""
        if not self.blocks:
            return []
        at = max(bisect_right(self.lows, start) - 1, 0)
        found: list[int] = []
        inside = bisect_left(self.blocks[at], max(min(start - self.bases[at], _SPAN - 1), 0))
        if self.blocks[at][-1] < start - self.bases[at]:
            at, inside = at + 1, 0
        while at < len(self.blocks) and len(found) < count:
            base = self.bases[at]
            found.extend(map(base.__add__, self.blocks[at][inside : inside + count - len(found)]))
            at, inside = at + 1, 0
        return found

    def previous(self, start: int) -> int | None:
        """Return the highest that is ≤ start."""
        at = bisect_right(self.lows, start) - 1
        while at >= 0:
            block = self.blocks[at]
            inside = bisect_right(block, min(start - self.bases[at], _SPAN - 1)) - 1
            if inside >= 0:
                return self.bases[at] + block[inside]
            at -= 1
        return None


class Subject:
    """One subject that has messages.

    Up to two sequences stand in `first` and `last` alone, as most subjects of a key-value bucket have one.
    """

    __slots__ = ("checksum", "count", "first", "last", "more", "name", "number")

    def __init__(self, name: bytes, number: int) -> None:
        self.name = name
        self.number = number
        self.checksum: int = crc32(name)
        self.count = 0
        self.first = 0
        self.last = 0
        self.more: SequenceList | None = None

    def append(self, sequence: int) -> None:
        """Add one above all others."""
        if self.more is not None:
            self.more.append(sequence)
        elif self.count == 0:
            self.first = sequence
        elif self.count == 2:
            self._spread()
            assert self.more is not None
            self.more.append(sequence)
        self.last = sequence
        self.count += 1

    def extend(self, first: int, count: int) -> None:
        """Add `count` consecutive ones above all others."""
        if self.more is None:
            if self.count + count <= 2:
                for sequence in range(first, first + count):
                    self.append(sequence)
                return
            self._spread()
        assert self.more is not None
        self.more.extend(first, count)
        self.first = self.more.first()
        self.last = first + count - 1
        self.count += count

    def extend_list(self, sequences: Sequence[int]) -> None:
        """Add ascending ones above all others."""
        if self.more is None:
            if self.count + len(sequences) <= 2:
                for sequence in sequences:
                    self.append(sequence)
                return
            self._spread()
        assert self.more is not None
        self.more.extend_list(sequences)
        self.first = self.more.first()
        self.last = sequences[-1]
        self.count += len(sequences)

    def extend_block(self, base: int, distances: array[int]) -> None:
        """Add ascending ones above all others, given as distances from `base`."""
        if self.count + len(distances) <= 2:
            for distance in distances:
                self.append(base + distance)
            return
        if self.more is None:
            self._spread()
        assert self.more is not None
        self.more.extend_block(base, distances)
        self.first = self.more.first()
        self.last = self.more.last()
        self.count = self.more.count

    def _spread(self) -> None:
        self.more = SequenceList()
        if self.count:
            self.more.append(self.first)
        if self.count == 2:
            self.more.append(self.last)

    def _gather(self) -> None:
        more = self.more
        if more is None:
            return
        self.count = more.count
        if more.count:
            self.first, self.last = more.first(), more.last()
        if more.count <= 2:
            self.more = None

    def remove_first(self, count: int) -> None:
        """Remove the `count` lowest."""
        if self.more is not None:
            self.more.remove_first(count)
            self._gather()
        else:
            self.count -= count
            if self.count:
                self.first = self.last

    def remove(self, sequence: int) -> None:
        """Remove one that is there."""
        if self.more is not None:
            self.more.remove(sequence)
            self._gather()
            return
        if self.count == 2:
            if sequence == self.first:
                self.first = self.last
            else:
                self.last = self.first
        self.count -= 1

    def count_from(self, start: int) -> int:
        """Return how many are ≥ start."""
        if start <= self.first:
            return self.count
        if start > self.last:
            return 0
        return 1 if self.more is None else self.more.count_from(start)

    def slice(self, start: int, count: int) -> list[int]:
        """Return up to `count` that are ≥ start."""
        if start > self.last or not self.count:
            return []
        if self.more is not None:
            return self.more.slice(start, count)
        both = [self.first, self.last] if self.count == 2 else [self.first]
        return [sequence for sequence in both if sequence >= start][:count]

    def previous(self, start: int) -> int | None:
        """Return the highest that is ≤ start."""
        if start >= self.last:
            return self.last
        if start < self.first:
            return None
        return self.first if self.more is None else self.more.previous(start)


class Pattern:
    """The subjects that a wildcard matches, kept up to date while it is remembered."""

    __slots__ = ("flags", "matches", "subjects")

    def __init__(self, pattern: bytes, subjects: Iterable[Subject], numbers: int) -> None:
        self.matches = compile_pattern(pattern)
        self.subjects: dict[bytes, Subject] = {}
        self.flags = bytearray(numbers)  # by subject number: 1 when it matches
        for subject in subjects:
            self.consider(subject)

    def consider(self, subject: Subject) -> None:
        """Take in a new subject if it matches."""
        number = subject.number
        if number >= len(self.flags):
            self.flags.extend(bytes(number + 1 - len(self.flags) + len(self.flags) // 8))
        if self.matches(subject.name) is not None:
            self.subjects[subject.name] = subject
            self.flags[number] = 1
        else:
            self.flags[number] = 0

    def forget(self, subject: Subject) -> None:
        """Let go of a subject that has no messages any more."""
        if self.subjects.pop(subject.name, None) is not None:
            self.flags[subject.number] = 0


def compile_pattern(pattern: bytes) -> re.Pattern[bytes].match:  # type: ignore[valid-type]
    """Return a fast test of whether a literal subject matches `pattern`."""
    tokens = []
    for token in pattern.split(b"."):
        if token == b"*":
            tokens.append(rb"[^.]+")
        elif token == b">":
            tokens.append(rb".+")
        else:
            tokens.append(re.escape(token))
    return re.compile(rb"\.".join(tokens) + rb"\Z", re.DOTALL).match


class SubjectIndex:
    """All subjects of a stream."""

    def __init__(self) -> None:
        self.by_name: dict[bytes, Subject] = {}
        self.by_number: list[Subject | None] = []
        self._free: list[int] = []
        self._patterns: dict[bytes, Pattern] = {}

    def clear(self) -> None:
        """Forget all."""
        self.__init__()  # type: ignore[misc]

    def add(self, name: bytes) -> Subject:
        """Return the subject of this name, making it if it is new."""
        subject = self.by_name.get(name)
        if subject is None:
            if self._free:
                subject = Subject(name, self._free.pop())
                self.by_number[subject.number] = subject
            else:
                subject = Subject(name, len(self.by_number))
                self.by_number.append(subject)
            self.by_name[name] = subject
            for pattern in self._patterns.values():
                pattern.consider(subject)
        return subject

    def add_all(self, names: Sequence[bytes]) -> list[Subject]:
        """Return the subject of each name, making those that are new."""
        found: list[Subject | None] = list(map(self.by_name.get, names))
        if None in found:
            add = self.add
            if self._free or self._patterns:
                return [subject or add(name) for subject, name in zip(found, names, strict=True)]
            by_name, by_number = self.by_name, self.by_number
            number = len(by_number)
            for at, subject in enumerate(found):
                if subject is None:
                    name = names[at]
                    subject = by_name.get(name)  # of an earlier message among these
                    if subject is None:
                        subject = by_name[name] = Subject(name, number)
                        by_number.append(subject)
                        number += 1
                    found[at] = subject
        return found  # type: ignore[return-value]

    def drop(self, subject: Subject) -> None:
        """Forget a subject that has no messages."""
        del self.by_name[subject.name]
        self.by_number[subject.number] = None
        self._free.append(subject.number)
        for pattern in self._patterns.values():
            pattern.forget(subject)

    def pattern(self, text: bytes) -> Pattern:
        """Return the wildcard's matches, remembered for the next time."""
        pattern = self._patterns.pop(text, None)
        if pattern is None:
            if len(self._patterns) >= _PATTERNS_KEPT:
                del self._patterns[next(iter(self._patterns))]
            pattern = Pattern(text, self.by_name.values(), len(self.by_number))
        self._patterns[text] = pattern
        return pattern

    def matching(self, pattern: bytes) -> Iterable[Subject]:
        """Return the subjects that a filter matches."""
        if not has_wildcards(pattern):
            subject = self.by_name.get(pattern)
            return () if subject is None else (subject,)
        if pattern == b">":
            return self.by_name.values()
        return self.pattern(pattern).subjects.values()
