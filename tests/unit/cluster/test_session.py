"""Sessions against real brokers, ours and nats-server alike: connect, read, change, lose and find again."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from memphis_desktop.cluster import actions, catching_up, consumer_reading
from memphis_desktop.cluster.failures import (
    ApiError,
    ConnectionFailure,
    NotConnected,
    NotPermitted,
    ReadOnlyConnection,
    Stage,
)
from memphis_desktop.cluster.health import findings
from memphis_desktop.cluster.history import ConsumerKey, ServerKey, StreamKey
from memphis_desktop.cluster.model import ConnectionState
from memphis_desktop.cluster.profiles import ConnectionProfile, CredentialKind, Credentials, TlsOptions
from memphis_desktop.cluster.session import Session
from memphis_desktop.server_process import ServerProcess
from tests.conftest import Connect, Starter
from tests.waiting import seen

OpenSession = Callable[..., Awaitable[Session]]


@pytest_asyncio.fixture
async def open_session() -> AsyncIterator[OpenSession]:
    sessions: list[Session] = []

    async def make(server: ServerProcess | str, **options: Any) -> Session:
        url = server if isinstance(server, str) else server.url
        session = Session(ConnectionProfile(name="test", urls=(url,), **options))
        sessions.append(session)
        await session.connect()
        return session

    yield make
    for session in sessions:
        await session.close()


async def test_many_are_read_at_a_pace(
    nats_server: ServerProcess, connect: Connect, open_session: OpenSession
) -> None:
    client = await connect(nats_server)
    jetstream = client.jetstream(timeout=30)

    async def make(number: int) -> None:
        await jetstream.add_stream(name=f"S{number}", subjects=[f"s{number}.>"], storage="memory")
        await jetstream.add_consumer(f"S{number}", durable_name="c", ack_policy="explicit")

    await asyncio.gather(*map(make, range(140)))
    session = await open_session(nats_server, poll_budget=50)
    budget = session._poller.budget
    session.set_visible_streams("a long list", [f"S{number}" for number in range(70)])
    await seen(session, lambda s: s.complete, 30)
    burst = len((await seen(session, lambda s: s.consumers, 30)).consumers)
    assert 1 <= burst <= 61  # an empty list helps nobody
    began, spent = time.monotonic(), budget.spent_total
    restless = asyncio.create_task(keep_refreshing(session))
    await seen(session, lambda s: len(s.consumers) == 140, 60)
    restless.cancel()
    asked, seconds = budget.spent_total - spent, time.monotonic() - began
    assert asked <= 62 * (seconds + 1)  # rounds that begin early stay within the budget, too


async def test_of_very_many_those_in_view_are_read_first_and_the_progress_is_told(
    nats_server: ServerProcess, connect: Connect, open_session: OpenSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer_reading, "FIRST_BURST", 5)
    monkeypatch.setattr(catching_up, "MANY", 20)
    client = await connect(nats_server)
    jetstream = client.jetstream(timeout=30)
    names = [f"S{number:03}" for number in range(90)]
    for name in names:
        await jetstream.add_stream(name=name, subjects=[f"{name}.>"], storage="memory")
        await jetstream.add_consumer(name, durable_name="c", ack_policy="explicit")
    session = await open_session(nats_server, poll_budget=20)
    snapshot = await seen(session, lambda s: s.first_reading is not None, 30)
    assert snapshot.first_reading is not None
    assert snapshot.first_reading.streams_left >= 60
    budget, spent, began = session._poller.budget, session._poller.budget.spent_total, time.monotonic()
    in_view = names[-6:]
    session.set_visible_streams("the end of a list", in_view)
    snapshot = await seen(session, lambda s: all((name, "c") in s.consumers for name in in_view), 30)
    assert len(snapshot.consumers) < 70  # the others had to wait
    told = await seen(session, lambda s: s.first_reading and s.first_reading.seconds_left is not None, 30)
    assert told.first_reading is not None
    assert 0 < (told.first_reading.seconds_left or 0) < 60
    await seen(session, lambda s: len(s.consumers) == 90 and s.first_reading is None, 60)
    asked, seconds = budget.spent_total - spent, time.monotonic() - began
    assert asked <= 22 * (seconds + 1)


async def test_where_lists_of_groups_are_refused_the_first_reading_ends(
    nats_server: ServerProcess, connect: Connect, open_session: OpenSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer_reading, "FIRST_BURST", 1)
    monkeypatch.setattr(catching_up, "MANY", 2)
    jetstream = (await connect(nats_server)).jetstream(timeout=30)
    for number in range(12):
        await jetstream.add_stream(name=f"S{number}", subjects=[f"s{number}.>"], storage="memory")
        await jetstream.add_consumer(f"S{number}", durable_name="c", ack_policy="explicit")
    session = await open_session(nats_server)
    ask = session.api

    async def refusing(suffix: str, *arguments: Any) -> dict[str, Any]:
        if suffix.startswith("CONSUMER.LIST"):
            raise NotPermitted(suffix)
        return await ask(suffix, *arguments)

    session.api = refusing  # type: ignore[method-assign]
    first = session._poller._consumers.catch_up
    snapshot = await seen(session, lambda s: "consumers" in s.errors and not first.under_way, 30)
    assert snapshot.first_reading is None
    session.api = ask  # type: ignore[method-assign]
    await seen(session, lambda s: len(s.consumers) == 12, 30)  # by the rounds


async def keep_refreshing(session: Session) -> None:
    """Ask for news all the time, as advisories of a busy account do."""
    while True:
        session.refresh("S1")
        await asyncio.sleep(0.01)


async def test_streams_and_consumers_are_read(
    any_server: ServerProcess, connect: Connect, open_session: OpenSession
) -> None:
    jetstream = (await connect(any_server)).jetstream()
    await jetstream.add_stream(name="ORDERS", subjects=["orders.>"])
    await jetstream.add_consumer("ORDERS", durable_name="billing", ack_policy="explicit")
    for number in range(10):
        await jetstream.publish(f"orders.{number}", b"x" * 100)
    session = await open_session(any_server)
    snapshot = await seen(session, lambda s: ("ORDERS", "billing") in s.consumers)
    stream = snapshot.streams["ORDERS"]
    assert (stream.messages, stream.last_sequence, stream.consumer_count) == (10, 10, 1)
    assert stream.subject_count == 10
    assert stream.first_time_ns is not None
    assert abs(time.time_ns() - stream.first_time_ns) < 60e9
    consumer = snapshot.consumers["ORDERS", "billing"]
    assert (consumer.num_pending, consumer.num_ack_pending) == (10, 0)
    assert consumer.is_durable
    assert consumer.is_pull
    assert snapshot.account is not None
    assert snapshot.account.streams == 1
    assert snapshot.server is not None
    assert snapshot.server.version
    assert snapshot.complete
    assert not snapshot.errors


async def test_rates_lag_and_history_follow_traffic(
    any_server: ServerProcess, connect: Connect, open_session: OpenSession
) -> None:
    client = await connect(any_server)
    jetstream = client.jetstream()
    await jetstream.add_stream(name="A", subjects=["a.>"])
    await jetstream.add_consumer("A", durable_name="c", ack_policy="explicit")
    await jetstream.add_consumer("A", durable_name="odd", ack_policy="explicit", filter_subject="a.1")
    session = await open_session(any_server)
    release = session.watch_detail("A")
    enough = asyncio.Event()

    async def publish() -> None:
        number = 0
        while not enough.is_set():  # a flush that is cut off would break the client's reading
            for _ in range(10):
                number += 1
                await client.publish(f"a.{number % 2}", b"x" * 50)
            await client.flush()
            await asyncio.sleep(0.05)

    traffic = asyncio.create_task(publish())
    try:
        snapshot = await seen(
            session,
            lambda s: (
                (s.consumers["A", "odd"].lag_seconds or 0) > 2 if ("A", "odd") in s.consumers else False
            ),
        )
        rate = snapshot.streams["A"].in_messages_rate
        assert rate is not None
        assert 20 < rate < 1000
        assert snapshot.streams["A"].in_bytes_rate is not None
        consumer, filtered = snapshot.consumers["A", "c"], snapshot.consumers["A", "odd"]
        assert consumer.lag_seconds is not None
        assert abs(consumer.lag_seconds - (filtered.lag_seconds or 0)) < 0.5
        assert filtered.num_pending == pytest.approx(consumer.num_pending / 2, rel=0.3)
        assert consumer.delivered_rate == 0
        snapshot = await seen(session, lambda s: s.consumers["A", "c"].drain_seconds == math.inf)
    finally:
        enough.set()
        await traffic
    # Drain it: the lag falls to nothing and the graph's history shows it.
    subscription = await jetstream.pull_subscribe_bind("c", "A")
    while True:
        for message in await subscription.fetch(1000, timeout=5):
            await message.ack()
        if (await jetstream.consumer_info("A", "c")).num_pending == 0:
            break
    snapshot = await seen(session, lambda s: s.consumers["A", "c"].num_pending == 0)
    assert snapshot.consumers["A", "c"].lag_seconds == 0
    assert snapshot.consumers["A", "c"].drain_seconds == 0
    _, lags = session.history.series(ConsumerKey("A", "c"), "lag")
    assert lags.max() > 0
    assert lags[-1] == 0
    assert len(session.history.series(StreamKey("A"), "messages_in")[0]) > 1
    assert len(session.history.series(ServerKey(), "published")[0]) > 1
    release()


async def test_lag_in_seconds_of_what_was_there_before(
    any_server: ServerProcess, connect: Connect, open_session: OpenSession
) -> None:
    jetstream = (await connect(any_server)).jetstream()
    await jetstream.add_stream(name="A", subjects=["a.>"])
    await jetstream.add_consumer("A", durable_name="c", ack_policy="explicit")
    await jetstream.publish("a.1", b"old")
    await asyncio.sleep(1.5)
    for _ in range(5):
        await jetstream.publish("a.2", b"new")
    subscription = await jetstream.pull_subscribe_bind("c", "A")
    session = await open_session(any_server)
    snapshot = await seen(session, lambda s: ("A", "c") in s.consumers and s.consumers["A", "c"].lag_seconds)
    stored = parse(await jetstream.get_msg("A", seq=1))
    expected = time.time() - stored
    lag = snapshot.consumers["A", "c"].lag_seconds
    assert lag is not None
    assert lag == pytest.approx(expected, abs=2)
    for message in await subscription.fetch(1):
        await message.ack()
    snapshot = await seen(session, lambda s: s.consumers["A", "c"].num_pending == 5)
    fresh = snapshot.consumers["A", "c"].lag_seconds
    if fresh is not None:
        assert fresh < expected + 2


def parse(message: Any) -> float:
    from memphis_desktop.cluster.times import parse_time

    value = message.time
    text = value if isinstance(value, str) else value.isoformat()
    nanoseconds = parse_time(text)
    assert nanoseconds is not None
    return nanoseconds / 1e9


async def test_actions_change_and_are_recorded(any_server: ServerProcess, open_session: OpenSession) -> None:
    session = await open_session(any_server)
    records: list[actions.ActionRecord] = []
    session.subscribe_actions(records.append)
    await actions.create_stream({"name": "A", "subjects": ["a.>"], "storage": "memory"}).run(session)
    snapshot = await seen(session, lambda s: "A" in s.streams)
    before = dict(snapshot.streams["A"].config)
    await actions.update_stream({**before, "max_msgs": 100}, before).run(session)
    await seen(session, lambda s: s.streams["A"].config.get("max_msgs") == 100)
    made = actions.create_consumer("A", {"durable_name": "c", "name": "c", "ack_policy": "explicit"})
    await made.run(session)
    await seen(session, lambda s: ("A", "c") in s.consumers)
    await actions.pause_consumer("A", "c", "2099-01-01T00:00:00Z").run(session)
    await seen(session, lambda s: s.consumers["A", "c"].paused)
    await actions.resume_consumer("A", "c").run(session)
    await seen(session, lambda s: not s.consumers["A", "c"].paused)
    for number in range(5):
        await session.jetstream.publish(f"a.{number}", b"x")
    answer = await actions.purge_stream("A", keep=2).run(session)
    assert answer["purged"] == 3
    await actions.delete_consumer("A", "c").run(session)
    await seen(session, lambda s: ("A", "c") not in s.consumers)
    await actions.delete_stream("A").run(session)
    await seen(session, lambda s: "A" not in s.streams)
    with pytest.raises(ApiError) as caught:
        await actions.delete_stream("A").run(session)
    assert caught.value.err_code == 10059
    assert [bool(record.problem) for record in records] == [False] * 8 + [True]
    assert records[1].action.before == before


async def test_a_read_only_connection_refuses_every_change(
    any_server: ServerProcess, connect: Connect, open_session: OpenSession
) -> None:
    jetstream = (await connect(any_server)).jetstream()
    await jetstream.add_stream(name="A", subjects=["a.>"])
    await jetstream.publish("a.1", b"x")
    session = await open_session(any_server, read_only=True)
    snapshot = await seen(session, lambda s: "A" in s.streams)
    assert snapshot.streams["A"].messages == 1
    await session.api("STREAM.MSG.GET.A", {"seq": 1})
    for change in (
        actions.purge_stream("A").run(session),
        session.publish("a.2", b"x"),
        session.nats.publish("a.2", b"x"),
        session.api("STREAM.DELETE.A"),
        session.jetstream.publish("a.2", b"x"),
        session.jetstream.delete_stream("A"),
        session.nats.publish("$SYS.REQ.SERVER.ABC.KICK", b"{}"),
    ):
        with pytest.raises(ReadOnlyConnection):
            await change
    assert (await jetstream.stream_info("A")).state.messages == 1


async def test_a_lost_connection_keeps_what_is_known_and_comes_back(
    any_server: ServerProcess, connect: Connect, open_session: OpenSession
) -> None:
    client = await connect(any_server)
    await client.jetstream().add_stream(name="A", subjects=["a.>"])
    await client.close()
    session = await open_session(any_server)
    await seen(session, lambda s: "A" in s.streams)
    await asyncio.to_thread(any_server.kill)
    lost = await seen(session, lambda s: s.state is ConnectionState.RECONNECTING)
    assert "A" in lost.streams
    assert lost.detail
    with pytest.raises(NotConnected):
        await session.api("INFO")
    await asyncio.to_thread(any_server.start)
    back = await seen(session, lambda s: s.state is ConnectionState.CONNECTED and s is not lost)
    assert "A" in back.streams
    read_at = time.time_ns()
    await seen(session, lambda s: s.streams["A"].read_at_ns > read_at)


async def test_close_leaves_nothing_behind(any_server: ServerProcess, open_session: OpenSession) -> None:
    before = asyncio.all_tasks()
    session = await open_session(any_server)
    await seen(session, lambda s: s.complete)
    await session.close()
    assert session.state is ConnectionState.CLOSED
    await asyncio.sleep(0)
    left = {task for task in asyncio.all_tasks() - before if not task.done()}
    assert not left
    with pytest.raises(NotConnected):
        _ = session.nats


@pytest.mark.filterwarnings("ignore:parameter 'timeout':DeprecationWarning")  # nats-py calls aiohttp so
@pytest.mark.parametrize(
    ("url", "stage"),
    [
        ("nats://127.0.0.1:1", Stage.CONNECT),
        ("nats://no-such-host.invalid:4222", Stage.RESOLVE),
        ("ws://127.0.0.1:1", Stage.CONNECT),
    ],
)
async def test_an_address_that_does_not_answer_is_explained(url: str, stage: Stage) -> None:
    session = Session(ConnectionProfile(name="test", urls=(url,)))
    with pytest.raises(ConnectionFailure) as caught:
        await session.connect()
    assert caught.value.stage is stage
    assert caught.value.advice
    assert session.state is ConnectionState.FAILED
    await session.close()


async def test_the_second_url_serves_when_the_first_does_not(nats_server: ServerProcess) -> None:
    session = Session(ConnectionProfile(name="test", urls=("nats://127.0.0.1:1", nats_server.url)))
    await session.connect()
    assert session.server_url == nats_server.url
    await session.close()


async def test_what_is_no_nats_server_is_told(tmp_path: Path) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    session = Session(ConnectionProfile(name="test", urls=(f"nats://127.0.0.1:{port}",)))
    with pytest.raises(ConnectionFailure) as caught:
        await session.connect()
    assert caught.value.stage is Stage.GREETING
    server.close()
    await session.close()


async def test_every_login(start_nats_server: Starter, tmp_path: Path) -> None:
    import nkeys

    seed = nkeys.encode_seed(b"0123456789abcdef0123456789abcdef", nkeys.PREFIX_BYTE_USER)
    public = nkeys.from_seed(bytearray(seed)).public_key.decode()
    config = f"""
        authorization {{ users: [
            {{ user: ada, password: geheim }},
            {{ nkey: {public} }},
        ] }}
    """
    server = start_nats_server(config=config)
    seed_file = tmp_path / "user.nk"
    seed_file.write_text(bytes(seed).decode() + "\n")
    good = [
        Credentials(CredentialKind.PASSWORD, user="ada", password="geheim"),
        Credentials(CredentialKind.NKEY, nkey_path=str(seed_file)),
        Credentials(CredentialKind.NKEY, nkey_seed=bytes(seed).decode()),
    ]
    for credentials in good:
        session = Session(ConnectionProfile(name="test", urls=(server.url,), credentials=credentials))
        await session.connect()
        await session.close()
    for credentials in (Credentials(), Credentials(CredentialKind.PASSWORD, user="ada", password="falsch")):
        session = Session(ConnectionProfile(name="test", urls=(server.url,), credentials=credentials))
        with pytest.raises(ConnectionFailure) as caught:
            await session.connect()
        assert caught.value.stage is Stage.LOGIN
        await session.close()
    missing = Credentials(CredentialKind.CREDS, creds_path=str(tmp_path / "none.creds"))
    session = Session(ConnectionProfile(name="test", urls=(server.url,), credentials=missing))
    with pytest.raises(ConnectionFailure) as caught:
        await session.connect()
    assert caught.value.stage is Stage.PROFILE
    assert "none.creds" in caught.value.text


async def test_a_token(start_nats_server: Starter) -> None:
    server = start_nats_server(arguments=["--auth", "geheim"])
    credentials = Credentials(CredentialKind.TOKEN, token="geheim")
    session = Session(ConnectionProfile(name="test", urls=(server.url,), credentials=credentials))
    await session.connect()
    await session.close()


async def test_system_credentials_bring_the_servers_own_figures(start_nats_server: Starter) -> None:
    config = """
        accounts {
            APP { jetstream: enabled, users: [{ user: app, password: app }] }
            $SYS { users: [{ user: sys, password: sys }] }
        }
    """
    server = start_nats_server(config=config)
    session = Session(
        ConnectionProfile(
            name="test",
            urls=(server.url,),
            credentials=Credentials(CredentialKind.PASSWORD, user="app", password="app"),
            system_credentials=Credentials(CredentialKind.PASSWORD, user="sys", password="sys"),
        )
    )
    await session.connect()
    snapshot = await seen(session, lambda s: s.server is not None and s.server.memory)
    assert snapshot.server is not None
    assert (snapshot.server.connections or 0) >= 2
    await session.close()


async def test_a_certificate_that_is_not_trusted_is_explained(
    start_nats_server: Starter, tmp_path: Path
) -> None:
    from tests.unit.cluster.certificates import make_certificate

    certificate, key = make_certificate(tmp_path)
    server = start_nats_server(config=f'tls {{ cert_file: "{certificate}", key_file: "{key}" }}')
    session = Session(ConnectionProfile(name="test", urls=(server.url,)))
    with pytest.raises(ConnectionFailure) as caught:
        await session.connect()
    assert caught.value.stage is Stage.TLS
    assert "authority" in caught.value.advice
    await session.close()
    for tls in (TlsOptions(ca_path=str(certificate)), TlsOptions(skip_verify=True)):
        session = Session(ConnectionProfile(name="test", urls=(server.url,), tls=tls))
        await session.connect()
        [expiry] = session.snapshot.expiries
        assert expiry.what == "The server's certificate"
        found = findings(session.snapshot, session.history)
        [text] = [one.text for one in found if one.check.startswith("expiry")]
        assert text in ("The server's certificate ends in 48 h", "The server's certificate ends in 2 days")
        await session.close()


async def test_jetstream_switched_off_is_said(start_nats_server: Starter, open_session: OpenSession) -> None:
    server = start_nats_server(jetstream=False)
    session = await open_session(server)
    snapshot = await seen(session, lambda s: "jetstream" in s.errors)
    assert "not enabled" in snapshot.errors["jetstream"]
    assert snapshot.account is None


async def test_history_goes_on_after_a_restart(
    nats_server: ServerProcess, connect: Connect, tmp_path: Path
) -> None:
    jetstream = (await connect(nats_server)).jetstream()
    await jetstream.add_stream(name="A", subjects=["a.>"])
    await jetstream.add_consumer("A", durable_name="c", ack_policy="explicit")
    for _ in range(7):
        await jetstream.publish("a.1", b"x")
    profile = ConnectionProfile(name="test", urls=(nats_server.url,))
    for _ in range(2):
        session = Session(profile, tmp_path)
        await session.connect()
        await seen(session, lambda s: ("A", "c") in s.consumers)
        await session.close()
    again = Session(profile, tmp_path)
    await again.connect()
    try:
        key = ConsumerKey("A", "c")
        await seen(again, lambda _: len(again.history.series(key, "lag", 3600)[0]) > 1)
        times, values = again.history.series(ConsumerKey("A", "c"), "lag", 3600)
        assert set(values[~np.isnan(values)].tolist()) == {7}
        assert times[0] < time.time()
    finally:
        await again.close()


async def test_connecting_ends_at_once_when_it_is_stopped() -> None:
    """Also when the attempt at hand swallows the cancellation, as nats-py's can."""
    session = Session(ConnectionProfile(name="test", urls=("nats://127.0.0.1:1",) * 50))
    for wait in (0.0, 0.02, 0.2):
        connecting = asyncio.create_task(session.connect())
        await asyncio.wait({connecting}, timeout=wait)
        connecting.cancel()
        await asyncio.wait_for(asyncio.gather(connecting, return_exceptions=True), 60)
        assert session.state in (ConnectionState.CLOSED, ConnectionState.FAILED)
    await session.close()
