"""The columns of the list of stations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from dataclasses import replace
from functools import partial
from typing import Any

from memphis_desktop.cluster.actions.action import SERVERS_OWN
from memphis_desktop.cluster.model import StreamSnapshot
from memphis_desktop.cluster.times import parse_time
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.data_table import Column
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.memphis.station_rows import name_text, row_sparkline, schema_text
from memphis_desktop.ui.screens.station_facts import origin_text
from memphis_desktop.ui.screens.station_parts import SEVERITY_TOKEN, StationRow, limit_share

MOST_KEYS = 200  # of metadata have a column of their own
RETENTION = {"limits": tr("limits"), "interest": tr("interest"), "workqueue": tr("work queue")}


def station_columns(context: ScreenContext, opened: Callable[[], Set[str]]) -> list[Column]:
    """Return the columns; partitions stay below their station, whatever the order.

    Args:
        context: Of the screen.
        opened: Gives the names of the Memphis stations whose partitions are shown.
    """
    return [_kept_below(column) for column in _own_columns(context, opened)]


def metadata_columns(keys: Iterable[str]) -> list[Column]:
    """Return a column for each of these keys of the streams' metadata, hidden at first.

    The filter finds their values in the column of all metadata.
    """
    return [
        _kept_below(
            Column(
                f"metadata:{key}",
                figures.visible_text(key, 40),
                partial(_metadata_of, key),
                "mono",
                120,
                tr("What the metadata have as {key}", key=key),
                False,
                chosen_in=tr("Metadata key"),
                searched=False,
            )
        )
        for key in keys
    ]


def _metadata_of(key: str, row: StationRow) -> Any:
    return (row.stream.config.get("metadata") or {}).get(key)


def _kept_below(column: Column) -> Column:
    return replace(column, sort_value=partial(_of_station, column.sort_value or column.value))


class MetadataKeys:
    """The keys that the metadata of streams have."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def take(self, streams: Iterable[StreamSnapshot]) -> list[str]:
        """Return the keys of these streams that were not known, by name; beyond `MOST_KEYS` none more."""
        new: set[str] = set()
        for stream in streams:
            metadata = stream.config.get("metadata")
            if metadata:
                new.update(key for key in metadata if key not in self._known)
        own = sorted(key for key in new if not str(key).startswith(SERVERS_OWN))
        own = own[: max(0, MOST_KEYS - len(self._known))]
        self._known.update(own)
        return own


def _own_columns(context: ScreenContext, opened: Callable[[], Set[str]]) -> list[Column]:
    history, link = context.session.history, context.memphis
    return [
        Column(
            "health",
            "",
            lambda r: SEVERITY_TOKEN[r.severity],
            "dot",
            28,
            tr("Green is well, amber wants a look, red is a problem"),
            sort_value=lambda r: int(r.severity),
        ),
        Column(
            "name",
            tr("Name"),
            lambda r: name_text(r, opened()),
            "mono",
            130,
            sort_value=lambda r: r.name,
            stretch=True,
            cut_middle=True,
        ),
        Column(
            "schema",
            tr("Schema"),
            lambda r: schema_text(r, link.view),
            "mono",
            118,
            tr("What messages have to look like; an arrow says that a newer version is active"),
            link.available,
        ),
        Column(
            "partitions",
            tr("Partitions"),
            lambda r: len(r.memphis.partitions) if r.memphis is not None else None,
            "number",
            76,
            tr("Streams that make up a Memphis station"),
            False,
        ),
        Column(
            "in", tr("In"), lambda r: r.stream.in_messages_rate, "rate", 64, tr("Messages stored each second")
        ),
        Column(
            "out",
            tr("Out"),
            lambda r: r.stream.out_messages_rate,
            "rate",
            64,
            tr("Messages delivered each second"),
        ),
        Column(
            "trend",
            tr("Last hour"),
            lambda r: row_sparkline(history, r),
            "sparkline",
            74,
            tr("Messages stored each second, over the last hour"),
            sort_value=lambda r: r.stream.in_messages_rate,
        ),
        Column(
            "messages",
            tr("Messages"),
            _figure("messages"),
            "number",
            82,
        ),
        Column("bytes", tr("Size"), _figure("bytes"), "bytes", 76),
        Column(
            "worst",
            tr("Worst lag"),
            lambda r: r.worst_lag_seconds,
            "duration",
            84,
            tr("How far the slowest group is behind"),
            text=figures.lag_seconds,
            token=_lag_token,
        ),
        Column(
            "consumers",
            tr("Groups"),
            _figure("consumer_count"),
            "number",
            62,
        ),
        Column(
            "dead",
            tr("Dead letters"),
            lambda r: r.dead_letters,
            "number",
            98,
            tr("Messages that were given up, as far as they are captured or were heard of"),
            token=lambda r: "bad" if r.dead_letters else None,
        ),
        Column("subjects", tr("Subjects"), _subjects, "mono", 110, "", not link.available),
        Column("retention", tr("Retention"), _retention, "badge", 92, samples=tuple(RETENTION.values())),
        Column(
            "lag", tr("Lag"), lambda r: r.worst_lag, "number", 80, tr("Messages of the slowest group"), False
        ),
        Column(
            "limit",
            tr("Of limit"),
            _limit,
            "bar",
            110,
            tr("How much of its size limit is used"),
            False,
            sort_value=lambda r: limit_share(r.stream.bytes, r.stream.config.get("max_bytes")),
        ),
        Column(
            "bytes_in",
            tr("Bytes in"),
            lambda r: r.stream.in_bytes_rate,
            "bytes",
            90,
            "",
            False,
            text=figures.bytes_rate,
        ),
        Column("storage", tr("Storage"), lambda r: r.stream.config.get("storage"), "text", 70, "", False),
        Column("first", tr("First"), lambda r: _time(r.stream.first_time_ns, r), "time", 90, "", False),
        Column("last", tr("Last"), lambda r: _time(r.stream.last_time_ns, r), "time", 90, "", False),
        Column(
            "sequence",
            tr("Last sequence"),
            _figure("last_sequence"),
            "number",
            110,
            "",
            False,
        ),
        Column(
            "subject_count",
            tr("Subject count"),
            _figure("subject_count"),
            "number",
            96,
            "",
            False,
        ),
        Column(
            "deleted",
            tr("Gaps"),
            _figure("deleted_count"),
            "number",
            70,
            "",
            False,
        ),
        Column(
            "replicas", tr("Replicas"), lambda r: r.stream.config.get("num_replicas"), "number", 70, "", False
        ),
        Column(
            "leader", tr("Leader"), lambda r: r.stream.leader or "–", "mono", 120, "", False, cut_middle=True
        ),
        Column(
            "created",
            tr("Created"),
            lambda r: parse_time(r.stream.created),
            "time",
            110,
            "",
            False,
        ),
        Column(
            "read",
            tr("Read"),
            lambda r: r.stream.read_at_ns or None,
            "time",
            90,
            tr("When these figures were read"),
            False,
        ),
        Column(
            "description",
            tr("Description"),
            lambda r: r.stream.config.get("description", ""),
            "text",
            160,
            "",
            False,
        ),
        Column("metadata", tr("Metadata"), _metadata, "mono", 180, tr("What clients noted with it"), False),
    ]


def _of_station(pick: Callable[[StationRow], Any], row: StationRow) -> Any:
    """What a line is ordered by: a partition by what its station is, a station of a branch by the branch."""
    return pick(row.root)


def _figure(name: str) -> Callable[[StationRow], Any]:
    """What takes a figure from a row; None while only the station's name is known."""

    def take(row: StationRow) -> Any:
        return getattr(row.stream, name) if row.stream.is_read else None

    return take


def _subjects(row: StationRow) -> str:
    if not row.stream.is_read:
        return "–"
    return ", ".join(row.stream.config.get("subjects") or ()) or origin_text(row.stream)


def _retention(row: StationRow) -> Any:
    retention = str(row.stream.config.get("retention", ""))
    if not retention:
        return None
    badges = [(RETENTION.get(retention, retention), "muted")]
    if row.stream.config.get("sealed"):
        badges.append((tr("sealed"), "information"))
    return badges


def _metadata(row: StationRow) -> str:
    found = row.stream.config.get("metadata") or {}
    own = ((key, value) for key, value in found.items() if not str(key).startswith(SERVERS_OWN))
    return ", ".join(f"{key}={value}" for key, value in sorted(own))


def _limit(row: StationRow) -> Any:
    limit = row.stream.config.get("max_bytes")
    share = limit_share(row.stream.bytes, limit)
    return (
        None
        if share is None
        else (
            share,
            tr("{part} of {whole}", part=figures.percent(share), whole=figures.bytes_size(int(limit or 0))),
        )
    )


def _lag_token(row: StationRow) -> str | None:
    return "warning" if (row.worst_lag_seconds or 0) >= 60 else None


def _time(value: int | None, row: StationRow) -> int | None:
    return value if row.stream.last_sequence else None
