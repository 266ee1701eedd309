"""One stream's messages in files: append-only segments, group commit, recovery."""

from __future__ import annotations

import json
import logging
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress, pairwise
from pathlib import Path
from typing import TypeAlias

from memphis_desktop.broker.clock import Clock, Timer
from memphis_desktop.broker.store.commit import Channel, SyncWork, TurnCallbacks, Workers
from memphis_desktop.broker.store.documents import Document
from memphis_desktop.broker.store.files import NO_DESCRIPTORS, NO_ROOM, FileSystem
from memphis_desktop.broker.store.index import Segment
from memphis_desktop.broker.store.indexed import IndexedStore, Run
from memphis_desktop.broker.store.indexer import Indexer, Slices
from memphis_desktop.broker.store.interface import (
    DamagedRecord,
    DurableCallback,
    Limits,
    NewMessage,
    RemovalReason,
    StorageError,
    StoredMessage,
)
from memphis_desktop.broker.store.log_file import WHOLE, Descriptors, LogFile
from memphis_desktop.broker.store.recent import RecentBudget, RecentMessages
from memphis_desktop.broker.store.records import (
    ACCOUNTED_BIAS,
    CONFIGURATION,
    FLAG_DAMAGED,
    FLAG_ERASE,
    HEADER_SIZE,
    IDENTIFIER,
    MESSAGE,
    REMOVAL,
    SKIP,
    Record,
    message_id,
    pack_messages,
    pack_record,
    pack_runs,
    unpack_messages,
    unpack_record,
)
from memphis_desktop.broker.store.recovery import (
    CHECKPOINT_NAME,
    LogReader,
    RecoveredLog,
    keep_in_quarantine,
)
from memphis_desktop.broker.store.runs import merge_runs, subtract_runs
from memphis_desktop.broker.store.snapshot import Checkpoint
from memphis_desktop.broker.store.subject_index import Subject

logger = logging.getLogger(__name__)

# One read fetches neighbours up to so many bytes.
_READ_MOST = 1024 * 1024
# A batch this large is not worth keeping in memory for readers.
_RECENT_BATCH_MOST = 4 * 1024 * 1024
_NO_LIMIT = 1 << 62
_make_stored = StoredMessage._make
# What a message costs in memory beside its bytes.
_MESSAGE_OVERHEAD = 200


# kind, sequence, time, body, and for some kinds subject and size of the header block
ControlEntry: TypeAlias = "tuple[int, int, int, bytes] | tuple[int, int, int, bytes, bytes, int]"


# As `RecoveredLog.postings` has them.
Posting: TypeAlias = tuple[Segment, int, list[int], "array[int]", "array[int]"]


def record_size(entry: ControlEntry) -> int:
    """Return how many bytes a control record takes."""
    size = HEADER_SIZE + len(entry[3])
    return size if len(entry) == 4 else size + len(entry[4]) + (4 if entry[5] else 0)


@dataclass(slots=True)
class StoreSettings:
    """What the message stores of a node share."""

    files: FileSystem
    clock: Clock
    workers: Workers  # for syncs
    background: Workers  # for everything that nobody waits for
    slices: Slices
    descriptors: Descriptors
    recent: RecentBudget
    segment_bytes: int
    index_bytes: int
    sync_always: bool
    sync_interval: float


class FileMessageStore(IndexedStore):
    """A stream's messages in files."""

    _bias = ACCOUNTED_BIAS

    def __init__(
        self,
        settings: StoreSettings,
        folder: Path,
        quarantine: Path,
        limits: Limits,
        sync_always: bool | None,
    ) -> None:
        super().__init__(limits)
        self.sync_always = sync_always
        self._settings = settings
        self._files = settings.files
        self._clock = settings.clock
        self._folder = folder
        self._quarantine = quarantine
        self._recent = RecentMessages(settings.recent)
        self._control: list[ControlEntry] = []  # not yet written
        self._configuration: Document | None = None
        self.kept_configuration: Record | None = None  # the newest one found in the log
        self._next_number = 1
        self._unsynced: list[LogFile] = []
        self._folder_changed = False
        self._target = 0
        self._syncing: list[LogFile] = []
        self._indexer = Indexer(settings.files, settings.slices, settings.background, settings.index_bytes)
        self._channel = Channel(settings.workers, settings.clock, self._begin_sync, self._end_sync)
        self._callbacks = TurnCallbacks(settings.clock)
        self._timer: Timer | None = None
        self._to_erase: list[list[Run]] = []
        self._identifiers: list[tuple[bytes, int, int]] = []  # of erased messages
        self._doomed: list[Segment] = []
        self._reclaiming = False
        self._closed = False

    # -- opening ---------------------------------------------------------------------------------------------
    def recover(self) -> RecoveredLog:
        """Read the log as it lies on disk."""
        reader = LogReader(self._files, self._settings.descriptors, self._folder, self._quarantine)
        log = reader.read()
        self._next_number = log.next_number
        self.kept_configuration = log.configuration
        self._identifiers = log.identifiers
        self.last_sequence = max(log.last_sequence, log.burnt)
        self.last_time_ns = log.last_time_ns
        for segment in log.segments:
            self._table.add(segment)
            if log.checkpoint is not None and segment.file.number in log.checkpoint.heads:
                segment.set_alive(*log.checkpoint.heads[segment.file.number])
        removed = merge_runs([*log.removals, *log.known_lost, *log.new_lost])
        self._kill_runs(removed)
        self._fill_subjects(log, list(reader.numbers))
        for first, last in log.known_lost:
            self._note_lost(first, last)
        unexplained = subtract_runs(log.gaps, [*removed, *log.skipped])
        for first, last in unexplained:
            logger.error("%s: messages %d to %d are missing", self._folder, first, last)
        fresh = subtract_runs([*log.new_lost, *unexplained], [*log.known_lost, *log.removals])
        for first, last in fresh:
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
        for segment in self._table.segments[:-1]:
            if not segment.live:
                self._emptied(segment)
        return log

    def _kill_runs(self, runs: list[Run]) -> None:
        for first, last in runs:
            for segment in self._table.segments[max(self._table.at(first), 0) :]:
                if segment.base > last:
                    break
                segment.kill_range(segment.position(first), segment.position(last + 1))

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

    def remember_configuration(self, document: Document) -> None:
        """Have a copy of the configuration in the log, at the start of each file from now on."""
        self._configuration = document
        segments = self._table.segments
        if segments and self.failure is None:
            self._control.append(self._configuration_entry(document))

    @staticmethod
    def _configuration_entry(document: Document) -> ControlEntry:
        notes = json.dumps(document.notes, separators=(",", ":")).encode()
        name = document.name.encode("utf-8", "surrogateescape")
        return CONFIGURATION, document.revision, 0, notes + document.content, name, len(notes)

    # -- appending -------------------------------------------------------------------------------------------
    def append(self, messages: Sequence[NewMessage], time_ns: int) -> int:
        """Write the messages with one call and take them into the index."""
        self._check_new(messages)
        time_ns = max(time_ns, self.last_time_ns)
        segment = self._segment_for(time_ns)
        names, header_sizes, bodies = zip(*messages, strict=True)
        subjects, only = self._subjects_for(names)
        if only is not None:
            checksums = [only.checksum] * len(bodies)
        else:
            checksums = [subject.checksum for subject in subjects]
        file: LogFile = segment.file
        control = self._pack_control(file)
        offset = file.end + len(control)
        block, lengths = pack_messages(
            names, checksums, header_sizes, bodies, self.last_sequence + 1, time_ns, file.salt, offset
        )
        try:
            self._write(file, control + block if control else block)
        except StorageError:
            self._forget_unused(subjects)
            raise
        if control:
            self._control_written(file, offset - len(control))
        offsets = []
        for length in lengths:
            offsets.append(offset)
            offset += length
        first = self._index(segment, subjects, only, lengths, offsets, time_ns)
        if not segment.has_ids and any(header_sizes):
            segment.has_ids = True
        if len(block) <= _RECENT_BATCH_MOST:
            self._recent.add(first, time_ns, messages, len(block) + _MESSAGE_OVERHEAD * len(messages))
        if not self._syncs:
            self.durable_sequence = self.last_sequence
        if file.end - file.indexed_end >= self._settings.index_bytes:
            self._continue_index(segment, sealed=False)
        limits = self.limits
        if limits.max_messages_per_subject > 0:
            self._limit_subjects(set(subjects))
        if limits.max_messages > 0 or limits.max_bytes > 0:
            self._limit_whole()
        return first

    @property
    def _syncs(self) -> bool:
        """Whether acks wait for the medium."""
        return self._settings.sync_always if self.sync_always is None else self.sync_always

    def _accounted(self, subject: bytes, size: int) -> int:
        return 30 + len(subject) + size

    def _needs_new_segment(self, segment: Segment, time_ns: int) -> bool:
        return self._full(segment.file) or super()._needs_new_segment(segment, time_ns)

    def _full(self, file: LogFile) -> bool:
        return file.unclean or file.end >= self._settings.segment_bytes

    def _begin_segment(self, base: int) -> None:
        segments = self._table.segments
        previous_end = segments[-1].file.end if segments and segments[-1].file.unclean else WHOLE
        try:
            file = LogFile.create(
                self._files,
                self._settings.descriptors,
                self._folder,
                self._next_number,
                base,
                self._clock.time_ns(),
                previous_end=previous_end,
            )
        except OSError as error:
            raise self._explain(error, "a new file could not be made") from error
        self._next_number += 1
        self._folder_changed = True
        self._unsynced.append(file)
        if segments:
            self._continue_index(segments[-1], sealed=True)
        if segments and not segments[-1].live:
            self._emptied(segments[-1], sealed=True)
        self._table.add(Segment(base, file))
        if self._configuration is not None:
            self._control.insert(0, self._configuration_entry(self._configuration))

    def _continue_index(self, segment: Segment, *, sealed: bool) -> None:
        if self._indexer.due(segment.file, sealed=sealed):
            self._indexer.begin(segment, self._names, self._index_state)

    def _names(self) -> list[bytes | None]:
        return [None if subject is None else subject.name for subject in self._subjects.by_number]

    def _index_state(self) -> tuple[int, int]:
        return self.last_time_ns, self.last_sequence

    def _pack_control(self, file: LogFile) -> bytes:
        if not self._control:
            return b""
        offset = file.end
        parts = []
        for entry in self._control:
            part = pack_record(*entry[:4], file.salt, offset, *entry[4:])
            offset += len(part)
            parts.append(part)
        return b"".join(parts)

    def _control_written(self, file: LogFile, start: int) -> None:
        """Note where the control records went that were just written."""
        for entry in self._control:
            file.controls.append(start)
            if entry[0] == IDENTIFIER:
                file.identifier_time = max(file.identifier_time, entry[2])
            start += record_size(entry)
        self._control.clear()

    def _flush_control(self) -> None:
        """Write the removals noted since the last write."""
        if not self._control:
            return
        segments = self._table.segments
        if not segments or self._full(segments[-1].file):
            self._begin_segment(self.last_sequence + 1)
        file: LogFile = segments[-1].file
        start = file.end
        self._write(file, self._pack_control(file))
        self._control_written(file, start)

    def _write(self, file: LogFile, data: bytes) -> None:
        """Append to the log.

        Raises:
            StorageError: nothing was written.
        """
        try:
            file.append(data)
        except OSError as error:
            raise self._explain(error, "a write failed") from error
        if len(self._unsynced) == 0 or self._unsynced[-1] is not file:
            self._unsynced.append(file)

    def _explain(self, error: OSError, what: str) -> StorageError:
        """Turn an error of the system into ours; a failing medium also stops the store."""
        if error.errno in NO_ROOM:
            return StorageError(f"no space left on the disk: {what}")
        if error.errno in NO_DESCRIPTORS:
            return StorageError(f"too many open files: {what}")
        return self._fail(error, what)

    def _fail(self, error: BaseException, what: str) -> StorageError:
        if self.failure is None:
            self.failure = StorageError(
                f"the storage of this stream failed and is read-only: {what}: {error}"
            )
            logger.error("%s: %s", self._folder, self.failure)
        return self.failure

    # -- durability ------------------------------------------------------------------------------------------
    def when_durable(self, callback: DurableCallback) -> None:
        """Call back once all that was written until now is on disk."""
        failure = self.failure
        if failure is None:
            try:
                self._flush_control()
            except StorageError as error:
                failure = error
        if failure is not None:
            told = failure
            self._clock.call_soon(lambda: callback(told))
        elif self._syncs:
            self._channel.request(callback)
        else:
            self.durable_sequence = self.last_sequence
            self._callbacks.add(callback)
            self._sync_later()

    def _sync_later(self) -> None:
        if self._timer is None and not self._closed:
            self._timer = self._clock.call_later(self._settings.sync_interval, self._sync_now)

    def _sync_now(self) -> None:
        self._timer = None
        if not self._closed and self.failure is None:
            self._channel.request(_ignore)

    def _begin_sync(self) -> SyncWork | None:
        if not self._unsynced and not self._folder_changed:
            self._target = self.last_sequence
            return None
        files = [file for file in dict.fromkeys(self._unsynced) if not file.removed]
        self._unsynced.clear()
        folder = self._folder if self._folder_changed else None
        self._folder_changed = False
        self._target = self.last_sequence
        self._syncing = files
        handles = []
        for file in files:
            file.pins += 1
        try:
            handles = [file.handle() for file in files]
        except OSError as error:
            trouble = error

            def fail() -> None:
                raise trouble

            return fail
        sync_folder = self._files.sync_folder

        def work() -> None:
            for handle in handles:
                handle.sync()
            if folder is not None:
                sync_folder(folder)

        return work

    def _end_sync(self, error: BaseException | None) -> StorageError | None:
        for file in self._syncing:
            file.pins -= 1
            file.dirty = False
        self._syncing = []
        if error is not None:
            return self._fail(error, "a sync failed")
        self.durable_sequence = max(self.durable_sequence, self._target)
        return None

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
        if self.on_removed is not None:
            self.on_removed([(sequence, name)], RemovalReason.DAMAGED)

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
            recent = self._recent.find(sequence)
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

    # -- removing --------------------------------------------------------------------------------------------
    def skip_to(self, sequence: int) -> None:
        """Make the next message get this sequence."""
        if sequence <= self.last_sequence:
            raise ValueError("a sequence is never reused")
        if self.failure is not None:
            raise self.failure
        first = self.last_sequence + 1
        self._control.append((SKIP, sequence - 1, 0, first.to_bytes(8, "little")))
        self.last_sequence = sequence - 1
        if not self.message_count:
            self.first_sequence = sequence

    def _write_removal(self, runs: list[Run], *, erase: bool) -> None:
        body = pack_runs(runs, FLAG_ERASE if erase else 0)
        self._control.append((REMOVAL, self.last_sequence, self._clock.time_ns(), body))
        if erase:
            self._keep_ids(runs)
            self._erase_when_durable(runs)

    def _erase_when_durable(self, runs: list[Run]) -> None:
        """Overwrite bodies once their removal is durable: until then the messages may come back whole."""

        self._to_erase.append(runs)

        def durable(failure: StorageError | None) -> None:
            if failure is None and not self._closed:
                self._to_erase.remove(runs)
                self._erase(runs)
                self._channel.request(_ignore)

        def request() -> None:
            try:
                self._flush_control()
            except StorageError:
                return  # the removal is written later, and erased by the next start
            self._channel.request(durable)

        self._recent.clear()
        self._clock.call_soon(request)

    def _records(self, runs: list[Run]) -> Iterator[tuple[Segment, Record]]:
        """Yield the records of removed messages that still lie in a file."""
        for first, last in runs:
            for segment in self._table.segments[max(self._table.at(first), 0) :]:
                if segment.base > last:
                    break
                for at in range(segment.position(first), segment.position(last + 1)):
                    record = self._record(segment, at)
                    if record is not None:
                        yield segment, record

    def _keep_ids(self, runs: list[Run]) -> None:
        """Write the ids of messages that are to be erased once more."""
        known = {entry[1] for entry in self._identifiers}
        for _, record in self._records(runs):
            found = message_id(record.body[: record.header_size])
            if found and record.sequence not in known:
                self._identifiers.append((found, record.sequence, record.time_ns))
                self._control.append((IDENTIFIER, record.sequence, record.time_ns, found))

    def _erase(self, runs: list[Run]) -> None:
        """Overwrite the bodies of removed messages with zeros, as whole records."""
        for segment, record in self._records(runs):
            if not any(record.body):
                continue
            file: LogFile = segment.file
            blank = pack_record(
                MESSAGE,
                record.sequence,
                record.time_ns,
                bytes(len(record.body)),
                file.salt,
                record.offset,
                record.subject,
                record.header_size,
            )
            try:
                file.handle().overwrite(blank, record.offset)
            except OSError as error:
                logger.error("%s: a removed message could not be erased: %s", file.path, error)
            else:
                self._unsynced.append(file)

    def _emptied(self, segment: Segment, *, sealed: bool = False) -> None:
        if not sealed and segment is self._table.segments[-1]:
            return
        if segment not in self._doomed:
            self._doomed.append(segment)
        if not self._reclaiming:
            self._reclaiming = True
            self._clock.call_soon(self._reclaim)

    def _reclaim(self) -> None:
        """Let go of files without living messages, once their removal is durable."""
        self._reclaiming = False
        if self._closed or self.failure is not None:
            return
        now = self._clock.time_ns()
        ready: list[Segment] = []
        waiting: list[Segment] = []
        for segment in self._doomed:
            (waiting if self._holds_ids(segment, now) else ready).append(segment)
        self._doomed = waiting
        if waiting:
            self._reclaiming = True
            self._clock.call_later(self.id_window_ns / 4e9, self._reclaim)
        if not ready:
            return
        carried = self._removals_to_carry(ready)
        if carried:
            self._control.append((REMOVAL, self.last_sequence, now, pack_runs(carried)))

        def durable(failure: StorageError | None) -> None:
            if failure is None:
                self._unlink(ready)
            else:
                self._doomed.extend(ready)

        try:
            self._flush_control()
        except StorageError as error:
            durable(error)
            return
        self._channel.request(durable)

    def _holds_ids(self, segment: Segment, now_ns: int) -> bool:
        """Whether a file has message ids that still count."""
        newest: int = segment.file.identifier_time
        if segment.has_ids and len(segment):
            newest = max(newest, segment.time_base + ((segment.times[-1] + 2) << 20))
        return newest > 0 and newest + self.id_window_ns > now_ns

    def _removals_to_carry(self, going: list[Segment]) -> list[Run]:
        """Return what has to be written again before files go.

        A file also holds the removals of messages in older files, and proves that the gap it leaves is none.
        Of several files, a power loss may take any and leave the others. Only the oldest file on its own
        leaves nothing behind.
        """
        segments = self._table.segments
        last = max(segments.index(segment) for segment in going)
        if last == 0:
            return []
        runs: list[Run] = []
        for segment, following in pairwise(segments[: last + 2]):
            if segment in going:
                runs.append((segment.base, following.base - 1))
                continue
            runs.extend(segment.dead_runs())
            runs.append((segment.last_sequence() + 1, following.base - 1))
        return merge_runs(run for run in runs if run[0] <= run[1])

    def _unlink(self, going: list[Segment]) -> None:
        for segment in going:
            if segment not in self._table.segments:
                continue
            self._table.drop(segment)
            try:
                segment.file.unlink()
                self._folder_changed = True
            except OSError as error:
                logger.warning("%s: could not be removed: %s", segment.file.path, error)

    # -- message ids -----------------------------------------------------------------------------------------
    def recent_ids(self, since_ns: int) -> Iterator[tuple[bytes, int, int]]:
        """Yield (message id, sequence, time) stored since then, of removed messages too."""
        yield from sorted(
            (entry for entry in self._identifiers if entry[2] >= since_ns), key=lambda entry: entry[1]
        )
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

    # -- life ------------------------------------------------------------------------------------------------
    def disk_bytes(self) -> int:
        """Return how many bytes the log's files take."""
        return sum(segment.file.end for segment in self._table.segments)

    def close(self) -> None:
        """Sync and let go of the files."""
        if self._closed:
            return
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._indexer.close()
        if self.failure is None:
            try:
                self._flush_control()
                self._settings.workers.wait()
                work = self._begin_sync()
                if work is not None:
                    error: BaseException | None = None
                    try:
                        work()
                    except OSError as trouble:
                        error = trouble
                    self._end_sync(error)
            except StorageError as error:
                logger.error("%s: %s", self._folder, error)
        if self.failure is None:
            for runs in self._to_erase:
                self._erase(runs)
            self._write_snapshots()
        for segment in self._table.segments:
            segment.file.release()
        if self.failure is None:
            self.failure = StorageError("the store is closed")

    def _write_snapshots(self) -> None:
        """Bring the indexes and the checkpoint up to date, so that the next start need not scan."""
        names = self._names()
        for segment in self._table.segments:
            self._indexer.finish(segment, names, self._index_state())
        checkpoint = self._checkpoint()
        if checkpoint is not None:
            try:
                self._indexer.write_checkpoint(self._folder / CHECKPOINT_NAME, checkpoint)
            except OSError as error:
                logger.warning("%s: the checkpoint could not be written: %s", self._folder, error)

    def _checkpoint(self) -> Checkpoint | None:
        segments = self._table.segments
        if not segments:
            return None
        heads = {
            segment.file.number: segment.alive_by_distance()
            for segment in segments
            if segment.head or segment.alive is not None
        }
        explained: list[Run] = []
        for before, after in pairwise(segments):
            if after.base > before.last_sequence() + 1:
                explained.append((before.last_sequence() + 1, after.base - 1))
        file: LogFile = segments[-1].file
        return Checkpoint(
            file.number, file.end, self.last_sequence, heads, self.damaged(), explained, self._identifiers
        )


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


def _ignore(_: StorageError | None) -> None:
    return
