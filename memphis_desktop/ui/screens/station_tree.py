"""The list of stations as a tree: those whose names begin alike stand below one line that adds them up."""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from dataclasses import replace

from memphis_desktop.language import tr_count
from memphis_desktop.ui.screens.memphis.station_rows import added_up, total
from memphis_desktop.ui.screens.station_parts import StationRow

_FIRST_PART = re.compile(r"[^-_:/$]+[-_:/$]")  # a stream's name has no dots


def prefix_of(name: str) -> str:
    """The first part of a name with what ends it: ``orders-`` of ``orders-eu``; empty without such a part."""
    match = _FIRST_PART.match(name)
    return match.group() if match is not None and match.end() < len(name) else ""


def as_tree(
    rows: Mapping[str, StationRow], opened: Set[str], before: Mapping[str, StationRow]
) -> dict[str, StationRow]:
    """Return the lines as a tree of one level: a line for each prefix that several stations share.

    Args:
        rows: The lines of the list.
        opened: The keys of the lines whose stations are shown below them.
        before: What this returned last; lines that did not change are taken from there.
    """
    branches: dict[str, list[StationRow]] = {}
    for row in rows.values():
        if row.part_of is None:
            branches.setdefault(prefix_of(row.name), []).append(row)
    heads: dict[str, StationRow] = {}
    for prefix, members in branches.items():
        if prefix and len(members) > 1:
            heads[prefix] = _kept(_head(prefix, members), before)
    shown: dict[str, StationRow] = {}
    for row in rows.values():
        own = row.part_of or row
        head = heads.get(prefix_of(own.name))
        if head is None:
            shown[row.key] = row
            continue
        shown[head.key] = head
        if head.key not in opened:
            continue
        if row.part_of is not None:
            row = replace(row, part_of=replace(own, part_of=head))
        else:
            row = replace(row, part_of=head)
        shown[row.key] = _kept(row, before)
    return _in_order(shown)


def _kept(row: StationRow, before: Mapping[str, StationRow]) -> StationRow:
    known = before.get(row.key)
    return known if known is not None and known == row else row


def _in_order(shown: Mapping[str, StationRow]) -> dict[str, StationRow]:
    """Put each line's own below it, by name: sorting by a column keeps them together."""

    def place(row: StationRow) -> tuple[str, ...]:
        names: tuple[str, ...] = (row.name,)
        above = row.part_of
        while above is not None:
            names = (above.name, *names)
            above = above.part_of
        return names

    return {row.key: row for row in sorted(shown.values(), key=place)}


def _head(prefix: str, members: list[StationRow]) -> StationRow:
    worst = max(members, key=lambda row: row.severity)
    lags = [row.worst_lag for row in members if row.worst_lag is not None]
    seconds = [row.worst_lag_seconds for row in members if row.worst_lag_seconds is not None]
    streams = [row.stream for row in members]
    stream = added_up(prefix, streams)
    return StationRow(
        replace(
            stream,
            config={
                "description": tr_count(
                    "{count} station whose name begins so",
                    "{count} stations whose names begin alike",
                    len(members),
                )
            },
            consumer_count=sum(one.consumer_count for one in streams),
            in_messages_rate=total(one.in_messages_rate for one in streams),
            leader="",
            peers=(),
            mirror=None,
            sources=(),
        ),
        worst.severity,
        worst.problem,
        max(lags, default=None),
        max(seconds, default=None),
        sum(row.dead_letters for row in members),
        branch=prefix,
        members=tuple(name for row in members for name in row.streams),
    )
