"""Coroutines of screens: started from slots, also from those that Qt calls while the loop rests."""

from __future__ import annotations

import asyncio

import pytest
from PySide6.QtWidgets import QApplication

from memphis_desktop.ui.event_loop import EventLoop
from memphis_desktop.ui.shell.tasks import TaskSet


def test_what_is_started_while_the_loop_rests_runs_when_it_goes_on(qapp: QApplication) -> None:
    tasks, ran = TaskSet(lambda text: None), []

    async def note(what: str) -> None:
        ran.append(what)

    async def begin() -> None:
        await tasks.run(note("first"), "note")

    with EventLoop(qapp) as loop:
        loop.run_until_complete(begin())
        later = tasks.run(note("second"), "note")
        assert ran == ["first"]
        loop.run_until_complete(asyncio.wait_for(later, 30))
    assert ran == ["first", "second"]


def test_without_any_loop_nothing_is_left_half_started(qapp: QApplication) -> None:
    async def never() -> None:
        raise AssertionError("it runs")

    with pytest.raises(RuntimeError, match="no event loop yet"):
        TaskSet(lambda text: None).run(never(), "run")
