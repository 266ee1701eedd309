#!/usr/bin/env python3
"""A long run at a steady rate with retention on: memory and disk must stay flat.

    python benchmarks/soak.py --minutes 60

The broker runs in its own process, one client publishes, one pulls and acknowledges. Without ``--rate`` the
rate is half of what the machine does when both go as fast as they can. Every ten seconds a line tells memory,
disk, and how many messages were stored and taken. At the end the second half is compared with the first: exit
code 1 when memory or disk grew by more than a fifth.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from memphis_desktop import folders
from memphis_desktop.bench import load
from memphis_desktop.bench.wire import Counter, Wire, publish_chunk
from memphis_desktop.local_broker import folder_size
from memphis_desktop.server_process import ServerProcess, broker_command

EVERY_SECONDS = 10.0
GROWTH_ALLOWED = 1.2
FULL_SPEED_SECONDS = 10.0
FILLING_SAMPLES = 9  # a minute and a half, when messages live for one
STREAM, CHUNK, WINDOW, BATCH = "SOAK", 256, 4096, 500


def publish(port: int, rate: float | None, seconds: float) -> None:
    """Publish 128-byte messages at `rate` a second, or as fast as it goes, on a thousand subjects."""
    wire = Wire(port)
    wire.send(b"SUB " + load.REPLY + b" r\r\n")
    wire.ping()
    load.windowed(wire.socket, paced(rate), CHUNK, WINDOW, seconds, Counter(load.ACK))
    wire.close()


def paced(rate: float | None) -> Iterator[bytes]:
    """Yield chunks as they fall due: at once without a rate."""
    ready = [
        publish_chunk([b"soak.%d" % ((first + step) % 1000) for step in range(CHUNK)], load.REPLY, b"x" * 128)
        for first in range(0, 1000, 125)
    ]
    due = time.perf_counter()
    number = 0
    while True:
        if rate is not None:
            time.sleep(max(due - time.perf_counter(), 0))
            due = max(due + CHUNK / rate, time.perf_counter() - 1)
        number += 1
        yield ready[number % len(ready)]


def consume(port: int) -> None:
    """Pull and acknowledge until ended."""
    wire = Wire(port)
    config = {"durable_name": "G", "name": "G", "ack_policy": "explicit", "max_ack_pending": 20 * BATCH}
    wire.request(f"$JS.API.CONSUMER.DURABLE.CREATE.{STREAM}.G", {"stream_name": STREAM, "config": config})
    wire.send(b"SUB _INBOX.bench.pull p\r\nSUB " + load.REPLY + b" r\r\n")
    wire.ping()
    body = b'{"batch":%d,"expires":25000000000}' % BATCH
    pull = publish_chunk([b"$JS.API.CONSUMER.MSG.NEXT.SOAK.G"], b"_INBOX.bench.pull", body)
    while True:
        load.take_batches(wire.socket, pull, BATCH, 1)


def resident_memory(pid: int) -> int:
    """Return the resident memory of a process in bytes (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found.group(1)) * 1024


def full_speed(server: ServerProcess) -> float:
    """Return how many messages a second are stored when they are taken at the same time."""
    publisher = multiprocessing.get_context("spawn").Process(
        target=publish, args=(server.port, None, FULL_SPEED_SECONDS)
    )
    publisher.start()
    publisher.join()
    return last_sequence(server) / FULL_SPEED_SECONDS


def last_sequence(server: ServerProcess) -> int:
    """Return how many messages the stream has stored so far."""
    return int(stream_detail(server)["state"]["last_seq"])


def stream_detail(server: ServerProcess) -> dict[str, Any]:
    """Return what the monitoring address tells about the stream and its consumer."""
    with urlopen(f"{server.monitoring_url}/jsz?streams=1&consumers=1", timeout=30) as answer:
        detail: dict[str, Any] = json.load(answer)["account_details"][0]["stream_detail"][0]
    return detail


def soak(server: ServerProcess, rate: float | None, minutes: float) -> bool:
    """Run the load and print what is seen; return whether memory and disk stayed flat."""
    wire = Wire(server.port)
    load.create_stream(wire, STREAM, "soak.>", max_bytes=256 * 1024 * 1024, max_age=60_000_000_000)
    context = multiprocessing.get_context("spawn")
    consumer = context.Process(target=consume, args=(server.port,), daemon=True)
    consumer.start()
    rate = rate or full_speed(server) / 2
    print(f"{rate:,.0f} messages/s for {minutes:g} minutes", flush=True)
    publisher = context.Process(target=publish, args=(server.port, rate, minutes * 60))
    publisher.start()
    samples: list[tuple[int, int]] = []
    start = time.monotonic()
    while publisher.is_alive():
        publisher.join(EVERY_SECONDS)
        stream = stream_detail(server)
        taken = sum(detail["ack_floor"]["stream_seq"] for detail in stream.get("consumer_detail") or [])
        memory, disk = resident_memory(server.pid), folder_size(server.store)
        samples.append((memory, disk))
        size = f"memory {memory / 2**20:7.1f} MiB  disk {disk / 2**20:8.1f} MiB"
        count = f"stored {stream['state']['last_seq']:12,}  taken {taken:12,}"
        print(f"{time.monotonic() - start:7.0f} s  {size}  {count}", flush=True)
    consumer.terminate()
    consumer.join()
    wire.close()
    if publisher.exitcode:
        print("the publisher failed", file=sys.stderr)
        return False
    return flat(samples)


def flat(samples: list[tuple[int, int]]) -> bool:
    """Compare the second half with the first, leaving out the time in which the limits are reached."""
    settled = samples[max(len(samples) // 5, FILLING_SAMPLES) :]
    if len(settled) < 4:
        print("too short to judge")
        return True
    half = len(settled) // 2
    good = True
    for name, column in (("memory", 0), ("disk", 1)):
        before = statistics.median(sample[column] for sample in settled[:half])
        after = statistics.median(sample[column] for sample in settled[half:])
        verdict = "flat" if after <= GROWTH_ALLOWED * before else "GROWS"
        good &= verdict == "flat"
        print(f"{name}: {before / 2**20:.1f} MiB, then {after / 2**20:.1f} MiB: {verdict}")
    return good


def main() -> int:
    """Carry out the command line."""
    parser = argparse.ArgumentParser(description="Run the broker for long, and watch memory and disk.")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument(
        "--rate", type=float, help="messages a second; half of full speed under this load when left out"
    )
    options = parser.parse_args()
    base = folders.data_folder() / "bench"
    base.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="soak-", dir=base) as folder:
        server = ServerProcess(broker_command(), Path(folder), monitoring=True)
        with server:
            return 0 if soak(server, options.rate, options.minutes) else 1


if __name__ == "__main__":
    raise SystemExit(main())
