"""Undoing a replay: removing exactly the messages it stored."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass

from nats.aio.client import Client

from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.inspect.message import Headers
from memphis_desktop.inspect.publishing import PublishError, request
from memphis_desktop.inspect.sequences import SequenceSet

PARALLEL = 32
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

    async def _delete(self, stream: str, sequence: int) -> None:
        progress = self.progress
        body = json.dumps({"seq": sequence, "no_erase": True}).encode()
        try:
            reply = await request(self._client, f"{self._prefix}.STREAM.MSG.DELETE.{stream}", body, Headers())
            answer = json.loads(reply.payload)
        except (PublishError, ClusterError, ValueError) as error:
            progress.failed += 1
            progress.reason = progress.reason or str(error)
            return
        failure = answer.get("error")
        if failure is None:
            progress.removed += 1
        elif failure.get("err_code") == _GONE and "not permitted" not in str(failure.get("description")):
            progress.gone += 1
        else:
            progress.failed += 1
            progress.reason = progress.reason or str(failure.get("description"))
