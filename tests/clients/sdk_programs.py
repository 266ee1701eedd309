"""What the tests of the two Memphis SDKs have in common: their programs and how they went."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from memphis_desktop.cluster.lab import LocalCluster
from memphis_desktop.cluster.lab.layout import quiet_nodes
from memphis_desktop.server_process import ServerProcess, broker_command, nats_server_command

PYTHON_FOLDER, NODE_FOLDER = Path(__file__).parent / "memphis", Path(__file__).parent / "memphis_node"
EMBEDDED, FRONT_DOOR = "embedded node", "nats-server behind the front door"
CLUSTER = "three nats-servers behind the front door"


@dataclass(frozen=True)
class Place:
    """Where Memphis SDKs connect, and plain clients."""

    memphis_port: int
    url: str


@contextlib.contextmanager
def place(kind: str, folder: Path) -> Iterator[Place]:
    """Run what SDKs can connect to: our node, or a nats-server with the service and the front door."""
    if kind == EMBEDDED:
        with ServerProcess(broker_command(), folder, memphis=True) as server:
            yield Place(server.memphis_port, server.url)
        return
    with _servers(kind, folder / "server") as urls, (folder / "log").open("w") as log:
        command = [sys.executable, "-m", "memphis_desktop", "stations", "--connect", ",".join(urls)]
        door = ["-p", "-1", "--ports_file_dir", str(folder)]
        service = subprocess.Popen([*command, *door], stderr=log)
        try:
            yield Place(_port_in(folder), urls[0])
        finally:
            service.terminate()
            service.wait(60)


@contextlib.contextmanager
def _servers(kind: str, folder: Path) -> Iterator[list[str]]:
    """Run one nats-server or three."""
    if kind == FRONT_DOOR:
        with ServerProcess(nats_server_command(), folder) as server:
            yield [server.url]
        return
    cluster = LocalCluster(folder)
    cluster.start(nodes=quiet_nodes())
    try:
        yield list(cluster.urls)
    finally:
        cluster.stop()


def _port_in(folder: Path) -> int:
    deadline = time.monotonic() + 60
    while not (files := list(folder.glob("*.ports"))):
        assert time.monotonic() < deadline, (folder / "log").read_text()
        time.sleep(0.02)
    return int(json.loads(files[0].read_text())["memphis"][0].rpartition(":")[2])


def case_names(folder: Path, files: str, pattern: str) -> tuple[str, ...]:
    """Return the cases that the files of a program have."""
    texts = [file.read_text() for file in sorted(folder.glob(files))]
    return tuple(name for text in texts for name in re.findall(pattern, text, re.MULTILINE))


def chosen_cases(request: pytest.FixtureRequest, sdk: object) -> list[str]:
    """Return the cases of an SDK that shall run."""
    ours = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    return list(dict.fromkeys(each["case"] for each in ours if each.get("sdk") is sdk and "case" in each))


def run_cases(command: list[str], folder: Path) -> dict[str, str]:
    """Run a program's cases, all at once; how each failed, nothing for success."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=115, check=False, cwd=folder)
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"case"')]
    assert done.returncode == 0, done.stderr
    return {each["case"]: each["failure"] for each in told}
