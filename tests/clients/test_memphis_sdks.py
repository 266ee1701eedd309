"""The unmodified memphis-py and memphis-dev: every case of their programs, wherever they can connect."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from memphis_desktop.bench.front_door import DoorProcess
from memphis_desktop.server_process import ServerProcess
from memphis_desktop.ui.memphis.snippets import LANGUAGES, ROOT, ROOT_PASSWORD, Address, snippet
from tests.clients.sdk_programs import (
    CLUSTER,
    EMBEDDED,
    FRONT_DOOR,
    NODE_FOLDER,
    PYTHON_FOLDER,
    Place,
    case_names,
    chosen_cases,
    place,
    run_cases,
)

Outcomes = Callable[["Sdk"], dict[str, str]]


@dataclass(frozen=True)
class Sdk:
    """An SDK: the fixture with the program that runs it, its cases, and the window's programs for it."""

    name: str
    interpreter: str
    program: Path
    cases: tuple[str, ...]
    language: int
    option: str  # with which the interpreter takes a program


PYTHON = Sdk(
    "memphis-py",
    "memphis_python",
    PYTHON_FOLDER / "sdk.py",
    case_names(PYTHON_FOLDER, "*.py", r"^@case\nasync def (\w+)\(\):$"),
    0,
    "-c",
)
NODE = Sdk(
    "memphis-dev",
    "memphis_node",
    NODE_FOLDER / "sdk.cjs",
    case_names(NODE_FOLDER, "sdk.cjs", r"^  async (\w+)\(\) \{$"),
    1,
    "-e",
)
SDKS = (PYTHON, NODE)
ALL = [pytest.param(sdk, case, id=f"{sdk.name}-{case}") for sdk in SDKS for case in sdk.cases]


@pytest.fixture(scope="module", params=[EMBEDDED, FRONT_DOOR, pytest.param(CLUSTER, marks=pytest.mark.slow)])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Each of the ways to serve SDKs."""
    with place(request.param, tmp_path_factory.mktemp("served")) as found:
        yield found


@pytest.fixture(scope="module")
def outcomes(
    served: Place, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Outcomes:
    """How each case of an SDK went: they run together, when the first of them is asked for."""

    @functools.cache
    def of(sdk: Sdk) -> dict[str, str]:
        interpreter: str = request.getfixturevalue(sdk.interpreter)
        program = [interpreter, str(sdk.program), "127.0.0.1", str(served.memphis_port), served.url]
        return run_cases([*program, *chosen_cases(request, sdk)], tmp_path_factory.mktemp("sdk"))

    return of


@pytest.mark.parametrize(("sdk", "case"), ALL)
def test_case(sdk: Sdk, case: str, outcomes: Outcomes) -> None:
    """Each case asserts for itself."""
    assert outcomes(sdk)[case] == ""


@pytest.mark.parametrize("produce", [True, False], ids=["produce", "consume"])
@pytest.mark.parametrize("sdk", SDKS, ids=lambda sdk: sdk.name)
def test_the_programs_the_window_shows_run(
    sdk: Sdk, produce: bool, served: Place, request: pytest.FixtureRequest
) -> None:
    """“Connect your code” is what users copy: it runs as it stands."""
    interpreter: str = request.getfixturevalue(sdk.interpreter)
    address = Address("127.0.0.1", served.memphis_port, ROOT, ROOT_PASSWORD)
    text = snippet(LANGUAGES[sdk.language], address, f"from-the-window-{sdk.language}", produce=produce)
    done = subprocess.run(
        [interpreter, sdk.option, text],
        cwd=sdk.program.parent,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert ('"id"' in done.stdout) is not produce


# What needs neither logins nor message ids nor to be told who is there: those are the door's.
DIRECTLY = (
    "produces_every_way",
    "chooses_partitions",
    "shares_within_a_group_and_repeats_between_groups",
    "redelivers",
    "keeps_and_resends_what_ran_out_of_deliveries",
)


def test_memphis_py_that_logs_in_to_the_server_itself(
    memphis_python: str, nats_server: ServerProcess, tmp_path: Path
) -> None:
    """The service serves it, too, as far as a stock server can."""
    with DoorProcess(nats_server.url, tmp_path / "service"):
        program = [memphis_python, str(PYTHON.program), "127.0.0.1"]
        found = run_cases([*program, str(nats_server.port), nats_server.url, *DIRECTLY], tmp_path)
    assert found == dict.fromkeys(DIRECTLY, "")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("produce", [True, False])
def test_programs_name_the_station_and_the_address(language: str, produce: bool) -> None:
    text = snippet(language, Address("broker.example", 7777, rest_port=7777), "orders", produce=produce)
    assert "orders" in text
    assert "broker.example" in text
    assert "7777" in text
