"""Figures as people read them."""

from __future__ import annotations

import math
from datetime import UTC, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.ui import format as figures


def plain(text: str) -> str:
    return text.replace("\u00a0", " ").replace("\u202f", " ")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0"),
        (947, "947"),
        (12_345, "12.3 k"),
        (999_499, "999 k"),
        (999_950, "1 M"),
        (3_100_000, "3.1 M"),
        (2.5, "2.5"),
        (0.25, "0.25"),
        (-12_345, "-12.3 k"),
        (math.nan, "–"),
    ],
)
def test_compact(value: float | None, text: str) -> None:
    assert plain(figures.compact(value)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (3_250_585, "3.1 MiB"),
        (1024**3 - 1, "1 GiB"),
    ],
)
def test_bytes(value: int | None, text: str) -> None:
    assert plain(figures.bytes_size(value)) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (math.inf, "never"),
        (0, "0 s"),
        (0.000_012, "12 µs"),
        (0.0123, "12.3 ms"),
        (2.5, "2.5 s"),
        (59.7, "1 min"),
        (252, "4 min 12 s"),
        (3600, "1 h"),
        (183_600, "2 d 3 h"),
        (-5, "-5 s"),
    ],
)
def test_duration(seconds: float | None, text: str) -> None:
    assert plain(figures.duration(seconds)) == text


def test_integer_is_exact_at_any_size() -> None:
    assert plain(figures.integer(2**64 - 1)) == "18 446 744 073 709 551 615"


def test_timestamp_cuts_and_moves_to_the_zone() -> None:
    moment = 1_700_000_000_999_999_999
    assert figures.timestamp(moment, UTC) == "2023-11-14 22:13:20.999"
    east = timezone(timedelta(hours=5, minutes=30))
    assert figures.timestamp(moment, east, digits=9) == "2023-11-15 03:43:20.999999999"
    assert figures.iso_timestamp(moment, east) == "2023-11-15T03:43:20.999999999+05:30"
    assert figures.clock_time(moment, UTC) == "22:13:20"


def test_a_time_no_calendar_holds_is_unknown() -> None:
    assert figures.timestamp(2**63 * 1000, UTC) == "–"


@pytest.mark.parametrize(
    ("ago", "text"),
    [(0.2, "now"), (12, "12 s ago"), (7200, "2 h ago"), (-300, "in 5 min"), (90_000, "1 d ago")],
)
def test_relative_time(ago: float, text: str) -> None:
    now = 1_700_000_000_000_000_000
    assert plain(figures.relative_time(now - int(ago * 1e9), now)) == text


def test_visible_text_never_acts() -> None:
    shown = figures.visible_text("a\nb\x1b[31m\x7f\u202ec")
    assert shown == "a␊b␛[31m␡\ufffdc"
    assert len(figures.visible_text("x" * 10_000, 100)) == 101


@given(st.floats(allow_nan=True, allow_infinity=True) | st.integers(-(2**70), 2**70))
def test_every_number_has_a_text(value: float) -> None:
    for function in (figures.compact, figures.integer, figures.rate, figures.bytes_size, figures.percent):
        assert function(value)
    assert figures.duration(float(value) if abs(value) < 1e300 else 0.0)


@given(st.text())
def test_visible_text_is_one_line(text: str) -> None:
    assert len(figures.visible_text(text).splitlines()) <= 1
