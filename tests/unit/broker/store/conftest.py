"""Stores for tests: the file store on a temporary folder and the memory store, with what both share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from memphis_desktop.broker.clock import LoopClock
from memphis_desktop.broker.store import MemoryRoot, open_file_store
from memphis_desktop.broker.store.interface import Limits, MessageStore, StoreRoot, StreamStorage

ACCOUNT = "$G"
START = 1_700_000_000_000_000_000


class Node:
    """A store root that can be closed and opened again, as after a restart."""

    def __init__(self, folder: Path | None, **options: Any) -> None:
        self.folder = folder
        self.options = options
        self.root: StoreRoot = self._open()

    def _open(self) -> StoreRoot:
        clock = LoopClock(asyncio.get_running_loop())
        if self.folder is None:
            return MemoryRoot(clock)
        return open_file_store(self.folder, clock, asyncio.get_running_loop(), **self.options)

    def create(self, name: str = "S", **limits: Any) -> StreamStorage:
        return self.root.create_stream(
            ACCOUNT, name, b'{"name":"S"}', memory=self.folder is None, limits=Limits(**limits)
        )

    def reopen(self, name: str = "S") -> StreamStorage:
        """Close in order and open again."""
        self.root.close()
        return self.open(name)

    def open(self, name: str = "S") -> StreamStorage:
        self.root = self._open()
        return next(stream for stream in self.root.open_streams(ACCOUNT) if stream.name == name)


@pytest.fixture(params=["file", "memory"])
async def node(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Node]:
    """Either store."""
    made = Node(tmp_path / "data" if request.param == "file" else None)
    yield made
    made.root.close()


@pytest.fixture
async def make_node(tmp_path: Path) -> Iterator[Callable[..., Node]]:
    """Make file nodes with options."""
    made: list[Node] = []

    def make(**options: Any) -> Node:
        made.append(Node(options.pop("folder", tmp_path / "data"), **options))
        return made[-1]

    yield make
    for each in made:
        each.root.close()


async def durable(store: Any) -> None:
    """Wait until all that was written is durable."""
    future = asyncio.get_running_loop().create_future()
    store.when_durable(lambda failure: future.set_exception(failure) if failure else future.set_result(None))
    await future


def fill(store: MessageStore, count: int, subject: bytes = b"a", size: int = 16, start: int = START) -> int:
    """Append `count` messages, in one batch, whose bodies begin with their number."""
    return store.append([(subject, 0, b"%08d" % n + bytes(size - 8)) for n in range(count)], start)
