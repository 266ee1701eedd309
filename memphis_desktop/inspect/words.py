"""Numbers in sentences, grouped as the window groups them."""

from __future__ import annotations

from memphis_desktop.language import figures


def integer(value: int) -> str:
    """A whole number with its thousands set apart."""
    return figures.integer(value)


def count(value: int, noun: str) -> str:
    """``1 message``, ``12 messages``."""
    return f"{integer(value)} {noun if value == 1 else noun + 's'}"


def sequence(value: int) -> str:
    """A place in a station: ``#1 234``."""
    return f"#{integer(value)}"
