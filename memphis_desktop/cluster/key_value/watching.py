"""Watching a bucket: an ordered consumer that is made, kept in order, and taken away again.

On a read-only connection, where nothing may be made, new revisions are read as they come instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.key_value.entry import Entry
from memphis_desktop.inspect.key_value.keys import KeyReader
from memphis_desktop.inspect.key_value.names import subject_filter
from memphis_desktop.inspect.message import Headers, InspectedMessage

if TYPE_CHECKING:
    from memphis_desktop.cluster.session import Session

log = logging.getLogger(__name__)

FLUSH_SECONDS = 0.1  # so often at most what came is handed on
MOST_WAITING = 2_000  # entries that wait to be handed on; of more, the oldest are dropped and counted
_HEARTBEAT = 5_000_000_000  # nanoseconds
_SILENCE = 12.0  # seconds without a heartbeat after which the consumer is made anew
_LIFE = 30_000_000_000  # nanoseconds a consumer outlives a program that ends without a word
_FOLLOW_SECONDS = 0.5
_AGAIN_SECONDS = 1.0

Changed = Callable[[list[Entry]], None]


class KeyWatch:
    """Tells of every new revision below a place, in order, until it is stopped.

    Attributes:
        dropped: Entries that came too fast to be told.
        problem: Why nothing comes at the moment; empty when all is well.
    """

    def __init__(self, session: Session, keys: KeyReader, within: str, changed: Changed) -> None:
        self.dropped = 0
        self.problem = ""
        self._session = session
        self._keys = keys
        self._within = within
        self._changed = changed
        self._last = 0  # stream sequence seen
        self._expected = 1  # consumer sequence that comes next
        self._consumer = ""
        self._inbox = ""
        self._subscription: Any = None
        self._waiting: list[Entry] = []
        self._flush: asyncio.TimerHandle | None = None
        self._heard = 0.0
        self._task: asyncio.Task[None] | None = None
        self._broken = asyncio.Event()

    @property
    def running(self) -> bool:
        """Whether it watches."""
        return self._task is not None

    async def start(self) -> None:
        """Watch from now on.

        Raises:
            ReadError: The bucket cannot be read.
        """
        self._last = (await self._keys.reader.refresh()).last
        run = self._follow if self._session.profile.read_only else self._keep
        self._task = asyncio.get_running_loop().create_task(run())

    async def stop(self) -> None:
        """Watch no more, and leave nothing behind."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
        await self._remove()

    # With a consumer

    async def _keep(self) -> None:
        """Have a consumer, and another one when it has a gap or falls silent."""
        while True:
            try:
                await self._make()
                self.problem = ""
                await self._until_broken()
            except (ClusterError, NatsError, OSError) as error:
                self.problem = str(error)
                await asyncio.sleep(_AGAIN_SECONDS)
            await self._remove()

    async def _until_broken(self) -> None:
        while not self._broken.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._broken.wait(), 1.0)
            if time.monotonic() - self._heard > _SILENCE:
                return

    async def _make(self) -> None:
        session, bucket = self._session, self._keys.bucket
        self._broken.clear()
        self._expected = 1
        self._heard = time.monotonic()
        self._inbox = session.nats.new_inbox()
        name = f"watch-{secrets.token_hex(6)}"
        self._subscription = await session.nats.subscribe(self._inbox, cb=self._take)
        body = {
            "stream_name": bucket.stream,
            "config": {
                "name": name,
                "deliver_subject": self._inbox,
                "deliver_policy": "by_start_sequence",
                "opt_start_seq": self._last + 1,
                "filter_subject": subject_filter(bucket.prefix, self._within),
                "ack_policy": "none",
                "max_deliver": 1,
                "mem_storage": True,
                "num_replicas": 1,
                "flow_control": True,
                "idle_heartbeat": _HEARTBEAT,
                "inactive_threshold": _LIFE,
            },
            "action": "create",
        }
        self._consumer = name  # before the answer: one that is lost has made it all the same
        await session.api(f"CONSUMER.CREATE.{bucket.stream}.{name}", body)

    async def _remove(self) -> None:
        subscription, self._subscription = self._subscription, None
        consumer, self._consumer = self._consumer, ""
        if subscription is not None:
            with contextlib.suppress(NatsError, OSError, ClusterError):
                await subscription.unsubscribe()
        if consumer:
            with contextlib.suppress(ClusterError):
                await self._session.api(f"CONSUMER.DELETE.{self._keys.bucket.stream}.{consumer}")

    async def _take(self, message: Msg) -> None:
        if self._task is None or message.subject.startswith("$JS."):
            return
        self._heard = time.monotonic()
        headers = message.headers or {}
        if headers.get("Status"):  # untranslated: a header
            if message.reply:  # flow control asks for an answer
                with contextlib.suppress(NatsError, OSError, ClusterError):
                    await self._session.nats.publish(message.reply)
            elif int(headers.get("Nats-Last-Consumer") or 0) >= self._expected:
                self._broken.set()  # something it sent did not come
            return
        place = delivery_place(message.reply)
        if place is None:
            return
        sequence, consumer_sequence, time_ns = place
        if consumer_sequence != self._expected:
            if consumer_sequence > self._expected:
                self._broken.set()
            return
        self._expected += 1
        self._last = sequence
        self._note(
            InspectedMessage(
                self._keys.bucket.stream,
                sequence,
                time_ns,
                message.subject,
                _header_bytes(headers),
                message.data,
            )
        )

    # Without one

    async def _follow(self) -> None:
        reader, bucket = self._keys.reader, self._keys.bucket
        pattern = subject_filter(bucket.prefix, self._within)
        while True:
            try:
                bounds = await reader.refresh()
                while self._last < bounds.last:
                    page = await reader.forward(self._last + 1, subject=pattern)
                    for message in page.messages:
                        self._note(message)
                    if page.last <= self._last:
                        break
                    self._last = page.last
                self.problem = ""
            except ReadError as error:
                self.problem = str(error)
            await asyncio.sleep(_FOLLOW_SECONDS)

    # Handing on

    def _note(self, message: InspectedMessage) -> None:
        if not message.subject.startswith(self._keys.bucket.prefix + self._within):
            return
        self._waiting.append(Entry.of(self._keys.bucket, message))
        if len(self._waiting) > MOST_WAITING:
            self.dropped += len(self._waiting) - MOST_WAITING
            del self._waiting[:-MOST_WAITING]
        if self._flush is None:
            self._flush = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._hand_on)

    def _hand_on(self) -> None:
        self._flush = None
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._changed(waiting)


def _header_bytes(headers: dict[str, str]) -> bytes:
    try:
        return Headers(headers.items()).encode()
    except ValueError:
        log.debug("headers that cannot be written again are left out")
        return b""


def delivery_place(reply: str) -> tuple[int, int, int] | None:
    """Return stream sequence, consumer sequence and time (ns) that a delivery's reply subject tells.

    Servers write ``$JS.ACK.stream.consumer.deliveries.sequence.consumer-sequence.time.pending``, newer ones
    with domain and account before the stream; None for anything else.
    """
    tokens = reply.split(".")
    if tokens[:2] != ["$JS", "ACK"] or len(tokens) < 9:
        return None
    at = 2 if len(tokens) == 9 else 4
    try:
        return int(tokens[at + 3]), int(tokens[at + 4]), int(tokens[at + 5])
    except (ValueError, IndexError):
        return None
