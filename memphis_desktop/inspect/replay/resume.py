"""Going on with a replay that was interrupted, without a gap and without a second copy.

The record says up to where everything is settled. Behind that the run may have stored messages whose
acknowledgements it never wrote down. They are found in the target by the run's header, from a little before
the last place known, and are not sent again; message ids alone would do for the duplicate window only.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from nats import errors
from nats.aio.client import Client

from memphis_desktop.inspect.connection import ReadError
from memphis_desktop.inspect.mask import Mask
from memphis_desktop.inspect.reader import MessageReader
from memphis_desktop.inspect.replay.copies import HEADER_RUN, HEADER_SEQUENCE, HEADER_STREAM
from memphis_desktop.inspect.replay.latency import Latencies
from memphis_desktop.inspect.replay.order import ReplayOrder
from memphis_desktop.inspect.replay.records import RunRecord, SourceRecord
from memphis_desktop.inspect.replay.run import ReplayRun
from memphis_desktop.inspect.replay.sources import (
    READ_ROWS,
    FileMessages,
    MessageRange,
    ReplaySource,
    SelectedMessages,
)
from memphis_desktop.inspect.sequences import SequenceSet
from memphis_desktop.language import tr
from memphis_desktop.protocol.subjects import is_valid

log = logging.getLogger(__name__)

OpenReader = Callable[[str], Awaitable[MessageReader]]

# Copies may have been stored in another order than they were acknowledged, by so much at most.
_BACK = 20_000
# The record's times are of this machine's clock, those of copies of the server's.
_SKEW_NS = 10 * 60 * 10**9
_NAMES_SECONDS = 5.0


def source_record(source: ReplaySource) -> SourceRecord:
    """Return what has to be written down of a source."""
    if isinstance(source, MessageRange):
        return SourceRecord(
            "range",
            source.description,
            source.reader.stream,
            source.first,
            source.last,
            source.subject,
            count=source.count,
        )
    if isinstance(source, SelectedMessages):
        return SourceRecord(
            "selected",
            source.description,
            source.reader.stream,
            sequences=source.sequences,
            count=len(source.sequences),
        )
    if isinstance(source, FileMessages):
        path = str(source.path.absolute())
        return SourceRecord("file", source.description, path=path, count=source.count)
    raise TypeError(f"{type(source).__name__} cannot be read again after a restart")


async def reopened(record: RunRecord, reader: MessageReader | None) -> tuple[ReplaySource, int]:
    """Return the rest of a run's source, and how many messages to leave out of it.

    Stations are read on from a sequence, since messages before it may be gone by now; a file by count.

    Args:
        record: the run.
        reader: of the station it reads; None for a file.

    Raises:
        ReadError: the rest is gone.
    """
    source, checkpoint = record.source, record.checkpoint
    if source.kind == "file":
        return FileMessages(Path(source.path), source.count), checkpoint.taken
    if reader is None:
        raise ValueError("a station is read with a reader")
    if source.kind == "selected":
        return SelectedMessages(reader, _rest_of(record), source.count), 0
    return _range_left(record, reader), 0


def _rest_of(record: RunRecord) -> tuple[int, ...]:
    """Return what of a selection is left; its last message settled was the one before the checkpoint's."""
    sequences, at, step = record.source.sequences, record.checkpoint.sequence, record.options.order.step
    if at is None:
        return sequences
    if at in sequences:
        return sequences[sequences.index(at) :]
    before = at - step
    return sequences[sequences.index(before) + 1 :] if before in sequences else ()


def _range_left(record: RunRecord, reader: MessageReader) -> ReplaySource:
    """Return what of a range is left, in the order of the run; raises ReadError when it is gone."""
    source, at, order = record.source, record.checkpoint.sequence, record.options.order
    first, last, begin = source.first, source.last, None
    if at is not None and order is ReplayOrder.OLDEST:
        first = at
    elif at is not None and order is ReplayOrder.NEWEST:
        last = at
    elif at is not None:
        begin = record.checkpoint.subject, at
    if first > last:
        return SelectedMessages(reader, (), source.count)
    if reader.bounds.last < first or last < reader.bounds.first:
        raise ReadError(404, 0, tr("the messages that are left are not in the station any more"))
    first = max(first, reader.bounds.first)
    return MessageRange(reader, first, last, source.subject, source.count, order, begin)


async def copies_behind(
    record: RunRecord, open_reader: OpenReader, client: Client, api_prefix: str = "$JS.API"
) -> dict[tuple[str, int], tuple[str, int]]:
    """Find what the run stored after its checkpoint: origin (stream, sequence) to place.

    A template can lead to several stations. One whose first copy was not acknowledged any more is not in the
    record: the stations that take such subjects are looked through from the run's start on.

    Args:
        record: the run; without provenance headers nothing can be found, and message ids have to do.
        open_reader: opens a reader of a stream of the target.
        client: connected to the target.
        api_prefix: of JetStream there.

    Raises:
        ReadError: the target cannot be read.
    """
    found: dict[tuple[str, int], tuple[str, int]] = {}
    only = record.options.only
    if not record.options.provenance or record.options.file or (only is not None and only.direct):
        return found
    pattern = subject_pattern((only.subject if only is not None else "") or record.options.subject)
    unrecorded = [
        name for name in await _streams_of(client, api_prefix, pattern) if name not in record.stored
    ]
    for stream in [*record.stored, *unrecorded]:
        reader = await open_reader(stream)
        try:
            stored = record.stored.get(stream)
            if stored is None:
                position = await reader.sequence_at(record.started_ns - _SKEW_NS)
                await _scan(reader, record.run_id, position, found)
            elif ranges := stored.ranges():
                await _scan(reader, record.run_id, max(ranges[0][0], ranges[-1][1] - _BACK), found)
        finally:
            await reader.close()
    return found


def subject_pattern(template: str) -> str:
    """Return a subject with wildcards that covers every subject a template can lead to."""
    tokens: list[str] = []
    for token in template.strip().split("."):
        if "{subject}" in token:
            return ".".join([*tokens, ">"])
        tokens.append("*" if "{" in token else token)
    return ".".join(tokens)


def copy_patterns(template: str, originals: Sequence[str]) -> list[str]:
    """Return patterns that cover the copies of messages with such subjects, as closely as can be told."""
    text = template.strip()
    if text.count("{") == 1 and "{subject}" in text.split("."):
        patterns = [text.replace("{subject}", original) for original in originals]
        if all(is_valid(pattern.encode()) for pattern in patterns):
            return patterns
    return [subject_pattern(text)]


async def _streams_of(client: Client, api_prefix: str, pattern: str) -> list[str]:
    """Return the streams that store such subjects; none when the login may not ask."""
    names: list[str] = []
    while True:
        body = json.dumps({"subject": pattern, "offset": len(names)}).encode()
        try:
            reply = await client.request(f"{api_prefix}.STREAM.NAMES", body, timeout=_NAMES_SECONDS)
        except errors.Error as error:
            log.warning("the target's stations cannot be listed: %s", error)
            return []
        answer = json.loads(reply.data)
        page = answer.get("streams") or []
        names += page
        if not page or len(names) >= int(answer.get("total") or 0):
            return names


async def _scan(
    reader: MessageReader, run_id: str, position: int, found: dict[tuple[str, int], tuple[str, int]]
) -> None:
    last = reader.bounds.last
    while position <= last:
        page = await reader.forward(position, READ_ROWS)
        for message in page.messages:
            if message.headers.get(HEADER_RUN) != run_id:
                continue
            origin = message.headers.get(HEADER_SEQUENCE) or ""
            if origin.isdecimal():
                key = (message.headers.get(HEADER_STREAM) or "", int(origin))
                found[key] = (reader.stream, message.sequence)
        if not page.messages:
            break
        position = page.last + 1


def resumed_run(
    record: RunRecord,
    source: ReplaySource,
    after: int,
    found: dict[tuple[str, int], tuple[str, int]],
    client: Any,
    mask: Mask | None = None,
) -> ReplayRun:
    """Return the run that goes on where the record ended, under the same id."""
    run = ReplayRun(
        source,
        client,
        record.options,
        run_id=record.run_id,
        after=after,
        before=record.checkpoint,
        found=found,
        mask=mask,
    )
    run.stored_in = {stream: SequenceSet(stored.ranges()) for stream, stored in record.stored.items()}
    run.take_record(
        record.errors,
        Latencies(record.latencies, record.latency_total, record.latency_longest),
        (record.first_sequence, record.last_sequence),
    )
    return run
