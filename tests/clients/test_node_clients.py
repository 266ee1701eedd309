"""Programs written with the nats.js clients, on the real server and on ours."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from memphis_desktop.server_process import ServerProcess
from tests.installed import npm_packages

FOLDER = Path(__file__).parent / "node"


def cases(program: str) -> list[tuple[str, str]]:
    """Return (program, case) for every case that a program has."""
    text = (FOLDER / program).read_text()
    return [(program, name) for name in re.findall(r"^  async (\w+)\(\) \{$", text, re.MULTILINE)]


@pytest.fixture(scope="session")
def node() -> str:
    """The node program, with the clients installed from the lock file."""
    return npm_packages(FOLDER)


@pytest.mark.parametrize(
    ("program", "case"), [*cases("core.mjs"), *cases("consumers.mjs"), *cases("buckets.mjs")]
)
def test_program(program: str, case: str, node: str, any_server: ServerProcess) -> None:
    """Each case asserts for itself; it says ok at its end."""
    done = subprocess.run(
        [node, program, any_server.url, case],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "ok"
