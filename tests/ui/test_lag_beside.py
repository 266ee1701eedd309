"""What the window says of a group's lag is what a script computes with nats-py beside it."""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig

from memphis_desktop.app import Program
from memphis_desktop.cluster.profiles import ConnectionProfile
from memphis_desktop.server_process import ServerProcess
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens.consumers import ConsumerScreen
from tests.conftest import Connect

Until = Callable[..., Awaitable[Any]]
BACKLOG = 700
PER_SECOND = 40
_UNITS = {"µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}


def seconds_of(text: str) -> float:
    """Read a duration as the window writes it; infinity for ``never``."""
    if text == "never":
        return float("inf")
    parts = re.findall(r"([\d.]+)\s?(µs|ms|s|min|h)", text.replace("\u00a0", " "))
    assert parts, text
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


class Script:
    """Computes lag and time to drain from what `nats-py` tells, as anybody would."""

    def __init__(self, jetstream: JetStreamContext) -> None:
        self._jetstream = jetstream
        self.samples: list[tuple[float, int]] = []

    async def look(self) -> int:
        """Read the lag in messages, and remember it."""
        info = await self._jetstream.consumer_info("orders", "billing")
        self.samples.append((time.monotonic(), info.num_pending))
        return info.num_pending

    async def seconds(self) -> float:
        """The age of the first message that was not delivered."""
        info = await self._jetstream.consumer_info("orders", "billing")
        message = await self._jetstream.get_msg("orders", seq=info.delivered.stream_seq + 1)
        assert message.time is not None
        return time.time() - message.time.timestamp()

    def drain(self) -> float:
        """Seconds until the lag is gone, at the rate of the last twenty seconds: it stood still before."""
        last_at, last = self.samples[-1]
        first_at, first = next(sample for sample in self.samples if sample[0] >= last_at - 20)
        gone = (first - last) / (last_at - first_at)
        return last / gone if gone > 0 else float("inf")


async def test_lag_and_time_to_drain_agree_with_a_script(
    program: Program, any_server: ServerProcess, connect: Connect, until: Until
) -> None:
    client = await connect(any_server)
    jetstream = client.jetstream()
    await jetstream.add_stream(name="orders", subjects=["orders"], storage="memory")
    config = ConsumerConfig(durable_name="billing", ack_policy="explicit", max_ack_pending=1000)
    await jetstream.add_consumer("orders", config)
    for _ in range(BACKLOG):
        await client.publish("orders", b"x")
    await client.flush()
    script = Script(client.jetstream())
    profile = ConnectionProfile("near", urls=(any_server.url,))
    route = Route("consumer", {"stream": "orders", "consumer": "billing"})
    workspace = await program.window.open_profile(profile, route)
    screen = workspace.current_screen
    assert isinstance(screen, ConsumerScreen)

    def shown(sign: str) -> str:
        return "".join(screen.signs[sign]._figure.parts())

    # Nothing moves: messages to the last one, seconds to what passes between two readings.
    await until(lambda: shown("lag") == str(BACKLOG), "the lag")
    assert await script.look() == BACKLOG
    await until(lambda: shown("seconds") not in ("–", "caught up"), "the lag in seconds")
    assert abs(seconds_of(shown("seconds")) - await script.seconds()) < 2.5
    await until(lambda: shown("drain") == "never", "a lag that does not shrink")

    subscription = await jetstream.pull_subscribe_bind("billing", stream="orders")

    async def work() -> None:
        due = time.monotonic()
        while True:
            for message in await subscription.fetch(PER_SECOND // 4, timeout=5):
                await message.ack()
            due += 0.25
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    worker = asyncio.create_task(work())
    pairs: list[tuple[float, float]] = []
    lags: list[tuple[int, int]] = []
    rounds: asyncio.Queue[None] = asyncio.Queue()
    unsubscribe = workspace.connection.session.subscribe(lambda _: rounds.put_nowait(None))
    try:
        async with asyncio.timeout(60):
            while len(pairs) < 6:
                await rounds.get()
                await until(lambda: not rounds.empty(), "the next round")
                window_lag = workspace.connection.snapshot.consumers["orders", "billing"].num_pending
                lags.append((window_lag, await script.look()))
                text = shown("drain")
                if text not in ("never", "–") and script.drain() < 1000:
                    pairs.append((seconds_of(text), script.drain()))
    finally:
        unsubscribe()
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
    # Both go down together: apart by what is taken between the two looks.
    assert statistics.median(abs(window - beside) for window, beside in lags) <= 2 * PER_SECOND, lags
    assert statistics.median(abs(w - s) / s for w, s in pairs) < 0.3, pairs
