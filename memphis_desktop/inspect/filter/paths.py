"""Paths into decoded values: ``$.customer.id``, ``items[0].sku``, ``items[*].sku``."""

from __future__ import annotations

import json
import re
from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import Any

from memphis_desktop.language import tr

_STEP = re.compile(
    r"""\.?(?:
        (?P<name>[^\W\d][\w$-]*|\d+)        # .name
      | \[\s*(?P<index>-?\d+)\s*\]          # [0]
      | \[\s*(?P<all>\*)\s*\]               # [*]
      | \[\s*"(?P<quoted>(?:[^"\\]|\\.)*)"\s*\]
      | \[\s*'(?P<single>(?:[^'\\]|\\.)*)'\s*\]
    )""",
    re.VERBOSE,
)
MAX_RESULTS = 1000


class _Missing:
    """What a path leads to when there is nothing."""

    def __repr__(self) -> str:
        return "missing"


MISSING = _Missing()


@dataclass(frozen=True)
class JsonPath:
    """A parsed path. Steps are names, indexes, or None for every item."""

    source: str
    steps: tuple[str | int | None, ...]

    @classmethod
    def parse(cls, source: str) -> JsonPath:
        """Read a path.

        Raises:
            ValueError: it is no path; says where.
        """
        text = source.strip()
        position = 0
        for prefix in ("$", "json"):
            if text == prefix or text.startswith((prefix + ".", prefix + "[")):
                position = len(prefix)
                break
        steps: list[str | int | None] = []
        while position < len(text):
            match = _STEP.match(text, position)
            if match is None:
                raise ValueError(
                    tr(
                        "{source!r} is no path: it goes wrong at {text!r}",
                        source=source,
                        text=text[position:][:20],
                    )
                )
            if match["name"] is not None:
                steps.append(match["name"])
            elif match["index"] is not None:
                steps.append(int(match["index"]))
            elif match["all"] is not None:
                steps.append(None)
            else:
                quoted = match["quoted"] if match["quoted"] is not None else match["single"]
                steps.append(re.sub(r"\\(.)", r"\1", quoted))
            position = match.end()
        return cls(text, tuple(steps))

    def find(self, value: Any) -> Any:
        """Return what the path leads to, `MISSING` when nothing; a list of all for a path with ``[*]``."""
        return follow(value, self.steps)


def follow(value: Any, steps: tuple[str | int | None, ...]) -> Any:
    """Return what the steps lead to from a value, `MISSING` when nothing."""
    for number, step in enumerate(steps):
        if step is None:
            return _all(value, steps[number + 1 :])
        value = child(value, step)
        if value is MISSING:
            return MISSING
    return value


def child(value: Any, step: Any) -> Any:
    """Return one item of an object or list, `MISSING` when there is none."""
    if isinstance(value, dict):
        return value.get(step if isinstance(step, str) else str(step), MISSING)
    if isinstance(value, list):
        if isinstance(step, str):
            if not step.lstrip("-").isdecimal():
                return MISSING
            step = int(step)
        if isinstance(step, int) and -len(value) <= step < len(value):
            return value[step]
    return MISSING


def _all(value: Any, steps: tuple[str | int | None, ...]) -> list[Any]:
    if isinstance(value, dict):
        items = list(value.values())
    elif isinstance(value, list):
        items = value
    else:
        return []
    results: list[Any] = []
    for item in items[:MAX_RESULTS]:
        found = follow(item, steps)
        if None in steps and isinstance(found, list):
            results += found[: MAX_RESULTS - len(results)]
        elif found is not MISSING:
            results.append(found)
    return results


def path_step(key: str | int) -> str:
    """Return one step of a path as it is written."""
    if isinstance(key, int):
        return f"[{key}]"
    return f".{key}" if key.isidentifier() else "[" + json.dumps(key, ensure_ascii=False) + "]"


def scalar_paths(value: Any, limit: int = 100) -> list[str]:
    """Return the paths of what is no container in a decoded value, those near the root first."""
    found: list[str] = []
    waiting: deque[tuple[str, Any, int]] = deque([("$", value, 0)])
    while waiting and len(found) < limit:
        path, item, depth = waiting.popleft()
        if isinstance(item, dict) and depth < 6:
            waiting += [
                (path + path_step(str(key)), inner, depth + 1) for key, inner in islice(item.items(), limit)
            ]
        elif isinstance(item, list) and depth < 6:
            waiting += [(f"{path}[{index}]", inner, depth + 1) for index, inner in enumerate(item[:2])]
        elif depth:
            found.append(path)
    return found
