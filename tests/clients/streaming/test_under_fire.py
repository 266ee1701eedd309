"""The unmodified NATS Streaming clients on three servers: servers and copies of the gateway are killed."""

from __future__ import annotations

import os

import pytest

from memphis_desktop.cluster.lab import LocalCluster
from tests.clients.conftest import StartDoor
from tests.clients.streaming.conftest import CLUSTER, NODE_FOLDER, PYTHON_FOLDER, OldPython
from tests.clients.under_fire import Events, run_under_fire

COUNT = 400


@pytest.fixture(params=["asyncio-nats-streaming", "node-nats-streaming"])
def program(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The program of each of the two clients in turn."""
    if request.param == "node-nats-streaming":
        return [request.getfixturevalue("node"), str(NODE_FOLDER / "under_fire.mjs")]
    python: OldPython = request.getfixturevalue("old_python")
    for name, value in python.environment.items():
        monkeypatch.setitem(os.environ, name, value)
    return [python.program, str(PYTHON_FOLDER / "under_fire.py")]


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_servers_and_copies_are_killed_under_load(
    program: list[str], three_node_cluster: LocalCluster, start_door: StartDoor
) -> None:
    """No acknowledged message is lost, and the clients go on as they are used to."""
    cluster, names = three_node_cluster, [node.name for node in three_node_cluster.view().nodes]
    options = ("--streaming_cluster_id", CLUSTER)
    working = start_door(cluster.urls, *options)
    other = start_door(cluster.urls, *options)
    events: Events = {
        50: lambda: cluster.kill_node(names[0]),
        200: lambda: cluster.start_node(names[0]),
        300: working.kill,
    }
    # Through the front doors: node-nats-streaming cannot log in where a server offers the proof of a key.
    urls = ",".join(f"nats://root:memphis@127.0.0.1:{copy.port}" for copy in (working, other))
    found = run_under_fire([*program, urls, CLUSTER, str(COUNT)], events)
    assert found["missing"] == []
