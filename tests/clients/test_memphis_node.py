"""The unmodified memphis-dev for Node on the embedded node: every case of its program."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from memphis_desktop.server_process import ServerProcess, broker_command
from tests.clients.sdk_programs import case_names, chosen_cases, run_cases
from tests.installed import npm_packages

FOLDER = Path(__file__).parent / "memphis_node"
CASES = case_names(FOLDER / "sdk.cjs", r"^  async (\w+)\(\) \{$")


@pytest.fixture(scope="session")
def memphis_node() -> str:
    """The node program, with the SDK installed from the lock file."""
    return npm_packages(FOLDER, "--ignore-scripts")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """An embedded node that lets Memphis SDKs in."""
    with ServerProcess(broker_command(), tmp_path_factory.mktemp("node"), memphis=True) as server:
        yield server


@pytest.fixture(scope="module")
def outcomes(
    memphis_node: str,
    server: ServerProcess,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, str]:
    """How each case went."""
    program = [memphis_node, str(FOLDER / "sdk.cjs"), "127.0.0.1", str(server.memphis_port), server.url]
    return run_cases([*program, *chosen_cases(request)], tmp_path_factory.mktemp("sdk"))


@pytest.mark.parametrize("case", CASES)
def test_memphis_dev(case: str, outcomes: dict[str, str]) -> None:
    """Each case asserts for itself."""
    assert outcomes[case] == ""
