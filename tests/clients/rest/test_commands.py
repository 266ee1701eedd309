"""The gateways as the command line starts them: beside a server, and with the broker."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys

import aiohttp
import pytest

from memphis_desktop.server_process import ServerProcess
from tests.clients.rest.conftest import Http
from tests.clients.streaming.raw import RawClient
from tests.conftest import Connect, Starter
from tests.waiting import eventually

COMMAND = [sys.executable, "-m", "memphis_desktop", "stations", "--no-front-door"]
GATEWAYS = ["--rest_port", "-1", "--streaming_cluster_id", "mine"]
LISTENING = re.compile(r"Listening for REST requests on 127\.0\.0\.1:(\d+)")


async def check(server: ServerProcess, port: int, session: aiohttp.ClientSession, connect: Connect) -> None:
    """Store a message through either gateway."""
    http = Http(session, f"http://127.0.0.1:{port}")
    await http.login()
    assert (await http("/stations/orders/produce/single", {"n": 1}))[0] == 200
    client = RawClient(await connect(server), "me", cluster="mine")
    assert (await client.connect()).error == ""
    assert (await client.publish("orders", b"2")).error == ""
    subscription = await client.subscribe("orders")
    await subscription.wait(2)
    assert [message.data for message in subscription.messages] == [b'{"n": 1}', b"2"]


async def test_beside_a_server(
    nats_server: ServerProcess, http_session: aiohttp.ClientSession, connect: Connect
) -> None:
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "--connect", nats_server.url, *GATEWAYS, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    log = ""
    try:
        async with asyncio.timeout(60):
            while "Streaming gateway is ready" not in log:
                log += (await process.stderr.readline()).decode()
        found = LISTENING.search(log)
        assert found is not None
        await check(nats_server, int(found[1]), http_session, connect)
    finally:
        process.send_signal(signal.SIGTERM)
        log += (await process.stderr.read()).decode()
        assert await process.wait() == 0
    assert "Traceback" not in log


async def test_with_the_broker(
    start_broker: Starter, http_session: aiohttp.ClientSession, connect: Connect
) -> None:
    broker = start_broker(arguments=GATEWAYS)

    async def ready() -> bool:
        return "Streaming gateway is ready" in broker.log()

    await eventually(ready, bool)
    found = LISTENING.search(broker.log())
    assert found is not None
    await check(broker, int(found[1]), http_session, connect)
    ports = [json.loads(path.read_text()) for path in broker.folder.glob("ports-*/*.ports")]
    assert ports[0]["rest"] == [f"http://127.0.0.1:{found[1]}"]
    assert broker.stop() == 0
    assert "Traceback" not in broker.log()


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["--rest_port", "99999"], {}, "99999 is no port"),
        (["--streaming_cluster_id", "a.b"], {}, "'a.b' cannot be a cluster id"),
        (["--rest_port", "-1"], {"JWT_SECRET": "short"}, "a secret for tokens has to have at least 32"),
    ],
)
async def test_mistakes_are_one_sentence(
    nats_server: ServerProcess,
    arguments: list[str],
    environment: dict[str, str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    code, log = await _run(*COMMAND, "--connect", nats_server.url, *arguments)
    assert code == 1
    assert log.startswith(f"memphis-desktop: {message}")
    assert log.count("\n") == 1


async def test_a_taken_port_is_told(nats_server: ServerProcess) -> None:
    port = str(nats_server.port)
    code, log = await _run(*COMMAND, "--connect", nats_server.url, "--rest_port", port)
    assert code == 1
    assert f"port {port} on 127.0.0.1 is taken by another program" in log.splitlines()[-1]
    assert "Traceback" not in log


async def _run(*command: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    async with asyncio.timeout(60):
        _, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, errors.decode()
