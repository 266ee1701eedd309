"""Users, their permissions and the audit log: the service, its directory, and the node's Memphis port."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import nats
import nats.errors
import pytest
import pytest_asyncio
from nats.aio.client import Client

from memphis_desktop.broker.node import BrokerNode
from memphis_desktop.broker.options import BrokerOptions
from memphis_desktop.stations.client import StationsClient
from memphis_desktop.stations.directory import UserDirectory
from memphis_desktop.stations.errors import StationsError
from memphis_desktop.stations.model import Permissions
from memphis_desktop.stations.service import StationsService
from tests.clients.test_stations_service import ask, creation
from tests.waiting import until

PASSWORD = "Good-pass1"


class World:
    """An embedded node with the service and its Memphis port."""

    def __init__(self, node: BrokerNode, client: Client, stations: StationsClient) -> None:
        self.node = node
        self.client = client
        self.stations = stations
        self.clients: list[Client] = []
        self.errors: list[Exception] = []

    async def log_in(self, user: str = "root", password: str = "memphis", **options: Any) -> Client:
        """Log in as an SDK does; raises what nats-py raises."""

        async def note(error: Exception) -> None:
            self.errors.append(error)

        login = {} if "token" in options else {"user": f"{user}$1", "password": password}
        name = options.pop("name", f"{uuid.uuid4()}::{user}")
        client = Client()
        self.clients.append(client)
        url = f"nats://127.0.0.1:{self.node.memphis_port}"
        options = {
            "allow_reconnect": False,
            "max_reconnect_attempts": 1,
            "error_cb": note,
            **login,
            **options,
        }
        await client.connect(url, name=name, connect_timeout=20, **options)
        return client


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    node = BrokerNode(BrokerOptions(port=-1, memphis_port=-1, jetstream=True, store_dir=tmp_path))
    async with contextlib.AsyncExitStack() as stack:
        await node.start()
        stack.push_async_callback(node.stop)
        client = await nats.connect(node.urls[0])
        stack.push_async_callback(client.close)
        service = StationsService(client)
        await service.start()
        stack.push_async_callback(service.stop)
        directory = UserDirectory.beside(client, "node")
        await directory.start()
        stack.push_async_callback(directory.stop)
        await node.listen_for_memphis(directory)
        stations = StationsClient(client, username="root")
        found = World(node, client, stations)
        yield found
        for one in found.clients:
            await one.close()
        await stations.close()


async def test_root_and_the_token_are_there_from_the_start(world: World) -> None:
    assert [(user.name, user.type, user.password_hash) for user in await world.stations.users()] == [
        ("root", "root", "")
    ]
    assert await world.stations.connection_token() == "memphis"
    await world.log_in()
    await world.log_in("ROOT")
    await world.log_in(token="memphis")
    await world.log_in(token="root::memphis", name="plain client")
    for refused in ({"password": "wrong"}, {"user": "nobody"}, {"token": "wrong"}, {"name": "a::b::c"}):
        with pytest.raises(nats.errors.Error, match="Authorization Violation"):
            await world.log_in(**refused)


async def test_users_come_and_go(world: World) -> None:
    user = await world.stations.add_user("App", PASSWORD, description="shop")
    assert (user.name, user.type, user.password_hash) == ("app", "application", "")
    client = await world.log_in("app", PASSWORD)
    await world.stations.add_user("boss", PASSWORD, "management", full_name="The Boss")
    with pytest.raises(nats.errors.Error, match="Authorization Violation"):
        await world.log_in("boss", PASSWORD)  # management users do not produce and consume
    await world.stations.change_password("app", PASSWORD + "2")
    await until(lambda: client.is_closed, "the old connection's end")
    with pytest.raises(nats.errors.Error, match="Authorization Violation"):
        await world.log_in("app", PASSWORD)
    client = await world.log_in("app", PASSWORD + "2")
    await world.stations.remove_user("app")
    await until(lambda: client.is_closed, "the removed user's end")
    with pytest.raises(nats.errors.Error, match="Authorization Violation"):
        await world.log_in("app", PASSWORD + "2")
    await world.stations.change_connection_token("other-token")
    await until(lambda: _token_is(world, "other-token"), "the new token")
    messages = [(line.message, line.username) for line in await world.stations.audit()]
    assert messages == [
        ("The connection token has been changed by user root", "root"),
        ("User app has been removed by user root", "root"),
        ("The password of user app has been changed by user root", "root"),
        ("User boss has been added by user root", "root"),
        ("User app has been added by user root", "root"),
    ]


async def _token_is(world: World, token: str) -> bool:
    try:
        await world.log_in(token=token)
    except nats.errors.Error:
        return False
    return True


async def test_refusals(world: World) -> None:
    await world.stations.add_user("app", PASSWORD)
    for arguments, text in (
        (("app", PASSWORD), "User app already exists"),
        (("root", PASSWORD), "User root already exists"),
        (("a b", PASSWORD), "Only alphanumeric"),
        (("x", "simple"), "Password has to be"),
        (("x", PASSWORD, "king"), "user type has to be one of"),
    ):
        with pytest.raises(StationsError, match=text):
            await world.stations.add_user(*arguments)
    with pytest.raises(StationsError, match="root can not be removed"):
        await world.stations.remove_user("root")
    with pytest.raises(StationsError, match="User nobody does not exist"):
        await world.stations.change_password("nobody", PASSWORD)
    with pytest.raises(StationsError, match="permissions are for application users"):
        await world.stations.add_user("m", PASSWORD, "management", permissions=Permissions(allow_read=("*",)))
    intruder = StationsClient(world.client, username="app")
    with pytest.raises(StationsError, match="user app is not allowed to manage users"):
        await intruder.add_user("friend", PASSWORD)


async def test_permissions_are_enforced_by_the_service_and_by_the_node(world: World) -> None:
    permissions = Permissions(allow_read=("public.*",), allow_write=("public.*", "inbox"))
    await world.stations.add_user("app", PASSWORD, permissions=permissions)
    await world.stations.create_station("private")
    app = await world.log_in("app", PASSWORD)

    refused = await ask(app, "$memphis_station_creations", **creation("private2", username="app"))
    assert refused == b"user app is not allowed to create station private2"
    made = await ask(app, "$memphis_station_creations", **creation("public.one", username="app"))
    assert made == b""
    producer = {"name": "p", "connection_id": "c", "producer_type": "application", "req_version": 4}
    for station, text in (
        ("private", "user app is not allowed to access station private"),
        ("public.one", ""),
    ):
        answer = json.loads(
            await ask(app, "$memphis_producer_creations", station_name=station, username="app", **producer)
        )
        assert answer["error"] == text

    stream = app.jetstream(timeout=30)
    assert (await stream.publish("public#one$1.final", b"x")).seq == 1
    with pytest.raises(nats.errors.TimeoutError):
        await app.request("private$1.final", b"x", timeout=0.5)
    with pytest.raises(nats.errors.TimeoutError):  # in another's name
        await app.request(
            "$memphis_station_destructions", b'{"station_name":"private","username":"root"}', timeout=0.5
        )
    with pytest.raises(nats.errors.TimeoutError):
        await app.request("$JS.API.STREAM.MSG.GET.KV_memphis_users", b'{"seq":1}', timeout=0.5)
    await until(lambda: len(world.errors) >= 3, "the errors")
    assert all("cant access the requested station" in str(error) for error in world.errors)
    assert await world.stations.station("private") is not None

    await world.stations.edit_user("app", permissions=Permissions(allow_write=("private",)))
    await until(lambda: not app.is_connected, "the connection with the old rights' end")
    app = await world.log_in("app", PASSWORD)
    assert (await app.jetstream(timeout=30).publish("private$1.final", b"x")).seq == 1


async def test_who_is_there_is_told(world: World) -> None:
    identifier = str(uuid.uuid4())
    first = await world.log_in(name=f"{identifier}::root")
    second = await world.log_in(name=f"{identifier}::root")  # as SDKs do

    async def active() -> bool | None:
        found = (await world.stations.connections()).get(identifier)
        return found.active if found is not None else None

    await until(lambda: _is(active, True), "the connection")
    await first.close()
    await asyncio.sleep(0)
    assert await active()
    answer = json.loads((await world.client.request("$memphis_connection_status", timeout=30)).data)
    assert answer == {"server": "node", "connections": [identifier]}
    await second.close()
    await until(lambda: _is(active, False), "the connection's end")


async def _is(question: Any, expected: object) -> bool:
    return await question() is expected


async def test_wrong_logins_are_limited(world: World) -> None:
    for _ in range(10):
        with pytest.raises(nats.errors.Error, match="Authorization Violation"):
            await world.log_in(password="wrong")
    with pytest.raises(nats.errors.Error, match="Authorization Violation"):
        await world.log_in()  # right, but too late: nobody may guess on
    await world.log_in(token="memphis")


async def test_wrong_tokens_are_limited(world: World) -> None:
    for number in range(10):
        with pytest.raises(nats.errors.Error, match="Authorization Violation"):
            await world.log_in(token=f"wrong-{number}")
    with pytest.raises(nats.errors.Error, match="Authorization Violation"):
        await world.log_in(token="memphis")
    await world.log_in()  # passwords are another matter
