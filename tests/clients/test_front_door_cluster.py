"""memphis-py through front doors of three real nats-servers; servers and copies of the service are killed."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from memphis_desktop.bench.front_door import DoorProcess
from memphis_desktop.cluster.lab import LocalCluster
from memphis_desktop.server_process import ServerProcess, program_command
from tests.clients.test_memphis_python import FOLDER, memphis_python  # noqa: F401  # a fixture

StartDoor = Callable[..., DoorProcess]


@pytest.fixture
def start_door(tmp_path: Path) -> Iterator[Callable[..., DoorProcess]]:
    """Start copies of ``memphis-desktop stations``: ``start_door(urls, *arguments)``."""
    doors: list[DoorProcess] = []

    def start(urls: tuple[str, ...], *arguments: str) -> DoorProcess:
        door = DoorProcess(",".join(urls), tmp_path / f"door-{len(doors)}", arguments=arguments)
        doors.append(door)
        door.start()
        return door

    yield start
    with contextlib.ExitStack() as stack:
        for door in doors:
            stack.callback(door.stop)


Events = dict[int, Callable[[], object]]


def run_under_fire(python: str, port: int, count: int, events: Events, replicas: int = 3) -> dict[str, Any]:
    """Run the program; at each number of acknowledged messages (a multiple of 50) do what `events` says."""
    program = [python, str(FOLDER / "under_fire.py"), "127.0.0.1", str(port), str(count), str(replicas)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                word, _, number = line.partition(" ")
                if word == "progress":
                    events.pop(int(number), lambda: None)()
                else:
                    found: dict[str, Any] = json.loads(line)
                    assert not events
                    return found
        finally:
            process.kill()
    raise AssertionError("the program ended without a word")


def assert_nothing_lost(result: dict[str, Any], count: int) -> None:
    everything = [f"m{number}" for number in range(count)]
    assert result["acknowledged"] == count
    assert result["fetched"] == everything
    assert result["called"] == everything


def test_servers_and_copies_are_killed_under_load(
    memphis_python: str,  # noqa: F811
    three_node_cluster: LocalCluster,
    start_door: StartDoor,
) -> None:
    """No acknowledged message is lost, producers and consumers go on after their SDK's own reconnect."""
    cluster, names = three_node_cluster, [node.name for node in three_node_cluster.view().nodes]
    door, other = start_door(cluster.urls), start_door(cluster.urls)

    def restart_door() -> None:
        door.restart(crash=True)  # where its SDKs find it again, as behind one address

    events: Events = {
        100: lambda: cluster.kill_node(names[0]),
        250: other.kill,
        400: lambda: cluster.start_node(names[0]),
        600: restart_door,
    }
    assert_nothing_lost(run_under_fire(memphis_python, door.port, 800, events), 800)


def test_running_clients_do_not_notice_when_the_control_service_stops(
    memphis_python: str,  # noqa: F811
    nats_server: ServerProcess,
    start_door: StartDoor,
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
        result = run_under_fire(memphis_python, door.port, 400, {100: stop}, replicas=1)
    finally:
        control.kill()
        control.wait()
    assert_nothing_lost(result, 400)
    assert result["failures"] == []
