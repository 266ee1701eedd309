"""What the tests of the two Memphis SDKs have in common: their programs and how they went."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest


def case_names(program: Path, pattern: str) -> list[str]:
    """Return the cases of a program, in order."""
    return re.findall(pattern, program.read_text(), re.MULTILINE)


def chosen_cases(request: pytest.FixtureRequest) -> list[str]:
    """Return the cases of this module that shall run."""
    module = request.path
    return [item.callspec.params["case"] for item in request.session.items if item.path == module]


def run_cases(command: list[str], folder: Path) -> dict[str, str]:
    """Run a program's cases, all at once; how each failed, nothing for success."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=115, check=False, cwd=folder)
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"case"')]
    assert done.returncode == 0, done.stderr
    return {each["case"]: each["failure"] for each in told}
