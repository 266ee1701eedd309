"""The table of keys: what a row holds, and its columns."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from memphis_desktop.inspect.key_value.entry import Entry, Operation
from memphis_desktop.language import tr
from memphis_desktop.ui.components.data_table import Column
from memphis_desktop.ui.screens.decoders.store import mask
from memphis_desktop.ui.screens.station_detail.last_values import value_text

TOKENS = {
    Operation.PUT: "muted",
    Operation.DELETE: "bad",
    Operation.PURGE: "bad",
    Operation.EXPIRED: "warning",
}
MARK_SECONDS = 20.0  # so long a change that was watched is marked


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key as the table shows it; the value itself is not kept.

    Attributes:
        key: Which.
        revision: Its newest one.
        time_ns: When that was stored.
        operation: What it did.
        size: Bytes of the value.
        ttl: Seconds it was given to live, None without.
        expires_ns: When that ends.
        text: The value in one line, decoded and masked.
        change: What happened while watching: ``new``, ``changed``, ``deleted`` or nothing.
        marked_until: Until when that is marked, monotonic.
    """

    key: str
    revision: int
    time_ns: int
    operation: Operation
    size: int
    ttl: float | None
    expires_ns: int | None
    text: str
    change: str = ""
    marked_until: float = 0.0

    @classmethod
    def of(cls, entry: Entry, change: str = "") -> KeyRow:
        """Return the row of a revision."""
        text = value_text(mask(entry.message)) if entry.is_value else ""
        return cls(
            entry.key,
            entry.revision,
            entry.time_ns,
            entry.operation,
            entry.size,
            entry.ttl,
            entry.expires_ns,
            text,
            change,
            time.monotonic() + MARK_SECONDS if change else 0.0,
        )

    @property
    def is_value(self) -> bool:
        """Whether the key has a value."""
        return self.operation is Operation.PUT

    def unmarked(self) -> KeyRow:
        """The same without a mark."""
        return replace(self, change="", marked_until=0.0)


def operation_column(of: Callable[[Any], Operation] = lambda row: row.operation) -> Column:
    """What a revision did, as a word in its colour."""
    return Column("operation", tr("Operation"), lambda row: (of(row).text, TOKENS[of(row)]), "badge", 84)


def _operation(row: KeyRow) -> Any:
    """What the newest revision did, and beside it what happened while watching."""
    marks = {
        "new": (tr("new"), "good"),
        "changed": (tr("changed"), "warning"),
        "deleted": (tr("gone"), "bad"),
    }
    shown = (row.operation.text, TOKENS[row.operation])
    return [marks[row.change], shown] if row.change else shown


def key_columns() -> list[Column]:
    """The columns of the list of keys."""
    return [
        Column("key", tr("Key"), lambda r: r.key, "mono", 150, stretch=True),
        Column(
            "value",
            tr("Value"),
            lambda r: r.text,
            "mono",
            120,
            tr("Decoded where the decoders' rules say how"),
            stretch=True,
        ),
        Column("revision", tr("Revision"), lambda r: r.revision, "number", 72),
        Column("time", tr("Written"), lambda r: r.time_ns, "time", 84),
        Column(
            "operation",
            tr("Operation"),
            _operation,
            "badge",
            116,
            tr("What the newest revision did; while watching, also what is new and changed"),
            sort_value=lambda r: r.operation.value,
        ),
        Column("size", tr("Size"), lambda r: r.size if r.is_value else None, "bytes", 66),
        Column(
            "ttl",
            tr("TTL"),
            lambda r: r.ttl,
            "duration",
            56,
            tr("How long the key was given to live; – has none of its own"),
        ),
        Column("expires", tr("Runs out"), lambda r: r.expires_ns, "time", 96, visible=False),
    ]
