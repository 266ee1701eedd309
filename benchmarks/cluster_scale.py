"""A three-node cluster with thousands of streams and consumers, and what the window costs on it.

``python -m benchmarks.cluster_scale FOLDER`` makes the cluster in FOLDER, or takes the one that is there,
opens the window on it without a display, and prints figures as JSON. Making it takes a few minutes; run it
while nothing else does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nats
import orjson
from nats.aio.client import Client

from memphis_desktop.cluster.lab import LocalCluster

if TYPE_CHECKING:
    from memphis_desktop.cluster.profiles import ConnectionProfile
    from memphis_desktop.ui.window import MainWindow

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "performance.md"
HEADING = "## A cluster of thousands"
HEADING_ACCOUNT = "## A cluster of thousands, without the system account"
STREAMS = 2000
CONSUMERS_OF_A_STREAM = 5
LAGGING = 20  # the groups of every twentieth stream have messages waiting
REPLICATED = 100  # of the streams; the others have one replica, as most streams of such clusters have
PARALLEL = 16
AT_REST = 30.0  # seconds each screen is measured
SCREENS = ("overview", "stations", "consumers", "cluster")


# The cluster


async def _ask(client: Client, subject: str, body: dict[str, object]) -> None:
    """Make a JetStream request and try again while the cluster is busy; others' errors are raised."""
    for attempt in range(10):
        try:
            answer = orjson.loads((await client.request(subject, orjson.dumps(body), timeout=30)).data)
        except nats.errors.TimeoutError:
            continue
        error = answer.get("error")
        if error is None:
            return
        if error.get("code") not in (408, 503) or attempt == 9:
            raise RuntimeError(f"{subject}: {error}")
        await asyncio.sleep(0.5)
    raise RuntimeError(f"{subject}: no answer")


async def _in_parallel(count: int, do: Callable[[int], Awaitable[None]]) -> None:
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            await do(number)

    await asyncio.gather(*(work() for _ in range(PARALLEL)))


async def fill(url: str, streams: int = STREAMS, consumers: int = CONSUMERS_OF_A_STREAM) -> None:
    """Make the streams, a few messages in each, and their consumers."""
    client = await nats.connect(url)

    async def one(number: int) -> None:
        name = f"station-{number:04}"
        replicas = 3 if number < REPLICATED * streams // STREAMS else 1
        config = {
            "name": name,
            "subjects": [f"scale.{number}.>"],
            "num_replicas": replicas,
            "storage": "file" if replicas == 3 else "memory",
        }
        await _ask(client, f"$JS.API.STREAM.CREATE.{name}", config)
        for message in range(3):
            await client.publish(f"scale.{number}.{message}", b"x" * 100)
        for index in range(consumers):
            group = f"group-{index}"
            config = {"durable_name": group, "ack_policy": "explicit", "deliver_policy": "new"}
            if number % LAGGING == 0:
                config["deliver_policy"] = "all"
            body: dict[str, object] = {"stream_name": name, "config": config}
            await _ask(client, f"$JS.API.CONSUMER.CREATE.{name}.{group}", body)

    await _in_parallel(streams, one)
    await client.close()


async def count(url: str) -> int:
    """How many streams a cluster has."""
    client = await nats.connect(url)
    try:
        answer = orjson.loads((await client.request("$JS.API.STREAM.NAMES", b"", timeout=30)).data)
        return int(answer.get("total") or 0)
    finally:
        await client.close()


# The window


@dataclass(frozen=True, slots=True)
class AtRest:
    """What a screen costs while nobody touches it.

    Attributes:
        requests: A second.
        core: Percent of one core.
        longest: Milliseconds of work between two turns of the loop, the most. Other programs do not count.
        stalls: Times that this was more than 50 ms.
        visible_age: Seconds since the oldest stream in view was read, the median of many looks.
    """

    requests: float
    core: float
    longest: float
    stalls: int
    visible_age: float


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured. Times are seconds since the connection was asked for.

    Attributes:
        names: All names are known.
        usable: The list shows the figures of what is in view.
        everything: Every stream was read once.
        groups: Every consumer was read once.
        jump: From scrolling the list to its middle until all rows there show figures read since, groups too.
        first_minute: Requests a second in the first minute.
        at_rest: What each screen costs then.
    """

    streams: int
    consumers: int
    names: float
    usable: float
    everything: float
    groups: float
    jump: float
    first_minute: float
    at_rest: dict[str, AtRest]


def _cpu() -> float:
    times = os.times()
    return times.user + times.system


async def _until(condition: Callable[[], object], seconds: float) -> float:
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > seconds:
            raise TimeoutError("the window did not get there")
        await asyncio.sleep(0.005)
    return time.monotonic()


async def measure(window: MainWindow, profile: ConnectionProfile, seconds: float = AT_REST) -> Figures:
    """Connect, look at screen after screen, and take the figures."""
    from memphis_desktop.ui.screen import Route
    from memphis_desktop.ui.screens.stations import StationsScreen

    started = time.monotonic()
    await window.open_profile(profile, Route("stations"))
    workspace = window.current_workspace()
    session = workspace.context.session

    async def spent_in_first_minute() -> float:
        await asyncio.sleep(max(0.0, started + 60 - time.monotonic()))
        return round(session._poller.budget.spent_total / (time.monotonic() - started), 1)

    first = asyncio.create_task(spent_in_first_minute())

    def shown() -> list[str]:
        screen = workspace.current_screen
        if not isinstance(screen, StationsScreen):
            return []
        view = screen.table.view
        rows = screen.table.rows()
        first, last = view.rowAt(0), view.rowAt(view.viewport().height() - 1)
        return [row.name for row in rows[max(0, first) : last + 1 if last >= 0 else len(rows)]]

    def visible_read() -> bool:
        names = shown()
        streams = session.snapshot.streams
        return bool(names) and all(streams[name].is_read for name in names if name in streams)

    async def jump_to_the_middle() -> float:
        screen = workspace.current_screen
        assert isinstance(screen, StationsScreen)
        began, began_ns = time.monotonic(), time.time_ns()
        bar = screen.table.view.verticalScrollBar()
        bar.setValue(bar.maximum() // 2)

        def read() -> bool:
            snapshot = session.snapshot
            streams = [snapshot.streams[name] for name in shown() if name in snapshot.streams]
            groups = Counter(stream for stream, _ in snapshot.consumers)
            return bool(streams) and all(
                stream.read_at_ns > began_ns and groups[stream.name] >= stream.consumer_count
                for stream in streams
            )

        took = await _until(read, 60) - began
        bar.setValue(0)
        return took

    account = None
    while account is None:
        await asyncio.sleep(0.005)
        account = session.snapshot.account
    expected = account.streams
    names = await _until(lambda: len(session.snapshot.streams) >= expected, 60) - started
    usable = await _until(visible_read, 60) - started
    everything = await _until(lambda: session.snapshot.complete, 120) - started
    jump = await jump_to_the_middle()
    groups = await _until(lambda: len(session.snapshot.consumers) >= account.consumers, 400) - started
    first_minute = await first
    await asyncio.sleep(5)
    at_rest = {}
    for name in SCREENS:
        tab = {"tab": "groups"} if name == "cluster" else {}
        await window.open_profile(profile, Route(name, tab))
        await asyncio.sleep(3)
        at_rest[name] = await _watch(session, shown if name == "stations" else list, seconds)
    snapshot = session.snapshot
    return Figures(
        len(snapshot.streams),
        account.consumers,
        names,
        usable,
        everything,
        groups,
        jump,
        first_minute,
        at_rest,
    )


async def _watch(session: object, shown: Callable[[], list[str]], seconds: float) -> AtRest:
    from memphis_desktop.cluster.session import Session

    assert isinstance(session, Session)
    budget = session._poller.budget
    spent, cpu, began = budget.spent_total, _cpu(), time.monotonic()
    longest, stalls, ages = 0.0, 0, []
    while time.monotonic() - began < seconds:
        before = time.thread_time()
        await asyncio.sleep(0)
        late = time.thread_time() - before
        await asyncio.sleep(0.01)
        longest, stalls = max(longest, late), stalls + (late > 0.05)
        streams = session.snapshot.streams
        reads = [streams[name].read_at_ns for name in shown() if name in streams]
        if reads:
            ages.append((time.time_ns() - min(reads)) / 1e9)
    took = time.monotonic() - began
    return AtRest(
        requests=round((budget.spent_total - spent) / took, 1),
        core=round(100 * (_cpu() - cpu) / took, 1),
        longest=round(1000 * longest, 1),
        stalls=stalls,
        visible_age=round(sorted(ages)[len(ages) // 2], 2) if ages else 0.0,
    )


def run(cluster: LocalCluster, seconds: float = AT_REST, *, system: bool = True) -> Figures:
    """Open the window on a cluster that runs and measure, with the system account or without."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from memphis_desktop import app, folders
    from memphis_desktop.ui.event_loop import EventLoop

    async def all_of_it() -> Figures:
        with tempfile.TemporaryDirectory() as home:
            os.environ[folders.HOME_VARIABLE] = home
            async with app.session() as program:
                program.window.resize(1280, 800)
                profile = cluster.profile()
                if not system:
                    profile = replace(profile, system_credentials=None)
                return await measure(program.window, profile, seconds)

    loop = EventLoop(app.application())
    asyncio.set_event_loop(loop)
    with loop:
        return loop.run_until_complete(all_of_it())


# The record


def section(figures: dict[str, Any]) -> str:
    """The figures as a part of ``docs/performance.md``."""
    rows = "\n".join(
        f"| {name} | {screen['requests']:.1f} | {screen['core']:.1f} % | {screen['longest']:.0f} ms |"
        for name, screen in figures["at_rest"].items()
    )
    how = (
        "by one request to each server as the system account"
        if figures["system"]
        else "list by list, one request for the groups of each station"
    )
    heading = HEADING if figures["system"] else HEADING_ACCOUNT
    switch = "" if figures["system"] else " --account-only"
    return f"""{heading}

Three nats-servers and the window on the same {figures["cores"]} cores, with {figures["streams"]:,}
stations and {figures["consumers"]:,} consumer groups; {REPLICATED} stations and their groups have three
replicas. Measured {figures["date"]} with `python -m benchmarks.cluster_scale FOLDER --write{switch}`. The
load of the machine was {figures["load"]:.0f}: what else it does lengthens the times, not the work.

After connecting: all names after {figures["names"]:.1f} s, the list with the figures of what is in view after
{figures["usable"]:.1f} s, every station read once after {figures["everything"]:.1f} s, every group after
{figures["groups"]:.0f} s, {how}. Rows scrolled to show figures
of that moment, and their groups, after {figures["jump"]:.1f} s. In the first minute
{figures["first_minute"]:.1f} requests a second are made. What is in view is read anew each second (age in the
median {figures["at_rest"]["stations"]["visible_age"]:.1f} s).

| At rest on | Requests a second (at most 20) | Of one core (at most 15 %) | Longest work in one piece |
| --- | --- | --- | --- |
{rows}
"""


def write(figures: dict[str, Any]) -> None:
    """Put the section into the document, in place of the one before."""
    text = DOCUMENT.read_text(encoding="utf-8")
    heading = (HEADING if figures["system"] else HEADING_ACCOUNT) + "\n"
    if heading not in text:  # behind the other one
        before, _, rest = text.partition(HEADING + "\n")
        other, _, after = rest.partition("\n## ")
        text = f"{before}{HEADING}\n{other}\n{heading}" + (f"\n## {after}" if after else "")
    before, _, rest = text.partition(heading)
    _, mark, after = rest.partition("\n## ")
    DOCUMENT.write_text(
        before.rstrip() + "\n\n" + section(figures) + (f"{mark}{after}" if mark else ""), encoding="utf-8"
    )


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--streams", type=int, default=STREAMS)
    parser.add_argument("--seconds", type=float, default=AT_REST, help="for each screen")
    parser.add_argument("--account-only", action="store_true", help="without the system account")
    parser.add_argument("--write", action="store_true", help="into docs/performance.md as well")
    arguments = parser.parse_args()
    cluster = LocalCluster(arguments.folder)
    cluster.start(timeout=300)
    try:
        if asyncio.run(count(cluster.urls[0])) < arguments.streams:
            asyncio.run(fill(cluster.urls[0], arguments.streams))
        figures = asdict(run(cluster, arguments.seconds, system=not arguments.account_only))
        figures |= {
            "system": not arguments.account_only,
            "date": time.strftime("%Y-%m-%d"),
            "cores": os.cpu_count(),
            "load": os.getloadavg()[0],
        }
        print(json.dumps(figures, indent=1))
        if arguments.write:
            write(figures)
    finally:
        cluster.stop()


if __name__ == "__main__":
    main()
