"""The fields of stream and consumer configurations: what each is called, means, and may hold.

One table drives the forms, their help, and what may be changed after creation. Durations and sizes are typed
as people write them and kept as the broker wants them (nanoseconds, bytes).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from memphis_desktop.cluster.actions.action import SERVERS_OWN
from memphis_desktop.language import tr
from memphis_desktop.language.figures import typed
from memphis_desktop.ui import format as figures

FieldKind = Literal[
    "text", "subjects", "choice", "count", "size", "duration", "durations", "switch", "pairs", "json", "time"
]

NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "min": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
    "w": 7 * 86_400_000_000_000,
    "y": 365 * 86_400_000_000_000,
}
SIZES = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4, "p": 1024**5}


class FieldError(ValueError):
    """What was typed is not a value for this field; the text says what would be."""


@dataclass(frozen=True)
class Field:
    """One key of a configuration.

    Attributes:
        key: The key; a dotted one lies inside an object (``consumer_limits.max_ack_pending``).
        label: Its name in the form.
        kind: How it is entered.
        section: Where it stands.
        help: What it means, in one or two short sentences.
        choices: (value, label) of a choice.
        choice_levels: API level from which servers know a value of the choice, where that is later.
        unlimited: The value that means "no limit", for counts and sizes; shown as an empty field.
        fixed: Cannot be changed after creation.
        level: API level from which servers know it.
        danger: Changing it may remove messages.
        shown_only: No form changes it: an action of its own does.
    """

    key: str
    label: str
    kind: FieldKind
    section: str
    help: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    unlimited: int | None = None
    fixed: bool = False
    level: int = 0
    danger: bool = False
    choice_levels: tuple[tuple[str, int], ...] = ()
    shown_only: bool = False


def parse_duration(text: str) -> int:
    """Return nanoseconds for ``1d 2h``, ``1h30m``, ``250 ms``; 0 for nothing. Raises `FieldError`."""
    text = typed(text.strip().lower())
    if text in ("", "0", "none", "unlimited"):
        return 0
    total = 0
    position = 0
    for match in re.finditer(r"\s*(\d+(?:\.\d+)?)\s*([a-zµ]+)\s*,?", text):
        if match.start() != position or match[2] not in NANOSECONDS:
            break
        total += round(float(match[1]) * NANOSECONDS[match[2]])
        position = match.end()
    if position != len(text) or not position:
        raise FieldError(tr("Write a duration such as 30s, 15min, 1h 30m or 7d."))
    return total


def duration_text(nanoseconds: int) -> str:
    """Return a duration as it can be typed: ``1d 2h``, ``250ms``; empty for 0."""
    if nanoseconds <= 0:
        return ""
    parts = []
    rest = nanoseconds
    for unit in ("d", "h", "min", "s", "ms", "us", "ns"):
        count, rest = divmod(rest, NANOSECONDS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts)


def parse_size(text: str) -> int:
    """Return bytes for ``10 GiB``, ``512k``, ``1000``. Raises `FieldError`."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgtp]?)(?:i?b)?\s*", typed(text.strip().lower()))
    if match is None:
        raise FieldError(tr("Write a size such as 512 KiB, 10 MiB or 2 GiB."))
    return round(float(match[1]) * SIZES[match[2]])


def size_text(size: int) -> str:
    """Return a size as it can be typed, exactly."""
    for unit, factor in (("TiB", 1024**4), ("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
        if size and size % factor == 0:
            return f"{size // factor} {unit}"
    return str(size)


def parse_count(text: str) -> int:
    """Return a whole number; ``12k``, ``1.5M`` and spaces are fine. Raises `FieldError`."""
    cleaned = re.sub(r"[\s\u202f_,']", "", typed(text)).lower()
    match = re.fullmatch(r"(-?\d+(?:\.\d+)?)([km]?)", cleaned)
    if match is None:
        raise FieldError(tr("Write a whole number."))
    value = float(match[1]) if "." in match[1] else int(match[1])
    result = value * {"": 1, "k": 1000, "m": 1_000_000}[match[2]]
    if result != int(result):
        raise FieldError(tr("Write a whole number."))
    return int(result)


def parse_pairs(text: str) -> dict[str, str]:
    """Return a mapping from lines of ``key: value``. Raises `FieldError`."""
    pairs = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        key, separator, value = line.partition(":")
        if not separator or not key.strip():
            raise FieldError(tr("Write one “key: value” on each line."))
        pairs[key.strip()] = value.strip()
    return pairs


def parse_json(text: str) -> Any:
    """Return a JSON value, None for nothing. Raises `FieldError`."""
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        raise FieldError(tr("This is not JSON: {error}", error=error)) from error


def to_text(field: Field, value: Any) -> str:
    """Return a value as it stands in the field."""
    if value is None:
        return ""
    if field.kind in ("count", "size") and field.unlimited is not None and value == field.unlimited:
        return ""
    if field.kind == "size":
        return size_text(int(value))
    if field.kind == "duration":
        return duration_text(int(value))
    if field.kind == "durations":
        return ", ".join(duration_text(int(item)) or "0s" for item in value)
    if field.kind == "subjects":
        return "\n".join(value)
    if field.kind == "pairs":
        return "\n".join(f"{key}: {item}" for key, item in value.items() if not key.startswith(SERVERS_OWN))
    if field.kind == "json":
        return json.dumps(value, indent=2, ensure_ascii=False) if value else ""
    return str(value)


def from_text(field: Field, text: str) -> Any:
    """Return the value for what was typed. Raises `FieldError`."""
    stripped = text.strip()
    if field.kind in ("count", "size") and not stripped and field.unlimited is not None:
        return field.unlimited
    parsers: dict[str, Callable[[str], Any]] = {
        "count": lambda t: parse_count(t) if t else 0,
        "size": lambda t: parse_size(t) if t else 0,
        "duration": parse_duration,
        "durations": lambda t: [parse_duration(item) for item in t.split(",") if item.strip()],
        "subjects": lambda t: re.split(r"[\s,]+", t) if t else [],
        "pairs": parse_pairs,
        "json": parse_json,
    }
    parse = parsers.get(field.kind)
    return parse(stripped) if parse is not None else stripped


def get_value(config: Mapping[str, Any], key: str) -> Any:
    """Return the value of a key, dotted ones from inside their object."""
    value: Any = config
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def set_value(config: dict[str, Any], key: str, value: Any) -> None:
    """Set the value of a key, making the object a dotted one lies in."""
    *path, last = key.split(".")
    target = config
    for part in path:
        inner = target.get(part)
        target[part] = dict(inner) if isinstance(inner, Mapping) else {}
        target = target[part]
    target[last] = value


_RETENTIONS = (
    ("limits", tr("Limits: keep until a limit is reached")),
    ("interest", tr("Interest: keep until all groups have acknowledged")),
    ("workqueue", tr("Work queue: keep until one group has acknowledged")),
)

STREAM_FIELDS: tuple[Field, ...] = (
    Field(
        "name", tr("Name"), "text", tr("Identity"), tr("No spaces, dots, wildcards or slashes."), fixed=True
    ),
    Field("description", tr("Description"), "text", tr("Identity")),
    Field("metadata", tr("Metadata"), "pairs", tr("Identity"), tr("One “key: value” on each line.")),
    Field(
        "subjects",
        tr("Subjects"),
        "subjects",
        tr("Subjects"),
        tr("One on each line; * and > as wildcards."),
        danger=False,
    ),
    Field(
        "subject_transform",
        tr("Transform"),
        "json",
        tr("Subjects"),
        tr('Rewrites subjects before storing: {"src": "in.*", "dest": "kept.{{wildcard(1)}}"}.'),
        level=0,
    ),
    Field(
        "republish",
        tr("Republish"),
        "json",
        tr("Subjects"),
        tr('Publishes again after storing: {"src": ">", "dest": "copy.>", "headers_only": false}.'),
    ),
    Field(
        "mirror",
        tr("Mirror of"),
        "json",
        tr("Subjects"),
        tr('A copy of another stream: {"name": "ORIGIN"}, with the same keys as one of the sources.'),
        fixed=True,
    ),
    Field(
        "sources",
        tr("Sources"),
        "json",
        tr("Subjects"),
        tr(
            'Streams copied into this one: [{"name": "A"}]. Each may have "filter_subject", "opt_start_seq" '
            'or "opt_start_time", "subject_transforms": [{"src": "a.>", "dest": "b.>"}], and from another '
            'domain or account "external": {"api": "$JS.DOMAIN.API", "deliver": ""}.'
        ),
    ),
    Field("retention", tr("Retention"), "choice", tr("Retention"), choices=_RETENTIONS),
    Field(
        "max_age",
        tr("Keep for"),
        "duration",
        tr("Retention"),
        tr("7d, 12h, 30min; empty keeps for ever."),
        danger=True,
    ),
    Field(
        "max_bytes",
        tr("Size limit"),
        "size",
        tr("Retention"),
        tr("10 GiB, 512 MiB."),
        unlimited=-1,
        danger=True,
    ),
    Field("max_msgs", tr("Message limit"), "count", tr("Retention"), unlimited=-1, danger=True),
    Field(
        "max_msgs_per_subject",
        tr("Messages per subject"),
        "count",
        tr("Retention"),
        unlimited=-1,
        danger=True,
    ),
    Field("max_msg_size", tr("Largest message"), "size", tr("Retention"), unlimited=-1),
    Field("max_consumers", tr("Consumer limit"), "count", tr("Retention"), unlimited=-1, fixed=True),
    Field(
        "discard",
        tr("When full"),
        "choice",
        tr("Retention"),
        choices=(("old", tr("Remove the oldest messages")), ("new", tr("Refuse new messages"))),
    ),
    Field(
        "discard_new_per_subject",
        tr("Refuse per subject"),
        "switch",
        tr("Retention"),
        tr("With a limit per subject, refuse new messages of a full subject."),
    ),
    Field(
        "first_seq",
        tr("First sequence"),
        "count",
        tr("Retention"),
        tr("Number of the first message."),
        fixed=True,
    ),
    Field(
        "storage",
        tr("Storage"),
        "choice",
        tr("Storage"),
        choices=(("file", tr("File")), ("memory", tr("Memory: lost when the server stops"))),
        fixed=True,
    ),
    Field(
        "compression",
        tr("Compression"),
        "choice",
        tr("Storage"),
        choices=(("none", tr("None")), ("s2", "S2")),
    ),
    Field(
        "num_replicas", tr("Replicas"), "count", tr("Storage"), tr("1, 3 or 5; more than 1 needs a cluster.")
    ),
    Field("placement", tr("Placement"), "json", tr("Storage"), tr('{"cluster": "C1", "tags": ["ssd"]}.')),
    Field(
        "persist_mode",
        tr("Write mode"),
        "choice",
        tr("Storage"),
        choices=(("", tr("Default")), ("async", tr("Asynchronous: faster, may lose the last messages"))),
        fixed=True,
        level=2,
    ),
    Field(
        "duplicate_window",
        tr("Duplicate window"),
        "duration",
        tr("Writing"),
        tr("How long message ids are remembered."),
    ),
    Field("no_ack", tr("No acknowledgements"), "switch", tr("Writing"), tr("Publishers get no answer.")),
    Field(
        "allow_direct",
        tr("Direct get"),
        "switch",
        tr("Writing"),
        tr("Any replica may answer reads of single messages."),
    ),
    Field("mirror_direct", tr("Direct get from mirrors"), "switch", tr("Writing")),
    Field(
        "allow_rollup_hdrs",
        tr("Roll-ups"),
        "switch",
        tr("Writing"),
        tr("A message may replace all before it."),
    ),
    Field("deny_delete", tr("Deny deleting"), "switch", tr("Writing"), tr("Cannot be taken back.")),
    Field("deny_purge", tr("Deny purging"), "switch", tr("Writing"), tr("Cannot be taken back.")),
    Field(
        "allow_msg_ttl",
        tr("Time to live per message"),
        "switch",
        tr("Writing"),
        tr("Cannot be taken back."),
        level=1,
    ),
    Field("subject_delete_marker_ttl", tr("Delete markers live for"), "duration", tr("Writing"), level=1),
    Field("allow_msg_counter", tr("Counters"), "switch", tr("Writing"), fixed=True, level=2),
    Field("allow_atomic", tr("Atomic batches"), "switch", tr("Writing"), level=2),
    Field("allow_batched", tr("Fast batches"), "switch", tr("Writing"), level=4),
    Field(
        "allow_msg_schedules",
        tr("Scheduled messages"),
        "switch",
        tr("Writing"),
        tr("Cannot be taken back."),
        level=2,
    ),
    Field(
        "sealed",
        tr("Sealed"),
        "switch",
        tr("Writing"),
        tr("Sealing is an action of its own and cannot be taken back."),
        shown_only=True,
    ),
    Field("consumer_limits.inactive_threshold", tr("Consumers idle at most"), "duration", tr("Groups")),
    Field("consumer_limits.max_ack_pending", tr("Unacknowledged at most"), "count", tr("Groups")),
)

NEW_STREAM: dict[str, Any] = {
    "name": "",
    "subjects": [],
    "retention": "limits",
    "max_age": 0,
    "max_bytes": -1,
    "max_msgs": -1,
    "max_msgs_per_subject": -1,
    "max_msg_size": -1,
    "max_consumers": -1,
    "discard": "old",
    "storage": "file",
    "compression": "none",
    "num_replicas": 1,
    "duplicate_window": 120_000_000_000,
    "allow_direct": True,
}

CONSUMER_FIELDS: tuple[Field, ...] = (
    Field(
        "durable_name",
        tr("Name"),
        "text",
        tr("Identity"),
        tr("No spaces, dots, wildcards or slashes."),
        fixed=True,
    ),
    Field("description", tr("Description"), "text", tr("Identity")),
    Field("metadata", tr("Metadata"), "pairs", tr("Identity"), tr("One “key: value” on each line.")),
    Field(
        "deliver_policy",
        tr("Start with"),
        "choice",
        tr("Position"),
        choices=(
            ("all", tr("The first message")),
            ("new", tr("Messages from now on")),
            ("last", tr("The last message")),
            ("last_per_subject", tr("The last message of each subject")),
            ("by_start_sequence", tr("A sequence")),
            ("by_start_time", tr("A time")),
        ),
        fixed=True,
    ),
    Field("opt_start_seq", tr("Start sequence"), "count", tr("Position"), fixed=True),
    Field("opt_start_time", tr("Start time"), "text", tr("Position"), tr("2026-11-23T10:00:00Z"), fixed=True),
    Field(
        "filter_subjects",
        tr("Subjects"),
        "subjects",
        tr("Position"),
        tr("One on each line; empty takes all."),
    ),
    Field(
        "ack_policy",
        tr("Acknowledgement"),
        "choice",
        tr("Delivery"),
        choices=(
            ("explicit", tr("Each message")),
            ("all", tr("A message and all before it")),
            ("none", tr("None")),
            ("flow_control", tr("By flow control, for streams that source from this one")),
        ),
        choice_levels=(("flow_control", 4),),
        fixed=True,
    ),
    Field(
        "ack_wait", tr("Deliver again after"), "duration", tr("Delivery"), tr("Without an acknowledgement.")
    ),
    Field("max_deliver", tr("Deliveries at most"), "count", tr("Delivery"), unlimited=-1),
    Field(
        "backoff",
        tr("Back-off"),
        "durations",
        tr("Delivery"),
        tr("Delays before each redelivery: 1s, 10s, 1min."),
    ),
    Field("max_ack_pending", tr("Unacknowledged at most"), "count", tr("Delivery"), unlimited=-1),
    Field(
        "replay_policy",
        tr("Pace"),
        "choice",
        tr("Delivery"),
        choices=(("instant", tr("As fast as possible")), ("original", tr("As it was published"))),
        fixed=True,
    ),
    Field("headers_only", tr("Headers only"), "switch", tr("Delivery")),
    Field("sample_freq", tr("Sample acknowledgements"), "text", tr("Delivery"), tr("A share such as 10%.")),
    Field("max_waiting", tr("Waiting pulls at most"), "count", tr("Pulling"), fixed=True),
    Field("max_batch", tr("Batch at most"), "count", tr("Pulling")),
    Field("max_expires", tr("Pulls wait at most"), "duration", tr("Pulling")),
    Field("max_bytes", tr("Bytes a pull at most"), "size", tr("Pulling")),
    Field(
        "deliver_subject",
        tr("Deliver to"),
        "text",
        tr("Pushing"),
        tr("A subject makes it a push consumer."),
        fixed=True,
    ),
    Field("deliver_group", tr("Queue group"), "text", tr("Pushing"), fixed=True),
    Field("idle_heartbeat", tr("Heartbeat"), "duration", tr("Pushing"), fixed=True),
    Field("flow_control", tr("Flow control"), "switch", tr("Pushing"), fixed=True),
    Field("rate_limit_bps", tr("Rate limit (bits/s)"), "count", tr("Pushing")),
    Field("inactive_threshold", tr("Delete when idle for"), "duration", tr("Life")),
    Field("num_replicas", tr("Replicas"), "count", tr("Life"), tr("0 is the stream's number.")),
    Field("mem_storage", tr("Keep state in memory"), "switch", tr("Life"), fixed=True),
    Field(
        "priority_groups",
        tr("Priority groups"),
        "subjects",
        tr("Life"),
        tr("Names that pulling clients say, one on each line."),
        level=1,
    ),
    Field(
        "priority_policy",
        tr("Priority policy"),
        "choice",
        tr("Life"),
        choices=(
            ("", tr("None")),
            ("overflow", tr("Overflow")),
            ("pinned_client", tr("Pinned client")),
            ("prioritized", tr("Prioritized")),
        ),
        choice_levels=(("prioritized", 2),),
        level=1,
    ),
    Field(
        "priority_timeout",
        tr("Pin lasts"),
        "duration",
        tr("Life"),
        tr("2 minutes where nothing is said."),
        level=1,
    ),
    Field(
        "pause_until",
        tr("Paused until"),
        "text",
        tr("Life"),
        tr("2026-11-23T10:00:00Z: nothing is delivered before. Later it is paused by an action of its own."),
        fixed=True,
        level=1,
    ),
)

NEW_CONSUMER: dict[str, Any] = {
    "durable_name": "",
    "deliver_policy": "all",
    "ack_policy": "explicit",
    "ack_wait": 30_000_000_000,
    "max_deliver": -1,
    "max_ack_pending": 1000,
    "replay_policy": "instant",
    "max_waiting": 512,
}


def sections(fields: Sequence[Field]) -> list[str]:
    """Return the sections in their order."""
    return list(dict.fromkeys(field.section for field in fields))


def value_text(field: Field, value: object) -> str:
    """A configuration value as people read it."""
    if field.kind == "switch":
        return tr("yes") if value else tr("no")
    if value is None or value in ("", [], {}):
        return "–"
    if field.unlimited is not None and isinstance(value, int) and value <= 0:
        return tr("unlimited")
    if field.kind == "size" and isinstance(value, int):
        return figures.bytes_size(value)
    if field.kind == "duration" and isinstance(value, int):
        return figures.duration(value / 1e9) if value else "none"
    if field.kind == "count" and isinstance(value, int):
        return figures.integer(value)
    if field.kind == "choice":
        return next((label for choice, label in field.choices if choice == value), str(value))
    if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    if isinstance(value, dict) and field.kind == "pairs":
        shown = {k: v for k, v in value.items() if not k.startswith(SERVERS_OWN)}
        return ", ".join(f"{key}: {item}" for key, item in shown.items()) or "–"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else str(value)


BAD_NAME = set(" \t\r\n\f.*>/\\")


def check_name(name: str, what: str) -> None:
    """Raise `FieldError` when this cannot be a name."""
    if not name:
        raise FieldError(tr("Give the {what} a name.", what=what))
    if BAD_NAME & set(name) or len(name.encode()) > 255:
        raise FieldError(tr("A name has no spaces, dots, wildcards or slashes, and at most 255 bytes."))
