"""The unmodified memphis-dev for Node: every case of its program, on the node and behind the front door."""

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
from tests.installed import npm_packages

FOLDER = Path(__file__).parent / "memphis_node"
CASES = case_names(FOLDER / "sdk.cjs", r"^  async (\w+)\(\) \{$")


@pytest.fixture(scope="session")
def memphis_node() -> str:
    """The node program, with the SDK installed from the lock file."""
    return npm_packages(FOLDER, "--ignore-scripts")


@pytest.fixture(scope="module", params=[EMBEDDED, FRONT_DOOR, pytest.param(CLUSTER, marks=pytest.mark.slow)])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Each of the ways to serve SDKs."""
    with place(request.param, tmp_path_factory.mktemp("served")) as found:
        yield found


@pytest.fixture(scope="module")
def outcomes(
    memphis_node: str,
    served: Place,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, str]:
    """How each case went."""
    program = [memphis_node, str(FOLDER / "sdk.cjs"), "127.0.0.1", str(served.memphis_port), served.url]
    return run_cases([*program, *chosen_cases(request)], tmp_path_factory.mktemp("sdk"))


@pytest.mark.parametrize("case", CASES)
def test_memphis_dev(case: str, outcomes: dict[str, str]) -> None:
    """Each case asserts for itself."""
    assert outcomes[case] == ""


@pytest.mark.parametrize("produce", [True, False], ids=["produce", "consume"])
def test_the_programs_the_window_shows_run(memphis_node: str, served: Place, produce: bool) -> None:
    """“Connect your code” is what users copy: it runs as it stands."""
    address = Address("127.0.0.1", served.memphis_port, ROOT, ROOT_PASSWORD)
    program = snippet(LANGUAGES[1], address, "from-the-window", produce=produce)
    done = subprocess.run(
        [memphis_node, "-e", program], cwd=FOLDER, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    assert ('"id"' in done.stdout) is not produce
