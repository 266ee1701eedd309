"""The names of subjects in the answer of a stream's information, cut in slices of bounded work.

A page holds up to 100,000 subjects, some megabytes of JSON; reading it at once would hold up the loop.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

SLICE_BYTES = 64 << 10

_BEGIN = re.compile(rb'"subjects"\s*:\s*\{')
# Behind a count, a comma and the quote of the next name. In a name, `1,"` ends it, and a colon follows.
_NEXT = re.compile(rb'(?<=\d),"(?!\s*:)')


@dataclass(slots=True)
class PageHead:
    """What a page says of itself.

    Attributes:
        total: Subjects that match, on all pages.
        count: How many of them this page holds, once all slices were taken.
        error: The server's error, when it refused.
        state: The stream's state, without the subjects.
    """

    total: int = 0
    count: int = 0
    error: dict[str, Any] | None = None
    state: dict[str, Any] | None = None


def slices(payload: bytes, head: PageHead, size: int = SLICE_BYTES) -> Iterator[dict[str, int]]:
    """Yield the subjects with their numbers of messages, in their order; `head` is filled in at the end.

    Raises:
        ValueError: The payload is no such answer.
    """
    found = _BEGIN.search(payload)
    if found is None:
        _fill(head, orjson.loads(payload))
        return
    position = found.end()
    while True:
        cut = _NEXT.search(payload, position + size)
        part = None
        if cut is not None:
            try:
                part = orjson.loads(b"{" + payload[position : cut.start()] + b"}")
            except orjson.JSONDecodeError:
                part = None  # the subjects end before
        if part is None or cut is None:
            break
        head.count += len(part)
        position = cut.start() + 1
        yield part
    text = "{" + payload[position:].decode("utf-8", "surrogateescape")
    part, end = json.JSONDecoder().raw_decode(text)
    if not isinstance(part, dict):
        raise ValueError("no subjects")
    head.count += len(part)
    rest = text[end:].encode("utf-8", "surrogateescape")
    _fill(head, orjson.loads(payload[: found.end()] + b"}" + rest))
    yield part


def _fill(head: PageHead, answer: Any) -> None:
    if not isinstance(answer, dict):
        raise ValueError("not an object")
    head.error = answer.get("error")
    head.total = int(answer.get("total") or 0)
    head.state = answer.get("state")
    more = (head.state or {}).pop("subjects", None)
    head.total = max(head.total, head.count, len(more or ()))
