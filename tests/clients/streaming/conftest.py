"""A gateway in the test's own loop, and the environments of the clients."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from memphis_desktop.server_process import ServerProcess
from memphis_desktop.stations.streaming.gateway import StreamingGateway
from memphis_desktop.stations.streaming.options import StreamingOptions
from tests.conftest import Connect
from tests.installed import npm_packages, python_environment

PYTHON_FOLDER = Path(__file__).parent / "python"
NODE_FOLDER = Path(__file__).parent / "node"
CLUSTER = "test-cluster"

StartGateway = Callable[..., Awaitable[StreamingGateway]]


@pytest.fixture
def any_server(emptied_server: ServerProcess) -> ServerProcess:
    """Each of the two servers in turn, without any stream; started once for a file's tests."""
    return emptied_server


@pytest_asyncio.fixture
async def start_gateway(connect: Connect) -> AsyncIterator[StartGateway]:
    """Start a gateway: ``await start_gateway(server, **StreamingOptions)``, returned when it works."""
    gateways: list[StreamingGateway] = []

    async def start(server: ServerProcess, *, wait: bool = True, **options: object) -> StreamingGateway:
        client = await connect(server, allow_reconnect=True, max_reconnect_attempts=-1, error_cb=_quiet)
        gateway = StreamingGateway(client, StreamingOptions(**options))  # type: ignore[arg-type]
        gateways.append(gateway)
        await gateway.start()
        if wait:
            await gateway.working.wait()
        return gateway

    yield start
    for gateway in gateways:
        await gateway.stop()


async def _quiet(_: Exception) -> None:
    """Lost connections are part of some tests."""


@pytest_asyncio.fixture
async def gateway(any_server: ServerProcess, start_gateway: StartGateway) -> StreamingGateway:
    """A working gateway on each of the two servers in turn."""
    return await start_gateway(any_server)


@dataclass(frozen=True)
class OldPython:
    """An interpreter that has the unmodified asyncio-nats-streaming, and what its programs need besides."""

    program: str
    environment: dict[str, str]


def _interpreters() -> Iterator[str]:
    """Yield interpreters of before Python 3.10, for which the client was made: of the system, or pyenv's."""
    for version in ("3.9", "3.8", "3.7"):
        found = [shutil.which(f"python{version}")]
        found += [str(path) for path in Path.home().glob(f".pyenv/versions/{version}.*/bin/python")]
        for program in found:
            if (
                program
                and subprocess.run([program, "-c", ""], capture_output=True, check=False).returncode == 0
            ):
                yield program


@pytest.fixture(scope="session")
def old_python() -> OldPython:
    """The client's interpreter: one of its time, else this one with `sitecustomize.py`."""
    interpreter = next(_interpreters(), None)
    name = ".venv" if interpreter is None else ".venv-old"
    environment = {"PYTHONWARNINGS": "ignore"}
    if interpreter is None:
        environment["PYTHONPATH"] = str(PYTHON_FOLDER)
    python = python_environment(PYTHON_FOLDER / "requirements.txt", name, interpreter or sys.executable)
    return OldPython(python, environment)


@pytest.fixture(scope="session")
def node() -> str:
    """The node program, with the client installed from the lock file; skips where that cannot be had."""
    return npm_packages(NODE_FOLDER)
