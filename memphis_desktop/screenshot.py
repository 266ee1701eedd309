"""``memphis-desktop screenshot``: every screen as a picture, drawn from a live connection.

Qt is told by the caller to draw off-screen, before it is imported here.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QAbstractItemModel
from PySide6.QtWidgets import QAbstractItemView

from memphis_desktop import app, folders
from memphis_desktop.cluster.failures import ConnectionFailure
from memphis_desktop.cluster.model import MACHINERY_PREFIXES, ClusterSnapshot
from memphis_desktop.cluster.profiles import ConnectionProfile
from memphis_desktop.cluster.session import Session
from memphis_desktop.errors import Failure
from memphis_desktop.ui import theme
from memphis_desktop.ui.broker_control import BrokerChoice
from memphis_desktop.ui.components.toast import Toast
from memphis_desktop.ui.event_loop import EventLoop
from memphis_desktop.ui.screen import Route, Screen
from memphis_desktop.ui.screens import registry
from memphis_desktop.ui.screens.station_detail.screen import TABS
from memphis_desktop.ui.screens.station_parts import consumer_route, station_route
from memphis_desktop.ui.window import MainWindow

SETTLE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture: its file name without the theme, and the place it shows."""

    name: str
    route: Route


def run(
    folder: Path,
    *,
    connect: ConnectionProfile | None,
    themes: tuple[str, ...],
    size: tuple[int, int],
    history: float,
    only: frozenset[str] = frozenset(),
    state: str = "data",
) -> int:
    """Draw every screen in every theme, and print the files written.

    Args:
        folder: Where the pictures go; made when missing.
        connect: The connection to show; None for a fresh broker with sample stations.
        themes: ``dark``, ``light`` or both.
        size: Of the window, in pixels.
        history: Seconds to watch the connection before the first picture, so that the graphs are filled.
        only: Names of pictures (``overview``, ``station-messages``); nothing for all.
        state: Of the fresh broker: ``data``, ``empty`` without sample stations, or ``away`` once it has gone.

    Raises:
        Failure: The server cannot be reached, a file not be written, or a name in `only` is unknown.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Failure(f"{folder}: {error.strerror}") from None
    loop = EventLoop(app.application())
    asyncio.set_event_loop(loop)
    with loop:
        loop.run_until_complete(_draw_all(folder, connect, themes, size, history, only, state))
    return 0


async def _draw_all(
    folder: Path,
    connect: ConnectionProfile | None,
    themes: tuple[str, ...],
    size: tuple[int, int],
    history: float,
    only: frozenset[str],
    state: str,
) -> None:
    with tempfile.TemporaryDirectory(prefix="memphis-desktop-") as text:
        os.environ[folders.HOME_VARIABLE] = text  # the user's own things stay out of the pictures
        async with app.session(demo=connect is None and state != "empty") as program:
            window = program.window
            window.resize(*size)
            window.first_steps.dismiss()
            if connect is not None:
                await _connect(window, connect)
            elif state == "empty":
                choice = BrokerChoice(port=0, persistent=False, sample_traffic=False)
                await window.start_local_broker(choice)
            snapshot = await _ready(window, history)
            connection = window.current_workspace().connection
            assert connection is not None  # it is ready
            profile = connection.profile
            wanted = chosen(snapshot, only)
            if state == "away":
                for shot in wanted:  # what was read before stays in view
                    await _go(window, profile, shot.route)
                    await _settled(window)
                await program.broker.stop()
                await _until(lambda: not connection.session.connected, SETTLE_SECONDS)
            for mode in themes:
                theme.manager().set_mode(mode)
                theme.manager().finish()
                for shot in wanted:
                    await _go(window, profile, shot.route)
                    await _settled(window)
                    _save(window, folder / f"{shot.name}-{mode}.png")


async def _go(window: MainWindow, profile: ConnectionProfile, route: Route) -> None:
    """Show a place in the tab where it belongs: the Home tab, or the connection's."""
    entry = registry.find(route.name)
    if entry is not None and entry.scope == "window":
        window.navigate(route)
    else:
        await window.open_profile(profile, route)


def _save(window: MainWindow, path: Path) -> None:
    for toast in window.findChildren(Toast):
        toast.dismissed.emit()  # a passing message would hide what the picture is for
    if not window.grab().save(str(path)):
        raise Failure(f"{path} could not be written")
    print(path, flush=True)


async def _until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until `condition` holds; returns whether it did in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.05)
    return True


async def _connect(window: MainWindow, profile: ConnectionProfile) -> None:
    try:
        await window.open_profile(profile)
    except ConnectionFailure as failure:
        raise Failure(f"cannot connect to {profile.address}: {failure}") from None


async def _ready(window: MainWindow, history: float) -> ClusterSnapshot:
    """Wait until the connection has been watched long enough to fill the graphs; returns what is known."""
    connection = window.current_workspace().connection
    assert connection is not None
    first = connection.snapshot.taken_at_ns
    await _until(
        lambda: connection.snapshot.taken_at_ns - first >= history * 1e9, 3 * history + SETTLE_SECONDS
    )
    return connection.snapshot


async def _rounds(session: Session, count: int) -> None:
    """Wait for so many polling rounds, three seconds each at most."""
    seen = 0

    def see(_: ClusterSnapshot) -> None:
        nonlocal seen
        seen += 1

    unsubscribe = session.subscribe(see)
    await _until(lambda: seen >= count, 3.0 * count)
    unsubscribe()


def chosen(snapshot: ClusterSnapshot, only: frozenset[str]) -> list[Shot]:
    """Return the pictures to take; raises `Failure` for a name that there is not."""
    every = list(shots(snapshot))
    unknown = only - {shot.name for shot in every}
    if unknown:
        raise Failure(f"there is no picture {min(unknown)!r}; there are: {', '.join(s.name for s in every)}")
    return [shot for shot in every if not only or shot.name in only]


def shots(snapshot: ClusterSnapshot) -> Iterator[Shot]:
    """Yield every place worth a picture: all of the rail, then one station, group and message in detail."""
    for entry in registry.SCREENS:
        if entry.in_rail:
            yield Shot(entry.route_name, Route(entry.route_name))
    if snapshot.raft.clustered:
        for part in ("groups", "timeline", "links"):
            yield Shot(f"cluster-{part}", Route("cluster", {"tab": part}))
    shop = next((name for name in snapshot.streams if name.startswith("sample-shop$")), "")
    if shop:
        yield Shot("memphis_station", Route("memphis_station", {"station": "sample-shop"}))
        yield Shot("memphis_code", Route("memphis_station", {"station": "sample-shop", "tab": "code"}))
        yield Shot("schema", Route("schemas", {"schema": "sample-basket"}))
    if "OBJ_sample-invoices" in snapshot.streams:
        yield Shot("object_bucket", Route("object_bucket", {"bucket": "sample-invoices"}))
    yield Shot("dead_letter", Route("dead_letters", {"newest": "yes"}))
    busiest = max(
        snapshot.streams.values(),
        key=lambda stream: (
            not stream.name.startswith(MACHINERY_PREFIXES),
            stream.consumer_count,
            stream.messages,
        ),
        default=None,
    )
    if busiest is None:
        return
    for tab in TABS:
        yield Shot(f"station-{tab.key}", station_route(busiest.name, tab.key))
    yield Shot("messages", Route("messages", {"stream": busiest.name}))
    yield Shot(
        "message", Route("messages", {"stream": busiest.name, "sequence": str(busiest.first_sequence)})
    )
    slowest = max(snapshot.consumers.values(), key=lambda group: group.num_pending, default=None)
    if slowest is not None:
        yield Shot("consumer", consumer_route(slowest.stream, slowest.name))


async def _settled(window: MainWindow) -> None:
    """Wait until the screen shows what it reads by itself: every list has lines, or stays empty."""
    screen = window.current_workspace().current_screen
    if screen is None:
        return
    await _until(lambda: not _empty_lists(screen), SETTLE_SECONDS)
    connection = window.current_workspace().connection
    if connection is not None:
        await _until(lambda: not connection.memphis.reading, SETTLE_SECONDS)
        await _rounds(connection.session, 1)


def _empty_lists(screen: Screen) -> bool:
    def empty(view: QAbstractItemView) -> bool:
        model: QAbstractItemModel | None = view.model()
        return view.isVisible() and model is not None and model.rowCount() == 0

    return any(empty(view) for view in screen.findChildren(QAbstractItemView))
