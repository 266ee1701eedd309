"""Dead letters that wait to be sent again: kept in a file, held when they were missed or interrupted."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nats.js.api import StreamConfig

from memphis_desktop.cluster.dead_letters.later import (
    GRACE,
    LaterResends,
    Order,
    OrderState,
    held_if_missed,
    later_path,
    order_from_json,
    order_to_json,
)
from memphis_desktop.cluster.dead_letters.letters import DeadLetter, LetterKind, Original, Presence, Resent
from memphis_desktop.cluster.dead_letters.resend import Fate, ResendOptions
from memphis_desktop.cluster.failures import ReadOnlyConnection
from memphis_desktop.cluster.profiles import ConnectionProfile
from memphis_desktop.cluster.session import Session
from memphis_desktop.server_process import ServerProcess
from tests.conftest import Connect


def letter(sequence: int, stream: str = "orders", time_ns: int | None = None) -> DeadLetter:
    original = Original(Presence.THERE if time_ns else Presence.UNREAD, "", "orders.paid", time_ns)
    return DeadLetter(LetterKind.MAX_DELIVERIES, stream, sequence, "billing", 3, "no stock", 1, 2,
                      original=original)  # fmt: skip


@given(
    text=st.text(max_size=20),
    records=st.lists(st.integers(0, 2**63)),
    rate=st.none() | st.floats(0.01, 1e6),
    due=st.floats(0, 4e9),
    external=st.integers(0, 2**40),
)
def test_an_order_is_read_as_it_was_written(
    text: str, records: list[int], rate: float | None, due: float, external: int
) -> None:
    one = DeadLetter(
        LetterKind.STATION, text, 2**53 + 1, text, None, text, 5, 6,
        records=tuple(records), resent=(Resent(1, 2, text, text, 3),), home=text, home_subject=text,
        external=external, groups=(text,), original=Original(Presence.THERE, "", text, 17, attempt=4),
    )  # fmt: skip
    order = Order([one], due, ResendOptions(rate, None, False, text), ("orders", text), text, total=9, made=3)
    read = order_from_json(order_to_json(order, order.letters, OrderState.HELD))
    assert read.letters == [one]
    assert read.options == order.options
    assert (read.due, read.consumer, read.group, read.total) == (due, ("orders", text), text, 9)
    assert read.state is OrderState.HELD


def test_what_was_missed_or_interrupted_is_held() -> None:
    now = 10_000.0
    soon = held_if_missed(Order([letter(1)], now - GRACE / 2), now)
    missed = held_if_missed(Order([letter(1)], now - GRACE - 1), now)
    broken = held_if_missed(Order([letter(1)], now + 99, state=OrderState.SENDING, total=3), now)
    assert soon.state is OrderState.WAITING
    assert (missed.state, broken.state) == (OrderState.HELD, OrderState.HELD)
    assert "1 of 3 are left" in broken.problem


def test_a_file_that_is_no_file_of_orders_is_left_alone(tmp_path: Path) -> None:
    from memphis_desktop.cluster.dead_letters import later

    path = later_path(tmp_path, "a/b")
    assert path.parent == tmp_path / "resends"
    path.parent.mkdir()
    for contents in (b"", b"[]", b'{"orders": [{"id": 1}, 7]}', b"\xff"):
        path.write_bytes(contents)
        assert later._read(path) == []


async def test_orders_are_sent_when_due_and_what_was_made_anew_is_not(
    any_server: ServerProcess, connect: Connect, tmp_path: Path
) -> None:
    client = await connect(any_server)
    jetstream = client.jetstream()
    await jetstream.add_stream(StreamConfig(name="orders", subjects=["orders.*"], allow_direct=True))
    for number in range(3):
        await jetstream.publish("orders.paid", b"%d" % number)
    session = Session(ConnectionProfile(name="test", urls=(any_server.url,), id="one"), tmp_path)
    await session.connect()
    path = later_path(tmp_path, "one")
    options = ResendOptions(rate=None, drop=False)
    waits = Order([letter(1)], time.time() + 3600, options)
    await session.later.add(waits)
    assert path.exists()
    await session.close()

    session = Session(session.profile, tmp_path)
    await session.connect()
    [waits] = session.later.orders
    assert waits.letters[0].key == letter(1).key
    other = Order([letter(2), letter(3, time_ns=12345)], time.time(), options)
    ended = await _until_ended(session.later, other)
    assert ended.progress is not None
    assert ended.progress.fates == {Fate.STORED: 1, Fate.GONE: 1}  # another message has sequence 3 now
    session.later.send_now(waits)
    await _until_ended(session.later, waits)
    assert (await jetstream.stream_info("orders")).state.messages == 5
    assert not path.exists()
    await session.close()


async def test_a_read_only_connection_takes_no_order(any_server: ServerProcess, tmp_path: Path) -> None:
    profile = ConnectionProfile(name="test", urls=(any_server.url,), read_only=True)
    session = Session(profile, tmp_path)
    await session.connect()
    with pytest.raises(ReadOnlyConnection):
        await session.later.add(Order([letter(1)], time.time()))
    await session.close()


async def _until_ended(later: LaterResends, order: Order) -> Order:
    ended = asyncio.Event()
    release = later.subscribe(lambda: None if order.open else ended.set())
    if order not in later.orders:
        await later.add(order)
    if order.open:
        async with asyncio.timeout(30):
            await ended.wait()
    release()
    return order
