"""A program written with the C client of the system, on the real server and on ours."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from memphis_desktop.server_process import ServerProcess

SOURCE = Path(__file__).parent / "c" / "client.c"
CASES = re.findall(r"^    CASE\((\w+)\),$", SOURCE.read_text(), re.MULTILINE)


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, built with the compiler and the client library that the system has."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    path = tmp_path_factory.mktemp("c") / "client"
    command = [compiler, "-O1", "-Wall", "-o", str(path), str(SOURCE), "-lnats"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    if done.returncode and re.search(r"nats/nats\.h|-lnats", done.stderr):
        pytest.skip("the C client is not installed (Debian: libnats-dev)")
    assert done.returncode == 0, done.stderr
    return path


@pytest.mark.parametrize("case", CASES)
def test_program(case: str, program: Path, any_server: ServerProcess) -> None:
    """Each case checks for itself; it says ok at its end."""
    done = subprocess.run(
        [str(program), any_server.url, case], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "ok"
