"""The parts of a long JSON text one after the other, so that no single step takes long."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator
from typing import Any, Final

EACH: Final = None  # in a path: every element of an array

_BLANKS = re.compile(r"[ \t\r\n]*")
_decode = json.JSONDecoder().raw_decode


def parts(text: str, path: tuple[str | None, ...]) -> Iterator[Any]:
    """Yield the values at a path, each decoded when it is asked for.

    Args:
        text: One JSON value.
        path: Keys of objects, and `EACH` for the elements of an array; what does not fit is passed over.

    Raises:
        ValueError: It is not JSON; what came before that has been yielded.
    """
    try:
        yield from _walk(text, _skip(text, 0), path)
    except IndexError:
        raise ValueError("the text ends too early") from None


def _skip(text: str, at: int) -> int:
    match = _BLANKS.match(text, at)
    assert match is not None  # no blanks match too
    return match.end()


def _walk(text: str, at: int, path: tuple[str | None, ...]) -> Generator[Any, None, int]:
    """Go through the value that begins `at`; returns where it ends."""
    if not path:
        value, end = _decode(text, at)
        yield value
        return end
    step, rest = path[0], path[1:]
    if text[at] != ("[" if step is EACH else "{"):
        return _decode(text, at)[1]
    closing = "]" if step is EACH else "}"
    at = _skip(text, at + 1)
    while text[at] != closing:
        inside = True
        if step is not EACH:
            key, at = _decode(text, at)
            inside = key == step
            at = _skip(text, _expect(text, _skip(text, at), ":"))
        if inside:
            at = yield from _walk(text, at, rest)
        else:
            at = _decode(text, at)[1]
        at = _skip(text, at)
        if text[at] != closing:
            at = _skip(text, _expect(text, at, ","))
    return at + 1


def _expect(text: str, at: int, sign: str) -> int:
    if text[at] != sign:
        raise ValueError(f"{sign!r} expected at character {at}")
    return at + 1
