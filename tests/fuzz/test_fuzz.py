"""A short search over all targets where atheris is to be had, and everything that was ever found."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.targets import SEEDS, TARGETS

ROOT = Path(__file__).parents[2]
FOUND = Path(__file__).parent / "found"
SECONDS = 4


@pytest.mark.parametrize(
    ("name", "data"),
    [(name, seed) for name, seeds in SEEDS.items() if name != "any_of" for seed in seeds],
    ids=str,
)
def test_where_searches_begin(name: str, data: bytes) -> None:
    TARGETS[name](data)


@pytest.mark.parametrize(
    "path", sorted(path for path in FOUND.glob("*/*")), ids=lambda path: f"{path.parent.name}/{path.name}"
)
def test_what_was_found(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")
def test_a_short_search(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz.fuzz", "any_of", f"-max_total_time={SECONDS}"]
    command += ["-max_len=600", f"-artifact_prefix={tmp_path}/"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    found = [path.read_bytes() for path in tmp_path.glob("*-*")]
    assert done.returncode == 0, f"{found}\n{done.stderr[-3000:]}"
