"""A message being written: its parts as text, checked, and as bytes."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache
from typing import Any

from memphis_desktop.inspect.decode import DecodeError, exact_json
from memphis_desktop.inspect.decode.text import control_at
from memphis_desktop.inspect.message import Headers, InspectedMessage
from memphis_desktop.language import tr

HISTORY_LENGTH = 200
HISTORY_BODY = 64 << 10  # larger bodies are not kept in the history

# Headers that belong to one publish of the original, not to its copy.
ORIGINAL_ONLY = (
    "Nats-Msg-Id", "msg-id", "Nats-Expected-Stream", "Nats-Expected-Last-Sequence",
    "Nats-Expected-Last-Subject-Sequence", "Nats-Expected-Last-Subject-Sequence-Subject",
    "Nats-Expected-Last-Msg-Id", "Nats-Batch-Id", "Nats-Batch-Sequence", "Nats-Batch-Commit",
    "Nats-Stream-Source", "Nats-Scheduler",
)  # fmt: skip

# Name, and what it does; offered while typing a header's name.
WELL_KNOWN_HEADERS: tuple[tuple[str, str], ...] = (
    ("Nats-Msg-Id", tr("Message id: a second one within the duplicate window is not stored")),
    ("Nats-Expected-Stream", tr("Store only in this stream")),
    ("Nats-Expected-Last-Sequence", tr("Store only when the stream's last sequence is this")),
    (
        "Nats-Expected-Last-Subject-Sequence",
        tr("Store only when the subject's last sequence is this; 0 for none"),
    ),
    ("Nats-Expected-Last-Msg-Id", tr("Store only after the message with this id")),
    ("Nats-Rollup", tr("After storing, purge older messages: sub for the subject, all for the stream")),
    ("Nats-TTL", tr("Remove the message after this time, such as 60s or 1h30m")),
    ("Nats-Incr", tr("Add to a counter, such as +1")),
    ("Nats-Schedule", tr("Publish later or again and again: @at TIME, @every 5m, or six cron fields")),
    ("Nats-Schedule-Target", tr("Subject the schedule publishes to")),
    ("Nats-Schedule-TTL", tr("Life of what the schedule publishes")),
    ("Content-Type", tr("What the body is, such as application/json")),
    ("traceparent", tr("Trace context (W3C)")),
    ("Nats-Trace-Dest", tr("Subject that receives the trace of this message")),
    ("msg-id", tr("Message id for Memphis stations")),
    ("$memphis_producedBy", tr("Name of the producer, for Memphis stations")),
)


class BodyForm(Enum):
    """How the body is written."""

    JSON = "json"
    TEXT = "text"
    HEX = "hex"


_NOT_HEX = re.compile(r"[\s:,]|0[xX]")


# Line ends and marks that a text editor would silently replace.
_LOST_IN_EDITORS = re.compile("[\\r\u2028\u2029\ufdd0\ufdd1]")


def parse_hex(text: str) -> bytes:
    """Return the bytes of hex pairs; spaces, line breaks, colons, commas and 0x are left out.

    Raises:
        ValueError: something else is in it, or a pair is incomplete.
    """
    digits = _NOT_HEX.sub("", text)
    wrong = re.search(r"[^0-9a-fA-F]", digits)
    if wrong is not None:
        raise ValueError(tr("{group!r} is no hex digit", group=wrong.group()))
    if len(digits) % 2:
        raise ValueError(tr("The last byte has only one hex digit"))
    return bytes.fromhex(digits)


def format_hex(data: bytes) -> str:
    """Return hex pairs, sixteen to a line."""
    return "\n".join(data[start : start + 16].hex(" ") for start in range(0, len(data), 16))


@dataclass(frozen=True, slots=True)
class Draft:
    """What the composer holds."""

    subject: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    form: BodyForm = BodyForm.JSON
    body: str = ""

    @classmethod
    def of(cls, message: InspectedMessage) -> Draft:
        """Return a draft that publishes a copy of a message; its bytes are kept exactly."""
        form, body = write_body(message.payload)
        return replace(cls.without_body(message), form=form, body=body)

    @classmethod
    def without_body(cls, message: InspectedMessage) -> Draft:
        """Return the draft of a copy whose body is kept elsewhere."""
        headers = tuple(item for item in message.headers if item[0] not in ORIGINAL_ONLY)
        return cls(message.subject, headers)

    def payload(self) -> bytes:
        """Return the body's bytes.

        Raises:
            ValueError: the text is not what its form asks for; the error says what and where.
        """
        if self.form is BodyForm.HEX:
            return parse_hex(self.body)
        data = self.body.encode("utf-8", "surrogateescape")
        if self.form is BodyForm.JSON:
            problem = json_problem(self.body)
            if problem:
                raise ValueError(problem)
        return data

    def header_list(self) -> Headers:
        """Return the headers without empty lines."""
        return Headers((name.strip(), value.strip()) for name, value in self.headers if name.strip())

    def record(self) -> dict[str, Any]:
        """Return plain data for the history."""
        return {
            "subject": self.subject,
            "headers": [list(item) for item in self.headers],
            "form": self.form.value,
            "body": self.body if self.body.isprintable() or self.body.isascii() else None,
            "bytes": base64.b64encode(self.body.encode("utf-8", "surrogateescape")).decode(),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Draft:
        """Return the draft of a history entry; raises ValueError when it is damaged."""
        try:
            return cls(
                str(record["subject"]),
                tuple((str(name), str(value)) for name, value in record["headers"]),
                BodyForm(record["form"]),
                base64.b64decode(record["bytes"]).decode("utf-8", "surrogateescape"),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError("a damaged history entry") from error


def write_body(payload: bytes) -> tuple[BodyForm, str]:
    """Return the form and text under which a payload can be edited and comes back unchanged."""
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError:
        return BodyForm.HEX, format_hex(payload)
    if control_at(payload) is not None or _LOST_IN_EDITORS.search(text):
        return BodyForm.HEX, format_hex(payload)
    if not payload or not json_problem(text):
        return BodyForm.JSON, text
    return BodyForm.TEXT, text


@lru_cache(2)  # asked several times for one text, which may be long
def json_problem(text: str) -> str:
    """Return why a text is not JSON, with line and column, or nothing. An empty body is fine."""
    if not text.strip():
        return ""
    try:
        exact_json.parse(text.encode("utf-8", "surrogateescape"))
    except DecodeError as error:
        if error.offset is None:
            return tr("Not JSON: {reason}", reason=error.reason)
        before = text.encode("utf-8", "surrogateescape")[: error.offset].decode("utf-8", "replace")
        line = before.count("\n") + 1
        column = len(before) - (before.rfind("\n") + 1) + 1
        return tr(
            "Not JSON: {reason} in line {line}, column {column}",
            reason=error.reason,
            line=line,
            column=column,
        )
    return ""


def matches(pattern: str, subject: str) -> bool:
    """Whether a literal subject matches a pattern with wildcards."""
    wanted, given = pattern.split("."), subject.split(".")
    for index, token in enumerate(wanted):
        if token == ">" and index == len(wanted) - 1:
            return len(given) > index
        if index >= len(given) or (token != "*" and token != given[index]):
            return False
    return len(wanted) == len(given)


def storing_stream(streams: Iterable[tuple[str, Iterable[str]]], subject: str) -> str | None:
    """Return the stream among (name, subjects) that would store a subject."""
    for name, patterns in streams:
        if any(matches(pattern, subject) for pattern in patterns):
            return name
    return None
