"""The unmodified memphis-py and memphis-dev through a front door of a nats-server: every case of theirs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from memphis_desktop.bench.front_door import DoorProcess
from memphis_desktop.server_process import ServerProcess, nats_server_command
from tests.clients import test_memphis_node as node_program
from tests.clients import test_memphis_python as python_program
from tests.clients.sdk_programs import run_cases
from tests.clients.test_memphis_node import memphis_node  # noqa: F401  # a fixture
from tests.clients.test_memphis_python import memphis_python  # noqa: F401  # a fixture

Place = tuple[str, str]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The port of the door and the address of the server behind it."""
    folder = tmp_path_factory.mktemp("place")
    with (
        ServerProcess(nats_server_command(), folder / "server") as server,
        DoorProcess(server.url, folder / "door") as door,
    ):
        yield str(door.port), server.url


@pytest.fixture(scope="module")
def python_outcomes(
    memphis_python: str,  # noqa: F811
    place: Place,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, str]:
    """How each case of memphis-py went."""
    program = [memphis_python, str(python_program.FOLDER / "sdk.py"), "127.0.0.1", *place]
    return run_cases([*program, *python_program.CASES], tmp_path_factory.mktemp("python"))


@pytest.mark.parametrize("case", python_program.CASES)
def test_memphis_py(case: str, python_outcomes: dict[str, str]) -> None:
    """Each case asserts for itself."""
    assert python_outcomes[case] == ""


@pytest.fixture(scope="module")
def node_outcomes(
    memphis_node: str,  # noqa: F811
    place: Place,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, str]:
    """How each case of memphis-dev went."""
    program = [memphis_node, str(node_program.FOLDER / "sdk.cjs"), "127.0.0.1", *place]
    return run_cases([*program, *node_program.CASES], tmp_path_factory.mktemp("node"))


@pytest.mark.parametrize("case", node_program.CASES)
def test_memphis_dev(case: str, node_outcomes: dict[str, str]) -> None:
    """Each case asserts for itself."""
    assert node_outcomes[case] == ""


# What needs neither logins nor message ids nor to be told who is there: those are the door's.
DIRECTLY = (
    "produces_every_way",
    "chooses_partitions",
    "shares_within_a_group_and_repeats_between_groups",
    "redelivers",
    "keeps_and_resends_what_ran_out_of_deliveries",
)


def test_memphis_py_that_logs_in_to_the_server_itself(
    memphis_python: str,  # noqa: F811
    nats_server: ServerProcess,
    tmp_path: Path,
) -> None:
    """The service serves it, too, as far as a stock server can."""
    with DoorProcess(nats_server.url, tmp_path / "service"):
        program = [memphis_python, str(python_program.FOLDER / "sdk.py"), "127.0.0.1"]
        outcomes = run_cases([*program, str(nats_server.port), nats_server.url, *DIRECTLY], tmp_path)
    assert outcomes == dict.fromkeys(DIRECTLY, "")
