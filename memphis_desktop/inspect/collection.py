"""Messages put aside by hand, from any station and connection: kept as they were, to compare and export."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.language import tr

MAX_MESSAGES = 200
MAX_PAYLOAD = 1 << 20
MAX_BYTES = 16 << 20


class CollectionFull(Exception):
    """A message cannot be put aside; the text says why."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One message and the connection it was read from."""

    connection: str
    message: InspectedMessage
    note: str = ""

    @property
    def identity(self) -> tuple[str, str, int]:
        """What tells it from the others."""
        return (self.connection, self.message.stream, self.message.sequence)

    def record(self) -> dict[str, Any]:
        """Return plain data to keep."""
        message = self.message
        return {
            "connection": self.connection,
            "stream": message.stream,
            "sequence": message.sequence,
            "time_ns": message.time_ns,
            "subject": message.subject,
            "headers": base64.b64encode(message.header_bytes).decode(),
            "payload": base64.b64encode(message.payload).decode(),
            "note": self.note,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Kept:
        """Read what was kept; raises ValueError when it is damaged."""
        try:
            message = InspectedMessage(
                str(record["stream"]),
                int(record["sequence"]),
                int(record["time_ns"]),
                str(record["subject"]),
                base64.b64decode(record["headers"], validate=True),
                base64.b64decode(record["payload"], validate=True),
            )
            return cls(str(record["connection"]), message, str(record.get("note") or ""))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError("a damaged entry") from error


class Collection:
    """The messages put aside, the newest last; bounded."""

    def __init__(self, kept: list[Kept] | None = None) -> None:
        self.kept = kept or []

    def add(self, connection: str, messages: list[InspectedMessage]) -> int:
        """Put messages aside; those that are there already stay. Returns how many are new.

        Raises:
            CollectionFull: there is no room for them, or one is too large.
        """
        known = {entry.identity for entry in self.kept}
        new = [Kept(connection, message) for message in messages]
        new = [entry for entry in new if entry.identity not in known]
        if any(len(entry.message.payload) > MAX_PAYLOAD for entry in new):
            raise CollectionFull(tr("Payloads of more than 1 MiB are not put aside; export them instead."))
        size = sum(entry.message.size for entry in (*self.kept, *new))
        if len(self.kept) + len(new) > MAX_MESSAGES or size > MAX_BYTES:
            raise CollectionFull(
                tr(
                    "{count} messages and 16 MiB can be put aside; remove some or export these instead.",
                    count=MAX_MESSAGES,
                )
            )
        self.kept += new
        return len(new)

    def remove(self, gone: list[Kept]) -> None:
        """Put these away."""
        names = {entry.identity for entry in gone}
        self.kept = [entry for entry in self.kept if entry.identity not in names]

    def records(self) -> list[dict[str, Any]]:
        """Return plain data to keep."""
        return [entry.record() for entry in self.kept]

    @classmethod
    def from_records(cls, records: object) -> Collection:
        """Read what was kept; damaged entries are left out."""
        kept: list[Kept] = []
        for record in records if isinstance(records, list) else []:
            try:
                kept.append(Kept.from_record(record))
            except (ValueError, AttributeError):
                continue
        return cls(kept[:MAX_MESSAGES])
