"""Times and durations, as text and as nanoseconds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.broker.jetstream.times import (
    SECOND_NS,
    UNSET_TIME_NS,
    format_duration,
    format_time,
    parse_duration,
    parse_time,
)


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:01.5Z", 1_500_000_000),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("0001-01-01T00:00:00Z", UNSET_TIME_NS),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31T23:30:00-00:30", 0),
        ("2024-02-29T12:00:00.123456789Z", 1_709_208_000_123_456_789),
    ],
)
def test_parses_rfc_3339(text: str, time_ns: int) -> None:
    assert parse_time(text) == time_ns


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2024-01-01",
        "2024-01-01T00:00:00",
        "2024-13-01T00:00:00Z",
        "2024-02-30T00:00:00Z",
        "x",
        "2024-01-01t00:00:00Z",
    ],
)
def test_refuses_other_times(text: str) -> None:
    with pytest.raises(ValueError):
        parse_time(text)


@given(st.integers(UNSET_TIME_NS, 253_402_300_799 * SECOND_NS))
def test_a_written_time_reads_back_as_the_same(time_ns: int) -> None:
    assert parse_time(format_time(time_ns)) == time_ns


@pytest.mark.parametrize(
    ("text", "duration_ns"),
    [
        ("0", 0),
        ("1s", SECOND_NS),
        ("1m30s", 90 * SECOND_NS),
        ("1.5h", 5400 * SECOND_NS),
        ("250ms", SECOND_NS // 4),
        ("-2s", -2 * SECOND_NS),
        ("+2s", 2 * SECOND_NS),
        (".5s", SECOND_NS // 2),
        ("1h2m3s4ms5us6ns", 3_723_004_005_006),
        ("1µs", 1000),
    ],
)
def test_parses_durations(text: str, duration_ns: int) -> None:
    assert parse_duration(text) == duration_ns


@pytest.mark.parametrize("text", ["", "5", "s", "1x", "1s ", "1 s", "--1s", "1s2", "9999999999h"])
def test_refuses_other_durations(text: str) -> None:
    with pytest.raises(ValueError):
        parse_duration(text)


@pytest.mark.parametrize(
    ("duration_ns", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1500, "1.5µs"),
        (1_500_000, "1.5ms"),
        (SECOND_NS, "1s"),
        (90 * SECOND_NS, "1m30s"),
        (3600 * SECOND_NS, "1h0m0s"),
        (-SECOND_NS, "-1s"),
        (2_500_000_000, "2.5s"),
    ],
)
def test_formats_durations(duration_ns: int, text: str) -> None:
    assert format_duration(duration_ns) == text


@given(st.integers(-(1 << 62), 1 << 62))
def test_a_written_duration_reads_back_as_the_same(duration_ns: int) -> None:
    assert parse_duration(format_duration(duration_ns)) == duration_ns
