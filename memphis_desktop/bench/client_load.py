"""A load made by a general client, as an application would."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import nats

from memphis_desktop.bench.load import Stopwatch, create_stream, delete_stream
from memphis_desktop.bench.wire import Wire


def run(port: int, seconds: float, payload: bytes, window: int) -> dict[str, Any]:
    """Publish to JetStream with nats-py, `window` tasks each with one message in flight."""
    return asyncio.run(_publish(port, seconds, payload, window))


async def _publish(port: int, seconds: float, payload: bytes, window: int) -> dict[str, Any]:
    login = {"user": Wire.login["user"], "password": Wire.login["pass"]} if Wire.login else {}
    connection = await nats.connect(
        f"nats://127.0.0.1:{port}", name=Wire.login.get("name"), allow_reconnect=False, **login
    )
    wire = Wire(port)
    create_stream(wire, "BENCH", "bench.>")
    stream = connection.jetstream(timeout=60)
    watch = Stopwatch()
    deadline = time.perf_counter() + seconds

    async def publisher() -> int:
        messages = 0
        while time.perf_counter() < deadline:
            await stream.publish("bench.a", payload)
            messages += 1
        return messages

    result = watch.result(sum(await asyncio.gather(*[publisher() for _ in range(window)])))
    delete_stream(wire, "BENCH")
    wire.close()
    await connection.close()
    return result
