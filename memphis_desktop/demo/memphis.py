"""The sample station of the Memphis layer, where the server has one: three partitions and a schema.

Its clients speak the SDKs' protocol over an ordinary connection: they register, produce, report what the
schema refused, consume, and leave one message in a while unacknowledged.
"""

from __future__ import annotations

import asyncio
import json
import random
import uuid

from nats.aio.client import Client
from nats.js import JetStreamContext

from memphis_desktop.stations.client import StationsClient
from memphis_desktop.stations.errors import StationsError

STATION = "sample-shop"
SCHEMA = "sample-basket"
GROUP = "sample-mailer"
TAG = "sample"
PARTITIONS = 3
USER = "root"

REFUSED_EVERY, LEFT_EVERY = 60, 80
"""One basket in so many does not fit the schema; one in so many is never acknowledged."""

_WAIT = 1.0  # seconds between two looks for the service
_ACK_MS, _DELIVERIES = 2000, 2
_CONTENT = json.dumps(
    {
        "type": "object",
        "properties": {
            "basket": {"type": "integer"},
            "product": {"type": "string"},
            "quantity": {"type": "integer", "minimum": 1},
        },
        "required": ["basket", "product", "quantity"],
    },
    indent=2,
)
_LATER = _CONTENT.replace('"minimum": 1', '"minimum": 1, "maximum": 100')
_PRODUCTS = ("keyboard", "desk lamp", "notebook", "teapot", "atlas")


class MemphisShop:
    """The station's producers and its group."""

    def __init__(self, client: Client, jetstream: JetStreamContext, chance: random.Random) -> None:
        self._client = client
        self._jetstream = jetstream
        self._random = chance
        self._connection = str(uuid.UUID(int=chance.getrandbits(128), version=4))

    async def wait_for_service(self) -> bool:
        """Wait until a stations service answers; returns whether the station is ours to use."""
        stations = StationsClient(self._client, username=USER)
        while True:
            if await stations.service_running():
                return await create(stations)
            await asyncio.sleep(_WAIT)

    async def produce(self) -> None:
        """Fill baskets, a few a second, over all partitions in turn."""
        if not await self.wait_for_service():
            return
        for name, sdk in (("sample-web", "python"), ("sample-app", "node.js")):
            await self._register("producer", name, producer_type="application", sdk_lang=sdk)
        number = 0
        while True:
            await asyncio.sleep(0.25)
            number += 1
            name = self._random.choice(("sample-web", "sample-app"))
            headers = {"$memphis_producedBy": name, "$memphis_connectionId": self._connection}
            product, quantity = self._random.choice(_PRODUCTS), self._random.randint(1, 5)
            basket = {"basket": number, "product": product, "quantity": quantity}
            if number % REFUSED_EVERY == REFUSED_EVERY // 6:
                await self._report(name, headers, {**basket, "quantity": 0})
                continue
            subject = f"{STATION}${1 + number % PARTITIONS}.final"
            await self._jetstream.publish(subject, json.dumps(basket).encode(), headers=headers)

    async def _report(self, name: str, headers: dict[str, str], basket: dict[str, object]) -> None:
        """Tell of a message that the schema refused, as SDKs do."""
        report = {
            "station_name": STATION,
            "producer": {"name": name, "connection_id": self._connection},
            "message": {"data": json.dumps(basket).encode().hex(), "headers": headers},
            "validation_error": "memphis: Schema validation has failed: 0 is less than the minimum of 1",
        }
        await self._client.publish("$memphis_schemaverse_dls", json.dumps(report).encode())

    async def consume(self) -> None:
        """Take baskets off all partitions, and leave one in a while unacknowledged."""
        if not await self.wait_for_service():
            return
        await self._register(
            "consumer",
            "sample-mailer-1",
            consumers_group=GROUP,
            consumer_type="application",
            max_ack_time_ms=_ACK_MS,
            max_msg_deliveries=_DELIVERIES,
            start_consume_from_sequence=1,
            last_messages=-1,
            sdk_lang="go",
        )
        streams = (f"{STATION}${partition}" for partition in range(1, PARTITIONS + 1))
        tasks = [asyncio.ensure_future(self._drain(stream)) for stream in streams]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _drain(self, stream: str) -> None:
        subscription = await self._jetstream.pull_subscribe_bind(durable=GROUP, stream=stream)
        try:
            while True:
                try:
                    messages = await subscription.fetch(20, timeout=2)
                except TimeoutError:
                    await subscription.consumer_info()  # raises when the station is gone
                    continue
                for message in messages:
                    if message.metadata.sequence.stream % (LEFT_EVERY // PARTITIONS) != LEFT_EVERY // 8:
                        await message.ack()
        finally:
            await subscription.unsubscribe()

    async def _register(self, what: str, name: str, **body: object) -> None:
        request = {
            "name": name,
            "station_name": STATION,
            "connection_id": self._connection,
            "req_version": 4,
            "username": USER,
            "app_id": self._connection,
            **body,
        }
        await self._client.request(f"$memphis_{what}_creations", json.dumps(request).encode(), timeout=20)


async def create(stations: StationsClient) -> bool:
    """Make schema and station where they are missing; returns whether the station is sample data."""
    try:
        if await stations.schema(SCHEMA) is None:
            await stations.create_schema(SCHEMA, "json", _CONTENT, tags=[TAG])
            await stations.create_schema_version(SCHEMA, _LATER)
        if await stations.station(STATION) is None:
            await stations.create_station(
                STATION, partitions_number=PARTITIONS, schema_name=SCHEMA, retention_value=86_400, tags=[TAG]
            )
        station = await stations.station(STATION)
    except StationsError as error:  # the service is starting or ending, or somebody else makes the same
        raise TimeoutError(str(error)) from None
    return station is not None and TAG in station.tags


async def remove(client: Client) -> list[str]:
    """Delete the sample station and schema where there is a Memphis layer; returns the streams deleted."""
    stations = StationsClient(client, username=USER)
    if not await stations.service_running():
        return []
    station = await stations.station(STATION)
    removed: list[str] = []
    if station is not None and TAG in station.tags:
        await stations.destroy_station(STATION)
        removed = list(station.streams)
    schema = await stations.schema(SCHEMA)
    if schema is not None and TAG in schema.tags:
        await stations.remove_schema(SCHEMA)
    return removed
