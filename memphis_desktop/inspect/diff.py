"""Structural difference of two values or messages, by path, without recursion."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from memphis_desktop.inspect.decode import Decoded, decode
from memphis_desktop.inspect.filter.paths import path_step
from memphis_desktop.inspect.message import InspectedMessage

MAX_CHANGES = 5_000
MAX_COMPARED = 500_000


class ChangeKind(Enum):
    """How a place differs."""

    CHANGED = "changed"
    ADDED = "only right"
    REMOVED = "only left"


@dataclass(frozen=True, slots=True)
class Change:
    """One place that differs."""

    path: str
    kind: ChangeKind
    left: Any = None
    right: Any = None


@dataclass(frozen=True, slots=True)
class Difference:
    """All places that differ; `complete` is False when there were more than are kept."""

    changes: tuple[Change, ...]
    compared: int
    complete: bool = True


def compare(left: Any, right: Any, *, ignore_order: bool = False, root: str = "$") -> Difference:
    """Compare two decoded values.

    Args:
        left, right: The values.
        ignore_order: Lists that hold the same items in another order count as equal.
        root: What paths begin with.
    """
    changes: list[Change] = []
    waiting: deque[tuple[str, Any, Any]] = deque([(root, left, right)])
    compared = 0
    while waiting:
        path, first, second = waiting.popleft()
        compared += 1
        if len(changes) >= MAX_CHANGES or compared >= MAX_COMPARED:
            return Difference(tuple(changes), compared, complete=False)
        if isinstance(first, dict) and isinstance(second, dict):
            for key in first:
                place = path + path_step(str(key))
                if key in second:
                    waiting.append((place, first[key], second[key]))
                else:
                    changes.append(Change(place, ChangeKind.REMOVED, left=first[key]))
            changes += [
                Change(path + path_step(str(key)), ChangeKind.ADDED, right=second[key])
                for key in second
                if key not in first
            ]
        elif isinstance(first, list) and isinstance(second, list):
            if ignore_order:
                first, second = _unmatched(first, second)
            for index in range(max(len(first), len(second))):
                place = path + path_step(index)
                if index >= len(second):
                    changes.append(Change(place, ChangeKind.REMOVED, left=first[index]))
                elif index >= len(first):
                    changes.append(Change(place, ChangeKind.ADDED, right=second[index]))
                else:
                    waiting.append((place, first[index], second[index]))
        elif type(first) is not type(second) or first != second:
            changes.append(Change(path, ChangeKind.CHANGED, first, second))
    changes.sort(key=lambda change: change.path)
    return Difference(tuple(changes), compared)


def _unmatched(left: list[Any], right: list[Any]) -> tuple[list[Any], list[Any]]:
    """Return what is left of both when equal items are taken out in pairs. Scalars only; the rest stays."""
    counts: dict[Any, int] = {}
    for item in right:
        if not isinstance(item, dict | list):
            counts[type(item), item] = counts.get((type(item), item), 0) + 1
    rest_left: list[Any] = []
    taken: dict[Any, int] = {}
    for item in left:
        key = None if isinstance(item, dict | list) else (type(item), item)
        if key is not None and counts.get(key, 0) > taken.get(key, 0):
            taken[key] = taken.get(key, 0) + 1
        else:
            rest_left.append(item)
    rest_right: list[Any] = []
    for item in right:
        key = None if isinstance(item, dict | list) else (type(item), item)
        if key is not None and taken.get(key, 0):
            taken[key] -= 1
        else:
            rest_right.append(item)
    return rest_left, rest_right


def _plainly(message: InspectedMessage) -> Decoded:
    return decode(message.payload)


def compare_messages(
    left: InspectedMessage,
    right: InspectedMessage,
    *,
    ignore_order: bool = False,
    decoder: Callable[[InspectedMessage], Decoded] = _plainly,
) -> Difference:
    """Compare subject, headers and payload of two messages, the payloads as `decoder` reads them.

    Payloads are compared by structure when both have one, else by their lines when both are text, else as
    bytes.
    """
    changes: list[Change] = []
    if left.subject != right.subject:
        changes.append(Change("subject", ChangeKind.CHANGED, left.subject, right.subject))
    headers = compare(_header_lists(left), _header_lists(right), root="headers")
    first, second = decoder(left), decoder(right)
    if first.has_value and second.has_value:
        payload = compare(first.value, second.value, ignore_order=ignore_order)
    elif first.text is not None and second.text is not None:
        payload = compare(first.text.splitlines(), second.text.splitlines(), root="line")
    else:
        payload = compare(first.data, second.data, root="payload")
    return Difference(
        (*changes, *headers.changes, *payload.changes),
        headers.compared + payload.compared + 1,
        headers.complete and payload.complete,
    )


def _header_lists(message: InspectedMessage) -> dict[str, Any]:
    """Headers by name; one value stands alone."""
    result: dict[str, Any] = {}
    for name, _ in message.headers:
        values = message.headers.all(name)
        result[name] = values[0] if len(values) == 1 else values
    return result
