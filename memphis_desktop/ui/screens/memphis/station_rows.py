"""Memphis stations in lists of stations: their partitions as one line, which may open to the partitions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace

import numpy as np

from memphis_desktop.cluster.history import FloatArray, History
from memphis_desktop.cluster.model import StreamSnapshot
from memphis_desktop.inspect.key_value.names import is_bucket
from memphis_desktop.language import tr
from memphis_desktop.stations.model import Station
from memphis_desktop.stations.names import station_of_stream
from memphis_desktop.ui.format import NO_BREAK
from memphis_desktop.ui.memphis.link import MemphisView
from memphis_desktop.ui.screens.station_parts import StationRow, stream_sparkline
from memphis_desktop.ui.theme.direction import right_to_left

_MOST_SUMMED = 32  # partitions whose small lines are added; more would cost too much for each repaint
CLOSED, CLOSED_MIRRORED, OPEN = "▸", "◂", "▾"


def with_memphis(
    rows: Mapping[str, StationRow],
    view: MemphisView,
    letters: Mapping[str, int],
    opened: Set[str],
    before: Mapping[str, StationRow],
) -> dict[str, StationRow]:
    """Return the lines to show: one for each Memphis station instead of its streams, the others as they are.

    Args:
        rows: A line for each stream.
        view: What is known of the Memphis layer.
        letters: Dead letters of each station.
        opened: Names of the stations whose partitions are shown below them.
        before: What this returned last; lines that did not change are taken from there.
    """
    shown = dict(rows)
    for station in view.all_stations():
        parts = [rows[name] for name in station.streams if name in rows]
        if not parts:
            continue
        for part in parts:
            shown.pop(part.name, None)
        row = _merged(station, parts, letters.get(station.name, 0))
        key = row.key
        old = before.get(key)
        row = old if old == row else row
        shown[key] = row
        if len(parts) > 1 and station.name in opened:
            for part in parts:
                child = replace(part, part_of=row)
                kept = before.get(child.key)
                shown[child.key] = kept if kept == child else child
    return shown


def _merged(station: Station, parts: list[StationRow], dead: int) -> StationRow:
    worst = max(parts, key=lambda part: part.severity)
    seconds = [part.worst_lag_seconds for part in parts if part.worst_lag_seconds is not None]
    lags = [part.worst_lag for part in parts if part.worst_lag is not None]
    return StationRow(
        added_up(station.name, [part.stream for part in parts]),
        worst.severity,
        worst.problem,
        sum(lags) if lags else None,  # of all partitions together
        max(seconds) if seconds else None,
        dead,
        memphis=station,
    )


def added_up(name: str, streams: Sequence[StreamSnapshot]) -> StreamSnapshot:
    """Return streams as if they were one of that name."""

    first = [stream.first_time_ns for stream in streams if stream.first_time_ns is not None]
    last = [stream.last_time_ns for stream in streams if stream.last_time_ns is not None]
    return replace(
        streams[0],
        name=name,
        messages=sum(stream.messages for stream in streams),
        bytes=sum(stream.bytes for stream in streams),
        last_sequence=sum(stream.last_sequence for stream in streams),
        first_time_ns=min(first, default=None),
        last_time_ns=max(last, default=None),
        subject_count=sum(stream.subject_count for stream in streams),
        deleted_count=sum(stream.deleted_count for stream in streams),
        consumer_count=max(stream.consumer_count for stream in streams),
        in_messages_rate=total([stream.in_messages_rate for stream in streams]),
        in_bytes_rate=total([stream.in_bytes_rate for stream in streams]),
        out_messages_rate=total([stream.out_messages_rate for stream in streams]),
        read_at_ns=min(stream.read_at_ns for stream in streams),
    )


def total(values: Iterable[float | None]) -> float | None:
    """Return the sum of what is known; None when nothing is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def name_text(row: StationRow, opened: Set[str]) -> str:
    """The name as the list shows it: a mark when it can be opened, further in when it is part of a line."""
    indent, mark = "    " * row.depth, ""
    text = f"{row.name}…  {len(row.members)}" if row.branch else row.name
    if not row.branch and is_bucket(row.name):
        text = tr("{name} (bucket)", name=row.name)
    if row.branch or (row.memphis is not None and len(row.memphis.partitions) > 1):
        opened_here = (row.key if row.branch else row.name) in opened
        mark = OPEN if opened_here else CLOSED_MIRRORED if right_to_left() else CLOSED
    if right_to_left():  # names run from left to right there too, and stand at the right
        return f"{text} {mark}{indent.replace(' ', NO_BREAK)}" if mark or indent else text
    return f"{indent}{mark} {text}" if mark else f"{indent}{text}"


def row_sparkline(history: History, row: StationRow) -> FloatArray | None:
    """The small line of a station: that of its stream, or of all its partitions together."""
    return streams_sparkline(history, row.streams)


def streams_sparkline(history: History, names: Sequence[str]) -> FloatArray | None:
    """The small lines of streams, added."""
    if len(names) == 1:
        return stream_sparkline(history, names[0])
    lines = [stream_sparkline(history, name) for name in names[:_MOST_SUMMED]]
    longest = max((len(line) for line in lines), default=0)
    same = [line for line in lines if len(line) == longest]
    if not longest:
        return None
    return np.asarray(np.sum(same, axis=0), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class BusyStation:
    """What a short list says of a station: its rates, and the streams that make it up."""

    name: str
    streams: tuple[str, ...]
    in_messages_rate: float | None
    in_bytes_rate: float | None


def busy_stations(streams: Iterable[StreamSnapshot], *, merge: bool) -> list[BusyStation]:
    """Return the stations that streams make up; with `merge`, the partitions of one of Memphis as one."""
    groups: dict[str, list[StreamSnapshot]] = {}
    for stream in streams:
        name = station_of_stream(stream.name)[0] if merge else stream.name
        groups.setdefault(name, []).append(stream)
    return [
        BusyStation(
            name,
            tuple(stream.name for stream in parts),
            total([stream.in_messages_rate for stream in parts]),
            total([stream.in_bytes_rate for stream in parts]),
        )
        for name, parts in groups.items()
    ]


def schema_text(row: StationRow, view: MemphisView) -> str:
    """The schema of a station and its version."""
    station = row.memphis
    if station is None or station.schema is None:
        return ""
    known = next((one for one in view.schemas if one.name == station.schema.name), None)
    behind = known is not None and known.active_version != station.schema.version
    return f"{station.schema.name} v{station.schema.version}" + (" ↑" if behind else "")
