"""A disk that takes its time: everything that waits for it is answered, and in order.

The node runs in this process; syncs of its files wait for a gate. What deletes the stream or consumer, or
stops the node, comes while answers to acks and publishes still wait behind that gate.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from memphis_desktop.broker.node import BrokerNode
from memphis_desktop.broker.options import BrokerOptions
from memphis_desktop.broker.store.commit import Pace
from memphis_desktop.broker.store.files import OsFile
from tests.clients.wire_client import Frame, WireClient

STALL = 0.25  # seconds that the disk goes on sleeping once everything was sent


class SlowDisk:
    """Holds back syncs while it is closed."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._open.set()
        self._timers: list[threading.Timer] = []

    def wait(self) -> None:
        """Called by each sync."""
        assert self._open.wait(30)

    def stall(self) -> None:
        """Let no sync end for a while."""
        self._open.clear()
        timer = threading.Timer(STALL, self._open.set)
        self._timers.append(timer)
        timer.start()

    def resume(self) -> None:
        """Go on."""
        self._open.set()
        for timer in self._timers:
            timer.cancel()
            timer.join()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowDisk]:
    slow = SlowDisk()
    sync = OsFile.sync

    def wait_and_sync(self: OsFile) -> None:
        slow.wait()
        sync(self)

    monkeypatch.setattr(OsFile, "sync", wait_and_sync)
    yield slow
    slow.resume()


@pytest_asyncio.fixture(params=["in threads", "in place", "at intervals", "in memory"])
async def node(
    tmp_path: Path, disk: SlowDisk, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[BrokerNode]:
    """A node for each way in which what is stored becomes durable."""
    way = request.param
    monkeypatch.setattr(Pace, "in_place", lambda self: way == "in place")
    options = BrokerOptions(
        port=-1,
        jetstream=True,
        store_dir=tmp_path,
        sync_always=way != "at intervals",
        in_memory=way == "in memory",
    )
    node = BrokerNode(options)
    await node.start()
    yield node
    disk.resume()
    await node.stop()


@pytest_asyncio.fixture
async def client(node: BrokerNode) -> AsyncIterator[WireClient]:
    client = await WireClient.connect("127.0.0.1", node.port)
    await ask(client, "STREAM.CREATE.S", {"name": "S", "subjects": ["s.>"]})
    config = {"durable_name": "C", "ack_policy": "explicit"}
    await ask(client, "CONSUMER.CREATE.S.C", {"stream_name": "S", "config": config})
    for _ in range(6):
        await client.request("s.a", b"x")
    yield client
    await client.close()


@pytest_asyncio.fixture
async def acks(client: WireClient) -> list[str]:
    """The ack subjects of five messages that were delivered."""
    client.subscribe("in")
    client.publish("$JS.API.CONSUMER.MSG.NEXT.S.C", b'{"batch": 5}', "in")
    return [frame.reply for frame in await arrived(client, 5)]


async def ask(client: WireClient, name: str, body: object = None) -> None:
    frame = await client.request("$JS.API." + name, b"" if body is None else json.dumps(body).encode())
    assert b'"error"' not in frame.payload, frame.payload


async def arrived(client: WireClient, count: int) -> list[Frame]:
    """Return the first messages, once there are as many."""
    async with asyncio.timeout(20):
        while len(client.frames) < count:
            await client.more()
    frames, client.frames = client.frames, []
    return frames


def send(client: WireClient, acks: list[str]) -> list[str]:
    """Send what is answered once it is on disk; return where the answers go."""
    for number, subject in enumerate(acks):
        client.publish(subject, b"", f"_R.ack{number}")
    for number in range(3):
        client.publish("s.b", b"y", f"_R.pub{number}")
    return [f"_R.ack{number}" for number in range(len(acks))] + [f"_R.pub{number}" for number in range(3)]


@pytest.mark.parametrize("end", ["STREAM.DELETE.S", "CONSUMER.DELETE.S.C", "STREAM.PURGE.S"])
async def test_what_waits_for_the_disk_is_answered_before_what_ends_it(
    client: WireClient, acks: list[str], disk: SlowDisk, end: str
) -> None:
    disk.stall()
    expected = send(client, acks[:3])
    await client.ping()  # those are being synced, the next ones wait for their turn
    expected += [f"_R.late{number}" for number in range(2)]
    client.publish(acks[3], b"+ACK", "_R.late0")
    client.publish("s.c", b"y", "_R.late1")
    client.publish(f"$JS.API.{end}", b"", "_R.end")
    frames = await arrived(client, len(expected) + 1)
    came = [frame.subject for frame in frames if frame.subject.startswith("_R.")]
    assert sorted(came) == sorted([*expected, "_R.end"])
    for part in ("ack", "pub"):
        assert [name for name in came if part in name] == [name for name in expected if part in name]
    # Acks and publishes wait for different files. What deletes one of them comes after who waits for it.
    last = {"STREAM.DELETE.S": expected, "CONSUMER.DELETE.S.C": ["_R.late0"], "STREAM.PURGE.S": ["_R.late1"]}
    assert came.index("_R.end") > max(came.index(name) for name in last[end])
    answers = {frame.subject: frame.payload for frame in frames}
    assert json.loads(answers["_R.end"])["success"]
    for name in expected:
        if "ack" in name or name == "_R.late0":
            assert answers[name] == b""
        else:
            assert json.loads(answers[name])["stream"] == "S"
            assert "error" not in json.loads(answers[name])


async def test_what_waits_for_the_disk_is_answered_when_the_node_stops(
    client: WireClient, acks: list[str], disk: SlowDisk, node: BrokerNode
) -> None:
    disk.stall()
    expected = send(client, acks)
    await client.ping()
    await node.stop()
    frames = await arrived(client, len(expected))
    assert sorted(frame.subject for frame in frames) == sorted(expected)
