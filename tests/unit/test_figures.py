"""Figures and times as languages write them, and as the settings ask."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from PySide6.QtCore import QLocale

from memphis_desktop.language import figures
from memphis_desktop.ui import figure_style, format
from memphis_desktop.ui.screens.field_values import parse_count, parse_duration, parse_size
from memphis_desktop.ui.settings import Settings

# 2026-11-23 15:04:07.481215999 UTC
MOMENT = int(datetime(2026, 11, 23, 15, 4, 7, tzinfo=UTC).timestamp()) * 1_000_000_000 + 481_215_999
HOUR = 3_600_000_000_000


@pytest.fixture(autouse=True)
def style() -> Iterator[None]:
    yield
    figures.use(figures.ISO)


def write_as(name: str, **values: object) -> None:
    store = Settings()
    for key, value in values.items():
        store.set(f"figures/{key}", value)
    figures.use(figure_style.chosen(store, QLocale(name)))


def plain(text: str) -> str:
    return text.replace("\u00a0", " ").replace("\u202f", " ")


@pytest.mark.parametrize(
    ("name", "number", "share", "time", "near"),
    [
        ("C", "1 234 567", "12.4 k", "2026-11-23 15:04:07.481", "11-23 15:04:07"),
        ("en_US", "1,234,567", "12.4 k", "11/23/2026 3:04:07.481 PM", "11/23 3:04:07 PM"),
        ("en_GB", "1,234,567", "12.4 k", "23/11/2026 15:04:07.481", "23/11 15:04:07"),
    ],
)
def test_english_is_written_as_in_the_systems_country(
    name: str, number: str, share: str, time: str, near: str
) -> None:
    write_as(name)
    assert plain(format.integer(1_234_567)) == number
    assert plain(format.compact(12_412)) == share
    assert plain(format.timestamp(MOMENT)) == time
    assert plain(format.near_time(MOMENT, MOMENT + 30 * HOUR)) == near


def test_german() -> None:
    figures.use(figure_style.of_locale(QLocale("de_DE")))
    assert format.integer(1_234_567) == "1.234.567"
    assert plain(format.bytes_size(3_250_585)) == "3,1 MiB"
    assert plain(format.percent(0.0153)) == "1,5 %"
    assert plain(format.duration(2.5)) == "2,5 s"
    assert format.fixed(0.125, 3) == "0,125"
    assert format.timestamp(MOMENT) == "23.11.2026 15:04:07,481"
    assert format.timestamp(MOMENT, digits=9) == "23.11.2026 15:04:07,481215999"
    assert format.minute(MOMENT) == "23.11.2026 15:04"
    assert format.near_time(MOMENT, MOMENT + HOUR) == "15:04:07,481"
    assert format.near_time(MOMENT, MOMENT + 30 * HOUR) == "23.11. 15:04:07"
    assert format.near_time(MOMENT, MOMENT + 9000 * HOUR) == "23.11.2026 15:04"
    assert figures.named_day(datetime(2026, 3, 1)) == "01 Mär"


def test_what_is_copied_or_typed_stays_iso() -> None:
    figures.use(figure_style.of_locale(QLocale("de_DE")))
    assert format.iso_timestamp(MOMENT) == "2026-11-23T15:04:07.481215999+00:00"
    assert format.typed_time(MOMENT) == "2026-11-23 15:04:07.481"
    assert format.typed_time(MOMENT, digits=0) == "2026-11-23 15:04:07"


def test_the_settings_go_before_the_language() -> None:
    write_as("en_US", style=figure_style.ISO, clock=figure_style.HOURS_12, digits=6)
    assert plain(format.timestamp(MOMENT)) == "2026-11-23 3:04:07.481215 PM"
    assert plain(format.integer(1_234_567)) == "1 234 567"
    write_as("en_US", clock=figure_style.HOURS_24, digits=0)
    assert format.timestamp(MOMENT) == "11/23/2026 15:04:07"
    write_as("C", digits="many", clock="sundial", style=7)
    assert format.timestamp(MOMENT) == "2026-11-23 15:04:07.481"


def test_tables_say_how_long_ago_or_when() -> None:
    write_as("C")
    assert plain(format.table_time(MOMENT, MOMENT + 3 * HOUR)) == "3 h ago"
    write_as("C", relative=False)
    assert format.table_time(MOMENT, MOMENT + 3 * HOUR) == "15:04:07"


def test_noon_and_midnight_have_twelve_hours() -> None:
    write_as("en_US")
    for hour, text in ((0, "12:04 AM"), (11, "11:04 AM"), (12, "12:04 PM"), (23, "11:04 PM")):
        assert plain(figures.clock(datetime(2026, 1, 1, hour, 4), seconds=False)) == text


@pytest.mark.parametrize(
    "name", ["ar_EG", "bg", "de_CH", "fa", "fr", "hi", "hu", "ja", "ko", "pt_BR", "sv", "zh_CN", "en_ZA"]
)
def test_dates_of_every_order_have_all_their_parts(name: str) -> None:
    figures.use(figure_style.of_locale(QLocale(name)))
    text = figures.date(datetime(2026, 11, 23))
    assert "2026" in text
    assert "11" in text
    assert "23" in text
    assert text.strip() == text
    assert "2026" not in figures.day(datetime(2026, 11, 23))


@pytest.mark.parametrize(
    ("name", "text", "number"),
    [
        ("de_DE", "1.234,5 k", "1234.5 k"),
        ("de_DE", "12.345", "12345"),
        ("de_DE", "1,5", "1.5"),
        ("de_DE", "1.5", "1.5"),
        ("de_DE", "1d, 2h", "1d, 2h"),
        ("C", "12 345", "12345"),
        ("C", "12,345", "12345"),
        ("C", "1.5", "1.5"),
        ("en_US", "1,234,567", "1234567"),
        ("fr", "12\u202f345,5", "12345.5"),
    ],
)
def test_numbers_are_read_as_they_are_written(name: str, text: str, number: str) -> None:
    figures.use(figure_style.of_locale(QLocale(name)))
    assert figures.typed(text) == number


@pytest.mark.parametrize("name", ["C", "de_DE", "en_US", "fr", "sv"])
@pytest.mark.parametrize("value", [0, 7, 999, 1000, 12_345, 1_234_567])
def test_counts_are_read_back(name: str, value: int) -> None:
    figures.use(figure_style.of_locale(QLocale(name)))
    assert parse_count(format.integer(value)) == value


def test_fields_take_the_decimal_sign_of_the_language() -> None:
    figures.use(figure_style.of_locale(QLocale("de_DE")))
    assert parse_size("1,5 GiB") == 3 << 29
    assert parse_duration("1,5h") == 5_400_000_000_000
    assert parse_duration("1d, 2h") == 93_600_000_000_000
