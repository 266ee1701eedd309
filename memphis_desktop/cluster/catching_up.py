"""Reading the groups of thousands of streams for the first time, list by list.

Without the system account a stream's consumers take one request at least (a page of CONSUMER.LIST holds
256), so two thousand streams are two thousand requests. Rounds would ask them in bursts and leave half of the
budget unused; here one follows the other as soon as the budget has room, while the rounds go on with what is
in view. Streams in view come first, the others by name. Later changes are told by advisories and read in
turn.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable

from .asking import Asker, Attention
from .failures import ClusterError, NotConnected
from .model import FirstReading
from .state import ClusterState
from .sweep import ConsumerSweep

log = logging.getLogger(__name__)

MANY = 60  # streams that were not read yet; fewer are left to the rounds
WORKERS = 4  # so that a far broker's answers are not waited for one by one
RESERVE = 1  # request of a second that is left to the rounds
PAUSE = 0.04  # seconds between two looks at the budget
FAILURES = 8  # in a row, after which it is given up
RETRY = 30.0  # seconds after that
RATE_SPAN = 10.0  # seconds by which the rest is estimated


class CatchUp:
    """The first reading of one session's groups, beside its rounds."""

    def __init__(
        self,
        asker: Asker,
        state: ClusterState,
        attention: Attention,
        sweep: ConsumerSweep,
        read_of: Callable[[str], Awaitable[None]],
    ) -> None:
        self._asker = asker
        self._state = state
        self._attention = attention
        self._sweep = sweep
        self._read_of = read_of
        self._task: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._queue: deque[str] = deque()
        self._asked: set[str] = set()
        self._failures = 0
        self._not_before = float("-inf")
        self._progress: deque[tuple[float, int]] = deque()  # when how many were left

    @property
    def under_way(self) -> bool:
        """Whether it reads what rounds would read otherwise."""
        return self._task is not None

    def begin_if_worth(self) -> None:
        """Begin when there is much to read; it goes on beside the rounds."""
        if self._task is not None or self._sweep.covers or time.monotonic() < self._not_before:
            return
        unread = self._unread()
        if len(unread) > MANY:
            self._queue = deque(sorted(unread))
            self._asked.clear()
            self._progress.clear()
            self._failures = 0
            self._task = asyncio.create_task(self._run(), name="read groups for the first time")
            self._task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """End it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._task = None
        self._state.first_reading = None
        if not task.cancelled() and (error := task.exception()) is not None:
            self._not_before = time.monotonic() + RETRY
            log.error("reading the groups failed", exc_info=error)

    def _unread(self) -> list[str]:
        read_at = self._state.consumers_read_at
        return [n for n, s in self._state.streams.items() if s.consumer_count and n not in read_at]

    async def _run(self) -> None:
        await self._asker.session.raft.wait_ready()  # then it is known whether the system account tells all
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            async with self._turn:
                await self._wait_for_room()
                name = None if self._over() else self._in_view() or self._next()
                if name is None:
                    return
                self._asked.add(name)
                self._note()
            try:
                await self._read_of(name)
                self._failures = 0
            except NotConnected:
                self._failures = FAILURES  # the round after the reconnect begins anew
            except ClusterError as error:
                self._failures += 1
                if self._failures == FAILURES:
                    self._not_before = time.monotonic() + RETRY
                    log.info("reading the groups: %s", error)

    def _over(self) -> bool:
        return self._failures >= FAILURES or self._sweep.covers or not self._asker.session.connected

    async def _wait_for_room(self) -> None:
        """Wait until the budget allows one more: half of it also while answers are slow.

        What came into view is not waited for: it is asked at once, and paid back afterwards.
        """
        budget = self._asker.budget
        while not self._over():
            if budget.left > RESERVE or budget.left_of_half > 0 or (budget.left_ahead and self._in_view()):
                return
            await asyncio.sleep(PAUSE)

    def _in_view(self) -> str | None:
        return next((name for name in self._attention.wanted() if self._is_due(name)), None)

    def _next(self) -> str | None:
        while self._queue:
            name = self._queue.popleft()
            if self._is_due(name):
                return name
        return None

    def _is_due(self, name: str) -> bool:
        stream = self._state.streams.get(name)
        return (
            stream is not None
            and stream.consumer_count > 0
            and name not in self._asked
            and name not in self._state.consumers_read_at
        )

    def _note(self) -> None:
        """Tell how far it is: by what was done in the last seconds, how long the rest takes."""
        now, left = time.monotonic(), len(self._unread())
        self._progress.append((now, left))
        while now - self._progress[0][0] > RATE_SPAN:
            self._progress.popleft()
        began, then = self._progress[0]
        seconds = left * (now - began) / (then - left) if then > left and now - began > 1.0 else None
        self._state.first_reading = FirstReading(left, seconds)
