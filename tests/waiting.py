"""Waiting for what comes: one patience for all tests, long enough for a machine that has more to do.

What comes in time costs no more than it takes; only what never comes costs the whole of it.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from memphis_desktop.cluster.model import ClusterSnapshot
    from memphis_desktop.cluster.session import Session

PATIENCE = 60  # seconds
PAUSE = 0.01  # seconds between two looks; the deadline is what counts

Answer = TypeVar("Answer")


async def until(condition: Callable[[], Any], what: str = "it", seconds: float = PATIENCE) -> Any:
    """Wait for a condition, or a coroutine function, to give something true; return that."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        assert time.monotonic() < deadline, f"{what} did not come within {seconds:g} s"
        await asyncio.sleep(PAUSE)


async def eventually(
    ask: Callable[[], Awaitable[Answer]], right: Callable[[Answer], bool], seconds: float = PATIENCE
) -> Answer:
    """Ask again and again until the answer is right; return it."""
    deadline = time.monotonic() + seconds
    while not right(answer := await ask()):
        assert time.monotonic() < deadline, f"the last answer was {answer}"
        await asyncio.sleep(PAUSE)
    return answer


async def seen(
    session: Session, holds: Callable[[ClusterSnapshot], Any], seconds: float = PATIENCE
) -> ClusterSnapshot:
    """Wait for a snapshot of a session for which something holds."""
    found: asyncio.Future[ClusterSnapshot] = asyncio.get_running_loop().create_future()

    def look(snapshot: ClusterSnapshot) -> None:
        if not found.done() and holds(snapshot):
            found.set_result(snapshot)

    stop = session.subscribe(look)
    look(session.snapshot)
    try:
        async with asyncio.timeout(seconds):
            return await found
    finally:
        stop()
