"""Replays on disk: what each was, how far it came, and what it stored; to resume or undo it later.

A record is written when a run starts, each second or thousand messages while it sends, and at its end. It
is replaced as a whole, so a crash leaves the one before.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from memphis_desktop.cluster.profiles import write_private
from memphis_desktop.inspect.replay.copies import MessageIds, OnlyConsumer, ReplayOptions
from memphis_desktop.inspect.replay.edits import Edits
from memphis_desktop.inspect.replay.order import ReplayOrder
from memphis_desktop.inspect.replay.progress import ReplayState
from memphis_desktop.inspect.replay.run import Checkpoint, ReplayRun
from memphis_desktop.inspect.replay.sources import BACKUP, file_title, range_title, selected_title
from memphis_desktop.inspect.sequences import SequenceSet

log = logging.getLogger(__name__)

SAVE_SECONDS = 1.0
SAVE_MESSAGES = 1000
KEPT = 200
_LOOK_SECONDS = 0.1
_SUFFIX = ".replay.json"


@dataclass(frozen=True)
class SourceRecord:
    """Where a run reads.

    Attributes:
        kind: "range", "selected" or "file".
        description: in words, in English; `title` in the chosen language.
        stream, first, last, subject: of a range (and the stream of a selection).
        sequences: of a selection, in their order.
        path: of a file.
        count: how many messages there were, None when that was not known.
    """

    kind: str
    description: str
    stream: str = ""
    first: int = 0
    last: int = 0
    subject: str | None = None
    sequences: tuple[int, ...] = ()
    path: str = ""
    count: int | None = None

    @property
    def title(self) -> str:
        """What it is, in the chosen language."""
        if self.kind == "range":
            return range_title(self.stream, self.first, self.last, self.subject)
        if self.kind == "selected":
            return selected_title(len(self.sequences), self.stream)
        backup = self.description.removeprefix(BACKUP)
        return file_title(Path(self.path).name, backup if backup != self.description else "")


@dataclass(frozen=True)
class Place:
    """A connection as a record names it: the profile's id, its name and address, never its secrets."""

    id: str
    name: str
    address: str = ""


@dataclass(frozen=True)
class RunRecord:
    """One replay.

    Attributes:
        run_id: what its copies carry.
        source, source_at: what it reads, and where.
        target, target_at: the subject template in words, and where to.
        options: how it sends.
        state: as last known; RUNNING in a file means that the program ended meanwhile.
        checkpoint: where to go on.
        stored: what it stored, by stream.
        started_ns, updated_ns: wall time.
        elapsed: seconds it has been sending.
        reason: why it failed.
        errors: kind, how many, a sample.
        latencies, latency_total, latency_longest: of acknowledgements, as `Latencies` counts them; seconds.
        first_sequence, last_sequence: the lowest and the highest of the source that was sent.
    """

    run_id: str
    source: SourceRecord
    source_at: Place
    target: str
    target_at: Place
    options: ReplayOptions = field(default_factory=ReplayOptions)
    state: ReplayState = ReplayState.READY
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    stored: Mapping[str, SequenceSet] = field(default_factory=dict)
    started_ns: int = 0
    updated_ns: int = 0
    elapsed: float = 0.0
    reason: str = ""
    errors: tuple[tuple[str, int, str], ...] = ()
    latencies: tuple[tuple[int, int], ...] = ()
    latency_total: float = 0.0
    latency_longest: float = 0.0
    first_sequence: int | None = None
    last_sequence: int | None = None

    def updated(self, run: ReplayRun, now_ns: int, elapsed: float = 0.0) -> RunRecord:
        """Return the record as the run stands now, which was sending for `elapsed` seconds before."""
        progress = run.progress
        return replace(
            self,
            state=progress.state,
            checkpoint=run.checkpoint,
            stored={stream: SequenceSet(found.ranges()) for stream, found in run.stored_in.items()},
            updated_ns=now_ns,
            elapsed=elapsed + progress.elapsed,
            reason=progress.reason,
            errors=progress.errors,
            latencies=run.latencies.steps(),
            latency_total=run.latencies.total,
            latency_longest=run.latencies.longest,
            first_sequence=run.first_sequence,
            last_sequence=run.last_sequence,
        )

    def undone(self, now_ns: int) -> RunRecord:
        """Return the record after everything it stored was removed."""
        return replace(self, state=ReplayState.UNDONE, stored={}, updated_ns=now_ns)


# What records of the first versions do not have.
_SINCE_1 = ("latencies", "latency_total", "latency_longest", "first_sequence", "last_sequence")


def to_json(record: RunRecord) -> dict[str, Any]:
    """Return the record as JSON values."""
    values = {name: getattr(record, name) for name in ("run_id", "target", "started_ns", "updated_ns")}
    values |= {"elapsed": record.elapsed, "reason": record.reason, "state": record.state.value}
    values["source"] = asdict(record.source)
    values["source_at"], values["target_at"] = asdict(record.source_at), asdict(record.target_at)
    options = record.options
    values["options"] = asdict(options) | {"ids": options.ids.value, "order": options.order.value}
    values["checkpoint"] = asdict(record.checkpoint)
    values["stored"] = {stream: found.ranges() for stream, found in record.stored.items()}
    values["errors"] = record.errors
    values |= {name: getattr(record, name) for name in _SINCE_1}
    return values


def from_json(values: Mapping[str, Any]) -> RunRecord:
    """Read what `to_json` gave; raises ValueError, KeyError or TypeError for anything else."""
    source = dict(values["source"])
    source["sequences"] = tuple(int(sequence) for sequence in source.get("sequences", ()))
    options = dict(values["options"])
    options["ids"] = MessageIds(options["ids"])
    options["order"] = ReplayOrder(options.get("order", ReplayOrder.OLDEST.value))
    options["only"] = OnlyConsumer(**options["only"]) if options.get("only") else None
    edits = options.get("edits") or {}
    options["edits"] = Edits(str(edits.get("where", "")), tuple(map(str, edits.get("fields", ()))))
    options["set_headers"] = tuple((str(name), str(value)) for name, value in options.get("set_headers", ()))
    options["drop_headers"] = tuple(map(str, options.get("drop_headers", ())))
    state = ReplayState(values["state"])
    return RunRecord(
        run_id=str(values["run_id"]),
        source=SourceRecord(**source),
        source_at=Place(**values["source_at"]),
        target=str(values["target"]),
        target_at=Place(**values["target_at"]),
        options=ReplayOptions(**options),
        state=state if state.ended else ReplayState.INTERRUPTED,
        checkpoint=Checkpoint(**values["checkpoint"]),
        stored={
            str(stream): SequenceSet((int(first), int(last)) for first, last in ranges)
            for stream, ranges in values["stored"].items()
        },
        started_ns=int(values["started_ns"]),
        updated_ns=int(values["updated_ns"]),
        elapsed=float(values["elapsed"]),
        reason=str(values["reason"]),
        errors=tuple((str(kind), int(count), str(text)) for kind, count, text in values["errors"]),
        latencies=tuple((int(step), int(count)) for step, count in values.get("latencies", ())),
        latency_total=float(values.get("latency_total", 0.0)),
        latency_longest=float(values.get("latency_longest", 0.0)),
        first_sequence=values.get("first_sequence"),
        last_sequence=values.get("last_sequence"),
    )


class RecordStore:
    """A folder of records, a file each. Methods block for a file's write; call them in a thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, record: RunRecord) -> None:
        """Write a record; raises OSError."""
        write_private(self._path(record.run_id), orjson.dumps(to_json(record)).decode())

    def load(self) -> list[RunRecord]:
        """Return all records, newest first; what cannot be read is told in the log and left alone."""
        records = []
        for path in sorted(self.folder.glob(f"*{_SUFFIX}"), reverse=True)[:KEPT]:
            try:
                records.append(from_json(orjson.loads(path.read_bytes())))
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                log.warning("%s is no record of a replay: %s", path, error)
        return records

    def find(self, run_id: str) -> RunRecord | None:
        """Return a record by its id."""
        return next((record for record in self.load() if record.run_id == run_id), None)

    def forget(self, run_id: str) -> None:
        """Delete a record; the copies stay."""
        self._path(run_id).unlink(missing_ok=True)

    def _path(self, run_id: str) -> Path:
        name = "".join(character for character in run_id if character.isalnum() or character == "-")
        return self.folder / f"{name}{_SUFFIX}"


async def keep(run: ReplayRun, record: RunRecord, store: RecordStore, now_ns: Any) -> RunRecord:
    """Carry out a run and keep its record up to date; return the record as it ended.

    A disk that cannot be written to does not stop the run; it is told in the log, once.

    Args:
        run: not started yet.
        record: what is known of it beforehand.
        store: where the record goes.
        now_ns: gives the wall time.
    """
    keeper = _Keeper(run, record, store, now_ns)
    await keeper.save()
    run.keep_place = keeper.save
    watching = asyncio.create_task(keeper.watch())
    try:
        await run.run()
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await asyncio.shield(keeper.save())
    return keeper.record


class _Keeper:
    def __init__(self, run: ReplayRun, record: RunRecord, store: RecordStore, now_ns: Any) -> None:
        self.record = record
        self._run = run
        self._store = store
        self._now_ns = now_ns
        self._elapsed = record.elapsed  # before an interruption
        self._told = False
        self._lock = asyncio.Lock()

    async def watch(self) -> None:
        loop = asyncio.get_running_loop()
        saved_at, saved_count = loop.time(), 0
        while True:
            await asyncio.sleep(_LOOK_SECONDS)  # a look at two counters
            settled = self._run.progress.settled
            grown = settled - saved_count
            due = grown >= SAVE_MESSAGES or loop.time() - saved_at >= SAVE_SECONDS or not saved_count
            if grown and due:
                saved_at, saved_count = loop.time(), settled
                await self.save()

    async def save(self) -> None:
        async with self._lock:
            self.record = self.record.updated(self._run, self._now_ns(), self._elapsed)
            writing = asyncio.ensure_future(asyncio.to_thread(self._store.save, self.record))
            try:
                await asyncio.shield(writing)
            except asyncio.CancelledError:
                # The thread goes on: wait for it, or it would replace what is written after it.
                await asyncio.wait([writing])
                raise
            except OSError as error:
                if not self._told:
                    self._told = True
                    log.warning("the progress of replay %s is not kept: %s", self.record.run_id, error)
