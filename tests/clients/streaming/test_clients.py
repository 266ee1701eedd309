"""Programs written with the unmodified clients of NATS Streaming, on the real server and on ours."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

from memphis_desktop.server_process import ServerProcess
from memphis_desktop.stations.streaming.gateway import StreamingGateway
from tests.clients.streaming.conftest import CLUSTER, NODE_FOLDER, PYTHON_FOLDER, OldPython

PYTHON_PROGRAM = PYTHON_FOLDER / "cases.py"
PYTHON_CASES = re.findall(r"^    (\w+),$", PYTHON_PROGRAM.read_text(), re.MULTILINE)
NODE_PROGRAM = NODE_FOLDER / "cases.mjs"
NODE_CASES = re.findall(r"^  async (\w+)\(\) \{$", NODE_PROGRAM.read_text(), re.MULTILINE)


async def run_cases(
    *command: str, program: Path, names: list[str], url: str, environment: dict[str, str] | None = None
) -> None:
    """Run a program with cases to its end; it has to say ok for each of them.

    Args:
        command: The interpreter.
        program: The program's file.
        names: The cases it has.
        url: The server.
        environment: Variables for the program.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        program.name,
        url,
        CLUSTER,
        cwd=program.parent,
        env={**os.environ, **(environment or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, errors = await asyncio.wait_for(process.communicate(), 100)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, errors.decode()[-6000:]
    assert sorted(output.decode().split("\n")[:-1]) == sorted(f"ok {name}" for name in names)


async def test_python(old_python: OldPython, any_server: ServerProcess, gateway: StreamingGateway) -> None:
    """asyncio-nats-streaming 0.4.0."""
    await run_cases(
        old_python.program,
        program=PYTHON_PROGRAM,
        names=PYTHON_CASES,
        url=any_server.url,
        environment=old_python.environment,
    )


async def test_node(node: str, any_server: ServerProcess, gateway: StreamingGateway) -> None:
    """node-nats-streaming 0.3.2."""
    await run_cases(node, program=NODE_PROGRAM, names=NODE_CASES, url=any_server.url)
