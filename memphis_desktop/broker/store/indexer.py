"""Writes the indexes and the checkpoint while the stream is in use: in small steps, written by a thread."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from memphis_desktop.broker.clock import Clock
from memphis_desktop.broker.store.commit import Workers
from memphis_desktop.broker.store.files import FileSystem, write_all
from memphis_desktop.broker.store.index import Segment
from memphis_desktop.broker.store.log_file import LogFile
from memphis_desktop.broker.store.snapshot import (
    Checkpoint,
    NamesOf,
    Part,
    cut_part,
    encode_checkpoint,
    encode_part,
)

logger = logging.getLogger(__name__)

# How long one turn of the loop may be used.
_SLICE = 0.002


class Slices:
    """Runs generators on the loop, a slice of time per turn, one after the other."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._jobs: list[Iterator[object]] = []
        self._planned = False
        self._closed = False

    def add(self, job: Iterator[object]) -> None:
        """Run this after the others."""
        self._jobs.append(job)
        self._plan()

    def close(self) -> None:
        """Drop what is left to do."""
        self._closed = True
        self._jobs.clear()

    def _plan(self) -> None:
        if not self._planned and self._jobs and not self._closed:
            self._planned = True
            self._clock.call_later(0.001, self._run)

    def _run(self) -> None:
        self._planned = False
        end = self._clock.monotonic() + _SLICE
        while self._jobs and self._clock.monotonic() < end:
            job = self._jobs[0]
            try:
                next(job)
            except StopIteration:
                self._jobs.pop(0)
            except Exception:
                logger.exception("work on the log in the background failed")
                self._jobs.pop(0)
            else:
                # Streams take turns.
                self._jobs.append(self._jobs.pop(0))
        self._plan()


class Indexer:
    """Keeps the index files of one stream."""

    def __init__(self, files: FileSystem, slices: Slices, background: Workers, part_bytes: int) -> None:
        self._files = files
        self._slices = slices
        self._background = background
        self._part_bytes = part_bytes
        self._closed = False
        self._busy: set[int] = set()  # numbers of the files whose index is being written

    def due(self, file: LogFile, *, sealed: bool) -> bool:
        """Return whether the index of a file has fallen behind enough to be continued."""
        if file.number in self._busy or file.end <= file.indexed_end:
            return False
        return sealed or file.end - file.indexed_end >= self._part_bytes

    def begin(self, segment: Segment, names_of: NamesOf, last_time: Callable[[], int]) -> None:
        """Continue a segment's index in the background."""
        self._busy.add(segment.file.number)
        self._slices.add(self._work(segment, names_of, last_time))

    def _work(self, segment: Segment, names_of: NamesOf, last_time: Callable[[], int]) -> Iterator[None]:
        file: LogFile = segment.file
        if file.removed or self._closed:
            return
        part: Part | None = None
        for step in cut_part(segment, file.indexed, file.indexed_end, names_of, last_time()):
            part = step
            if self._closed:
                return
            yield None
        if part is None or file.removed:
            self._busy.discard(file.number)
            return
        done_part = part
        lengths: list[int] = []
        before = file.index_bytes

        def work() -> None:
            # What is encoded are copies: the thread has them to itself.
            content = encode_part(done_part, file.salt)
            self._write(file.index_path, before, content)
            lengths.append(len(content))

        def done(error: BaseException | None) -> None:
            self._busy.discard(file.number)
            if error is None:
                _note(file, done_part, lengths[0])
            elif not file.removed:
                logger.warning("%s: the index could not be written: %s", file.path, error)

        self._background.submit(work, done)

    def _write(self, path: Path, before: int, content: bytes) -> None:
        if before:
            index = self._files.open(path, write=True)
        else:
            with contextlib.suppress(FileNotFoundError):
                self._files.unlink(path)
            index = self._files.create(path)
        try:
            if index.size() != before:
                index.truncate(before)
            write_all(index, content)
        finally:
            index.close()

    def close(self) -> None:
        """Begin nothing any more, and wait for what is being written."""
        self._closed = True
        self._background.wait()

    def finish(self, segment: Segment, names_of: NamesOf, last_time: int) -> None:
        """Continue a segment's index at once, before the stream is closed."""
        file: LogFile = segment.file
        if file.end <= file.indexed_end:
            return
        *_, part = cut_part(segment, file.indexed, file.indexed_end, names_of, last_time)
        assert part is not None
        content = encode_part(part, file.salt)
        try:
            self._write(file.index_path, file.index_bytes, content)
        except OSError as error:
            logger.warning("%s: the index could not be written: %s", file.path, error)
            return
        _note(file, part, len(content))

    def write_checkpoint(self, path: Path, checkpoint: Checkpoint) -> None:
        """Replace the checkpoint; may run in a thread.

        Raises:
            OSError: the old one stays.
        """
        self._files.replace(path, encode_checkpoint(checkpoint))


def _note(file: LogFile, part: Part, length: int) -> None:
    file.index_bytes += length
    file.indexed += len(part.sizes)
    file.indexed_end = part.end
