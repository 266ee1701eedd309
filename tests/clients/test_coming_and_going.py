"""Memphis clients that come and go at random, on stations that do, too: nothing half made, nobody lost."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from memphis_desktop.bench.front_door import DoorProcess
from tests.clients.sdk_programs import CLUSTER, EMBEDDED, FRONT_DOOR, PYTHON_FOLDER, Place, place


@contextlib.contextmanager
def _another_copy(kind: str, served: Place, folder: Path) -> Iterator[list[str]]:
    """Run a second copy of service and front door beside nats-servers; yields its port."""
    if kind == EMBEDDED:
        yield []
        return
    with DoorProcess(served.url, folder) as door:
        yield [str(door.port)]


@pytest.mark.parametrize(
    ("kind", "seconds"),
    [
        (EMBEDDED, 5),
        (FRONT_DOOR, 5),
        pytest.param(EMBEDDED, 120, marks=pytest.mark.slow),
        pytest.param(CLUSTER, 120, marks=pytest.mark.slow),
    ],
)
def test_nothing_is_left_half_made(kind: str, seconds: int, memphis_python: str, tmp_path: Path) -> None:
    with place(kind, tmp_path / "served") as served, _another_copy(kind, served, tmp_path / "copy") as more:
        where = ["127.0.0.1", str(served.memphis_port), served.url, str(seconds), "1", *more]
        done = subprocess.run(
            [memphis_python, str(PYTHON_FOLDER / "churn.py"), *where],
            capture_output=True,
            text=True,
            timeout=seconds + 250,
            check=False,
            cwd=tmp_path,
        )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert (told["wrong"], told["unexpected"]) == ([], [])
    assert told["done"]["come_back"]
