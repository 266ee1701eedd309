"""Times of the day, networks and templates in users' claims."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.broker.tokens import Claims, TokenError
from memphis_desktop.broker.user_claims import fill_template, may_come_at, may_come_from


def at(hour: int, minute: int = 0) -> float:
    return datetime(2026, 3, 1, hour, minute, tzinfo=UTC).timestamp()


def times(start: str, end: str) -> dict[str, Any]:
    return {"times": [{"start": start, "end": end}], "times_location": "UTC"}


@pytest.mark.parametrize(
    ("start", "end", "hour", "expected"),
    [
        ("08:00:00", "17:00:00", 12, at(17)),
        ("08:00:00", "17:00:00", 18, 0),
        ("22:00:00", "06:00:00", 5, at(6)),
        ("22:00:00", "06:00:00", 23, at(6) + 86400),
        ("22:00:00", "06:00:00", 12, 0),
    ],
)
def test_times_of_the_day(start: str, end: str, hour: int, expected: float) -> None:
    assert may_come_at(times(start, end), at(hour)) == (expected > 0, expected)


def test_the_longest_of_several_times_counts() -> None:
    body = times("08:00:00", "17:00:00")
    body["times"].append({"start": "11:00:00", "end": "20:00:00"})
    assert may_come_at(body, at(12)) == (True, at(20))


@given(st.recursive(st.none() | st.text() | st.integers(), lambda inner: st.lists(inner, max_size=3)))
def test_what_is_no_restriction_lets_nobody_in_by_mistake(value: Any) -> None:
    for body in ({"times": [value], "times_location": "UTC"}, {"times": [{"start": value, "end": value}]}):
        assert may_come_at(body, at(12)) == (False, 0)
    assert not may_come_from({"src": [value]}, "127.0.0.1") or value in ("127.0.0.1",)


def test_networks() -> None:
    assert may_come_from({}, "127.0.0.1")
    assert may_come_from({"src": "10.0.0.0/8,127.0.0.0/8"}, "127.0.0.1")
    assert may_come_from({"src": ["2001:db8::/32"]}, "2001:db8::1")
    assert not may_come_from({"src": ["2001:db8::/32"]}, "127.0.0.1")


def claims(name: str = "n", tags: list[str] | None = None) -> Claims:
    return Claims("user", "U", "A", 0, 0, 0, name, {"tags": tags or []})


def test_a_rule_that_denies_must_make_a_subject() -> None:
    with pytest.raises(TokenError):
        fill_template({"sub": {"deny": ["x.{{tag(a)}}"]}}, claims(), claims())
    with pytest.raises(TokenError):
        fill_template({"sub": {"deny": ["x.{{name()}}"]}}, claims("a b"), claims())
    with pytest.raises(TokenError):
        fill_template({"sub": {"allow": ["x.{{what()}}"]}}, claims(), claims())


def test_what_allows_nothing_denies_everything() -> None:
    filled = fill_template({"pub": {"allow": ["x.{{tag(a)}}"]}}, claims(), claims())
    assert filled["pub"] == {"allow": [], "deny": [">"]}


def test_tags_do_not_multiply_without_bounds() -> None:
    many = claims(tags=[f"a:{number}" for number in range(100)])
    with pytest.raises(TokenError):
        fill_template({"pub": {"allow": ["{{tag(a)}}.{{tag(a)}}.{{tag(a)}}"]}}, many, many)
