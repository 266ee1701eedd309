"""Many streams' consumers read from whole servers at once, as the system account may ask."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import orjson
import pytest
import pytest_asyncio
from nats.aio.client import Client

from memphis_desktop.cluster import sweep
from memphis_desktop.cluster.failures import RequestTimeout
from memphis_desktop.cluster.lab import LocalCluster
from memphis_desktop.cluster.raft import watcher
from memphis_desktop.cluster.raft.model import Presence
from memphis_desktop.cluster.session import Session
from tests.waiting import until

STREAMS = 12
GROUPS = 2


@pytest_asyncio.fixture
async def client(
    three_node_cluster: LocalCluster, connect: Callable[..., Awaitable[Client]]
) -> AsyncIterator[Client]:
    """A client of a cluster with streams of one and three replicas, and messages that wait."""
    client = await connect(three_node_cluster.urls[0])

    async def ask(subject: str, body: dict[str, Any]) -> None:
        answer = orjson.loads(
            (await client.request(f"$JS.API.{subject}", orjson.dumps(body), timeout=30)).data
        )
        assert "error" not in answer, answer

    for number in range(STREAMS):
        name = f"s{number}"
        config = {
            "name": name,
            "subjects": [name],
            "storage": "memory",
            "num_replicas": 3 if number < 4 else 1,
        }
        await ask(f"STREAM.CREATE.{name}", config)
        for index in range(GROUPS):
            group = {"durable_name": f"g{index}", "ack_policy": "explicit"}
            await ask(f"CONSUMER.CREATE.{name}.g{index}", {"stream_name": name, "config": group})
        for _ in range(number + 1):
            await client.request(name, b"x", timeout=30)
    yield client


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """So few streams are many here, and sweeps follow each other quickly."""
    monkeypatch.setattr(sweep, "FEW", 5)
    monkeypatch.setattr(sweep, "EVERY", 2.0)


@pytest_asyncio.fixture
async def session(client: Client, three_node_cluster: LocalCluster, many: None) -> AsyncIterator[Session]:
    """A session with the system account, that lists next to nothing."""
    profile = await asyncio.to_thread(three_node_cluster.profile)
    session = Session(dataclasses.replace(profile, poll_budget=20))
    await session.connect()
    yield session
    await session.close()


async def test_three_requests_bring_every_consumer(session: Session, client: Client) -> None:
    reader = session._poller._sweep
    await until(lambda: reader.covers and session._cluster.read_at.get("consumers"), "the sweep")
    await until(lambda: len(session.snapshot.consumers) == STREAMS * GROUPS, "all consumers")
    listed: list[str] = []
    ask = session.api

    async def noted(suffix: str, *arguments: Any) -> dict[str, Any]:
        listed.append(suffix)
        return await ask(suffix, *arguments)

    session.api = noted  # type: ignore[method-assign]
    began = time.time_ns()
    await until(
        lambda: all(one.read_at_ns > began for one in session.snapshot.consumers.values()), "all read anew"
    )
    assert not [suffix for suffix in listed if suffix.startswith("CONSUMER.LIST")]
    for (stream, group), known in session.snapshot.consumers.items():
        info = await ask(f"CONSUMER.INFO.{stream}.{group}")
        assert known.num_pending == info["num_pending"] == int(stream[1:]) + 1
        assert known.leader == info["cluster"]["leader"]
        assert sweep._stored(known.config) == sweep._stored(info["config"])
        assert len(known.peers) == len(info["cluster"].get("replicas") or ())
    assert all(one.presence is Presence.HERE for one in session.snapshot.raft.servers.values())


async def test_what_is_gone_goes_also_when_nobody_told(session: Session, client: Client) -> None:
    await until(lambda: len(session.snapshot.consumers) == STREAMS * GROUPS, "all consumers")
    state = session._cluster
    ghost = dataclasses.replace(state.consumers["s7", "g0"], name="ghost", read_at_ns=time.time_ns())
    state.consumers["s7", "ghost"] = ghost
    state.consumers_of["s7"].add("ghost")
    await until(lambda: ("s7", "ghost") not in session.snapshot.consumers, "the ghost gone")
    assert len(session.snapshot.consumers) == STREAMS * GROUPS


async def test_lists_do_it_where_servers_may_not_be_asked(
    client: Client, three_node_cluster: LocalCluster, many: None
) -> None:
    profile = await asyncio.to_thread(three_node_cluster.profile)
    session = Session(dataclasses.replace(profile, system_credentials=None))
    await session.connect()
    try:
        await until(lambda: len(session.snapshot.consumers) == STREAMS * GROUPS, "all consumers")
        assert not session._poller._sweep.covers
    finally:
        await session.close()


async def test_a_sweep_that_fails_leaves_it_to_the_lists(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = session._poller._sweep
    await until(lambda: reader.covers and session._cluster.read_at.get("consumers"), "the first sweep")

    def broken(answer: bytes) -> Any:
        raise ValueError("no answer of a server")

    monkeypatch.setattr(sweep, "_consumers", broken)
    await until(lambda: not reader.covers, "a failure")
    began = time.time_ns()
    await until(
        lambda: all(one.read_at_ns > began for one in session.snapshot.consumers.values()), "all by lists"
    )


async def test_the_name_of_the_account_is_asked_for_until_a_busy_server_tells(
    three_node_cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "NAME_EVERY", 0.1)
    ask, asked = Session.request, 0

    async def busy(self: Session, subject: str, *arguments: Any, **options: Any) -> Any:
        nonlocal asked
        if subject == "$SYS.REQ.USER.INFO":
            asked += 1
            if asked < 3:
                raise RequestTimeout(subject, 2.0)
        return await ask(self, subject, *arguments, **options)

    monkeypatch.setattr(Session, "request", busy)
    session = Session(await asyncio.to_thread(three_node_cluster.profile))
    await session.connect()
    try:
        await until(lambda: session.raft.account == "$G", "the account's name")
        assert asked == 3
    finally:
        await session.close()
