"""Live subscriptions: beginning, pausing and ending them, and taking them over from another copy.

A record is written before the consumer is made, and deleted after the consumer: what a crash leaves half done
is a record without a consumer, which the next copy removes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from nats.aio.client import Client

from memphis_desktop.stations.errors import StorageError
from memphis_desktop.stations.jetstream import JetStream
from memphis_desktop.stations.metadata import new_id
from memphis_desktop.stations.streaming import nats_streaming_pb2 as pb
from memphis_desktop.stations.streaming import positions, wire
from memphis_desktop.stations.streaming.channels import Channel
from memphis_desktop.stations.streaming.checks import MAX_IN_FLIGHT
from memphis_desktop.stations.streaming.clients import ClientState
from memphis_desktop.stations.streaming.deliveries import Member
from memphis_desktop.stations.streaming.feeds import Feed
from memphis_desktop.stations.streaming.positions import Group
from memphis_desktop.stations.streaming.records import Records, SubscriptionRecord
from memphis_desktop.stations.streaming.wire import StreamingError

log = logging.getLogger(__name__)

_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Subscription:
    """A live subscription and what feeds it."""

    record: SubscriptionRecord
    feed: Feed


class Subscriptions:
    """All live subscriptions of a cluster id."""

    def __init__(self, client: Client, jetstream: JetStream, records: Records, limit: int) -> None:
        self._client = client
        self._jetstream = jetstream
        self._records = records
        self._limit = limit
        self._feeds: dict[tuple[str, Group], Feed] = {}
        self._live: dict[str, Subscription] = {}
        self._by_inbox: dict[str, str] = {}
        self._given_back: dict[tuple[str, Group], None] = {}  # paused here: JetStream has their messages back

    def __len__(self) -> int:
        return len(self._live)

    @property
    def feeds(self) -> Iterator[Feed]:
        """The feeds, as of now."""
        return iter(list(self._feeds.values()))

    def get(self, subscription_id: str) -> Subscription | None:
        """Return a live subscription by its id."""
        return self._live.get(subscription_id)

    def by_inbox(self, inbox: str) -> Subscription | None:
        """Return a live subscription by its client's inbox."""
        return self._live.get(self._by_inbox.get(inbox, ""))

    async def begin(
        self,
        client: ClientState,
        channel: Channel,
        request: pb.SubscriptionRequest,
        respond: Callable[[str], Awaitable[None]],
    ) -> None:
        """Begin a subscription, or resume a durable one.

        Args:
            client: Whose it is.
            channel: The channel, opened.
            request: A request that is in order.
            respond: Told the subscription's id once it stands and before its first message is sent.

        Raises:
            StreamingError: It is refused; nothing is left of it.
            StorageError: JetStream does not answer or refuses.
        """
        if len(self._live) >= self._limit:
            raise StreamingError(wire.TOO_MANY_SUBSCRIPTIONS)
        subscription_id = new_id()
        record = SubscriptionRecord(
            subscription_id,
            client.id,
            positions.group_of(request, subscription_id),
            channel.stream,
            request.inbox,
            min(request.max_in_flight, MAX_IN_FLIGHT),
            request.ack_wait,
        )
        feed = await self._locked_feed(record)
        try:
            await self._begin_locked(client, record, feed, request, respond)
        finally:
            if not feed.deliveries.members:
                self._feeds.pop((record.stream, record.group), None)
            feed.lock.release()

    async def _begin_locked(
        self,
        client: ClientState,
        record: SubscriptionRecord,
        feed: Feed,
        request: pb.SubscriptionRequest,
        respond: Callable[[str], Awaitable[None]],
    ) -> None:
        group = record.group
        if group.durable and not group.queue_group and feed.deliveries.members:
            raise StreamingError(wire.DUPLICATE_DURABLE)
        member = _member(record)
        resumed = False
        await self._records.put_subscription(record)
        try:
            if not feed.live:
                if group.queue_group and not group.durable:
                    await feed.delete_consumer()  # of a group that ended, if that could not be done then
                resumed = await feed.prepare(member, lambda: self._start(record.stream, request))
        except StorageError:
            await self._records.delete_subscription(record.id)
            raise
        self._add(client, record, feed)
        await respond(record.id)
        if resumed and (record.stream, group) not in self._given_back:
            await feed.recall()
        self._given_back.pop((record.stream, group), None)
        await feed.join(member)

    async def _start(self, stream: str, request: pb.SubscriptionRequest) -> dict[str, Any]:
        """Return where a new consumer begins."""
        info = await self._jetstream.stream_info(stream)
        if info is None:
            raise StorageError(f"there is no stream {stream}", 0, 404)
        state = info["state"]
        return positions.start_of(request, state["first_seq"], state["last_seq"], time.time_ns())

    async def _locked_feed(self, record: SubscriptionRecord) -> Feed:
        """Return the feed of a subscription, with its lock held."""
        key = (record.stream, record.group)
        while True:
            feed = self._feeds.get(key)
            if feed is None:
                feed = self._feeds[key] = Feed(self._client, self._jetstream, record.stream, record.group)
            await feed.lock.acquire()
            if self._feeds.get(key) is feed:
                return feed
            feed.lock.release()  # its last member left meanwhile

    def _add(self, client: ClientState, record: SubscriptionRecord, feed: Feed) -> None:
        self._live[record.id] = Subscription(record, feed)
        self._by_inbox[record.inbox] = record.id
        client.subscriptions.add(record.id)

    async def end(self, client: ClientState, subscription_id: str, *, unsubscribe: bool) -> None:
        """End a subscription.

        Args:
            client: Whose it is.
            subscription_id: Which.
            unsubscribe: Forget a durable one's position, too, if this is its last member.

        Raises:
            StorageError: JetStream does not answer; the subscription is over all the same, and what could not
                be deleted is when the next copy takes over.
        """
        live = self._live.pop(subscription_id, None)
        client.subscriptions.discard(subscription_id)
        if live is None:
            return
        record, feed = live.record, live.feed
        if self._by_inbox.get(record.inbox) == subscription_id:
            del self._by_inbox[record.inbox]
        async with feed.lock:
            await feed.leave(subscription_id)
            if not feed.deliveries.members:
                self._feeds.pop((record.stream, record.group), None)
                if unsubscribe or not record.group.durable:
                    await feed.delete_consumer()
                else:
                    self._give_back(record)
            await self._records.delete_subscription(subscription_id)

    def _give_back(self, record: SubscriptionRecord) -> None:
        self._given_back[record.stream, record.group] = None
        if len(self._given_back) > self._limit:
            del self._given_back[next(iter(self._given_back))]

    async def recover(self, clients: dict[str, ClientState], records: list[SubscriptionRecord]) -> None:
        """Take over the subscriptions that another copy, or an earlier life of this one, left.

        Raises:
            StorageError: JetStream does not answer.
        """
        free = asyncio.Semaphore(_AT_ONCE)

        async def recover(record: SubscriptionRecord) -> None:
            async with free:
                await self._recover(clients.get(record.client_id), record)

        async with asyncio.TaskGroup() as tasks:
            for record in records:
                tasks.create_task(recover(record))

    async def _recover(self, client: ClientState | None, record: SubscriptionRecord) -> None:
        feed = await self._locked_feed(record)
        try:
            member = _member(record)
            there = client is not None and (feed.live or await feed.prepare(member, None))
            if client is None or not there:  # never finished, or not ended to the last step
                await self._records.delete_subscription(record.id)
                if not feed.live:
                    self._feeds.pop((record.stream, record.group), None)
                    if not record.group.durable:
                        await feed.delete_consumer()
                return
            self._add(client, record, feed)
            await feed.join(member)
        finally:
            feed.lock.release()

    def set_silent(self, client: ClientState, silent: bool) -> list[Feed]:
        """Note whether a client answers heartbeats; return the feeds concerned."""
        feeds = []
        for subscription_id in client.subscriptions:
            live = self._live.get(subscription_id)
            member = live and live.feed.deliveries.members.get(subscription_id)
            if live and member:
                member.silent = silent
                feeds.append(live.feed)
        return feeds

    async def stop(self) -> None:
        """Stop pulling, and leave everything as it is for another copy."""
        await asyncio.gather(*(feed.stop() for feed in self._feeds.values()), return_exceptions=True)
        self._feeds.clear()
        self._live.clear()
        self._by_inbox.clear()


def _member(record: SubscriptionRecord) -> Member:
    return Member(
        record.id,
        record.client_id,
        record.group.channel,
        record.inbox,
        record.max_in_flight,
        float(record.ack_wait),
    )
