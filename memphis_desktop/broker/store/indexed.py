"""What the file store and the memory store share: everything but where bodies are kept.

`IndexedStore` keeps the index, enforces the limits and answers all questions that need no message body. Its
two children say how messages and removals are written and how a body is fetched.
"""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import islice

from memphis_desktop.broker.store.index import TIME_SPAN, MessageTable, Segment
from memphis_desktop.broker.store.interface import (
    Limits,
    MessageStore,
    NewMessage,
    RemovalReason,
    RemovedCallback,
    StorageError,
    StoredMessage,
    SubjectState,
)
from memphis_desktop.broker.store.subject_index import Subject, SubjectIndex
from memphis_desktop.protocol.subjects import has_wildcards

# Counting this many messages one by one is cheaper than asking every subject of a wildcard.
_SHORT_WALK = 4096
# Up to this many subjects are merged; beyond, the log's index is walked.
_FEW_SUBJECTS = 16
# Messages removed in one slice of `expire`.
_EXPIRE_SLICE = 8192

Run = tuple[int, int]


class IndexedStore(MessageStore):
    """A stream's index and limits."""

    # How nats-server's size of a message differs from the one kept in the index.
    _bias = 0

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.on_removed: RemovedCallback | None = None
        self.failure: StorageError | None = None
        self.sync_always: bool | None = None
        self.id_window_ns = 120 * 10**9
        self.first_sequence = 0
        self.last_sequence = 0
        self.durable_sequence = 0
        self.message_count = 0
        self.last_time_ns = 0
        self._table = MessageTable()
        self._subjects = SubjectIndex()
        self._live_bytes = 0
        self._first_time: tuple[int, int] = (0, 0)  # sequence, time
        self._lost: list[Run] = []  # damaged sequences, ascending and apart

    # -- what the children do --------------------------------------------------------------------------------
    @abstractmethod
    def _time_of(self, segment: Segment, at: int) -> int:
        """Return the exact time of the message at an index."""

    @abstractmethod
    def _write_removal(self, runs: list[Run], *, erase: bool) -> None:
        """Note a removal that the index already shows."""

    @abstractmethod
    def _emptied(self, segment: Segment) -> None:
        """Called when a segment has no living message any more."""

    @abstractmethod
    def _begin_segment(self, base: int) -> None:
        """Make a new last segment, to which the next messages go."""

    # -- state -----------------------------------------------------------------------------------------------
    @property
    def byte_count(self) -> int:
        """What the messages count, as nats-server counts."""
        return self._live_bytes + self._bias * self.message_count

    @property
    def first_time_ns(self) -> int:
        """The time of the oldest message; 0 when there is none."""
        if not self.message_count:
            return 0
        sequence, time_ns = self._first_time
        if sequence != self.first_sequence:
            found = self._table.find(self.first_sequence)
            if found is None:
                return 0
            time_ns = self._time_of(*found)
            self._first_time = (self.first_sequence, time_ns)
        return time_ns

    @property
    def subject_count(self) -> int:
        """How many subjects have messages."""
        return len(self._subjects.by_name)

    def damaged(self) -> list[Run]:
        """Return the sequence ranges found damaged."""
        return list(self._lost)

    # -- appending -------------------------------------------------------------------------------------------
    def _subjects_for(self, names: Sequence[bytes]) -> tuple[list[Subject], Subject | None]:
        """Return the subject of each name, and the one subject when all are of it."""
        name = names[0]
        if names.count(name) == len(names):
            subject = self._subjects.by_name.get(name) or self._subjects.add(name)
            return [subject], subject
        return self._subjects.add_all(names), None

    def _forget_unused(self, subjects: Iterable[Subject]) -> None:
        """Undo `_subjects_for` after a failed write."""
        for subject in set(subjects):
            if not subject.count:
                self._subjects.drop(subject)

    def _index(
        self,
        segment: Segment,
        subjects: list[Subject],
        only: Subject | None,
        sizes: Sequence[int],
        offsets: Sequence[int] | None,
        time_ns: int,
    ) -> int:
        """Take consecutive messages into the index, and return the first one's sequence."""
        count = len(sizes)
        first = self.last_sequence + 1
        if only is not None:
            segment.extend(sizes, offsets, time_ns, [only.number] * count)
            if count == 1:
                only.append(first)
            else:
                only.extend(first, count)
        else:
            segment.extend(sizes, offsets, time_ns, [subject.number for subject in subjects])
            sequence = first
            for subject in subjects:
                if subject.count:
                    subject.append(sequence)
                else:
                    subject.first = subject.last = sequence
                    subject.count = 1
                sequence += 1
        if not self.message_count:
            self.first_sequence = first
            self._first_time = (first, time_ns)
        self.last_sequence = first + count - 1
        self.last_time_ns = time_ns + count - 1
        self.message_count += count
        self._live_bytes += sum(sizes)
        return first

    def _needs_new_segment(self, segment: Segment, time_ns: int) -> bool:
        return (
            segment.keys is not None
            or segment.base + len(segment) != self.last_sequence + 1
            or (len(segment) > 0 and time_ns - segment.time_base >= TIME_SPAN)
        )

    def _segment_for(self, time_ns: int) -> Segment:
        segments = self._table.segments
        if not segments or self._needs_new_segment(segments[-1], time_ns):
            self._begin_segment(self.last_sequence + 1)
        return segments[-1]

    # -- limits ----------------------------------------------------------------------------------------------
    def refusal(self, subject: bytes, size: int) -> str | None:
        """Return nats-server's text when a discard-new limit refuses this message."""
        limits = self.limits
        if not limits.discard_new:
            return None
        full = False
        if limits.max_messages_per_subject > 0:
            state = self._subjects.by_name.get(subject)
            full = state is not None and state.count >= limits.max_messages_per_subject
            if full and limits.discard_new_per_subject:
                return "maximum messages per subject exceeded"
        if 0 < limits.max_messages <= self.message_count and not full:
            return "maximum messages exceeded"
        if limits.max_bytes > 0:
            needed = self._accounted(subject, size)
            if self.byte_count + needed > limits.max_bytes and not (
                full and state is not None and self._size_of(state.first) >= needed
            ):
                return "maximum bytes exceeded"
        return None

    def _size_of(self, sequence: int) -> int:
        """Return how nats-server counts an existing message, 0 when there is none."""
        found = self._table.find(sequence)
        return found[0].sizes[found[1]] + self._bias if found is not None else 0

    @abstractmethod
    def _accounted(self, subject: bytes, size: int) -> int:
        """Return how nats-server counts a message without headers."""

    def enforce_limits(self) -> None:
        """Remove what the limits do not allow, oldest first: per subject, then messages, then bytes."""
        if self.limits.max_messages_per_subject > 0:
            self._limit_subjects(list(self._subjects.by_name.values()))
        self._limit_whole()

    def _limit_subjects(self, subjects: Iterable[Subject]) -> None:
        most = self.limits.max_messages_per_subject
        doomed: list[int] = []
        for subject in subjects:
            if subject.count > most:
                doomed.extend(subject.slice(0, subject.count - most))
        if doomed:
            self.remove(doomed, RemovalReason.LIMITS)

    def _limit_whole(self) -> None:
        limits = self.limits
        if limits.discard_new:
            return
        excess = self.message_count - limits.max_messages if limits.max_messages > 0 else 0
        if excess > 0:
            self._remove_oldest(excess)
        if 0 < limits.max_bytes < self.byte_count:
            self._remove_oldest(self._oldest_for_bytes(self.byte_count - limits.max_bytes))

    def _oldest_for_bytes(self, needed: int) -> int:
        """Return how many of the oldest messages make up at least so many bytes."""
        count = 0
        for segment in self._table.segments:
            size = segment.live_bytes + self._bias * segment.live
            if size <= needed:
                needed -= size
                count += segment.live
                continue
            for at in segment.alive_from(0, len(segment)):
                if needed <= 0:
                    return count
                needed -= segment.sizes[at] + self._bias
                count += 1
            if needed <= 0:
                return count
        return count

    def _remove_oldest(self, count: int) -> None:
        """Remove the `count` oldest messages under a limit."""
        if count <= 0:
            return
        last = self._table.alive_from(self.first_sequence, count)[-1]
        self._remove_through(last, RemovalReason.LIMITS)

    # -- reading the index -----------------------------------------------------------------------------------
    def next_sequences(self, start: int, count: int, filters: Sequence[bytes] = ()) -> list[int]:
        """Return up to `count` existing sequences ≥ start that match."""
        if count <= 0 or start > self.last_sequence or not self.message_count:
            return []
        start = max(start, self.first_sequence)
        if not filters or b">" in filters:
            return self._table.alive_from(start, count)
        if len(filters) == 1:
            only = filters[0]
            if not has_wildcards(only):
                subject = self._subjects.by_name.get(only)
                return [] if subject is None else subject.slice(start, count)
            pattern = self._subjects.pattern(only)
            matched: Iterable[Subject] = pattern.subjects.values()
            if len(pattern.subjects) == self.subject_count:
                return self._table.alive_from(start, count)
            if len(pattern.subjects) > _FEW_SUBJECTS:
                return self._table.chosen_from(start, count, pattern.flags)
        else:
            chosen = {subject.name: subject for text in filters for subject in self._subjects.matching(text)}
            matched = chosen.values()
            if len(chosen) > _FEW_SUBJECTS:
                flags = bytearray(len(self._subjects.by_number))
                for subject in matched:
                    flags[subject.number] = 1
                return self._table.chosen_from(start, count, flags)
        lists = [found for subject in matched if (found := subject.slice(start, count))]
        if len(lists) == 1:
            return lists[0]
        return list(islice(merge(*lists), count))

    def previous_sequence(self, start: int, filters: Sequence[bytes] = ()) -> int | None:
        """Return the highest existing matching sequence ≤ start."""
        if not filters or b">" in filters:
            return self._table.previous_alive(start)
        best: int | None = None
        for text in filters:
            for subject in self._subjects.matching(text):
                if best is not None and (subject.last <= best or subject.first > start):
                    continue
                found = subject.previous(start)
                if found is not None and (best is None or found > best):
                    best = found
        return best

    def count_from(self, start: int, filters: Sequence[bytes] = ()) -> int:
        """Return how many existing messages ≥ start match."""
        if start > self.last_sequence:
            return 0
        if not filters or b">" in filters:
            return self.message_count if start <= self.first_sequence else self._table.count_from(start)
        if len(filters) == 1 and not has_wildcards(filters[0]):
            subject = self._subjects.by_name.get(filters[0])
            return 0 if subject is None else subject.count_from(start)
        near = self.last_sequence - start < _SHORT_WALK
        total = 0
        for text in filters:
            if near and has_wildcards(text):
                pattern = self._subjects.pattern(text)
                if len(pattern.subjects) > _FEW_SUBJECTS:
                    total += len(self._table.chosen_from(start, _SHORT_WALK + 1, pattern.flags))
                    continue
            for subject in self._subjects.matching(text):
                total += subject.count if subject.first >= start else subject.count_from(start)
        return total

    def sequence_at(self, time_ns: int) -> int:
        """Return the first existing sequence stored at or after a time; last_sequence + 1 when none."""
        segments = [segment for segment in self._table.segments if segment.live]
        for number, segment in enumerate(segments):
            following = segments[number + 1] if number + 1 < len(segments) else None
            if following is not None and following.time_base < time_ns:
                continue
            at = self._index_at(segment, time_ns)
            if at >= 0:
                return segment.sequence(at)
            if following is not None:
                at = following.next_alive(0)
                return following.sequence(at)
        return self.last_sequence + 1

    def _index_at(self, segment: Segment, time_ns: int) -> int:
        """Return the first living index with this time or a later one, -1 when none."""
        unit = min(max(segment.time_unit(time_ns), 0), (1 << 32) - 1)
        low = bisect_left(segment.times, max(unit - 1, 0))
        high = bisect_right(segment.times, unit)
        # Between the two the coarse times do not tell; ask the records.
        while low < high:
            middle = (low + high) // 2
            if self._time_of(segment, middle) < time_ns:
                low = middle + 1
            else:
                high = middle
        return segment.next_alive(low)

    def subject_of(self, sequence: int) -> bytes | None:
        """Return the subject of an existing message."""
        found = self._table.find(sequence)
        if found is None:
            return None
        segment, at = found
        return self._name(segment.subjects[at])

    def _name(self, number: int) -> bytes:
        subject = self._subjects.by_number[number]
        assert subject is not None
        return subject.name

    def last_of_subject(self, subject: bytes) -> int | None:
        """Return the last sequence of a literal subject."""
        state = self._subjects.by_name.get(subject)
        return None if state is None else state.last

    def subjects(self, pattern: bytes = b">") -> Mapping[bytes, SubjectState]:
        """Return the state of every subject that matches and has messages."""
        return {
            subject.name: SubjectState(subject.count, subject.first, subject.last)
            for subject in self._subjects.matching(pattern)
        }

    def counted_subjects(self, pattern: bytes = b">") -> Sequence[Subject]:
        """Return every subject that matches, with its name and present count, in no order."""
        return list(self._subjects.matching(pattern))

    def removed_sequences(self) -> Iterator[int]:
        """Return the sequences missing between first and last."""
        if not self.message_count:
            return iter(())
        return self._table.gaps(self.first_sequence, self.last_sequence)

    # -- removing --------------------------------------------------------------------------------------------
    def remove(self, sequences: Iterable[int], reason: str, erase: bool = False) -> int:
        """Remove messages and return how many were there."""
        wanted = sorted(set(sequences))
        runs: list[Run] = []
        removed: list[tuple[int, bytes]] = []
        find = self._table.find
        emptied: list[Segment] = []
        start = previous = -1
        for sequence in wanted:
            found = find(sequence)
            if found is None:
                continue
            removed.append((sequence, self._take(found[0], found[1], sequence)))
            if not found[0].live:
                emptied.append(found[0])
            if sequence != previous + 1:
                if start >= 0:
                    runs.append((start, previous))
                start = sequence
            previous = sequence
        if not removed:
            return 0
        runs.append((start, previous))
        self._after_removal(runs, emptied, erase=erase)
        if self.on_removed is not None:
            self.on_removed(removed, reason)
        return len(removed)

    def _take(self, segment: Segment, at: int, sequence: int) -> bytes:
        """Take one living message out of the index and return its subject's name."""
        subject = self._subjects.by_number[segment.subjects[at]]
        assert subject is not None
        self._live_bytes -= segment.sizes[at]
        self.message_count -= 1
        segment.kill(at)
        if subject.first == sequence:
            subject.remove_first(1)
        else:
            subject.remove(sequence)
        if not subject.count:
            self._subjects.drop(subject)
        return subject.name

    def _after_removal(self, runs: list[Run], emptied: Iterable[Segment], *, erase: bool = False) -> None:
        self._move_first()
        self._write_removal(runs, erase=erase)
        for segment in emptied:
            self._emptied(segment)

    def _move_first(self) -> None:
        if not self.message_count:
            self.first_sequence = self.last_sequence + 1
            return
        first = self._table.next_alive(self.first_sequence)
        assert first is not None
        self.first_sequence = first

    def _remove_through(self, last: int, reason: str, *, tell: bool = True) -> int:
        """Remove every message up to `last`: each is the first one of its subject when its turn comes."""
        removed: list[tuple[int, bytes]] = []
        emptied: list[Segment] = []
        first = self.first_sequence
        by_number = self._subjects.by_number
        for segment in self._table.segments:
            if segment.base > last:
                break
            if not segment.live:
                continue
            end = segment.position(last + 1)
            for at in segment.alive_from(0, end):
                if at >= end:
                    break
                subject = by_number[segment.subjects[at]]
                assert subject is not None
                removed.append((segment.sequence(at), subject.name))
                subject.remove_first(1)
                if not subject.count:
                    self._subjects.drop(subject)
            before = segment.live_bytes
            segment.kill_prefix(end)
            self._live_bytes -= before - segment.live_bytes
            if not segment.live:
                emptied.append(segment)
        if not removed:
            return 0
        self.message_count -= len(removed)
        self._after_removal([(first, last)], emptied)
        if tell and self.on_removed is not None:
            self.on_removed(removed, reason)
        return len(removed)

    def purge(self, pattern: bytes = b"", below: int = 0, keep: int = 0) -> int:
        """Purge what matches, below a sequence or all but `keep`."""
        everything = pattern in (b"", b">")
        if everything:
            if not self.message_count:
                return 0
            if below > 1:
                return self._remove_through(below - 1, RemovalReason.PURGE, tell=False)
            if below == 1:
                return 0
            if keep:
                excess = self.message_count - keep
                if excess <= 0:
                    return 0
                last = self._table.alive_from(self.first_sequence, excess)[-1]
                return self._remove_through(last, RemovalReason.PURGE, tell=False)
            return self._remove_all()
        chosen: list[int] = []
        for subject in self._subjects.matching(pattern):
            if below:
                chosen.extend(subject.slice(0, subject.count - subject.count_from(below)))
            else:
                chosen.extend(subject.slice(0, subject.count))
        if keep:
            chosen.sort()
            del chosen[max(len(chosen) - keep, 0) :]
        listener, self.on_removed = self.on_removed, None
        try:
            return self.remove(chosen, RemovalReason.PURGE)
        finally:
            self.on_removed = listener

    def _remove_all(self) -> int:
        count = self.message_count
        run = (self.first_sequence, self.last_sequence)
        emptied = [segment for segment in self._table.segments if segment.live]
        for segment in emptied:
            segment.head = len(segment)
            segment.live = segment.live_bytes = 0
            segment.alive = None
        self._subjects.clear()
        self.message_count = self._live_bytes = 0
        self._after_removal([run], emptied)
        return count

    def expire(self, now_ns: int) -> int | None:
        """Drop what is older than max_age, in one bounded slice; return when the next is due."""
        age = self.limits.max_age_ns
        if age <= 0:
            return None
        limit = now_ns - age
        while self.message_count:
            number = self._table.at(self.first_sequence)
            segment = self._table.segments[number]
            unit = segment.time_unit(limit) - 1  # a unit is a floor: never drop one early
            end = bisect_left(segment.times, min(max(unit, 0), (1 << 32) - 1)) if unit > 0 else 0
            chosen = segment.alive_from(0, _EXPIRE_SLICE)
            chosen = [at for at in chosen if at < end]
            if not chosen:
                at = segment.next_alive(0)
                return segment.time_base + ((segment.times[at] + 2) << 20) + age
            self._remove_through(segment.sequence(chosen[-1]), RemovalReason.AGE)
            return now_ns
        return None

    # -- shared helpers --------------------------------------------------------------------------------------
    def _check_new(self, messages: Sequence[NewMessage]) -> None:
        if self.failure is not None:
            raise self.failure
        if not messages:
            raise ValueError("nothing to append")

    def _in_lost(self, sequence: int) -> bool:
        at = bisect_right(self._lost, (sequence, 1 << 63)) - 1
        return at >= 0 and self._lost[at][1] >= sequence

    def _note_lost(self, first: int, last: int) -> None:
        """Add a damaged range, merging it with its neighbours."""
        merged: list[Run] = []
        for low, high in sorted([*self._lost, (first, last)]):
            if merged and low <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
            else:
                merged.append((low, high))
        self._lost = merged

    @staticmethod
    def _stored(sequence: int, time_ns: int, subject: bytes, header_size: int, body: bytes) -> StoredMessage:
        return StoredMessage(sequence, time_ns, subject, header_size, body)
