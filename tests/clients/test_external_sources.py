"""Mirrors and sources whose origin is in another account."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from nats.aio.client import Client

from memphis_desktop.server_process import ServerProcess
from tests.clients import backup
from tests.clients.backup import request
from tests.conftest import Connect, Starter

CONFIG = """
accounts {
  ORIGIN {
    jetstream: enabled
    users: [ { user: origin, password: origin } ]
    exports: [
      { service: "$JS.API.CONSUMER.>", response_type: stream }
      { service: "$JS.FC.>" }
      { stream: "deliver.>" }
    ]
  }
  COPY {
    jetstream: enabled
    users: [ { user: copy, password: copy } ]
    imports: [
      { service: { account: ORIGIN, subject: "$JS.API.CONSUMER.>" }, to: "FROM.API.CONSUMER.>" }
      { service: { account: ORIGIN, subject: "$JS.FC.>" } }
      { stream: { account: ORIGIN, subject: "deliver.>" } }
    ]
  }
}
"""
EXTERNAL = {"api": "FROM.API", "deliver": "deliver"}


@pytest.fixture(params=["nats-server", "memphis-desktop"])
def accounts(request: pytest.FixtureRequest, start_nats_server: Starter, start_broker: Starter) -> Any:
    start = start_nats_server if request.param == "nats-server" else start_broker
    return start(config=CONFIG)


async def publish(client: Client, start: int, count: int) -> None:
    jetstream = client.jetstream(timeout=30)
    for number in range(start, start + count):
        await jetstream.publish(f"o.{number % 3}", b"body %d" % number, headers={"N": str(number)})


async def until_stored(client: Client, stream: str, last: int) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            info = await request(client, f"$JS.API.STREAM.INFO.{stream}", None)
            if info["state"]["last_seq"] >= last:
                return info
            await asyncio.sleep(0.05)


async def test_streams_of_another_account(accounts: ServerProcess, connect: Connect) -> None:
    origin = await connect(accounts, user="origin", password="origin")
    copy = await connect(accounts, user="copy", password="copy")
    await origin.jetstream(timeout=30).add_stream(name="O", subjects=["o.*"])
    await publish(origin, 0, 30)
    mirror = {"name": "M", "mirror": {"name": "O", "external": EXTERNAL}}
    source = {"name": "O", "filter_subject": "o.1", "external": EXTERNAL}
    sourced = {"name": "S", "sources": [source]}
    for config in (mirror, sourced):
        answer = await request(copy, f"$JS.API.STREAM.CREATE.{config['name']}", config)
        assert "error" not in answer, answer
    info = await until_stored(copy, "M", 30)
    assert info["mirror"]["external"] == EXTERNAL
    assert await backup.everything(copy, "M") == await backup.everything(origin, "O")
    await until_stored(copy, "S", 10)
    message = (await request(copy, "$JS.API.STREAM.MSG.GET.S", {"seq": 1}))["message"]
    assert message["subject"] == "o.1"
    stored = await copy.jetstream(timeout=30).get_msg("S", 1)
    assert stored.headers is not None
    name, sequence, filters, destination, subject = stored.headers["Nats-Stream-Source"].split(" ")[:5]
    assert (name.partition(":")[0], sequence, filters, destination, subject) == ("O", "2", "o.1", ">", "o.1")
    # What comes later, and after a restart.
    await publish(origin, 30, 3)
    await until_stored(copy, "M", 33)
    await until_stored(copy, "S", 11)
    await asyncio.to_thread(accounts.restart)
    origin = await connect(accounts, user="origin", password="origin")
    copy = await connect(accounts, user="copy", password="copy")
    await publish(origin, 33, 3)
    await until_stored(copy, "M", 36)
    info = await until_stored(copy, "S", 12)
    assert info["state"]["messages"] == 12
    assert await backup.everything(copy, "M") == await backup.everything(origin, "O")


async def test_an_origin_that_comes_later(accounts: ServerProcess, connect: Connect) -> None:
    copy = await connect(accounts, user="copy", password="copy")
    origin = await connect(accounts, user="origin", password="origin")
    mirror = {"name": "M", "mirror": {"name": "O", "external": EXTERNAL}}
    assert "error" not in await request(copy, "$JS.API.STREAM.CREATE.M", mirror)
    await origin.jetstream(timeout=30).add_stream(name="O", subjects=["o.*"])
    await publish(origin, 0, 5)
    await until_stored(copy, "M", 5)


async def test_a_full_window_of_flow_control(accounts: ServerProcess, connect: Connect) -> None:
    origin = await connect(accounts, user="origin", password="origin")
    copy = await connect(accounts, user="copy", password="copy")
    jetstream = origin.jetstream(timeout=30)
    await jetstream.add_stream(name="O", subjects=["o.*"])
    for _ in range(60):
        await jetstream.publish("o.1", bytes(100_000))
    mirror = {"name": "M", "mirror": {"name": "O", "external": EXTERNAL}}
    assert "error" not in await request(copy, "$JS.API.STREAM.CREATE.M", mirror)
    info = await until_stored(copy, "M", 60)
    assert json.dumps(info["state"]["bytes"]) == json.dumps(
        (await request(origin, "$JS.API.STREAM.INFO.O", None))["state"]["bytes"]
    )
