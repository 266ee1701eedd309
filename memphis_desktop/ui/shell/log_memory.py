"""The program's log: the last lines in memory for the Activity page, and a file that is turned over."""

from __future__ import annotations

import logging
import logging.handlers
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_KEPT = 2000
_FILE_BYTES = 1024 * 1024
_FILES = 3
_LOGIN_IN_URL = re.compile(r"(\w+://)[^/@\s]+@")


@dataclass(frozen=True)
class LogLine:
    """One line."""

    number: int
    time_ns: int
    level: int
    level_name: str
    source: str
    text: str


class LogMemory(logging.Handler):
    """Keeps the last lines. URLs lose their logins on the way in."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._lines: deque[LogLine] = deque(maxlen=_KEPT)
        self._count = 0
        self._formatter = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line; a traceback belongs to its text."""
        text = record.getMessage()
        if record.exc_info:
            text = f"{text}\n{self._formatter.formatException(record.exc_info)}"
        self._count += 1
        self._lines.append(
            LogLine(
                self._count,
                int(record.created * 1e9),
                record.levelno,
                record.levelname.lower(),
                record.name.removeprefix("memphis_desktop."),  # untranslated: a module
                without_logins(text),
            )
        )

    def lines(self) -> list[LogLine]:
        """What is kept, oldest first."""
        return list(self._lines)


def without_logins(text: str) -> str:
    """Text whose URLs carry no user, password or token."""
    return _LOGIN_IN_URL.sub(r"\1", text)


class _Clean(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return without_logins(super().format(record))


def install(folder: Path | None) -> tuple[LogMemory, Callable[[], None]]:
    """Begin to keep the log, in ``folder`` too when there is one; the second result ends it."""
    root = logging.getLogger()
    before = root.level
    memory = LogMemory()
    handlers: list[logging.Handler] = [memory]
    if folder is not None:
        path = folder / "memphis-desktop.log"
        try:
            file = logging.handlers.RotatingFileHandler(
                path, maxBytes=_FILE_BYTES, backupCount=_FILES, encoding="utf-8", delay=True
            )
            file.setFormatter(_Clean("%(asctime)s %(levelname)s %(name)s: %(message)s"))
            file.setLevel(logging.INFO)
            handlers.append(file)
        except OSError as error:
            logging.getLogger(__name__).warning("no log file: %s", error)
    for handler in handlers:
        root.addHandler(handler)
    if before > logging.INFO or before == logging.NOTSET:
        root.setLevel(logging.INFO)

    def end() -> None:
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()
        root.setLevel(before)

    return memory, end
