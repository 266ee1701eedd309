"""The broker's log in the format of nats-server, which test harnesses and tools wait for.

``[PID] YYYY/MM/DD HH:MM:SS.µµµµµµ [INF] text``, on standard error or in a file that can be reopened.
"""

from __future__ import annotations

import logging
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

TRACE = 5
LOGGER = "memphis_desktop.broker"
COMPANIONS = ("memphis_desktop.stations",)  # what may run in the same process and writes into the same log

_LEVELS = {
    TRACE: "TRC",
    logging.DEBUG: "DBG",
    logging.INFO: "INF",
    logging.WARNING: "WRN",
    logging.ERROR: "ERR",
    logging.CRITICAL: "FTL",
}


class ServerFormatter(logging.Formatter):
    """nats-server's line; an exception's traceback follows in debug only, else its last line."""

    def __init__(self, *, with_time: bool = True, utc: bool = False) -> None:
        super().__init__()
        self._with_time = with_time
        self._zone = UTC if utc else None
        self._pid = os.getpid()

    def format(self, record: logging.LogRecord) -> str:
        """Return one line (more with a traceback)."""
        level = _LEVELS.get(record.levelno, "INF")
        moment = (
            datetime.fromtimestamp(record.created, self._zone).strftime("%Y/%m/%d %H:%M:%S.%f ")
            if self._with_time
            else ""
        )
        line = f"[{self._pid}] {moment}[{level}] {record.getMessage()}"
        if record.exc_info and record.exc_info[0] is not None:
            line += "\n" + self.formatException(record.exc_info)
        return line


class ReopenableHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to standard error, or to a file that a signal makes it open anew (log rotation)."""

    def __init__(self, path: Path | None, size_limit: int = 0, max_files: int = 0) -> None:
        """Open the log.

        Args:
            path: the file; None is standard error.
            size_limit: bytes after which a new file begins, which is named by its time; 0: never.
            max_files: how many files there may be, the one being written included; 0: any number.
        """
        self._path = path
        self._size_limit = size_limit
        self._max_files = max_files
        super().__init__(self._open())

    def _open(self) -> object:
        return self._path.open("a", encoding="utf-8", buffering=1) if self._path else sys.stderr

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, and begin a new file when this one has become too large."""
        super().emit(record)
        if self._path is not None and 0 < self._size_limit < self.stream.tell():
            self._rotate(self._path)

    def _rotate(self, path: Path) -> None:
        moment = datetime.now().strftime("%Y.%m.%d.%H.%M.%S.%f")
        path.replace(path.with_name(f"{path.name}.{moment}"))
        self.reopen()
        if self._max_files > 0:
            older = sorted(path.parent.glob(f"{path.name}.????.??.??.*"))
            for one in older[: max(len(older) - (self._max_files - 1), 0)]:
                one.unlink(missing_ok=True)

    def reopen(self) -> None:
        """Open the file again under its name; does nothing on standard error."""
        if self._path is None:
            return
        old = self.setStream(self._open())
        if old is not None:
            old.close()


def set_up(
    path: Path | None,
    *,
    debug: bool,
    trace: bool,
    with_time: bool,
    utc: bool = False,
    size_limit: int = 0,
    max_files: int = 0,
) -> ReopenableHandler:
    """Send the broker's log to standard error, or to a file, in nats-server's format.

    Raises:
        OSError: the file cannot be opened.
    """
    handler = ReopenableHandler(path, size_limit, max_files)
    handler.setFormatter(ServerFormatter(with_time=with_time, utc=utc))
    logging.addLevelName(TRACE, "TRACE")
    for name in (LOGGER, *COMPANIONS):
        logger = logging.getLogger(name)
        for old in list(logger.handlers):
            logger.removeHandler(old)
        logger.addHandler(handler)
        logger.propagate = False
        logger.setLevel(TRACE if trace else logging.DEBUG if debug else logging.INFO)
    return handler
