"""Everything that a filter matches in a range of a station, as a stream of messages with bounded memory."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

from nats.aio.client import Client

from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.scan import ScanRequest
from memphis_desktop.inspect.search import SearchJob, SearchProgress, SearchState
from memphis_desktop.language import tr

UNLIMITED = 1 << 62
HELD_BYTES = 16 << 20  # while so much waits to be taken, the search rests


def without_limits(request: ScanRequest, *, payloads: bool = True) -> ScanRequest:
    """Return the same search over all of its range, oldest first."""
    return replace(
        request,
        newest_first=False,
        max_matches=UNLIMITED,
        max_scanned=None,
        max_bytes=UNLIMITED,
        payloads=payloads,
    )


class Matches:
    """All matches of a search. `progress` tells how far it is; it is read once."""

    def __init__(self, client: Client, profile: Any, request: ScanRequest) -> None:
        """Prepare; raises FilterError when the filter is not understood."""
        self._waiting: deque[InspectedMessage] = deque()
        self._held = 0
        self._news = asyncio.Event()
        self._job = SearchJob(client, profile, without_limits(request), self._changed)

    @property
    def progress(self) -> SearchProgress:
        """Of the search."""
        return self._job.progress

    def _changed(self, progress: SearchProgress, messages: list[InspectedMessage]) -> None:
        self._waiting.extend(messages)
        self._held += sum(message.size for message in messages)
        if self._held > HELD_BYTES and progress.state is SearchState.RUNNING:
            self._job.pause()
        self._news.set()

    async def read(self) -> AsyncGenerator[InspectedMessage, None]:
        """Yield the matches, oldest first; the search ends with whoever stops reading.

        Raises:
            ReadError: the station could not be read to its end.
        """
        self._job.start()
        try:
            while True:
                while self._waiting:
                    message = self._waiting.popleft()
                    self._held -= message.size
                    yield message
                state = self._job.progress.state
                if state is SearchState.PAUSED:
                    self._job.resume()
                elif state.ended:
                    break
                self._news.clear()
                await self._news.wait()
            if self._job.progress.state is not SearchState.DONE:
                raise ReadError(0, 0, self._job.progress.reason or tr("the search was stopped"))
        finally:
            self._job.close()
