"""How long an event loop does not answer because of this process, whatever else the machine does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Stalls:
    """The longest stretch between two turns of the loop, in seconds of this process's own computing.

    Processor time of all its threads counts, not the clock: a thread that holds the interpreter is a stall of
    ours, waiting for a processor that others use is not.
    """

    def __init__(self) -> None:
        self.longest = 0.0


@asynccontextmanager
async def watch_stalls() -> AsyncIterator[Stalls]:
    """Watch the running loop within the block."""
    stalls = Stalls()

    async def watch() -> None:
        last = time.process_time()
        while True:
            await asyncio.sleep(0)
            now = time.process_time()
            stalls.longest = max(stalls.longest, now - last)
            last = now

    watcher = asyncio.create_task(watch())
    await asyncio.sleep(0)
    try:
        yield stalls
    finally:
        watcher.cancel()
