"""Subjects rewritten by transforms."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.broker.subject_transform import SubjectTransform, TransformError, check_mapping


@pytest.mark.parametrize(
    ("source", "destination", "subject", "expected"),
    [
        ("a.*", "b.{{wildcard(1)}}", "a.x", "b.x"),
        ("a.*.*", "b.$2.$1", "a.x.y", "b.y.x"),
        ("a.*", "b.{{ Wildcard( 1 ) }}", "a.x", "b.x"),
        ("a.*", "b.$1", "c.x", None),
        (">", "p.>", "a.b.c", "p.a.b.c"),
        ("a.>", "b.>", "a.b.c", "b.b.c"),
        ("a.*.>", "{{wildcard(1)}}.>", "a.x.y.z", "x.y.z"),
        (">", ">", "a.b", "a.b"),
        ("a", "b", "a", "b"),
        ("*", "{{splitfromleft(1,2)}}", "12345", "12.345"),
        ("*", "{{splitfromright(1,2)}}", "12345", "123.45"),
        ("*", "{{SliceFromLeft(1,2)}}", "12345", "12.34.5"),
        ("*", "{{sliceFromRight(1,2)}}", "12345", "1.23.45"),
        ("*", "{{left(1,2)}}", "12345", "12"),
        ("*", "{{right(1,2)}}", "12345", "45"),
        ("*", "{{left(1,9)}}", "12345", "12345"),
        ("*", "{{split(1,-)}}", "-a-b--c-", "a.b.c"),
        ("*", "{{partition(3,1)}}", "fob", "1"),
        ("*.*", "{{partition(7)}}", "ä.b", "3"),
        ("*", "$0", "x", "x"),
        ("*.*", "$1.{{partition(10,1,2)}}", "foo.bar", "foo.0"),
        ("foo", "{{partition(5)}}", "foo", "3"),
        ("*", "{{random(1)}}", "foo", "0"),
        ("*", "{{partition(0,1)}}", "foo", "0"),
        ("*", "$JS.$1", "x", "$JS.x"),
    ],
)
def test_transforms(source: str, destination: str, subject: str, expected: str | None) -> None:
    result = SubjectTransform(source, destination).apply(subject.encode())
    assert (result.decode() if result is not None else None) == expected


@pytest.mark.parametrize(
    ("source", "destination", "sentence"),
    [
        (
            "a.*",
            "b.{{wildcard(2)}}",
            "invalid mapping destination: wildcard index out of range in {{wildcard(2)}}: [2]",
        ),
        ("a.*", "b.{{foo(2)}}", "invalid mapping destination: unknown function in {{foo(2)}}"),
        ("a.*", "b..c", "invalid mapping destination: invalid transform"),
        ("a.*", "b.>.c", "invalid mapping destination: invalid transform in c"),
        ("a", "$1", "invalid mapping destination: wildcard index out of range in $1"),
        (
            "a.*",
            "b.{{split(1)}}",
            "invalid mapping destination: not enough arguments passed to the function in {{split(1)}}",
        ),
        (
            "a.*",
            "b.{{left(1,2,3)}}",
            "invalid mapping destination: too many arguments passed to the function in {{left(1,2,3)}}",
        ),
        (
            "a.*",
            "b.{{partition(x,1)}}",
            "invalid mapping destination: function argument is invalid or in the wrong format "
            "in {{partition(x,1)}}",
        ),
        ("a.*", "b.*", "invalid subject"),
        ("a.>", "b", "invalid subject"),
        ("a", "b.>", "invalid subject"),
        ("", "x", "invalid subject"),
    ],
)
def test_wrong_mappings_get_the_reference_servers_sentence(
    source: str, destination: str, sentence: str
) -> None:
    with pytest.raises(TransformError) as caught:
        check_mapping(source, destination)
    assert str(caught.value) == sentence


def test_an_empty_destination_is_no_mapping() -> None:
    check_mapping("a b", "")


@given(
    st.text(st.characters(codec="utf-8", exclude_characters=". \t\r\n\f\0*>"), min_size=1, max_size=12),
    st.integers(1, 100),
)
def test_partitions_stay_in_range(token: str, count: int) -> None:
    result = SubjectTransform("*", f"{{{{partition({count},1)}}}}").apply(token.encode())
    assert result is not None
    assert 0 <= int(result) < count


@given(
    st.text(st.characters(codec="utf-8", exclude_characters=". \t\r\n\f\0*>"), min_size=1, max_size=12),
    st.integers(1, 14),
)
def test_slices_lose_nothing(token: str, size: int) -> None:
    for name in ("slicefromleft", "slicefromright", "splitfromleft", "splitfromright"):
        result = SubjectTransform("*", f"{{{{{name}(1,{size})}}}}").apply(token.encode())
        assert result is not None
        assert result.decode().replace(".", "") == token
