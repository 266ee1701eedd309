"""The broker as a program: its log, its files, its signals."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from memphis_desktop.server_process import ServerFailure, ServerProcess, broker_command
from tests.conftest import Connect, Starter
from tests.waiting import until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def test_the_log_is_what_harnesses_wait_for(start_broker: Starter) -> None:
    server: ServerProcess = start_broker(arguments=["-D"], monitoring=True)
    lines = server.log().splitlines()
    form = re.compile(r"\[\d+\] \d{4}/\d\d/\d\d \d\d:\d\d:\d\d\.\d{6} \[(INF|DBG|WRN|ERR)\] .")
    assert all(form.match(line) for line in lines), lines
    assert any(
        line.endswith(f"Listening for client connections on 127.0.0.1:{server.port}") for line in lines
    )
    assert any("Starting http monitor on 127.0.0.1:" in line for line in lines)
    assert lines[-1].endswith("[INF] Server is ready")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_order(start_broker: Starter, tmp_path: Path, number: signal.Signals) -> None:
    pid_file = tmp_path / "pid"
    server: ServerProcess = start_broker(arguments=["-P", str(pid_file)])
    assert int(pid_file.read_text()) == server.pid
    assert list(server.folder.glob("ports-*/*.ports"))
    assert server.process is not None
    server.send_signal(number)
    assert server.process.wait(10) == 0
    assert not pid_file.exists()
    assert not list(server.folder.glob("ports-*/*.ports"))
    assert "Server Exiting" in server.log()


def test_a_taken_port_is_told_in_one_line(start_broker: Starter) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServerFailure, match=f"port {port} on 127.0.0.1 is taken") as raised:
            start_broker(arguments=["-p", str(port)])
    assert "Traceback" not in str(raised.value)
    assert "code 1" in str(raised.value)


async def test_hangup_reloads_users(start_broker: Starter, connect: Connect) -> None:
    config = "authorization { users: [ {user: a, password: a}, {user: b, password: b} ] }"
    server: ServerProcess = start_broker(config=config)
    gone = asyncio.Event()

    async def closed() -> None:
        gone.set()

    stays = await connect(server, user="a", password="a")
    await connect(server, user="b", password="b", closed_cb=closed)
    path = server.folder / "server.conf"
    path.write_text("authorization { users: [ {user: a, password: a}, {user: c, password: c} ] }")
    server.send_signal(signal.SIGHUP)
    await asyncio.wait_for(gone.wait(), 60)
    await stays.flush()
    await connect(server, user="c", password="c")
    path.write_text("authorization { users: [ {usr: a} ] }")
    server.send_signal(signal.SIGHUP)
    await until(lambda: "Failed to reload" in server.log())
    await stays.flush()


async def test_lame_duck(start_broker: Starter, connect: Connect) -> None:
    config = 'lame_duck_grace_period: "50ms", lame_duck_duration: "100ms"'
    server: ServerProcess = start_broker(config=config)
    told, gone = asyncio.Event(), asyncio.Event()

    async def lame_duck() -> None:
        told.set()

    async def closed() -> None:
        gone.set()

    await connect(server, lame_duck_mode_cb=lame_duck, closed_cb=closed)
    server.send_signal(signal.SIGUSR2)
    await asyncio.wait_for(told.wait(), 60)
    await asyncio.wait_for(gone.wait(), 60)
    assert server.process is not None
    assert await asyncio.to_thread(server.process.wait, 10) == 0


async def test_the_log_is_opened_anew(start_broker: Starter, tmp_path: Path, connect: Connect) -> None:
    log = tmp_path / "broker.log"
    server: ServerProcess = start_broker(arguments=["-l", str(log), "-D"])
    await until(lambda: "Server is ready" in log.read_text(), "the last line of the start")
    log.rename(tmp_path / "old.log")
    server.send_signal(signal.SIGUSR1)
    await until(log.exists)
    await connect(server)
    await until(lambda: "Client connection created" in log.read_text())


async def test_trace_shows_the_protocol_but_no_secrets(start_broker: Starter, connect: Connect) -> None:
    server: ServerProcess = start_broker(arguments=["-DV", "--user", "me", "--pass", "geheim"])
    client = await connect(server, user="me", password="geheim")
    inbox = await client.subscribe("a.*")
    await client.publish("a.b", b"payload")
    await inbox.next_msg(timeout=30)
    log = server.log()
    assert re.search(r"\[TRC\] .* - cid:\d+ - <<- \[SUB a\.\*", log)
    assert "<<- [PUB a.b 7]" in log
    assert "->> [MSG a.b 1 7]" in log
    assert "geheim" not in log
    assert "payload" not in log


def broker_says(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program to its end."""
    return subprocess.run(
        [*broker_command(), *arguments], capture_output=True, text=True, timeout=90, check=False
    )


def test_signals_are_sent_by_the_program_itself(start_broker: Starter, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    server: ServerProcess = start_broker(config="debug: false", arguments=["-P", str(pid_file)])
    assert broker_says("--signal", f"reload={server.pid}").returncode == 0
    deadline = time.monotonic() + 30
    while "Reloaded server configuration" not in server.log() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "Reloaded server configuration" in server.log()
    for text, complaint in (
        ("dance", "unknown signal"),
        ("reload=x", "invalid pid"),
        ("reload=999999999", "no process"),
    ):
        done = broker_says("-sl", text)
        assert done.returncode == 1
        assert complaint in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert server.process is not None
    assert broker_says("-sl", f"quit={pid_file}").returncode == 0
    assert server.process.wait(30) == 0


def test_a_link_named_nats_server_stands_in(tmp_path: Path) -> None:
    """It takes nats-server's place: no command, every address, and its name in the ports file."""
    link = tmp_path / "nats-server"
    link.symlink_to(Path(sys.executable).with_name("memphis-desktop"))
    command = [str(link), "-p", "-1", "--ports_file_dir", str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if "Listening for client connections on" in line:
                assert " on 0.0.0.0:" in line
            if "Server is ready" in line:
                break
        ports = json.loads((tmp_path / f"nats-server_{process.pid}.ports").read_text())
        port = int(ports["nats"][0].rpartition(":")[2])
        for host in ("127.0.0.1", "::1") if socket.has_dualstack_ipv6() else ("127.0.0.1",):
            with socket.create_connection((host, port), 30) as connection:
                info = json.loads(connection.makefile("rb").readline().removeprefix(b"INFO "))
                assert info["client_ip"] == host
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 0


def test_the_log_begins_anew_beyond_its_limit(start_broker: Starter, tmp_path: Path) -> None:
    log = tmp_path / "broker.log"
    start_broker(arguments=["-l", str(log), "--log_size_limit", "200"])
    older = list(tmp_path.glob("broker.log.*"))
    assert older
    assert all(200 < path.stat().st_size < 600 for path in older)
