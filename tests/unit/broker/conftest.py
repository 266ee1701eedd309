"""A node in this process, and raw connections to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest_asyncio

from memphis_desktop.broker.node import BrokerNode
from memphis_desktop.broker.options import BrokerOptions

QUIET = b'CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true,"protocol":1}\r\n'


class RawClient:
    """A client that speaks bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.info: dict[str, Any] = {}

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def line(self) -> bytes:
        """Return the next line without its end; b"" when the server closed."""
        return (await asyncio.wait_for(self.reader.readline(), 60)).removesuffix(b"\r\n")

    async def until(self, end: bytes) -> bytes:
        return await asyncio.wait_for(self.reader.readuntil(end), 60)

    async def rest(self) -> bytes:
        """Return everything until the server closes."""
        try:
            return await asyncio.wait_for(self.reader.read(), 60)
        except ConnectionError:
            return b""

    async def read_info(self) -> dict[str, Any]:
        line = await self.line()
        assert line.startswith(b"INFO "), line
        self.info = json.loads(line[5:])
        return self.info

    async def synchronise(self) -> bytes:
        """Send PING and return what came before the PONG."""
        self.send(b"PING\r\n")
        return (await self.until(b"PONG\r\n")).removesuffix(b"PONG\r\n")

    def close(self) -> None:
        self.writer.close()


StartNode = Callable[..., Awaitable[BrokerNode]]
OpenClient = Callable[..., Awaitable[RawClient]]


@pytest_asyncio.fixture
async def start_node() -> AsyncIterator[StartNode]:
    """Start nodes on free ports: ``await start_node(max_payload=10)``."""
    nodes: list[BrokerNode] = []

    async def start(**options: Any) -> BrokerNode:
        node = BrokerNode(BrokerOptions(**{"port": -1, **options}))
        nodes.append(node)
        await node.start()
        return node

    yield start
    for node in nodes:
        await node.stop()


@pytest_asyncio.fixture
async def open_client() -> AsyncIterator[OpenClient]:
    """Open raw connections: ``await open_client(node)`` says CONNECT, ``hello=None`` says nothing."""
    clients: list[RawClient] = []

    async def connect(node: BrokerNode, hello: bytes | None = QUIET, limit: int = 2**20) -> RawClient:
        client = RawClient(*await asyncio.open_connection("127.0.0.1", node.port, limit=limit))
        clients.append(client)
        await client.read_info()
        if hello is not None:
            client.send(hello)
            assert await client.synchronise() in (b"", b"+OK\r\n")
            if hello == QUIET:
                await client.read_info()
        return client

    yield connect
    for client in clients:
        client.close()
