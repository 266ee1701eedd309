"""Servers and gateways killed at random under load: nothing acknowledged is lost or stored twice."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from nats.errors import Error

from memphis_desktop.server_process import ServerProcess
from memphis_desktop.stations.streaming import nats_streaming_pb2 as pb
from tests.clients.streaming.conftest import CLUSTER
from tests.clients.streaming.raw import RawClient, RawSubscription
from tests.conftest import Connect
from tests.waiting import until

SECONDS = 60.0
QUIET = 15.0  # of them without faults, at the end
PUBLISHERS = 8
ANSWER = 2.0


async def quiet(_: Exception) -> None:
    """Faults are the test."""


class Copies:
    """Two gateways as processes."""

    def __init__(self, url: str, log: Path) -> None:
        self._command = [sys.executable, "-m", "memphis_desktop", "stations", "--no-front-door"]
        self._command += ["--connect", url, "--streaming_cluster_id", CLUSTER]
        self.log = log
        self.processes = [self._start() for _ in range(2)]

    def _start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(self._command, stderr=log)

    def replace(self, index: int, number: signal.Signals) -> None:
        """End one and start another."""
        self.processes[index].send_signal(number)
        self.processes[index].wait(60)
        self.processes[index] = self._start()

    def stop(self) -> None:
        """End both."""
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(60)


@contextmanager
def running(url: str, log: Path) -> Iterator[Copies]:
    copies = Copies(url, log)
    try:
        yield copies
    finally:
        copies.stop()


async def insist(ask: Any) -> Any:
    """Ask until there is an answer without an error."""
    while True:
        try:
            answer = await ask()
            if not getattr(answer, "error", ""):
                return answer
        except (Error, TimeoutError):
            pass
        await asyncio.sleep(0.1)


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_nothing_is_lost(any_server: ServerProcess, connect: Connect, tmp_path: Path) -> None:
    options = {"allow_reconnect": True, "max_reconnect_attempts": -1, "reconnect_time_wait": 0.2}
    nats = await connect(any_server, error_cb=quiet, **options)
    dice = random.Random(time.time_ns())
    client = RawClient(nats, "me")

    async def ask(subject: str, request: Any, kind: Any) -> Any:
        message = await nats.request(subject, request.SerializeToString(), timeout=ANSWER, old_style=True)
        return kind.FromString(message.data)

    client.ask = ask  # type: ignore[method-assign, assignment]

    async def connected() -> pb.ConnectResponse:
        response = await client.connect()
        if "already registered" in response.error:  # by an answer that was lost
            response.error = ""
        return response

    async def subscribed(**fields: object) -> RawSubscription:
        async def subscribe() -> RawSubscription:
            subscription = await client.subscribe("orders", ack_wait=2, **fields)
            assert "duplicate" not in subscription.response.error, "before there are faults"
            if subscription.response.error:
                raise TimeoutError
            subscription.acks = True
            return subscription

        return await insist(subscribe)

    acknowledged: set[str] = set()
    end = time.monotonic() + SECONDS

    async def publish(name: int) -> None:
        number = 0
        while time.monotonic() < end:
            guid = f"{name}-{number}"
            await insist(lambda guid=guid: client.publish("orders", guid.encode(), guid=guid))
            acknowledged.add(guid)
            number += 1

    with running(any_server.url, tmp_path / "gateways.log") as copies:
        await insist(connected)
        groups = {
            "durable": [await subscribed(durable_name="d")],
            "queue": [await subscribed(durable_name="q", queue_group="w") for _ in range(2)],
            "plain": [await subscribed()],
        }

        async def faults() -> None:
            while time.monotonic() < end - QUIET:
                await asyncio.sleep(dice.uniform(1, 6))
                hard = dice.random() < 0.5
                if dice.random() < 0.3:
                    await asyncio.to_thread(any_server.restart, crash=hard)
                else:
                    number = signal.SIGKILL if hard else signal.SIGTERM
                    await asyncio.to_thread(copies.replace, dice.randrange(2), number)

        await asyncio.gather(*(publish(name) for name in range(PUBLISHERS)), faults())
        for members in groups.values():
            await until(
                lambda members=members: acknowledged <= {m.data.decode() for s in members for m in s.messages}
            )
        jetstream = nats.jetstream(timeout=30)
        assert (await jetstream.stream_info("orders$1")).state.messages == len(acknowledged)
        assert len(acknowledged) > 100
    assert "Traceback" not in copies.log.read_text()
