"""What the window takes at rest and with a lot to show: start, memory, long lists, many curves.

Each figure is of a process of its own, drawn off-screen, with a home of its own.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from memphis_desktop import folders
from memphis_desktop.bench.load import create_stream
from memphis_desktop.bench.runner import run_in_home
from memphis_desktop.bench.wire import Wire
from memphis_desktop.server_process import ServerProcess, broker_command

STARTS = 5
STREAMS = 10_000
CURVES, SAMPLES = 40, 3600
START_LIMIT, LIST_LIMIT = 1.5, 1.0  # seconds
MEMORY_LIMIT = 300 << 20
CURVES_LIMIT = 0.15  # of a core


@dataclass(frozen=True, slots=True)
class DesktopFigures:
    """What was measured.

    Attributes:
        start_seconds: From starting the process to the first page painted and the loop answering, each start.
        memory_bytes: What window and broker hold together with the sample traffic, after a minute.
        rest_cpu: The share of a core they take then.
        list_seconds: From connecting to a server with `streams` streams to all names in the list.
        streams: How many.
        curves_cpu: The share of a core that 40 curves of an hour take, updated each second.
    """

    start_seconds: list[float]
    memory_bytes: int
    rest_cpu: float
    list_seconds: float
    streams: int
    curves_cpu: float

    def promises(self) -> list[tuple[str, str, str, bool]]:
        """Return what is promised: what it is, what was measured, the limit, and whether it was kept."""
        start = median(self.start_seconds)
        memory = f"{self.memory_bytes / (1 << 20):.0f} MiB"
        return [
            (
                "Start to usable window",
                f"{start:.2f} s (worst {max(self.start_seconds):.2f})",
                f"≤ {START_LIMIT} s",
                start <= START_LIMIT,
            ),
            (
                "Memory of window and broker with sample traffic",
                memory,
                f"≤ {MEMORY_LIMIT >> 20} MiB",
                self.memory_bytes <= MEMORY_LIMIT,
            ),
            (
                f"{self.streams:,} streams listed",
                f"{self.list_seconds:.2f} s",
                f"≤ {LIST_LIMIT:.0f} s",
                self.list_seconds <= LIST_LIMIT,
            ),
            (
                f"{CURVES} curves of {SAMPLES:,} samples, updated each second",
                f"{self.curves_cpu:.1%} of a core",
                f"≤ {CURVES_LIMIT:.0%}",
                self.curves_cpu <= CURVES_LIMIT,
            ),
        ]

    @property
    def met(self) -> bool:
        """Whether everything that is promised was kept."""
        return all(kept for *_, kept in self.promises())

    def as_json(self) -> dict[str, Any]:
        """Return the figures as a JSON document."""
        return {**asdict(self), "met": self.met}

    def as_table(self) -> str:
        """Return the figures as a Markdown table with a line below."""
        lines = ["| The window | measured | promised | kept |", "| --- | --- | --- | --- |"]
        for name, measured, promised, kept in self.promises():
            lines.append(f"| {name} | {measured} | {promised} | {'yes' if kept else 'no'} |")
        rest = f"processor of window and broker at rest, with sample traffic: {self.rest_cpu:.1%} of a core"
        return "\n".join([*lines, "", rest])


def measure_desktop(
    streams: int = STREAMS,
    folder: Path | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> DesktopFigures:
    """Measure everything; takes a few minutes.

    Args:
        streams: How long the list of stations is.
        folder: Where the data lies meanwhile; None for the program's data folder.
        progress: Told what is being done.

    Raises:
        Failure: something does not start.
    """
    base = folder or folders.data_folder() / "bench"
    base.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="desktop-", dir=base) as text:
        home = Path(text)
        progress("starting the window …")
        starts = [_start(home) for _ in range(STARTS + 1)][1:]  # the very first one compiles
        progress("watching it at rest …")
        rest = run_in_home("desktop-rest", {}, home)
        progress("drawing curves …")
        curves = run_in_home("desktop-curves", {"curves": CURVES, "samples": SAMPLES}, home)
        progress(f"making {streams:,} streams …")
        with ServerProcess(broker_command(), home / "server", arguments=["--sync", "interval"]) as server:
            _make_streams(server.port, streams)
            progress("listing them …")
            listed = run_in_home("desktop-list", {"url": server.url, "streams": streams}, home)
    return DesktopFigures(
        starts, rest["memory_bytes"], rest["cpu"], listed["seconds"], streams, curves["cpu"]
    )


def _start(home: Path) -> float:
    begun = time.time()
    return float(run_in_home("desktop-start", {}, home)["usable_at"]) - begun


def _make_streams(port: int, count: int) -> None:
    wire = Wire(port)
    for number in range(count):
        create_stream(wire, f"station-{number:05}", f"station.{number}.>")
    wire.close()
