"""The two tables: dead letters, and the groups they fall into."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import tzinfo
from typing import Any

from memphis_desktop.cluster.dead_letters.letters import DeadLetter, LetterGroup, LetterKind, Presence
from memphis_desktop.language import tr
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.screen import Command
from memphis_desktop.ui.screens.dead_letters.words import cause_text

KIND_TOKENS = {
    LetterKind.MAX_DELIVERIES: "bad",
    LetterKind.TERMINATED: "warning",
    LetterKind.STATION: "information",
    LetterKind.UNACKED: "bad",
    LetterKind.SCHEMA: "warning",
}
ALL = ("", "", "")  # the key of the line that stands for every group


def letters_table(
    settings_name: str, zone: tzinfo, commands: Callable[[list[Any]], list[Command]], *, with_station: bool
) -> DataTable:
    """A table of dead letters, the latest first."""
    columns = [
        Column(
            "reason",
            tr("Reason"),
            _reason,
            "badge",
            112,
            tr("Why it was given up"),
            samples=(tr("unacknowledged"),),
        ),
        Column(
            "failed", tr("Failed"), lambda r: r.failed_ns, "time", 80, tr("When it failed, the last time")
        ),
        Column(
            "station", tr("Station"), lambda r: r.station, "mono", 124, tr("Where it failed"), with_station
        ),
        Column("sequence", tr("Sequence"), lambda r: r.sequence or None, "number", 78, tr("In its stream")),
        Column("consumer", tr("Consumer"), lambda r: r.consumer or "–", "mono", 124, tr("Who gave it up")),
        Column("subject", tr("Subject"), lambda r: r.original.subject or r.home_subject or "–", "mono", 130),
        Column(
            "deliveries", tr("Deliveries"), lambda r: r.deliveries, "number", 76, tr("Times it was delivered")
        ),
        Column(
            "there",
            tr("In station"),
            _presence,
            "dot",
            84,
            tr("Whether the message is still to be had"),
            samples=(tr("kept") + "\u2003\u2003",),
            sort_value=lambda r: r.original.presence.value,
        ),
        Column(
            "resent", tr("Resent"), lambda r: len(r.resent), "number", 62, tr("How many copies were sent")
        ),
        Column(
            "tags",
            tr("Tags"),
            _tags,
            "badge",
            60,
            tr("What people tagged it with"),
            sort_value=lambda r: ", ".join(r.tags),
        ),
        Column(
            "note",
            tr("Note"),
            lambda r: figures.visible_text(r.note.text) if r.note else "",
            "text",
            160,
            tr("What was written about it"),
            False,
        ),
        Column("preview", tr("Payload"), lambda r: r.original.preview, "mono", 104, stretch=True),
        Column(
            "time", tr("Stored"), lambda r: r.original.time_ns, "time", 90, tr("When it was stored"), False
        ),
        Column(
            "first", tr("First seen"), lambda r: r.first_ns, "time", 90, tr("When it failed at first"), False
        ),
        Column("age", tr("Age"), _age, "duration", 80, tr("Since it failed at first"), False),
        Column(
            "attempts",
            tr("Attempts"),
            lambda r: r.attempts,
            "number",
            76,
            tr("How often it and what it is a copy of were sent again"),
            False,
        ),
        Column(
            "shape", tr("Shape"), lambda r: r.original.shape, "text", 150, tr("Encoding and fields"), False
        ),
        Column("size", tr("Size"), lambda r: r.original.size or None, "bytes", 76, "", False),
        Column("producer", tr("Producer"), lambda r: r.original.producer, "mono", 110, "", False),
        Column("stream", tr("Stream"), lambda r: r.stream, "mono", 120, tr("Where the message is"), False),
    ]
    table = DataTable(
        columns,
        lambda row: row.key,
        settings_name,
        context_actions=commands,
        default_sort=("failed", True),
    )
    table.set_zone(zone)
    return table


def groups_table(zone: tzinfo) -> DataTable:
    """A table of groups; its first line is all of them."""
    columns = [
        Column(
            "cause", tr("Failed alike"), _cause, "text", 132, tr("What they have in common"), stretch=True
        ),
        Column("consumer", tr("Consumer"), lambda g: g.consumer, "mono", 130),
        Column("shape", tr("Payload"), lambda g: g.shape, "text", 140, tr("What the payloads look like")),
        Column("count", tr("Letters"), lambda g: g.count, "number", 64),
        Column("last", tr("Last"), lambda g: g.last_ns or None, "time", 80, tr("When the last one failed")),
        Column(
            "gone",
            tr("Gone"),
            lambda g: g.gone,
            "number",
            56,
            tr("Messages that are not to be had any more"),
            False,
        ),
        Column("first", tr("First"), lambda g: g.first_ns or None, "time", 80, "", False),
        Column("station", tr("Station"), lambda g: g.station, "mono", 120, "", False),
    ]
    table = DataTable(columns, lambda group: group.key, "dead_letter_groups")
    table.set_zone(zone)
    return table


def every_letter(letters: list[DeadLetter]) -> LetterGroup:
    """The line that stands for all groups."""
    return LetterGroup(
        *ALL,
        station="",
        count=len(letters),
        gone=sum(letter.original.presence is Presence.GONE for letter in letters),
        first_ns=min((letter.first_ns for letter in letters), default=0),
        last_ns=max((letter.failed_ns for letter in letters), default=0),
    )


def _cause(group: LetterGroup) -> str:
    return tr("All dead letters") if group.key == ALL else cause_text(group.cause)


def _reason(letter: DeadLetter) -> tuple[str, str]:
    return cause_text(letter.cause, 60), KIND_TOKENS[letter.kind]


def _tags(letter: DeadLetter) -> list[tuple[str, str]]:
    return [(figures.visible_text(tag, 30), "accent") for tag in letter.tags]


def _presence(letter: DeadLetter) -> tuple[str, str]:
    return {
        Presence.THERE: ("good", tr("kept") if letter.external else tr("yes")),
        Presence.GONE: ("warning", tr("gone")),
        Presence.UNREAD: ("muted", "…"),
    }[letter.original.presence]


def _age(letter: DeadLetter) -> float:
    return max(0.0, (time.time_ns() - letter.first_ns) / 1e9)
