"""Opening a stream's log: what is whole is indexed, a torn end is cut, damage is set aside and reported."""

from __future__ import annotations

import logging
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
    MARKER_BYTES,
    MESSAGE,
    REMOVAL,
    SKIP,
    Damage,
    Record,
    scan,
    unpack_runs,
)

logger = logging.getLogger(__name__)

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
    cut: int = 0  # bytes of an incomplete record at the end
    configuration: Record | None = None
    next_number: int = 1
    repaired: bool = False  # something was cut or found damaged just now


class LogReader:
    """Reads a stream's files one after the other."""

    def __init__(self, files: FileSystem, descriptors: Descriptors, folder: Path, quarantine: Path) -> None:
        self._files = files
        self._descriptors = descriptors
        self._folder = folder
        self._quarantine = quarantine
        self._log = RecoveredLog()
        self._unknown = False  # a stretch was passed whose records nobody knows
        self._subject_numbers: dict[bytes, int] = {}
        self.subject_names: list[bytes] = []

    def read(self) -> RecoveredLog:
        """Read everything. Damage is contained and logged.

        Raises:
            StorageError: a newer version wrote a file.
            OSError: the folder cannot be read.
        """
        found = []
        for name in self._files.list(self._folder):
            path = self._folder / name
            if name.endswith(".tmp"):
                self._files.unlink(path)
                continue
            file = LogFile.parse_name(self._files, self._descriptors, path)
            if file is not None:
                found.append(file)
        found.sort(key=lambda file: file.number)
        contents: list[tuple[LogFile, bool]] = []
        for file in found:
            head = file.read(FILE_HEADER_SIZE, 0)
            contents.append((file, file.read_header(head)))
        for place, (file, whole) in enumerate(contents):
            following = contents[place + 1][0] if place + 1 < len(contents) else None
            self._read_file(file, whole, following)
        return self._log

    def _read_file(self, file: LogFile, header_whole: bool, following: LogFile | None) -> None:
        log = self._log
        log.next_number = max(log.next_number, file.number + 1)
        data = self._read_data(file)
        if not header_whole:
            logger.warning("%s: the header of the file is damaged; its name tells as much", file.path)
        if following is not None and following.previous_end != WHOLE:
            data = data[: following.previous_end]  # what came after was never confirmed
        compacted = bool(file.flags & COMPACTED)
        if log.segments and file.base > log.last_sequence + 1:
            self._gap(log.last_sequence + 1, file.base - 1)
        log.last_sequence = max(log.last_sequence, file.base - 1)
        segment = Segment(file.base, file)
        sequences: array[int] = array("Q")
        for item in scan(data, FILE_HEADER_SIZE, file.salt):
            if isinstance(item, Damage):
                self._damage(file, data, item, following is None)
                continue
            file.end = item.offset + item.length
            if item.kind == MESSAGE:
                if item.sequence <= (sequences[-1] if sequences else file.base - 1):
                    logger.error("%s: message %d is out of order", file.path, item.sequence)
                    continue
                if item.sequence > log.last_sequence + 1 and (self._unknown or not compacted):
                    self._gap(log.last_sequence + 1, item.sequence - 1)
                self._add(segment, item, sequences)
                log.last_sequence = item.sequence
            else:
                self._control(item)
                if item.kind == CONFIGURATION:
                    continue  # its sequence is a revision
                if item.sequence > log.last_sequence and item.kind != SKIP:
                    self._gap(log.last_sequence + 1, item.sequence)
                log.last_sequence = max(log.last_sequence, item.sequence)
            self._unknown = False
        log.last_sequence = max(log.last_sequence, file.end_sequence)
        if sequences and sequences[-1] - file.base != len(sequences) - 1:
            base = file.base
            segment.keys = array("I", [sequence - base for sequence in sequences])
        segment.live = len(segment)
        segment.live_bytes = sum(segment.sizes)
        log.segments.append(segment)

    def _gap(self, first: int, last: int) -> None:
        """Note sequences that no record has: removed, skipped or lost, as will show when all is read."""
        self._log.gaps.append((first, last))

    def _read_data(self, file: LogFile) -> bytes:
        """Return the file's bytes; what the medium will not give is zeros, and thereby damage."""
        handle = file.handle()
        size = handle.size()
        try:
            return handle.read(size, 0)
        except OSError as error:
            logger.error("%s: cannot be read whole: %s", file.path, error)
        parts = []
        for offset in range(0, size, 4096):
            length = min(4096, size - offset)
            try:
                part = handle.read(length, offset)
            except OSError:
                part = b""
            parts.append(part.ljust(length, b"\x00"))
        return b"".join(parts)

    def _add(self, segment: Segment, item: Record, sequences: array[int]) -> None:
        if not sequences:
            segment.time_base = item.time_ns
        sequences.append(item.sequence)
        segment.offsets.append(item.offset)
        segment.sizes.append(item.length)
        segment.times.append(max(item.time_ns - segment.time_base, 0) >> TIME_SHIFT)
        number = self._subject_numbers.get(item.subject)
        if number is None:
            number = self._subject_numbers[item.subject] = len(self.subject_names)
            self.subject_names.append(item.subject)
        segment.subjects.append(number)
        if item.header_size:
            segment.has_ids = True
        self._log.last_time_ns = max(self._log.last_time_ns, item.time_ns)

    def _control(self, item: Record) -> None:
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
        elif item.kind == CONFIGURATION:
            log.configuration = item

    def _damage(self, file: LogFile, data: bytes, item: Damage, last_file: bool) -> None:
        """Deal with a damaged stretch of a file."""
        log = self._log
        log.repaired = True
        end = item.offset + item.length
        keep_in_quarantine(self._files, self._quarantine, file, item.offset, data[item.offset : end])
        if item.torn and last_file:
            # An interrupted write: nothing of it was ever confirmed. Its sequences are not used again.
            logger.warning("%s: cut an incomplete record of %d bytes at the end", file.path, item.length)
            count = item.length // (HEADER_SIZE + 1)
            log.burnt = max(log.burnt, item.sequence or log.last_sequence + count)
            log.cut = item.length
            return
        file.end = end
        if item.sequence and item.kind == MESSAGE:
            if item.sequence > log.last_sequence + 1:
                self._gap(log.last_sequence + 1, item.sequence - 1)
            log.last_sequence = max(log.last_sequence, item.sequence)
            self._lost(item.sequence, item.sequence, file)
            return
        logger.error("%s: %d damaged bytes at %d", file.path, item.length, item.offset)
        self._unknown = True
        if end == len(data) and last_file:
            # How many records were here is not known. No sequence they may have had is used again; as many
            # as there are markers (at least one) are reported.
            first = log.last_sequence + 1
            log.burnt = max(log.burnt, log.last_sequence + max(item.length // (HEADER_SIZE + 1), 1))
            self._lost(first, first + max(data.count(MARKER_BYTES, item.offset, end), 1) - 1, file)

    def _lost(self, first: int, last: int, file: LogFile) -> None:
        logger.error("%s: messages %d to %d are damaged and lost", file.path, first, last)
        self._log.new_lost.append((first, last))
        self._log.repaired = True


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
