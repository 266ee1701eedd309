"""Edits of payloads: lines of text, applied exactly, refused with a reason."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.replay import EditError, Edits


def message(value: Any) -> InspectedMessage:
    """A message with a JSON payload."""
    payload = value if isinstance(value, bytes) else json.dumps(value).encode()
    return InspectedMessage("S", 1, 0, "a.b", b"", payload)


def edited(value: Any, *lines: str) -> Any:
    """The payload after the edits."""
    changed = Edits.parse("\n".join(lines)).apply(message(value))
    assert changed is not None
    return json.loads(changed.payload)


@pytest.mark.parametrize(
    ("before", "line", "after"),
    [
        ({"a": 1}, "$.a = 2", {"a": 2}),
        ({}, '$.a.b["c d"] = "x=y"', {"a": {"b": {"c d": "x=y"}}}),
        ({"a": [1, 2]}, "$.a[1] = null", {"a": [1, None]}),
        ({"a": [{"p": 1}, {"p": 2}]}, "$.a[*].p = 0", {"a": [{"p": 0}, {"p": 0}]}),
        ({"a": [1, 2]}, "$.a[*] = true", {"a": [True, True]}),
        ({"a": 1, "b": 2}, "- $.a", {"b": 2}),
        ({"b": 2}, "- $.a.c", {"b": 2}),
        ({"a": [1, 2, 3]}, "- a[0]", {"a": [2, 3]}),
        ({"id": 1}, "$.id = 18446744073709551615", {"id": 18446744073709551615}),
    ],
)
def test_an_edit_changes_what_it_names(before: Any, line: str, after: Any) -> None:
    """And nothing else."""
    assert edited(before, line) == after


def test_numbers_that_are_not_touched_stay_exact() -> None:
    """To the last digit, as written."""
    changed = Edits.parse("$.b = 1").apply(message(b'{"a": 9007199254740993, "c": 0.10}'))
    assert changed is not None
    assert b"9007199254740993" in changed.payload
    assert b"0.10" in changed.payload


@pytest.mark.parametrize("line", ["$.a", "$.a =", "$.a = {", "$ = 1", "$.. = 1", "- $", "=1", "$.a = bare"])
def test_what_is_no_edit_is_refused(line: str) -> None:
    """Before anything is sent."""
    with pytest.raises(EditError):
        Edits.parse(line)


@pytest.mark.parametrize(("value", "line"), [(b"\xff", "$.a = 1"), ({"a": 1}, "$.a.b = 1"), ([], "$[3] = 1")])
def test_what_cannot_be_edited_says_why(value: Any, line: str) -> None:
    """It is counted as failed, not sent half changed."""
    with pytest.raises(EditError):
        Edits.parse(line).apply(message(value))


def test_a_filter_leaves_messages_out() -> None:
    """Those that it does not accept, and those it cannot be applied to."""
    edits = Edits.parse("", "json.n > 3")
    passing = message({"n": 5})
    assert edits.apply(passing) is passing
    assert edits.apply(message({"n": 1})) is None
    assert edits.apply(message(b"\x00")) is None
    with pytest.raises(EditError):
        Edits.parse("", "json.n >")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(json_values, st.text(alphabet='$.[]*"ab01- =', max_size=20))
def test_no_line_and_no_payload_breaks_it(value: Any, line: str) -> None:
    """Whatever is typed: a changed message, or one sentence."""
    try:
        changed = Edits.parse(line).apply(message(value))
    except EditError:
        return
    assert changed is not None
    json.loads(changed.payload)
