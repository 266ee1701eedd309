"""Memphis SDKs through front doors of three nats-servers; servers and copies of the service are killed."""

from __future__ import annotations

import contextlib
import functools
import socket
import subprocess
import threading
from typing import Any

import pytest

from memphis_desktop.cluster.lab import LocalCluster
from memphis_desktop.server_process import ServerProcess, program_command
from tests.clients.conftest import StartDoor
from tests.clients.sdk_programs import NODE_FOLDER, PYTHON_FOLDER
from tests.clients.under_fire import Events, run_under_fire


class Balancer:
    """One address for several doors, as a load balancer gives: the first that takes a connection gets it."""

    def __init__(self, ports: list[int]) -> None:
        self._ports = ports
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                for port in self._ports:
                    with contextlib.suppress(OSError):
                        door = socket.create_connection(("127.0.0.1", port), timeout=5)
                        door.settimeout(None)
                        for one, other in ((client, door), (door, client)):
                            threading.Thread(target=_copy, args=(one, other), daemon=True).start()
                        break
                else:
                    client.close()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()


def run(program: list[str], port: int, count: int, events: Events, replicas: int = 3) -> dict[str, Any]:
    return run_under_fire([*program, "127.0.0.1", str(port), str(count), str(replicas)], events)


def assert_nothing_lost(result: dict[str, Any], count: int) -> None:
    everything = [f"m{number}" for number in range(count)]
    assert result["acknowledged"] == count, result["failures"][-3:]
    assert result["fetched"] == everything
    assert result["called"] == everything


@pytest.fixture(params=["memphis-py", "memphis-dev"])
def program(request: pytest.FixtureRequest) -> list[str]:
    """The program of each of the two SDKs in turn."""
    if request.param == "memphis-py":
        return [request.getfixturevalue("memphis_python"), str(PYTHON_FOLDER / "under_fire.py")]
    return [request.getfixturevalue("memphis_node"), str(NODE_FOLDER / "under_fire.cjs")]


def test_servers_and_copies_are_killed_under_load(
    program: list[str], three_node_cluster: LocalCluster, start_door: StartDoor
) -> None:
    """No acknowledged message is lost, producers and consumers go on after their SDK's own reconnect."""
    cluster, names = three_node_cluster, [node.name for node in three_node_cluster.view().nodes]
    door, other = start_door(cluster.urls), start_door(cluster.urls)

    balancer = Balancer([door.port, other.port])
    events: Events = {
        100: lambda: cluster.kill_node(names[0]),
        300: lambda: cluster.start_node(names[0]),
        450: door.kill,
    }
    try:
        assert_nothing_lost(run(program, balancer.port, 600, events), 600)
    finally:
        balancer.close()


@pytest.mark.slow
def test_any_server_is_killed_under_load(
    program: list[str], three_node_cluster: LocalCluster, start_door: StartDoor
) -> None:
    """Each in turn, whatever it leads; the copy that does the service's work is killed meanwhile, too."""
    cluster, names = three_node_cluster, [node.name for node in three_node_cluster.view().nodes]
    other, _ = start_door(cluster.urls), start_door(cluster.urls)
    door = start_door(cluster.urls, "--front-door-only")
    events: Events = {700: other.kill}
    for number, name in enumerate(names):
        events[200 + 300 * number] = functools.partial(cluster.kill_node, name)
        events[350 + 300 * number] = functools.partial(cluster.start_node, name)
    assert_nothing_lost(run(program, door.port, 1200, events), 1200)


def test_running_clients_do_not_notice_when_the_control_service_stops(
    program: list[str], nats_server: ServerProcess, start_door: StartDoor
) -> None:
    control = subprocess.Popen(
        [*program_command("stations"), "--connect", nats_server.url, "--no-front-door"],
        stderr=subprocess.DEVNULL,
    )

    def stop() -> None:
        control.terminate()
        assert control.wait(60) == 0

    try:
        door = start_door((nats_server.url,), "--front-door-only")
        result = run(program, door.port, 400, {100: stop}, replicas=1)
    finally:
        control.kill()
        control.wait()
    assert_nothing_lost(result, 400)
    assert result["failures"] == []
