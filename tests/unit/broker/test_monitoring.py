"""Monitoring over HTTP: routes, parameters, hostile requests."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import pytest

from memphis_desktop.broker import reports
from memphis_desktop.broker.http_server import Answer, Query, respond
from memphis_desktop.broker.node import BrokerNode
from tests.unit.broker.conftest import OpenClient, StartNode


async def fetch(node: BrokerNode, target: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", node.monitoring_port)
    writer.write(f"{method} {target} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 60)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines)
    return int(first.split(" ")[1]), fields, body


async def document(node: BrokerNode, target: str) -> Any:
    status, fields, body = await fetch(node, target)
    assert (status, fields["Content-Type"]) == (200, "application/json")
    return json.loads(body)


async def test_varz_tells_the_traffic(start_node: StartNode, open_client: OpenClient) -> None:
    node = await start_node(http_port=-1)
    client = await open_client(node)
    client.send(b"SUB a 1\r\nPUB a 5\r\nhello\r\n")
    await client.synchronise()
    report = await document(node, "/varz")
    assert (report["in_msgs"], report["in_bytes"], report["out_msgs"], report["out_bytes"]) == (1, 5, 1, 5)
    assert (report["connections"], report["total_connections"]) == (1, 1)
    assert report["mem"] > 1_000_000
    assert (await document(node, "/varz"))["http_req_stats"] == {"/varz": 2}


async def test_connz(start_node: StartNode, open_client: OpenClient) -> None:
    node = await start_node(http_port=-1)
    first, second = await open_client(node), await open_client(node)
    first.send(b"SUB a.* 1\r\nSUB b q 2\r\nUNSUB 2 7\r\nPUB a.x 2\r\nhi\r\n")
    await first.synchronise()
    report = await document(node, "/connz?sort=subs&subs=detail&auth=1")
    assert (report["num_connections"], report["total"]) == (2, 2)
    most, least = report["connections"]
    assert [one["subject"] for one in most["subscriptions_list_detail"]] == ["a.*", "b"]
    assert (
        most["subscriptions_list_detail"][1] | {"sid": "2", "qgroup": "q", "max": 7}
        == (most["subscriptions_list_detail"][1])
    )
    assert (most["in_msgs"], most["out_msgs"], least["subscriptions"], least["account"]) == (1, 1, 0, "$G")
    assert (await document(node, "/connz?limit=1&offset=1"))["num_connections"] == 1
    assert (await document(node, "/connz?filter_subject=a.x&acc=$G"))["num_connections"] == 1
    assert (await document(node, f"/connz?cid={least['cid']}"))["connections"][0]["cid"] == least["cid"]
    second.close()
    async with asyncio.timeout(5):
        while len(node.connections) > 1:  # noqa: ASYNC110 - what is awaited sets no event
            await asyncio.sleep(0.001)
    (closed,) = (await document(node, "/connz?state=closed"))["connections"]
    assert closed["reason"] == "Client Closed"
    assert (await document(node, "/connz?state=all"))["total"] == 2


async def test_subsz(start_node: StartNode, open_client: OpenClient) -> None:
    node = await start_node(http_port=-1)
    client = await open_client(node)
    client.send(b"SUB a.* 1\r\nSUB b 2\r\n")
    await client.synchronise()
    report = await document(node, "/subsz?test=a.x&subs=1")
    assert [one["subject"] for one in report["subscriptions_list"]] == ["a.*"]
    assert (await document(node, "/subsz?subs=1&acc=$G&limit=1"))["num_subscriptions"] >= 2


@pytest.mark.parametrize(
    "path", ["/jsz", "/routez", "/leafz", "/gatewayz", "/accountz", "/accstatz?unused=1", "/healthz"]
)
async def test_the_other_reports(start_node: StartNode, path: str) -> None:
    node = await start_node(http_port=-1)
    assert await document(node, path)


@pytest.mark.parametrize(
    ("target", "status", "words"),
    [
        ("/nowhere", 404, b"not found"),
        ("/raftz", 404, b"No Raft"),
        ("/connz?sort=beauty", 400, b"invalid sorting option: beauty"),
        ("/connz?limit=many", 400, b"Error decoding int for 'limit'"),
        ("/connz?auth=perhaps", 400, b"Error decoding boolean for 'auth'"),
        ("/connz?state=odd", 400, b"state"),
        ("/connz?sort=stop", 400, b"only valid on closed"),
        ("/subsz?test=a.*", 400, b"invalid test subject"),
        ("/accountz?acc=ghost", 400, b"Account ghost does not exist"),
        ("/healthz?stream=s", 400, b"must not be empty"),
    ],
)
async def test_refused(start_node: StartNode, target: str, status: int, words: bytes) -> None:
    node = await start_node(http_port=-1)
    answer = await fetch(node, target)
    assert answer[0] == status
    assert words in answer[2]


async def test_head_and_callback(start_node: StartNode) -> None:
    node = await start_node(http_port=-1)
    assert (await fetch(node, "/healthz", "HEAD"))[2] == b""
    assert (await fetch(node, "/healthz", "POST"))[0] == 405
    _, fields, body = await fetch(node, "/healthz?callback=show")
    assert fields["Content-Type"] == "application/javascript"
    assert body == b'show({"status":"ok"})'
    assert (await fetch(node, "/healthz?callback=alert(1)//"))[2] == b'{"status":"ok"}'


async def test_an_endless_head_is_cut(start_node: StartNode) -> None:
    node = await start_node(http_port=-1)
    reader, writer = await asyncio.open_connection("127.0.0.1", node.monitoring_port)
    writer.write(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 10_000)
    with contextlib.suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), 60) == b""
    writer.close()


@pytest.mark.parametrize(
    "head",
    [b"", b"GET", b"GET / HTTP/2", b"\xff\xfe \x00 HTTP/1.1", b"GET /?" + b"a=b&" * 100 + b" HTTP/1.1"],
)
def test_any_head_is_answered(head: bytes) -> None:
    def responder(path: str, query: Query) -> Answer:
        return Answer(b"{}")

    assert respond(head, responder).startswith(b"HTTP/1.1 4")


def test_a_failing_report_is_an_answer_too(caplog: pytest.LogCaptureFixture) -> None:
    def responder(path: str, query: Query) -> Answer:
        raise KeyError(path)

    assert respond(b"GET / HTTP/1.1", responder).startswith(b"HTTP/1.1 500")
    assert "failed" in caplog.text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (61, "1m1s"), (3600, "1h0m0s"), (90_061, "1d1h1m1s"), (31_536_000, "1y0d0h0m0s")],
)
def test_uptime(seconds: int, text: str) -> None:
    assert reports.short_duration(seconds * 10**9) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.000249, "249µs"), (0.0015, "1.5ms"), (2.01, "2.01s")])
def test_round_trip(seconds: float, text: str) -> None:
    assert reports.round_trip_text(seconds) == text
