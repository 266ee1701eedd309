"""What the front door costs: the same load on a nats-server, directly and through the door, in turns."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import Any

from memphis_desktop.bench.rows import MEDIAN_LATENCY, RATE, THEIRS_LAZY, Row, Side
from memphis_desktop.bench.runner import Measured, Outcome, Progress, Settings, measure_side, start_server
from memphis_desktop.errors import Failure
from memphis_desktop.server_process import ServerFailure, ServerProcess, program_command

THROUGH = "through the front door"

_LOGIN = {"user": "root$1", "pass": "memphis", "name": "bench::root"}
_LEAST = 0.7  # of the direct rate
_MOST_LATENCY = 3.0  # times the direct one: there are two hops more


def _row(name: str, title: str, work: str, unit: str = RATE, **parameters: Any) -> Row:
    through = {**parameters, "login": _LOGIN}
    if parameters.get("ids"):
        through["id_header"] = "msg-id"  # as SDKs send it; the servers know it by their own name
    goal = _LEAST if unit == RATE else _MOST_LATENCY
    return Row(name, title, Side(THROUGH, work, through), Side(THEIRS_LAZY, work, parameters), unit, goal)


ROWS = (
    _row("publish", "JetStream publish, 4,096 in flight", "publish", size=128, window=4096),
    _row("publish-500", "JetStream publish, 500 in flight", "publish", size=128, window=500),
    _row(
        "publish-ids",
        "JetStream publish with ids, 4,096 in flight",
        "publish",
        size=128,
        window=4096,
        ids=True,
    ),
    _row("publish-4k", "JetStream publish of 4 KiB, 4,096 in flight", "publish", size=4096, window=4096),
    _row("fetch", "pull and acknowledge, batch 500", "fetch", size=128, batch=500, messages=200_000),
    _row("client", "JetStream publish by nats-py, 64 in flight", "client", size=128, window=64),
    _row("latency", "JetStream publish, one at a time", "latency", MEDIAN_LATENCY, size=128),
)


class DoorProcess(ServerProcess):
    """The stations service with its front door, as a process; ready when the door listens."""

    def __init__(self, url: str, folder: Path, **options: Any) -> None:
        """`url` is the server behind the door."""
        super().__init__(program_command("stations", "--connect", url), folder, jetstream=False, **options)

    def arguments_of_server(self, ports_folder: Path) -> list[str]:
        """Return the arguments for the port and the ports file."""
        return ["--port", str(self.port), "--ports_file_dir", str(ports_folder)]


def measure_front_door(only: list[str], settings: Settings, progress: Progress) -> list[Outcome]:
    """Measure the rows one after the other.

    Raises:
        Failure: A row is unknown, a server did not start, or a work could not be done.
    """
    unknown = set(only) - {row.name for row in ROWS}
    if unknown:
        names = ", ".join(row.name for row in ROWS)
        raise Failure(f"unknown work {sorted(unknown)[0]!r}; through the front door there are: {names}")
    outcomes = []
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="bench-", dir=settings.folder))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        server = start_server(THEIRS_LAZY, folder / "server")
        stack.callback(server.stop)
        door = DoorProcess(server.url, folder / "door")
        stack.callback(door.stop)
        try:
            door.start()
        except ServerFailure as failure:
            raise Failure(f"the front door could not be started: {str(failure).splitlines()[-1]}") from None
        for row in ROWS:
            if only and row.name not in only:
                continue
            progress(f"{row.title} …")
            left, right = Measured(row.left), Measured(row.right)
            for _ in range(settings.rounds):
                measure_side(left, row.unit, door, settings.seconds, None)
                measure_side(right, row.unit, server, settings.seconds, None)
            outcomes.append(Outcome(row, left, right))
            progress(f"    {left.median:,.0f} of {right.median:,.0f} {row.unit}")
    return outcomes
