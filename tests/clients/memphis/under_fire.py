"""A producer and two consumers of memphis-py at work while servers are taken down.

``under_fire.py HOST PORT COUNT REPLICAS``. Each message has an id and is produced again until it is
acknowledged. Whoever runs this reads ``progress N`` lines, and at the end one line of JSON: what was
acknowledged, what the callback and the fetching consumer got.
"""

import asyncio
import contextlib
import json
import os
import sys
import time

from memphis import Memphis

HOST, PORT, COUNT, REPLICAS = sys.argv[1], *map(int, sys.argv[2:5])
STATION = "under-fire"
TRIES, DEADLINE = 200, 80.0


async def produce(memphis, acknowledged, failures, end):
    producer = await memphis.producer(STATION, "p")
    for number in range(COUNT):
        for _ in range(TRIES):
            try:
                await producer.produce(f"m{number}", msg_id=f"id-{number}", ack_wait_sec=3)
                break
            except Exception as error:
                failures.append(f"{type(error).__name__}: {error}")
                if time.monotonic() > end:
                    return
                await asyncio.sleep(0.2)
        else:
            return
        acknowledged.append(f"m{number}")
        if number % 50 == 0:
            print(f"progress {number}", flush=True)


async def fetch(memphis, got, done):
    consumer = await memphis.consumer(STATION, "fetching", max_ack_time_ms=5000, max_msg_deliveries=10)
    while not done(got):
        try:
            for message in await consumer.fetch(50):
                got.append(bytes(message.get_data()).decode())
                await message.ack()
        except Exception:
            await asyncio.sleep(0.2)


async def call_back(memphis, got):
    consumer = await memphis.consumer(
        STATION, "calling", pull_interval_ms=50, max_ack_time_ms=5000, max_msg_deliveries=10
    )

    async def handle(messages, error, context):
        for message in messages or []:
            got.append(bytes(message.get_data()).decode())
            with contextlib.suppress(Exception):  # it comes again
                await message.ack()

    consumer.consume(handle)


async def main():
    # One connection each, as three programs have.
    connections = [Memphis() for _ in range(3)]
    for memphis in connections:
        await memphis.connect(host=HOST, port=PORT, username="root", password="memphis")
    await connections[0].station(STATION, replicas=REPLICAS)
    acknowledged, failures, fetched, called = [], [], [], []
    end = time.monotonic() + DEADLINE

    def done(got):
        return time.monotonic() > end or len(set(got)) >= COUNT

    await call_back(connections[2], called)
    fetching = asyncio.create_task(fetch(connections[1], fetched, done))
    await asyncio.sleep(0.5)
    await produce(connections[0], acknowledged, failures, end)
    await fetching
    while not done(called):  # noqa: ASYNC110
        await asyncio.sleep(0.1)
    result = {
        "acknowledged": len(acknowledged),
        "failures": failures,
        "fetched": sorted(set(fetched), key=lambda one: int(one[1:])),
        "called": sorted(set(called), key=lambda one: int(one[1:])),
        "twice": len(fetched) - len(set(fetched)),
    }
    print(json.dumps(result), flush=True)
    os._exit(0)  # its background tasks do not end by themselves


asyncio.run(main())
