"""Consuming: a batch of a group's messages, acknowledged before it is handed out."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import nats.errors
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from memphis_desktop.stations.errors import StorageError
from memphis_desktop.stations.model import Station
from memphis_desktop.stations.names import internal_name
from memphis_desktop.stations.rest.requests import Fetch

log = logging.getLogger(__name__)

MAX_BYTES = 8 << 20
_IMMEDIATE = 1.0  # seconds to wait for the answer to a request that does not wait itself
_GRACE = 2.0
_RETRY_ACK = 5.0


class GroupMissing(Exception):
    """The group's durable is not there, or its stream."""


class Consuming:
    """Fetches batches. Each pulls what is there first; only when there is nothing, it waits."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._first: dict[str, int] = {}
        self._retries: set[asyncio.Task[None]] = set()

    async def fetch(self, station: Station, fetch: Fetch) -> list[tuple[str, dict[str, str]]]:
        """Return messages as text, with their headers; an empty list when none came in time.

        Bounded in bytes besides: a request is not answered with much more than `MAX_BYTES`.

        Raises:
            GroupMissing: The group has to be made anew.
            StorageError: The server is away.
        """
        if not self._client.is_connected:
            raise StorageError("the server can not be reached", 0, 503)
        messages: list[Msg] = []
        inbox = self._client.new_inbox()
        subscription = await self._client.subscribe(f"{inbox}.*")
        try:
            streams = self._in_turn(station)
            deadline = asyncio.get_running_loop().time() + fetch.wait
            for stream in streams:
                left = fetch.size - len(messages)
                if left <= 0 or _size(messages) >= MAX_BYTES:
                    break
                await self._ask([(stream, left)], fetch, inbox, 0)
                answered = await self._collect(subscription, 1, left, _IMMEDIATE + _GRACE, messages)
                if not answered and not messages:
                    raise StorageError("the server did not answer in time", 0, 503)
            left_time = deadline - asyncio.get_running_loop().time()
            if not messages and left_time > 0.05:
                shares = _shares(streams, fetch.size)
                await self._ask(shares, fetch, inbox, left_time)
                await self._collect(subscription, len(shares), fetch.size, left_time + _GRACE, messages)
        except (nats.errors.Error, OSError) as error:
            if not messages:
                raise StorageError(f"the server can not be reached: {error}", 0, 503) from None
        finally:
            with contextlib.suppress(nats.errors.Error):
                await subscription.unsubscribe()
        await self._acknowledge(messages)
        return [(message.data.decode("utf-8", "replace"), _headers(message)) for message in messages]

    def _in_turn(self, station: Station) -> list[str]:
        """Return the streams of a station, beginning with another partition each time."""
        streams = list(station.streams)
        first = self._first.pop(station.name, 0) % len(streams)
        self._first[station.name] = first + 1
        if len(self._first) > 10_000:
            del self._first[next(iter(self._first))]
        return streams[first:] + streams[:first]

    async def _ask(self, shares: list[tuple[str, int]], fetch: Fetch, inbox: str, wait: float) -> None:
        """Send pull requests; with a wait of 0 they bring what is there now."""
        durable = internal_name(fetch.group)
        for index, (stream, count) in enumerate(shares):
            body: dict[str, object] = {
                "batch": count,
                "max_bytes": max(MAX_BYTES // len(shares), 2 * self._client.max_payload),
            }
            if wait:
                body["expires"] = int(wait * 1e9)
            else:
                body["no_wait"] = True
            subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"
            await self._client.publish(subject, orjson.dumps(body), reply=f"{inbox}.{index}")

    async def _collect(
        self, subscription: Subscription, requests: int, most: int, seconds: float, messages: list[Msg]
    ) -> bool:
        """Take what pull requests bring; return whether all were answered before the time was over."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        wanted = len(messages) + most
        while requests and len(messages) < wanted:
            left = end - loop.time()
            if left <= 0:
                return False
            try:
                message: Msg = await subscription.next_msg(timeout=left)
            except nats.errors.TimeoutError:
                return False
            if message.reply:
                messages.append(message)
                continue
            headers: dict[str, str] = message.headers or {}
            if headers.get("Status") == "503" or "Deleted" in headers.get("Description", ""):
                raise GroupMissing
            requests -= 1
        return True

    async def _acknowledge(self, messages: list[Msg]) -> None:
        for message in messages:
            try:
                await self._client.publish(message.reply, b"")
            except nats.errors.Error:
                task = asyncio.get_running_loop().create_task(self._acknowledge_later(message.reply))
                self._retries.add(task)
                task.add_done_callback(self._retries.discard)

    async def _acknowledge_later(self, reply: str) -> None:
        """Try once more after a while, as Memphis does; what then fails is a dead letter in the end."""
        await asyncio.sleep(_RETRY_ACK)
        with contextlib.suppress(nats.errors.Error):
            await self._client.publish(reply, b"")

    async def stop(self) -> None:
        """Give up acknowledgements that still wait."""
        for task in tuple(self._retries):
            task.cancel()
        if self._retries:
            await asyncio.wait(self._retries)


def _shares(streams: list[str], count: int) -> list[tuple[str, int]]:
    """Return how many messages to wait for at each partition, so that they are never more than wanted."""
    share, rest = divmod(count, len(streams))
    shares = [(stream, share + (index < rest)) for index, stream in enumerate(streams)]
    return [(stream, number) for stream, number in shares if number]


def _size(messages: list[Msg]) -> int:
    return sum(len(message.data) for message in messages)


def _headers(message: Msg) -> dict[str, str]:
    headers: dict[str, str] = message.headers or {}
    return {name: value for name, value in headers.items() if not name.startswith("$memphis")}
