"""Times as brokers write them (RFC 3339, nanoseconds), as integers of nanoseconds since 1970."""

from __future__ import annotations

import calendar
import re

_ZERO_YEAR = "0001-01-01T00:00:00"
_PATTERN = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?(?:([Zz])|([+-])(\d\d):(\d\d))"
)


def parse_time(text: str | None) -> int | None:
    """Return nanoseconds since 1970; None for nothing, for Go's zero time, and for what is no time."""
    if not text or text.startswith(_ZERO_YEAR):
        return None
    match = _PATTERN.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, _, sign, zone_hours, zone_minutes = match.groups()
    parts = (int(year), int(month), int(day), int(hour), int(minute), int(second), 0, 0, 0)
    seconds = calendar.timegm(parts)
    if sign:
        offset = int(zone_hours) * 3600 + int(zone_minutes) * 60
        seconds += -offset if sign == "+" else offset
    return seconds * 1_000_000_000 + (int(fraction.ljust(9, "0")) if fraction else 0)
