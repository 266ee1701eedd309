"""What a client may ask: each check returns the request or raises with the original server's error text."""

from __future__ import annotations

import re

from memphis_desktop.stations.streaming import nats_streaming_pb2 as pb
from memphis_desktop.stations.streaming import wire
from memphis_desktop.stations.streaming.wire import StreamingError, decode

MAX_IN_FLIGHT = 65_536
"""More unacknowledged messages than this no subscription gets, whatever it asks for."""

MAX_CHANNEL_LENGTH = 255

_CLIENT_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_UNSPEAKABLE = re.compile(r"[\x00-\x20\x7f]")  # would break, or end, a line of the NATS protocol


def channel_is_valid(name: str) -> bool:
    """Return whether a channel may have this name: a literal subject without a slash."""
    if not name or len(name) > MAX_CHANNEL_LENGTH or _UNSPEAKABLE.search(name):
        return False
    return "/" not in name and "*" not in name and ">" not in name and "" not in name.split(".")


def inbox_is_safe(subject: str) -> bool:
    """Return whether the gateway may publish to a subject that a client named.

    It publishes with its own permissions. So it must be a literal subject, and none that means something to
    the server or to the gateway itself: an empty message to ``$JS.API.STREAM.DELETE.x`` deletes a stream.
    """
    if not subject or len(subject) > 1024 or _UNSPEAKABLE.search(subject):
        return False
    tokens = subject.split(".")
    if "" in tokens or "*" in subject or ">" in subject:
        return False
    if tokens[0] == "_STAN":
        return len(tokens) > 1 and tokens[1] not in wire.REQUEST_KINDS
    return not tokens[0].startswith("$")


def connect_request(data: bytes) -> pb.ConnectRequest:
    """Return a connect request that is in order."""
    request = decode(pb.ConnectRequest, data, wire.INVALID_CONNECT_REQUEST)
    if not inbox_is_safe(request.heartbeat_inbox) or len(request.connection_id) > 256:
        raise StreamingError(wire.INVALID_CONNECT_REQUEST)
    if not _CLIENT_ID.fullmatch(request.client_id):
        raise StreamingError(wire.INVALID_CLIENT_ID)
    return request


def publish_request(data: bytes, channel: str) -> pb.PublishRequest:
    """Return a message to store in the channel that its subject names.

    The original server believes the message alone; here both must agree, so that permissions on subjects mean
    what they say. A refusal has to name the message's guid, see `guid_of`.
    """
    request = decode(pb.PublishRequest, data, wire.INVALID_PUBLISH_REQUEST)
    if request.channel != channel or not channel_is_valid(channel):
        raise StreamingError(wire.INVALID_PUBLISH_REQUEST)
    if not request.guid or len(request.guid) > 256 or _UNSPEAKABLE.search(request.guid + request.reply):
        raise StreamingError(wire.INVALID_PUBLISH_REQUEST)
    return request


def guid_of(data: bytes) -> str:
    """Return the guid of a message that was refused, so that its client finds what the refusal is about."""
    try:
        return decode(pb.PublishRequest, data, "").guid
    except StreamingError:
        return ""


def subscription_request(data: bytes) -> pb.SubscriptionRequest:
    """Return a subscription request that is in order, whoever sent it; checked in the original's order."""
    request = decode(pb.SubscriptionRequest, data, wire.INVALID_SUBSCRIPTION_REQUEST)
    if not request.client_id:
        raise StreamingError(wire.MISSING_CLIENT)
    if request.ack_wait <= 0:
        raise StreamingError(wire.INVALID_ACK_WAIT)
    if request.max_in_flight <= 0:
        raise StreamingError(wire.INVALID_MAX_IN_FLIGHT)
    if request.start_position not in pb.StartPosition.values():
        raise StreamingError(wire.INVALID_START)
    if not channel_is_valid(request.channel):
        raise StreamingError(wire.INVALID_SUBJECT)
    if not inbox_is_safe(request.inbox):
        raise StreamingError(wire.INVALID_SUBSCRIPTION_REQUEST)
    return request


def durable_name(request: pb.SubscriptionRequest) -> None:
    """Check what name and group there are; refuses what would be taken for another durable queue group."""
    if request.queue_group and ":" in request.durable_name:
        raise StreamingError(wire.INVALID_DURABLE_NAME)
