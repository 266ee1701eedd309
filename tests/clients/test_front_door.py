"""The front door before real nats-servers: logins, message ids, permissions, servers that go, bad input."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import nats
import nats.errors
import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.js.api import StreamConfig

from memphis_desktop.server_process import ServerProcess
from memphis_desktop.stations.client import StationsClient
from memphis_desktop.stations.errors import StationsError
from memphis_desktop.stations.front_door.door import ANY_PORT, FrontDoor
from memphis_desktop.stations.front_door.service import DoorOptions, FrontDoorService
from memphis_desktop.stations.front_door.upstream import Cluster, Credentials
from memphis_desktop.stations.model import Permissions
from memphis_desktop.stations.service import StationsService
from tests.clients.test_core_tls import Certificates, certificates  # noqa: F401  # a fixture
from tests.conftest import Connect, Starter
from tests.waiting import until

PASSWORD = "Good-pass1"
StartDoor = Callable[..., Awaitable[FrontDoorService]]


class Guest:
    """A client at the door, by nats-py, with what an SDK shows."""

    def __init__(self) -> None:
        self.client = Client()
        self.errors: list[Exception] = []
        self.disconnected = asyncio.Event()
        self.reconnected = asyncio.Event()

    async def enter(
        self, door: FrontDoor, user: str = "root", password: str = "memphis", **options: Any
    ) -> Guest:
        async def note(error: Exception) -> None:
            self.errors.append(error)

        async def lost() -> None:
            self.disconnected.set()

        async def back() -> None:
            self.reconnected.set()

        login = {} if "token" in options else {"user": f"{user}$1", "password": password}
        options = {
            "allow_reconnect": False,
            "max_reconnect_attempts": 1,
            "reconnect_time_wait": 0.1,
            "connect_timeout": 30,
            "name": f"{uuid.uuid4()}::{user}",
            **login,
            **options,
        }
        await self.client.connect(
            f"nats://127.0.0.1:{door.port}",
            error_cb=note,
            disconnected_cb=lost,
            reconnected_cb=back,
            **options,
        )
        return self


@pytest_asyncio.fixture
async def start_door() -> AsyncIterator[StartDoor]:
    doors: list[FrontDoorService] = []

    async def start(
        *urls: str, wait: bool = True, login: dict[str, Any] | None = None, **options: Any
    ) -> FrontDoorService:
        door = FrontDoorService(urls, login or {}, DoorOptions(port=ANY_PORT, **options))
        doors.append(door)
        await door.start()
        if wait:
            await door.wait()
        return door

    yield start
    for door in doors:
        await door.stop()


@pytest_asyncio.fixture
async def stations(nats_server: ServerProcess, connect: Connect) -> AsyncIterator[StationsClient]:
    """The stations service beside a nats-server, and its client."""
    service = StationsService(await connect(nats_server))
    await service.start()
    client = StationsClient(service.context.client, username="root")
    yield client
    await client.close()
    await service.stop()


@pytest_asyncio.fixture
async def enter() -> AsyncIterator[Callable[..., Awaitable[Guest]]]:
    guests: list[Guest] = []

    async def come(door: FrontDoorService, *arguments: Any, **options: Any) -> Guest:
        guest = Guest()
        guests.append(guest)
        return await guest.enter(door.door, *arguments, **options)

    yield come
    for guest in guests:
        await guest.client.close()


Enter = Callable[..., Awaitable[Guest]]


async def test_logins_ids_and_traffic(
    nats_server: ServerProcess, stations: StationsClient, start_door: StartDoor, enter: Enter
) -> None:
    door = await start_door(nats_server.url)
    await stations.create_station("s", partitions_number=2)
    guest = await enter(door)
    await enter(door, token="memphis")
    stream = guest.client.jetstream(timeout=30)
    ids = {"msg-id": "one", "$memphis_producedBy": "p"}
    first = await stream.publish("s$1.final", b"x", headers=ids)
    again = await stream.publish("s$1.final", b"x", headers=ids)
    assert (first.seq, again.seq, again.duplicate) == (1, 1, True)
    assert (await stream.publish("s$2.final", b"x", headers=ids)).duplicate is not True
    stored = await stream.get_msg("s$1", 1)
    assert stored.headers == {**ids, "Nats-Msg-Id": "one"}
    await stream.add_stream(StreamConfig("plain", subjects=["plain.>"]))
    for _ in range(2):
        assert (await stream.publish("plain.a", b"x", headers=ids)).duplicate is not True
    large = b"l" * 1_000_000
    assert (await stream.publish("s$1.final", large)).seq == 2
    assert (await stream.get_msg("s$1", 2)).data == large
    for refused in ({"password": "wrong"}, {"user": "nobody"}, {"token": "no"}, {"name": "a::b::c"}):
        with pytest.raises(nats.errors.Error, match="Authorization Violation"):
            await enter(door, **refused)


async def test_many_chunks_both_ways(
    nats_server: ServerProcess, stations: StationsClient, start_door: StartDoor, enter: Enter
) -> None:
    """More than any buffer holds, to a slow reader, arrives whole and in order; memory stays bounded."""
    door = await start_door(nats_server.url)
    await stations.add_user("app", PASSWORD)
    received: list[int] = []
    done = asyncio.Event()
    total = 3000

    async def slow(message: Any) -> None:
        received.append(int(message.data[:8]))
        if len(received) % 500 == 0:
            await asyncio.sleep(0.05)
        if len(received) == total:
            done.set()

    reader = await enter(door, "app", PASSWORD)
    await reader.client.subscribe("flood", cb=slow)
    await reader.client.flush()
    writer = await enter(door)
    for number in range(total):
        await writer.client.publish("flood", b"%08d" % number + b"x" * 5000)
    await asyncio.wait_for(done.wait(), 60)
    assert received == list(range(total))


async def test_limited_users_are_told_and_go_on(
    nats_server: ServerProcess, stations: StationsClient, start_door: StartDoor, enter: Enter
) -> None:
    door = await start_door(nats_server.url)
    for name in ("mine", "private"):
        await stations.create_station(name)
    permissions = Permissions(allow_read=("mine",), allow_write=("mine",))
    await stations.add_user("app", PASSWORD, permissions=permissions)
    guest = await enter(door, "app", PASSWORD)
    stream = guest.client.jetstream(timeout=30)
    for number in range(1, 21):
        await guest.client.publish("private$1.final", b"no")
        assert (await stream.publish("mine$1.final", b"x")).seq == number
    await guest.client.subscribe("private$1.>")
    await guest.client.subscribe(">")
    await guest.client.publish("$memphis_station_destructions", b'{"station_name":"mine","username":"root"}')
    await guest.client.flush(30)
    await until(lambda: len(guest.errors) >= 23, "the errors")
    assert all("cant access the requested station" in str(error) for error in guest.errors)
    assert await stations.station("mine") is not None
    await stations.edit_user("app", permissions=Permissions(allow_write=("private",)))
    await asyncio.wait_for(guest.disconnected.wait(), 30)
    guest = await enter(door, "app", PASSWORD)
    assert (await guest.client.jetstream(timeout=30).publish("private$1.final", b"x")).seq == 1
    await stations.remove_user("app")
    await asyncio.wait_for(guest.disconnected.wait(), 30)


async def test_who_is_there_is_told_by_every_door(
    nats_server: ServerProcess, stations: StationsClient, start_door: StartDoor, enter: Enter
) -> None:
    one, other = await start_door(nats_server.url), await start_door(nats_server.url)
    identifier = str(uuid.uuid4())
    guests = [await enter(door, name=f"{identifier}::root") for door in (one, one, other)]

    async def active(expected: bool) -> bool:
        found = (await stations.connections()).get(identifier)
        return found is not None and found.active is expected

    await until(lambda: active(True), "the connection")
    for guest in guests:
        await guest.client.close()
    await until(lambda: active(False), "its end")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # nats-py leaves a writer open
async def test_it_comes_back_to_another_server(
    nats_server: ServerProcess,
    stations: StationsClient,
    start_nats_server: Starter,
    start_door: StartDoor,
    enter: Enter,
) -> None:
    """The server of a session dies: the client is let go at once and gets a session on another."""
    spare = start_nats_server()
    door = await start_door(nats_server.url)
    guest = await enter(door, allow_reconnect=True, max_reconnect_attempts=-1)
    messages = await guest.client.subscribe("news")
    await guest.client.flush()
    door.door.cluster = Cluster([nats_server.url, spare.url], {})
    nats_server.kill()
    await asyncio.wait_for(guest.reconnected.wait(), 30)
    helper = await nats.connect(spare.url)
    await guest.client.flush(30)
    await helper.publish("news", b"x")
    assert (await messages.next_msg(timeout=30)).data == b"x"
    await helper.close()
    spare.kill()
    await until(lambda: any("not available" in str(error) for error in guest.errors), "the clear answer")
    nats_server.start()  # its users were known all the time
    guest.reconnected.clear()
    await until(lambda: guest.client.is_connected, "the way back")


async def test_before_the_cluster_is_there_clients_are_told(
    start_nats_server: Starter, start_door: StartDoor, enter: Enter
) -> None:
    server = start_nats_server()
    server.stop()
    door = await start_door(server.url, wait=False)
    with pytest.raises(nats.errors.Error, match="The cluster is not available"):
        await enter(door)
    server.start()
    client = await nats.connect(server.url)
    service = StationsService(client)
    await service.start()
    await asyncio.wait_for(door.wait(), 60)
    await enter(door)
    await service.stop()
    await client.close()


async def test_traffic_goes_on_without_the_control_service(
    nats_server: ServerProcess, start_door: StartDoor, enter: Enter, connect: Connect
) -> None:
    service = StationsService(await connect(nats_server))
    await service.start()
    await StationsClient(service.context.client).create_station("s")
    door = await start_door(nats_server.url)
    guest = await enter(door)
    await service.stop()
    await service.context.client.close()
    assert (await guest.client.jetstream(timeout=30).publish("s$1.final", b"x")).seq == 1
    newcomer = await enter(door)
    assert (await newcomer.client.jetstream(timeout=30).publish("s$1.final", b"x")).seq == 2


async def test_pull_requests_wait_while_a_group_has_no_leader(
    nats_server: ServerProcess, stations: StationsClient, start_door: StartDoor, enter: Enter
) -> None:
    """A consumer that is not there answers like one without a leader: nobody does, and SDKs need silence."""
    await stations.create_station("s")
    door = await start_door(nats_server.url)
    guest = await enter(door)

    async def silent(station: str) -> bool:
        inbox = guest.client.new_inbox()
        answers = await guest.client.subscribe(inbox)
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{station}$1.group"
        await guest.client.publish(subject, b'{"batch":1,"expires":1000000000}', reply=inbox)
        try:
            answer = await answers.next_msg(timeout=0.3)
        except nats.errors.TimeoutError:
            return True
        finally:
            await answers.unsubscribe()
        assert answer.headers["Status"] == "503"
        return False

    async def answered(station: str) -> bool:
        return not await silent(station)

    await until(lambda: silent("s"), "silence")
    assert not await silent("t")
    await stations.create_station("t")
    await until(lambda: silent("t"), "silence for a new station")
    await stations.destroy_station("s")
    await until(lambda: answered("s"), "no more care for a station that is gone")


# -- the cluster's side -----------------------------------------------------------------------------------
async def test_it_shows_credentials_of_its_own(
    start_nats_server: Starter, connect: Connect, start_door: StartDoor, enter: Enter, tmp_path: Path
) -> None:
    server = start_nats_server(
        config="authorization { users = [{ user: door, password: secret }, { nkey: "
        "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4 }] }\n"
    )
    service = StationsService(await connect(server, user="door", password="secret"))
    await service.start()
    seed = tmp_path / "door.nk"
    seed.write_text("SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY\n")
    for login in ({"user": "door", "password": "secret"}, {"nkeys_seed": str(seed)}):
        door = await start_door(server.url, login=login)
        guest = await enter(door)
        await guest.client.flush(30)
    with_secret = f"nats://door:secret@127.0.0.1:{server.port}"
    await (await enter(await start_door(with_secret))).client.flush(30)
    door = await start_door(with_secret)
    door.door.cluster = Cluster([server.url], {"user": "door", "password": "wrong"})
    with pytest.raises(nats.errors.Error, match="The cluster is not available"):
        await enter(door)
    await service.stop()


def test_addresses_and_files_are_checked(tmp_path: Path) -> None:
    for url in ("http://x", "nats://", "nats://host:99999"):
        with pytest.raises(StationsError, match="is not the address of a NATS server"):
            Cluster([url], {})
    with pytest.raises(StationsError, match="cannot be read"):
        Credentials.from_options({"user_credentials": str(tmp_path / "none")})
    (tmp_path / "empty").write_text("nothing")
    with pytest.raises(StationsError, match="is no credentials file"):
        Credentials.from_options({"user_credentials": str(tmp_path / "empty")})


async def test_a_taken_port_is_told(start_door: StartDoor) -> None:
    door = await start_door("nats://127.0.0.1:1", wait=False)
    other = FrontDoorService(["nats://127.0.0.1:1"], {}, DoorOptions(port=door.door.port))
    with pytest.raises(StationsError, match=f"port {door.door.port} on 127.0.0.1 is taken"):
        await other.start()
    await other.stop()


# -- bad input --------------------------------------------------------------------------------------------
async def talk(door: FrontDoorService, data: bytes) -> bytes:
    """Send bytes, and return all that comes until the door closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", door.door.port)
    try:
        assert (await reader.readline()).startswith(b"INFO ")
        with contextlib.suppress(ConnectionError):
            writer.write(data)
            await writer.drain()
        try:
            return await asyncio.wait_for(reader.read(), 30)
        except ConnectionError:
            return b""
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def hello(**more: Any) -> bytes:
    options = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True}
    login = {"user": "root$1", "pass": "memphis", "name": "7b::root"}
    return b"CONNECT " + json.dumps({**options, **login, **more}).encode() + b"\r\n"


REFUSED = b"-ERR 'Authorization Violation'\r\n"
BAD = [
    (b"PING\r\n", REFUSED),
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", REFUSED),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", REFUSED),
    (b"CONNECT {\r\n", REFUSED),
    (b"CONNECT []\r\n", REFUSED),
    (b'CONNECT {"user":1}\r\n', REFUSED),
    (b"x" * 20_000, REFUSED),
    (hello(**{"pass": "wrong"}), REFUSED),
    (hello(account="x"), REFUSED),
    (hello(no_responders=True, headers=False), b"-ERR 'no responders requires headers support'\r\n"),
    (hello() + b"NONSENSE\r\n", b"-ERR 'Unknown Protocol Operation'\r\n"),
    (hello() + b"PUB a 1 2 3\r\n", b"-ERR 'Unknown Protocol Operation'\r\n"),
    (hello() + b"x" * 10_000, b"-ERR 'maximum control line exceeded'\r\n"),
    (hello() + b"PUB a 2000000\r\n" + b"x" * 2_000_000, b"-ERR 'Maximum Payload Violation'\r\n"),
]


async def test_bad_input_gets_one_clear_error(
    nats_server: ServerProcess, stations: StationsClient, start_door: StartDoor, enter: Enter
) -> None:
    door = await start_door(nats_server.url)
    for data, answer in BAD:
        assert await talk(door, data) in (answer, b"" if len(data) > 1_000_000 else answer), data[:60]
    await until(lambda: door.door.connections == 0, "the end of all of them")
    await enter(door)


async def test_slow_and_silent_clients_are_let_go(nats_server: ServerProcess, start_door: StartDoor) -> None:
    door = await start_door(nats_server.url, wait=False)
    door.door.login_timeout = 0.3
    assert await talk(door, b"") == b"-ERR 'Authentication Timeout'\r\n"
    assert await talk(door, b"CONN") == b"-ERR 'Authentication Timeout'\r\n"


async def test_guests_are_counted(
    nats_server: ServerProcess, stations: StationsClient, start_door: StartDoor, enter: Enter
) -> None:
    door = await start_door(nats_server.url)
    door.door._max_connections = 2
    guests = [await enter(door) for _ in range(2)]
    with pytest.raises(nats.errors.Error, match="maximum connections exceeded"):
        await enter(door)
    await guests[0].client.close()
    await until(lambda: door.door.connections == 1, "room")
    await enter(door)


async def test_wrong_logins_are_limited(
    nats_server: ServerProcess, stations: StationsClient, start_door: StartDoor, enter: Enter
) -> None:
    door = await start_door(nats_server.url)
    for _ in range(10):
        assert await talk(door, hello(**{"pass": "wrong"})) == REFUSED
    assert await talk(door, hello()) == REFUSED  # right, but nobody may guess on
    await enter(door, token="memphis")


async def test_tls_before_the_login(
    nats_server: ServerProcess,
    stations: StationsClient,
    start_door: StartDoor,
    enter: Enter,
    certificates: Certificates,  # noqa: F811
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.folder / "server.pem", certificates.folder / "server-key.pem")
    door = await start_door(nats_server.url, tls=context)
    trust = certificates.context(client=False)
    guest = await enter(door, tls=trust, tls_hostname="localhost", token="memphis")
    await guest.client.flush(30)
    assert await talk(door, hello()) == b""  # not in the clear
