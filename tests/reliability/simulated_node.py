"""A store on simulated files, a simulated clock and threads that run when told: everything by a seed."""

from __future__ import annotations

import asyncio
import heapq
import random
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from memphis_desktop.broker.store import open_file_store
from memphis_desktop.broker.store.commit import Workers
from memphis_desktop.broker.store.interface import StoreRoot
from tests.reliability.simulated_files import SimulatedFileSystem

ROOT = Path("/simulated/data")
START = 1_700_000_000_000_000_000


class SimulatedTimer:
    """A planned call."""

    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Call it off."""
        self.callback = None

    def __lt__(self, other: SimulatedTimer) -> bool:
        return self.when < other.when


class SimulatedClock:
    """Time that passes when told; `jump` moves the wall clock alone."""

    def __init__(self) -> None:
        self.now = 0.0
        self.jump = 0
        self._soon: deque[Callable[[], None]] = deque()
        self._timers: list[SimulatedTimer] = []

    def time_ns(self) -> int:
        """Wall time."""
        return START + int(self.now * 1e9) + self.jump

    def monotonic(self) -> float:
        """Time since the start."""
        return self.now

    def stopwatch(self) -> float:
        """Nothing takes any time."""
        return self.now

    def call_later(self, delay: float, callback: Callable[[], None]) -> SimulatedTimer:
        """Plan a call."""
        timer = SimulatedTimer(self.now + delay, callback)
        heapq.heappush(self._timers, timer)
        return timer

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Run in the next turn."""
        self._soon.append(callback)

    def call_after(self, callback: Callable[[], None]) -> None:
        """Run in the next turn."""
        self.call_soon(callback)

    def begin_chunk(self) -> bool:
        """Nothing waits for the end of a chunk here."""
        return False

    def end_chunk(self) -> None:
        """Nothing waited."""

    def turn(self) -> bool:
        """Run one turn of the loop; False when there was nothing to run."""
        planned = len(self._soon)
        for _ in range(planned):
            self._soon.popleft()()
        return planned > 0

    def advance(self, seconds: float) -> None:
        """Let time pass, and run what falls due."""
        end = self.now + seconds
        while self._timers and self._timers[0].when <= end:
            timer = heapq.heappop(self._timers)
            self.now = max(self.now, timer.when)
            if timer.callback is not None:
                timer.callback()
            while self.turn():
                pass
        self.now = end


class ManualWorkers(Workers):
    """Threads replaced by a queue: a job runs when the test says so."""

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str, most: int) -> None:
        super().__init__(loop, name, most)
        self.queue: deque[tuple[Callable[[], None], Callable[[BaseException | None], None]]] = deque()

    @property
    def idle(self) -> bool:
        """Whether the queue is empty."""
        return not self.queue

    def submit(self, work: Callable[[], None], done: Callable[[BaseException | None], None]) -> None:
        """Put a job into the queue."""
        self.queue.append((work, done))

    def run_one(self) -> bool:
        """Run the oldest job and tell its end; False when there is none."""
        if not self.queue:
            return False
        work, done = self.queue.popleft()
        error: BaseException | None = None
        try:
            work()
        except Exception as trouble:
            error = trouble
        done(error)
        return True

    def wait(self) -> None:
        """Run everything."""
        while self.run_one():
            pass

    def wait_for_one(self) -> None:
        """Run one."""
        assert self.run_one()

    def close(self) -> None:
        """Run everything."""
        self.wait()


class SimulatedNode:
    """A store root that can be killed or lose its power at any moment."""

    def __init__(self, files: SimulatedFileSystem | None = None, **options: Any) -> None:
        self.files = files or SimulatedFileSystem()
        self.clock = SimulatedClock()
        self.options = options
        self.workers: list[ManualWorkers] = []
        self.root: StoreRoot = open_file_store(
            ROOT,
            self.clock,
            None,  # type: ignore[arg-type]
            files=self.files,
            make_workers=self._make_workers,
            **options,
        )
        for _ in range(32):  # the medium is known to be quick
            self.root._settings.pace.note(0.0)  # type: ignore[attr-defined]

    def _make_workers(self, loop: asyncio.AbstractEventLoop, name: str, most: int) -> ManualWorkers:
        self.workers.append(ManualWorkers(loop, name, most))
        return self.workers[-1]

    def work(self, chance: random.Random) -> None:
        """Let some of what is under way happen."""
        kind = chance.random()
        if kind < 0.4:
            chance.choice(self.workers).run_one()
        elif kind < 0.8:
            self.clock.turn()
        else:
            self.clock.advance(chance.random() * 0.01)

    def wait(self, seconds: float) -> None:
        """Let time pass, and everything happen meanwhile."""
        end = self.clock.now + seconds
        while self.clock.now < end:
            self.clock.advance(0.25)
            self.settle()

    def settle(self) -> None:
        """Let everything happen that is under way."""
        for _ in range(10_000):
            moved = sum(worker.run_one() for worker in self.workers) > 0
            moved = self.clock.turn() or moved
            if not moved:
                self.clock.advance(0.01)
                if not any(worker.queue for worker in self.workers) and not self.clock.turn():
                    return
        raise AssertionError("the store does not come to rest")
