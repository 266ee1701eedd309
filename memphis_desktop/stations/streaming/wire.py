"""Subjects, messages and error texts of NATS Streaming: bytes in, messages out. No sockets, no clock.

Clients compare the error texts with their own constants, so each is the original server's, to the letter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from memphis_desktop.stations.streaming import nats_streaming_pb2 as pb

PROTOCOL = 1
"""The version in which clients send pings and name their connection."""

INVALID_SUBJECT = "stan: invalid subject"
INVALID_START = "stan: invalid start position"
INVALID_SUBSCRIPTION = "stan: invalid subscription"
CLIENT_REGISTERED = "stan: clientID already registered"
MISSING_CLIENT = "stan: clientID missing"
INVALID_CLIENT_ID = "stan: invalid clientID: only alphanumeric and `-` or `_` characters allowed"
INVALID_ACK_WAIT = "stan: invalid ack wait time, should be >= 1s"
INVALID_MAX_IN_FLIGHT = "stan: invalid MaxInflight, should be >= 1"
INVALID_CONNECT_REQUEST = "stan: invalid connection request"
INVALID_PUBLISH_REQUEST = "stan: invalid publish request"
INVALID_SUBSCRIPTION_REQUEST = "stan: invalid subscription request"
INVALID_UNSUBSCRIBE_REQUEST = "stan: invalid unsubscribe request"
INVALID_CLOSE_REQUEST = "stan: invalid close request"
DUPLICATE_DURABLE = "stan: duplicate durable registration"
INVALID_DURABLE_NAME = "stan: durable name of a durable queue subscriber can't contain the character ':'"
UNKNOWN_CLIENT = "stan: unknown clientID"
UNKNOWN_CHANNEL = "stan: unknown channel"
TOO_MANY_CHANNELS = "too many channels"
TOO_MANY_SUBSCRIPTIONS = "too many subscriptions per channel"
CLIENT_LOST = "client has been replaced or is no longer registered"

Decoded = TypeVar("Decoded", bound=Message)


class StreamingError(Exception):
    """A request that is refused; the text goes to the client as it is."""


@dataclass(frozen=True, slots=True)
class Subjects:
    """Where clients of one cluster id send what. All but `discover` match `everything`."""

    cluster: str

    @property
    def discover(self) -> str:
        """Connect requests."""
        return f"_STAN.discover.{self.cluster}"

    @property
    def pings(self) -> str:
        """Pings of clients."""
        return f"_STAN.discover.{self.cluster}.pings"

    @property
    def publish(self) -> str:
        """What stands before a dot and the channel."""
        return f"_STAN.pub.{self.cluster}"

    @property
    def subscribe(self) -> str:
        """Subscription requests."""
        return f"_STAN.sub.{self.cluster}.requests"

    @property
    def unsubscribe(self) -> str:
        """Requests that end a subscription."""
        return f"_STAN.unsub.{self.cluster}.requests"

    @property
    def subscription_close(self) -> str:
        """Requests that pause a durable subscription."""
        return f"_STAN.subclose.{self.cluster}.requests"

    @property
    def close(self) -> str:
        """Requests that end a client's session."""
        return f"_STAN.close.{self.cluster}.requests"

    @property
    def everything(self) -> str:
        """One subscription for all requests, so that they come in the order in which they were sent."""
        return f"_STAN.*.{self.cluster}.>"

    def ack_inbox(self, subscription_id: str) -> str:
        """Return where the acknowledgements of a subscription go."""
        return f"_STAN.ack.{self.cluster}.{subscription_id}"


REQUEST_KINDS = frozenset({"discover", "pub", "sub", "unsub", "subclose", "close", "ack"})
"""The second token of the subjects above: nothing is ever sent to them on behalf of a client."""


def decode(message_type: type[Decoded], data: bytes, error: str) -> Decoded:
    """Return the message that `data` holds.

    Args:
        message_type: Its class.
        data: What arrived.
        error: The text of the refusal.

    Raises:
        StreamingError: It is no such message.
    """
    message = message_type()
    try:
        message.ParseFromString(data)
    except DecodeError:
        raise StreamingError(error) from None
    return message


def connect_response(subjects: Subjects, request: pb.ConnectRequest) -> bytes:
    """Return the answer that tells a client where to send everything; its ping settings are echoed."""
    response = pb.ConnectResponse(
        publish_prefix=subjects.publish,
        subscribe_requests=subjects.subscribe,
        unsubscribe_requests=subjects.unsubscribe,
        close_requests=subjects.close,
        subscription_close_requests=subjects.subscription_close,
        protocol=PROTOCOL,
    )
    if request.protocol >= PROTOCOL:
        response.ping_requests = subjects.pings
        response.ping_interval = request.ping_interval
        response.ping_max_out = request.ping_max_out
    return response.SerializeToString()


def connect_error(text: str) -> bytes:
    """Return the answer to a refused connect request."""
    return pb.ConnectResponse(error=text).SerializeToString()


def publish_ack(guid: str, error: str = "") -> bytes:
    """Return the answer to a published message: stored, or why not."""
    return pb.PublishAck(guid=guid, error=error).SerializeToString()


def subscription_response(ack_inbox: str = "", error: str = "") -> bytes:
    """Return the answer to a request that begins, pauses or ends a subscription."""
    return pb.SubscriptionResponse(ack_inbox=ack_inbox, error=error).SerializeToString()


def close_response(error: str = "") -> bytes:
    """Return the answer to a close request."""
    return pb.CloseResponse(error=error).SerializeToString()


def ping_response(error: str = "") -> bytes:
    """Return the answer to a ping; empty when all is well."""
    return pb.PingResponse(error=error).SerializeToString()


def delivered_message(
    sequence: int, channel: str, reply: str, data: bytes, timestamp: int, redeliveries: int
) -> bytes:
    """Return a message as it goes to a subscription's inbox; `timestamp` in nanoseconds since 1970."""
    return pb.DeliveredMessage(
        sequence=sequence,
        channel=channel,
        reply=reply,
        data=data,
        timestamp=timestamp,
        redelivered=redeliveries > 0,
        redelivery_count=redeliveries & 0xFFFFFFFF,
    ).SerializeToString()
