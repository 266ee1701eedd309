"""Figures of the store alone: appending, reading, removing, acks, memory, and starting with many messages.

python -m benchmarks.store [--messages 1000000] [--folder FOLDER] [--json]

Times are the best of several rounds, in microseconds a message unless said otherwise. The folder decides
which disk is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from memphis_desktop.broker.clock import LoopClock
from memphis_desktop.broker.store import open_file_store
from memphis_desktop.broker.store.interface import (
    ConsumerState,
    Limits,
    MessageStore,
    NewMessage,
    StorageError,
    StoreRoot,
    StreamStorage,
)

ACCOUNT = "$G"
BATCH = 500
ROUNDS = 5


def open_root(folder: Path) -> StoreRoot:
    """Open the store on the running loop."""
    loop = asyncio.get_running_loop()
    return open_file_store(folder, LoopClock(loop), loop)


async def durable(store: MessageStore) -> None:
    """Wait until all that was appended is on disk."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def told(failure: StorageError | None) -> None:
        if failure is None:
            future.set_result(None)
        else:
            future.set_exception(failure)

    store.when_durable(told)
    await future


def best(action: Callable[[], object], messages: int, rounds: int = ROUNDS) -> float:
    """Return the shortest time of several rounds, in microseconds a message."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return round(min(times) / messages * 1e6, 3)


def resident_bytes() -> int:
    """Return how much memory the process has, 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def batches() -> dict[str, list[NewMessage]]:
    """Return what is appended: of one subject, of many, with a message id."""
    body = random.Random(1).randbytes(128)
    head = b"NATS/1.0\r\nNats-Msg-Id: abcdefgh\r\n\r\n"
    return {
        "one subject": [(b"orders.new", 0, body)] * BATCH,
        "50 subjects": [(b"orders.%d" % (number % 50), 0, body) for number in range(BATCH)],
        "with an id": [(b"orders.new", len(head), head + body)] * BATCH,
    }


async def measure_messages(root: StoreRoot) -> dict[str, float]:
    """Measure appending, reading and removing."""
    figures = {}
    for name, batch in batches().items():
        store = root.create_stream(ACCOUNT, name, b"{}", memory=False, limits=Limits()).messages

        def append(store: MessageStore = store, batch: list[NewMessage] = batch) -> None:
            for _ in range(40):
                store.append(batch, time.time_ns())

        figures[f"append, {name}"] = best(append, 40 * BATCH)
        await durable(store)
        last = store.last_sequence
        recent = range(last - BATCH + 1, last + 1)
        figures[f"read what came last, {name}"] = best(lambda s=store, r=recent: s.read_many(r), BATCH)  # type: ignore[misc]
        figures[f"remove in order, {name}"] = best(
            lambda s=store: s.remove(range(s.first_sequence, s.first_sequence + BATCH), "consumed"),  # type: ignore[misc]
            BATCH,
        )
    return figures


def measure_consumer(stream: StreamStorage) -> dict[str, float]:
    """Measure noting deliveries and acks, 500 at a time."""
    stream.write_consumer("c", b"{}")
    consumer = stream.open_consumer("c", False)
    consumer.reset(ConsumerState())
    consumer.state_source = ConsumerState
    start = 1

    def round_trip() -> None:
        nonlocal start
        for _ in range(40):
            sequences = range(start, start + BATCH)
            consumer.delivered_first(sequences, start, 1)
            consumer.acked(sequences, start + BATCH - 1, start + BATCH - 1)
            consumer.flush()
            start += BATCH

    return {"deliver and ack": best(round_trip, 40 * BATCH)}


async def measure_latency(root: StoreRoot) -> dict[str, float]:
    """Measure one message at a time until it is durable, beside a bare write and sync."""
    store = root.create_stream(ACCOUNT, "lone", b"{}", memory=False, limits=Limits()).messages
    times, bare = [], []
    with tempfile.TemporaryFile(buffering=0, dir=getattr(root, "_folder", None)) as file:
        for _ in range(300):
            start = time.perf_counter()
            file.write(bytes(170))
            os.fsync(file.fileno()) if sys.platform == "win32" else os.fdatasync(file.fileno())
            bare.append(time.perf_counter() - start)
            start = time.perf_counter()
            store.append([(b"a", 0, bytes(128))], time.time_ns())
            await durable(store)
            times.append(time.perf_counter() - start)
    middle = len(times) // 2
    return {
        "durable, one at a time, median us": round(sorted(times)[middle] * 1e6, 1),
        "write and sync alone, median us": round(sorted(bare)[middle] * 1e6, 1),
    }


async def measure_start(folder: Path, messages: int) -> dict[str, float]:
    """Measure memory, and starting after an orderly end and after none."""
    root = open_root(folder)
    store = root.create_stream(ACCOUNT, "big", b"{}", memory=False, limits=Limits()).messages
    batch: list[NewMessage] = [(b"orders.new", 0, bytes(128))] * 1000
    for number in range(0, messages, 1000):
        store.append(batch, time.time_ns())
        if number % 50_000 == 0:
            await durable(store)
            await asyncio.sleep(0.01)
    await durable(store)
    for _ in range(20):
        await asyncio.sleep(0.05)  # what is written in the background
    killed = folder.with_name(folder.name + "-killed")
    shutil.copytree(folder, killed)
    root.close()
    figures = {}
    for name, place in (("in order", folder), ("after a kill", killed)):
        before = resident_bytes()
        start = time.perf_counter()
        root = open_root(place)
        streams = root.open_streams(ACCOUNT)
        figures[f"start {name}, {messages} messages, s"] = round(time.perf_counter() - start, 3)
        figures[f"memory after a start {name}, bytes a message"] = round(
            (resident_bytes() - before) / messages, 1
        )
        assert sum(stream.messages.message_count for stream in streams) == messages
        root.close()
        del streams, root
    shutil.rmtree(killed)
    return figures


async def measure(folder: Path, messages: int) -> dict[str, float]:
    """Return all figures."""
    root = open_root(folder / "small")
    figures = await measure_messages(root)
    stream = root.create_stream(ACCOUNT, "consumed", b"{}", memory=False, limits=Limits())
    figures |= measure_consumer(stream)
    figures |= await measure_latency(root)
    root.close()
    return figures | await measure_start(folder / "big", messages)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000, help="in the stream that is started with")
    parser.add_argument("--folder", type=Path, help="where; a temporary folder by default")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        figures = asyncio.run(measure(Path(folder), chosen.messages))
    if chosen.json:
        print(json.dumps(figures, indent=2))
        return
    width = max(map(len, figures))
    for name, value in figures.items():
        print(f"{name:<{width}}  {value:>10}")


if __name__ == "__main__":
    main()
