"""The chips above the list of stations, and which lines they let through."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set

from memphis_desktop.cluster.health import NEAR_LIMIT, Severity
from memphis_desktop.cluster.model import is_machinery
from memphis_desktop.language import tr
from memphis_desktop.ui.components.filter_bar import FilterBar
from memphis_desktop.ui.screens.station_columns import RETENTION
from memphis_desktop.ui.screens.station_parts import StationRow, limit_share

_CHIPS = (
    ("problem", tr("Needs attention"), tr("Only stations with a finding or a lag")),
    (
        "full",
        tr("Near a limit"),
        tr("Over {share} of a limit of bytes or messages is used", share=f"{NEAR_LIMIT:.0%}"),
    ),
    ("buckets", tr("With buckets"), tr("Show key-value and object buckets too")),
)
_MORE = (
    ("", tr("Retention"), ""),
    ("limits", tr("Limits"), tr("Keeps messages until a limit is reached")),
    ("interest", tr("Interest"), tr("Keeps messages until all groups acknowledged")),
    ("workqueue", tr("Work queue"), tr("Keeps messages until one group acknowledged")),
    ("", tr("Stored"), ""),
    ("file", tr("On disk"), tr("Only stations that are kept in files")),
    ("memory", tr("In memory"), tr("Only stations that are lost with their servers")),
    ("", tr("State"), ""),
    ("unread", tr("Without groups"), tr("Nobody has a consumer group on it")),
    ("idle", tr("Without messages"), tr("It holds nothing")),
    ("leaderless", tr("Without a leader"), tr("Nothing can be written to it")),
    ("dead", tr("With dead letters"), tr("Messages of it were given up")),
    ("", tr("Kind"), ""),
    ("copies", tr("Mirrors and sourced"), tr("It takes its messages from other stations")),
    ("sealed", tr("Sealed"), tr("Nothing can be changed in it any more")),
    ("replicated", tr("With replicas"), tr("More than one server holds it")),
)


def add_chips(bar: FilterBar) -> None:
    """Put the chips on a filter bar."""
    for key, title, tooltip in _CHIPS:
        bar.add_chip(key, title, tooltip)
    bar.add_menu(tr("More filters"), _MORE)


def passes(row: StationRow, chips: Set[str]) -> bool:
    """Whether the chips that are on let a line through: one of each sort has to fit."""
    if "buckets" not in chips and is_machinery(row.name):
        return False
    config = row.stream.config
    retentions, storages = chips & RETENTION.keys(), chips & {"file", "memory"}
    if retentions and config.get("retention") not in retentions:
        return False
    if storages and config.get("storage", "file") not in storages:
        return False
    if "problem" in chips and row.severity <= Severity.GOOD and not row.worst_lag:
        return False
    return all(_CHECKS[key](row) for key in chips & _CHECKS.keys())


def _near_limit(row: StationRow) -> bool:
    stream = row.stream
    shares = (
        limit_share(stream.bytes, stream.config.get("max_bytes")),
        limit_share(stream.messages, stream.config.get("max_msgs")),
    )
    return any(share is not None and share > NEAR_LIMIT for share in shares)


def _leaderless(row: StationRow) -> bool:
    return row.stream.clustered and row.stream.is_read and (not row.stream.leader or row.stream.leader_lost)


_CHECKS: Mapping[str, Callable[[StationRow], bool]] = {
    "full": _near_limit,
    "unread": lambda row: row.stream.is_read and not row.stream.consumer_count,
    "idle": lambda row: row.stream.is_read and not row.stream.messages,
    "leaderless": _leaderless,
    "dead": lambda row: bool(row.dead_letters),
    "copies": lambda row: bool(row.stream.config.get("mirror") or row.stream.config.get("sources")),
    "sealed": lambda row: bool(row.stream.config.get("sealed")),
    "replicated": lambda row: int(row.stream.config.get("num_replicas") or 1) > 1,
}
