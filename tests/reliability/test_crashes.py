"""kill -9 of a real broker under real clients, judged afterwards: promises P1 to P6.

A run by hand: ``python -m tests.reliability.crash_run --loops 200 --seed 7``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.reliability.crash_run import CrashRun

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills by signal")


def run(folder: Path, seed: int, loops: int) -> None:
    faults = CrashRun(folder, seed).run(loops)
    assert not faults, "\n".join([f"seed {seed}", *faults[:20]])


@pytest.mark.timeout(240)
def test_a_few_kills_lose_nothing(tmp_path: Path) -> None:
    run(tmp_path, 20, 4)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(1, 9))
def test_200_kills_lose_nothing(tmp_path: Path, seed: int) -> None:
    run(tmp_path, seed, 25)
