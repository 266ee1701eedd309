"""Fixtures for tests that drive servers with unmodified clients."""

from __future__ import annotations

from typing import Any

import pytest_asyncio
from nats.aio.client import Client
from nats.js import JetStreamContext

from memphis_desktop.server_process import ServerProcess
from tests.conftest import Connect


@pytest_asyncio.fixture
async def client(any_server: ServerProcess, connect: Connect) -> Client:
    """A nats-py client on each of the two servers in turn."""
    opened: Any = await connect(any_server)
    assert isinstance(opened, Client)
    return opened


@pytest_asyncio.fixture
async def jetstream(client: Client) -> JetStreamContext:
    """JetStream of `client`, patient for half a minute per request, for machines with more to do."""
    return client.jetstream(timeout=30)
