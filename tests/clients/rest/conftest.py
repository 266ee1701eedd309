"""A REST gateway in the test's own loop, and an HTTP client for it."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from nats.aio.client import Client

from memphis_desktop.server_process import ServerProcess
from memphis_desktop.stations.client import StationsClient
from memphis_desktop.stations.rest.gateway import RestGateway
from memphis_desktop.stations.rest.options import RestOptions
from memphis_desktop.stations.service import StationsService
from tests.conftest import Connect

StartRest = Callable[..., Awaitable[RestGateway]]
ROOT = {"username": "root", "password": "memphis"}


@dataclass
class Http:
    """An HTTP client of one gateway; `headers` go with each request."""

    session: aiohttp.ClientSession
    url: str
    headers: dict[str, str] = field(default_factory=dict)

    async def __call__(self, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
        """Send a POST, a body that is no bytes as JSON; return status and answer (JSON, else text)."""
        method = options.pop("method", "POST")
        headers = {**self.headers, **options.pop("headers", {})}
        if isinstance(body, bytes):
            options["data"] = io.BytesIO(body)
        elif body is not None:
            options["json"] = body
        async with self.session.request(method, self.url + path, headers=headers, **options) as response:
            if response.content_type == "application/json":
                return response.status, await response.json()
            return response.status, await response.text()

    async def login(self, **changes: Any) -> dict[str, Any]:
        """Log in and keep the token."""
        status, answer = await self("/auth/authenticate", {**ROOT, **changes})
        assert status == 200, answer
        self.headers["Authorization"] = f"Bearer {answer['jwt']}"
        return dict(answer)


@pytest.fixture
def any_server(emptied_server: ServerProcess) -> ServerProcess:
    """Each of the two servers in turn, without any stream; started once for a file's tests."""
    return emptied_server


@pytest_asyncio.fixture
async def start_rest(connect: Connect) -> AsyncIterator[StartRest]:
    """Start a gateway: ``await start_rest(server, **RestOptions)``."""
    gateways: list[RestGateway] = []

    async def start(server: ServerProcess, **options: Any) -> RestGateway:
        client = await connect(server, allow_reconnect=True, max_reconnect_attempts=-1, error_cb=_quiet)
        gateway = RestGateway(client, RestOptions(port=0, **options))
        gateways.append(gateway)
        await gateway.start()
        return gateway

    yield start
    for gateway in gateways:
        await gateway.stop()


async def _quiet(_: Exception) -> None:
    """Lost connections are part of some tests."""


@pytest_asyncio.fixture
async def http_session() -> AsyncIterator[aiohttp.ClientSession]:
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        yield session


@pytest_asyncio.fixture
async def gateway(any_server: ServerProcess, start_rest: StartRest) -> RestGateway:
    """A gateway on each of the two servers in turn."""
    return await start_rest(any_server)


@pytest_asyncio.fixture
async def http(gateway: RestGateway, http_session: aiohttp.ClientSession) -> Http:
    """A client of it that has not logged in."""
    return Http(http_session, f"http://127.0.0.1:{gateway.port}")


@pytest_asyncio.fixture
async def nats(any_server: ServerProcess, connect: Connect) -> Client:
    opened: Any = await connect(any_server)
    assert isinstance(opened, Client)
    return opened


@pytest_asyncio.fixture
async def stations(any_server: ServerProcess, connect: Connect) -> AsyncIterator[StationsClient]:
    """The stations service beside the gateway, and a client of it."""
    service = StationsService(await connect(any_server))
    await service.start()
    client = StationsClient(await connect(any_server), username="root")
    yield client
    await client.close()
    await service.stop()
