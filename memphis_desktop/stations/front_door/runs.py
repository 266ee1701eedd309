"""Neighbours of one shape in what clients and servers send, found by expressions made for the shape.

A connection that sends much sends messages of the same form and size, again and again. A regular expression
for just that form takes a whole run of them in one call, where one by one each costs a match and some
arithmetic. As in `protocol.parser`, the parts of an expression cannot overlap: there is one way to match, in
linear time, and it cuts where going one by one would.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, TypeAlias

THRESHOLD = 64
"""Neighbours of one shape after which an expression is made for it."""
MAX_SIZE = 16 * 1024
"""Bytes of the largest message that is looked for in runs; of larger ones there are few in a chunk."""

_TOKEN = rb"[^ \t\r\n]{1,1500}"
_STATION = rb"[^. \t\r\n]{1,700}\$[1-9][0-9]{0,6}\.final"
_MOST = 4096
_MAX_SHAPES = 256

ID_LINE = b"\r\nmsg-id:"
SERVER_ID_LINE = b"\r\nNats-Msg-Id:"


Shape: TypeAlias = tuple[int, int, int, int]
"""What neighbours have in common: the bytes of the header block (-1 for messages without one), of block and
payload together, the place in the block of the line with the id that is to be repeated (-1 for no such line),
and the bytes of that id with the blanks before it."""


class Run:
    """The expressions for one shape of what clients publish."""

    def __init__(self, shape: Shape) -> None:
        headers, size, id_place, id_size = shape
        verb = b"PUB" if headers < 0 else b"HPUB"
        sizes = b"%d" % size if headers < 0 else b"%d %d" % (headers, size)
        head = (verb, _TOKEN if id_place < 0 else _STATION, _TOKEN, sizes)
        one = rb"%b (%b) (?:(%b) )?%b\r\n" % head + rb".{%d}\r\n" % size
        if id_place >= 0:
            behind = headers - id_place - len(ID_LINE) - id_size - 4
            block = rb"(.{%d}\r\nmsg-id:()([^\r\n]{%d})\r\n.{%d})\r\n" % (id_place, id_size, behind)
            # The empty groups make room for what is put in between.
            parts = rb"(%b %b (?:%b )?)%b\r\n()" % head + block + rb"()(.{%d}\r\n)" % (size - headers)
            self._split = re.compile(parts, re.DOTALL).split
            grown = len(SERVER_ID_LINE) + id_size
            self._sizes = b"%d %d\r\n" % (headers + grown, size + grown)
            repeated = _without_groups(parts)
        else:
            repeated = _without_groups(one)
        self.match = re.compile(rb"(?:%b){1,%d}" % (repeated, _MOST), re.DOTALL).match
        self.heads = re.compile(one, re.DOTALL).findall

    def repeat_ids(self, text: bytes) -> list[bytes] | None:
        """Return the pieces of a run with each id repeated as servers know it.

        None when there is more about ids in it than one line in each block: that wants a closer look.
        """
        if SERVER_ID_LINE in text:
            return None
        parts = self._split(text)
        count = len(parts) // 8
        if text.count(ID_LINE) != count:
            return None
        parts[2::8] = [self._sizes] * count
        parts[4::8] = [SERVER_ID_LINE[2:]] * count
        parts[6::8] = [b"\r\n\r\n"] * count
        return parts


def _without_groups(pattern: bytes) -> bytes:
    return re.sub(rb"\((?!\?)", b"(?:", pattern.replace(b"()", b""))


@lru_cache(_MAX_SHAPES)
def run_of(shape: Shape) -> Run:
    """Return the expressions for a shape."""
    return Run(shape)


@lru_cache(_MAX_SHAPES)
def delivered(size: int) -> Any:
    """Return what matches a run of messages of one size from a server."""
    one = rb"H?MSG [^\r\n]{1,4096} %d\r\n.{%d}\r\n" % (size, size)
    return re.compile(rb"(?:%b){1,%d}" % (one, _MOST), re.DOTALL).match
