"""A bridge between a real nats-server and our broker: streams here mirror and source streams there."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from memphis_desktop.server_process import ServerProcess
from tests.clients import backup
from tests.clients.backup import request
from tests.clients.test_external_sources import until_stored
from tests.conftest import Connect

EXTERNAL = {"api": "REMOTE.API", "deliver": "REMOTE.DELIVER"}


@pytest.fixture
def bridge(nats_server: ServerProcess, broker: ServerProcess) -> Iterator[subprocess.Popen[str]]:
    """The bridge as a program, ready."""
    command = [sys.executable, "-m", "memphis_desktop", "bridge", "--connect", nats_server.url]
    command += ["--to", broker.url, "--prefix", "REMOTE"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert "REMOTE.DELIVER" in process.stdout.readline()
    yield process
    process.terminate()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors


async def stored(client: Any, stream: str) -> list[Any]:
    return await backup.everything(client, stream)


async def test_streams_of_a_remote_server(
    nats_server: ServerProcess, broker: ServerProcess, bridge: subprocess.Popen[str], connect: Connect
) -> None:
    remote, local = await connect(nats_server), await connect(broker)
    jetstream = remote.jetstream(timeout=30)
    await jetstream.add_stream(name="O", subjects=["o.*"])
    line = b"HPUB o.1 %d %d\r\n"
    block = b"NATS/1.0\r\nTwice: a\r\nTwice: b\r\nNats-Subject: own\r\n\r\n"
    await remote._send_command(line % (len(block), len(block) + 4) + block + b"body\r\n")
    for number in range(100):
        await jetstream.publish(f"o.{number % 3}", bytes(60_000 if number < 60 else 10))
    mirror = {"name": "M", "mirror": {"name": "O", "external": EXTERNAL}}
    source = {"name": "O", "filter_subject": "o.2", "external": EXTERNAL}
    for config in (mirror, {"name": "S", "sources": [source]}):
        answer = await request(local, f"$JS.API.STREAM.CREATE.{config['name']}", config)
        assert "error" not in answer, answer
    await until_stored(local, "M", 101)
    assert await stored(local, "M") == await stored(remote, "O")
    await until_stored(local, "S", 33)
    # What comes while the broker is away comes when it is back.
    await asyncio.to_thread(broker.stop)
    await jetstream.publish("o.2", b"meanwhile")
    await asyncio.to_thread(broker.start)
    local = await connect(broker)
    await until_stored(local, "M", 102)
    info = await until_stored(local, "S", 34)
    assert info["state"]["messages"] == 34
    assert await stored(local, "M") == await stored(remote, "O")


def test_a_prefix_that_is_none() -> None:
    command = [sys.executable, "-m", "memphis_desktop", "bridge", "--connect", "nats://127.0.0.1:1"]
    for prefix in ("a.*", "$JS", "", "a..b"):
        done = subprocess.run(
            [*command, "--prefix", prefix], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 1
        assert "prefix" in done.stderr
