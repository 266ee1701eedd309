"""How much the window and its broker notice of each other: they share one event loop.

A client outside sends PING and waits for PONG, over and over, while another publishes as fast as it can. What
the PING waits beyond its own way is what the loop was busy with: routing, syncing, painting.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from memphis_desktop.bench.rows import OURS_DURABLE
from memphis_desktop.bench.runner import finish_job, job_command, percentiles, start_server
from memphis_desktop.bench.wire import Wire
from memphis_desktop.demo.stations import ORDERS
from memphis_desktop.errors import Failure
from memphis_desktop.server_process import ServerProcess

P99_LIMIT_US, P999_LIMIT_US = 16_000, 50_000
READY_SECONDS = 60.0
_PUBLISH = {"size": 128, "window": 4096}


@dataclass(frozen=True, slots=True)
class WindowFigures:
    """Round trips of PING in µs as percentiles, and publish rates in messages a second."""

    idle: dict[str, float]
    loaded: dict[str, float]
    publish_rate: float
    publish_rate_headless: float

    @property
    def met(self) -> bool:
        """Whether the loaded round trips keep what is promised: p99 within 16 ms, p99.9 within 50 ms."""
        return self.loaded["p99"] <= P99_LIMIT_US and self.loaded["p99.9"] <= P999_LIMIT_US

    def as_json(self) -> dict[str, Any]:
        """Return the figures as a JSON document."""
        return {**asdict(self), "met": self.met}

    def as_table(self) -> str:
        """Return the figures as a Markdown table with two lines below."""
        names = ("p50", "p99", "p99.9", "max")
        lines = [
            "| PING round trip, window open on the demo | " + " | ".join(names) + " |",
            "| --- | " + " | ".join("---" for _ in names) + " |",
        ]
        for title, figures in (
            ("demo traffic only", self.idle),
            ("a client publishing at full speed", self.loaded),
        ):
            lines.append(
                f"| {title} | " + " | ".join(f"{figures[name] / 1000:.2f} ms" for name in names) + " |"
            )
        share = self.publish_rate / self.publish_rate_headless
        return "\n".join(
            [
                *lines,
                "",
                f"publishing with the window open: {self.publish_rate:,.0f} messages/s, "
                f"{share:.2f} of the {self.publish_rate_headless:,.0f} without a window",
                f"promised: p99 ≤ 16 ms, p99.9 ≤ 50 ms; kept: {'yes' if self.met else 'no'}",
            ]
        )


def measure_window(seconds: float) -> WindowFigures:
    """Open the demo window without a display, and measure; raises `Failure` when something does not start."""
    with tempfile.TemporaryDirectory(prefix="bench-window-") as text:
        folder = Path(text)
        with _window(folder) as port:
            _await_sample_data(port)
            idle = finish_job(_start("ping", {"port": port, "seconds": seconds}))
            publishing = _start("publish", {"port": port, "seconds": seconds + 1, **_PUBLISH})
            try:
                loaded = finish_job(_start("ping", {"port": port, "seconds": seconds}))
            finally:
                published = finish_job(publishing)
        with start_server(OURS_DURABLE, folder / "headless") as server:
            headless = finish_job(_start("publish", {"port": server.port, "seconds": seconds, **_PUBLISH}))
    return WindowFigures(
        percentiles(idle["latencies_us"]),
        percentiles(loaded["latencies_us"]),
        published["messages"] / published["seconds"],
        headless["messages"] / headless["seconds"],
    )


@contextlib.contextmanager
def _window(folder: Path) -> Iterator[int]:
    """Run the program with its window on the demo; yields the port of the broker inside."""
    start = [sys.executable] if getattr(sys, "frozen", False) else [sys.executable, "-m", "memphis_desktop"]
    environment = {"MEMPHIS_DESKTOP_HOME": str(folder / "home"), "QT_QPA_PLATFORM": "offscreen"}
    program = WindowProcess([*start, "--demo"], folder / "window", jetstream=False, environment=environment)
    with program:
        yield program.port


class WindowProcess(ServerProcess):
    """The program with its window, as a process; ready when the broker inside listens."""

    def arguments_of_server(self, ports_folder: Path) -> list[str]:
        """The window takes none of a server's arguments but the folder for the ports file."""
        return ["--ports_file_dir", str(ports_folder)]


def _await_sample_data(port: int) -> None:
    """Wait until the sample clients publish, with the window at rest after opening."""
    wire = Wire(port)
    deadline = time.monotonic() + READY_SECONDS
    while True:
        with contextlib.suppress(Failure):  # the station is not there yet
            if wire.request(f"$JS.API.STREAM.INFO.{ORDERS}")["state"]["messages"] > 100:
                wire.close()
                return
        if time.monotonic() > deadline:
            raise Failure("the sample traffic did not begin")
        time.sleep(0.1)


def _start(work: str, parameters: dict[str, Any]) -> subprocess.Popen[str]:
    command = job_command(work, parameters)
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    )
