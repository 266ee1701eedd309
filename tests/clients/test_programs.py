"""Whole programs: one that works through crashes of the broker, and users' mistakes told in one line."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from nats.errors import Error
from nats.js.errors import APIError

from memphis_desktop.server_process import ServerProcess, broker_command
from tests.clients.program import Program
from tests.conftest import Connect, Starter


async def work_through_crashes(broker: ServerProcess, total: int, crashes: int) -> None:
    program = Program(broker.url, total, ("left", "right"))
    await program.prepare()
    running = asyncio.create_task(program.run())
    for crash in range(crashes):
        await program.reached((crash + 0.5) / crashes)
        await asyncio.to_thread(broker.restart, crash=True)
    await running
    await program.check()
    await asyncio.to_thread(broker.restart)
    await program.check()


async def test_a_program_loses_and_repeats_nothing_when_the_broker_is_killed(broker: ServerProcess) -> None:
    await work_through_crashes(broker, total=5_000, crashes=3)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_the_same_with_a_hundred_thousand_messages(broker: ServerProcess) -> None:
    await work_through_crashes(broker, total=100_000, crashes=5)


# Users' mistakes


def refused(*arguments: str, code: int = 1) -> str:
    """Run the broker, which must refuse to start; return its one line of complaint."""
    command = [*broker_command(), "-a", "127.0.0.1", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    complaints = [line for line in done.stderr.splitlines() if line.startswith("memphis-desktop")]
    assert len(complaints) == 1, done.stderr
    return complaints[0]


def test_a_taken_port(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert str(port) in refused("-p", str(port))
        assert str(port) in refused("-p", str(port), "-js", "-sd", str(tmp_path))


def test_a_data_folder_that_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("mine")
    assert str(path) in refused("-p", "-1", "-js", "-sd", str(path))
    assert path.read_text() == "mine"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the superuser may read everything")
def test_an_unreadable_data_folder(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0)
    assert str(folder) in refused("-p", "-1", "-js", "-sd", str(folder))


async def test_a_folder_of_another_server_is_left_as_it_is(
    nats_server: ServerProcess, connect: Connect
) -> None:
    jetstream = (await connect(nats_server)).jetstream()
    await jetstream.add_stream(name="THEIRS", subjects=["theirs"])
    await jetstream.publish("theirs", b"kept")
    nats_server.stop()
    assert str(nats_server.store) in await asyncio.to_thread(
        refused, "-p", "-1", "-js", "-sd", str(nats_server.store)
    )
    nats_server.start()
    again = (await connect(nats_server)).jetstream()
    assert (await again.get_msg("THEIRS", 1)).data == b"kept"


async def test_a_second_broker_on_the_same_folder(broker: ServerProcess, connect: Connect) -> None:
    jetstream = (await connect(broker)).jetstream()
    await jetstream.add_stream(name="FIRST", subjects=["first"])
    line = await asyncio.to_thread(refused, "-p", "-1", "-js", "-sd", str(broker.store))
    assert str(broker.store) in line
    assert (await jetstream.publish("first", b"on it goes")).seq == 1


def test_an_unknown_option_is_wrong_usage() -> None:
    assert "--no-such-option" in refused("--no-such-option", code=2)


async def raw_session(server: ServerProcess, text: bytes) -> bytes:
    """Send `text` after the greeting and return all that comes until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    await reader.readline()
    writer.write(text)
    async with asyncio.timeout(30):
        answer = await reader.read()
    writer.close()
    return answer


async def test_a_malformed_command_ends_that_connection_only(
    any_server: ServerProcess, connect: Connect
) -> None:
    client = await connect(any_server)
    answer = await raw_session(any_server, b'CONNECT {"verbose":false}\r\nNONSENSE x\r\n')
    assert b"-ERR 'Unknown Protocol Operation'" in answer
    await client.flush(timeout=30)


async def test_an_oversized_payload_ends_that_connection_and_stores_nothing(
    any_server: ServerProcess, connect: Connect
) -> None:
    client = await connect(any_server)
    jetstream = client.jetstream()
    await jetstream.add_stream(name="SIZE", subjects=["size"])
    answer = await raw_session(any_server, b'CONNECT {"verbose":false}\r\nPUB size 99999999\r\n')
    assert b"-ERR 'Maximum Payload Violation'" in answer
    with pytest.raises(Error):
        await client.publish("size", b"x" * (client.max_payload + 1))
    assert (await jetstream.stream_info("SIZE")).state.messages == 0


async def test_a_wrong_password_is_refused_and_the_right_one_is_not(
    start_broker: Starter, connect: Connect
) -> None:
    broker = start_broker(arguments=["--user", "ada", "--pass", "right"])
    complaints: list[str] = []

    async def note(error: Exception) -> None:
        complaints.append(str(error))

    with pytest.raises(Error):
        await connect(broker, user="ada", password="wrong", error_cb=note)
    assert any("authorization violation" in complaint.lower() for complaint in complaints)
    client = await connect(broker, user="ada", password="right")
    await client.flush(timeout=30)


async def test_an_api_mistake_is_an_error_with_its_code(any_server: ServerProcess, connect: Connect) -> None:
    jetstream = (await connect(any_server)).jetstream()
    with pytest.raises(APIError) as refusal:
        await jetstream.add_stream(name="BAD", subjects=["a..b"])
    assert refusal.value.err_code


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere there always is a display")
def test_without_a_display_the_program_says_so_and_runs_the_broker(tmp_path: Path) -> None:
    environment = {
        key: value
        for key, value in os.environ.items()
        if key not in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    }
    environment["MEMPHIS_DESKTOP_HOME"] = str(tmp_path)
    command = [sys.executable, "-m", "memphis_desktop", "--demo"]
    program = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert program.stdout is not None
        assert program.stdout.readline().startswith("broker on nats://127.0.0.1:")
    finally:
        program.terminate()
        _, errors = program.communicate(timeout=60)
    assert "no display" in errors
    assert program.returncode == 0
    assert "Traceback" not in errors
