"""Fixtures for tests that drive servers with unmodified clients."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nats
import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.js import JetStreamContext

from memphis_desktop.bench.front_door import DoorProcess
from memphis_desktop.server_process import ServerProcess, broker_command, nats_server_command
from tests.conftest import Connect

StartDoor = Callable[..., DoorProcess]


@pytest_asyncio.fixture
async def client(any_server: ServerProcess, connect: Connect) -> Client:
    """A nats-py client on each of the two servers in turn."""
    opened: Any = await connect(any_server)
    assert isinstance(opened, Client)
    return opened


@pytest_asyncio.fixture
async def jetstream(client: Client) -> JetStreamContext:
    """JetStream of `client`."""
    return client.jetstream()


@pytest.fixture
def start_door(tmp_path: Path) -> Iterator[Callable[..., DoorProcess]]:
    """Start copies of ``memphis-desktop stations``: ``start_door(urls, *arguments)``."""
    doors: list[DoorProcess] = []

    def start(urls: tuple[str, ...], *arguments: str) -> DoorProcess:
        door = DoorProcess(",".join(urls), tmp_path / f"door-{len(doors)}", arguments=arguments)
        doors.append(door)
        door.start()
        return door

    yield start
    with contextlib.ExitStack() as stack:
        for door in doors:
            stack.callback(door.stop)


@pytest.fixture(scope="module", params=["nats-server", "memphis-desktop"])
def lasting_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """Each of the two servers in turn, one for all tests of a file."""
    command = nats_server_command() if request.param == "nats-server" else broker_command()
    with ServerProcess(command, tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest_asyncio.fixture
async def emptied_server(lasting_server: ServerProcess) -> ServerProcess:
    """That server, running and without any stream."""
    if not lasting_server.running:
        lasting_server.start()
    client = await nats.connect(lasting_server.url, connect_timeout=30)
    jetstream = client.jetstream(timeout=30)
    for info in await jetstream.streams_info():
        assert info.config.name is not None
        await jetstream.delete_stream(info.config.name)
    await client.close()
    return lasting_server
