"""``memphis-desktop replay``: replays from the command line, for jobs that run without a window."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from nats.aio.client import Client

from memphis_desktop.cluster.connection import close_client, open_client
from memphis_desktop.cluster.failures import ClusterError, ConnectionFailure
from memphis_desktop.cluster.one_consumer import NotPossible, read_plan
from memphis_desktop.cluster.profiles import ConnectionProfile
from memphis_desktop.errors import Failure
from memphis_desktop.inspect import words
from memphis_desktop.inspect.files import FileProblem
from memphis_desktop.inspect.reader import MessageReader
from memphis_desktop.inspect.replay.copies import OnlyConsumer, Rehearsed, ReplayOptions, rehearse
from memphis_desktop.inspect.replay.progress import ReplayProgress, ReplayState
from memphis_desktop.inspect.replay.records import Place, RecordStore, RunRecord, keep
from memphis_desktop.inspect.replay.report import report, report_page, write_report
from memphis_desktop.inspect.replay.resume import (
    copies_behind,
    copy_patterns,
    reopened,
    resumed_run,
    source_record,
)
from memphis_desktop.inspect.replay.run import ReplayRun
from memphis_desktop.inspect.replay.runs import new_run_id
from memphis_desktop.inspect.replay.sources import FileMessages, MessageRange, ReplaySource
from memphis_desktop.inspect.replay.undo import Undo
from memphis_desktop.inspect.seek import parse_seek, place
from memphis_desktop.interrupts import interrupts

OK, FAILED, INTERRUPTED = 0, 1, 130
_SHOW_SECONDS = 0.5


@dataclass(frozen=True)
class Order:
    """What was asked for.

    Attributes:
        source: where to read; None for a file.
        target: where to publish; None when the copies go to a file.
        stream: the station to read.
        first, last: places in it, as typed.
        subject: the server's subject filter.
        path: a file or a backup to read instead of a station.
        options: how to send.
        dry_run: show the first messages and send nothing.
        as_json: print JSON lines.
        only: station and consumer that alone get the copies.
        report: a file for the report of the run.
    """

    source: ConnectionProfile | None
    target: ConnectionProfile | None
    stream: str = ""
    first: str = "first"
    last: str = "last"
    subject: str | None = None
    path: str = ""
    options: ReplayOptions = field(default_factory=ReplayOptions)
    dry_run: bool = False
    as_json: bool = False
    only: tuple[str, str] | None = None
    report: Path | None = None


def run(order: Order, store: RecordStore) -> int:
    """Carry out a replay, or its dry run; the exit code. Raises `Failure`."""
    return asyncio.run(_run(order, store))


def resume(
    run_id: str,
    source: ConnectionProfile,
    target: ConnectionProfile,
    store: RecordStore,
    *,
    as_json: bool,
    report: Path | None = None,
) -> int:
    """Go on with a run that was interrupted; the exit code. Raises `Failure`."""
    return asyncio.run(_resume(_known(run_id, store), source, target, store, as_json, report))


def undo(run_id: str, target: ConnectionProfile, store: RecordStore, *, as_json: bool) -> int:
    """Remove what a run stored; the exit code. Raises `Failure`."""
    return asyncio.run(_undo(_known(run_id, store), target, store, as_json))


def show_list(store: RecordStore, *, as_json: bool) -> int:
    """Print the runs that are known."""
    for record in store.load():
        started = datetime.fromtimestamp(record.started_ns / 1e9).astimezone()
        stored = sum(len(found) for found in record.stored.values())
        if as_json:
            print(json.dumps(_summary(record)))
            continue
        print(
            f"{record.run_id}  {started:%Y-%m-%d %H:%M:%S}  {record.state.value:<11}"
            f"  {words.integer(stored)} stored  {record.source.description} → {record.target}"
        )
    return OK


def show(run_id: str, store: RecordStore, *, as_json: bool, into: Path | None = None) -> int:
    """Print the report of a run, or write it to a file; the exit code. Raises `Failure`."""
    record = _known(run_id, store)
    if into is not None:
        _write_report(into, record)
    elif as_json:
        print(json.dumps(report(record)))
    else:
        print(report_page(record), end="")
    return OK


def _write_report(path: Path, record: RunRecord) -> None:
    try:
        write_report(path, record)
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error.strerror or error}") from None
    print(f"wrote the report to {path}", file=sys.stderr)


def _summary(record: RunRecord) -> dict[str, Any]:
    stored = {stream: found.ranges() for stream, found in record.stored.items()}
    return {
        "run": record.run_id,
        "state": record.state.value,
        "source": record.source.description,
        "target": record.target,
        "started": record.started_ns,
        "taken": record.checkpoint.taken,
        "stored": stored,
    }


def _known(run_id: str, store: RecordStore) -> RunRecord:
    record = store.find(run_id)
    if record is None:
        known = ", ".join(one.run_id for one in store.load()[:5]) or "none"
        raise Failure(f"there is no replay {run_id}; the last ones: {known}")
    return record


@dataclass(frozen=True)
class _Endpoint:
    """What a `MessageReader` wants of a connection."""

    nats: Client


@contextlib.asynccontextmanager
async def _connected(profile: ConnectionProfile) -> AsyncIterator[Client]:
    async def quiet(*_: Any) -> None:
        """Reconnecting is the client's; publishes that got no answer are counted as failed."""

    try:
        client = await open_client(
            profile,
            profile.credentials,
            on_error=quiet,
            on_disconnected=quiet,
            on_reconnected=quiet,
            on_closed=quiet,
        )
    except ConnectionFailure as failure:
        raise Failure(str(failure)) from failure
    try:
        yield client
    finally:
        await close_client(client)


@contextlib.asynccontextmanager
async def _opened(order: Order) -> AsyncIterator[ReplaySource]:
    if order.path:
        try:
            yield await FileMessages.counted(Path(order.path))
        except FileProblem as problem:
            raise Failure(str(problem)) from None
        return
    assert order.source is not None
    async with _connected(order.source) as client:
        reader = await MessageReader.open(_Endpoint(client), order.stream, api_prefix=order.source.api_prefix)
        try:
            yield await _range(order, reader)
        finally:
            await reader.close()


async def _range(order: Order, reader: MessageReader) -> MessageRange:
    zone = datetime.now().astimezone().tzinfo
    assert zone is not None
    try:
        first = parse_seek(order.first, zone, time.time_ns())
        last = parse_seek(order.last, zone, time.time_ns())
    except ValueError as error:
        raise Failure(str(error)) from None
    start, end = await place(reader, first, end=False), await place(reader, last, end=True)
    return await MessageRange.counted(reader, start, end, order.subject, order.options.order)


async def _run(order: Order, store: RecordStore) -> int:
    async with _opened(order) as source, _target(order) as client:
        run_id = new_run_id()
        if order.only is not None:
            order = await _to_one_consumer(order, source)
        if order.dry_run:
            return _show_rehearsed(await rehearse(source, order.options, run_id), order.as_json)
        replay = ReplayRun(source, client, order.options, run_id=run_id)
        record = RunRecord(
            run_id,
            source_record(source),
            _place(order.source),
            f"file {order.options.file}" if order.options.file else order.options.subject,
            _place(order.target),
            order.options,
            started_ns=time.time_ns(),
        )
        return await _carry_out(replay, record, store, order.as_json, order.report)


async def _to_one_consumer(order: Order, source: ReplaySource) -> Order:
    """Find out how the consumer is reached, tell it, and change what has to be changed for it."""
    assert order.only is not None
    assert order.target is not None
    originals: Sequence[str] = [order.subject] if order.subject else [">"]
    if isinstance(source, MessageRange) and not order.subject:
        originals = source.reader.bounds.config.get("subjects") or [">"]
    from memphis_desktop.cluster.session import Session  # with numpy: only where it is needed

    session = Session(order.target)
    try:
        await session.connect()
        patterns = copy_patterns(order.options.subject, originals)
        plan = await read_plan(session, *order.only, patterns)
        print(plan.explanation, file=sys.stderr)
        if not order.dry_run:
            await plan.prepare(session)
    except (NotPossible, ClusterError) as error:
        raise Failure(str(error)) from None
    finally:
        await session.close()
    only = OnlyConsumer(plan.stream, plan.consumer, plan.subject, plan.direct)
    return replace(order, options=replace(order.options, only=only))


async def _resume(
    record: RunRecord,
    source: ConnectionProfile,
    target: ConnectionProfile,
    store: RecordStore,
    as_json: bool,
    into: Path | None,
) -> int:
    if not record.state.resumable:
        raise Failure(f"the replay {record.run_id} is {record.state.value}: there is nothing to resume")
    if record.options.file:
        raise Failure(f"the replay {record.run_id} writes a file, of which nothing is left: begin it anew")
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(_connected(target))
        reader = None
        if record.source.kind != "file":
            endpoint = _Endpoint(await stack.enter_async_context(_connected(source)))
            reader = await MessageReader.open(endpoint, record.source.stream, api_prefix=source.api_prefix)
            stack.push_async_callback(reader.close)
        rest, after = await reopened(record, reader)

        async def open_target(stream: str) -> MessageReader:
            return await MessageReader.open(_Endpoint(client), stream, api_prefix=target.api_prefix)

        found = await copies_behind(record, open_target, client, target.api_prefix)
        replay = resumed_run(record, rest, after, found, client)
        return await _carry_out(replay, record, store, as_json, into)


async def _undo(record: RunRecord, target: ConnectionProfile, store: RecordStore, as_json: bool) -> int:
    async with _connected(target) as client:
        progress = await Undo(client, record.stored, target.api_prefix).run()
    if not progress.failed:
        store.save(record.undone(time.time_ns()))
    if as_json:
        print(json.dumps(asdict(progress)))
    else:
        gone = f", {words.integer(progress.gone)} were gone already" if progress.gone else ""
        print(f"removed {words.count(progress.removed, 'message')}{gone}")
    if progress.failed:
        raise Failure(f"{words.count(progress.failed, 'message')} could not be removed: {progress.reason}")
    return OK


def _place(profile: ConnectionProfile | None) -> Place:
    return Place(profile.id, profile.name, profile.address) if profile is not None else Place("", "file")


@contextlib.asynccontextmanager
async def _target(order: Order) -> AsyncIterator[Client]:
    if order.target is None:
        yield Client()  # asked for nothing: the copies go to a file
        return
    async with _connected(order.target) as client:
        yield client


async def _carry_out(
    replay: ReplayRun, record: RunRecord, store: RecordStore, as_json: bool, into: Path | None
) -> int:
    """Run to the end, telling how far it is; Ctrl+C ends it in order, to be resumed."""
    shown = asyncio.create_task(_show(replay, _teller(replay, as_json)))
    with interrupts(replay.cancel):
        try:
            record = await keep(replay, record, store, time.time_ns)
        finally:
            shown.cancel()
            await asyncio.gather(shown, return_exceptions=True)
    progress = replay.progress
    _teller(replay, as_json)(progress, True)
    if into is not None:
        _write_report(into, record)
    if progress.state is ReplayState.DONE and not progress.failed:
        return OK
    if progress.state is ReplayState.CANCELLED:
        print(f"memphis-desktop replay --resume {record.run_id} goes on from there", file=sys.stderr)
        return INTERRUPTED
    reason = progress.reason or f"{words.count(progress.failed, 'message')} could not be stored"
    sample = f" ({progress.errors[0][2]})" if progress.errors and not progress.reason else ""
    raise Failure(f"replay {record.run_id}: {reason}{sample}")


Teller = Callable[[ReplayProgress, bool], None]


async def _show(replay: ReplayRun, tell: Teller) -> None:
    while True:
        await asyncio.sleep(_SHOW_SECONDS)
        tell(replay.progress, False)


def _teller(replay: ReplayRun, as_json: bool) -> Teller:
    def tell_json(progress: ReplayProgress, ended: bool) -> None:
        line = asdict(progress) | {"run": replay.run_id, "state": progress.state.value}
        print(json.dumps(line), flush=True)

    def tell_text(progress: ReplayProgress, ended: bool) -> None:
        if not ended and not sys.stderr.isatty():
            return
        total = f" of {words.integer(progress.total)}" if progress.total is not None else ""
        parts = [
            f"replay {replay.run_id}: {progress.state.value}",
            f"{words.integer(progress.taken)}{total}",
            f"{words.integer(progress.stored)} stored",
        ]
        parts += [f"{words.integer(progress.duplicates)} duplicates"] if progress.duplicates else []
        parts += [f"{words.integer(progress.left_out)} left out"] if progress.left_out else []
        parts += [f"{words.integer(progress.failed)} failed"] if progress.failed else []
        parts.append(f"{progress.rate:,.0f}/s")
        if ended:
            print(", ".join(parts))
        else:
            print("\r\033[K" + ", ".join(parts), end="", file=sys.stderr, flush=True)

    return tell_json if as_json else tell_text


def _show_rehearsed(rows: list[Rehearsed], as_json: bool) -> int:
    for row in rows:
        if as_json:
            headers = list(row.headers.items())
            line = {"sequence": row.original.sequence, "from": row.original.subject, "to": row.subject}
            print(json.dumps(line | {"headers": headers, "bytes": len(row.payload), "problem": row.problem}))
        elif row.problem:
            print(f"#{row.original.sequence} {row.original.subject}: would fail: {row.problem}")
        else:
            print(
                f"#{row.original.sequence} {row.original.subject} → {row.subject}, {len(row.payload)} bytes"
            )
    if not as_json:
        print(f"the first {words.count(len(rows), 'message')} as they would be sent; nothing was sent")
    return FAILED if any(row.problem for row in rows) else OK
