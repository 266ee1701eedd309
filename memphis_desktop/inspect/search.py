"""A search over a station as a job: progress, rate, pause, stop, and the matches so far."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from nats.aio.client import Client

from memphis_desktop.inspect import words
from memphis_desktop.inspect.filter import parse_filter
from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.scan import Matched, ScanRequest, ScanState
from memphis_desktop.inspect.scan_process import ScanProcess, give_back, take_process
from memphis_desktop.language import tr, tr_count

SILENCE_SECONDS = 15.0  # without any sign of life the scan is given up
START_SECONDS = 60.0  # the first sign may take longer: a process starts slowly where much else runs


class SearchState(Enum):
    """Where a search stands."""

    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"  # the whole range was read
    STOPPED = "stopped"  # by the user, or by a limit: a part was read
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self in (SearchState.DONE, SearchState.STOPPED, SearchState.FAILED)


@dataclass(frozen=True, slots=True)
class SearchProgress:
    """How far a search is."""

    state: SearchState
    request: ScanRequest
    scanned: int = 0
    scanned_bytes: int = 0
    matched: int = 0
    matched_bytes: int = 0
    share: float = 0.0  # of the range's sequences, 0 to 1
    rate: float = 0.0  # messages a second
    seconds: float = 0.0
    errors: int = 0
    error_samples: tuple[tuple[int, str], ...] = ()
    reason: str = ""

    @property
    def remaining_seconds(self) -> float | None:
        """Time left at the pace so far; None when it cannot be told."""
        if self.state.ended or self.share < 0.001 or self.seconds < 0.3:
            return None
        return self.seconds * (1 - self.share) / self.share

    def sentence(self) -> str:
        """What a search that ended has to say of itself."""
        read = tr_count(
            "{count} message read", "{count} messages read", self.scanned, count=words.integer(self.scanned)
        )
        found = tr("nothing matched")
        if self.matched:
            count = words.integer(self.matched)
            found = tr_count("{count} match", "{count} matches", self.matched, count=count)
        if self.state is SearchState.DONE:
            return tr("{read}, {found}", read=read, found=found)
        why = self.reason or tr("stopped")
        return tr("{read}, {found} in the part that was read; {why}", read=read, found=found, why=why)


class SearchJob:
    """One search. `changed` is called in the event loop, a few times a second, with the new matches."""

    def __init__(
        self,
        client: Client,
        profile: Any,
        request: ScanRequest,
        changed: Callable[[SearchProgress, list[InspectedMessage]], None],
    ) -> None:
        """Prepare a search.

        Raises:
            FilterError: the filter is not understood.
        """
        parse_filter(request.filter)
        self.request = request
        self._changed = changed
        self._client = client
        self._profile = profile
        self._process: ScanProcess | None = None
        self.progress = SearchProgress(SearchState.STARTING, request)
        self._heard = 0.0
        self._watchdog: asyncio.Task[None] | None = None
        self._ended = asyncio.Event()

    def start(self) -> None:
        """Begin."""
        self._process = take_process(self._client, self._profile, self._receive)
        self._process.send("run", self.request)
        self._heard = time.monotonic()
        self._watchdog = asyncio.get_running_loop().create_task(self._watch())

    def pause(self) -> None:
        """Read nothing more until `resume`."""
        if self.progress.state is SearchState.RUNNING:
            self._send("pause")
            self._update(state=SearchState.PAUSED)

    def resume(self) -> None:
        """Go on."""
        if self.progress.state is SearchState.PAUSED:
            self._send("resume")
            self._heard = time.monotonic()
            self._update(state=SearchState.RUNNING)

    def stop(self) -> None:
        """End; the matches so far stay."""
        if not self.progress.state.ended:
            self._end(SearchState.STOPPED, tr("stopped by you"), working=True)

    def close(self) -> None:
        """End without a word."""
        self._changed = lambda progress, messages: None
        if not self.progress.state.ended:
            self._end(SearchState.STOPPED, "", working=True)

    async def wait(self) -> SearchProgress:
        """Wait for the end."""
        await self._ended.wait()
        return self.progress

    # Inside -------------------------------------------------------------------------------------

    def _receive(self, message: tuple[Any, ...]) -> None:
        if self.progress.state.ended:
            return
        self._heard = time.monotonic()
        kind = message[0]
        if kind == "report":
            self._report(message[1], message[2])
        elif kind == "end":
            reason = str(message[1])
            self._end(SearchState.STOPPED if reason else SearchState.DONE, reason)
        elif kind == "failed":
            self._end(SearchState.FAILED, str(message[1]))
        elif kind == "gone":
            self._end(SearchState.FAILED, tr("the search process ended unexpectedly"))

    def _report(self, state: ScanState, matches: list[Matched]) -> None:
        request = self.request
        span = max(1, request.last - request.first + 1)
        done = (
            request.last - state.position + 1 if request.newest_first else state.position - request.first + 1
        )
        present = self.progress.state
        self._update(
            [InspectedMessage(request.stream, *match) for match in matches],
            state=SearchState.RUNNING if present is SearchState.STARTING else present,
            scanned=state.scanned,
            scanned_bytes=state.scanned_bytes,
            matched=state.matched,
            matched_bytes=state.matched_bytes,
            share=min(1.0, max(0.0, done / span)) if state.scanned else 0.0,
            rate=state.scanned / state.seconds if state.seconds > 0 else 0.0,
            seconds=state.seconds,
            errors=sum(state.errors.values()),
            error_samples=tuple(state.samples),
        )

    def _update(self, matches: list[InspectedMessage] | None = None, **changes: Any) -> None:
        self.progress = replace(self.progress, **changes)
        self._changed(self.progress, matches or [])

    def _send(self, command: str) -> None:
        if self._process is not None:
            self._process.send(command)

    def _end(self, state: SearchState, reason: str, *, working: bool = False) -> None:
        if self._watchdog is not None:
            self._watchdog.cancel()
        share = 1.0 if state is SearchState.DONE else self.progress.share
        self._update(state=state, reason=reason, share=share)
        self._ended.set()
        if self._process is not None:
            give_back(self._client, self._process, working=working)
            self._process = None

    async def _watch(self) -> None:
        """Give up on a process that says nothing: a filter can get stuck where signals do not reach."""
        while not self.progress.state.ended:
            await asyncio.sleep(1.0)
            process = self._process
            started = process.ready_at if process is not None else self._heard
            # Starting is no silence: that counts from when the process began to work.
            silent = time.monotonic() - max(self._heard, started or 0.0)
            limit = SILENCE_SECONDS if started is not None else START_SECONDS
            if self.progress.state is SearchState.PAUSED or silent < limit:
                continue
            if process is not None:
                process.kill()
            self._end(
                SearchState.FAILED,
                tr("no sign of life for {seconds:.0f} s; the filter may be too slow", seconds=silent)
                if started is not None
                else tr("no sign of life for {seconds:.0f} s; its process does not start", seconds=silent),
            )
            return
