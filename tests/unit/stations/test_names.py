"""Names: what is allowed, and the forms they take."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.stations import names
from memphis_desktop.stations.errors import Refusal


def test_the_forms_of_a_name() -> None:
    assert names.checked_name("Station", "My.Orders") == "my.orders"
    assert names.internal_name("My.Orders") == "my#orders"
    assert names.partition_stream("my.orders", 2) == "my#orders$2"
    assert names.station_of_stream("my#orders$2") == ("my.orders", 2)
    assert names.station_of_stream("plain") == ("plain", -1)
    assert names.dead_letter_subject("My.Orders", "Team.A") == "$memphis_dls_my#orders.team#a"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "Station name can not be empty"),
        (None, "Station name can not be empty"),
        ("a" * 129, "Station should be under 128 characters"),
        ("a b", "Only alphanumeric and the '_', '-', '.' characters are allowed in Station"),
        ("a#b", "Only alphanumeric and the '_', '-', '.' characters are allowed in Station"),
        ("ä", "Only alphanumeric and the '_', '-', '.' characters are allowed in Station"),
        ("a\n", "Only alphanumeric and the '_', '-', '.' characters are allowed in Station"),
        (".a", "Station name can not start or end with non alphanumeric character"),
        ("a-", "Station name can not start or end with non alphanumeric character"),
    ],
)
def test_a_bad_name_is_refused_in_the_words_of_memphis(name: object, message: str) -> None:
    with pytest.raises(Refusal, match=f"^{re.escape(message)}$"):
        names.checked_name("Station", name)


def test_a_name_may_have_128_characters() -> None:
    assert names.checked_name("Station", "A" * 128) == "a" * 128


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_name_makes_one_token_that_gives_it_back(name: str) -> None:
    token = names.key_token(name)
    assert re.fullmatch(r"[-/_=a-zA-Z0-9]*", token)
    assert names.name_of_token(token) == name


def test_a_memphis_name_stays_readable_in_a_key() -> None:
    assert names.key_token("my.orders-1_a") == "my/orders-1_a"
