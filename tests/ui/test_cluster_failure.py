"""The window while a cluster loses servers: what it says, and that it says it in time."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import Error as JetStreamError
from PySide6.QtWidgets import QApplication, QDialog

from memphis_desktop import app
from memphis_desktop.cluster.history import ServerKey, StreamKey
from memphis_desktop.cluster.lab import LocalCluster
from memphis_desktop.cluster.lab.view import NodeView
from memphis_desktop.cluster.model import ConnectionState
from memphis_desktop.cluster.raft.groups import group_of, stream_key
from memphis_desktop.cluster.raft.model import META, Quorum, RaftGroup
from memphis_desktop.cluster.raft.timeline import EventKind
from memphis_desktop.cluster.session import Session
from memphis_desktop.server_process import nats_server_command
from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.screens.station_detail.screen import StationDetailScreen
from memphis_desktop.ui.shell.workspace import Workspace
from tests.waiting import PATIENCE

Until = Callable[..., Awaitable[Any]]


@dataclass
class Load:
    """A publisher that goes on whatever happens, and what was acknowledged to it."""

    client: Client
    acknowledged: list[int] = field(default_factory=list)
    ended: bool = False

    async def run(self) -> None:
        stream = self.client.jetstream(timeout=2)
        number = 0
        while not self.ended:
            number += 1
            with contextlib.suppress(NatsError, JetStreamError, asyncio.TimeoutError, OSError):
                acknowledgement = await stream.publish("orders.new", str(number).encode())
                self.acknowledged.append(acknowledgement.seq)
            await asyncio.sleep(0.02)


@pytest_asyncio.fixture
async def load(
    three_node_cluster: LocalCluster, connect: Callable[..., Awaitable[Client]]
) -> AsyncIterator[Load]:
    """A replicated station `orders` under load."""
    client = await connect(
        list(three_node_cluster.urls),
        allow_reconnect=True,
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.2,
    )
    await client.jetstream(timeout=30).add_stream(name="orders", subjects=["orders.>"], num_replicas=3)
    running = Load(client)
    task = asyncio.create_task(running.run())
    yield running
    running.ended = True
    await task


@pytest_asyncio.fixture
async def window(
    load: Load,
    three_node_cluster: LocalCluster,
    open_window: Callable[..., Awaitable[app.Program]],
    until: Until,
) -> Workspace:
    """The station's page in the window, known and current."""
    program = await open_window()
    route = Route("station", {"stream": "orders", "tab": "summary"})
    await program.window.open_profile(three_node_cluster.profile(), route)
    workspace = program.window.current_workspace()
    await until(lambda: (g := orders(workspace)) and g.all_current, "all current")
    await until(lambda: len(workspace.context.session.snapshot.raft.servers) == 3, "three servers")
    return workspace


def orders(workspace: Workspace) -> RaftGroup | None:
    """The station's group as the window has it."""
    snapshot = workspace.context.session.snapshot
    stream = snapshot.streams.get("orders")
    return group_of(stream, snapshot.raft.gone) if stream is not None and stream.is_read else None


def page(workspace: Workspace) -> StationDetailScreen:
    """The station's page."""
    screen = workspace.current_screen
    assert isinstance(screen, StationDetailScreen)
    return screen


def no_dialogs() -> bool:
    """Whether nothing stands in the way."""
    return not any(isinstance(one, QDialog) and one.isVisible() for one in QApplication.topLevelWidgets())


class Heartbeat:
    """The longest stretch in which the window's loop did not answer."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._task = asyncio.create_task(self._beat())

    async def _beat(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.02)
            self.longest = max(self.longest, time.monotonic() - before - 0.02)

    async def stop(self) -> None:
        """End."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@pytest.mark.slow
async def test_two_of_three_down_is_no_quorum_and_writes_are_refused(
    window: Workspace, load: Load, three_node_cluster: LocalCluster, until: Until
) -> None:
    clock = asyncio.get_running_loop().time
    await asyncio.gather(
        asyncio.to_thread(three_node_cluster.kill_node, "n1"),
        asyncio.to_thread(three_node_cluster.kill_node, "n2"),
    )
    killed = clock()
    await until(lambda: orders(window).quorum is Quorum.LOST, "no quorum")
    took = clock() - killed
    screen = page(window)
    await until(lambda: not screen.notice.isHidden(), "the notice")
    assert "no quorum: 1 of 3 there, 2 needed" in screen.notice.text()
    for button in (screen.edit_button, screen.purge_button, screen.delete_button):
        assert not button.isEnabled()
        assert "no quorum" in button.toolTip()
    timeline = window.context.session.raft.timeline
    await until(lambda: timeline.latest(stream_key("orders")).kind is EventKind.QUORUM_LOST, "the mark")
    await until(lambda: timeline.latest(META).kind is not EventKind.ELECTED, "the meta group's mark")
    # In its own words, as soon as the last server knows that it is alone.
    await until(lambda: "The server says" in screen.edit_button.toolTip(), "the server's reason")
    assert "No answer to" not in screen.edit_button.toolTip()  # those are not its words
    assert timeline.latest(META).leader == ""  # who is left still names the leader of before
    assert no_dialogs()
    assert took < 12.0

    await asyncio.to_thread(three_node_cluster.start_node, "n1")
    await asyncio.to_thread(three_node_cluster.start_node, "n2")
    await until(lambda: orders(window).all_current, "all current again")
    await until(lambda: screen.notice.isHidden(), "the notice gone")
    await until(lambda: screen.edit_button.isEnabled(), "the buttons")
    before = len(load.acknowledged)
    await until(lambda: len(load.acknowledged) > before + 5, "acknowledgements again")


def lame_duck(cluster: LocalCluster, name: str) -> None:
    """Have a server hand everything on, send its clients away and end, as before a planned restart."""
    command = [*nats_server_command(), "--signal", f"ldm={node(cluster, name).pid}"]
    subprocess.run(command, check=True, capture_output=True, timeout=30)


def node(cluster: LocalCluster, name: str) -> NodeView:
    """A server of the cluster as its process is."""
    return next(one for one in cluster.view().nodes if one.name == name)


def wait_for_end(cluster: LocalCluster, name: str) -> None:
    """Wait until a server's process is gone."""
    deadline = time.monotonic() + PATIENCE
    while node(cluster, name).pid is not None:
        assert time.monotonic() < deadline, f"{name} did not end"
        time.sleep(0.05)


END = {
    "killed": LocalCluster.kill_node,
    "terminated": LocalCluster.stop_node,
    "lame duck": lame_duck,
}


@pytest.mark.slow
@pytest.mark.parametrize("way", END)
async def test_a_rolling_restart_is_three_gaps_and_nothing_else(
    window: Workspace, load: Load, three_node_cluster: LocalCluster, until: Until, way: str
) -> None:
    session = window.context.session

    def told() -> bool:
        servers = session.snapshot.raft.servers.values()
        return all(one.here and one.in_messages_rate is not None for one in servers)

    await until(told, "every server's traffic")
    beat = Heartbeat()
    lost = []
    for name in sorted(["n1", "n2", "n3"], key=lambda n: n == orders(window).leader):
        led = orders(window).leader == name
        elections = len(session.raft.timeline.events(stream_key("orders")))
        await asyncio.to_thread(END[way], three_node_cluster, name)
        await until(lambda name=name: name in session.snapshot.raft.gone, f"{name} gone")
        lost.append(orders(window).quorum)
        await asyncio.to_thread(wait_for_end, three_node_cluster, name)
        await asyncio.to_thread(three_node_cluster.start_node, name)
        await until(lambda: orders(window).all_current, "all current")
        await until(told, "all there")
        await until(lambda: session.snapshot.state is ConnectionState.CONNECTED, "the connection")
        assert no_dialogs()
        events = session.raft.timeline.events(stream_key("orders"))[elections:]
        assert EventKind.QUORUM_LOST not in {event.kind for event in events}
        if led:  # one that is back before the others miss it may well be elected again
            assert events[-1].kind is EventKind.ELECTED
            assert events[-1].leader == orders(window).leader
    await beat.stop()
    assert Quorum.LOST not in lost
    assert gaps_of(session, StreamKey("orders")) <= 3  # a follower's restart is no gap of the station
    for name in ("n1", "n2", "n3"):
        assert gaps_of(session, ServerKey(name)) == 1, name
    assert beat.longest < 1.0
    errors = [one.problem for one in window.context.shell.activity.entries() if one.problem]
    assert not errors
    acknowledged = set(load.acknowledged)  # more come while the question is under way
    kept = (await session.api("STREAM.INFO.orders"))["state"]
    assert acknowledged
    assert kept["last_seq"] >= max(acknowledged)  # nothing acknowledged was lost
    assert kept["messages"] >= len(acknowledged)


def gaps_of(session: Session, key: StreamKey | ServerKey) -> int:
    """How many stretches without values a graph has, the one before its first value aside."""
    _, values = session.history.series(key, "messages_in", 600.0)
    known = np.flatnonzero(~np.isnan(values))
    inside = np.isnan(values[known[0] : known[-1] + 1]).astype(int)
    return int((np.diff(inside) == 1).sum())
