"""What the service does by itself from time to time. Each copy does it, and doing it twice harms nothing."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta

from memphis_desktop.stations import connections, dead_letters, lifecycle, membership, model
from memphis_desktop.stations.control.routes import Context
from memphis_desktop.stations.errors import StationsError
from memphis_desktop.stations.tasks import end_task
from memphis_desktop.stations.view import snapshot

log = logging.getLogger(__name__)

Duty = Callable[[Context], Awaitable[object]]

_MARKS_KEPT = timedelta(hours=1)  # for watchers that were away
_MOST_MARKS = 1000  # forgotten at a time, of each bucket


async def forget_deleted(context: Context) -> None:
    """Remove what deleted keys left in the buckets, which would grow for ever otherwise."""
    metadata = context.metadata
    before = model.now() - _MARKS_KEPT
    for bucket in (
        metadata.stations.bucket,
        metadata.producers.bucket,
        metadata.consumers.bucket,
        metadata.connections.bucket,
        metadata.schemas.bucket,
        metadata.users.bucket,
    ):
        live = await snapshot(bucket)
        gone = [key async for key in bucket.matching() if key not in live]
        for key in gone[:_MOST_MARKS]:
            await bucket.forget_deleted(key, before)


DUTIES: tuple[tuple[float, Duty], ...] = (  # seconds between two times
    (10.0, lifecycle.resume_stale),
    (30.0, connections.reconcile),
    (60.0, membership.finish_leaving),
    (120.0, dead_letters.remove_old),
    (900.0, connections.remove_old),
    (900.0, forget_deleted),
)


class Housekeeping:
    """Runs each duty at its own interval, a little varied so that copies do not all work at once."""

    def __init__(self, context: Context, duties: tuple[tuple[float, Duty], ...] = DUTIES) -> None:
        self._context = context
        self._duties = duties
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin; each duty is done once at the start."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._run(interval, duty)) for interval, duty in self._duties]

    async def stop(self) -> None:
        """End; a duty under way is broken off, and done by another copy or at the next start."""
        await asyncio.gather(*map(end_task, self._tasks))
        self._tasks.clear()

    async def _run(self, interval: float, duty: Duty) -> None:
        while True:
            try:
                await duty(self._context)
            except StationsError as error:
                log.warning("housekeeping: %s", error)
            except Exception:
                log.exception("housekeeping failed")
            await asyncio.sleep(interval * random.uniform(0.9, 1.1))
