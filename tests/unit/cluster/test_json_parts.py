"""Long JSON texts, part by part."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.cluster.json_parts import EACH, parts

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc,:}]"), inner, max_size=3)
    ),
    max_leaves=20,
)
paths = st.lists(st.sampled_from([EACH, "a", "b"]), max_size=4).map(tuple)


def expected(value: Any, path: tuple[str | None, ...]) -> list[Any]:
    """The same on the whole value."""
    if not path:
        return [value]
    step, rest = path[0], path[1:]
    if step is EACH:
        inner = value if isinstance(value, list) else []
    else:
        inner = [value[step]] if isinstance(value, dict) and step in value else []
    return [found for one in inner for found in expected(one, rest)]


@given(values, paths, st.sampled_from([None, 1]))
def test_parts_are_those_of_the_whole(value: Any, path: tuple[str | None, ...], indent: int | None) -> None:
    text = json.dumps(value, indent=indent)
    assert list(parts(text, path)) == expected(value, path)


@given(values, paths, st.data())
def test_what_is_cut_short_is_an_error_and_nothing_else(
    value: Any, path: tuple[str | None, ...], data: st.DataObject
) -> None:
    text = json.dumps([value])
    cut = text[: data.draw(st.integers(0, len(text) - 1))]
    with pytest.raises(ValueError):
        list(parts(cut, path))


@given(st.text(), paths)
def test_any_text_is_read_or_refused(text: str, path: tuple[str | None, ...]) -> None:
    with contextlib.suppress(ValueError):
        list(parts(text, path))


def test_a_part_is_decoded_when_it_is_asked_for() -> None:
    some = parts('{"x": {"rows": [1, {"n": 2}, oops', ("x", "rows", EACH))
    assert next(some) == 1
    assert next(some) == {"n": 2}
    with pytest.raises(ValueError):
        next(some)
