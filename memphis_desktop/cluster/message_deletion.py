"""Deleting many messages of a stream: several requests at a time, progress, a stop, one record."""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from memphis_desktop.language import tr_count

from .actions import Action, ActionRecord
from .failures import MESSAGE_NOT_FOUND, ApiError, ClusterError

if TYPE_CHECKING:
    from .session import Session

PARALLEL = 16
COMMANDS_SHOWN = 20
RECORDED = 1_000  # sequences that the record names
HOPELESS = 20  # failures before anything was deleted after which the rest is not tried
_NO_MESSAGE = (MESSAGE_NOT_FOUND, 10057)


@dataclass(slots=True)
class DeletionProgress:
    """How far a deletion is.

    Attributes:
        total: How many there are to delete.
        removed: How many were deleted.
        gone: How many were not there any more.
        failed: How many could not be deleted, and `problem` why the last of them.
        stopped: Whether it ended before all were tried.
    """

    total: int
    removed: int = 0
    gone: int = 0
    failed: int = 0
    problem: str = ""
    stopped: bool = False

    @property
    def done(self) -> int:
        """How many were tried."""
        return self.removed + self.gone + self.failed


def delete_messages(stream: str, sequences: Collection[int], *, erase: bool = False) -> Action:
    """Return the action that deleting these is shown and recorded as; each of them is a request.

    Args:
        stream: The stream.
        sequences: Which, in their order.
        erase: Overwrite their bytes.
    """
    count = len(sequences)
    first = list(islice(sequences, RECORDED))
    lines = [
        shlex.join(["nats", "stream", "rmm", stream, str(one), "--force"]) for one in first[:COMMANDS_SHOWN]
    ]
    if count > COMMANDS_SHOWN:
        lines.append(f"# and so on for {count - COMMANDS_SHOWN:,} more")
    body = {"seq": first, **({} if erase else {"no_erase": True})}
    if erase:
        title = tr_count(
            "Erase {count:,} message of stream {stream}",
            "Erase {count:,} messages of stream {stream}",
            count,
            stream=stream,
        )
    else:
        title = tr_count(
            "Delete {count:,} message of stream {stream}",
            "Delete {count:,} messages of stream {stream}",
            count,
            stream=stream,
        )
    return Action(title, f"STREAM.MSG.DELETE.{stream}", body, "\n".join(lines), stream, destroys=True)


class MessageDeletion:
    """Deletes messages of a stream. `progress` is kept up to date; `stop` ends it after those under way."""

    def __init__(
        self, session: Session, stream: str, sequences: Collection[int], *, erase: bool = False
    ) -> None:
        self.progress = DeletionProgress(len(sequences))
        self.removed: list[int] = []
        self.action = delete_messages(stream, sequences, erase=erase)
        self._session = session
        self._stream = stream
        self._sequences = sequences
        self._erase = erase

    def stop(self) -> None:
        """Ask for no more."""
        self.progress.stopped = True

    async def run(self) -> DeletionProgress:
        """Delete; failures are counted. The activity record tells of it, also of a part.

        Raises:
            ReadOnlyConnection: Nothing may be changed on this connection.
        """
        self._session.require_writable()
        started = time.monotonic()
        waiting = iter(self._sequences)
        workers = [asyncio.ensure_future(self._work(waiting)) for _ in range(PARALLEL)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            progress = self.progress
            answer = {"removed": progress.removed, "gone": progress.gone, "failed": progress.failed}
            seconds = time.monotonic() - started
            self._session.hand_on_action(
                ActionRecord(time.time_ns(), self.action, answer, progress.problem, seconds)
            )
            self._session.refresh(self._stream)
        return self.progress

    async def _work(self, waiting: Iterator[int]) -> None:
        for sequence in waiting:  # shared: whoever is free takes the next
            if self.progress.stopped:
                return
            await self._delete(sequence)

    async def _delete(self, sequence: int) -> None:
        progress = self.progress
        body = {"seq": sequence} if self._erase else {"seq": sequence, "no_erase": True}
        try:
            await self._session.api(f"STREAM.MSG.DELETE.{self._stream}", body)
        except ApiError as error:
            # The number for a message that is not there also stands for a stream that refuses.
            if error.err_code in _NO_MESSAGE and "not permitted" not in str(error):
                progress.gone += 1
                self.removed.append(sequence)
            else:
                self._failed(str(error))
        except ClusterError as error:
            self._failed(str(error))
        else:
            progress.removed += 1
            self.removed.append(sequence)

    def _failed(self, problem: str) -> None:
        progress = self.progress
        progress.failed += 1
        progress.problem = problem
        if not progress.removed and progress.failed >= HOPELESS:
            progress.stopped = True
