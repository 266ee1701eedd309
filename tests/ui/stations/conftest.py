"""A client and a window on the same server, each server in turn."""

from __future__ import annotations

from typing import Any

import pytest
from nats.aio.client import Client

from memphis_desktop.app import Program
from memphis_desktop.cluster.profiles import ConnectionProfile
from memphis_desktop.server_process import ServerProcess
from memphis_desktop.ui.screen import Route, Screen
from tests.conftest import Connect
from tests.ui.stations.steps import Show


@pytest.fixture
async def client(any_server: ServerProcess, connect: Connect) -> Client:
    opened = await connect(any_server)
    assert isinstance(opened, Client)
    return opened


@pytest.fixture
def show(program: Program, any_server: ServerProcess) -> Show:
    """Open a route on the server: ``screen = await show(Route("stations"), read_only=True)``."""

    async def open_(route: Route, **options: Any) -> Screen:
        profile = ConnectionProfile(name="test", urls=(any_server.url,), **options)
        workspace = await program.window.open_profile(profile, route)
        screen = workspace.current_screen
        assert isinstance(screen, Screen)
        return screen

    return open_
