"""Headers and times, byte for byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.inspect.message import Headers, InspectedMessage, check_header, format_time, parse_time

NAMES = st.text("abcdefghijklmnopqrstuvwxyzABC-_0123456789", min_size=1)
VALUES = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])).map(str.strip)


@given(st.lists(st.tuples(NAMES, VALUES), min_size=1))
def test_headers_survive_the_wire_in_order_with_repeats(items: list[tuple[str, str]]) -> None:
    headers = Headers(items)
    again = Headers.parse(headers.encode())
    # bytes.strip and str.strip disagree on exotic blanks only; values here were stripped as text
    assert [name for name, _ in again] == [name for name, _ in items]
    assert [value for _, value in again] == [value.encode().strip().decode() for _, value in items]


def test_header_lookup_prefers_the_exact_name_and_keeps_every_value() -> None:
    headers = Headers.parse(b"NATS/1.0\r\nKey: one\r\nkey: two\r\nKey:three\r\nbroken line\r\n\r\n")
    assert headers.all("Key") == ["one", "three"]
    assert headers.all("KEY") == ["one", "two", "three"]
    assert headers.get("missing") is None
    assert headers.without(["key"]).items() == ()
    assert headers.with_set("New", "x").items()[-1] == ("New", "x")


def test_header_bytes_that_are_no_utf8_come_back_unchanged() -> None:
    block = b"NATS/1.0\r\nRaw: \xff\xfe\r\n\r\n"
    assert Headers.parse(block).encode() == block


@pytest.mark.parametrize(
    ("name", "value"), [("", "x"), ("a b", "x"), ("a:b", "x"), ("a", "x\r\ny"), ("a\n", "x")]
)
def test_headers_that_would_break_the_block_are_refused(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        check_header(name, value)


@given(st.integers(min_value=-62_135_596_800_000_000_000, max_value=253_402_300_799_999_999_999))
def test_times_survive_to_the_nanosecond(time_ns: int) -> None:
    assert parse_time(format_time(time_ns)) == time_ns


def test_times_with_offsets() -> None:
    assert parse_time("1970-01-01T02:00:00.5+02:00") == 500_000_000
    assert parse_time("1970-01-01 00:00:00Z") == 0
    with pytest.raises(ValueError, match="RFC 3339"):
        parse_time("yesterday")


def test_message_size_counts_headers_and_payload() -> None:
    message = InspectedMessage("S", 1, 0, "a.b", b"NATS/1.0\r\na: b\r\n\r\n", b"12345")
    assert message.size == 23
    assert message.headers.get("a") == "b"
    assert message.headers is message.headers
