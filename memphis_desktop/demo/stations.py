"""The sample stations, groups and buckets: what they are called, how they are made and removed.

All names begin with ``sample-`` and all carry one description, by which they are known again: a user's own
station that happens to bear such a name is neither fed nor removed.
"""

from __future__ import annotations

from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    KeyValueConfig,
    ObjectStoreConfig,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import NotFoundError

from memphis_desktop.errors import Failure

DESCRIPTION = "Sample data of Memphis Desktop"

ORDERS = "sample-orders"
TELEMETRY = "sample-telemetry"
PAYMENTS = "sample-payments"
SETTINGS = "sample-settings"
INVOICES = "sample-invoices"

ORDER_EVENTS = ("created", "paid", "shipped")
DEVICES = tuple(f"device-{number:02}" for number in range(1, 25))

# Streams that hold all of the above; a bucket's stream has a prefix of its kind.
STREAMS = (ORDERS, TELEMETRY, PAYMENTS, f"KV_{SETTINGS}", f"OBJ_{INVOICES}")

BILLING = "sample-billing"  # keeps up with the orders
ANALYTICS = "sample-analytics"  # falls behind the orders and catches up, in cycles
SHIPPING = "sample-shipping"  # sees paid orders only
DASHBOARD = "sample-dashboard"  # acknowledges telemetry by the batch
WORKERS = "sample-workers"  # takes payments off the queue
MAX_DELIVERIES = 3

_HOUR = 3600.0

_STREAM_CONFIGS = (
    StreamConfig(
        name=ORDERS,
        description=DESCRIPTION,
        subjects=[f"{ORDERS}.*"],
        storage=StorageType.FILE,
        max_age=24 * _HOUR,
        max_bytes=256 * 1024 * 1024,
        duplicate_window=120,
        allow_direct=True,
    ),
    StreamConfig(
        name=TELEMETRY,
        description=DESCRIPTION,
        subjects=[f"{TELEMETRY}.*"],
        storage=StorageType.FILE,
        max_age=2 * _HOUR,
        max_msgs=500_000,
        duplicate_window=120,
        allow_direct=True,
    ),
    StreamConfig(
        name=PAYMENTS,
        description=DESCRIPTION,
        subjects=[PAYMENTS],
        retention=RetentionPolicy.WORK_QUEUE,
        storage=StorageType.FILE,
        max_age=_HOUR,
        duplicate_window=120,
        allow_direct=True,
    ),
)

_GROUPS = (
    (ORDERS, ConsumerConfig(durable_name=BILLING, ack_policy=AckPolicy.EXPLICIT, ack_wait=30)),
    (
        ORDERS,
        ConsumerConfig(durable_name=ANALYTICS, ack_policy=AckPolicy.EXPLICIT, ack_wait=30),
    ),
    (
        ORDERS,
        ConsumerConfig(
            durable_name=SHIPPING,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=30,
            filter_subject=f"{ORDERS}.paid",
        ),
    ),
    (TELEMETRY, ConsumerConfig(durable_name=DASHBOARD, ack_policy=AckPolicy.ALL, ack_wait=30)),
    (
        PAYMENTS,
        ConsumerConfig(
            durable_name=WORKERS, ack_policy=AckPolicy.EXPLICIT, ack_wait=10, max_deliver=MAX_DELIVERIES
        ),
    ),
)


async def create_sample_stations(client: Client) -> None:
    """Make the sample stations, groups and buckets that are missing.

    Raises:
        Failure: A station of that name exists and is not sample data.
    """
    jetstream = client.jetstream(timeout=10)
    for stream in STREAMS:
        if not await _is_ours_or_missing(jetstream, stream):
            raise Failure(f"the station {stream!r} exists and is not sample data; it is left alone")
    for config in _STREAM_CONFIGS:
        await jetstream.add_stream(config)
    for stream, group in _GROUPS:
        await jetstream.add_consumer(stream, group)
    await jetstream.create_key_value(
        KeyValueConfig(bucket=SETTINGS, description=DESCRIPTION, history=10, direct=True)
    )
    await jetstream.create_object_store(INVOICES, ObjectStoreConfig(description=DESCRIPTION))


async def remove_sample_data(client: Client) -> list[str]:
    """Delete every sample station and bucket with all in it; returns the names of the streams deleted."""
    jetstream = client.jetstream(timeout=10)
    removed = []
    for stream in STREAMS:
        try:
            info = await jetstream.stream_info(stream)
            if info.config.description == DESCRIPTION:
                await jetstream.delete_stream(stream)
                removed.append(stream)
        except NotFoundError:
            continue
    return removed


async def _is_ours_or_missing(jetstream: JetStreamContext, stream: str) -> bool:
    try:
        info = await jetstream.stream_info(stream)
    except NotFoundError:
        return True
    return info.config.description == DESCRIPTION
