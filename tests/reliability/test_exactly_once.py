"""Exactly once, end to end: ids, retries, a broker that is killed, acknowledgements that are confirmed."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client

from memphis_desktop.server_process import ServerProcess, broker_command
from tests.clients.sdk_programs import PYTHON_FOLDER
from tests.conftest import Connect

PROGRAM = PYTHON_FOLDER / "exactly_once.py"


def run(python: str, server: ServerProcess, count: int, kills: int, seconds: float) -> dict[str, Any]:
    """Run the program, kill the broker at even distances of its progress; return what it found."""
    command = [python, str(PROGRAM), "127.0.0.1", str(server.memphis_port), str(count)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    late = threading.Timer(seconds, process.kill)
    late.start()
    killed, found = 0, {}
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        for line in process.stdout:
            told = json.loads(line)
            found = told if told.get("ended") else found
            while killed < kills and told.get("processed", 0) >= count * (killed + 1) / (kills + 1):
                server.restart(crash=True)
                killed += 1
        code = process.wait()
        assert code == 0, process.stderr.read()[-3000:]
    finally:
        late.cancel()
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()
    assert killed == kills
    return found


async def stored(client: Client) -> int:
    """Return how many messages the station has."""
    jetstream = client.jetstream()
    states = [(await jetstream.stream_info(f"once${number}")).state for number in (1, 2)]
    return sum(state.messages for state in states)


@pytest.mark.skipif(os.name == "nt", reason="a process can not be killed there and its port taken at once")
@pytest.mark.parametrize(
    ("count", "kills"),
    [
        (3_000, 2),
        pytest.param(100_000, 10, marks=[pytest.mark.slow, pytest.mark.timeout(1500)]),
    ],
)
async def test_each_message_is_processed_once(
    count: int, kills: int, memphis_python: str, tmp_path: Path, connect: Connect
) -> None:
    with ServerProcess(broker_command(), tmp_path, memphis=True) as server:
        found = run(memphis_python, server, count, kills, seconds=1200)
        assert found["different"] == count, found
        assert found["wrong"] == {}
        assert found["retries"].get("produce", 0) > 0
        assert await stored(await connect(server)) == count
