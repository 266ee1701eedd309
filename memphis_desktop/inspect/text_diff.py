"""The difference of two messages line by line, as they read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

from memphis_desktop.inspect.decode import Decoded, decode, exact_json
from memphis_desktop.inspect.diff import ChangeKind
from memphis_desktop.inspect.message import InspectedMessage

MAX_LINES = 4_000  # of each side; finding what moved costs their product
MAX_LINE = 2_000  # characters of a line
CONTEXT = 3  # equal lines around what differs


@dataclass(frozen=True, slots=True)
class LinePair:
    """A line of each side, None where a side has none.

    Attributes:
        kind: How they differ; None for equal lines shown for context.
        left_number, right_number: Counted from one.
        left, right: The lines.
    """

    kind: ChangeKind | None
    left_number: int | None
    left: str
    right_number: int | None
    right: str


@dataclass(frozen=True, slots=True)
class TextDifference:
    """Lines that differ, with those around them; `complete` is False when only a part was compared."""

    lines: tuple[LinePair, ...]
    complete: bool = True

    @property
    def count(self) -> int:
        """How many lines differ."""
        return sum(line.kind is not None for line in self.lines)


def compare_texts(
    left: InspectedMessage, right: InspectedMessage, *, decoder: Callable[[InspectedMessage], Decoded]
) -> TextDifference:
    """Compare two messages as text: subject, headers, and the payload as it is shown (JSON indented)."""
    first, second = message_lines(left, decoder), message_lines(right, decoder)
    complete = len(first) <= MAX_LINES and len(second) <= MAX_LINES
    first, second = first[:MAX_LINES], second[:MAX_LINES]
    same = _common(first, second)
    after = min(_common(first[::-1], second[::-1]), min(len(first), len(second)) - same)
    if same == len(first) == len(second):
        return TextDifference((), complete)
    start, rest = max(0, same - CONTEXT), max(0, after - CONTEXT)
    matcher = SequenceMatcher(None, first[start : len(first) - rest], second[start : len(second) - rest])
    lines = [
        pair
        for group in matcher.get_grouped_opcodes(CONTEXT)
        for tag, i1, i2, j1, j2 in group
        for pair in _pairs(first, second, tag, start + i1, start + i2, start + j1, start + j2)
    ]
    return TextDifference(tuple(lines), complete)


def _common(first: list[str], second: list[str]) -> int:
    """How many lines at the start are the same; what is long and alike need not be searched."""
    count = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        count += 1
    return count


def message_lines(
    message: InspectedMessage, decoder: Callable[[InspectedMessage], Decoded] | None = None
) -> list[str]:
    """Return a message as lines of bounded length."""
    decoded = decoder(message) if decoder is not None else decode(message.payload)
    text = decoded.text
    if decoded.has_value:
        text = exact_json.write(decoded.value)
    elif text is None:
        data = decoded.data[: MAX_LINES * 16]
        text = "\n".join(data[at : at + 16].hex(" ") for at in range(0, len(data), 16))
    lines = [
        message.subject,
        *(f"{name}: {value}" for name, value in message.headers),
        "",
        *text.splitlines(),
    ]
    return [line if len(line) <= MAX_LINE else line[:MAX_LINE] + "…" for line in lines]


def _pairs(
    first: list[str], second: list[str], tag: str, i1: int, i2: int, j1: int, j2: int
) -> Iterator[LinePair]:
    if tag == "equal":
        for i, j in zip(range(i1, i2), range(j1, j2), strict=True):
            yield LinePair(None, i + 1, first[i], j + 1, second[j])
        return
    both = min(i2 - i1, j2 - j1)
    for step in range(both):
        i, j = i1 + step, j1 + step
        yield LinePair(ChangeKind.CHANGED, i + 1, first[i], j + 1, second[j])
    for i in range(i1 + both, i2):
        yield LinePair(ChangeKind.REMOVED, i + 1, first[i], None, "")
    for j in range(j1 + both, j2):
        yield LinePair(ChangeKind.ADDED, None, "", j + 1, second[j])
