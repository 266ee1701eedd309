"""Header blocks: ``NATS/1.0[ code[ description]]``, lines ``Key: value``, an empty line.

The server does not parse the blocks of ordinary messages; it looks for single keys, exactly as written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

VERSION_LINE = b"NATS/1.0"
CRLF = b"\r\n"

# What a request that crosses to another account says of who asks.
REQUEST_INFO = b"Nats-Request-Info"


class Headers(NamedTuple):
    """A parsed block. `fields` keeps order, repetition and the case of keys."""

    code: bytes
    description: bytes
    fields: list[tuple[bytes, bytes]]


def parse(block: bytes) -> Headers:
    """Parse a header block.

    Raises:
        ValueError: the block does not begin with ``NATS/1.0``, or a line has no colon.
    """
    lines = block.split(CRLF)
    first = lines[0]
    if not first.startswith(VERSION_LINE):
        raise ValueError("a header block begins with NATS/1.0")
    status = first[len(VERSION_LINE) :].split(None, 1)
    fields = []
    for line in lines[1:]:
        if not line:
            break
        key, colon, value = line.partition(b":")
        if not colon or not key:
            raise ValueError("a header line has the form 'Key: value'")
        fields.append((key, value.strip()))
    code = status[0] if status else b""
    return Headers(code, status[1].strip() if len(status) > 1 else b"", fields)


def encode(fields: Mapping[str, str] | Iterable[tuple[bytes, bytes]] = (), status: bytes = b"") -> bytes:
    """Return a header block; `status` is the code, perhaps followed by a space and a description."""
    pairs: Iterable[tuple[bytes, bytes]]
    if isinstance(fields, Mapping):
        pairs = [(key.encode(), value.encode()) for key, value in fields.items()]
    else:
        pairs = fields
    first = VERSION_LINE + b" " + status if status else VERSION_LINE
    return first + b"\r\n" + b"".join([b"%b: %b\r\n" % pair for pair in pairs]) + b"\r\n"


def get(block: bytes, key: bytes) -> bytes | None:
    """Return the first value of `key` (exact case), without parsing the rest; None when it is not there."""
    start = block.find(b"\r\n" + key + b":")
    if start < 0:
        return None
    start += len(key) + 3
    end = block.find(CRLF, start)
    return block[start : end if end >= 0 else len(block)].strip()


def get_all(block: bytes, key: bytes) -> list[bytes]:
    """Return every value of `key` (exact case), in order."""
    needle = b"\r\n" + key + b":"
    values = []
    start = block.find(needle)
    while start >= 0:
        start += len(needle)
        end = block.find(CRLF, start)
        end = end if end >= 0 else len(block)
        values.append(block[start:end].strip())
        start = block.find(needle, end)
    return values


def without(block: bytes, prefixes: tuple[bytes, ...]) -> bytes:
    """Return the block without the lines whose key begins with one of `prefixes`; b"" when none is left."""
    lines = block.split(CRLF)
    kept = [line for line in lines[1:] if line and not line.startswith(prefixes)]
    if not kept and lines[0].strip() == VERSION_LINE:
        return b""
    return CRLF.join([lines[0], *kept]) + b"\r\n\r\n"


def extend(block: bytes, fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return `block` (b"" for none) with more lines at its end."""
    added = b"".join([b"%b: %b\r\n" % pair for pair in fields])
    if not block:
        return VERSION_LINE + CRLF + added + CRLF
    return block[:-2] + added + CRLF
