"""What the sample clients do: producers whose rate waves, groups that keep up, and one that does not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable

import msgpack  # type: ignore[import-untyped]
from google.protobuf.message import DecodeError
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error
from nats.js import JetStreamContext
from nats.js.api import ObjectMeta
from nats.js.errors import NoStreamResponseError, NotFoundError, ObjectDeletedError, ObjectNotFoundError

from memphis_desktop.demo import pricing, stations
from memphis_desktop.demo.memphis import MemphisShop
from memphis_desktop.demo.payments import METHODS, payment_class

POISON_EVERY = 200
"""One payment in so many cannot be decoded and ends as a dead letter."""

REFUSE_EVERY = 60
"""One paid order in so many is terminated with a reason by the group that ships."""

LAG_SECONDS, DRAIN_SECONDS = 30.0, 20.0
"""How long the slow group lags in each cycle, and how long it has to catch up."""

_EPOCH_MS = 1_577_836_800_000  # 2020, so that an id made of time and counter fits 63 bits
_CUSTOMERS = ("Ada Nwosu", "Björn Ek", "Chloé Petit", "Дарья Орлова", "Emre Şahin", "山田 花子", "Fay O’Neil")
_PRODUCTS = (("keyboard", 8990), ("desk lamp", 4550), ("notebook", 375), ("teapot", 2890), ("atlas", 5600))
_REGIONS = ("eu-north", "eu-west", "us-east", "ap-south")
_SETTINGS = {
    "checkout.currency": ("EUR", "USD", "GBP"),
    "checkout.max-items": (20, 25, 50),
    "flags.new-basket": (True, False),
    "flags.gift-cards": (True, False),
    "limits.orders-per-minute": (600, 900, 1200),
    "mail.sender": ("shop@sample.example", "orders@sample.example"),
    "shops.lisbon": (
        {"open": "09:00", "close": "18:00", "tills": 4},
        {"open": "10:00", "close": "18:00", "tills": 4},
        {"open": "09:00", "close": "20:00", "tills": 6, "sunday": True},
    ),
    "shops.oslo": (
        {"open": "10:00", "close": "17:00", "tills": 2},
        {"open": "10:00", "close": "17:00", "tills": 3},
    ),
}
_INVOICES_KEPT = 12

Part = Callable[[], Awaitable[None]]
Outgoing = tuple[str, bytes, dict[str, str] | None]  # subject, body, headers


async def pace(rate: Callable[[float], float], ticks: float) -> AsyncIterator[int]:
    """Yield, `ticks` times a second, how many events fall due when there are `rate(seconds)` a second.

    A delay is not made up for by a burst: what fell due during more than one second is left out.
    """
    start = before = time.monotonic()
    due = 0.0
    while True:
        await asyncio.sleep(1 / ticks)
        now = time.monotonic()
        due += rate(now - start) * min(now - before, 1.0)
        before = now
        count = int(due)
        due -= count
        if count:
            yield count


class Traffic:
    """The sample producers and groups on one connection."""

    def __init__(self, client: Client, seed: int | None = None) -> None:
        self._client = client
        self._jetstream = client.jetstream(timeout=5)
        self._random = random.Random(seed)
        self._counter = 0
        self._ending = False
        self._orders: deque[tuple[int, dict[str, object]]] = deque(maxlen=500)
        self._paid: deque[tuple[int, dict[str, object]]] = deque(maxlen=500)

    async def run(self, stop: asyncio.Event) -> None:
        """Make the stations and keep them busy until `stop` is set or all of them have been removed.

        Raises:
            Failure: See `create_sample_stations`.
        """
        await stations.create_sample_stations(self._client)
        shop = MemphisShop(self._client, self._jetstream, self._random)
        parts: list[Part] = [
            self._produce_orders,
            self._produce_telemetry,
            self._produce_payments,
            self._bill,
            self._analyse,
            self._ship,
            self._show,
            self._work,
            self._change_settings,
            self._write_invoices,
            self._serve_prices,
            shop.produce,
            shop.consume,
        ]
        work = asyncio.create_task(self._keep_all(parts))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([work, stopping], return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()  # a mistake of ours surfaces here
        finally:
            self._ending = True
            stopping.cancel()
            work.cancel()
            await asyncio.wait([work, stopping])

    async def _keep_all(self, parts: list[Part]) -> None:
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(self._keep(part))

    async def _keep(self, part: Part) -> None:
        """Run a part; begin it again when the server was away; end it when its station is gone."""
        while not self._ending:  # nats-py answers a cancellation with a timeout here and there
            try:
                await part()
            except (NotFoundError, NoStreamResponseError):
                return
            except (Error, TimeoutError, OSError):
                await asyncio.sleep(0.5)

    def _next_id(self) -> int:
        """Return a new id of 63 bits: larger than what JavaScript's numbers hold exactly."""
        self._counter += 1
        return (int(time.time() * 1000) - _EPOCH_MS) << 22 | self._counter & 0x3FFFFF

    async def _publish_all(self, messages: list[Outgoing]) -> None:
        """Publish at once and wait until the server has acknowledged every one."""
        futures = [
            await self._jetstream.publish_async(subject, body, headers=headers)
            for subject, body, headers in messages
        ]
        async with asyncio.timeout(5):
            await asyncio.gather(*futures)

    # -- producers

    async def _produce_orders(self) -> None:
        await self._publish_all([self._new_order() for _ in range(40)])
        async for count in pace(lambda seconds: 20 + 12 * math.sin(seconds / 8), ticks=10):
            await self._publish_all([self._order_event() for _ in range(count)])

    def _order_event(self) -> Outgoing:
        """Return the next event of some order: created, then paid, then shipped."""
        chance = self._random.random()
        if chance < 0.3 and self._orders:
            order_id, order = self._orders.popleft()
            self._paid.append((order_id, order))
            return self._event("paid", order_id, {**order, "paid_with": self._random.choice(METHODS[1:])})
        if chance < 0.5 and self._paid:
            order_id, order = self._paid.popleft()
            parcels = self._random.randint(1, 3)
            return self._event("shipped", order_id, {"order_id": order_id, "parcels": parcels})
        return self._new_order()

    def _new_order(self) -> Outgoing:
        order_id = self._next_id()
        lines = []
        total = 0
        for name, cents in self._random.sample(_PRODUCTS, self._random.randint(1, 3)):
            quantity = self._random.randint(1, 4)
            total += quantity * cents
            lines.append({"product": name, "quantity": quantity, "unit_cents": cents})
        order: dict[str, object] = {
            "order_id": order_id,
            "customer": {"name": self._random.choice(_CUSTOMERS), "since": self._random.randint(2009, 2025)},
            "lines": lines,
            "total_cents": total,
            "gift": self._random.random() < 0.1,
            "note": None,
        }
        self._orders.append((order_id, order))
        return self._event("created", order_id, order)

    def _event(self, kind: str, order_id: int, body: dict[str, object]) -> Outgoing:
        headers = {
            "Nats-Msg-Id": f"{order_id}-{kind}",
            "Content-Type": "application/json",
            "Region": self._random.choice(_REGIONS),
            "Trace-Id": f"{self._random.getrandbits(64):016x}",
        }
        text = json.dumps({**body, "at": time.time()}, ensure_ascii=False)
        return f"{stations.ORDERS}.{kind}", text.encode(), headers

    async def _produce_telemetry(self) -> None:
        async for count in pace(lambda seconds: 400 + 150 * math.sin(seconds / 13), ticks=20):
            await self._publish_all([self._reading() for _ in range(count)])

    def _reading(self) -> Outgoing:
        device = self._random.choice(stations.DEVICES)
        reading = {
            "device": device,
            "at_ms": int(time.time() * 1000),
            "celsius": round(self._random.gauss(21, 2), 2),
            "humidity": round(self._random.uniform(0.3, 0.6), 3),
            "battery": self._random.randint(5, 100),
            "door_open": self._random.random() < 0.02,
            "raw": self._random.randbytes(4),
        }
        return f"{stations.TELEMETRY}.{device}", msgpack.packb(reading), None

    async def _produce_payments(self) -> None:
        made = 0
        async for count in pace(lambda seconds: 12 + 6 * math.sin(seconds / 21), ticks=5):
            messages: list[Outgoing] = []
            for _ in range(count):
                made += 1
                poison = made % POISON_EVERY == POISON_EVERY // 4
                body = self._spoilt_payment() if poison else self._payment()
                messages.append((stations.PAYMENTS, body, {"Nats-Msg-Id": f"payment-{self._next_id()}"}))
            await self._publish_all(messages)

    def _payment(self) -> bytes:
        payment = payment_class()(
            payment_id=self._next_id(),
            order_id=self._orders[-1][0] if self._orders else 1,
            amount_cents=self._random.randint(375, 60_000) * self._random.choice((1, 1, 1, 1, -1)),
            currency=self._random.choice(("EUR", "USD", "GBP")),
            method=self._random.randint(1, len(METHODS) - 1),
            paid_at_ms=int(time.time() * 1000),
            tags=self._random.sample(("first", "express", "gift", "refund"), self._random.randint(0, 2)),
        )
        if payment.method == METHODS.index("METHOD_CARD"):
            payment.card.brand = self._random.choice(("visa", "mastercard", "amex"))
            payment.card.last_digits = f"{self._random.randint(0, 9999):04}"
        body: bytes = payment.SerializeToString()
        return body

    def _spoilt_payment(self) -> bytes:
        """Return a payment cut short on its way, ending within a field that never comes to its end."""
        body = self._payment()
        return body[: len(body) // 2] + b"\xff" * 11

    # -- groups

    @contextlib.asynccontextmanager
    async def _member(self, stream: str, group: str) -> AsyncIterator[JetStreamContext.PullSubscription]:
        """Join a group; leave it at the end, so that beginning again leaves no old subscription behind."""
        await self._jetstream.consumer_info(stream, group)
        subscription = await self._jetstream.pull_subscribe_bind(durable=group, stream=stream)
        try:
            yield subscription
        finally:
            with contextlib.suppress(Error):
                await subscription.unsubscribe()

    @staticmethod
    async def _fetch(subscription: JetStreamContext.PullSubscription, batch: int) -> list[Msg]:
        """Return up to `batch` messages, none when nothing comes within two seconds."""
        try:
            return await subscription.fetch(batch, timeout=2)
        except TimeoutError:
            await subscription.consumer_info()  # raises when the group or its station is gone
            return []

    async def _bill(self) -> None:
        async with self._member(stations.ORDERS, stations.BILLING) as subscription:
            while True:
                for message in await self._fetch(subscription, 50):
                    await message.ack()

    async def _ship(self) -> None:
        shipped = 0
        async with self._member(stations.ORDERS, stations.SHIPPING) as subscription:
            while True:
                for message in await self._fetch(subscription, 10):
                    await asyncio.sleep(0.02)
                    shipped += 1
                    if shipped % REFUSE_EVERY == REFUSE_EVERY // 4:
                        await self._client.publish(message.reply, b"+TERM no address")
                    else:
                        await message.ack()

    async def _analyse(self) -> None:
        """Read a little for a while, so that the lag grows, then as much as there is, in cycles."""
        async with self._member(stations.ORDERS, stations.ANALYTICS) as subscription:
            while True:
                start = time.monotonic()
                while (elapsed := time.monotonic() - start) < LAG_SECONDS + DRAIN_SECONDS:
                    lagging = elapsed < LAG_SECONDS
                    for message in await self._fetch(subscription, 2 if lagging else 40):
                        await message.ack()
                    await asyncio.sleep(1.0 if lagging else 0.5)

    async def _show(self) -> None:
        """Take telemetry by the batch; acknowledging the last acknowledges all before it."""
        async with self._member(stations.TELEMETRY, stations.DASHBOARD) as subscription:
            while True:
                batch = await self._fetch(subscription, 200)
                if batch:
                    await batch[-1].ack()
                await asyncio.sleep(0.25)

    async def _work(self) -> None:
        async with self._member(stations.PAYMENTS, stations.WORKERS) as subscription:
            while True:
                for message in await self._fetch(subscription, 20):
                    try:
                        payment_class().FromString(message.data)
                    except DecodeError:
                        await message.nak(delay=1)
                    else:
                        await message.ack()

    # -- the service

    async def _serve_prices(self) -> None:
        await pricing.serve(self._client, self._jetstream, self._random)

    # -- buckets

    async def _change_settings(self) -> None:
        bucket = await self._jetstream.key_value(stations.SETTINGS)
        for key, values in _SETTINGS.items():
            await bucket.put(key, json.dumps(values[0]).encode())
        while True:
            await asyncio.sleep(4)
            key = self._random.choice(list(_SETTINGS))
            if key.startswith("flags.") and self._random.random() < 0.2:
                await bucket.delete(key)
            else:
                await bucket.put(key, json.dumps(self._random.choice(_SETTINGS[key])).encode())

    async def _write_invoices(self) -> None:
        bucket = await self._jetstream.object_store(stations.INVOICES)
        number = 1000
        while True:
            number += 1
            order_id, order = self._orders[-1] if self._orders else (0, {})
            text = (
                f"Invoice {number}\nOrder {order_id}\n\n{json.dumps(order, ensure_ascii=False, indent=2)}\n"
            )
            name = f"invoice-{number}.txt"
            meta = ObjectMeta(
                description=f"Invoice for order {order_id}", headers={"Content-Type": "text/plain"}
            )
            await bucket.put(name, text.encode(), meta)
            if number - _INVOICES_KEPT > 1000:
                with contextlib.suppress(ObjectNotFoundError, ObjectDeletedError):
                    await bucket.delete(f"invoice-{number - _INVOICES_KEPT}.txt")
            await asyncio.sleep(0.2 if number < 1004 else 20)
