"""The broker without a window: its stations, rates and groups, live in the terminal.

What is shown comes from a session over the client protocol, as in the window, so that it serves any server.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from memphis_desktop.cluster.failures import ConnectionFailure
from memphis_desktop.cluster.model import ClusterSnapshot, ConnectionState, ConsumerSnapshot, StreamSnapshot
from memphis_desktop.cluster.profiles import ConnectionProfile
from memphis_desktop.cluster.session import Session
from memphis_desktop.errors import Failure
from memphis_desktop.local_broker import LocalBroker, free_port
from memphis_desktop.ui.broker_control import DEFAULT_PORT, BrokerChoice, BrokerStartError

UNKNOWN = "–"
_REFRESH_SECONDS = 0.5


def run(*, demo: bool, connect: ConnectionProfile | None, ports_folder: Path | None = None) -> int:
    """Show a server until interrupted: that of `connect`, or a broker started here.

    With `ports_folder` the broker writes a ports file there once it listens.

    Raises:
        Failure: The broker does not start, or the server cannot be reached.
    """
    broker = None if connect is not None else _broker(demo, ports_folder)
    return asyncio.run(_show(broker, connect, Console()))


async def _show(
    broker: AbstractAsyncContextManager[str] | None, connect: ConnectionProfile | None, console: Console
) -> int:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: KeyboardInterrupt ends it
            loop.add_signal_handler(number, ended.set)
    async with contextlib.AsyncExitStack() as stack:
        if broker is not None:
            url = await stack.enter_async_context(broker)
            connect = ConnectionProfile(name="terminal", urls=(url,))
        assert connect is not None  # one of the two is given
        session = await stack.enter_async_context(_session(connect))
        url = session.server_url
        if not console.is_terminal:
            what = "broker on" if broker is not None else "connected to"
            print(f"{what} {url}; standard output is no terminal, so there is no live view", flush=True)
            await ended.wait()
            return 0
        with Live(console=console, auto_refresh=False, screen=True) as live:
            while not ended.is_set():
                live.update(render(session.snapshot, url, console.height), refresh=True)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), _REFRESH_SECONDS)
    return 0


@contextlib.asynccontextmanager
async def _broker(demo: bool, ports_folder: Path | None) -> AsyncIterator[str]:
    """Run a broker here; with `demo` a fresh one with sample traffic. Yields its URL."""
    broker = LocalBroker(ports_folder)
    port = free_port(DEFAULT_PORT) or 0
    if port != DEFAULT_PORT:
        print(f"memphis-desktop: port {DEFAULT_PORT} is taken; using {port or 'a free one'}", file=sys.stderr)
    try:
        await broker.start(BrokerChoice(port=port, persistent=not demo, sample_traffic=demo))
    except BrokerStartError as error:
        raise Failure(str(error)) from None
    try:
        yield broker.url
    finally:
        await broker.stop()


@contextlib.asynccontextmanager
async def _session(profile: ConnectionProfile) -> AsyncIterator[Session]:
    session = Session(profile)
    try:
        await session.connect()
    except ConnectionFailure as failure:
        raise Failure(str(failure)) from None
    try:
        yield session
    finally:
        await session.close()


def render(snapshot: ClusterSnapshot, url: str, height: int) -> RenderableType:
    """Return the view of a snapshot, with as many rows as fit into `height` lines."""
    rows = max(height - 9, 2)
    groups = sorted(snapshot.consumers.values(), key=lambda group: (-group.num_pending, group.stream))
    stations = sorted(snapshot.streams.values(), key=_busiest_first)
    shown = min(len(stations), max(rows - min(len(groups), rows // 2), 1))
    return Group(
        _headline(snapshot, url),
        Text(),
        _station_table(stations, shown),
        Text(),
        _group_table(groups, max(rows - shown, 1)),
        Text("Ctrl C ends it", style="dim"),
    )


def _busiest_first(station: StreamSnapshot) -> tuple[float, str]:
    return -(station.in_messages_rate or 0.0), station.name


def _headline(snapshot: ClusterSnapshot, url: str) -> Text:
    text = Text.assemble(("Memphis Desktop", "bold"), "  ", url, "  ")
    if snapshot.state is ConnectionState.CONNECTED:
        server, account = snapshot.server, snapshot.account
        if server is not None:
            text.append(f"{server.version}  in {rate(server.in_messages_rate)}  ")
            text.append(f"out {rate(server.out_messages_rate)}  connections {count(server.connections)}")
        if account is not None:
            text.append(f"  stored {size(account.storage)}")
    else:
        text.append(f"{snapshot.state.value}: {snapshot.detail}", style="red")
    return text


def _table(title: str, first: str, *numbers: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, expand=True)
    table.add_column(first, no_wrap=True, ratio=1)
    for number in numbers:
        table.add_column(number, justify="right", no_wrap=True)
    return table


def _station_table(stations: list[StreamSnapshot], shown: int) -> RenderableType:
    if not stations:
        return Text("No stations yet.")
    table = _table(
        _title("Stations", len(stations), shown), "station", "messages", "size", "in", "out", "groups"
    )
    for station in stations[:shown]:
        table.add_row(
            Text(station.name),
            count(station.messages),
            size(station.bytes),
            rate(station.in_messages_rate),
            rate(station.out_messages_rate),
            count(station.consumer_count),
        )
    return table


def _group_table(groups: list[ConsumerSnapshot], shown: int) -> RenderableType:
    if not groups:
        return Text("No consumer groups yet.")
    columns = ("pending", "lag", "unacked", "redelivered", "acked", "drains in")
    table = _table(_title("Consumer groups", len(groups), shown), "group", *columns)
    for group in groups[:shown]:
        table.add_row(
            Text(f"{group.stream} › {group.name}"),
            count(group.num_pending),
            duration(group.lag_seconds),
            count(group.num_ack_pending),
            count(group.num_redelivered),
            rate(group.acked_rate),
            duration(group.drain_seconds),
        )
    return table


def _title(what: str, total: int, shown: int) -> str:
    return f"{what} ({total})" if total <= shown else f"{what} ({shown} of {total})"


def count(number: int | None) -> str:
    """Return a count with thousands separated, a dash when unknown."""
    return UNKNOWN if number is None else f"{number:,}"


def rate(per_second: float | None) -> str:
    """Return a rate per second, a dash when unknown."""
    if per_second is None:
        return UNKNOWN
    return f"{per_second:,.0f}/s" if per_second >= 10 or not per_second else f"{per_second:.1f}/s"


def size(octets: int | None) -> str:
    """Return a size in the unit that fits, a dash when unknown."""
    if octets is None:
        return UNKNOWN
    number = float(octets)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:,.0f} B" if unit == "B" else f"{number:,.1f} {unit}"
        number /= 1024
    return f"{number:,.1f} TiB"


def duration(seconds: float | None) -> str:
    """Return a time span in the unit that fits; a dash when unknown, and never when it is infinite."""
    if seconds is None:
        return UNKNOWN
    if math.isinf(seconds):
        return "never"
    if seconds < 1:
        return "0 s" if seconds <= 0 else f"{seconds * 1000:.0f} ms"
    for unit, length in (("s", 60), ("min", 60), ("h", 48)):
        if seconds < length:
            return f"{seconds:.0f} {unit}"
        seconds /= 60 if unit != "h" else 24
    return f"{seconds:.0f} d"
