"""A three-node cluster with thousands of streams and consumers, and how the window copes with it.

``python -m benchmarks.cluster_scale FOLDER`` makes the cluster in FOLDER (or uses the one that is there),
opens the window's connection and screens on it, and prints what it costs as JSON. Making it takes minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import nats
import orjson
from nats.aio.client import Client

from memphis_desktop.cluster.lab import LocalCluster

STREAMS = 2000
CONSUMERS_OF_A_STREAM = 5
REPLICATED = 100  # of the streams; the others have one replica, as most streams of such clusters have
PARALLEL = 16


async def _ask(client: Client, subject: str, body: dict[str, object]) -> None:
    """Make a JetStream request and try again while the cluster is busy; others' errors are raised."""
    for attempt in range(10):
        try:
            answer = orjson.loads((await client.request(subject, orjson.dumps(body), timeout=30)).data)
        except nats.errors.TimeoutError:
            continue
        error = answer.get("error")
        if error is None:
            return
        if error.get("code") not in (408, 503) or attempt == 9:
            raise RuntimeError(f"{subject}: {error}")
        await asyncio.sleep(0.5)
    raise RuntimeError(f"{subject}: no answer")


async def _in_parallel(count: int, do: Callable[[int], Awaitable[None]]) -> None:
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            await do(number)

    await asyncio.gather(*(work() for _ in range(PARALLEL)))


async def fill(url: str, streams: int = STREAMS, consumers: int = CONSUMERS_OF_A_STREAM) -> None:
    """Make the streams, a few messages in each, and their consumers."""
    client = await nats.connect(url)

    async def one(number: int) -> None:
        name = f"station-{number:04}"
        replicas = 3 if number < REPLICATED * streams // STREAMS else 1
        config = {
            "name": name,
            "subjects": [f"scale.{number}.>"],
            "num_replicas": replicas,
            "storage": "file" if replicas == 3 else "memory",
        }
        await _ask(client, f"$JS.API.STREAM.CREATE.{name}", config)
        for message in range(3):
            await client.publish(f"scale.{number}.{message}", b"x" * 100)
        for index in range(consumers):
            group = f"group-{index}"
            body: dict[str, object] = {
                "stream_name": name,
                "config": {"durable_name": group, "ack_policy": "explicit"},
            }
            await _ask(client, f"$JS.API.CONSUMER.CREATE.{name}.{group}", body)

    await _in_parallel(streams, one)
    await client.close()


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--streams", type=int, default=STREAMS)
    arguments = parser.parse_args()
    cluster = LocalCluster(arguments.folder)
    cluster.start()
    try:
        asyncio.run(fill(cluster.urls[0], arguments.streams))
        print(json.dumps({"streams": arguments.streams}))
    finally:
        cluster.stop()


if __name__ == "__main__":
    main()
