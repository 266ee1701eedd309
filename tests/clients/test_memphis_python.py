"""The unmodified memphis-py on the embedded node: every case of its program, in an environment of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from memphis_desktop.server_process import ServerProcess, broker_command
from tests.clients.sdk_programs import case_names, chosen_cases, run_cases
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


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """An embedded node that lets Memphis SDKs in."""
    with ServerProcess(broker_command(), tmp_path_factory.mktemp("node"), memphis=True) as server:
        yield server


@pytest.fixture(scope="module")
def outcomes(
    memphis_python: str,
    node: ServerProcess,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, str]:
    """How each case went."""
    program = [memphis_python, str(FOLDER / "sdk.py"), "127.0.0.1", str(node.memphis_port), node.url]
    return run_cases([*program, *chosen_cases(request)], tmp_path_factory.mktemp("sdk"))


@pytest.mark.parametrize("case", CASES)
def test_memphis_py(case: str, outcomes: dict[str, str]) -> None:
    """Each case asserts for itself."""
    assert outcomes[case] == ""
