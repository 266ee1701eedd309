"""A producer and a durable subscription of asyncio-nats-streaming while servers are taken down.

``under_fire.py URLS CLUSTER COUNT``. A message is published again until it is acknowledged. Whoever runs this
reads ``progress N`` lines, and at the end one line of JSON.
"""

import asyncio
import json
import os
import sys
import time

from nats.aio.client import Client as NATS
from stan.aio.client import Client as STAN

URLS, CLUSTER, COUNT = sys.argv[1].split(","), sys.argv[2], int(sys.argv[3])
DEADLINE = time.monotonic() + 90


class Application:
    """One client, which connects again when it is told that its connection is lost."""

    def __init__(self):
        self.stan = None
        self.got = set()
        self.times_lost = 0

    async def connect(self):
        while True:
            nats, stan = NATS(), STAN()
            try:
                await nats.connect(
                    servers=URLS, loop=asyncio.get_running_loop(), max_reconnect_attempts=-1,
                    reconnect_time_wait=0.2, error_cb=quiet,
                )  # fmt: skip
                await stan.connect(
                    CLUSTER, "fire", nats=nats, connect_timeout=5, ping_interval=1, ping_max_out=5,
                    conn_lost_cb=self.lost,
                )  # fmt: skip
                await stan.subscribe("fire", durable_name="kept", cb=self.take, ack_wait=5)
                self.stan = stan
                return
            except Exception:
                await nats.close()
                assert time.monotonic() < DEADLINE, "no connection"
                await asyncio.sleep(0.3)

    async def lost(self, error):
        self.times_lost += 1
        self.stan = None
        self.connecting = asyncio.ensure_future(self.connect())  # not in the task of the client that ends

    async def take(self, message):
        self.got.add(message.data.decode())

    async def publish(self, number):
        while time.monotonic() < DEADLINE:
            try:
                if self.stan is not None:
                    ack = await self.stan.publish("fire", b"m%d" % number, ack_wait=3)
                    if not ack.error:
                        return
            except Exception:
                pass  # it is tried again
            await asyncio.sleep(0.2)


async def quiet(error):
    pass


async def main():
    application = Application()
    await application.connect()
    for number in range(COUNT):
        await application.publish(number)
        if number % 50 == 0:
            print("progress", number, flush=True)
    while len(application.got) < COUNT and time.monotonic() < DEADLINE:
        await asyncio.sleep(0.1)
    missing = [number for number in range(COUNT) if f"m{number}" not in application.got]
    print(json.dumps({"missing": missing, "lost": application.times_lost}), flush=True)
    os._exit(0)


asyncio.run(main())
