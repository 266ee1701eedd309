"""Everything a consumer has not acknowledged goes to a dead-letter station: on both servers, nothing lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.js.api import ConsumerConfig, StreamConfig

from memphis_desktop.cluster.actions import ActionRecord
from memphis_desktop.cluster.dead_letters.letters import from_station
from memphis_desktop.cluster.dead_letters.moving import (
    MoveOptions,
    MoveProgress,
    MoveRun,
    NotMovable,
    default_subject,
    why_not,
)
from memphis_desktop.cluster.failures import ReadOnlyConnection
from memphis_desktop.cluster.profiles import ConnectionProfile
from memphis_desktop.cluster.session import Session
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.reader import MessageReader
from memphis_desktop.server_process import ServerProcess
from tests.conftest import Connect

OpenSession = Callable[..., Awaitable[Session]]
TO = MoveOptions("orders-dlq", "dead.{subject}")


@pytest_asyncio.fixture
async def open_session(any_server: ServerProcess) -> AsyncIterator[OpenSession]:
    sessions: list[Session] = []

    async def make(**options: Any) -> Session:
        session = Session(ConnectionProfile(name="test", urls=(any_server.url,), **options))
        sessions.append(session)
        await session.connect()
        return session

    yield make
    for session in sessions:
        await session.close()


@pytest_asyncio.fixture
async def client(any_server: ServerProcess, connect: Connect) -> Client:
    opened = await connect(any_server)
    assert isinstance(opened, Client)
    return opened


async def prepare(client: Client, count: int = 20, **consumer: Any) -> None:
    jetstream = client.jetstream()
    await jetstream.add_stream(StreamConfig(name="orders", subjects=["orders.>"], allow_direct=True))
    await jetstream.add_stream(
        # So short a window that message ids alone would not do.
        StreamConfig(name="orders-dlq", subjects=["dead.>"], allow_direct=True, duplicate_window=0.1)
    )
    config = {"durable_name": "billing", "ack_policy": "explicit", "ack_wait": 30}
    await jetstream.add_consumer("orders", ConsumerConfig(**{**config, **consumer}))
    for number in range(1, count + 1):
        headers = {"Trace-Id": f"t{number}"} if number % 2 else None
        await jetstream.publish(f"orders.{number % 3}", b"%d" % number, headers=headers)


async def take(client: Client, count: int) -> list[Any]:
    """Take messages as a client does that dies with them in hand."""
    subscription = await client.jetstream().pull_subscribe_bind("billing", stream="orders")
    found: list[Any] = await subscription.fetch(count, timeout=5)
    await subscription.unsubscribe()
    return found


async def stored(client: Client) -> list[InspectedMessage]:
    class Source:
        nats = client

    reader = await MessageReader.open(Source(), "orders-dlq")
    page = await reader.forward(1, 500) if reader.bounds.last else None
    await reader.close()
    return list(page.messages) if page is not None else []


async def left(client: Client) -> tuple[int, int]:
    info = await client.jetstream().consumer_info("orders", "billing")
    return info.num_pending, info.num_ack_pending


async def moved(session: Session, options: MoveOptions = TO) -> MoveProgress:
    return await asyncio.wait_for(MoveRun(session, "orders", "billing", options).run(), 60)


async def test_everything_goes_with_where_it_came_from(client: Client, open_session: OpenSession) -> None:
    await prepare(client)
    await take(client, 5)
    session = await open_session()
    records: list[ActionRecord] = []
    session.subscribe_actions(records.append)
    preview = await MoveRun(session, "orders", "billing", TO).preview()
    assert (preview.waiting, preview.held, preview.certain) == (15, 5, True)
    progress = await moved(session)
    assert (progress.total, progress.moved, progress.failed, progress.again) == (20, 20, 0, 0)
    copies = await stored(client)
    assert sorted(int(copy.payload) for copy in copies) == list(range(1, 21))
    assert await left(client) == (0, 0)
    letter = from_station(copies[0])
    assert (letter.home, letter.home_subject, letter.consumer) == ("orders", "orders.1", "billing")
    assert (letter.reason, copies[0].headers.get("Trace-Id")) == ("moved by hand", "t1")
    (record,) = records
    assert record.action.title == "Move 20 messages of billing on orders to orders-dlq"
    assert record.action.command == (
        "memphis-desktop dead-letter orders billing --to orders-dlq --subject 'dead.{subject}'"
    )


@pytest.mark.parametrize("policy", ["explicit", "all"])
async def test_a_move_again_after_copies_whose_acknowledgement_was_lost(
    client: Client, open_session: OpenSession, policy: str
) -> None:
    """As after a crash between storing and acknowledging: each message is in the station once."""
    await prepare(client, ack_policy=policy)
    await take(client, 4)
    session = await open_session()
    run = MoveRun(session, "orders", "billing", TO)

    async def crash() -> None:
        raise KeyboardInterrupt

    run._answer = crash  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        await run.run()
    before = len(await stored(client))
    assert before
    assert (await left(client))[1]
    await asyncio.sleep(0.15)  # the station's duplicate window passes
    progress = await moved(session)
    assert progress.again == before
    assert sorted(int(copy.payload) for copy in await stored(client)) == list(range(1, 21))
    assert await left(client) == (0, 0)


async def test_what_clients_hold_is_waited_for_when_nobody_knows_which_it_is(
    client: Client, open_session: OpenSession
) -> None:
    """Acknowledged out of order: what was processed is not moved."""
    await prepare(client, count=6, ack_wait=1)
    held = await take(client, 4)
    await held[2].ack_sync()
    session = await open_session()
    assert not (await MoveRun(session, "orders", "billing", TO).preview()).certain
    await moved(session)
    assert sorted(int(copy.payload) for copy in await stored(client)) == [1, 2, 4, 5, 6]
    assert await left(client) == (0, 0)


async def test_stopped_between_it_hands_back_what_it_has(client: Client, open_session: OpenSession) -> None:
    await prepare(client)
    session = await open_session()
    run = MoveRun(session, "orders", "billing", TO)
    note = run._note

    def stop_at_five(sequence: int, ack: str) -> None:
        note(sequence, ack)
        if run.progress.moved == 5:
            run.stop()

    run._note = stop_at_five  # type: ignore[method-assign]
    progress = await run.run()
    copies = await stored(client)
    assert progress.stopped
    assert 5 <= progress.moved == len(copies)
    again = await moved(session)
    assert again.moved + progress.moved == 20
    assert sorted(int(copy.payload) for copy in await stored(client)) == list(range(1, 21))


async def test_only_what_the_filter_lets_through(client: Client, open_session: OpenSession) -> None:
    await prepare(client, filter_subjects=["orders.0", "orders.2"])
    await take(client, 3)
    progress = await moved(await open_session())
    assert progress.moved == 13
    assert {copy.subject for copy in await stored(client)} == {"dead.orders.0", "dead.orders.2"}


async def test_what_cannot_be_stored_stays(client: Client, open_session: OpenSession) -> None:
    await prepare(client, count=3)
    session = await open_session()
    progress = await moved(session, MoveOptions("orders-dlq", "nowhere.{subject}"))
    assert (progress.moved, progress.failed) == (0, 3)
    assert "No station stores" in progress.problem
    async with asyncio.timeout(10):
        while len(await take(client, 3)) != 3:  # handed back, to be had at once
            pass


@pytest.mark.parametrize(
    ("config", "target", "says"),
    [
        ({"ack_policy": "none"}, "", "acknowledges nothing"),
        ({"deliver_subject": "x"}, "", "pushes"),
        ({"ack_policy": "all"}, "orders", "come back"),
        ({"ack_policy": "all"}, "orders-dlq", ""),
    ],
)
def test_which_cannot_be_moved(config: dict[str, Any], target: str, says: str) -> None:
    assert says in why_not("orders", config, paused=False, target=target)


async def test_a_paused_group_moves_nothing(client: Client, open_session: OpenSession) -> None:
    await prepare(client, count=1, pause_until="2099-01-01T00:00:00Z")
    with pytest.raises(NotMovable, match="paused"):
        await moved(await open_session())
    assert await stored(client) == []


async def test_a_read_only_connection_moves_nothing(client: Client, open_session: OpenSession) -> None:
    await prepare(client, count=1)
    with pytest.raises(ReadOnlyConnection):
        await moved(await open_session(read_only=True))
    assert await stored(client) == []


@pytest.mark.parametrize(
    ("subjects", "template"),
    [
        (["orders.dlq"], "orders.dlq"),
        (["dlq.>", "x"], "dlq.{subject}"),
        (["dlq.*"], "dlq.{stream}"),
        (["dlq.*.>"], "dlq.{stream}.{subject}"),
        ([], ""),
    ],
)
def test_the_subject_follows_from_the_station(subjects: list[str], template: str) -> None:
    assert default_subject({"subjects": subjects}) == template
