"""Starting, rehearsing and resuming replays, once the dialog has said what is meant."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PySide6.QtWidgets import QWidget

from memphis_desktop.cluster.failures import ClusterError
from memphis_desktop.cluster.one_consumer import NotPossible, read_plan
from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.reader import MessageReader
from memphis_desktop.inspect.replay import (
    FileMessages,
    MessageRange,
    OnlyConsumer,
    Rehearsed,
    ReplayOptions,
    ReplayOrder,
    ReplayRun,
    ReplaySource,
    SelectedMessages,
    rehearse,
)
from memphis_desktop.inspect.replay.records import Place, RunRecord
from memphis_desktop.inspect.replay.resume import copies_behind, reopened, resumed_run, source_record
from memphis_desktop.inspect.replay.runs import RunEntry, new_run_id
from memphis_desktop.inspect.seek import Seek, place
from memphis_desktop.language import tr
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.decoders.store import mask
from memphis_desktop.ui.screens.replay.runs import runs_of
from memphis_desktop.ui.shell import first_steps


@dataclass(frozen=True)
class ReplayRequest:
    """A replay as described: chosen sequences, or a range with a subject filter.

    `consumer` (stream and name) alone gets the copies, whose subjects `patterns` cover.
    """

    stream: str
    options: ReplayOptions
    sequences: tuple[int, ...] = ()
    first: Seek | None = None
    last: Seek | None = None
    subject: str | None = None
    path: str = ""
    target: Any = None
    consumer: tuple[str, str] | None = None
    patterns: tuple[str, ...] = ()


async def _to_one_consumer(context: ScreenContext, request: ReplayRequest, *, prepare: bool) -> ReplayRequest:
    """Find out how the one consumer is reached now; `prepare` changes what has to be changed for it.

    Raises:
        ReadError: it cannot be reached alone, or something is refused.
    """
    if request.consumer is None:
        return request
    session = request.target or context.session
    try:
        plan = await read_plan(session, *request.consumer, request.patterns)
        if prepare:
            await plan.prepare(session)
    except (NotPossible, ClusterError) as error:
        raise ReadError(0, 0, str(error)) from None
    only = OnlyConsumer(plan.stream, plan.consumer, plan.subject, plan.direct)
    return replace(request, options=replace(request.options, only=only))


async def dry_run(context: ScreenContext, request: ReplayRequest) -> list[Rehearsed]:
    """Return the first messages as they would be sent; raises ReadError when the source cannot be read."""
    request = await _to_one_consumer(context, request, prepare=False)
    if request.path:
        file = FileMessages(Path(request.path))
        return await rehearse(file, request.options, new_run_id(), mask=mask)
    session = context.session
    reader = await MessageReader.open(session, request.stream, api_prefix=session.profile.api_prefix)
    try:
        return await rehearse(await _source(reader, request), request.options, new_run_id(), mask=mask)
    finally:
        await reader.close()


async def start_replay(context: ScreenContext, request: ReplayRequest) -> RunEntry:
    """Start a replay; returns its entry in the list of runs.

    Raises:
        ReadError: the station cannot be read, the range holds nothing, or the one consumer cannot be reached.
        FileProblem: a backup is damaged.
    """
    session = context.session
    request = await _to_one_consumer(context, request, prepare=True)
    if request.path:
        return _start(context, await FileMessages.counted(Path(request.path)), request, _nothing)
    reader = await MessageReader.open(session, request.stream, api_prefix=session.profile.api_prefix)
    try:
        source = await _source(reader, request)
    except BaseException:
        await reader.close()
        raise
    return _start(context, source, request, reader.close)


Finish = Callable[[], Awaitable[None]]


def _start(context: ScreenContext, source: ReplaySource, request: ReplayRequest, finish: Finish) -> RunEntry:
    session = context.session
    target = request.target or session
    run = ReplayRun(source, target.nats, request.options, run_id=new_run_id(), mask=mask)
    record = RunRecord(
        run.run_id,
        source_record(source),
        _place_of(session),
        f"file {request.options.file}" if request.options.file else request.options.subject,
        _place_of(target),
        request.options,
        started_ns=time.time_ns(),
    )
    if request.options.file:
        where = tr("file {name}", name=Path(request.options.file).name)
    else:
        at = "" if target is session else f"{target.profile.name}: "
        where = f"{at}{request.options.subject}"
        if request.options.only is not None:
            where = f"{at}{request.options.only.stream} › {request.options.only.consumer}"
    entry = RunEntry(run, source.title, where, record=record, session=target)

    async def ended() -> None:
        await finish()
        slow = request.options.rate is not None or request.options.original_pace is not None
        if slow and run.progress.stored >= first_steps.REPLAYED_AT_LEAST:
            first_steps.reach(first_steps.REPLAY)

    return runs_of(session).start(entry, context.run, ended)


def _place_of(session: Any) -> Place:
    return Place(session.profile.id, session.profile.name, session.profile.address)


def target_session_of(context: ScreenContext, window: QWidget | None, entry: RunEntry) -> Any:
    """Return the open connection that a run of an earlier time published to.

    Raises:
        ReadError: it is not open in any tab.
    """
    wanted = entry.record.target_at if entry.record is not None else None
    for _, session in open_sessions(context, window):
        if wanted is not None and session.profile.id == wanted.id:
            return session
    name = wanted.name if wanted is not None else tr("the target")
    text = tr("the connection {name} is not open; open it in a tab and try again", name=name)
    raise ReadError(0, 0, text)


async def resume_replay(context: ScreenContext, window: QWidget | None, entry: RunEntry) -> RunEntry:
    """Go on with a run where it ended, without a gap or a second copy; returns its new entry.

    Raises:
        ReadError: source or target cannot be read, or the target's connection is not open.
    """
    record = entry.record
    if record is None:
        raise ReadError(0, 0, tr("there is no record of this replay"))
    target = target_session_of(context, window, entry)
    session = context.session
    reader = None
    if record.source.kind != "file":
        prefix = session.profile.api_prefix
        reader = await MessageReader.open(session, record.source.stream, api_prefix=prefix)
    finish: Finish = reader.close if reader is not None else _nothing
    try:
        source, after = await reopened(record, reader)

        async def open_target(stream: str) -> MessageReader:
            return await MessageReader.open(target, stream, api_prefix=target.profile.api_prefix)

        behind = await copies_behind(record, open_target, target.nats, target.profile.api_prefix)
        run = resumed_run(record, source, after, behind, target.nats, mask)
    except BaseException:
        await finish()
        raise
    resumed = RunEntry(run, entry.source, entry.target, entry.started_ns, record, session=target)
    return runs_of(session).start(resumed, context.run, finish)


def open_sessions(context: ScreenContext, parent: QWidget | None) -> list[tuple[str, Any]]:
    """Every connection that is open in a tab of the window, this one first."""
    sessions: list[tuple[str, Any]] = [(context.session.profile.name, context.session)]
    workspaces = getattr(parent, "workspaces", None)
    for workspace in workspaces() if workspaces is not None else ():
        other = workspace.connection.session if workspace.connection is not None else None
        if other is not None and all(other is not known for _, known in sessions) and other.connected:
            sessions.append((other.profile.name, other))
    return sessions


async def _nothing() -> None:
    """A file needs no closing."""


async def _source(reader: MessageReader, request: ReplayRequest) -> ReplaySource:
    if request.first is None or request.last is None:
        newest = request.options.order is ReplayOrder.NEWEST
        chosen = tuple(sorted(request.sequences, reverse=True)) if newest else request.sequences
        return SelectedMessages(reader, chosen)
    first = await place(reader, request.first, end=False)
    last = await place(reader, request.last, end=True)
    return await MessageRange.counted(reader, first, last, request.subject, request.options.order)
