"""Resetting consumers and inspecting what is pending, against both brokers."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from nats.js import JetStreamContext

from memphis_desktop.cluster import consumer_reset
from memphis_desktop.cluster.failures import ApiError
from memphis_desktop.cluster.model import ConsumerSnapshot, StreamSnapshot
from memphis_desktop.cluster.pending import PendingReader
from memphis_desktop.cluster.session import Session
from memphis_desktop.server_process import ServerProcess
from tests.conftest import Connect
from tests.waiting import seen


@pytest_asyncio.fixture
async def jetstream(any_server: ServerProcess, connect: Connect) -> JetStreamContext:
    context = (await connect(any_server)).jetstream()
    assert isinstance(context, JetStreamContext)
    return context


async def fill(jetstream: JetStreamContext, **consumer: Any) -> None:
    """Twenty messages on two subjects, a group on one of them that took eight and acknowledged six."""
    await jetstream.add_stream(name="A", subjects=["a.>"])
    for number in range(20):
        await jetstream.publish(f"a.{number % 2}", b"x")
    await jetstream.add_consumer(
        "A", durable_name="g", ack_policy="explicit", filter_subject="a.0", description="kept", **consumer
    )
    subscription = await jetstream.pull_subscribe_bind("g", "A")
    for message in (await subscription.fetch(8))[:6]:
        await message.ack_sync(timeout=30)


async def known(session: Session) -> tuple[StreamSnapshot, ConsumerSnapshot]:
    release = session.watch_detail("A")
    snapshot = await seen(
        session, lambda s: ("A", "g") in s.consumers and s.consumers["A", "g"].num_ack_pending == 2
    )
    release()
    return snapshot.streams["A"], snapshot.consumers["A", "g"]


async def test_a_preview_counts_what_comes_again(session: Session, jetstream: JetStreamContext) -> None:
    await fill(jetstream)
    stream, consumer = await known(session)
    assert consumer.num_pending == 2
    preview = await consumer_reset.preview(session, stream, consumer, 5)
    # Messages 5, 7 … 19 match; the last two of them were waiting anyway.
    assert (preview.sequence, preview.pending, preview.again, preview.skipped) == (5, 8, 6, 0)
    assert preview.exact
    skipping = await consumer_reset.preview(session, stream, consumer, 10_000)
    assert (skipping.sequence, skipping.pending, skipping.skipped) == (21, 0, 2)
    assert [info.name for info in await jetstream.consumers_info("A")] == ["g"]


@pytest.mark.parametrize("native", [True, False])
async def test_a_reset_moves_the_group(
    session: Session, jetstream: JetStreamContext, native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(jetstream, ack_wait=60)
    _, consumer = await known(session)
    if native and not consumer_reset.moves_natively(session):
        pytest.skip("this broker cannot move a consumer")
    if not native:
        monkeypatch.setattr(consumer_reset, "NATIVE_LEVEL", 99)
    await consumer_reset.reset(session, "A", consumer, 5)
    info = await jetstream.consumer_info("A", "g")
    assert info.num_pending == 8
    assert info.config.filter_subject == "a.0"
    assert info.config.description == "kept"
    subscription = await jetstream.pull_subscribe_bind("g", "A")
    [message] = await subscription.fetch(1)
    assert message.metadata.sequence.stream == 5


async def test_a_reset_that_fails_leaves_the_group_as_it_was(
    session: Session, jetstream: JetStreamContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(jetstream)
    _, consumer = await known(session)
    monkeypatch.setattr(consumer_reset, "NATIVE_LEVEL", 99)
    steps = consumer_reset.reset_actions(session, "A", consumer, 5)
    refused = replace(steps[1], body={**(steps[1].body or {}), "action": "update"})  # there is none to update
    monkeypatch.setattr(consumer_reset, "reset_actions", lambda *_: (steps[0], refused))
    with pytest.raises(ApiError):
        await consumer_reset.reset(session, "A", consumer, 5)
    info = await jetstream.consumer_info("A", "g")
    assert info.config.filter_subject == "a.0"
    assert info.config.description == "kept"


async def test_a_time_becomes_a_sequence(session: Session, jetstream: JetStreamContext) -> None:
    await fill(jetstream)
    stream, _ = await known(session)
    assert stream.first_time_ns is not None
    assert stream.last_time_ns is not None
    assert await consumer_reset.sequence_at(session, stream, stream.first_time_ns) == 1
    assert await consumer_reset.sequence_at(session, stream, stream.last_time_ns) == 20
    assert await consumer_reset.sequence_at(session, stream, stream.last_time_ns + 10**9) == 21


async def test_pending_messages_are_named(session: Session, jetstream: JetStreamContext) -> None:
    await fill(jetstream)
    _, consumer = await known(session)
    reader = PendingReader(session, "A", "g")
    found = await reader.read(consumer)
    # Six were acknowledged in order, so what follows the floor is exactly what is pending.
    assert [message.sequence for message in found.messages] == [13, 15]
    assert all(message.certain for message in found.messages)
    assert {message.subject for message in found.messages} == {"a.0"}
    assert (found.pending, found.complete) == (2, True)


async def test_acknowledging_out_of_order_leaves_candidates(
    session: Session, jetstream: JetStreamContext
) -> None:
    await jetstream.add_stream(name="A", subjects=["a.>"])
    for number in range(5):
        await jetstream.publish("a.0", str(number).encode())
    await jetstream.add_consumer("A", durable_name="g", ack_policy="explicit")
    subscription = await jetstream.pull_subscribe_bind("g", "A")
    messages = await subscription.fetch(5)
    for index in (1, 2, 4):
        await messages[index].ack_sync(timeout=30)
    _, consumer = await known(session)
    found = await PendingReader(session, "A", "g").read(consumer)
    assert [message.sequence for message in found.messages] == [1, 2, 3, 4, 5]
    assert [message.certain for message in found.messages] == [True, False, False, False, False]


async def test_a_message_that_is_refused_again_and_again_is_suspicious(
    session: Session, jetstream: JetStreamContext
) -> None:
    await jetstream.add_stream(name="A", subjects=["a.>"])
    for number in range(2):
        await jetstream.publish("a.0", str(number).encode())
    await jetstream.add_consumer("A", durable_name="g", ack_policy="explicit", max_ack_pending=2)
    reader = PendingReader(session, "A", "g")
    await reader.open()
    subscription = await jetstream.pull_subscribe_bind("g", "A")
    await subscription.fetch(1)
    for _ in range(3):
        for message in await subscription.fetch(1):
            await message.nak()
    for message in await subscription.fetch(1):
        assert message.metadata.sequence.stream == 2
    _, consumer = await known(session)
    async with asyncio.timeout(10):
        found = await reader.read(consumer)
        while found.messages[-1].deliveries != 3:
            await asyncio.sleep(0)
            found = await reader.read(consumer)
    first, second = found.messages
    assert (first.sequence, first.suspicious, first.note) == (1, False, "")
    assert (second.sequence, second.suspicious, second.note) == (2, True, "refused")
    await reader.close()
