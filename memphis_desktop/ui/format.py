"""Figures, sizes, times and durations as people read them.

Pure functions, one per kind of figure. Each takes None for "not known" and answers with a dash.
Separators, the order of a date and the hours are those of `language.figures`, as the settings have them;
the examples here are in ISO style.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, tzinfo

from memphis_desktop.language import figures, isolated, tr, tr_in

UNKNOWN = "–"
NARROW = figures.NARROW
NO_BREAK = "\u00a0"

_SCALES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_SPANS = (("y", 31_536_000), ("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
_SECOND = 1_000_000_000


CAUGHT_UP_SECONDS = 0.5  # whoever is less behind than that is not behind


def integer(value: float | int | None) -> str:
    """An exact whole number: ``12 345``."""
    if value is None or _not_finite(value):
        return UNKNOWN
    return figures.integer(int(value))


def fixed(value: float, digits: int) -> str:
    """A number with so many digits behind the decimal sign: ``0.125``."""
    return figures.decimal(f"{value:.{digits}f}")


def compact(value: float | int | None) -> str:
    """At most three telling digits: ``12.4 k``, ``3.1 M``, ``947``."""
    if value is None or _not_finite(value):
        return UNKNOWN
    figure, unit = compact_parts(value)
    return isolated(f"{figure}{NO_BREAK}{unit}") if unit else figure


def compact_parts(value: float | int) -> tuple[str, str]:
    """The figure and its scale letter apart, for where the letter is set smaller: ``("12.4", "k")``."""
    magnitude = abs(value)
    for size, letter in _SCALES:
        # 999.95 k would round to "1000 k": take the next scale a little early.
        if magnitude >= size * 0.9995:
            return _three_digits(value / size), letter
    if magnitude >= 100 or value == int(value):
        return str(round(value)), ""
    return _three_digits(value), ""


def rate(value: float | None) -> str:
    """A rate a second: ``12.4 k/s``."""
    text = compact(value)
    return text if text == UNKNOWN else isolated(f"{text}/s")


def bytes_parts(value: float | int) -> tuple[str, str]:
    """The figure and its binary unit apart: ``("3.1", "MiB")``."""
    magnitude, index = abs(float(value)), 0
    while magnitude >= 1023.95 and index < len(_BINARY) - 1:
        magnitude /= 1024
        index += 1
    scaled = value / 1024**index
    return (str(round(scaled)) if index == 0 else _three_digits(scaled)), _BINARY[index]


def bytes_size(value: float | int | None) -> str:
    """A size in binary units: ``3.1 MiB``."""
    if value is None or _not_finite(value):
        return UNKNOWN
    figure, unit = bytes_parts(value)
    return isolated(f"{figure}{NO_BREAK}{unit}")


def bytes_rate(value: float | None) -> str:
    """A byte rate: ``3.1 MiB/s``."""
    text = bytes_size(value)
    return text if text == UNKNOWN else isolated(f"{text}/s")


def duration(seconds: float | None) -> str:
    """A span with its two largest units: ``4 min 12 s``, ``2 d 3 h``, ``12 ms``; infinity is ``never``."""
    if seconds is None or math.isnan(seconds):
        return UNKNOWN
    if math.isinf(seconds):
        return tr("never")
    if seconds < 0:
        return isolated("-" + duration(-seconds))
    if seconds == 0:
        return isolated(f"0{NO_BREAK}s")
    if seconds < 1e-3:
        return isolated(f"{_three_digits(seconds * 1e6)}{NO_BREAK}µs")
    if seconds < 0.9995:
        return isolated(f"{_three_digits(seconds * 1e3)}{NO_BREAK}ms")
    if seconds < 9.95:
        return isolated(figures.decimal(f"{seconds:.1f}".removesuffix(".0")) + f"{NO_BREAK}s")
    whole = round(seconds)
    if whole < 60:
        return isolated(f"{whole}{NO_BREAK}s")
    for index, (unit, size) in enumerate(_SPANS):
        if whole >= size:
            first, rest = divmod(whole, size)
            text = f"{first}{NO_BREAK}{_unit(unit)}"
            if index + 1 < len(_SPANS):
                next_unit, next_size = _SPANS[index + 1]
                second = rest // next_size
                if second:
                    text += f"{NO_BREAK}{second}{NO_BREAK}{_unit(next_unit)}"
            return isolated(text)
    return UNKNOWN  # not reached: whole is at least 60 here


def lag_seconds(seconds: float | None) -> str:
    """How far behind a consumer is: ``caught up`` below half a second, else a duration."""
    if seconds is None or math.isnan(seconds):
        return UNKNOWN
    return tr("caught up") if seconds < CAUGHT_UP_SECONDS else duration(seconds)


def percent(fraction: float | None) -> str:
    """A share of one: ``0.153`` is ``15 %``; under a tenth it keeps one digit more."""
    if fraction is None or _not_finite(fraction):
        return UNKNOWN
    value = fraction * 100
    if value and abs(value) < 9.95:
        return isolated(figures.decimal(f"{value:.1f}") + f"{NO_BREAK}%")
    return isolated(f"{value:.0f}{NO_BREAK}%")


def timestamp(nanoseconds: int | None, zone: tzinfo = UTC, *, digits: int | None = None) -> str:
    """An absolute time in ``zone``: ``2026-11-23 10:32:07.481``.

    ``digits`` of a second's fraction are shown (0 to 9, by default as the settings say), cut and never
    rounded up into the future.
    """
    moment = _moment(nanoseconds, zone)
    if moment is None:
        return UNKNOWN
    return isolated(f"{figures.date(moment)} {figures.clock(moment, _fraction(nanoseconds, digits))}")


def near_time(nanoseconds: int | None, now_ns: int, zone: tzinfo = UTC, *, digits: int | None = None) -> str:
    """A time as short as it can be told apart: without today's date (``10:32:07.481``) or this year."""
    moment, today = _moment(nanoseconds, zone), _moment(now_ns, zone)
    if moment is None or today is None:
        return UNKNOWN
    if moment.date() == today.date():
        return isolated(figures.clock(moment, _fraction(nanoseconds, digits)))
    if moment.year == today.year:
        return isolated(f"{figures.day(moment)} {figures.clock(moment)}")
    return isolated(f"{figures.date(moment)} {figures.clock(moment, seconds=False)}")


def minute(nanoseconds: int | None, zone: tzinfo = UTC) -> str:
    """A time without its seconds: ``2026-11-23 10:32``."""
    moment = _moment(nanoseconds, zone)
    if moment is None:
        return UNKNOWN
    return isolated(f"{figures.date(moment)} {figures.clock(moment, seconds=False)}")


def table_time(nanoseconds: int | None, now_ns: int, zone: tzinfo = UTC) -> str:
    """A time as tables have it: how long ago, or when, as the settings say."""
    if figures.style().relative:
        return relative_time(nanoseconds, now_ns)
    return near_time(nanoseconds, now_ns, zone, digits=0)


def typed_time(nanoseconds: int, zone: tzinfo = UTC, *, digits: int = 3) -> str:
    """A time as fields take it, in ISO order whatever the settings say: ``2026-11-23 10:32:07.481``."""
    moment = _moment(nanoseconds, zone)
    if moment is None:
        return ""
    fraction = _fraction(nanoseconds, digits)
    return f"{moment:%Y-%m-%d %H:%M:%S}" + (f".{fraction}" if fraction else "")


def iso_timestamp(nanoseconds: int | None, zone: tzinfo = UTC) -> str:
    """ISO 8601 with its offset, for copying: ``2026-11-23T10:32:07.481000000+00:00``."""
    if nanoseconds is None:
        return ""
    seconds, fraction = divmod(nanoseconds, _SECOND)
    moment = datetime.fromtimestamp(seconds, UTC).astimezone(zone)
    offset = moment.strftime("%z")
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction:09d}{offset[:3]}:{offset[3:]}"


def clock_time(nanoseconds: int | None, zone: tzinfo = UTC) -> str:
    """Only the time of day: ``10:32:07``."""
    moment = _moment(nanoseconds, zone)
    return UNKNOWN if moment is None else figures.clock(moment)


def relative_time(nanoseconds: int | None, now_ns: int) -> str:
    """How long ago, coarse: ``now``, ``12 s ago``, ``3 h ago``, ``in 5 min``."""
    if nanoseconds is None:
        return UNKNOWN
    seconds = (now_ns - nanoseconds) / _SECOND
    if abs(seconds) < 1:
        return tr("now")
    magnitude = abs(seconds)
    for unit, size in _SPANS:
        if magnitude >= size:
            text = f"{int(magnitude // size)}{NO_BREAK}{_unit(unit)}"
            return tr("{time} ago", time=text) if seconds > 0 else tr("in {time}", time=text)
    return tr("now")


def zone_name(zone: tzinfo, nanoseconds: int) -> str:
    """What the zone is called at that time: ``UTC``, ``CET``."""
    moment = datetime.fromtimestamp(nanoseconds / _SECOND, UTC).astimezone(zone)
    name = moment.tzname() or ""
    offset = moment.utcoffset() or timedelta(0)
    return name if name and not name.startswith(("+", "-")) else f"UTC{_offset_text(offset)}"


def visible_text(text: str, limit: int = 256) -> str:
    """One line of foreign text: bounded, control characters shown as their pictures, never acting."""
    cut = text[:limit]
    shown = "".join(_picture(character) for character in cut)
    return shown + "…" if len(text) > limit else shown


def _picture(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    # Bidirectional overrides and line separators could reorder or break the row they stand in.
    if (
        0x80 <= code < 0xA0
        or 0x200B <= code <= 0x200F
        or 0x2028 <= code <= 0x202E
        or 0x2066 <= code <= 0x2069
    ):
        return "\ufffd"
    return character


def _moment(nanoseconds: int | None, zone: tzinfo) -> datetime | None:
    """A time in a zone; None when it is not known or no calendar has it."""
    if nanoseconds is None:
        return None
    try:
        return datetime.fromtimestamp(nanoseconds // _SECOND, UTC).astimezone(zone)
    except (OverflowError, OSError, ValueError):
        return None


def _fraction(nanoseconds: int | None, digits: int | None) -> str:
    """The digits behind the second."""
    count = figures.style().digits if digits is None else digits
    return f"{(nanoseconds or 0) % _SECOND:09d}"[:count]


def _unit(name: str) -> str:
    """The sign of a span of time."""
    if name == "d":
        return tr_in("sign of days", "d")
    return tr_in("sign of years", "y") if name == "y" else name


def _offset_text(offset: timedelta) -> str:
    minutes = round(offset.total_seconds() / 60)
    sign = "-" if minutes < 0 else "+"
    hours, rest = divmod(abs(minutes), 60)
    return f"{sign}{hours}" if not rest else f"{sign}{hours}:{rest:02d}"


def _three_digits(value: float) -> str:
    magnitude = abs(value)
    digits = 0 if magnitude >= 99.95 else 1 if magnitude >= 9.995 else 2
    text = f"{value:.{digits}f}"
    return figures.decimal(text.rstrip("0").rstrip(".")) if digits else text


def _not_finite(value: float) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
