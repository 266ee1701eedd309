"""One stream's messages in files."""

from __future__ import annotations

import logging
from itertools import pairwise

from memphis_desktop.broker.store.indexed import Run
from memphis_desktop.broker.store.interface import (
    StorageError,
)
from memphis_desktop.broker.store.log_failure import LogFailure
from memphis_desktop.broker.store.log_file import LogFile
from memphis_desktop.broker.store.recovery import (
    CHECKPOINT_NAME,
)
from memphis_desktop.broker.store.snapshot import Checkpoint

logger = logging.getLogger(__name__)


class FileMessageStore(LogFailure):
    """A stream's messages in files: append-only segments, group commit, recovery."""

    # -- life ------------------------------------------------------------------------------------------------
    def disk_bytes(self) -> int:
        """Return how many bytes the log's files take."""
        return sum(segment.file.end for segment in self._table.segments)

    def close(self) -> None:
        """Sync, call back who waits for it, and let go of the files."""
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
                self._callbacks.run()
                self._channel.finish()
            except StorageError as error:
                logger.error("%s: %s", self._folder, error)
        if self.failure is None:
            for runs in self._to_erase:
                self._erase(runs)
            self._write_snapshots()
        for segment in self._table.segments:
            segment.file.trim()
            segment.file.release()
        if self.failure is None:
            self.failure = StorageError("the store is closed")

    def _write_snapshots(self) -> None:
        """Bring the indexes and the checkpoint up to date, so that the next start need not scan."""
        for segment in self._table.segments:
            self._indexer.finish(segment, self._names_of, self.last_time_ns)
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
        if self.last_sequence > segments[-1].last_sequence():
            explained.append((segments[-1].last_sequence() + 1, self.last_sequence))
        file: LogFile = segments[-1].file
        return Checkpoint(
            file.number, file.end, self.last_sequence, heads, self.damaged(), explained, self._identifiers
        )
