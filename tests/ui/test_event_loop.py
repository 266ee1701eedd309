"""Threads never end what belongs to Qt: the loop lets go of it in its own thread."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import shiboken6
from PySide6.QtCore import QObject
from PySide6.QtWidgets import QApplication

from memphis_desktop.ui.event_loop import EventLoop
from tests.waiting import PATIENCE

Until = Callable[..., Awaitable[Any]]


class Watched(QObject):
    """Notes in which thread it ended."""

    def __init__(self, ends: list[int]) -> None:
        super().__init__()
        weakref.finalize(self, lambda: ends.append(threading.get_ident()))
        self.began = threading.Event()
        self.go_on = threading.Event()

    def work(self) -> str:
        """A method as it is given to a thread."""
        self.began.set()
        assert self.go_on.wait(PATIENCE)
        return "done"

    def fail(self) -> None:
        """One that goes wrong: its traceback holds this object."""
        self.work()
        raise ValueError("no")


@pytest.mark.parametrize("method", ["work", "fail"])
@pytest.mark.parametrize("cancelled", [False, True])
async def test_what_a_thread_worked_on_ends_in_the_loop(method: str, cancelled: bool, until: Until) -> None:
    ends: list[int] = []
    watched = Watched(ends)
    began, go_on = watched.began, watched.go_on
    task = asyncio.ensure_future(asyncio.to_thread(getattr(watched, method)))
    del watched
    await until(began.is_set, "the thread")
    if cancelled:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    go_on.set()
    if not cancelled and method == "work":
        assert await task == "done"
    elif not cancelled:
        with pytest.raises(ValueError, match="no"):
            await task
    del task
    loop = asyncio.get_running_loop()
    assert isinstance(loop, EventLoop)
    await until(lambda: gc.collect() >= 0 and not loop.jobs and ends, "the end")
    assert ends == [threading.get_ident()]


async def test_a_job_that_nobody_waits_for_any_more_is_not_begun(until: Until) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, EventLoop)
    free, begun = threading.Event(), []
    first = [loop.run_in_executor(None, free.wait, PATIENCE) for _ in range(10)]
    late = loop.run_in_executor(None, begun.append, 1)
    late.cancel()
    free.set()
    await asyncio.gather(*first)
    await until(lambda: not loop.jobs, "the job's end")
    assert begun == []


def test_a_closed_loop_holds_nothing_of_qt(qapp: QApplication) -> None:
    loop = EventLoop(qapp)
    assert loop.run_until_complete(asyncio.wait_for(loop.run_in_executor(None, str, 5), PATIENCE)) == "5"
    loop.close()
    loop.close()
    assert not shiboken6.isValid(loop._scheduler)
    with pytest.raises(RuntimeError):
        loop.call_soon_threadsafe(print)
    with pytest.raises(RuntimeError):
        loop.run_in_executor(None, print)


def test_a_thread_that_works_while_the_loop_closes_is_waited_for(qapp: QApplication) -> None:
    loop = EventLoop(qapp)
    free = threading.Event()
    threading.Timer(0.05, free.set).start()
    answer = loop.run_in_executor(None, free.wait, PATIENCE)
    loop.close()
    assert free.is_set()
    assert not loop.jobs
    assert not answer.done()
