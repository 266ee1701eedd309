"""The replays of one connection: started here, kept with their outcome for later times."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from memphis_desktop.inspect.replay import ReplayOptions, ReplayProgress, ReplayRun, ReplayState
from memphis_desktop.inspect.replay.records import RecordStore, RunRecord, keep
from memphis_desktop.inspect.replay.undo import Undo
from memphis_desktop.language import tr

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

    run: ReplayRun | RecordedRun
    source: str
    target: str
    started_ns: int = field(default_factory=time.time_ns)
    record: RunRecord | None = None  # what is on disk of it, as it stood when it was started or found there
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

    def as_recorded(self) -> RunRecord:
        """Return its record as it stands now; there must be one."""
        assert self.record is not None
        unwritten = self.record.state is ReplayState.READY or not self.progress.state.ended
        if isinstance(self.run, ReplayRun) and unwritten:
            return self.record.updated(self.run, time.time_ns(), self.record.elapsed)
        return self.record


class RecordedRun:
    """A run of an earlier time: it can be looked at, resumed and undone, but no longer steered."""

    def __init__(self, record: RunRecord) -> None:
        self.record = record
        self.run_id = record.run_id
        self.options = record.options
        self.rate = record.options.rate
        self.stored_in = dict(record.stored)

    @property
    def progress(self) -> ReplayProgress:
        """Where it ended."""
        record, checkpoint = self.record, self.record.checkpoint
        return ReplayProgress(
            state=record.state,
            total=record.source.count,
            taken=checkpoint.taken,
            stored=checkpoint.stored,
            duplicates=checkpoint.duplicates,
            failed=checkpoint.failed,
            left_out=checkpoint.left_out,
            sent_bytes=checkpoint.sent_bytes,
            elapsed=record.elapsed,
            errors=record.errors,
            reason=record.reason,
        )

    def pause(self) -> None:
        """It does not run."""

    def resume(self) -> None:
        """A new run does that, see `resume.resumed_run`."""

    def cancel(self) -> None:
        """It does not run."""

    def set_rate(self, rate: float | None) -> None:
        """It does not run."""


class ReplayRuns:
    """A list of replays, newest first: those of earlier times that read from here, and new ones."""

    def __init__(self, store: RecordStore | None = None, source_id: str = "") -> None:
        self.entries: list[RunEntry] = []
        self.store = store
        for record in store.load() if store is not None else ():
            if record.source_at.id == source_id:
                entry = RunEntry(
                    RecordedRun(record), record.source.title, record.target, record.started_ns, record
                )
                self.entries.append(entry)

    def start(self, entry: RunEntry, start: Start, finish: Callable[[], Awaitable[None]]) -> RunEntry:
        """Run a replay and keep its record; `finish` is awaited after its end, whatever that was."""

        async def carry_out() -> None:
            assert isinstance(entry.run, ReplayRun)
            try:
                if self.store is not None and entry.record is not None:
                    entry.record = await keep(entry.run, entry.record, self.store, time.time_ns)
                else:
                    await entry.run.run()
            finally:
                await finish()

        former = self.find(entry.run_id)
        if former is not None:
            self.entries.remove(former)
        self.entries.insert(0, entry)
        entry.task = start(carry_out(), tr("finish the replay"))
        return entry

    async def note_undone(self, entry: RunEntry) -> None:
        """Write down that everything a run stored is gone."""
        if self.store is not None and entry.record is not None:
            entry.record = entry.record.undone(time.time_ns())
            await asyncio.to_thread(self.store.save, entry.record)
        entry.run.stored_in.clear()

    def find(self, run_id: str) -> RunEntry | None:
        """Return a replay by its id."""
        return next((entry for entry in self.entries if entry.run_id == run_id), None)

    def forget_ended(self) -> None:
        """Take replays off the list, and off the disk, that have ended."""
        for entry in self.entries:
            if entry.progress.state.ended and self.store is not None:
                self.store.forget(entry.run_id)
        self.entries = [entry for entry in self.entries if not entry.progress.state.ended]

    @property
    def active(self) -> list[RunEntry]:
        """Replays that are not over."""
        return [
            entry
            for entry in self.entries
            if entry.progress.state in (ReplayState.READY, ReplayState.RUNNING, ReplayState.PAUSED)
        ]
