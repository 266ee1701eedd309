"""Reading messages from a stream's log."""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from heapq import merge
from itertools import chain
from typing import Any

from memphis_desktop.broker.store.blocks import unpack_block
from memphis_desktop.broker.store.commit import ignore
from memphis_desktop.broker.store.files import NO_DESCRIPTORS
from memphis_desktop.broker.store.index import Segment
from memphis_desktop.broker.store.interface import (
    DamagedRecord,
    MessageBlock,
    NewMessage,
    RemovalReason,
    StorageError,
    StoredMessage,
)
from memphis_desktop.broker.store.log_writer import LogWriter
from memphis_desktop.broker.store.records import (
    FLAG_DAMAGED,
    HEADER_SIZE,
    REMOVAL,
    Record,
    message_id,
    pack_runs,
    unpack_messages,
    unpack_record,
)
from memphis_desktop.broker.store.recovery import (
    keep_in_quarantine,
)

logger = logging.getLogger(__name__)

# One read fetches neighbours up to so many bytes.
_READ_MOST = 1024 * 1024
_NO_LIMIT = 1 << 62
_WORTH_KEEPING = 16
_make_stored = StoredMessage._make


class LogReading(LogWriter):
    """A stream's log as it is read."""

    # -- reading ---------------------------------------------------------------------------------------------
    def read(self, sequence: int) -> StoredMessage | None:
        """Return the message with this sequence."""
        found = self._table.find(sequence)
        if found is None:
            if self._in_lost(sequence):
                raise DamagedRecord(f"message {sequence} is damaged")
            return None
        recent = self._recent.find(sequence)
        if recent is not None:
            first, time_ns, messages = recent
            at = sequence - first
            return StoredMessage(sequence, time_ns + at, *messages[at])
        messages_read = self._fetch_run(*found, sequence, 1)
        if not messages_read:
            raise DamagedRecord(f"message {sequence} is damaged")
        return messages_read[0]

    def _found_damaged(self, segment: Segment, at: int, sequence: int, content: bytes) -> None:
        """Take a record that turned out damaged out of the index, for good, and report it."""
        logger.error("%s: message %d is damaged and lost", segment.file.path, sequence)
        keep_in_quarantine(self._files, self._quarantine, segment.file, segment.offsets[at], content)
        name = self._take(segment, at, sequence)
        self._note_lost(sequence, sequence)
        self._move_first()
        run = [(sequence, sequence)]
        self._control.append(
            (REMOVAL, self.last_sequence, self._clock.time_ns(), pack_runs(run, FLAG_DAMAGED))
        )
        if not segment.live:
            self._emptied(segment)
        self._clock.call_soon(lambda: self._tell_damaged(sequence, name))

    def _tell_damaged(self, sequence: int, name: bytes) -> None:
        if self.failure is None:
            self.when_durable(ignore)  # so that the next start knows of it
        if self.on_removed is not None:
            self.on_removed([(sequence, name)], RemovalReason.DAMAGED)

    def at_hand(self, sequences: Sequence[int], max_bytes: int, then: Callable[[], None]) -> bool:
        """See the interface: asks about the stretch of the file that holds the first of them."""
        place = self._table.find(sequences[0]) if sequences else None
        if place is None or self._recent.find(sequences[0]) is not None:
            return True
        segment, index = place
        end = self._table.find(sequences[-1])
        last = end[1] if end is not None and end[0] is segment else len(segment) - 1
        start = segment.offsets[index]
        size = segment.offsets[last] + segment.sizes[last] - start
        size = min(size, max_bytes if max_bytes > 0 else _READ_MOST, _READ_MOST)
        try:
            if size <= 0 or self._files.at_hand(segment.file.handle(), size, start):
                return True
        except OSError:
            return True  # reading says what is wrong
        path = segment.file.path
        self._settings.readers.submit(lambda: self._files.bring(path, size, start), lambda _: then())
        return False

    def read_many(self, sequences: Sequence[int], max_bytes: int = 0) -> list[StoredMessage]:
        """Return the messages that exist and are whole; runs of neighbours are served together."""
        found: list[StoredMessage] = []
        left = max_bytes if max_bytes > 0 else _NO_LIMIT
        count = len(sequences)
        at = 0
        while at < count and left > 0:
            sequence = sequences[at]
            place = self._table.find(sequence)
            if place is None:
                at += 1
                continue
            segment, index = place
            length = self._run_length(segment, index, sequences, at)
            recent = self._recent_run(sequence, length)
            if recent is not None:
                first, time_ns, messages = recent
                start = sequence - first
                length = min(length, len(messages) - start)
                chosen = _with_sequences(sequence, time_ns + start, messages[start : start + length])
            else:
                length = self._read_length(segment, index, length, left)
                chosen = self._fetch_run(segment, index, sequence, length)
            at += length
            if left != _NO_LIMIT:
                for place_in_run, message in enumerate(chosen):
                    left -= len(message.subject) + len(message.body)
                    if left <= 0:
                        chosen = chosen[: place_in_run + 1]
                        break
            found += chosen
        return found

    def read_block(self, sequences: Sequence[int], max_bytes: int) -> MessageBlock | None:
        """Return the first of `sequences` in columns; None when they are not to be had so."""
        count, at, left = len(sequences), 0, max_bytes
        runs: list[MessageBlock] = []
        while at < count and left > 0:
            place = self._table.find(sequences[at])
            run = None if place is None else self._read_run(*place, sequences, at, left)
            if run is None:
                return None
            runs.append(run)
            at += len(run.sequences)
            left -= sum(map(len, run.subjects)) + sum(map(len, run.bodies))
        if not runs:
            return None
        block = runs[0] if len(runs) == 1 else MessageBlock._make(map(_joined, *runs))
        return block if left > 0 else _cut(block, left)

    def _read_run(
        self, segment: Segment, index: int, sequences: Sequence[int], at: int, left: int
    ) -> MessageBlock | None:
        """Return the run of neighbours that begins with `sequences[at]`; None when one is damaged."""
        sequence = sequences[at]
        length = self._run_length(segment, index, sequences, at)
        recent = self._recent_run(sequence, length)
        if recent is not None:
            first, time_ns, messages = recent
            start = sequence - first
            chosen = messages[start : start + length]
            length = len(chosen)
            moments = range(time_ns + start, time_ns + start + length)
            subjects, header_sizes, bodies = zip(*chosen, strict=True)
            return MessageBlock(sequences[at : at + length], moments, subjects, header_sizes, bodies)
        length = self._read_length(segment, index, length, left)
        end = index + length
        offsets, sizes = segment.offsets[index:end], segment.sizes[index:end]
        start = offsets[0]
        try:
            data = segment.file.read(offsets[-1] + sizes[-1] - start, start)
        except OSError:
            return None
        return unpack_block(data, offsets, sizes, sequences[at : at + length], segment.file.salt, start)

    def _recent_run(self, sequence: int, length: int) -> tuple[int, int, Sequence[NewMessage]] | None:
        """Return the batch kept in memory that holds a sequence; None when a run so long is better read.

        One read for many is cheaper than to put together what came in batches of a few.
        """
        recent = self._recent.find(sequence)
        if recent is None or len(recent[2]) - (sequence - recent[0]) >= min(length, _WORTH_KEEPING):
            return recent
        return None

    @staticmethod
    def _run_length(segment: Segment, index: int, sequences: Sequence[int], at: int) -> int:
        """Return how many of `sequences` from `at` on follow each other and live in the segment."""
        if segment.keys is not None:
            return 1
        sequence = sequences[at]
        length = min(len(sequences) - at, len(segment) - index)
        if sequences[at + length - 1] != sequence + length - 1:
            # They ascend: what lies before the first jump is found by halving.
            low, high = 1, length
            while low < high:
                middle = (low + high + 1) // 2
                if sequences[at + middle - 1] == sequence + middle - 1:
                    low = middle
                else:
                    high = middle - 1
            length = low
        if segment.alive is not None:
            hole = segment.alive.find(0, index, index + length)
            if hole >= 0:
                length = hole - index
        return length

    @staticmethod
    def _read_length(segment: Segment, index: int, length: int, left: int) -> int:
        """Return how many messages from an index on are worth one read."""
        most = min(_READ_MOST, left)
        offsets = segment.offsets
        limit = offsets[index] + most
        if offsets[index + length - 1] + segment.sizes[index + length - 1] > limit:
            length = max(bisect_right(offsets, limit, index, index + length) - index, 1)
        return length

    def _fetch_run(self, segment: Segment, index: int, sequence: int, length: int) -> list[StoredMessage]:
        """Read neighbours from their file with one call; damaged ones are reported and left out."""
        last = index + length - 1
        start = segment.offsets[index]
        size = segment.offsets[last] + segment.sizes[last] - start
        try:
            data = segment.file.read(size, start)
        except OSError as error:
            if error.errno in NO_DESCRIPTORS:
                raise StorageError("too many open files: messages could not be read") from error
            if length > 1:
                return [
                    message
                    for at in range(length)
                    for message in self._fetch_run(segment, index + at, sequence + at, 1)
                ]
            data = b""
        offsets = segment.offsets[index : index + length]
        if length > 1:
            sequences = range(sequence, sequence + length)
            sizes = segment.sizes[index : index + length]
            block = unpack_block(data, offsets, sizes, sequences, segment.file.salt, start)
            if block is not None:
                return block.messages()
        rows = unpack_messages(data, offsets, range(sequence, sequence + length), segment.file.salt, start)
        if None in rows:
            for at, row in enumerate(rows):
                if row is None:
                    place = offsets[at] - start
                    content = data[place : place + segment.sizes[index + at]]
                    self._found_damaged(segment, index + at, sequence + at, content)
            rows = [row for row in rows if row is not None]
        return list(map(_make_stored, rows))  # type: ignore[arg-type]

    def _time_of(self, segment: Segment, at: int) -> int:
        offset = segment.offsets[at]
        try:
            data = segment.file.read(HEADER_SIZE, offset)
        except OSError:
            data = b""
        if len(data) == HEADER_SIZE:
            return int.from_bytes(data[16:24], "little")
        return segment.time_base + (segment.times[at] << 20)

    # -- message ids -----------------------------------------------------------------------------------------
    def recent_ids(self, since_ns: int) -> Iterator[tuple[bytes, int, int]]:
        """Yield (message id, sequence, time) stored since then, of removed messages too."""
        kept = sorted({entry for entry in self._identifiers if entry[2] >= since_ns}, key=_by_sequence)
        return merge(kept, self._stored_ids(since_ns), key=_by_sequence)

    def _stored_ids(self, since_ns: int) -> Iterator[tuple[bytes, int, int]]:
        for segment in list(self._table.segments):
            if not segment.has_ids or not len(segment):
                continue
            unit = segment.time_unit(since_ns) - 1
            at = bisect_right(segment.times, min(max(unit, 0), (1 << 32) - 1)) if unit > 0 else 0
            for index in range(at, len(segment)):
                record = self._record(segment, index)
                if record is None or not record.header_size or record.time_ns < since_ns:
                    continue
                found = message_id(record.body[: record.header_size])
                if found:
                    yield found, record.sequence, record.time_ns

    def _record(self, segment: Segment, at: int) -> Record | None:
        try:
            data = segment.file.read(segment.sizes[at], segment.offsets[at])
        except OSError:
            return None
        return unpack_record(data, 0, segment.file.salt, segment.offsets[at])


def _by_sequence(entry: tuple[bytes, int, int]) -> int:
    return entry[1]


def _joined(*columns: Sequence[Any]) -> Sequence[Any]:
    return list(chain.from_iterable(columns))


def _cut(block: MessageBlock, excess: int) -> MessageBlock:
    """Drop messages at the end until without the last one left the block were not full.

    `excess` is the limit less what all of them take, not above 0.
    """
    count = len(block.sequences)
    while (
        count > 1 and (excess := excess + len(block.subjects[count - 1]) + len(block.bodies[count - 1])) <= 0
    ):
        count -= 1
    return block if count == len(block.sequences) else MessageBlock._make(column[:count] for column in block)


def _with_sequences(sequence: int, time_ns: int, messages: Sequence[NewMessage]) -> list[StoredMessage]:
    """Return appended messages as stored ones."""
    new = tuple.__new__
    kind = StoredMessage
    count = len(messages)
    return [
        new(kind, (number, moment, *message))
        for number, moment, message in zip(
            range(sequence, sequence + count), range(time_ns, time_ns + count), messages, strict=True
        )
    ]
