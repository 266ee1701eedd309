"""The asyncio loop inside Qt: qasync's, with callbacks run in batches instead of one Qt timer for each.

The broker, the connections and the window share this loop. Four things differ from qasync's own:

- What is ready waits in one queue and is run in turns that end after a time slice, so that Qt paints and
  answers keys in between. A Qt timer for each callback would cost several times the callback.
- Timers wait in one heap behind a single precise Qt timer.
- Nothing runs while the loop does not: when something else makes Qt process events (a test's fixture, a
  dialog while the program ends), callbacks stay where they are.
- No thread is the last to hold what was worked on for the window. Whoever lets go of an object last ends it,
  and Qt's objects may end in Qt's thread only: a worker's job, its arguments and its exception (whose
  traceback holds the frames of whoever waited) are let go of here, and closing the loop ends its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import Context
from typing import Any

import qasync
import shiboken6
from PySide6.QtCore import QBasicTimer, QObject, Qt, QTimerEvent

_SLICE_SECONDS = 0.004
_THREADS = 10
_NOW = 0.0005  # a timer this close is due: waking once more would take longer


class _Scheduler(QObject):
    """The queue of what is ready and the heap of what is due later, driven by two Qt timers."""

    def __init__(self, loop: EventLoop) -> None:
        super().__init__()
        self._loop = loop
        self._ready: deque[asyncio.Handle] = deque()
        self._later: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._count = 0
        self._turn = QBasicTimer()  # armed while something is ready
        self._alarm = QBasicTimer()  # armed for the earliest of what is later
        self._alarm_at = 0.0
        self._inside = False  # a callback is being run

    def add_ready(self, handle: asyncio.Handle) -> None:
        """Run it in the next turn."""
        self._ready.append(handle)
        if not self._turn.isActive():
            self._turn.start(0, self)

    def add_later(self, handle: asyncio.TimerHandle) -> None:
        """Run it when its time has come; equal times keep their order."""
        self._count += 1
        when = handle.when()
        heapq.heappush(self._later, (when, self._count, handle))
        if not self._alarm.isActive() or when < self._alarm_at:
            self._set_alarm()

    def arm(self) -> None:
        """The loop runs (again): go on with what waits."""
        if self._ready and not self._turn.isActive():
            self._turn.start(0, self)
        self._set_alarm()

    def clear(self) -> None:
        """Forget everything."""
        self._turn.stop()
        self._alarm.stop()
        self._ready.clear()
        self._later.clear()

    def timerEvent(self, event: QTimerEvent) -> None:
        """A turn, or the alarm."""
        if not self._loop.is_running() or self._inside:
            # Inside: a callback lets Qt process events. Entering a second task from there would break both.
            self._turn.stop()
            self._alarm.stop()
        elif event.timerId() == self._turn.timerId():
            self._run_ready()
        else:
            self._alarm.stop()
            self._collect_due()
            self._run_ready()

    def _run_ready(self) -> None:
        ready = self._ready
        end = time.perf_counter() + _SLICE_SECONDS
        # As in asyncio, what becomes ready meanwhile waits for the next turn, after sockets had theirs.
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                self._inside = True
                try:
                    handle._run()
                finally:
                    self._inside = False
            if not self._loop.is_running() or time.perf_counter() > end:
                break
        if not ready:
            self._turn.stop()
        elif not self._turn.isActive():
            self._turn.start(0, self)
        if self._later and not self._alarm.isActive():
            self._set_alarm()

    def _collect_due(self) -> None:
        now = self._loop.time() + _NOW
        while self._later and self._later[0][0] <= now:
            self._ready.append(heapq.heappop(self._later)[2])
        self._set_alarm()

    def _set_alarm(self) -> None:
        while self._later and self._later[0][2].cancelled():
            heapq.heappop(self._later)
        if not self._later:
            self._alarm.stop()
            return
        self._alarm_at = self._later[0][0]
        milliseconds = max(0.0, (self._alarm_at - self._loop.time()) * 1000)
        self._alarm.start(min(int(milliseconds + 0.999), 2**31 - 1), Qt.TimerType.PreciseTimer, self)


class _Job:
    """A function on its way through a thread. The loop keeps it until it has taken everything out of it."""

    def __init__(self, loop: EventLoop, function: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        self.answer: asyncio.Future[Any] = loop.create_future()
        self._loop = loop
        self._work: tuple[Callable[..., object], tuple[Any, ...]] | None = (function, arguments)
        self._result: object = None
        self._error: BaseException | None = None

    def run(self) -> None:
        """In the thread: work, and leave what came of it here. Nobody waits any more: do not begin."""
        work = self._work
        if work is not None and not self.answer.cancelled():
            try:
                self._result = work[0](*work[1])
            except BaseException as error:
                self._error = error
        del work
        with contextlib.suppress(RuntimeError):  # the loop has ended, and lets go of everything itself
            self._loop.call_soon_threadsafe(self.hand_over)

    def hand_over(self) -> None:
        """In the loop: tell who waits, and let go."""
        if not self.answer.done():
            error = self._error
            if isinstance(error, StopIteration):  # no future can carry it
                error = RuntimeError("the function raised StopIteration")
            if error is not None:
                self.answer.set_exception(error)
            else:
                self.answer.set_result(self._result)
        self.let_go()

    def let_go(self) -> None:
        """Hold nothing any more."""
        self._work = self._result = self._error = None
        self._loop.jobs.discard(self)


class EventLoop(qasync.QEventLoop):  # type: ignore[misc]
    """See the module."""

    def __init__(self, application: QObject) -> None:
        self._scheduler = _Scheduler(self)
        self._ending = threading.RLock()  # no thread calls in while the loop ends
        self.jobs: set[_Job] = set()
        self._threads: Executor | None = None
        super().__init__(application, already_running=False)

    def run_in_executor(
        self, executor: Executor | None, func: Callable[..., object], *args: Any
    ) -> asyncio.Future[Any]:
        """Run ``func`` in a thread; what it holds ends in this one."""
        self._check_closed()
        if executor is None:
            executor = self._threads = self._threads or ThreadPoolExecutor(_THREADS, "worker")
        job = _Job(self, func, args)
        self.jobs.add(job)
        try:
            executor.submit(job.run)
        except BaseException:
            job.let_go()
            raise
        return job.answer

    def set_default_executor(self, executor: Executor) -> None:
        """Use these threads instead of our own."""
        self._threads = executor

    def call_soon_threadsafe(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> None:
        """Run ``callback`` in the next turn; from any thread. RuntimeError: the loop has ended."""
        with self._ending:
            self._check_closed()
            super().call_soon_threadsafe(callback, *args, context=context)

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Run ``callback`` in the next turn."""
        self._check_closed()
        handle = asyncio.Handle(callback, args, self, context)
        self._scheduler.add_ready(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run ``callback`` after ``delay`` seconds."""
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run ``callback`` at a time of the loop's clock."""
        self._check_closed()
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._scheduler.add_later(handle)
        return handle

    def close(self) -> None:
        """Release everything; the loop cannot run again."""
        if self.is_closed():
            return
        if self._threads is not None:
            self._threads.shutdown()
        with self._ending:
            notifiers = [*self._read_notifiers.values(), *self._write_notifiers.values()]
            super().close()
            self._scheduler.clear()
        for job in list(self.jobs):
            job.let_go()
        # Threads that end late hold the loop still: what of it is Qt's ends here and not with them.
        for ours in (self._scheduler, self._timer, self._QEventLoop__call_soon_signaller, *notifiers):
            if shiboken6.isValid(ours):
                shiboken6.delete(ours)

    def _before_run_forever(self) -> None:
        super()._before_run_forever()
        self._scheduler.arm()

    def _process_event(self, key: Any, mask: int) -> None:
        """A socket is ready; its callback waits until the loop runs."""
        if self.is_running():
            super()._process_event(key, mask)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Cancelled timers leave the heap when they reach its top."""
