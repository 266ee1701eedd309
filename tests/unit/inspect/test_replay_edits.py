"""Edits of payloads: lines of text, applied exactly, refused with a reason."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.inspect.message import InspectedMessage
from memphis_desktop.inspect.replay import EditError, Edits, ReplayOptions, copy_headers


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


@pytest.mark.parametrize(
    ("before", "line", "after"),
    [
        ({"net": 10}, "$.gross := json.net * 2", {"net": 10, "gross": 20}),
        ({"a": "x"}, '$.a := upper(json.a) + "!"', {"a": "X!"}),
        ({"a": 1}, "$.copy.of := json.a == 1", {"a": 1, "copy": {"of": True}}),
        ({"a": {"b": [1]}}, "$.c := json.a", {"a": {"b": [1]}, "c": {"b": [1]}}),
        ({"a": 1}, "$.a := json.missing", {"a": None}),
        ({"a": 1}, '$.a := default(json.missing, "none")', {"a": "none"}),
        ({"n": 3}, '$.size := if(json.n > 2, "large", "small")', {"n": 3, "size": "large"}),
        ({"a": "a-b"}, '$.a := replace(json.a, "-", ".")', {"a": "a.b"}),
        ({"items": [{"p": 1}, {"p": 2}]}, "$.items[*].p := json.items[1].p", {"items": [{"p": 2}, {"p": 2}]}),
        ({}, "$.of := part(subject, 2)", {"of": "b"}),
        ({}, "$.list := [seq, json.missing]", {"list": [1, None]}),
    ],
)
def test_an_expression_over_the_message_gives_the_value(before: Any, line: str, after: Any) -> None:
    """As the message was recorded."""
    assert edited(before, line) == after


def test_expressions_see_the_recorded_message_whatever_other_lines_do() -> None:
    """So the order of lines does not matter, and no value is shared between two places."""
    lines = ["$.a = 5", "$.b := json.a", "$.c := json.o", "$.d := json.o", "$.c.x = 2"]
    assert edited({"a": 1, "o": {"x": 1}}, *lines) == {
        "a": 5,
        "o": {"x": 1},
        "b": 1,
        "c": {"x": 2},
        "d": {"x": 1},
    }


def test_worked_out_numbers_are_exact() -> None:
    """Whole ones of any size, and decimal fractions as decimals."""
    changed = Edits.parse("$.b := json.a\n$.d := json.c * 3").apply(
        message(b'{"a": 90071992547409931234567890, "c": 0.10}')
    )
    assert changed is not None
    assert b'"b": 90071992547409931234567890' in changed.payload
    assert b'"d": 0.30' in changed.payload


def test_headers_are_set_worked_out_and_removed() -> None:
    """Also of a payload that is no JSON; nothing given removes."""
    original = InspectedMessage("S", 1, 0, "a.b", b"NATS/1.0\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n", b"\xff")
    lines = 'headers.A := number(headers.A) + 1\n- headers.B\nheaders["X-Y"] = "z"\nheaders.C := headers.no'
    changed = Edits.parse(lines).apply(original)
    assert changed is not None
    assert changed.payload == b"\xff"
    assert changed.headers.items() == (("A", "2"), ("X-Y", "z"))
    copied = copy_headers(changed, "s", ReplayOptions(edits=Edits.parse(lines), keep_headers=False), "r")
    assert (copied.get("A"), copied.get("X-Y"), copied.get("B")) == ("2", "z", None)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("$.a := json.b *", "A value is expected at the end (at character 16)"),
        ("$.a = 1\n$.b := json.c + nothing", "line 2: 'nothing' is not known"),
        ("$.b := open('x')", "There is no function 'open'"),
        ("$.b := ", "gives no value"),
        ("headers.X = 1", "a header is a text"),
        ("headers.a.b := 1", "names no header"),
    ],
)
def test_an_expression_that_is_not_understood_says_where(lines: str, says: str) -> None:
    """Before anything is sent."""
    with pytest.raises(EditError) as told:
        Edits.parse(lines)
    assert says in str(told.value)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("$.b := json.a * 2", "$.b: a text is no number (at character 15)"),
        ("$.b := number(json.a)", "'x' is no number (at character 8)"),
        ("$.b := 1 / 0", "cannot work out /: division by zero (at character 10)"),
        ("$.b := number('inf')", "no JSON"),
        ("headers.X := json.lines", "cannot hold a line break"),
        ("$.b := [" + "json.long," * 500 + "1]", "larger than"),
    ],
)
def test_an_expression_that_fails_on_a_message_says_where(line: str, says: str) -> None:
    """It is counted as failed; what it would make is bounded."""
    value = {"a": "x", "lines": "a\nb", "long": "y" * 20_000}
    with pytest.raises(EditError) as told:
        Edits.parse(line).apply(message(value))
    assert says in str(told.value)


def test_what_is_masked_is_not_copied_elsewhere() -> None:
    """Neither its value under another name, nor the mask's text in its place."""
    original = message({"card": "4111", "n": 1})
    masked = message({"card": "•••", "n": 1})
    with pytest.raises(EditError, match="masked"):
        Edits.parse("$.x := json.card").apply(original, masked)
    changed = Edits.parse("$.x := json.n + 1").apply(original, masked)
    assert changed is not None
    assert json.loads(changed.payload) == {"card": "4111", "n": 1, "x": 2}


@given(json_values, st.text(alphabet="json.a[0]*+/-%()'\"12 ><=!&|,", max_size=25))
def test_no_expression_and_no_payload_breaks_it(value: Any, expression: str) -> None:
    """Whatever is typed: a changed message, or one sentence."""
    for line in (f"$.x := {expression}", f"headers.X := {expression}"):
        try:
            changed = Edits.parse(line).apply(message({"a": value}))
        except EditError:
            continue
        assert changed is not None
        json.loads(changed.payload)
