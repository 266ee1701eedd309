"""The working copy: takes every request of the cluster id's clients and answers it.

Publishes and acknowledgements are handled at once, in the order of their arrival. Requests that have to wait
for JetStream run in tasks, one after the other for each client, so that a slow one holds up nobody else's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from memphis_desktop.stations.control.routes import Context
from memphis_desktop.stations.errors import StorageError
from memphis_desktop.stations.streaming import checks, wire
from memphis_desktop.stations.streaming import nats_streaming_pb2 as pb
from memphis_desktop.stations.streaming.channels import Channels
from memphis_desktop.stations.streaming.clients import ClientState, ClientTable
from memphis_desktop.stations.streaming.options import StreamingOptions
from memphis_desktop.stations.streaming.publishing import MAX_WAITING, Publisher
from memphis_desktop.stations.streaming.records import Records
from memphis_desktop.stations.streaming.subscriptions import Subscription, Subscriptions
from memphis_desktop.stations.streaming.wire import StreamingError, Subjects
from memphis_desktop.stations.tasks import end_task

log = logging.getLogger(__name__)

_QUEUE = "streaming"
"""Two copies that both think they work, for a moment, do not both answer a request."""
_TICK = 0.25
_FEEDS_AT_ONCE = 100
"""So many are looked after before others get their turn on the loop."""
_MOST_REQUESTS = 4_096
"""Control requests under way or waiting; more are dropped, and their clients time out."""
_MOST_PARKED = 32 << 20
"""Bytes of messages that wait for their channels to be made; more are refused."""
_FIRST_HEARTBEAT = 2.0
"""Seconds after a takeover until clients are asked whether they are still there."""

Handler = Callable[[Msg], Awaitable[None]]


class Session:
    """The state and the requests of one cluster id, while this copy works."""

    def __init__(self, context: Context, records: Records, options: StreamingOptions) -> None:
        self._context = context
        self._client: Client = context.client
        self._records = records
        self._options = options
        self.subjects = Subjects(options.cluster)
        self.clients = ClientTable(options.heartbeats, options.max_clients)
        self.channels = Channels(context, options)
        self.subscriptions = Subscriptions(
            context.client, context.jetstream, records, options.max_subscriptions
        )
        self.publisher = Publisher(
            context.client,
            self._answer,
            timeout=options.publish_timeout,
            stream_missing=self._stream_missing,
            clock=time.monotonic,
        )
        self._inbox = context.client.new_inbox()
        self._listening: list[Any] = []
        self._last_of: dict[str, asyncio.Task[None]] = {}  # client id -> its latest control request
        self._tasks: set[asyncio.Task[None]] = set()
        self._parked: dict[str, list[tuple[pb.PublishRequest, str, str]]] = {}
        self._parked_count = 0
        self._parked_bytes = 0
        self._ticker: asyncio.Task[None] | None = None
        self._inline: dict[str, Handler] = {"pub": self._publish, "ack": self._acknowledge}

    async def start(self) -> None:
        """Take over what there is and begin to answer; raises `StorageError`."""
        clients, subscriptions = await self._records.load()
        now = time.monotonic()
        for client in clients:
            self.clients.add(client, now, delay=min(_FIRST_HEARTBEAT, self._options.heartbeats.interval))
        await self.subscriptions.recover({client.id: client for client in clients}, subscriptions)
        for record in subscriptions:
            with contextlib.suppress(StreamingError):
                if self.subscriptions.get(record.id) is not None:
                    await self.channels.open(record.group.channel)
        await self.publisher.start()
        await self._listen(f"{self._inbox}.*.*", self._heartbeat_answered)
        await self._listen(self.subjects.everything, self._received, _QUEUE)
        await self._listen(self.subjects.discover, self._discovered, _QUEUE)
        await self._context.jetstream.request("INFO")  # answered after the subscriptions were made
        self._ticker = asyncio.get_running_loop().create_task(self._tick())

    async def _listen(self, subject: str, handler: Handler, queue: str = "") -> None:
        self._listening.append(await self._client.subscribe(subject, queue=queue, cb=handler))

    async def stop(self) -> None:
        """Finish what is under way and let go; another copy goes on."""
        for subscription in self._listening:
            with contextlib.suppress(nats.errors.Error):
                await subscription.unsubscribe()
        self._listening.clear()
        await end_task(self._ticker)
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=3.0)
            for task in late:
                task.cancel()
        await self.publisher.finish(2.0 if self._client.is_connected else 0.0)
        await self.publisher.stop()
        await self.subscriptions.stop()

    # Requests

    async def _received(self, message: Msg) -> None:
        """Take any request but a connect request."""
        kind = message.subject.split(".", 2)[1]
        handler = self._inline.get(kind)
        if handler is not None:
            await handler(message)
        elif message.subject == self.subjects.pings:
            await self._ping(message)
        elif message.subject == self.subjects.subscribe:
            await self._control(message, pb.SubscriptionRequest, self._subscribe)
        elif message.subject in (self.subjects.unsubscribe, self.subjects.subscription_close):
            await self._control(message, pb.UnsubscribeRequest, self._unsubscribe)
        elif message.subject == self.subjects.close:
            await self._control(message, pb.CloseRequest, self._close)

    async def _discovered(self, message: Msg) -> None:
        await self._control(message, pb.ConnectRequest, self._connect)

    async def _control(self, message: Msg, request_type: Any, handler: Handler) -> None:
        """Run a request's handler after those that its client sent before."""
        if not checks.inbox_is_safe(message.reply):
            return  # nobody to answer
        if len(self._tasks) >= _MOST_REQUESTS:
            log.warning("too many requests at once; one on %s was dropped", message.subject)
            return
        try:
            client_id = wire.decode(request_type, message.data, "").client_id
        except StreamingError:
            client_id = ""  # its handler tells
        self._run(client_id, lambda: handler(message))

    def _run(self, client_id: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run something in a task, after what was begun for the client before."""
        before = self._last_of.get(client_id)

        async def run() -> None:
            if before is not None and not before.done():
                await asyncio.wait([before])
            try:
                await work()
            except nats.errors.Error as error:
                log.debug("a request could not be answered: %s", error)
            except Exception:
                log.exception("a request failed")

        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        self._last_of[client_id] = task
        task.add_done_callback(lambda done: self._forget_task(client_id, done))

    def _forget_task(self, client_id: str, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._last_of.get(client_id) is task:
            del self._last_of[client_id]

    async def _answer(self, reply: str, data: bytes) -> None:
        """Send an answer to a client, if it said where to."""
        if checks.inbox_is_safe(reply):
            with contextlib.suppress(nats.errors.Error):
                await self._client.publish(reply, data)

    # Connecting and leaving

    async def _connect(self, message: Msg) -> None:
        try:
            request = checks.connect_request(message.data)
            known = self.clients.get(request.client_id)
            if known is not None:
                if await self._answers(known):
                    raise StreamingError(wire.CLIENT_REGISTERED)
                await self._close_client(known)
            if self.clients.full:
                raise StreamingError("stan: too many clients are connected")
            client = ClientState.of(request)
            await self._records.put_client(client)
        except StreamingError as error:
            await self._answer(message.reply, wire.connect_error(str(error)))
            return
        except StorageError as error:
            await self._answer(message.reply, wire.connect_error(f"stan: {error}"))
            return
        self.clients.add(client, time.monotonic())
        log.debug("client %s connected", client.id)
        await self._answer(message.reply, wire.connect_response(self.subjects, request))

    async def _answers(self, client: ClientState) -> bool:
        """Return whether a client that is known is really there."""
        try:
            await self._client.request(client.heartbeat_inbox, b"", timeout=self._options.duplicate_timeout)
        except (nats.errors.TimeoutError, nats.errors.NoRespondersError):
            return False
        return True

    async def _close(self, message: Msg) -> None:
        error = ""
        try:
            request = wire.decode(pb.CloseRequest, message.data, wire.INVALID_CLOSE_REQUEST)
            client = self.clients.get(request.client_id)
            if client is None:
                raise StreamingError(wire.UNKNOWN_CLIENT)
            await self._close_client(client)
        except StreamingError as refusal:
            error = str(refusal)
        await self._answer(message.reply, wire.close_response(error))

    async def _close_client(self, client: ClientState) -> None:
        """Forget a client; its durable subscriptions keep their positions."""
        self.clients.remove(client.id)
        for subscription_id in list(client.subscriptions):
            await self._end(client, subscription_id, unsubscribe=False)
        try:
            await self._records.delete_client(client.id)
        except StorageError as error:
            log.warning("client %s could not be forgotten: %s", client.id, error)
        log.debug("client %s closed", client.id)

    # Subscriptions

    async def _subscribe(self, message: Msg) -> None:
        async def respond(subscription_id: str) -> None:
            inbox = self.subjects.ack_inbox(subscription_id)
            await self._answer(message.reply, wire.subscription_response(inbox))

        try:
            request = checks.subscription_request(message.data)
            if self.clients.get(request.client_id) is None:
                raise StreamingError(wire.UNKNOWN_CLIENT)
            checks.durable_name(request)
            channel = await self.channels.open(request.channel)
            client = self.clients.get(request.client_id)
            if client is None:  # lost meanwhile
                raise StreamingError(wire.UNKNOWN_CLIENT)
            await self.subscriptions.begin(client, channel, request, respond)
        except StreamingError as error:
            await self._answer(message.reply, wire.subscription_response(error=str(error)))
        except StorageError as error:
            self.channels.forget(request.channel)
            await self._answer(message.reply, wire.subscription_response(error=f"stan: {error}"))

    async def _unsubscribe(self, message: Msg) -> None:
        error = ""
        try:
            request = wire.decode(pb.UnsubscribeRequest, message.data, wire.INVALID_UNSUBSCRIBE_REQUEST)
            live = self._subscription_of(request)
            client = self.clients.get(request.client_id)
            if client is None or live.record.client_id != client.id:
                raise StreamingError(wire.UNKNOWN_CLIENT)
            unsubscribe = message.subject == self.subjects.unsubscribe
            await self._end(client, live.record.id, unsubscribe=unsubscribe)
        except StreamingError as refusal:
            error = str(refusal)
        await self._answer(message.reply, wire.subscription_response(error=error))

    def _subscription_of(self, request: pb.UnsubscribeRequest) -> Subscription:
        """Return the subscription that is named by its ack inbox, or by its inbox; raises when unknown."""
        live = self.subscriptions.get(request.inbox.removeprefix(self.subjects.ack_inbox("")))
        live = live or self.subscriptions.by_inbox(request.inbox)
        if live is None or live.record.group.channel != request.channel:
            known = self.channels.get(request.channel) is not None
            raise StreamingError(wire.INVALID_SUBSCRIPTION if known else wire.UNKNOWN_CHANNEL)
        return live

    async def _end(self, client: ClientState, subscription_id: str, *, unsubscribe: bool) -> None:
        try:
            await self.subscriptions.end(client, subscription_id, unsubscribe=unsubscribe)
        except StorageError as error:
            log.warning("subscription %s could not be ended to the last: %s", subscription_id, error)

    async def _acknowledge(self, message: Msg) -> None:
        live = self.subscriptions.get(message.subject.rpartition(".")[2])
        if live is None:
            return
        with contextlib.suppress(StreamingError):
            ack = wire.decode(pb.Ack, message.data, "")
            if ack.channel == live.record.group.channel and ack.sequence > 0:
                await live.feed.acknowledge(ack.sequence)

    # Publishing

    async def _publish(self, message: Msg) -> None:
        channel_name = message.subject.removeprefix(self.subjects.publish + ".")
        try:
            request = checks.publish_request(message.data, channel_name)
            client = self.clients.sender(request.client_id, request.connection_id)
            if client is None:
                raise StreamingError(wire.INVALID_PUBLISH_REQUEST)
        except StreamingError as error:
            await self._answer(message.reply, wire.publish_ack(checks.guid_of(message.data), str(error)))
            return
        channel = self.channels.get(channel_name)
        if channel is not None and channel_name not in self._parked:
            await self.publisher.publish(channel.stream, client.id, request, message.reply)
        else:
            await self._park(request, client.id, message.reply)

    async def _park(self, request: pb.PublishRequest, sender: str, reply: str) -> None:
        """Keep a message until its channel is open."""
        if self._parked_count >= MAX_WAITING or self._parked_bytes + len(request.data) > _MOST_PARKED:
            text = "stan: too many messages are waiting for new channels"
            await self._answer(reply, wire.publish_ack(request.guid, text))
            return
        self._parked_count += 1
        self._parked_bytes += len(request.data)
        waiting = self._parked.get(request.channel)
        if waiting is not None:
            waiting.append((request, sender, reply))
            return
        self._parked[request.channel] = [(request, sender, reply)]
        self._run(f"channel {request.channel}", lambda: self._unpark(request.channel))

    async def _unpark(self, name: str) -> None:
        """Open a channel, and store what waits for it."""
        error = ""
        stream = ""
        try:
            stream = (await self.channels.open(name)).stream
        except StreamingError as refusal:
            error = str(refusal)
        waiting = self._parked[name]
        while waiting:  # more may come meanwhile, and has to stay behind
            request, sender, reply = waiting.pop(0)
            self._parked_count -= 1
            self._parked_bytes -= len(request.data)
            if stream:
                await self.publisher.publish(stream, sender, request, reply)
            else:
                await self._answer(reply, wire.publish_ack(request.guid, error))
        del self._parked[name]

    def _stream_missing(self, name: str) -> None:
        """Look for a channel's stream, and make it anew when somebody deleted it."""
        if self.channels.get(name) is not None:
            self.channels.forget(name)
            self._run(f"channel {name}", lambda: self._reopen(name))

    async def _reopen(self, name: str) -> None:
        try:
            await self.channels.open(name)
        except StreamingError as error:
            log.warning("%s", error)

    # Signs of life

    async def _ping(self, message: Msg) -> None:
        try:
            ping = wire.decode(pb.Ping, message.data, "")
        except StreamingError:
            return
        if message.data:
            known = self.clients.pinged(ping.connection_id, time.monotonic())
            await self._answer(message.reply, wire.ping_response("" if known else wire.CLIENT_LOST))

    async def _heartbeat_answered(self, message: Msg) -> None:
        if message.headers and "Status" in message.headers:
            return  # nobody listens there
        client_id, _, generation = message.subject.removeprefix(f"{self._inbox}.").partition(".")
        if generation.isdigit():
            client = self.clients.answered(client_id, int(generation), time.monotonic())
            if client is not None:
                for feed in self.subscriptions.set_silent(client, False):
                    await feed.wake()

    async def _tick(self) -> None:
        """Do what is due, again and again."""
        reconnects = self._client.stats["reconnects"]
        while True:
            await asyncio.sleep(_TICK)
            try:
                await self._advance(self._client.stats["reconnects"] != reconnects)
                reconnects = self._client.stats["reconnects"]
            except nats.errors.Error as error:
                log.debug("not connected: %s", error)
            except Exception:
                log.exception("the gateway stumbled")

    async def _advance(self, reconnected: bool) -> None:
        due = self.clients.advance(time.monotonic())
        for client in due.ask:
            reply = f"{self._inbox}.{client.id}.{client.generation}"
            await self._client.publish(client.heartbeat_inbox, b"", reply=reply)
        for client in due.silent:
            self.subscriptions.set_silent(client, True)
        for client in due.lost:
            log.info("client %s does not answer heartbeats; closed", client.id)
            self._run(client.id, lambda client=client: self._close_lost(client))  # type: ignore[misc]
        await self.publisher.advance()
        for number, feed in enumerate(self.subscriptions.feeds):
            if number % _FEEDS_AT_ONCE == 0:
                await asyncio.sleep(0)
            if reconnected:
                await feed.wake()
            await feed.advance()

    async def _close_lost(self, client: ClientState) -> None:
        if self.clients.get(client.id) is client:  # not replaced meanwhile
            await self._close_client(client)
