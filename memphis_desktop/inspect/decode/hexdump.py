"""Hex view, made row by row when asked for, so that a payload of any size opens at once."""

from __future__ import annotations

_SHOWN = bytes(code if 32 <= code < 127 else ord(".") for code in range(256))
BYTES_PER_ROW = 16


def row_count(size: int, width: int = BYTES_PER_ROW) -> int:
    """Return how many rows a payload of `size` bytes takes."""
    return -(-size // width)


def row(data: bytes | memoryview, index: int, width: int = BYTES_PER_ROW) -> tuple[str, str, str]:
    """Return offset, hex pairs (a wider gap in the middle) and characters of one row."""
    start = index * width
    part = bytes(data[start : start + width])
    half = width // 2
    left, right = part[:half].hex(" "), part[half:].hex(" ")
    pairs = f"{left:<{half * 3 - 1}}  {right:<{(width - half) * 3 - 1}}"
    return f"{start:08x}", pairs, part.translate(_SHOWN).decode("ascii")


def dump(data: bytes | memoryview, first: int = 0, rows: int | None = None) -> str:
    """Return rows as text, for the clipboard."""
    last = row_count(len(data)) if rows is None else min(row_count(len(data)), first + rows)
    return "\n".join("  ".join(row(data, index)) for index in range(first, last))
