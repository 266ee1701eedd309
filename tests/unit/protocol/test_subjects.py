"""Validity and matching of subjects."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.protocol import subjects


@pytest.mark.parametrize(
    "pattern", [b"a", b"a.b", b"*", b">", b"a.*", b"a.>", b"*.b.*", b"a*", b"a>", b"a>b.c", "ä".encode()]
)
def test_valid(pattern: bytes) -> None:
    assert subjects.is_valid(pattern)


@pytest.mark.parametrize(
    "pattern", [b"", b".", b"a.", b".a", b"a..b", b">.a", b"a.>.b", b"a b", b"a\tb", b"a\r", b"a\n", b"a\0"]
)
def test_invalid(pattern: bytes) -> None:
    assert not subjects.is_valid(pattern)


@pytest.mark.parametrize(
    ("pattern", "literal"),
    [
        (b"a", True),
        (b"a*.b>", True),
        (b"a.*", False),
        (b"*", False),
        (b">", False),
        (b"a.>", False),
        (b"*.a", False),
    ],
)
def test_literal(pattern: bytes, literal: bool) -> None:
    assert subjects.is_literal(pattern) is literal


@pytest.mark.parametrize(
    ("pattern", "subject", "expected"),
    [
        (b"a.b", b"a.b", True),
        (b"a.*", b"a.b", True),
        (b"a.*", b"a", False),
        (b"a.*", b"a.b.c", False),
        (b"a.>", b"a.b.c", True),
        (b"a.>", b"a", False),
        (b">", b"a", True),
        (b"*.b", b"a.b", True),
        (b"*.b", b"a.c", False),
        (b"A", b"a", False),
        (b"a*", b"ab", False),
        (b"a*", b"a*", True),
    ],
)
def test_matches(pattern: bytes, subject: bytes, expected: bool) -> None:
    assert subjects.matches(pattern, subject) is expected


@pytest.mark.parametrize(
    ("inner", "outer", "expected"),
    [
        (b"a.b", b"a.*", True),
        (b"a.*", b"a.*", True),
        (b"a.*", b"a.>", True),
        (b"a.>", b"a.*", False),
        (b"a.>", b">", True),
        (b">", b"a.>", False),
        (b"*", b"a", False),
        (b"a.*.c", b"a.*.>", True),
    ],
)
def test_subset(inner: bytes, outer: bytes, expected: bool) -> None:
    assert subjects.is_subset(inner, outer) is expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (b"a.*", b"*.b", True),
        (b"a.*", b"b.*", False),
        (b"a.>", b"a.b.c", True),
        (b"a.>", b"a", False),
        (b">", b"x.y", True),
        (b"a.*", b"a.b.c", False),
        (b"*.*.c", b"a.>", True),
    ],
)
def test_overlap(one: bytes, other: bytes, expected: bool) -> None:
    assert subjects.overlaps(one, other) is expected
    assert subjects.overlaps(other, one) is expected


token = st.sampled_from([b"a", b"b", b"c"])
literal = st.lists(token, min_size=1, max_size=4).map(b".".join)
pattern = st.tuples(st.lists(st.sampled_from([b"a", b"b", b"*"]), max_size=3), st.booleans()).map(
    lambda drawn: b".".join([*drawn[0], *([b">"] if drawn[1] or not drawn[0] else [])])
)


def by_regular_expression(one: bytes, subject: bytes) -> bool:
    parts = [{b"*": rb"[^.]+", b">": rb".+"}.get(part, re.escape(part)) for part in one.split(b".")]
    return re.fullmatch(rb"\.".join(parts), subject) is not None


@given(pattern, literal)
def test_matching_agrees_with_regular_expressions(one: bytes, subject: bytes) -> None:
    assert subjects.matches(one, subject) == by_regular_expression(one, subject)


LITERALS = [b".".join(parts) for parts in itertools.product([b"a", b"b", b"z"], repeat=1)]
LITERALS += [
    b".".join(parts) for size in (2, 3, 4) for parts in itertools.product([b"a", b"b", b"z"], repeat=size)
]


@given(pattern, pattern)
def test_overlap_and_subset_agree_with_matching(one: bytes, other: bytes) -> None:
    first = {subject for subject in LITERALS if subjects.matches(one, subject)}
    second = {subject for subject in LITERALS if subjects.matches(other, subject)}
    assert subjects.overlaps(one, other) == bool(first & second)
    assert subjects.is_subset(one, other) == (first <= second)
