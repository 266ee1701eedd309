"""Group commit: syncs run in worker threads, their callbacks together on the loop.

One `Channel` stands for what is synced as a unit (a stream's log, its consumers' journal). A channel has at
most one sync in flight; all that was written while it ran is covered by the next one, so the number of syncs
adapts to the medium's speed with no timer. Channels do not wait for each other.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeAlias

from memphis_desktop.broker.clock import Clock
from memphis_desktop.broker.store.interface import DurableCallback, StorageError

logger = logging.getLogger(__name__)

# Runs in a worker thread and returns when everything is on the medium.
SyncWork: TypeAlias = Callable[[], None]
_Done: TypeAlias = Callable[["BaseException | None"], None]
_Job: TypeAlias = "tuple[SyncWork, _Done] | None"


class Workers:
    """A few threads, started when there is work, whose results reach the loop in one call per turn."""

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str, most: int) -> None:
        self._loop = loop
        self._name = name
        self._most = most
        self._jobs: SimpleQueue[_Job] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._finished: SimpleQueue[tuple[_Done, BaseException | None]] = SimpleQueue()
        self._told = False
        self._busy = 0
        self._closed = False

    @property
    def idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._busy

    def submit(self, work: SyncWork, done: _Done) -> None:
        """Run `work` in a thread, then `done` on the loop with what it raised, if anything."""
        if self._closed:
            raise RuntimeError("the store is closed")
        self._busy += 1
        if self._busy > len(self._threads) and len(self._threads) < self._most:
            thread = threading.Thread(
                target=self._run, name=f"{self._name}-{len(self._threads)}", daemon=True
            )
            self._threads.append(thread)
            thread.start()
        self._jobs.put((work, done))

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            work, done = job
            failure: BaseException | None = None
            try:
                work()
            except BaseException as error:
                failure = error
            self._finished.put((done, failure))
            del job, work, done
            if not self._told:
                self._told = True
                try:
                    self._loop.call_soon_threadsafe(self.drain)
                except RuntimeError:  # the loop is closed; `close` drains
                    self._told = False

    def drain(self) -> None:
        """Run on the loop what finished."""
        self._told = False
        while not self._finished.empty():
            self._end(*self._finished.get())

    def _end(self, done: _Done, failure: BaseException | None) -> None:
        self._busy -= 1
        try:
            done(failure)
        except Exception:
            logger.exception("a callback after a sync failed")

    def wait(self) -> None:
        """Block until nothing is under way, running on this thread what finished."""
        while self._busy:
            self.wait_for_one()

    def wait_for_one(self) -> None:
        """Block until something that is under way finishes, and run on this thread what follows it."""
        self._end(*self._finished.get())

    def close(self) -> None:
        """Finish what is under way and end the threads."""
        self.wait()
        self._closed = True
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()


class TurnCallbacks:
    """Durability callbacks that need no sync: run together, in order, after the work at hand."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: list[DurableCallback] = []

    def add(self, callback: DurableCallback) -> None:
        """Call back when the work at hand is done."""
        if not self._waiting:
            self._clock.call_after(self.run)
        self._waiting.append(callback)

    def run(self) -> None:
        """Call back now."""
        waiting, self._waiting = self._waiting, []
        run_callbacks(waiting, None)


def run_callbacks(callbacks: list[DurableCallback], failure: StorageError | None) -> None:
    """Call all of them; one that fails does not keep the others from being told."""
    for callback in callbacks:
        try:
            callback(failure)
        except Exception:
            logger.exception("a durability callback failed")


class Pace:
    """Decides whether a sync may run on the loop itself.

    Handing it to a thread and back costs some 60 us, a fifth of a whole sync on a good disk, which a client
    that waits for every ack feels. So a node without a window may sync in place: only while nothing else is
    under way, while few bytes are to be synced, and while the medium has shown over and over that it takes
    less than a millisecond. One slow sync, and threads do it for the next ten seconds.
    """

    # Syncs in a row that have to be quick before one is done in place.
    _TRIALS = 32
    _QUICK = 0.001
    _SLOW = 0.003
    _PENALTY = 10.0

    def __init__(self, clock: Clock, *, allowed: bool) -> None:
        self._clock = clock
        self._allowed = allowed
        self._quick = 0
        self._not_before = 0.0

    def note(self, seconds: float) -> None:
        """Learn how long a sync took."""
        if seconds < self._QUICK:
            self._quick += 1
            return
        self._quick = 0
        if seconds > self._SLOW:
            self._not_before = self._clock.monotonic() + self._PENALTY

    def in_place(self) -> bool:
        """Return whether the next sync may run on the loop."""
        return self._allowed and self._quick >= self._TRIALS and self._clock.monotonic() >= self._not_before


class Channel:
    """What is synced as a unit.

    `begin` is called on the loop when a sync starts: it returns what the worker has to do, or None when
    nothing is unsynced; `in_place` says then whether it is done on this thread. `ended` is called on the
    loop with its error, before the waiting callbacks. `size` tells how many bytes are unsynced.
    """

    __slots__ = (
        "_begin",
        "_clock",
        "_covered",
        "_ended",
        "_in_flight",
        "_pace",
        "_planned",
        "_size",
        "_took",
        "_waiting",
        "_workers",
        "in_place",
    )

    # A larger batch is worth overlapping with the work on the next one.
    _SMALL = 32 * 1024

    def __init__(
        self,
        workers: Workers,
        pace: Pace,
        clock: Clock,
        begin: Callable[[], SyncWork | None],
        ended: Callable[[BaseException | None], StorageError | None],
        size: Callable[[], int],
    ) -> None:
        self._workers = workers
        self._pace = pace
        self._clock = clock
        self._begin = begin
        self._ended = ended
        self._size = size
        self._waiting: list[DurableCallback] = []
        self._covered: list[DurableCallback] = []
        self._in_flight = False
        self._planned: Callable[[], None] | None = None  # the sync in flight, when it is one of this thread
        self._took = 0.0
        self.in_place = False

    @property
    def idle(self) -> bool:
        """Whether no sync is in flight or asked for."""
        return not self._in_flight and not self._waiting

    def request(self, callback: DurableCallback) -> None:
        """Call back when all that was written until now is durable."""
        self._waiting.append(callback)
        if not self._in_flight:
            self._in_flight = True
            if self._pace.in_place() and self._workers.idle and self._size() <= self._SMALL:
                # After the work at hand: one sync for all that it still brings.
                self._planned = self._sync_in_place
                self._clock.call_after(self._do_planned)
            else:
                self._start()

    def finish(self) -> None:
        """Bring everything to the medium now, on this thread, and call back all that wait for it."""
        self.request(ignore)
        while self._in_flight:
            if self._planned is not None:
                self._do_planned()
            else:
                self._workers.wait_for_one()

    def _do_planned(self) -> None:
        planned, self._planned = self._planned, None
        if planned is not None:  # else `finish` came first
            planned()

    def _start(self) -> None:
        self._in_flight = True
        self._covered, self._waiting = self._waiting, []
        work = self._begin()
        if work is None:
            self._planned = self._nothing_to_do
            self._clock.call_soon(self._do_planned)
        else:
            self._workers.submit(self._timed(work), self._finished)

    def _timed(self, work: SyncWork) -> SyncWork:
        def run() -> None:
            start = self._clock.stopwatch()
            work()
            self._took = self._clock.stopwatch() - start

        return run

    def _sync_in_place(self) -> None:
        if self._size() > self._SMALL:
            self._start()
            return
        self._covered, self._waiting = self._waiting, []
        self.in_place = True
        work = self._begin()
        self.in_place = False
        error: BaseException | None = None
        if work is not None:
            try:
                self._timed(work)()
            except Exception as trouble:
                error = trouble
        self._finished(error)

    def _nothing_to_do(self) -> None:
        self._finished(None)

    def _finished(self, error: BaseException | None) -> None:
        failure = self._ended(error)
        self._pace.note(self._took)
        covered, self._covered = self._covered, []
        self._in_flight = False
        if self._waiting:
            self._start()  # before the callbacks, so that the medium works while they do
        run_callbacks(covered, failure)


def ignore(_: StorageError | None) -> None:
    """Wait for nothing."""
