"""JetStream of one account used from another, through imports and exports."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import Connect, Starter

TIMEOUT = 30.0

CONFIG = """
accounts {
  JS {
    jetstream: enabled
    users: [ { user: js, password: js } ]
    exports: [
      { service: "$JS.API.>", response_type: stream }
      { service: "$JS.ACK.>", response_type: stream }
      { service: "orders.*" }
      { stream: "deliver.>" }
    ]
  }
  A {
    users: [ { user: a, password: a } ]
    imports: [
      { service: { subject: "$JS.API.>", account: JS }, to: "JSAPI.>" }
      { service: { subject: "$JS.ACK.>", account: JS } }
      { service: { subject: "orders.*", account: JS } }
      { stream: { subject: "deliver.>", account: JS }, prefix: from }
    ]
  }
}
"""


@pytest.fixture(params=["nats-server", "memphis-desktop"])
def accounts(request: pytest.FixtureRequest, start_nats_server: Starter, start_broker: Starter) -> Any:
    start = start_nats_server if request.param == "nats-server" else start_broker
    return start(config=CONFIG)


async def test_a_pull_consumer_is_read_from_another_account(accounts: Any, connect: Connect) -> None:
    owner = await connect(accounts, user="js", password="js")
    client = await connect(accounts, user="a", password="a")
    jetstream = owner.jetstream(timeout=TIMEOUT)
    await jetstream.add_stream(name="ORDERS", subjects=["orders.*"])
    for number in range(3):
        answer = await client.request(f"orders.{number}", b"body", timeout=TIMEOUT)
        assert json.loads(answer.data) == {"stream": "ORDERS", "seq": number + 1}
    stored = await jetstream.get_msg("ORDERS", 1)
    assert not stored.headers  # who asked is not stored
    config = {"durable_name": "D", "name": "D", "ack_policy": "explicit"}
    body = json.dumps({"stream_name": "ORDERS", "config": config}).encode()
    created = await client.request("JSAPI.CONSUMER.CREATE.ORDERS.D", body, timeout=TIMEOUT)
    assert json.loads(created.data)["name"] == "D"
    inbox = await client.subscribe("answers")
    asked = {"batch": 10, "expires": 2_000_000_000, "idle_heartbeat": 500_000_000}
    await client.publish("JSAPI.CONSUMER.MSG.NEXT.ORDERS.D", json.dumps(asked).encode(), reply="answers")
    for number in range(3):
        message = await inbox.next_msg(timeout=TIMEOUT)
        assert (message.subject, message.data) == (f"orders.{number}", b"body")
        await message.respond(b"+ACK")
    statuses = []
    while "408" not in statuses:
        message = await inbox.next_msg(timeout=TIMEOUT)
        assert message.subject == "answers"
        statuses.append(message.headers["Status"])
    assert set(statuses[:-1]) == {"100"}
    await client.flush(timeout=TIMEOUT)
    await owner.flush(timeout=TIMEOUT)
    info = await jetstream.consumer_info("ORDERS", "D")
    assert (info.num_ack_pending, info.ack_floor.stream_seq) == (0, 3)


async def test_a_push_consumer_delivers_to_another_account(accounts: Any, connect: Connect) -> None:
    owner = await connect(accounts, user="js", password="js")
    client = await connect(accounts, user="a", password="a")
    jetstream = owner.jetstream(timeout=TIMEOUT)
    await jetstream.add_stream(name="ORDERS", subjects=["orders.*"])
    await jetstream.publish("orders.1", b"one")
    inbox = await client.subscribe("from.deliver.here")
    await client.flush(timeout=TIMEOUT)
    config = {"durable_name": "P", "name": "P", "ack_policy": "explicit", "deliver_subject": "deliver.here"}
    body = json.dumps({"stream_name": "ORDERS", "config": config}).encode()
    await client.request("JSAPI.CONSUMER.CREATE.ORDERS.P", body, timeout=TIMEOUT)
    message = await inbox.next_msg(timeout=TIMEOUT)
    assert (message.subject, message.data) == ("orders.1", b"one")
    await message.respond(b"+ACK")
    await client.flush(timeout=TIMEOUT)
    await owner.flush(timeout=TIMEOUT)
    assert (await jetstream.consumer_info("ORDERS", "P")).ack_floor.stream_seq == 1


@pytest.mark.parametrize("start", ["start_nats_server", "start_broker"])
async def test_naming_only_the_system_account_leaves_jetstream_to_the_default_account(
    start: str, request: pytest.FixtureRequest, connect: Connect
) -> None:
    config = """
        accounts { $SYS { users: [{ user: system, password: s }] } }
        authorization { users: [{ user: app, password: a }] }
    """
    server = request.getfixturevalue(start)(config=config)
    client = await connect(server, user="app", password="a")
    await client.jetstream(timeout=30).add_stream(name="S", subjects=["s"])


@pytest.mark.parametrize("start", ["start_nats_server", "start_broker"])
async def test_an_account_without_jetstream_uses_that_of_a_domain(
    start: str, request: pytest.FixtureRequest, connect: Connect
) -> None:
    config = """
        jetstream { domain: hub }
        default_js_domain { B: hub }
        accounts {
          JS {
            jetstream: enabled, users: [{ user: js, password: js }]
            exports: [{ service: "$JS.hub.API.>", response_type: stream }]
          }
          B {
            users: [{ user: b, password: b }]
            imports: [{ service: { account: JS, subject: "$JS.hub.API.>" } }]
          }
        }
    """
    server = request.getfixturevalue(start)(config=config)
    owner = (await connect(server, user="js", password="js")).jetstream(timeout=TIMEOUT)
    await owner.add_stream(name="S", subjects=["s"])
    jetstream = (await connect(server, user="b", password="b")).jetstream(timeout=TIMEOUT)
    assert (await jetstream.stream_info("S")).config.name == "S"
    assert (await jetstream.account_info()).streams == 1
