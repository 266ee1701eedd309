"""What happens when the medium fails: nothing is pretended, and the stream comes back when it can.

A failed sync says that bytes were lost, not which ones, and a second sync of the same file would say that
all is well. So the file is never written or synced again: what was not confirmed is forgotten (its publishers
were told of the failure), the stream is read-only, and every second a new file is tried. Once that is on the
medium, with the removals that were not yet sure, and what lies before it is verified, the stream goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from memphis_desktop.broker.store.index import Segment
from memphis_desktop.broker.store.interface import StorageError
from memphis_desktop.broker.store.log_opening import LogOpening
from memphis_desktop.broker.store.log_writer import ControlEntry
from memphis_desktop.broker.store.records import SKIP

logger = logging.getLogger(__name__)

_RETRY = 1.0
# Messages verified in one step.
_STEP = 1024


class LogFailure(LogOpening):
    """A stream's log when its medium fails."""

    def _failed(self) -> None:
        if self._closed:
            return
        if not self._channel.idle:
            # The sync under way may yet succeed, and its publishers are then told so.
            self._clock.call_later(0.01, self._failed)
            return
        if self._syncs:
            self._forget_unconfirmed()
        self._reopen_later()

    def _forget_unconfirmed(self) -> None:
        """Take out of the index what no publisher was told is stored."""
        self._recent.clear()
        first = self.durable_sequence + 1
        for sequence in reversed(self._table.alive_from(first, self.last_sequence - first + 1)):
            found = self._table.find(sequence)
            assert found is not None
            self._take(found[0], found[1], sequence)
        self._move_first()
        file, end = self._sure
        segments = self._table.segments
        if file is None:
            going = list(segments)
        else:
            place = next((at for at, segment in enumerate(segments) if segment.file is file), -1)
            going = segments[place + 1 :] if place >= 0 else []
            if place >= 0:
                segments[place].cut(end)
                file.end = end
                file.room = 0
                file.unclean = True
                try:
                    file.handle().truncate(end)  # so that the next start does not find it either
                except OSError as error:
                    logger.warning("%s: could not be cut: %s", file.path, error)
                while file.controls and file.controls[-1] >= end:
                    file.controls.pop()
        for segment in going:
            self._abandon(segment)

    def _abandon(self, segment: Segment) -> None:
        """Let go of a file of which nothing was confirmed."""
        self._table.drop(segment)
        if segment in self._doomed:
            self._doomed.remove(segment)
        self._folder_changed = True
        try:
            segment.file.unlink()
        except OSError as error:
            logger.warning("%s: could not be removed: %s", segment.file.path, error)

    def _reopen_later(self) -> None:
        self._clock.call_later(_RETRY, self._verify)

    def _verify(self) -> None:
        if not self._closed:
            self._settings.slices.add(self._verification())

    def _verification(self) -> Iterator[None]:
        """Read again the file that failed, through a new descriptor; what is damaged is taken out."""
        segments = self._table.segments
        if segments:
            segment = segments[-1]
            segment.file.release()
            at = segment.next_alive(0)
            while 0 <= at < len(segment) and not self._closed:
                chosen = [segment.sequence(index) for index in segment.alive_from(at, _STEP)]
                try:
                    self.read_many(chosen)
                except StorageError as error:
                    logger.error("%s: %s", segment.file.path, error)
                    self._reopen_later()
                    return
                at = segment.next_alive(segment.position(chosen[-1] + 1))
                yield
        if not self._closed:
            self._try_new_file()

    def _try_new_file(self) -> None:
        """Begin a new file and write what has to be sure; the stream is usable when it is synced."""
        segments = self._table.segments
        kept = self._unconfirmed
        self._control = [entry for entry in [*kept, *self._control] if entry[0] != SKIP]
        self._unconfirmed = []
        first = (segments[-1].last_sequence() if segments else self.durable_sequence) + 1
        if self.last_sequence >= first:
            self._control.append((SKIP, self.last_sequence, 0, first.to_bytes(8, "little")))
        for segment in segments[-1:]:
            segment.file.unclean = True
        failure, self.failure = self.failure, None
        try:
            self._begin_segment(self.last_sequence + 1)
            self._unsynced = [segments[-1].file]
            self._flush_control()
            work = self._begin_sync()
        except StorageError as error:
            logger.warning("%s: still failing: %s", self._folder, error)
            self._given_up(failure, kept)
            return
        self.failure = failure
        assert work is not None
        self._settings.workers.submit(work, lambda error: self._tried(error, kept))

    def _given_up(self, failure: StorageError | None, kept: list[ControlEntry]) -> None:
        self.failure = failure or self.failure
        segments = self._table.segments
        if segments and segments[-1].file is not self._sure[0] and not len(segments[-1]):
            self._abandon(segments[-1])
        self._unconfirmed = [*kept, *self._unconfirmed]
        self._reopen_later()

    def _tried(self, error: BaseException | None, kept: list[ControlEntry]) -> None:
        if error is not None or self._closed:
            if error is not None:
                logger.warning("%s: still failing: %s", self._folder, error)
            for file in self._syncing:
                file.pins -= 1
            self._syncing = []
            if not self._closed:
                self._given_up(self.failure, kept)
            return
        self.failure = None
        self._end_sync(None)
        self.durable_sequence = self.last_sequence
        logger.info("%s: usable again", self._folder)
