"""A NATS Streaming client of the tests: sends any request, right or wrong, and collects what comes."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from google.protobuf.message import Message
from nats.aio.client import Client
from nats.aio.msg import Msg

from memphis_desktop.stations.streaming import nats_streaming_pb2 as pb
from memphis_desktop.stations.streaming.wire import Subjects
from tests.waiting import PATIENCE

Answer = TypeVar("Answer", bound=Message)


class RawClient:
    """One session of the protocol on a nats-py connection."""

    def __init__(self, nats: Client, client_id: str, cluster: str = "test-cluster") -> None:
        self.nats = nats
        self.id = client_id
        self.subjects = Subjects(cluster)
        self.connection_id = f"connection of {client_id}".encode()
        self.heartbeat_inbox = nats.new_inbox()
        self.heartbeats = 0
        self.answering = True
        self.guids = 0

    async def ask(self, subject: str, request: Message | bytes, answer: type[Answer]) -> Answer:
        """Send a request and return the answer."""
        data = request if isinstance(request, bytes) else request.SerializeToString()
        message = await self.nats.request(subject, data, timeout=PATIENCE, old_style=True)
        return answer.FromString(message.data)

    async def connect(self, **fields: object) -> pb.ConnectResponse:
        """Connect; answers heartbeats while `answering` is true."""

        async def heartbeat(message: Msg) -> None:
            self.heartbeats += 1
            if self.answering:
                await message.respond(b"")

        await self.nats.subscribe(self.heartbeat_inbox, cb=heartbeat)
        request = pb.ConnectRequest(
            client_id=self.id,
            heartbeat_inbox=self.heartbeat_inbox,
            protocol=1,
            connection_id=self.connection_id,
            ping_interval=5,
            ping_max_out=3,
        )
        for name, value in fields.items():
            setattr(request, name, value)
        return await self.ask(self.subjects.discover, request, pb.ConnectResponse)

    async def publish(self, channel: str, data: bytes, guid: str = "", **fields: object) -> pb.PublishAck:
        """Publish a message and return what became of it."""
        self.guids += 1
        request = pb.PublishRequest(
            client_id=self.id,
            guid=guid or f"guid-{self.guids}",
            channel=channel,
            data=data,
            connection_id=self.connection_id,
        )
        for name, value in fields.items():
            setattr(request, name, value)
        return await self.ask(f"{self.subjects.publish}.{channel}", request, pb.PublishAck)

    async def subscribe(self, channel: str, **fields: object) -> RawSubscription:
        """Subscribe from the first message; the answer is in the subscription's `response`."""
        inbox = RawSubscription(self, channel)
        await inbox.start()
        request = pb.SubscriptionRequest(
            client_id=self.id,
            channel=channel,
            inbox=inbox.inbox,
            max_in_flight=1024,
            ack_wait=30,
            start_position=pb.FIRST,
        )
        for name, value in fields.items():
            setattr(request, name, value)
        inbox.response = await self.ask(self.subjects.subscribe, request, pb.SubscriptionResponse)
        return inbox

    async def ping(self) -> pb.PingResponse:
        """Send a ping."""
        return await self.ask(self.subjects.pings, pb.Ping(connection_id=self.connection_id), pb.PingResponse)

    async def close(self) -> pb.CloseResponse:
        """Close the session."""
        return await self.ask(self.subjects.close, pb.CloseRequest(client_id=self.id), pb.CloseResponse)


class RawSubscription:
    """Collects the messages of a subscription; acknowledges nothing by itself unless `acks` is true."""

    def __init__(self, client: RawClient, channel: str) -> None:
        self.client = client
        self.channel = channel
        self.inbox = client.nats.new_inbox()
        self.response = pb.SubscriptionResponse()
        self.messages: list[pb.DeliveredMessage] = []
        self.acks = False
        self._changed = asyncio.Event()

    async def start(self) -> None:
        """Listen."""

        async def receive(message: Msg) -> None:
            self.messages.append(pb.DeliveredMessage.FromString(message.data))
            self._changed.set()
            if self.acks:
                await self.acknowledge(self.messages[-1].sequence)

        await self.client.nats.subscribe(self.inbox, cb=receive)

    @property
    def sequences(self) -> list[int]:
        """The sequences of what came, in order."""
        return [message.sequence for message in self.messages]

    async def wait(self, count: int, seconds: float = PATIENCE) -> list[int]:
        """Wait until so many messages have come; return their sequences."""
        async with asyncio.timeout(seconds):
            while len(self.messages) < count:
                self._changed.clear()
                await self._changed.wait()
        return self.sequences

    async def wait_for_all(self, wanted: set[int]) -> None:
        """Wait until these sequences have come, some perhaps more than once."""
        async with asyncio.timeout(PATIENCE):
            while not wanted <= set(self.sequences):
                self._changed.clear()
                await self._changed.wait()

    async def acknowledge(self, *sequences: int) -> None:
        """Acknowledge messages."""
        for sequence in sequences:
            ack = pb.Ack(channel=self.channel, sequence=sequence)
            await self.client.nats.publish(self.response.ack_inbox, ack.SerializeToString())

    async def end(self, *, unsubscribe: bool) -> str:
        """Close or unsubscribe; return the error."""
        subjects = self.client.subjects
        request = pb.UnsubscribeRequest(
            client_id=self.client.id, channel=self.channel, inbox=self.response.ack_inbox
        )
        subject = subjects.unsubscribe if unsubscribe else subjects.subscription_close
        return (await self.client.ask(subject, request, pb.SubscriptionResponse)).error
