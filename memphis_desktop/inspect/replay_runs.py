"""The replays of one connection: started here, kept with their outcome until the program ends."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from memphis_desktop.inspect.replay import ReplayOptions, ReplayProgress, ReplayRun, ReplayState
from memphis_desktop.inspect.replay_undo import Undo

Start = Callable[[Coroutine[Any, Any, Any], str], "asyncio.Task[Any]"]


def new_run_id() -> str:
    """Return an id that copies carry: sortable by time, unique."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"


@dataclass(eq=False)
class RunEntry:
    """One replay in the list.

    Attributes:
        run: The replay itself.
        source: What is replayed, in words.
        target: Where to, in words.
        started_ns: When it was started.
    """

    run: ReplayRun
    source: str
    target: str
    started_ns: int = field(default_factory=time.time_ns)
    task: asyncio.Task[Any] | None = None
    session: Any = None  # the connection the copies went to
    undo: Undo | None = None

    @property
    def run_id(self) -> str:
        """The id its copies carry."""
        return self.run.run_id

    @property
    def options(self) -> ReplayOptions:
        """How it sends."""
        return self.run.options

    @property
    def progress(self) -> ReplayProgress:
        """How far it is."""
        return self.run.progress


class ReplayRuns:
    """A list of replays, newest first."""

    def __init__(self) -> None:
        self.entries: list[RunEntry] = []

    def start(self, entry: RunEntry, start: Start, finish: Callable[[], Awaitable[None]]) -> RunEntry:
        """Run a replay; `finish` is awaited after its end, whatever that was."""

        async def carry_out() -> None:
            try:
                await entry.run.run()
            finally:
                await finish()

        self.entries.insert(0, entry)
        entry.task = start(carry_out(), "finish the replay")
        return entry

    def find(self, run_id: str) -> RunEntry | None:
        """Return a replay by its id."""
        return next((entry for entry in self.entries if entry.run_id == run_id), None)

    def forget_ended(self) -> None:
        """Take replays off the list that have ended."""
        self.entries = [entry for entry in self.entries if not entry.progress.state.ended]

    @property
    def active(self) -> list[RunEntry]:
        """Replays that are not over."""
        return [
            entry
            for entry in self.entries
            if entry.progress.state in (ReplayState.READY, ReplayState.RUNNING, ReplayState.PAUSED)
        ]
