"""``memphis-desktop replay`` as a user runs it: into another server, killed, resumed, undone."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from nats.aio.client import Client
from nats.js.api import StreamConfig

from memphis_desktop.inspect.files import read_file
from memphis_desktop.inspect.reader import MessageReader
from memphis_desktop.server_process import ServerProcess, program_command
from tests.clients import backup
from tests.clients.test_backup_reader import saved
from tests.conftest import Connect, Starter


def environment(tmp_path: Path) -> dict[str, str]:
    """The program's own folders, in the test's."""
    return {**os.environ, "MEMPHIS_DESKTOP_HOME": str(tmp_path / "home")}


def replay(tmp_path: Path, *arguments: str, code: int = 0) -> str:
    """Run ``memphis-desktop replay`` to its end; what it printed."""
    return command("replay", tmp_path, *arguments, code=code)


def command(name: str, tmp_path: Path, *arguments: str, code: int = 0) -> str:
    """Run a command of the program to its end; what it printed."""
    done = subprocess.run(
        program_command(name, *arguments),
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stderr


def runs(tmp_path: Path) -> list[dict[str, Any]]:
    """The runs that are known, newest first."""
    return [json.loads(line) for line in replay(tmp_path, "--list", "--json").splitlines()]


async def fill(client: Client, count: int) -> None:
    """Make the stations, and messages in one of them."""
    jetstream = client.jetstream(timeout=30)
    await jetstream.add_stream(StreamConfig(name="orders", subjects=["orders.>"], allow_direct=True))
    # So short a window that message ids alone would not do.
    config = StreamConfig(name="copy", subjects=["copy.>"], allow_direct=True, duplicate_window=0.1)
    await jetstream.add_stream(config)
    for first in range(0, count, 1000):
        acks = [
            await jetstream.publish_async(f"orders.{number % 5}", b'{"n":%d,"secret":"s"}' % number)
            for number in range(first, min(count, first + 1000))
        ]
        await asyncio.gather(*acks)


async def stored(client: Client, stream: str = "copy") -> list[tuple[int, bytes]]:
    """Where each copy came from, and its payload, in the order of the station."""

    class Source:
        nats = client

    reader = await MessageReader.open(Source(), stream)
    found: list[tuple[int, bytes]] = []
    position = reader.bounds.first
    while position <= reader.bounds.last:
        page = await reader.forward(position, 500)
        if not page.messages:
            break
        found += [(int(m.headers.get("Memphis-Replay-Sequence") or 0), m.payload) for m in page.messages]
        position = page.last + 1
    await reader.close()
    return found


async def killed_run(tmp_path: Path, arguments: list[str], client: Client, beyond: int) -> None:
    """Start a replay and kill it (SIGKILL) once the target holds more than `beyond` messages."""
    process = await asyncio.create_subprocess_exec(
        *program_command("replay", *arguments), env=environment(tmp_path), stdout=asyncio.subprocess.DEVNULL
    )
    jetstream = client.jetstream(timeout=30)
    deadline = time.monotonic() + 60
    try:
        while (await jetstream.stream_info("copy")).state.messages <= beyond:
            assert time.monotonic() < deadline, "the replay does not come on"
            assert process.returncode is None, "the replay ended too early"
            await asyncio.sleep(0.02)  # polls; the deadline is what counts
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.wait()


async def interrupted_and_resumed(
    tmp_path: Path,
    server: ServerProcess,
    client: Client,
    count: int,
    rate: int,
    kills: list[int],
    order: str = "oldest",
) -> None:
    """Whatever was going on when it was killed: no gap, no second copy, the order kept; then all undone."""
    await fill(client, count)
    arguments = ["orders", "--connect", server.url, "--to", "copy.{subject}", "--rate", str(rate)]
    arguments += ["--order", order]
    for beyond in kills:
        await killed_run(tmp_path, arguments, client, beyond)
        run = runs(tmp_path)[0]
        assert run["state"] == "interrupted"
        arguments = ["--resume", run["run"], "--connect", server.url]
    replay(tmp_path, *arguments)
    origins = [origin for origin, _ in await stored(client)]
    expected = {
        "oldest": list(range(1, count + 1)),
        "newest": list(range(count, 0, -1)),
        "subjects": sorted(range(1, count + 1), key=lambda number: ((number - 1) % 5, number)),
    }
    assert origins == expected[order]
    assert [run["state"] for run in runs(tmp_path)] == ["done"]
    replay(tmp_path, "--undo", runs(tmp_path)[0]["run"], "--connect", server.url)
    assert await stored(client) == []
    assert runs(tmp_path)[0]["state"] == "undone"


async def test_a_killed_replay_is_resumed_without_a_gap_or_a_second_copy(
    tmp_path: Path, any_server: ServerProcess, connect: Connect
) -> None:
    """Killed twice."""
    client = await connect(any_server)
    await interrupted_and_resumed(tmp_path, any_server, client, 3000, 1500, [300, 1200])


@pytest.mark.slow
@pytest.mark.parametrize("order", ["newest", "subjects"])
async def test_a_killed_replay_goes_on_in_its_own_order(
    tmp_path: Path, nats_server: ServerProcess, connect: Connect, order: str
) -> None:
    """Once on a real server; `test_replay_order` does the rest."""
    client = await connect(nats_server)
    await interrupted_and_resumed(tmp_path, nats_server, client, 1500, 1500, [300], order)


async def test_one_consumer_alone_gets_the_copies_and_a_report_is_written(
    tmp_path: Path, any_server: ServerProcess, connect: Connect
) -> None:
    """With a value worked out; what was changed for it is told; the report is shown again later."""
    client = await connect(any_server)
    await fill(client, 100)
    jetstream = client.jetstream()
    for name in ("billing", "audit"):
        await jetstream.add_consumer("orders", durable_name=name, filter_subject="orders.*")
    arguments = ["orders", "--connect", any_server.url, "--only-to", "orders/billing"]
    arguments += ["--set", "$.twice := json.n * 2", "--set", "headers.Half := json.n / 2"]
    into = tmp_path / "run.json"
    replay(tmp_path, *arguments, "--report", str(into))
    pending = [(await jetstream.consumer_info("orders", name)).num_pending for name in ("billing", "audit")]
    assert pending == [200, 100]
    copy = await jetstream.get_msg("orders", 103)
    assert json.loads(copy.data) == {"n": 2, "secret": "s", "twice": 4}
    headers = copy.headers or {}
    assert (headers["Half"], headers["Memphis-Replay-Subject"]) == ("1.0", "orders.2")
    told = json.loads(into.read_text())
    assert (told["state"], told["counts"]["stored"]) == ("done", 100)
    assert told["sequences"]["stored"]["orders"]["ranges"] == [[101, 200]]
    assert json.loads(replay(tmp_path, "--show", told["run"], "--json")) == told
    await jetstream.add_consumer("orders", durable_name="everything")
    assert "everything takes every subject" in replay(tmp_path, *arguments, code=1)


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("order", ["oldest", "newest"])
async def test_a_hundred_thousand_at_a_rate_killed_half_way(
    tmp_path: Path, any_server: ServerProcess, connect: Connect, order: str
) -> None:
    """As the small one, with the size of a real replay."""
    client = await connect(any_server)
    await interrupted_and_resumed(tmp_path, any_server, client, 100_000, 4000, [50_000], order)


@pytest.mark.slow
async def test_a_fixed_rate_is_held_within_two_per_cent(
    tmp_path: Path, any_server: ServerProcess, connect: Connect
) -> None:
    """A hundred thousand, by the program's own clock."""
    client = await connect(any_server)
    await fill(client, 100_000)
    said = replay(
        tmp_path, "orders", "--connect", any_server.url, "--to", "copy.x", "--rate", "4000", "--json"
    )
    last = json.loads(said.splitlines()[-1])
    assert last["stored"] == 100_000
    assert 100_000 / last["elapsed"] == pytest.approx(4000, rel=0.02)


async def test_from_one_server_into_another_changed_on_the_way(
    tmp_path: Path, start_broker: Starter, start_nats_server: Starter, connect: Connect
) -> None:
    """The last part of one server's station, filtered, edited, into the other; repeating stores nothing."""
    production, local = start_nats_server(), start_broker()
    source, target = await connect(production), await connect(local)
    await fill(source, 500)
    await target.jetstream().add_stream(StreamConfig(name="copy", subjects=["orders.>"], allow_direct=True))
    arguments = ["orders", "--connect", production.url, "--to-connect", local.url]
    arguments += [
        "--from",
        "#101",
        "--where",
        "json.n % 2 == 0",
        "--set",
        "- $.secret",
        "--set",
        "$.by.us = 1",
    ]
    shown = replay(tmp_path, *arguments, "--dry-run")
    assert "nothing was sent" in shown
    assert await stored(target) == []
    replay(tmp_path, *arguments)
    copies = await stored(target)
    assert [origin for origin, _ in copies] == list(range(101, 501, 2))
    assert json.loads(copies[0][1]) == {"n": 100, "by": {"us": 1}}
    assert "0 stored" in replay(tmp_path, *arguments)
    assert len(await stored(target)) == 200


async def test_a_backup_is_a_source_also_of_a_file_without_any_server(
    tmp_path: Path, any_server: ServerProcess, connect: Connect
) -> None:
    """Interrupted and resumed as any other; where the copies go to a file no connection is needed."""
    client = await connect(any_server)
    await fill(client, 2000)
    folder = saved(tmp_path / "backup", await backup.take(client, "orders"), "stream.arc.s2")
    into = tmp_path / "copies.mdump"
    said = replay(tmp_path, "--file", str(folder), "--to-file", str(into), "--where", "json.n < 100")
    assert "2 000, 100 stored, 1 900 left out".replace(" 000", "\u202f000").replace("1 9", "1\u202f9") in said
    assert [message.sequence for message in read_file(into)] == list(range(1, 101))
    arguments = ["--file", str(folder), "--connect", any_server.url, "--to", "copy.{subject}"]
    await killed_run(tmp_path, [*arguments, "--mib-rate", "0.02"], client, 300)
    (run, _) = runs(tmp_path)
    assert (run["state"], run["source"]) == ("interrupted", "backup of orders")
    # The limit was for killing it in time; the whole goes fast in a run of its own.
    replay(tmp_path, "--undo", run["run"], "--connect", any_server.url)
    await client.jetstream().purge_stream("copy")
    replay(tmp_path, *arguments)
    assert [origin for origin, _ in await stored(client)] == list(range(1, 2001))


@pytest.mark.parametrize(
    ("arguments", "says", "code"),
    [
        (["--connect", "URL"], "say what to replay", 2),
        (["orders"], "say which server", 2),
        (["nothing", "--connect", "URL"], "stream not found", 1),
        (["orders", "--connect", "URL", "--set", "$.a"], "gives no value", 1),
        (["orders", "--connect", "URL", "--set", "$.a := json.b +"], "at character 16", 1),
        (["orders", "--connect", "URL", "--only-to", "billing"], "write STATION/CONSUMER", 1),
        (["orders", "--connect", "URL", "--only-to", "orders/nobody"], "does not exist", 1),
        (["--file", "x.ndjson", "--connect", "URL", "--order", "newest"], "in its own order", 2),
        (["--show", "x"], "there is no replay x", 1),
        (["orders", "--connect", "URL", "--from", "soon"], "Type a place", 1),
        (["--resume", "x", "--connect", "URL"], "there is no replay x", 1),
        (["orders", "--connect", "URL", "--to-file", "x", "--to-connect", "URL"], "exclude each other", 2),
        (["--file", "missing.ndjson", "--connect", "URL"], "cannot be read", 1),
        (["orders", "--connect", "nats://127.0.0.1:1"], "Nothing listens", 1),
    ],
)
async def test_a_mistake_gets_one_line(
    tmp_path: Path, broker: ServerProcess, connect: Connect, arguments: list[str], says: str, code: int
) -> None:
    """On standard error, and nothing is sent."""
    await fill(await connect(broker), 1)
    said = replay(tmp_path, *(broker.url if word == "URL" else word for word in arguments), code=code)
    assert says in said
    assert len(said.strip().splitlines()) == 1
