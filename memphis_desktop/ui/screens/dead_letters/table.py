"""The two tables: dead letters, and the groups they fall into."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import tzinfo
from typing import Any

from memphis_desktop.cluster.dead_letters.letters import DeadLetter, LetterGroup, LetterKind, Presence
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.data_table import Column, DataTable
from memphis_desktop.ui.screen import Command

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
        Column("reason", "Reason", _reason, "badge", 118, "Why it was given up"),
        Column("failed", "Failed", lambda r: r.failed_ns, "time", 84, "When it failed, the last time"),
        Column("station", "Station", lambda r: r.station, "mono", 128, "Where it failed", with_station),
        Column("sequence", "Sequence", lambda r: r.sequence or None, "number", 84, "In its stream"),
        Column("consumer", "Consumer", lambda r: r.consumer or "–", "mono", 126, "Who gave it up"),
        Column("subject", "Subject", lambda r: r.original.subject or r.home_subject or "–", "mono", 150),
        Column("deliveries", "Deliveries", lambda r: r.deliveries, "number", 76, "Times it was delivered"),
        Column("there", "In station", _presence, "dot", 86, "Whether the message is still to be had",
               sort_value=lambda r: r.original.presence.value),
        Column("resent", "Resent", lambda r: len(r.resent), "number", 62, "How many copies were sent"),
        Column("tags", "Tags", _tags, "badge", 84, "What people tagged it with",
               sort_value=lambda r: ", ".join(r.tags)),
        Column("note", "Note", lambda r: figures.visible_text(r.note.text) if r.note else "", "text", 160,
               "What was written about it", False),
        Column("preview", "Payload", lambda r: r.original.preview, "mono", 150, stretch=True),
        Column("time", "Stored", lambda r: r.original.time_ns, "time", 90, "When it was stored", False),
        Column("first", "First seen", lambda r: r.first_ns, "time", 90, "When it failed at first", False),
        Column("age", "Age", _age, "duration", 80, "Since it failed at first", False),
        Column("attempts", "Attempts", lambda r: r.attempts, "number", 76,
               "How often it and what it is a copy of were sent again", False),
        Column("shape", "Shape", lambda r: r.original.shape, "text", 150, "Encoding and fields", False),
        Column("size", "Size", lambda r: r.original.size or None, "bytes", 76, "", False),
        Column("producer", "Producer", lambda r: r.original.producer, "mono", 110, "", False),
        Column("stream", "Stream", lambda r: r.stream, "mono", 120, "Where the message is", False),
    ]  # fmt: skip
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
        Column("cause", "Failed alike", _cause, "text", 132, "What they have in common", stretch=True),
        Column("consumer", "Consumer", lambda g: g.consumer, "mono", 130),
        Column("shape", "Payload", lambda g: g.shape, "text", 140, "What the payloads look like"),
        Column("count", "Letters", lambda g: g.count, "number", 64),
        Column("last", "Last", lambda g: g.last_ns or None, "time", 80, "When the last one failed"),
        Column("gone", "Gone", lambda g: g.gone, "number", 56, "Messages that are not to be had any more",
               False),
        Column("first", "First", lambda g: g.first_ns or None, "time", 80, "", False),
        Column("station", "Station", lambda g: g.station, "mono", 120, "", False),
    ]  # fmt: skip
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
    return "All dead letters" if group.key == ALL else figures.visible_text(group.cause)


def _reason(letter: DeadLetter) -> tuple[str, str]:
    return figures.visible_text(letter.cause, 60), KIND_TOKENS[letter.kind]


def _tags(letter: DeadLetter) -> list[tuple[str, str]]:
    return [(figures.visible_text(tag, 30), "accent") for tag in letter.tags]


def _presence(letter: DeadLetter) -> tuple[str, str]:
    return {
        Presence.THERE: ("good", "kept" if letter.external else "yes"),
        Presence.GONE: ("warning", "gone"),
        Presence.UNREAD: ("muted", "…"),
    }[letter.original.presence]


def _age(letter: DeadLetter) -> float:
    return max(0.0, (time.time_ns() - letter.first_ns) / 1e9)
