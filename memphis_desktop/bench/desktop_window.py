"""The parts of `desktop` in the process with the window."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

import numpy as np
from PySide6.QtWidgets import QVBoxLayout, QWidget

from memphis_desktop import app
from memphis_desktop.bench.console_window import Paints, memory, wait_until
from memphis_desktop.cluster.profiles import profile_for
from memphis_desktop.ui.broker_control import BrokerChoice
from memphis_desktop.ui.components.graph import Series, TimeSeriesGraph
from memphis_desktop.ui.event_loop import EventLoop
from memphis_desktop.ui.screen import Route

REST_SECONDS, SETTLE_SECONDS, DRAW_SECONDS = 30.0, 30.0, 20.0
_GRAPHS = 4


def carry_out(measuring: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """Run on a loop inside the Qt application."""
    loop = EventLoop(app.application())
    asyncio.set_event_loop(loop)
    with loop:
        return dict(loop.run_until_complete(measuring))


async def start() -> dict[str, Any]:
    """Open the window; when the first page was painted and the loop had nothing more to do at once."""
    async with app.session() as program:
        paints = Paints(program.window)
        await wait_until(lambda: paints.count and program.window.current_workspace().current_screen)
        await asyncio.sleep(0)
        return {"usable_at": time.time()}


async def rest() -> dict[str, Any]:
    """Let the demo run and look at what it takes."""
    async with app.session() as program:
        program.window.resize(1280, 800)
        await program.window.start_local_broker(BrokerChoice(port=0, persistent=False, sample_traffic=True))
        await asyncio.sleep(SETTLE_SECONDS)
        wall, own = time.perf_counter(), time.process_time()
        await asyncio.sleep(REST_SECONDS)
        share = (time.process_time() - own) / (time.perf_counter() - wall)
        return {"memory_bytes": memory(), "cpu": share}


async def listing(url: str, streams: int) -> dict[str, Any]:
    """Connect and open the list of stations."""
    async with app.session() as program:
        window = program.window
        window.resize(1280, 800)
        await asyncio.sleep(1.0)  # the start is measured elsewhere
        begun = time.perf_counter()
        await window.open_profile(profile_for(url), Route("stations"))
        screen: Any = window.current_workspace().current_screen
        await wait_until(lambda: len(screen.table.rows()) >= streams)
        paints = Paints(screen.table.view.viewport())
        screen.table.view.viewport().update()
        await wait_until(lambda: paints.count)
        return {"seconds": time.perf_counter() - begun}


async def curves(curves: int, samples: int) -> dict[str, Any]:
    """Draw graphs with so many curves together, and let them move on each second."""
    app.dress(app.application())
    page = QWidget()
    page.resize(1280, 800)
    layout = QVBoxLayout(page)
    graphs = [TimeSeriesGraph(f"Graph {number}") for number in range(_GRAPHS)]
    for graph in graphs:
        layout.addWidget(graph)
        graph.time_range.follow(float(samples))
    page.show()
    random = np.random.default_rng(1)
    values = random.random((curves, samples)).cumsum(axis=1)

    def draw(moment: int) -> None:
        now = time.time()
        times = np.arange(now - samples + 1, now + 1)[:samples]
        rolled = np.roll(values, -moment, axis=1)
        share = curves // _GRAPHS
        for number, graph in enumerate(graphs):
            graph.set_series(
                [Series(f"{n}", times, rolled[n]) for n in range(number * share, (number + 1) * share)]
            )

    draw(0)
    await asyncio.sleep(2.0)
    wall, own = time.perf_counter(), time.process_time()
    for moment in range(int(DRAW_SECONDS)):
        draw(moment + 1)
        await asyncio.sleep(1.0)
    share = (time.process_time() - own) / (time.perf_counter() - wall)
    page.close()
    return {"cpu": share}
