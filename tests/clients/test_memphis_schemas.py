"""Schemas and users with the unmodified memphis-py: on the embedded node, and through a front door."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from memphis_desktop.bench.front_door import DoorProcess
from memphis_desktop.server_process import ServerProcess, broker_command, nats_server_command
from tests.clients.test_memphis_python import FOLDER, memphis_python  # noqa: F401  # a fixture

CASES = (
    "enforces_json",
    "enforces_graphql",
    "enforces_avro",
    "enforces_protobuf_and_tells_running_producers",
    "refuses_bad_schemas",
    "keeps_users_to_their_stations",
)
Target = tuple[int, str]


@pytest.fixture(scope="module", params=["node", "front door"])
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The port for SDKs, and the server's address."""
    folder = tmp_path_factory.mktemp("target")
    if request.param == "node":
        with ServerProcess(broker_command(), folder, memphis=True) as server:
            yield server.memphis_port, server.url
        return
    with (
        ServerProcess(nats_server_command(), folder / "server") as server,
        DoorProcess(server.url, folder / "door") as door,
    ):
        yield door.port, server.url


@pytest.fixture(scope="module")
def outcomes(memphis_python: str, target: Target, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:  # noqa: F811
    """Run all cases at once; how each failed, nothing for success."""
    port, url = target
    command = [memphis_python, str(FOLDER / "schemas.py"), "127.0.0.1", str(port), url, *CASES]
    folder: Path = tmp_path_factory.mktemp("sdk")
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False, cwd=folder)
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert done.returncode == 0, done.stderr
    return {each["case"]: each["failure"] for each in told}


@pytest.mark.parametrize("case", CASES)
def test_memphis_py(case: str, outcomes: dict[str, str]) -> None:
    """Each case asserts for itself."""
    assert outcomes[case] == ""
