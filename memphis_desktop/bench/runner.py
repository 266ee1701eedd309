"""Runs the comparisons: servers as processes, the load in further processes, rounds alternating."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from memphis_desktop import folders
from memphis_desktop.bench.rows import (
    OURS_DURABLE,
    OURS_INTERVAL,
    RATE,
    THEIRS_ALWAYS,
    THEIRS_LAZY,
    Row,
    Side,
)
from memphis_desktop.errors import Failure
from memphis_desktop.server_process import ServerFailure, ServerProcess, broker_command, nats_server_command

JOB_SECONDS = 300.0
LONG_JOB_SECONDS = 1_800.0
_LATENCIES = "latencies_us"

Progress = Callable[[str], None]


@dataclass(slots=True)
class Measured:
    """The rounds of one side."""

    side: Side
    values: list[float] = field(default_factory=list)  # one per round, in the row's unit
    load_cpu: float = 0.0  # how busy the load generator was at most, 0..1
    percentiles: dict[str, float] = field(default_factory=dict)  # of the last round's latencies, in µs

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.values)


@dataclass(slots=True)
class Outcome:
    """A row with what was measured; the right side is None when it was left out."""

    row: Row
    left: Measured
    right: Measured | None

    @property
    def ratio(self) -> float | None:
        """Left over right."""
        return None if self.right is None else self.left.median / self.right.median


@dataclass(frozen=True, slots=True)
class Settings:
    """How to measure."""

    rounds: int = 3
    seconds: float = 3.0
    against: bool = False  # run nats-server too
    folder: Path | None = None  # where the servers keep their data
    pin: bool = False  # tie servers and load to different cores


def job_command(work: str, parameters: dict[str, Any]) -> list[str]:
    """Return the command that does one work in a process of its own and prints its figures."""
    start = [sys.executable] if getattr(sys, "frozen", False) else [sys.executable, "-m", "memphis_desktop"]
    return [*start, "bench", "--job", json.dumps({"work": work, **parameters})]


def run_job(text: str) -> int:
    """Do the work that `job_command` described; the figures go to standard output as JSON."""
    from memphis_desktop.bench.load import WORKS
    from memphis_desktop.bench.wire import Wire

    job = json.loads(text)
    Wire.login = job.pop("login", {})
    _raise_file_limit()
    result = WORKS[job.pop("work")](**job)
    json.dump(result, sys.stdout)
    return 0


def _raise_file_limit() -> None:
    """Allow as many open files as the system lets us have; a thousand connections need them."""
    if sys.platform == "win32":
        return
    import resource

    with contextlib.suppress(OSError, ValueError):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def start_server(mode: str, folder: Path, cores: set[int] | None = None) -> ServerProcess:
    """Start a server in one of the modes of `rows`; raises `Failure` when it does not come up."""
    commands = {
        OURS_DURABLE: (broker_command, ["--sync", "always"], ""),
        OURS_INTERVAL: (broker_command, ["--sync", "interval"], ""),
        THEIRS_LAZY: (nats_server_command, [], ""),
        THEIRS_ALWAYS: (nats_server_command, [], "jetstream { sync_interval: always }\n"),
    }
    command, arguments, config = commands[mode]
    try:
        server = ServerProcess(command(), folder, arguments=arguments, config=config, cores=cores)
        return server.start()
    except ServerFailure as failure:
        raise Failure(f"{mode} could not be started: {str(failure).splitlines()[-1]}") from None


def measure(rows: Sequence[Row], settings: Settings, progress: Progress) -> list[Outcome]:
    """Measure the rows one after the other.

    Raises:
        Failure: A server did not start, or a work could not be done.
    """
    _raise_file_limit()  # the servers inherit it
    outcomes = []
    for row in rows:
        if not (row.left.ours or settings.against):
            continue
        progress(f"{row.title} …")
        outcomes.append(_measure_row(row, settings))
        progress(f"    {_summary(outcomes[-1])}")
    return outcomes


def _summary(outcome: Outcome) -> str:
    sides = [side for side in (outcome.left, outcome.right) if side is not None]
    text = ", ".join(f"{side.side.server}: {side.median:,.0f} {outcome.row.unit}" for side in sides)
    return text + (f", ratio {outcome.ratio:.2f}" if outcome.ratio is not None else "")


def _measure_row(row: Row, settings: Settings) -> Outcome:
    left = Measured(row.left)
    right = Measured(row.right) if row.right.ours or settings.against else None
    sides = [side for side in (left, right) if side is not None]
    server_cores, load_cores = _cores(settings.pin)
    with contextlib.ExitStack() as stack:
        servers = []
        for side in sides:
            folder = Path(tempfile.mkdtemp(prefix="bench-", dir=settings.folder))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            server = start_server(side.side.server, folder, server_cores)
            stack.callback(server.stop)
            servers.append(server)
        for _ in range(settings.rounds):
            for side, server in zip(sides, servers, strict=True):
                measure_side(side, row.unit, server, settings.seconds, load_cores)
    return Outcome(row, left, right)


def measure_side(
    measured: Measured, unit: str, server: ServerProcess, seconds: float, cores: set[int] | None
) -> None:
    """Do one round of a side's work, in a process of its own, and note what came of it."""
    parameters = {"port": server.port, **measured.side.parameters}
    if "messages" not in parameters:
        parameters["seconds"] = seconds
    command = job_command(measured.side.work, parameters)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if cores:
        os.sched_setaffinity(process.pid, cores)
    try:
        result = finish_job(process)
    except Failure as failure:
        raise Failure(f"{measured.side.work} on {measured.side.server}: {failure}") from None
    measured.load_cpu = max(measured.load_cpu, result["load_cpu"])
    if unit == RATE:
        measured.values.append(result["messages"] / result["seconds"])
    else:
        latencies = result[_LATENCIES]
        measured.values.append(statistics.median(latencies))
        measured.percentiles = percentiles(latencies)


def finish_job(process: subprocess.Popen[str], seconds: float = JOB_SECONDS) -> dict[str, Any]:
    """Return the figures that a process started with `job_command` prints; it never outlives this call.

    Raises:
        Failure: It failed, or did not end in so many seconds.
    """
    try:
        output, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise Failure(f"the load did not end in {seconds:g} s") from None
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    if process.returncode:
        raise Failure(errors.strip().rpartition("\n")[2] or f"the load ended with code {process.returncode}")
    figures: dict[str, Any] = json.loads(output)
    return figures


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Return p50, p99, p99.9 and the maximum."""
    ordered = sorted(values)
    last = len(ordered) - 1
    wanted = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
    return {name: ordered[round(part * last)] for name, part in wanted.items()}


def _cores(pin: bool) -> tuple[set[int] | None, set[int] | None]:
    """Return the cores for servers and for the load: the last one for the load, all others for servers."""
    if not pin or not hasattr(os, "sched_getaffinity"):
        return None, None
    cores = sorted(os.sched_getaffinity(0))
    return (set(cores[:-1]), {cores[-1]}) if len(cores) > 1 else (None, None)


def run_in_home(work: str, parameters: dict[str, Any], home: Path | None = None) -> dict[str, Any]:
    """Do a work in a process of its own and return its figures.

    Args:
        work: A key of `WORKS`.
        parameters: What it takes.
        home: The folder of the program's settings and data there, for works with a window; drawn off-screen.

    Raises:
        Failure: it failed, or took longer than half an hour.
    """
    environment = dict(os.environ)
    if home is not None:
        environment |= {folders.HOME_VARIABLE: str(home), "QT_QPA_PLATFORM": "offscreen"}
        # As installed programs are: compiled at their first start.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        environment["PYTHONPYCACHEPREFIX"] = str(home / "compiled")
    process = subprocess.Popen(
        job_command(work, parameters),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    return finish_job(process, LONG_JOB_SECONDS)
