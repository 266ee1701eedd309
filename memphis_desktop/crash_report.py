"""What is left behind when the program ends by a fault, for the user to read and to send if they want to.

Reports stay on the machine. While the program runs, a file takes what Python's fault handler writes when the
process is ended by a fault in compiled code, and the failures that nobody caught. It is removed at an
orderly end; one that holds something at the next start becomes a report.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import platform
import sys
import threading
import time
import traceback
from pathlib import Path
from types import TracebackType
from typing import IO

from memphis_desktop import __version__

log = logging.getLogger(__name__)

_RUNNING = "running-{pid}.fault"
_REPORT = "crash-{moment}.txt"
_KEPT = 5
_LARGEST = 512 * 1024


class CrashRecorder:
    """Records the faults of this process, and finds what former ones left."""

    def __init__(self, folder: Path) -> None:
        """`folder`: the folder of log files."""
        self._folder = folder
        self._path = folder / _RUNNING.format(pid=os.getpid())
        self._file: IO[str] | None = None
        self._former_hook = threading.excepthook

    def start(self) -> None:
        """Begin to record; a folder that cannot be written to is told in the log."""
        try:
            self._file = self._path.open("w", encoding="utf-8")
        except OSError as error:
            log.warning("no crash reports: %s", error)
            return
        faulthandler.enable(self._file)
        self._former_hook = threading.excepthook
        threading.excepthook = self._thread_failed

    def note(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """Record a failure that ends the program."""
        if self._file is not None:
            self._file.write("".join(traceback.format_exception(kind, error, trace)))
            self._file.flush()

    def stop(self) -> None:
        """The program ends in order: nothing is left."""
        if self._file is None:
            return
        threading.excepthook = self._former_hook
        faulthandler.disable()
        self._file.close()
        self._file = None
        self._path.unlink(missing_ok=True)

    def collect(self) -> Path | None:
        """Turn what former runs left into reports; return the newest made now, None when all ended well."""
        newest: Path | None = None
        for path in sorted(self._folder.glob(_RUNNING.format(pid="*")), key=_age, reverse=True):
            if path == self._path or _alive(path):
                continue
            try:
                text = path.read_text(encoding="utf-8", errors="replace")[:_LARGEST]
                moment = time.strftime("%Y-%m-%d-%H%M%S", time.localtime(path.stat().st_mtime))
                path.unlink()
                if text.strip():  # killed from outside, or by a power failure: there is nothing to tell
                    newest = self._folder / _REPORT.format(moment=moment)
                    newest.write_text(f"{_about()}\n\n{text}", encoding="utf-8")
            except OSError as error:
                log.warning("%s: %s", path, error)
        for old in sorted(self._folder.glob(_REPORT.format(moment="*")))[:-_KEPT]:
            old.unlink(missing_ok=True)
        return newest

    def _thread_failed(self, args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            log.error("a thread failed", exc_info=args.exc_value)


def _about() -> str:
    return (
        f"Memphis Desktop {__version__}\nPython {platform.python_version()} on {platform.platform()}\n"
        f"Packaged: {'yes' if getattr(sys, 'frozen', False) else 'no'}"
    )


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


def _alive(path: Path) -> bool:
    """Return whether the process that writes this file still runs."""
    number = path.stem.removeprefix("running-")
    if not number.isdigit():
        return True  # not ours
    if os.name == "nt":  # an open file cannot be renamed there, one left behind can
        try:
            path.rename(path)
        except OSError:
            return True
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return int(number) != os.getpid()
