"""What can be set about the gateway."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from memphis_desktop.errors import Failure
from memphis_desktop.stations.streaming.clients import Heartbeats

DEFAULT_CLUSTER = "test-cluster"

_CLUSTER = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class StreamingOptions:
    """Settings of one gateway. Limits are per cluster id; times in seconds.

    Attributes:
        cluster: The cluster id that clients name; one token of a subject.
        replicas: How many servers keep channels and state; 0 for as many as keep the rest of the layer.
        lease: How long the working copy may be silent before another takes its place.
        duplicate_timeout: How long a client has to prove that it lives when another wants its id.
        publish_timeout: How long a message may take to be stored before its client is told that it failed.
    """

    cluster: str = DEFAULT_CLUSTER
    replicas: int = 0
    heartbeats: Heartbeats = field(default_factory=Heartbeats)
    lease: float = 6.0
    duplicate_timeout: float = 0.5
    publish_timeout: float = 20.0
    max_clients: int = 10_000
    max_channels: int = 1_000
    max_subscriptions: int = 20_000
    channel_messages: int = 1_000_000
    """How many messages a channel keeps that the gateway makes, the original server's default."""

    def __post_init__(self) -> None:
        """Check the cluster id; raises `Failure` when it cannot be part of a subject and a bucket's name."""
        if not _CLUSTER.fullmatch(self.cluster):
            raise Failure(
                f"{self.cluster!r} cannot be a cluster id: use up to 64 letters, digits, '-' and '_'"
            )
