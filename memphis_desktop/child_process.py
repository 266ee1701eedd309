"""Processes that work for this one and answer over a pipe."""

from __future__ import annotations

from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

_LEAVE_SECONDS = 5


def end_child(process: BaseProcess | None, pipe: Connection | None) -> None:
    """End a process at once and close its pipe; both may be there or not."""
    if process is not None:
        process.kill()
        process.join(_LEAVE_SECONDS)
        process.close()
    if pipe is not None:
        pipe.close()
