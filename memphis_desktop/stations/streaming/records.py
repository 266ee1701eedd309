"""What of the gateway lies in its bucket: the clients that are connected, and their subscriptions.

Positions and unacknowledged messages are in JetStream's consumers, so nothing is written per message.
"""

from __future__ import annotations

import base64
import logging
from dataclasses import dataclass
from typing import Any

import orjson

from memphis_desktop.stations.buckets import Bucket
from memphis_desktop.stations.jetstream import JetStream
from memphis_desktop.stations.streaming.clients import ClientState
from memphis_desktop.stations.streaming.positions import Group
from memphis_desktop.stations.view import snapshot

log = logging.getLogger(__name__)

_CLIENT, _SUBSCRIPTION = "client.", "subscription."


@dataclass(frozen=True, slots=True)
class SubscriptionRecord:
    """A live subscription; `group` says which consumer of `stream` feeds it. `ack_wait` in seconds."""

    id: str
    client_id: str
    group: Group
    stream: str
    inbox: str
    max_in_flight: int
    ack_wait: int


class Records:
    """The bucket of one cluster id."""

    def __init__(self, jetstream: JetStream, cluster: str) -> None:
        self.bucket = Bucket(jetstream, f"memphis_streaming_{cluster}")
        self._description = f"NATS Streaming {cluster}: clients and subscriptions"

    async def create(self, replicas: int) -> None:
        """Make the bucket when it is missing; raises `StorageError`."""
        await self.bucket.create(replicas=replicas, description=self._description)

    async def put_client(self, client: ClientState) -> None:
        """Write a client down; raises `StorageError`."""
        document = {
            "id": client.id,
            "heartbeat_inbox": client.heartbeat_inbox,
            "connection_id": base64.b64encode(client.connection_id).decode(),
            "protocol": client.protocol,
            "ping_interval": client.ping_interval,
            "ping_max_out": client.ping_max_out,
        }
        await self.bucket.put(_CLIENT + client.id, orjson.dumps(document))

    async def delete_client(self, client_id: str) -> None:
        """Forget a client; raises `StorageError`."""
        await self.bucket.delete(_CLIENT + client_id)

    async def put_subscription(self, record: SubscriptionRecord) -> None:
        """Write a subscription down; raises `StorageError`."""
        await self.bucket.put(_SUBSCRIPTION + record.id, orjson.dumps(record))

    async def delete_subscription(self, subscription_id: str) -> None:
        """Forget a subscription; raises `StorageError`."""
        await self.bucket.delete(_SUBSCRIPTION + subscription_id)

    async def load(self) -> tuple[list[ClientState], list[SubscriptionRecord]]:
        """Return everything, as of now; raises `StorageError`. What cannot be read is told in the log."""
        clients: list[ClientState] = []
        subscriptions: list[SubscriptionRecord] = []
        for key, entry in (await snapshot(self.bucket)).items():
            try:
                document = orjson.loads(entry.value)
                if key.startswith(_CLIENT):
                    clients.append(_client(document))
                elif key.startswith(_SUBSCRIPTION):
                    subscriptions.append(_subscription(document))
            except (ValueError, KeyError, TypeError) as error:
                log.warning("the record %s cannot be read: %s", key, error)
        return clients, subscriptions


def _client(document: dict[str, Any]) -> ClientState:
    return ClientState(
        str(document["id"]),
        str(document["heartbeat_inbox"]),
        base64.b64decode(document["connection_id"]),
        int(document["protocol"]),
        int(document["ping_interval"]),
        int(document["ping_max_out"]),
    )


def _subscription(document: dict[str, Any]) -> SubscriptionRecord:
    return SubscriptionRecord(
        str(document["id"]),
        str(document["client_id"]),
        Group(**document["group"]),
        str(document["stream"]),
        str(document["inbox"]),
        int(document["max_in_flight"]),
        int(document["ack_wait"]),
    )
