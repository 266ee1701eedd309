"""Opening a stream's log: what is whole is indexed, a torn end is cut, damage is set aside and reported."""

from __future__ import annotations

import logging
import zlib
from array import array
from dataclasses import dataclass, field
from pathlib import Path

from memphis_desktop.broker.store.files import FileSystem
from memphis_desktop.broker.store.index import TIME_SHIFT, Segment
from memphis_desktop.broker.store.log_file import COMPACTED, FILE_HEADER_SIZE, WHOLE, Descriptors, LogFile
from memphis_desktop.broker.store.records import (
    CONFIGURATION,
    FLAG_DAMAGED,
    FLAG_ERASE,
    HEADER_SIZE,
    IDENTIFIER,
    MARKER_BYTES,
    MESSAGE,
    REMOVAL,
    SKIP,
    Columns,
    Damage,
    Record,
    scan,
    scan_messages,
    unpack_record,
    unpack_runs,
    valid_head,
)
from memphis_desktop.broker.store.snapshot import Checkpoint, decode_checkpoint, decode_parts

logger = logging.getLogger(__name__)

CHECKPOINT_NAME = "checkpoint"

Run = tuple[int, int]


@dataclass(slots=True)
class RecoveredLog:
    """What a log holds, before removals are applied."""

    segments: list[Segment] = field(default_factory=list)
    last_sequence: int = 0
    last_time_ns: int = 0
    removals: list[Run] = field(default_factory=list)
    erasures: list[Run] = field(default_factory=list)
    skipped: list[Run] = field(default_factory=list)  # never used, and not to be used
    known_lost: list[Run] = field(default_factory=list)  # reported before
    new_lost: list[Run] = field(default_factory=list)  # found now
    burnt: int = 0  # sequences up to here may have been used by what was cut
    gaps: list[Run] = field(default_factory=list)  # sequences that no record has
    checkpoint: Checkpoint | None = None
    closed_in_order: bool = False  # all of it was synced when it was closed
    identifiers: list[tuple[bytes, int, int]] = field(default_factory=list)
    # Segment, first index, and what `Part` says of its subjects' messages.
    postings: list[tuple[Segment, int, list[int], array[int], array[int]]] = field(default_factory=list)
    next_number: int = 1


class LogReader:
    """Reads a stream's files one after the other."""

    def __init__(
        self,
        files: FileSystem,
        descriptors: Descriptors,
        folder: Path,
        quarantine: Path,
        *,
        acks_waited: bool,
    ) -> None:
        """Args:
        acks_waited: nothing was acknowledged, nor its sequence told, before it was on the medium.
        """
        self._acks_waited = acks_waited
        self._files = files
        self._descriptors = descriptors
        self._folder = folder
        self._quarantine = quarantine
        self._log = RecoveredLog()
        self._unknown = False  # a stretch was passed whose records nobody knows
        self.numbers: dict[bytes, int] = {}  # of the subjects, by name

    def read(self) -> RecoveredLog:
        """Read everything. Damage is contained and logged.

        Raises:
            StorageError: a newer version wrote a file.
            OSError: the folder cannot be read.
        """
        found: list[LogFile] = []
        for name in self._files.list(self._folder):
            path = self._folder / name
            if name.endswith(".tmp"):
                self._files.unlink(path)
                continue
            file = LogFile.parse_name(self._files, self._descriptors, path)
            if file is not None:
                found.append(file)
        found.sort(key=lambda file: (file.number, -file.generation))
        found = self._newest_generations(found)
        contents = [(file, file.read_header(_read(file, FILE_HEADER_SIZE, 0))) for file in found]
        self._read_checkpoint(found)
        for place, (file, whole) in enumerate(contents):
            following = contents[place + 1][0] if place + 1 < len(contents) else None
            self._read_file(file, whole, following)
        log = self._log
        if log.checkpoint is not None and log.checkpoint.last_sequence > log.last_sequence:
            # The log has lost its end since: what was there cannot come back, nor its sequences.
            self._gap(log.last_sequence + 1, log.checkpoint.last_sequence)
            log.burnt = max(log.burnt, log.checkpoint.last_sequence)
        if log.checkpoint is not None and log.segments:
            newest: LogFile = log.segments[-1].file
            ended = (log.checkpoint.number, log.checkpoint.offset)
            log.closed_in_order = (newest.number, newest.end) == ended
        return log

    def _newest_generations(self, found: list[LogFile]) -> list[LogFile]:
        """Remove files whose compacted successor is complete."""
        kept: list[LogFile] = []
        for file in found:
            if kept and kept[-1].number == file.number:
                logger.info("%s: removed, it was compacted", file.path)
                self._files.unlink(file.path)
            else:
                kept.append(file)
        return kept

    def _read_checkpoint(self, found: list[LogFile]) -> None:
        try:
            checkpoint = decode_checkpoint(self._files.read_whole(self._folder / CHECKPOINT_NAME))
        except FileNotFoundError:
            return
        except (OSError, ValueError, zlib.error) as error:
            logger.warning("%s: the checkpoint cannot be read: %s", self._folder, error)
            return
        if checkpoint is None:
            logger.warning("%s: the checkpoint is damaged; reading the whole log", self._folder)
            return
        # One that is ahead of the log (which lost its end) is still right about what was removed.
        log = self._log
        log.checkpoint = checkpoint
        log.known_lost.extend(checkpoint.lost)
        log.skipped.extend(checkpoint.explained)
        log.identifiers.extend(checkpoint.identifiers)

    def _read_file(self, file: LogFile, header_whole: bool, following: LogFile | None) -> None:
        log = self._log
        log.next_number = max(log.next_number, file.number + 1)
        if not header_whole:
            logger.warning("%s: the header of the file is damaged; its name tells as much", file.path)
            file.unclean = True
        size = file.handle().size()
        succeeded = following is not None and following.previous_number == file.number
        if following is not None and succeeded and following.previous_end != WHOLE:
            size = min(size, following.previous_end)  # what came after was never confirmed
        if log.segments and file.base > log.last_sequence + 1:
            self._gap(log.last_sequence + 1, file.base - 1)
        log.last_sequence = max(log.last_sequence, file.base - 1)
        if log.checkpoint is not None and log.checkpoint.identifiers:
            # Which of them stand in this file is not known: none of the older files goes too early.
            file.identifier_time = max(entry[2] for entry in log.checkpoint.identifiers)
        segment = Segment(file.base, file)
        self._read_index(segment, size)
        if file.end < size:
            self._scan_rest(segment, size, last_file=following is None)
        if file.end != size and not file.room:
            file.unclean = True
        log.last_sequence = max(log.last_sequence, file.end_sequence)
        segment.live = len(segment)
        segment.live_bytes = sum(segment.sizes)
        log.segments.append(segment)

    def _read_index(self, segment: Segment, size: int) -> None:
        """Take over what the index beside the file says."""
        file: LogFile = segment.file
        log = self._log
        try:
            data = self._files.read_whole(file.index_path)
        except OSError:
            return
        for part in decode_parts(data, file.salt, FILE_HEADER_SIZE, size):
            tail = _read(file, HEADER_SIZE, part.tail_offset)
            if zlib.crc32(tail) != part.tail_checksum:
                break  # it is about records that a power loss took, and others came in their place
            table = [self._number(name) for name in part.names]
            if len(part.sizes):
                segment.time_base = part.time_base
            if part.keys is not None and segment.keys is None:
                segment.keys = array("I", range(len(segment)))
            if segment.keys is not None:
                first = segment.keys[-1] + 1 if segment.keys else 0
                segment.keys.extend(part.keys or array("I", range(first, first + len(part.sizes))))
            segment.has_ids = segment.has_ids or part.has_ids
            segment.sizes.extend(part.sizes)
            segment.offsets.extend(part.offsets)
            segment.times.extend(part.times)
            if not part.subjects:
                segment.subjects.extend(array("I", table[:1]) * len(part.sizes))
            elif table == list(range(len(table))):
                segment.subjects.extend(part.subjects)
            else:
                segment.subjects.extend(array("I", map(table.__getitem__, part.subjects)))
            if part.postings:
                log.postings.append((segment, part.first, table, part.counts, part.postings))
            file.controls.extend(part.controls)
            file.end = file.indexed_end = part.end
            file.indexed = len(segment)
            log.last_sequence = max(log.last_sequence, part.last_sequence)
            log.last_time_ns = max(log.last_time_ns, part.last_time)
            file.index_bytes = part.encoded_bytes
        self._read_controls(file)

    def _number(self, name: bytes) -> int:
        return self.numbers.setdefault(name, len(self.numbers))

    def _read_controls(self, file: LogFile) -> None:
        """Read the removals and the like that the index lists, unless the checkpoint knows them."""
        for offset in file.controls:
            if self._checkpointed(file, offset):
                continue
            head = valid_head(_read(file, HEADER_SIZE, offset), 0, file.salt, offset)
            data = b"" if head is None else _read(file, head[0], offset)
            record = unpack_record(data, 0, file.salt, offset)
            if record is None:
                logger.error("%s: the record at %d (not a message) is damaged", file.path, offset)
                continue
            self._control(file, record)
            if record.kind in (REMOVAL, SKIP):
                self._log.last_sequence = max(self._log.last_sequence, record.sequence)

    def _checkpointed(self, file: LogFile, offset: int) -> bool:
        checkpoint = self._log.checkpoint
        if checkpoint is None or file.generation:
            return False  # what was compacted may have been so since: its places are others now
        return (file.number, offset) < (checkpoint.number, checkpoint.offset)

    def _scan_rest(self, segment: Segment, size: int, *, last_file: bool) -> None:
        """Scan what no index covers."""
        log = self._log
        file: LogFile = segment.file
        start = file.end
        data = self._read_data(file, start, size)
        columns = Columns(self.numbers)
        columns.sequences.append(file.base - 1 if not len(segment) else segment.last_sequence())
        gaps = segment.keys is not None
        at = 0
        while at < len(data):
            known = len(columns.sequences)
            before = columns.sequences[-1]
            at = scan_messages(data, at, file.salt, start, columns)
            if len(columns.sequences) > known:
                file.end = start + at
                gaps = self._note_gaps(file, columns.sequences, known, before) or gaps
                if at >= len(data):
                    break
            item = next(scan(data, at, file.salt, start))
            at = item.offset + item.length - start
            if isinstance(item, Damage):
                self._damage(file, data, start, item, last_file)
                continue
            file.end = item.offset + item.length
            self._unknown = False
            if item.kind == MESSAGE:
                logger.error("%s: message %d is out of order", file.path, item.sequence)
                continue
            file.controls.append(item.offset)
            if not self._checkpointed(file, item.offset):
                self._control(file, item)
            if item.kind == CONFIGURATION:
                continue  # its sequence is a revision
            if item.sequence > log.last_sequence and item.kind not in (SKIP, IDENTIFIER):
                self._gap(log.last_sequence + 1, item.sequence)
            if item.kind != IDENTIFIER:
                log.last_sequence = max(log.last_sequence, item.sequence)
        self._take(segment, columns, gaps=gaps)

    def _note_gaps(self, file: LogFile, sequences: list[int], known: int, before: int) -> bool:
        """Look for jumps in the sequences found last; True when there are any."""
        log = self._log
        first, last = sequences[known], sequences[-1]
        if first > log.last_sequence + 1 and (self._unknown or not file.flags & COMPACTED):
            self._gap(log.last_sequence + 1, first - 1)
        self._unknown = False
        log.last_sequence = max(log.last_sequence, last)
        count = len(sequences) - known
        if last - first + 1 != count and not file.flags & COMPACTED:
            for at in range(known, len(sequences) - 1):
                if sequences[at + 1] != sequences[at] + 1:
                    self._gap(sequences[at] + 1, sequences[at + 1] - 1)
        return first != before + 1 or last - first + 1 != count

    def _take(self, segment: Segment, columns: Columns, *, gaps: bool) -> None:
        """Take scanned messages into the segment."""
        sequences = columns.sequences[1:]
        if not sequences:
            return
        if not len(segment):
            segment.time_base = columns.times[0]
        if gaps:
            if segment.keys is None:
                segment.keys = array("I", range(len(segment)))
            segment.keys.extend(sequence - segment.base for sequence in sequences)
        base = segment.time_base
        segment.offsets.extend(columns.offsets)
        segment.sizes.extend(columns.sizes)
        segment.times.extend([max(time_ns - base, 0) >> TIME_SHIFT for time_ns in columns.times])
        segment.subjects.extend(columns.subjects)
        segment.has_ids = segment.has_ids or columns.with_headers
        self._log.last_time_ns = max(self._log.last_time_ns, columns.times[-1])

    def _gap(self, first: int, last: int) -> None:
        """Note sequences that no record has: removed, skipped or lost, as will show when all is read."""
        self._log.gaps.append((first, last))

    def _read_data(self, file: LogFile, start: int, end: int) -> bytes:
        """Return bytes of the file; what the medium will not give is zeros, and thereby damage."""
        try:
            return file.read(end - start, start)
        except OSError as error:
            logger.error("%s: cannot be read whole: %s", file.path, error)
        parts = []
        for offset in range(start, end, 4096):
            length = min(4096, end - offset)
            parts.append(_read(file, length, offset).ljust(length, b"\x00"))
        return b"".join(parts)

    def _control(self, file: LogFile, item: Record) -> None:
        log = self._log
        if item.kind == REMOVAL:
            runs, flags = unpack_runs(item.body)
            if flags & FLAG_DAMAGED:
                log.known_lost.extend(runs)
            else:
                log.removals.extend(runs)
            if flags & FLAG_ERASE:
                log.erasures.extend(runs)
        elif item.kind == SKIP:
            log.skipped.append((int.from_bytes(item.body, "little"), item.sequence))
        elif item.kind == IDENTIFIER:
            log.identifiers.append((item.body, item.sequence, item.time_ns))
            file.identifier_time = max(file.identifier_time, item.time_ns)

    def _damage(self, file: LogFile, data: bytes, start: int, item: Damage, last_file: bool) -> None:
        """Deal with a damaged stretch of a file."""
        log = self._log
        end = item.offset + item.length
        content = data[item.offset - start : end - start]
        if item.torn and last_file and self._acks_waited and not any(content):
            # Room that was set aside, or a write that never came to anything: it serves as room again.
            if item.offset == file.end:
                file.room = end
            return
        keep_in_quarantine(self._files, self._quarantine, file, item.offset, content)
        if item.torn and last_file:
            # An interrupted write: nothing of it was ever confirmed. Its sequences are not used again.
            logger.warning("%s: cut an incomplete record of %d bytes at the end", file.path, item.length)
            count = item.length // (HEADER_SIZE + 1)
            log.burnt = max(log.burnt, item.sequence or log.last_sequence + count)
            return
        file.end = end
        if item.sequence and item.kind == MESSAGE:
            if item.sequence > log.last_sequence + 1:
                self._gap(log.last_sequence + 1, item.sequence - 1)
            log.last_sequence = max(log.last_sequence, item.sequence)
            self._lost(item.sequence, item.sequence)
            return
        logger.error("%s: %d damaged bytes at %d", file.path, item.length, item.offset)
        self._unknown = True
        if end == start + len(data) and last_file:
            # How many records were here is not known. No sequence they may have had is used again; as many
            # as there are markers (at least one) are reported.
            first = log.last_sequence + 1
            log.burnt = max(log.burnt, log.last_sequence + max(item.length // (HEADER_SIZE + 1), 1))
            self._lost(first, first + max(content.count(MARKER_BYTES), 1) - 1)

    def _lost(self, first: int, last: int) -> None:
        self._log.new_lost.append((first, last))


def _read(file: LogFile, size: int, offset: int) -> bytes:
    """Read what the medium gives; nothing when it fails."""
    try:
        return file.read(size, offset)
    except OSError as error:
        logger.error("%s: %d bytes at %d cannot be read: %s", file.path, size, offset, error)
        return b""


def keep_in_quarantine(files: FileSystem, folder: Path, file: LogFile, offset: int, content: bytes) -> None:
    """Keep a copy of damaged bytes, once; a failure to do so is logged only."""
    if not any(content):
        return
    path = folder / f"{file.path.name}-{offset}.bin"
    try:
        if files.exists(path):
            return
        files.make_folder(folder)
        copy = files.create(path)
        try:
            copy.write(content[: 1 << 20])
        finally:
            copy.close()
    except OSError as error:
        logger.warning("%s: the damaged bytes could not be kept: %s", path, error)
