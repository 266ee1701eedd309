"""A bucket's present content, kept current: for screens and for housekeeping, which read much and often.

A push consumer delivers the last value of each key and then every change. When it misses something (a gap
in its sequence, no heartbeat, a new connection) it begins anew and swaps the whole content once it is
complete, so that readers never see half of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from memphis_desktop.stations.buckets import OPERATION, Bucket, Entry
from memphis_desktop.stations.errors import StorageError
from memphis_desktop.stations.tasks import end_task

log = logging.getLogger(__name__)

_HEARTBEAT = 5.0
_LOOK = 0.5  # seconds between two looks at the connection
_RETRY = 1.0
_SLICE = 0.003  # seconds of work at a stretch
_MARKS = (OPERATION, "Nats-Marker-Reason")

Listener = Callable[[], None]


class BucketView:
    """The entries of a bucket, or of those keys that match a pattern."""

    def __init__(self, bucket: Bucket, pattern: str = ">") -> None:
        self._bucket = bucket
        self._pattern = pattern
        self._entries: dict[str, Entry] = {}
        self._filling: dict[str, Entry] | None = None
        self._expected = 1
        self._heard = 0.0
        self._yielded = 0.0
        self._subscription: Subscription | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._again = asyncio.Event()
        self._listeners: list[Listener] = []
        self.complete = asyncio.Event()

    @property
    def entries(self) -> Mapping[str, Entry]:
        """The content; empty before it is complete for the first time."""
        return MappingProxyType(self._entries)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` after each change; the result ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def start(self) -> None:
        """Begin to follow the bucket; it may be missing yet."""
        if self._keeper is None:
            self._keeper = asyncio.get_running_loop().create_task(self._keep())

    async def stop(self) -> None:
        """End it."""
        keeper, self._keeper = self._keeper, None
        await end_task(keeper)
        await self._unsubscribe()

    async def read(self) -> dict[str, Entry]:
        """Return the content as it is now, without following it.

        Raises:
            StorageError: The bucket does not exist, or the server did not answer.
        """
        try:
            await self._subscribe()
            async with asyncio.timeout(30):
                await self.complete.wait()
        except TimeoutError:
            raise StorageError("the server did not deliver a bucket's content in time", 0, 408) from None
        finally:
            await self._unsubscribe()
        return self._entries

    async def _keep(self) -> None:
        while True:
            self._again.clear()
            try:
                await self._unsubscribe()
                await self._subscribe()
                await self._watch()
            except StorageError as error:
                log.debug("following %s: %s", self._bucket.name, error)
                await asyncio.sleep(_RETRY)

    async def _watch(self) -> None:
        """Return when the content has to be read anew."""
        client = self._bucket.jetstream.client
        connections = client.stats["reconnects"]
        while time.monotonic() - self._heard < 2.5 * _HEARTBEAT and client.stats["reconnects"] == connections:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK):
                    await self._again.wait()
                return

    async def _subscribe(self) -> None:
        client = self._bucket.jetstream.client
        inbox = client.new_inbox()
        self._filling, self._expected, self._heard = {}, 1, time.monotonic()
        self._subscription = await client.subscribe(inbox, cb=self._receive)
        config = {
            "deliver_subject": inbox,
            "deliver_policy": "last_per_subject",
            "filter_subject": self._bucket.prefix + self._pattern,
            "ack_policy": "none",
            "max_deliver": 1,
            "idle_heartbeat": int(_HEARTBEAT * 1e9),
            "inactive_threshold": 30_000_000_000,
            "mem_storage": True,
            "num_replicas": 1,
        }
        body = {"stream_name": self._bucket.stream, "config": config}
        answer = await self._bucket.jetstream.request(f"CONSUMER.CREATE.{self._bucket.stream}", body)
        delivered = answer.get("delivered", {}).get("consumer_seq", 0)
        if self._filling is not None and not answer.get("num_pending", 0) and not delivered:
            self._finish()

    async def _unsubscribe(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            with contextlib.suppress(Exception):  # the connection may be gone, and the subscription with it
                await subscription.unsubscribe()

    async def _receive(self, message: Msg) -> None:
        subscription = self._subscription
        if subscription is not None and message._sid != subscription._id:
            return  # of the consumer before
        self._heard = time.monotonic()
        headers: dict[str, str] = message.headers or {}
        if "Status" in headers:
            if headers.get("Nats-Last-Consumer", str(self._expected - 1)) != str(self._expected - 1):
                self._again.set()
            return
        tokens = message.reply.split(".")
        position = tokens[5:9] if len(tokens) == 9 else tokens[7:11]  # the longer form has domain and account
        if len(position) < 4 or int(position[1]) != self._expected:
            self._again.set()
            return
        self._expected += 1
        key = message.subject.removeprefix(self._bucket.prefix)
        self._apply(key, message.data, headers, int(position[0]), int(position[3]))
        if time.perf_counter() - self._yielded > _SLICE:  # many come at once, and others want the loop, too
            await asyncio.sleep(0)
            self._yielded = time.perf_counter()

    def _apply(self, key: str, value: bytes, headers: Mapping[str, Any], revision: int, pending: int) -> None:
        content = self._entries if self._filling is None else self._filling
        if any(mark in headers for mark in _MARKS):
            content.pop(key, None)
            self._forgotten(key)
        else:
            entry = content[key] = Entry(key, value, revision)
            self._arrived(entry)
        if self._filling is None:
            self._notify()
        elif pending == 0:
            self._finish()

    def _arrived(self, entry: Entry) -> None:
        """An entry is there, new or changed: what its reader has to do for it is done one by one."""

    def _forgotten(self, key: str) -> None:
        """An entry is gone."""

    def _finish(self) -> None:
        assert self._filling is not None
        self._entries, self._filling = self._filling, None
        self.complete.set()
        self._notify()

    def _notify(self) -> None:
        for listener in tuple(self._listeners):
            listener()


async def snapshot(bucket: Bucket, pattern: str = ">") -> dict[str, Entry]:
    """Return the entries that match a pattern, read at once; raises `StorageError`."""
    return await BucketView(bucket, pattern).read()
