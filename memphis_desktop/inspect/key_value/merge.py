"""Three-way difference: what was read, what I made of it, and what somebody else wrote meanwhile.

JSON values are merged place by place, texts line by line; where both changed the same, a person decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import Enum
from typing import Any

from memphis_desktop.inspect.decode import DecodeError, exact_json
from memphis_desktop.inspect.filter.paths import path_step
from memphis_desktop.language import tr

MAX_DEPTH = 100  # deeper values are compared as a whole
MAX_LINES = 5_000  # of a text that is merged by line; finding what moved costs their product
MARKS = ("<<<<<<< mine", "=======", ">>>>>>> theirs")


class _Missing:
    def __repr__(self) -> str:
        return "missing"


MISSING: Any = _Missing()


class Side(Enum):
    """Who changed a place."""

    MINE = "mine"
    THEIRS = "theirs"
    SAME = "same"
    CONFLICT = "conflict"

    @property
    def text(self) -> str:
        """What the screen says."""
        return {
            Side.MINE: tr("mine"),
            Side.THEIRS: tr("theirs"),
            Side.SAME: tr("both alike"),
            Side.CONFLICT: tr("conflict"),
        }[self]


@dataclass(frozen=True, slots=True)
class Place:
    """A place that somebody changed; `MISSING` where it is not there."""

    path: str
    side: Side
    base: Any
    mine: Any
    theirs: Any


@dataclass(frozen=True, slots=True)
class Merge:
    """The places that differ, and the value with both sides' changes.

    Attributes:
        places: In the order of their paths.
        value: The merged bytes, mine where both changed the same place; None when they cannot be merged.
        conflicts: How many places both changed otherwise.
        is_text: Whether it was merged by line, with marks around conflicts.
    """

    places: tuple[Place, ...]
    value: bytes | None
    conflicts: int
    is_text: bool = False


def merge(base: bytes, mine: bytes, theirs: bytes) -> Merge:
    """Merge what two made of the same value."""
    try:
        values = [exact_json.parse(data) for data in (base, mine, theirs)]
    except DecodeError:
        return _merge_bytes(base, mine, theirs)
    places: list[Place] = []
    merged = merge_values(values[0], values[1], values[2], places)
    conflicts = sum(place.side is Side.CONFLICT for place in places)
    indent = 2 if b"\n" in mine.strip() else None
    if merged is MISSING:
        return Merge(tuple(places), None, conflicts)
    if not places:
        return Merge((), mine, 0)
    return Merge(tuple(places), exact_json.write(merged, indent).encode("utf-8", "surrogatepass"), conflicts)


def _merge_bytes(base: bytes, mine: bytes, theirs: bytes) -> Merge:
    try:
        texts = [data.decode("utf-8") for data in (base, mine, theirs)]
    except UnicodeDecodeError:
        texts = []
    lines = [text.splitlines(keepends=True) for text in texts]
    if not texts or any(len(part) > MAX_LINES for part in lines):
        side = _side(base, mine, theirs)
        value = {Side.MINE: mine, Side.SAME: mine, Side.THEIRS: theirs}.get(side)
        return Merge((Place("", side, base, mine, theirs),), value, int(side is Side.CONFLICT))
    merged, places = merge_lines(*lines)
    conflicts = sum(place.side is Side.CONFLICT for place in places)
    return Merge(tuple(places), merged.encode(), conflicts, is_text=True)


def _side(base: Any, mine: Any, theirs: Any) -> Side:
    if _same(mine, theirs):
        return Side.SAME
    if _same(base, theirs):
        return Side.MINE
    return Side.THEIRS if _same(base, mine) else Side.CONFLICT


def _same(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same to the last digit; numbers and switches are told apart."""
    if one is other:
        return True
    if one is MISSING or other is MISSING or type(one) is not type(other):
        return False
    if isinstance(one, (dict, list)):
        return exact_json.write(one, None) == exact_json.write(other, None) if one == other else False
    return bool(one == other)


def merge_values(
    base: Any, mine: Any, theirs: Any, places: list[Place], path: str = "$", depth: int = 0
) -> Any:
    """Return the merged value, `MISSING` when it is gone; what differs is added to `places`."""
    sides = (base, mine, theirs)
    if depth < MAX_DEPTH and all(isinstance(side, dict) for side in sides):
        merged: dict[Any, Any] = {}
        for key in dict.fromkeys((*theirs, *mine, *base)):
            found = [side.get(key, MISSING) for side in sides]
            value = merge_values(found[0], found[1], found[2], places, path + path_step(str(key)), depth + 1)
            if value is not MISSING:
                merged[key] = value
        return merged
    if _same(base, mine) and _same(base, theirs):
        return mine
    side = _side(base, mine, theirs)
    places.append(Place(path, side, base, mine, theirs))
    return theirs if side is Side.THEIRS else mine


def merge_lines(base: Sequence[str], mine: Sequence[str], theirs: Sequence[str]) -> tuple[str, list[Place]]:
    """Return the merged text, conflicts between marks, and the stretches that differ."""
    parts: list[str] = []
    places: list[Place] = []
    at_base = at_mine = at_theirs = 0
    for start, end, mine_start, theirs_start in _kept_by_both(base, mine, theirs):
        before = "".join(base[at_base:start])
        my, their = "".join(mine[at_mine:mine_start]), "".join(theirs[at_theirs:theirs_start])
        if before != my or before != their:
            side = _side(before, my, their)
            places.append(Place(_line_path(at_base), side, before, my, their))
            parts.append(
                _marked(my, their) if side is Side.CONFLICT else their if side is Side.THEIRS else my
            )
        parts.append("".join(base[start:end]))
        length = end - start
        at_base, at_mine, at_theirs = end, mine_start + length, theirs_start + length
    return "".join(parts), places


def _line_path(index: int) -> str:
    return f"line[{index + 1}]"


def _marked(mine: str, theirs: str) -> str:
    def ended(text: str) -> str:
        return text if not text or text.endswith("\n") else text + "\n"

    return f"{MARKS[0]}\n{ended(mine)}{MARKS[1]}\n{ended(theirs)}{MARKS[2]}\n"


def _kept_by_both(
    base: Sequence[str], mine: Sequence[str], theirs: Sequence[str]
) -> Iterator[tuple[int, int, int, int]]:
    """Yield what both kept of the base: start and end there, and where it begins in mine and in theirs."""
    ours = SequenceMatcher(None, base, mine, autojunk=False).get_matching_blocks()
    others = SequenceMatcher(None, base, theirs, autojunk=False).get_matching_blocks()
    first = second = 0
    while first < len(ours) and second < len(others):
        one, other = ours[first], others[second]
        start, end = max(one.a, other.a), min(one.a + one.size, other.a + other.size)
        if start < end:
            yield start, end, one.b + start - one.a, other.b + start - other.a
        if one.a + one.size < other.a + other.size:
            first += 1
        else:
            second += 1
    yield len(base), len(base), len(mine), len(theirs)


def has_marks(text: str) -> bool:
    """Whether marks of a conflict are still in a text."""
    lines = set(text.splitlines())
    return all(mark in lines for mark in MARKS)
