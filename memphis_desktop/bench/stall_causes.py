"""What a stretch was spent on in which the event loop did not answer: ours, or the machine's.

A late heartbeat alone does not tell a fault of the program from a busy machine. The system counts for a
thread how long it computed and how long it was ready but had no processor, and how much time the hypervisor
took away; what is left is what the thread waited for: a disk, a lock, the interpreter held by another thread.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

_SCHEDULER = Path("/proc/thread-self/schedstat")  # Linux only; elsewhere these parts are not told apart
_PROCESSORS = Path("/proc/stat")
_TICK_MS = 10.0


@dataclass(frozen=True, slots=True)
class Stall:
    """One stretch. Times in ms.

    Attributes:
        late: How long the loop did not answer.
        own: What its thread computed.
        others: What other threads of the program computed.
        queued: How long its thread was ready and had no processor, for other programs had them.
        stolen: What the hypervisor gave to other machines.
    """

    late: float
    own: float = 0.0
    others: float = 0.0
    queued: float = 0.0
    stolen: float = 0.0

    @property
    def waited(self) -> float:
        """How long the loop's thread waited for something of ours: a disk, a lock, another thread."""
        return max(0.0, self.late - self.own - self.queued - self.stolen)

    def sentence(self) -> str:
        """Say what it was spent on."""
        return (
            f"{self.late:.0f} ms: {self.own:.0f} computed, {self.waited:.0f} waited (other threads computed "
            f"{self.others:.0f}), {self.queued:.0f} without a processor, {self.stolen:.0f} taken by the "
            "hypervisor"
        )


class Meter:
    """Counts for the calling thread; always asked by the same one."""

    def __init__(self) -> None:
        self._last = self._read()

    def lap(self, planned_ms: float = 0.0) -> Stall:
        """Return what happened since the last call, of which `planned_ms` were to pass anyway."""
        now = self._read()
        wall, own, process, queued, stolen = (
            (after - before) * 1000 for before, after in zip(self._last, now, strict=True)
        )
        self._last = now
        return Stall(max(0.0, wall - planned_ms), own, max(0.0, process - own), queued, stolen)

    @staticmethod
    def _read() -> tuple[float, float, float, float, float]:
        queued = stolen = 0.0
        with contextlib.suppress(OSError, ValueError, IndexError):
            queued = int(_SCHEDULER.read_bytes().split()[1]) / 1e9
            with _PROCESSORS.open("rb") as file:
                stolen = int(file.readline().split()[8]) * _TICK_MS / 1000
        return time.perf_counter(), time.thread_time(), time.process_time(), queued, stolen
