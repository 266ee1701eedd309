"""Subjects: which are valid, and which patterns match them.

Tokens are divided by dots, none is empty, none holds white space. ``*`` stands for one token and ``>`` for
one or more at the end; both are wildcards only as whole tokens. Subjects are bytes throughout.
"""

from __future__ import annotations

import re

# Characters that can not stand in a subject: they would end it on the wire.
_FORBIDDEN = re.compile(rb"[ \t\r\n\f\x00]")
_WILDCARD = re.compile(rb"(?:^|\.)(?:\*(?:\.|$)|>$)")


def is_valid(pattern: bytes) -> bool:
    """Return whether this may be subscribed to: tokens are not empty, ``>`` is last."""
    if not pattern or _FORBIDDEN.search(pattern):
        return False
    if b".." in pattern or pattern[0] == 46 or pattern[-1] == 46:
        return False
    if b">" not in pattern:
        return True
    return b">" not in pattern.split(b".")[:-1]


def has_wildcards(pattern: bytes) -> bool:
    """Return whether some token of a valid pattern is ``*`` or ``>``."""
    if b"*" not in pattern and b">" not in pattern:
        return False
    return _WILDCARD.search(pattern) is not None


def is_literal(subject: bytes) -> bool:
    """Return whether this is a valid subject to publish to: valid and free of wildcards."""
    return is_valid(subject) and not has_wildcards(subject)


def matches(pattern: bytes, subject: bytes) -> bool:
    """Return whether `pattern` matches the literal `subject`."""
    if pattern == subject:
        return True
    if b"*" not in pattern and b">" not in pattern:
        return False
    return _covers(pattern.split(b"."), subject.split(b"."), literal=True)


def is_subset(subject: bytes, pattern: bytes) -> bool:
    """Return whether everything that `subject` (perhaps a pattern itself) matches is matched by `pattern`."""
    if subject == pattern:
        return True
    return _covers(pattern.split(b"."), subject.split(b"."), literal=False)


def _covers(pattern: list[bytes], subject: list[bytes], *, literal: bool) -> bool:
    length = len(subject)
    for position, token in enumerate(pattern):
        if position >= length:
            return False
        other = subject[position]
        if token == b">" and position == len(pattern) - 1:
            return True
        if not literal and other == b">" and position == length - 1:
            return False
        if token not in (b"*", other):
            return False
    return len(pattern) == length


def overlaps(first: bytes, second: bytes) -> bool:
    """Return whether some literal subject is matched by both patterns."""
    if first == second:
        return True
    left, right = first.split(b"."), second.split(b".")
    for position in range(max(len(left), len(right))):
        if position >= len(left) or position >= len(right):
            return False
        one, other = left[position], right[position]
        if one == b">" or other == b">":
            return True
        if one != other and b"*" not in (one, other):
            return False
    return True


def matches_any(patterns: list[bytes] | tuple[bytes, ...], subject: bytes) -> bool:
    """Return whether any of `patterns` matches the literal `subject`; no patterns means yes."""
    return not patterns or any(matches(pattern, subject) for pattern in patterns)
