"""Times and durations as JetStream writes them in JSON, headers and statuses.

Inside the broker every time is an integer of nanoseconds since 1970, every duration one of nanoseconds.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

SECOND_NS = 1_000_000_000
MILLISECOND_NS = 1_000_000

# How Go writes a time that was never set: 0001-01-01T00:00:00Z.
UNSET_TIME_NS = -62_135_596_800 * SECOND_NS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))\Z", re.ASCII
)
_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_UNITS = {
    "ns": 1,
    "us": 1000,
    "µs": 1000,
    "μs": 1000,
    "ms": MILLISECOND_NS,
    "s": SECOND_NS,
    "m": 60 * SECOND_NS,
    "h": 3600 * SECOND_NS,
}


def format_time(time_ns: int) -> str:
    """Return a time as RFC 3339 in UTC, with as many fraction digits (at most nine) as it needs.

    >>> format_time(1_500_000_000)
    '1970-01-01T00:00:01.5Z'
    """
    seconds, fraction = divmod(time_ns, SECOND_NS)
    if -62_135_596_800 <= seconds <= 253_402_300_799:
        moment = datetime.fromordinal(719_163 + seconds // 86_400)
        rest = seconds % 86_400
        text = (
            f"{moment.year:04d}-{moment.month:02d}-{moment.day:02d}"
            f"T{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
        )
    else:
        text = "0001-01-01T00:00:00" if seconds < 0 else "9999-12-31T23:59:59"
    return f"{text}.{fraction:09d}".rstrip("0") + "Z" if fraction else text + "Z"


def parse_time(text: str) -> int:
    """Return the nanoseconds of an RFC 3339 time.

    Raises:
        ValueError: it is not one.
    """
    match = _TIME.match(text)
    if match is None:
        raise ValueError(f"not a time of RFC 3339: {text!r}")
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    fraction, sign, offset_hours, offset_minutes = match.groups()[6:]
    moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    difference = moment - _EPOCH
    seconds = difference.days * 86_400 + difference.seconds
    if sign:
        if int(offset_hours) > 23 or int(offset_minutes) > 59:
            raise ValueError(f"not a time of RFC 3339: {text!r}")
        offset = int(offset_hours) * 3600 + int(offset_minutes) * 60
        seconds += -offset if sign == "+" else offset
    return seconds * SECOND_NS + int((fraction or "0").ljust(9, "0")[:9])


def parse_duration(text: str) -> int:
    """Return the nanoseconds of a duration such as ``1h30m``, ``1.5s`` or ``-250ms``.

    Raises:
        ValueError: it is not one, or does not fit 64 bits.
    """
    rest, negative = text, False
    if rest[:1] in ("+", "-"):
        negative, rest = rest[0] == "-", rest[1:]
    if rest == "0":
        return 0
    total, position = 0, 0
    while position < len(rest):
        match = _DURATION_PART.match(rest, position)
        if match is None:
            raise ValueError(f"invalid duration {text!r}")
        whole, _, fraction = match[1].partition(".")
        unit = _UNITS[match[2]]
        total += int(whole or "0") * unit
        if fraction:
            total += int(fraction) * unit // 10 ** len(fraction)
        position = match.end()
    if not rest or total >= 1 << 63:
        raise ValueError(f"invalid duration {text!r}")
    return -total if negative else total


def format_duration(duration_ns: int) -> str:
    """Return a duration in the short form that statuses and logs use.

    >>> format_duration(90 * SECOND_NS), format_duration(1_500_000), format_duration(0)
    ('1m30s', '1.5ms', '0s')
    """
    if duration_ns == 0:
        return "0s"
    sign, rest = ("-", -duration_ns) if duration_ns < 0 else ("", duration_ns)
    if rest < SECOND_NS:
        for unit, size in (("ms", MILLISECOND_NS), ("µs", 1000), ("ns", 1)):
            if rest >= size:
                return f"{sign}{_decimal(rest, size)}{unit}"
    minutes, seconds_ns = divmod(rest, 60 * SECOND_NS)
    hours, minutes = divmod(minutes, 60)
    text = f"{_decimal(seconds_ns, SECOND_NS)}s"
    if hours:
        text = f"{hours}h{minutes}m{text}"
    elif minutes:
        text = f"{minutes}m{text}"
    return sign + text


def _decimal(value: int, unit: int) -> str:
    """Return value / unit without trailing zeros."""
    whole, fraction = divmod(value, unit)
    if not fraction:
        return str(whole)
    digits = len(str(unit)) - 1
    return f"{whole}.{fraction:0{digits}d}".rstrip("0")
