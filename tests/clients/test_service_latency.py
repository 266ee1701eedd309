"""The latency of services that another account uses, as our broker and as nats-server tell it."""

from __future__ import annotations

import json
from typing import Any

import nats.errors
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from tests.clients.test_core_system import shape
from tests.conftest import Connect, Starter

CONFIG = """
accounts {
  A {
    users: [{ user: a, password: a }]
    exports: [
      { service: all, latency: lat.all }
      { service: some, latency: { sampling: headers, subject: lat.some } }
      { service: nobody, latency: lat.nobody }
      { service: slow, threshold: "200ms", latency: lat.slow }
    ]
  }
  B {
    users: [{ user: b, password: b }]
    imports: [
      { service: { account: A, subject: all } }
      { service: { account: A, subject: some }, share: true }
      { service: { account: A, subject: nobody } }
      { service: { account: A, subject: slow } }
    ]
  }
}
"""

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"
REQUESTS: list[tuple[str, dict[str, str]]] = [
    ("all", {}),
    ("some", {}),
    ("some", {"traceparent": TRACE + "01"}),
    ("some", {"traceparent": TRACE + "00"}),
    ("some", {"X-B3-Sampled": "1", "X-B3-TraceId": "abc", "X-B3-SpanId": "d"}),
    ("some", {"X-B3-Sampled": "0", "X-B3-TraceId": "abc"}),
    ("some", {"X-B3-TraceId": "abc"}),
    ("some", {"b3": "abc-def-1-ghi"}),
    ("some", {"b3": "0"}),
    ("some", {"Uber-Trace-Id": "1:2:3:1"}),
    ("some", {"Uber-Trace-Id": "1:2:3:0"}),
    ("nobody", {}),
    ("slow", {}),
]


async def metrics(start: Starter, connect: Connect) -> list[Any]:
    """Return what a server tells of each request: its status, its trace headers and the fields."""
    server = start(config=CONFIG, jetstream=False)
    service: Client = await connect(server, user="a", password="a", name="service")
    requester: Client = await connect(server, user="b", password="b", name="requester")

    async def answer(message: Msg) -> None:
        await message.respond(b"x")

    async def say_nothing(message: Msg) -> None:
        pass

    for subject in ("all", "some"):
        await service.subscribe(subject, cb=answer)
    await service.subscribe("slow", cb=say_nothing)
    told = await service.subscribe("lat.>")
    await service.flush()
    found: list[Any] = []
    for subject, headers in REQUESTS:
        timeout = 0.5 if subject == "slow" else 10
        try:
            await requester.request(subject, b"q", timeout=timeout, headers=headers or None)
        except (nats.errors.NoRespondersError, nats.errors.TimeoutError) as error:
            found.append(type(error).__name__)
        await service.flush()
        while told.pending_msgs or subject == "slow":
            message = await told.next_msg(timeout=30)
            metric = json.loads(message.data)
            assert metric["total"] >= metric["service"] >= 0
            found.append([message.subject, metric["status"], metric.get("header"), shape(metric)])
            if subject == "slow":
                break
    return found


async def test_latency_is_told_as_by_the_reference(
    start_nats_server: Starter, start_broker: Starter, connect: Connect
) -> None:
    theirs, ours = [await metrics(start, connect) for start in (start_nats_server, start_broker)]
    assert ours == theirs
    assert [one[1] for one in ours if isinstance(one, list)] == [200] * 6 + [503, 504]


@pytest.mark.parametrize("number", range(3))
async def test_a_share_of_the_requests(start_broker: Starter, connect: Connect, number: int) -> None:
    sampling = (1, 50, 100)[number]
    config = CONFIG.replace("latency: lat.all", f'latency: {{ sampling: "{sampling}%", subject: lat.all }}')
    server = start_broker(config=config, jetstream=False)
    service: Client = await connect(server, user="a", password="a")
    requester: Client = await connect(server, user="b", password="b")
    told = await service.subscribe("lat.all")

    async def answer(message: Msg) -> None:
        await message.respond(b"x")

    await service.subscribe("all", cb=answer)
    await service.flush()
    for _ in range(200):
        await requester.request("all", b"", timeout=30)
    await service.flush()
    least, most = ((0, 15), (60, 140), (200, 200))[number]
    assert least <= told.pending_msgs <= most
