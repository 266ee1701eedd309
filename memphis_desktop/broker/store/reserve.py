"""Room set aside on the medium, so that removals and acks can still be written when it is full."""

from __future__ import annotations

import logging
from pathlib import Path

from memphis_desktop.broker.clock import Clock
from memphis_desktop.broker.store.files import FileSystem, write_all
from memphis_desktop.broker.store.interface import StorageError

logger = logging.getLogger(__name__)

_NAME = "memphis-desktop.reserve"
# How often a spent reserve is tried to be made again, in seconds.
_RETRY = 1.0


class NoRoom(StorageError):
    """The medium is full."""


class Reserve:
    """A file of zeros that is given up when a removal or an ack finds no room, and made again later.

    While it is `spent` nothing is published: what room there is belongs to what makes room.
    """

    def __init__(self, files: FileSystem, folder: Path, clock: Clock, size: int) -> None:
        self._files = files
        self._path = folder / _NAME
        self._clock = clock
        self._size = size
        self._closed = False
        self.spent = False
        if size and not self._make():
            self._spend()

    def _make(self) -> bool:
        try:
            if self._files.exists(self._path):
                self._files.unlink(self._path)
            if self._files.free_bytes(self._path.parent) < 2 * self._size:
                return False
            file = self._files.create(self._path)
            try:
                write_all(file, bytes(self._size))
            finally:
                file.close()
        except OSError as error:
            logger.warning("%s: no room could be set aside: %s", self._path, error)
            return False
        return True

    def release(self) -> bool:
        """Give the room up for something urgent; False when it was given up before."""
        if self.spent or not self._size:
            return False
        logger.error("%s: the disk is full; publishing stops until there is room", self._path.parent)
        try:
            self._files.unlink(self._path)
        except OSError as error:
            logger.warning("%s: %s", self._path, error)
        self._spend()
        return True

    def _spend(self) -> None:
        self.spent = True
        self._clock.call_later(_RETRY, self._restore)

    def _restore(self) -> None:
        if self._closed:
            return
        if self._make():
            self.spent = False
            logger.info("%s: there is room again", self._path.parent)
        else:
            self._clock.call_later(_RETRY, self._restore)

    def close(self) -> None:
        """Let go; the file stays for the next start."""
        self._closed = True
