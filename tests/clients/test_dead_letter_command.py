"""``memphis-desktop dead-letter`` as a user runs it: looked at first, killed on the way, run again."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from pathlib import Path

from nats.aio.client import Client
from nats.js.api import ConsumerConfig, StreamConfig

from memphis_desktop.server_process import ServerProcess, program_command
from tests.clients.test_replay_command import command, environment
from tests.conftest import Connect

ARGUMENTS = ["orders", "billing", "--to", "orders-dlq"]


def dead_letter(tmp_path: Path, *arguments: str, code: int = 0) -> str:
    """Run the command to its end; what it printed."""
    return command("dead-letter", tmp_path, *arguments, code=code)


async def fill(client: Client, count: int) -> None:
    jetstream = client.jetstream(timeout=30)
    await jetstream.add_stream(StreamConfig(name="orders", subjects=["orders.>"], allow_direct=True))
    # So short a window that message ids alone would not do.
    config = StreamConfig(name="orders-dlq", subjects=["dlq.>"], allow_direct=True, duplicate_window=0.1)
    await jetstream.add_stream(config)
    consumer = ConsumerConfig(durable_name="billing", ack_policy="explicit", ack_wait=1, max_ack_pending=500)
    await jetstream.add_consumer("orders", consumer)
    for first in range(0, count, 1000):
        acks = [
            await jetstream.publish_async(f"orders.{number % 5}", b"%d" % number)
            for number in range(first, min(count, first + 1000))
        ]
        await asyncio.gather(*acks)


async def killed(tmp_path: Path, client: Client, url: str, beyond: int) -> None:
    """Start the command and kill it (SIGKILL) once the station holds more than `beyond` messages."""
    process = await asyncio.create_subprocess_exec(
        *program_command("dead-letter", *ARGUMENTS, "--connect", url),
        env=environment(tmp_path),
        stdout=asyncio.subprocess.DEVNULL,
    )
    jetstream = client.jetstream(timeout=30)
    deadline = time.monotonic() + 60
    try:
        while (await jetstream.stream_info("orders-dlq")).state.messages <= beyond:
            assert time.monotonic() < deadline, "the move does not come on"
            assert process.returncode is None, "the move ended too early"
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.wait()


async def test_killed_twice_and_run_again_each_message_is_there_once(
    tmp_path: Path, any_server: ServerProcess, connect: Connect
) -> None:
    client = await connect(any_server)
    count = 4_000
    await fill(client, count)
    said = dead_letter(tmp_path, *ARGUMENTS, "--connect", any_server.url, "--dry-run")
    assert said == "4\u202f000 messages would be moved, none that clients hold; nothing was moved\n"
    for beyond in (300, 1_200):
        await killed(tmp_path, client, any_server.url, beyond)
    lines = dead_letter(tmp_path, *ARGUMENTS, "--connect", any_server.url, "--json").splitlines()
    last = json.loads(lines[-1])
    assert (last["failed"], last["problem"], last["ended"]) == (0, "", True)
    info = await client.jetstream().consumer_info("orders", "billing")
    assert (info.num_pending, info.num_ack_pending) == (0, 0)
    subscription = await client.jetstream().subscribe("dlq.>", ordered_consumer=True)
    origins: list[int] = []
    while len(origins) < (await client.jetstream().stream_info("orders-dlq")).state.messages:
        message = await subscription.next_msg(timeout=10)
        origins.append(int((message.headers or {})["Memphis-Dead-Letter-Sequence"]))
    assert sorted(origins) == list(range(1, count + 1))


async def test_a_mistake_gets_one_line(tmp_path: Path, broker: ServerProcess, connect: Connect) -> None:
    client = await connect(broker)
    await fill(client, 1)
    await client.jetstream().delete_stream("orders-dlq")
    at = ["--connect", broker.url]
    for arguments, says, code in (
        (["orders", "billing", *at], "--to", 2),
        ([*ARGUMENTS, *at], "orders-dlq: ", 1),
        (["orders", "billing", "--to", "orders", *at], "come back", 1),
        (["orders", "nobody", "--to", "orders", *at], "onsumer not found", 1),
    ):
        said = dead_letter(tmp_path, *arguments, code=code)
        assert says in said
        assert len(said.strip().splitlines()) == 1
