"""What people type to get somewhere in a station: ``#123456``, ``10:32``, ``-15m``, ``50%``, a date."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from enum import Enum

from memphis_desktop.inspect.message import parse_time
from memphis_desktop.inspect.reader import MessageReader
from memphis_desktop.language import tr

SECOND = 1_000_000_000
_UNITS = {
    "ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": SECOND, "m": 60 * SECOND, "min": 60 * SECOND,
    "h": 3_600 * SECOND, "d": 86_400 * SECOND, "w": 604_800 * SECOND,
}  # fmt: skip
_SPAN_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ns|us|µs|ms|min|s|m|h|d|w)")
_SPAN = re.compile(r"(?:\d+(?:\.\d+)?\s*(?:ns|us|µs|ms|min|s|m|h|d|w)\s*)+")
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?")
_LOCAL = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d{1,2}):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?")

EXAMPLES = "#123456   10:32   -15m   50%   2026-11-23 10:32"


class SeekKind(Enum):
    """What a seek counts in."""

    SEQUENCE = "sequence"
    TIME = "time"  # nanoseconds since 1970
    PERCENT = "percent"
    FIRST = "first"
    LAST = "last"


@dataclass(frozen=True, slots=True)
class Seek:
    """A place in a station."""

    kind: SeekKind
    value: float = 0

    @property
    def sequence(self) -> int:
        """The sequence of a SEQUENCE seek."""
        return int(self.value)

    @property
    def time_ns(self) -> int:
        """The time of a TIME seek."""
        return int(self.value)


def parse_span(text: str) -> int:
    """Return nanoseconds of a span such as ``15m``, ``1h30m``, ``2 d``.

    Raises:
        ValueError: it is none.
    """
    if not _SPAN.fullmatch(text.strip()):
        raise ValueError(tr("{text!r} is no span of time such as 15m or 1h30m", text=text[:40]))
    return round(sum(float(number) * _UNITS[unit] for number, unit in _SPAN_PART.findall(text)))


def parse_moment(text: str, zone: tzinfo, now_ns: int) -> int:
    """Return nanoseconds since 1970 for a time of day, a date, both, or a span back from now.

    Raises:
        ValueError: it is none of these; the text says what would be.
    """
    text = text.strip()
    if text.lower() == "now":
        return now_ns
    if text.startswith("-"):
        return now_ns - parse_span(text[1:])
    clock = _CLOCK.fullmatch(text)
    if clock:
        today = datetime.fromtimestamp(now_ns / SECOND, UTC).astimezone(zone)
        hour, minute, second, fraction = clock.groups()
        moment = _with_clock(today, hour, minute, second)
        result = _nanoseconds(moment, fraction)
        # A time of day that is still to come means the one of yesterday.
        return result if result <= now_ns else _nanoseconds(moment - timedelta(days=1), fraction)
    local = _LOCAL.fullmatch(text)
    if local:
        year, month, day, hour, minute, second, fraction = local.groups()
        date = datetime(int(year), int(month), int(day), tzinfo=zone)
        return _nanoseconds(_with_clock(date, hour, minute, second), fraction)
    try:
        return parse_time(text)
    except ValueError:
        raise ValueError(
            tr("{text!r} is no time such as 10:32, -15m or 2026-11-23 10:32", text=text[:40])
        ) from None


def parse_seek(text: str, zone: tzinfo, now_ns: int) -> Seek:
    """Return the place a typed text means.

    Raises:
        ValueError: it means none; the text of the error gives examples.
    """
    text = text.strip()
    folded = text.lower()
    if folded in ("first", "start", "home", "oldest"):
        return Seek(SeekKind.FIRST)
    if folded in ("last", "end", "newest", "now"):
        return Seek(SeekKind.LAST)
    digits = re.sub(r"[\s,_\u202f]", "", text.removeprefix("#"))
    if digits.isdecimal() and digits.isascii() and len(digits) <= 20:
        return Seek(SeekKind.SEQUENCE, int(digits))
    if text.endswith("%"):
        try:
            percent = float(text[:-1].replace(",", "."))
        except ValueError:
            percent = -1
        if 0 <= percent <= 100:
            return Seek(SeekKind.PERCENT, percent)
    try:
        return Seek(SeekKind.TIME, parse_moment(text, zone, now_ns))
    except (ValueError, OverflowError):
        raise ValueError(tr("Type a place such as {examples}", examples=EXAMPLES)) from None


def _with_clock(day: datetime, hour: str | None, minute: str | None, second: str | None) -> datetime:
    return day.replace(hour=int(hour or 0), minute=int(minute or 0), second=int(second or 0), microsecond=0)


def _nanoseconds(moment: datetime, fraction: str | None) -> int:
    return int(moment.timestamp()) * SECOND + int((fraction or "").ljust(9, "0"))


async def place(reader: MessageReader, seek: Seek, *, end: bool) -> int:
    """Return the sequence a place means as the beginning or end of a range."""
    bounds = reader.bounds
    if seek.kind is SeekKind.FIRST:
        return bounds.first
    if seek.kind is SeekKind.LAST:
        return bounds.last
    if seek.kind is SeekKind.PERCENT:
        return reader.sequence_at_percent(seek.value)
    if seek.kind is SeekKind.TIME:
        found = await reader.sequence_at(seek.time_ns)
        return found - 1 if end else found
    return seek.sequence
