"""The part of `console` in the process with the window: does what a user does, and watches the loop."""

from __future__ import annotations

import asyncio
import contextlib
import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from PySide6.QtCore import QCoreApplication, QEvent, QObject, Qt, QTimer

from memphis_desktop import app
from memphis_desktop.bench.load import STATION
from memphis_desktop.bench.runner import finish_job, job_command, percentiles
from memphis_desktop.bench.stall_causes import Meter, Stall
from memphis_desktop.errors import Failure
from memphis_desktop.inspect.seek import Seek, SeekKind
from memphis_desktop.ui.broker_control import BrokerChoice
from memphis_desktop.ui.event_loop import EventLoop
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens.messages.browser import MessageBrowser
from memphis_desktop.ui.window import MainWindow

BEAT_MS = 4
OPENINGS, JUMPS = 7, 60
PATH_SHARE = 0.3  # of the station that the slower search reads
TAIL_SECONDS = 20.0
TAIL_RATE = 4_000
DEADLINE = 600.0


def run(messages: int) -> dict[str, Any]:
    """Measure on the data folder of the program; returns the figures."""
    loop = EventLoop(app.application())
    asyncio.set_event_loop(loop)
    with loop:
        return dict(loop.run_until_complete(_measure(messages)))


async def _measure(messages: int) -> dict[str, Any]:
    async with app.session() as program:
        window = program.window
        window.resize(1280, 800)
        await window.start_local_broker(BrokerChoice(port=0, persistent=True, sample_traffic=False))
        workspace = window.current_workspace()
        await wait_until(
            lambda: workspace.connection is not None and workspace.connection.snapshot is not None
        )
        await wait_until(lambda: STATION in workspace.connection.snapshot.streams)  # type: ignore[union-attr]
        browser = await _browser(window, {"stream": STATION})
        await asyncio.sleep(1.0)  # what opening the window still has to do
        result: dict[str, Any] = {
            "open_ms": await _openings(window, messages),
            "jump_ms": await _jumps(_current(window), messages),
        }
        browser = _current(window)
        with _Heartbeat() as heart:
            result["text_rate"] = await _search(browser, f"{messages // 2}, ", "first")
        result["text_stall_ms"] = heart.stalls()
        first = max(1, round(messages * (1 - PATH_SHARE)))
        with _Heartbeat() as heart:
            result["path_rate"] = await _search(browser, "json.total == 99999 && json.id < 0", f"#{first}")
        result["path_stall_ms"] = heart.stalls()
        browser.searching.close()
        await wait_until(lambda: browser.places.settled)
        url = program.broker.url
        with _Heartbeat() as heart:
            result |= await _tail(browser, int(url.rpartition(":")[2]))
        result["tail_stall_ms"] = heart.stalls()
        result["memory_bytes"] = memory()
        return result


async def wait_until(condition: Callable[[], object], seconds: float = DEADLINE) -> None:
    """Wait for something on the loop; raises Failure when it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failure("the window did not get as far as expected")
        await asyncio.sleep(0.005)


def _current(window: MainWindow) -> MessageBrowser:
    screen: Any = window.current_workspace().current_screen
    browser = screen.browser
    assert isinstance(browser, MessageBrowser)
    return browser


async def _browser(window: MainWindow, parameters: dict[str, str]) -> MessageBrowser:
    window.navigate(Route("messages", parameters))
    browser = _current(window)
    await wait_until(lambda: browser.places.settled and not browser.shows_loading)
    return browser


# Places -----------------------------------------------------------------------------------------


class _Watch:
    """Wall time and what this thread computed meanwhile, in ms."""

    def __init__(self) -> None:
        self._wall, self._own = time.perf_counter(), time.thread_time()

    def elapsed(self) -> tuple[float, float]:
        """Return both since the start."""
        return (time.perf_counter() - self._wall) * 1000, (time.thread_time() - self._own) * 1000


def _percentiles(times: list[tuple[float, float]]) -> dict[str, float]:
    """Return percentiles of the wall times; ``own`` is the median of what the loop's thread computed."""
    own = percentiles([own for _, own in times])["p50"]
    return {**percentiles([wall for wall, _ in times]), "own": own}


class Paints(QObject):
    """Tells when a widget was painted."""

    def __init__(self, widget: QObject) -> None:
        super().__init__(widget)
        self.count = 0
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Count paint events."""
        if event.type() == QEvent.Type.Paint:
            self.count += 1
        return False


class _Rows(QObject):
    """Notes when a list has painted the rows around a sequence for the first time."""

    def __init__(self, browser: MessageBrowser, sequence: int, watch: _Watch) -> None:
        self._viewport = browser.list.table.viewport()
        super().__init__(self._viewport)
        self._model = browser.list.model
        self._sequence = sequence
        self._watch = watch
        self._inside = False
        self.elapsed: tuple[float, float] | None = None
        self._viewport.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Let the list paint, and look at the time."""
        model = self._model
        if event.type() != QEvent.Type.Paint or self._inside or self.elapsed is not None:
            return False
        if not model.rows or not model.first <= self._sequence <= model.last:
            return False
        self._inside = True
        try:
            QCoreApplication.sendEvent(watched, event)
        finally:
            self._inside = False
        self.elapsed = self._watch.elapsed()
        return True


async def _shown(browser: MessageBrowser, sequence: int, watch: _Watch) -> tuple[float, float]:
    """Wait until the rows around a sequence are painted; returns what `watch` said then."""
    rows = _Rows(browser, sequence, watch)
    await wait_until(lambda: rows.elapsed)
    assert rows.elapsed is not None
    return rows.elapsed


async def _openings(window: MainWindow, messages: int) -> dict[str, float]:
    """From asking for a page of its own at the middle of the station to its rows, a new browser each time."""
    times: list[tuple[float, float]] = []
    for number in range(OPENINGS):
        window.navigate(Route("messages", {"stream": f"{STATION}-none-{number}"}))
        other = _current(window)  # takes the place of the browser before, and finds no such stream
        await wait_until(lambda other=other: other.shows_sentence)  # type: ignore[misc]
        await asyncio.sleep(0.2)
        sequence = messages // 2 + number
        watch = _Watch()
        window.navigate(Route("messages", {"stream": STATION, "sequence": str(sequence)}))
        times.append(await _shown(_current(window), sequence, watch))
    return _percentiles(times)


async def _jumps(browser: MessageBrowser, messages: int) -> dict[str, float]:
    """By sequence and by percent, in an order that no page kept from before helps."""
    chance = random.Random(1)
    times: list[tuple[float, float]] = []
    for number in range(JUMPS):
        await wait_until(lambda: browser.places.settled)
        sequence = chance.randint(1, messages)
        seek = Seek(SeekKind.SEQUENCE, sequence)
        if number % 3 == 2:
            seek = Seek(SeekKind.PERCENT, 100 * sequence / messages)
            sequence = browser.reader.sequence_at_percent(seek.value) if browser.reader else sequence
        browser.list.model.clear()
        watch = _Watch()
        browser.places.go_to(seek)
        times.append(await _shown(browser, sequence, watch))
    return _percentiles(times)


# Searching and following ------------------------------------------------------------------------


async def _search(browser: MessageBrowser, text: str, first: str) -> float:
    """Search from the click to the end; returns messages a second."""
    browser.search_bar.field.setText(text)
    browser.search_bar.set_range(first, "last")
    before = browser.searching.job
    started = time.perf_counter()
    browser.search_bar.search_button.click()
    await wait_until(lambda: browser.searching.job not in (None, before))
    job = browser.searching.job
    assert job is not None
    await wait_until(lambda: job.progress.state.ended)
    seconds = time.perf_counter() - started
    if job.progress.reason:
        raise Failure(f"the search ended early: {job.progress.reason}")
    return job.progress.scanned / seconds


async def _tail(browser: MessageBrowser, port: int) -> dict[str, Any]:
    """Follow the end while a client publishes at full speed."""
    browser.live_button.setChecked(True)
    rows = held = 0
    rates: list[float] = []
    for rate in (0, TAIL_RATE):  # at full speed much is left out; at a pace the list gets full
        seconds = TAIL_SECONDS if rate else TAIL_SECONDS / 2
        process = _start("append", {"port": port, "seconds": seconds, "stream": STATION, "rate": rate})
        while process.poll() is None:
            rows = max(rows, len(browser.list.model.rows))
            held = max(held, browser.list.model.bytes)
            await asyncio.sleep(0.02)
        published = await asyncio.to_thread(finish_job, process)
        rates.append(published["messages"] / published["seconds"])
    browser.live_button.setChecked(False)
    return {"publish_rate": rates[0], "tail_rows": rows, "tail_bytes": held}


def _start(work: str, parameters: dict[str, Any]) -> subprocess.Popen[str]:
    command = job_command(work, parameters)
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


class _Heartbeat:
    """A timer on the loop: how late it fires is how long the loop did not answer."""

    def __init__(self) -> None:
        self._late: list[float] = []
        self._own = 0.0  # the most of such a stretch that this thread computed, in ms
        self._worst = Stall(0.0)
        self._meter = Meter()
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)

    def __enter__(self) -> _Heartbeat:
        self._meter = Meter()
        self._timer.start(BEAT_MS)
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.stop()

    def _beat(self) -> None:
        stall = self._meter.lap(BEAT_MS)
        self._late.append(stall.late)
        self._own = max(self._own, stall.own)
        if stall.late > self._worst.late:
            self._worst = stall

    def stalls(self) -> dict[str, float]:
        """Return percentiles in ms; ``own`` is what the loop's thread computed at most between two beats.

        On a machine with other work the percentiles hold its waiting for a processor too; ``own`` does not.
        What the longest stretch was spent on has names of `Stall` behind ``worst_``.
        """
        parts = {f"worst_{name}": value for name, value in asdict(self._worst).items()}
        return {**percentiles(self._late), "own": self._own, **parts}


def memory() -> int:
    """Bytes this process holds."""
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    scale = 1 if sys.platform == "darwin" else 1024
    with contextlib.suppress(OSError), open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
    return int(peak) * scale
