"""What the process takes of the machine, and where its threads are."""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from typing import Any


class ResourceMeter:
    """Memory and processor use of this process."""

    def __init__(self) -> None:
        self._last = (time.monotonic(), time.process_time())
        self._percent = 0.0

    def cpu_percent(self) -> float:
        """Return the load since the last call a second or more ago; 100 is one core."""
        wall, cpu = time.monotonic(), time.process_time()
        elapsed = wall - self._last[0]
        if elapsed >= 1.0 or not self._percent:
            self._percent = round(100 * (cpu - self._last[1]) / elapsed, 1) if elapsed > 0 else 0.0
            self._last = (wall, cpu)
        return self._percent

    @staticmethod
    def memory_bytes() -> int:
        """Return the resident size of the process; its peak where the system tells no more; 0 if unknown."""
        try:
            with open("/proc/self/statm", "rb") as file:
                return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, ValueError, AttributeError):
            pass
        try:
            import resource
        except ImportError:
            return 0
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def physical_memory() -> int:
    """Return the machine's memory in bytes; a cautious guess where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 4 * 1024**3


def stacks() -> str:
    """Return where every thread is."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    parts = []
    for ident, frame in sys._current_frames().items():
        parts.append(f"thread {names.get(ident, ident)}:\n" + "".join(traceback.format_stack(frame)))
    return "\n".join(parts)


def process_variables() -> dict[str, Any]:
    """Return the command line and the memory of the process."""
    return {"cmdline": list(sys.argv), "memstats": {"Sys": ResourceMeter.memory_bytes()}}
