"""Undoing a replay: removing exactly the messages it stored."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nats import errors
from nats.aio.client import Client

from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.inspect.sequences import SequenceSet
from memphis_desktop.language import tr

PARALLEL = 32
SECONDS = 10.0  # for an answer
_GONE = 10057  # the server's number for a message that is not there (any more)


@dataclass
class UndoProgress:
    """How far an undo is."""

    total: int
    removed: int = 0
    gone: int = 0  # were not there any more
    failed: int = 0
    reason: str = ""

    @property
    def done(self) -> int:
        """Messages whose fate is known."""
        return self.removed + self.gone + self.failed


class Undo:
    """Deletes the stored copies of a run, stream by stream; everything else in the streams stays."""

    def __init__(
        self, client: Client, stored: Mapping[str, SequenceSet], api_prefix: str = "$JS.API"
    ) -> None:
        self._client = client
        self._stored = {stream: sequences.ranges() for stream, sequences in stored.items()}
        self._prefix = api_prefix
        self.progress = UndoProgress(sum(len(sequences) for sequences in stored.values()))

    async def run(self) -> UndoProgress:
        """Delete everything; failures are counted and the first one is told."""
        for stream, ranges in self._stored.items():
            if ranges and await self._purge(stream, *ranges[0]):
                del ranges[0]
        queue: asyncio.Queue[tuple[str, int]] = asyncio.Queue(PARALLEL * 4)

        async def feed() -> None:
            for stream, ranges in self._stored.items():
                for first, last in ranges:
                    for sequence in range(first, last + 1):
                        await queue.put((stream, sequence))

        async def work() -> None:
            while True:
                stream, sequence = await queue.get()
                try:
                    await self._delete(stream, sequence)
                finally:
                    queue.task_done()

        workers = [asyncio.ensure_future(work()) for _ in range(PARALLEL)]
        try:
            await feed()
            await queue.join()
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        return self.progress

    async def _purge(self, stream: str, first: int, last: int) -> bool:
        """Remove a range with one request where nothing else lies before it; False when that cannot be done.

        What is at the front of a stream can only become less, so nothing of others is hit.
        """
        try:
            info = await self._ask(f"STREAM.INFO.{stream}", {})
            state = info.get("state") or {}
            if not state.get("messages") or not first <= int(state.get("first_seq") or 0) <= last:
                return False
            purged = int((await self._ask(f"STREAM.PURGE.{stream}", {"seq": last + 1}))["purged"])
        except (errors.Error, ClusterError, OSError, ValueError, KeyError, AttributeError):
            return False  # one by one, then, which also tells why it does not work
        self.progress.removed += purged
        self.progress.gone += last - first + 1 - purged
        return True

    async def _ask(self, suffix: str, body: dict[str, Any]) -> dict[str, Any]:
        reply = await self._client.request(
            f"{self._prefix}.{suffix}", json.dumps(body).encode(), timeout=SECONDS
        )
        answer = json.loads(reply.data)
        if not isinstance(answer, dict):
            raise ValueError(tr("the answer is not a JSON object"))
        return answer

    async def _delete(self, stream: str, sequence: int) -> None:
        progress = self.progress
        try:
            answer = await self._ask(f"STREAM.MSG.DELETE.{stream}", {"seq": sequence, "no_erase": True})
        except (errors.Error, ClusterError, OSError, ValueError) as error:
            progress.failed += 1
            progress.reason = progress.reason or str(error).removeprefix("nats: ")
            return
        failure = answer.get("error")
        if failure is None:
            progress.removed += 1
        elif failure.get("err_code") == _GONE and "not permitted" not in str(failure.get("description")):
            progress.gone += 1
        else:
            progress.failed += 1
            progress.reason = progress.reason or str(failure.get("description"))
