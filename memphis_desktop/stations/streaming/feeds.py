"""Feeds: pulls a JetStream consumer's messages and hands them to the members of its group.

One pull request is out at a time. It is asked for again when it was answered in full, when it expired, after
a reconnection, and when its idle heartbeats stay away, which is how a request shows that a server lost it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import nats.errors
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from memphis_desktop.stations.errors import StorageError
from memphis_desktop.stations.jetstream import JetStream
from memphis_desktop.stations.streaming import positions, wire
from memphis_desktop.stations.streaming.deliveries import Deliveries, Member
from memphis_desktop.stations.streaming.positions import Group
from memphis_desktop.stations.streaming.publishing import REPLY_HEADER

log = logging.getLogger(__name__)

_BATCH = 512
_EXPIRES, _HEARTBEAT = 30.0, 10.0
_RETRY = 1.0
"""Seconds before the next pull request after the server could not take one."""
_MOST_BYTES = 8 << 20
_NAKS = 65_536
_ACK, _NAK, _TERM = b"", b"-NAK", b"+TERM"
_OVER = ("Message Size Exceeds MaxBytes", "Batch Completed")  # a pull request that ended as it should


_DRAINING: set[asyncio.Task[None]] = set()


async def _drain(subscription: Subscription) -> None:
    """End a subscription after handling what has come."""
    with contextlib.suppress(nats.errors.Error, asyncio.TimeoutError):
        await subscription.drain()  # type: ignore[no-untyped-call]


def parse_ack_subject(subject: str) -> tuple[int, int, int]:
    """Return the number of deliveries, the sequence and the time in nanoseconds that an ack subject tells.

    Raises:
        ValueError: It is none.
    """
    tokens = subject.split(".")
    if tokens[:2] != ["$JS", "ACK"] or len(tokens) < 9:
        raise ValueError(f"{subject!r} is not an ack subject")
    first = 4 if len(tokens) == 9 else 6  # the longer form names domain and account before the stream
    return int(tokens[first]), int(tokens[first + 1]), int(tokens[first + 3])


def ack_subject(stream: str, consumer: str, sequence: int, consumer_sequence: int = 1) -> str:
    """Return an ack subject for a message that another copy of the gateway delivered."""
    return f"$JS.ACK.{stream}.{consumer}.1.{sequence}.{consumer_sequence}.0.0"


class Feed:
    """One consumer and its members."""

    def __init__(self, client: Client, jetstream: JetStream, stream: str, group: Group) -> None:
        self.stream = stream
        self.group = group
        self.deliveries = Deliveries()
        self.lock = asyncio.Lock()
        """Held while members come and go."""
        self._client = client
        self._jetstream = jetstream
        self._clock: Callable[[], float] = time.monotonic
        self._subscription: Subscription | None = None
        self._inbox = ""
        self._request = 0
        self._left = 0  # messages that the present request may still bring
        self._heard = 0.0
        self._retry_at: float | None = None
        self._broken = False  # the consumer may be gone
        self._mending: asyncio.Task[None] | None = None
        self._closing = False
        self._last = 0
        self._configured: tuple[float, int] = (0.0, 0)

    @property
    def live(self) -> bool:
        """Whether it pulls."""
        return self._subscription is not None

    async def prepare(self, member: Member, start: Callable[[], Awaitable[dict[str, Any]]] | None) -> bool:
        """Make the consumer, or take over the one that is there, for its first member.

        Args:
            member: The first member; it does not join yet.
            start: Tells where a new one begins; None when there has to be one.

        Returns:
            Whether there was one; False too when there is none and none was to be made.

        Raises:
            StorageError: JetStream does not answer or refuses.
        """
        info = await self._jetstream.consumer_info(self.stream, self.group.consumer)
        if info is not None:
            kept = positions.kept_start(info["config"])
        elif start is not None:
            kept = await start()
        else:
            return False
        await self._configure(kept, member.ack_wait, member.max_in_flight)
        return info is not None

    async def _configure(self, start: dict[str, Any], ack_wait: float, capacity: int) -> None:
        config = positions.consumer_config(self.group, start, ack_wait, capacity)
        await self._jetstream.create_durable(self.stream, config)
        self._configured = (ack_wait, capacity)

    async def recall(self) -> None:
        """Have everything redelivered at once that is unacknowledged from an earlier life of the group."""
        info = await self._jetstream.consumer_info(self.stream, self.group.consumer)
        if info is None or not info.get("num_ack_pending"):
            return
        delivered = info["delivered"]
        first, last = info["ack_floor"]["stream_seq"] + 1, delivered["stream_seq"]
        if last - first >= _NAKS:
            log.info("%s: too much to recall; it comes again after the ack wait", self.group.consumer)
            return
        for sequence in range(first, last + 1):
            subject = ack_subject(self.stream, self.group.consumer, sequence, delivered["consumer_seq"])
            await self._client.publish(subject, _NAK)
        # The answer to an acknowledgement that changes nothing: by then all of that is done. After a pull
        # request that came first, some of it would be delivered, and given back once more.
        done = ack_subject(self.stream, self.group.consumer, first - 1)
        with contextlib.suppress(nats.errors.Error):
            await self._client.request(done, _ACK, timeout=2.0)

    async def join(self, member: Member) -> None:
        """Add a member, and pull if it is the first."""
        self.deliveries.join(member)
        if not self.live:
            self._inbox = self._client.new_inbox()
            self._subscription = await self._client.subscribe(f"{self._inbox}.*", cb=self._received)
            await self._pull()
        else:
            await self._adapt()

    async def leave(self, member_id: str) -> None:
        """Remove a member; what it had goes to the others at once, or waits for whoever comes next."""
        last = len(self.deliveries.members) == 1 and member_id in self.deliveries.members
        if last:
            await self._stop_pulling()
            with contextlib.suppress(StorageError):
                # Makes nats-server drop the pull request that nobody waits for any more. While it is there,
                # messages that are given back change their order.
                await self._jetstream.consumer_info(self.stream, self.group.consumer)
        for reply in self.deliveries.leave(member_id):
            await self._answer(reply, _NAK)
        if not last:
            await self._adapt()

    async def stop(self) -> None:
        """Stop pulling and leave everything else as it is, for another copy to go on."""
        await self._stop_pulling()

    async def delete_consumer(self) -> None:
        """Delete the consumer with its position; raises `StorageError`."""
        await self._jetstream.delete_consumer(self.stream, self.group.consumer)

    async def _adapt(self) -> None:
        """Give the consumer the ack wait and the capacity of the present members."""
        wanted = (self.deliveries.ack_wait, self.deliveries.capacity)
        if wanted == self._configured or not self.deliveries.members:
            return
        try:
            info = await self._jetstream.consumer_info(self.stream, self.group.consumer)
            if info is not None:
                await self._configure(positions.kept_start(info["config"]), *wanted)
        except StorageError as error:
            log.warning("%s could not be changed: %s", self.group.consumer, error)

    async def _stop_pulling(self) -> None:
        """End the pull request; what it still brings goes back to the consumer."""
        subscription, self._subscription = self._subscription, None
        if subscription is None:
            return
        if self._mending is not None:
            self._mending.cancel()
        self._closing = True
        # Whoever waits for it may be called off; the flush in it must not be, which nats-py does not bear.
        draining = asyncio.get_running_loop().create_task(_drain(subscription))
        _DRAINING.add(draining)
        draining.add_done_callback(_DRAINING.discard)
        await asyncio.shield(draining)
        self._closing = False

    async def _pull(self) -> None:
        """Ask for messages."""
        self._retry_at = None
        self._heard = self._clock()
        if not self.deliveries.listening:
            self._left = 0
            return  # `wake` goes on
        self._request += 1
        self._left = min(_BATCH, max(1, self.deliveries.capacity))
        body = {
            "batch": self._left,
            "expires": int(_EXPIRES * 1e9),
            "idle_heartbeat": int(_HEARTBEAT * 1e9),
            "max_bytes": max(_MOST_BYTES, 2 * self._client.max_payload),
        }
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self.stream}.{self.group.consumer}"
        try:
            await self._client.publish(subject, orjson.dumps(body), reply=f"{self._inbox}.{self._request}")
        except nats.errors.Error:
            self._retry_at = self._clock() + _RETRY

    async def wake(self) -> None:
        """Go on pulling after a member's client was silent, or after a reconnection."""
        if self.live:
            await self._pull()

    async def _received(self, message: Msg) -> None:
        """Take a message, or what the server says of a pull request."""
        if not message.reply:
            await self._status(message)
            return
        try:
            delivered, sequence, timestamp = parse_ack_subject(message.reply)
        except ValueError:
            return  # not from the consumer
        self._heard = self._clock()
        if self._closing:
            await self._answer(message.reply, _NAK)
            return
        self._left -= 1
        self._last = max(self._last, sequence)
        member = self.deliveries.assign(sequence, message.reply, self._heard)
        if member is None:
            await self._answer(message.reply, _NAK)
            return
        reply = message.headers.get(REPLY_HEADER, "") if message.headers else ""
        data = wire.delivered_message(sequence, member.channel, reply, message.data, timestamp, delivered - 1)
        try:
            await self._client.publish(member.inbox, data)
        except nats.errors.MaxPayloadError:
            log.warning("message %d of %s is too large for a subscriber; skipped", sequence, self.stream)
            self.deliveries.acknowledge(sequence)
            await self._answer(message.reply, _TERM)
        except nats.errors.Error as error:
            log.debug("message %d of %s waits for redelivery: %s", sequence, self.stream, error)
        if self._left <= 0 and self.live:
            await self._pull()

    async def _status(self, message: Msg) -> None:
        headers: dict[str, str] = message.headers or {}
        status, description = headers.get("Status", ""), headers.get("Description", "")
        if message.subject != f"{self._inbox}.{self._request}":
            return  # of a request that was given up
        self._heard = self._clock()
        if status == "100" or self._closing or not self.live:
            return
        if status in ("404", "408") or description in _OVER:
            await self._pull()
            return
        self._broken = status == "503" or "Deleted" in description
        self._retry_at = self._clock() + _RETRY

    async def acknowledge(self, sequence: int) -> None:
        """Take a subscriber's acknowledgement."""
        reply = self.deliveries.acknowledge(sequence)
        if reply is None:  # delivered by the copy that worked before, or not at all
            reply = ack_subject(self.stream, self.group.consumer, sequence)
        await self._answer(reply, _ACK)

    async def _answer(self, reply: str, body: bytes) -> None:
        with contextlib.suppress(nats.errors.Error):  # not connected: it comes again after its ack wait
            await self._client.publish(reply, body)

    async def advance(self) -> None:
        """Do what is due: redeliver to impatient members, ask again after silence, mend the consumer."""
        if not self.live:
            return
        now = self._clock()
        for reply in self.deliveries.overdue(now):
            await self._answer(reply, _NAK)
        if self._retry_at is not None:
            if now < self._retry_at:
                return
            if self._broken:
                self._retry_at = now + 2 * _RETRY
                if self._mending is None or self._mending.done():
                    self._mending = asyncio.get_running_loop().create_task(self._mend())
                return
            await self._pull()
        elif now - self._heard > 2.5 * _HEARTBEAT and self.deliveries.listening:
            self._broken = True
            self._retry_at = now

    async def _mend(self) -> None:
        """Make the consumer anew when somebody deleted it, and pull again once there is one."""
        try:
            async with self.lock:
                if not self.live:
                    return
                if await self._jetstream.consumer_info(self.stream, self.group.consumer) is None:
                    info = await self._jetstream.stream_info(self.stream)
                    if info is None:
                        return
                    log.warning("%s of %s was deleted; made anew", self.group.consumer, self.stream)
                    start = positions.resumed_start(self._last, info["state"]["last_seq"])
                    await self._configure(start, self.deliveries.ack_wait, self.deliveries.capacity)
                self._broken = False
                await self._pull()
        except StorageError as error:
            log.debug("%s: %s", self.group.consumer, error)
