"""Removing messages from a stream's log, and files that have none left."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Iterator
from itertools import pairwise

from memphis_desktop.broker.store.commit import ignore
from memphis_desktop.broker.store.index import Segment
from memphis_desktop.broker.store.indexed import Run
from memphis_desktop.broker.store.interface import (
    StorageError,
)
from memphis_desktop.broker.store.log_file import LogFile
from memphis_desktop.broker.store.log_reading import LogReading
from memphis_desktop.broker.store.records import (
    FLAG_ERASE,
    IDENTIFIER,
    MESSAGE,
    REMOVAL,
    SKIP,
    Record,
    message_id,
    pack_record,
    pack_runs,
)
from memphis_desktop.broker.store.runs import merge_runs

logger = logging.getLogger(__name__)


class LogRemoval(LogReading):
    """A stream's log as messages leave it."""

    _compacting: Segment | None = None  # being written again just now

    @abstractmethod
    def _look_for_waste(self) -> None:
        """Called when messages were removed: a file may have become mostly dead."""

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
        self._look_for_waste()
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
                self._channel.request(ignore)

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

    def _emptied(self, segment: Segment) -> None:
        if segment is not self._table.segments[-1]:
            self._doom(segment)

    def _doom(self, segment: Segment) -> None:
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
            kept = segment is self._compacting or self._holds_ids(segment, now)
            (waiting if kept else ready).append(segment)
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
