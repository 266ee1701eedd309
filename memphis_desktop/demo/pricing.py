"""The sample service: it prices orders in two instances, and a client of its own keeps asking it."""

from __future__ import annotations

import asyncio
import json
import random

import nats.micro
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.micro.request import Request, ServiceError
from nats.micro.service import Service

from memphis_desktop.demo import stations

NAME = "sample-pricing"
INSTANCES = 2
EVERY = 0.2  # seconds between two requests
REFUSED_EVERY = 25  # one request in so many names no product
_CHECK_EVERY = 20  # requests after which to look whether the sample data is still there
_PRICES = {"keyboard": 8990, "desk lamp": 4550, "notebook": 375, "teapot": 2890, "atlas": 5600}
_QUOTE_SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {
            "product": {"enum": sorted(_PRICES)},
            "quantity": {"type": "integer", "minimum": 1},
        },
        "required": ["product"],
    }
)


async def _quote(request: Request) -> None:
    try:
        asked = json.loads(request.data)
        price = _PRICES[asked["product"]] * int(asked.get("quantity", 1))
    except (ValueError, TypeError, KeyError):
        raise ServiceError("400", "no such product, or no quantity") from None
    await asyncio.sleep(0.002 + random.random() * 0.004)  # as if it looked something up
    await request.respond(json.dumps({**asked, "cents": price}).encode())


async def _catalog(request: Request) -> None:
    await request.respond(json.dumps(_PRICES).encode())


async def _add(client: Client) -> Service:
    service = await nats.micro.add_service(
        client,
        name=NAME,
        version="1.2.0",
        description="Sample data: prices of products",
        metadata={"team": "shop"},
    )
    await service.add_endpoint(
        name="quote", subject=f"{NAME}.quote", handler=_quote, metadata={"request_schema": _QUOTE_SCHEMA}
    )
    await service.add_endpoint(name="catalog", subject=f"{NAME}.catalog", handler=_catalog)
    return service


async def serve(client: Client, jetstream: JetStreamContext, chance: random.Random) -> None:
    """Be the service and its client, until the sample stations are gone.

    Raises:
        NotFoundError: They are gone: nothing of the service stays behind.
    """
    services = [await _add(client) for _ in range(INSTANCES)]
    try:
        number = 0
        while True:
            number += 1
            await asyncio.sleep(EVERY)
            if number % _CHECK_EVERY == 0:
                await jetstream.stream_info(stations.ORDERS)
            if number % 10 == 0:
                await client.request(f"{NAME}.catalog", b"", timeout=5)
                continue
            product = "unicorn" if number % REFUSED_EVERY == 0 else chance.choice(list(_PRICES))
            asked = {"product": product, "quantity": chance.randint(1, 4)}
            await client.request(f"{NAME}.quote", json.dumps(asked).encode(), timeout=5)
    finally:
        for service in services:
            if not client.is_closed:
                await service.stop()
