"""The values of configurations: how people write and read durations, sizes and the like.

Durations and sizes are typed as people write them and kept as the broker wants them (nanoseconds, bytes).
Which fields there are is in `station_fields` and `consumers.fields`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from memphis_desktop.cluster.actions.action import SERVERS_OWN
from memphis_desktop.cluster.model import ClusterSnapshot
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
        level: API level from which servers know it; they tell theirs from 2.11 on.
        since: The server's version that brought it, before that.
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
    since: str = ""
    danger: bool = False
    choice_levels: tuple[tuple[str, int], ...] = ()
    shown_only: bool = False


_API_VERSIONS = {1: "2.11", 2: "2.12", 3: "2.12.5", 4: "2.14", 5: "2.15"}


@dataclass(frozen=True, slots=True)
class ServerAge:
    """What says which fields a server knows.

    Attributes:
        level: Its API level; 0 before 2.11.
        version: As it tells it, ``2.9.21``; empty when that is not known.
    """

    level: int = 99
    version: str = ""

    @classmethod
    def of(cls, snapshot: ClusterSnapshot) -> ServerAge:
        """Return that of the server a connection is on."""
        account, server = snapshot.account, snapshot.server
        return cls(account.api_level if account else 99, server.version if server else "")

    def knows(self, level: int, since: str = "") -> bool:
        """Whether it knows what came with an API level, or with a version."""
        if level > self.level:
            return False
        own = _numbers(self.version)
        # Brokers that are built from nats-server count their versions otherwise; nobody knows what they know.
        return not since or own[:1] < (2,) or own >= _numbers(since)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("-")[0]))


def bringing_version(level: int, since: str = "") -> str:
    """The server's version that brought what came with an API level or is known to be of a version."""
    return _API_VERSIONS.get(level, since)


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
        return figures.duration(value / 1e9) if value else tr("none")
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


def check_name(name: str, missing: str) -> None:
    """Raise `FieldError` when this cannot be a name; `missing` is what it says when there is none."""
    if not name:
        raise FieldError(missing)
    if BAD_NAME & set(name) or len(name.encode()) > 255:
        raise FieldError(tr("A name has no spaces, dots, wildcards or slashes, and at most 255 bytes."))
