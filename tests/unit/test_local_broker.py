"""The broker that the program runs for its user: ports, folders, sample traffic, mistakes."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from nats.errors import Error as NatsError

from memphis_desktop import folders
from memphis_desktop.demo import stations
from memphis_desktop.local_broker import LocalBroker, folder_size, free_port
from memphis_desktop.stations.client import StationsClient
from memphis_desktop.ui.broker_control import BrokerChoice, BrokerStartError, BrokerState, Doors, Served
from tests.conftest import Connect

NOBODY = Doors(memphis_port=0)
TEMPORARY = BrokerChoice(port=0, persistent=False, sample_traffic=False, doors=NOBODY)
KEPT = BrokerChoice(port=0, persistent=True, sample_traffic=False, doors=NOBODY)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The program's folders, in the test's own folder."""
    monkeypatch.setenv(folders.HOME_VARIABLE, str(tmp_path / "home"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path / "home"


@pytest_asyncio.fixture
async def local() -> AsyncIterator[LocalBroker]:
    broker = LocalBroker()
    yield broker
    await broker.stop()


async def test_it_tells_where_it_stands(local: LocalBroker, connect: Connect) -> None:
    states: list[BrokerState] = []
    unsubscribe = local.subscribe(lambda: states.append(local.state))
    assert local.url == ""
    await local.start(TEMPORARY)
    assert local.state is BrokerState.RUNNING
    client = await connect(local.url)
    await client.close()
    await local.stop()
    assert local.url == ""
    assert states == [
        BrokerState.STARTING,
        BrokerState.RUNNING,
        BrokerState.STOPPING,
        BrokerState.STOPPED,
    ]
    unsubscribe()


async def test_the_program_alone_has_a_login_for_the_system_account(
    local: LocalBroker, connect: Connect
) -> None:
    assert local.system_login is None
    await local.start(TEMPORARY)
    login = local.system_login
    assert login is not None
    system = await connect(local.url, user=login[0], password=login[1])
    assert json.loads((await system.request("$SYS.REQ.USER.INFO")).data)["data"]["account"] == "$SYS"
    assert b'"connections"' in (await system.request("$SYS.REQ.SERVER.PING.CONNZ")).data
    with pytest.raises(NatsError):
        await connect(local.url, user=login[0], password="guessed")
    for options in ({}, {"user": "anybody", "password": "anything"}):
        other = await connect(local.url, **options)  # nobody else is asked for anything
        assert not other._server_info.get("auth_required")
        told = json.loads((await other.request("$SYS.REQ.USER.INFO")).data)
        assert told["data"]["account"] == "$G"
    await local.stop()
    await local.start(TEMPORARY)
    assert local.system_login == login  # sessions of this program come in again


async def test_kept_data_is_there_again(local: LocalBroker, connect: Connect, home: Path) -> None:
    await local.start(KEPT)
    client = await connect(local.url)
    await client.jetstream().add_stream(name="KEPT", subjects=["kept"])
    await client.jetstream().publish("kept", b"x" * 1000)
    await client.close()
    await local.stop()
    assert local.data_folder == home / "data" / "broker"
    size = local.data_size()
    assert size is not None
    assert size > 1000
    await local.start(KEPT)
    client = await connect(local.url)
    assert (await client.jetstream().stream_info("KEPT")).state.messages == 1
    await client.close()


async def test_temporary_data_is_forgotten(local: LocalBroker, connect: Connect, tmp_path: Path) -> None:
    await local.start(TEMPORARY)
    client = await connect(local.url)
    await client.jetstream().add_stream(name="GONE", subjects=["gone"])
    await client.close()
    assert local.data_folder is None
    assert local.data_size() is None
    assert list(tmp_path.glob("memphis-desktop-*"))  # noqa: ASYNC240
    await local.stop()
    assert not list(tmp_path.glob("memphis-desktop-*"))  # noqa: ASYNC240


async def test_a_taken_port_is_told_with_a_free_one(local: LocalBroker) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BrokerStartError, match=str(port)) as refusal:
            await local.start(BrokerChoice(port=port, persistent=False, sample_traffic=False))
    assert refusal.value.next_port
    assert refusal.value.next_port > port
    assert not refusal.value.folder_in_use
    if sys.platform == "linux":
        assert f"(process {os.getpid()})" in str(refusal.value)
    assert local.state is BrokerState.FAILED
    assert str(port) in local.detail
    await local.start(TEMPORARY)  # it can be tried again
    assert local.state is BrokerState.RUNNING


async def test_a_folder_in_use_is_told_as_such(local: LocalBroker) -> None:
    await local.start(KEPT)
    second = LocalBroker()
    with pytest.raises(BrokerStartError) as refusal:
        await second.start(KEPT)
    assert refusal.value.folder_in_use
    assert refusal.value.next_port is None
    assert local.state is BrokerState.RUNNING


async def test_a_folder_that_cannot_be_used_is_set_aside(local: LocalBroker, home: Path) -> None:
    folder = home / "data" / "broker" / "jetstream"
    folder.mkdir(parents=True)
    (folder / "holiday.jpg").write_bytes(b"picture")
    with pytest.raises(BrokerStartError) as refusal:
        await local.start(KEPT)
    assert refusal.value.folder_unusable
    aside = local.set_data_aside()
    assert aside is not None
    assert (aside / "jetstream" / "holiday.jpg").read_bytes() == b"picture"
    assert local.set_data_aside() is None
    await local.start(KEPT)
    assert local.damage == ()


async def test_damage_is_told_and_the_rest_served(local: LocalBroker, connect: Connect, home: Path) -> None:
    await local.start(KEPT)
    client = await connect(local.url)
    await client.jetstream().add_stream(name="KEPT", subjects=["kept"])
    await client.jetstream().publish("kept", b"payload")
    await client.close()
    await local.stop()
    [configuration] = (home / "data" / "broker").rglob("stream.doc")
    configuration.write_bytes(bytes(configuration.stat().st_size))
    await local.start(KEPT)
    assert any("damaged" in line for line in local.damage), local.damage
    client = await connect(local.url)
    assert (await client.jetstream().get_msg("KEPT", 1)).data == b"payload"
    await client.close()


async def test_it_does_not_start_twice(local: LocalBroker) -> None:
    await local.start(TEMPORARY)
    with pytest.raises(BrokerStartError, match="running already"):
        await local.start(TEMPORARY)


async def test_sample_traffic_comes_and_goes(local: LocalBroker, connect: Connect) -> None:
    await local.start(BrokerChoice(port=0, persistent=False, sample_traffic=True, doors=NOBODY))
    assert local.sample_traffic
    client = await connect(local.url)
    async with asyncio.timeout(60):
        while True:
            if len(await client.jetstream().streams_info()) == len(stations.STREAMS):
                break
            await asyncio.sleep(0.05)
    assert await local.remove_sample_data() == len(stations.STREAMS)
    assert not local.sample_traffic
    assert await client.jetstream().streams_info() == []
    assert await local.remove_sample_data() == 0
    await client.close()


async def test_it_serves_memphis_too(local: LocalBroker, connect: Connect) -> None:
    await local.start(BrokerChoice(port=0, persistent=False, sample_traffic=False))
    client = StationsClient(await connect(local.url))
    async with asyncio.timeout(60):
        while not await client.service_running():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await client.create_station("here")
    assert [station.name for station in await client.stations()] == ["here"]
    await local.stop()
    await local.start(BrokerChoice(port=0, persistent=False, sample_traffic=False))
    await local.stop()  # while the service is still coming up


async def test_the_ports_file_tells_where_it_listens(tmp_path: Path) -> None:
    local = LocalBroker(tmp_path)
    await local.start(TEMPORARY)
    (written,) = tmp_path.glob("*.ports")  # noqa: ASYNC240
    assert json.loads(written.read_text())["nats"] == [local.url]
    await local.stop()
    assert not list(tmp_path.glob("*.ports"))  # noqa: ASYNC240


def test_a_free_port_is_found_past_taken_ones() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = free_port(port)
        assert found is not None
        assert found > port


def test_the_size_of_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert folder_size(tmp_path / "missing") == 0


async def test_it_lets_others_in_as_chosen_and_tells_where(local: LocalBroker) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        doors = Doors(memphis_port=0, rest_port=port, streaming_cluster="shop")
        await local.start(BrokerChoice(port=0, persistent=False, sample_traffic=False, doors=doors))
        async with asyncio.timeout(60):
            while not local.served.complete:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    served = local.served
    assert (served.memphis_port, served.streaming_cluster, served.failures) == (0, "shop", ())
    assert served.rest_port > port
    assert served.notes == (f"Port {port} is taken by another program: REST is on {served.rest_port}.",)
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{served.rest_port}/monitoring/status") as answer,
    ):
        assert answer.status == 200
    await local.stop()
    assert local.served == Served()


async def test_what_does_not_work_leaves_the_rest_to_others(
    local: LocalBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port is taken, and there is no other one."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr("memphis_desktop.local_broker._PORTS_TRIED", 0)
        doors = Doors(memphis_port=0, rest_port=port, streaming_cluster="shop")
        await local.start(BrokerChoice(port=0, persistent=False, sample_traffic=False, doors=doors))
        async with asyncio.timeout(60):
            while not local.served.complete:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    assert local.state is BrokerState.RUNNING
    assert local.served.streaming_cluster == "shop"
    (failure,) = local.served.failures
    assert str(port) in failure
    assert "taken" in failure


def test_ways_in_that_cannot_be() -> None:
    local = LocalBroker()
    assert local.problem_with(Doors()) == ""
    assert "cluster id" in local.problem_with(Doors(streaming_cluster="a b"))
    assert "at once" in local.problem_with(Doors(memphis_port=4444, rest_port=4444))


async def test_two_that_start_at_the_same_moment_share_no_port() -> None:
    """Neither looks before it binds, so neither takes what the other saw free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    choice = BrokerChoice(0, persistent=False, sample_traffic=False, doors=Doors(port, port))
    both = [LocalBroker(), LocalBroker()]
    try:
        await asyncio.gather(*(one.start(choice) for one in both))
        async with asyncio.timeout(60):
            while not all(one.served.complete for one in both):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        served = [one.served for one in both]
        assert [one.failures for one in served] == [(), ()]
        ports = [number for one in served for number in (one.memphis_port, one.rest_port)]
        assert len(set(ports)) == 4
        assert port in ports
    finally:
        await asyncio.gather(*(one.stop() for one in both))
