"""Opening a stream's log: the index and the subjects are filled from what was recovered."""

from __future__ import annotations

import logging
from array import array
from collections.abc import Iterable
from itertools import compress
from typing import TypeAlias

from memphis_desktop.broker.store.index import Segment
from memphis_desktop.broker.store.indexed import Run
from memphis_desktop.broker.store.interface import (
    StorageError,
)
from memphis_desktop.broker.store.log_compaction import LogCompaction
from memphis_desktop.broker.store.log_file import LogFile
from memphis_desktop.broker.store.records import (
    CONFIGURATION,
    FLAG_DAMAGED,
    HEADER_SIZE,
    REMOVAL,
    SKIP,
    Record,
    pack_runs,
    unpack_record,
    valid_head,
)
from memphis_desktop.broker.store.recovery import (
    LogReader,
    RecoveredLog,
)
from memphis_desktop.broker.store.runs import merge_runs, subtract_runs
from memphis_desktop.broker.store.snapshot import Checkpoint
from memphis_desktop.broker.store.subject_index import Subject

logger = logging.getLogger(__name__)


# As `RecoveredLog.postings` has them.
Posting: TypeAlias = tuple[Segment, int, list[int], "array[int]", "array[int]"]


class LogOpening(LogCompaction):
    """A stream's log as it is found."""

    # -- opening ---------------------------------------------------------------------------------------------
    def recover(self) -> RecoveredLog:
        """Read the log as it lies on disk."""
        reader = LogReader(
            self._files,
            self._settings.descriptors,
            self._folder,
            self._quarantine,
            acks_waited=self._syncs,
        )
        log = reader.read()
        self._next_number = log.next_number
        self._identifiers = log.identifiers
        self.last_sequence = max(log.last_sequence, log.burnt)
        self.last_time_ns = log.last_time_ns
        for segment in log.segments:
            self._table.add(segment)
            if log.checkpoint is not None and segment.file.number in log.checkpoint.heads:
                segment.set_alive(*log.checkpoint.heads[segment.file.number])
        removed = merge_runs([*log.removals, *log.known_lost, *log.new_lost])
        self._kill_runs(removed)
        self._name_returned(log, reader.numbers)
        self._fill_subjects(log, list(reader.numbers))
        for first, last in log.known_lost:
            self._note_lost(first, last)
        unexplained = subtract_runs(log.gaps, [*removed, *log.skipped])
        fresh = subtract_runs([*log.new_lost, *unexplained], [*log.known_lost, *log.removals])
        if fresh and log.checkpoint is not None:
            fresh = subtract_runs(fresh, _removed_by(log.checkpoint, log.segments))
        for first, last in fresh:
            logger.error("%s: messages %d to %d are damaged and lost", self._folder, first, last)
            self._note_lost(first, last)
        self._count_all()
        if fresh:
            self._control.append((REMOVAL, self.last_sequence, 0, pack_runs(fresh, FLAG_DAMAGED)))
        if self.last_sequence > log.last_sequence:
            skipped = (log.last_sequence + 1).to_bytes(8, "little")
            self._control.append((SKIP, self.last_sequence, 0, skipped))
        self._keep_ids(log.erasures)  # those that were to be written, but are not there
        if self._mend(log):
            self._erase(log.erasures)
        self.durable_sequence = self.last_sequence
        if self._table.segments:
            self._sure = (self._table.segments[-1].file, self._table.segments[-1].file.end)
        for segment in self._table.segments[:-1]:
            if not segment.live:
                self._emptied(segment)
        return log

    def find_configuration(self) -> Record | None:
        """Return the newest configuration that the log holds, for when the document itself is lost."""
        best: Record | None = None
        for segment in self._table.segments:
            file: LogFile = segment.file
            for offset in file.controls:
                try:
                    head = valid_head(file.read(HEADER_SIZE, offset), 0, file.salt, offset)
                    if head is None or head[2] != CONFIGURATION:
                        continue
                    record = unpack_record(file.read(head[0], offset), 0, file.salt, offset)
                except OSError:
                    continue
                if record is not None and (best is None or record.sequence >= best.sequence):
                    best = record
        return best

    def _kill_runs(self, runs: list[Run]) -> None:
        for first, last in runs:
            for segment in self._table.segments[max(self._table.at(first), 0) :]:
                if segment.base > last:
                    break
                segment.kill_range(segment.position(first), segment.position(last + 1))

    def _name_returned(self, log: RecoveredLog, numbers: dict[bytes, int]) -> None:
        """Ask the records for the subjects of messages that an index calls removed and that live.

        Their removal was never confirmed and never reached the medium.
        """
        unnamed = numbers.get(b"")
        if unnamed is None:
            return
        returned: set[int] = set()
        for segment in self._table.segments:
            living: Iterable[int] = segment.subjects[segment.head :]
            if segment.alive is not None:
                living = compress(living, memoryview(segment.alive)[segment.head :])
            if not segment.live or unnamed not in living:
                continue
            returned.add(id(segment))
            for at in segment.alive_from(0, len(segment)):
                if segment.subjects[at] == unnamed:
                    self._name_from_record(log, segment, at, numbers)
        log.postings = [posting for posting in log.postings if id(posting[0]) not in returned]

    def _name_from_record(
        self, log: RecoveredLog, segment: Segment, at: int, numbers: dict[bytes, int]
    ) -> None:
        record = self._record(segment, at)
        if record is not None:
            segment.subjects[at] = numbers.setdefault(record.subject, len(numbers))
            return
        sequence = segment.sequence(at)
        log.new_lost.append((sequence, sequence))
        segment.kill(at)

    def _fill_subjects(self, log: RecoveredLog, names: list[bytes]) -> None:
        """Give every subject its messages, segment by segment."""
        subjects = [self._subjects.add(name) for name in names]
        parts: dict[int, list[Posting]] = {}
        for posting in log.postings:
            parts.setdefault(id(posting[0]), []).append(posting)
        for segment in self._table.segments:
            if not segment.live:
                continue
            done = 0
            for posting in parts.get(id(segment), ()):
                if posting[1] > done:
                    self._fill_plain(segment, subjects, done, posting[1])
                done = self._fill_grouped(segment, subjects, posting)
            self._fill_plain(segment, subjects, done, len(segment))
        self._forget_unused(subjects)

    @staticmethod
    def _fill_plain(segment: Segment, subjects: list[Subject], start: int, end: int) -> None:
        """Take in the messages of a stretch of a segment one by one, or at once when of one subject."""
        start = max(start, segment.head)
        if start >= end:
            return
        owners = segment.subjects
        chosen: Iterable[int] = range(start, end)
        if segment.alive is not None:
            chosen = compress(range(start, end), memoryview(segment.alive)[start:end])
        if owners.count(owners[start]) == len(owners):
            only = subjects[owners[start]]
            if segment.keys is None and segment.alive is None:
                only.extend(segment.base + start, end - start)
            else:
                sequences = [segment.sequence(at) for at in chosen]
                if sequences:
                    only.extend_list(sequences)
            return
        keys, base = segment.keys, segment.base
        for at in chosen:
            subjects[owners[at]].append(base + (at if keys is None else keys[at]))

    @staticmethod
    def _fill_grouped(segment: Segment, subjects: list[Subject], posting: Posting) -> int:
        """Take in the messages of one part of an index, grouped by subject already; return where it ends."""
        _, first, table, counts, postings = posting
        end = first + len(postings)
        alive = segment.alive
        if alive is None and segment.head > first:
            alive = bytearray(segment.head) + bytearray(b"\x01") * (end - min(segment.head, end))
        keys = segment.keys
        at = 0
        for number, count in zip(table, counts, strict=True):
            group = postings[at : at + count]
            at += count
            if first or alive is not None or keys is not None:
                places: Iterable[int] = map(first.__add__, group)
                if alive is not None:
                    places = filter(alive.__getitem__, places)
                group = array("I", places if keys is None else map(keys.__getitem__, places))
            if group:
                subjects[number].extend_block(segment.base, group)
        return end

    def _count_all(self) -> None:
        self.message_count = sum(segment.live for segment in self._table.segments)
        self._live_bytes = sum(segment.live_bytes for segment in self._table.segments)
        if self.message_count:
            first = self._table.next_alive(0)
            assert first is not None
            self.first_sequence = first
        elif self.last_sequence:
            self.first_sequence = self.last_sequence + 1

    def _mend(self, log: RecoveredLog) -> bool:
        """Write down what was found, and bring to the medium what a killed process may have left unsynced."""
        if not log.closed_in_order and log.segments:
            self._unsynced.extend(segment.file for segment in log.segments)
            self._folder_changed = True
        try:
            self._flush_control()
            work = self._begin_sync()
            if work is not None:
                work()
                self._end_sync(None)
        except (OSError, StorageError) as error:
            logger.error("%s: the repair could not be written: %s", self._folder, error)
            return False
        return True


def _removed_by(checkpoint: Checkpoint, segments: list[Segment]) -> list[Run]:
    """Return what a checkpoint calls removed, whether a record is left of it or not."""
    runs: list[Run] = []
    for segment in segments:
        head, flags = checkpoint.heads.get(segment.file.number, (0, b""))
        if head:
            runs.append((segment.base, segment.base + head - 1))
        at = flags.find(0)
        while at >= 0:
            end = flags.find(1, at)
            end = len(flags) if end < 0 else end
            runs.append((segment.base + at, segment.base + end - 1))
            at = flags.find(0, end)
    return runs
