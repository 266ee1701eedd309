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

import dev
from memphis_desktop.server_process import ServerProcess
from memphis_desktop.stations.streaming.gateway import StreamingGateway
from memphis_desktop.stations.streaming.options import StreamingOptions
from tests.conftest import Connect

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
    folder = PYTHON_FOLDER / (".venv" if interpreter is None else ".venv-old")
    environment = {"PYTHONWARNINGS": "ignore"}
    if interpreter is None:
        environment["PYTHONPATH"] = str(PYTHON_FOLDER)
    return OldPython(_install_client(folder, interpreter or sys.executable), environment)


def _install_client(folder: Path, interpreter: str) -> str:
    """Return the Python of an environment with the client; skips where it cannot be had."""
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    requirements = PYTHON_FOLDER / "requirements.txt"
    stamp = folder / "ready"
    if not stamp.exists() or stamp.read_text() != requirements.read_text():
        uv, environment = dev.find_uv(), dev.uv_environment()
        environment["VIRTUAL_ENV"] = str(folder)
        install = ["pip", "install", "--quiet", "--index-strategy", dev.INDEX_STRATEGY]
        for command in (
            [uv, "venv", "--quiet", "--allow-existing", "--python", interpreter, str(folder)],
            [uv, *install, "-r", str(requirements)],
        ):
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"the client could not be installed: {done.stderr[-500:]}")
        stamp.write_text(requirements.read_text())
    return str(python)


@pytest.fixture(scope="session")
def node() -> str:
    """The node program, with the client installed from the lock file; skips where that cannot be had."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node or npm is not installed")
    if not (NODE_FOLDER / "node_modules" / "node-nats-streaming").is_dir():
        command = [npm, "ci", "--no-audit", "--no-fund"]
        done = subprocess.run(
            command, cwd=NODE_FOLDER, capture_output=True, text=True, timeout=110, check=False
        )
        if done.returncode != 0:
            pytest.skip(f"npm could not install the client: {done.stderr[-500:]}")
    return node
