"""The node's listener for Memphis SDKs: greeting, logins, permissions, and who is told of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import nats
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from nats.js.api import StreamConfig

from memphis_desktop.broker.node import BrokerNode
from memphis_desktop.broker.options import StartError
from memphis_desktop.protocol import headers
from memphis_desktop.protocol.memphis import (
    ACCESS_VIOLATION,
    STATION_METADATA,
    Admission,
    ClientName,
    LoginAttempt,
    Session,
    Work,
    copy_message_id,
)
from tests.unit.broker.conftest import RawClient, StartNode


class Access:
    """May use what begins with ``mine.``, and ask for nothing of others."""

    revoked = outdated = False

    def __init__(self, limited: bool) -> None:
        self.limited = limited

    def may_publish(self, subject: bytes) -> bool:
        return subject.startswith((b"mine.", b"$memphis_"))

    def may_send(self, subject: bytes, content: bytes) -> bool:
        return b"other" not in content

    def may_receive(self, reply: bytes) -> bool:
        return not reply.startswith(b"foreign.")

    def may_subscribe(self, pattern: bytes) -> bool:
        return pattern in (b">", b"mine.>")

    def denied_inside(self, pattern: bytes) -> tuple[bytes, ...]:
        return (b"secret.>",) if pattern == b">" else ()


class Directory:
    """``root`` with the password ``memphis``, checked in a thread, and ``app`` with fewer rights."""

    def __init__(self) -> None:
        self.access = Access(limited=True)
        self.seen: list[tuple[str, Session]] = []
        self.left = asyncio.Event()

    def identify(self, attempt: LoginAttempt) -> Admission | Work | None:
        user, shown = attempt.given.user, attempt.checked
        if user not in ("root$1", "app$1"):
            return None
        if "right" not in shown:
            return lambda: shown.update(right=attempt.given.password == "memphis")
        if not shown["right"]:
            return None
        return Admission("root", Access(limited=False)) if user == "root$1" else Admission("app", self.access)

    def connected(self, session: Session) -> None:
        self.seen.append(("connected", session))

    def disconnected(self, session: Session) -> None:
        self.seen.append(("disconnected", session))
        self.left.set()


Start = Callable[[Directory], Awaitable[BrokerNode]]


@pytest.fixture
def start(start_node: StartNode, tmp_path: Path) -> Start:
    async def start_memphis(directory: Directory) -> BrokerNode:
        node = await start_node(memphis_port=-1, jetstream=True, store_dir=tmp_path)
        await node.listen_for_memphis(directory)
        return node

    return start_memphis


OpenMemphis = Callable[[BrokerNode], Awaitable[RawClient]]


@pytest_asyncio.fixture
async def open_raw() -> AsyncIterator[OpenMemphis]:
    clients: list[RawClient] = []

    async def connect(node: BrokerNode) -> RawClient:
        client = RawClient(*await asyncio.open_connection("127.0.0.1", node.memphis_port))
        clients.append(client)
        await client.read_info()
        return client

    yield connect
    for client in clients:
        client.close()


def hello(user: str, password: str = "memphis", **more: Any) -> bytes:
    options = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True}
    login = {"user": user, "pass": password, "name": f"7b0e::{user.partition('$')[0]}", "lang": "python3"}
    return b"CONNECT " + json.dumps(options | login | more).encode() + b"\r\n"


async def test_greeting_and_login(start: Start, open_raw: OpenMemphis) -> None:
    directory = Directory()
    node = await start(directory)
    client = await open_raw(node)
    assert client.info["auth_required"] is True
    assert client.info["headers"] is True
    client.send(hello("root$1"))
    assert await client.synchronise() == b""
    client.close()
    await asyncio.wait_for(directory.left.wait(), 60)
    kinds, sessions = zip(*directory.seen, strict=True)
    assert kinds == ("connected", "disconnected")
    assert sessions[0] is sessions[1]
    assert (sessions[0].connection_id, sessions[0].user, sessions[0].lang) == ("7b0e", "root", "python3")


@pytest.mark.parametrize(
    "greeting",
    [
        hello("root$1", "wrong"),
        hello("nobody"),
        b"PING\r\n",
        b"SUB x 1\r\n",
        b"PUB a 1\r\nx\r\n",
    ],
)
async def test_refusals_say_what_sdks_look_for(start: Start, open_raw: OpenMemphis, greeting: bytes) -> None:
    directory = Directory()
    node = await start(directory)
    client = await open_raw(node)
    client.send(greeting)
    assert await client.rest() == b"-ERR 'Authorization Violation'\r\n"
    assert directory.seen == []


async def test_permissions_hold_and_end(start: Start, open_raw: OpenMemphis) -> None:
    directory = Directory()
    node = await start(directory)
    client = await open_raw(node)
    client.send(hello("app$1"))
    refusal = f"-ERR '{ACCESS_VIOLATION}'\r\n".encode()
    client.send(b"SUB other 1\r\nSUB > 2\r\nPUB other.a 1\r\nx\r\n")
    assert await client.synchronise() == refusal * 2
    client.send(b'PUB $memphis_creations 15\r\n{"user":"other"}'[:-1] + b"\r\n")
    assert await client.synchronise() == refusal
    client.send(b"PUB mine.a foreign.b 1\r\nx\r\n")
    assert await client.synchronise() == refusal
    client.send(b"PUB mine.a 1\r\nx\r\n")
    assert b"MSG mine.a 2 1\r\nx\r\n" in await client.synchronise()
    other = await nats.connect(node.urls[0])
    await other.publish("secret.a", b"s")
    await other.publish("public.a", b"p")
    await other.flush()
    assert await client.synchronise() == b"MSG public.a 2 1\r\np\r\n"
    await other.close()
    directory.access.revoked = True
    assert await client.rest() == b"-ERR 'Authorization Violation'\r\n"


async def test_the_port_opens_when_asked_and_not_twice(start: Start, start_node: StartNode) -> None:
    node = await start(Directory())
    assert node.ports()["memphis"] == [f"nats://127.0.0.1:{node.memphis_port}"]
    other = await start_node(memphis_port=node.memphis_port)
    assert "memphis" not in other.ports()
    with pytest.raises(StartError, match=f"port {node.memphis_port} on 127.0.0.1 is taken"):
        await other.listen_for_memphis(Directory())


# -- message ids -----------------------------------------------------------------------------------------
async def test_ids_of_stations_are_known_by_their_memphis_name(start_node: StartNode, tmp_path: Path) -> None:
    node = await start_node(jetstream=True, store_dir=tmp_path)
    client = await nats.connect(node.urls[0])
    stream = client.jetstream()
    await stream.add_stream(StreamConfig("s$1", subjects=["s$1.>"], metadata={STATION_METADATA: "s"}))
    await stream.add_stream(StreamConfig("plain", subjects=["plain.>"]))
    headers_sent = {"a": "1", "msg-id": "one"}
    first = await stream.publish("s$1.final", b"x", headers=headers_sent)
    again = await stream.publish("s$1.final", b"y", headers=headers_sent)
    assert (first.seq, again.seq, again.duplicate) == (1, 1, True)
    await stream.publish("plain.a", b"x", headers=headers_sent)
    assert (await stream.publish("plain.a", b"x", headers=headers_sent)).seq == 2
    assert (await stream.get_msg("plain", 2)).headers == headers_sent
    await client.close()
    await node.stop()

    node = await start_node(jetstream=True, store_dir=tmp_path)
    client = await nats.connect(node.urls[0])
    after = await client.jetstream().publish("s$1.final", b"z", headers={"msg-id": "one"})
    assert (after.seq, after.duplicate) == (1, True)
    await client.close()


_TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=":"), min_size=1)
_KEYS = st.one_of(st.sampled_from(["msg-id", "Nats-Msg-Id", "Msg-Id"]), _TEXT)


@given(st.lists(st.tuples(_KEYS, _TEXT)), st.binary())
def test_copied_ids_change_nothing_else(fields: list[tuple[str, str]], payload: bytes) -> None:
    pairs = [(key.encode(), value.encode()) for key, value in fields]
    block = headers.encode(pairs)
    size, body = copy_message_id(len(block), block + payload)
    assert body[size:] == payload
    keys = [key for key, _ in pairs]
    expected = list(pairs)
    if b"msg-id" in keys and b"Nats-Msg-Id" not in keys:
        expected.append((b"Nats-Msg-Id", dict(reversed(pairs))[b"msg-id"]))
    assert headers.parse(body[:size]).fields == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [("u::root", ("u", "root")), ("plain", ("", "")), ("", ("", "")), ("a::b::c", None)],
)
def test_client_names(name: str, expected: tuple[str, str] | None) -> None:
    parsed = ClientName.parse(name)
    assert (parsed and (parsed.connection_id, parsed.user)) == expected
