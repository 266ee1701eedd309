"""Clients of other languages and ages, installed for the tests: once for all test processes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import dev

try:
    import fcntl
except ImportError:  # Windows, where the tests run in one process
    fcntl = None  # type: ignore[assignment]

_SECONDS = 110


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder meanwhile."""
    with (folder / ".lock").open("w") as lock:
        if fcntl is not None:
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def npm_packages(folder: Path, *options: str) -> str:
    """Install what the lock file in `folder` names; return the node program. Skips where it cannot."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node or npm is not installed")
    wanted = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    mark = folder / "node_modules" / ".made-from"
    with _alone(folder):
        if not mark.exists() or mark.read_text() != wanted:
            command = [npm, "ci", "--no-audit", "--no-fund", *options]
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False
            )
            if done.returncode != 0:
                pytest.skip(f"npm could not install the clients: {done.stderr[-500:]}")
            mark.write_text(wanted)
    return node


def python_environment(requirements: Path, name: str = ".venv", interpreter: str = sys.executable) -> str:
    """Make an environment beside a requirements file; return its Python. Skips where it cannot be had."""
    folder = requirements.parent / name
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    mark = folder / "made-from"
    with _alone(requirements.parent):
        if mark.exists() and mark.read_text() == wanted:
            return str(python)
        uv, environment = dev.find_uv(), dev.uv_environment()
        environment["VIRTUAL_ENV"] = str(folder)
        install = ["pip", "install", "--quiet", "--index-strategy", dev.INDEX_STRATEGY]
        for command in (
            [uv, "venv", "--quiet", "--clear", "--python", interpreter, str(folder)],
            [uv, *install, "-r", str(requirements)],
        ):
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False
            )
            if done.returncode:
                pytest.skip(f"the client could not be installed: {done.stderr[-500:]}")
        mark.write_text(wanted)
    return str(python)
