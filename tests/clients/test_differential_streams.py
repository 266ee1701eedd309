"""The same stream operations on the real server and on ours: every answer must be the same."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from nats.aio.client import Client

from memphis_desktop.server_process import ServerProcess
from tests.clients.differential import compare
from tests.clients.random_stream_script import RandomScript
from tests.clients.stream_feature_scripts import SCRIPTS
from tests.clients.stream_scripts import Script
from tests.conftest import Connect


@pytest_asyncio.fixture
async def both(
    nats_server: ServerProcess, broker: ServerProcess, connect: Connect
) -> AsyncIterator[tuple[Client, Client]]:
    """A client on the reference server and one on ours."""
    yield await connect(nats_server), await connect(broker)


async def _expect_the_same(both: tuple[Client, Client], script: Script) -> None:
    result = await compare(*both, script)
    assert result.operations == len(script)
    assert not result.differences, "".join(map(str, result.differences[:10]))


@pytest.mark.parametrize("storage", ["file", "memory"])
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.__name__)
async def test_both_servers_answer_alike(both: tuple[Client, Client], script: object, storage: str) -> None:
    assert callable(script)
    await _expect_the_same(both, script(storage))


@pytest.mark.parametrize("seed", range(6))
async def test_both_servers_answer_random_operations_alike(both: tuple[Client, Client], seed: int) -> None:
    await _expect_the_same(both, RandomScript(seed).make(250))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 110))
async def test_both_servers_answer_long_random_scripts_alike(both: tuple[Client, Client], seed: int) -> None:
    await _expect_the_same(both, RandomScript(seed).make(2000))
