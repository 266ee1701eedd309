"""The stations service as a command, and beside an embedded node: started, served by, ended."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from memphis_desktop.server_process import ServerProcess, broker_command
from memphis_desktop.stations.client import StationsClient
from memphis_desktop.stations.metadata import Metadata
from memphis_desktop.stations.model import StationState
from tests.clients.test_stations_service import ask, creation
from tests.conftest import Connect, Starter
from tests.waiting import until

COMMAND = [sys.executable, "-m", "memphis_desktop", "stations", "--port", "-1"]


def ended_with(process: subprocess.Popen[str]) -> tuple[int, str]:
    """End the command and return its exit code and what it wrote."""
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


async def test_it_waits_for_its_server_serves_and_ends_in_order(
    start_nats_server: Starter, connect: Connect
) -> None:
    server = start_nats_server()
    server.stop()
    process = subprocess.Popen(  # noqa: ASYNC220
        [*COMMAND, "--connect", server.url], stderr=subprocess.PIPE, text=True
    )
    try:
        server.start()
        client = StationsClient(await connect(server))
        await until(client.service_running)
        await client.create_station("made")
    finally:
        code, errors = ended_with(process)
    assert code == 0
    assert "Stations service is ready" in errors
    assert "Traceback" not in errors


def failure_of(*arguments: str) -> str:
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


def test_a_refused_login_is_one_sentence(start_nats_server: Starter) -> None:
    server = start_nats_server(arguments=["--auth", "secret"])
    assert failure_of("--connect", server.url) == "memphis-desktop: The server refuses the login."


def test_a_server_without_jetstream_is_one_sentence(start_nats_server: Starter) -> None:
    server = start_nats_server(jetstream=False)
    assert failure_of("--connect", server.url) == (
        "memphis-desktop: The server has no JetStream to use: "
        "JetStream does not answer; is it enabled for this account?"
    )


async def test_the_node_starts_it_whatever_users_it_has(
    start_broker: Starter, connect: Connect, tmp_path: Path
) -> None:
    started = time.monotonic()
    broker: ServerProcess = start_broker(arguments=["--memphis_port", "-1", "--user", "u", "--pass", "p"])
    ready = time.monotonic() - started
    client = StationsClient(await connect(broker, user="u", password="p"))
    await until(client.service_running)
    assert time.monotonic() - started > ready
    assert broker.stop() == 0
    assert "Traceback" not in broker.log()
    assert "Stations service is ready" in broker.log()


def test_a_node_without_jetstream_has_no_stations() -> None:
    command = [sys.executable, "-m", "memphis_desktop", "broker", "-p", "-1", "--memphis_port", "-1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "memphis-desktop: stations for Memphis SDKs and the gateways need JetStream: switch it on with -js\n"
    )


ACCOUNTS = """
accounts {
  A { jetstream: enabled, users: [{ user: a, password: a }] }
  B { users: [{ user: b, password: b }] }
}
"""


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            [],
            "stations need an account with JetStream, and the configuration has accounts of its own: "
            "name one with --memphis_account (A)",
        ),
        (["--memphis_account", "B"], "--memphis_account: there is no account 'B' with JetStream"),
    ],
)
def test_a_node_with_accounts_has_to_know_whose_the_stations_are(
    tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    config = tmp_path / "broker.conf"
    config.write_text(ACCOUNTS, encoding="utf-8")
    command = [sys.executable, "-m", "memphis_desktop", "broker", "-p", "-1", "-js", "--memphis_port", "-1"]
    command += ["-c", str(config), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr == f"memphis-desktop: {complaint}\n"


async def test_stations_live_in_the_account_that_is_named(tmp_path: Path, connect: Connect) -> None:
    arguments = ["--rest_port", "-1", "--memphis_account", "A"]
    server = ServerProcess(broker_command(), tmp_path, config=ACCOUNTS, arguments=arguments, memphis=True)
    with server as broker:
        client = StationsClient(await connect(broker, user="a", password="a"))
        assert await client.service_running()
        assert not await StationsClient(await connect(broker, user="b", password="b")).service_running()
        address = f"nats://127.0.0.1:{broker.memphis_port}"
        await connect(address, user="root$1", password="memphis", name="x::root")


async def test_a_service_killed_in_the_middle_of_a_creation_leaves_no_half_station(
    start_nats_server: Starter, connect: Connect
) -> None:
    server = start_nats_server()
    client = await connect(server)
    metadata = Metadata(client)
    command = [*COMMAND, "--connect", server.url, "--no-front-door"]
    first = subprocess.Popen(command, stderr=subprocess.DEVNULL)  # noqa: ASYNC220
    try:
        await until(StationsClient(client).service_running)
        request = creation("big", partitions_number=400)
        waiting = asyncio.create_task(ask(client, "$memphis_station_creations", **request))
        await until(lambda: _has_stream(metadata, "big$1"))
        first.kill()
        first.wait()
        half = await metadata.stations.find("big")
        assert half is not None
        assert half.state is StationState.CREATING  # killed in time
        assert await metadata.station("big") is None
        waiting.cancel()
        second = subprocess.Popen(command, stderr=subprocess.DEVNULL)  # noqa: ASYNC220
        try:
            await until(StationsClient(client).service_running)
            assert await ask(client, "$memphis_station_creations", **request) == b""  # as an SDK repeats it
            station = await metadata.station("big")
            assert station is not None
            assert len(station.partitions) == 400
            assert await _has_stream(metadata, "big$400")
        finally:
            second.kill()
            second.wait()
    finally:
        first.kill()
        first.wait()


async def _has_stream(metadata: Metadata, name: str) -> bool:
    return await metadata.jetstream.stream_info(name) is not None


def test_an_address_of_something_else_is_one_sentence() -> None:
    text = "memphis-desktop: http://x is not the address of a NATS server"
    assert failure_of("--connect", "http://x") == text
