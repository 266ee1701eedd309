"""The benchmark's own arithmetic: counting in raw bytes, percentiles, promises, the table."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from memphis_desktop import cli
from memphis_desktop.bench import report
from memphis_desktop.bench.front_door import measure_front_door
from memphis_desktop.bench.load import WORKS
from memphis_desktop.bench.rows import MEDIAN_LATENCY, RATE, ROWS, Row, Side
from memphis_desktop.bench.runner import Measured, Outcome, Settings, job_command, percentiles
from memphis_desktop.bench.stall_causes import Meter, Stall
from memphis_desktop.bench.wire import Counter, publish_chunk, publish_with_ids
from memphis_desktop.errors import Failure
from memphis_desktop.server_process import ServerProcess


def test_the_counter_finds_patterns_however_the_bytes_are_split() -> None:
    data = b'xx"seq":1"seq":"seq":yy"se' * 20
    for seed in range(200):
        chance = random.Random(seed)
        counter, position = Counter(b'"seq":'), 0
        while position < len(data):
            size = chance.randint(1, 9)
            chunk = data[position : position + size]
            counter.feed(bytearray(chunk) + b'"seq":', len(chunk))  # what stands behind the size is not read
            position += size
        assert counter.count == data.count(b'"seq":')


def test_percentiles() -> None:
    assert percentiles(range(1001)) == {"p50": 500, "p99": 990, "p99.9": 999, "max": 1000}
    assert percentiles([7.0]) == {"p50": 7, "p99": 7, "p99.9": 7, "max": 7}


def test_published_chunks_are_what_the_protocol_says() -> None:
    assert publish_chunk([b"a", b"b"], b"r", b"xy") == b"PUB a r 2\r\nxy\r\nPUB b r 2\r\nxy\r\n"
    assert publish_chunk([b"a"], b"", b"") == b"PUB a 0\r\n\r\n"
    headers = b"NATS/1.0\r\nNats-Msg-Id: 7\r\n\r\n"
    expected = b"HPUB a r %d %d\r\n%sxy\r\n" % (len(headers), len(headers) + 2, headers)
    assert publish_with_ids(b"a", b"r", b"xy", [b"7"]) == expected


def test_rows_have_different_names_and_known_works() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
    for row in ROWS:
        assert row.left.ours
        assert {row.left.work, row.right.work} <= set(WORKS)


def outcome(unit: str, goal: float, left: list[float], right: list[float] | None) -> Outcome:
    row = Row("w", "the work", Side("ours, durable", "publish"), Side("them", "publish"), unit, goal)
    measured = None if right is None else Measured(row.right, right)
    return Outcome(row, Measured(row.left, left), measured)


def test_a_rate_must_reach_its_goal_and_a_latency_stay_below() -> None:
    faster = outcome(RATE, 1.0, [1, 30, 20], [10, 10, 10])
    assert faster.ratio == 2
    assert faster.row.met(2)
    assert not faster.row.met(0.99)
    slower = outcome(MEDIAN_LATENCY, 1.2, [30], [20])
    assert slower.ratio == 1.5
    assert not slower.row.met(1.5)
    assert slower.row.met(1.2)


def test_the_table_tells_what_was_measured_and_marks_a_generator_at_its_limit() -> None:
    measured = outcome(RATE, 1.0, [340_123.4], [170_000])
    measured.left.load_cpu = 0.95
    alone = outcome(RATE, 1.0, [5], None)
    table = report.as_table([measured, alone]).splitlines()
    assert len({len(line) for line in table}) == 1
    assert "340,123* messages/s (ours, durable)" in table[2]
    assert "| 2.00  | ≥ 1      | yes  |" in table[2]
    assert "| -     | ≥ 1      | -    |" in table[3]


def test_the_json_document_keeps_every_round() -> None:
    document = report.as_json([outcome(RATE, 1.0, [1, 2, 3], [4])], Settings(), {"cores": 2})
    row = json.loads(json.dumps(document))["rows"][0]
    assert row["left"]["rounds"] == [1, 2, 3]
    assert row["ratio"] == 0.5
    assert row["met"] is False


def test_an_unknown_work_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["bench", "--only", "nonsense"]) == 1
    assert "unknown work 'nonsense'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("work", "parameters"),
    [
        ("publish", {"seconds": 0.05, "size": 16, "window": 64}),
        ("publish", {"seconds": 0.05, "size": 16, "window": 64, "ids": True}),
        ("latency", {"seconds": 0.05, "size": 16}),
        ("concurrent", {"seconds": 0.05, "size": 16, "publishers": 4}),
        ("fetch", {"messages": 100, "size": 16, "batch": 20}),
        ("core", {"seconds": 0.05, "size": 16, "subscribers": 0}),
        ("core", {"seconds": 0.05, "size": 16, "subscribers": 3}),
        ("crowd", {"seconds": 0.05, "size": 16, "window": 64, "connections": 5, "streams": 5}),
        ("client", {"seconds": 0.05, "size": 16, "window": 4}),
    ],
)
def test_every_work_runs_on_a_real_server(
    work: str, parameters: dict[str, float], nats_server: ServerProcess
) -> None:
    result = WORKS[work](nats_server.port, **parameters)
    assert result["messages"] > 0
    assert result["seconds"] > 0


@pytest.mark.skipif(sys.platform == "win32", reason="a process is told to end by signal")
def test_a_bench_told_to_end_leaves_no_server_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "memphis_desktop", "bench", "--only", "core-0", "--seconds", "60"]
    bench = subprocess.Popen([*command, "--folder", str(tmp_path)], stderr=subprocess.PIPE, text=True)
    assert bench.stderr is not None
    assert "core publish" in bench.stderr.readline()
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("*/ports-*/*.ports")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    bench.terminate()
    _, errors = bench.communicate(timeout=60)
    assert bench.returncode == 143, errors
    assert not list(tmp_path.iterdir())


def test_the_front_door_is_measured(tmp_path: Path) -> None:
    (row,) = measure_front_door(["publish-ids"], Settings(1, 0.1, folder=tmp_path), lambda text: None)
    assert row.left.median > 0
    assert row.right is not None
    assert row.right.median > 0
    assert not list(tmp_path.iterdir())
    with pytest.raises(Failure, match="unknown work 'nonsense'; through the front door there are: publish"):
        measure_front_door(["nonsense"], Settings(), lambda text: None)


def test_a_work_runs_in_its_own_process(nats_server: ServerProcess) -> None:
    command = job_command("core", {"port": nats_server.port, "seconds": 0.05, "size": 16, "subscribers": 0})
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["messages"] > 0


def test_a_stall_is_told_apart_into_computing_and_waiting() -> None:
    meter = Meter()
    until = time.thread_time() + 0.05
    while time.thread_time() < until:
        pass
    computed = meter.lap()
    waiting = threading.Event()
    waiting.wait(0.1)
    waited = meter.lap(planned_ms=50)
    assert computed.own >= 49
    assert computed.late + 1 >= computed.own
    assert waited.own < 25
    assert waited.late >= 49
    assert Stall(267, own=22, queued=5).waited == 240
    assert Stall(10, own=20).waited == 0
    assert "240 waited" in Stall(267, own=22, queued=5).sentence()
