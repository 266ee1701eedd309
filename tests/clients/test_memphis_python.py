"""The unmodified memphis-py: every case of its program, on the embedded node and behind the front door."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from memphis_desktop.ui.memphis.snippets import LANGUAGES, ROOT, ROOT_PASSWORD, Address, snippet
from tests.clients.sdk_programs import (
    CLUSTER,
    EMBEDDED,
    FRONT_DOOR,
    Place,
    case_names,
    chosen_cases,
    place,
    run_cases,
)
from tests.installed import python_environment

FOLDER = Path(__file__).parent / "memphis"


CASES = [
    name
    for name in case_names(FOLDER / "sdk.py", r"^async def (\w+)\(\):$")
    if name not in ("managing", "main")
]


@pytest.fixture(scope="session")
def memphis_python() -> str:
    """A Python with memphis-py and the versions of its dependencies that it works with."""
    return python_environment(FOLDER / "requirements.txt")


@pytest.fixture(scope="module", params=[EMBEDDED, FRONT_DOOR, pytest.param(CLUSTER, marks=pytest.mark.slow)])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Each of the ways to serve SDKs."""
    with place(request.param, tmp_path_factory.mktemp("served")) as found:
        yield found


@pytest.fixture(scope="module")
def outcomes(
    memphis_python: str,
    served: Place,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, str]:
    """How each case went."""
    program = [memphis_python, str(FOLDER / "sdk.py"), "127.0.0.1", str(served.memphis_port), served.url]
    return run_cases([*program, *chosen_cases(request)], tmp_path_factory.mktemp("sdk"))


@pytest.mark.parametrize("case", CASES)
def test_memphis_py(case: str, outcomes: dict[str, str]) -> None:
    """Each case asserts for itself."""
    assert outcomes[case] == ""


@pytest.mark.parametrize("produce", [True, False], ids=["produce", "consume"])
def test_the_programs_the_window_shows_run(memphis_python: str, served: Place, produce: bool) -> None:
    """“Connect your code” is what users copy: it runs as it stands."""
    address = Address("127.0.0.1", served.memphis_port, ROOT, ROOT_PASSWORD)
    program = snippet(LANGUAGES[0], address, "from-the-window", produce=produce)
    done = subprocess.run(
        [memphis_python, "-c", program], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    assert ('{"id": 1}' in done.stdout) is not produce
