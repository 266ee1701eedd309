"""An ordinary nats-py program that publishes with ids and consumes in groups, and writes down what it saw.

It knows nothing of the broker but its address, rides out its crashes, and checks at the end what was
promised.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, StorageType

STREAM = "WORK"
WINDOW = 500
ACK_WAIT = 8.0
"""Seconds after which what was delivered and not acknowledged comes again."""


@dataclass
class Journal:
    """What one group saw."""

    delivered: Counter[str] = field(default_factory=Counter)
    confirmed: set[str] = field(default_factory=set)  # acknowledged, and the broker said that it knows
    repeated: list[str] = field(default_factory=list)  # delivered although confirmed before


class Program:
    """Publishes `total` messages and consumes them in `groups`, until all of them have got everything."""

    def __init__(self, url: str, total: int, groups: tuple[str, ...]) -> None:
        self.url = url
        self.total = total
        self.sequences: dict[str, int] = {}  # id -> sequence, of publishes that were acknowledged
        self.journals = {group: Journal() for group in groups}
        self._milestones: list[tuple[int, asyncio.Event]] = []

    async def _connect(self) -> Client:
        async def quiet(_: Exception) -> None:
            """The crashes are part of the test."""

        return await nats.connect(
            self.url, max_reconnect_attempts=-1, reconnect_time_wait=0.1, error_cb=quiet, pending_size=1 << 25
        )

    async def prepare(self) -> None:
        """Make the stream and the groups."""
        client = await self._connect()
        jetstream = client.jetstream(timeout=30)
        await jetstream.add_stream(
            name=STREAM, subjects=["work.>"], storage=StorageType.FILE, duplicate_window=120
        )
        for group in self.journals:
            await jetstream.add_consumer(
                STREAM,
                ConsumerConfig(
                    durable_name=group,
                    ack_policy=AckPolicy.EXPLICIT,
                    ack_wait=ACK_WAIT,
                    max_ack_pending=10 * WINDOW,
                ),
            )
        await client.close()

    async def run(self) -> None:
        """Publish and consume everything."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._publish())
            for group in self.journals:
                tasks.create_task(self._consume(group))

    async def reached(self, part: float) -> None:
        """Wait until this part of all messages, 0..1, has been delivered, over all groups."""
        event = asyncio.Event()
        self._milestones.append((int(part * self.total * len(self.journals)), event))
        await event.wait()

    def _note_delivery(self, journal: Journal, name: str) -> None:
        journal.delivered[name] += 1
        if name in journal.confirmed:
            journal.repeated.append(name)
        delivered = sum(len(each.delivered) for each in self.journals.values())
        for wanted, event in self._milestones:
            if delivered >= wanted:
                event.set()

    async def _publish(self) -> None:
        client = await self._connect()
        jetstream = client.jetstream(timeout=30)
        waiting = [f"id-{number}" for number in range(self.total)]
        while waiting:
            batch = waiting[:WINDOW]
            await asyncio.gather(*(self._publish_one(jetstream, name) for name in batch))
            waiting = [name for name in batch if name not in self.sequences] + waiting[WINDOW:]
        await client.close()

    async def _publish_one(self, jetstream: JetStreamContext, name: str) -> None:
        """Publish a message; leave it for the next round when there is no answer."""
        subject = f"work.{hash(name) % 7}"
        try:
            ack = await jetstream.publish(subject, name.encode(), timeout=5, headers={"Nats-Msg-Id": name})
        except (Error, TimeoutError):
            return
        known = self.sequences.setdefault(name, ack.seq)
        assert known == ack.seq, f"{name} was acknowledged with sequence {known} and then {ack.seq}"

    async def _consume(self, group: str) -> None:
        client = await self._connect()
        jetstream = client.jetstream(timeout=30)
        journal = self.journals[group]
        subscription = await jetstream.pull_subscribe_bind(durable=group, stream=STREAM)
        while True:
            try:
                messages = await subscription.fetch(WINDOW, timeout=1)
            except (Error, TimeoutError):
                if len(journal.delivered) == self.total and await self._nothing_left(jetstream, group):
                    break
                continue
            await asyncio.gather(*(self._take(journal, message) for message in messages))
        await client.close()

    @staticmethod
    async def _nothing_left(jetstream: JetStreamContext, group: str) -> bool:
        """Return whether the broker holds every message for acknowledged.

        The answer to an acknowledgement can be lost in a crash although the acknowledgement is not; that
        message stays unconfirmed here, and never comes again.
        """
        try:
            info = await jetstream.consumer_info(STREAM, group)
        except (Error, TimeoutError):
            return False
        return info.num_pending == 0 and info.num_ack_pending == 0

    async def _take(self, journal: Journal, message: Msg) -> None:
        name = message.data.decode()
        self._note_delivery(journal, name)
        try:
            await message.ack_sync(timeout=5)
        except (Error, TimeoutError):
            return
        journal.confirmed.add(name)

    async def check(self) -> None:
        """Assert what was promised: nothing lost, nothing stored twice, nothing confirmed delivered again."""
        names = {f"id-{number}" for number in range(self.total)}
        assert set(self.sequences) == names
        assert len(set(self.sequences.values())) == self.total, "two messages got the same sequence"
        client = await self._connect()
        jetstream = client.jetstream(timeout=30)
        info = await jetstream.stream_info(STREAM)
        assert info.state.messages == self.total, "messages were lost, or stored twice"
        stored = {}
        async for message in _everything(jetstream, self.total):
            stored[message.data.decode()] = message.metadata.sequence.stream
        assert stored == self.sequences, "a message is not where its acknowledgement said"
        for group, journal in self.journals.items():
            assert set(journal.delivered) == names, f"{group} has not got everything"
            assert not journal.repeated, f"{group} got confirmed messages again: {journal.repeated[:5]}"
            left = await jetstream.consumer_info(STREAM, group)
            assert (left.num_pending, left.num_ack_pending) == (0, 0)
        await client.close()


async def _everything(jetstream: JetStreamContext, total: int) -> AsyncIterator[Msg]:
    """Yield each message of the stream once, in order."""
    subscription = await jetstream.pull_subscribe("work.>", stream=STREAM)
    seen = 0
    while seen < total:
        for message in await subscription.fetch(WINDOW, timeout=30):
            seen += 1
            await message.ack()
            yield message
    await subscription.unsubscribe()
