"""Messages on their way into a channel: sent to JetStream, stored, acknowledged; sent again when need be.

A message carries its client's id, connection and guid as message id. Sent a second time, by the gateway
because no answer came or by a client that lost one, it is acknowledged and not stored again. The original
server tells no duplicates apart; clients never use a guid twice, so they see no difference.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import nats.errors
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from memphis_desktop.stations.names import message_subject
from memphis_desktop.stations.streaming import nats_streaming_pb2 as pb
from memphis_desktop.stations.streaming import wire

log = logging.getLogger(__name__)

REPLY_HEADER = "Stan-Reply"
"""Keeps the reply subject that a publisher may set; delivered with the message."""

MAX_WAITING = 65_536
"""Messages that may be on their way; more are refused."""
MAX_WAITING_BYTES = 256 << 20

_RETRY_REFUSED = 0.5
_RETRY_UNANSWERED = 2.5
"""Seconds until a message is sent again with the same id: when no stream took it, and without answer."""

_NOT_STORED = "stan: the message could not be stored: "

Publish = Callable[..., Awaitable[None]]


@dataclass(slots=True)
class _Waiting:
    """A message on its way."""

    stream: str
    channel: str
    guid: str
    reply: str
    data: bytes
    headers: dict[str, str]
    deadline: float


def headers_of(sender: str, request: pb.PublishRequest) -> dict[str, str]:
    """Return the headers of a message in its stream; `request` was checked, its connection id was not."""
    connection = request.connection_id.decode("ascii", "replace")
    if not connection.isprintable():
        connection = request.connection_id.hex()
    headers = {
        "Nats-Msg-Id": f"{sender}:{connection}:{request.guid}",
        "$memphis_producedBy": sender.lower(),
        "$memphis_connectionId": connection,
    }
    if request.reply:
        headers[REPLY_HEADER] = request.reply
    return headers


class Publisher:
    """Sends messages to JetStream and answers their clients. One inbox, no task per message."""

    def __init__(
        self,
        client: Client,
        answer: Publish,
        *,
        timeout: float,
        stream_missing: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        """Prepare.

        Args:
            client: The connection.
            answer: Publishes an answer to a client: subject and bytes.
            timeout: Seconds after which a message that was not acknowledged has failed.
            stream_missing: Told the channel whose stream does not answer, so that it is looked up anew.
            clock: The monotonic clock.
        """
        self._client = client
        self._answer = answer
        self._timeout = timeout
        self._stream_missing = stream_missing
        self._clock = clock
        self._inbox = client.new_inbox()
        self._waiting: dict[int, _Waiting] = {}
        self._refused: deque[tuple[float, int]] = deque()  # when to send what again, each in order of time
        self._unanswered: deque[tuple[float, int]] = deque()
        self._bytes = 0
        self._count = 0
        self._empty = asyncio.Event()
        self._subscription: Subscription | None = None

    async def start(self) -> None:
        """Listen for JetStream's answers."""
        self._subscription = await self._client.subscribe(f"{self._inbox}.*", cb=self._answered)

    async def finish(self, seconds: float) -> None:
        """Wait until everything is stored, but no longer than `seconds`."""
        if self._waiting:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._empty.wait()

    async def stop(self) -> None:
        """Stop listening, and tell the clients of what is still on its way that it may not be stored."""
        if self._subscription is not None:
            with contextlib.suppress(nats.errors.Error):
                await self._subscription.unsubscribe()
        waiting, self._waiting = self._waiting, {}
        for message in waiting.values():
            await self._refuse(message.reply, message.guid, "the gateway stopped before it was acknowledged")

    def __len__(self) -> int:
        return len(self._waiting)

    async def publish(self, stream: str, sender: str, request: pb.PublishRequest, reply: str) -> None:
        """Send a message on its way; its client gets the answer at `reply`, when it named one."""
        size = len(request.data)
        if len(self._waiting) >= MAX_WAITING or self._bytes + size > MAX_WAITING_BYTES:
            await self._refuse(reply, request.guid, "too many messages are waiting for storage")
            return
        headers = headers_of(sender, request)
        if size + sum(len(name) + len(value.encode()) + 4 for name, value in headers.items()) + 12 > (
            self._client.max_payload
        ):
            await self._refuse(reply, request.guid, "it is larger than the server's max_payload allows")
            return
        now = self._clock()
        self._count += 1
        number = self._count
        waiting = _Waiting(
            stream, request.channel, request.guid, reply, request.data, headers, now + self._timeout
        )
        self._waiting[number] = waiting
        self._empty.clear()
        self._unanswered.append((now + _RETRY_UNANSWERED, number))
        self._bytes += size
        await self._send(number, waiting)

    async def _send(self, number: int, waiting: _Waiting) -> None:
        try:
            await self._client.publish(
                message_subject(waiting.stream),
                waiting.data,
                reply=f"{self._inbox}.{number}",
                headers=waiting.headers,
            )
        except (nats.errors.OutboundBufferLimitError, nats.errors.ConnectionClosedError):
            return  # not connected: `advance` tries again until the message's time is over
        except nats.errors.Error as error:
            self._take(number)
            await self._refuse(waiting.reply, waiting.guid, str(error))

    async def _answered(self, message: Msg) -> None:
        """Take JetStream's answer to a message."""
        try:
            number = int(message.subject.rpartition(".")[2])
            waiting = self._waiting[number]
        except (ValueError, KeyError):
            return  # an answer to a message that was sent twice, or came too late
        if message.headers and "Status" in message.headers:  # no stream takes it, at present
            self._stream_missing(waiting.channel)
            self._refused.append((self._clock() + _RETRY_REFUSED, number))
            return
        try:
            answer = orjson.loads(message.data)
            error = answer.get("error")
            text = str(error.get("description", error)) if error else ""
        except (ValueError, AttributeError):
            text = "an answer that is not understood"
        self._take(number)
        if text:
            await self._refuse(waiting.reply, waiting.guid, text)
        elif waiting.reply:
            await self._answer(waiting.reply, wire.publish_ack(waiting.guid))

    async def advance(self) -> None:
        """Send again what got no answer, and give up what had its time."""
        now = self._clock()
        again = {number for queue in (self._refused, self._unanswered) for number in _due(queue, now)}
        for number in sorted(again):
            waiting = self._waiting.get(number)
            if waiting is None:
                continue
            if now >= waiting.deadline:
                self._take(number)
                await self._refuse(waiting.reply, waiting.guid, "the server did not answer in time")
                continue
            self._unanswered.append((now + _RETRY_UNANSWERED, number))
            await self._send(number, waiting)

    def _take(self, number: int) -> None:
        waiting = self._waiting.pop(number, None)
        if waiting is not None:
            self._bytes -= len(waiting.data)
            if not self._waiting:
                self._empty.set()

    async def _refuse(self, reply: str, guid: str, reason: str) -> None:
        log.debug("message %s was not stored: %s", guid, reason)
        if reply:
            await self._answer(reply, wire.publish_ack(guid, _NOT_STORED + reason))


def _due(queue: deque[tuple[float, int]], now: float) -> list[int]:
    """Take from a queue in order of time what is due."""
    found = []
    while queue and queue[0][0] <= now:
        found.append(queue.popleft()[1])
    return found
