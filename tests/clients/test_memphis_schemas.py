"""Schemas and users with the unmodified memphis-py: on the embedded node, and through a front door."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from memphis_desktop.bench.front_door import DoorProcess
from memphis_desktop.server_process import ServerProcess, broker_command, nats_server_command
from tests.clients.sdk_programs import case_names, run_cases
from tests.clients.test_memphis_python import FOLDER, memphis_python  # noqa: F401  # a fixture

CASES = [
    name
    for name in case_names(FOLDER / "schemas.py", r"^async def (\w+)\(\):$")
    if name.startswith(("enforces", "refuses", "keeps"))
]
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
def outcomes(
    memphis_python: str,  # noqa: F811
    target: Target,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, str]:
    """How each case went."""
    port, url = target
    program = [memphis_python, str(FOLDER / "schemas.py"), "127.0.0.1", str(port), url]
    return run_cases([*program, *CASES], tmp_path_factory.mktemp("sdk"))


@pytest.mark.parametrize("case", CASES)
def test_memphis_py(case: str, outcomes: dict[str, str]) -> None:
    """Each case asserts for itself."""
    assert outcomes[case] == ""
