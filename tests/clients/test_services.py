"""Services of nats-py found and asked on a real nats-server and on our broker."""

from __future__ import annotations

import asyncio

import nats.micro
import pytest
from nats.aio.client import Client
from nats.micro.request import Request, ServiceError
from nats.micro.service import Service

from memphis_desktop.cluster.failures import NotPermitted, ReadOnlyConnection
from memphis_desktop.cluster.profiles import ConnectionProfile, CredentialKind, Credentials
from memphis_desktop.cluster.services import INFO, PING, STATS, ask
from memphis_desktop.cluster.session import Session
from memphis_desktop.inspect.message import Headers
from memphis_desktop.inspect.publishing import PublishError, request
from memphis_desktop.server_process import ServerProcess
from tests.conftest import Connect, Starter
from tests.waiting import until


async def add_service(client: Client, name: str = "pricing", **options: str) -> Service:
    async def price(message: Request) -> None:
        if not message.data:
            raise ServiceError("400", "nothing to price")
        await message.respond(b'{"price": 5}')

    service = await nats.micro.add_service(
        client, name=name, version="1.2.3", description="Prices", metadata={"team": "shop"}, **options
    )
    await service.add_group(name=name).add_endpoint(
        name="price", handler=price, metadata={"request_schema": '{"type": "object"}'}
    )
    await client.flush()
    return service


async def test_services_are_found_and_counted(
    session: Session, any_server: ServerProcess, connect: Connect
) -> None:
    assert (await ask(session, PING)).nobody
    client = await connect(any_server)
    for _ in range(20):
        await add_service(client)
    other = await add_service(client, "mail")
    answers = await ask(session, INFO, first=30)
    assert sorted(answer.body["name"] for answer in answers.found) == ["mail"] + ["pricing"] * 20
    one = await ask(session, STATS, "mail", other.id, first=30)
    assert [answer.body["id"] for answer in one.found] == [other.id]
    looked = asyncio.Event()
    watch = session.services
    release = watch.use(looked.set)
    await until(lambda: len(watch.instances) == 21, "all instances")
    reply = await request(session.nats, "pricing.price", b"{}", Headers(), timeout=30)
    assert reply.payload == b'{"price": 5}'
    failed = await request(session.nats, "pricing.price", b"", Headers(), timeout=30)
    assert failed.headers.get("Nats-Service-Error") == "nothing to price"
    assert failed.headers.get("Nats-Service-Error-Code") == "400"
    watch.refresh()
    pricing = [one for one in watch.instances.values() if one.name == "pricing"]
    await until(
        lambda: (
            sum(one.requests for one in watch.instances.values()) == 2
            and sum(one.errors for one in watch.instances.values()) == 1
        ),
        "the counts",
    )
    info = watch.instances[pricing[0].id]
    assert (info.version, info.description, info.metadata) == ("1.2.3", "Prices", {"team": "shop"})
    (endpoint,) = info.endpoints
    assert (endpoint.subject, endpoint.queue_group) == ("pricing.price", "q")
    assert endpoint.metadata == {"request_schema": '{"type": "object"}'}
    assert info.started_ns
    await other.stop()
    await until(lambda: all(one.name == "pricing" for one in watch.instances.values()), "that it is gone")
    release()
    assert watch._task is None


async def test_a_read_only_connection_asks_services_and_sends_them_nothing(
    any_server: ServerProcess, connect: Connect
) -> None:
    await add_service(await connect(any_server))
    session = Session(ConnectionProfile(name="test", urls=(any_server.url,), read_only=True))
    await session.connect()
    try:
        assert len((await ask(session, STATS, first=30)).found) == 1
        with pytest.raises(PublishError, match="read-only"):
            await request(session.nats, "pricing.price", b"{}", Headers())
        with pytest.raises(ReadOnlyConnection):
            await session.publish("$SRV.OTHER", b"")
    finally:
        await session.close()


@pytest.mark.parametrize("kind", ["start_nats_server", "start_broker"])
async def test_a_login_that_may_not_ask_is_told_so(kind: str, request: pytest.FixtureRequest) -> None:
    start: Starter = request.getfixturevalue(kind)
    config = """
    authorization { users = [{user: a, password: b, permissions: {publish: {deny: "$SRV.>"}}}] }
    """
    server = start(config=config)
    login = Credentials(CredentialKind.PASSWORD, user="a", password="b")
    session = Session(ConnectionProfile(name="test", urls=(server.url,), credentials=login))
    await session.connect()
    try:
        with pytest.raises(NotPermitted):
            await ask(session, STATS)
        watch = session.services
        release = watch.use(lambda: None)
        await until(lambda: watch.refused, "the refusal")
        release()
    finally:
        await session.close()
