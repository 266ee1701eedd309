"""Values of a configuration file as the types that options have."""

from __future__ import annotations

import re

from memphis_desktop.broker.config_file import Value
from memphis_desktop.broker.jetstream.times import SECOND_NS, parse_duration


def refuse_unknown(value: Value) -> None:
    """Raise the error for a key that means nothing here, unless it is there for a variable."""
    if not value.referenced:
        raise value.fail(f'unknown field "{value.key}"')


def block(value: Value) -> dict[str, Value]:
    """Return the keys and values of a block."""
    if not isinstance(value.content, dict):
        raise value.fail(f"{value.key or 'this'} must be a block")
    return value.content


def items(value: Value) -> list[Value]:
    """Return the values of an array; a single value is an array of one."""
    return value.content if isinstance(value.content, list) else [value]


def text(value: Value) -> str:
    """Return a text; numbers and truth values stand for how they are written."""
    if isinstance(value.content, (list, dict)):
        raise value.fail(f"{value.key or 'this'} must be a text")
    if isinstance(value.content, bool):
        return "true" if value.content else "false"
    return str(value.content)


def texts(value: Value) -> list[str]:
    """Return an array of texts, or a single one as an array."""
    return [text(one) for one in items(value)]


def integer(value: Value) -> int:
    """Return a whole number."""
    if isinstance(value.content, bool) or not isinstance(value.content, int):
        raise value.fail(f"{value.key or 'this'} must be a whole number")
    return value.content


def number(value: Value) -> float:
    """Return a number."""
    if isinstance(value.content, bool) or not isinstance(value.content, (int, float)):
        raise value.fail(f"{value.key or 'this'} must be a number")
    return float(value.content)


def flag(value: Value) -> bool:
    """Return a truth value."""
    if not isinstance(value.content, bool):
        raise value.fail(f"{value.key or 'this'} must be true or false")
    return value.content


def duration(value: Value) -> float:
    """Return seconds: a text such as ``1m30s``, or a bare number of seconds."""
    if isinstance(value.content, str):
        try:
            return parse_duration(value.content) / SECOND_NS
        except ValueError:
            raise value.fail(f"'{value.content}' is no duration such as 1m30s") from None
    return number(value)


def host_and_port(value: Value) -> tuple[str, int]:
    """Return ``host:port``, or a port alone with host ""."""
    if isinstance(value.content, int) and not isinstance(value.content, bool):
        return "", value.content
    found = re.fullmatch(r"(?:\[([^\]]+)\]|([^:]*)):(-?[0-9]+)", text(value))
    if found is None or int(found[3]) > 65535:
        raise value.fail(f"'{text(value)}' is not of the form host:port")
    return found[1] or found[2] or "", int(found[3])
