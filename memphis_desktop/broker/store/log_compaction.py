"""Compaction: a file of the log that is mostly dead is written again without what was removed.

It happens in slices on the loop, one file at a time; reading goes on from the old file until the new one is
on the medium under its name. A removal that comes meanwhile is in the log anyway, and taken over at the end.
"""

from __future__ import annotations

import logging
from array import array
from collections.abc import Iterator
from heapq import merge
from itertools import repeat

from memphis_desktop.broker.store.index import Segment
from memphis_desktop.broker.store.log_file import COMPACTED, LogFile
from memphis_desktop.broker.store.log_removal import LogRemoval
from memphis_desktop.broker.store.records import (
    FLAG_DAMAGED,
    HEADER_SIZE,
    IDENTIFIER,
    REMOVAL,
    Record,
    message_id,
    pack_record,
    pack_runs,
    unpack_record,
    unpack_runs,
    valid_head,
)

logger = logging.getLogger(__name__)

# How long after a removal files are looked at, in seconds.
_PAUSE = 1.0
# Records copied in one step, and bytes written with one call.
_STEP = 64
_WRITE = 256 * 1024


class LogCompaction(LogRemoval):
    """A stream's log as its dead parts are given back to the medium."""

    _looking = False

    def _look_for_waste(self) -> None:
        if not self._looking and not self._compacting:
            self._looking = True
            self._clock.call_later(_PAUSE, self._compact_one)

    def _compact_one(self) -> None:
        self._looking = False
        if self._closed or self.failure is not None or self._compacting or self._settings.reserve.spent:
            return
        segment = self._most_wasteful()
        if segment is not None:
            self._compacting = segment
            self._settings.slices.add(self._compaction(segment))

    def _most_wasteful(self) -> Segment | None:
        """Return the sealed segment with the most to give back, if that is more than half of it.

        One whose dead messages are its first ones is left alone: the rest will follow.
        """
        best: Segment | None = None
        most = self._settings.segment_bytes // 16
        for segment in self._table.segments[:-1]:
            if not segment.live or segment.alive is None or segment in self._doomed or segment.file.unclean:
                continue
            waste = segment.file.end - segment.live_bytes
            if waste > most and waste * 2 > segment.file.end:
                best, most = segment, waste
        return best

    def _compaction(self, segment: Segment) -> Iterator[None]:
        """Copy what is left of a segment, then have the new file take its place."""
        old: LogFile = segment.file
        try:
            file = LogFile.create(
                self._files,
                self._settings.descriptors,
                self._folder,
                old.number,
                old.base,
                self._clock.time_ns(),
                previous_number=old.previous_number,
                previous_end=old.previous_end,
                flags=COMPACTED,
                end_sequence=max(segment.last_sequence(), old.end_sequence),
                generation=old.generation + 1,
            )
        except OSError as error:
            logger.warning("%s: could not be compacted: %s", old.path, error)
            self._compacting = None
            return
        file.pins += 1
        copy = Segment(segment.base, file)
        copy.time_base = segment.time_base
        copy.has_ids = segment.has_ids
        origins = array("I")  # where each message of the copy is in the segment
        try:
            yield from self._copy(segment, copy, origins)
        except OSError as error:
            logger.warning("%s: could not be compacted: %s", old.path, error)
            self._give_up(file)
            return
        if self._closed or self.failure is not None or segment not in self._table.segments:
            self._give_up(file)
            return
        handle, final = file.handle(), file.final_path()

        def work() -> None:
            handle.sync()
            self._files.rename(file.path, final)
            self._files.sync_folder(self._folder)

        def done(error: BaseException | None) -> None:
            if error is not None:
                logger.warning("%s: could not be compacted: %s", old.path, error)
                self._give_up(file)
                return
            file.path = final
            self._take_place(segment, copy, origins)

        self._settings.background.submit(work, done)

    def _copy(self, segment: Segment, copy: Segment, origins: array[int]) -> Iterator[None]:
        """Write the living messages, the ids of removed ones, and the removals of older messages."""
        file: LogFile = copy.file
        old: LogFile = segment.file
        copy.keys = array("I")
        parts: list[bytes] = []
        size = 0
        now = self._clock.time_ns()
        messages = zip(segment.offsets, range(len(segment.offsets)), strict=True)
        places = merge(messages, zip(old.controls, repeat(-1), strict=False))
        for done, (offset, at) in enumerate(places):
            if done % _STEP == 0:
                yield
                if self._closed:
                    return
            end = file.end + size
            if at >= 0:
                part = self._message_part(segment, at, file, end, now)
                if part and segment.find(segment.sequence(at)) == at:
                    copy.offsets.append(end)
                    copy.sizes.append(len(part))
                    copy.times.append(segment.times[at])
                    copy.subjects.append(segment.subjects[at])
                    copy.keys.append(segment.sequence(at) - segment.base)
                    origins.append(at)
                elif part:
                    file.controls.append(end)
            else:
                part = self._control_part(old, offset, file, end)
                if part:
                    file.controls.append(end)
            if part:
                parts.append(part)
                size += len(part)
            if size >= _WRITE:
                file.append(b"".join(parts))
                parts.clear()
                size = 0
        file.append(b"".join(parts))

    def _message_part(self, segment: Segment, at: int, file: LogFile, end: int, now: int) -> bytes:
        """Return the record of a living message for its new place, or the id of a removed one."""
        living = segment.find(segment.sequence(at)) == at
        if not living and not segment.has_ids:
            return b""
        record = self._record(segment, at)
        if record is None:
            if living:
                self._found_damaged(segment, at, segment.sequence(at), b"")
            return b""
        if living:
            return _repack(record, file, end)
        found = message_id(record.body[: record.header_size])
        if not found or record.time_ns + self.id_window_ns <= now:
            return b""
        self._identifiers.append((found, record.sequence, record.time_ns))
        file.identifier_time = max(file.identifier_time, record.time_ns)
        return pack_record(IDENTIFIER, record.sequence, record.time_ns, found, file.salt, end)

    def _control_part(self, old: LogFile, offset: int, file: LogFile, end: int) -> bytes:
        """Return a control record for its new place, without what no file needs any more."""
        head = valid_head(old.read(HEADER_SIZE, offset), 0, old.salt, offset)
        record = None
        if head is not None:
            record = unpack_record(old.read(head[0], offset), 0, old.salt, offset)
        if record is None:
            return b""
        if record.kind == IDENTIFIER:
            file.identifier_time = max(file.identifier_time, record.time_ns)
        if record.kind == REMOVAL:
            runs, flags = unpack_runs(record.body)
            if not flags & FLAG_DAMAGED:
                # What was removed from this file is not in the copy, and what was before the log is gone.
                first = self._table.segments[0].base
                runs = [run for run in runs if run[0] < old.base and run[1] >= first]
                if not runs:
                    return b""
                record = record._replace(body=pack_runs(runs, flags))
        return _repack(record, file, end)

    def _take_place(self, segment: Segment, copy: Segment, origins: array[int]) -> None:
        """Let the copy stand in the table, with the removals that came meanwhile."""
        self._compacting = None
        copy.file.pins -= 1
        if self._closed:
            copy.file.release()  # the next start chooses the newer file
            return
        copy.live = len(copy.sizes)
        copy.live_bytes = sum(copy.sizes)
        if segment.alive is None:  # a purge took everything meanwhile
            flags = bytes(len(origins))
        else:
            flags = bytes(map(segment.alive.__getitem__, origins))
        at = flags.find(0)
        while at >= 0:
            copy.kill(at)
            at = flags.find(0, at + 1)
        self._table.replace(segment, copy)
        if segment in self._doomed:
            self._doomed.remove(segment)
        given = segment.file.end - copy.file.end
        try:
            segment.file.unlink()
            self._folder_changed = True
        except OSError as error:
            logger.warning("%s: could not be removed: %s", segment.file.path, error)
        logger.info("%s: %d bytes given back by compaction", copy.file.path, given)
        if copy.live:
            self._continue_index(copy, sealed=True)
        else:
            self._doom(copy)
        self._look_for_waste()

    def _give_up(self, file: LogFile) -> None:
        self._compacting = None
        file.pins -= 1
        try:
            file.unlink()
        except OSError as error:
            logger.warning("%s: could not be removed: %s", file.path, error)


def _repack(record: Record, file: LogFile, end: int) -> bytes:
    return pack_record(
        record.kind,
        record.sequence,
        record.time_ns,
        record.body,
        file.salt,
        end,
        record.subject,
        record.header_size,
    )
