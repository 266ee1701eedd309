"""A run under kill -9: a real broker process, real clients in processes of their own, and a judge.

python -m tests.reliability.crash_run --loops 200 --seed 1 [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nats
from nats.js.api import ConsumerConfig, RetentionPolicy, StreamConfig
from nats.js.errors import NotFoundError

from memphis_desktop.server_process import ServerProcess, broker_command
from tests.reliability.crash_client import ACK_WAIT, STREAMS, value_of
from tests.reliability.history import Contents, History, Rules, judge

DRAIN_SECONDS = 120.0
_START_SECONDS = 60.0  # the machine may be busy with other tests


class CrashRun:
    """One broker that is killed again and again while clients work."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.seed = seed
        self.chance = random.Random(seed)
        self.server = ServerProcess(broker_command(), folder / "server")
        self.stop_publishing = folder / "stop-publishing"
        self.stop_groups = folder / "stop-groups"
        self.clients: list[subprocess.Popen[bytes]] = []
        self.logs: list[Path] = []

    def run(self, loops: int) -> list[str]:
        """Kill and restart `loops` times; return the faults found."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.server.start(_START_SECONDS)
        try:
            asyncio.run(self._prepare())
            publisher = self._client("publisher", self.stop_publishing)
            groups = self._client("group", self.stop_groups)
            for _ in range(loops):
                time.sleep(self.chance.uniform(0.05, 0.6))
                self._crash()
            self.stop_publishing.touch()
            publisher.wait(timeout=DRAIN_SECONDS)
            self.stop_groups.touch()
            groups.wait(timeout=DRAIN_SECONDS)
            contents, counted = asyncio.run(self._read())
            self._crash()
            again, _ = asyncio.run(self._read())
        finally:
            for client in self.clients:
                client.kill()
                client.wait()
            self.server.stop()
        history = History.read(self.logs)
        print(
            f"seed {self.seed}: {len(history.publishes)} publishes, {len(history.deliveries)} deliveries, "
            f"{len(history.acks)} acks, {loops} kills",
            flush=True,
        )
        # A client may have a delivery in its buffers for a while before it logs it.
        rules = Rules(ACK_WAIT, frozenset({"QUEUE"}), tolerance=3.5)
        return judge(history, contents, again, counted, rules)

    def _client(self, role: str, stop: Path) -> subprocess.Popen[bytes]:
        log = self.folder / f"{role}.jsonl"
        self.logs.append(log)
        with (self.folder / f"{role}.err").open("ab") as errors:
            client = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "tests.reliability.crash_client",
                    role,
                    self.server.url,
                    str(log),
                    str(stop),
                    str(self.seed),
                ],
                stderr=errors,
            )
        self.clients.append(client)
        return client

    def _crash(self) -> None:
        """Kill the broker, now and then also while it recovers, and start it again."""
        os.kill(self.server.pid, signal.SIGKILL)
        self.server.kill()
        while self.chance.random() < 0.25:
            ports = Path(tempfile.mkdtemp(dir=self.folder))
            half = subprocess.Popen(
                [*self.server.command, *self.server.arguments_of_server(ports)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            time.sleep(self.chance.uniform(0.05, 0.7))
            half.kill()
            half.wait()
        self.server.start(_START_SECONDS)

    async def _prepare(self) -> None:
        client = await nats.connect(self.server.url)
        context = client.jetstream()
        await context.add_stream(StreamConfig(name="LIMITS", subjects=["LIMITS.*"], duplicate_window=3600))
        await context.add_stream(
            StreamConfig(
                name="QUEUE",
                subjects=["QUEUE.*"],
                retention=RetentionPolicy.WORK_QUEUE,
                duplicate_window=3600,
            )
        )
        for stream, group in (("LIMITS", "g1"), ("LIMITS", "g2"), ("QUEUE", "w")):
            await context.add_consumer(
                stream, ConsumerConfig(durable_name=group, ack_wait=ACK_WAIT, max_ack_pending=500)
            )
        await client.close()

    async def _read(self) -> tuple[Contents, dict[str, int]]:
        """Return what each stream holds, by sequence, and how many messages it says it has."""
        client = await nats.connect(self.server.url)
        context = client.jetstream()
        contents: Contents = {}
        counted = {}
        for stream in STREAMS:
            state = (await context.stream_info(stream)).state
            counted[stream] = state.messages
            messages = contents.setdefault(stream, {})
            for sequence in range(1, state.last_seq + 1):
                if not state.messages:
                    break
                try:
                    message = await context.get_msg(stream, sequence)
                except NotFoundError:
                    continue
                messages[sequence] = value_of(message.data or b"")
        await client.close()
        return contents, counted


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loops", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="where the data and the clients' logs stay")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        faults = CrashRun(chosen.keep or Path(temporary), chosen.seed).run(chosen.loops)
    for fault in faults[:50]:
        print(fault)
    print(f"{len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
