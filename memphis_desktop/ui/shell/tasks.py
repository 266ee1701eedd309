"""Coroutines of the window: each has an owner, and none fails in silence."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.errors import Failure
from memphis_desktop.language import tr

log = logging.getLogger(__name__)


_FINISHING_SECONDS = 2.0

_finishing: set[asyncio.Task[None]] = set()


def finish_soon(make: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run what closes something of a widget that is gone; nothing when no loop runs any more."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    task = loop.create_task(make())
    _finishing.add(task)
    task.add_done_callback(_finishing.discard)


async def finished() -> None:
    """Wait until everything is closed, though not for long."""
    loop = asyncio.get_running_loop()
    pending = {task for task in _finishing if task.get_loop() is loop}
    if pending:
        await asyncio.wait(pending, timeout=_FINISHING_SECONDS)


class TaskSet:
    """Runs coroutines and reports what fails in words; everything can be cancelled together."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None  # that of the last coroutine

    def run(self, coroutine: Coroutine[Any, Any, Any], description: str) -> asyncio.Task[Any]:
        """Start ``coroutine``. ``description`` completes "Could not …"."""
        with contextlib.suppress(RuntimeError):  # Qt calls slots while the loop rests, too
            self._loop = asyncio.get_running_loop()
        if self._loop is None:
            coroutine.close()
            raise RuntimeError("there is no event loop yet")
        task = self._loop.create_task(coroutine, name=description)
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._finished(done, description))
        return task

    async def cancel(self) -> None:
        """Cancel all and wait until they have ended."""
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def cancel_soon(self) -> None:
        """Cancel all without waiting."""
        for task in self._tasks:
            task.cancel()

    def _finished(self, task: asyncio.Task[Any], description: str) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            return
        if not is_expected(error):
            log.error("could not %s", description, exc_info=error)
        self._report(tr("Could not {do}. {reason}", do=description, reason=reason(error)))


def is_expected(error: BaseException) -> bool:
    """Whether the failure is one of the world outside, not a mistake of ours."""
    return isinstance(error, (ClusterError, Failure, OSError, TimeoutError))


def reason(error: BaseException) -> str:
    """An exception as a sentence for the user."""
    text = str(error).strip()
    if isinstance(error, TimeoutError) and not text:
        text = tr("No answer came in time")
    if not is_expected(error):
        kind = type(error).__name__
        text = f"{kind}: {text}" if text else kind
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "?")) else text + "."
