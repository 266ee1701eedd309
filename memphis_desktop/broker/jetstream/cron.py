"""Cron patterns of six fields, seconds first, and the next time they mean (2.13 of the protocol notes)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from memphis_desktop.broker.jetstream.times import SECOND_NS

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
# Patterns that match on no day within so many years are refused.
_MOST_YEARS = 5


@dataclass(frozen=True, slots=True)
class _Field:
    lowest: int
    highest: int
    names: dict[str, int]


_FIELDS = (
    _Field(0, 59, {}),
    _Field(0, 59, {}),
    _Field(0, 23, {}),
    _Field(1, 31, {}),
    _Field(1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    _Field(0, 6, {name: number for number, name in enumerate(_DAYS)}),
)


class CronPattern:
    """A parsed pattern.

    >>> CronPattern("0 30 * * * *").next_after(0) // SECOND_NS
    1800
    """

    def __init__(self, pattern: str, zone: tzinfo = UTC) -> None:
        """Parse `pattern`; its fields mean local time in `zone`.

        Raises:
            ValueError: it is not a pattern of six fields.
        """
        fields = pattern.split()
        if len(fields) != len(_FIELDS):
            raise ValueError(f"pattern requires {len(_FIELDS)} fields, got {len(fields)}")
        parsed = [_parse_field(text, field) for text, field in zip(fields, _FIELDS, strict=True)]
        (self._seconds, _), (self._minutes, _), (self._hours, _) = parsed[:3]
        (self._days, any_day), (self._months, _), (self._weekdays, any_weekday) = parsed[3:]
        self._both_days = any_day or any_weekday
        self._zone = zone

    def next_after(self, time_ns: int) -> int:
        """Return the first time after `time_ns` that matches.

        Raises:
            ValueError: there is none within five years.
        """
        seconds = time_ns // SECOND_NS + 1
        moment = datetime.fromtimestamp(seconds, self._zone)
        last_year = moment.year + _MOST_YEARS
        while moment.year <= last_year:
            if moment.month not in self._months:
                moment = self._start_of_month_after(moment)
            elif not self._day_matches(moment):
                moment = self._local(moment.year, moment.month, moment.day) + timedelta(days=1)
                moment = self._local(moment.year, moment.month, moment.day)
            elif moment.hour not in self._hours:
                moment = self._later(moment, 3600 - moment.minute * 60 - moment.second)
            elif moment.minute not in self._minutes:
                moment = self._later(moment, 60 - moment.second)
            elif moment.second not in self._seconds:
                moment = self._later(moment, 1)
            else:
                return round(moment.timestamp()) * SECOND_NS
        raise ValueError("pattern exceeds maximum range")

    def _day_matches(self, moment: datetime) -> bool:
        day = moment.day in self._days
        weekday = moment.isoweekday() % 7 in self._weekdays
        return (day and weekday) if self._both_days else (day or weekday)

    def _start_of_month_after(self, moment: datetime) -> datetime:
        year, month = (moment.year + 1, 1) if moment.month == 12 else (moment.year, moment.month + 1)
        return self._local(year, month, 1)

    def _local(self, year: int, month: int, day: int) -> datetime:
        """Return midnight of a day; where that does not exist, the time the clock shows instead."""
        moment = datetime(year, month, day, tzinfo=self._zone)
        return datetime.fromtimestamp(moment.timestamp(), self._zone)

    def _later(self, moment: datetime, seconds: int) -> datetime:
        """Add real seconds, whatever the clock on the wall does meanwhile."""
        return datetime.fromtimestamp(moment.timestamp() + seconds, self._zone)


def _parse_field(text: str, field: _Field) -> tuple[frozenset[int], bool]:
    """Return the values that a field allows, and whether it has a star without a step."""
    values: set[int] = set()
    starred = False
    for part in text.split(","):
        if part:
            found, star = _parse_range(part, field)
            values |= found
            starred = starred or star
    return frozenset(values), starred


def _parse_range(text: str, field: _Field) -> tuple[set[int], bool]:
    """Return the values of ``number``, ``low-high``, ``*`` or ``?``, each perhaps with ``/step``."""
    bounds, *steps = text.split("/")
    low, *high = bounds.split("-")
    if len(steps) > 1 or len(high) > 1:
        raise ValueError(f"too many hyphens or slashes: {text}")
    star = low in ("*", "?")
    if star:
        start, end = field.lowest, field.highest
    else:
        start = _number(low, field.names)
        end = _number(high[0], field.names) if high else start
    step = 1
    if steps:
        step = _number(steps[0], {})
        if not high:
            end = field.highest
        star = star and step <= 1
    if start < field.lowest or end > field.highest or start > end or step == 0:
        raise ValueError(f"range out of bounds: {text}")
    return set(range(start, end + 1, step)), star


def _number(text: str, names: dict[str, int]) -> int:
    number = names.get(text.lower())
    if number is not None:
        return number
    if not text.isascii() or not text.lstrip("+").isdigit() or text.count("+") > 1:
        raise ValueError(f"not a number: {text}")
    return int(text)
