"""A client of the crash runs, as a process of its own: it goes on through every crash and logs what it sees.

python -m tests.reliability.crash_client ROLE URL LOG STOP SEED
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import random
import sys
import time
from pathlib import Path
from typing import IO, Any

import nats
from nats.aio.client import Client
from nats.errors import Error
from nats.js.errors import APIError

STREAMS = ("LIMITS", "QUEUE")
ACK_WAIT = 5.0


def valued(value: str) -> bytes:
    """Return a payload that proves its own wholeness."""
    return f"{value} {hashlib.sha256(value.encode()).hexdigest()}".encode()


def value_of(payload: bytes) -> str:
    """Return the value, or a word that no client ever sends."""
    value, _, digest = payload.decode(errors="replace").partition(" ")
    return value if hashlib.sha256(value.encode()).hexdigest() == digest else f"garbage {payload[:40]!r}"


class Log:
    """The client's log: a line before an operation and one after."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._number = 0

    def begin(self, kind: str, **entry: Any) -> int:
        """Log the beginning of an operation and return its number."""
        self._number += 1
        self._write(kind=kind, number=self._number, began=time.monotonic(), **entry)
        return self._number

    def end(self, number: int, result: str, **entry: Any) -> None:
        """Log its answer."""
        self._write(kind="answer", number=number, ended=time.monotonic(), result=result, **entry)

    def note(self, **entry: Any) -> None:
        """Log a delivery."""
        self._write(kind="delivery", at=time.monotonic(), **entry)

    def _write(self, **entry: Any) -> None:
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()


class Publisher:
    """Publishes values, some with ids, and sends again what stayed unanswered."""

    def __init__(self, client: Client, log: Log, stop: Path, seed: int) -> None:
        self.context = client.jetstream()
        self.log = log
        self.stop = stop
        self.seed = seed

    async def run(self, stream: str, lane: int) -> None:
        chance = random.Random(f"{self.seed} {stream} {lane}")
        count = 0
        answered: list[str] = []
        while not self.stop.exists():
            count += 1
            value = f"{self.seed}.{stream}.{lane}-{count}"
            identifier = value if chance.random() < 0.6 else ""
            done = await self.publish(stream, value, identifier)
            while identifier and not done and not self.stop.exists():
                await asyncio.sleep(0.02)
                done = await self.publish(stream, value, identifier)
            if done and identifier:
                answered.append(identifier)
            if answered and chance.random() < 0.1:
                repeated = chance.choice(answered[-50:])
                await self.publish(stream, repeated, repeated)

    async def publish(self, stream: str, value: str, identifier: str) -> bool:
        headers = {"Nats-Msg-Id": identifier} if identifier else None
        number = self.log.begin("publish", stream=stream, value=value, identifier=identifier)
        try:
            ack = await self.context.publish(f"{stream}.a", valued(value), timeout=2, headers=headers)
        except APIError as error:
            self.log.end(number, "failed")
            print(error, file=sys.stderr)
            return False
        except (Error, OSError, TimeoutError):
            self.log.end(number, "unknown")
            await asyncio.sleep(0.02)
            return False
        self.log.end(number, "ok", sequence=ack.seq, duplicate=bool(ack.duplicate))
        return True


class Group:
    """Fetches and acks with an answer, leaving some unacked to come again."""

    def __init__(self, client: Client, log: Log, stop: Path, seed: int) -> None:
        self.client = client
        self.context = client.jetstream()
        self.log = log
        self.stop = stop
        self.seed = seed

    async def run(self, stream: str, group: str) -> None:
        chance = random.Random(f"{self.seed} {stream} {group}")
        subscription = await self.context.pull_subscribe_bind(durable=group, stream=stream)
        quiet = 0
        while quiet < 3:
            try:
                messages = await subscription.fetch(20, timeout=0.5)
            except (Error, OSError, TimeoutError):
                if self.stop.exists() and self.client.is_connected and not await self._left(stream, group):
                    quiet += 1
                await asyncio.sleep(0.02)
                continue
            quiet = 0
            for message in messages:
                self.log.note(
                    stream=stream,
                    group=group,
                    sequence=message.metadata.sequence.stream,
                    value=value_of(message.data),
                    deliveries=message.metadata.num_delivered,
                )
            kept = [m for m in messages if self.stop.exists() or chance.random() < 0.9]
            await asyncio.gather(*(self.ack(stream, group, message) for message in kept))

    async def _left(self, stream: str, group: str) -> bool:
        try:
            info = await self.context.consumer_info(stream, group, timeout=1)
        except (Error, OSError, TimeoutError):
            return True
        return bool(info.num_pending or info.num_ack_pending)

    async def ack(self, stream: str, group: str, message: Any) -> None:
        sequence = message.metadata.sequence.stream
        number = self.log.begin("ack", stream=stream, group=group, sequence=sequence)
        try:
            await message.ack_sync(timeout=1)
        except (Error, OSError, TimeoutError):
            self.log.end(number, "unknown")
        else:
            self.log.end(number, "ok")


async def main(role: str, url: str, log_path: str, stop_path: str, seed: str) -> None:
    """Run until the stop file is there and, for groups, nothing is left."""

    async def quiet(_: Exception) -> None:
        return

    client = await nats.connect(
        url,
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.02,
        allow_reconnect=True,
        connect_timeout=1,
        error_cb=quiet,
    )
    with open(log_path, "a") as file:  # noqa: ASYNC230 (a line at a time, to a local file)
        log = Log(file)
        stop = Path(stop_path)
        if role == "publisher":
            publisher = Publisher(client, log, stop, int(seed))
            await asyncio.gather(*(publisher.run(stream, lane) for stream in STREAMS for lane in range(4)))
        else:
            group = Group(client, log, stop, int(seed))
            await asyncio.gather(
                group.run("LIMITS", "g1"), group.run("LIMITS", "g2"), group.run("QUEUE", "w")
            )
    with contextlib.suppress(Error, OSError, TimeoutError):
        await client.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
