"""Links to places: what is written is read again, and nothing else is."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memphis_desktop.ui.screen import Route
from memphis_desktop.ui.shell.links import LinkProblem, link_to, read_link

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
PARAMETERS = st.dictionaries(TEXTS.filter(lambda key: key != "connection"), TEXTS, max_size=8)


@given(TEXTS, PARAMETERS)
def test_a_link_leads_where_it_was_made(connection: str, parameters: dict[str, str]) -> None:
    place = read_link(link_to(connection, Route("messages", parameters)))
    assert place.name == connection
    assert place.route == Route("messages", parameters)


@given(st.text(max_size=200))
def test_other_texts_are_refused_with_a_sentence(text: str) -> None:
    for link in (text, f"memphis-desktop://{text}", f"memphis-desktop://open/{text}"):
        with contextlib.suppress(LinkProblem):
            place = read_link(link)
            assert place.name
            assert place.route.name


def test_too_long_a_link_is_refused() -> None:
    with pytest.raises(LinkProblem, match="too long"):
        read_link(link_to("here", Route("messages", {"find": "x" * 9000})))
