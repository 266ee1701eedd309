"""Dead letters on real servers: found, captured, explained, sent again, dropped; and their pure parts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.js.api import ConsumerConfig

from memphis_desktop.cluster.actions import ActionRecord
from memphis_desktop.cluster.dead_letters.capture import (
    ADVISORY_SUBJECTS,
    CAPTURE_STREAM,
    capture_config,
    start_capture,
    stop_capture,
)
from memphis_desktop.cluster.dead_letters.dropping import drop_letters
from memphis_desktop.cluster.dead_letters.engine import DeadLetterView
from memphis_desktop.cluster.dead_letters.journey import Step, journey
from memphis_desktop.cluster.dead_letters.letters import (
    HEADER_ATTEMPT,
    HEADER_SEQUENCE,
    DeadLetter,
    LetterKind,
    Presence,
    group_letters,
    parse_advisory,
    payload_shape,
)
from memphis_desktop.cluster.dead_letters.names import station_matches
from memphis_desktop.cluster.dead_letters.resend import Fate, ResendOptions, ResendRun, exact_command
from memphis_desktop.cluster.failures import ClusterError, ReadOnlyConnection
from memphis_desktop.cluster.one_consumer import NotPossible, plan_for
from memphis_desktop.cluster.profiles import ConnectionProfile
from memphis_desktop.cluster.session import Session
from memphis_desktop.inspect.reader import MessageReader
from memphis_desktop.server_process import ServerProcess
from tests.conftest import Connect
from tests.waiting import PATIENCE

OpenSession = Callable[..., Awaitable[Session]]


@pytest_asyncio.fixture
async def open_session(any_server: ServerProcess) -> AsyncIterator[OpenSession]:
    sessions: list[Session] = []

    async def make(**options: Any) -> Session:
        session = Session(ConnectionProfile(name="test", urls=(any_server.url,), **options))
        sessions.append(session)
        await session.connect()
        release = session.dead_letters.use()
        sessions_release.append(release)
        await until(session, lambda _: session.snapshot.complete)
        return session

    sessions_release: list[Callable[[], None]] = []
    yield make
    for session in sessions:
        await session.close()


@pytest_asyncio.fixture
async def client(any_server: ServerProcess, connect: Connect) -> Client:
    opened = await connect(any_server)
    assert isinstance(opened, Client)
    return opened


async def until(session: Session, holds: Callable[[DeadLetterView], Any], seconds: float = PATIENCE) -> Any:
    """Wait for a view of the dead letters for which something holds; gives what it holds."""
    found: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def look(*_: object) -> None:
        value = holds(session.dead_letters.view)
        if value and not found.done():
            found.set_result(value)

    ends = [session.dead_letters.subscribe(look), session.subscribe(look)]
    look()
    try:
        async with asyncio.timeout(seconds):
            return await found
    finally:
        for end in ends:
            end()


async def station(client: Client, name: str = "orders", **consumer: Any) -> None:
    jetstream = client.jetstream()
    await jetstream.add_stream(name=name, subjects=[f"{name}.>"], allow_direct=True)
    config = {"durable_name": "billing", "ack_policy": "explicit", "ack_wait": 0.2, "max_deliver": 2}
    await jetstream.add_consumer(name, ConsumerConfig(**{**config, **consumer}))


async def give_up(client: Client, stream: str, consumer: str, reason: str = "") -> None:
    """Take what there is until nothing comes: terminate with a reason, or let it run out of deliveries."""
    subscription = await client.jetstream().pull_subscribe_bind(consumer, stream=stream)
    empty = 0
    while empty < 2:
        try:
            for message in await subscription.fetch(50, timeout=0.4):
                if reason:
                    await client.publish(message.reply, f"+TERM {reason}".encode())
        except TimeoutError:
            empty += 1
    await subscription.unsubscribe()


async def test_letters_are_captured_and_explained(client: Client, open_session: OpenSession) -> None:
    await station(client)
    await client.jetstream().add_consumer("orders", durable_name="audit", ack_policy="explicit")
    session = await open_session()
    records: list[ActionRecord] = []
    session.subscribe_actions(records.append)
    assert not session.dead_letters.status.active
    await start_capture(session.snapshot).run(session)
    await until(session, lambda view: view.status.complete and view.status.marks)
    for number in range(3):
        await client.jetstream().publish("orders.paid", b'{"id": %d, "total": 5}' % number)
    await give_up(client, "orders", "billing")
    await client.jetstream().publish("orders.paid", b"not json")
    await give_up(client, "orders", "billing", reason="bad amount")
    letters = await until(
        session,
        lambda view: (
            view.letters
            if len(view.letters) == 4 and all(one.original.presence is Presence.THERE for one in view.letters)
            else None
        ),
    )
    terminated = letters[0]
    assert (terminated.kind, terminated.sequence, terminated.reason) == (
        LetterKind.TERMINATED,
        4,
        "bad amount",
    )
    assert {(one.sequence, one.deliveries) for one in letters[1:]} == {(1, 2), (2, 2), (3, 2)}
    assert all(one.records for one in letters)
    groups = group_letters(letters)
    assert [(group.cause, group.shape, group.count) for group in groups] == [
        ("delivery limit", "JSON {id, total}", 3),
        ("bad amount", "text", 1),
    ]
    message = await session.dead_letters.message_of(letters[1])
    assert message is not None
    await until(session, lambda _: ("orders", "audit") in session.snapshot.consumers)
    steps = journey(letters[1], message, session.snapshot, letters)
    assert [step.kind for step in steps] == ["published", "stored", "consumer", "consumer", "dead"]
    by_name = {step.consumer: step for step in steps if step.consumer}
    assert "Not delivered yet" in by_name["audit"].text
    assert "Delivered 2 times and never acknowledged" in by_name["billing"].text
    assert records[0].action.title == f"Create stream {CAPTURE_STREAM}"


async def test_without_capture_what_is_heard_is_shown_and_says_so(
    client: Client, open_session: OpenSession
) -> None:
    await station(client)
    session = await open_session()
    await client.jetstream().publish("orders.paid", b"x")
    await give_up(client, "orders", "billing")
    [letter] = await until(session, lambda view: view.letters)
    assert letter.records == ()
    assert not session.dead_letters.view.status.active
    # Captured from now on: the letter heard before stays, once.
    await start_capture(session.snapshot).run(session)
    await until(session, lambda view: view.status.active)
    await client.jetstream().publish("orders.paid", b"y")
    await give_up(client, "orders", "billing")
    letters = await until(session, lambda view: len(view.letters) == 2 and view.letters)
    assert [bool(one.records) for one in letters] == [True, False]


async def test_a_letter_is_sent_again_until_its_attempts_are_used_up(
    client: Client, open_session: OpenSession
) -> None:
    await station(client)
    session = await open_session()
    records: list[ActionRecord] = []
    session.subscribe_actions(records.append)
    await start_capture(session.snapshot).run(session)
    await until(session, lambda view: view.status.complete)
    headers = {"Nats-Msg-Id": "one", "Trace-Id": "abc"}
    await client.jetstream().publish("orders.paid", b"x", headers=headers)
    await give_up(client, "orders", "billing")
    [letter] = await until(session, lambda view: view.letters)
    options = ResendOptions(rate=None, cap=2, drop=False)
    progress = await ResendRun(session, [letter], options).run()
    assert progress.fates == {Fate.STORED: 1}
    copy = await client.jetstream().get_msg("orders", 2)
    assert copy.headers is not None
    assert (copy.headers[HEADER_ATTEMPT], copy.headers[HEADER_SEQUENCE]) == ("1", "1")
    assert copy.headers["Trace-Id"] == "abc"
    assert copy.headers["Nats-Msg-Id"] != "one"
    [letter] = await until(session, lambda view: view.letters[0].resent and view.letters)
    assert (letter.resent[0].stream, letter.resent[0].sequence, letter.attempts) == ("orders", 2, 1)
    # The copy fails too; it knows that it was one attempt.
    await give_up(client, "orders", "billing")
    letters = await until(
        session,
        lambda view: view.letters if [one.sequence for one in view.letters] == [2, 1] else None,
    )
    await until(session, lambda view: view.letters[0].original.attempt == 1)
    letters = session.dead_letters.view.letters
    steps: list[Step] = journey(letters[1], None, session.snapshot, letters)
    assert steps[-1].letter == letters[0].key
    assert "failed again" in steps[-1].text
    progress = await ResendRun(session, [letters[0]], ResendOptions(rate=None, cap=2)).run()
    assert progress.fates == {Fate.STORED: 1}
    await until(session, lambda view: [one.sequence for one in view.letters] == [1])
    await give_up(client, "orders", "billing")
    newest = await until(session, lambda view: view.letters[0] if view.letters[0].sequence == 3 else None)
    progress = await ResendRun(session, [newest], ResendOptions(rate=None, cap=2)).run()
    assert progress.fates == {Fate.CAPPED: 1}
    assert (await client.jetstream().stream_info("orders")).state.last_seq == 3
    titles = [record.action.title for record in records]
    assert titles.count("Resend 1 dead letter") == 3
    assert "nats stream get orders 1" in next(
        record.action.command for record in records if record.action.title.startswith("Resend")
    )


async def test_letters_read_anew_are_never_shown_in_part(
    client: Client, open_session: OpenSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another client removes a record: the rest is read again, while something here asks for a new view."""
    await station(client)
    session = await open_session()
    book = session.dead_letters
    await start_capture(session.snapshot).run(session)
    await until(session, lambda view: view.status.complete)
    for _ in range(3):
        await client.jetstream().publish("orders.paid", b"x")
    await give_up(client, "orders", "billing")
    [first, *_] = await until(session, lambda view: len(view.letters) == 3 and view.letters)
    forward = MessageReader.forward
    told: list[int] = []

    async def interrupted(self: MessageReader, *arguments: Any) -> Any:
        book.forget([])
        told.append(len(book.view.letters))
        return await forward(self, *arguments)

    monkeypatch.setattr(MessageReader, "forward", interrupted)
    await client.jetstream().delete_msg(CAPTURE_STREAM, first.records[0])
    book.refresh()
    await until(session, lambda view: len(view.letters) == 2)
    assert told
    assert 0 not in told


async def test_dropping_removes_records_and_on_request_messages(
    client: Client, open_session: OpenSession
) -> None:
    await station(client)
    session = await open_session()
    await start_capture(session.snapshot).run(session)
    await until(session, lambda view: view.status.complete)
    for _ in range(3):
        await client.jetstream().publish("orders.paid", b"x")
    await give_up(client, "orders", "billing")
    letters = await until(session, lambda view: len(view.letters) == 3 and view.letters)
    dropped = await drop_letters(session, letters[:1])
    assert (dropped.records, dropped.messages, dropped.failed) == (1, 0, 0)
    await until(session, lambda view: len(view.letters) == 2)
    dropped = await drop_letters(session, letters[1:2], messages=True)
    assert (dropped.records, dropped.messages) == (1, 1)
    assert (await client.jetstream().stream_info("orders")).state.messages == 2
    assert (await client.jetstream().stream_info(CAPTURE_STREAM)).state.messages == 1
    # Read again from the server, it is the same.
    session.dead_letters.refresh()
    await until(session, lambda view: len(view.letters) == 1)
    stop = stop_capture(session.snapshot)
    assert stop is not None
    await stop.run(session)
    await until(session, lambda view: not view.status.active and not view.letters)


async def test_gone_messages_are_told_apart(client: Client, open_session: OpenSession) -> None:
    await station(client)
    session = await open_session()
    await start_capture(session.snapshot).run(session)
    await until(session, lambda view: view.status.complete)
    await client.jetstream().publish("orders.paid", b"x")
    await give_up(client, "orders", "billing")
    await until(session, lambda view: view.letters and view.letters[0].original.presence is Presence.THERE)
    await client.jetstream().delete_msg("orders", 1)
    letter = session.dead_letters.view.letters[0]
    progress = await ResendRun(session, [letter], ResendOptions(rate=None)).run()
    assert progress.fates == {Fate.GONE: 1}
    [letter] = await until(
        session,
        lambda view: view.letters if view.letters[0].original.presence is Presence.GONE else None,
    )
    # The station made anew gives its sequence to another message.
    await client.jetstream().delete_stream("orders")
    await station(client)
    await client.jetstream().publish("orders.paid", b"another")
    assert await session.dead_letters.message_of(letter) is None


async def test_dead_letter_stations_are_found_by_name(client: Client, open_session: OpenSession) -> None:
    jetstream = client.jetstream()
    await jetstream.add_stream(name="orders-dlq", subjects=["dlq.orders"], allow_direct=True)
    await jetstream.add_stream(name="orders", subjects=["orders.>"])
    headers = {"Original-Subject": "orders.paid", "X-Original-Stream": "orders", "Reason": "no stock"}
    await jetstream.publish("dlq.orders", b'{"id": 1}', headers=headers)
    await jetstream.publish("dlq.orders", b'{"id": 2}')
    session = await open_session()
    letters = await until(session, lambda view: len(view.letters) == 2 and view.letters)
    by_sequence = {one.sequence: one for one in letters}
    first = by_sequence[1]
    assert (first.kind, first.station, first.reason) == (LetterKind.STATION, "orders", "no stock")
    assert session.dead_letters.view.stations == ("orders-dlq",)
    progress = await ResendRun(session, list(letters), ResendOptions(rate=None)).run()
    assert progress.fates == {Fate.STORED: 1, Fate.NO_SUBJECT: 1}
    assert (await jetstream.stream_info("orders")).state.messages == 1
    assert (await jetstream.stream_info("orders-dlq")).state.messages == 1  # the one sent was dropped
    session.dead_letters.set_patterns(["none"])
    await until(session, lambda view: not view.letters)


async def test_one_consumer_alone_is_reached_or_the_reason_told(
    client: Client, open_session: OpenSession
) -> None:
    await station(client, filter_subject="orders.paid")
    jetstream = client.jetstream()
    session = await open_session()
    await start_capture(session.snapshot).run(session)
    await until(session, lambda _: ("orders", "billing") in session.snapshot.consumers)
    plan = plan_for(session.snapshot, "orders", "billing", ["orders.paid"])
    assert (plan.subject, plan.changes) == ("", ())
    await jetstream.add_consumer("orders", durable_name="same", filter_subject="orders.paid")
    await until(session, lambda _: ("orders", "same") in session.snapshot.consumers)
    await jetstream.publish("orders.paid", b"x")
    await give_up(client, "orders", "billing")
    letter = await until(session, lambda view: view.letters and view.letters[0])
    plan = plan_for(session.snapshot, "orders", "billing", ["orders.paid"])
    assert len(plan.changes) == 2
    progress = await ResendRun(session, [letter], ResendOptions(rate=None, plan=plan)).run()
    assert progress.fates == {Fate.STORED: 1}
    subscription = await jetstream.pull_subscribe_bind("billing", stream="orders")
    [copy] = await subscription.fetch(5, timeout=2)
    assert copy.subject == plan.subject
    assert copy.headers["Memphis-Dead-Letter-Subject"] == "orders.paid"
    await copy.ack()
    assert (await jetstream.consumer_info("orders", "same")).num_pending == 1  # the original only
    await jetstream.add_consumer("orders", durable_name="everything")
    late = ResendRun(session, [letter], ResendOptions(rate=None, plan=plan))
    with pytest.raises(ClusterError, match="everything takes every subject"):
        await late.run()  # whether a snapshot has it yet or not
    await until(session, lambda _: ("orders", "everything") in session.snapshot.consumers)
    with pytest.raises(NotPossible, match="everything takes every subject"):
        plan_for(session.snapshot, "orders", "billing", ["orders.paid"])
    push = ConsumerConfig(durable_name="pushed", deliver_subject="to.pushed", ack_policy="explicit")
    await jetstream.add_consumer("orders", push)
    await until(session, lambda _: ("orders", "pushed") in session.snapshot.consumers)
    assert plan_for(session.snapshot, "orders", "pushed", []).direct


@pytest.mark.parametrize("captured", [True, False])
async def test_a_letter_out_of_deliveries_and_then_terminated_is_one(
    client: Client, open_session: OpenSession, captured: bool
) -> None:
    """The client that holds it gives it up too: the server tells twice, of one letter."""
    await station(client, ack_wait=0.3, max_deliver=1)
    session = await open_session()
    if captured:
        await start_capture(session.snapshot).run(session)
        await until(session, lambda view: view.status.complete)
    await client.jetstream().publish("orders.paid", b"x")
    subscription = await client.jetstream().pull_subscribe_bind("billing", stream="orders")
    [held] = await subscription.fetch(1, timeout=5)
    with contextlib.suppress(TimeoutError):
        await subscription.fetch(1, timeout=0.6)  # who asks is what makes the server look
    letter = await until(session, lambda view: view.letters and view.letters[0])
    assert letter.kind is LetterKind.MAX_DELIVERIES
    await client.publish(held.reply, b"+TERM no stock")
    [letter] = await until(session, lambda view: view.letters[0].times == 2 and view.letters)
    assert (letter.kind, letter.reason) == (LetterKind.TERMINATED, "no stock")
    await drop_letters(session, [letter])
    await until(session, lambda view: not view.letters)
    await subscription.unsubscribe()


async def test_a_read_only_connection_changes_nothing(client: Client, open_session: OpenSession) -> None:
    await station(client)
    await client.jetstream().add_stream(name="orders_dlq", subjects=["dlq"])
    await client.jetstream().publish("dlq", b"x")
    session = await open_session(read_only=True)
    letters = await until(session, lambda view: view.letters)
    with pytest.raises(ReadOnlyConnection):
        await start_capture(session.snapshot).run(session)
    with pytest.raises(ReadOnlyConnection):
        await drop_letters(session, letters)
    with pytest.raises(ReadOnlyConnection):
        await ResendRun(session, letters, ResendOptions(subject="orders.paid")).run()
    assert (await client.jetstream().stream_info("orders_dlq")).state.messages == 1


async def test_a_stream_that_takes_advisories_as_a_queue_is_named(
    client: Client, open_session: OpenSession
) -> None:
    await client.jetstream().add_stream(name="theirs", subjects=[ADVISORY_SUBJECTS[0]], retention="workqueue")
    session = await open_session()
    config = capture_config(session.snapshot)
    assert config["subjects"][0] == ADVISORY_SUBJECTS[1]
    await start_capture(session.snapshot).run(session)
    await until(session, lambda view: view.status.terminated_stream and not view.status.stream)
    with pytest.raises(ValueError, match="theirs"):
        capture_config(session.snapshot)


def letter(**values: Any) -> DeadLetter:
    base = {"kind": LetterKind.MAX_DELIVERIES, "stream": "s", "sequence": 1, "consumer": "c"}
    return DeadLetter(**{**base, "deliveries": 1, "reason": "", "first_ns": 1, "failed_ns": 2, **values})


def test_shapes_do_not_depend_on_values() -> None:
    assert payload_shape(b'{"b": 1, "a": [1]}') == payload_shape(b'{"a": null, "b": "x"}') == "JSON {a, b}"
    assert payload_shape(b"[1, 2]") == "JSON list"
    assert payload_shape(b"hello") == "text"
    assert payload_shape(b"") == "empty"
    assert payload_shape(bytes(40_000)) == "large payload"
    many = "{" + ", ".join(f'"k{number}": 1' for number in range(9)) + "}"
    assert payload_shape(many.encode()).endswith(", …}")


def test_groups_tell_their_station_and_span() -> None:
    groups = group_letters([letter(), letter(sequence=2, failed_ns=9), letter(stream="t", consumer="d")])
    assert [(g.station, g.count, g.first_ns, g.last_ns) for g in groups] == [("s", 2, 1, 9), ("t", 1, 1, 2)]
    assert group_letters([letter(), letter(stream="t")])[0].station == "several"


def test_stations_are_found_by_name_or_subject() -> None:
    assert station_matches("Orders-DLQ", [], ["*-dlq"])
    assert station_matches("x", ["orders.DLQ"], ["*.dlq"])
    assert not station_matches("orders", ["orders.>"], ["*.dlq", ""])


_VALUES = st.one_of(
    st.none(),
    st.integers(-5, 5),
    st.sampled_from(["", "a", "x.max_deliver", "x.terminated", "2026-01-01T00:00:00Z", "9" * 30, [1], {}]),
)
_FIELDS = ("type", "stream", "consumer", "stream_seq", "deliveries", "timestamp", "reason", "id")


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(_FIELDS, _VALUES)))
def test_any_advisory_is_a_letter_or_none(advisory: dict[str, Any]) -> None:
    failure = parse_advisory(advisory)
    if failure is not None:
        assert failure.stream
        assert failure.consumer
        assert failure.sequence >= 1


def test_the_exact_command_publishes_the_copy() -> None:
    from memphis_desktop.inspect.message import InspectedMessage

    message = InspectedMessage("s", 1, 5, "orders.paid", b"NATS/1.0\r\nTrace: a\r\n\r\n", b'{"a": 1}')
    command = exact_command(letter(), message, "orders.paid")
    assert command.startswith("nats pub --header Trace:a --header Memphis-Dead-Letter-Stream:s")
    assert command.endswith("""orders.paid '{"a": 1}'""")
