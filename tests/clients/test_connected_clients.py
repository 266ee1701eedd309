"""Who is connected, asked of our broker and of a real nats-server: both must tell the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from memphis_desktop.cluster.clients import closing
from memphis_desktop.cluster.clients.model import ClientRecord, EventKind
from memphis_desktop.cluster.clients.reader import Wants
from memphis_desktop.cluster.failures import ApiError, NeedsSystemAccount, ReadOnlyConnection
from memphis_desktop.cluster.lab import LocalCluster
from memphis_desktop.cluster.profiles import ConnectionProfile, CredentialKind, Credentials
from memphis_desktop.cluster.session import Session
from memphis_desktop.server_process import ServerProcess
from tests.conftest import Connect, Starter
from tests.waiting import until

CONFIG = """
accounts {
  $SYS { users: [{user: sys, password: sys}] }
  A { jetstream: enabled, users: [
    {user: a, password: a},
    {user: blind, password: blind, permissions: {publish: {deny: "$SYS.REQ.SERVER.>"}}}
  ] }
  B { users: [{user: b, password: b}] }
}
"""
OpenSession = Callable[..., Awaitable[Session]]


def login(name: str) -> Credentials:
    return Credentials(CredentialKind.PASSWORD, user=name, password=name)


@pytest.fixture(params=["nats-server", "memphis-desktop"])
def server(
    request: pytest.FixtureRequest, start_nats_server: Starter, start_broker: Starter
) -> ServerProcess:
    start = start_nats_server if request.param == "nats-server" else start_broker
    return start(config=CONFIG)


@pytest_asyncio.fixture
async def session() -> AsyncIterator[OpenSession]:
    """Open a session: ``await session(url, "a", system="sys")``."""
    opened: list[Session] = []

    async def open_(url: str, user: str, system: str = "sys", **more: Any) -> Session:
        profile = ConnectionProfile(
            name="test",
            urls=(url,),
            credentials=login(user),
            system_credentials=login(system) if system else None,
            **more,
        )
        one = Session(profile)
        opened.append(one)
        await one.connect()
        return one

    yield open_
    for one in opened:
        await one.close()


def found(session: Session, name: str) -> ClientRecord | None:
    """The connected client of a name."""
    return next((one for one in session.clients.table.open.values() if one.name == name), None)


async def test_all_clients_their_rates_and_subscriptions(
    server: ServerProcess, connect: Connect, session: OpenSession
) -> None:
    worker = await connect(server, user="b", password="b", name="worker")
    await worker.subscribe("jobs.*", queue="crew")
    await worker.flush()
    console = await session(server.url, "a")
    reader = console.clients
    reader.want("test", Wants(sort="subs", descending=True))
    record = await until(lambda: found(console, "worker"), "the worker")
    assert (record.user, record.account, record.language) == ("b", "B", "python3")
    assert record.address.startswith("127.0.0.1:")
    assert reader.sees_all
    assert sum(reader.is_own(key) for key in reader.table.open) == 2
    reader.want("test", Wants(detail=record.key))
    detail = await until(lambda: reader.detail, "its details")
    assert [(one.subject, one.queue) for one in detail.subscriptions] == [("jobs.*", "crew")]
    for _ in range(50):
        await worker.publish("jobs.1", b"0123456789")
    await worker.flush()
    await until(lambda: (found(console, "worker") or record).out_messages == 50, "its messages")
    assert any((one.record.rates[2] or 0) > 0 for one in reader.samples)


async def test_closing_moving_events_and_the_closed(
    server: ServerProcess, connect: Connect, session: OpenSession
) -> None:
    console = await session(server.url, "a")
    reader = console.clients
    actions = []
    console.subscribe_actions(actions.append)
    reader.want("test", Wants(closed=True))
    await until(lambda: reader.read_at_ns, "an answer")
    told: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def lame_duck(*_: Any) -> None:
        if not told.done():
            told.set_result(None)

    victim = await connect(server, user="b", password="b", name="victim", lame_duck_mode_cb=lame_duck)
    record = await until(lambda: found(console, "victim"), "the victim, by its event")
    await closing.move_action(console, record).run(console)
    async with asyncio.timeout(60):
        await told
    assert not closing.refusal(console, record)
    await closing.close_action(console, record).run(console)
    await until(lambda: victim.is_closed, "its end")
    await until(lambda: found(console, "victim") is None, "that it is missed")
    closed = await until(lambda: reader.table.closed.get(record.key), "it among the closed")
    assert closed.reason == "Kicked"
    assert closing.refusal(console, closed)
    kinds = [one.kind for one in reader.table.events if one.record.name == "victim"]
    assert kinds == [EventKind.CONNECTED, EventKind.DISCONNECTED]
    with pytest.raises(ApiError, match="such client"):
        await closing.close_action(console, record).run(console)
    assert [bool(one.problem) for one in actions] == [False, False, True]
    own = next(one for key, one in reader.table.open.items() if reader.is_own(key))
    assert closing.refusal(console, own)
    with pytest.raises(closing.OwnConnection):
        closing.close_action(console, own)
    with pytest.raises(Exception, match="uthorization"):
        await connect(server, user="b", password="wrong")
    await until(lambda: any(one.kind is EventKind.REFUSED for one in reader.table.events), "the refusal")


async def test_an_ordinary_account_sees_its_own_and_closes_nothing(
    server: ServerProcess, connect: Connect, session: OpenSession
) -> None:
    await connect(server, user="a", password="a", name="mine")
    await connect(server, user="b", password="b", name="foreign")
    console = await session(server.url, "a", system="")
    reader = console.clients
    reader.want("test", Wants())
    record = await until(lambda: found(console, "mine"), "the own one")
    assert {one.account for one in reader.table.open.values()} == {"A"}
    assert not reader.sees_all
    assert closing.refusal(console, record)
    with pytest.raises(NeedsSystemAccount):
        await closing.close_action(console, record).run(console)
    reader.want("test", Wants(detail=record.key))
    await until(lambda: reader.detail, "its details")
    assert console.raft.may_see_clients


async def test_a_login_that_may_not_ask_is_told_so(server: ServerProcess, session: OpenSession) -> None:
    console = await session(server.url, "blind", system="")
    await until(lambda: console.raft.user is not None, "what it may do")
    assert not console.raft.may_see_clients
    console.clients.want("test", Wants())
    await until(lambda: console.clients.problem is not None, "why nothing is known")


async def test_a_read_only_connection_looks_and_does_not_touch(
    server: ServerProcess, connect: Connect, session: OpenSession
) -> None:
    await connect(server, user="b", password="b", name="spared")
    console = await session(server.url, "a", read_only=True)
    console.clients.want("test", Wants(closed=True))
    record = await until(lambda: found(console, "spared"), "the client")
    assert closing.refusal(console, record)
    with pytest.raises(ReadOnlyConnection):
        await closing.close_action(console, record).run(console)
    assert console.system is not None
    with pytest.raises(ReadOnlyConnection):  # in the client itself, too
        await console.system.request(f"$SYS.REQ.SERVER.{record.key.server_id}.KICK", b"{}")


async def test_more_than_a_page_are_read_in_pages(
    server: ServerProcess, connect: Connect, session: OpenSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("reader", "table"):
        monkeypatch.setattr(f"memphis_desktop.cluster.clients.{name}.PAGE", 8)
    clients = await asyncio.gather(
        *(connect(server, user="b", password="b", name=f"c{number}") for number in range(30))
    )
    console = await session(server.url, "a")
    reader = console.clients
    reader.want("test", Wants(sort="bytes_from", descending=True))
    await until(lambda: len(reader.table.open) == 32, "all of them")
    assert reader.table.paged
    for _ in range(20):
        await clients[29].publish("x", b"x" * 1000)
    await clients[29].flush()
    await until(lambda: (found(console, "c29") or clients[29]).in_bytes == 20_000, "the busiest, on top")
    await clients[3].close()
    await until(lambda: found(console, "c3") is None, "that one is missed")


async def test_closed_ones_are_read_back_page_by_page(
    server: ServerProcess, connect: Connect, session: OpenSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("reader", "table"):
        monkeypatch.setattr(f"memphis_desktop.cluster.clients.{name}.PAGE", 4)
    for number in range(10):
        client = await connect(server, user="b", password="b", name=f"gone{number}")
        await client.close()
    console = await session(server.url, "a")
    console.clients.want("test", Wants(closed=True))

    def names() -> set[str]:
        return {one.name for one in console.clients.table.closed.values()}

    await until(lambda: names() >= {f"gone{number}" for number in range(10)}, "all that went before")


async def test_a_cluster_tells_of_all_servers(
    three_node_cluster: LocalCluster, connect: Connect, session: OpenSession
) -> None:
    for number, url in enumerate(three_node_cluster.urls):
        client = await connect(url, name=f"at{number}")
        await client.subscribe(f"only.{number}")
        await client.flush()
    profile = three_node_cluster.profile()
    for one in (profile, replace(profile, system_credentials=None)):
        console = Session(one)
        await console.connect()
        try:
            reader = console.clients
            reader.want("test", Wants())
            await until(lambda r=reader: len({key.server_id for key in r.table.open}) == 3, "three servers")
            for number in range(3):
                record = await until(lambda c=console, n=number: found(c, f"at{n}"), "each client")
                reader.want("test", Wants(detail=record.key))
                detail = await until(lambda r=reader: r.detail, "its details")
                assert [subscription.subject for subscription in detail.subscriptions] == [f"only.{number}"]
        finally:
            await console.close()
