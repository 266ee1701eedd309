"""How figures and times are written: separators, the order of a date, the hours of a day.

One `Style` holds for the whole program; `use` takes another. Where the user chose no other it is ISO 8601 for
times and a thin space between thousands, which no language reads as a decimal sign. What is copied, exported
or sent to a server never depends on it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

NARROW = "\u202f"  # narrow no-break space
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Style:
    """A way to write figures and times.

    Attributes:
        decimal: between a whole number and its fraction.
        group: between thousands.
        date: a date with its year, as `datetime.strftime` takes it; numbers only.
        day: a date without its year.
        month_first: whether a day with the name of its month is ``Nov 23``, not ``23 Nov``.
        twelve_hours: whether the hours are counted to twelve, with one of `halves` behind.
        halves: before and after noon.
        months: their short names.
        digits: of a second's fraction, where nothing else is asked for (0 to 9).
        relative: whether tables say how long ago instead of when.
    """

    decimal: str = "."
    group: str = NARROW
    date: str = "%Y-%m-%d"
    day: str = "%m-%d"
    month_first: bool = False
    twelve_hours: bool = False
    halves: tuple[str, str] = ("AM", "PM")
    months: tuple[str, ...] = _MONTHS
    digits: int = 3
    relative: bool = True


ISO = Style()

_style = ISO


def use(style: Style) -> None:
    """Write so from now on."""
    global _style
    _style = style


def style() -> Style:
    """Return how figures are written now."""
    return _style


def integer(value: int) -> str:
    """A whole number with its thousands set apart: ``12 345``."""
    return f"{value:,}".replace(",", _style.group)


def decimal(text: str) -> str:
    """A number that Python wrote (``12.4``) with the decimal sign of the style."""
    return text if _style.decimal == "." else text.replace(".", _style.decimal)


def typed(text: str) -> str:
    """A number that a person typed, perhaps with a unit behind, as Python reads it: ``1.234,5 k``.

    A sign that could be either is taken as the style has it; spaces between digits are left out.
    """
    text = re.sub(r"(?<=\d)[\s\u202f\u00a0'’](?=\d)", "", text)
    if _style.decimal == ",":
        if re.search(r"\d,\d", text) or re.match(r"\s*-?\d{1,3}(?:\.\d{3})+(?!\d)", text):
            text = text.replace(".", "")
        return re.sub(r"(?<=\d),(?=\d)", ".", text)
    return re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)


def clock(moment: datetime, fraction: str = "", *, seconds: bool = True) -> str:
    """The time of day; `fraction` are the digits behind the seconds."""
    if not _style.twelve_hours:
        text = f"{moment.hour:02d}:{moment.minute:02d}"
    else:
        text = f"{(moment.hour + 11) % 12 + 1}:{moment.minute:02d}"
    if seconds:
        text += f":{moment.second:02d}"
        if fraction:
            text += _style.decimal + fraction
    return f"{text}{NARROW}{_style.halves[moment.hour >= 12]}" if _style.twelve_hours else text


def date(moment: datetime) -> str:
    """A date with its year: ``2026-11-23``."""
    return moment.strftime(_style.date)


def day(moment: datetime) -> str:
    """A date without its year: ``11-23``."""
    return moment.strftime(_style.day)


def named_day(moment: datetime) -> str:
    """A date with its month's name and without its year: ``23 Nov``."""
    month = _style.months[moment.month - 1]
    return f"{month} {moment.day:02d}" if _style.month_first else f"{moment.day:02d} {month}"


def date_patterns(pattern: str) -> tuple[str, str]:
    """Return the patterns of `Style.date` and `Style.day` from a locale's short one, as ``dd.MM.yy``.

    Years have four digits and the rest two, so that columns of dates line up.
    """
    parts = re.findall(r"y+|M+|d+", pattern)
    order = [part[0] for part in parts]
    if sorted(order) != ["M", "d", "y"]:
        return ISO.date, ISO.day
    separators = re.split(r"y+|M+|d+", pattern)
    codes: dict[str, str] = {"y": "%Y", "M": "%m", "d": "%d"}
    between = separators[1].strip("'") or "-"
    full = "".join(f"{codes[part]}{between}" for part in order).removesuffix(between)
    short = f"{between}".join(codes[part] for part in order if part != "y")
    if between == ".":  # an abbreviated ordinal: the last number has its full stop, too
        short += "."
    return full.replace("\u200f", ""), short.replace("\u200f", "")
