"""What is closed is gone: a window that is open all day keeps nothing of tabs and connections it had."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from nats.aio.client import Client
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QApplication

from memphis_desktop.app import Program
from memphis_desktop.cluster.history import History
from memphis_desktop.cluster.profiles import ConnectionProfile
from memphis_desktop.cluster.session import Session
from memphis_desktop.server_process import ServerProcess
from memphis_desktop.ui.screen import Route, Screen
from memphis_desktop.ui.shell.connection import Connection
from memphis_desktop.ui.shell.workspace import Workspace
from tests.conftest import Connect

Until = Callable[..., Awaitable[Any]]

STREAM = {"stream": "S"}
PLACES = (
    Route("overview"),
    Route("stations"),
    Route("station", STREAM),
    Route("messages", STREAM),
    Route("consumers"),
    Route("consumer", {**STREAM, "consumer": "G"}),
    Route("live"),
    Route("dead_letters"),
    Route("replay"),
    Route("key_value"),
    Route("bucket", {"bucket": "B", "key": "a"}),
    Route("cluster"),
    Route("decoders"),
)
HEAVY = (Connection, Session, History, Client, Workspace, Screen)
ROUNDS = 2


def living() -> Counter[str]:
    """How many there are of what a tab or connection is made of."""
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    gc.collect()
    found = Counter(type(one).__name__ for one in gc.get_objects() if isinstance(one, HEAVY))
    found["widgets"] = len(QApplication.allWidgets())
    return found


async def visit(workspace: Workspace) -> None:
    for place in PLACES:
        workspace.navigate(place)
        assert workspace.current_screen is not None
        assert workspace.route == place


async def test_tabs_and_connections_leave_nothing_behind(
    program: Program, broker: ServerProcess, connect: Connect, until: Until
) -> None:
    window = program.window
    jetstream = (await connect(broker)).jetstream()
    await jetstream.add_stream(name="S", subjects=["S.>"])
    await jetstream.publish("S.a", b"{}")
    await (await jetstream.create_key_value(bucket="B")).put("a", b"{}")
    await jetstream.pull_subscribe("S.>", "G")
    profile = ConnectionProfile(name="near", urls=(broker.url,))

    async def open_and_close() -> None:
        first = await window.open_profile(profile)
        await visit(first)
        await visit(await window.open_profile(profile, new_tab=True))
        window.close_tab()
        await until(lambda: len(window.tabs.all()) == 2, "the second tab to close")
        await window.close_profile(profile.id)
        assert not window.open_connections()

    await open_and_close()  # some things are made once, and stay
    before = living()
    assert before["OrderlyClient"] >= 1  # the test's own is among what is counted
    for _ in range(ROUNDS):
        await open_and_close()
    await until(lambda: not living() - before, "the end of what was closed")
