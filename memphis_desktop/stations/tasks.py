"""Ending a task that waits in nats-py, which swallows a cancellation at some of its awaits."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

_PATIENCE = 1.0


async def end_task(task: asyncio.Task[Any] | None) -> None:
    """Cancel a task until it has ended; what it raised is not told."""
    while task is not None and not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_PATIENCE)
    if task is not None and not task.cancelled():
        task.exception()


async def undisturbed(work: Coroutine[Any, Any, None]) -> None:
    """Do something that ends by itself, such as cleaning up, even when its task is cancelled meanwhile."""
    task = asyncio.get_running_loop().create_task(work)
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            continue
    task.result()
