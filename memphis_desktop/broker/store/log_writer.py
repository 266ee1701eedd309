"""Writing a stream's log: segments, records, group commit."""

from __future__ import annotations

import json
import logging
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from memphis_desktop.broker.clock import Clock, Timer
from memphis_desktop.broker.store.commit import Channel, Pace, SyncWork, TurnCallbacks, Workers, ignore
from memphis_desktop.broker.store.documents import Document
from memphis_desktop.broker.store.files import NO_DESCRIPTORS, NO_ROOM, FileSystem
from memphis_desktop.broker.store.index import TIME_SPAN, Segment
from memphis_desktop.broker.store.indexed import IndexedStore, Run
from memphis_desktop.broker.store.indexer import Indexer, Slices
from memphis_desktop.broker.store.interface import (
    DurableCallback,
    Limits,
    NewMessage,
    StorageError,
)
from memphis_desktop.broker.store.log_file import WHOLE, Descriptors, LogFile
from memphis_desktop.broker.store.recent import RecentBudget, RecentMessages
from memphis_desktop.broker.store.records import (
    ACCOUNTED_BIAS,
    CONFIGURATION,
    HEADER_SIZE,
    IDENTIFIER,
    pack_message,
    pack_messages,
    pack_record,
)
from memphis_desktop.broker.store.reserve import NoRoom, Reserve
from memphis_desktop.broker.store.subject_index import Subject

logger = logging.getLogger(__name__)

# A batch this large is not worth keeping in memory for readers.
_RECENT_BATCH_MOST = 4 * 1024 * 1024
# What a message costs in memory beside its bytes.
_MESSAGE_OVERHEAD = 200


# kind, sequence, time, body, and for some kinds subject and size of the header block
ControlEntry: TypeAlias = "tuple[int, int, int, bytes] | tuple[int, int, int, bytes, bytes, int]"


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
    pace: Pace
    background: Workers  # for everything that nobody waits for
    readers: Workers  # for reading ahead what does not lie in memory
    slices: Slices
    descriptors: Descriptors
    recent: RecentBudget
    segment_bytes: int
    index_bytes: int
    sync_always: bool
    sync_interval: float
    reserve_bytes: int
    reserve: Reserve = field(init=False)  # made once the folder is locked


class LogWriter(IndexedStore):
    """A stream's log as it is written and synced."""

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
        self._unconfirmed: list[ControlEntry] = []  # written, but maybe not on the medium
        self._covered = 0  # how many of these the sync under way covers
        self._sure: tuple[LogFile | None, int] = (None, 0)  # up to here everything is on the medium
        self._sync_end: tuple[LogFile | None, int] = (None, 0)  # what `_sure` becomes
        self._configuration: Document | None = None
        self._next_number = 1
        self._unsynced: list[LogFile] = []
        self._folder_changed = False
        self._target = 0
        self._syncing: list[LogFile] = []
        self._indexer = Indexer(settings.files, settings.slices, settings.background, settings.index_bytes)
        self._channel = Channel(
            settings.workers,
            settings.pace,
            settings.clock,
            self._begin_sync,
            self._end_sync,
            self._unsynced_bytes,
        )
        self._callbacks = TurnCallbacks(settings.clock)
        self._timer: Timer | None = None
        self._to_erase: list[list[Run]] = []
        self._identifiers: list[tuple[bytes, int, int]] = []  # of erased messages
        self._doomed: list[Segment] = []
        self._reclaiming = False
        self._closed = False

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
    @abstractmethod
    def _doom(self, segment: Segment) -> None:
        """Let go of a file that has no living message and gets no more records, when the time comes."""

    @abstractmethod
    def _failed(self) -> None:
        """Called once when the medium failed: put the stream into a state that is sure to be on it."""

    def append(
        self,
        messages: Sequence[NewMessage],
        time_ns: int,
        written: Callable[[int], None] | None = None,
    ) -> int:
        """Write the messages with one call and take them into the index."""
        if self.failure is not None or not messages:
            self._check_new(messages)
        if self._settings.reserve.spent:
            raise StorageError("no space left on the disk")
        if time_ns < self.last_time_ns:
            time_ns = self.last_time_ns
        segment = self._segment_for(time_ns)
        if len(messages) == 1:
            return self._append_one(segment, messages, time_ns, written)
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
        self._appended(segment, subjects, first, time_ns, messages, len(block))
        return first

    def _append_one(
        self,
        segment: Segment,
        messages: Sequence[NewMessage],
        time_ns: int,
        written: Callable[[int], None] | None,
    ) -> int:
        """Write the only message of a batch: as `append` does, without columns of one entry."""
        name, header_size, body = messages[0]
        subject = self._subjects.by_name.get(name) or self._subjects.add(name)
        file: LogFile = segment.file
        control = self._pack_control(file) if self._control else b""
        offset = file.end + len(control)
        sequence = self.last_sequence + 1
        record = pack_message(
            name, subject.checksum, header_size, body, sequence, time_ns, file.salt + offset
        )
        try:
            self._write(file, control + record if control else record)
        except StorageError:
            self._forget_unused([subject])
            raise
        if control:
            self._control_written(file, offset - len(control))
        if written is not None and not self._syncs:
            written(sequence)
        size = len(record)
        segment.append(size, offset, time_ns, subject.number)
        subject.append(sequence)
        if not self.message_count:
            self.first_sequence = sequence
            self._first_time = (sequence, time_ns)
        self.last_sequence = sequence
        self.last_time_ns = time_ns
        self.message_count += 1
        self._live_bytes += size
        if header_size:
            segment.has_ids = True
        self._appended(segment, [subject], sequence, time_ns, messages, size)
        return sequence

    def _appended(
        self,
        segment: Segment,
        subjects: list[Subject],
        first: int,
        time_ns: int,
        messages: Sequence[NewMessage],
        size: int,
    ) -> None:
        """Do what follows when messages were written and indexed."""
        if size <= _RECENT_BATCH_MOST:
            self._recent.add(first, time_ns, messages, size + _MESSAGE_OVERHEAD * len(messages))
        if not self._syncs:
            self.durable_sequence = self.last_sequence
        file: LogFile = segment.file
        if file.end - file.indexed_end >= self._settings.index_bytes:
            self._continue_index(segment, sealed=False)
        limits = self.limits
        if limits.max_messages_per_subject > 0:
            self._limit_subjects(set(subjects))
        if limits.max_messages > 0 or limits.max_bytes > 0:
            self._limit_whole()

    @property
    def _syncs(self) -> bool:
        """Whether acks wait for the medium."""
        return self._settings.sync_always if self.sync_always is None else self.sync_always

    def _accounted(self, subject: bytes, size: int) -> int:
        return 30 + len(subject) + size

    def _segment_for(self, time_ns: int) -> Segment:
        segments = self._table.segments
        if segments:
            # What nearly always holds, without a call for each part of it.
            newest = segments[-1]
            count = len(newest.sizes)
            if (
                count
                and newest.keys is None
                and newest.base + count == self.last_sequence + 1
                and time_ns - newest.time_base < TIME_SPAN
                and not self._full(newest.file)
            ):
                return newest
        return super()._segment_for(time_ns)

    def _needs_new_segment(self, segment: Segment, time_ns: int) -> bool:
        return self._full(segment.file) or super()._needs_new_segment(segment, time_ns)

    def _full(self, file: LogFile) -> bool:
        return file.unclean or file.end >= self._settings.segment_bytes

    def _begin_segment(self, base: int) -> None:
        segments = self._table.segments
        previous_end = WHOLE
        if segments and (segments[-1].file.unclean or segments[-1].file.room):
            previous_end = segments[-1].file.end
        try:
            file = LogFile.create(
                self._files,
                self._settings.descriptors,
                self._folder,
                self._next_number,
                base,
                self._clock.time_ns(),
                previous_number=segments[-1].file.number if segments else 0,
                previous_end=previous_end,
            )
        except OSError as error:
            raise self._explain(error, "a new file could not be made") from error
        self._next_number += 1
        self._folder_changed = True
        self._unsynced.append(file)
        if segments:
            segments[-1].file.trim()
            self._continue_index(segments[-1], sealed=True)
        if segments and not segments[-1].live:
            self._doom(segments[-1])
        self._table.add(Segment(base, file))
        if self._configuration is not None:
            self._control.insert(0, self._configuration_entry(self._configuration))

    def _continue_index(self, segment: Segment, *, sealed: bool) -> None:
        if self._indexer.due(segment.file, sealed=sealed):
            self._indexer.begin(segment, self._names_of, lambda: self.last_time_ns)

    def _names_of(self, numbers: list[int]) -> list[bytes]:
        by_number = self._subjects.by_number
        known = len(by_number)
        found = [by_number[number] if number < known else None for number in numbers]
        return [b"" if subject is None else subject.name for subject in found]

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
            self._unconfirmed.append(entry)
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
            try:
                self._begin_segment(self.last_sequence + 1)
            except NoRoom:
                if not self._settings.reserve.release():
                    raise
                self._begin_segment(self.last_sequence + 1)
        file: LogFile = segments[-1].file
        start = file.end
        try:
            file_content = self._pack_control(file)
            self._write(file, file_content)
        except NoRoom:
            # Removals have to go on when the disk is full: they make room.
            if not self._settings.reserve.release():
                raise
            self._write(file, file_content)
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
        if not self._unsynced or self._unsynced[-1] is not file:
            self._unsynced.append(file)

    def _explain(self, error: OSError, what: str) -> StorageError:
        """Turn an error of the system into ours; a failing medium also stops the store."""
        if error.errno in NO_ROOM:
            return NoRoom(f"no space left on the disk: {what}")
        if error.errno in NO_DESCRIPTORS:
            return StorageError(f"too many open files: {what}")
        return self._fail(error, what)

    def _fail(self, error: BaseException, what: str) -> StorageError:
        if self.failure is None:
            self.failure = StorageError(
                f"the storage of this stream failed and is read-only: {what}: {error}"
            )
            logger.error("%s: %s", self._folder, self.failure)
            self._clock.call_soon(self._failed)
        return self.failure

    # -- durability ------------------------------------------------------------------------------------------
    def when_durable(self, callback: DurableCallback) -> None:
        """Call back once all that was written until now is on disk."""
        failure = self.failure
        if failure is None and self._control:
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
            if self._timer is None:
                self._sync_later()

    def _sync_later(self) -> None:
        if not self._closed:
            self._timer = self._clock.call_later(self._settings.sync_interval, self._sync_now)

    def _sync_now(self) -> None:
        self._timer = None
        if not self._closed and self.failure is None:
            self._channel.request(ignore)

    def _begin_sync(self) -> SyncWork | None:
        if self.failure is not None:
            return self._refuse
        segments = self._table.segments
        self._covered = len(self._unconfirmed)
        self._sync_end = (segments[-1].file, segments[-1].file.end) if segments else (None, 0)
        if not self._unsynced and not self._folder_changed:
            self._target = self.last_sequence
            return None
        files = [file for file in dict.fromkeys(self._unsynced) if not file.removed]
        self._unsynced.clear()
        folder = self._folder if self._folder_changed else None
        self._folder_changed = False
        self._target = self.last_sequence
        if self._channel.in_place and files == [segments[-1].file]:
            files[0].make_room()
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

    def _unsynced_bytes(self) -> int:
        """Return how much the next sync has to bring to the medium."""
        if self._folder_changed or len(self._unsynced) != 1:
            return 1 << 62 if self._unsynced or self._folder_changed else 0
        file, end = self._sync_end
        newest = self._unsynced[0]
        return newest.end - end if newest is file else 1 << 62

    def _refuse(self) -> None:
        """Stand for the sync of a file that failed before: it is never tried again."""
        assert self.failure is not None
        raise self.failure

    def _end_sync(self, error: BaseException | None) -> StorageError | None:
        for file in self._syncing:
            file.pins -= 1
            file.dirty = False
        self._syncing = []
        if error is not None:
            return self._fail(error, "a sync failed")
        del self._unconfirmed[: self._covered]
        self._covered = 0
        self._sure = self._sync_end
        self.durable_sequence = max(self.durable_sequence, self._target)
        return None
